/* SPDX-License-Identifier: Apache-2.0 */
/* ml_score.c -- linear models and support vectors of ai.onnx.ml. */
#include <string.h>

#include "base/checked.h"
#include "engine/ops/ml.h"

#include "base/banned.h"

static bool is_classifier(const struct ledge_node *node)
{
    return strcmp(node->op, "LinearClassifier") == 0;
}

/* Rows of weights. */
static enum ledge_status linear_targets(const struct ledge_op_infer *infer, int64_t c, int64_t *t)
{
    int64_t n_w, n_b;
    (void)ledge_ml_floats(infer->node, "coefficients", &n_w);
    (void)ledge_ml_floats(infer->node, "intercepts", &n_b);
    bool strings;
    int64_t labels = ledge_ml_n_labels(infer->node, &strings);
    *t = !is_classifier(infer->node) ? ledge_node_int(infer->node, "targets", 1)
         : n_b > 0                   ? n_b
         : c > 0                     ? n_w / c
                                     : 0;
    int64_t need = -1;
    if (*t < 1 || !ledge_mul_i64(*t, c, &need) || need != n_w || (n_b != 0 && n_b != *t) ||
        (is_classifier(infer->node) && labels != *t && !(labels == 2 && *t == 1))) {
        return ledge_infer_fail(infer, LEDGE_ERR_FORMAT,
                                "%lld coefficients, %lld intercepts, %lld labels for %lld columns",
                                (long long)n_w, (long long)n_b, (long long)labels, (long long)c);
    }
    return LEDGE_OK;
}

enum ledge_status ledge_ml_linear_infer(struct ledge_op_infer *infer)
{
    int64_t n, c, t;
    bool strings = false;
    LEDGE_TRY(ledge_ml_shape(infer, &n, &c));
    LEDGE_TRY(linear_targets(infer, c, &t));
    if (!is_classifier(infer->node)) {
        return ledge_infer_out(infer, 0, LEDGE_F32, 2, (const int64_t[]){n, t});
    }
    int64_t labels = ledge_ml_n_labels(infer->node, &strings);
    LEDGE_TRY(ledge_infer_out(infer, 0, strings ? LEDGE_STRING : LEDGE_I64, 1, &n));
    return ledge_infer_out(infer, 1, LEDGE_F32, 2, (const int64_t[]){n, labels});
}

enum ledge_status ledge_ml_linear_prepare(struct ledge_op_prepare *prepare)
{
    struct ledge_op_infer infer = ledge_onnx_as_infer(prepare);
    struct ledge_ml_linear p = {.post = ledge_ml_post_of(prepare->node)};
    int64_t n;
    LEDGE_TRY(ledge_ml_shape(&infer, &p.n, &p.c));
    LEDGE_TRY(linear_targets(&infer, p.c, &p.t));
    p.w = ledge_ml_floats(prepare->node, "coefficients", &n);
    p.b = ledge_ml_floats(prepare->node, "intercepts", &n);
    if (is_classifier(prepare->node)) {
        LEDGE_TRY(ledge_ml_class_labels(prepare, &p.labels));
    }
    prepare->scratch_bytes = ((size_t)p.c + (size_t)p.t + 2) * sizeof(double);
    prepare->macs = p.n * p.c * p.t;
    return ledge_onnx_ready(prepare, ledge_ml_linear_c, "ml_linear_c", &p, sizeof p);
}

/* -- support vectors -- */

static bool is_svc(const struct ledge_node *node)
{
    return strcmp(node->op, "SVMClassifier") == 0;
}

enum ledge_status ledge_ml_svm_infer(struct ledge_op_infer *infer)
{
    int64_t n, c;
    LEDGE_TRY(ledge_ml_shape(infer, &n, &c));
    if (!is_svc(infer->node)) {
        return ledge_infer_out(infer, 0, LEDGE_F32, 2, (const int64_t[]){n, 1});
    }
    bool strings, pairs = false;
    int64_t labels = ledge_ml_n_labels(infer->node, &strings), n_a;
    size_t n_per = 0;
    const int64_t *per = ledge_node_ints(infer->node, "vectors_per_class", &n_per);
    for (size_t i = 0; i < n_per; i++) {
        pairs = pairs || per[i] > 0;
    }
    (void)ledge_ml_floats(infer->node, "prob_a", &n_a);
    if (labels < 2 || labels > INT32_MAX) {
        return ledge_infer_fail(infer, LEDGE_ERR_FORMAT, "%lld labels", (long long)labels);
    }
    int64_t scores = pairs && n_a == 0 && labels > 2 ? labels * (labels - 1) / 2 : labels;
    LEDGE_TRY(ledge_infer_out(infer, 0, strings ? LEDGE_STRING : LEDGE_I64, 1, &n));
    return ledge_infer_out(infer, 1, LEDGE_F32, 2, (const int64_t[]){n, scores});
}

static enum ledge_status wrong_lists(struct ledge_op_prepare *prepare)
{
    return ledge_prepare_fail(prepare, LEDGE_ERR_FORMAT, "its lists do not fit together");
}

/* What only a classifier has. Memory stays within what the file's own lists take. */
static enum ledge_status read_classes(struct ledge_op_prepare *prepare, struct ledge_ml_svm *p,
                                      int64_t n_coefficients, int64_t n_rho)
{
    const struct ledge_node *node = prepare->node;
    size_t n_per = 0;
    int64_t n_a, n_b, need = -1, k;
    LEDGE_TRY(ledge_ml_class_labels(prepare, &p->labels));
    k = p->labels.n;
    int64_t pairs = k * (k - 1) / 2;
    p->per_class = ledge_node_ints(node, "vectors_per_class", &n_per);
    for (size_t i = 0; i < n_per; i++) {
        if (p->per_class[i] < 0 || p->per_class[i] > INT32_MAX) {
            return wrong_lists(prepare);
        }
        p->supports += p->per_class[i];
    }
    p->a = ledge_ml_floats(node, "prob_a", &n_a);
    p->b = ledge_ml_floats(node, "prob_b", &n_b);
    if (n_a != n_b ||
        !ledge_mul_i64(p->supports > 0 ? k - 1 : k, p->supports > 0 ? p->supports : p->c, &need) ||
        need > n_coefficients ||
        (p->supports > 0 && ((int64_t)n_per != k || n_rho < pairs || (n_a > 0 && n_a < pairs)))) {
        return wrong_lists(prepare);
    }
    p->a = n_a > 0 ? p->a : NULL;
    p->positive = true;
    for (int64_t i = 0; i < n_coefficients; i++) {
        p->positive = p->positive && p->coefficients[i] >= 0;
    }
    if (p->supports == 0) {
        p->kernel = LEDGE_ML_LINEAR;
        pairs = 0;
    }
    int64_t coupled = p->a != NULL && p->supports > 0 ? 2 * k * k : 0;
    prepare->scratch_bytes =
        (size_t)(p->c + p->supports + (pairs > k ? pairs : k) + 3 * k + coupled + 2) *
        sizeof(double);
    return LEDGE_OK;
}

enum ledge_status ledge_ml_svm_prepare(struct ledge_op_prepare *prepare)
{
    static const char *const kernels[] = {"LINEAR", "POLY", "RBF", "SIGMOID"};
    const struct ledge_node *node = prepare->node;
    struct ledge_op_infer infer = ledge_onnx_as_infer(prepare);
    struct ledge_ml_svm p = {.post = ledge_ml_post_of(node),
                             .supports = is_svc(node) ? 0 : ledge_node_int(node, "n_supports", 0),
                             .one_class = ledge_node_int(node, "one_class", 0) != 0};
    int64_t n_vectors, n_coefficients, n_rho, n_params, need = -1;
    LEDGE_TRY(ledge_ml_shape(&infer, &p.n, &p.c));
    p.vectors = ledge_ml_floats(node, "support_vectors", &n_vectors);
    p.coefficients = ledge_ml_floats(node, "coefficients", &n_coefficients);
    p.rhos = ledge_ml_floats(node, "rho", &n_rho);
    const float *params = ledge_ml_floats(node, "kernel_params", &n_params);
    const char *kernel = ledge_node_string(node, "kernel_type", "LINEAR");
    bool known = false;
    for (size_t i = 0; i < sizeof kernels / sizeof kernels[0]; i++) {
        if (strcmp(kernels[i], kernel) == 0) {
            p.kernel = (enum ledge_ml_kernel_type)i;
            known = true;
        }
    }
    prepare->scratch_bytes = ((size_t)p.c + 1) * sizeof(double);
    if (is_svc(node)) {
        LEDGE_TRY(read_classes(prepare, &p, n_coefficients, n_rho));
    }
    if (!known || n_rho < 1 || (p.kernel != LEDGE_ML_LINEAR && n_params < 3) || p.supports < 0 ||
        !ledge_mul_i64(p.supports, p.c, &need) || need > n_vectors ||
        n_coefficients < (p.supports > 0 ? p.supports : p.c)) {
        return wrong_lists(prepare);
    }
    p.rho = p.rhos[0];
    p.gamma = n_params > 0 ? params[0] : 0;
    p.coef0 = n_params > 1 ? params[1] : 0;
    p.degree = n_params > 2 ? params[2] : 0;
    return is_svc(node) ? ledge_onnx_ready(prepare, ledge_ml_svc_c, "ml_svc_c", &p, sizeof p)
                        : ledge_onnx_ready(prepare, ledge_ml_svm_c, "ml_svm_c", &p, sizeof p);
}
