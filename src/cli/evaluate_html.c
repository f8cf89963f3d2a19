/* SPDX-License-Identifier: Apache-2.0 */
/* evaluate_html.c -- the report as one page without any outside part: tables, the confusion matrix
 * and the ROC curves as SVG. Whatever comes from a model or a data set is escaped. */
#include <math.h>
#include <string.h>

#include "base/status.h"
#include "cli/evaluate.h"

enum { ROC_SIDE = 320, MOST_CELLS = 60, MOST_CURVES = 20 };

static const char page_head[] =
    "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
    "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">"
    "<meta name=\"color-scheme\" content=\"light dark\"><title>Evaluation</title><style>"
    "body{font:16px/1.5 system-ui,sans-serif;max-width:960px;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse;margin:.5rem 0 1.5rem}"
    "th,td{padding:.25rem .75rem;border-bottom:1px solid #8888;text-align:right}"
    "th:first-child,td:first-child{text-align:left}"
    ".passed{color:#17805f;font-weight:600}.failed{color:#d03a2e;font-weight:600}"
    "svg{max-width:100%;height:auto}svg text{font:12px system-ui,sans-serif;fill:currentColor}"
    "@media(max-width:600px){body{margin:1rem auto}}</style></head><body>\n";

static void escaped(struct ledge_buf *out, const char *text)
{
    for (; *text != '\0'; text++) {
        switch (*text) {
        case '<':
            (void)ledge_buf_text(out, "&lt;");
            break;
        case '>':
            (void)ledge_buf_text(out, "&gt;");
            break;
        case '&':
            (void)ledge_buf_text(out, "&amp;");
            break;
        case '"':
            (void)ledge_buf_text(out, "&quot;");
            break;
        default:
            (void)ledge_buf_add(out, text, 1);
        }
    }
}

static void number_cell(struct ledge_buf *out, double value)
{
    char text[CLI_VALUE_TEXT];
    (void)ledge_buf_printf(out, "<td>%s</td>", cli_value_text(value, text));
}

static void put_gate(struct ledge_buf *out, const struct cli_gate *gate)
{
    (void)ledge_buf_printf(out,
                           "<h2>Gate: <span class=\"%s\">%s</span></h2>\n<table><tr><th>bound</th>"
                           "<th>measured</th><th>result</th></tr>\n",
                           gate->passed ? "passed" : "failed", gate->passed ? "passed" : "failed");
    for (size_t i = 0; i < gate->n; i++) {
        const struct cli_gate_row *row = &gate->rows[i];
        char text[CLI_GATE_TEXT];
        (void)ledge_buf_text(out, "<tr><td>");
        escaped(out, cli_gate_text(row, text));
        (void)ledge_buf_text(out, "</td>");
        number_cell(out, row->value);
        if (row->passed) {
            (void)ledge_buf_text(out, "<td class=\"passed\">passed</td></tr>\n");
        } else {
            char missing[CLI_VALUE_TEXT];
            (void)ledge_buf_printf(out, "<td class=\"failed\">failed by %s</td></tr>\n",
                                   cli_value_text(row->missing, missing));
        }
    }
    (void)ledge_buf_text(out, "</table>\n");
}

static void put_summary(struct ledge_buf *out, const struct cli_evaluation *e)
{
    (void)ledge_buf_text(out, "<h1>");
    escaped(out, e->model);
    (void)ledge_buf_printf(out,
                           "</h1>\n<p>%zu samples, data digest %.16s, model SHA-256 %.16s.</p>\n",
                           e->answers->n, e->answers->data_digest, e->answers->model_sha256);
    if (e->champion != NULL) {
        (void)ledge_buf_text(out, "<p>Against ");
        escaped(out, e->champion);
        (void)ledge_buf_printf(out,
                               ": drop %.2f points, with 95&nbsp;%% confidence at most %.2f; %lld "
                               "samples lost, %lld won.</p>\n",
                               100 * e->paired.drop, 100 * e->paired.upper,
                               (long long)e->paired.lost, (long long)e->paired.won);
    }
    (void)ledge_buf_text(out, "<h2>Numbers</h2>\n<table>\n");
    for (size_t i = 0; i < e->n_metrics; i++) {
        if (strncmp(e->metrics[i].name, "class.", 6) != 0) {
            (void)ledge_buf_printf(out, "<tr><td>%s</td>", e->metrics[i].name);
            number_cell(out, e->metrics[i].value);
            (void)ledge_buf_text(out, "</tr>\n");
        }
    }
    (void)ledge_buf_text(out, "</table>\n");
}

static void put_classes(struct ledge_buf *out, const struct cli_evaluation *e)
{
    (void)ledge_buf_text(
        out, "<h2>Classes</h2>\n<table><tr><th>class</th><th>precision</th><th>recall</th>"
             "<th>F1</th><th>AUC</th><th>samples</th></tr>\n");
    for (int32_t c = 0; c < e->answers->k; c++) {
        const struct data_class_metrics *m = &e->classes[c];
        (void)ledge_buf_text(out, "<tr><td>");
        escaped(out, e->answers->classes[c]);
        (void)ledge_buf_text(out, "</td>");
        number_cell(out, m->precision);
        number_cell(out, m->recall);
        number_cell(out, m->f1);
        number_cell(out, c < e->answers->outputs ? e->rocs[c].auc : NAN);
        (void)ledge_buf_printf(out, "<td>%lld</td></tr>\n", (long long)m->support);
    }
    (void)ledge_buf_text(out, "</table>\n");
}

/* One square per pair of classes; the darker, the larger its share of the true class. */
static void put_confusion(struct ledge_buf *out, const struct cli_evaluation *e)
{
    int32_t k = e->answers->k;
    int side = k <= 20 ? 36 : 14;
    int margin = 110;
    (void)ledge_buf_text(
        out, "<h2>Confusion matrix</h2>\n<p>Rows are the true class, columns the answer.</p>\n");
    if (k > MOST_CELLS) {
        (void)ledge_buf_printf(out, "<p>%d classes are too many to draw.</p>\n", (int)k);
        return;
    }
    int whole = margin + side * k;
    (void)ledge_buf_printf(
        out,
        "<svg viewBox=\"0 0 %d %d\" width=\"%d\" role=\"img\" aria-label=\"Confusion matrix\">\n",
        whole, whole, whole);
    for (int32_t i = 0; i < k; i++) {
        int at = margin + side * i;
        (void)ledge_buf_printf(out, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">", margin - 6,
                               at + side / 2 + 4);
        escaped(out, e->answers->classes[i]);
        (void)ledge_buf_printf(out, "</text><text transform=\"translate(%d,%d) rotate(-60)\">",
                               at + side / 2 + 4, margin - 6);
        escaped(out, e->answers->classes[i]);
        (void)ledge_buf_text(out, "</text>\n");
        for (int32_t j = 0; j < k; j++) {
            long long count = (long long)e->confusion[(size_t)i * (size_t)k + (size_t)j];
            double share =
                e->classes[i].support > 0 ? (double)count / (double)e->classes[i].support : 0;
            (void)ledge_buf_printf(out,
                                   "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" fill=\"%s\" "
                                   "fill-opacity=\"%.3f\" stroke=\"#8884\"/>",
                                   margin + side * j, at, side, side,
                                   i == j ? "#17805f" : "#d03a2e", share);
            if (side > 20 && count > 0) {
                (void)ledge_buf_printf(out,
                                       "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">%lld</text>",
                                       margin + side * j + side / 2, at + side / 2 + 4, count);
            }
        }
        (void)ledge_buf_text(out, "\n");
    }
    (void)ledge_buf_text(out, "</svg>\n");
}

static void put_roc(struct ledge_buf *out, const struct cli_evaluation *e)
{
    int32_t n = e->answers->outputs < MOST_CURVES ? e->answers->outputs : MOST_CURVES;
    (void)ledge_buf_printf(
        out,
        "<h2>ROC</h2>\n<p>Each class against the rest%s.</p>\n"
        "<svg viewBox=\"-40 -10 %d %d\" width=\"%d\" role=\"img\" aria-label=\"ROC curves\">\n"
        "<rect width=\"%d\" height=\"%d\" fill=\"none\" stroke=\"#8888\"/>"
        "<line x1=\"0\" y1=\"%d\" x2=\"%d\" y2=\"0\" stroke=\"#8888\" stroke-dasharray=\"4\"/>"
        "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">false positive rate</text>"
        "<text transform=\"translate(-10,%d) rotate(-90)\" text-anchor=\"middle\">true positive "
        "rate</text>\n",
        n < e->answers->outputs ? " (the first 20 are drawn)" : "", ROC_SIDE + 240, ROC_SIDE + 40,
        ROC_SIDE + 240, ROC_SIDE, ROC_SIDE, ROC_SIDE, ROC_SIDE, ROC_SIDE / 2, ROC_SIDE + 20,
        ROC_SIDE / 2);
    for (int32_t c = 0; c < n; c++) {
        const struct cli_roc *roc = &e->rocs[c];
        int hue = 360 * c / n;
        if (roc->n == 0) {
            continue;
        }
        (void)ledge_buf_printf(
            out,
            "<polyline fill=\"none\" stroke=\"hsl(%d 70%% 45%%)\" stroke-width=\"1.5\" points=\"",
            hue);
        for (size_t i = 0; i < roc->n; i++) {
            (void)ledge_buf_printf(out, "%.1f,%.1f ", roc->points[i].fpr * ROC_SIDE,
                                   (1 - roc->points[i].tpr) * ROC_SIDE);
        }
        (void)ledge_buf_printf(out, "\"/><text x=\"%d\" y=\"%d\" style=\"fill:hsl(%d 70%% 45%%)\">",
                               ROC_SIDE + 12, 14 + 16 * c, hue);
        escaped(out, e->answers->classes[c]);
        (void)ledge_buf_printf(out, " %.4f</text>\n", roc->auc);
    }
    (void)ledge_buf_text(out, "</svg>\n");
}

enum ledge_status cli_evaluate_html(const struct cli_evaluation *evaluation,
                                    const struct cli_gate *gate, struct ledge_buf *out,
                                    struct ledge_error *err)
{
    (void)ledge_buf_text(out, page_head);
    put_summary(out, evaluation);
    if (gate != NULL) {
        put_gate(out, gate);
    }
    put_confusion(out, evaluation);
    put_roc(out, evaluation);
    put_classes(out, evaluation);
    (void)ledge_buf_text(out, "</body></html>\n");
    return out->failed ? ledge_fail(err, LEDGE_ERR_NOMEM, "the report is too large") : LEDGE_OK;
}
