/* SPDX-License-Identifier: Apache-2.0 */
/* i8_avx512vnni.c -- the exact 8-bit loops for AVX-512 VNNI: quads of bytes, vpdpbusd, which adds
 * four u8 x i8 products to 32 bits without saturation.
 *
 * In assembly, because compilers were seen to spill the accumulators around the intrinsic. */
#if defined(__x86_64__)
#include "engine/kernels/simd_avx512_int.h"

#define I8_GROUP 4

static inline ivec iv_dot(ivec acc, ivec u8, ivec i8)
{
    __asm__("vpdpbusd %2, %1, %0" : "+v"(acc) : "v"(u8), "v"(i8));
    return acc;
}

#include "engine/kernels/i8.tmpl.h"

I8_KERNELS(avx512vnni, LEDGE_RUNG_AVX512VNNI);
#else
typedef int ledge_i8_avx512vnni_empty;
#endif
