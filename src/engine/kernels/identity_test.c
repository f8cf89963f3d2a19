/* SPDX-License-Identifier: Apache-2.0 */
/* identity_test.c -- the same bytes on every instruction set this CPU has: random quantised
 * operators, with weights, zero points and scales at the ends of their ranges among them, are run
 * on each rung and compared with plain C, which does sums behind convolutions by themselves.
 *
 * Usage: test_engine_identity [OUTPUTS]   compare so many output bytes (300000; the test
 * engine/identity_long asks for more than ten million) */
#include "engine/run/testing.h"

#include <stdio.h>
#include <stdlib.h>

static uint32_t seed = 20261121;
static int64_t wanted = 300000;

static int64_t pick(int64_t low, int64_t high)
{
    return low + (int64_t)(test_random(&seed) % (uint32_t)(high - low + 1));
}

/* Bytes of one of several kinds: any, only the ends of the range, all alike, or most of them near 0
 * as the weights of trained layers are. */
static void fill_kind(uint8_t *data, int64_t n, int64_t kind)
{
    static const uint8_t ends[4] = {0x80, 0x7f, 0x00, 0xff};
    uint8_t one = ends[pick(0, 3)];
    test_fill_8(data, n, &seed);
    for (int64_t i = 0; i < n && kind < 2; i++) {
        data[i] = kind == 0 ? ends[data[i] & 3] : one;
    }
    for (int64_t i = 0; i < n && kind >= 4; i++) {
        int32_t sum = (int8_t)data[i];
        for (int32_t k = 0; k < 4 - kind % 2; k++) {
            sum += (int8_t)(uint8_t)test_random(&seed);
        }
        data[i] = (uint8_t)(sum / 4);
    }
}

static void fill(uint8_t *data, int64_t n)
{
    fill_kind(data, n, pick(0, 5));
}

static uint8_t zero_point(void)
{
    static const uint8_t ends[4] = {0x80, 0x7f, 0x00, 0xff};
    return pick(0, 2) == 0 ? ends[pick(0, 3)] : (uint8_t)pick(0, 255);
}

/* A shape, everything in it small enough for a few thousand outputs. */
struct shape {
    int64_t batch, height, width, in, out, groups, kernel, stride, dilation, pad;
};

static struct shape random_shape(bool depthwise)
{
    struct shape s = {.batch = pick(1, 2),
                      .height = pick(1, 17),
                      .width = pick(1, 35),
                      .groups = pick(0, 4) == 0 ? 2 : 1,
                      .kernel = pick(0, 2) * 2 + 1,
                      .stride = pick(1, 3),
                      .dilation = pick(0, 4) == 0 ? 2 : 1};
    s.in = pick(1, pick(0, 3) == 0 ? 150 : 24) * s.groups;
    s.out = pick(1, 90) * s.groups;
    if (depthwise) {
        s.groups = s.out = s.in = pick(0, 2) == 0 ? pick(0, 1) * 16 + 16 : pick(2, 150);
    }
    s.pad = s.dilation * (s.kernel / 2);
    while ((s.kernel - 1) * s.dilation + 1 > s.height + 2 * s.pad ||
           (s.kernel - 1) * s.dilation + 1 > s.width + 2 * s.pad) {
        s.pad++;
    }
    return s;
}

enum { ROOM = 1 << 20 };

struct buffers {
    uint8_t x[ROOM], w[ROOM], addend[ROOM];
    float scales[512];
    int32_t bias[512], zeros[512];
    uint8_t w_zeros[512];
};

static float random_scale(void)
{
    static const float some[4] = {0.0001f, 0.003f, 0.02f, 0.5f};
    return some[pick(0, 3)] * (float)pick(500, 1500) / 1000.0f;
}

static void fill_lists(struct buffers *b, bool per_channel)
{
    for (int i = 0; i < 512; i++) {
        b->scales[i] = i == 0 || per_channel ? random_scale() : b->scales[0];
        b->bias[i] = pick(0, 9) == 0 ? (pick(0, 1) == 0 ? INT32_MAX : INT32_MIN)
                                     : (int32_t)pick(-100000, 100000);
        b->w_zeros[i] = i == 0 || per_channel ? zero_point() : b->w_zeros[0];
    }
}

static void set_window(struct test_net *net, const struct shape *s)
{
    test_int(net, "layout", LEDGE_NHWC);
    test_ints(net, "strides", TEST_SHAPE(s->stride, s->stride));
    test_ints(net, "dilations", TEST_SHAPE(s->dilation, s->dilation));
    test_ints(net, "pads", TEST_SHAPE(s->pad, s->pad, s->pad, s->pad));
}

static enum ledge_dtype random_type(void)
{
    return pick(0, 1) == 0 ? LEDGE_I8 : LEDGE_U8;
}

/* Weights about zero, as symmetric quantisation leaves them. */
static void make_symmetric(struct buffers *b, enum ledge_dtype type, int64_t n)
{
    memset(b->w_zeros, type == LEDGE_U8 ? 0x80 : 0, sizeof b->w_zeros);
    for (int64_t i = 0; i < n && type == LEDGE_U8; i++) {
        b->w[i] ^= 0x80;
    }
}

/* A sum behind a convolution with output y, its shape that of s; the order of the operands, scales
 * and zero points are anything, the addend an input or made by a node. */
static int32_t residual(struct test_net *net, struct buffers *b, const struct shape *s,
                        enum ledge_dtype type, int32_t y)
{
    int64_t window = (s->kernel - 1) * s->dilation + 1;
    int64_t height = (s->height + 2 * s->pad - window) / s->stride + 1;
    int64_t width = (s->width + 2 * s->pad - window) / s->stride + 1;
    bool equal = pick(0, 3) == 0, first = pick(0, 1) == 0;
    float scale[3] = {random_scale(), random_scale(), random_scale()};
    int32_t in[8];
    fill(b->addend, s->batch * height * width * s->out);
    for (int i = 0; i < 3; i++) {
        float one = equal ? (i == 2 ? 2 : 1) * scale[0] : scale[i];
        uint8_t zero = zero_point();
        in[3 * i + 1 - (i == 2)] = test_constant(net, LEDGE_F32, 0, NULL, &one);
        in[3 * i + 2 - (i == 2)] = test_constant(net, type, 0, NULL, &zero);
    }
    int32_t addend = test_input(net, type, TEST_SHAPE(s->batch, height, width, s->out), b->addend);
    if (pick(0, 1) == 0) {
        uint8_t entries[256];
        test_fill_8(entries, 256, &seed);
        int32_t from[2] = {addend, test_constant(net, type, TEST_SHAPE(256), entries)};
        addend = test_node(net, "ledge", "ByteTable", 2, from);
    }
    in[first ? 0 : 3] = y;
    in[first ? 3 : 0] = addend;
    int32_t sum = test_node(net, "com.microsoft", "QLinearAdd", 8, in);
    if (pick(0, 1) == 0) {
        test_float(net, "clamp_low", 0);
    }
    if (pick(0, 2) == 0) {
        test_float(net, "clamp_high", 60 * scale[2]);
    }
    return sum;
}

/* Windows of 3 x 3 side by side: winograd_i8.h. */
static void use_windows(struct shape *s)
{
    *s = (struct shape){.batch = s->batch,
                        .height = pick(4, 17),
                        .width = pick(4, 35),
                        .in = 2 * pick(8, 40),
                        .out = 16 * pick(1, 3),
                        .groups = 1,
                        .kernel = 3,
                        .stride = 1,
                        .dilation = 1,
                        .pad = pick(0, 2)};
}

enum kind { PLAIN, DEPTHWISE, LONG, WINDOWS };

/* LONG: sums of many products, of u8 with weights mostly about zero. */
static void onnx_conv(struct test_net *net, struct buffers *b, enum kind kind)
{
    const bool depthwise = kind == DEPTHWISE;
    struct shape s = random_shape(depthwise);
    enum ledge_dtype xt = random_type(), wt = random_type(), yt = random_type();
    if (kind == LONG) {
        s.groups = 1;
        s.in = 8 * pick(4, 20);
        s.out = pick(1, 40);
        xt = LEDGE_U8;
    }
    if (kind == WINDOWS) {
        use_windows(&s);
    }
    const bool colours = kind == PLAIN && pick(0, 3) == 0;
    if (colours) {
        s.groups = 1;
        s.in = pick(0, 2) == 0 ? pick(1, 4) : 3;
    }
    if (colours && pick(0, 1) == 0) {
        s.kernel = pick(2, 8);
        s.pad = s.kernel;
        s.dilation = 1;
    }
    bool planes = !depthwise && s.in <= 4 && s.groups == 1;
    fill(b->x, s.batch * s.height * s.width * s.in);
    fill(b->w, s.out * s.kernel * s.kernel * (s.in / s.groups));
    fill_lists(b, pick(0, 1) == 0);
    if (kind == LONG) {
        fill_kind(b->w, s.out * s.kernel * s.kernel * s.in, pick(1, 5));
    }
    if (kind >= LONG || (colours && pick(0, 2) > 0) || pick(0, 1) == 0) {
        make_symmetric(b, wt, s.out * s.kernel * s.kernel * (s.in / s.groups));
    }
    const float x_scale = random_scale(), y_scale = 20 * random_scale();
    uint8_t x_zero = zero_point(), y_zero = zero_point();
    int32_t in[10];
    in[0] = planes ? test_input(net, xt, TEST_SHAPE(s.batch, s.in, s.height, s.width), b->x)
                   : test_input(net, xt, TEST_SHAPE(s.batch, s.height, s.width, s.in), b->x);
    in[1] = test_constant(net, LEDGE_F32, 0, NULL, &x_scale);
    in[2] = test_constant(net, xt, 0, NULL, &x_zero);
    in[3] = test_constant(net, wt, TEST_SHAPE(s.out, s.kernel, s.kernel, s.in / s.groups), b->w);
    in[4] = test_constant(net, LEDGE_F32, TEST_SHAPE(s.out), b->scales);
    in[5] = test_constant(net, wt, TEST_SHAPE(s.out), b->w_zeros);
    in[6] = test_constant(net, LEDGE_F32, 0, NULL, &y_scale);
    in[7] = test_constant(net, yt, 0, NULL, &y_zero);
    in[8] = test_constant(net, LEDGE_I32, TEST_SHAPE(s.out), b->bias);
    bool table = pick(0, 2) == 0;
    if (table) {
        uint8_t entries[256];
        test_fill_8(entries, 256, &seed);
        for (int i = 0; i < 256 && s.out % 2 == 0; i++) { /* a function that goes up, as most */
            entries[i] = (uint8_t)(i + entries[i] % 8);
        }
        in[9] = test_constant(net, yt, TEST_SHAPE(256), entries);
    }
    int32_t y = test_node(net, "", "QLinearConv", table ? 10 : 9, in);
    set_window(net, &s);
    test_int(net, "group", s.groups);
    test_int(net, "planes", planes);
    test_output(net, !depthwise && pick(0, 1) == 0 ? residual(net, b, &s, yt, y) : y);
}

static void give_quant(struct test_net *net, int32_t value, enum ledge_dtype dtype, int32_t n,
                       const float *scales, const int32_t *zeros)
{
    net->graph.values[value].quant = ledge_graph_quant(&net->graph, scales, zeros, n, 0);
    net->graph.values[value].dtype = dtype;
    assert_non_null(net->graph.values[value].quant);
}

static void give_any_quant(struct test_net *net, int32_t value, enum ledge_dtype dtype, float scale)
{
    int32_t zero = dtype == LEDGE_I8 ? (int8_t)zero_point() : zero_point();
    give_quant(net, value, dtype, 1, &scale, &zero);
}

/* kind 0: Conv2D, 1: DepthwiseConv2D, 2: FullyConnected */
static void tfl_product(struct test_net *net, struct buffers *b, int kind)
{
    static const char *const names[3] = {"Conv2D", "DepthwiseConv2D", "FullyConnected"};
    struct shape s = random_shape(kind == 1);
    enum ledge_dtype type = random_type();
    bool per_channel = type == LEDGE_I8 && kind < 2;
    if (kind == 0 && pick(0, 2) == 0) {
        use_windows(&s);
    }
    if (kind == 2) {
        s.in = pick(1, 400);
        s.out = pick(1, 90);
    }
    fill(b->x, s.batch * s.height * s.width * s.in);
    fill(b->w, s.out * s.kernel * s.kernel * s.in);
    fill_lists(b, per_channel);
    for (int i = 0; i < 512; i++) {
        b->zeros[i] = type == LEDGE_I8 ? 0 : b->w_zeros[0];
    }
    int32_t in[3];
    in[0] = kind == 2 ? test_input(net, type, TEST_SHAPE(s.batch * s.height, s.in), b->x)
                      : test_input(net, type, TEST_SHAPE(s.batch, s.height, s.width, s.in), b->x);
    in[1] = kind == 0   ? test_constant(net, type,
                                        TEST_SHAPE(s.out, s.kernel, s.kernel, s.in / s.groups), b->w)
            : kind == 1 ? test_constant(net, type, TEST_SHAPE(1, s.kernel, s.kernel, s.out), b->w)
                        : test_constant(net, type, TEST_SHAPE(s.out, s.in), b->w);
    in[2] = test_constant(net, LEDGE_I32, TEST_SHAPE(s.out), b->bias);
    give_any_quant(net, in[0], type, random_scale());
    give_quant(net, in[1], type, per_channel ? (int32_t)s.out : 1, b->scales, b->zeros);
    int32_t y = test_node(net, "tfl", names[kind], 3, in);
    give_any_quant(net, y, type, 0.02f + 20 * random_scale());
    test_output(net, y);
    test_int(net, "activation", pick(0, 3));
    if (kind < 2) {
        set_window(net, &s);
    }
}

static void onnx_product(struct test_net *net, struct buffers *b)
{
    int64_t m = pick(1, 40), k = pick(1, 300), n = pick(1, 90);
    enum ledge_dtype at = random_type(), bt = random_type();
    fill(b->x, m * k);
    fill(b->w, k * n);
    fill_lists(b, true);
    const float scale = random_scale(), y_scale = 20 * random_scale();
    uint8_t zero = zero_point(), y_zero = zero_point();
    int32_t in[8] = {test_input(net, at, TEST_SHAPE(m, k), b->x),
                     test_constant(net, LEDGE_F32, 0, NULL, &scale),
                     test_constant(net, at, 0, NULL, &zero),
                     test_constant(net, bt, TEST_SHAPE(k, n), b->w),
                     test_constant(net, LEDGE_F32, TEST_SHAPE(n), b->scales),
                     test_constant(net, bt, TEST_SHAPE(n), b->w_zeros),
                     test_constant(net, LEDGE_F32, 0, NULL, &y_scale),
                     test_constant(net, at, 0, NULL, &y_zero)};
    test_output(net, test_node(net, "", "QLinearMatMul", 8, in));
}

static void onnx_binary(struct test_net *net, struct buffers *b)
{
    int64_t n = pick(1, 5000);
    enum ledge_dtype type = random_type();
    bool equal = pick(0, 3) == 0; /* then halves are met all the time */
    float scale[3] = {random_scale(), random_scale(), random_scale()};
    uint8_t zero[3] = {zero_point(), zero_point(), zero_point()};
    int32_t in[8];
    fill(b->x, n);
    fill(b->w, n);
    for (int i = 0; i < 3; i++) {
        float s = equal ? (i == 2 ? 2 : 1) * scale[0] : scale[i];
        in[3 * i + 1 - (i == 2)] = test_constant(net, LEDGE_F32, 0, NULL, &s);
        in[3 * i + 2 - (i == 2)] = test_constant(net, type, 0, NULL, &zero[i]);
    }
    in[0] = test_input(net, type, TEST_SHAPE(n), b->x);
    in[3] = test_input(net, type, TEST_SHAPE(n), b->w);
    test_output(
        net, test_node(net, "com.microsoft", pick(0, 2) == 0 ? "QLinearMul" : "QLinearAdd", 8, in));
}

static void tfl_binary(struct test_net *net, struct buffers *b)
{
    static const char *const names[3] = {"Add", "Sub", "Mul"};
    int64_t n = pick(1, 300), rows = pick(1, 60);
    enum ledge_dtype type = random_type();
    bool wide = pick(0, 1) == 0;
    fill(b->x, rows * n);
    fill(b->w, rows * n);
    int32_t in[2] = {test_input(net, type, TEST_SHAPE(rows, n), b->x),
                     test_input(net, type, TEST_SHAPE(wide ? rows : 1, n), b->w)};
    give_any_quant(net, in[0], type, random_scale());
    give_any_quant(net, in[1], type, random_scale());
    int32_t y = test_node(net, "tfl", names[pick(0, 2)], 2, in);
    give_any_quant(net, y, type, random_scale());
    test_output(net, y);
    test_int(net, "activation", pick(0, 3));
}

static void quantize(struct test_net *net, struct buffers *b)
{
    int64_t n = pick(1, 5000);
    float scale = random_scale();
    uint8_t zero = zero_point();
    float *x = (float *)(void *)b->x;
    for (int64_t i = 0; i < n; i++) {
        x[i] = pick(0, 1) == 0 ? scale * (float)pick(-300, 300) / 2.0f
                               : (float)pick(-100000, 100000) / 700.0f;
    }
    int32_t in[3] = {test_input(net, LEDGE_F32, TEST_SHAPE(n), x),
                     test_constant(net, LEDGE_F32, 0, NULL, &scale),
                     test_constant(net, random_type(), 0, NULL, &zero)};
    test_output(net, test_node(net, "", "QuantizeLinear", 3, in));
}

static void mean(struct test_net *net, struct buffers *b)
{
    int64_t h = pick(1, 12), w = pick(1, 12), c = pick(1, 400);
    enum ledge_dtype type = random_type();
    fill(b->x, h * w * c);
    int32_t x = test_input(net, type, TEST_SHAPE(1, h, w, c), b->x);
    if (pick(0, 1) == 0) {
        give_any_quant(net, x, type, 0.1f);
        int32_t y = test_node(net, "tfl", "AveragePool2D", 1, &x);
        test_ints(net, "kernel_shape", TEST_SHAPE(h, w));
        test_int(net, "layout", LEDGE_NHWC);
        give_any_quant(net, y, type, 0.1f);
        test_output(net, y);
        return;
    }
    const float scale[2] = {random_scale(), random_scale()};
    uint8_t zero[2] = {zero_point(), zero_point()};
    int32_t in[5] = {x, test_constant(net, LEDGE_F32, 0, NULL, &scale[0]),
                     test_constant(net, type, 0, NULL, &zero[0]),
                     test_constant(net, LEDGE_F32, 0, NULL, &scale[1]),
                     test_constant(net, type, 0, NULL, &zero[1])};
    test_output(net, test_node(net, "com.microsoft", "QLinearGlobalAveragePool", 5, in));
    test_int(net, "channels_last", 1);
}

enum { KINDS = 10 };

static void build(struct test_net *net, struct buffers *b, int64_t kind)
{
    switch (kind) {
    case 0:
    case 1:
        onnx_conv(net, b, (enum kind[]){PLAIN, LONG, WINDOWS}[pick(0, 2)]);
        break;
    case 2:
        onnx_conv(net, b, DEPTHWISE);
        break;
    case 3:
    case 4:
    case 5:
        tfl_product(net, b, (int)kind - 3);
        break;
    case 6:
        onnx_product(net, b);
        break;
    case 7:
        onnx_binary(net, b);
        break;
    case 8:
        tfl_binary(net, b);
        break;
    default:
        pick(0, 1) == 0 ? quantize(net, b) : mean(net, b);
        break;
    }
}

/* Bytes of output that were equal on all rungs. */
static int64_t one_case(struct buffers *b, int64_t number)
{
    struct test_net net;
    uint8_t *want = NULL;
    size_t bytes = 0;
    uint32_t start = seed;
    test_init(&net);
    build(&net, b, number % KINDS);
    for (int run = LEDGE_RUNG_C - 1; run <= (int)ledge_port_rung(); run++) {
        const int rung = run < LEDGE_RUNG_C ? LEDGE_RUNG_C : run;
        if (!test_can_run(rung)) {
            continue;
        }
        net.layout = want == NULL ? LEDGE_PLAN_PLAIN : LEDGE_PLAN_AUTO;
        test_run(&net, (enum ledge_rung)rung, rung % 2 + 1);
        struct ledge_view got = ledge_run_output(net.run, 0);
        if (want == NULL) {
            bytes = ledge_view_bytes(&got);
            want = malloc(bytes);
            assert_non_null(want);
            memcpy(want, got.data, bytes);
        } else if (memcmp(got.data, want, bytes) != 0) {
            fail_msg("case %lld (seed %u): %s on %s differs", (long long)number, (unsigned)start,
                     net.plan->steps[0].ready.kernel, ledge_rung_text((enum ledge_rung)rung));
        }
        test_stop(&net);
    }
    free(want);
    test_done(&net);
    return (int64_t)bytes;
}

static void every_rung_gives_the_same_bytes(void **state)
{
    (void)state;
    struct buffers *b = malloc(sizeof *b);
    int64_t done = 0, cases = 0;
    assert_non_null(b);
    for (; done < wanted; cases++) {
        done += one_case(b, cases);
    }
    print_message("%lld outputs of %lld cases are equal up to rung %s\n", (long long)done,
                  (long long)cases, ledge_rung_text(ledge_port_rung()));
    free(b);
}

int main(int argc, char **argv)
{
    wanted = argc > 1 ? strtoll(argv[1], NULL, 10) : wanted;
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_rung_gives_the_same_bytes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
