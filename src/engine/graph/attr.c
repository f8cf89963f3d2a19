/* SPDX-License-Identifier: Apache-2.0 */
/* attr.c -- attributes of a node: set (copied into the graph's arena) and read. */
#include <string.h>

#include "base/banned.h"
#include "engine/graph/graph.h"

const struct ledge_attr *ledge_node_attr(const struct ledge_node *node, const char *name)
{
    for (int32_t i = 0; i < node->n_attrs; i++) {
        if (node->attrs[i].name[0] == name[0] && strcmp(node->attrs[i].name, name) == 0) {
            return &node->attrs[i];
        }
    }
    return NULL;
}

/* The attribute to fill, new or reset; room doubles at each power of two. NULL when there is no
 * memory. */
static struct ledge_attr *claim(struct ledge_graph *graph, int32_t number, const char *name)
{
    struct ledge_node *node = &graph->nodes[number];
    struct ledge_attr *old = (struct ledge_attr *)ledge_node_attr(node, name);
    if (old != NULL) {
        *old = (struct ledge_attr){.name = old->name};
        return old;
    }
    int32_t n = node->n_attrs;
    if ((n & (n - 1)) == 0) {
        struct ledge_attr *bigger =
            LEDGE_NEW_ARRAY(&graph->arena, struct ledge_attr, n == 0 ? 1 : (size_t)n * 2);
        if (bigger == NULL) {
            return NULL;
        }
        if (n > 0) {
            memcpy(bigger, node->attrs, (size_t)n * sizeof *bigger);
        }
        node->attrs = bigger;
    }
    const char *copy = ledge_arena_text(&graph->arena, name, strlen(name));
    if (copy == NULL) {
        return NULL;
    }
    node->attrs[n] = (struct ledge_attr){.name = copy};
    node->n_attrs++;
    return &node->attrs[n];
}

bool ledge_graph_set_int(struct ledge_graph *graph, int32_t node, const char *name, int64_t value)
{
    struct ledge_attr *attr = claim(graph, node, name);
    if (attr != NULL) {
        attr->type = LEDGE_ATTR_INT;
        attr->i = value;
    }
    return attr != NULL;
}

bool ledge_graph_set_float(struct ledge_graph *graph, int32_t node, const char *name, float value)
{
    struct ledge_attr *attr = claim(graph, node, name);
    if (attr != NULL) {
        attr->type = LEDGE_ATTR_FLOAT;
        attr->f = value;
    }
    return attr != NULL;
}

bool ledge_graph_set_string(struct ledge_graph *graph, int32_t node, const char *name,
                            const char *value)
{
    size_t n = strlen(value);
    const char *copy = ledge_arena_text(&graph->arena, value, n);
    struct ledge_attr *attr = copy != NULL ? claim(graph, node, name) : NULL;
    if (attr != NULL) {
        attr->type = LEDGE_ATTR_STRING;
        attr->s = copy;
        attr->n = n;
    }
    return attr != NULL;
}

bool ledge_graph_set_ints(struct ledge_graph *graph, int32_t node, const char *name,
                          const int64_t *values, size_t n)
{
    int64_t *copy = LEDGE_NEW_ARRAY(&graph->arena, int64_t, n);
    struct ledge_attr *attr = copy != NULL ? claim(graph, node, name) : NULL;
    if (attr != NULL) {
        if (n > 0) {
            memcpy(copy, values, n * sizeof *copy);
        }
        attr->type = LEDGE_ATTR_INTS;
        attr->ints = copy;
        attr->n = n;
    }
    return attr != NULL;
}

bool ledge_graph_set_floats(struct ledge_graph *graph, int32_t node, const char *name,
                            const float *values, size_t n)
{
    float *copy = LEDGE_NEW_ARRAY(&graph->arena, float, n);
    struct ledge_attr *attr = copy != NULL ? claim(graph, node, name) : NULL;
    if (attr != NULL) {
        if (n > 0) {
            memcpy(copy, values, n * sizeof *copy);
        }
        attr->type = LEDGE_ATTR_FLOATS;
        attr->floats = copy;
        attr->n = n;
    }
    return attr != NULL;
}

bool ledge_graph_set_tensor(struct ledge_graph *graph, int32_t node, const char *name,
                            const struct ledge_view *tensor)
{
    struct ledge_view *copy = LEDGE_NEW(&graph->arena, struct ledge_view);
    struct ledge_attr *attr = copy != NULL ? claim(graph, node, name) : NULL;
    if (attr != NULL) {
        *copy = *tensor;
        attr->type = LEDGE_ATTR_TENSOR;
        attr->tensor = copy;
    }
    return attr != NULL;
}

bool ledge_graph_set_strings(struct ledge_graph *graph, int32_t node, const char *name,
                             const char *const *values, size_t n)
{
    const char **list = LEDGE_NEW_ARRAY(&graph->arena, const char *, n);
    size_t room = 1;
    for (size_t i = 0; i < n; i++) {
        room += strlen(values[i]) + 1;
    }
    char *all = ledge_arena_alloc(&graph->arena, room, 1);
    struct ledge_attr *attr = list != NULL && all != NULL ? claim(graph, node, name) : NULL;
    if (attr == NULL) {
        return false;
    }
    attr->type = LEDGE_ATTR_STRINGS;
    attr->s = all;
    attr->strings = list;
    attr->n = n;
    for (size_t i = 0; i < n; i++) {
        size_t length = strlen(values[i]);
        list[i] = ledge_arena_text(&graph->arena, values[i], length);
        if (list[i] == NULL) {
            return false;
        }
        if (i > 0) {
            *all++ = '\n';
        }
        memcpy(all, values[i], length);
        all += length;
    }
    return true;
}

bool ledge_graph_set_graph(struct ledge_graph *graph, int32_t node, const char *name,
                           struct ledge_graph *sub)
{
    struct ledge_attr *attr = claim(graph, node, name);
    if (attr != NULL) {
        attr->type = LEDGE_ATTR_GRAPH;
        attr->graph = sub;
    }
    return attr != NULL;
}

bool ledge_graph_set_other(struct ledge_graph *graph, int32_t node, const char *name)
{
    struct ledge_attr *attr = claim(graph, node, name);
    if (attr != NULL) {
        attr->type = LEDGE_ATTR_OTHER;
    }
    return attr != NULL;
}

static const struct ledge_attr *typed(const struct ledge_node *node, const char *name,
                                      enum ledge_attr_type type)
{
    const struct ledge_attr *attr = ledge_node_attr(node, name);
    return attr != NULL && attr->type == type ? attr : NULL;
}

int64_t ledge_node_int(const struct ledge_node *node, const char *name, int64_t fallback)
{
    const struct ledge_attr *attr = typed(node, name, LEDGE_ATTR_INT);
    return attr != NULL ? attr->i : fallback;
}

float ledge_node_float(const struct ledge_node *node, const char *name, float fallback)
{
    const struct ledge_attr *attr = typed(node, name, LEDGE_ATTR_FLOAT);
    return attr != NULL ? attr->f : fallback;
}

const char *ledge_node_string(const struct ledge_node *node, const char *name, const char *fallback)
{
    const struct ledge_attr *attr = ledge_node_attr(node, name);
    bool text =
        attr != NULL && (attr->type == LEDGE_ATTR_STRING || attr->type == LEDGE_ATTR_STRINGS);
    return text ? attr->s : fallback;
}

struct ledge_graph *ledge_node_graph(const struct ledge_node *node, const char *name)
{
    const struct ledge_attr *attr = typed(node, name, LEDGE_ATTR_GRAPH);
    return attr != NULL ? attr->graph : NULL;
}

int32_t ledge_node_own_inputs(const struct ledge_node *node)
{
    int32_t n = node->n_in;
    for (int32_t i = 0; i < node->n_attrs; i++) {
        if (node->attrs[i].type == LEDGE_ATTR_GRAPH) {
            n -= node->attrs[i].graph->n_captures;
        }
    }
    return n > 0 ? n : 0;
}

const int64_t *ledge_node_ints(const struct ledge_node *node, const char *name, size_t *n)
{
    const struct ledge_attr *attr = typed(node, name, LEDGE_ATTR_INTS);
    *n = attr != NULL ? attr->n : 0;
    return attr != NULL ? attr->ints : NULL;
}
