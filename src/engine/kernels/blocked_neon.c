/* SPDX-License-Identifier: Apache-2.0 */
/* blocked_neon.c -- the loops on blocked tensors for aarch64. */
#if defined(__aarch64__)
#include "engine/kernels/simd_neon.h"

enum { TILE_BLOCKS = 2 };
#define TILE_SHAPES(X) UP_TO_14(X, 1) UP_TO_14(X, 2)
#define PLANE_SHAPES   TILE_SHAPES
#define TILE_MOST                                                                                  \
    {                                                                                              \
        14, 14                                                                                     \
    }
#include "engine/kernels/blocked.tmpl.h"

BLOCKED_KERNELS(neon, neon, LEDGE_RUNG_NEON);
#else
typedef int ledge_blocked_neon_empty;
#endif
