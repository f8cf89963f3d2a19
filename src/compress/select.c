/* SPDX-License-Identifier: Apache-2.0 */
/* select.c -- which nodes become integer, which values carry a scale, which share one. */
#include <string.h>

#include "base/banned.h"
#include "base/status.h"
#include "compress/ptq_internal.h"

static const struct {
    const char *op;
    enum compress_role role;
} rules[] = {
    {"Conv", COMPRESS_WEIGHTED},
    {"ConvTranspose", COMPRESS_WEIGHTED},
    {"Gemm", COMPRESS_WEIGHTED},
    {"MatMul", COMPRESS_WEIGHTED},
    {"Add", COMPRESS_OWN},
    {"Sub", COMPRESS_OWN},
    {"Mul", COMPRESS_OWN},
    {"AveragePool", COMPRESS_OWN},
    {"GlobalAveragePool", COMPRESS_OWN},
    {"MaxPool", COMPRESS_PASS},
    {"Reshape", COMPRESS_PASS},
    {"Flatten", COMPRESS_PASS},
    {"Transpose", COMPRESS_PASS},
    {"Squeeze", COMPRESS_PASS},
    {"Unsqueeze", COMPRESS_PASS},
    {"Slice", COMPRESS_PASS},
    {"Split", COMPRESS_PASS},
    {"DepthToSpace", COMPRESS_PASS},
    {"Concat", COMPRESS_JOIN},
};

/* Between these and an output of the model nothing is quantised. */
static const char *const closing[] = {"Softmax", "LogSoftmax", "Sigmoid", "Identity"};

static enum compress_role role_of(const struct ledge_node *node)
{
    if (node->domain[0] != '\0' ||
        (strcmp(node->op, "MaxPool") == 0 && node->n_out > 1 && node->out[1] >= 0)) {
        return COMPRESS_FLOAT;
    }
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        if (strcmp(node->op, rules[i].op) == 0) {
            return rules[i].role;
        }
    }
    return COMPRESS_FLOAT;
}

static bool is_activation(const struct ledge_graph *graph, int32_t value)
{
    const struct ledge_value *v = value >= 0 ? &graph->values[value] : NULL;
    return v != NULL && v->data == NULL && (v->dtype == LEDGE_F32 || v->dtype == LEDGE_DTYPE_NONE);
}

static const struct ledge_value *weights_of(const struct ledge_graph *graph,
                                            const struct ledge_node *node)
{
    const struct ledge_value *w =
        node->n_in > 1 && node->in[1] >= 0 ? &graph->values[node->in[1]] : NULL;
    return w != NULL && w->data != NULL && w->dtype == LEDGE_F32 ? w : NULL;
}

int32_t compress_weight_axis(const struct ledge_graph *graph, const struct ledge_node *node)
{
    if (strcmp(node->op, "Conv") == 0) {
        return 0;
    }
    if (strcmp(node->op, "ConvTranspose") == 0) {
        return 1;
    }
    if (strcmp(node->op, "Gemm") == 0) {
        return ledge_node_int(node, "transB", 0) != 0 ? 0 : 1;
    }
    return weights_of(graph, node)->rank - 1;
}

/* Why a node of a role that could be quantised cannot, or NULL. */
static const char *obstacle(const struct ledge_graph *graph, const struct ledge_node *node,
                            enum compress_role role)
{
    if (role == COMPRESS_WEIGHTED) {
        const struct ledge_value *w = weights_of(graph, node);
        if (w == NULL) {
            return "weights are not constant";
        }
        if (w->rank < 2) {
            return "weights are a vector";
        }
        if (strcmp(node->op, "ConvTranspose") == 0 && ledge_node_int(node, "group", 1) != 1) {
            return "grouped ConvTranspose has no axis of output channels";
        }
        if (strcmp(node->op, "Gemm") == 0 &&
            (ledge_node_float(node, "alpha", 1) != 1.0f ||
             ledge_node_float(node, "beta", 1) != 1.0f || ledge_node_int(node, "transA", 0) != 0)) {
            return "alpha, beta or transA";
        }
        return is_activation(graph, node->in[0]) ? NULL : "input is constant";
    }
    int32_t n = role == COMPRESS_PASS ? 1 : node->n_in;
    for (int32_t i = 0; i < n; i++) {
        if (!is_activation(graph, node->in[i])) {
            return "an operand is constant";
        }
    }
    return NULL;
}

/* Walk back from the outputs through what only moves or normalises. */
static void mark_final(struct compress_ptq *ptq)
{
    const struct ledge_graph *graph = &ptq->folded;
    for (int32_t i = 0; i < graph->n_outputs; i++) {
        int32_t value = graph->outputs[i];
        while (value >= 0 && !ptq->tensors[value].final) {
            ptq->tensors[value].final = true;
            int32_t producer = graph->values[value].producer;
            if (producer < 0) {
                break;
            }
            const struct ledge_node *node = &graph->nodes[producer];
            bool through = role_of(node) == COMPRESS_PASS;
            for (size_t k = 0; k < sizeof closing / sizeof closing[0]; k++) {
                through = through || strcmp(node->op, closing[k]) == 0;
            }
            value = through && node->n_in > 0 ? node->in[0] : -1;
        }
    }
}

int32_t compress_group_of(const struct compress_ptq *ptq, int32_t value)
{
    while (ptq->tensors[value].group != value) {
        value = ptq->tensors[value].group;
    }
    return value;
}

static void share(struct compress_ptq *ptq, int32_t a, int32_t b)
{
    a = compress_group_of(ptq, a);
    b = compress_group_of(ptq, b);
    ptq->tensors[a > b ? a : b].group = a > b ? b : a;
}

static bool any_input_quantised(const struct compress_ptq *ptq, const struct ledge_node *node)
{
    for (int32_t i = 0; i < node->n_in; i++) {
        if (node->in[i] >= 0 && ptq->tensors[node->in[i]].quantised) {
            return true;
        }
    }
    return false;
}

static void mark_outputs(struct compress_ptq *ptq, const struct ledge_node *node, bool shared)
{
    for (int32_t i = 0; i < node->n_out; i++) {
        int32_t out = node->out[i];
        if (out >= 0 && !ptq->tensors[out].final) {
            ptq->tensors[out].quantised = true;
            if (shared) {
                share(ptq, node->in[0], out);
            }
        }
    }
}

static void mark_node(struct compress_ptq *ptq, int32_t number)
{
    const struct ledge_node *node = &ptq->folded.nodes[number];
    enum compress_role role = ptq->roles[number];
    bool moves = role == COMPRESS_PASS || role == COMPRESS_JOIN;
    bool all_final = true;
    for (int32_t i = 0; i < node->n_out; i++) {
        all_final = all_final && (node->out[i] < 0 || ptq->tensors[node->out[i]].final);
    }
    if (moves && (all_final || !any_input_quantised(ptq, node))) {
        ptq->roles[number] = COMPRESS_FLOAT; /* what it gives out has a range of its own */
        ptq->why[number] = all_final ? "at the end of the model" : "its input is float";
        return;
    }
    if (role == COMPRESS_FLOAT) {
        return;
    }
    int32_t n = role == COMPRESS_PASS || role == COMPRESS_WEIGHTED ? 1 : node->n_in;
    for (int32_t i = 0; i < n; i++) {
        ptq->tensors[node->in[i]].quantised = true;
        if (moves) {
            share(ptq, node->in[0], node->in[i]);
        }
    }
    mark_outputs(ptq, node, moves);
}

/* Is node number one of the names to keep, or the first or last with weights? */
static bool is_kept(const struct compress_ptq *ptq, int32_t number, int32_t first, int32_t last)
{
    const struct compress_ptq_options *options = &ptq->options;
    for (int32_t i = 0; i < options->n_keep; i++) {
        const char *name = options->keep[i];
        if (strcmp(name, ptq->folded.nodes[number].name) == 0 ||
            (number == first && strcmp(name, "first") == 0) ||
            (number == last && strcmp(name, "last") == 0)) {
            return true;
        }
    }
    return false;
}

static enum ledge_status check_names(const struct compress_ptq *ptq, struct ledge_error *err)
{
    const struct ledge_graph *graph = &ptq->folded;
    for (int32_t i = 0; i < ptq->options.n_keep; i++) {
        const char *name = ptq->options.keep[i];
        bool known = strcmp(name, "first") == 0 || strcmp(name, "last") == 0;
        for (int32_t k = 0; k < graph->n_nodes && !known; k++) {
            known = !graph->nodes[k].dead && strcmp(name, graph->nodes[k].name) == 0;
        }
        if (!known) {
            return ledge_fail(err, LEDGE_ERR_NOT_FOUND, "no node is named '%.100s'", name);
        }
    }
    return LEDGE_OK;
}

static void set_roles(struct compress_ptq *ptq)
{
    const struct ledge_graph *graph = &ptq->folded;
    int32_t first = -1;
    int32_t last = -1;
    for (int32_t i = 0; i < graph->n_nodes; i++) {
        const struct ledge_node *node = &graph->nodes[i];
        ptq->roles[i] = node->dead ? COMPRESS_FLOAT : role_of(node);
        ptq->why[i] = ptq->roles[i] == COMPRESS_FLOAT ? "operator stays float"
                                                      : obstacle(graph, node, ptq->roles[i]);
        if (ptq->roles[i] == COMPRESS_WEIGHTED && ptq->why[i] == NULL) {
            first = first < 0 ? i : first;
            last = i;
        }
    }
    for (int32_t i = 0; i < graph->n_nodes; i++) {
        if (ptq->why[i] == NULL && is_kept(ptq, i, first, last)) {
            ptq->why[i] = "asked for";
        }
        if (ptq->why[i] != NULL) {
            ptq->roles[i] = COMPRESS_FLOAT;
        }
    }
}

enum ledge_status compress_select(struct compress_ptq *ptq, struct ledge_error *err)
{
    const struct ledge_graph *graph = &ptq->folded;
    LEDGE_TRY(check_names(ptq, err));
    bool some = false;
    for (int32_t i = 0; i < graph->n_values; i++) {
        ptq->tensors[i] =
            (struct compress_tensor){.group = i, .probe = -1, .fake_value = -1, .fake_probe = -1};
    }
    set_roles(ptq);
    mark_final(ptq);
    for (int32_t i = 0; i < graph->n_nodes; i++) {
        some = some || ptq->roles[i] == COMPRESS_WEIGHTED;
        mark_node(ptq, i);
    }
    if (!some) {
        return ledge_fail(err, LEDGE_ERR_UNSUPPORTED,
                          "no convolution or matrix product with constant float weights");
    }
    return LEDGE_OK;
}
