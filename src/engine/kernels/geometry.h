/* SPDX-License-Identifier: Apache-2.0 */
/* geometry.h -- the window of a convolution or pooling, the same for every layout and 1 to 3
 * dimensions.
 *
 * Arrays of three are depth, height, width; dimensions that a tensor does not have are 1 with
 * stride 1 and no padding.
 */
#ifndef LEDGE_ENGINE_KERNELS_GEOMETRY_H
#define LEDGE_ENGINE_KERNELS_GEOMETRY_H

#include "engine/kernels/kernel.h"

struct ledge_geometry {
    enum ledge_layout layout;
    int64_t batch;
    int64_t groups;
    int64_t in_channels;
    int64_t out_channels;
    int64_t in[3];
    int64_t out[3];
    int64_t kernel[3];
    int64_t stride[3];
    int64_t dilation[3];
    int64_t pad[3];     /* before the first element */
    int64_t pad_end[3]; /* after the last one, as declared (an average may count it) */
};

static inline int64_t ledge_volume(const int64_t dims[3])
{
    return dims[0] * dims[1] * dims[2];
}

/* Element offset of (batch, channel, 0, 0, 0) and the step from one position to the next. */
static inline int64_t ledge_plane_at(enum ledge_layout layout, int64_t n, int64_t c,
                                     int64_t channels, int64_t volume)
{
    return layout == LEDGE_NCHW ? (n * channels + c) * volume : n * volume * channels + c;
}

static inline int64_t ledge_plane_step(enum ledge_layout layout, int64_t channels)
{
    return layout == LEDGE_NCHW ? 1 : channels;
}

/* Position number at of an output volume as depth, height, width. */
static inline void ledge_unravel(int64_t at, const int64_t dims[3], int64_t pos[3])
{
    pos[2] = at % dims[2];
    pos[1] = at / dims[2] % dims[1];
    pos[0] = at / dims[2] / dims[1];
}

static inline float ledge_clamp_f32(float x, struct ledge_clamp clamp)
{
    x = x < clamp.low ? clamp.low : x;
    return x > clamp.high ? clamp.high : x;
}

#endif
