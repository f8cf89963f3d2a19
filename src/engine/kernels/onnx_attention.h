/* SPDX-License-Identifier: Apache-2.0 */
/* onnx_attention.h -- Attention-25 and the operators that stand around it in language models, on
 * f32: RotaryEmbedding-23, LinearAttention-27, CausalConvWithState-27, and TensorScatter-24 (any
 * type).
 *
 * Plain C; one task a head. Shapes were checked by infer. */
#ifndef LEDGE_ENGINE_KERNELS_ONNX_ATTENTION_H
#define LEDGE_ENGINE_KERNELS_ONNX_ATTENTION_H

#include <stdbool.h>

#include "engine/kernels/kernel.h"

/* Where element (batch, head, place) of a tensor [b][h][s][d] or [b][s][h * d] starts. */
struct ledge_heads {
    int64_t batch, head, place;
};

enum { LEDGE_QK_RAW, LEDGE_QK_CAPPED, LEDGE_QK_BIASED, LEDGE_QK_SOFTMAX };

/* in {q, k, v, mask or NULL (bool or f32), past k, past v, lengths i64 [batch]}; out {y, k and v
 * with the past, scores}: all but q, k, v and y may be NULL. */
struct ledge_attention {
    int64_t batch, q_heads, kv_heads, q_len, past, k_len; /* keys: past + k_len */
    int64_t size, v_size;                                 /* of a head */
    struct ledge_heads q, k, v, y;
    float scale, cap; /* cap 0: none */
    bool causal;
    int64_t left, right; /* window, -1: open */
    int64_t mask[3];     /* strides of batch, head, query; 0 where it repeats */
    int64_t mask_len;    /* keys beyond it are masked */
    int32_t qk_mode;
};
enum ledge_status ledge_attention_c(const struct ledge_kernel_call *call);

/* in {x, cos, sin, positions i64 [batch][len] or NULL}; tables [rows][half], or [batch][len][half]
 * without positions. */
struct ledge_rotary {
    int64_t batch, heads, len, size, half, rows;
    struct ledge_heads at;
    bool interleaved;
};
enum ledge_status ledge_rotary_c(const struct ledge_kernel_call *call);

/* in {q, k, v, past state or NULL, decay or NULL, beta or NULL}; out {y, state [b][kv][size][v]} */
struct ledge_linear_attention {
    int64_t batch, len, q_heads, kv_heads, size, v_size;
    int64_t decay_size; /* entries a head: 1 or size; 0: no decay */
    int64_t beta_heads; /* kv_heads or 1; 0: no correction */
    float scale;
};
enum ledge_status ledge_linear_attention_c(const struct ledge_kernel_call *call);

/* in {x [b][c][len], weights [c][1][taps], bias or NULL, past [b][c][taps - 1] or NULL}; out {y,
 * last taps - 1 places} */
struct ledge_causal_conv {
    int64_t batch, channels, len, taps;
    bool silu;
};
enum ledge_status ledge_causal_conv_c(const struct ledge_kernel_call *call);

/* in {cache [batch][outer][places][inner], update [batch][outer][n][inner], first places i64
 * [batch] or NULL}. Errors: ERR_RANGE. */
struct ledge_tensor_scatter {
    int64_t batch, outer, places, n;
    size_t inner; /* bytes */
    bool circular;
};
enum ledge_status ledge_tensor_scatter_c(const struct ledge_kernel_call *call);

#endif
