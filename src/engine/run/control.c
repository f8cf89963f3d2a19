/* SPDX-License-Identifier: Apache-2.0 */
/* control.c -- If, Loop and SequenceMap: bodies are run by nest.c, values are handed from one to
 * the next here. Sources: ONNX operators If-24, Loop-24, SequenceMap-17. */
#include <string.h>

#include "base/banned.h"
#include "base/checked.h"
#include "base/status.h"
#include "engine/run/late_ops.h"

/* The body, and where its captures stand among the node's inputs. Errors: ERR_FORMAT. */
static enum ledge_status body_of(const struct ledge_late_call *call, const char *name,
                                 const struct ledge_graph **body, int32_t *captures)
{
    int32_t at = ledge_node_own_inputs(call->node);
    for (int32_t i = 0; i < call->node->n_attrs; i++) {
        const struct ledge_attr *attr = &call->node->attrs[i];
        if (attr->type != LEDGE_ATTR_GRAPH) {
            continue;
        }
        if (strcmp(attr->name, name) == 0 && attr->graph->n_captures <= call->n_in - at) {
            *body = attr->graph;
            *captures = at;
            return LEDGE_OK;
        }
        at += attr->graph->n_captures;
    }
    return ledge_late_fail(call, LEDGE_ERR_FORMAT, "there is no %s", name);
}

enum ledge_status ledge_late_if(const struct ledge_late_call *call)
{
    int64_t condition = 0;
    const struct ledge_graph *body = NULL;
    int32_t at = 0;
    LEDGE_TRY(ledge_late_whole(call, 0, &condition));
    LEDGE_TRY(body_of(call, condition != 0 ? "then_branch" : "else_branch", &body, &at));
    struct ledge_any *out =
        LEDGE_NEW_ARRAY(call->memory, struct ledge_any, (size_t)body->n_outputs);
    if (out == NULL) {
        return ledge_late_fail(call, LEDGE_ERR_NOMEM, "no memory");
    }
    if (body->n_outputs < call->n_out) {
        return ledge_late_fail(call, LEDGE_ERR_FORMAT, "the branch has %d outputs, not %d",
                               (int)body->n_outputs, (int)call->n_out);
    }
    LEDGE_TRY(ledge_nest_run(call->nest, body, &call->in[at], &call->constant[at], body->n_captures,
                             out, call->err));
    for (int32_t i = 0; i < call->n_out; i++) {
        call->out[i] = out[i];
    }
    return LEDGE_OK;
}

/* -- Loop -- */

/* One output of the body stacked along a new first dimension; room doubles. */
struct stack {
    struct ledge_view item; /* shape of one */
    char *data;
    size_t bytes; /* of one */
    int64_t n, cap;
};

static enum ledge_status push(const struct ledge_late_call *call, struct stack *stack,
                              const struct ledge_any *any, int32_t number)
{
    const struct ledge_view *view = &any->view;
    if (any->kind != LEDGE_ANY_TENSOR || view->rank >= LEDGE_MAX_RANK) {
        return ledge_late_fail(call, LEDGE_ERR_DTYPE, "scan output %d is no tensor of rank < %d",
                               (int)number, LEDGE_MAX_RANK);
    }
    if (stack->n == 0) {
        stack->item = *view;
        stack->bytes = ledge_view_bytes(view);
    }
    bool same =
        view->dtype == stack->item.dtype && view->rank == stack->item.rank &&
        memcmp(view->dims, stack->item.dims, (size_t)view->rank * sizeof view->dims[0]) == 0;
    if (!same) {
        return ledge_late_fail(call, LEDGE_ERR_SHAPE, "scan output %d changes its shape",
                               (int)number);
    }
    if (stack->n == stack->cap) {
        int64_t cap = stack->cap < 8 ? 8 : 2 * stack->cap;
        size_t room;
        char *bigger = ledge_mul_size(stack->bytes, (size_t)cap, &room) && room <= PTRDIFF_MAX / 2
                           ? ledge_arena_alloc(call->memory, room, 64)
                           : NULL;
        if (bigger == NULL) {
            return ledge_late_fail(call, LEDGE_ERR_NOMEM, "no memory for scan output %d",
                                   (int)number);
        }
        if (stack->n > 0 && stack->bytes > 0) {
            memcpy(bigger, stack->data, stack->bytes * (size_t)stack->n);
        }
        stack->data = bigger;
        stack->cap = cap;
    }
    if (stack->bytes > 0) {
        memcpy(stack->data + stack->bytes * (size_t)stack->n, view->data, stack->bytes);
    }
    stack->n++;
    return LEDGE_OK;
}

static struct ledge_any stacked(const struct stack *stack)
{
    struct ledge_view view = {
        .data = stack->data, .dtype = stack->item.dtype, .rank = stack->item.rank + 1};
    view.dims[0] = stack->n;
    memcpy(view.dims + 1, stack->item.dims, (size_t)stack->item.rank * sizeof view.dims[0]);
    return ledge_any_tensor(view);
}

struct loop {
    const struct ledge_graph *body;
    int32_t carried, scans;
    int64_t trips; /* -1: until the condition fails */
    bool go;
    int64_t number;
    uint8_t condition;
    struct ledge_any counter, flag;
    struct ledge_any *values;        /* of the carried ones */
    const struct ledge_any **inputs; /* of the body */
    bool *constant;
    struct ledge_any *outputs; /* of the body */
    struct stack *stacks;
    struct ledge_arena memory[2]; /* what is carried now, and next */
};

static enum ledge_status loop_begin(const struct ledge_late_call *call, struct loop *loop)
{
    int32_t at = 0;
    int32_t own = ledge_node_own_inputs(call->node);
    int64_t condition = 1;
    LEDGE_TRY(body_of(call, "body", &loop->body, &at));
    loop->carried = own - 2;
    loop->scans = loop->body->n_outputs - 1 - loop->carried;
    if (own < 2 || loop->scans < 0 || call->n_out > loop->body->n_outputs - 1 ||
        loop->body->n_inputs - loop->body->n_captures != own) {
        return ledge_late_fail(call, LEDGE_ERR_FORMAT, "the body does not fit the node");
    }
    loop->trips = -1;
    if (call->in[0] != NULL && call->in[0]->kind != LEDGE_ANY_NONE) {
        LEDGE_TRY(ledge_late_whole(call, 0, &loop->trips));
        loop->trips = loop->trips < 0 ? 0 : loop->trips;
    }
    if (call->in[1] != NULL && call->in[1]->kind != LEDGE_ANY_NONE) {
        LEDGE_TRY(ledge_late_whole(call, 1, &condition));
    }
    loop->go = condition != 0;
    size_t n_in = (size_t)loop->body->n_inputs, n_out = (size_t)loop->body->n_outputs;
    loop->inputs = LEDGE_NEW_ARRAY(call->memory, const struct ledge_any *, n_in);
    loop->constant = LEDGE_NEW_ARRAY(call->memory, bool, n_in);
    loop->outputs = LEDGE_NEW_ARRAY(call->memory, struct ledge_any, n_out);
    loop->values = LEDGE_NEW_ARRAY(call->memory, struct ledge_any, (size_t)loop->carried);
    loop->stacks = LEDGE_NEW_ARRAY(call->memory, struct stack, (size_t)loop->scans);
    if (loop->inputs == NULL || loop->constant == NULL || loop->outputs == NULL ||
        loop->values == NULL || loop->stacks == NULL) {
        return ledge_late_fail(call, LEDGE_ERR_NOMEM, "no memory");
    }
    loop->counter =
        ledge_any_tensor((struct ledge_view){.data = &loop->number, .dtype = LEDGE_I64});
    loop->flag =
        ledge_any_tensor((struct ledge_view){.data = &loop->condition, .dtype = LEDGE_BOOL});
    loop->inputs[0] = &loop->counter;
    loop->inputs[1] = &loop->flag;
    for (int32_t i = 0; i < loop->carried; i++) {
        loop->values[i] =
            call->in[2 + i] != NULL ? *call->in[2 + i] : (struct ledge_any){.kind = LEDGE_ANY_NONE};
        loop->inputs[2 + i] = &loop->values[i];
    }
    for (int32_t i = 0; i < loop->body->n_captures; i++) {
        loop->inputs[own + i] = call->in[at + i];
        loop->constant[own + i] = call->constant[at + i];
    }
    return LEDGE_OK;
}

/* The next iteration reads copies: the body's own memory is about to be written. */
static enum ledge_status loop_carry(const struct ledge_late_call *call, struct loop *loop)
{
    struct ledge_arena *next = &loop->memory[(loop->number + 1) % 2];
    struct ledge_allocator allocator = next->allocator;
    ledge_arena_done(next);
    ledge_arena_init(next, &allocator);
    for (int32_t i = 0; i < loop->carried; i++) {
        struct ledge_any copy;
        if (!ledge_any_copy(next, &loop->outputs[1 + i], &copy)) {
            return ledge_late_fail(call, LEDGE_ERR_NOMEM, "no memory for what the loop carries");
        }
        loop->values[i] = copy;
    }
    for (int32_t i = 0; i < loop->scans; i++) {
        LEDGE_TRY(push(call, &loop->stacks[i], &loop->outputs[1 + loop->carried + i], i));
    }
    return LEDGE_OK;
}

static enum ledge_status loop_condition(const struct ledge_late_call *call, struct loop *loop)
{
    const struct ledge_any *out = &loop->outputs[0];
    if (out->kind != LEDGE_ANY_TENSOR || out->view.dtype != LEDGE_BOOL ||
        ledge_view_count(&out->view) != 1) {
        return ledge_late_fail(call, LEDGE_ERR_DTYPE, "the body's condition is not one bool");
    }
    loop->go = *(const uint8_t *)out->view.data != 0;
    return LEDGE_OK;
}

/* No trip was made: scan outputs are empty, their shape is what planning the body tells. */
static enum ledge_status loop_empty(const struct ledge_late_call *call, struct loop *loop)
{
    struct ledge_view *shapes =
        LEDGE_NEW_ARRAY(call->memory, struct ledge_view, (size_t)loop->body->n_outputs);
    if (shapes == NULL) {
        return ledge_late_fail(call, LEDGE_ERR_NOMEM, "no memory");
    }
    LEDGE_TRY(ledge_nest_shapes(call->nest, loop->body, loop->inputs, loop->constant,
                                loop->body->n_inputs, shapes, call->err));
    for (int32_t i = 0; i < loop->scans; i++) {
        struct stack *stack = &loop->stacks[i];
        int32_t value = loop->body->outputs[1 + loop->carried + i];
        stack->item = shapes[1 + loop->carried + i];
        stack->data = ledge_arena_alloc(call->memory, 0, 64);
        if (stack->item.rank < 0) { /* declared, at best */
            stack->item = ledge_value_view(&loop->body->values[value]);
            for (int32_t k = 0; k < stack->item.rank; k++) {
                stack->item.dims[k] = stack->item.dims[k] < 0 ? 0 : stack->item.dims[k];
            }
        }
        stack->item.rank = stack->item.rank < 0 ? 0 : stack->item.rank;
        if (stack->data == NULL || stack->item.rank >= LEDGE_MAX_RANK ||
            ledge_dtype_size(stack->item.dtype) == 0) {
            return ledge_late_fail(call, LEDGE_ERR_SHAPE, "no trip, and scan output %d is unknown",
                                   (int)i);
        }
    }
    return LEDGE_OK;
}

static enum ledge_status loop_end(const struct ledge_late_call *call, struct loop *loop)
{
    for (int32_t i = 0; i < call->n_out; i++) {
        if (i >= loop->carried) {
            call->out[i] = stacked(&loop->stacks[i - loop->carried]);
        } else if (!ledge_any_copy(call->memory, &loop->values[i], &call->out[i])) {
            return ledge_late_fail(call, LEDGE_ERR_NOMEM, "no memory for output %d", (int)i);
        }
    }
    return LEDGE_OK;
}

static enum ledge_status loop_run(const struct ledge_late_call *call, struct loop *loop)
{
    LEDGE_TRY(loop_begin(call, loop));
    while (loop->go && (loop->trips < 0 || loop->number < loop->trips)) {
        if (call->max_trips > 0 && loop->number == call->max_trips) {
            return ledge_late_fail(call, LEDGE_ERR_RANGE, "more than %lld trips",
                                   (long long)call->max_trips);
        }
        loop->condition = 1;
        LEDGE_TRY(ledge_nest_run(call->nest, loop->body, loop->inputs, loop->constant,
                                 loop->body->n_inputs, loop->outputs, call->err));
        LEDGE_TRY(loop_carry(call, loop));
        LEDGE_TRY(loop_condition(call, loop));
        loop->number++;
    }
    if (loop->number == 0 && loop->scans > 0) {
        LEDGE_TRY(loop_empty(call, loop));
    }
    return loop_end(call, loop);
}

enum ledge_status ledge_late_loop(const struct ledge_late_call *call)
{
    struct loop loop = {.number = 0};
    ledge_arena_init(&loop.memory[0], &call->memory->allocator);
    ledge_arena_init(&loop.memory[1], &call->memory->allocator);
    enum ledge_status status = loop_run(call, &loop);
    ledge_arena_done(&loop.memory[0]);
    ledge_arena_done(&loop.memory[1]);
    return status;
}
