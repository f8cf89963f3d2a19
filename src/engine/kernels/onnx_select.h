/* SPDX-License-Identifier: Apache-2.0 */
/* onnx_select.h -- choices whose number only the values tell: NonZero-13, Compress-11, Unique-11,
 * NonMaxSuppression-11. Plain functions on views: infer calls them once the inputs are known. */
#ifndef LEDGE_ENGINE_KERNELS_ONNX_SELECT_H
#define LEDGE_ENGINE_KERNELS_ONNX_SELECT_H

#include <stdbool.h>

#include "engine/tensor/view.h"

/* Elements that are not 0; their places [rank][n] when `places` is given. */
int64_t ledge_nonzero(const struct ledge_view *x, int64_t *places, int64_t n);

/* Things 0 .. n - 1 are sorted; they are elements or slices [outer][n][inner] of x. */
struct ledge_unique {
    const struct ledge_view *x;
    int64_t outer, n, inner;
    bool sorted;
    /* FILLED: n entries each, the first n_unique of first and counts are used */
    int64_t *order; /* scratch */
    int64_t *first; /* place of the first of its kind */
    int64_t *inverse;
    int64_t *counts;
    int64_t n_unique;
};
void ledge_unique(struct ledge_unique *u);

/* boxes [batch][n][4], scores [batch][classes][n] */
struct ledge_nms {
    const float *boxes, *scores;
    int64_t batch, classes, n, most; /* boxes kept of a class */
    float overlap, least;            /* least: -INFINITY for none */
    bool centre;                     /* boxes are x, y, width, height, not two corners */
    int64_t *order;                  /* scratch: n */
    int64_t *kept;                   /* FILLED: batch * classes * min(most, n) triples */
};
/* Triples (batch, class, box) written. */
int64_t ledge_nms(const struct ledge_nms *nms);

#endif
