/* SPDX-License-Identifier: Apache-2.0 */
/* ml_rows.c -- scalers, encoders and vectorizers of ai.onnx.ml. ZipMap hands its scores on
 * as the tensor they are: a session has no maps. */
#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "engine/ops/ml.h"

#include "base/banned.h"

static bool is(const struct ledge_node *node, const char *op)
{
    return strcmp(node->op, op) == 0;
}

enum ledge_status ledge_ml_rows_infer(struct ledge_op_infer *infer)
{
    LEDGE_TRY(ledge_onnx_need(infer, 1));
    const struct ledge_value *x = ledge_infer_in(infer, 0);
    if (x->dtype == LEDGE_STRING || x->rank < 1) {
        return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "input 0 is a scalar or holds strings");
    }
    bool keeps = is(infer->node, "Binarizer") || is(infer->node, "Imputer");
    return ledge_infer_out(infer, 0, keeps ? x->dtype : LEDGE_F32, x->rank, x->dims);
}

static enum ledge_status prepare_imputer(struct ledge_op_prepare *prepare, struct ledge_ml_rows *p)
{
    const struct ledge_node *node = prepare->node;
    p->a = ledge_ml_floats(node, "imputed_value_floats", &p->n_a);
    p->replaced = (double)ledge_node_float(node, "replaced_value_float", 0);
    size_t n = 0;
    const int64_t *whole = ledge_node_ints(node, "imputed_value_int64s", &n);
    if (p->a == NULL && whole != NULL) {
        float *copy = LEDGE_NEW_ARRAY(prepare->memory, float, n);
        for (size_t i = 0; copy != NULL && i < n; i++) {
            copy[i] = (float)whole[i];
        }
        p->a = copy;
        p->n_a = (int64_t)n;
        p->replaced = (double)ledge_node_int(node, "replaced_value_int64", 0);
    }
    return p->a != NULL && (p->n_a == 1 || p->n_a == p->c)
               ? LEDGE_OK
               : ledge_prepare_fail(prepare, LEDGE_ERR_FORMAT, "%lld values for %lld columns",
                                    (long long)p->n_a, (long long)p->c);
}

enum ledge_status ledge_ml_rows_prepare(struct ledge_op_prepare *prepare)
{
    const struct ledge_node *node = prepare->node;
    const struct ledge_value *x = ledge_prepare_in(prepare, 0);
    struct ledge_ml_rows p = {.n = 1, .c = x->dims[x->rank - 1]};
    for (int32_t i = 0; i + 1 < x->rank; i++) {
        p.n *= x->dims[i];
    }
    if (is(node, "Normalizer")) {
        const char *norm = ledge_node_string(node, "norm", "MAX");
        p.norm = strcmp(norm, "L1") == 0   ? LEDGE_ML_NORM_L1
                 : strcmp(norm, "L2") == 0 ? LEDGE_ML_NORM_L2
                                           : LEDGE_ML_NORM_MAX;
        return ledge_onnx_ready(prepare, ledge_ml_normalizer_c, "ml_normalizer_c", &p, sizeof p);
    }
    if (is(node, "Scaler")) {
        p.a = ledge_ml_floats(node, "offset", &p.n_a);
        p.b = ledge_ml_floats(node, "scale", &p.n_b);
        if ((p.n_a > 1 && p.n_a != p.c) || (p.n_b > 1 && p.n_b != p.c)) {
            return ledge_prepare_fail(prepare, LEDGE_ERR_FORMAT, "%lld offsets, %lld scales",
                                      (long long)p.n_a, (long long)p.n_b);
        }
        return ledge_onnx_ready(prepare, ledge_ml_scaler_c, "ml_scaler_c", &p, sizeof p);
    }
    if (is(node, "Binarizer")) {
        p.replaced = (double)ledge_node_float(node, "threshold", 0);
        return ledge_onnx_ready(prepare, ledge_ml_binarizer_c, "ml_binarizer_c", &p, sizeof p);
    }
    LEDGE_TRY(prepare_imputer(prepare, &p));
    return ledge_onnx_ready(prepare, ledge_ml_imputer_c, "ml_imputer_c", &p, sizeof p);
}

/* -- ArrayFeatureExtractor, FeatureVectorizer, ZipMap -- */

enum ledge_status ledge_ml_extract_infer(struct ledge_op_infer *infer)
{
    LEDGE_TRY(ledge_onnx_need(infer, 2));
    const struct ledge_value *x = ledge_infer_in(infer, 0), *y = ledge_infer_in(infer, 1);
    int64_t dims[LEDGE_MAX_RANK] = {1};
    if (x->rank < 1 || y->dtype != LEDGE_I64) {
        return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "a scalar, or columns that are no i64");
    }
    int32_t rank = x->rank > 1 ? x->rank : 2;
    for (int32_t i = 0; i + 1 < x->rank; i++) {
        dims[i] = x->dims[i];
    }
    dims[rank - 1] = ledge_onnx_count(y);
    return ledge_infer_out(infer, 0, x->dtype, rank, dims);
}

enum ledge_status ledge_ml_extract_prepare(struct ledge_op_prepare *prepare)
{
    const struct ledge_value *x = ledge_prepare_in(prepare, 0);
    struct ledge_ml_rows p = {.n = 1, .c = x->dims[x->rank - 1]};
    for (int32_t i = 0; i + 1 < x->rank; i++) {
        p.n *= x->dims[i];
    }
    return ledge_onnx_ready(prepare, ledge_ml_extract_c, "ml_extract_c", &p, sizeof p);
}

enum ledge_status ledge_ml_vectorize_infer(struct ledge_op_infer *infer)
{
    int64_t n, c, total = 0;
    LEDGE_TRY(ledge_ml_shape(infer, &n, &c));
    for (int32_t i = 0; i < infer->node->n_in; i++) {
        const struct ledge_value *x = ledge_infer_in(infer, i);
        if (x == NULL || x->rank < 1 || x->dtype == LEDGE_STRING || n == 0 ||
            (x->rank > 1 ? x->dims[0] : 1) != n ||
            ledge_onnx_count(x) / n > INT64_MAX / 2 - total) {
            return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "input %d does not fit", (int)i);
        }
        total += ledge_onnx_count(x) / n;
    }
    return ledge_infer_out(infer, 0, LEDGE_F32, 2, (const int64_t[]){n, total});
}

enum ledge_status ledge_ml_vectorize_prepare(struct ledge_op_prepare *prepare)
{
    struct ledge_ml_rows p = {
        .n = ledge_prepare_out(prepare, 0) != NULL ? ledge_prepare_out(prepare, 0)->dims[0] : 1};
    return ledge_onnx_ready(prepare, ledge_ml_vectorize_c, "ml_vectorize_c", &p, sizeof p);
}

enum ledge_status ledge_ml_zip_infer(struct ledge_op_infer *infer)
{
    LEDGE_TRY(ledge_onnx_need(infer, 1));
    const struct ledge_value *x = ledge_infer_in(infer, 0);
    return ledge_infer_out(infer, 0, x->dtype, x->rank, x->dims);
}

enum ledge_status ledge_ml_zip_prepare(struct ledge_op_prepare *prepare)
{
    prepare->alias = 0;
    return LEDGE_OK;
}

/* -- LabelEncoder, CategoryMapper, OneHotEncoder -- */

/* A list attribute as a view; false when it is absent or of no type that maps have. */
static bool view_of(struct ledge_arena *memory, const struct ledge_attr *attr,
                    struct ledge_view *view)
{
    if (attr == NULL) {
        return false;
    }
    *view = (struct ledge_view){.rank = 1, .dims = {(int64_t)attr->n}};
    switch (attr->type) {
    case LEDGE_ATTR_INTS:
        view->dtype = LEDGE_I64;
        view->data = (void *)attr->ints;
        return true;
    case LEDGE_ATTR_FLOATS:
        view->dtype = LEDGE_F32;
        view->data = (void *)attr->floats;
        return true;
    case LEDGE_ATTR_STRINGS:
        view->dtype = LEDGE_STRING;
        view->data = memory != NULL ? ledge_ml_texts(memory, attr) : NULL;
        return memory == NULL || view->data != NULL;
    case LEDGE_ATTR_TENSOR:
        *view = *attr->tensor;
        view->dims[0] = ledge_view_count(attr->tensor);
        view->rank = 1;
        return true;
    default:
        return false;
    }
}

static bool first_of(struct ledge_arena *memory, const struct ledge_node *node,
                     const char *const *names, int n, struct ledge_view *view)
{
    bool found = false;
    for (int i = 0; i < n && !found; i++) {
        found = view_of(memory, ledge_node_attr(node, names[i]), view);
    }
    return found;
}

/* keys and values; memory NULL: types and counts only. */
static bool read_map(struct ledge_arena *memory, const struct ledge_node *node,
                     enum ledge_dtype dtype, struct ledge_ml_map *map)
{
    static const char *const keys[] = {"keys_strings", "keys_int64s", "keys_floats", "keys_tensor"};
    static const char *const values[] = {"values_strings", "values_int64s", "values_floats",
                                         "values_tensor"};
    static const char *const cats[] = {"cats_strings", "cats_int64s"};
    static const char *const classes[] = {"classes_strings"};
    *map = (struct ledge_ml_map){.n = 0};
    bool good;
    if (is(node, "OneHotEncoder")) {
        good = first_of(memory, node, dtype == LEDGE_STRING ? &cats[0] : &cats[1], 1, &map->keys);
        map->values = map->keys;
    } else if (is(node, "CategoryMapper") || ledge_node_attr(node, "classes_strings") != NULL) {
        struct ledge_view texts, wholes = {.dtype = LEDGE_I64};
        bool mapper = is(node, "CategoryMapper");
        good = first_of(memory, node, mapper ? cats : classes, 1, &texts);
        if (mapper) {
            good = good && first_of(memory, node, &cats[1], 1, &wholes) &&
                   wholes.dims[0] == texts.dims[0];
        } else if (good) { /* the class's number */
            wholes.dims[0] = texts.dims[0];
        }
        if (good) {
            map->keys = dtype == LEDGE_STRING ? texts : wholes;
            map->values = dtype == LEDGE_STRING ? wholes : texts;
        }
    } else {
        good = first_of(memory, node, keys, 4, &map->keys) &&
               first_of(memory, node, values, 4, &map->values) &&
               map->keys.dims[0] == map->values.dims[0];
    }
    map->n = good ? map->keys.dims[0] : 0;
    return good && (map->keys.dtype == LEDGE_STRING) == (dtype == LEDGE_STRING);
}

enum ledge_status ledge_ml_map_infer(struct ledge_op_infer *infer)
{
    LEDGE_TRY(ledge_onnx_need(infer, 1));
    const struct ledge_value *x = ledge_infer_in(infer, 0);
    struct ledge_ml_map map;
    int64_t dims[LEDGE_MAX_RANK];
    if (!read_map(NULL, infer->node, x->dtype, &map)) {
        return ledge_infer_fail(infer, LEDGE_ERR_FORMAT, "keys and values do not fit input %s",
                                ledge_dtype_text(x->dtype));
    }
    if (!is(infer->node, "OneHotEncoder")) {
        return ledge_infer_out(infer, 0, map.values.dtype, x->rank, x->dims);
    }
    if (x->rank == LEDGE_MAX_RANK) {
        return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "rank %d", LEDGE_MAX_RANK);
    }
    memcpy(dims, x->dims, sizeof dims);
    dims[x->rank] = map.n;
    return ledge_infer_out(infer, 0, LEDGE_F32, x->rank + 1, dims);
}

/* What an unknown key gives. */
static enum ledge_status read_fallback(struct ledge_op_prepare *prepare, struct ledge_ml_map *map)
{
    const struct ledge_node *node = prepare->node;
    enum ledge_dtype dtype = map->values.dtype;
    const struct ledge_attr *given = ledge_node_attr(node, "default_tensor");
    struct ledge_string *text = LEDGE_NEW(prepare->memory, struct ledge_string);
    map->fallback = (struct ledge_view){.data = text, .dtype = dtype};
    if (text == NULL) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_NOMEM, "no memory");
    }
    if (given != NULL && given->type == LEDGE_ATTR_TENSOR && given->tensor->dtype == dtype &&
        ledge_view_count(given->tensor) == 1) {
        map->fallback.data = given->tensor->data;
    } else if (dtype == LEDGE_STRING) {
        text->text = ledge_node_string(node, "default_string", "_Unused");
        text->bytes = strlen(text->text);
    } else if (dtype == LEDGE_I64) {
        *(int64_t *)(void *)text = ledge_node_int(node, "default_int64", -1);
    } else if (dtype == LEDGE_F32) {
        *(float *)(void *)text = ledge_node_float(node, "default_float", -0.0f);
    }
    return LEDGE_OK;
}

enum ledge_status ledge_ml_map_prepare(struct ledge_op_prepare *prepare)
{
    struct ledge_ml_map map;
    if (!read_map(prepare->memory, prepare->node, ledge_prepare_in(prepare, 0)->dtype, &map)) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_NOMEM, "no memory for categories");
    }
    if (is(prepare->node, "OneHotEncoder")) {
        map.strict = ledge_node_int(prepare->node, "zeros", 1) == 0;
        return ledge_onnx_ready(prepare, ledge_ml_one_hot_c, "ml_one_hot_c", &map, sizeof map);
    }
    LEDGE_TRY(read_fallback(prepare, &map));
    if (map.keys.data == NULL) { /* classes by number: number k is key k */
        int64_t *numbers = LEDGE_NEW_ARRAY(prepare->memory, int64_t, (size_t)map.n);
        for (int64_t i = 0; numbers != NULL && i < map.n; i++) {
            numbers[i] = i;
        }
        map.keys.data = numbers;
        if (numbers == NULL) {
            return ledge_prepare_fail(prepare, LEDGE_ERR_NOMEM, "no memory for categories");
        }
    }
    return ledge_onnx_ready(prepare, ledge_ml_map_c, "ml_map_c", &map, sizeof map);
}
