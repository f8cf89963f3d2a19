/* SPDX-License-Identifier: Apache-2.0 */
/* evaluate_json.c -- the report as JSON: numbers by the names gates use; undefined ones are null.
 */
#include <math.h>
#include <string.h>

#include "cli/evaluate.h"

static json_t *number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *classes_json(const struct cli_evaluation *e)
{
    json_t *list = json_array();
    for (int32_t c = 0; c < e->answers->k; c++) {
        const struct data_class_metrics *m = &e->classes[c];
        json_t *one =
            json_pack("{s:s,s:o,s:o,s:o,s:o,s:I}", "name", e->answers->classes[c], "precision",
                      number(m->precision), "recall", number(m->recall), "f1", number(m->f1), "auc",
                      number(c < e->answers->outputs ? e->rocs[c].auc : NAN), "support",
                      (json_int_t)m->support);
        (void)json_array_append_new(list, one);
    }
    return list;
}

static json_t *confusion_json(const struct cli_evaluation *e)
{
    json_t *rows = json_array();
    int32_t k = e->answers->k;
    for (int32_t i = 0; i < k; i++) {
        json_t *row = json_array();
        for (int32_t j = 0; j < k; j++) {
            int64_t count = e->confusion[(size_t)i * (size_t)k + (size_t)j];
            (void)json_array_append_new(row, json_integer((json_int_t)count));
        }
        (void)json_array_append_new(rows, row);
    }
    return rows;
}

static json_t *gate_json(const struct cli_gate *gate)
{
    json_t *rows = json_array();
    for (size_t i = 0; i < gate->n; i++) {
        const struct cli_gate_row *row = &gate->rows[i];
        char text[CLI_GATE_TEXT];
        (void)json_array_append_new(
            rows, json_pack("{s:s,s:s,s:s,s:o,s:o,s:b,s:o}", "name", row->name, "text",
                            cli_gate_text(row, text), "bound", row->is_min ? "min" : "max", "value",
                            number(row->value), "limit", number(row->limit), "passed",
                            (int)row->passed, "missing", number(row->missing)));
    }
    return json_pack("{s:b,s:o}", "passed", (int)gate->passed, "rows", rows);
}

static json_t *champion_json(const struct cli_evaluation *e)
{
    const struct data_paired *p = &e->paired;
    return json_pack("{s:s,s:I,s:I,s:o,s:o,s:o,s:o,s:o}", "model", e->champion, "lost",
                     (json_int_t)p->lost, "won", (json_int_t)p->won, "drop", number(p->drop), "se",
                     number(p->se), "drop_upper", number(p->upper), "mcnemar_p", number(p->p_value),
                     "agreement", number(e->agreement));
}

json_t *cli_evaluate_json(const struct cli_evaluation *e, const struct cli_gate *gate)
{
    json_t *root = json_pack("{s:s,s:s,s:s}", "model", e->model, "sha256", e->answers->model_sha256,
                             "data_digest", e->answers->data_digest);
    json_t *labels = json_array();
    for (size_t i = 0; i < e->n_metrics; i++) {
        bool of_class = strncmp(e->metrics[i].name, "class.", 6) == 0;
        if (!of_class) {
            (void)json_object_set_new(root, e->metrics[i].name, number(e->metrics[i].value));
        }
    }
    for (int32_t c = 0; c < e->answers->outputs; c++) {
        (void)json_array_append_new(labels, json_string(e->answers->classes[c]));
    }
    (void)json_object_set_new(root, "labels", labels);
    (void)json_object_set_new(root, "classes", classes_json(e));
    (void)json_object_set_new(root, "confusion", confusion_json(e));
    if (e->champion != NULL) {
        (void)json_object_set_new(root, "champion", champion_json(e));
    }
    if (gate != NULL) {
        (void)json_object_set_new(root, "gate", gate_json(gate));
    }
    return root;
}
