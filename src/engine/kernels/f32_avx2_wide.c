/* SPDX-License-Identifier: Apache-2.0 */
/* f32_avx2_wide.c -- the f32 loops for AVX2 in the order of 16 lanes: the consistent mode. */
#if defined(__x86_64__)
#include "engine/kernels/simd_avx2.h"
#include "engine/kernels/simd_wide.h"

#define FEW_LOOPS
#define ROW_COUNTS ROW_COUNTS_3
#include "engine/kernels/f32.tmpl.h"

F32_KERNELS(avx2_wide, LEDGE_RUNG_AVX2);
#else
typedef int ledge_f32_avx2_wide_empty;
#endif
