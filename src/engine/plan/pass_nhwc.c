/* SPDX-License-Identifier: Apache-2.0 */
/* pass_nhwc.c -- regions of quantised operators work on NHWC pictures: the layout of the 8-bit
 * loops (conv_i8.h), where a pixel's channels lie side by side.
 *
 * Every quantised convolution of a picture is turned, and whatever can take its output as it is:
 * QLinearAdd, QLinearMul, ByteTable, MaxPool, QLinearGlobalAveragePool, and what moves channels or
 * pixels (pass_nhwc_moves.c). Transposes stand only where a region meets something else. A picture
 * of up to four channels is read as planes instead. Bytes only change places: no result changes.
 * Why not blocks of channels: docs/decisions/0007-nhwc-for-8-bits.md. */
#include "engine/plan/pass_nhwc.h"

#include <string.h>

#include "base/status.h"
#include "engine/plan/pass_match.h"
#include "engine/plan/passes.h"

#include "base/banned.h"

enum ledge_status ledge_nhwc_no_memory(const struct ledge_nhwc *r)
{
    return ledge_fail(r->err, LEDGE_ERR_NOMEM, "no memory for a pass");
}

int32_t ledge_nhwc_twin(const struct ledge_nhwc *r, int32_t value)
{
    return value >= 0 && value < r->n_values ? r->twin[value] : -1;
}

static bool is_microsoft(const struct ledge_node *node, const char *op)
{
    return strcmp(node->domain, "com.microsoft") == 0 && strcmp(node->op, op) == 0;
}

/* A node "Transpose" from one value to another; to NHWC or back. */
static enum ledge_status transpose(const struct ledge_nhwc *r, int32_t from, int32_t to,
                                   int32_t rank, bool back)
{
    int64_t perm[LEDGE_MAX_RANK] = {0};
    for (int32_t i = 1; i < rank; i++) {
        perm[i] = back ? (i == 1 ? rank - 1 : i - 1) : (i == rank - 1 ? 1 : i + 1);
    }
    int32_t node = ledge_graph_add_node(r->graph, "", "Transpose", 13, NULL, &from, 1, &to, 1);
    if (node < 0 || !ledge_graph_set_ints(r->graph, node, "perm", perm, (size_t)rank)) {
        return ledge_nhwc_no_memory(r);
    }
    return LEDGE_OK;
}

enum ledge_status ledge_nhwc_turn_output(const struct ledge_nhwc *r, int32_t at, int32_t k,
                                         int32_t rank)
{
    int32_t out = r->graph->nodes[at].out[k];
    enum ledge_dtype dtype = r->graph->values[out].dtype;
    int32_t twin = ledge_graph_add_value(r->graph, NULL, dtype, -1, NULL);
    if (twin < 0) {
        return ledge_nhwc_no_memory(r);
    }
    r->graph->nodes[at].out[k] = twin;
    r->graph->values[twin].producer = at;
    r->graph->values[out].producer = -1;
    r->twin[out] = twin;
    r->rank[out] = (int8_t)rank;
    r->moved[out] = true;
    return LEDGE_OK;
}

enum ledge_status ledge_nhwc_set_input(const struct ledge_nhwc *r, int32_t at, int32_t i,
                                       int32_t value)
{
    struct ledge_node *node = &r->graph->nodes[at];
    int32_t *copy = LEDGE_NEW_ARRAY(&r->graph->arena, int32_t, (size_t)node->n_in);
    if (copy == NULL) {
        return ledge_nhwc_no_memory(r);
    }
    memcpy(copy, node->in, (size_t)node->n_in * sizeof *copy);
    copy[i] = value;
    node->in = copy;
    return LEDGE_OK;
}

/* Constant weights of a picture or a row of samples, whose bytes are all there. */
bool ledge_nhwc_takes(const struct ledge_graph *graph, const struct ledge_node *node)
{
    if (!ledge_is_op(node, "QLinearConv") || node->n_in < 8 || node->in[0] < 0 || node->in[3] < 0 ||
        node->n_out != 1 || node->out[0] < 0 || ledge_node_attr(node, "layout") != NULL) {
        return false;
    }
    const struct ledge_value *w = &graph->values[node->in[3]];
    return w->data != NULL && (w->rank == 3 || w->rank == 4) &&
           (w->dtype == LEDGE_I8 || w->dtype == LEDGE_U8) &&
           (int64_t)w->bytes == ledge_match_count(w);
}

/* May the picture be read as planes? Few channels, and a window that conv_i8.h takes whatever the
 * picture's size. */
static bool has_few_channels(const struct ledge_nhwc *r, const struct ledge_node *node)
{
    enum { FEW = 4, WINDOW = 64 };
    const struct ledge_value *w = &r->graph->values[node->in[3]];
    size_t n_pads, n_dilations;
    const int64_t *pads = ledge_node_ints(node, "pads", &n_pads);
    const int64_t *dilations = ledge_node_ints(node, "dilations", &n_dilations);
    bool fits = w->dims[1] <= FEW && ledge_node_int(node, "group", 1) == 1;
    for (int32_t i = 2; i < w->rank; i++) {
        fits = fits && w->dims[i] <= WINDOW;
    }
    for (size_t i = 0; i < n_pads; i++) {
        fits = fits && pads[i] < WINDOW;
    }
    for (size_t i = 0; i < n_dilations; i++) {
        fits = fits && dilations[i] == 1;
    }
    return fits;
}

static enum ledge_status turn_conv(const struct ledge_nhwc *r, int32_t at)
{
    struct ledge_graph *graph = r->graph;
    const struct ledge_node *node = &graph->nodes[at];
    if (!ledge_nhwc_takes(graph, node)) {
        return LEDGE_OK;
    }
    int32_t x = node->in[0];
    int32_t rank = graph->values[node->in[3]].rank;
    bool few = has_few_channels(r, node);
    if (ledge_nhwc_twin(r, x) < 0 && !few) {
        int32_t twin = ledge_graph_add_value(graph, NULL, graph->values[x].dtype, -1, NULL);
        if (twin < 0) {
            return ledge_nhwc_no_memory(r);
        }
        LEDGE_TRY(transpose(r, x, twin, rank, false));
        r->twin[x] = twin;
        r->rank[x] = (int8_t)rank;
    }
    if (ledge_nhwc_twin(r, x) >= 0) {
        LEDGE_TRY(ledge_nhwc_set_input(r, at, 0, r->twin[x]));
    } else if (!ledge_graph_set_int(graph, at, "planes", 1)) {
        return ledge_nhwc_no_memory(r);
    }
    if (!ledge_graph_set_int(graph, at, "layout", LEDGE_NHWC) ||
        !ledge_graph_set_int(graph, at, "weights_nchw", 1)) { /* packing turns them */
        return ledge_nhwc_no_memory(r);
    }
    return ledge_nhwc_turn_output(r, at, 0, rank);
}

int32_t ledge_nhwc_common_rank(const struct ledge_nhwc *r, const struct ledge_node *node,
                               const int32_t *list, int32_t n)
{
    int32_t rank = 0;
    for (int32_t i = 0; i < n; i++) {
        int32_t value = ledge_node_in(node, list[i]);
        if (ledge_nhwc_twin(r, value) < 0 || (i > 0 && r->rank[value] != rank)) {
            return 0;
        }
        rank = r->rank[value];
    }
    return rank;
}

enum ledge_status ledge_nhwc_turn_inputs(const struct ledge_nhwc *r, int32_t at,
                                         const int32_t *list, int32_t n)
{
    for (int32_t i = 0; i < n; i++) {
        LEDGE_TRY(ledge_nhwc_set_input(r, at, list[i], r->twin[r->graph->nodes[at].in[list[i]]]));
    }
    return LEDGE_OK;
}

/* Operators on one picture or two of one rank that an attribute, or nothing, turns. */
static enum ledge_status turn_other(const struct ledge_nhwc *r, int32_t at)
{
    static const int32_t both[2] = {0, 3};
    const struct ledge_node *node = &r->graph->nodes[at];
    bool binary = is_microsoft(node, "QLinearAdd") || is_microsoft(node, "QLinearMul");
    bool each = strcmp(node->domain, "ledge") == 0 && strcmp(node->op, "ByteTable") == 0;
    bool max = ledge_is_op(node, "MaxPool") && ledge_node_attr(node, "layout") == NULL;
    bool mean = is_microsoft(node, "QLinearGlobalAveragePool") &&
                ledge_node_int(node, "channels_last", 0) == 0;
    if ((!binary && !each && !max && !mean) || node->n_out != 1 || node->out[0] < 0) {
        return LEDGE_OK;
    }
    int32_t n = binary ? 2 : 1;
    int32_t rank = ledge_nhwc_common_rank(r, node, both, n);
    if (rank == 0) {
        return LEDGE_OK;
    }
    if ((max && !ledge_graph_set_int(r->graph, at, "layout", LEDGE_NHWC)) ||
        (mean && !ledge_graph_set_int(r->graph, at, "channels_last", 1))) {
        return ledge_nhwc_no_memory(r);
    }
    LEDGE_TRY(ledge_nhwc_turn_inputs(r, at, both, n));
    return ledge_nhwc_turn_output(r, at, 0, rank);
}

static enum ledge_status turn(const struct ledge_nhwc *r, int32_t at)
{
    const struct ledge_node *node = &r->graph->nodes[at];
    if (node->dead) {
        return LEDGE_OK;
    }
    if (ledge_is_op(node, "QLinearConv")) {
        return turn_conv(r, at);
    }
    return ledge_nhwc_is_move(node) ? ledge_nhwc_turn_move(r, at) : turn_other(r, at);
}

/* Values that somebody still reads as they were. */
static enum ledge_status turn_back(const struct ledge_nhwc *r)
{
    struct ledge_graph *graph = r->graph;
    bool *read = r->read;
    for (int32_t i = 0; i < r->n_nodes; i++) {
        const struct ledge_node *node = &graph->nodes[i];
        for (int32_t k = 0; k < node->n_in && !node->dead; k++) {
            if (node->in[k] >= 0 && node->in[k] < r->n_values) {
                read[node->in[k]] = true;
            }
        }
    }
    for (int32_t i = 0; i < graph->n_outputs; i++) {
        read[graph->outputs[i]] = true;
    }
    for (int32_t i = 0; i < graph->n_states; i++) {
        read[graph->states[i].out] = true;
    }
    for (int32_t v = 0; v < r->n_values; v++) {
        if (r->moved[v] && read[v]) {
            LEDGE_TRY(transpose(r, r->twin[v], v, r->rank[v], true));
        }
    }
    return LEDGE_OK;
}

static enum ledge_status run(struct ledge_nhwc *r)
{
    size_t n = (size_t)r->n_values;
    r->twin = LEDGE_NEW_ARRAY(&r->scratch, int32_t, n);
    r->rank = LEDGE_NEW_ARRAY(&r->scratch, int8_t, n);
    r->read = LEDGE_NEW_ARRAY(&r->scratch, bool, n);
    r->moved = LEDGE_NEW_ARRAY(&r->scratch, bool, n);
    if (r->twin == NULL || r->rank == NULL || r->read == NULL || r->moved == NULL) {
        return ledge_nhwc_no_memory(r);
    }
    for (size_t v = 0; v < n; v++) {
        r->twin[v] = -1;
    }
    for (int32_t i = 0; i < r->n_nodes; i++) {
        LEDGE_TRY(turn(r, i));
    }
    return turn_back(r);
}

enum ledge_status ledge_pass_nhwc(struct ledge_graph *graph, struct ledge_error *err)
{
    struct ledge_nhwc r = {
        .graph = graph, .n_values = graph->n_values, .n_nodes = graph->n_nodes, .err = err};
    ledge_arena_init(&r.scratch, &graph->arena.allocator);
    enum ledge_status status = run(&r);
    ledge_arena_done(&r.scratch);
    return status;
}
