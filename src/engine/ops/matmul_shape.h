/* SPDX-License-Identifier: Apache-2.0 */
/* matmul_shape.h -- shapes of matrix products, shared by the float and the integer operators. err
 * names the node. */
#ifndef LEDGE_ENGINE_OPS_MATMUL_SHAPE_H
#define LEDGE_ENGINE_OPS_MATMUL_SHAPE_H

#include "engine/graph/graph.h"
#include "engine/kernels/gemm.h"

/* numpy.matmul: a vector on the left is a row, on the right a column; outer dimensions broadcast.
 * rank and dims of the output are FILLED. Errors: ERR_SHAPE. */
LEDGE_NODISCARD enum ledge_status
ledge_matmul_shape_read(const struct ledge_node *node, const struct ledge_value *a,
                        const struct ledge_value *b, struct ledge_matmul_shape *s, int32_t *rank,
                        int64_t *dims, struct ledge_error *err);

/* A 2-D product with attributes transA and transB. Errors: ERR_SHAPE. */
LEDGE_NODISCARD enum ledge_status ledge_gemm_shape_read(const struct ledge_node *node,
                                                        const struct ledge_value *a,
                                                        const struct ledge_value *b,
                                                        struct ledge_matmul_shape *s,
                                                        struct ledge_error *err);

/* Strides of c (NULL: none) broadcast to [m][n]. Errors: ERR_SHAPE. */
LEDGE_NODISCARD enum ledge_status ledge_gemm_bias_read(const struct ledge_node *node,
                                                       const struct ledge_value *c,
                                                       const struct ledge_matmul_shape *s,
                                                       int64_t *row, int64_t *col,
                                                       struct ledge_error *err);

#endif
