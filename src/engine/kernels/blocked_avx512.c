/* SPDX-License-Identifier: Apache-2.0 */
/* blocked_avx512.c -- the loops on blocked tensors for AVX-512 (F, BW, DQ, VL). */
#if defined(__x86_64__)
#include "engine/kernels/simd_avx512.h"

enum { TILE_BLOCKS = 4 };
#define TILE_SHAPES(X) UP_TO_14(X, 1) UP_TO_14(X, 2) UP_TO_9(X, 3) UP_TO_6(X, 4)
#define TILE_MOST                                                                                  \
    {                                                                                              \
        14, 14, 9, 6                                                                               \
    }
#include "engine/kernels/blocked.tmpl.h"

BLOCKED_KERNELS(avx512, LEDGE_RUNG_AVX512);
#else
typedef int ledge_blocked_avx512_empty;
#endif
