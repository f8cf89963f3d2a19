/* SPDX-License-Identifier: Apache-2.0 */
/* widen.c -- f16, bf16 and f64 for operators whose kernels know f32 only: the node is computed in
 * f32 between casts that stand in the plan like any other node (so `ledge check` shows them, and
 * those of constants fold away). Half types lose nothing by it; f64 is computed with f32's
 * precision, see docs/numerics.md. */
#include "base/status.h"
#include "engine/plan/internal.h"

static bool is_wide_or_half(enum ledge_dtype dtype)
{
    return dtype == LEDGE_F16 || dtype == LEDGE_BF16 || dtype == LEDGE_F64;
}

bool ledge_plan_can_widen(const struct ledge_graph *graph, const struct ledge_node *node)
{
    for (int32_t k = 0; k < node->n_in; k++) {
        if (node->in[k] >= 0 && is_wide_or_half(graph->values[node->in[k]].dtype)) {
            return true;
        }
    }
    return false;
}

/* from -> Cast or Identity -> to; the new node's index, -1 without memory. */
static int32_t add_cast(struct ledge_graph *graph, int32_t from, int32_t to, enum ledge_dtype dtype)
{
    bool cast = dtype != LEDGE_DTYPE_NONE;
    int32_t node =
        ledge_graph_add_node(graph, "", cast ? "Cast" : "Identity", 13, NULL, &from, 1, &to, 1);
    bool good = node >= 0 && (!cast || ledge_graph_set_int(graph, node, "to", (int64_t)dtype));
    return good ? node : -1;
}

enum ledge_status ledge_plan_widen(struct ledge_graph *graph, int32_t at, struct ledge_error *err)
{
    for (int32_t k = 0; k < graph->nodes[at].n_in; k++) {
        int32_t from = graph->nodes[at].in[k];
        if (from < 0 || !is_wide_or_half(graph->values[from].dtype)) {
            continue;
        }
        int32_t to = ledge_graph_add_value(graph, NULL, LEDGE_F32, -1, NULL);
        if (to < 0 || add_cast(graph, from, to, LEDGE_F32) < 0) {
            return ledge_fail(err, LEDGE_ERR_NOMEM, "no memory for a cast");
        }
        for (int32_t i = k; i < graph->nodes[at].n_in; i++) {
            if (graph->nodes[at].in[i] == from) {
                graph->nodes[at].in[i] = to;
            }
        }
    }
    return LEDGE_OK;
}

enum ledge_status ledge_plan_narrow(struct ledge_graph *graph, int32_t at, int32_t k, int32_t to,
                                    enum ledge_dtype dtype, struct ledge_error *err)
{
    int32_t from = graph->nodes[at].out[k];
    bool cast = graph->values[from].dtype == LEDGE_F32 && is_wide_or_half(dtype);
    return add_cast(graph, from, to, cast ? dtype : LEDGE_DTYPE_NONE) >= 0
               ? LEDGE_OK
               : ledge_fail(err, LEDGE_ERR_NOMEM, "no memory for a cast");
}
