/* SPDX-License-Identifier: Apache-2.0 */
/* tfl_wide.h -- TFLite's quantised operators where 16 or 32 bits are involved: i16 activations with
 * i8 weights, and requantising between any two of i8, u8, i16, i32. Zero points and ranges are in
 * the type's own domain. */
#ifndef LEDGE_ENGINE_KERNELS_TFL_WIDE_H
#define LEDGE_ENGINE_KERNELS_TFL_WIDE_H

#include <stdbool.h>

#include "engine/kernels/geometry.h"
#include "engine/kernels/tfl_fixed.h"

/* Lowest and highest number of a type; false for another one than these four. */
static inline bool ledge_tfl_range(enum ledge_dtype dtype, int32_t *low, int32_t *high)
{
    switch (dtype) {
    case LEDGE_I8:
        *low = INT8_MIN;
        *high = INT8_MAX;
        return true;
    case LEDGE_U8:
        *low = 0;
        *high = UINT8_MAX;
        return true;
    case LEDGE_I16:
        *low = INT16_MIN;
        *high = INT16_MAX;
        return true;
    case LEDGE_I32:
        *low = INT32_MIN;
        *high = INT32_MAX;
        return true;
    default:
        return false;
    }
}

static inline int32_t ledge_tfl_get(const void *data, enum ledge_dtype dtype, int64_t i)
{
    return dtype == LEDGE_I8    ? ((const int8_t *)data)[i]
           : dtype == LEDGE_U8  ? ((const uint8_t *)data)[i]
           : dtype == LEDGE_I16 ? ((const int16_t *)data)[i]
                                : ((const int32_t *)data)[i];
}

static inline void ledge_tfl_put(void *data, enum ledge_dtype dtype, int64_t i, int32_t x)
{
    if (dtype == LEDGE_I8 || dtype == LEDGE_U8) {
        ((uint8_t *)data)[i] = (uint8_t)x;
    } else if (dtype == LEDGE_I16) {
        ((int16_t *)data)[i] = (int16_t)x;
    } else {
        ((int32_t *)data)[i] = x;
    }
}

/* -- element-wise -- */

/* y = zero + factor (x - x_zero), clamped; below zero the other factor (LeakyRelu). */
struct ledge_tfl_wide_params {
    int32_t x_zero, zero, low, high;
    struct ledge_tfl_factor factor, below;
};
enum ledge_status ledge_tfl_wide_rescale_c(const struct ledge_kernel_call *call);

/* Add, Sub, Mul of i16; see struct ledge_tfl_binary_params of tfl.h, whose kinds these are. */
struct ledge_tfl_wide_binary_params {
    int32_t kind, rank;
    int32_t left; /* bits gained before Add and Sub scale their inputs */
    int32_t zero[2], out_zero, low, high;
    struct ledge_tfl_factor factor[2], out_factor;
    int64_t dims[LEDGE_MAX_RANK];
    int64_t step[2][LEDGE_MAX_RANK];
};
enum ledge_status ledge_tfl_wide_binary_c(const struct ledge_kernel_call *call);

/* -- products: i16 (zero point 0) with i8 weights; TransposeConv2D also i8 with i8 and f32 -- */

/* w: Conv2D [O][kh][kw][I/g], depthwise [1][kh][kw][O], FullyConnected [O][K] (a 1 x 1 window),
 * TransposeConv2D [O][kh][kw][I]. */
struct ledge_tfl_wide_conv_params {
    struct ledge_geometry g; /* TransposeConv2D: `in` and `out` are those of x and y */
    bool depthwise;
    bool narrow; /* the sum is one of 32 bits: the bias is i32 */
    int32_t x_zero, zero, low, high;
    const int64_t *bias; /* per output channel */
    const struct ledge_tfl_factor *factor;
    struct ledge_clamp clamp; /* f32 */
};
enum ledge_status ledge_tfl_wide_conv_c(const struct ledge_kernel_call *call);
/* i16 x: weights are those, too. scratch: y's elements as i64, f32: none. */
enum ledge_status ledge_tfl_transpose_conv_c(const struct ledge_kernel_call *call);
enum ledge_status ledge_tfl_transpose_conv_f32_c(const struct ledge_kernel_call *call);

#endif
