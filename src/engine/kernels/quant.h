/* SPDX-License-Identifier: Apache-2.0 */
/* quant.h -- integer kernels: 8-bit operands, exact 32-bit sums (modulo 2^32), one requantisation.
 *
 * Requantisation: round half to even of (f32)sum * scale, plus the zero point, saturated. Source:
 * ONNX QuantizeLinear-13. Scales and zero points are read from the inputs at run time; which input
 * is which stands in the params, -1: absent.
 */
#ifndef LEDGE_ENGINE_KERNELS_QUANT_H
#define LEDGE_ENGINE_KERNELS_QUANT_H

#include <math.h>
#include <stdbool.h>

#include "engine/kernels/gemm.h"
#include "engine/kernels/geometry.h"

/* Input numbers of an integer convolution or product: y = a * b. */
struct ledge_quant_inputs {
    int8_t a, a_scale, a_zero;
    int8_t b, b_scale, b_zero;
    int8_t y_scale, y_zero;
    int8_t bias; /* i32, scale a_scale * b_scale */
};

struct ledge_qconv_params {
    struct ledge_geometry g;
    bool weights_nchw; /* whatever the layout of the pictures */
    struct ledge_quant_inputs in;
    int32_t table;            /* input that all results go through in the end; 0: none */
    struct ledge_clamp clamp; /* of the real value */
};

struct ledge_qmatmul_params {
    struct ledge_matmul_shape shape;
    struct ledge_quant_inputs in;
    float alpha;
    int64_t bias_row, bias_col;
    struct ledge_clamp clamp;
};

/* out u8 or i8: requantised; out i32: the sums; out f32 (product only): sum * a_scale * b_scale. */
enum ledge_status ledge_qconv_c(const struct ledge_kernel_call *call);
enum ledge_status ledge_qmatmul_c(const struct ledge_kernel_call *call);

/* Element i of an u8 or i8 tensor. */
static inline int32_t ledge_q8(const void *data, enum ledge_dtype dtype, int64_t i)
{
    return dtype == LEDGE_I8 ? ((const int8_t *)data)[i] : ((const uint8_t *)data)[i];
}

/* Input number i of the call, NULL when absent. */
static inline const struct ledge_view *ledge_call_in(const struct ledge_kernel_call *call, int i)
{
    return i >= 0 && i < call->n_in ? call->in[i] : NULL;
}

/* Scale or zero point for channel c: one per tensor, or one per channel; absent: 1 and 0. */
static inline float ledge_scale_at(const struct ledge_view *view, int64_t c)
{
    return view == NULL ? 1.0f : ((const float *)view->data)[ledge_view_count(view) == 1 ? 0 : c];
}

static inline int32_t ledge_zero_at(const struct ledge_view *view, int64_t c)
{
    return view == NULL ? 0
                        : ledge_q8(view->data, view->dtype, ledge_view_count(view) == 1 ? 0 : c);
}

/* Range of the quantised output: that of the type, narrowed by the clamp of the real value. */
struct ledge_qrange {
    int32_t zero;
    int32_t low;
    int32_t high;
};

static inline int32_t ledge_round_into(float x, int32_t low, int32_t high)
{
    x = x >= (float)low ? x : (float)low;
    x = x <= (float)high ? x : (float)high;
    return (int32_t)nearbyintf(x);
}

static inline struct ledge_qrange ledge_qrange_of(enum ledge_dtype dtype, float scale, int32_t zero,
                                                  struct ledge_clamp clamp)
{
    struct ledge_qrange r = {
        .zero = zero, .low = dtype == LEDGE_I8 ? -128 : 0, .high = dtype == LEDGE_I8 ? 127 : 255};
    int32_t low = ledge_round_into(clamp.low / scale, r.low - zero, r.high - zero) + zero;
    int32_t high = ledge_round_into(clamp.high / scale, r.low - zero, r.high - zero) + zero;
    r.low = low;
    r.high = high > low ? high : low;
    return r;
}

static inline int32_t ledge_requant(int32_t sum, float scale, struct ledge_qrange r)
{
    return ledge_round_into((float)sum * scale, r.low - r.zero, r.high - r.zero) + r.zero;
}

/* out[i] = in 1 [in 0 [i]]: bytes and a table of 256 bytes; params: ledge_i8_kernels. */
enum ledge_status ledge_byte_table(const struct ledge_kernel_call *call);

#endif
