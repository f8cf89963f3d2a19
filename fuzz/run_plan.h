/* SPDX-License-Identifier: Apache-2.0 */
/* run_plan.h -- what the fuzzers of models share: how a model is planned, and runs when that is
 * cheap. A few bytes of model may ask for hours. */
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
        plan->state_bytes > FUZZ_ARENA_MAX || plan->graph.n_inputs > FUZZ_INPUTS_MAX ||
        macs >= FUZZ_MACS_MAX) {
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

/* Three of four models have the machine's own instruction set, every other one blocked tensors
 * wherever they can be. */
static inline struct ledge_plan_options fuzz_options(size_t size)
{
    return (struct ledge_plan_options){.rung = size % 4 == 0 ? LEDGE_RUNG_C : ledge_port_rung(),
                                       .layout =
                                           size % 2 == 0 ? LEDGE_PLAN_AUTO : LEDGE_PLAN_BLOCKED,
                                       .threads = 1,
                                       .max_trips = 4};
}

static inline void fuzz_read_outputs(const struct ledge_plan *plan, const struct ledge_run *run)
{
    for (int32_t i = 0; i < plan->graph.n_outputs; i++) {
        struct ledge_view view = ledge_run_output(run, i);
        volatile uint8_t sink = 0;
        for (size_t k = 0; k < ledge_view_bytes(&view); k++) {
            sink = sink ^ ((const uint8_t *)view.data)[k];
        }
    }
}

/* Two runs of a small plan, of what it keeps from one to the next as well. Every input is `fill`
 * bytes, or empty strings; every byte of the outputs is read. */
static inline void fuzz_run(const struct ledge_plan *plan, uint8_t fill, struct ledge_error *err)
{
    static uint64_t bytes[FUZZ_ARENA_MAX / 8];
    static const uint64_t strings[FUZZ_ARENA_MAX / 8];
    struct ledge_run *run = NULL;
    if (!fuzz_is_small(plan) || ledge_run_create(plan, NULL, &fuzz_memory, &run, err) != LEDGE_OK) {
        return;
    }
    memset(bytes, fill, sizeof bytes);
    for (int32_t i = 0; i < plan->graph.n_inputs; i++) {
        bool text = plan->graph.values[plan->graph.inputs[i]].dtype == LEDGE_STRING;
        ledge_run_bind(run, i, text ? strings : bytes);
    }
    for (int i = 0; i < 2; i++) {
        if (ledge_run_once(run, err) == LEDGE_OK) {
            fuzz_read_outputs(plan, run);
        } else {
            ledge_run_reset(run);
        }
    }
    ledge_run_free(run);
}

#endif
