/* SPDX-License-Identifier: Apache-2.0 */
/* quant_i8.h -- integer convolutions and products whose weights, scales and zero points are
 * constants, around product_i8.h. Depthwise convolutions run through the f32 planes: their sums are
 * whole numbers below 2^24, which f32 holds exactly. */
#ifndef LEDGE_ENGINE_KERNELS_QUANT_I8_H
#define LEDGE_ENGINE_KERNELS_QUANT_I8_H

#include "engine/kernels/f32.h"
#include "engine/kernels/product_i8.h"

/* Made at plan time, per weight channel. */
struct ledge_q8_constants {
    uint8_t flip;          /* 0x80: activations are i8 */
    int32_t a_zero;        /* of the activation read as u8 */
    const int32_t *offset; /* correction and bias */
    const int32_t *zeros;  /* or NULL, as in ledge_product_i8 */
    const float *scale;    /* to the output, when that is 8 bits wide */
    struct ledge_qrange range;
};

struct ledge_qconv_fast {
    struct ledge_qconv_params base; /* first: what the judge reads */
    const struct ledge_i8_kernels *isa;
    const struct ledge_f32_kernels *f32;
    struct ledge_q8_constants constants;
    bool depthwise;
    int64_t m, n, units;
    size_t group_units; /* of one group's packed weights */
    struct ledge_spread spread;
    int64_t plane_units; /* of one spread group of channels */
    int64_t planes;      /* groups of channels of one group of the convolution */
    size_t spread_units;
    size_t worker_units;
    int32_t copies;
    int32_t threads;
};

struct ledge_qmatmul_fast {
    struct ledge_qmatmul_params base;
    const struct ledge_i8_kernels *isa;
    struct ledge_q8_constants constants;
    int64_t units;
    size_t packed_units;
    size_t worker_units;
    int32_t threads;
};

/* What stands in the constant inputs. */
struct ledge_q8_weights {
    const struct ledge_view *b;
    const int32_t *b_zeros; /* one per channel, as in the file */
    const int32_t *bias;    /* or NULL; step bias_step */
    int64_t bias_step;
    int32_t *offset; /* FILLED, one per channel */
    int32_t *zeros;  /* FILLED, one per channel */
};

bool ledge_qconv_i8_is_fast(const struct ledge_geometry *g);
/* base, constants.flip and constants.a_zero are given; tap_at: room for all taps. */
void ledge_qconv_i8_plan(struct ledge_qconv_fast *fast, enum ledge_rung rung, int32_t threads,
                         int64_t *tap_at);
/* Units of packed weights and of scratch. */
size_t ledge_qconv_i8_packed(const struct ledge_qconv_fast *fast);
size_t ledge_qconv_i8_scratch(const struct ledge_qconv_fast *fast);
/* True when weight zero points matter (constants.zeros = weights->zeros). */
bool ledge_qconv_i8_pack(const struct ledge_qconv_fast *fast,
                         const struct ledge_q8_weights *weights, uint32_t *packed);
enum ledge_status ledge_qconv_i8(const struct ledge_kernel_call *call);

bool ledge_qmatmul_i8_is_fast(const struct ledge_matmul_shape *shape);
void ledge_qmatmul_i8_plan(struct ledge_qmatmul_fast *fast, enum ledge_rung rung, int32_t threads);
size_t ledge_qmatmul_i8_scratch(const struct ledge_qmatmul_fast *fast);
bool ledge_qmatmul_i8_pack(const struct ledge_qmatmul_fast *fast,
                           const struct ledge_q8_weights *weights, uint32_t *packed);
enum ledge_status ledge_qmatmul_i8(const struct ledge_kernel_call *call);

/* Sums of one tile to the output: y is u8, i8, i32 or f32 with row stride ldy. */
struct ledge_q8_store {
    const struct ledge_i8_kernels *isa;
    const struct ledge_q8_constants *constants;
    enum ledge_dtype dtype;
    struct ledge_clamp clamp; /* of f32 results */
    void *y;
    int64_t ldy;
    bool channels_are_rows;
    int64_t first_channel; /* of row or column 0 */
};
void ledge_q8_store(const struct ledge_q8_store *store, int64_t row, int64_t col, int32_t rows,
                    int32_t cols, const int32_t *sums);

#endif
