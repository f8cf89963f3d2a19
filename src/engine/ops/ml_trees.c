/* SPDX-License-Identifier: Apache-2.0 */
/* ml_trees.c -- TreeEnsemble (version 5: nodes refer to each other by number, leaves stand apart)
 * and TreeEnsembleClassifier and Regressor (nodes are pairs of tree and node numbers), both brought
 * to one form. What a file says of nodes is checked here; a cycle is found when it is walked. */
#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "engine/ops/ml.h"

#include "base/banned.h"

/* Operators whose nodes are pairs. */
#define OF_PAIRS                                                                                   \
    (LEDGE_HAS(LEDGE_OP_TreeEnsembleClassifier) || LEDGE_HAS(LEDGE_OP_TreeEnsembleRegressor))

static bool is_new(const struct ledge_node *node)
{
    return LEDGE_HAS(LEDGE_OP_TreeEnsemble) && (!OF_PAIRS || strcmp(node->op, "TreeEnsemble") == 0);
}

static bool is_classifier(const struct ledge_node *node)
{
    return strcmp(node->op, "TreeEnsembleClassifier") == 0;
}

static int64_t targets_of(const struct ledge_node *node, bool *strings)
{
    *strings = false;
    return is_classifier(node) ? ledge_ml_n_labels(node, strings)
                               : ledge_node_int(node, "n_targets", 1);
}

enum ledge_status ledge_ml_trees_infer(struct ledge_op_infer *infer)
{
    int64_t n, c;
    bool strings;
    LEDGE_TRY(ledge_ml_shape(infer, &n, &c));
    int64_t targets = targets_of(infer->node, &strings);
    if (targets < 1 || targets > INT32_MAX / 4) {
        return ledge_infer_fail(infer, LEDGE_ERR_FORMAT, "%lld targets", (long long)targets);
    }
    const int64_t dims[2] = {n, targets};
    if (is_classifier(infer->node)) {
        LEDGE_TRY(ledge_infer_out(infer, 0, strings ? LEDGE_STRING : LEDGE_I64, 1, &n));
        return ledge_infer_out(infer, 1, LEDGE_F32, 2, dims);
    }
    enum ledge_dtype dtype = is_new(infer->node) ? ledge_infer_in(infer, 0)->dtype : LEDGE_F32;
    return ledge_infer_out(infer, 0, dtype, 2, dims);
}

static enum ledge_status wrong(struct ledge_op_prepare *prepare, const char *what)
{
    return ledge_prepare_fail(prepare, LEDGE_ERR_FORMAT, "its %s do not fit together", what);
}

static enum ledge_status no_memory(struct ledge_op_prepare *prepare)
{
    return ledge_prepare_fail(prepare, LEDGE_ERR_NOMEM, "no memory for trees");
}

/* -- by pairs -- */

struct key {
    int64_t tree, node;
    int32_t at;
};

static bool before(const struct key *a, const struct key *b)
{
    return a->tree != b->tree ? a->tree < b->tree : a->node < b->node;
}

static void sort_keys(struct key *keys, int64_t n)
{
    int64_t gap = 1;
    while (gap < n / 3) {
        gap = 3 * gap + 1;
    }
    for (; gap > 0; gap /= 3) {
        for (int64_t i = gap; i < n; i++) {
            struct key key = keys[i];
            int64_t k = i;
            for (; k >= gap && before(&key, &keys[k - gap]); k -= gap) {
                keys[k] = keys[k - gap];
            }
            keys[k] = key;
        }
    }
}

static int32_t find_key(const struct key *keys, int64_t n, int64_t tree, int64_t node)
{
    const struct key want = {tree, node, 0};
    int64_t low = 0, high = n;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (before(&keys[middle], &want)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < n && keys[low].tree == tree && keys[low].node == node ? keys[low].at : -1;
}

struct pairs {
    const int64_t *trees, *ids, *features, *yes, *no, *missing;
    const double *values;
    const struct ledge_attr *modes;
    int64_t n, n_missing;
    struct key *keys;
};

static enum ledge_status read_pairs(struct ledge_op_prepare *prepare, struct pairs *p)
{
    int64_t n[5];
    LEDGE_TRY(ledge_ml_wholes(prepare, "nodes_treeids", &p->trees, &p->n));
    LEDGE_TRY(ledge_ml_wholes(prepare, "nodes_nodeids", &p->ids, &n[0]));
    LEDGE_TRY(ledge_ml_wholes(prepare, "nodes_featureids", &p->features, &n[1]));
    LEDGE_TRY(ledge_ml_wholes(prepare, "nodes_truenodeids", &p->yes, &n[2]));
    LEDGE_TRY(ledge_ml_wholes(prepare, "nodes_falsenodeids", &p->no, &n[3]));
    LEDGE_TRY(ledge_ml_reals(prepare, "nodes_values", &p->values, &n[4]));
    LEDGE_TRY(
        ledge_ml_wholes(prepare, "nodes_missing_value_tracks_true", &p->missing, &p->n_missing));
    p->modes = ledge_node_attr(prepare->node, "nodes_modes");
    bool good = p->n > 0 && p->n < INT32_MAX && p->modes != NULL &&
                p->modes->type == LEDGE_ATTR_STRINGS && (int64_t)p->modes->n == p->n &&
                (p->n_missing == 0 || p->n_missing == p->n);
    for (int i = 0; i < 5; i++) {
        good = good && n[i] == p->n;
    }
    return good ? LEDGE_OK : wrong(prepare, "lists of nodes");
}

/* A branch's mode; -1: a leaf, -2: unknown. */
static int mode_of(const char *text)
{
    static const char *const names[] = {"BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE",
                                        "BRANCH_GT",  "BRANCH_EQ", "BRANCH_NEQ"};
    for (int i = 0; i < 6; i++) {
        if (strcmp(names[i], text) == 0) {
            return i;
        }
    }
    return strcmp(text, "LEAF") == 0 ? -1 : -2;
}

static int32_t link_to(const struct pairs *p, int64_t tree, int64_t id)
{
    int32_t at = find_key(p->keys, p->n, tree, id);
    return at >= 0 && mode_of(p->modes->strings[at]) == -1 ? -1 - at : at;
}

/* Nodes; each node that is a leaf is the leaf of its own number. */
static enum ledge_status link_pairs(struct ledge_op_prepare *prepare, struct pairs *p,
                                    struct ledge_ml_trees *t, struct ledge_ml_node *nodes,
                                    int32_t *roots)
{
    for (int64_t i = 0; i < p->n; i++) {
        p->keys[i] = (struct key){p->trees[i], p->ids[i], (int32_t)i};
    }
    sort_keys(p->keys, p->n);
    for (int64_t i = 0; i < p->n; i++) {
        int mode = mode_of(p->modes->strings[i]);
        if (i == 0 || p->trees[i] != p->trees[i - 1]) { /* the first of a tree is its root */
            roots[t->n_roots++] = mode == -1 ? (int32_t)(-1 - i) : (int32_t)i;
        }
        if (mode == -1) {
            continue;
        }
        struct ledge_ml_node *node = &nodes[i];
        bool known = find_key(p->keys, p->n, p->trees[i], p->yes[i]) >= 0 &&
                     find_key(p->keys, p->n, p->trees[i], p->no[i]) >= 0;
        if (mode == -2 || !known || p->features[i] < 0 || p->features[i] >= t->c) {
            return wrong(prepare, "nodes");
        }
        *node = (struct ledge_ml_node){.feature = p->features[i],
                                       .value = p->values[i],
                                       .yes = link_to(p, p->trees[i], p->yes[i]),
                                       .no = link_to(p, p->trees[i], p->no[i]),
                                       .mode = (enum ledge_ml_mode)mode,
                                       .missing = p->n_missing > 0 && p->missing[i] != 0};
    }
    return LEDGE_OK;
}

/* Votes sorted by their leaf. kind: "class" or "target". */
static enum ledge_status read_votes(struct ledge_op_prepare *prepare, const struct pairs *p,
                                    struct ledge_ml_trees *t, struct ledge_ml_leaf *leaves)
{
    bool classes = is_classifier(prepare->node);
    const int64_t *trees, *ids, *targets;
    const double *weights;
    int64_t n, n_ids, n_targets, n_weights;
    LEDGE_TRY(ledge_ml_wholes(prepare, classes ? "class_treeids" : "target_treeids", &trees, &n));
    LEDGE_TRY(ledge_ml_wholes(prepare, classes ? "class_nodeids" : "target_nodeids", &ids, &n_ids));
    LEDGE_TRY(ledge_ml_wholes(prepare, classes ? "class_ids" : "target_ids", &targets, &n_targets));
    LEDGE_TRY(ledge_ml_reals(prepare, classes ? "class_weights" : "target_weights", &weights,
                             &n_weights));
    if (n_ids != n || n_targets != n || n_weights != n) {
        return wrong(prepare, "lists of votes");
    }
    struct ledge_ml_vote *votes = LEDGE_NEW_ARRAY(prepare->memory, struct ledge_ml_vote, (size_t)n);
    if (votes == NULL) {
        return no_memory(prepare);
    }
    t->binary = classes && t->targets == 2 && n > 0;
    t->positive = true;
    for (int64_t i = 0; i < n; i++) {
        int32_t leaf = find_key(p->keys, p->n, trees[i], ids[i]);
        if (leaf < 0 || targets[i] < 0 || targets[i] >= t->targets) {
            return wrong(prepare, "votes");
        }
        leaves[leaf].n++;
        t->binary = t->binary && targets[i] == targets[0];
        t->positive = t->positive && weights[i] >= 0;
    }
    for (int64_t i = 0, at = 0; i < p->n; i++) {
        leaves[i].first = at;
        at += leaves[i].n;
        leaves[i].n = 0;
    }
    for (int64_t i = 0; i < n; i++) {
        struct ledge_ml_leaf *leaf = &leaves[find_key(p->keys, p->n, trees[i], ids[i])];
        votes[leaf->first + leaf->n++] = (struct ledge_ml_vote){
            .target = t->binary ? 1 : (int32_t)targets[i], .weight = weights[i]};
    }
    t->votes = votes;
    return LEDGE_OK;
}

static enum ledge_status by_pairs(struct ledge_op_prepare *prepare, struct ledge_ml_trees *t)
{
    struct pairs p = {.n = 0};
    LEDGE_TRY(read_pairs(prepare, &p));
    size_t n = (size_t)p.n;
    struct ledge_ml_node *nodes = LEDGE_NEW_ARRAY(prepare->memory, struct ledge_ml_node, n);
    struct ledge_ml_leaf *leaves = LEDGE_NEW_ARRAY(prepare->memory, struct ledge_ml_leaf, n);
    int32_t *roots = LEDGE_NEW_ARRAY(prepare->memory, int32_t, n);
    p.keys = LEDGE_NEW_ARRAY(prepare->memory, struct key, n);
    if (nodes == NULL || leaves == NULL || roots == NULL || p.keys == NULL) {
        return no_memory(prepare);
    }
    t->nodes = nodes;
    t->n_nodes = p.n;
    t->leaves = leaves;
    t->roots = roots;
    LEDGE_TRY(link_pairs(prepare, &p, t, nodes, roots));
    LEDGE_TRY(read_votes(prepare, &p, t, leaves));
    static const char *const names[] = {"AVERAGE", "SUM", "MIN", "MAX"};
    const char *text = ledge_node_string(prepare->node, "aggregate_function", "SUM");
    t->aggregate = LEDGE_ML_SUM;
    for (int i = 0; i < 4; i++) {
        t->aggregate = strcmp(names[i], text) == 0 ? (enum ledge_ml_aggregate)i : t->aggregate;
    }
    t->post = ledge_ml_post_of(prepare->node);
    int64_t n_base;
    LEDGE_TRY(ledge_ml_reals(prepare, "base_values", &t->base, &n_base));
    if (n_base == 1 && t->binary) {
        double *both = LEDGE_NEW_ARRAY(prepare->memory, double, 2);
        if (both == NULL) {
            return no_memory(prepare);
        }
        both[0] = both[1] = t->base[0];
        t->base = both;
    } else if (n_base != 0 && n_base != t->targets) {
        return wrong(prepare, "base values");
    }
    return LEDGE_OK;
}

/* -- by numbers -- */

struct numbers {
    const int64_t *features, *modes, *yes, *no, *yes_leaf, *no_leaf, *missing, *targets;
    const double *splits, *weights;
    int64_t n, n_leaves, n_missing, n_members;
};

static enum ledge_status read_numbers(struct ledge_op_prepare *prepare, struct numbers *p,
                                      struct ledge_ml_trees *t)
{
    int64_t n[6], n_weights;
    LEDGE_TRY(ledge_ml_wholes(prepare, "nodes_featureids", &p->features, &p->n));
    LEDGE_TRY(ledge_ml_wholes(prepare, "nodes_modes", &p->modes, &n[0]));
    LEDGE_TRY(ledge_ml_wholes(prepare, "nodes_truenodeids", &p->yes, &n[1]));
    LEDGE_TRY(ledge_ml_wholes(prepare, "nodes_falsenodeids", &p->no, &n[2]));
    LEDGE_TRY(ledge_ml_wholes(prepare, "nodes_trueleafs", &p->yes_leaf, &n[3]));
    LEDGE_TRY(ledge_ml_wholes(prepare, "nodes_falseleafs", &p->no_leaf, &n[4]));
    LEDGE_TRY(ledge_ml_reals(prepare, "nodes_splits", &p->splits, &n[5]));
    LEDGE_TRY(
        ledge_ml_wholes(prepare, "nodes_missing_value_tracks_true", &p->missing, &p->n_missing));
    LEDGE_TRY(ledge_ml_wholes(prepare, "leaf_targetids", &p->targets, &p->n_leaves));
    LEDGE_TRY(ledge_ml_reals(prepare, "leaf_weights", &p->weights, &n_weights));
    LEDGE_TRY(ledge_ml_reals(prepare, "membership_values", &t->members, &p->n_members));
    bool good = p->n > 0 && p->n < INT32_MAX && p->n_leaves < INT32_MAX &&
                n_weights == p->n_leaves && (p->n_missing == 0 || p->n_missing == p->n);
    for (int i = 0; i < 6; i++) {
        good = good && n[i] == p->n;
    }
    for (int64_t i = 0; good && i < p->n_leaves; i++) {
        good = p->targets[i] >= 0 && p->targets[i] < t->targets;
    }
    return good ? LEDGE_OK : wrong(prepare, "lists of nodes");
}

/* A reference to a node, or to a leaf; false when there is none of that number. */
static bool refer(const struct numbers *p, int64_t number, bool leaf, int32_t *at)
{
    if (number < 0 || number >= (leaf ? p->n_leaves : p->n)) {
        return false;
    }
    *at = leaf ? (int32_t)(-1 - number) : (int32_t)number;
    return true;
}

static enum ledge_status link_numbers(struct ledge_op_prepare *prepare, const struct numbers *p,
                                      struct ledge_ml_trees *t, struct ledge_ml_node *nodes)
{
    int64_t member = 0;
    for (int64_t i = 0; i < p->n; i++) {
        struct ledge_ml_node *node = &nodes[i];
        bool good = p->features[i] >= 0 && p->features[i] < t->c && p->modes[i] >= 0 &&
                    p->modes[i] <= LEDGE_ML_MEMBER &&
                    refer(p, p->yes[i], p->yes_leaf[i] != 0, &node->yes) &&
                    refer(p, p->no[i], p->no_leaf[i] != 0, &node->no);
        if (!good) {
            return wrong(prepare, "nodes");
        }
        node->feature = p->features[i];
        node->value = p->splits[i];
        node->mode = (enum ledge_ml_mode)p->modes[i];
        node->missing = p->n_missing > 0 && p->missing[i] != 0;
        if (node->mode == LEDGE_ML_MEMBER) { /* sets end with NaN */
            node->first_member = member;
            while (member < p->n_members && !isnan(t->members[member])) {
                node->n_members++;
                member++;
            }
            member++;
        }
    }
    return LEDGE_OK;
}

static enum ledge_status by_numbers(struct ledge_op_prepare *prepare, struct ledge_ml_trees *t)
{
    struct numbers p = {.n = 0};
    const int64_t *given;
    LEDGE_TRY(read_numbers(prepare, &p, t));
    LEDGE_TRY(ledge_ml_wholes(prepare, "tree_roots", &given, &t->n_roots));
    struct ledge_ml_node *nodes =
        LEDGE_NEW_ARRAY(prepare->memory, struct ledge_ml_node, (size_t)p.n);
    struct ledge_ml_leaf *leaves =
        LEDGE_NEW_ARRAY(prepare->memory, struct ledge_ml_leaf, (size_t)p.n_leaves);
    struct ledge_ml_vote *votes =
        LEDGE_NEW_ARRAY(prepare->memory, struct ledge_ml_vote, (size_t)p.n_leaves);
    int32_t *roots = LEDGE_NEW_ARRAY(prepare->memory, int32_t, (size_t)t->n_roots);
    if (nodes == NULL || leaves == NULL || votes == NULL || roots == NULL) {
        return no_memory(prepare);
    }
    for (int64_t i = 0; i < p.n_leaves; i++) {
        leaves[i] = (struct ledge_ml_leaf){.first = i, .n = 1};
        votes[i] = (struct ledge_ml_vote){(int32_t)p.targets[i], p.weights[i]};
    }
    for (int64_t i = 0; i < t->n_roots; i++) {
        if (!refer(&p, given[i], false, &roots[i])) {
            return wrong(prepare, "roots");
        }
    }
    t->nodes = nodes;
    t->n_nodes = p.n;
    t->leaves = leaves;
    t->votes = votes;
    t->roots = roots;
    int64_t aggregate = ledge_node_int(prepare->node, "aggregate_function", LEDGE_ML_SUM);
    t->aggregate = aggregate >= 0 && aggregate <= LEDGE_ML_MAX ? (enum ledge_ml_aggregate)aggregate
                                                               : LEDGE_ML_SUM;
    t->post = ledge_ml_post_of(prepare->node);
    return link_numbers(prepare, &p, t, nodes);
}

enum ledge_status ledge_ml_trees_prepare(struct ledge_op_prepare *prepare)
{
    struct ledge_op_infer infer = ledge_onnx_as_infer(prepare);
    struct ledge_ml_trees t = {.n = 0};
    bool strings;
    LEDGE_TRY(ledge_ml_shape(&infer, &t.n, &t.c));
    t.targets = (int32_t)targets_of(prepare->node, &strings);
    if (is_classifier(prepare->node)) {
        LEDGE_TRY(ledge_ml_class_labels(prepare, &t.labels));
    }
    LEDGE_TRY(is_new(prepare->node) ? by_numbers(prepare, &t) : by_pairs(prepare, &t));
    prepare->scratch_bytes = ((size_t)t.c + 2 * (size_t)t.targets + 2) * sizeof(double);
    return ledge_onnx_ready(prepare, ledge_ml_trees_c, "ml_trees_c", &t, sizeof t);
}
