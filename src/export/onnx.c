/* SPDX-License-Identifier: Apache-2.0 */
/* onnx.c -- graph -> ModelProto.
 *
 * Flow:    graph -> copy -> upgrade.c (forms of one opset) -> [onnx.c] -> bytes
 * Memory:  the output buffer's heap; weights are copied once. Threads: any, one graph at a time.
 */
#include <math.h>
#include <string.h>

#include "base/banned.h"
#include "base/status.h"
#include "export/export.h"
#include "export/upgrade.h"
#include "export/wire.h"

enum {
    M_IR = 1,
    M_PRODUCER = 2,
    M_PRODUCER_VERSION = 3,
    M_GRAPH = 7,
    M_OPSET = 8,
    M_METADATA = 14
};
enum { G_NODE = 1, G_NAME = 2, G_INITIALIZER = 5, G_INPUT = 11, G_OUTPUT = 12 };
enum { N_INPUT = 1, N_OUTPUT = 2, N_NAME = 3, N_OP = 4, N_ATTRIBUTE = 5, N_DOMAIN = 7 };
enum {
    A_NAME = 1,
    A_F = 2,
    A_I = 3,
    A_S = 4,
    A_T = 5,
    A_FLOATS = 7,
    A_INTS = 8,
    A_STRINGS = 9,
    A_TYPE = 20
};
enum {
    T_FLOAT = 1,
    T_INT = 2,
    T_STRING = 3,
    T_TENSOR = 4,
    T_FLOATS = 6,
    T_INTS = 7,
    T_STRINGS = 8
};
enum { MESSAGE_MAX = 1 << 24 };

struct writer {
    const struct ledge_graph *graph;
    struct ledge_buf *out; /* GraphProto */
    struct ledge_buf message, nested, inner;
    struct ledge_error *err;
};

/* -- attributes -- */

static bool is_recurrent(const struct ledge_node *node)
{
    return strcmp(node->op, "LSTM") == 0 || strcmp(node->op, "GRU") == 0 ||
           strcmp(node->op, "RNN") == 0;
}

/* Attributes that only this engine knows: said by other nodes, or by nothing because they are
 * ONNX's default. */
static bool is_own(const struct ledge_node *node, const struct ledge_attr *attr)
{
    return strcmp(attr->name, "clamp_low") == 0 || strcmp(attr->name, "clamp_high") == 0 ||
           (strcmp(attr->name, "layout") == 0 && !is_recurrent(node));
}

static void put_strings(struct ledge_buf *out, const char *text)
{
    while (text != NULL) {
        size_t n = strcspn(text, "\n");
        ledge_put_bytes(out, A_STRINGS, text, n);
        text = text[n] == '\n' ? text + n + 1 : NULL;
    }
    ledge_put_int(out, A_TYPE, T_STRINGS);
}

static enum ledge_status put_attribute(struct writer *w, const struct ledge_node *node,
                                       const struct ledge_attr *attr)
{
    struct ledge_buf *out = &w->nested;
    ledge_put_text(out, A_NAME, attr->name);
    switch (attr->type) {
    case LEDGE_ATTR_INT:
        ledge_put_int(out, A_I, attr->i);
        ledge_put_int(out, A_TYPE, T_INT);
        break;
    case LEDGE_ATTR_FLOAT:
        ledge_put_float(out, A_F, attr->f);
        ledge_put_int(out, A_TYPE, T_FLOAT);
        break;
    case LEDGE_ATTR_STRING:
        if (is_recurrent(node) && strcmp(attr->name, "activations") == 0) {
            put_strings(out, attr->s);
            break;
        }
        ledge_put_text(out, A_S, attr->s);
        ledge_put_int(out, A_TYPE, T_STRING);
        break;
    case LEDGE_ATTR_STRINGS:
        for (size_t i = 0; i < attr->n; i++) {
            ledge_put_bytes(out, A_STRINGS, attr->strings[i], strlen(attr->strings[i]));
        }
        ledge_put_int(out, A_TYPE, T_STRINGS);
        break;
    case LEDGE_ATTR_INTS:
        for (size_t i = 0; i < attr->n; i++) {
            ledge_put_int(out, A_INTS, attr->ints[i]);
        }
        ledge_put_int(out, A_TYPE, T_INTS);
        break;
    case LEDGE_ATTR_FLOATS:
        for (size_t i = 0; i < attr->n; i++) {
            ledge_put_float(out, A_FLOATS, attr->floats[i]);
        }
        ledge_put_int(out, A_TYPE, T_FLOATS);
        break;
    case LEDGE_ATTR_TENSOR:
        ledge_put_tensor(out, A_T, attr->tensor, NULL);
        ledge_put_int(out, A_TYPE, T_TENSOR);
        break;
    default:
        return ledge_fail(w->err, LEDGE_ERR_UNSUPPORTED,
                          "node %.60s (%.40s): attribute %.40s cannot be written", node->name,
                          node->op, attr->name);
    }
    ledge_put_message(&w->message, N_ATTRIBUTE, out);
    return LEDGE_OK;
}

/* -- nodes -- */

static const char *value_name(const struct ledge_graph *graph, int32_t value)
{
    return value >= 0 ? graph->values[value].name : "";
}

/* A fused clamp is a node of its own in the file: out = Relu(raw) or Clip(raw, low, high). */
static void put_clamp(struct writer *w, const struct ledge_node *node, const char *raw, float low,
                      float high)
{
    bool relu = low == 0.0f && isinf(high);
    const char *out = value_name(w->graph, node->out[0]);
    const float bounds[2] = {low, high};
    const char *const ends[2] = {".low", ".high"};
    for (int i = 0; i < 2 && !relu; i++) {
        struct ledge_view view = {.data = (void *)&bounds[i], .dtype = LEDGE_F32};
        (void)ledge_buf_printf(&w->inner, "%s%s", out, ends[i]);
        ledge_put_tensor(w->out, G_INITIALIZER, &view, w->inner.data);
        ledge_buf_clear(&w->inner);
    }
    ledge_put_text(&w->message, N_INPUT, raw);
    for (int i = 0; i < 2 && !relu; i++) {
        (void)ledge_buf_printf(&w->inner, "%s%s", out, ends[i]);
        ledge_put_text(&w->message, N_INPUT, w->inner.data != NULL ? w->inner.data : "");
        ledge_buf_clear(&w->inner);
    }
    ledge_put_text(&w->message, N_OUTPUT, out);
    (void)ledge_buf_printf(&w->inner, "%s.clamp", node->name);
    ledge_put_text(&w->message, N_NAME, w->inner.data != NULL ? w->inner.data : "");
    ledge_buf_clear(&w->inner);
    ledge_put_text(&w->message, N_OP, relu ? "Relu" : "Clip");
    ledge_put_message(w->out, G_NODE, &w->message);
}

static enum ledge_status check_node(struct writer *w, const struct ledge_node *node)
{
    if (node->domain[0] != '\0') {
        return ledge_fail(w->err, LEDGE_ERR_UNSUPPORTED,
                          "node %.60s: operator %.40s.%.40s is not one of ai.onnx", node->name,
                          node->domain, node->op);
    }
    if (!is_recurrent(node) && ledge_node_int(node, "layout", LEDGE_NCHW) != LEDGE_NCHW) {
        return ledge_fail(w->err, LEDGE_ERR_UNSUPPORTED,
                          "node %.60s (%.40s): channels-last cannot be written as ONNX", node->name,
                          node->op);
    }
    return LEDGE_OK;
}

static enum ledge_status put_node(struct writer *w, const struct ledge_node *node)
{
    float low = ledge_node_float(node, "clamp_low", -INFINITY);
    float high = ledge_node_float(node, "clamp_high", INFINITY);
    bool clamped = (low > -INFINITY || high < INFINITY) && node->n_out > 0 && node->out[0] >= 0;
    struct ledge_buf raw = LEDGE_BUF_INIT(MESSAGE_MAX);
    LEDGE_TRY(check_node(w, node));
    for (int32_t i = 0; i < node->n_in; i++) {
        ledge_put_text(&w->message, N_INPUT, value_name(w->graph, node->in[i]));
    }
    if (clamped) {
        (void)ledge_buf_printf(&raw, "%s.raw", value_name(w->graph, node->out[0]));
        w->out->failed = w->out->failed || raw.failed;
    }
    for (int32_t i = 0; i < node->n_out; i++) {
        const char *name = value_name(w->graph, node->out[i]);
        ledge_put_text(&w->message, N_OUTPUT, i == 0 && raw.data != NULL ? raw.data : name);
    }
    ledge_put_text(&w->message, N_NAME, node->name);
    ledge_put_text(&w->message, N_OP, node->op);
    enum ledge_status status = LEDGE_OK;
    for (int32_t i = 0; i < node->n_attrs && status == LEDGE_OK; i++) {
        if (!is_own(node, &node->attrs[i])) {
            status = put_attribute(w, node, &node->attrs[i]);
        }
    }
    ledge_put_message(w->out, G_NODE, &w->message);
    if (clamped && raw.data != NULL) {
        put_clamp(w, node, raw.data, low, high);
    }
    ledge_buf_done(&raw);
    return status;
}

/* -- values -- */

static void put_info(struct writer *w, uint32_t field, const struct ledge_value *value)
{
    enum { V_NAME = 1, V_TYPE = 2, TYPE_TENSOR = 1, TENSOR_ELEMENT = 1, TENSOR_SHAPE = 2 };
    enum { SHAPE_DIM = 1, DIM_VALUE = 1, DIM_NAME = 2 };
    for (int32_t i = 0; i < value->rank; i++) {
        if (value->dims[i] >= 0) {
            ledge_put_int(&w->inner, DIM_VALUE, value->dims[i]);
        } else if (value->dim_names[i] != NULL) {
            ledge_put_text(&w->inner, DIM_NAME, value->dim_names[i]);
        }
        ledge_put_message(&w->nested, SHAPE_DIM, &w->inner);
    }
    struct ledge_buf type = LEDGE_BUF_INIT(MESSAGE_MAX);
    ledge_put_int(&type, TENSOR_ELEMENT, (int64_t)value->dtype);
    if (value->rank >= 0) {
        ledge_put_message(&type, TENSOR_SHAPE, &w->nested);
    }
    ledge_put_message(&w->inner, TYPE_TENSOR, &type);
    ledge_put_text(&w->message, V_NAME, value->name);
    ledge_put_message(&w->message, V_TYPE, &w->inner);
    ledge_put_message(w->out, field, &w->message);
    ledge_buf_done(&type);
}

static void mark(bool *used, const int32_t *list, int32_t n)
{
    for (int32_t i = 0; i < n; i++) {
        if (list[i] >= 0) {
            used[list[i]] = true;
        }
    }
}

/* Constants that somebody reads. */
static enum ledge_status put_constants(struct writer *w)
{
    const struct ledge_graph *graph = w->graph;
    struct ledge_arena scratch;
    ledge_arena_init(&scratch, &graph->arena.allocator);
    bool *used = LEDGE_NEW_ARRAY(&scratch, bool, (size_t)graph->n_values);
    enum ledge_status status = LEDGE_OK;
    if (used == NULL) {
        status = ledge_fail(w->err, LEDGE_ERR_NOMEM, "no memory to write the model");
        goto out_scratch;
    }
    for (int32_t i = 0; i < graph->n_nodes; i++) {
        if (!graph->nodes[i].dead) {
            mark(used, graph->nodes[i].in, graph->nodes[i].n_in);
        }
    }
    mark(used, graph->outputs, graph->n_outputs);
    for (int32_t i = 0; i < graph->n_values; i++) {
        if (used[i] && graph->values[i].data != NULL) {
            struct ledge_view view = ledge_value_view(&graph->values[i]);
            ledge_put_tensor(w->out, G_INITIALIZER, &view, graph->values[i].name);
        }
    }
out_scratch:
    ledge_arena_done(&scratch);
    return status;
}

static enum ledge_status put_graph(struct writer *w)
{
    const struct ledge_graph *graph = w->graph;
    enum ledge_status status = LEDGE_OK;
    for (int32_t i = 0; i < graph->n_nodes && status == LEDGE_OK; i++) {
        if (!graph->nodes[i].dead) {
            status = put_node(w, &graph->nodes[i]);
        }
    }
    ledge_put_text(w->out, G_NAME, graph->name[0] != '\0' ? graph->name : "ledge");
    if (status == LEDGE_OK) {
        status = put_constants(w);
    }
    for (int32_t i = 0; i < graph->n_inputs; i++) {
        put_info(w, G_INPUT, &graph->values[graph->inputs[i]]);
    }
    for (int32_t i = 0; i < graph->n_outputs; i++) {
        put_info(w, G_OUTPUT, &graph->values[graph->outputs[i]]);
    }
    return status;
}

/* -- model -- */

/* The IR version that came with an opset. Source: onnx/docs/Versioning.md, table of releases. */
static int64_t ir_version(int32_t opset)
{
    return opset <= 14 ? 7 : opset <= 18 ? 8 : opset <= 20 ? 9 : opset <= 22 ? 10 : 11;
}

static void put_model(const struct ledge_graph *graph, int32_t opset, struct ledge_buf *body,
                      struct ledge_buf *out)
{
    struct ledge_buf message = LEDGE_BUF_INIT(MESSAGE_MAX);
    ledge_put_int(out, M_IR, ir_version(opset));
    ledge_put_text(out, M_PRODUCER, "ledge");
    ledge_put_text(&message, 1, "");
    ledge_put_int(&message, 2, opset);
    ledge_put_message(out, M_OPSET, &message);
    for (int32_t i = 0; i < graph->n_metadata; i++) {
        ledge_put_text(&message, 1, graph->metadata[i].key);
        ledge_put_text(&message, 2, graph->metadata[i].value);
        ledge_put_message(out, M_METADATA, &message);
    }
    ledge_put_message(out, M_GRAPH, body);
    ledge_buf_done(&message);
}

enum ledge_status ledge_export_onnx(const struct ledge_graph *graph, struct ledge_buf *out,
                                    struct ledge_error *err)
{
    struct ledge_graph copy;
    struct ledge_buf body = LEDGE_BUF_INIT(out->max);
    ledge_graph_init(&copy, &graph->arena.allocator);
    struct writer w = {.graph = &copy,
                       .out = &body,
                       .message = LEDGE_BUF_INIT(out->max),
                       .nested = LEDGE_BUF_INIT(out->max),
                       .inner = LEDGE_BUF_INIT(MESSAGE_MAX),
                       .err = err};
    int32_t opset = 0;
    enum ledge_status status = ledge_graph_copy(graph, &copy, err);
    if (status == LEDGE_OK && graph->n_states > 0) {
        status = ledge_fail(err, LEDGE_ERR_UNSUPPORTED,
                            "ONNX has no values that are kept from run to run (%s)",
                            graph->values[graph->states[0].in].name);
    }
    if (status == LEDGE_OK) {
        status = ledge_export_upgrade(&copy, &opset, err);
    }
    if (status == LEDGE_OK) {
        status = put_graph(&w);
    }
    if (status == LEDGE_OK) {
        put_model(&copy, opset, &body, out);
        if (out->failed) {
            status = ledge_fail(err, LEDGE_ERR_NOMEM,
                                "the model does not fit its buffer (%zu bytes)", out->max);
        }
    }
    ledge_buf_done(&w.message);
    ledge_buf_done(&w.nested);
    ledge_buf_done(&w.inner);
    ledge_buf_done(&body);
    ledge_graph_done(&copy);
    return status;
}

enum ledge_status ledge_export_tensor_proto(const struct ledge_view *view, const char *name,
                                            struct ledge_buf *out, struct ledge_error *err)
{
    ledge_put_tensor_body(out, view, name);
    return out->failed ? ledge_fail(err, LEDGE_ERR_NOMEM, "tensor %.80s does not fit its buffer",
                                    name != NULL ? name : "")
                       : LEDGE_OK;
}
