/* SPDX-License-Identifier: Apache-2.0 */
/* simd_avx512_int.h -- what the 8-bit loops of both AVX-512 rungs need besides simd_avx512.h. */
#ifndef LEDGE_ENGINE_KERNELS_SIMD_AVX512_INT_H
#define LEDGE_ENGINE_KERNELS_SIMD_AVX512_INT_H

#include <string.h>

#include "engine/kernels/i8.h"
#include "engine/kernels/simd_avx512.h"

enum { SUB = 4 };
#ifndef ROWS_MAX
#define ROWS_MAX 12, 12, 8, 6
#define ROWS_TABLE(F)                                                                              \
    ROWS_FEW(F, 1)                                                                                 \
    F(1, 8) F(1, 12) ROWS_FEW(F, 2) F(2, 8) F(2, 12) ROWS_FEW(F, 3) F(3, 8) ROWS_FEW(F, 4) F(4, 6)
#endif

typedef __m512i ivec;

INLINE ivec iv_set1(uint32_t x)
{
    return _mm512_set1_epi32((int32_t)x);
}

INLINE ivec iv_load(const void *p)
{
    return _mm512_loadu_si512(p);
}

INLINE void iv_store(int32_t *p, ivec v)
{
    _mm512_storeu_si512(p, v);
}

INLINE ivec iv_add(ivec a, ivec b)
{
    return _mm512_add_epi32(a, b);
}

INLINE vec iv_to_float(ivec a)
{
    return _mm512_cvtepi32_ps(a);
}

INLINE vec v_mul(vec a, vec b)
{
    return _mm512_mul_ps(a, b);
}

/* NaN becomes low. */
INLINE vec v_clamp_number(vec x, vec low, vec high)
{
    return _mm512_min_ps(_mm512_max_ps(x, low), high);
}

INLINE ivec iv_round(vec x)
{
    return _mm512_cvtps_epi32(x);
}

INLINE void iv_store_bytes(uint8_t *p, ivec v)
{
    _mm_storeu_si128((__m128i *)(void *)p, _mm512_cvtepi32_epi8(v));
}

INLINE ivec iv_spread(const uint8_t *p)
{
    int32_t x;
    memcpy(&x, p, sizeof x);
    return _mm512_set1_epi32(x);
}

INLINE ivec iv_load_bytes(const uint8_t *p)
{
    return _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)p));
}

INLINE ivec iv_xor(ivec a, ivec b)
{
    return _mm512_xor_si512(a, b);
}

INLINE ivec iv_clamp(ivec x, int32_t low, int32_t high)
{
    return _mm512_min_epi32(_mm512_max_epi32(x, _mm512_set1_epi32(low)), _mm512_set1_epi32(high));
}

INLINE vec v_sub(vec a, vec b)
{
    return _mm512_sub_ps(a, b);
}

INLINE vec v_div(vec a, vec b)
{
    return _mm512_div_ps(a, b);
}

INLINE bool v_unsure(vec x, ivec rounded, float limit)
{
    vec gap = _mm512_abs_ps(v_sub(x, iv_to_float(rounded)));
    return _mm512_cmp_ps_mask(gap, v_set1(limit), _CMP_GT_OQ) != 0;
}

INLINE ivec iv_sub(ivec a, ivec b)
{
    return _mm512_sub_epi32(a, b);
}

INLINE ivec iv_mul(ivec a, ivec b)
{
    return _mm512_mullo_epi32(a, b);
}

/* NaN stays and is rounded to INT32_MIN, as all that is too small; so low needs no test. */
INLINE vec v_limit(vec x, vec low, vec high)
{
    (void)low;
    return _mm512_min_ps(high, x);
}

/* With 2 x in the place of x the rounded product stands in the upper halves of 64 bits:
 *
 *   floor((2 x m + 2^31) / 2^32)      the doubling high product
 *   (that + half - (x < 0)) >> right  shifted, ties away from zero; half = 2^(right - 1)
 *
 * and the half is added below, in the 64 bits. Without a shift there is neither half nor sign. */
typedef struct {
    ivec left, even, odd, round_even, round_odd, sign, right;
} fixed_vec;

INLINE fixed_vec fixed_load(const struct ledge_epilogue_i8 *e, int64_t at)
{
    const ivec one = _mm512_set1_epi32(1);
    const ivec below = _mm512_set1_epi64(0x80000000);
    fixed_vec f;
    f.even = iv_load(e->multiplier + at);
    f.odd = _mm512_srli_epi64(f.even, 32);
    f.left = iv_add(iv_load(e->left + at), one);
    f.right = iv_load(e->right + at);
    ivec half = _mm512_sllv_epi32(one, iv_sub(f.right, one)); /* 0 when right is 0 */
    f.round_even = _mm512_or_si512(_mm512_slli_epi64(half, 32), below);
    f.round_odd = _mm512_or_si512(_mm512_slli_epi64(_mm512_srli_epi64(half, 32), 32), below);
    __mmask16 shifts = _mm512_cmpgt_epi32_mask(f.right, _mm512_setzero_si512());
    f.sign = _mm512_mask_blend_epi32(shifts, _mm512_set1_epi32(32), _mm512_set1_epi32(31));
    return f;
}

INLINE ivec iv_fixed(ivec x, const fixed_vec *f)
{
    x = _mm512_sllv_epi32(x, f->left);
    ivec even = _mm512_add_epi64(_mm512_mul_epi32(x, f->even), f->round_even);
    ivec odd = _mm512_add_epi64(_mm512_mul_epi32(_mm512_srli_epi64(x, 32), f->odd), f->round_odd);
    ivec high = _mm512_mask_blend_epi32(0xAAAA, _mm512_srli_epi64(even, 32), odd);
    return _mm512_srav_epi32(iv_sub(high, _mm512_srlv_epi32(x, f->sign)), f->right);
}

#define FINISH_LOOKS_UP true
#define LARGEST         LEDGE_KERNEL(max_pool_i8, ledge_i8_avx512_largest)
enum { PACKED = 4 };
#define VECTORS_TABLE(F) F(1) F(2) F(3) F(4)

INLINE void pack_words(const ivec *r, const int vectors, ivec *low, ivec *high)
{
    *low = _mm512_packs_epi32(r[0], r[1]);
    *high = _mm512_packs_epi32(r[2], r[vectors == 3 ? 2 : 3]);
}

INLINE ivec pack_rows(const ivec *r, const int vectors, const bool plain,
                      const struct ledge_epilogue_i8 *e)
{
    ivec low, high;
    pack_words(r, vectors, &low, &high);
    if (plain) {
        return _mm512_packus_epi16(low, high);
    }
    const ivec zero = _mm512_set1_epi16((int16_t)e->zero);
    ivec bytes = _mm512_packus_epi16(_mm512_adds_epi16(low, zero), _mm512_adds_epi16(high, zero));
    bytes = _mm512_max_epu8(bytes, _mm512_set1_epi8((char)e->low));
    bytes = _mm512_min_epu8(bytes, _mm512_set1_epi8((char)e->high));
    return _mm512_xor_si512(bytes, _mm512_set1_epi8((char)e->flip));
}

/* Bytes through 256 of them, by AVX-512 VBMI: 128 in two registers each, the sign bit chooses. In
 * assembly, since the file is for processors without it, too. */
INLINE ivec look_up_bytes(const uint8_t *table, ivec at)
{
    ivec low = at, high = at;
    __asm__("vpermi2b %2, %1, %0"
            : "+v"(low)
            : "v"(iv_load(table)), "m"(*(const ivec *)(const void *)(table + 64)));
    __asm__("vpermi2b %2, %1, %0"
            : "+v"(high)
            : "v"(iv_load(table + 128)), "m"(*(const ivec *)(const void *)(table + 192)));
    return _mm512_mask_blend_epi8(_mm512_movepi8_mask(at), low, high);
}

/* After packing, 32 bits of each vector alternate within 128. */
INLINE void store_packed(const struct ledge_finish_i8 *f, int32_t row, ivec bytes,
                         const int vectors)
{
    uint8_t *y = f->y + row * f->ldy;
    int32_t left = f->rows - row;
    if (vectors == 4) {
        _mm512_mask_storeu_epi8(y, ~(__mmask64)0 >> (64 - f->n), bytes);
    } else if (vectors == 3) {
        ivec index = _mm512_setr_epi32(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, 0, 0, 0, 0);
        bytes = _mm512_permutexvar_epi32(index, bytes);
        _mm512_mask_storeu_epi8(y, ~(__mmask64)0 >> (64 - f->n), bytes);
    } else if (vectors == 2) {
        __mmask32 mask = ~(__mmask32)0 >> (32 - f->n);
        ivec index = _mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7);
        bytes = _mm512_permutexvar_epi64(index, bytes);
        _mm256_mask_storeu_epi8(y, mask, _mm512_castsi512_si256(bytes));
        _mm256_mask_storeu_epi8(y + (left > 1 ? f->ldy : 0), left > 1 ? mask : 0,
                                _mm512_extracti64x4_epi64(bytes, 1));
    } else {
        __mmask16 mask = (__mmask16)(0xffff >> (16 - f->n));
        ivec index = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
        bytes = _mm512_permutexvar_epi32(index, bytes);
        if (left >= 4 && f->n == 16 && f->ldy == 16) {
            _mm512_storeu_si512(y, bytes);
            return;
        }
        _mm_mask_storeu_epi8(y, mask, _mm512_castsi512_si128(bytes));
        if (left > 1) {
            _mm_mask_storeu_epi8(y + f->ldy, mask, _mm512_extracti32x4_epi32(bytes, 1));
        }
        if (left > 2) {
            _mm_mask_storeu_epi8(y + 2 * f->ldy, mask, _mm512_extracti32x4_epi32(bytes, 2));
        }
        if (left > 3) {
            _mm_mask_storeu_epi8(y + 3 * f->ldy, mask, _mm512_extracti32x4_epi32(bytes, 3));
        }
    }
}

INLINE void store_rows(const struct ledge_finish_i8 *f, int32_t row, const ivec *r,
                       const int vectors, const bool plain)
{
    ivec bytes = pack_rows(r, vectors, plain, f->epilogue);
    if (!plain && f->table != NULL) {
        bytes = look_up_bytes(f->table, bytes);
    }
    store_packed(f, row, bytes, vectors);
}

/* The way of store_rows() back. */
INLINE void load_rows(const struct ledge_finish_i8 *f, int32_t row, const int vectors, uint8_t flip,
                      ivec *r)
{
    const uint8_t *x = f->addend + row * f->ldy;
    const int32_t left = f->rows - row;
    ivec bytes;
    if (vectors >= 3) {
        bytes = _mm512_maskz_loadu_epi8(~(__mmask64)0 >> (64 - f->n), x);
        if (vectors == 3) {
            ivec index = _mm512_setr_epi32(0, 1, 2, 0, 3, 4, 5, 0, 6, 7, 8, 0, 9, 10, 11, 0);
            bytes = _mm512_permutexvar_epi32(index, bytes);
        }
    } else if (vectors == 2) {
        __mmask32 mask = ~(__mmask32)0 >> (32 - f->n), second = left > 1 ? mask : 0;
        __m256i one = _mm256_maskz_loadu_epi8(mask, x);
        __m256i two = _mm256_maskz_loadu_epi8(second, x + (left > 1 ? f->ldy : 0));
        bytes = _mm512_permutexvar_epi64(_mm512_setr_epi64(0, 4, 1, 5, 2, 6, 3, 7),
                                         _mm512_inserti64x4(_mm512_castsi256_si512(one), two, 1));
    } else {
        __m128i rows[4];
        UNROLL
        for (int32_t i = 0; i < 4; i++) {
            __mmask16 mask = i < left ? (__mmask16)(0xffff >> (16 - f->n)) : 0;
            rows[i] = _mm_maskz_loadu_epi8(mask, x + (i < left ? i * f->ldy : 0));
        }
        bytes = _mm512_inserti32x4(_mm512_castsi128_si512(rows[0]), rows[1], 1);
        bytes = _mm512_inserti32x4(_mm512_inserti32x4(bytes, rows[2], 2), rows[3], 3);
        ivec index = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
        bytes = _mm512_permutexvar_epi32(index, bytes);
    }
    bytes = _mm512_xor_si512(bytes, _mm512_set1_epi8((char)flip));
    const ivec first =
        _mm512_broadcast_i32x4(_mm_set_epi32(-0x7f7f7ffd, -0x7f7f7ffe, -0x7f7f7fff, -0x7f7f8000));
    UNROLL
    for (int v = 0; v < 4; v++) { /* bytes 4 v .. 4 v + 3 of each 128 bits, by themselves */
        r[v] = _mm512_shuffle_epi8(bytes, iv_add(first, iv_set1(4 * (uint32_t)v)));
    }
}

/* Through 16 tables of 16 bytes: the low half of a byte chooses within each of them, the bits of
 * the high half halve their number. */
INLINE void lookup_16(const uint8_t *table, const uint8_t *x, uint8_t *y, int64_t rows, int64_t n,
                      int64_t ld)
{
    ivec part[16];
    for (int i = 0; i < 16; i++) {
        const __m128i *from = (const __m128i *)(const void *)(table + 16 * i);
        part[i] = _mm512_broadcast_i32x4(_mm_loadu_si128(from));
    }
    for (int64_t r = 0; r < rows; r++, x += ld, y += ld) {
        for (int64_t i = 0; i < n; i += 64) {
            __mmask64 mask = ~(__mmask64)0 >> (n - i < 64 ? 64 - (n - i) : 0);
            ivec at = _mm512_maskz_loadu_epi8(mask, x + i);
            ivec low = _mm512_and_si512(at, _mm512_set1_epi8(15));
            ivec some[16];
            for (int k = 0; k < 16; k++) {
                some[k] = _mm512_shuffle_epi8(part[k], low);
            }
            for (int bit = 0; bit < 4; bit++) {
                __mmask64 odd = _mm512_test_epi8_mask(at, _mm512_set1_epi8((char)(16 << bit)));
                for (int k = 0; k < 8 >> bit; k++) {
                    some[k] = _mm512_mask_blend_epi8(odd, some[2 * k], some[2 * k + 1]);
                }
            }
            _mm512_mask_storeu_epi8(y + i, mask, some[0]);
        }
    }
}

#define STORES_TOGETHER
enum { TOGETHER = 4 };

/* The gaps again: what is left of x without its whole part, the largest of four. */
INLINE bool unsure_together(const vec *x, const ivec *rounded, float limit)
{
    enum { LARGER_MAGNITUDE = 0xb, TO_WHOLE = 0x8 };
    (void)rounded;
    vec ab = _mm512_range_ps(_mm512_reduce_ps(x[0], TO_WHOLE), _mm512_reduce_ps(x[1], TO_WHOLE),
                             LARGER_MAGNITUDE);
    vec cd = _mm512_range_ps(_mm512_reduce_ps(x[2], TO_WHOLE), _mm512_reduce_ps(x[3], TO_WHOLE),
                             LARGER_MAGNITUDE);
    vec gap = _mm512_range_ps(ab, cd, LARGER_MAGNITUDE);
    return _mm512_cmp_ps_mask(gap, v_set1(limit), _CMP_GT_OQ) != 0;
}

/* 64 results in a row. */
INLINE void store_together(uint8_t *y, const ivec *r, const struct ledge_range_i8 *out)
{
    const struct ledge_epilogue_i8 e = {
        .zero = out->zero, .low = out->low, .high = out->high, .flip = out->flip};
    ivec index = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    _mm512_storeu_si512(y, _mm512_permutexvar_epi32(index, pack_rows(r, 4, false, &e)));
}

#endif
