/* SPDX-License-Identifier: Apache-2.0 */
/* blocked_avx2.c -- the loops on blocked tensors for AVX2 and FMA. */
#if defined(__x86_64__)
#include "engine/kernels/simd_avx2.h"

enum { TILE_BLOCKS = 2 };
#define TILE_SHAPES(X)  UP_TO_6(X, 1) UP_TO_6(X, 2)
#define PLANES(X, b)    X(1, b) X(2, b) X(5, b) X(6, b)
#define PLANE_SHAPES(X) PLANES(X, 1) PLANES(X, 2)
#define TILE_MOST                                                                                  \
    {                                                                                              \
        6, 6                                                                                       \
    }
#define WHOLE_TILE(pixels, blocks) ((pixels) * (blocks) >= 10)
#include "engine/kernels/blocked.tmpl.h"

BLOCKED_KERNELS(avx2, LEDGE_RUNG_AVX2);
#else
typedef int ledge_blocked_avx2_empty;
#endif
