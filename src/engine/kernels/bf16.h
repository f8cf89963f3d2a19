/* SPDX-License-Identifier: Apache-2.0 */
/* bf16.h -- weights held as bf16 (the upper half of a float) and widened where they are used: half
 * the bytes from memory, f32 products and sums. A block of weights is widened into the scratch
 * memory of a thread and serves all pixels (rows) of a band from the caches. */
#ifndef LEDGE_ENGINE_KERNELS_BF16_H
#define LEDGE_ENGINE_KERNELS_BF16_H

#include <stdint.h>

/* Fewer weights than this stay f32, as the caches hold them; of products with few rows, which use
 * each weight but a few times, more do. */
enum { LEDGE_BF16_LEAST = 1 << 16, LEDGE_BF16_FEW_ROWS = 8, LEDGE_BF16_LEAST_FEW = 1 << 19 };

/* Round half to even; NaN stays NaN. */
void ledge_bf16_narrow(const float *restrict from, int64_t n, uint16_t *restrict to);
void ledge_bf16_widen(const uint16_t *restrict from, int64_t n, float *restrict to);

#endif
