/* SPDX-License-Identifier: Apache-2.0 */
/* onnx_sample.c -- GridSample, AffineGrid, RoiAlign, MaxRoiPool, DeformConv, Col2Im,
 * MaxUnpool. */
#include "engine/kernels/onnx_sample.h"

#include <string.h>

#include "base/checked.h"
#include "engine/ops/core.h"
#include "engine/ops/onnx.h"
#include "engine/ops/spatial.h"

#include "base/banned.h"

/* Sizes of pictures and windows: products of two stay far from overflow. */
#define SIZE_LIMIT ((int64_t)1 << 30)

static enum ledge_status misfit(const struct ledge_op_infer *infer, const char *what)
{
    return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "%s does not fit", what);
}

/* -- GridSample -- */

static enum ledge_status parse_grid(const struct ledge_op_infer *infer, struct ledge_grid_sample *p)
{
    LEDGE_TRY(ledge_onnx_need(infer, 2));
    LEDGE_TRY(ledge_onnx_dtype_is(infer, 0, LEDGE_F32));
    LEDGE_TRY(ledge_onnx_dtype_is(infer, 1, LEDGE_F32));
    const struct ledge_value *x = ledge_infer_in(infer, 0), *grid = ledge_infer_in(infer, 1);
    const char *mode = ledge_node_string(infer->node, "mode", "linear");
    const char *pad = ledge_node_string(infer->node, "padding_mode", "zeros");
    if (x->rank < 3 || grid->rank != x->rank || grid->dims[0] != x->dims[0] ||
        grid->dims[grid->rank - 1] != x->rank - 2) {
        return misfit(infer, "the grid");
    }
    *p = (struct ledge_grid_sample){
        .batch = x->dims[0],
        .channels = x->dims[1],
        .places = 1,
        .n = x->rank - 2,
        .corners = ledge_node_int(infer->node, "align_corners", 0) != 0,
        .pad = strcmp(pad, "border") == 0       ? LEDGE_SAMPLE_BORDER
               : strcmp(pad, "reflection") == 0 ? LEDGE_SAMPLE_REFLECT
                                                : LEDGE_SAMPLE_ZEROS,
        .mode = strcmp(mode, "nearest") == 0                                 ? LEDGE_SAMPLE_NEAREST
                : strcmp(mode, "cubic") == 0 || strcmp(mode, "bicubic") == 0 ? LEDGE_SAMPLE_CUBIC
                                                                             : LEDGE_SAMPLE_LINEAR};
    for (int32_t i = 0; i < p->n; i++) {
        p->dims[i] = x->dims[2 + i];
        p->places *= grid->dims[1 + i];
        if (p->dims[i] < 1 || p->dims[i] > SIZE_LIMIT) {
            return misfit(infer, "the picture");
        }
    }
    return LEDGE_OK;
}

enum ledge_status ledge_onnx_grid_sample_infer(struct ledge_op_infer *infer)
{
    struct ledge_grid_sample p;
    LEDGE_TRY(parse_grid(infer, &p));
    int64_t dims[LEDGE_MAX_RANK] = {p.batch, p.channels};
    for (int32_t i = 0; i < p.n; i++) {
        dims[2 + i] = ledge_infer_in(infer, 1)->dims[1 + i];
    }
    return ledge_infer_out(infer, 0, LEDGE_F32, p.n + 2, dims);
}

enum ledge_status ledge_onnx_grid_sample_prepare(struct ledge_op_prepare *prepare)
{
    struct ledge_op_infer infer = ledge_onnx_as_infer(prepare);
    struct ledge_grid_sample p;
    LEDGE_TRY(parse_grid(&infer, &p));
    return ledge_onnx_ready(prepare, ledge_grid_sample_c, "GridSample_c", &p, sizeof p);
}

/* -- AffineGrid -- */

static enum ledge_status parse_affine(const struct ledge_op_infer *infer,
                                      struct ledge_affine_grid *p)
{
    int64_t size[5];
    int32_t n;
    LEDGE_TRY(ledge_onnx_need(infer, 2));
    LEDGE_TRY(ledge_onnx_dtype_is(infer, 0, LEDGE_F32));
    LEDGE_TRY(ledge_infer_ints(infer, 1, size, 5, &n));
    const struct ledge_value *theta = ledge_infer_in(infer, 0);
    bool fits = n >= 4 && theta->rank == 3 && theta->dims[0] == size[0] &&
                theta->dims[1] == n - 2 && theta->dims[2] == n - 1;
    if (!fits) {
        return misfit(infer, "theta or size");
    }
    *p =
        (struct ledge_affine_grid){.batch = size[0],
                                   .n = n - 2,
                                   .corners = ledge_node_int(infer->node, "align_corners", 0) != 0};
    memcpy(p->dims, size + 2, (size_t)p->n * sizeof *size);
    return LEDGE_OK;
}

enum ledge_status ledge_onnx_affine_grid_infer(struct ledge_op_infer *infer)
{
    struct ledge_affine_grid p;
    LEDGE_TRY(parse_affine(infer, &p));
    int64_t dims[5] = {p.batch};
    memcpy(dims + 1, p.dims, (size_t)p.n * sizeof *dims);
    dims[p.n + 1] = p.n;
    return ledge_infer_out(infer, 0, LEDGE_F32, p.n + 2, dims);
}

enum ledge_status ledge_onnx_affine_grid_prepare(struct ledge_op_prepare *prepare)
{
    struct ledge_op_infer infer = ledge_onnx_as_infer(prepare);
    struct ledge_affine_grid p;
    LEDGE_TRY(parse_affine(&infer, &p));
    return ledge_onnx_ready(prepare, ledge_affine_grid_c, "AffineGrid_c", &p, sizeof p);
}

/* -- RoiAlign -- */

static enum ledge_status parse_roi(const struct ledge_op_infer *infer, struct ledge_roi_align *p)
{
    LEDGE_TRY(ledge_onnx_need(infer, 3));
    LEDGE_TRY(ledge_onnx_dtype_is(infer, 0, LEDGE_F32));
    LEDGE_TRY(ledge_onnx_dtype_is(infer, 1, LEDGE_F32));
    const struct ledge_node *node = infer->node;
    const struct ledge_value *x = ledge_infer_in(infer, 0), *boxes = ledge_infer_in(infer, 1),
                             *batch = ledge_infer_in(infer, 2);
    const char *mode = ledge_node_string(node, "coordinate_transformation_mode",
                                         node->opset < 16 ? "output_half_pixel" : "half_pixel");
    if (x->rank != 4 || boxes->rank != 2 || boxes->dims[1] != 4 || batch->rank != 1 ||
        batch->dims[0] != boxes->dims[0] || batch->dtype != LEDGE_I64 || x->dims[2] < 1 ||
        x->dims[3] < 1 || x->dims[2] > SIZE_LIMIT || x->dims[3] > SIZE_LIMIT) {
        return misfit(infer, "the picture, a region or batch_indices");
    }
    *p =
        (struct ledge_roi_align){.batch = x->dims[0],
                                 .channels = x->dims[1],
                                 .height = x->dims[2],
                                 .width = x->dims[3],
                                 .regions = boxes->dims[0],
                                 .out_height = ledge_node_int(node, "output_height", 1),
                                 .out_width = ledge_node_int(node, "output_width", 1),
                                 .ratio = ledge_node_int(node, "sampling_ratio", 0),
                                 .scale = ledge_node_float(node, "spatial_scale", 1.0f),
                                 .shift = strcmp(mode, "half_pixel") == 0 ? 0.5f : 0.0f,
                                 .max = strcmp(ledge_node_string(node, "mode", "avg"), "max") == 0};
    if (p->out_height < 1 || p->out_height > SIZE_LIMIT || p->out_width < 1 ||
        p->out_width > SIZE_LIMIT || p->ratio < 0 || p->ratio > 4096) {
        return ledge_infer_fail(infer, LEDGE_ERR_RANGE, "output size or sampling_ratio");
    }
    return LEDGE_OK;
}

enum ledge_status ledge_onnx_roi_align_infer(struct ledge_op_infer *infer)
{
    struct ledge_roi_align p;
    LEDGE_TRY(parse_roi(infer, &p));
    return ledge_infer_out(infer, 0, LEDGE_F32, 4,
                           (int64_t[]){p.regions, p.channels, p.out_height, p.out_width});
}

enum ledge_status ledge_onnx_roi_align_prepare(struct ledge_op_prepare *prepare)
{
    struct ledge_op_infer infer = ledge_onnx_as_infer(prepare);
    struct ledge_roi_align p;
    LEDGE_TRY(parse_roi(&infer, &p));
    return ledge_onnx_ready(prepare, ledge_roi_align_c, "RoiAlign_c", &p, sizeof p);
}

static enum ledge_status parse_max_roi(const struct ledge_op_infer *infer,
                                       struct ledge_roi_align *p)
{
    int64_t shape[2];
    int32_t n;
    LEDGE_TRY(ledge_onnx_need(infer, 2));
    LEDGE_TRY(ledge_onnx_dtype_is(infer, 0, LEDGE_F32));
    LEDGE_TRY(ledge_onnx_dtype_is(infer, 1, LEDGE_F32));
    LEDGE_TRY(ledge_onnx_list(infer, "pooled_shape", -1, shape, 2, &n));
    const struct ledge_value *x = ledge_infer_in(infer, 0), *boxes = ledge_infer_in(infer, 1);
    if (x->rank != 4 || boxes->rank != 2 || boxes->dims[1] != 5 || n != 2 || shape[0] < 1 ||
        shape[1] < 1 || shape[0] > SIZE_LIMIT || shape[1] > SIZE_LIMIT) {
        return misfit(infer, "the picture, a region or pooled_shape");
    }
    *p = (struct ledge_roi_align){.batch = x->dims[0],
                                  .channels = x->dims[1],
                                  .height = x->dims[2],
                                  .width = x->dims[3],
                                  .regions = boxes->dims[0],
                                  .out_height = shape[0],
                                  .out_width = shape[1],
                                  .scale = ledge_node_float(infer->node, "spatial_scale", 1.0f)};
    return LEDGE_OK;
}

enum ledge_status ledge_onnx_max_roi_infer(struct ledge_op_infer *infer)
{
    struct ledge_roi_align p;
    LEDGE_TRY(parse_max_roi(infer, &p));
    return ledge_infer_out(infer, 0, LEDGE_F32, 4,
                           (int64_t[]){p.regions, p.channels, p.out_height, p.out_width});
}

enum ledge_status ledge_onnx_max_roi_prepare(struct ledge_op_prepare *prepare)
{
    struct ledge_op_infer infer = ledge_onnx_as_infer(prepare);
    struct ledge_roi_align p;
    LEDGE_TRY(parse_max_roi(&infer, &p));
    return ledge_onnx_ready(prepare, ledge_max_roi_pool_c, "MaxRoiPool_c", &p, sizeof p);
}

/* -- DeformConv -- */

static bool has_dims(const struct ledge_value *x, int32_t rank, const int64_t *dims)
{
    return x->rank == rank && memcmp(x->dims, dims, (size_t)rank * sizeof *dims) == 0;
}

static enum ledge_status parse_deform(const struct ledge_op_infer *infer, struct ledge_deform *p)
{
    LEDGE_TRY(ledge_onnx_need(infer, 3));
    for (int32_t i = 0; i < 5; i++) {
        LEDGE_TRY(ledge_onnx_dtype_is(infer, i, LEDGE_F32));
    }
    const struct ledge_value *x = ledge_infer_in(infer, 0), *offset = ledge_infer_in(infer, 2),
                             *mask = ledge_infer_in(infer, 4);
    *p = (struct ledge_deform){.offset_groups = ledge_node_int(infer->node, "offset_group", 1)};
    LEDGE_TRY(ledge_conv_geometry(infer->node, x, ledge_infer_in(infer, 1),
                                  ledge_infer_in(infer, 3), &p->g, infer->err));
    if (x->rank != 4 || p->g.layout != LEDGE_NCHW) {
        return ledge_infer_fail(infer, LEDGE_ERR_UNSUPPORTED, "rank %d, only 4 is done",
                                (int)x->rank);
    }
    if (p->offset_groups < 1 || p->offset_groups > p->g.in_channels ||
        p->g.in_channels % p->offset_groups != 0 || p->offset_groups > SIZE_LIMIT) {
        return misfit(infer, "offset_group");
    }
    int64_t taps;
    if (!ledge_mul_i64(ledge_volume(p->g.kernel), 2 * p->offset_groups, &taps) ||
        !has_dims(offset, 4, (int64_t[]){p->g.batch, taps, p->g.out[1], p->g.out[2]}) ||
        (mask != NULL &&
         !has_dims(mask, 4, (int64_t[]){p->g.batch, taps / 2, p->g.out[1], p->g.out[2]}))) {
        return misfit(infer, "the offset or the mask");
    }
    return LEDGE_OK;
}

enum ledge_status ledge_onnx_deform_infer(struct ledge_op_infer *infer)
{
    struct ledge_deform p;
    int64_t dims[LEDGE_MAX_RANK];
    LEDGE_TRY(parse_deform(infer, &p));
    ledge_spatial_dims(&p.g, 4, dims);
    return ledge_infer_out(infer, 0, LEDGE_F32, 4, dims);
}

enum ledge_status ledge_onnx_deform_prepare(struct ledge_op_prepare *prepare)
{
    struct ledge_op_infer infer = ledge_onnx_as_infer(prepare);
    struct ledge_deform p;
    LEDGE_TRY(parse_deform(&infer, &p));
    prepare->macs = ledge_conv_macs(&p.g);
    return ledge_onnx_ready(prepare, ledge_deform_c, "DeformConv_c", &p, sizeof p);
}

/* -- Col2Im -- */

/* Attribute name with n entries of at least least, or the fallback everywhere. */
static enum ledge_status read_sizes(const struct ledge_op_infer *infer, const char *name, int32_t n,
                                    int64_t least, int64_t fallback, int64_t *values)
{
    int32_t given;
    LEDGE_TRY(ledge_onnx_list(infer, name, -1, values, n, &given));
    for (int32_t i = 0; i < n; i++) {
        values[i] = given == n ? values[i] : fallback;
        if ((given >= 0 && given != n) || values[i] < least || values[i] > SIZE_LIMIT) {
            return ledge_infer_fail(infer, LEDGE_ERR_RANGE, "attribute %s", name);
        }
    }
    return LEDGE_OK;
}

static enum ledge_status parse_col2im(const struct ledge_op_infer *infer, struct ledge_col2im *p)
{
    int32_t n_kernel;
    int64_t pads[2 * LEDGE_SAMPLE_DIMS];
    LEDGE_TRY(ledge_onnx_need(infer, 3));
    LEDGE_TRY(ledge_onnx_dtype_is(infer, 0, LEDGE_F32));
    *p = (struct ledge_col2im){.taps = 1, .n_blocks = 1};
    LEDGE_TRY(ledge_infer_ints(infer, 1, p->dims, LEDGE_SAMPLE_DIMS, &p->n));
    LEDGE_TRY(ledge_infer_ints(infer, 2, p->kernel, LEDGE_SAMPLE_DIMS, &n_kernel));
    LEDGE_TRY(read_sizes(infer, "strides", p->n, 1, 1, p->stride));
    LEDGE_TRY(read_sizes(infer, "dilations", p->n, 1, 1, p->dilation));
    LEDGE_TRY(read_sizes(infer, "pads", 2 * p->n, 0, 0, pads));
    const struct ledge_value *x = ledge_infer_in(infer, 0);
    if (p->n < 1 || n_kernel != p->n || x->rank != 3) {
        return misfit(infer, "image_shape, block_shape or the input");
    }
    for (int32_t i = 0; i < p->n; i++) {
        if (p->dims[i] < 1 || p->dims[i] > SIZE_LIMIT || p->kernel[i] < 1 ||
            p->kernel[i] > SIZE_LIMIT) {
            return misfit(infer, "image_shape or block_shape");
        }
        p->pad[i] = pads[i];
        int64_t room =
            p->dims[i] + pads[i] + pads[p->n + i] - ((p->kernel[i] - 1) * p->dilation[i] + 1);
        p->blocks[i] = room < 0 ? 0 : room / p->stride[i] + 1;
        if (!ledge_mul_i64(p->taps, p->kernel[i], &p->taps) ||
            !ledge_mul_i64(p->n_blocks, p->blocks[i], &p->n_blocks)) {
            return misfit(infer, "block_shape");
        }
    }
    if (x->dims[1] % p->taps != 0 || x->dims[2] != p->n_blocks) {
        return misfit(infer, "the input");
    }
    p->planes = x->dims[0] * (x->dims[1] / p->taps);
    return LEDGE_OK;
}

enum ledge_status ledge_onnx_col2im_infer(struct ledge_op_infer *infer)
{
    struct ledge_col2im p;
    LEDGE_TRY(parse_col2im(infer, &p));
    const struct ledge_value *x = ledge_infer_in(infer, 0);
    int64_t dims[LEDGE_MAX_RANK] = {x->dims[0], x->dims[1] / p.taps};
    memcpy(dims + 2, p.dims, (size_t)p.n * sizeof *dims);
    return ledge_infer_out(infer, 0, LEDGE_F32, p.n + 2, dims);
}

enum ledge_status ledge_onnx_col2im_prepare(struct ledge_op_prepare *prepare)
{
    struct ledge_op_infer infer = ledge_onnx_as_infer(prepare);
    struct ledge_col2im p;
    LEDGE_TRY(parse_col2im(&infer, &p));
    return ledge_onnx_ready(prepare, ledge_col2im_c, "Col2Im_c", &p, sizeof p);
}

/* -- MaxUnpool -- */

static enum ledge_status parse_unpool(const struct ledge_op_infer *infer, struct ledge_unpool *p)
{
    int64_t kernel[LEDGE_SAMPLE_DIMS], strides[LEDGE_SAMPLE_DIMS], pads[2 * LEDGE_SAMPLE_DIMS];
    int32_t n, n_outer;
    LEDGE_TRY(ledge_onnx_need(infer, 2));
    LEDGE_TRY(ledge_onnx_dtype_is(infer, 0, LEDGE_F32));
    LEDGE_TRY(ledge_onnx_dtype_is(infer, 1, LEDGE_I64));
    const struct ledge_value *x = ledge_infer_in(infer, 0), *indices = ledge_infer_in(infer, 1);
    LEDGE_TRY(ledge_onnx_list(infer, "kernel_shape", -1, kernel, LEDGE_SAMPLE_DIMS, &n));
    if (x->rank < 3 || n != x->rank - 2 || !has_dims(indices, x->rank, x->dims)) {
        return misfit(infer, "kernel_shape or the indices");
    }
    LEDGE_TRY(read_sizes(infer, "strides", n, 1, 1, strides));
    LEDGE_TRY(read_sizes(infer, "pads", 2 * n, 0, 0, pads));
    *p = (struct ledge_unpool){.rank = x->rank, .count = ledge_onnx_count(x)};
    for (int32_t i = 0; i < x->rank; i++) {
        p->inner[i] = x->dims[i];
        if (i >= 2) {
            if (x->dims[i] > SIZE_LIMIT || kernel[i - 2] < 1 || kernel[i - 2] > SIZE_LIMIT) {
                return misfit(infer, "kernel_shape");
            }
            p->inner[i] =
                (x->dims[i] - 1) * strides[i - 2] - pads[i - 2] - pads[n + i - 2] + kernel[i - 2];
        }
    }
    memcpy(p->outer, p->inner, sizeof p->outer);
    LEDGE_TRY(ledge_onnx_list(infer, NULL, 2, p->outer, LEDGE_MAX_RANK, &n_outer));
    for (int32_t i = 0; i < x->rank; i++) {
        if ((n_outer >= 0 && n_outer != x->rank) || p->inner[i] < 1 || p->outer[i] < p->inner[i]) {
            return misfit(infer, "output_shape");
        }
    }
    return LEDGE_OK;
}

enum ledge_status ledge_onnx_unpool_infer(struct ledge_op_infer *infer)
{
    struct ledge_unpool p;
    LEDGE_TRY(parse_unpool(infer, &p));
    return ledge_infer_out(infer, 0, LEDGE_F32, p.rank, p.outer);
}

enum ledge_status ledge_onnx_unpool_prepare(struct ledge_op_prepare *prepare)
{
    struct ledge_op_infer infer = ledge_onnx_as_infer(prepare);
    struct ledge_unpool p;
    LEDGE_TRY(parse_unpool(&infer, &p));
    return ledge_onnx_ready(prepare, ledge_unpool_c, "MaxUnpool_c", &p, sizeof p);
}
