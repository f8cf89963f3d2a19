/* SPDX-License-Identifier: Apache-2.0 */
/* i8_neon_i8mm.c -- the exact 8-bit loops with usdot of Armv8.6: quads of u8 times i8. */
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
    int32x4_t sum =
        vusdotq_s32(vreinterpretq_s32_u32(acc), vreinterpretq_u8_u32(u8), vreinterpretq_s8_u32(i8));
    return vreinterpretq_u32_s32(sum);
}

#include "engine/kernels/i8.tmpl.h"

I8_KERNELS(neon_i8mm, LEDGE_RUNG_NEON_I8MM);
#else
typedef int ledge_i8_neon_i8mm_empty;
#endif
