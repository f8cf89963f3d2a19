/* SPDX-License-Identifier: Apache-2.0 */
/* pass_fold_activation.c -- Relu and Clip with constant bounds become attributes clamp_low and
 * clamp_high of the node that computes their input. */
#include <math.h>
#include <string.h>

#include "base/status.h"
#include "engine/plan/pass_match.h"
#include "engine/plan/passes.h"

#include "base/banned.h"

/* Operators that clamp; the second list also exists on whole numbers, where a clamp is not known.
 */
static const char *const real_only[] = {"Conv",   "ConvTranspose", "Gemm",
                                        "MatMul", "AveragePool",   "GlobalAveragePool"};
static const char *const any_number[] = {"Add", "Mul"};

enum { LOOK_BACK = 64 };

static bool one_of(const struct ledge_node *node, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (ledge_is_op(node, names[i])) {
            return true;
        }
    }
    return false;
}

/* Is value f32? Told by constants, inputs and operators that know no other type; false when it
 * cannot be told. */
static bool is_f32(const struct ledge_match *match, int32_t value)
{
    for (int i = 0; i < LOOK_BACK && value >= 0; i++) {
        const struct ledge_value *v = &match->graph->values[value];
        const struct ledge_node *node = ledge_match_producer(match, value);
        if (node == NULL) {
            return v->dtype == LEDGE_F32;
        }
        if (one_of(node, real_only, sizeof real_only / sizeof real_only[0]) ||
            ledge_is_op(node, "BatchNormalization")) {
            return true;
        }
        if (!one_of(node, any_number, 2) && !ledge_is_op(node, "Relu") &&
            !ledge_is_op(node, "MaxPool") && !ledge_is_op(node, "Clip") &&
            !ledge_is_op(node, "Sigmoid") && !ledge_is_op(node, "Reshape")) {
            return false;
        }
        if (node->n_in > 1 && ledge_match_constant(match, node->in[1], LEDGE_F32, -1) != NULL &&
            one_of(node, any_number, 2)) {
            return true;
        }
        value = ledge_node_in(node, 0);
    }
    return false;
}

static bool can_clamp(const struct ledge_match *match, const struct ledge_node *node)
{
    if (node == NULL || node->n_out != 1) {
        return false;
    }
    return one_of(node, real_only, sizeof real_only / sizeof real_only[0]) ||
           (one_of(node, any_number, 2) && is_f32(match, node->out[0]));
}

/* A bound of Clip: attribute up to opset 10, then an input. False when it is not constant. */
static bool read_bound(const struct ledge_match *match, const struct ledge_node *clip,
                       const char *attr, int32_t input, float *bound)
{
    int32_t value = ledge_node_in(clip, input);
    if (value >= 0) {
        const float *data = ledge_match_constant(match, value, LEDGE_F32, 1);
        *bound = data != NULL ? *data : *bound;
        return data != NULL;
    }
    *bound = ledge_node_float(clip, attr, *bound);
    return true;
}

static bool read_activation(const struct ledge_match *match, const struct ledge_node *node,
                            float *low, float *high)
{
    *low = -INFINITY;
    *high = INFINITY;
    if (ledge_is_op(node, "Relu")) {
        *low = 0.0f;
        return true;
    }
    return ledge_is_op(node, "Clip") && read_bound(match, node, "min", 1, low) &&
           read_bound(match, node, "max", 2, high) && *low <= *high;
}

static float into(float value, float low, float high)
{
    return value < low ? low : value > high ? high : value;
}

static enum ledge_status fold(struct ledge_match *match, struct ledge_node *node,
                              struct ledge_node *activation, float low, float high)
{
    struct ledge_graph *graph = match->graph;
    int32_t index = (int32_t)(node - graph->nodes);
    float old_low = ledge_node_float(node, "clamp_low", -INFINITY);
    float old_high = ledge_node_float(node, "clamp_high", INFINITY);
    if (!ledge_graph_set_float(graph, index, "clamp_low", into(old_low, low, high)) ||
        !ledge_graph_set_float(graph, index, "clamp_high", into(old_high, low, high))) {
        return ledge_fail(match->err, LEDGE_ERR_NOMEM, "no memory for a pass");
    }
    ledge_match_absorb(match, node, activation);
    return LEDGE_OK;
}

enum ledge_status ledge_pass_fold_activation(struct ledge_graph *graph, struct ledge_error *err)
{
    struct ledge_match match;
    enum ledge_status status = ledge_match_begin(&match, graph, err);
    for (int32_t i = 0; status == LEDGE_OK && i < graph->n_nodes; i++) {
        struct ledge_node *activation = &graph->nodes[i];
        float low, high;
        if (activation->dead || activation->n_in < 1 || activation->n_out != 1 ||
            activation->out[0] < 0 || !read_activation(&match, activation, &low, &high)) {
            continue;
        }
        struct ledge_node *node = ledge_match_producer(&match, activation->in[0]);
        if (ledge_match_reader(&match, activation->in[0]) == activation &&
            can_clamp(&match, node)) {
            status = fold(&match, node, activation, low, high);
        }
    }
    ledge_match_end(&match);
    return status;
}
