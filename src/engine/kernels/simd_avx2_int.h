/* SPDX-License-Identifier: Apache-2.0 */
/* simd_avx2_int.h -- whole numbers of 32 bits in vectors of AVX2, and what the 8-bit loops of its
 * rungs need besides simd_avx2.h. */
#ifndef LEDGE_ENGINE_KERNELS_SIMD_AVX2_INT_H
#define LEDGE_ENGINE_KERNELS_SIMD_AVX2_INT_H

#include <string.h>

#include "engine/kernels/i8.h"
#include "engine/kernels/simd_avx2.h"

enum { SUB = 4 };

typedef __m256i ivec;

INLINE ivec iv_set1(uint32_t x)
{
    return _mm256_set1_epi32((int32_t)x);
}

INLINE ivec iv_load(const void *p)
{
    return _mm256_loadu_si256(p);
}

INLINE void iv_store(void *p, ivec v)
{
    _mm256_storeu_si256(p, v);
}

/* Four bytes, in each lane. */
INLINE ivec iv_spread(const void *p)
{
    int32_t x;
    memcpy(&x, p, sizeof x);
    return _mm256_set1_epi32(x);
}

INLINE ivec iv_add(ivec a, ivec b)
{
    return _mm256_add_epi32(a, b);
}

INLINE ivec iv_sub(ivec a, ivec b)
{
    return _mm256_sub_epi32(a, b);
}

INLINE ivec iv_mul(ivec a, ivec b)
{
    return _mm256_mullo_epi32(a, b);
}

/* acc + a b of pairs of i16. */
INLINE ivec iv_pairs(ivec acc, ivec a, ivec b)
{
    return _mm256_add_epi32(acc, _mm256_madd_epi16(a, b));
}

INLINE vec iv_to_float(ivec a)
{
    return _mm256_cvtepi32_ps(a);
}

INLINE vec v_mul(vec a, vec b)
{
    return _mm256_mul_ps(a, b);
}

/* NaN becomes low. */
INLINE vec v_clamp_number(vec x, vec low, vec high)
{
    return _mm256_min_ps(_mm256_max_ps(x, low), high);
}

INLINE ivec iv_round(vec x)
{
    return _mm256_cvtps_epi32(x);
}

INLINE void iv_store_bytes(uint8_t *p, ivec v)
{
    __m256i low = _mm256_setr_epi8(0, 4, 8, 12, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 0,
                                   4, 8, 12, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1);
    v = _mm256_shuffle_epi8(v, low);
    __m128i halves = _mm_unpacklo_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    _mm_storel_epi64((__m128i *)(void *)p, halves);
}

INLINE ivec iv_load_bytes(const uint8_t *p)
{
    return _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)p));
}

INLINE ivec iv_xor(ivec a, ivec b)
{
    return _mm256_xor_si256(a, b);
}

INLINE ivec iv_clamp(ivec x, int32_t low, int32_t high)
{
    return _mm256_min_epi32(_mm256_max_epi32(x, _mm256_set1_epi32(low)), _mm256_set1_epi32(high));
}

INLINE vec v_sub(vec a, vec b)
{
    return _mm256_sub_ps(a, b);
}

INLINE vec v_div(vec a, vec b)
{
    return _mm256_div_ps(a, b);
}

INLINE vec gap_of(vec x, ivec rounded)
{
    return _mm256_andnot_ps(v_set1(-0.0f), v_sub(x, iv_to_float(rounded)));
}

INLINE bool is_above(vec gap, float limit)
{
    return _mm256_movemask_ps(_mm256_cmp_ps(gap, v_set1(limit), _CMP_GT_OQ)) != 0;
}

INLINE bool v_unsure(vec x, ivec rounded, float limit)
{
    return is_above(gap_of(x, rounded), limit);
}

/* As for AVX-512. */
INLINE vec v_limit(vec x, vec low, vec high)
{
    (void)low;
    return _mm256_min_ps(high, x);
}

/* Explained in simd_avx512_int.h. */
typedef struct {
    ivec left, even, odd, round_even, round_odd, sign, right;
} fixed_vec;

INLINE fixed_vec fixed_load(const struct ledge_epilogue_i8 *e, int64_t at)
{
    const ivec one = _mm256_set1_epi32(1);
    const ivec below = _mm256_set1_epi64x(0x80000000);
    fixed_vec f;
    f.even = iv_load(e->multiplier + at);
    f.odd = _mm256_srli_epi64(f.even, 32);
    f.left = iv_add(iv_load(e->left + at), one);
    f.right = iv_load(e->right + at);
    ivec half = _mm256_sllv_epi32(one, iv_sub(f.right, one)); /* 0 when right is 0 */
    f.round_even = _mm256_or_si256(_mm256_slli_epi64(half, 32), below);
    f.round_odd = _mm256_or_si256(_mm256_slli_epi64(_mm256_srli_epi64(half, 32), 32), below);
    f.sign = iv_add(_mm256_set1_epi32(32), _mm256_cmpgt_epi32(f.right, _mm256_setzero_si256()));
    return f;
}

INLINE ivec iv_fixed(ivec x, const fixed_vec *f)
{
    x = _mm256_sllv_epi32(x, f->left);
    ivec even = _mm256_add_epi64(_mm256_mul_epi32(x, f->even), f->round_even);
    ivec odd = _mm256_add_epi64(_mm256_mul_epi32(_mm256_srli_epi64(x, 32), f->odd), f->round_odd);
    ivec high = _mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xAA);
    return _mm256_srav_epi32(iv_sub(high, _mm256_srlv_epi32(x, f->sign)), f->right);
}

enum { PACKED = 4 };
#define VECTORS_TABLE(F) F(1) F(2)

/* Four vectors as bytes, their low halves first. */
INLINE ivec pack_rows(const ivec *r, const bool plain, const struct ledge_epilogue_i8 *e)
{
    ivec first = _mm256_packs_epi32(r[0], r[1]), second = _mm256_packs_epi32(r[2], r[3]);
    if (!plain) {
        first = _mm256_adds_epi16(first, _mm256_set1_epi16((int16_t)e->zero));
        second = _mm256_adds_epi16(second, _mm256_set1_epi16((int16_t)e->zero));
    }
    ivec bytes = _mm256_packus_epi16(first, second);
    if (!plain) {
        bytes = _mm256_max_epu8(bytes, _mm256_set1_epi8((char)e->low));
        bytes = _mm256_min_epu8(bytes, _mm256_set1_epi8((char)e->high));
        bytes = _mm256_xor_si256(bytes, _mm256_set1_epi8((char)e->flip));
    }
    return bytes;
}

/* Vector after vector. */
INLINE ivec in_order(ivec bytes)
{
    return _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
}

/* Two rows of two vectors, or four rows of one. */
INLINE void store_rows(const struct ledge_finish_i8 *f, int32_t row, const ivec *r,
                       const int vectors, const bool plain)
{
    const int32_t left = f->rows - row;
    uint8_t *y = f->y + row * f->ldy;
    ivec bytes = pack_rows(r, plain, f->epilogue);
    if (vectors == 2) {
        bytes = _mm256_permute4x64_epi64(bytes, 0xD8);
        v_store_some(y, f->n, _mm256_castsi256_si128(bytes));
        if (left > 1) {
            v_store_some(y + f->ldy, f->n, _mm256_extracti128_si256(bytes, 1));
        }
        return;
    }
    bytes = in_order(bytes);
    __m128i pairs[2] = {_mm256_castsi256_si128(bytes), _mm256_extracti128_si256(bytes, 1)};
    for (int32_t i = 0; i < 4 && i < left; i++) {
        __m128i one = pairs[i / 2];
        v_store_some(y + i * f->ldy, f->n, i % 2 == 0 ? one : _mm_unpackhi_epi64(one, one));
    }
}

#define STORES_TOGETHER
enum { TOGETHER = 4 };

INLINE bool unsure_together(const vec *x, const ivec *rounded, float limit)
{
    vec gap = gap_of(x[0], rounded[0]);
    UNROLL
    for (int i = 1; i < TOGETHER; i++) {
        gap = _mm256_max_ps(gap, gap_of(x[i], rounded[i]));
    }
    return is_above(gap, limit);
}

/* 32 results in a row. */
INLINE void store_together(uint8_t *y, const ivec *r, const struct ledge_range_i8 *out)
{
    const struct ledge_epilogue_i8 e = {
        .zero = out->zero, .low = out->low, .high = out->high, .flip = out->flip};
    iv_store(y, in_order(pack_rows(r, false, &e)));
}

INLINE __m128i load_some(const uint8_t *x, int32_t n)
{
    if (n == 16) {
        return _mm_loadu_si128((const __m128i *)(const void *)x);
    }
    if (n == 8) {
        return _mm_loadl_epi64((const __m128i *)(const void *)x);
    }
    uint8_t some[16] = {0};
    memcpy(some, x, (size_t)n);
    return _mm_loadu_si128((const __m128i *)(const void *)some);
}

/* The way of store_rows() back. */
INLINE void load_rows(const struct ledge_finish_i8 *f, int32_t row, const int vectors, uint8_t flip,
                      ivec *r)
{
    const int32_t left = f->rows - row;
    const uint8_t *x = f->addend + row * f->ldy;
    __m128i rows[2] = {load_some(x, f->n), _mm_setzero_si128()};
    if (vectors == 2) {
        rows[1] = left > 1 ? load_some(x + f->ldy, f->n) : rows[1];
    } else {
        __m128i more[3];
        for (int32_t i = 1; i < 4; i++) {
            more[i - 1] = i < left ? load_some(x + i * f->ldy, f->n) : _mm_setzero_si128();
        }
        rows[0] = _mm_unpacklo_epi64(rows[0], more[0]);
        rows[1] = _mm_unpacklo_epi64(more[1], more[2]);
    }
    ivec bytes = _mm256_inserti128_si256(_mm256_castsi128_si256(rows[0]), rows[1], 1);
    bytes = vectors == 2
                ? _mm256_permute4x64_epi64(bytes, 0xD8)
                : _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 2, 4, 6, 1, 3, 5, 7));
    bytes = _mm256_xor_si256(bytes, _mm256_set1_epi8((char)flip));
    const ivec first = _mm256_set_epi32(-0x7f7f7ffd, -0x7f7f7ffe, -0x7f7f7fff, -0x7f7f8000,
                                        -0x7f7f7ffd, -0x7f7f7ffe, -0x7f7f7fff, -0x7f7f8000);
    for (int v = 0; v < 4; v++) {
        r[v] = _mm256_shuffle_epi8(bytes, iv_add(first, iv_set1(4 * (uint32_t)v)));
    }
}

#endif
