/* SPDX-License-Identifier: Apache-2.0 */
/* verify.c -- see verify.h. */
#include "cli/verify.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/status.h"
#include "cli/cli.h"
#include "cli/ops_library.h"
#include "engine/kernels/onnx_number.h"
#include "engine/ops/onnx.h"
#include "engine/plan/passes.h"
#include "engine/plan/plan.h"
#include "engine/port/port.h"
#include "engine/run/run.h"
#include "import/import.h"
#include "sys/file.h"

#define MODEL_MAX ((size_t)1 << 31)
enum { MAX_TENSORS = 256 };

/* -- comparing -- */

static bool close_enough(double a, double b, double rtol, double atol)
{
    if (isnan(a) || isnan(b)) {
        return isnan(a) && isnan(b);
    }
    if (isinf(a) || isinf(b)) {
        return a == b;
    }
    return fabs(a - b) <= atol + rtol * fabs(b);
}

static enum ledge_status compare_shapes(const struct ledge_view *a, const struct ledge_view *b,
                                        struct ledge_error *err)
{
    char text[2][CLI_SHAPE_TEXT];
    bool same = a->rank == b->rank;
    for (int32_t i = 0; same && i < a->rank; i++) {
        same = a->dims[i] == b->dims[i];
    }
    if (a->dtype == b->dtype && same) {
        return LEDGE_OK;
    }
    return ledge_fail(err, same ? LEDGE_ERR_DTYPE : LEDGE_ERR_SHAPE, "%s, expected %s",
                      cli_shape_text(a->dtype, a->rank, a->dims, text[0]),
                      cli_shape_text(b->dtype, b->rank, b->dims, text[1]));
}

/* An f32 tensor cannot be asked for more than a quarter of the step between numbers of the size of
 * its largest element: what differs less is the noise of somebody's order of summing. */
static double resolution(const struct ledge_view *view)
{
    double most = 0, v;
    int64_t n = view->dtype == LEDGE_F32 ? ledge_view_count(view) : 0;
    for (int64_t i = 0; i < n; i++) {
        ledge_load_real(view->data, view->dtype, i, 1, &v);
        most = isfinite(v) && fabs(v) > most ? fabs(v) : most;
    }
    return most * 0x1p-26;
}

static enum ledge_status compare_strings(const struct ledge_string *a, const struct ledge_string *b,
                                         int64_t n, struct ledge_error *err)
{
    for (int64_t i = 0; i < n; i++) {
        if (a[i].bytes != b[i].bytes ||
            (a[i].bytes > 0 && memcmp(a[i].text, b[i].text, a[i].bytes) != 0)) {
            return ledge_fail(err, LEDGE_ERR_RANGE, "element %lld is '%.*s', expected '%.*s'",
                              (long long)i, (int)a[i].bytes, a[i].text, (int)b[i].bytes, b[i].text);
        }
    }
    return LEDGE_OK;
}

enum ledge_status cli_compare(const struct ledge_view *a, const struct ledge_view *b, double rtol,
                              double atol, double *worst, struct ledge_error *err)
{
    enum ledge_status status = LEDGE_OK;
    LEDGE_TRY(compare_shapes(a, b, err));
    int64_t n = ledge_view_count(a);
    if (a->dtype == LEDGE_STRING) {
        return compare_strings(a->data, b->data, n, err);
    }
    atol = fmax(atol, resolution(b));
    for (int64_t i = 0; i < n; i++) {
        double x, y;
        ledge_load_real(a->data, a->dtype, i, 1, &x);
        ledge_load_real(b->data, b->dtype, i, 1, &y);
        double difference = fabs(x - y);
        *worst = difference > *worst ? difference : *worst;
        if (status == LEDGE_OK && !close_enough(x, y, rtol, atol)) {
            status = ledge_fail(err, LEDGE_ERR_RANGE, "element %lld is %.9g, expected %.9g",
                                (long long)i, x, y);
        }
    }
    return status;
}

static enum ledge_status compare_any(const struct ledge_any *a, const struct ledge_any *b,
                                     const struct cli_verify_options *options, double *worst,
                                     struct ledge_error *err)
{
    if (a->kind != b->kind || (a->kind == LEDGE_ANY_SEQUENCE && a->n != b->n)) {
        return ledge_fail(err, LEDGE_ERR_SHAPE, "another kind of value, or length");
    }
    if (a->kind == LEDGE_ANY_TENSOR) {
        return cli_compare(&a->view, &b->view, options->rtol, options->atol, worst, err);
    }
    for (int64_t i = 0; i < a->n; i++) {
        LEDGE_TRY(
            cli_compare(&a->items[i], &b->items[i], options->rtol, options->atol, worst, err));
    }
    return LEDGE_OK;
}

/* Nodes whose answers cannot be known. */
static bool has_random(const struct ledge_graph *graph)
{
    bool random = false;
    for (int32_t i = 0; i < graph->n_nodes; i++) {
        const struct ledge_node *node = &graph->nodes[i];
        random = random || (ledge_onnx_is_random(node) &&
                            (strcmp(node->op, "Dropout") != 0 || node->n_in > 2));
    }
    return random;
}

/* The same type and shape; where zeros and ones alone are expected, nothing else. */
static enum ledge_status compare_random(const struct ledge_view *a, const struct ledge_view *b,
                                        struct ledge_error *err)
{
    LEDGE_TRY(compare_shapes(a, b, err));
    int64_t n = ledge_view_count(a);
    bool bits[2] = {true, true};
    for (int64_t i = 0; i < n; i++) {
        double x[2];
        ledge_load_real(a->data, a->dtype, i, 1, &x[0]);
        ledge_load_real(b->data, b->dtype, i, 1, &x[1]);
        for (int k = 0; k < 2; k++) {
            bits[k] = bits[k] && (x[k] == 0 || x[k] == 1);
        }
    }
    return bits[0] || !bits[1] ? LEDGE_OK
                               : ledge_fail(err, LEDGE_ERR_RANGE, "not zeros and ones alone");
}

/* -- one data set -- */

struct attempt {
    struct ledge_buf model;
    struct ledge_graph graph;
    struct ledge_plan *plan;
    struct ledge_run *run;
    int32_t source[MAX_TENSORS];                 /* number of the tensor that feeds graph input i */
    enum ledge_value_kind kinds[2][MAX_TENSORS]; /* of the model's inputs and outputs */
};

static void attempt_done(struct attempt *a)
{
    ledge_run_free(a->run);
    ledge_plan_free(a->plan);
    ledge_graph_done(&a->graph);
    a->run = NULL;
    a->plan = NULL;
}

/* How many inputs become constants: 0 none, 1 those that look like shapes (rank 0 or 1, not the
 * first), 2 all. */
static void give_constants(struct attempt *a, const struct cli_tensors *inputs, int level)
{
    struct ledge_graph *graph = &a->graph;
    int32_t kept = 0;
    for (int32_t i = 0; i < graph->n_inputs && i < MAX_TENSORS; i++) {
        int32_t from = a->source[i];
        const struct ledge_view *view = &inputs->items[from].view;
        struct ledge_value *value = &graph->values[graph->inputs[i]];
        if (inputs->items[from].other != NULL) {
            graph->inputs[kept] = graph->inputs[i];
            a->source[kept++] = from;
            continue;
        }
        if (level == 2 || (level == 1 && i > 0 && view->rank <= 1)) {
            value->data = view->data;
            value->bytes = ledge_view_bytes(view);
            value->rank = view->rank;
            memcpy(value->dims, view->dims, sizeof view->dims);
            continue;
        }
        graph->inputs[kept] = graph->inputs[i];
        a->source[kept++] = from;
    }
    graph->n_inputs = kept;
}

/* Which tensor feeds which input: by name when all names are there, else by order. */
static enum ledge_status match_inputs(struct attempt *a, const struct cli_tensors *inputs,
                                      struct ledge_error *err)
{
    const struct ledge_graph *graph = &a->graph;
    if (graph->n_inputs > MAX_TENSORS) {
        return ledge_fail(err, LEDGE_ERR_UNSUPPORTED, "more than %d inputs", MAX_TENSORS);
    }
    for (int32_t i = 0; i < graph->n_inputs; i++) {
        const struct ledge_value *value = &graph->values[graph->inputs[i]];
        a->source[i] = -1;
        for (size_t k = 0; k < inputs->n; k++) {
            if (strcmp(inputs->items[k].name, value->name) == 0) {
                a->source[i] = (int32_t)k;
            }
        }
        if (a->source[i] < 0 && (size_t)i < inputs->n) {
            a->source[i] = i;
        }
        if (a->source[i] < 0) {
            return ledge_fail(err, LEDGE_ERR_NOT_FOUND, "no data for input %s", value->name);
        }
        if (inputs->items[a->source[i]].other == NULL &&
            inputs->items[a->source[i]].view.dtype != value->dtype) {
            return ledge_fail(err, LEDGE_ERR_DTYPE, "data for input %s has another type",
                              value->name);
        }
    }
    return LEDGE_OK;
}

static enum ledge_status plan_attempt(struct attempt *a, const struct cli_tensors *inputs,
                                      const struct cli_verify_options *options, int level,
                                      struct ledge_error *err)
{
    struct ledge_view shapes[MAX_TENSORS];
    ledge_graph_init(&a->graph, NULL);
    LEDGE_TRY(cli_ops_register(&a->graph, err));
    LEDGE_TRY(ledge_import_onnx(a->model.data, a->model.len, &a->graph, err));
    LEDGE_TRY(match_inputs(a, inputs, err));
    give_constants(a, inputs, level);
    if (!options->raw) {
        LEDGE_TRY(ledge_passes_run(&a->graph, err));
    }
    for (int32_t i = 0; i < a->graph.n_inputs; i++) {
        shapes[i] = inputs->items[a->source[i]].view;
    }
    struct ledge_plan_options plan = {.rung = ledge_port_rung(),
                                      .threads = 1,
                                      .consistent = options->consistent,
                                      .bf16 = options->bf16,
                                      .input_shapes = shapes,
                                      .n_input_shapes = a->graph.n_inputs};
    LEDGE_TRY(ledge_plan_create(&a->graph, &plan, NULL, &a->plan, err));
    LEDGE_TRY(ledge_run_create(a->plan, NULL, NULL, &a->run, err));
    for (int32_t i = 0; i < a->graph.n_inputs; i++) {
        const struct ledge_any *other = inputs->items[a->source[i]].other;
        if (other != NULL) {
            ledge_run_bind_any(a->run, i, other);
        } else {
            ledge_run_bind(a->run, i, shapes[i].data);
        }
    }
    return ledge_run_once(a->run, err);
}

static enum ledge_status run_set(struct attempt *a, const struct cli_tensors *inputs,
                                 const struct cli_tensors *outputs,
                                 const struct cli_verify_options *options, struct cli_case *result)
{
    const bool by_name = inputs == outputs;
    struct ledge_error *err = &result->why;
    enum ledge_status status = LEDGE_OK;
    for (int level = 0; level <= 2; level++) {
        status = plan_attempt(a, inputs, options, level, err);
        if (status == LEDGE_OK) {
            result->given = result->given || level > 0;
            break;
        }
        if (status != LEDGE_ERR_UNSUPPORTED || strstr(err->text, "constant") == NULL) {
            return status;
        }
        attempt_done(a);
    }
    for (int32_t i = 0; status == LEDGE_OK && i < a->graph.n_outputs; i++) {
        const char *name = a->graph.values[a->graph.outputs[i]].name;
        size_t at = by_name ? outputs->n : (size_t)i; /* no answer given: nothing to compare */
        for (size_t k = 0; k < outputs->n; k++) {
            at = strcmp(outputs->items[k].name, name) == 0 ? k : at;
        }
        if (at >= outputs->n) {
            continue;
        }
        struct ledge_any made = ledge_run_output_any(a->run, i);
        struct ledge_any want = outputs->items[at].other != NULL
                                    ? *outputs->items[at].other
                                    : ledge_any_tensor(outputs->items[at].view);
        double worst = result->worst;
        status = compare_any(&made, &want, options, &result->worst, err);
        if (status == LEDGE_ERR_RANGE && result->random && made.kind == LEDGE_ANY_TENSOR) {
            result->worst = worst;
            status = compare_random(&made.view, &want.view, err);
        }
        if (status != LEDGE_OK) {
            result->verdict = CLI_WRONG;
            (void)ledge_fail_at(err, name);
        }
    }
    result->sets += status == LEDGE_OK;
    return status;
}

/* -- a folder -- */

/* <folder>/<kind>_0.pb, _1.pb, ... until one is missing. */
static enum ledge_status load_series(const char *folder, const char *kind,
                                     const enum ledge_value_kind *kinds, struct cli_tensors *set,
                                     struct ledge_error *err)
{
    for (int i = 0; i < MAX_TENSORS; i++) {
        char path[SYS_PATH];
        LEDGE_TRY(sys_path(path, err, "%s/%s_%d.pb", folder, kind, i));
        if (!sys_file_exists(path)) {
            break;
        }
        LEDGE_TRY(cli_tensors_load_kind(set, path, kinds[i], err));
        set->items[set->n - 1].name = ""; /* by order: names in these files are not reliable */
    }
    return LEDGE_OK;
}

/* "the answer cannot be read" is a refusal when it is of a type that tensors here do not have. */
static void judge(enum ledge_status status, struct cli_case *result)
{
    if (status == LEDGE_OK || result->verdict == CLI_WRONG) {
        return;
    }
    result->verdict =
        status == LEDGE_ERR_UNSUPPORTED || status == LEDGE_ERR_DTYPE ? CLI_UNSUPPORTED : CLI_BROKEN;
}

static enum ledge_status verify_set(const char *folder, int number, struct attempt *a,
                                    const struct cli_verify_options *options,
                                    struct cli_case *result, bool *found)
{
    LEDGE_CLEANUP(cli_tensors_done) struct cli_tensors inputs;
    LEDGE_CLEANUP(cli_tensors_done) struct cli_tensors outputs;
    char path[SYS_PATH];
    cli_tensors_init(&inputs);
    cli_tensors_init(&outputs);
    enum ledge_status status;
    if (number < 0) {
        LEDGE_TRY(sys_path(path, &result->why, "%s/io.npz", folder));
        *found = sys_file_exists(path);
        status = *found ? cli_tensors_load(&inputs, path, &result->why) : LEDGE_OK;
        if (status == LEDGE_OK && *found) {
            status = run_set(a, &inputs, &inputs, options, result);
        }
    } else {
        LEDGE_TRY(sys_path(path, &result->why, "%s/test_data_set_%d", folder, number));
        *found = sys_file_exists(path);
        status = *found ? load_series(path, "input", a->kinds[0], &inputs, &result->why) : LEDGE_OK;
        if (status == LEDGE_OK && *found) {
            status = load_series(path, "output", a->kinds[1], &outputs, &result->why);
        }
        if (status == LEDGE_OK && *found) {
            status = run_set(a, &inputs, &outputs, options, result);
        }
    }
    attempt_done(a);
    return status;
}

static void read_tolerance(const char *folder, struct cli_verify_options *options)
{
    char path[SYS_PATH];
    struct ledge_error err;
    if (sys_path(path, &err, "%s/data.json", folder) != LEDGE_OK) {
        return;
    }
    json_t *root = json_load_file(path, 0, NULL);
    const json_t *rtol = json_object_get(root, "rtol"), *atol = json_object_get(root, "atol");
    options->rtol = json_is_number(rtol) ? json_number_value(rtol) : options->rtol;
    options->atol = json_is_number(atol) ? json_number_value(atol) : options->atol;
    json_decref(root);
}

void cli_verify_case(const char *folder, const struct cli_verify_options *options,
                     struct cli_case *result)
{
    struct attempt a = {.model = LEDGE_BUF_INIT(MODEL_MAX)};
    struct cli_verify_options used = *options;
    char path[SYS_PATH];
    *result = (struct cli_case){.verdict = CLI_PASS};
    read_tolerance(folder, &used);
    enum ledge_status status = sys_path(path, &result->why, "%s/model.onnx", folder);
    if (status == LEDGE_OK) {
        status = sys_file_read(path, &a.model, &result->why);
    }
    ledge_graph_init(&a.graph, NULL);
    if (status == LEDGE_OK) {
        status = cli_ops_register(&a.graph, &result->why);
    }
    if (status == LEDGE_OK) { /* a refusal of the model goes before one of its data */
        status = ledge_import_onnx(a.model.data, a.model.len, &a.graph, &result->why);
    }
    if (status == LEDGE_OK) {
        status = ledge_plan_check_operators(&a.graph, &result->why);
        result->random = has_random(&a.graph);
    }
    for (int32_t i = 0; status == LEDGE_OK && i < MAX_TENSORS; i++) {
        const struct ledge_graph *graph = &a.graph;
        a.kinds[0][i] = i < graph->n_inputs ? graph->values[graph->inputs[i]].kind : 0;
        a.kinds[1][i] = i < graph->n_outputs ? graph->values[graph->outputs[i]].kind : 0;
    }
    attempt_done(&a);
    bool found = true;
    for (int number = -1; status == LEDGE_OK && (found || number <= 0); number++) {
        status = verify_set(folder, number, &a, &used, result, &found);
    }
    judge(status, result);
    if (status == LEDGE_OK && result->sets == 0) {
        result->verdict = CLI_BROKEN;
        (void)ledge_fail(&result->why, LEDGE_ERR_NOT_FOUND, "no test data");
    }
    attempt_done(&a);
    ledge_buf_done(&a.model);
}
