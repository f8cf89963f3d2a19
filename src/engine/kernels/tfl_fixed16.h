/* SPDX-License-Identifier: Apache-2.0 */
/* tfl_fixed16.h -- fixed point in 16 bits and products in 64, bit for bit as TFLite has them.
 *
 * Qn is a signed 16-bit number of n integer bits and 15 - n fraction bits. Exponential, reciprocal,
 * logistic and tanh are those of tfl_softmax_c.c in half the bits (gemmlowp's fixed-point library
 * is the definition); constants are the 32-bit ones, rounded. Arithmetic is modulo 2^16 where the
 * definition's is.
 */
#ifndef LEDGE_ENGINE_KERNELS_TFL_FIXED16_H
#define LEDGE_ENGINE_KERNELS_TFL_FIXED16_H

#include "engine/kernels/tfl_fixed.h"

static inline int16_t ledge_q_clamp(int32_t x)
{
    return (int16_t)ledge_tfl_clamp(x, INT16_MIN, INT16_MAX);
}

/* Low 16 bits. */
static inline int16_t ledge_q_wrap(int32_t x)
{
    return (int16_t)(uint16_t)(uint32_t)x;
}

/* round(a * b / 2^15), halves up; saturates for INT16_MIN squared. */
static inline int16_t ledge_q_mul(int16_t a, int16_t b)
{
    return ledge_q_clamp(((int32_t)a * b + (1 << 14)) >> 15);
}

static inline int16_t ledge_q_left(int16_t x, int32_t n)
{
    return ledge_q_clamp(x * (1 << n));
}

/* exp(x) for x in [-1/4, 0), both Q0, around -1/8. */
static inline int16_t ledge_q_exp_quarter(int16_t x)
{
    int16_t y = ledge_q_wrap(x + (1 << 12));
    int16_t y2 = ledge_q_mul(y, y);
    int16_t y3 = ledge_q_mul(y2, y);
    int16_t y4 = ledge_q_mul(y2, y2);
    int16_t sum = ledge_q_wrap(ledge_tfl_shift_right(y4, 2) + y3);
    int16_t tail = ledge_q_wrap(ledge_q_mul(sum, 10923) + y2); /* 1/3 */
    int16_t all = ledge_q_wrap(y + ledge_tfl_shift_right(tail, 1));
    return ledge_q_clamp(28918 + ledge_q_mul(28918, all)); /* exp(-1/8) */
}

/* exp(x) in Q0 for x <= 0 in Qn; n 0 .. 7. */
static inline int16_t ledge_q_exp(int16_t x, int32_t n)
{
    /* exp(-2^i) in Q0 for i = -2 .. 4 */
    static const int16_t powers[7] = {25520, 19875, 12055, 4435, 600, 11, 0};
    int32_t quarter = 1 << (13 - n);
    int16_t part = ledge_q_wrap((x & (quarter - 1)) - quarter);
    int16_t result = ledge_q_exp_quarter(ledge_q_left(part, n));
    int32_t rest = ledge_q_wrap(part - x);
    for (int32_t i = -2; i < n && i < 5; i++) {
        if ((rest & (1 << (15 - n + i))) != 0) {
            result = ledge_q_mul(result, powers[i + 2]);
        }
    }
    return x == 0 ? INT16_MAX : result;
}

/* 2 / (1 + x) in Q2, halved by the reader, for x in [0, 1] in Q0: three Newton-Raphson steps. */
static inline int16_t ledge_q_reciprocal(int16_t x)
{
    int16_t half = (int16_t)((x + 32768) / 2);
    int16_t y = ledge_q_wrap(23130 + ledge_q_mul(half, -15420)); /* 48/17, -32/17 */
    for (int i = 0; i < 3; i++) {
        int16_t gap = ledge_q_wrap(8192 - ledge_q_mul(half, y));
        y = ledge_q_wrap(y + ledge_q_left(ledge_q_mul(y, gap), 2));
    }
    return y;
}

/* 1 / (1 + exp(-x)) in Q0 for x in Qn. */
static inline int16_t ledge_q_logistic(int16_t x, int32_t n)
{
    int16_t minus = x > 0 ? ledge_q_wrap(-x) : x;
    int16_t positive = ledge_q_left(ledge_q_reciprocal(ledge_q_exp(minus, n)), 1);
    return x == 0 ? 1 << 14 : x > 0 ? positive : ledge_q_wrap(INT16_MAX - positive);
}

/* tanh(x) in Q0 for x in Qn; n 0 .. 6: (1 - exp(-2x)) / (1 + exp(-2x)). */
static inline int16_t ledge_q_tanh(int16_t x, int32_t n)
{
    int16_t minus = x < 0 ? x : ledge_q_wrap(-x);
    int16_t y = ledge_q_left(ledge_q_wrap(ledge_q_reciprocal(ledge_q_exp(minus, n + 1)) - 8192), 2);
    return x == 0 ? 0 : x < 0 ? ledge_q_wrap(-y) : y;
}

/* The factor applied to a 64-bit sum: 16 bits of the multiplier, one rounding, halves up. Modulo
 * 2^64; shift -31 .. 7. */
static inline int32_t ledge_tfl_scale_64(int64_t x, struct ledge_tfl_factor f)
{
    int64_t multiplier =
        f.multiplier < 0x7fff0000 ? ((int64_t)f.multiplier + (1 << 15)) >> 16 : 0x7fff;
    int32_t right = 15 - f.shift;
    uint64_t product = (uint64_t)x * (uint64_t)multiplier + ((uint64_t)1 << (right - 1));
    return (int32_t)(uint32_t)(uint64_t)((int64_t)product >> right);
}

#endif
