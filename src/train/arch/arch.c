/* SPDX-License-Identifier: Apache-2.0 */
/* arch.c -- the architectures. Each function appends layers up to, not including, the last one. */
#include <math.h>
#include <string.h>

#include "base/status.h"
#include "train/arch/net.h"

const char train_arch_names[] = "lenet5|cnn4|ds-cnn|resnet8|mobilenet-v1-0.25|mlp";

struct plan {
    const struct train_arch_spec *spec;
    struct train_net *net;
};

/* n channels times the width, at least 1, a multiple of 4 when there are that many. */
static int64_t wide(const struct plan *p, int64_t n)
{
    int64_t value = (int64_t)lround((double)n * p->spec->width);
    if (p->spec->width != 1 && value > 4) {
        value = (value + 2) / 4 * 4;
    }
    return value > 0 ? value : 1;
}

/* LeCun et al. 1998, figure 2, with Relu and maximum pooling as usual today. 28 x 28 is padded to
 * 32 x 32. */
static void lenet5(struct plan *p)
{
    struct train_net *net = p->net;
    int64_t pad = net->h < 32 || net->w < 32 ? 2 : 0;
    train_net_conv(net, (struct train_conv_spec){.out = wide(p, 6),
                                                 .kh = 5,
                                                 .kw = 5,
                                                 .sh = 1,
                                                 .sw = 1,
                                                 .bias = true,
                                                 .pad_h = pad,
                                                 .pad_w = pad});
    train_net_relu(net);
    train_net_max_pool(net);
    train_net_conv(net, (struct train_conv_spec){
                            .out = wide(p, 16), .kh = 5, .kw = 5, .sh = 1, .sw = 1, .bias = true});
    train_net_relu(net);
    train_net_max_pool(net);
    train_net_flatten(net);
    train_net_dense(net, wide(p, 120), false, NULL);
    train_net_relu(net);
    train_net_dense(net, wide(p, 84), false, NULL);
    train_net_relu(net);
}

/* Four blocks of 3x3 convolution, normalisation, Relu, pooling: 16, 32, 64, 128 channels. */
static void cnn4(struct plan *p)
{
    static const int64_t channels[4] = {16, 32, 64, 128};
    for (int i = 0; i < 4; i++) {
        train_net_block(p->net, wide(p, channels[i]), 3, 1);
        train_net_max_pool(p->net);
    }
    if (p->spec->flat) {
        train_net_flatten(p->net);
    } else {
        train_net_global_pool(p->net);
    }
}

static void separable(struct plan *p, int64_t out, int64_t stride)
{
    train_net_conv(p->net, (struct train_conv_spec){.kh = 3,
                                                    .kw = 3,
                                                    .sh = stride,
                                                    .sw = stride,
                                                    .depthwise = true,
                                                    .pad_h = -1,
                                                    .pad_w = -1});
    train_net_norm(p->net);
    train_net_relu(p->net);
    train_net_block(p->net, out, 1, 1);
}

/* Zhang et al. 2017, "Hello edge", the small network; window 10 x 4 with stride 2 as in MLPerf
 * Tiny's keyword spotting. */
static void ds_cnn(struct plan *p)
{
    struct train_net *net = p->net;
    train_net_conv(
        net,
        (struct train_conv_spec){
            .out = wide(p, 64), .kh = 10, .kw = 4, .sh = 2, .sw = 2, .pad_h = -1, .pad_w = -1});
    train_net_norm(net);
    train_net_relu(net);
    for (int i = 0; i < 4; i++) {
        separable(p, wide(p, 64), 1);
    }
    train_net_global_pool(net);
}

/* He et al. 2016: two convolutions and a way around them, a 1x1 convolution where the shape
 * changes. */
static void residual(struct plan *p, int64_t out, int64_t stride)
{
    struct train_net *net = p->net;
    const struct train_net before = *net;
    train_net_block(net, out, 3, stride);
    train_net_conv(net,
                   (struct train_conv_spec){
                       .out = out, .kh = 3, .kw = 3, .sh = 1, .sw = 1, .pad_h = -1, .pad_w = -1});
    train_net_norm(net);
    int32_t main_way = net->at;
    int32_t around = before.at;
    if (stride != 1 || before.c != out) {
        int64_t h = net->h;
        int64_t w = net->w;
        net->at = before.at;
        net->c = before.c;
        net->h = before.h;
        net->w = before.w;
        train_net_conv(net, (struct train_conv_spec){
                                .out = out, .kh = 1, .kw = 1, .sh = stride, .sw = stride});
        around = net->at;
        net->h = h;
        net->w = w;
    }
    (void)train_net_node(net, "Add", (int32_t[]){main_way, around}, 2, NULL);
    train_net_relu(net);
}

/* The image classification network of MLPerf Tiny (Banbury et al. 2021): 16, 32, 64 channels. */
static void resnet8(struct plan *p)
{
    train_net_block(p->net, wide(p, 16), 3, 1);
    residual(p, wide(p, 16), 1);
    residual(p, wide(p, 32), 2);
    residual(p, wide(p, 64), 2);
    train_net_global_pool(p->net);
}

/* Howard et al. 2017, table 1, a quarter of the channels. */
static void mobilenet(struct plan *p)
{
    static const struct {
        int64_t out, stride;
    } layers[] = {{16, 1},  {32, 2},  {32, 1},  {64, 2},  {64, 1},  {128, 2}, {128, 1},
                  {128, 1}, {128, 1}, {128, 1}, {128, 1}, {256, 2}, {256, 1}};
    train_net_block(p->net, wide(p, 8), 3, 2);
    for (size_t i = 0; i < sizeof layers / sizeof layers[0]; i++) {
        separable(p, wide(p, layers[i].out), layers[i].stride);
    }
    train_net_global_pool(p->net);
}

/* Two hidden layers of 64. Pictures are flattened. */
static void mlp(struct plan *p)
{
    if (p->spec->rank == 3) {
        train_net_flatten(p->net);
    }
    for (int i = 0; i < 2; i++) {
        train_net_dense(p->net, wide(p, 64), false, NULL);
        train_net_relu(p->net);
    }
}

static const struct {
    const char *name;
    void (*build)(struct plan *p);
    bool tables; /* takes features too */
} architectures[] = {
    {"lenet5", lenet5, false},
    {"cnn4", cnn4, false},
    {"ds-cnn", ds_cnn, false},
    {"resnet8", resnet8, false},
    {"mobilenet-v1-0.25", mobilenet, false},
    {"mlp", mlp, true},
};
enum { N_ARCHITECTURES = sizeof architectures / sizeof architectures[0] };

static int32_t add_input(struct train_net *net, const struct train_arch_spec *spec)
{
    int64_t dims[4] = {-1, spec->dims[0], spec->dims[1], spec->dims[2]};
    int32_t value = ledge_graph_add_value(net->graph, spec->rank == 3 ? "image" : "features",
                                          LEDGE_F32, spec->rank + 1, dims);
    if (value < 0 || ledge_graph_add_input(net->graph, value) < 0) {
        net->failed = true;
        return -1;
    }
    net->graph->values[value].dim_names[0] = ledge_arena_text(&net->graph->arena, "batch", 5);
    return value;
}

/* (x - mean) / std as constants of the graph. */
static void standardise(struct train_net *net, const struct train_arch_spec *spec)
{
    int64_t n = spec->dims[0];
    int32_t mean =
        ledge_graph_add_constant(net->graph, "standard.mean", LEDGE_F32, 1, &n, spec->mean, true);
    int32_t std =
        ledge_graph_add_constant(net->graph, "standard.std", LEDGE_F32, 1, &n, spec->std, true);
    net->failed = net->failed || mean < 0 || std < 0;
    (void)train_net_node(net, "Sub", (int32_t[]){net->at, mean}, 2, NULL);
    (void)train_net_node(net, "Div", (int32_t[]){net->at, std}, 2, NULL);
}

static void finish(struct train_net *net, const struct train_arch_spec *spec)
{
    train_net_dropout(net, spec->dropout);
    train_net_dense(net, spec->n_classes, true, "logits");
    if (!spec->logits) {
        int32_t node = train_net_node(net, "Softmax", &net->at, 1, "probabilities");
        if (node < 0 || !ledge_graph_set_int(net->graph, node, "axis", -1)) {
            net->failed = true;
        }
    }
    if (net->at < 0 || ledge_graph_add_output(net->graph, net->at) < 0) {
        net->failed = true;
        return;
    }
    struct ledge_value *out = &net->graph->values[net->at];
    out->rank = 2;
    out->dims[0] = -1;
    out->dims[1] = spec->n_classes;
    out->dim_names[0] = ledge_arena_text(&net->graph->arena, "batch", 5);
}

enum ledge_status train_arch_build(const struct train_arch_spec *spec, struct ledge_graph *graph,
                                   struct ledge_error *err)
{
    struct train_net net = {.graph = graph, .seed = spec->seed};
    struct plan plan = {spec, &net};
    int32_t i = 0;
    while (i < N_ARCHITECTURES && strcmp(architectures[i].name, spec->name) != 0) {
        i++;
    }
    if (i == N_ARCHITECTURES) {
        return ledge_fail(err, LEDGE_ERR_NOT_FOUND, "no architecture '%.40s', only %s", spec->name,
                          train_arch_names);
    }
    if (spec->rank != 3 && !architectures[i].tables) {
        return ledge_fail(err, LEDGE_ERR_SHAPE, "%s takes pictures, the data are a table: use mlp",
                          spec->name);
    }
    net.at = add_input(&net, spec);
    net.c = spec->dims[0];
    net.h = spec->rank == 3 ? spec->dims[1] : 1;
    net.w = spec->rank == 3 ? spec->dims[2] : 1;
    if (spec->mean != NULL) {
        standardise(&net, spec);
    }
    architectures[i].build(&plan);
    if (net.small) {
        return ledge_fail(err, LEDGE_ERR_SHAPE, "%s: an input of %lld x %lld is too small",
                          spec->name, (long long)spec->dims[2], (long long)spec->dims[1]);
    }
    finish(&net, spec);
    return net.failed ? ledge_fail(err, LEDGE_ERR_NOMEM, "architecture: out of memory") : LEDGE_OK;
}
