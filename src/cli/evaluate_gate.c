/* SPDX-License-Identifier: Apache-2.0 */
/* evaluate_gate.c -- GATE.yaml: `metric: {min: x, max: y}` for any metric of the report
 * (docs/gate.md). */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/status.h"
#include "cli/evaluate.h"
#include "sys/yaml.h"

struct reader {
    const struct sys_yaml *doc;
    const struct cli_evaluation *evaluation;
    struct cli_gate *gate;
    struct ledge_error *err;
};

static void doc_free(struct sys_yaml **doc)
{
    sys_yaml_free(*doc);
}

static enum ledge_status unknown_metric(struct reader *r, const char *path)
{
    char place[SYS_YAML_PLACE_BYTES];
    const struct cli_evaluation *e = r->evaluation;
    const char **names = calloc(e->n_metrics + 1, sizeof *names);
    const char *nearest = NULL;
    (void)sys_yaml_place(r->doc, path, place);
    for (size_t i = 0; names != NULL && i < e->n_metrics; i++) {
        names[i] = e->metrics[i].name;
    }
    if (names != NULL) {
        nearest = cli_nearest(path, names, e->n_metrics);
    }
    bool needs =
        e->champion == NULL && (strncmp(path, "drop", 4) == 0 || strcmp(path, "agreement") == 0 ||
                                strcmp(path, "mcnemar_p") == 0);
    enum ledge_status status = ledge_fail(
        r->err, LEDGE_ERR_ARG, "%s: %s%s%s%s%s", place, needs ? "" : "no metric is named ", path,
        needs ? " needs --champion" : "", nearest != NULL && !needs ? "; did you mean " : "",
        nearest != NULL && !needs ? nearest : "");
    free(names);
    return status;
}

static enum ledge_status add_row(struct reader *r, const char *path, bool is_min, double limit)
{
    const struct cli_metric *metric = cli_metric_find(r->evaluation, path);
    if (metric == NULL) {
        return unknown_metric(r, path);
    }
    struct cli_gate_row *rows = realloc(r->gate->rows, (r->gate->n + 1) * sizeof *rows);
    if (rows == NULL) {
        return ledge_fail(r->err, LEDGE_ERR_NOMEM, "no memory for the gate");
    }
    r->gate->rows = rows;
    struct cli_gate_row *row = &rows[r->gate->n++];
    *row = (struct cli_gate_row){.is_min = is_min, .limit = limit, .value = metric->value};
    (void)snprintf(row->name, sizeof row->name, "%s", path);
    /* NAN compares false: an undefined metric does not pass. */
    row->passed = is_min ? row->value >= limit : row->value <= limit;
    row->missing = row->passed ? 0 : is_min ? limit - row->value : row->value - limit;
    r->gate->passed = r->gate->passed && row->passed;
    return LEDGE_OK;
}

/* A mapping is a bound when it has min or max, else a step of the metric's dotted name. */
static enum ledge_status read_node(struct reader *r, json_t *object, const char *path, int depth)
{
    char place[SYS_YAML_PLACE_BYTES];
    json_t *low = json_object_get(object, "min");
    json_t *high = json_object_get(object, "max");
    bool bound = low != NULL || high != NULL;
    size_t members = (low != NULL ? 1u : 0u) + (high != NULL ? 1u : 0u);
    if (!json_is_object(object) || json_object_size(object) == 0 || depth > 4 ||
        (bound && json_object_size(object) != members) || (low != NULL && !json_is_number(low)) ||
        (high != NULL && !json_is_number(high))) {
        return ledge_fail(r->err, LEDGE_ERR_ARG, "%s: %s: expected {min: number} or {max: number}",
                          sys_yaml_place(r->doc, path, place), path);
    }
    if (low != NULL) {
        LEDGE_TRY(add_row(r, path, true, json_number_value(low)));
    }
    if (high != NULL) {
        LEDGE_TRY(add_row(r, path, false, json_number_value(high)));
    }
    const char *key;
    json_t *value;
    json_object_foreach(object, key, value)
    {
        char inner[CLI_METRIC_NAME];
        if (!bound) {
            (void)snprintf(inner, sizeof inner, "%s%s%s", path, path[0] != '\0' ? "." : "", key);
            LEDGE_TRY(read_node(r, value, inner, depth + 1));
        }
    }
    return LEDGE_OK;
}

enum ledge_status cli_gate_make(const char *path, const struct cli_evaluation *evaluation,
                                struct cli_gate *gate, struct ledge_error *err)
{
    LEDGE_CLEANUP(doc_free) struct sys_yaml *doc = NULL;
    struct cli_gate made = {.passed = true};
    LEDGE_TRY(sys_yaml_load(path, &doc, err));
    struct reader r = {.doc = doc, .evaluation = evaluation, .gate = &made, .err = err};
    enum ledge_status status = read_node(&r, sys_yaml_root(doc), "", 0);
    if (status != LEDGE_OK) {
        cli_gate_done(&made);
        return status;
    }
    *gate = made;
    return LEDGE_OK;
}

void cli_gate_done(struct cli_gate *gate)
{
    free(gate->rows);
    *gate = (struct cli_gate){0};
}

const char *cli_value_text(double value, char text[CLI_VALUE_TEXT])
{
    bool whole = fabs(value) < 1e15 && value == floor(value);
    (void)snprintf(text, CLI_VALUE_TEXT, isnan(value) ? "-" : whole ? "%.0f" : "%.6g", value);
    return text;
}

const char *cli_gate_text(const struct cli_gate_row *row, char text[CLI_GATE_TEXT])
{
    char limit[CLI_VALUE_TEXT];
    (void)snprintf(text, CLI_GATE_TEXT, "%s at %s %s", row->name, row->is_min ? "least" : "most",
                   cli_value_text(row->limit, limit));
    return text;
}
