/* SPDX-License-Identifier: Apache-2.0 */
/* onnx_rnn.c -- RNN, GRU, LSTM of ai.onnx, f32. Inputs: X, W [d, G*h, i], R [d, G*h, h], B [d,
 * 2*G*h], sequence_lens, initial_h, initial_c, P [d, 3*h] (LSTM). Outputs Y, Y_h, Y_c. Gate order:
 * LSTM i o f c, GRU z r h. Source: onnx/docs/Operators.md, LSTM and GRU, "Equations".
 *
 * Constant weights are packed: what a block of steps takes from x is one product, then each step
 * multiplies h. Weights that a run brings are read row by row. */
#include <math.h>
#include <string.h>

#include "base/status.h"
#include "engine/kernels/onnx.h"
#include "engine/kernels/product_f32.h"
#include "engine/kernels/real.h"

#include "base/banned.h"

static int64_t gates_of(enum ledge_rnn_kind kind)
{
    return kind == LEDGE_LSTM ? 4 : kind == LEDGE_GRU ? 3 : 1;
}

/* Steps whose part of x is worked out at once. */
enum { BLOCK = 16 };

static size_t round_up(size_t floats)
{
    return (floats + 15) & ~(size_t)15;
}

void ledge_rnn_plan(struct ledge_rnn *rnn, const struct ledge_f32_kernels *isa, int32_t threads)
{
    int64_t all = gates_of(rnn->kind) * rnn->hidden;
    bool alone = rnn->kind == LEDGE_GRU && !rnn->linear_before_reset;
    rnn->isa = isa;
    rnn->threads = threads;
    rnn->w_floats = round_up(ledge_product_f32_b_size(isa, rnn->inputs, all));
    rnn->r_floats = round_up(ledge_product_f32_b_size(isa, rnn->hidden, all));
    rnn->gate_floats =
        alone ? round_up(ledge_product_f32_b_size(isa, rnn->hidden, rnn->hidden)) : 0;
    rnn->worker_floats = round_up(ledge_product_f32_scratch(isa, false));
}

static size_t direction_floats(const struct ledge_rnn *rnn)
{
    return rnn->w_floats + rnn->r_floats + rnn->gate_floats;
}

size_t ledge_rnn_packed_floats(const struct ledge_rnn *rnn)
{
    return (size_t)rnn->directions * direction_floats(rnn);
}

void ledge_rnn_pack(const struct ledge_rnn *rnn, const float *w, const float *r, float *packed)
{
    int64_t h = rnn->hidden, all = gates_of(rnn->kind) * h;
    for (int64_t d = 0; d < rnn->directions; d++) {
        float *to = packed + (size_t)d * direction_floats(rnn);
        ledge_product_f32_pack_b(rnn->isa, w + d * all * rnn->inputs, 1, rnn->inputs, rnn->inputs,
                                 all, to);
        to += rnn->w_floats;
        ledge_product_f32_pack_b(rnn->isa, r + d * all * h, 1, h, h, all, to);
        if (rnn->gate_floats > 0) {
            to += rnn->r_floats;
            ledge_product_f32_pack_b(rnn->isa, r + (d * all + 2 * h) * h, 1, h, h, h, to);
        }
    }
}

/* Per direction and batch row: x part of all gates for a block of steps, h part of all gates, state
 * h, cell c, work row; then the scratch of products. */
size_t ledge_rnn_scratch(const struct ledge_rnn *rnn)
{
    size_t gates = (size_t)gates_of(rnn->kind) * (BLOCK + 1) + 3;
    return (round_up(gates * (size_t)rnn->hidden) + (size_t)rnn->threads * rnn->worker_floats) *
           sizeof(float);
}

struct cell {
    const struct ledge_rnn *p;
    int64_t d; /* direction */
    const float *w, *r, *b, *peep;
    const float *packed; /* weights of x, of h, of the gate of h; NULL: not packed */
    struct ledge_pool *pool;
    float *block; /* of xg: BLOCK steps */
    float *xg, *hg, *h, *c, *work;
    float *scratch;
};

LEDGE_COLD static float rare_activation(enum ledge_activation_kind kind, float a, float b, float x)
{
    switch (kind) {
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
    default:
        return x;
    }
}

/* x: n values, which become those of activation number which. */
static void activate(const struct cell *cell, int which, float *x, int64_t n)
{
    const enum ledge_activation_kind kind = cell->p->act[cell->d][which];
    const float clip = cell->p->clip, a = cell->p->alpha[cell->d][which];
    for (int64_t k = 0; k < n && clip > 0; k++) {
        x[k] = x[k] > clip ? clip : x[k] < -clip ? -clip : x[k];
    }
    if (kind == LEDGE_ACT_SIGMOID) {
        ledge_sigmoid_floats(x, n);
    } else if (kind == LEDGE_ACT_TANH) {
        ledge_tanh_floats(x, n);
    } else {
        for (int64_t k = 0; k < n; k++) {
            x[k] = rare_activation(kind, a, cell->p->beta[cell->d][which], x[k]);
        }
    }
}

/* out[j] = sum_i m[j][i] v[i] + b[j]; b may be NULL */
static void product(const float *m, const float *v, const float *b, float *out, int64_t rows,
                    int64_t cols)
{
    for (int64_t j = 0; j < rows; j++) {
        float sum = 0;
        for (int64_t i = 0; i < cols; i++) {
            sum += m[j * cols + i] * v[i];
        }
        out[j] = b != NULL ? sum + b[j] : sum;
    }
}

/* The same for weights that are packed. */
static void packed_product(const struct cell *cell, const float *packed, const float *v,
                           const float *b, float *out, int64_t rows, int64_t cols)
{
    const struct ledge_f32_kernels *isa = cell->p->isa;
    struct ledge_vector_f32 vector = {.x = v,
                                      .k = cols,
                                      .deep = LEDGE_F32_KC,
                                      .w = packed,
                                      .panels = (rows + isa->nr - 1) / isa->nr,
                                      .n = rows,
                                      .bias = b,
                                      .y = out,
                                      .low = -INFINITY,
                                      .high = INFINITY};
    ledge_vector_f32_run(isa, &vector, cell->pool);
}

/* xg of BLOCK steps at most: x[step] is at x + step * stride. */
struct rows {
    const float *x;
    int64_t stride;
};

static void stream_rows(const void *arg, int64_t k0, int64_t kc, int64_t at, int64_t count,
                        float *panel)
{
    const struct rows *rows = arg;
    for (int64_t i = 0; i < count; i++) {
        memcpy(panel + i * LEDGE_F32_KC, rows->x + (at + i) * rows->stride + k0,
               (size_t)kc * sizeof *panel);
    }
}

static void block_product(const struct cell *cell, const struct rows *rows, int64_t steps)
{
    const struct ledge_rnn *p = cell->p;
    int64_t all = gates_of(p->kind) * p->hidden;
    if (steps == 1) {
        packed_product(cell, cell->packed, rows->x, cell->b, cell->block, all, p->inputs);
        return;
    }
    struct ledge_product_f32 product = {.isa = p->isa,
                                        .m = steps,
                                        .n = all,
                                        .k = p->inputs,
                                        .resident = cell->packed,
                                        .stream = stream_rows,
                                        .arg = rows,
                                        .c = cell->block,
                                        .ldc = all,
                                        .col_bias = cell->b,
                                        .clamp = {-INFINITY, INFINITY}};
    ledge_product_f32_run(&product, cell->pool, cell->scratch);
}

/* xg of steps steps from x on. */
static void parts_of_x(const struct cell *cell, const float *x, int64_t stride, int64_t steps)
{
    const struct ledge_rnn *p = cell->p;
    int64_t all = gates_of(p->kind) * p->hidden;
    if (cell->packed != NULL) {
        block_product(cell, &(struct rows){.x = x, .stride = stride}, steps);
        return;
    }
    for (int64_t i = 0; i < steps; i++) {
        product(cell->w, x + i * stride, cell->b, cell->block + i * all, all, p->inputs);
    }
}

/* hg, or the gate of h alone. */
static void part_of_h(const struct cell *cell, const float *h, bool gate, float *out)
{
    const struct ledge_rnn *p = cell->p;
    int64_t all = gates_of(p->kind) * p->hidden, rows = gate ? p->hidden : all;
    const float *b = cell->b != NULL ? cell->b + all + (gate ? 2 * p->hidden : 0) : NULL;
    if (cell->packed != NULL) {
        const float *weights = cell->packed + p->w_floats + (gate ? p->r_floats : 0);
        packed_product(cell, weights, h, b, out, rows, p->hidden);
    } else {
        product(cell->r + (gate ? 2 * p->hidden * p->hidden : 0), h, b, out, rows, p->hidden);
    }
}

/* What a gate sees of the cell. */
static void look(const struct cell *cell, float *gate, int64_t which)
{
    const int64_t h = cell->p->hidden;
    for (int64_t k = 0; k < h && cell->peep != NULL; k++) {
        gate[k] += cell->peep[which * h + k] * cell->c[k];
    }
}

/* Gates lie as i o f c, weights of peepholes as i o f. */
static void lstm_step(struct cell *cell)
{
    const int64_t h = cell->p->hidden;
    float *i = cell->xg, *o = i + h, *f = o + h, *made = f + h, *c = cell->c;
    look(cell, i, 0);
    activate(cell, 0, i, h);
    look(cell, f, 2);
    activate(cell, 0, f, h);
    activate(cell, 1, made, h);
    for (int64_t k = 0; k < h; k++) {
        float keep = cell->p->input_forget ? 1 - i[k] : f[k];
        c[k] = keep * c[k] + i[k] * made[k];
    }
    look(cell, o, 1);
    activate(cell, 0, o, h);
    memcpy(cell->h, c, (size_t)h * sizeof *c);
    activate(cell, 2, cell->h, h);
    for (int64_t k = 0; k < h; k++) {
        cell->h[k] *= o[k];
    }
}

/* xg holds X W + Wb for all gates, hg holds H R + Rb. */
static void gru_step(struct cell *cell)
{
    const int64_t h = cell->p->hidden;
    float *z = cell->xg, *r = z + h, *n = r + h, *of_h = cell->hg + 2 * h;
    for (int64_t k = 0; k < 2 * h; k++) {
        z[k] += cell->hg[k];
    }
    activate(cell, 0, z, 2 * h);
    if (!cell->p->linear_before_reset) {
        float *reset = cell->hg; /* z and r parts are used up */
        for (int64_t k = 0; k < h; k++) {
            reset[k] = r[k] * cell->h[k];
        }
        part_of_h(cell, reset, true, cell->work);
        of_h = cell->work;
    }
    for (int64_t k = 0; k < h; k++) {
        n[k] += cell->p->linear_before_reset ? r[k] * of_h[k] : of_h[k];
    }
    activate(cell, 1, n, h);
    for (int64_t k = 0; k < h; k++) {
        cell->h[k] = (1 - z[k]) * n[k] + z[k] * cell->h[k];
    }
}

static void step(struct cell *cell)
{
    const struct ledge_rnn *p = cell->p;
    const int64_t all = gates_of(p->kind) * p->hidden;
    part_of_h(cell, cell->h, false, cell->hg);
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
    memcpy(cell->h, cell->xg, (size_t)p->hidden * sizeof *cell->h);
    activate(cell, 0, cell->h, p->hidden);
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
    const int64_t all = gates_of(p->kind) * p->hidden;
    const int64_t apart = (p->batch_first ? 1 : p->batch) * p->inputs; /* steps, in x */
    for (int64_t k = 0; k < p->steps; k++) {
        bool real = k < length;
        int64_t t = real && backwards ? length - 1 - k : k;
        int64_t from = p->batch_first ? batch * p->steps + t : t * p->batch + batch;
        int64_t to = p->batch_first ? (batch * p->steps + t) * p->directions + cell->d
                                    : (t * p->directions + cell->d) * p->batch + batch;
        if (real && k % BLOCK == 0) {
            int64_t steps = length - k < BLOCK ? length - k : BLOCK;
            parts_of_x(cell, x + from * p->inputs, backwards ? -apart : apart, steps);
        }
        if (real) {
            cell->xg = cell->block + k % BLOCK * all;
            step(cell);
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

enum ledge_status ledge_rnn_f32(const struct ledge_kernel_call *call)
{
    const struct ledge_rnn *p = call->params;
    const int64_t all = gates_of(p->kind) * p->hidden;
    const struct ledge_view *lengths = call->n_in > 4 ? call->in[4] : NULL;
    const float *bias = floats(call, 3), *peep = p->kind == LEDGE_LSTM ? floats(call, 7) : NULL;
    float *space = call->scratch;
    for (int64_t d = 0; d < p->directions; d++) {
        struct cell cell = {
            .p = p,
            .d = d,
            .w = floats(call, 1) + d * all * p->inputs,
            .r = floats(call, 2) + d * all * p->hidden,
            .b = bias != NULL ? bias + d * 2 * all : NULL,
            .peep = peep != NULL ? peep + d * 3 * p->hidden : NULL,
            .packed = call->packed != NULL
                          ? (const float *)call->packed + (size_t)d * direction_floats(p)
                          : NULL,
            .pool = call->pool,
            .block = space,
            .hg = space + BLOCK * all,
            .h = space + (BLOCK + 1) * all,
            .c = space + (BLOCK + 1) * all + p->hidden,
            .work = space + (BLOCK + 1) * all + 2 * p->hidden,
            .scratch = space + round_up((size_t)((BLOCK + 1) * all + 3 * p->hidden))};
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
