/* SPDX-License-Identifier: Apache-2.0 */
/* pass_test.c -- fusing changes the nodes and not the answers: every graph is run as it is and
 * after the passes. */
#include "engine/plan/passes.h"
#include "engine/run/testing.h"

#include <math.h>

/* Live nodes with this operator after the passes. */
static int count_op(const struct ledge_graph *graph, const char *op)
{
    int n = 0;
    for (int32_t i = 0; i < graph->n_nodes; i++) {
        n += !graph->nodes[i].dead && strcmp(graph->nodes[i].op, op) == 0;
    }
    return n;
}

static int count_live(const struct ledge_graph *graph)
{
    int n = 0;
    for (int32_t i = 0; i < graph->n_nodes; i++) {
        n += !graph->nodes[i].dead;
    }
    return n;
}

enum { ROOM = 4096 };

/* All outputs one behind the other, as f32 numbers. */
static int64_t outputs_of(struct test_net *net, float *to)
{
    int64_t n = 0;
    for (int32_t i = 0; i < net->graph.n_outputs; i++) {
        struct ledge_view view = ledge_run_output(net->run, i);
        int64_t more = ledge_view_count(&view);
        assert_true(n + more <= ROOM && view.dtype == LEDGE_F32);
        memcpy(to + n, view.data, (size_t)more * sizeof *to);
        n += more;
    }
    return n;
}

/* Run, keep the outputs, run the passes, run again: at most `tolerance` apart. */
static void both_ways(struct test_net *net, double tolerance)
{
    static float before[ROOM], after[ROOM];
    test_run(net, LEDGE_RUNG_C, 1);
    int64_t n = outputs_of(net, before);
    test_stop(net);
    assert_int_equal(ledge_passes_run(&net->graph, &net->err), LEDGE_OK);
    test_run(net, LEDGE_RUNG_C, 1);
    assert_int_equal(outputs_of(net, after), n);
    for (int64_t i = 0; i < n; i++) {
        double difference = fabs((double)after[i] - (double)before[i]);
        if (difference > tolerance) {
            fail_msg("element %lld: %g, before the passes %g", (long long)i, (double)after[i],
                     (double)before[i]);
        }
    }
}

static int32_t scalar(struct test_net *net, float value)
{
    return test_constant(net, LEDGE_F32, 0, NULL, &value);
}

static int32_t random_constant(struct test_net *net, int32_t rank, const int64_t *dims,
                               float offset, uint32_t *seed)
{
    float data[512];
    int64_t n = 1;
    for (int32_t i = 0; i < rank; i++) {
        n *= dims[i];
    }
    assert_true(n <= 512);
    test_fill_f32(data, n, seed);
    for (int64_t i = 0; i < n; i++) {
        data[i] += offset;
    }
    return test_constant(net, LEDGE_F32, rank, dims, data);
}

/* Conv -> BatchNormalization -> Mul per channel -> Add per channel -> Clip: one Conv is left. */
static void test_conv_chain(void **state)
{
    (void)state;
    struct test_net net;
    float x[2 * 3 * 5 * 5];
    uint32_t seed = 7;
    test_init(&net);
    test_fill_f32(x, 150, &seed);
    int32_t in = test_input(&net, LEDGE_F32, TEST_SHAPE(2, 3, 5, 5), x);
    int32_t w = random_constant(&net, TEST_SHAPE(4, 3, 3, 3), 0, &seed);
    int32_t conv = test_node(&net, "", "Conv", 2, TEST_VALUES(in, w));
    int32_t bn[5] = {conv};
    for (int i = 1; i < 5; i++) {
        bn[i] = random_constant(&net, TEST_SHAPE(4), 1.5f, &seed);
    }
    int32_t y = test_node(&net, "", "BatchNormalization", 5, bn);
    test_float(&net, "epsilon", 0.01f);
    int32_t m = random_constant(&net, TEST_SHAPE(1, 4, 1, 1), 0, &seed);
    y = test_node(&net, "", "Mul", 2, TEST_VALUES(m, y));
    int32_t a = random_constant(&net, TEST_SHAPE(4, 1, 1), 0, &seed);
    y = test_node(&net, "", "Add", 2, TEST_VALUES(y, a));
    y = test_node(&net, "", "Clip", 3, TEST_VALUES(y, scalar(&net, -0.5f), scalar(&net, 0.75f)));
    test_output(&net, y);
    both_ways(&net, 1e-5);
    assert_int_equal(count_live(&net.graph), 1);
    assert_int_equal(count_op(&net.graph, "Conv"), 1);
    test_done(&net);
}

/* A Gemm whose weights serve twice: folding into the one does not change the other. */
static void test_shared_weights(void **state)
{
    (void)state;
    struct test_net net;
    float x[2 * 3];
    uint32_t seed = 11;
    test_init(&net);
    test_fill_f32(x, 6, &seed);
    int32_t in = test_input(&net, LEDGE_F32, TEST_SHAPE(2, 3), x);
    int32_t w = random_constant(&net, TEST_SHAPE(3, 3), 0, &seed);
    int32_t b = random_constant(&net, TEST_SHAPE(3), 0, &seed);
    int32_t y = test_node(&net, "", "Gemm", 3, TEST_VALUES(in, w, b));
    y = test_node(&net, "", "Add", 2,
                  TEST_VALUES(y, random_constant(&net, TEST_SHAPE(1, 3), 0, &seed)));
    y = test_node(&net, "", "Relu", 1, TEST_VALUES(y));
    y = test_node(&net, "", "Gemm", 3, TEST_VALUES(y, w, b));
    test_output(&net, y);
    both_ways(&net, 1e-6);
    assert_int_equal(count_live(&net.graph), 2);
    test_done(&net);
}

/* What must stay: a column added to a Gemm, a value read twice, a graph output, a Clip of whole
 * numbers. */
static void test_kept(void **state)
{
    (void)state;
    struct test_net net;
    float x[4] = {-1, 2, -3, 4};
    uint32_t seed = 13;
    test_init(&net);
    int32_t in = test_input(&net, LEDGE_F32, TEST_SHAPE(2, 2), x);
    int32_t w = random_constant(&net, TEST_SHAPE(2, 2), 0, &seed);
    int32_t g = test_node(&net, "", "Gemm", 2, TEST_VALUES(in, w));
    int32_t y = test_node(&net, "", "Add", 2,
                          TEST_VALUES(g, random_constant(&net, TEST_SHAPE(2, 1), 0, &seed)));
    int32_t r = test_node(&net, "", "Relu", 1, TEST_VALUES(y));
    y = test_node(&net, "", "Add", 2, TEST_VALUES(r, y));
    test_output(&net, y);
    both_ways(&net, 0);
    assert_int_equal(count_op(&net.graph, "Relu"), 1);
    assert_int_equal(count_op(&net.graph, "Gemm"), 1);
    assert_int_equal(count_op(&net.graph, "Add"), 2);
    test_done(&net);
}

/* -- quantised -- */

struct affine {
    int32_t scale, zero;
};

static struct affine affine(struct test_net *net, float scale, uint8_t zero)
{
    return (struct affine){scalar(net, scale), test_constant(net, LEDGE_U8, 0, NULL, &zero)};
}

static int32_t q(struct test_net *net, int32_t value, struct affine a)
{
    return test_node(net, "", "QuantizeLinear", 3, TEST_VALUES(value, a.scale, a.zero));
}

static int32_t dq(struct test_net *net, int32_t value, struct affine a)
{
    return test_node(net, "", "DequantizeLinear", 3, TEST_VALUES(value, a.scale, a.zero));
}

static int32_t qdq(struct test_net *net, int32_t value, struct affine a)
{
    return dq(net, q(net, value, a), a);
}

/* Weights [channels, k] or [channels, c, 3, 3] of i8 with a scale each, and a bias of i32 that fits
 * x_scale. */
static void weights(struct test_net *net, int32_t rank, const int64_t *dims, float x_scale,
                    uint32_t *seed, int32_t *w, int32_t *b)
{
    int8_t data[512], zeros[16] = {0};
    int32_t bias[16], bias_zero[16] = {0};
    float scales[16], bias_scales[16];
    int64_t n = 1;
    for (int32_t i = 0; i < rank; i++) {
        n *= dims[i];
    }
    assert_true(n <= 512 && dims[0] <= 16);
    test_fill_8(data, n, seed);
    for (int64_t c = 0; c < dims[0]; c++) {
        scales[c] = 0.002f * (float)(c + 1);
        bias_scales[c] = scales[c] * x_scale;
        bias[c] = (int32_t)(test_random(seed) % 2000) - 1000;
    }
    int32_t s = test_constant(net, LEDGE_F32, 1, dims, scales);
    int32_t z = test_constant(net, LEDGE_I8, 1, dims, zeros);
    *w = test_node(net, "", "DequantizeLinear", 3,
                   TEST_VALUES(test_constant(net, LEDGE_I8, rank, dims, data), s, z));
    test_int(net, "axis", 0);
    s = test_constant(net, LEDGE_F32, 1, dims, bias_scales);
    z = test_constant(net, LEDGE_I32, 1, dims, bias_zero);
    *b = test_node(net, "", "DequantizeLinear", 3,
                   TEST_VALUES(test_constant(net, LEDGE_I32, 1, dims, bias), s, z));
    test_int(net, "axis", 0);
}

/* A small residual network in QDQ form; nothing of f32 is left inside. */
static void test_qdq(void **state)
{
    (void)state;
    struct test_net net;
    float x[3 * 6 * 6];
    uint32_t seed = 17;
    int32_t w, b;
    test_init(&net);
    test_fill_f32(x, 108, &seed);
    struct affine s1 = affine(&net, 0.0079f, 128), s2 = affine(&net, 0.02f, 3);
    struct affine s3 = affine(&net, 0.03f, 100), s4 = affine(&net, 0.031f, 90);
    int32_t in = test_input(&net, LEDGE_F32, TEST_SHAPE(1, 3, 6, 6), x);
    int32_t y = qdq(&net, in, s1);
    weights(&net, TEST_SHAPE(4, 3, 3, 3), 0.0079f, &seed, &w, &b);
    y = test_node(&net, "", "Conv", 3, TEST_VALUES(y, w, b));
    test_ints(&net, "pads", 4, TEST_DIMS(1, 1, 1, 1));
    y = qdq(&net, test_node(&net, "", "Relu", 1, TEST_VALUES(y)), s2);
    weights(&net, TEST_SHAPE(4, 4, 3, 3), 0.02f, &seed, &w, &b);
    int32_t z = test_node(&net, "", "Conv", 3, TEST_VALUES(y, w, b));
    test_ints(&net, "pads", 4, TEST_DIMS(1, 1, 1, 1));
    z = qdq(&net, z, s3);
    y = qdq(&net, test_node(&net, "", "Add", 2, TEST_VALUES(z, y)), s3);
    y = test_node(&net, "", "MaxPool", 1, TEST_VALUES(y));
    test_ints(&net, "kernel_shape", 2, TEST_DIMS(2, 2));
    test_ints(&net, "strides", 2, TEST_DIMS(2, 2));
    y = qdq(&net, y, s3);
    z = test_node(&net, "", "Transpose", 1, TEST_VALUES(y));
    test_ints(&net, "perm", 4, TEST_DIMS(0, 1, 3, 2));
    z = qdq(&net, z, s3);
    y = test_node(&net, "", "Concat", 2, TEST_VALUES(y, z));
    test_int(&net, "axis", 1);
    y = qdq(&net, y, s3);
    y = qdq(&net, test_node(&net, "", "GlobalAveragePool", 1, TEST_VALUES(y)), s4);
    y = qdq(&net, test_node(&net, "", "Flatten", 1, TEST_VALUES(y)), s4);
    weights(&net, TEST_SHAPE(5, 8), 0.031f, &seed, &w, &b);
    y = test_node(&net, "", "Gemm", 3, TEST_VALUES(y, w, b));
    test_int(&net, "transB", 1);
    test_output(&net, qdq(&net, y, s3));
    both_ways(&net, 0.0301); /* one step of the result: sums in f32 before, exact after */
    assert_int_equal(count_op(&net.graph, "QLinearConv"), 2);
    assert_int_equal(count_op(&net.graph, "QLinearAdd"), 1);
    assert_int_equal(count_op(&net.graph, "QLinearGlobalAveragePool"), 1);
    assert_int_equal(count_op(&net.graph, "QGemm"), 1);
    assert_int_equal(count_op(&net.graph, "QuantizeLinear"), 1);
    assert_int_equal(count_op(&net.graph, "DequantizeLinear"), 1);
    assert_int_equal(count_op(&net.graph, "Relu"), 0);
    test_done(&net);
}

/* Functions of one element become tables, by the same arithmetic: not one byte differs. One with
 * two readers keeps its input; behind a convolution the table works on its layout. */
static void test_qdq_functions(void **state)
{
    (void)state;
    struct test_net net;
    float x[3 * 6 * 6];
    uint32_t seed = 23;
    int32_t w, b;
    test_init(&net);
    test_fill_f32(x, 108, &seed);
    struct affine s1 = affine(&net, 0.0079f, 128), s2 = affine(&net, 0.02f, 3);
    struct affine s3 = affine(&net, 0.0039f, 0), s4 = affine(&net, 0.013f, 20);
    int32_t y = qdq(&net, test_input(&net, LEDGE_F32, TEST_SHAPE(1, 3, 6, 6), x), s1);
    int32_t gate = qdq(&net, test_node(&net, "", "Sigmoid", 1, TEST_VALUES(y)), s3);
    y = qdq(&net, test_node(&net, "", "Mul", 2, TEST_VALUES(y, gate)), s1);
    weights(&net, TEST_SHAPE(4, 3, 3, 3), 0.0079f, &seed, &w, &b);
    y = qdq(&net, test_node(&net, "", "Conv", 3, TEST_VALUES(y, w, b)), s2);
    y = test_node(&net, "", "LeakyRelu", 1, TEST_VALUES(y));
    test_float(&net, "alpha", 0.1f);
    y = qdq(&net, y, s4);
    int32_t low = test_constant(&net, LEDGE_F32, 0, NULL, &(float){0.0f});
    y = qdq(&net, test_node(&net, "", "Clip", 2, TEST_VALUES(y, low)), s2);
    test_output(&net, y);
    both_ways(&net, 0.0201); /* one step of the convolution, whose sums are f32 before */
    assert_int_equal(count_op(&net.graph, "ByteTable"), 2);  /* LeakyRelu's is in the convolution */
    assert_int_equal(count_op(&net.graph, "QLinearMul"), 1); /* on every byte, when planning */
    assert_int_equal(count_op(&net.graph, "LeakyRelu"), 1);
    test_done(&net);
}

/* Not ONNX's pattern: scales of a move differ, a bias with another scale. It stays f32, and right.
 */
static void test_qdq_kept(void **state)
{
    (void)state;
    struct test_net net;
    float x[2 * 4];
    uint32_t seed = 19;
    int32_t w, b;
    test_init(&net);
    test_fill_f32(x, 8, &seed);
    struct affine s1 = affine(&net, 0.01f, 128), s2 = affine(&net, 0.02f, 128);
    int32_t y = qdq(&net, test_input(&net, LEDGE_F32, TEST_SHAPE(2, 4), x), s1);
    y = test_node(&net, "", "Transpose", 1, TEST_VALUES(y));
    y = qdq(&net, y, s2);
    weights(&net, TEST_SHAPE(3, 2), 0.5f, &seed, &w, &b);
    y = test_node(&net, "", "Gemm", 3, TEST_VALUES(y, w, b));
    test_int(&net, "transB", 1);
    test_output(&net, qdq(&net, y, s2));
    both_ways(&net, 0);
    assert_int_equal(count_op(&net.graph, "Gemm"), 1);
    assert_int_equal(count_op(&net.graph, "Transpose"), 1);
    assert_int_equal(count_op(&net.graph, "QuantizeLinear"), 3);
    for (int32_t i = 0; i < net.graph.n_nodes; i++) {
        const struct ledge_node *node = &net.graph.nodes[i];
        const char *why = ledge_node_string(node, "in_float", NULL);
        if (!node->dead && strcmp(node->op, "Gemm") == 0) {
            assert_non_null(strstr(why != NULL ? why : "", "bias"));
        } else if (!node->dead && strcmp(node->op, "Transpose") == 0) {
            assert_non_null(strstr(why != NULL ? why : "", "only moves"));
        }
    }
    test_done(&net);
}

/* -- NHWC -- */

enum { NHWC_C = 6, NHWC_SIDE = 5 };

/* QLinearConv of x (k x k, padded) to out channels, everything with one scale. */
static int32_t q_conv(struct test_net *net, int32_t x, int64_t in, int64_t out, int64_t k,
                      int64_t groups, struct affine a, uint32_t *seed)
{
    int8_t w[NHWC_C * NHWC_C * 9], zero[1] = {0};
    test_fill_8(w, out * in / groups * k * k, seed);
    const float scale = 0.01f;
    int32_t list[8] = {x, a.scale, a.zero};
    list[3] = test_constant(net, LEDGE_I8, TEST_SHAPE(out, in / groups, k, k), w);
    list[4] = test_constant(net, LEDGE_F32, 0, NULL, &scale);
    list[5] = test_constant(net, LEDGE_I8, 0, NULL, zero);
    list[6] = a.scale;
    list[7] = a.zero;
    int32_t y = test_node(net, "", "QLinearConv", 8, list);
    test_ints(net, "pads", 4, TEST_DIMS(k / 2, k / 2, k / 2, k / 2));
    test_int(net, "group", groups);
    return y;
}

/* A region with every operator that is turned: Transposes stand only where a value leaves it. */
static void test_nhwc(void **state)
{
    (void)state;
    uint32_t seed = 3;
    static float x[3 * NHWC_SIDE * NHWC_SIDE];
    struct test_net net;
    test_init(&net);
    test_fill_f32(x, 3 * NHWC_SIDE * NHWC_SIDE, &seed);
    struct affine a = affine(&net, 0.05f, 128);
    int32_t in = test_input(&net, LEDGE_F32, TEST_SHAPE(1, 3, NHWC_SIDE, NHWC_SIDE), x);
    int32_t first = q_conv(&net, q(&net, in, a), 3, NHWC_C, 3, 1, a, &seed);
    int32_t deep = q_conv(&net, first, NHWC_C, NHWC_C, 3, NHWC_C, a, &seed);
    int32_t point = q_conv(&net, deep, NHWC_C, NHWC_C, 1, 1, a, &seed);
    int32_t add[8] = {point, a.scale, a.zero, first, a.scale, a.zero, a.scale, a.zero};
    int32_t sum = test_node(&net, "com.microsoft", "QLinearAdd", 8, add);
    int32_t both[2] = {sum, deep};
    int32_t joined = test_node(&net, "", "Concat", 2, both);
    test_int(&net, "axis", 1);
    int32_t pooled = test_node(&net, "", "MaxPool", 1, &joined);
    test_ints(&net, "kernel_shape", 2, TEST_DIMS(2, 2));
    int32_t mean[5] = {pooled, a.scale, a.zero, a.scale, a.zero};
    int32_t last = test_node(&net, "com.microsoft", "QLinearGlobalAveragePool", 5, mean);
    test_output(&net, dq(&net, pooled, a));
    test_output(&net, dq(&net, last, a));
    both_ways(&net, 0);
    assert_int_equal(count_op(&net.graph, "Transpose"), 2);
    test_result(&net, 1, TEST_SHAPE(1, 2 * NHWC_C, 1, 1));
    test_done(&net);
}

/* Two convolutions' channels laid side by side, through the three nodes of a channel shuffle (or,
 * with other shapes, of another order of bytes), cut in two; each part through quantisation, one of
 * them enlarged. */
static void shuffle_both_ways(int64_t channels, const int64_t grouped[5], const int64_t *parts)
{
    uint32_t seed = 5;
    static float x[3 * NHWC_SIDE * NHWC_SIDE];
    const int64_t merged[4] = {0, 2 * channels, NHWC_SIDE, -1}, five = 5, four = 4, two = 2;
    const float scales[4] = {1, 1, 2, 2};
    struct test_net net;
    test_init(&net);
    test_fill_f32(x, 3 * NHWC_SIDE * NHWC_SIDE, &seed);
    struct affine a = affine(&net, 0.05f, 128);
    int32_t in = test_input(&net, LEDGE_F32, TEST_SHAPE(1, 3, NHWC_SIDE, NHWC_SIDE), x);
    int32_t both[2], from = q(&net, in, a);
    both[0] = dq(&net, q_conv(&net, from, 3, channels, 1, 1, a, &seed), a);
    both[1] = dq(&net, q_conv(&net, from, 3, channels, 1, 1, a, &seed), a);
    int32_t y = test_node(&net, "", "Concat", 2, both);
    test_int(&net, "axis", 1);
    y = qdq(&net, y, a);
    int32_t shape = test_constant(&net, LEDGE_I64, 1, &five, grouped);
    y = qdq(&net, test_node(&net, "", "Reshape", 2, TEST_VALUES(y, shape)), a);
    y = test_node(&net, "", "Transpose", 1, &y);
    test_ints(&net, "perm", 5, TEST_DIMS(0, 2, 1, 3, 4));
    shape = test_constant(&net, LEDGE_I64, 1, &four, merged);
    y = qdq(&net, test_node(&net, "", "Reshape", 2, TEST_VALUES(qdq(&net, y, a), shape)), a);
    int32_t split[2] = {y, test_constant(&net, LEDGE_I64, 1, &two, parts)}, cut[2];
    cut[0] = ledge_graph_add_value(&net.graph, NULL, LEDGE_DTYPE_NONE, -1, NULL);
    cut[1] = ledge_graph_add_value(&net.graph, NULL, LEDGE_DTYPE_NONE, -1, NULL);
    assert_true(ledge_graph_add_node(&net.graph, "", "Split", 13, NULL, split, 2, cut, 2) >= 0);
    test_int(&net, "axis", 1);
    int32_t resize[3] = {qdq(&net, cut[1], a), -1,
                         test_constant(&net, LEDGE_F32, 1, &four, scales)};
    test_output(&net, qdq(&net, test_node(&net, "", "Resize", 3, resize), a));
    test_output(&net, qdq(&net, cut[0], a));
    both_ways(&net, 0);
    assert_int_equal(count_op(&net.graph, "ChannelShuffle"), 1);
    assert_int_equal(count_op(&net.graph, "Concat") + count_op(&net.graph, "Split"), 0);
    assert_int_equal(count_op(&net.graph, "Transpose"), 2); /* at the outputs */
    assert_int_equal(count_op(&net.graph, "DequantizeLinear"), 2);
    test_done(&net);
}

static void test_nhwc_shuffle(void **state)
{
    (void)state;
    shuffle_both_ways(20, TEST_DIMS(1, 2, 20, NHWC_SIDE, NHWC_SIDE), TEST_DIMS(36, 4));
    shuffle_both_ways(6, TEST_DIMS(-1, 2, 6, NHWC_SIDE, NHWC_SIDE), TEST_DIMS(5, 7));
    shuffle_both_ways(6, TEST_DIMS(0, 4, 3, NHWC_SIDE, NHWC_SIDE), TEST_DIMS(6, 6));
    shuffle_both_ways(6, TEST_DIMS(1, 6, 2, 1, NHWC_SIDE * NHWC_SIDE), TEST_DIMS(6, 6));
    shuffle_both_ways(6, TEST_DIMS(1, 3, 2, 2 * NHWC_SIDE, NHWC_SIDE), TEST_DIMS(1, 11));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conv_chain),    cmocka_unit_test(test_shared_weights),
        cmocka_unit_test(test_kept),          cmocka_unit_test(test_qdq),
        cmocka_unit_test(test_qdq_functions), cmocka_unit_test(test_qdq_kept),
        cmocka_unit_test(test_nhwc),          cmocka_unit_test(test_nhwc_shuffle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
