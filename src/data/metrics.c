/* SPDX-License-Identifier: Apache-2.0 */
/* metrics.c -- definitions stand in metrics.h. */
#include "data/metrics.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/status.h"

static const double Z95 = 1.6448536269514722; /* Phi^-1(0.95) */

void data_metrics_confusion(const int32_t *truth, const int32_t *predicted, size_t n, int32_t k,
                            int64_t *counts)
{
    for (size_t i = 0; i < n; i++) {
        counts[(size_t)truth[i] * (size_t)k + (size_t)predicted[i]]++;
    }
}

static double ratio(double part, double whole)
{
    return whole > 0 ? part / whole : NAN;
}

void data_metrics_classes(const int64_t *counts, int32_t k, struct data_class_metrics *classes)
{
    size_t side = (size_t)k;
    for (size_t c = 0; c < side; c++) {
        int64_t row = 0;
        int64_t column = 0;
        for (size_t j = 0; j < side; j++) {
            row += counts[c * side + j];
            column += counts[j * side + c];
        }
        double right = (double)counts[c * side + c];
        classes[c] = (struct data_class_metrics){
            .precision = ratio(right, (double)column),
            .recall = ratio(right, (double)row),
            .f1 = ratio(2 * right, (double)(row + column)),
            .support = row,
        };
    }
}

struct data_class_metrics data_metrics_macro(const struct data_class_metrics *classes, int32_t k)
{
    struct data_class_metrics sum = {0};
    double n = 0;
    for (int32_t c = 0; c < k; c++) {
        if (classes[c].support > 0) {
            sum.precision += isnan(classes[c].precision) ? 0 : classes[c].precision;
            sum.recall += classes[c].recall;
            sum.f1 += classes[c].f1;
            sum.support += classes[c].support;
            n++;
        }
    }
    sum.precision = ratio(sum.precision, n);
    sum.recall = ratio(sum.recall, n);
    sum.f1 = ratio(sum.f1, n);
    return sum;
}

double data_metrics_top1(const int64_t *counts, int32_t k)
{
    size_t side = (size_t)k;
    int64_t right = 0;
    int64_t all = 0;
    for (size_t i = 0; i < side * side; i++) {
        all += counts[i];
        right += i / side == i % side ? counts[i] : 0;
    }
    return ratio((double)right, (double)all);
}

double data_metrics_ece(const float *confidence, const uint8_t *right, size_t n, int32_t bins)
{
    if (n == 0) {
        return NAN;
    }
    double error = 0;
    for (int32_t b = 0; b < bins; b++) {
        double gap = 0; /* sum of (right - confidence) over the bin */
        for (size_t i = 0; i < n; i++) {
            int32_t at = (int32_t)ceil((double)confidence[i] * bins) - 1;
            at = at < 0 ? 0 : at >= bins ? bins - 1 : at;
            if (at == b) {
                gap += (double)right[i] - (double)confidence[i];
            }
        }
        error += fabs(gap);
    }
    return error / (double)n;
}

struct scored {
    float score;
    bool positive;
};

static int by_score_falling(const void *a, const void *b)
{
    float x = ((const struct scored *)a)->score;
    float y = ((const struct scored *)b)->score;
    return (x < y) - (x > y);
}

/* Walk the thresholds from high to low; `points` NULL: count them. Returns their number; the area
 * goes to *auc. Samples of one score move together, which draws ties as a diagonal. */
static size_t walk_roc(const struct scored *sorted, size_t n, double positives, double negatives,
                       struct data_roc_point *points, size_t max_points, size_t total, double *auc)
{
    double tp = 0;
    double fp = 0;
    double area = 0;
    size_t steps = 0;
    size_t kept = 0;
    for (size_t i = 0; i < n;) {
        double tp_before = tp;
        double fp_before = fp;
        float score = sorted[i].score;
        for (; i < n && !(sorted[i].score < score); i++) {
            tp += sorted[i].positive ? 1 : 0;
            fp += sorted[i].positive ? 0 : 1;
        }
        area += (fp - fp_before) * (tp + tp_before) / 2;
        steps++;
        /* Keep step s of total when it starts a new one of max_points - 1 equal parts; the last
         * always does. */
        if (points != NULL &&
            steps * (max_points - 1) / total > (steps - 1) * (max_points - 1) / total) {
            points[++kept] = (struct data_roc_point){fp / negatives, tp / positives};
        }
    }
    *auc = area / (positives * negatives);
    return points != NULL ? kept + 1 : steps;
}

enum ledge_status data_metrics_roc(const float *scores, size_t stride, const int32_t *truth,
                                   int32_t positive, size_t n, struct data_roc_point *points,
                                   size_t max_points, size_t *n_points, double *auc,
                                   struct ledge_error *err)
{
    double positives = 0;
    for (size_t i = 0; i < n; i++) {
        if (isnan(scores[i * stride])) {
            return ledge_fail(err, LEDGE_ERR_RANGE, "ROC: score of sample %zu is not a number", i);
        }
        positives += truth[i] == positive ? 1 : 0;
    }
    double negatives = (double)n - positives;
    if (positives <= 0 || negatives <= 0) {
        *auc = NAN;
        *n_points = 0;
        return LEDGE_OK;
    }
    struct scored *sorted = calloc(n, sizeof *sorted);
    if (sorted == NULL) {
        return ledge_fail(err, LEDGE_ERR_NOMEM, "ROC: no memory for %zu samples", n);
    }
    for (size_t i = 0; i < n; i++) {
        sorted[i] = (struct scored){scores[i * stride], truth[i] == positive};
    }
    qsort(sorted, n, sizeof *sorted, by_score_falling);
    size_t steps = walk_roc(sorted, n, positives, negatives, NULL, 0, 0, auc);
    *n_points = 0;
    if (points != NULL) {
        points[0] = (struct data_roc_point){0, 0};
        size_t fits = steps < max_points - 1 ? steps + 1 : max_points;
        *n_points = walk_roc(sorted, n, positives, negatives, points, fits, steps, auc);
    }
    free(sorted);
    return LEDGE_OK;
}

double data_metrics_quantile(const double *sorted, size_t n, double q)
{
    if (n == 0) {
        return NAN;
    }
    double rank = ceil(q * (double)n);
    size_t at = rank < 1 ? 0 : (size_t)rank - 1;
    return sorted[at < n ? at : n - 1];
}

/* Two-sided exact binomial test of `few` successes in `all` fair tosses. */
static double mcnemar_exact(int64_t lost, int64_t won)
{
    int64_t all = lost + won;
    int64_t few = lost < won ? lost : won;
    if (all == 0) {
        return 1;
    }
    double tail = 0;
    for (int64_t i = 0; i <= few; i++) {
        tail += exp(lgamma((double)all + 1) - lgamma((double)i + 1) -
                    lgamma((double)(all - i) + 1) - (double)all * log(2));
    }
    return fmin(1, 2 * tail);
}

struct data_paired data_metrics_paired(const uint8_t *champion, const uint8_t *candidate, size_t n)
{
    struct data_paired pair = {.n = n, .p_value = 1};
    for (size_t i = 0; i < n; i++) {
        pair.lost += champion[i] != 0 && candidate[i] == 0;
        pair.won += champion[i] == 0 && candidate[i] != 0;
    }
    double samples = (double)n;
    double difference = (double)(pair.lost - pair.won);
    double discordant = (double)(pair.lost + pair.won);
    pair.drop = ratio(difference, samples);
    pair.se = ratio(sqrt(fmax(0, discordant - difference * difference / samples)), samples);
    pair.upper = pair.drop + Z95 * pair.se;
    pair.p_value = mcnemar_exact(pair.lost, pair.won);
    return pair;
}
