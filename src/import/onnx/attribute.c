/* SPDX-License-Identifier: Apache-2.0 */
/* attribute.c -- AttributeProto: name 1, f 2, i 3, s 4, t 5, g 6, floats 7, ints 8, strings 9,
 * tensors 10, graphs 11, type 20, ref_attr_name 21, sparse_tensor 22. Rarer kinds (tensors, graphs,
 * types) are kept by name only. In the body of a function an attribute may stand for one of the
 * call. */
#include <string.h>

#include "base/banned.h"
#include "import/onnx/onnx.h"

enum {
    F_NAME = 1,
    F_F = 2,
    F_I = 3,
    F_S = 4,
    F_T = 5,
    F_G = 6,
    F_FLOATS = 7,
    F_INTS = 8,
    F_STRINGS = 9,
    F_TYPE = 20,
    F_REF = 21,
};

/* AttributeProto.AttributeType */
enum { T_NONE, T_FLOAT, T_INT, T_STRING, T_TENSOR, T_GRAPH, T_FLOATS, T_INTS, T_STRINGS };

struct attribute {
    const char *name;
    const char *ref; /* ref_attr_name */
    uint64_t type;
    struct ledge_wire_field f, i, s, t, g; /* number 0: absent */
    size_t n_floats, n_ints, n_strings;
    struct ledge_span span;
};

/* Note where things are; false when malformed. */
static bool scan_field(struct attribute *a, const struct ledge_wire_field *field,
                       struct ledge_arena *arena)
{
    size_t n = 0;
    bool good;
    switch (field->number) {
    case F_NAME:
        a->name = ledge_onnx_text(arena, field);
        return a->name != NULL;
    case F_TYPE:
        a->type = field->value;
        return field->wire == LEDGE_WIRE_VARINT;
    case F_F:
        a->f = *field;
        return field->wire == LEDGE_WIRE_32;
    case F_I:
        a->i = *field;
        return field->wire == LEDGE_WIRE_VARINT;
    case F_S:
        a->s = *field;
        return field->wire == LEDGE_WIRE_BYTES;
    case F_T:
        a->t = *field;
        return field->wire == LEDGE_WIRE_BYTES;
    case F_G:
        a->g = *field;
        return field->wire == LEDGE_WIRE_BYTES;
    case F_REF:
        a->ref = ledge_onnx_text(arena, field);
        return a->ref != NULL;
    case F_FLOATS:
        good = ledge_wire_count(field, LEDGE_WIRE_32, &n);
        a->n_floats += n;
        return good;
    case F_INTS:
        good = ledge_wire_count(field, LEDGE_WIRE_VARINT, &n);
        a->n_ints += n;
        return good;
    case F_STRINGS:
        a->n_strings++;
        return field->wire == LEDGE_WIRE_BYTES;
    default:
        return true;
    }
}

/* Files written before IR 2 carry no type: the field that is there tells it. */
static uint64_t type_of(const struct attribute *a)
{
    if (a->type != T_NONE) {
        return a->type;
    }
    return a->f.number != 0    ? T_FLOAT
           : a->i.number != 0  ? T_INT
           : a->s.number != 0  ? T_STRING
           : a->t.number != 0  ? T_TENSOR
           : a->n_floats != 0  ? T_FLOATS
           : a->n_ints != 0    ? T_INTS
           : a->n_strings != 0 ? T_STRINGS
                               : T_GRAPH;
}

static float to_float(uint64_t value)
{
    uint32_t bits = (uint32_t)value;
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

/* Walk all elements of a repeated number into ints or floats (one of them NULL), whose room was
 * counted before. */
static bool gather(const struct attribute *a, uint32_t number, uint32_t kind, int64_t *ints,
                   float *floats)
{
    struct ledge_reader r = ledge_span_reader(a->span);
    struct ledge_wire_field field;
    size_t n = 0;
    while (ledge_wire_next(&r, &field)) {
        if (field.number != number) {
            continue;
        }
        struct ledge_reader packed = ledge_reader_make(field.bytes, field.size);
        uint64_t value = field.value;
        bool single = field.wire == kind;
        while (single || ledge_wire_element(&packed, kind, &value)) {
            if (ints != NULL) {
                ints[n++] = (int64_t)value;
            } else {
                floats[n++] = to_float(value);
            }
            if (single) {
                break;
            }
        }
        if (packed.failed) {
            return false;
        }
    }
    return !r.failed;
}

static enum ledge_status no_memory(struct ledge_onnx *onnx, const char *node, const char *name)
{
    return ledge_fail(onnx->err, LEDGE_ERR_NOMEM, "node %.80s: attribute %.60s: no memory", node,
                      name);
}

static enum ledge_status malformed(struct ledge_onnx *onnx, const char *node, const char *name)
{
    return ledge_fail(onnx->err, LEDGE_ERR_FORMAT, "node %.80s: attribute %.60s: malformed", node,
                      name);
}

static enum ledge_status set_list(struct ledge_onnx *onnx, int32_t node, const struct attribute *a,
                                  bool is_int)
{
    struct ledge_graph *graph = onnx->graph;
    const char *where = graph->nodes[node].name;
    size_t n = is_int ? a->n_ints : a->n_floats;
    int64_t *ints = is_int ? LEDGE_NEW_ARRAY(&graph->arena, int64_t, n) : NULL;
    float *floats = is_int ? NULL : LEDGE_NEW_ARRAY(&graph->arena, float, n);
    if (ints == NULL && floats == NULL) {
        return no_memory(onnx, where, a->name);
    }
    if (!gather(a, is_int ? F_INTS : F_FLOATS, is_int ? LEDGE_WIRE_VARINT : LEDGE_WIRE_32, ints,
                floats)) {
        return malformed(onnx, where, a->name);
    }
    bool set = is_int ? ledge_graph_set_ints(graph, node, a->name, ints, n)
                      : ledge_graph_set_floats(graph, node, a->name, floats, n);
    return set ? LEDGE_OK : no_memory(onnx, where, a->name);
}

static enum ledge_status set_strings(struct ledge_onnx *onnx, int32_t node,
                                     const struct attribute *a)
{
    struct ledge_graph *graph = onnx->graph;
    const char *where = graph->nodes[node].name;
    const char **list = LEDGE_NEW_ARRAY(&graph->arena, const char *, a->n_strings);
    struct ledge_reader r = ledge_span_reader(a->span);
    struct ledge_wire_field field;
    size_t n = 0;
    if (list == NULL) {
        return no_memory(onnx, where, a->name);
    }
    while (ledge_wire_next(&r, &field)) {
        if (field.number == F_STRINGS) {
            list[n] = ledge_onnx_text(&graph->arena, &field);
            if (list[n++] == NULL) {
                return malformed(onnx, where, a->name);
            }
        }
    }
    return ledge_graph_set_strings(graph, node, a->name, list, n) ? LEDGE_OK
                                                                  : no_memory(onnx, where, a->name);
}

static enum ledge_status set_tensor(struct ledge_onnx *onnx, int32_t node,
                                    const struct attribute *a)
{
    struct ledge_view view;
    LEDGE_TRY(ledge_onnx_tensor(ledge_field_span(&a->t), &onnx->graph->arena,
                                onnx->graph->nodes[node].name, &view, NULL, NULL, onnx->err));
    return ledge_graph_set_tensor(onnx->graph, node, a->name, &view)
               ? LEDGE_OK
               : no_memory(onnx, onnx->graph->nodes[node].name, a->name);
}

static enum ledge_status set_other(struct ledge_onnx *onnx, int32_t node, const struct attribute *a)
{
    struct ledge_graph *graph = onnx->graph;
    return ledge_graph_set_other(graph, node, a->name)
               ? LEDGE_OK
               : no_memory(onnx, graph->nodes[node].name, a->name);
}

static enum ledge_status set(struct ledge_onnx *onnx, int32_t node, const struct attribute *a)
{
    struct ledge_graph *graph = onnx->graph;
    const char *where = graph->nodes[node].name;
    switch (type_of(a)) {
    case T_FLOAT:
        return ledge_graph_set_float(graph, node, a->name, to_float(a->f.value))
                   ? LEDGE_OK
                   : no_memory(onnx, where, a->name);
    case T_INT:
        return ledge_graph_set_int(graph, node, a->name, (int64_t)a->i.value)
                   ? LEDGE_OK
                   : no_memory(onnx, where, a->name);
    case T_STRING: {
        struct ledge_wire_field s = a->s;
        s.wire = LEDGE_WIRE_BYTES;
        const char *text = ledge_onnx_text(&graph->arena, &s);
        if (text == NULL) { /* bytes, not text */
            return set_other(onnx, node, a);
        }
        return ledge_graph_set_string(graph, node, a->name, text) ? LEDGE_OK
                                                                  : no_memory(onnx, where, a->name);
    }
    case T_TENSOR:
        return a->t.number != 0 ? set_tensor(onnx, node, a) : malformed(onnx, where, a->name);
    case T_GRAPH:
        return a->g.number != 0 ? ledge_onnx_subgraph(onnx, node, a->name, ledge_field_span(&a->g))
                                : set_other(onnx, node, a);
    case T_FLOATS:
        return set_list(onnx, node, a, false);
    case T_INTS:
        return set_list(onnx, node, a, true);
    case T_STRINGS:
        return set_strings(onnx, node, a);
    default:
        return set_other(onnx, node, a);
    }
}

static enum ledge_status scan(struct ledge_onnx *onnx, int32_t node, struct ledge_span span,
                              struct attribute *a)
{
    struct ledge_reader r = ledge_span_reader(span);
    struct ledge_wire_field field;
    bool good = true;
    *a = (struct attribute){.span = span};
    while (good && ledge_wire_next(&r, &field)) {
        good = scan_field(a, &field, &onnx->graph->arena);
    }
    return r.failed || !good || a->name == NULL
               ? malformed(onnx, onnx->graph->nodes[node].name, a->name != NULL ? a->name : "?")
               : LEDGE_OK;
}

enum ledge_status ledge_onnx_attribute(struct ledge_onnx *onnx, int32_t node,
                                       struct ledge_span span)
{
    struct attribute a;
    LEDGE_TRY(scan(onnx, node, span, &a));
    const char *name = a.name;
    struct ledge_onnx of_call = *onnx;
    while (a.ref != NULL) {
        const struct ledge_onnx_call *call = of_call.call;
        struct ledge_span argument = {0};
        if (call == NULL) {
            return malformed(onnx, onnx->graph->nodes[node].name, name);
        }
        argument = ledge_onnx_argument(call, a.ref);
        if (argument.size == 0) {
            return LEDGE_OK; /* the call leaves it out, so does the body */
        }
        of_call.call = call->outer;
        LEDGE_TRY(scan(onnx, node, argument, &a));
        a.name = name;
    }
    return set(&of_call, node, &a);
}
