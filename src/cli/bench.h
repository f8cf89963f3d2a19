/* SPDX-License-Identifier: Apache-2.0 */
/* bench.h -- what the files of `ledge bench` share: cmd_bench.c measures, bench_report.c prints,
 * bench_compare.c holds the result against an earlier one, bench_trace.c writes a timeline. */
#ifndef CLI_BENCH_H
#define CLI_BENCH_H

#include "cli/model_io.h"
#include "cli/peak.h"

enum { BENCH_TRACED_RUNS = 8 };

/* Memory of this process, kB: at the start, after opening, at the end, and the most it ever was. */
struct bench_memory {
    int64_t before, opened, after, most;
};

struct bench {
    const char *path;
    struct cli_session_options session;
    int64_t warmup, runs;
    double seconds;
    bool json, peak_mem;
    const char *pin, *compare, *trace;

    struct ledge_model *model;
    struct ledge_session *opened;
    double from, open_seconds; /* clock before opening; model and session */
    double *times;             /* of each run, sorted at the end */
    size_t n_times;
    double *steps;  /* seconds of each step, summed over the runs; NULL without --profile */
    double *traced; /* the last BENCH_TRACED_RUNS runs: start, length, then each step; else NULL */
    double floor_seconds; /* what the multiply-accumulates take at the measured peak, all threads */
    int64_t macs;
    struct cli_peak peak;
    struct bench_memory memory;
};

/* One step as every report shows it. */
struct bench_step {
    struct ledge_step_info info;
    const char *kernel; /* never NULL */
    double seconds;     /* mean of the runs */
    double gmacs;       /* 10^9 multiply-accumulates per second */
    double percent;     /* of the peak of all threads in use for the step's data type */
    size_t bytes;       /* read and written: inputs, weights, first output */
};

/* False past the end. */
bool bench_step_at(const struct bench *c, int32_t index, struct bench_step *step);

/* Threads in use, at least 1. */
int64_t bench_threads(const struct bench *c);

/* Nearest-rank percentile of the runs, seconds. */
double bench_percentile(const struct bench *c, double share);

/* What the reports return is an exit code. */
int bench_report_text(const struct bench *c);
int bench_report_json(const struct bench *c);

/* The result of an earlier `ledge bench --json` beside this one: total and, where both have steps,
 * each step. Ratios are old time over new: above 1 is faster now.
 * root: object that gets a member "compare"; NULL prints a table. */
int bench_compare(const struct bench *c, json_t *root);

/* Write the last runs as a JSON array of complete events (Chrome trace format, "ph": "X"), which
 * chrome://tracing and Perfetto load. The engine times each step, not the gaps between them:
 * steps are laid end to end from the start of their run. */
int bench_trace_write(const struct bench *c);

#endif
