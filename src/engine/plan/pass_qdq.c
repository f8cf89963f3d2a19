/* SPDX-License-Identifier: Apache-2.0 */
/* pass_qdq.c -- DequantizeLinear -> operator -> QuantizeLinear becomes one integer operator.
 *
 *   DQ(x), DQ(w)[, DQ(b)] -> Conv    -> Q   QLinearConv         b is i32 with scale x * w
 *   DQ(x), DQ(w)[, DQ(b)] -> Gemm   [-> Q]  com.microsoft.QGemm  (f32 result without the Q)
 *   DQ(a), DQ(b)          -> MatMul  -> Q   QLinearMatMul
 *   DQ(a), DQ(b)          -> Add|Mul -> Q   com.microsoft.QLinearAdd | QLinearMul
 *   DQ(x)   -> GlobalAveragePool     -> Q   com.microsoft.QLinearGlobalAveragePool
 *   DQ(x)   -> a function of each element -> Q   ledge.ByteTable with a table of 256 bytes, which
 * the same three nodes give when the plan folds constants: the same bytes by construction DQ(x)..
 * -> an operator that only moves elements -> Q   the same operator on the integers, when all scales
 * and zero points are equal
 *
 * The numerics stay ONNX's: f32 requantisation, round half to even. What does not match stays as it
 * is, and stays right; its attribute in_float then says why (ledge_step_info). */
#include <math.h>
#include <string.h>

#include "base/status.h"
#include "engine/plan/pass_match.h"
#include "engine/plan/passes.h"

#include "base/banned.h"

/* One end of a quantised edge: the integers, and constants that say what they mean. */
struct quantised {
    int32_t value, scale, zero;
    enum ledge_dtype dtype;
    int64_t n;    /* scales: 1 or channels */
    int64_t axis; /* of the channels */
};

static bool is_byte(enum ledge_dtype dtype)
{
    return dtype == LEDGE_I8 || dtype == LEDGE_U8;
}

static bool is_quant_op(const struct ledge_node *node, const char *op)
{
    return node != NULL && !node->dead && strcmp(node->op, op) == 0 &&
           (node->domain[0] == '\0' || strcmp(node->domain, "com.microsoft") == 0);
}

/* Scale and zero point of a Q or DQ node, both constant. */
static bool read_params(const struct ledge_match *match, const struct ledge_node *node,
                        struct quantised *q)
{
    const struct ledge_value *values = match->graph->values;
    q->scale = ledge_node_in(node, 1);
    q->zero = ledge_node_in(node, 2);
    if (ledge_match_constant(match, q->scale, LEDGE_F32, -1) == NULL || q->zero < 0 ||
        values[q->zero].data == NULL || ledge_node_int(node, "block_size", 0) != 0) {
        return false;
    }
    q->n = ledge_match_count(&values[q->scale]);
    q->dtype = values[q->zero].dtype;
    q->axis = ledge_node_int(node, "axis", 1);
    return q->n >= 1 && ledge_match_count(&values[q->zero]) == q->n && values[q->scale].rank <= 1;
}

/* value comes out of a DequantizeLinear. */
static bool read_dq(const struct ledge_match *match, int32_t value, struct quantised *q)
{
    const struct ledge_node *node = ledge_match_producer(match, value);
    if (!is_quant_op(node, "DequantizeLinear") || node->n_in < 3 || node->in[0] < 0 ||
        !read_params(match, node, q)) {
        return false;
    }
    q->value = node->in[0];
    return true;
}

/* The same, bytes with one scale: an activation. */
static bool read_activation(const struct ledge_match *match, int32_t value, struct quantised *q)
{
    return read_dq(match, value, q) && q->n == 1 && is_byte(q->dtype);
}

/* The only reader of a value is a QuantizeLinear to bytes with one scale. */
static struct ledge_node *read_q_of(const struct ledge_match *match, int32_t value,
                                    struct quantised *q)
{
    struct ledge_node *reader = ledge_match_reader(match, value);
    bool fits = is_quant_op(reader, "QuantizeLinear") && reader->n_in >= 3 &&
                reader->in[0] == value && reader->n_out == 1 && reader->out[0] >= 0 &&
                read_params(match, reader, q) && q->n == 1 && is_byte(q->dtype) &&
                ledge_node_int(reader, "precision", 1) <= 1;
    return fits ? reader : NULL;
}

/* Likewise of node's only output. */
static struct ledge_node *read_q(const struct ledge_match *match, const struct ledge_node *node,
                                 struct quantised *q)
{
    return node->n_out == 1 ? read_q_of(match, node->out[0], q) : NULL;
}

/* Constant weights as bytes; their channels, if they have scales of their own, along axis. */
static bool read_weights(const struct ledge_match *match, int32_t value, int32_t axis,
                         struct quantised *w)
{
    if (!read_dq(match, value, w) || !is_byte(w->dtype)) {
        return false;
    }
    const struct ledge_value *v = &match->graph->values[w->value];
    if (v->data == NULL || v->rank < 2 || axis >= v->rank) {
        return false;
    }
    int64_t at = w->axis < 0 ? w->axis + v->rank : w->axis;
    return w->n == 1 || (at == axis && w->n == v->dims[axis]);
}

/* Bias: none (*bias -1), or i32 whose scale is that of the sums. */
static bool read_bias(const struct ledge_match *match, int32_t value, const struct quantised *x,
                      const struct quantised *w, int64_t channels, int32_t *bias)
{
    struct quantised b;
    *bias = -1;
    if (value < 0) {
        return true;
    }
    const struct ledge_node *node = ledge_match_producer(match, value);
    if (!is_quant_op(node, "DequantizeLinear") || ledge_node_in(node, 0) < 0) {
        return false;
    }
    const struct ledge_value *v = &match->graph->values[node->in[0]];
    if (v->data == NULL || v->dtype != LEDGE_I32 || ledge_match_count(v) != channels ||
        v->rank != 1) {
        return false;
    }
    b.scale = ledge_node_in(node, 1);
    b.zero = ledge_node_in(node, 2);
    const float *sb = ledge_match_constant(match, b.scale, LEDGE_F32, -1);
    const int32_t *zero = ledge_match_constant(match, b.zero, LEDGE_I32, -1);
    if (sb == NULL || (b.zero >= 0 && zero == NULL)) {
        return false;
    }
    int64_t n_scales = ledge_match_count(&match->graph->values[b.scale]);
    int64_t n_zeros = zero != NULL ? ledge_match_count(&match->graph->values[b.zero]) : 0;
    for (int64_t i = 0; i < n_zeros; i++) {
        if (zero[i] != 0) {
            return false;
        }
    }
    const float *sx = match->graph->values[x->scale].data,
                *sw = match->graph->values[w->scale].data;
    for (int64_t c = 0; c < channels; c++) {
        double wanted = (double)sx[0] * (double)sw[w->n == 1 ? 0 : c];
        double given = (double)sb[n_scales == 1 ? 0 : c];
        if ((n_scales != 1 && n_scales != channels) || fabs(given - wanted) > 1e-6 * fabs(wanted)) {
            return false;
        }
    }
    *bias = node->in[0];
    return true;
}

static enum ledge_status become(struct ledge_match *match, struct ledge_node *node,
                                const char *domain, const char *op, const int32_t *in, int32_t n,
                                struct ledge_node *quantize)
{
    LEDGE_TRY(ledge_match_set_inputs(match, node, in, n));
    node->domain = domain;
    node->op = op;
    node->opset = domain[0] != '\0' ? 1 : node->opset < 10 ? 10 : node->opset;
    if (quantize != NULL) {
        ledge_match_absorb(match, node, quantize);
    }
    return LEDGE_OK;
}

/* -- patterns: each returns ERR_NOT_FOUND when it does not match -- */

static enum ledge_status fuse_conv(struct ledge_match *match, struct ledge_node *node)
{
    struct quantised x, w, y;
    int32_t bias;
    if (!ledge_is_op(node, "Conv") || node->n_in < 2) {
        return LEDGE_ERR_NOT_FOUND;
    }
    struct ledge_node *q = read_q(match, node, &y);
    if (q == NULL || !read_activation(match, node->in[0], &x) ||
        !read_weights(match, node->in[1], 0, &w) ||
        !read_bias(match, ledge_node_in(node, 2), &x, &w, match->graph->values[w.value].dims[0],
                   &bias)) {
        return LEDGE_ERR_NOT_FOUND;
    }
    const int32_t in[9] = {x.value, x.scale, x.zero, w.value, w.scale,
                           w.zero,  y.scale, y.zero, bias};
    return become(match, node, "", "QLinearConv", in, bias >= 0 ? 9 : 8, q);
}

static enum ledge_status fuse_gemm(struct ledge_match *match, struct ledge_node *node)
{
    struct quantised a, b, y;
    int32_t bias;
    if (!ledge_is_op(node, "Gemm") || node->n_in < 2 || node->n_out != 1 ||
        ledge_node_float(node, "beta", 1.0f) != 1.0f ||
        ledge_node_float(node, "alpha", 1.0f) != 1.0f) {
        return LEDGE_ERR_NOT_FOUND;
    }
    int32_t axis = ledge_node_int(node, "transB", 0) != 0 ? 0 : 1;
    struct ledge_node *q = read_q(match, node, &y);
    if (!read_activation(match, node->in[0], &a) || !read_weights(match, node->in[1], axis, &b) ||
        !read_bias(match, ledge_node_in(node, 2), &a, &b, match->graph->values[b.value].dims[axis],
                   &bias)) {
        return LEDGE_ERR_NOT_FOUND;
    }
    const int32_t in[9] = {a.value,
                           a.scale,
                           a.zero,
                           b.value,
                           b.scale,
                           b.zero,
                           bias,
                           q != NULL ? y.scale : -1,
                           q != NULL ? y.zero : -1};
    return become(match, node, "com.microsoft", "QGemm", in, q != NULL ? 9 : 7, q);
}

static enum ledge_status fuse_matmul(struct ledge_match *match, struct ledge_node *node)
{
    struct quantised a, b, y;
    if (!ledge_is_op(node, "MatMul") || node->n_in != 2) {
        return LEDGE_ERR_NOT_FOUND;
    }
    struct ledge_node *q = read_q(match, node, &y);
    if (q == NULL || !read_activation(match, node->in[0], &a) ||
        (!read_activation(match, node->in[1], &b) &&
         (!read_weights(match, node->in[1], 1, &b) || match->graph->values[b.value].rank != 2))) {
        return LEDGE_ERR_NOT_FOUND;
    }
    const int32_t in[8] = {a.value, a.scale, a.zero, b.value, b.scale, b.zero, y.scale, y.zero};
    return become(match, node, "", "QLinearMatMul", in, 8, q);
}

/* A constant of every byte, in the order of a table's entries; -1: no memory. */
static int32_t every_byte(struct ledge_graph *graph, enum ledge_dtype dtype)
{
    uint8_t bytes[256];
    const int64_t dims[1] = {sizeof bytes};
    for (int i = 0; i < 256; i++) {
        bytes[i] = (uint8_t)i;
    }
    return ledge_graph_add_constant(graph, NULL, dtype, 1, dims, bytes, true);
}

/* The table by which value comes from x alone; -1: it does not. */
static int32_t table_of(const struct ledge_match *match, int32_t value, int32_t x)
{
    const struct ledge_node *node = ledge_match_producer(match, value);
    bool fits = node != NULL && strcmp(node->domain, "ledge") == 0 &&
                strcmp(node->op, "ByteTable") == 0 && node->in[0] == x;
    return fits ? node->in[1] : -1;
}

/* x * sigmoid(x) is a function of x: the operator on every byte and its table gives one table. in:
 * what the operator would read, x first or fourth. ERR_NOT_FOUND: it has two inputs indeed. */
static enum ledge_status fuse_own_table(struct ledge_match *match, struct ledge_node *node,
                                        const char *op, const int32_t *in, enum ledge_dtype dtype,
                                        struct ledge_node *q)
{
    struct ledge_graph *graph = match->graph;
    int32_t second = table_of(match, in[3], in[0]), first = table_of(match, in[0], in[3]);
    int32_t copy[8], pair[2] = {second >= 0 ? in[0] : in[3], -1};
    int32_t at = (int32_t)(node - graph->nodes), tail = (int32_t)(q - graph->nodes);
    if (first < 0 && second < 0) {
        return LEDGE_ERR_NOT_FOUND;
    }
    memcpy(copy, in, sizeof copy);
    copy[0] = second >= 0 ? every_byte(graph, dtype) : first;
    copy[3] = second >= 0 ? second : every_byte(graph, dtype);
    pair[1] = ledge_graph_add_value(graph, NULL, LEDGE_DTYPE_NONE, -1, NULL);
    bool made =
        copy[0] >= 0 && copy[3] >= 0 && pair[1] >= 0 &&
        ledge_graph_add_node(graph, "com.microsoft", op, 1, NULL, copy, 8, &pair[1], 1) >= 0;
    return made ? become(match, &graph->nodes[at], "ledge", "ByteTable", pair, 2,
                         &graph->nodes[tail])
                : ledge_fail(match->err, LEDGE_ERR_NOMEM, "no memory for a table");
}

static enum ledge_status fuse_binary(struct ledge_match *match, struct ledge_node *node)
{
    struct quantised a, b, y;
    bool add = ledge_is_op(node, "Add");
    if ((!add && !ledge_is_op(node, "Mul")) || node->n_in != 2 || node->opset < 7) {
        return LEDGE_ERR_NOT_FOUND;
    }
    struct ledge_node *q = read_q(match, node, &y);
    if (q == NULL || !read_activation(match, node->in[0], &a) ||
        !read_activation(match, node->in[1], &b) || a.dtype != y.dtype) {
        return LEDGE_ERR_NOT_FOUND;
    }
    const int32_t in[8] = {a.value, a.scale, a.zero, b.value, b.scale, b.zero, y.scale, y.zero};
    const char *op = add ? "QLinearAdd" : "QLinearMul";
    enum ledge_status own =
        a.dtype == b.dtype ? fuse_own_table(match, node, op, in, a.dtype, q) : LEDGE_ERR_NOT_FOUND;
    return own != LEDGE_ERR_NOT_FOUND ? own : become(match, node, "com.microsoft", op, in, 8, q);
}

static enum ledge_status fuse_global_pool(struct ledge_match *match, struct ledge_node *node)
{
    struct quantised x, y;
    if (!ledge_is_op(node, "GlobalAveragePool") || node->n_in != 1 ||
        ledge_node_attr(node, "clamp_low") != NULL ||
        ledge_node_int(node, "layout", LEDGE_NCHW) != LEDGE_NCHW) {
        return LEDGE_ERR_NOT_FOUND;
    }
    struct ledge_node *q = read_q(match, node, &y);
    if (q == NULL || !read_activation(match, node->in[0], &x) || x.dtype != y.dtype) {
        return LEDGE_ERR_NOT_FOUND;
    }
    const int32_t in[5] = {x.value, x.scale, x.zero, y.scale, y.zero};
    return become(match, node, "com.microsoft", "QLinearGlobalAveragePool", in, 5, q);
}

/* -- operators that only move elements -- */

static bool same_params(const struct ledge_match *match, const struct quantised *a,
                        const struct quantised *b)
{
    const struct ledge_value *v = match->graph->values;
    return a->dtype == b->dtype && memcmp(v[a->scale].data, v[b->scale].data, sizeof(float)) == 0 &&
           memcmp(v[a->zero].data, v[b->zero].data, 1) == 0;
}

/* Nearest, and nothing is filled in from outside. */
static bool resize_copies(const struct ledge_node *node)
{
    const char *place = ledge_node_string(node, "coordinate_transformation_mode", "half_pixel");
    return strcmp(ledge_node_string(node, "mode", "nearest"), "nearest") == 0 &&
           strcmp(place, "tf_crop_and_resize") != 0;
}

static bool only_moves(const struct ledge_node *node)
{
    static const char *const names[] = {
        "Reshape", "Flatten",      "Squeeze",      "Unsqueeze", "Transpose", "Slice",  "Expand",
        "Tile",    "DepthToSpace", "SpaceToDepth", "MaxPool",   "Concat",    "Resize", "Gather"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (ledge_is_op(node, names[i])) {
            return ledge_node_attr(node, "clamp_low") == NULL &&
                   (strcmp(names[i], "Resize") != 0 || resize_copies(node));
        }
    }
    return false;
}

/* MaxPool's padding is below every number, also below every integer: the greatest element does not
 * change. */
static enum ledge_status fuse_move(struct ledge_match *match, struct ledge_node *node)
{
    struct quantised x, y;
    struct ledge_node *q = only_moves(node) && node->n_in >= 1 ? read_q(match, node, &y) : NULL;
    int32_t n = q != NULL && ledge_is_op(node, "Concat") ? node->n_in : 1;
    if (q == NULL) {
        return LEDGE_ERR_NOT_FOUND;
    }
    for (int32_t i = 0; i < n; i++) {
        if (!read_activation(match, node->in[i], &x) || !same_params(match, &x, &y)) {
            return LEDGE_ERR_NOT_FOUND;
        }
    }
    for (int32_t i = 0; i < n; i++) {
        (void)read_activation(match, node->in[i], &x);
        node->in[i] = x.value;
    }
    ledge_match_absorb(match, node, q);
    return LEDGE_OK;
}

/* Split: a QuantizeLinear alone reads a part, or nobody does. */
static enum ledge_status fuse_split(struct ledge_match *match, struct ledge_node *node)
{
    struct quantised x, y;
    if (!ledge_is_op(node, "Split") || node->n_in < 1 || !read_activation(match, node->in[0], &x)) {
        return LEDGE_ERR_NOT_FOUND;
    }
    for (int32_t i = 0; i < node->n_out; i++) {
        if (!ledge_match_is_unread(match, node->out[i]) &&
            (read_q_of(match, node->out[i], &y) == NULL || !same_params(match, &x, &y))) {
            return LEDGE_ERR_NOT_FOUND;
        }
    }
    for (int32_t i = 0; i < node->n_out; i++) {
        struct ledge_node *q = read_q_of(match, node->out[i], &y);
        if (q != NULL) {
            ledge_match_absorb_at(match, node, i, q);
        }
    }
    node->in[0] = x.value;
    return LEDGE_OK;
}

/* -- functions of one element -- */

/* y[i] depends on x[i] alone; further inputs, like Clip's bounds, are single constants. */
static bool is_function(const struct ledge_match *match, const struct ledge_node *node)
{
    static const char *const names[] = {
        "Abs",        "Ceil",        "Celu",  "Clip",           "Elu",
        "Erf",        "Exp",         "Floor", "Gelu",           "HardSwish",
        "Log",        "HardSigmoid", "Mish",  "LeakyRelu",      "Neg",
        "Reciprocal", "Relu",        "Round", "Selu",           "Sigmoid",
        "Softplus",   "Softsign",    "Sqrt",  "Swish",          "Tanh",
        "Sin",        "Cos",         "Sign",  "ThresholdedRelu"};
    size_t i = 0;
    while (i < sizeof names / sizeof names[0] && !ledge_is_op(node, names[i])) {
        i++;
    }
    bool fits = i < sizeof names / sizeof names[0] && node->n_in >= 1 && node->n_out == 1;
    for (int32_t k = 1; fits && k < node->n_in; k++) {
        const struct ledge_value *v = node->in[k] >= 0 ? &match->graph->values[node->in[k]] : NULL;
        fits = v == NULL || (v->data != NULL && ledge_match_count(v) == 1);
    }
    return fits;
}

/* A copy of node on other inputs; returns its output, -1 when memory ran out. */
static int32_t copy_on(struct ledge_graph *graph, int32_t node, int32_t first)
{
    enum { MOST = 8 };
    struct ledge_node *from = &graph->nodes[node];
    int32_t in[MOST] = {first}, out, n = from->n_in;
    for (int32_t k = 1; k < n && n <= MOST; k++) {
        in[k] = from->in[k];
    }
    out = n <= MOST ? ledge_graph_add_value(graph, NULL, LEDGE_DTYPE_NONE, -1, NULL) : -1;
    int32_t made = out < 0 ? -1
                           : ledge_graph_add_node(graph, from->domain, from->op, from->opset, NULL,
                                                  in, n, &out, 1);
    if (made < 0) {
        return -1;
    }
    graph->nodes[made].attrs = graph->nodes[node].attrs; /* read only, in the graph's arena */
    graph->nodes[made].n_attrs = graph->nodes[node].n_attrs;
    return out;
}

static enum ledge_status fuse_function(struct ledge_match *match, struct ledge_node *node)
{
    struct ledge_graph *graph = match->graph;
    struct quantised x, y;
    const struct ledge_node *q = is_function(match, node) ? read_q(match, node, &y) : NULL;
    if (q == NULL || !read_activation(match, node->in[0], &x) ||
        graph->values[x.value].data != NULL) {
        return LEDGE_ERR_NOT_FOUND;
    }
    int32_t chain[3] = {graph->values[node->in[0]].producer, (int32_t)(node - graph->nodes),
                        (int32_t)(q - graph->nodes)};
    int32_t table = every_byte(graph, x.dtype);
    for (int i = 0; i < 3 && table >= 0; i++) {
        table = copy_on(graph, chain[i], table); /* moves the nodes: only numbers hold */
    }
    if (table < 0) {
        return ledge_fail(match->err, LEDGE_ERR_NOMEM, "no memory for a table");
    }
    const int32_t in[2] = {x.value, table};
    node = &graph->nodes[chain[1]];
    node->attrs = NULL;
    node->n_attrs = 0;
    return become(match, node, "ledge", "ByteTable", in, 2, &graph->nodes[chain[2]]);
}

/* Q(DQ(x)) with the same numbers is x. */
static enum ledge_status fuse_nothing(struct ledge_match *match, struct ledge_node *node)
{
    struct quantised x, y;
    if (!is_quant_op(node, "QuantizeLinear") || node->n_in < 3 || node->n_out != 1 ||
        node->out[0] < 0 || ledge_match_reader(match, node->out[0]) == NULL ||
        !read_params(match, node, &y) || y.n != 1 || !read_activation(match, node->in[0], &x) ||
        !same_params(match, &x, &y)) {
        return LEDGE_ERR_NOT_FOUND;
    }
    ledge_graph_replace(match->graph, node->out[0], x.value);
    node->dead = true;
    return LEDGE_OK;
}

/* -- what stays on floats, and why -- */

static bool is_dequantised(const struct ledge_match *match, int32_t value)
{
    const struct ledge_node *node = ledge_match_producer(match, value);
    int32_t from = is_quant_op(node, "DequantizeLinear") ? ledge_node_in(node, 0) : -1;
    return from >= 0 && match->graph->values[from].data == NULL;
}

static const char *why_product(const struct ledge_match *match, const struct ledge_node *node)
{
    struct quantised x, w;
    int32_t bias;
    int32_t axis = ledge_is_op(node, "Conv") || ledge_node_int(node, "transB", 0) != 0 ? 0 : 1;
    if (!read_activation(match, ledge_node_in(node, 0), &x)) {
        return "input 0 is not bytes with one constant scale and zero point";
    }
    if (!read_weights(match, ledge_node_in(node, 1), axis, &w)) {
        return "weights are not constant bytes with one scale, or one for each output channel";
    }
    if (!ledge_is_op(node, "MatMul") &&
        !read_bias(match, ledge_node_in(node, 2), &x, &w, match->graph->values[w.value].dims[axis],
                   &bias)) {
        return "the bias is not constant i32 with zero point 0 and scale input x weights";
    }
    return "an attribute that the integer operator lacks";
}

/* Why a node that reads dequantised activations was not fused; NULL: it reads none. */
static const char *why_float(const struct ledge_match *match, const struct ledge_node *node)
{
    struct quantised x, y;
    bool reads = false;
    for (int32_t i = 0; i < node->n_in; i++) {
        reads = reads || is_dequantised(match, node->in[i]);
    }
    if (!reads || is_quant_op(node, "QuantizeLinear")) {
        return NULL;
    }
    bool gemm = ledge_is_op(node, "Gemm");
    bool product = ledge_is_op(node, "Conv") || gemm || ledge_is_op(node, "MatMul");
    bool each = ledge_is_op(node, "Add") || ledge_is_op(node, "Mul") ||
                ledge_is_op(node, "GlobalAveragePool");
    bool split = ledge_is_op(node, "Split");
    if (!product && !each && !split && !only_moves(node)) {
        return "no integer form of this operator";
    }
    if (!gemm && !split && read_q(match, node, &y) == NULL) {
        return "the result is not read by one QuantizeLinear alone, to bytes with one constant "
               "scale and zero point";
    }
    if (product) {
        return why_product(match, node);
    }
    int32_t n = ledge_is_op(node, "Concat") || (each && node->n_in > 1) ? node->n_in : 1;
    for (int32_t i = 0; i < n && !split; i++) {
        if (!read_activation(match, node->in[i], &x)) {
            return "an input is not bytes with one constant scale and zero point";
        }
        if (x.dtype != y.dtype) {
            return "inputs and result are bytes of different sign";
        }
    }
    return each ? "an attribute that the integer operator lacks"
                : "it only moves elements, but scales or zero points before and behind differ";
}

/* Attribute in_float of what was left: no fallback is silent. */
static enum ledge_status note_floats(struct ledge_match *match)
{
    struct ledge_graph *graph = match->graph;
    for (int32_t i = 0; i < graph->n_nodes; i++) {
        const char *why = graph->nodes[i].dead ? NULL : why_float(match, &graph->nodes[i]);
        if (why != NULL && !ledge_graph_set_string(graph, i, "in_float", why)) {
            return ledge_fail(match->err, LEDGE_ERR_NOMEM, "no memory for a pass");
        }
    }
    return LEDGE_OK;
}

enum ledge_status ledge_pass_qdq(struct ledge_graph *graph, struct ledge_error *err)
{
    static enum ledge_status (*const patterns[])(struct ledge_match *, struct ledge_node *) = {
        fuse_conv, fuse_gemm,  fuse_matmul,   fuse_binary, fuse_global_pool,
        fuse_move, fuse_split, fuse_function, fuse_nothing};
    struct ledge_match match;
    enum ledge_status status = ledge_match_begin(&match, graph, err);
    for (int32_t i = 0; status == LEDGE_OK && i < graph->n_nodes; i++) {
        for (size_t k = 0; k < sizeof patterns / sizeof patterns[0]; k++) {
            if (graph->nodes[i].dead) {
                break;
            }
            enum ledge_status result = patterns[k](&match, &graph->nodes[i]);
            if (result != LEDGE_ERR_NOT_FOUND) {
                status = result;
                break;
            }
        }
    }
    if (status == LEDGE_OK) {
        status = note_floats(&match);
    }
    ledge_match_end(&match);
    return status;
}
