/* SPDX-License-Identifier: Apache-2.0 */
/* tfl_detection.h -- boxes of a single-shot detector: decode against anchors, suppress all but the
 * best of those that overlap. */
#ifndef LEDGE_ENGINE_KERNELS_TFL_DETECTION_H
#define LEDGE_ENGINE_KERNELS_TFL_DETECTION_H

#include <stdbool.h>

#include "engine/kernels/kernel.h"

/* In, all f32: encoded boxes [1][boxes][>= 4] (y, x, h, w), scores [1][boxes][columns] (the last
 * `classes` columns; one before them is the background), anchors [boxes][4] (y, x, h, w).
 * Out: corners [1][n][4] (top, left, bottom, right), classes [1][n], scores [1][n] with n = most *
 * each, best first; number found [1]. What is not found is 0.
 * Source: W. Liu et al., "SSD: Single Shot MultiBox Detector" (2016), section 2. */
struct ledge_tfl_detection_params {
    int64_t boxes, box_size, columns, classes;
    int64_t most;      /* detections */
    int64_t each;      /* classes named per detection, best first */
    int64_t per_class; /* every_class: kept of one class */
    bool every_class;  /* suppress within each class, not among the best classes of all boxes */
    float least_score, overlap; /* overlap: intersection over union that suppresses */
    float scale[4];             /* y, x, h, w */
};

/* Bytes of scratch; 0 when they would be too many. */
size_t ledge_tfl_detection_scratch(const struct ledge_tfl_detection_params *params);

enum ledge_status ledge_tfl_detection_c(const struct ledge_kernel_call *call);

#endif
