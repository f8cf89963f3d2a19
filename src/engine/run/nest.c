/* SPDX-License-Identifier: Apache-2.0 */
/* nest.c -- plans and runs for graphs whose inputs' shapes only a run tells: bodies of control
 * flow, late nodes alone, what is left of a plan. Each set of input shapes gets a plan and a run;
 * the latest few are kept, so that a loop whose shapes stay plans once.
 *
 * Where shapes are not enough, because a node waits for an input's value, that value is planned
 * with as a constant and becomes a part of the key: the same values find the plan again. */
#include <string.h>

#include "base/banned.h"
#include "base/status.h"
#include "engine/port/pool.h"
#include "engine/port/port.h"
#include "engine/run/late.h"
#include "engine/run/run.h"

/* VALUE_MAX: bytes of a value that may be a part of the key. ROUNDS: plans until all values waited
 * for are found. PATIENCE: plans made before a nest that seldom finds one again is given up. */
enum { NEST_CACHE = 4, ROUNDS = 8, PATIENCE = 8 };

struct nested {
    const struct ledge_graph *body;
    struct ledge_plan *plan;
    struct ledge_run *run;
    struct ledge_arena memory; /* of shapes and what they point at */
    struct ledge_view *shapes; /* the key: rank -1 where nothing is known */
    bool *known;               /* inputs planned with as constants */
    bool *valued;              /* those of them whose value may be another next time */
    uint64_t used_at;
    bool once; /* planned with values too large to keep */
};

struct ledge_nest {
    struct ledge_allocator allocator;
    const struct ledge_plan *plan; /* of the node */
    struct ledge_pool *pool;
    struct nested entries[NEST_CACHE];
    uint64_t clock;
    uint64_t hits, misses;
    enum ledge_nest_kind kind;
};

struct ledge_nest *ledge_nest_create(const struct ledge_plan *plan, struct ledge_pool *pool,
                                     enum ledge_nest_kind kind,
                                     const struct ledge_allocator *allocator)
{
    struct ledge_nest *nest =
        allocator->alloc(allocator->user, sizeof *nest, _Alignof(struct ledge_nest));
    if (nest != NULL) {
        *nest =
            (struct ledge_nest){.allocator = *allocator, .plan = plan, .pool = pool, .kind = kind};
    }
    return nest;
}

static void forget(struct nested *entry)
{
    if (entry->body != NULL) {
        ledge_run_free(entry->run);
        ledge_plan_free(entry->plan);
        ledge_arena_done(&entry->memory);
        *entry = (struct nested){.body = NULL};
    }
}

void ledge_nest_forget(struct ledge_nest *nest)
{
    for (int i = 0; i < NEST_CACHE; i++) {
        forget(&nest->entries[i]);
    }
}

void ledge_nest_free(struct ledge_nest *nest)
{
    if (nest == NULL) {
        return;
    }
    ledge_nest_forget(nest);
    struct ledge_allocator allocator = nest->allocator;
    allocator.release(allocator.user, nest, sizeof *nest);
}

static bool is_tensor(const struct ledge_any *any)
{
    return any != NULL && any->kind == LEDGE_ANY_TENSOR;
}

static bool fits(const struct nested *entry, const struct ledge_graph *body,
                 const struct ledge_any *const *in, int32_t n)
{
    bool same = entry->body == body && !entry->once;
    for (int32_t i = 0; same && i < n; i++) {
        const struct ledge_view *have = &entry->shapes[i];
        if (!is_tensor(in[i])) {
            same = have->rank < 0;
            continue;
        }
        same = have->rank == in[i]->view.rank && have->dtype == in[i]->view.dtype;
        for (int32_t k = 0; same && k < have->rank; k++) {
            same = have->dims[k] == in[i]->view.dims[k];
        }
        if (same && entry->valued[i]) {
            size_t bytes = ledge_view_bytes(have);
            same = bytes == 0 || memcmp(have->data, in[i]->view.data, bytes) == 0;
        }
    }
    return same;
}

static enum ledge_status plan_body(const struct ledge_nest *nest, struct nested *entry, int32_t n,
                                   struct ledge_error *err)
{
    struct ledge_plan_options options = {.rung = nest->plan->rung,
                                         .consistent = nest->plan->consistent,
                                         .bf16 = nest->plan->bf16,
                                         .threads = nest->plan->threads,
                                         .input_shapes = entry->shapes,
                                         .n_input_shapes = n,
                                         .input_constant = entry->known,
                                         .max_trips = nest->plan->max_trips,
                                         .depth = nest->plan->depth + 1};
    return ledge_plan_create(entry->body, &options, &nest->allocator, &entry->plan, err);
}

/* Make the value of input i a part of the key. False when there is no memory. */
static bool take_value(struct nested *entry, int32_t i)
{
    struct ledge_view *view = &entry->shapes[i];
    size_t bytes = ledge_view_bytes(view);
    entry->known[i] = true;
    if (!ledge_may_be_key(view)) {
        entry->once = true;
        return true;
    }
    void *copy = ledge_arena_alloc(&entry->memory, bytes, 64);
    if (copy != NULL && bytes > 0) {
        memcpy(copy, view->data, bytes);
    }
    view->data = copy;
    entry->valued[i] = true;
    return copy != NULL;
}

/* Is it the value of input i that keeps nodes from being planned? */
static bool wants_value(const struct ledge_nest *nest, const struct nested *entry, int32_t i,
                        bool awaited)
{
    const struct ledge_graph *graph = &entry->plan->graph;
    return nest->kind != LEDGE_NEST_BODIES && !entry->known[i] && entry->shapes[i].rank >= 0 &&
           (!awaited || graph->values[graph->inputs[i]].awaited) &&
           (nest->kind == LEDGE_NEST_NODE || ledge_may_be_key(&entry->shapes[i]));
}

/* Take the values that nodes of the plan wait for. A body leaves that to its own late nodes; a tail
 * leaves large values to them; a node that is late still, though none of its inputs is awaited (a
 * cast stands between), gets all. *more: there were some. */
static bool take_values(const struct ledge_nest *nest, struct nested *entry, int32_t n, bool *more)
{
    bool good = true, late = entry->plan->n_late > 0;
    *more = false;
    for (int32_t i = 0; good && late && i < n; i++) {
        if (wants_value(nest, entry, i, true)) {
            good = take_value(entry, i);
            *more = true;
        }
    }
    for (int32_t i = 0; good && late && !*more && nest->kind == LEDGE_NEST_NODE && i < n; i++) {
        if (wants_value(nest, entry, i, false)) {
            good = take_value(entry, i);
            *more = true;
        }
    }
    return good;
}

static enum ledge_status make(struct ledge_nest *nest, struct nested *entry,
                              const struct ledge_graph *body, const struct ledge_any *const *in,
                              const bool *constant, int32_t n, struct ledge_error *err)
{
    *entry = (struct nested){.body = body};
    ledge_arena_init(&entry->memory, &nest->allocator);
    entry->shapes = LEDGE_NEW_ARRAY(&entry->memory, struct ledge_view, (size_t)n);
    entry->known = LEDGE_NEW_ARRAY(&entry->memory, bool, (size_t)n);
    entry->valued = LEDGE_NEW_ARRAY(&entry->memory, bool, (size_t)n);
    bool good = entry->shapes != NULL && entry->known != NULL && entry->valued != NULL;
    for (int32_t i = 0; good && i < n; i++) {
        entry->shapes[i] =
            is_tensor(in[i]) ? in[i]->view : (struct ledge_view){.data = NULL, .rank = -1};
        entry->known[i] = constant[i];
    }
    bool more = good;
    for (int round = 0; good && more && round < ROUNDS; round++) {
        ledge_plan_free(entry->plan);
        entry->plan = NULL;
        LEDGE_TRY(plan_body(nest, entry, n, err));
        good = take_values(nest, entry, n, &more);
    }
    if (!good) {
        return ledge_fail(err, LEDGE_ERR_NOMEM, "no memory for a body");
    }
    if (nest->kind == LEDGE_NEST_NODE && entry->plan->n_late > 0) {
        return ledge_fail(err, LEDGE_ERR_UNSUPPORTED, "node %.60s (%.30s) cannot be planned",
                          body->nodes[0].name, body->nodes[0].op);
    }
    return ledge_run_create(entry->plan, nest->pool, &nest->allocator, &entry->run, err);
}

static enum ledge_status get(struct ledge_nest *nest, const struct ledge_graph *body,
                             const struct ledge_any *const *in, const bool *constant, int32_t n,
                             struct nested **found, struct ledge_error *err)
{
    struct nested *oldest = &nest->entries[0];
    if (n != body->n_inputs) {
        return ledge_fail(err, LEDGE_ERR_FORMAT, "body %.60s takes %d inputs, there are %d",
                          body->name, (int)body->n_inputs, (int)n);
    }
    for (int i = 0; i < NEST_CACHE; i++) {
        struct nested *entry = &nest->entries[i];
        if (fits(entry, body, in, n)) {
            entry->used_at = ++nest->clock;
            nest->hits++;
            *found = entry;
            return LEDGE_OK;
        }
        oldest = entry->used_at < oldest->used_at ? entry : oldest;
    }
    nest->misses++;
    forget(oldest);
    enum ledge_status status = make(nest, oldest, body, in, constant, n, err);
    if (status != LEDGE_OK) {
        forget(oldest);
        return status;
    }
    oldest->used_at = oldest->once ? 0 : ++nest->clock;
    *found = oldest;
    return LEDGE_OK;
}

enum ledge_status ledge_nest_run(struct ledge_nest *nest, const struct ledge_graph *body,
                                 const struct ledge_any *const *in, const bool *constant, int32_t n,
                                 struct ledge_any *out, struct ledge_error *err)
{
    struct nested *entry = NULL;
    LEDGE_TRY(get(nest, body, in, constant, n, &entry, err));
    for (int32_t i = 0; i < n; i++) {
        if (is_tensor(in[i])) {
            ledge_run_bind(entry->run, i, in[i]->view.data);
        } else {
            ledge_run_bind_any(entry->run, i, in[i]);
        }
    }
    LEDGE_TRY(ledge_run_once(entry->run, err));
    for (int32_t i = 0; i < body->n_outputs; i++) {
        out[i] = ledge_run_output_any(entry->run, i);
    }
    return LEDGE_OK;
}

enum ledge_status ledge_nest_shapes(struct ledge_nest *nest, const struct ledge_graph *body,
                                    const struct ledge_any *const *in, const bool *constant,
                                    int32_t n, struct ledge_view *out, struct ledge_error *err)
{
    struct nested *entry = NULL;
    LEDGE_TRY(get(nest, body, in, constant, n, &entry, err));
    for (int32_t i = 0; i < body->n_outputs; i++) {
        out[i] = ledge_value_view(&entry->plan->graph.values[entry->plan->graph.outputs[i]]);
    }
    return LEDGE_OK;
}

bool ledge_nest_is_worn(const struct ledge_nest *nest)
{
    return nest->misses >= PATIENCE && nest->hits < nest->misses;
}

size_t ledge_nest_bytes(const struct ledge_nest *nest)
{
    size_t total = sizeof *nest;
    for (int i = 0; i < NEST_CACHE; i++) {
        const struct nested *entry = &nest->entries[i];
        if (entry->body != NULL) {
            total += entry->memory.total + entry->plan->memory.total +
                     entry->plan->graph.arena.total + ledge_run_bytes(entry->run);
        }
    }
    return total;
}
