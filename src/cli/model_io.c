/* SPDX-License-Identifier: Apache-2.0 */
/* model_io.c -- see model_io.h. */
#include "cli/model_io.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "engine/kernels/onnx_number.h"
#include "engine/ops/op.h"
#include "import/import.h"

enum ledge_status cli_file_open(const char *path, struct cli_file *file, struct ledge_error *err)
{
    LEDGE_TRY(ledge_map_open(path, &file->map, err));
    ledge_graph_init(&file->graph, NULL);
    enum ledge_status status = cli_ops_register(&file->graph, err);
    if (status == LEDGE_OK) {
        status = ledge_import_model(file->map.bytes, file->map.size, &file->graph, err);
    }
    if (status != LEDGE_OK) {
        cli_file_close(file);
        (void)ledge_fail_at(err, path);
    }
    return status;
}

void cli_file_close(struct cli_file *file)
{
    ledge_graph_done(&file->graph);
    ledge_map_close(&file->map);
}

int32_t cli_input_number(const struct ledge_model *model, const char *name)
{
    for (int32_t i = 0; i < ledge_model_n_inputs(model); i++) {
        struct ledge_tensor_info info;
        if (ledge_model_input(model, i, &info) == LEDGE_OK && strcmp(info.name, name) == 0) {
            return i;
        }
    }
    return -1;
}

/* -- shapes -- */

static enum ledge_status parse_dims(const char *text, struct ledge_tensor *shape,
                                    struct ledge_error *err)
{
    const char *at = text;
    for (shape->rank = 0; *at != '\0';) {
        char *end;
        errno = 0;
        long long dim = strtoll(at, &end, 10);
        bool more = *end == 'x' || *end == ',';
        if (isdigit((unsigned char)*at) == 0 || errno != 0 || shape->rank == LEDGE_MAX_RANK ||
            (!more && *end != '\0') || (more && end[1] == '\0')) {
            return ledge_fail(err, LEDGE_ERR_ARG, "--shape: '%s' is not like 1x3x224x224", text);
        }
        shape->dims[shape->rank++] = dim;
        at = *end != '\0' ? end + 1 : end;
    }
    return LEDGE_OK;
}

static enum ledge_status apply_shape(const struct ledge_model *model, const char *text,
                                     struct ledge_tensor *shapes, struct ledge_error *err)
{
    const char *colon = strrchr(text, ':');
    int32_t number = ledge_model_n_inputs(model) == 1 ? 0 : -1;
    if (colon != NULL) {
        char name[256];
        (void)snprintf(name, sizeof name, "%.*s", (int)(colon - text), text);
        number = cli_input_number(model, name);
    }
    if (number < 0) {
        return ledge_fail(err, LEDGE_ERR_ARG, "--shape %s: name one of the model's inputs", text);
    }
    return parse_dims(colon != NULL ? colon + 1 : text, &shapes[number], err);
}

/* FILLED: one entry per input; free dimensions that nothing gives are batch. */
static enum ledge_status wanted_shapes(const struct ledge_model *model,
                                       const struct cli_session_options *options,
                                       const struct cli_tensors *inputs,
                                       struct ledge_tensor *shapes, struct ledge_error *err)
{
    for (int32_t i = 0; i < ledge_model_n_inputs(model); i++) {
        struct ledge_tensor_info info = {.rank = 0};
        LEDGE_TRY(ledge_model_input(model, i, &info));
        shapes[i].rank = info.rank < 0 ? 0 : info.rank;
        for (int32_t k = 0; k < info.rank; k++) {
            shapes[i].dims[k] = info.dims[k] >= 0    ? info.dims[k]
                                : options->batch > 0 ? options->batch
                                                     : 1;
        }
        if (inputs != NULL && (size_t)i < inputs->n && inputs->items[i].view.data != NULL) {
            shapes[i].rank = inputs->items[i].view.rank;
            memcpy(shapes[i].dims, inputs->items[i].view.dims, sizeof shapes[i].dims);
        }
    }
    for (size_t i = 0; i < options->shapes.n; i++) {
        LEDGE_TRY(apply_shape(model, options->shapes.items[i], shapes, err));
    }
    return LEDGE_OK;
}

int cli_session_check(const struct cli_session_options *options)
{
    const char *precision = options->precision;
    if (!cli_in_range("--threads", options->threads, 0, 4096) ||
        !cli_in_range("--batch", options->batch, 0, INT32_MAX) ||
        !cli_in_range("--max-bytes", options->max_bytes, 0, INT64_MAX)) {
        return SYS_EXIT_USAGE;
    }
    if (precision != NULL && strcmp(precision, "f32") != 0 && strcmp(precision, "bf16") != 0) {
        return cli_failf(SYS_EXIT_USAGE, "--precision %.20s: f32 or bf16", precision);
    }
    return -1;
}

enum ledge_status cli_session_open(const char *path, const struct cli_session_options *options,
                                   const struct cli_tensors *inputs, struct ledge_model **model,
                                   struct ledge_session **session, struct ledge_error *err)
{
    bool bf16 = options->precision != NULL && strcmp(options->precision, "bf16") == 0;
    bool opened = *model == NULL;
    if (opened) {
        const struct ledge_model_options how = cli_model_options(0);
        LEDGE_TRY(ledge_model_open(path, &how, model, err));
    }
    int32_t n = ledge_model_n_inputs(*model);
    struct ledge_tensor *shapes = calloc((size_t)n + 1, sizeof *shapes);
    struct ledge_session_options wanted = {
        .threads = (int32_t)options->threads,
        .batch = (int32_t)options->batch,
        .profile = options->profile,
        .max_bytes = (size_t)options->max_bytes,
        .precision = bf16 ? LEDGE_PRECISION_BF16 : LEDGE_PRECISION_F32,
        .numerics = options->consistent ? LEDGE_NUMERICS_CONSISTENT : LEDGE_NUMERICS_FAST,
        .input_shapes = shapes,
        .n_input_shapes = n};
    enum ledge_status status = shapes != NULL ? wanted_shapes(*model, options, inputs, shapes, err)
                                              : ledge_fail(err, LEDGE_ERR_NOMEM, "no memory");
    if (status == LEDGE_OK) {
        status = ledge_session_open(*model, &wanted, session, err);
    }
    free(shapes);
    if (status != LEDGE_OK && opened) {
        ledge_model_close(*model);
        *model = NULL;
    }
    return status;
}

/* -- numbers to run on -- */

/* splitmix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014. */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static void fill_random(struct ledge_view *view, uint64_t *state)
{
    int64_t n = ledge_view_count(view);
    bool byte = view->dtype == LEDGE_U8 || view->dtype == LEDGE_I8;
    for (int64_t i = 0; i < n; i++) {
        uint64_t r = next_random(state);
        if (ledge_is_real(view->dtype)) {
            double v = (double)(r >> 11) * 0x1p-52 - 1.0;
            ledge_store_real(&v, 1, view->data, view->dtype, i);
        } else {
            int64_t v = byte ? (int64_t)(r >> 56) : (int64_t)(r >> 63);
            ledge_store_whole(&v, 1, view->data, view->dtype, i);
        }
    }
}

enum ledge_status cli_random_inputs(const struct ledge_model *model,
                                    const struct ledge_session *session, uint64_t seed,
                                    struct cli_tensors *set, struct ledge_error *err)
{
    for (int32_t i = (int32_t)set->n; i < ledge_model_n_inputs(model); i++) {
        struct ledge_tensor_info info = {.name = ""};
        struct ledge_tensor tensor = {0};
        LEDGE_TRY(ledge_model_input(model, i, &info));
        LEDGE_TRY(ledge_session_input(session, i, &tensor));
        struct ledge_view view = {.dtype = tensor.dtype, .rank = tensor.rank};
        memcpy(view.dims, tensor.dims, sizeof view.dims);
        view.data = ledge_arena_alloc(&set->arena, tensor.bytes, 64);
        if (view.data == NULL) {
            return ledge_fail(err, LEDGE_ERR_NOMEM, "no memory for input %s", info.name);
        }
        uint64_t state = seed + (uint64_t)i;
        fill_random(&view, &state);
        LEDGE_TRY(cli_tensors_add(set, info.name, &view, err));
    }
    return LEDGE_OK;
}

/* -- operators -- */

static int by_count(const void *a, const void *b)
{
    const struct cli_operator *x = a, *y = b;
    return x->n != y->n ? (x->n < y->n) - (x->n > y->n) : strcmp(x->name, y->name);
}

size_t cli_count_operators(const struct ledge_graph *graph, struct cli_operator *operators,
                           size_t max)
{
    size_t n = 0;
    for (int32_t i = 0; i < graph->n_nodes; i++) {
        const struct ledge_node *node = &graph->nodes[i];
        size_t k = 0;
        if (node->dead) {
            continue;
        }
        while (k < n && (strcmp(operators[k].name, node->op) != 0 ||
                         strcmp(operators[k].domain, node->domain) != 0)) {
            k++;
        }
        if (k == max) {
            continue;
        }
        if (k == n) {
            operators[n++] = (struct cli_operator){.domain = node->domain,
                                                   .name = node->op,
                                                   .known = ledge_op_find(graph, node) != NULL};
        }
        operators[k].n++;
    }
    if (n > 0) {
        qsort(operators, n, sizeof *operators, by_count);
    }
    return n;
}

const char *cli_operator_text(const struct cli_operator *op, char text[128])
{
    (void)snprintf(text, 128, "%.60s%s%.60s", op->domain, op->domain[0] != '\0' ? "." : "",
                   op->name);
    return text;
}
