/* SPDX-License-Identifier: Apache-2.0 */
/* state.c -- variables become states of the graph (graph.h).
 *
 * Operators are read in the order they run in, so each variable is followed from value to value:
 * a read yields what it is at that point, an assignment only notes the new value. What a variable
 * is at first is the state's `in`, what it is behind the last operator its `out`. CALL_ONCE may
 * give it a constant; without one it begins as zeros (i8: the zero point), as in TFLite.
 *
 * The same holds for variable tensors (SVDF, LSTM), which an operator reads and writes at once.
 */
#include <string.h>

#include "base/checked.h"
#include "base/status.h"
#include "import/tflite/importer.h"

static bool same_name(struct ledge_fb_vector a, struct ledge_fb_vector b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.data, b.data, a.n) == 0);
}

static bool same_shape(const struct ledge_tflite_tensor *a, const struct ledge_tflite_tensor *b)
{
    bool same = a->dtype == b->dtype && a->rank == b->rank;
    for (int32_t i = 0; same && i < a->rank; i++) {
        same = a->dims[i] == b->dims[i];
    }
    return same;
}

/* The constant that a variable without one begins with: -1 for zeros. */
static enum ledge_status fresh(struct ledge_tflite *t, const struct ledge_tflite_tensor *tensor,
                               int32_t *init)
{
    int64_t zero = tensor->zeros.n > 0 ? ledge_fb_item_i64(tensor->zeros, 0) : 0;
    size_t bytes = 1;
    *init = -1;
    if (tensor->dtype != LEDGE_I8 || zero == 0) {
        return LEDGE_OK;
    }
    for (int32_t i = 0; i < tensor->rank; i++) {
        if (tensor->dims[i] < 0 || !ledge_mul_size(bytes, (size_t)tensor->dims[i], &bytes)) {
            return ledge_tflite_done(t, false);
        }
    }
    LEDGE_TRY(ledge_tflite_spend(t, bytes));
    uint8_t *data = ledge_arena_alloc(&t->graph->arena, bytes, 64);
    LEDGE_TRY(ledge_tflite_done(t, data != NULL));
    memset(data, (uint8_t)zero, bytes);
    *init =
        ledge_graph_add_constant(t->graph, NULL, LEDGE_I8, tensor->rank, tensor->dims, data, false);
    return ledge_tflite_done(t, *init >= 0);
}

enum ledge_status ledge_tflite_state(struct ledge_tflite *t, const struct ledge_tflite_op *op,
                                     int32_t i, int32_t *in, int32_t *out)
{
    *in = -1;
    *out = -1;
    if (i >= op->n_in || op->in[i] < 0) {
        return ledge_tflite_unsupported(t, op, "without state");
    }
    struct ledge_tflite_tensor *tensor = &t->tensors[op->in[i]];
    if (tensor->state < 0) {
        if (tensor->given || tensor->value >= 0 || t->graph->n_states >= TFLITE_MAX_STATES) {
            return ledge_tflite_unsupported(t, op, "state");
        }
        struct ledge_state state;
        LEDGE_TRY(fresh(t, tensor, &state.init));
        state.in = ledge_tflite_value(t, op->in[i]);
        state.out = state.in;
        LEDGE_TRY(ledge_tflite_done(t, state.in >= 0));
        tensor->state = ledge_graph_add_state(t->graph, state);
        LEDGE_TRY(ledge_tflite_done(t, tensor->state >= 0));
        tensor->given = true;
    }
    *in = tensor->value;
    *out = ledge_graph_add_value(t->graph, NULL, tensor->dtype, tensor->rank, tensor->dims);
    LEDGE_TRY(ledge_tflite_done(t, *out >= 0));
    if (ledge_tflite_quantised(tensor)) {
        LEDGE_TRY(ledge_tflite_set_quant(t, tensor, *out));
    }
    t->graph->states[tensor->state].out = *out;
    tensor->value = *out;
    return LEDGE_OK;
}

enum ledge_status ledge_tflite_call_once(struct ledge_tflite *t, const struct ledge_tflite_op *op)
{
    if (++t->n_calls > TFLITE_MAX_CALLS) {
        return ledge_tflite_unsupported(t, op, "too many");
    }
    t->once = true;
    enum ledge_status status =
        ledge_tflite_read_inner(t, ledge_fb_i32(&t->fb, op->options, CALL_ONCE_subgraph, 0));
    t->once = false;
    return status;
}

enum ledge_status ledge_tflite_var_handle(struct ledge_tflite *t, const struct ledge_tflite_op *op)
{
    struct ledge_fb_vector container =
        ledge_fb_vector(&t->fb, op->options, VAR_HANDLE_container, 1);
    struct ledge_fb_vector name = ledge_fb_vector(&t->fb, op->options, VAR_HANDLE_name, 1);
    int32_t i = 0;
    while (i < t->n_variables && !(same_name(t->variables[i].name, name) &&
                                   same_name(t->variables[i].container, container))) {
        i++;
    }
    if (i == TFLITE_MAX_STATES) {
        return ledge_tflite_unsupported(t, op, "too many");
    }
    if (t->variables == NULL) {
        t->variables =
            LEDGE_NEW_ARRAY(&t->graph->arena, struct ledge_tflite_variable, TFLITE_MAX_STATES);
        LEDGE_TRY(ledge_tflite_done(t, t->variables != NULL));
    }
    if (i == t->n_variables) {
        t->variables[t->n_variables++] = (struct ledge_tflite_variable){.container = container,
                                                                        .name = name,
                                                                        .now = -1,
                                                                        .state = -1,
                                                                        .is = {.rank = -1},
                                                                        .init = -1};
    }
    t->tensors[op->out[0]].variable = i;
    return LEDGE_OK;
}

/* The variable behind input 0, NULL when the resource is none. */
static struct ledge_tflite_variable *variable_of(const struct ledge_tflite *t,
                                                 const struct ledge_tflite_op *op)
{
    int32_t number = t->tensors[op->in[0]].variable;
    return number >= 0 ? &t->variables[number] : NULL;
}

/* The first read makes the state. */
static enum ledge_status begin(struct ledge_tflite *t, const struct ledge_tflite_op *op,
                               struct ledge_tflite_variable *variable)
{
    struct ledge_state state = {.init = variable->init};
    if (variable->init < 0) {
        LEDGE_TRY(fresh(t, &t->tensors[op->out[0]], &state.init));
    }
    state.in = ledge_tflite_out_value(t, op, 0);
    state.out = state.in;
    LEDGE_TRY(ledge_tflite_done(t, state.in >= 0));
    variable->state = ledge_graph_add_state(t->graph, state);
    variable->now = state.in;
    variable->is = t->tensors[op->out[0]];
    return ledge_tflite_done(t, variable->state >= 0);
}

enum ledge_status ledge_tflite_read_variable(struct ledge_tflite *t,
                                             const struct ledge_tflite_op *op)
{
    struct ledge_tflite_variable *variable = variable_of(t, op);
    struct ledge_tflite_tensor *y = &t->tensors[op->out[0]];
    if (variable == NULL || y->given || y->value >= 0 || t->graph->n_states >= TFLITE_MAX_STATES ||
        (variable->is.rank >= 0 && !same_shape(&variable->is, y))) {
        return ledge_tflite_unsupported(t, op, "resource");
    }
    if (variable->now < 0) {
        return begin(t, op, variable);
    }
    y->value = variable->now;
    return LEDGE_OK;
}

enum ledge_status ledge_tflite_assign_variable(struct ledge_tflite *t,
                                               const struct ledge_tflite_op *op)
{
    struct ledge_tflite_variable *variable = variable_of(t, op);
    const struct ledge_tflite_tensor *x = ledge_tflite_in(t, op, 1);
    if (variable == NULL || (variable->is.rank >= 0 && !same_shape(&variable->is, x)) ||
        (t->once && (x->data == NULL || variable->now >= 0))) {
        return ledge_tflite_unsupported(t, op, "resource");
    }
    int32_t value = ledge_tflite_in_value(t, op, 1);
    LEDGE_TRY(ledge_tflite_done(t, value >= 0));
    variable->is = *x;
    if (t->once) {
        variable->init = value;
        return LEDGE_OK;
    }
    variable->now = value;
    if (variable->state >= 0) {
        t->graph->states[variable->state].out = value;
    }
    return LEDGE_OK;
}
