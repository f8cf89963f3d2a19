/* SPDX-License-Identifier: Apache-2.0 */
/* gemm.h -- matrix products y = clamp(alpha * a * b + beta * c): in {a, b, c or NULL}, out {y}.
 *
 * Matrices lie anywhere (a stride per dimension, in elements), so transposition and broadcasting
 * cost nothing to say.
 */
#ifndef LEDGE_ENGINE_KERNELS_GEMM_H
#define LEDGE_ENGINE_KERNELS_GEMM_H

#include "engine/kernels/f32.h"

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
/* f64, and whole numbers of 32 and 64 bits, whose sums wrap. */
enum ledge_status ledge_gemm_wide_c(const struct ledge_kernel_call *call);

/* -- fast path -- */

struct ledge_gemm_fast {
    struct ledge_gemm_params base; /* first: what the judge reads */
    const struct ledge_f32_kernels *isa;
    size_t b_floats;      /* of one packed b */
    size_t packed_floats; /* of all of them; two of bf16 in the room of a float */
    size_t worker_floats; /* scratch of one thread */
    int32_t threads;
    bool bf16; /* constant weights are held so (bf16.h) */
};

bool ledge_gemm_f32_is_fast(const struct ledge_matmul_shape *s);

/* Fill the rest of fast, whose base is given. */
void ledge_gemm_f32_plan(struct ledge_gemm_fast *fast, const struct ledge_f32_kernels *isa,
                         int32_t threads);

/* Floats of scratch; a b that is not constant is packed there in each run. */
size_t ledge_gemm_f32_scratch(const struct ledge_gemm_fast *fast, bool constant_b);

void ledge_gemm_f32_pack(const struct ledge_gemm_fast *fast, const void *b, float *packed);

enum ledge_status ledge_gemm_f32_fast(const struct ledge_kernel_call *call);

#endif
