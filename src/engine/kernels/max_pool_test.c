/* SPDX-License-Identifier: Apache-2.0 */
/* max_pool_test.c -- max pooling without indices against the judge, which also gives indices. */
#include "engine/run/testing.h"

#include <stdlib.h>

#include "engine/kernels/pool.h"

static void check(uint32_t seed, enum ledge_dtype dtype, bool nhwc, enum ledge_rung rung)
{
    int64_t kernel = 1 + test_random(&seed) % 4, stride = 1 + test_random(&seed) % 3;
    int64_t dilation = 1 + test_random(&seed) % 2, pad = test_random(&seed) % kernel;
    int64_t h = kernel * dilation + test_random(&seed) % 15;
    int64_t w = kernel * dilation + test_random(&seed) % 40;
    int64_t c = seed % 3 == 0 ? 19 : 1 + test_random(&seed) % 150;
    int64_t dims[4] = {2, nhwc ? h : c, nhwc ? w : h, nhwc ? c : w};
    int64_t count = 2 * c * h * w;
    void *x = malloc((size_t)count * 4);
    assert_non_null(x);
    if (dtype == LEDGE_F32) {
        test_fill_f32(x, count, &seed);
    } else {
        test_fill_8(x, count, &seed);
    }
    const void *want = NULL;
    struct test_net nets[2];
    for (int indices = 1; indices >= 0; indices--) {
        struct test_net *net = &nets[indices];
        test_init(net);
        int32_t in = test_input(net, dtype, 4, dims, x);
        int32_t out[2] = {ledge_graph_add_value(&net->graph, NULL, 0, -1, NULL),
                          ledge_graph_add_value(&net->graph, NULL, 0, -1, NULL)};
        assert_int_equal(ledge_graph_add_node(&net->graph, "", "MaxPool", 12, NULL, &in, 1, out,
                                              indices ? 2 : 1),
                         0);
        test_ints(net, "kernel_shape", TEST_SHAPE(kernel, kernel));
        test_ints(net, "strides", TEST_SHAPE(stride, stride));
        test_ints(net, "dilations", TEST_SHAPE(dilation, dilation));
        test_ints(net, "pads", TEST_SHAPE(pad, pad, pad, pad));
        test_int(net, "ceil_mode", seed & 1);
        test_int(net, "layout", nhwc);
        if (dtype == LEDGE_F32) {
            test_float(net, "clamp_low", -0.5f);
        }
        test_output(net, out[0]);
        test_run(net, indices ? LEDGE_RUNG_C : rung, indices ? 1 : 2);
        assert_int_equal(net->plan->steps[0].ready.run == ledge_max_pool_fast, !indices);
        struct ledge_view view = ledge_run_output(net->run, 0);
        if (indices) {
            want = view.data;
        } else {
            assert_memory_equal(view.data, want, ledge_view_bytes(&view));
        }
    }
    test_done(&nets[0]);
    test_done(&nets[1]);
    free(x);
}

static void same_as_the_judge(void **state)
{
    (void)state;
    static const enum ledge_dtype dtypes[] = {LEDGE_F32, LEDGE_U8, LEDGE_I8};
    for (uint32_t i = 1; i <= 40; i++) {
        for (int t = 0; t < 3; t++) {
            check(i * 2654435761u, dtypes[t], i & 1, LEDGE_RUNG_C);
            check(i * 2654435761u, dtypes[t], i & 1, ledge_port_rung());
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_as_the_judge),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
