/* SPDX-License-Identifier: Apache-2.0 */
/* ml_svm.c -- support vectors of ai.onnx.ml. Sources: ai.onnx.ml version 1 for what libsvm has
 * made; Wu, Lin and Weng, "Probability Estimates for Multi-class Classification by Pairwise
 * Coupling" (2004), algorithm 2; what one column of scores says of two classes is as ONNX Runtime
 * has it. */
#include <math.h>

#include "base/status.h"
#include "engine/kernels/ml.h"
#include "engine/kernels/onnx_number.h"
#include "engine/kernels/real.h"

static double svm_kernel(const struct ledge_ml_svm *p, const double *x, const float *v)
{
    double sum = 0;
    for (int64_t k = 0; k < p->c; k++) {
        double d = x[k] - (double)v[k];
        sum += p->kernel == LEDGE_ML_RBF ? d * d : x[k] * (double)v[k];
    }
    switch (p->kernel) {
    case LEDGE_ML_POLY:
        return ledge_pow((double)p->gamma * sum + (double)p->coef0, (double)p->degree);
    case LEDGE_ML_RBF:
        return ledge_exp(-(double)p->gamma * sum);
    case LEDGE_ML_SIGMOID:
        return ledge_tanh((double)p->gamma * sum + (double)p->coef0);
    default:
        return sum;
    }
}

enum ledge_status ledge_ml_svm_c(const struct ledge_kernel_call *call)
{
    const struct ledge_ml_svm *p = call->params;
    double *x = call->scratch;
    for (int64_t i = 0; i < p->n; i++) {
        ledge_load_real(call->in[0]->data, call->in[0]->dtype, i * p->c, p->c, x);
        double y = (double)p->rho;
        for (int64_t s = 0; s < p->supports; s++) {
            y += (double)p->coefficients[s] * svm_kernel(p, x, p->vectors + s * p->c);
        }
        if (p->supports == 0) {
            y += svm_kernel(p, x, p->coefficients);
        }
        if (p->one_class) {
            y = y > 0 ? 1 : -1;
        } else {
            ledge_ml_post_transform(&y, 1, p->post);
        }
        ledge_ml_put_scores(call->out[0], i, &y, 1);
    }
    return LEDGE_OK;
}

/* -- classes -- */

/* Working memory of one row. */
struct svc {
    double *x, *kernels, *scores, *votes, *q, *r, *qp, *p;
};

/* Every pair of classes: a score, and a vote for one of the two. Number of pairs. */
static int64_t ask_pairs(const struct ledge_ml_svm *p, const struct svc *s)
{
    int64_t pair = 0, first_i = 0;
    for (int64_t v = 0; v < p->supports; v++) {
        s->kernels[v] = svm_kernel(p, s->x, p->vectors + v * p->c);
    }
    for (int64_t i = 0; i < p->labels.n; i++) {
        s->votes[i] = 0;
    }
    for (int64_t i = 0; i < p->labels.n; first_i += p->per_class[i], i++) {
        int64_t first_j = first_i + p->per_class[i];
        for (int64_t j = i + 1; j < p->labels.n; first_j += p->per_class[j], j++) {
            const float *of_j = p->coefficients + (j - 1) * p->supports;
            const float *of_i = p->coefficients + i * p->supports;
            double sum = (double)p->rhos[pair];
            for (int64_t v = first_i; v < first_i + p->per_class[i]; v++) {
                sum += (double)of_j[v] * s->kernels[v];
            }
            for (int64_t v = first_j; v < first_j + p->per_class[j]; v++) {
                sum += (double)of_i[v] * s->kernels[v];
            }
            s->scores[pair++] = sum;
            s->votes[sum > 0 ? i : j] += 1;
        }
    }
    return pair;
}

/* p, so that it fits best what the pairs say: r[i][j] is the probability of i where it is i or j.
 */
static void couple(const struct svc *s, int64_t k)
{
    double *q = s->q, *r = s->r, *qp = s->qp, *p = s->p;
    for (int64_t i = 0; i < k; i++) {
        p[i] = 1 / (double)k;
        q[i * k + i] = 0;
        for (int64_t j = 0; j < k; j++) {
            if (j != i) {
                q[i * k + i] += r[j * k + i] * r[j * k + i];
                q[i * k + j] = -r[j * k + i] * r[i * k + j];
            }
        }
    }
    for (int64_t round = 0; round < (k > 100 ? k : 100); round++) {
        double pqp = 0, most = 0;
        for (int64_t i = 0; i < k; i++) {
            qp[i] = 0;
            for (int64_t j = 0; j < k; j++) {
                qp[i] += q[i * k + j] * p[j];
            }
            pqp += p[i] * qp[i];
        }
        for (int64_t i = 0; i < k; i++) {
            most = fabs(qp[i] - pqp) > most ? fabs(qp[i] - pqp) : most;
        }
        if (most < 0.005 / (double)k) {
            break;
        }
        for (int64_t i = 0; i < k; i++) {
            double step = (pqp - qp[i]) / q[i * k + i];
            p[i] += step;
            pqp = (pqp + step * (step * q[i * k + i] + 2 * qp[i])) / ((1 + step) * (1 + step));
            for (int64_t j = 0; j < k; j++) {
                qp[j] = (qp[j] + step * q[i * k + j]) / (1 + step);
                p[j] /= 1 + step;
            }
        }
    }
}

static void probabilities(const struct ledge_ml_svm *p, const struct svc *s)
{
    int64_t k = p->labels.n, pair = 0;
    for (int64_t i = 0; i < k; i++) {
        for (int64_t j = i + 1; j < k; j++, pair++) {
            double v =
                1 - ledge_ml_logistic(s->scores[pair] * (double)p->a[pair] + (double)p->b[pair]);
            v = v < 1e-7 ? 1e-7 : v > 1 - 1e-7 ? 1 - 1e-7 : v;
            s->r[i * k + j] = v;
            s->r[j * k + i] = 1 - v;
        }
    }
    couple(s, k);
}

/* One row of coefficients a class; number of scores. */
static int64_t ask_classes(const struct ledge_ml_svm *p, const struct svc *s)
{
    for (int64_t t = 0; t < p->labels.n; t++) {
        s->scores[t] = (double)p->rhos[0] + svm_kernel(p, s->x, p->coefficients + t * p->c);
    }
    return p->labels.n;
}

static void one_row(const struct ledge_kernel_call *call, const struct svc *s, int64_t row)
{
    const struct ledge_ml_svm *p = call->params;
    int64_t n = p->supports > 0 ? ask_pairs(p, s) : ask_classes(p, s);
    double *scores = s->scores;
    const double *judged = p->supports > 0 ? s->votes : scores;
    int64_t label = ledge_ml_greatest(judged, p->labels.n);
    if (p->supports == 0 && p->labels.n == 2 && p->a == NULL &&
        (p->positive ? judged[label] >= 0.5 : judged[label] > 0)) {
        label = 1;
    }
    if (p->a != NULL && p->supports > 0) {
        probabilities(p, s);
        scores = s->p;
        n = p->labels.n;
    }
    if (n == 1) { /* of two classes */
        scores[1] = scores[0];
        scores[0] = (p->post == LEDGE_ML_NONE ? 0 : 1) - scores[1];
    } else {
        ledge_ml_post_transform(scores, n, p->post);
    }
    ledge_ml_put_label(call, &p->labels, row, label);
    ledge_ml_put_scores(call->n_out > 1 ? call->out[1] : NULL, row, scores, n == 1 ? 2 : n);
}

enum ledge_status ledge_ml_svc_c(const struct ledge_kernel_call *call)
{
    const struct ledge_ml_svm *p = call->params;
    int64_t k = p->labels.n, pairs = p->supports > 0 ? k * (k - 1) / 2 : 0;
    struct svc s = {.x = call->scratch};
    s.kernels = s.x + p->c;
    s.scores = s.kernels + p->supports;
    s.votes = s.scores + (pairs > k ? pairs : k) + 1;
    s.p = s.votes + k;
    s.qp = s.p + k;
    s.q = s.qp + k;
    s.r = s.q + k * k;
    for (int64_t i = 0; i < p->n; i++) {
        ledge_load_real(call->in[0]->data, call->in[0]->dtype, i * p->c, p->c, s.x);
        one_row(call, &s, i);
    }
    return LEDGE_OK;
}
