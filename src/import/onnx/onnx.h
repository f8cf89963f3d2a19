/* SPDX-License-Identifier: Apache-2.0 */
/* onnx.h -- what the files of the ONNX reader share. Field numbers are those of onnx.proto (IR 13).
 *
 * Flow:    .onnx bytes -> wire.h -> tensor.c, attribute.c, graph.c -> model.c -> struct ledge_graph
 * Memory:  spans point into the file; weights stay there unless their encoding or alignment forbids
 * it.
 */
#ifndef LEDGE_IMPORT_ONNX_ONNX_H
#define LEDGE_IMPORT_ONNX_ONNX_H

#include "base/status.h"
#include "engine/graph/graph.h"
#include "import/onnx/wire.h"

enum { LEDGE_ONNX_MAX_DOMAINS = 64, LEDGE_ONNX_MAX_ATTRIBUTES = 256 };

/* Bytes of one nested message or string. */
struct ledge_span {
    const uint8_t *bytes;
    size_t size;
};

struct ledge_onnx_domain {
    const char *name; /* "" for ai.onnx */
    int32_t version;
};

struct ledge_onnx_domains {
    struct ledge_onnx_domain items[LEDGE_ONNX_MAX_DOMAINS];
    int32_t n;
};

/* A function of the model (FunctionProto), read when it is called. */
struct ledge_onnx_function {
    const char *domain, *name;
    struct ledge_span span;
};

/* A call being expanded: what names and attributes of the body stand for. */
struct ledge_onnx_call {
    const struct ledge_onnx_call *outer; /* the call in whose body the calling node stands */
    const struct ledge_onnx_function *function;
    const char *prefix;     /* of the names of inner values */
    struct ledge_span node; /* NodeProto of the call: its attributes */
    const char **formal;    /* n names, and the values that they stand for */
    int32_t *actual;
    int32_t n;
    int32_t depth;
};

/* What all graphs of one file share. */
struct ledge_onnx_file {
    struct ledge_onnx_function *functions;
    int32_t n_functions;
    int32_t calls; /* expanded so far, and the bytes of their bodies */
    size_t expanded;
};

/* A graph being read: of the model, or of an attribute. */
struct ledge_onnx {
    struct ledge_graph *graph;
    struct ledge_onnx_file *file;
    const struct ledge_onnx_domains *domains;
    const struct ledge_onnx_call *call; /* NULL outside of functions */
    bool inner; /* a sub-graph in a function: names are its own, attributes the call's */
    struct ledge_error *err;
};

static inline struct ledge_reader ledge_span_reader(struct ledge_span span)
{
    return ledge_reader_make(span.bytes, span.size);
}

static inline struct ledge_span ledge_field_span(const struct ledge_wire_field *field)
{
    return (struct ledge_span){field->bytes, field->size};
}

/* A NUL-terminated copy of a string field in arena; NULL when the field is no string, holds a NUL,
 * or memory ran out. */
const char *ledge_onnx_text(struct ledge_arena *arena, const struct ledge_wire_field *field);

/* TensorProto -> view (name may be NULL). `where` is what stands in the error for a tensor without
 * a name. loose: NULL, or FILLED: large f32 elements were left at an odd byte of the file. */
LEDGE_NODISCARD enum ledge_status ledge_onnx_tensor(struct ledge_span span,
                                                    struct ledge_arena *arena, const char *where,
                                                    struct ledge_view *view, const char **name,
                                                    bool *loose, struct ledge_error *err);

/* The dtype for a TensorProto.DataType. Errors: ERR_UNSUPPORTED (a type of ONNX that tensors here
 * do not have), ERR_FORMAT (no type at all). */
LEDGE_NODISCARD enum ledge_status ledge_onnx_dtype(uint64_t type, const char *where,
                                                   enum ledge_dtype *dtype,
                                                   struct ledge_error *err);

/* AttributeProto -> attribute of node number node. */
LEDGE_NODISCARD enum ledge_status ledge_onnx_attribute(struct ledge_onnx *onnx, int32_t node,
                                                       struct ledge_span span);

/* GraphProto -> onnx->graph. */
LEDGE_NODISCARD enum ledge_status ledge_onnx_graph(struct ledge_onnx *onnx, struct ledge_span span);

/* GraphProto -> attribute name of node number node: a sub-graph with its captures. */
LEDGE_NODISCARD enum ledge_status ledge_onnx_subgraph(struct ledge_onnx *onnx, int32_t node,
                                                      const char *name, struct ledge_span span);

/* NodeProto -> onnx->graph. */
LEDGE_NODISCARD enum ledge_status ledge_onnx_node(struct ledge_onnx *onnx, struct ledge_span span);

/* function.c: the function that a node calls, NULL: none. */
const struct ledge_onnx_function *ledge_onnx_find(const struct ledge_onnx *onnx, const char *domain,
                                                  const char *name);
/* Expand a call: in and out are the values of the calling node. */
LEDGE_NODISCARD enum ledge_status ledge_onnx_expand(struct ledge_onnx *onnx,
                                                    const struct ledge_onnx_function *function,
                                                    struct ledge_span node, const int32_t *in,
                                                    int32_t n_in, const int32_t *out,
                                                    int32_t n_out);
/* FunctionProto -> function (name and domain). */
LEDGE_NODISCARD enum ledge_status ledge_onnx_function(struct ledge_onnx *onnx,
                                                      struct ledge_span span,
                                                      struct ledge_onnx_function *function);
/* The AttributeProto that name stands for in the call: of the calling node, else the function's
 * default; size 0: none. */
struct ledge_span ledge_onnx_argument(const struct ledge_onnx_call *call, const char *name);
/* OperatorSetIdProto -> one more of domains. */
LEDGE_NODISCARD enum ledge_status ledge_onnx_domain(struct ledge_onnx *onnx,
                                                    struct ledge_onnx_domains *domains,
                                                    struct ledge_span span);

/* flex.c: FlexAttention nodes that have graphs become what they stand for; the graph is sorted, and
 * is so again. Errors: ERR_FORMAT, ERR_NOMEM. */
LEDGE_NODISCARD enum ledge_status ledge_onnx_flex(struct ledge_graph *graph,
                                                  struct ledge_error *err);

/* The value called name, made when it is new; -1 when it is an argument that the call leaves out.
 */
enum { LEDGE_ONNX_NO_MEMORY = -2 };
int32_t ledge_onnx_value(struct ledge_onnx *onnx, const char *name);

#endif
