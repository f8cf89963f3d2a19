/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/kernels/tfl.h"

#if defined(__x86_64__)

#include <immintrin.h>
#include <string.h>

#define LANES __m512i

static inline LANES lanes_zero(void)
{
    return _mm512_setzero_si512();
}

static inline LANES lanes_pairs(LANES sums, const int16_t *w, const int16_t *a)
{
    int32_t both;
    memcpy(&both, a, sizeof both);
    __m512i pair = _mm512_set1_epi32(both);
    return _mm512_add_epi32(sums, _mm512_madd_epi16(_mm512_loadu_si512(w), pair));
}

static inline void lanes_store(int32_t *to, LANES sums)
{
    _mm512_storeu_si512(to, sums);
}

#include "engine/kernels/tfl_vectors.inc"

const struct ledge_tfl_vectors ledge_tfl_vectors_avx512 = {product, requant, tap};

#endif
