/* SPDX-License-Identifier: Apache-2.0 */
/* bands_i8.h -- expand (1 x 1 or a first convolution), depthwise and project (1 x 1) of 8-bit NHWC
 * pictures as one kernel; either end may be missing.
 *
 * Flow:    plan/bands_i8.c joins prepared steps -> [bands_i8.h] -> conv_i8.h
 * Design:  From top to bottom, a few rows of outputs at a time, all channels: what lies between is
 * made and read in the first and second cache, and one parallel step does the work of three. Rows
 * that the depthwise convolution reads stand in a ring, those it needs again are kept. Threads
 * share grains of rows; one that does not go on where it was computes the rows around anew. Small
 * pictures go by channels, without project: the depthwise convolution of a channel needs those of
 * expand's outputs only, so no row is computed twice and each weight is read by one thread. The
 * loops are those of the single convolutions: the same bytes.
 * Memory: scratch as planned. Threads: parts are disjoint rows of outputs, or channels of them.
 */
#ifndef LEDGE_ENGINE_KERNELS_BANDS_I8_H
#define LEDGE_ENGINE_KERNELS_BANDS_I8_H

#include "engine/kernels/conv_i8.h"

enum { LEDGE_BANDS_I8_PARTS = 3 };

struct ledge_bands_i8 {
    const struct ledge_conv_i8 *expand; /* or NULL: the depthwise convolution reads x */
    const struct ledge_depthwise_i8 *depth;
    const struct ledge_conv_i8 *project; /* or NULL: the depthwise convolution writes y */
    /* By part: where its inputs begin in the list of the call, and its bytes in packed. */
    int32_t inputs[LEDGE_BANDS_I8_PARTS];
    size_t packed[LEDGE_BANDS_I8_PARTS];
    int64_t rows;  /* of the depthwise convolution's output, done together */
    int64_t ring;  /* rows of its input that are kept */
    int64_t grain; /* rows of outputs that threads share */
    /* Threads share panels of the expansion instead, and make their channels of all rows; the
     * middle one of an odd number is divided at row `half` of the outputs; 0: none is. */
    bool by_channel;
    int64_t half;
    size_t before_bytes, behind_bytes, worker_bytes; /* scratch of a thread: ring, rows, all */
};

/* Fill rows .. worker_bytes; the convolutions are planned. False when it does not pay. */
bool ledge_bands_i8_plan(struct ledge_bands_i8 *bands, int32_t threads, bool force);

enum ledge_status ledge_bands_i8_run(const struct ledge_kernel_call *call);

#endif
