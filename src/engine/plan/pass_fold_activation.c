/* SPDX-License-Identifier: Apache-2.0 */
/* pass_fold_activation.c -- fold Relu and Clip into the clamp of their producer.
 *
 *   Conv -> Relu            becomes  Conv with clamp_low 0
 *   Add -> Clip(0, 6)       becomes  Add with clamp_low 0, clamp_high 6
 *
 * The producer takes over the activation's output value, so that names of outputs stay. Only float
 * tensors: an integer Relu is left alone.
 */
#include <math.h>
#include <string.h>

#include "base/banned.h"
#include "base/status.h"
#include "engine/plan/internal.h"
#include "engine/plan/passes.h"

enum { DEPTH = 64 };

/* Operators whose kernels clamp what they write. */
static const char *const producers[] = {"Conv",    "ConvTranspose", "Gemm",
                                        "MatMul",  "Add",           "Mul",
                                        "MaxPool", "AveragePool",   "GlobalAveragePool"};

/* Operators that only give floats, and those that give what their first input is. */
static const char *const float_ops[] = {"Conv",        "ConvTranspose",     "BatchNormalization",
                                        "AveragePool", "GlobalAveragePool", "DequantizeLinear"};
static const char *const same_ops[] = {"Gemm",    "MatMul",    "Add",     "Mul",
                                       "Relu",    "Clip",      "MaxPool", "Reshape",
                                       "Flatten", "Transpose", "Identity"};

#define IS_ONE_OF(op, list) is_one_of(op, list, sizeof(list) / sizeof((list)[0]))

static bool is_one_of(const char *op, const char *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(op, list[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* Types of inner values are not known yet: follow the first input back to something that tells. */
static bool is_float(const struct ledge_graph *graph, int32_t value)
{
    for (int depth = 0; depth < DEPTH && value >= 0; depth++) {
        const struct ledge_value *v = &graph->values[value];
        if (v->dtype != LEDGE_DTYPE_NONE || v->producer < 0) {
            return v->dtype == LEDGE_F32;
        }
        const struct ledge_node *node = &graph->nodes[v->producer];
        if (node->domain[0] != '\0' || IS_ONE_OF(node->op, float_ops)) {
            return node->domain[0] == '\0';
        }
        value = IS_ONE_OF(node->op, same_ops) && node->n_in > 0 ? node->in[0] : -1;
    }
    return false;
}

/* Bound number i of a Clip: an attribute before opset 11, then an input. False when it is not a
 * constant. */
static bool clip_bound(const struct ledge_graph *graph, const struct ledge_node *node, int32_t i,
                       float *bound)
{
    if (node->opset < 11) {
        *bound = ledge_node_float(node, i == 1 ? "min" : "max", *bound);
        return true;
    }
    if (i >= node->n_in || node->in[i] < 0) {
        return true;
    }
    const struct ledge_value *value = &graph->values[node->in[i]];
    if (value->data == NULL || value->dtype != LEDGE_F32 || value->bytes != sizeof *bound) {
        return false;
    }
    memcpy(bound, value->data, sizeof *bound);
    return true;
}

/* The clamp that a node is, false when it is none (or one that cannot be told now). */
static bool activation_of(const struct ledge_graph *graph, const struct ledge_node *node,
                          struct ledge_clamp *clamp)
{
    *clamp = (struct ledge_clamp){-INFINITY, INFINITY};
    if (node->domain[0] != '\0' || node->n_in < 1 || node->in[0] < 0 || node->out[0] < 0) {
        return false;
    }
    if (strcmp(node->op, "Relu") == 0) {
        clamp->low = 0;
        return true;
    }
    return strcmp(node->op, "Clip") == 0 && clip_bound(graph, node, 1, &clamp->low) &&
           clip_bound(graph, node, 2, &clamp->high) && clamp->low <= clamp->high;
}

static bool can_clamp(const struct ledge_graph *graph, const struct ledge_node *node)
{
    bool many = node->n_out > 1 && node->out[1] >= 0; /* MaxPool with indices */
    return node->domain[0] == '\0' && IS_ONE_OF(node->op, producers) && !many &&
           is_float(graph, node->out[0]);
}

static enum ledge_status fold(struct ledge_graph *graph, int32_t number, struct ledge_error *err)
{
    struct ledge_node *node = &graph->nodes[number];
    struct ledge_clamp clamp;
    if (node->dead || !activation_of(graph, node, &clamp)) {
        return LEDGE_OK;
    }
    int32_t from = ledge_pass_only_producer(graph, node->in[0]);
    if (from < 0 || !can_clamp(graph, &graph->nodes[from])) {
        return LEDGE_OK;
    }
    float low = fmaxf(clamp.low, ledge_node_float(&graph->nodes[from], "clamp_low", -INFINITY));
    float high = fminf(clamp.high, ledge_node_float(&graph->nodes[from], "clamp_high", INFINITY));
    if (!(low <= high)) {
        return LEDGE_OK;
    }
    if ((low > -INFINITY && !ledge_graph_set_float(graph, from, "clamp_low", low)) ||
        (high < INFINITY && !ledge_graph_set_float(graph, from, "clamp_high", high))) {
        return ledge_fail(err, LEDGE_ERR_NOMEM, "no memory to fold %s", node->name);
    }
    ledge_pass_take_output(graph, from, number);
    return LEDGE_OK;
}

enum ledge_status ledge_pass_fold_activation(struct ledge_graph *graph, struct ledge_error *err)
{
    for (int32_t i = 0; i < graph->n_nodes; i++) {
        LEDGE_TRY(fold(graph, i, err));
    }
    return LEDGE_OK;
}
