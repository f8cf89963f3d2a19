/* SPDX-License-Identifier: Apache-2.0 */
/* net.h -- layer by layer construction of a graph, for arch.c and head.c. A failure is sticky. */
#ifndef TRAIN_ARCH_NET_H
#define TRAIN_ARCH_NET_H

#include "train/arch/arch.h"

struct train_net {
    struct ledge_graph *graph;
    uint64_t seed;
    int32_t tensors; /* random tensors so far */
    int32_t layers;  /* for names */
    int32_t at;      /* value the next layer reads */
    int64_t c, h, w; /* its shape; features: c alone, h = w = 1 */
    bool failed;     /* no memory */
    bool small;      /* a window larger than its input */
};

struct train_conv_spec {
    int64_t out, kh, kw, sh, sw;
    bool depthwise, bias;
    int64_t pad_h, pad_w; /* zeros on each side; -1: such that stride 1 keeps the size */
};

/* Normally distributed constant; returns its value. */
int32_t train_net_random(struct train_net *net, const char *name, int32_t rank, const int64_t *dims,
                         double deviation);
int32_t train_net_filled(struct train_net *net, const char *name, int64_t n, float fill);

/* Append a node with one output of the given name (NULL: made). */
int32_t train_net_node(struct train_net *net, const char *op, const int32_t *in, int32_t n_in,
                       const char *out_name);

void train_net_conv(struct train_net *net, struct train_conv_spec spec);
void train_net_norm(struct train_net *net);
void train_net_relu(struct train_net *net);
void train_net_max_pool(struct train_net *net);
void train_net_global_pool(struct train_net *net);
void train_net_flatten(struct train_net *net);
void train_net_dense(struct train_net *net, int64_t out, bool last, const char *out_name);
void train_net_dropout(struct train_net *net, double ratio);

/* conv, norm, relu */
void train_net_block(struct train_net *net, int64_t out, int64_t k, int64_t stride);

#endif
