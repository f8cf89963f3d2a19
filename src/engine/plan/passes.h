/* SPDX-License-Identifier: Apache-2.0 */
/* passes.h -- graph -> smaller graph, same answers. Each pass is its own file; the order stands in
 * passes.c.
 *
 * Shape-independent passes run once when a model is opened: folding of BatchNormalization, bias Add
 * and activations into their producer; Identity and Dropout removal;
 * QuantizeLinear/DequantizeLinear patterns into integer operators.
 */
#ifndef LEDGE_ENGINE_PLAN_PASSES_H
#define LEDGE_ENGINE_PLAN_PASSES_H

#include "engine/graph/graph.h"

/* All passes in order. Errors: ERR_NOMEM, ERR_FORMAT. */
LEDGE_NODISCARD enum ledge_status ledge_passes_run(struct ledge_graph *graph,
                                                   struct ledge_error *err);

/* Sub-graphs get the constants around them and then all passes, too. */
LEDGE_NODISCARD enum ledge_status ledge_pass_subgraphs(struct ledge_graph *graph,
                                                       struct ledge_error *err);
LEDGE_NODISCARD enum ledge_status ledge_pass_constants(struct ledge_graph *graph,
                                                       struct ledge_error *err);
LEDGE_NODISCARD enum ledge_status ledge_pass_cleanup(struct ledge_graph *graph,
                                                     struct ledge_error *err);
LEDGE_NODISCARD enum ledge_status ledge_pass_fold_batch_norm(struct ledge_graph *graph,
                                                             struct ledge_error *err);
LEDGE_NODISCARD enum ledge_status ledge_pass_fold_activation(struct ledge_graph *graph,
                                                             struct ledge_error *err);
LEDGE_NODISCARD enum ledge_status ledge_pass_qdq(struct ledge_graph *graph,
                                                 struct ledge_error *err);
LEDGE_NODISCARD enum ledge_status ledge_pass_epilogue(struct ledge_graph *graph,
                                                      struct ledge_error *err);
LEDGE_NODISCARD enum ledge_status ledge_pass_nhwc(struct ledge_graph *graph,
                                                  struct ledge_error *err);

#endif
