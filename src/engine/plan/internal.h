/* SPDX-License-Identifier: Apache-2.0 */
/* internal.h -- between the files of plan/. */
#ifndef LEDGE_ENGINE_PLAN_INTERNAL_H
#define LEDGE_ENGINE_PLAN_INTERNAL_H

#include "engine/plan/plan.h"

/* pass_help.c, for passes. The node that gives value when nothing but one node reads it, else -1.
 */
int32_t ledge_pass_only_producer(const struct ledge_graph *graph, int32_t value);

/* Node `to` gives output 0 of node `from` instead of its own, which nobody reads; `from` is dead.
 */
void ledge_pass_take_output(struct ledge_graph *graph, int32_t to, int32_t from);

/* specialise.c: give graph inputs their shapes, infer node by node, run what is constant. */
LEDGE_NODISCARD enum ledge_status ledge_plan_specialise(struct ledge_plan *plan,
                                                        const struct ledge_plan_options *options,
                                                        struct ledge_error *err);

/* place.c: fill plan->places, arena_bytes. */
LEDGE_NODISCARD enum ledge_status ledge_plan_place(struct ledge_plan *plan,
                                                   struct ledge_error *err);

#endif
