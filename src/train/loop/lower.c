/* SPDX-License-Identifier: Apache-2.0 */
/* lower.c -- see lower.h. */
#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "train/loop/lower.h"
#include "train/ops/ops.h"

static bool is_op(const struct ledge_node *node, const char *op)
{
    return !node->dead && strcmp(node->op, op) == 0 &&
           (node->domain[0] == '\0' || strcmp(node->domain, "ai.onnx") == 0);
}

static bool is_constant(const struct ledge_graph *graph, const struct ledge_node *node, int32_t i)
{
    if (i >= node->n_in || node->in[i] < 0) {
        return false;
    }
    const struct ledge_value *value = &graph->values[node->in[i]];
    return value->data != NULL && value->dtype == LEDGE_F32;
}

static bool is_linear(const struct ledge_node *node)
{
    return is_op(node, "Conv") || is_op(node, "Gemm") || is_op(node, "MatMul");
}

/* Does a linear operator stand right before input i? Then a constant added there is its bias. */
static bool behind_linear(const struct ledge_graph *graph, const struct ledge_node *node, int32_t i)
{
    int32_t producer = node->in[i] >= 0 ? graph->values[node->in[i]].producer : -1;
    return producer >= 0 && is_linear(&graph->nodes[producer]);
}

/* FILLED: at most 5 (input, kind) pairs of a node. */
static int32_t candidates(const struct ledge_graph *graph, const struct ledge_node *node,
                          int32_t inputs[5], enum train_param_kind kinds[5])
{
    int32_t n = 0;
    bool norm = is_op(node, "BatchNormalization");
    for (int32_t i = 0; i < node->n_in && i < 5; i++) {
        bool wanted = false;
        enum train_param_kind kind = TRAIN_PARAM_OTHER;
        if (!is_constant(graph, node, i)) {
            continue;
        }
        if (is_linear(node)) {
            wanted = i == 1 || i == 2 || is_op(node, "MatMul");
            kind = graph->values[node->in[i]].rank >= 2 && i < 2 ? TRAIN_PARAM_WEIGHT
                                                                 : TRAIN_PARAM_OTHER;
        } else if (norm) {
            wanted = i >= 1;
            kind = i >= 3 ? TRAIN_PARAM_STATE : TRAIN_PARAM_OTHER;
        } else if (is_op(node, "Add")) {
            wanted = behind_linear(graph, node, 1 - i);
        }
        if (wanted) {
            inputs[n] = i;
            kinds[n++] = kind;
        }
    }
    return n;
}

int32_t train_lower_find(const struct ledge_graph *graph, const int32_t *only, int32_t n_only,
                         bool *is_param, enum train_param_kind *kinds)
{
    int32_t found = 0;
    for (int32_t i = 0; i < graph->n_nodes; i++) {
        const struct ledge_node *node = &graph->nodes[i];
        int32_t inputs[5];
        enum train_param_kind node_kinds[5];
        int32_t n = node->dead ? 0 : candidates(graph, node, inputs, node_kinds);
        for (int32_t k = 0; k < n; k++) {
            int32_t value = node->in[inputs[k]];
            bool wanted = only == NULL;
            for (int32_t j = 0; j < n_only && !wanted; j++) {
                wanted = only[j] == value;
            }
            if (wanted && !is_param[value]) {
                is_param[value] = true;
                kinds[value] = node_kinds[k];
                found++;
            }
        }
    }
    return found;
}

static bool is_input(const struct ledge_graph *graph, int32_t value)
{
    for (int32_t i = 0; i < graph->n_inputs; i++) {
        if (graph->inputs[i] == value) {
            return true;
        }
    }
    return false;
}

/* Conv, Gemm and MatMul on parameters by our own operators, which need no weights ahead of time. */
static bool lower_linear(struct ledge_graph *graph, int32_t index)
{
    struct ledge_node *node = &graph->nodes[index];
    bool own = false;
    for (int32_t i = 0; is_linear(node) && i < node->n_in; i++) {
        own = own || (i > 0 && node->in[i] >= 0 && is_input(graph, node->in[i]));
    }
    if (!own) {
        return true;
    }
    bool good = true;
    if (is_op(node, "Gemm")) {
        int64_t a = ledge_node_int(node, "transA", 0);
        int64_t b = ledge_node_int(node, "transB", 0);
        good = ledge_graph_set_int(graph, index, "trans_a", a) &&
               ledge_graph_set_int(graph, index, "trans_b", b);
        node = &graph->nodes[index];
        node->op = "MatMul";
    }
    node->domain = TRAIN_DOMAIN;
    return good;
}

static bool ints_are(const struct ledge_node *node, const char *name, int64_t value, bool absent)
{
    size_t n;
    const int64_t *v = ledge_node_ints(node, name, &n);
    for (size_t i = 0; i < n; i++) {
        if (v[i] != value) {
            return false;
        }
    }
    return n > 0 || absent;
}

/* Relu, and maximum pooling of 2 x 2, by the vector loops. */
static void lower_simple(struct ledge_graph *graph, int32_t index)
{
    struct ledge_node *node = &graph->nodes[index];
    bool two = is_op(node, "MaxPool") && node->n_out == 1 &&
               ints_are(node, "kernel_shape", 2, false) && ints_are(node, "strides", 2, false) &&
               ints_are(node, "pads", 0, true) && ints_are(node, "dilations", 1, true) &&
               ledge_node_int(node, "ceil_mode", 0) == 0 &&
               ledge_node_int(node, "layout", LEDGE_NCHW) == LEDGE_NCHW &&
               strcmp(ledge_node_string(node, "auto_pad", "NOTSET"), "NOTSET") == 0;
    if (two || is_op(node, "Relu")) {
        node->domain = TRAIN_DOMAIN;
    }
}

/* The value before a closing Softmax, else the output itself. */
static int32_t logits_of(const struct ledge_graph *graph)
{
    int32_t value = graph->outputs[0];
    int32_t producer = graph->values[value].producer;
    if (producer >= 0 && is_op(&graph->nodes[producer], "Softmax")) {
        return graph->nodes[producer].in[0];
    }
    return value;
}

static void drop_node(struct ledge_graph *graph, int32_t index)
{
    int32_t in = graph->nodes[index].in[0];
    int32_t out = graph->nodes[index].out[0];
    graph->nodes[index].dead = true;
    ledge_graph_replace(graph, out, in);
}

int32_t train_lower_inference(struct ledge_graph *graph)
{
    for (int32_t i = 0; i < graph->n_nodes; i++) {
        if (is_op(&graph->nodes[i], "Dropout")) {
            drop_node(graph, i);
        } else if (!graph->nodes[i].dead) {
            (void)lower_linear(graph, i);
            lower_simple(graph, i);
        }
    }
    return logits_of(graph);
}

static float ratio_of(const struct ledge_graph *graph, const struct ledge_node *node)
{
    float ratio = ledge_node_float(node, "ratio", 0.5f);
    if (is_constant(graph, node, 1)) {
        memcpy(&ratio, graph->values[node->in[1]].data, sizeof ratio);
    }
    return ratio;
}

static bool lower_dropout(struct ledge_graph *graph, int32_t index, uint64_t seed,
                          const struct train_lowered *lowered)
{
    struct ledge_node *node = &graph->nodes[index];
    float ratio = ratio_of(graph, node);
    int32_t in[2] = {node->in[0], lowered->step};
    int32_t out = node->out[0];
    if (ratio <= 0) {
        drop_node(graph, index);
        return true;
    }
    node->dead = true;
    int32_t made = ledge_graph_add_node(graph, TRAIN_DOMAIN, "Dropout", 1, NULL, in, 2, &out, 1);
    return made >= 0 && ledge_graph_set_float(graph, made, "ratio", ratio) &&
           ledge_graph_set_int(graph, made, "seed", (int64_t)(seed + (uint64_t)index));
}

/* BatchNormalization whose scale is trained: statistics of the batch. */
static bool lower_norm(struct ledge_graph *graph, int32_t index, struct train_lowered *lowered)
{
    struct ledge_node *node = &graph->nodes[index];
    if (!is_input(graph, node->in[1])) {
        return true;
    }
    float epsilon = ledge_node_float(node, "epsilon", 1e-5f);
    const int32_t *from = node->in;
    int32_t out[3] = {node->out[0], ledge_graph_add_value(graph, NULL, LEDGE_F32, -1, NULL),
                      ledge_graph_add_value(graph, NULL, LEDGE_F32, -1, NULL)};
    if (out[1] < 0 || out[2] < 0) {
        return false;
    }
    for (int32_t i = 0; i < 2; i++) {
        lowered->statistics[from[3 + i]] = out[1 + i];
        lowered->source[from[3 + i]] = from[0];
        lowered->is_variance[from[3 + i]] = i == 1;
    }
    graph->nodes[index].dead = true;
    int32_t made = ledge_graph_add_node(graph, TRAIN_DOMAIN, "BatchNorm", 1, NULL, from, 3, out, 3);
    return made >= 0 && ledge_graph_set_float(graph, made, "epsilon", epsilon);
}

enum ledge_status train_lower_training(struct ledge_graph *graph, int32_t n_values, uint64_t seed,
                                       struct train_lowered *lowered, struct ledge_error *err)
{
    size_t n = (size_t)n_values;
    lowered->statistics = malloc(n * sizeof *lowered->statistics);
    lowered->source = malloc(n * sizeof *lowered->source);
    lowered->is_variance = calloc(n, sizeof *lowered->is_variance);
    lowered->step = ledge_graph_add_value(graph, "train.step", LEDGE_I64, 0, NULL);
    bool good = lowered->statistics != NULL && lowered->source != NULL &&
                lowered->is_variance != NULL && lowered->step >= 0 &&
                ledge_graph_add_input(graph, lowered->step) >= 0;
    if (good) {
        memset(lowered->statistics, -1, n * sizeof *lowered->statistics);
        memset(lowered->source, -1, n * sizeof *lowered->source);
    }
    int32_t n_nodes = graph->n_nodes;
    for (int32_t i = 0; good && i < n_nodes; i++) {
        if (is_op(&graph->nodes[i], "Dropout")) {
            good = lower_dropout(graph, i, seed, lowered);
        } else if (is_op(&graph->nodes[i], "BatchNormalization")) {
            good = lower_norm(graph, i, lowered);
        } else if (!graph->nodes[i].dead) {
            good = lower_linear(graph, i);
            lower_simple(graph, i);
        }
    }
    lowered->logits = logits_of(graph);
    return good ? LEDGE_OK : ledge_fail(err, LEDGE_ERR_NOMEM, "network: out of memory");
}

void train_lowered_done(struct train_lowered *lowered)
{
    free(lowered->statistics);
    free(lowered->source);
    free(lowered->is_variance);
}
