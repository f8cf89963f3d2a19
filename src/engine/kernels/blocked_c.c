/* SPDX-License-Identifier: Apache-2.0 */
/* blocked_c.c -- the loops on blocked tensors in plain C. */
#include "engine/kernels/simd_c.h"

enum { TILE_BLOCKS = 2 };
#define TILE_SHAPES(X) UP_TO_4(X, 1) UP_TO_4(X, 2)
#define PLANE_SHAPES   TILE_SHAPES
#define TILE_MOST                                                                                  \
    {                                                                                              \
        4, 4                                                                                       \
    }
#define NO_NARROW
#define NO_ROWS_OF_5
#include "engine/kernels/blocked.tmpl.h"

BLOCKED_KERNELS(c, c, LEDGE_RUNG_C);
