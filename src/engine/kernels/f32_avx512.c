/* SPDX-License-Identifier: Apache-2.0 */
/* f32_avx512.c -- the f32 loops for AVX-512 (F, BW, DQ, VL). */
#if defined(__x86_64__)
#include "engine/kernels/simd_avx512.h"

#define ROW_COUNTS ROW_COUNTS_14
#include "engine/kernels/f32.tmpl.h"

F32_KERNELS(avx512, LEDGE_RUNG_AVX512);
#else
typedef int ledge_f32_avx512_empty;
#endif
