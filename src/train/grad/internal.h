/* SPDX-License-Identifier: Apache-2.0 */
/* internal.h -- between grad.c (the walk) and vjp.c (the rules). */
#ifndef TRAIN_GRAD_INTERNAL_H
#define TRAIN_GRAD_INTERNAL_H

#include "train/grad/grad.h"

struct train_walk {
    struct ledge_graph *graph;
    int32_t *grads; /* per value of the forward graph: its gradient, -1 */
    bool *needed;   /* per value: it depends on a wanted value */
    int32_t n;      /* values of the forward graph */
    bool failed;    /* no memory */
    struct ledge_error *err;
};

/* Copies of what a rule needs of its node: adding nodes may move the node array. */
struct train_vjp {
    struct train_walk *walk;
    struct ledge_node node;
    int32_t dy; /* gradient of output 0 */
};

struct train_rule {
    const char *domain;
    const char *op;
    enum ledge_status (*rule)(const struct train_vjp *v);
};

const struct train_rule *train_rule_find(const char *domain, const char *op);

/* Is input i there, and does its gradient matter? */
bool train_vjp_needs(const struct train_vjp *v, int32_t i);

/* A node with one output, whose value is returned; -1 and walk->failed when there is no memory. */
int32_t train_vjp_node(const struct train_vjp *v, const char *domain, const char *op,
                       const int32_t *in, int32_t n_in);

/* The same with n_out outputs, FILLED (wanted[i] false: -1); the node's index is returned. */
int32_t train_vjp_nodes(const struct train_vjp *v, const char *domain, const char *op,
                        const int32_t *in, int32_t n_in, const bool *wanted, int32_t n_out,
                        int32_t *out);

/* Node that produced value. */
int32_t train_vjp_last(const struct train_vjp *v);

/* Copy the attributes of the forward node to node. */
void train_vjp_attributes(const struct train_vjp *v, int32_t node);

/* Add value to the gradient of input i. */
void train_vjp_give(const struct train_vjp *v, int32_t i, int32_t value);

/* The same for an input that may have been broadcast: summed to its shape. */
void train_vjp_give_like(const struct train_vjp *v, int32_t i, int32_t value);

#endif
