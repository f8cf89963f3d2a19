/* SPDX-License-Identifier: Apache-2.0 */
/* i8_avx2.c -- the exact 8-bit loops for AVX2: pairs of i16, vpmaddwd. */
#if defined(__x86_64__)
#include "engine/kernels/simd_avx2.h"

enum { I8_ROWS = 6 };
#define I8_GROUP   2
#define ROW_COUNTS ROW_COUNTS_6

typedef __m256i ivec;

static inline ivec iv_set1(uint32_t x)
{
    return _mm256_set1_epi32((int32_t)x);
}

static inline ivec iv_load(const void *p)
{
    return _mm256_loadu_si256(p);
}

static inline void iv_store(int32_t *p, ivec v)
{
    _mm256_storeu_si256((__m256i *)(void *)p, v);
}

static inline ivec iv_add(ivec a, ivec b)
{
    return _mm256_add_epi32(a, b);
}

static inline ivec iv_dot(ivec acc, ivec a, ivec b)
{
    return _mm256_add_epi32(acc, _mm256_madd_epi16(a, b));
}

static inline vec iv_to_float(ivec a)
{
    return _mm256_cvtepi32_ps(a);
}

static inline vec v_mul(vec a, vec b)
{
    return _mm256_mul_ps(a, b);
}

/* NaN becomes low. */
static inline vec v_clamp_number(vec x, vec low, vec high)
{
    return _mm256_min_ps(_mm256_max_ps(x, low), high);
}

static inline ivec iv_round(vec x)
{
    return _mm256_cvtps_epi32(x);
}

static inline void iv_store_bytes(uint8_t *p, ivec v)
{
    __m256i low = _mm256_setr_epi8(0, 4, 8, 12, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 0,
                                   4, 8, 12, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1);
    v = _mm256_shuffle_epi8(v, low);
    __m128i halves = _mm_unpacklo_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    _mm_storel_epi64((__m128i *)(void *)p, halves);
}

#include "engine/kernels/i8.tmpl.h"

I8_KERNELS(avx2, LEDGE_RUNG_AVX2);
#else
typedef int ledge_i8_avx2_empty;
#endif
