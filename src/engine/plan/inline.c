/* SPDX-License-Identifier: Apache-2.0 */
/* inline.c -- an If whose condition is known while planning gives way to the branch it takes: its
 * values become values of the graph around it, and the planner goes on as if they had always stood
 * there. */
#include <string.h>

#include "base/banned.h"
#include "base/status.h"
#include "engine/plan/internal.h"

bool ledge_plan_has_branches(const struct ledge_node *node)
{
    return strcmp(node->op, "If") == 0 && node->domain[0] == '\0' && node->n_in >= 1 &&
           node->in[0] >= 0 && ledge_node_graph(node, "then_branch") != NULL &&
           ledge_node_graph(node, "else_branch") != NULL;
}

bool ledge_plan_takes_branch(const struct ledge_graph *graph, const struct ledge_node *node)
{
    const struct ledge_value *condition =
        ledge_plan_has_branches(node) ? &graph->values[node->in[0]] : NULL;
    return condition != NULL && condition->data != NULL && condition->dtype == LEDGE_BOOL &&
           ledge_value_bytes(condition) == 1;
}

/* Number of the first input of node that sub captures; -1 when node and sub do not fit. */
static int32_t first_capture(const struct ledge_node *node, const struct ledge_graph *sub)
{
    int32_t at = ledge_node_own_inputs(node);
    for (int32_t i = 0; i < node->n_attrs; i++) {
        if (node->attrs[i].type != LEDGE_ATTR_GRAPH) {
            continue;
        }
        if (node->attrs[i].graph == sub) {
            return at + sub->n_captures <= node->n_in && sub->n_inputs == sub->n_captures ? at : -1;
        }
        at += node->attrs[i].graph->n_captures;
    }
    return -1;
}

static bool copy_value(struct ledge_graph *graph, const struct ledge_value *from, int32_t *to)
{
    *to = ledge_graph_add_value(graph, NULL, from->dtype, from->rank, from->dims);
    if (*to < 0) {
        return false;
    }
    graph->values[*to].data = from->data;
    graph->values[*to].bytes = from->bytes;
    graph->values[*to].quant = from->quant;
    graph->values[*to].kind = from->kind;
    return true;
}

enum { UNSET = -2 };

/* map[i]: the value of graph for value i of sub. *hand_on counts outputs that no node of sub makes
 * for them alone. */
static bool map_values(struct ledge_graph *graph, const struct ledge_node *node,
                       const struct ledge_graph *sub, int32_t first, int32_t *map, int32_t *hand_on)
{
    for (int32_t i = 0; i < sub->n_values; i++) {
        map[i] = UNSET;
    }
    for (int32_t i = 0; i < sub->n_captures; i++) {
        map[sub->inputs[i]] = node->in[first + i];
    }
    *hand_on = 0;
    for (int32_t i = 0; i < sub->n_outputs; i++) {
        int32_t value = sub->outputs[i];
        if (map[value] == UNSET && sub->values[value].producer >= 0 && node->out[i] >= 0) {
            map[value] = node->out[i];
        } else {
            (*hand_on)++;
        }
    }
    for (int32_t i = 0; i < sub->n_values; i++) {
        if (map[i] == UNSET && !copy_value(graph, &sub->values[i], &map[i])) {
            return false;
        }
    }
    return true;
}

static int32_t *map_list(struct ledge_graph *graph, const int32_t *list, int32_t n,
                         const int32_t *map)
{
    int32_t *mapped = LEDGE_NEW_ARRAY(&graph->arena, int32_t, (size_t)n);
    for (int32_t i = 0; mapped != NULL && i < n; i++) {
        mapped[i] = list[i] >= 0 ? map[list[i]] : -1;
    }
    return mapped;
}

/* Identity from a value of the branch that is no output of its own (a capture, a constant, one that
 * is handed back twice). */
static bool identity(struct ledge_graph *graph, int32_t from, int32_t to, struct ledge_node *node)
{
    int32_t *ends = LEDGE_NEW_ARRAY(&graph->arena, int32_t, 2);
    if (ends == NULL) {
        return false;
    }
    ends[0] = from;
    ends[1] = to;
    *node = (struct ledge_node){.name = graph->values[to].name,
                                .op = "Identity",
                                .domain = "",
                                .opset = 13,
                                .in = ends,
                                .n_in = 1,
                                .out = ends + 1,
                                .n_out = 1};
    return true;
}

enum ledge_status ledge_plan_inline(struct ledge_graph *graph, const struct ledge_node *node,
                                    struct ledge_node **nodes, int32_t *n, struct ledge_error *err)
{
    bool taken = *(const uint8_t *)graph->values[node->in[0]].data != 0;
    const struct ledge_graph *sub = ledge_node_graph(node, taken ? "then_branch" : "else_branch");
    int32_t first = first_capture(node, sub), hand_on = 0;
    if (first < 0 || sub->n_outputs < node->n_out) {
        return ledge_fail(err, LEDGE_ERR_FORMAT, "node %s (%s): the branch does not fit",
                          node->name, node->op);
    }
    int32_t *map = LEDGE_NEW_ARRAY(&graph->arena, int32_t, (size_t)sub->n_values);
    bool good = map != NULL;
    struct ledge_node whole = *node; /* outputs that the node does not have are not wanted */
    int32_t *out = LEDGE_NEW_ARRAY(&graph->arena, int32_t, (size_t)sub->n_outputs);
    for (int32_t i = 0; out != NULL && i < sub->n_outputs; i++) {
        out[i] = i < node->n_out ? node->out[i] : -1;
    }
    whole.out = out;
    good = good && out != NULL && map_values(graph, &whole, sub, first, map, &hand_on);
    struct ledge_node *list =
        LEDGE_NEW_ARRAY(&graph->arena, struct ledge_node, (size_t)sub->n_nodes + (size_t)hand_on);
    int32_t count = 0;
    good = good && list != NULL;
    for (int32_t i = 0; good && i < sub->n_nodes && !sub->nodes[i].dead; i++) {
        struct ledge_node *copy = &list[count++];
        *copy = sub->nodes[i];
        copy->in = map_list(graph, copy->in, copy->n_in, map);
        copy->out = map_list(graph, copy->out, copy->n_out, map);
        good = copy->in != NULL && copy->out != NULL;
    }
    for (int32_t i = 0; good && i < sub->n_outputs; i++) {
        int32_t value = map[sub->outputs[i]];
        if (out[i] >= 0 && value != out[i]) {
            good = identity(graph, value, out[i], &list[count++]);
        }
    }
    if (!good) {
        return ledge_fail(err, LEDGE_ERR_NOMEM, "node %s (%s): no memory", node->name, node->op);
    }
    *nodes = list;
    *n = count;
    return LEDGE_OK;
}
