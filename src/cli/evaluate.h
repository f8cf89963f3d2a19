/* SPDX-License-Identifier: Apache-2.0 */
/* evaluate.h -- between the files of `ledge evaluate`.
 *
 * Flow:    model + labelled samples -> answers (evaluate_run.c) -> numbers (evaluate_metrics.c) ->
 * gate (evaluate_gate.c)
 *          -> text, JSON or HTML (evaluate_text.c, evaluate_json.c, evaluate_html.c)
 * Memory:  answers keep the scores of every sample: n * k floats. OWNED structs have a _done
 * function.
 */
#ifndef CLI_EVALUATE_H
#define CLI_EVALUATE_H

#include "base/buf.h"
#include "cli/cli.h"
#include "data/dataset.h"
#include "data/metrics.h"

enum { CLI_ROC_POINTS = 200, CLI_METRIC_NAME = 96 };

/* What the samples are (without preprocessing: the model says it) and how the model is run. */
struct cli_evaluate_options {
    struct data_set_spec spec; /* texts BORROWED */
    const char *preprocess;    /* see cli_split */
    int32_t threads;
    const char *inputs; /* write every input here as one NPY array; NULL: do not */
};

/* What a model said about n samples. Classes are the model's labels, then those of the data that
 * the model does not know. */
struct cli_answers {
    size_t n;
    int32_t k;       /* classes in all */
    int32_t outputs; /* classes the model can answer: the first of them */
    char **classes;  /* names */
    char **keys;     /* of the samples */
    int32_t *truth;
    int32_t *predicted;
    float *confidence; /* probability of the predicted class */
    uint8_t *right;
    float *scores;   /* probabilities [n][outputs] */
    double *seconds; /* of each run, sorted */
    uint64_t file_bytes, arena_bytes, memory_bytes, peak_bytes;
    char model_sha256[65];
    char data_digest[DATA_DIGEST_HEX];
};

/* Open the model, run it on each sample of the part (batch 1), time each run.
 *   answers  OWNED: cli_answers_done()
 * Errors: what opening model and data report; ERR_SHAPE when they do not fit. */
LEDGE_NODISCARD enum ledge_status cli_answers_make(const char *model,
                                                   const struct cli_evaluate_options *options,
                                                   struct cli_answers *answers,
                                                   struct ledge_error *err);
void cli_answers_done(struct cli_answers *answers);

/* Scores of one sample into probabilities: as they are when all samples are distributions, else by
 * softmax. scores [n][k], changed in place. */
void cli_scores_to_probabilities(float *scores, size_t n, int32_t k);

struct cli_roc {
    double auc;
    size_t n;
    struct data_roc_point points[CLI_ROC_POINTS];
};

struct cli_metric {
    char name[CLI_METRIC_NAME];
    double value; /* NAN: not defined for these samples */
};

struct cli_evaluation {
    const char *model;                  /* BORROWED */
    const struct cli_answers *answers;  /* BORROWED */
    int64_t *confusion;                 /* [k][k] */
    struct data_class_metrics *classes; /* k */
    struct cli_roc *rocs;               /* one per output class */
    struct cli_metric *metrics;         /* everything a gate can name */
    size_t n_metrics;
    const char *champion; /* NULL: none */
    struct data_paired paired;
    double agreement; /* with the champion, share of samples */
};

/* evaluation OWNED: cli_evaluation_done(). champion NULL: none; it must have answered the same
 * samples (ERR_ARG). */
LEDGE_NODISCARD enum ledge_status
cli_evaluation_make(const char *model, const struct cli_answers *answers,
                    const char *champion_model, const struct cli_answers *champion,
                    struct cli_evaluation *evaluation, struct ledge_error *err);
void cli_evaluation_done(struct cli_evaluation *evaluation);

/* Value of a metric, NULL when there is none of that name. */
const struct cli_metric *cli_metric_find(const struct cli_evaluation *evaluation, const char *name);

struct cli_gate_row {
    char name[CLI_METRIC_NAME];
    bool is_min; /* else a maximum */
    double limit;
    double value;
    bool passed;
    double
        missing; /* by how much it failed, in the metric's unit; NAN when the metric is undefined */
};

struct cli_gate {
    struct cli_gate_row *rows;
    size_t n;
    bool passed;
};

/* Read GATE.yaml and hold the evaluation against it.
 *   gate  OWNED: cli_gate_done()
 * Errors: ERR_ARG (unknown metric, neither min nor max; err names file and line), and what reading
 * reports. */
LEDGE_NODISCARD enum ledge_status cli_gate_make(const char *path,
                                                const struct cli_evaluation *evaluation,
                                                struct cli_gate *gate, struct ledge_error *err);
void cli_gate_done(struct cli_gate *gate);

/* A number for people: whole numbers whole, others with six digits, "-" for NAN; FILLED and
 * returned. */
enum { CLI_VALUE_TEXT = 32 };
const char *cli_value_text(double value, char text[CLI_VALUE_TEXT]);

/* "top1 at least 0.92"; FILLED and returned. */
enum { CLI_GATE_TEXT = 160 };
const char *cli_gate_text(const struct cli_gate_row *row, char text[CLI_GATE_TEXT]);

/* One CSV line per sample: key, true class, answer, confidence. Errors: ERR_NOMEM. */
LEDGE_NODISCARD enum ledge_status cli_answers_csv(const struct cli_answers *answers,
                                                  struct ledge_buf *out, struct ledge_error *err);

/* Reports; gate NULL: none. */
LEDGE_NODISCARD enum ledge_status cli_evaluate_text(const struct cli_evaluation *evaluation,
                                                    const struct cli_gate *gate,
                                                    struct ledge_error *err);
json_t *cli_evaluate_json(const struct cli_evaluation *evaluation, const struct cli_gate *gate);
LEDGE_NODISCARD enum ledge_status cli_evaluate_html(const struct cli_evaluation *evaluation,
                                                    const struct cli_gate *gate,
                                                    struct ledge_buf *out, struct ledge_error *err);

#endif
