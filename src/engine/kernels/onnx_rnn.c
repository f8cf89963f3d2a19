/* SPDX-License-Identifier: Apache-2.0 */
/* onnx_rnn.c -- RNN, GRU, LSTM of ai.onnx, f32. Inputs: X, W [d, G*h, i], R [d, G*h, h], B [d,
 * 2*G*h], sequence_lens, initial_h, initial_c, P [d, 3*h] (LSTM). Outputs Y, Y_h, Y_c. Gate order:
 * LSTM i o f c, GRU z r h. Source: onnx/docs/Operators.md, LSTM and GRU, "Equations". */
#include <math.h>
#include <string.h>

#include "base/status.h"
#include "engine/kernels/onnx.h"
#include "engine/kernels/real.h"

#include "base/banned.h"

static int64_t gates_of(enum ledge_rnn_kind kind)
{
    return kind == LEDGE_LSTM ? 4 : kind == LEDGE_GRU ? 3 : 1;
}

/* Per direction and batch row: x part of all gates, h part of all gates, state h, cell c, work row.
 */
size_t ledge_rnn_scratch(const struct ledge_rnn *rnn)
{
    return (size_t)((2 * gates_of(rnn->kind) + 3) * rnn->hidden) * sizeof(float);
}

struct cell {
    const struct ledge_rnn *p;
    int64_t d; /* direction */
    const float *w, *r, *b, *peep;
    float *xg, *hg, *h, *c, *work;
};

static float activate(const struct cell *cell, int which, float x)
{
    float a = cell->p->alpha[cell->d][which], b = cell->p->beta[cell->d][which];
    float clip = cell->p->clip;
    if (clip > 0) {
        x = x > clip ? clip : x < -clip ? -clip : x;
    }
    switch (cell->p->act[cell->d][which]) {
    case LEDGE_ACT_SIGMOID:
        return 1 / (1 + ledge_exp_f32(-x));
    case LEDGE_ACT_TANH:
        return ledge_tanh_f32(x);
    case LEDGE_ACT_RELU:
        return x > 0 ? x : 0;
    case LEDGE_ACT_HARD_SIGMOID:
        return fmaxf(0, fminf(1, a * x + b));
    case LEDGE_ACT_SOFTSIGN:
        return x / (1 + fabsf(x));
    case LEDGE_ACT_SOFTPLUS:
        return ledge_log1p_f32(ledge_exp_f32(x));
    case LEDGE_ACT_AFFINE:
        return a * x + b;
    case LEDGE_ACT_LEAKY_RELU:
        return x < 0 ? a * x : x;
    case LEDGE_ACT_THRESHOLDED_RELU:
        return x > a ? x : 0;
    case LEDGE_ACT_SCALED_TANH:
        return a * ledge_tanh_f32(b * x);
    case LEDGE_ACT_ELU:
        return x < 0 ? a * ledge_expm1_f32(x) : x;
    }
    return x;
}

/* out[j] = sum_i m[j][i] v[i] */
static void product(const float *m, const float *v, float *out, int64_t rows, int64_t cols)
{
    for (int64_t j = 0; j < rows; j++) {
        float sum = 0;
        for (int64_t i = 0; i < cols; i++) {
            sum += m[j * cols + i] * v[i];
        }
        out[j] = sum;
    }
}

static void lstm_step(struct cell *cell)
{
    const int64_t h = cell->p->hidden;
    const float *g = cell->xg, *peep = cell->peep;
    for (int64_t k = 0; k < h; k++) {
        float before = cell->c[k];
        float i = activate(cell, 0, g[k] + (peep != NULL ? peep[k] * before : 0));
        float f =
            cell->p->input_forget
                ? 1 - i
                : activate(cell, 0, g[2 * h + k] + (peep != NULL ? peep[2 * h + k] * before : 0));
        float c = f * before + i * activate(cell, 1, g[3 * h + k]);
        float o = activate(cell, 0, g[h + k] + (peep != NULL ? peep[h + k] * c : 0));
        cell->c[k] = c;
        cell->h[k] = o * activate(cell, 2, c);
    }
}

/* xg holds X W + Wb for all gates, hg holds H R + Rb. */
static void gru_step(struct cell *cell)
{
    const int64_t h = cell->p->hidden;
    const float *bias = cell->b != NULL ? cell->b + 5 * h : NULL; /* Rb of gate h */
    float *z = cell->xg, *r = cell->xg + h, *n = cell->xg + 2 * h;
    for (int64_t k = 0; k < 2 * h; k++) {
        cell->xg[k] = activate(cell, 0, cell->xg[k] + cell->hg[k]);
    }
    if (cell->p->linear_before_reset) {
        for (int64_t k = 0; k < h; k++) {
            n[k] += r[k] * cell->hg[2 * h + k];
        }
    } else {
        float *reset = cell->hg; /* z and r parts are used up */
        for (int64_t k = 0; k < h; k++) {
            reset[k] = r[k] * cell->h[k];
        }
        product(cell->r + 2 * h * h, reset, cell->work, h, h);
        for (int64_t k = 0; k < h; k++) {
            n[k] += cell->work[k] + (bias != NULL ? bias[k] : 0);
        }
    }
    for (int64_t k = 0; k < h; k++) {
        cell->h[k] = (1 - z[k]) * activate(cell, 1, n[k]) + z[k] * cell->h[k];
    }
}

static void step(struct cell *cell, const float *x)
{
    const struct ledge_rnn *p = cell->p;
    const int64_t all = gates_of(p->kind) * p->hidden;
    product(cell->w, x, cell->xg, all, p->inputs);
    product(cell->r, cell->h, cell->hg, all, p->hidden);
    for (int64_t k = 0; k < all && cell->b != NULL; k++) {
        cell->xg[k] += cell->b[k];
        cell->hg[k] += cell->b[all + k];
    }
    if (p->kind == LEDGE_GRU) {
        gru_step(cell);
        return;
    }
    for (int64_t k = 0; k < all; k++) {
        cell->xg[k] += cell->hg[k];
    }
    if (p->kind == LEDGE_LSTM) {
        lstm_step(cell);
        return;
    }
    for (int64_t k = 0; k < p->hidden; k++) {
        cell->h[k] = activate(cell, 0, cell->xg[k]);
    }
}

static const float *floats(const struct ledge_kernel_call *call, int32_t i)
{
    return i < call->n_in && call->in[i] != NULL ? call->in[i]->data : NULL;
}

static float *results(const struct ledge_kernel_call *call, int32_t i)
{
    return i < call->n_out && call->out[i] != NULL ? call->out[i]->data : NULL;
}

static void run_row(const struct ledge_kernel_call *call, struct cell *cell, int64_t batch,
                    int64_t length)
{
    const struct ledge_rnn *p = cell->p;
    const size_t bytes = (size_t)p->hidden * sizeof(float);
    const bool backwards = p->reverse || cell->d == 1;
    const float *x = call->in[0]->data, *h0 = floats(call, 5), *c0 = floats(call, 6);
    float *y = results(call, 0), *y_h = results(call, 1), *y_c = results(call, 2);
    int64_t state =
        (p->batch_first ? batch * p->directions + cell->d : cell->d * p->batch + batch) * p->hidden;
    memset(cell->h, 0, bytes);
    memset(cell->c, 0, bytes);
    if (h0 != NULL) {
        memcpy(cell->h, h0 + state, bytes);
    }
    if (c0 != NULL && p->kind == LEDGE_LSTM) {
        memcpy(cell->c, c0 + state, bytes);
    }
    for (int64_t k = 0; k < p->steps; k++) {
        bool real = k < length;
        int64_t t = real && backwards ? length - 1 - k : k;
        int64_t from = p->batch_first ? batch * p->steps + t : t * p->batch + batch;
        int64_t to = p->batch_first ? (batch * p->steps + t) * p->directions + cell->d
                                    : (t * p->directions + cell->d) * p->batch + batch;
        if (real) {
            step(cell, x + from * p->inputs);
        }
        if (y != NULL && real) {
            memcpy(y + to * p->hidden, cell->h, bytes);
        } else if (y != NULL) {
            memset(y + to * p->hidden, 0, bytes);
        }
    }
    if (y_h != NULL) {
        memcpy(y_h + state, cell->h, bytes);
    }
    if (y_c != NULL) {
        memcpy(y_c + state, cell->c, bytes);
    }
}

enum ledge_status ledge_rnn_c(const struct ledge_kernel_call *call)
{
    const struct ledge_rnn *p = call->params;
    const int64_t all = gates_of(p->kind) * p->hidden;
    const struct ledge_view *lengths = call->n_in > 4 ? call->in[4] : NULL;
    const float *bias = floats(call, 3), *peep = p->kind == LEDGE_LSTM ? floats(call, 7) : NULL;
    float *space = call->scratch;
    for (int64_t d = 0; d < p->directions; d++) {
        struct cell cell = {.p = p,
                            .d = d,
                            .w = floats(call, 1) + d * all * p->inputs,
                            .r = floats(call, 2) + d * all * p->hidden,
                            .b = bias != NULL ? bias + d * 2 * all : NULL,
                            .peep = peep != NULL ? peep + d * 3 * p->hidden : NULL,
                            .xg = space,
                            .hg = space + all,
                            .h = space + 2 * all,
                            .c = space + 2 * all + p->hidden,
                            .work = space + 2 * all + 2 * p->hidden};
        for (int64_t b = 0; b < p->batch; b++) {
            int64_t length = lengths != NULL ? ((const int32_t *)lengths->data)[b] : p->steps;
            if (length < 0 || length > p->steps) {
                return ledge_fail(call->err, LEDGE_ERR_RANGE,
                                  "sequence length %lld is outside 0..%lld", (long long)length,
                                  (long long)p->steps);
            }
            run_row(call, &cell, b, length);
        }
    }
    return LEDGE_OK;
}
