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

/* A file being read. */
struct ledge_onnx {
    struct ledge_graph *graph;
    struct ledge_onnx_domain domains[LEDGE_ONNX_MAX_DOMAINS];
    int32_t n_domains;
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
 * a name. */
LEDGE_NODISCARD enum ledge_status ledge_onnx_tensor(struct ledge_span span,
                                                    struct ledge_arena *arena, const char *where,
                                                    struct ledge_view *view, const char **name,
                                                    struct ledge_error *err);

/* The dtype for a TensorProto.DataType. Errors: ERR_UNSUPPORTED (a type of ONNX that tensors here
 * do not have), ERR_FORMAT (no type at all). */
LEDGE_NODISCARD enum ledge_status ledge_onnx_dtype(uint64_t type, const char *where,
                                                   enum ledge_dtype *dtype,
                                                   struct ledge_error *err);

/* AttributeProto -> attribute of node number node. A list of strings becomes one string, items
 * parted by newlines. */
LEDGE_NODISCARD enum ledge_status ledge_onnx_attribute(struct ledge_onnx *onnx, int32_t node,
                                                       struct ledge_span span);

/* GraphProto -> onnx->graph. */
LEDGE_NODISCARD enum ledge_status ledge_onnx_graph(struct ledge_onnx *onnx, struct ledge_span span);

#endif
