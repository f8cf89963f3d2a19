/* SPDX-License-Identifier: Apache-2.0 */
/* plan.h -- a graph with concrete shapes turned into an order of kernels and a map of the arena.
 *
 * Flow:    graph.h, op.h -> [plan.h] -> run/run.h
 * Threads: a plan is immutable once built; any number of runs may share it.
 * Memory:  the plan owns its copy of the graph (constants' data stay BORROWED), the packed weights
 * and the step table.
 */
#ifndef LEDGE_ENGINE_PLAN_PLAN_H
#define LEDGE_ENGINE_PLAN_PLAN_H

#include "engine/graph/packed.h"
#include "engine/ops/op.h"
#include "engine/port/pool.h"
#include "engine/port/port.h"

/* Channel-blocked tensors: where they pay, nowhere, wherever they can be. */
enum ledge_plan_layout { LEDGE_PLAN_AUTO = 0, LEDGE_PLAN_PLAIN, LEDGE_PLAN_BLOCKED };

struct ledge_plan_options {
    enum ledge_rung rung;
    int32_t threads;
    int32_t batch; /* value of free dimensions that input_shapes does not give; 0 means 1 */
    /* Rank and dims; NULL: the graph's own. A dtype takes the place of the declared one; rank -1
     * says that nothing is known (a sequence): the nodes that read this input run late. */
    const struct ledge_view *input_shapes;
    int32_t n_input_shapes;
    enum ledge_plan_layout layout;
    const bool *input_constant; /* NULL or n_input_shapes: data of the shape is the input's value */
    int64_t max_trips;          /* of a Loop; 0: no limit */
    int32_t depth;              /* plans around this one, whose late nodes it holds */
    /* Float answers are the same bytes on every rung and CPU: only kernels whose sums have the
     * order of 16 lanes, denormal numbers kept (docs/numerics.md). */
    bool consistent;
    bool share_all; /* threads share steps that are too short for it, too: for tests */
    bool bf16; /* hold the weights of convolutions and products as bf16 where that saves memory */
    /* The file, mapped, that constants of the graph may stand in, or NULL: once they are packed,
     * their pages are given back. BORROWED during the call. */
    const struct ledge_map *file;
    struct ledge_pool *pool; /* its threads pack; NULL: the caller alone. BORROWED likewise */
    /* Constants packed beforehand, or NULL; what it lacks is packed as ever. BORROWED: its elements
     * must outlive the plan. */
    const struct ledge_packed *packed;
};

enum {
    LEDGE_PLACE_ARENA,
    LEDGE_PLACE_CONSTANT,
    LEDGE_PLACE_INPUT,
    LEDGE_PLACE_STATE,
    LEDGE_PLACE_NONE
};

/* Where a value lives during a run. */
struct ledge_place {
    int32_t kind;
    size_t offset;    /* LEDGE_PLACE_ARENA, LEDGE_PLACE_STATE */
    const void *data; /* LEDGE_PLACE_CONSTANT */
    int32_t input;    /* LEDGE_PLACE_INPUT: number of the graph input */
    int32_t home;     /* value whose memory this is (itself, or what it is an alias of) */
};

struct ledge_plan_step {
    const struct ledge_node *node;
    struct ledge_op_prepare ready; /* kernel, params, packed, scratch, macs */
    bool shared;                   /* by the threads of a pool; else the caller does it alone */
};

/* Late nodes: what cannot be planned because a shape depends on values of the run, or because it is
 * control flow or no tensor, with everything that reads it. They run one by one after the steps, in
 * this order (run/late.h). Their inputs among the values of the steps are outputs of graph, after
 * the first n_outputs, which are the model's; their own outputs are marked late. */
struct ledge_plan {
    struct ledge_graph graph; /* specialised: shapes known, constants folded */
    struct ledge_node *late;
    int32_t n_late;
    int32_t n_outputs;
    enum ledge_rung rung;
    bool consistent, bf16;
    int64_t max_trips;
    int32_t depth;
    struct ledge_arena memory;
    struct ledge_plan_step *steps;
    int32_t n_steps;
    struct ledge_place *places; /* one per value of graph */
    size_t arena_bytes;
    size_t scratch_bytes;
    size_t packed_bytes; /* of the plan's own */
    size_t state_bytes;  /* of all states once; a run holds them twice */
    int32_t threads;
};

/* Specialise, fold, choose kernels, place.
 *   graph  read only; its constants must outlive the plan
 *   plan   OWNED: ledge_plan_free()
 * Errors: ERR_SHAPE, ERR_DTYPE, ERR_UNSUPPORTED (err names every operator that has no kernel),
 * ERR_NOT_FOUND (an absent constant is needed: options->packed lacks it), ERR_NOMEM. */
LEDGE_NODISCARD enum ledge_status ledge_plan_create(const struct ledge_graph *graph,
                                                    const struct ledge_plan_options *options,
                                                    const struct ledge_allocator *allocator,
                                                    struct ledge_plan **plan,
                                                    struct ledge_error *err);
void ledge_plan_free(struct ledge_plan *plan);

/* Number of the source that packs: constants packed by another one are not taken. 0: not known,
 * none are. */
uint64_t ledge_packing_stamp(void);

/* What a plan has packed, for ledge_file_write_prepared(): FILLED, one part for each step that has
 * some; memory in arena, elements BORROWED from the plan. Errors: ERR_NOMEM. */
LEDGE_NODISCARD enum ledge_status ledge_plan_packed(const struct ledge_plan *plan,
                                                    struct ledge_arena *arena,
                                                    struct ledge_packed *packed,
                                                    struct ledge_error *err);

/* Can every operator of the graph be run? Errors: ERR_UNSUPPORTED (one line names each that cannot,
 * once). */
LEDGE_NODISCARD enum ledge_status ledge_plan_check_operators(const struct ledge_graph *graph,
                                                             struct ledge_error *err);

/* Is this an If, whose condition decides what nodes there are? */
bool ledge_plan_has_branches(const struct ledge_node *node);

/* Bytes of a value whose shape is known. */
size_t ledge_value_bytes(const struct ledge_value *value);

#endif
