/* SPDX-License-Identifier: Apache-2.0 */
/* onnx_test.c -- operators of ai.onnx beyond the core: answers worked out by hand, edges that go
 * wrong easily (negative steps, ties, rounding, overflow, indices out of range). The ONNX project's
 * own cases run in tests/conformance. */
#include <math.h>
#include <stdlib.h>

#include "engine/run/testing.h"

#define FLOATS(...) ((const float[]){__VA_ARGS__})
#define LONGS(...)  ((const int64_t[]){__VA_ARGS__})
#define COUNT(a)    ((int32_t)(sizeof(a) / sizeof((a)[0])))

static int32_t real_input(struct test_net *net, int32_t rank, const int64_t *dims,
                          const float *data)
{
    return test_input(net, LEDGE_F32, rank, dims, data);
}

static int32_t longs(struct test_net *net, int64_t n, const int64_t *data)
{
    return test_constant(net, LEDGE_I64, 1, &n, data);
}

static void set_opset(struct test_net *net, int32_t opset)
{
    net->graph.nodes[net->graph.n_nodes - 1].opset = opset;
}

/* Run; output 0 has this shape and these floats; the net is done. */
static void expect(struct test_net *net, int32_t out, int32_t rank, const int64_t *dims,
                   const float *want)
{
    int64_t n = 1;
    test_output(net, out);
    test_run(net, LEDGE_RUNG_C, 1);
    for (int32_t i = 0; i < rank; i++) {
        n *= dims[i];
    }
    test_near(test_result(net, 0, rank, dims), want, n, 1e-6f);
    test_done(net);
}

static const float six[6] = {1, 2, 3, 4, 5, 6};

static void test_slice(void **state)
{
    (void)state;
    struct test_net net;
    test_init(&net);
    int32_t x = real_input(&net, TEST_SHAPE(2, 3), six);
    int32_t starts = longs(&net, 2, LONGS(-1, 5)), ends = longs(&net, 2, LONGS(INT64_MIN, -9));
    int32_t axes = longs(&net, 2, LONGS(0, -1)), steps = longs(&net, 2, LONGS(-1, -2));
    int32_t y = test_node(&net, "", "Slice", 5, TEST_VALUES(x, starts, ends, axes, steps));
    expect(&net, y, TEST_SHAPE(2, 2), FLOATS(6, 4, 3, 1));
}

/* Larger than a tile on both sides, and not a multiple of it. */
static void test_transpose(void **state)
{
    (void)state;
    enum { ROWS = 37, COLS = 21 };
    static float x[2 * ROWS * COLS], want[2 * ROWS * COLS];
    struct test_net net;
    for (int b = 0; b < 2; b++) {
        for (int i = 0; i < ROWS * COLS; i++) {
            x[b * ROWS * COLS + i] = (float)(b * 10000 + i);
            want[b * ROWS * COLS + i % COLS * ROWS + i / COLS] = (float)(b * 10000 + i);
        }
    }
    test_init(&net);
    int32_t in = real_input(&net, TEST_SHAPE(2, ROWS, COLS), x);
    int32_t y = test_node(&net, "", "Transpose", 1, &in);
    test_ints(&net, "perm", 3, TEST_DIMS(0, 2, 1));
    expect(&net, y, TEST_SHAPE(2, COLS, ROWS), want);
}

static void test_transpose_of_bytes(void **state)
{
    (void)state;
    enum { ROWS = 37, COLS = 21 };
    static uint8_t x[2 * ROWS * COLS];
    struct test_net net;
    test_fill_8(x, sizeof x, &(uint32_t){5});
    test_init(&net);
    int32_t in = test_input(&net, LEDGE_U8, TEST_SHAPE(2, ROWS, COLS), x);
    test_output(&net, test_node(&net, "", "Transpose", 1, &in));
    test_ints(&net, "perm", 3, TEST_DIMS(0, 2, 1));
    test_run(&net, LEDGE_RUNG_C, 1);
    const uint8_t *y = ledge_run_output(net.run, 0).data;
    for (int i = 0; i < 2 * ROWS * COLS; i++) {
        int row = i / COLS % ROWS, col = i % COLS;
        assert_int_equal(y[i / (ROWS * COLS) * ROWS * COLS + col * ROWS + row], x[i]);
    }
    test_done(&net);
}

static void test_join_and_part(void **state)
{
    (void)state;
    struct test_net net;
    test_init(&net);
    int32_t x = real_input(&net, TEST_SHAPE(2, 3), six), part[2];
    part[0] = ledge_graph_add_value(&net.graph, NULL, LEDGE_DTYPE_NONE, -1, NULL);
    part[1] = ledge_graph_add_value(&net.graph, NULL, LEDGE_DTYPE_NONE, -1, NULL);
    assert_true(ledge_graph_add_node(&net.graph, "", "Split", 18, NULL, &x, 1, part, 2) >= 0);
    test_int(&net, "axis", 1); /* 3 into two: 2 and 1 */
    int32_t y = test_node(&net, "", "Concat", 3, TEST_VALUES(part[1], part[0], part[1]));
    test_int(&net, "axis", -1);
    expect(&net, y, TEST_SHAPE(2, 4), FLOATS(3, 1, 2, 3, 6, 4, 5, 6));
}

static void test_pad(void **state)
{
    (void)state;
    struct test_net net;
    test_init(&net);
    int32_t x = real_input(&net, TEST_SHAPE(2, 3), six);
    int32_t y = test_node(&net, "", "Pad", 2, TEST_VALUES(x, longs(&net, 4, LONGS(0, 2, 1, -1))));
    expect(&net, y, TEST_SHAPE(3, 4), FLOATS(0, 0, 1, 2, 0, 0, 4, 5, 0, 0, 0, 0));
    test_init(&net);
    x = real_input(&net, TEST_SHAPE(3), six);
    y = test_node(&net, "", "Pad", 2, TEST_VALUES(x, longs(&net, 2, LONGS(2, 3))));
    assert_true(ledge_graph_set_string(&net.graph, 0, "mode", "reflect"));
    expect(&net, y, TEST_SHAPE(8), FLOATS(3, 2, 1, 2, 3, 2, 1, 2));
}

static void test_depth(void **state)
{
    (void)state;
    static const float x[8] = {0, 1, 2, 3, 4, 5, 6, 7};
    struct test_net net;
    for (int crd = 0; crd < 2; crd++) {
        test_init(&net);
        int32_t in = real_input(&net, TEST_SHAPE(1, 8, 1, 1), x);
        int32_t y = test_node(&net, "", "DepthToSpace", 1, &in);
        test_int(&net, "blocksize", 2);
        assert_true(ledge_graph_set_string(&net.graph, 0, "mode", crd != 0 ? "CRD" : "DCR"));
        expect(&net, y, TEST_SHAPE(1, 2, 2, 2), crd != 0 ? x : FLOATS(0, 2, 4, 6, 1, 3, 5, 7));
    }
}

static void test_gather(void **state)
{
    (void)state;
    struct test_net net;
    int64_t index[2] = {-1, 0};
    test_init(&net);
    int32_t x = real_input(&net, TEST_SHAPE(2, 3), six);
    int32_t i = test_input(&net, LEDGE_I64, TEST_SHAPE(2), index);
    int32_t y = test_node(&net, "", "Gather", 2, TEST_VALUES(x, i));
    test_int(&net, "axis", 1);
    test_output(&net, y);
    test_run(&net, LEDGE_RUNG_C, 1);
    test_near(test_result(&net, 0, TEST_SHAPE(2, 2)), FLOATS(3, 1, 6, 4), 4, 0);
    test_stop(&net);
    index[1] = 3; /* a value known only when it runs */
    assert_int_equal(test_try(&net, LEDGE_RUNG_C, 1), LEDGE_ERR_RANGE);
    assert_non_null(strstr(net.err.text, "index 3"));
    test_done(&net);
}

static void test_scatter(void **state)
{
    (void)state;
    struct test_net net;
    test_init(&net);
    int32_t x = real_input(&net, TEST_SHAPE(6), six);
    int32_t i = test_constant(&net, LEDGE_I64, TEST_SHAPE(3, 1), LONGS(1, -1, 1));
    int32_t u = test_constant(&net, LEDGE_F32, TEST_SHAPE(3), FLOATS(10, 20, 30));
    int32_t y = test_node(&net, "", "ScatterND", 3, TEST_VALUES(x, i, u));
    assert_true(ledge_graph_set_string(&net.graph, 0, "reduction", "add"));
    expect(&net, y, TEST_SHAPE(6), FLOATS(1, 42, 3, 4, 5, 26));
}

static void test_reduce(void **state)
{
    (void)state;
    static const struct {
        const char *op;
        float want[2];
    } cases[] = {
        {"ReduceMean", {3, 4}},  {"ReduceMax", {6, 7}}, {"ReduceProd", {0, 105}},
        {"ReduceL1", {12, 16}},  {"ReduceMin", {0, 1}}, {"ReduceSumSquare", {56, 84}},
        {"ReduceSum", {12, 16}},
    };
    static const float x[8] = {2, 0, 4, 6, 1, 3, 5, 7};
    for (int32_t k = 0; k < COUNT(cases); k++) {
        struct test_net net;
        test_init(&net);
        int32_t in = real_input(&net, TEST_SHAPE(2, 2, 2), x);
        int32_t y = test_node(&net, "", cases[k].op, 1, &in);
        test_ints(&net, "axes", 2, TEST_DIMS(1, -1));
        test_int(&net, "keepdims", 0);
        expect(&net, y, TEST_SHAPE(2), cases[k].want);
    }
    struct test_net net; /* exp of these would overflow f32 */
    test_init(&net);
    int32_t in = real_input(&net, TEST_SHAPE(2), FLOATS(1000, 1000));
    expect(&net, test_node(&net, "", "ReduceLogSumExp", 1, &in), TEST_SHAPE(1),
           FLOATS(1000.6931472f));
}

static void test_top(void **state)
{
    (void)state;
    static const float x[6] = {3, 7, 7, -1, 7, 2};
    struct test_net net;
    int32_t out[2];
    test_init(&net);
    int32_t in = real_input(&net, TEST_SHAPE(6), x);
    out[0] = ledge_graph_add_value(&net.graph, NULL, LEDGE_DTYPE_NONE, -1, NULL);
    out[1] = ledge_graph_add_value(&net.graph, NULL, LEDGE_DTYPE_NONE, -1, NULL);
    const int32_t inputs[2] = {in, longs(&net, 1, LONGS(4))};
    assert_true(ledge_graph_add_node(&net.graph, "", "TopK", 11, NULL, inputs, 2, out, 2) >= 0);
    test_output(&net, out[0]);
    test_output(&net, out[1]);
    test_run(&net, LEDGE_RUNG_C, 1);
    test_near(test_result(&net, 0, TEST_SHAPE(4)), FLOATS(7, 7, 7, 3), 4, 0);
    assert_memory_equal(test_result(&net, 1, TEST_SHAPE(4)), LONGS(1, 2, 4, 0), 32);
    test_done(&net);
}

static void test_cumulative(void **state)
{
    (void)state;
    struct test_net net;
    test_init(&net);
    int32_t x = real_input(&net, TEST_SHAPE(2, 3), six);
    int32_t axis = test_constant(&net, LEDGE_I32, 0, NULL, (const int32_t[]){-1});
    int32_t y = test_node(&net, "", "CumSum", 2, TEST_VALUES(x, axis));
    test_int(&net, "exclusive", 1);
    test_int(&net, "reverse", 1);
    expect(&net, y, TEST_SHAPE(2, 3), FLOATS(5, 3, 0, 11, 6, 0));
}

/* Up to opset 12 everything from the axis on is one row. */
static void test_softmax(void **state)
{
    (void)state;
    static const float x[4] = {0, 0, 0, 0};
    for (int32_t opset = 12; opset <= 13; opset++) {
        struct test_net net;
        float each = opset == 12 ? 0.25f : 0.5f;
        test_init(&net);
        int32_t in = real_input(&net, TEST_SHAPE(1, 2, 2), x);
        int32_t y = test_node(&net, "", "Softmax", 1, &in);
        test_int(&net, "axis", 1);
        set_opset(&net, opset);
        expect(&net, y, TEST_SHAPE(1, 2, 2), FLOATS(each, each, each, each));
    }
}

static void test_elementwise(void **state)
{
    (void)state;
    static const struct {
        const char *op;
        float want[4]; /* of -2, -0.5, 0.5, 3 */
    } cases[] = {
        {"Relu", {0, 0, 0.5f, 3}},
        {"Round", {-2, -0.0f, 0, 3}}, /* half to even */
        {"Sigmoid", {0.11920292f, 0.37754067f, 0.62245933f, 0.95257413f}},
        {"HardSwish", {-0.33333334f, -0.20833333f, 0.29166667f, 3}},
        {"Elu", {-0.86466472f, -0.39346934f, 0.5f, 3}},
        {"Softplus", {0.12692801f, 0.47407698f, 0.97407698f, 3.04858735f}},
        {"Erf", {-0.99532227f, -0.52049988f, 0.52049988f, 0.99997791f}},
    };
    static const float x[4] = {-2, -0.5f, 0.5f, 3};
    for (int32_t k = 0; k < COUNT(cases); k++) {
        struct test_net net;
        test_init(&net);
        int32_t in = real_input(&net, TEST_SHAPE(4), x);
        expect(&net, test_node(&net, "", cases[k].op, 1, &in), TEST_SHAPE(4), cases[k].want);
    }
}

/* Division by zero gives 0, the least number by -1 itself; Mod has the divisor's sign, with fmod
 * the dividend's. */
static void test_whole_numbers(void **state)
{
    (void)state;
    static const int32_t a[4] = {7, INT32_MIN, -7, -7}, b[4] = {0, -1, 3, -3};
    static const int32_t quotient[4] = {0, INT32_MIN, -2, 2}, floor_mod[4] = {0, 0, 2, -1};
    struct test_net net;
    test_init(&net);
    int32_t x = test_input(&net, LEDGE_I32, TEST_SHAPE(4), a);
    int32_t y = test_input(&net, LEDGE_I32, TEST_SHAPE(4), b);
    test_output(&net, test_node(&net, "", "Div", 2, TEST_VALUES(x, y)));
    test_output(&net, test_node(&net, "", "Mod", 2, TEST_VALUES(x, y)));
    test_run(&net, LEDGE_RUNG_C, 1);
    assert_memory_equal(test_result(&net, 0, TEST_SHAPE(4)), quotient, sizeof quotient);
    assert_memory_equal(test_result(&net, 1, TEST_SHAPE(4)), floor_mod, sizeof floor_mod);
    test_done(&net);
}

static void test_broadcast(void **state)
{
    (void)state;
    struct test_net net;
    test_init(&net);
    int32_t a = real_input(&net, TEST_SHAPE(2, 1), FLOATS(10, 20));
    int32_t b = real_input(&net, TEST_SHAPE(3), six);
    int32_t y = test_node(&net, "", "Sub", 2, TEST_VALUES(a, b));
    test_float(&net, "clamp_high", 17.5f);
    int32_t c = test_constant(&net, LEDGE_BOOL, TEST_SHAPE(2, 1), "\x01\x00");
    y = test_node(&net, "", "Where", 3, TEST_VALUES(c, y, b));
    y = test_node(&net, "", "Max", 3,
                  TEST_VALUES(y, test_constant(&net, LEDGE_F32, 0, NULL, FLOATS(2.5f)), a));
    expect(&net, y, TEST_SHAPE(2, 3), FLOATS(10, 10, 10, 20, 20, 20));
}

static void test_cast(void **state)
{
    (void)state;
    static const float x[6] = {-1.7f, 2.9f, 300, 1e30f, -1e30f, NAN};
    static const int64_t want[6] = {-1, 2, 300, INT64_MAX, INT64_MIN, 0};
    struct test_net net;
    test_init(&net);
    int32_t in = real_input(&net, TEST_SHAPE(6), x);
    int32_t y = test_node(&net, "", "Cast", 1, &in);
    test_int(&net, "to", LEDGE_I64);
    test_output(&net, y);
    int32_t h = test_node(&net, "", "Cast", 1, &in);
    test_int(&net, "to", LEDGE_F16);
    test_output(&net, h);
    test_run(&net, LEDGE_RUNG_C, 1);
    assert_memory_equal(test_result(&net, 0, TEST_SHAPE(6)), want, sizeof want);
    const uint16_t *half = test_result(&net, 1, TEST_SHAPE(6));
    assert_int_equal(half[0], 0xbecd); /* -1.7 to the nearest */
    assert_int_equal(half[2], 0x5cb0);
    assert_int_equal(half[3], 0x7c00); /* too great: infinity */
    test_done(&net);
}

/* Numbers to texts and back; what is no number ends the run. */
static void test_cast_texts(void **state)
{
    (void)state;
    struct test_net net;
    const float x[4] = {0.5f, -1e10f, NAN, -INFINITY};
    const struct ledge_string texts[3] = {{"1.5e2x", 5}, {" -7", 3}, {"18446744073709551615", 20}};
    const char *const want[4] = {"0.5", "-1e+10", "NaN", "-INF"};
    test_init(&net);
    int32_t in = real_input(&net, TEST_SHAPE(4), x);
    test_output(&net, test_node(&net, "", "Cast", 1, &in));
    test_int(&net, "to", LEDGE_STRING);
    int32_t text = test_input(&net, LEDGE_STRING, TEST_SHAPE(3), texts);
    const int64_t types[2] = {LEDGE_F64, LEDGE_U64};
    for (int i = 0; i < 2; i++) {
        test_output(&net, test_node(&net, "", "Cast", 1, &text));
        test_int(&net, "to", types[i]);
    }
    test_run(&net, LEDGE_RUNG_C, 1);
    const struct ledge_string *made = test_result(&net, 0, TEST_SHAPE(4));
    for (int i = 0; i < 4; i++) {
        assert_int_equal(made[i].bytes, strlen(want[i]));
        assert_memory_equal(made[i].text, want[i], made[i].bytes);
    }
    const double *real = test_result(&net, 1, TEST_SHAPE(3));
    assert_true(real[0] == 150 && real[1] == -7 && real[2] == 0x1p64);
    const uint64_t *whole = test_result(&net, 2, TEST_SHAPE(3));
    assert_true(whole[0] == 1 && whole[1] == (uint64_t)-7 && whole[2] == UINT64_MAX);
    test_done(&net);
    const struct ledge_string wrong[2] = {{"two", 3}, {NULL, 0}};
    for (int i = 0; i < 2; i++) {
        test_init(&net);
        in = test_input(&net, LEDGE_STRING, TEST_SHAPE(1), &wrong[i]);
        test_output(&net, test_node(&net, "", "Cast", 1, &in));
        test_int(&net, "to", LEDGE_F32);
        assert_int_equal(test_try(&net, LEDGE_RUNG_C, 1), LEDGE_ERR_RANGE);
        assert_non_null(strstr(net.err.text, "is no number"));
        test_done(&net);
    }
}

static void test_resize(void **state)
{
    (void)state;
    struct test_net net;
    test_init(&net);
    int32_t x = real_input(&net, TEST_SHAPE(1, 1, 1, 2), FLOATS(1, 3));
    int32_t scales = test_constant(&net, LEDGE_F32, TEST_SHAPE(4), FLOATS(1, 1, 2, 2));
    int32_t y = test_node(&net, "", "Resize", 3, TEST_VALUES(x, -1, scales));
    assert_true(ledge_graph_set_string(&net.graph, 0, "mode", "linear"));
    expect(&net, y, TEST_SHAPE(1, 1, 2, 4), FLOATS(1, 1.5f, 2.5f, 3, 1, 1.5f, 2.5f, 3));
}

/* 63.75 and 191.25 become whole numbers after each axis; cubic overshoots and is cut off. */
static void test_resize_bytes(void **state)
{
    (void)state;
    static const uint8_t x[4] = {0, 255, 255, 0};
    static const uint8_t want[2][4] = {{0, 64, 191, 255}, {0, 58, 197, 255}};
    for (int i = 0; i < 2; i++) {
        struct test_net net;
        test_init(&net);
        int32_t in = test_input(&net, LEDGE_U8, TEST_SHAPE(1, 2), x);
        int32_t scales = test_constant(&net, LEDGE_F32, TEST_SHAPE(2), FLOATS(1, 2));
        int32_t y = test_node(&net, "", "Resize", 3, TEST_VALUES(in, -1, scales));
        assert_true(ledge_graph_set_string(&net.graph, 0, "mode", i == 0 ? "linear" : "cubic"));
        test_output(&net, y);
        test_run(&net, LEDGE_RUNG_C, 1);
        assert_memory_equal(test_result(&net, 0, TEST_SHAPE(1, 4)), want[i], 4);
        test_done(&net);
    }
}

static void test_layer_norm(void **state)
{
    (void)state;
    struct test_net net;
    test_init(&net);
    int32_t x = real_input(&net, TEST_SHAPE(2, 2), FLOATS(1, 3, 1e4f, 1e4f + 2));
    int32_t s = test_constant(&net, LEDGE_F32, TEST_SHAPE(2), FLOATS(2, 2));
    int32_t b = test_constant(&net, LEDGE_F32, TEST_SHAPE(2), FLOATS(0, 1));
    int32_t y = test_node(&net, "", "LayerNormalization", 3, TEST_VALUES(x, s, b));
    test_float(&net, "epsilon", 0.0f);
    expect(&net, y, TEST_SHAPE(2, 2), FLOATS(-2, 3, -2, 3));
}

/* One step from zero: i = o = f = sigmoid(1), c = i * tanh(1), h = o * tanh(c). */
static void test_lstm(void **state)
{
    (void)state;
    static const float ones[4] = {1, 1, 1, 1}, zeros[4] = {0};
    struct test_net net;
    test_init(&net);
    int32_t x = real_input(&net, TEST_SHAPE(1, 1, 1), ones);
    int32_t w = test_constant(&net, LEDGE_F32, TEST_SHAPE(1, 4, 1), ones);
    int32_t r = test_constant(&net, LEDGE_F32, TEST_SHAPE(1, 4, 1), zeros);
    int32_t y = test_node(&net, "", "LSTM", 3, TEST_VALUES(x, w, r));
    test_int(&net, "hidden_size", 1);
    double gate = 1 / (1 + exp(-1.0)), c = gate * tanh(1.0);
    expect(&net, y, TEST_SHAPE(1, 1, 1, 1), FLOATS((float)(gate * tanh(c))));
}

static void test_quantize(void **state)
{
    (void)state;
    static const float x[6] = {-1, 0.25f, 0.75f, 1.25f, 1e9f, NAN};
    struct test_net net;
    test_init(&net);
    int32_t in = real_input(&net, TEST_SHAPE(6), x);
    int32_t scale = test_constant(&net, LEDGE_F32, 0, NULL, FLOATS(0.5f));
    int32_t zero = test_constant(&net, LEDGE_U8, 0, NULL, "\x03");
    int32_t q = test_node(&net, "", "QuantizeLinear", 3, TEST_VALUES(in, scale, zero));
    test_output(&net, q);
    test_output(&net, test_node(&net, "", "DequantizeLinear", 3, TEST_VALUES(q, scale, zero)));
    test_output(&net, test_node(&net, "com.microsoft", "QLinearAdd", 8,
                                TEST_VALUES(q, scale, zero, q, scale, zero, scale, zero)));
    test_run(&net, LEDGE_RUNG_C, 1);
    /* 0.5, 1.5, 2.5 round to 0, 2, 2 */
    assert_memory_equal(test_result(&net, 0, TEST_SHAPE(6)), "\x01\x03\x05\x05\xff\x00", 6);
    test_near(test_result(&net, 1, TEST_SHAPE(6)), FLOATS(-1, 0, 1, 1, 126, -1.5f), 6, 0);
    /* -2, 0, 2, 2, saturated, saturated */
    assert_memory_equal(test_result(&net, 2, TEST_SHAPE(6)), "\x00\x03\x07\x07\xff\x00", 6);
    test_done(&net);
}

/* Shapes that do not fit are refused when planned, by a line that names the node. */
static void test_refusals(void **state)
{
    (void)state;
    static const struct {
        const char *op;
        const char *attr;
        int64_t value;
    } cases[] = {
        {"Transpose", "perm", 5}, {"Concat", "axis", 9}, {"Softmax", "axis", -4},
        {"Flatten", "axis", 7},   {"Cast", "to", 1000},  {"DepthToSpace", "blocksize", 0},
        {"Squeeze", "axes", 1},   {"ArgMax", "axis", 2}, {"Unsqueeze", "axes", -9},
    };
    for (int32_t k = 0; k < COUNT(cases); k++) {
        struct test_net net;
        test_init(&net);
        int32_t in = real_input(&net, TEST_SHAPE(2, 3), six);
        int32_t y = test_node(&net, "", cases[k].op, 1, &in);
        if (strcmp(cases[k].attr, "perm") == 0 || strcmp(cases[k].attr, "axes") == 0) {
            test_ints(&net, cases[k].attr, 1, &cases[k].value);
        } else {
            test_int(&net, cases[k].attr, cases[k].value);
        }
        test_output(&net, y);
        assert_int_not_equal(test_try(&net, LEDGE_RUNG_C, 1), LEDGE_OK);
        assert_non_null(strstr(net.err.text, cases[k].op));
        test_done(&net);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slice),
        cmocka_unit_test(test_transpose),
        cmocka_unit_test(test_transpose_of_bytes),
        cmocka_unit_test(test_join_and_part),
        cmocka_unit_test(test_pad),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_gather),
        cmocka_unit_test(test_scatter),
        cmocka_unit_test(test_reduce),
        cmocka_unit_test(test_top),
        cmocka_unit_test(test_cumulative),
        cmocka_unit_test(test_softmax),
        cmocka_unit_test(test_elementwise),
        cmocka_unit_test(test_whole_numbers),
        cmocka_unit_test(test_broadcast),
        cmocka_unit_test(test_cast),
        cmocka_unit_test(test_resize),
        cmocka_unit_test(test_layer_norm),
        cmocka_unit_test(test_lstm),
        cmocka_unit_test(test_quantize),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_resize_bytes),
        cmocka_unit_test(test_cast_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
