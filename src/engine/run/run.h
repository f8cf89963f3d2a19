/* SPDX-License-Identifier: Apache-2.0 */
/* run.h -- walk a plan: bind pointers, call kernels. The public session (session.c) and the trainer
 * stand on it.
 *
 * States (graph.h) live here, twice: a run reads one block and leaves the other for the next run,
 * so a run that fails changes nothing.
 *
 * Threads: one at a time per run object. Memory: one block made at create; nothing is allocated by
 * ledge_run_once().
 */
#ifndef LEDGE_ENGINE_RUN_RUN_H
#define LEDGE_ENGINE_RUN_RUN_H

#include "engine/plan/plan.h"
#include "engine/run/any.h"

struct ledge_run;

/* plan and pool (NULL: none) are BORROWED. OWNED: ledge_run_free(). */
LEDGE_NODISCARD enum ledge_status ledge_run_create(const struct ledge_plan *plan,
                                                   struct ledge_pool *pool,
                                                   const struct ledge_allocator *allocator,
                                                   struct ledge_run **run, struct ledge_error *err);
void ledge_run_free(struct ledge_run *run);

/* Bytes that every run of the plan needs for activations, scratch and states. */
size_t ledge_run_arena_size(const struct ledge_plan *plan);

/* The same in memory of the caller's: ledge_run_arena_size() bytes at a multiple of 64, BORROWED.
 * Errors: also ERR_ARG (too small, not aligned). arena NULL: the allocator's. */
LEDGE_NODISCARD enum ledge_status
ledge_run_create_in(const struct ledge_plan *plan, struct ledge_pool *pool,
                    const struct ledge_allocator *allocator, void *arena, size_t arena_bytes,
                    struct ledge_run **run, struct ledge_error *err);

/* Point graph input number input at data (BORROWED until the next bind; read in place, never
 * written). */
void ledge_run_bind(struct ledge_run *run, int32_t input, const void *data);

/* Give graph input number input a value that is no tensor (a sequence, an empty optional), or a
 * tensor where the plan knows nothing of the input. any is BORROWED as data is. */
void ledge_run_bind_any(struct ledge_run *run, int32_t input, const struct ledge_any *any);

/* Execute every step. Errors: ERR_STATE (an input is not bound), what a kernel reports (err names
 * the node). */
LEDGE_NODISCARD enum ledge_status ledge_run_once(struct ledge_run *run, struct ledge_error *err);

/* Give every state what it begins with, as after create. */
void ledge_run_reset(struct ledge_run *run);

/* Let graph output number output be computed in data (64-byte aligned, room for the output,
 * BORROWED until bound again) instead of the arena; NULL: in the arena again. Not every output can:
 * ledge_run_output() tells where it is. */
void ledge_run_bind_output(struct ledge_run *run, int32_t output, void *data);

/* Graph output number output after a run: data in the arena (or an input's or constant's memory).
 */
struct ledge_view ledge_run_output(const struct ledge_run *run, int32_t output);

/* The same for a value of any kind. */
struct ledge_any ledge_run_output_any(const struct ledge_run *run, int32_t output);

/* Bytes held by the run: arena, scratch, tables. */
size_t ledge_run_bytes(const struct ledge_run *run);

/* Time every step from now on; seconds of step number step in the last run, those of all late nodes
 * behind the last step. (To see an inner value, make it a graph output before planning: its memory
 * is then not reused.) */
void ledge_run_profile(struct ledge_run *run, bool on);
double ledge_run_seconds(const struct ledge_run *run, int32_t step);

#endif
