/* SPDX-License-Identifier: Apache-2.0 */
/* onnx_elementwise.c -- operators on one element at a time: unary, binary, variadic, Pow, Where,
 * Cast, Clip. */
#include <math.h>
#include <string.h>

#include "engine/kernels/onnx_number.h"
#include "engine/ops/onnx.h"

#include "base/banned.h"

/* -- unary -- */

static const struct {
    const char *op;
    const char *name[2]; /* attributes that become p[0], p[1] */
    float value[2];      /* their defaults */
} unary_attrs[] = {
    {"Celu", {"alpha", NULL}, {1.0f, 0}},
    {"Elu", {"alpha", NULL}, {1.0f, 0}},
    {"HardSigmoid", {"alpha", "beta"}, {0.2f, 0.5f}},
    {"LeakyRelu", {"alpha", NULL}, {0.01f, 0}},
    {"Selu", {"alpha", "gamma"}, {1.67326319217681884765625f, 1.05070102214813232421875f}},
    {"Shrink", {"lambd", "bias"}, {0.5f, 0}},
    {"Swish", {"alpha", NULL}, {1.0f, 0}},
    {"ThresholdedRelu", {"alpha", NULL}, {1.0f, 0}},
};

static bool unary_entry(const struct ledge_op_infer *infer, struct ledge_unary_entry *entry)
{
    const char *op = infer->node->op;
    if (strcmp(op, "Gelu") == 0 &&
        strcmp(ledge_node_string(infer->node, "approximate", "none"), "tanh") == 0) {
        op = "GeluTanh";
    }
    return ledge_unary_find(op, ledge_infer_in(infer, 0)->dtype, entry);
}

enum ledge_status ledge_onnx_unary_infer(struct ledge_op_infer *infer)
{
    LEDGE_TRY(ledge_onnx_need(infer, 1));
    const struct ledge_value *x = ledge_infer_in(infer, 0);
    struct ledge_unary_entry entry;
    if (!unary_entry(infer, &entry)) {
        return ledge_infer_fail(infer, LEDGE_ERR_UNSUPPORTED, "not done for %s",
                                ledge_dtype_text(x->dtype));
    }
    return ledge_infer_out(infer, 0, entry.out, x->rank, x->dims);
}

enum ledge_status ledge_onnx_unary_prepare(struct ledge_op_prepare *prepare)
{
    struct ledge_op_infer infer = ledge_onnx_as_infer(prepare);
    struct ledge_unary_entry entry;
    if (!unary_entry(&infer, &entry)) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_UNSUPPORTED, "not done for this type");
    }
    struct ledge_unary params = {.op = entry.op};
    for (size_t i = 0; i < sizeof unary_attrs / sizeof unary_attrs[0]; i++) {
        for (int k = 0; k < 2 && strcmp(unary_attrs[i].op, prepare->node->op) == 0; k++) {
            if (unary_attrs[i].name[k] != NULL) {
                params.p[k] = ledge_node_float(prepare->node, unary_attrs[i].name[k],
                                               unary_attrs[i].value[k]);
            }
        }
    }
    if (strcmp(prepare->node->op, "IsInf") == 0) {
        params.p[0] = (float)ledge_node_int(prepare->node, "detect_negative", 1);
        params.p[1] = (float)ledge_node_int(prepare->node, "detect_positive", 1);
    }
    prepare->in_place = ledge_prepare_in(prepare, 0)->dtype == entry.out ? 0 : -1;
    return ledge_onnx_ready(prepare, ledge_unary_c, entry.kernel, &params, sizeof params);
}

/* -- binary -- */

static const struct ledge_binary_entry *binary_entry(const struct ledge_op_infer *infer)
{
    const char *op = infer->node->op;
    if (strcmp(op, "Mod") == 0 && ledge_node_int(infer->node, "fmod", 0) != 0) {
        op = "ModF";
    } else if (strcmp(op, "BitShift") == 0) {
        op = strcmp(ledge_node_string(infer->node, "direction", ""), "LEFT") == 0 ? "BitShiftLeft"
                                                                                  : "BitShiftRight";
    }
    return ledge_binary_find(op, ledge_infer_in(infer, 0)->dtype);
}

/* Before opset 7, b was aligned to a's dimensions from attribute axis on; PRelu's slope always is
 * to the right, but its old form [C] belongs to dimension 1. -1: to the right. */
static enum ledge_status binary_lead(const struct ledge_op_infer *infer, int32_t *lead)
{
    const struct ledge_value *a = ledge_infer_in(infer, 0), *b = ledge_infer_in(infer, 1);
    *lead = -1;
    if (strcmp(infer->node->op, "PRelu") == 0) {
        if (infer->node->opset < 7 && b->rank == 1 && a->rank > 1) {
            *lead = b->dims[0] == 1 || b->dims[0] == a->dims[1] ? 1 : -1;
        }
        return LEDGE_OK;
    }
    if (infer->node->opset < 7 && ledge_node_int(infer->node, "broadcast", 0) != 0 &&
        ledge_node_attr(infer->node, "axis") != NULL) {
        LEDGE_TRY(ledge_onnx_axis(infer, ledge_node_int(infer->node, "axis", 0), a->rank, lead));
        for (int32_t i = 0; i < b->rank; i++) {
            if (*lead + i >= a->rank || (b->dims[i] != a->dims[*lead + i] && b->dims[i] != 1)) {
                return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "inputs do not broadcast");
            }
        }
    }
    return LEDGE_OK;
}

static bool same_dims(const struct ledge_value *a, const struct ledge_value *b)
{
    return a->rank == b->rank && memcmp(a->dims, b->dims, (size_t)a->rank * sizeof *a->dims) == 0;
}

/* Of an entry that may stand in for narrower elements. */
static enum ledge_dtype result_of(const struct ledge_binary_entry *entry, enum ledge_dtype in)
{
    return entry->out == entry->in ? in : (enum ledge_dtype)entry->out;
}

enum ledge_status ledge_onnx_binary_infer(struct ledge_op_infer *infer)
{
    int32_t lead;
    LEDGE_TRY(ledge_onnx_need(infer, 2));
    LEDGE_TRY(ledge_onnx_same_dtype(infer, 0, 1));
    const struct ledge_value *a = ledge_infer_in(infer, 0);
    const struct ledge_binary_entry *entry = binary_entry(infer);
    if (entry == NULL) {
        return ledge_infer_fail(infer, LEDGE_ERR_UNSUPPORTED, "not done for %s",
                                ledge_dtype_text(a->dtype));
    }
    LEDGE_TRY(binary_lead(infer, &lead));
    enum ledge_dtype dtype = result_of(entry, a->dtype);
    return lead >= 0 ? ledge_infer_out(infer, 0, dtype, a->rank, a->dims)
                     : ledge_infer_broadcast(infer, 0, 1, dtype);
}

enum ledge_status ledge_onnx_binary_prepare(struct ledge_op_prepare *prepare)
{
    struct ledge_op_infer infer = ledge_onnx_as_infer(prepare);
    const struct ledge_binary_entry *entry = binary_entry(&infer);
    const struct ledge_value *out = ledge_prepare_out(prepare, 0);
    struct ledge_view view_a = ledge_value_view(ledge_prepare_in(prepare, 0));
    struct ledge_view view_b = ledge_value_view(ledge_prepare_in(prepare, 1));
    struct ledge_view view_out = ledge_value_view(out);
    struct ledge_binary_step *step = LEDGE_NEW(prepare->memory, struct ledge_binary_step);
    int32_t lead;
    if (step == NULL) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_NOMEM, "no memory");
    }
    LEDGE_TRY(binary_lead(&infer, &lead));
    step->b = 1;
    ledge_binary_plan(step, &view_a, &view_b, &view_out, lead);
    for (int32_t i = 1; i >= 0 && entry->in == entry->out; i--) {
        if (same_dims(ledge_prepare_in(prepare, i), out)) {
            prepare->in_place = i;
        }
    }
    struct ledge_binary params = {.fn = entry->fn,
                                  .in = ledge_prepare_in(prepare, 0)->dtype,
                                  .out = ledge_prepare_out(prepare, 0)->dtype,
                                  .narrow = ledge_prepare_in(prepare, 0)->dtype != entry->in,
                                  .clamp = {-INFINITY, INFINITY},
                                  .scale = 1.0f,
                                  .n = 1,
                                  .steps = step};
    if (entry->out == LEDGE_F32) {
        params.clamp = ledge_onnx_clamp(prepare->node);
    }
    return ledge_onnx_ready(prepare, ledge_binary_c, entry->kernel, &params, sizeof params);
}

/* -- variadic: Max, Mean, Min, Sum -- */

static const struct ledge_binary_entry *variadic_entry(const struct ledge_op_infer *infer)
{
    const char *op = infer->node->op;
    return ledge_binary_find(strcmp(op, "Mean") == 0 || strcmp(op, "Sum") == 0 ? "Add" : op,
                             ledge_infer_in(infer, 0)->dtype);
}

enum ledge_status ledge_onnx_variadic_infer(struct ledge_op_infer *infer)
{
    int32_t n = infer->node->n_in;
    LEDGE_TRY(ledge_onnx_need(infer, n > 0 ? n : 1));
    const struct ledge_value *x = ledge_infer_in(infer, 0);
    if (variadic_entry(infer) == NULL ||
        (strcmp(infer->node->op, "Mean") == 0 && x->dtype != LEDGE_F32)) {
        return ledge_infer_fail(infer, LEDGE_ERR_UNSUPPORTED, "not done for %s",
                                ledge_dtype_text(x->dtype));
    }
    int32_t rank = x->rank;
    int64_t dims[LEDGE_MAX_RANK];
    memcpy(dims, x->dims, sizeof dims);
    for (int32_t i = 1; i < n; i++) {
        const struct ledge_value *y = ledge_infer_in(infer, i);
        LEDGE_TRY(ledge_onnx_same_dtype(infer, 0, i));
        if (y->rank > rank) {
            int32_t more = y->rank - rank;
            memmove(dims + more, dims, (size_t)rank * sizeof *dims);
            for (int32_t k = 0; k < more; k++) {
                dims[k] = 1;
            }
            rank = y->rank;
        }
        for (int32_t k = 0; k < y->rank; k++) {
            int64_t *d = &dims[rank - y->rank + k];
            if (*d != y->dims[k] && *d != 1 && y->dims[k] != 1) {
                return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "input %d does not broadcast",
                                        (int)i);
            }
            *d = *d == 1 ? y->dims[k] : *d;
        }
    }
    return ledge_infer_out(infer, 0, x->dtype, rank, dims);
}

enum ledge_status ledge_onnx_variadic_prepare(struct ledge_op_prepare *prepare)
{
    struct ledge_op_infer infer = ledge_onnx_as_infer(prepare);
    const struct ledge_binary_entry *entry = variadic_entry(&infer);
    int32_t n = prepare->node->n_in;
    struct ledge_view out = ledge_value_view(ledge_prepare_out(prepare, 0));
    if (n == 1) {
        prepare->alias = 0;
        return LEDGE_OK;
    }
    struct ledge_binary_step *steps =
        LEDGE_NEW_ARRAY(prepare->memory, struct ledge_binary_step, (size_t)n - 1);
    if (steps == NULL) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_NOMEM, "no memory");
    }
    for (int32_t i = 1; i < n; i++) {
        struct ledge_view first = ledge_value_view(ledge_prepare_in(prepare, 0));
        struct ledge_view other = ledge_value_view(ledge_prepare_in(prepare, i));
        steps[i - 1].a = i == 1 ? 0 : -1;
        steps[i - 1].b = i;
        ledge_binary_plan(&steps[i - 1], i == 1 ? &first : &out, &other, &out, -1);
    }
    bool mean = strcmp(prepare->node->op, "Mean") == 0;
    struct ledge_binary params = {.fn = entry->fn,
                                  .in = ledge_prepare_in(prepare, 0)->dtype,
                                  .out = ledge_prepare_out(prepare, 0)->dtype,
                                  .narrow = ledge_prepare_in(prepare, 0)->dtype != entry->in,
                                  .clamp = {-INFINITY, INFINITY},
                                  .scale = mean ? 1.0f / (float)n : 1.0f,
                                  .n = n - 1,
                                  .steps = steps};
    return ledge_onnx_ready(prepare, ledge_binary_c, entry->kernel, &params, sizeof params);
}

/* -- Pow -- */

enum ledge_status ledge_onnx_pow_infer(struct ledge_op_infer *infer)
{
    LEDGE_TRY(ledge_onnx_need(infer, 2));
    const struct ledge_value *a = ledge_infer_in(infer, 0), *b = ledge_infer_in(infer, 1);
    if (a->dtype == LEDGE_BOOL || b->dtype == LEDGE_BOOL) {
        return ledge_infer_fail(infer, LEDGE_ERR_DTYPE, "not a number");
    }
    return ledge_infer_broadcast(infer, 0, 1, a->dtype);
}

enum ledge_status ledge_onnx_pow_prepare(struct ledge_op_prepare *prepare)
{
    const struct ledge_value *a = ledge_prepare_in(prepare, 0), *b = ledge_prepare_in(prepare, 1);
    if (a->dtype == LEDGE_F32 && b->dtype == LEDGE_F32) {
        return ledge_onnx_binary_prepare(prepare);
    }
    struct ledge_view view_a = ledge_value_view(a), view_b = ledge_value_view(b);
    struct ledge_view out = ledge_value_view(ledge_prepare_out(prepare, 0));
    struct ledge_binary_step step = {.b = 1};
    ledge_binary_plan(&step, &view_a, &view_b, &out, -1);
    return ledge_onnx_ready(prepare, ledge_pow_c, "Pow_any_c", &step, sizeof step);
}

/* -- Where -- */

enum ledge_status ledge_onnx_where_infer(struct ledge_op_infer *infer)
{
    LEDGE_TRY(ledge_onnx_need(infer, 3));
    LEDGE_TRY(ledge_onnx_dtype_is(infer, 0, LEDGE_BOOL));
    LEDGE_TRY(ledge_onnx_same_dtype(infer, 1, 2));
    const struct ledge_value *x = ledge_infer_in(infer, 1);
    int64_t dims[LEDGE_MAX_RANK];
    int32_t rank = 0;
    for (int32_t i = 0; i < 3; i++) {
        const struct ledge_value *v = ledge_infer_in(infer, i);
        rank = v->rank > rank ? v->rank : rank;
    }
    for (int32_t k = 0; k < rank; k++) {
        dims[k] = 1;
        for (int32_t i = 0; i < 3; i++) {
            const struct ledge_value *v = ledge_infer_in(infer, i);
            int32_t at = k - (rank - v->rank);
            int64_t d = at >= 0 ? v->dims[at] : 1;
            if (d != 1 && dims[k] != 1 && d != dims[k]) {
                return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "inputs do not broadcast");
            }
            dims[k] = dims[k] == 1 ? d : dims[k];
        }
    }
    return ledge_infer_out(infer, 0, x->dtype, rank, dims);
}

enum ledge_status ledge_onnx_where_prepare(struct ledge_op_prepare *prepare)
{
    const struct ledge_value *out = ledge_prepare_out(prepare, 0);
    struct ledge_where params = {.rank = out->rank, .size = ledge_dtype_size(out->dtype)};
    memcpy(params.dims, out->dims, sizeof params.dims);
    for (int32_t i = 0; i < 3; i++) {
        const struct ledge_value *v = ledge_prepare_in(prepare, i);
        int64_t step = 1;
        for (int32_t k = v->rank - 1; k >= 0; k--) {
            params.stride[i][out->rank - v->rank + k] = v->dims[k] != 1 ? step : 0;
            step *= v->dims[k];
        }
    }
    return ledge_onnx_ready(prepare, ledge_where_c, "Where_c", &params, sizeof params);
}

/* -- Cast, CastLike, BitCast -- */

static enum ledge_status target_dtype(const struct ledge_op_infer *infer, enum ledge_dtype *dtype)
{
    int64_t to = ledge_node_int(infer->node, "to", 0);
    if (strcmp(infer->node->op, "CastLike") == 0) {
        LEDGE_TRY(ledge_onnx_need(infer, 2));
        to = (int64_t)ledge_infer_in(infer, 1)->dtype;
    }
    if (to <= 0 || to > 64 || ledge_dtype_size((enum ledge_dtype)to) == 0) {
        return ledge_infer_fail(infer, LEDGE_ERR_UNSUPPORTED, "element type %lld", (long long)to);
    }
    *dtype = (enum ledge_dtype)to;
    return LEDGE_OK;
}

enum ledge_status ledge_onnx_cast_infer(struct ledge_op_infer *infer)
{
    enum ledge_dtype dtype = LEDGE_DTYPE_NONE;
    LEDGE_TRY(ledge_onnx_need(infer, 1));
    LEDGE_TRY(target_dtype(infer, &dtype));
    const struct ledge_value *x = ledge_infer_in(infer, 0);
    return ledge_infer_out(infer, 0, dtype, x->rank, x->dims);
}

enum ledge_status ledge_onnx_cast_prepare(struct ledge_op_prepare *prepare)
{
    if (ledge_prepare_in(prepare, 0)->dtype == ledge_prepare_out(prepare, 0)->dtype) {
        prepare->alias = 0;
        return LEDGE_OK;
    }
    const char *round = ledge_node_string(prepare->node, "round_mode", "up");
    struct ledge_cast params = {.saturate = ledge_node_int(prepare->node, "saturate", 1) != 0,
                                .round = strcmp(round, "down") == 0      ? LEDGE_ROUND_DOWN
                                         : strcmp(round, "nearest") == 0 ? LEDGE_ROUND_NEAREST
                                                                         : LEDGE_ROUND_UP};
    return ledge_onnx_ready(prepare, ledge_cast_c, "Cast_c", &params, sizeof params);
}

enum ledge_status ledge_onnx_bit_cast_infer(struct ledge_op_infer *infer)
{
    enum ledge_dtype dtype = LEDGE_DTYPE_NONE;
    LEDGE_TRY(ledge_onnx_need(infer, 1));
    LEDGE_TRY(target_dtype(infer, &dtype));
    const struct ledge_value *x = ledge_infer_in(infer, 0);
    if (ledge_dtype_bits(dtype) != ledge_dtype_bits(x->dtype)) {
        return ledge_infer_fail(infer, LEDGE_ERR_UNSUPPORTED, "%s to %s changes the width",
                                ledge_dtype_text(x->dtype), ledge_dtype_text(dtype));
    }
    return ledge_infer_out(infer, 0, dtype, x->rank, x->dims);
}

enum ledge_status ledge_onnx_bit_cast_prepare(struct ledge_op_prepare *prepare)
{
    prepare->alias = 0;
    return LEDGE_OK;
}

/* -- Clip -- */

enum ledge_status ledge_onnx_clip_infer(struct ledge_op_infer *infer)
{
    LEDGE_TRY(ledge_onnx_need(infer, 1));
    const struct ledge_value *x = ledge_infer_in(infer, 0);
    for (int32_t i = 1; i < 3; i++) {
        const struct ledge_value *bound = ledge_infer_in(infer, i);
        LEDGE_TRY(ledge_onnx_same_dtype(infer, 0, i));
        if (bound != NULL && ledge_onnx_count(bound) != 1) {
            return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "input %d is not a scalar", (int)i);
        }
    }
    if (x->dtype == LEDGE_BOOL) {
        return ledge_infer_fail(infer, LEDGE_ERR_DTYPE, "not a number");
    }
    return ledge_infer_out(infer, 0, x->dtype, x->rank, x->dims);
}

enum ledge_status ledge_onnx_clip_prepare(struct ledge_op_prepare *prepare)
{
    struct ledge_unary params = {.p = {ledge_node_float(prepare->node, "min", -INFINITY),
                                       ledge_node_float(prepare->node, "max", INFINITY)}};
    prepare->in_place = 0;
    return ledge_onnx_ready(prepare, ledge_clip_c, "Clip_c", &params, sizeof params);
}
