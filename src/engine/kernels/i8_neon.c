/* SPDX-License-Identifier: Apache-2.0 */
/* i8_neon.c -- the exact 8-bit loops for aarch64 without more: pairs of i16. */
#if defined(__aarch64__)
#include "engine/kernels/simd_neon.h"

enum { SUB = LANES, TAPS_VECTORS = 2 };
#define ROWS_MAX      8, 8, 0, 0
#define ROWS_TABLE(F) ROWS_1_8(F, 1) ROWS_1_8(F, 2)
#define I8_GROUP      2
#define ROW_SUMS      NULL
#define quads         pairs_of

static inline ivec iv_dot(ivec acc, ivec a, ivec b)
{
    int16x8_t x = vreinterpretq_s16_u32(a);
    int16x8_t y = vreinterpretq_s16_u32(b);
    int32x4_t low = vmull_s16(vget_low_s16(x), vget_low_s16(y));
    int32x4_t pairs = vpaddq_s32(low, vmull_high_s16(x, y));
    return vaddq_u32(acc, vreinterpretq_u32_s32(pairs));
}

#include "engine/kernels/i8.tmpl.h"

I8_KERNELS(neon, LEDGE_RUNG_NEON);
#else
typedef int ledge_i8_neon_empty;
#endif
