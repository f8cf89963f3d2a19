/* SPDX-License-Identifier: Apache-2.0 */
/* tfl_recurrent.c -- SVDF and SequenceLstm of domain "tfl": shapes and types checked, scales to
 * factors. */
#include <math.h>
#include <string.h>

#include "base/banned.h"
#include "base/status.h"
#include "engine/kernels/tfl_recurrent.h"
#include "engine/ops/tfl.h"

/* Input i is there, of this type, and has these dimensions. */
static enum ledge_status want(const struct ledge_op_infer *infer, int32_t i, enum ledge_dtype dtype,
                              int32_t rank, const int64_t *dims)
{
    const struct ledge_value *value = ledge_infer_in(infer, i);
    bool right = value != NULL && value->dtype == dtype && value->rank == rank;
    for (int32_t k = 0; right && k < rank; k++) {
        right = value->dims[k] == dims[k];
    }
    if (!right) {
        return ledge_infer_fail(infer, LEDGE_ERR_SHAPE,
                                "input %d is missing or no %s of rank %d "
                                "that fits the others",
                                (int)i, ledge_dtype_text(dtype), (int)rank);
    }
    return LEDGE_OK;
}

static enum ledge_status want_outputs(const struct ledge_op_infer *infer, int32_t n)
{
    bool all = infer->node->n_out == n;
    for (int32_t i = 0; all && i < n; i++) {
        all = infer->node->out[i] >= 0;
    }
    return all ? LEDGE_OK
               : ledge_infer_fail(infer, LEDGE_ERR_FORMAT, "it has %d outputs, all needed", (int)n);
}

/* -- SVDF -- */

static bool svdf_shape(const struct ledge_value *x, const struct ledge_value *feature,
                       const struct ledge_value *time, int64_t rank,
                       struct ledge_tfl_svdf_params *p)
{
    if (x == NULL || feature == NULL || time == NULL || x->rank != 2 || feature->rank != 2 ||
        time->rank != 2 || rank < 1) {
        return false;
    }
    *p = (struct ledge_tfl_svdf_params){.batch = x->dims[0],
                                        .in = x->dims[1],
                                        .filters = feature->dims[0],
                                        .memory = time->dims[1],
                                        .units = feature->dims[0] / rank};
    return p->batch > 0 && p->in > 0 && p->filters > 0 && p->memory > 0 && p->units > 0 &&
           p->units * rank == p->filters && p->filters <= INT32_MAX && p->memory <= INT32_MAX &&
           feature->dims[1] == p->in && time->dims[0] == p->filters;
}

enum ledge_status ledge_tfl_infer_svdf(struct ledge_op_infer *infer)
{
    const struct ledge_value *x = ledge_infer_in(infer, 0);
    const struct ledge_value *time = ledge_infer_in(infer, 2);
    const struct ledge_value *state = ledge_infer_in(infer, 4);
    struct ledge_tfl_svdf_params p;
    if (!svdf_shape(x, ledge_infer_in(infer, 1), time, ledge_node_int(infer->node, "rank", 1),
                    &p)) {
        return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "filters, memory and input do not fit");
    }
    LEDGE_TRY(want_outputs(infer, 2));
    bool is_float = x->dtype == LEDGE_F32;
    enum ledge_dtype kept = is_float ? LEDGE_F32 : time->dtype == LEDGE_I16 ? LEDGE_I16 : LEDGE_I8;
    enum ledge_dtype small = is_float ? LEDGE_F32 : LEDGE_I8;
    LEDGE_TRY(want(infer, 0, small, 2, TFL_DIMS(p.batch, p.in)));
    LEDGE_TRY(want(infer, 1, small, 2, TFL_DIMS(p.filters, p.in)));
    LEDGE_TRY(want(infer, 2, kept, 2, TFL_DIMS(p.filters, p.memory)));
    if (ledge_infer_in(infer, 3) != NULL) {
        LEDGE_TRY(want(infer, 3, is_float ? LEDGE_F32 : LEDGE_I32, 1, TFL_DIMS(p.units)));
    }
    LEDGE_TRY(want(infer, 4, kept, 2, TFL_DIMS(p.batch, p.filters * p.memory)));
    LEDGE_TRY(ledge_infer_out(infer, 0, small, 2, TFL_DIMS(p.batch, p.units)));
    return ledge_infer_out(infer, 1, kept, state->rank, state->dims);
}

static enum ledge_status svdf_float(const struct ledge_op_prepare *prepare,
                                    struct ledge_tfl_svdf_params *p)
{
    int64_t activation = ledge_node_int(prepare->node, "activation", 0);
    if (activation < 0 || activation > 3) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_UNSUPPORTED, "fused activation %d",
                                  (int)activation);
    }
    p->clamp = (struct ledge_clamp){-INFINITY, INFINITY};
    if (activation != 0) {
        p->clamp.low = activation == 2 ? -1.0f : 0.0f;
        p->clamp.high = activation == 1 ? INFINITY : activation == 2 ? 1.0f : 6.0f;
    }
    return LEDGE_OK;
}

static enum ledge_status svdf_integer(const struct ledge_op_prepare *prepare,
                                      struct ledge_tfl_svdf_params *p)
{
    struct ledge_tfl_scale_of x, feature, time, state, y;
    LEDGE_TRY(ledge_tfl_wide_quant(prepare, ledge_prepare_in(prepare, 0), &x));
    LEDGE_TRY(ledge_tfl_wide_quant(prepare, ledge_prepare_in(prepare, 1), &feature));
    LEDGE_TRY(ledge_tfl_wide_quant(prepare, ledge_prepare_in(prepare, 2), &time));
    LEDGE_TRY(ledge_tfl_wide_quant(prepare, ledge_prepare_in(prepare, 4), &state));
    LEDGE_TRY(ledge_tfl_wide_quant(prepare, ledge_prepare_out(prepare, 0), &y));
    p->x_zero = x.zero;
    p->out_zero = y.zero;
    p->state_zero = ledge_prepare_in(prepare, 4)->dtype == LEDGE_I16 ? 0 : state.zero;
    LEDGE_TRY(
        ledge_tfl_factor_of(prepare, (double)(x.scale * feature.scale / state.scale), &p->feature));
    return ledge_tfl_factor_of(prepare, (double)(state.scale * time.scale / y.scale), &p->time);
}

enum ledge_status ledge_tfl_prepare_svdf(struct ledge_op_prepare *prepare)
{
    const struct ledge_value *x = ledge_prepare_in(prepare, 0);
    struct ledge_tfl_svdf_params *p = ledge_tfl_params(prepare, sizeof *p);
    if (p == NULL) {
        return LEDGE_ERR_NOMEM;
    }
    (void)svdf_shape(x, ledge_prepare_in(prepare, 1), ledge_prepare_in(prepare, 2),
                     ledge_node_int(prepare->node, "rank", 1), p);
    bool is_float = x->dtype == LEDGE_F32;
    LEDGE_TRY(is_float ? svdf_float(prepare, p) : svdf_integer(prepare, p));
    prepare->params = p;
    prepare->run =
        is_float ? LEDGE_KERNEL(tfl_svdf_f32, ledge_tfl_svdf_f32_c) : ledge_tfl_svdf_i8_c;
    prepare->kernel = is_float ? "tfl_svdf_f32_c" : "tfl_svdf_i8_c";
    prepare->macs = p->batch * p->filters * (p->in + p->memory);
    return LEDGE_OK;
}

/* -- SequenceLstm -- */

static bool lstm_shape(const struct ledge_value *x, const struct ledge_value *h,
                       const struct ledge_value *c, bool time_major,
                       struct ledge_tfl_lstm_params *p)
{
    if (x == NULL || h == NULL || c == NULL || x->rank != 3 || h->rank != 2 || c->rank != 2) {
        return false;
    }
    *p = (struct ledge_tfl_lstm_params){.batch = x->dims[time_major ? 1 : 0],
                                        .steps = x->dims[time_major ? 0 : 1],
                                        .in = x->dims[2],
                                        .units = c->dims[1],
                                        .hidden = h->dims[1],
                                        .time_major = time_major};
    return p->batch > 0 && p->steps > 0 && p->in > 0 && p->units > 0 && p->units <= 65536 &&
           p->hidden > 0 && p->hidden <= 65536 && h->dims[0] == p->batch;
}

/* Input i may be absent, else it is f32 of this shape. */
static enum ledge_status may_want(struct ledge_op_infer *infer, int32_t i, int32_t rank,
                                  const int64_t *dims)
{
    return ledge_infer_in(infer, i) != NULL ? want(infer, i, LEDGE_F32, rank, dims) : LEDGE_OK;
}

/* What only f32 has: peepholes, projection. */
static enum ledge_status lstm_more(struct ledge_op_infer *infer,
                                   const struct ledge_tfl_lstm_params *p)
{
    for (int32_t i = 0; i < 3; i++) {
        LEDGE_TRY(may_want(infer, LEDGE_LSTM_PEEPHOLE + i, 1, TFL_DIMS(p->units)));
    }
    const int32_t at = LEDGE_LSTM_PROJECTION;
    LEDGE_TRY(may_want(infer, at, 2, TFL_DIMS(p->hidden, p->units)));
    LEDGE_TRY(may_want(infer, at + 1, 1, TFL_DIMS(p->hidden)));
    return ledge_infer_in(infer, at) != NULL || p->hidden == p->units
               ? LEDGE_OK
               : ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "states differ without a projection");
}

enum ledge_status ledge_tfl_infer_lstm(struct ledge_op_infer *infer)
{
    const struct ledge_value *x = ledge_infer_in(infer, LEDGE_LSTM_X);
    bool time_major = ledge_node_int(infer->node, "time_major", 0) != 0;
    struct ledge_tfl_lstm_params p;
    bool more = infer->node->n_in == LEDGE_LSTM_MORE_INPUTS && x != NULL && x->dtype == LEDGE_F32;
    if ((infer->node->n_in != LEDGE_LSTM_INPUTS && !more) ||
        !lstm_shape(x, ledge_infer_in(infer, LEDGE_LSTM_H), ledge_infer_in(infer, LEDGE_LSTM_C),
                    time_major, &p) ||
        (x->dtype != LEDGE_F32 && x->dtype != LEDGE_I8)) {
        return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "input and state do not fit");
    }
    LEDGE_TRY(want_outputs(infer, 3));
    bool is_float = x->dtype == LEDGE_F32;
    bool coupled = more && ledge_infer_in(infer, LEDGE_LSTM_W) == NULL;
    LEDGE_TRY(lstm_more(infer, &p));
    for (int32_t g = coupled; g < 4; g++) {
        LEDGE_TRY(want(infer, LEDGE_LSTM_W + g, x->dtype, 2, TFL_DIMS(p.units, p.in)));
        LEDGE_TRY(want(infer, LEDGE_LSTM_R + g, x->dtype, 2, TFL_DIMS(p.units, p.hidden)));
        LEDGE_TRY(
            want(infer, LEDGE_LSTM_B + g, is_float ? LEDGE_F32 : LEDGE_I32, 1, TFL_DIMS(p.units)));
    }
    enum ledge_dtype cell = is_float ? LEDGE_F32 : LEDGE_I16;
    LEDGE_TRY(want(infer, LEDGE_LSTM_H, x->dtype, 2, TFL_DIMS(p.batch, p.hidden)));
    LEDGE_TRY(want(infer, LEDGE_LSTM_C, cell, 2, TFL_DIMS(p.batch, p.units)));
    LEDGE_TRY(ledge_infer_out(infer, 0, x->dtype, 3, TFL_DIMS(x->dims[0], x->dims[1], p.hidden)));
    LEDGE_TRY(ledge_infer_out(infer, 1, x->dtype, 2, TFL_DIMS(p.batch, p.hidden)));
    return ledge_infer_out(infer, 2, cell, 2, TFL_DIMS(p.batch, p.units));
}

/* bias (or 0) minus zero times the sum of each row of w. */
static enum ledge_status row_bias(const struct ledge_op_prepare *prepare,
                                  const struct ledge_value *w, const struct ledge_value *bias,
                                  int32_t zero, const int32_t **out)
{
    int64_t rows = w->dims[0], columns = w->dims[1];
    int32_t *made = LEDGE_NEW_ARRAY(prepare->memory, int32_t, (size_t)rows);
    if (made == NULL) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_NOMEM, "no memory");
    }
    if (w->data == NULL || (bias != NULL && bias->data == NULL)) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_UNSUPPORTED,
                                  "weights and biases must be constant");
    }
    for (int64_t r = 0; r < rows; r++) {
        uint32_t sum = bias != NULL ? (uint32_t)((const int32_t *)bias->data)[r] : 0;
        for (int64_t i = 0; i < columns; i++) {
            sum -= (uint32_t)(zero * ((const int8_t *)w->data)[r * columns + i]);
        }
        made[r] = (int32_t)sum;
    }
    *out = made;
    return LEDGE_OK;
}

/* Gates are computed in Q3.12. */
static enum ledge_status lstm_gates(const struct ledge_op_prepare *prepare,
                                    struct ledge_tfl_lstm_params *p)
{
    const float gate_scale = 1.0f / 4096.0f;
    struct ledge_tfl_scale_of x, h, w, r;
    LEDGE_TRY(ledge_tfl_wide_quant(prepare, ledge_prepare_in(prepare, LEDGE_LSTM_X), &x));
    LEDGE_TRY(ledge_tfl_wide_quant(prepare, ledge_prepare_in(prepare, LEDGE_LSTM_H), &h));
    for (int32_t g = 0; g < 4; g++) {
        const struct ledge_value *weights = ledge_prepare_in(prepare, LEDGE_LSTM_W + g);
        const struct ledge_value *recurrent = ledge_prepare_in(prepare, LEDGE_LSTM_R + g);
        LEDGE_TRY(ledge_tfl_wide_quant(prepare, weights, &w));
        LEDGE_TRY(ledge_tfl_wide_quant(prepare, recurrent, &r));
        LEDGE_TRY(ledge_tfl_factor_of(prepare, (double)(w.scale * x.scale / gate_scale),
                                      &p->x_factor[g]));
        LEDGE_TRY(ledge_tfl_factor_of(prepare, (double)(r.scale * h.scale / gate_scale),
                                      &p->h_factor[g]));
        LEDGE_TRY(row_bias(prepare, weights, ledge_prepare_in(prepare, LEDGE_LSTM_B + g), x.zero,
                           &p->x_bias[g]));
        LEDGE_TRY(row_bias(prepare, recurrent, NULL, h.zero, &p->h_bias[g]));
    }
    return LEDGE_OK;
}

static enum ledge_status lstm_integer(const struct ledge_op_prepare *prepare,
                                      struct ledge_tfl_lstm_params *p)
{
    const float half_range = 1.0f / 32768.0f;
    struct ledge_tfl_scale_of c;
    LEDGE_TRY(ledge_tfl_wide_quant(prepare, ledge_prepare_in(prepare, LEDGE_LSTM_C), &c));
    float power = log2f(c.scale);
    float hidden = ledge_node_float(prepare->node, "hidden_scale", 0);
    int64_t zero = ledge_node_int(prepare->node, "hidden_zero", 0);
    if (!(fabsf(power - roundf(power)) < 1e-3f) || power < -15.5f || power > -8.5f ||
        !(hidden > 0) || zero < -128 || zero > 127) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_UNSUPPORTED,
                                  "scale of the cell %g (a power of two) or of the output %g",
                                  (double)c.scale, (double)hidden);
    }
    p->cell_shift = (int32_t)roundf(power);
    p->hidden_zero = (int32_t)zero;
    p->quantised_clip = (int32_t)fminf(p->cell_clip / c.scale, 32767.0f);
    LEDGE_TRY(ledge_tfl_factor_of(prepare, (double)(half_range / hidden * half_range),
                                  &p->hidden_factor));
    return lstm_gates(prepare, p);
}

enum ledge_status ledge_tfl_prepare_lstm(struct ledge_op_prepare *prepare)
{
    const struct ledge_value *x = ledge_prepare_in(prepare, LEDGE_LSTM_X);
    struct ledge_tfl_lstm_params *p = ledge_tfl_params(prepare, sizeof *p);
    if (p == NULL) {
        return LEDGE_ERR_NOMEM;
    }
    (void)lstm_shape(x, ledge_prepare_in(prepare, LEDGE_LSTM_H),
                     ledge_prepare_in(prepare, LEDGE_LSTM_C),
                     ledge_node_int(prepare->node, "time_major", 0) != 0, p);
    float clip = ledge_node_float(prepare->node, "cell_clip", 0);
    p->cell_clip = clip > 0 ? clip : 0;
    clip = ledge_node_float(prepare->node, "projection_clip", 0);
    p->projection_clip = clip > 0 ? clip : 0;
    bool is_float = x->dtype == LEDGE_F32;
    if (!is_float) {
        LEDGE_TRY(lstm_integer(prepare, p));
    }
    prepare->params = p;
    prepare->run =
        is_float ? LEDGE_KERNEL(tfl_lstm_f32, ledge_tfl_lstm_f32_c) : ledge_tfl_lstm_i8_c;
    prepare->kernel = is_float ? "tfl_lstm_f32_c" : "tfl_lstm_i8_c";
    prepare->scratch_bytes =
        (size_t)p->units * (is_float ? 5 * sizeof(float) : 4 * sizeof(int16_t));
    prepare->macs = 4 * p->batch * p->steps * p->units * (p->in + p->hidden);
    return LEDGE_OK;
}
