/* SPDX-License-Identifier: Apache-2.0 */
/* ml_score.c -- linear models and trees. Sources: ai.onnx.ml version 5;
 * what one column of scores says of two classes is as ONNX Runtime has it. */
#include <math.h>

#include "base/status.h"
#include "engine/kernels/ml.h"
#include "engine/kernels/onnx_number.h"
#include "engine/kernels/real.h"

/* Winitzki's approximation of the inverse error function (2008), as the standard's runtimes use. */
static double probit(double p)
{
    double x = 2 * p - 1, lg = ledge_log((1 - x) * (1 + x));
    double v = 2 / (3.14159 * 0.147) + 0.5 * lg;
    double y = sqrt(-v + sqrt(v * v - lg / 0.147));
    return 1.41421356 * (x < 0 ? -y : y);
}

double ledge_ml_logistic(double x)
{
    return 1 / (1 + ledge_exp(-x));
}

static void softmax(double *row, int64_t n, bool keep_zero)
{
    double most = -INFINITY, sum = 0;
    for (int64_t i = 0; i < n; i++) {
        most = row[i] > most ? row[i] : most;
    }
    for (int64_t i = 0; i < n; i++) {
        bool zero = keep_zero && fabs(row[i]) <= 1e-7;
        row[i] = zero ? row[i] * ledge_exp(-most) : ledge_exp(row[i] - most);
        sum += row[i];
    }
    for (int64_t i = 0; i < n && sum > 0; i++) {
        row[i] /= sum;
    }
}

void ledge_ml_post_transform(double *row, int64_t n, enum ledge_ml_post post)
{
    if (post == LEDGE_ML_SOFTMAX || post == LEDGE_ML_SOFTMAX_ZERO) {
        softmax(row, n, post == LEDGE_ML_SOFTMAX_ZERO);
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        row[i] = post == LEDGE_ML_LOGISTIC ? ledge_ml_logistic(row[i])
                 : post == LEDGE_ML_PROBIT ? probit(row[i])
                                           : row[i];
    }
}

int64_t ledge_ml_greatest(const double *row, int64_t n)
{
    int64_t at = 0;
    for (int64_t i = 1; i < n; i++) {
        at = row[i] > row[at] ? i : at;
    }
    return at;
}

void ledge_ml_put_label(const struct ledge_kernel_call *call, const struct ledge_ml_labels *labels,
                        int64_t row, int64_t number)
{
    if (call->out[0] == NULL) {
        return;
    }
    if (labels->strings != NULL) {
        ((struct ledge_string *)call->out[0]->data)[row] = labels->strings[number];
    } else {
        ((int64_t *)call->out[0]->data)[row] = labels->ints[number];
    }
}

void ledge_ml_put_scores(const struct ledge_view *out, int64_t row, const double *scores, int64_t n)
{
    for (int64_t i = 0; out != NULL && i < n; i++) {
        ledge_store_real(&scores[i], 1, out->data, out->dtype, row * n + i);
    }
}

/* One score for two classes: the label, and both scores (the first is what is missing to 1, or the
 * opposite). */
static int64_t of_two(double *row, enum ledge_ml_post post, bool complement, double limit)
{
    double s = row[0];
    bool turn = post == LEDGE_ML_LOGISTIC;
    row[0] = turn ? ledge_ml_logistic(-s) : complement ? 1 - s : -s;
    row[1] = turn ? ledge_ml_logistic(s) : s;
    return s > limit;
}

enum ledge_status ledge_ml_linear_c(const struct ledge_kernel_call *call)
{
    const struct ledge_ml_linear *p = call->params;
    double *x = call->scratch, *row = x + p->c;
    bool two = p->labels.n == 2 && p->t == 1;
    for (int64_t i = 0; i < p->n; i++) {
        ledge_load_real(call->in[0]->data, call->in[0]->dtype, i * p->c, p->c, x);
        for (int64_t t = 0; t < p->t; t++) {
            row[t] = p->b != NULL ? (double)p->b[t] : 0;
            for (int64_t k = 0; k < p->c; k++) {
                row[t] += x[k] * (double)p->w[t * p->c + k];
            }
        }
        if (p->labels.n == 0) {
            ledge_ml_post_transform(row, p->t, p->post);
            ledge_ml_put_scores(call->out[0], i, row, p->t);
            continue;
        }
        int64_t label = two ? of_two(row, p->post, true, 0) : ledge_ml_greatest(row, p->t);
        if (!two) {
            ledge_ml_post_transform(row, p->t, p->post);
        }
        ledge_ml_put_label(call, &p->labels, i, label);
        ledge_ml_put_scores(call->n_out > 1 ? call->out[1] : NULL, i, row, two ? 2 : p->t);
    }
    return LEDGE_OK;
}

/* -- trees -- */

static bool is_member(const struct ledge_ml_trees *p, const struct ledge_ml_node *node, double x)
{
    bool found = false;
    for (int64_t i = 0; i < node->n_members && !found; i++) {
        found = p->members[node->first_member + i] == x;
    }
    return found;
}

static bool answer(const struct ledge_ml_trees *p, const struct ledge_ml_node *node, double x)
{
    if (isnan(x) && node->missing) {
        return true;
    }
    switch (node->mode) {
    case LEDGE_ML_LEQ:
        return x <= node->value;
    case LEDGE_ML_LT:
        return x < node->value;
    case LEDGE_ML_GTE:
        return x >= node->value;
    case LEDGE_ML_GT:
        return x > node->value;
    case LEDGE_ML_EQ:
        return x == node->value;
    case LEDGE_ML_NEQ:
        return x != node->value;
    case LEDGE_ML_MEMBER:
        break;
    }
    return is_member(p, node, x);
}

/* Number of the leaf that x reaches; -1: the tree has a cycle. */
static int64_t reach(const struct ledge_ml_trees *p, int32_t at, const double *x)
{
    for (int64_t steps = 0; at >= 0; steps++) {
        if (steps > p->n_nodes) {
            return -1;
        }
        const struct ledge_ml_node *node = &p->nodes[at];
        at = answer(p, node, x[node->feature]) ? node->yes : node->no;
    }
    return -1 - (int64_t)at;
}

static void vote(const struct ledge_ml_trees *p, const struct ledge_ml_leaf *leaf, double *row,
                 double *seen)
{
    for (int64_t v = leaf->first; v < leaf->first + leaf->n; v++) {
        double w = p->votes[v].weight;
        int32_t t = p->votes[v].target;
        bool first = seen[t] == 0;
        row[t] = p->aggregate == LEDGE_ML_MIN   ? (first || w < row[t] ? w : row[t])
                 : p->aggregate == LEDGE_ML_MAX ? (first || w > row[t] ? w : row[t])
                                                : row[t] + w;
        seen[t] = 1;
    }
}

static void finish(const struct ledge_kernel_call *call, const struct ledge_ml_trees *p, int64_t i,
                   double *row)
{
    for (int32_t t = 0; t < p->targets; t++) {
        row[t] /= p->aggregate == LEDGE_ML_AVERAGE && p->n_roots > 0 ? (double)p->n_roots : 1;
        row[t] += p->base != NULL ? p->base[t] : 0;
    }
    if (p->labels.n == 0) {
        ledge_ml_post_transform(row, p->targets, p->post);
        ledge_ml_put_scores(call->out[0], i, row, p->targets);
        return;
    }
    int64_t label;
    if (p->binary) {
        row[0] = row[1]; /* votes are for class 1 */
        label = of_two(row, p->post, p->positive, p->positive ? 0.5 : 0);
    } else {
        label = ledge_ml_greatest(row, p->targets);
        ledge_ml_post_transform(row, p->targets, p->post);
    }
    ledge_ml_put_label(call, &p->labels, i, label);
    ledge_ml_put_scores(call->n_out > 1 ? call->out[1] : NULL, i, row, p->targets);
}

enum ledge_status ledge_ml_trees_c(const struct ledge_kernel_call *call)
{
    const struct ledge_ml_trees *p = call->params;
    double *x = call->scratch, *row = x + p->c, *seen = row + p->targets;
    for (int64_t i = 0; i < p->n; i++) {
        ledge_load_real(call->in[0]->data, call->in[0]->dtype, i * p->c, p->c, x);
        for (int32_t t = 0; t < p->targets; t++) {
            row[t] = seen[t] = 0;
        }
        for (int64_t r = 0; r < p->n_roots; r++) {
            int64_t leaf = reach(p, p->roots[r], x);
            if (leaf < 0) {
                return ledge_fail(call->err, LEDGE_ERR_FORMAT, "tree %lld has a cycle",
                                  (long long)r);
            }
            vote(p, &p->leaves[leaf], row, seen);
        }
        finish(call, p, i, row);
    }
    return LEDGE_OK;
}
