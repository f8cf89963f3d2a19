/* SPDX-License-Identifier: Apache-2.0 */
/* spatial.h -- attributes of convolutions and poolings (strides, pads, auto_pad, dilations, layout)
 * -> geometry.
 *
 * Source: ONNX operators Conv-11, MaxPool-12, AveragePool-19.
 */
#ifndef LEDGE_ENGINE_OPS_SPATIAL_H
#define LEDGE_ENGINE_OPS_SPATIAL_H

#include "engine/kernels/geometry.h"
#include "engine/ops/op.h"

/* One node, its input and where failures go; made from an infer or a prepare call. */
struct ledge_spatial {
    const struct ledge_node *node;
    const struct ledge_value *x;
    struct ledge_error *err;
};

/* Fill g from the node: kernel (n_kernel spatial sizes) is given by the caller. ceil_mode is read
 * for poolings only. Errors: ERR_SHAPE naming the node. */
LEDGE_NODISCARD enum ledge_status ledge_spatial_read(const struct ledge_spatial *spatial,
                                                     const int64_t *kernel, int32_t n_kernel,
                                                     int64_t out_channels,
                                                     struct ledge_geometry *g);

/* The same for a transposed convolution: attributes output_padding and output_shape. */
LEDGE_NODISCARD enum ledge_status
ledge_spatial_read_transposed(const struct ledge_spatial *spatial, const int64_t *kernel,
                              int32_t n_kernel, int64_t out_channels, struct ledge_geometry *g);

/* Output dims in the node's layout; rank is that of the input. */
void ledge_spatial_dims(const struct ledge_geometry *g, int32_t rank, int64_t *dims);

/* Spatial sizes of weights [O][I/g][kernel] or [O][kernel][I/g]. */
const int64_t *ledge_spatial_kernel(const struct ledge_value *weights, enum ledge_layout layout);

static inline enum ledge_layout ledge_node_layout(const struct ledge_node *node)
{
    return ledge_node_int(node, "layout", LEDGE_NCHW) == LEDGE_NHWC ? LEDGE_NHWC : LEDGE_NCHW;
}

/* clamp_low and clamp_high of the node. */
struct ledge_clamp ledge_node_clamp(const struct ledge_node *node);

#endif
