/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_quantize.c -- `ledge quantize`: float ONNX model + samples -> int8 QDQ ONNX model, with a
 * report per layer. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/status.h"
#include "cli/split.h"
#include "compress/ptq.h"
#include "data/preprocess.h"
#include "engine/port/port.h"
#include "export/export.h"
#include "import/import.h"
#include "sys/file.h"
#include "sys/table.h"

#define OUT_MAX ((size_t)2047 << 20) /* a protobuf message is less than 2 GiB */

enum { MEASURED = 16, NOTE = 160, CELL = 48 };

struct job {
    const char *model;
    const char *out;
    const char *method;
    double percentile;
    struct cli_list keep;
    struct cli_split split;
    bool json;
    struct ledge_map map;
    struct ledge_graph graph;
    struct data_set *set;
    struct compress_ptq *ptq;
    float *sample;
    size_t out_bytes;
    char note[NOTE]; /* read until ptq is finished */
};

int cli_cmd_quantize(int argc, char **argv);

static void job_done(struct job *job)
{
    free(job->sample);
    compress_ptq_free(job->ptq);
    data_set_close(job->set);
    ledge_graph_done(&job->graph);
    if (job->map.bytes != NULL) {
        ledge_map_close(&job->map);
    }
    cli_list_done(&job->keep);
    cli_list_done(&job->split.classes);
}

static enum ledge_status open_graph(struct job *job, struct ledge_error *err)
{
    LEDGE_TRY(ledge_map_open(job->model, &job->map, err));
    const char *bytes = job->map.bytes;
    if ((job->map.size >= 8 && memcmp(bytes + 4, "TFL3", 4) == 0) ||
        (job->map.size >= 4 && memcmp(bytes, "LEDG", 4) == 0)) {
        return ledge_fail(err, LEDGE_ERR_UNSUPPORTED, "%s: quantize reads ONNX models", job->model);
    }
    if (ledge_import_onnx(bytes, job->map.size, &job->graph, err) != LEDGE_OK) {
        return ledge_fail_at(err, job->model);
    }
    return LEDGE_OK;
}

/* The data's samples as the model's own metadata want them. */
static enum ledge_status open_data(struct job *job, const struct data_set_spec *wanted,
                                   struct ledge_error *err)
{
    struct data_set_spec spec = *wanted;
    struct data_preprocess preprocess;
    if (job->graph.n_inputs != 1) {
        return ledge_fail(err, LEDGE_ERR_UNSUPPORTED, "%s: %d inputs, one is needed", job->model,
                          (int)job->graph.n_inputs);
    }
    const struct ledge_value *input = &job->graph.values[job->graph.inputs[0]];
    struct ledge_tensor_info info = {
        .name = input->name, .dtype = input->dtype, .rank = input->rank};
    memcpy(info.dims, input->dims, sizeof info.dims);
    if (input->rank >= 3) {
        const char *json = ledge_graph_metadata(&job->graph, DATA_KEY_PREPROCESS);
        LEDGE_TRY(data_preprocess_guess(&info, &preprocess, err));
        if (json != NULL) {
            LEDGE_TRY(data_preprocess_parse(json, &preprocess, err));
        }
        if (job->split.preprocess != NULL) {
            LEDGE_TRY(cli_split_preprocess(job->split.preprocess, &preprocess, err));
        }
        spec.preprocess = &preprocess;
    }
    return data_set_open(&spec, &job->set, err);
}

static enum ledge_status make_ptq(struct job *job, struct ledge_error *err)
{
    char digest[DATA_DIGEST_HEX];
    data_set_digest(job->set, digest);
    (void)snprintf(job->note, sizeof job->note, "\"data\":\"sha256:%s\"", digest);
    const struct compress_ptq_options options = {
        .method = (enum compress_method)compress_method_of(job->method),
        .percentile = job->percentile,
        .keep = job->keep.items,
        .n_keep = (int32_t)job->keep.n,
        .note = job->note};
    return compress_ptq_create(&job->graph, &options, NULL, &job->ptq, err);
}

static enum ledge_status check_sample(struct job *job, struct ledge_error *err)
{
    int64_t dims[3];
    size_t have = 1;
    size_t want = compress_ptq_sample_elements(job->ptq);
    int32_t rank = data_set_dims(job->set, dims);
    for (int32_t i = 0; i < rank; i++) {
        have *= (size_t)dims[i];
    }
    if (have != want) {
        return ledge_fail(err, LEDGE_ERR_SHAPE,
                          "a sample of %s has %zu values, the model's input %zu", job->split.data,
                          have, want);
    }
    job->sample = aligned_alloc(64, (want * sizeof(float) + 63) / 64 * 64);
    return job->sample != NULL ? LEDGE_OK
                               : ledge_fail(err, LEDGE_ERR_NOMEM, "no memory for a sample");
}

static enum ledge_status calibrate(struct job *job, const struct ledge_graph **quantised,
                                   struct ledge_error *err)
{
    int64_t n = data_set_count(job->set);
    LEDGE_TRY(check_sample(job, err));
    for (int64_t i = 0; i < n; i++) {
        LEDGE_TRY(data_set_read(job->set, i, NULL, job->sample, err));
        LEDGE_TRY(compress_ptq_observe(job->ptq, job->sample, err));
    }
    LEDGE_TRY(compress_ptq_finish(job->ptq, quantised, err));
    for (int64_t i = 0; i < n && i < MEASURED; i++) {
        LEDGE_TRY(data_set_read(job->set, i, NULL, job->sample, err));
        LEDGE_TRY(compress_ptq_measure(job->ptq, job->sample, err));
    }
    return LEDGE_OK;
}

/* What can be said before a file is opened. spec FILLED. */
static enum ledge_status check_options(const struct job *job, struct data_set_spec *spec,
                                       struct ledge_error *err)
{
    if (job->out == NULL) {
        return ledge_fail(err, LEDGE_ERR_ARG, "-o OUT.onnx is needed");
    }
    if (compress_method_of(job->method) < 0) {
        return ledge_fail(err, LEDGE_ERR_ARG, "--method: minmax, percentile or mse, not '%.100s'",
                          job->method);
    }
    if (!(job->percentile > 50 && job->percentile <= 100)) {
        return ledge_fail(err, LEDGE_ERR_ARG, "--percentile: '%g' is not more than 50, at most 100",
                          job->percentile);
    }
    return cli_split_spec(&job->split, spec, err);
}

static enum ledge_status quantise(struct job *job, struct ledge_error *err)
{
    struct data_set_spec spec;
    LEDGE_CLEANUP(ledge_buf_done) struct ledge_buf bytes = LEDGE_BUF_INIT(OUT_MAX);
    const struct ledge_graph *quantised = NULL;
    LEDGE_TRY(check_options(job, &spec, err));
    LEDGE_TRY(open_graph(job, err));
    LEDGE_TRY(open_data(job, &spec, err));
    LEDGE_TRY(make_ptq(job, err));
    LEDGE_TRY(calibrate(job, &quantised, err));
    LEDGE_TRY(ledge_export_onnx(quantised, &bytes, err));
    job->out_bytes = bytes.len;
    return sys_file_write(job->out, bytes.data, bytes.len, 0644, err);
}

/* -- report -- */

static json_t *number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *report_json(const struct job *job)
{
    int32_t n = 0;
    const struct compress_layer *layers = compress_ptq_layers(job->ptq, &n);
    json_t *list = json_array();
    for (int32_t i = 0; i < n; i++) {
        const struct compress_layer *l = &layers[i];
        json_t *one = json_pack(
            "{s:s,s:s,s:b,s:s?,s:o,s:o,s:o,s:o,s:o,s:i,s:i}", "node", l->node, "op", l->op, "int8",
            l->why == NULL, "why", l->why, "low", number(l->low), "high", number(l->high),
            "clipped", number(l->clipped), "weight_sqnr_db", number(l->weight_sqnr), "sqnr_db",
            number(l->sqnr), "dead_channels", (int)l->dead, "raised_scales", (int)l->raised);
        (void)json_array_append_new(list, one);
    }
    return json_pack("{s:s,s:s,s:s,s:I,s:I,s:I,s:o}", "model", job->model, "out", job->out,
                     "method", job->method, "samples", (json_int_t)data_set_count(job->set),
                     "bytes_before", (json_int_t)job->map.size, "bytes_after",
                     (json_int_t)job->out_bytes, "layers", list);
}

static const char *decibels(double value, char text[CELL])
{
    (void)snprintf(text, CELL, isnan(value) ? "-" : isinf(value) ? "exact" : "%.1f", value);
    return text;
}

static const char *range_text(const struct compress_layer *l, char text[CELL])
{
    (void)snprintf(text, CELL, isnan(l->low) ? "float" : "%.4g .. %.4g", l->low, l->high);
    return text;
}

static int report_text(const struct job *job)
{
    const char *heads[] = {"node",        "operator",   ">output range", ">clipped",
                           ">weights dB", ">output dB", "note"};
    struct sys_table *table = sys_table_create(heads, CLI_COUNT(heads));
    int32_t n = 0;
    const struct compress_layer *layers = compress_ptq_layers(job->ptq, &n);
    for (int32_t i = 0; table != NULL && i < n; i++) {
        const struct compress_layer *l = &layers[i];
        char range[CELL];
        char clipped[CELL];
        char weights[CELL];
        char output[CELL];
        char note[NOTE] = "";
        if (l->dead > 0 || l->raised > 0) {
            (void)snprintf(note, sizeof note, "%d dead channels, %d scales raised for the bias",
                           (int)l->dead, (int)l->raised);
        }
        (void)snprintf(clipped, sizeof clipped, isnan(l->low) ? "-" : "%.3f %%", 100 * l->clipped);
        sys_table_rowf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s", l->node, l->op, range_text(l, range),
                       clipped, decibels(l->weight_sqnr, weights), decibels(l->sqnr, output),
                       l->why != NULL ? l->why : note);
    }
    int failed = table == NULL ? -1 : sys_table_print(table, stdout);
    sys_table_free(table);
    if (failed != 0) {
        return SYS_EXIT_FAILED;
    }
    char before[CLI_TEXT_BYTES];
    char after[CLI_TEXT_BYTES];
    printf("%s -> %s: %s -> %s, %s on %lld samples\n", job->model, job->out,
           cli_text_bytes((double)job->map.size, before),
           cli_text_bytes((double)job->out_bytes, after), job->method,
           (long long)data_set_count(job->set));
    printf("next: ledge evaluate %s --data %s --champion %s\n", job->out, job->split.data,
           job->model);
    return SYS_EXIT_OK;
}

int cli_cmd_quantize(int argc, char **argv)
{
    LEDGE_CLEANUP(job_done)
    struct job job = {.method = "mse", .percentile = 99.99, .split = CLI_SPLIT_DEFAULT("train")};
    job.split.limit = 300;
    ledge_graph_init(&job.graph, NULL);
    const struct cli_option options[] = {
        CLI_SPLIT_OPTIONS(job.split),
        {"output", 'o', CLI_TEXT, &job.out, "OUT.onnx", "where to write the int8 model"},
        {"method", 'm', CLI_TEXT, &job.method, "M", "minmax, percentile or mse (default mse)"},
        {"percentile", 0, CLI_NUMBER, &job.percentile, "P", "of percentile (default 99.99)"},
        {"samples", 0, CLI_INT, &job.split.limit, "N", "calibration samples (default 300, 0 all)"},
        {"keep", 0, CLI_LIST, &job.keep, "NODE", "leave NODE, or first, or last, in float"},
        {"json", 0, CLI_FLAG, &job.json, NULL, "print the report as JSON"},
    };
    const struct cli_command command = {
        .usage = "ledge quantize MODEL.onnx --data D -o OUT.onnx [options]",
        .summary =
            "Make a float model an int8 model: ranges of activations from samples, weights per "
            "output\n"
            "channel, written as standard ONNX QDQ. Names, labels and preprocessing are kept.",
        .options = options,
        .n_options = CLI_COUNT(options),
        .min_args = 1,
        .max_args = 1,
        .examples = "  ledge quantize signs.onnx --data images/ -o signs-int8.onnx\n"
                    "  ledge quantize signs.onnx --data images/ --method percentile --samples 128 "
                    "-o q.onnx\n"
                    "  ledge quantize signs.onnx --data images/ --keep first --json -o q.onnx",
    };
    struct cli_args args;
    struct ledge_error err;
    int code = cli_parse(&command, argc, argv, &args);
    if (code >= 0) {
        return code;
    }
    job.model = args.items[0];
    if (quantise(&job, &err) != LEDGE_OK) {
        return cli_fail(&err);
    }
    return job.json ? cli_print_json(report_json(&job)) : report_text(&job);
}
