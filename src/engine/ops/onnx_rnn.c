/* SPDX-License-Identifier: Apache-2.0 */
/* onnx_rnn.c -- RNN, GRU, LSTM. */
#include <string.h>

#include "engine/kernels/f32.h"
#include "engine/ops/onnx.h"

#include "base/banned.h"

/* activation name, what its alpha and beta are when the node does not say */
static const struct {
    const char *name;
    enum ledge_activation_kind kind;
    float alpha, beta;
} activations[] = {
    {"Sigmoid", LEDGE_ACT_SIGMOID, 0, 0},
    {"Tanh", LEDGE_ACT_TANH, 0, 0},
    {"Relu", LEDGE_ACT_RELU, 0, 0},
    {"HardSigmoid", LEDGE_ACT_HARD_SIGMOID, 0.2f, 0.5f},
    {"Softsign", LEDGE_ACT_SOFTSIGN, 0, 0},
    {"Softplus", LEDGE_ACT_SOFTPLUS, 0, 0},
    {"Affine", LEDGE_ACT_AFFINE, 1, 0},
    {"LeakyRelu", LEDGE_ACT_LEAKY_RELU, 0.01f, 0},
    {"ThresholdedRelu", LEDGE_ACT_THRESHOLDED_RELU, 1, 0},
    {"ScaledTanh", LEDGE_ACT_SCALED_TANH, 1, 1},
    {"Elu", LEDGE_ACT_ELU, 1, 0},
};

static enum ledge_status set_activation(const struct ledge_op_infer *infer, struct ledge_rnn *rnn,
                                        int32_t number, int32_t per, const char *name,
                                        size_t length)
{
    const struct ledge_attr *alpha = ledge_node_attr(infer->node, "activation_alpha");
    const struct ledge_attr *beta = ledge_node_attr(infer->node, "activation_beta");
    int32_t d = number / per, k = number % per;
    for (size_t i = 0; i < sizeof activations / sizeof activations[0]; i++) {
        if (strlen(activations[i].name) != length ||
            memcmp(activations[i].name, name, length) != 0) {
            continue;
        }
        rnn->act[d][k] = activations[i].kind;
        rnn->alpha[d][k] = activations[i].alpha;
        rnn->beta[d][k] = activations[i].beta;
        if (alpha != NULL && alpha->type == LEDGE_ATTR_FLOATS && (size_t)number < alpha->n) {
            rnn->alpha[d][k] = alpha->floats[number];
        }
        if (beta != NULL && beta->type == LEDGE_ATTR_FLOATS && (size_t)number < beta->n) {
            rnn->beta[d][k] = beta->floats[number];
        }
        return LEDGE_OK;
    }
    return ledge_infer_fail(infer, LEDGE_ERR_UNSUPPORTED, "activation %.*s",
                            (int)(length < 40 ? length : 40), name);
}

/* The attribute is a list, which the importer joined with newlines. */
static enum ledge_status read_activations(const struct ledge_op_infer *infer, struct ledge_rnn *rnn)
{
    static const char *const defaults[] = {[LEDGE_RNN] = "Tanh\nTanh",
                                           [LEDGE_GRU] = "Sigmoid\nTanh\nSigmoid\nTanh",
                                           [LEDGE_LSTM] =
                                               "Sigmoid\nTanh\nTanh\nSigmoid\nTanh\nTanh"};
    int32_t per = rnn->kind == LEDGE_LSTM ? 3 : rnn->kind == LEDGE_GRU ? 2 : 1;
    const char *text = ledge_node_string(infer->node, "activations", defaults[rnn->kind]);
    for (int32_t i = 0; i < per * (int32_t)rnn->directions; i++) {
        size_t length = strcspn(text, "\n");
        LEDGE_TRY(set_activation(infer, rnn, i, per, text, length));
        text += length + (text[length] == '\n');
    }
    return LEDGE_OK;
}

static enum ledge_status check_shape(const struct ledge_op_infer *infer, int32_t i, int32_t rank,
                                     int64_t a, int64_t b, int64_t c)
{
    const struct ledge_value *v = ledge_infer_in(infer, i);
    if (v == NULL) {
        return LEDGE_OK;
    }
    LEDGE_TRY(ledge_onnx_dtype_is(infer, i, LEDGE_F32));
    bool fits =
        v->rank == rank && v->dims[0] == a && v->dims[1] == b && (rank < 3 || v->dims[2] == c);
    return fits ? LEDGE_OK : ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "shape of input %d", (int)i);
}

static enum ledge_status check_inputs(const struct ledge_op_infer *infer, const struct ledge_rnn *r)
{
    int64_t gates = r->kind == LEDGE_LSTM ? 4 : r->kind == LEDGE_GRU ? 3 : 1;
    int64_t d = r->directions, h = r->hidden, b = r->batch;
    const struct ledge_value *lengths = ledge_infer_in(infer, 4);
    LEDGE_TRY(check_shape(infer, 1, 3, d, gates * h, r->inputs));
    LEDGE_TRY(check_shape(infer, 2, 3, d, gates * h, h));
    LEDGE_TRY(check_shape(infer, 3, 2, d, 2 * gates * h, 0));
    LEDGE_TRY(check_shape(infer, 5, 3, r->batch_first ? b : d, r->batch_first ? d : b, h));
    if (r->kind == LEDGE_LSTM) {
        LEDGE_TRY(check_shape(infer, 6, 3, r->batch_first ? b : d, r->batch_first ? d : b, h));
        LEDGE_TRY(check_shape(infer, 7, 2, d, 3 * h, 0));
    }
    if (lengths != NULL &&
        (lengths->dtype != LEDGE_I32 || lengths->rank != 1 || lengths->dims[0] != b)) {
        return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "shape or type of sequence_lens");
    }
    return LEDGE_OK;
}

static enum ledge_status parse(const struct ledge_op_infer *infer, struct ledge_rnn *r)
{
    const struct ledge_node *node = infer->node;
    LEDGE_TRY(ledge_onnx_need(infer, 3));
    LEDGE_TRY(ledge_onnx_dtype_is(infer, 0, LEDGE_F32));
    const struct ledge_value *x = ledge_infer_in(infer, 0), *weights = ledge_infer_in(infer, 2);
    const char *direction = ledge_node_string(node, "direction", "forward");
    if (x->rank != 3 || weights->rank != 3) {
        return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "X or R is not of rank 3");
    }
    bool batch_first = ledge_node_int(node, "layout", 0) != 0;
    *r = (struct ledge_rnn){.kind = strcmp(node->op, "LSTM") == 0  ? LEDGE_LSTM
                                    : strcmp(node->op, "GRU") == 0 ? LEDGE_GRU
                                                                   : LEDGE_RNN,
                            .steps = x->dims[batch_first ? 1 : 0],
                            .batch = x->dims[batch_first ? 0 : 1],
                            .inputs = x->dims[2],
                            .hidden = ledge_node_int(node, "hidden_size", weights->dims[2]),
                            .directions = strcmp(direction, "bidirectional") == 0 ? 2 : 1,
                            .reverse = strcmp(direction, "reverse") == 0,
                            .batch_first = batch_first,
                            .linear_before_reset =
                                ledge_node_int(node, "linear_before_reset", 0) != 0,
                            .input_forget = ledge_node_int(node, "input_forget", 0) != 0,
                            .clip = ledge_node_float(node, "clip", 0.0f)};
    if (r->hidden < 1 || r->hidden > 1 << 24) {
        return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "hidden_size %lld", (long long)r->hidden);
    }
    LEDGE_TRY(check_inputs(infer, r));
    return read_activations(infer, r);
}

enum ledge_status ledge_onnx_rnn_infer(struct ledge_op_infer *infer)
{
    struct ledge_rnn r;
    LEDGE_TRY(parse(infer, &r));
    int64_t all[4] = {r.steps, r.directions, r.batch, r.hidden};
    int64_t last[3] = {r.directions, r.batch, r.hidden};
    if (r.batch_first) {
        memcpy(all, (int64_t[]){r.batch, r.steps, r.directions, r.hidden}, sizeof all);
        memcpy(last, (int64_t[]){r.batch, r.directions, r.hidden}, sizeof last);
    }
    LEDGE_TRY(ledge_infer_out(infer, 1, LEDGE_F32, 3, last));
    if (r.kind == LEDGE_LSTM) {
        LEDGE_TRY(ledge_infer_out(infer, 2, LEDGE_F32, 3, last));
    }
    return ledge_infer_out(infer, 0, LEDGE_F32, 4, all);
}

static void pack(const struct ledge_op_prepare *prepare, void *packed)
{
    ledge_rnn_pack(prepare->params, ledge_prepare_in(prepare, 1)->data,
                   ledge_prepare_in(prepare, 2)->data, packed);
}

enum ledge_status ledge_onnx_rnn_prepare(struct ledge_op_prepare *prepare)
{
    struct ledge_op_infer infer = ledge_onnx_as_infer(prepare);
    struct ledge_rnn r;
    LEDGE_TRY(parse(&infer, &r));
    int64_t gates = r.kind == LEDGE_LSTM ? 4 : r.kind == LEDGE_GRU ? 3 : 1;
    prepare->macs = r.steps * r.batch * r.directions * gates * r.hidden * (r.inputs + r.hidden);
    if (ledge_prepare_in(prepare, 1)->data != NULL && ledge_prepare_in(prepare, 2)->data != NULL) {
        ledge_rnn_plan(&r, ledge_f32_for(prepare->rung, prepare->consistent), prepare->threads);
        prepare->packed_bytes = ledge_rnn_packed_floats(&r) * sizeof(float);
        prepare->packed_inputs = 1u << 1 | 1u << 2;
        prepare->pack = LEDGE_PACKER(pack);
    }
    prepare->scratch_bytes = ledge_rnn_scratch(&r);
    return ledge_onnx_ready(prepare, ledge_rnn_f32,
                            r.kind == LEDGE_LSTM  ? "LSTM_f32"
                            : r.kind == LEDGE_GRU ? "GRU_f32"
                                                  : "RNN_f32",
                            &r, sizeof r);
}
