/* SPDX-License-Identifier: Apache-2.0 */
/* net.c -- see net.h. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "data/philox.h"
#include "train/arch/net.h"

enum { NAME = 64 };

static const char *name_of(const struct train_net *net, const char *kind, const char *what,
                           char text[NAME])
{
    (void)snprintf(text, NAME, "%s%d.%s", kind, net->layers, what);
    return text;
}

/* Two uniform numbers to one normal one (Box and Muller 1958). */
static float normal(uint64_t seed, uint64_t tensor, uint64_t index)
{
    struct data_philox r = data_philox(seed, tensor, index);
    double u = ((double)r.word[0] + 0.5) * 0x1p-32;
    double v = ((double)r.word[1] + 0.5) * 0x1p-32;
    return (float)(sqrt(-2 * log(u)) * cos(2 * 3.14159265358979323846 * v));
}

int32_t train_net_random(struct train_net *net, const char *name, int32_t rank, const int64_t *dims,
                         double deviation)
{
    int64_t count = 1;
    for (int32_t i = 0; i < rank; i++) {
        count *= dims[i];
    }
    float *data = malloc((size_t)count * sizeof *data);
    uint64_t tensor = (uint64_t)net->tensors++;
    for (int64_t i = 0; data != NULL && i < count; i++) {
        data[i] = (float)deviation * normal(net->seed, tensor, (uint64_t)i);
    }
    int32_t value = data == NULL ? -1
                                 : ledge_graph_add_constant(net->graph, name, LEDGE_F32, rank, dims,
                                                            data, true);
    free(data);
    net->failed = net->failed || value < 0;
    return value;
}

int32_t train_net_filled(struct train_net *net, const char *name, int64_t n, float fill)
{
    float *data = malloc((size_t)n * sizeof *data);
    for (int64_t i = 0; data != NULL && i < n; i++) {
        data[i] = fill;
    }
    int32_t value = data == NULL
                        ? -1
                        : ledge_graph_add_constant(net->graph, name, LEDGE_F32, 1, &n, data, true);
    free(data);
    net->failed = net->failed || value < 0;
    return value;
}

int32_t train_net_node(struct train_net *net, const char *op, const int32_t *in, int32_t n_in,
                       const char *out_name)
{
    for (int32_t i = 0; i < n_in; i++) {
        if (in[i] < -1 || (in[i] == -1 && i == 0)) {
            net->failed = true;
            return -1;
        }
    }
    int32_t out = ledge_graph_add_value(net->graph, out_name, LEDGE_F32, -1, NULL);
    int32_t node =
        out < 0 ? -1 : ledge_graph_add_node(net->graph, "", op, 13, NULL, in, n_in, &out, 1);
    net->failed = net->failed || node < 0;
    net->at = out;
    return node;
}

static void set_ints(struct train_net *net, int32_t node, const char *name, size_t n,
                     const int64_t *values)
{
    if (node < 0 || !ledge_graph_set_ints(net->graph, node, name, values, n)) {
        net->failed = true;
    }
}

/* Size after a window; a window that does not fit makes the net small. */
static int64_t after(struct train_net *net, int64_t size, int64_t pad, int64_t window,
                     int64_t stride)
{
    int64_t free_size = size + 2 * pad - window;
    net->small = net->small || free_size < 0;
    return free_size < 0 ? 1 : free_size / stride + 1;
}

void train_net_conv(struct train_net *net, struct train_conv_spec s)
{
    char text[NAME];
    int64_t group = s.depthwise ? net->c : 1;
    int64_t out = s.depthwise ? net->c : s.out;
    int64_t in = net->c / group;
    net->layers++;
    s.pad_h = s.pad_h < 0 ? (s.kh - 1) / 2 : s.pad_h;
    s.pad_w = s.pad_w < 0 ? (s.kw - 1) / 2 : s.pad_w;
    int32_t values[3] = {net->at,
                         train_net_random(net, name_of(net, "conv", "weight", text), 4,
                                          (const int64_t[]){out, in, s.kh, s.kw},
                                          sqrt(2.0 / (double)(in * s.kh * s.kw))),
                         s.bias ? train_net_filled(net, name_of(net, "conv", "bias", text), out, 0)
                                : -1};
    int32_t node = train_net_node(net, "Conv", values, s.bias ? 3 : 2, NULL);
    set_ints(net, node, "kernel_shape", 2, (const int64_t[]){s.kh, s.kw});
    set_ints(net, node, "strides", 2, (const int64_t[]){s.sh, s.sw});
    set_ints(net, node, "pads", 4, (const int64_t[]){s.pad_h, s.pad_w, s.pad_h, s.pad_w});
    if (group != 1 && (node < 0 || !ledge_graph_set_int(net->graph, node, "group", group))) {
        net->failed = true;
    }
    net->c = out;
    net->h = after(net, net->h, s.pad_h, s.kh, s.sh);
    net->w = after(net, net->w, s.pad_w, s.kw, s.sw);
}

void train_net_norm(struct train_net *net)
{
    char text[NAME];
    int32_t in[5] = {net->at, train_net_filled(net, name_of(net, "norm", "scale", text), net->c, 1),
                     train_net_filled(net, name_of(net, "norm", "bias", text), net->c, 0),
                     train_net_filled(net, name_of(net, "norm", "mean", text), net->c, 0),
                     train_net_filled(net, name_of(net, "norm", "var", text), net->c, 1)};
    int32_t node = train_net_node(net, "BatchNormalization", in, 5, NULL);
    if (node < 0 || !ledge_graph_set_float(net->graph, node, "epsilon", 1e-5f)) {
        net->failed = true;
    }
}

void train_net_relu(struct train_net *net)
{
    (void)train_net_node(net, "Relu", &net->at, 1, NULL);
}

void train_net_max_pool(struct train_net *net)
{
    int32_t node = train_net_node(net, "MaxPool", &net->at, 1, NULL);
    set_ints(net, node, "kernel_shape", 2, (const int64_t[]){2, 2});
    set_ints(net, node, "strides", 2, (const int64_t[]){2, 2});
    net->h = after(net, net->h, 0, 2, 2);
    net->w = after(net, net->w, 0, 2, 2);
}

void train_net_global_pool(struct train_net *net)
{
    (void)train_net_node(net, "GlobalAveragePool", &net->at, 1, NULL);
    net->h = 1;
    net->w = 1;
    train_net_flatten(net);
}

void train_net_flatten(struct train_net *net)
{
    int32_t node = train_net_node(net, "Flatten", &net->at, 1, NULL);
    if (node < 0 || !ledge_graph_set_int(net->graph, node, "axis", 1)) {
        net->failed = true;
    }
    net->c *= net->h * net->w;
    net->h = 1;
    net->w = 1;
}

void train_net_dense(struct train_net *net, int64_t out, bool last, const char *out_name)
{
    char text[NAME];
    net->layers++;
    int32_t in[3] = {net->at,
                     train_net_random(net, name_of(net, "dense", "weight", text), 2,
                                      (const int64_t[]){out, net->c},
                                      sqrt((last ? 1.0 : 2.0) / (double)net->c)),
                     train_net_filled(net, name_of(net, "dense", "bias", text), out, 0)};
    int32_t node = train_net_node(net, "Gemm", in, 3, out_name);
    if (node < 0 || !ledge_graph_set_int(net->graph, node, "transB", 1)) {
        net->failed = true;
    }
    net->c = out;
}

void train_net_dropout(struct train_net *net, double ratio)
{
    if (ratio <= 0) {
        return;
    }
    float value = (float)ratio;
    int32_t in[2] = {net->at,
                     ledge_graph_add_constant(net->graph, NULL, LEDGE_F32, 0, NULL, &value, true)};
    net->failed = net->failed || in[1] < 0;
    (void)train_net_node(net, "Dropout", in, 2, NULL);
}

void train_net_block(struct train_net *net, int64_t out, int64_t k, int64_t stride)
{
    train_net_conv(
        net,
        (struct train_conv_spec){
            .out = out, .kh = k, .kw = k, .sh = stride, .sw = stride, .pad_h = -1, .pad_w = -1});
    train_net_norm(net);
    train_net_relu(net);
}
