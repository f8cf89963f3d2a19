/* SPDX-License-Identifier: Apache-2.0 */
/* layout_moves.c -- what only moves channels of f32 pictures: Concat, Split and a channel shuffle
 * become BlockedGather. A gather of a gather reads the first one's inputs, so that a chain of them
 * (ShuffleNet's concatenate, shuffle, split) moves each number once. */
#include <string.h>

#include "base/status.h"
#include "engine/ops/blocked.h"
#include "engine/plan/layout.h"

#include "base/banned.h"

/* Where one output channel comes from. */
struct origin {
    int32_t value; /* a blocked one */
    int64_t channel;
};

static bool is_picture(const struct ledge_value *value)
{
    return value->dtype == LEDGE_F32 && value->rank == 4;
}

static int64_t channels_of(const struct ledge_layout_step *step, int32_t value,
                           enum ledge_layout layout)
{
    return step->graph->values[value].dims[ledge_layout_axis(layout)];
}

/* Input 0 is a picture in a region: its layout and block become the fit's. */
static bool follows(const struct ledge_layout_step *step, const struct ledge_node *node,
                    struct ledge_layout_fit *fit)
{
    const struct ledge_layout_value *in = ledge_layout_in(step, node, 0);
    if (in == NULL || !is_picture(&step->graph->values[node->in[0]])) {
        return false;
    }
    fit->layout = in->layout;
    fit->block = in->block;
    return true;
}

static bool along_channels(const struct ledge_node *node, const struct ledge_layout_fit *fit)
{
    int64_t axis = ledge_node_int(node, "axis", 0);
    return (axis < 0 ? axis + 4 : axis) == ledge_layout_axis(fit->layout);
}

static enum ledge_status no_memory(const struct ledge_layout_step *step)
{
    return ledge_fail(step->err, LEDGE_ERR_NOMEM, "no memory for blocked tensors");
}

/* The gather that makes a blocked value, NULL when another operator does. */
static const struct ledge_node *gather_of(const struct ledge_graph *graph, int32_t value)
{
    int32_t producer = graph->values[value].producer;
    const struct ledge_node *node = producer >= 0 ? &graph->nodes[producer] : NULL;
    return node != NULL && strcmp(node->op, "BlockedGather") == 0 ? node : NULL;
}

static struct origin look_through(const struct ledge_graph *graph, struct origin from)
{
    const struct ledge_node *gather = gather_of(graph, from.value);
    if (gather == NULL) {
        return from;
    }
    size_t n;
    const int64_t *map = ledge_node_ints(gather, "map", &n);
    return (struct origin){.value = gather->in[map[from.channel] >> 32],
                           .channel = map[from.channel] & UINT32_MAX};
}

/* Fill map and inputs; false when there are too many inputs. */
static bool map_origins(const struct ledge_graph *graph, const struct origin *origins, int64_t n,
                        bool through, int64_t *map, int32_t *inputs, int32_t *n_in)
{
    *n_in = 0;
    for (int64_t c = 0; c < n; c++) {
        struct origin from = through ? look_through(graph, origins[c]) : origins[c];
        int32_t i = 0;
        while (i < *n_in && inputs[i] != from.value) {
            i++;
        }
        if (i == LEDGE_BLOCKED_GATHER_INPUTS) {
            return false;
        }
        inputs[i] = from.value;
        *n_in = i == *n_in ? i + 1 : *n_in;
        map[c] = (int64_t)i << 32 | from.channel;
    }
    return true;
}

/* The twin of value is gathered from n channels. */
static enum ledge_status gather(struct ledge_layout_step *step, int32_t value,
                                const struct origin *origins, int64_t n,
                                const struct ledge_layout_fit *fit)
{
    int32_t inputs[LEDGE_BLOCKED_GATHER_INPUTS], n_in, node;
    int64_t *map = LEDGE_NEW_ARRAY(&step->scratch, int64_t, (size_t)n);
    if (map == NULL) {
        return no_memory(step);
    }
    if (!map_origins(step->graph, origins, n, true, map, inputs, &n_in)) {
        (void)map_origins(step->graph, origins, n, false, map, inputs, &n_in);
    }
    LEDGE_TRY(ledge_layout_make(step, value, "BlockedGather", inputs, n_in, fit, &node));
    if (!ledge_graph_set_ints(step->graph, node, "map", map, (size_t)n)) {
        return no_memory(step);
    }
    return ledge_layout_infer(step, node);
}

/* -- Concat ---------------------------------------------------------------------------------------
 */

bool ledge_layout_concat_fit(const struct ledge_layout_step *step, const struct ledge_node *node,
                             struct ledge_layout_fit *fit)
{
    if (!follows(step, node, fit) || node->n_in > LEDGE_BLOCKED_GATHER_INPUTS || node->n_out != 1 ||
        node->out[0] < 0 || !along_channels(node, fit)) {
        return false;
    }
    for (int32_t i = 0; i < node->n_in; i++) {
        const struct ledge_layout_value *in = ledge_layout_in(step, node, i);
        if (in == NULL || in->layout != fit->layout || in->block != fit->block ||
            !is_picture(&step->graph->values[node->in[i]])) {
            return false;
        }
    }
    return true;
}

enum ledge_status ledge_layout_concat_apply(struct ledge_layout_step *step, int32_t node,
                                            const struct ledge_layout_fit *fit)
{
    const struct ledge_node *it = &step->graph->nodes[node];
    int32_t out = it->out[0];
    int64_t total = channels_of(step, out, fit->layout), at = 0;
    struct origin *origins = LEDGE_NEW_ARRAY(&step->scratch, struct origin, (size_t)total);
    if (origins == NULL) {
        return no_memory(step);
    }
    for (int32_t i = 0; i < it->n_in; i++) {
        int64_t n = channels_of(step, it->in[i], fit->layout);
        for (int64_t c = 0; c < n && at < total; c++) {
            origins[at++] = (struct origin){.value = step->values[it->in[i]].twin, .channel = c};
        }
    }
    step->graph->nodes[node].dead = true;
    return gather(step, out, origins, at, fit);
}

/* -- Split ----------------------------------------------------------------------------------------
 */

bool ledge_layout_split_fit(const struct ledge_layout_step *step, const struct ledge_node *node,
                            struct ledge_layout_fit *fit)
{
    if (!follows(step, node, fit) || !along_channels(node, fit)) {
        return false;
    }
    int64_t total = 0;
    for (int32_t i = 0; i < node->n_out; i++) {
        if (node->out[i] < 0 || !is_picture(&step->graph->values[node->out[i]])) {
            return false;
        }
        int64_t n = channels_of(step, node->out[i], fit->layout);
        total += n;
        if (n < 1) {
            return false;
        }
    }
    return total == channels_of(step, node->in[0], fit->layout);
}

enum ledge_status ledge_layout_split_apply(struct ledge_layout_step *step, int32_t node,
                                           const struct ledge_layout_fit *fit)
{
    const struct ledge_node it = step->graph->nodes[node];
    int64_t first = 0;
    step->graph->nodes[node].dead = true;
    for (int32_t i = 0; i < it.n_out; i++) {
        int64_t n = channels_of(step, it.out[i], fit->layout);
        struct origin *origins = LEDGE_NEW_ARRAY(&step->scratch, struct origin, (size_t)n);
        if (origins == NULL) {
            return no_memory(step);
        }
        for (int64_t c = 0; c < n; c++) {
            origins[c] =
                (struct origin){.value = step->values[it.in[0]].twin, .channel = first + c};
        }
        LEDGE_TRY(gather(step, it.out[i], origins, n, fit));
        first += n;
    }
    return LEDGE_OK;
}

/* -- channel shuffle: [N][C][H][W] -> [N][g][C/g][H][W] -> [N][C/g][g][H][W] -> [N][C][H][W]
 * -------
 */

static const struct ledge_node *only_reader(const struct ledge_layout_step *step, int32_t value,
                                            const char *op)
{
    int32_t reader;
    if (value < 0 || value >= step->n_values || step->values[value].uses != 1 ||
        ledge_graph_readers(step->graph, value, &reader, 1) != 1) {
        return NULL;
    }
    const struct ledge_node *node = &step->graph->nodes[reader];
    return strcmp(node->op, op) == 0 && node->domain[0] == '\0' && node->n_out == 1 &&
                   node->in[0] == value
               ? node
               : NULL;
}

static bool starts_shuffle(const struct ledge_layout_step *step, const struct ledge_node *node)
{
    static const int64_t swapped[5] = {0, 2, 1, 3, 4};
    const struct ledge_value *x = &step->graph->values[node->in[0]];
    const struct ledge_value *split = &step->graph->values[node->out[0]];
    if (strcmp(node->op, "Reshape") != 0 || split->rank != 5 || split->dims[0] != x->dims[0] ||
        split->dims[3] != x->dims[2] || split->dims[4] != x->dims[3]) {
        return false;
    }
    const struct ledge_node *transpose = only_reader(step, node->out[0], "Transpose");
    const struct ledge_node *last =
        transpose != NULL ? only_reader(step, transpose->out[0], "Reshape") : NULL;
    size_t n = 0;
    const int64_t *perm = transpose != NULL ? ledge_node_ints(transpose, "perm", &n) : NULL;
    const struct ledge_value *y = last != NULL ? &step->graph->values[last->out[0]] : NULL;
    return y != NULL && n == 5 && memcmp(perm, swapped, sizeof swapped) == 0 && y->rank == 4 &&
           memcmp(y->dims, x->dims, 4 * sizeof *x->dims) == 0;
}

/* The first node looks ahead; the other two are reached only behind it. */
bool ledge_layout_shuffle_fit(const struct ledge_layout_step *step, const struct ledge_node *node,
                              struct ledge_layout_fit *fit)
{
    const struct ledge_layout_value *in = ledge_layout_in(step, node, 0);
    if (in == NULL || in->layout != LEDGE_NCHW || node->n_out != 1 || node->out[0] < 0) {
        return false;
    }
    fit->layout = in->layout;
    fit->block = in->block;
    return step->graph->values[node->in[0]].rank == 5 || starts_shuffle(step, node);
}

enum ledge_status ledge_layout_shuffle_apply(struct ledge_layout_step *step, int32_t node,
                                             const struct ledge_layout_fit *fit)
{
    struct ledge_graph *graph = step->graph;
    int32_t in = graph->nodes[node].in[0], out = graph->nodes[node].out[0];
    const struct ledge_value *x = &graph->values[in];
    graph->nodes[node].dead = true;
    if (graph->values[out].rank == 5) { /* not the last: the same numbers, waiting */
        graph->values[out].producer = -1;
        step->values[out].twin = step->values[in].twin;
        step->values[out].layout = fit->layout;
        step->values[out].block = fit->block;
        step->values[out].plain = false;
        return LEDGE_OK;
    }
    int64_t each = x->dims[1], groups = x->dims[2];
    struct origin *origins =
        LEDGE_NEW_ARRAY(&step->scratch, struct origin, (size_t)(each * groups));
    if (origins == NULL) {
        return no_memory(step);
    }
    for (int64_t c = 0; c < each * groups; c++) {
        origins[c] = (struct origin){.value = step->values[in].twin,
                                     .channel = c % groups * each + c / groups};
    }
    return gather(step, out, origins, each * groups, fit);
}
