/* SPDX-License-Identifier: Apache-2.0 */
/* Every expected number here was worked out by hand; the working stands beside it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "data/metrics.h"

static void near(double got, double wanted)
{
    if (!(fabs(got - wanted) < 1e-9)) {
        fail_msg("got %.12g, wanted %.12g", got, wanted);
    }
}

/* Three classes; class 2 is never predicted.
 *            predicted 0 1 2
 *   truth 0           3 1 0
 *   truth 1           0 2 0
 *   truth 2           1 1 0        8 samples, 5 right */
static const int32_t truth[] = {0, 0, 0, 0, 1, 1, 2, 2};
static const int32_t predicted[] = {0, 0, 0, 1, 1, 1, 0, 1};

static void confusion_and_classes(void **state)
{
    (void)state;
    int64_t counts[9] = {0};
    data_metrics_confusion(truth, predicted, 8, 3, counts);
    const int64_t wanted[9] = {3, 1, 0, 0, 2, 0, 1, 1, 0};
    assert_memory_equal(counts, wanted, sizeof wanted);
    struct data_class_metrics classes[3];
    data_metrics_classes(counts, 3, classes);
    near(classes[0].precision, 3.0 / 4);
    near(classes[0].recall, 3.0 / 4);
    near(classes[0].f1, 3.0 / 4);
    near(classes[1].precision, 2.0 / 4);
    near(classes[1].recall, 1);
    near(classes[1].f1, 2.0 / 3); /* 2*2 / (2 + 4) */
    assert_true(isnan(classes[2].precision));
    near(classes[2].recall, 0);
    near(classes[2].f1, 0);
    assert_int_equal(classes[2].support, 2);
    near(data_metrics_top1(counts, 3), 5.0 / 8);
    struct data_class_metrics macro = data_metrics_macro(classes, 3);
    near(macro.precision, (0.75 + 0.5 + 0) / 3);
    near(macro.recall, (0.75 + 1 + 0) / 3);
    near(macro.f1, (0.75 + 2.0 / 3 + 0) / 3);
    assert_int_equal(macro.support, 8);
}

static void class_without_samples_is_left_out_of_the_mean(void **state)
{
    (void)state;
    const int64_t counts[4] = {4, 0, 0, 0};
    struct data_class_metrics classes[2];
    data_metrics_classes(counts, 2, classes);
    assert_true(isnan(classes[1].recall));
    assert_true(isnan(classes[1].f1));
    near(data_metrics_macro(classes, 2).f1, 1);
    const int64_t nothing[4] = {0};
    assert_true(isnan(data_metrics_top1(nothing, 2)));
}

static void ece_by_hand(void **state)
{
    (void)state;
    /* 5 bins of 0.2: bin (0.8,1] holds 0.9 0.95 1.0 with 2 of 3 right: |2/3 - 0.95| * 3 = 0.85;
     * bin (0.4,0.6] holds 0.5 0.55, one right: |1 - 1.05| = 0.05; all: 0.9 / 5. */
    const float confidence[] = {0.9f, 0.95f, 1.0f, 0.5f, 0.55f};
    const uint8_t right[] = {1, 1, 0, 1, 0};
    assert_true(fabs(data_metrics_ece(confidence, right, 5, 5) - 0.9 / 5) < 1e-6);
    const float sure[] = {1, 1};
    const uint8_t both[] = {1, 1};
    near(data_metrics_ece(sure, both, 2, 15), 0);
    assert_true(isnan(data_metrics_ece(sure, both, 0, 15)));
}

static void roc_by_hand(void **state)
{
    (void)state;
    /* Positives 0.9 0.6 0.4, negatives 0.7 0.4 0.1. Pairs won: 0.9 beats 3; 0.6 beats 2; 0.4 beats
     * 1 and ties 1: (3 + 2 + 1.5) / 9. */
    const float scores[] = {0.9f, 0.6f, 0.4f, 0.7f, 0.4f, 0.1f};
    const int32_t classes[] = {1, 1, 1, 0, 0, 0};
    struct data_roc_point points[8];
    size_t n = 0;
    double auc = 0;
    assert_int_equal(data_metrics_roc(scores, 1, classes, 1, 6, points, 8, &n, &auc, NULL),
                     LEDGE_OK);
    near(auc, 6.5 / 9);
    assert_int_equal(n, 6); /* start, then thresholds 0.9 0.7 0.6 0.4 0.1 */
    const double wanted[6][2] = {{0, 0},       {0, 1.0 / 3}, {1.0 / 3, 1.0 / 3}, {1.0 / 3, 2.0 / 3},
                                 {2.0 / 3, 1}, {1, 1}};
    for (size_t i = 0; i < n; i++) {
        near(points[i].fpr, wanted[i][0]);
        near(points[i].tpr, wanted[i][1]);
    }
}

static void roc_edges(void **state)
{
    (void)state;
    const float scores[] = {0.5f, 0.5f, 0.5f, 0.5f};
    const int32_t classes[] = {1, 0, 1, 0};
    struct data_roc_point points[4];
    size_t n = 9;
    double auc = 0;
    assert_int_equal(data_metrics_roc(scores, 1, classes, 1, 4, points, 4, &n, &auc, NULL),
                     LEDGE_OK);
    near(auc, 0.5);
    assert_int_equal(n, 2);
    assert_int_equal(data_metrics_roc(scores, 1, classes, 7, 4, points, 4, &n, &auc, NULL),
                     LEDGE_OK);
    assert_true(isnan(auc));
    assert_int_equal(n, 0);
    const float broken[] = {NAN, 0.1f};
    assert_int_equal(data_metrics_roc(broken, 1, classes, 1, 2, points, 4, &n, &auc, NULL),
                     LEDGE_ERR_RANGE);
}

static void roc_is_thinned_but_ends_at_one(void **state)
{
    (void)state;
    float scores[200]; /* two columns: the second is the score, with stride 2 */
    int32_t classes[100];
    for (int i = 0; i < 100; i++) {
        scores[2 * i] = -1;
        scores[2 * i + 1] = (float)i / 100;
        classes[i] = i >= 50;
    }
    struct data_roc_point points[10];
    size_t n = 0;
    double auc = 0;
    assert_int_equal(data_metrics_roc(scores + 1, 2, classes, 1, 100, points, 10, &n, &auc, NULL),
                     LEDGE_OK);
    near(auc, 1);
    assert_int_equal(n, 10);
    near(points[9].fpr, 1);
    near(points[9].tpr, 1);
    for (size_t i = 1; i < n; i++) {
        assert_true(points[i].fpr >= points[i - 1].fpr && points[i].tpr >= points[i - 1].tpr);
    }
}

static void quantile_is_nearest_rank(void **state)
{
    (void)state;
    const double values[] = {1, 2, 3, 4};
    near(data_metrics_quantile(values, 4, 0.5), 2);
    near(data_metrics_quantile(values, 4, 0.51), 3);
    near(data_metrics_quantile(values, 4, 0.99), 4);
    near(data_metrics_quantile(values, 4, 0), 1);
    near(data_metrics_quantile(values, 4, 1), 4);
    assert_true(isnan(data_metrics_quantile(values, 0, 0.5)));
}

static void paired_by_hand(void **state)
{
    (void)state;
    /* 100 samples: 5 lost, 2 won. drop 0.03; se sqrt(7 - 9/100) / 100 = 0.026286879...;
     * exact McNemar: 2 (1 + 7 + 21) / 128 = 58 / 128. */
    uint8_t champion[100];
    uint8_t candidate[100];
    memset(champion, 1, sizeof champion);
    memset(candidate, 1, sizeof candidate);
    for (int i = 0; i < 5; i++) {
        candidate[i] = 0;
    }
    for (int i = 5; i < 7; i++) {
        champion[i] = 0;
    }
    struct data_paired pair = data_metrics_paired(champion, candidate, 100);
    assert_int_equal(pair.lost, 5);
    assert_int_equal(pair.won, 2);
    near(pair.drop, 0.03);
    near(pair.se, sqrt(6.91) / 100);
    near(pair.upper, 0.03 + 1.6448536269514722 * sqrt(6.91) / 100);
    near(pair.p_value, 58.0 / 128);
    struct data_paired same = data_metrics_paired(champion, champion, 100);
    near(same.drop, 0);
    near(same.upper, 0);
    near(same.p_value, 1);
    assert_true(isnan(data_metrics_paired(champion, champion, 0).drop));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(confusion_and_classes),
        cmocka_unit_test(class_without_samples_is_left_out_of_the_mean),
        cmocka_unit_test(ece_by_hand),
        cmocka_unit_test(roc_by_hand),
        cmocka_unit_test(roc_edges),
        cmocka_unit_test(roc_is_thinned_but_ends_at_one),
        cmocka_unit_test(quantile_is_nearest_rank),
        cmocka_unit_test(paired_by_hand),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
