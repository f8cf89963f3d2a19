/* SPDX-License-Identifier: Apache-2.0 */
/* onnx_select.c -- NonZero, Compress, Unique, NonMaxSuppression: the shapes of their outputs depend
 * on the values of their inputs, so infer works out the outputs themselves once those are known,
 * and there is nothing left to run. */
#include "engine/kernels/onnx_select.h"

#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "engine/kernels/onnx_number.h"
#include "engine/ops/onnx.h"

#include "base/banned.h"

/* The values of inputs 0 .. n - 1 that are there. */
static enum ledge_status need_values(const struct ledge_op_infer *infer, int32_t n)
{
    for (int32_t i = 0; i < n; i++) {
        const struct ledge_value *v = ledge_infer_in(infer, i);
        if (v != NULL && v->data == NULL) {
            return ledge_infer_wait(infer, i);
        }
    }
    return LEDGE_OK;
}

static enum ledge_status select_prepare(struct ledge_op_prepare *prepare)
{
    return ledge_prepare_fail(prepare, LEDGE_ERR_INTERNAL, "its outputs were not folded");
}

/* Output i of this shape; its elements to be FILLED by the caller, NULL when it is not wanted. */
static enum ledge_status make_out(struct ledge_op_infer *infer, int32_t i, enum ledge_dtype dtype,
                                  int32_t rank, const int64_t *dims, void **data)
{
    *data = NULL;
    if (i >= infer->node->n_out || infer->node->out[i] < 0) {
        return LEDGE_OK;
    }
    LEDGE_TRY(ledge_infer_out(infer, i, dtype, rank, dims));
    struct ledge_value *value = &infer->graph->values[infer->node->out[i]];
    size_t bytes = (size_t)ledge_onnx_count(value) * ledge_dtype_size(dtype);
    *data = ledge_arena_alloc(&infer->graph->arena, bytes, 64);
    value->data = *data;
    return *data != NULL ? LEDGE_OK : ledge_infer_fail(infer, LEDGE_ERR_NOMEM, "no memory");
}

/* Out of [outer][n][inner], the n_picked slices whose places along the axis are listed. */
static void pick(const struct ledge_view *x, struct ledge_axis s, const int64_t *picked,
                 int64_t n_picked, char *to)
{
    size_t bytes = (size_t)s.inner * ledge_dtype_size(x->dtype);
    for (int64_t o = 0; to != NULL && o < s.outer; o++) {
        for (int64_t i = 0; i < n_picked && bytes > 0; i++, to += bytes) {
            memcpy(to, (const char *)x->data + (size_t)(o * s.n + picked[i]) * bytes, bytes);
        }
    }
}

/* The tensor as [outer][n][inner] around attribute axis; without one, its elements in a row. */
static enum ledge_status read_axis(const struct ledge_op_infer *infer, struct ledge_axis *s,
                                   int64_t *dims, int32_t *rank, int32_t *axis)
{
    const struct ledge_value *x = ledge_infer_in(infer, 0);
    *s = (struct ledge_axis){.outer = 1, .n = ledge_onnx_count(x), .inner = 1};
    *rank = 1;
    *axis = 0;
    dims[0] = s->n;
    if (ledge_node_attr(infer->node, "axis") != NULL) {
        LEDGE_TRY(ledge_onnx_axis(infer, ledge_node_int(infer->node, "axis", 0), x->rank, axis));
        *s = ledge_onnx_split(x, *axis);
        *rank = x->rank;
        memcpy(dims, x->dims, sizeof x->dims);
    }
    return LEDGE_OK;
}

enum ledge_status ledge_onnx_nonzero_infer(struct ledge_op_infer *infer)
{
    void *places;
    LEDGE_TRY(ledge_onnx_need(infer, 1));
    LEDGE_TRY(need_values(infer, 1));
    struct ledge_view x = ledge_value_view(ledge_infer_in(infer, 0));
    int64_t n = ledge_nonzero(&x, NULL, 0);
    LEDGE_TRY(make_out(infer, 0, LEDGE_I64, 2, (int64_t[]){x.rank, n}, &places));
    if (places != NULL) {
        (void)ledge_nonzero(&x, places, n);
    }
    return LEDGE_OK;
}

enum ledge_status ledge_onnx_nonzero_prepare(struct ledge_op_prepare *prepare)
{
    return select_prepare(prepare);
}

enum ledge_status ledge_onnx_compress_infer(struct ledge_op_infer *infer)
{
    struct ledge_axis s;
    int64_t dims[LEDGE_MAX_RANK];
    int32_t rank, axis;
    LEDGE_TRY(ledge_onnx_need(infer, 2));
    LEDGE_TRY(need_values(infer, 2));
    LEDGE_TRY(ledge_onnx_dtype_is(infer, 1, LEDGE_BOOL));
    LEDGE_TRY(read_axis(infer, &s, dims, &rank, &axis));
    struct ledge_view x = ledge_value_view(ledge_infer_in(infer, 0)),
                      wanted = ledge_value_view(ledge_infer_in(infer, 1));
    int64_t n = ledge_nonzero(&wanted, NULL, 0);
    int64_t *places = LEDGE_NEW_ARRAY(&infer->graph->arena, int64_t, (size_t)n);
    if (wanted.rank != 1 || wanted.dims[0] > s.n) {
        return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "the condition does not fit");
    }
    if (places == NULL) {
        return ledge_infer_fail(infer, LEDGE_ERR_NOMEM, "no memory");
    }
    (void)ledge_nonzero(&wanted, places, n);
    dims[axis] = n;
    void *y;
    LEDGE_TRY(make_out(infer, 0, x.dtype, rank, dims, &y));
    pick(&x, s, places, n, y);
    return LEDGE_OK;
}

enum ledge_status ledge_onnx_compress_prepare(struct ledge_op_prepare *prepare)
{
    return select_prepare(prepare);
}

/* -- Unique -- */

static enum ledge_status put_list(struct ledge_op_infer *infer, int32_t i, int64_t n,
                                  const int64_t *list)
{
    void *to;
    LEDGE_TRY(make_out(infer, i, LEDGE_I64, 1, &n, &to));
    if (to != NULL && n > 0) {
        memcpy(to, list, (size_t)n * sizeof *list);
    }
    return LEDGE_OK;
}

enum ledge_status ledge_onnx_unique_infer(struct ledge_op_infer *infer)
{
    struct ledge_axis s;
    int64_t dims[LEDGE_MAX_RANK];
    int32_t rank, axis;
    LEDGE_TRY(ledge_onnx_need(infer, 1));
    LEDGE_TRY(need_values(infer, 1));
    LEDGE_TRY(read_axis(infer, &s, dims, &rank, &axis));
    struct ledge_view x = ledge_value_view(ledge_infer_in(infer, 0));
    int64_t *room = LEDGE_NEW_ARRAY(&infer->graph->arena, int64_t, 4 * (size_t)s.n);
    if (room == NULL) {
        return ledge_infer_fail(infer, LEDGE_ERR_NOMEM, "no memory");
    }
    struct ledge_unique u = {.x = &x,
                             .outer = s.outer,
                             .n = s.n,
                             .inner = s.inner,
                             .sorted = ledge_node_int(infer->node, "sorted", 1) != 0,
                             .order = room,
                             .first = room + s.n,
                             .inverse = room + 2 * s.n,
                             .counts = room + 3 * s.n};
    ledge_unique(&u);
    dims[axis] = u.n_unique;
    void *y;
    LEDGE_TRY(make_out(infer, 0, x.dtype, rank, dims, &y));
    pick(&x, s, u.first, u.n_unique, y);
    LEDGE_TRY(put_list(infer, 1, u.n_unique, u.first));
    LEDGE_TRY(put_list(infer, 2, u.n, u.inverse));
    return put_list(infer, 3, u.n_unique, u.counts);
}

enum ledge_status ledge_onnx_unique_prepare(struct ledge_op_prepare *prepare)
{
    return select_prepare(prepare);
}

/* -- NonMaxSuppression -- */

static enum ledge_status real_or(const struct ledge_op_infer *infer, int32_t i, float *value)
{
    const struct ledge_value *v = ledge_infer_in(infer, i);
    double real = (double)*value;
    if (v != NULL && ledge_onnx_count(v) != 1) {
        return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "input %d is no scalar", (int)i);
    }
    if (v != NULL) {
        ledge_load_real(v->data, v->dtype, 0, 1, &real);
    }
    *value = (float)real;
    return LEDGE_OK;
}

static enum ledge_status read_nms(const struct ledge_op_infer *infer, struct ledge_nms *p)
{
    const struct ledge_value *boxes = ledge_infer_in(infer, 0), *scores = ledge_infer_in(infer, 1),
                             *most = ledge_infer_in(infer, 2);
    if (boxes->rank != 3 || scores->rank != 3 || boxes->dims[2] != 4 ||
        scores->dims[0] != boxes->dims[0] || scores->dims[2] != boxes->dims[1] ||
        (most != NULL && ledge_onnx_count(most) != 1)) {
        return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "boxes and scores do not fit");
    }
    *p = (struct ledge_nms){.boxes = boxes->data,
                            .scores = scores->data,
                            .batch = boxes->dims[0],
                            .classes = scores->dims[1],
                            .n = boxes->dims[1],
                            .least = -INFINITY,
                            .centre = ledge_node_int(infer->node, "center_point_box", 0) != 0};
    if (most != NULL) {
        ledge_load_whole(most->data, most->dtype, 0, 1, &p->most);
    }
    p->most = p->most < 0 ? 0 : p->most < p->n ? p->most : p->n;
    LEDGE_TRY(real_or(infer, 3, &p->overlap));
    return real_or(infer, 4, &p->least);
}

enum ledge_status ledge_onnx_nms_infer(struct ledge_op_infer *infer)
{
    struct ledge_nms p;
    LEDGE_TRY(ledge_onnx_need(infer, 2));
    LEDGE_TRY(ledge_onnx_dtype_is(infer, 0, LEDGE_F32));
    LEDGE_TRY(ledge_onnx_dtype_is(infer, 1, LEDGE_F32));
    LEDGE_TRY(need_values(infer, 5));
    LEDGE_TRY(read_nms(infer, &p));
    struct ledge_arena *arena = &infer->graph->arena;
    p.order = LEDGE_NEW_ARRAY(arena, int64_t, (size_t)p.n);
    p.kept = LEDGE_NEW_ARRAY(arena, int64_t, (size_t)(p.batch * p.classes * p.most) * 3);
    if (p.order == NULL || p.kept == NULL) {
        return ledge_infer_fail(infer, LEDGE_ERR_NOMEM, "no memory");
    }
    int64_t n = ledge_nms(&p);
    LEDGE_TRY(ledge_infer_out(infer, 0, LEDGE_I64, 2, (int64_t[]){n, 3}));
    return ledge_onnx_set_data(infer, 0, p.kept, (size_t)n * 3 * sizeof *p.kept);
}

enum ledge_status ledge_onnx_nms_prepare(struct ledge_op_prepare *prepare)
{
    return select_prepare(prepare);
}
