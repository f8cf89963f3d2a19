/* SPDX-License-Identifier: Apache-2.0 */
/* blocked_avx512.c -- the loops on blocked tensors for AVX-512 (F, BW, DQ, VL). */
#if defined(__x86_64__)
#include "engine/kernels/simd_avx512.h"

#define TILE_COUNTS TILE_COUNTS_14
#include "engine/kernels/blocked.tmpl.h"

BLOCKED_KERNELS(avx512, LEDGE_RUNG_AVX512);
#else
typedef int ledge_blocked_avx512_empty;
#endif
