/* SPDX-License-Identifier: Apache-2.0 */
/* quant.c -- QLinearConv-10, ConvInteger-10, QLinearMatMul-10, MatMulInteger-10 and
 * com.microsoft.QGemm-1. */
#include "engine/kernels/quant.h"

#include "base/status.h"
#include "engine/kernels/each_i8.h"
#include "engine/ops/conv_i8.h"
#include "engine/ops/core.h"
#include "engine/ops/matmul_shape.h"
#include "engine/ops/spatial.h"

static const struct ledge_quant_inputs qlinear_conv_in = {.a = 0,
                                                          .a_scale = 1,
                                                          .a_zero = 2,
                                                          .b = 3,
                                                          .b_scale = 4,
                                                          .b_zero = 5,
                                                          .y_scale = 6,
                                                          .y_zero = 7,
                                                          .bias = 8};
static const struct ledge_quant_inputs qlinear_matmul_in = {.a = 0,
                                                            .a_scale = 1,
                                                            .a_zero = 2,
                                                            .b = 3,
                                                            .b_scale = 4,
                                                            .b_zero = 5,
                                                            .y_scale = 6,
                                                            .y_zero = 7,
                                                            .bias = -1};
static const struct ledge_quant_inputs integer_in = {.a = 0,
                                                     .a_scale = -1,
                                                     .a_zero = 2,
                                                     .b = 1,
                                                     .b_scale = -1,
                                                     .b_zero = 3,
                                                     .y_scale = -1,
                                                     .y_zero = -1,
                                                     .bias = -1};
static const struct ledge_quant_inputs qgemm_in = {.a = 0,
                                                   .a_scale = 1,
                                                   .a_zero = 2,
                                                   .b = 3,
                                                   .b_scale = 4,
                                                   .b_zero = 5,
                                                   .y_scale = 7,
                                                   .y_zero = 8,
                                                   .bias = 6};

static bool is_8bit(const struct ledge_value *value)
{
    return value != NULL && (value->dtype == LEDGE_U8 || value->dtype == LEDGE_I8);
}

static int64_t count(const struct ledge_value *value)
{
    int64_t n = 1;
    for (int32_t i = 0; i < value->rank; i++) {
        n *= value->dims[i];
    }
    return n;
}

/* A scale (f32) or zero point (the type of its tensor) with 1 or n elements; need: it may not be
 * absent. */
static enum ledge_status check_quant(const struct ledge_op_infer *infer, int32_t at,
                                     enum ledge_dtype dtype, int64_t n, bool need)
{
    const struct ledge_value *value = ledge_infer_in(infer, at);
    if (value == NULL) {
        return need ? ledge_infer_fail(infer, LEDGE_ERR_FORMAT, "input %d is missing", (int)at)
                    : LEDGE_OK;
    }
    if (value->dtype != dtype) {
        return ledge_infer_fail(infer, LEDGE_ERR_DTYPE, "%s is %s, not %s", value->name,
                                ledge_dtype_text(value->dtype), ledge_dtype_text(dtype));
    }
    int64_t have = count(value);
    if (have != 1 && have != n) {
        return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "%s has %lld elements, not 1 or %lld",
                                value->name, (long long)have, (long long)n);
    }
    return LEDGE_OK;
}

/* All of the quantisation inputs; a_n and b_n: channels that may have their own. */
static enum ledge_status check_inputs(const struct ledge_op_infer *infer,
                                      const struct ledge_quant_inputs *in, int64_t a_n, int64_t b_n)
{
    const struct ledge_value *a = ledge_infer_in(infer, in->a);
    const struct ledge_value *b = ledge_infer_in(infer, in->b);
    bool qlinear = in->a_scale >= 0;
    if (!is_8bit(a) || !is_8bit(b)) {
        return ledge_infer_fail(infer, LEDGE_ERR_DTYPE, "operands must be u8 or i8");
    }
    LEDGE_TRY(check_quant(infer, in->a_zero, a->dtype, a_n, false));
    LEDGE_TRY(check_quant(infer, in->b_zero, b->dtype, b_n, false));
    if (qlinear) {
        LEDGE_TRY(check_quant(infer, in->a_scale, LEDGE_F32, a_n, true));
        LEDGE_TRY(check_quant(infer, in->b_scale, LEDGE_F32, b_n, true));
    }
    const struct ledge_value *bias = ledge_infer_in(infer, in->bias);
    if (bias != NULL && bias->dtype != LEDGE_I32) {
        return ledge_infer_fail(infer, LEDGE_ERR_DTYPE, "bias is %s, not i32",
                                ledge_dtype_text(bias->dtype));
    }
    return LEDGE_OK;
}

/* The type of y: that of y_zero, or of a when there is only a scale. */
static enum ledge_status output_type(const struct ledge_op_infer *infer,
                                     const struct ledge_quant_inputs *in, enum ledge_dtype *dtype)
{
    LEDGE_TRY(check_quant(infer, in->y_scale, LEDGE_F32, 1, true));
    const struct ledge_value *zero = ledge_infer_in(infer, in->y_zero);
    if (zero != NULL && (!is_8bit(zero) || count(zero) != 1)) {
        return ledge_infer_fail(infer, LEDGE_ERR_DTYPE, "%s must be one u8 or i8", zero->name);
    }
    *dtype = zero != NULL ? zero->dtype : ledge_infer_in(infer, in->a)->dtype;
    return LEDGE_OK;
}

/* Attribute planes of an NHWC convolution: its input is NCHW all the same (plan/pass_nhwc.c). */
static bool reads_planes(const struct ledge_node *node)
{
    return ledge_node_layout(node) == LEDGE_NHWC && ledge_node_int(node, "planes", 0) != 0;
}

/* Attribute weights_nchw: its weights are [O][I][k...] all the same. */
static bool has_onnx_weights(const struct ledge_node *node)
{
    return ledge_node_layout(node) == LEDGE_NHWC && ledge_node_int(node, "weights_nchw", 0) != 0;
}

/* The second dimension last. */
static struct ledge_value turned(const struct ledge_value *value)
{
    struct ledge_value made = *value;
    for (int32_t i = 1; i < value->rank - 1; i++) {
        made.dims[i] = value->dims[i + 1];
    }
    made.dims[value->rank - 1] = value->dims[1];
    return made;
}

static enum ledge_status read_geometry(const struct ledge_node *node, const struct ledge_value *x,
                                       const struct ledge_value *w, const struct ledge_value *bias,
                                       struct ledge_geometry *g, struct ledge_error *err)
{
    struct ledge_value picture, weights;
    if (x != NULL && reads_planes(node) && x->rank >= 3) {
        picture = turned(x);
        x = &picture;
    }
    if (w != NULL && has_onnx_weights(node) && w->rank >= 3) {
        weights = turned(w);
        w = &weights;
    }
    return ledge_conv_geometry(node, x, w, bias, g, err);
}

/* QLinearConv's tenth input, which only the passes write: a table that the results go through. */
enum { TABLE = LEDGE_QCONV_TABLE };

static enum ledge_status check_table(const struct ledge_op_infer *infer, enum ledge_dtype dtype)
{
    enum { ENTRIES = 256 };
    const struct ledge_value *table = ledge_infer_in(infer, TABLE);
    bool absent = table == NULL && infer->node->n_in > LEDGE_QCONV_ADDEND;
    if (infer->node->n_in > TABLE && !absent &&
        (table == NULL || table->dtype != dtype || table->rank != 1 || table->dims[0] != ENTRIES)) {
        return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "input 9 must be 256 of the result's type");
    }
    return LEDGE_OK;
}

/* And what plan/sums.c writes: inputs of a QLinearAdd behind it. */
static enum ledge_status check_sum(const struct ledge_op_infer *infer, enum ledge_dtype dtype,
                                   int32_t rank, const int64_t *dims)
{
    const struct ledge_value *addend = ledge_infer_in(infer, LEDGE_QCONV_ADDEND);
    if (infer->node->n_in <= LEDGE_QCONV_ADDEND) {
        return LEDGE_OK;
    }
    if (!LEDGE_HAS(LEDGE_KERNEL_sum_i8)) {
        return ledge_infer_fail(infer, LEDGE_ERR_UNSUPPORTED, "this build has no sums behind it");
    }
    bool fits = addend != NULL && addend->dtype == dtype && addend->rank == rank;
    for (int32_t i = 0; fits && i < rank; i++) {
        fits = addend->dims[i] == dims[i];
    }
    if (!fits) {
        return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "input %d must be as the result",
                                LEDGE_QCONV_ADDEND);
    }
    for (int32_t i = LEDGE_QCONV_ADDEND + 1; i < LEDGE_QCONV_INPUTS; i += 2) {
        LEDGE_TRY(check_quant(infer, i, LEDGE_F32, 1, true));
        LEDGE_TRY(check_quant(infer, i + 1, dtype, 1, false));
    }
    return LEDGE_OK;
}

static enum ledge_status infer_conv(struct ledge_op_infer *infer,
                                    const struct ledge_quant_inputs *in)
{
    struct ledge_geometry g;
    int64_t dims[LEDGE_MAX_RANK];
    enum ledge_dtype dtype = LEDGE_I32;
    const struct ledge_value *x = ledge_infer_in(infer, in->a);
    const struct ledge_value *w = ledge_infer_in(infer, in->b);
    LEDGE_TRY(read_geometry(infer->node, x, w, ledge_infer_in(infer, in->bias), &g, infer->err));
    LEDGE_TRY(check_inputs(infer, in, 1, g.out_channels));
    ledge_spatial_dims(&g, x->rank, dims);
    if (in->y_scale >= 0) {
        LEDGE_TRY(output_type(infer, in, &dtype));
        LEDGE_TRY(check_table(infer, dtype));
        LEDGE_TRY(check_sum(infer, dtype, x->rank, dims));
    }
    return ledge_infer_out(infer, 0, dtype, x->rank, dims);
}

/* -- fast paths: weights, scales, zero points and bias are constant -- */

static bool constant_or_absent(const struct ledge_op_prepare *prepare, int32_t at)
{
    const struct ledge_value *value = ledge_prepare_in(prepare, at);
    return value == NULL || value->data != NULL;
}

static bool all_constant(const struct ledge_op_prepare *prepare,
                         const struct ledge_quant_inputs *in)
{
    const struct ledge_value *a_zero = ledge_prepare_in(prepare, in->a_zero);
    const struct ledge_value *a_scale = ledge_prepare_in(prepare, in->a_scale);
    return constant_or_absent(prepare, in->b) && constant_or_absent(prepare, in->b_zero) &&
           constant_or_absent(prepare, in->b_scale) && constant_or_absent(prepare, in->a_zero) &&
           constant_or_absent(prepare, in->a_scale) && constant_or_absent(prepare, in->y_zero) &&
           constant_or_absent(prepare, in->y_scale) && constant_or_absent(prepare, in->bias) &&
           (a_zero == NULL || count(a_zero) == 1) && (a_scale == NULL || count(a_scale) == 1);
}

/* A constant scale or zero point input; absent: 1 and 0. */
static float scale_at(const struct ledge_op_prepare *prepare, int32_t at)
{
    const struct ledge_value *value = ledge_prepare_in(prepare, at);
    return value == NULL ? 1.0f : *(const float *)value->data;
}

static int32_t zero_at(const struct ledge_op_prepare *prepare, int32_t at)
{
    const struct ledge_value *value = ledge_prepare_in(prepare, at);
    return value == NULL ? 0 : ledge_q8(value->data, value->dtype, 0);
}

/* What the constant inputs say: weights' zeros and bias, scales, and the activations' sign and zero
 * point. The steps of weights are the caller's. */
static enum ledge_status gather(struct ledge_op_prepare *prepare,
                                const struct ledge_quant_inputs *in, int64_t channels, float alpha,
                                struct ledge_clamp clamp, struct ledge_weights_i8 *weights,
                                struct ledge_scales_i8 *scales, struct ledge_conv_i8 *conv)
{
    float *scale = LEDGE_NEW_ARRAY(prepare->memory, float, (size_t)channels);
    int32_t *zeros = LEDGE_NEW_ARRAY(prepare->memory, int32_t, (size_t)channels);
    if (scale == NULL || zeros == NULL) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_NOMEM, "no memory");
    }
    const struct ledge_value *b = ledge_prepare_in(prepare, in->b);
    const struct ledge_value *bias = ledge_prepare_in(prepare, in->bias);
    const struct ledge_value *b_scale = ledge_prepare_in(prepare, in->b_scale);
    const struct ledge_value *b_zero = ledge_prepare_in(prepare, in->b_zero);
    const float one = 1.0f, *scales_b = b_scale != NULL ? b_scale->data : &one;
    const int64_t scale_step = b_scale != NULL && count(b_scale) != 1;
    const int64_t zero_step = b_zero != NULL && count(b_zero) != 1;
    const float y_scale = scale_at(prepare, in->y_scale);
    const float x_scale = alpha * scale_at(prepare, in->a_scale);
    for (int64_t c = 0; c < channels; c++) {
        scale[c] = x_scale * scales_b[c * scale_step] / y_scale;
        zeros[c] = b_zero != NULL ? ledge_q8(b_zero->data, b_zero->dtype, c * zero_step) : 0;
    }
    bool is_i8 = ledge_prepare_in(prepare, in->a)->dtype == LEDGE_I8;
    enum ledge_dtype out = ledge_prepare_out(prepare, 0)->dtype;
    int32_t shift = out == LEDGE_I8 ? 128 : 0;
    weights->data = b->data;
    weights->is_u8 = b->dtype == LEDGE_U8;
    weights->zeros = zeros;
    weights->bias = bias != NULL ? bias->data : NULL;
    weights->bias_step = bias != NULL && count(bias) == 1 ? 0 : 1;
    scales->scale = scale;
    conv->input = in->a;
    conv->flip = is_i8 ? 0x80 : 0;
    conv->x_zero = zero_at(prepare, in->a_zero) + (is_i8 ? 128 : 0);
    conv->out = out;
    conv->single = out != LEDGE_U8 && out != LEDGE_I8;
    conv->clamp = clamp;
    conv->range = ledge_qrange_of(out, y_scale, zero_at(prepare, in->y_zero), clamp);
    conv->epilogue = (struct ledge_epilogue_i8){.zero = conv->range.zero + shift,
                                                .low = conv->range.low + shift,
                                                .high = conv->range.high + shift,
                                                .flip = shift != 0 ? 0x80 : 0};
    return LEDGE_OK;
}

/* conv_i8.h's ways; else the plain kernel. */
static bool is_fast(const struct ledge_op_prepare *prepare, const struct ledge_quant_inputs *in,
                    const struct ledge_geometry *g)
{
    return all_constant(prepare, in) && ledge_conv_i8_is_fast(g);
}

static bool adds(const struct ledge_op_prepare *prepare, const struct ledge_quant_inputs *in)
{
    return LEDGE_HAS(LEDGE_KERNEL_sum_i8) && in->y_scale >= 0 &&
           prepare->node->n_in > LEDGE_QCONV_ADDEND;
}

static bool is_depthwise(const struct ledge_geometry *g)
{
    return ledge_depthwise_i8_is_fast(g) && g->groups > 1;
}

/* As the kernel of QLinearAdd reads its inputs. */
static struct ledge_sum_i8 sum_of(const struct ledge_op_prepare *prepare,
                                  const struct ledge_epilogue_i8 *own)
{
    const struct ledge_node *node = prepare->node;
    const int32_t shift = own->flip != 0 ? 128 : 0;
    struct ledge_sum_i8 sum = {
        .binary = {.term = {{.scale = scale_at(prepare, LEDGE_QCONV_OWN_SCALE),
                             .zero = zero_at(prepare, LEDGE_QCONV_OWN_SCALE + 1) + shift,
                             .flip = own->flip},
                            {.scale = scale_at(prepare, LEDGE_QCONV_ADDEND_SCALE),
                             .zero = zero_at(prepare, LEDGE_QCONV_ADDEND_SCALE + 1) + shift,
                             .flip = own->flip}},
                   .clamp = {.low = ledge_node_float(node, "sum_clamp_low", -INFINITY),
                             .high = ledge_node_float(node, "sum_clamp_high", INFINITY)},
                   .scale = scale_at(prepare, LEDGE_QCONV_SUM_SCALE),
                   .out = {.zero = zero_at(prepare, LEDGE_QCONV_SUM_SCALE + 1) + shift,
                           .high = 255,
                           .flip = own->flip}}};
    ledge_sum_i8_begin(&sum, own->zero);
    return sum;
}

/* conv_i8.h; depthwise_i8.h for bytes in NHWC. */
static enum ledge_status choose_rows(struct ledge_op_prepare *prepare,
                                     const struct ledge_qconv_params *params)
{
    const struct ledge_geometry *g = &params->g;
    bool nchw = g->layout == LEDGE_NCHW;
    int64_t per_group = g->in_channels / g->groups;
    int64_t taps = ledge_volume(g->kernel);
    struct ledge_weights_i8 weights = {.channel_step = taps * per_group,
                                       .tap_step = params->weights_nchw ? 1 : per_group,
                                       .c_step = params->weights_nchw ? taps : 1};
    struct ledge_scales_i8 scales = {.scale = NULL};
    struct ledge_conv_i8 conv = {.judge = params,
                                 .g = *g,
                                 .table = params->table,
                                 .planes = nchw || reads_planes(prepare->node),
                                 .out_planes = nchw};
    LEDGE_TRY(gather(prepare, &params->in, g->out_channels, 1.0f, params->clamp, &weights, &scales,
                     &conv));
    conv.single = conv.single || nchw;
    conv.g.layout = LEDGE_NHWC;
    if (adds(prepare, &params->in)) {
        conv.addend = LEDGE_QCONV_ADDEND;
        conv.sum = sum_of(prepare, &conv.epilogue);
        prepare->in_place =
            prepare->node->in[0] != prepare->node->in[LEDGE_QCONV_ADDEND] ? LEDGE_QCONV_ADDEND : -1;
    } else if (!conv.single && is_depthwise(g)) {
        const struct ledge_depthwise_i8 dw = {.judge = params,
                                              .g = *g,
                                              .input = params->in.a,
                                              .table = params->table,
                                              .flip = conv.flip,
                                              .x_zero = conv.x_zero,
                                              .epilogue = conv.epilogue};
        return ledge_prepare_depthwise_i8(prepare, &dw, &weights, &scales);
    }
    prepare->packed_inputs = 1u << params->in.b;
    return ledge_prepare_conv_i8(prepare, &conv, &weights, &scales);
}

static bool takes_sum(const struct ledge_op_prepare *prepare, const struct ledge_geometry *g)
{
    bool constant = true;
    for (int32_t i = LEDGE_QCONV_ADDEND + 1; i < LEDGE_QCONV_INPUTS; i++) {
        constant = constant && constant_or_absent(prepare, i);
    }
    return constant && is_fast(prepare, &qlinear_conv_in, g) && g->layout == LEDGE_NHWC &&
           !is_depthwise(g);
}

bool ledge_qlinear_conv_takes_sum(const struct ledge_graph *graph, const struct ledge_node *node)
{
    const struct ledge_op_prepare asked = {.graph = graph, .node = node};
    struct ledge_geometry g;
    struct ledge_error err;
    return node->n_in <= TABLE &&
           read_geometry(node, ledge_prepare_in(&asked, 0), ledge_prepare_in(&asked, 3),
                         ledge_prepare_in(&asked, 8), &g, &err) == LEDGE_OK &&
           takes_sum(&asked, &g);
}

static enum ledge_status prepare_conv(struct ledge_op_prepare *prepare,
                                      const struct ledge_quant_inputs *in)
{
    struct ledge_qconv_params *params = LEDGE_NEW(prepare->memory, struct ledge_qconv_params);
    if (params == NULL) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_NOMEM, "no memory");
    }
    LEDGE_TRY(read_geometry(prepare->node, ledge_prepare_in(prepare, in->a),
                            ledge_prepare_in(prepare, in->b), ledge_prepare_in(prepare, in->bias),
                            &params->g, prepare->err));
    params->in = *in;
    params->weights_nchw = params->g.layout == LEDGE_NCHW || has_onnx_weights(prepare->node);
    params->table = in->y_scale >= 0 && ledge_prepare_in(prepare, TABLE) != NULL ? TABLE : 0;
    params->clamp = ledge_node_clamp(prepare->node);
    prepare->params = params;
    prepare->macs = ledge_conv_macs(&params->g);
    if (adds(prepare, in) && !takes_sum(prepare, &params->g)) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_UNSUPPORTED, "a sum behind such a window");
    }
    if (is_fast(prepare, in, &params->g) &&
        (params->table == 0 || params->g.layout == LEDGE_NHWC)) {
        return choose_rows(prepare, params);
    }
    if (reads_planes(prepare->node)) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_UNSUPPORTED, "planes of such a window");
    }
    prepare->run = LEDGE_KERNEL(conv_i8_direct, ledge_qconv_c);
    prepare->kernel = "conv_i8_direct";
    return LEDGE_OK;
}

enum ledge_status ledge_qlinear_conv_infer(struct ledge_op_infer *infer)
{
    return infer_conv(infer, &qlinear_conv_in);
}

enum ledge_status ledge_qlinear_conv_prepare(struct ledge_op_prepare *prepare)
{
    return prepare_conv(prepare, &qlinear_conv_in);
}

enum ledge_status ledge_conv_integer_infer(struct ledge_op_infer *infer)
{
    return infer_conv(infer, &integer_in);
}

enum ledge_status ledge_conv_integer_prepare(struct ledge_op_prepare *prepare)
{
    return prepare_conv(prepare, &integer_in);
}

static enum ledge_status infer_product(struct ledge_op_infer *infer,
                                       const struct ledge_quant_inputs *in)
{
    struct ledge_matmul_shape s;
    int32_t rank;
    int64_t dims[LEDGE_MAX_RANK];
    enum ledge_dtype dtype = LEDGE_I32;
    LEDGE_TRY(ledge_matmul_shape_read(infer->node, ledge_infer_in(infer, in->a),
                                      ledge_infer_in(infer, in->b), &s, &rank, dims, infer->err));
    LEDGE_TRY(check_inputs(infer, in, s.m, s.n));
    if (in->y_scale >= 0) {
        LEDGE_TRY(output_type(infer, in, &dtype));
    }
    return ledge_infer_out(infer, 0, dtype, rank, dims);
}

/* A product with one dense b is a convolution of 1 x 1 over a picture of one row. */
static bool as_picture(const struct ledge_matmul_shape *s, struct ledge_geometry *g)
{
    bool dense = s->a_col == 1 && s->a_row == s->k;
    int64_t rows = s->m * ledge_matmul_count(s);
    int64_t step = s->m * s->k;
    for (int32_t i = s->n_dims - 1; i >= 0; i--) {
        dense = dense && s->b_step[i] == 0 && (s->dims[i] == 1 || s->a_step[i] == step);
        step *= s->dims[i];
    }
    *g = (struct ledge_geometry){.layout = LEDGE_NHWC,
                                 .batch = 1,
                                 .groups = 1,
                                 .in_channels = s->k,
                                 .out_channels = s->n,
                                 .in = {1, 1, rows},
                                 .out = {1, 1, rows},
                                 .kernel = {1, 1, 1},
                                 .stride = {1, 1, 1},
                                 .dilation = {1, 1, 1}};
    return dense && ledge_conv_i8_is_fast(g);
}

static enum ledge_status choose_product(struct ledge_op_prepare *prepare,
                                        const struct ledge_qmatmul_params *params,
                                        const struct ledge_geometry *g)
{
    struct ledge_weights_i8 weights = {.channel_step = params->shape.b_col,
                                       .c_step = params->shape.b_row};
    struct ledge_scales_i8 scales = {.scale = NULL};
    struct ledge_conv_i8 conv = {.judge = params, .g = *g};
    LEDGE_TRY(gather(prepare, &params->in, g->out_channels, params->alpha, params->clamp, &weights,
                     &scales, &conv));
    prepare->packed_inputs = 1u << params->in.b;
    LEDGE_TRY(ledge_prepare_conv_i8(prepare, &conv, &weights, &scales));
    prepare->kernel = ledge_i8_for(prepare->rung)->gemm;
    return LEDGE_OK;
}

static enum ledge_status prepare_product(struct ledge_op_prepare *prepare,
                                         const struct ledge_quant_inputs *in, bool gemm)
{
    struct ledge_qmatmul_params *params = LEDGE_NEW(prepare->memory, struct ledge_qmatmul_params);
    const struct ledge_value *a = ledge_prepare_in(prepare, in->a);
    const struct ledge_value *b = ledge_prepare_in(prepare, in->b);
    int32_t rank;
    int64_t dims[LEDGE_MAX_RANK];
    struct ledge_geometry g;
    if (params == NULL) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_NOMEM, "no memory");
    }
    LEDGE_TRY(gemm ? ledge_gemm_shape_read(prepare->node, a, b, &params->shape, prepare->err)
                   : ledge_matmul_shape_read(prepare->node, a, b, &params->shape, &rank, dims,
                                             prepare->err));
    LEDGE_TRY(ledge_gemm_bias_read(prepare->node, ledge_prepare_in(prepare, in->bias),
                                   &params->shape, &params->bias_row, &params->bias_col,
                                   prepare->err));
    params->in = *in;
    params->alpha = gemm ? ledge_node_float(prepare->node, "alpha", 1.0f) : 1.0f;
    params->clamp = ledge_node_clamp(prepare->node);
    prepare->params = params;
    prepare->macs =
        ledge_matmul_count(&params->shape) * params->shape.m * params->shape.n * params->shape.k;
    if (all_constant(prepare, in) && params->bias_row == 0 && as_picture(&params->shape, &g)) {
        return choose_product(prepare, params, &g);
    }
    prepare->run = LEDGE_KERNEL(gemm_i8_direct, ledge_qmatmul_c);
    prepare->kernel = "gemm_i8_direct";
    return LEDGE_OK;
}

enum ledge_status ledge_qlinear_matmul_infer(struct ledge_op_infer *infer)
{
    return infer_product(infer, &qlinear_matmul_in);
}

enum ledge_status ledge_qlinear_matmul_prepare(struct ledge_op_prepare *prepare)
{
    return prepare_product(prepare, &qlinear_matmul_in, false);
}

enum ledge_status ledge_matmul_integer_infer(struct ledge_op_infer *infer)
{
    return infer_product(infer, &integer_in);
}

enum ledge_status ledge_matmul_integer_prepare(struct ledge_op_prepare *prepare)
{
    return prepare_product(prepare, &integer_in, false);
}

enum ledge_status ledge_qgemm_infer(struct ledge_op_infer *infer)
{
    struct ledge_matmul_shape s;
    int64_t row, col;
    enum ledge_dtype dtype = LEDGE_F32;
    LEDGE_TRY(ledge_gemm_shape_read(infer->node, ledge_infer_in(infer, qgemm_in.a),
                                    ledge_infer_in(infer, qgemm_in.b), &s, infer->err));
    LEDGE_TRY(check_inputs(infer, &qgemm_in, 1, s.n));
    LEDGE_TRY(ledge_gemm_bias_read(infer->node, ledge_infer_in(infer, qgemm_in.bias), &s, &row,
                                   &col, infer->err));
    if (ledge_infer_in(infer, qgemm_in.y_scale) != NULL) {
        LEDGE_TRY(output_type(infer, &qgemm_in, &dtype));
    }
    int64_t dims[2] = {s.m, s.n};
    return ledge_infer_out(infer, 0, dtype, 2, dims);
}

enum ledge_status ledge_qgemm_prepare(struct ledge_op_prepare *prepare)
{
    return prepare_product(prepare, &qgemm_in, true);
}
