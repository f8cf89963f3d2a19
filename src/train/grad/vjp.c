/* SPDX-License-Identifier: Apache-2.0 */
/* vjp.c -- one rule per operator: from the gradient of output 0 to the gradients of the inputs that
 * matter. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/status.h"
#include "train/grad/internal.h"
#include "train/ops/ops.h"

/* Short forms: inputs and output of the forward node, nodes of our domain and of ai.onnx. */
#define IN(i) (v->node.in[i])
#define OUT   (v->node.out[0])
#define TRAIN(op, ...)                                                                             \
    train_vjp_node(v, TRAIN_DOMAIN, op, (int32_t[]){__VA_ARGS__},                                  \
                   (int32_t)(sizeof((int32_t[]){__VA_ARGS__}) / sizeof(int32_t)))
#define ONNX(op, ...)                                                                              \
    train_vjp_node(v, "", op, (int32_t[]){__VA_ARGS__},                                            \
                   (int32_t)(sizeof((int32_t[]){__VA_ARGS__}) / sizeof(int32_t)))

static enum ledge_status refuse(const struct train_vjp *v, const char *what)
{
    return ledge_fail(v->walk->err, LEDGE_ERR_UNSUPPORTED, "node %s (%s): no gradient: %s",
                      v->node.name, v->node.op, what);
}

static int32_t set_number(const struct train_vjp *v, int32_t value, const char *name, float number)
{
    if (value >= 0 && !ledge_graph_set_float(v->walk->graph, train_vjp_last(v), name, number)) {
        v->walk->failed = true;
    }
    return value;
}

/* -- linear -- */

static enum ledge_status conv(const struct train_vjp *v)
{
    bool bias = train_vjp_needs(v, 2);
    if (train_vjp_needs(v, 0)) {
        int32_t dx = TRAIN("ConvGradInput", v->dy, IN(1), IN(0));
        train_vjp_attributes(v, train_vjp_last(v));
        train_vjp_give(v, 0, dx);
    }
    if (train_vjp_needs(v, 1) || bias) {
        int32_t out[2];
        int32_t node =
            train_vjp_nodes(v, TRAIN_DOMAIN, "ConvGradWeight", (int32_t[]){IN(0), v->dy, IN(1)}, 3,
                            (bool[]){true, bias}, 2, out);
        train_vjp_attributes(v, node);
        if (train_vjp_needs(v, 1)) {
            train_vjp_give(v, 1, out[0]);
        }
        if (bias) {
            train_vjp_give(v, 2, out[1]);
        }
    }
    return LEDGE_OK;
}

/* alpha op(a) op(b), op transposing when ta, tb. */
static int32_t product(const struct train_vjp *v, int32_t a, bool ta, int32_t b, bool tb,
                       float alpha)
{
    int32_t value = TRAIN("MatMul", a, b);
    struct ledge_graph *graph = v->walk->graph;
    int32_t node = train_vjp_last(v);
    if (value < 0 || !ledge_graph_set_int(graph, node, "trans_a", ta) ||
        !ledge_graph_set_int(graph, node, "trans_b", tb) ||
        !ledge_graph_set_float(graph, node, "alpha", alpha)) {
        v->walk->failed = true;
    }
    return value;
}

static void matmul_sides(const struct train_vjp *v, bool ta, bool tb, float alpha)
{
    if (train_vjp_needs(v, 0)) {
        int32_t da = ta ? product(v, IN(1), tb, v->dy, true, alpha)
                        : product(v, v->dy, false, IN(1), !tb, alpha);
        train_vjp_give_like(v, 0, da);
    }
    if (train_vjp_needs(v, 1)) {
        int32_t db = tb ? product(v, v->dy, true, IN(0), ta, alpha)
                        : product(v, IN(0), !ta, v->dy, false, alpha);
        train_vjp_give_like(v, 1, db);
    }
}

static enum ledge_status linear(const struct train_vjp *v, const char *ta, const char *tb)
{
    matmul_sides(v, ledge_node_int(&v->node, ta, 0) != 0, ledge_node_int(&v->node, tb, 0) != 0,
                 ledge_node_float(&v->node, "alpha", 1));
    if (train_vjp_needs(v, 2)) {
        float beta = ledge_node_float(&v->node, "beta", 1);
        int32_t dc = beta == 1 ? v->dy : set_number(v, TRAIN("Scale", v->dy), "alpha", beta);
        train_vjp_give_like(v, 2, dc);
    }
    return LEDGE_OK;
}

static enum ledge_status gemm(const struct train_vjp *v)
{
    return linear(v, "transA", "transB");
}

static enum ledge_status train_matmul(const struct train_vjp *v)
{
    return linear(v, "trans_a", "trans_b");
}

static enum ledge_status matmul(const struct train_vjp *v)
{
    matmul_sides(v, false, false, 1);
    return LEDGE_OK;
}

/* -- normalisation -- */

static enum ledge_status batch_norm(const struct train_vjp *v)
{
    int32_t out[3];
    const bool wanted[3] = {train_vjp_needs(v, 0), train_vjp_needs(v, 1), train_vjp_needs(v, 2)};
    int32_t node = train_vjp_nodes(v, TRAIN_DOMAIN, "BatchNormGrad",
                                   (int32_t[]){IN(0), v->dy, IN(1), v->node.out[1], v->node.out[2]},
                                   5, wanted, 3, out);
    train_vjp_attributes(v, node);
    for (int32_t i = 0; i < 3; i++) {
        if (wanted[i]) {
            train_vjp_give(v, i, out[i]);
        }
    }
    return LEDGE_OK;
}

static enum ledge_status fixed_norm(const struct train_vjp *v)
{
    if (train_vjp_needs(v, 1) || train_vjp_needs(v, 2)) {
        return refuse(v, "scale and bias are trained with batch statistics only");
    }
    if (train_vjp_needs(v, 0)) {
        int32_t dx = TRAIN("AffineGrad", v->dy, IN(1), IN(4));
        train_vjp_attributes(v, train_vjp_last(v));
        train_vjp_give(v, 0, dx);
    }
    return LEDGE_OK;
}

/* -- activations -- */

static enum ledge_status from_output(const struct train_vjp *v)
{
    char op[40];
    (void)snprintf(op, sizeof op, "%sGrad", v->node.op);
    train_vjp_give(v, 0, TRAIN(op, v->dy, OUT));
    return LEDGE_OK;
}

static enum ledge_status from_input(const struct train_vjp *v, float p, float q)
{
    char op[40];
    (void)snprintf(op, sizeof op, "%sGrad", v->node.op);
    int32_t dx = set_number(v, TRAIN(op, v->dy, IN(0)), "p", p);
    train_vjp_give(v, 0, set_number(v, dx, "q", q));
    return LEDGE_OK;
}

static enum ledge_status leaky_relu(const struct train_vjp *v)
{
    return from_input(v, ledge_node_float(&v->node, "alpha", 0.01f), 0);
}

static enum ledge_status elu(const struct train_vjp *v)
{
    return from_input(v, ledge_node_float(&v->node, "alpha", 1), 0);
}

static enum ledge_status hard_sigmoid(const struct train_vjp *v)
{
    return from_input(v, ledge_node_float(&v->node, "alpha", 0.2f),
                      ledge_node_float(&v->node, "beta", 0.5f));
}

static enum ledge_status plain_input(const struct train_vjp *v)
{
    return from_input(v, 0, 0);
}

/* Limit number i: constant input (opset 11) or attribute (opset 6). */
static bool limit_of(const struct train_vjp *v, int32_t i, const char *name, float *limit)
{
    if (i < v->node.n_in && IN(i) >= 0) {
        const struct ledge_value *value = &v->walk->graph->values[IN(i)];
        if (value->data == NULL || value->dtype != LEDGE_F32) {
            return false;
        }
        memcpy(limit, value->data, sizeof *limit);
        return true;
    }
    *limit = ledge_node_float(&v->node, name, *limit);
    return true;
}

static enum ledge_status clip(const struct train_vjp *v)
{
    float low = -INFINITY;
    float high = INFINITY;
    if (!limit_of(v, 1, "min", &low) || !limit_of(v, 2, "max", &high)) {
        return refuse(v, "limits must be constant");
    }
    return from_input(v, low, high);
}

static enum ledge_status exponential(const struct train_vjp *v)
{
    train_vjp_give(v, 0, ONNX("Mul", v->dy, OUT));
    return LEDGE_OK;
}

static enum ledge_status logarithm(const struct train_vjp *v)
{
    train_vjp_give(v, 0, ONNX("Div", v->dy, IN(0)));
    return LEDGE_OK;
}

/* dx = y (dy - sum(dy y)): Softmax over the last axis. */
static enum ledge_status softmax(const struct train_vjp *v)
{
    int64_t axis = ledge_node_int(&v->node, "axis", v->node.opset >= 13 ? -1 : 1);
    if (axis != -1 && axis != v->walk->graph->values[IN(0)].rank - 1) {
        return refuse(v, "Softmax must run over the last axis");
    }
    struct ledge_graph *graph = v->walk->graph;
    static const int64_t one = 1;
    static const int64_t last = -1;
    int32_t axes = ledge_graph_add_constant(graph, NULL, LEDGE_I64, 1, &one, &last, true);
    int32_t sum = ONNX("ReduceSum", ONNX("Mul", v->dy, OUT), axes);
    train_vjp_give(v, 0, ONNX("Mul", OUT, ONNX("Sub", v->dy, sum)));
    return LEDGE_OK;
}

/* -- arithmetic -- */

static int32_t negative(const struct train_vjp *v, int32_t value)
{
    return set_number(v, TRAIN("Scale", value), "alpha", -1);
}

static enum ledge_status addition(const struct train_vjp *v)
{
    for (int32_t i = 0; i < 2; i++) {
        if (train_vjp_needs(v, i)) {
            train_vjp_give_like(v, i, v->dy);
        }
    }
    return LEDGE_OK;
}

static enum ledge_status subtraction(const struct train_vjp *v)
{
    if (train_vjp_needs(v, 0)) {
        train_vjp_give_like(v, 0, v->dy);
    }
    if (train_vjp_needs(v, 1)) {
        train_vjp_give_like(v, 1, negative(v, v->dy));
    }
    return LEDGE_OK;
}

static enum ledge_status multiplication(const struct train_vjp *v)
{
    for (int32_t i = 0; i < 2; i++) {
        if (train_vjp_needs(v, i)) {
            train_vjp_give_like(v, i, ONNX("Mul", v->dy, IN(1 - i)));
        }
    }
    return LEDGE_OK;
}

/* y = a / b: da = dy / b, db = -dy y / b */
static enum ledge_status division(const struct train_vjp *v)
{
    int32_t share = ONNX("Div", v->dy, IN(1));
    if (train_vjp_needs(v, 0)) {
        train_vjp_give_like(v, 0, share);
    }
    if (train_vjp_needs(v, 1)) {
        train_vjp_give_like(v, 1, negative(v, ONNX("Mul", share, OUT)));
    }
    return LEDGE_OK;
}

static enum ledge_status negation(const struct train_vjp *v)
{
    train_vjp_give(v, 0, negative(v, v->dy));
    return LEDGE_OK;
}

/* -- pooling, reduction -- */

static enum ledge_status max_pool(const struct train_vjp *v)
{
    int32_t dx = TRAIN("MaxPoolGrad", IN(0), v->dy);
    train_vjp_attributes(v, train_vjp_last(v));
    train_vjp_give(v, 0, dx);
    return LEDGE_OK;
}

static enum ledge_status average_pool(const struct train_vjp *v)
{
    int32_t dx = TRAIN("AveragePoolGrad", v->dy, IN(0));
    train_vjp_attributes(v, train_vjp_last(v));
    train_vjp_give(v, 0, dx);
    return LEDGE_OK;
}

static enum ledge_status global_average_pool(const struct train_vjp *v)
{
    train_vjp_give(v, 0, TRAIN("SpreadLike", v->dy, IN(0)));
    return LEDGE_OK;
}

static enum ledge_status reduce(const struct train_vjp *v)
{
    struct ledge_graph *graph = v->walk->graph;
    size_t n;
    const int64_t *axes = ledge_node_ints(&v->node, "axes", &n);
    if (v->node.n_in > 1 && IN(1) >= 0) {
        const struct ledge_value *value = &graph->values[IN(1)];
        axes = value->data;
        n = value->bytes / sizeof(int64_t);
    }
    if (axes == NULL || n == 0) {
        return refuse(v, "axes must be given as constants");
    }
    int32_t dx = TRAIN("SpreadLike", v->dy, IN(0));
    if (dx < 0 || !ledge_graph_set_ints(graph, train_vjp_last(v), "axes", axes, n) ||
        !ledge_graph_set_int(graph, train_vjp_last(v), "mean",
                             strcmp(v->node.op, "ReduceMean") == 0)) {
        v->walk->failed = true;
    }
    train_vjp_give(v, 0, dx);
    return LEDGE_OK;
}

/* -- shape -- */

static enum ledge_status reshape(const struct train_vjp *v)
{
    train_vjp_give(v, 0, TRAIN("ReshapeLike", v->dy, IN(0)));
    return LEDGE_OK;
}

static enum ledge_status identity(const struct train_vjp *v)
{
    train_vjp_give(v, 0, v->dy);
    return LEDGE_OK;
}

static enum ledge_status transpose(const struct train_vjp *v)
{
    size_t n;
    const int64_t *perm = ledge_node_ints(&v->node, "perm", &n);
    int64_t inverse[LEDGE_MAX_RANK];
    int32_t dx = ONNX("Transpose", v->dy);
    for (size_t i = 0; i < n; i++) {
        if (perm[i] < 0 || perm[i] >= (int64_t)n || n > LEDGE_MAX_RANK) {
            return refuse(v, "perm is no permutation");
        }
        inverse[perm[i]] = (int64_t)i;
    }
    if (dx < 0 ||
        (n > 0 && !ledge_graph_set_ints(v->walk->graph, train_vjp_last(v), "perm", inverse, n))) {
        v->walk->failed = true;
    }
    train_vjp_give(v, 0, dx);
    return LEDGE_OK;
}

static enum ledge_status concat(const struct train_vjp *v)
{
    enum { MAX = 64 };
    int32_t in[MAX + 1] = {v->dy};
    int32_t out[MAX];
    bool wanted[MAX];
    if (v->node.n_in > MAX) {
        return refuse(v, "more than 64 inputs");
    }
    for (int32_t i = 0; i < v->node.n_in; i++) {
        in[i + 1] = IN(i);
        wanted[i] = train_vjp_needs(v, i);
    }
    int32_t node = train_vjp_nodes(v, TRAIN_DOMAIN, "ConcatGrad", in, v->node.n_in + 1, wanted,
                                   v->node.n_in, out);
    train_vjp_attributes(v, node);
    for (int32_t i = 0; i < v->node.n_in; i++) {
        if (wanted[i]) {
            train_vjp_give(v, i, out[i]);
        }
    }
    return LEDGE_OK;
}

static enum ledge_status dropout(const struct train_vjp *v)
{
    int32_t dx = TRAIN("Dropout", v->dy, IN(1));
    train_vjp_attributes(v, train_vjp_last(v));
    train_vjp_give(v, 0, dx);
    return LEDGE_OK;
}

static const struct train_rule rules[] = {
    {"", "Conv", conv},
    {TRAIN_DOMAIN, "Conv", conv},
    {"", "Gemm", gemm},
    {"", "MatMul", matmul},
    {TRAIN_DOMAIN, "MatMul", train_matmul},
    {TRAIN_DOMAIN, "BatchNorm", batch_norm},
    {"", "BatchNormalization", fixed_norm},
    {"", "Relu", from_output},
    {TRAIN_DOMAIN, "Relu", from_output},
    {"", "Sigmoid", from_output},
    {"", "Tanh", from_output},
    {"", "Sqrt", from_output},
    {"", "Clip", clip},
    {"", "LeakyRelu", leaky_relu},
    {"", "Elu", elu},
    {"", "HardSigmoid", hard_sigmoid},
    {"", "HardSwish", plain_input},
    {"", "Softplus", plain_input},
    {"", "Exp", exponential},
    {"", "Log", logarithm},
    {"", "Softmax", softmax},
    {"", "Add", addition},
    {"", "Sub", subtraction},
    {"", "Mul", multiplication},
    {"", "Div", division},
    {"", "Neg", negation},
    {"", "MaxPool", max_pool},
    {TRAIN_DOMAIN, "MaxPool", max_pool},
    {"", "AveragePool", average_pool},
    {"", "GlobalAveragePool", global_average_pool},
    {"", "ReduceMean", reduce},
    {"", "ReduceSum", reduce},
    {"", "Reshape", reshape},
    {"", "Flatten", reshape},
    {"", "Squeeze", reshape},
    {"", "Unsqueeze", reshape},
    {"", "Identity", identity},
    {"", "Transpose", transpose},
    {"", "Concat", concat},
    {TRAIN_DOMAIN, "Dropout", dropout},
};

enum { N_RULES = sizeof rules / sizeof rules[0] };

const struct train_rule *train_rule_find(const char *domain, const char *op)
{
    domain = strcmp(domain, "ai.onnx") == 0 ? "" : domain;
    for (int32_t i = 0; i < N_RULES; i++) {
        if (strcmp(rules[i].op, op) == 0 && strcmp(rules[i].domain, domain) == 0) {
            return &rules[i];
        }
    }
    return NULL;
}

const char *train_grad_op(int32_t index)
{
    return index >= 0 && index < N_RULES ? rules[index].op : NULL;
}
