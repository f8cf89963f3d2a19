/* SPDX-License-Identifier: Apache-2.0 */
/* f32_avx2.c -- the f32 loops for AVX2 and FMA. */
#if defined(__x86_64__)
#include "engine/kernels/simd_avx2.h"

#define ROW_COUNTS ROW_COUNTS_6
#include "engine/kernels/f32.tmpl.h"

F32_KERNELS(avx2, LEDGE_RUNG_AVX2);
#else
typedef int ledge_f32_avx2_empty;
#endif
