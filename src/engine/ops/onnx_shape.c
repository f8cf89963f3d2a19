/* SPDX-License-Identifier: Apache-2.0 */
/* onnx_shape.c -- operators that only give the same bytes another shape (no kernel runs), and those
 * whose result is known without running: Constant, Shape, Size, ConstantOfShape, Range, EyeLike. */
#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "engine/kernels/onnx_number.h"
#include "engine/ops/onnx.h"

#include "base/banned.h"

/* -- aliases -- */

static enum ledge_status reshape_dims(const struct ledge_op_infer *infer,
                                      const struct ledge_value *x, int64_t *dims, int32_t *rank)
{
    bool zero_is_zero = ledge_node_int(infer->node, "allowzero", 0) != 0;
    int32_t free_dim = -1;
    int64_t count = 1, total = ledge_onnx_count(x);
    LEDGE_TRY(ledge_onnx_list(infer, "shape", 1, dims, LEDGE_MAX_RANK, rank));
    if (*rank < 0) {
        return ledge_infer_fail(infer, LEDGE_ERR_FORMAT, "there is no shape");
    }
    for (int32_t i = 0; i < *rank; i++) {
        if (dims[i] == 0 && !zero_is_zero) {
            if (i >= x->rank) {
                return ledge_infer_fail(infer, LEDGE_ERR_SHAPE,
                                        "dimension %d of the input is missing", (int)i);
            }
            dims[i] = x->dims[i];
        }
        if (dims[i] == -1 && free_dim < 0) {
            free_dim = i;
        } else if (dims[i] < 0 || !ledge_mul_i64(count, dims[i], &count)) {
            return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "dimension %d of the shape is %lld",
                                    (int)i, (long long)dims[i]);
        }
    }
    if (free_dim >= 0) {
        if (count == 0 || total % count != 0) {
            return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "%lld elements do not fit",
                                    (long long)total);
        }
        dims[free_dim] = total / count;
        count = total;
    }
    return count == total
               ? LEDGE_OK
               : ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "%lld elements into a shape of %lld",
                                  (long long)total, (long long)count);
}

static enum ledge_status flatten_dims(const struct ledge_op_infer *infer,
                                      const struct ledge_value *x, int64_t *dims, int32_t *rank)
{
    int64_t axis = ledge_node_int(infer->node, "axis", 1);
    if (axis < -(int64_t)x->rank || axis > x->rank) {
        return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "axis %lld of a tensor of rank %d",
                                (long long)axis, (int)x->rank);
    }
    axis = axis < 0 ? axis + x->rank : axis;
    dims[0] = dims[1] = 1;
    for (int32_t i = 0; i < x->rank; i++) {
        dims[i >= axis] *= x->dims[i];
    }
    *rank = 2;
    return LEDGE_OK;
}

static enum ledge_status squeeze_dims(const struct ledge_op_infer *infer,
                                      const struct ledge_value *x, int64_t *dims, int32_t *rank)
{
    int64_t axes[LEDGE_MAX_RANK];
    bool gone[LEDGE_MAX_RANK] = {false};
    int32_t n;
    LEDGE_TRY(ledge_onnx_list(infer, "axes", 1, axes, LEDGE_MAX_RANK, &n));
    for (int32_t i = 0; i < n; i++) {
        int32_t axis;
        LEDGE_TRY(ledge_onnx_axis(infer, axes[i], x->rank, &axis));
        if (x->dims[axis] != 1) {
            return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "dimension %d is %lld, not 1",
                                    (int)axis, (long long)x->dims[axis]);
        }
        gone[axis] = true;
    }
    *rank = 0;
    for (int32_t i = 0; i < x->rank; i++) {
        if (n < 0 ? x->dims[i] != 1 : !gone[i]) {
            dims[(*rank)++] = x->dims[i];
        }
    }
    return LEDGE_OK;
}

static enum ledge_status unsqueeze_dims(const struct ledge_op_infer *infer,
                                        const struct ledge_value *x, int64_t *dims, int32_t *rank)
{
    int64_t axes[LEDGE_MAX_RANK];
    bool is_new[LEDGE_MAX_RANK] = {false};
    int32_t n, from = 0;
    LEDGE_TRY(ledge_onnx_list(infer, "axes", 1, axes, LEDGE_MAX_RANK, &n));
    if (n < 0 || x->rank + n > LEDGE_MAX_RANK) {
        return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "no axes, or more than %d dimensions",
                                LEDGE_MAX_RANK);
    }
    *rank = x->rank + n;
    for (int32_t i = 0; i < n; i++) {
        int32_t axis;
        LEDGE_TRY(ledge_onnx_axis(infer, axes[i], *rank, &axis));
        if (is_new[axis]) {
            return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "axis %d stands twice", (int)axis);
        }
        is_new[axis] = true;
    }
    for (int32_t i = 0; i < *rank; i++) {
        dims[i] = is_new[i] ? 1 : x->dims[from++];
    }
    return LEDGE_OK;
}

enum ledge_status ledge_onnx_alias_infer(struct ledge_op_infer *infer)
{
    int64_t dims[LEDGE_MAX_RANK];
    int32_t rank = 0;
    LEDGE_TRY(ledge_onnx_need(infer, 1));
    const struct ledge_value *x = ledge_infer_in(infer, 0);
    const char *op = infer->node->op;
    if (strcmp(op, "Reshape") == 0) {
        LEDGE_TRY(reshape_dims(infer, x, dims, &rank));
    } else if (strcmp(op, "Flatten") == 0) {
        LEDGE_TRY(flatten_dims(infer, x, dims, &rank));
    } else if (strcmp(op, "Squeeze") == 0) {
        LEDGE_TRY(squeeze_dims(infer, x, dims, &rank));
    } else if (strcmp(op, "Unsqueeze") == 0) {
        LEDGE_TRY(unsqueeze_dims(infer, x, dims, &rank));
    } else {
        return ledge_infer_out(infer, 0, x->dtype, x->rank, x->dims);
    }
    return ledge_infer_out(infer, 0, x->dtype, rank, dims);
}

enum ledge_status ledge_onnx_alias_prepare(struct ledge_op_prepare *prepare)
{
    prepare->alias = 0;
    return LEDGE_OK;
}

/* -- known without running -- */

static enum ledge_status constant_list(struct ledge_op_infer *infer, const struct ledge_attr *attr)
{
    int64_t n = (int64_t)attr->n;
    enum ledge_dtype dtype =
        attr->type == LEDGE_ATTR_INT || attr->type == LEDGE_ATTR_INTS ? LEDGE_I64 : LEDGE_F32;
    bool scalar = attr->type == LEDGE_ATTR_INT || attr->type == LEDGE_ATTR_FLOAT;
    const void *data = attr->type == LEDGE_ATTR_INT     ? (const void *)&attr->i
                       : attr->type == LEDGE_ATTR_FLOAT ? (const void *)&attr->f
                       : attr->type == LEDGE_ATTR_INTS  ? (const void *)attr->ints
                                                        : (const void *)attr->floats;
    LEDGE_TRY(ledge_infer_out(infer, 0, dtype, scalar ? 0 : 1, &n));
    return ledge_onnx_set_data(infer, 0, data, (scalar ? 1 : attr->n) * ledge_dtype_size(dtype));
}

enum ledge_status ledge_onnx_constant_infer(struct ledge_op_infer *infer)
{
    static const char *const names[] = {"value", "value_int", "value_float", "value_ints",
                                        "value_floats"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const struct ledge_attr *attr = ledge_node_attr(infer->node, names[i]);
        if (attr == NULL || attr->type == LEDGE_ATTR_OTHER || attr->type == LEDGE_ATTR_STRING) {
            continue;
        }
        if (attr->type != LEDGE_ATTR_TENSOR) {
            return constant_list(infer, attr);
        }
        LEDGE_TRY(
            ledge_infer_out(infer, 0, attr->tensor->dtype, attr->tensor->rank, attr->tensor->dims));
        if (infer->node->n_out > 0 && infer->node->out[0] >= 0) {
            infer->graph->values[infer->node->out[0]].data = attr->tensor->data;
        }
        return LEDGE_OK;
    }
    return ledge_infer_fail(infer, LEDGE_ERR_UNSUPPORTED, "it has no tensor (strings, sparse)");
}

enum ledge_status ledge_onnx_constant_prepare(struct ledge_op_prepare *prepare)
{
    return ledge_prepare_fail(prepare, LEDGE_ERR_INTERNAL, "a constant was not folded");
}

enum ledge_status ledge_onnx_shape_infer(struct ledge_op_infer *infer)
{
    LEDGE_TRY(ledge_onnx_need(infer, 1));
    const struct ledge_value *x = ledge_infer_in(infer, 0);
    if (strcmp(infer->node->op, "Size") == 0) {
        int64_t count = ledge_onnx_count(x);
        LEDGE_TRY(ledge_infer_out(infer, 0, LEDGE_I64, 0, NULL));
        return ledge_onnx_set_data(infer, 0, &count, sizeof count);
    }
    int64_t start = ledge_node_int(infer->node, "start", 0);
    int64_t end = ledge_node_int(infer->node, "end", x->rank);
    start = start < 0 ? start + x->rank : start;
    end = end < 0 ? end + x->rank : end;
    start = start < 0 ? 0 : start > x->rank ? x->rank : start;
    end = end < start ? start : end > x->rank ? x->rank : end;
    int64_t n = end - start, dims[LEDGE_MAX_RANK];
    memcpy(dims, x->dims, sizeof dims);
    LEDGE_TRY(ledge_infer_out(infer, 0, LEDGE_I64, 1, &n));
    return ledge_onnx_set_data(infer, 0, dims + start, (size_t)n * sizeof *dims);
}

enum ledge_status ledge_onnx_shape_prepare(struct ledge_op_prepare *prepare)
{
    return ledge_onnx_constant_prepare(prepare);
}

enum ledge_status ledge_onnx_constant_of_shape_infer(struct ledge_op_infer *infer)
{
    int64_t dims[LEDGE_MAX_RANK];
    int32_t rank;
    LEDGE_TRY(ledge_onnx_need(infer, 1));
    LEDGE_TRY(ledge_infer_ints(infer, 0, dims, LEDGE_MAX_RANK, &rank));
    const struct ledge_attr *value = ledge_node_attr(infer->node, "value");
    if (value != NULL &&
        (value->type != LEDGE_ATTR_TENSOR || ledge_view_count(value->tensor) != 1)) {
        return ledge_infer_fail(infer, LEDGE_ERR_FORMAT, "value is not one element");
    }
    return ledge_infer_out(infer, 0, value != NULL ? value->tensor->dtype : LEDGE_F32, rank, dims);
}

enum ledge_status ledge_onnx_constant_of_shape_prepare(struct ledge_op_prepare *prepare)
{
    const struct ledge_attr *value = ledge_node_attr(prepare->node, "value");
    struct ledge_fill params = {.size = ledge_dtype_size(ledge_prepare_out(prepare, 0)->dtype)};
    if (value != NULL) {
        memcpy(params.value, value->tensor->data, params.size);
    }
    return ledge_onnx_ready(prepare, ledge_fill_c, "ConstantOfShape_c", &params, sizeof params);
}

static enum ledge_status range_count(const struct ledge_op_infer *infer, int64_t *n)
{
    const struct ledge_value *in[3];
    double real[3];
    int64_t whole[3];
    for (int i = 0; i < 3; i++) {
        in[i] = ledge_infer_in(infer, i);
        if (ledge_onnx_count(in[i]) != 1) {
            return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "input %d is no scalar", i);
        }
        if (in[i]->data == NULL) {
            return ledge_infer_wait(infer, i);
        }
        ledge_load_real(in[i]->data, in[i]->dtype, 0, 1, &real[i]);
        ledge_load_whole(in[i]->data, in[i]->dtype, 0, 1, &whole[i]);
    }
    double count = ceil((real[1] - real[0]) / real[2]);
    if (!ledge_is_real(in[0]->dtype) && whole[2] != 0) {
        bool up = whole[2] > 0;
        uint64_t from = (uint64_t)whole[up ? 0 : 1], to = (uint64_t)whole[up ? 1 : 0];
        uint64_t step = up ? (uint64_t)whole[2] : 0 - (uint64_t)whole[2], span = to - from;
        bool any = up ? whole[0] < whole[1] : whole[1] < whole[0];
        count = any ? (double)(span / step + (span % step != 0)) : 0;
    }
    if (isnan(count) || count > 0x1p40) {
        return ledge_infer_fail(infer, LEDGE_ERR_RANGE, "from %g to %g by %g", real[0], real[1],
                                real[2]);
    }
    *n = count > 0 ? (int64_t)count : 0;
    return LEDGE_OK;
}

enum ledge_status ledge_onnx_range_infer(struct ledge_op_infer *infer)
{
    int64_t n = 0;
    LEDGE_TRY(ledge_onnx_need(infer, 3));
    LEDGE_TRY(ledge_onnx_same_dtype(infer, 0, 1));
    LEDGE_TRY(ledge_onnx_same_dtype(infer, 0, 2));
    LEDGE_TRY(range_count(infer, &n));
    return ledge_infer_out(infer, 0, ledge_infer_in(infer, 0)->dtype, 1, &n);
}

enum ledge_status ledge_onnx_range_prepare(struct ledge_op_prepare *prepare)
{
    return ledge_onnx_ready(prepare, ledge_range_c, "Range_c", NULL, 0);
}

enum ledge_status ledge_onnx_eye_infer(struct ledge_op_infer *infer)
{
    LEDGE_TRY(ledge_onnx_need(infer, 1));
    const struct ledge_value *x = ledge_infer_in(infer, 0);
    int64_t dtype = ledge_node_int(infer->node, "dtype", (int64_t)x->dtype);
    if (x->rank != 2 || dtype <= 0 || dtype > 64 ||
        ledge_dtype_size((enum ledge_dtype)dtype) == 0) {
        return ledge_infer_fail(infer, LEDGE_ERR_UNSUPPORTED, "rank %d, element type %lld",
                                (int)x->rank, (long long)dtype);
    }
    return ledge_infer_out(infer, 0, (enum ledge_dtype)dtype, 2, x->dims);
}

enum ledge_status ledge_onnx_eye_prepare(struct ledge_op_prepare *prepare)
{
    const struct ledge_value *out = ledge_prepare_out(prepare, 0);
    int64_t k = ledge_node_int(prepare->node, "k", 0);
    k = k > out->dims[1] ? out->dims[1] : k < -out->dims[0] ? -out->dims[0] : k;
    struct ledge_trilu params = {.rows = out->dims[0], .cols = out->dims[1], .k = k};
    return ledge_onnx_ready(prepare, ledge_eye_c, "EyeLike_c", &params, sizeof params);
}
