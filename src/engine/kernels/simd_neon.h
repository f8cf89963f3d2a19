/* SPDX-License-Identifier: Apache-2.0 */
/* simd_neon.h -- f32 and i32 vectors of 4 lanes for aarch64; see simd_c.h. */
#ifndef LEDGE_ENGINE_KERNELS_SIMD_NEON_H
#define LEDGE_ENGINE_KERNELS_SIMD_NEON_H

#include <arm_neon.h>
#include <stdint.h>
#include <string.h>

#include "engine/kernels/i8.h"

enum { LANES = 4, TILE_ROWS = 14, PLANE_ROWS = 4, ROW_WIDE = 14, ROW_NARROW = 7 };

typedef float32x4_t vec;

/* Explained in simd_avx2.h; nothing here. */
static inline void v_done(void)
{
}

static inline vec v_set1(float x)
{
    return vdupq_n_f32(x);
}

static inline vec v_load(const float *p)
{
    return vld1q_f32(p);
}

static inline void v_store(float *p, vec v)
{
    vst1q_f32(p, v);
}

/* The other lanes are 0 and not read. */
static inline vec v_load_lanes(const float *p, int32_t from, int32_t to)
{
    float lane[LANES] = {0};
    for (int32_t i = from; i < to; i++) {
        lane[i] = p[i];
    }
    return vld1q_f32(lane);
}

/* From lane 0 on, mostly all. */
static inline vec v_load_first(const float *p, int32_t n)
{
    return n < LANES ? v_load_lanes(p, 0, n) : v_load(p);
}

static inline void v_store_first(float *p, int32_t n, vec v)
{
    float lane[LANES];
    vst1q_f32(lane, v);
    memcpy(p, lane, (size_t)n * sizeof *p);
}

static inline vec v_fma(vec a, vec b, vec c)
{
    return vfmaq_f32(c, a, b);
}

/* *sum += a b */
static inline void v_gain(vec *sum, vec a, vec b)
{
    *sum = v_fma(a, b, *sum);
}

static inline vec v_add(vec a, vec b)
{
    return vaddq_f32(a, b);
}

static inline vec v_times(vec a, vec b)
{
    return vmulq_f32(a, b);
}

/* b when either is NaN. */
static inline vec v_larger(vec a, vec b)
{
    return vbslq_f32(vcgtq_f32(a, b), a, b);
}

/* Always inline: see simd_avx512.h. */
static inline __attribute__((always_inline)) void v_prefetch(const float *p, uintptr_t ahead)
{
    __builtin_prefetch((const void *)((uintptr_t)p + ahead * sizeof *p));
}

/* The same, not so soon: into the cache behind the first. */
static inline __attribute__((always_inline)) void v_prefetch_far(const float *p, uintptr_t ahead)
{
    __builtin_prefetch((const void *)((uintptr_t)p + ahead * sizeof *p), 0, 2);
}

/* v, in a register: loaded once however often it is used. */
static inline vec v_keep(vec v)
{
    __asm__("" : "+w"(v));
    return v;
}

/* p as a number of its own: what is read from it is reached by constant distances. */
static inline const float *v_base(const float *p)
{
    __asm__("" : "+r"(p));
    return p;
}

/* Lane i is lane index[i] of `from`, or lane i of `old` where index[i] is negative. */
static inline vec v_pick(vec old, vec from, const int32_t *index)
{
    float to[LANES], lane[LANES];
    vst1q_f32(to, old);
    vst1q_f32(lane, from);
    for (int i = 0; i < LANES; i++) {
        to[i] = index[i] >= 0 ? lane[index[i]] : to[i];
    }
    return vld1q_f32(to);
}

static inline vec v_over(vec a, vec b)
{
    return vdivq_f32(a, b);
}

/* p * 2^n for whole n from -126 to 127. */
static inline vec v_scale(vec p, vec n)
{
    int32x4_t power = vaddq_s32(vcvtnq_s32_f32(n), vdupq_n_s32(127));
    return vmulq_f32(p, vreinterpretq_f32_s32(vshlq_n_s32(power, 23)));
}

/* Bits of both: lanes that are 0 in one are those of the other, whatever they hold. */
static inline vec v_or(vec a, vec b)
{
    return vreinterpretq_f32_u32(vorrq_u32(vreinterpretq_u32_f32(a), vreinterpretq_u32_f32(b)));
}

/* Elements 0, 2, 4, ... of a followed by b. */
static inline vec v_even(vec a, vec b)
{
    return vuzp1q_f32(a, b);
}

/* NaN in x stays NaN: fmax and fmin give NaN when an operand is one. */
static inline vec v_clamp(vec x, vec low, vec high)
{
    return vminq_f32(vmaxq_f32(x, low), high);
}

/* -- what the 8-bit loops need besides ----------------------------------------------------------
 */

typedef uint32x4_t ivec;

static inline ivec iv_set1(uint32_t x)
{
    return vdupq_n_u32(x);
}

static inline ivec iv_load(const void *p)
{
    return vreinterpretq_u32_u8(vld1q_u8(p));
}

static inline void iv_store(int32_t *p, ivec v)
{
    vst1q_s32(p, vreinterpretq_s32_u32(v));
}

static inline ivec iv_add(ivec a, ivec b)
{
    return vaddq_u32(a, b);
}

static inline vec iv_to_float(ivec a)
{
    return vcvtq_f32_s32(vreinterpretq_s32_u32(a));
}

static inline vec v_mul(vec a, vec b)
{
    return vmulq_f32(a, b);
}

/* NaN becomes low. */
static inline vec v_clamp_number(vec x, vec low, vec high)
{
    return vminq_f32(vmaxnmq_f32(x, low), high);
}

static inline ivec iv_round(vec x)
{
    return vreinterpretq_u32_s32(vcvtnq_s32_f32(x));
}

static inline void iv_store_bytes(uint8_t *p, ivec v)
{
    uint8x16_t bytes = vreinterpretq_u8_u32(v);
    uint8x16_t evens = vuzp1q_u8(bytes, bytes);
    uint32_t four = vgetq_lane_u32(vreinterpretq_u32_u8(vuzp1q_u8(evens, evens)), 0);
    memcpy(p, &four, sizeof four);
}

static inline ivec iv_spread(const uint8_t *p)
{
    uint32_t x;
    memcpy(&x, p, sizeof x);
    return vdupq_n_u32(x);
}

static inline ivec iv_sub(ivec a, ivec b)
{
    return vsubq_u32(a, b);
}

static inline ivec iv_mul(ivec a, ivec b)
{
    return vmulq_u32(a, b);
}

static inline vec v_limit(vec x, vec low, vec high)
{
    return v_clamp_number(x, low, high);
}

/* SQRDMULH is the doubling high product with halves up; the shift behind it rounds halves up, too,
 * so negative ones are moved down by one first. */
typedef struct {
    int32x4_t multiplier, left, right; /* right: not above 0 */
} fixed_vec;

static inline fixed_vec fixed_load(const struct ledge_epilogue_i8 *e, int64_t at)
{
    return (fixed_vec){vld1q_s32(e->multiplier + at), vld1q_s32(e->left + at),
                       vnegq_s32(vld1q_s32(e->right + at))};
}

static inline ivec iv_fixed(ivec x, const fixed_vec *f)
{
    int32x4_t y = vshlq_s32(vreinterpretq_s32_u32(x), f->left);
    y = vqrdmulhq_s32(y, f->multiplier);
    y = vqaddq_s32(y, vshrq_n_s32(vandq_s32(y, f->right), 31));
    return vreinterpretq_u32_s32(vrshlq_s32(y, f->right));
}

static inline ivec iv_xor(ivec a, ivec b)
{
    return veorq_u32(a, b);
}

static inline ivec iv_clamp(ivec x, int32_t low, int32_t high)
{
    int32x4_t y = vmaxq_s32(vreinterpretq_s32_u32(x), vdupq_n_s32(low));
    return vreinterpretq_u32_s32(vminq_s32(y, vdupq_n_s32(high)));
}

static inline ivec iv_load_bytes(const uint8_t *p)
{
    uint32_t four;
    memcpy(&four, p, sizeof four);
    uint8x8_t bytes = vreinterpret_u8_u32(vdup_n_u32(four));
    return vmovl_u16(vget_low_u16(vmovl_u8(bytes)));
}

static inline vec v_div(vec a, vec b)
{
    return vdivq_f32(a, b);
}

static inline bool v_unsure(vec x, ivec rounded, float limit)
{
    uint32x4_t far = vcgtq_f32(vabdq_f32(x, iv_to_float(rounded)), vdupq_n_f32(limit));
    return vmaxvq_u32(far) != 0;
}

enum { PACKED = 1 };
#define VECTORS_TABLE(F) F(1) F(2) F(4)

static inline void store_rows(const struct ledge_finish_i8 *f, int32_t row, const ivec *r,
                              const int vectors, const bool plain)
{
    (void)plain;
    const struct ledge_epilogue_i8 *e = f->epilogue;
    int32x4_t zero = vdupq_n_s32(e->zero);
    uint8_t some[LEDGE_I8_VECTORS * LANES];
    for (int v = 0; v < vectors; v++) {
        int32x4_t x = vqaddq_s32(vreinterpretq_s32_u32(r[v]), zero);
        iv_store_bytes(some + v * LANES, iv_clamp(vreinterpretq_u32_s32(x), e->low, e->high));
    }
    uint8_t *y = f->y + row * f->ldy;
    for (int32_t i = 0; i < f->n; i++) {
        y[i] = some[i] ^ e->flip;
    }
}

static inline void load_rows(const struct ledge_finish_i8 *f, int32_t row, const int vectors,
                             uint8_t flip, ivec *r)
{
    uint8_t some[LEDGE_I8_VECTORS * LANES] = {0};
    memcpy(some, f->addend + row * f->ldy, (size_t)f->n);
    for (int v = 0; v < vectors; v++) {
        r[v] = iv_xor(iv_load_bytes(some + v * LANES), iv_set1(flip));
    }
}

/* 16 bytes, of which n are read. */
static inline uint8x16_t load_bytes(const uint8_t *x, int32_t n, uint8_t flip)
{
    uint8_t some[16] = {0};
    memcpy(some, x, (size_t)n);
    return veorq_u8(vld1q_u8(some), vdupq_n_u8(flip));
}

/* Units of pairs and of quads, in the channels' own order. */
static inline void pairs_of(const uint8_t *const *x, int32_t n, uint8_t flip, ivec *q)
{
    uint16x8_t a = vmovl_u8(vget_low_u8(load_bytes(x[0], n, flip)));
    uint16x8_t b = vmovl_u8(vget_low_u8(load_bytes(x[1], n, flip)));
    q[0] = vreinterpretq_u32_u16(vzip1q_u16(a, b));
    q[1] = vreinterpretq_u32_u16(vzip2q_u16(a, b));
}

static inline void quads_of(const uint8_t *const *x, int32_t n, uint8_t flip, ivec *q)
{
    uint8x16_t tap[4];
    for (int i = 0; i < 4; i++) {
        tap[i] = load_bytes(x[i], n, flip);
    }
    uint16x8_t low01 = vreinterpretq_u16_u8(vzip1q_u8(tap[0], tap[1]));
    uint16x8_t high01 = vreinterpretq_u16_u8(vzip2q_u8(tap[0], tap[1]));
    uint16x8_t low23 = vreinterpretq_u16_u8(vzip1q_u8(tap[2], tap[3]));
    uint16x8_t high23 = vreinterpretq_u16_u8(vzip2q_u8(tap[2], tap[3]));
    q[0] = vreinterpretq_u32_u16(vzip1q_u16(low01, low23));
    q[1] = vreinterpretq_u32_u16(vzip2q_u16(low01, low23));
    q[2] = vreinterpretq_u32_u16(vzip1q_u16(high01, high23));
    q[3] = vreinterpretq_u32_u16(vzip2q_u16(high01, high23));
}

static inline void sums_of_rows(const uint8_t *const *x, int64_t rows, int64_t taps, int64_t bytes,
                                int32_t *sums)
{
    for (int64_t r = 0; r < rows; r++) {
        uint32_t sum = 0;
        for (int64_t t = 0; t < taps; t++) {
            const uint8_t *from = x[t * rows + r];
            for (int64_t i = 0; i < bytes; i++) {
                sum += from[i];
            }
        }
        sums[r] = (int32_t)sum;
    }
}

#endif
