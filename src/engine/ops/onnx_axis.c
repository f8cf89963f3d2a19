/* SPDX-License-Identifier: Apache-2.0 */
/* onnx_axis.c -- reductions over a set of axes, and operators along one: ArgMax, CumSum, TopK,
 * Softmax. */
#include <string.h>

#include "engine/ops/onnx.h"

#include "base/banned.h"

/* -- Reduce* -- */

static const char *const reduce_names[] = {
    [LEDGE_REDUCE_SUM] = "ReduceSum",
    [LEDGE_REDUCE_MEAN] = "ReduceMean",
    [LEDGE_REDUCE_MAX] = "ReduceMax",
    [LEDGE_REDUCE_MIN] = "ReduceMin",
    [LEDGE_REDUCE_PROD] = "ReduceProd",
    [LEDGE_REDUCE_L1] = "ReduceL1",
    [LEDGE_REDUCE_L2] = "ReduceL2",
    [LEDGE_REDUCE_LOG_SUM] = "ReduceLogSum",
    [LEDGE_REDUCE_LOG_SUM_EXP] = "ReduceLogSumExp",
    [LEDGE_REDUCE_SUM_SQUARE] = "ReduceSumSquare",
};

/* Which axes go. Axes are an attribute up to 17 (ReduceSum: 12), then an input; none means all,
 * unless the node says that it means none. */
static enum ledge_status reduce_axes(const struct ledge_op_infer *infer, bool gone[LEDGE_MAX_RANK])
{
    const struct ledge_value *x = ledge_infer_in(infer, 0);
    int64_t axes[LEDGE_MAX_RANK];
    int32_t n;
    LEDGE_TRY(ledge_onnx_list(infer, "axes", 1, axes, LEDGE_MAX_RANK, &n));
    bool all = n <= 0 && ledge_node_int(infer->node, "noop_with_empty_axes", 0) == 0;
    for (int32_t i = 0; i < x->rank; i++) {
        gone[i] = all;
    }
    for (int32_t i = 0; i < n; i++) {
        int32_t axis;
        LEDGE_TRY(ledge_onnx_axis(infer, axes[i], x->rank, &axis));
        gone[axis] = true;
    }
    return LEDGE_OK;
}

enum ledge_status ledge_onnx_reduce_infer(struct ledge_op_infer *infer)
{
    bool gone[LEDGE_MAX_RANK], keep = ledge_node_int(infer->node, "keepdims", 1) != 0;
    int64_t dims[LEDGE_MAX_RANK];
    int32_t n = 0;
    LEDGE_TRY(ledge_onnx_need(infer, 1));
    LEDGE_TRY(reduce_axes(infer, gone));
    const struct ledge_value *x = ledge_infer_in(infer, 0);
    for (int32_t i = 0; i < x->rank; i++) {
        if (!gone[i] || keep) {
            dims[n++] = gone[i] ? 1 : x->dims[i];
        }
    }
    return ledge_infer_out(infer, 0, x->dtype, n, dims);
}

enum ledge_status ledge_onnx_reduce_prepare(struct ledge_op_prepare *prepare)
{
    struct ledge_op_infer infer = ledge_onnx_as_infer(prepare);
    const struct ledge_value *x = ledge_prepare_in(prepare, 0);
    struct ledge_reduce params = {0};
    bool gone[LEDGE_MAX_RANK];
    int64_t strides[LEDGE_MAX_RANK];
    LEDGE_TRY(reduce_axes(&infer, gone));
    ledge_onnx_strides(x->dims, x->rank, strides);
    for (size_t i = 0; i < sizeof reduce_names / sizeof reduce_names[0]; i++) {
        if (strcmp(reduce_names[i], prepare->node->op) == 0) {
            params.kind = (enum ledge_reduce_kind)i;
        }
    }
    for (int32_t i = 0; i < x->rank; i++) {
        int32_t *n = gone[i] ? &params.n_fold : &params.n_keep;
        int64_t *dims = gone[i] ? params.fold : params.keep;
        int64_t *steps = gone[i] ? params.fold_stride : params.keep_stride;
        if (*n > 0 && steps[*n - 1] == strides[i] * x->dims[i] && i > 0 && gone[i - 1] == gone[i]) {
            dims[*n - 1] *= x->dims[i];
            steps[*n - 1] = strides[i];
            continue;
        }
        dims[*n] = x->dims[i];
        steps[(*n)++] = strides[i];
    }
    if (params.n_fold == 0) {
        params.n_fold = 1;
        params.fold[0] = params.fold_stride[0] = 1;
    }
    return ledge_onnx_ready(prepare, ledge_reduce_c, "Reduce_c", &params, sizeof params);
}

/* -- ArgMax, ArgMin -- */

enum ledge_status ledge_onnx_argmax_infer(struct ledge_op_infer *infer)
{
    int32_t axis, n = 0;
    int64_t dims[LEDGE_MAX_RANK];
    LEDGE_TRY(ledge_onnx_need(infer, 1));
    const struct ledge_value *x = ledge_infer_in(infer, 0);
    LEDGE_TRY(ledge_onnx_axis(infer, ledge_node_int(infer->node, "axis", 0), x->rank, &axis));
    if (x->dims[axis] == 0) {
        return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "nothing on axis %d", (int)axis);
    }
    for (int32_t i = 0; i < x->rank; i++) {
        if (i != axis || ledge_node_int(infer->node, "keepdims", 1) != 0) {
            dims[n++] = i == axis ? 1 : x->dims[i];
        }
    }
    return ledge_infer_out(infer, 0, LEDGE_I64, n, dims);
}

enum ledge_status ledge_onnx_argmax_prepare(struct ledge_op_prepare *prepare)
{
    struct ledge_op_infer infer = ledge_onnx_as_infer(prepare);
    const struct ledge_value *x = ledge_prepare_in(prepare, 0);
    int32_t axis;
    LEDGE_TRY(ledge_onnx_axis(&infer, ledge_node_int(prepare->node, "axis", 0), x->rank, &axis));
    struct ledge_axis params = ledge_onnx_split(x, axis);
    params.flags = strcmp(prepare->node->op, "ArgMin") == 0 ? LEDGE_ARG_MIN : 0;
    if (ledge_node_int(prepare->node, "select_last_index", 0) != 0) {
        params.flags |= LEDGE_ARG_LAST;
    }
    return ledge_onnx_ready(prepare, ledge_argmax_c, "ArgMax_c", &params, sizeof params);
}

/* -- CumSum, CumProd -- */

static enum ledge_status cumulate_axis(const struct ledge_op_infer *infer, int32_t *axis)
{
    int64_t value;
    int32_t n;
    LEDGE_TRY(ledge_infer_ints(infer, 1, &value, 1, &n));
    if (n != 1) {
        return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "axis is not one number");
    }
    return ledge_onnx_axis(infer, value, ledge_infer_in(infer, 0)->rank, axis);
}

enum ledge_status ledge_onnx_cumulate_infer(struct ledge_op_infer *infer)
{
    int32_t axis;
    LEDGE_TRY(ledge_onnx_need(infer, 2));
    LEDGE_TRY(cumulate_axis(infer, &axis));
    const struct ledge_value *x = ledge_infer_in(infer, 0);
    return ledge_infer_out(infer, 0, x->dtype, x->rank, x->dims);
}

enum ledge_status ledge_onnx_cumulate_prepare(struct ledge_op_prepare *prepare)
{
    struct ledge_op_infer infer = ledge_onnx_as_infer(prepare);
    int32_t axis;
    LEDGE_TRY(cumulate_axis(&infer, &axis));
    struct ledge_axis params = ledge_onnx_split(ledge_prepare_in(prepare, 0), axis);
    params.flags = strcmp(prepare->node->op, "CumProd") == 0 ? LEDGE_CUM_PRODUCT : 0;
    if (ledge_node_int(prepare->node, "exclusive", 0) != 0) {
        params.flags |= LEDGE_CUM_EXCLUSIVE;
    }
    if (ledge_node_int(prepare->node, "reverse", 0) != 0) {
        params.flags |= LEDGE_CUM_REVERSE;
    }
    return ledge_onnx_ready(prepare, ledge_cumulate_c, "CumSum_c", &params, sizeof params);
}

/* -- TopK -- */

static enum ledge_status parse_topk(const struct ledge_op_infer *infer, struct ledge_topk *topk)
{
    const struct ledge_value *x = ledge_infer_in(infer, 0);
    int32_t axis, n = 1;
    topk->k = ledge_node_int(infer->node, "k", -1);
    if (ledge_infer_in(infer, 1) != NULL) {
        LEDGE_TRY(ledge_infer_ints(infer, 1, &topk->k, 1, &n));
    }
    LEDGE_TRY(ledge_onnx_axis(infer, ledge_node_int(infer->node, "axis", -1), x->rank, &axis));
    topk->axis = ledge_onnx_split(x, axis);
    topk->axis.flags = ledge_node_int(infer->node, "largest", 1) == 0 ? LEDGE_TOP_SMALLEST : 0;
    if (n != 1 || topk->k < 0 || topk->k > topk->axis.n) {
        return ledge_infer_fail(infer, LEDGE_ERR_RANGE, "k is %lld of %lld", (long long)topk->k,
                                (long long)topk->axis.n);
    }
    return LEDGE_OK;
}

enum ledge_status ledge_onnx_topk_infer(struct ledge_op_infer *infer)
{
    struct ledge_topk topk;
    int64_t dims[LEDGE_MAX_RANK];
    int32_t axis;
    LEDGE_TRY(ledge_onnx_need(infer, 1));
    LEDGE_TRY(parse_topk(infer, &topk));
    const struct ledge_value *x = ledge_infer_in(infer, 0);
    LEDGE_TRY(ledge_onnx_axis(infer, ledge_node_int(infer->node, "axis", -1), x->rank, &axis));
    memcpy(dims, x->dims, sizeof dims);
    dims[axis] = topk.k;
    LEDGE_TRY(ledge_infer_out(infer, 1, LEDGE_I64, x->rank, dims));
    return ledge_infer_out(infer, 0, x->dtype, x->rank, dims);
}

enum ledge_status ledge_onnx_topk_prepare(struct ledge_op_prepare *prepare)
{
    struct ledge_op_infer infer = ledge_onnx_as_infer(prepare);
    struct ledge_topk topk;
    LEDGE_TRY(parse_topk(&infer, &topk));
    prepare->scratch_bytes = (size_t)topk.k * LEDGE_TOPK_BYTES;
    return ledge_onnx_ready(prepare, ledge_topk_c, "TopK_c", &topk, sizeof topk);
}

/* -- Softmax -- */

enum ledge_status ledge_onnx_softmax_infer(struct ledge_op_infer *infer)
{
    int32_t axis;
    LEDGE_TRY(ledge_onnx_need(infer, 1));
    const struct ledge_value *x = ledge_infer_in(infer, 0);
    if (x->dtype != LEDGE_F32 && x->dtype != LEDGE_F64 && x->dtype != LEDGE_F16 &&
        x->dtype != LEDGE_BF16) {
        return ledge_infer_fail(infer, LEDGE_ERR_DTYPE, "not done for %s",
                                ledge_dtype_text(x->dtype));
    }
    LEDGE_TRY(ledge_onnx_axis(infer,
                              ledge_node_int(infer->node, "axis", infer->node->opset < 13 ? 1 : -1),
                              x->rank, &axis));
    return ledge_infer_out(infer, 0, x->dtype, x->rank, x->dims);
}

enum ledge_status ledge_onnx_softmax_prepare(struct ledge_op_prepare *prepare)
{
    struct ledge_op_infer infer = ledge_onnx_as_infer(prepare);
    const struct ledge_value *x = ledge_prepare_in(prepare, 0);
    bool flat = prepare->node->opset < 13;
    int32_t axis;
    LEDGE_TRY(ledge_onnx_axis(&infer, ledge_node_int(prepare->node, "axis", flat ? 1 : -1), x->rank,
                              &axis));
    struct ledge_axis params = ledge_onnx_split(x, axis);
    if (flat) { /* up to opset 12 everything from the axis on is one row */
        params.n *= params.inner;
        params.inner = 1;
    }
    params.flags = strcmp(prepare->node->op, "LogSoftmax") == 0 ? LEDGE_SOFTMAX_LOG
                   : strcmp(prepare->node->op, "Hardmax") == 0  ? LEDGE_SOFTMAX_HARD
                                                                : 0;
    prepare->in_place = x->dtype == LEDGE_F32 ? 0 : -1;
    return ledge_onnx_ready(prepare, ledge_softmax_c, "Softmax_c", &params, sizeof params);
}
