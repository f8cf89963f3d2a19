/* SPDX-License-Identifier: Apache-2.0 */
/* layout.c -- find the regions of a specialised graph that are worth blocking, rewrite them; see
 * layout.h. */
#include "engine/plan/layout.h"

#include <string.h>

#include "base/status.h"

#include "base/banned.h"

/* A conversion costs about as much as this many multiplications of a convolution that runs outside
 * of a region instead of inside. */
enum { WORTH = 48 };

static const struct ledge_layout_rule *const rule_lists[] = {ledge_layout_rules_f32};

struct region {
    int32_t parent; /* of the union; itself for the first */
    int64_t macs;
    int64_t moved; /* elements converted */
};

struct verdict {
    const struct ledge_layout_rule *rule; /* NULL: stays plain */
    struct ledge_layout_fit fit;
    int32_t region;
};

struct survey {
    struct ledge_layout_step *step;
    struct region *regions; /* one for each node that may start one */
    struct verdict *verdicts;
    int32_t n_nodes;
};

static int32_t find(struct region *regions, int32_t region)
{
    while (regions[region].parent != region) {
        regions[region].parent = regions[regions[region].parent].parent;
        region = regions[region].parent;
    }
    return region;
}

static void join(struct region *regions, int32_t a, int32_t b)
{
    a = find(regions, a);
    b = find(regions, b);
    if (a != b) {
        regions[b].parent = a;
        regions[a].macs += regions[b].macs;
        regions[a].moved += regions[b].moved;
    }
}

static int64_t count(const struct ledge_value *value)
{
    int64_t n = 1;
    for (int32_t i = 0; i < value->rank; i++) {
        n *= value->dims[i];
    }
    return n;
}

const struct ledge_layout_value *ledge_layout_in(const struct ledge_layout_step *step,
                                                 const struct ledge_node *node, int32_t i)
{
    if (i >= node->n_in || node->in[i] < 0 || node->in[i] >= step->n_values) {
        return NULL;
    }
    const struct ledge_layout_value *value = &step->values[node->in[i]];
    return value->region >= 0 ? value : NULL;
}

static const struct ledge_layout_rule *rule_of(const struct ledge_layout_step *step,
                                               const struct ledge_node *node,
                                               struct ledge_layout_fit *fit)
{
    for (size_t i = 0; i < sizeof rule_lists / sizeof rule_lists[0]; i++) {
        for (const struct ledge_layout_rule *rule = rule_lists[i]; rule->op != NULL; rule++) {
            *fit = (struct ledge_layout_fit){.enters = {-1, -1}};
            if (strcmp(rule->op, node->op) == 0 && strcmp(rule->domain, node->domain) == 0 &&
                rule->fit(step, node, fit)) {
                return rule;
            }
        }
    }
    return NULL;
}

/* -- first pass -----------------------------------------------------------------------------------
 */

/* A plain reader of a value needs its plain form. */
static void need_plain(struct survey *s, int32_t number)
{
    struct ledge_layout_value *value = &s->step->values[number];
    if (value->region >= 0 && !value->plain) {
        value->plain = true;
        s->regions[find(s->regions, value->region)].moved += count(&s->step->graph->values[number]);
    }
}

static bool enters(const struct ledge_layout_fit *fit, int32_t input)
{
    return fit->enters[0] == input || fit->enters[1] == input;
}

static void survey_node(struct survey *s, int32_t number)
{
    struct ledge_layout_step *step = s->step;
    const struct ledge_node *node = &step->graph->nodes[number];
    struct verdict *verdict = &s->verdicts[number];
    verdict->region = number;
    s->regions[number] = (struct region){.parent = number};
    verdict->rule = rule_of(step, node, &verdict->fit);
    for (int32_t i = 0; i < node->n_in; i++) {
        if (node->in[i] < 0) {
            continue;
        }
        struct ledge_layout_value *value = &step->values[node->in[i]];
        if (verdict->rule == NULL) {
            need_plain(s, node->in[i]);
        } else if (value->region >= 0) {
            join(s->regions, value->region, number);
        } else if (enters(&verdict->fit, i)) {
            value->region = number;
            value->layout = verdict->fit.layout;
            value->block = verdict->fit.block;
            s->regions[find(s->regions, number)].moved += count(&step->graph->values[node->in[i]]);
        }
    }
    if (verdict->rule != NULL) {
        s->regions[find(s->regions, number)].macs += verdict->fit.macs;
        for (int32_t i = 0; i < node->n_out; i++) {
            if (node->out[i] >= 0) {
                struct ledge_layout_value *out = &step->values[node->out[i]];
                out->region = number;
                out->layout = verdict->fit.layout;
                out->block = verdict->fit.block;
                out->plain = false;
            }
        }
    }
}

static void count_uses(struct ledge_layout_step *step)
{
    const struct ledge_graph *graph = step->graph;
    for (int32_t i = 0; i < step->n_values; i++) {
        step->values[i] = (struct ledge_layout_value){.region = -1, .plain = true, .twin = -1};
    }
    for (int32_t i = 0; i < graph->n_nodes && !graph->nodes[i].dead; i++) {
        for (int32_t k = 0; k < graph->nodes[i].n_in; k++) {
            if (graph->nodes[i].in[k] >= 0) {
                step->values[graph->nodes[i].in[k]].uses++;
            }
        }
    }
    for (int32_t i = 0; i < graph->n_outputs; i++) {
        step->values[graph->outputs[i]].uses++;
    }
}

/* -- second pass ----------------------------------------------------------------------------------
 */

static enum ledge_status no_memory(struct ledge_layout_step *step)
{
    return ledge_fail(step->err, LEDGE_ERR_NOMEM, "no memory for blocked tensors");
}

static enum ledge_status infer(struct ledge_layout_step *step, int32_t node)
{
    const struct ledge_node *it = &step->graph->nodes[node];
    struct ledge_op_infer infer = {.graph = step->graph, .node = it, .err = step->err};
    const struct ledge_op *op = ledge_op_find(step->graph, it);
    return op != NULL ? op->infer(&infer)
                      : ledge_fail(step->err, LEDGE_ERR_INTERNAL, "no operator %s", it->op);
}

static enum ledge_status set_order(struct ledge_layout_step *step, int32_t node,
                                   enum ledge_layout layout, int32_t block)
{
    return ledge_graph_set_int(step->graph, node, "layout", layout) &&
                   ledge_graph_set_int(step->graph, node, "block", block)
               ? LEDGE_OK
               : no_memory(step);
}

enum ledge_status ledge_layout_enter(struct ledge_layout_step *step, int32_t value,
                                     const struct ledge_layout_fit *fit, const char *op,
                                     int32_t *twin)
{
    struct ledge_layout_value *at = &step->values[value];
    if (at->twin < 0) {
        struct ledge_graph *graph = step->graph;
        int32_t made = ledge_graph_add_value(graph, NULL, graph->values[value].dtype, -1, NULL);
        int32_t node =
            made < 0 ? -1 : ledge_graph_add_node(graph, "ledge", op, 1, NULL, &value, 1, &made, 1);
        if (node < 0) {
            return no_memory(step);
        }
        LEDGE_TRY(set_order(step, node, fit->layout, fit->block));
        LEDGE_TRY(infer(step, node));
        at->twin = made;
        at->layout = fit->layout;
        at->block = fit->block;
        at->plain = true;
    }
    *twin = at->twin;
    return LEDGE_OK;
}

/* Make the plain form of a value that has only its twin. */
static enum ledge_status leave(struct ledge_layout_step *step, int32_t value)
{
    struct ledge_layout_value *at = &step->values[value];
    struct ledge_graph *graph = step->graph;
    if (at->twin < 0 || at->plain) {
        return LEDGE_OK;
    }
    int64_t channels = graph->values[value].dims[ledge_layout_axis(at->layout)];
    int32_t node =
        ledge_graph_add_node(graph, "ledge", "FromBlocked", 1, NULL, &at->twin, 1, &value, 1);
    if (node < 0 || !ledge_graph_set_int(graph, node, "channels", channels)) {
        return no_memory(step);
    }
    at->plain = true;
    LEDGE_TRY(set_order(step, node, at->layout, at->block));
    return infer(step, node);
}

enum ledge_status ledge_layout_make(struct ledge_layout_step *step, int32_t value, const char *op,
                                    const int32_t *in, int32_t n_in,
                                    const struct ledge_layout_fit *fit, int32_t *node)
{
    struct ledge_graph *graph = step->graph;
    int32_t made = ledge_graph_add_value(graph, NULL, graph->values[value].dtype, -1, NULL);
    *node = made < 0 ? -1 : ledge_graph_add_node(graph, "ledge", op, 1, NULL, in, n_in, &made, 1);
    if (*node < 0) {
        return no_memory(step);
    }
    graph->values[value].producer = -1;
    step->values[value].twin = made;
    step->values[value].layout = fit->layout;
    step->values[value].block = fit->block;
    step->values[value].plain = false;
    return LEDGE_OK;
}

enum ledge_status ledge_layout_infer(struct ledge_layout_step *step, int32_t node)
{
    return infer(step, node);
}

enum ledge_status ledge_layout_rewrite(struct ledge_layout_step *step, int32_t node,
                                       const char *domain, const char *op, const int32_t *in,
                                       int32_t n_in, const struct ledge_layout_fit *fit)
{
    struct ledge_graph *graph = step->graph;
    int32_t old = graph->nodes[node].out[0];
    int32_t made = ledge_graph_add_value(graph, NULL, graph->values[old].dtype, -1, NULL);
    int32_t *list = LEDGE_NEW_ARRAY(&graph->arena, int32_t, (size_t)n_in);
    if (made < 0 || list == NULL) {
        return no_memory(step);
    }
    memcpy(list, in, (size_t)n_in * sizeof *list);
    graph->nodes[node].in = list;
    graph->nodes[node].n_in = n_in;
    graph->nodes[node].domain = domain;
    graph->nodes[node].op = op;
    graph->nodes[node].out[0] = made;
    graph->values[made].producer = node;
    graph->values[old].producer = -1;
    step->values[old].twin = made;
    step->values[old].layout = fit->layout;
    step->values[old].block = fit->block;
    step->values[old].plain = false;
    return infer(step, node);
}

static enum ledge_status rewrite(struct survey *s)
{
    struct ledge_layout_step *step = s->step;
    for (int32_t i = 0; i < s->n_nodes; i++) {
        const struct verdict *verdict = &s->verdicts[i];
        if (verdict->rule != NULL) {
            LEDGE_TRY(verdict->rule->apply(step, i, &verdict->fit));
            continue;
        }
        for (int32_t k = 0; k < step->graph->nodes[i].n_in; k++) {
            if (step->graph->nodes[i].in[k] >= 0) {
                LEDGE_TRY(leave(step, step->graph->nodes[i].in[k]));
            }
        }
    }
    for (int32_t i = 0; i < step->graph->n_outputs; i++) {
        LEDGE_TRY(leave(step, step->graph->outputs[i]));
    }
    return LEDGE_OK;
}

/* -- the step -------------------------------------------------------------------------------------
 */

/* Drop the regions that do not pay; is any left? */
static bool keep_worthy(struct survey *s, bool force)
{
    bool any = false;
    for (int32_t i = 0; i < s->n_nodes; i++) {
        struct verdict *verdict = &s->verdicts[i];
        if (verdict->rule != NULL) {
            const struct region *region = &s->regions[find(s->regions, verdict->region)];
            bool pays = force || region->macs / WORTH >= region->moved;
            verdict->rule = pays ? verdict->rule : NULL;
            any = any || pays;
        }
    }
    for (int32_t i = 0; i < s->step->n_values; i++) {
        s->step->values[i].plain = true; /* until its node is rewritten */
    }
    return any;
}

static enum ledge_status run(struct ledge_layout_step *step, bool force)
{
    struct ledge_graph *graph = step->graph;
    struct survey s = {.step = step};
    while (s.n_nodes < graph->n_nodes && !graph->nodes[s.n_nodes].dead) {
        s.n_nodes++;
    }
    s.regions = LEDGE_NEW_ARRAY(&step->scratch, struct region, (size_t)s.n_nodes);
    s.verdicts = LEDGE_NEW_ARRAY(&step->scratch, struct verdict, (size_t)s.n_nodes);
    step->values =
        LEDGE_NEW_ARRAY(&step->scratch, struct ledge_layout_value, (size_t)step->n_values);
    if (s.regions == NULL || s.verdicts == NULL || step->values == NULL) {
        return no_memory(step);
    }
    count_uses(step);
    for (int32_t i = 0; i < s.n_nodes; i++) {
        survey_node(&s, i);
    }
    for (int32_t i = 0; i < graph->n_outputs; i++) {
        need_plain(&s, graph->outputs[i]);
    }
    if (!keep_worthy(&s, force)) {
        return LEDGE_OK;
    }
    LEDGE_TRY(rewrite(&s));
    ledge_graph_sweep(graph);
    return ledge_graph_sort(graph, step->err);
}

enum ledge_status ledge_plan_layout(struct ledge_plan *plan,
                                    const struct ledge_plan_options *options,
                                    struct ledge_error *err)
{
    if (options->layout == LEDGE_PLAN_PLAIN) {
        return LEDGE_OK;
    }
    struct ledge_layout_step step = {.graph = &plan->graph,
                                     .rung = options->rung,
                                     .consistent = options->consistent,
                                     .n_values = plan->graph.n_values,
                                     .err = err};
    ledge_arena_init(&step.scratch, &plan->memory.allocator);
    enum ledge_status status = run(&step, options->layout == LEDGE_PLAN_BLOCKED);
    ledge_arena_done(&step.scratch);
    return status;
}
