/* SPDX-License-Identifier: Apache-2.0 */
/* plan_test.c -- plans of random graphs: no value is overwritten while somebody still reads it.
 *
 * Operators of domain "test": Mix (any number of inputs, one output: a digest of all inputs' bytes,
 * may run in place), Alias (same bytes), Join (all inputs, one after the other). Each kernel's
 * answer depends on every byte it reads, so that a clobbered input changes the result; the judge
 * evaluates the same graph with a block of memory per value.
 */
#include "engine/run/testing.h"

#include <stdlib.h>

#include "base/status.h"

static enum ledge_status same_shape(struct ledge_op_infer *infer)
{
    const struct ledge_value *in = ledge_infer_in(infer, 0);
    int64_t dims[1] = {ledge_node_int(infer->node, "n", in->dims[0])};
    LEDGE_TRY(ledge_infer_out(infer, 0, LEDGE_U8, 1, dims));
    dims[0] = 64;
    return ledge_infer_out(infer, 1, LEDGE_U8, 1, dims);
}

static void mix(const struct ledge_view *const *in, int32_t n_in, uint8_t *out, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        uint32_t h = 17;
        for (int32_t k = 0; k < n_in; k++) {
            const uint8_t *bytes = in[k]->data;
            int64_t m = in[k]->dims[0];
            /* element i only, when the shapes agree: legal in place */
            h = h * 31 + bytes[m == n ? i : i % m];
        }
        out[i] = (uint8_t)(h + h / 256 + 1);
    }
}

static enum ledge_status run_mix(const struct ledge_kernel_call *call)
{
    mix(call->in, call->n_in, call->out[0]->data, call->out[0]->dims[0]);
    if (call->n_out > 1 && call->out[1] != NULL) {
        const uint8_t *first = call->out[0]->data;
        for (int64_t i = 0; i < 64; i++) {
            ((uint8_t *)call->out[1]->data)[i] = (uint8_t)(first[i % call->out[0]->dims[0]] + i);
        }
    }
    memset(call->scratch, 0xee, call->scratch_bytes);
    return LEDGE_OK;
}

static enum ledge_status prepare_mix(struct ledge_op_prepare *prepare)
{
    bool alone = true; /* in place only when every input has the output's shape */
    for (int32_t i = 0; i < prepare->node->n_in; i++) {
        alone = alone &&
                ledge_prepare_in(prepare, i)->dims[0] == ledge_prepare_out(prepare, 0)->dims[0];
    }
    prepare->run = run_mix;
    prepare->kernel = "mix";
    prepare->in_place = alone ? (int32_t)ledge_node_int(prepare->node, "place", -1) : -1;
    prepare->scratch_bytes = (size_t)ledge_node_int(prepare->node, "scratch", 0);
    return LEDGE_OK;
}

static enum ledge_status prepare_alias(struct ledge_op_prepare *prepare)
{
    prepare->alias = 0;
    return LEDGE_OK;
}

static enum ledge_status joined_shape(struct ledge_op_infer *infer)
{
    int64_t dims[1] = {0};
    for (int32_t i = 0; i < infer->node->n_in; i++) {
        dims[0] += ledge_infer_in(infer, i)->dims[0];
    }
    return ledge_infer_out(infer, 0, LEDGE_U8, 1, dims);
}

static int made_there; /* inputs that a Join found in their place */

static enum ledge_status run_join(const struct ledge_kernel_call *call)
{
    uint8_t *to = call->out[0]->data;
    for (int32_t i = 0; i < call->n_in; i++) {
        size_t n = (size_t)call->in[i]->dims[0];
        if (call->in[i]->data != to) {
            memcpy(to, call->in[i]->data, n);
        } else {
            made_there++;
        }
        to += n;
    }
    return LEDGE_OK;
}

static enum ledge_status prepare_join(struct ledge_op_prepare *prepare)
{
    prepare->run = run_join;
    prepare->kernel = "join";
    prepare->joins = true;
    return LEDGE_OK;
}

static const struct ledge_op ops[] = {
    {.domain = "test", .name = "Join", .infer = joined_shape, .prepare = prepare_join},
    {.domain = "test", .name = "Mix", .infer = same_shape, .prepare = prepare_mix},
    {.domain = "test", .name = "Alias", .infer = same_shape, .prepare = prepare_alias},
};
static const struct ledge_op_table table = {.ops = ops, .n = 3, .next = NULL};

enum { MOST_BYTES = 768 };

static uint8_t input_bytes[2][256];

struct random_values {
    int32_t values[64];
    int64_t bytes[64];
    int n;
};

static void add_known(struct random_values *v, int32_t value, int64_t bytes)
{
    v->values[v->n] = value;
    v->bytes[v->n++] = bytes;
}

static void random_node(struct ledge_graph *graph, struct random_values *v, uint32_t *seed)
{
    static const char *const names[] = {"Alias", "Join", "Mix", "Mix"};
    int32_t in[3], n_in = 1 + (int32_t)(test_random(seed) % 3);
    int64_t all = 0, first = 0;
    for (int32_t k = 0; k < n_in; k++) {
        int window = test_random(seed) % 4 == 0 ? v->n : (v->n < 4 ? v->n : 4);
        int chosen = v->n - 1 - (int)(test_random(seed) % (uint32_t)window);
        in[k] = v->values[chosen];
        first = k == 0 ? v->bytes[chosen] : first;
        all += v->bytes[chosen];
    }
    int kind = (int)(test_random(seed) % 4);
    kind = kind == 1 && all > MOST_BYTES ? 2 : kind;
    int32_t out[2] = {ledge_graph_add_value(graph, NULL, LEDGE_U8, -1, NULL), -1};
    if (kind > 1 && test_random(seed) % 4 == 0) {
        out[1] = ledge_graph_add_value(graph, NULL, LEDGE_U8, -1, NULL);
    }
    int32_t node = ledge_graph_add_node(graph, "test", names[kind], 1, NULL, in,
                                        kind == 0 ? 1 : n_in, out, out[1] >= 0 ? 2 : 1);
    (void)ledge_graph_set_int(graph, node, "place", (int64_t)(test_random(seed) % (uint32_t)n_in));
    (void)ledge_graph_set_int(graph, node, "scratch", (int64_t)(test_random(seed) % 300));
    int64_t bytes = kind == 1 ? all : first;
    if (kind > 1 && test_random(seed) % 3 == 0) {
        int64_t any = 1 + (int64_t)(test_random(seed) % 256);
        bytes = test_random(seed) % 2 == 0 ? any : (any + 63) / 64 * 64;
        (void)ledge_graph_set_int(graph, node, "n", bytes);
    }
    add_known(v, out[0], bytes);
    if (out[1] >= 0) {
        add_known(v, out[1], 64);
    }
}

static void random_graph(struct ledge_graph *graph, uint32_t seed)
{
    struct random_values v = {.n = 0};
    graph->extra_ops = &table;
    for (int i = 0; i < 2; i++) {
        int64_t bytes = i == 0 ? 256 : 100;
        add_known(&v, ledge_graph_add_value(graph, NULL, LEDGE_U8, TEST_SHAPE(bytes)), bytes);
        assert_true(ledge_graph_add_input(graph, v.values[i]) == i);
    }
    add_known(
        &v, ledge_graph_add_constant(graph, NULL, LEDGE_U8, TEST_SHAPE(256), input_bytes[1], true),
        256);
    int steps = 3 + (int)(test_random(&seed) % 25);
    for (int s = 0; s < steps; s++) {
        random_node(graph, &v, &seed);
    }
    const int32_t *values = v.values;
    int n = v.n;
    assert_true(ledge_graph_add_output(graph, values[n - 1]) >= 0);
    assert_true(ledge_graph_add_output(graph, values[n / 2]) >= 0);
    assert_true(ledge_graph_add_output(graph, values[(int)(test_random(&seed) % (uint32_t)n)]) >=
                0);
}

/* Every value in memory of its own. */
static void judge(const struct ledge_plan *plan, const struct ledge_run *run)
{
    const struct ledge_graph *graph = &plan->graph;
    struct ledge_view views[80];
    assert_true(graph->n_values <= 80);
    for (int32_t i = 0; i < graph->n_values; i++) {
        views[i] = ledge_value_view(&graph->values[i]);
        if (views[i].data == NULL) {
            views[i].data = calloc(1, MOST_BYTES);
        }
    }
    for (int i = 0; i < 2; i++) {
        memcpy(views[graph->inputs[i]].data, input_bytes[i], i == 0 ? 256 : 100);
    }
    for (int32_t s = 0; s < plan->n_steps; s++) {
        const struct ledge_node *node = plan->steps[s].node;
        const struct ledge_view *in[3], *out[2] = {NULL, NULL};
        uint8_t scratch[512];
        for (int32_t k = 0; k < node->n_in; k++) {
            in[k] = &views[node->in[k]];
        }
        for (int32_t k = 0; k < node->n_out; k++) {
            out[k] = &views[node->out[k]];
        }
        struct ledge_kernel_call call = {
            .in = in, .n_in = node->n_in, .out = out, .n_out = node->n_out, .scratch = scratch};
        if (plan->steps[s].ready.alias >= 0) {
            memcpy(out[0]->data, in[0]->data, (size_t)in[0]->dims[0]);
        } else {
            bool join = plan->steps[s].ready.joins;
            assert_int_equal((join ? run_join : run_mix)(&call), LEDGE_OK);
        }
    }
    for (int32_t i = 0; i < graph->n_outputs; i++) {
        struct ledge_view got = ledge_run_output(run, i);
        assert_memory_equal(got.data, views[graph->outputs[i]].data, (size_t)got.dims[0]);
    }
    for (int32_t i = 0; i < graph->n_values; i++) {
        if (graph->values[i].data == NULL) {
            free(views[i].data);
        }
    }
}

static void live_values_never_overlap(void **state)
{
    (void)state;
    uint32_t seed = 5;
    int shared = 0;
    test_fill_8(input_bytes, sizeof input_bytes, &seed);
    for (uint32_t i = 1; i <= 600; i++) {
        struct test_net net;
        test_init(&net);
        random_graph(&net.graph, i * 2654435761u);
        net.data[0] = input_bytes[0];
        net.data[1] = input_bytes[1];
        test_run(&net, LEDGE_RUNG_C, 1);
        judge(net.plan, net.run);
        size_t sum = 0;
        for (int32_t v = 0; v < net.plan->graph.n_values; v++) {
            const struct ledge_place *place = &net.plan->places[v];
            if (place->kind == LEDGE_PLACE_ARENA) {
                size_t bytes = (size_t)net.plan->graph.values[v].dims[0];
                assert_int_equal(place->offset % 64, 0);
                assert_true(place->offset + bytes <= net.plan->arena_bytes);
                sum += bytes;
            }
        }
        shared += net.plan->arena_bytes < sum;
        test_done(&net);
    }
    assert_true(shared > 300); /* memory is in fact used twice */
    assert_true(made_there > 300);
}

static void missing_operators_are_all_named(void **state)
{
    (void)state;
    struct test_net net;
    test_init(&net);
    float x[1] = {0};
    int32_t a = test_input(&net, LEDGE_F32, TEST_SHAPE(1), x);
    int32_t b = test_node(&net, "", "Frobnicate", 1, &a);
    int32_t c = test_node(&net, "my.domain", "Twist", 1, &b);
    test_output(&net, test_node(&net, "", "Frobnicate", 1, &c));
    (void)test_node(&net, "", "NobodyReadsThis", 1, &a);
    assert_int_equal(test_try(&net, LEDGE_RUNG_C, 1), LEDGE_ERR_UNSUPPORTED);
    assert_string_equal(net.err.text, "no kernel for 2 operators: Frobnicate, my.domain.Twist");
    test_done(&net);
}

static void constants_fold(void **state)
{
    (void)state;
    struct test_net net;
    test_init(&net);
    const float m[4] = {1, 2, 3, 4};
    const float want[4] = {7, 10, 15, 22};
    int32_t a = test_constant(&net, LEDGE_F32, TEST_SHAPE(2, 2), m);
    test_output(&net, test_node(&net, "", "MatMul", 2, TEST_VALUES(a, a)));
    test_run(&net, LEDGE_RUNG_C, 1);
    assert_int_equal(net.plan->n_steps, 0);
    assert_int_equal(net.plan->arena_bytes, 0);
    test_near(test_result(&net, 0, TEST_SHAPE(2, 2)), want, 4, 0);
    test_done(&net);
}

static void free_dimensions_take_the_batch(void **state)
{
    (void)state;
    struct ledge_graph graph;
    struct ledge_plan *plan = NULL;
    struct ledge_error err;
    ledge_graph_init(&graph, NULL);
    test_sample(&graph);
    struct ledge_plan_options options = {.batch = 3};
    assert_int_equal(ledge_graph_sort(&graph, &err), LEDGE_OK);
    struct ledge_view shape = {.rank = 4, .dims = {2, 3, 8, 8}};
    graph.nodes[1].dead = true; /* Identity */
    ledge_graph_replace(&graph, graph.nodes[1].out[0], graph.nodes[1].in[0]);
    assert_int_equal(ledge_plan_create(&graph, &options, NULL, &plan, &err), LEDGE_OK);
    assert_int_equal(plan->graph.values[plan->graph.outputs[0]].dims[0], 3);
    ledge_plan_free(plan);
    options.input_shapes = &shape;
    options.n_input_shapes = 1;
    assert_int_equal(ledge_plan_create(&graph, &options, NULL, &plan, &err), LEDGE_OK);
    assert_int_equal(plan->graph.values[plan->graph.outputs[0]].dims[0], 2);
    ledge_plan_free(plan);
    shape.dims[1] = 4;
    assert_int_equal(ledge_plan_create(&graph, &options, NULL, &plan, &err), LEDGE_ERR_SHAPE);
    assert_non_null(strstr(err.text, "input x"));
    ledge_graph_done(&graph);
}

/* Nothing is computed of nothing, however long its dimensions are. */
static void empty_values_are_known(void **state)
{
    (void)state;
    const int64_t many = 1 << 20;
    const float none = 0;
    struct test_net net;
    test_init(&net);
    int32_t x = test_constant(&net, LEDGE_F32, TEST_SHAPE(many, 1, many, 0), &none);
    int32_t c = test_constant(&net, LEDGE_F32, TEST_SHAPE(many, many, 0), &none);
    test_output(&net, test_node(&net, "", "RotaryEmbedding", 3, TEST_VALUES(x, c, c)));
    test_run(&net, LEDGE_RUNG_C, 1);
    assert_int_equal(net.plan->n_steps, 0);
    (void)test_result(&net, 0, TEST_SHAPE(many, 1, many, 0));
    test_done(&net);
}

/* Threads share large products, and nothing of a plan of small ones. */
static void small_steps_are_not_shared(void **state)
{
    (void)state;
    enum { SMALL = 8, LARGE = 512 };
    static float b[LARGE * LARGE];
    for (int large = 0; large <= 1; large++) {
        int64_t n = large != 0 ? LARGE : SMALL;
        struct test_net net;
        struct ledge_plan *plan = NULL;
        struct ledge_error err;
        test_init(&net);
        int32_t x = test_input(&net, LEDGE_F32, TEST_SHAPE(4, n), b);
        int32_t w = test_constant(&net, LEDGE_F32, TEST_SHAPE(n, n), b);
        int32_t v = test_constant(&net, LEDGE_F32, TEST_SHAPE(n, 2), b);
        int32_t y = test_node(&net, "", "MatMul", 2, TEST_VALUES(x, w));
        test_output(&net, test_node(&net, "", "MatMul", 2, TEST_VALUES(y, v)));
        assert_int_equal(ledge_graph_sort(&net.graph, &err), LEDGE_OK);
        struct ledge_plan_options options = {.rung = LEDGE_RUNG_C, .threads = 2};
        assert_int_equal(ledge_plan_create(&net.graph, &options, NULL, &plan, &err), LEDGE_OK);
        assert_int_equal(plan->n_steps, 2);
        assert_int_equal(plan->steps[0].shared, large);
        assert_true(large != 0 || !plan->steps[1].shared);
        ledge_plan_free(plan);
        options.share_all = true;
        assert_int_equal(ledge_plan_create(&net.graph, &options, NULL, &plan, &err), LEDGE_OK);
        assert_true(plan->steps[0].shared && plan->steps[1].shared);
        ledge_plan_free(plan);
        test_done(&net);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_steps_are_not_shared),
        cmocka_unit_test(live_values_never_overlap),
        cmocka_unit_test(missing_operators_are_all_named),
        cmocka_unit_test(constants_fold),
        cmocka_unit_test(free_dimensions_take_the_batch),
        cmocka_unit_test(empty_values_are_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
