/* SPDX-License-Identifier: Apache-2.0 */
/* plan.c -- a plan from a graph: specialise, block, prepare each node that is left, place. */
#include "engine/plan/plan.h"

#include "base/status.h"
#include "engine/plan/internal.h"
#include "engine/port/port.h"
#include "engine/port/select.h"

/* An alias hands on the same bytes; anything else would read past them. */
static enum ledge_status check_step(const struct ledge_plan *plan, const struct ledge_node *node,
                                    const struct ledge_op_prepare *ready, struct ledge_error *err)
{
    if (ready->alias < 0) {
        LEDGE_TRY(ledge_plan_check_chosen(ready, err));
        return ready->run != NULL ? LEDGE_OK
                                  : ledge_fail(err, LEDGE_ERR_INTERNAL, "node %s (%s): no kernel",
                                               node->name, node->op);
    }
    const struct ledge_value *values = plan->graph.values;
    if (ready->alias >= node->n_in || node->in[ready->alias] < 0 || node->out[0] < 0 ||
        ledge_value_bytes(&values[node->in[ready->alias]]) !=
            ledge_value_bytes(&values[node->out[0]])) {
        return ledge_fail(err, LEDGE_ERR_INTERNAL, "node %s (%s): not an alias", node->name,
                          node->op);
    }
    return LEDGE_OK;
}

/* Loose constants that the step does not pack get a copy. *any: there were some. */
static enum ledge_status settle_inputs(struct ledge_plan *plan,
                                       const struct ledge_op_prepare *ready, bool *any,
                                       struct ledge_error *err)
{
    uint32_t packed = ready->pack != NULL ? ready->packed_inputs & ready->loose_inputs : 0;
    *any = false;
    for (int32_t k = 0; k < ready->node->n_in; k++) {
        int32_t value = ready->node->in[k];
        if (value >= 0 && plan->graph.values[value].loose && (k >= 32 || (packed >> k & 1) == 0)) {
            *any = true;
            LEDGE_TRY(ledge_graph_settle(&plan->graph, value, err));
        }
    }
    return LEDGE_OK;
}

static enum ledge_status prepare_step(struct ledge_plan *plan, struct ledge_plan_step *step,
                                      const struct ledge_plan_options *options, int32_t threads,
                                      struct ledge_error *err)
{
    struct ledge_error local = {.status = LEDGE_OK};
    step->ready = (struct ledge_op_prepare){.graph = &plan->graph,
                                            .node = step->node,
                                            .memory = &plan->memory,
                                            .rung = options->rung,
                                            .consistent = options->consistent,
                                            .bf16 = options->bf16,
                                            .threads = threads,
                                            .err = &local,
                                            .in_place = -1,
                                            .alias = -1};
    enum ledge_status status = ledge_op_find(&plan->graph, step->node)->prepare(&step->ready);
    step->ready.err = NULL;
    if (status != LEDGE_OK) {
        return ledge_fail(err, status, "%s", local.text);
    }
    bool settled;
    LEDGE_TRY(settle_inputs(plan, &step->ready, &settled, err));
    if (settled) { /* params may point to what it was; it is loose no longer */
        return prepare_step(plan, step, options, threads, err);
    }
    return check_step(plan, step->node, &step->ready, err);
}

static enum ledge_status prepare_steps(struct ledge_plan *plan,
                                       const struct ledge_plan_options *options,
                                       struct ledge_error *err)
{
    const struct ledge_graph *graph = &plan->graph;
    plan->steps = LEDGE_NEW_ARRAY(&plan->memory, struct ledge_plan_step, (size_t)graph->n_nodes);
    if (plan->steps == NULL) {
        return ledge_fail(err, LEDGE_ERR_NOMEM, "no memory for %d steps", (int)graph->n_nodes);
    }
    for (int32_t i = 0; i < graph->n_nodes && !graph->nodes[i].dead; i++) {
        struct ledge_plan_step *step = &plan->steps[plan->n_steps++];
        step->node = &graph->nodes[i];
        LEDGE_TRY(prepare_step(plan, step, options, plan->threads, err));
    }
    if (plan->threads > 1) {
        ledge_plan_share(plan, options);
    }
    for (int32_t s = 0; s < plan->n_steps; s++) {
        struct ledge_plan_step *step = &plan->steps[s];
        /* What was cut in pieces for threads is made whole again. */
        if (plan->threads > 1 && !step->shared && step->ready.macs > 0) {
            LEDGE_TRY(prepare_step(plan, step, options, 1, err));
        }
    }
    enum ledge_status status = LEDGE_OK;
    if (plan->n_steps > 1) {
        LEDGE_KEEP(LEDGE_PASS_NHWC)(status = ledge_plan_bands_i8(plan, options, err);)
    }
    if (status == LEDGE_OK && plan->n_steps > 1) {
        LEDGE_KEEP(LEDGE_KERNEL_Concat_in_place)(status = ledge_plan_find_rows(plan, options, err);)
    }
    for (int32_t s = 0; s < plan->n_steps; s++) {
        if (plan->steps[s].ready.scratch_bytes > plan->scratch_bytes) {
            plan->scratch_bytes = plan->steps[s].ready.scratch_bytes;
        }
    }
    return status;
}

/* What is folded is computed as in a run. */
static enum ledge_status specialise(struct ledge_plan *plan,
                                    const struct ledge_plan_options *options,
                                    struct ledge_error *err)
{
    if (!options->consistent) {
        return ledge_plan_specialise(plan, options, err);
    }
    unsigned before = ledge_denormals_on();
    enum ledge_status status = ledge_plan_specialise(plan, options, err);
    ledge_denormals_restore(before);
    return status;
}

/* What threads share nothing of was joined and cut for them all the same, if it multiplies. */
static bool is_cut_in_vain(const struct ledge_plan *plan)
{
    bool multiplies = false, shared = plan->threads == 1;
    for (int32_t s = 0; s < plan->n_steps; s++) {
        multiplies = multiplies || plan->steps[s].ready.macs > 0;
        shared = shared || plan->steps[s].shared;
    }
    return multiplies && !shared;
}

/* The plan of one thread, for a pool of options->threads. */
static enum ledge_status create_alone(const struct ledge_graph *graph,
                                      const struct ledge_plan_options *options,
                                      const struct ledge_allocator *allocator,
                                      struct ledge_plan **plan, struct ledge_error *err)
{
    struct ledge_plan_options alone = *options;
    alone.threads = 1;
    LEDGE_TRY(ledge_plan_create(graph, &alone, allocator, plan, err));
    (*plan)->threads = options->threads;
    return LEDGE_OK;
}

enum ledge_status ledge_plan_create(const struct ledge_graph *graph,
                                    const struct ledge_plan_options *options,
                                    const struct ledge_allocator *allocator,
                                    struct ledge_plan **plan, struct ledge_error *err)
{
    if (allocator == NULL) {
        allocator = ledge_allocator_default();
    }
    struct ledge_plan *made =
        allocator->alloc(allocator->user, sizeof *made, _Alignof(struct ledge_plan));
    if (made == NULL) {
        return ledge_fail(err, LEDGE_ERR_NOMEM, "no memory for a plan");
    }
    *made = (struct ledge_plan){.threads = options->threads > 1 ? options->threads : 1,
                                .rung = options->rung,
                                .consistent = options->consistent,
                                .bf16 = options->bf16,
                                .max_trips = options->max_trips,
                                .depth = options->depth};
    ledge_graph_init(&made->graph, allocator);
    ledge_arena_init(&made->memory, allocator);
    enum ledge_status status = ledge_graph_copy(graph, &made->graph, err);
    if (status == LEDGE_OK) {
        status = specialise(made, options, err);
    }
    if (status == LEDGE_OK) {
        LEDGE_KEEP(LEDGE_OP_BlockedConv)(status = ledge_plan_layout(made, options, err);)
    }
    if (status == LEDGE_OK) {
        LEDGE_KEEP(LEDGE_OP_BlockedConv)
        (status = ledge_plan_join(made, options, ledge_plan_join_bands, err);)
    }
    if (status == LEDGE_OK) {
        LEDGE_KEEP(LEDGE_KERNEL_sum_i8)
        (status = ledge_plan_join(made, options, ledge_plan_join_sum, err);)
    }
    if (status == LEDGE_OK) {
        status = prepare_steps(made, options, err);
    }
    if (status == LEDGE_OK && is_cut_in_vain(made)) {
        ledge_plan_free(made);
        return create_alone(graph, options, allocator, plan, err);
    }
    if (status == LEDGE_OK) {
        status = ledge_plan_pack(made, options, err);
    }
    if (status == LEDGE_OK) {
        status = ledge_plan_place(made, err);
    }
    if (status == LEDGE_OK) {
        LEDGE_KEEP(LEDGE_KERNEL_Concat_in_place)(status = ledge_plan_take_rows(made, err);)
    }
    if (status != LEDGE_ERR_NOMEM && (made->graph.arena.failed || made->memory.failed)) {
        status = ledge_fail(err, LEDGE_ERR_NOMEM, "no memory for a plan");
    }
    if (status != LEDGE_OK) {
        ledge_plan_free(made);
        return status;
    }
    *plan = made;
    return LEDGE_OK;
}

void ledge_plan_free(struct ledge_plan *plan)
{
    if (plan == NULL) {
        return;
    }
    struct ledge_allocator allocator = plan->memory.allocator;
    ledge_graph_done(&plan->graph);
    ledge_arena_done(&plan->memory);
    allocator.release(allocator.user, plan, sizeof *plan);
}
