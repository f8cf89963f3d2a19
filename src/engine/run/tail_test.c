/* SPDX-License-Identifier: Apache-2.0 */
/* tail_test.c -- what follows from values of the run: the same values come again, always others
 * come, values too large to plan with; the answers are those of a run that never saw another. */
#include "engine/run/testing.h"

enum { N = 12, LARGE = 2048 };

static void fill(float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        x[i] = (float)(i % 5) - 1.5f;
    }
}

/* y = Relu(Slice(x, starts, ends)), with starts and ends of the run. */
static void slice_net(struct test_net *net, const float *x, const int64_t *starts,
                      const int64_t *ends)
{
    test_init(net);
    int32_t in[3] = {test_input(net, LEDGE_F32, TEST_SHAPE(N), x),
                     test_input(net, LEDGE_I64, TEST_SHAPE(1), starts),
                     test_input(net, LEDGE_I64, TEST_SHAPE(1), ends)};
    int32_t cut = test_node(net, "", "Slice", 3, in);
    test_output(net, test_node(net, "", "Relu", 1, &cut));
}

static void check_slice(struct test_net *net, const float *x, int64_t from, int64_t to)
{
    assert_int_equal(ledge_run_once(net->run, &net->err), LEDGE_OK);
    const float *y = test_result(net, 0, TEST_SHAPE(to - from));
    for (int64_t i = from; i < to; i++) {
        assert_true(y[i - from] == (x[i] > 0 ? x[i] : 0));
    }
}

static void values_that_come_again(void **state)
{
    (void)state;
    struct test_net net;
    float x[N];
    int64_t starts = 2, ends = 7;
    fill(x, N);
    slice_net(&net, x, &starts, &ends);
    test_run(&net, LEDGE_RUNG_C, 1);
    assert_int_equal(net.plan->n_late, 2);
    check_slice(&net, x, 2, 7);
    starts = 0;
    check_slice(&net, x, 0, 7);
    size_t bytes = ledge_run_bytes(net.run);
    for (int i = 0; i < 40; i++) { /* nothing is made anew */
        starts = i % 2 == 0 ? 2 : 0;
        check_slice(&net, x, starts, 7);
        assert_int_equal(ledge_run_bytes(net.run), bytes);
    }
    test_done(&net);
}

static void values_that_never_come_again(void **state)
{
    (void)state;
    struct test_net net;
    float x[N];
    int64_t starts = 0, ends = N;
    size_t bytes = 0;
    fill(x, N);
    slice_net(&net, x, &starts, &ends);
    test_run(&net, LEDGE_RUNG_C, 1);
    for (int i = 0; i < 200; i++) {
        starts = i % 5;
        ends = 5 + i % 7;
        check_slice(&net, x, starts, ends);
        if (i == 60) {
            bytes = ledge_run_bytes(net.run);
        }
    }
    assert_in_range(ledge_run_bytes(net.run), bytes / 2, bytes * 2);
    test_done(&net);
}

/* NonZero of more than a key may hold, then a shape that follows from what it found. */
static void large_values(void **state)
{
    (void)state;
    struct test_net net;
    static float x[LARGE];
    fill(x, LARGE);
    test_init(&net);
    int32_t in = test_input(&net, LEDGE_F32, TEST_SHAPE(LARGE), x);
    int32_t positive = test_node(&net, "", "Relu", 1, &in);
    int32_t found = test_node(&net, "", "NonZero", 1, &positive);
    int32_t shape = test_node(&net, "", "Shape", 1, &found);
    int32_t ones = test_node(&net, "", "ConstantOfShape", 1, &shape);
    int32_t at = test_node(&net, "", "Squeeze", 1, &found);
    int32_t taken = test_node(&net, "", "Gather", 2, TEST_VALUES(in, at));
    test_output(&net, test_node(&net, "", "Neg", 1, &taken));
    test_output(&net, ones);
    test_run(&net, LEDGE_RUNG_C, 1);
    for (int round = 0; round < 20; round++) {
        x[round * 7] = round % 2 == 0 ? 3.0f : -3.0f; /* the number found changes */
        int64_t n = 0;
        for (int i = 0; i < LARGE; i++) {
            n += x[i] > 0;
        }
        assert_int_equal(ledge_run_once(net.run, &net.err), LEDGE_OK);
        const float *y = test_result(&net, 0, TEST_SHAPE(n));
        (void)test_result(&net, 1, TEST_SHAPE(1, n));
        for (int i = 0, k = 0; i < LARGE; i++) {
            if (x[i] > 0) {
                assert_true(y[k++] == -x[i]);
            }
        }
    }
    test_done(&net);
}

/* A chain in which each shape follows from a value that the link before has made: more links than
 * plans are nested. */
static void long_chains(void **state)
{
    (void)state;
    struct test_net net;
    float x[N];
    int64_t first = 1;
    fill(x, N);
    test_init(&net);
    int32_t in = test_input(&net, LEDGE_F32, TEST_SHAPE(N), x);
    int32_t start = test_input(&net, LEDGE_I64, TEST_SHAPE(1), &first);
    const int64_t end = N;
    int32_t stop = test_constant(&net, LEDGE_I64, TEST_SHAPE(1), &end);
    int32_t total = -1;
    for (int i = 0; i < 30; i++) {
        int32_t cut = test_node(&net, "", "Slice", 3, TEST_VALUES(in, start, stop));
        int32_t found = test_node(&net, "", "NonZero", 1, &cut);
        int32_t size = test_node(&net, "", "Size", 1, &found);
        int32_t left = test_node(&net, "", "Sub", 2, TEST_VALUES(stop, size));
        start = left; /* as many as were cut: all elements differ from 0 */
        total = cut;
    }
    test_output(&net, total);
    test_run(&net, LEDGE_RUNG_C, 1);
    for (int round = 0; round < 12; round++) {
        first = round % 3 + 1;
        assert_int_equal(ledge_run_once(net.run, &net.err), LEDGE_OK);
        const float *y = test_result(&net, 0, TEST_SHAPE(N - first));
        assert_memory_equal(y, x + first, (size_t)(N - first) * sizeof *y);
    }
    test_done(&net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_that_come_again), cmocka_unit_test(values_that_never_come_again),
        cmocka_unit_test(large_values), cmocka_unit_test(long_chains)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
