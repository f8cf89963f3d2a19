/* SPDX-License-Identifier: Apache-2.0 */
/* setup.c -- see setup.h. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/status.h"
#include "export/export.h"
#include "import/import.h"
#include "sys/file.h"
#include "train/arch/arch.h"
#include "train/loop/setup.h"

#define MODEL_MAX ((size_t)2 << 30)

static enum ledge_status no_memory(struct ledge_error *err)
{
    return ledge_fail(err, LEDGE_ERR_NOMEM, "train: out of memory");
}

/* -- data -- */

/* The recipe's input, with what it leaves open taken from the first picture. */
static enum ledge_status find_preprocess(const struct train_recipe *r, struct data_preprocess *out,
                                         bool *pictures, struct ledge_error *err)
{
    struct data_set *probe;
    struct data_set_spec spec = r->data;
    spec.limit = 1;
    LEDGE_TRY(data_set_open(&spec, &probe, err));
    const struct data_preprocess *native = data_set_preprocess(probe);
    *pictures = native != NULL;
    if (native != NULL) {
        *out = *native;
        out->width = r->width > 0 ? r->width : out->width;
        out->height = r->height > 0 ? r->height : out->height;
        out->channels = r->channels > 0 ? r->channels : out->channels;
        out->fit = r->fit;
        out->crop = r->crop;
        memcpy(out->mean, r->mean, sizeof out->mean);
        memcpy(out->std, r->std, sizeof out->std);
    }
    data_set_close(probe);
    if (*pictures &&
        (out->channels == 2 || (out->channels == 1 && (r->n_mean > 1 || r->n_std > 1)))) {
        return ledge_fail(err, LEDGE_ERR_ARG,
                          "input: channels must be 1 or 3, with as many numbers in mean and std");
    }
    return LEDGE_OK;
}

static enum ledge_status open_test(struct train_session *t, const struct data_set_spec *like,
                                   struct ledge_error *err)
{
    int32_t n = data_set_n_classes(t->train);
    const char **classes = calloc((size_t)n, sizeof *classes);
    if (classes == NULL) {
        return no_memory(err);
    }
    for (int32_t i = 0; i < n; i++) {
        classes[i] = data_set_class(t->train, i);
    }
    struct data_set_spec spec = {.kind = like->kind,
                                 .path = t->recipe->test_path,
                                 .labels = like->kind == DATA_KIND_CSV ? like->labels : NULL,
                                 .classes = classes,
                                 .n_classes = n,
                                 .may_lack_classes = true,
                                 .preprocess = like->preprocess,
                                 .cache_bytes = like->cache_bytes};
    enum ledge_status status = data_set_open(&spec, &t->test, err);
    free(classes);
    LEDGE_TRY(status);
    int64_t shared = data_set_shared(t->test, t->train);
    if (shared < 0) {
        return no_memory(err);
    }
    if (shared * 100 > data_set_count(t->test)) {
        return ledge_fail(err, LEDGE_ERR_ARG,
                          "data.test_path: %lld of %lld test samples are in the training set",
                          (long long)shared, (long long)data_set_count(t->test));
    }
    return LEDGE_OK;
}

static enum ledge_status open_data(struct train_session *t, struct ledge_error *err)
{
    const struct train_recipe *r = t->recipe;
    struct data_set_spec spec = r->data;
    struct data_preprocess preprocess;
    bool pictures;
    LEDGE_TRY(find_preprocess(r, &preprocess, &pictures, err));
    spec.preprocess = pictures ? &preprocess : NULL;
    spec.part = spec.val_fraction > 0 ? DATA_TRAIN : DATA_ALL;
    LEDGE_TRY(data_set_open(&spec, &t->train, err));
    data_set_digest(t->train, t->data_sha256);
    if (spec.val_fraction > 0) {
        spec.part = DATA_VAL;
        spec.limit = 0;
        LEDGE_TRY(data_set_open(&spec, &t->val, err));
    }
    if (r->test_path != NULL) {
        LEDGE_TRY(open_test(t, &spec, err));
    }
    if (data_set_n_classes(t->train) < 2) {
        return ledge_fail(err, LEDGE_ERR_ARG, "%s: one class only; there is nothing to tell apart",
                          spec.path);
    }
    return LEDGE_OK;
}

/* -- model -- */

/* Mean and deviation of each feature of a table, over the training part. OWNED arrays. */
static enum ledge_status measure_features(struct data_set *set, float **mean, float **std,
                                          struct ledge_error *err)
{
    int64_t dims[3];
    (void)data_set_dims(set, dims);
    int64_t n = dims[0];
    double *sums = calloc(2 * (size_t)n, sizeof *sums);
    float *row = calloc(3 * (size_t)n, sizeof *row);
    enum ledge_status status = sums == NULL || row == NULL ? no_memory(err) : LEDGE_OK;
    double count = (double)data_set_count(set);
    for (int64_t i = 0; i < data_set_count(set) && status == LEDGE_OK; i++) {
        status = data_set_read(set, i, NULL, row, err);
        for (int64_t k = 0; k < n; k++) {
            sums[k] += (double)row[k];
            sums[n + k] += (double)row[k] * (double)row[k];
        }
    }
    *mean = malloc((size_t)n * sizeof **mean);
    *std = malloc((size_t)n * sizeof **std);
    if (status == LEDGE_OK && (*mean == NULL || *std == NULL)) {
        status = no_memory(err);
    }
    for (int64_t k = 0; k < n && status == LEDGE_OK; k++) {
        double m = sums[k] / count;
        double variance = sums[n + k] / count - m * m;
        (*mean)[k] = (float)m;
        (*std)[k] = variance > 1e-12 ? (float)sqrt(variance) : 1;
    }
    free(sums);
    free(row);
    return status;
}

static enum ledge_status build_model(struct train_session *t, struct ledge_error *err)
{
    const struct train_recipe *r = t->recipe;
    struct train_arch_spec spec = {.name = r->arch,
                                   .n_classes = data_set_n_classes(t->train),
                                   .width = r->model_width,
                                   .dropout = r->dropout,
                                   .flat = r->flat,
                                   .logits = r->logits,
                                   .seed = r->seed};
    float *mean = NULL;
    float *std = NULL;
    enum ledge_status status = LEDGE_OK;
    spec.rank = data_set_dims(t->train, spec.dims);
    if (spec.rank == 1) {
        status = measure_features(t->train, &mean, &std, err);
        spec.mean = mean;
        spec.std = std;
    }
    if (status == LEDGE_OK) {
        status = train_arch_build(&spec, &t->graph, err);
    }
    free(mean);
    free(std);
    return status;
}

/* The base's input must be what the data give; its batch becomes free. */
static enum ledge_status check_input(struct train_session *t, struct ledge_error *err)
{
    int64_t dims[3];
    int32_t rank = data_set_dims(t->train, dims);
    struct ledge_value *in = &t->graph.values[t->graph.inputs[0]];
    bool fits = t->graph.n_inputs == 1 && in->rank == rank + 1;
    for (int32_t i = 0; fits && i < rank; i++) {
        fits = in->dims[i + 1] < 0 || in->dims[i + 1] == dims[i];
    }
    if (!fits) {
        return ledge_fail(err, LEDGE_ERR_SHAPE,
                          "%s: its input is not [batch, %lld, %lld, %lld]; set input.width, "
                          "input.height, input.channels",
                          t->recipe->base, (long long)dims[0], (long long)(rank == 3 ? dims[1] : 1),
                          (long long)(rank == 3 ? dims[2] : 1));
    }
    in->dims[0] = -1;
    return LEDGE_OK;
}

static enum ledge_status load_base(struct train_session *t, struct ledge_error *err)
{
    const struct train_recipe *r = t->recipe;
    LEDGE_TRY(ledge_map_open(r->base, &t->base, err));
    if (ledge_import_onnx(t->base.bytes, t->base.size, &t->graph, err) != LEDGE_OK) {
        return err != NULL ? ledge_fail_at(err, r->base) : LEDGE_ERR_FORMAT;
    }
    LEDGE_TRY(ledge_graph_sort(&t->graph, err));
    LEDGE_TRY(check_input(t, err));
    t->graph.n_metadata = 0; /* what it said of labels and data is no longer so */
    return train_arch_new_head(&t->graph, data_set_n_classes(t->train), r->logits, r->seed, t->head,
                               err);
}

static enum ledge_status open_model(struct train_session *t, struct ledge_error *err)
{
    const struct train_recipe *r = t->recipe;
    ledge_graph_init(&t->graph, ledge_allocator_default());
    t->has_graph = true;
    LEDGE_TRY(r->base != NULL ? load_base(t, err) : build_model(t, err));
    LEDGE_TRY(ledge_graph_sort(&t->graph, err));
    LEDGE_TRY(ledge_pool_create(t->options->threads, NULL, &t->pool, err));
    bool head_only = r->base != NULL && r->freeze;
    const struct train_network_options options = {.batch = t->batch,
                                                  .label_smoothing = r->label_smoothing,
                                                  .seed = r->seed,
                                                  .only = head_only ? t->head : NULL,
                                                  .n_only = head_only ? 2 : 0,
                                                  .pool = t->pool};
    LEDGE_TRY(train_network_create(&t->graph, &options, &t->network, err));
    return train_optimiser_init(r, t->network, t->pool, &t->optimiser, err);
}

/* -- open, close -- */

static enum ledge_status open_folder(struct train_session *t, struct ledge_error *err)
{
    LEDGE_CLEANUP(ledge_buf_done) struct ledge_buf text = LEDGE_BUF_INIT(1 << 20);
    const char *out = t->options->out;
    char path[4096];
    if (strlen(out) > sizeof path - 32) {
        return ledge_fail(err, LEDGE_ERR_ARG, "%.60s...: the path is too long", out);
    }
    (void)snprintf(t->model_path, sizeof t->model_path, "%s/model.onnx", out);
    (void)snprintf(t->metrics_path, sizeof t->metrics_path, "%s/metrics.jsonl", out);
    (void)snprintf(t->checkpoint_path, sizeof t->checkpoint_path, "%s/checkpoint.bin", out);
    (void)snprintf(path, sizeof path, "%s/recipe.json", out);
    LEDGE_TRY(sys_dir_make(out, err));
    LEDGE_TRY(train_recipe_text(t->recipe, &text));
    return sys_file_write(path, text.data, text.len, 0644, err);
}

static enum ledge_status make_buffers(struct train_session *t, struct ledge_error *err)
{
    int32_t n = train_network_n_params(t->network);
    size_t sample = (size_t)train_network_sample(t->network);
    t->order = calloc((size_t)data_set_count(t->train), sizeof *t->order);
    t->x = calloc((size_t)t->batch * sample, sizeof *t->x);
    t->labels = calloc((size_t)t->batch, sizeof *t->labels);
    t->best = calloc((size_t)n + 1, sizeof *t->best);
    bool good = t->order != NULL && t->x != NULL && t->labels != NULL && t->best != NULL;
    for (int32_t i = 0; good && i < n; i++) {
        const struct train_param *p = train_network_param(t->network, i);
        t->best[i] = malloc((size_t)p->count * sizeof *p->data);
        good = t->best[i] != NULL;
        if (good) {
            memcpy(t->best[i], p->data, (size_t)p->count * sizeof *p->data);
        }
    }
    return good ? LEDGE_OK : no_memory(err);
}

enum ledge_status train_session_open(struct train_session *t, struct ledge_error *err)
{
    LEDGE_TRY(open_data(t, err));
    int64_t n = data_set_count(t->train);
    t->batch = t->recipe->batch < n ? t->recipe->batch : (int32_t)n;
    t->steps = n / t->batch;
    LEDGE_TRY(open_model(t, err));
    LEDGE_TRY(make_buffers(t, err));
    return open_folder(t, err);
}

void train_session_close(struct train_session *t)
{
    for (int32_t i = 0; t->best != NULL && i < train_network_n_params(t->network); i++) {
        free(t->best[i]);
    }
    free(t->best);
    free(t->order);
    free(t->x);
    free(t->labels);
    if (t->metrics != NULL) {
        (void)fclose(t->metrics);
    }
    train_optimiser_done(&t->optimiser);
    train_network_free(t->network);
    ledge_pool_free(t->pool);
    if (t->has_graph) {
        ledge_graph_done(&t->graph);
    }
    if (t->base.bytes != NULL) {
        ledge_map_close(&t->base);
    }
    data_set_close(t->train);
    data_set_close(t->val);
    data_set_close(t->test);
}

/* -- export -- */

static enum ledge_status set_metadata(struct train_session *t, struct ledge_graph *graph,
                                      struct ledge_error *err)
{
    LEDGE_CLEANUP(ledge_buf_done) struct ledge_buf labels = LEDGE_BUF_INIT(8 << 20);
    const struct data_preprocess *p = data_set_preprocess(t->train);
    for (int32_t i = 0; i < data_set_n_classes(t->train); i++) {
        (void)ledge_buf_printf(&labels, "%s%s", i > 0 ? "\n" : "", data_set_class(t->train, i));
    }
    bool good =
        !labels.failed && ledge_graph_add_metadata(graph, DATA_KEY_LABELS, labels.data) >= 0;
    if (p != NULL) {
        char text[DATA_PREPROCESS_JSON];
        data_preprocess_text(p, text);
        good = good && ledge_graph_add_metadata(graph, DATA_KEY_PREPROCESS, text) >= 0;
    }
    good = good && ledge_graph_add_metadata(graph, "ledge.recipe.sha256", t->recipe->sha256) >= 0 &&
           ledge_graph_add_metadata(graph, "ledge.data.sha256", t->data_sha256) >= 0;
    graph->name = ledge_arena_text(&graph->arena, t->recipe->name, strlen(t->recipe->name));
    graph->producer = "ledge";
    return good && graph->name != NULL ? LEDGE_OK : no_memory(err);
}

static void drop_dropout(struct ledge_graph *graph)
{
    for (int32_t i = 0; i < graph->n_nodes; i++) {
        struct ledge_node *node = &graph->nodes[i];
        if (!node->dead && strcmp(node->op, "Dropout") == 0) {
            node->dead = true;
            ledge_graph_replace(graph, node->out[0], node->in[0]);
        }
    }
}

enum ledge_status train_session_export(struct train_session *t, struct ledge_error *err)
{
    LEDGE_CLEANUP(ledge_buf_done) struct ledge_buf bytes = LEDGE_BUF_INIT(MODEL_MAX);
    train_network_store(t->network);
    drop_dropout(&t->graph);
    ledge_graph_sweep(&t->graph);
    LEDGE_TRY(ledge_graph_sort(&t->graph, err));
    LEDGE_TRY(set_metadata(t, &t->graph, err));
    LEDGE_TRY(ledge_export_onnx(&t->graph, &bytes, err));
    return sys_file_write(t->model_path, bytes.data, bytes.len, 0644, err);
}
