/* SPDX-License-Identifier: Apache-2.0 */
/* f32.h -- the vectorised inner loops of f32 products and convolutions, one table per instruction
 * set (kernels.inc), filled with plain C and climbed by rung.
 *
 * Everything above these loops (blocking, packing order, threads) is common: product_f32.c,
 * conv_f32.c, depthwise_f32.c. Sums run over k in the same order on every path of one rung, so the
 * answer does not depend on the number of threads.
 */
#ifndef LEDGE_ENGINE_KERNELS_F32_H
#define LEDGE_ENGINE_KERNELS_F32_H

#include <stdbool.h>

#include "engine/kernels/kernel.h"
#include "engine/kernels/spread.h"

enum { LEDGE_F32_KC = 256 }; /* depth of a block of k: a panel of it stays in the L1 cache */

/* c[rows][cols] (+)= a * b over k. */
struct ledge_tile_f32 {
    const float *a; /* k_major: [k][rows]; else [rows][LEDGE_F32_KC] */
    const float *b; /* [k][nr], padded to nr */
    float *c;
    int64_t ldc;
    int64_t k;
    int32_t rows; /* 1 .. mr */
    int32_t cols; /* 1 .. nr */
    bool k_major;
    bool first;            /* c = bias + sum; else c += sum */
    bool last;             /* clamp */
    const float *row_bias; /* or NULL */
    const float *col_bias; /* or NULL */
    float low, high;
};

/* One row times a matrix in panels: y[c] = bias[c] + sum over k of x[k] * w[k][c]. Several panels
 * go side by side, as one alone would wait for its own additions. */
struct ledge_vector_f32 {
    const float *x;
    int64_t k, deep;     /* w comes in blocks of `deep` rows, each [panels][rows][nr] */
    const float *w;      /* panel 0 */
    int64_t panels;      /* of all of w */
    bool half;           /* rows of the last panel are only one vector long */
    int64_t first, last; /* panels to do */
    int64_t n;           /* columns of y; those of w are padded to whole panels */
    const float *bias;   /* n, or NULL */
    float *y;            /* n */
    float low, high;
};

/* Lanes from .. to - 1 of a vector are read at src + offset + lane. */
struct ledge_span {
    int32_t from, to;
    int64_t offset;
};

enum { LEDGE_MAX_SPANS = 64 };

/* One panel [k][nr] of a convolution's columns: column i of step k is sources[k][position of i].
 * The positions are the same for every k and come as spans, those of one vector after another. */
struct ledge_columns_f32 {
    const float *src;       /* channel 0 */
    int64_t channel_stride; /* from one channel to the next */
    const int64_t *tap_at;  /* taps entries: offset of each tap in a channel */
    int64_t taps;
    int64_t first_k; /* k = channel * taps + tap */
    int64_t k;
    int32_t n_spans[4]; /* per vector of the panel */
    struct ledge_span spans[LEDGE_MAX_SPANS];
    float *panel;
};

/* Fill taps, tap_at and spans of a panel: output pixels at .. at + count - 1 of a spread picture.
 */
void ledge_spread_columns(const struct ledge_spread *spread, int32_t lanes, const int64_t out[3],
                          int64_t at, int64_t count, struct ledge_columns_f32 *columns);

/* One output plane of a depthwise convolution: y[h][w] = bias + sum over taps of w * src[tap_at + h
 * * pitch + w]. */
struct ledge_plane_f32 {
    const float *src;
    const int64_t *tap_at;
    const float *w;
    int64_t taps;
    int64_t pitch;
    int64_t height, width;
    float *y;
    float bias, low, high;
    bool rows_of_3; /* taps are 3 x 3 and tap_at[3 * i + j] = i * pitch + tap_at[j] */
};

/* A run of output pixels of a depthwise convolution in NHWC: y[i][c] = bias[c] + sum over taps of
 * w[tap][c] * x[tap_at[tap] + i * x_step + c]. */
struct ledge_pixels_f32 {
    const float *x;
    const int64_t *tap_at; /* taps that lie on the picture for all pixels of the run */
    const float *const *w; /* weights of each of these taps */
    int64_t taps;
    int64_t x_step;
    int64_t pixels;
    int64_t channels;
    const float *bias; /* or NULL */
    float *y;          /* [pixels][channels] */
    float low, high;
};

struct ledge_f32_kernels {
    enum ledge_rung rung;
    int32_t mr, nr, lanes;
    void (*tile)(const struct ledge_tile_f32 *tile);
    void (*vector)(const struct ledge_vector_f32 *vector);
    void (*columns)(const struct ledge_columns_f32 *columns);
    /* Copy one NCHW channel: channel_floats. */
    void (*spread)(const struct ledge_spread *spread, const float *channel, float *to);
    void (*plane)(const struct ledge_plane_f32 *plane);
    void (*pixels)(const struct ledge_pixels_f32 *pixels);
    const char *conv, *depthwise, *gemm, *gemm_bf16; /* names for reports */
};

#define LEDGE_KERNELS_F32(isa, rung)       extern const struct ledge_f32_kernels ledge_f32_##isa;
#define LEDGE_KERNELS_WIDE(isa, f32, rung) LEDGE_KERNELS_F32(f32, rung)
#include "engine/kernels/kernels.inc"
#undef LEDGE_KERNELS_WIDE
#undef LEDGE_KERNELS_F32

/* The highest table that may be used; consistent: of those with one rounding for each product and
 * sum, which all give the same bytes, however many lanes they have: a sum is that of one lane. */
const struct ledge_f32_kernels *ledge_f32_for(enum ledge_rung rung, bool consistent);

#endif
