/* SPDX-License-Identifier: Apache-2.0 */
/* session.c -- a plan, a run and a pool in one handle; the border where a caller's tensors are
 * checked. */
#include "ledge/session.h"

#include <string.h>

#include "base/banned.h"
#include "base/status.h"
#include "engine/api/model.h"
#include "engine/run/run.h"

struct ledge_session {
    struct ledge_model *model;
    struct ledge_plan *plan;
    struct ledge_pool *pool;
    struct ledge_run *run;
    bool profile;
    bool into; /* outputs were bound to the caller's memory */
};

/* The plan for these options; give it back with ledge_model_give_plan(). */
static enum ledge_status take_plan(struct ledge_model *model,
                                   const struct ledge_session_options *options,
                                   struct ledge_plan **plan, struct ledge_error *err)
{
    struct ledge_arena scratch;
    ledge_arena_init(&scratch, &model->allocator);
    struct ledge_plan_options wanted = {
        .rung = ledge_port_rung(), .threads = options->threads, .batch = options->batch};
    if (options->input_shapes != NULL) {
        struct ledge_view *views =
            LEDGE_NEW_ARRAY(&scratch, struct ledge_view, (size_t)options->n_input_shapes);
        for (int32_t i = 0; views != NULL && i < options->n_input_shapes; i++) {
            views[i].rank = options->input_shapes[i].rank;
            for (int32_t k = 0; k < LEDGE_MAX_RANK; k++) {
                views[i].dims[k] = options->input_shapes[i].dims[k];
            }
        }
        if (views == NULL) {
            ledge_arena_done(&scratch);
            return ledge_fail(err, LEDGE_ERR_NOMEM, "no memory for a session");
        }
        wanted.input_shapes = views;
        wanted.n_input_shapes = options->n_input_shapes;
    }
    enum ledge_status status = ledge_model_take_plan(model, &wanted, plan, err);
    ledge_arena_done(&scratch);
    return status;
}

static enum ledge_status build(struct ledge_session *session,
                               const struct ledge_session_options *options, struct ledge_error *err)
{
    const struct ledge_allocator *allocator = &session->model->allocator;
    LEDGE_TRY(take_plan(session->model, options, &session->plan, err));
    LEDGE_TRY(ledge_pool_create(options->threads, allocator, &session->pool, err));
    LEDGE_TRY(ledge_run_create_in(session->plan, session->pool, allocator, options->arena,
                                  options->arena_bytes, &session->run, err));
    session->profile = options->profile != 0;
    ledge_run_profile(session->run, session->profile);
    return LEDGE_OK;
}

static enum ledge_status check_options(const struct ledge_session_options *options,
                                       const struct ledge_model *model, struct ledge_error *err)
{
    if (options->threads < 0 || options->batch < 0) {
        return ledge_fail(err, LEDGE_ERR_ARG, "threads %d, batch %d: not negative",
                          (int)options->threads, (int)options->batch);
    }
    if (options->input_shapes == NULL) {
        return LEDGE_OK;
    }
    if (options->n_input_shapes != model->graph.n_inputs) {
        return ledge_fail(err, LEDGE_ERR_ARG, "%d input shapes for %d inputs",
                          (int)options->n_input_shapes, (int)model->graph.n_inputs);
    }
    for (int32_t i = 0; i < options->n_input_shapes; i++) {
        int32_t rank = options->input_shapes[i].rank;
        if (rank < 0 || rank > LEDGE_MAX_RANK) {
            return ledge_fail(err, LEDGE_ERR_ARG, "input %s: rank %d", model->inputs[i].name,
                              (int)rank);
        }
    }
    return LEDGE_OK;
}

static const struct ledge_session_options defaults = {.threads = 1};

enum ledge_status ledge_session_arena_size(struct ledge_model *model,
                                           const struct ledge_session_options *options,
                                           size_t *bytes, struct ledge_error *err)
{
    struct ledge_plan *plan = NULL;
    if (model == NULL || bytes == NULL) {
        return ledge_fail(err, LEDGE_ERR_ARG, "model and bytes must be given");
    }
    options = options != NULL ? options : &defaults;
    LEDGE_TRY(check_options(options, model, err));
    LEDGE_TRY(take_plan(model, options, &plan, err));
    *bytes = ledge_run_arena_size(plan);
    ledge_model_give_plan(model, plan);
    return LEDGE_OK;
}

enum ledge_status ledge_session_open(struct ledge_model *model,
                                     const struct ledge_session_options *options,
                                     struct ledge_session **session, struct ledge_error *err)
{
    if (model == NULL || session == NULL) {
        return ledge_fail(err, LEDGE_ERR_ARG, "model and session must be given");
    }
    options = options != NULL ? options : &defaults;
    LEDGE_TRY(check_options(options, model, err));
    struct ledge_session *made =
        model->allocator.alloc(model->allocator.user, sizeof *made, _Alignof(struct ledge_session));
    if (made == NULL) {
        return ledge_fail(err, LEDGE_ERR_NOMEM, "no memory for a session");
    }
    *made = (struct ledge_session){.model = model};
    ledge_model_ref(model);
    enum ledge_status status = build(made, options, err);
    if (status != LEDGE_OK) {
        ledge_session_close(made);
        return status;
    }
    *session = made;
    return LEDGE_OK;
}

void ledge_session_close(struct ledge_session *session)
{
    if (session == NULL) {
        return;
    }
    struct ledge_model *model = session->model;
    struct ledge_allocator allocator = model->allocator;
    ledge_run_free(session->run);
    ledge_pool_free(session->pool);
    if (session->plan != NULL) {
        ledge_model_give_plan(model, session->plan);
    }
    allocator.release(allocator.user, session, sizeof *session);
    ledge_model_close(model);
}

static struct ledge_tensor tensor_of(const struct ledge_session *session, int32_t value)
{
    const struct ledge_value *v = &session->plan->graph.values[value];
    struct ledge_tensor tensor = {
        .bytes = ledge_value_bytes(v), .dtype = v->dtype, .rank = v->rank};
    for (int32_t k = 0; k < v->rank; k++) {
        tensor.dims[k] = v->dims[k];
    }
    if (v->quant != NULL && v->quant->n == 1) {
        tensor.scale = v->quant->scales[0];
        tensor.zero_point = v->quant->zero_points[0];
    }
    return tensor;
}

enum ledge_status ledge_session_input(const struct ledge_session *session, int32_t index,
                                      struct ledge_tensor *tensor)
{
    const struct ledge_graph *graph = &session->plan->graph;
    if (index < 0 || index >= graph->n_inputs) {
        return LEDGE_ERR_ARG;
    }
    *tensor = tensor_of(session, graph->inputs[index]);
    return LEDGE_OK;
}

enum ledge_status ledge_session_output(const struct ledge_session *session, int32_t index,
                                       struct ledge_tensor *tensor)
{
    const struct ledge_graph *graph = &session->plan->graph;
    if (index < 0 || index >= graph->n_outputs) {
        return LEDGE_ERR_ARG;
    }
    *tensor = tensor_of(session, graph->outputs[index]);
    return LEDGE_OK;
}

static enum ledge_status check_input(const struct ledge_session *session, int32_t index,
                                     const struct ledge_tensor *given, struct ledge_error *err)
{
    const struct ledge_value *want =
        &session->plan->graph.values[session->plan->graph.inputs[index]];
    const char *name = session->model->inputs[index].name;
    if (given->dtype != want->dtype) {
        return ledge_fail(err, LEDGE_ERR_DTYPE, "input %s is %s, given is %s", name,
                          ledge_dtype_text(want->dtype), ledge_dtype_text(given->dtype));
    }
    bool same = given->rank == want->rank;
    for (int32_t k = 0; same && k < want->rank; k++) {
        if (given->dims[k] != want->dims[k]) {
            return ledge_fail(err, LEDGE_ERR_SHAPE, "input %s: dimension %d is %lld, given is %lld",
                              name, (int)k, (long long)want->dims[k], (long long)given->dims[k]);
        }
    }
    size_t bytes = ledge_value_bytes(want);
    if (!same || given->bytes != bytes) {
        return ledge_fail(err, LEDGE_ERR_SHAPE,
                          "input %s: rank %d and %zu bytes, given are rank %d and %zu bytes", name,
                          (int)want->rank, bytes, (int)given->rank, given->bytes);
    }
    if (given->data == NULL || (uintptr_t)given->data % ledge_dtype_size(want->dtype) != 0) {
        return ledge_fail(err, LEDGE_ERR_ARG, "input %s: data is %s", name,
                          given->data == NULL ? "NULL" : "not aligned to its elements");
    }
    return LEDGE_OK;
}

/* Everything but the outputs. */
static enum ledge_status run_inputs(struct ledge_session *session,
                                    const struct ledge_tensor *inputs, int32_t n_inputs,
                                    int32_t n_outputs, struct ledge_error *err)
{
    const struct ledge_graph *graph = &session->plan->graph;
    if (n_inputs != graph->n_inputs || n_outputs != graph->n_outputs) {
        return ledge_fail(
            err, LEDGE_ERR_ARG, "the model has %d inputs and %d outputs, given are %d and %d",
            (int)graph->n_inputs, (int)graph->n_outputs, (int)n_inputs, (int)n_outputs);
    }
    for (int32_t i = 0; i < n_inputs; i++) {
        LEDGE_TRY(check_input(session, i, &inputs[i], err));
    }
    for (int32_t i = 0; i < n_inputs; i++) {
        ledge_run_bind(session->run, i, inputs[i].data);
    }
    return ledge_run_once(session->run, err);
}

static void bind_outputs(struct ledge_session *session, const struct ledge_tensor *outputs)
{
    for (int32_t i = 0; i < session->plan->graph.n_outputs; i++) {
        bool direct = outputs != NULL && (uintptr_t)outputs[i].data % 64 == 0;
        ledge_run_bind_output(session->run, i, direct ? outputs[i].data : NULL);
    }
    session->into = outputs != NULL;
}

enum ledge_status ledge_session_run(struct ledge_session *session,
                                    const struct ledge_tensor *inputs, int32_t n_inputs,
                                    struct ledge_tensor *outputs, int32_t n_outputs,
                                    struct ledge_error *err)
{
    if (session->into) {
        bind_outputs(session, NULL);
    }
    LEDGE_TRY(run_inputs(session, inputs, n_inputs, n_outputs, err));
    for (int32_t i = 0; i < n_outputs; i++) {
        outputs[i] = tensor_of(session, session->plan->graph.outputs[i]);
        outputs[i].data = ledge_run_output(session->run, i).data;
    }
    return LEDGE_OK;
}

enum ledge_status ledge_session_run_into(struct ledge_session *session,
                                         const struct ledge_tensor *inputs, int32_t n_inputs,
                                         struct ledge_tensor *outputs, int32_t n_outputs,
                                         struct ledge_error *err)
{
    const struct ledge_graph *graph = &session->plan->graph;
    for (int32_t i = 0; i < n_outputs && n_outputs == graph->n_outputs; i++) {
        size_t bytes = ledge_value_bytes(&graph->values[graph->outputs[i]]);
        if (outputs[i].data == NULL || outputs[i].bytes < bytes) {
            return ledge_fail(err, outputs[i].data == NULL ? LEDGE_ERR_ARG : LEDGE_ERR_SHAPE,
                              "output %s needs %zu bytes, given are %zu",
                              session->model->outputs[i].name, bytes,
                              outputs[i].data == NULL ? 0 : outputs[i].bytes);
        }
    }
    if (n_outputs == graph->n_outputs) {
        bind_outputs(session, outputs);
    }
    LEDGE_TRY(run_inputs(session, inputs, n_inputs, n_outputs, err));
    for (int32_t i = 0; i < n_outputs; i++) {
        void *data = outputs[i].data;
        outputs[i] = tensor_of(session, graph->outputs[i]);
        outputs[i].data = data;
        const void *made = ledge_run_output(session->run, i).data;
        if (made != data && outputs[i].bytes > 0) {
            memcpy(data, made, outputs[i].bytes);
        }
    }
    return LEDGE_OK;
}

void ledge_session_reset(struct ledge_session *session)
{
    ledge_run_reset(session->run);
}

size_t ledge_session_arena_bytes(const struct ledge_session *session)
{
    return session->plan->arena_bytes;
}

size_t ledge_session_memory_bytes(const struct ledge_session *session)
{
    const struct ledge_plan *plan = session->plan;
    return sizeof *session + ledge_run_bytes(session->run) + sizeof *plan + plan->memory.total +
           plan->graph.arena.total;
}

int32_t ledge_session_n_steps(const struct ledge_session *session)
{
    return session->plan->n_steps;
}

enum ledge_status ledge_session_step(const struct ledge_session *session, int32_t index,
                                     struct ledge_step_info *info)
{
    const struct ledge_plan *plan = session->plan;
    if (index < 0 || index >= plan->n_steps) {
        return LEDGE_ERR_ARG;
    }
    const struct ledge_plan_step *step = &plan->steps[index];
    const struct ledge_node *node = step->node;
    *info = (struct ledge_step_info){
        .node = node->name,
        .op = node->op,
        .kernel = step->ready.alias >= 0 ? "alias" : step->ready.kernel,
        .macs = step->ready.macs,
        .out_offset = SIZE_MAX,
        .seconds = session->profile ? ledge_run_seconds(session->run, index) : 0};
    for (int32_t i = 0; i < node->n_in; i++) {
        if (node->in[i] >= 0 && plan->graph.values[node->in[i]].data != NULL) {
            info->weight_bytes += plan->graph.values[node->in[i]].bytes;
        } else if (node->in[i] >= 0) {
            info->in_bytes += ledge_value_bytes(&plan->graph.values[node->in[i]]);
        }
    }
    if (node->n_in > 0 && node->in[0] >= 0) {
        info->dtype = plan->graph.values[node->in[0]].dtype;
    }
    if (node->n_out > 0 && node->out[0] >= 0) {
        const struct ledge_value *out = &plan->graph.values[node->out[0]];
        const struct ledge_place *place = &plan->places[node->out[0]];
        info->out_bytes = ledge_value_bytes(out);
        info->out_dtype = out->dtype;
        info->out_offset = place->kind == LEDGE_PLACE_ARENA ? place->offset : SIZE_MAX;
        info->out_rank = out->rank;
        for (int32_t k = 0; k < out->rank; k++) {
            info->out_dims[k] = out->dims[k];
        }
    }
    return LEDGE_OK;
}
