/* SPDX-License-Identifier: Apache-2.0 */
/* tfl_common.c -- scales to fixed-point factors, ranges, and what else the "tfl" operators share.
 */
#include <math.h>

#include "base/banned.h"
#include "base/status.h"
#include "engine/ops/tfl.h"

enum ledge_status ledge_tfl_quant(const struct ledge_op_prepare *prepare,
                                  const struct ledge_value *value, struct ledge_tfl_scale_of *quant)
{
    if (value == NULL || value->quant == NULL ||
        (value->dtype != LEDGE_I8 && value->dtype != LEDGE_U8)) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_DTYPE, "%s is not quantised i8 or u8",
                                  value != NULL ? value->name : "an input");
    }
    int32_t low = value->dtype == LEDGE_I8 ? -128 : 0;
    int32_t zero = value->quant->zero_points[0];
    float scale = value->quant->scales[0];
    if (!(scale > 0) || !isfinite(scale) || zero < low || zero > low + 255) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_RANGE, "%s has scale %g, zero point %d",
                                  value->name, (double)scale, (int)zero);
    }
    quant->scale = scale;
    quant->flip = value->dtype == LEDGE_I8 ? 0 : 0x80;
    quant->zero = zero - (low + 128);
    return LEDGE_OK;
}

enum ledge_status ledge_tfl_wide_quant(const struct ledge_op_prepare *prepare,
                                       const struct ledge_value *value,
                                       struct ledge_tfl_scale_of *quant)
{
    bool known = value != NULL && value->quant != NULL &&
                 (value->dtype == LEDGE_I8 || value->dtype == LEDGE_U8 ||
                  value->dtype == LEDGE_I16 || value->dtype == LEDGE_I32);
    if (!known) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_DTYPE, "%s is not quantised",
                                  value != NULL ? value->name : "an input");
    }
    float scale = value->quant->scales[0];
    int32_t zero = value->quant->zero_points[0];
    if (!(scale > 0) || !isfinite(scale) || zero < -32768 || zero > 32767) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_RANGE, "%s has scale %g, zero point %d",
                                  value->name, (double)scale, (int)zero);
    }
    *quant = (struct ledge_tfl_scale_of){.scale = scale, .zero = zero};
    return LEDGE_OK;
}

/* round(x / scale), halves away from zero, saturated to what a zero point can be added to. */
static int32_t quantise(float x, float scale)
{
    float q = roundf(x / scale);
    return q > 65535.0f ? 65535 : q < -65535.0f ? -65535 : (int32_t)q;
}

enum ledge_status ledge_tfl_out_of(const struct ledge_op_prepare *prepare,
                                   struct ledge_tfl_out *out)
{
    struct ledge_tfl_scale_of quant;
    LEDGE_TRY(ledge_tfl_quant(prepare, ledge_prepare_out(prepare, 0), &quant));
    int64_t activation = ledge_node_int(prepare->node, "activation", 0);
    int32_t low = -128;
    int32_t high = 127;
    if (activation == 1 || activation == 3) {
        low = quant.zero;
    }
    if (activation == 3) {
        high = quant.zero + quantise(6.0f, quant.scale);
    }
    if (activation == 2) {
        low = quant.zero + quantise(-1.0f, quant.scale);
        high = quant.zero + quantise(1.0f, quant.scale);
    }
    if (activation < 0 || activation > 3) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_UNSUPPORTED, "fused activation %d",
                                  (int)activation);
    }
    *out = (struct ledge_tfl_out){.zero = quant.zero,
                                  .low = ledge_tfl_clamp(low, -128, 127),
                                  .high = ledge_tfl_clamp(high, -128, 127),
                                  .flip = quant.flip};
    return LEDGE_OK;
}

enum ledge_status ledge_tfl_factor_of(const struct ledge_op_prepare *prepare, double real,
                                      struct ledge_tfl_factor *factor)
{
    if (!(real >= 0) || real >= 1073741824.0) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_RANGE, "scale factor %g", real);
    }
    int shift = 0;
    int64_t multiplier = (int64_t)round(frexp(real, &shift) * 2147483648.0);
    if (multiplier == (int64_t)1 << 31) {
        multiplier /= 2;
        shift++;
    }
    if (shift < -31) { /* too small to matter */
        shift = 0;
        multiplier = 0;
    }
    *factor = (struct ledge_tfl_factor){.multiplier = (int32_t)multiplier, .shift = shift};
    return LEDGE_OK;
}

void *ledge_tfl_params(const struct ledge_op_prepare *prepare, size_t bytes)
{
    void *params = ledge_arena_alloc(prepare->memory, bytes, 64);
    if (params == NULL) {
        (void)ledge_prepare_fail(prepare, LEDGE_ERR_NOMEM, "no memory");
    }
    return params;
}

enum ledge_status ledge_tfl_check_small(struct ledge_op_infer *infer)
{
    const struct ledge_value *x = ledge_infer_in(infer, 0);
    if (x == NULL || (x->dtype != LEDGE_I8 && x->dtype != LEDGE_U8)) {
        return ledge_infer_fail(infer, LEDGE_ERR_DTYPE, "input is %s, not i8 or u8",
                                x != NULL ? ledge_dtype_text(x->dtype) : "missing");
    }
    return LEDGE_OK;
}

enum ledge_status ledge_tfl_infer_same(struct ledge_op_infer *infer)
{
    LEDGE_TRY(ledge_tfl_check_small(infer));
    const struct ledge_value *x = ledge_infer_in(infer, 0);
    return ledge_infer_out(infer, 0, x->dtype, x->rank, x->dims);
}
