/* SPDX-License-Identifier: Apache-2.0 */
/* onnx_random_test.c -- random numbers: ranges, moments, frequencies; another run gives other
 * numbers, another plan the same; seeds and nodes differ; nothing is folded. */
#include <math.h>
#include <stdlib.h>

#include "engine/kernels/onnx_random.h"
#include "engine/run/testing.h"

enum { N = 20000 };

static int32_t source(struct test_net *net, const char *op, float seed)
{
    int32_t y = test_node(net, "", op, 0, NULL);
    test_ints(net, "shape", 1, TEST_DIMS(N));
    if (seed != 0) {
        test_float(net, "seed", seed);
    }
    return y;
}

static void moments(const float *x, double *mean, double *deviation)
{
    double sum = 0, squares = 0;
    for (int i = 0; i < N; i++) {
        sum += (double)x[i];
        squares += (double)x[i] * (double)x[i];
    }
    *mean = sum / N;
    *deviation = sqrt(squares / N - *mean * *mean);
}

static void test_runs_and_seeds(void **state)
{
    (void)state;
    static float first[4][N];
    struct test_net net;
    test_init(&net);
    test_output(&net, source(&net, "RandomUniform", 0));
    test_output(&net, source(&net, "RandomUniform", 0));
    test_output(&net, source(&net, "RandomUniform", 3));
    test_output(&net, source(&net, "RandomUniform", 4));
    for (int plan = 0; plan < 2; plan++) {
        test_run(&net, LEDGE_RUNG_C, 1);
        for (int32_t i = 0; i < 4; i++) {
            const float *x = test_result(&net, i, TEST_SHAPE(N));
            if (plan == 1) {
                assert_memory_equal(x, first[i], sizeof first[i]);
            }
            memcpy(first[i], x, sizeof first[i]);
        }
        assert_memory_not_equal(first[0], first[1], sizeof first[0]);
        assert_memory_not_equal(first[2], first[3], sizeof first[0]);
        assert_int_equal(ledge_run_once(net.run, &net.err), LEDGE_OK);
        assert_memory_not_equal(test_result(&net, 2, TEST_SHAPE(N)), first[2], sizeof first[2]);
        test_stop(&net);
    }
    test_done(&net);
}

/* A node that is planned again goes on where the other plan stopped, if the graph keeps counts. */
static void test_planned_again(void **state)
{
    (void)state;
    static float drawn[4][N];
    static struct ledge_random_runs runs;
    struct test_net net;
    test_init(&net);
    test_output(&net, source(&net, "RandomUniform", 3));
    for (int i = 0; i < 4; i++) { /* two runs of one plan; with counts: one each of two plans */
        net.graph.random_runs = i < 2 ? NULL : &runs;
        if (i == 1) {
            assert_int_equal(ledge_run_once(net.run, &net.err), LEDGE_OK);
        } else {
            test_run(&net, LEDGE_RUNG_C, 1);
        }
        memcpy(drawn[i], test_result(&net, 0, TEST_SHAPE(N)), sizeof drawn[i]);
        if (i > 0) {
            test_stop(&net);
        }
    }
    assert_memory_not_equal(drawn[0], drawn[1], sizeof drawn[0]);
    assert_memory_equal(drawn[0], drawn[2], sizeof drawn[0]);
    assert_memory_equal(drawn[1], drawn[3], sizeof drawn[0]);
    test_done(&net);
}

static void test_moments(void **state)
{
    (void)state;
    struct test_net net;
    double mean, deviation;
    test_init(&net);
    int32_t uniform = source(&net, "RandomUniform", 1);
    test_float(&net, "low", -2);
    test_float(&net, "high", 4);
    int32_t normal = source(&net, "RandomNormal", 1);
    test_float(&net, "mean", 5);
    test_float(&net, "scale", 2);
    int32_t like = test_node(&net, "", "RandomNormalLike", 1, &normal);
    test_output(&net, uniform);
    test_output(&net, normal);
    test_output(&net, like);
    test_run(&net, LEDGE_RUNG_C, 1);
    const float *x = test_result(&net, 0, TEST_SHAPE(N));
    for (int i = 0; i < N; i++) {
        assert_true(x[i] >= -2 && x[i] <= 4);
    }
    moments(x, &mean, &deviation);
    assert_true(fabs(mean - 1) < 0.05 && fabs(deviation - 6 / sqrt(12)) < 0.03);
    moments(test_result(&net, 1, TEST_SHAPE(N)), &mean, &deviation);
    assert_true(fabs(mean - 5) < 0.06 && fabs(deviation - 2) < 0.04);
    moments(test_result(&net, 2, TEST_SHAPE(N)), &mean, &deviation);
    assert_true(fabs(mean) < 0.03 && fabs(deviation - 1) < 0.02);
    test_done(&net);
}

static void test_choices(void **state)
{
    (void)state;
    static float p[N], ones[N];
    const float logs[3] = {logf(1), logf(2), logf(5)};
    for (int i = 0; i < N; i++) {
        p[i] = i % 2 == 0 ? 0.25f : 1.0f;
        ones[i] = 1;
    }
    struct test_net net;
    test_init(&net);
    int32_t x = test_input(&net, LEDGE_F32, TEST_SHAPE(N), p);
    test_output(&net, test_node(&net, "", "Bernoulli", 1, &x));
    int32_t rows = test_constant(&net, LEDGE_F32, TEST_SHAPE(1, 3), logs);
    test_output(&net, test_node(&net, "", "Multinomial", 1, &rows));
    test_int(&net, "sample_size", N);
    int32_t data = test_input(&net, LEDGE_F32, TEST_SHAPE(N), ones);
    const float ratio = 0.75f;
    const uint8_t yes = 1;
    int32_t in[3] = {data, test_constant(&net, LEDGE_F32, 0, NULL, &ratio),
                     test_constant(&net, LEDGE_BOOL, 0, NULL, &yes)};
    test_output(&net, test_node(&net, "", "Dropout", 3, in));
    test_run(&net, LEDGE_RUNG_C, 1);
    const float *drawn = test_result(&net, 0, TEST_SHAPE(N));
    const int32_t *classes = test_result(&net, 1, TEST_SHAPE(1, N));
    const float *left = test_result(&net, 2, TEST_SHAPE(N));
    double hits = 0, count[3] = {0}, kept = 0;
    for (int i = 0; i < N; i++) {
        assert_true(drawn[i] == 0 || drawn[i] == 1);
        assert_true(i % 2 == 0 || drawn[i] == 1);
        hits += i % 2 == 0 ? (double)drawn[i] : 0;
        assert_true(classes[i] >= 0 && classes[i] < 3);
        count[classes[i]]++;
        assert_true(left[i] == 0 || left[i] == 4);
        kept += left[i] != 0;
    }
    assert_true(fabs(hits / (N / 2) - 0.25) < 0.02 && fabs(kept / N - 0.25) < 0.02);
    for (int k = 0; k < 3; k++) {
        assert_true(fabs(count[k] / N - (k == 0 ? 0.125 : k == 1 ? 0.25 : 0.625)) < 0.02);
    }
    test_done(&net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_runs_and_seeds),
        cmocka_unit_test(test_planned_again),
        cmocka_unit_test(test_moments),
        cmocka_unit_test(test_choices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
