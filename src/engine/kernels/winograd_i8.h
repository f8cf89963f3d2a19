/* SPDX-License-Identifier: Apache-2.0 */
/* winograd_i8.h -- 8-bit convolutions with windows of 3 x 3 side by side, by minimal filtering in
 * whole numbers: the third way of conv_i8.h, where an instruction set has loops for it.
 *
 * Flow:    ledge_conv_i8_plan: _plan -> packing: _pack -> run: ledge_winograd_i8
 * Design:  F(4 x 4, 3 x 3) of Lavin and Gray (arXiv:1509.09308): 36 products make 16 outputs, where
 * the direct way takes 144. With whole numbers for all that is transformed (i16) the outputs come
 * out 4 to 576 times too large, modulo 2^32; the division is exact. So sums are those of the direct
 * way, and what turns them into bytes is its own. Inputs are transformed once for all channels, a
 * band of rows of tiles at a time; weights are packed as bytes and transformed where they are used,
 * 16 channels at a time. Memory: packed weights are the caller's; scratch as told by _scratch.
 * Threads: tiles, then panels of channels, are disjoint. */
#ifndef LEDGE_ENGINE_KERNELS_WINOGRAD_I8_H
#define LEDGE_ENGINE_KERNELS_WINOGRAD_I8_H

#include "engine/kernels/conv_i8.h"

/* TILE: outputs a side; WINDOW: inputs; PLACES: products of a tile. */
enum {
    LEDGE_TILE = 4,
    LEDGE_TILE_WINDOW = 6,
    LEDGE_TILE_PLACES = 36,
    LEDGE_TILE_CHANNELS = 16, /* of a panel */
    LEDGE_TILE_ROWS = 6,      /* tiles whose products are made together */
    LEDGE_TILE_WEIGHTS = 288  /* bytes: two inputs of a panel */
};

/* Products of neighbouring tiles with some of the inputs of a panel. */
struct ledge_tiles_i8 {
    const int16_t *inputs; /* [tiles][PLACES][inputs] */
    int64_t tile_step, place_step;
    const int16_t *weights; /* [PLACES][pairs][CHANNELS][2] */
    int64_t weight_step;
    int64_t pairs; /* of inputs */
    int32_t tiles; /* even, at most LEDGE_TILE_ROWS */
    bool first;    /* else they are added */
    int32_t *to;   /* [PLACES][tiles, step apart][CHANNELS] */
    int64_t step;
};

struct ledge_winograd_loops_i8 {
    /* One window of `channels` (16 at least) of pixels that lie row and column bytes apart, each
     * byte xor flip: to[place * step + channel] is FILLED. */
    void (*input)(const uint8_t *x, int64_t row, int64_t column, int64_t channels, uint8_t flip,
                  int16_t *to, int64_t step);
    /* Packed weights of a panel, `pairs` of inputs: [pairs][2][9][8][2]. */
    void (*weights)(const int8_t *packed, int64_t pairs, int16_t *to, int64_t step);
    void (*products)(const struct ledge_tiles_i8 *tiles);
    /* A tile's products, step apart, become its outputs' sums: sums[row * row_step + column *
     * CHANNELS + channel] are FILLED. */
    void (*output)(const int32_t *products, int64_t step, const int32_t *offset, int32_t *sums,
                   int64_t row_step);
    const char *name; /* for reports */
};

extern const struct ledge_winograd_loops_i8 ledge_winograd_i8_avx2;

/* May it be the way, as far as shapes tell? conv->isa and the geometry are given. */
bool ledge_winograd_i8_plan(const struct ledge_conv_i8 *conv);
size_t ledge_winograd_i8_packed(const struct ledge_conv_i8 *conv);  /* bytes */
size_t ledge_winograd_i8_scratch(const struct ledge_conv_i8 *conv); /* likewise */
/* Every byte of packed weights is FILLED, and the lists; false: with these weights it is not the
 * way. */
bool ledge_winograd_i8_pack(const struct ledge_conv_i8 *conv,
                            const struct ledge_weights_i8 *weights, void *packed,
                            const struct ledge_lists_i8 *lists);
void ledge_winograd_i8(const struct ledge_kernel_call *call);

#endif
