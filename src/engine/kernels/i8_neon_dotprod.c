/* SPDX-License-Identifier: Apache-2.0 */
/* i8_neon_dotprod.c -- the exact 8-bit loops with the dot product of Armv8.2: quads of bytes.
 *
 * sdot takes both sides signed: a u8 activation x is (x - 128) + 128, and 128 times the sum of the
 * weights, a dot product too, is the same for all that share them. */
#if defined(__aarch64__)
#include "engine/kernels/simd_neon.h"

enum { SUB = LANES, TAPS_VECTORS = 4 };
#define ROWS_MAX      8, 8, 0, 0
#define ROWS_TABLE(F) ROWS_1_8(F, 1) ROWS_1_8(F, 2)
#define I8_GROUP      4
#define ROW_SUMS      sums_of_rows
#define quads         quads_of

static inline ivec iv_dot(ivec acc, ivec u8, ivec i8)
{
    int8x16_t flip = vdupq_n_s8(-128);
    int8x16_t weights = vreinterpretq_s8_u32(i8);
    int8x16_t x = veorq_s8(vreinterpretq_s8_u32(u8), flip);
    int32x4_t away = vdotq_s32(vdupq_n_s32(0), weights, flip);
    int32x4_t sum = vdotq_s32(vreinterpretq_s32_u32(acc), weights, x);
    return vreinterpretq_u32_s32(vsubq_s32(sum, away));
}

#include "engine/kernels/i8.tmpl.h"

I8_KERNELS(neon_dotprod, LEDGE_RUNG_NEON_DOTPROD);
#else
typedef int ledge_i8_neon_dotprod_empty;
#endif
