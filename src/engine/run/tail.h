/* SPDX-License-Identifier: Apache-2.0 */
/* tail.h (private) -- the late nodes of a plan from one on, as a graph of their own.
 *
 * Its inputs are the values that they read and others make; constants stay constants, and
 * sub-graphs are shared with the plan, so the planner may inline them. Its outputs are the outputs
 * of the plan that they make.
 *
 * Threads: none of its own. Memory: `graph` owns its nodes and values; data, names and attributes
 * are the plan's, BORROWED while it lives.
 */
#ifndef LEDGE_ENGINE_RUN_TAIL_H
#define LEDGE_ENGINE_RUN_TAIL_H

#include "engine/plan/plan.h"

struct ledge_tail {
    struct ledge_graph graph;
    int32_t *in;  /* of the plan: the value behind each input of graph */
    int32_t *out; /* and behind each output */
};

/* The late nodes from number first on. Call ledge_tail_done() in any case. Errors: ERR_NOMEM. */
LEDGE_NODISCARD enum ledge_status ledge_tail_build(struct ledge_tail *tail,
                                                   const struct ledge_plan *plan, int32_t first,
                                                   const struct ledge_allocator *allocator,
                                                   struct ledge_error *err);
void ledge_tail_done(struct ledge_tail *tail);

#endif
