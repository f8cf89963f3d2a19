/* SPDX-License-Identifier: Apache-2.0 */
/* blocked.h -- operators of domain "ledge" on channel-blocked f32 tensors [N][ceil(C/b)][H][W][b].
 *
 * Flow:    plan/layout_f32.c writes these nodes -> [blocked.h] -> kernels/blocked.h
 *
 * ToBlocked      attributes block, layout (of the plain input)
 * FromBlocked    attributes channels, layout (of the plain output)
 * BlockedConv    {x, weights, bias, addend}: a Conv with its attributes and block; x may be a plain
 *                tensor of few channels; weights and bias are constant
 * BlockedMaxPool, BlockedAveragePool, BlockedGlobalAveragePool, BlockedGlobalMaxPool
 */
#ifndef LEDGE_ENGINE_OPS_BLOCKED_H
#define LEDGE_ENGINE_OPS_BLOCKED_H

#include "engine/kernels/blocked.h"
#include "engine/ops/op.h"

/* Window of a pooling node whose input, as a plain tensor, is x. False when it cannot be blocked.
 */
bool ledge_blocked_window(const struct ledge_node *node, const struct ledge_value *x,
                          struct ledge_geometry *g);

#endif
