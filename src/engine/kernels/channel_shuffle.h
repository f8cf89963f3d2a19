/* SPDX-License-Identifier: Apache-2.0 */
/* channel_shuffle.h -- ledge.ChannelShuffle: bytes of NHWC pictures, laid side by side along the
 * channels, change their order and are cut apart again: one pass over every pixel.
 *
 * As a graph has it: [N][C][H][W] -> [N][g][C/g][H][W] -> [N][C/g][g][H][W] -> [N][C][H][W], so
 * result channel c is channel c % g * (C / g) + c / g. Reshapes that cut something else than the
 * channels mean another order of the bytes; that takes the same steps one by one, through scratch.
 * Threads: parts are disjoint outputs. */
#ifndef LEDGE_ENGINE_KERNELS_CHANNEL_SHUFFLE_H
#define LEDGE_ENGINE_KERNELS_CHANNEL_SHUFFLE_H

#include <stdbool.h>

#include "engine/kernels/kernel.h"

enum { LEDGE_SHUFFLE_MOST = 16, LEDGE_SHUFFLE_PICTURE = 4, LEDGE_SHUFFLE_GROUPED = 5 };

/* Where a result's channel comes from. */
struct ledge_shuffle_origin {
    int32_t input;
    int64_t channel;
};

/* One output. Channels come in pairs, first[0] + i from one input and first[1] + i from another, or
 * each by itself. */
struct ledge_shuffle_part {
    int64_t channels;
    bool pairs;
    const struct ledge_shuffle_origin *origins; /* of its channels; of pairs the first counts */
};

struct ledge_channel_shuffle {
    int32_t n_in, n_out;
    int64_t pixels;
    int64_t in_channels[LEDGE_SHUFFLE_MOST];
    struct ledge_shuffle_part parts[LEDGE_SHUFFLE_MOST];
    bool regular;                           /* else only what follows counts */
    int64_t picture[LEDGE_SHUFFLE_PICTURE]; /* N C H W of the inputs together */
    int64_t grouped[LEDGE_SHUFFLE_GROUPED];
    int64_t merged[LEDGE_SHUFFLE_PICTURE]; /* N C H W of the outputs together */
};

/* Bytes of scratch when it is not regular: twice the picture. */
enum ledge_status ledge_channel_shuffle_c(const struct ledge_kernel_call *call);

#endif
