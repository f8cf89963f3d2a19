/* SPDX-License-Identifier: Apache-2.0 */
/* control_test.c -- If, Loop and Scan: captures, nesting, no trips, shapes that are known only in
 * the run, bodies that do not fit. */
#include "engine/plan/passes.h"
#include "engine/run/testing.h"

static int32_t value(struct ledge_graph *graph, enum ledge_dtype dtype)
{
    int32_t v = ledge_graph_add_value(graph, NULL, dtype, -1, NULL);
    assert_true(v >= 0);
    return v;
}

static int32_t node(struct ledge_graph *graph, const char *op, int32_t n_in, const int32_t *in)
{
    int32_t out = value(graph, LEDGE_DTYPE_NONE);
    assert_true(ledge_graph_add_node(graph, "", op, 17, NULL, in, n_in, &out, 1) >= 0);
    return out;
}

static int32_t input(struct ledge_graph *graph, enum ledge_dtype dtype)
{
    int32_t v = value(graph, dtype);
    assert_true(ledge_graph_add_input(graph, v) >= 0);
    return v;
}

static int32_t capture(struct ledge_graph *graph)
{
    graph->n_captures++;
    return input(graph, LEDGE_DTYPE_NONE);
}

static struct ledge_graph *sub(struct ledge_graph *graph)
{
    struct ledge_graph *made = ledge_graph_sub(graph);
    assert_non_null(made);
    return made;
}

static void output(struct ledge_graph *graph, int32_t v)
{
    assert_true(ledge_graph_add_output(graph, v) >= 0);
}

static void attach(struct ledge_graph *graph, const char *name, struct ledge_graph *body)
{
    struct ledge_error err;
    assert_int_equal(ledge_graph_sort(body, &err), LEDGE_OK);
    assert_true(ledge_graph_set_graph(graph, graph->n_nodes - 1, name, body));
}

/* y = condition ? Neg(x) : x + x, with x captured. */
static int32_t add_if(struct ledge_graph *graph, int32_t condition, int32_t x)
{
    int32_t out = node(graph, "If", 3, TEST_VALUES(condition, x, x));
    struct ledge_graph *then_branch = sub(graph), *else_branch = sub(graph);
    int32_t a = capture(then_branch), b = capture(else_branch);
    output(then_branch, node(then_branch, "Neg", 1, &a));
    output(else_branch, node(else_branch, "Add", 2, TEST_VALUES(b, b)));
    attach(graph, "then_branch", then_branch);
    attach(graph, "else_branch", else_branch);
    return out;
}

static void if_takes_the_branch(void **state)
{
    (void)state;
    struct test_net net;
    const float x[3] = {1, -2, 3};
    uint8_t condition = 1;
    test_init(&net);
    int32_t c = test_input(&net, LEDGE_BOOL, 0, NULL, &condition);
    int32_t v = test_input(&net, LEDGE_F32, TEST_SHAPE(3), x);
    int32_t late = add_if(&net.graph, c, v);
    test_output(&net, test_node(&net, "", "Relu", 1, &late));
    test_run(&net, LEDGE_RUNG_C, 1);
    assert_int_equal(net.plan->n_late, 2);
    test_near(test_result(&net, 0, TEST_SHAPE(3)), (const float[]){0, 2, 0}, 3, 0);
    condition = 0;
    assert_int_equal(ledge_run_once(net.run, &net.err), LEDGE_OK);
    test_near(test_result(&net, 0, TEST_SHAPE(3)), (const float[]){2, 0, 6}, 3, 0);
    test_done(&net);
}

static void constant_condition_is_inlined(void **state)
{
    (void)state;
    const float x[3] = {1, -2, 3};
    const uint8_t no = 0;
    for (int passes = 0; passes < 2; passes++) {
        struct test_net net;
        test_init(&net);
        int32_t v = test_input(&net, LEDGE_F32, TEST_SHAPE(3), x);
        int32_t c = test_constant(&net, LEDGE_BOOL, 0, NULL, &no);
        test_output(&net, add_if(&net.graph, c, v));
        if (passes > 0) {
            assert_int_equal(ledge_passes_run(&net.graph, &net.err), LEDGE_OK);
        }
        test_run(&net, LEDGE_RUNG_C, 1);
        assert_int_equal(net.plan->n_late, 0);
        assert_int_equal(net.plan->n_steps, 1);
        test_near(test_result(&net, 0, TEST_SHAPE(3)), (const float[]){2, -4, 6}, 3, 0);
        test_done(&net);
    }
}

/* Loop over trips, carrying s: s = odd trip ? -(s + step) : 2 * (s + step), with step captured from
 * outside and s handed to an If inside; scan output: s. */
static int32_t add_loop(struct test_net *net, int32_t trips, int32_t s, int32_t step)
{
    static const int64_t two = 2;
    struct ledge_graph *graph = &net->graph;
    int32_t out[2] = {value(graph, LEDGE_DTYPE_NONE), value(graph, LEDGE_DTYPE_NONE)};
    const int32_t in[4] = {trips, -1, s, step};
    assert_true(ledge_graph_add_node(graph, "", "Loop", 17, NULL, in, 4, out, 2) >= 0);
    struct ledge_graph *body = sub(graph);
    int32_t number = input(body, LEDGE_I64), go = input(body, LEDGE_BOOL);
    int32_t carried = input(body, LEDGE_F32), by = capture(body);
    int32_t c2 = ledge_graph_add_constant(body, NULL, LEDGE_I64, 0, NULL, &two, true);
    int32_t rest = node(body, "Mod", 2, TEST_VALUES(number, c2));
    int32_t odd = node(body, "Cast", 1, &rest);
    assert_true(ledge_graph_set_int(body, body->n_nodes - 1, "to", LEDGE_BOOL));
    int32_t sum = node(body, "Add", 2, TEST_VALUES(carried, by));
    int32_t next = add_if(body, odd, sum);
    body->values[next].dtype = LEDGE_F32; /* as declared: nothing else tells it without a trip */
    body->values[next].rank = 1;
    body->values[next].dims[0] = 2;
    output(body, go);
    output(body, next);
    output(body, next);
    attach(graph, "body", body);
    output(graph, out[0]);
    output(graph, out[1]);
    return out[0];
}

static void loop_with_if_inside(void **state)
{
    (void)state;
    struct test_net net;
    int64_t trips = 3;
    const float s[2] = {1, 10}, step[2] = {1, 2};
    test_init(&net);
    int32_t t = test_input(&net, LEDGE_I64, 0, NULL, &trips);
    int32_t v = test_input(&net, LEDGE_F32, TEST_SHAPE(2), s);
    int32_t by = test_input(&net, LEDGE_F32, TEST_SHAPE(2), step);
    (void)add_loop(&net, t, v, by);
    test_run(&net, LEDGE_RUNG_C, 1);
    const float want[6] = {4, 24, -5, -26, -8, -48};
    test_near(test_result(&net, 0, TEST_SHAPE(2)), want + 4, 2, 0);
    test_near(test_result(&net, 1, TEST_SHAPE(3, 2)), want, 6, 0);
    trips = 1;
    assert_int_equal(ledge_run_once(net.run, &net.err), LEDGE_OK);
    test_near(test_result(&net, 0, TEST_SHAPE(2)), want, 2, 0);
    test_near(test_result(&net, 1, TEST_SHAPE(1, 2)), want, 2, 0);
    trips = 0;
    assert_int_equal(ledge_run_once(net.run, &net.err), LEDGE_OK);
    test_near(test_result(&net, 0, TEST_SHAPE(2)), s, 2, 0);
    (void)test_result(&net, 1, TEST_SHAPE(0, 2));
    test_done(&net);
}

static void trips_have_a_limit(void **state)
{
    (void)state;
    struct test_net net;
    const int64_t trips = INT64_MAX;
    const float s[1] = {1}, step[1] = {1};
    test_init(&net);
    int32_t t = test_input(&net, LEDGE_I64, 0, NULL, &trips);
    int32_t v = test_input(&net, LEDGE_F32, TEST_SHAPE(1), s);
    (void)add_loop(&net, t, v, test_input(&net, LEDGE_F32, TEST_SHAPE(1), step));
    struct ledge_plan_options options = {.rung = LEDGE_RUNG_C, .max_trips = 5};
    assert_int_equal(ledge_plan_create(&net.graph, &options, NULL, &net.plan, &net.err), LEDGE_OK);
    assert_int_equal(ledge_run_create(net.plan, NULL, NULL, &net.run, &net.err), LEDGE_OK);
    for (int32_t i = 0; i < 3; i++) {
        ledge_run_bind(net.run, i, net.data[i]);
    }
    assert_int_equal(ledge_run_once(net.run, &net.err), LEDGE_ERR_RANGE);
    assert_non_null(strstr(net.err.text, "more than 5 trips"));
    test_done(&net);
}

static void carried_values_may_swap(void **state)
{
    (void)state;
    struct test_net net;
    const int64_t trips = 3;
    const float a[1] = {1}, b[2] = {2, 3};
    test_init(&net);
    struct ledge_graph *graph = &net.graph;
    int32_t in[4] = {test_input(&net, LEDGE_I64, 0, NULL, &trips), -1,
                     test_input(&net, LEDGE_F32, TEST_SHAPE(1), a),
                     test_input(&net, LEDGE_F32, TEST_SHAPE(2), b)};
    int32_t out[2] = {value(graph, LEDGE_DTYPE_NONE), value(graph, LEDGE_DTYPE_NONE)};
    assert_true(ledge_graph_add_node(graph, "", "Loop", 17, NULL, in, 4, out, 2) >= 0);
    struct ledge_graph *body = sub(graph);
    (void)input(body, LEDGE_I64);
    int32_t go = input(body, LEDGE_BOOL), x = input(body, LEDGE_F32), y = input(body, LEDGE_F32);
    output(body, go);
    output(body, y);
    output(body, x);
    attach(graph, "body", body);
    output(graph, out[0]);
    output(graph, out[1]);
    test_run(&net, LEDGE_RUNG_C, 1);
    test_near(test_result(&net, 0, TEST_SHAPE(2)), b, 2, 0);
    test_near(test_result(&net, 1, TEST_SHAPE(1)), a, 1, 0);
    test_done(&net);
}

static void scan_sums_columns(void **state)
{
    (void)state;
    struct test_net net;
    const float zero[2] = {0, 0}, x[6] = {1, 2, 3, 10, 20, 30};
    test_init(&net);
    struct ledge_graph *graph = &net.graph;
    int32_t in[2] = {test_input(&net, LEDGE_F32, TEST_SHAPE(2), zero),
                     test_input(&net, LEDGE_F32, TEST_SHAPE(2, 3), x)};
    int32_t out[2] = {value(graph, LEDGE_DTYPE_NONE), value(graph, LEDGE_DTYPE_NONE)};
    assert_true(ledge_graph_add_node(graph, "", "Scan", 17, NULL, in, 2, out, 2) >= 0);
    test_int(&net, "num_scan_inputs", 1);
    test_ints(&net, "scan_input_axes", 1, TEST_DIMS(-1));
    test_ints(&net, "scan_input_directions", 1, TEST_DIMS(1));
    test_ints(&net, "scan_output_axes", 1, TEST_DIMS(1));
    struct ledge_graph *body = sub(graph);
    int32_t s = input(body, LEDGE_F32), slice = input(body, LEDGE_F32);
    int32_t sum = node(body, "Add", 2, TEST_VALUES(s, slice));
    output(body, sum);
    output(body, sum);
    attach(graph, "body", body);
    output(graph, out[0]);
    output(graph, out[1]);
    test_run(&net, LEDGE_RUNG_C, 1);
    test_near(test_result(&net, 0, TEST_SHAPE(2)), (const float[]){6, 60}, 2, 0);
    test_near(test_result(&net, 1, TEST_SHAPE(2, 3)), (const float[]){3, 5, 6, 30, 50, 60}, 6, 0);
    test_done(&net);
}

/* Reshape to a shape that is computed in the run, and what follows it. */
static void shapes_known_only_in_the_run(void **state)
{
    (void)state;
    struct test_net net;
    const float x[6] = {1, -2, 3, -4, 5, -6};
    int64_t shape[2] = {2, 3};
    test_init(&net);
    int32_t v = test_input(&net, LEDGE_F32, TEST_SHAPE(6), x);
    int32_t s = test_input(&net, LEDGE_I64, TEST_SHAPE(2), shape);
    int32_t early = test_node(&net, "", "Relu", 1, &v);
    int32_t late = test_node(&net, "", "Reshape", 2, TEST_VALUES(early, s));
    test_output(&net, test_node(&net, "", "Transpose", 1, &late));
    test_run(&net, LEDGE_RUNG_C, 1);
    assert_int_equal(net.plan->n_steps, 1);
    assert_int_equal(net.plan->n_late, 2);
    test_near(test_result(&net, 0, TEST_SHAPE(3, 2)), (const float[]){1, 0, 0, 5, 3, 0}, 6, 0);
    shape[0] = 3;
    shape[1] = -1;
    assert_int_equal(ledge_run_once(net.run, &net.err), LEDGE_OK);
    test_near(test_result(&net, 0, TEST_SHAPE(2, 3)), (const float[]){1, 3, 5, 0, 0, 0}, 6, 0);
    shape[0] = 4;
    assert_int_equal(ledge_run_once(net.run, &net.err), LEDGE_ERR_SHAPE);
    assert_non_null(strstr(net.err.text, "Reshape"));
    test_done(&net);
}

static void bodies_that_do_not_fit(void **state)
{
    (void)state;
    const float x[1] = {1};
    const uint8_t yes = 1;
    const int64_t trips = 1;
    for (int kind = 0; kind < 3; kind++) {
        struct test_net net;
        test_init(&net);
        struct ledge_graph *graph = &net.graph;
        int32_t c = test_input(&net, LEDGE_BOOL, 0, NULL, &yes);
        int32_t v = test_input(&net, LEDGE_F32, TEST_SHAPE(1), x);
        int32_t t = test_input(&net, LEDGE_I64, 0, NULL, &trips);
        const int32_t if_in[1] = {c}, loop_in[3] = {t, c, v};
        int32_t out = kind == 0 ? node(graph, "If", 1, if_in) : node(graph, "Loop", 3, loop_in);
        struct ledge_graph *body = sub(graph);
        if (kind == 1) { /* a body without inputs */
            output(body, ledge_graph_add_constant(body, NULL, LEDGE_BOOL, 0, NULL, &yes, true));
        } else if (kind == 2) { /* a condition that is no bool */
            (void)input(body, LEDGE_I64);
            (void)input(body, LEDGE_BOOL);
            int32_t s = input(body, LEDGE_F32);
            output(body, s);
            output(body, s);
        }
        attach(graph, kind == 0 ? "else_branch" : "body", body);
        output(graph, out);
        enum ledge_status status = test_try(&net, LEDGE_RUNG_C, 1);
        assert_int_equal(status, kind == 2 ? LEDGE_ERR_DTYPE : LEDGE_ERR_FORMAT);
        test_done(&net);
    }
}

/* A sequence that grows in a loop, joined afterwards; a position outside of it. */
static void sequences_grow(void **state)
{
    (void)state;
    struct test_net net;
    const int64_t trips = 3;
    int64_t at = -3;
    const float x[2] = {1, 2};
    test_init(&net);
    struct ledge_graph *graph = &net.graph;
    int32_t t = test_input(&net, LEDGE_I64, 0, NULL, &trips);
    int32_t v = test_input(&net, LEDGE_F32, TEST_SHAPE(2), x);
    int32_t position = test_input(&net, LEDGE_I64, 0, NULL, &at);
    int32_t empty = node(graph, "SequenceEmpty", 0, NULL);
    int32_t list = node(graph, "Loop", 4, TEST_VALUES(t, -1, empty, v));
    struct ledge_graph *body = sub(graph);
    int32_t number = input(body, LEDGE_I64), go = input(body, LEDGE_BOOL);
    int32_t carried = input(body, LEDGE_DTYPE_NONE), item = capture(body);
    int32_t real = node(body, "CastLike", 2, TEST_VALUES(number, item));
    int32_t sum = node(body, "Add", 2, TEST_VALUES(real, item));
    output(body, go);
    output(body, node(body, "SequenceInsert", 2, TEST_VALUES(carried, sum)));
    attach(graph, "body", body);
    test_output(&net, node(graph, "ConcatFromSequence", 1, &list));
    test_int(&net, "axis", 0);
    test_int(&net, "new_axis", 1);
    test_output(&net, node(graph, "SequenceAt", 2, TEST_VALUES(list, position)));
    test_run(&net, LEDGE_RUNG_C, 1);
    test_near(test_result(&net, 0, TEST_SHAPE(3, 2)), (const float[]){1, 2, 2, 3, 3, 4}, 6, 0);
    test_near(test_result(&net, 1, TEST_SHAPE(2)), x, 2, 0);
    at = 3;
    assert_int_equal(ledge_run_once(net.run, &net.err), LEDGE_ERR_RANGE);
    assert_non_null(strstr(net.err.text, "position 3 of 3"));
    test_done(&net);
}

/* Texts made in a loop are the loop's own: each trip puts x before what it carries. */
static void texts_survive_a_loop(void **state)
{
    (void)state;
    struct test_net net;
    const int64_t trips = 3;
    const struct ledge_string x = {"ab", 2}, none = {NULL, 0};
    test_init(&net);
    struct ledge_graph *graph = &net.graph;
    int32_t t = test_input(&net, LEDGE_I64, 0, NULL, &trips);
    int32_t v = test_input(&net, LEDGE_STRING, TEST_SHAPE(1), &x);
    int32_t start = test_input(&net, LEDGE_STRING, TEST_SHAPE(1), &none);
    int32_t text = node(graph, "Loop", 4, TEST_VALUES(t, -1, start, v));
    struct ledge_graph *body = sub(graph);
    (void)input(body, LEDGE_I64);
    int32_t go = input(body, LEDGE_BOOL);
    int32_t carried = input(body, LEDGE_STRING), more = capture(body);
    output(body, go);
    output(body, node(body, "StringConcat", 2, TEST_VALUES(more, carried)));
    attach(graph, "body", body);
    test_output(&net, text);
    test_output(&net, node(graph, "Equal", 2, TEST_VALUES(text, v)));
    test_run(&net, LEDGE_RUNG_C, 1);
    const struct ledge_string *made = test_result(&net, 0, TEST_SHAPE(1));
    assert_int_equal(made->bytes, 6);
    assert_memory_equal(made->text, "ababab", 6);
    assert_int_equal(*(const uint8_t *)test_result(&net, 1, TEST_SHAPE(1)), 0);
    test_stop(&net);
    test_output(&net, node(graph, "Neg", 1, &text));
    assert_int_not_equal(test_try(&net, LEDGE_RUNG_C, 1), LEDGE_OK);
    test_done(&net);
}

static void depth_is_bounded(void **state)
{
    (void)state;
    struct ledge_graph graph;
    ledge_graph_init(&graph, NULL);
    struct ledge_graph *at = &graph;
    for (int i = 0; i < LEDGE_MAX_DEPTH; i++) {
        at = ledge_graph_sub(at);
        assert_non_null(at);
    }
    assert_null(ledge_graph_sub(at));
    ledge_graph_done(&graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(if_takes_the_branch),
        cmocka_unit_test(constant_condition_is_inlined),
        cmocka_unit_test(loop_with_if_inside),
        cmocka_unit_test(trips_have_a_limit),
        cmocka_unit_test(carried_values_may_swap),
        cmocka_unit_test(scan_sums_columns),
        cmocka_unit_test(shapes_known_only_in_the_run),
        cmocka_unit_test(bodies_that_do_not_fit),
        cmocka_unit_test(sequences_grow),
        cmocka_unit_test(texts_survive_a_loop),
        cmocka_unit_test(depth_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
