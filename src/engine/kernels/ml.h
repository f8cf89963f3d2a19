/* SPDX-License-Identifier: Apache-2.0 */
/* ml.h -- kernels of ai.onnx.ml: what prepare (ops/ml_*.c) fills in and kernels/ml_*.c read.
 *
 * Plain C, one thread, sums in double. Inputs are rows [n][c] of any number type. Everything that a
 * node's attributes say was checked by prepare.
 */
#ifndef LEDGE_ENGINE_KERNELS_ML_H
#define LEDGE_ENGINE_KERNELS_ML_H

#include <stdbool.h>

#include "engine/kernels/kernel.h"

enum ledge_ml_post {
    LEDGE_ML_NONE,
    LEDGE_ML_SOFTMAX,
    LEDGE_ML_LOGISTIC,
    LEDGE_ML_SOFTMAX_ZERO,
    LEDGE_ML_PROBIT,
};

/* Applied to one row of scores. */
void ledge_ml_post_transform(double *row, int64_t n, enum ledge_ml_post post);

/* Names of classes: one of the two lists. */
struct ledge_ml_labels {
    const int64_t *ints;
    const struct ledge_string *strings;
    int64_t n;
};

/* The label of class `number` for a row into output 0, n scores of a row into `out` (NULL: not
 * wanted), where the greatest score stands, and 1 / (1 + exp(-x)). */
void ledge_ml_put_label(const struct ledge_kernel_call *call, const struct ledge_ml_labels *labels,
                        int64_t row, int64_t number);
void ledge_ml_put_scores(const struct ledge_view *out, int64_t row, const double *scores,
                         int64_t n);
int64_t ledge_ml_greatest(const double *row, int64_t n);
double ledge_ml_logistic(double x);

/* y = x w + b. Classifier: output 0 is the label of the greatest, output 1 the scores; one row of
 * weights for two classes gives 1 - s, s. */
struct ledge_ml_linear {
    int64_t n, c, t;
    const float *w; /* [t][c] */
    const float *b; /* [t] or NULL */
    enum ledge_ml_post post;
    struct ledge_ml_labels labels; /* n 0: regressor */
};
enum ledge_status ledge_ml_linear_c(const struct ledge_kernel_call *call);

enum ledge_ml_mode {
    LEDGE_ML_LEQ,
    LEDGE_ML_LT,
    LEDGE_ML_GTE,
    LEDGE_ML_GT,
    LEDGE_ML_EQ,
    LEDGE_ML_NEQ,
    LEDGE_ML_MEMBER,
};

struct ledge_ml_node {
    int64_t feature;
    double value;
    int32_t yes, no; /* number of a node; below 0: -1 - number of a leaf */
    enum ledge_ml_mode mode;
    bool missing; /* what a NaN answers */
    int64_t first_member, n_members;
};

struct ledge_ml_vote {
    int32_t target;
    double weight;
};

struct ledge_ml_leaf {
    int64_t first, n; /* votes */
};

enum ledge_ml_aggregate { LEDGE_ML_AVERAGE, LEDGE_ML_SUM, LEDGE_ML_MIN, LEDGE_ML_MAX };

struct ledge_ml_trees {
    int64_t n, c;
    const struct ledge_ml_node *nodes;
    int64_t n_nodes;
    const struct ledge_ml_leaf *leaves;
    const struct ledge_ml_vote *votes;
    const double *members;
    const int32_t *roots; /* as yes and no */
    int64_t n_roots;
    int32_t targets;
    const double *base; /* targets or NULL */
    enum ledge_ml_aggregate aggregate;
    enum ledge_ml_post post;
    struct ledge_ml_labels labels; /* n 0: regressor */
    bool binary;                   /* two classes, but votes for one of them only */
    bool positive;                 /* binary: no weight is below 0, so scores are probabilities */
};
/* scratch: (c + 2 * targets + 2) doubles */
enum ledge_status ledge_ml_trees_c(const struct ledge_kernel_call *call);

enum ledge_ml_norm { LEDGE_ML_NORM_MAX, LEDGE_ML_NORM_L1, LEDGE_ML_NORM_L2 };
/* Element by element or row by row. */
struct ledge_ml_rows {
    int64_t n, c;
    const float *a, *b; /* n_a and n_b entries: 1 or c */
    int64_t n_a, n_b;
    double replaced;
    enum ledge_ml_norm norm;
};
enum ledge_status ledge_ml_normalizer_c(const struct ledge_kernel_call *call);
enum ledge_status ledge_ml_scaler_c(const struct ledge_kernel_call *call);    /* (x - a) b */
enum ledge_status ledge_ml_binarizer_c(const struct ledge_kernel_call *call); /* x > replaced */
enum ledge_status ledge_ml_imputer_c(const struct ledge_kernel_call *call);

/* Columns in[1] of in[0]. */
enum ledge_status ledge_ml_extract_c(const struct ledge_kernel_call *call);
/* All inputs, rows side by side, as f32; c entries of a: columns of input i. */
enum ledge_status ledge_ml_vectorize_c(const struct ledge_kernel_call *call);

/* LabelEncoder, CategoryMapper and OneHotEncoder: keys and values are views of n elements (values
 * NULL: the key's number); fallback has one element. */
struct ledge_ml_map {
    struct ledge_view keys, values, fallback;
    int64_t n;
    bool strict; /* OneHotEncoder: an unknown category is an error */
};
enum ledge_status ledge_ml_map_c(const struct ledge_kernel_call *call);
enum ledge_status ledge_ml_one_hot_c(const struct ledge_kernel_call *call);

enum ledge_ml_kernel_type { LEDGE_ML_LINEAR, LEDGE_ML_POLY, LEDGE_ML_RBF, LEDGE_ML_SIGMOID };
struct ledge_ml_svm {
    int64_t n, c, supports;
    const float *vectors;      /* [supports][c] */
    const float *coefficients; /* [supports]; of a classifier [classes - 1][supports] */
    float rho, gamma, coef0, degree;
    enum ledge_ml_kernel_type kernel;
    enum ledge_ml_post post;
    bool one_class;
    /* classifier */
    struct ledge_ml_labels labels;
    const int64_t *per_class; /* support vectors of each class; their sum is supports */
    const float *rhos;        /* of each pair of classes; with supports 0 one for all */
    const float *a, *b;       /* of each pair, or NULL: no probabilities */
    bool positive;            /* no coefficient is below 0 */
};
enum ledge_status ledge_ml_svm_c(const struct ledge_kernel_call *call);
/* Pairs of classes vote (libsvm), or without support vectors each class has a row of coefficients
 * (liblinear). */
enum ledge_status ledge_ml_svc_c(const struct ledge_kernel_call *call);

#endif
