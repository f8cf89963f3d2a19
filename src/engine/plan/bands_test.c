/* SPDX-License-Identifier: Apache-2.0 */
/* bands_test.c -- joined chains of convolutions against the same ones left alone: the same bytes on
 * every instruction set that this CPU has, for any number of threads. A chain is left alone when
 * what lies between is wanted, too. */
#include "engine/run/testing.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/kernels/blocked.h"

static const enum ledge_rung rungs[] = {
#define LEDGE_KERNELS_F32(isa, rung) rung,
#include "engine/kernels/kernels.inc"
#undef LEDGE_KERNELS_F32
};

enum { N_RUNGS = sizeof rungs / sizeof rungs[0] };

/* x -> expand (channels 0: none) -> depthwise or largest -> project (0: none) (+ x) */
struct chain {
    int64_t batch, channels, height, width;
    int64_t expand, expand_kernel, expand_stride;
    int64_t kernel, stride, dilation, pad;
    int64_t project;
    bool nhwc, residual;
    const char *function; /* behind expand and depthwise; NULL: bounds */
    bool pool;            /* MaxPool, not the depthwise convolution */
};

static float *filled(int64_t n, uint32_t seed)
{
    float *data = malloc((size_t)n * sizeof *data);
    assert_non_null(data);
    test_fill_f32(data, n, &seed);
    return data;
}

static int32_t add_conv(struct test_net *net, const struct chain *c, int32_t x, const int64_t w[4],
                        const int64_t window[4], int64_t group)
{
    const int64_t dims[4] = {w[0], c->nhwc ? w[2] : w[1], c->nhwc ? w[3] : w[2],
                             c->nhwc ? w[1] : w[3]};
    int64_t count = w[0] * w[1] * w[2] * w[3];
    float *weights = filled(count, 31), *bias = filled(w[0], 32);
    for (int64_t i = 0; i < count; i++) {
        weights[i] *= 1.7f / sqrtf((float)(count / w[0]));
    }
    const int32_t in[3] = {x, test_constant(net, LEDGE_F32, 4, dims, weights),
                           test_constant(net, LEDGE_F32, 1, w, bias)};
    free(weights);
    free(bias);
    int32_t y = test_node(net, "", "Conv", 3, in);
    test_int(net, "group", group);
    test_int(net, "layout", c->nhwc);
    test_ints(net, "strides", TEST_SHAPE(window[0], window[0]));
    test_ints(net, "dilations", TEST_SHAPE(window[1], window[1]));
    test_ints(net, "pads", TEST_SHAPE(window[2], window[2], window[2], window[2]));
    return y;
}

static int32_t add_pool(struct test_net *net, const struct chain *c, int32_t x)
{
    int32_t y = test_node(net, "", "MaxPool", 1, &x);
    test_int(net, "layout", c->nhwc);
    test_int(net, "ceil_mode", c->kernel % 2);
    test_ints(net, "kernel_shape", TEST_SHAPE(c->kernel, c->kernel));
    test_ints(net, "strides", TEST_SHAPE(c->stride, c->stride));
    test_ints(net, "pads", TEST_SHAPE(c->pad, c->pad, c->pad, c->pad));
    return y;
}

/* The activation, and an output of its own when the chain is to be left alone. */
static int32_t behind(struct test_net *net, const struct chain *c, int32_t y, bool open)
{
    if (c->function != NULL) {
        y = test_node(net, "", c->function, 1, &y);
    } else {
        test_float(net, "clamp_low", -0.25f);
        test_float(net, "clamp_high", 1.5f);
    }
    if (open) {
        test_output(net, y);
    }
    return y;
}

static void build(struct test_net *net, const struct chain *c, const float *x, bool open)
{
    const int64_t *nchw = TEST_DIMS(c->batch, c->channels, c->height, c->width);
    const int64_t *nhwc = TEST_DIMS(c->batch, c->height, c->width, c->channels);
    int32_t in = test_input(net, LEDGE_F32, 4, c->nhwc ? nhwc : nchw, x), y = in;
    int64_t wide = c->expand > 0 ? c->expand : c->channels;
    if (c->expand > 0) {
        y = add_conv(net, c, y,
                     TEST_DIMS(c->expand, c->channels, c->expand_kernel, c->expand_kernel),
                     TEST_DIMS(c->expand_stride, 1, c->expand_kernel / 2, 0), 1);
        y = behind(net, c, y, open);
    }
    if (c->pool) {
        y = add_pool(net, c, y);
    } else {
        y = add_conv(net, c, y, TEST_DIMS(wide, 1, c->kernel, c->kernel),
                     TEST_DIMS(c->stride, c->dilation, c->pad, 0), wide);
    }
    y = behind(net, c, y, open && c->project > 0);
    if (c->project > 0) {
        y = add_conv(net, c, y, TEST_DIMS(c->project, wide, 1, 1), TEST_DIMS(1, 1, 0, 0), 1);
        y = c->residual ? test_node(net, "", "Add", 2, TEST_VALUES(y, in)) : y;
    }
    test_output(net, y);
}

/* The last output; joined: how many joined nodes there are. */
static float *answer(struct test_net *net, enum ledge_rung rung, int32_t threads, size_t *bytes,
                     int32_t *joined)
{
    test_run(net, rung, threads);
    float *copy = test_last_output(net, bytes);
    *joined = 0;
    for (int32_t i = 0; i < net->plan->n_steps; i++) {
        *joined += strcmp(net->plan->steps[i].node->op, "BlockedBands") == 0;
    }
    test_stop(net);
    return copy;
}

static void same_bytes(const struct chain *c)
{
    struct test_net joined, alone;
    float *x = filled(c->batch * c->channels * c->height * c->width, 9);
    test_init(&joined);
    test_init(&alone);
    joined.layout = alone.layout = LEDGE_PLAN_BLOCKED;
    build(&joined, c, x, false);
    build(&alone, c, x, true);
    for (int32_t r = 0; r < N_RUNGS && rungs[r] <= ledge_port_rung(); r++) {
        size_t bytes, want_bytes;
        int32_t n;
        float *want = answer(&alone, rungs[r], 1, &want_bytes, &n);
        assert_int_equal(n, 0);
        for (int32_t threads = 1; threads <= 3; threads++) {
            float *got = answer(&joined, rungs[r], threads, &bytes, &n);
            assert_int_equal(n, 1);
            assert_int_equal(bytes, want_bytes);
            assert_memory_equal(got, want, bytes);
            free(got);
        }
        free(want);
    }
    test_done(&joined);
    test_done(&alone);
    free(x);
}

static int64_t at_random(uint32_t *seed, int64_t from, int64_t to)
{
    return from + (int64_t)(test_random(seed) % (uint32_t)(to - from + 1));
}

static struct chain random_chain(uint32_t *seed, int i)
{
    static const char *const functions[] = {NULL, "HardSwish", NULL, "Sigmoid", "LeakyRelu"};
    struct chain c = {.batch = at_random(seed, 1, 2),
                      .channels = at_random(seed, 17, 40),
                      .height = at_random(seed, 5, 23),
                      .width = at_random(seed, 5, 23),
                      .expand = i % 3 == 0 ? 0 : at_random(seed, 17, 90),
                      .expand_kernel = 1,
                      .expand_stride = 1,
                      .kernel = at_random(seed, 1, 2) * 2 + 1,
                      .stride = at_random(seed, 1, 2),
                      .dilation = i % 7 == 0 ? 2 : 1,
                      .project = i % 3 == 1 ? 0 : at_random(seed, 17, 40),
                      .nhwc = i & 1,
                      .function = functions[i % 5]};
    if (i % 4 == 0 && c.expand > 0) { /* which needs a region to be in */
        c.pool = true;
        c.function = NULL;
        c.dilation = 1;
    }
    c.pad = at_random(seed, 0, c.kernel / 2 * c.dilation);
    if (c.height + 2 * c.pad <= (c.kernel - 1) * c.dilation) {
        c.height += c.kernel * c.dilation;
    }
    if (c.width + 2 * c.pad <= (c.kernel - 1) * c.dilation) {
        c.width += c.kernel * c.dilation;
    }
    if (c.project > 0 && c.stride == 1) {
        c.pad = c.kernel / 2 * c.dilation;
        c.residual = true;
        c.project = c.channels;
    }
    return c;
}

static void random_chains(void **state)
{
    (void)state;
    uint32_t seed = 3;
    for (int i = 0; i < 90; i++) {
        struct chain c = random_chain(&seed, i);
        same_bytes(&c);
    }
}

/* Pictures that need several bands of rows, also behind a first convolution on a plain picture. */
static void many_bands(void **state)
{
    (void)state;
    static const struct chain chains[] = {
        {1, 24, 61, 40, 144, 1, 1, 3, 1, 1, 1, 24, false, true, NULL, false},
        {1, 24, 61, 40, 144, 1, 1, 5, 2, 1, 2, 40, true, false, NULL, false},
        {2, 24, 53, 40, 144, 1, 1, 3, 2, 1, 0, 0, false, false, "HardSwish", false},
        {1, 160, 57, 33, 0, 1, 1, 3, 1, 1, 1, 64, false, false, NULL, false},
        {1, 160, 57, 33, 0, 1, 1, 3, 2, 2, 2, 64, true, false, NULL, false},
        {1, 3, 120, 96, 32, 3, 2, 3, 1, 1, 1, 24, false, false, NULL, false},
        {2, 3, 67, 71, 48, 3, 2, 3, 2, 1, 1, 0, true, false, "Sigmoid", false},
        {1, 40, 60, 31, 80, 3, 1, 3, 1, 1, 1, 40, false, true, NULL, false},
        {1, 24, 61, 40, 144, 1, 1, 2, 4, 1, 0, 24, false, false, NULL, false},
        {1, 3, 120, 96, 64, 3, 2, 3, 2, 1, 0, 24, false, false, NULL, true},
        {2, 3, 67, 71, 64, 7, 2, 3, 2, 1, 1, 0, true, false, NULL, true},
        {1, 160, 57, 33, 160, 3, 1, 3, 2, 1, 1, 64, false, false, NULL, true},
    };
    for (size_t i = 0; i < sizeof chains / sizeof chains[0]; i++) {
        same_bytes(&chains[i]);
    }
}

/* A node that no planner wrote: refused in one line, never run. */
static void hostile_nodes(void **state)
{
    (void)state;
    static const char *const parts[] = {"expand", "depth", "project"};
    float data[4 * 4 * 16 * 2] = {0};
    for (int missing = 0; missing < 16; missing++) {
        for (int64_t block = -1; block <= 16; block += 17) {
            struct test_net net;
            test_init(&net);
            int32_t x = test_input(&net, LEDGE_F32, TEST_SHAPE(1, 2, 4, 4, 16), data);
            int32_t in[8] = {x, missing & 8 ? x : -1, -1, -1, -1, -1, -1, -1};
            for (int p = 0; p < 3; p++) {
                in[2 + 2 * p] = missing >> p & 1
                                    ? -1
                                    : test_constant(&net, LEDGE_F32, TEST_SHAPE(5, 1, 3, 2), data);
            }
            int32_t y = test_node(&net, "ledge", "BlockedBands", missing == 7 ? 2 : 8, in);
            for (int p = 0; p < 3; p++) {
                char name[32];
                (void)snprintf(name, sizeof name, "%s.block", parts[p]);
                test_int(&net, name, block);
                (void)snprintf(name, sizeof name, "%s.group", parts[p]);
                test_int(&net, name, p == 1 ? 32 : (int64_t)1 << 60);
            }
            test_output(&net, y);
            assert_int_not_equal(test_try(&net, LEDGE_RUNG_C, 1), LEDGE_OK);
            test_done(&net);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_chains),
        cmocka_unit_test(many_bands),
        cmocka_unit_test(hostile_nodes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
