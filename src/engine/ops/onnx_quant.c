/* SPDX-License-Identifier: Apache-2.0 */
/* onnx_quant.c -- QuantizeLinear, DequantizeLinear, DynamicQuantizeLinear; QLinearAdd, QLinearMul
 * and QLinearGlobalAveragePool of com.microsoft, to which the passes fuse DQ -> op -> Q. */
#include <string.h>

#include "engine/kernels/each_i8.h"
#include "engine/kernels/onnx_number.h"
#include "engine/ops/onnx.h"

#include "base/banned.h"

static bool is_narrow(enum ledge_dtype dtype)
{
    return dtype == LEDGE_I8 || dtype == LEDGE_U8 || dtype == LEDGE_I16 || dtype == LEDGE_U16 ||
           ledge_dtype_bits(dtype) < 8 || (ledge_is_tiny_real(dtype) && dtype != LEDGE_F8E8M0);
}

/* How scale (input 1) and zero point (input 2) lie over x: one, per axis, or per block along it. */
static enum ledge_status parse(const struct ledge_op_infer *infer, struct ledge_quantize *q)
{
    LEDGE_TRY(ledge_onnx_need(infer, 2));
    const struct ledge_value *x = ledge_infer_in(infer, 0), *scale = ledge_infer_in(infer, 1),
                             *zero = ledge_infer_in(infer, 2);
    int64_t n = ledge_onnx_count(scale), block = ledge_node_int(infer->node, "block_size", 0);
    if (!ledge_is_real(scale->dtype) || (zero != NULL && ledge_onnx_count(zero) != n)) {
        return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "scale and zero point do not agree");
    }
    if (n == 1 && scale->rank <= 1) {
        *q = (struct ledge_quantize){.outer = 1, .n = 1, .inner = ledge_onnx_count(x)};
        return LEDGE_OK;
    }
    int32_t axis;
    LEDGE_TRY(ledge_onnx_axis(infer, ledge_node_int(infer->node, "axis", 1), x->rank, &axis));
    struct ledge_axis s = ledge_onnx_split(x, axis);
    *q = (struct ledge_quantize){
        .outer = s.outer, .n = s.n, .inner = s.inner, .block = block, .per_axis = true};
    if (block <= 0 && scale->rank == 1 && n == s.n) {
        return LEDGE_OK;
    }
    bool fits = block > 0 && block <= INT32_MAX && scale->rank == x->rank;
    for (int32_t i = 0; i < x->rank && fits; i++) {
        int64_t wanted = i == axis ? (x->dims[i] + block - 1) / block : x->dims[i];
        fits = scale->dims[i] == wanted;
    }
    return fits ? LEDGE_OK
                : ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "the scale does not fit axis %d",
                                   (int)axis);
}

enum ledge_status ledge_onnx_quantize_infer(struct ledge_op_infer *infer)
{
    struct ledge_quantize q;
    LEDGE_TRY(parse(infer, &q));
    const struct ledge_value *x = ledge_infer_in(infer, 0), *zero = ledge_infer_in(infer, 2);
    int64_t wanted = ledge_node_int(infer->node, "output_dtype", 0);
    enum ledge_dtype dtype = zero != NULL                ? zero->dtype
                             : wanted > 0 && wanted < 64 ? (enum ledge_dtype)wanted
                                                         : LEDGE_U8;
    if (ledge_dtype_size(dtype) == 0 || !is_narrow(dtype) ||
        ledge_node_int(infer->node, "precision", 1) > 1) {
        return ledge_infer_fail(infer, LEDGE_ERR_UNSUPPORTED, "to element type %lld",
                                (long long)dtype);
    }
    if (!ledge_is_real(x->dtype) && x->dtype != LEDGE_I32) {
        return ledge_infer_fail(infer, LEDGE_ERR_UNSUPPORTED, "from %s",
                                ledge_dtype_text(x->dtype));
    }
    return ledge_infer_out(infer, 0, dtype, x->rank, x->dims);
}

/* Between f32 and bytes; from: bytes become f32. */
static enum ledge_status check_types(const struct ledge_op_prepare *prepare, bool from)
{
    if (LEDGE_HAS(LEDGE_PART_TYPES)) {
        return LEDGE_OK;
    }
    const struct ledge_value *in = ledge_prepare_in(prepare, 0),
                             *out = ledge_prepare_out(prepare, 0);
    const struct ledge_value *scale = ledge_prepare_in(prepare, 1),
                             *zero = ledge_prepare_in(prepare, 2);
    enum ledge_dtype byte = from ? in->dtype : out->dtype;
    bool plain = (from ? out : in)->dtype == LEDGE_F32 && scale->dtype == LEDGE_F32 &&
                 (byte == LEDGE_U8 || byte == LEDGE_I8) && (zero == NULL || zero->dtype == byte);
    return plain ? LEDGE_OK
                 : ledge_prepare_fail(prepare, LEDGE_ERR_UNSUPPORTED,
                                      "this build quantises f32 to bytes and back only");
}

enum ledge_status ledge_onnx_quantize_prepare(struct ledge_op_prepare *prepare)
{
    struct ledge_op_infer infer = ledge_onnx_as_infer(prepare);
    struct ledge_quantize q;
    LEDGE_TRY(parse(&infer, &q));
    LEDGE_TRY(check_types(prepare, false));
    q.saturate = ledge_node_int(prepare->node, "saturate", 1) != 0;
    const struct ledge_value *x = ledge_prepare_in(prepare, 0),
                             *scale = ledge_prepare_in(prepare, 1);
    enum ledge_dtype to = ledge_prepare_out(prepare, 0)->dtype;
    if (x->dtype == LEDGE_F32 && scale->dtype == LEDGE_F32 && !q.per_axis && q.block == 0 &&
        (to == LEDGE_U8 || to == LEDGE_I8)) {
        q.isa = ledge_i8_for(prepare->rung);
        return ledge_onnx_ready(prepare, ledge_quantize_linear_i8, q.isa->quantize_name, &q,
                                sizeof q);
    }
    return ledge_onnx_ready(prepare, LEDGE_KERNEL(QuantizeLinear, ledge_quantize_linear_c),
                            "QuantizeLinear_c", &q, sizeof q);
}

enum ledge_status ledge_onnx_dequantize_infer(struct ledge_op_infer *infer)
{
    struct ledge_quantize q;
    LEDGE_TRY(parse(infer, &q));
    LEDGE_TRY(ledge_onnx_same_dtype(infer, 0, 2));
    const struct ledge_value *x = ledge_infer_in(infer, 0), *scale = ledge_infer_in(infer, 1);
    if (!is_narrow(x->dtype) && x->dtype != LEDGE_I32) {
        return ledge_infer_fail(infer, LEDGE_ERR_UNSUPPORTED, "from %s",
                                ledge_dtype_text(x->dtype));
    }
    return ledge_infer_out(infer, 0, scale->dtype, x->rank, x->dims);
}

enum ledge_status ledge_onnx_dequantize_prepare(struct ledge_op_prepare *prepare)
{
    struct ledge_op_infer infer = ledge_onnx_as_infer(prepare);
    struct ledge_quantize q;
    LEDGE_TRY(parse(&infer, &q));
    LEDGE_TRY(check_types(prepare, true));
    return ledge_onnx_ready(prepare, ledge_dequantize_linear_c, "DequantizeLinear_c", &q, sizeof q);
}

enum ledge_status ledge_onnx_dynamic_quantize_infer(struct ledge_op_infer *infer)
{
    LEDGE_TRY(ledge_onnx_need(infer, 1));
    LEDGE_TRY(ledge_onnx_dtype_is(infer, 0, LEDGE_F32));
    const struct ledge_value *x = ledge_infer_in(infer, 0);
    if (infer->node->n_out < 1 || infer->node->out[0] < 0) {
        return ledge_infer_fail(infer, LEDGE_ERR_FORMAT, "output 0 is not named");
    }
    LEDGE_TRY(ledge_infer_out(infer, 1, LEDGE_F32, 0, NULL));
    LEDGE_TRY(ledge_infer_out(infer, 2, LEDGE_U8, 0, NULL));
    return ledge_infer_out(infer, 0, LEDGE_U8, x->rank, x->dims);
}

enum ledge_status ledge_onnx_dynamic_quantize_prepare(struct ledge_op_prepare *prepare)
{
    return ledge_onnx_ready(prepare, ledge_dynamic_quantize_c, "DynamicQuantizeLinear_c", NULL, 0);
}

/* -- com.microsoft -- */

static enum ledge_status need_byte(const struct ledge_op_infer *infer, int32_t i)
{
    const struct ledge_value *v = ledge_infer_in(infer, i), *scale = ledge_infer_in(infer, i + 1),
                             *zero = ledge_infer_in(infer, i + 2);
    if ((v->dtype != LEDGE_I8 && v->dtype != LEDGE_U8) || scale->dtype != LEDGE_F32 ||
        ledge_onnx_count(scale) != 1 ||
        (zero != NULL && (zero->dtype != v->dtype || ledge_onnx_count(zero) != 1))) {
        return ledge_infer_fail(infer, LEDGE_ERR_UNSUPPORTED,
                                "input %d: only u8 and i8 with one scale are done", (int)i);
    }
    return LEDGE_OK;
}

/* Output scale and zero point at inputs i, i + 1. */
static enum ledge_status need_result(const struct ledge_op_infer *infer, int32_t i)
{
    const struct ledge_value *scale = ledge_infer_in(infer, i),
                             *zero = ledge_infer_in(infer, i + 1);
    if (scale->dtype != LEDGE_F32 || ledge_onnx_count(scale) != 1 ||
        (zero != NULL && ledge_onnx_count(zero) != 1)) {
        return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "output scale or zero point");
    }
    return ledge_onnx_same_dtype(infer, 0, i + 1);
}

enum ledge_status ledge_onnx_qbinary_infer(struct ledge_op_infer *infer)
{
    for (int32_t i = 0; i < 7; i++) {
        if (i % 3 != 2 && ledge_infer_in(infer, i) == NULL) {
            return ledge_infer_fail(infer, LEDGE_ERR_FORMAT, "input %d is missing", (int)i);
        }
    }
    LEDGE_TRY(need_byte(infer, 0));
    LEDGE_TRY(need_byte(infer, 3));
    LEDGE_TRY(need_result(infer, 6));
    return ledge_infer_broadcast(infer, 0, 3, ledge_infer_in(infer, 0)->dtype);
}

enum ledge_status ledge_onnx_qbinary_prepare(struct ledge_op_prepare *prepare)
{
    struct ledge_view a = ledge_value_view(ledge_prepare_in(prepare, 0));
    struct ledge_view b = ledge_value_view(ledge_prepare_in(prepare, 3));
    struct ledge_view out = ledge_value_view(ledge_prepare_out(prepare, 0));
    struct ledge_qbinary params = {.multiply = strcmp(prepare->node->op, "QLinearMul") == 0,
                                   .clamp = ledge_onnx_clamp(prepare->node)};
    ledge_binary_plan(&params.step, &a, &b, &out, -1);
    int32_t last = params.step.rank - 1;
    if (params.step.stride_a[last] == 1 && params.step.stride_b[last] == 1) {
        params.isa = ledge_i8_for(prepare->rung);
        return ledge_onnx_ready(prepare, LEDGE_KERNEL(binary_i8, ledge_qlinear_binary_i8),
                                params.isa->binary_name, &params, sizeof params);
    }
    return ledge_onnx_ready(prepare, LEDGE_KERNEL(QLinearAdd, ledge_qlinear_binary_c),
                            params.multiply != 0 ? "QLinearMul_c" : "QLinearAdd_c", &params,
                            sizeof params);
}

enum ledge_status ledge_onnx_qpool_infer(struct ledge_op_infer *infer)
{
    int64_t dims[LEDGE_MAX_RANK];
    bool last = ledge_node_int(infer->node, "channels_last", 0) != 0;
    LEDGE_TRY(ledge_onnx_need(infer, 2));
    if (ledge_infer_in(infer, 3) == NULL) {
        return ledge_infer_fail(infer, LEDGE_ERR_FORMAT, "input 3 is missing");
    }
    LEDGE_TRY(need_byte(infer, 0));
    LEDGE_TRY(need_result(infer, 3));
    const struct ledge_value *x = ledge_infer_in(infer, 0);
    if (x->rank < 3) {
        return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "rank %d", (int)x->rank);
    }
    for (int32_t i = 0; i < x->rank; i++) {
        bool kept = i == 0 || i == (last ? x->rank - 1 : 1);
        dims[i] = kept ? x->dims[i] : 1;
    }
    return ledge_infer_out(infer, 0, x->dtype, x->rank, dims);
}

enum ledge_status ledge_onnx_qpool_prepare(struct ledge_op_prepare *prepare)
{
    const struct ledge_value *x = ledge_prepare_in(prepare, 0);
    bool last = ledge_node_int(prepare->node, "channels_last", 0) != 0;
    struct ledge_axis s = ledge_onnx_split(x, last ? x->rank - 1 : 1);
    struct ledge_qpool params = {.outer = s.outer * s.n, .inner = s.inner, .c = 1};
    if (last) {
        params = (struct ledge_qpool){
            .outer = x->dims[0], .inner = x->dims[0] > 0 ? s.outer / x->dims[0] : 0, .c = s.n};
    }
    if (last && params.inner > 0 && params.inner < (int64_t)1 << 20) {
        params.isa = ledge_i8_for(prepare->rung);
        return ledge_onnx_ready(prepare, ledge_qlinear_global_pool_i8, params.isa->mean, &params,
                                sizeof params);
    }
    return ledge_onnx_ready(prepare,
                            LEDGE_KERNEL(QLinearGlobalAveragePool, ledge_qlinear_global_pool_c),
                            "QLinearGlobalAveragePool_c", &params, sizeof params);
}
