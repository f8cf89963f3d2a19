/* SPDX-License-Identifier: Apache-2.0 */
/* gradient.h -- between gradient.c (the walk) and gradient_rules.c (one rule an operator).
 *
 * Flow:    model.c, graph.c -> ledge_onnx_gradients() -> a graph of inference operators only
 * Memory:  everything lies in the graph's arena.
 */
#ifndef LEDGE_IMPORT_ONNX_GRADIENT_H
#define LEDGE_IMPORT_ONNX_GRADIENT_H

#include "base/status.h"
#include "engine/graph/graph.h"

/* One node being differentiated. A copy of it: adding nodes moves the node array. */
struct ledge_gradient {
    struct ledge_graph *graph;
    struct ledge_node node;
    int32_t dy;     /* gradient of output 0 */
    int32_t *grads; /* per value of the forward graph: its gradient, -1 none yet */
    const bool *needed;
    bool *failed; /* no memory */
    struct ledge_error *err;
};

/* Give the inputs of g->node that matter their gradients. Errors: ERR_UNSUPPORTED (names the
 * operator). */
LEDGE_NODISCARD enum ledge_status ledge_gradient_rule(const struct ledge_gradient *g);

/* A node of ai.onnx with one output, which is returned; -1 and *failed without memory. */
int32_t ledge_gradient_node(const struct ledge_gradient *g, const char *op, const int32_t *in,
                            int32_t n_in);

/* number as a scalar of like's type. */
int32_t ledge_gradient_number(const struct ledge_gradient *g, float number, int32_t like);

/* value, an i64 scalar or a list of n. */
int32_t ledge_gradient_ints(const struct ledge_gradient *g, const int64_t *values, int32_t n);

/* As many of number as `like` has elements, in its type and shape. */
int32_t ledge_gradient_full(const struct ledge_gradient *g, float number, int32_t like);

/* Replace every Gradient node (ai.onnx.preview.training) of a sorted graph by what computes it, and
 * sort again. Errors: ERR_UNSUPPORTED (an operator without a rule, by name), ERR_FORMAT (names in
 * xs, zs and y that are none), ERR_NOMEM. */
LEDGE_NODISCARD enum ledge_status ledge_onnx_gradients(struct ledge_graph *graph,
                                                       struct ledge_error *err);

#endif
