/* SPDX-License-Identifier: Apache-2.0 */
/* grad.c -- the walk. See grad.h; the rules are in vjp.c. */
#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "train/grad/internal.h"
#include "train/ops/ops.h"

bool train_vjp_needs(const struct train_vjp *v, int32_t i)
{
    return i < v->node.n_in && v->node.in[i] >= 0 && v->walk->needed[v->node.in[i]];
}

int32_t train_vjp_nodes(const struct train_vjp *v, const char *domain, const char *op,
                        const int32_t *in, int32_t n_in, const bool *wanted, int32_t n_out,
                        int32_t *out)
{
    struct ledge_graph *graph = v->walk->graph;
    bool good = true;
    for (int32_t i = 0; i < n_in; i++) {
        good = good && in[i] >= -1;
    }
    for (int32_t i = 0; i < n_out; i++) {
        out[i] = -1;
        if (wanted == NULL || wanted[i]) {
            out[i] = ledge_graph_add_value(graph, NULL, LEDGE_F32, -1, NULL);
            good = good && out[i] >= 0;
        }
    }
    int32_t node = good ? ledge_graph_add_node(graph, domain, op, domain[0] == '\0' ? 13 : 1, NULL,
                                               in, n_in, out, n_out)
                        : -1;
    v->walk->failed = v->walk->failed || node < 0;
    return node;
}

int32_t train_vjp_node(const struct train_vjp *v, const char *domain, const char *op,
                       const int32_t *in, int32_t n_in)
{
    int32_t out;
    return train_vjp_nodes(v, domain, op, in, n_in, NULL, 1, &out) >= 0 ? out : -1;
}

int32_t train_vjp_last(const struct train_vjp *v)
{
    return v->walk->graph->n_nodes - 1;
}

static bool copy_attribute(struct ledge_graph *graph, int32_t node, const struct ledge_attr *a)
{
    switch (a->type) {
    case LEDGE_ATTR_INT:
        return ledge_graph_set_int(graph, node, a->name, a->i);
    case LEDGE_ATTR_FLOAT:
        return ledge_graph_set_float(graph, node, a->name, a->f);
    case LEDGE_ATTR_STRING:
        return ledge_graph_set_string(graph, node, a->name, a->s);
    case LEDGE_ATTR_INTS:
        return ledge_graph_set_ints(graph, node, a->name, a->ints, a->n);
    case LEDGE_ATTR_FLOATS:
        return ledge_graph_set_floats(graph, node, a->name, a->floats, a->n);
    default:
        return true;
    }
}

void train_vjp_attributes(const struct train_vjp *v, int32_t node)
{
    for (int32_t i = 0; node >= 0 && i < v->node.n_attrs; i++) {
        if (!copy_attribute(v->walk->graph, node, &v->node.attrs[i])) {
            v->walk->failed = true;
        }
    }
}

void train_vjp_give(const struct train_vjp *v, int32_t i, int32_t value)
{
    struct train_walk *walk = v->walk;
    int32_t *grad = &walk->grads[v->node.in[i]];
    if (value < 0) {
        walk->failed = true;
        return;
    }
    *grad = *grad < 0 ? value
                      : train_vjp_node(v, TRAIN_DOMAIN, "Accumulate", (int32_t[]){*grad, value}, 2);
}

void train_vjp_give_like(const struct train_vjp *v, int32_t i, int32_t value)
{
    train_vjp_give(
        v, i, train_vjp_node(v, TRAIN_DOMAIN, "SumLike", (int32_t[]){value, v->node.in[i]}, 2));
}

/* Values that depend on a wanted one, in the order of the nodes. */
static void mark_needed(struct train_walk *walk, const int32_t *wanted, int32_t n)
{
    const struct ledge_graph *graph = walk->graph;
    for (int32_t i = 0; i < n; i++) {
        walk->needed[wanted[i]] = true;
    }
    for (int32_t i = 0; i < graph->n_nodes; i++) {
        const struct ledge_node *node = &graph->nodes[i];
        bool needs = false;
        for (int32_t k = 0; !node->dead && k < node->n_in; k++) {
            needs = needs || (node->in[k] >= 0 && walk->needed[node->in[k]]);
        }
        for (int32_t k = 0; needs && k < node->n_out; k++) {
            if (node->out[k] >= 0) {
                walk->needed[node->out[k]] = true;
            }
        }
    }
}

static enum ledge_status visit(struct train_walk *walk, int32_t index)
{
    struct train_vjp v = {.walk = walk, .node = walk->graph->nodes[index]};
    if (v.node.dead || v.node.n_out == 0 || v.node.out[0] < 0 || !walk->needed[v.node.out[0]] ||
        walk->grads[v.node.out[0]] < 0) {
        return LEDGE_OK;
    }
    v.dy = walk->grads[v.node.out[0]];
    const struct train_rule *rule = train_rule_find(v.node.domain, v.node.op);
    if (rule == NULL) {
        return ledge_fail(walk->err, LEDGE_ERR_UNSUPPORTED,
                          "node %s: operator %s has no gradient here", v.node.name, v.node.op);
    }
    LEDGE_TRY(rule->rule(&v));
    return walk->failed ? ledge_fail(walk->err, LEDGE_ERR_NOMEM, "gradients: out of memory")
                        : LEDGE_OK;
}

enum ledge_status train_grad_build(struct ledge_graph *graph, int32_t value, int32_t seed,
                                   const int32_t *wanted, int32_t n, int32_t *grads,
                                   struct ledge_error *err)
{
    size_t count = (size_t)graph->n_values;
    struct train_walk walk = {.graph = graph, .n = graph->n_values, .err = err};
    walk.grads = malloc(count * sizeof *walk.grads);
    walk.needed = calloc(count, sizeof *walk.needed);
    enum ledge_status status = LEDGE_OK;
    if (walk.grads == NULL || walk.needed == NULL) {
        status = ledge_fail(err, LEDGE_ERR_NOMEM, "gradients: out of memory");
    } else {
        memset(walk.grads, -1, count * sizeof *walk.grads);
        mark_needed(&walk, wanted, n);
        walk.grads[value] = seed;
    }
    for (int32_t i = graph->n_nodes - 1; i >= 0 && status == LEDGE_OK; i--) {
        status = visit(&walk, i);
    }
    for (int32_t i = 0; i < n && status == LEDGE_OK; i++) {
        grads[i] = walk.grads[wanted[i]];
    }
    free(walk.grads);
    free(walk.needed);
    return status;
}

bool train_grad_has(const char *domain, const char *op)
{
    return train_rule_find(domain, op) != NULL;
}
