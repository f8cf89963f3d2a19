/* SPDX-License-Identifier: Apache-2.0 */
/* function.c -- FunctionProto: name 1, input 4, output 5, node 7, opset_import 9, domain 10,
 * attribute_proto 11 (defaults). A node that calls a function of the model is replaced by its body:
 * formal names stand for the values of the call, other names get a prefix of their own, attributes
 * that refer to the function's are those of the call.
 *
 * Bodies call functions in turn; depth and the bytes of all bodies read are bounded, so a small
 * file cannot ask for much memory or time.
 */
#include <stdio.h>
#include <string.h>

#include "base/banned.h"
#include "import/onnx/onnx.h"

enum { F_NAME = 1, F_INPUT = 4, F_OUTPUT = 5, F_NODE = 7, F_OPSET = 9, F_DOMAIN = 10, F_ATTR = 11 };
enum { NODE_ATTRIBUTE = 5, ATTRIBUTE_NAME = 1 };
enum { MAX_CALL_DEPTH = 16, MAX_EXPANDED = 1 << 23, MAX_FORMAL = 1024 };

static enum ledge_status no_memory(struct ledge_onnx *onnx)
{
    return ledge_fail(onnx->err, LEDGE_ERR_NOMEM, "model: no memory for a function");
}

static enum ledge_status malformed(struct ledge_onnx *onnx)
{
    return ledge_fail(onnx->err, LEDGE_ERR_FORMAT, "model: malformed FunctionProto");
}

enum ledge_status ledge_onnx_function(struct ledge_onnx *onnx, struct ledge_span span,
                                      struct ledge_onnx_function *function)
{
    struct ledge_reader r = ledge_span_reader(span);
    struct ledge_wire_field field;
    *function = (struct ledge_onnx_function){.domain = "", .name = "", .span = span};
    while (ledge_wire_next(&r, &field)) {
        const char **text = field.number == F_NAME     ? &function->name
                            : field.number == F_DOMAIN ? &function->domain
                                                       : NULL;
        if (text != NULL) {
            *text = ledge_onnx_text(&onnx->graph->arena, &field);
        }
        if (text != NULL && *text == NULL) {
            return malformed(onnx);
        }
    }
    if (strcmp(function->domain, "ai.onnx") == 0) {
        function->domain = "";
    }
    return r.failed ? malformed(onnx) : LEDGE_OK;
}

const struct ledge_onnx_function *ledge_onnx_find(const struct ledge_onnx *onnx, const char *domain,
                                                  const char *name)
{
    for (int32_t i = 0; i < onnx->file->n_functions; i++) {
        const struct ledge_onnx_function *function = &onnx->file->functions[i];
        if (strcmp(function->name, name) == 0 && strcmp(function->domain, domain) == 0) {
            return function;
        }
    }
    return NULL;
}

/* The field `number` of span that holds an AttributeProto called name. */
static struct ledge_span attribute_named(struct ledge_span span, uint32_t number, const char *name)
{
    struct ledge_reader r = ledge_span_reader(span);
    struct ledge_wire_field field, inner;
    size_t n = strlen(name);
    while (ledge_wire_next(&r, &field)) {
        if (field.number != number || field.wire != LEDGE_WIRE_BYTES) {
            continue;
        }
        struct ledge_reader a = ledge_span_reader(ledge_field_span(&field));
        while (ledge_wire_next(&a, &inner)) {
            if (inner.number == ATTRIBUTE_NAME && inner.wire == LEDGE_WIRE_BYTES &&
                inner.size == n && memcmp(inner.bytes, name, n) == 0) {
                return ledge_field_span(&field);
            }
        }
    }
    return (struct ledge_span){.size = 0};
}

struct ledge_span ledge_onnx_argument(const struct ledge_onnx_call *call, const char *name)
{
    struct ledge_span given = attribute_named(call->node, NODE_ATTRIBUTE, name);
    return given.size > 0 ? given : attribute_named(call->function->span, F_ATTR, name);
}

/* Formal names and what they stand for; an output that is not wanted stays an inner value. */
static enum ledge_status bind(struct ledge_onnx *onnx, struct ledge_onnx_call *call,
                              struct ledge_onnx_domains *domains, const int32_t *in, int32_t n_in,
                              const int32_t *out, int32_t n_out)
{
    struct ledge_reader r = ledge_span_reader(call->function->span);
    struct ledge_wire_field field;
    int32_t seen[2] = {0, 0};
    while (ledge_wire_next(&r, &field)) {
        if (field.number == F_OPSET) {
            LEDGE_TRY(ledge_onnx_domain(onnx, domains, ledge_field_span(&field)));
        }
        if (field.number != F_INPUT && field.number != F_OUTPUT) {
            continue;
        }
        bool is_out = field.number == F_OUTPUT;
        int32_t at = seen[is_out]++;
        int32_t actual = is_out ? (at < n_out ? out[at] : -1) : (at < n_in ? in[at] : -1);
        if (is_out && actual < 0) {
            continue;
        }
        call->formal[call->n] = ledge_onnx_text(&onnx->graph->arena, &field);
        call->actual[call->n] = actual;
        if (call->formal[call->n++] == NULL) {
            return malformed(onnx);
        }
    }
    return LEDGE_OK;
}

static int32_t count(struct ledge_span span, uint32_t a, uint32_t b)
{
    struct ledge_reader r = ledge_span_reader(span);
    struct ledge_wire_field field;
    int32_t n = 0;
    while (ledge_wire_next(&r, &field)) {
        n += field.number == a || field.number == b;
    }
    return n;
}

static enum ledge_status expand_body(struct ledge_onnx *body)
{
    struct ledge_reader r = ledge_span_reader(body->call->function->span);
    struct ledge_wire_field field;
    while (ledge_wire_next(&r, &field)) {
        if (field.number == F_NODE && field.wire == LEDGE_WIRE_BYTES) {
            LEDGE_TRY(ledge_onnx_node(body, ledge_field_span(&field)));
        }
    }
    return LEDGE_OK;
}

enum ledge_status ledge_onnx_expand(struct ledge_onnx *onnx,
                                    const struct ledge_onnx_function *function,
                                    struct ledge_span node, const int32_t *in, int32_t n_in,
                                    const int32_t *out, int32_t n_out)
{
    char prefix[96];
    struct ledge_arena *arena = &onnx->graph->arena;
    int32_t n = count(function->span, F_INPUT, F_OUTPUT);
    struct ledge_onnx_call call = {.outer = onnx->call,
                                   .function = function,
                                   .node = node,
                                   .depth = onnx->call != NULL ? onnx->call->depth + 1 : 1};
    struct ledge_onnx_domains *domains = LEDGE_NEW(arena, struct ledge_onnx_domains);
    onnx->file->expanded += function->span.size;
    if (call.depth > MAX_CALL_DEPTH || onnx->file->expanded > MAX_EXPANDED || n > MAX_FORMAL) {
        return ledge_fail(
            onnx->err, LEDGE_ERR_UNSUPPORTED,
            "model: calls of function %.80s are more than %d deep, too many or too large",
            function->name, MAX_CALL_DEPTH);
    }
    (void)snprintf(prefix, sizeof prefix, "%.64s.%d/", function->name, (int)onnx->file->calls++);
    call.prefix = prefix;
    call.formal = LEDGE_NEW_ARRAY(arena, const char *, (size_t)n);
    call.actual = LEDGE_NEW_ARRAY(arena, int32_t, (size_t)n);
    if (domains == NULL || call.formal == NULL || call.actual == NULL) {
        return no_memory(onnx);
    }
    LEDGE_TRY(bind(onnx, &call, domains, in, n_in, out, n_out));
    struct ledge_onnx body = *onnx;
    body.call = &call;
    body.domains = domains->n > 0 ? domains : onnx->domains;
    body.inner = false;
    return expand_body(&body);
}
