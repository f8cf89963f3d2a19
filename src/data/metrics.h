/* SPDX-License-Identifier: Apache-2.0 */
/* metrics.h -- how good a classifier is: pure functions on arrays, no files, no models.
 *
 * Flow:    predictions -> [metrics.h] -> cli/evaluate_report.h, gate
 * Threads: any; nothing is kept.
 * Memory:  results go to the caller's arrays; ROC sorts a scratch array of its own.
 *
 * Shapes:  n samples, k classes; truth[i] and predicted[i] in 0..k-1; scores row-major [n][k].
 * Ratios are 0..1. A ratio whose denominator is 0 is NAN ("undefined"), never 0 or 1.
 */
#ifndef DATA_METRICS_H
#define DATA_METRICS_H

#include <stddef.h>
#include <stdint.h>

#include "ledge/error.h"

/* counts[truth * k + predicted] += 1 for every sample; counts is not cleared first. */
void data_metrics_confusion(const int32_t *truth, const int32_t *predicted, size_t n, int32_t k,
                            int64_t *counts);

struct data_class_metrics {
    double precision; /* TP / (TP + FP); NAN when the class was never predicted */
    double recall;    /* TP / (TP + FN); NAN when the class has no sample */
    double f1;        /* 2 TP / (2 TP + FP + FN); NAN when all three are 0 */
    int64_t support;  /* samples of the class */
};

/* One entry per class from a confusion matrix. */
void data_metrics_classes(const int64_t *counts, int32_t k, struct data_class_metrics *classes);

/* Means over the classes that have samples (a class never predicted counts as precision 0 there,
 * as is usual), and the share of right answers. support: samples in all. */
struct data_class_metrics data_metrics_macro(const struct data_class_metrics *classes, int32_t k);
double data_metrics_top1(const int64_t *counts, int32_t k);

/* Expected calibration error: samples are put into `bins` equal-width bins of confidence, (0,
 * 1/bins],
 * ...; the error is the mean over samples of |accuracy - mean confidence| of their bin.
 * Source: Guo et al., "On Calibration of Modern Neural Networks", 2017, equation 3.
 *   right  1 where the sample was answered right
 * NAN when n is 0. */
double data_metrics_ece(const float *confidence, const uint8_t *right, size_t n, int32_t bins);

/* One point of a ROC curve. */
struct data_roc_point {
    double fpr; /* false positives / negatives */
    double tpr; /* true positives / positives */
};

/* ROC of one class against the rest, and the area under it (equal scores count half, which makes it
 * the probability that a positive scores above a negative).
 *   scores, stride  score of sample i is scores[i * stride]
 *   points          FILLED, from (0,0) to (1,1); at most max_points (>= 2), thinned evenly when
 * there are more thresholds; NULL: not wanted n_points        FILLED auc             FILLED; NAN
 * when there are no positives or no negatives (n_points is 0 then) Errors: ERR_NOMEM, ERR_RANGE (a
 * score is not a number). */
LEDGE_NODISCARD enum ledge_status data_metrics_roc(const float *scores, size_t stride,
                                                   const int32_t *truth, int32_t positive, size_t n,
                                                   struct data_roc_point *points, size_t max_points,
                                                   size_t *n_points, double *auc,
                                                   struct ledge_error *err);

/* Quantile q (0..1) of values sorted ascending, by nearest rank: the smallest value that at least
 * q * n values do not exceed. NAN when n is 0. */
double data_metrics_quantile(const double *sorted, size_t n, double q);

/* Two models on the same samples. */
struct data_paired {
    size_t n;
    int64_t lost;   /* champion right, candidate wrong */
    int64_t won;    /* champion wrong, candidate right */
    double drop;    /* (lost - won) / n: positive is a loss of accuracy */
    double se;      /* sqrt(lost + won - (lost - won)^2 / n) / n */
    double upper;   /* one-sided 95 % bound of the drop: drop + 1.645 se */
    double p_value; /* McNemar, exact two-sided binomial: how likely so unequal lost and won are */
};

/*   champion, candidate  1 where that model was right. All members NAN or 0 when n is 0. */
struct data_paired data_metrics_paired(const uint8_t *champion, const uint8_t *candidate, size_t n);

#endif
