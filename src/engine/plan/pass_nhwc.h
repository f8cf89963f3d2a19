/* SPDX-License-Identifier: Apache-2.0 */
/* pass_nhwc.h -- what pass_nhwc.c and pass_nhwc_moves.c share: the graph, and which values have a
 * twin in NHWC already. */
#ifndef LEDGE_ENGINE_PLAN_PASS_NHWC_H
#define LEDGE_ENGINE_PLAN_PASS_NHWC_H

#include "engine/graph/graph.h"

struct ledge_nhwc {
    struct ledge_graph *graph;
    struct ledge_arena scratch;
    int32_t *twin; /* per value that was there before: the same in NHWC, or -1 */
    int8_t *rank;  /* of a twin */
    bool *read;
    bool *moved; /* nothing computes the value itself any more */
    int32_t n_values, n_nodes;
    struct ledge_error *err;
};

/* A quantised convolution whose picture the pass turns. */
bool ledge_nhwc_takes(const struct ledge_graph *graph, const struct ledge_node *node);

enum ledge_status ledge_nhwc_no_memory(const struct ledge_nhwc *r);

/* -1: none. */
int32_t ledge_nhwc_twin(const struct ledge_nhwc *r, int32_t value);

/* Node number `at` computes the twin of its output k from now on. */
LEDGE_NODISCARD enum ledge_status ledge_nhwc_turn_output(const struct ledge_nhwc *r, int32_t at,
                                                         int32_t k, int32_t rank);
LEDGE_NODISCARD enum ledge_status ledge_nhwc_set_input(const struct ledge_nhwc *r, int32_t at,
                                                       int32_t i, int32_t value);

/* Inputs list[0 .. n - 1] of the node all have twins of one rank: 0 when not. */
int32_t ledge_nhwc_common_rank(const struct ledge_nhwc *r, const struct ledge_node *node,
                               const int32_t *list, int32_t n);
/* They become their twins. */
LEDGE_NODISCARD enum ledge_status ledge_nhwc_turn_inputs(const struct ledge_nhwc *r, int32_t at,
                                                         const int32_t *list, int32_t n);

/* Concat, Split, Resize, and Reshape where a channel shuffle begins: turned if it may be. */
bool ledge_nhwc_is_move(const struct ledge_node *node);
LEDGE_NODISCARD enum ledge_status ledge_nhwc_turn_move(const struct ledge_nhwc *r, int32_t at);

#endif
