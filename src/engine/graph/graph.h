/* SPDX-License-Identifier: Apache-2.0 */
/* graph.h -- the one intermediate representation that every importer fills.
 *
 * Flow:    import/ -> [graph.h] -> passes -> plan
 * Memory:  all of a graph lives in its arena; constants may point into a mapped file (BORROWED, it
 *          must outlive the graph). Values are named by index; indices never change. Nodes too, but
 *          ledge_graph_sort() moves them; removed nodes are marked dead.
 * Threads: one writer; read-only once a model is open.
 *
 * Operators have the names and meaning of ONNX (domain "" for ai.onnx). What ONNX cannot say stands
 * in own domains:
 *   "tfl"    TFLite's quantised operators with TFLite's fixed-point numerics
 *   "ledge"  fused or training operators
 *
 * A spatial operator with attribute layout = LEDGE_NHWC takes and gives NHWC tensors and weights
 * [O][kh][kw][I/g]; TFLite's float operators are imported as ONNX operators with that attribute.
 *
 * Fused activation: attributes clamp_low and clamp_high (float) on Conv, Gemm, MatMul, Add, Mul,
 * pooling.
 */
#ifndef LEDGE_ENGINE_GRAPH_GRAPH_H
#define LEDGE_ENGINE_GRAPH_GRAPH_H

#include <stdbool.h>

#include "base/arena.h"
#include "engine/tensor/view.h"

enum ledge_attr_type {
    LEDGE_ATTR_INT,
    LEDGE_ATTR_FLOAT,
    LEDGE_ATTR_STRING,
    LEDGE_ATTR_INTS,
    LEDGE_ATTR_FLOATS,
    LEDGE_ATTR_TENSOR,
    LEDGE_ATTR_OTHER, /* a kind that no operator here uses: kept by name only */
    LEDGE_ATTR_STRINGS,
    LEDGE_ATTR_GRAPH, /* body of If, Loop, Scan, SequenceMap */
};

struct ledge_graph;

struct ledge_attr {
    const char *name;
    enum ledge_attr_type type;
    int64_t i;
    float f;
    const char *s; /* NUL-terminated copy; of STRINGS: all of them, parted by newlines */
    const char *const *strings; /* n NUL-terminated copies */
    const int64_t *ints;
    const float *floats;
    size_t n;                        /* of s, strings, ints or floats */
    const struct ledge_view *tensor; /* constant */
    struct ledge_graph *graph;       /* belongs to the graph of the node */
};

/* What a value is: only the first kind has a shape. */
enum ledge_value_kind { LEDGE_VALUE_TENSOR, LEDGE_VALUE_SEQUENCE, LEDGE_VALUE_OPTIONAL };

struct ledge_value {
    const char *name; /* unique in the graph, never NULL */
    enum ledge_dtype dtype;
    int32_t rank;                          /* -1: unknown */
    int64_t dims[LEDGE_MAX_RANK];          /* -1: unknown or free */
    const char *dim_names[LEDGE_MAX_RANK]; /* symbolic names of free dimensions, or NULL */
    const struct ledge_quant *quant;
    const void *data; /* constant: its elements; else NULL */
    size_t bytes;     /* of data */
    int32_t producer; /* node index; -1 for inputs and constants */
    int32_t reads;    /* by nodes, graph outputs and states, as of the last ledge_graph_sweep() */
    enum ledge_value_kind kind; /* of inputs and outputs as declared */
    /* Of a graph from the prepared part of a .ledge file: a constant whose elements stand in the
     * file in packed form only; data points to as many zeros, which no kernel may be given. */
    bool absent;
    /* A constant whose elements may stand at any byte of a file: only what packs it may read it
     * (ledge_op_prepare.loose_inputs), for anybody else ledge_graph_settle() makes a copy. */
    bool loose;
    bool late;    /* of a plan: made by a node that runs late (plan.h), so nothing is known of it */
    bool awaited; /* of a plan: a node is late because its shapes depend on this value */
};

struct ledge_node {
    const char *name; /* never NULL */
    const char *op;
    const char *domain;
    int32_t opset; /* version of the domain this node was written for */
    int32_t *in;   /* value indices; -1 where an optional input is absent */
    int32_t n_in;
    int32_t *out; /* -1 where an output is not wanted */
    int32_t n_out;
    struct ledge_attr *attrs;
    int32_t n_attrs;
    bool dead;
};

struct ledge_metadata {
    const char *key;
    const char *value;
};

/* A value that is kept from run to run (TFLite's variables, recurrent layers). */
struct ledge_state {
    int32_t in;   /* what it is when a run begins; no node produces it, its shape is known */
    int32_t out;  /* what it is when the run has ended: same type and shape */
    int32_t init; /* constant of a fresh or reset run; -1: zeros */
};

struct ledge_op_table;    /* ops/op.h */
struct ledge_random_runs; /* kernels/onnx_random.h */

/* A sub-graph (LEDGE_ATTR_GRAPH) is a graph of its own. What it reads of the graphs around it are
 * its last n_captures inputs, and the node lists those values after its own inputs, the captures of
 * one attribute after those of the other. */
struct ledge_graph {
    struct ledge_arena arena;
    struct ledge_graph *subs; /* all sub-graphs of this graph's nodes, freed with it */
    struct ledge_graph *next; /* of a sub-graph: the next in that list */
    int32_t depth;            /* of a sub-graph: 1 and more */
    int32_t n_captures;
    const char *name;
    const char *producer;
    struct ledge_value *values;
    int32_t n_values, cap_values;
    struct ledge_node *nodes; /* topologically sorted once ledge_graph_sort() has run */
    int32_t n_nodes, cap_nodes;
    int32_t *inputs; /* value indices, constants excluded */
    int32_t n_inputs, cap_inputs;
    int32_t *outputs;
    int32_t n_outputs, cap_outputs;
    struct ledge_state *states;
    int32_t n_states, cap_states;
    struct ledge_metadata *metadata;
    int32_t n_metadata, cap_metadata;
    const struct ledge_op_table
        *extra_ops; /* looked up before the built-in table; NULL for inference */
    /* Counts of random nodes (kernels/onnx_random.h), handed on to copies and sub-graphs; NULL:
     * each plan counts from 0. BORROWED. */
    struct ledge_random_runs *random_runs;
    bool allow_loose;    /* importers may leave large weights of Conv, Gemm, MatMul loose */
    int32_t *name_slots; /* hash index of value names: value index + 1, 0 free */
    int32_t n_name_slots;
};

/* allocator NULL: the C library's. */
void ledge_graph_init(struct ledge_graph *graph, const struct ledge_allocator *allocator);
void ledge_graph_done(struct ledge_graph *graph);

/* A deep copy that shares constants' data; `to` was initialised (ledge_graph_init) and is empty; it
 * stays valid on its own except for those. On failure `to` is incomplete: ledge_graph_done() it.
 * Errors: ERR_NOMEM. */
LEDGE_NODISCARD enum ledge_status ledge_graph_copy(const struct ledge_graph *from,
                                                   struct ledge_graph *to, struct ledge_error *err);

/* Room for so many values and nodes in an empty graph, so that adding them moves nothing. False
 * when there is no memory. */
bool ledge_graph_reserve(struct ledge_graph *graph, int32_t n_values, int32_t n_nodes);

/* Builders: each returns an index >= 0, or -1 when there is no memory. Names are copied; NULL makes
 * a unique one. */
int32_t ledge_graph_add_value(struct ledge_graph *graph, const char *name, enum ledge_dtype dtype,
                              int32_t rank, const int64_t *dims);
/* data is BORROWED unless copy. */
int32_t ledge_graph_add_constant(struct ledge_graph *graph, const char *name,
                                 enum ledge_dtype dtype, int32_t rank, const int64_t *dims,
                                 const void *data, bool copy);
int32_t ledge_graph_add_node(struct ledge_graph *graph, const char *domain, const char *op,
                             int32_t opset, const char *name, const int32_t *in, int32_t n_in,
                             const int32_t *out, int32_t n_out);
int32_t ledge_graph_add_input(struct ledge_graph *graph, int32_t value);
int32_t ledge_graph_add_output(struct ledge_graph *graph, int32_t value);
int32_t ledge_graph_add_state(struct ledge_graph *graph, struct ledge_state state);
int32_t ledge_graph_add_metadata(struct ledge_graph *graph, const char *key, const char *value);

/* A new, empty sub-graph that belongs to graph; NULL when there is no memory or graph lies
 * LEDGE_MAX_DEPTH deep. */
enum { LEDGE_MAX_DEPTH = 16 };
struct ledge_graph *ledge_graph_sub(struct ledge_graph *graph);

/* More inputs of a node, after those it has. False when there is no memory. */
bool ledge_graph_append_inputs(struct ledge_graph *graph, int32_t node, const int32_t *values,
                               int32_t n);

/* Attributes of node number node; setting replaces. False when there is no memory. Arrays are
 * copied. */
bool ledge_graph_set_int(struct ledge_graph *graph, int32_t node, const char *name, int64_t value);
bool ledge_graph_set_float(struct ledge_graph *graph, int32_t node, const char *name, float value);
bool ledge_graph_set_string(struct ledge_graph *graph, int32_t node, const char *name,
                            const char *value);
bool ledge_graph_set_ints(struct ledge_graph *graph, int32_t node, const char *name,
                          const int64_t *values, size_t n);
bool ledge_graph_set_floats(struct ledge_graph *graph, int32_t node, const char *name,
                            const float *values, size_t n);
bool ledge_graph_set_tensor(struct ledge_graph *graph, int32_t node, const char *name,
                            const struct ledge_view *tensor);
/* n NUL-terminated texts. */
bool ledge_graph_set_strings(struct ledge_graph *graph, int32_t node, const char *name,
                             const char *const *values, size_t n);
/* sub is one made by ledge_graph_sub(graph). */
bool ledge_graph_set_graph(struct ledge_graph *graph, int32_t node, const char *name,
                           struct ledge_graph *sub);
/* Another kind that no operator here uses. */
bool ledge_graph_set_other(struct ledge_graph *graph, int32_t node, const char *name);

/* Per-tensor or per-axis parameters, copied into the arena; NULL when there is no memory. */
const struct ledge_quant *ledge_graph_quant(struct ledge_graph *graph, const float *scales,
                                            const int32_t *zero_points, int32_t n, int32_t axis);

/* Reading attributes: NULL or the fallback when absent or of another type. */
const struct ledge_attr *ledge_node_attr(const struct ledge_node *node, const char *name);
int64_t ledge_node_int(const struct ledge_node *node, const char *name, int64_t fallback);
float ledge_node_float(const struct ledge_node *node, const char *name, float fallback);
const char *ledge_node_string(const struct ledge_node *node, const char *name,
                              const char *fallback);
struct ledge_graph *ledge_node_graph(const struct ledge_node *node, const char *name);
/* Inputs of a node that are not captures of its sub-graphs. */
int32_t ledge_node_own_inputs(const struct ledge_node *node);
/* n is set to 0 and NULL returned when absent. */
const int64_t *ledge_node_ints(const struct ledge_node *node, const char *name, size_t *n);

/* Value index by name, -1 when absent. */
int32_t ledge_graph_find(const struct ledge_graph *graph, const char *name);

const char *ledge_graph_metadata(const struct ledge_graph *graph, const char *key);

/* Nodes (not dead) that read value; FILLED up to max, the full count is returned. */
int32_t ledge_graph_readers(const struct ledge_graph *graph, int32_t value, int32_t *nodes,
                            int32_t max);

/* Give a loose constant an aligned copy; any other value stays as it is. Errors: ERR_NOMEM. */
LEDGE_NODISCARD enum ledge_status ledge_graph_settle(struct ledge_graph *graph, int32_t value,
                                                     struct ledge_error *err);

/* Make every reader of value `from` (and the graph outputs and states) read `to` instead. When
 * `from` is a graph output and `to` is computed by a node, the two swap names, so that the graph's
 * outputs keep theirs. */
void ledge_graph_replace(struct ledge_graph *graph, int32_t from, int32_t to);

/* Topological order and integrity: every input is produced once, before it is read. Dead nodes are
 * dropped to the end. Errors: ERR_FORMAT (names the node: a cycle, a value without producer, two
 * producers). */
LEDGE_NODISCARD enum ledge_status ledge_graph_sort(struct ledge_graph *graph,
                                                   struct ledge_error *err);

/* Mark nodes dead whose outputs nobody reads. */
void ledge_graph_sweep(struct ledge_graph *graph);

/* The view of a value as a kernel sees it; dims must be known. */
struct ledge_view ledge_value_view(const struct ledge_value *value);

#endif
