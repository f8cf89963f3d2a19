/* SPDX-License-Identifier: Apache-2.0 */
/* onnx_sample.h -- pictures read at places between their elements, on f32: GridSample-22,
 * AffineGrid-20, RoiAlign-22, DeformConv-22; and two that put columns back into pictures:
 * Col2Im-18, MaxUnpool-22. Plain C. Shapes were checked by infer; places come from data and may be
 * anything. */
#ifndef LEDGE_ENGINE_KERNELS_ONNX_SAMPLE_H
#define LEDGE_ENGINE_KERNELS_ONNX_SAMPLE_H

#include <stdbool.h>

#include "engine/kernels/geometry.h"

enum ledge_sample_mode { LEDGE_SAMPLE_NEAREST, LEDGE_SAMPLE_LINEAR, LEDGE_SAMPLE_CUBIC };
enum ledge_sample_pad { LEDGE_SAMPLE_ZEROS, LEDGE_SAMPLE_BORDER, LEDGE_SAMPLE_REFLECT };
enum { LEDGE_SAMPLE_DIMS = LEDGE_MAX_RANK - 2 };

/* x [batch][channels][dims], grid [batch][places][n], y [batch][channels][places] */
struct ledge_grid_sample {
    int64_t batch, channels, places;
    int32_t n;
    int64_t dims[LEDGE_SAMPLE_DIMS];
    enum ledge_sample_mode mode;
    enum ledge_sample_pad pad;
    bool corners; /* -1 and 1 are the middles of the outer elements, not their edges */
};
enum ledge_status ledge_grid_sample_c(const struct ledge_kernel_call *call);

/* theta [batch][n][n + 1] -> grid [batch][dims][n] */
struct ledge_affine_grid {
    int64_t batch;
    int32_t n;
    int64_t dims[3];
    bool corners;
};
enum ledge_status ledge_affine_grid_c(const struct ledge_kernel_call *call);

/* x [batch][channels][height][width], boxes [regions][4], batch numbers i64 [regions]. Errors:
 * ERR_RANGE. */
struct ledge_roi_align {
    int64_t batch, channels, height, width, regions, out_height, out_width, ratio;
    float scale, shift;
    bool max;
};
enum ledge_status ledge_roi_align_c(const struct ledge_kernel_call *call);

/* MaxRoiPool-1: boxes [regions][5], the first number is the picture's; borders are rounded to whole
 * elements. Uses batch to out_width and scale. Errors: ERR_RANGE. */
enum ledge_status ledge_max_roi_pool_c(const struct ledge_kernel_call *call);

/* in {x, weights, offsets [n][groups][taps][2][out], bias or NULL, mask [n][groups][taps][out] or
 * NULL} */
struct ledge_deform {
    struct ledge_geometry g; /* two dimensions, NCHW */
    int64_t offset_groups;
};
enum ledge_status ledge_deform_c(const struct ledge_kernel_call *call);

/* x [planes][taps][blocks] -> y [planes][dims] */
struct ledge_col2im {
    int64_t planes, taps, n_blocks;
    int32_t n;
    int64_t dims[LEDGE_SAMPLE_DIMS], kernel[LEDGE_SAMPLE_DIMS], blocks[LEDGE_SAMPLE_DIMS];
    int64_t stride[LEDGE_SAMPLE_DIMS], dilation[LEDGE_SAMPLE_DIMS], pad[LEDGE_SAMPLE_DIMS];
};
enum ledge_status ledge_col2im_c(const struct ledge_kernel_call *call);

/* in {x, indices i64 into a tensor of dims inner}; y of dims outer, not smaller. Errors: ERR_RANGE.
 */
struct ledge_unpool {
    int32_t rank;
    int64_t count; /* of x */
    int64_t inner[LEDGE_MAX_RANK], outer[LEDGE_MAX_RANK];
};
enum ledge_status ledge_unpool_c(const struct ledge_kernel_call *call);

#endif
