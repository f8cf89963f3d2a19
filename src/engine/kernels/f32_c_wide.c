/* SPDX-License-Identifier: Apache-2.0 */
/* f32_c_wide.c -- the f32 loops in plain C in the order of 16 lanes, with fused products: the
 * consistent mode of every CPU without vectors of its own for it (aarch64, too: compilers map it).
 */
#define SIMD_C_WIDE
#include "engine/kernels/simd_c.h"

#define ROW_COUNTS(X) X(1) X(2)
#include "engine/kernels/f32.tmpl.h"

F32_KERNELS(c_wide, LEDGE_RUNG_C);
