/* SPDX-License-Identifier: Apache-2.0 */
/* onnx_rnn_test.c -- recurrent layers with packed weights beside the same layers with weights that
 * the run brings: more steps than a block, widths that are no multiple of a vector, both
 * directions, lengths of their own, one thread and two. */
#include "engine/run/testing.h"

enum { STEPS = 37, BATCH = 3, IN = 21, HIDDEN = 19, MAX_WEIGHTS = 2 * 4 * HIDDEN * 32 };

struct layer {
    const char *op;
    int32_t gates;
    const char *direction;
    int64_t linear_before_reset;
    int64_t layout;
};

static struct {
    float x[STEPS * BATCH * IN], w[MAX_WEIGHTS], r[MAX_WEIGHTS], b[2 * 8 * HIDDEN];
    float h0[2 * BATCH * HIDDEN];
    int32_t lengths[BATCH];
    float y[2][STEPS * BATCH * 2 * HIDDEN];
} data;

static void run_layer(const struct layer *layer, bool constant, enum ledge_rung rung,
                      int32_t threads, float *y)
{
    struct test_net net;
    test_init(&net);
    int64_t d = strcmp(layer->direction, "bidirectional") == 0 ? 2 : 1, all = layer->gates * HIDDEN;
    const int64_t time_first[3] = {STEPS, BATCH, IN}, batch_first[3] = {BATCH, STEPS, IN};
    int32_t (*bring)(struct test_net *, enum ledge_dtype, int32_t, const int64_t *, const void *) =
        constant ? test_constant : test_input;
    int32_t x = test_input(&net, LEDGE_F32, 3, layer->layout ? batch_first : time_first, data.x);
    int32_t in[6] = {x,
                     bring(&net, LEDGE_F32, TEST_SHAPE(d, all, IN), data.w),
                     bring(&net, LEDGE_F32, TEST_SHAPE(d, all, HIDDEN), data.r),
                     bring(&net, LEDGE_F32, TEST_SHAPE(d, 2 * all), data.b),
                     test_constant(&net, LEDGE_I32, TEST_SHAPE(BATCH), data.lengths),
                     -1};
    in[5] = layer->layout ? test_input(&net, LEDGE_F32, TEST_SHAPE(BATCH, d, HIDDEN), data.h0)
                          : test_input(&net, LEDGE_F32, TEST_SHAPE(d, BATCH, HIDDEN), data.h0);
    int32_t out = test_node(&net, "", layer->op, 6, in);
    test_int(&net, "hidden_size", HIDDEN);
    test_int(&net, "layout", layer->layout);
    test_int(&net, "linear_before_reset", layer->linear_before_reset);
    assert_true(
        ledge_graph_set_string(&net.graph, net.graph.n_nodes - 1, "direction", layer->direction));
    test_output(&net, out);
    test_run(&net, rung, threads);
    struct ledge_view view = ledge_run_output(net.run, 0);
    assert_int_equal(ledge_view_bytes(&view), (size_t)(STEPS * BATCH * d * HIDDEN) * sizeof *y);
    memcpy(y, view.data, ledge_view_bytes(&view));
    test_done(&net);
}

static void packed_weights_give_the_same(void **state)
{
    (void)state;
    const struct layer layers[] = {
        {"LSTM", 4, "forward", 0, 0},      {"LSTM", 4, "bidirectional", 0, 1},
        {"GRU", 3, "reverse", 0, 0},       {"GRU", 3, "bidirectional", 1, 0},
        {"GRU", 3, "bidirectional", 0, 1}, {"RNN", 1, "reverse", 0, 0}};
    uint32_t seed = 11;
    test_fill_f32(data.x, STEPS * BATCH * IN, &seed);
    test_fill_f32(data.w, MAX_WEIGHTS, &seed);
    test_fill_f32(data.r, MAX_WEIGHTS, &seed);
    test_fill_f32(data.b, 2 * 8 * HIDDEN, &seed);
    test_fill_f32(data.h0, 2 * BATCH * HIDDEN, &seed);
    for (int i = 0; i < MAX_WEIGHTS; i++) { /* small, so that states do not saturate */
        data.w[i] *= 0.3f;
        data.r[i] *= 0.3f;
    }
    memcpy(data.lengths, (const int32_t[]){STEPS, 16, 0}, sizeof data.lengths);
    for (size_t i = 0; i < sizeof layers / sizeof layers[0]; i++) {
        int64_t d = strcmp(layers[i].direction, "bidirectional") == 0 ? 2 : 1;
        int64_t n = STEPS * BATCH * d * HIDDEN;
        run_layer(&layers[i], false, LEDGE_RUNG_C, 1, data.y[0]);
        for (int rung = LEDGE_RUNG_C; rung <= (int)ledge_port_rung(); rung++) {
            if (!test_can_run(rung)) {
                continue;
            }
            run_layer(&layers[i], true, (enum ledge_rung)rung, 1, data.y[1]);
            test_near(data.y[1], data.y[0], n, 1e-5f);
        }
        static float again[STEPS * BATCH * 2 * HIDDEN];
        run_layer(&layers[i], true, ledge_port_rung(), 2, again);
        assert_memory_equal(again, data.y[1], (size_t)n * sizeof again[0]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(packed_weights_give_the_same)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
