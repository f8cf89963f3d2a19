/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "serve/histogram.h"

static struct serve_histogram histogram;

static int set_up(void **state)
{
    (void)state;
    memset(&histogram, 0, sizeof(histogram));
    return 0;
}

static void is_empty(void **state)
{
    (void)state;
    assert_int_equal(serve_histogram_quantile(&histogram, 0.5), 0);
}

/* Every size of value, from 1 ns to an hour: the quantile is at most 1/32 too great. */
static void keeps_its_error_bound(void **state)
{
    (void)state;
    for (int64_t ns = 1; ns < 3600LL * 1000000000; ns += ns / 7 + 1) {
        memset(&histogram, 0, sizeof(histogram));
        serve_histogram_add(&histogram, ns);
        serve_histogram_add(&histogram, INT64_C(3600) * 1000000000);
        int64_t got = serve_histogram_quantile(&histogram, 0.25);
        assert_true(got >= ns && got <= ns + ns / 32);
    }
}

static void finds_quantiles(void **state)
{
    (void)state;
    for (int64_t i = 1; i <= 1000; i++) {
        serve_histogram_add(&histogram, i * 1000);
    }
    int64_t p50 = serve_histogram_quantile(&histogram, 0.5);
    int64_t p99 = serve_histogram_quantile(&histogram, 0.99);
    assert_in_range(p50, 500000, 516000);
    assert_in_range(p99, 990000, 1000000);
    assert_int_equal(serve_histogram_quantile(&histogram, 1), 1000000);
    assert_int_equal(histogram.max_ns, 1000000);
}

static void bears_extremes(void **state)
{
    (void)state;
    serve_histogram_add(&histogram, -5);
    serve_histogram_add(&histogram, INT64_MAX);
    assert_int_equal(histogram.count, 2);
    assert_int_equal(serve_histogram_quantile(&histogram, 0.5), 0);
    assert_true(serve_histogram_quantile(&histogram, 1) > INT64_C(3600) * 1000000000);
}

/* Buckets are cumulative, bounds included, and the last is the count. */
static void prints_for_prometheus(void **state)
{
    (void)state;
    struct ledge_buf out = LEDGE_BUF_INIT(10000);
    serve_histogram_add(&histogram, 1000000); /* exactly 0.001 s */
    serve_histogram_add(&histogram, 1000001);
    serve_histogram_add(&histogram, 20000000000); /* past the last bound */
    serve_histogram_print(&histogram, "x_seconds", "model=\"m\"", &out);
    assert_non_null(strstr(out.data, "x_seconds_bucket{model=\"m\",le=\"0.0005\"} 0\n"));
    assert_non_null(strstr(out.data, "x_seconds_bucket{model=\"m\",le=\"0.001\"} 1\n"));
    assert_non_null(strstr(out.data, "x_seconds_bucket{model=\"m\",le=\"0.0025\"} 2\n"));
    assert_non_null(strstr(out.data, "x_seconds_bucket{model=\"m\",le=\"10\"} 2\n"));
    assert_non_null(strstr(out.data, "x_seconds_bucket{model=\"m\",le=\"+Inf\"} 3\n"));
    assert_non_null(strstr(out.data, "x_seconds_count{model=\"m\"} 3\n"));
    ledge_buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(is_empty, set_up),
        cmocka_unit_test_setup(keeps_its_error_bound, set_up),
        cmocka_unit_test_setup(finds_quantiles, set_up),
        cmocka_unit_test_setup(bears_extremes, set_up),
        cmocka_unit_test_setup(prints_for_prometheus, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
