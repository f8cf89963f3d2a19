/* SPDX-License-Identifier: Apache-2.0 */
/* specialise.c -- shapes and constants flow through the graph in topological order.
 *
 * A node is inferred; when all its inputs are constant it is prepared and run on the spot, its
 * outputs become constants and it dies. So shape arithmetic needs no second engine: Shape is
 * constant by inference, the rest folds behind it.
 */
#include <stdio.h>
#include <string.h>

#include "base/banned.h"
#include "base/checked.h"
#include "base/status.h"
#include "engine/ops/onnx.h"
#include "engine/plan/internal.h"
#include "engine/port/port.h"
#include "engine/port/select.h"

/* A folded output larger than this is computed in each run instead: a few bytes of model must not
 * fill the memory. */
#define FOLD_MAX ((size_t)64 << 20)

/* Of a node that is computed in f32 between casts. */
enum { MAX_WIDENED_OUTPUTS = 8 };

size_t ledge_value_bytes(const struct ledge_value *value)
{
    size_t bytes = ledge_dtype_size(value->dtype);
    for (int32_t i = 0; i < value->rank; i++) {
        bytes *= (size_t)value->dims[i];
    }
    return bytes;
}

/* Names of missing operators, each once, as far as there is room. */
struct missing {
    char names[400];
    size_t used;
    int32_t n;
};

static void note_missing(struct missing *missing, const struct ledge_node *node)
{
    char name[128];
    int length = snprintf(name, sizeof name, "%.60s%s%.60s", node->domain,
                          node->domain[0] != '\0' ? "." : "", node->op[0] != '\0' ? node->op : "?");
    size_t n = length > 0 ? (size_t)length : 0;
    for (const char *at = strstr(missing->names, name); at != NULL; at = strstr(at + 1, name)) {
        if ((at == missing->names || at[-1] == ' ') && (at[n] == '\0' || at[n] == ',')) {
            return;
        }
    }
    if (missing->used + n + 3 < sizeof missing->names) {
        missing->used +=
            (size_t)snprintf(missing->names + missing->used, sizeof missing->names - missing->used,
                             "%s%s", missing->used > 0 ? ", " : "", name);
        missing->n++;
    }
}

/* As deep as sub-graphs are: LEDGE_MAX_DEPTH calls. */
static void look_for_missing(const struct ledge_graph *graph, struct missing *missing)
{
    for (int32_t i = 0; i < graph->n_nodes; i++) {
        const struct ledge_node *node = &graph->nodes[i];
        if (!node->dead && ledge_op_find(graph, node) == NULL) {
            note_missing(missing, node);
        }
        for (int32_t k = 0; !node->dead && k < node->n_attrs; k++) {
            if (node->attrs[k].type == LEDGE_ATTR_GRAPH) {
                look_for_missing(node->attrs[k].graph, missing);
            }
        }
    }
}

enum ledge_status ledge_plan_check_operators(const struct ledge_graph *graph,
                                             struct ledge_error *err)
{
    struct missing missing = {.names = ""};
    look_for_missing(graph, &missing);
    if (missing.n == 0) {
        return LEDGE_OK;
    }
    return ledge_fail(err, LEDGE_ERR_UNSUPPORTED, "no kernel for %d operator%s: %s", (int)missing.n,
                      missing.n > 1 ? "s" : "", missing.names);
}

static enum ledge_status set_input(struct ledge_graph *graph, int32_t number,
                                   const struct ledge_plan_options *options,
                                   struct ledge_error *err)
{
    struct ledge_value *value = &graph->values[graph->inputs[number]];
    const struct ledge_view *wanted =
        options->input_shapes != NULL && number < options->n_input_shapes
            ? &options->input_shapes[number]
            : NULL;
    if (wanted != NULL && wanted->dtype != LEDGE_DTYPE_NONE) {
        value->dtype = wanted->dtype;
    }
    if (value->kind != LEDGE_VALUE_TENSOR || (wanted != NULL && wanted->rank < 0)) {
        value->late = true;
        return LEDGE_OK;
    }
    if (wanted != NULL && value->rank >= 0 && wanted->rank != value->rank) {
        return ledge_fail(err, LEDGE_ERR_SHAPE, "input %s has rank %d, given is %d", value->name,
                          (int)value->rank, (int)wanted->rank);
    }
    if (value->rank < 0 && wanted == NULL) {
        return ledge_fail(err, LEDGE_ERR_SHAPE, "input %s has no declared shape: give one",
                          value->name);
    }
    bool open = value->rank < 0;
    value->rank = wanted != NULL ? wanted->rank : value->rank;
    int64_t count = (int64_t)ledge_dtype_size(value->dtype);
    if (count == 0 || value->rank > LEDGE_MAX_RANK) {
        return ledge_fail(err, LEDGE_ERR_UNSUPPORTED, "input %s: unknown type or rank %d",
                          value->name, (int)value->rank);
    }
    for (int32_t i = 0; i < value->rank; i++) {
        int64_t declared = open ? -1 : value->dims[i];
        int64_t dim = wanted != NULL ? wanted->dims[i] : declared;
        dim = dim < 0 ? (options->batch > 0 ? options->batch : 1) : dim;
        if (declared >= 0 && declared != dim) {
            return ledge_fail(err, LEDGE_ERR_SHAPE,
                              "input %s: dimension %d is %lld in the model, given is %lld",
                              value->name, (int)i, (long long)declared, (long long)dim);
        }
        if (!ledge_mul_i64(count, dim > 0 ? dim : 1, &count) || count > INT64_MAX / 64) {
            return ledge_fail(err, LEDGE_ERR_SHAPE, "input %s is too large", value->name);
        }
        value->dims[i] = dim;
    }
    if (wanted != NULL && options->input_constant != NULL && options->input_constant[number]) {
        value->data = wanted->data;
        value->bytes = ledge_value_bytes(value);
    }
    return LEDGE_OK;
}

/* The shape of a state is fixed before the nodes are inferred. */
static enum ledge_status set_state(struct ledge_graph *graph, const struct ledge_state *state,
                                   struct ledge_error *err)
{
    const struct ledge_value *value = &graph->values[state->in];
    int64_t count = (int64_t)ledge_dtype_size(value->dtype);
    bool known = count > 0 && value->rank >= 0 && value->rank <= LEDGE_MAX_RANK;
    for (int32_t i = 0; known && i < value->rank; i++) {
        known = value->dims[i] >= 0 &&
                ledge_mul_i64(count, value->dims[i] > 0 ? value->dims[i] : 1, &count) &&
                count <= INT64_MAX / 64;
    }
    if (!known ||
        (state->init >= 0 && graph->values[state->init].bytes != ledge_value_bytes(value))) {
        return ledge_fail(err, LEDGE_ERR_SHAPE,
                          "state %s has no fixed shape, or another one than "
                          "what it begins with",
                          value->name);
    }
    return LEDGE_OK;
}

static enum ledge_status check_states(const struct ledge_graph *graph, struct ledge_error *err)
{
    for (int32_t i = 0; i < graph->n_states; i++) {
        const struct ledge_value *in = &graph->values[graph->states[i].in];
        const struct ledge_value *out = &graph->values[graph->states[i].out];
        if (out->late || in->dtype != out->dtype ||
            ledge_value_bytes(in) != ledge_value_bytes(out)) {
            return ledge_fail(err, LEDGE_ERR_SHAPE, "state %s of %zu bytes becomes %s of %zu",
                              in->name, ledge_value_bytes(in), out->name, ledge_value_bytes(out));
        }
    }
    return LEDGE_OK;
}

static enum ledge_status check_outputs(const struct ledge_graph *graph,
                                       const struct ledge_node *node, struct ledge_error *err)
{
    for (int32_t k = 0; k < node->n_out; k++) {
        if (node->out[k] < 0) {
            continue;
        }
        const struct ledge_value *value = &graph->values[node->out[k]];
        if (value->rank < 0 || ledge_dtype_size(value->dtype) == 0) {
            return ledge_fail(err, LEDGE_ERR_INTERNAL, "node %s (%s): output %d has no shape",
                              node->name, node->op, (int)k);
        }
    }
    return LEDGE_OK;
}

static bool all_constant(const struct ledge_graph *graph, const int32_t *list, int32_t n)
{
    for (int32_t i = 0; i < n; i++) {
        if (list[i] >= 0 && graph->values[list[i]].data == NULL) {
            return false;
        }
    }
    return true;
}

static bool small_enough(const struct ledge_graph *graph, const struct ledge_node *node)
{
    for (int32_t k = 0; k < node->n_out; k++) {
        if (node->out[k] >= 0 && ledge_value_bytes(&graph->values[node->out[k]]) > FOLD_MAX) {
            return false;
        }
    }
    return true;
}

/* Views of the listed values in scratch memory; outputs get memory in the graph. NULL when there is
 * none. */
static const struct ledge_view **views_of(struct ledge_graph *graph, struct ledge_arena *scratch,
                                          const int32_t *list, int32_t n, bool give_memory)
{
    struct ledge_view *views = LEDGE_NEW_ARRAY(scratch, struct ledge_view, (size_t)n);
    size_t entries = (size_t)(n > LEDGE_CALL_ENTRIES ? n : LEDGE_CALL_ENTRIES);
    const struct ledge_view **at = LEDGE_NEW_ARRAY(scratch, const struct ledge_view *, entries);
    if (views == NULL || at == NULL) {
        return NULL;
    }
    for (int32_t i = 0; i < n; i++) {
        if (list[i] < 0) {
            continue;
        }
        const struct ledge_value *value = &graph->values[list[i]];
        views[i] = ledge_value_view(value);
        if (give_memory) {
            views[i].data = ledge_arena_alloc(&graph->arena, ledge_value_bytes(value), 64);
            if (views[i].data == NULL) {
                return NULL;
            }
        }
        at[i] = &views[i];
    }
    return at;
}

static enum ledge_status run_now(struct ledge_plan *plan, struct ledge_node *node,
                                 struct ledge_arena *scratch, struct ledge_op_prepare *ready)
{
    struct ledge_graph *graph = &plan->graph;
    bool alias = ready->alias >= 0;
    const struct ledge_view **in = views_of(graph, scratch, node->in, node->n_in, false);
    const struct ledge_view **out = views_of(graph, scratch, node->out, node->n_out, !alias);
    void *space = ledge_arena_alloc(scratch, ready->scratch_bytes, 64);
    if (in == NULL || out == NULL || space == NULL) {
        return ledge_fail(ready->err, LEDGE_ERR_NOMEM, "node %s (%s): no memory to fold it",
                          node->name, node->op);
    }
    struct ledge_kernel_call call = {.in = in,
                                     .n_in = node->n_in,
                                     .out = out,
                                     .n_out = node->n_out,
                                     .params = ready->params,
                                     .packed = ready->packed,
                                     .scratch = space,
                                     .scratch_bytes = ready->scratch_bytes,
                                     .err = ready->err};
    if (!alias) {
        LEDGE_TRY(ledge_plan_check_chosen(ready, ready->err));
        enum ledge_status status = ready->run(&call);
        if (status != LEDGE_OK) {
            return status;
        }
    }
    for (int32_t k = 0; k < node->n_out; k++) {
        if (node->out[k] >= 0) {
            struct ledge_value *value = &graph->values[node->out[k]];
            value->data = alias ? in[ready->alias]->data : out[k]->data;
            value->bytes = ledge_value_bytes(value);
            value->producer = -1;
        }
    }
    return LEDGE_OK;
}

/* A plan may be made for a rung that this CPU has not: it is not run here, but folding is. */
static enum ledge_status fold(struct ledge_plan *plan, struct ledge_node *node,
                              const struct ledge_op *op, const struct ledge_plan_options *options,
                              struct ledge_error *err)
{
    struct ledge_error local = {.status = LEDGE_OK};
    struct ledge_arena scratch;
    ledge_arena_init(&scratch, &plan->memory.allocator);
    struct ledge_op_prepare ready = {.graph = &plan->graph,
                                     .node = node,
                                     .memory = &scratch,
                                     .rung = ledge_port_rung_below(options->rung),
                                     .consistent = options->consistent,
                                     .threads = 1,
                                     .err = &local,
                                     .in_place = -1,
                                     .alias = -1};
    for (int32_t k = 0; k < node->n_in; k++) {
        if (node->in[k] >= 0) {
            LEDGE_TRY(ledge_graph_settle(&plan->graph, node->in[k], err));
        }
    }
    enum ledge_status status = op->prepare(&ready);
    if (status == LEDGE_OK) {
        status = ledge_plan_pack_now(&ready);
    }
    if (status == LEDGE_OK) {
        status = run_now(plan, node, &scratch, &ready);
    }
    ledge_arena_done(&scratch);
    if (status != LEDGE_OK) {
        return ledge_fail(err, status, "%s", local.text);
    }
    node->dead = true;
    return LEDGE_OK;
}

static void bury_constants(struct ledge_graph *graph, struct ledge_node *node)
{
    for (int32_t k = 0; k < node->n_out; k++) {
        if (node->out[k] >= 0) {
            graph->values[node->out[k]].producer = -1;
            graph->values[node->out[k]].bytes = ledge_value_bytes(&graph->values[node->out[k]]);
        }
    }
    node->dead = true;
}

/* -- late nodes -- */

static bool reads_late(const struct ledge_graph *graph, const struct ledge_node *node)
{
    bool late = false;
    for (int32_t k = 0; k < node->n_in; k++) {
        late = late || (node->in[k] >= 0 && graph->values[node->in[k]].late);
    }
    return late;
}

static void make_late(struct ledge_graph *graph, const struct ledge_node *node)
{
    for (int32_t k = 0; k < node->n_out; k++) {
        if (node->out[k] >= 0) {
            struct ledge_value *value = &graph->values[node->out[k]];
            value->late = true;
            value->rank = -1;
            value->data = NULL;
        }
    }
}

static bool is_late(const struct ledge_graph *graph, const struct ledge_node *node)
{
    for (int32_t k = 0; k < node->n_out; k++) {
        if (node->out[k] >= 0) {
            return graph->values[node->out[k]].late;
        }
    }
    return false;
}

/* Take the late nodes out of the graph; what they read of it becomes an output. */
static enum ledge_status part_late(struct ledge_plan *plan, struct ledge_error *err)
{
    struct ledge_graph *graph = &plan->graph;
    int32_t n = 0;
    plan->n_outputs = graph->n_outputs;
    for (int32_t i = 0; i < graph->n_nodes; i++) {
        const struct ledge_node *node = &graph->nodes[i];
        n += !node->dead && is_late(graph, node);
        if (!LEDGE_HAS(LEDGE_PART_LATE) && n > 0) {
            return ledge_fail(err, LEDGE_ERR_UNSUPPORTED,
                              "node %.60s (%.30s): this build runs no nodes whose shapes depend on "
                              "values",
                              node->name, node->op);
        }
    }
    if (n == 0) {
        return LEDGE_OK;
    }
    bool *listed = LEDGE_NEW_ARRAY(&plan->memory, bool, (size_t)graph->n_values);
    plan->late = LEDGE_NEW_ARRAY(&plan->memory, struct ledge_node, (size_t)n);
    if (listed == NULL || plan->late == NULL) {
        return ledge_fail(err, LEDGE_ERR_NOMEM, "no memory for %d late nodes", (int)n);
    }
    for (int32_t i = 0; i < graph->n_outputs; i++) {
        listed[graph->outputs[i]] = true;
    }
    for (int32_t i = 0; i < graph->n_nodes; i++) {
        struct ledge_node *node = &graph->nodes[i];
        if (node->dead || !is_late(graph, node)) {
            continue;
        }
        plan->late[plan->n_late++] = *node;
        node->dead = true;
        for (int32_t k = 0; k < node->n_in; k++) {
            int32_t in = node->in[k];
            if (in >= 0) {
                LEDGE_TRY(ledge_graph_settle(graph, in, err));
            }
            if (in >= 0 && !listed[in] && !graph->values[in].late &&
                graph->values[in].data == NULL) {
                listed[in] = true;
                if (ledge_graph_add_output(graph, in) < 0) {
                    return ledge_fail(err, LEDGE_ERR_NOMEM, "no memory for late nodes");
                }
            }
        }
    }
    return LEDGE_OK;
}

/* What the nodes of one pass share. */
struct pass {
    struct ledge_plan *plan;
    const struct ledge_plan_options *options;
    struct ledge_error *err;
};

static enum ledge_status visit(const struct pass *pass, int32_t at);

static enum ledge_status visit_from(const struct pass *pass, int32_t first)
{
    int32_t end = pass->plan->graph.n_nodes;
    for (int32_t i = first; i < end; i++) {
        LEDGE_TRY(visit(pass, i));
    }
    return LEDGE_OK;
}

/* Node number at, whose types its operator refused, in f32 between casts. */
static enum ledge_status visit_widened(const struct pass *pass, int32_t at,
                                       const enum ledge_dtype *declared)
{
    struct ledge_graph *graph = &pass->plan->graph;
    enum ledge_dtype first = LEDGE_DTYPE_NONE;
    int32_t n = graph->nodes[at].n_out, casts = graph->n_nodes;
    for (int32_t k = 0; k < graph->nodes[at].n_in && first == LEDGE_DTYPE_NONE; k++) {
        int32_t in = graph->nodes[at].in[k];
        enum ledge_dtype dtype = in >= 0 ? graph->values[in].dtype : LEDGE_F32;
        first = dtype == LEDGE_F16 || dtype == LEDGE_BF16 || dtype == LEDGE_F64 ? dtype : first;
    }
    int32_t n_in = graph->nodes[at].n_in;
    int32_t *in = LEDGE_NEW_ARRAY(&graph->arena, int32_t, (size_t)n_in);
    if (in == NULL) {
        return ledge_fail(pass->err, LEDGE_ERR_NOMEM, "no memory for a cast");
    }
    for (int32_t k = 0; k < n_in; k++) {
        in[k] = graph->nodes[at].in[k];
    }
    LEDGE_TRY(ledge_plan_widen(graph, at, pass->err));
    LEDGE_TRY(visit_from(pass, casts));
    int32_t out[MAX_WIDENED_OUTPUTS];
    for (int32_t k = 0; k < n; k++) {
        out[k] = graph->nodes[at].out[k];
        int32_t own =
            out[k] < 0 ? -1 : ledge_graph_add_value(graph, NULL, LEDGE_DTYPE_NONE, -1, NULL);
        if (out[k] >= 0 && own < 0) {
            return ledge_fail(pass->err, LEDGE_ERR_NOMEM, "no memory for a cast");
        }
        if (own >= 0) {
            graph->values[own].producer = at;
            graph->values[own].reads = graph->values[out[k]].reads;
        }
        graph->nodes[at].out[k] = own;
    }
    LEDGE_TRY(visit(pass, at));
    if (is_late(graph, &graph->nodes[at])) { /* as it was: its own plan widens it */
        graph->nodes[at].in = in;
        for (int32_t k = 0; k < n; k++) {
            graph->nodes[at].out[k] = out[k];
        }
        make_late(graph, &graph->nodes[at]);
        return LEDGE_OK;
    }
    casts = graph->n_nodes;
    for (int32_t k = 0; k < n; k++) {
        if (out[k] >= 0) {
            LEDGE_TRY(ledge_plan_narrow(graph, at, k, out[k],
                                        declared[k] != LEDGE_DTYPE_NONE ? declared[k] : first,
                                        pass->err));
        }
    }
    return visit_from(pass, casts);
}

/* Outputs without elements are known without running: so no kernel has to bear a shape like
 * [2^40][0] in its loops. */
static enum ledge_status settle_empty(struct ledge_graph *graph, const struct ledge_node *node,
                                      struct ledge_error *err)
{
    for (int32_t k = 0; k < node->n_out; k++) {
        if (node->out[k] >= 0 && ledge_value_bytes(&graph->values[node->out[k]]) > 0) {
            return LEDGE_OK;
        }
    }
    for (int32_t k = 0; k < node->n_out; k++) {
        if (node->out[k] >= 0 && graph->values[node->out[k]].data == NULL) {
            graph->values[node->out[k]].data = ledge_arena_alloc(&graph->arena, 1, 64);
            if (graph->values[node->out[k]].data == NULL) {
                return ledge_fail(err, LEDGE_ERR_NOMEM, "no memory for an empty value");
            }
        }
    }
    return LEDGE_OK;
}

/* A constant of a type that is not read here has bytes, but nobody knows how many elements. */
static enum ledge_status check_known(const struct ledge_graph *graph, const struct ledge_node *node,
                                     struct ledge_error *err)
{
    for (int32_t k = 0; k < node->n_in; k++) {
        const struct ledge_value *in = node->in[k] >= 0 ? &graph->values[node->in[k]] : NULL;
        if (in != NULL && in->data != NULL && in->dtype == LEDGE_DTYPE_NONE) {
            return ledge_fail(err, LEDGE_ERR_UNSUPPORTED,
                              "node %.60s (%s): constant %.60s has an element type that is not "
                              "supported",
                              node->name, node->op, in->name);
        }
    }
    return LEDGE_OK;
}

/* Shapes of node number at; fold it when it can be. */
static enum ledge_status visit(const struct pass *pass, int32_t at)
{
    struct ledge_graph *graph = &pass->plan->graph;
    struct ledge_node *node = &graph->nodes[at];
    const struct ledge_op *op = ledge_op_find(graph, node);
    bool wait = false;
    struct ledge_error local = {.status = LEDGE_OK};
    struct ledge_op_infer infer = {.graph = graph, .node = node, .err = &local, .wait = &wait};
    enum ledge_dtype declared[MAX_WIDENED_OUTPUTS];
    if (op == NULL) { /* the graph was looked through as it stands */
        return ledge_fail(pass->err, LEDGE_ERR_INTERNAL, "no kernel for %s", node->op);
    }
    LEDGE_TRY(check_known(graph, node, pass->err));
    if (op->infer == NULL || reads_late(graph, node)) {
        if (LEDGE_HAS(LEDGE_OP_If) && ledge_plan_has_branches(node)) {
            graph->values[node->in[0]].awaited = true;
        }
        make_late(graph, node);
        return LEDGE_OK;
    }
    for (int32_t k = 0; k < node->n_out; k++) {
        if (node->out[k] >= 0) {
            graph->values[node->out[k]].rank = -1;
        }
        if (k < MAX_WIDENED_OUTPUTS) {
            declared[k] = node->out[k] >= 0 ? graph->values[node->out[k]].dtype : LEDGE_DTYPE_NONE;
        }
    }
    enum ledge_status status = op->infer(&infer);
    if (status != LEDGE_OK && wait) {
        make_late(graph, node);
        return LEDGE_OK;
    }
    if ((status == LEDGE_ERR_DTYPE || status == LEDGE_ERR_UNSUPPORTED) &&
        LEDGE_HAS(LEDGE_OP_Cast) && node->n_out <= MAX_WIDENED_OUTPUTS &&
        ledge_plan_can_widen(graph, node)) {
        return visit_widened(pass, at, declared);
    }
    if (status != LEDGE_OK) {
        return ledge_fail(pass->err, status, "%s", local.text);
    }
    LEDGE_TRY(check_outputs(graph, node, pass->err));
    LEDGE_TRY(settle_empty(graph, node, pass->err));
    if (node->n_out > 0 && all_constant(graph, node->out, node->n_out)) {
        bury_constants(graph, node);
    } else if (all_constant(graph, node->in, node->n_in) && small_enough(graph, node) &&
               !ledge_onnx_is_random(node)) {
        return fold(pass->plan, node, op, pass->options, pass->err);
    }
    return LEDGE_OK;
}

/* Nodes still to look at, the innermost inlined branch first. */
struct pending {
    struct ledge_node *nodes;
    int32_t n, at;
};

/* One more node of the graph, with room that doubles. Its number, -1 when there is no memory. */
static int32_t keep(struct ledge_graph *graph, const struct ledge_node *node)
{
    if (graph->n_nodes == graph->cap_nodes) {
        size_t more = (size_t)graph->cap_nodes * 2 + 16;
        struct ledge_node *bigger =
            more < INT32_MAX ? LEDGE_NEW_ARRAY(&graph->arena, struct ledge_node, more) : NULL;
        if (bigger == NULL) {
            return -1;
        }
        if (graph->n_nodes > 0) {
            memcpy(bigger, graph->nodes, (size_t)graph->n_nodes * sizeof *bigger);
        }
        graph->nodes = bigger;
        graph->cap_nodes = (int32_t)more;
    }
    graph->nodes[graph->n_nodes] = *node;
    return graph->n_nodes++;
}

/* The graph's nodes are gathered anew: those of branches take the place of their If. */
static enum ledge_status visit_all(const struct pass *pass)
{
    struct ledge_graph *graph = &pass->plan->graph;
    struct pending stack[LEDGE_MAX_DEPTH + 1] = {{.nodes = graph->nodes, .n = graph->n_nodes}};
    graph->nodes = NULL;
    graph->n_nodes = graph->cap_nodes = 0;
    if (!ledge_graph_reserve(graph, 0, stack[0].n)) {
        return ledge_fail(pass->err, LEDGE_ERR_NOMEM, "no memory for nodes");
    }
    for (int depth = 0; depth >= 0;) {
        struct pending *top = &stack[depth];
        if (top->at == top->n) {
            depth--;
            continue;
        }
        const struct ledge_node *from = &top->nodes[top->at++];
        if (from->dead) {
            continue;
        }
        if (LEDGE_HAS(LEDGE_OP_If) && depth < LEDGE_MAX_DEPTH &&
            ledge_plan_takes_branch(graph, from)) {
            depth++;
            stack[depth] = (struct pending){.at = 0};
            LEDGE_TRY(
                ledge_plan_inline(graph, from, &stack[depth].nodes, &stack[depth].n, pass->err));
            continue;
        }
        int32_t at = keep(graph, from);
        if (at < 0) {
            return ledge_fail(pass->err, LEDGE_ERR_NOMEM, "no memory for nodes");
        }
        LEDGE_TRY(visit(pass, at));
    }
    return LEDGE_OK;
}

enum ledge_status ledge_plan_specialise(struct ledge_plan *plan,
                                        const struct ledge_plan_options *options,
                                        struct ledge_error *err)
{
    struct ledge_graph *graph = &plan->graph;
    ledge_graph_sweep(graph);
    LEDGE_TRY(ledge_graph_sort(graph, err));
    LEDGE_TRY(ledge_plan_check_operators(graph, err));
    for (int32_t i = 0; i < graph->n_inputs; i++) {
        LEDGE_TRY(set_input(graph, i, options, err));
    }
    for (int32_t i = 0; i < graph->n_states; i++) {
        LEDGE_TRY(set_state(graph, &graph->states[i], err));
    }
    const struct pass pass = {.plan = plan, .options = options, .err = err};
    LEDGE_TRY(visit_all(&pass));
    LEDGE_TRY(check_states(graph, err));
    ledge_graph_sweep(graph);
    LEDGE_TRY(part_late(plan, err));
    ledge_graph_sweep(graph);
    return ledge_graph_sort(graph, err);
}
