/* SPDX-License-Identifier: Apache-2.0 */
/* i8_avx2.c -- the exact 8-bit loops for AVX2: pairs of i16, vpmaddwd. */
#if defined(__x86_64__)
#define SHARED_ISA avx2
#include "engine/kernels/i8_shared.h"
#include "engine/kernels/simd_avx2_int.h"
#include "engine/kernels/winograd_i8.h"

enum { TAPS_VECTORS = 2 };
#define ROWS_MAX 8, 6, 0, 0
/* The others are rare where products of bytes have most of the work. */
#define ROWS_TABLE(F) F(1, 1) F(1, 4) F(1, 8) F(2, 1) F(2, 2) F(2, 4) F(2, 5) F(2, 6)
#define I8_GROUP      2
#define ROW_SUMS      NULL
#define PAIRS
#define iv_dot iv_pairs

INLINE ivec widen(const uint8_t *x, int32_t n, uint8_t flip)
{
    return _mm256_cvtepu8_epi16(_mm_xor_si128(load_some(x, n), _mm_set1_epi8((char)flip)));
}

INLINE ivec widen_all(const uint8_t *x)
{
    return _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(const void *)x));
}

INLINE ivec zip_low(ivec a, ivec b)
{
    return _mm256_unpacklo_epi16(a, b);
}

INLINE ivec zip_high(ivec a, ivec b)
{
    return _mm256_unpackhi_epi16(a, b);
}

#define LOOKUP   ledge_i8_avx2_lookup
#define TURN     ledge_turn_avx2
#define BYTES    ledge_bytes_avx2
#define WINOGRAD (&ledge_winograd_i8_avx2)

/* In assembly, or gcc puts off all sums of a tile and has no registers for them. */
INLINE ivec rows_dot(ivec acc, ivec a, ivec b)
{
    __asm__("vpaddd %1, %0, %0" : "+x"(acc) : "x"(_mm256_madd_epi16(a, b)));
    return acc;
}
#define ROWS_DOT rows_dot

#include "engine/kernels/i8.tmpl.h"

I8_KERNELS(avx2, LEDGE_RUNG_AVX2);
#else
typedef int ledge_i8_avx2_empty;
#endif
