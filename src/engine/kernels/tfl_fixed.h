/* SPDX-License-Identifier: Apache-2.0 */
/* tfl_fixed.h -- TFLite's fixed-point arithmetic, bit for bit.
 *
 * A real factor is an int32 multiplier m in [2^30, 2^31) and a shift s: factor = m * 2^(s - 31).
 * Applying it rounds twice: the doubling high product to nearest, then the right shift to nearest
 * with ties away from zero. Source: B. Jacob et al., "Quantization and Training of Neural Networks
 * for Efficient Integer-Arithmetic-Only Inference" (2018), section 2.2, and the behaviour of the
 * TFLite reference kernels.
 */
#ifndef LEDGE_ENGINE_KERNELS_TFL_FIXED_H
#define LEDGE_ENGINE_KERNELS_TFL_FIXED_H

#include <stdint.h>

struct ledge_tfl_factor {
    int32_t multiplier;
    int32_t shift; /* -31 .. 30; positive: to the left */
};

/* round(a * b / 2^31), halves up; saturates for INT32_MIN squared. */
static inline int32_t ledge_tfl_high_mul(int32_t a, int32_t b)
{
    int64_t high = ((int64_t)a * b + ((int64_t)1 << 30)) >> 31;
    return high > INT32_MAX ? INT32_MAX : (int32_t)high;
}

/* round(x / 2^n), ties away from zero; n 0 .. 31. */
static inline int32_t ledge_tfl_shift_right(int32_t x, int32_t n)
{
    int32_t mask = (int32_t)(((int64_t)1 << n) - 1);
    int32_t remainder = x & mask;
    int32_t threshold = (mask >> 1) + (x < 0 ? 1 : 0);
    return (x >> n) + (remainder > threshold ? 1 : 0);
}

/* x * 2^n modulo 2^32. */
static inline int32_t ledge_tfl_shift_left(int32_t x, int32_t n)
{
    return (int32_t)((uint32_t)x << n);
}

static inline int32_t ledge_tfl_scale(int32_t x, struct ledge_tfl_factor f)
{
    int32_t left = f.shift > 0 ? f.shift : 0;
    int32_t right = f.shift > 0 ? 0 : -f.shift;
    return ledge_tfl_shift_right(ledge_tfl_high_mul(ledge_tfl_shift_left(x, left), f.multiplier),
                                 right);
}

static inline int32_t ledge_tfl_clamp(int32_t x, int32_t low, int32_t high)
{
    x = x < low ? low : x;
    return x > high ? high : x;
}

static inline int32_t ledge_tfl_add(int32_t a, int32_t b)
{
    return (int32_t)((uint32_t)a + (uint32_t)b);
}

#endif
