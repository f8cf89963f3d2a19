/* SPDX-License-Identifier: Apache-2.0 */
/* conv.h -- convolution: in {x, weights, bias or NULL}, out {y}.
 *
 * NCHW: x [N][C][spatial], weights [O][C/g][kernel], y [N][O][spatial]. NHWC: x [N][spatial][C],
 * weights [O][kernel][C/g], y [N][spatial][O]. Transposed convolution: NCHW weights
 * [C][O/g][kernel], NHWC [O][kernel][C/g].
 */
#ifndef LEDGE_ENGINE_KERNELS_CONV_H
#define LEDGE_ENGINE_KERNELS_CONV_H

#include "engine/kernels/f32.h"
#include "engine/kernels/geometry.h"
#include "engine/kernels/spread.h"

struct ledge_conv_params {
    struct ledge_geometry g;
    struct ledge_clamp clamp;
};

/* The judge: direct sums, any dimension, stride, dilation and group. One task per output plane. */
enum ledge_status ledge_conv_f32_c(const struct ledge_kernel_call *call);
enum ledge_status ledge_conv_transpose_f32_c(const struct ledge_kernel_call *call);

/* -- fast paths, 2-D (and 1-D as height 1) --------------------------------------------------------
 */

/* Params of both; filled by ledge_conv_f32_plan(). */
struct ledge_conv_fast {
    struct ledge_conv_params base; /* first: what the judge reads */
    const struct ledge_f32_kernels *isa;
    bool depthwise, few;        /* few: NCHW, fewer pixels than lanes */
    int64_t m, n, k;            /* of one group's product */
    struct ledge_spread spread; /* NCHW */
    size_t packed_floats;       /* of all groups */
    size_t spread_floats;       /* of one copy; few: of a row, or of the output */
    size_t worker_floats;       /* scratch of one thread besides */
    int32_t copies;             /* of the spread: one for each thread, or one shared */
    int32_t threads;
};

/* Is there a fast path? */
bool ledge_conv_f32_is_fast(const struct ledge_geometry *g);

/* Fill the rest of fast, whose base and tap_at (room for all taps) are given. */
void ledge_conv_f32_plan(struct ledge_conv_fast *fast, const struct ledge_f32_kernels *isa,
                         int32_t threads, int64_t *tap_at);

/* Floats of scratch; weights that are not constant are packed there in each run. */
size_t ledge_conv_f32_scratch(const struct ledge_conv_fast *fast, bool constant_weights);

void ledge_conv_f32_pack(const struct ledge_conv_fast *fast, const float *weights, float *packed);

enum ledge_status ledge_conv_f32_fast(const struct ledge_kernel_call *call);

/* depthwise_f32.c: a group is one channel. */
bool ledge_depthwise_f32_is_fast(const struct ledge_geometry *g);
void ledge_depthwise_f32_run(const struct ledge_kernel_call *call, const float *weights,
                             float *scratch);

#endif
