/* SPDX-License-Identifier: Apache-2.0 */
/* tail.c -- see tail.h. */
#include "engine/run/tail.h"

#include "base/status.h"

enum { UNSEEN = -1 };

struct building {
    struct ledge_tail *tail;
    const struct ledge_graph *from;
    int32_t *map; /* value of from -> value of the tail's graph */
};

/* The value of the tail for value of the plan; -1 when there is no memory. made: a node of the tail
 * makes it. */
static int32_t value_for(const struct building *building, int32_t value, bool made)
{
    struct ledge_graph *graph = &building->tail->graph;
    const struct ledge_value *from = &building->from->values[value];
    if (building->map[value] != UNSEEN) {
        return building->map[value];
    }
    bool constant = from->data != NULL;
    int32_t to =
        ledge_graph_add_value(graph, from->name, constant || made ? from->dtype : LEDGE_DTYPE_NONE,
                              constant ? from->rank : -1, from->dims);
    if (to < 0) {
        return -1;
    }
    graph->values[to].quant = from->quant;
    graph->values[to].kind = from->kind;
    if (constant) {
        graph->values[to].data = from->data;
        graph->values[to].bytes = from->bytes;
    } else if (!made) {
        int32_t input = ledge_graph_add_input(graph, to);
        if (input < 0) {
            return -1;
        }
        building->tail->in[input] = value;
    }
    building->map[value] = to;
    return to;
}

static bool map_list(const struct building *building, const int32_t *list, int32_t n, bool made,
                     int32_t **mapped)
{
    *mapped = LEDGE_NEW_ARRAY(&building->tail->graph.arena, int32_t, (size_t)n);
    bool good = *mapped != NULL;
    for (int32_t i = 0; good && i < n; i++) {
        (*mapped)[i] = list[i] < 0 ? -1 : value_for(building, list[i], made);
        good = (*mapped)[i] >= 0 || list[i] < 0;
    }
    return good;
}

static bool add_node(const struct building *building, const struct ledge_node *node)
{
    struct ledge_graph *graph = &building->tail->graph;
    int32_t *in = NULL, *out = NULL;
    if (!map_list(building, node->in, node->n_in, false, &in) ||
        !map_list(building, node->out, node->n_out, true, &out)) {
        return false;
    }
    int32_t made = ledge_graph_add_node(graph, node->domain, node->op, node->opset, node->name, in,
                                        node->n_in, out, node->n_out);
    if (made >= 0) {
        graph->nodes[made].attrs = node->attrs; /* read only: plans copy them */
        graph->nodes[made].n_attrs = node->n_attrs;
    }
    return made >= 0;
}

static bool add_outputs(const struct building *building, int32_t n_outputs)
{
    struct ledge_graph *graph = &building->tail->graph;
    bool good = true;
    for (int32_t i = 0; good && i < n_outputs; i++) {
        int32_t value = building->from->outputs[i];
        int32_t mine = building->map[value];
        if (mine != UNSEEN && graph->values[mine].producer >= 0) {
            int32_t output = ledge_graph_add_output(graph, mine);
            good = output >= 0;
            if (good) {
                building->tail->out[output] = value;
            }
        }
    }
    return good;
}

enum ledge_status ledge_tail_build(struct ledge_tail *tail, const struct ledge_plan *plan,
                                   int32_t first, const struct ledge_allocator *allocator,
                                   struct ledge_error *err)
{
    const struct ledge_graph *from = &plan->graph;
    ledge_graph_init(&tail->graph, allocator);
    tail->graph.extra_ops = from->extra_ops;
    tail->graph.random_runs = from->random_runs;
    struct building building = {
        .tail = tail,
        .from = from,
        .map = LEDGE_NEW_ARRAY(&tail->graph.arena, int32_t, (size_t)from->n_values)};
    tail->in = LEDGE_NEW_ARRAY(&tail->graph.arena, int32_t, (size_t)from->n_values);
    tail->out = LEDGE_NEW_ARRAY(&tail->graph.arena, int32_t, (size_t)plan->n_outputs);
    bool good = building.map != NULL && tail->in != NULL && tail->out != NULL;
    for (int32_t i = 0; good && i < from->n_values; i++) {
        building.map[i] = UNSEEN;
    }
    for (int32_t i = first; good && i < plan->n_late; i++) {
        good = add_node(&building, &plan->late[i]);
    }
    good = good && add_outputs(&building, plan->n_outputs);
    return good ? LEDGE_OK : ledge_fail(err, LEDGE_ERR_NOMEM, "no memory for late nodes");
}

void ledge_tail_done(struct ledge_tail *tail)
{
    ledge_graph_done(&tail->graph);
}
