/* SPDX-License-Identifier: Apache-2.0 */
/* core_test.c -- core operators on the plain-C rung against numbers worked out by hand or by an
 * independent formula. */
#include "engine/run/testing.h"

static void conv_1d_to_3d(void **state)
{
    (void)state;
    const float x[6] = {1, 2, 3, 4, 5, 6};
    const float w[2] = {1, 10};
    const float bias[1] = {0.5f};
    struct test_net net;
    test_init(&net);
    int32_t a = test_input(&net, LEDGE_F32, TEST_SHAPE(1, 1, 6), x);
    int32_t b = test_constant(&net, LEDGE_F32, TEST_SHAPE(1, 1, 2), w);
    int32_t c = test_constant(&net, LEDGE_F32, TEST_SHAPE(1), bias);
    test_output(&net, test_node(&net, "", "Conv", 3, TEST_VALUES(a, b, c)));
    test_ints(&net, "strides", TEST_SHAPE(2));
    test_ints(&net, "pads", TEST_SHAPE(1, 0));
    test_float(&net, "clamp_high", 43.0f);
    test_run(&net, LEDGE_RUNG_C, 1);
    const float want[3] = {10.5f, 32.5f, 43.0f};
    test_near(test_result(&net, 0, TEST_SHAPE(1, 1, 3)), want, 3, 0);
    test_done(&net);

    const float cube[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    test_init(&net);
    a = test_input(&net, LEDGE_F32, TEST_SHAPE(1, 1, 2, 2, 2), cube);
    b = test_constant(&net, LEDGE_F32, TEST_SHAPE(1, 1, 2, 2, 2), cube);
    test_output(&net, test_node(&net, "", "Conv", 2, TEST_VALUES(a, b)));
    test_run(&net, LEDGE_RUNG_C, 1);
    const float square[1] = {204};
    test_near(test_result(&net, 0, TEST_SHAPE(1, 1, 1, 1, 1)), square, 1, 0);
    test_done(&net);
}

/* x [1][4][5][5] and weights [6][2][3][3] in 2 groups, dilated, SAME: NHWC must give the transposed
 * answer of NCHW. */
static void conv_layouts_agree(void **state)
{
    (void)state;
    float x[4 * 25], xt[4 * 25], w[6 * 2 * 9], wt[6 * 2 * 9], want[6 * 9];
    uint32_t seed = 7;
    test_fill_f32(x, 100, &seed);
    test_fill_f32(w, 108, &seed);
    for (int c = 0; c < 4; c++) {
        for (int p = 0; p < 25; p++) {
            xt[p * 4 + c] = x[c * 25 + p];
        }
    }
    for (int o = 0; o < 6; o++) {
        for (int c = 0; c < 2; c++) {
            for (int t = 0; t < 9; t++) {
                wt[(o * 9 + t) * 2 + c] = w[(o * 2 + c) * 9 + t];
            }
        }
    }
    for (int nhwc = 0; nhwc < 2; nhwc++) {
        struct test_net net;
        test_init(&net);
        int32_t a = nhwc ? test_input(&net, LEDGE_F32, TEST_SHAPE(1, 5, 5, 4), xt)
                         : test_input(&net, LEDGE_F32, TEST_SHAPE(1, 4, 5, 5), x);
        int32_t b = nhwc ? test_input(&net, LEDGE_F32, TEST_SHAPE(6, 3, 3, 2), wt)
                         : test_input(&net, LEDGE_F32, TEST_SHAPE(6, 2, 3, 3), w);
        test_output(&net, test_node(&net, "", "Conv", 2, TEST_VALUES(a, b)));
        test_int(&net, "group", 2);
        test_int(&net, "layout", nhwc);
        test_ints(&net, "strides", TEST_SHAPE(2, 2));
        test_ints(&net, "dilations", TEST_SHAPE(2, 1));
        assert_true(ledge_graph_set_string(&net.graph, 0, "auto_pad", "SAME_UPPER"));
        test_run(&net, LEDGE_RUNG_C, 2);
        if (!nhwc) {
            memcpy(want, test_result(&net, 0, TEST_SHAPE(1, 6, 3, 3)), sizeof want);
        } else {
            const float *got = test_result(&net, 0, TEST_SHAPE(1, 3, 3, 6));
            for (int i = 0; i < 54; i++) {
                test_near(&got[i % 9 * 6 + i / 9], &want[i], 1, 1e-6f);
            }
        }
        test_done(&net);
    }
}

/* <conv(x), y> == <x, conv_transpose(y)> for the same weights, strides, pads and groups. */
static void transposed_is_the_adjoint(void **state)
{
    (void)state;
    float x[4 * 49], y[6 * 16], w[6 * 2 * 9];
    uint32_t seed = 99;
    test_fill_f32(x, 196, &seed);
    test_fill_f32(y, 96, &seed);
    test_fill_f32(w, 108, &seed);
    double products[2];
    for (int transposed = 0; transposed < 2; transposed++) {
        struct test_net net;
        test_init(&net);
        int32_t a = transposed ? test_input(&net, LEDGE_F32, TEST_SHAPE(1, 6, 4, 4), y)
                               : test_input(&net, LEDGE_F32, TEST_SHAPE(1, 4, 7, 7), x);
        int32_t b = test_constant(&net, LEDGE_F32, TEST_SHAPE(6, 2, 3, 3), w);
        test_output(
            &net, test_node(&net, "", transposed ? "ConvTranspose" : "Conv", 2, TEST_VALUES(a, b)));
        test_int(&net, "group", 2);
        test_ints(&net, "strides", TEST_SHAPE(2, 2));
        test_ints(&net, "pads", TEST_SHAPE(1, 1, 1, 1));
        test_run(&net, LEDGE_RUNG_C, 1);
        const float *got = transposed ? test_result(&net, 0, TEST_SHAPE(1, 4, 7, 7))
                                      : test_result(&net, 0, TEST_SHAPE(1, 6, 4, 4));
        products[transposed] = 0;
        for (int i = 0; i < (transposed ? 196 : 96); i++) {
            products[transposed] += (double)got[i] * (double)(transposed ? x[i] : y[i]);
        }
        test_done(&net);
    }
    assert_true(products[0] - products[1] < 1e-4 && products[1] - products[0] < 1e-4);
}

static void gemm_and_matmul(void **state)
{
    (void)state;
    const float a[6] = {1, 2, 3, 4, 5, 6};
    const float b[6] = {1, 0, 2, 1, 3, 1};
    const float c[2] = {10, 20};
    struct test_net net;
    test_init(&net); /* transA: a is [3][2] */
    int32_t x = test_input(&net, LEDGE_F32, TEST_SHAPE(3, 2), a);
    int32_t y = test_constant(&net, LEDGE_F32, TEST_SHAPE(2, 3), b);
    int32_t z = test_constant(&net, LEDGE_F32, TEST_SHAPE(2), c);
    test_output(&net, test_node(&net, "", "Gemm", 3, TEST_VALUES(x, y, z)));
    test_int(&net, "transA", 1);
    test_int(&net, "transB", 1);
    test_float(&net, "alpha", 2);
    test_float(&net, "beta", 0.5f);
    test_run(&net, LEDGE_RUNG_C, 1);
    const float want[4] = {27, 40, 33, 50};
    test_near(test_result(&net, 0, TEST_SHAPE(2, 2)), want, 4, 0);
    test_done(&net);

    test_init(&net); /* [2][1][3] x [3][2] broadcasts; a vector on the right is a column */
    x = test_input(&net, LEDGE_F32, TEST_SHAPE(2, 1, 3), a);
    y = test_input(&net, LEDGE_F32, TEST_SHAPE(3, 2), b);
    z = test_input(&net, LEDGE_F32, TEST_SHAPE(3), a);
    test_output(&net, test_node(&net, "", "MatMul", 2, TEST_VALUES(x, y)));
    test_output(&net, test_node(&net, "", "MatMul", 2, TEST_VALUES(x, z)));
    test_run(&net, LEDGE_RUNG_C, 1);
    const float product[4] = {14, 5, 32, 11};
    const float column[2] = {14, 32};
    test_near(test_result(&net, 0, TEST_SHAPE(2, 1, 2)), product, 4, 0);
    test_near(test_result(&net, 1, TEST_SHAPE(2, 1)), column, 2, 0);
    test_done(&net);
}

static void pools(void **state)
{
    (void)state;
    const float x[9] = {1, 2, 3, 4, 9, 6, 7, 8, 5};
    struct test_net net;
    test_init(&net);
    int32_t a = test_input(&net, LEDGE_F32, TEST_SHAPE(1, 1, 3, 3), x);
    int32_t out[2] = {ledge_graph_add_value(&net.graph, NULL, 0, -1, NULL),
                      ledge_graph_add_value(&net.graph, NULL, 0, -1, NULL)};
    assert_int_equal(ledge_graph_add_node(&net.graph, "", "MaxPool", 12, NULL, &a, 1, out, 2), 0);
    test_ints(&net, "kernel_shape", TEST_SHAPE(2, 2));
    test_int(&net, "ceil_mode", 1);
    test_ints(&net, "strides", TEST_SHAPE(2, 2));
    test_output(&net, out[0]);
    test_output(&net, out[1]);
    for (int count = 0; count < 2; count++) {
        test_output(&net, test_node(&net, "", "AveragePool", 1, &a));
        test_ints(&net, "kernel_shape", TEST_SHAPE(2, 2));
        test_ints(&net, "pads", TEST_SHAPE(1, 1, 0, 0));
        test_ints(&net, "strides", TEST_SHAPE(2, 2));
        test_int(&net, "count_include_pad", count);
    }
    test_output(&net, test_node(&net, "", "GlobalAveragePool", 1, &a));
    test_output(&net, test_node(&net, "", "GlobalMaxPool", 1, &a));
    test_run(&net, LEDGE_RUNG_C, 1);
    const float max[4] = {9, 6, 8, 5};
    const int64_t at[4] = {4, 5, 7, 8};
    const float mean[4] = {1, 2.5f, 5.5f, 7};
    const float mean_pad[4] = {0.25f, 1.25f, 2.75f, 7};
    const float whole[1] = {5};
    const float greatest[1] = {9};
    test_near(test_result(&net, 0, TEST_SHAPE(1, 1, 2, 2)), max, 4, 0);
    assert_memory_equal(test_result(&net, 1, TEST_SHAPE(1, 1, 2, 2)), at, sizeof at);
    test_near(test_result(&net, 2, TEST_SHAPE(1, 1, 2, 2)), mean, 4, 1e-6f);
    test_near(test_result(&net, 3, TEST_SHAPE(1, 1, 2, 2)), mean_pad, 4, 1e-6f);
    test_near(test_result(&net, 4, TEST_SHAPE(1, 1, 1, 1)), whole, 1, 1e-6f);
    test_near(test_result(&net, 5, TEST_SHAPE(1, 1, 1, 1)), greatest, 1, 0);
    test_done(&net);
}

/* 1x1 on two channels, per-channel weights: sums and rounding (half to even) by hand. */
static void quantised_conv(void **state)
{
    (void)state;
    const uint8_t x[4] = {130, 128, 127, 255};
    const int8_t w[4] = {1, 2, -3, 1};
    const float xs[1] = {0.5f}, ws[2] = {1.0f, 0.5f}, ys[1] = {1.0f};
    const uint8_t xz[1] = {128}, yz[1] = {10};
    const int8_t wz[2] = {0, 0};
    const int32_t bias[2] = {3, -1};
    struct test_net net;
    test_init(&net);
    int32_t in[9] = {test_input(&net, LEDGE_U8, TEST_SHAPE(1, 2, 1, 2), x),
                     test_constant(&net, LEDGE_F32, 0, NULL, xs),
                     test_constant(&net, LEDGE_U8, 0, NULL, xz),
                     test_constant(&net, LEDGE_I8, TEST_SHAPE(2, 2, 1, 1), w),
                     test_constant(&net, LEDGE_F32, TEST_SHAPE(2), ws),
                     test_constant(&net, LEDGE_I8, TEST_SHAPE(2), wz),
                     test_constant(&net, LEDGE_F32, 0, NULL, ys),
                     test_constant(&net, LEDGE_U8, 0, NULL, yz),
                     test_constant(&net, LEDGE_I32, TEST_SHAPE(2), bias)};
    test_output(&net, test_node(&net, "", "QLinearConv", 9, in));
    int32_t integer[4] = {in[0], in[3], in[2], in[5]};
    test_output(&net, test_node(&net, "", "ConvInteger", 4, integer));
    test_run(&net, LEDGE_RUNG_C, 1);
    /* sums without bias: o0: 1*2+2*-1 = 0, 0+2*127 = 254; o1: -6-1 = -7, 0+127 */
    const uint8_t want[4] = {12, 138, 8, 42}; /* 1.5 -> 2, 128.5 -> 128, -8*.25 = -2, 31.5 -> 32 */
    const int32_t sums[4] = {0, 254, -7, 127};
    assert_memory_equal(test_result(&net, 0, TEST_SHAPE(1, 2, 1, 2)), want, sizeof want);
    assert_memory_equal(test_result(&net, 1, TEST_SHAPE(1, 2, 1, 2)), sums, sizeof sums);
    test_done(&net);
}

static void quantised_products(void **state)
{
    (void)state;
    const uint8_t a[4] = {3, 5, 0, 255};
    const int8_t b[4] = {1, -1, 2, 4};
    const float one[1] = {1.0f}, half[1] = {0.5f};
    const uint8_t az[1] = {1}, yz[1] = {100};
    const int8_t bz[1] = {1};
    struct test_net net;
    test_init(&net);
    int32_t x = test_input(&net, LEDGE_U8, TEST_SHAPE(2, 2), a);
    int32_t y = test_constant(&net, LEDGE_I8, TEST_SHAPE(2, 2), b);
    int32_t xz = test_constant(&net, LEDGE_U8, 0, NULL, az);
    int32_t wz = test_constant(&net, LEDGE_I8, 0, NULL, bz);
    int32_t s1 = test_constant(&net, LEDGE_F32, 0, NULL, one);
    int32_t sh = test_constant(&net, LEDGE_F32, 0, NULL, half);
    int32_t oz = test_constant(&net, LEDGE_U8, 0, NULL, yz);
    test_output(&net, test_node(&net, "", "MatMulInteger", 4, TEST_VALUES(x, y, xz, wz)));
    test_output(&net,
                test_node(&net, "", "QLinearMatMul", 8, TEST_VALUES(x, sh, xz, y, s1, wz, s1, oz)));
    test_output(
        &net, test_node(&net, "com.microsoft", "QGemm", 7, TEST_VALUES(x, sh, xz, y, s1, wz, -1)));
    test_int(&net, "transB", 1);
    test_run(&net, LEDGE_RUNG_C, 1);
    /* (a - 1) = {2, 4, -1, 254}, (b - 1) = {0, -2, 1, 3} */
    const int32_t sums[4] = {4, 8, 254, 764};
    const uint8_t want[4] = {102, 104, 227, 255};
    const float real[4] = {-4, 7, -254, 380.5f};
    assert_memory_equal(test_result(&net, 0, TEST_SHAPE(2, 2)), sums, sizeof sums);
    assert_memory_equal(test_result(&net, 1, TEST_SHAPE(2, 2)), want, sizeof want);
    test_near(test_result(&net, 2, TEST_SHAPE(2, 2)), real, 4, 0);
    test_done(&net);
}

/* Numbers from a hostile file are refused by name, never run. */
static void bad_attributes_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int64_t values[4];
        int32_t n;
    } bad[] = {{"strides", {0, 1}, 2},           {"strides", {1}, 1},
               {"dilations", {1, -1}, 2},        {"pads", {-1, 0, 0, 0}, 4},
               {"kernel_shape", {2, 2}, 2},      {"dilations", {INT64_MAX, 1}, 2},
               {"pads", {0, 0, 0, INT64_MAX}, 4}};
    float x[9] = {0};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct test_net net;
        test_init(&net);
        int32_t a = test_input(&net, LEDGE_F32, TEST_SHAPE(1, 1, 3, 3), x);
        int32_t b = test_constant(&net, LEDGE_F32, TEST_SHAPE(1, 1, 3, 3), x);
        test_output(&net, test_node(&net, "", "Conv", 2, TEST_VALUES(a, b)));
        test_ints(&net, bad[i].name, bad[i].n, bad[i].values);
        assert_int_equal(test_try(&net, LEDGE_RUNG_C, 1), LEDGE_ERR_SHAPE);
        assert_non_null(strstr(net.err.text, "Conv"));
        test_done(&net);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conv_1d_to_3d),
        cmocka_unit_test(conv_layouts_agree),
        cmocka_unit_test(transposed_is_the_adjoint),
        cmocka_unit_test(gemm_and_matmul),
        cmocka_unit_test(pools),
        cmocka_unit_test(quantised_conv),
        cmocka_unit_test(quantised_products),
        cmocka_unit_test(bad_attributes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
