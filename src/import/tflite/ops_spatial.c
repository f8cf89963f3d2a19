/* SPDX-License-Identifier: Apache-2.0 */
/* ops_spatial.c -- convolutions, pooling, fully connected layers. */
#include <string.h>

#include "base/checked.h"
#include "base/status.h"
#include "import/tflite/importer.h"

/* Padding, strides and dilations as attributes: names of ONNX for float nodes, the same for domain
 * "tfl". */
static bool set_window(struct ledge_tflite *t, int32_t node, const struct ledge_tflite_op *op,
                       uint16_t dilation_w)
{
    struct ledge_graph *graph = t->graph;
    int64_t strides[2] = {ledge_fb_i32(&t->fb, op->options, CONV_stride_h, 1),
                          ledge_fb_i32(&t->fb, op->options, CONV_stride_w, 1)};
    bool valid = ledge_fb_u8(&t->fb, op->options, CONV_padding, TFLITE_SAME) == TFLITE_VALID;
    bool ok = ledge_graph_set_ints(graph, node, "strides", strides, 2) &&
              ledge_graph_set_string(graph, node, "auto_pad", valid ? "VALID" : "SAME_UPPER") &&
              ledge_graph_set_int(graph, node, "layout", LEDGE_NHWC);
    if (dilation_w != 0) {
        int64_t dilations[2] = {ledge_fb_i32(&t->fb, op->options, (uint16_t)(dilation_w + 1), 1),
                                ledge_fb_i32(&t->fb, op->options, dilation_w, 1)};
        ok = ok && ledge_graph_set_ints(graph, node, "dilations", dilations, 2);
    }
    return ok;
}

/* A node of domain "tfl" with the first n inputs of op and its fused activation. */
static int32_t quantised_node(struct ledge_tflite *t, const struct ledge_tflite_op *op,
                              const char *name, int32_t n, uint8_t activation)
{
    int32_t in[3] = {-1, -1, -1};
    for (int32_t i = 0; i < n && i < 3; i++) {
        in[i] = ledge_tflite_in_value(t, op, i);
    }
    int32_t out = ledge_tflite_out_value(t, op, 0);
    if (in[0] < 0 || out < 0) {
        return -1;
    }
    int32_t node = ledge_tflite_node(t, "tfl", name, in, n, &out, 1);
    return node >= 0 && ledge_graph_set_int(t->graph, node, "activation", activation) ? node : -1;
}

enum kind { FLOAT, QUANTISED, OTHER };

/* FLOAT: f32 in and out, weights of any type that can be made f32. QUANTISED: all i8, all u8, or
 * i16 with i8 weights. */
static enum kind kind_of(const struct ledge_tflite *t, const struct ledge_tflite_op *op)
{
    const struct ledge_tflite_tensor *x = ledge_tflite_in(t, op, 0);
    const struct ledge_tflite_tensor *w = ledge_tflite_in(t, op, 1);
    const struct ledge_tflite_tensor *b = ledge_tflite_in(t, op, 2);
    const struct ledge_tflite_tensor *y = ledge_tflite_out(t, op, 0);
    if (x->dtype == LEDGE_F32 && y->dtype == LEDGE_F32) {
        bool constant = w->data != NULL && (w->dtype == LEDGE_F16 || ledge_tflite_quantised(w));
        return w->dtype == LEDGE_F32 || constant ? FLOAT : OTHER;
    }
    bool small = x->dtype == LEDGE_I8 || x->dtype == LEDGE_U8;
    bool bias = b == NULL || (b->dtype == LEDGE_I32 && b->data != NULL);
    bool wide =
        x->dtype == LEDGE_I16 && w->dtype == LEDGE_I8 && y->dtype == LEDGE_I16 &&
        (b == NULL || (b->data != NULL && (b->dtype == LEDGE_I32 || b->dtype == LEDGE_I64)));
    bool same = small && w->dtype == x->dtype && y->dtype == x->dtype && bias &&
                ledge_tflite_quantised(x) && ledge_tflite_quantised(w) && ledge_tflite_quantised(y);
    wide =
        wide && ledge_tflite_quantised(x) && ledge_tflite_quantised(w) && ledge_tflite_quantised(y);
    return (same || wide) && w->data != NULL ? QUANTISED : OTHER;
}

static const char *variant(const struct ledge_tflite *t, const struct ledge_tflite_op *op)
{
    const struct ledge_tflite_tensor *x = ledge_tflite_in(t, op, 0);
    return x->dtype == LEDGE_DTYPE_NONE ? "type" : ledge_dtype_text(x->dtype);
}

/* Float convolution of x with w (a graph value), group groups. */
static enum ledge_status float_conv(struct ledge_tflite *t, const struct ledge_tflite_op *op,
                                    int32_t w, int64_t group, uint8_t activation,
                                    uint16_t dilation_w)
{
    int32_t in[3] = {ledge_tflite_in_value(t, op, 0), w, -1};
    int32_t n = 2;
    if (ledge_tflite_in(t, op, 2) != NULL) {
        LEDGE_TRY(ledge_tflite_float_value(t, op->in[2], &in[2]));
        n = 3;
    }
    int32_t out = ledge_tflite_out_value(t, op, 0);
    int32_t target = ledge_tflite_act_target(t, activation, true, out);
    LEDGE_TRY(ledge_tflite_done(t, in[0] >= 0 && target >= 0));
    int32_t node = ledge_tflite_node(t, "", "Conv", in, n, &target, 1);
    LEDGE_TRY(ledge_tflite_done(t, node >= 0 && set_window(t, node, op, dilation_w) &&
                                       ledge_graph_set_int(t->graph, node, "group", group)));
    return ledge_tflite_act_finish(t, activation, true, node, target, out);
}

enum ledge_status ledge_tflite_conv(struct ledge_tflite *t, const struct ledge_tflite_op *op)
{
    const struct ledge_tflite_tensor *x = ledge_tflite_in(t, op, 0);
    const struct ledge_tflite_tensor *w = ledge_tflite_in(t, op, 1);
    uint8_t activation = ledge_fb_u8(&t->fb, op->options, CONV_activation, TFLITE_ACT_NONE);
    enum kind kind = kind_of(t, op);
    if (kind == OTHER || x->rank != 4 || w->rank != 4) {
        return ledge_tflite_unsupported(t, op, variant(t, op));
    }
    int64_t group = w->dims[3] > 0 ? x->dims[3] / w->dims[3] : 0;
    if (group < 1 || group * w->dims[3] != x->dims[3]) {
        return ledge_tflite_unsupported(t, op, "channels");
    }
    if (kind == FLOAT) {
        int32_t weights;
        LEDGE_TRY(ledge_tflite_float_value(t, op->in[1], &weights));
        return float_conv(t, op, weights, group, activation, CONV_dilation_w);
    }
    int32_t node = quantised_node(t, op, "Conv2D", op->n_in > 2 ? 3 : 2, activation);
    return ledge_tflite_done(t, node >= 0 && set_window(t, node, op, CONV_dilation_w));
}

/* Depthwise weights [1][kh][kw][O] -> [O][kh][kw][1], as Conv with group = C wants them. */
static enum ledge_status transpose_depthwise(struct ledge_tflite *t, int32_t from, int32_t *to)
{
    struct ledge_value value = t->graph->values[from];
    int64_t area;
    if (!ledge_mul_i64(value.dims[1], value.dims[2], &area)) {
        return ledge_tflite_done(t, false);
    }
    LEDGE_TRY(ledge_tflite_spend(t, value.bytes));
    int64_t channels = value.dims[3];
    float *data = ledge_arena_alloc(&t->graph->arena, value.bytes, 64);
    if (data == NULL) {
        return ledge_tflite_done(t, false);
    }
    const float *source = value.data;
    for (int64_t i = 0; i < area; i++) {
        for (int64_t c = 0; c < channels; c++) {
            data[c * area + i] = source[i * channels + c];
        }
    }
    int64_t dims[4] = {channels, value.dims[1], value.dims[2], 1};
    *to = ledge_graph_add_constant(t->graph, NULL, LEDGE_F32, 4, dims, data, false);
    return ledge_tflite_done(t, *to >= 0);
}

enum ledge_status ledge_tflite_depthwise(struct ledge_tflite *t, const struct ledge_tflite_op *op)
{
    const struct ledge_tflite_tensor *x = ledge_tflite_in(t, op, 0);
    const struct ledge_tflite_tensor *w = ledge_tflite_in(t, op, 1);
    uint8_t activation = ledge_fb_u8(&t->fb, op->options, DEPTHWISE_activation, TFLITE_ACT_NONE);
    enum kind kind = kind_of(t, op);
    if (kind == OTHER || x->rank != 4 || w->rank != 4 || w->dims[0] != 1 || w->data == NULL) {
        return ledge_tflite_unsupported(t, op, variant(t, op));
    }
    int64_t channels = x->dims[3];
    if (channels < 1 || w->dims[3] % channels != 0) {
        return ledge_tflite_unsupported(t, op, "channels");
    }
    if (kind == FLOAT) {
        int32_t weights;
        LEDGE_TRY(ledge_tflite_float_value(t, op->in[1], &weights));
        LEDGE_TRY(transpose_depthwise(t, weights, &weights));
        return float_conv(t, op, weights, channels, activation, DEPTHWISE_dilation_w);
    }
    int32_t node = quantised_node(t, op, "DepthwiseConv2D", op->n_in > 2 ? 3 : 2, activation);
    return ledge_tflite_done(t, node >= 0 && set_window(t, node, op, DEPTHWISE_dilation_w));
}

/* Inputs: output shape, weights, x, bias or none. A shape that is no constant is the one that the
 * output declares. */
enum ledge_status ledge_tflite_transpose_conv(struct ledge_tflite *t,
                                              const struct ledge_tflite_op *op)
{
    struct ledge_tflite_op conv = *op; /* the order of a convolution: x, weights, bias */
    int32_t in[3] = {op->in[2], op->in[1], op->n_in > 3 ? op->in[3] : -1};
    conv.in = in;
    conv.n_in = in[2] >= 0 ? 3 : 2;
    const struct ledge_tflite_tensor *y = ledge_tflite_out(t, op, 0);
    uint8_t activation = ledge_fb_u8(&t->fb, op->options, CONV_activation, TFLITE_ACT_NONE);
    enum kind kind = kind_of(t, &conv);
    int64_t shape[LEDGE_MAX_RANK];
    int32_t n;
    if (kind == OTHER || ledge_tflite_in(t, &conv, 0)->dtype == LEDGE_U8 || y->rank != 4) {
        return ledge_tflite_unsupported(t, op, variant(t, &conv));
    }
    if (!ledge_tflite_ints(ledge_tflite_in(t, op, 0), shape, LEDGE_MAX_RANK, &n) || n != 4) {
        memcpy(shape, y->dims, sizeof shape);
    }
    int32_t out = ledge_tflite_out_value(t, op, 0);
    int32_t target = kind == FLOAT ? ledge_tflite_act_target(t, activation, true, out) : out;
    int32_t node;
    if (kind == FLOAT) {
        int32_t values[3] = {ledge_tflite_in_value(t, &conv, 0), -1, -1};
        LEDGE_TRY(ledge_tflite_float_value(t, in[1], &values[1]));
        if (in[2] >= 0) {
            LEDGE_TRY(ledge_tflite_float_value(t, in[2], &values[2]));
        }
        LEDGE_TRY(ledge_tflite_done(t, values[0] >= 0 && target >= 0));
        node = ledge_tflite_node(t, "tfl", "TransposeConv2D", values, conv.n_in, &target, 1);
    } else {
        node = quantised_node(t, &conv, "TransposeConv2D", conv.n_in, activation);
    }
    LEDGE_TRY(
        ledge_tflite_done(t, node >= 0 && set_window(t, node, op, 0) &&
                                 ledge_graph_set_ints(t->graph, node, "output_shape", shape, 4)));
    return kind == FLOAT ? ledge_tflite_act_finish(t, activation, true, node, target, out)
                         : LEDGE_OK;
}

static bool set_kernel(struct ledge_tflite *t, int32_t node, const struct ledge_tflite_op *op)
{
    int64_t kernel[2] = {ledge_fb_i32(&t->fb, op->options, POOL_filter_h, 1),
                         ledge_fb_i32(&t->fb, op->options, POOL_filter_w, 1)};
    return ledge_graph_set_ints(t->graph, node, "kernel_shape", kernel, 2);
}

enum ledge_status ledge_tflite_pool(struct ledge_tflite *t, const struct ledge_tflite_op *op)
{
    const struct ledge_tflite_tensor *x = ledge_tflite_in(t, op, 0);
    const struct ledge_tflite_tensor *y = ledge_tflite_out(t, op, 0);
    uint8_t activation = ledge_fb_u8(&t->fb, op->options, POOL_activation, TFLITE_ACT_NONE);
    bool small = x->dtype == LEDGE_I8 || x->dtype == LEDGE_U8;
    if (x->rank != 4 || x->dtype != y->dtype || (x->dtype != LEDGE_F32 && !small)) {
        return ledge_tflite_unsupported(t, op, variant(t, op));
    }
    if (small) {
        const char *name = op->code == LEDGE_TFLITE_MAX_POOL_2D ? "MaxPool2D" : "AveragePool2D";
        int32_t node = quantised_node(t, op, name, 1, activation);
        return ledge_tflite_done(t, node >= 0 && set_window(t, node, op, 0) &&
                                        set_kernel(t, node, op));
    }
    int32_t out = ledge_tflite_out_value(t, op, 0);
    int32_t target = ledge_tflite_act_target(t, activation, true, out);
    int32_t node = ledge_tflite_node1(t, "", op->onnx, ledge_tflite_in_value(t, op, 0), target);
    LEDGE_TRY(
        ledge_tflite_done(t, node >= 0 && set_window(t, node, op, 0) && set_kernel(t, node, op)));
    return ledge_tflite_act_finish(t, activation, true, node, target, out);
}

/* Reshape of value `from` to constant dims. */
static int32_t reshape_to(struct ledge_tflite *t, int32_t from, const int64_t *dims, int32_t rank,
                          int32_t out)
{
    int32_t shape = ledge_tflite_const_i64(t, dims, rank);
    return ledge_tflite_node2(t, "", "Reshape", from, shape, out);
}

static enum ledge_status float_fully_connected(struct ledge_tflite *t,
                                               const struct ledge_tflite_op *op, uint8_t activation)
{
    const struct ledge_tflite_tensor *x = ledge_tflite_in(t, op, 0);
    const struct ledge_tflite_tensor *w = ledge_tflite_in(t, op, 1);
    const struct ledge_tflite_tensor *y = ledge_tflite_out(t, op, 0);
    int32_t in[3] = {ledge_tflite_in_value(t, op, 0), -1, -1};
    LEDGE_TRY(ledge_tflite_float_value(t, op->in[1], &in[1]));
    if (ledge_tflite_in(t, op, 2) != NULL) {
        LEDGE_TRY(ledge_tflite_float_value(t, op->in[2], &in[2]));
    }
    if (x->rank != 2 || x->dims[1] != w->dims[1]) {
        int64_t flat[2] = {-1, w->dims[1]};
        int32_t rows = ledge_tflite_temp(t);
        LEDGE_TRY(ledge_tflite_done(t, reshape_to(t, in[0], flat, 2, rows) >= 0));
        in[0] = rows;
    }
    int32_t out = ledge_tflite_out_value(t, op, 0);
    int32_t product = y->rank == 2 ? out : ledge_tflite_temp(t);
    int32_t target = ledge_tflite_act_target(t, activation, true, product);
    LEDGE_TRY(ledge_tflite_done(t, in[0] >= 0 && target >= 0));
    int32_t node = ledge_tflite_node(t, "", "Gemm", in, in[2] >= 0 ? 3 : 2, &target, 1);
    LEDGE_TRY(ledge_tflite_done(t, node >= 0 && ledge_graph_set_int(t->graph, node, "transB", 1)));
    LEDGE_TRY(ledge_tflite_act_finish(t, activation, true, node, target, product));
    if (product != out) {
        LEDGE_TRY(ledge_tflite_done(t, reshape_to(t, product, y->dims, y->rank, out) >= 0));
    }
    return LEDGE_OK;
}

enum ledge_status ledge_tflite_fully_connected(struct ledge_tflite *t,
                                               const struct ledge_tflite_op *op)
{
    const struct ledge_tflite_tensor *w = ledge_tflite_in(t, op, 1);
    uint8_t activation = ledge_fb_u8(&t->fb, op->options, FC_activation, TFLITE_ACT_NONE);
    enum kind kind = kind_of(t, op);
    if (ledge_fb_u8(&t->fb, op->options, FC_weights_format, 0) != 0) {
        return ledge_tflite_unsupported(t, op, "shuffled weights");
    }
    if (kind == OTHER || w->rank != 2) {
        return ledge_tflite_unsupported(t, op, variant(t, op));
    }
    if (kind == FLOAT) {
        return float_fully_connected(t, op, activation);
    }
    int32_t node = quantised_node(t, op, "FullyConnected", op->n_in > 2 ? 3 : 2, activation);
    uint8_t keep = ledge_fb_u8(&t->fb, op->options, FC_keep_num_dims, 0);
    return ledge_tflite_done(t,
                             node >= 0 && ledge_graph_set_int(t->graph, node, "keep_dims", keep));
}

/* MatMul; an adjoint operand is transposed first. */
enum ledge_status ledge_tflite_batch_matmul(struct ledge_tflite *t,
                                            const struct ledge_tflite_op *op)
{
    int32_t in[2];
    for (int32_t i = 0; i < 2; i++) {
        const struct ledge_tflite_tensor *x = ledge_tflite_in(t, op, i);
        if (x->dtype != LEDGE_F32 || x->rank < 2) {
            return ledge_tflite_unsupported(t, op, variant(t, op));
        }
        in[i] = ledge_tflite_in_value(t, op, i);
        if (ledge_fb_u8(&t->fb, op->options, (uint16_t)(BATCH_MATMUL_adj_x + i), 0) == 0) {
            continue;
        }
        int64_t perm[LEDGE_MAX_RANK];
        for (int32_t k = 0; k < x->rank; k++) {
            perm[k] = k;
        }
        perm[x->rank - 1] = x->rank - 2;
        perm[x->rank - 2] = x->rank - 1;
        int32_t turned = ledge_tflite_temp(t);
        int32_t node = ledge_tflite_node1(t, "", "Transpose", in[i], turned);
        LEDGE_TRY(ledge_tflite_done(
            t, node >= 0 && ledge_graph_set_ints(t->graph, node, "perm", perm, (size_t)x->rank)));
        in[i] = turned;
    }
    int32_t out = ledge_tflite_out_value(t, op, 0);
    return ledge_tflite_done(t, ledge_tflite_node2(t, "", "MatMul", in[0], in[1], out) >= 0);
}
