/* SPDX-License-Identifier: Apache-2.0 */
/* internal.h -- between the files of plan/. */
#ifndef LEDGE_ENGINE_PLAN_INTERNAL_H
#define LEDGE_ENGINE_PLAN_INTERNAL_H

#include "engine/plan/plan.h"

/* specialise.c: give graph inputs their shapes, infer node by node, run what is constant. */
LEDGE_NODISCARD enum ledge_status ledge_plan_specialise(struct ledge_plan *plan,
                                                        const struct ledge_plan_options *options,
                                                        struct ledge_error *err);

/* place.c: fill plan->places, arena_bytes. */
LEDGE_NODISCARD enum ledge_status ledge_plan_place(struct ledge_plan *plan,
                                                   struct ledge_error *err);

#endif
