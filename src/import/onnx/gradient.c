/* SPDX-License-Identifier: Apache-2.0 */
/* gradient.c -- Gradient of ai.onnx.preview.training: reverse-mode differentiation as a rewrite.
 *
 * The node names what is differentiated (y) and by what (xs; zs are further inputs of the function)
 * and is given values for them. When those are the named values themselves the forward nodes are
 * used as they stand; else the part of the graph from xs and zs to y is copied with the given
 * values put in. Nodes are then visited from y back, only where an input depends on an x, and each
 * rule adds ai.onnx nodes; gradients of a value with several readers are added, and y's own is a
 * tensor of ones. What is added is differentiable again, so that derivatives of higher order are
 * Gradient nodes over Gradient nodes; of those the innermost are replaced first.
 * Source: Griewank and Walther 2008, chapter 3. The training room has rules of its own
 * (train/grad), for kernels that only training needs; these here need none.
 */
#include "import/onnx/gradient.h"

#include <string.h>

#include "base/banned.h"

/* A small file cannot ask for much: each level of nesting multiplies nodes. */
enum { MAX_NODES = 1 << 16 };

static bool is_gradient(const struct ledge_node *node)
{
    return !node->dead && strcmp(node->op, "Gradient") == 0 &&
           strcmp(node->domain, "ai.onnx.preview.training") == 0;
}

int32_t ledge_gradient_node(const struct ledge_gradient *g, const char *op, const int32_t *in,
                            int32_t n_in)
{
    bool good = true;
    for (int32_t i = 0; i < n_in; i++) {
        good = good && in[i] >= 0;
    }
    int32_t out = good ? ledge_graph_add_value(g->graph, NULL, LEDGE_DTYPE_NONE, -1, NULL) : -1;
    if (out < 0 || ledge_graph_add_node(g->graph, "", op, 19, NULL, in, n_in, &out, 1) < 0) {
        *g->failed = true;
        return -1;
    }
    return out;
}

int32_t ledge_gradient_ints(const struct ledge_gradient *g, const int64_t *values, int32_t n)
{
    return ledge_graph_add_constant(g->graph, NULL, LEDGE_I64, 1, &(int64_t){n}, values, true);
}

int32_t ledge_gradient_number(const struct ledge_gradient *g, float number, int32_t like)
{
    int32_t value = ledge_graph_add_constant(g->graph, NULL, LEDGE_F32, 0, NULL, &number, true);
    return ledge_gradient_node(g, "CastLike", (int32_t[]){value, like}, 2);
}

int32_t ledge_gradient_full(const struct ledge_gradient *g, float number, int32_t like)
{
    int32_t shape = ledge_gradient_node(g, "Shape", &like, 1);
    int32_t one = ledge_gradient_number(g, number, like);
    return ledge_gradient_node(g, "Expand", (int32_t[]){one, shape}, 2);
}

/* One Gradient node being replaced. */
struct job {
    struct ledge_graph *graph;
    struct ledge_node node;
    const struct ledge_attr *xs, *zs;
    int32_t y;
    int32_t *place; /* per value: what stands for it; itself where nothing is copied */
    bool *needed;   /* per value: depends on an x */
    bool *cone;     /* per value: y depends on it */
    struct ledge_error *err;
};

static enum ledge_status refuse(const struct job *job, enum ledge_status status, const char *what,
                                const char *name)
{
    return ledge_fail(job->err, status, "node %.60s (Gradient): %s %.80s", job->node.name, what,
                      name);
}

/* Number of a name of xs, then of zs; NULL past the end. */
static const char *name_at(const struct job *job, int32_t i)
{
    size_t n = job->xs->n, at = (size_t)i;
    if (at < n) {
        return job->xs->strings[at];
    }
    return job->zs != NULL && at - n < job->zs->n ? job->zs->strings[at - n] : NULL;
}

static enum ledge_status read_job(struct job *job)
{
    const char *y = ledge_node_string(&job->node, "y", "");
    job->xs = ledge_node_attr(&job->node, "xs");
    job->zs = ledge_node_attr(&job->node, "zs");
    job->y = ledge_graph_find(job->graph, y);
    if (job->xs == NULL || job->xs->type != LEDGE_ATTR_STRINGS ||
        (job->zs != NULL && job->zs->type != LEDGE_ATTR_STRINGS)) {
        return refuse(job, LEDGE_ERR_FORMAT, "xs and zs must be lists of names", "");
    }
    size_t n = job->xs->n + (job->zs != NULL ? job->zs->n : 0);
    if (n != (size_t)job->node.n_in || (size_t)job->node.n_out > job->xs->n) {
        return refuse(job, LEDGE_ERR_FORMAT, "another number of inputs or outputs than", "xs, zs");
    }
    return job->y >= 0 ? LEDGE_OK : refuse(job, LEDGE_ERR_FORMAT, "there is no value y =", y);
}

/* needed, cone, and whether anything must be copied. */
static enum ledge_status mark(struct job *job, bool *copies)
{
    const struct ledge_graph *graph = job->graph;
    bool *stop = LEDGE_NEW_ARRAY(&job->graph->arena, bool, (size_t)graph->n_values);
    if (stop == NULL) {
        return refuse(job, LEDGE_ERR_NOMEM, "no memory", "");
    }
    for (int32_t i = 0; i < job->node.n_in; i++) {
        int32_t value = ledge_graph_find(graph, name_at(job, i));
        if (value < 0 || job->node.in[i] < 0) {
            return refuse(job, LEDGE_ERR_FORMAT, "there is no value", name_at(job, i));
        }
        *copies = *copies || job->node.in[i] != value;
        job->place[value] = job->node.in[i];
        job->needed[value] = job->needed[value] || (size_t)i < job->xs->n;
        stop[value] = true;
    }
    for (int32_t i = 0; i < graph->n_nodes; i++) { /* sorted: inputs come first */
        const struct ledge_node *node = &graph->nodes[i];
        bool depends = false;
        for (int32_t k = 0; !node->dead && k < node->n_in; k++) {
            depends = depends || (node->in[k] >= 0 && job->needed[node->in[k]]);
        }
        for (int32_t k = 0; depends && k < node->n_out; k++) {
            if (node->out[k] >= 0 && !stop[node->out[k]]) {
                job->needed[node->out[k]] = true;
            }
        }
    }
    job->cone[job->y] = true;
    for (int32_t i = graph->n_nodes - 1; i >= 0; i--) {
        const struct ledge_node *node = &graph->nodes[i];
        bool feeds = false;
        for (int32_t k = 0; !node->dead && k < node->n_out; k++) {
            feeds = feeds || (node->out[k] >= 0 && job->cone[node->out[k]] && !stop[node->out[k]]);
        }
        for (int32_t k = 0; feeds && k < node->n_in; k++) {
            if (node->in[k] >= 0) {
                job->cone[node->in[k]] = true;
            }
        }
    }
    return LEDGE_OK;
}

/* Does the node stand between xs, zs and y, and depend on what is given in their place? */
static bool stands_between(const struct job *job, const struct ledge_node *node)
{
    bool feeds = false;
    for (int32_t k = 0; !node->dead && k < node->n_out; k++) {
        feeds = feeds || (node->out[k] >= 0 && job->cone[node->out[k]]);
    }
    return feeds;
}

static enum ledge_status copy_attributes(struct job *job, const struct ledge_node *from, int32_t to)
{
    size_t n = (size_t)from->n_attrs;
    struct ledge_attr *attrs = LEDGE_NEW_ARRAY(&job->graph->arena, struct ledge_attr, n);
    if (to < 0 || attrs == NULL) {
        return refuse(job, LEDGE_ERR_NOMEM, "no memory", "");
    }
    for (size_t i = 0; i < n; i++) {
        if (from->attrs[i].type == LEDGE_ATTR_GRAPH) {
            return refuse(job, LEDGE_ERR_UNSUPPORTED, "sub-graphs between x and y in", from->op);
        }
        attrs[i] = from->attrs[i];
    }
    job->graph->nodes[to].attrs = attrs;
    job->graph->nodes[to].n_attrs = from->n_attrs;
    return LEDGE_OK;
}

/* A value of its own for each that is given: one may be given for several names, and a gradient
 * must not run on into what computes it. */
static enum ledge_status set_apart(struct job *job)
{
    struct ledge_graph *graph = job->graph;
    int32_t *in = LEDGE_NEW_ARRAY(&graph->arena, int32_t, (size_t)job->node.n_in);
    for (int32_t i = 0; in != NULL && i < job->node.n_in; i++) {
        in[i] = ledge_graph_add_value(graph, NULL, LEDGE_DTYPE_NONE, -1, NULL);
        if (in[i] < 0 || ledge_graph_add_node(graph, "", "Identity", 19, NULL, &job->node.in[i], 1,
                                              &in[i], 1) < 0) {
            in = NULL;
            break;
        }
        job->place[ledge_graph_find(graph, name_at(job, i))] = in[i];
    }
    job->node.in = in;
    return in != NULL ? LEDGE_OK : refuse(job, LEDGE_ERR_NOMEM, "no memory", "");
}

static bool is_given(const struct job *job, int32_t value)
{
    bool given = false;
    for (int32_t i = 0; i < job->node.n_in; i++) {
        given = given || job->node.in[i] == value;
    }
    return given;
}

/* The nodes between, once more, reading the given values. */
static enum ledge_status copy_cone(struct job *job, int32_t n_nodes)
{
    struct ledge_graph *graph = job->graph;
    for (int32_t i = 0; i < n_nodes; i++) {
        struct ledge_node node = graph->nodes[i];
        bool moved = false;
        for (int32_t k = 0; k < node.n_in; k++) {
            moved = moved || (node.in[k] >= 0 && job->place[node.in[k]] != node.in[k]);
        }
        for (int32_t k = 0; k < node.n_out; k++) { /* an x or z itself is not computed again */
            moved = moved && (node.out[k] < 0 || job->place[node.out[k]] == node.out[k]);
        }
        if (!moved || !stands_between(job, &node)) {
            continue;
        }
        int32_t *in = LEDGE_NEW_ARRAY(&graph->arena, int32_t, (size_t)node.n_in);
        int32_t *out = LEDGE_NEW_ARRAY(&graph->arena, int32_t, (size_t)node.n_out);
        for (int32_t k = 0; in != NULL && k < node.n_in; k++) {
            in[k] = node.in[k] < 0 ? -1 : job->place[node.in[k]];
        }
        for (int32_t k = 0; out != NULL && k < node.n_out; k++) {
            out[k] = node.out[k] < 0
                         ? -1
                         : ledge_graph_add_value(graph, NULL, LEDGE_DTYPE_NONE, -1, NULL);
            if (node.out[k] >= 0) {
                job->place[node.out[k]] = out[k];
            }
        }
        int32_t copy = in == NULL || out == NULL
                           ? -1
                           : ledge_graph_add_node(graph, node.domain, node.op, node.opset, NULL, in,
                                                  node.n_in, out, node.n_out);
        LEDGE_TRY(copy_attributes(job, &node, copy));
    }
    return LEDGE_OK;
}

/* The walk from y back: gradients by value of the named graph, rules on what stands for it. */
static enum ledge_status differentiate(struct job *job, int32_t n_nodes, int32_t *grads)
{
    struct ledge_graph *graph = job->graph;
    bool failed = false;
    struct ledge_gradient g = {
        .graph = graph, .grads = grads, .needed = job->needed, .failed = &failed, .err = job->err};
    grads[job->place[job->y]] = ledge_gradient_full(&g, 1, job->place[job->y]);
    for (int32_t i = n_nodes - 1; i >= 0 && !failed; i--) {
        g.node = graph->nodes[i];
        if (g.node.dead || g.node.n_out == 0 || g.node.out[0] < 0 || !job->needed[g.node.out[0]] ||
            grads[g.node.out[0]] < 0 || is_given(job, g.node.out[0])) {
            continue;
        }
        g.dy = grads[g.node.out[0]];
        LEDGE_TRY(ledge_gradient_rule(&g));
    }
    return failed ? refuse(job, LEDGE_ERR_NOMEM, "no memory", "") : LEDGE_OK;
}

/* Identity from each gradient to the node's output; zeros where y does not depend on an x. */
static enum ledge_status hand_out(struct job *job, const int32_t *grads)
{
    struct ledge_graph *graph = job->graph;
    bool failed = false;
    struct ledge_gradient g = {.graph = graph, .failed = &failed, .err = job->err};
    for (int32_t i = 0; i < job->node.n_out; i++) {
        int32_t x = job->node.in[i], from = grads[x];
        if (from < 0) {
            from = ledge_gradient_full(&g, 0, x);
        }
        if (job->node.out[i] >= 0 &&
            (from < 0 || ledge_graph_add_node(graph, "", "Identity", 19, NULL, &from, 1,
                                              &job->node.out[i], 1) < 0)) {
            failed = true;
        }
    }
    return failed ? refuse(job, LEDGE_ERR_NOMEM, "no memory", "") : LEDGE_OK;
}

/* needed, told of the copies: a value depends on an x when what it stands for does. */
static bool carry_over(struct job *job, int32_t n, int32_t total, int32_t **grads)
{
    bool *needed = LEDGE_NEW_ARRAY(&job->graph->arena, bool, (size_t)total);
    *grads = LEDGE_NEW_ARRAY(&job->graph->arena, int32_t, (size_t)total);
    if (needed == NULL || *grads == NULL) {
        return false;
    }
    for (int32_t i = 0; i < total; i++) {
        (*grads)[i] = -1;
    }
    for (int32_t i = 0; i < n; i++) {
        needed[job->place[i]] = needed[job->place[i]] || (job->needed[i] && job->cone[i]);
    }
    job->needed = needed;
    return true;
}

static enum ledge_status replace(struct job *job, int32_t index)
{
    struct ledge_graph *graph = job->graph;
    bool copies = false;
    int32_t n_values = graph->n_values;
    int32_t *grads = NULL;
    for (int32_t i = 0; i < n_values; i++) {
        job->place[i] = i;
    }
    LEDGE_TRY(mark(job, &copies));
    graph->nodes[index].dead = true;
    if (copies) {
        int32_t n_nodes = graph->n_nodes;
        LEDGE_TRY(set_apart(job));
        LEDGE_TRY(copy_cone(job, n_nodes));
    }
    if (!carry_over(job, n_values, graph->n_values, &grads)) {
        return refuse(job, LEDGE_ERR_NOMEM, "no memory", "");
    }
    LEDGE_TRY(differentiate(job, graph->n_nodes, grads));
    LEDGE_TRY(hand_out(job, grads));
    if (graph->n_nodes > MAX_NODES) {
        return refuse(job, LEDGE_ERR_UNSUPPORTED, "too many nodes", "");
    }
    return ledge_graph_sort(graph, job->err);
}

/* Does y of this node depend on the output of another Gradient node? */
static bool is_outer(const struct job *job)
{
    bool outer = false;
    for (int32_t i = 0; i < job->graph->n_nodes; i++) {
        const struct ledge_node *node = &job->graph->nodes[i];
        outer = outer || (is_gradient(node) && stands_between(job, node));
    }
    return outer;
}

static enum ledge_status try_one(struct ledge_graph *graph, int32_t index, bool *done,
                                 struct ledge_error *err)
{
    struct job job = {.graph = graph, .node = graph->nodes[index], .err = err};
    size_t n = (size_t)graph->n_values;
    bool ignored = false;
    LEDGE_TRY(read_job(&job));
    job.place = LEDGE_NEW_ARRAY(&graph->arena, int32_t, n);
    job.needed = LEDGE_NEW_ARRAY(&graph->arena, bool, n);
    job.cone = LEDGE_NEW_ARRAY(&graph->arena, bool, n);
    if (job.place == NULL || job.needed == NULL || job.cone == NULL) {
        return refuse(&job, LEDGE_ERR_NOMEM, "no memory", "");
    }
    LEDGE_TRY(mark(&job, &ignored));
    if (is_outer(&job)) {
        return LEDGE_OK;
    }
    *done = true;
    return replace(&job, index);
}

enum ledge_status ledge_onnx_gradients(struct ledge_graph *graph, struct ledge_error *err)
{
    bool more = true;
    while (more) {
        bool done = false;
        more = false;
        for (int32_t i = 0; i < graph->n_nodes && !done; i++) {
            if (is_gradient(&graph->nodes[i])) {
                more = true;
                LEDGE_TRY(try_one(graph, i, &done, err));
            }
        }
        if (more && !done) {
            return ledge_fail(err, LEDGE_ERR_UNSUPPORTED,
                              "graph: Gradient nodes that wait for each other");
        }
    }
    return LEDGE_OK;
}
