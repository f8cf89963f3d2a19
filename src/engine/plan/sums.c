/* SPDX-License-Identifier: Apache-2.0 */
/* sums.c -- residual sums become part of quantised convolutions: a QLinearAdd that alone reads what
 * a QLinearConv makes, of values of one shape and type, gives its other operand to the convolution
 * (ops/conv_i8.h), whose results then never go to memory and back. Both roundings stay: the same
 * bytes.
 *
 * Runs behind specialise.c: whether operands are broadcast is known only with their shapes. */
#include <string.h>

#include "base/status.h"
#include "engine/ops/conv_i8.h"
#include "engine/plan/internal.h"

#include "base/banned.h"

enum { ADD_INPUTS = 8, SIDE = 3 /* inputs of QLinearAdd: value, scale, zero point, twice */ };

static bool is_sum(const struct ledge_node *node)
{
    return !node->dead && strcmp(node->op, "QLinearAdd") == 0 &&
           strcmp(node->domain, "com.microsoft") == 0 && node->n_in >= ADD_INPUTS - 1 &&
           node->n_out == 1 && node->in[0] >= 0 && node->in[SIDE] >= 0 && node->out[0] >= 0;
}

static bool is_conv(const struct ledge_node *node)
{
    return !node->dead && strcmp(node->op, "QLinearConv") == 0 && node->domain[0] == '\0' &&
           node->n_out == 1;
}

static bool alike(const struct ledge_value *a, const struct ledge_value *b)
{
    bool same = a->dtype == b->dtype && a->rank == b->rank;
    for (int32_t i = 0; same && i < a->rank; i++) {
        same = a->dims[i] == b->dims[i];
    }
    return same;
}

/* Are the scales and zero points of a QLinearAdd constant? */
static bool has_constants(const struct ledge_graph *graph, const struct ledge_node *add)
{
    for (int32_t i = 0; i < add->n_in; i++) {
        bool operand = i == 0 || i == SIDE;
        if (!operand && add->in[i] >= 0 && graph->values[add->in[i]].data == NULL) {
            return false;
        }
    }
    return true;
}

/* The convolution that makes an operand of the sum for it alone, -1: there is none. Of two the
 * later one: the other's output is there by then. *own: the operand that it makes, 0 or SIDE. */
static int32_t host_of(const struct ledge_graph *graph, const struct ledge_node *add, int32_t *own)
{
    const struct ledge_value *out = &graph->values[add->out[0]];
    int32_t host = -1;
    for (int32_t i = 0; i <= SIDE; i += SIDE) {
        const struct ledge_value *value = &graph->values[add->in[i]];
        int32_t maker = value->producer;
        if (!alike(value, out)) {
            return -1;
        }
        if (maker > host && value->reads == 1 && is_conv(&graph->nodes[maker]) &&
            ledge_qlinear_conv_takes_sum(graph, &graph->nodes[maker])) {
            host = maker;
            *own = i;
        }
    }
    return host;
}

static int32_t input(const struct ledge_node *node, int32_t i)
{
    return i < node->n_in ? node->in[i] : -1;
}

static bool fuse(struct ledge_graph *graph, int32_t at, int32_t host, int32_t own)
{
    static const char *const bounds[2][2] = {{"clamp_low", "sum_clamp_low"},
                                             {"clamp_high", "sum_clamp_high"}};
    const int32_t other = SIDE - own;
    struct ledge_node *conv = &graph->nodes[host], *add = &graph->nodes[at];
    int32_t *in = LEDGE_NEW_ARRAY(&graph->arena, int32_t, LEDGE_QCONV_INPUTS);
    if (in == NULL) {
        return false;
    }
    for (int32_t i = 0; i < LEDGE_QCONV_ADDEND; i++) {
        in[i] = input(conv, i);
    }
    in[LEDGE_QCONV_ADDEND] = add->in[other];
    for (int32_t i = 0; i < 2; i++) {
        in[LEDGE_QCONV_ADDEND_SCALE + i] = add->in[other + 1 + i];
        in[LEDGE_QCONV_OWN_SCALE + i] = add->in[own + 1 + i];
        in[LEDGE_QCONV_SUM_SCALE + i] = input(add, 2 * SIDE + i);
        if (ledge_node_attr(add, bounds[i][0]) != NULL &&
            !ledge_graph_set_float(graph, host, bounds[i][1],
                                   ledge_node_float(add, bounds[i][0], 0))) {
            return false;
        }
    }
    graph->values[conv->out[0]].producer = -1;
    conv->in = in;
    conv->n_in = LEDGE_QCONV_INPUTS;
    conv->out[0] = add->out[0];
    graph->values[conv->out[0]].producer = host;
    add->dead = true;
    return true;
}

bool ledge_plan_join_sum(struct ledge_plan *plan, const struct ledge_plan_options *options,
                         int32_t at, bool *joined)
{
    (void)options;
    struct ledge_graph *graph = &plan->graph;
    const struct ledge_node *node = &graph->nodes[at];
    int32_t own = 0;
    int32_t host = is_sum(node) && has_constants(graph, node) ? host_of(graph, node, &own) : -1;
    *joined = host >= 0;
    return host < 0 || fuse(graph, at, host, own);
}
