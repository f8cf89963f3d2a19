/* SPDX-License-Identifier: Apache-2.0 */
/* op.h -- what the planner knows of an operator: how its outputs look, and which kernel runs it.
 *
 * Flow:    graph.h -> [op.h] -> plan.h (which calls infer for every node, then prepare for those
 *          left to run)
 *
 * A new operator is one file in ops/ (infer + prepare), one kernel file in kernels/, one line in a
 * table below.
 *
 * Constant folding: when all inputs of a node are constant after infer, the planner prepares and
 * runs it once at plan time and its outputs become constants. Shape arithmetic (Shape, Gather,
 * Concat, ...) vanishes that way.
 */
#ifndef LEDGE_ENGINE_OPS_OP_H
#define LEDGE_ENGINE_OPS_OP_H

#include "engine/graph/graph.h"
#include "engine/kernels/kernel.h"
#include "engine/port/select.h"

struct ledge_op_infer {
    struct ledge_graph
        *graph; /* private to the plan: values may be given shape, dtype, constant data */
    const struct ledge_node *node;
    struct ledge_error *err;
    /* Set when infer fails because it must know the value of an input that is computed in the run:
     * the node then runs late (plan.h), and is inferred again with every input known. */
    bool *wait;
};

struct ledge_op_prepare {
    const struct ledge_graph *graph; /* all shapes known */
    const struct ledge_node *node;
    struct ledge_arena *memory; /* for params and packed: lives as long as the plan */
    enum ledge_rung rung;       /* highest rung that may be used */
    bool consistent;            /* the same bytes on every rung: see plan.h */
    bool bf16;                  /* weights may be held as bf16: see plan.h */
    int32_t threads;
    struct ledge_error *err;
    /* FILLED by prepare: */
    ledge_kernel_fn run;
    const char *kernel; /* e.g. "conv_f32_avx512" */
    const char *bound;  /* what runs in its place where packing decides that (bind), or NULL */
    const void *params;
    /* Constants in the order the kernel reads them in: so many bytes, written by pack once all
     * nodes are prepared (plan/pack.c), zeros before unless pack writes them all. bind, which may
     * be NULL, follows and may take pointers into them and what they tell. */
    size_t packed_bytes;
    bool packs_all;
    void (*pack)(const struct ledge_op_prepare *prepare, void *packed);
    void (*bind)(struct ledge_op_prepare *prepare, const void *packed);
    /* Bit k: input k is read by pack alone, so that packed constants from a file take its place.
     * The kernel and bind must be safe with whatever those bytes are. */
    uint32_t packed_inputs;
    /* Bit k, of packed_inputs: pack reads input k at whatever byte it stands (graph.h: loose). */
    uint32_t loose_inputs;
    const void *packed; /* where they are; set by the planner */
    size_t scratch_bytes;
    int64_t macs;
    /* Index of an input whose memory output 0 may take over when that input dies here (same bytes,
     * each element read before or when it is written), or -1. */
    int32_t in_place;
    /* Index of an input that output 0 is the same bytes as (Reshape, Identity): no kernel runs; -1:
     * none. */
    int32_t alias;
    /* Output 0 is the bytes of all inputs, each there, one after the other: they may be made where
     * they are wanted, and the kernel then leaves them. */
    bool joins;
    /* Bit k: the rows of output 0 hold those of input k, which may be made there: set by
     * plan/rows.c. */
    uint32_t row_parts;
};

static inline const char *ledge_prepared_kernel(const struct ledge_op_prepare *ready)
{
    return ready->bound != NULL ? ready->bound : ready->kernel;
}

/* What prepare gives as pack. A build for packed files only never calls it (plan/pack.c). */
#define LEDGE_PACKER(function) (LEDGE_HAS(LEDGE_PART_ORIGINAL) ? (function) : ledge_packs_nothing)
void ledge_packs_nothing(const struct ledge_op_prepare *prepare, void *packed);

struct ledge_op {
    const char *domain;
    const char *name;
    /* Give every wanted output its dtype, rank and dims (and data, when they can be told without
     * running, e.g. Shape). NULL, and prepare too: run/late.h has the whole operator (control flow,
     * sequences, what makes strings). Errors: ERR_SHAPE, ERR_DTYPE, ERR_UNSUPPORTED, with err
     * naming the node. */
    enum ledge_status (*infer)(struct ledge_op_infer *infer);
    enum ledge_status (*prepare)(struct ledge_op_prepare *prepare);
};

struct ledge_op_table {
    const struct ledge_op *ops;
    int32_t n;
    const struct ledge_op_table *next;
};

/* The operator of a node: graph->extra_ops first, then the built-in tables; NULL when there is
 * none. */
const struct ledge_op *ledge_op_find(const struct ledge_graph *graph,
                                     const struct ledge_node *node);

/* Built-in tables, for the operator matrix. Each is an array in its own file of ops/: core (Conv,
 * Gemm, MatMul, pooling and their integer forms), onnx (everything else of ai.onnx), tfl (TFLite's
 * quantised operators), late (those without infer). */
extern const struct ledge_op_table ledge_ops_core;
extern const struct ledge_op_table ledge_ops_onnx;
extern const struct ledge_op_table ledge_ops_tfl;
extern const struct ledge_op_table ledge_ops_late;
/* ai.onnx.ml. */
extern const struct ledge_op_table ledge_ops_ml;
/* Operators on blocked tensors, which only the layout step writes (plan/layout.c). */
extern const struct ledge_op_table ledge_ops_blocked;

/* -- help for infer and prepare -- */

/* Input i as a value, NULL when absent. */
const struct ledge_value *ledge_infer_in(const struct ledge_op_infer *infer, int32_t i);
const struct ledge_value *ledge_prepare_in(const struct ledge_op_prepare *prepare, int32_t i);
const struct ledge_value *ledge_prepare_out(const struct ledge_op_prepare *prepare, int32_t i);

/* Set output i (ignored when not wanted). */
LEDGE_NODISCARD enum ledge_status ledge_infer_out(struct ledge_op_infer *infer, int32_t i,
                                                  enum ledge_dtype dtype, int32_t rank,
                                                  const int64_t *dims);

/* Constant i32/i64 input i as int64: FILLED up to max, n set. Errors: ERR_UNSUPPORTED when it is
 * not constant. */
LEDGE_NODISCARD enum ledge_status ledge_infer_ints(const struct ledge_op_infer *infer, int32_t i,
                                                   int64_t *values, int32_t max, int32_t *n);

/* The output's shape depends on the value of input i, which is not constant: infer returns this.
 * Until the value is known, in a late run, infer is not asked for more. */
enum ledge_status ledge_infer_wait(const struct ledge_op_infer *infer, int32_t i);

/* numpy broadcasting of two shapes. Errors: ERR_SHAPE naming the node. */
LEDGE_NODISCARD enum ledge_status ledge_infer_broadcast(struct ledge_op_infer *infer, int32_t a,
                                                        int32_t b, enum ledge_dtype dtype);

/* One line that names the node: "node conv1 (Conv): <format...>". */
enum ledge_status ledge_infer_fail(const struct ledge_op_infer *infer, enum ledge_status status,
                                   const char *format, ...) LEDGE_PRINTF(3, 4);
enum ledge_status ledge_prepare_fail(const struct ledge_op_prepare *prepare,
                                     enum ledge_status status, const char *format, ...)
    LEDGE_PRINTF(3, 4);

#endif
