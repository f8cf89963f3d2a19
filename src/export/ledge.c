/* SPDX-License-Identifier: Apache-2.0 */
/* ledge.c -- a .ledge file with a prepared part: see ledge_file.h.
 *
 * The prepared graph is what a reader will see of it, so it is written and read once before it is
 * planned: keys of packed parts tell numbers of values and names of nodes. A constant is absent
 * from it when in each plan every reader takes it packed.
 */
#include <string.h>

#include "base/banned.h"
#include "base/status.h"
#include "engine/format/ledge_file.h"
#include "engine/plan/passes.h"
#include "engine/plan/plan.h"
#include "export/export.h"

/* Some joins of steps depend on the number of threads: parts for one and for two are kept. */
enum { MAX_RUNGS = 16, THREADS = 2 };

struct export
{
    struct ledge_buf bytes;   /* the graph after the passes, as a file */
    struct ledge_graph graph; /* of bytes */
    struct ledge_arena memory;
    struct ledge_plan *plans[MAX_RUNGS * THREADS];
    int32_t n_plans;
    struct ledge_packed packed[MAX_RUNGS];
    int32_t n; /* of packed */
};

static enum ledge_status write(const struct ledge_graph *graph,
                               const struct ledge_file_prepared *prepared, struct ledge_buf *out,
                               struct ledge_error *err)
{
    size_t size = 0;
    LEDGE_TRY(ledge_file_write_prepared(graph, prepared, NULL, &size, err));
    void *at = ledge_buf_room(out, size);
    if (at == NULL) {
        return ledge_fail(err, LEDGE_ERR_NOMEM, "no memory for a file of %zu bytes", size);
    }
    return ledge_file_write_prepared(graph, prepared, at, &size, err);
}

static enum ledge_status write_used(struct export *x, const struct ledge_graph *graph,
                                    struct ledge_error *err)
{
    size_t size = 0;
    int32_t *number = LEDGE_NEW_ARRAY(&x->memory, int32_t, (size_t)graph->n_values);
    if (number == NULL) {
        return ledge_fail(err, LEDGE_ERR_NOMEM, "no memory to number values");
    }
    LEDGE_TRY(ledge_file_write_used(graph, number, NULL, &size, err));
    void *at = ledge_buf_room(&x->bytes, size);
    if (at == NULL) {
        return ledge_fail(err, LEDGE_ERR_NOMEM, "no memory for a file of %zu bytes", size);
    }
    return ledge_file_write_used(graph, number, at, &size, err);
}

/* Do inputs or outputs look alike? What is declared is read from the prepared graph, too. */
static bool same_border(const struct ledge_graph *a, const int32_t *in_a, int32_t n_a,
                        const struct ledge_graph *b, const int32_t *in_b, int32_t n_b)
{
    bool same = n_a == n_b;
    for (int32_t i = 0; i < n_a && same; i++) {
        const struct ledge_value *x = &a->values[in_a[i]], *y = &b->values[in_b[i]];
        bool quant = x->quant != NULL && x->quant->n == 1;
        same = strcmp(x->name, y->name) == 0 && x->dtype == y->dtype && x->rank == y->rank &&
               x->kind == y->kind && quant == (y->quant != NULL && y->quant->n == 1) &&
               (!quant || (x->quant->scales[0] == y->quant->scales[0] &&
                           x->quant->zero_points[0] == y->quant->zero_points[0]));
        for (int32_t k = 0; k < x->rank && same; k++) {
            const char *p = x->dim_names[k], *q = y->dim_names[k];
            same = x->dims[k] == y->dims[k] && (p == NULL) == (q == NULL) &&
                   (p == NULL || strcmp(p, q) == 0);
        }
    }
    return same;
}

/* The graph after the passes as a reader will have it. */
static enum ledge_status run_passes(struct export *x, const struct ledge_graph *graph,
                                    struct ledge_error *err)
{
    struct ledge_graph passed;
    ledge_graph_init(&passed, NULL);
    enum ledge_status status = ledge_graph_copy(graph, &passed, err);
    if (status == LEDGE_OK) {
        status = ledge_graph_sort(&passed, err);
    }
    if (status == LEDGE_OK) {
        status = ledge_passes_run(&passed, err);
    }
    if (status == LEDGE_OK) {
        status = write_used(x, &passed, err);
    }
    ledge_graph_done(&passed);
    if (status != LEDGE_OK) {
        return status;
    }
    return ledge_file_read_quickly(x->bytes.data, x->bytes.len, &x->graph, err);
}

/* Those of b that a lacks come after a's. What both have must be the same bytes. */
static enum ledge_status merge(struct export *x, struct ledge_packed *a,
                               const struct ledge_packed *b, struct ledge_error *err)
{
    struct ledge_packed_part *parts =
        LEDGE_NEW_ARRAY(&x->memory, struct ledge_packed_part, (size_t)a->n + (size_t)b->n);
    if (parts == NULL) {
        return ledge_fail(err, LEDGE_ERR_NOMEM, "no memory for a list of packed weights");
    }
    int32_t n = a->n;
    for (int32_t i = 0; i < a->n; i++) {
        parts[i] = a->parts[i];
    }
    for (int32_t i = 0; i < b->n; i++) {
        const struct ledge_packed_part *part = &b->parts[i];
        int32_t k = 0;
        while (k < a->n && parts[k].key != part->key) {
            k++;
        }
        if (k < a->n && (parts[k].bytes != part->bytes ||
                         memcmp(parts[k].data, part->data, part->bytes) != 0)) {
            return ledge_fail(err, LEDGE_ERR_INTERNAL, "packed constants depend on the threads");
        }
        if (k == a->n) {
            parts[n++] = *part;
        }
    }
    a->parts = parts;
    a->n = n;
    return LEDGE_OK;
}

/* Plans for one rung; the parts of all of them. One of no bytes says that there is nothing to pack:
 * late nodes might. */
static enum ledge_status make_plans(struct export *x, enum ledge_rung rung, struct ledge_error *err)
{
    static const struct ledge_packed_part nothing = {.data = "", .bytes = 0};
    struct ledge_packed *all = &x->packed[x->n];
    *all = (struct ledge_packed){.rung = (uint32_t)rung};
    for (int32_t threads = 1; threads <= THREADS; threads++) {
        const struct ledge_plan_options options = {.rung = rung, .threads = threads};
        struct ledge_packed parts;
        LEDGE_TRY(ledge_plan_create(&x->graph, &options, NULL, &x->plans[x->n_plans], err));
        x->n_plans++;
        LEDGE_TRY(ledge_plan_packed(x->plans[x->n_plans - 1], &x->memory, &parts, err));
        LEDGE_TRY(merge(x, all, &parts, err));
    }
    if (all->n == 0 && x->plans[x->n_plans - 1]->n_late == 0) {
        all->parts = &nothing;
        all->n = 1;
    }
    x->n += all->n > 0 ? 1 : 0;
    return LEDGE_OK;
}

/* Count how often values are read: by the graph's nodes; by a plan's steps that take them packed.
 */
static void count_reads(const struct ledge_graph *graph, int32_t *reads)
{
    for (int32_t i = 0; i < graph->n_nodes; i++) {
        const struct ledge_node *node = &graph->nodes[i];
        for (int32_t k = 0; k < node->n_in && !node->dead; k++) {
            if (node->in[k] >= 0) {
                reads[node->in[k]]++;
            }
        }
    }
    for (int32_t i = 0; i < graph->n_outputs; i++) {
        reads[graph->outputs[i]]++;
    }
    for (int32_t i = 0; i < graph->n_states; i++) {
        if (graph->states[i].init >= 0) {
            reads[graph->states[i].init]++;
        }
    }
}

static void count_packed(const struct ledge_plan *plan, int32_t n_values, int32_t *reads)
{
    for (int32_t s = 0; s < plan->n_steps; s++) {
        const struct ledge_op_prepare *ready = &plan->steps[s].ready;
        for (int32_t k = 0; k < ready->node->n_in && k < 32; k++) {
            int32_t value = ready->node->in[k];
            if (ready->pack != NULL && (ready->packed_inputs >> k & 1) != 0 && value >= 0 &&
                value < n_values) {
                reads[value]++;
            }
        }
    }
}

static enum ledge_status mark_absent(struct export *x, struct ledge_error *err)
{
    struct ledge_graph *graph = &x->graph;
    const size_t n = (size_t)graph->n_values;
    int32_t *all = LEDGE_NEW_ARRAY(&x->memory, int32_t, n);
    if (all == NULL) {
        return ledge_fail(err, LEDGE_ERR_NOMEM, "no memory to count readers");
    }
    count_reads(graph, all);
    for (int32_t i = 0; i < graph->n_values; i++) {
        graph->values[i].absent = graph->values[i].data != NULL;
    }
    for (int32_t p = 0; p < x->n_plans; p++) {
        int32_t *packed = LEDGE_NEW_ARRAY(&x->memory, int32_t, n);
        if (packed == NULL) {
            return ledge_fail(err, LEDGE_ERR_NOMEM, "no memory to count readers");
        }
        count_packed(x->plans[p], graph->n_values, packed);
        for (int32_t i = 0; i < graph->n_values; i++) {
            graph->values[i].absent = graph->values[i].absent && packed[i] == all[i];
        }
    }
    return LEDGE_OK;
}

static enum ledge_status prepare(struct export *x, const struct ledge_graph *graph,
                                 const enum ledge_rung *rungs, int32_t n, struct ledge_error *err)
{
    LEDGE_TRY(run_passes(x, graph, err));
    if (!same_border(graph, graph->inputs, graph->n_inputs, &x->graph, x->graph.inputs,
                     x->graph.n_inputs) ||
        !same_border(graph, graph->outputs, graph->n_outputs, &x->graph, x->graph.outputs,
                     x->graph.n_outputs)) {
        return ledge_fail(err, LEDGE_ERR_UNSUPPORTED, "the passes change what is declared");
    }
    for (int32_t i = 0; i < n && x->n < MAX_RUNGS; i++) {
        const int32_t before = x->n_plans;
        enum ledge_status status = make_plans(x, rungs[i], err);
        if (status == LEDGE_ERR_NOMEM) {
            return status;
        }
        while (status != LEDGE_OK && x->n_plans > before) {
            ledge_plan_free(x->plans[--x->n_plans]);
        }
    }
    return mark_absent(x, err);
}

enum ledge_status ledge_export_ledge(const struct ledge_graph *graph, const enum ledge_rung *rungs,
                                     int32_t n_rungs, struct ledge_buf *out, int32_t *prepared,
                                     struct ledge_error *err)
{
    struct export x = {.bytes = LEDGE_BUF_INIT(out->max), .n = 0};
    struct ledge_error ignored;
    ledge_graph_init(&x.graph, NULL);
    ledge_arena_init(&x.memory, &x.graph.arena.allocator);
    enum ledge_status status = LEDGE_ERR_NOT_FOUND;
    if (n_rungs > 0) {
        status = prepare(&x, graph, rungs, n_rungs, &ignored);
    }
    const struct ledge_file_prepared part = {
        .graph = &x.graph, .stamp = ledge_packing_stamp(), .packed = x.packed, .n = x.n};
    bool use = status == LEDGE_OK && x.n > 0;
    status = write(graph, use ? &part : NULL, out, err);
    if (status == LEDGE_OK && prepared != NULL) {
        *prepared = use ? x.n : 0;
    }
    for (int32_t i = 0; i < x.n_plans; i++) {
        ledge_plan_free(x.plans[i]);
    }
    ledge_arena_done(&x.memory);
    ledge_graph_done(&x.graph);
    ledge_buf_done(&x.bytes);
    return status;
}
