/* SPDX-License-Identifier: Apache-2.0 */
/* i8_avx512_bytes.c -- the 8-bit loops that are the same with and without VNNI. */
#if defined(__x86_64__)
#include "engine/kernels/i8_avx512_bytes.h"
#include "engine/kernels/simd_avx512_int.h"

#include "engine/kernels/i8_bytes.tmpl.h"

void ledge_i8_avx512_finish(const struct ledge_finish_i8 *f)
{
    run_finish_or_sum(f);
}

bool ledge_i8_avx512_sum_agrees(const struct ledge_sum_i8 *sum, const struct ledge_epilogue_i8 *own,
                                int32_t low, int32_t high, int32_t *at)
{
    return run_sum_agrees(sum, own, low, high, at);
}

void ledge_i8_avx512_binary(const struct ledge_binary_i8 *p, const uint8_t *a, const uint8_t *b,
                            int64_t n, uint8_t *y)
{
    run_binary(p, a, b, n, y);
}

void ledge_i8_avx512_fixed_binary(const struct ledge_fixed_binary_i8 *p, const uint8_t *a,
                                  const uint8_t *b, int64_t n, uint8_t *y)
{
    run_fixed_binary(p, a, b, n, y);
}

void ledge_i8_avx512_quantize(const float *x, int64_t n, float scale,
                              const struct ledge_range_i8 *out, uint8_t *y)
{
    run_quantize(x, n, scale, out, y);
}

void ledge_i8_avx512_add_pixels(const uint8_t *x, int64_t pixels, int64_t step, int64_t n,
                                uint8_t flip, int32_t *sums)
{
    run_add_pixels(x, pixels, step, n, flip, sums);
}
#else
typedef int ledge_i8_avx512_bytes_empty;
#endif
