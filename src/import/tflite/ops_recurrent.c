/* SPDX-License-Identifier: Apache-2.0 */
/* ops_recurrent.c -- SVDF and UNIDIRECTIONAL_SEQUENCE_LSTM: their variable tensors become states.
 */
#include "base/status.h"
#include "engine/kernels/tfl_recurrent.h"
#include "import/tflite/importer.h"

/* Input i in the type of the node: f32 where x is, else as it stands; -1 when absent. */
static enum ledge_status operand(struct ledge_tflite *t, const struct ledge_tflite_op *op,
                                 int32_t i, int32_t *value)
{
    *value = -1;
    if (i >= op->n_in || op->in[i] < 0) {
        return LEDGE_OK;
    }
    if (ledge_tflite_in(t, op, 0)->dtype == LEDGE_F32) {
        return ledge_tflite_float_value(t, op->in[i], value);
    }
    *value = ledge_tflite_in_value(t, op, i);
    return ledge_tflite_done(t, *value >= 0);
}

/* Inputs: x, feature weights, time weights, bias or none, state. */
enum ledge_status ledge_tflite_svdf(struct ledge_tflite *t, const struct ledge_tflite_op *op)
{
    int32_t in[5], out[2];
    for (int32_t i = 0; i < 4; i++) {
        LEDGE_TRY(operand(t, op, i, &in[i]));
    }
    LEDGE_TRY(ledge_tflite_state(t, op, 4, &in[4], &out[1]));
    if (in[4] < 0) {
        return LEDGE_OK; /* noted */
    }
    out[0] = ledge_tflite_out_value(t, op, 0);
    LEDGE_TRY(ledge_tflite_done(t, out[0] >= 0));
    int32_t node = ledge_tflite_node(t, "tfl", "SVDF", in, 5, out, 2);
    return ledge_tflite_done(
        t, node >= 0 &&
               ledge_graph_set_int(t->graph, node, "rank",
                                   ledge_fb_i32(&t->fb, op->options, SVDF_rank, 0)) &&
               ledge_graph_set_int(t->graph, node, "activation",
                                   ledge_fb_u8(&t->fb, op->options, SVDF_activation, 0)));
}

/* Numbers of TFLite's inputs. */
enum { X = 0, W = 1, R = 5, PEEPHOLE = 9, B = 12, PROJECTION = 16, H = 18, C = 19, NORM = 20 };

static bool any(const struct ledge_tflite_op *op, int32_t from, int32_t to)
{
    bool found = false;
    for (int32_t i = from; i < to && i < op->n_in; i++) {
        found = found || op->in[i] >= 0;
    }
    return found;
}

/* What of the LSTM's many variants this one has; NULL: only what there is a kernel for. */
static const char *variant(struct ledge_tflite *t, const struct ledge_tflite_op *op)
{
    bool is_float = ledge_tflite_in(t, op, X)->dtype == LEDGE_F32;
    for (int32_t i = 0; i < 4; i++) {
        bool coupled = is_float && i == 0 && op->n_in > C && !any(op, W, W + 1) &&
                       !any(op, R, R + 1) && !any(op, B, B + 1) && !any(op, PEEPHOLE, PEEPHOLE + 1);
        if (!coupled &&
            (op->n_in <= C || op->in[W + i] < 0 || op->in[R + i] < 0 || op->in[B + i] < 0)) {
            return "coupled gates";
        }
    }
    return !is_float && any(op, PEEPHOLE, B)                                         ? "peephole"
           : !is_float && any(op, PROJECTION, H)                                     ? "projection"
           : any(op, NORM, op->n_in)                                                 ? "layer norm"
           : ledge_fb_u8(&t->fb, op->options, LSTM_activation, 0) != TFLITE_ACT_TANH ? "activation"
           : ledge_fb_u8(&t->fb, op->options, LSTM_diagonal, 0) != 0                 ? "diagonal"
                                                                                     : NULL;
}

/* Scale and zero point of the fifth intermediate tensor: what o tanh(c) is rounded to. */
static bool set_hidden(struct ledge_tflite *t, const struct ledge_tflite_op *op, int32_t node)
{
    int32_t number = op->intermediates.n > 4 ? ledge_fb_item_i32(op->intermediates, 4) : -1;
    if (number < 0 || number >= t->n_tensors || t->tensors[number].scales.n != 1) {
        return true; /* the operator says that there is no scale */
    }
    const struct ledge_tflite_tensor *hidden = &t->tensors[number];
    return ledge_graph_set_float(t->graph, node, "hidden_scale",
                                 ledge_fb_item_f32(hidden->scales, 0)) &&
           ledge_graph_set_int(t->graph, node, "hidden_zero",
                               hidden->zeros.n > 0 ? ledge_fb_item_i64(hidden->zeros, 0) : 0);
}

enum ledge_status ledge_tflite_lstm(struct ledge_tflite *t, const struct ledge_tflite_op *op)
{
    const char *odd = variant(t, op);
    if (odd != NULL) {
        return ledge_tflite_unsupported(t, op, odd);
    }
    int32_t in[LEDGE_LSTM_MORE_INPUTS], out[3];
    bool is_float = ledge_tflite_in(t, op, X)->dtype == LEDGE_F32;
    LEDGE_TRY(operand(t, op, X, &in[LEDGE_LSTM_X]));
    for (int32_t i = 0; i < 4; i++) {
        LEDGE_TRY(operand(t, op, W + i, &in[LEDGE_LSTM_W + i]));
        LEDGE_TRY(operand(t, op, R + i, &in[LEDGE_LSTM_R + i]));
        LEDGE_TRY(operand(t, op, B + i, &in[LEDGE_LSTM_B + i]));
    }
    for (int32_t i = 0; is_float && i < LEDGE_LSTM_MORE_INPUTS - LEDGE_LSTM_PEEPHOLE; i++) {
        LEDGE_TRY(operand(t, op, i < 3 ? PEEPHOLE + i : PROJECTION + i - 3,
                          &in[LEDGE_LSTM_PEEPHOLE + i]));
    }
    LEDGE_TRY(ledge_tflite_state(t, op, H, &in[LEDGE_LSTM_H], &out[1]));
    LEDGE_TRY(ledge_tflite_state(t, op, C, &in[LEDGE_LSTM_C], &out[2]));
    if (in[LEDGE_LSTM_H] < 0 || in[LEDGE_LSTM_C] < 0) {
        return LEDGE_OK; /* noted */
    }
    out[0] = ledge_tflite_out_value(t, op, 0);
    LEDGE_TRY(ledge_tflite_done(t, out[0] >= 0));
    int32_t node = ledge_tflite_node(t, "tfl", "SequenceLstm", in,
                                     is_float ? LEDGE_LSTM_MORE_INPUTS : LEDGE_LSTM_INPUTS, out, 3);
    return ledge_tflite_done(
        t, node >= 0 && set_hidden(t, op, node) &&
               ledge_graph_set_float(t->graph, node, "cell_clip",
                                     ledge_fb_f32(&t->fb, op->options, LSTM_cell_clip, 0)) &&
               ledge_graph_set_float(t->graph, node, "projection_clip",
                                     ledge_fb_f32(&t->fb, op->options, LSTM_proj_clip, 0)) &&
               ledge_graph_set_int(t->graph, node, "time_major",
                                   ledge_fb_u8(&t->fb, op->options, LSTM_time_major, 0)));
}
