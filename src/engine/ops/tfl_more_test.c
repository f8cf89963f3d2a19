/* SPDX-License-Identifier: Apache-2.0 */
/* tfl_more_test.c -- TFLite's operators with a state, of 16 bits, of sounds and of boxes: against
 * arithmetic done another way, and refused when what they are given does not fit. */
#include "engine/run/testing.h"

#include <math.h>

static void quantise(struct test_net *net, int32_t value, enum ledge_dtype dtype, float scale,
                     int32_t zero)
{
    net->graph.values[value].quant = ledge_graph_quant(&net->graph, &scale, &zero, 1, 0);
    net->graph.values[value].dtype = dtype;
    assert_non_null(net->graph.values[value].quant);
}

/* A node of domain "tfl" with n_out outputs, numbered from *out on. */
static int32_t node(struct test_net *net, const char *op, int32_t n_in, const int32_t *in,
                    int32_t n_out)
{
    int32_t out[4];
    for (int32_t i = 0; i < n_out; i++) {
        out[i] = ledge_graph_add_value(&net->graph, NULL, LEDGE_DTYPE_NONE, -1, NULL);
    }
    assert_true(ledge_graph_add_node(&net->graph, "tfl", op, 1, NULL, in, n_in, out, n_out) >= 0);
    return out[0];
}

/* -- i16 products -- */

static void sixteen_bits_are_scaled_once(void **state)
{
    (void)state;
    int16_t x[2 * 8];
    int8_t w[3 * 8];
    const int64_t bias[3] = {100000, -7, 1LL << 33};
    uint32_t seed = 3;
    test_fill_8(x, sizeof x, &seed);
    test_fill_8(w, sizeof w, &seed);
    struct test_net net;
    test_init(&net);
    int32_t in[3] = {test_input(&net, LEDGE_I16, TEST_SHAPE(2, 8), x),
                     test_constant(&net, LEDGE_I8, TEST_SHAPE(3, 8), w),
                     test_constant(&net, LEDGE_I64, TEST_SHAPE(3), bias)};
    int32_t out = node(&net, "FullyConnected", 3, in, 1);
    quantise(&net, in[0], LEDGE_I16, 0.001f, 0);
    quantise(&net, in[1], LEDGE_I8, 0.02f, 0);
    quantise(&net, out, LEDGE_I16, 0.004f, 0);
    test_output(&net, out);
    test_run(&net, LEDGE_RUNG_C, 1);
    const int16_t *y = test_result(&net, 0, TEST_SHAPE(2, 3));
    double real = (double)(0.001f * 0.02f) / (double)0.004f;
    for (int i = 0; i < 6; i++) {
        double sum = (double)bias[i % 3];
        for (int k = 0; k < 8; k++) {
            sum += x[i / 3 * 8 + k] * w[i % 3 * 8 + k];
        }
        double want = fmin(fmax(sum * real, -32768), 32767);
        /* 16 bits of the factor are 15 right ones. */
        assert_true(fabs(y[i] - want) <= 0.5 + fabs(want) / 32768);
    }
    test_done(&net);
}

/* -- SVDF -- */

static void svdf_remembers(void **state)
{
    (void)state;
    const float x = 2, feature[2] = {1, 3}, time[4] = {10, 1, 100, 1}, bias = 0.5f;
    struct test_net net;
    test_init(&net);
    int32_t kept = ledge_graph_add_value(&net.graph, NULL, LEDGE_F32, TEST_SHAPE(1, 4));
    int32_t in[5] = {test_input(&net, LEDGE_F32, TEST_SHAPE(1, 1), &x),
                     test_constant(&net, LEDGE_F32, TEST_SHAPE(2, 1), feature),
                     test_constant(&net, LEDGE_F32, TEST_SHAPE(2, 2), time),
                     test_constant(&net, LEDGE_F32, TEST_SHAPE(1), &bias), kept};
    int32_t out = node(&net, "SVDF", 5, in, 2);
    test_int(&net, "rank", 2);
    assert_true(ledge_graph_add_state(&net.graph, (struct ledge_state){kept, out + 1, -1}) == 0);
    test_output(&net, out);
    test_run(&net, LEDGE_RUNG_C, 1);
    assert_true(*(const float *)test_result(&net, 0, TEST_SHAPE(1, 1)) == 0.5f + 2 + 6);
    assert_int_equal(ledge_run_once(net.run, &net.err), LEDGE_OK);
    assert_true(*(const float *)test_result(&net, 0, TEST_SHAPE(1, 1)) == 0.5f + 8 + 20 + 600);
    test_done(&net);
}

static void a_wrong_memory_is_refused(void **state)
{
    (void)state;
    const float x = 2, feature[2] = {1, 3}, time[4] = {10, 1, 100, 1};
    for (int64_t size = 1; size < 8; size++) {
        struct test_net net;
        float memory[8] = {0};
        test_init(&net);
        int32_t in[5] = {test_input(&net, LEDGE_F32, TEST_SHAPE(1, 1), &x),
                         test_constant(&net, LEDGE_F32, TEST_SHAPE(2, 1), feature),
                         test_constant(&net, LEDGE_F32, TEST_SHAPE(2, 2), time), -1,
                         test_input(&net, LEDGE_F32, TEST_SHAPE(1, size), memory)};
        int32_t out = node(&net, "SVDF", 5, in, 2);
        test_output(&net, out);
        test_output(&net, out + 1);
        assert_int_equal(test_try(&net, LEDGE_RUNG_C, 1) == LEDGE_OK, size == 4);
        test_done(&net);
    }
}

/* -- boxes -- */

/* Three boxes, the first two nearly the same; classes of the first overlap, the third stands alone.
 */
static void detect(bool every_class, const float *want, int32_t n)
{
    const float codes[12] = {0},
                anchors[12] = {.5f, .5f, .2f, .2f, .5f, .51f, .2f, .2f, .1f, .1f, .1f, .1f};
    const float scores[9] = {0, .9f, .1f, 0, .2f, .8f, 0, .7f, .3f}; /* background first */
    static const char *const scales[4] = {"y_scale", "x_scale", "h_scale", "w_scale"};
    struct test_net net;
    test_init(&net);
    int32_t in[3] = {test_input(&net, LEDGE_F32, TEST_SHAPE(1, 3, 4), codes),
                     test_input(&net, LEDGE_F32, TEST_SHAPE(1, 3, 3), scores),
                     test_constant(&net, LEDGE_F32, TEST_SHAPE(3, 4), anchors)};
    int32_t out = node(&net, "DetectionPostProcess", 3, in, 4);
    test_int(&net, "num_classes", 2);
    test_int(&net, "max_detections", 3);
    test_int(&net, "max_classes_per_detection", 1);
    test_int(&net, "use_regular_nms", every_class);
    test_float(&net, "nms_score_threshold", 0.5f);
    test_float(&net, "nms_iou_threshold", 0.5f);
    for (int i = 0; i < 4; i++) {
        test_float(&net, scales[i], 10);
        test_output(&net, out + i);
    }
    test_run(&net, LEDGE_RUNG_C, 1);
    const float *found = test_result(&net, 2, TEST_SHAPE(1, 3));
    assert_true(*(const float *)test_result(&net, 3, TEST_SHAPE(1)) == (float)n);
    test_near(found, want, 3, 1e-6f);
    const float corner[4] = {.4f, .4f, .6f, .6f};
    test_near(test_result(&net, 0, TEST_SHAPE(1, 3, 4)), corner, 4, 1e-6f);
    test_done(&net);
}

static void overlapping_boxes_are_suppressed(void **state)
{
    (void)state;
    detect(false, (const float[]){.9f, .7f, 0}, 2);  /* all compete */
    detect(true, (const float[]){.9f, .8f, .7f}, 3); /* of one class only */
}

/* -- sounds -- */

static void a_tone_has_one_line(void **state)
{
    (void)state;
    enum { N = 64, LINE = 5 };
    int16_t x[N];
    for (int i = 0; i < N; i++) {
        x[i] = (int16_t)lround(16000 * cos(2 * 3.14159265358979 * LINE * i / N));
    }
    struct test_net net;
    test_init(&net);
    int32_t in = test_input(&net, LEDGE_I16, TEST_SHAPE(N), x);
    int32_t spectrum = node(&net, "SignalRfft", 1, &in, 1);
    test_int(&net, "fft_length", N);
    int32_t energy = node(&net, "SignalEnergy", 1, &spectrum, 1);
    test_int(&net, "start_index", 1);
    test_int(&net, "end_index", N / 2 + 1);
    test_output(&net, spectrum);
    test_output(&net, energy);
    test_run(&net, LEDGE_RUNG_C, 1);
    const int16_t *s = test_result(&net, 0, TEST_SHAPE(N + 2));
    const uint32_t *e = test_result(&net, 1, TEST_SHAPE(N / 2 + 1));
    assert_in_range(s[2 * LINE], 8000 - 16, 8000 + 16); /* half of the amplitude */
    for (uint32_t i = 1; i <= N / 2; i++) {
        int32_t re = s[2 * i], im = s[2 * i + 1];
        assert_int_equal(e[i], re * re + im * im);
        assert_true(i == LINE || e[i] < 200);
    }
    assert_int_equal(e[0], 0);
    test_done(&net);
}

static void filter_ranges_are_checked(void **state)
{
    (void)state;
    const uint32_t x[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    const int16_t w[4] = {1, 1, 1, 1}, u[4] = {0, 0, 0, 0}, width[3] = {0, 2, 2};
    for (int16_t first = -1; first < 8; first++) {
        const int16_t frequency[3] = {0, 0, first}, weight[3] = {0, 0, 2};
        struct test_net net;
        test_init(&net);
        int32_t in[6] = {test_input(&net, LEDGE_U32, TEST_SHAPE(8), x),
                         test_constant(&net, LEDGE_I16, TEST_SHAPE(4), w),
                         test_constant(&net, LEDGE_I16, TEST_SHAPE(4), u),
                         test_constant(&net, LEDGE_I16, TEST_SHAPE(3), frequency),
                         test_constant(&net, LEDGE_I16, TEST_SHAPE(3), weight),
                         test_constant(&net, LEDGE_I16, TEST_SHAPE(3), width)};
        test_output(&net, node(&net, "SignalFilterBank", 6, in, 1));
        test_int(&net, "num_channels", 2);
        bool fits = first >= 0 && first <= 6;
        assert_int_equal(test_try(&net, LEDGE_RUNG_C, 1), fits ? LEDGE_OK : LEDGE_ERR_RANGE);
        if (fits) {
            const uint64_t *y = test_result(&net, 0, TEST_SHAPE(2));
            assert_int_equal(y[0], 1 + 2);
            assert_int_equal(y[1], x[first] + x[first + 1]);
        }
        test_done(&net);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sixteen_bits_are_scaled_once),
        cmocka_unit_test(svdf_remembers),
        cmocka_unit_test(a_wrong_memory_is_refused),
        cmocka_unit_test(overlapping_boxes_are_suppressed),
        cmocka_unit_test(a_tone_has_one_line),
        cmocka_unit_test(filter_ranges_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
