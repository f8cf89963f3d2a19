/* SPDX-License-Identifier: Apache-2.0 */
/* tfl_test.c -- the operators of domain "tfl" against the same arithmetic done one element at a
 * time in 64 bits. */
#include "engine/run/testing.h"

#include <math.h>

/* x * real, rounded twice as docs/numerics.md says. */
static int64_t scaled(int64_t x, double real)
{
    int exponent;
    int64_t m = (int64_t)round(frexp(real, &exponent) * 2147483648.0);
    if (m == (int64_t)1 << 31) {
        m /= 2;
        exponent++;
    }
    int64_t left = exponent > 0 ? (int64_t)1 << exponent : 1;
    int64_t right = exponent > 0 ? 1 : (int64_t)1 << -exponent;
    int64_t wide = x * left * m + ((int64_t)1 << 30);
    int64_t half = (int64_t)1 << 31;
    int64_t high = wide / half - (wide % half < 0 ? 1 : 0);
    return (int64_t)round((double)high / (double)right);
}

static int64_t limit(int64_t x, int64_t low, int64_t high)
{
    return x < low ? low : x > high ? high : x;
}

static void give_quant(struct test_net *net, int32_t value, enum ledge_dtype dtype, int32_t n,
                       const float *scales, const int32_t *zeros)
{
    const struct ledge_quant *quant = ledge_graph_quant(&net->graph, scales, zeros, n, 0);
    assert_non_null(quant);
    net->graph.values[value].quant = quant;
    net->graph.values[value].dtype = dtype;
}

static void one_quant(struct test_net *net, int32_t value, enum ledge_dtype dtype, float scale,
                      int32_t zero)
{
    give_quant(net, value, dtype, 1, &scale, &zero);
}

static int64_t q8(const void *data, enum ledge_dtype dtype, int64_t i)
{
    return dtype == LEDGE_I8 ? ((const int8_t *)data)[i] : ((const uint8_t *)data)[i];
}

/* -- convolution: NHWC, 3 x 3 window, SAME, on every rung -- */

enum { SIDE = 7, IN = 5, OUT = 6 };

struct conv_case {
    enum ledge_dtype dtype;
    int64_t stride, dilation;
    bool depthwise;
    int32_t x_zero, w_zero, y_zero;
};

static int64_t conv_at(const struct conv_case *c, const uint8_t *x, const uint8_t *w, int64_t y0,
                       int64_t x0, int64_t o)
{
    int64_t sum = 0;
    for (int64_t ky = 0; ky < 3; ky++) {
        for (int64_t kx = 0; kx < 3; kx++) {
            int64_t y = y0 + ky * c->dilation;
            int64_t col = x0 + kx * c->dilation;
            if (y < 0 || y >= SIDE || col < 0 || col >= SIDE) {
                continue;
            }
            for (int64_t i = 0; i < IN; i++) {
                if (c->depthwise && i != o / 2) {
                    continue;
                }
                int64_t at = (y * SIDE + col) * IN + i;
                int64_t weight =
                    c->depthwise ? (ky * 3 + kx) * 2 * IN + o : ((o * 3 + ky) * 3 + kx) * IN + i;
                sum += (q8(x, c->dtype, at) - c->x_zero) * (q8(w, c->dtype, weight) - c->w_zero);
            }
        }
    }
    return sum;
}

static void check_conv(const struct conv_case *c, enum ledge_rung rung, int32_t threads)
{
    uint32_t seed = 77;
    uint8_t x[SIDE * SIDE * IN], w[9 * IN * OUT * 2];
    int32_t bias[2 * IN], zeros[2 * IN];
    float scales[2 * IN];
    int64_t channels = c->depthwise ? 2 * IN : OUT;
    test_fill_8(x, sizeof x, &seed);
    test_fill_8(w, sizeof w, &seed);
    for (int64_t o = 0; o < channels; o++) {
        bias[o] = (int32_t)(test_random(&seed) % 4001) - 2000;
        scales[o] = c->dtype == LEDGE_U8 ? 0.011f : 0.004f + 0.002f * (float)o;
        zeros[o] = c->w_zero;
    }
    struct test_net net;
    test_init(&net);
    int64_t deep[4] = {1, 3, 3, channels};
    int64_t wide[4] = {OUT, 3, 3, IN};
    int32_t in[3];
    in[0] = test_input(&net, c->dtype, TEST_SHAPE(1, SIDE, SIDE, IN), x);
    in[1] = test_constant(&net, c->dtype, 4, c->depthwise ? deep : wide, w);
    in[2] = test_constant(&net, LEDGE_I32, TEST_SHAPE(channels), bias);
    one_quant(&net, in[0], c->dtype, 0.02f, c->x_zero);
    give_quant(&net, in[1], c->dtype, c->dtype == LEDGE_U8 ? 1 : (int32_t)channels, scales, zeros);
    int32_t y = test_node(&net, "tfl", c->depthwise ? "DepthwiseConv2D" : "Conv2D", 3, in);
    one_quant(&net, y, c->dtype, 0.05f, c->y_zero);
    test_ints(&net, "strides", 2, TEST_DIMS(c->stride, c->stride));
    test_ints(&net, "dilations", 2, TEST_DIMS(c->dilation, c->dilation));
    test_int(&net, "layout", LEDGE_NHWC);
    test_int(&net, "activation", 1);
    assert_true(
        ledge_graph_set_string(&net.graph, net.graph.n_nodes - 1, "auto_pad", "SAME_UPPER"));
    test_output(&net, y);
    test_run(&net, rung, threads);
    int64_t side = (SIDE + c->stride - 1) / c->stride;
    int64_t total = (side - 1) * c->stride + 2 * c->dilation + 1 - SIDE;
    int64_t pad = total > 0 ? total / 2 : 0;
    const void *got = test_result(&net, 0, TEST_SHAPE(1, side, side, channels));
    int64_t high = c->dtype == LEDGE_I8 ? 127 : 255;
    for (int64_t i = 0; i < side * side * channels; i++) {
        int64_t o = i % channels;
        int64_t sum = bias[o] + conv_at(c, x, w, i / channels / side * c->stride - pad,
                                        i / channels % side * c->stride - pad, o);
        double product =
            c->dtype == LEDGE_U8 ? (double)(0.02f * scales[o]) : (double)0.02f * (double)scales[o];
        int64_t want = limit(scaled(sum, product / (double)0.05f) + c->y_zero, c->y_zero, high);
        assert_int_equal(q8(got, c->dtype, i), want);
    }
    test_done(&net);
}

static void convolutions_are_exact_on_every_rung(void **state)
{
    (void)state;
    static const struct conv_case cases[] = {
        {LEDGE_I8, 1, 1, false, -3, 0, 5},   {LEDGE_I8, 2, 1, false, 100, 0, -128},
        {LEDGE_I8, 1, 2, false, 0, 0, 0},    {LEDGE_U8, 1, 1, false, 120, 131, 10},
        {LEDGE_U8, 2, 1, true, 3, 250, 100}, {LEDGE_I8, 1, 1, true, -128, 0, 17},
        {LEDGE_I8, 1, 2, true, 9, 0, 0},
    };
    enum ledge_rung most = ledge_port_rung();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (int rung = 0; rung <= (int)most; rung++) {
            if (test_can_run(rung)) {
                check_conv(&cases[i], (enum ledge_rung)rung, 1);
            }
        }
        check_conv(&cases[i], most, 3);
    }
}

static void fully_connected_is_exact(void **state)
{
    (void)state;
    enum { ROWS = 3, K = 70, N = 21 };
    uint32_t seed = 5;
    int8_t x[ROWS * K], w[N * K];
    int32_t bias[N];
    test_fill_8(x, sizeof x, &seed);
    test_fill_8(w, sizeof w, &seed);
    for (int i = 0; i < N; i++) {
        bias[i] = (int32_t)(test_random(&seed) % 2001) - 1000;
    }
    for (int rung = 0; rung <= (int)ledge_port_rung(); rung++) {
        if (!test_can_run(rung)) {
            continue;
        }
        struct test_net net;
        test_init(&net);
        int32_t in[3] = {test_input(&net, LEDGE_I8, TEST_SHAPE(ROWS, K), x),
                         test_constant(&net, LEDGE_I8, TEST_SHAPE(N, K), w),
                         test_constant(&net, LEDGE_I32, TEST_SHAPE(N), bias)};
        one_quant(&net, in[0], LEDGE_I8, 0.1f, 7);
        one_quant(&net, in[1], LEDGE_I8, 0.02f, 0);
        int32_t y = test_node(&net, "tfl", "FullyConnected", 3, in);
        one_quant(&net, y, LEDGE_I8, 0.9f, -11);
        test_output(&net, y);
        test_run(&net, (enum ledge_rung)rung, 1);
        const int8_t *got = test_result(&net, 0, TEST_SHAPE(ROWS, N));
        for (int64_t i = 0; i < (int64_t)ROWS * N; i++) {
            int64_t sum = bias[i % N];
            for (int64_t k = 0; k < K; k++) {
                sum += (x[i / N * K + k] - 7) * w[i % N * K + k];
            }
            int64_t want = scaled(sum, (double)(0.1f * 0.02f) / (double)0.9f) - 11;
            assert_int_equal(got[i], limit(want, -128, 127));
        }
        test_done(&net);
    }
}

/* The real sum, rounded once, is at most one unit away from the fixed-point one. */
static void add_broadcasts(void **state)
{
    (void)state;
    uint32_t seed = 9;
    uint8_t a[12], b[4];
    test_fill_8(a, sizeof a, &seed);
    test_fill_8(b, sizeof b, &seed);
    struct test_net net;
    test_init(&net);
    int32_t in[2] = {test_input(&net, LEDGE_U8, TEST_SHAPE(1, 3, 4), a),
                     test_constant(&net, LEDGE_U8, TEST_SHAPE(4), b)};
    one_quant(&net, in[0], LEDGE_U8, 0.5f, 100);
    one_quant(&net, in[1], LEDGE_U8, 0.25f, 30);
    int32_t y = test_node(&net, "tfl", "Add", 2, in);
    one_quant(&net, y, LEDGE_U8, 0.75f, 90);
    test_output(&net, y);
    test_run(&net, LEDGE_RUNG_C, 1);
    const uint8_t *got = test_result(&net, 0, TEST_SHAPE(1, 3, 4));
    for (int64_t i = 0; i < 12; i++) {
        double real = 0.5 * (a[i] - 100) + 0.25 * (b[i % 4] - 30);
        double want = fmin(fmax(real / 0.75 + 90, 0), 255);
        assert_true(fabs(want - got[i]) <= 0.51);
    }
    test_done(&net);
}

static void softmax_and_mean_are_near_the_real_ones(void **state)
{
    (void)state;
    const int8_t x[2 * 5] = {-10, 20, 5, 19, -128, 0, 0, 0, 0, 1};
    struct test_net net;
    test_init(&net);
    int32_t in = test_input(&net, LEDGE_I8, TEST_SHAPE(2, 5), x);
    one_quant(&net, in, LEDGE_I8, 0.125f, 3);
    int32_t y = test_node(&net, "tfl", "Softmax", 1, &in);
    one_quant(&net, y, LEDGE_I8, 1.0f / 256.0f, -128);
    int32_t m = test_node(&net, "tfl", "Mean", 1, &in);
    one_quant(&net, m, LEDGE_I8, 0.0625f, -2);
    test_ints(&net, "axes", 1, TEST_DIMS(-1));
    test_output(&net, y);
    test_output(&net, m);
    test_run(&net, LEDGE_RUNG_C, 1);
    const int8_t *got = test_result(&net, 0, TEST_SHAPE(2, 5));
    const int8_t *mean = test_result(&net, 1, TEST_SHAPE(2));
    for (int64_t row = 0; row < 2; row++) {
        double sum = 0, total = 0;
        for (int64_t i = 0; i < 5; i++) {
            sum += exp(0.125 * x[row * 5 + i]);
            total += 0.125 * (x[row * 5 + i] - 3);
        }
        for (int64_t i = 0; i < 5; i++) {
            double p = 256 * exp(0.125 * x[row * 5 + i]) / sum - 128;
            assert_true(fabs(fmin(p, 127) - got[row * 5 + i]) <= 1);
        }
        double real = fmax(total / 5 / 0.0625 - 2, -128);
        assert_true(fabs(real - mean[row]) <= 0.51);
    }
    test_done(&net);
}

static void pooling_counts_no_padding(void **state)
{
    (void)state;
    const int8_t x[9] = {-5, 7, 100, 3, 4, -128, 90, 2, 1};
    static const int8_t average[4] = {2, -14, 46, 1};
    static const int8_t largest[4] = {7, 100, 90, 1};
    for (int k = 0; k < 2; k++) {
        struct test_net net;
        test_init(&net);
        int32_t in = test_input(&net, LEDGE_I8, TEST_SHAPE(1, 3, 3, 1), x);
        one_quant(&net, in, LEDGE_I8, 1, 0);
        int32_t y = test_node(&net, "tfl", k == 0 ? "AveragePool2D" : "MaxPool2D", 1, &in);
        one_quant(&net, y, LEDGE_I8, 1, 0);
        test_ints(&net, "kernel_shape", 2, TEST_DIMS(2, 2));
        test_ints(&net, "strides", 2, TEST_DIMS(2, 2));
        test_int(&net, "layout", LEDGE_NHWC);
        assert_true(
            ledge_graph_set_string(&net.graph, net.graph.n_nodes - 1, "auto_pad", "SAME_UPPER"));
        test_output(&net, y);
        test_run(&net, LEDGE_RUNG_C, 1);
        const int8_t *got = test_result(&net, 0, TEST_SHAPE(1, 2, 2, 1));
        assert_memory_equal(got, k == 0 ? average : largest, 4);
        test_done(&net);
    }
}

/* Corners stay when they are aligned; blocks go to the batch and come back. */
static void resize_and_space_to_batch(void **state)
{
    (void)state;
    const float x[4] = {0, 3, 6, 9};
    const float blocks[16] = {0, 0, 6, 0, 0, 0, 9, 0, 0, 0, 0, 0, 3, 0, 0, 0};
    const int32_t size[2] = {4, 4}, block[2] = {2, 2}, edge[4] = {1, 1, 0, 2};
    struct test_net net;
    test_init(&net);
    int32_t in[2] = {test_input(&net, LEDGE_F32, TEST_SHAPE(1, 2, 2, 1), x),
                     test_constant(&net, LEDGE_I32, TEST_SHAPE(2), size)};
    int32_t y = test_node(&net, "tfl", "ResizeBilinear", 2, in);
    test_int(&net, "align_corners", 1);
    int32_t parts[3] = {in[0], test_constant(&net, LEDGE_I32, TEST_SHAPE(2), block),
                        test_constant(&net, LEDGE_I32, TEST_SHAPE(2, 2), edge)};
    parts[0] = test_node(&net, "tfl", "SpaceToBatchND", 3, parts);
    int32_t back = test_node(&net, "tfl", "BatchToSpaceND", 3, parts);
    test_output(&net, y);
    test_output(&net, parts[0]);
    test_output(&net, back);
    test_run(&net, LEDGE_RUNG_C, 1);
    const float *got = test_result(&net, 0, TEST_SHAPE(1, 4, 4, 1));
    assert_true(got[0] == 0 && got[3] == 3 && got[12] == 6 && got[15] == 9);
    assert_true(fabsf(got[5] - 3) < 1e-5f);
    assert_memory_equal(test_result(&net, 1, TEST_SHAPE(4, 2, 2, 1)), blocks, sizeof blocks);
    assert_memory_equal(test_result(&net, 2, TEST_SHAPE(1, 2, 2, 1)), x, sizeof x);
    test_done(&net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(convolutions_are_exact_on_every_rung),
        cmocka_unit_test(fully_connected_is_exact),
        cmocka_unit_test(add_broadcasts),
        cmocka_unit_test(softmax_and_mean_are_near_the_real_ones),
        cmocka_unit_test(pooling_counts_no_padding),
        cmocka_unit_test(resize_and_space_to_batch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
