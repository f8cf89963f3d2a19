/* SPDX-License-Identifier: Apache-2.0 */
/* join.c -- the way of all passes that make one node of several where shapes are known and nodes
 * have their layouts: behind layout.c, before steps are prepared. Threads: none. Memory: the
 * graph's arena. */
#include "base/status.h"
#include "engine/plan/internal.h"

#include "base/banned.h"

enum ledge_status ledge_plan_join(struct ledge_plan *plan, const struct ledge_plan_options *options,
                                  ledge_plan_join_fn look, struct ledge_error *err)
{
    struct ledge_graph *graph = &plan->graph;
    bool any = false;
    if (options->layout == LEDGE_PLAN_PLAIN) {
        return LEDGE_OK;
    }
    ledge_graph_sweep(graph); /* counts reads */
    for (int32_t i = 0; i < graph->n_nodes; i++) {
        bool joined = false;
        if (!look(plan, options, i, &joined)) {
            return ledge_fail(err, LEDGE_ERR_NOMEM, "no memory to join nodes");
        }
        any = any || joined;
    }
    return any ? ledge_graph_sort(graph, err) : LEDGE_OK;
}
