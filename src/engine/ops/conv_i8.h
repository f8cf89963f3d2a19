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

/* Inputs of QLinearConv that only the passes and the planner write. From the addend on they are
 * those of a QLinearAdd behind it, which reads the addend and what the convolution makes, with
 * attributes sum_clamp_low and sum_clamp_high; a zero point follows each scale. The result then
 * goes through the table, if there is one. */
enum {
    LEDGE_QCONV_TABLE = 9,
    LEDGE_QCONV_ADDEND,
    LEDGE_QCONV_ADDEND_SCALE,
    LEDGE_QCONV_OWN_SCALE = LEDGE_QCONV_ADDEND_SCALE + 2,
    LEDGE_QCONV_SUM_SCALE = LEDGE_QCONV_OWN_SCALE + 2,
    LEDGE_QCONV_INPUTS = LEDGE_QCONV_SUM_SCALE + 2
};

/* May a QLinearAdd become part of this QLinearConv, whose shapes are known? */
bool ledge_qlinear_conv_takes_sum(const struct ledge_graph *graph, const struct ledge_node *node);

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
