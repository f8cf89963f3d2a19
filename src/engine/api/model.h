/* SPDX-License-Identifier: Apache-2.0 */
/* model.h (private) -- an opened model, and its cache of plans.
 *
 * A plan is made for one set of input shapes and one thread count; sessions with the same ones
 * share it. The cache holds at most LEDGE_PLAN_CACHE plans; an unused one gives way to a new one,
 * and when all are in use a session's plan is its own. Threads: the cache and the count of
 * references are guarded by `lock`.
 */
#ifndef LEDGE_ENGINE_API_MODEL_H
#define LEDGE_ENGINE_API_MODEL_H

#include <stdatomic.h>

#include "engine/kernels/onnx_random.h"
#include "engine/plan/plan.h"
#include "engine/port/port.h"

enum { LEDGE_PLAN_CACHE = 8 };

struct ledge_cached_plan {
    struct ledge_plan *plan;
    int32_t users;
    uint64_t used_at; /* of a counter: the oldest unused plan goes first */
};

struct ledge_model {
    struct ledge_allocator allocator;
    atomic_int references;
    struct ledge_map map; /* size 0 when opened from memory */
    const void *bytes;    /* the file */
    size_t size;
    struct ledge_graph graph;
    /* A .ledge file that was packed for this processor: graph is its prepared part, and what cannot
     * be planned with packed alone is planned from `original`, which is read when first needed. */
    bool prepared, has_original;
    struct ledge_map zeros; /* of graph's absent constants */
    struct ledge_packed packed;
    struct ledge_graph original;
    struct ledge_random_runs random_runs; /* of nodes in any plan */
    struct ledge_tensor_info *inputs;     /* as declared in the file, in the graph's arena */
    struct ledge_tensor_info *outputs;    /* likewise */
    struct ledge_lock lock;
    uint64_t clock;
    struct ledge_cached_plan plans[LEDGE_PLAN_CACHE];
};

void ledge_model_ref(struct ledge_model *model);

/* A plan for these options; give it back with ledge_model_give_plan(). */
LEDGE_NODISCARD enum ledge_status ledge_model_take_plan(struct ledge_model *model,
                                                        const struct ledge_plan_options *options,
                                                        struct ledge_plan **plan,
                                                        struct ledge_error *err);
void ledge_model_give_plan(struct ledge_model *model, struct ledge_plan *plan);

#endif
