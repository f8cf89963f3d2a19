/* SPDX-License-Identifier: Apache-2.0 */
/* blocked_avx2.c -- the loops on blocked tensors for AVX2 and FMA. */
#if defined(__x86_64__)
#include "engine/kernels/simd_avx2.h"

enum { TILE_BLOCKS = 3 };
/* Chosen by counting over seventeen networks, as those of AVX-512 are. */
#define SOME(X, b)      X(1, b) X(2, b) X(5, b) X(6, b)
#define TILE_SHAPES(X)  SOME(X, 1) SOME(X, 2) X(4, 2) X(1, 3) X(3, 3) X(4, 3)
#define PLANE_SHAPES(X) SOME(X, 1) SOME(X, 2)
#define TILE_MOST                                                                                  \
    {                                                                                              \
        6, 6, 4                                                                                    \
    }
#define WHOLE_TILE(pixels, blocks) ((pixels) * (blocks) >= 9)
#include "engine/kernels/blocked.tmpl.h"

BLOCKED_KERNELS(avx2, avx2, LEDGE_RUNG_AVX2);
#else
typedef int ledge_blocked_avx2_empty;
#endif
