/* SPDX-License-Identifier: Apache-2.0 */
/* each_i8_test.c -- sums and products of bytes whose one operand is repeated, as a channel's
 * factors are for all pixels, against the same with the repetitions written out. */
#include "engine/run/testing.h"

#include <stdlib.h>

struct operands {
    int64_t batch, rows, n;
    bool first;     /* operand 0 is repeated, else operand 1 */
    bool per_batch; /* each picture has its own */
    const char *op;
    const uint8_t *x, *factors;
    uint8_t *repeated; /* factors for each row */
};

static struct ledge_view run(struct test_net *net, const struct operands *o, bool written_out,
                             enum ledge_rung rung, int32_t threads)
{
    static const float scale[3] = {0.031f, 0.0039f, 0.0125f};
    static const uint8_t zero[3] = {121, 3, 77};
    const int64_t all[3] = {o->batch, o->rows, o->n};
    const int64_t some[3] = {o->per_batch ? o->batch : 1, 1, o->n};
    int32_t in[8];
    test_init(net);
    for (int i = 0; i < 3; i++) {
        in[3 * i + 1 - (i == 2)] = test_constant(net, LEDGE_F32, 0, NULL, &scale[i]);
        in[3 * i + 2 - (i == 2)] = test_constant(net, LEDGE_U8, 0, NULL, &zero[i]);
    }
    in[o->first ? 3 : 0] = test_input(net, LEDGE_U8, 3, all, o->x);
    in[o->first ? 0 : 3] = written_out ? test_input(net, LEDGE_U8, 3, all, o->repeated)
                                       : test_input(net, LEDGE_U8, 3, some, o->factors);
    test_output(net, test_node(net, "com.microsoft", o->op, 8, in));
    test_run(net, rung, threads);
    return ledge_run_output(net->run, 0);
}

static void check(struct operands *o, uint32_t *seed)
{
    const int64_t count = o->batch * o->rows * o->n;
    uint8_t *x = malloc((size_t)count), *factors = malloc((size_t)(o->batch * o->n));
    o->repeated = malloc((size_t)count);
    assert_true(x != NULL && factors != NULL && o->repeated != NULL);
    test_fill_8(x, count, seed);
    test_fill_8(factors, o->batch * o->n, seed);
    for (int64_t r = 0; r < o->batch * o->rows; r++) {
        memcpy(o->repeated + r * o->n, factors + (o->per_batch ? r / o->rows * o->n : 0),
               (size_t)o->n);
    }
    o->x = x;
    o->factors = factors;
    for (int rung = LEDGE_RUNG_C; rung <= (int)ledge_port_rung(); rung++) {
        if (!test_can_run(rung)) {
            continue;
        }
        struct test_net nets[2];
        struct ledge_view want = run(&nets[0], o, true, LEDGE_RUNG_C, 1);
        struct ledge_view got = run(&nets[1], o, false, (enum ledge_rung)rung, 1 + rung % 2);
        assert_int_equal(ledge_view_bytes(&got), count);
        assert_memory_equal(got.data, want.data, (size_t)count);
        test_done(&nets[0]);
        test_done(&nets[1]);
    }
    free(x);
    free(factors);
    free(o->repeated);
}

static void test_repeated(void **state)
{
    (void)state;
    static const int64_t widths[] = {1, 2, 16, 31, 40, 672, 1000, 1023, 1024, 1025, 2048, 9000};
    static const int64_t heights[] = {1, 2, 5, 49, 333};
    uint32_t seed = 11;
    for (size_t w = 0; w < sizeof widths / sizeof *widths; w++) {
        for (size_t h = 0; h < sizeof heights / sizeof *heights; h++) {
            for (int kind = 0; kind < 8; kind++) {
                if (widths[w] * heights[h] > 100000) {
                    continue;
                }
                struct operands o = {.batch = 1 + kind % 2,
                                     .rows = heights[h],
                                     .n = widths[w],
                                     .first = kind / 2 % 2 == 0,
                                     .per_batch = kind / 4 == 0,
                                     .op = (w + h) % 2 == 0 ? "QLinearMul" : "QLinearAdd"};
                check(&o, &seed);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_repeated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
