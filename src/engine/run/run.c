/* SPDX-License-Identifier: Apache-2.0 */
/* run.c -- one block holds the views, the calls, the arena and the scratch memory; running walks
 * the calls. */
#include "engine/run/run.h"

#include <string.h>

#include "base/status.h"
#include "engine/port/port.h"
#include "engine/port/select.h"
#include "engine/run/late.h"

struct ledge_run {
    const struct ledge_plan *plan;
    struct ledge_arena memory;
    struct ledge_view *views; /* one per value */
    int32_t *bound;           /* values that lie in the caller's inputs */
    int32_t n_bound;
    struct ledge_kernel_call *calls;
    double *seconds; /* per step, then of all late nodes */
    char *states[2]; /* state_bytes each */
    int current;     /* number of the block that the next run reads */
    char *arena;
    struct ledge_late *late; /* NULL: the plan has no late nodes */
    struct ledge_error err;
    bool profile;
};

/* A build without late nodes makes no plan that has any. */
static bool runs_late(const struct ledge_run *run)
{
    return LEDGE_HAS(LEDGE_PART_LATE) && run->late != NULL;
}

static LEDGE_COLD const struct ledge_view *const *bind_list(struct ledge_run *run,
                                                            const int32_t *list, int32_t n)
{
    size_t entries = (size_t)(n > LEDGE_CALL_ENTRIES ? n : LEDGE_CALL_ENTRIES);
    const struct ledge_view **at =
        LEDGE_NEW_ARRAY(&run->memory, const struct ledge_view *, entries);
    for (int32_t i = 0; at != NULL && i < n; i++) {
        at[i] = list[i] >= 0 ? &run->views[list[i]] : NULL;
    }
    return at;
}

static LEDGE_COLD bool bind_steps(struct ledge_run *run, struct ledge_pool *pool, void *scratch)
{
    const struct ledge_plan *plan = run->plan;
    for (int32_t s = 0; s < plan->n_steps; s++) {
        const struct ledge_plan_step *step = &plan->steps[s];
        struct ledge_kernel_call *call = &run->calls[s];
        *call =
            (struct ledge_kernel_call){.in = bind_list(run, step->node->in, step->node->n_in),
                                       .n_in = step->node->n_in,
                                       .out = bind_list(run, step->node->out, step->node->n_out),
                                       .n_out = step->node->n_out,
                                       .params = step->ready.params,
                                       .packed = step->ready.packed,
                                       .scratch = scratch,
                                       .scratch_bytes = step->ready.scratch_bytes,
                                       .pool = step->shared ? pool : NULL,
                                       .err = &run->err};
        if (call->in == NULL || call->out == NULL) {
            return false;
        }
    }
    return true;
}

/* Point what lies in the states at the current block. */
static void bind_states(struct ledge_run *run)
{
    const struct ledge_plan *plan = run->plan;
    for (int32_t i = 0; plan->graph.n_states > 0 && i < plan->graph.n_values; i++) {
        if (plan->places[i].kind == LEDGE_PLACE_STATE) {
            run->views[i].data = run->states[run->current] + plan->places[i].offset;
        }
    }
}

/* The other block takes what the states have become. */
static void keep_states(struct ledge_run *run)
{
    const struct ledge_graph *graph = &run->plan->graph;
    for (int32_t i = 0; i < graph->n_states; i++) {
        const struct ledge_state *state = &graph->states[i];
        size_t bytes = ledge_value_bytes(&graph->values[state->in]);
        if (bytes > 0) {
            memcpy(run->states[1 - run->current] + run->plan->places[state->in].offset,
                   run->views[state->out].data, bytes);
        }
    }
    run->current = 1 - run->current;
}

LEDGE_COLD void ledge_run_reset(struct ledge_run *run)
{
    const struct ledge_graph *graph = &run->plan->graph;
    for (int32_t i = 0; i < graph->n_states; i++) {
        const struct ledge_state *state = &graph->states[i];
        char *to = run->states[run->current] + run->plan->places[state->in].offset;
        size_t bytes = ledge_value_bytes(&graph->values[state->in]);
        if (state->init >= 0 && bytes > 0) {
            memcpy(to, graph->values[state->init].data, bytes);
        } else if (bytes > 0) {
            memset(to, 0, bytes);
        }
    }
}

static size_t padded(size_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

LEDGE_COLD size_t ledge_run_arena_size(const struct ledge_plan *plan)
{
    size_t most = SIZE_MAX / 8; /* more cannot be had, and the sums stay in range */
    return plan->arena_bytes > most || plan->scratch_bytes > most || plan->state_bytes > most
               ? most * 4
               : padded(plan->arena_bytes) + padded(plan->scratch_bytes) +
                     2 * padded(plan->state_bytes);
}

static LEDGE_COLD bool has_late(const struct ledge_plan *plan)
{
    bool late = plan->n_late > 0;
    for (int32_t i = 0; i < plan->graph.n_inputs; i++) {
        late = late || plan->graph.values[plan->graph.inputs[i]].late;
    }
    return late;
}

static LEDGE_COLD int32_t count_bound(const struct ledge_plan *plan)
{
    int32_t n = 0;
    for (int32_t i = 0; i < plan->graph.n_values; i++) {
        n += plan->places[i].kind == LEDGE_PLACE_INPUT;
    }
    return n;
}

/* given NULL: memory of the run's own. */
static LEDGE_COLD bool set_up(struct ledge_run *run, struct ledge_pool *pool, void *given)
{
    const struct ledge_plan *plan = run->plan;
    const struct ledge_graph *graph = &plan->graph;
    run->views = LEDGE_NEW_ARRAY(&run->memory, struct ledge_view, (size_t)graph->n_values);
    run->bound = LEDGE_NEW_ARRAY(&run->memory, int32_t, (size_t)count_bound(plan));
    run->calls = LEDGE_NEW_ARRAY(&run->memory, struct ledge_kernel_call, (size_t)plan->n_steps);
    run->seconds = LEDGE_NEW_ARRAY(&run->memory, double, (size_t)plan->n_steps + 1);
    run->arena =
        given != NULL ? given : ledge_arena_raw(&run->memory, ledge_run_arena_size(plan), 64);
    if (run->views == NULL || run->bound == NULL || run->calls == NULL || run->seconds == NULL ||
        run->arena == NULL) {
        return false;
    }
    char *scratch = run->arena + padded(plan->arena_bytes);
    run->states[0] = scratch + padded(plan->scratch_bytes);
    run->states[1] = run->states[0] + padded(plan->state_bytes);
    for (int32_t i = 0; i < graph->n_values; i++) {
        if (plan->places[i].kind == LEDGE_PLACE_NONE) {
            continue;
        }
        run->views[i] = ledge_value_view(&graph->values[i]);
        if (plan->places[i].kind == LEDGE_PLACE_ARENA) {
            run->views[i].data = run->arena + plan->places[i].offset;
        } else if (plan->places[i].kind == LEDGE_PLACE_CONSTANT) {
            run->views[i].data = (void *)plan->places[i].data;
        } else if (plan->places[i].kind == LEDGE_PLACE_INPUT) {
            run->bound[run->n_bound++] = i;
        }
    }
    if (LEDGE_HAS(LEDGE_PART_LATE) && has_late(plan)) {
        run->late = ledge_late_create(plan, run->views, pool, &run->memory.allocator);
        if (run->late == NULL) {
            return false;
        }
    }
    return bind_steps(run, pool, scratch);
}

enum ledge_status ledge_run_create(const struct ledge_plan *plan, struct ledge_pool *pool,
                                   const struct ledge_allocator *allocator, struct ledge_run **run,
                                   struct ledge_error *err)
{
    return ledge_run_create_in(plan, pool, allocator, NULL, 0, run, err);
}

LEDGE_COLD enum ledge_status ledge_run_create_in(const struct ledge_plan *plan,
                                                 struct ledge_pool *pool,
                                                 const struct ledge_allocator *allocator,
                                                 void *arena, size_t arena_bytes,
                                                 struct ledge_run **run, struct ledge_error *err)
{
    if (arena != NULL && ((uintptr_t)arena % 64 != 0 || arena_bytes < ledge_run_arena_size(plan))) {
        return ledge_fail(err, LEDGE_ERR_ARG,
                          "an arena of %zu bytes: %zu at a multiple of 64 are needed", arena_bytes,
                          ledge_run_arena_size(plan));
    }
    if (allocator == NULL) {
        allocator = ledge_allocator_default();
    }
    if (ledge_pool_threads(pool) > plan->threads) {
        return ledge_fail(err, LEDGE_ERR_ARG, "a pool of %d threads for a plan made for %d",
                          (int)ledge_pool_threads(pool), (int)plan->threads);
    }
    struct ledge_run *made =
        allocator->alloc(allocator->user, sizeof *made, _Alignof(struct ledge_run));
    if (made == NULL) {
        return ledge_fail(err, LEDGE_ERR_NOMEM, "no memory for a run");
    }
    *made = (struct ledge_run){.plan = plan};
    ledge_arena_init(&made->memory, allocator);
    if (plan->consistent) {
        ledge_pool_keep_denormals(pool);
    }
    if (!set_up(made, pool, arena)) {
        ledge_run_free(made);
        return ledge_fail(err, LEDGE_ERR_NOMEM,
                          "no memory for an arena of %zu bytes and %zu bytes of scratch",
                          plan->arena_bytes, plan->scratch_bytes);
    }
    ledge_run_reset(made);
    *run = made;
    return LEDGE_OK;
}

LEDGE_COLD void ledge_run_free(struct ledge_run *run)
{
    if (run == NULL) {
        return;
    }
    struct ledge_allocator allocator = run->memory.allocator;
    if (LEDGE_HAS(LEDGE_PART_LATE)) {
        ledge_late_free(run->late);
    }
    ledge_arena_done(&run->memory);
    allocator.release(allocator.user, run, sizeof *run);
}

void ledge_run_bind(struct ledge_run *run, int32_t input, const void *data)
{
    for (int32_t k = 0; k < run->n_bound; k++) {
        int32_t i = run->bound[k];
        if (run->plan->places[i].input == input) {
            run->views[i].data = (void *)data;
        }
    }
}

void ledge_run_bind_output(struct ledge_run *run, int32_t output, void *data)
{
    const struct ledge_plan *plan = run->plan;
    const struct ledge_place *places = plan->places;
    int32_t value = plan->graph.outputs[output];
    int32_t home = places[value].home;
    /* Its memory must be its own, not a part of something larger. */
    if (places[value].kind != LEDGE_PLACE_ARENA || places[value].offset != places[home].offset ||
        ledge_value_bytes(&plan->graph.values[value]) !=
            ledge_value_bytes(&plan->graph.values[home])) {
        return;
    }
    char *base = data != NULL ? data : run->arena + places[home].offset;
    if (run->views[value].data == base) {
        return; /* as in the run before */
    }
    for (int32_t i = 0; i < plan->graph.n_values; i++) {
        if (places[i].kind == LEDGE_PLACE_ARENA && places[i].home == home) {
            run->views[i].data = base + (places[i].offset - places[home].offset);
        }
    }
}

void ledge_run_bind_any(struct ledge_run *run, int32_t input, const struct ledge_any *any)
{
    int32_t value = run->plan->graph.inputs[input];
    if (runs_late(run) && run->plan->graph.values[value].late) {
        ledge_late_bind(run->late, value, any);
    } else if (any != NULL && any->kind == LEDGE_ANY_TENSOR) {
        ledge_run_bind(run, input, any->view.data);
    }
}

static enum ledge_status check_bound(const struct ledge_run *run, struct ledge_error *err)
{
    const struct ledge_graph *graph = &run->plan->graph;
    for (int32_t i = 0; i < graph->n_inputs; i++) {
        if (run->views[graph->inputs[i]].data == NULL && !graph->values[graph->inputs[i]].late) {
            return ledge_fail(err, LEDGE_ERR_STATE, "input %s is not bound",
                              graph->values[graph->inputs[i]].name);
        }
    }
    return LEDGE_OK;
}

static enum ledge_status walk(struct ledge_run *run, struct ledge_error *err)
{
    const struct ledge_plan *plan = run->plan;
    for (int32_t s = 0; s < plan->n_steps; s++) {
        const struct ledge_plan_step *step = &plan->steps[s];
        double start = run->profile ? ledge_port_seconds() : 0;
        enum ledge_status status =
            step->ready.alias >= 0 ? LEDGE_OK : step->ready.run(&run->calls[s]);
        if (run->profile) {
            run->seconds[s] = ledge_port_seconds() - start;
        }
        if (status != LEDGE_OK) {
            return ledge_fail(err, status, "node %.60s (%.30s): %.150s", step->node->name,
                              step->node->op, run->err.text);
        }
    }
    return LEDGE_OK;
}

enum ledge_status ledge_run_once(struct ledge_run *run, struct ledge_error *err)
{
    LEDGE_TRY(check_bound(run, err));
    bind_states(run);
    unsigned before = run->plan->consistent ? ledge_denormals_on() : ledge_denormals_off();
    enum ledge_status status = walk(run, err);
    if (status == LEDGE_OK && runs_late(run)) {
        double start = run->profile ? ledge_port_seconds() : 0;
        status = ledge_late_run(run->late, err);
        if (run->profile) {
            run->seconds[run->plan->n_steps] = ledge_port_seconds() - start;
        }
    }
    ledge_denormals_restore(before);
    if (status == LEDGE_OK) {
        keep_states(run);
    }
    return status;
}

struct ledge_view ledge_run_output(const struct ledge_run *run, int32_t output)
{
    return ledge_run_output_any(run, output).view;
}

struct ledge_any ledge_run_output_any(const struct ledge_run *run, int32_t output)
{
    int32_t value = run->plan->graph.outputs[output];
    if (runs_late(run) && run->plan->graph.values[value].late) {
        return *ledge_late_value(run->late, value);
    }
    return ledge_any_tensor(run->views[value]);
}

void ledge_run_profile(struct ledge_run *run, bool on)
{
    run->profile = on;
}

double ledge_run_seconds(const struct ledge_run *run, int32_t step)
{
    return run->seconds[step];
}

LEDGE_COLD size_t ledge_run_bytes(const struct ledge_run *run)
{
    return sizeof *run + run->memory.total + (runs_late(run) ? ledge_late_bytes(run->late) : 0);
}
