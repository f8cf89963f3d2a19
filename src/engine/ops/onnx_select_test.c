/* SPDX-License-Identifier: Apache-2.0 */
/* onnx_select_test.c -- outputs whose shapes only the values tell: known while planning when the
 * inputs are, else known in the run, and then in each run anew. */
#include <math.h>

#include "engine/run/testing.h"

static void bind_and_run(struct test_net *net, const void *data)
{
    ledge_run_bind(net->run, 0, data);
    assert_int_equal(ledge_run_once(net->run, &net->err), LEDGE_OK);
}

/* GatherND(x, Transpose(NonZero(x))): what follows sees the shape of this run. */
static void test_nonzero_in_the_run(void **state)
{
    (void)state;
    static const float first[6] = {0, 2, 0, 4, 0, 6}, second[6] = {1, 0, 0, 0, 0, 0}, none[6] = {0};
    struct test_net net;
    test_init(&net);
    int32_t x = test_input(&net, LEDGE_F32, TEST_SHAPE(2, 3), first);
    int32_t places = test_node(&net, "", "NonZero", 1, &x);
    int32_t rows = test_node(&net, "", "Transpose", 1, &places);
    test_output(&net, test_node(&net, "", "GatherND", 2, TEST_VALUES(x, rows)));
    test_run(&net, LEDGE_RUNG_C, 1);
    test_near(test_result(&net, 0, TEST_SHAPE(3)), (float[]){2, 4, 6}, 3, 0);
    bind_and_run(&net, second);
    test_near(test_result(&net, 0, TEST_SHAPE(1)), (float[]){1}, 1, 0);
    bind_and_run(&net, none);
    (void)test_result(&net, 0, TEST_SHAPE(0));
    test_done(&net);
}

static void test_nms(void **state)
{
    (void)state;
    static const float boxes[5 * 4] = {0, 0,  1,  1, 0, 0.1f, 1,    1.1f, 0,  10,
                                       1, 11, 10, 1, 9, 0,    0.5f, 0.5f, -1, -1};
    static const float scores[2 * 5] = {0.5f, 0.9f, 0.8f, 0.1f, 0.7f, 0.2f, 0.2f, 0.2f, 0.2f, 0.2f};
    const int64_t most = 2;
    const float overlap = 0.5f, least = 0.15f;
    struct test_net net;
    test_init(&net);
    int32_t b = test_input(&net, LEDGE_F32, TEST_SHAPE(1, 5, 4), boxes);
    int32_t s = test_input(&net, LEDGE_F32, TEST_SHAPE(1, 2, 5), scores);
    int32_t m = test_constant(&net, LEDGE_I64, 0, NULL, &most);
    int32_t o = test_constant(&net, LEDGE_F32, 0, NULL, &overlap);
    int32_t l = test_constant(&net, LEDGE_F32, 0, NULL, &least);
    test_output(&net, test_node(&net, "", "NonMaxSuppression", 5, TEST_VALUES(b, s, m, o, l)));
    test_run(&net, LEDGE_RUNG_C, 1);
    /* class 0: 1 beats 0 (overlap 0.82), then 2; class 1: all alike, so the first two that part */
    static const int64_t want[4][3] = {{0, 0, 1}, {0, 0, 2}, {0, 1, 0}, {0, 1, 2}};
    assert_memory_equal(test_result(&net, 0, TEST_SHAPE(4, 3)), want, sizeof want);
    test_done(&net);
}

/* NaN stands last and is one kind; without sorting, kinds stand as they first appear. */
static void test_unique(void **state)
{
    (void)state;
    static const float x[7] = {3, NAN, 1, 3, NAN, 2, 1};
    static const int64_t firsts[2][4] = {{0, 1, 2, 5}, {2, 5, 0, 1}};
    static const int64_t inverse[2][7] = {{0, 1, 2, 0, 1, 3, 2}, {2, 3, 0, 2, 3, 1, 0}};
    static const int64_t counts[2][4] = {{2, 2, 2, 1}, {2, 1, 2, 2}};
    for (int sorted = 0; sorted < 2; sorted++) {
        struct test_net net;
        int32_t out[4];
        test_init(&net);
        int32_t in = test_input(&net, LEDGE_F32, TEST_SHAPE(7), x);
        for (int i = 0; i < 4; i++) {
            out[i] = ledge_graph_add_value(&net.graph, NULL, LEDGE_DTYPE_NONE, -1, NULL);
        }
        assert_int_equal(ledge_graph_add_node(&net.graph, "", "Unique", 11, NULL, &in, 1, out, 4),
                         0);
        test_int(&net, "sorted", sorted);
        for (int i = 1; i < 4; i++) {
            test_output(&net, out[i]);
        }
        test_run(&net, LEDGE_RUNG_C, 1);
        assert_memory_equal(test_result(&net, 0, TEST_SHAPE(4)), firsts[sorted], 32);
        assert_memory_equal(test_result(&net, 1, TEST_SHAPE(7)), inverse[sorted], 56);
        assert_memory_equal(test_result(&net, 2, TEST_SHAPE(4)), counts[sorted], 32);
        test_done(&net);
    }
}

/* Regions of 4 x 4 elements 0 .. 15: the inner four in one bin, all in four, one far outside. */
static void test_max_roi_pool(void **state)
{
    (void)state;
    static const float boxes[3 * 5] = {0, 1, 1, 2, 2, 0, 0, 0, 3, 3, 0, 90, 90, 95, 95};
    static const float want[12] = {5, 6, 9, 10, 5, 7, 13, 15, 0, 0, 0, 0};
    float x[16];
    for (int i = 0; i < 16; i++) {
        x[i] = (float)i;
    }
    struct test_net net;
    test_init(&net);
    int32_t in = test_input(&net, LEDGE_F32, TEST_SHAPE(1, 1, 4, 4), x);
    int32_t regions = test_input(&net, LEDGE_F32, TEST_SHAPE(3, 5), boxes);
    test_output(&net, test_node(&net, "", "MaxRoiPool", 2, TEST_VALUES(in, regions)));
    test_ints(&net, "pooled_shape", TEST_SHAPE(2, 2));
    test_run(&net, LEDGE_RUNG_C, 1);
    test_near(test_result(&net, 0, TEST_SHAPE(3, 1, 2, 2)), want, 12, 0);
    test_done(&net);
}

/* What does not fit is refused by a line that names the operator, not by a crash. */
static void test_refusals(void **state)
{
    (void)state;
    static const char *const ops[] = {
        "Compress",        "NonMaxSuppression", "GridSample", "RoiAlign", "Attention",
        "RotaryEmbedding", "TensorScatter",     "Einsum",     "STFT",     "SoftmaxCrossEntropyLoss",
        "DeformConv",      "MaxUnpool",         "Det",        "Col2Im",   "CausalConvWithState"};
    static const float x[6] = {0};
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++) {
        struct test_net net;
        test_init(&net);
        int32_t in = test_input(&net, LEDGE_F32, TEST_SHAPE(2, 3), x);
        test_output(&net, test_node(&net, "", ops[i], 3, TEST_VALUES(in, in, in)));
        assert_int_not_equal(test_try(&net, LEDGE_RUNG_C, 1), LEDGE_OK);
        assert_non_null(strstr(net.err.text, ops[i]));
        test_done(&net);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nonzero_in_the_run),
        cmocka_unit_test(test_nms),
        cmocka_unit_test(test_unique),
        cmocka_unit_test(test_max_roi_pool),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
