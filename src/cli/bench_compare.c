/* SPDX-License-Identifier: Apache-2.0 */
/* bench_compare.c -- this run of `ledge bench` beside an earlier one, read from its JSON. Steps are
 * matched by node and operator, in order: a plan that changed shows what came and what went. */
#include <stdio.h>
#include <string.h>

#include "cli/bench.h"
#include "sys/file.h"
#include "sys/table.h"

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "";
}

static double ms_of(const json_t *object)
{
    return json_number_value(json_object_get(object, "ms"));
}

/* The earlier step that this one is, or NULL. Names may be empty: then the position decides. */
static const json_t *earlier(const json_t *old, const struct bench_step *step, size_t index)
{
    size_t i;
    const json_t *one;
    if (step->info.node[0] == '\0') {
        one = json_array_get(old, index);
        return one != NULL && strcmp(text_of(one, "op"), step->info.op) == 0 ? one : NULL;
    }
    json_array_foreach(old, i, one)
    {
        if (strcmp(text_of(one, "node"), step->info.node) == 0 &&
            strcmp(text_of(one, "op"), step->info.op) == 0) {
            return one;
        }
    }
    return NULL;
}

static double ratio(double old_ms, double ms)
{
    return ms > 0 ? old_ms / ms : 0;
}

static json_t *steps_json(const struct bench *c, const json_t *old)
{
    json_t *list = json_array();
    struct bench_step s;
    for (int32_t i = 0; bench_step_at(c, i, &s); i++) {
        const json_t *was = earlier(old, &s, (size_t)i);
        json_t *one = json_pack("{s:s, s:s, s:f}", "node", s.info.node, "op", s.info.op, "ms",
                                s.seconds * 1e3);
        if (was != NULL) {
            json_object_set_new(one, "old_ms", json_real(ms_of(was)));
            json_object_set_new(one, "ratio", json_real(ratio(ms_of(was), s.seconds * 1e3)));
        }
        json_array_append_new(list, one);
    }
    return list;
}

static int print_steps(const struct bench *c, const json_t *old)
{
    const char *heads[] = {">old ms", ">new ms", ">ratio", "operator", "kernel", "was", "node"};
    struct sys_table *table = sys_table_create(heads, CLI_COUNT(heads));
    struct bench_step s;
    if (table == NULL) {
        return cli_failf(SYS_EXIT_FAILED, "no memory for a table");
    }
    for (int32_t i = 0; bench_step_at(c, i, &s); i++) {
        const json_t *was = earlier(old, &s, (size_t)i);
        if (was == NULL) {
            sys_table_rowf(table, "-\t%.4f\tnew\t%s\t%s\t\t%s", s.seconds * 1e3, s.info.op,
                           s.kernel, s.info.node);
            continue;
        }
        const char *kernel = text_of(was, "kernel");
        sys_table_rowf(table, "%.4f\t%.4f\t%.2f\t%s\t%s\t%s\t%s", ms_of(was), s.seconds * 1e3,
                       ratio(ms_of(was), s.seconds * 1e3), s.info.op, s.kernel,
                       strcmp(kernel, s.kernel) == 0 ? "" : kernel, s.info.node);
    }
    int failed = sys_table_print(table, stdout);
    sys_table_free(table);
    return failed == 0 ? SYS_EXIT_OK : SYS_EXIT_FAILED;
}

/* Totals by one statistic of the runs. */
static double total_ratio(const json_t *old, const char *key, double ms)
{
    return ratio(json_number_value(json_object_get(json_object_get(old, "ms"), key)), ms);
}

int bench_compare(const struct bench *c, json_t *root)
{
    json_error_t why;
    json_t *old = json_load_file(c->compare, 0, &why);
    if (old == NULL && !sys_file_exists(c->compare)) {
        return cli_failf(SYS_EXIT_NOT_FOUND, "--compare %s: no such file", c->compare);
    }
    if (!json_is_number(json_object_get(json_object_get(old, "ms"), "p50"))) {
        bool parsed = old != NULL;
        json_decref(old);
        return cli_failf(SYS_EXIT_FAILED, "--compare %s: not what `ledge bench --json` writes%s%s",
                         c->compare, parsed ? "" : ": ", parsed ? "" : why.text);
    }
    const json_t *old_steps = json_object_get(old, "steps");
    bool steps = c->steps != NULL && json_is_array(old_steps);
    double least = total_ratio(old, "min", c->times[0] * 1e3);
    double p50 = total_ratio(old, "p50", bench_percentile(c, 0.5) * 1e3);
    int code = SYS_EXIT_OK;
    if (root != NULL) {
        json_object_set_new(root, "compare",
                            json_pack("{s:s, s:s, s:f, s:f, s:o}", "file", c->compare, "model",
                                      text_of(old, "model"), "min_ratio", least, "p50_ratio", p50,
                                      "steps", steps ? steps_json(c, old_steps) : json_array()));
    } else {
        code = steps ? print_steps(c, old_steps) : SYS_EXIT_OK;
        printf("against %s (%s, %s): p50 %.2fx, min %.2fx as fast\n", c->compare,
               text_of(old, "model"), text_of(old, "rung"), p50, least);
    }
    json_decref(old);
    return code;
}
