/* SPDX-License-Identifier: Apache-2.0 */
/* graph.c -- building a graph: values, nodes, names, attributes. Everything lives in the graph's
 * arena; arrays grow by doubling, the outgrown copy stays behind until the graph is done. */
#include "engine/graph/graph.h"

#include <stdio.h>
#include <string.h>

#include "base/banned.h"
#include "base/checked.h"
#include "base/status.h"
#include "engine/port/port.h"

void ledge_graph_init(struct ledge_graph *graph, const struct ledge_allocator *allocator)
{
    *graph = (struct ledge_graph){.name = "", .producer = ""};
    ledge_arena_init(&graph->arena, allocator != NULL ? allocator : ledge_allocator_default());
}

/* As deep as sub-graphs are: LEDGE_MAX_DEPTH calls. */
void ledge_graph_done(struct ledge_graph *graph)
{
    for (struct ledge_graph *sub = graph->subs; sub != NULL;) {
        struct ledge_graph *next = sub->next; /* sub itself lies in the arena of graph */
        ledge_graph_done(sub);
        sub = next;
    }
    ledge_arena_done(&graph->arena);
    *graph = (struct ledge_graph){.name = "", .producer = ""};
}

struct ledge_graph *ledge_graph_sub(struct ledge_graph *graph)
{
    struct ledge_graph *sub =
        graph->depth < LEDGE_MAX_DEPTH ? LEDGE_NEW(&graph->arena, struct ledge_graph) : NULL;
    if (sub != NULL) {
        ledge_graph_init(sub, &graph->arena.allocator);
        sub->depth = graph->depth + 1;
        sub->extra_ops = graph->extra_ops;
        sub->random_runs = graph->random_runs;
        sub->next = graph->subs;
        graph->subs = sub;
    }
    return sub;
}

/* Room for `more` elements after the n there are; false when there is no memory. */
static bool make_room(struct ledge_graph *graph, void **array, int32_t n, int32_t more,
                      int32_t *cap, size_t size)
{
    if (more <= *cap - n) {
        return true;
    }
    size_t bytes;
    void *bigger = more <= INT32_MAX - n && ledge_mul_size((size_t)(n + more), size, &bytes)
                       ? ledge_arena_raw(&graph->arena, bytes, 16)
                       : NULL;
    if (bigger == NULL) {
        return false;
    }
    if (n > 0) {
        memcpy(bigger, *array, (size_t)n * size);
    }
    *array = bigger;
    *cap = n + more;
    return true;
}

/* Room for one more element. */
static bool grow(struct ledge_graph *graph, void **array, int32_t n, int32_t *cap, size_t size)
{
    return n < *cap || make_room(graph, array, n, n < 8 ? 8 : n, cap, size);
}

static char *text_copy(struct ledge_graph *graph, const char *text)
{
    return ledge_arena_text(&graph->arena, text, strlen(text));
}

/* -- names: open addressing, FNV-1a (http://www.isthe.com/chongo/tech/comp/fnv) -- */

static uint32_t hash(const char *text)
{
    uint32_t h = 2166136261u;
    for (; *text != '\0'; text++) {
        h = (h ^ (uint8_t)*text) * 16777619u;
    }
    return h ^ h >> 15;
}

static void index_put(struct ledge_graph *graph, int32_t value)
{
    uint32_t mask = (uint32_t)graph->n_name_slots - 1;
    uint32_t at = hash(graph->values[value].name) & mask;
    while (graph->name_slots[at] != 0) {
        at = (at + 1) & mask;
    }
    graph->name_slots[at] = value + 1;
}

/* Slots for the names of so many values: at least twice as many. */
static bool index_room(struct ledge_graph *graph, int32_t values)
{
    if (values <= graph->n_name_slots / 2) {
        return true;
    }
    int32_t n = 64;
    while (n / 2 < values) {
        if (n > INT32_MAX / 4) {
            return false;
        }
        n *= 2;
    }
    int32_t *slots = LEDGE_NEW_ARRAY(&graph->arena, int32_t, (size_t)n);
    if (slots == NULL) {
        return false;
    }
    graph->name_slots = slots;
    graph->n_name_slots = n;
    for (int32_t i = 0; i < graph->n_values; i++) {
        index_put(graph, i);
    }
    return true;
}

int32_t ledge_graph_find(const struct ledge_graph *graph, const char *name)
{
    if (graph->n_name_slots == 0) {
        return -1;
    }
    uint32_t mask = (uint32_t)graph->n_name_slots - 1;
    for (uint32_t at = hash(name) & mask; graph->name_slots[at] != 0; at = (at + 1) & mask) {
        int32_t value = graph->name_slots[at] - 1;
        if (strcmp(graph->values[value].name, name) == 0) {
            return value;
        }
    }
    return -1;
}

static int32_t *slot_of(struct ledge_graph *graph, int32_t value)
{
    uint32_t mask = (uint32_t)graph->n_name_slots - 1;
    uint32_t at = hash(graph->values[value].name) & mask;
    while (graph->name_slots[at] != 0 && graph->name_slots[at] != value + 1) {
        at = (at + 1) & mask;
    }
    return &graph->name_slots[at];
}

static void swap_names(struct ledge_graph *graph, int32_t a, int32_t b)
{
    int32_t *slot_a = slot_of(graph, a);
    int32_t *slot_b = slot_of(graph, b);
    const char *name = graph->values[a].name;
    graph->values[a].name = graph->values[b].name;
    graph->values[b].name = name;
    *slot_a = b + 1;
    *slot_b = a + 1;
}

static char *unique_name(struct ledge_graph *graph)
{
    char text[32];
    for (int32_t i = graph->n_values;; i++) {
        (void)snprintf(text, sizeof text, "value.%d", (int)i);
        if (ledge_graph_find(graph, text) < 0) {
            return text_copy(graph, text);
        }
    }
}

/* -- values and nodes -- */

bool ledge_graph_reserve(struct ledge_graph *graph, int32_t n_values, int32_t n_nodes)
{
    return n_values < INT32_MAX && index_room(graph, n_values) &&
           make_room(graph, (void **)&graph->values, graph->n_values, n_values, &graph->cap_values,
                     sizeof *graph->values) &&
           make_room(graph, (void **)&graph->nodes, graph->n_nodes, n_nodes, &graph->cap_nodes,
                     sizeof *graph->nodes);
}

int32_t ledge_graph_add_value(struct ledge_graph *graph, const char *name, enum ledge_dtype dtype,
                              int32_t rank, const int64_t *dims)
{
    if (rank > LEDGE_MAX_RANK || !index_room(graph, graph->n_values + 1) ||
        !grow(graph, (void **)&graph->values, graph->n_values, &graph->cap_values,
              sizeof *graph->values)) {
        return -1;
    }
    struct ledge_value value = {.dtype = dtype, .rank = rank, .producer = -1};
    value.name = name != NULL ? text_copy(graph, name) : unique_name(graph);
    if (value.name == NULL) {
        return -1;
    }
    for (int32_t i = 0; i < rank; i++) {
        value.dims[i] = dims[i];
    }
    graph->values[graph->n_values] = value;
    index_put(graph, graph->n_values);
    return graph->n_values++;
}

int32_t ledge_graph_add_constant(struct ledge_graph *graph, const char *name,
                                 enum ledge_dtype dtype, int32_t rank, const int64_t *dims,
                                 const void *data, bool copy)
{
    size_t bytes = ledge_dtype_size(dtype);
    for (int32_t i = 0; i < rank; i++) {
        if (dims[i] < 0 || !ledge_mul_size(bytes, (size_t)dims[i], &bytes)) {
            return -1;
        }
    }
    if (copy || bytes == 0) {
        void *own = ledge_arena_alloc(&graph->arena, bytes, 64);
        if (own == NULL) {
            return -1;
        }
        if (bytes > 0) {
            memcpy(own, data, bytes);
        }
        data = own;
    }
    int32_t value = ledge_graph_add_value(graph, name, dtype, rank, dims);
    if (value >= 0) {
        graph->values[value].data = data;
        graph->values[value].bytes = bytes;
    }
    return value;
}

enum ledge_status ledge_graph_settle(struct ledge_graph *graph, int32_t value,
                                     struct ledge_error *err)
{
    struct ledge_value *loose = &graph->values[value];
    if (!loose->loose) {
        return LEDGE_OK;
    }
    void *copy = ledge_arena_raw(&graph->arena, loose->bytes, 64);
    if (copy == NULL) {
        return ledge_fail(err, LEDGE_ERR_NOMEM, "no memory for %.80s", loose->name);
    }
    memcpy(copy, loose->data, loose->bytes);
    loose->data = copy;
    loose->loose = false;
    return LEDGE_OK;
}

static int32_t *index_copy(struct ledge_graph *graph, const int32_t *from, int32_t n)
{
    int32_t *copy = LEDGE_NEW_ARRAY(&graph->arena, int32_t, (size_t)n);
    if (copy != NULL && n > 0) {
        memcpy(copy, from, (size_t)n * sizeof *copy);
    }
    return copy;
}

int32_t ledge_graph_add_node(struct ledge_graph *graph, const char *domain, const char *op,
                             int32_t opset, const char *name, const int32_t *in, int32_t n_in,
                             const int32_t *out, int32_t n_out)
{
    if (!grow(graph, (void **)&graph->nodes, graph->n_nodes, &graph->cap_nodes,
              sizeof *graph->nodes)) {
        return -1;
    }
    char text[96];
    if (name == NULL || name[0] == '\0') {
        (void)snprintf(text, sizeof text, "%.64s.%d", op, (int)graph->n_nodes);
        name = text;
    }
    struct ledge_node node = {.opset = opset, .n_in = n_in, .n_out = n_out};
    node.name = text_copy(graph, name);
    node.op = text_copy(graph, op);
    node.domain = text_copy(graph, domain);
    node.in = index_copy(graph, in, n_in);
    node.out = index_copy(graph, out, n_out);
    if (node.name == NULL || node.op == NULL || node.domain == NULL || node.in == NULL ||
        node.out == NULL) {
        return -1;
    }
    for (int32_t i = 0; i < n_out; i++) {
        if (out[i] >= 0) {
            graph->values[out[i]].producer = graph->n_nodes;
        }
    }
    graph->nodes[graph->n_nodes] = node;
    return graph->n_nodes++;
}

bool ledge_graph_append_inputs(struct ledge_graph *graph, int32_t node, const int32_t *values,
                               int32_t n)
{
    struct ledge_node *to = &graph->nodes[node];
    int32_t *in = n <= INT32_MAX - to->n_in
                      ? LEDGE_NEW_ARRAY(&graph->arena, int32_t, (size_t)to->n_in + (size_t)n)
                      : NULL;
    if (in == NULL) {
        return false;
    }
    for (int32_t i = 0; i < to->n_in; i++) {
        in[i] = to->in[i];
    }
    for (int32_t i = 0; i < n; i++) {
        in[to->n_in + i] = values[i];
    }
    to->in = in;
    to->n_in += n;
    return true;
}

int32_t ledge_graph_add_input(struct ledge_graph *graph, int32_t value)
{
    if (!grow(graph, (void **)&graph->inputs, graph->n_inputs, &graph->cap_inputs,
              sizeof *graph->inputs)) {
        return -1;
    }
    graph->inputs[graph->n_inputs] = value;
    return graph->n_inputs++;
}

int32_t ledge_graph_add_output(struct ledge_graph *graph, int32_t value)
{
    if (!grow(graph, (void **)&graph->outputs, graph->n_outputs, &graph->cap_outputs,
              sizeof *graph->outputs)) {
        return -1;
    }
    graph->outputs[graph->n_outputs] = value;
    return graph->n_outputs++;
}

int32_t ledge_graph_add_state(struct ledge_graph *graph, struct ledge_state state)
{
    if (!grow(graph, (void **)&graph->states, graph->n_states, &graph->cap_states,
              sizeof *graph->states)) {
        return -1;
    }
    graph->states[graph->n_states] = state;
    return graph->n_states++;
}

int32_t ledge_graph_add_metadata(struct ledge_graph *graph, const char *key, const char *value)
{
    if (!grow(graph, (void **)&graph->metadata, graph->n_metadata, &graph->cap_metadata,
              sizeof *graph->metadata)) {
        return -1;
    }
    struct ledge_metadata entry = {.key = text_copy(graph, key), .value = text_copy(graph, value)};
    if (entry.key == NULL || entry.value == NULL) {
        return -1;
    }
    graph->metadata[graph->n_metadata] = entry;
    return graph->n_metadata++;
}

const char *ledge_graph_metadata(const struct ledge_graph *graph, const char *key)
{
    for (int32_t i = 0; i < graph->n_metadata; i++) {
        if (strcmp(graph->metadata[i].key, key) == 0) {
            return graph->metadata[i].value;
        }
    }
    return NULL;
}

const struct ledge_quant *ledge_graph_quant(struct ledge_graph *graph, const float *scales,
                                            const int32_t *zero_points, int32_t n, int32_t axis)
{
    struct ledge_quant *quant = LEDGE_NEW(&graph->arena, struct ledge_quant);
    float *own_scales = LEDGE_NEW_ARRAY(&graph->arena, float, (size_t)n);
    int32_t *own_zeros = LEDGE_NEW_ARRAY(&graph->arena, int32_t, (size_t)n);
    if (quant == NULL || own_scales == NULL || own_zeros == NULL) {
        return NULL;
    }
    for (int32_t i = 0; i < n; i++) {
        own_scales[i] = scales[i];
        own_zeros[i] = zero_points[i];
    }
    *quant =
        (struct ledge_quant){.scales = own_scales, .zero_points = own_zeros, .n = n, .axis = axis};
    return quant;
}

struct ledge_view ledge_value_view(const struct ledge_value *value)
{
    struct ledge_view view = {.data = (void *)value->data,
                              .dtype = value->dtype,
                              .rank = value->rank,
                              .quant = value->quant};
    for (int32_t i = 0; i < value->rank; i++) {
        view.dims[i] = value->dims[i];
    }
    return view;
}

/* -- readers -- */

int32_t ledge_graph_readers(const struct ledge_graph *graph, int32_t value, int32_t *nodes,
                            int32_t max)
{
    int32_t count = 0;
    for (int32_t i = 0; i < graph->n_nodes; i++) {
        const struct ledge_node *node = &graph->nodes[i];
        bool reads = false;
        for (int32_t k = 0; k < node->n_in && !node->dead; k++) {
            reads = reads || node->in[k] == value;
        }
        if (reads) {
            if (count < max) {
                nodes[count] = i;
            }
            count++;
        }
    }
    return count;
}

void ledge_graph_replace(struct ledge_graph *graph, int32_t from, int32_t to)
{
    if (from == to) {
        return;
    }
    for (int32_t i = 0; i < graph->n_nodes; i++) {
        for (int32_t k = 0; k < graph->nodes[i].n_in && !graph->nodes[i].dead; k++) {
            if (graph->nodes[i].in[k] == from) {
                graph->nodes[i].in[k] = to;
            }
        }
    }
    for (int32_t i = 0; i < graph->n_states; i++) {
        graph->states[i].out = graph->states[i].out == from ? to : graph->states[i].out;
    }
    bool renamed = graph->values[to].producer < 0;
    for (int32_t i = 0; i < graph->n_outputs; i++) {
        renamed = renamed || graph->outputs[i] == to;
    }
    for (int32_t i = 0; i < graph->n_outputs; i++) {
        if (graph->outputs[i] == from) {
            graph->outputs[i] = to;
            if (!renamed) {
                swap_names(graph, from, to);
                renamed = true;
            }
        }
    }
}
