/* SPDX-License-Identifier: Apache-2.0 */
/* widen_test.c -- operators with f32 kernels on half and double tensors: the f32 answer rounded
 * once, constants cast while planning, other outputs untouched. */
#include "engine/kernels/onnx_half.h"
#include "engine/run/testing.h"

static void test_matmul_f16(void **state)
{
    (void)state;
    const float a[4] = {1, 2, 3, 0.333251953125f}, b[4] = {0.5f, -1, 1.0009765625f, 2};
    uint16_t half_a[4], half_b[4];
    for (int i = 0; i < 4; i++) {
        half_a[i] = ledge_to_f16(a[i]);
        half_b[i] = ledge_to_f16(b[i]);
    }
    struct test_net net;
    test_init(&net);
    int32_t x = test_input(&net, LEDGE_F16, TEST_SHAPE(2, 2), half_a);
    int32_t w = test_constant(&net, LEDGE_F16, TEST_SHAPE(2, 2), half_b);
    test_output(&net, test_node(&net, "", "MatMul", 2, TEST_VALUES(x, w)));
    test_run(&net, LEDGE_RUNG_C, 1);
    const uint16_t *y = test_result(&net, 0, TEST_SHAPE(2, 2));
    assert_int_equal(ledge_run_output(net.run, 0).dtype, LEDGE_F16);
    for (int r = 0; r < 2; r++) {
        for (int c = 0; c < 2; c++) {
            float sum = a[2 * r] * b[c];
            sum += a[2 * r + 1] * b[2 + c];
            assert_int_equal(y[2 * r + c], ledge_to_f16(sum));
        }
    }
    assert_int_equal(net.plan->n_steps, 3); /* cast, product, cast: the weights' cast is folded */
    test_done(&net);
}

/* Declared types win; outputs that are no f32 pass. */
static void test_mixed_outputs(void **state)
{
    (void)state;
    const double x[6] = {1, 5, 3, 4, 2, 6};
    struct test_net net;
    test_init(&net);
    int32_t in = test_input(&net, LEDGE_F64, TEST_SHAPE(1, 1, 6), x);
    int32_t out[2] = {ledge_graph_add_value(&net.graph, NULL, LEDGE_F64, -1, NULL),
                      ledge_graph_add_value(&net.graph, NULL, LEDGE_DTYPE_NONE, -1, NULL)};
    assert_int_equal(ledge_graph_add_node(&net.graph, "", "MaxPool", 12, NULL, &in, 1, out, 2), 0);
    test_ints(&net, "kernel_shape", TEST_SHAPE(2));
    test_ints(&net, "strides", TEST_SHAPE(2));
    test_output(&net, out[0]);
    test_output(&net, out[1]);
    test_run(&net, LEDGE_RUNG_C, 1);
    const double *y = test_result(&net, 0, TEST_SHAPE(1, 1, 3));
    const int64_t *at = test_result(&net, 1, TEST_SHAPE(1, 1, 3));
    for (int i = 0; i < 3; i++) {
        assert_true(y[i] == (double)(i == 0 ? 5 : i == 1 ? 4 : 6));
        assert_int_equal(at[i], i == 0 ? 1 : i == 1 ? 3 : 5);
    }
    test_done(&net);
}

/* What does not fit in f32 either is refused in f32's words. */
static void test_refusal(void **state)
{
    (void)state;
    const uint16_t x[4] = {0};
    struct test_net net;
    test_init(&net);
    int32_t in = test_input(&net, LEDGE_F16, TEST_SHAPE(2, 2), x);
    test_output(&net, test_node(&net, "", "Conv", 2, TEST_VALUES(in, in)));
    assert_int_equal(test_try(&net, LEDGE_RUNG_C, 1), LEDGE_ERR_SHAPE);
    assert_non_null(strstr(net.err.text, "Conv"));
    test_done(&net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matmul_f16),
        cmocka_unit_test(test_mixed_outputs),
        cmocka_unit_test(test_refusal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
