/* SPDX-License-Identifier: Apache-2.0 */
/* view.h -- what a kernel sees of a tensor: dense row-major memory, a type, a shape, quantisation
 * parameters. */
#ifndef LEDGE_ENGINE_TENSOR_VIEW_H
#define LEDGE_ENGINE_TENSOR_VIEW_H

#include "ledge/tensor.h"

/* real = scale * (q - zero_point); one pair per tensor (n == 1) or one per slice along axis (n ==
 * dims[axis]). */
struct ledge_quant {
    const float *scales;        /* BORROWED, n entries */
    const int32_t *zero_points; /* BORROWED, n entries */
    int32_t n;
    int32_t axis;
};

struct ledge_view {
    void *data; /* BORROWED */
    enum ledge_dtype dtype;
    int32_t rank;
    int64_t dims[LEDGE_MAX_RANK];
    const struct ledge_quant *quant; /* NULL: not quantised */
};

/* Order of the dimensions of a picture-like tensor. ONNX is NCHW with weights [O][I/g][kh][kw];
 * TFLite is NHWC with weights [O][kh][kw][I/g]. A spatial operator carries it as attribute
 * "layout". */
enum ledge_layout { LEDGE_NCHW = 0, LEDGE_NHWC = 1 };

/* Number of elements (1 for rank 0). */
static inline int64_t ledge_view_count(const struct ledge_view *view)
{
    int64_t n = 1;
    for (int32_t i = 0; i < view->rank; i++) {
        n *= view->dims[i];
    }
    return n;
}

static inline size_t ledge_view_bytes(const struct ledge_view *view)
{
    return (size_t)ledge_view_count(view) * ledge_dtype_size(view->dtype);
}

#endif
