/* SPDX-License-Identifier: Apache-2.0 */
/* bench_trace.c -- the last runs as a timeline: one complete event for opening, one for each run,
 * one inside it for each step. Format: "Trace Event Format", complete events, times in
 * microseconds. */
#include <stdlib.h>
#include <string.h>

#include "cli/bench.h"
#include "sys/file.h"

static json_t *event(const char *name, const char *kind, double from, double seconds, json_t *args)
{
    return json_pack("{s:s, s:s, s:s, s:f, s:f, s:i, s:i, s:o}", "name", name, "cat", kind, "ph",
                     "X", "ts", from * 1e6, "dur", seconds * 1e6, "pid", 1, "tid", 1, "args", args);
}

static void add_run(const struct bench *c, const double *run, json_t *events)
{
    double at = run[0] - c->from;
    struct bench_step s;
    json_array_append_new(
        events, event("run", "run", at, run[1],
                      json_pack("{s:s, s:I}", "model", c->path, "macs", (json_int_t)c->macs)));
    for (int32_t i = 0; bench_step_at(c, i, &s); i++) {
        double seconds = run[2 + i];
        json_t *args = json_pack("{s:s, s:s, s:I, s:f, s:I}", "operator", s.info.op, "kernel",
                                 s.kernel, "macs", (json_int_t)s.info.macs, "gmacs_per_second",
                                 seconds > 0 ? (double)s.info.macs / seconds / 1e9 : 0.0,
                                 "bytes_moved", (json_int_t)s.bytes);
        json_array_append_new(events, event(s.info.node[0] != '\0' ? s.info.node : s.info.op,
                                            s.info.op, at, seconds, args));
        at += seconds;
    }
}

int bench_trace_write(const struct bench *c)
{
    json_t *events = json_array();
    struct ledge_error err;
    size_t stride = (size_t)ledge_session_n_steps(c->opened) + 2;
    size_t kept = c->n_times < BENCH_TRACED_RUNS ? c->n_times : BENCH_TRACED_RUNS;
    json_array_append_new(events, event("open", "open", 0, c->open_seconds, json_object()));
    for (size_t i = c->n_times - kept; i < c->n_times; i++) {
        add_run(c, c->traced + i % BENCH_TRACED_RUNS * stride, events);
    }
    char *text = json_dumps(events, JSON_REAL_PRECISION(12));
    json_decref(events);
    if (text == NULL) {
        return cli_failf(SYS_EXIT_FAILED, "no memory for the timeline");
    }
    enum ledge_status status = sys_file_write(c->trace, text, strlen(text), 0644, &err);
    free(text);
    return status == LEDGE_OK ? SYS_EXIT_OK : cli_fail(&err);
}
