/* SPDX-License-Identifier: Apache-2.0 */
/* bands.c -- join convolutions on blocked tensors whose intermediate tensors are wide: expand,
 * depthwise (or a MaxPool), project, one BlockedBands node in the place of the last of them
 * (kernels/bands.h).
 * Runs behind layout.c, which has fused activations and residuals. */
#include <string.h>

#include "base/status.h"
#include "engine/ops/blocked.h"
#include "engine/plan/internal.h"

#include "base/banned.h"

enum { EXPAND, DEPTH, PROJECT };

static bool is_conv(const struct ledge_node *node)
{
    return !node->dead && strcmp(node->op, "BlockedConv") == 0 &&
           strcmp(node->domain, "ledge") == 0 && node->n_in >= 2 && node->n_out == 1 &&
           node->out[0] >= 0;
}

static bool adds(const struct ledge_node *conv)
{
    return conv->n_in > 3 && conv->in[3] >= 0;
}

/* The convolution that makes the value for one reader only, -1: there is none. */
static int32_t maker_of(const struct ledge_graph *graph, int32_t value)
{
    int32_t maker = value >= 0 ? graph->values[value].producer : -1;
    return maker >= 0 && is_conv(&graph->nodes[maker]) && graph->values[value].reads == 1 &&
                   !adds(&graph->nodes[maker])
               ? maker
               : -1;
}

static int32_t reader_of(const struct ledge_graph *graph, int32_t value)
{
    int32_t reader;
    return graph->values[value].reads == 1 && ledge_graph_readers(graph, value, &reader, 1) == 1 &&
                   is_conv(&graph->nodes[reader]) && graph->nodes[reader].in[0] == value
               ? reader
               : -1;
}

static bool add_attributes(struct ledge_arena *arena, const struct ledge_node *from,
                           const char *part, struct ledge_node *to)
{
    size_t length = strlen(part);
    for (int i = 0; ledge_bands_attributes[i] != NULL; i++) {
        const char *name = ledge_bands_attributes[i];
        const struct ledge_attr *attr = ledge_node_attr(from, name);
        if (attr == NULL) {
            continue;
        }
        size_t bytes = length + strlen(name) + 2;
        char *text = ledge_arena_alloc(arena, bytes, 1);
        if (text == NULL) {
            return false;
        }
        memcpy(text, part, length);
        text[length] = '.';
        memcpy(text + length + 1, name, bytes - length - 1);
        to->attrs[to->n_attrs] = *attr;
        to->attrs[to->n_attrs++].name = text;
    }
    return true;
}

static bool join(struct ledge_graph *graph, const int32_t chain[LEDGE_BANDS_PARTS])
{
    int32_t last = chain[PROJECT] >= 0 ? chain[PROJECT] : chain[DEPTH];
    int32_t first = chain[EXPAND] >= 0 ? chain[EXPAND] : chain[DEPTH];
    struct ledge_node made = graph->nodes[last];
    enum { MOST = 64 }; /* attributes of three convolutions */
    made.in = LEDGE_NEW_ARRAY(&graph->arena, int32_t, LEDGE_BANDS_INPUTS);
    made.attrs = LEDGE_NEW_ARRAY(&graph->arena, struct ledge_attr, MOST);
    made.n_in = LEDGE_BANDS_INPUTS;
    made.n_attrs = 0;
    made.op = "BlockedBands";
    if (made.in == NULL || made.attrs == NULL) {
        return false;
    }
    made.in[0] = graph->nodes[first].in[0];
    made.in[1] = adds(&graph->nodes[last]) ? graph->nodes[last].in[3] : -1;
    for (int i = 0; i < LEDGE_BANDS_PARTS; i++) {
        const struct ledge_node *conv = chain[i] >= 0 ? &graph->nodes[chain[i]] : NULL;
        made.in[LEDGE_BANDS_WEIGHTS + 2 * i] = conv != NULL && conv->n_in > 1 ? conv->in[1] : -1;
        made.in[LEDGE_BANDS_WEIGHTS + 2 * i + 1] =
            conv != NULL && conv->n_in > 2 ? conv->in[2] : -1;
        if (conv != NULL && !add_attributes(&graph->arena, conv, ledge_bands_parts[i], &made)) {
            return false;
        }
    }
    for (int i = 0; i < LEDGE_BANDS_PARTS; i++) {
        if (chain[i] >= 0 && chain[i] != last) {
            graph->nodes[chain[i]].dead = true;
        }
    }
    graph->nodes[last] = made;
    return true;
}

/* What may stand in the middle. */
static bool is_depth(const struct ledge_node *node)
{
    bool pool = !node->dead && strcmp(node->op, "BlockedMaxPool") == 0 &&
                strcmp(node->domain, "ledge") == 0 && node->n_in == 1 && node->n_out == 1;
    return pool || (is_conv(node) && ledge_node_int(node, "group", 1) > 1);
}

/* The longest chain around node number `depth` that pays, *found; false: no memory. */
static bool find_chain(const struct ledge_plan *plan, const struct ledge_plan_options *options,
                       int32_t depth, int32_t chain[LEDGE_BANDS_PARTS], bool *found)
{
    *found = false;
    static const bool wanted[][2] = {{true, true}, {true, false}, {false, true}};
    const struct ledge_graph *graph = &plan->graph;
    const struct ledge_node *conv = &graph->nodes[depth];
    if (!is_depth(conv)) {
        return true;
    }
    int32_t before = maker_of(graph, conv->in[0]);
    int32_t behind = adds(conv) ? -1 : reader_of(graph, conv->out[0]);
    for (size_t i = 0; !*found && i < sizeof wanted / sizeof wanted[0]; i++) {
        if ((wanted[i][0] && (before < 0 || adds(conv))) || (wanted[i][1] && behind < 0)) {
            continue;
        }
        chain[EXPAND] = wanted[i][0] ? before : -1;
        chain[DEPTH] = depth;
        chain[PROJECT] = wanted[i][1] ? behind : -1;
        const struct ledge_node *parts[LEDGE_BANDS_PARTS];
        for (int k = 0; k < LEDGE_BANDS_PARTS; k++) {
            parts[k] = chain[k] >= 0 ? &graph->nodes[chain[k]] : NULL;
        }
        if (!ledge_blocked_bands_pay(graph, parts,
                                     ledge_blocked_for(options->rung, options->consistent),
                                     plan->threads, options->layout == LEDGE_PLAN_BLOCKED, found)) {
            return false;
        }
    }
    return true;
}

bool ledge_plan_join_bands(struct ledge_plan *plan, const struct ledge_plan_options *options,
                           int32_t at, bool *joined)
{
    int32_t chain[LEDGE_BANDS_PARTS];
    return find_chain(plan, options, at, chain, joined) && (!*joined || join(&plan->graph, chain));
}
