/* SPDX-License-Identifier: Apache-2.0 */
/* core.h -- infer and prepare of the core operators, for core_table.c, and what they share. */
#ifndef LEDGE_ENGINE_OPS_CORE_H
#define LEDGE_ENGINE_OPS_CORE_H

#include "engine/kernels/geometry.h"
#include "engine/ops/op.h"

/* X(domain, operator, function prefix) */
#define LEDGE_CORE_LIST(X)                                                                         \
    X("", Conv, ledge_conv)                                                                        \
    X("", ConvTranspose, ledge_conv_transpose)                                                     \
    X("", Gemm, ledge_gemm)                                                                        \
    X("", MatMul, ledge_matmul)                                                                    \
    X("", MaxPool, ledge_max_pool)                                                                 \
    X("", AveragePool, ledge_average_pool)                                                         \
    X("", GlobalAveragePool, ledge_global_average_pool)                                            \
    X("", GlobalMaxPool, ledge_global_max_pool)                                                    \
    X("", LpPool, ledge_lp_pool)                                                                   \
    X("", GlobalLpPool, ledge_global_lp_pool)                                                      \
    X("", QLinearConv, ledge_qlinear_conv)                                                         \
    X("", ConvInteger, ledge_conv_integer)                                                         \
    X("", MatMulInteger, ledge_matmul_integer)                                                     \
    X("", QLinearMatMul, ledge_qlinear_matmul)                                                     \
    X("com.microsoft", QGemm, ledge_qgemm)                                                         \
    X("ledge", ByteTable, ledge_byte_table)                                                        \
    X("ledge", ChannelShuffle, ledge_channel_shuffle)

#define LEDGE_CORE_DECLARE(domain, name, prefix)                                                   \
    enum ledge_status prefix##_infer(struct ledge_op_infer *infer);                                \
    enum ledge_status prefix##_prepare(struct ledge_op_prepare *prepare);
LEDGE_CORE_LIST(LEDGE_CORE_DECLARE)
#undef LEDGE_CORE_DECLARE

/* Geometry of a convolution with weights w (f32 or integer). Errors: ERR_SHAPE naming the node. */
LEDGE_NODISCARD enum ledge_status
ledge_conv_geometry(const struct ledge_node *node, const struct ledge_value *x,
                    const struct ledge_value *w, const struct ledge_value *bias,
                    struct ledge_geometry *g, struct ledge_error *err);

int64_t ledge_conv_macs(const struct ledge_geometry *g);

#endif
