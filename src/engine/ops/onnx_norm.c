/* SPDX-License-Identifier: Apache-2.0 */
/* onnx_norm.c -- normalisations, f32. */
#include <string.h>

#include "engine/ops/onnx.h"

#include "base/banned.h"

/* Input i holds n elements of f32. */
static enum ledge_status need_vector(const struct ledge_op_infer *infer, int32_t i, int64_t n)
{
    const struct ledge_value *v = ledge_infer_in(infer, i);
    LEDGE_TRY(ledge_onnx_dtype_is(infer, i, LEDGE_F32));
    return ledge_onnx_count(v) == n
               ? LEDGE_OK
               : ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "input %d has %lld elements, not %lld",
                                  (int)i, (long long)ledge_onnx_count(v), (long long)n);
}

enum ledge_status ledge_onnx_batch_norm_infer(struct ledge_op_infer *infer)
{
    LEDGE_TRY(ledge_onnx_need(infer, 5));
    LEDGE_TRY(ledge_onnx_dtype_is(infer, 0, LEDGE_F32));
    const struct ledge_value *x = ledge_infer_in(infer, 0);
    bool training = ledge_node_int(infer->node, "training_mode", 0) != 0;
    if (x->rank < 2 || ledge_node_int(infer->node, "spatial", 1) == 0) {
        return ledge_infer_fail(infer, LEDGE_ERR_UNSUPPORTED, "rank below 2, or not spatial");
    }
    for (int32_t i = training ? 3 : 1; i < infer->node->n_out; i++) {
        if (infer->node->out[i] >= 0 && infer->graph->values[infer->node->out[i]].reads > 0) {
            return ledge_infer_fail(infer, LEDGE_ERR_UNSUPPORTED, "training outputs");
        }
    }
    for (int32_t i = 1; i < 5; i++) {
        LEDGE_TRY(need_vector(infer, i, x->dims[1]));
        LEDGE_TRY(ledge_infer_out(infer, i, LEDGE_F32, 1, &x->dims[1]));
    }
    return ledge_infer_out(infer, 0, LEDGE_F32, x->rank, x->dims);
}

enum ledge_status ledge_onnx_batch_norm_prepare(struct ledge_op_prepare *prepare)
{
    struct ledge_axis s = ledge_onnx_split(ledge_prepare_in(prepare, 0), 1);
    struct ledge_norm params = {.outer = s.outer,
                                .c = s.n,
                                .inner = s.inner,
                                .epsilon = ledge_node_float(prepare->node, "epsilon", 1e-5f),
                                .momentum = ledge_node_float(prepare->node, "momentum", 0.9f)};
    if (ledge_node_int(prepare->node, "training_mode", 0) != 0) {
        return ledge_onnx_ready(prepare, ledge_batch_norm_training_c, "BatchNormalization_training",
                                &params, sizeof params);
    }
    prepare->in_place = 0;
    return ledge_onnx_ready(prepare, ledge_batch_norm_c, "BatchNormalization_c", &params,
                            sizeof params);
}

/* InstanceNormalization is GroupNormalization with a group per channel. GroupNormalization's scale
 * was per group in opset 18 and is per channel since 21. */
static int64_t groups_of(const struct ledge_node *node, const struct ledge_value *x)
{
    return strcmp(node->op, "GroupNormalization") == 0 ? ledge_node_int(node, "num_groups", 0)
                                                       : x->dims[1];
}

static bool per_group(const struct ledge_node *node)
{
    return strcmp(node->op, "GroupNormalization") == 0 && node->opset < 21;
}

enum ledge_status ledge_onnx_group_norm_infer(struct ledge_op_infer *infer)
{
    LEDGE_TRY(ledge_onnx_need(infer, 3));
    LEDGE_TRY(ledge_onnx_dtype_is(infer, 0, LEDGE_F32));
    const struct ledge_value *x = ledge_infer_in(infer, 0);
    if (x->rank < 2) {
        return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "rank %d", (int)x->rank);
    }
    int64_t groups = groups_of(infer->node, x);
    if (groups < 1 || groups > INT32_MAX || x->dims[1] % groups != 0) {
        return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "%lld groups of %lld channels",
                                (long long)groups, (long long)x->dims[1]);
    }
    LEDGE_TRY(need_vector(infer, 1, per_group(infer->node) ? groups : x->dims[1]));
    LEDGE_TRY(need_vector(infer, 2, per_group(infer->node) ? groups : x->dims[1]));
    return ledge_infer_out(infer, 0, LEDGE_F32, x->rank, x->dims);
}

enum ledge_status ledge_onnx_group_norm_prepare(struct ledge_op_prepare *prepare)
{
    const struct ledge_value *x = ledge_prepare_in(prepare, 0);
    struct ledge_axis s = ledge_onnx_split(x, 1);
    struct ledge_norm params = {.outer = s.outer,
                                .c = s.n,
                                .inner = s.inner,
                                .epsilon = ledge_node_float(prepare->node, "epsilon", 1e-5f),
                                .groups = (int32_t)groups_of(prepare->node, x),
                                .flags = per_group(prepare->node)};
    return ledge_onnx_ready(prepare, ledge_group_norm_c, "GroupNormalization_c", &params,
                            sizeof params);
}

/* Scale or bias repeats over the trailing elements: its dims, leading ones dropped, are the last of
 * x's. */
static enum ledge_status check_trailing(const struct ledge_op_infer *infer, int32_t i,
                                        int64_t inner)
{
    const struct ledge_value *v = ledge_infer_in(infer, i), *x = ledge_infer_in(infer, 0);
    if (v == NULL) {
        return LEDGE_OK;
    }
    LEDGE_TRY(ledge_onnx_dtype_is(infer, i, LEDGE_F32));
    bool fits = ledge_onnx_count(v) > 0 && inner % ledge_onnx_count(v) == 0;
    int32_t first = 0;
    while (first < v->rank && v->dims[first] == 1) {
        first++;
    }
    for (int32_t k = first; k < v->rank && fits; k++) {
        int32_t at = x->rank - v->rank + k;
        fits = at >= 0 && v->dims[k] == x->dims[at];
    }
    return fits ? LEDGE_OK
                : ledge_infer_fail(infer, LEDGE_ERR_UNSUPPORTED, "shape of input %d", (int)i);
}

enum ledge_status ledge_onnx_layer_norm_infer(struct ledge_op_infer *infer)
{
    int64_t dims[LEDGE_MAX_RANK], inner = 1;
    int32_t axis;
    LEDGE_TRY(ledge_onnx_need(infer, 2));
    LEDGE_TRY(ledge_onnx_dtype_is(infer, 0, LEDGE_F32));
    const struct ledge_value *x = ledge_infer_in(infer, 0);
    LEDGE_TRY(ledge_onnx_axis(infer, ledge_node_int(infer->node, "axis", -1), x->rank, &axis));
    for (int32_t i = 0; i < x->rank; i++) {
        dims[i] = i < axis ? x->dims[i] : 1;
        inner *= i < axis ? 1 : x->dims[i];
    }
    LEDGE_TRY(check_trailing(infer, 1, inner));
    LEDGE_TRY(check_trailing(infer, 2, inner));
    LEDGE_TRY(ledge_infer_out(infer, 1, LEDGE_F32, x->rank, dims));
    LEDGE_TRY(ledge_infer_out(infer, 2, LEDGE_F32, x->rank, dims));
    return ledge_infer_out(infer, 0, LEDGE_F32, x->rank, x->dims);
}

enum ledge_status ledge_onnx_layer_norm_prepare(struct ledge_op_prepare *prepare)
{
    struct ledge_op_infer infer = ledge_onnx_as_infer(prepare);
    const struct ledge_value *x = ledge_prepare_in(prepare, 0);
    int32_t axis;
    LEDGE_TRY(ledge_onnx_axis(&infer, ledge_node_int(prepare->node, "axis", -1), x->rank, &axis));
    struct ledge_axis s = ledge_onnx_split(x, axis);
    struct ledge_norm params = {.outer = s.outer,
                                .inner = s.n * s.inner,
                                .epsilon = ledge_node_float(prepare->node, "epsilon", 1e-5f),
                                .flags = strcmp(prepare->node->op, "RMSNormalization") == 0};
    return ledge_onnx_ready(prepare, ledge_layer_norm_c, "LayerNormalization_c", &params,
                            sizeof params);
}

enum ledge_status ledge_onnx_lrn_infer(struct ledge_op_infer *infer)
{
    LEDGE_TRY(ledge_onnx_need(infer, 1));
    LEDGE_TRY(ledge_onnx_dtype_is(infer, 0, LEDGE_F32));
    const struct ledge_value *x = ledge_infer_in(infer, 0);
    int64_t size = ledge_node_int(infer->node, "size", 0);
    if (x->rank < 2 || size < 1 || size > INT32_MAX) {
        return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "rank %d, size %lld", (int)x->rank,
                                (long long)size);
    }
    return ledge_infer_out(infer, 0, LEDGE_F32, x->rank, x->dims);
}

enum ledge_status ledge_onnx_lrn_prepare(struct ledge_op_prepare *prepare)
{
    struct ledge_axis s = ledge_onnx_split(ledge_prepare_in(prepare, 0), 1);
    struct ledge_lrn params = {.n = s.outer,
                               .c = s.n,
                               .inner = s.inner,
                               .size = ledge_node_int(prepare->node, "size", 1),
                               .alpha = ledge_node_float(prepare->node, "alpha", 0.0001f),
                               .beta = ledge_node_float(prepare->node, "beta", 0.75f),
                               .bias = ledge_node_float(prepare->node, "bias", 1.0f)};
    return ledge_onnx_ready(prepare, ledge_lrn_c, "LRN_c", &params, sizeof params);
}

enum ledge_status ledge_onnx_lp_norm_infer(struct ledge_op_infer *infer)
{
    int32_t axis;
    LEDGE_TRY(ledge_onnx_need(infer, 1));
    const struct ledge_value *x = ledge_infer_in(infer, 0);
    int64_t p = ledge_node_int(infer->node, "p", 2);
    LEDGE_TRY(ledge_onnx_axis(infer, ledge_node_int(infer->node, "axis", -1), x->rank, &axis));
    if (p != 1 && p != 2) {
        return ledge_infer_fail(infer, LEDGE_ERR_UNSUPPORTED, "p is %lld", (long long)p);
    }
    return ledge_infer_out(infer, 0, x->dtype, x->rank, x->dims);
}

enum ledge_status ledge_onnx_lp_norm_prepare(struct ledge_op_prepare *prepare)
{
    struct ledge_op_infer infer = ledge_onnx_as_infer(prepare);
    const struct ledge_value *x = ledge_prepare_in(prepare, 0);
    int32_t axis;
    LEDGE_TRY(ledge_onnx_axis(&infer, ledge_node_int(prepare->node, "axis", -1), x->rank, &axis));
    struct ledge_axis params = ledge_onnx_split(x, axis);
    params.flags = (int32_t)ledge_node_int(prepare->node, "p", 2);
    return ledge_onnx_ready(prepare, ledge_lp_norm_c, "LpNormalization_c", &params, sizeof params);
}
