/* SPDX-License-Identifier: Apache-2.0 */
/* gemm.h -- matrix products y = clamp(alpha * a * b + beta * c): in {a, b, c or NULL}, out {y}.
 *
 * Matrices lie anywhere (a stride per dimension, in elements), so transposition and broadcasting
 * cost nothing to say.
 */
#ifndef LEDGE_ENGINE_KERNELS_GEMM_H
#define LEDGE_ENGINE_KERNELS_GEMM_H

#include "engine/kernels/kernel.h"

struct ledge_matmul_shape {
    int64_t m, n, k;
    int64_t a_row, a_col; /* strides */
    int64_t b_row, b_col;
    int32_t n_dims; /* outer dimensions: one product each, y dense */
    int64_t dims[LEDGE_MAX_RANK];
    int64_t a_step[LEDGE_MAX_RANK]; /* 0 where a is broadcast */
    int64_t b_step[LEDGE_MAX_RANK];
};

struct ledge_gemm_params {
    struct ledge_matmul_shape shape;
    float alpha, beta;
    int64_t c_row, c_col; /* 0 where c is broadcast */
    struct ledge_clamp clamp;
};

/* Number of products, and where number i finds its matrices. */
int64_t ledge_matmul_count(const struct ledge_matmul_shape *shape);
void ledge_matmul_at(const struct ledge_matmul_shape *shape, int64_t i, int64_t *a, int64_t *b);

/* The judge: one task per row of y. */
enum ledge_status ledge_gemm_f32_c(const struct ledge_kernel_call *call);

#endif
