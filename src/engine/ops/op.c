/* SPDX-License-Identifier: Apache-2.0 */
/* op.c -- looking an operator up, and the help that infer and prepare functions share. */
#include "engine/ops/op.h"
#include "engine/ops/late.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/banned.h"
#include "base/checked.h"
#include "base/status.h"
#include "engine/port/select.h"

static const struct ledge_op *look_in(const struct ledge_op_table *table, const char *domain,
                                      const char *name)
{
    for (; table != NULL; table = table->next) {
        for (int32_t i = 0; i < table->n; i++) {
            if (table->ops[i].name[0] == name[0] && strcmp(table->ops[i].name, name) == 0 &&
                strcmp(table->ops[i].domain, domain) == 0) {
                return &table->ops[i];
            }
        }
    }
    return NULL;
}

const struct ledge_op *ledge_op_find(const struct ledge_graph *graph, const struct ledge_node *node)
{
    static const struct ledge_op_table *const built_in[] = {
        &ledge_ops_core, &ledge_ops_onnx, &ledge_ops_tfl,
        &ledge_ops_ml,   &ledge_ops_late, LEDGE_KEEP(LEDGE_OP_BlockedConv)(&ledge_ops_blocked, )};
    const char *domain = strcmp(node->domain, "ai.onnx") == 0 ? "" : node->domain;
    const char *name = node->op;
    if (LEDGE_HAS(LEDGE_PART_LATE) && ledge_late_is_text_cast(node)) {
        domain = "ledge";
        name = "CastToString";
    }
    const struct ledge_op *op = look_in(graph->extra_ops, domain, name);
    for (size_t i = 0; op == NULL && i < sizeof built_in / sizeof built_in[0]; i++) {
        op = look_in(built_in[i], domain, name);
    }
    return op;
}

static const struct ledge_value *value_at(const struct ledge_graph *graph, const int32_t *list,
                                          int32_t n, int32_t i)
{
    return i >= 0 && i < n && list[i] >= 0 ? &graph->values[list[i]] : NULL;
}

const struct ledge_value *ledge_infer_in(const struct ledge_op_infer *infer, int32_t i)
{
    return value_at(infer->graph, infer->node->in, infer->node->n_in, i);
}

const struct ledge_value *ledge_prepare_in(const struct ledge_op_prepare *prepare, int32_t i)
{
    return value_at(prepare->graph, prepare->node->in, prepare->node->n_in, i);
}

const struct ledge_value *ledge_prepare_out(const struct ledge_op_prepare *prepare, int32_t i)
{
    return value_at(prepare->graph, prepare->node->out, prepare->node->n_out, i);
}

/* Kernels that only move elements take any type; the others must not make pointers of numbers. */
static bool may_give_strings(const struct ledge_node *node)
{
    static const char *const movers[] = {
        "CenterCropPad",   "Compress",        "Concat",        "Constant", "ConstantOfShape",
        "DepthToSpace",    "Expand",          "Flatten",       "Gather",   "GatherElements",
        "GatherND",        "Identity",        "OneHot",        "Pad",      "Reshape",
        "ReverseSequence", "ScatterElements", "ScatterND",     "Slice",    "SpaceToDepth",
        "Split",           "Squeeze",         "TensorScatter", "Tile",     "Transpose",
        "Trilu",           "Unsqueeze",       "Where",
    };
    bool may = strcmp(node->domain, "ai.onnx.ml") == 0; /* labels */
    for (size_t i = 0; !may && i < sizeof movers / sizeof movers[0]; i++) {
        may = node->domain[0] == '\0' && strcmp(node->op, movers[i]) == 0;
    }
    return may;
}

enum ledge_status ledge_infer_out(struct ledge_op_infer *infer, int32_t i, enum ledge_dtype dtype,
                                  int32_t rank, const int64_t *dims)
{
    if (i >= infer->node->n_out || infer->node->out[i] < 0) {
        return LEDGE_OK;
    }
    if (rank < 0 || rank > LEDGE_MAX_RANK) {
        return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "output %d has rank %d, at most %d is done",
                                (int)i, (int)rank, LEDGE_MAX_RANK);
    }
    if (dtype == LEDGE_STRING && !may_give_strings(infer->node)) {
        return ledge_infer_fail(infer, LEDGE_ERR_UNSUPPORTED, "output %d of strings", (int)i);
    }
    struct ledge_value *value = &infer->graph->values[infer->node->out[i]];
    int64_t count = 1;
    for (int32_t k = 0; k < rank; k++) {
        if (dims[k] < 0 || !ledge_mul_i64(count, dims[k] > 0 ? dims[k] : 1, &count) ||
            count > INT64_MAX / 64) {
            return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "output %d: dimension %d is %lld",
                                    (int)i, (int)k, (long long)dims[k]);
        }
    }
    if (value->dtype != LEDGE_DTYPE_NONE && value->dtype != dtype && value->data != NULL) {
        return ledge_infer_fail(infer, LEDGE_ERR_DTYPE, "output %d is already constant", (int)i);
    }
    value->dtype = dtype;
    value->rank = rank;
    for (int32_t k = 0; k < rank; k++) {
        value->dims[k] = dims[k];
    }
    return LEDGE_OK;
}

enum ledge_status ledge_infer_ints(const struct ledge_op_infer *infer, int32_t i, int64_t *values,
                                   int32_t max, int32_t *n)
{
    const struct ledge_value *value = ledge_infer_in(infer, i);
    if (value == NULL || value->data == NULL) {
        return ledge_infer_wait(infer, i);
    }
    if (value->dtype != LEDGE_I64 && value->dtype != LEDGE_I32) {
        return ledge_infer_fail(infer, LEDGE_ERR_DTYPE, "input %d is %s, not i64 or i32", (int)i,
                                ledge_dtype_text(value->dtype));
    }
    size_t count = value->bytes / ledge_dtype_size(value->dtype);
    if (count > (size_t)max) {
        return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "input %d has %zu elements, at most %d",
                                (int)i, count, (int)max);
    }
    for (size_t k = 0; k < count; k++) {
        int32_t narrow;
        if (value->dtype == LEDGE_I64) {
            memcpy(&values[k], (const char *)value->data + 8 * k, 8);
        } else {
            memcpy(&narrow, (const char *)value->data + 4 * k, 4);
            values[k] = narrow;
        }
    }
    *n = (int32_t)count;
    return LEDGE_OK;
}

enum ledge_status ledge_infer_wait(const struct ledge_op_infer *infer, int32_t i)
{
    if (infer->wait != NULL && ledge_infer_in(infer, i) != NULL) {
        *infer->wait = true;
        infer->graph->values[infer->node->in[i]].awaited = true;
    }
    return ledge_infer_fail(infer, LEDGE_ERR_UNSUPPORTED, "input %d must be constant", (int)i);
}

enum ledge_status ledge_infer_broadcast(struct ledge_op_infer *infer, int32_t a, int32_t b,
                                        enum ledge_dtype dtype)
{
    const struct ledge_value *x = ledge_infer_in(infer, a);
    const struct ledge_value *y = ledge_infer_in(infer, b);
    if (x == NULL || y == NULL) {
        return ledge_infer_fail(infer, LEDGE_ERR_FORMAT, "an input is missing");
    }
    int32_t rank = x->rank > y->rank ? x->rank : y->rank;
    int64_t dims[LEDGE_MAX_RANK];
    for (int32_t i = 0; i < rank; i++) {
        int32_t at_x = i - (rank - x->rank);
        int32_t at_y = i - (rank - y->rank);
        int64_t dx = at_x >= 0 ? x->dims[at_x] : 1;
        int64_t dy = at_y >= 0 ? y->dims[at_y] : 1;
        if (dx != dy && dx != 1 && dy != 1) {
            return ledge_infer_fail(infer, LEDGE_ERR_SHAPE,
                                    "%s and %s do not broadcast: %lld against %lld", x->name,
                                    y->name, (long long)dx, (long long)dy);
        }
        dims[i] = dx == 1 ? dy : dx;
    }
    return ledge_infer_out(infer, 0, dtype, rank, dims);
}

static enum ledge_status fail_node(const struct ledge_node *node, struct ledge_error *err,
                                   enum ledge_status status, const char *format, va_list args)
{
    char text[160];
    (void)vsnprintf(text, sizeof text, format, args);
    return ledge_fail(err, status, "node %.60s (%.30s): %s", node->name, node->op, text);
}

enum ledge_status ledge_infer_fail(const struct ledge_op_infer *infer, enum ledge_status status,
                                   const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)fail_node(infer->node, infer->err, status, format, args);
    va_end(args);
    return status;
}

enum ledge_status ledge_prepare_fail(const struct ledge_op_prepare *prepare,
                                     enum ledge_status status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)fail_node(prepare->node, prepare->err, status, format, args);
    va_end(args);
    return status;
}
