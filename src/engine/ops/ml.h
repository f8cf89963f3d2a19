/* SPDX-License-Identifier: Apache-2.0 */
/* ml.h -- the list of ai.onnx.ml's operators, and what their files share. Each line names the two
 * functions <function>_infer and <function>_prepare. */
#ifndef LEDGE_ENGINE_OPS_ML_H
#define LEDGE_ENGINE_OPS_ML_H

#include "base/status.h"
#include "engine/kernels/ml.h"
#include "engine/ops/onnx.h"

/* clang-format off */
#define LEDGE_ML_FUNCTIONS(X)                                                                      \
    X(linear) X(trees) X(svm) X(rows) X(extract) X(vectorize) X(map) X(zip)

/* X(domain, operator, function) */
#define LEDGE_ML_LIST(X)                                                                           \
    X("ai.onnx.ml", LinearClassifier, linear) X("ai.onnx.ml", LinearRegressor, linear)             \
    X("ai.onnx.ml", TreeEnsemble, trees) X("ai.onnx.ml", TreeEnsembleClassifier, trees)            \
    X("ai.onnx.ml", TreeEnsembleRegressor, trees) X("ai.onnx.ml", SVMRegressor, svm)               \
    X("ai.onnx.ml", SVMClassifier, svm)                                                            \
    X("ai.onnx.ml", Normalizer, rows) X("ai.onnx.ml", Scaler, rows)                                \
    X("ai.onnx.ml", Binarizer, rows) X("ai.onnx.ml", Imputer, rows)                                \
    X("ai.onnx.ml", ArrayFeatureExtractor, extract) X("ai.onnx.ml", FeatureVectorizer, vectorize)  \
    X("ai.onnx.ml", LabelEncoder, map) X("ai.onnx.ml", CategoryMapper, map)                        \
    X("ai.onnx.ml", OneHotEncoder, map) X("ai.onnx.ml", ZipMap, zip)
/* clang-format on */

#define LEDGE_ML_DECLARE(function)                                                                 \
    enum ledge_status ledge_ml_##function##_infer(struct ledge_op_infer *infer);                   \
    enum ledge_status ledge_ml_##function##_prepare(struct ledge_op_prepare *prepare);
LEDGE_ML_FUNCTIONS(LEDGE_ML_DECLARE)
#undef LEDGE_ML_DECLARE

/* Input 0 as rows: [n][c], or [c] as one row. Errors: ERR_SHAPE, ERR_DTYPE (strings). */
LEDGE_NODISCARD enum ledge_status ledge_ml_shape(const struct ledge_op_infer *infer, int64_t *n,
                                                 int64_t *c);

/* Lists of an attribute: floats (or the numbers of a tensor called <name>_as_tensor or name) as
 * doubles, ints (or such a tensor) as int64; NULL and n 0 when absent. Errors: ERR_NOMEM. */
LEDGE_NODISCARD enum ledge_status ledge_ml_reals(struct ledge_op_prepare *prepare, const char *name,
                                                 const double **list, int64_t *n);
LEDGE_NODISCARD enum ledge_status ledge_ml_wholes(struct ledge_op_prepare *prepare,
                                                  const char *name, const int64_t **list,
                                                  int64_t *n);
const float *ledge_ml_floats(const struct ledge_node *node, const char *name, int64_t *n);

/* classlabels_ints (classlabels_int64s) and classlabels_strings. Errors: ERR_NOMEM. */
LEDGE_NODISCARD enum ledge_status ledge_ml_class_labels(struct ledge_op_prepare *prepare,
                                                        struct ledge_ml_labels *labels);
/* Number of labels, and whether they are strings. */
int64_t ledge_ml_n_labels(const struct ledge_node *node, bool *strings);

/* Attribute post_transform as a text. */
enum ledge_ml_post ledge_ml_post_of(const struct ledge_node *node);

/* An array of ledge_string over the texts of a STRINGS attribute; NULL when there is no memory. */
struct ledge_string *ledge_ml_texts(struct ledge_arena *memory, const struct ledge_attr *attr);

#endif
