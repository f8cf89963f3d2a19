/* SPDX-License-Identifier: Apache-2.0 */
/* grad.h -- reverse-mode differentiation at graph level: backward nodes are added to the same
 * graph.
 *
 * Flow:    forward graph -> [grad.h] -> forward and backward graph -> engine's plan
 * One rule (vector-Jacobian product) per operator stands in the table of vjp.c. Nodes are visited
 * in reverse order, only where an output's gradient is known and an input depends on a wanted
 * value: so it stops at the earliest trainable parameter. Gradients of a value with several readers
 * are added. Source: Griewank and Walther 2008, chapter 3.
 */
#ifndef TRAIN_GRAD_GRAD_H
#define TRAIN_GRAD_GRAD_H

#include "engine/graph/graph.h"

/* Add backward nodes.
 *   graph   sorted; gains nodes of "" and "ledge.train"
 *   value   what the gradient starts from, e.g. the logits
 *   seed    value that holds the gradient of `value`, same shape
 *   wanted  n values whose gradients are asked for
 *   grads   FILLED: n value indices; -1 where `value` does not depend on it
 * Errors: ERR_UNSUPPORTED (names the node whose operator has no rule), ERR_NOMEM. */
LEDGE_NODISCARD enum ledge_status train_grad_build(struct ledge_graph *graph, int32_t value,
                                                   int32_t seed, const int32_t *wanted, int32_t n,
                                                   int32_t *grads, struct ledge_error *err);

/* Does this operator have a rule? */
bool train_grad_has(const char *domain, const char *op);

/* Operators with a rule, by position; NULL past the end. For the documentation's table. */
const char *train_grad_op(int32_t index);

#endif
