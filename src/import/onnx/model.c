/* SPDX-License-Identifier: Apache-2.0 */
/* model.c -- ModelProto: ir_version 1, producer_name 2, graph 7, opset_import 8, metadata_props 14,
 * functions 25 (expanded where they are called, function.c). Training graphs (20) are not read. */
#include <string.h>

#include "base/banned.h"
#include "engine/port/select.h"
#include "import/import.h"
#include "import/onnx/gradient.h"
#include "import/onnx/onnx.h"

enum { M_IR = 1, M_PRODUCER = 2, M_GRAPH = 7, M_OPSET = 8, M_METADATA = 14, M_FUNCTION = 25 };
enum { MAX_IR = 14, MAX_FUNCTIONS = 4096 };

static enum ledge_status malformed(struct ledge_onnx *onnx, const char *what)
{
    return ledge_fail(onnx->err, LEDGE_ERR_FORMAT, "model: malformed %s", what);
}

enum ledge_status ledge_onnx_domain(struct ledge_onnx *onnx, struct ledge_onnx_domains *domains,
                                    struct ledge_span span)
{
    struct ledge_reader r = ledge_span_reader(span);
    struct ledge_wire_field field;
    struct ledge_onnx_domain domain = {.name = "", .version = 1};
    while (ledge_wire_next(&r, &field)) {
        if (field.number == 1) {
            domain.name = ledge_onnx_text(&onnx->graph->arena, &field);
        } else if (field.number == 2 && field.wire == LEDGE_WIRE_VARINT) {
            domain.version = field.value > INT32_MAX ? INT32_MAX : (int32_t)field.value;
        }
    }
    if (r.failed || domain.name == NULL) {
        return malformed(onnx, "opset_import");
    }
    if (domains->n == LEDGE_ONNX_MAX_DOMAINS) {
        return ledge_fail(onnx->err, LEDGE_ERR_UNSUPPORTED, "model: more than %d opset imports",
                          LEDGE_ONNX_MAX_DOMAINS);
    }
    if (strcmp(domain.name, "ai.onnx") == 0) {
        domain.name = "";
    }
    domains->items[domains->n++] = domain;
    return LEDGE_OK;
}

static enum ledge_status add_metadata(struct ledge_onnx *onnx, struct ledge_span span)
{
    struct ledge_reader r = ledge_span_reader(span);
    struct ledge_wire_field field;
    const char *key = "", *value = "";
    while (ledge_wire_next(&r, &field)) {
        const char **text = field.number == 1 ? &key : field.number == 2 ? &value : NULL;
        if (text != NULL) {
            *text = ledge_onnx_text(&onnx->graph->arena, &field);
        }
    }
    if (r.failed || key == NULL || value == NULL) {
        return malformed(onnx, "metadata_props");
    }
    return ledge_graph_add_metadata(onnx->graph, key, value) >= 0
               ? LEDGE_OK
               : ledge_fail(onnx->err, LEDGE_ERR_NOMEM, "model: no memory");
}

struct parts {
    struct ledge_span graph;
    struct ledge_onnx_domains domains;
    int32_t n_functions;
};

static enum ledge_status read_field(struct ledge_onnx *onnx, const struct ledge_wire_field *field,
                                    struct parts *parts)
{
    uint32_t wire = field->number == M_IR ? LEDGE_WIRE_VARINT : LEDGE_WIRE_BYTES;
    bool known = field->number == M_IR || field->number == M_PRODUCER || field->number == M_GRAPH ||
                 field->number == M_OPSET || field->number == M_METADATA ||
                 field->number == M_FUNCTION;
    if (known && field->wire != wire) {
        return malformed(onnx, "ModelProto (is this an ONNX file?)");
    }
    switch (field->number) {
    case M_IR:
        if (field->value > MAX_IR) {
            return ledge_fail(onnx->err, LEDGE_ERR_UNSUPPORTED,
                              "model: IR version %llu, at most %d is supported",
                              (unsigned long long)field->value, MAX_IR);
        }
        return LEDGE_OK;
    case M_PRODUCER: {
        const char *producer = ledge_onnx_text(&onnx->graph->arena, field);
        onnx->graph->producer = producer != NULL ? producer : "";
        return LEDGE_OK;
    }
    case M_GRAPH:
        parts->graph = ledge_field_span(field);
        return LEDGE_OK;
    case M_OPSET:
        return ledge_onnx_domain(onnx, &parts->domains, ledge_field_span(field));
    case M_METADATA:
        return add_metadata(onnx, ledge_field_span(field));
    case M_FUNCTION:
        parts->n_functions++; /* fewer than the bytes of the file */
        return LEDGE_OK;
    default:
        return LEDGE_OK;
    }
}

static enum ledge_status read_functions(struct ledge_onnx *onnx, struct ledge_reader r, int32_t n)
{
    struct ledge_wire_field field;
    struct ledge_onnx_file *file = onnx->file;
    if (n > MAX_FUNCTIONS) {
        return ledge_fail(onnx->err, LEDGE_ERR_UNSUPPORTED, "model: more than %d functions",
                          MAX_FUNCTIONS);
    }
    file->functions = LEDGE_NEW_ARRAY(&onnx->graph->arena, struct ledge_onnx_function, (size_t)n);
    if (file->functions == NULL) {
        return ledge_fail(onnx->err, LEDGE_ERR_NOMEM, "model: no memory");
    }
    while (n > 0 && ledge_wire_next(&r, &field)) {
        if (field.number == M_FUNCTION) {
            LEDGE_TRY(ledge_onnx_function(onnx, ledge_field_span(&field),
                                          &file->functions[file->n_functions++]));
        }
    }
    return LEDGE_OK;
}

/* May input k of the node stay loose? Those are weights, which are packed. */
static bool takes_loose(const struct ledge_node *node, int32_t k)
{
    return k == 1 && node->domain[0] == '\0' &&
           (strcmp(node->op, "Conv") == 0 || strcmp(node->op, "Gemm") == 0 ||
            strcmp(node->op, "MatMul") == 0);
}

/* Constants that anything else reads, too, are aligned. */
static enum ledge_status settle(struct ledge_graph *graph, struct ledge_error *err)
{
    for (int32_t i = 0; i < graph->n_nodes; i++) {
        const struct ledge_node *node = &graph->nodes[i];
        for (int32_t k = 0; k < node->n_in; k++) {
            if (node->in[k] >= 0 && !takes_loose(node, k)) {
                LEDGE_TRY(ledge_graph_settle(graph, node->in[k], err));
            }
        }
    }
    for (int32_t i = 0; i < graph->n_outputs; i++) {
        LEDGE_TRY(ledge_graph_settle(graph, graph->outputs[i], err));
    }
    return LEDGE_OK;
}

enum ledge_status ledge_import_onnx(const void *bytes, size_t size, struct ledge_graph *graph,
                                    struct ledge_error *err)
{
    struct parts parts = {.n_functions = 0};
    struct ledge_onnx_file file = {.n_functions = 0};
    struct ledge_onnx onnx = {.graph = graph, .file = &file, .domains = &parts.domains, .err = err};
    struct ledge_reader r = ledge_reader_make(bytes, size);
    struct ledge_wire_field field;
    while (ledge_wire_next(&r, &field)) {
        LEDGE_TRY(read_field(&onnx, &field, &parts));
    }
    if (r.failed) {
        return malformed(&onnx, "ModelProto (is this an ONNX file?)");
    }
    if (parts.graph.bytes == NULL) {
        return ledge_fail(err, LEDGE_ERR_FORMAT, "model: there is no graph in the file");
    }
    LEDGE_TRY(read_functions(&onnx, ledge_reader_make(bytes, size), parts.n_functions));
    LEDGE_TRY(ledge_onnx_graph(&onnx, parts.graph));
    LEDGE_TRY(settle(graph, err));
    LEDGE_TRY(ledge_graph_sort(graph, err));
    LEDGE_TRY(ledge_onnx_flex(graph, err));
    return LEDGE_HAS(LEDGE_PART_GRADIENT) ? ledge_onnx_gradients(graph, err) : LEDGE_OK;
}
