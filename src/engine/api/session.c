/* SPDX-License-Identifier: Apache-2.0 */
/* session.c -- plans, runs and a pool in one handle; the border where a caller's tensors are
 * checked.
 *
 * A run with other input shapes than those in use, where the model leaves dimensions free, takes up
 * a plan for them; the latest few stay ready. Not so with an arena of the caller's, which is made
 * for one, and for models that keep values from run to run. */
#include "ledge/session.h"

#include <string.h>

#include "base/banned.h"
#include "base/checked.h"
#include "base/status.h"
#include "engine/api/model.h"
#include "engine/port/select.h"
#include "engine/run/run.h"

/* Sets of input shapes that a session keeps ready. */
enum { SHAPES = 4 };

struct shaped {
    struct ledge_plan *plan;
    struct ledge_run *run;
    uint64_t used_at;
    bool into; /* outputs were bound to the caller's memory */
};

/* The model's allocator with a limit. */
struct budget {
    struct ledge_allocator from;
    size_t limit, used;
    size_t refused; /* bytes of the allocation that would have gone beyond it; 0: none */
};

struct ledge_session {
    struct ledge_model *model;
    struct budget budget;
    struct ledge_allocator allocator; /* of runs */
    struct ledge_pool *pool;
    struct shaped shaped[SHAPES];
    struct shaped *now; /* of the shapes in use, as are plan and run */
    struct ledge_plan *plan;
    struct ledge_run *run;
    uint64_t clock;
    void *arena; /* the caller's, or NULL */
    size_t arena_bytes;
    int32_t threads;
    int32_t numerics, precision;
    bool profile;
    bool strings; /* the caller knows tensors of strings */
    bool again;   /* inputs and outputs lie where the last run left them: run_again() may */
};

/* The plan for these options; give it back with ledge_model_give_plan(). */
static enum ledge_status take_plan(struct ledge_model *model,
                                   const struct ledge_session_options *options,
                                   struct ledge_pool *pool, struct ledge_plan **plan,
                                   struct ledge_error *err)
{
    struct ledge_arena scratch;
    if (!LEDGE_CONSISTENT && options->numerics == LEDGE_NUMERICS_CONSISTENT) {
        return ledge_fail(err, LEDGE_ERR_UNSUPPORTED, "this build has no consistent numerics");
    }
    ledge_arena_init(&scratch, &model->allocator);
    struct ledge_plan_options wanted = {.rung = ledge_port_rung(),
                                        .threads = options->threads,
                                        .pool = pool,
                                        .batch = options->batch,
                                        .consistent =
                                            options->numerics == LEDGE_NUMERICS_CONSISTENT,
                                        .bf16 = options->precision == LEDGE_PRECISION_BF16};
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

static void *spend(void *user, size_t bytes, size_t alignment)
{
    struct budget *budget = user;
    if (bytes > budget->limit - budget->used) {
        budget->refused = bytes;
        return NULL;
    }
    void *made = budget->from.alloc(budget->from.user, bytes, alignment);
    budget->used += made != NULL ? bytes : 0;
    return made;
}

static void give_back(void *user, void *memory, size_t bytes)
{
    struct budget *budget = user;
    budget->used -= memory != NULL ? bytes : 0;
    budget->from.release(budget->from.user, memory, bytes);
}

static void set_budget(struct ledge_session *session, size_t limit)
{
    session->allocator = session->model->allocator;
    if (limit > 0) {
        session->budget = (struct budget){.from = session->allocator, .limit = limit};
        session->allocator = (struct ledge_allocator){
            .alloc = spend, .release = give_back, .user = &session->budget};
    }
}

/* What ran out was the caller's limit: say so. */
static enum ledge_status over_budget(struct ledge_session *session, enum ledge_status status,
                                     struct ledge_error *err)
{
    size_t refused = session->budget.refused;
    session->budget.refused = 0;
    return refused == 0 || status != LEDGE_ERR_NOMEM
               ? status
               : ledge_fail(err, status,
                            "%zu bytes more than the %zu in use are beyond max_bytes %zu", refused,
                            session->budget.used, session->budget.limit);
}

static void drop(struct ledge_session *session, struct shaped *entry)
{
    ledge_run_free(entry->run);
    if (entry->plan != NULL) {
        ledge_model_give_plan(session->model, entry->plan);
    }
    *entry = (struct shaped){.plan = NULL};
}

static enum ledge_status only_tensors(const struct ledge_plan *plan, bool strings,
                                      struct ledge_error *err)
{
    for (int32_t i = 0; i < plan->graph.n_inputs; i++) {
        const struct ledge_value *value = &plan->graph.values[plan->graph.inputs[i]];
        if (value->late) {
            return ledge_fail(err, LEDGE_ERR_UNSUPPORTED,
                              "input %s is a sequence or an optional: a session takes tensors",
                              value->name);
        }
        if (value->dtype == LEDGE_STRING && !strings) {
            return ledge_fail(err, LEDGE_ERR_UNSUPPORTED,
                              "input %s holds strings: open the session with strings", value->name);
        }
    }
    return LEDGE_OK;
}

/* A run of the plan, which is taken over, in the place of the one not used for longest; they become
 * the ones in use. On failure nothing has changed but that place. */
static enum ledge_status use(struct ledge_session *session, struct ledge_plan *plan,
                             struct ledge_error *err)
{
    struct shaped *entry = NULL;
    for (int i = 0; i < SHAPES; i++) {
        struct shaped *other = &session->shaped[i];
        if (other != session->now) {
            entry = entry == NULL || other->used_at < entry->used_at ? other : entry;
        }
    }
    drop(session, entry);
    entry->plan = plan;
    enum ledge_status status = only_tensors(plan, session->strings, err);
    if (status == LEDGE_OK) {
        status = ledge_run_create_in(plan, session->pool, &session->allocator, session->arena,
                                     session->arena_bytes, &entry->run, err);
        status = over_budget(session, status, err);
    }
    if (status != LEDGE_OK) {
        drop(session, entry);
        return status;
    }
    ledge_run_profile(entry->run, session->profile);
    entry->used_at = ++session->clock;
    session->now = entry;
    session->plan = entry->plan;
    session->run = entry->run;
    return LEDGE_OK;
}

static enum ledge_status build(struct ledge_session *session,
                               const struct ledge_session_options *options, struct ledge_error *err)
{
    struct ledge_plan *plan = NULL;
    set_budget(session, options->max_bytes);
    session->threads = options->threads;
    session->numerics = options->numerics;
    session->precision = options->precision;
    session->profile = options->profile != 0;
    session->strings = options->strings != 0;
    session->arena = options->arena;
    session->arena_bytes = options->arena_bytes;
    /* More threads than CPUs only get in each other's way. */
    int32_t cpus = options->threads > 1 ? ledge_port_cpus() : 1;
    LEDGE_TRY(ledge_pool_create(options->threads < cpus ? options->threads : cpus,
                                &session->model->allocator, &session->pool, err));
    LEDGE_TRY(take_plan(session->model, options, session->pool, &plan, err));
    return use(session, plan, err);
}

static enum ledge_status check_options(const struct ledge_session_options *options,
                                       const struct ledge_model *model, struct ledge_error *err)
{
    if (options->threads < 0 || options->batch < 0) {
        return ledge_fail(err, LEDGE_ERR_ARG, "threads %d, batch %d: not negative",
                          (int)options->threads, (int)options->batch);
    }
    if (options->numerics != LEDGE_NUMERICS_FAST &&
        options->numerics != LEDGE_NUMERICS_CONSISTENT) {
        return ledge_fail(err, LEDGE_ERR_ARG, "numerics %d: no such mode", (int)options->numerics);
    }
    if (options->precision != LEDGE_PRECISION_F32 && options->precision != LEDGE_PRECISION_BF16) {
        return ledge_fail(err, LEDGE_ERR_ARG, "precision %d: no such one", (int)options->precision);
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
    LEDGE_TRY(take_plan(model, options, NULL, &plan, err));
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
    for (int i = 0; i < SHAPES; i++) {
        drop(session, &session->shaped[i]);
    }
    ledge_pool_free(session->pool);
    allocator.release(allocator.user, session, sizeof *session);
    ledge_model_close(model);
}

static struct ledge_tensor tensor_of_view(const struct ledge_view *view)
{
    struct ledge_tensor tensor = {
        .bytes = ledge_view_bytes(view), .dtype = view->dtype, .rank = view->rank};
    for (int32_t k = 0; k < view->rank; k++) {
        tensor.dims[k] = view->dims[k];
    }
    if (view->quant != NULL && view->quant->n == 1) {
        tensor.scale = view->quant->scales[0];
        tensor.zero_point = view->quant->zero_points[0];
    }
    return tensor;
}

static struct ledge_tensor tensor_of(const struct ledge_session *session, int32_t value)
{
    const struct ledge_value *v = &session->plan->graph.values[value];
    struct ledge_view view = ledge_value_view(v);
    struct ledge_tensor tensor = tensor_of_view(&view);
    tensor.bytes = v->late ? 0 : tensor.bytes; /* its shape is known after a run */
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
    if (index < 0 || index >= session->plan->n_outputs) {
        return LEDGE_ERR_ARG;
    }
    *tensor = tensor_of(session, graph->outputs[index]);
    return LEDGE_OK;
}

static bool same_shape(const struct ledge_value *value, const struct ledge_tensor *given)
{
    bool same = given->rank == value->rank;
    for (int32_t k = 0; same && k < value->rank; k++) {
        same = given->dims[k] == value->dims[k];
    }
    return same;
}

static bool plan_fits(const struct ledge_plan *plan, const struct ledge_tensor *inputs)
{
    bool fits = plan != NULL;
    for (int32_t i = 0; fits && i < plan->graph.n_inputs; i++) {
        fits = same_shape(&plan->graph.values[plan->graph.inputs[i]], &inputs[i]);
    }
    return fits;
}

/* May this shape differ from the planned one? Only where the model leaves dimensions free. */
static bool may_be(const struct ledge_tensor_info *declared, const struct ledge_tensor *given)
{
    bool may = given->rank >= 0 && given->rank <= LEDGE_MAX_RANK &&
               (declared->rank < 0 || declared->rank == given->rank);
    for (int32_t k = 0; may && k < given->rank; k++) {
        may = given->dims[k] >= 0 &&
              (declared->rank < 0 || declared->dims[k] < 0 || declared->dims[k] == given->dims[k]);
    }
    return may;
}

/* Take up the plan for the shapes given, when they are others than those in use and the model
 * allows them. */
static enum ledge_status follow_shapes(struct ledge_session *session,
                                       const struct ledge_tensor *inputs, int32_t n,
                                       struct ledge_error *err)
{
    if (plan_fits(session->plan, inputs) || session->arena != NULL ||
        session->plan->graph.n_states > 0) {
        return LEDGE_OK;
    }
    for (int32_t i = 0; i < n; i++) {
        if (!may_be(&session->model->inputs[i], &inputs[i])) {
            return LEDGE_OK; /* check_input() says what is wrong */
        }
    }
    for (int i = 0; i < SHAPES; i++) {
        struct shaped *entry = &session->shaped[i];
        if (plan_fits(entry->plan, inputs)) {
            entry->used_at = ++session->clock;
            session->now = entry;
            session->plan = entry->plan;
            session->run = entry->run;
            return LEDGE_OK;
        }
    }
    struct ledge_plan *plan = NULL;
    const struct ledge_session_options options = {.threads = session->threads,
                                                  .numerics = session->numerics,
                                                  .precision = session->precision,
                                                  .input_shapes = inputs,
                                                  .n_input_shapes = n};
    LEDGE_TRY(take_plan(session->model, &options, session->pool, &plan, err));
    return use(session, plan, err);
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
    for (int32_t k = 0; given->rank == want->rank && k < want->rank; k++) {
        if (given->dims[k] != want->dims[k]) {
            return ledge_fail(err, LEDGE_ERR_SHAPE, "input %s: dimension %d is %lld, given is %lld",
                              name, (int)k, (long long)want->dims[k], (long long)given->dims[k]);
        }
    }
    size_t bytes = ledge_value_bytes(want);
    if (given->rank != want->rank || given->bytes != bytes) {
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

static bool of_type(const struct ledge_session *session, const struct ledge_tensor *inputs)
{
    bool right = true;
    for (int32_t i = 0; right && i < session->plan->graph.n_inputs; i++) {
        size_t bytes = ledge_dtype_size(session->model->inputs[i].dtype);
        for (int32_t k = 0; right && k < inputs[i].rank && k < LEDGE_MAX_RANK; k++) {
            right =
                inputs[i].dims[k] >= 0 && ledge_mul_size(bytes, (size_t)inputs[i].dims[k], &bytes);
        }
        right = right && inputs[i].data != NULL && inputs[i].bytes == bytes &&
                inputs[i].dtype == session->model->inputs[i].dtype;
    }
    return right;
}

/* Inputs checked and bound, with the plan for their shapes in use. */
static enum ledge_status begin(struct ledge_session *session, const struct ledge_tensor *inputs,
                               int32_t n_inputs, int32_t n_outputs, struct ledge_error *err)
{
    const struct ledge_model *model = session->model;
    session->again = false;
    if (n_inputs != model->graph.n_inputs || n_outputs != model->graph.n_outputs) {
        return ledge_fail(
            err, LEDGE_ERR_ARG, "the model has %d inputs and %d outputs, given are %d and %d",
            (int)model->graph.n_inputs, (int)model->graph.n_outputs, (int)n_inputs, (int)n_outputs);
    }
    if (of_type(session, inputs)) {
        LEDGE_TRY(follow_shapes(session, inputs, n_inputs, err));
    }
    for (int32_t i = 0; i < n_inputs; i++) {
        LEDGE_TRY(check_input(session, i, &inputs[i], err));
    }
    for (int32_t i = 0; i < n_inputs; i++) {
        ledge_run_bind(session->run, i, inputs[i].data);
    }
    return LEDGE_OK;
}

static void bind_outputs(struct ledge_session *session, const struct ledge_tensor *outputs)
{
    for (int32_t i = 0; i < session->plan->n_outputs; i++) {
        bool direct = outputs != NULL && (uintptr_t)outputs[i].data % 64 == 0;
        ledge_run_bind_output(session->run, i, direct ? outputs[i].data : NULL);
    }
    session->now->into = outputs != NULL;
}

/* Output number i after a run. Errors: ERR_UNSUPPORTED (a sequence, strings). */
static enum ledge_status made(const struct ledge_session *session, int32_t i,
                              struct ledge_tensor *tensor, struct ledge_error *err)
{
    struct ledge_any any = ledge_run_output_any(session->run, i);
    if (any.kind != LEDGE_ANY_TENSOR) {
        return ledge_fail(err, LEDGE_ERR_UNSUPPORTED, "output %s is no tensor",
                          session->model->outputs[i].name);
    }
    if (any.view.dtype == LEDGE_STRING && !session->strings) {
        return ledge_fail(err, LEDGE_ERR_UNSUPPORTED,
                          "output %s holds strings: open the session with strings",
                          session->model->outputs[i].name);
    }
    *tensor = tensor_of_view(&any.view);
    tensor->data = any.view.data;
    return LEDGE_OK;
}

enum ledge_status ledge_session_run(struct ledge_session *session,
                                    const struct ledge_tensor *inputs, int32_t n_inputs,
                                    struct ledge_tensor *outputs, int32_t n_outputs,
                                    struct ledge_error *err)
{
    LEDGE_TRY(begin(session, inputs, n_inputs, n_outputs, err));
    if (session->now->into) {
        bind_outputs(session, NULL);
    }
    LEDGE_TRY(over_budget(session, ledge_run_once(session->run, err), err));
    for (int32_t i = 0; i < n_outputs; i++) {
        LEDGE_TRY(made(session, i, &outputs[i], err));
    }
    return LEDGE_OK;
}

static enum ledge_status check_room(const struct ledge_session *session, int32_t i, size_t bytes,
                                    const struct ledge_tensor *output, struct ledge_error *err)
{
    if (output->data != NULL && output->bytes >= bytes) {
        return LEDGE_OK;
    }
    return ledge_fail(err, output->data == NULL ? LEDGE_ERR_ARG : LEDGE_ERR_SHAPE,
                      "output %s needs %zu bytes, given are %zu", session->model->outputs[i].name,
                      bytes, output->data == NULL ? 0 : output->bytes);
}

enum ledge_status ledge_session_run_into(struct ledge_session *session,
                                         const struct ledge_tensor *inputs, int32_t n_inputs,
                                         struct ledge_tensor *outputs, int32_t n_outputs,
                                         struct ledge_error *err)
{
    LEDGE_TRY(begin(session, inputs, n_inputs, n_outputs, err));
    const struct ledge_graph *graph = &session->plan->graph;
    for (int32_t i = 0; i < n_outputs; i++) {
        const struct ledge_value *value = &graph->values[graph->outputs[i]];
        size_t bytes = value->late ? 0 : ledge_value_bytes(value);
        LEDGE_TRY(check_room(session, i, bytes, &outputs[i], err));
    }
    bind_outputs(session, outputs);
    LEDGE_TRY(over_budget(session, ledge_run_once(session->run, err), err));
    bool again = session->plan->n_late == 0;
    for (int32_t i = 0; i < n_outputs; i++) {
        struct ledge_tensor tensor;
        LEDGE_TRY(made(session, i, &tensor, err));
        LEDGE_TRY(check_room(session, i, tensor.bytes, &outputs[i], err));
        void *data = outputs[i].data;
        again = again && tensor.data == data;
        if (tensor.data != data && tensor.bytes > 0) {
            memcpy(data, tensor.data, tensor.bytes);
        }
        outputs[i] = tensor;
        outputs[i].data = data;
    }
    session->again = again;
    return LEDGE_OK;
}

enum ledge_status ledge_session_run_again(struct ledge_session *session)
{
    if (!session->again) {
        return LEDGE_ERR_STATE;
    }
    enum ledge_status status = over_budget(session, ledge_run_once(session->run, NULL), NULL);
    session->again = status == LEDGE_OK;
    return status;
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
    size_t total = sizeof *session;
    for (int i = 0; i < SHAPES; i++) {
        const struct shaped *entry = &session->shaped[i];
        if (entry->plan != NULL) {
            total += ledge_run_bytes(entry->run) + sizeof *entry->plan + entry->plan->memory.total +
                     entry->plan->graph.arena.total;
        }
    }
    return total;
}

int32_t ledge_session_n_steps(const struct ledge_session *session)
{
    return session->plan->n_steps +
           (LEDGE_HAS(LEDGE_PART_LATE) && session->plan->n_late > 0 ? 1 : 0);
}

/* All late nodes together: what stands behind them is planned in the run. */
static void late_step(const struct ledge_session *session, struct ledge_step_info *info)
{
    const struct ledge_plan *plan = session->plan;
    *info = (struct ledge_step_info){
        .node = plan->late[0].name,
        .op = "late nodes",
        .kernel = "planned_in_the_run",
        .out_offset = SIZE_MAX,
        .seconds = session->profile ? ledge_run_seconds(session->run, plan->n_steps) : 0};
}

enum ledge_status ledge_session_step(const struct ledge_session *session, int32_t index,
                                     struct ledge_step_info *info)
{
    const struct ledge_plan *plan = session->plan;
    if (index < 0 || index >= ledge_session_n_steps(session)) {
        return LEDGE_ERR_ARG;
    }
    if (LEDGE_HAS(LEDGE_PART_LATE) && index == plan->n_steps) {
        late_step(session, info);
        return LEDGE_OK;
    }
    const struct ledge_plan_step *step = &plan->steps[index];
    const struct ledge_node *node = step->node;
    *info = (struct ledge_step_info){
        .node = node->name,
        .op = node->op,
        .kernel = step->ready.alias >= 0 ? "alias" : ledge_prepared_kernel(&step->ready),
        .in_float = ledge_node_string(node, "in_float", NULL),
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
