/* SPDX-License-Identifier: Apache-2.0 */
/* simd_avx2_int.h -- whole numbers of 32 bits in vectors of AVX2, besides simd_avx2.h. */
#ifndef LEDGE_ENGINE_KERNELS_SIMD_AVX2_INT_H
#define LEDGE_ENGINE_KERNELS_SIMD_AVX2_INT_H

#include <string.h>

#include "engine/kernels/simd_avx2.h"

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
INLINE ivec iv_dot(ivec acc, ivec a, ivec b)
{
    return _mm256_add_epi32(acc, _mm256_madd_epi16(a, b));
}

#endif
