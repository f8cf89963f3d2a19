/* SPDX-License-Identifier: Apache-2.0 */
/* simd_avx512_int.h -- what the 8-bit loops of both AVX-512 rungs need besides simd_avx512.h. */
#ifndef LEDGE_ENGINE_KERNELS_SIMD_AVX512_INT_H
#define LEDGE_ENGINE_KERNELS_SIMD_AVX512_INT_H

#include "engine/kernels/simd_avx512.h"

enum { I8_ROWS = 14 };
#define ROW_COUNTS ROW_COUNTS_14

typedef __m512i ivec;

static inline ivec iv_set1(uint32_t x)
{
    return _mm512_set1_epi32((int32_t)x);
}

static inline ivec iv_load(const void *p)
{
    return _mm512_loadu_si512(p);
}

static inline void iv_store(int32_t *p, ivec v)
{
    _mm512_storeu_si512(p, v);
}

static inline ivec iv_add(ivec a, ivec b)
{
    return _mm512_add_epi32(a, b);
}

static inline vec iv_to_float(ivec a)
{
    return _mm512_cvtepi32_ps(a);
}

static inline vec v_mul(vec a, vec b)
{
    return _mm512_mul_ps(a, b);
}

/* NaN becomes low. */
static inline vec v_clamp_number(vec x, vec low, vec high)
{
    return _mm512_min_ps(_mm512_max_ps(x, low), high);
}

static inline ivec iv_round(vec x)
{
    return _mm512_cvtps_epi32(x);
}

static inline void iv_store_bytes(uint8_t *p, ivec v)
{
    _mm_storeu_si128((__m128i *)(void *)p, _mm512_cvtepi32_epi8(v));
}

#endif
