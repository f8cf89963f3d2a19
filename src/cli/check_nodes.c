/* SPDX-License-Identifier: Apache-2.0 */
/* check_nodes.c -- the nodes of a file beside the steps of its plan. Passes keep the name of the
 * node that survives, so a node without a step of its name is constant, part of a neighbour, or
 * gone. */
#include <stdio.h>
#include <string.h>

#include "cli/check.h"
#include "engine/ops/op.h"

enum { FAR = 16 }; /* neighbours looked at: the longest chain that a pass fuses is shorter */

static bool find_step(const struct ledge_session *session, const char *name,
                      struct ledge_step_info *step)
{
    for (int32_t i = 0; name[0] != '\0' && i < ledge_session_n_steps(session); i++) {
        if (ledge_session_step(session, i, step) == LEDGE_OK && strcmp(step->node, name) == 0) {
            return true;
        }
    }
    return false;
}

static const struct ledge_node *producer_of(const struct ledge_graph *graph, int32_t value)
{
    int32_t producer = value >= 0 ? graph->values[value].producer : -1;
    return producer >= 0 ? &graph->nodes[producer] : NULL;
}

static const struct ledge_node *reader_of(const struct ledge_graph *graph, int32_t value)
{
    for (int32_t i = 0; i < graph->n_nodes; i++) {
        const struct ledge_node *node = &graph->nodes[i];
        for (int32_t k = 0; k < node->n_in; k++) {
            if (node->in[k] == value && value >= 0) {
                return node;
            }
        }
    }
    return NULL;
}

/* The nearest node up or down the first inputs or outputs that has a step. */
static bool neighbour(const struct ledge_graph *graph, const struct ledge_session *session,
                      const struct ledge_node *node, bool up, struct ledge_step_info *step)
{
    for (int i = 0; i < FAR && node != NULL; i++) {
        if (up) {
            node = node->n_in > 0 ? producer_of(graph, node->in[0]) : NULL;
        } else {
            node = node->n_out > 0 ? reader_of(graph, node->out[0]) : NULL;
        }
        if (node != NULL && find_step(session, node->name, step)) {
            return true;
        }
    }
    return false;
}

/* Nodes are sorted: the producers of a node's inputs are judged before it. */
static bool all_constant(const struct ledge_graph *graph, const struct ledge_node *node,
                         const struct check_node *judged)
{
    for (int32_t k = 0; k < node->n_in; k++) {
        int32_t value = node->in[k];
        int32_t producer = value >= 0 ? graph->values[value].producer : -1;
        bool constant = value < 0 || graph->values[value].data != NULL ||
                        (producer >= 0 && judged[producer].fate == CHECK_CONSTANT);
        if (!constant) {
            return false;
        }
    }
    return true;
}

/* Kernels that end in _c are plain C; on such a rung that is what was asked for. A quantised
 * operator without an integer form runs on floats, and its DequantizeLinear runs, too. */
static const char *slow_reason(const struct ledge_graph *graph, const struct check_node *one,
                               const struct check_node *judged)
{
    const struct ledge_step_info *step = &one->step;
    int32_t value = one->node->n_in > 0 ? one->node->in[0] : -1;
    int32_t producer = value >= 0 ? graph->values[value].producer : -1;
    if (producer >= 0 && judged[producer].fate == CHECK_RUNS &&
        strcmp(graph->nodes[producer].op, "DequantizeLinear") == 0) {
        return step->in_float != NULL ? step->in_float : "on floats";
    }
    size_t length = step->kernel != NULL ? strlen(step->kernel) : 0;
    bool plain = length > 2 && strcmp(step->kernel + length - 2, "_c") == 0;
    return plain && strcmp(ledge_cpu_rung(), "c") != 0 && step->macs > 0
               ? "plain C: no vector kernel takes these types and shapes"
               : NULL;
}

static void describe(const struct ledge_graph *graph, struct check_node *one,
                     const struct check_node *judged, bool blocked)
{
    const struct ledge_step_info *step = &one->step;
    if (blocked && step->out_rank == 5) {
        (void)snprintf(one->layout, sizeof one->layout, "blocks of %d",
                       (int)(step->out_dims[4] & 127));
    } else {
        (void)snprintf(one->layout, sizeof one->layout, "rows");
    }
    one->bytes = step->in_bytes + step->weight_bytes + step->out_bytes;
    one->slow = slow_reason(graph, one, judged);
    one->fate =
        step->kernel == NULL || strcmp(step->kernel, "alias") == 0 ? CHECK_ALIAS : CHECK_RUNS;
}

/* Does the plan hold tensors in channel blocks? */
static bool has_blocks(const struct ledge_session *session)
{
    struct ledge_step_info step;
    for (int32_t i = 0; session != NULL && i < ledge_session_n_steps(session); i++) {
        if (ledge_session_step(session, i, &step) == LEDGE_OK &&
            strstr(step.op, "Blocked") != NULL) {
            return true;
        }
    }
    return false;
}

void check_nodes(const struct ledge_graph *graph, const struct ledge_session *session,
                 struct check_node *nodes)
{
    bool blocked = has_blocks(session);
    for (int32_t i = 0; i < graph->n_nodes; i++) {
        const struct ledge_node *node = &graph->nodes[i];
        struct check_node *one = &nodes[i];
        bool dequantise = strcmp(node->op, "DequantizeLinear") == 0;
        *one = (struct check_node){.node = node, .fate = CHECK_REMOVED};
        if (ledge_op_find(graph, node) == NULL) {
            one->fate = CHECK_MISSING;
        } else if (session == NULL) {
            one->fate = CHECK_UNKNOWN;
        } else if (find_step(session, node->name, &one->step)) {
            describe(graph, one, nodes, blocked);
        } else if (all_constant(graph, node, nodes)) {
            one->fate = CHECK_CONSTANT;
        } else if (neighbour(graph, session, node, !dequantise, &one->step) ||
                   neighbour(graph, session, node, dequantise, &one->step)) {
            one->fate = CHECK_FUSED;
        }
    }
}

const char *check_fate_text(enum check_fate fate)
{
    static const char *const texts[] = {
        [CHECK_RUNS] = "runs",           [CHECK_ALIAS] = "same bytes", [CHECK_FUSED] = "fused",
        [CHECK_CONSTANT] = "constant",   [CHECK_REMOVED] = "removed",  [CHECK_MISSING] = "MISSING",
        [CHECK_UNKNOWN] = "not reached",
    };
    return texts[fate];
}
