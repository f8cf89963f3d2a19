/* SPDX-License-Identifier: Apache-2.0 */
/* ops_math.c -- element-wise operators, reductions, softmax, quantise and dequantise. */
#include <string.h>

#include "base/status.h"
#include "import/tflite/importer.h"

static enum ledge_status refuse(struct ledge_tflite *t, const struct ledge_tflite_op *op)
{
    enum ledge_dtype dtype = ledge_tflite_in(t, op, 0)->dtype;
    return ledge_tflite_unsupported(t, op,
                                    dtype == LEDGE_DTYPE_NONE ? "type" : ledge_dtype_text(dtype));
}

/* Both i8 or both u8, with parameters. */
static bool same_small(const struct ledge_tflite_tensor *a, const struct ledge_tflite_tensor *b)
{
    return a->dtype == b->dtype && (a->dtype == LEDGE_I8 || a->dtype == LEDGE_U8) &&
           a->scales.n == 1 && b->scales.n == 1;
}

/* The same for i16, or any of the three. */
static bool same_wide(const struct ledge_tflite_tensor *a, const struct ledge_tflite_tensor *b)
{
    bool wide = a->dtype == LEDGE_I16 && b->dtype == LEDGE_I16;
    return same_small(a, b) || (wide && a->scales.n == 1 && b->scales.n == 1);
}

/* Domain "tfl" has the operator for quantised tensors under this name; NULL: it has not. */
static const char *quantised_unary(int32_t code)
{
    switch (code) {
    case LEDGE_TFLITE_HARD_SWISH:
        return "HardSwish";
    case LEDGE_TFLITE_LOGISTIC:
        return "Logistic";
    case LEDGE_TFLITE_TANH:
        return "Tanh";
    default:
        return NULL;
    }
}

enum ledge_status ledge_tflite_unary(struct ledge_tflite *t, const struct ledge_tflite_op *op)
{
    const struct ledge_tflite_tensor *x = ledge_tflite_in(t, op, 0);
    const struct ledge_tflite_tensor *y = ledge_tflite_out(t, op, 0);
    const char *domain = "";
    const char *name = op->onnx;
    if (ledge_tflite_quantised(x)) {
        domain = "tfl";
        name = quantised_unary(op->code);
        bool wide = op->code == LEDGE_TFLITE_LOGISTIC || op->code == LEDGE_TFLITE_TANH;
        if (name == NULL || !(wide ? same_wide(x, y) : same_small(x, y))) {
            return refuse(t, op);
        }
    }
    return ledge_tflite_done(t, ledge_tflite_node1(t, domain, name, ledge_tflite_in_value(t, op, 0),
                                                   ledge_tflite_out_value(t, op, 0)) >= 0);
}

/* The numbers of both mean the same. */
static bool same_quant(const struct ledge_tflite_tensor *a, const struct ledge_tflite_tensor *b)
{
    int64_t zero_a = a->zeros.n > 0 ? ledge_fb_item_i64(a->zeros, 0) : 0;
    int64_t zero_b = b->zeros.n > 0 ? ledge_fb_item_i64(b->zeros, 0) : 0;
    return zero_a == zero_b &&
           !(ledge_fb_item_f32(a->scales, 0) < ledge_fb_item_f32(b->scales, 0)) &&
           !(ledge_fb_item_f32(a->scales, 0) > ledge_fb_item_f32(b->scales, 0));
}

static enum ledge_status quantised_binary(struct ledge_tflite *t, const struct ledge_tflite_op *op,
                                          uint8_t activation)
{
    const struct ledge_tflite_tensor *a = ledge_tflite_in(t, op, 0);
    const struct ledge_tflite_tensor *b = ledge_tflite_in(t, op, 1);
    const struct ledge_tflite_tensor *y = ledge_tflite_out(t, op, 0);
    int32_t code = op->code;
    bool selects = code == LEDGE_TFLITE_MAXIMUM || code == LEDGE_TFLITE_MINIMUM;
    if (selects && same_wide(a, b) && same_wide(a, y) && same_quant(a, b) && same_quant(a, y)) {
        return ledge_tflite_done(t, ledge_tflite_node2(t, "", op->onnx,
                                                       ledge_tflite_in_value(t, op, 0),
                                                       ledge_tflite_in_value(t, op, 1),
                                                       ledge_tflite_out_value(t, op, 0)) >= 0);
    }
    bool known = code == LEDGE_TFLITE_ADD || code == LEDGE_TFLITE_SUB || code == LEDGE_TFLITE_MUL;
    if (!known || !same_wide(a, b) || !same_wide(a, y)) {
        return refuse(t, op);
    }
    int32_t node =
        ledge_tflite_node2(t, "tfl", op->onnx, ledge_tflite_in_value(t, op, 0),
                           ledge_tflite_in_value(t, op, 1), ledge_tflite_out_value(t, op, 0));
    return ledge_tflite_done(t, node >= 0 &&
                                    ledge_graph_set_int(t->graph, node, "activation", activation));
}

enum ledge_status ledge_tflite_binary(struct ledge_tflite *t, const struct ledge_tflite_op *op)
{
    bool arithmetic = op->code == LEDGE_TFLITE_ADD || op->code == LEDGE_TFLITE_SUB ||
                      op->code == LEDGE_TFLITE_MUL || op->code == LEDGE_TFLITE_DIV;
    bool clamps = op->code == LEDGE_TFLITE_ADD || op->code == LEDGE_TFLITE_MUL;
    uint8_t activation = arithmetic
                             ? ledge_fb_u8(&t->fb, op->options, BINARY_activation, TFLITE_ACT_NONE)
                             : (uint8_t)TFLITE_ACT_NONE;
    const struct ledge_tflite_tensor *x = ledge_tflite_in(t, op, 0);
    if (ledge_tflite_quantised(x)) {
        return quantised_binary(t, op, activation);
    }
    if (op->code == LEDGE_TFLITE_FLOOR_MOD && x->dtype == LEDGE_F32) {
        return refuse(t, op); /* Mod of floats has the sign of the dividend */
    }
    int32_t in[2];
    for (int32_t i = 0; i < 2; i++) {
        LEDGE_TRY(ledge_tflite_float_value(t, op->in[i], &in[i]));
    }
    int32_t out = ledge_tflite_out_value(t, op, 0);
    int32_t target = ledge_tflite_act_target(t, activation, clamps && x->dtype == LEDGE_F32, out);
    int32_t node = ledge_tflite_node2(t, "", op->onnx, in[0], in[1], target);
    return ledge_tflite_act_finish(t, activation, clamps && x->dtype == LEDGE_F32, node, target,
                                   out);
}

/* SQUARE: x * x; SQUARED_DIFFERENCE: (a - b) * (a - b). */
enum ledge_status ledge_tflite_square(struct ledge_tflite *t, const struct ledge_tflite_op *op)
{
    if (ledge_tflite_quantised(ledge_tflite_in(t, op, 0))) {
        return refuse(t, op);
    }
    int32_t x = ledge_tflite_in_value(t, op, 0);
    if (op->code == LEDGE_TFLITE_SQUARED_DIFFERENCE) {
        int32_t difference = ledge_tflite_temp(t);
        int32_t b = ledge_tflite_in_value(t, op, 1);
        LEDGE_TRY(ledge_tflite_done(t, ledge_tflite_node2(t, "", "Sub", x, b, difference) >= 0));
        x = difference;
    }
    int32_t out = ledge_tflite_out_value(t, op, 0);
    return ledge_tflite_done(t, ledge_tflite_node2(t, "", "Mul", x, x, out) >= 0);
}

enum ledge_status ledge_tflite_rsqrt(struct ledge_tflite *t, const struct ledge_tflite_op *op)
{
    if (ledge_tflite_quantised(ledge_tflite_in(t, op, 0))) {
        return refuse(t, op);
    }
    int32_t root = ledge_tflite_temp(t);
    int32_t x = ledge_tflite_in_value(t, op, 0);
    int32_t out = ledge_tflite_out_value(t, op, 0);
    LEDGE_TRY(ledge_tflite_done(t, ledge_tflite_node1(t, "", "Sqrt", x, root) >= 0));
    return ledge_tflite_done(t, ledge_tflite_node1(t, "", "Reciprocal", root, out) >= 0);
}

enum ledge_status ledge_tflite_relu(struct ledge_tflite *t, const struct ledge_tflite_op *op)
{
    const struct ledge_tflite_tensor *x = ledge_tflite_in(t, op, 0);
    uint8_t activation = op->code == LEDGE_TFLITE_RELU    ? (uint8_t)TFLITE_ACT_RELU
                         : op->code == LEDGE_TFLITE_RELU6 ? (uint8_t)TFLITE_ACT_RELU6
                                                          : (uint8_t)TFLITE_ACT_RELU_N1_TO_1;
    int32_t in = ledge_tflite_in_value(t, op, 0);
    int32_t out = ledge_tflite_out_value(t, op, 0);
    if (ledge_tflite_quantised(x)) {
        if (!same_small(x, ledge_tflite_out(t, op, 0))) {
            return refuse(t, op);
        }
        int32_t node = ledge_tflite_node1(t, "tfl", "Relu", in, out);
        return ledge_tflite_done(
            t, node >= 0 && ledge_graph_set_int(t->graph, node, "activation", activation));
    }
    if (activation == TFLITE_ACT_RELU) {
        return ledge_tflite_done(t, ledge_tflite_node1(t, "", "Relu", in, out) >= 0);
    }
    float low = activation == TFLITE_ACT_RELU6 ? 0.0f : -1.0f;
    float high = activation == TFLITE_ACT_RELU6 ? 6.0f : 1.0f;
    int32_t list[3] = {in, ledge_tflite_const_f32(t, low), ledge_tflite_const_f32(t, high)};
    bool made = in >= 0 && list[1] >= 0 && list[2] >= 0;
    return ledge_tflite_done(t, made && ledge_tflite_node(t, "", "Clip", list, 3, &out, 1) >= 0);
}

enum ledge_status ledge_tflite_leaky(struct ledge_tflite *t, const struct ledge_tflite_op *op)
{
    const struct ledge_tflite_tensor *x = ledge_tflite_in(t, op, 0);
    bool quantised = x->scales.n == 1 && x->dtype == ledge_tflite_out(t, op, 0)->dtype &&
                     ledge_tflite_out(t, op, 0)->scales.n == 1 && x->dtype != LEDGE_I32;
    if (x->dtype != LEDGE_F32 && !quantised) {
        return refuse(t, op);
    }
    float alpha = ledge_fb_f32(&t->fb, op->options, LEAKY_alpha, 0);
    int32_t node =
        ledge_tflite_node1(t, quantised ? "tfl" : "", "LeakyRelu", ledge_tflite_in_value(t, op, 0),
                           ledge_tflite_out_value(t, op, 0));
    return ledge_tflite_done(t, node >= 0 && ledge_graph_set_float(t->graph, node, "alpha", alpha));
}

enum ledge_status ledge_tflite_softmax(struct ledge_tflite *t, const struct ledge_tflite_op *op)
{
    const struct ledge_tflite_tensor *x = ledge_tflite_in(t, op, 0);
    float beta = ledge_fb_f32(&t->fb, op->options, SOFTMAX_beta, 0);
    int32_t in = ledge_tflite_in_value(t, op, 0);
    int32_t out = ledge_tflite_out_value(t, op, 0);
    if (ledge_tflite_quantised(x)) {
        const struct ledge_tflite_tensor *y = ledge_tflite_out(t, op, 0);
        bool wider = x->dtype == LEDGE_I8 && y->dtype == LEDGE_I16 && y->scales.n == 1;
        if (!same_wide(x, y) && !wider) {
            return refuse(t, op);
        }
        int32_t node = ledge_tflite_node1(t, "tfl", "Softmax", in, out);
        return ledge_tflite_done(t,
                                 node >= 0 && ledge_graph_set_float(t->graph, node, "beta", beta));
    }
    if (beta != 1.0f) {
        int32_t scaled = ledge_tflite_temp(t);
        int32_t factor = ledge_tflite_const_f32(t, beta);
        LEDGE_TRY(ledge_tflite_done(t, ledge_tflite_node2(t, "", "Mul", in, factor, scaled) >= 0));
        in = scaled;
    }
    int32_t node = ledge_tflite_node1(t, "", "Softmax", in, out);
    return ledge_tflite_done(t, node >= 0 && ledge_graph_set_int(t->graph, node, "axis", -1));
}

enum ledge_status ledge_tflite_reduce(struct ledge_tflite *t, const struct ledge_tflite_op *op)
{
    const struct ledge_tflite_tensor *x = ledge_tflite_in(t, op, 0);
    int64_t axes[LEDGE_MAX_RANK];
    int32_t n;
    if (!ledge_tflite_ints(ledge_tflite_in(t, op, 1), axes, LEDGE_MAX_RANK, &n) || n == 0) {
        return ledge_tflite_unsupported(t, op, "variable axes");
    }
    bool quantised = ledge_tflite_quantised(x);
    if (quantised &&
        (op->code != LEDGE_TFLITE_MEAN || !same_small(x, ledge_tflite_out(t, op, 0)))) {
        return refuse(t, op);
    }
    int32_t in[2] = {ledge_tflite_in_value(t, op, 0), -1};
    int32_t out = ledge_tflite_out_value(t, op, 0);
    int32_t n_in = 1;
    bool as_input =
        op->code == LEDGE_TFLITE_SUM; /* ReduceSum alone takes axes as an input in opset 13 */
    if (as_input) {
        in[1] = ledge_tflite_const_i64(t, axes, n);
        n_in = 2;
    }
    LEDGE_TRY(ledge_tflite_done(t, in[0] >= 0 && (!as_input || in[1] >= 0)));
    int32_t node = ledge_tflite_node(t, quantised ? "tfl" : "", quantised ? "Mean" : op->onnx, in,
                                     n_in, &out, 1);
    bool ok = node >= 0 &&
              ledge_graph_set_int(t->graph, node, "keepdims",
                                  ledge_fb_u8(&t->fb, op->options, REDUCER_keep_dims, 0)) &&
              (as_input || ledge_graph_set_ints(t->graph, node, "axes", axes, (size_t)n));
    return ledge_tflite_done(t, ok);
}

enum ledge_status ledge_tflite_quantize(struct ledge_tflite *t, const struct ledge_tflite_op *op)
{
    const struct ledge_tflite_tensor *x = ledge_tflite_in(t, op, 0);
    const struct ledge_tflite_tensor *y = ledge_tflite_out(t, op, 0);
    bool to = y->scales.n == 1;
    bool from = x->scales.n == 1 || x->dtype == LEDGE_F32;
    int32_t in = ledge_tflite_in_value(t, op, 0);
    int32_t out = ledge_tflite_out_value(t, op, 0);
    if (!to || !from || (x->dtype == LEDGE_F32 && y->dtype == LEDGE_I32)) {
        return refuse(t, op);
    }
    LEDGE_TRY(ledge_tflite_done(t, in >= 0 && out >= 0));
    if (x->dtype == LEDGE_I32) {
        LEDGE_TRY(ledge_tflite_set_quant(t, x, in));
    }
    if (y->dtype == LEDGE_I32) {
        LEDGE_TRY(ledge_tflite_set_quant(t, y, out));
    }
    const char *name = x->dtype == LEDGE_F32 ? "Quantize" : "Requantize";
    return ledge_tflite_done(t, ledge_tflite_node1(t, "tfl", name, in, out) >= 0);
}

/* Weights kept as f16 are turned into f32 here, once; what is computed is dequantised by a node. */
enum ledge_status ledge_tflite_dequantize(struct ledge_tflite *t, const struct ledge_tflite_op *op)
{
    const struct ledge_tflite_tensor *x = ledge_tflite_in(t, op, 0);
    struct ledge_tflite_tensor *y = &t->tensors[op->out[0]];
    if (y->dtype != LEDGE_F32) {
        return refuse(t, op);
    }
    if (x->dtype == LEDGE_F16 && x->data != NULL && y->value < 0) {
        LEDGE_TRY(ledge_tflite_float_value(t, op->in[0], &y->value));
        y->data = t->graph->values[y->value].data;
        y->bytes = t->graph->values[y->value].bytes;
        return LEDGE_OK;
    }
    int32_t in = ledge_tflite_in_value(t, op, 0);
    int32_t out = ledge_tflite_out_value(t, op, 0);
    if (x->dtype == LEDGE_F16) {
        int32_t node = ledge_tflite_node1(t, "", "Cast", in, out);
        return ledge_tflite_done(t,
                                 node >= 0 && ledge_graph_set_int(t->graph, node, "to", LEDGE_F32));
    }
    if (!ledge_tflite_quantised(x)) {
        return refuse(t, op);
    }
    return ledge_tflite_done(t, ledge_tflite_node1(t, "tfl", "Dequantize", in, out) >= 0);
}

/* ONNX gives i64 where TFLite may want i32. */
enum ledge_status ledge_tflite_arg(struct ledge_tflite *t, const struct ledge_tflite_op *op)
{
    const struct ledge_tflite_tensor *y = ledge_tflite_out(t, op, 0);
    int64_t axis;
    int32_t n;
    if (!ledge_tflite_ints(ledge_tflite_in(t, op, 1), &axis, 1, &n) || n != 1) {
        return ledge_tflite_unsupported(t, op, "variable axis");
    }
    int32_t wide = ledge_tflite_temp(t);
    int32_t node = ledge_tflite_node1(t, "", op->onnx, ledge_tflite_in_value(t, op, 0), wide);
    LEDGE_TRY(ledge_tflite_done(t, node >= 0 && ledge_graph_set_int(t->graph, node, "axis", axis) &&
                                       ledge_graph_set_int(t->graph, node, "keepdims", 0)));
    node = ledge_tflite_node1(t, "", "Cast", wide, ledge_tflite_out_value(t, op, 0));
    return ledge_tflite_done(t, node >= 0 && ledge_graph_set_int(t->graph, node, "to", y->dtype));
}

enum ledge_status ledge_tflite_select(struct ledge_tflite *t, const struct ledge_tflite_op *op)
{
    int32_t in[3];
    for (int32_t i = 0; i < 3; i++) {
        in[i] = ledge_tflite_in_value(t, op, i);
        LEDGE_TRY(ledge_tflite_done(t, in[i] >= 0));
    }
    int32_t out = ledge_tflite_out_value(t, op, 0);
    return ledge_tflite_done(t, ledge_tflite_node(t, "", "Where", in, 3, &out, 1) >= 0);
}
