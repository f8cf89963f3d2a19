/* SPDX-License-Identifier: Apache-2.0 */
/* blocked_c_wide.c -- the loops on blocked tensors in plain C in the order of 16 lanes, with fused
 * products: the consistent mode of every CPU without vectors of its own for it (aarch64, too:
 * compilers map it). */
#define SIMD_C_WIDE
#include "engine/kernels/simd_c.h"

enum { TILE_BLOCKS = 2 };
#define TILE_SHAPES(X) X(1, 1) X(2, 1) X(1, 2) X(2, 2)
#define PLANE_SHAPES   TILE_SHAPES
#define TILE_MOST                                                                                  \
    {                                                                                              \
        2, 2                                                                                       \
    }
#include "engine/kernels/blocked.tmpl.h"

BLOCKED_KERNELS(c_wide, c_wide, LEDGE_RUNG_C);
