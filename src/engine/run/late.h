/* SPDX-License-Identifier: Apache-2.0 */
/* late.h (private) -- run the late nodes of a plan (plan.h) with every input known.
 *
 * The late nodes are a graph, too (tail.h), whose inputs are now known: it gets a plan of its own
 * for the shapes, and the small values waited for, that it meets. What is late in that plan has its
 * turn in the same way, so a model whose shapes follow from a setting runs on a few static plans.
 * Where that gains nothing, nodes run one by one: one with infer and prepare on a plan of its own,
 * the others as whole operators: functions that see values of any kind (any.h).
 *
 * Threads: one at a time, as the run that owns it. Memory: allocates in the run; what a node makes
 * stays until it runs again.
 */
#ifndef LEDGE_ENGINE_RUN_LATE_H
#define LEDGE_ENGINE_RUN_LATE_H

#include "engine/plan/plan.h"
#include "engine/run/any.h"

struct ledge_nest;

struct ledge_late_call {
    const struct ledge_node *node;
    const struct ledge_any *const *in; /* n_in entries, NULL: absent */
    const bool *constant;              /* n_in: the same in each run */
    int32_t n_in;                      /* captures of sub-graphs included */
    struct ledge_any *out;             /* n_out entries, FILLED */
    int32_t n_out;
    struct ledge_arena *memory; /* of this node: empty at each call, kept until the next */
    struct ledge_nest *nest;    /* of this node */
    int64_t max_trips;          /* of a Loop; 0: no limit */
    struct ledge_error *err;    /* never NULL */
};

typedef enum ledge_status (*ledge_late_fn)(const struct ledge_late_call *call);

/* The whole operator for a node without infer; NULL: none. */
ledge_late_fn ledge_late_find(const struct ledge_node *node);

/* "node a (Loop): ...", as prepare and infer do. */
enum ledge_status ledge_late_fail(const struct ledge_late_call *call, enum ledge_status status,
                                  const char *format, ...) LEDGE_PRINTF(3, 4);

/* Input i as a tensor, a sequence. Errors: ERR_DTYPE (absent, or another kind). */
LEDGE_NODISCARD enum ledge_status ledge_late_tensor(const struct ledge_late_call *call, int32_t i,
                                                    const struct ledge_view **view);
LEDGE_NODISCARD enum ledge_status ledge_late_sequence(const struct ledge_late_call *call, int32_t i,
                                                      const struct ledge_any **sequence);
/* Input i is one whole number (any integer type or bool). Errors: ERR_DTYPE, ERR_SHAPE. */
LEDGE_NODISCARD enum ledge_status ledge_late_whole(const struct ledge_late_call *call, int32_t i,
                                                   int64_t *value);
/* Output i becomes a new tensor; data: the address of its memory. Errors: ERR_NOMEM. */
LEDGE_NODISCARD enum ledge_status ledge_late_make(const struct ledge_late_call *call, int32_t i,
                                                  enum ledge_dtype dtype, int32_t rank,
                                                  const int64_t *dims, void **data);

/* -- the late part of a run */

struct ledge_late;
struct ledge_pool;

/* views: one per value of plan->graph, BORROWED. NULL when there is no memory. */
struct ledge_late *ledge_late_create(const struct ledge_plan *plan, const struct ledge_view *views,
                                     struct ledge_pool *pool,
                                     const struct ledge_allocator *allocator);
void ledge_late_free(struct ledge_late *late);

/* The value of a graph input of which nothing is known; any is BORROWED. */
void ledge_late_bind(struct ledge_late *late, int32_t value, const struct ledge_any *any);
LEDGE_NODISCARD enum ledge_status ledge_late_run(struct ledge_late *late, struct ledge_error *err);
/* A value after a run. */
const struct ledge_any *ledge_late_value(const struct ledge_late *late, int32_t value);
size_t ledge_late_bytes(const struct ledge_late *late);

/* -- graphs planned in a run (nest.c): plans and runs by the shapes and values they met, the latest
 * few */

enum { LEDGE_NEST_VALUE_MAX = 4096 }; /* bytes of a value that may be a part of the key */

enum ledge_nest_kind {
    LEDGE_NEST_BODIES, /* sub-graphs of a node, by shapes alone */
    LEDGE_NEST_NODE,   /* one late node: with every value that it waits for */
    LEDGE_NEST_TAIL    /* the late nodes from one on: with small values that are waited for */
};

/* May the value be a part of a key? */
bool ledge_may_be_key(const struct ledge_view *view);

struct ledge_nest *ledge_nest_create(const struct ledge_plan *plan, struct ledge_pool *pool,
                                     enum ledge_nest_kind kind,
                                     const struct ledge_allocator *allocator);
/* Plans are seldom found again: something else is cheaper. */
bool ledge_nest_is_worn(const struct ledge_nest *nest);
/* Drop all plans and runs. */
void ledge_nest_forget(struct ledge_nest *nest);
void ledge_nest_free(struct ledge_nest *nest);

/* Run body on n inputs. out: body->n_outputs entries FILLED, BORROWED until the next call. */
LEDGE_NODISCARD enum ledge_status ledge_nest_run(struct ledge_nest *nest,
                                                 const struct ledge_graph *body,
                                                 const struct ledge_any *const *in,
                                                 const bool *constant, int32_t n,
                                                 struct ledge_any *out, struct ledge_error *err);
/* Shapes of the outputs without running; rank -1 where it cannot be told. */
LEDGE_NODISCARD enum ledge_status
ledge_nest_shapes(struct ledge_nest *nest, const struct ledge_graph *body,
                  const struct ledge_any *const *in, const bool *constant, int32_t n,
                  struct ledge_view *out, struct ledge_error *err);
size_t ledge_nest_bytes(const struct ledge_nest *nest);

#endif
