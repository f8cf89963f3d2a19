/* SPDX-License-Identifier: Apache-2.0 */
/* tfl.h -- kernels of TFLite's quantised operators (domain "tfl"), plain C.
 *
 * Elements are i8 or u8. An u8 tensor is read as i8 by flipping the top bit (u8 value - 128, zero
 * point - 128), so that one kernel serves both: `flip` is 0x80 for u8 and 0 for i8, and every zero
 * point and range in the params is in that signed domain. Numerics: tfl_fixed.h, docs/numerics.md.
 */
#ifndef LEDGE_ENGINE_KERNELS_TFL_H
#define LEDGE_ENGINE_KERNELS_TFL_H

#include <stdbool.h>

#include "engine/kernels/geometry.h"
#include "engine/kernels/tfl_fixed.h"

/* What every quantised output needs. */
struct ledge_tfl_out {
    int32_t zero;
    int32_t low; /* range of the stored value: that of the type, narrowed by the activation */
    int32_t high;
    uint8_t flip;
};

static inline int32_t ledge_tfl_load(const void *data, int64_t i, uint8_t flip)
{
    return (int8_t)(((const uint8_t *)data)[i] ^ flip);
}

static inline void ledge_tfl_store(void *data, int64_t i, int32_t x,
                                   const struct ledge_tfl_out *out)
{
    x = ledge_tfl_clamp(ledge_tfl_add(x, out->zero), out->low, out->high);
    ((uint8_t *)data)[i] = (uint8_t)((uint8_t)x ^ out->flip);
}

/* -- products: Conv2D, DepthwiseConv2D, FullyConnected -- */

/* Bias and scale factor of each output channel, as vectors want them. */
struct ledge_tfl_channels {
    const int32_t *bias;
    const int32_t *multiplier;
    const int32_t *left;  /* shift before the product, 0..30 */
    const int32_t *right; /* shift behind it, 0..31 */
};

enum { LEDGE_TFL_N = 16, LEDGE_TFL_TILE = 32 };

/* Element i of data: a sum of channel c, with its bias, scaled. */
static inline void ledge_tfl_requant(void *data, int64_t i, int32_t sum,
                                     const struct ledge_tfl_channels *channels, int64_t c,
                                     const struct ledge_tfl_out *out)
{
    int32_t x = ledge_tfl_shift_left(ledge_tfl_add(sum, channels->bias[c]), channels->left[c]);
    x = ledge_tfl_shift_right(ledge_tfl_high_mul(x, channels->multiplier[c]), channels->right[c]);
    ledge_tfl_store(data, i, x, out);
}

struct ledge_tfl_conv_params {
    struct ledge_geometry g; /* FullyConnected: 1 x 1, batch = rows */
    int32_t x_zero;
    uint8_t x_flip;
    struct ledge_tfl_out out;
    struct ledge_tfl_channels channels;
    int64_t k; /* length of a gathered row, even */
};

/* The judges of conv_i8.h's loops in fixed point, and the way of shapes those do not take.
 * packed: i16 weights minus zero point. Conv2D: per group blocks of 16 channels, [k / 2][16][2];
 * depthwise: [kh * kw][O]. scratch: per worker, see the ops. */
enum ledge_status ledge_tfl_conv_c(const struct ledge_kernel_call *call);
enum ledge_status ledge_tfl_depthwise_c(const struct ledge_kernel_call *call);

/* Bytes of scratch for one worker. */
size_t ledge_tfl_conv_scratch(const struct ledge_tfl_conv_params *params);
size_t ledge_tfl_depthwise_scratch(const struct ledge_tfl_conv_params *params);

/* -- pooling -- */

struct ledge_tfl_pool_params {
    struct ledge_geometry g;
    struct ledge_tfl_out out; /* zero is 0: pooling does not rescale */
    bool is_u8;               /* averages of u8 round halves up, of i8 away from zero */
    bool average;
    const struct ledge_i8_kernels *isa; /* each_i8.h */
};

/* Of the stored values of the type, u8 as 0..255. */
static inline int32_t ledge_tfl_average(int32_t sum, int32_t count, bool is_u8)
{
    int32_t half = count / 2;
    return (is_u8 || sum > 0 ? sum + half : sum - half) / count;
}
enum ledge_status ledge_tfl_pool_c(const struct ledge_kernel_call *call);

/* -- element-wise -- */

enum { LEDGE_TFL_ADD, LEDGE_TFL_SUB, LEDGE_TFL_MUL };

struct ledge_tfl_binary_params {
    int32_t kind;
    int32_t zero[2]; /* of the inputs */
    uint8_t flip;
    struct ledge_tfl_factor factor[2];
    struct ledge_tfl_factor out_factor;
    struct ledge_tfl_out out;
    int32_t rank;
    int64_t dims[LEDGE_MAX_RANK];
    int64_t step[2][LEDGE_MAX_RANK];    /* 0 where an input is broadcast */
    const struct ledge_i8_kernels *isa; /* each_i8.h */
};
enum ledge_status ledge_tfl_binary_c(const struct ledge_kernel_call *call);

/* y = zero + scale(x - x_zero), clamped: Requantize, Relu. */
struct ledge_tfl_rescale_params {
    int32_t x_zero;
    uint8_t x_flip;
    struct ledge_tfl_factor factor;
    struct ledge_tfl_out out;
};
enum ledge_status ledge_tfl_rescale_c(const struct ledge_kernel_call *call);

/* y = table[x as u8]: Logistic, Tanh, Rescale. */
struct ledge_tfl_table_params {
    uint8_t table[256];
};
enum ledge_status ledge_tfl_table_c(const struct ledge_kernel_call *call);

/* f32 <-> i8, u8; per tensor, dequantise also per axis. */
struct ledge_tfl_affine_params {
    const float *scales;
    const int32_t *zeros; /* in the type's own domain */
    int64_t n;            /* number of scales */
    int64_t stride;       /* elements behind one step of the axis */
};
enum ledge_status ledge_tfl_quantize_c(const struct ledge_kernel_call *call);
enum ledge_status ledge_tfl_dequantize_c(const struct ledge_kernel_call *call);

/* -- softmax over the last dimension -- */

struct ledge_tfl_softmax_params {
    int64_t depth;
    struct ledge_tfl_factor factor; /* of a difference to Q5.26 */
    int32_t diff_min;
    int32_t bits; /* of the output: 8, or 16 (i8 in, i16 out) */
    uint8_t flip;
};
enum ledge_status ledge_tfl_softmax_c(const struct ledge_kernel_call *call);

/* -- mean -- */

struct ledge_tfl_mean_params {
    int32_t rank;
    int64_t dims[LEDGE_MAX_RANK];
    int64_t out_step[LEDGE_MAX_RANK]; /* 0 for a reduced dimension */
    int64_t n_out;
    int64_t count; /* elements per mean */
    int32_t x_zero;
    uint8_t x_flip;
    struct ledge_tfl_factor factor; /* 1 / count included */
    struct ledge_tfl_out out;
};
/* scratch: n_out i32. */
enum ledge_status ledge_tfl_mean_c(const struct ledge_kernel_call *call);

/* -- resize, space <-> batch: NHWC -- */

struct ledge_tfl_resize_params {
    int64_t batch, in[2], out[2], channels;
    size_t size; /* bytes of an element */
    bool align_corners, half_pixel_centers;
};
enum ledge_status ledge_tfl_resize_nearest_c(const struct ledge_kernel_call *call);
enum ledge_status ledge_tfl_resize_bilinear_c(const struct ledge_kernel_call *call);

struct ledge_tfl_space_params {
    int64_t block[2], before[2]; /* padding or crop in front */
    int64_t big[4], small[4]; /* the tensor with the large picture, the one with the large batch */
    size_t size;              /* bytes of an element */
    bool to_batch;
    uint8_t pad; /* byte that padding is filled with */
};
enum ledge_status ledge_tfl_space_c(const struct ledge_kernel_call *call);

#endif
