/* SPDX-License-Identifier: Apache-2.0 */
/* pass_help.c -- what several passes do to a graph. */
#include "engine/plan/internal.h"

int32_t ledge_pass_only_producer(const struct ledge_graph *graph, int32_t value)
{
    int32_t reader;
    for (int32_t i = 0; i < graph->n_outputs; i++) {
        if (graph->outputs[i] == value) {
            return -1;
        }
    }
    return ledge_graph_readers(graph, value, &reader, 1) == 1 ? graph->values[value].producer : -1;
}

void ledge_pass_take_output(struct ledge_graph *graph, int32_t to, int32_t from)
{
    int32_t value = graph->nodes[from].out[0];
    graph->values[graph->nodes[to].out[0]].producer = -1;
    graph->nodes[to].out[0] = value;
    graph->values[value].producer = to;
    graph->nodes[from].dead = true;
}
