/* SPDX-License-Identifier: Apache-2.0 */
/* onnx_step.h -- one step of an optimiser as ONNX writes it (ai.onnx.preview.training): Adagrad,
 * Adam, Momentum.
 *
 * in {rate, number of steps so far (i64), then n tensors x, n gradients, n of each state}; out {n
 * new x, n of each new state}; f32. */
#ifndef LEDGE_ENGINE_KERNELS_ONNX_STEP_H
#define LEDGE_ENGINE_KERNELS_ONNX_STEP_H

#include "engine/kernels/kernel.h"

enum ledge_step_kind {
    LEDGE_STEP_ADAGRAD,
    LEDGE_STEP_ADAM,
    LEDGE_STEP_MOMENTUM,
    LEDGE_STEP_NESTEROV
};

struct ledge_step {
    enum ledge_step_kind kind;
    int32_t n;
    double alpha, beta, epsilon, decay, norm, norm_post;
};
enum ledge_status ledge_step_c(const struct ledge_kernel_call *call);

#endif
