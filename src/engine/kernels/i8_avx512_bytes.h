/* SPDX-License-Identifier: Apache-2.0 */
/* i8_avx512_bytes.h -- the 8-bit loops that both AVX-512 rungs have from i8_avx512_bytes.c, and
 * their names in i8.tmpl.h. */
#ifndef LEDGE_ENGINE_KERNELS_I8_AVX512_BYTES_H
#define LEDGE_ENGINE_KERNELS_I8_AVX512_BYTES_H

#include "engine/kernels/i8.h"

void ledge_i8_avx512_finish(const struct ledge_finish_i8 *f);
bool ledge_i8_avx512_sum_agrees(const struct ledge_sum_i8 *sum, const struct ledge_epilogue_i8 *own,
                                int32_t low, int32_t high, int32_t *at);
void ledge_i8_avx512_binary(const struct ledge_binary_i8 *p, const uint8_t *a, const uint8_t *b,
                            int64_t n, uint8_t *y);
void ledge_i8_avx512_fixed_binary(const struct ledge_fixed_binary_i8 *p, const uint8_t *a,
                                  const uint8_t *b, int64_t n, uint8_t *y);
void ledge_i8_avx512_quantize(const float *x, int64_t n, float scale,
                              const struct ledge_range_i8 *out, uint8_t *y);
void ledge_i8_avx512_add_pixels(const uint8_t *x, int64_t pixels, int64_t step, int64_t n,
                                uint8_t flip, int32_t *sums);

#define FINISH       ledge_i8_avx512_finish
#define SUM_AGREES   ledge_i8_avx512_sum_agrees
#define BINARY       ledge_i8_avx512_binary
#define FIXED_BINARY ledge_i8_avx512_fixed_binary
#define QUANTIZE     ledge_i8_avx512_quantize
#define ADD_PIXELS   ledge_i8_avx512_add_pixels

#endif
