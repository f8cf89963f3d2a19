/* SPDX-License-Identifier: Apache-2.0 */
/* graph_test.c -- building, finding, sorting, sweeping, copying graphs. */
#include "engine/run/testing.h"

static int32_t node(struct ledge_graph *graph, int32_t in, int32_t out, const char *name)
{
    return ledge_graph_add_node(graph, "", "Identity", 13, name, &in, 1, &out, 1);
}

static int32_t value(struct ledge_graph *graph, const char *name)
{
    return ledge_graph_add_value(graph, name, LEDGE_F32, TEST_SHAPE(2));
}

static void names_are_found_and_made(void **state)
{
    (void)state;
    struct ledge_graph graph;
    char text[16];
    ledge_graph_init(&graph, NULL);
    assert_int_equal(ledge_graph_find(&graph, "a"), -1);
    for (int i = 0; i < 1000; i++) {
        text[0] = (char)('a' + i % 26);
        text[1] = (char)('a' + i / 26 % 26);
        text[2] = (char)('a' + i / 676);
        text[3] = '\0';
        assert_int_equal(value(&graph, text), i);
    }
    assert_int_equal(ledge_graph_find(&graph, "aaa"), 0);
    assert_int_equal(ledge_graph_find(&graph, "baa"), 1);
    assert_int_equal(ledge_graph_find(&graph, "zzz"), -1);
    int32_t first = value(&graph, NULL);
    int32_t second = value(&graph, NULL);
    assert_string_not_equal(graph.values[first].name, graph.values[second].name);
    assert_int_equal(ledge_graph_find(&graph, graph.values[second].name), second);
    ledge_graph_done(&graph);
}

static void sort_orders_and_checks(void **state)
{
    (void)state;
    struct ledge_graph graph;
    struct ledge_error err;
    ledge_graph_init(&graph, NULL);
    int32_t x = value(&graph, "x"), a = value(&graph, "a"), b = value(&graph, "b");
    assert_int_equal(node(&graph, a, b, "late"), 0);
    assert_int_equal(node(&graph, x, a, "early"), 1);
    assert_true(ledge_graph_add_output(&graph, b) == 0);
    assert_int_equal(ledge_graph_sort(&graph, &err), LEDGE_ERR_FORMAT); /* x comes from nowhere */
    assert_non_null(strstr(err.text, "early"));
    assert_true(ledge_graph_add_input(&graph, x) == 0);
    assert_int_equal(ledge_graph_sort(&graph, &err), LEDGE_OK);
    assert_string_equal(graph.nodes[0].name, "early");
    assert_int_equal(graph.values[b].producer, 1);
    int32_t extra = node(&graph, x, b, "again");
    assert_int_equal(ledge_graph_sort(&graph, &err), LEDGE_ERR_FORMAT);
    assert_non_null(strstr(err.text, "two producers"));
    graph.nodes[extra].dead = true;
    graph.nodes[0].in[0] = b; /* early reads what late makes */
    assert_int_equal(ledge_graph_sort(&graph, &err), LEDGE_ERR_FORMAT);
    assert_non_null(strstr(err.text, "cycle"));
    ledge_graph_done(&graph);
}

static void replace_and_sweep(void **state)
{
    (void)state;
    struct ledge_graph graph;
    int32_t readers[4];
    ledge_graph_init(&graph, NULL);
    int32_t x = value(&graph, "x"), a = value(&graph, "a"), b = value(&graph, "b");
    int32_t unread = value(&graph, "unread"), more = value(&graph, "more");
    assert_true(ledge_graph_add_input(&graph, x) == 0);
    assert_int_equal(node(&graph, x, a, NULL), 0);
    assert_int_equal(node(&graph, a, b, NULL), 1);
    assert_int_equal(node(&graph, a, unread, NULL), 2);
    assert_int_equal(node(&graph, unread, more, NULL), 3);
    assert_true(ledge_graph_add_output(&graph, b) == 0);
    assert_int_equal(ledge_graph_readers(&graph, a, readers, 4), 2);
    assert_int_equal(readers[1], 2);
    ledge_graph_replace(&graph, b, a);
    assert_int_equal(graph.outputs[0], a);
    assert_string_equal(graph.values[a].name, "b"); /* the output keeps its name */
    assert_int_equal(ledge_graph_find(&graph, "b"), a);
    assert_int_equal(ledge_graph_find(&graph, "a"), b);
    ledge_graph_sweep(&graph);
    assert_false(graph.nodes[0].dead);
    assert_true(graph.nodes[1].dead && graph.nodes[2].dead && graph.nodes[3].dead);
    ledge_graph_done(&graph);
}

static void a_copy_stands_alone(void **state)
{
    (void)state;
    struct ledge_graph from, to;
    ledge_graph_init(&from, NULL);
    ledge_graph_init(&to, NULL);
    test_sample(&from);
    assert_int_equal(ledge_graph_copy(&from, &to, NULL), LEDGE_OK);
    assert_ptr_equal(to.values[1].data, from.values[1].data);
    assert_ptr_not_equal(to.values[1].name, from.values[1].name);
    assert_true(ledge_graph_set_int(&to, 0, "group", 7));
    assert_int_equal(ledge_node_int(&from.nodes[0], "group", 1), 1);
    assert_int_equal(ledge_node_int(&to.nodes[0], "group", 1), 7);
    assert_true(ledge_graph_set_int(&to, 0, "group", 8)); /* replaces */
    assert_int_equal(ledge_node_int(&to.nodes[0], "group", 1), 8);
    assert_int_equal(to.nodes[0].n_attrs, from.nodes[0].n_attrs + 1);
    assert_string_equal(ledge_node_string(&to.nodes[2], "auto_pad", ""), "VALID");
    assert_string_equal(ledge_node_string(&to.nodes[2], "strides", "no"), "no"); /* ints */
    ledge_graph_done(&from);
    assert_string_equal(to.values[to.outputs[0]].name, "y");
    ledge_graph_done(&to);
}

static void constants_are_measured(void **state)
{
    (void)state;
    struct ledge_graph graph;
    ledge_graph_init(&graph, NULL);
    const int64_t huge[3] = {INT64_MAX, INT64_MAX, 4};
    assert_int_equal(ledge_graph_add_constant(&graph, NULL, LEDGE_F32, 3, huge, huge, true), -1);
    int32_t none = ledge_graph_add_constant(&graph, NULL, LEDGE_F32, TEST_SHAPE(0), NULL, false);
    assert_non_null(graph.values[none].data);
    assert_int_equal(graph.values[none].bytes, 0);
    ledge_graph_done(&graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_found_and_made), cmocka_unit_test(sort_orders_and_checks),
        cmocka_unit_test(replace_and_sweep),        cmocka_unit_test(a_copy_stands_alone),
        cmocka_unit_test(constants_are_measured),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
