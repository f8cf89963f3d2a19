/* SPDX-License-Identifier: Apache-2.0 */
/* sort.c -- integrity and topological order (depth-first post-order; a graph already in order keeps
 * it), and the sweep of nodes that nobody reads. */
#include <string.h>

#include "base/banned.h"
#include "base/status.h"
#include "engine/graph/graph.h"

static bool in_range(const struct ledge_graph *graph, int32_t value)
{
    return value >= -1 && value < graph->n_values;
}

static bool is_input(const struct ledge_graph *graph, int32_t value)
{
    for (int32_t i = 0; i < graph->n_inputs; i++) {
        if (graph->inputs[i] == value) {
            return true;
        }
    }
    for (int32_t i = 0; i < graph->n_states; i++) {
        if (graph->states[i].in == value) {
            return true;
        }
    }
    return false;
}

/* Recompute producers; every value has at most one, inputs and constants none. */
static enum ledge_status set_producers(struct ledge_graph *graph, struct ledge_error *err)
{
    for (int32_t i = 0; i < graph->n_values; i++) {
        graph->values[i].producer = -1;
    }
    for (int32_t i = 0; i < graph->n_nodes; i++) {
        const struct ledge_node *node = &graph->nodes[i];
        for (int32_t k = 0; k < node->n_out && !node->dead; k++) {
            if (!in_range(graph, node->out[k])) {
                return ledge_fail(err, LEDGE_ERR_FORMAT, "node %s (%s): output %d is no value",
                                  node->name, node->op, (int)k);
            }
            if (node->out[k] < 0) {
                continue;
            }
            struct ledge_value *value = &graph->values[node->out[k]];
            if (value->producer >= 0 || value->data != NULL || is_input(graph, node->out[k])) {
                return ledge_fail(err, LEDGE_ERR_FORMAT, "node %s (%s): value %s has two producers",
                                  node->name, node->op, value->name);
            }
            value->producer = i;
        }
    }
    return LEDGE_OK;
}

static enum ledge_status check_states(const struct ledge_graph *graph, const bool *given,
                                      struct ledge_error *err)
{
    for (int32_t i = 0; i < graph->n_states; i++) {
        const struct ledge_state *state = &graph->states[i];
        bool right = state->out >= 0 && in_range(graph, state->out) && given[state->out] &&
                     in_range(graph, state->init) && graph->values[state->in].data == NULL &&
                     (state->init < 0 || graph->values[state->init].data != NULL);
        if (!right) {
            return ledge_fail(err, LEDGE_ERR_FORMAT, "state %s is never produced",
                              graph->values[state->in].name);
        }
    }
    return LEDGE_OK;
}

static enum ledge_status check_readers(const struct ledge_graph *graph, bool *given,
                                       struct ledge_error *err)
{
    for (int32_t i = 0; i < graph->n_values; i++) {
        given[i] = graph->values[i].data != NULL || graph->values[i].producer >= 0 ||
                   graph->values[i].late;
    }
    for (int32_t i = 0; i < graph->n_inputs; i++) {
        given[graph->inputs[i]] = true;
    }
    for (int32_t i = 0; i < graph->n_states; i++) {
        if (graph->states[i].in < 0 || !in_range(graph, graph->states[i].in)) {
            return ledge_fail(err, LEDGE_ERR_FORMAT, "state %d is no value", (int)i);
        }
        given[graph->states[i].in] = true;
    }
    for (int32_t i = 0; i < graph->n_nodes; i++) {
        const struct ledge_node *node = &graph->nodes[i];
        for (int32_t k = 0; k < node->n_in && !node->dead; k++) {
            if (!in_range(graph, node->in[k]) || (node->in[k] >= 0 && !given[node->in[k]])) {
                return ledge_fail(
                    err, LEDGE_ERR_FORMAT, "node %s (%s): input %s is never produced", node->name,
                    node->op, in_range(graph, node->in[k]) ? graph->values[node->in[k]].name : "?");
            }
        }
    }
    for (int32_t i = 0; i < graph->n_outputs; i++) {
        int32_t value = graph->outputs[i];
        if (value < 0 || !in_range(graph, value) || !given[value]) {
            return ledge_fail(err, LEDGE_ERR_FORMAT, "output %s is never produced",
                              value >= 0 && in_range(graph, value) ? graph->values[value].name
                                                                   : "?");
        }
    }
    return check_states(graph, given, err);
}

/* Depth-first from node root: nodes are appended to order after their producers. state: 0 new, 1 on
 * the path, 2 done. */
struct walk {
    uint8_t *state;
    int32_t *order;
    int32_t n_order;
    int32_t *path; /* nodes */
    int32_t *next; /* input of path[i] to look at next */
};

static bool visit(const struct ledge_graph *graph, struct walk *walk, int32_t root, int32_t *cycle)
{
    int32_t depth = 0;
    walk->path[0] = root;
    walk->next[0] = 0;
    walk->state[root] = 1;
    while (depth >= 0) {
        int32_t at = walk->path[depth];
        const struct ledge_node *node = &graph->nodes[at];
        if (walk->next[depth] == node->n_in) {
            walk->state[at] = 2;
            walk->order[walk->n_order++] = at;
            depth--;
            continue;
        }
        int32_t value = node->in[walk->next[depth]++];
        int32_t from = value >= 0 ? graph->values[value].producer : -1;
        if (from < 0 || walk->state[from] == 2) {
            continue;
        }
        if (walk->state[from] == 1) {
            *cycle = from;
            return false;
        }
        depth++;
        walk->path[depth] = from;
        walk->next[depth] = 0;
        walk->state[from] = 1;
    }
    return true;
}

static void apply_order(struct ledge_graph *graph, struct walk *walk, struct ledge_node *sorted)
{
    for (int32_t i = 0; i < graph->n_nodes; i++) {
        if (graph->nodes[i].dead) {
            walk->order[walk->n_order++] = i;
        }
    }
    for (int32_t i = 0; i < graph->n_nodes; i++) {
        sorted[i] = graph->nodes[walk->order[i]];
    }
    if (graph->n_nodes > 0) {
        memcpy(graph->nodes, sorted, (size_t)graph->n_nodes * sizeof *sorted);
    }
    for (int32_t i = 0; i < graph->n_nodes; i++) {
        const struct ledge_node *node = &graph->nodes[i];
        for (int32_t k = 0; k < node->n_out && !node->dead; k++) {
            if (node->out[k] >= 0) {
                graph->values[node->out[k]].producer = i;
            }
        }
    }
}

enum ledge_status ledge_graph_sort(struct ledge_graph *graph, struct ledge_error *err)
{
    struct ledge_arena scratch;
    ledge_arena_init(&scratch, &graph->arena.allocator);
    size_t n = (size_t)graph->n_nodes;
    struct walk walk = {.state = LEDGE_NEW_ARRAY(&scratch, uint8_t, n),
                        .order = LEDGE_NEW_ARRAY(&scratch, int32_t, n),
                        .path = LEDGE_NEW_ARRAY(&scratch, int32_t, n),
                        .next = LEDGE_NEW_ARRAY(&scratch, int32_t, n)};
    struct ledge_node *sorted = LEDGE_NEW_ARRAY(&scratch, struct ledge_node, n);
    bool *given = LEDGE_NEW_ARRAY(&scratch, bool, (size_t)graph->n_values);
    enum ledge_status status = LEDGE_OK;
    if (walk.state == NULL || walk.order == NULL || walk.path == NULL || walk.next == NULL ||
        sorted == NULL || given == NULL) {
        status = ledge_fail(err, LEDGE_ERR_NOMEM, "no memory to sort %zu nodes", n);
        goto out_scratch;
    }
    status = set_producers(graph, err);
    if (status == LEDGE_OK) {
        status = check_readers(graph, given, err);
    }
    for (int32_t i = 0; i < graph->n_nodes && status == LEDGE_OK; i++) {
        int32_t cycle = -1;
        if (!graph->nodes[i].dead && walk.state[i] == 0 && !visit(graph, &walk, i, &cycle)) {
            status = ledge_fail(err, LEDGE_ERR_FORMAT, "node %s (%s): the graph has a cycle here",
                                graph->nodes[cycle].name, graph->nodes[cycle].op);
        }
    }
    if (status == LEDGE_OK) {
        apply_order(graph, &walk, sorted);
    }
out_scratch:
    ledge_arena_done(&scratch);
    return status;
}

static bool is_read(const struct ledge_graph *graph, const struct ledge_node *node)
{
    for (int32_t k = 0; k < node->n_out; k++) {
        if (node->out[k] >= 0 && graph->values[node->out[k]].reads > 0) {
            return true;
        }
    }
    return false;
}

static void count_reads(struct ledge_graph *graph, const struct ledge_node *node, int32_t by)
{
    for (int32_t k = 0; k < node->n_in; k++) {
        if (node->in[k] >= 0) {
            graph->values[node->in[k]].reads += by;
        }
    }
}

void ledge_graph_sweep(struct ledge_graph *graph)
{
    for (int32_t i = 0; i < graph->n_values; i++) {
        graph->values[i].reads = 0;
    }
    for (int32_t i = 0; i < graph->n_outputs; i++) {
        graph->values[graph->outputs[i]].reads++;
    }
    for (int32_t i = 0; i < graph->n_states; i++) {
        graph->values[graph->states[i].out].reads++;
    }
    for (int32_t i = 0; i < graph->n_nodes; i++) {
        if (!graph->nodes[i].dead) {
            count_reads(graph, &graph->nodes[i], 1);
        }
    }
    bool changed = true; /* one round is enough when sorted */
    while (changed) {
        changed = false;
        for (int32_t i = graph->n_nodes - 1; i >= 0; i--) {
            struct ledge_node *node = &graph->nodes[i];
            if (!node->dead && !is_read(graph, node)) {
                node->dead = true;
                count_reads(graph, node, -1);
                changed = true;
            }
        }
    }
}
