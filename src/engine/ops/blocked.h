/* SPDX-License-Identifier: Apache-2.0 */
/* blocked.h -- operators of domain "ledge" on channel-blocked f32 tensors [N][ceil(C/b)][H][W][b].
 *
 * Flow:    plan/layout_f32.c writes these nodes -> [blocked.h] -> kernels/blocked.h
 *
 * ToBlocked      attributes block, layout (of the plain input)
 * FromBlocked    attributes channels, layout (of the plain output)
 * BlockedConv    {x, weights, bias, addend}: a Conv with its attributes and block; x may be a plain
 *                tensor of few channels; weights and bias are constant
 *                attribute activation (a function's name below) with alpha and beta: done last
 * BlockedActivation  attribute activation: HardSigmoid, HardSwish, LeakyRelu, Sigmoid, Swish
 * BlockedGate    {x, gates [N][blocks][1][1][b]}: x times its channel's gate
 * BlockedMaxPool, BlockedAveragePool, BlockedGlobalAveragePool, BlockedGlobalMaxPool
 */
#ifndef LEDGE_ENGINE_OPS_BLOCKED_H
#define LEDGE_ENGINE_OPS_BLOCKED_H

#include "engine/kernels/blocked.h"
#include "engine/ops/op.h"

/* Is this operator of ai.onnx a function that attribute activation can name? */
bool ledge_blocked_is_function(const char *op);

/* Window of a pooling node whose input, as a plain tensor, is x. False when it cannot be blocked.
 */
bool ledge_blocked_window(const struct ledge_node *node, const struct ledge_value *x,
                          struct ledge_geometry *g);

#endif
