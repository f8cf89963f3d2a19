/* SPDX-License-Identifier: Apache-2.0 */
/* i8_avx512.c -- the exact 8-bit loops for AVX-512 without VNNI: pairs of i16, vpmaddwd. */
#if defined(__x86_64__)
#include "engine/kernels/simd_avx512_int.h"

#define I8_GROUP 2

static inline ivec iv_dot(ivec acc, ivec a, ivec b)
{
    return _mm512_add_epi32(acc, _mm512_madd_epi16(a, b));
}

#include "engine/kernels/i8.tmpl.h"

I8_KERNELS(avx512, LEDGE_RUNG_AVX512);
#else
typedef int ledge_i8_avx512_empty;
#endif
