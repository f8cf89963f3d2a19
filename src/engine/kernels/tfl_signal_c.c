/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/kernels/tfl_signal.h"

#include <string.h>

#include "base/status.h"

static int32_t saturate_16(int32_t x)
{
    return x < INT16_MIN ? INT16_MIN : x > INT16_MAX ? INT16_MAX : x;
}

/* Number of the highest bit set, from 1; 0 for 0. */
static int32_t top_bit(uint64_t x)
{
    int32_t n = 0;
    for (; x != 0; x >>= 1) {
        n++;
    }
    return n;
}

enum ledge_status ledge_signal_window_c(const struct ledge_kernel_call *call)
{
    const struct ledge_signal_window_params *p = call->params;
    const int16_t *x = call->in[0]->data, *w = call->in[1]->data;
    int64_t count = ledge_view_count(call->in[0]);
    for (int64_t i = 0; i < count; i++) {
        ((int16_t *)call->out[0]->data)[i] =
            (int16_t)saturate_16(((int32_t)x[i] * w[i % p->n]) >> p->shift);
    }
    return LEDGE_OK;
}

enum ledge_status ledge_signal_auto_scale_c(const struct ledge_kernel_call *call)
{
    const int16_t *x = call->in[0]->data;
    int64_t count = ledge_view_count(call->in[0]);
    int16_t largest = 0; /* in 16 bits: the magnitude of -32768 is -32768 */
    for (int64_t i = 0; i < count; i++) {
        int32_t size = x[i] > largest ? x[i] : -x[i];
        largest = size > largest ? (int16_t)(uint16_t)size : largest;
    }
    int32_t shift = 15 - top_bit((uint32_t)largest);
    shift = shift > 0 ? shift : 0;
    for (int64_t i = 0; i < count && call->out[0] != NULL; i++) {
        ((int16_t *)call->out[0]->data)[i] = (int16_t)(uint16_t)((uint32_t)x[i] << shift);
    }
    if (call->out[1] != NULL) {
        *(int32_t *)call->out[1]->data = shift;
    }
    return LEDGE_OK;
}

enum ledge_status ledge_signal_energy_c(const struct ledge_kernel_call *call)
{
    const struct ledge_signal_energy_params *p = call->params;
    const int16_t *x = call->in[0]->data;
    uint32_t *y = call->out[0]->data;
    memset(y, 0, ledge_view_bytes(call->out[0]));
    for (int64_t i = p->first; i < p->end; i++) {
        int32_t re = x[2 * i], im = x[2 * i + 1];
        y[i] = (uint32_t)(re * re) + (uint32_t)(im * im);
    }
    return LEDGE_OK;
}

enum ledge_status ledge_signal_filter_bank_c(const struct ledge_kernel_call *call)
{
    const uint32_t *x = call->in[0]->data;
    const int16_t *weights = call->in[1]->data, *unweights = call->in[2]->data;
    const int16_t *frequency = call->in[3]->data, *first = call->in[4]->data;
    const int16_t *width = call->in[5]->data;
    uint64_t *y = call->out[0]->data, carry = 0;
    int64_t channels = ledge_view_count(call->out[0]);
    for (int64_t c = 0; c <= channels; c++) {
        uint64_t sum = carry;
        carry = 0;
        for (int64_t i = 0; i < width[c]; i++) {
            uint64_t energy = x[frequency[c] + i];
            sum += (uint64_t)(int64_t)weights[first[c] + i] * energy;
            carry += (uint64_t)(int64_t)unweights[first[c] + i] * energy;
        }
        if (c > 0) { /* what comes before the first channel is nobody's */
            y[c - 1] = sum;
        }
    }
    return LEDGE_OK;
}

/* The whole root digit by digit, then rounded; one less at the very top, where it would not fit. */
static uint32_t root(uint64_t x)
{
    uint32_t most = x >> 32 == 0 ? 0xffff : 0xffffffff;
    uint64_t result = 0;
    for (uint64_t bit = (uint64_t)1 << 62; bit != 0; bit >>= 2) {
        uint64_t trial = result + bit;
        result >>= 1;
        if (x >= trial) {
            x -= trial;
            result += bit;
        }
    }
    return (uint32_t)(x > result && result != most ? result + 1 : result);
}

enum ledge_status ledge_signal_square_root_c(const struct ledge_kernel_call *call)
{
    const uint64_t *x = call->in[0]->data;
    int32_t bits = *(const int32_t *)call->in[1]->data;
    int64_t count = ledge_view_count(call->out[0]);
    if (bits < 0 || bits > 31) {
        return ledge_fail(call->err, LEDGE_ERR_RANGE, "a shift by %d", (int)bits);
    }
    for (int64_t i = 0; i < count; i++) {
        ((uint32_t *)call->out[0]->data)[i] = root(x[i]) >> bits;
    }
    return LEDGE_OK;
}

enum ledge_status ledge_signal_subtract_c(const struct ledge_kernel_call *call)
{
    const struct ledge_signal_subtract_params *p = call->params;
    const uint32_t *x = call->in[0]->data, *old = call->in[1]->data;
    uint32_t *y = call->out[0]->data, *noise = call->out[1]->data;
    int64_t count = ledge_view_count(call->in[0]);
    for (int64_t i = 0; i < count; i++) {
        uint32_t scaled = x[i] << p->smoothing_bits;
        uint64_t blend = (uint64_t)scaled * p->smoothing[i & 1] + (uint64_t)old[i] * p->rest[i & 1];
        uint32_t estimate = (uint32_t)(blend >> p->bits);
        uint32_t taken = estimate < scaled ? estimate : scaled;
        uint32_t left = (scaled - taken) >> p->smoothing_bits;
        uint32_t least = (uint32_t)(((uint64_t)x[i] * p->least) >> p->bits);
        y[i] = left > least ? left : least;
        noise[i] = p->clamping ? taken : estimate;
    }
    return LEDGE_OK;
}

/* A piecewise parabola over the bits of x: three numbers of the table for each, from 4 n - 6. */
static int16_t gain_of(uint32_t x, const int16_t *table)
{
    if (x <= 2) {
        return table[x];
    }
    int32_t bits = top_bit(x);
    const int16_t *at = table + 4 * bits - 6;
    int32_t part = (int32_t)((bits < 11 ? x << (11 - bits) : x >> (bits - 11)) & 0x3ff);
    uint32_t sum = (uint32_t)(((int32_t)at[2] * part) >> 5) + ((uint32_t)(int32_t)at[1] << 5);
    sum = sum * (uint32_t)part + (1u << 14);
    return (int16_t)(uint16_t)(uint32_t)(((int32_t)sum >> 15) + at[0]);
}

/* x^2 / 4 below 2, x - 1 above; x with 12 fraction bits, the result with 6. */
static uint32_t shrink(uint32_t x)
{
    return x < 2u << 12 ? (x * x) >> 20 : (x >> 6) - (1u << 6);
}

enum ledge_status ledge_signal_pcan_c(const struct ledge_kernel_call *call)
{
    const struct ledge_signal_pcan_params *p = call->params;
    const uint32_t *x = call->in[0]->data, *noise = call->in[1]->data;
    int64_t count = ledge_view_count(call->out[0]);
    for (int64_t i = 0; i < count; i++) {
        uint32_t gain = (uint32_t)(int32_t)gain_of(noise[i], call->in[2]->data);
        uint32_t ratio = (uint32_t)(((uint64_t)x[i] * gain) >> p->shift);
        ((uint32_t *)call->out[0]->data)[i] = shrink(ratio);
    }
    return LEDGE_OK;
}

/* log2(x) with 16 fraction bits: the highest bit, then a table of 128 segments. */
static uint32_t log2_of(const struct ledge_signal_log_params *p, uint32_t x)
{
    int32_t whole = top_bit(x) - 1;
    uint32_t part = x - (1u << whole);
    part = whole < 16 ? part << (16 - whole) : part >> (whole - 16);
    uint32_t segment = part >> 9;
    int32_t low = p->table[segment], high = p->table[segment + 1];
    int32_t more = ((high - low) * (int32_t)(part - (segment << 9))) >> 16;
    return ((uint32_t)whole << 16) + part + (uint32_t)(low + more);
}

enum ledge_status ledge_signal_log_c(const struct ledge_kernel_call *call)
{
    const struct ledge_signal_log_params *p = call->params;
    const uint64_t ln2 = 45426; /* 16 fraction bits */
    const uint32_t half = 1u << 15;
    const uint32_t *x = call->in[0]->data;
    int64_t count = ledge_view_count(call->out[0]);
    for (int64_t i = 0; i < count; i++) {
        uint32_t scaled = x[i] << p->bits;
        uint32_t y = 0;
        if (scaled > 1) {
            uint32_t natural = (uint32_t)((ln2 * log2_of(p, scaled) + half) >> 16);
            y = (p->scale * natural + half) >> 16;
        }
        ((int16_t *)call->out[0]->data)[i] = (int16_t)(y < INT16_MAX ? y : INT16_MAX);
    }
    return LEDGE_OK;
}
