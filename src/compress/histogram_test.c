/* SPDX-License-Identifier: Apache-2.0 */
/* Histograms against hand-computed answers, and against the values themselves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "compress/histogram.h"

static void add(struct compress_histogram *h, const float *values, size_t n)
{
    assert_int_equal(compress_histogram_add(h, values, n, NULL), LEDGE_OK);
}

static uint64_t sum_of(const struct compress_histogram *h)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < COMPRESS_BINS; i++) {
        sum += h->bins[i];
    }
    return sum;
}

static void bins_by_hand(void **state)
{
    (void)state;
    struct compress_histogram h;
    compress_histogram_init(&h);
    const float values[] = {0, 0.25f, 2047.5f, 1024, 0, 1024.25f};
    add(&h, values, 6);
    /* 0..2047.5 needs width 1: floor(2047.5) - floor(0) = 2047 < 2048, and width 0.5 would need
     * 4096 bins */
    assert_true(h.width == 1);
    assert_int_equal(h.first, 0);
    assert_int_equal(h.zeros, 2);
    assert_int_equal(h.count, 4);
    assert_int_equal(h.bins[0], 1);
    assert_int_equal(h.bins[1024], 2);
    assert_int_equal(h.bins[2047], 1);
    assert_true(h.min == 0 && h.max == 2047.5f);
    const float more[] = {-1}; /* now 2049 bins of width 1: width 2, bins from -2 */
    add(&h, more, 1);
    assert_true(h.width == 2);
    assert_int_equal(h.first, -1);
    assert_int_equal(h.bins[0], 1);
    assert_int_equal(h.bins[1], 1);
    assert_int_equal(h.bins[513], 2);
    assert_int_equal(h.bins[1024], 1);
}

static uint64_t next(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return *seed >> 33;
}

static void the_order_of_values_does_not_matter(void **state)
{
    (void)state;
    enum { N = 3000 };
    float values[N];
    uint64_t seed = 7;
    for (size_t i = 0; i < N; i++) {
        double unit = (double)next(&seed) / 2147483648.0;
        values[i] = (float)ldexp(unit - 0.4, (int)(next(&seed) % 20) - 10);
    }
    struct compress_histogram at_once;
    struct compress_histogram one_by_one;
    compress_histogram_init(&at_once);
    compress_histogram_init(&one_by_one);
    add(&at_once, values, N);
    for (size_t i = N; i-- > 0;) {
        add(&one_by_one, &values[i], 1);
    }
    assert_memory_equal(&at_once, &one_by_one, sizeof at_once);
    assert_int_equal(sum_of(&at_once), at_once.count);
    assert_int_equal(at_once.count + at_once.zeros, N);
}

static void values_that_are_not_finite_are_refused_whole(void **state)
{
    (void)state;
    struct compress_histogram h;
    struct compress_histogram before;
    compress_histogram_init(&h);
    const float good[] = {1, 2};
    add(&h, good, 2);
    before = h;
    const float bad[] = {3, NAN};
    assert_int_equal(compress_histogram_add(&h, bad, 2, NULL), LEDGE_ERR_RANGE);
    const float endless[] = {INFINITY};
    assert_int_equal(compress_histogram_add(&h, endless, 1, NULL), LEDGE_ERR_RANGE);
    assert_memory_equal(&h, &before, sizeof h);
}

static void extreme_values(void **state)
{
    (void)state;
    struct compress_histogram h;
    compress_histogram_init(&h);
    const float values[] = {1e-45f, 3e38f, -3e38f, 1};
    for (size_t i = 0; i < 4; i++) {
        add(&h, &values[i], 1);
    }
    assert_int_equal(sum_of(&h), 4);
    struct compress_histogram zeros;
    compress_histogram_init(&zeros);
    const float nothing[] = {0, 0, 0};
    add(&zeros, nothing, 3);
    struct compress_range range = compress_histogram_range(&zeros, COMPRESS_MSE, 0, 255);
    assert_true(range.low == 0 && range.high == 0);
    const float one[] = {5};
    add(&zeros, one, 1);
    range = compress_histogram_range(&zeros, COMPRESS_MINMAX, 0, 255);
    assert_true(range.low == 0 && range.high == 5);
}

/* 1000 zeros, 1 ... 1000 each once, one outlier at 1e6. */
static void fill_with_outlier(struct compress_histogram *h)
{
    compress_histogram_init(h);
    for (int i = 1; i <= 1000; i++) {
        float pair[2] = {(float)i, 0};
        add(h, pair, 2);
    }
}

static void percentile_by_hand(void **state)
{
    (void)state;
    struct compress_histogram h;
    fill_with_outlier(&h);
    /* width 0.5, one value a bin. 98 % of the 1000 values that are not zero: 10 cut off at the top,
     * so the bound lies at the value 990, within a bin. The lower bound is above 0 and becomes 0.
     */
    struct compress_range range = compress_histogram_range(&h, COMPRESS_PERCENTILE, 98, 255);
    assert_true(range.low == 0);
    assert_true(fabs(range.high - 990) <= 0.5 + 1e-9);
    range = compress_histogram_range(&h, COMPRESS_PERCENTILE, 100, 255);
    assert_true(range.high == 1000);
    range = compress_histogram_range(&h, COMPRESS_MINMAX, 98, 255);
    assert_true(range.high == 1000 && range.low == 0);
    assert_true(fabs(compress_histogram_outside(&h, (struct compress_range){0, 990.75}) -
                     10.0 / 2000) < 1e-12);
}

static void mse_cuts_a_lone_outlier_and_nothing_else(void **state)
{
    (void)state;
    struct compress_histogram h;
    compress_histogram_init(&h);
    /* 100,000 values spread over 0..1 and one of 4: with 255 steps, covering 4 costs 100,000 *
     * (4/255)^2 / 12 = 2.05; a range of 4c costs 2.05 c^2 + (4 - 4c)^2, least at c = 16 / 18.05 =
     * 0.886, far from 1 and from 0.25. */
    for (int i = 0; i < 100000; i++) {
        float x = ((float)i + 0.5f) / 100000;
        add(&h, &x, 1);
    }
    const float outlier[] = {4};
    add(&h, outlier, 1);
    struct compress_range range = compress_histogram_range(&h, COMPRESS_MSE, 0, 255);
    assert_true(range.low == 0);
    assert_true(fabs(range.high / 4 - 16 / 18.05) < 0.04);
    /* without the outlier nothing is cut */
    compress_histogram_init(&h);
    for (int i = 0; i < 1000; i++) {
        float x = (float)i / 999;
        add(&h, &x, 1);
    }
    range = compress_histogram_range(&h, COMPRESS_MSE, 0, 255);
    assert_true(range.high > 0.98);
}

static void names_of_methods(void **state)
{
    (void)state;
    assert_int_equal(compress_method_of("mse"), COMPRESS_MSE);
    assert_int_equal(compress_method_of("percentile"), COMPRESS_PERCENTILE);
    assert_int_equal(compress_method_of("kl"), -1);
    assert_string_equal(compress_method_name(COMPRESS_MINMAX), "minmax");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bins_by_hand),
        cmocka_unit_test(the_order_of_values_does_not_matter),
        cmocka_unit_test(values_that_are_not_finite_are_refused_whole),
        cmocka_unit_test(extreme_values),
        cmocka_unit_test(percentile_by_hand),
        cmocka_unit_test(mse_cuts_a_lone_outlier_and_nothing_else),
        cmocka_unit_test(names_of_methods),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
