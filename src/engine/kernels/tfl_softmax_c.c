/* SPDX-License-Identifier: Apache-2.0 */
/* tfl_softmax_c.c -- Softmax in fixed point. Qa.b is a signed number of a integer and b fraction
 * bits.
 *
 * exp(x), x <= 0 in Q5.26: x = q + r with q a negative multiple of 1/4 and -1/4 <= r < 0; exp(r) by
 * a Taylor polynomial of degree 4 around -1/8, times exp(-2^i) for each bit i of -q. 1/s by three
 * Newton-Raphson steps. Source: gemmlowp's fixed-point library is the definition that TFLite
 * follows; constants are round(value * 2^b).
 */
#include "engine/kernels/tfl.h"

enum { DIFF_FRACTION = 26, ACC_INTEGER = 12 };

static int32_t saturate_left(int32_t x, int32_t n)
{
    int64_t wide = (int64_t)x * ((int64_t)1 << n);
    return wide > INT32_MAX ? INT32_MAX : wide < INT32_MIN ? INT32_MIN : (int32_t)wide;
}

/* exp(x) for x in [-1/4, 0), both Q0.31. */
static int32_t exp_quarter(int32_t x)
{
    const int32_t exp_eighth = 1895147668; /* exp(-1/8) */
    const int32_t third = 715827883;       /* 1/3 */
    int32_t y = x + (1 << 28);             /* x + 1/8 */
    int32_t y2 = ledge_tfl_high_mul(y, y);
    int32_t y3 = ledge_tfl_high_mul(y2, y);
    int32_t y4 = ledge_tfl_high_mul(y2, y2);
    int32_t tail = ledge_tfl_high_mul(ledge_tfl_shift_right(y4, 2) + y3, third) + y2;
    int32_t sum = y + ledge_tfl_shift_right(tail, 1);
    return exp_eighth + ledge_tfl_high_mul(exp_eighth, sum);
}

/* exp(x) in Q0.31 for x <= 0 in Q5.26. */
static int32_t exp_negative(int32_t x)
{
    /* exp(-2^i) in Q0.31 for i = -2 .. 4 */
    static const int32_t powers[7] = {1672461947, 1302514674, 790015084, 290630308,
                                      39332535,   720401,     242};
    const int32_t quarter = 1 << (DIFF_FRACTION - 2);
    int32_t remainder = (x & (quarter - 1)) - quarter;
    int32_t result = exp_quarter(saturate_left(remainder, 5));
    int32_t bits = remainder - x;
    for (int i = 0; i < 7; i++) {
        if ((bits & (1 << (DIFF_FRACTION - 2 + i))) != 0) {
            result = ledge_tfl_high_mul(result, powers[i]);
        }
    }
    return x == 0 ? INT32_MAX : result;
}

/* 1 / (1 + x) in Q0.31 for x in [0, 1] in Q0.31. */
static int32_t reciprocal_one_plus(int32_t x)
{
    const int32_t c48_17 = 1515870810;       /* 48/17 in Q2.29 */
    const int32_t minus_32_17 = -1010580540; /* -32/17 in Q2.29 */
    int64_t sum = (int64_t)x + INT32_MAX;
    int32_t half = (int32_t)((sum + 1) / 2);
    int32_t y = c48_17 + ledge_tfl_high_mul(half, minus_32_17);
    for (int i = 0; i < 3; i++) {
        int32_t gap = (1 << 29) - ledge_tfl_high_mul(half, y);
        y += saturate_left(ledge_tfl_high_mul(y, gap), 2);
    }
    return saturate_left(y, 1);
}

static int32_t leading_zeros(uint32_t x)
{
    int32_t n = 0;
    while (n < 32 && (x & 0x80000000u) == 0) {
        x <<= 1;
        n++;
    }
    return n;
}

/* exp of the difference to the row's maximum. */
static int32_t exp_of(const struct ledge_tfl_softmax_params *p, int32_t diff)
{
    int32_t scaled =
        ledge_tfl_high_mul(ledge_tfl_shift_left(diff, p->factor.shift), p->factor.multiplier);
    return exp_negative(scaled);
}

static void row(void *arg, int32_t index, int32_t worker)
{
    (void)worker;
    const struct ledge_kernel_call *call = arg;
    const struct ledge_tfl_softmax_params *p = call->params;
    const uint8_t *x = (const uint8_t *)call->in[0]->data + (int64_t)index * p->depth;
    int64_t first = (int64_t)index * p->depth;
    int32_t lowest = -(1 << (p->bits - 1));
    int32_t largest = -128;
    for (int64_t i = 0; i < p->depth; i++) {
        int32_t value = ledge_tfl_load(x, i, p->flip);
        largest = value > largest ? value : largest;
    }
    int32_t sum = 0;
    for (int64_t i = 0; i < p->depth; i++) {
        int32_t diff = ledge_tfl_load(x, i, p->flip) - largest;
        if (diff >= p->diff_min) {
            sum = ledge_tfl_add(sum, ledge_tfl_shift_right(exp_of(p, diff), ACC_INTEGER));
        }
    }
    int32_t zeros = leading_zeros((uint32_t)sum);
    uint32_t fraction = zeros < 32 ? (uint32_t)sum << zeros : 0;
    int32_t scale = reciprocal_one_plus((int32_t)(fraction - 0x80000000u));
    int32_t shift = ACC_INTEGER - zeros + 31 - p->bits;
    shift = ledge_tfl_clamp(shift, 0, 31);
    for (int64_t i = 0; i < p->depth; i++) {
        int32_t diff = ledge_tfl_load(x, i, p->flip) - largest;
        int32_t value = lowest;
        if (diff >= p->diff_min) {
            value += ledge_tfl_shift_right(ledge_tfl_high_mul(scale, exp_of(p, diff)), shift);
        }
        value = ledge_tfl_clamp(value, lowest, -1 - lowest);
        if (p->bits == 16) {
            ((int16_t *)call->out[0]->data)[first + i] = (int16_t)value;
        } else {
            ((uint8_t *)call->out[0]->data)[first + i] = (uint8_t)((uint8_t)value ^ p->flip);
        }
    }
}

enum ledge_status ledge_tfl_softmax_c(const struct ledge_kernel_call *call)
{
    const struct ledge_tfl_softmax_params *p = call->params;
    struct ledge_kernel_call copy = *call;
    if (p->depth > 0) {
        ledge_pool_run(call->pool, (int32_t)(ledge_view_count(call->out[0]) / p->depth), row,
                       &copy);
    }
    return LEDGE_OK;
}
