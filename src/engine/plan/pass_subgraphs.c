/* SPDX-License-Identifier: Apache-2.0 */
/* pass_subgraphs.c -- constants that a sub-graph captures become constants of its own, so that the
 * passes find weights there; then the passes run on it. Recursion is as deep as sub-graphs are
 * (LEDGE_MAX_DEPTH). */
#include "base/status.h"
#include "engine/plan/passes.h"

static void take(struct ledge_value *inner, const struct ledge_value *outer,
                 struct ledge_graph *sub)
{
    inner->dtype = outer->dtype;
    inner->rank = outer->rank;
    for (int32_t i = 0; i < outer->rank; i++) {
        inner->dims[i] = outer->dims[i];
    }
    inner->data = outer->data;
    inner->bytes = outer->bytes;
    if (outer->quant != NULL) {
        inner->quant = ledge_graph_quant(sub, outer->quant->scales, outer->quant->zero_points,
                                         outer->quant->n, outer->quant->axis);
    }
}

static enum ledge_status push_constants(struct ledge_graph *graph, struct ledge_node *node,
                                        struct ledge_error *err)
{
    int32_t read = ledge_node_own_inputs(node), write = read;
    for (int32_t i = 0; i < node->n_attrs; i++) {
        struct ledge_graph *sub = node->attrs[i].graph;
        if (node->attrs[i].type != LEDGE_ATTR_GRAPH) {
            continue;
        }
        int32_t base = sub->n_inputs - sub->n_captures, kept = 0;
        if (base < 0 || sub->n_captures > node->n_in - read) {
            return ledge_fail(err, LEDGE_ERR_FORMAT, "node %s (%s): %s does not fit its inputs",
                              node->name, node->op, node->attrs[i].name);
        }
        for (int32_t c = 0; c < sub->n_captures; c++) {
            int32_t value = node->in[read++];
            if (value >= 0 && graph->values[value].data != NULL) {
                take(&sub->values[sub->inputs[base + c]], &graph->values[value], sub);
                continue;
            }
            node->in[write++] = value;
            sub->inputs[base + kept++] = sub->inputs[base + c];
        }
        sub->n_inputs = base + kept;
        sub->n_captures = kept;
    }
    node->n_in = write;
    return LEDGE_OK;
}

enum ledge_status ledge_pass_subgraphs(struct ledge_graph *graph, struct ledge_error *err)
{
    for (int32_t i = 0; i < graph->n_nodes; i++) {
        struct ledge_node *node = &graph->nodes[i];
        bool has = false;
        for (int32_t k = 0; k < node->n_attrs && !node->dead; k++) {
            has = has || node->attrs[k].type == LEDGE_ATTR_GRAPH;
        }
        if (!has) {
            continue;
        }
        LEDGE_TRY(push_constants(graph, node, err));
        for (int32_t k = 0; k < node->n_attrs; k++) {
            if (node->attrs[k].type == LEDGE_ATTR_GRAPH) {
                LEDGE_TRY(ledge_passes_run(node->attrs[k].graph, err));
            }
        }
    }
    return LEDGE_OK;
}
