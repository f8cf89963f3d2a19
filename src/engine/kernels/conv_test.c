/* SPDX-License-Identifier: Apache-2.0 */
/* conv_test.c -- every instruction set this CPU has, against the judge (ledge_conv_f32_c), over
 * edge shapes and seeded random data; and the same bytes for any number of threads. */
#include "engine/run/testing.h"

#include <math.h>
#include <stdlib.h>

#include "engine/kernels/conv.h"

struct shape {
    const char *name;
    int64_t batch, channels, height, width, out, groups;
    int64_t kernel, stride, dilation, pad;
};

static const struct shape shapes[] = {
    {"one pixel", 1, 1, 1, 1, 1, 1, 1, 1, 1, 0},
    {"1x1", 1, 32, 14, 14, 29, 1, 1, 1, 1, 0},
    {"1x1 deep", 1, 600, 7, 7, 40, 1, 1, 1, 1, 0},
    {"1x1 stride 2", 2, 16, 9, 9, 24, 1, 1, 2, 1, 0},
    {"1x1 padded", 1, 5, 6, 6, 7, 1, 1, 1, 1, 2},
    {"3x3", 1, 17, 13, 15, 20, 1, 3, 1, 1, 1},
    {"3x3 valid", 1, 8, 20, 33, 9, 1, 3, 1, 1, 0},
    {"3x3 one wide", 1, 3, 40, 1, 5, 1, 3, 1, 1, 1},
    {"3x3 stride 2", 1, 3, 31, 33, 16, 1, 3, 2, 1, 1},
    {"3x3 stride 3", 1, 4, 17, 16, 6, 1, 3, 3, 1, 0},
    {"3x3 dilation 2", 1, 6, 15, 14, 15, 1, 3, 1, 2, 2},
    {"3x3 dilation 3 stride 2", 1, 6, 19, 18, 4, 1, 3, 2, 3, 1},
    {"5x5 wide pad", 1, 2, 3, 4, 3, 1, 5, 1, 1, 4},
    {"7x7 stride 2", 1, 3, 29, 30, 30, 1, 7, 2, 1, 3},
    {"kernel smaller than stride", 1, 4, 16, 16, 8, 1, 2, 5, 1, 1},
    {"groups of 3", 2, 9, 10, 11, 12, 3, 3, 1, 1, 1},
    {"depthwise 3x3", 1, 5, 14, 14, 5, 5, 3, 1, 1, 1},
    {"depthwise 3x3 wide", 1, 3, 9, 112, 3, 3, 3, 1, 1, 1},
    {"depthwise 3x3 narrow", 2, 33, 7, 7, 33, 33, 3, 1, 1, 1},
    {"depthwise 3x3 stride 2", 1, 20, 15, 17, 20, 20, 3, 2, 1, 1},
    {"depthwise 3x3 dilation 2", 1, 6, 12, 20, 6, 6, 3, 1, 2, 2},
    {"depthwise 5x5", 1, 18, 10, 70, 18, 18, 5, 1, 1, 2},
    {"depthwise 5x5 stride 2", 1, 7, 21, 20, 7, 7, 5, 2, 1, 2},
    {"depthwise 1x1", 1, 4, 6, 6, 4, 4, 1, 1, 1, 0},
    {"depthwise multiplier", 1, 4, 9, 9, 12, 4, 3, 1, 1, 1},
    {"depthwise all border", 1, 16, 2, 2, 16, 16, 5, 1, 1, 2},
    {"many pictures", 5, 3, 8, 8, 4, 1, 3, 1, 1, 1},
    {"few pixels", 2, 20, 5, 3, 33, 1, 3, 2, 1, 1},
    {"few pixels in groups", 3, 48, 4, 2, 64, 2, 3, 2, 1, 1},
    {"few pixels, few channels", 1, 9, 2, 4, 3, 1, 3, 1, 1, 1},
    {"few pixels, dilation 2", 1, 40, 5, 4, 18, 1, 3, 2, 2, 2},
    {"one pixel of many", 1, 70, 3, 3, 40, 1, 3, 1, 1, 0},
    {"one pixel of padding", 1, 32, 1, 1, 16, 1, 3, 1, 1, 1},
    {"much of everything", 1, 70, 23, 21, 65, 1, 3, 1, 1, 1},
};

enum { N_SHAPES = sizeof shapes / sizeof shapes[0] };

/* A net of one Conv. constant: weights and bias are constants, else inputs. */
static void build(struct test_net *net, const struct shape *s, bool nhwc, bool constant, bool bias,
                  float *x, float *w, float *b)
{
    int64_t per_group = s->channels / s->groups;
    int64_t xd[4] = {s->batch, s->channels, s->height, s->width};
    int64_t wd[4] = {s->out, per_group, s->kernel, s->kernel};
    if (nhwc) {
        xd[1] = s->height, xd[2] = s->width, xd[3] = s->channels;
        wd[1] = wd[2] = s->kernel, wd[3] = per_group;
    }
    test_init(net);
    net->layout = LEDGE_PLAN_PLAIN;
    int32_t in[3] = {test_input(net, LEDGE_F32, 4, xd, x)};
    in[1] =
        constant ? test_constant(net, LEDGE_F32, 4, wd, w) : test_input(net, LEDGE_F32, 4, wd, w);
    if (bias) {
        in[2] = constant ? test_constant(net, LEDGE_F32, 1, &s->out, b)
                         : test_input(net, LEDGE_F32, 1, &s->out, b);
    }
    test_output(net, test_node(net, "", "Conv", bias ? 3 : 2, in));
    test_int(net, "group", s->groups);
    test_int(net, "layout", nhwc);
    test_ints(net, "strides", TEST_SHAPE(s->stride, s->stride));
    test_ints(net, "dilations", TEST_SHAPE(s->dilation, s->dilation));
    test_ints(net, "pads", TEST_SHAPE(s->pad, s->pad, s->pad, s->pad));
    if (bias) {
        test_float(net, "clamp_low", -0.25f);
        test_float(net, "clamp_high", 2.5f);
    }
}

static float *judge(const struct test_net *net, int64_t *count)
{
    struct ledge_view views[3];
    const struct ledge_view *in[3] = {NULL};
    const struct ledge_graph *graph = &net->plan->graph;
    const struct ledge_node *node = &graph->nodes[0];
    for (int32_t i = 0; i < node->n_in; i++) {
        views[i] = ledge_value_view(&graph->values[node->in[i]]);
        for (int32_t k = 0; k < graph->n_inputs; k++) {
            if (graph->inputs[k] == node->in[i]) {
                views[i].data = (void *)net->data[k];
            }
        }
        in[i] = &views[i];
    }
    struct ledge_view out = ledge_value_view(&graph->values[node->out[0]]);
    *count = ledge_view_count(&out);
    out.data = malloc((size_t)*count * sizeof(float));
    assert_non_null(out.data);
    const struct ledge_view *outs[1] = {&out};
    struct ledge_kernel_call call = {.in = in,
                                     .n_in = node->n_in,
                                     .out = outs,
                                     .n_out = 1,
                                     .params = net->plan->steps[0].ready.params};
    assert_int_equal(ledge_conv_f32_c(&call), LEDGE_OK);
    return out.data;
}

static float *filled(int64_t n, uint32_t seed)
{
    float *data = malloc((size_t)n * sizeof *data);
    assert_non_null(data);
    test_fill_f32(data, n, &seed);
    return data;
}

static void check(const struct shape *s, bool nhwc, bool constant, bool bias)
{
    int64_t taps = s->kernel * s->kernel;
    float *x = filled(s->batch * s->channels * s->height * s->width, 11);
    float *w = filled(s->out * s->channels / s->groups * taps, 12);
    float *b = filled(s->out, 13);
    float *want = NULL, *first = NULL;
    int64_t count = 0;
    static const enum ledge_rung rungs[] = {
#define LEDGE_KERNELS_F32(isa, rung) rung,
#include "engine/kernels/kernels.inc"
#undef LEDGE_KERNELS_F32
    };
    for (size_t i = 0; i < sizeof rungs / sizeof rungs[0] && rungs[i] <= ledge_port_rung(); i++) {
        for (int32_t threads = 1; threads <= 3; threads++) {
            struct test_net net;
            build(&net, s, nhwc, constant, bias, x, w, b);
            test_run(&net, rungs[i], threads);
            const float *got = ledge_run_output(net.run, 0).data;
            if (want == NULL) {
                want = judge(&net, &count);
                first = malloc((size_t)count * sizeof *first);
                assert_non_null(first);
            }
            for (int64_t k = 0; k < count; k++) {
                if (!(fabsf(got[k] - want[k]) <= 2e-5f * (1 + fabsf(want[k])))) {
                    fail_msg("%s, %s, rung %s, %d threads: element %d is %g, not %g", s->name,
                             nhwc ? "NHWC" : "NCHW", ledge_rung_text(rungs[i]), (int)threads,
                             (int)k, (double)got[k], (double)want[k]);
                }
            }
            if (threads == 1) {
                memcpy(first, got, (size_t)count * sizeof *first);
            }
            assert_memory_equal(got, first, (size_t)count * sizeof *first);
            test_done(&net);
        }
    }
    free(x);
    free(w);
    free(b);
    free(want);
    free(first);
}

static void every_shape_on_every_rung(void **state)
{
    (void)state;
    for (int i = 0; i < N_SHAPES; i++) {
        for (int variant = 0; variant < 4; variant++) {
            check(&shapes[i], variant & 1, variant & 2, (variant & 1) == (variant >> 1));
        }
    }
}

static void random_shapes(void **state)
{
    (void)state;
    uint32_t seed = 2024;
    for (int i = 0; i < 60; i++) {
        struct shape s = {.name = "random"};
        s.batch = 1 + test_random(&seed) % 3;
        s.groups = 1 + test_random(&seed) % 3;
        s.channels = s.groups * (1 + test_random(&seed) % 9);
        s.out = s.groups * (1 + test_random(&seed) % 20);
        s.kernel = 1 + test_random(&seed) % 4;
        s.stride = 1 + test_random(&seed) % 3;
        s.dilation = 1 + test_random(&seed) % 2;
        s.pad = test_random(&seed) % 3;
        s.height = (s.kernel - 1) * s.dilation + 1 + test_random(&seed) % 20;
        s.width = (s.kernel - 1) * s.dilation + 1 + test_random(&seed) % 40;
        check(&s, i & 1, i & 2, i & 4);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_shape_on_every_rung),
        cmocka_unit_test(random_shapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
