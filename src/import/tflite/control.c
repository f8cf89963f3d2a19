/* SPDX-License-Identifier: Apache-2.0 */
/* control.c -- IF and WHILE become If and Loop of ai.onnx; the subgraphs they name become bodies.
 *
 * TFLite hands a body its inputs; an If's branches capture them instead. The condition of a WHILE
 * is a body of its own, called before the first trip and behind each: there it stands in an If
 * whose condition is true, which the planner replaces by its branch. What is kept from run to run
 * cannot be kept in a body: variables and recurrent layers there are refused by name.
 */
#include <string.h>

#include "base/status.h"
#include "import/tflite/importer.h"

/* Off the budget for each tensor of a subgraph read, so that bodies that call bodies end. */
enum { TENSOR_PRICE = 64 };

static enum ledge_status no_memory(struct ledge_tflite *t)
{
    return ledge_tflite_done(t, false);
}

/* Subgraph number i of n inputs and n_out outputs as a body of t->graph; *sub NULL: noted why it
 * cannot be. */
static enum ledge_status read_body(struct ledge_tflite *t, const struct ledge_tflite_op *op,
                                   int32_t i, int32_t n, int32_t n_out, struct ledge_graph **sub)
{
    struct ledge_graph *outer = t->graph;
    *sub = NULL;
    if (outer->depth >= LEDGE_MAX_DEPTH) {
        return ledge_tflite_unsupported(t, op, "too deep");
    }
    struct ledge_graph *made = ledge_graph_sub(outer);
    if (made == NULL) {
        return no_memory(t);
    }
    t->graph = made;
    enum ledge_status status = ledge_tflite_read_body(t, i, TENSOR_PRICE);
    t->graph = outer;
    LEDGE_TRY(status);
    if (made->n_inputs != n || made->n_outputs != n_out) {
        return ledge_tflite_unsupported(t, op, "another number of inputs or outputs");
    }
    for (int32_t k = 0; k < n; k++) { /* it may be run with other shapes than it was written with */
        made->values[made->inputs[k]].rank = -1;
    }
    *sub = made;
    return LEDGE_OK;
}

/* An If of t->graph on value `condition`: both branches capture the n values. */
static int32_t add_if(struct ledge_tflite *t, int32_t condition, const int32_t *values, int32_t n,
                      struct ledge_graph *yes, struct ledge_graph *no, const int32_t *out,
                      int32_t n_out)
{
    int32_t *in = LEDGE_NEW_ARRAY(&t->graph->arena, int32_t, 1 + 2 * (size_t)n);
    if (in == NULL || condition < 0) {
        return -1;
    }
    in[0] = condition;
    for (int32_t k = 0; k < n; k++) {
        in[1 + k] = in[1 + n + k] = values[k];
    }
    yes->n_captures = no->n_captures = n;
    int32_t node = ledge_tflite_node(t, "", "If", in, 1 + 2 * n, out, n_out);
    return node >= 0 && ledge_graph_set_graph(t->graph, node, "then_branch", yes) &&
                   ledge_graph_set_graph(t->graph, node, "else_branch", no)
               ? node
               : -1;
}

/* Values of the operator's inputs from number `from` on. */
static enum ledge_status take_inputs(struct ledge_tflite *t, const struct ledge_tflite_op *op,
                                     int32_t from, int32_t **values)
{
    int32_t n = op->n_in - from;
    *values = LEDGE_NEW_ARRAY(&t->graph->arena, int32_t, (size_t)n);
    for (int32_t k = 0; *values != NULL && k < n; k++) {
        (*values)[k] = ledge_tflite_in_value(t, op, from + k);
        if ((*values)[k] < 0) {
            return op->in[from + k] < 0 ? ledge_fail(t->err, LEDGE_ERR_FORMAT,
                                                     "TFLite: %s: an input is missing", op->name)
                                        : no_memory(t);
        }
    }
    return ledge_tflite_done(t, *values != NULL);
}

static enum ledge_status make_outputs(struct ledge_tflite *t, const struct ledge_tflite_op *op,
                                      int32_t **values)
{
    *values = LEDGE_NEW_ARRAY(&t->graph->arena, int32_t, (size_t)op->n_out);
    for (int32_t k = 0; *values != NULL && k < op->n_out; k++) {
        (*values)[k] = op->out[k] < 0 ? ledge_tflite_temp(t) : ledge_tflite_out_value(t, op, k);
        LEDGE_TRY(ledge_tflite_done(t, (*values)[k] >= 0));
    }
    return ledge_tflite_done(t, *values != NULL);
}

enum ledge_status ledge_tflite_if(struct ledge_tflite *t, const struct ledge_tflite_op *op)
{
    int32_t *in, *out;
    struct ledge_graph *yes, *no;
    LEDGE_TRY(take_inputs(t, op, 1, &in));
    LEDGE_TRY(read_body(t, op, ledge_fb_i32(&t->fb, op->options, IF_then, 0), op->n_in - 1,
                        op->n_out, &yes));
    LEDGE_TRY(read_body(t, op, ledge_fb_i32(&t->fb, op->options, IF_else, 0), op->n_in - 1,
                        op->n_out, &no));
    if (yes == NULL || no == NULL) {
        return LEDGE_OK; /* noted */
    }
    int32_t condition = ledge_tflite_in_value(t, op, 0);
    LEDGE_TRY(make_outputs(t, op, &out));
    return ledge_tflite_done(t,
                             add_if(t, condition, in, op->n_in - 1, yes, no, out, op->n_out) >= 0);
}

/* What the condition says of the n values, as a value of t->graph. *value -1: noted. */
static enum ledge_status ask(struct ledge_tflite *t, const struct ledge_tflite_op *op,
                             const int32_t *values, int32_t n, int32_t *value)
{
    static const uint8_t yes = 1;
    struct ledge_graph *sub;
    *value = -1;
    LEDGE_TRY(read_body(t, op, ledge_fb_i32(&t->fb, op->options, WHILE_cond, 0), n, 1, &sub));
    if (sub == NULL) {
        return LEDGE_OK;
    }
    int32_t always = ledge_graph_add_constant(t->graph, NULL, LEDGE_BOOL, 0, NULL, &yes, true);
    *value = ledge_tflite_temp(t);
    return ledge_tflite_done(t,
                             *value >= 0 && add_if(t, always, values, n, sub, sub, value, 1) >= 0);
}

/* The last entry of a list first. */
static void turn(int32_t *list, int32_t n)
{
    int32_t last = list[n - 1];
    memmove(list + 1, list, (size_t)(n - 1) * sizeof *list);
    list[0] = last;
}

/* A Loop's body has the number of the trip and the condition as inputs before its own, and the
 * next condition as output before its own. */
static enum ledge_status complete(struct ledge_tflite *t, const struct ledge_tflite_op *op,
                                  struct ledge_graph *body, bool *good)
{
    struct ledge_graph *outer = t->graph;
    int32_t condition;
    t->graph = body;
    enum ledge_status status = ask(t, op, body->outputs, body->n_outputs, &condition);
    t->graph = outer;
    LEDGE_TRY(status);
    *good = condition >= 0;
    if (!*good) {
        return LEDGE_OK;
    }
    for (int i = 0; i < 2; i++) { /* the condition, then the number, each to the front */
        int32_t value = ledge_graph_add_value(body, NULL, i == 0 ? LEDGE_BOOL : LEDGE_I64, 0, NULL);
        LEDGE_TRY(ledge_tflite_done(t, value >= 0 && ledge_graph_add_input(body, value) >= 0));
        turn(body->inputs, body->n_inputs);
    }
    LEDGE_TRY(ledge_tflite_done(t, ledge_graph_add_output(body, condition) >= 0));
    turn(body->outputs, body->n_outputs);
    return t->missing == NULL ? ledge_graph_sort(body, t->err) : LEDGE_OK;
}

enum ledge_status ledge_tflite_while(struct ledge_tflite *t, const struct ledge_tflite_op *op)
{
    int32_t *values, *in, *out, first, n = op->n_in;
    struct ledge_graph *body;
    bool good = false;
    if (op->n_out != n) {
        return ledge_tflite_unsupported(t, op, "another number of inputs or outputs");
    }
    LEDGE_TRY(take_inputs(t, op, 0, &values));
    LEDGE_TRY(ask(t, op, values, n, &first));
    LEDGE_TRY(read_body(t, op, ledge_fb_i32(&t->fb, op->options, WHILE_body, 0), n, n, &body));
    if (body != NULL && first >= 0) {
        LEDGE_TRY(complete(t, op, body, &good));
    }
    if (!good) {
        return LEDGE_OK; /* noted */
    }
    in = LEDGE_NEW_ARRAY(&t->graph->arena, int32_t, (size_t)n + 2);
    LEDGE_TRY(ledge_tflite_done(t, in != NULL));
    in[0] = -1;
    in[1] = first;
    memcpy(in + 2, values, (size_t)n * sizeof *in);
    LEDGE_TRY(make_outputs(t, op, &out));
    int32_t node = ledge_tflite_node(t, "", "Loop", in, n + 2, out, n);
    return ledge_tflite_done(t, node >= 0 && ledge_graph_set_graph(t->graph, node, "body", body));
}
