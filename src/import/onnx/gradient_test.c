/* SPDX-License-Identifier: Apache-2.0 */
/* gradient_test.c -- every rule against central differences in double, with broadcasting; values
 * given in place of the named ones; a second derivative; refusals that name the operator. */
#include "import/onnx/gradient.h"

#include <math.h>

#include "engine/run/testing.h"

enum { MAX = 64, MAX_IN = 3 };

struct shape {
    int32_t rank;
    int64_t dims[3];
};

struct rule {
    const char *op;
    int32_t n_in;
    struct shape shapes[MAX_IN];
    double low; /* inputs lie in low .. low + 2 */
    void (*attributes)(struct test_net *net);
    int32_t constants; /* inputs from this one on are constant: 0, none */
    bool coarse;       /* f64 is computed in f32 (docs/numerics.md) */
};

static void axis_one(struct test_net *net)
{
    test_int(net, "axis", 1);
}

static void axes_last(struct test_net *net)
{
    test_ints(net, "axes", 1, TEST_DIMS(-1));
    test_int(net, "keepdims", 0);
}

static void keep_none(struct test_net *net)
{
    test_int(net, "keepdims", 0);
}

static void turned(struct test_net *net)
{
    test_ints(net, "perm", 3, TEST_DIMS(1, 2, 0));
}

static void gemm_plain(struct test_net *net)
{
    test_float(net, "alpha", 0.5f);
    test_float(net, "beta", 2.0f);
}

static void gemm_turned(struct test_net *net)
{
    test_int(net, "transA", 1);
    test_int(net, "transB", 1);
}

static int64_t count(const struct shape *shape)
{
    int64_t n = 1;
    for (int32_t i = 0; i < shape->rank; i++) {
        n *= shape->dims[i];
    }
    return n;
}

static int32_t named(struct test_net *net, const char *name, const struct shape *shape,
                     const double *data)
{
    int32_t value = ledge_graph_add_value(&net->graph, name, LEDGE_F64, shape->rank, shape->dims);
    int32_t at = ledge_graph_add_input(&net->graph, value);
    net->data[at] = data;
    return value;
}

static const char *const names[MAX_IN] = {"a", "b", "c"};

/* A node of n outputs; what it makes is found by those names. */
static void add(struct test_net *net, const char *domain, const char *op, const int32_t *in,
                int32_t n_in, const char *const *out, int32_t n_out)
{
    int32_t values[MAX_IN];
    for (int32_t i = 0; i < n_out; i++) {
        values[i] = ledge_graph_add_value(&net->graph, out[i], LEDGE_DTYPE_NONE, -1, NULL);
    }
    assert_true(ledge_graph_add_node(&net->graph, domain, op, 13, op, in, n_in, values, n_out) >=
                0);
}

static void add_gradient(struct test_net *net, const char *y, const int32_t *in, int32_t n_in,
                         const char *const *out)
{
    add(net, "ai.onnx.preview.training", "Gradient", in, n_in, out, n_in);
    int32_t node = net->graph.n_nodes - 1;
    assert_true(ledge_graph_set_strings(&net->graph, node, "xs", names, (size_t)n_in) &&
                ledge_graph_set_string(&net->graph, node, "y", y));
}

static int32_t find(struct test_net *net, const char *name)
{
    int32_t value = ledge_graph_find(&net->graph, name);
    assert_true(value >= 0);
    return value;
}

static void expand(struct test_net *net)
{
    if (ledge_graph_sort(&net->graph, &net->err) != LEDGE_OK ||
        ledge_onnx_gradients(&net->graph, &net->err) != LEDGE_OK) {
        fail_msg("%s", net->err.text);
    }
}

/* y = op(inputs), z = sin(y) y, and with gradient: dz by the inputs. */
static void build(struct test_net *net, const struct rule *rule, double data[MAX_IN][MAX],
                  bool gradient)
{
    static const char *const out[] = {"da", "db", "dc"};
    int32_t in[MAX_IN], wanted = rule->constants > 0 ? rule->constants : rule->n_in;
    test_init(net);
    for (int32_t i = 0; i < rule->n_in; i++) {
        in[i] = i < wanted ? named(net, names[i], &rule->shapes[i], data[i])
                           : test_constant(net, LEDGE_F64, rule->shapes[i].rank,
                                           rule->shapes[i].dims, data[i]);
    }
    add(net, "", rule->op, in, rule->n_in, (const char *[]){"y"}, 1);
    if (rule->attributes != NULL) {
        rule->attributes(net);
    }
    int32_t y = find(net, "y");
    add(net, "", "Sin", &y, 1, (const char *[]){"s"}, 1);
    add(net, "", "Mul", (int32_t[]){find(net, "s"), y}, 2, (const char *[]){"z"}, 1);
    if (gradient) {
        add_gradient(net, "z", in, wanted, out);
        for (int32_t i = 0; i < wanted; i++) {
            test_output(net, find(net, out[i]));
        }
    } else {
        test_output(net, find(net, "z"));
    }
    expand(net);
}

static double total(struct test_net *net)
{
    double sum = 0;
    assert_int_equal(ledge_run_once(net->run, &net->err), LEDGE_OK);
    struct ledge_view view = ledge_run_output(net->run, 0);
    for (int64_t i = 0; i < ledge_view_count(&view); i++) {
        sum += ((const double *)view.data)[i];
    }
    return sum;
}

static void check(const struct rule *rule)
{
    double data[MAX_IN][MAX];
    uint32_t seed = 7;
    struct test_net value, gradient;
    for (int32_t i = 0; i < MAX_IN; i++) {
        for (int32_t k = 0; k < MAX; k++) {
            data[i][k] = rule->low + (double)(test_random(&seed) % 2000) / 1000.0 + 3e-4;
        }
    }
    build(&value, rule, data, false);
    build(&gradient, rule, data, true);
    test_run(&value, LEDGE_RUNG_C, 1);
    test_run(&gradient, LEDGE_RUNG_C, 1);
    const double h = rule->coarse ? 4e-3 : 1e-6, tolerance = rule->coarse ? 2e-4 : 2e-6;
    for (int32_t i = 0; i < gradient.graph.n_outputs; i++) {
        const double *got = test_result(&gradient, i, rule->shapes[i].rank, rule->shapes[i].dims);
        for (int64_t k = 0; k < count(&rule->shapes[i]); k++) {
            double old = data[i][k];
            data[i][k] = old + h;
            double up = total(&value);
            data[i][k] = old - h;
            double want = (up - total(&value)) / (2 * h);
            data[i][k] = old;
            if (!(fabs(got[k] - want) <= tolerance * (1 + fabs(want)))) {
                fail_msg("%s, input %d, element %d: %.9g, not %.9g", rule->op, i, (int)k, got[k],
                         want);
            }
        }
    }
    test_done(&value);
    test_done(&gradient);
}

static void test_rules(void **state)
{
    (void)state;
    static const struct rule rules[] = {
        {"Add", 2, {{2, {2, 3}}, {1, {3}}}, -1, NULL, 0, false},
        {"Sub", 2, {{1, {3}}, {3, {2, 2, 1}}}, -1, NULL, 0, false},
        {"Mul", 2, {{2, {2, 1}}, {2, {1, 3}}}, -1, NULL, 0, false},
        {"Div", 2, {{2, {2, 3}}, {0, {0}}}, 0.5, NULL, 0, false},
        {"Pow", 2, {{2, {2, 3}}, {1, {3}}}, 0.5, NULL, 0, false},
        {"Neg", 1, {{1, {4}}}, -1, NULL, 0, false},
        {"Identity", 1, {{1, {4}}}, -1, NULL, 0, false},
        {"Abs", 1, {{1, {9}}}, -1, NULL, 0, false},
        {"Reciprocal", 1, {{1, {4}}}, 0.5, NULL, 0, false},
        {"Sqrt", 1, {{1, {4}}}, 0.5, NULL, 0, false},
        {"Exp", 1, {{1, {4}}}, -1, NULL, 0, false},
        {"Log", 1, {{1, {4}}}, 0.5, NULL, 0, false},
        {"Sin", 1, {{1, {4}}}, -1, NULL, 0, false},
        {"Cos", 1, {{1, {4}}}, -1, NULL, 0, false},
        {"Erf", 1, {{1, {4}}}, -1, NULL, 0, false},
        {"Relu", 1, {{1, {9}}}, -1, NULL, 0, false},
        {"LeakyRelu", 1, {{1, {9}}}, -1, NULL, 0, false},
        {"Elu", 1, {{1, {9}}}, -1, NULL, 0, false},
        {"Sigmoid", 1, {{1, {4}}}, -1, NULL, 0, false},
        {"Tanh", 1, {{1, {4}}}, -1, NULL, 0, false},
        {"Softplus", 1, {{1, {4}}}, -1, NULL, 0, false},
        {"Clip", 3, {{1, {9}}, {0, {0}}, {0, {0}}}, -1, NULL, 1, false},
        {"Max", 2, {{2, {2, 3}}, {1, {3}}}, -1, NULL, 0, false},
        {"Min", 2, {{2, {2, 3}}, {1, {3}}}, -1, NULL, 0, false},
        {"Softmax", 1, {{3, {2, 3, 2}}}, -1, axis_one, 0, false},
        {"LogSoftmax", 1, {{2, {2, 3}}}, -1, NULL, 0, false},
        {"Sum", 3, {{2, {2, 3}}, {1, {3}}, {0, {0}}}, -1, NULL, 0, false},
        {"Mean", 3, {{2, {2, 3}}, {1, {3}}, {0, {0}}}, -1, NULL, 0, true},
        {"MatMul", 2, {{2, {2, 3}}, {2, {3, 2}}}, -1, NULL, 0, true},
        {"MatMul", 2, {{3, {2, 2, 3}}, {2, {3, 2}}}, -1, NULL, 0, true},
        {"MatMul", 2, {{1, {3}}, {3, {2, 3, 2}}}, -1, NULL, 0, true},
        {"MatMul", 2, {{2, {2, 3}}, {1, {3}}}, -1, NULL, 0, true},
        {"MatMul", 2, {{1, {3}}, {1, {3}}}, -1, NULL, 0, true},
        {"Gemm", 3, {{2, {2, 3}}, {2, {3, 4}}, {1, {4}}}, -1, gemm_plain, 0, true},
        {"Gemm", 3, {{2, {3, 2}}, {2, {4, 3}}, {2, {2, 1}}}, -1, gemm_turned, 0, true},
        {"ReduceMean", 1, {{3, {2, 3, 2}}}, -1, axes_last, 0, true},
        {"ReduceMean", 1, {{3, {2, 3, 2}}}, -1, keep_none, 0, false},
        {"ReduceSum", 1, {{2, {2, 3}}}, -1, NULL, 0, false},
        {"ReduceSumSquare", 1, {{2, {2, 3}}}, -1, axes_last, 0, false},
        {"Flatten", 1, {{3, {2, 3, 2}}}, -1, NULL, 0, false},
        {"Squeeze", 1, {{2, {1, 3}}}, -1, NULL, 0, false},
        {"Transpose", 1, {{3, {2, 3, 1}}}, -1, turned, 0, false},
        {"Transpose", 1, {{2, {2, 3}}}, -1, NULL, 0, false},
        {"Concat", 2, {{2, {2, 3}}, {2, {2, 1}}}, -1, axis_one, 0, false},
    };
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        check(&rules[i]);
    }
}

/* z = a a b: with other values given for a and b, and with the same value for both. */
static void test_given_values(void **state)
{
    (void)state;
    const struct shape one = {1, {1}};
    const double a = 2, b = 3, other = 5;
    struct test_net net;
    test_init(&net);
    int32_t in[3] = {named(&net, "a", &one, &a), named(&net, "b", &one, &b),
                     named(&net, "other", &one, &other)};
    add(&net, "", "Mul", (int32_t[]){in[0], in[0]}, 2, (const char *[]){"aa"}, 1);
    add(&net, "", "Mul", (int32_t[]){find(&net, "aa"), in[1]}, 2, (const char *[]){"z"}, 1);
    add_gradient(&net, "z", (int32_t[]){in[2], in[1]}, 2, (const char *[]){"p", "q"});
    add_gradient(&net, "z", (int32_t[]){in[2], in[2]}, 2, (const char *[]){"r", "s"});
    add_gradient(&net, "aa", (int32_t[]){in[0], in[1]}, 2, (const char *[]){"t", "zero"});
    static const char *const out[] = {"p", "q", "r", "s", "t", "zero", "z"};
    static const double want[] = {2 * 5 * 3, 5 * 5, 2 * 5 * 5, 5 * 5, 2 * 2, 0, 2 * 2 * 3};
    for (int i = 0; i < 7; i++) {
        test_output(&net, find(&net, out[i]));
    }
    expand(&net);
    test_run(&net, LEDGE_RUNG_C, 1);
    for (int i = 0; i < 7; i++) {
        const double *got = test_result(&net, i, 1, TEST_DIMS(1));
        assert_true(fabs(*got - want[i]) < 1e-12);
    }
    test_done(&net);
}

/* d2/da2 of a^3 is 6 a: a Gradient of a Gradient's output. */
static void test_second_order(void **state)
{
    (void)state;
    const struct shape two = {1, {2}};
    const double a[2] = {2, -3};
    struct test_net net;
    test_init(&net);
    int32_t x = named(&net, "a", &two, a);
    add(&net, "", "Mul", (int32_t[]){x, x}, 2, (const char *[]){"aa"}, 1);
    add(&net, "", "Mul", (int32_t[]){find(&net, "aa"), x}, 2, (const char *[]){"z"}, 1);
    add_gradient(&net, "z", &x, 1, (const char *[]){"first"});
    add_gradient(&net, "first", &x, 1, (const char *[]){"second"});
    test_output(&net, find(&net, "second"));
    expand(&net);
    test_run(&net, LEDGE_RUNG_C, 1);
    const double *got = test_result(&net, 0, 1, TEST_DIMS(2));
    assert_true(fabs(got[0] - 12) < 1e-12 && fabs(got[1] + 18) < 1e-12);
    test_done(&net);
}

/* A Gradient of `y` by the input of a node with n_in inputs, all the same, is refused. */
static void refused(const char *op, int n_in, const char *y, const char *word)
{
    const struct shape shape = {2, {2, 2}};
    const double a[4] = {1, 2, 3, 4};
    struct test_net net;
    test_init(&net);
    int32_t x = named(&net, "a", &shape, a);
    add(&net, "", op, (int32_t[]){x, x, x}, n_in, (const char *[]){"z"}, 1);
    add_gradient(&net, y, &x, 1, (const char *[]){"da"});
    test_output(&net, find(&net, "da"));
    assert_int_equal(ledge_graph_sort(&net.graph, &net.err), LEDGE_OK);
    assert_int_not_equal(ledge_onnx_gradients(&net.graph, &net.err), LEDGE_OK);
    if (strstr(net.err.text, word) == NULL) {
        fail_msg("'%s' does not say %s", net.err.text, word);
    }
    test_done(&net);
}

static void test_refusals(void **state)
{
    (void)state;
    refused("Det", 1, "z", "Det");
    refused("Dropout", 3, "z", "training_mode");
    refused("Sin", 1, "nowhere", "nowhere");
    refused("Sin", 1, "da", "wait");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules),
        cmocka_unit_test(test_given_values),
        cmocka_unit_test(test_second_order),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
