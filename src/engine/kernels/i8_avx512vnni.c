/* SPDX-License-Identifier: Apache-2.0 */
/* i8_avx512vnni.c -- the exact 8-bit loops for AVX-512 VNNI: quads of bytes, vpdpbusd, which adds
 * four u8 x i8 products to 32 bits without saturation.
 *
 * In assembly, because compilers were seen to spill the accumulators around the intrinsic. */
#if defined(__x86_64__)
#include "engine/kernels/simd_avx512_int.h"

#define I8_GROUP 4
enum { TAPS_VECTORS = 4 };

static inline ivec iv_dot(ivec acc, ivec u8, ivec i8)
{
    __asm__("vpdpbusd %2, %1, %0" : "+v"(acc) : "v"(u8), "v"(i8));
    return acc;
}

static inline void quads(const uint8_t *const *x, int32_t n, uint8_t flip, ivec *q)
{
    ivec tap[4];
    for (int i = 0; i < 4; i++) {
        tap[i] = _mm512_xor_si512(_mm512_maskz_loadu_epi8(~(__mmask64)0 >> (64 - n), x[i]),
                                  _mm512_set1_epi8((char)flip));
    }
    ivec low01 = _mm512_unpacklo_epi8(tap[0], tap[1]);
    ivec high01 = _mm512_unpackhi_epi8(tap[0], tap[1]);
    ivec low23 = _mm512_unpacklo_epi8(tap[2], tap[3]);
    ivec high23 = _mm512_unpackhi_epi8(tap[2], tap[3]);
    q[0] = _mm512_unpacklo_epi16(low01, low23);
    q[1] = _mm512_unpackhi_epi16(low01, low23);
    q[2] = _mm512_unpacklo_epi16(high01, high23);
    q[3] = _mm512_unpackhi_epi16(high01, high23);
}

#include "engine/kernels/i8.tmpl.h"

I8_KERNELS(avx512vnni, LEDGE_RUNG_AVX512VNNI);
#else
typedef int ledge_i8_avx512vnni_empty;
#endif
