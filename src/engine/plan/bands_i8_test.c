/* SPDX-License-Identifier: Apache-2.0 */
/* bands_i8_test.c -- joined chains of 8-bit convolutions against the same ones left alone: the same
 * bytes on every instruction set that this CPU has, for any number of threads. */
#include "engine/run/testing.h"

#include <stdlib.h>

#include "engine/kernels/bands_i8.h"

static const enum ledge_rung rungs[] = {
#define LEDGE_KERNELS_I8(isa, rung) rung,
#include "engine/kernels/kernels.inc"
#undef LEDGE_KERNELS_I8
};

enum { N_RUNGS = sizeof rungs / sizeof rungs[0] };

/* x -> expand (channels 0: none) -> depthwise -> project (0: none) */
struct chain {
    int64_t batch, channels, height, width;
    int64_t expand, expand_kernel, expand_stride;
    int64_t kernel, stride, dilation, pad;
    int64_t project;
    bool planes; /* x is NCHW */
    bool is_i8, zeros, wanted;
};

static int32_t scalar(struct test_net *net, enum ledge_dtype dtype, const void *data)
{
    return test_constant(net, dtype, 0, NULL, data);
}

/* w: outputs, inputs of a group, side of the window. */
static int32_t add_conv(struct test_net *net, const struct chain *c, int32_t x, const int64_t w[3],
                        const int64_t window[3], int64_t group, uint32_t *seed)
{
    int64_t dims[4] = {w[0], w[2], w[2], w[1]}, n = w[0] * w[1] * w[2] * w[2];
    uint8_t *weights = malloc((size_t)n), zero[2], *zeros = malloc((size_t)w[0]);
    int32_t *bias = malloc((size_t)w[0] * sizeof *bias);
    assert_true(weights != NULL && zeros != NULL && bias != NULL);
    test_fill_8(weights, n, seed);
    test_fill_8(zero, 2, seed);
    for (int64_t i = 0; i < w[0]; i++) {
        zeros[i] = c->zeros ? (uint8_t)(test_random(seed) >> 9) : 0;
        bias[i] = (int32_t)(test_random(seed) % 20001) - 10000;
    }
    const float scales[3] = {0.02f, 0.003f, 0.9f};
    enum ledge_dtype type = c->is_i8 ? LEDGE_I8 : LEDGE_U8;
    const int32_t in[9] = {x,
                           scalar(net, LEDGE_F32, &scales[0]),
                           scalar(net, type, &zero[0]),
                           test_constant(net, LEDGE_I8, 4, dims, weights),
                           scalar(net, LEDGE_F32, &scales[1]),
                           test_constant(net, LEDGE_I8, 1, w, zeros),
                           scalar(net, LEDGE_F32, &scales[2]),
                           scalar(net, type, &zero[1]),
                           test_constant(net, LEDGE_I32, 1, w, bias)};
    free(weights);
    free(zeros);
    free(bias);
    int32_t y = test_node(net, "", "QLinearConv", 9, in);
    test_int(net, "group", group);
    test_int(net, "layout", LEDGE_NHWC);
    test_ints(net, "strides", TEST_SHAPE(window[0], window[0]));
    test_ints(net, "dilations", TEST_SHAPE(window[1], window[1]));
    test_ints(net, "pads", TEST_SHAPE(window[2], window[2], window[2], window[2]));
    return y;
}

static void build(struct test_net *net, const struct chain *c, const uint8_t *x, uint32_t seed)
{
    const int64_t *nhwc = TEST_DIMS(c->batch, c->height, c->width, c->channels);
    const int64_t *nchw = TEST_DIMS(c->batch, c->channels, c->height, c->width);
    int32_t y = test_input(net, c->is_i8 ? LEDGE_I8 : LEDGE_U8, 4, c->planes ? nchw : nhwc, x);
    int64_t wide = c->expand > 0 ? c->expand : c->channels;
    if (c->expand > 0) {
        y = add_conv(net, c, y, TEST_DIMS(c->expand, c->channels, c->expand_kernel),
                     TEST_DIMS(c->expand_stride, 1, c->expand_kernel / 2), 1, &seed);
        if (c->planes) {
            test_int(net, "planes", 1);
        }
    }
    y = add_conv(net, c, y, TEST_DIMS(wide, 1, c->kernel),
                 TEST_DIMS(c->stride, c->dilation, c->pad), wide, &seed);
    if (c->project > 0) {
        if (c->wanted) {
            test_output(net, y);
        }
        y = add_conv(net, c, y, TEST_DIMS(c->project, wide, 1), TEST_DIMS(1, 1, 0), 1, &seed);
    }
    test_output(net, y);
}

/* The last output; by_channel: of some joined steps. */
static uint8_t *answer(struct test_net *net, enum ledge_rung rung, int32_t threads, size_t *bytes,
                       int32_t *joined, bool *by_channel)
{
    test_run(net, rung, threads);
    uint8_t *copy = test_last_output(net, bytes);
    *joined = 0;
    *by_channel = false;
    for (int32_t i = 0; i < net->plan->n_steps; i++) {
        if (net->plan->steps[i].ready.run == ledge_bands_i8_run) {
            const struct ledge_bands_i8 *bands = net->plan->steps[i].ready.params;
            *by_channel = *by_channel || bands->by_channel;
            (*joined)++;
        }
    }
    test_stop(net);
    return copy;
}

/* Did a rung go by channels? */
static bool same_bytes(const struct chain *c, uint32_t seed)
{
    bool by_channel, some_by_channel = false;
    struct test_net joined, alone;
    int64_t n = c->batch * c->channels * c->height * c->width;
    uint8_t *x = malloc((size_t)n);
    assert_non_null(x);
    test_fill_8(x, n, &(uint32_t){seed + 1});
    test_init(&joined);
    test_init(&alone);
    joined.layout = LEDGE_PLAN_BLOCKED;
    alone.layout = LEDGE_PLAN_PLAIN;
    build(&joined, c, x, seed);
    build(&alone, c, x, seed);
    bool some = c->expand > 0 || (c->project > 0 && !c->wanted);
    bool units = c->planes || (c->channels % 4 == 0 && c->expand % 4 == 0);
    for (int32_t r = 0; r < N_RUNGS; r++) {
        if (!test_can_run(rungs[r])) {
            continue;
        }
        size_t bytes, want_bytes;
        int32_t count;
        uint8_t *want = answer(&alone, rungs[r], 1, &want_bytes, &count, &by_channel);
        assert_int_equal(count, 0);
        for (int32_t threads = 1; threads <= 3; threads++) {
            uint8_t *got = answer(&joined, rungs[r], threads, &bytes, &count, &by_channel);
            assert_true(count == some || !units);
            some_by_channel = some_by_channel || by_channel;
            assert_int_equal(bytes, want_bytes);
            assert_memory_equal(got, want, bytes);
            free(got);
        }
        free(want);
    }
    test_done(&joined);
    test_done(&alone);
    free(x);
    return some_by_channel;
}

static int64_t at_random(uint32_t *seed, int64_t from, int64_t to)
{
    return from + (int64_t)(test_random(seed) % (uint32_t)(to - from + 1));
}

static void random_chains(void **state)
{
    (void)state;
    uint32_t seed = 11;
    for (int i = 0; i < 60; i++) {
        bool first = i % 5 == 4; /* convolution of the network */
        struct chain c = {.batch = at_random(&seed, 1, 2),
                          .channels = first ? 3 : at_random(&seed, 5, 80),
                          .height = at_random(&seed, 9, 23),
                          .width = at_random(&seed, 9, 23),
                          .expand = i % 3 == 0 && !first ? 0 : at_random(&seed, 17, 150),
                          .expand_kernel = first ? 3 : 1,
                          .expand_stride = first ? at_random(&seed, 1, 2) : 1,
                          .kernel = at_random(&seed, 1, 2) * 2 + 1,
                          .stride = at_random(&seed, 1, 3),
                          .project = i % 3 == 1 ? 0 : at_random(&seed, 5, 70),
                          .planes = first && i % 2 == 0,
                          .is_i8 = i & 1,
                          .zeros = i % 4 == 1,
                          .wanted = i % 11 == 10};
        if (i % 6 > 0 && !first) {
            c.channels = (c.channels + 3) / 4 * 4;
            c.expand = (c.expand + 3) / 4 * 4;
        }
        c.dilation = c.kernel == 3 && c.expand_stride == 1 && i % 7 == 0 ? 2 : 1;
        c.pad = at_random(&seed, 0, c.kernel / 2 * c.dilation);
        (void)same_bytes(&c, test_random(&seed));
    }
}

/* Pictures that need several bands of rows. */
static void many_bands(void **state)
{
    (void)state;
    static const struct chain chains[] = {
        {1, 24, 61, 40, 144, 1, 1, 3, 1, 1, 1, 24, false, false, false, false},
        {1, 24, 61, 40, 144, 1, 1, 5, 2, 1, 2, 40, false, true, false, false},
        {2, 24, 53, 80, 192, 1, 1, 3, 2, 1, 0, 0, false, false, true, false},
        {1, 160, 57, 33, 0, 1, 1, 3, 1, 1, 1, 64, false, false, false, false},
        {1, 3, 160, 96, 32, 3, 2, 3, 1, 1, 1, 16, true, false, false, false},
        {2, 3, 131, 71, 48, 3, 2, 3, 2, 1, 1, 0, false, true, true, false},
        {1, 40, 60, 31, 80, 3, 1, 3, 1, 1, 1, 40, false, false, false, false},
        {1, 24, 61, 40, 144, 1, 1, 2, 4, 1, 0, 24, false, false, false, false},
    };
    for (size_t i = 0; i < sizeof chains / sizeof chains[0]; i++) {
        (void)same_bytes(&chains[i], 5 + (uint32_t)i);
    }
}

/* Panels of 64 channels, their number even and odd, where depthwise windows go in slices. */
static void small_pictures(void **state)
{
    (void)state;
    static const struct chain chains[] = {
        {1, 64, 14, 14, 384, 1, 1, 3, 1, 1, 1, 0, false, false, false, false},
        {2, 96, 14, 14, 576, 1, 1, 3, 2, 1, 1, 0, false, false, false, false},
        {3, 16, 7, 7, 192, 1, 1, 3, 1, 1, 1, 0, false, false, false, false},
        {1, 24, 1, 5, 320, 1, 1, 3, 1, 1, 1, 0, false, false, false, false},
        {1, 8, 2, 3, 192, 1, 1, 3, 2, 1, 1, 0, false, false, false, false},
        {1, 8, 5, 4, 64, 1, 1, 3, 1, 1, 0, 0, false, false, false, false},
    };
    bool slices = false;
    for (int32_t r = 0; r < N_RUNGS; r++) {
        slices = slices || (test_can_run(rungs[r]) && ledge_i8_for(rungs[r])->slices != NULL);
    }
    for (size_t i = 0; i < sizeof chains / sizeof chains[0]; i++) {
        assert_int_equal(same_bytes(&chains[i], 21 + (uint32_t)i), slices);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_chains),
        cmocka_unit_test(many_bands),
        cmocka_unit_test(small_pictures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
