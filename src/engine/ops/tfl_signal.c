/* SPDX-License-Identifier: Apache-2.0 */
/* tfl_signal.c -- the audio front end of TFLite Micro and RFFT2D: types, sizes and every index that
 * a constant names are checked here; tables of the transforms and of the logarithm are made here.
 */
#include <math.h>
#include <string.h>

#include "base/banned.h"
#include "base/status.h"
#include "engine/kernels/real.h"
#include "engine/kernels/tfl_signal.h"
#include "engine/ops/tfl.h"

#define PI 3.14159265358979323846

/* Attribute name in low .. high. */
static enum ledge_status number(const struct ledge_op_infer *infer, const char *name, int64_t low,
                                int64_t high, int64_t *value)
{
    *value = ledge_node_int(infer->node, name, low - 1);
    return *value >= low && *value <= high
               ? LEDGE_OK
               : ledge_infer_fail(infer, LEDGE_ERR_RANGE, "%s is %lld", name, (long long)*value);
}

/* Input i has this type and at least rank 1, all dimensions at least 1. */
static enum ledge_status want(const struct ledge_op_infer *infer, int32_t i, enum ledge_dtype dtype)
{
    const struct ledge_value *value = ledge_infer_in(infer, i);
    bool right = value != NULL && value->dtype == dtype && value->rank >= 1;
    for (int32_t k = 0; right && k < value->rank; k++) {
        right = value->dims[k] >= 1;
    }
    return right ? LEDGE_OK
                 : ledge_infer_fail(infer, LEDGE_ERR_DTYPE, "input %d is no %s", (int)i,
                                    ledge_dtype_text(dtype));
}

static int64_t count_of(const struct ledge_value *value)
{
    struct ledge_view view = ledge_value_view(value);
    return ledge_view_count(&view);
}

static int64_t last_of(const struct ledge_value *value)
{
    return value->dims[value->rank - 1];
}

static struct ledge_op_infer as_infer(const struct ledge_op_prepare *prepare)
{
    return (struct ledge_op_infer){
        .graph = (struct ledge_graph *)prepare->graph, .node = prepare->node, .err = prepare->err};
}

static enum ledge_status use(struct ledge_op_prepare *prepare, ledge_kernel_fn run,
                             const char *kernel, const void *params)
{
    prepare->run = run;
    prepare->kernel = kernel;
    prepare->params = params;
    return LEDGE_OK;
}

/* -- SignalWindow, SignalFftAutoScale, SignalEnergy -- */

enum ledge_status ledge_tfl_infer_signal_window(struct ledge_op_infer *infer)
{
    const struct ledge_value *x = ledge_infer_in(infer, 0);
    int64_t shift;
    LEDGE_TRY(want(infer, 0, LEDGE_I16));
    LEDGE_TRY(want(infer, 1, LEDGE_I16));
    LEDGE_TRY(number(infer, "shift", 0, 31, &shift));
    if (count_of(x) % count_of(ledge_infer_in(infer, 1)) != 0) {
        return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "the window does not divide its input");
    }
    return ledge_infer_out(infer, 0, LEDGE_I16, x->rank, x->dims);
}

enum ledge_status ledge_tfl_prepare_signal_window(struct ledge_op_prepare *prepare)
{
    struct ledge_signal_window_params *p = ledge_tfl_params(prepare, sizeof *p);
    if (p == NULL) {
        return LEDGE_ERR_NOMEM;
    }
    p->n = count_of(ledge_prepare_in(prepare, 1));
    p->shift = (int32_t)ledge_node_int(prepare->node, "shift", 0);
    return use(prepare, ledge_signal_window_c, "signal_window_c", p);
}

enum ledge_status ledge_tfl_infer_signal_auto_scale(struct ledge_op_infer *infer)
{
    const struct ledge_value *x = ledge_infer_in(infer, 0);
    LEDGE_TRY(want(infer, 0, LEDGE_I16));
    LEDGE_TRY(ledge_infer_out(infer, 0, LEDGE_I16, x->rank, x->dims));
    return ledge_infer_out(infer, 1, LEDGE_I32, 0, NULL);
}

enum ledge_status ledge_tfl_prepare_signal_auto_scale(struct ledge_op_prepare *prepare)
{
    return use(prepare, ledge_signal_auto_scale_c, "signal_auto_scale_c", NULL);
}

enum ledge_status ledge_tfl_infer_signal_energy(struct ledge_op_infer *infer)
{
    int64_t first, end;
    LEDGE_TRY(want(infer, 0, LEDGE_I16));
    int64_t n = count_of(ledge_infer_in(infer, 0)) / 2;
    LEDGE_TRY(number(infer, "end_index", 0, n, &end));
    LEDGE_TRY(number(infer, "start_index", 0, end, &first));
    return ledge_infer_out(infer, 0, LEDGE_U32, 1, &n);
}

enum ledge_status ledge_tfl_prepare_signal_energy(struct ledge_op_prepare *prepare)
{
    struct ledge_signal_energy_params *p = ledge_tfl_params(prepare, sizeof *p);
    if (p == NULL) {
        return LEDGE_ERR_NOMEM;
    }
    p->first = ledge_node_int(prepare->node, "start_index", 0);
    p->end = ledge_node_int(prepare->node, "end_index", 0);
    return use(prepare, ledge_signal_energy_c, "signal_energy_c", p);
}

/* -- SignalRfft -- */

static bool power_of_2(int64_t n)
{
    return n > 0 && (n & (n - 1)) == 0;
}

enum ledge_status ledge_tfl_infer_signal_rfft(struct ledge_op_infer *infer)
{
    const struct ledge_value *x = ledge_infer_in(infer, 0);
    int64_t length, dims[LEDGE_MAX_RANK];
    LEDGE_TRY(want(infer, 0, LEDGE_I16));
    LEDGE_TRY(number(infer, "fft_length", 4, 32768, &length));
    if (!power_of_2(length) || last_of(x) > length) {
        return ledge_infer_fail(infer, LEDGE_ERR_UNSUPPORTED, "a transform of %lld for %lld",
                                (long long)length, (long long)last_of(x));
    }
    memcpy(dims, x->dims, sizeof dims);
    dims[x->rank - 1] = length + 2;
    return ledge_infer_out(infer, 0, LEDGE_I16, x->rank, dims);
}

static void twiddle_16(double phase, int16_t *to)
{
    to[0] = (int16_t)floor(0.5 + 32767.0 * ledge_cos(phase));
    to[1] = (int16_t)floor(0.5 + 32767.0 * ledge_sin(phase));
}

enum ledge_status ledge_tfl_prepare_signal_rfft(struct ledge_op_prepare *prepare)
{
    struct ledge_signal_rfft_params *p = ledge_tfl_params(prepare, sizeof *p);
    if (p == NULL) {
        return LEDGE_ERR_NOMEM;
    }
    p->length = ledge_node_int(prepare->node, "fft_length", 0);
    p->n = last_of(ledge_prepare_in(prepare, 0));
    int64_t n = p->length / 2;
    int16_t *twiddles = LEDGE_NEW_ARRAY(prepare->memory, int16_t, (size_t)(3 * n));
    if (twiddles == NULL) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_NOMEM, "no memory");
    }
    for (int64_t i = 0; i < n; i++) {
        twiddle_16(-2 * PI * (double)i / (double)n, twiddles + 2 * i);
    }
    for (int64_t i = 0; i < n / 2; i++) {
        twiddle_16(-PI * ((double)(i + 1) / (double)n + 0.5), twiddles + 2 * n + 2 * i);
    }
    p->twiddles = twiddles;
    p->last = twiddles + 2 * n;
    prepare->scratch_bytes = (size_t)(2 * p->length) * sizeof(int16_t);
    return use(prepare, ledge_signal_rfft_c, "signal_rfft_i16_c", p);
}

/* -- SignalFilterBank -- */

/* The ranges that channel c reads lie inside x and the weights. */
static bool channel_inside(const struct ledge_op_infer *infer, int64_t c)
{
    int64_t at[3];
    for (int32_t i = 0; i < 3; i++) {
        at[i] = ((const int16_t *)ledge_infer_in(infer, 3 + i)->data)[c];
    }
    int64_t n = count_of(ledge_infer_in(infer, 0));
    int64_t weights = count_of(ledge_infer_in(infer, 1));
    int64_t unweights = count_of(ledge_infer_in(infer, 2));
    int64_t least = weights < unweights ? weights : unweights;
    return at[2] <= 0 || (at[0] >= 0 && at[1] >= 0 && at[0] + at[2] <= n && at[1] + at[2] <= least);
}

enum ledge_status ledge_tfl_infer_signal_filter_bank(struct ledge_op_infer *infer)
{
    int64_t channels;
    LEDGE_TRY(want(infer, 0, LEDGE_U32));
    LEDGE_TRY(number(infer, "num_channels", 1, 65536, &channels));
    for (int32_t i = 1; i < 6; i++) {
        LEDGE_TRY(want(infer, i, LEDGE_I16));
        const struct ledge_value *value = ledge_infer_in(infer, i);
        if (i > 2 && (value->data == NULL || count_of(value) != channels + 1)) {
            return ledge_infer_fail(infer, LEDGE_ERR_UNSUPPORTED,
                                    "input %d is no constant of %lld numbers", (int)i,
                                    (long long)channels + 1);
        }
    }
    for (int64_t c = 0; c <= channels; c++) {
        if (!channel_inside(infer, c)) {
            return ledge_infer_fail(infer, LEDGE_ERR_RANGE, "channel %lld reads outside",
                                    (long long)c);
        }
    }
    return ledge_infer_out(infer, 0, LEDGE_U64, 1, &channels);
}

enum ledge_status ledge_tfl_prepare_signal_filter_bank(struct ledge_op_prepare *prepare)
{
    return use(prepare, ledge_signal_filter_bank_c, "signal_filter_bank_c", NULL);
}

/* -- SignalFilterBankSquareRoot, -SpectralSubtraction, -Log, SignalPCAN -- */

enum ledge_status ledge_tfl_infer_signal_square_root(struct ledge_op_infer *infer)
{
    const struct ledge_value *x = ledge_infer_in(infer, 0);
    const struct ledge_value *bits = ledge_infer_in(infer, 1);
    LEDGE_TRY(want(infer, 0, LEDGE_U64));
    if (bits == NULL || bits->dtype != LEDGE_I32 || count_of(bits) != 1) {
        return ledge_infer_fail(infer, LEDGE_ERR_DTYPE, "the shift is no i32");
    }
    return ledge_infer_out(infer, 0, LEDGE_U32, x->rank, x->dims);
}

enum ledge_status ledge_tfl_prepare_signal_square_root(struct ledge_op_prepare *prepare)
{
    return use(prepare, ledge_signal_square_root_c, "signal_square_root_c", NULL);
}

enum ledge_status ledge_tfl_infer_signal_subtract(struct ledge_op_infer *infer)
{
    const struct ledge_value *x = ledge_infer_in(infer, 0);
    const struct ledge_node *node = infer->node;
    int64_t bits;
    LEDGE_TRY(want(infer, 0, LEDGE_U32));
    LEDGE_TRY(want(infer, 1, LEDGE_U32));
    LEDGE_TRY(number(infer, "smoothing_bits", 0, 31, &bits));
    LEDGE_TRY(number(infer, "spectral_subtraction_bits", 0, 31, &bits));
    if (count_of(x) != count_of(ledge_infer_in(infer, 1)) || node->n_out != 2 || node->out[0] < 0 ||
        node->out[1] < 0) {
        return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "the estimate does not fit the input");
    }
    LEDGE_TRY(ledge_infer_out(infer, 0, LEDGE_U32, x->rank, x->dims));
    return ledge_infer_out(infer, 1, LEDGE_U32, x->rank, x->dims);
}

enum ledge_status ledge_tfl_prepare_signal_subtract(struct ledge_op_prepare *prepare)
{
    const struct ledge_node *node = prepare->node;
    struct ledge_signal_subtract_params *p = ledge_tfl_params(prepare, sizeof *p);
    if (p == NULL) {
        return LEDGE_ERR_NOMEM;
    }
    p->smoothing[0] = (uint32_t)ledge_node_int(node, "smoothing", 0);
    p->rest[0] = (uint32_t)ledge_node_int(node, "one_minus_smoothing", 0);
    p->smoothing[1] = (uint32_t)ledge_node_int(node, "alternate_smoothing", 0);
    p->rest[1] = (uint32_t)ledge_node_int(node, "alternate_one_minus_smoothing", 0);
    p->least = (uint32_t)ledge_node_int(node, "min_signal_remaining", 0);
    p->smoothing_bits = (int32_t)ledge_node_int(node, "smoothing_bits", 0);
    p->bits = (int32_t)ledge_node_int(node, "spectral_subtraction_bits", 0);
    p->clamping = ledge_node_int(node, "clamping", 0) != 0;
    return use(prepare, ledge_signal_subtract_c, "signal_subtract_c", p);
}

enum ledge_status ledge_tfl_infer_signal_pcan(struct ledge_op_infer *infer)
{
    const struct ledge_value *x = ledge_infer_in(infer, 0);
    int64_t shift;
    LEDGE_TRY(want(infer, 0, LEDGE_U32));
    LEDGE_TRY(want(infer, 1, LEDGE_U32));
    LEDGE_TRY(want(infer, 2, LEDGE_I16));
    LEDGE_TRY(number(infer, "snr_shift", 0, 63, &shift));
    if (count_of(x) != count_of(ledge_infer_in(infer, 1)) ||
        count_of(ledge_infer_in(infer, 2)) < 125) {
        return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "noise or table do not fit");
    }
    return ledge_infer_out(infer, 0, LEDGE_U32, x->rank, x->dims);
}

enum ledge_status ledge_tfl_prepare_signal_pcan(struct ledge_op_prepare *prepare)
{
    struct ledge_signal_pcan_params *p = ledge_tfl_params(prepare, sizeof *p);
    if (p == NULL) {
        return LEDGE_ERR_NOMEM;
    }
    p->shift = (int32_t)ledge_node_int(prepare->node, "snr_shift", 0);
    return use(prepare, ledge_signal_pcan_c, "signal_pcan_c", p);
}

enum ledge_status ledge_tfl_infer_signal_log(struct ledge_op_infer *infer)
{
    const struct ledge_value *x = ledge_infer_in(infer, 0);
    int64_t bits;
    LEDGE_TRY(want(infer, 0, LEDGE_U32));
    LEDGE_TRY(number(infer, "input_correction_bits", 0, 31, &bits));
    return ledge_infer_out(infer, 0, LEDGE_I16, x->rank, x->dims);
}

enum ledge_status ledge_tfl_prepare_signal_log(struct ledge_op_prepare *prepare)
{
    struct ledge_signal_log_params *p = ledge_tfl_params(prepare, sizeof *p);
    if (p == NULL) {
        return LEDGE_ERR_NOMEM;
    }
    p->bits = (int32_t)ledge_node_int(prepare->node, "input_correction_bits", 0);
    p->scale = (uint32_t)ledge_node_int(prepare->node, "output_scale", 0);
    for (int32_t i = 0; i < 129; i++) {
        p->table[i] = (uint16_t)lround(65536.0 * (log2(1.0 + i / 128.0) - i / 128.0));
    }
    return use(prepare, ledge_signal_log_c, "signal_log_c", p);
}

/* -- Rfft2D -- */

enum ledge_status ledge_tfl_infer_rfft2d(struct ledge_op_infer *infer)
{
    const struct ledge_value *x = ledge_infer_in(infer, 0);
    int64_t size[2], dims[LEDGE_MAX_RANK] = {0};
    int32_t n;
    LEDGE_TRY(want(infer, 0, LEDGE_F32));
    LEDGE_TRY(ledge_infer_ints(infer, 1, size, 2, &n));
    if (n != 2 || x->rank < 2 || x->rank >= LEDGE_MAX_RANK || !power_of_2(size[0]) ||
        !power_of_2(size[1]) || size[0] > 65536 || size[1] > 65536) {
        return ledge_infer_fail(infer, LEDGE_ERR_UNSUPPORTED,
                                "a transform of sizes that are no powers of 2");
    }
    memcpy(dims, x->dims, (size_t)x->rank * sizeof *dims);
    dims[x->rank - 2] = size[0];
    dims[x->rank - 1] = size[1] / 2 + 1;
    dims[x->rank] = 2;
    return ledge_infer_out(infer, 0, LEDGE_F32, x->rank + 1, dims);
}

enum ledge_status ledge_tfl_prepare_rfft2d(struct ledge_op_prepare *prepare)
{
    const struct ledge_value *x = ledge_prepare_in(prepare, 0);
    struct ledge_tfl_rfft2d_params *p = ledge_tfl_params(prepare, sizeof *p);
    struct ledge_op_infer again = as_infer(prepare);
    int32_t n;
    if (p == NULL) {
        return LEDGE_ERR_NOMEM;
    }
    LEDGE_TRY(ledge_infer_ints(&again, 1, p->out, 2, &n));
    p->in[0] = x->dims[x->rank - 2];
    p->in[1] = x->dims[x->rank - 1];
    p->pictures = count_of(x) / p->in[0] / p->in[1];
    int64_t m = p->out[0] > p->out[1] ? p->out[0] : p->out[1];
    double *twiddles = LEDGE_NEW_ARRAY(prepare->memory, double, (size_t)m);
    prepare->scratch_bytes = ledge_tfl_rfft2d_scratch(p);
    if (twiddles == NULL || prepare->scratch_bytes == 0) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_NOMEM, "no memory");
    }
    for (int64_t i = 0; i < m / 2; i++) {
        twiddles[2 * i] = ledge_cos(-2 * PI * (double)i / (double)m);
        twiddles[2 * i + 1] = ledge_sin(-2 * PI * (double)i / (double)m);
    }
    p->twiddles = twiddles;
    return use(prepare, ledge_tfl_rfft2d_c, "tfl_rfft2d_c", p);
}
