/* SPDX-License-Identifier: Apache-2.0 */
/* conv.h -- the geometry that a convolution's forward step and its two gradients share.
 *
 * Every direction is turned into the same sum over shifted copies of flat memory. The source
 * channels are copied into zero padded planes; with stride s there are s x s planes, plane (a, b)
 * holding the pixels whose row is a and column is b modulo s. Then output position (y, x), numbered
 * q = y * pitch + x, is out[m][q] = sum_k A[m][k] * planes[off[k] + q] for k over (channel, tap),
 * and both operands are contiguous in q: no im2col matrix is built. The pitch - cols positions at
 * each row's end are computed and dropped.
 */
#ifndef TRAIN_OPS_CONV_H
#define TRAIN_OPS_CONV_H

#include "engine/ops/op.h"
#include "train/kernels/hot.h"

/* Group sizes are per group. */
struct train_conv {
    int32_t n, groups, c, o, h, w, oh, ow, kh, kw, sh, sw, dh, dw, top, left;
    const struct train_hot *hot;
};

/* From attributes and shapes of x [n, c, h, w] and w [o, c / groups, kh, kw]. Errors: ERR_SHAPE,
 * ERR_UNSUPPORTED. */
LEDGE_NODISCARD enum ledge_status
train_conv_shape(const struct ledge_node *node, const struct ledge_value *x,
                 const struct ledge_value *w, struct train_conv *conv, struct ledge_error *err);

/* How one source channel lies in its planes. */
struct train_planes {
    int32_t h, w;      /* source */
    int32_t top, left; /* zeros before it */
    int32_t sy, sx;    /* planes: pixels modulo */
    int32_t rows, pitch;
    int32_t floats; /* of a channel: sy * sx * rows * pitch */
};

/* Copy n_channels of source into planes (zeroed first). */
void train_planes_fill(const struct train_planes *planes, const float *source, int32_t n_channels,
                       float *to);

/* One sum as in the file's head: K = n_channels * n_taps entries in off. */
struct train_gather {
    int32_t m, k;
    const int32_t *off;
    int32_t rows, cols, pitch;           /* of the output grid */
    int64_t start;                       /* of the grid in an output channel */
    int64_t row_step, col_step, channel; /* strides in the output */
};

/* Floats of the packed A of a gather. */
size_t train_gather_packed(const struct train_gather *gather);

/* Output positions, the dropped ones included. */
static inline int32_t train_gather_positions(int32_t rows, int32_t cols, int32_t pitch)
{
    return rows > 0 && cols > 0 ? (rows - 1) * pitch + cols : 0;
}

/* Run it for one image; a packed in panels of TRAIN_MR rows, init one float per row (m rounded up)
 * or NULL. Planes must be followed by TRAIN_SLACK readable floats. */
enum { TRAIN_SLACK = 64 };
void train_gather_run(const struct train_hot *hot, const struct train_gather *gather,
                      const float *a, const float *planes, const float *init, float *out);

/* Tables for the forward step: planes of x, off[c * kh * kw] (OWNED by memory). False when there is
 * no memory. */
bool train_conv_forward_tables(const struct train_conv *conv, struct ledge_arena *memory,
                               struct train_planes *planes, int32_t **off);

extern const struct ledge_op train_op_conv;
extern const struct ledge_op train_op_conv_grad_input;
extern const struct ledge_op train_op_conv_grad_weight;

/* Depthwise twins (conv_depthwise.c): c == 1 and o == 1. */
enum ledge_status train_depthwise_prepare(struct ledge_op_prepare *prepare,
                                          const struct train_conv *conv);
enum ledge_status train_depthwise_grad_input_prepare(struct ledge_op_prepare *prepare,
                                                     const struct train_conv *conv);
enum ledge_status train_depthwise_grad_weight_prepare(struct ledge_op_prepare *prepare,
                                                      const struct train_conv *conv);

/* One phase of the input gradient: the input pixels (ry + i sh, rx + j sw), and which taps reach
 * them. */
struct train_phase {
    struct train_gather gather;
    int32_t n_taps;
    const int32_t *taps; /* ky * kw + kx */
};

/* Tables for the input gradient: planes of dy, sh * sw phases; off counts n_channels planes. False:
 * no memory. */
bool train_conv_backward_tables(const struct train_conv *conv, int32_t n_channels,
                                struct ledge_arena *memory, struct train_planes *planes,
                                struct train_phase **phases);

/* Images of chunk number i of chunks; the number of chunks depends on n alone, so sums over the
 * batch have one order. */
enum { TRAIN_CHUNKS = 8 };
static inline int32_t train_chunks(int32_t n)
{
    return n < TRAIN_CHUNKS ? n : TRAIN_CHUNKS;
}

#endif
