/* SPDX-License-Identifier: Apache-2.0 */
/* conv_i8.h -- what QLinearConv, QGemm and TFLite's products share when they are prepared: lists by
 * position, packed weights, and proof that the vectors' fixed-point arithmetic is exact. */
#ifndef LEDGE_ENGINE_OPS_CONV_I8_H
#define LEDGE_ENGINE_OPS_CONV_I8_H

#include "engine/kernels/conv_i8.h"
#include "engine/ops/op.h"

/* From sums to bytes, by output channel: scale, or else the other three. */
struct ledge_scales_i8 {
    const float *scale;
    const int32_t *multiplier, *left, *right;
};

/* conv: g, input, planes, flip, x_zero and what the epilogue says of the output. Sets everything of
 * prepare but macs. What weights and scales point at must live as long as prepare's memory. Errors:
 * ERR_NOMEM. */
LEDGE_NODISCARD enum ledge_status ledge_prepare_conv_i8(struct ledge_op_prepare *prepare,
                                                        const struct ledge_conv_i8 *conv,
                                                        const struct ledge_weights_i8 *weights,
                                                        const struct ledge_scales_i8 *scales);
LEDGE_NODISCARD enum ledge_status ledge_prepare_depthwise_i8(struct ledge_op_prepare *prepare,
                                                             const struct ledge_depthwise_i8 *dw,
                                                             const struct ledge_weights_i8 *weights,
                                                             const struct ledge_scales_i8 *scales);

#endif
