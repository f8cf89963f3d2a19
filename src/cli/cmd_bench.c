/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_bench.c -- `ledge bench`: how long does a run take, and where does the time go?
 *
 * Inputs are seeded random numbers. Percentiles are of single runs after a warm-up (nearest rank).
 * With --profile every step is timed too; its share of the core's multiply-add peak is measured in
 * the same process (peak.h). */
#define _GNU_SOURCE /* sched_setaffinity */
#include <ctype.h>
#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/status.h"
#include "cli/bench.h"

enum { MAX_TENSORS = 256, MAX_RUNS = 1000000 };

int cli_cmd_bench(int argc, char **argv);

/* -- the machine -- */

/* "1", "0,1" or "0-3": the CPUs that this process may use from now on. */
static enum ledge_status pin_to(const char *text, struct ledge_error *err)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    const char *at = text;
    while (isdigit((unsigned char)*at)) {
        char *end = NULL;
        unsigned long first = strtoul(at, &end, 10), last = first;
        if (*end == '-' && isdigit((unsigned char)end[1])) {
            last = strtoul(end + 1, &end, 10);
        }
        for (unsigned long cpu = first; cpu <= last && last < CPU_SETSIZE; cpu++) {
            CPU_SET(cpu, &set);
        }
        at = *end == ',' ? end + 1 : end;
    }
    if (*at != '\0' || sched_setaffinity(0, sizeof set, &set) != 0) {
        return ledge_fail(err, LEDGE_ERR_ARG, "--pin %s: not a list of this machine's CPUs", text);
    }
    return LEDGE_OK;
}

/* A line of /proc/self/status in kB; 0 where the system has no such file. */
static int64_t memory_kb(const char *field)
{
    char line[256];
    long long kb = 0;
    FILE *file = fopen("/proc/self/status", "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, field, strlen(field)) == 0) {
            kb = strtoll(line + strlen(field), NULL, 10);
        }
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    return kb;
}

/* -- measuring -- */

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double bench_percentile(const struct bench *c, double share)
{
    size_t rank = (size_t)ceil(share * (double)c->n_times);
    return c->times[rank > 0 ? rank - 1 : 0];
}

int64_t bench_threads(const struct bench *c)
{
    return c->session.threads > 1 ? c->session.threads : 1;
}

static double peak_of(const struct bench *c, enum ledge_dtype dtype)
{
    double one = dtype == LEDGE_U8 || dtype == LEDGE_I8 ? c->peak.i8 : c->peak.f32;
    return one * (double)bench_threads(c);
}

bool bench_step_at(const struct bench *c, int32_t index, struct bench_step *step)
{
    *step = (struct bench_step){.kernel = "-"};
    if (ledge_session_step(c->opened, index, &step->info) != LEDGE_OK) {
        return false;
    }
    step->kernel = step->info.kernel != NULL ? step->info.kernel : "-";
    step->bytes = step->info.in_bytes + step->info.weight_bytes + step->info.out_bytes;
    if (c->steps != NULL && c->n_times > 0) {
        step->seconds = c->steps[index] / (double)c->n_times;
    }
    if (step->seconds > 0) {
        double rate = (double)step->info.macs / step->seconds;
        step->gmacs = rate / 1e9;
        step->percent = 100 * rate / peak_of(c, step->info.dtype);
    }
    return true;
}

static void add_steps(struct bench *c, double from)
{
    int32_t n = ledge_session_n_steps(c->opened);
    double *traced = NULL;
    if (c->traced != NULL) {
        traced = c->traced + c->n_times % BENCH_TRACED_RUNS * ((size_t)n + 2);
        traced[0] = from;
        traced[1] = c->times[c->n_times];
    }
    for (int32_t i = 0; c->steps != NULL && i < n; i++) {
        struct ledge_step_info step;
        if (ledge_session_step(c->opened, i, &step) == LEDGE_OK) {
            c->steps[i] += step.seconds;
        }
        if (traced != NULL) {
            traced[2 + i] = step.seconds;
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
        c->times[c->n_times] = ledge_port_seconds() - from;
        add_steps(c, from);
        c->n_times++;
    }
    qsort(c->times, c->n_times, sizeof *c->times, by_value);
    return LEDGE_OK;
}

static enum ledge_status make_inputs(struct bench *c, struct cli_tensors *noise,
                                     struct ledge_tensor *inputs, struct ledge_error *err)
{
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
    return LEDGE_OK;
}

static enum ledge_status prepare(struct bench *c, struct cli_tensors *noise,
                                 struct ledge_tensor *inputs, struct ledge_error *err)
{
    if (c->pin != NULL) {
        LEDGE_TRY(pin_to(c->pin, err));
    }
    c->peak = cli_peak_measure();
    c->memory.before = memory_kb("VmRSS:");
    c->from = ledge_port_seconds();
    LEDGE_TRY(cli_session_open(c->path, &c->session, NULL, &c->model, &c->opened, err));
    c->open_seconds = ledge_port_seconds() - c->from;
    c->memory.opened = memory_kb("VmRSS:");
    LEDGE_TRY(make_inputs(c, noise, inputs, err));
    int32_t n_steps = ledge_session_n_steps(c->opened);
    for (int32_t i = 0; i < n_steps; i++) {
        struct bench_step step;
        if (bench_step_at(c, i, &step)) {
            c->macs += step.info.macs;
            c->floor_seconds += (double)step.info.macs / peak_of(c, step.info.dtype);
        }
    }
    c->times = calloc((size_t)c->runs, sizeof *c->times);
    c->steps = c->session.profile ? calloc((size_t)n_steps + 1, sizeof *c->steps) : NULL;
    c->traced = c->trace != NULL
                    ? calloc(BENCH_TRACED_RUNS * ((size_t)n_steps + 2), sizeof *c->traced)
                    : NULL;
    bool failed = c->times == NULL || (c->session.profile && c->steps == NULL) ||
                  (c->trace != NULL && c->traced == NULL);
    return failed ? ledge_fail(err, LEDGE_ERR_NOMEM, "no memory for the times") : LEDGE_OK;
}

static enum ledge_status execute(struct bench *c, struct ledge_error *err)
{
    LEDGE_CLEANUP(cli_tensors_done) struct cli_tensors noise;
    struct ledge_tensor inputs[MAX_TENSORS], outputs[MAX_TENSORS];
    cli_tensors_init(&noise);
    LEDGE_TRY(prepare(c, &noise, inputs, err));
    LEDGE_TRY(measure(c, inputs, (int32_t)noise.n, outputs, ledge_model_n_outputs(c->model), err));
    c->memory.after = memory_kb("VmRSS:");
    c->memory.most = memory_kb("VmHWM:");
    return LEDGE_OK;
}

static int bench_model(struct bench *c)
{
    struct ledge_error err = {.text = ""};
    int code;
    if (!cli_in_range("--runs", c->runs, 1, MAX_RUNS) ||
        !cli_in_range("--warmup", c->warmup, 0, MAX_RUNS)) {
        return SYS_EXIT_USAGE;
    }
    if (c->seconds < 0) {
        return cli_failf(SYS_EXIT_USAGE, "--seconds: '%g' is negative", c->seconds);
    }
    c->session.profile = c->session.profile || c->trace != NULL;
    if (execute(c, &err) != LEDGE_OK) {
        code = cli_fail(&err);
    } else {
        code = c->json ? bench_report_json(c) : bench_report_text(c);
        if (code == SYS_EXIT_OK && c->trace != NULL) {
            code = bench_trace_write(c);
        }
    }
    ledge_session_close(c->opened);
    ledge_model_close(c->model);
    free(c->times);
    free(c->steps);
    free(c->traced);
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
         "every step: kernel, time, GMAC/s, share of the peak, bytes moved"},
        {"compare", 'c', CLI_TEXT, &c.compare, "FILE",
         "ratios to an earlier --json, in all and for each step"},
        {"trace", 0, CLI_TEXT, &c.trace, "FILE", "write a timeline for Perfetto"},
        {"peak-mem", 0, CLI_FLAG, &c.peak_mem, NULL, "memory of the process, and its growth"},
        {"pin", 0, CLI_TEXT, &c.pin, "CPUS", "use only these CPUs: 1, or 0,1, or 0-3"},
        {"json", 0, CLI_FLAG, &c.json, NULL, "everything as JSON"},
        CLI_SESSION_OPTIONS(&c.session),
    };
    const struct cli_command command = {
        .usage = "ledge bench MODEL [options]",
        .summary = "Time a model on random inputs: min, p50, p90, p99 of single runs, and what "
                   "share of the\n"
                   "processor's multiply-add peak (measured at once) that is. "
                   "LEDGE_CPU chooses\n"
                   "the kernels: c, avx2, avxvnni, avx512 or avx512vnni.",
        .options = options,
        .n_options = CLI_COUNT(options),
        .min_args = 1,
        .max_args = 1,
        .examples = "  ledge bench mobilenet.onnx --threads 2\n"
                    "  ledge bench detector.onnx --shape 1x3x320x320 --profile\n"
                    "  ledge bench net.onnx --profile --json >old.json   # change something, then\n"
                    "  ledge bench net.onnx --profile --compare old.json --trace steps.json",
    };
    struct cli_args args;
    int code = cli_parse(&command, argc, argv, &args);
    code = code < 0 ? cli_session_check(&c.session) : code;
    code = code < 0 ? cli_ops_load(&c.session.ops_libraries) : code;
    if (code < 0) {
        c.path = args.items[0];
        code = bench_model(&c);
    }
    cli_list_done(&c.session.shapes);
    return code;
}
