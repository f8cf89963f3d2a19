/* SPDX-License-Identifier: Apache-2.0 */
/* i8_avx512.c -- the exact 8-bit loops for AVX-512 without VNNI: pairs of i16, vpmaddwd. */
#if defined(__x86_64__)
#define SHARED_ISA avx512
#include "engine/kernels/i8_shared.h"
#include "engine/kernels/simd_avx512_int.h"
#include "engine/kernels/winograd_i8.h"

#define I8_GROUP 2
enum { TAPS_VECTORS = 2 };
#define ROW_SUMS NULL
#define PAIRS

INLINE ivec iv_dot(ivec acc, ivec a, ivec b)
{
    return _mm512_add_epi32(acc, _mm512_madd_epi16(a, b));
}

/* In assembly, or gcc puts off all sums of a tile, has no registers for them, and loads
 * weights again for each row. */
INLINE ivec rows_dot(ivec acc, ivec a, ivec b)
{
    ivec sums;
    __asm__("vpmaddwd %3, %2, %1\n\tvpaddd %1, %0, %0" : "+v"(acc), "=&v"(sums) : "v"(a), "v"(b));
    return acc;
}
#define ROWS_DOT rows_dot

INLINE ivec widen(const uint8_t *x, int32_t n, uint8_t flip)
{
    __m256i bytes = _mm256_maskz_loadu_epi8(~(__mmask32)0 >> (32 - n), x);
    return _mm512_cvtepu8_epi16(_mm256_xor_si256(bytes, _mm256_set1_epi8((char)flip)));
}

INLINE ivec widen_all(const uint8_t *x)
{
    return _mm512_cvtepu8_epi16(_mm256_loadu_si256((const __m256i *)(const void *)x));
}

INLINE ivec zip_low(ivec a, ivec b)
{
    return _mm512_unpacklo_epi16(a, b);
}

INLINE ivec zip_high(ivec a, ivec b)
{
    return _mm512_unpackhi_epi16(a, b);
}

static void lookup(const uint8_t *table, const uint8_t *x, uint8_t *y, int64_t rows, int64_t n,
                   int64_t ld)
{
    lookup_16(table, x, y, rows, n, ld);
    v_done();
}
#define LOOKUP   lookup
#define WINOGRAD (&ledge_winograd_i8_avx2) /* less work in half the width */

#include "engine/kernels/i8.tmpl.h"

I8_KERNELS(avx512, LEDGE_RUNG_AVX512);
#else
typedef int ledge_i8_avx512_empty;
#endif
