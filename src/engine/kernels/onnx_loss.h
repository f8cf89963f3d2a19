/* SPDX-License-Identifier: Apache-2.0 */
/* onnx_loss.h -- NegativeLogLikelihoodLoss-22 and SoftmaxCrossEntropyLoss-13 on f32.
 *
 * in {x [n][c][inner], target [n][inner] (i32 or i64), weight [c] or NULL}; out {loss, log
 * probabilities or NULL}. */
#ifndef LEDGE_ENGINE_KERNELS_ONNX_LOSS_H
#define LEDGE_ENGINE_KERNELS_ONNX_LOSS_H

#include <stdbool.h>

#include "engine/kernels/kernel.h"

enum ledge_loss_reduction { LEDGE_LOSS_NONE, LEDGE_LOSS_SUM, LEDGE_LOSS_MEAN };

struct ledge_loss {
    int64_t n, c, inner;
    enum ledge_loss_reduction reduction;
    bool softmax; /* x holds scores, not log probabilities */
    bool has_ignore;
    int64_t ignore; /* a target that counts nothing */
};

/* Errors: ERR_RANGE (a target that is no class). */
enum ledge_status ledge_loss_c(const struct ledge_kernel_call *call);

#endif
