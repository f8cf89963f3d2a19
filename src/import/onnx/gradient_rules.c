/* SPDX-License-Identifier: Apache-2.0 */
/* gradient_rules.c -- one rule an operator, most of them a formula.
 *
 * A formula is read from left to right on a stack (reverse Polish), one letter a step. Pushed:
 *
 *   a b c   inputs of the node
 *   y g     its output, and the gradient of that
 *   0 1 2   that number, in the type of y
 *   k       2 / sqrt(pi)
 *   A       attribute alpha, or what the operator says it is
 *
 * Taken off the stack, with the result put on:
 *
 *   + - * / ^ > = <   the top two
 *   ?                 the top three: Where, condition lowest
 *   n l E S Z C N     the top: Neg Log Exp Sigmoid Sign Cos Sin
 *   ~                 the top, in the type of input a
 *   R                 the top, summed over the operator's axis, which is kept
 *
 * Its result is the gradient of one input, summed over the dimensions by which that input was
 * broadcast. Shapes are known only when a session is opened, so such sums, and the rules for
 * products and moves, work on what Shape gives; the planner folds all of that away.
 */
#include <stdio.h>
#include <string.h>

#include "base/banned.h"
#include "import/onnx/gradient.h"

enum { MAX_STACK = 8, MAX_PARTS = 64 };

#define NODE(op, ...)                                                                              \
    ledge_gradient_node(g, op, (int32_t[]){__VA_ARGS__},                                           \
                        (int32_t)(sizeof((int32_t[]){__VA_ARGS__}) / sizeof(int32_t)))
#define INTS(...)                                                                                  \
    ledge_gradient_ints(g, (int64_t[]){__VA_ARGS__},                                               \
                        (int32_t)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)))

static int32_t input(const struct ledge_gradient *g, int32_t i)
{
    return i < g->node.n_in ? g->node.in[i] : -1;
}

static bool needs(const struct ledge_gradient *g, int32_t i)
{
    return input(g, i) >= 0 && g->needed[input(g, i)];
}

static enum ledge_status refuse(const struct ledge_gradient *g, const char *what)
{
    return ledge_fail(g->err, LEDGE_ERR_UNSUPPORTED, "node %.60s (%.60s): no gradient: %s",
                      g->node.name, g->node.op, what);
}

static void give(const struct ledge_gradient *g, int32_t i, int32_t value)
{
    int32_t *grad = &g->grads[g->node.in[i]];
    *grad = *grad < 0 ? value : NODE("Add", *grad, value);
}

/* Attributes of the node added last. */
static void set_int(const struct ledge_gradient *g, const char *name, int64_t value)
{
    if (!ledge_graph_set_int(g->graph, g->graph->n_nodes - 1, name, value)) {
        *g->failed = true;
    }
}

static int32_t reshape(const struct ledge_gradient *g, int32_t value, int32_t shape)
{
    int32_t out = NODE("Reshape", value, shape);
    set_int(g, "allowzero", 1);
    return out;
}

/* A list of `count` (a value) ones. */
static int32_t ones(const struct ledge_gradient *g, int32_t count)
{
    static const int64_t number = 1;
    int32_t out = NODE("ConstantOfShape", reshape(g, count, INTS(1)));
    const struct ledge_view view = {
        .data = (void *)(uintptr_t)&number, .dtype = LEDGE_I64, .rank = 1, .dims = {1}};
    if (!ledge_graph_set_tensor(g->graph, g->graph->n_nodes - 1, "value", &view)) {
        *g->failed = true;
    }
    return out;
}

static int32_t concat(const struct ledge_gradient *g, const int32_t *parts, int32_t n)
{
    int32_t out = ledge_gradient_node(g, "Concat", parts, n);
    set_int(g, "axis", 0);
    return out;
}

/* value summed to shape `to`, as far as dimensions of one go: over the axes where the shapes differ
 * once the shorter has ones in front. */
static int32_t sum_to(const struct ledge_gradient *g, int32_t value, int32_t to)
{
    int32_t from = NODE("Shape", value);
    int32_t missing = NODE("Sub", NODE("Size", from), NODE("Size", to));
    int32_t padded = concat(g, (int32_t[]){ones(g, missing), to}, 2);
    int32_t differ = NODE("Not", NODE("Equal", from, padded));
    int32_t axes = reshape(g, NODE("NonZero", differ), INTS(-1));
    int32_t sum = NODE("ReduceSum", value, axes);
    set_int(g, "noop_with_empty_axes", 1);
    return sum;
}

/* Give value to input i after summing what broadcasting made of it. */
static void give_like(const struct ledge_gradient *g, int32_t i, int32_t value)
{
    int32_t to = NODE("Shape", g->node.in[i]);
    give(g, i, reshape(g, sum_to(g, value, to), to));
}

/* -- formulas -- */

struct formula { /* arrays, so that the table needs no relocations */
    char op[12];
    char parts[3][12]; /* by input; empty: no gradient */
    float alpha;
};

static const struct formula formulas[] = {
    {"Add", {"g", "g"}, 0},
    {"Sub", {"g", "gn"}, 0},
    {"Mul", {"gb*", "ga*"}, 0},
    {"Div", {"gb/", "gy*b/n"}, 0},
    {"Pow", {"gb~*ab~1-^*", "gy*al*~"}, 0},
    {"Neg", {"gn"}, 0},
    {"Identity", {"g"}, 0},
    {"Dropout", {"g"}, 0},
    {"Cast", {"g~"}, 0},
    {"CastLike", {"g~"}, 0},
    {"Expand", {"g"}, 0},
    {"Abs", {"gaZ*"}, 0},
    {"Reciprocal", {"gyy**n"}, 0},
    {"Sqrt", {"gy2*/"}, 0},
    {"Exp", {"gy*"}, 0},
    {"Log", {"ga/"}, 0},
    {"Sin", {"gaC*"}, 0},
    {"Cos", {"gaN*n"}, 0},
    {"Erf", {"gk*aa*nE*"}, 0},
    {"Relu", {"a0>g0?"}, 0},
    {"LeakyRelu", {"a0<gA*g?"}, 0.01f},
    {"Elu", {"a0<gyA+*g?"}, 1},
    {"Sigmoid", {"gy*1y-*"}, 0},
    {"Tanh", {"g1yy*-*"}, 0},
    {"Softplus", {"gaS*"}, 0},
    {"Clip", {"ya=g0?"}, 0},
    {"Max", {"ab<0g?", "ab<g0?"}, 0},
    {"Min", {"ba<0g?", "ba<g0?"}, 0},
    {"Where", {"", "ag0?", "a0g?"}, 0},
    {"Softmax", {"ygyg*R-*"}, 0},
    {"LogSoftmax", {"gyEgR*-"}, 0},
};

static const struct formula *formula_of(const char *op)
{
    for (size_t i = 0; i < sizeof formulas / sizeof formulas[0]; i++) {
        if (strcmp(formulas[i].op, op) == 0) {
            return &formulas[i];
        }
    }
    return NULL;
}

static int32_t sum_over_axis(const struct ledge_gradient *g, int32_t value)
{
    int64_t axis = ledge_node_int(&g->node, "axis", -1);
    return NODE("ReduceSum", value, INTS(axis));
}

/* What a letter without operands stands for; -1: it has some. */
static int32_t leaf(const struct ledge_gradient *g, char letter, float alpha)
{
    static const char letters[] = "012kA";
    const float numbers[] = {0, 1, 2, 1.1283791670955126f,
                             ledge_node_float(&g->node, "alpha", alpha)};
    const char *at = strchr(letters, letter);
    if (at != NULL) {
        return ledge_gradient_number(g, numbers[at - letters], g->node.out[0]);
    }
    return letter == 'g'                    ? g->dy
           : letter == 'y'                  ? g->node.out[0]
           : letter >= 'a' && letter <= 'c' ? input(g, letter - 'a')
                                            : -1;
}

static int32_t evaluate(const struct ledge_gradient *g, const char *text, float alpha)
{
    static const struct {
        char letter;
        const char *op;
        int32_t operands;
    } steps[] = {
        {'+', "Add", 2},     {'-', "Sub", 2},     {'*', "Mul", 2},  {'/', "Div", 2},
        {'^', "Pow", 2},     {'>', "Greater", 2}, {'<', "Less", 2}, {'=', "Equal", 2},
        {'?', "Where", 3},   {'n', "Neg", 1},     {'l', "Log", 1},  {'E', "Exp", 1},
        {'S', "Sigmoid", 1}, {'Z', "Sign", 1},    {'C', "Cos", 1},  {'N', "Sin", 1},
    };
    int32_t stack[MAX_STACK], n = 0;
    for (; *text != '\0'; text++) {
        if (*text == 'R') {
            stack[n - 1] = sum_over_axis(g, stack[n - 1]);
            continue;
        }
        if (*text == '~') {
            stack[n - 1] = NODE("CastLike", stack[n - 1], input(g, 0));
            continue;
        }
        size_t at = 0;
        while (at < sizeof steps / sizeof steps[0] && steps[at].letter != *text) {
            at++;
        }
        if (at == sizeof steps / sizeof steps[0]) {
            stack[n++] = leaf(g, *text, alpha);
            continue;
        }
        n -= steps[at].operands;
        stack[n] = ledge_gradient_node(g, steps[at].op, &stack[n], steps[at].operands);
        n++;
    }
    return stack[0];
}

static enum ledge_status by_formula(const struct ledge_gradient *g, const struct formula *formula)
{
    bool softmax = strstr(g->node.op, "Softmax") != NULL;
    bool clip = strcmp(g->node.op, "Clip") == 0;
    bool dropout = strcmp(g->node.op, "Dropout") == 0;
    bool two = strcmp(g->node.op, "Max") == 0 || strcmp(g->node.op, "Min") == 0;
    if (softmax && g->node.opset < 13) {
        return refuse(g, "before opset 13");
    }
    if (two && g->node.n_in != 2) {
        return refuse(g, "it has not 2 inputs");
    }
    if (dropout && input(g, 2) >= 0) {
        return refuse(g, "it may drop values (training_mode is given)");
    }
    for (int32_t i = 0; i < 3; i++) {
        if (needs(g, i) && formula->parts[i][0] != '\0') {
            int32_t value = evaluate(g, formula->parts[i], formula->alpha);
            if (value >= 0) {
                give_like(g, i, value);
            }
        } else if (needs(g, i) && clip) {
            return refuse(g, "by its limits");
        }
    }
    return LEDGE_OK;
}

/* -- products -- */

/* Element `at` (may count from the end) of a list, as a list of one. */
static int32_t pick(const struct ledge_gradient *g, int32_t list, int64_t at)
{
    int32_t out = NODE("Gather", list, INTS(at));
    set_int(g, "axis", 0);
    return out;
}

static int32_t swap_last(const struct ledge_gradient *g, int32_t value)
{
    int32_t out = NODE("Einsum", value);
    if (!ledge_graph_set_string(g->graph, g->graph->n_nodes - 1, "equation", "...ij->...ji")) {
        *g->failed = true;
    }
    return out;
}

/* MatMul: vectors are made matrices first (a row on the left, a column on the right), and the
 * gradient gets the dimension of one that they lack in the output. */
static enum ledge_status matmul(const struct ledge_gradient *g)
{
    int32_t side[2], shape[2];
    int32_t most = INTS(2);
    for (int32_t i = 0; i < 2; i++) {
        int32_t own = NODE("Shape", input(g, i));
        int32_t rank = NODE("Size", own);
        int32_t lacking = NODE("Max", NODE("Sub", INTS(2), rank), INTS(0));
        int32_t more = ones(g, lacking);
        shape[i] = concat(g, i == 0 ? (int32_t[]){more, own} : (int32_t[]){own, more}, 2);
        side[i] = reshape(g, input(g, i), shape[i]);
        most = NODE("Max", most, rank);
    }
    int32_t batch = NODE("Slice", NODE("Shape", g->dy), INTS(0), NODE("Sub", most, INTS(2)));
    int32_t whole = concat(g, (int32_t[]){batch, pick(g, shape[0], -2), pick(g, shape[1], -1)}, 3);
    int32_t dy = reshape(g, g->dy, whole);
    for (int32_t i = 0; i < 2; i++) {
        if (!needs(g, i)) {
            continue;
        }
        int32_t value = i == 0 ? NODE("MatMul", dy, swap_last(g, side[1]))
                               : NODE("MatMul", swap_last(g, side[0]), dy);
        int32_t sum = sum_to(g, value, shape[i]); /* batches by which the side was broadcast */
        give(g, i, reshape(g, sum, NODE("Shape", input(g, i))));
    }
    return LEDGE_OK;
}

static int32_t gemm_side(const struct ledge_gradient *g, int32_t a, int64_t ta, int32_t b,
                         int64_t tb)
{
    int32_t out = NODE("Gemm", a, b);
    set_int(g, "transA", ta != 0);
    set_int(g, "transB", tb != 0);
    if (!ledge_graph_set_float(g->graph, g->graph->n_nodes - 1, "alpha",
                               ledge_node_float(&g->node, "alpha", 1))) {
        *g->failed = true;
    }
    return out;
}

static enum ledge_status gemm(const struct ledge_gradient *g)
{
    int64_t ta = ledge_node_int(&g->node, "transA", 0), tb = ledge_node_int(&g->node, "transB", 0);
    int32_t a = input(g, 0), b = input(g, 1);
    if (needs(g, 0)) {
        give(g, 0, ta ? gemm_side(g, b, tb, g->dy, 1) : gemm_side(g, g->dy, 0, b, !tb));
    }
    if (needs(g, 1)) {
        give(g, 1, tb ? gemm_side(g, g->dy, 1, a, ta) : gemm_side(g, a, !ta, g->dy, 0));
    }
    if (needs(g, 2)) {
        int32_t beta = ledge_gradient_number(g, ledge_node_float(&g->node, "beta", 1), g->dy);
        give_like(g, 2, NODE("Mul", g->dy, beta));
    }
    return LEDGE_OK;
}

/* -- reductions, moves -- */

/* Sum, Mean (of any number of inputs). */
static enum ledge_status variadic(const struct ledge_gradient *g)
{
    int32_t value = g->dy;
    if (strcmp(g->node.op, "Mean") == 0) {
        value = NODE("Div", value, ledge_gradient_number(g, (float)g->node.n_in, value));
    }
    for (int32_t i = 0; i < g->node.n_in; i++) {
        if (needs(g, i)) {
            give_like(g, i, value);
        }
    }
    return LEDGE_OK;
}

static enum ledge_status reduce(const struct ledge_gradient *g)
{
    size_t n = 0;
    const int64_t *listed = ledge_node_ints(&g->node, "axes", &n);
    int32_t axes = listed != NULL ? ledge_gradient_ints(g, listed, (int32_t)n) : input(g, 1);
    bool empty =
        axes < 0 || (g->graph->values[axes].data != NULL && g->graph->values[axes].bytes == 0);
    int32_t x = input(g, 0);
    int32_t value = g->dy;
    int32_t shape = NODE("Shape", x);
    int32_t kept = shape;
    if (!empty) {
        kept = NODE("ScatterElements", shape, axes, ones(g, NODE("Size", axes)));
    } else if (ledge_node_int(&g->node, "noop_with_empty_axes", 0) == 0) {
        kept = ones(g, NODE("Size", shape));
    }
    if (strcmp(g->node.op, "ReduceMean") == 0) {
        int32_t all = NODE("Size", x), left = NODE("Size", value);
        value = NODE("Div", value, NODE("CastLike", NODE("Div", all, left), value));
    }
    value = NODE("Expand", reshape(g, value, kept), shape);
    if (strcmp(g->node.op, "ReduceSumSquare") == 0) {
        int32_t two = ledge_gradient_number(g, 2, value);
        value = NODE("Mul", NODE("Mul", value, x), two);
    }
    give(g, 0, value);
    return LEDGE_OK;
}

static enum ledge_status moved(const struct ledge_gradient *g)
{
    give(g, 0, reshape(g, g->dy, NODE("Shape", input(g, 0))));
    return LEDGE_OK;
}

static enum ledge_status transpose(const struct ledge_gradient *g)
{
    size_t n = 0;
    const int64_t *perm = ledge_node_ints(&g->node, "perm", &n);
    int64_t inverse[LEDGE_MAX_RANK] = {0};
    for (size_t i = 0; i < n; i++) {
        if (n > LEDGE_MAX_RANK || perm[i] < 0 || perm[i] >= (int64_t)n) {
            return refuse(g, "perm is no permutation");
        }
        inverse[perm[i]] = (int64_t)i;
    }
    int32_t dx = NODE("Transpose", g->dy);
    if (n > 0 && !ledge_graph_set_ints(g->graph, g->graph->n_nodes - 1, "perm", inverse, n)) {
        *g->failed = true;
    }
    give(g, 0, dx);
    return LEDGE_OK;
}

/* Concat: Split by the sizes of the inputs. */
static enum ledge_status concatenation(const struct ledge_gradient *g)
{
    int32_t sizes[MAX_PARTS], out[MAX_PARTS];
    int64_t axis = ledge_node_int(&g->node, "axis", 1);
    if (g->node.n_in > MAX_PARTS) {
        return refuse(g, "more than 64 inputs");
    }
    for (int32_t i = 0; i < g->node.n_in; i++) {
        if (input(g, i) < 0) {
            return refuse(g, "an input is missing");
        }
        sizes[i] = pick(g, NODE("Shape", input(g, i)), axis);
        out[i] = ledge_graph_add_value(g->graph, NULL, LEDGE_DTYPE_NONE, -1, NULL);
        *g->failed = *g->failed || out[i] < 0;
    }
    int32_t in[2] = {g->dy, concat(g, sizes, g->node.n_in)};
    if (*g->failed ||
        ledge_graph_add_node(g->graph, "", "Split", 18, NULL, in, 2, out, g->node.n_in) < 0) {
        *g->failed = true;
        return LEDGE_OK;
    }
    set_int(g, "axis", axis);
    for (int32_t i = 0; i < g->node.n_in; i++) {
        if (needs(g, i)) {
            give(g, i, out[i]);
        }
    }
    return LEDGE_OK;
}

/* Results that do not change with small changes of the inputs. */
static enum ledge_status nothing(const struct ledge_gradient *g)
{
    (void)g;
    return LEDGE_OK;
}

enum ledge_status ledge_gradient_rule(const struct ledge_gradient *g)
{
    static const struct {
        const char *op;
        enum ledge_status (*rule)(const struct ledge_gradient *g);
    } rules[] = {
        {"MatMul", matmul},          {"Gemm", gemm},        {"Sum", variadic},
        {"Mean", variadic},          {"ReduceSum", reduce}, {"ReduceMean", reduce},
        {"ReduceSumSquare", reduce}, {"Reshape", moved},    {"Flatten", moved},
        {"Squeeze", moved},          {"Unsqueeze", moved},  {"Transpose", transpose},
        {"Concat", concatenation},   {"Shape", nothing},    {"Size", nothing},
        {"Greater", nothing},        {"Less", nothing},     {"Equal", nothing},
        {"Sign", nothing},           {"Floor", nothing},    {"Ceil", nothing},
        {"Round", nothing},          {"NonZero", nothing},
    };
    const struct formula *formula = formula_of(g->node.op);
    if (g->node.domain[0] == '\0' && formula != NULL) {
        return by_formula(g, formula);
    }
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        if (g->node.domain[0] == '\0' && strcmp(rules[i].op, g->node.op) == 0) {
            return rules[i].rule(g);
        }
    }
    return refuse(g, "the operator has none here");
}
