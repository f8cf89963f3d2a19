/* SPDX-License-Identifier: Apache-2.0 */
/* onnx_index.c -- Gather*, Scatter*, OneHot, Trilu, ReverseSequence. Indices come from the data:
 * every one is checked, a negative one counts from the end. */
#include <string.h>

#include "base/status.h"
#include "engine/kernels/onnx.h"
#include "engine/kernels/onnx_number.h"

#include "base/banned.h"

/* Index number at of an i32 or i64 tensor, brought into 0 .. n - 1. */
static bool index_at(const struct ledge_view *indices, int64_t at, int64_t n, int64_t *index)
{
    int64_t value = indices->dtype == LEDGE_I64 ? ((const int64_t *)indices->data)[at]
                                                : ((const int32_t *)indices->data)[at];
    value = value < 0 ? value + n : value;
    *index = value;
    return value >= 0 && value < n;
}

static enum ledge_status out_of_range(const struct ledge_kernel_call *call, int64_t index,
                                      int64_t n)
{
    return ledge_fail(call->err, LEDGE_ERR_RANGE, "index %lld is outside 0..%lld", (long long)index,
                      (long long)n - 1);
}

enum ledge_status ledge_gather_c(const struct ledge_kernel_call *call)
{
    const struct ledge_gather *p = call->params;
    const char *in = call->in[0]->data;
    char *out = call->out[0]->data;
    for (int64_t o = 0; o < p->outer; o++) {
        for (int64_t i = 0; i < p->count; i++) {
            int64_t index;
            if (!index_at(call->in[1], i, p->n, &index)) {
                return out_of_range(call, index, p->n);
            }
            memcpy(out, in + (size_t)(o * p->n + index) * p->inner, p->inner);
            out += p->inner;
        }
    }
    return LEDGE_OK;
}

/* Offset in data of element k of the index tensor, its coordinate on axis replaced by the index
 * held there; false, offset untouched, when that is off the axis. */
static bool element_offset(const struct ledge_view *data, const struct ledge_view *indices,
                           int32_t axis, int64_t k, int64_t *offset, int64_t *index)
{
    int64_t left = k, step = 1, at = 0;
    if (!index_at(indices, k, data->dims[axis], index)) {
        return false;
    }
    for (int32_t i = indices->rank - 1; i >= 0; i--) {
        at += (i == axis ? *index : left % indices->dims[i]) * step;
        left /= indices->dims[i];
        step *= data->dims[i];
    }
    *offset = at;
    return true;
}

enum ledge_status ledge_gather_elements_c(const struct ledge_kernel_call *call)
{
    const struct ledge_elements *p = call->params;
    const struct ledge_view *data = call->in[0], *indices = call->in[1];
    size_t size = ledge_dtype_size(data->dtype);
    int64_t total = ledge_view_count(indices);
    for (int64_t k = 0; k < total; k++) {
        int64_t offset, index;
        if (!element_offset(data, indices, p->axis, k, &offset, &index)) {
            return out_of_range(call, index, data->dims[p->axis]);
        }
        memcpy((char *)call->out[0]->data + (size_t)k * size,
               (const char *)data->data + (size_t)offset * size, size);
    }
    return LEDGE_OK;
}

static double combine_real(double a, double b, int32_t reduction)
{
    switch (reduction) {
    case LEDGE_SCATTER_ADD:
        return a + b;
    case LEDGE_SCATTER_MUL:
        return a * b;
    case LEDGE_SCATTER_MAX:
        return a > b ? a : b;
    default:
        return a < b ? a : b;
    }
}

static int64_t combine_whole(int64_t a, int64_t b, int32_t reduction)
{
    switch (reduction) {
    case LEDGE_SCATTER_ADD:
        return (int64_t)((uint64_t)a + (uint64_t)b);
    case LEDGE_SCATTER_MUL:
        return (int64_t)((uint64_t)a * (uint64_t)b);
    case LEDGE_SCATTER_MAX:
        return a > b ? a : b;
    default:
        return a < b ? a : b;
    }
}

/* n elements of updates onto out. */
static void scatter_run(const struct ledge_view *updates, int64_t from,
                        const struct ledge_view *out, int64_t to, int64_t n, int32_t reduction)
{
    size_t size = ledge_dtype_size(out->dtype);
    if (reduction == LEDGE_SCATTER_SET) {
        memcpy((char *)out->data + (size_t)to * size,
               (const char *)updates->data + (size_t)from * size, (size_t)n * size);
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        if (ledge_is_real(out->dtype)) {
            double a, b;
            ledge_load_real(out->data, out->dtype, to + i, 1, &a);
            ledge_load_real(updates->data, out->dtype, from + i, 1, &b);
            a = combine_real(a, b, reduction);
            ledge_store_real(&a, 1, out->data, out->dtype, to + i);
        } else {
            int64_t a, b;
            ledge_load_whole(out->data, out->dtype, to + i, 1, &a);
            ledge_load_whole(updates->data, out->dtype, from + i, 1, &b);
            a = combine_whole(a, b, reduction);
            ledge_store_whole(&a, 1, out->data, out->dtype, to + i);
        }
    }
}

static void copy_data(const struct ledge_kernel_call *call)
{
    if (call->out[0]->data != call->in[0]->data) {
        memcpy(call->out[0]->data, call->in[0]->data, ledge_view_bytes(call->in[0]));
    }
}

enum ledge_status ledge_scatter_elements_c(const struct ledge_kernel_call *call)
{
    const struct ledge_elements *p = call->params;
    const struct ledge_view *indices = call->in[1];
    int64_t total = ledge_view_count(indices);
    copy_data(call);
    for (int64_t k = 0; k < total; k++) {
        int64_t offset, index;
        if (!element_offset(call->in[0], indices, p->axis, k, &offset, &index)) {
            return out_of_range(call, index, call->in[0]->dims[p->axis]);
        }
        scatter_run(call->in[2], k, call->out[0], offset, 1, p->reduction);
    }
    return LEDGE_OK;
}

/* Offset in data (in elements) of tuple number t. */
static bool tuple_offset(const struct ledge_nd *p, const struct ledge_view *indices, int64_t t,
                         int64_t *offset, int64_t *bad, int64_t *limit)
{
    int64_t at = 0;
    for (int64_t i = 0; i < p->depth; i++) {
        int64_t index;
        if (!index_at(indices, t * p->depth + i, p->dims[i], &index)) {
            *bad = index;
            *limit = p->dims[i];
            return false;
        }
        at = at * p->dims[i] + index;
    }
    *offset = at * p->slice;
    return true;
}

enum ledge_status ledge_gather_nd_c(const struct ledge_kernel_call *call)
{
    const struct ledge_nd *p = call->params;
    size_t size = ledge_dtype_size(call->in[0]->dtype);
    char *out = call->out[0]->data;
    for (int64_t t = 0; t < p->batch * p->tuples; t++) {
        int64_t offset, bad, limit;
        if (!tuple_offset(p, call->in[1], t, &offset, &bad, &limit)) {
            return out_of_range(call, bad, limit);
        }
        offset += t / p->tuples * p->block;
        memcpy(out, (const char *)call->in[0]->data + (size_t)offset * size,
               (size_t)p->slice * size);
        out += (size_t)p->slice * size;
    }
    return LEDGE_OK;
}

enum ledge_status ledge_scatter_nd_c(const struct ledge_kernel_call *call)
{
    const struct ledge_nd *p = call->params;
    copy_data(call);
    for (int64_t t = 0; t < p->tuples; t++) {
        int64_t offset, bad, limit;
        if (!tuple_offset(p, call->in[1], t, &offset, &bad, &limit)) {
            return out_of_range(call, bad, limit);
        }
        scatter_run(call->in[2], t * p->slice, call->out[0], offset, p->slice, p->reduction);
    }
    return LEDGE_OK;
}

/* indices [outer, inner] -> out [outer, n, inner]; values holds off and on. Any number type for the
 * indices. */
enum ledge_status ledge_one_hot_c(const struct ledge_kernel_call *call)
{
    const struct ledge_axis *p = call->params;
    const struct ledge_view *indices = call->in[0], *values = call->in[2], *out = call->out[0];
    size_t size = ledge_dtype_size(out->dtype);
    for (int64_t o = 0; o < p->outer; o++) {
        for (int64_t k = 0; k < p->n; k++) {
            for (int64_t i = 0; i < p->inner; i++) {
                int64_t index;
                ledge_load_whole(indices->data, indices->dtype, o * p->inner + i, 1, &index);
                index = index < 0 && index >= -p->n ? index + p->n : index;
                memcpy((char *)out->data + (size_t)((o * p->n + k) * p->inner + i) * size,
                       (const char *)values->data + (index == k ? size : 0), size);
            }
        }
    }
    return LEDGE_OK;
}

enum ledge_status ledge_trilu_c(const struct ledge_kernel_call *call)
{
    const struct ledge_trilu *p = call->params;
    char *out = call->out[0]->data;
    copy_data(call);
    for (int64_t b = 0; b < p->batch; b++) {
        for (int64_t row = 0; row < p->rows; row++) {
            int64_t edge = row + p->k; /* first kept column (upper), last kept (lower) */
            int64_t from = p->upper != 0 ? 0 : edge + 1;
            int64_t to = p->upper != 0 ? edge : p->cols;
            from = from < 0 ? 0 : from > p->cols ? p->cols : from;
            to = to < from ? from : to > p->cols ? p->cols : to;
            memset(out + (size_t)((b * p->rows + row) * p->cols + from) * p->size, 0,
                   (size_t)(to - from) * p->size);
        }
    }
    return LEDGE_OK;
}

enum ledge_status ledge_reverse_sequence_c(const struct ledge_kernel_call *call)
{
    const struct ledge_reverse *p = call->params;
    const char *in = call->in[0]->data;
    char *out = call->out[0]->data;
    size_t bytes = (size_t)p->inner * p->size;
    for (int64_t b = 0; b < p->batch; b++) {
        int64_t length;
        ledge_load_whole(call->in[1]->data, call->in[1]->dtype, b, 1, &length);
        if (length < 0 || length > p->time) {
            return ledge_fail(call->err, LEDGE_ERR_RANGE, "sequence length %lld is outside 0..%lld",
                              (long long)length, (long long)p->time);
        }
        for (int64_t t = 0; t < p->time; t++) {
            int64_t from = t < length ? length - 1 - t : t;
            memcpy(out + (size_t)(b * p->batch_stride + t * p->time_stride) * bytes,
                   in + (size_t)(b * p->batch_stride + from * p->time_stride) * bytes, bytes);
        }
    }
    return LEDGE_OK;
}
