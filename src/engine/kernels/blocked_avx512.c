/* SPDX-License-Identifier: Apache-2.0 */
/* blocked_avx512.c -- the loops on blocked tensors for AVX-512 (F, BW, DQ, VL). */
#if defined(__x86_64__)
#include "engine/kernels/simd_avx512.h"

enum { TILE_BLOCKS = 4 };
/* Chosen by counting over seventeen networks; the others were never or hardly used. */
#define FEW(X, b)       X(1, b) X(2, b) X(4, b) X(7, b)
#define ABOVE_11(X, b)  X(12, b) X(13, b) X(14, b)
#define TILES_14(X, b)  FEW(X, b) X(8, b) X(10, b) X(11, b) ABOVE_11(X, b)
#define TILES_9(X, b)   FEW(X, b) X(8, b) X(9, b)
#define TILE_SHAPES(X)  FEW(X, 1) ABOVE_11(X, 1) TILES_14(X, 2) TILES_9(X, 3) UP_TO_6(X, 4)
#define PLANES(X, b)    X(1, b) X(4, b) X(8, b) X(10, b) ABOVE_11(X, b)
#define PLANE_SHAPES(X) PLANES(X, 1) PLANES(X, 2)
#define TILE_MOST                                                                                  \
    {                                                                                              \
        14, 14, 9, 6                                                                               \
    }
#define WHOLE_TILE(pixels, blocks) ((pixels) * (blocks) >= ((blocks) > 2 ? 20 : 24))
/* Every other one: instructions and loads take about as long then. All of them would wait for the
 * loads, none for the instructions where another process shares the core. */
#define FROM_MEMORY(pixel) ((pixel) % 2 == 1)
#include "engine/kernels/blocked.tmpl.h"

BLOCKED_KERNELS(avx512, avx512, LEDGE_RUNG_AVX512);
#else
typedef int ledge_blocked_avx512_empty;
#endif
