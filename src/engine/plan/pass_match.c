/* SPDX-License-Identifier: Apache-2.0 */
/* pass_match.c -- see pass_match.h. */
#include "engine/plan/pass_match.h"

#include <string.h>

#include "base/status.h"

#include "base/banned.h"

enum { NOBODY = -1, MANY = -2 };

static void note(struct ledge_match *match, int32_t value, int32_t node)
{
    int32_t *reader = &match->reader[value];
    *reader = *reader == NOBODY || *reader == node ? node : MANY;
}

enum ledge_status ledge_match_begin(struct ledge_match *match, struct ledge_graph *graph,
                                    struct ledge_error *err)
{
    *match = (struct ledge_match){.graph = graph, .n_values = graph->n_values, .err = err};
    ledge_arena_init(&match->scratch, &graph->arena.allocator);
    match->reader = LEDGE_NEW_ARRAY(&match->scratch, int32_t, (size_t)graph->n_values);
    if (match->reader == NULL) {
        return ledge_fail(err, LEDGE_ERR_NOMEM, "no memory for a pass");
    }
    for (int32_t i = 0; i < graph->n_values; i++) {
        match->reader[i] = NOBODY;
    }
    for (int32_t i = 0; i < graph->n_nodes; i++) {
        const struct ledge_node *node = &graph->nodes[i];
        for (int32_t k = 0; k < node->n_in && !node->dead; k++) {
            if (node->in[k] >= 0) {
                note(match, node->in[k], i);
            }
        }
    }
    for (int32_t i = 0; i < graph->n_outputs; i++) {
        match->reader[graph->outputs[i]] = MANY;
    }
    for (int32_t i = 0; i < graph->n_states; i++) {
        match->reader[graph->states[i].out] = MANY;
    }
    return LEDGE_OK;
}

void ledge_match_end(struct ledge_match *match)
{
    ledge_arena_done(&match->scratch);
}

bool ledge_is_op(const struct ledge_node *node, const char *op)
{
    return node != NULL && !node->dead && node->domain[0] == '\0' && strcmp(node->op, op) == 0;
}

struct ledge_node *ledge_match_producer(const struct ledge_match *match, int32_t value)
{
    int32_t producer = value >= 0 ? match->graph->values[value].producer : -1;
    struct ledge_node *node = producer >= 0 ? &match->graph->nodes[producer] : NULL;
    return node != NULL && !node->dead ? node : NULL;
}

struct ledge_node *ledge_match_reader(const struct ledge_match *match, int32_t value)
{
    int32_t reader = value >= 0 && value < match->n_values ? match->reader[value] : NOBODY;
    struct ledge_node *node = reader >= 0 ? &match->graph->nodes[reader] : NULL;
    return node != NULL && !node->dead ? node : NULL;
}

bool ledge_match_is_unread(const struct ledge_match *match, int32_t value)
{
    return value < 0 || (value < match->n_values && match->reader[value] == NOBODY);
}

int32_t ledge_node_in(const struct ledge_node *node, int32_t i)
{
    return i < node->n_in ? node->in[i] : -1;
}

int64_t ledge_match_count(const struct ledge_value *value)
{
    int64_t n = 1;
    for (int32_t i = 0; i < value->rank; i++) {
        n *= value->dims[i];
    }
    return n;
}

const void *ledge_match_constant(const struct ledge_match *match, int32_t value,
                                 enum ledge_dtype dtype, int64_t n)
{
    const struct ledge_value *v = value >= 0 ? &match->graph->values[value] : NULL;
    bool fits =
        v != NULL && v->data != NULL && v->dtype == dtype && (n < 0 || ledge_match_count(v) == n);
    return fits ? v->data : NULL;
}

void ledge_match_absorb(const struct ledge_match *match, struct ledge_node *node,
                        struct ledge_node *tail)
{
    ledge_match_absorb_at(match, node, 0, tail);
}

void ledge_match_absorb_at(const struct ledge_match *match, struct ledge_node *node, int32_t k,
                           struct ledge_node *tail)
{
    struct ledge_graph *graph = match->graph;
    int32_t out = tail->out[0];
    graph->values[node->out[k]].producer = -1;
    node->out[k] = out;
    graph->values[out].producer = (int32_t)(node - graph->nodes);
    tail->dead = true;
}

enum ledge_status ledge_match_set_inputs(const struct ledge_match *match, struct ledge_node *node,
                                         const int32_t *in, int32_t n)
{
    int32_t *copy = LEDGE_NEW_ARRAY(&match->graph->arena, int32_t, (size_t)n);
    if (copy == NULL) {
        return ledge_fail(match->err, LEDGE_ERR_NOMEM, "no memory for a pass");
    }
    memcpy(copy, in, (size_t)n * sizeof *copy);
    node->in = copy;
    node->n_in = n;
    return LEDGE_OK;
}
