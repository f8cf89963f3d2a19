/* SPDX-License-Identifier: Apache-2.0 */
/* tfl_lstm_c.c -- LSTM over a sequence, f32 and TFLite's integer one (8-bit weights, 16-bit cell).
 *
 *   i, f, o = logistic(W x + R h + b),  g = tanh(W x + R h + b)
 *   c = clip(f c + i g),  h = o tanh(c)
 *
 * f32, where the node has them: + p c in the gates (peepholes: F. Gers and J. Schmidhuber 2000; o
 * sees the new c), i = 1 - f (K. Greff et al. 2015), h = clip(P (o tanh(c)) + b) (H. Sak et al.
 * 2014). Source: S. Hochreiter and J. Schmidhuber, "Long Short-Term Memory" (1997), with a forget
 * gate.
 */
#include <math.h>
#include <string.h>

#include "engine/kernels/real.h"
#include "engine/kernels/tfl_fixed16.h"
#include "engine/kernels/tfl_recurrent.h"

enum { INPUT, FORGET, CELL, OUTPUT };

/* Row of x or y at step t of batch b, in rows. */
static int64_t row_of(const struct ledge_tfl_lstm_params *p, int64_t t, int64_t b)
{
    return p->time_major ? t * p->batch + b : b * p->steps + t;
}

/* Data of an input that may be absent, or not be listed. */
static const float *more(const struct ledge_kernel_call *call, int32_t i)
{
    return i < call->n_in && call->in[i] != NULL ? call->in[i]->data : NULL;
}

static void gate_f32(const struct ledge_kernel_call *call, int g, const float *x, const float *h,
                     const float *c, float *gate)
{
    static const int peepholes[] = {0, 1, -1, 2};
    const float *peephole =
        peepholes[g] >= 0 ? more(call, LEDGE_LSTM_PEEPHOLE + peepholes[g]) : NULL;
    const struct ledge_tfl_lstm_params *p = call->params;
    const float *w = call->in[LEDGE_LSTM_W + g]->data;
    const float *r = call->in[LEDGE_LSTM_R + g]->data;
    const float *bias = call->in[LEDGE_LSTM_B + g]->data;
    for (int64_t u = 0; u < p->units; u++) {
        float sum = bias[u];
        for (int64_t i = 0; i < p->in; i++) {
            sum += w[u * p->in + i] * x[i];
        }
        for (int64_t i = 0; i < p->hidden; i++) {
            sum += r[u * p->hidden + i] * h[i];
        }
        sum += peephole != NULL ? peephole[u] * c[u] : 0;
        gate[u] = g == CELL ? ledge_tanh_f32(sum) : 1.0f / (1.0f + ledge_exp_f32(-sum));
    }
}

static void project_f32(const struct ledge_kernel_call *call, const float *x, float *h)
{
    const struct ledge_tfl_lstm_params *p = call->params;
    const float *w = more(call, LEDGE_LSTM_PROJECTION),
                *bias = more(call, LEDGE_LSTM_PROJECTION + 1);
    for (int64_t k = 0; k < p->hidden; k++) {
        float sum = bias != NULL ? bias[k] : 0;
        for (int64_t u = 0; w != NULL && u < p->units; u++) {
            sum += w[k * p->units + u] * x[u];
        }
        h[k] = w == NULL                ? x[k]
               : p->projection_clip > 0 ? fminf(fmaxf(sum, -p->projection_clip), p->projection_clip)
                                        : sum;
    }
}

/* One step of one batch: gates is 5 units of scratch. */
static void step_f32(const struct ledge_kernel_call *call, const float *x, float *h, float *c,
                     float *gates)
{
    const struct ledge_tfl_lstm_params *p = call->params;
    float *in = gates, *forget = in + p->units, *cell = forget + p->units, *out = cell + p->units;
    bool coupled = call->in[LEDGE_LSTM_W] == NULL;
    if (!coupled) {
        gate_f32(call, INPUT, x, h, c, in);
    }
    gate_f32(call, FORGET, x, h, c, forget);
    gate_f32(call, CELL, x, h, c, cell);
    for (int64_t u = 0; u < p->units; u++) {
        c[u] = forget[u] * c[u] + (coupled ? 1 - forget[u] : in[u]) * cell[u];
        if (p->cell_clip > 0) {
            c[u] = fminf(fmaxf(c[u], -p->cell_clip), p->cell_clip);
        }
    }
    gate_f32(call, OUTPUT, x, h, c, out);
    float *made = out + p->units;
    for (int64_t u = 0; u < p->units; u++) {
        made[u] = out[u] * ledge_tanh_f32(c[u]);
    }
    project_f32(call, made, h);
}

enum ledge_status ledge_tfl_lstm_f32_c(const struct ledge_kernel_call *call)
{
    const struct ledge_tfl_lstm_params *p = call->params;
    float *h = call->out[1]->data, *c = call->out[2]->data;
    memcpy(h, call->in[LEDGE_LSTM_H]->data, (size_t)(p->batch * p->hidden) * sizeof *h);
    memcpy(c, call->in[LEDGE_LSTM_C]->data, (size_t)(p->batch * p->units) * sizeof *c);
    for (int64_t b = 0; b < p->batch; b++, h += p->hidden, c += p->units) {
        for (int64_t t = 0; t < p->steps; t++) {
            int64_t row = row_of(p, t, b);
            step_f32(call, (const float *)call->in[LEDGE_LSTM_X]->data + row * p->in, h, c,
                     call->scratch);
            memcpy((float *)call->out[0]->data + row * p->hidden, h, (size_t)p->hidden * sizeof *h);
        }
    }
    return LEDGE_OK;
}

/* Both products are rounded to Q3 on their own, then added. */
static void gate_i8(const struct ledge_kernel_call *call, int g, const int8_t *x, const int8_t *h,
                    int16_t *gate)
{
    const struct ledge_tfl_lstm_params *p = call->params;
    const int8_t *w = call->in[LEDGE_LSTM_W + g]->data;
    const int8_t *r = call->in[LEDGE_LSTM_R + g]->data;
    for (int64_t u = 0; u < p->units; u++) {
        int32_t of_x = p->x_bias[g][u], of_h = p->h_bias[g][u];
        for (int64_t i = 0; i < p->in; i++) {
            of_x = ledge_tfl_add(of_x, w[u * p->in + i] * x[i]);
        }
        for (int64_t i = 0; i < p->units; i++) {
            of_h = ledge_tfl_add(of_h, r[u * p->units + i] * h[i]);
        }
        int16_t sum = ledge_q_clamp(ledge_tfl_scale(of_x, p->x_factor[g]));
        sum = ledge_q_clamp(ledge_tfl_add(ledge_tfl_scale(of_h, p->h_factor[g]), sum));
        gate[u] = g == CELL ? ledge_q_tanh(sum, 3) : ledge_q_logistic(sum, 3);
    }
}

static void cell_i8(const struct ledge_tfl_lstm_params *p, const int16_t *gates, int16_t *c,
                    int8_t *h)
{
    for (int64_t u = 0; u < p->units; u++) {
        int32_t kept = ledge_tfl_shift_right(gates[FORGET * p->units + u] * c[u], 15);
        int32_t added = ledge_tfl_shift_right(
            gates[INPUT * p->units + u] * gates[CELL * p->units + u], 30 + p->cell_shift);
        c[u] = ledge_q_clamp(ledge_q_wrap(kept) + ledge_q_wrap(added));
        if (p->quantised_clip > 0) {
            c[u] = (int16_t)ledge_tfl_clamp(c[u], -p->quantised_clip, p->quantised_clip);
        }
        int32_t y = gates[OUTPUT * p->units + u] * ledge_q_tanh(c[u], 15 + p->cell_shift);
        y = ledge_tfl_add(ledge_tfl_scale(y, p->hidden_factor), p->hidden_zero);
        h[u] = (int8_t)ledge_tfl_clamp(y, -128, 127);
    }
}

enum ledge_status ledge_tfl_lstm_i8_c(const struct ledge_kernel_call *call)
{
    const struct ledge_tfl_lstm_params *p = call->params;
    int8_t *h = call->out[1]->data;
    int16_t *c = call->out[2]->data, *gates = call->scratch;
    memcpy(h, call->in[LEDGE_LSTM_H]->data, (size_t)(p->batch * p->units) * sizeof *h);
    memcpy(c, call->in[LEDGE_LSTM_C]->data, (size_t)(p->batch * p->units) * sizeof *c);
    for (int64_t b = 0; b < p->batch; b++, h += p->units, c += p->units) {
        for (int64_t t = 0; t < p->steps; t++) {
            int64_t row = row_of(p, t, b);
            for (int g = 0; g < 4; g++) {
                gate_i8(call, g, (const int8_t *)call->in[LEDGE_LSTM_X]->data + row * p->in, h,
                        gates + g * p->units);
            }
            cell_i8(p, gates, c, h);
            memcpy((int8_t *)call->out[0]->data + row * p->units, h, (size_t)p->units);
        }
    }
    return LEDGE_OK;
}
