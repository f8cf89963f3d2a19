/* SPDX-License-Identifier: Apache-2.0 */
/* sums_test.c -- which sums become part of a quantised convolution, and that nobody can tell from
 * the bytes; engine/identity has them with everything at random. */
#include "engine/run/testing.h"

#include "engine/ops/conv_i8.h"

enum { SIDE = 6, CHANNELS = 24, ROOM = SIDE * SIDE * 64 };

struct data {
    uint8_t x[ROOM], w[64 * 64], b[ROOM];
};

static struct data data;

static void fill_all(void)
{
    uint32_t seed = 7;
    test_fill_8(data.x, sizeof data.x, &seed);
    test_fill_8(data.w, sizeof data.w, &seed);
    test_fill_8(data.b, sizeof data.b, &seed);
}

static int32_t scale(struct test_net *net, float value)
{
    return test_constant(net, LEDGE_F32, 0, NULL, &value);
}

static int32_t zero(struct test_net *net, uint8_t value)
{
    return test_constant(net, LEDGE_U8, 0, NULL, &value);
}

static int32_t picture(struct test_net *net, int64_t side, int64_t channels, const uint8_t *bytes)
{
    return test_input(net, LEDGE_U8, TEST_SHAPE(1, side, side, channels), bytes);
}

/* 1 x 1, as many channels as before. */
static int32_t conv(struct test_net *net, int32_t x, int64_t channels)
{
    const int32_t in[8] = {
        x,
        scale(net, 0.02f),
        zero(net, 120),
        test_constant(net, LEDGE_I8, TEST_SHAPE(channels, 1, 1, channels), data.w),
        scale(net, 0.01f),
        test_constant(net, LEDGE_I8, 0, NULL, "\0"),
        scale(net, 0.3f),
        zero(net, 131)};
    int32_t y = test_node(net, "", "QLinearConv", 8, in);
    test_int(net, "layout", LEDGE_NHWC);
    return y;
}

static int32_t sum(struct test_net *net, int32_t a, int32_t b)
{
    const int32_t in[8] = {a,
                           scale(net, 0.3f),
                           zero(net, 131),
                           b,
                           scale(net, 0.11f),
                           zero(net, 77),
                           scale(net, 0.27f),
                           zero(net, 99)};
    return test_node(net, "com.microsoft", "QLinearAdd", 8, in);
}

static int32_t steps_of(const struct test_net *net, const char *op)
{
    int32_t n = 0;
    for (int32_t s = 0; s < net->plan->n_steps; s++) {
        n += strcmp(net->plan->steps[s].node->op, op) == 0;
    }
    return n;
}

/* As many sums are left as their own steps, and all outputs are those of a plan that joins none, on
 * every rung and with two threads. */
static void check(struct test_net *net, int32_t left)
{
    static uint8_t want[2][ROOM];
    size_t bytes[2] = {0};
    for (int run = -1; run <= (int)ledge_port_rung(); run++) {
        if (run >= 0 && !test_can_run(run)) {
            continue;
        }
        net->layout = run < 0 ? LEDGE_PLAN_PLAIN : LEDGE_PLAN_AUTO;
        test_run(net, (enum ledge_rung)(run < 0 ? 0 : run), run % 2 + 1);
        for (int32_t k = 0; k < net->graph.n_outputs; k++) {
            struct ledge_view got = ledge_run_output(net->run, k);
            bytes[k] = ledge_view_bytes(&got);
            assert_true(bytes[k] <= ROOM);
            if (run < 0) {
                memcpy(want[k], got.data, bytes[k]);
            }
            assert_memory_equal(got.data, want[k], bytes[k]);
        }
        if (run >= 0) {
            assert_int_equal(steps_of(net, "QLinearAdd"), left);
        }
        test_stop(net);
    }
    test_done(net);
}

static void one_operand_is_a_convolution(void **state)
{
    (void)state;
    for (int64_t channels = 1; channels <= 64; channels += channels < 8 ? 7 : 8) {
        for (int order = 0; order < 2; order++) {
            struct test_net net;
            test_init(&net);
            int32_t y = conv(&net, picture(&net, SIDE, channels, data.x), channels);
            int32_t b = picture(&net, SIDE, channels, data.b);
            int32_t s = order == 0 ? sum(&net, y, b) : sum(&net, b, y);
            test_float(&net, "clamp_low", 0);
            test_output(&net, s);
            check(&net, 0);
        }
    }
}

/* A chain of blocks: each sum is what the next one adds, and may be made in its memory; the first
 * convolution reads its own addend, which must outlive it. */
static void blocks_follow_each_other(void **state)
{
    (void)state;
    struct test_net net;
    test_init(&net);
    int32_t x = conv(&net, picture(&net, SIDE, CHANNELS, data.x), CHANNELS);
    for (int i = 0; i < 3; i++) {
        x = sum(&net, conv(&net, i == 0 ? x : conv(&net, x, CHANNELS), CHANNELS), x);
    }
    test_output(&net, x);
    check(&net, 0);
}

static void both_operands_are_convolutions(void **state)
{
    (void)state;
    struct test_net net;
    test_init(&net);
    int32_t x = picture(&net, SIDE, CHANNELS, data.x);
    test_output(&net, sum(&net, conv(&net, x, CHANNELS), conv(&net, x, CHANNELS)));
    check(&net, 0);
}

/* What others read, what is broadcast, and what is added to itself. */
static void other_sums_stay(void **state)
{
    (void)state;
    struct test_net net;
    test_init(&net);
    int32_t y = conv(&net, picture(&net, SIDE, CHANNELS, data.x), CHANNELS);
    test_output(&net, sum(&net, y, picture(&net, SIDE, CHANNELS, data.b)));
    test_output(&net, y);
    check(&net, 1);
    test_init(&net);
    y = conv(&net, picture(&net, SIDE, CHANNELS, data.x), CHANNELS);
    test_output(&net, sum(&net, y, picture(&net, 1, CHANNELS, data.b)));
    check(&net, 1);
    test_init(&net);
    y = conv(&net, picture(&net, 1, CHANNELS, data.x), CHANNELS);
    test_output(&net, sum(&net, y, picture(&net, SIDE, CHANNELS, data.b)));
    check(&net, 1);
    test_init(&net);
    y = conv(&net, picture(&net, SIDE, CHANNELS, data.x), CHANNELS);
    test_output(&net, sum(&net, y, y));
    check(&net, 1);
}

/* Nodes with an addend that no planner wrote: refused in one line, never run. */
static void a_wrong_addend_is_refused(void **state)
{
    (void)state;
    for (int kind = 0; kind < 3; kind++) {
        struct test_net net;
        test_init(&net);
        int32_t y = conv(&net, picture(&net, SIDE, CHANNELS, data.x), CHANNELS);
        int32_t in[LEDGE_QCONV_INPUTS];
        struct ledge_node *node = &net.graph.nodes[0];
        memcpy(in, node->in, (size_t)node->n_in * sizeof *in);
        in[8] = in[9] = -1;
        in[LEDGE_QCONV_ADDEND] =
            kind == 0 ? -1 : picture(&net, kind == 1 ? SIDE - 1 : SIDE, CHANNELS, data.b);
        for (int i = LEDGE_QCONV_ADDEND + 1; i < LEDGE_QCONV_INPUTS; i += 2) {
            in[i] = kind == 2 ? -1 : scale(&net, 0.1f);
            in[i + 1] = zero(&net, 3);
        }
        node->in = in;
        node->n_in = LEDGE_QCONV_INPUTS;
        test_output(&net, y);
        assert_int_not_equal(test_try(&net, LEDGE_RUNG_C, 1), LEDGE_OK);
        assert_true(net.err.text[0] != '\0');
        test_stop(&net);
        test_done(&net);
    }
}

int main(void)
{
    fill_all();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_operand_is_a_convolution),
        cmocka_unit_test(blocks_follow_each_other),
        cmocka_unit_test(both_operands_are_convolutions),
        cmocka_unit_test(other_sums_stay),
        cmocka_unit_test(a_wrong_addend_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
