/* SPDX-License-Identifier: Apache-2.0 */
/* pass_cleanup.c -- take out nodes that only hand their input on (Identity; Dropout at inference),
 * then nodes that nobody reads. One whose output is a graph output stays when its input is no
 * node's (the planner makes it an alias). */
#include <string.h>

#include "base/banned.h"
#include "engine/plan/passes.h"

static bool is_output(const struct ledge_graph *graph, int32_t value)
{
    for (int32_t i = 0; i < graph->n_outputs; i++) {
        if (graph->outputs[i] == value) {
            return true;
        }
    }
    return false;
}

/* Dropout is Identity unless a constant or unknown third input may switch training on, or its mask
 * is wanted. */
static bool hands_on(const struct ledge_graph *graph, const struct ledge_node *node)
{
    if (node->n_in < 1 || node->n_out < 1 || node->in[0] < 0 || node->out[0] < 0 ||
        node->domain[0] != '\0') {
        return false;
    }
    if (strcmp(node->op, "Identity") == 0) {
        return true;
    }
    if (strcmp(node->op, "Dropout") != 0 || (node->n_out > 1 && node->out[1] >= 0)) {
        return false;
    }
    if (node->n_in < 3 || node->in[2] < 0) {
        return ledge_node_int(node, "is_test", 1) != 0 || node->opset >= 7;
    }
    const struct ledge_value *training = &graph->values[node->in[2]];
    return training->data != NULL && training->bytes == 1 && *(const uint8_t *)training->data == 0;
}

enum ledge_status ledge_pass_cleanup(struct ledge_graph *graph, struct ledge_error *err)
{
    (void)err;
    for (int32_t i = 0; i < graph->n_nodes; i++) {
        struct ledge_node *node = &graph->nodes[i];
        if (node->dead || !hands_on(graph, node)) {
            continue;
        }
        if (is_output(graph, node->out[0]) &&
            (graph->values[node->in[0]].producer < 0 || is_output(graph, node->in[0]))) {
            continue;
        }
        ledge_graph_replace(graph, node->out[0], node->in[0]);
        node->dead = true;
    }
    ledge_graph_sweep(graph);
    return LEDGE_OK;
}
