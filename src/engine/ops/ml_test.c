/* SPDX-License-Identifier: Apache-2.0 */
/* ml_test.c -- trees whose nodes are right, or lead outside, or in a circle; classes by one score;
 * labels that are strings. */
#include "engine/run/testing.h"

enum { LEFT = 1, RIGHT = 2 };

static void ints(struct test_net *net, const char *name, int64_t a, int64_t b, int64_t c)
{
    test_ints(net, name, 3, TEST_DIMS(a, b, c));
}

/* x[feature] <= 0.5 ? 2 : -3, with node 0's children as given. */
static void add_tree(struct test_net *net, int64_t feature, int64_t yes, int64_t no)
{
    static const char *const modes[] = {"BRANCH_LEQ", "LEAF", "LEAF"};
    const float values[3] = {0.5f, 0, 0}, weights[2] = {2, -3};
    int32_t node = net->graph.n_nodes - 1;
    ints(net, "nodes_treeids", 7, 7, 7);
    ints(net, "nodes_nodeids", 0, LEFT, RIGHT);
    ints(net, "nodes_featureids", feature, 0, 0);
    ints(net, "nodes_truenodeids", yes, 0, 0);
    ints(net, "nodes_falsenodeids", no, 0, 0);
    test_ints(net, "target_treeids", 2, TEST_DIMS(7, 7));
    test_ints(net, "target_nodeids", 2, TEST_DIMS(LEFT, RIGHT));
    test_ints(net, "target_ids", 2, TEST_DIMS(0, 0));
    assert_true(ledge_graph_set_strings(&net->graph, node, "nodes_modes", modes, 3) &&
                ledge_graph_set_floats(&net->graph, node, "nodes_values", values, 3) &&
                ledge_graph_set_floats(&net->graph, node, "target_weights", weights, 2));
}

static enum ledge_status run_tree(struct test_net *net, int64_t feature, int64_t yes, int64_t no)
{
    static const float x[4] = {0, 0.5f, 0, 0.75f};
    test_init(net);
    int32_t in = test_input(net, LEDGE_F32, TEST_SHAPE(2, 2), x);
    int32_t out = test_node(net, "ai.onnx.ml", "TreeEnsembleRegressor", 1, &in);
    add_tree(net, feature, yes, no);
    test_output(net, out);
    return test_try(net, LEDGE_RUNG_C, 1);
}

static void trees(void **state)
{
    (void)state;
    struct test_net net;
    assert_int_equal(run_tree(&net, 1, LEFT, RIGHT), LEDGE_OK);
    test_near(test_result(&net, 0, TEST_SHAPE(2, 1)), (const float[]){2, -3}, 2, 0);
    test_done(&net);
    assert_int_equal(run_tree(&net, 2, LEFT, RIGHT), LEDGE_ERR_FORMAT); /* there are two columns */
    test_done(&net);
    assert_int_equal(run_tree(&net, 1, LEFT, 9), LEDGE_ERR_FORMAT); /* no such node */
    test_done(&net);
    assert_int_equal(run_tree(&net, 1, 0, 0), LEDGE_ERR_FORMAT);
    assert_non_null(strstr(net.err.text, "cycle"));
    test_done(&net);
}

static void two_classes_of_one_score(void **state)
{
    (void)state;
    struct test_net net;
    static const char *const labels[] = {"no", "yes"};
    const float x[4] = {1, 1, -1, 2}, w[2] = {0.5f, -1};
    test_init(&net);
    int32_t in = test_input(&net, LEDGE_F32, TEST_SHAPE(2, 2), x);
    int32_t out[2];
    for (int i = 0; i < 2; i++) {
        out[i] = ledge_graph_add_value(&net.graph, NULL, LEDGE_DTYPE_NONE, -1, NULL);
    }
    int32_t node =
        ledge_graph_add_node(&net.graph, "ai.onnx.ml", "LinearClassifier", 1, NULL, &in, 1, out, 2);
    assert_true(ledge_graph_set_floats(&net.graph, node, "coefficients", w, 2) &&
                ledge_graph_set_strings(&net.graph, node, "classlabels_strings", labels, 2));
    test_output(&net, out[0]);
    test_output(&net, out[1]);
    const float bias[1] = {1};
    assert_true(ledge_graph_set_floats(&net.graph, node, "intercepts", bias, 1));
    test_run(&net, LEDGE_RUNG_C, 1);
    const struct ledge_string *label = test_result(&net, 0, TEST_SHAPE(2));
    assert_memory_equal(label[0].text, "yes", 3);
    assert_memory_equal(label[1].text, "no", 2);
    test_near(test_result(&net, 1, TEST_SHAPE(2, 2)), (const float[]){0.5f, 0.5f, 2.5f, -1.5f}, 4,
              1e-6f);
    test_done(&net);
}

static void labels_by_key(void **state)
{
    (void)state;
    struct test_net net;
    static const char *const keys[] = {"a", "bc"};
    const struct ledge_string x[3] = {{"bc", 2}, {NULL, 0}, {"a", 1}};
    test_init(&net);
    int32_t in = test_input(&net, LEDGE_STRING, TEST_SHAPE(3), x);
    test_output(&net, test_node(&net, "ai.onnx.ml", "LabelEncoder", 1, &in));
    test_ints(&net, "values_int64s", 2, TEST_DIMS(10, 20));
    assert_true(ledge_graph_set_strings(&net.graph, 0, "keys_strings", keys, 2));
    test_run(&net, LEDGE_RUNG_C, 1);
    const int64_t *made = test_result(&net, 0, TEST_SHAPE(3));
    assert_int_equal(made[0], 20);
    assert_int_equal(made[1], -1);
    assert_int_equal(made[2], 10);
    test_stop(&net);
    test_ints(&net, "values_int64s", 1, TEST_DIMS(10)); /* fewer values than keys */
    assert_int_equal(test_try(&net, LEDGE_RUNG_C, 1), LEDGE_ERR_FORMAT);
    test_done(&net);
}

/* Three classes of one support vector each: the middle one wins both of its pairs, x being near. */
static enum ledge_status run_svc(struct test_net *net, int64_t last, size_t n_rho)
{
    static const float x[2] = {0, 1}, vectors[3] = {-1, 0, 1}, rho[3] = {0, 0, 0};
    static const float coefficients[6] = {1, -2, -1, 1, 2, -1}, params[3] = {1, 0, 0};
    test_init(net);
    int32_t in = test_input(net, LEDGE_F32, TEST_SHAPE(1, 1), x);
    test_output(net, test_node(net, "ai.onnx.ml", "SVMClassifier", 1, &in));
    test_ints(net, "classlabels_ints", 3, TEST_DIMS(5, 6, 7));
    ints(net, "vectors_per_class", 1, 1, last);
    assert_true(ledge_graph_set_floats(&net->graph, 0, "support_vectors", vectors, 3) &&
                ledge_graph_set_floats(&net->graph, 0, "coefficients", coefficients, 6) &&
                ledge_graph_set_floats(&net->graph, 0, "kernel_params", params, 3) &&
                ledge_graph_set_floats(&net->graph, 0, "rho", rho, n_rho) &&
                ledge_graph_set_string(&net->graph, 0, "kernel_type", "RBF"));
    return test_try(net, LEDGE_RUNG_C, 1);
}

static void votes_of_pairs(void **state)
{
    (void)state;
    struct test_net net;
    assert_int_equal(run_svc(&net, 1, 3), LEDGE_OK);
    assert_int_equal(*(const int64_t *)test_result(&net, 0, TEST_SHAPE(1)), 6);
    test_done(&net);
    const int64_t wrong[] = {2, -1, INT64_MAX, 1};
    for (int i = 0; i < 4; i++) { /* too many, too few vectors; too few thresholds */
        assert_int_equal(run_svc(&net, wrong[i], i < 3 ? 3 : 2), LEDGE_ERR_FORMAT);
        test_done(&net);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trees),
        cmocka_unit_test(two_classes_of_one_score),
        cmocka_unit_test(labels_by_key),
        cmocka_unit_test(votes_of_pairs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
