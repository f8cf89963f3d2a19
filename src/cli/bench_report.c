/* SPDX-License-Identifier: Apache-2.0 */
/* bench_report.c -- what `ledge bench` measured, for people and as JSON. */
#include <stdio.h>

#include "cli/bench.h"
#include "sys/table.h"

static json_t *steps_json(const struct bench *c)
{
    json_t *list = json_array();
    struct bench_step s;
    for (int32_t i = 0; c->steps != NULL && bench_step_at(c, i, &s); i++) {
        json_array_append_new(
            list,
            json_pack("{s:s, s:s, s:s, s:s, s:f, s:I, s:f, s:f, s:I}", "node", s.info.node, "op",
                      s.info.op, "kernel", s.kernel, "dtype", ledge_dtype_text(s.info.dtype), "ms",
                      s.seconds * 1e3, "macs", (json_int_t)s.info.macs, "gmacs_per_second", s.gmacs,
                      "percent_of_peak", s.percent, "bytes_moved", (json_int_t)s.bytes));
    }
    return list;
}

int bench_report_json(const struct bench *c)
{
    double p50 = bench_percentile(c, 0.5);
    json_t *root = json_pack(
        "{s:s, s:s, s:I, s:I, s:{s:f, s:f, s:f, s:f, s:f}, s:f, s:I, s:f, s:f, s:f, s:f, s:f, s:s, "
        "s:I, s:I, s:{s:I, s:I, s:I, s:I}}",
        "model", c->path, "rung", ledge_cpu_rung(), "threads", (json_int_t)bench_threads(c), "runs",
        (json_int_t)c->n_times, "ms", "min", c->times[0] * 1e3, "p50", p50 * 1e3, "p90",
        bench_percentile(c, 0.9) * 1e3, "p99", bench_percentile(c, 0.99) * 1e3, "max",
        c->times[c->n_times - 1] * 1e3, "open_ms", c->open_seconds * 1e3, "macs",
        (json_int_t)c->macs, "gmacs_per_second", (double)c->macs / p50 / 1e9, "floor_ms",
        c->floor_seconds * 1e3, "percent_of_peak", 100 * c->floor_seconds / p50,
        "peak_gmacs_per_core_f32", c->peak.f32 / 1e9, "peak_gmacs_per_core_i8", c->peak.i8 / 1e9,
        "peak_measured_with", c->peak.how, "arena_bytes",
        (json_int_t)ledge_session_arena_bytes(c->opened), "memory_bytes",
        (json_int_t)ledge_session_memory_bytes(c->opened), "process_kb", "before",
        (json_int_t)c->memory.before, "opened", (json_int_t)c->memory.opened, "after",
        (json_int_t)c->memory.after, "most", (json_int_t)c->memory.most);
    if (c->steps != NULL) {
        json_object_set_new(root, "steps", steps_json(c));
    }
    int code = c->compare != NULL ? bench_compare(c, root) : SYS_EXIT_OK;
    if (code != SYS_EXIT_OK) {
        json_decref(root);
        return code;
    }
    return cli_print_json(root);
}

static int print_steps(const struct bench *c)
{
    const char *heads[] = {">ms",      ">share", ">GMAC/s", ">% peak", ">moved",
                           "operator", "kernel", "output",  "node"};
    struct sys_table *table = sys_table_create(heads, CLI_COUNT(heads));
    struct bench_step s;
    double total = 0;
    if (table == NULL) {
        return cli_failf(SYS_EXIT_FAILED, "no memory for a table");
    }
    for (int32_t i = 0; bench_step_at(c, i, &s); i++) {
        total += s.seconds;
    }
    for (int32_t i = 0; bench_step_at(c, i, &s); i++) {
        char shape[CLI_SHAPE_TEXT], moved[CLI_TEXT_BYTES];
        sys_table_rowf(table, "%.4f\t%.1f %%\t%.2f\t%.1f\t%s\t%s\t%s\t%s\t%s", s.seconds * 1e3,
                       total > 0 ? 100 * s.seconds / total : 0, s.gmacs, s.percent,
                       cli_text_bytes((double)s.bytes, moved), s.info.op, s.kernel,
                       cli_shape_text(LEDGE_F32, s.info.out_rank, s.info.out_dims, shape) + 3,
                       s.info.node);
    }
    int failed = sys_table_print(table, stdout);
    sys_table_free(table);
    return failed == 0 ? SYS_EXIT_OK : SYS_EXIT_FAILED;
}

static void print_memory(const struct bench_memory *m)
{
    char text[4][CLI_TEXT_BYTES];
    printf("process memory: %s before, +%s opened, +%s after the runs, never more than %s\n",
           cli_text_bytes((double)m->before * 1024, text[0]),
           cli_text_bytes((double)(m->opened - m->before) * 1024, text[1]),
           cli_text_bytes((double)(m->after - m->before) * 1024, text[2]),
           cli_text_bytes((double)m->most * 1024, text[3]));
}

int bench_report_text(const struct bench *c)
{
    char a[CLI_TEXT_BYTES], b[CLI_TEXT_BYTES];
    double p50 = bench_percentile(c, 0.5);
    int code = c->steps != NULL ? print_steps(c) : SYS_EXIT_OK;
    printf(
        "%s: min %.3f  p50 %.3f  p90 %.3f  p99 %.3f  max %.3f ms  (%zu runs, %lld thread%s, %s)\n",
        c->path, c->times[0] * 1e3, p50 * 1e3, bench_percentile(c, 0.9) * 1e3,
        bench_percentile(c, 0.99) * 1e3, c->times[c->n_times - 1] * 1e3, c->n_times,
        (long long)bench_threads(c), bench_threads(c) > 1 ? "s" : "", ledge_cpu_rung());
    printf("%s MACs: %.2f GMAC/s at p50, %.1f %% of the measured peak of a core (f32 %.1f, int8 "
           "%.1f GMAC/s, %s)\n",
           cli_text_count((double)c->macs, a), (double)c->macs / p50 / 1e9,
           100 * c->floor_seconds / p50, c->peak.f32 / 1e9, c->peak.i8 / 1e9, c->peak.how);
    printf("opened in %.2f ms, arena %s, memory in all %s\n", c->open_seconds * 1e3,
           cli_text_bytes((double)ledge_session_arena_bytes(c->opened), a),
           cli_text_bytes((double)ledge_session_memory_bytes(c->opened), b));
    if (c->peak_mem) {
        print_memory(&c->memory);
    }
    return code == SYS_EXIT_OK && c->compare != NULL ? bench_compare(c, NULL) : code;
}
