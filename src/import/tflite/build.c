/* SPDX-License-Identifier: Apache-2.0 */
/* build.c -- tensors as graph values, and nodes. */
#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "base/status.h"
#include "import/tflite/importer.h"

enum ledge_status ledge_tflite_spend(struct ledge_tflite *t, size_t n)
{
    if (n > t->budget) {
        return ledge_fail(t->err, LEDGE_ERR_RANGE,
                          "TFLite: constants are used too often for the size of the file");
    }
    t->budget -= n;
    return LEDGE_OK;
}

enum ledge_status ledge_tflite_done(struct ledge_tflite *t, bool ok)
{
    if (ok) {
        return LEDGE_OK;
    }
    return ledge_fail(t->err, LEDGE_ERR_NOMEM, "TFLite: no memory, or constants too large");
}

const struct ledge_tflite_tensor *ledge_tflite_in(const struct ledge_tflite *t,
                                                  const struct ledge_tflite_op *op, int32_t i)
{
    return i < op->n_in && op->in[i] >= 0 ? &t->tensors[op->in[i]] : NULL;
}

const struct ledge_tflite_tensor *ledge_tflite_out(const struct ledge_tflite *t,
                                                   const struct ledge_tflite_op *op, int32_t i)
{
    return i < op->n_out && op->out[i] >= 0 ? &t->tensors[op->out[i]] : NULL;
}

bool ledge_tflite_quantised(const struct ledge_tflite_tensor *tensor)
{
    return tensor->scales.n > 0 &&
           (tensor->dtype == LEDGE_I8 || tensor->dtype == LEDGE_U8 || tensor->dtype == LEDGE_I16);
}

bool ledge_tflite_ints(const struct ledge_tflite_tensor *tensor, int64_t *values, int32_t max,
                       int32_t *n)
{
    if (tensor == NULL || tensor->data == NULL ||
        (tensor->dtype != LEDGE_I32 && tensor->dtype != LEDGE_I64)) {
        return false;
    }
    size_t size = ledge_dtype_size(tensor->dtype);
    if (tensor->bytes / size > (size_t)max) {
        return false;
    }
    struct ledge_fb_vector vector = {.data = tensor->data, .n = (uint32_t)(tensor->bytes / size)};
    for (uint32_t i = 0; i < vector.n; i++) {
        values[i] = size == 4 ? ledge_fb_item_i32(vector, i) : ledge_fb_item_i64(vector, i);
    }
    *n = (int32_t)vector.n;
    return true;
}

const char *ledge_tflite_text(struct ledge_tflite *t, struct ledge_fb_vector text)
{
    size_t n = text.n < TFLITE_MAX_NAME ? text.n : TFLITE_MAX_NAME;
    char *copy = ledge_arena_text(&t->graph->arena, (const char *)text.data, n);
    for (size_t i = 0; copy != NULL && i < n; i++) {
        uint8_t c = (uint8_t)copy[i];
        copy[i] = c < ' ' || c == 0x7f ? '?' : (char)c;
    }
    return copy;
}

/* The tensor's name when it has one that is not taken yet, else NULL. */
static const char *name_of(struct ledge_tflite *t, const struct ledge_tflite_tensor *tensor)
{
    const char *name = tensor->name.n > 0 ? ledge_tflite_text(t, tensor->name) : NULL;
    return name != NULL && ledge_graph_find(t->graph, name) < 0 ? name : NULL;
}

enum ledge_status ledge_tflite_set_quant(struct ledge_tflite *t,
                                         const struct ledge_tflite_tensor *tensor, int32_t value)
{
    size_t n = tensor->scales.n;
    float *scales = LEDGE_NEW_ARRAY(&t->graph->arena, float, n);
    int32_t *zeros = LEDGE_NEW_ARRAY(&t->graph->arena, int32_t, n);
    if (scales == NULL || zeros == NULL) {
        return ledge_tflite_done(t, false);
    }
    for (uint32_t i = 0; i < n; i++) {
        scales[i] = ledge_fb_item_f32(tensor->scales, i);
        zeros[i] = tensor->zeros.n > 0 ? (int32_t)ledge_fb_item_i64(tensor->zeros, i) : 0;
    }
    const struct ledge_quant *quant =
        ledge_graph_quant(t->graph, scales, zeros, (int32_t)n, tensor->quant_dim);
    t->graph->values[value].quant = quant;
    return ledge_tflite_done(t, quant != NULL);
}

/* Constants are read in place when their elements are aligned, else from a copy. */
static int32_t add_constant(struct ledge_tflite *t, const struct ledge_tflite_tensor *tensor,
                            const char *name)
{
    size_t size = ledge_dtype_size(tensor->dtype);
    if (size == 0) { /* only unsupported operators read it; the bytes mark it as given */
        int32_t value =
            ledge_graph_add_value(t->graph, name, LEDGE_DTYPE_NONE, tensor->rank, tensor->dims);
        if (value >= 0) {
            t->graph->values[value].data = tensor->data;
        }
        return value;
    }
    bool copy = (uintptr_t)tensor->data % size != 0;
    if (copy && ledge_tflite_spend(t, tensor->bytes) != LEDGE_OK) {
        return -1;
    }
    return ledge_graph_add_constant(t->graph, name, tensor->dtype, tensor->rank, tensor->dims,
                                    tensor->data, copy);
}

int32_t ledge_tflite_value(struct ledge_tflite *t, int32_t number)
{
    struct ledge_tflite_tensor *tensor = &t->tensors[number];
    if (tensor->value >= 0) {
        return tensor->value;
    }
    const char *name = name_of(t, tensor);
    if (tensor->data != NULL) {
        tensor->value = add_constant(t, tensor, name);
    } else {
        tensor->value =
            ledge_graph_add_value(t->graph, name, tensor->dtype, tensor->rank, tensor->dims);
    }
    if (tensor->value >= 0 && ledge_tflite_quantised(tensor) &&
        ledge_tflite_set_quant(t, tensor, tensor->value) != LEDGE_OK) {
        return -1;
    }
    return tensor->value;
}

int32_t ledge_tflite_in_value(struct ledge_tflite *t, const struct ledge_tflite_op *op, int32_t i)
{
    return i < op->n_in && op->in[i] >= 0 ? ledge_tflite_value(t, op->in[i]) : -1;
}

int32_t ledge_tflite_out_value(struct ledge_tflite *t, const struct ledge_tflite_op *op, int32_t i)
{
    return i < op->n_out && op->out[i] >= 0 ? ledge_tflite_value(t, op->out[i]) : -1;
}

/* IEEE 754 binary16 -> binary32. */
static float half_to_float(uint16_t half)
{
    uint32_t exponent = (half >> 10) & 0x1f;
    uint32_t fraction = half & 0x3ff;
    float value;
    if (exponent == 0) {
        value = ldexpf((float)fraction, -24);
    } else if (exponent == 31) {
        value = fraction == 0 ? INFINITY : NAN;
    } else {
        value = ldexpf((float)(fraction | 0x400), (int)exponent - 25);
    }
    return (half & 0x8000) != 0 ? -value : value;
}

/* Element i of a constant as a real number; stride is the number of elements behind one step along
 * quant_dim. */
static float real_at(const struct ledge_tflite_tensor *tensor, size_t i, size_t stride)
{
    if (tensor->dtype == LEDGE_F16) {
        return half_to_float((uint16_t)(tensor->data[2 * i] | tensor->data[2 * i + 1] << 8));
    }
    int32_t q = tensor->dtype == LEDGE_I8 ? (int8_t)tensor->data[i] : tensor->data[i];
    uint32_t c = tensor->scales.n > 1 ? (uint32_t)(i / stride % tensor->scales.n) : 0;
    int64_t zero = tensor->zeros.n > 0 ? ledge_fb_item_i64(tensor->zeros, c) : 0;
    return ledge_fb_item_f32(tensor->scales, c) * (float)(q - zero);
}

static enum ledge_status make_float(struct ledge_tflite *t, struct ledge_tflite_tensor *tensor)
{
    size_t count = tensor->bytes / ledge_dtype_size(tensor->dtype);
    size_t stride = 1;
    for (int32_t i = tensor->quant_dim + 1; tensor->scales.n > 1 && i < tensor->rank; i++) {
        stride *= (size_t)tensor->dims[i];
    }
    LEDGE_TRY(ledge_tflite_spend(t, count * sizeof(float)));
    float *data = ledge_arena_array(&t->graph->arena, count, sizeof *data, 64);
    if (data == NULL) {
        return ledge_tflite_done(t, false);
    }
    for (size_t i = 0; i < count; i++) {
        data[i] = real_at(tensor, i, stride);
    }
    tensor->as_float = ledge_graph_add_constant(t->graph, NULL, LEDGE_F32, tensor->rank,
                                                tensor->dims, data, false);
    return ledge_tflite_done(t, tensor->as_float >= 0);
}

enum ledge_status ledge_tflite_float_value(struct ledge_tflite *t, int32_t number, int32_t *value)
{
    struct ledge_tflite_tensor *tensor = &t->tensors[number];
    bool small = tensor->dtype == LEDGE_I8 || tensor->dtype == LEDGE_U8;
    bool convert =
        tensor->data != NULL && (tensor->dtype == LEDGE_F16 || (small && tensor->scales.n > 0));
    if (!convert) {
        *value = ledge_tflite_value(t, number);
        return ledge_tflite_done(t, *value >= 0);
    }
    if (tensor->as_float < 0) {
        LEDGE_TRY(make_float(t, tensor));
    }
    *value = tensor->as_float;
    return LEDGE_OK;
}

int32_t ledge_tflite_temp(struct ledge_tflite *t)
{
    return ledge_graph_add_value(t->graph, NULL, LEDGE_DTYPE_NONE, -1, NULL);
}

int32_t ledge_tflite_const_i64(struct ledge_tflite *t, const int64_t *values, int32_t n)
{
    int64_t dims[1] = {n};
    return ledge_graph_add_constant(t->graph, NULL, LEDGE_I64, 1, dims, values, true);
}

int32_t ledge_tflite_const_f32(struct ledge_tflite *t, float value)
{
    return ledge_graph_add_constant(t->graph, NULL, LEDGE_F32, 0, NULL, &value, true);
}

int32_t ledge_tflite_node(struct ledge_tflite *t, const char *domain, const char *op,
                          const int32_t *in, int32_t n_in, const int32_t *out, int32_t n_out)
{
    if (n_out < 1 || out[0] < 0) {
        return -1;
    }
    int32_t opset = domain[0] == '\0' ? 13 : 1;
    return ledge_graph_add_node(t->graph, domain, op, opset, t->graph->values[out[0]].name, in,
                                n_in, out, n_out);
}

int32_t ledge_tflite_node1(struct ledge_tflite *t, const char *domain, const char *op, int32_t in,
                           int32_t out)
{
    return in < 0 ? -1 : ledge_tflite_node(t, domain, op, &in, 1, &out, 1);
}

int32_t ledge_tflite_node2(struct ledge_tflite *t, const char *domain, const char *op, int32_t a,
                           int32_t b, int32_t out)
{
    int32_t in[2] = {a, b};
    return a < 0 || b < 0 ? -1 : ledge_tflite_node(t, domain, op, in, 2, &out, 1);
}

static bool clamp_of(uint8_t activation, float *low, float *high)
{
    *low = activation == TFLITE_ACT_RELU_N1_TO_1 ? -1.0f : 0.0f;
    *high = activation == TFLITE_ACT_RELU_N1_TO_1 ? 1.0f
            : activation == TFLITE_ACT_RELU6      ? 6.0f
                                                  : INFINITY;
    return activation >= TFLITE_ACT_RELU && activation <= TFLITE_ACT_RELU6;
}

int32_t ledge_tflite_act_target(struct ledge_tflite *t, uint8_t activation, bool clamps,
                                int32_t out)
{
    float low;
    float high;
    bool inside = activation == TFLITE_ACT_NONE || (clamps && clamp_of(activation, &low, &high));
    return inside ? out : ledge_tflite_temp(t);
}

enum ledge_status ledge_tflite_act_finish(struct ledge_tflite *t, uint8_t activation, bool clamps,
                                          int32_t node, int32_t target, int32_t out)
{
    float low;
    float high;
    LEDGE_TRY(ledge_tflite_done(t, node >= 0));
    if (activation == TFLITE_ACT_NONE) {
        return LEDGE_OK;
    }
    if (activation == TFLITE_ACT_TANH) {
        return ledge_tflite_done(t, ledge_tflite_node1(t, "", "Tanh", target, out) >= 0);
    }
    if (!clamp_of(activation, &low, &high)) {
        return ledge_fail(t->err, LEDGE_ERR_UNSUPPORTED, "TFLite: fused activation %u",
                          (unsigned)activation);
    }
    if (clamps) {
        return ledge_tflite_done(t, ledge_graph_set_float(t->graph, node, "clamp_low", low) &&
                                        ledge_graph_set_float(t->graph, node, "clamp_high", high));
    }
    if (activation == TFLITE_ACT_RELU) {
        return ledge_tflite_done(t, ledge_tflite_node1(t, "", "Relu", target, out) >= 0);
    }
    int32_t in[3] = {target, ledge_tflite_const_f32(t, low), ledge_tflite_const_f32(t, high)};
    bool made = in[1] >= 0 && in[2] >= 0;
    return ledge_tflite_done(t, made && ledge_tflite_node(t, "", "Clip", in, 3, &out, 1) >= 0);
}
