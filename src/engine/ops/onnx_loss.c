/* SPDX-License-Identifier: Apache-2.0 */
/* onnx_loss.c -- NegativeLogLikelihoodLoss, SoftmaxCrossEntropyLoss. */
#include "engine/kernels/onnx_loss.h"

#include <string.h>

#include "engine/ops/onnx.h"

#include "base/banned.h"

static enum ledge_status parse(const struct ledge_op_infer *infer, struct ledge_loss *loss)
{
    const char *reduction = ledge_node_string(infer->node, "reduction", "mean");
    LEDGE_TRY(ledge_onnx_need(infer, 2));
    LEDGE_TRY(ledge_onnx_dtype_is(infer, 0, LEDGE_F32));
    LEDGE_TRY(ledge_onnx_dtype_is(infer, 2, LEDGE_F32));
    const struct ledge_value *x = ledge_infer_in(infer, 0), *target = ledge_infer_in(infer, 1),
                             *weight = ledge_infer_in(infer, 2);
    bool fits = x->rank >= 2 && target->rank == x->rank - 1 &&
                (target->dtype == LEDGE_I64 || target->dtype == LEDGE_I32);
    for (int32_t i = 0; fits && i < target->rank; i++) {
        fits = target->dims[i] == x->dims[i == 0 ? 0 : i + 1];
    }
    if (!fits || (weight != NULL && (weight->rank != 1 || weight->dims[0] != x->dims[1]))) {
        return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "scores, targets, weights do not fit");
    }
    struct ledge_axis s = ledge_onnx_split(x, 1);
    *loss = (struct ledge_loss){.n = s.outer,
                                .c = s.n,
                                .inner = s.inner,
                                .softmax = strcmp(infer->node->op, "SoftmaxCrossEntropyLoss") == 0,
                                .has_ignore = ledge_node_attr(infer->node, "ignore_index") != NULL,
                                .ignore = ledge_node_int(infer->node, "ignore_index", 0)};
    loss->reduction = strcmp(reduction, "mean") == 0  ? LEDGE_LOSS_MEAN
                      : strcmp(reduction, "sum") == 0 ? LEDGE_LOSS_SUM
                                                      : LEDGE_LOSS_NONE;
    if (loss->reduction == LEDGE_LOSS_NONE && strcmp(reduction, "none") != 0) {
        return ledge_infer_fail(infer, LEDGE_ERR_UNSUPPORTED, "reduction %.40s", reduction);
    }
    return LEDGE_OK;
}

enum ledge_status ledge_onnx_loss_infer(struct ledge_op_infer *infer)
{
    struct ledge_loss loss;
    LEDGE_TRY(parse(infer, &loss));
    const struct ledge_value *x = ledge_infer_in(infer, 0), *target = ledge_infer_in(infer, 1);
    if (loss.softmax) {
        LEDGE_TRY(ledge_infer_out(infer, 1, LEDGE_F32, x->rank, x->dims));
    }
    return ledge_infer_out(infer, 0, LEDGE_F32,
                           loss.reduction == LEDGE_LOSS_NONE ? target->rank : 0, target->dims);
}

enum ledge_status ledge_onnx_loss_prepare(struct ledge_op_prepare *prepare)
{
    struct ledge_op_infer infer = ledge_onnx_as_infer(prepare);
    struct ledge_loss loss;
    LEDGE_TRY(parse(&infer, &loss));
    return ledge_onnx_ready(prepare, ledge_loss_c, "Loss_c", &loss, sizeof loss);
}
