/* SPDX-License-Identifier: Apache-2.0 */
/* resize.h -- the one definition of picture resampling: a triangle filter in integer arithmetic.
 *
 * Sample i of n along an axis has its centre at box + (i + 0.5) * step of the source, step = box
 * length / n. Source sample j weighs max(0, 1 - |j + 0.5 - centre| / support) with support =
 * max(step, 1): plain bilinear interpolation when enlarging, an area-like average (no aliasing)
 * when shrinking. Weights are rounded to 1/16384 so that they sum to 1 exactly; rows are done
 * first, then columns, each rounded to 8 bits. Source of the filter: D. Schumacher, "General
 * Filtered Image Rescaling", Graphics Gems III (1992).
 */
#ifndef DATA_RESIZE_H
#define DATA_RESIZE_H

#include "sys/image.h"

/* A part of a picture in pixels; edges may lie between pixels. */
struct data_box {
    double x, y, width, height;
};

/* Resample box of image to width x height. image and out must differ; out FILLED, OWNED:
 * sys_image_done(). Errors: ERR_ARG (box not inside the picture), ERR_RANGE, ERR_NOMEM. */
LEDGE_NODISCARD enum ledge_status data_resize(const struct sys_image *image,
                                              const struct data_box *box, int32_t width,
                                              int32_t height, struct sys_image *out,
                                              struct ledge_error *err);

#endif
