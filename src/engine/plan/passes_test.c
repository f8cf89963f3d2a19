/* SPDX-License-Identifier: Apache-2.0 */
/* Folding passes: the graph gets smaller, keeps its outputs' names, and gives the same answers;
 * what must not be folded is left alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "engine/plan/passes.h"
#include "engine/port/port.h"
#include "engine/run/run.h"

enum { IN = 2, OUT = 4, SIDE = 6, INPUTS = IN * SIDE * SIDE, OUTPUTS = OUT * SIDE * SIDE };

static const int64_t in_dims[] = {1, IN, SIDE, SIDE};
static const int64_t w_dims[] = {OUT, IN, 3, 3};
static const int64_t c_dims[] = {OUT};
static const int64_t chw_dims[] = {OUT, 1, 1};

static float next_float(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (float)(*seed >> 40) / 16777216.0f - 0.5f;
}

static int32_t constant(struct ledge_graph *g, int32_t rank, const int64_t *dims, float base,
                        uint64_t seed)
{
    float data[OUT * IN * 9];
    size_t n = 1;
    for (int32_t i = 0; i < rank; i++) {
        n *= (size_t)dims[i];
    }
    for (size_t i = 0; i < n; i++) {
        data[i] = base + next_float(&seed);
    }
    return ledge_graph_add_constant(g, NULL, LEDGE_F32, rank, dims, data, true);
}

static int32_t node(struct ledge_graph *g, const char *op, int32_t opset, const char *out,
                    const int32_t *in, int32_t n_in)
{
    int32_t value = ledge_graph_add_value(g, out, LEDGE_DTYPE_NONE, -1, NULL);
    assert_true(ledge_graph_add_node(g, "", op, opset, NULL, in, n_in, &value, 1) >= 0);
    return value;
}

static int32_t conv(struct ledge_graph *g, int32_t x, bool bias)
{
    const int64_t pads[] = {1, 1, 1, 1};
    int32_t in[3] = {x, constant(g, 4, w_dims, 0, 1), constant(g, 1, c_dims, 0, 2)};
    int32_t out = node(g, "Conv", 11, NULL, in, bias ? 3 : 2);
    assert_true(ledge_graph_set_ints(g, g->n_nodes - 1, "pads", pads, 4));
    return out;
}

static int32_t batch_norm(struct ledge_graph *g, int32_t x)
{
    const int32_t in[5] = {x, constant(g, 1, c_dims, 1, 3), constant(g, 1, c_dims, 0, 4),
                           constant(g, 1, c_dims, 0, 5), constant(g, 1, c_dims, 1, 6)};
    return node(g, "BatchNormalization", 9, NULL, in, 5);
}

static int32_t start(struct ledge_graph *g)
{
    ledge_graph_init(g, NULL);
    int32_t x = ledge_graph_add_value(g, "x", LEDGE_F32, 4, in_dims);
    assert_true(ledge_graph_add_input(g, x) >= 0);
    return x;
}

static void run(const struct ledge_graph *g, float out[OUTPUTS])
{
    const struct ledge_plan_options options = {.rung = LEDGE_RUNG_C, .threads = 1, .batch = 1};
    struct ledge_plan *plan = NULL;
    struct ledge_run *run = NULL;
    struct ledge_error err = {0};
    float x[INPUTS];
    uint64_t seed = 42;
    for (size_t i = 0; i < INPUTS; i++) {
        x[i] = 4 * next_float(&seed);
    }
    if (ledge_plan_create(g, &options, NULL, &plan, &err) != LEDGE_OK ||
        ledge_run_create(plan, NULL, ledge_allocator_default(), &run, &err) != LEDGE_OK) {
        fail_msg("%s", err.text);
    }
    ledge_run_bind(run, 0, x);
    assert_int_equal(ledge_run_once(run, &err), LEDGE_OK);
    struct ledge_view view = ledge_run_output(run, 0);
    assert_int_equal(ledge_view_count(&view), OUTPUTS);
    memcpy(out, view.data, sizeof(float) * OUTPUTS);
    ledge_run_free(run);
    ledge_plan_free(plan);
}

static int alive(const struct ledge_graph *g)
{
    int n = 0;
    for (int32_t i = 0; i < g->n_nodes; i++) {
        n += g->nodes[i].dead ? 0 : 1;
    }
    return n;
}

/* Run before and after the passes; `left` nodes may remain. */
static void same_answers(struct ledge_graph *g, int32_t y, int left)
{
    float before[OUTPUTS];
    float after[OUTPUTS];
    const char *name = g->values[y].name;
    assert_true(ledge_graph_add_output(g, y) >= 0);
    assert_int_equal(ledge_graph_sort(g, NULL), LEDGE_OK);
    run(g, before);
    assert_int_equal(ledge_passes_run(g, NULL), LEDGE_OK);
    assert_int_equal(alive(g), left);
    assert_string_equal(g->values[g->outputs[0]].name, name);
    run(g, after);
    for (size_t i = 0; i < OUTPUTS; i++) {
        if (!(fabsf(before[i] - after[i]) <= 1e-5f * (1 + fabsf(before[i])))) {
            fail_msg("element %zu: %g became %g", i, (double)before[i], (double)after[i]);
        }
    }
    ledge_graph_done(g);
}

static void everything_behind_a_convolution_goes_into_it(void **state)
{
    (void)state;
    for (int bias = 0; bias < 2; bias++) {
        struct ledge_graph g;
        int32_t y = batch_norm(&g, conv(&g, start(&g), bias != 0));
        y = node(&g, "Mul", 7, NULL, (const int32_t[]){y, constant(&g, 3, chw_dims, 1, 7)}, 2);
        y = node(&g, "Add", 7, NULL, (const int32_t[]){constant(&g, 3, chw_dims, 0, 8), y}, 2);
        y = node(&g, "Relu", 6, "y", &y, 1);
        same_answers(&g, y, 1);
    }
}

static void clips_of_both_forms(void **state)
{
    (void)state;
    const float low = -0.25f;
    const float high = 0.5f;
    struct ledge_graph g;
    int32_t y = conv(&g, start(&g), true);
    y = node(&g, "Clip", 6, NULL, &y, 1);
    assert_true(ledge_graph_set_float(&g, g.n_nodes - 1, "max", 1));
    int32_t bounds[3] = {y, ledge_graph_add_constant(&g, NULL, LEDGE_F32, 0, NULL, &low, true),
                         ledge_graph_add_constant(&g, NULL, LEDGE_F32, 0, NULL, &high, true)};
    y = node(&g, "Clip", 13, "y", bounds, 3);
    same_answers(&g, y, 1);
    /* a bound that is no constant stays a node */
    y = conv(&g, start(&g), true);
    int32_t bound = ledge_graph_add_value(&g, "bound", LEDGE_F32, 0, NULL);
    assert_true(ledge_graph_add_input(&g, bound) >= 0);
    y = node(&g, "Clip", 13, "y", (const int32_t[]){y, bound}, 2);
    assert_true(ledge_graph_add_output(&g, y) >= 0);
    assert_int_equal(ledge_passes_run(&g, NULL), LEDGE_OK);
    assert_int_equal(alive(&g), 2);
    ledge_graph_done(&g);
}

static void what_is_read_twice_is_left_alone(void **state)
{
    (void)state;
    struct ledge_graph g;
    int32_t c = conv(&g, start(&g), true);
    int32_t n = batch_norm(&g, c);
    int32_t r = node(&g, "Relu", 6, NULL, &c, 1);
    int32_t y = node(&g, "Add", 7, "y", (const int32_t[]){n, r}, 2);
    same_answers(&g, y, 4);
    /* an activation that comes before the normalisation keeps it out */
    c = conv(&g, start(&g), true);
    r = node(&g, "Relu", 6, NULL, &c, 1);
    y = batch_norm(&g, r);
    same_answers(&g, y, 2);
    /* and a graph output keeps its value */
    c = conv(&g, start(&g), true);
    r = node(&g, "Relu", 6, "r", &c, 1);
    assert_true(ledge_graph_add_output(&g, c) >= 0);
    assert_true(ledge_graph_add_output(&g, r) >= 0);
    assert_int_equal(ledge_passes_run(&g, NULL), LEDGE_OK);
    assert_int_equal(alive(&g), 2);
    ledge_graph_done(&g);
}

static void an_integer_relu_is_left_alone(void **state)
{
    (void)state;
    struct ledge_graph g;
    const int64_t dims[] = {4};
    ledge_graph_init(&g, NULL);
    int32_t x = ledge_graph_add_value(&g, "x", LEDGE_I32, 1, dims);
    assert_true(ledge_graph_add_input(&g, x) >= 0);
    int32_t a = node(&g, "Add", 14, NULL, (const int32_t[]){x, x}, 2);
    int32_t y = node(&g, "Relu", 14, "y", &a, 1);
    assert_true(ledge_graph_add_output(&g, y) >= 0);
    assert_int_equal(ledge_passes_run(&g, NULL), LEDGE_OK);
    assert_int_equal(alive(&g), 2);
    ledge_graph_done(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_behind_a_convolution_goes_into_it),
        cmocka_unit_test(clips_of_both_forms),
        cmocka_unit_test(what_is_read_twice_is_left_alone),
        cmocka_unit_test(an_integer_relu_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
