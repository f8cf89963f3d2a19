/* SPDX-License-Identifier: Apache-2.0 */
/* rows_test.c -- parts of a Concat of bytes are made where they are wanted where that can be, and
 * nobody can tell from the bytes. */
#include "engine/run/testing.h"

enum { SIDE = 13, ROOM = 2 * SIDE * SIDE * 256 };

struct data {
    uint8_t x[ROOM], w[256 * 256 * 9];
};

static struct data data;

/* group 1: 1 x 1, or 3 x 3 of 32 channels; else 3 x 3, each channel for itself. */
static int32_t conv(struct test_net *net, int32_t x, int64_t in, int64_t out, int64_t group)
{
    const float scales[3] = {0.02f, 0.01f, 0.4f};
    const int64_t side = group > 1 || in == 32 ? 3 : 1, pad = side / 2;
    const int32_t inputs[8] = {
        x,
        test_constant(net, LEDGE_F32, 0, NULL, &scales[0]),
        test_constant(net, LEDGE_U8, 0, NULL, "\x70"),
        test_constant(net, LEDGE_I8, TEST_SHAPE(out, side, side, in / group), data.w),
        test_constant(net, LEDGE_F32, 0, NULL, &scales[1]),
        test_constant(net, LEDGE_I8, 0, NULL, "\0"),
        test_constant(net, LEDGE_F32, 0, NULL, &scales[2]),
        test_constant(net, LEDGE_U8, 0, NULL, "\x81")};
    int32_t y = test_node(net, "", "QLinearConv", 8, inputs);
    test_int(net, "layout", LEDGE_NHWC);
    test_int(net, "group", group);
    test_ints(net, "pads", TEST_SHAPE(pad, pad, pad, pad));
    return y;
}

struct net {
    int64_t channels[3]; /* of the input, of both parts */
    bool chain;          /* the second part comes from a chain that is one kernel */
    bool wanted;         /* the first part is an output, too */
    bool twice;          /* the first part is joined twice */
};

static void build(struct test_net *net, const struct net *n)
{
    const int64_t in = n->channels[0];
    int32_t x = test_input(net, LEDGE_U8, TEST_SHAPE(2, SIDE, SIDE, in), data.x);
    int32_t a = conv(net, x, in, n->channels[1], 1);
    int32_t wide = n->chain ? conv(net, conv(net, x, in, 4 * in, 1), 4 * in, 4 * in, 4 * in) : x;
    int32_t b = conv(net, wide, n->chain ? 4 * in : in, n->channels[2], 1);
    const int32_t parts[3] = {a, b, a};
    int32_t y = test_node(net, "", "Concat", n->twice ? 3 : 2, parts);
    test_int(net, "axis", 3);
    int64_t all = n->channels[1] * (n->twice ? 2 : 1) + n->channels[2];
    if (n->wanted) {
        test_output(net, a);
    }
    test_output(net, conv(net, y, all, 8, 1));
    test_output(net, y);
}

static int32_t joined(const struct test_net *net)
{
    for (int32_t s = 0; s < net->plan->n_steps; s++) {
        if (strcmp(net->plan->steps[s].node->op, "Concat") == 0) {
            return strcmp(net->plan->steps[s].ready.kernel, "Concat_in_place") == 0;
        }
    }
    return -1;
}

static void check(const struct net *n)
{
    static uint8_t want[ROOM];
    size_t bytes = 0;
    for (int run = -1; run <= (int)ledge_port_rung(); run++) {
        struct test_net net;
        test_init(&net);
        build(&net, n);
        net.layout = run < 0 ? LEDGE_PLAN_PLAIN : n->chain ? LEDGE_PLAN_BLOCKED : LEDGE_PLAN_AUTO;
        test_run(&net, (enum ledge_rung)(run < 0 ? 0 : run), run % 2 + 1);
        size_t at = 0;
        for (int32_t k = 0; k < net.graph.n_outputs; k++) {
            struct ledge_view got = ledge_run_output(net.run, k);
            size_t size = ledge_view_bytes(&got);
            assert_true(at + size <= ROOM);
            if (run < 0) {
                memcpy(want + at, got.data, size);
            }
            assert_memory_equal(got.data, want + at, size);
            at += size;
        }
        assert_true(run < 0 || at == bytes);
        bytes = at;
        assert_int_equal(joined(&net), run >= 0 && !n->wanted && !n->twice);
        test_done(&net);
    }
}

static void parts_are_made_in_place(void **state)
{
    (void)state;
    uint32_t seed = 3;
    test_fill_8(data.x, sizeof data.x, &seed);
    test_fill_8(data.w, sizeof data.w, &seed);
    static const struct net nets[] = {
        {{16, 64, 64}, false, false, false}, {{16, 16, 48}, false, false, false},
        {{8, 5, 19}, false, false, false},   {{12, 24, 24}, true, false, false},
        {{32, 32, 48}, false, false, false}, {{16, 32, 32}, false, true, false},
        {{16, 32, 64}, false, false, true},
    };
    for (size_t i = 0; i < sizeof nets / sizeof nets[0]; i++) {
        check(&nets[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_are_made_in_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
