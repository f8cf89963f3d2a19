/* SPDX-License-Identifier: Apache-2.0 */
/* graph.c -- GraphProto: node 1, name 2, initializer 5, input 11, output 12, value_info 13,
 * sparse_initializer 15.
 *
 * One walk per kind, in the order that names need: constants, inputs, nodes, hints, outputs. An
 * initializer that is also listed as an input (IR 3 demanded it) is a constant. */
#include <string.h>

#include "base/banned.h"
#include "engine/port/select.h"
#include "import/onnx/gradient.h"
#include "import/onnx/onnx.h"

enum {
    G_NODE = 1,
    G_NAME = 2,
    G_INITIALIZER = 5,
    G_INPUT = 11,
    G_OUTPUT = 12,
    G_VALUE_INFO = 13,
    G_SPARSE = 15,
};
enum { N_INPUT = 1, N_OUTPUT = 2, N_NAME = 3, N_OP = 4, N_ATTRIBUTE = 5, N_DOMAIN = 7 };
enum { V_NAME = 1, V_TYPE = 2 };
enum { TYPE_TENSOR = 1, TYPE_SEQUENCE = 4, TYPE_OPTIONAL = 9 };
enum { TENSOR_ELEMENT = 1, TENSOR_SHAPE = 2 };
enum { SHAPE_DIM = 1, DIM_VALUE = 1, DIM_NAME = 2 };

struct info {
    const char *name;
    enum ledge_value_kind kind;
    enum ledge_dtype dtype;
    int32_t rank; /* -1: the file says nothing */
    int64_t dims[LEDGE_MAX_RANK];
    const char *dim_names[LEDGE_MAX_RANK];
};

static enum ledge_status malformed(struct ledge_onnx *onnx, const char *what)
{
    return ledge_fail(onnx->err, LEDGE_ERR_FORMAT, "graph: malformed %.150s", what);
}

static enum ledge_status no_memory(struct ledge_onnx *onnx)
{
    return ledge_fail(onnx->err, LEDGE_ERR_NOMEM, "graph: no memory");
}

/* -- ValueInfoProto -- */

static enum ledge_status read_dim(struct ledge_onnx *onnx, struct ledge_span span,
                                  struct info *info)
{
    struct ledge_reader r = ledge_span_reader(span);
    struct ledge_wire_field field;
    int64_t value = -1;
    const char *name = NULL;
    if (info->rank == LEDGE_MAX_RANK) {
        return ledge_fail(onnx->err, LEDGE_ERR_UNSUPPORTED, "tensor %.80s: more than %d dimensions",
                          info->name, LEDGE_MAX_RANK);
    }
    while (ledge_wire_next(&r, &field)) {
        if (field.number == DIM_VALUE && field.wire == LEDGE_WIRE_VARINT) {
            value = (int64_t)field.value;
        } else if (field.number == DIM_NAME) {
            name = ledge_onnx_text(&onnx->graph->arena, &field);
        }
    }
    if (r.failed) {
        return malformed(onnx, info->name);
    }
    info->dims[info->rank] = value < 0 ? -1 : value;
    info->dim_names[info->rank++] = value < 0 ? name : NULL;
    return LEDGE_OK;
}

static enum ledge_status read_shape(struct ledge_onnx *onnx, struct ledge_span span,
                                    struct info *info)
{
    struct ledge_reader r = ledge_span_reader(span);
    struct ledge_wire_field field;
    info->rank = 0;
    while (ledge_wire_next(&r, &field)) {
        if (field.number == SHAPE_DIM) {
            LEDGE_TRY(read_dim(onnx, ledge_field_span(&field), info));
        }
    }
    return r.failed ? malformed(onnx, info->name) : LEDGE_OK;
}

static enum ledge_status read_tensor_type(struct ledge_onnx *onnx, struct ledge_span span,
                                          struct info *info)
{
    struct ledge_reader r = ledge_span_reader(span);
    struct ledge_wire_field field;
    while (ledge_wire_next(&r, &field)) {
        if (field.number == TENSOR_ELEMENT && field.wire == LEDGE_WIRE_VARINT && field.value != 0) {
            LEDGE_TRY(ledge_onnx_dtype(field.value, info->name, &info->dtype, onnx->err));
        } else if (field.number == TENSOR_SHAPE) {
            LEDGE_TRY(read_shape(onnx, ledge_field_span(&field), info));
        }
    }
    return r.failed ? malformed(onnx, info->name) : LEDGE_OK;
}

static enum ledge_status read_type(struct ledge_onnx *onnx, struct ledge_span span,
                                   struct info *info)
{
    static const char *const kinds[] = {[5] = "map", [7] = "opaque", [8] = "sparse"};
    struct ledge_reader r = ledge_span_reader(span);
    struct ledge_wire_field field;
    while (ledge_wire_next(&r, &field)) {
        if (field.number == TYPE_TENSOR) {
            LEDGE_TRY(read_tensor_type(onnx, ledge_field_span(&field), info));
        } else if (field.number == TYPE_SEQUENCE || field.number == TYPE_OPTIONAL) {
            info->kind =
                field.number == TYPE_SEQUENCE ? LEDGE_VALUE_SEQUENCE : LEDGE_VALUE_OPTIONAL;
        } else if (field.number < sizeof kinds / sizeof kinds[0] && kinds[field.number] != NULL) {
            return ledge_fail(onnx->err, LEDGE_ERR_UNSUPPORTED,
                              "value %.80s: type %s is not supported", info->name,
                              kinds[field.number]);
        }
    }
    return r.failed ? malformed(onnx, info->name) : LEDGE_OK;
}

static enum ledge_status read_info(struct ledge_onnx *onnx, struct ledge_span span,
                                   struct info *info)
{
    struct ledge_reader r = ledge_span_reader(span);
    struct ledge_wire_field field;
    struct ledge_span type = {0};
    *info = (struct info){.rank = -1};
    while (ledge_wire_next(&r, &field)) {
        if (field.number == V_NAME) {
            info->name = ledge_onnx_text(&onnx->graph->arena, &field);
        } else if (field.number == V_TYPE) {
            type = ledge_field_span(&field);
        }
    }
    if (r.failed || info->name == NULL) {
        return malformed(onnx, "ValueInfoProto");
    }
    return read_type(onnx, type, info);
}

static void apply_info(struct ledge_value *value, const struct info *info)
{
    value->kind = info->kind;
    value->dtype = info->dtype;
    value->rank = info->rank;
    memcpy(value->dims, info->dims, sizeof info->dims);
    memcpy(value->dim_names, info->dim_names, sizeof info->dim_names);
}

/* -- values -- */

static const char *inner_name(struct ledge_onnx *onnx, const char *name)
{
    size_t n = strlen(onnx->call->prefix), m = strlen(name);
    char *text = ledge_arena_alloc(&onnx->graph->arena, n + m + 1, 1);
    if (text != NULL) {
        memcpy(text, onnx->call->prefix, n);
        memcpy(text + n, name, m);
    }
    return text;
}

int32_t ledge_onnx_value(struct ledge_onnx *onnx, const char *name)
{
    if (onnx->call != NULL && !onnx->inner) {
        for (int32_t i = 0; i < onnx->call->n; i++) {
            if (strcmp(onnx->call->formal[i], name) == 0) {
                return onnx->call->actual[i];
            }
        }
        name = inner_name(onnx, name);
        if (name == NULL) {
            return LEDGE_ONNX_NO_MEMORY;
        }
    }
    int32_t value = ledge_graph_find(onnx->graph, name);
    if (value < 0) {
        value = ledge_graph_add_value(onnx->graph, name, LEDGE_DTYPE_NONE, -1, NULL);
    }
    return value >= 0 ? value : LEDGE_ONNX_NO_MEMORY;
}

static enum ledge_status add_initializer(struct ledge_onnx *onnx, struct ledge_span span)
{
    struct ledge_view view;
    const char *name = NULL;
    bool loose = false;
    LEDGE_TRY(ledge_onnx_tensor(span, &onnx->graph->arena, "", &view, &name,
                                onnx->graph->allow_loose ? &loose : NULL, onnx->err));
    if (ledge_graph_find(onnx->graph, name) >= 0) {
        return ledge_fail(onnx->err, LEDGE_ERR_FORMAT, "graph: two initializers are called %.100s",
                          name);
    }
    int32_t value = ledge_graph_add_constant(onnx->graph, name, view.dtype, view.rank, view.dims,
                                             view.data, false);
    if (value < 0) {
        return no_memory(onnx);
    }
    onnx->graph->values[value].loose = loose;
    return LEDGE_OK;
}

static enum ledge_status add_input(struct ledge_onnx *onnx, struct ledge_span span)
{
    struct info info;
    LEDGE_TRY(read_info(onnx, span, &info));
    int32_t known = ledge_graph_find(onnx->graph, info.name);
    if (known >= 0 && onnx->graph->values[known].data != NULL) {
        return LEDGE_OK;
    }
    if (known >= 0) {
        return ledge_fail(onnx->err, LEDGE_ERR_FORMAT, "graph: two inputs are called %.100s",
                          info.name);
    }
    int32_t value = ledge_onnx_value(onnx, info.name);
    if (onnx->graph->depth > 0) {
        info.rank = -1; /* a body may be run with other shapes than it was written with */
    }
    if (value < 0 || ledge_graph_add_input(onnx->graph, value) < 0) {
        return no_memory(onnx);
    }
    apply_info(&onnx->graph->values[value], &info);
    return LEDGE_OK;
}

static enum ledge_status add_output(struct ledge_onnx *onnx, struct ledge_span span)
{
    struct info info;
    LEDGE_TRY(read_info(onnx, span, &info));
    int32_t value = ledge_graph_find(onnx->graph, info.name);
    if (value < 0 && onnx->graph->depth > 0) {
        value = ledge_onnx_value(onnx, info.name); /* a capture that is handed back */
        if (value < 0) {
            return no_memory(onnx);
        }
    }
    if (value < 0) {
        return ledge_fail(onnx->err, LEDGE_ERR_FORMAT, "graph: nothing computes output %.100s",
                          info.name);
    }
    if (onnx->graph->values[value].producer >= 0) {
        apply_info(&onnx->graph->values[value], &info);
    }
    return ledge_graph_add_output(onnx->graph, value) >= 0 ? LEDGE_OK : no_memory(onnx);
}

/* Hints for values between nodes: what cannot be said here (a sequence, rank 9) is left out, the
 * planner decides. */
static enum ledge_status add_hint(struct ledge_onnx *onnx, struct ledge_span span)
{
    struct info info;
    struct ledge_error ignored;
    struct ledge_onnx quiet = *onnx;
    quiet.err = &ignored;
    enum ledge_status status = read_info(&quiet, span, &info);
    if (status == LEDGE_ERR_FORMAT) {
        return malformed(onnx, "value_info");
    }
    int32_t value = status == LEDGE_OK ? ledge_graph_find(onnx->graph, info.name) : -1;
    if (value >= 0 && onnx->graph->values[value].producer >= 0) {
        apply_info(&onnx->graph->values[value], &info);
    }
    return LEDGE_OK;
}

/* -- nodes -- */

struct node {
    const char *name, *op, *domain;
    size_t n_in, n_out, n_attrs;
    int32_t *in, *out;
};

static enum ledge_status count_node(struct ledge_onnx *onnx, struct ledge_span span,
                                    struct node *node)
{
    struct ledge_arena *arena = &onnx->graph->arena;
    struct ledge_reader r = ledge_span_reader(span);
    struct ledge_wire_field field;
    *node = (struct node){.name = "", .domain = ""};
    while (ledge_wire_next(&r, &field)) {
        const char **text = field.number == N_NAME     ? &node->name
                            : field.number == N_OP     ? &node->op
                            : field.number == N_DOMAIN ? &node->domain
                                                       : NULL;
        if (text != NULL) {
            *text = ledge_onnx_text(arena, &field);
        }
        node->n_in += field.number == N_INPUT;
        node->n_out += field.number == N_OUTPUT;
        node->n_attrs += field.number == N_ATTRIBUTE;
    }
    if (r.failed || node->name == NULL || node->op == NULL || node->domain == NULL) {
        return malformed(onnx, "NodeProto");
    }
    if (node->n_in > INT32_MAX || node->n_out > INT32_MAX ||
        node->n_attrs > LEDGE_ONNX_MAX_ATTRIBUTES) {
        return ledge_fail(onnx->err, LEDGE_ERR_UNSUPPORTED,
                          "node %.80s (%.60s): more than %d attributes", node->name, node->op,
                          LEDGE_ONNX_MAX_ATTRIBUTES);
    }
    if (strcmp(node->domain, "ai.onnx") == 0) {
        node->domain = "";
    }
    return LEDGE_OK;
}

static enum ledge_status resolve_output(struct ledge_onnx *onnx, const struct node *node,
                                        int32_t value)
{
    const struct ledge_graph *graph = onnx->graph;
    if (graph->values[value].producer >= 0 || graph->values[value].data != NULL) {
        return ledge_fail(onnx->err, LEDGE_ERR_FORMAT,
                          "node %.80s (%.60s): output %.80s exists already", node->name, node->op,
                          graph->values[value].name);
    }
    return LEDGE_OK;
}

static enum ledge_status resolve_names(struct ledge_onnx *onnx, struct ledge_span span,
                                       struct node *node)
{
    struct ledge_reader r = ledge_span_reader(span);
    struct ledge_wire_field field;
    node->in = LEDGE_NEW_ARRAY(&onnx->graph->arena, int32_t, node->n_in);
    node->out = LEDGE_NEW_ARRAY(&onnx->graph->arena, int32_t, node->n_out);
    if (node->in == NULL || node->out == NULL) {
        return no_memory(onnx);
    }
    size_t n_in = 0, n_out = 0;
    while (ledge_wire_next(&r, &field)) {
        if (field.number != N_INPUT && field.number != N_OUTPUT) {
            continue;
        }
        const char *name = ledge_onnx_text(&onnx->graph->arena, &field);
        if (name == NULL) {
            return malformed(onnx, "name of an input or output of a node");
        }
        int32_t value = name[0] == '\0' ? -1 : ledge_onnx_value(onnx, name);
        if (value == LEDGE_ONNX_NO_MEMORY) {
            return no_memory(onnx);
        }
        if (field.number == N_INPUT) {
            node->in[n_in++] = value;
            continue;
        }
        if (value >= 0) {
            LEDGE_TRY(resolve_output(onnx, node, value));
        }
        node->out[n_out++] = value;
    }
    return LEDGE_OK;
}

static int32_t version_of(const struct ledge_onnx *onnx, const char *domain)
{
    int32_t version = 1; /* a file that imports nothing is from before opsets were written down */
    for (int32_t i = 0; i < onnx->domains->n; i++) {
        if (strcmp(onnx->domains->items[i].name, domain) == 0) {
            version = onnx->domains->items[i].version;
        }
    }
    return version;
}

enum ledge_status ledge_onnx_node(struct ledge_onnx *onnx, struct ledge_span span)
{
    struct node node;
    LEDGE_TRY(count_node(onnx, span, &node));
    LEDGE_TRY(resolve_names(onnx, span, &node));
    const struct ledge_onnx_function *function = ledge_onnx_find(onnx, node.domain, node.op);
    if (function != NULL) {
        return ledge_onnx_expand(onnx, function, span, node.in, (int32_t)node.n_in, node.out,
                                 (int32_t)node.n_out);
    }
    int32_t index =
        ledge_graph_add_node(onnx->graph, node.domain, node.op, version_of(onnx, node.domain),
                             node.name, node.in, (int32_t)node.n_in, node.out, (int32_t)node.n_out);
    if (index < 0) {
        return no_memory(onnx);
    }
    struct ledge_reader r = ledge_span_reader(span);
    struct ledge_wire_field field;
    while (ledge_wire_next(&r, &field)) {
        if (field.number == N_ATTRIBUTE) {
            LEDGE_TRY(ledge_onnx_attribute(onnx, index, ledge_field_span(&field)));
        }
    }
    return LEDGE_OK;
}

static enum ledge_status refuse_sparse(struct ledge_onnx *onnx, struct ledge_span span)
{
    (void)span;
    return ledge_fail(onnx->err, LEDGE_ERR_UNSUPPORTED,
                      "graph: sparse initializers are not supported");
}

/* Call add for every field of one number. */
static enum ledge_status each(struct ledge_onnx *onnx, struct ledge_span span, uint32_t number,
                              enum ledge_status (*add)(struct ledge_onnx *, struct ledge_span))
{
    struct ledge_reader r = ledge_span_reader(span);
    struct ledge_wire_field field;
    while (ledge_wire_next(&r, &field)) {
        if (field.number != number) {
            continue;
        }
        if (field.wire != LEDGE_WIRE_BYTES) {
            return malformed(onnx, "GraphProto");
        }
        LEDGE_TRY(add(onnx, ledge_field_span(&field)));
    }
    return r.failed ? malformed(onnx, "GraphProto") : LEDGE_OK;
}

static enum ledge_status set_name(struct ledge_onnx *onnx, struct ledge_span span)
{
    struct ledge_wire_field field = {
        .wire = LEDGE_WIRE_BYTES, .bytes = span.bytes, .size = span.size};
    const char *name = ledge_onnx_text(&onnx->graph->arena, &field);
    onnx->graph->name = name != NULL ? name : "";
    return LEDGE_OK;
}

enum ledge_status ledge_onnx_graph(struct ledge_onnx *onnx, struct ledge_span span)
{
    static const struct {
        uint32_t number;
        enum ledge_status (*add)(struct ledge_onnx *, struct ledge_span);
    } walks[] = {
        {G_NAME, set_name},     {G_SPARSE, refuse_sparse}, {G_INITIALIZER, add_initializer},
        {G_INPUT, add_input},   {G_NODE, ledge_onnx_node}, {G_VALUE_INFO, add_hint},
        {G_OUTPUT, add_output},
    };
    for (size_t i = 0; i < sizeof walks / sizeof walks[0]; i++) {
        LEDGE_TRY(each(onnx, span, walks[i].number, walks[i].add));
    }
    return LEDGE_OK;
}

/* -- sub-graphs -- */

/* Values that nothing in the sub-graph makes are those of the graphs around it: its last inputs. */
static bool add_captures(struct ledge_graph *sub)
{
    bool *given = LEDGE_NEW_ARRAY(&sub->arena, bool, (size_t)sub->n_values);
    bool good = given != NULL;
    for (int32_t i = 0; good && i < sub->n_inputs; i++) {
        given[sub->inputs[i]] = true;
    }
    for (int32_t i = 0; good && i < sub->n_values; i++) {
        if (!given[i] && sub->values[i].data == NULL && sub->values[i].producer < 0) {
            good = ledge_graph_add_input(sub, i) >= 0;
            sub->n_captures++;
        }
    }
    return good;
}

enum ledge_status ledge_onnx_subgraph(struct ledge_onnx *onnx, int32_t node, const char *name,
                                      struct ledge_span span)
{
    struct ledge_graph *graph = onnx->graph;
    struct ledge_graph *sub = ledge_graph_sub(graph);
    if (sub == NULL) {
        return graph->depth >= LEDGE_MAX_DEPTH
                   ? ledge_fail(onnx->err, LEDGE_ERR_UNSUPPORTED,
                                "graph: sub-graphs more than %d deep", LEDGE_MAX_DEPTH)
                   : no_memory(onnx);
    }
    struct ledge_onnx inner = *onnx;
    inner.graph = sub;
    inner.inner = true;
    LEDGE_TRY(ledge_onnx_graph(&inner, span));
    if (!add_captures(sub)) {
        return no_memory(onnx);
    }
    int32_t *outside = LEDGE_NEW_ARRAY(&graph->arena, int32_t, (size_t)sub->n_captures);
    for (int32_t i = 0; outside != NULL && i < sub->n_captures; i++) {
        outside[i] = ledge_onnx_value(
            onnx, sub->values[sub->inputs[sub->n_inputs - sub->n_captures + i]].name);
        if (outside[i] == LEDGE_ONNX_NO_MEMORY) {
            return no_memory(onnx);
        }
    }
    if (outside == NULL || !ledge_graph_append_inputs(graph, node, outside, sub->n_captures) ||
        !ledge_graph_set_graph(graph, node, name, sub)) {
        return no_memory(onnx);
    }
    LEDGE_TRY(ledge_graph_sort(sub, onnx->err));
    LEDGE_TRY(ledge_onnx_flex(sub, onnx->err));
    return LEDGE_HAS(LEDGE_PART_GRADIENT) ? ledge_onnx_gradients(sub, onnx->err) : LEDGE_OK;
}
