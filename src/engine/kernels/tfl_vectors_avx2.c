/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/kernels/tfl.h"

#if defined(__x86_64__)

#include <immintrin.h>
#include <string.h>

struct lanes {
    __m256i low, high;
};
#define LANES struct lanes

static inline LANES lanes_zero(void)
{
    return (LANES){_mm256_setzero_si256(), _mm256_setzero_si256()};
}

static inline LANES lanes_pairs(LANES sums, const int16_t *w, const int16_t *a)
{
    int32_t both;
    memcpy(&both, a, sizeof both);
    __m256i pair = _mm256_set1_epi32(both);
    __m256i low = _mm256_madd_epi16(_mm256_loadu_si256((const __m256i *)w), pair);
    __m256i high = _mm256_madd_epi16(_mm256_loadu_si256((const __m256i *)(w + 16)), pair);
    return (LANES){_mm256_add_epi32(sums.low, low), _mm256_add_epi32(sums.high, high)};
}

static inline void lanes_store(int32_t *to, LANES sums)
{
    _mm256_storeu_si256((__m256i *)to, sums.low);
    _mm256_storeu_si256((__m256i *)(to + 8), sums.high);
}

#include "engine/kernels/tfl_vectors.inc"

const struct ledge_tfl_vectors ledge_tfl_vectors_avx2 = {product, requant, tap};

#endif
