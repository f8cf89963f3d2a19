/* SPDX-License-Identifier: Apache-2.0 */
/* onnx_resize.c -- Resize (opset 10 and on) and Upsample (7, 9): for each axis a table of taps and
 * weights, made here.
 *
 * Source: onnx/docs/Operators.md, Resize (coordinate transformations, nearest modes, antialiasing);
 * cubic weights: Keys, "Cubic convolution interpolation for digital image processing", 1981,
 * equation 4. */
#include <math.h>
#include <string.h>

#include "engine/kernels/onnx_number.h"
#include "engine/ops/onnx.h"

#include "base/banned.h"

struct resize {
    const char *mode, *coordinates, *nearest;
    int64_t dims[LEDGE_MAX_RANK];  /* of the output */
    double scale[LEDGE_MAX_RANK];  /* output / input */
    double roi[2][LEDGE_MAX_RANK]; /* start, end */
    float cubic_a, fill;
    bool exclude_outside, antialias;
};

static bool is(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

/* n numbers of a constant real input; *n is -1 when it is absent or empty. */
static enum ledge_status read_reals(const struct ledge_op_infer *infer, int32_t input,
                                    double *values, int32_t max, int32_t *n)
{
    const struct ledge_value *v = ledge_infer_in(infer, input);
    *n = -1;
    if (v == NULL || (v->rank == 1 && v->dims[0] == 0)) {
        return LEDGE_OK;
    }
    int64_t count = ledge_onnx_count(v);
    if (v->data == NULL) {
        return ledge_infer_wait(infer, input);
    }
    if (count > max) {
        return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "input %d has %lld elements", (int)input,
                                (long long)count);
    }
    ledge_load_real(v->data, v->dtype, 0, count, values);
    *n = (int32_t)count;
    return LEDGE_OK;
}

/* Which inputs hold what changed with the opset. */
static void input_numbers(const struct ledge_node *node, int32_t *roi, int32_t *scales,
                          int32_t *sizes)
{
    bool old = is(node->op, "Upsample") || node->opset < 11;
    *roi = old ? -1 : 1;
    *scales = old ? 1 : 2;
    *sizes = old ? -1 : 3;
}

/* Which axes the lists speak of. */
static enum ledge_status read_axes(const struct ledge_op_infer *infer, int32_t rank, int32_t *axes,
                                   int32_t *n)
{
    int64_t list[LEDGE_MAX_RANK];
    LEDGE_TRY(ledge_onnx_list(infer, "axes", -1, list, LEDGE_MAX_RANK, n));
    if (*n < 0) {
        *n = rank;
        for (int32_t i = 0; i < rank; i++) {
            axes[i] = i;
        }
        return LEDGE_OK;
    }
    for (int32_t i = 0; i < *n; i++) {
        LEDGE_TRY(ledge_onnx_axis(infer, list[i], rank, &axes[i]));
    }
    return LEDGE_OK;
}

static enum ledge_status apply_scales(const struct ledge_op_infer *infer, struct resize *r,
                                      const double *scales, const int32_t *axes, int32_t n)
{
    const struct ledge_value *x = ledge_infer_in(infer, 0);
    for (int32_t i = 0; i < n; i++) {
        /* The product of floats: 224 / 720.0f times 720 is 224, in double it is a bit less. */
        double dim = (double)floorf((float)x->dims[axes[i]] * (float)scales[i]);
        if (!(scales[i] > 0) || dim > 0x1p31) {
            return ledge_infer_fail(infer, LEDGE_ERR_RANGE, "scale %g", scales[i]);
        }
        r->scale[axes[i]] = scales[i];
        r->dims[axes[i]] = (int64_t)dim;
    }
    return LEDGE_OK;
}

static enum ledge_status apply_sizes(const struct ledge_op_infer *infer, struct resize *r,
                                     const int64_t *sizes, const int32_t *axes, int32_t n)
{
    const struct ledge_value *x = ledge_infer_in(infer, 0);
    const char *policy = ledge_node_string(infer->node, "keep_aspect_ratio_policy", "stretch");
    double common = 0;
    for (int32_t i = 0; i < n; i++) {
        int64_t in = x->dims[axes[i]];
        if (sizes[i] < 0 || sizes[i] > INT32_MAX || (in == 0 && sizes[i] > 0)) {
            return ledge_infer_fail(infer, LEDGE_ERR_RANGE, "size %lld", (long long)sizes[i]);
        }
        double scale = in > 0 ? (double)sizes[i] / (double)in : 1;
        r->scale[axes[i]] = scale;
        r->dims[axes[i]] = sizes[i];
        bool better = is(policy, "not_larger") ? scale < common : scale > common;
        common = i == 0 || better ? scale : common;
    }
    for (int32_t i = 0; i < n && !is(policy, "stretch"); i++) {
        r->scale[axes[i]] = common;
        r->dims[axes[i]] = (int64_t)floor(common * (double)x->dims[axes[i]] + 0.5);
    }
    return LEDGE_OK;
}

static enum ledge_status parse_shape(const struct ledge_op_infer *infer, struct resize *r)
{
    const struct ledge_value *x = ledge_infer_in(infer, 0);
    const struct ledge_attr *attr = ledge_node_attr(infer->node, "scales");
    int32_t roi_in, scales_in, sizes_in, n, n_axes, n_roi, axes[LEDGE_MAX_RANK];
    double scales[LEDGE_MAX_RANK], roi[2 * LEDGE_MAX_RANK];
    int64_t sizes[LEDGE_MAX_RANK];
    input_numbers(infer->node, &roi_in, &scales_in, &sizes_in);
    LEDGE_TRY(read_axes(infer, x->rank, axes, &n_axes));
    for (int32_t i = 0; i < x->rank; i++) {
        r->dims[i] = x->dims[i];
        r->scale[i] = 1;
        r->roi[0][i] = 0;
        r->roi[1][i] = 1;
    }
    LEDGE_TRY(read_reals(infer, roi_in, roi, 2 * LEDGE_MAX_RANK, &n_roi));
    for (int32_t i = 0; i < n_axes && n_roi == 2 * n_axes; i++) {
        r->roi[0][axes[i]] = roi[i];
        r->roi[1][axes[i]] = roi[n_axes + i];
    }
    LEDGE_TRY(read_reals(infer, scales_in, scales, LEDGE_MAX_RANK, &n));
    if (attr != NULL && attr->type == LEDGE_ATTR_FLOATS && attr->n <= LEDGE_MAX_RANK) {
        n = (int32_t)attr->n;
        for (int32_t i = 0; i < n; i++) {
            scales[i] = (double)attr->floats[i];
        }
    }
    if (n >= 0) {
        return n == n_axes ? apply_scales(infer, r, scales, axes, n)
                           : ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "%d scales for %d axes",
                                              (int)n, (int)n_axes);
    }
    LEDGE_TRY(ledge_onnx_list(infer, NULL, sizes_in, sizes, LEDGE_MAX_RANK, &n));
    return n == n_axes ? apply_sizes(infer, r, sizes, axes, n)
                       : ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "%d sizes for %d axes", (int)n,
                                          (int)n_axes);
}

static enum ledge_status parse(const struct ledge_op_infer *infer, struct resize *r)
{
    const struct ledge_node *node = infer->node;
    bool old = is(node->op, "Upsample") || node->opset < 11;
    *r = (struct resize){
        .mode = ledge_node_string(node, "mode", "nearest"),
        .coordinates =
            old ? "asymmetric"
                : ledge_node_string(node, "coordinate_transformation_mode", "half_pixel"),
        .nearest = old ? "floor" : ledge_node_string(node, "nearest_mode", "round_prefer_floor"),
        .cubic_a = ledge_node_float(node, "cubic_coeff_a", -0.75f),
        .fill = ledge_node_float(node, "extrapolation_value", 0.0f),
        .exclude_outside = ledge_node_int(node, "exclude_outside", 0) != 0,
        .antialias = ledge_node_int(node, "antialias", 0) != 0};
    static const char *const known[] = {
        "half_pixel",         "pytorch_half_pixel",   "align_corners",       "asymmetric",
        "tf_crop_and_resize", "half_pixel_symmetric", "tf_half_pixel_for_nn"};
    bool found = false;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        found = found || is(r->coordinates, known[i]);
    }
    if (!found || (!is(r->mode, "nearest") && !is(r->mode, "linear") && !is(r->mode, "bilinear") &&
                   !is(r->mode, "cubic"))) {
        return ledge_infer_fail(infer, LEDGE_ERR_UNSUPPORTED, "mode %.30s with %.30s", r->mode,
                                r->coordinates);
    }
    return parse_shape(infer, r);
}

enum ledge_status ledge_onnx_resize_infer(struct ledge_op_infer *infer)
{
    struct resize r;
    LEDGE_TRY(ledge_onnx_need(infer, 1));
    LEDGE_TRY(parse(infer, &r));
    const struct ledge_value *x = ledge_infer_in(infer, 0);
    for (int32_t i = 0; i < x->rank; i++) {
        if (r.dims[i] > LEDGE_ONNX_TABLE_MAX || (x->dims[i] == 0 && r.dims[i] > 0)) {
            return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "%lld to %lld on axis %d",
                                    (long long)x->dims[i], (long long)r.dims[i], (int)i);
        }
    }
    if (!is(r.mode, "nearest") && x->dtype != LEDGE_U8 && x->dtype != LEDGE_I8) {
        LEDGE_TRY(ledge_onnx_dtype_is(infer, 0, LEDGE_F32));
    }
    return ledge_infer_out(infer, 0, x->dtype, x->rank, r.dims);
}

/* -- coordinates -- */

/* Place in the input of output element j on an axis. */
static double source(const struct resize *r, int32_t axis, int64_t in, int64_t j)
{
    /* What the specification calls length_resized is scale times length, before it is cut to a
     * whole number. */
    double scale = r->scale[axis], n_in = (double)in, n_out = scale * n_in, at = (double)j;
    if (is(r->coordinates, "asymmetric")) {
        return at / scale;
    }
    if (is(r->coordinates, "align_corners")) {
        return n_out > 1 ? at * (n_in - 1) / (n_out - 1) : 0;
    }
    if (is(r->coordinates, "pytorch_half_pixel") && n_out <= 1) {
        return 0;
    }
    if (is(r->coordinates, "tf_half_pixel_for_nn")) {
        return (at + 0.5) / scale;
    }
    if (is(r->coordinates, "tf_crop_and_resize")) {
        double start = r->roi[0][axis], end = r->roi[1][axis];
        return n_out > 1 ? start * (n_in - 1) + at * (end - start) * (n_in - 1) / (n_out - 1)
                         : 0.5 * (start + end) * (n_in - 1);
    }
    if (is(r->coordinates, "half_pixel_symmetric")) {
        double adjust = (double)r->dims[axis] / (scale * n_in);
        return n_in / 2 * (1 - adjust) + (at + 0.5) / scale - 0.5;
    }
    return (at + 0.5) / scale - 0.5;
}

static int64_t nearest_index(const struct resize *r, double at, int64_t n)
{
    double i = is(r->nearest, "round_prefer_floor")  ? ceil(at - 0.5)
               : is(r->nearest, "round_prefer_ceil") ? floor(at + 0.5)
               : is(r->nearest, "ceil")              ? ceil(at)
                                                     : floor(at);
    return i < 0 ? 0 : i > (double)(n - 1) ? n - 1 : (int64_t)i;
}

static bool outside(const struct resize *r, double at, int64_t n)
{
    return is(r->coordinates, "tf_crop_and_resize") && (at < 0 || at > (double)(n - 1));
}

static double weight_at(const struct resize *r, double distance)
{
    double d = fabs(distance), a = (double)r->cubic_a;
    if (!is(r->mode, "cubic")) {
        return d < 1 ? 1 - d : 0;
    }
    if (d <= 1) {
        return ((a + 2) * d - (a + 3)) * d * d + 1;
    }
    return d < 2 ? ((a * d - 5 * a) * d + 8 * a) * d - 4 * a : 0;
}

/* Taps of output element j: `taps` of them, the first at floor(at) + first. */
static void fill_taps(const struct resize *r, double at, int64_t n, double stretch, int64_t first,
                      int32_t taps, int64_t *index, double *weight)
{
    double base = floor(at), sum = 0;
    for (int32_t t = 0; t < taps; t++) {
        int64_t i = (int64_t)base + first + t;
        weight[t] = weight_at(r, ((double)i - at) * stretch);
        if (r->exclude_outside && (i < 0 || i >= n)) {
            weight[t] = 0;
        }
        index[t] = i < 0 ? 0 : i >= n ? n - 1 : i;
        if (outside(r, at, n)) {
            index[t] = -1;
        }
        sum += weight[t];
    }
    for (int32_t t = 0; t < taps && sum != 0; t++) {
        weight[t] /= sum;
    }
}

static enum ledge_status make_pass(struct ledge_op_prepare *prepare, const struct resize *r,
                                   int32_t axis, struct ledge_axis s,
                                   struct ledge_resize_pass *pass)
{
    int64_t reach = is(r->mode, "cubic") ? 2 : 1;
    double stretch = r->antialias && r->scale[axis] < 1 ? r->scale[axis] : 1;
    double wide = (double)reach / stretch;
    if (wide * (double)r->dims[axis] > LEDGE_ONNX_TABLE_MAX) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_RANGE, "scale %g on axis %d", r->scale[axis],
                                  (int)axis);
    }
    int64_t first = (int64_t)floor(-wide) + 1;
    int32_t taps = (int32_t)(2 - 2 * first);
    size_t n = (size_t)r->dims[axis] * (size_t)taps;
    int64_t *index = LEDGE_NEW_ARRAY(prepare->memory, int64_t, n);
    double *weight = LEDGE_NEW_ARRAY(prepare->memory, double, n);
    if (index == NULL || weight == NULL) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_NOMEM, "no memory");
    }
    for (int64_t j = 0; j < r->dims[axis]; j++) {
        fill_taps(r, source(r, axis, s.n, j), s.n, stretch, first, taps, index + j * taps,
                  weight + j * taps);
    }
    *pass = (struct ledge_resize_pass){.outer = s.outer,
                                       .n_in = s.n,
                                       .n_out = r->dims[axis],
                                       .inner = s.inner,
                                       .taps = taps,
                                       .index = index,
                                       .weight = weight};
    return LEDGE_OK;
}

static bool touched(const struct resize *r, const struct ledge_value *x, int32_t axis)
{
    return r->dims[axis] != x->dims[axis] || r->scale[axis] != 1 ||
           is(r->coordinates, "tf_crop_and_resize");
}

static enum ledge_status prepare_passes(struct ledge_op_prepare *prepare, const struct resize *r)
{
    const struct ledge_value *x = ledge_prepare_in(prepare, 0);
    struct ledge_resize params = {.dtype = x->dtype, .fill = r->fill};
    struct ledge_value now = *x; /* shape between the passes */
    for (int32_t k = 0; k < x->rank; k++) {
        /* Of bytes, which are rounded after each axis, the last axis goes first: as ONNX Runtime
         * and Pillow do it. */
        int32_t i = x->dtype == LEDGE_F32 ? k : x->rank - 1 - k;
        if (!touched(r, x, i)) {
            continue;
        }
        LEDGE_TRY(make_pass(prepare, r, i, ledge_onnx_split(&now, i), &params.pass[params.n]));
        now.dims[i] = r->dims[i];
        params.n++;
        size_t bytes = ((size_t)ledge_onnx_count(&now) * sizeof(float) + 63) & ~(size_t)63;
        params.half = bytes > params.half ? bytes : params.half;
    }
    if (params.n == 0) {
        prepare->alias = 0;
        return LEDGE_OK;
    }
    prepare->scratch_bytes = params.n > 1 ? 2 * params.half : 0;
    if (x->dtype != LEDGE_F32) {
        prepare->scratch_bytes = 2 * params.half + (size_t)ledge_onnx_count(x) * sizeof(float);
    }
    return ledge_onnx_ready(prepare, ledge_resize_c, "Resize_c", &params, sizeof params);
}

static enum ledge_status prepare_nearest(struct ledge_op_prepare *prepare, const struct resize *r)
{
    const struct ledge_value *x = ledge_prepare_in(prepare, 0);
    struct ledge_lookup params = {.rank = x->rank, .size = ledge_dtype_size(x->dtype)};
    ledge_onnx_strides(x->dims, x->rank, params.stride);
    for (int32_t i = 0; i < x->rank; i++) {
        int64_t *table = LEDGE_NEW_ARRAY(prepare->memory, int64_t, (size_t)r->dims[i]);
        if (table == NULL) {
            return ledge_prepare_fail(prepare, LEDGE_ERR_NOMEM, "no memory");
        }
        for (int64_t j = 0; j < r->dims[i]; j++) {
            double at = touched(r, x, i) ? source(r, i, x->dims[i], j) : (double)j;
            table[j] = outside(r, at, x->dims[i]) ? -1 : nearest_index(r, at, x->dims[i]);
        }
        params.dims[i] = r->dims[i];
        params.table[i] = table;
    }
    if (x->dtype == LEDGE_F32) {
        memcpy(params.fill, &r->fill, sizeof r->fill);
    }
    return ledge_onnx_ready(prepare, ledge_lookup_c, "Resize_lookup_c", &params, sizeof params);
}

enum ledge_status ledge_onnx_resize_prepare(struct ledge_op_prepare *prepare)
{
    struct ledge_op_infer infer = ledge_onnx_as_infer(prepare);
    struct resize r;
    LEDGE_TRY(parse(&infer, &r));
    if (ledge_prepare_in(prepare, 0)->rank == 0) {
        prepare->alias = 0;
        return LEDGE_OK;
    }
    return is(r.mode, "nearest") ? prepare_nearest(prepare, &r) : prepare_passes(prepare, &r);
}
