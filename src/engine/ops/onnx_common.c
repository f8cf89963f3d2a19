/* SPDX-License-Identifier: Apache-2.0 */
/* onnx_common.c -- see onnx.h. */
#include <math.h>
#include <string.h>

#include "engine/ops/onnx.h"

#include "base/banned.h"

struct ledge_op_infer ledge_onnx_as_infer(const struct ledge_op_prepare *prepare)
{
    return (struct ledge_op_infer){
        .graph = (struct ledge_graph *)prepare->graph, .node = prepare->node, .err = prepare->err};
}

enum ledge_status ledge_onnx_need(const struct ledge_op_infer *infer, int32_t n)
{
    for (int32_t i = 0; i < n; i++) {
        if (ledge_infer_in(infer, i) == NULL) {
            return ledge_infer_fail(infer, LEDGE_ERR_FORMAT, "input %d is missing", (int)i);
        }
    }
    return LEDGE_OK;
}

enum ledge_status ledge_onnx_same_dtype(const struct ledge_op_infer *infer, int32_t a, int32_t b)
{
    const struct ledge_value *x = ledge_infer_in(infer, a), *y = ledge_infer_in(infer, b);
    if (x != NULL && y != NULL && x->dtype != y->dtype) {
        return ledge_infer_fail(infer, LEDGE_ERR_DTYPE, "inputs %d and %d differ: %s and %s",
                                (int)a, (int)b, ledge_dtype_text(x->dtype),
                                ledge_dtype_text(y->dtype));
    }
    return LEDGE_OK;
}

enum ledge_status ledge_onnx_dtype_is(const struct ledge_op_infer *infer, int32_t i,
                                      enum ledge_dtype dtype)
{
    const struct ledge_value *x = ledge_infer_in(infer, i);
    if (x != NULL && x->dtype != dtype) {
        return ledge_infer_fail(infer, LEDGE_ERR_UNSUPPORTED, "input %d is %s, only %s is done",
                                (int)i, ledge_dtype_text(x->dtype), ledge_dtype_text(dtype));
    }
    return LEDGE_OK;
}

enum ledge_status ledge_onnx_axis(const struct ledge_op_infer *infer, int64_t axis, int32_t rank,
                                  int32_t *out)
{
    if (axis < -(int64_t)rank || axis >= rank) {
        return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "axis %lld of a tensor of rank %d",
                                (long long)axis, (int)rank);
    }
    *out = (int32_t)(axis < 0 ? axis + rank : axis);
    return LEDGE_OK;
}

enum ledge_status ledge_onnx_list(const struct ledge_op_infer *infer, const char *attr,
                                  int32_t input, int64_t *values, int32_t max, int32_t *n)
{
    const struct ledge_attr *a = attr != NULL ? ledge_node_attr(infer->node, attr) : NULL;
    if (a != NULL && a->type == LEDGE_ATTR_INTS) {
        if (a->n > (size_t)max) {
            return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "%s has %zu entries, at most %d", attr,
                                    a->n, (int)max);
        }
        for (size_t i = 0; i < a->n; i++) {
            values[i] = a->ints[i];
        }
        *n = (int32_t)a->n;
        return LEDGE_OK;
    }
    if (input >= 0 && ledge_infer_in(infer, input) != NULL) {
        return ledge_infer_ints(infer, input, values, max, n);
    }
    *n = -1;
    return LEDGE_OK;
}

int64_t ledge_onnx_count(const struct ledge_value *value)
{
    int64_t n = 1;
    for (int32_t i = 0; i < value->rank; i++) {
        n *= value->dims[i];
    }
    return n;
}

struct ledge_axis ledge_onnx_split(const struct ledge_value *value, int32_t axis)
{
    struct ledge_axis s = {.outer = 1, .n = 1, .inner = 1};
    for (int32_t i = 0; i < value->rank; i++) {
        if (i == axis) {
            s.n = value->dims[i];
        } else if (i < axis) {
            s.outer *= value->dims[i];
        } else {
            s.inner *= value->dims[i];
        }
    }
    return s;
}

enum ledge_status ledge_onnx_ready(struct ledge_op_prepare *prepare, ledge_kernel_fn run,
                                   const char *kernel, const void *params, size_t bytes)
{
    if (bytes > 0) {
        void *copy = ledge_arena_alloc(prepare->memory, bytes, 16);
        if (copy == NULL) {
            return ledge_prepare_fail(prepare, LEDGE_ERR_NOMEM, "no memory");
        }
        memcpy(copy, params, bytes);
        prepare->params = copy;
    }
    prepare->run = run;
    prepare->kernel = kernel;
    return LEDGE_OK;
}

enum ledge_status ledge_onnx_set_data(struct ledge_op_infer *infer, int32_t i, const void *data,
                                      size_t bytes)
{
    if (i >= infer->node->n_out || infer->node->out[i] < 0) {
        return LEDGE_OK;
    }
    void *copy = ledge_arena_alloc(&infer->graph->arena, bytes, 64);
    if (copy == NULL) {
        return ledge_infer_fail(infer, LEDGE_ERR_NOMEM, "no memory");
    }
    if (bytes > 0) {
        memcpy(copy, data, bytes);
    }
    infer->graph->values[infer->node->out[i]].data = copy;
    return LEDGE_OK;
}

enum ledge_status ledge_onnx_move(struct ledge_op_prepare *prepare, const char *kernel,
                                  struct ledge_strided *s)
{
    struct ledge_move_part *part = LEDGE_NEW(prepare->memory, struct ledge_move_part);
    if (part == NULL) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_NOMEM, "no memory");
    }
    s->size = ledge_dtype_size(ledge_prepare_in(prepare, 0)->dtype);
    ledge_strided_collapse(s);
    part->s = *s;
    struct ledge_move move = {.n = 1, .parts = part};
    return ledge_onnx_ready(prepare, ledge_move_c, kernel, &move, sizeof move);
}

struct ledge_clamp ledge_onnx_clamp(const struct ledge_node *node)
{
    return (struct ledge_clamp){.low = ledge_node_float(node, "clamp_low", -INFINITY),
                                .high = ledge_node_float(node, "clamp_high", INFINITY)};
}

void ledge_onnx_strides(const int64_t *dims, int32_t rank, int64_t *strides)
{
    int64_t step = 1;
    for (int32_t i = rank - 1; i >= 0; i--) {
        strides[i] = step;
        step *= dims[i];
    }
}
