/* SPDX-License-Identifier: Apache-2.0 */
/* copy.c -- a deep copy of a graph and its sub-graphs that shares the constants' data. */
#include <string.h>

#include "base/banned.h"
#include "base/status.h"
#include "engine/graph/graph.h"

static bool copy_values(const struct ledge_graph *from, struct ledge_graph *to)
{
    for (int32_t i = 0; i < from->n_values; i++) {
        const struct ledge_value *old = &from->values[i];
        if (ledge_graph_add_value(to, old->name, old->dtype, old->rank, old->dims) < 0) {
            return false;
        }
        struct ledge_value *value = &to->values[i];
        value->data = old->data;
        value->bytes = old->bytes;
        value->absent = old->absent;
        value->loose = old->loose;
        value->kind = old->kind;
        for (int32_t k = 0; k < old->rank; k++) {
            const char *name = old->dim_names[k];
            if (name != NULL) {
                value->dim_names[k] = ledge_arena_text(&to->arena, name, strlen(name));
                if (value->dim_names[k] == NULL) {
                    return false;
                }
            }
        }
        if (old->quant != NULL) {
            value->quant = ledge_graph_quant(to, old->quant->scales, old->quant->zero_points,
                                             old->quant->n, old->quant->axis);
            if (value->quant == NULL) {
                return false;
            }
        }
    }
    return true;
}

static bool copy_graph(struct ledge_graph *to, int32_t node, const struct ledge_attr *attr)
{
    struct ledge_error ignored; /* there is one reason only */
    struct ledge_graph *sub = ledge_graph_sub(to);
    return sub != NULL && ledge_graph_copy(attr->graph, sub, &ignored) == LEDGE_OK &&
           ledge_graph_set_graph(to, node, attr->name, sub);
}

static bool copy_attr(struct ledge_graph *to, int32_t node, const struct ledge_attr *attr)
{
    switch (attr->type) {
    case LEDGE_ATTR_INT:
        return ledge_graph_set_int(to, node, attr->name, attr->i);
    case LEDGE_ATTR_FLOAT:
        return ledge_graph_set_float(to, node, attr->name, attr->f);
    case LEDGE_ATTR_STRING:
        return ledge_graph_set_string(to, node, attr->name, attr->s);
    case LEDGE_ATTR_INTS:
        return ledge_graph_set_ints(to, node, attr->name, attr->ints, attr->n);
    case LEDGE_ATTR_FLOATS:
        return ledge_graph_set_floats(to, node, attr->name, attr->floats, attr->n);
    case LEDGE_ATTR_TENSOR:
        return ledge_graph_set_tensor(to, node, attr->name, attr->tensor);
    case LEDGE_ATTR_STRINGS:
        return ledge_graph_set_strings(to, node, attr->name, attr->strings, attr->n);
    case LEDGE_ATTR_GRAPH:
        return copy_graph(to, node, attr);
    case LEDGE_ATTR_OTHER:
        break;
    }
    return ledge_graph_set_other(to, node, attr->name);
}

static bool copy_nodes(const struct ledge_graph *from, struct ledge_graph *to)
{
    for (int32_t i = 0; i < from->n_nodes; i++) {
        const struct ledge_node *old = &from->nodes[i];
        int32_t node = ledge_graph_add_node(to, old->domain, old->op, old->opset, old->name,
                                            old->in, old->n_in, old->out, old->n_out);
        if (node < 0) {
            return false;
        }
        to->nodes[node].dead = old->dead;
        for (int32_t k = 0; k < old->n_attrs; k++) {
            if (!copy_attr(to, node, &old->attrs[k])) {
                return false;
            }
        }
    }
    for (int32_t i = 0; i < from->n_values; i++) {
        to->values[i].producer = from->values[i].producer;
    }
    return true;
}

static bool copy_border(const struct ledge_graph *from, struct ledge_graph *to)
{
    for (int32_t i = 0; i < from->n_inputs; i++) {
        if (ledge_graph_add_input(to, from->inputs[i]) < 0) {
            return false;
        }
    }
    for (int32_t i = 0; i < from->n_outputs; i++) {
        if (ledge_graph_add_output(to, from->outputs[i]) < 0) {
            return false;
        }
    }
    for (int32_t i = 0; i < from->n_states; i++) {
        if (ledge_graph_add_state(to, from->states[i]) < 0) {
            return false;
        }
    }
    for (int32_t i = 0; i < from->n_metadata; i++) {
        if (ledge_graph_add_metadata(to, from->metadata[i].key, from->metadata[i].value) < 0) {
            return false;
        }
    }
    to->name = ledge_arena_text(&to->arena, from->name, strlen(from->name));
    to->producer = ledge_arena_text(&to->arena, from->producer, strlen(from->producer));
    to->extra_ops = from->extra_ops;
    to->n_captures = from->n_captures;
    return to->name != NULL && to->producer != NULL;
}

enum ledge_status ledge_graph_copy(const struct ledge_graph *from, struct ledge_graph *to,
                                   struct ledge_error *err)
{
    to->random_runs = from->random_runs != NULL ? from->random_runs : to->random_runs;
    int32_t some = from->n_values / 8 + 8; /* more: most plans add a few */
    if (!ledge_graph_reserve(to, from->n_values + some, from->n_nodes) || !copy_values(from, to) ||
        !copy_nodes(from, to) || !copy_border(from, to)) {
        return ledge_fail(err, LEDGE_ERR_NOMEM, "no memory to copy a graph of %d nodes",
                          (int)from->n_nodes);
    }
    return LEDGE_OK;
}
