/* SPDX-License-Identifier: Apache-2.0 */
/* pass_match.h -- what the fusing passes share: who reads a value, is it constant, and joining two
 * nodes.
 *
 * The table of readers is made once per pass. Fusing takes readers away and never adds one to a
 * value that is still to be matched, so the table stays right for what is asked of it.
 */
#ifndef LEDGE_ENGINE_PLAN_PASS_MATCH_H
#define LEDGE_ENGINE_PLAN_PASS_MATCH_H

#include "engine/graph/graph.h"

struct ledge_match {
    struct ledge_graph *graph;
    struct ledge_arena scratch;
    int32_t
        *reader; /* per value: the one node that reads it; -1 none, -2 several or a graph output */
    int32_t n_values;
    struct ledge_error *err;
};

LEDGE_NODISCARD enum ledge_status
ledge_match_begin(struct ledge_match *match, struct ledge_graph *graph, struct ledge_error *err);
void ledge_match_end(struct ledge_match *match);

/* Node of ai.onnx with this name. */
bool ledge_is_op(const struct ledge_node *node, const char *op);

/* The live node that computes value, NULL for inputs, constants and -1. */
struct ledge_node *ledge_match_producer(const struct ledge_match *match, int32_t value);

/* The live node that alone reads value; NULL when there are more, or it is a graph output. */
struct ledge_node *ledge_match_reader(const struct ledge_match *match, int32_t value);

/* Nobody read the value when the pass began, or it is -1. */
bool ledge_match_is_unread(const struct ledge_match *match, int32_t value);

/* Input i of node, -1 when absent. */
int32_t ledge_node_in(const struct ledge_node *node, int32_t i);

/* A constant of dtype with n elements (n < 0: any number), else NULL. */
const void *ledge_match_constant(const struct ledge_match *match, int32_t value,
                                 enum ledge_dtype dtype, int64_t n);

/* Elements of a value of known shape. */
int64_t ledge_match_count(const struct ledge_value *value);

/* node takes over the output of `tail`, the only reader of node's output, and tail dies. */
void ledge_match_absorb(const struct ledge_match *match, struct ledge_node *node,
                        struct ledge_node *tail);

/* The same for output number k. */
void ledge_match_absorb_at(const struct ledge_match *match, struct ledge_node *node, int32_t k,
                           struct ledge_node *tail);

/* Give node other inputs (copied). Errors: ERR_NOMEM. */
LEDGE_NODISCARD enum ledge_status ledge_match_set_inputs(const struct ledge_match *match,
                                                         struct ledge_node *node, const int32_t *in,
                                                         int32_t n);

#endif
