/* SPDX-License-Identifier: Apache-2.0 */
/* flex.c -- FlexAttention (ai.onnx.preview) with score_mod or prob_mod: these are graphs, so the
 * node becomes what it stands for: MatMul, Softmax, MatMul, and an If whose condition is true
 * around each graph, which the planner replaces by its branch. Without them the attention kernel
 * runs it. Source: ONNX, FlexAttention version 1, function body. */
#include <string.h>

#include "base/banned.h"
#include "import/onnx/onnx.h"

struct flex {
    struct ledge_graph *graph;
    struct ledge_node node; /* a copy: adding nodes moves the array */
    enum ledge_dtype precision;
    bool failed;
};

static int32_t add(struct flex *f, const char *op, const int32_t *in, int32_t n_in)
{
    bool good = true;
    for (int32_t i = 0; i < n_in; i++) {
        good = good && in[i] >= 0;
    }
    int32_t out = good ? ledge_graph_add_value(f->graph, NULL, LEDGE_DTYPE_NONE, -1, NULL) : -1;
    if (out < 0 || ledge_graph_add_node(f->graph, "", op, 19, NULL, in, n_in, &out, 1) < 0) {
        f->failed = true;
        return -1;
    }
    return out;
}

#define ADD(op, ...)                                                                               \
    add(f, op, (int32_t[]){__VA_ARGS__},                                                           \
        (int32_t)(sizeof((int32_t[]){__VA_ARGS__}) / sizeof(int32_t)))

/* An attribute of the node added last. */
static void set(struct flex *f, const char *name, int64_t value)
{
    f->failed = f->failed || !ledge_graph_set_int(f->graph, f->graph->n_nodes - 1, name, value);
}

static int32_t constant(struct flex *f, enum ledge_dtype dtype, int32_t rank, const void *data)
{
    return ledge_graph_add_constant(f->graph, NULL, dtype, rank, &(int64_t){1}, data, true);
}

/* Length of an axis as a list of one. */
static int32_t length(struct flex *f, int32_t value, int64_t axis)
{
    int32_t out = ADD("Shape", value);
    set(f, "start", axis);
    set(f, "end", axis + 1);
    return out;
}

static int32_t list(struct flex *f, const int32_t *parts, int32_t n)
{
    int32_t out = add(f, "Concat", parts, n);
    set(f, "axis", 0);
    return out;
}

/* Keys or values with each head as often as queries share it. */
static int32_t align_heads(struct flex *f, int32_t value)
{
    static const int64_t two = 2;
    int32_t batch = length(f, value, 0), own = length(f, value, 1);
    int32_t places = length(f, value, 2), size = length(f, value, 3);
    int32_t heads = length(f, f->node.in[0], 1);
    int32_t times = ADD("Div", heads, own);
    int32_t wide = ADD("Unsqueeze", value, constant(f, LEDGE_I64, 1, &two));
    wide = ADD("Expand", wide, list(f, (int32_t[]){batch, own, times, places, size}, 5));
    return ADD("Reshape", wide, list(f, (int32_t[]){batch, heads, places, size}, 4));
}

static int32_t cast(struct flex *f, int32_t value)
{
    int32_t out = ADD("Cast", value);
    set(f, "to", (int64_t)f->precision);
    return out;
}

static int32_t scale_of(struct flex *f)
{
    float scale = ledge_node_float(&f->node, "scale", 0);
    if (scale != 0) {
        return cast(f, constant(f, LEDGE_F32, 0, &scale));
    }
    static const float power = -0.5f;
    return ADD("Pow", cast(f, length(f, f->node.in[0], 3)),
               cast(f, constant(f, LEDGE_F32, 0, &power)));
}

/* value through the graph called name, whose captures begin at *captures of the node's inputs. */
static int32_t through(struct flex *f, const char *name, int32_t value, int32_t captures)
{
    struct ledge_graph *sub = ledge_node_graph(&f->node, name);
    static const uint8_t yes = 1;
    if (sub == NULL) {
        return value;
    }
    int32_t n = sub->n_inputs;
    int32_t *in = LEDGE_NEW_ARRAY(&f->graph->arena, int32_t, 1 + 2 * (size_t)n);
    if (in == NULL) {
        f->failed = true;
        return -1;
    }
    in[0] = constant(f, LEDGE_BOOL, 0, &yes);
    for (int32_t i = 0; i < n; i++) { /* once for each branch */
        in[1 + i] = in[1 + n + i] = i == 0 ? value : f->node.in[captures + i - 1];
    }
    sub->n_captures = n;
    int32_t out = add(f, "If", in, 1 + 2 * n), node = f->graph->n_nodes - 1;
    f->failed = f->failed || !ledge_graph_set_graph(f->graph, node, "then_branch", sub) ||
                !ledge_graph_set_graph(f->graph, node, "else_branch", sub);
    return out;
}

/* A graph takes one tensor, besides what it captures, and gives one. */
static bool fits(const struct ledge_graph *sub)
{
    return sub == NULL || (sub->n_inputs == sub->n_captures + 1 && sub->n_outputs == 1);
}

/* Where the captures of each graph begin: they follow in the order of the attributes. */
static void find_captures(const struct ledge_node *node, int32_t *score, int32_t *prob)
{
    int32_t at = ledge_node_own_inputs(node);
    for (int32_t i = 0; i < node->n_attrs; i++) {
        const struct ledge_attr *attr = &node->attrs[i];
        *score = strcmp(attr->name, "score_mod") == 0 ? at : *score;
        *prob = strcmp(attr->name, "prob_mod") == 0 ? at : *prob;
        at += attr->type == LEDGE_ATTR_GRAPH ? attr->graph->n_captures : 0;
    }
}

static void expand(struct flex *f)
{
    int32_t score = 0, prob = 0;
    find_captures(&f->node, &score, &prob);
    int32_t keys = align_heads(f, f->node.in[1]);
    int32_t turned = ADD("Transpose", keys);
    f->failed = f->failed || !ledge_graph_set_ints(f->graph, f->graph->n_nodes - 1, "perm",
                                                   (int64_t[]){0, 1, 3, 2}, 4);
    int32_t product = cast(f, ADD("MatMul", f->node.in[0], turned));
    int32_t value = through(f, "score_mod", ADD("Mul", product, scale_of(f)), score);
    value = ADD("Softmax", value);
    set(f, "axis", -1);
    value = through(f, "prob_mod", value, prob);
    value = ADD("MatMul", value, cast(f, align_heads(f, f->node.in[2])));
    const int32_t in[2] = {value, f->node.in[0]};
    f->failed = f->failed || value < 0 ||
                ledge_graph_add_node(f->graph, "", "CastLike", 19, f->node.name, in, 2,
                                     &f->node.out[0], 1) < 0;
}

enum ledge_status ledge_onnx_flex(struct ledge_graph *graph, struct ledge_error *err)
{
    int32_t n = graph->n_nodes;
    bool any = false;
    for (int32_t i = 0; i < n; i++) {
        struct flex f = {.graph = graph, .node = graph->nodes[i], .precision = LEDGE_F32};
        const struct ledge_graph *score = ledge_node_graph(&f.node, "score_mod");
        const struct ledge_graph *prob = ledge_node_graph(&f.node, "prob_mod");
        if (strcmp(f.node.op, "FlexAttention") != 0 || (score == NULL && prob == NULL) ||
            strcmp(f.node.domain, "ai.onnx.preview") != 0) {
            continue;
        }
        int64_t precision = ledge_node_int(&f.node, "softmax_precision", 0);
        bool wide =
            f.node.n_in > 0 && f.node.in[0] >= 0 && graph->values[f.node.in[0]].dtype == LEDGE_F64;
        f.precision = precision == LEDGE_F64 || (precision == 0 && wide) ? LEDGE_F64 : LEDGE_F32;
        if (ledge_node_own_inputs(&f.node) != 3 || f.node.n_out != 1 || f.node.out[0] < 0 ||
            !fits(score) || !fits(prob) || score == prob) {
            return ledge_fail(err, LEDGE_ERR_FORMAT, "node %.80s (FlexAttention): inputs or graphs",
                              f.node.name);
        }
        graph->nodes[i].dead = true;
        expand(&f);
        if (f.failed) {
            return ledge_fail(err, LEDGE_ERR_NOMEM, "node %.80s (FlexAttention): no memory",
                              f.node.name);
        }
        any = true;
    }
    return any ? ledge_graph_sort(graph, err) : LEDGE_OK;
}
