/* SPDX-License-Identifier: Apache-2.0 */
/* onnx_index.c -- Gather*, Scatter*, OneHot, Trilu, ReverseSequence. Index values are checked by
 * the kernels. */
#include <string.h>

#include "engine/kernels/onnx_number.h"
#include "engine/ops/onnx.h"

#include "base/banned.h"

static enum ledge_status need_indices(const struct ledge_op_infer *infer, int32_t i)
{
    const struct ledge_value *v = ledge_infer_in(infer, i);
    return v->dtype == LEDGE_I64 || v->dtype == LEDGE_I32
               ? LEDGE_OK
               : ledge_infer_fail(infer, LEDGE_ERR_DTYPE, "indices are %s",
                                  ledge_dtype_text(v->dtype));
}

/* -- Gather -- */

enum ledge_status ledge_onnx_gather_infer(struct ledge_op_infer *infer)
{
    int32_t axis, n = 0;
    int64_t dims[2 * LEDGE_MAX_RANK];
    LEDGE_TRY(ledge_onnx_need(infer, 2));
    LEDGE_TRY(need_indices(infer, 1));
    const struct ledge_value *x = ledge_infer_in(infer, 0), *indices = ledge_infer_in(infer, 1);
    LEDGE_TRY(ledge_onnx_axis(infer, ledge_node_int(infer->node, "axis", 0), x->rank, &axis));
    for (int32_t i = 0; i < x->rank; i++) {
        if (i != axis) {
            dims[n++] = x->dims[i];
            continue;
        }
        for (int32_t k = 0; k < indices->rank; k++) {
            dims[n++] = indices->dims[k];
        }
    }
    return ledge_infer_out(infer, 0, x->dtype, n, dims);
}

enum ledge_status ledge_onnx_gather_prepare(struct ledge_op_prepare *prepare)
{
    struct ledge_op_infer infer = ledge_onnx_as_infer(prepare);
    const struct ledge_value *x = ledge_prepare_in(prepare, 0);
    int32_t axis;
    LEDGE_TRY(ledge_onnx_axis(&infer, ledge_node_int(prepare->node, "axis", 0), x->rank, &axis));
    struct ledge_axis s = ledge_onnx_split(x, axis);
    struct ledge_gather params = {.outer = s.outer,
                                  .n = s.n,
                                  .count = ledge_onnx_count(ledge_prepare_in(prepare, 1)),
                                  .inner = (size_t)s.inner * ledge_dtype_size(x->dtype)};
    return ledge_onnx_ready(prepare, ledge_gather_c, "Gather_c", &params, sizeof params);
}

/* -- GatherElements, ScatterElements -- */

static enum ledge_status elements_axis(const struct ledge_op_infer *infer, int32_t *axis)
{
    const struct ledge_value *x = ledge_infer_in(infer, 0), *indices = ledge_infer_in(infer, 1);
    LEDGE_TRY(need_indices(infer, 1));
    LEDGE_TRY(ledge_onnx_axis(infer, ledge_node_int(infer->node, "axis", 0), x->rank, axis));
    for (int32_t i = 0; i < x->rank; i++) {
        if (indices->rank != x->rank || (i != *axis && indices->dims[i] > x->dims[i])) {
            return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "indices do not fit the data");
        }
    }
    return LEDGE_OK;
}

enum ledge_status ledge_onnx_gather_elements_infer(struct ledge_op_infer *infer)
{
    int32_t axis;
    LEDGE_TRY(ledge_onnx_need(infer, 2));
    LEDGE_TRY(elements_axis(infer, &axis));
    const struct ledge_value *indices = ledge_infer_in(infer, 1);
    return ledge_infer_out(infer, 0, ledge_infer_in(infer, 0)->dtype, indices->rank, indices->dims);
}

enum ledge_status ledge_onnx_gather_elements_prepare(struct ledge_op_prepare *prepare)
{
    struct ledge_op_infer infer = ledge_onnx_as_infer(prepare);
    struct ledge_elements params = {0};
    LEDGE_TRY(elements_axis(&infer, &params.axis));
    return ledge_onnx_ready(prepare, ledge_gather_elements_c, "GatherElements_c", &params,
                            sizeof params);
}

static enum ledge_status reduction_of(const struct ledge_op_infer *infer, int32_t *reduction)
{
    static const char *const names[] = {"none", "add", "mul", "max", "min"};
    const char *name = ledge_node_string(infer->node, "reduction", "none");
    for (int32_t i = 0; i < 5; i++) {
        if (strcmp(name, names[i]) == 0 &&
            (i == 0 || ledge_infer_in(infer, 0)->dtype != LEDGE_STRING)) {
            *reduction = i;
            return LEDGE_OK;
        }
    }
    return ledge_infer_fail(infer, LEDGE_ERR_UNSUPPORTED, "reduction %.40s", name);
}

static enum ledge_status same_shape(const struct ledge_op_infer *infer, const struct ledge_value *a,
                                    int32_t rank, const int64_t *dims)
{
    if (a->rank != rank || memcmp(a->dims, dims, (size_t)rank * sizeof *dims) != 0) {
        return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "updates do not fit the indices");
    }
    return LEDGE_OK;
}

enum ledge_status ledge_onnx_scatter_elements_infer(struct ledge_op_infer *infer)
{
    int32_t axis, reduction;
    LEDGE_TRY(ledge_onnx_need(infer, 3));
    LEDGE_TRY(ledge_onnx_same_dtype(infer, 0, 2));
    LEDGE_TRY(elements_axis(infer, &axis));
    LEDGE_TRY(reduction_of(infer, &reduction));
    const struct ledge_value *x = ledge_infer_in(infer, 0), *indices = ledge_infer_in(infer, 1);
    LEDGE_TRY(same_shape(infer, ledge_infer_in(infer, 2), indices->rank, indices->dims));
    return ledge_infer_out(infer, 0, x->dtype, x->rank, x->dims);
}

enum ledge_status ledge_onnx_scatter_elements_prepare(struct ledge_op_prepare *prepare)
{
    struct ledge_op_infer infer = ledge_onnx_as_infer(prepare);
    struct ledge_elements params = {0};
    LEDGE_TRY(elements_axis(&infer, &params.axis));
    LEDGE_TRY(reduction_of(&infer, &params.reduction));
    return ledge_onnx_ready(prepare, ledge_scatter_elements_c, "ScatterElements_c", &params,
                            sizeof params);
}

/* -- GatherND, ScatterND -- */

static enum ledge_status parse_nd(const struct ledge_op_infer *infer, int64_t batch_dims,
                                  struct ledge_nd *nd)
{
    const struct ledge_value *x = ledge_infer_in(infer, 0), *indices = ledge_infer_in(infer, 1);
    LEDGE_TRY(need_indices(infer, 1));
    int64_t depth = indices->rank > 0 ? indices->dims[indices->rank - 1] : 0;
    if (indices->rank < 1 || batch_dims < 0 || batch_dims >= indices->rank || depth < 1 ||
        depth + batch_dims > x->rank) {
        return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "indices do not fit the data");
    }
    *nd = (struct ledge_nd){.batch = 1, .tuples = 1, .depth = depth, .slice = 1, .block = 1};
    for (int32_t i = 0; i < indices->rank - 1; i++) {
        if (i >= batch_dims) {
            nd->tuples *= indices->dims[i];
            continue;
        }
        if (indices->dims[i] != x->dims[i]) {
            return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "batch dimension %d differs", (int)i);
        }
        nd->batch *= indices->dims[i];
    }
    for (int32_t i = (int32_t)batch_dims; i < x->rank; i++) {
        nd->block *= x->dims[i];
        if (i < batch_dims + depth) {
            nd->dims[i - batch_dims] = x->dims[i];
        } else {
            nd->slice *= x->dims[i];
        }
    }
    return LEDGE_OK;
}

/* indices.shape[:-1] + data.shape[batch + depth:] */
static int32_t nd_dims(const struct ledge_value *x, const struct ledge_value *indices,
                       int32_t first, int64_t dims[2 * LEDGE_MAX_RANK])
{
    int32_t n = 0;
    for (int32_t i = 0; i < indices->rank - 1; i++) {
        dims[n++] = indices->dims[i];
    }
    for (int32_t i = first; i < x->rank; i++) {
        dims[n++] = x->dims[i];
    }
    return n;
}

enum ledge_status ledge_onnx_gather_nd_infer(struct ledge_op_infer *infer)
{
    struct ledge_nd nd;
    int64_t dims[2 * LEDGE_MAX_RANK], batch = ledge_node_int(infer->node, "batch_dims", 0);
    LEDGE_TRY(ledge_onnx_need(infer, 2));
    LEDGE_TRY(parse_nd(infer, batch, &nd));
    const struct ledge_value *x = ledge_infer_in(infer, 0);
    int32_t n = nd_dims(x, ledge_infer_in(infer, 1), (int32_t)(batch + nd.depth), dims);
    return ledge_infer_out(infer, 0, x->dtype, n, dims);
}

enum ledge_status ledge_onnx_gather_nd_prepare(struct ledge_op_prepare *prepare)
{
    struct ledge_op_infer infer = ledge_onnx_as_infer(prepare);
    struct ledge_nd nd;
    LEDGE_TRY(parse_nd(&infer, ledge_node_int(prepare->node, "batch_dims", 0), &nd));
    return ledge_onnx_ready(prepare, ledge_gather_nd_c, "GatherND_c", &nd, sizeof nd);
}

enum ledge_status ledge_onnx_scatter_nd_infer(struct ledge_op_infer *infer)
{
    struct ledge_nd nd;
    int64_t dims[2 * LEDGE_MAX_RANK];
    LEDGE_TRY(ledge_onnx_need(infer, 3));
    LEDGE_TRY(ledge_onnx_same_dtype(infer, 0, 2));
    LEDGE_TRY(parse_nd(infer, 0, &nd));
    LEDGE_TRY(reduction_of(infer, &nd.reduction));
    const struct ledge_value *x = ledge_infer_in(infer, 0);
    int32_t n = nd_dims(x, ledge_infer_in(infer, 1), (int32_t)nd.depth, dims);
    LEDGE_TRY(same_shape(infer, ledge_infer_in(infer, 2), n, dims));
    return ledge_infer_out(infer, 0, x->dtype, x->rank, x->dims);
}

enum ledge_status ledge_onnx_scatter_nd_prepare(struct ledge_op_prepare *prepare)
{
    struct ledge_op_infer infer = ledge_onnx_as_infer(prepare);
    struct ledge_nd nd;
    LEDGE_TRY(parse_nd(&infer, 0, &nd));
    LEDGE_TRY(reduction_of(&infer, &nd.reduction));
    return ledge_onnx_ready(prepare, ledge_scatter_nd_c, "ScatterND_c", &nd, sizeof nd);
}

/* -- OneHot -- */

static enum ledge_status parse_one_hot(const struct ledge_op_infer *infer, int64_t *depth,
                                       int32_t *axis)
{
    const struct ledge_value *d = ledge_infer_in(infer, 1), *x = ledge_infer_in(infer, 0);
    if (ledge_onnx_count(d) != 1 || ledge_onnx_count(ledge_infer_in(infer, 2)) != 2) {
        return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "depth is not one number, or values two");
    }
    if (d->data == NULL) {
        return ledge_infer_wait(infer, 1);
    }
    ledge_load_whole(d->data, d->dtype, 0, 1, depth);
    if (*depth < 0 || *depth > INT32_MAX) {
        return ledge_infer_fail(infer, LEDGE_ERR_RANGE, "depth %lld", (long long)*depth);
    }
    return ledge_onnx_axis(infer, ledge_node_int(infer->node, "axis", -1), x->rank + 1, axis);
}

enum ledge_status ledge_onnx_one_hot_infer(struct ledge_op_infer *infer)
{
    int64_t depth = 0, dims[LEDGE_MAX_RANK + 1];
    int32_t axis;
    LEDGE_TRY(ledge_onnx_need(infer, 3));
    LEDGE_TRY(parse_one_hot(infer, &depth, &axis));
    const struct ledge_value *x = ledge_infer_in(infer, 0);
    for (int32_t i = 0; i <= x->rank; i++) {
        dims[i] = i < axis ? x->dims[i] : i == axis ? depth : x->dims[i - 1];
    }
    return ledge_infer_out(infer, 0, ledge_infer_in(infer, 2)->dtype, x->rank + 1, dims);
}

enum ledge_status ledge_onnx_one_hot_prepare(struct ledge_op_prepare *prepare)
{
    struct ledge_op_infer infer = ledge_onnx_as_infer(prepare);
    int64_t depth = 0;
    int32_t axis;
    LEDGE_TRY(parse_one_hot(&infer, &depth, &axis));
    struct ledge_axis params = ledge_onnx_split(ledge_prepare_out(prepare, 0), axis);
    return ledge_onnx_ready(prepare, ledge_one_hot_c, "OneHot_c", &params, sizeof params);
}

/* -- Trilu, ReverseSequence -- */

enum ledge_status ledge_onnx_trilu_infer(struct ledge_op_infer *infer)
{
    int64_t k;
    int32_t n;
    LEDGE_TRY(ledge_onnx_need(infer, 1));
    LEDGE_TRY(ledge_onnx_list(infer, NULL, 1, &k, 1, &n));
    const struct ledge_value *x = ledge_infer_in(infer, 0);
    if (x->rank < 2) {
        return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "rank %d", (int)x->rank);
    }
    return ledge_infer_out(infer, 0, x->dtype, x->rank, x->dims);
}

enum ledge_status ledge_onnx_trilu_prepare(struct ledge_op_prepare *prepare)
{
    struct ledge_op_infer infer = ledge_onnx_as_infer(prepare);
    const struct ledge_value *x = ledge_prepare_in(prepare, 0);
    struct ledge_trilu params = {.batch = 1,
                                 .rows = x->dims[x->rank - 2],
                                 .cols = x->dims[x->rank - 1],
                                 .upper = ledge_node_int(prepare->node, "upper", 1) != 0,
                                 .size = ledge_dtype_size(x->dtype)};
    int32_t n;
    int64_t k;
    LEDGE_TRY(ledge_onnx_list(&infer, NULL, 1, &k, 1, &n));
    if (n == 1) {
        params.k = k > params.cols ? params.cols : k < -params.rows ? -params.rows : k;
    }
    for (int32_t i = 0; i < x->rank - 2; i++) {
        params.batch *= x->dims[i];
    }
    prepare->in_place = 0;
    return ledge_onnx_ready(prepare, ledge_trilu_c, "Trilu_c", &params, sizeof params);
}

enum ledge_status ledge_onnx_reverse_sequence_infer(struct ledge_op_infer *infer)
{
    LEDGE_TRY(ledge_onnx_need(infer, 2));
    const struct ledge_value *x = ledge_infer_in(infer, 0), *lens = ledge_infer_in(infer, 1);
    int64_t time = ledge_node_int(infer->node, "time_axis", 0);
    int64_t batch = ledge_node_int(infer->node, "batch_axis", 1);
    if (x->rank < 2 || time < 0 || time > 1 || batch != 1 - time || lens->rank != 1 ||
        lens->dims[0] != x->dims[batch] || lens->dtype != LEDGE_I64) {
        return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "axes or sequence_lens do not fit");
    }
    return ledge_infer_out(infer, 0, x->dtype, x->rank, x->dims);
}

enum ledge_status ledge_onnx_reverse_sequence_prepare(struct ledge_op_prepare *prepare)
{
    const struct ledge_value *x = ledge_prepare_in(prepare, 0);
    int32_t time = (int32_t)ledge_node_int(prepare->node, "time_axis", 0);
    struct ledge_reverse params = {.time = x->dims[time],
                                   .batch = x->dims[1 - time],
                                   .inner = ledge_onnx_split(x, 1).inner,
                                   .time_stride = time == 0 ? x->dims[1] : 1,
                                   .batch_stride = time == 0 ? 1 : x->dims[1],
                                   .size = ledge_dtype_size(x->dtype)};
    return ledge_onnx_ready(prepare, ledge_reverse_sequence_c, "ReverseSequence_c", &params,
                            sizeof params);
}
