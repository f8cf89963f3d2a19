/* SPDX-License-Identifier: Apache-2.0 */
/* evaluate_metrics.c -- answers -> every number of the report, each with the name a gate calls it
 * by. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "cli/evaluate.h"

enum { ECE_BINS = 15, FIXED_METRICS = 24, PER_CLASS = 4 };

void cli_scores_to_probabilities(float *scores, size_t n, int32_t k)
{
    size_t width = (size_t)k;
    bool distributions = true;
    for (size_t i = 0; i < n && distributions; i++) {
        double sum = 0;
        for (size_t c = 0; c < width; c++) {
            double p = (double)scores[i * width + c];
            distributions = distributions && p >= 0 && p <= 1;
            sum += p;
        }
        /* int8 probabilities are multiples of 1/256 and need not sum to 1 exactly */
        distributions = distributions && fabs(sum - 1) <= 0.05;
    }
    for (size_t i = 0; i < n && !distributions; i++) {
        float *row = scores + i * width;
        double sum = 0;
        float most = -INFINITY;
        for (size_t c = 0; c < width; c++) {
            most = row[c] > most ? row[c] : most;
        }
        for (size_t c = 0; c < width; c++) {
            sum += exp((double)row[c] - (double)most);
        }
        for (size_t c = 0; c < width; c++) {
            row[c] = (float)(exp((double)row[c] - (double)most) / sum);
        }
    }
}

static void add(struct cli_evaluation *e, double value, const char *prefix, const char *class,
                const char *name)
{
    struct cli_metric *metric = &e->metrics[e->n_metrics++];
    (void)snprintf(metric->name, sizeof metric->name, "%s%s%s", prefix, class, name);
    metric->value = value;
}

static double mean_auc(const struct cli_evaluation *e)
{
    double sum = 0;
    double n = 0;
    for (int32_t c = 0; c < e->answers->outputs; c++) {
        if (!isnan(e->rocs[c].auc)) {
            sum += e->rocs[c].auc;
            n++;
        }
    }
    return n > 0 ? sum / n : NAN;
}

static double least_recall(const struct cli_evaluation *e)
{
    double least = NAN;
    for (int32_t c = 0; c < e->answers->k; c++) {
        double recall = e->classes[c].recall;
        least = isnan(least) || recall < least ? recall : least;
    }
    return least;
}

static void add_all(struct cli_evaluation *e)
{
    const struct cli_answers *a = e->answers;
    struct data_class_metrics macro = data_metrics_macro(e->classes, a->k);
    const struct {
        const char *name;
        double value;
    } fixed[] = {
        {"samples", (double)a->n},
        {"top1", data_metrics_top1(e->confusion, a->k)},
        {"macro_precision", macro.precision},
        {"macro_recall", macro.recall},
        {"macro_f1", macro.f1},
        {"min_recall", least_recall(e)},
        {"auc", mean_auc(e)},
        {"ece", data_metrics_ece(a->confidence, a->right, a->n, ECE_BINS)},
        {"latency_p50_ms", 1e3 * data_metrics_quantile(a->seconds, a->n, 0.5)},
        {"latency_p99_ms", 1e3 * data_metrics_quantile(a->seconds, a->n, 0.99)},
        {"size_bytes", (double)a->file_bytes},
        {"arena_bytes", (double)a->arena_bytes},
        {"memory_bytes", (double)a->memory_bytes},
        {"peak_bytes", (double)a->peak_bytes},
    };
    for (size_t i = 0; i < CLI_COUNT(fixed); i++) {
        add(e, fixed[i].value, "", "", fixed[i].name);
    }
    if (e->champion != NULL) {
        add(e, e->paired.drop, "", "", "drop");
        add(e, e->paired.upper, "", "", "drop_upper");
        add(e, e->paired.p_value, "", "", "mcnemar_p");
        add(e, e->agreement, "", "", "agreement");
    }
    for (int32_t c = 0; c < a->k; c++) {
        const struct data_class_metrics *m = &e->classes[c];
        add(e, m->precision, "class.", a->classes[c], ".precision");
        add(e, m->recall, "class.", a->classes[c], ".recall");
        add(e, m->f1, "class.", a->classes[c], ".f1");
        add(e, c < a->outputs ? e->rocs[c].auc : NAN, "class.", a->classes[c], ".auc");
    }
}

static enum ledge_status compare(struct cli_evaluation *e, const struct cli_answers *champion,
                                 struct ledge_error *err)
{
    const struct cli_answers *a = e->answers;
    if (champion->n != a->n) {
        return ledge_fail(err, LEDGE_ERR_ARG, "the champion answered %zu samples, not %zu",
                          champion->n, a->n);
    }
    size_t same = 0;
    for (size_t i = 0; i < a->n; i++) {
        same += strcmp(a->classes[a->predicted[i]], champion->classes[champion->predicted[i]]) == 0;
    }
    e->agreement = (double)same / (double)a->n;
    e->paired = data_metrics_paired(champion->right, a->right, a->n);
    return LEDGE_OK;
}

static enum ledge_status fill(struct cli_evaluation *e, const struct cli_answers *champion,
                              struct ledge_error *err)
{
    const struct cli_answers *a = e->answers;
    size_t k = (size_t)a->k;
    e->confusion = calloc(k * k, sizeof *e->confusion);
    e->classes = calloc(k, sizeof *e->classes);
    e->rocs = calloc((size_t)a->outputs, sizeof *e->rocs);
    e->metrics = calloc(FIXED_METRICS + PER_CLASS * k, sizeof *e->metrics);
    if (e->confusion == NULL || e->classes == NULL || e->rocs == NULL || e->metrics == NULL) {
        return ledge_fail(err, LEDGE_ERR_NOMEM, "no memory for the report of %zu classes", k);
    }
    data_metrics_confusion(a->truth, a->predicted, a->n, a->k, e->confusion);
    data_metrics_classes(e->confusion, a->k, e->classes);
    for (int32_t c = 0; c < a->outputs; c++) {
        struct cli_roc *roc = &e->rocs[c];
        LEDGE_TRY(data_metrics_roc(a->scores + c, (size_t)a->outputs, a->truth, c, a->n,
                                   roc->points, CLI_ROC_POINTS, &roc->n, &roc->auc, err));
    }
    if (champion != NULL) {
        LEDGE_TRY(compare(e, champion, err));
    }
    add_all(e);
    return LEDGE_OK;
}

enum ledge_status cli_evaluation_make(const char *model, const struct cli_answers *answers,
                                      const char *champion_model,
                                      const struct cli_answers *champion,
                                      struct cli_evaluation *evaluation, struct ledge_error *err)
{
    struct cli_evaluation made = {
        .model = model, .answers = answers, .champion = champion_model, .agreement = NAN};
    enum ledge_status status = fill(&made, champion, err);
    if (status != LEDGE_OK) {
        cli_evaluation_done(&made);
        return status;
    }
    *evaluation = made;
    return LEDGE_OK;
}

void cli_evaluation_done(struct cli_evaluation *evaluation)
{
    free(evaluation->confusion);
    free(evaluation->classes);
    free(evaluation->rocs);
    free(evaluation->metrics);
    *evaluation = (struct cli_evaluation){0};
}

const struct cli_metric *cli_metric_find(const struct cli_evaluation *evaluation, const char *name)
{
    for (size_t i = 0; i < evaluation->n_metrics; i++) {
        if (strcmp(evaluation->metrics[i].name, name) == 0) {
            return &evaluation->metrics[i];
        }
    }
    return NULL;
}
