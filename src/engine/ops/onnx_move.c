/* SPDX-License-Identifier: Apache-2.0 */
/* onnx_move.c -- operators that copy elements to other places: all become strided copies, but for
 * Pad's mirroring modes, which become a table lookup. */
#include <string.h>

#include "base/checked.h"
#include "engine/ops/onnx.h"

#include "base/banned.h"

/* -- Transpose -- */

static enum ledge_status permutation(const struct ledge_op_infer *infer, int32_t rank,
                                     int32_t *perm)
{
    size_t n;
    const int64_t *given = ledge_node_ints(infer->node, "perm", &n);
    bool seen[LEDGE_MAX_RANK] = {false};
    if (given != NULL && n != (size_t)rank) {
        return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "perm has %zu entries for rank %d", n,
                                (int)rank);
    }
    for (int32_t i = 0; i < rank; i++) {
        int32_t axis = rank - 1 - i;
        if (given != NULL) {
            LEDGE_TRY(ledge_onnx_axis(infer, given[i], rank, &axis));
        }
        if (seen[axis]) {
            return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "perm names axis %d twice", (int)axis);
        }
        seen[axis] = true;
        perm[i] = axis;
    }
    return LEDGE_OK;
}

enum ledge_status ledge_onnx_transpose_infer(struct ledge_op_infer *infer)
{
    int32_t perm[LEDGE_MAX_RANK];
    int64_t dims[LEDGE_MAX_RANK];
    LEDGE_TRY(ledge_onnx_need(infer, 1));
    const struct ledge_value *x = ledge_infer_in(infer, 0);
    LEDGE_TRY(permutation(infer, x->rank, perm));
    for (int32_t i = 0; i < x->rank; i++) {
        dims[i] = x->dims[perm[i]];
    }
    return ledge_infer_out(infer, 0, x->dtype, x->rank, dims);
}

enum ledge_status ledge_onnx_transpose_prepare(struct ledge_op_prepare *prepare)
{
    struct ledge_op_infer infer = ledge_onnx_as_infer(prepare);
    const struct ledge_value *x = ledge_prepare_in(prepare, 0), *y = ledge_prepare_out(prepare, 0);
    int32_t perm[LEDGE_MAX_RANK], last = -1;
    int64_t strides[LEDGE_MAX_RANK];
    struct ledge_strided s = {.rank = x->rank};
    LEDGE_TRY(permutation(&infer, x->rank, perm));
    ledge_onnx_strides(x->dims, x->rank, strides);
    ledge_onnx_strides(y->dims, y->rank, s.to);
    bool same = true; /* dimensions of 1 may move without a byte moving */
    for (int32_t i = 0; i < x->rank; i++) {
        s.dims[i] = y->dims[i];
        s.from[i] = strides[perm[i]];
        if (y->dims[i] != 1) {
            same = same && perm[i] > last;
            last = perm[i];
        }
    }
    if (same) {
        prepare->alias = 0;
        return LEDGE_OK;
    }
    return ledge_onnx_move(prepare, "Transpose_c", &s);
}

/* -- Concat and Split -- */

enum ledge_status ledge_onnx_concat_infer(struct ledge_op_infer *infer)
{
    int32_t axis, n = infer->node->n_in;
    int64_t dims[LEDGE_MAX_RANK];
    LEDGE_TRY(ledge_onnx_need(infer, n > 0 ? n : 1));
    const struct ledge_value *x = ledge_infer_in(infer, 0);
    LEDGE_TRY(ledge_onnx_axis(infer, ledge_node_int(infer->node, "axis", 1), x->rank, &axis));
    memcpy(dims, x->dims, sizeof dims);
    for (int32_t i = 1; i < n; i++) {
        const struct ledge_value *y = ledge_infer_in(infer, i);
        LEDGE_TRY(ledge_onnx_same_dtype(infer, 0, i));
        for (int32_t k = 0; k < x->rank; k++) {
            if (y->rank != x->rank || (k != axis && y->dims[k] != x->dims[k])) {
                return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "input %d has another shape",
                                        (int)i);
            }
        }
        if (y->dims[axis] > INT64_MAX - dims[axis]) {
            return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "the sum of dimensions overflows");
        }
        dims[axis] += y->dims[axis];
    }
    return ledge_infer_out(infer, 0, x->dtype, x->rank, dims);
}

/* Part number i: `mine` [outer, n, inner] at place `at` along the axis of `whole`. */
static void axis_part(struct ledge_strided *s, struct ledge_axis mine, int64_t whole, int64_t at,
                      bool into, size_t size)
{
    int64_t row = mine.n * mine.inner, whole_row = whole * mine.inner;
    *s = (struct ledge_strided){.rank = 2, .size = size, .dims = {mine.outer, row}};
    s->from[0] = into ? row : whole_row;
    s->to[0] = into ? whole_row : row;
    s->from[1] = s->to[1] = 1;
    s->from_at = into ? 0 : at * mine.inner;
    s->to_at = into ? at * mine.inner : 0;
    ledge_strided_collapse(s);
}

static enum ledge_status along_axis(struct ledge_op_prepare *prepare, int32_t n, bool join,
                                    int32_t axis)
{
    const struct ledge_value *whole =
        join ? ledge_prepare_out(prepare, 0) : ledge_prepare_in(prepare, 0);
    struct ledge_move move = {
        .parts = LEDGE_NEW_ARRAY(prepare->memory, struct ledge_move_part, (size_t)n)};
    int64_t at = 0;
    if (move.parts == NULL) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_NOMEM, "no memory");
    }
    for (int32_t i = 0; i < n; i++) {
        const struct ledge_value *part =
            join ? ledge_prepare_in(prepare, i) : ledge_prepare_out(prepare, i);
        struct ledge_move_part *p = &move.parts[move.n];
        if (part == NULL) {
            return ledge_prepare_fail(prepare, LEDGE_ERR_UNSUPPORTED, "output %d is not named",
                                      (int)i);
        }
        p->in = join ? i : 0;
        p->out = join ? 0 : i;
        axis_part(&p->s, ledge_onnx_split(part, axis), whole->dims[axis], at, join,
                  ledge_dtype_size(whole->dtype));
        at += part->dims[axis];
        move.n++;
    }
    return ledge_onnx_ready(prepare, ledge_move_c, join ? "Concat_c" : "Split_c", &move,
                            sizeof move);
}

enum ledge_status ledge_onnx_concat_prepare(struct ledge_op_prepare *prepare)
{
    struct ledge_op_infer infer = ledge_onnx_as_infer(prepare);
    int32_t axis;
    LEDGE_TRY(ledge_onnx_axis(&infer, ledge_node_int(prepare->node, "axis", 1),
                              ledge_prepare_out(prepare, 0)->rank, &axis));
    if (prepare->node->n_in == 1) {
        prepare->alias = 0;
        return LEDGE_OK;
    }
    return along_axis(prepare, prepare->node->n_in, true, axis);
}

enum { MAX_PARTS = 256 };

enum ledge_status ledge_onnx_split_infer(struct ledge_op_infer *infer)
{
    int64_t sizes[MAX_PARTS], dims[LEDGE_MAX_RANK], total = 0;
    int32_t axis, given, n = infer->node->n_out;
    LEDGE_TRY(ledge_onnx_need(infer, 1));
    const struct ledge_value *x = ledge_infer_in(infer, 0);
    LEDGE_TRY(ledge_onnx_axis(infer, ledge_node_int(infer->node, "axis", 0), x->rank, &axis));
    LEDGE_TRY(ledge_onnx_list(infer, "split", 1, sizes, MAX_PARTS, &given));
    if (n > MAX_PARTS || n < 1 || (given >= 0 && given != n)) {
        return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "%d sizes for %d outputs (at most %d)",
                                (int)given, (int)n, MAX_PARTS);
    }
    int64_t each = (x->dims[axis] + n - 1) / n;
    memcpy(dims, x->dims, sizeof dims);
    for (int32_t i = 0; i < n; i++) {
        int64_t left = x->dims[axis] - total;
        int64_t size = given >= 0 ? sizes[i] : each < left ? each : left;
        if (size < 0 || size > left) {
            return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "part %d has %lld of %lld", (int)i,
                                    (long long)size, (long long)left);
        }
        dims[axis] = size;
        total += size;
        LEDGE_TRY(ledge_infer_out(infer, i, x->dtype, x->rank, dims));
    }
    return total == x->dims[axis]
               ? LEDGE_OK
               : ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "parts sum to %lld of %lld",
                                  (long long)total, (long long)x->dims[axis]);
}

enum ledge_status ledge_onnx_split_prepare(struct ledge_op_prepare *prepare)
{
    struct ledge_op_infer infer = ledge_onnx_as_infer(prepare);
    int32_t axis;
    LEDGE_TRY(ledge_onnx_axis(&infer, ledge_node_int(prepare->node, "axis", 0),
                              ledge_prepare_in(prepare, 0)->rank, &axis));
    return along_axis(prepare, prepare->node->n_out, false, axis);
}

/* -- Slice -- */

struct slice {
    int64_t start[LEDGE_MAX_RANK], step[LEDGE_MAX_RANK], dims[LEDGE_MAX_RANK];
};

static int64_t clamp_to(int64_t v, int64_t low, int64_t high)
{
    return v < low ? low : v > high ? high : v;
}

/* numpy's rules for one axis of n elements. */
static void slice_axis(struct slice *s, int32_t axis, int64_t n, int64_t start, int64_t end,
                       int64_t step)
{
    start = start < 0 ? (start < -n ? -1 : start + n) : start;
    end = end < 0 ? (end < -n ? -1 : end + n) : end;
    int64_t span;
    if (step > 0) {
        start = clamp_to(start, 0, n);
        end = clamp_to(end, 0, n);
        span = end - start;
    } else {
        start = clamp_to(start, -1, n - 1);
        end = clamp_to(end, -1, n - 1);
        span = start - end;
    }
    int64_t stride = step > 0 ? step : -step;
    s->dims[axis] = span > 0 ? (span - 1) / stride + 1 : 0;
    s->start[axis] = s->dims[axis] > 0 ? start : 0;
    s->step[axis] = step;
}

static enum ledge_status parse_slice(const struct ledge_op_infer *infer, struct slice *s)
{
    int64_t starts[LEDGE_MAX_RANK], ends[LEDGE_MAX_RANK], axes[LEDGE_MAX_RANK],
        steps[LEDGE_MAX_RANK];
    int32_t n, n_ends, n_axes, n_steps;
    const struct ledge_value *x = ledge_infer_in(infer, 0);
    LEDGE_TRY(ledge_onnx_list(infer, "starts", 1, starts, LEDGE_MAX_RANK, &n));
    LEDGE_TRY(ledge_onnx_list(infer, "ends", 2, ends, LEDGE_MAX_RANK, &n_ends));
    LEDGE_TRY(ledge_onnx_list(infer, "axes", 3, axes, LEDGE_MAX_RANK, &n_axes));
    LEDGE_TRY(ledge_onnx_list(infer, NULL, 4, steps, LEDGE_MAX_RANK, &n_steps));
    if (n < 0 || n != n_ends || (n_axes >= 0 && n_axes != n) || (n_steps >= 0 && n_steps != n) ||
        n > x->rank) {
        return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "starts, ends, axes, steps do not agree");
    }
    for (int32_t i = 0; i < x->rank; i++) {
        s->start[i] = 0;
        s->step[i] = 1;
        s->dims[i] = x->dims[i];
    }
    for (int32_t i = 0; i < n; i++) {
        int32_t axis = i;
        int64_t step = n_steps >= 0 ? steps[i] : 1;
        if (n_axes >= 0) {
            LEDGE_TRY(ledge_onnx_axis(infer, axes[i], x->rank, &axis));
        }
        if (step == 0) {
            return ledge_infer_fail(infer, LEDGE_ERR_RANGE, "step %d is 0", (int)i);
        }
        step = step == INT64_MIN ? -INT64_MAX : step; /* its opposite is a number, too */
        slice_axis(s, axis, x->dims[axis], starts[i], ends[i], step);
    }
    return LEDGE_OK;
}

enum ledge_status ledge_onnx_slice_infer(struct ledge_op_infer *infer)
{
    struct slice s;
    LEDGE_TRY(ledge_onnx_need(infer, 1));
    LEDGE_TRY(parse_slice(infer, &s));
    const struct ledge_value *x = ledge_infer_in(infer, 0);
    return ledge_infer_out(infer, 0, x->dtype, x->rank, s.dims);
}

enum ledge_status ledge_onnx_slice_prepare(struct ledge_op_prepare *prepare)
{
    struct ledge_op_infer infer = ledge_onnx_as_infer(prepare);
    const struct ledge_value *x = ledge_prepare_in(prepare, 0);
    struct slice slice;
    struct ledge_strided s = {.rank = x->rank};
    int64_t strides[LEDGE_MAX_RANK];
    LEDGE_TRY(parse_slice(&infer, &slice));
    ledge_onnx_strides(x->dims, x->rank, strides);
    ledge_onnx_strides(slice.dims, x->rank, s.to);
    for (int32_t i = 0; i < x->rank; i++) {
        s.dims[i] = slice.dims[i];
        s.from[i] = slice.dims[i] > 1 ? strides[i] * slice.step[i] : 0;
        s.from_at += slice.start[i] * strides[i];
    }
    return ledge_onnx_move(prepare, "Slice_c", &s);
}

/* -- Expand and Tile -- */

enum ledge_status ledge_onnx_expand_infer(struct ledge_op_infer *infer)
{
    int64_t dims[LEDGE_MAX_RANK];
    int32_t rank;
    LEDGE_TRY(ledge_onnx_need(infer, 2));
    LEDGE_TRY(ledge_infer_ints(infer, 1, dims, LEDGE_MAX_RANK, &rank));
    const struct ledge_value *x = ledge_infer_in(infer, 0);
    if (x->rank > rank) {
        memmove(dims + x->rank - rank, dims, (size_t)rank * sizeof *dims);
        for (int32_t i = 0; i < x->rank - rank; i++) {
            dims[i] = 1;
        }
        rank = x->rank;
    }
    for (int32_t i = 0; i < x->rank; i++) {
        int64_t *d = &dims[rank - x->rank + i];
        if (*d != x->dims[i] && *d != 1 && x->dims[i] != 1) {
            return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "%lld does not broadcast to %lld",
                                    (long long)x->dims[i], (long long)*d);
        }
        *d = *d == 1 ? x->dims[i] : *d;
    }
    return ledge_infer_out(infer, 0, x->dtype, rank, dims);
}

enum ledge_status ledge_onnx_expand_prepare(struct ledge_op_prepare *prepare)
{
    const struct ledge_value *x = ledge_prepare_in(prepare, 0), *y = ledge_prepare_out(prepare, 0);
    struct ledge_strided s = {.rank = y->rank};
    int64_t strides[LEDGE_MAX_RANK];
    ledge_onnx_strides(x->dims, x->rank, strides);
    ledge_onnx_strides(y->dims, y->rank, s.to);
    for (int32_t i = 0; i < y->rank; i++) {
        int32_t at = i - (y->rank - x->rank);
        s.dims[i] = y->dims[i];
        s.from[i] = at >= 0 && x->dims[at] != 1 ? strides[at] : 0;
    }
    return ledge_onnx_move(prepare, "Expand_c", &s);
}

enum ledge_status ledge_onnx_tile_infer(struct ledge_op_infer *infer)
{
    int64_t repeats[LEDGE_MAX_RANK], dims[LEDGE_MAX_RANK];
    int32_t n;
    LEDGE_TRY(ledge_onnx_need(infer, 2));
    LEDGE_TRY(ledge_infer_ints(infer, 1, repeats, LEDGE_MAX_RANK, &n));
    const struct ledge_value *x = ledge_infer_in(infer, 0);
    if (n != x->rank) {
        return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "%d repeats for rank %d", (int)n,
                                (int)x->rank);
    }
    for (int32_t i = 0; i < n; i++) {
        if (!ledge_mul_i64(x->dims[i], repeats[i], &dims[i])) {
            return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "%lld times dimension %d",
                                    (long long)repeats[i], (int)i);
        }
    }
    return ledge_infer_out(infer, 0, x->dtype, n, dims);
}

enum ledge_status ledge_onnx_tile_prepare(struct ledge_op_prepare *prepare)
{
    const struct ledge_value *x = ledge_prepare_in(prepare, 0), *y = ledge_prepare_out(prepare, 0);
    struct ledge_strided s = {.rank = 2 * x->rank};
    int64_t from[LEDGE_MAX_RANK], to[LEDGE_MAX_RANK];
    ledge_onnx_strides(x->dims, x->rank, from);
    ledge_onnx_strides(y->dims, y->rank, to);
    for (int32_t i = 0; i < x->rank; i++) { /* each dimension is (repeat, element) */
        s.dims[2 * i] = x->dims[i] > 0 ? y->dims[i] / x->dims[i] : 0;
        s.to[2 * i] = to[i] * x->dims[i];
        s.dims[2 * i + 1] = x->dims[i];
        s.from[2 * i + 1] = from[i];
        s.to[2 * i + 1] = to[i];
    }
    return ledge_onnx_move(prepare, "Tile_c", &s);
}

/* -- DepthToSpace and SpaceToDepth -- */

enum ledge_status ledge_onnx_depth_space_infer(struct ledge_op_infer *infer)
{
    int64_t b = ledge_node_int(infer->node, "blocksize", 0);
    LEDGE_TRY(ledge_onnx_need(infer, 1));
    const struct ledge_value *x = ledge_infer_in(infer, 0);
    bool down = strcmp(infer->node->op, "DepthToSpace") == 0;
    if (x->rank != 4 || b < 1 || b > 1 << 15) {
        return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "rank %d, blocksize %lld", (int)x->rank,
                                (long long)b);
    }
    if (down ? x->dims[1] % (b * b) != 0 : x->dims[2] % b != 0 || x->dims[3] % b != 0) {
        return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "blocksize %lld does not divide",
                                (long long)b);
    }
    int64_t dims[4] = {x->dims[0], down ? x->dims[1] / (b * b) : x->dims[1] * b * b,
                       down ? x->dims[2] * b : x->dims[2] / b,
                       down ? x->dims[3] * b : x->dims[3] / b};
    return ledge_infer_out(infer, 0, x->dtype, 4, dims);
}

enum ledge_status ledge_onnx_depth_space_prepare(struct ledge_op_prepare *prepare)
{
    int64_t b = ledge_node_int(prepare->node, "blocksize", 1);
    bool down = strcmp(prepare->node->op, "DepthToSpace") == 0;
    bool crd = strcmp(ledge_node_string(prepare->node, "mode", "DCR"), "CRD") == 0;
    const struct ledge_value *deep =
        down ? ledge_prepare_in(prepare, 0) : ledge_prepare_out(prepare, 0);
    const struct ledge_value *wide =
        down ? ledge_prepare_out(prepare, 0) : ledge_prepare_in(prepare, 0);
    int64_t c = wide->dims[1], h = deep->dims[2], w = deep->dims[3];
    /* Dimensions n, c, h, bh, w, bw; channel of the deep side is (bh, bw, c), or (c, bh, bw) in
     * mode CRD. */
    int64_t dims[6] = {wide->dims[0], c, h, b, w, b};
    int64_t in_wide[6] = {c * h * b * w * b, h * b * w * b, b * w * b, w * b, b, 1};
    int64_t plane = h * w;
    int64_t in_deep[6] = {c * b * b * plane, plane, w, b * c * plane, 1, c * plane};
    if (down && crd) {
        in_deep[1] = b * b * plane;
        in_deep[3] = b * plane;
        in_deep[5] = plane;
    }
    struct ledge_strided s = {.rank = 6};
    for (int i = 0; i < 6; i++) {
        s.dims[i] = dims[i];
        s.from[i] = down ? in_deep[i] : in_wide[i];
        s.to[i] = down ? in_wide[i] : in_deep[i];
    }
    return ledge_onnx_move(prepare, down ? "DepthToSpace_c" : "SpaceToDepth_c", &s);
}

/* -- Pad -- */

struct pads {
    int64_t before[LEDGE_MAX_RANK], after[LEDGE_MAX_RANK], dims[LEDGE_MAX_RANK];
};

static enum ledge_status parse_pads(const struct ledge_op_infer *infer, struct pads *pads)
{
    const struct ledge_value *x = ledge_infer_in(infer, 0);
    int64_t list[2 * LEDGE_MAX_RANK], axes[LEDGE_MAX_RANK];
    int32_t n, n_axes;
    const char *name = infer->node->opset < 2 ? "paddings" : "pads";
    LEDGE_TRY(ledge_onnx_list(infer, name, 1, list, 2 * LEDGE_MAX_RANK, &n));
    LEDGE_TRY(ledge_onnx_list(infer, NULL, 3, axes, LEDGE_MAX_RANK, &n_axes));
    int32_t padded = n_axes >= 0 ? n_axes : x->rank;
    if (n != 2 * padded) {
        return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "%d pads for %d axes", (int)n, (int)padded);
    }
    for (int32_t i = 0; i < x->rank; i++) {
        pads->before[i] = pads->after[i] = 0;
        pads->dims[i] = x->dims[i];
    }
    for (int32_t i = 0; i < padded; i++) {
        int32_t axis = i;
        if (n_axes >= 0) {
            LEDGE_TRY(ledge_onnx_axis(infer, axes[i], x->rank, &axis));
        }
        int64_t low = list[i], high = list[padded + i];
        const int64_t far = INT64_C(1) << 40;
        if (low < -far || low > far || high < -far || high > far ||
            x->dims[axis] + low + high < 0) {
            return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "pads %lld and %lld on axis %d",
                                    (long long)low, (long long)high, (int)axis);
        }
        pads->before[axis] = low;
        pads->after[axis] = high;
        pads->dims[axis] = x->dims[axis] + low + high;
    }
    return LEDGE_OK;
}

enum ledge_status ledge_onnx_pad_infer(struct ledge_op_infer *infer)
{
    struct pads pads;
    LEDGE_TRY(ledge_onnx_need(infer, 1));
    LEDGE_TRY(parse_pads(infer, &pads));
    LEDGE_TRY(ledge_onnx_same_dtype(infer, 0, 2));
    const struct ledge_value *x = ledge_infer_in(infer, 0), *value = ledge_infer_in(infer, 2);
    const char *mode = ledge_node_string(infer->node, "mode", "constant");
    if (value != NULL && ledge_onnx_count(value) != 1) {
        return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "the value is not one element");
    }
    for (int32_t i = 0; i < x->rank; i++) {
        if (strcmp(mode, "constant") != 0 &&
            (pads.dims[i] > LEDGE_ONNX_TABLE_MAX || (x->dims[i] == 0 && pads.dims[i] > 0))) {
            return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "cannot repeat %lld to %lld on axis %d",
                                    (long long)x->dims[i], (long long)pads.dims[i], (int)i);
        }
    }
    return ledge_infer_out(infer, 0, x->dtype, x->rank, pads.dims);
}

static enum ledge_status pad_constant(struct ledge_op_prepare *prepare, const struct pads *pads)
{
    const struct ledge_value *x = ledge_prepare_in(prepare, 0);
    struct ledge_move_part *part = LEDGE_NEW(prepare->memory, struct ledge_move_part);
    struct ledge_move move = {.n = 1, .parts = part, .fill = LEDGE_FILL_VALUE};
    if (part == NULL) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_NOMEM, "no memory");
    }
    struct ledge_strided *s = &part->s;
    s->rank = x->rank;
    s->size = ledge_dtype_size(x->dtype);
    ledge_onnx_strides(x->dims, x->rank, s->from);
    ledge_onnx_strides(pads->dims, x->rank, s->to);
    for (int32_t i = 0; i < x->rank; i++) {
        int64_t low = pads->before[i];
        int64_t from = low < 0 ? -low : 0, to = low > 0 ? low : 0;
        int64_t n = x->dims[i] - from < pads->dims[i] - to ? x->dims[i] - from : pads->dims[i] - to;
        s->dims[i] = n > 0 ? n : 0;
        s->from_at += from * s->from[i];
        s->to_at += to * s->to[i];
    }
    ledge_strided_collapse(s);
    float value = ledge_node_float(prepare->node, "value", 0.0f);
    if (x->dtype == LEDGE_F32) {
        memcpy(move.value, &value, sizeof value);
    }
    if (ledge_prepare_in(prepare, 2) != NULL) {
        move.fill = LEDGE_FILL_INPUT;
        move.fill_in = 2;
    }
    return ledge_onnx_ready(prepare, ledge_move_c, "Pad_c", &move, sizeof move);
}

static int64_t mirror(int64_t i, int64_t n, const char *mode)
{
    if (strcmp(mode, "edge") == 0) {
        return clamp_to(i, 0, n - 1);
    }
    if (strcmp(mode, "wrap") == 0) {
        return (i % n + n) % n;
    }
    if (n == 1) {
        return 0;
    }
    int64_t period = 2 * (n - 1), at = (i % period + period) % period;
    return at < n ? at : period - at;
}

enum ledge_status ledge_onnx_pad_prepare(struct ledge_op_prepare *prepare)
{
    struct ledge_op_infer infer = ledge_onnx_as_infer(prepare);
    const struct ledge_value *x = ledge_prepare_in(prepare, 0);
    const char *mode = ledge_node_string(prepare->node, "mode", "constant");
    struct pads pads;
    LEDGE_TRY(parse_pads(&infer, &pads));
    if (strcmp(mode, "constant") == 0) {
        return pad_constant(prepare, &pads);
    }
    if (x->rank == 0) {
        prepare->alias = 0;
        return LEDGE_OK;
    }
    if (strcmp(mode, "edge") != 0 && strcmp(mode, "wrap") != 0 && strcmp(mode, "reflect") != 0) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_UNSUPPORTED, "mode %.40s", mode);
    }
    struct ledge_lookup params = {.rank = x->rank, .size = ledge_dtype_size(x->dtype)};
    ledge_onnx_strides(x->dims, x->rank, params.stride);
    for (int32_t i = 0; i < x->rank; i++) {
        int64_t *table = LEDGE_NEW_ARRAY(prepare->memory, int64_t, (size_t)pads.dims[i]);
        /* What pads below 0 cut off is not repeated. */
        int64_t cut = pads.before[i] < 0 ? -pads.before[i] : 0, after = pads.after[i];
        int64_t n = x->dims[i] - cut + (after < 0 ? after : 0);
        if (n < 1 && pads.dims[i] > 0) {
            return ledge_prepare_fail(prepare, LEDGE_ERR_SHAPE, "nothing to repeat on axis %d",
                                      (int)i);
        }
        if (table == NULL) {
            return ledge_prepare_fail(prepare, LEDGE_ERR_NOMEM, "no memory");
        }
        for (int64_t k = 0; k < pads.dims[i]; k++) {
            table[k] = cut + mirror(k - (pads.before[i] + cut), n, mode);
        }
        params.dims[i] = pads.dims[i];
        params.table[i] = table;
    }
    return ledge_onnx_ready(prepare, ledge_lookup_c, "Pad_lookup_c", &params, sizeof params);
}

/* -- CenterCropPad -- */

static enum ledge_status center_dims(const struct ledge_op_infer *infer, int64_t *dims)
{
    int64_t axes[LEDGE_MAX_RANK], shape[LEDGE_MAX_RANK];
    int32_t n, n_axes, axis;
    LEDGE_TRY(ledge_onnx_need(infer, 2));
    LEDGE_TRY(ledge_infer_ints(infer, 1, shape, LEDGE_MAX_RANK, &n));
    LEDGE_TRY(ledge_onnx_list(infer, "axes", -1, axes, LEDGE_MAX_RANK, &n_axes));
    const struct ledge_value *x = ledge_infer_in(infer, 0);
    if (n != (n_axes < 0 ? x->rank : n_axes)) {
        return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "%d sizes", (int)n);
    }
    memcpy(dims, x->dims, sizeof x->dims);
    for (int32_t i = 0; i < n; i++) {
        LEDGE_TRY(ledge_onnx_axis(infer, n_axes < 0 ? i : axes[i], x->rank, &axis));
        dims[axis] = shape[i];
    }
    return LEDGE_OK;
}

enum ledge_status ledge_onnx_center_infer(struct ledge_op_infer *infer)
{
    int64_t dims[LEDGE_MAX_RANK];
    LEDGE_TRY(center_dims(infer, dims));
    const struct ledge_value *x = ledge_infer_in(infer, 0);
    return ledge_infer_out(infer, 0, x->dtype, x->rank, dims);
}

enum ledge_status ledge_onnx_center_prepare(struct ledge_op_prepare *prepare)
{
    const struct ledge_value *x = ledge_prepare_in(prepare, 0), *y = ledge_prepare_out(prepare, 0);
    struct ledge_move_part *part = LEDGE_NEW(prepare->memory, struct ledge_move_part);
    if (part == NULL) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_NOMEM, "no memory");
    }
    struct ledge_strided *s = &part->s;
    s->rank = x->rank;
    s->size = ledge_dtype_size(x->dtype);
    ledge_onnx_strides(x->dims, x->rank, s->from);
    ledge_onnx_strides(y->dims, x->rank, s->to);
    for (int32_t i = 0; i < x->rank; i++) {
        int64_t more = y->dims[i] - x->dims[i];
        s->dims[i] = more > 0 ? x->dims[i] : y->dims[i];
        s->from_at += more < 0 ? -more / 2 * s->from[i] : 0;
        s->to_at += more > 0 ? more / 2 * s->to[i] : 0;
    }
    ledge_strided_collapse(s);
    struct ledge_move move = {.n = 1, .parts = part, .fill = LEDGE_FILL_VALUE};
    return ledge_onnx_ready(prepare, ledge_move_c, "CenterCropPad_c", &move, sizeof move);
}
