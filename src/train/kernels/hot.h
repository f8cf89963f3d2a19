/* SPDX-License-Identifier: Apache-2.0 */
/* hot.h -- the inner loops of training, one table per CPU rung.
 *
 * hot.inc is compiled once for each rung with that rung's flags (GCC vector types, fused
 * multiply-add where the CPU has it), so there is one text. Every sum has an order that depends on
 * the rung and the sizes alone, never on threads. Sizes are in floats; pointers need no alignment.
 * Threads: pure functions.
 */
#ifndef TRAIN_KERNELS_HOT_H
#define TRAIN_KERNELS_HOT_H

#include <stddef.h>
#include <stdint.h>

#include "engine/port/rung.h"

enum { TRAIN_MR = 8 }; /* rows of a register tile */

struct train_hot {
    const char *name;
    int32_t vec; /* floats in a vector */
    int32_t nv;  /* vectors in a tile's row: a full tile is TRAIN_MR x (nv * vec) */

    /* C = init + A B, the forward tile: c[r][j] = init[r] + sum_i a[i * TRAIN_MR + r] * b[off[i] +
     * j] for r < TRAIN_MR, j < n_vec * vec; n_vec <= nv; init NULL: 0; c has rows of ldc floats. */
    void (*tile)(int32_t k, const float *a, const float *b, const int32_t *off, const float *init,
                 int32_t n_vec, float *c, int64_t ldc);

    /* C += A B, the weight-gradient tile: c[r][j] += sum_i a[off[r] + i] * b[i * ldb + j]. */
    void (*outer)(int32_t n, const float *a, const int32_t *off, const float *b, int64_t ldb,
                  int32_t n_vec, float *c, int64_t ldc);

    /* Depthwise: y[i] = init + sum_t w[t] * x[off[t] + i]. */
    void (*taps)(int32_t n_taps, const float *w, const float *x, const int32_t *off, float init,
                 float *y, int64_t n);

    /* Copy n floats, few: a call that costs less than memcpy's. */
    void (*copy)(const float *from, float *to, int64_t n);

    float (*sum)(const float *x, int64_t n);
    float (*dot)(const float *x, const float *y, int64_t n);
    /* sum of (x - mean)^2 */
    float (*sum_squares)(const float *x, float mean, int64_t n);
    /* *s = sum dy, *p = sum dy (x - mean) */
    void (*grad_sums)(const float *dy, const float *x, float mean, int64_t n, float *s, float *p);

    /* y = a x + b */
    void (*affine)(const float *x, float a, float b, float *y, int64_t n);
    /* z = a x + b y + c */
    void (*blend)(const float *x, float a, const float *y, float b, float c, float *z, int64_t n);
    /* z = x + y */
    void (*add)(const float *x, const float *y, float *z, int64_t n);
    /* y = x > 0 ? x : 0 */
    void (*relu)(const float *x, float *y, int64_t n);
    /* y[i] = maximum of a[2 i], a[2 i + 1], b[2 i], b[2 i + 1]: two rows of a plane, windows of 2 x
     * 2 */
    void (*pool_two)(const float *a, const float *b, float *y, int64_t n);
    /* Its gradient: dy goes to the first maximum in the order a[2 i], a[2 i + 1], b[2 i], b[2 i +
     * 1], the others get 0. */
    void (*pool_two_grad)(const float *a, const float *b, const float *dy, float *da, float *db,
                          int64_t n);
    /* dx = y > 0 ? dy : 0 */
    void (*relu_grad)(const float *dy, const float *y, float *dx, int64_t n);

    /* Momentum: v = m v + g'; w -= lr (nesterov ? g' + m v : v), g' = scale * g + decay * w.
     * Source: Sutskever et al. 2013, in the form that PyTorch's SGD has. */
    void (*sgd)(float *w, float *v, const float *g, float scale, float lr, float momentum,
                float decay, int nesterov, int64_t n);
    /* Adam (Kingma and Ba 2015, algorithm 1) with decay added to the gradient (decoupled 0) or
     * taken off the weight (decoupled 1, Loshchilov and Hutter 2019). bias1 = 1 - beta1^t, bias2 =
     * sqrt(1 - beta2^t). */
    void (*adam)(float *w, float *m, float *v, const float *g, float scale, float lr, float beta1,
                 float beta2, float bias1, float bias2, float eps, float decay, int decoupled,
                 int64_t n);
};

extern const struct train_hot train_hot_c;
#ifdef TRAIN_X86
extern const struct train_hot train_hot_avx2;
extern const struct train_hot train_hot_avx512;
#endif

/* The table for a rung: the highest there is at or below it. */
const struct train_hot *train_hot_for(enum ledge_rung rung);

#endif
