/* SPDX-License-Identifier: Apache-2.0 */
/* onnx.h -- kernels of ai.onnx beyond convolution and matrix products: what prepare (ops/onnx_*.c)
 * fills in and the kernels (kernels/onnx_*.c) read.
 *
 * Plain C, one thread. Shapes were checked by infer; a kernel only fails on values (an index out of
 * range).
 */
#ifndef LEDGE_ENGINE_KERNELS_ONNX_H
#define LEDGE_ENGINE_KERNELS_ONNX_H

#include <stdbool.h>

#include "engine/kernels/kernel.h"
#include "engine/kernels/onnx_tiny.h"

/* -- moving: Transpose, Concat, Split, Slice, Expand, Tile, Pad (constant), DepthToSpace, ... -- */

enum { LEDGE_STRIDED_RANK = 16 };

/* to[to_at + sum i_k to_k] = from[from_at + sum i_k from_k] for all i below dims; strides in
 * elements, may be 0 or less. */
struct ledge_strided {
    int32_t rank;
    size_t size; /* of an element */
    int64_t dims[LEDGE_STRIDED_RANK];
    int64_t from[LEDGE_STRIDED_RANK];
    int64_t to[LEDGE_STRIDED_RANK];
    int64_t from_at, to_at;
};

/* Fewer, longer dimensions with the same meaning. */
void ledge_strided_collapse(struct ledge_strided *s);
void ledge_strided_copy(const struct ledge_strided *s, const void *from, void *to);

struct ledge_move_part {
    int32_t in, out;
    struct ledge_strided s;
};

enum { LEDGE_FILL_NONE, LEDGE_FILL_VALUE, LEDGE_FILL_INPUT };

struct ledge_move {
    int32_t n;
    struct ledge_move_part *parts;
    int32_t fill;      /* what output 0 holds before the parts are copied */
    int32_t fill_in;   /* LEDGE_FILL_INPUT: a one-element input */
    uint8_t value[16]; /* LEDGE_FILL_VALUE */
};

enum ledge_status ledge_move_c(const struct ledge_kernel_call *call);

/* Output element (i, j, ...) = input element (table0[i], table1[j], ...); -1 in a table gives
 * `fill`: Pad with other modes, Resize with mode nearest. */
struct ledge_lookup {
    int32_t rank;
    size_t size;
    int64_t dims[LEDGE_MAX_RANK];   /* of the output */
    int64_t stride[LEDGE_MAX_RANK]; /* of the input */
    const int64_t *table[LEDGE_MAX_RANK];
    uint8_t fill[16];
};

enum ledge_status ledge_lookup_c(const struct ledge_kernel_call *call);

/* -- element by element -- */

struct ledge_unary {
    int32_t op; /* of the entry */
    float p[2];
};

/* What does an operator on elements of one type. */
struct ledge_unary_entry {
    const char *kernel;
    enum ledge_dtype out;
    int32_t op;
};

/* False when there is none. */
bool ledge_unary_find(const char *op, enum ledge_dtype in, struct ledge_unary_entry *entry);
enum ledge_status ledge_unary_c(const struct ledge_kernel_call *call);
/* The same as Sigmoid and Tanh of f32, in place. */
void ledge_sigmoid_floats(float *x, int64_t n);
void ledge_tanh_floats(float *x, int64_t n);

/* sa, sb: 1 for a run of elements, 0 for one that is repeated. */
typedef void (*ledge_binary_fn)(const void *a, const void *b, void *out, int64_t n, int64_t sa,
                                int64_t sb);

struct ledge_binary_entry {
    const char *kernel;
    ledge_binary_fn fn;
    uint8_t in, out; /* enum ledge_dtype */
};

/* Loops of onnx_binary_f32.c. Where both operands are repeated n is 1. */
void ledge_Add_f32(const void *a, const void *b, void *out, int64_t n, int64_t sa, int64_t sb);
void ledge_Sub_f32(const void *a, const void *b, void *out, int64_t n, int64_t sa, int64_t sb);
void ledge_Mul_f32(const void *a, const void *b, void *out, int64_t n, int64_t sa, int64_t sb);
void ledge_Div_f32(const void *a, const void *b, void *out, int64_t n, int64_t sa, int64_t sb);
void ledge_Max_f32(const void *a, const void *b, void *out, int64_t n, int64_t sa, int64_t sb);
void ledge_Min_f32(const void *a, const void *b, void *out, int64_t n, int64_t sa, int64_t sb);

/* The loop for elements of type in, or the one that stands in for it: then in and out of the entry
 * are wider. NULL when there is none. */
const struct ledge_binary_entry *ledge_binary_find(const char *op, enum ledge_dtype in);

/* One broadcast operation; operand -1 is the output as it stands. */
struct ledge_binary_step {
    int32_t a, b;
    int32_t rank;
    int64_t dims[LEDGE_MAX_RANK];
    int64_t stride_a[LEDGE_MAX_RANK];
    int64_t stride_b[LEDGE_MAX_RANK];
};

struct ledge_binary {
    ledge_binary_fn fn;
    enum ledge_dtype in, out;
    bool narrow;              /* fn is the loop of a wider whole type */
    struct ledge_clamp clamp; /* f32 only */
    float scale;              /* f32 only, applied last; 1: none (Mean) */
    int32_t n;
    struct ledge_binary_step *steps;
};

/* dims, strides of a and b against an output shape; dimensions collapsed. lead is where b's
 * dimensions start in a's (-1: numpy's alignment to the right). */
void ledge_binary_plan(struct ledge_binary_step *step, const struct ledge_view *a,
                       const struct ledge_view *b, const struct ledge_view *out, int32_t lead);
enum ledge_status ledge_binary_c(const struct ledge_kernel_call *call);

/* Pow with two types: base and result in[0]'s, exponent in[1]'s. */
enum ledge_status ledge_pow_c(const struct ledge_kernel_call *call);

struct ledge_where {
    int32_t rank;
    size_t size;
    int64_t dims[LEDGE_MAX_RANK];
    int64_t stride[3][LEDGE_MAX_RANK];
};

enum ledge_status ledge_where_c(const struct ledge_kernel_call *call);

/* Element type to element type; NULL or how 8-bit floats are made. */
struct ledge_cast {
    bool saturate;
    enum ledge_tiny_round round; /* f8e8m0 */
};
enum ledge_status ledge_cast_c(const struct ledge_kernel_call *call);

/* Clip with bounds in inputs 1 and 2 (either may be absent), any number type. */
enum ledge_status ledge_clip_c(const struct ledge_kernel_call *call);

/* -- reductions -- */

enum ledge_reduce_kind {
    LEDGE_REDUCE_SUM,
    LEDGE_REDUCE_MEAN,
    LEDGE_REDUCE_MAX,
    LEDGE_REDUCE_MIN,
    LEDGE_REDUCE_PROD,
    LEDGE_REDUCE_L1,
    LEDGE_REDUCE_L2,
    LEDGE_REDUCE_LOG_SUM,
    LEDGE_REDUCE_LOG_SUM_EXP,
    LEDGE_REDUCE_SUM_SQUARE,
};

struct ledge_reduce {
    enum ledge_reduce_kind kind;
    int32_t n_keep, n_fold; /* dimensions that stay, that go */
    int64_t keep[LEDGE_MAX_RANK], keep_stride[LEDGE_MAX_RANK];
    int64_t fold[LEDGE_MAX_RANK], fold_stride[LEDGE_MAX_RANK];
};

enum ledge_status ledge_reduce_c(const struct ledge_kernel_call *call);

/* [outer, n, inner] along one axis. */
struct ledge_axis {
    int64_t outer, n, inner;
    int32_t flags;
    float p[2];
};

enum { LEDGE_ARG_MIN = 1, LEDGE_ARG_LAST = 2 };
enum ledge_status ledge_argmax_c(const struct ledge_kernel_call *call);

enum { LEDGE_CUM_EXCLUSIVE = 1, LEDGE_CUM_REVERSE = 2, LEDGE_CUM_PRODUCT = 4 };
enum ledge_status ledge_cumulate_c(const struct ledge_kernel_call *call);

enum { LEDGE_TOP_SMALLEST = 1 };
struct ledge_topk {
    struct ledge_axis axis;
    int64_t k;
};
enum { LEDGE_TOPK_BYTES = 24 }; /* of scratch for each of k */
enum ledge_status ledge_topk_c(const struct ledge_kernel_call *call);

enum { LEDGE_SOFTMAX_LOG = 1, LEDGE_SOFTMAX_HARD = 2 };
enum ledge_status ledge_softmax_c(const struct ledge_kernel_call *call);

/* -- indexing -- */

/* Gather: out[outer][index][inner] = in[outer][idx[index]][inner]; inner in bytes. */
struct ledge_gather {
    int64_t outer, n, count;
    size_t inner;
};
enum ledge_status ledge_gather_c(const struct ledge_kernel_call *call);

/* GatherElements and ScatterElements: index i_0..i_r of the index tensor, axis replaced by its
 * value. */
enum {
    LEDGE_SCATTER_SET,
    LEDGE_SCATTER_ADD,
    LEDGE_SCATTER_MUL,
    LEDGE_SCATTER_MAX,
    LEDGE_SCATTER_MIN
};
struct ledge_elements {
    int32_t axis;
    int32_t reduction;
};
enum ledge_status ledge_gather_elements_c(const struct ledge_kernel_call *call);
enum ledge_status ledge_scatter_elements_c(const struct ledge_kernel_call *call);

/* GatherND and ScatterND: batch dims, then tuples of `depth` indices. */
struct ledge_nd {
    int64_t batch, tuples, depth;
    int64_t dims[LEDGE_MAX_RANK]; /* of the indexed dimensions */
    int64_t slice;                /* elements moved per tuple */
    int64_t block;                /* elements of data per batch */
    int32_t reduction;
};
enum ledge_status ledge_gather_nd_c(const struct ledge_kernel_call *call);
enum ledge_status ledge_scatter_nd_c(const struct ledge_kernel_call *call);

enum ledge_status
ledge_one_hot_c(const struct ledge_kernel_call *call); /* params: struct ledge_axis, n = depth */

/* Trilu. */
struct ledge_trilu {
    int64_t batch, rows, cols, k;
    int32_t upper;
    size_t size;
};
enum ledge_status ledge_trilu_c(const struct ledge_kernel_call *call);

/* EyeLike: ones at column - row == k. */
enum ledge_status ledge_eye_c(const struct ledge_kernel_call *call);

/* Range: start, limit, delta -> out. */
enum ledge_status ledge_range_c(const struct ledge_kernel_call *call);

/* ReverseSequence: params struct ledge_reverse. */
struct ledge_reverse {
    int64_t time, batch, inner;
    int64_t time_stride, batch_stride;
    size_t size;
};
enum ledge_status ledge_reverse_sequence_c(const struct ledge_kernel_call *call);

/* Output filled with the element in params (ConstantOfShape). */
struct ledge_fill {
    size_t size;
    uint8_t value[16];
};
enum ledge_status ledge_fill_c(const struct ledge_kernel_call *call);

/* -- normalisation -- */

/* x [n, c, inner]; scale, bias, mean, var [c]. */
struct ledge_norm {
    int64_t outer, c, inner;
    float epsilon;
    float momentum; /* BatchNormalization in training */
    int32_t groups;
    int32_t flags;
};
enum ledge_status ledge_batch_norm_c(const struct ledge_kernel_call *call);
/* By the batch's own mean and variance; outputs 1 and 2: the running ones. */
enum ledge_status ledge_batch_norm_training_c(const struct ledge_kernel_call *call);
/* InstanceNormalization (groups = c) and GroupNormalization. flags 1: scale and bias are per group
 * (opset 18). */
enum ledge_status ledge_group_norm_c(const struct ledge_kernel_call *call);
/* LayerNormalization over the trailing `inner` elements; flags 1: root mean square only. Scale and
 * bias broadcast over inner. Outputs 1 and 2: mean, 1 / deviation. */
enum ledge_status ledge_layer_norm_c(const struct ledge_kernel_call *call);

struct ledge_lrn {
    int64_t n, c, inner, size;
    float alpha, beta, bias;
};
enum ledge_status ledge_lrn_c(const struct ledge_kernel_call *call);

/* LpNormalization along an axis: flags = p. */
enum ledge_status ledge_lp_norm_c(const struct ledge_kernel_call *call);

/* -- resizing -- */

/* One axis after the other: out[o][j][i] = sum_t weight[j][t] in[o][index[j][t]][i]. */
struct ledge_resize_pass {
    int64_t outer, n_in, n_out, inner;
    int32_t taps;
    const int64_t *index; /* n_out * taps; -1 gives fill */
    const double *weight; /* n_out * taps */
};
struct ledge_resize {
    int32_t n;
    struct ledge_resize_pass pass[LEDGE_MAX_RANK];
    size_t half;            /* bytes of one of the two scratch buffers */
    enum ledge_dtype dtype; /* u8 and i8 become floats in a third one (at 2 half) */
    float fill;
};
enum ledge_status ledge_resize_c(const struct ledge_kernel_call *call);

/* -- quantisation -- */

/* x as [outer, n, inner]; scale and zero point have 1 or n entries, or one per block of `block`
 * along n. */
struct ledge_quantize {
    int64_t outer, n, inner;
    int64_t block; /* 0: none */
    bool per_axis;
    bool saturate;                      /* to 8-bit floats */
    const struct ledge_i8_kernels *isa; /* each_i8.h */
};
enum ledge_status ledge_quantize_linear_c(const struct ledge_kernel_call *call);
enum ledge_status ledge_dequantize_linear_c(const struct ledge_kernel_call *call);
enum ledge_status ledge_dynamic_quantize_c(const struct ledge_kernel_call *call);

/* com.microsoft QLinearAdd, QLinearMul: inputs a, a_scale, a_zero, b, b_scale, b_zero, y_scale,
 * y_zero. */
struct ledge_qbinary {
    struct ledge_binary_step step;
    int32_t multiply;
    struct ledge_clamp clamp;
    const struct ledge_i8_kernels *isa; /* each_i8.h */
};
enum ledge_status ledge_qlinear_binary_c(const struct ledge_kernel_call *call);

/* com.microsoft QLinearGlobalAveragePool: x [outer, inner] or, channels last, [outer, inner, c]. */
struct ledge_qpool {
    int64_t outer, inner, c;
    const struct ledge_i8_kernels *isa; /* each_i8.h */
};
enum ledge_status ledge_qlinear_global_pool_c(const struct ledge_kernel_call *call);

/* -- recurrence -- */

enum ledge_rnn_kind { LEDGE_RNN, LEDGE_GRU, LEDGE_LSTM };
enum ledge_activation_kind {
    LEDGE_ACT_SIGMOID,
    LEDGE_ACT_TANH,
    LEDGE_ACT_RELU,
    LEDGE_ACT_HARD_SIGMOID,
    LEDGE_ACT_SOFTSIGN,
    LEDGE_ACT_SOFTPLUS,
    LEDGE_ACT_AFFINE,
    LEDGE_ACT_LEAKY_RELU,
    LEDGE_ACT_THRESHOLDED_RELU,
    LEDGE_ACT_SCALED_TANH,
    LEDGE_ACT_ELU,
};
struct ledge_rnn {
    enum ledge_rnn_kind kind;
    int64_t steps, batch, inputs, hidden, directions;
    bool reverse;             /* one direction, backwards */
    bool batch_first;         /* layout 1 */
    bool linear_before_reset; /* GRU */
    bool input_forget;        /* LSTM: the forget gate is 1 - the input gate */
    float clip;               /* 0: none */
    enum ledge_activation_kind act[2][3];
    float alpha[2][3], beta[2][3];
    const struct ledge_f32_kernels *isa; /* of packed weights; NULL: they are read as they come */
    int32_t threads;
    size_t w_floats, r_floats; /* packed weights of one direction: of x, of h */
    size_t gate_floats;        /* and of the gate of h alone (GRU) */
    size_t worker_floats;      /* scratch of one thread's products */
};
/* Fill what is known of packed weights, for weights that are constant. */
void ledge_rnn_plan(struct ledge_rnn *rnn, const struct ledge_f32_kernels *isa, int32_t threads);
/* Floats of the packed weights of all directions, and packing them. */
size_t ledge_rnn_packed_floats(const struct ledge_rnn *rnn);
void ledge_rnn_pack(const struct ledge_rnn *rnn, const float *w, const float *r, float *packed);
/* Scratch bytes the kernel needs. */
size_t ledge_rnn_scratch(const struct ledge_rnn *rnn);
enum ledge_status ledge_rnn_f32(const struct ledge_kernel_call *call);

#endif
