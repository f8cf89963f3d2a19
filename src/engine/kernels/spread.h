/* SPDX-License-Identifier: Apache-2.0 */
/* spread.h -- a channel of a picture copied so that a convolution needs no test and no stride.
 *
 * The padded channel is split into phases: row r goes to row phase r % stride, column c likewise.
 * Then tap (i, j) of output (h, w) lies at tap_at[i * kernel_w + j] + h * pitch + w, whatever the
 * stride, dilation and padding; only phases that some tap uses are kept. Without stride and padding
 * the picture itself is read (channel_floats 0).
 */
#ifndef LEDGE_ENGINE_KERNELS_SPREAD_H
#define LEDGE_ENGINE_KERNELS_SPREAD_H

#include "engine/kernels/geometry.h"

struct ledge_spread {
    int64_t taps;
    const int64_t *tap_at; /* BORROWED, taps entries */
    int64_t pitch;
    int64_t rows;           /* of one phase */
    uint64_t used[2][8];    /* bit i: phase i of height or width is in use */
    int64_t channel_floats; /* of the copy with its slack; 0: no copy is needed */
    int64_t channel_stride; /* floats from one channel to the next, copied or not */
    int64_t in[2], stride[2], pad[2];
};

/* Whole vectors are stored, so a copied channel ends in this many floats of slack. */
enum { LEDGE_SPREAD_SLACK = 16, LEDGE_SPREAD_MAX_STRIDE = 512 };

/* Does some tap fall into this phase of height (0) or width (1)? */
static inline bool ledge_spread_uses(const struct ledge_spread *spread, int d, int64_t phase)
{
    return (spread->used[d][phase / 64] >> phase % 64 & 1) != 0;
}

/* Work out the spread of a 2-D window with strides of at most LEDGE_SPREAD_MAX_STRIDE. tap_at: room
 * for kernel_h * kernel_w, FILLED and BORROWED. */
void ledge_spread_init(struct ledge_spread *spread, const struct ledge_geometry *g,
                       int64_t *tap_at);

#endif
