/* SPDX-License-Identifier: Apache-2.0 */
/* late.c -- see late.h. */
#include "engine/run/late.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/banned.h"
#include "base/status.h"
#include "engine/port/port.h"
#include "engine/run/tail.h"

/* Plans of plans: deeper, nodes run one by one. */
enum { DEEPEST_TAIL = 12 };

struct step {
    const struct ledge_node *node;
    ledge_late_fn whole; /* NULL: an ordinary node, run as a body of one node */
    struct ledge_graph alone;
    struct ledge_arena memory;
    struct ledge_nest *nest;
    const struct ledge_any **in;
    const struct ledge_any **given; /* those of in that are inputs of alone */
    struct ledge_any *out, *made;   /* of the node; of alone, where unwanted ones are left out */
    bool *constant, *absent;        /* absent: as alone was built */
    bool *given_constant;
};

struct ledge_late {
    const struct ledge_plan *plan;
    const struct ledge_view *views;
    struct ledge_pool *pool;
    struct ledge_arena memory;
    struct ledge_any *values; /* one per value of the plan's graph */
    struct step *steps;
    struct ledge_error err;
    /* The nodes from tail_from on as one graph; tail_from -1: not built. */
    struct ledge_tail tail;
    struct ledge_nest *tail_nest;
    int32_t tail_from;
    const struct ledge_any **tail_in;
    struct ledge_any *tail_out;
    bool *tail_constant; /* none: they stand in the graph */
};

/* -- help for whole operators -- */

enum ledge_status ledge_late_fail(const struct ledge_late_call *call, enum ledge_status status,
                                  const char *format, ...)
{
    char text[160];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return ledge_fail(call->err, status, "node %.60s (%.30s): %s", call->node->name, call->node->op,
                      text);
}

enum ledge_status ledge_late_tensor(const struct ledge_late_call *call, int32_t i,
                                    const struct ledge_view **view)
{
    if (i >= call->n_in || call->in[i] == NULL || call->in[i]->kind != LEDGE_ANY_TENSOR) {
        return ledge_late_fail(call, LEDGE_ERR_DTYPE, "input %d is no tensor", (int)i);
    }
    *view = &call->in[i]->view;
    return LEDGE_OK;
}

enum ledge_status ledge_late_sequence(const struct ledge_late_call *call, int32_t i,
                                      const struct ledge_any **sequence)
{
    if (i >= call->n_in || call->in[i] == NULL || call->in[i]->kind != LEDGE_ANY_SEQUENCE) {
        return ledge_late_fail(call, LEDGE_ERR_DTYPE, "input %d is no sequence", (int)i);
    }
    *sequence = call->in[i];
    return LEDGE_OK;
}

enum ledge_status ledge_late_whole(const struct ledge_late_call *call, int32_t i, int64_t *value)
{
    const struct ledge_view *view = NULL;
    LEDGE_TRY(ledge_late_tensor(call, i, &view));
    if (ledge_view_count(view) != 1) {
        return ledge_late_fail(call, LEDGE_ERR_SHAPE, "input %d is not one number", (int)i);
    }
    switch (view->dtype) {
    case LEDGE_I64:
        *value = *(const int64_t *)view->data;
        return LEDGE_OK;
    case LEDGE_I32:
        *value = *(const int32_t *)view->data;
        return LEDGE_OK;
    case LEDGE_BOOL:
        *value = *(const uint8_t *)view->data != 0;
        return LEDGE_OK;
    default:
        return ledge_late_fail(call, LEDGE_ERR_DTYPE, "input %d is %s, not i64, i32 or bool",
                               (int)i, ledge_dtype_text(view->dtype));
    }
}

enum ledge_status ledge_late_make(const struct ledge_late_call *call, int32_t i,
                                  enum ledge_dtype dtype, int32_t rank, const int64_t *dims,
                                  void **data)
{
    struct ledge_view view = ledge_view_new(call->memory, dtype, rank, dims);
    if (view.data == NULL) {
        return ledge_late_fail(call, LEDGE_ERR_NOMEM, "no memory for output %d", (int)i);
    }
    call->out[i] = ledge_any_tensor(view);
    *data = view.data;
    return LEDGE_OK;
}

/* -- an ordinary node: a plan of its own for the shapes it meets -- */

static enum ledge_status no_memory(struct ledge_late *late, const struct ledge_node *node)
{
    return ledge_fail(&late->err, LEDGE_ERR_NOMEM, "node %.60s (%.30s): no memory", node->name,
                      node->op);
}

static bool is_absent(const struct step *step, int32_t i)
{
    return step->in[i] == NULL || step->in[i]->kind == LEDGE_ANY_NONE;
}

static bool was_built_for(const struct step *step)
{
    bool same = step->alone.n_nodes == 1;
    for (int32_t i = 0; same && i < step->node->n_in; i++) {
        same = step->absent[i] == is_absent(step, i);
    }
    return same;
}

/* The node in a graph of its own, which has the inputs that are there. */
static bool build_alone(struct ledge_late *late, struct step *step)
{
    const struct ledge_node *node = step->node;
    const struct ledge_value *values = late->plan->graph.values;
    struct ledge_graph *graph = &step->alone;
    ledge_graph_done(graph);
    ledge_graph_init(graph, &late->memory.allocator);
    graph->extra_ops = late->plan->graph.extra_ops;
    graph->random_runs = late->plan->graph.random_runs;
    int32_t *in = LEDGE_NEW_ARRAY(&graph->arena, int32_t, (size_t)node->n_in);
    int32_t *out = LEDGE_NEW_ARRAY(&graph->arena, int32_t, (size_t)node->n_out);
    bool good = in != NULL && out != NULL;
    for (int32_t i = 0; good && i < node->n_in; i++) {
        in[i] = -1;
        step->absent[i] = is_absent(step, i);
        if (!step->absent[i]) {
            in[i] =
                ledge_graph_add_value(graph, values[node->in[i]].name, LEDGE_DTYPE_NONE, -1, NULL);
            good = in[i] >= 0 && ledge_graph_add_input(graph, in[i]) >= 0;
        }
    }
    for (int32_t i = 0; good && i < node->n_out; i++) {
        out[i] = -1;
        if (node->out[i] >= 0) {
            const struct ledge_value *value = &values[node->out[i]];
            out[i] = ledge_graph_add_value(graph, NULL, value->dtype, -1, NULL);
            good = out[i] >= 0 && ledge_graph_add_output(graph, out[i]) >= 0;
            if (good && value->quant != NULL) {
                graph->values[out[i]].quant =
                    ledge_graph_quant(graph, value->quant->scales, value->quant->zero_points,
                                      value->quant->n, value->quant->axis);
                good = graph->values[out[i]].quant != NULL;
            }
        }
    }
    int32_t made = !good ? -1
                         : ledge_graph_add_node(graph, node->domain, node->op, node->opset,
                                                node->name, in, node->n_in, out, node->n_out);
    if (made >= 0) {
        graph->nodes[made].attrs = node->attrs; /* read only: plans copy them */
        graph->nodes[made].n_attrs = node->n_attrs;
    }
    return made >= 0;
}

static enum ledge_status run_ordinary(struct ledge_late *late, struct step *step)
{
    const struct ledge_node *node = step->node;
    if (!was_built_for(step)) {
        ledge_nest_forget(step->nest);
        if (!build_alone(late, step)) {
            return no_memory(late, node);
        }
    }
    int32_t n = 0;
    for (int32_t i = 0; i < node->n_in; i++) {
        if (is_absent(step, i)) {
            continue;
        }
        if (step->in[i]->kind != LEDGE_ANY_TENSOR) {
            return ledge_fail(&late->err, LEDGE_ERR_DTYPE,
                              "node %.60s (%.30s): input %d is no tensor", node->name, node->op,
                              (int)i);
        }
        step->given_constant[n] = step->constant[i];
        step->given[n++] = step->in[i];
    }
    LEDGE_TRY(ledge_nest_run(step->nest, &step->alone, step->given, step->given_constant, n,
                             step->made, &late->err));
    int32_t from = 0;
    for (int32_t i = 0; i < node->n_out; i++) {
        if (node->out[i] >= 0) {
            step->out[i] = step->made[from++];
        }
    }
    return LEDGE_OK;
}

/* -- what is left, as one graph -- */

bool ledge_may_be_key(const struct ledge_view *view)
{
    return view->dtype != LEDGE_STRING && ledge_view_bytes(view) <= LEDGE_NEST_VALUE_MAX;
}

/* Would a plan for this node and those after it, with the values known now, get on? Not when it is
 * a whole operator, which no plan can hold, reads something that is no tensor, or waits for more
 * than a key may hold. */
static bool can_lead(const struct ledge_late *late, const struct step *step)
{
    const struct ledge_node *node = step->node;
    bool can = step->whole == NULL || ledge_plan_has_branches(node);
    for (int32_t i = 0; can && i < node->n_in; i++) {
        if (node->in[i] < 0) {
            continue;
        }
        const struct ledge_any *any = &late->values[node->in[i]];
        can = any->kind == LEDGE_ANY_TENSOR && (!late->plan->graph.values[node->in[i]].awaited ||
                                                step->constant[i] || ledge_may_be_key(&any->view));
    }
    return can;
}

static enum ledge_status build_tail(struct ledge_late *late, int32_t from)
{
    const struct ledge_allocator *allocator = &late->memory.allocator;
    late->tail_from = from;
    LEDGE_TRY(ledge_tail_build(&late->tail, late->plan, from, allocator, &late->err));
    size_t n_in = (size_t)late->tail.graph.n_inputs, n_out = (size_t)late->tail.graph.n_outputs;
    late->tail_nest = ledge_nest_create(late->plan, late->pool, LEDGE_NEST_TAIL, allocator);
    late->tail_in = LEDGE_NEW_ARRAY(&late->memory, const struct ledge_any *, n_in);
    late->tail_out = LEDGE_NEW_ARRAY(&late->memory, struct ledge_any, n_out);
    late->tail_constant = LEDGE_NEW_ARRAY(&late->memory, bool, n_in);
    if (late->tail_nest == NULL || late->tail_in == NULL || late->tail_out == NULL ||
        late->tail_constant == NULL) {
        return ledge_fail(&late->err, LEDGE_ERR_NOMEM, "no memory for late nodes");
    }
    return LEDGE_OK;
}

/* All nodes from number `from` on. */
static enum ledge_status run_tail(struct ledge_late *late, int32_t from)
{
    if (late->tail_from < 0) {
        LEDGE_TRY(build_tail(late, from));
    }
    const struct ledge_graph *graph = &late->tail.graph;
    for (int32_t i = 0; i < graph->n_inputs; i++) {
        late->tail_in[i] = &late->values[late->tail.in[i]];
    }
    LEDGE_TRY(ledge_nest_run(late->tail_nest, graph, late->tail_in, late->tail_constant,
                             graph->n_inputs, late->tail_out, &late->err));
    for (int32_t i = 0; i < graph->n_outputs; i++) {
        late->values[late->tail.out[i]] = late->tail_out[i];
    }
    return LEDGE_OK;
}

/* May the nodes from number at on run as one graph? A tail is built once; where it stands elsewhere
 * in this run, or is seldom planned to be used again, they run one by one. */
static bool takes_tail(const struct ledge_late *late, int32_t at)
{
    bool free = late->tail_from < 0 || (late->tail_from == at && late->tail_nest != NULL &&
                                        !ledge_nest_is_worn(late->tail_nest));
    return free && late->plan->depth < DEEPEST_TAIL && can_lead(late, &late->steps[at]);
}

/* -- all late nodes -- */

static enum ledge_status run_whole(struct ledge_late *late, struct step *step)
{
    ledge_arena_done(&step->memory);
    ledge_arena_init(&step->memory, &late->memory.allocator);
    struct ledge_late_call call = {.node = step->node,
                                   .in = step->in,
                                   .constant = step->constant,
                                   .n_in = step->node->n_in,
                                   .out = step->out,
                                   .n_out = step->node->n_out,
                                   .memory = &step->memory,
                                   .nest = step->nest,
                                   .max_trips = late->plan->max_trips,
                                   .err = &late->err};
    return step->whole(&call);
}

static bool hands_on(const struct step *step)
{
    return strcmp(step->node->op, "Identity") == 0 && step->node->domain[0] == '\0' &&
           step->node->n_in == 1 && step->node->n_out == 1 && step->in[0] != NULL &&
           step->in[0]->kind != LEDGE_ANY_TENSOR;
}

static enum ledge_status run_step(struct ledge_late *late, struct step *step)
{
    const struct ledge_node *node = step->node;
    for (int32_t i = 0; i < node->n_in; i++) {
        step->in[i] = node->in[i] >= 0 ? &late->values[node->in[i]] : NULL;
    }
    for (int32_t i = 0; i < node->n_out; i++) {
        step->out[i] = (struct ledge_any){.kind = LEDGE_ANY_NONE};
    }
    if (hands_on(step)) {
        step->out[0] = *step->in[0];
    } else if (step->whole != NULL) {
        LEDGE_TRY(run_whole(late, step));
    } else {
        LEDGE_TRY(run_ordinary(late, step));
    }
    for (int32_t i = 0; i < node->n_out; i++) {
        if (node->out[i] >= 0) {
            late->values[node->out[i]] = step->out[i];
        }
    }
    return LEDGE_OK;
}

enum ledge_status ledge_late_run(struct ledge_late *late, struct ledge_error *err)
{
    const struct ledge_graph *graph = &late->plan->graph;
    for (int32_t i = 0; i < graph->n_values; i++) {
        if (!graph->values[i].late) {
            late->values[i] = late->views[i].data != NULL || late->views[i].rank >= 0
                                  ? ledge_any_tensor(late->views[i])
                                  : (struct ledge_any){.kind = LEDGE_ANY_NONE};
        }
    }
    enum ledge_status status = LEDGE_OK;
    for (int32_t i = 0; status == LEDGE_OK && i < late->plan->n_late; i++) {
        if (takes_tail(late, i)) {
            status = run_tail(late, i);
            break;
        }
        status = run_step(late, &late->steps[i]);
    }
    return status == LEDGE_OK ? LEDGE_OK : ledge_fail(err, status, "%s", late->err.text);
}

static bool has_bodies(const struct ledge_node *node)
{
    bool has = false;
    for (int32_t i = 0; i < node->n_attrs; i++) {
        has = has || node->attrs[i].type == LEDGE_ATTR_GRAPH;
    }
    return has;
}

static bool set_up(struct ledge_late *late)
{
    const struct ledge_plan *plan = late->plan;
    struct ledge_arena *memory = &late->memory;
    late->values = LEDGE_NEW_ARRAY(memory, struct ledge_any, (size_t)plan->graph.n_values);
    late->steps = LEDGE_NEW_ARRAY(memory, struct step, (size_t)plan->n_late);
    for (int32_t i = 0; late->steps != NULL && i < plan->n_late; i++) {
        struct step *step = &late->steps[i];
        const struct ledge_node *node = &plan->late[i];
        step->node = node;
        step->whole = ledge_late_find(node);
        ledge_arena_init(&step->memory, &memory->allocator);
        ledge_graph_init(&step->alone, &memory->allocator);
        step->in = LEDGE_NEW_ARRAY(memory, const struct ledge_any *, (size_t)node->n_in);
        step->out = LEDGE_NEW_ARRAY(memory, struct ledge_any, (size_t)node->n_out);
        step->given = LEDGE_NEW_ARRAY(memory, const struct ledge_any *, (size_t)node->n_in);
        step->made = LEDGE_NEW_ARRAY(memory, struct ledge_any, (size_t)node->n_out);
        step->constant = LEDGE_NEW_ARRAY(memory, bool, (size_t)node->n_in);
        step->absent = LEDGE_NEW_ARRAY(memory, bool, (size_t)node->n_in);
        step->given_constant = LEDGE_NEW_ARRAY(memory, bool, (size_t)node->n_in);
        if (step->in == NULL || step->out == NULL || step->given == NULL || step->made == NULL ||
            step->constant == NULL || step->absent == NULL || step->given_constant == NULL) {
            return false;
        }
        for (int32_t k = 0; k < node->n_in; k++) {
            step->constant[k] = node->in[k] >= 0 && plan->graph.values[node->in[k]].data != NULL;
        }
        if (step->whole == NULL || has_bodies(node)) {
            step->nest = ledge_nest_create(
                plan, late->pool, step->whole == NULL ? LEDGE_NEST_NODE : LEDGE_NEST_BODIES,
                &memory->allocator);
            if (step->nest == NULL) {
                return false;
            }
        }
    }
    return late->values != NULL && late->steps != NULL;
}

struct ledge_late *ledge_late_create(const struct ledge_plan *plan, const struct ledge_view *views,
                                     struct ledge_pool *pool,
                                     const struct ledge_allocator *allocator)
{
    struct ledge_late *late =
        allocator->alloc(allocator->user, sizeof *late, _Alignof(struct ledge_late));
    if (late == NULL) {
        return NULL;
    }
    *late = (struct ledge_late){.plan = plan, .views = views, .pool = pool, .tail_from = -1};
    ledge_arena_init(&late->memory, allocator);
    ledge_graph_init(&late->tail.graph, allocator);
    if (!set_up(late)) {
        ledge_late_free(late);
        return NULL;
    }
    return late;
}

void ledge_late_free(struct ledge_late *late)
{
    if (late == NULL) {
        return;
    }
    for (int32_t i = 0; late->steps != NULL && i < late->plan->n_late; i++) {
        struct step *step = &late->steps[i];
        if (step->node != NULL) {
            ledge_nest_free(step->nest);
            ledge_graph_done(&step->alone);
            ledge_arena_done(&step->memory);
        }
    }
    ledge_nest_free(late->tail_nest);
    ledge_tail_done(&late->tail);
    struct ledge_allocator allocator = late->memory.allocator;
    ledge_arena_done(&late->memory);
    allocator.release(allocator.user, late, sizeof *late);
}

void ledge_late_bind(struct ledge_late *late, int32_t value, const struct ledge_any *any)
{
    late->values[value] = any != NULL ? *any : (struct ledge_any){.kind = LEDGE_ANY_NONE};
}

const struct ledge_any *ledge_late_value(const struct ledge_late *late, int32_t value)
{
    return &late->values[value];
}

size_t ledge_late_bytes(const struct ledge_late *late)
{
    size_t total = sizeof *late + late->memory.total + late->tail.graph.arena.total +
                   (late->tail_nest != NULL ? ledge_nest_bytes(late->tail_nest) : 0);
    for (int32_t i = 0; i < late->plan->n_late; i++) {
        const struct step *step = &late->steps[i];
        total += step->memory.total + step->alone.arena.total +
                 (step->nest != NULL ? ledge_nest_bytes(step->nest) : 0);
    }
    return total;
}
