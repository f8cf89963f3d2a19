/* SPDX-License-Identifier: Apache-2.0 */
/* quant.c -- QLinearConv-10, ConvInteger-10, QLinearMatMul-10, MatMulInteger-10 and
 * com.microsoft.QGemm-1. */
#include "engine/kernels/quant.h"

#include "base/status.h"
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

static enum ledge_status infer_conv(struct ledge_op_infer *infer,
                                    const struct ledge_quant_inputs *in)
{
    struct ledge_geometry g;
    int64_t dims[LEDGE_MAX_RANK];
    enum ledge_dtype dtype = LEDGE_I32;
    const struct ledge_value *x = ledge_infer_in(infer, in->a);
    const struct ledge_value *w = ledge_infer_in(infer, in->b);
    LEDGE_TRY(
        ledge_conv_geometry(infer->node, x, w, ledge_infer_in(infer, in->bias), &g, infer->err));
    LEDGE_TRY(check_inputs(infer, in, 1, g.out_channels));
    if (in->y_scale >= 0) {
        LEDGE_TRY(output_type(infer, in, &dtype));
    }
    ledge_spatial_dims(&g, x->rank, dims);
    return ledge_infer_out(infer, 0, dtype, x->rank, dims);
}

static enum ledge_status prepare_conv(struct ledge_op_prepare *prepare,
                                      const struct ledge_quant_inputs *in)
{
    struct ledge_qconv_params *params = LEDGE_NEW(prepare->memory, struct ledge_qconv_params);
    if (params == NULL) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_NOMEM, "no memory");
    }
    LEDGE_TRY(ledge_conv_geometry(prepare->node, ledge_prepare_in(prepare, in->a),
                                  ledge_prepare_in(prepare, in->b),
                                  ledge_prepare_in(prepare, in->bias), &params->g, prepare->err));
    params->in = *in;
    params->clamp = ledge_node_clamp(prepare->node);
    prepare->params = params;
    prepare->macs = ledge_conv_macs(&params->g);
    prepare->run = ledge_qconv_c;
    prepare->kernel = "qconv_c";
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

static enum ledge_status prepare_product(struct ledge_op_prepare *prepare,
                                         const struct ledge_quant_inputs *in, bool gemm)
{
    struct ledge_qmatmul_params *params = LEDGE_NEW(prepare->memory, struct ledge_qmatmul_params);
    const struct ledge_value *a = ledge_prepare_in(prepare, in->a);
    const struct ledge_value *b = ledge_prepare_in(prepare, in->b);
    int32_t rank;
    int64_t dims[LEDGE_MAX_RANK];
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
    prepare->run = ledge_qmatmul_c;
    prepare->kernel = "qmatmul_c";
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
