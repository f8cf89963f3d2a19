/* SPDX-License-Identifier: Apache-2.0 */
/* conv_i8_plan.h -- shapes and sizes that planning (conv_i8_plan.c) and running (conv_i8.c) both
 * work out. */
#ifndef LEDGE_ENGINE_KERNELS_CONV_I8_PLAN_H
#define LEDGE_ENGINE_KERNELS_CONV_I8_PLAN_H

#include "engine/kernels/conv_i8.h"

enum { H = 1, W = 2 };

/* Chunks are whole tiles of any panel. */
enum { CHUNK_STEP = 28 };

static inline int64_t ceil_div(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

static inline size_t align(size_t bytes)
{
    return (bytes + 63) & ~(size_t)63;
}

static inline int64_t per_group(const struct ledge_geometry *g)
{
    return g->in_channels / g->groups;
}

/* Pixels that go together where bytes is the way. */
static inline int64_t block_pixels(const struct ledge_conv_i8 *conv)
{
    return 8 * (int64_t)conv->block;
}

static inline int64_t turned_rows(const struct ledge_conv_i8 *conv)
{
    return ceil_div(conv->chunk, block_pixels(conv)) * block_pixels(conv);
}

static inline size_t turned_bytes(const struct ledge_conv_i8 *conv)
{
    const size_t behind = 8 * (size_t)ledge_bytes_mask(conv->block, conv->part_units) + 256;
    return align((size_t)(turned_rows(conv) * conv->parts * conv->part_units * 4) + behind);
}

#endif
