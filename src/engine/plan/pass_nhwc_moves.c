/* SPDX-License-Identifier: Apache-2.0 */
/* pass_nhwc_moves.c -- part of pass_nhwc.c: operators that only move channels or pixels.
 *
 *   Concat, Split along the channels   the same along the last axis
 *   Resize that copies pixels          the same with its scales or sizes in the new order
 *   Reshape -> Transpose -> Reshape    ledge.ChannelShuffle, with a Concat before it and a Split
 *                                      behind it: bytes move once instead of five times */
#include <string.h>

#include "base/status.h"
#include "engine/plan/pass_match.h"
#include "engine/plan/pass_nhwc.h"

#include "base/banned.h"

enum { MOST = 16, PICTURE = 4, GROUPED = 5 };

static bool is_channels(const struct ledge_node *node, int64_t otherwise, int32_t rank)
{
    int64_t axis = ledge_node_int(node, "axis", otherwise);
    return (axis < 0 ? axis + rank : axis) == 1;
}

static enum ledge_status turn_concat(const struct ledge_nhwc *r, int32_t at)
{
    int32_t list[64];
    const struct ledge_node *node = &r->graph->nodes[at];
    if (node->n_in > (int32_t)(sizeof list / sizeof list[0]) || node->n_out != 1 ||
        node->out[0] < 0) {
        return LEDGE_OK;
    }
    int32_t n = node->n_in;
    for (int32_t i = 0; i < n; i++) {
        list[i] = i;
    }
    int32_t rank = ledge_nhwc_common_rank(r, node, list, n);
    if (rank == 0 || !is_channels(node, 0, rank)) {
        return LEDGE_OK;
    }
    if (!ledge_graph_set_int(r->graph, at, "axis", rank - 1)) {
        return ledge_nhwc_no_memory(r);
    }
    LEDGE_TRY(ledge_nhwc_turn_inputs(r, at, list, n));
    return ledge_nhwc_turn_output(r, at, 0, rank);
}

static enum ledge_status turn_split(const struct ledge_nhwc *r, int32_t at)
{
    static const int32_t first[1] = {0};
    const struct ledge_node *node = &r->graph->nodes[at];
    int32_t rank = node->n_in > 0 ? ledge_nhwc_common_rank(r, node, first, 1) : 0;
    bool fits = rank > 0 && is_channels(node, 0, rank);
    for (int32_t k = 0; k < node->n_out; k++) {
        fits = fits && node->out[k] >= 0;
    }
    if (!fits) {
        return LEDGE_OK;
    }
    if (!ledge_graph_set_int(r->graph, at, "axis", rank - 1)) {
        return ledge_nhwc_no_memory(r);
    }
    LEDGE_TRY(ledge_nhwc_turn_inputs(r, at, first, 1));
    for (int32_t k = 0; k < r->graph->nodes[at].n_out; k++) {
        LEDGE_TRY(ledge_nhwc_turn_output(r, at, k, rank));
    }
    return LEDGE_OK;
}

/* A constant list of n elements, NULL when it is not one. */
static const void *constant_list(const struct ledge_nhwc *r, int32_t value, enum ledge_dtype dtype,
                                 int64_t n)
{
    const struct ledge_value *v = value >= 0 ? &r->graph->values[value] : NULL;
    bool fits = v != NULL && v->data != NULL && v->dtype == dtype && v->rank == 1 &&
                v->dims[0] == n && v->bytes == (size_t)n * ledge_dtype_size(dtype);
    return fits ? v->data : NULL;
}

/* The same list with its entry for the channels last; -1: it is not such a list. */
static int32_t turned_list(const struct ledge_nhwc *r, int32_t value, enum ledge_dtype dtype,
                           int32_t rank)
{
    const char *list = constant_list(r, value, dtype, rank);
    size_t size = ledge_dtype_size(dtype);
    char turned[LEDGE_MAX_RANK * sizeof(int64_t)];
    const int64_t dims[1] = {rank};
    if (list == NULL) {
        return -1;
    }
    for (int32_t i = 0; i < rank; i++) {
        int32_t from = i == 0 ? 0 : i == rank - 1 ? 1 : i + 1;
        memcpy(turned + (size_t)i * size, list + (size_t)from * size, size);
    }
    return ledge_graph_add_constant(r->graph, NULL, dtype, 1, dims, turned, true);
}

/* Opset 11 and on: x, roi, scales, sizes. Without a region to crop, roi means nothing. */
static enum ledge_status turn_resize(const struct ledge_nhwc *r, int32_t at)
{
    static const int32_t first[1] = {0};
    const struct ledge_node *node = &r->graph->nodes[at];
    const char *place = ledge_node_string(node, "coordinate_transformation_mode", "half_pixel");
    int32_t rank = node->n_in > 0 ? ledge_nhwc_common_rank(r, node, first, 1) : 0;
    int32_t scales = ledge_node_in(node, 2), sizes = ledge_node_in(node, 3);
    if (rank == 0 || node->opset < 11 || node->n_out != 1 || node->out[0] < 0 ||
        (scales < 0) == (sizes < 0) || ledge_node_attr(node, "axes") != NULL ||
        strcmp(ledge_node_string(node, "mode", "nearest"), "nearest") != 0 ||
        strcmp(place, "tf_crop_and_resize") == 0) {
        return LEDGE_OK;
    }
    int32_t list = scales >= 0 ? turned_list(r, scales, LEDGE_F32, rank)
                               : turned_list(r, sizes, LEDGE_I64, rank);
    if (list < 0) {
        return LEDGE_OK;
    }
    LEDGE_TRY(ledge_nhwc_turn_inputs(r, at, first, 1));
    LEDGE_TRY(ledge_nhwc_set_input(r, at, scales >= 0 ? 2 : 3, list));
    LEDGE_TRY(ledge_nhwc_set_input(r, at, 1, -1));
    return ledge_nhwc_turn_output(r, at, 0, rank);
}

/* -- channel shuffle: [N][C][H][W] -> [N][g][C/g][H][W] -> [N][C/g][g][H][W] -> [N][C][H][W] -- */

/* The node that alone reads a value, as its first input; -1: there is none, or the graph's caller
 * sees the value. */
static int32_t only_reader(const struct ledge_nhwc *r, int32_t value, const char *op)
{
    int32_t reader;
    if (value < 0 || ledge_graph_readers(r->graph, value, &reader, 1) != 1) {
        return -1;
    }
    for (int32_t i = 0; i < r->graph->n_outputs; i++) {
        if (r->graph->outputs[i] == value) {
            return -1;
        }
    }
    for (int32_t i = 0; i < r->graph->n_states; i++) {
        if (r->graph->states[i].out == value) {
            return -1;
        }
    }
    const struct ledge_node *node = &r->graph->nodes[reader];
    return ledge_is_op(node, op) && node->n_in > 0 && node->in[0] == value && node->n_out > 0 &&
                   node->out[0] >= 0
               ? reader
               : -1;
}

/* Numbers of the three nodes; shapes that the Reshapes ask for. */
struct shuffle {
    int32_t transpose, last;
    const int64_t *grouped, *merged;
};

static bool read_shuffle(const struct ledge_nhwc *r, int32_t at, struct shuffle *s)
{
    static const int64_t swapped[GROUPED] = {0, 2, 1, 3, 4};
    const struct ledge_node *nodes = r->graph->nodes;
    const struct ledge_node *node = &nodes[at];
    if (node->n_in != 2 || node->n_out != 1 || ledge_nhwc_twin(r, node->in[0]) < 0 ||
        r->rank[node->in[0]] != PICTURE || ledge_node_int(node, "allowzero", 0) != 0) {
        return false;
    }
    s->grouped = constant_list(r, node->in[1], LEDGE_I64, GROUPED);
    s->transpose = s->grouped != NULL ? only_reader(r, node->out[0], "Transpose") : -1;
    s->last = s->transpose >= 0 ? only_reader(r, nodes[s->transpose].out[0], "Reshape") : -1;
    if (s->last < 0 || nodes[s->last].n_in != 2 ||
        ledge_node_int(&nodes[s->last], "allowzero", 0) != 0) {
        return false;
    }
    size_t n;
    const int64_t *perm = ledge_node_ints(&nodes[s->transpose], "perm", &n);
    s->merged = constant_list(r, nodes[s->last].in[1], LEDGE_I64, PICTURE);
    return s->merged != NULL && n == GROUPED && memcmp(perm, swapped, sizeof swapped) == 0;
}

/* The Split of the result that alone reads it, whose parts are told before the run; else -1. */
static int32_t split_behind(const struct ledge_nhwc *r, int32_t value, const int64_t **parts,
                            int32_t *n)
{
    int32_t at = only_reader(r, value, "Split");
    const struct ledge_node *node = at >= 0 ? &r->graph->nodes[at] : NULL;
    if (node == NULL || !is_channels(node, 0, PICTURE) || node->n_out > MOST) {
        return -1;
    }
    size_t given = 0;
    *n = node->n_out;
    *parts = node->n_in > 1 ? constant_list(r, node->in[1], LEDGE_I64, node->n_out)
                            : ledge_node_ints(node, "split", &given);
    for (int32_t i = 0; i < node->n_out; i++) {
        at = node->out[i] >= 0 ? at : -1;
    }
    bool known = node->n_in > 1 ? *parts != NULL : *parts == NULL || given == (size_t)*n;
    return known ? at : -1;
}

/* A Concat in NHWC of which only node `at` reads the result; else -1. */
static int32_t concat_before(const struct ledge_nhwc *r, int32_t at)
{
    int32_t x = r->graph->nodes[at].in[0];
    int32_t twin = r->twin[x], reader;
    int32_t made = r->graph->values[twin].producer;
    if (made < 0 || !r->moved[x] || only_reader(r, x, "Reshape") != at ||
        ledge_graph_readers(r->graph, twin, &reader, 1) != 0) {
        return -1;
    }
    const struct ledge_node *node = &r->graph->nodes[made];
    return ledge_is_op(node, "Concat") && node->n_in <= MOST ? made : -1;
}

static enum ledge_status turn_shuffle(const struct ledge_nhwc *r, int32_t at)
{
    struct ledge_graph *graph = r->graph;
    struct shuffle s;
    const int64_t *parts = NULL;
    int32_t n_parts = 0;
    if (!read_shuffle(r, at, &s)) {
        return LEDGE_OK;
    }
    int32_t concat = concat_before(r, at);
    int32_t split = split_behind(r, graph->nodes[s.last].out[0], &parts, &n_parts);
    struct ledge_node *node = &graph->nodes[at];
    const struct ledge_node *end = &graph->nodes[split >= 0 ? split : s.last];
    int32_t x = node->in[0];
    graph->values[node->out[0]].producer = -1;
    node->domain = "ledge";
    node->op = "ChannelShuffle";
    node->opset = 1;
    node->attrs = NULL;
    node->n_attrs = 0;
    node->n_in = concat >= 0 ? graph->nodes[concat].n_in : 1;
    node->in = LEDGE_NEW_ARRAY(&graph->arena, int32_t, (size_t)node->n_in);
    if (node->in == NULL) {
        return ledge_nhwc_no_memory(r);
    }
    memcpy(node->in, concat >= 0 ? graph->nodes[concat].in : &r->twin[x],
           (size_t)node->n_in * sizeof *node->in);
    node->out = end->out;
    node->n_out = end->n_out;
    graph->nodes[s.transpose].dead = graph->nodes[s.last].dead = true;
    if (split >= 0) {
        graph->nodes[split].dead = true;
    }
    if (concat >= 0) {
        graph->nodes[concat].dead = true;
        r->moved[x] = false; /* nobody reads it */
    }
    if (!ledge_graph_set_ints(graph, at, "grouped", s.grouped, GROUPED) ||
        !ledge_graph_set_ints(graph, at, "merged", s.merged, PICTURE) ||
        (split >= 0 && parts != NULL &&
         !ledge_graph_set_ints(graph, at, "parts", parts, (size_t)n_parts))) {
        return ledge_nhwc_no_memory(r);
    }
    for (int32_t k = 0; k < graph->nodes[at].n_out; k++) {
        LEDGE_TRY(ledge_nhwc_turn_output(r, at, k, PICTURE));
    }
    return LEDGE_OK;
}

bool ledge_nhwc_is_move(const struct ledge_node *node)
{
    return ledge_is_op(node, "Concat") || ledge_is_op(node, "Split") ||
           ledge_is_op(node, "Resize") || ledge_is_op(node, "Reshape");
}

enum ledge_status ledge_nhwc_turn_move(const struct ledge_nhwc *r, int32_t at)
{
    const struct ledge_node *node = &r->graph->nodes[at];
    if (ledge_is_op(node, "Concat")) {
        return turn_concat(r, at);
    }
    if (ledge_is_op(node, "Split")) {
        return turn_split(r, at);
    }
    return ledge_is_op(node, "Resize") ? turn_resize(r, at) : turn_shuffle(r, at);
}
