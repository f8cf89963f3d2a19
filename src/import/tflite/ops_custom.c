/* SPDX-License-Identifier: Apache-2.0 */
/* ops_custom.c -- custom operators by name (detection post-process, TFLM's signal operators), and
 * the transforms. Options of the same name become attributes. */
#include <string.h>

#include "base/status.h"
#include "import/tflite/flexmap.h"
#include "import/tflite/importer.h"

enum { MAX_IN = 6, MAX_OUT = 4, MAX_OPTIONS = 12 };

struct custom {
    const char *name;
    const char *op;
    int32_t n_in, n_out;
    bool floats;                      /* quantised inputs are dequantised first */
    bool state;                       /* output 1 is kept and given back as the last input */
    const char *options[MAX_OPTIONS]; /* numbers without a fraction, or as the prefix ":" says */
};

static const struct custom customs[] = {
    {"SignalEnergy", "SignalEnergy", 1, 1, false, false, {"start_index", "end_index"}},
    {"SignalFftAutoScale", "SignalFftAutoScale", 1, 2, false, false, {NULL}},
    {"SignalFilterBank", "SignalFilterBank", 6, 1, false, false, {"num_channels"}},
    {"SignalFilterBankLog",
     "SignalFilterBankLog",
     1,
     1,
     false,
     false,
     {"input_correction_bits", "output_scale"}},
    {"SignalFilterBankSpectralSubtraction",
     "SignalFilterBankSpectralSubtraction",
     1,
     2,
     false,
     true,
     {"alternate_one_minus_smoothing", "alternate_smoothing", "clamping", "min_signal_remaining",
      "one_minus_smoothing", "smoothing", "smoothing_bits", "spectral_subtraction_bits"}},
    {"SignalFilterBankSquareRoot", "SignalFilterBankSquareRoot", 2, 1, false, false, {NULL}},
    {"SignalPCAN", "SignalPCAN", 3, 1, false, false, {"snr_shift"}},
    {"SignalRfft", "SignalRfft", 1, 1, false, false, {"fft_length"}},
    {"SignalWindow", "SignalWindow", 2, 1, false, false, {"shift"}},
    {"TFLite_Detection_PostProcess",
     "DetectionPostProcess",
     3,
     4,
     true,
     false,
     {"max_detections", "max_classes_per_detection", "detections_per_class", "use_regular_nms",
      "num_classes", ":nms_score_threshold", ":nms_iou_threshold", ":y_scale", ":x_scale",
      ":h_scale", ":w_scale"}},
};

/* Attributes of node; an option that is absent is left out. */
static bool set_options(struct ledge_tflite *t, const struct custom *custom, int32_t node,
                        const struct ledge_flexmap *map)
{
    bool ok = true;
    for (int i = 0; i < MAX_OPTIONS && custom->options[i] != NULL; i++) {
        const char *name = custom->options[i];
        if (name[0] == ':') {
            ok = ok && ledge_graph_set_float(t->graph, node, name + 1,
                                             ledge_flexmap_float(map, name + 1, 0));
            continue;
        }
        int64_t value = ledge_flexmap_int(map, name, INT64_MIN);
        ok = ok && (value == INT64_MIN || ledge_graph_set_int(t->graph, node, name, value));
    }
    return ok;
}

static enum ledge_status input_of(struct ledge_tflite *t, const struct ledge_tflite_op *op,
                                  const struct custom *custom, int32_t i, int32_t *value)
{
    const struct ledge_tflite_tensor *x = ledge_tflite_in(t, op, i);
    if (custom->floats) {
        LEDGE_TRY(ledge_tflite_float_value(t, op->in[i], value)); /* constants */
    } else {
        *value = ledge_tflite_in_value(t, op, i);
    }
    LEDGE_TRY(ledge_tflite_done(t, *value >= 0));
    if (!custom->floats || x->data != NULL || !ledge_tflite_quantised(x)) {
        return LEDGE_OK;
    }
    int32_t real = ledge_tflite_temp(t);
    int32_t from = *value;
    *value = real;
    return ledge_tflite_done(t, ledge_tflite_node1(t, "tfl", "Dequantize", from, real) >= 0);
}

/* The state of a node that has no tensor for it: as output 1, zeros at first. */
static enum ledge_status add_state(struct ledge_tflite *t, const struct ledge_tflite_op *op,
                                   int32_t out, int32_t *in)
{
    const struct ledge_tflite_tensor *y = ledge_tflite_out(t, op, 1);
    *in = ledge_graph_add_value(t->graph, NULL, y->dtype, y->rank, y->dims);
    LEDGE_TRY(ledge_tflite_done(t, *in >= 0));
    int32_t state = ledge_graph_add_state(t->graph, (struct ledge_state){*in, out, -1});
    return ledge_tflite_done(t, state >= 0);
}

static enum ledge_status add_custom(struct ledge_tflite *t, const struct ledge_tflite_op *op,
                                    const struct custom *custom)
{
    struct ledge_flexmap map;
    int32_t in[MAX_IN + 1], out[MAX_OUT], n_in = custom->n_in;
    if (op->n_in < custom->n_in || op->n_out != custom->n_out ||
        !ledge_flexmap_open(&map, op->custom.data, op->custom.n)) {
        return ledge_tflite_unsupported(t, op, "inputs or options");
    }
    for (int32_t i = 0; i < custom->n_in + custom->n_out; i++) {
        if ((i < custom->n_in ? op->in[i] : op->out[i - custom->n_in]) < 0) {
            return ledge_tflite_unsupported(t, op, "inputs or options");
        }
    }
    if (custom->state && (t->graph->depth > 0 || t->graph->n_states >= TFLITE_MAX_STATES)) {
        return ledge_tflite_unsupported(t, op, "too many, or in IF or WHILE");
    }
    for (int32_t i = 0; i < custom->n_in; i++) {
        LEDGE_TRY(input_of(t, op, custom, i, &in[i]));
    }
    for (int32_t i = 0; i < custom->n_out; i++) {
        out[i] = ledge_tflite_out_value(t, op, i);
        LEDGE_TRY(ledge_tflite_done(t, out[i] >= 0));
    }
    if (custom->state) {
        LEDGE_TRY(add_state(t, op, out[1], &in[n_in++]));
    }
    int32_t node = ledge_tflite_node(t, "tfl", custom->op, in, n_in, out, custom->n_out);
    return ledge_tflite_done(t, node >= 0 && set_options(t, custom, node, &map));
}

enum ledge_status ledge_tflite_custom(struct ledge_tflite *t, const struct ledge_tflite_op *op)
{
    for (size_t i = 0; i < sizeof customs / sizeof customs[0]; i++) {
        if (strcmp(customs[i].name, op->name) == 0) {
            return add_custom(t, op, &customs[i]);
        }
    }
    return ledge_tflite_unsupported(t, op, NULL);
}

/* Complex tensors are f32 with one more dimension of 2 (model.c). */
enum ledge_status ledge_tflite_rfft2d(struct ledge_tflite *t, const struct ledge_tflite_op *op)
{
    if (!ledge_tflite_out(t, op, 0)->is_complex || ledge_tflite_in(t, op, 0)->is_complex) {
        return ledge_tflite_unsupported(t, op, "type");
    }
    return ledge_tflite_done(t,
                             ledge_tflite_node2(t, "tfl", "Rfft2D", ledge_tflite_in_value(t, op, 0),
                                                ledge_tflite_in_value(t, op, 1),
                                                ledge_tflite_out_value(t, op, 0)) >= 0);
}

enum ledge_status ledge_tflite_complex_abs(struct ledge_tflite *t, const struct ledge_tflite_op *op)
{
    const int64_t last = -1;
    if (!ledge_tflite_in(t, op, 0)->is_complex || ledge_tflite_out(t, op, 0)->is_complex) {
        return ledge_tflite_unsupported(t, op, "type");
    }
    int32_t node = ledge_tflite_node1(t, "", "ReduceL2", ledge_tflite_in_value(t, op, 0),
                                      ledge_tflite_out_value(t, op, 0));
    return ledge_tflite_done(t, node >= 0 && ledge_graph_set_int(t->graph, node, "keepdims", 0) &&
                                    ledge_graph_set_ints(t->graph, node, "axes", &last, 1));
}
