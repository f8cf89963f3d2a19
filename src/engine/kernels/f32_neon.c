/* SPDX-License-Identifier: Apache-2.0 */
/* f32_neon.c -- the f32 loops for aarch64. */
#if defined(__aarch64__)
#include "engine/kernels/simd_neon.h"

#define ROW_COUNTS ROW_COUNTS_14
#include "engine/kernels/f32.tmpl.h"

F32_KERNELS(neon, LEDGE_RUNG_NEON);
#else
typedef int ledge_f32_neon_empty;
#endif
