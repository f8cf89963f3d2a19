/* SPDX-License-Identifier: Apache-2.0 */
/* pool.h -- pooling over windows and over whole planes: in {x}, out {y, indices (i64) or NULL}. */
#ifndef LEDGE_ENGINE_KERNELS_POOL_H
#define LEDGE_ENGINE_KERNELS_POOL_H

#include <stdbool.h>

#include "engine/kernels/geometry.h"
#include "engine/kernels/i8.h"

struct ledge_pool_params {
    struct ledge_geometry g; /* in_channels == out_channels */
    struct ledge_clamp clamp;
    bool count_pad;    /* average: padding counts as zeros (but not what lies past pad_end) */
    bool column_major; /* indices count height first */
    const struct ledge_i8_kernels *isa; /* max: whose loop takes windows as a whole; or NULL */
    int32_t power; /* LpPool: of the elements; the answer is the root of their sum */
};

/* f32, f64, u8, i8. */
enum ledge_status ledge_max_pool_c(const struct ledge_kernel_call *call);
/* f32, u8, i8 in two dimensions, without indices. */
bool ledge_max_pool_is_fast(const struct ledge_geometry *g);
/* May isa's loop take windows of bytes as a whole? */
bool ledge_max_pool_is_small(const struct ledge_geometry *g, const struct ledge_i8_kernels *isa);
size_t ledge_max_pool_scratch(const struct ledge_geometry *g, int32_t threads);
enum ledge_status ledge_max_pool_fast(const struct ledge_kernel_call *call);

enum ledge_status ledge_average_pool_f32_c(const struct ledge_kernel_call *call);

enum ledge_status ledge_lp_pool_f32_c(const struct ledge_kernel_call *call);

/* Over the whole plane: kernel and out of the geometry are in and 1. */
enum ledge_status ledge_global_average_pool_f32_c(const struct ledge_kernel_call *call);

#endif
