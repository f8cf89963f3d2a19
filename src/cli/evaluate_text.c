/* SPDX-License-Identifier: Apache-2.0 */
/* evaluate_text.c -- the report for a terminal. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "cli/evaluate.h"
#include "sys/table.h"

enum { CELL = 32, MOST_COLUMNS = 30 };

/* "0.957", or "-" for what is not defined. */
static const char *cell(double value, char text[CELL])
{
    (void)snprintf(text, CELL, isnan(value) ? "-" : "%.4f", value);
    return text;
}

static enum ledge_status print(struct sys_table *table, struct ledge_error *err)
{
    int failed = table == NULL ? -1 : sys_table_print(table, stdout);
    sys_table_free(table);
    return failed == 0 ? LEDGE_OK : ledge_fail(err, LEDGE_ERR_IO, "cannot print the report");
}

static double value_of(const struct cli_evaluation *e, const char *name)
{
    const struct cli_metric *metric = cli_metric_find(e, name);
    return metric != NULL ? metric->value : NAN;
}

static void print_summary(const struct cli_evaluation *e)
{
    const struct cli_answers *a = e->answers;
    char size[CLI_TEXT_BYTES];
    char memory[CLI_TEXT_BYTES];
    char arena[CLI_TEXT_BYTES];
    char peak[CLI_TEXT_BYTES];
    printf("%s: top-1 %.2f %% on %zu samples\n", e->model, 100 * value_of(e, "top1"), a->n);
    printf("  macro precision %.4f, recall %.4f, F1 %.4f, AUC %.4f; calibration error %.4f\n",
           value_of(e, "macro_precision"), value_of(e, "macro_recall"), value_of(e, "macro_f1"),
           value_of(e, "auc"), value_of(e, "ece"));
    printf("  latency p50 %.3f ms, p99 %.3f ms; file %s; session %s, of it arena %s; process peak "
           "%s\n",
           value_of(e, "latency_p50_ms"), value_of(e, "latency_p99_ms"),
           cli_text_bytes((double)a->file_bytes, size),
           cli_text_bytes((double)a->memory_bytes, memory),
           cli_text_bytes((double)a->arena_bytes, arena),
           cli_text_bytes((double)a->peak_bytes, peak));
    if (e->champion != NULL) {
        const struct data_paired *p = &e->paired;
        printf("  against %s: %lld samples lost, %lld won, %.2f %% the same answer\n", e->champion,
               (long long)p->lost, (long long)p->won, 100 * e->agreement);
        printf("  drop %.2f points, with 95 %% confidence at most %.2f (McNemar p %.3g)\n",
               100 * p->drop, 100 * p->upper, p->p_value);
        if (p->lost + p->won == 0) {
            printf("  no sample differs: a difference in up to %.2f %% of cases would go unseen in "
                   "%zu\n",
                   300.0 / (double)a->n, a->n);
        }
    }
}

static enum ledge_status print_classes(const struct cli_evaluation *e, struct ledge_error *err)
{
    const char *heads[] = {"class", ">precision", ">recall", ">F1", ">AUC", ">samples"};
    struct sys_table *table = sys_table_create(heads, CLI_COUNT(heads));
    for (int32_t c = 0; table != NULL && c < e->answers->k; c++) {
        const struct data_class_metrics *m = &e->classes[c];
        char text[4][CELL];
        sys_table_rowf(table, "%s\t%s\t%s\t%s\t%s\t%lld", e->answers->classes[c],
                       cell(m->precision, text[0]), cell(m->recall, text[1]), cell(m->f1, text[2]),
                       cell(c < e->answers->outputs ? e->rocs[c].auc : NAN, text[3]),
                       (long long)m->support);
    }
    return print(table, err);
}

static enum ledge_status print_confusion(const struct cli_evaluation *e, struct ledge_error *err)
{
    int32_t k = e->answers->k;
    char names[MOST_COLUMNS + 1][CELL];
    const char *cells[MOST_COLUMNS + 1];
    if (k > MOST_COLUMNS) {
        printf("confusion matrix: %d classes, see --json or --html\n", (int)k);
        return LEDGE_OK;
    }
    (void)snprintf(names[0], CELL, "true \\ said");
    cells[0] = names[0];
    for (int32_t c = 0; c < k; c++) {
        (void)snprintf(names[c + 1], CELL, ">%.12s", e->answers->classes[c]);
        cells[c + 1] = names[c + 1];
    }
    struct sys_table *table = sys_table_create(cells, (size_t)k + 1);
    for (int32_t i = 0; table != NULL && i < k; i++) {
        (void)snprintf(names[0], CELL, "%.24s", e->answers->classes[i]);
        for (int32_t j = 0; j < k; j++) {
            long long count = (long long)e->confusion[(size_t)i * (size_t)k + (size_t)j];
            (void)snprintf(names[j + 1], CELL, count == 0 ? "." : "%lld", count);
        }
        sys_table_row(table, cells, (size_t)k + 1);
    }
    return print(table, err);
}

static enum ledge_status print_gate(const struct cli_gate *gate, struct ledge_error *err)
{
    const char *heads[] = {"gate", ">measured", "result"};
    struct sys_table *table = sys_table_create(heads, CLI_COUNT(heads));
    for (size_t i = 0; table != NULL && i < gate->n; i++) {
        const struct cli_gate_row *row = &gate->rows[i];
        char text[CLI_GATE_TEXT];
        char value[CLI_VALUE_TEXT];
        char missing[CLI_VALUE_TEXT];
        sys_table_rowf(table, "%s\t%s\t%s%s", cli_gate_text(row, text),
                       cli_value_text(row->value, value), row->passed ? "passed" : "FAILED by ",
                       row->passed ? "" : cli_value_text(row->missing, missing));
    }
    LEDGE_TRY(print(table, err));
    printf("gate %s\n", gate->passed ? "passed" : "FAILED");
    return LEDGE_OK;
}

enum ledge_status cli_evaluate_text(const struct cli_evaluation *evaluation,
                                    const struct cli_gate *gate, struct ledge_error *err)
{
    print_summary(evaluation);
    puts("");
    LEDGE_TRY(print_classes(evaluation, err));
    puts("");
    LEDGE_TRY(print_confusion(evaluation, err));
    if (gate != NULL) {
        puts("");
        LEDGE_TRY(print_gate(gate, err));
    }
    return LEDGE_OK;
}

/* RFC 4180: quoted, quotes doubled. */
static void quoted(struct ledge_buf *out, const char *text)
{
    (void)ledge_buf_text(out, "\"");
    for (; *text != '\0'; text++) {
        (void)ledge_buf_add(out, text, 1);
        if (*text == '"') {
            (void)ledge_buf_add(out, text, 1);
        }
    }
    (void)ledge_buf_text(out, "\"");
}

enum ledge_status cli_answers_csv(const struct cli_answers *answers, struct ledge_buf *out,
                                  struct ledge_error *err)
{
    (void)ledge_buf_text(out, "sample,truth,answer,confidence\n");
    for (size_t i = 0; i < answers->n; i++) {
        quoted(out, answers->keys[i]);
        (void)ledge_buf_text(out, ",");
        quoted(out, answers->classes[answers->truth[i]]);
        (void)ledge_buf_text(out, ",");
        quoted(out, answers->classes[answers->predicted[i]]);
        (void)ledge_buf_printf(out, ",%.6f\n", (double)answers->confidence[i]);
    }
    return out->failed ? ledge_fail(err, LEDGE_ERR_NOMEM, "no memory for the answers") : LEDGE_OK;
}
