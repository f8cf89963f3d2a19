/* SPDX-License-Identifier: Apache-2.0 */
/* run_plan.h -- what the fuzzers of models share: run a plan once when it is small. */
#ifndef LEDGE_FUZZ_RUN_PLAN_H
#define LEDGE_FUZZ_RUN_PLAN_H

#include <stdint.h>
#include <string.h>

#include "engine/port/port.h"
#include "engine/run/run.h"

/* What a fuzzed model may ask for in one piece: the rest fails as on a device without memory. */
enum { FUZZ_PIECE_MAX = 1 << 28 };

static inline void *fuzz_alloc(void *user, size_t bytes, size_t align)
{
    const struct ledge_allocator *heap = ledge_allocator_default();
    (void)user;
    return bytes > FUZZ_PIECE_MAX ? NULL : heap->alloc(heap->user, bytes, align);
}

static inline void fuzz_release(void *user, void *memory, size_t bytes)
{
    const struct ledge_allocator *heap = ledge_allocator_default();
    (void)user;
    heap->release(heap->user, memory, bytes);
}

static const struct ledge_allocator fuzz_memory = {.alloc = fuzz_alloc, .release = fuzz_release};

enum { FUZZ_ARENA_MAX = 1 << 20, FUZZ_MACS_MAX = 1 << 22, FUZZ_INPUTS_MAX = 16 };

static inline bool fuzz_is_small(const struct ledge_plan *plan)
{
    int64_t macs = 0;
    for (int32_t i = 0; i < plan->n_steps; i++) {
        int64_t more = plan->steps[i].ready.macs;
        macs = more > FUZZ_MACS_MAX - macs ? FUZZ_MACS_MAX : macs + more;
    }
    if (plan->arena_bytes > FUZZ_ARENA_MAX || plan->scratch_bytes > FUZZ_ARENA_MAX ||
        plan->graph.n_inputs > FUZZ_INPUTS_MAX || macs >= FUZZ_MACS_MAX) {
        return false;
    }
    for (int32_t i = 0; i < plan->graph.n_inputs; i++) {
        const struct ledge_value *value = &plan->graph.values[plan->graph.inputs[i]];
        if (ledge_value_bytes(value) > FUZZ_ARENA_MAX) {
            return false;
        }
    }
    return true;
}

/* Every input is `fill` bytes; every byte of the outputs is read. */
static inline void fuzz_run(const struct ledge_plan *plan, uint8_t fill, struct ledge_error *err)
{
    static uint64_t bytes[FUZZ_ARENA_MAX / 8];
    struct ledge_run *run = NULL;
    if (!fuzz_is_small(plan) || ledge_run_create(plan, NULL, &fuzz_memory, &run, err) != LEDGE_OK) {
        return;
    }
    memset(bytes, fill, sizeof bytes);
    for (int32_t i = 0; i < plan->graph.n_inputs; i++) {
        ledge_run_bind(run, i, bytes);
    }
    if (ledge_run_once(run, err) == LEDGE_OK) {
        for (int32_t i = 0; i < plan->graph.n_outputs; i++) {
            struct ledge_view view = ledge_run_output(run, i);
            volatile uint8_t sink = 0;
            for (size_t k = 0; k < ledge_view_bytes(&view); k++) {
                sink = sink ^ ((const uint8_t *)view.data)[k];
            }
        }
    }
    ledge_run_free(run);
}

#endif
