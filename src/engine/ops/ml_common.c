/* SPDX-License-Identifier: Apache-2.0 */
/* ml_common.c -- the list of ai.onnx.ml's operators, and reading their attributes (ml.h). */
#include <stdio.h>
#include <string.h>

#include "engine/kernels/onnx_number.h"
#include "engine/ops/ml.h"
#include "engine/port/select.h"

#include "base/banned.h"

#define ENTRY(domain, op, function)                                                                \
    LEDGE_KEEP(LEDGE_OP_##op)                                                                      \
    ({domain, #op, ledge_ml_##function##_infer, ledge_ml_##function##_prepare}, )

static const struct ledge_op ops[] = {LEDGE_ML_LIST(ENTRY){NULL, NULL, NULL, NULL}};

const struct ledge_op_table ledge_ops_ml = {
    .ops = ops, .n = (int32_t)(sizeof ops / sizeof ops[0]) - 1, .next = NULL};

enum ledge_status ledge_ml_shape(const struct ledge_op_infer *infer, int64_t *n, int64_t *c)
{
    LEDGE_TRY(ledge_onnx_need(infer, 1));
    const struct ledge_value *x = ledge_infer_in(infer, 0);
    if (x->dtype == LEDGE_STRING) {
        return ledge_infer_fail(infer, LEDGE_ERR_DTYPE, "input 0 holds strings");
    }
    if (x->rank < 1 || x->rank > 2) {
        return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "input 0 has rank %d, not 1 or 2",
                                (int)x->rank);
    }
    *n = x->rank == 2 ? x->dims[0] : 1;
    *c = x->dims[x->rank - 1];
    return LEDGE_OK;
}

/* The tensor attribute <name>_as_tensor or name. */
static const struct ledge_view *tensor_of(const struct ledge_node *node, const char *name)
{
    char text[64];
    (void)snprintf(text, sizeof text, "%.40s_as_tensor", name);
    const struct ledge_attr *attr = ledge_node_attr(node, text);
    attr = attr != NULL ? attr : ledge_node_attr(node, name);
    return attr != NULL && attr->type == LEDGE_ATTR_TENSOR && attr->tensor->dtype != LEDGE_STRING
               ? attr->tensor
               : NULL;
}

const float *ledge_ml_floats(const struct ledge_node *node, const char *name, int64_t *n)
{
    const struct ledge_attr *attr = ledge_node_attr(node, name);
    bool list = attr != NULL && attr->type == LEDGE_ATTR_FLOATS;
    *n = list ? (int64_t)attr->n : 0;
    return list ? attr->floats : NULL;
}

enum ledge_status ledge_ml_reals(struct ledge_op_prepare *prepare, const char *name,
                                 const double **list, int64_t *n)
{
    const float *floats = ledge_ml_floats(prepare->node, name, n);
    const struct ledge_view *tensor = floats == NULL ? tensor_of(prepare->node, name) : NULL;
    *n = tensor != NULL ? ledge_view_count(tensor) : *n;
    double *copy = LEDGE_NEW_ARRAY(prepare->memory, double, (size_t)*n);
    if (copy == NULL) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_NOMEM, "no memory");
    }
    for (int64_t i = 0; i < *n && floats != NULL; i++) {
        copy[i] = (double)floats[i];
    }
    if (tensor != NULL) {
        ledge_load_real(tensor->data, tensor->dtype, 0, *n, copy);
    }
    *list = *n > 0 ? copy : NULL;
    return LEDGE_OK;
}

enum ledge_status ledge_ml_wholes(struct ledge_op_prepare *prepare, const char *name,
                                  const int64_t **list, int64_t *n)
{
    size_t count = 0;
    *list = ledge_node_ints(prepare->node, name, &count);
    *n = (int64_t)count;
    const struct ledge_view *tensor = *list == NULL ? tensor_of(prepare->node, name) : NULL;
    if (tensor != NULL) {
        *n = ledge_view_count(tensor);
        int64_t *copy = LEDGE_NEW_ARRAY(prepare->memory, int64_t, (size_t)*n);
        if (copy == NULL) {
            return ledge_prepare_fail(prepare, LEDGE_ERR_NOMEM, "no memory");
        }
        ledge_load_whole(tensor->data, tensor->dtype, 0, *n, copy);
        *list = copy;
    }
    return LEDGE_OK;
}

struct ledge_string *ledge_ml_texts(struct ledge_arena *memory, const struct ledge_attr *attr)
{
    struct ledge_string *texts = LEDGE_NEW_ARRAY(memory, struct ledge_string, attr->n);
    for (size_t i = 0; texts != NULL && i < attr->n; i++) {
        texts[i] = (struct ledge_string){attr->strings[i], strlen(attr->strings[i])};
    }
    return texts;
}

static const struct ledge_attr *label_attr(const struct ledge_node *node)
{
    static const char *const names[] = {"classlabels_strings", "classlabels_ints",
                                        "classlabels_int64s"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const struct ledge_attr *attr = ledge_node_attr(node, names[i]);
        if (attr != NULL && attr->n > 0 &&
            attr->type == (i == 0 ? LEDGE_ATTR_STRINGS : LEDGE_ATTR_INTS)) {
            return attr;
        }
    }
    return NULL;
}

int64_t ledge_ml_n_labels(const struct ledge_node *node, bool *strings)
{
    const struct ledge_attr *attr = label_attr(node);
    *strings = attr != NULL && attr->type == LEDGE_ATTR_STRINGS;
    return attr != NULL ? (int64_t)attr->n : 0;
}

enum ledge_status ledge_ml_class_labels(struct ledge_op_prepare *prepare,
                                        struct ledge_ml_labels *labels)
{
    const struct ledge_attr *attr = label_attr(prepare->node);
    *labels = (struct ledge_ml_labels){.n = attr != NULL ? (int64_t)attr->n : 0};
    if (attr != NULL && attr->type == LEDGE_ATTR_STRINGS) {
        labels->strings = ledge_ml_texts(prepare->memory, attr);
        if (labels->strings == NULL) {
            return ledge_prepare_fail(prepare, LEDGE_ERR_NOMEM, "no memory");
        }
    } else if (attr != NULL) {
        labels->ints = attr->ints;
    }
    return LEDGE_OK;
}

enum ledge_ml_post ledge_ml_post_of(const struct ledge_node *node)
{
    static const char *const names[] = {"NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT"};
    const char *text = ledge_node_string(node, "post_transform", "NONE");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(names[i], text) == 0) {
            return (enum ledge_ml_post)i;
        }
    }
    return (enum ledge_ml_post)ledge_node_int(node, "post_transform", 0);
}
