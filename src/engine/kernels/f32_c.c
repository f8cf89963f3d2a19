/* SPDX-License-Identifier: Apache-2.0 */
/* f32_c.c -- the f32 loops in plain C. */
#include "engine/kernels/simd_c.h"

#define FEW_LOOPS
#define ROW_COUNTS ROW_COUNTS_4
#include "engine/kernels/f32.tmpl.h"

F32_KERNELS(c, LEDGE_RUNG_C);
