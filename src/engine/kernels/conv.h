/* SPDX-License-Identifier: Apache-2.0 */
/* conv.h -- convolution: in {x, weights, bias or NULL}, out {y}.
 *
 * NCHW: x [N][C][spatial], weights [O][C/g][kernel], y [N][O][spatial]. NHWC: x [N][spatial][C],
 * weights [O][kernel][C/g], y [N][spatial][O]. Transposed convolution: NCHW weights
 * [C][O/g][kernel], NHWC [O][kernel][C/g].
 */
#ifndef LEDGE_ENGINE_KERNELS_CONV_H
#define LEDGE_ENGINE_KERNELS_CONV_H

#include "engine/kernels/geometry.h"

struct ledge_conv_params {
    struct ledge_geometry g;
    struct ledge_clamp clamp;
};

/* The judge: direct sums, any dimension, stride, dilation and group. One task per output plane. */
enum ledge_status ledge_conv_f32_c(const struct ledge_kernel_call *call);
enum ledge_status ledge_conv_transpose_f32_c(const struct ledge_kernel_call *call);

#endif
