/* SPDX-License-Identifier: Apache-2.0 */
/* precision_test.c -- weights held as bf16: what runs on them, what it saves, and that nothing but
 * the rounding of the weights changes the answer. */
#include "ledge/ledge.h"

#include "engine/run/testing.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/format/ledge_file.h"
#include "engine/kernels/bf16.h"

enum { N = 8, SIDE = 9, C = 48, MID = 1400, OUT = 70, IN = C * SIDE * SIDE };

struct weights {
    float *point, *square, *matrix, *small;
};

static float *numbers(int64_t n, uint32_t *seed, float scale, bool rounded)
{
    float *made = malloc((size_t)n * sizeof *made);
    assert_non_null(made);
    test_fill_f32(made, n, seed);
    for (int64_t i = 0; i < n; i++) {
        uint16_t half;
        made[i] *= scale;
        ledge_bf16_narrow(&made[i], 1, &half);
        if (rounded) {
            ledge_bf16_widen(&half, 1, &made[i]);
        }
    }
    return made;
}

static int32_t add(struct ledge_graph *graph, const char *op, int32_t x, int32_t w)
{
    const int32_t in[2] = {x, w};
    int32_t y = ledge_graph_add_value(graph, NULL, LEDGE_DTYPE_NONE, -1, NULL);
    (void)ledge_graph_add_node(graph, "", op, 13, NULL, in, w < 0 ? 1 : 2, &y, 1);
    return y;
}

/* x [N][C][9][9] -> 1 x 1 -> 3 x 3 with stride 2 -> one row a picture -> times a matrix -> times a
 * small one. */
static uint8_t *file(bool rounded, struct weights *w, size_t *size)
{
    struct ledge_graph graph;
    uint32_t seed = 5;
    const int64_t two[2] = {2, 2};
    uint8_t *bytes = NULL;
    *w = (struct weights){.point = numbers((int64_t)MID * C, &seed, 0.1f, rounded),
                          .square = numbers((int64_t)OUT * MID * 9, &seed, 0.02f, rounded),
                          .matrix = numbers((int64_t)4 * 4 * OUT * OUT, &seed, 0.1f, rounded),
                          .small = numbers((int64_t)OUT * 3, &seed, 0.1f, rounded)};
    ledge_graph_init(&graph, NULL);
    int32_t x = ledge_graph_add_value(&graph, "x", LEDGE_F32, TEST_SHAPE(N, C, SIDE, SIDE));
    int32_t point =
        ledge_graph_add_constant(&graph, "p", LEDGE_F32, TEST_SHAPE(MID, C, 1, 1), w->point, false);
    int32_t square = ledge_graph_add_constant(&graph, "s", LEDGE_F32, TEST_SHAPE(OUT, MID, 3, 3),
                                              w->square, false);
    int32_t matrix = ledge_graph_add_constant(&graph, "m", LEDGE_F32, TEST_SHAPE(4 * 4 * OUT, OUT),
                                              w->matrix, false);
    int32_t small =
        ledge_graph_add_constant(&graph, "t", LEDGE_F32, TEST_SHAPE(OUT, 3), w->small, false);
    int32_t y = add(&graph, "Conv", x, point);
    y = add(&graph, "Relu", y, -1);
    y = add(&graph, "Conv", y, square);
    assert_true(ledge_graph_set_ints(&graph, graph.n_nodes - 1, "strides", two, 2));
    y = add(&graph, "Flatten", y, -1);
    y = add(&graph, "MatMul", y, matrix);
    y = add(&graph, "MatMul", y, small);
    assert_int_equal(ledge_graph_add_input(&graph, x), 0);
    assert_int_equal(ledge_graph_add_output(&graph, y), 0);
    assert_int_equal(ledge_file_write(&graph, NULL, size, NULL), LEDGE_OK);
    assert_int_equal(posix_memalign((void **)&bytes, 64, *size), 0);
    assert_int_equal(ledge_file_write(&graph, bytes, size, NULL), LEDGE_OK);
    ledge_graph_done(&graph);
    return bytes;
}

struct answer {
    float y[3 * N];
    size_t memory;
    int32_t bf16_steps;
};

static void run(struct ledge_model *model, int32_t precision, int32_t threads,
                struct answer *answer)
{
    static float x[N * IN];
    uint32_t seed = 77;
    struct ledge_session *session = NULL;
    struct ledge_session_options options = {.threads = threads, .precision = precision};
    struct ledge_tensor out, in = {.data = x,
                                   .bytes = sizeof x,
                                   .dtype = LEDGE_F32,
                                   .rank = 4,
                                   .dims = {N, C, SIDE, SIDE}};
    test_fill_f32(x, N * IN, &seed);
    assert_int_equal(ledge_session_open(model, &options, &session, NULL), LEDGE_OK);
    assert_int_equal(ledge_session_run(session, &in, 1, &out, 1, NULL), LEDGE_OK);
    assert_int_equal(out.bytes, sizeof answer->y);
    memcpy(answer->y, out.data, out.bytes);
    answer->memory = ledge_session_memory_bytes(session);
    answer->bf16_steps = 0;
    for (int32_t i = 0; i < ledge_session_n_steps(session); i++) {
        struct ledge_step_info step;
        assert_int_equal(ledge_session_step(session, i, &step), LEDGE_OK);
        answer->bf16_steps += strstr(step.kernel, "bf16") != NULL;
    }
    ledge_session_close(session);
}

static float difference(const struct answer *a, const struct answer *b)
{
    float worst = 0, range = 0;
    for (int i = 0; i < 3 * N; i++) {
        worst = fmaxf(worst, fabsf(a->y[i] - b->y[i]));
        range = fmaxf(range, fabsf(b->y[i]));
    }
    return worst / range;
}

static void bf16_only_rounds_the_weights(void **state)
{
    (void)state;
    for (int rounded = 0; rounded < 2; rounded++) {
        struct weights w;
        size_t size;
        uint8_t *bytes = file(rounded != 0, &w, &size);
        struct ledge_model *model = NULL;
        struct answer f32, bf16, threads;
        assert_int_equal(ledge_model_open_memory(bytes, size, NULL, &model, NULL), LEDGE_OK);
        run(model, LEDGE_PRECISION_F32, 1, &f32);
        run(model, LEDGE_PRECISION_BF16, 1, &bf16);
        run(model, LEDGE_PRECISION_BF16, 2, &threads);
        assert_int_equal(f32.bf16_steps, 0);
        assert_true(bf16.bf16_steps == 3 && bf16.memory < f32.memory);
        assert_memory_equal(bf16.y, threads.y, sizeof bf16.y);
        float error = difference(&bf16, &f32);
        print_message("%s weights: %d steps on bf16, %zu bytes instead of %zu, error %g\n",
                      rounded ? "rounded" : "any", (int)bf16.bf16_steps, bf16.memory, f32.memory,
                      (double)error);
        assert_true(rounded ? error < 1e-5f : error > 1e-6f && error < 1e-2f);
        ledge_model_close(model);
        free(bytes);
        free(w.point);
        free(w.square);
        free(w.matrix);
        free(w.small);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bf16_only_rounds_the_weights),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
