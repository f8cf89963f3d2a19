/* SPDX-License-Identifier: Apache-2.0 */
/* onnx_algebra.h -- Einsum-12, Det-22, MeanVarianceNormalization-13, TfIdfVectorizer-9. */
#ifndef LEDGE_ENGINE_KERNELS_ONNX_ALGEBRA_H
#define LEDGE_ENGINE_KERNELS_ONNX_ALGEBRA_H

#include "engine/kernels/onnx.h"

enum { LEDGE_EINSUM_RANK = 24, LEDGE_EINSUM_INPUTS = 8 };

/* y[out index] = sum over the other indices of the product of all inputs. Dimensions of y come
 * first; strides in elements, 0 where an input does not have the index. */
struct ledge_einsum {
    int32_t n_in, n_out, n; /* n: all indices */
    int64_t dims[LEDGE_EINSUM_RANK];
    int64_t strides[LEDGE_EINSUM_INPUTS][LEDGE_EINSUM_RANK];
};
/* f32, f64 and whole numbers, which wrap. */
enum ledge_status ledge_einsum_c(const struct ledge_kernel_call *call);

/* x [batch][n][n] f32; scratch n * n doubles. params: struct ledge_axis, outer and n. */
enum ledge_status ledge_det_c(const struct ledge_kernel_call *call);

/* params: struct ledge_reduce; x f32. */
enum ledge_status ledge_mean_variance_c(const struct ledge_kernel_call *call);

/* x i32 or i64 [rows][cols] -> y f32 [rows][outputs]. Gram g of length k stands at pool[first[k]]
 * + k * g. */
struct ledge_tfidf {
    int64_t rows, cols, outputs;
    int64_t least, most, skips; /* lengths of grams, elements left out between two */
    const int64_t *pool, *first, *output;
    int64_t n_first, n_pool;
    const float *weights; /* NULL: 1 */
    bool count;           /* else only whether there is one */
};
enum ledge_status ledge_tfidf_c(const struct ledge_kernel_call *call);

#endif
