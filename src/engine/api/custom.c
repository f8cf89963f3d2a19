/* SPDX-License-Identifier: Apache-2.0 */
/* custom.c -- the caller's operators: public callbacks behind the planner's infer and prepare.
 *
 * The table that is given to the graph is the first member of struct table, so that the caller's
 * operator of a node is found by the place of its entry. What the callbacks see is made of struct
 * ledge_tensor: at open in the plan's memory, during a run in the node's scratch memory (a plan is
 * shared by sessions that run side by side).
 */
#include "engine/api/custom.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/banned.h"
#include "base/checked.h"
#include "base/status.h"

enum { ALIGN = 64 };

struct table {
    struct ledge_op_table built; /* first: graph->extra_ops points here */
    const struct ledge_custom_op *ops;
};

struct params {
    const struct ledge_custom_op *op;
    const struct ledge_node *node;
    void *state;
    size_t scratch_at; /* of the caller's scratch, behind the tensors */
};

/* A question to infer. */
struct asked {
    struct ledge_op_infer *infer;
    bool waits; /* for the value of that input */
    int32_t input;
};

static const struct ledge_custom_op *op_of(const struct ledge_graph *graph,
                                           const struct ledge_node *node)
{
    const struct table *table = (const struct table *)(const void *)graph->extra_ops;
    return &table->ops[ledge_op_find(graph, node) - table->built.ops];
}

static struct ledge_tensor tensor_of(const struct ledge_view *view)
{
    struct ledge_tensor tensor = {.data = view->data,
                                  .bytes = ledge_view_bytes(view),
                                  .dtype = view->dtype,
                                  .rank = view->rank};
    for (int32_t k = 0; k < view->rank; k++) {
        tensor.dims[k] = view->dims[k];
    }
    if (view->quant != NULL && view->quant->n == 1) {
        tensor.scale = view->quant->scales[0];
        tensor.zero_point = view->quant->zero_points[0];
    }
    return tensor;
}

static void fill(struct ledge_tensor *tensors, const struct ledge_graph *graph, const int32_t *list,
                 int32_t n)
{
    for (int32_t i = 0; i < n; i++) {
        tensors[i] = (struct ledge_tensor){.dtype = LEDGE_DTYPE_NONE};
        if (list[i] >= 0) {
            struct ledge_view view = ledge_value_view(&graph->values[list[i]]);
            tensors[i] = tensor_of(&view);
        }
    }
}

static const char *text_of(const struct ledge_error *err, enum ledge_status status)
{
    return err->text[0] != '\0' ? err->text : ledge_status_text(status);
}

static enum ledge_status take_outputs(struct ledge_op_infer *infer,
                                      const struct ledge_tensor *outputs)
{
    const struct ledge_node *node = infer->node;
    for (int32_t i = 0; i < node->n_out; i++) {
        const struct ledge_tensor *out = &outputs[i];
        if (node->out[i] < 0) {
            continue;
        }
        if (ledge_dtype_size(out->dtype) == 0 || out->rank < 0 || out->rank > LEDGE_MAX_RANK) {
            return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "infer left output %d without a shape",
                                    (int)i);
        }
        LEDGE_TRY(ledge_infer_out(infer, i, out->dtype, out->rank, out->dims));
        if (out->scale != 0) {
            struct ledge_value *value = &infer->graph->values[node->out[i]];
            value->quant = ledge_graph_quant(infer->graph, &out->scale, &out->zero_point, 1, 0);
            if (value->quant == NULL) {
                return ledge_infer_fail(infer, LEDGE_ERR_NOMEM, "no memory for its outputs");
            }
        }
    }
    return LEDGE_OK;
}

enum ledge_status ledge_custom_wait(const struct ledge_custom_call *call, int32_t input)
{
    struct asked *asked = call->inner;
    bool there = input >= 0 && input < call->n_inputs &&
                 call->inputs[input].dtype != LEDGE_DTYPE_NONE && call->inputs[input].data == NULL;
    if (asked == NULL || !there) {
        return ledge_custom_fail(call, LEDGE_ERR_STATE, "there is no input %d to wait for",
                                 (int)input);
    }
    asked->waits = true;
    asked->input = input;
    return LEDGE_ERR_UNSUPPORTED;
}

enum ledge_status ledge_custom_give(const struct ledge_custom_call *call, int32_t output,
                                    const void *data, size_t bytes)
{
    struct asked *asked = call->inner;
    if (asked == NULL || output < 0 || output >= call->n_outputs) {
        return ledge_custom_fail(call, LEDGE_ERR_STATE, "there is no output %d to give",
                                 (int)output);
    }
    const struct ledge_tensor *tensor = &call->outputs[output];
    int64_t count = 1;
    bool whole = tensor->rank >= 0 && tensor->rank <= LEDGE_MAX_RANK;
    for (int32_t k = 0; whole && k < tensor->rank; k++) {
        whole = tensor->dims[k] >= 0 && ledge_mul_i64(count, tensor->dims[k], &count);
    }
    size_t size = ledge_dtype_size(tensor->dtype), wanted = 0;
    if (!whole || size == 0 || tensor->dtype == LEDGE_STRING ||
        !ledge_mul_size((size_t)count, size, &wanted) || wanted != bytes) {
        return ledge_custom_fail(call, LEDGE_ERR_SHAPE,
                                 "output %d is given %zu bytes, its shape has %zu", (int)output,
                                 bytes, wanted);
    }
    struct ledge_graph *graph = asked->infer->graph;
    void *copy = ledge_arena_alloc(&graph->arena, bytes, ALIGN);
    if (copy == NULL) {
        return ledge_custom_fail(call, LEDGE_ERR_NOMEM, "no memory for output %d", (int)output);
    }
    if (bytes > 0) {
        memcpy(copy, data, bytes);
    }
    if (asked->infer->node->out[output] >= 0) {
        struct ledge_value *value = &graph->values[asked->infer->node->out[output]];
        value->data = copy;
        value->bytes = bytes;
    }
    return LEDGE_OK;
}

static enum ledge_status infer_custom(struct ledge_op_infer *infer)
{
    const struct ledge_node *node = infer->node;
    const struct ledge_custom_op *op = op_of(infer->graph, node);
    struct ledge_error local = {.status = LEDGE_OK};
    struct asked asked = {.infer = infer};
    struct ledge_tensor *tensors = LEDGE_NEW_ARRAY(&infer->graph->arena, struct ledge_tensor,
                                                   (size_t)node->n_in + (size_t)node->n_out);
    if (tensors == NULL) {
        return ledge_infer_fail(infer, LEDGE_ERR_NOMEM, "no memory for its tensors");
    }
    fill(tensors, infer->graph, node->in, node->n_in);
    for (int32_t i = 0; i < node->n_out; i++) {
        tensors[node->n_in + i].rank = -1;
    }
    const struct ledge_custom_call call = {.inputs = tensors,
                                           .n_inputs = node->n_in,
                                           .outputs = tensors + node->n_in,
                                           .n_outputs = node->n_out,
                                           .node =
                                               (const struct ledge_custom_node *)(const void *)node,
                                           .user = op->user,
                                           .err = &local,
                                           .inner = &asked};
    enum ledge_status status = op->infer(&call);
    if (asked.waits) {
        return ledge_infer_wait(infer, asked.input);
    }
    if (status != LEDGE_OK) {
        return ledge_infer_fail(infer, status, "%.150s", text_of(&local, status));
    }
    return take_outputs(infer, call.outputs);
}

static enum ledge_status run_custom(const struct ledge_kernel_call *call)
{
    const struct params *params = call->params;
    struct ledge_tensor *tensors = call->scratch;
    for (int32_t i = 0; i < call->n_in + call->n_out; i++) {
        const struct ledge_view *view = i < call->n_in ? call->in[i] : call->out[i - call->n_in];
        tensors[i] =
            view != NULL ? tensor_of(view) : (struct ledge_tensor){.dtype = LEDGE_DTYPE_NONE};
    }
    call->err->text[0] = '\0';
    const struct ledge_custom_call given = {
        .inputs = tensors,
        .n_inputs = call->n_in,
        .outputs = tensors + call->n_in,
        .n_outputs = call->n_out,
        .node = (const struct ledge_custom_node *)(const void *)params->node,
        .state = params->state,
        .scratch = (char *)call->scratch + params->scratch_at,
        .user = params->op->user,
        .err = call->err};
    enum ledge_status status = params->op->run(&given);
    if (status != LEDGE_OK && call->err->text[0] == '\0') {
        return ledge_fail(call->err, status, "%s", ledge_status_text(status));
    }
    return status;
}

/* The caller's prepare, on tensors in memory of their own. */
static enum ledge_status ask(struct ledge_op_prepare *prepare, const struct params *params,
                             size_t *scratch_bytes)
{
    const struct ledge_node *node = prepare->node;
    struct ledge_error local = {.status = LEDGE_OK};
    struct ledge_tensor *tensors = LEDGE_NEW_ARRAY(prepare->memory, struct ledge_tensor,
                                                   (size_t)node->n_in + (size_t)node->n_out);
    if (tensors == NULL) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_NOMEM, "no memory for its tensors");
    }
    fill(tensors, prepare->graph, node->in, node->n_in);
    fill(tensors + node->n_in, prepare->graph, node->out, node->n_out);
    const struct ledge_custom_call call = {.inputs = tensors,
                                           .n_inputs = node->n_in,
                                           .outputs = tensors + node->n_in,
                                           .n_outputs = node->n_out,
                                           .node =
                                               (const struct ledge_custom_node *)(const void *)node,
                                           .state = params->state,
                                           .user = params->op->user,
                                           .err = &local};
    enum ledge_status status = params->op->prepare(&call, scratch_bytes);
    if (status != LEDGE_OK) {
        return ledge_prepare_fail(prepare, status, "%.150s", text_of(&local, status));
    }
    return LEDGE_OK;
}

static enum ledge_status prepare_custom(struct ledge_op_prepare *prepare)
{
    const struct ledge_node *node = prepare->node;
    struct params *params = LEDGE_NEW(prepare->memory, struct params);
    if (params == NULL) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_NOMEM, "no memory for its parameters");
    }
    *params = (struct params){.op = op_of(prepare->graph, node), .node = node};
    if (params->op->run == NULL) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_STATE,
                                  "infer gave no data, and there is no run");
    }
    params->state = ledge_arena_alloc(prepare->memory, params->op->state_bytes, ALIGN);
    size_t tensors = ((size_t)node->n_in + (size_t)node->n_out) * sizeof(struct ledge_tensor);
    size_t wanted = 0;
    if (params->state == NULL || !ledge_align_size(tensors, ALIGN, &params->scratch_at)) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_NOMEM, "no memory for its state");
    }
    if (params->op->prepare != NULL) {
        LEDGE_TRY(ask(prepare, params, &wanted));
    }
    if (!ledge_add_size(params->scratch_at, wanted, &prepare->scratch_bytes) ||
        prepare->scratch_bytes > SIZE_MAX / 4) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_NOMEM, "%zu bytes of scratch are too many",
                                  wanted);
    }
    prepare->run = run_custom;
    prepare->kernel = "custom";
    prepare->params = params;
    return LEDGE_OK;
}

/* -- registration -- */

static enum ledge_status check(const struct ledge_custom_op *ops, int32_t i,
                               struct ledge_error *err)
{
    const struct ledge_graph nothing = {.extra_ops = NULL};
    const struct ledge_custom_op *op = &ops[i];
    if (op->domain == NULL || op->name == NULL || op->name[0] == '\0' || op->infer == NULL) {
        return ledge_fail(err, LEDGE_ERR_ARG, "custom operator %d needs a domain, a name and infer",
                          (int)i);
    }
    const struct ledge_node node = {.op = op->name, .domain = op->domain};
    if (ledge_op_find(&nothing, &node) != NULL) {
        return ledge_fail(err, LEDGE_ERR_EXISTS, "custom operator %s is built in", op->name);
    }
    for (int32_t k = 0; k < i; k++) {
        if (strcmp(ops[k].name, op->name) == 0 && strcmp(ops[k].domain, op->domain) == 0) {
            return ledge_fail(err, LEDGE_ERR_ARG, "custom operator %s is given twice", op->name);
        }
    }
    return LEDGE_OK;
}

static const char *plain_domain(const char *domain)
{
    return strcmp(domain, "ai.onnx") == 0 ? "" : domain;
}

enum ledge_status ledge_custom_register(struct ledge_graph *graph,
                                        const struct ledge_custom_op *ops, int32_t n,
                                        struct ledge_error *err)
{
    if (n == 0) {
        return LEDGE_OK;
    }
    if (n < 0 || ops == NULL) {
        return ledge_fail(err, LEDGE_ERR_ARG, "%d custom operators, none given", (int)n);
    }
    struct ledge_arena *arena = &graph->arena;
    struct table *table = LEDGE_NEW(arena, struct table);
    struct ledge_op *built = LEDGE_NEW_ARRAY(arena, struct ledge_op, (size_t)n);
    struct ledge_custom_op *kept = LEDGE_NEW_ARRAY(arena, struct ledge_custom_op, (size_t)n);
    bool complete = table != NULL && built != NULL && kept != NULL;
    for (int32_t i = 0; complete && i < n; i++) {
        LEDGE_TRY(check(ops, i, err));
        const char *domain = plain_domain(ops[i].domain);
        kept[i] = ops[i];
        kept[i].domain = ledge_arena_text(arena, domain, strlen(domain));
        kept[i].name = ledge_arena_text(arena, ops[i].name, strlen(ops[i].name));
        complete = kept[i].domain != NULL && kept[i].name != NULL;
        built[i] = (struct ledge_op){.domain = kept[i].domain,
                                     .name = kept[i].name,
                                     .infer = infer_custom,
                                     .prepare = prepare_custom};
    }
    if (!complete) {
        return ledge_fail(err, LEDGE_ERR_NOMEM, "no memory for %d custom operators", (int)n);
    }
    *table = (struct table){.built = {.ops = built, .n = n}, .ops = kept};
    graph->extra_ops = &table->built;
    return LEDGE_OK;
}

/* -- for the callbacks -- */

static const struct ledge_node *inner(const struct ledge_custom_node *node)
{
    return (const struct ledge_node *)(const void *)node;
}

int64_t ledge_custom_int(const struct ledge_custom_node *node, const char *name, int64_t fallback)
{
    return ledge_node_int(inner(node), name, fallback);
}

float ledge_custom_float(const struct ledge_custom_node *node, const char *name, float fallback)
{
    return ledge_node_float(inner(node), name, fallback);
}

const char *ledge_custom_string(const struct ledge_custom_node *node, const char *name,
                                const char *fallback)
{
    return ledge_node_string(inner(node), name, fallback);
}

const int64_t *ledge_custom_ints(const struct ledge_custom_node *node, const char *name, size_t *n)
{
    return ledge_node_ints(inner(node), name, n);
}

const float *ledge_custom_floats(const struct ledge_custom_node *node, const char *name, size_t *n)
{
    const struct ledge_attr *attr = ledge_node_attr(inner(node), name);
    bool there = attr != NULL && attr->type == LEDGE_ATTR_FLOATS;
    *n = there ? attr->n : 0;
    return there ? attr->floats : NULL;
}

enum ledge_status ledge_custom_fail(const struct ledge_custom_call *call, enum ledge_status status,
                                    const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(call->err->text, sizeof call->err->text, format, args);
    va_end(args);
    call->err->status = status;
    return status;
}

const struct ledge_ops_host *ledge_ops_host_get(void)
{
    static const struct ledge_ops_host host = {.bytes = sizeof host,
                                               .get_int = ledge_custom_int,
                                               .get_float = ledge_custom_float,
                                               .get_string = ledge_custom_string,
                                               .get_ints = ledge_custom_ints,
                                               .get_floats = ledge_custom_floats,
                                               .wait = ledge_custom_wait,
                                               .give = ledge_custom_give,
                                               .fail = ledge_custom_fail};
    return &host;
}
