/* SPDX-License-Identifier: Apache-2.0 */
/* gemm_test.c -- Gemm and MatMul on every instruction set this CPU has, against the judge
 * (ledge_gemm_f32_c), with the same bytes for any number of threads. */
#include "engine/run/testing.h"

#include <math.h>
#include <stdlib.h>

#include "engine/kernels/gemm.h"

struct shape {
    int64_t m, n, k;
    bool trans_a, trans_b;
    int bias; /* 0 none, 1 per column, 2 per row, 3 scalar, 4 matrix */
    float alpha, beta;
};

static const struct shape shapes[] = {
    {1, 1, 1, false, false, 0, 1, 1},     {1, 1000, 300, false, true, 1, 1, 1},
    {5, 33, 600, false, false, 1, 1, 1},  {14, 32, 256, false, false, 4, 1, 1},
    {15, 31, 257, true, true, 2, 2, 0.5}, {29, 65, 17, true, false, 3, 0.25f, 3},
    {100, 3, 40, false, true, 1, 1, 2},   {64, 10, 1, false, false, 0, -1, 1},
    {3, 48, 0, false, false, 1, 1, 1},
};

static float *filled(int64_t n, uint32_t seed)
{
    float *data = malloc((size_t)(n > 0 ? n : 1) * sizeof *data);
    assert_non_null(data);
    test_fill_f32(data, n, &seed);
    return data;
}

/* Run the net on every rung and thread count; out_count elements must match the judge's. */
static void check(struct test_net *net)
{
    static const enum ledge_rung rungs[] = {
#define LEDGE_KERNELS_F32(isa, rung) rung,
#include "engine/kernels/kernels.inc"
#undef LEDGE_KERNELS_F32
    };
    float *want = NULL, *first = NULL;
    int64_t count = 0;
    for (size_t i = 0; i < sizeof rungs / sizeof rungs[0] && rungs[i] <= ledge_port_rung(); i++) {
        for (int32_t threads = 1; threads <= 3; threads++) {
            test_run(net, rungs[i], threads);
            struct ledge_view got = ledge_run_output(net->run, 0);
            count = ledge_view_count(&got);
            if (want == NULL) {
                want = filled(count, 1);
                first = filled(count, 1);
                struct ledge_view views[3], out = got;
                const struct ledge_view *in[3] = {NULL}, *outs[1] = {&out};
                const struct ledge_node *node = net->plan->steps[0].node;
                for (int32_t k = 0; k < node->n_in; k++) {
                    views[k] = ledge_value_view(&net->plan->graph.values[node->in[k]]);
                    for (int32_t p = 0; p < net->graph.n_inputs; p++) {
                        if (net->plan->graph.inputs[p] == node->in[k]) {
                            views[k].data = (void *)net->data[p];
                        }
                    }
                    in[k] = &views[k];
                }
                out.data = want;
                struct ledge_kernel_call call = {.in = in,
                                                 .n_in = node->n_in,
                                                 .out = outs,
                                                 .n_out = 1,
                                                 .params = net->plan->steps[0].ready.params};
                assert_int_equal(ledge_gemm_f32_c(&call), LEDGE_OK);
            }
            test_near(got.data, want, count, 3e-5f);
            if (threads == 1) {
                memcpy(first, got.data, (size_t)count * sizeof *first);
            }
            assert_memory_equal(got.data, first, (size_t)count * sizeof *first);
            test_stop(net);
        }
    }
    free(want);
    free(first);
}

static void gemm(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        for (int constant = 0; constant < 2; constant++) {
            const struct shape *s = &shapes[i];
            float *a = filled(s->m * s->k, 3);
            float *b = filled(s->k * s->n, 4);
            float *c = filled(s->m * s->n, 5);
            int64_t ad[2] = {s->trans_a ? s->k : s->m, s->trans_a ? s->m : s->k};
            int64_t bd[2] = {s->trans_b ? s->n : s->k, s->trans_b ? s->k : s->n};
            int64_t cd[2] = {s->bias == 2 || s->bias == 4 ? s->m : 1,
                             s->bias == 1 || s->bias == 4 ? s->n : 1};
            struct test_net net;
            test_init(&net);
            int32_t in[3] = {test_input(&net, LEDGE_F32, 2, ad, a)};
            in[1] = constant ? test_constant(&net, LEDGE_F32, 2, bd, b)
                             : test_input(&net, LEDGE_F32, 2, bd, b);
            if (s->bias != 0) {
                in[2] = test_input(&net, LEDGE_F32, 2, cd, c);
            }
            test_output(&net, test_node(&net, "", "Gemm", s->bias != 0 ? 3 : 2, in));
            test_int(&net, "transA", s->trans_a);
            test_int(&net, "transB", s->trans_b);
            test_float(&net, "alpha", s->alpha);
            test_float(&net, "beta", s->beta);
            test_float(&net, "clamp_low", -3.0f);
            check(&net);
            test_done(&net);
            free(a);
            free(b);
            free(c);
        }
    }
}

static void matmul_broadcasts(void **state)
{
    (void)state;
    float *a = filled(2 * 3 * 7 * 20, 6);
    float *b = filled(2 * 3 * 20 * 35, 7);
    for (int constant = 0; constant < 2; constant++) {
        for (int which = 0; which < 4; which++) {
            static const int64_t ad[4][4] = {
                {2, 3, 7, 20}, {2, 3, 7, 20}, {1, 3, 7, 20}, {1, 1, 7, 20}};
            static const int64_t bd[4][4] = {
                {2, 3, 20, 35}, {1, 3, 20, 35}, {2, 1, 20, 35}, {2, 3, 20, 35}};
            struct test_net net;
            test_init(&net);
            int32_t in[2] = {test_input(&net, LEDGE_F32, 4, ad[which], a)};
            in[1] = constant ? test_constant(&net, LEDGE_F32, 4, bd[which], b)
                             : test_input(&net, LEDGE_F32, 4, bd[which], b);
            test_output(&net, test_node(&net, "", "MatMul", 2, in));
            check(&net);
            test_done(&net);
        }
    }
    free(a);
    free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gemm),
        cmocka_unit_test(matmul_broadcasts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
