/* SPDX-License-Identifier: Apache-2.0 */
/* blocked_c.c -- the loops on blocked tensors in plain C. */
#include "engine/kernels/simd_c.h"

#define TILE_COUNTS TILE_COUNTS_4
#define NO_NARROW
#include "engine/kernels/blocked.tmpl.h"

BLOCKED_KERNELS(c, LEDGE_RUNG_C);
