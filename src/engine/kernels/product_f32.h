/* SPDX-License-Identifier: Apache-2.0 */
/* product_f32.h -- blocked f32 matrix product c = a * b around the register tile of f32.h.
 *
 * One side is resident: packed as a whole, once (weights, at plan time when they are constant). The
 * other is streamed: a panel is packed where it is used, so that a convolution's columns never
 * stand in memory as a whole.
 *
 *   resident a, m x k:  blocks of LEDGE_F32_KC of k; in a block panels of rows, each [kc][rows]
 *   resident b, k x n:  the same blocks; in a block panels of nr columns, each [kc][nr], 0-padded
 *   streamed a:         [rows][LEDGE_F32_KC];  streamed b: [kc][nr], 0-padded
 *
 * m is cut into ceil(m / mr) panels of almost equal height. Threads: parts of one product may run
 * side by side when they do not share streamed and resident panels both.
 */
#ifndef LEDGE_ENGINE_KERNELS_PRODUCT_F32_H
#define LEDGE_ENGINE_KERNELS_PRODUCT_F32_H

#include "engine/kernels/f32.h"

struct ledge_product_f32 {
    const struct ledge_f32_kernels *isa;
    int64_t m, n, k;
    bool a_resident;
    const float *resident;
    const uint16_t *resident16; /* b as bf16 in its place (bf16.h), or NULL */
    /* Fill one streamed panel: rows or columns at .. at + count - 1, k0 .. k0 + kc - 1. */
    void (*stream)(const void *arg, int64_t k0, int64_t kc, int64_t at, int64_t count,
                   float *panel);
    const void *arg;
    float *c;
    int64_t ldc;
    const float *row_bias;
    const float *col_bias;
    bool accumulate; /* c holds what is to be added to; no bias then */
    struct ledge_clamp clamp;
};

/* Panels of the streamed and of the resident side. */
int64_t ledge_product_f32_streamed(const struct ledge_product_f32 *p);
int64_t ledge_product_f32_resident(const struct ledge_product_f32 *p);

/* Streamed panels worked on together, and the floats of scratch that takes. */
int64_t ledge_product_f32_group(const struct ledge_product_f32 *p);
size_t ledge_product_f32_scratch(const struct ledge_f32_kernels *isa, bool bf16);

/* Streamed panels s0 .. s1 - 1 (at most a group) against resident panels r0 .. r1 - 1. */
void ledge_product_f32_part(const struct ledge_product_f32 *p, int64_t s0, int64_t s1, int64_t r0,
                            int64_t r1, float *scratch);

/* All of it by the threads of a pool: groups are shared out, and resident panels too when there are
 * few groups. scratch: ledge_product_f32_scratch() floats for each thread. */
void ledge_product_f32_run(const struct ledge_product_f32 *p, struct ledge_pool *pool,
                           float *scratch);

/* One row times packed panels: vector's first and last are worked out here. */
void ledge_vector_f32_run(const struct ledge_f32_kernels *isa,
                          const struct ledge_vector_f32 *vector, struct ledge_pool *pool);

/* Floats of a packed resident side, and packing it. Element (row, k) of a is a[row * a_row + k *
 * a_k], element (k, col) of b is b[k * b_k + col * b_col]; floats that may stand at any byte. */
size_t ledge_product_f32_a_size(int64_t m, int64_t k);
size_t ledge_product_f32_b_size(const struct ledge_f32_kernels *isa, int64_t k, int64_t n);
void ledge_product_f32_pack_a(const struct ledge_f32_kernels *isa, const void *a, int64_t a_row,
                              int64_t a_k, int64_t m, int64_t k, float *packed);
void ledge_product_f32_pack_b(const struct ledge_f32_kernels *isa, const void *b, int64_t b_k,
                              int64_t b_col, int64_t k, int64_t n, float *packed);
/* The same as bf16. */
void ledge_product_f32_pack_b16(const struct ledge_f32_kernels *isa, const void *b, int64_t b_k,
                                int64_t b_col, int64_t k, int64_t n, uint16_t *packed);

#endif
