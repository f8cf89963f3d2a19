/* SPDX-License-Identifier: Apache-2.0 */
/* bands.h -- expand (1 x 1 or the first convolution), depthwise and project (1 x 1) as one kernel
 * on blocked tensors; either end may be missing. In the place of the depthwise convolution may be
 * the largest of a window, as behind first convolutions.
 *
 * Flow:    plan/bands.c finds the chain -> ops/bands.c prepares -> [bands.h] -> blocked.h
 *
 * What lies between is wide: six times the channels of what goes in and comes out. It never gets
 * as far as memory. Two ways to go about it:
 *
 * rows    From top to bottom, a few rows of outputs at a time, all channels. The rows that the
 *         depthwise convolution reads stand in a ring: those it needs again are kept. Threads share
 *         grains of rows; one that does not go on where it was computes the rows around anew.
 * planes  Where a picture is small: from channel to channel, two blocks of expand and depthwise at
 * a time on the whole picture, so that weights are read once; project follows when all are done.
 * Threads share blocks; nothing is computed twice.
 *
 * The loops are those of the single convolutions: the same bytes.
 */
#ifndef LEDGE_ENGINE_KERNELS_BANDS_H
#define LEDGE_ENGINE_KERNELS_BANDS_H

#include "engine/kernels/blocked.h"

struct ledge_bands {
    const struct ledge_blocked_conv *expand; /* or NULL: the depthwise convolution reads x */
    const struct ledge_blocked_rows *depth;
    const struct ledge_blocked_conv *project; /* or NULL: the depthwise convolution writes y */
    size_t depth_at, project_at;              /* floats of packed before their weights */
    int64_t batch;
    bool planes;
    int64_t rows;         /* of the depthwise convolution's output, done together */
    int64_t ring;         /* rows of its input that are kept */
    int64_t parts;        /* of a picture, for threads: grains of rows, or units */
    size_t worker_floats; /* scratch of each thread, then what all share */
    size_t shared_floats;
};

/* Fill planes .. shared_floats; the convolutions are planned. False when it does not pay (unless
 * force) or cannot be counted. */
bool ledge_bands_plan(struct ledge_bands *bands, int32_t threads, bool force);

/* in {x, addend of project or NULL}, out {y}; packed: expand's, depth's, project's. */
enum ledge_status ledge_bands_run(const struct ledge_kernel_call *call);

#endif
