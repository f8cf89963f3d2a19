/* SPDX-License-Identifier: Apache-2.0 */
/* blocked_avx2_wide.c -- the loops on blocked tensors for AVX2 in the order of 16 lanes: the
 * consistent mode. */
#if defined(__x86_64__)
#include "engine/kernels/simd_avx2.h"
#include "engine/kernels/simd_wide.h"

enum { TILE_BLOCKS = 2 };
#define TILE_SHAPES(X) UP_TO_3(X, 1) UP_TO_3(X, 2)
#define PLANE_SHAPES   TILE_SHAPES
#define TILE_MOST                                                                                  \
    {                                                                                              \
        3, 3                                                                                       \
    }
#define NO_NARROW
#include "engine/kernels/blocked.tmpl.h"

BLOCKED_KERNELS(avx2_wide, avx2, LEDGE_RUNG_AVX2);
#else
typedef int ledge_blocked_avx2_wide_empty;
#endif
