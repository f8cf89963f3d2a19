/* SPDX-License-Identifier: Apache-2.0 */
/* internal.h -- between the files of plan/. */
#ifndef LEDGE_ENGINE_PLAN_INTERNAL_H
#define LEDGE_ENGINE_PLAN_INTERNAL_H

#include "base/status.h"
#include "engine/plan/plan.h"
#include "engine/port/select.h"

/* specialise.c: give graph inputs their shapes, infer node by node, run what is constant. */
LEDGE_NODISCARD enum ledge_status ledge_plan_specialise(struct ledge_plan *plan,
                                                        const struct ledge_plan_options *options,
                                                        struct ledge_error *err);

/* inline.c: is this an If whose condition is constant? Then it gives way to the nodes of its
 * branch, which are FILLED in graph's arena, in order, with graph's values. Errors: ERR_NOMEM,
 * ERR_FORMAT (the branch does not have the node's outputs). */
bool ledge_plan_takes_branch(const struct ledge_graph *graph, const struct ledge_node *node);
LEDGE_NODISCARD enum ledge_status ledge_plan_inline(struct ledge_graph *graph,
                                                    const struct ledge_node *node,
                                                    struct ledge_node **nodes, int32_t *n,
                                                    struct ledge_error *err);

/* widen.c: does the node read f16, bf16 or f64? Let node number `at` read f32 instead, through new
 * nodes at the end of the graph; give its output k, of a known type, to value `to` as dtype
 * (another type than f32 is handed on as it is). Errors: ERR_NOMEM. */
bool ledge_plan_can_widen(const struct ledge_graph *graph, const struct ledge_node *node);
LEDGE_NODISCARD enum ledge_status ledge_plan_widen(struct ledge_graph *graph, int32_t at,
                                                   struct ledge_error *err);
LEDGE_NODISCARD enum ledge_status ledge_plan_narrow(struct ledge_graph *graph, int32_t at,
                                                    int32_t k, int32_t to, enum ledge_dtype dtype,
                                                    struct ledge_error *err);

/* layout.c: rewrite the parts of the graph that run faster on blocked tensors. */
LEDGE_NODISCARD enum ledge_status ledge_plan_layout(struct ledge_plan *plan,
                                                    const struct ledge_plan_options *options,
                                                    struct ledge_error *err);

/* pack.c: fill all steps' packed constants; those of a node that is prepared to run at once (in its
 * memory). Errors: ERR_NOMEM, ERR_NOT_FOUND (an absent constant). */
LEDGE_NODISCARD enum ledge_status ledge_plan_pack(struct ledge_plan *plan,
                                                  const struct ledge_plan_options *options,
                                                  struct ledge_error *err);
LEDGE_NODISCARD enum ledge_status ledge_plan_pack_now(struct ledge_op_prepare *ready);

/* A kernel that LEDGE_OPS left out is NULL. */
static inline enum ledge_status ledge_plan_check_chosen(const struct ledge_op_prepare *ready,
                                                        struct ledge_error *err)
{
    return !LEDGE_CHOSEN || ready->run != NULL
               ? LEDGE_OK
               : ledge_fail(err, LEDGE_ERR_UNSUPPORTED,
                            "node %.60s (%.30s): this build has no kernel %.40s", ready->node->name,
                            ready->node->op, ready->kernel);
}

/* join.c: look() at each node of the graph in turn, whose reads are counted; the graph is sorted
 * where some were joined. Nothing happens with plain layout. Errors: ERR_NOMEM.
 *
 * look(): joins node number `at` with its neighbours where that pays; false: no memory.
 *   sums.c   residual sums become part of quantised convolutions
 *   bands.c  chains of blocked convolutions become one node */
typedef bool (*ledge_plan_join_fn)(struct ledge_plan *plan,
                                   const struct ledge_plan_options *options, int32_t at,
                                   bool *joined);
LEDGE_NODISCARD enum ledge_status ledge_plan_join(struct ledge_plan *plan,
                                                  const struct ledge_plan_options *options,
                                                  ledge_plan_join_fn look, struct ledge_error *err);
bool ledge_plan_join_sum(struct ledge_plan *plan, const struct ledge_plan_options *options,
                         int32_t at, bool *joined);
bool ledge_plan_join_bands(struct ledge_plan *plan, const struct ledge_plan_options *options,
                           int32_t at, bool *joined);

/* bands_i8.c: join prepared steps that are chains of 8-bit convolutions. */
LEDGE_NODISCARD enum ledge_status ledge_plan_bands_i8(struct ledge_plan *plan,
                                                      const struct ledge_plan_options *options,
                                                      struct ledge_error *err);

/* rows.c: set row_parts of all steps; once values have their places, let those that came to lie in
 * a whole be stored as it is laid out. Errors: ERR_NOMEM. */
LEDGE_NODISCARD enum ledge_status ledge_plan_find_rows(struct ledge_plan *plan,
                                                       const struct ledge_plan_options *options,
                                                       struct ledge_error *err);
LEDGE_NODISCARD enum ledge_status ledge_plan_take_rows(struct ledge_plan *plan,
                                                       struct ledge_error *err);

/* share.c: set `shared` of all steps that are prepared. */
void ledge_plan_share(struct ledge_plan *plan, const struct ledge_plan_options *options);

/* place.c: fill plan->places, arena_bytes. */
LEDGE_NODISCARD enum ledge_status ledge_plan_place(struct ledge_plan *plan,
                                                   struct ledge_error *err);

#endif
