/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_bench.c -- `ledge bench`: how long does a run take, and where does the time go?
 *
 * Inputs are seeded random numbers. Percentiles are of single runs after a warm-up (nearest rank).
 * With --profile every step is timed too; its share of the core's multiply-add peak is measured in
 * the same process (peak.h). */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/status.h"
#include "cli/model_io.h"
#include "cli/peak.h"
#include "sys/table.h"

enum { MAX_TENSORS = 256, MAX_RUNS = 1000000 };

struct bench {
    const char *path;
    struct cli_session_options session;
    int64_t warmup, runs;
    double seconds;
    bool json;
    struct ledge_model *model;
    struct ledge_session *opened;
    double open_seconds; /* model and session */
    double *times;       /* of each run, sorted */
    size_t n_times;
    double *steps; /* seconds of each step, summed over the runs; NULL without --profile */
    int64_t macs;
    double peak; /* FLOP/s of one core */
    const char *peak_name;
};

int cli_cmd_bench(int argc, char **argv);

/* -- measuring
 * ------------------------------------------------------------------------------------------------------
 */

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double percentile(const struct bench *c, double share)
{
    size_t rank = (size_t)ceil(share * (double)c->n_times);
    return c->times[rank > 0 ? rank - 1 : 0];
}

static void add_steps(struct bench *c)
{
    for (int32_t i = 0; c->steps != NULL && i < ledge_session_n_steps(c->opened); i++) {
        struct ledge_step_info step;
        if (ledge_session_step(c->opened, i, &step) == LEDGE_OK) {
            c->steps[i] += step.seconds;
        }
    }
}

static enum ledge_status measure(struct bench *c, const struct ledge_tensor *inputs, int32_t n_in,
                                 struct ledge_tensor *outputs, int32_t n_out,
                                 struct ledge_error *err)
{
    for (int64_t i = 0; i < c->warmup; i++) {
        LEDGE_TRY(ledge_session_run(c->opened, inputs, n_in, outputs, n_out, err));
    }
    double start = ledge_port_seconds();
    while (c->n_times < (size_t)c->runs) {
        double from = ledge_port_seconds();
        if (c->n_times > 0 && from - start > c->seconds) {
            break;
        }
        LEDGE_TRY(ledge_session_run(c->opened, inputs, n_in, outputs, n_out, err));
        c->times[c->n_times++] = ledge_port_seconds() - from;
        add_steps(c);
    }
    qsort(c->times, c->n_times, sizeof *c->times, by_value);
    return LEDGE_OK;
}

static enum ledge_status prepare(struct bench *c, struct cli_tensors *noise,
                                 struct ledge_tensor *inputs, struct ledge_error *err)
{
    double from = ledge_port_seconds();
    LEDGE_TRY(cli_session_open(c->path, &c->session, NULL, &c->model, &c->opened, err));
    c->open_seconds = ledge_port_seconds() - from;
    if (ledge_model_n_inputs(c->model) > MAX_TENSORS ||
        ledge_model_n_outputs(c->model) > MAX_TENSORS) {
        return ledge_fail(err, LEDGE_ERR_UNSUPPORTED, "more than %d inputs or outputs",
                          MAX_TENSORS);
    }
    LEDGE_TRY(cli_random_inputs(c->model, c->opened, 1, noise, err));
    for (size_t i = 0; i < noise->n; i++) {
        const struct ledge_view *view = &noise->items[i].view;
        inputs[i] = (struct ledge_tensor){.data = view->data,
                                          .bytes = ledge_view_bytes(view),
                                          .dtype = view->dtype,
                                          .rank = view->rank};
        memcpy(inputs[i].dims, view->dims, sizeof view->dims);
    }
    int32_t n_steps = ledge_session_n_steps(c->opened);
    for (int32_t i = 0; i < n_steps; i++) {
        struct ledge_step_info step;
        c->macs += ledge_session_step(c->opened, i, &step) == LEDGE_OK ? step.macs : 0;
    }
    c->times = calloc((size_t)c->runs, sizeof *c->times);
    c->steps = c->session.profile ? calloc((size_t)n_steps + 1, sizeof *c->steps) : NULL;
    bool failed = c->times == NULL || (c->session.profile && c->steps == NULL);
    return failed ? ledge_fail(err, LEDGE_ERR_NOMEM, "no memory for the times") : LEDGE_OK;
}

static enum ledge_status execute(struct bench *c, struct ledge_error *err)
{
    LEDGE_CLEANUP(cli_tensors_done) struct cli_tensors noise;
    struct ledge_tensor inputs[MAX_TENSORS], outputs[MAX_TENSORS];
    cli_tensors_init(&noise);
    LEDGE_TRY(prepare(c, &noise, inputs, err));
    c->peak = cli_peak_flops(&c->peak_name);
    return measure(c, inputs, (int32_t)noise.n, outputs, ledge_model_n_outputs(c->model), err);
}

/* -- reports
 * --------------------------------------------------------------------------------------------------------
 */

static double rate(int64_t macs, double seconds)
{
    return seconds > 0 ? 2.0 * (double)macs / seconds : 0;
}

/* Share of what the threads in use could do at most. */
static double share(const struct bench *c, double flops)
{
    double threads = c->session.threads > 1 ? (double)c->session.threads : 1;
    return 100.0 * flops / (c->peak * threads);
}

static json_t *steps_json(const struct bench *c)
{
    json_t *list = json_array();
    for (int32_t i = 0; c->steps != NULL && i < ledge_session_n_steps(c->opened); i++) {
        struct ledge_step_info s;
        double seconds = c->steps[i] / (double)c->n_times;
        if (ledge_session_step(c->opened, i, &s) != LEDGE_OK) {
            break;
        }
        json_array_append_new(
            list, json_pack("{s:s, s:s, s:s, s:f, s:I, s:f, s:f}", "node", s.node, "op", s.op,
                            "kernel", s.kernel != NULL ? s.kernel : "", "ms", seconds * 1e3, "macs",
                            (json_int_t)s.macs, "gflops", rate(s.macs, seconds) / 1e9,
                            "percent_of_peak", share(c, rate(s.macs, seconds))));
    }
    return list;
}

static int report_json(const struct bench *c)
{
    double p50 = percentile(c, 0.5);
    json_t *root = json_pack(
        "{s:s, s:s, s:I, s:I, s:{s:f, s:f, s:f, s:f, s:f}, s:f, s:I, s:f, s:f, s:f, s:s, s:I, s:I}",
        "model", c->path, "rung", ledge_cpu_rung(), "threads",
        (json_int_t)(c->session.threads > 1 ? c->session.threads : 1), "runs",
        (json_int_t)c->n_times, "ms", "min", c->times[0] * 1e3, "p50", p50 * 1e3, "p90",
        percentile(c, 0.9) * 1e3, "p99", percentile(c, 0.99) * 1e3, "max",
        c->times[c->n_times - 1] * 1e3, "open_ms", c->open_seconds * 1e3, "macs",
        (json_int_t)c->macs, "gflops", rate(c->macs, p50) / 1e9, "percent_of_peak",
        share(c, rate(c->macs, p50)), "peak_gflops_per_core", c->peak / 1e9, "peak_measured_with",
        c->peak_name, "arena_bytes", (json_int_t)ledge_session_arena_bytes(c->opened),
        "memory_bytes", (json_int_t)ledge_session_memory_bytes(c->opened));
    if (c->steps != NULL) {
        json_object_set_new(root, "steps", steps_json(c));
    }
    return cli_print_json(root);
}

static int print_steps(const struct bench *c)
{
    const char *heads[] = {">ms",      ">share", ">GFLOP/s", ">% peak",
                           "operator", "kernel", "output",   "node"};
    struct sys_table *table = sys_table_create(heads, CLI_COUNT(heads));
    double total = 0;
    if (table == NULL) {
        return cli_failf(CLI_FAILED, "no memory for a table");
    }
    for (int32_t i = 0; i < ledge_session_n_steps(c->opened); i++) {
        total += c->steps[i];
    }
    for (int32_t i = 0; i < ledge_session_n_steps(c->opened); i++) {
        struct ledge_step_info s;
        char shape[CLI_SHAPE_TEXT];
        double seconds = c->steps[i] / (double)c->n_times;
        if (ledge_session_step(c->opened, i, &s) != LEDGE_OK) {
            break;
        }
        sys_table_rowf(table, "%.4f\t%.1f %%\t%.2f\t%.1f\t%s\t%s\t%s\t%s", seconds * 1e3,
                       total > 0 ? 100 * c->steps[i] / total : 0, rate(s.macs, seconds) / 1e9,
                       share(c, rate(s.macs, seconds)), s.op, s.kernel != NULL ? s.kernel : "-",
                       cli_shape_text(LEDGE_F32, s.out_rank, s.out_dims, shape) + 3, s.node);
    }
    int failed = sys_table_print(table, stdout);
    sys_table_free(table);
    return failed == 0 ? CLI_OK : CLI_FAILED;
}

static int report_text(const struct bench *c)
{
    char a[CLI_TEXT_BYTES], b[CLI_TEXT_BYTES];
    double p50 = percentile(c, 0.5);
    int code = c->steps != NULL ? print_steps(c) : CLI_OK;
    printf(
        "%s: min %.3f  p50 %.3f  p90 %.3f  p99 %.3f  max %.3f ms  (%zu runs, %lld thread%s, %s)\n",
        c->path, c->times[0] * 1e3, p50 * 1e3, percentile(c, 0.9) * 1e3, percentile(c, 0.99) * 1e3,
        c->times[c->n_times - 1] * 1e3, c->n_times,
        (long long)(c->session.threads > 1 ? c->session.threads : 1),
        c->session.threads > 1 ? "s" : "", ledge_cpu_rung());
    printf(
        "%s MACs: %.2f GFLOP/s at p50, %.1f %% of the measured peak of %.1f GFLOP/s a core (%s)\n",
        cli_text_count((double)c->macs, a), rate(c->macs, p50) / 1e9, share(c, rate(c->macs, p50)),
        c->peak / 1e9, c->peak_name);
    printf("opened in %.2f ms, arena %s, memory in all %s\n", c->open_seconds * 1e3,
           cli_text_bytes((double)ledge_session_arena_bytes(c->opened), a),
           cli_text_bytes((double)ledge_session_memory_bytes(c->opened), b));
    return code;
}

static int bench_model(struct bench *c)
{
    struct ledge_error err = {.text = ""};
    int code;
    if (c->runs < 1 || c->runs > MAX_RUNS || c->warmup < 0 || c->seconds < 0) {
        return cli_failf(CLI_USAGE, "--runs is 1 to %d, --warmup and --seconds not negative",
                         MAX_RUNS);
    }
    if (execute(c, &err) != LEDGE_OK) {
        code = cli_fail(&err);
    } else {
        code = c->json ? report_json(c) : report_text(c);
    }
    ledge_session_close(c->opened);
    ledge_model_close(c->model);
    free(c->times);
    free(c->steps);
    return code;
}

int cli_cmd_bench(int argc, char **argv)
{
    struct bench c = {.warmup = 5, .runs = 1000, .seconds = 3};
    const struct cli_option options[] = {
        {"runs", 'n', CLI_INT, &c.runs, "N", "at most so many runs (1000)"},
        {"seconds", 's', CLI_NUMBER, &c.seconds, "S", "at most so long (3)"},
        {"warmup", 'w', CLI_INT, &c.warmup, "N", "runs before the clock counts (5)"},
        {"profile", 'p', CLI_FLAG, &c.session.profile, NULL,
         "time of every step, share of the peak"},
        {"json", 0, CLI_FLAG, &c.json, NULL, "everything as JSON"},
        CLI_SESSION_OPTIONS(&c.session),
    };
    const struct cli_command command = {
        .usage = "ledge bench MODEL [options]",
        .summary = "Time a model on random inputs: min, p50, p90, p99 of single runs, and what "
                   "share of the\n"
                   "processor's multiply-add peak (measured at once) that is. "
                   "LEDGE_CPU=c|avx2|avx512 chooses\n"
                   "the kernels.",
        .options = options,
        .n_options = CLI_COUNT(options),
        .min_args = 1,
        .max_args = 1,
        .examples = "  ledge bench mobilenet.onnx --threads 2\n"
                    "  ledge bench detector.onnx --shape 1x3x320x320 --profile",
    };
    struct cli_args args;
    int code = cli_parse(&command, argc, argv, &args);
    if (code < 0) {
        c.path = args.items[0];
        code = bench_model(&c);
    }
    cli_list_done(&c.session.shapes);
    return code;
}
