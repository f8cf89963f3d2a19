/* SPDX-License-Identifier: Apache-2.0 */
/* quant_test.c -- integer convolutions and products on every instruction set this CPU has: the same
 * bytes as the judge, over edge shapes, signs, zero points and random data, for any number of
 * threads. */
#include "engine/run/testing.h"

#include <math.h>
#include <stdlib.h>

#include "engine/kernels/conv_i8.h"

static const enum ledge_rung rungs[] = {
#define LEDGE_KERNELS_I8(isa, rung) rung,
#include "engine/kernels/kernels.inc"
#undef LEDGE_KERNELS_I8
};

enum { N_RUNGS = sizeof rungs / sizeof rungs[0] };

/* What the judge reads: the params, or what NHWC convolutions keep of them. */
static const void *judge_params(const struct ledge_op_prepare *ready)
{
    if (ready->run == ledge_conv_i8) {
        return ((const struct ledge_conv_i8 *)ready->params)->judge;
    }
    if (ready->run == ledge_depthwise_i8) {
        return ((const struct ledge_depthwise_i8 *)ready->params)->judge;
    }
    return ready->params;
}

/* Output 0 of the net on every rung, by 1 to 3 threads, against the judge on the same inputs. */
static void check(struct test_net *net, ledge_kernel_fn judge, const char *name)
{
    void *want = NULL;
    size_t bytes = 0;
    for (int i = 0; i < N_RUNGS; i++) {
        for (int32_t threads = 1; threads <= 3 && test_can_run(rungs[i]); threads++) {
            test_run(net, rungs[i], threads);
            struct ledge_view got = ledge_run_output(net->run, 0);
            if (want == NULL) {
                struct ledge_view views[9], out = got;
                const struct ledge_view *in[9] = {NULL}, *outs[1] = {&out};
                const struct ledge_graph *graph = &net->plan->graph;
                const struct ledge_node *node = net->plan->steps[0].node;
                for (int32_t k = 0; k < node->n_in; k++) {
                    if (node->in[k] < 0) {
                        continue;
                    }
                    views[k] = ledge_value_view(&graph->values[node->in[k]]);
                    if (node->in[k] == graph->inputs[0]) {
                        views[k].data = (void *)net->data[0];
                    }
                    in[k] = &views[k];
                }
                bytes = ledge_view_bytes(&got);
                want = malloc(bytes);
                assert_non_null(want);
                out.data = want;
                struct ledge_kernel_call call = {.in = in,
                                                 .n_in = node->n_in,
                                                 .out = outs,
                                                 .n_out = 1,
                                                 .params =
                                                     judge_params(&net->plan->steps[0].ready)};
                assert_int_equal(judge(&call), LEDGE_OK);
            }
            if (memcmp(got.data, want, bytes) != 0) {
                fail_msg("%s: rung %s, %d threads differ (kernel %s)", name,
                         ledge_rung_text(rungs[i]), (int)threads, net->plan->steps[0].ready.kernel);
            }
            test_stop(net);
        }
    }
    free(want);
}

struct shape {
    const char *name;
    int64_t batch, channels, height, width, out, groups;
    int64_t kernel, stride, dilation, pad;
};

static const struct shape shapes[] = {
    {"one pixel", 1, 1, 1, 1, 1, 1, 1, 1, 1, 0},
    {"1x1", 1, 32, 14, 14, 29, 1, 1, 1, 1, 0},
    {"1x1 deep", 1, 1100, 5, 5, 40, 1, 1, 1, 1, 0},
    {"1x1 stride 2", 2, 18, 9, 9, 24, 1, 1, 2, 1, 0},
    {"3x3", 1, 17, 13, 15, 20, 1, 3, 1, 1, 1},
    {"3x3 valid", 1, 8, 20, 33, 9, 1, 3, 1, 1, 0},
    {"3x3 of 3 stride 2", 1, 3, 31, 33, 16, 1, 3, 2, 1, 1},
    {"3x3 dilation 2 stride 3", 1, 6, 19, 18, 15, 1, 3, 3, 2, 2},
    {"groups", 2, 10, 10, 11, 12, 2, 3, 1, 1, 1},
    {"depthwise 3x3", 1, 5, 14, 14, 5, 5, 3, 1, 1, 1},
    {"depthwise 3x3 stride 2", 1, 20, 15, 17, 20, 20, 3, 2, 1, 1},
    {"depthwise 3x3 of 32 + 64", 1, 96, 9, 11, 96, 96, 3, 1, 1, 1},
    {"depthwise 3x3 of 32 + 64, stride 2", 1, 96, 9, 11, 96, 96, 3, 2, 1, 1},
    {"depthwise 3x3 of two channels", 1, 2, 5, 40, 2, 2, 3, 1, 1, 1},
    {"depthwise 3x3 of few channels", 2, 8, 40, 13, 8, 8, 3, 1, 1, 1},
    {"depthwise 3x3 of few channels, stride 2", 2, 8, 70, 13, 8, 8, 3, 2, 1, 1},
    {"depthwise 3x3 of many channels", 1, 200, 7, 3, 200, 200, 3, 1, 1, 1},
    {"depthwise 3x3 without padding", 1, 72, 6, 9, 72, 72, 3, 1, 1, 0},
    {"depthwise 5x5", 2, 7, 10, 37, 14, 7, 5, 1, 1, 2},
    {"many pictures", 5, 3, 8, 8, 4, 1, 3, 1, 1, 1},
    {"an odd number of panels", 2, 40, 7, 7, 160, 1, 1, 1, 1, 0},
};

struct operands {
    uint8_t *x, *w;
    float scales[256];
    uint8_t zeros[256];
    int32_t bias[256];
};

static struct operands operands_of(int64_t x, int64_t w, uint32_t seed)
{
    struct operands o = {.x = malloc((size_t)x), .w = malloc((size_t)w)};
    assert_true(o.x != NULL && o.w != NULL);
    test_fill_8(o.x, x, &seed);
    test_fill_8(o.w, w, &seed);
    for (int i = 0; i < 256; i++) {
        o.scales[i] = 0.0005f + (float)(test_random(&seed) % 1000) * 1e-5f;
        o.zeros[i] = (uint8_t)(test_random(&seed) >> 9);
        o.bias[i] = (int32_t)(test_random(&seed) % 20001) - 10000;
    }
    return o;
}

/* kind bits: 1 x is i8, 2 w is u8, 4 w has zero points (per channel), 8 NHWC, 16 ConvInteger */
static void conv(const struct shape *s, int kind, uint32_t seed)
{
    enum ledge_dtype xt = kind & 1 ? LEDGE_I8 : LEDGE_U8;
    enum ledge_dtype wt = kind & 2 ? LEDGE_U8 : LEDGE_I8;
    bool nhwc = kind & 8;
    int64_t per_group = s->channels / s->groups;
    int64_t xd[4] = {s->batch, s->channels, s->height, s->width};
    int64_t wd[4] = {s->out, per_group, s->kernel, s->kernel};
    if (nhwc) {
        xd[1] = s->height, xd[2] = s->width, xd[3] = s->channels;
        wd[1] = wd[2] = s->kernel, wd[3] = per_group;
    }
    struct operands o = operands_of(s->batch * s->channels * s->height * s->width,
                                    s->out * per_group * s->kernel * s->kernel, seed);
    const float x_scale = 0.02f, y_scale = 0.9f;
    const uint8_t zero[256] = {0};
    bool integer = kind & 16;
    struct test_net net;
    test_init(&net);
    int32_t x = test_input(&net, xt, 4, xd, o.x);
    int32_t w = test_constant(&net, wt, 4, wd, o.w);
    int32_t xz = test_constant(&net, xt, 0, NULL, &o.zeros[0]);
    int32_t wz = test_constant(&net, wt, 1, &s->out, kind & 4 ? o.zeros : zero);
    int32_t in[9] = {x, w, xz, wz};
    if (!integer) {
        in[1] = test_constant(&net, LEDGE_F32, 0, NULL, &x_scale);
        in[2] = xz;
        in[3] = w;
        in[4] = test_constant(&net, LEDGE_F32, 1, &s->out, o.scales);
        in[5] = wz;
        in[6] = test_constant(&net, LEDGE_F32, 0, NULL, &y_scale);
        in[7] = test_constant(&net, xt, 0, NULL, &o.zeros[1]);
        in[8] = test_constant(&net, LEDGE_I32, 1, &s->out, o.bias);
    }
    test_output(&net,
                test_node(&net, "", integer ? "ConvInteger" : "QLinearConv", integer ? 4 : 9, in));
    test_int(&net, "group", s->groups);
    test_int(&net, "layout", nhwc);
    test_ints(&net, "strides", TEST_SHAPE(s->stride, s->stride));
    test_ints(&net, "dilations", TEST_SHAPE(s->dilation, s->dilation));
    test_ints(&net, "pads", TEST_SHAPE(s->pad, s->pad, s->pad, s->pad));
    if (!integer && (seed & 1) != 0) {
        test_float(&net, "clamp_low", 0.0f);
        test_float(&net, "clamp_high", 60.0f);
    }
    check(&net, ledge_qconv_c, s->name);
    test_done(&net);
    free(o.x);
    free(o.w);
}

static void convolutions(void **state)
{
    (void)state;
    uint32_t seed = 77;
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        for (int kind = 0; kind < 32; kind++) {
            conv(&shapes[i], kind, test_random(&seed));
        }
    }
}

/* kind bits: 1 a is i8, 2 b is u8, 4 b has zero points, 8 QGemm with transB and bias, 16 integer
 * (with 8: to f32) */
static void product(int64_t m, int64_t n, int64_t k, int kind, uint32_t seed)
{
    enum ledge_dtype at = kind & 1 ? LEDGE_I8 : LEDGE_U8;
    enum ledge_dtype bt = kind & 2 ? LEDGE_U8 : LEDGE_I8;
    bool gemm = kind & 8, integer = (kind & 24) == 16;
    struct operands o = operands_of(m * k, k * n, seed);
    const float a_scale = 0.02f, y_scale = 0.7f;
    const uint8_t zero[64] = {0};
    int64_t ad[2] = {m, k}, bd[2] = {gemm ? n : k, gemm ? k : n};
    struct test_net net;
    test_init(&net);
    int32_t a = test_input(&net, at, 2, ad, o.x);
    int32_t b = test_constant(&net, bt, 2, bd, o.w);
    int32_t az = test_constant(&net, at, 0, NULL, &o.zeros[0]);
    int32_t bz = test_constant(&net, bt, 1, &n, kind & 4 ? o.zeros : zero);
    int32_t in[9] = {a, b, az, bz};
    int32_t n_in = 4;
    if (!integer) {
        int32_t ys = test_constant(&net, LEDGE_F32, 0, NULL, &y_scale);
        int32_t yz = test_constant(&net, at, 0, NULL, &o.zeros[1]);
        n_in = gemm ? (kind & 16 ? 7 : 9) : 8;
        in[1] = test_constant(&net, LEDGE_F32, 0, NULL, &a_scale);
        in[2] = az;
        in[3] = b;
        in[4] = test_constant(&net, LEDGE_F32, 1, &n, o.scales);
        in[5] = bz;
        in[6] = gemm ? test_constant(&net, LEDGE_I32, 1, &n, o.bias) : ys;
        in[7] = gemm ? ys : yz;
        in[8] = yz;
    }
    test_output(&net, test_node(&net, gemm ? "com.microsoft" : "",
                                gemm      ? "QGemm"
                                : integer ? "MatMulInteger"
                                          : "QLinearMatMul",
                                n_in, in));
    if (gemm) {
        test_int(&net, "transB", 1);
        test_float(&net, "alpha", 0.5f);
    }
    check(&net, ledge_qmatmul_c, "product");
    test_done(&net);
    free(o.x);
    free(o.w);
}

static void products(void **state)
{
    (void)state;
    static const int64_t sizes[][3] = {{1, 1, 1},   {1, 10, 64}, {3, 33, 31},  {15, 64, 600},
                                       {29, 5, 63}, {14, 32, 4}, {2, 17, 1030}};
    uint32_t seed = 5;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        for (int kind = 0; kind < 32; kind++) {
            product(sizes[i][0], sizes[i][1], sizes[i][2], kind, test_random(&seed));
        }
    }
}

/* The largest sums: all operands at the ends of their range. */
static void extremes_do_not_saturate(void **state)
{
    (void)state;
    enum { K = 512, N = 33 };
    static uint8_t a[K], b[K * N];
    for (int i = 0; i < 4; i++) {
        memset(a, i & 1 ? 255 : 0, sizeof a);
        memset(b, i & 2 ? 0x80 : 0x7f, sizeof b);
        const uint8_t zero = i & 1 ? 0 : 255;
        struct test_net net;
        test_init(&net);
        int32_t in[3] = {test_input(&net, LEDGE_U8, TEST_SHAPE(1, K), a),
                         test_constant(&net, LEDGE_I8, TEST_SHAPE(K, N), b),
                         test_constant(&net, LEDGE_U8, 0, NULL, &zero)};
        test_output(&net, test_node(&net, "", "MatMulInteger", 3, in));
        test_run(&net, ledge_port_rung(), 1);
        const int32_t *got = test_result(&net, 0, TEST_SHAPE(1, N));
        int32_t want = (i & 1 ? 255 : -255) * (i & 2 ? -128 : 127) * K;
        assert_int_equal(got[0], want);
        assert_int_equal(got[N - 1], want);
        test_stop(&net);
        check(&net, ledge_qmatmul_c, "extremes");
        test_done(&net);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(convolutions),
        cmocka_unit_test(products),
        cmocka_unit_test(extremes_do_not_saturate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
