/* SPDX-License-Identifier: Apache-2.0 */
/* layout.h -- between the step that picks regions of blocked tensors (layout.c) and the rules for
 * one element type (layout_f32.c).
 *
 * Flow:    specialise.c (shapes known) -> [layout.h] -> prepare
 *
 * A value in a region has a twin: the same numbers as [N][ceil(C/b)][H][W][b]. The step goes over
 * the nodes twice. First every node is asked whether it fits (a rule's `fit`); nodes whose values
 * touch become one region, and a region is kept when its work pays for the conversions at its
 * borders. Then the nodes of the regions that are kept are rewritten (`apply`), conversions are put
 * where a plain node reads a twin and the other way round, and everything else is left alone.
 *
 * A new element type is a new list of rules; regions of different block sizes do not touch.
 */
#ifndef LEDGE_ENGINE_PLAN_LAYOUT_H
#define LEDGE_ENGINE_PLAN_LAYOUT_H

#include "engine/plan/internal.h"

/* What is known of one value of the graph as it was. */
struct ledge_layout_value {
    int32_t region;           /* -1: plain only */
    enum ledge_layout layout; /* order of its plain form */
    int32_t block;
    bool plain;   /* its plain form exists (at no further cost) */
    int32_t twin; /* second pass: the blocked value, -1 as long as there is none */
    int32_t uses; /* by nodes and graph outputs, before anything was rewritten */
};

struct ledge_layout_step {
    struct ledge_graph *graph;
    enum ledge_rung rung;
    bool consistent;
    struct ledge_arena scratch;
    struct ledge_layout_value *values; /* n_values entries: values made by the step have none */
    int32_t n_values;
    struct ledge_error *err;
};

/* What `fit` says of a node. */
struct ledge_layout_fit {
    enum ledge_layout layout;
    int32_t block;
    int64_t macs;      /* done better in the region */
    int32_t enters[2]; /* inputs (numbers) whose plain form must be converted, -1: none */
};

struct ledge_layout_rule {
    const char *domain;
    const char *op;
    bool (*fit)(const struct ledge_layout_step *step, const struct ledge_node *node,
                struct ledge_layout_fit *fit);
    /* Rewrite node number `node` of the graph. Errors: ERR_NOMEM, what infer reports. */
    enum ledge_status (*apply)(struct ledge_layout_step *step, int32_t node,
                               const struct ledge_layout_fit *fit);
};

/* Rules of one element type, ended by an entry without op. */
extern const struct ledge_layout_rule ledge_layout_rules_f32[];

/* layout_moves.c: Concat and Split along the channels, and a shuffle (Reshape, Transpose, Reshape).
 */
#define LEDGE_LAYOUT_RULE(name)                                                                    \
    bool ledge_layout_##name##_fit(const struct ledge_layout_step *step,                           \
                                   const struct ledge_node *node, struct ledge_layout_fit *fit);   \
    enum ledge_status ledge_layout_##name##_apply(struct ledge_layout_step *step, int32_t node,    \
                                                  const struct ledge_layout_fit *fit);
LEDGE_LAYOUT_RULE(concat)
LEDGE_LAYOUT_RULE(split)
LEDGE_LAYOUT_RULE(shuffle)
#undef LEDGE_LAYOUT_RULE

/* -- for rules ------------------------------------------------------------------------------------
 */

/* Input i of node when it is in a region of this layout and block (0: any), else NULL. */
const struct ledge_layout_value *ledge_layout_in(const struct ledge_layout_step *step,
                                                 const struct ledge_node *node, int32_t i);

/* The twin of a value, made by node `op` of domain "ledge" with attributes block and layout when
 * there is none yet. Errors: ERR_NOMEM. */
enum ledge_status ledge_layout_enter(struct ledge_layout_step *step, int32_t value,
                                     const struct ledge_layout_fit *fit, const char *op,
                                     int32_t *twin);

/* Node number `node` becomes domain.op with inputs in; its output becomes the twin of what it was
 * and is inferred. */
enum ledge_status ledge_layout_rewrite(struct ledge_layout_step *step, int32_t node,
                                       const char *domain, const char *op, const int32_t *in,
                                       int32_t n_in, const struct ledge_layout_fit *fit);

/* A new node ledge.op with inputs in makes the twin of value; infer it when its attributes are set.
 */
enum ledge_status ledge_layout_make(struct ledge_layout_step *step, int32_t value, const char *op,
                                    const int32_t *in, int32_t n_in,
                                    const struct ledge_layout_fit *fit, int32_t *node);
enum ledge_status ledge_layout_infer(struct ledge_layout_step *step, int32_t node);

/* Dimension of the channels in a plain tensor of rank 4. */
static inline int32_t ledge_layout_axis(enum ledge_layout layout)
{
    return layout == LEDGE_NCHW ? 1 : 3;
}

#endif
