/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/kernels/tfl_activation.h"

/* logistic with 16 + bits fraction bits, 2^bits steps of x to an entry; UINT32_MAX past the table.
 */
static uint32_t between(const uint16_t *table, uint32_t x, int32_t bits)
{
    uint32_t at = x >> bits;
    if (at >= 255) {
        return UINT32_MAX;
    }
    uint32_t low = table[at], high = table[at + 1];
    return (low << bits) + (x & ((1u << bits) - 1)) * (high - low);
}

static int16_t logistic(const uint16_t *table, int32_t x)
{
    uint32_t y = between(table, (uint32_t)(x < 0 ? -x : x), 9);
    y = y == UINT32_MAX ? 0x7fffu << 10 : y;
    y = x >= 0 ? y + (1u << 9) : (1u << 25) - y + (1u << 9) - 1;
    return (int16_t)(y >> 10);
}

/* 2 logistic(2 x) - 1 */
static int16_t hyperbolic(const uint16_t *table, int32_t x)
{
    uint32_t wide = between(table, (uint32_t)(x < 0 ? -x : x), 8);
    int32_t y = wide == UINT32_MAX ? 0xffff << 8 : (int32_t)wide;
    y = x >= 0 ? y - (1 << 23) + (1 << 7) : -y + (1 << 23) + (1 << 7) - 1;
    return (int16_t)(y >> 8);
}

enum ledge_status ledge_tfl_sigmoid_i16_c(const struct ledge_kernel_call *call)
{
    const struct ledge_tfl_sigmoid_params *p = call->params;
    const int16_t *x = call->in[0]->data;
    int16_t *y = call->out[0]->data;
    int32_t half = p->shift > 0 ? 1 << (p->shift - 1) : 0;
    int64_t n = ledge_view_count(call->out[0]);
    for (int64_t i = 0; i < n; i++) {
        int32_t scaled = (x[i] * p->multiplier + half) >> p->shift;
        y[i] = p->tanh ? hyperbolic(p->table, scaled) : logistic(p->table, scaled);
    }
    return LEDGE_OK;
}

static int32_t look_up(const int16_t *table, int32_t x)
{
    x = ledge_tfl_clamp(x, INT16_MIN, INT16_MAX);
    const int16_t *at = table + 256 + (x >> 7);
    return (int16_t)(at[0] + (((at[1] - at[0]) * (x & 0x7f) + 64) >> 7));
}

static void softmax_row(const struct ledge_tfl_softmax16_params *p, const int16_t *x, int16_t *y)
{
    int32_t largest = INT16_MIN, zeros = 0;
    uint32_t sum = 0;
    for (int64_t i = 0; i < p->depth; i++) {
        largest = x[i] > largest ? x[i] : largest;
    }
    for (int64_t i = 0; i < p->depth; i++) {
        int32_t scaled = ledge_tfl_scale(x[i] - largest, p->factor);
        y[i] = (int16_t)look_up(p->exponential, ledge_tfl_add(scaled, 32767));
        sum += (uint32_t)y[i];
    }
    while (zeros < 31 && (sum << zeros & 0x80000000u) == 0) {
        zeros++;
    }
    uint64_t top = ((uint64_t)sum << zeros) / 2; /* the highest bit is bit 30 */
    int32_t scale = look_up(p->reciprocal, (int32_t)((top + (1 << 13)) >> 14) - 98304);
    int32_t right = 31 - zeros;
    right = right > 1 ? right : 1;
    for (int64_t i = 0; i < p->depth; i++) {
        int64_t product = (int64_t)y[i] * scale + ((int64_t)1 << (right - 1));
        y[i] = (int16_t)ledge_tfl_clamp((int32_t)(product >> right), 0, INT16_MAX);
    }
}

enum ledge_status ledge_tfl_softmax_i16_c(const struct ledge_kernel_call *call)
{
    const struct ledge_tfl_softmax16_params *p = call->params;
    int64_t n = p->depth > 0 ? ledge_view_count(call->out[0]) / p->depth : 0;
    for (int64_t i = 0; i < n; i++) {
        softmax_row(p, (const int16_t *)call->in[0]->data + i * p->depth,
                    (int16_t *)call->out[0]->data + i * p->depth);
    }
    return LEDGE_OK;
}
