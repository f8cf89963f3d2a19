/* SPDX-License-Identifier: Apache-2.0 */
/* layout_f32.c -- which f32 nodes join a region of blocked tensors, and what they become; see
 * layout.h.
 *
 * Convolutions start regions; pooling, operators on single elements and what only moves channels
 * (layout_moves.c) follow. An Add behind a convolution that nobody else reads becomes the
 * convolution's addend.
 */
#include <math.h>
#include <string.h>

#include "base/status.h"
#include "engine/ops/blocked.h"
#include "engine/ops/core.h"
#include "engine/ops/spatial.h"
#include "engine/plan/layout.h"

#include "base/banned.h"

/* Channels of a plain picture that a convolution reads as it is. */
enum { PLANAR = 4 };

static const struct ledge_value *value_of(const struct ledge_layout_step *step,
                                          const struct ledge_node *node, int32_t i)
{
    return i < node->n_in && node->in[i] >= 0 ? &step->graph->values[node->in[i]] : NULL;
}

static bool is_picture(const struct ledge_value *value)
{
    return value != NULL && value->dtype == LEDGE_F32 && value->rank == 4;
}

static int64_t channels_of(const struct ledge_value *value, enum ledge_layout layout)
{
    return value->dims[ledge_layout_axis(layout)];
}

/* Only output 0 is wanted, and it is a picture. */
static bool one_picture_out(const struct ledge_layout_step *step, const struct ledge_node *node)
{
    for (int32_t i = 1; i < node->n_out; i++) {
        if (node->out[i] >= 0) {
            return false;
        }
    }
    return node->n_out > 0 && node->out[0] >= 0 && is_picture(&step->graph->values[node->out[0]]);
}

static bool same_dims(const struct ledge_value *a, const struct ledge_value *b)
{
    return a->rank == b->rank && memcmp(a->dims, b->dims, (size_t)a->rank * sizeof *a->dims) == 0;
}

/* -- Conv -----------------------------------------------------------------------------------------
 */

static bool is_constant(const struct ledge_value *value)
{
    return value == NULL || (value->data != NULL && value->dtype == LEDGE_F32);
}

/* Blocks of which most lanes are padding are no gain. */
static bool fills_blocks(int64_t channels, int32_t block)
{
    return channels >= block || 2 * channels >= block;
}

static bool conv_fit(const struct ledge_layout_step *step, const struct ledge_node *node,
                     struct ledge_layout_fit *fit)
{
    const struct ledge_value *x = value_of(step, node, 0), *w = value_of(step, node, 1);
    const struct ledge_value *bias = value_of(step, node, 2);
    struct ledge_error ignored = {.status = LEDGE_OK};
    struct ledge_geometry g;
    if (!is_picture(x) || w == NULL || !is_constant(w) || !is_constant(bias) || node->n_in > 3 ||
        !one_picture_out(step, node) ||
        ledge_conv_geometry(node, x, w, bias, &g, &ignored) != LEDGE_OK) {
        return false;
    }
    const struct ledge_layout_value *in = ledge_layout_in(step, node, 0);
    fit->layout = g.layout;
    fit->block = ledge_blocked_for(step->rung, step->consistent)->block;
    fit->macs = ledge_conv_macs(&g);
    if (in != NULL && (in->layout != g.layout || in->block != fit->block)) {
        return false;
    }
    bool depthwise = g.groups > 1 && ledge_blocked_depthwise_fits(&g);
    bool planar = in == NULL && g.groups == 1 && g.in_channels <= PLANAR;
    fit->enters[0] = in == NULL && !planar ? 0 : -1;
    return fills_blocks(g.out_channels, fit->block) &&
           (depthwise || ledge_blocked_conv_fits(&g, fit->block));
}

static enum ledge_status conv_apply(struct ledge_layout_step *step, int32_t node,
                                    const struct ledge_layout_fit *fit)
{
    const struct ledge_node *it = &step->graph->nodes[node];
    int32_t in[3] = {it->in[0], it->in[1], it->n_in > 2 ? it->in[2] : -1};
    if (fit->enters[0] == 0 || step->values[in[0]].twin >= 0) {
        LEDGE_TRY(ledge_layout_enter(step, in[0], fit, "ToBlocked", &in[0]));
    }
    if (!ledge_graph_set_int(step->graph, node, "block", fit->block)) {
        return ledge_fail(step->err, LEDGE_ERR_NOMEM, "no memory for blocked tensors");
    }
    return ledge_layout_rewrite(step, node, "ledge", "BlockedConv", in, 3, fit);
}

/* -- pooling --------------------------------------------------------------------------------------
 */

/* The node's input 0 is in a region: its layout and block become the fit's. */
static bool follows(const struct ledge_layout_step *step, const struct ledge_node *node,
                    struct ledge_layout_fit *fit)
{
    const struct ledge_layout_value *in = ledge_layout_in(step, node, 0);
    if (in == NULL || !is_picture(value_of(step, node, 0)) || !one_picture_out(step, node)) {
        return false;
    }
    fit->layout = in->layout;
    fit->block = in->block;
    return true;
}

static bool pool_fit(const struct ledge_layout_step *step, const struct ledge_node *node,
                     struct ledge_layout_fit *fit)
{
    struct ledge_geometry g;
    return follows(step, node, fit) && ledge_node_layout(node) == fit->layout &&
           ledge_blocked_window(node, value_of(step, node, 0), &g);
}

static enum ledge_status pool_apply(struct ledge_layout_step *step, int32_t node,
                                    const struct ledge_layout_fit *fit)
{
    static const char *const names[][2] = {
        {"MaxPool", "BlockedMaxPool"},
        {"AveragePool", "BlockedAveragePool"},
        {"GlobalAveragePool", "BlockedGlobalAveragePool"},
        {"GlobalMaxPool", "BlockedGlobalMaxPool"},
    };
    const struct ledge_node *it = &step->graph->nodes[node];
    const char *name = names[0][1];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        name = strcmp(it->op, names[i][0]) == 0 ? names[i][1] : name;
    }
    return ledge_layout_rewrite(step, node, "ledge", name, &step->values[it->in[0]].twin, 1, fit);
}

/* -- single elements ------------------------------------------------------------------------------
 */

/* f(0) is a number for every operator of these rules, so padding lanes never hold NaN or infinity
 * that is not there already. */
static bool unary_fit(const struct ledge_layout_step *step, const struct ledge_node *node,
                      struct ledge_layout_fit *fit)
{
    return follows(step, node, fit) &&
           same_dims(value_of(step, node, 0), &step->graph->values[node->out[0]]);
}

/* The operator stays as it is and works on twins; other inputs (bounds, scalars) stay, too. */
static enum ledge_status same_apply(struct ledge_layout_step *step, int32_t node,
                                    const struct ledge_layout_fit *fit)
{
    enum { MOST = 64 };
    const struct ledge_node *it = &step->graph->nodes[node];
    int32_t in[MOST];
    for (int32_t i = 0; i < it->n_in; i++) {
        in[i] = it->in[i];
        if (in[i] >= 0 && (step->values[in[i]].twin >= 0 || fit->enters[0] == i)) {
            LEDGE_TRY(ledge_layout_enter(step, in[i], fit, "ToBlocked", &in[i]));
        }
    }
    return ledge_layout_rewrite(step, node, it->domain, it->op, in, it->n_in, fit);
}

static bool is_scalar(const struct ledge_value *value)
{
    int64_t n = 1;
    for (int32_t i = 0; i < value->rank; i++) {
        n *= value->dims[i];
    }
    return n == 1 && value->rank <= 4;
}

/* [N][C][1][1] against [N][C][H][W]. */
static bool is_per_channel(const struct ledge_value *value, const struct ledge_value *out,
                           enum ledge_layout layout)
{
    const int64_t *plane = ledge_spatial_kernel(value, layout);
    return is_picture(value) && value->dims[0] == out->dims[0] &&
           channels_of(value, layout) == channels_of(out, layout) && plane[0] == 1 && plane[1] == 1;
}

static bool binary_fit(const struct ledge_layout_step *step, const struct ledge_node *node,
                       struct ledge_layout_fit *fit)
{
    if (node->n_in != 2 || node->opset < 7 || !one_picture_out(step, node)) {
        return false;
    }
    const struct ledge_layout_value *twins[2] = {ledge_layout_in(step, node, 0),
                                                 ledge_layout_in(step, node, 1)};
    const struct ledge_value *out = &step->graph->values[node->out[0]];
    const struct ledge_layout_value *first = twins[0] != NULL ? twins[0] : twins[1];
    if (first == NULL) {
        return false;
    }
    fit->layout = first->layout;
    fit->block = first->block;
    bool whole = false;
    for (int32_t i = 0; i < 2; i++) {
        const struct ledge_value *in = value_of(step, node, i);
        if (in == NULL || (twins[i] != NULL &&
                           (twins[i]->layout != fit->layout || twins[i]->block != fit->block))) {
            return false;
        }
        bool same = same_dims(in, out);
        whole = whole || (same && twins[i] != NULL);
        if (twins[i] == NULL && same && in->data == NULL) {
            fit->enters[0] = i;
        } else if (twins[i] == NULL ? !is_scalar(in)
                                    : !same && !is_per_channel(in, out, fit->layout)) {
            return false;
        }
    }
    return whole;
}

/* The node number that makes the twin of a value, when it is this operator, only `uses` readers
 * have the value and none needs its plain form; else -1. */
static int32_t sole_maker(const struct ledge_layout_step *step, int32_t number, const char *op,
                          int32_t uses)
{
    const struct ledge_layout_value *value = &step->values[number];
    int32_t maker = value->twin >= 0 ? step->graph->values[value->twin].producer : -1;
    return maker >= 0 && value->uses == uses && !value->plain &&
                   strcmp(step->graph->nodes[maker].op, op) == 0
               ? maker
               : -1;
}

static enum ledge_status no_memory(const struct ledge_layout_step *step)
{
    return ledge_fail(step->err, LEDGE_ERR_NOMEM, "no memory for blocked tensors");
}

/* Node number `node` dies; its output is what node `host` makes. */
static void hand_over(struct ledge_layout_step *step, int32_t node, int32_t host,
                      const struct ledge_layout_fit *fit)
{
    struct ledge_graph *graph = step->graph;
    int32_t out = graph->nodes[node].out[0];
    graph->nodes[node].dead = true;
    graph->values[out].producer = -1;
    step->values[out].twin = graph->nodes[host].out[0];
    step->values[out].plain = false;
    step->values[out].layout = fit->layout;
    step->values[out].block = fit->block;
}

static bool set_activation(struct ledge_layout_step *step, int32_t node, const char *function,
                           const struct ledge_node *from)
{
    static const char *const names[] = {"alpha", "beta"};
    bool done = ledge_graph_set_string(step->graph, node, "activation", function);
    for (int i = 0; i < 2 && done && from != NULL; i++) {
        if (ledge_node_attr(from, names[i]) != NULL) {
            done = ledge_graph_set_float(step->graph, node, names[i],
                                         ledge_node_float(from, names[i], 0));
        }
    }
    return done;
}

static bool function_fit(const struct ledge_layout_step *step, const struct ledge_node *node,
                         struct ledge_layout_fit *fit)
{
    return unary_fit(step, node, fit) && ledge_blocked_is_function(node->op) &&
           (strcmp(node->op, "Swish") != 0 || ledge_node_float(node, "alpha", 1.0f) == 1.0f);
}

/* Behind a convolution that nobody else reads: its last act. Else an operator of its own. */
static enum ledge_status function_apply(struct ledge_layout_step *step, int32_t node,
                                        const struct ledge_layout_fit *fit)
{
    const struct ledge_node *it = &step->graph->nodes[node];
    int32_t host = sole_maker(step, it->in[0], "BlockedConv", 1);
    bool fused = host >= 0 && ledge_node_attr(&step->graph->nodes[host], "activation") == NULL;
    if (!set_activation(step, fused ? host : node, it->op, it)) {
        return no_memory(step);
    }
    if (fused) {
        hand_over(step, node, host, fit);
        return LEDGE_OK;
    }
    return ledge_layout_rewrite(step, node, "ledge", "BlockedActivation",
                                &step->values[it->in[0]].twin, 1, fit);
}

/* x * sigmoid(x) and x * hard_sigmoid(x) with its usual numbers: what the factor was made by, and
 * the function that the product is; -1: it is neither. */
static int32_t self_gate(const struct ledge_layout_step *step, const struct ledge_node *mul,
                         int32_t i, const char **function)
{
    int32_t maker = sole_maker(step, mul->in[i], "BlockedActivation", 1);
    const struct ledge_node *gate = maker >= 0 ? &step->graph->nodes[maker] : NULL;
    if (gate == NULL || gate->in[0] != step->values[mul->in[1 - i]].twin) {
        return -1;
    }
    const char *name = ledge_node_string(gate, "activation", "");
    bool usual = fabsf(ledge_node_float(gate, "alpha", 0.2f) - 1.0f / 6) < 1e-6f &&
                 ledge_node_float(gate, "beta", 0.5f) == 0.5f;
    bool hard = strcmp(name, "HardSigmoid") == 0 && usual;
    *function = hard ? "HardSwish" : "Swish";
    return hard || strcmp(name, "Sigmoid") == 0 ? maker : -1;
}

static bool is_clamped(const struct ledge_node *node)
{
    return ledge_node_attr(node, "clamp_low") != NULL ||
           ledge_node_attr(node, "clamp_high") != NULL;
}

static enum ledge_status mul_apply(struct ledge_layout_step *step, int32_t node,
                                   const struct ledge_layout_fit *fit)
{
    struct ledge_graph *graph = step->graph;
    const struct ledge_node *it = &graph->nodes[node];
    for (int32_t i = 0; i < 2 && fit->enters[0] < 0 && !is_clamped(it); i++) {
        int32_t x = it->in[1 - i], gate = it->in[i];
        const char *function;
        int32_t maker = self_gate(step, it, i, &function);
        if (maker >= 0) {
            int32_t host = sole_maker(step, x, "BlockedConv", 2);
            bool fused = host >= 0 && ledge_node_attr(&graph->nodes[host], "activation") == NULL;
            graph->nodes[maker].dead = true;
            if (!set_activation(step, fused ? host : node, function, NULL)) {
                return no_memory(step);
            }
            if (fused) {
                hand_over(step, node, host, fit);
                return LEDGE_OK;
            }
            return ledge_layout_rewrite(step, node, "ledge", "BlockedActivation",
                                        &step->values[x].twin, 1, fit);
        }
        if (step->values[x].twin >= 0 && step->values[gate].twin >= 0 &&
            !same_dims(&graph->values[x], &graph->values[gate]) &&
            is_per_channel(&graph->values[gate], &graph->values[x], fit->layout)) {
            const int32_t in[2] = {step->values[x].twin, step->values[gate].twin};
            return ledge_layout_rewrite(step, node, "ledge", "BlockedGate", in, 2, fit);
        }
    }
    return same_apply(step, node, fit);
}

/* The convolution whose output nobody but this Add reads; -1 when there is none. The later of two:
 * the other one's output is there by then. */
static int32_t addend_host(const struct ledge_layout_step *step, const struct ledge_node *add,
                           int32_t *other)
{
    const struct ledge_graph *graph = step->graph;
    int32_t host = -1;
    for (int32_t i = 0; i < 2; i++) {
        int32_t maker = sole_maker(step, add->in[i], "BlockedConv", 1);
        if (maker <= host) {
            continue;
        }
        const struct ledge_node *conv = &graph->nodes[maker];
        if (conv->n_in < 4 && !is_clamped(conv) && ledge_node_attr(conv, "activation") == NULL) {
            host = maker;
            *other = add->in[1 - i];
        }
    }
    return host;
}

static enum ledge_status fuse_add(struct ledge_layout_step *step, int32_t node, int32_t host,
                                  int32_t other, const struct ledge_layout_fit *fit)
{
    struct ledge_graph *graph = step->graph;
    static const char *const bounds[] = {"clamp_low", "clamp_high"};
    int32_t *in = LEDGE_NEW_ARRAY(&graph->arena, int32_t, 4);
    bool done = in != NULL;
    for (int i = 0; i < 2 && done; i++) {
        const struct ledge_node *add = &graph->nodes[node];
        if (ledge_node_attr(add, bounds[i]) != NULL) {
            done =
                ledge_graph_set_float(graph, host, bounds[i], ledge_node_float(add, bounds[i], 0));
        }
    }
    if (!done) {
        return no_memory(step);
    }
    struct ledge_node *conv = &graph->nodes[host];
    memcpy(in, conv->in, 3 * sizeof *in);
    in[3] = step->values[other].twin;
    conv->in = in;
    conv->n_in = 4;
    hand_over(step, node, host, fit);
    return LEDGE_OK;
}

static enum ledge_status add_apply(struct ledge_layout_step *step, int32_t node,
                                   const struct ledge_layout_fit *fit)
{
    const struct ledge_node *it = &step->graph->nodes[node];
    int32_t a = it->in[0], b = it->in[1], other = -1;
    if (fit->enters[0] < 0 && a != b && step->values[a].twin >= 0 && step->values[b].twin >= 0 &&
        same_dims(&step->graph->values[a], &step->graph->values[b])) {
        int32_t host = addend_host(step, it, &other);
        if (host >= 0) {
            return fuse_add(step, node, host, other, fit);
        }
    }
    return same_apply(step, node, fit);
}

const struct ledge_layout_rule ledge_layout_rules_f32[] = {
    {"", "Conv", conv_fit, conv_apply},
    {"", "MaxPool", pool_fit, pool_apply},
    {"", "AveragePool", pool_fit, pool_apply},
    {"", "GlobalAveragePool", pool_fit, pool_apply},
    {"", "GlobalMaxPool", pool_fit, pool_apply},
    {"", "Abs", unary_fit, same_apply},
    {"", "Elu", unary_fit, same_apply},
    {"", "Gelu", unary_fit, same_apply},
    {"", "HardSigmoid", function_fit, function_apply},
    {"", "HardSwish", function_fit, function_apply},
    {"", "LeakyRelu", function_fit, function_apply},
    {"", "Mish", unary_fit, same_apply},
    {"", "Neg", unary_fit, same_apply},
    {"", "Relu", unary_fit, same_apply},
    {"", "Sigmoid", function_fit, function_apply},
    {"", "Softplus", unary_fit, same_apply},
    {"", "Swish", function_fit, function_apply},
    {"", "Tanh", unary_fit, same_apply},
    {"", "Clip", unary_fit, same_apply},
    {"", "Add", binary_fit, add_apply},
    {"", "Mul", binary_fit, mul_apply},
    {"", "Sub", binary_fit, same_apply},
    {"", "Max", binary_fit, same_apply},
    {"", "Min", binary_fit, same_apply},
    {"", "Concat", ledge_layout_concat_fit, ledge_layout_concat_apply},
    {"", "Split", ledge_layout_split_fit, ledge_layout_split_apply},
    {"", "Reshape", ledge_layout_shuffle_fit, ledge_layout_shuffle_apply},
    {"", "Transpose", ledge_layout_shuffle_fit, ledge_layout_shuffle_apply},
    {NULL, NULL, NULL, NULL},
};
