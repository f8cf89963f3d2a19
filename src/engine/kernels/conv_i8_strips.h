/* SPDX-License-Identifier: Apache-2.0 */
/* conv_i8_strips.h -- convolutions of pictures that lie as planes, few of them: a network's first
 * layer, where windows are at most eight columns wide (struct ledge_conv_i8.strips).
 *
 * Flow:    conv_i8.c: its pictures and grains -> [conv_i8_strips.h] -> i8_strips.tmpl.h
 * Design:  A row of a channel under a window is three or four bytes side by side as they lie in the
 * plane: a unit. So rows are copied with their padding, all channels of one height together, and
 * every unit of every pixel is at a constant distance from the first; where windows are wider than
 * four columns, rows are copied twice, the second time from their fifth byte on. Nobody makes
 * pixels of channels, nor lists of pointers. Memory: scratch of conv_i8.h. Threads: rows of
 * outputs. */
#ifndef LEDGE_ENGINE_KERNELS_CONV_I8_STRIPS_H
#define LEDGE_ENGINE_KERNELS_CONV_I8_STRIPS_H

#include "engine/kernels/conv_i8.h"

/* Row y of all channels, which need not be there, read as u8: [conv->units][conv->columns] at `to`
 * are FILLED. x: the picture. */
void ledge_conv_i8_strip(const struct ledge_conv_i8 *conv, const uint8_t *x, int64_t y,
                         uint8_t *to);

/* The row of outputs that begins with pixel number `at`, panels p0 .. p1 - 1. row: the first copied
 * row under it; row_sums: room for one of each pixel. */
void ledge_conv_i8_strips(const struct ledge_kernel_call *call, const struct ledge_results_i8 *to,
                          const uint8_t *row, int64_t at, int64_t p0, int64_t p1,
                          int32_t *row_sums);

#endif
