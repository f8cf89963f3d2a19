/* SPDX-License-Identifier: Apache-2.0 */
/* model.c -- open a model file: map, tell the format, import, run the passes; keep plans. */
#include "engine/api/model.h"

#include <string.h>

#include "base/banned.h"
#include "base/status.h"
#include "engine/api/custom.h"
#include "engine/format/ledge_file.h"
#include "engine/plan/passes.h"
#include "engine/port/select.h"
#include "import/import.h"

/* Declared inputs or outputs, before passes touch them. Names and dim_names stay in the graph's
 * arena. */
static struct ledge_tensor_info *describe(struct ledge_graph *graph, const int32_t *list, int32_t n)
{
    struct ledge_tensor_info *infos =
        LEDGE_NEW_ARRAY(&graph->arena, struct ledge_tensor_info, (size_t)n);
    for (int32_t i = 0; infos != NULL && i < n; i++) {
        const struct ledge_value *value = &graph->values[list[i]];
        infos[i] = (struct ledge_tensor_info){
            .name = value->name, .dtype = value->dtype, .rank = value->rank};
        for (int32_t k = 0; k < value->rank; k++) {
            infos[i].dims[k] = value->dims[k];
            infos[i].dim_names[k] = value->dim_names[k];
        }
        if (value->quant != NULL && value->quant->n == 1) {
            infos[i].scale = value->quant->scales[0];
            infos[i].zero_point = value->quant->zero_points[0];
        }
    }
    return infos;
}

static enum ledge_status describe_all(struct ledge_model *model, struct ledge_error *err)
{
    struct ledge_graph *graph = &model->graph;
    model->inputs = describe(graph, graph->inputs, graph->n_inputs);
    model->outputs = describe(graph, graph->outputs, graph->n_outputs);
    return model->inputs != NULL && model->outputs != NULL
               ? LEDGE_OK
               : ledge_fail(err, LEDGE_ERR_NOMEM, "no memory for the model's description");
}

/* The prepared part of a .ledge file. ERR_CORRUPT is for the caller to report; any other error
 * means that the file is read as every model is. */
static enum ledge_status load_prepared(struct ledge_model *model,
                                       const struct ledge_model_options *options,
                                       struct ledge_error *err)
{
    const uint64_t stamp = ledge_packing_stamp();
    const enum ledge_rung rung = ledge_port_rung();
    bool quickly = options == NULL || options->verify == 0;
    if (stamp == 0 || (options != NULL && options->n_custom_ops > 0) ||
        !ledge_file_is_prepared(model->bytes, model->size, stamp, (int32_t)rung) ||
        !ledge_map_zeros(model->size, &model->zeros)) {
        return LEDGE_ERR_NOT_FOUND;
    }
    enum ledge_status status = ledge_file_read_prepared(
        model->bytes, model->size, (uint32_t)rung, quickly, model->zeros.bytes, model->zeros.size,
        &model->graph, &model->packed, err);
    if (status == LEDGE_OK) {
        status = ledge_plan_check_operators(&model->graph, err);
    }
    model->prepared = status == LEDGE_OK;
    if (!model->prepared) {
        ledge_graph_done(&model->graph);
        ledge_graph_init(&model->graph, &model->allocator);
    }
    return status;
}

static enum ledge_status load(struct ledge_model *model, const struct ledge_model_options *options,
                              struct ledge_error *err)
{
    struct ledge_graph *graph = &model->graph;
    if (!LEDGE_HAS(LEDGE_PART_CUSTOM) && options != NULL && options->n_custom_ops > 0) {
        return ledge_fail(err, LEDGE_ERR_UNSUPPORTED, "this build takes no custom operators");
    }
    enum ledge_status prepared = load_prepared(model, options, err);
    if (prepared == LEDGE_OK || prepared == LEDGE_ERR_CORRUPT) {
        return prepared == LEDGE_OK ? describe_all(model, err) : prepared;
    }
    if (!LEDGE_HAS(LEDGE_PART_ORIGINAL)) {
        return prepared != LEDGE_ERR_NOT_FOUND
                   ? prepared
                   : ledge_fail(err, LEDGE_ERR_UNSUPPORTED,
                                "this build opens .ledge files that its release packed for %s",
                                ledge_rung_text(ledge_port_rung()));
    }
    if (options != NULL && LEDGE_HAS(LEDGE_PART_CUSTOM)) {
        LEDGE_TRY(ledge_custom_register(graph, options->custom_ops, options->n_custom_ops, err));
    }
    if (ledge_file_is(model->bytes, model->size) && (options == NULL || options->verify == 0)) {
        LEDGE_TRY(ledge_file_read_quickly(model->bytes, model->size, graph, err));
    } else {
        graph->allow_loose = true; /* what reads it here is ready for that */
        LEDGE_TRY(ledge_import_model(model->bytes, model->size, graph, err));
    }
    LEDGE_TRY(ledge_graph_sort(graph, err));
    LEDGE_TRY(describe_all(model, err));
    LEDGE_TRY(ledge_passes_run(graph, err));
    return ledge_plan_check_operators(graph, err);
}

/* Read the graph that the prepared part was made of. */
static enum ledge_status load_original(struct ledge_model *model, struct ledge_error *err)
{
    if (model->has_original) {
        return LEDGE_OK;
    }
    ledge_graph_init(&model->original, &model->allocator);
    enum ledge_status status =
        ledge_file_read_quickly(model->bytes, model->size, &model->original, err);
    if (status == LEDGE_OK) {
        status = ledge_passes_run(&model->original, err);
    }
    if (status == LEDGE_OK && (model->original.n_inputs != model->graph.n_inputs ||
                               model->original.n_outputs != model->graph.n_outputs)) {
        status = ledge_fail(err, LEDGE_ERR_FORMAT, ".ledge file: two models in one");
    }
    if (status != LEDGE_OK) {
        ledge_graph_done(&model->original);
        return status;
    }
    model->original.random_runs = &model->random_runs;
    model->has_original = true;
    return LEDGE_OK;
}

static void destroy(struct ledge_model *model)
{
    for (int32_t i = 0; i < LEDGE_PLAN_CACHE; i++) {
        ledge_plan_free(model->plans[i].plan);
    }
    if (model->has_original) {
        ledge_graph_done(&model->original);
    }
    ledge_graph_done(&model->graph);
    ledge_map_close(&model->zeros);
    ledge_map_close(&model->map);
    ledge_lock_done(&model->lock);
    struct ledge_allocator allocator = model->allocator;
    allocator.release(allocator.user, model, sizeof *model);
}

/* A build without plain C (CMake: LEDGE_BASELINE) has nothing for processors below that. */
static enum ledge_status check_processor(struct ledge_error *err)
{
#ifdef LEDGE_BASELINE
    if (ledge_port_rung() < LEDGE_BASELINE) {
        return ledge_fail(err, LEDGE_ERR_UNSUPPORTED, "this build is for processors with %s",
                          ledge_rung_text(LEDGE_BASELINE));
    }
#else
    (void)err;
#endif
    return LEDGE_OK;
}

/* map is taken over, also on failure. */
static enum ledge_status create(struct ledge_map map, const void *bytes, size_t size,
                                const struct ledge_model_options *options,
                                struct ledge_model **model, struct ledge_error *err)
{
    const struct ledge_allocator *allocator = options != NULL && options->allocator != NULL
                                                  ? options->allocator
                                                  : ledge_allocator_default();
    struct ledge_model *made =
        allocator->alloc(allocator->user, sizeof *made, _Alignof(struct ledge_model));
    if (made == NULL) {
        ledge_map_close(&map);
        return ledge_fail(err, LEDGE_ERR_NOMEM, "no memory for a model");
    }
    *made = (struct ledge_model){.allocator = *allocator, .map = map, .bytes = bytes, .size = size};
    atomic_init(&made->references, 1);
    ledge_lock_init(&made->lock);
    ledge_graph_init(&made->graph, allocator);
    enum ledge_status status = check_processor(err);
    if (status == LEDGE_OK) {
        status = load(made, options, err);
    }
    if (status != LEDGE_ERR_NOMEM && made->graph.arena.failed) { /* whatever was made of it */
        status = ledge_fail(err, LEDGE_ERR_NOMEM, "no memory for the model");
    }
    if (status != LEDGE_OK) {
        destroy(made);
        return status;
    }
    made->graph.random_runs = &made->random_runs;
    *model = made;
    return LEDGE_OK;
}

enum ledge_status ledge_model_open(const char *path, const struct ledge_model_options *options,
                                   struct ledge_model **model, struct ledge_error *err)
{
    struct ledge_map map;
    if (path == NULL || model == NULL) {
        return ledge_fail(err, LEDGE_ERR_ARG, "path and model must be given");
    }
    LEDGE_TRY(ledge_map_open(path, &map, err));
    enum ledge_status status = create(map, map.bytes, map.size, options, model, err);
    if (status != LEDGE_OK && err != NULL) {
        (void)ledge_fail_at(err, path);
    }
    return status;
}

enum ledge_status ledge_model_open_memory(const void *bytes, size_t size,
                                          const struct ledge_model_options *options,
                                          struct ledge_model **model, struct ledge_error *err)
{
    if (bytes == NULL || model == NULL) {
        return ledge_fail(err, LEDGE_ERR_ARG, "bytes and model must be given");
    }
    return create((struct ledge_map){.bytes = NULL, .size = 0}, bytes, size, options, model, err);
}

void ledge_model_ref(struct ledge_model *model)
{
    (void)atomic_fetch_add(&model->references, 1);
}

void ledge_model_close(struct ledge_model *model)
{
    if (model != NULL && atomic_fetch_sub(&model->references, 1) == 1) {
        destroy(model);
    }
}

int32_t ledge_model_n_inputs(const struct ledge_model *model)
{
    return model->graph.n_inputs;
}

int32_t ledge_model_n_outputs(const struct ledge_model *model)
{
    return model->graph.n_outputs;
}

enum ledge_status ledge_model_input(const struct ledge_model *model, int32_t index,
                                    struct ledge_tensor_info *info)
{
    if (index < 0 || index >= model->graph.n_inputs) {
        return LEDGE_ERR_ARG;
    }
    *info = model->inputs[index];
    return LEDGE_OK;
}

enum ledge_status ledge_model_output(const struct ledge_model *model, int32_t index,
                                     struct ledge_tensor_info *info)
{
    if (index < 0 || index >= model->graph.n_outputs) {
        return LEDGE_ERR_ARG;
    }
    *info = model->outputs[index];
    return LEDGE_OK;
}

const char *ledge_model_metadata(const struct ledge_model *model, const char *key)
{
    return ledge_graph_metadata(&model->graph, key);
}

int32_t ledge_model_n_metadata(const struct ledge_model *model)
{
    return model->graph.n_metadata;
}

enum ledge_status ledge_model_metadata_at(const struct ledge_model *model, int32_t index,
                                          const char **key, const char **value)
{
    if (index < 0 || index >= model->graph.n_metadata) {
        return LEDGE_ERR_ARG;
    }
    *key = model->graph.metadata[index].key;
    *value = model->graph.metadata[index].value;
    return LEDGE_OK;
}

/* -- plans -- */

/* Was this plan made for these options? */
static bool matches(const struct ledge_model *model, const struct ledge_plan *plan,
                    const struct ledge_plan_options *options)
{
    if (plan == NULL || plan->threads != (options->threads > 1 ? options->threads : 1) ||
        plan->consistent != options->consistent || plan->bf16 != options->bf16) {
        return false;
    }
    for (int32_t i = 0; i < plan->graph.n_inputs; i++) {
        const struct ledge_value *have = &plan->graph.values[plan->graph.inputs[i]];
        const struct ledge_value *declared = &model->graph.values[model->graph.inputs[i]];
        const struct ledge_view *given =
            options->input_shapes != NULL && i < options->n_input_shapes ? &options->input_shapes[i]
                                                                         : NULL;
        int32_t rank = given != NULL ? given->rank : declared->rank;
        if (rank != have->rank) {
            return false;
        }
        for (int32_t k = 0; k < rank; k++) {
            int64_t dim = given != NULL ? given->dims[k] : declared->dims[k];
            dim = dim < 0 ? (options->batch > 0 ? options->batch : 1) : dim;
            if (dim != have->dims[k]) {
                return false;
            }
        }
    }
    return true;
}

/* A place for a new plan: a free one, else that of the plan not used for longest; NULL when all are
 * in use. */
static struct ledge_cached_plan *make_room(struct ledge_model *model)
{
    struct ledge_cached_plan *oldest = NULL;
    for (int32_t i = 0; i < LEDGE_PLAN_CACHE; i++) {
        struct ledge_cached_plan *entry = &model->plans[i];
        if (entry->plan == NULL) {
            return entry;
        }
        if (entry->users == 0 && (oldest == NULL || entry->used_at < oldest->used_at)) {
            oldest = entry;
        }
    }
    if (oldest != NULL) {
        ledge_plan_free(oldest->plan);
        oldest->plan = NULL;
    }
    return oldest;
}

/* Whatever the prepared part cannot do, and whatever is wrong with it, the original decides. */
static enum ledge_status make_plan(struct ledge_model *model,
                                   const struct ledge_plan_options *options,
                                   struct ledge_plan **plan, struct ledge_error *err)
{
    struct ledge_error ignored;
    struct ledge_plan_options with = *options;
    with.file = model->map.size > 0 ? &model->map : NULL;
    if (!model->prepared) {
        return ledge_plan_create(&model->graph, &with, &model->allocator, plan, err);
    }
    with.packed = &model->packed;
    if (!LEDGE_HAS(LEDGE_PART_ORIGINAL)) {
        return ledge_plan_create(&model->graph, &with, &model->allocator, plan, err);
    }
    if (ledge_plan_create(&model->graph, &with, &model->allocator, plan, &ignored) == LEDGE_OK) {
        return LEDGE_OK;
    }
    LEDGE_TRY(load_original(model, err));
    with.packed = NULL;
    return ledge_plan_create(&model->original, &with, &model->allocator, plan, err);
}

static enum ledge_status take_plan(struct ledge_model *model,
                                   const struct ledge_plan_options *options,
                                   struct ledge_plan **plan, struct ledge_error *err)
{
    for (int32_t i = 0; i < LEDGE_PLAN_CACHE; i++) {
        if (matches(model, model->plans[i].plan, options)) {
            model->plans[i].users++;
            model->plans[i].used_at = ++model->clock;
            *plan = model->plans[i].plan;
            return LEDGE_OK;
        }
    }
    LEDGE_TRY(make_plan(model, options, plan, err));
    struct ledge_cached_plan *entry = make_room(model);
    if (entry != NULL) {
        *entry = (struct ledge_cached_plan){.plan = *plan, .users = 1, .used_at = ++model->clock};
    }
    return LEDGE_OK;
}

enum ledge_status ledge_model_take_plan(struct ledge_model *model,
                                        const struct ledge_plan_options *options,
                                        struct ledge_plan **plan, struct ledge_error *err)
{
    ledge_lock_take(&model->lock);
    enum ledge_status status = take_plan(model, options, plan, err);
    ledge_lock_give(&model->lock);
    return status;
}

void ledge_model_give_plan(struct ledge_model *model, struct ledge_plan *plan)
{
    bool own = true;
    ledge_lock_take(&model->lock);
    for (int32_t i = 0; i < LEDGE_PLAN_CACHE; i++) {
        if (model->plans[i].plan == plan) {
            model->plans[i].users--;
            own = false;
        }
    }
    ledge_lock_give(&model->lock);
    if (own) {
        ledge_plan_free(plan);
    }
}
