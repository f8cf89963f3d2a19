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
 * BlockedGather  {tensors with the same pixels}: channel c of the output is channel map[c] mod 2^32
 * of input map[c] / 2^32; attribute map. Concat, Split and channel shuffles, also several in a row
 * BlockedBands   {x, addend, weights and bias of expand, of depth, of project}: up to three
 * BlockedConv one after the other (kernels/bands.h), of which depth is depthwise and always there;
 *                absent: no weights; depth without weights: a BlockedMaxPool. Attributes: theirs,
 * as expand.strides and the like BlockedMaxPool, BlockedAveragePool, BlockedGlobalAveragePool,
 * BlockedGlobalMaxPool
 */
#ifndef LEDGE_ENGINE_OPS_BLOCKED_H
#define LEDGE_ENGINE_OPS_BLOCKED_H

#include "engine/kernels/blocked.h"
#include "engine/ops/op.h"

/* Is this operator of ai.onnx a function that attribute activation can name? */
bool ledge_blocked_is_function(const char *op);

enum { LEDGE_BLOCKED_GATHER_INPUTS = 16 };
enum ledge_status ledge_blocked_gather_infer(struct ledge_op_infer *infer);
enum ledge_status ledge_blocked_gather_prepare(struct ledge_op_prepare *prepare);

/* Window of a BlockedConv with inputs x (blocked, or plain of few channels), w and bias. Errors:
 * ERR_SHAPE. */
enum ledge_status ledge_blocked_geometry(const struct ledge_node *node, const struct ledge_value *x,
                                         const struct ledge_value *w,
                                         const struct ledge_value *bias, struct ledge_geometry *g,
                                         struct ledge_error *err);
/* The same of a pooling. */
enum ledge_status ledge_blocked_pool_geometry(const struct ledge_node *node,
                                              const struct ledge_value *x, struct ledge_geometry *g,
                                              struct ledge_error *err);
struct ledge_blocked_activation ledge_blocked_activation_of(const struct ledge_node *node);

/* bands.c. Attribute `name` of a part of a BlockedBands is called <part>.<name>; its weights are
 * input LEDGE_BANDS_WEIGHTS + 2 * part, its bias the next. */
enum { LEDGE_BANDS_PARTS = 3, LEDGE_BANDS_WEIGHTS = 2, LEDGE_BANDS_INPUTS = 8 };
extern const char *const ledge_bands_parts[LEDGE_BANDS_PARTS];
extern const char *const ledge_bands_attributes[]; /* of a BlockedConv, ended by NULL */
/* Does joining these BlockedConv nodes (NULL: absent) pay? force: wherever it can be done. *pays is
 * FILLED; false: no memory. */
bool ledge_blocked_bands_pay(const struct ledge_graph *graph,
                             const struct ledge_node *const parts[LEDGE_BANDS_PARTS],
                             const struct ledge_blocked_kernels *isa, int32_t threads, bool force,
                             bool *pays);
enum ledge_status ledge_blocked_bands_infer(struct ledge_op_infer *infer);
enum ledge_status ledge_blocked_bands_prepare(struct ledge_op_prepare *prepare);

/* Window of a pooling node whose input, as a plain tensor, is x. False when it cannot be blocked.
 */
bool ledge_blocked_window(const struct ledge_node *node, const struct ledge_value *x,
                          struct ledge_geometry *g);

#endif
