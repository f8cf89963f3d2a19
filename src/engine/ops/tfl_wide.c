/* SPDX-License-Identifier: Apache-2.0 */
/* tfl_wide.c -- operators of domain "tfl" on i16: products with i8 weights, Add, Sub, Mul;
 * LeakyRelu of any quantised type, and TransposeConv2D. ledge_tfl_*_any() choose between these and
 * those of 8 bits by the type of input 0. */
#include <math.h>
#include <string.h>

#include "base/banned.h"
#include "base/checked.h"
#include "base/status.h"
#include "engine/kernels/tfl_wide.h"
#include "engine/ops/spatial.h"
#include "engine/ops/tfl.h"

/* Range of output 0 in its own domain, narrowed by the activation. */
static enum ledge_status range_of(const struct ledge_op_prepare *prepare,
                                  const struct ledge_tfl_scale_of *y, int32_t *low, int32_t *high)
{
    int64_t activation = ledge_node_int(prepare->node, "activation", 0);
    if (!ledge_tfl_range(ledge_prepare_out(prepare, 0)->dtype, low, high) || activation < 0 ||
        activation > 3) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_UNSUPPORTED, "fused activation %d",
                                  (int)activation);
    }
    float least = activation == 0 ? -INFINITY : activation == 2 ? -1.0f : 0.0f;
    float most = activation == 2 ? 1.0f : activation == 3 ? 6.0f : INFINITY;
    if (isfinite(least)) {
        float q = (float)y->zero + roundf(least / y->scale);
        *low = q > (float)*low ? (q < (float)*high ? (int32_t)q : *high) : *low;
    }
    if (isfinite(most)) {
        float q = (float)y->zero + roundf(most / y->scale);
        *high = q < (float)*high ? (q > (float)*low ? (int32_t)q : *low) : *high;
    }
    return LEDGE_OK;
}

static int64_t count_of(const struct ledge_value *value)
{
    struct ledge_view view = ledge_value_view(value);
    return ledge_view_count(&view);
}

/* -- products -- */

/* i8 weights of this rank, a bias of i32 or i64 or none. */
static enum ledge_status check_weights(const struct ledge_op_infer *infer, int32_t rank)
{
    const struct ledge_value *w = ledge_infer_in(infer, 1);
    const struct ledge_value *b = ledge_infer_in(infer, 2);
    bool right = w != NULL && w->data != NULL && w->dtype == LEDGE_I8 && w->rank == rank;
    for (int32_t i = 0; right && i < rank; i++) {
        right = w->dims[i] >= 1 && w->dims[i] <= INT32_MAX;
    }
    if (!right ||
        (b != NULL && (b->data == NULL || (b->dtype != LEDGE_I32 && b->dtype != LEDGE_I64)))) {
        return ledge_infer_fail(infer, LEDGE_ERR_UNSUPPORTED,
                                "weights must be constant i8, the bias constant i32 or i64");
    }
    return LEDGE_OK;
}

static enum ledge_status read_window(const struct ledge_node *node, const struct ledge_value *x,
                                     const struct ledge_value *w, struct ledge_error *err,
                                     struct ledge_geometry *g)
{
    struct ledge_spatial spatial = {.node = node, .x = x, .err = err};
    bool depthwise = strcmp(node->op, "DepthwiseConv2D") == 0;
    int64_t out_channels = depthwise ? w->dims[3] : w->dims[0];
    int64_t per_group = depthwise ? 1 : w->dims[3];
    LEDGE_TRY(ledge_spatial_read(&spatial, w->dims + 1, 2, out_channels, g));
    g->groups = g->in_channels / per_group;
    if (x->rank != 4 || g->layout != LEDGE_NHWC || g->groups < 1 ||
        g->groups * per_group != g->in_channels || out_channels % g->groups != 0 ||
        (depthwise && w->dims[0] != 1)) {
        return ledge_fail(err, LEDGE_ERR_SHAPE,
                          "node %.60s (%.30s): weights do not fit %lld input channels", node->name,
                          node->op, (long long)g->in_channels);
    }
    return LEDGE_OK;
}

static enum ledge_status infer_window(struct ledge_op_infer *infer)
{
    struct ledge_geometry g;
    int64_t dims[LEDGE_MAX_RANK];
    LEDGE_TRY(check_weights(infer, 4));
    LEDGE_TRY(read_window(infer->node, ledge_infer_in(infer, 0), ledge_infer_in(infer, 1),
                          infer->err, &g));
    ledge_spatial_dims(&g, 4, dims);
    return ledge_infer_out(infer, 0, LEDGE_I16, 4, dims);
}

static enum ledge_status infer_rows(struct ledge_op_infer *infer)
{
    const struct ledge_value *x = ledge_infer_in(infer, 0);
    const struct ledge_value *w = ledge_infer_in(infer, 1);
    LEDGE_TRY(check_weights(infer, 2));
    int64_t count = count_of(x);
    bool keep = ledge_node_int(infer->node, "keep_dims", 0) != 0;
    if (x->rank < 1 || count % w->dims[1] != 0 || (keep && x->dims[x->rank - 1] != w->dims[1])) {
        return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "%lld inputs for rows of %lld",
                                (long long)count, (long long)w->dims[1]);
    }
    int64_t dims[LEDGE_MAX_RANK] = {count / w->dims[1], w->dims[0]};
    if (keep) {
        memcpy(dims, x->dims, sizeof dims);
        dims[x->rank - 1] = w->dims[0];
    }
    return ledge_infer_out(infer, 0, LEDGE_I16, keep ? x->rank : 2, dims);
}

/* Bias and factor of each output channel; float_product: the two input scales are multiplied in
 * float, as TFLite does for fully connected layers. */
static enum ledge_status fill_channels(struct ledge_op_prepare *prepare, bool float_product,
                                       struct ledge_tfl_wide_conv_params *p)
{
    const struct ledge_value *w = ledge_prepare_in(prepare, 1);
    const struct ledge_value *b = ledge_prepare_in(prepare, 2);
    size_t n = (size_t)p->g.out_channels;
    struct ledge_tfl_scale_of x, y;
    LEDGE_TRY(ledge_tfl_wide_quant(prepare, ledge_prepare_in(prepare, 0), &x));
    LEDGE_TRY(ledge_tfl_wide_quant(prepare, ledge_prepare_out(prepare, 0), &y));
    LEDGE_TRY(range_of(prepare, &y, &p->low, &p->high));
    int64_t *bias = LEDGE_NEW_ARRAY(prepare->memory, int64_t, n);
    struct ledge_tfl_factor *factor = LEDGE_NEW_ARRAY(prepare->memory, struct ledge_tfl_factor, n);
    if (bias == NULL || factor == NULL) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_NOMEM, "no memory");
    }
    if (w->quant == NULL || (w->quant->n != 1 && w->quant->n != p->g.out_channels) ||
        (b != NULL && b->bytes != n * ledge_dtype_size(b->dtype))) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_DTYPE,
                                  "scales or bias do not fit %zu channels", n);
    }
    for (size_t i = 0; i < n; i++) {
        float scale = w->quant->scales[w->quant->n == 1 ? 0 : i];
        double product = float_product && w->quant->n == 1 ? (double)(x.scale * scale)
                                                           : (double)x.scale * (double)scale;
        LEDGE_TRY(ledge_tfl_factor_of(prepare, product / (double)y.scale, &factor[i]));
        if (factor[i].shift > 7 || w->quant->zero_points[w->quant->n == 1 ? 0 : i] != 0) {
            return ledge_prepare_fail(prepare, LEDGE_ERR_RANGE,
                                      "scale or zero point of the weights");
        }
        bias[i] = b == NULL               ? 0
                  : b->dtype == LEDGE_I32 ? ((const int32_t *)b->data)[i]
                                          : ((const int64_t *)b->data)[i];
    }
    p->x_zero = x.zero;
    p->zero = y.zero;
    p->bias = bias;
    p->factor = factor;
    prepare->params = p;
    return LEDGE_OK;
}

static enum ledge_status prepare_product(struct ledge_op_prepare *prepare, bool rows)
{
    const struct ledge_value *x = ledge_prepare_in(prepare, 0);
    const struct ledge_value *w = ledge_prepare_in(prepare, 1);
    const struct ledge_value *b = ledge_prepare_in(prepare, 2);
    struct ledge_tfl_wide_conv_params *p = ledge_tfl_params(prepare, sizeof *p);
    if (p == NULL) {
        return LEDGE_ERR_NOMEM;
    }
    if (rows) {
        int64_t count = count_of(x) / w->dims[1];
        p->g = (struct ledge_geometry){.batch = count,
                                       .groups = 1,
                                       .in_channels = w->dims[1],
                                       .out_channels = w->dims[0],
                                       .in = {1, 1, 1},
                                       .out = {1, 1, 1},
                                       .kernel = {1, 1, 1},
                                       .stride = {1, 1, 1},
                                       .dilation = {1, 1, 1}};
    } else {
        LEDGE_TRY(read_window(prepare->node, x, w, prepare->err, &p->g));
    }
    p->depthwise = strcmp(prepare->node->op, "DepthwiseConv2D") == 0;
    p->narrow = b != NULL && b->dtype == LEDGE_I32;
    LEDGE_TRY(fill_channels(prepare, rows, p));
    prepare->run = ledge_tfl_wide_conv_c;
    prepare->kernel = rows           ? "tfl_fully_connected_i16_c"
                      : p->depthwise ? "tfl_depthwise_i16_c"
                                     : "tfl_conv_i16_c";
    prepare->macs = p->g.batch * p->g.out[1] * p->g.out[2] * p->g.out_channels * p->g.kernel[1] *
                    p->g.kernel[2] * (p->g.in_channels / p->g.groups);
    return LEDGE_OK;
}

static bool is_wide(const struct ledge_value *x)
{
    return LEDGE_HAS(LEDGE_PART_WIDE) && x != NULL && x->dtype == LEDGE_I16;
}

enum ledge_status ledge_tfl_infer_conv_any(struct ledge_op_infer *infer)
{
    return is_wide(ledge_infer_in(infer, 0)) ? infer_window(infer) : ledge_tfl_infer_conv(infer);
}

enum ledge_status ledge_tfl_prepare_conv_any(struct ledge_op_prepare *prepare)
{
    return is_wide(ledge_prepare_in(prepare, 0)) ? prepare_product(prepare, false)
                                                 : ledge_tfl_prepare_conv(prepare);
}

enum ledge_status ledge_tfl_infer_depthwise_any(struct ledge_op_infer *infer)
{
    return is_wide(ledge_infer_in(infer, 0)) ? infer_window(infer)
                                             : ledge_tfl_infer_depthwise(infer);
}

enum ledge_status ledge_tfl_prepare_depthwise_any(struct ledge_op_prepare *prepare)
{
    return is_wide(ledge_prepare_in(prepare, 0)) ? prepare_product(prepare, false)
                                                 : ledge_tfl_prepare_depthwise(prepare);
}

enum ledge_status ledge_tfl_infer_fully_connected_any(struct ledge_op_infer *infer)
{
    return is_wide(ledge_infer_in(infer, 0)) ? infer_rows(infer)
                                             : ledge_tfl_infer_fully_connected(infer);
}

enum ledge_status ledge_tfl_prepare_fully_connected_any(struct ledge_op_prepare *prepare)
{
    return is_wide(ledge_prepare_in(prepare, 0)) ? prepare_product(prepare, true)
                                                 : ledge_tfl_prepare_fully_connected(prepare);
}

/* -- TransposeConv2D -- */

static enum ledge_status read_spread(const struct ledge_node *node, const struct ledge_value *x,
                                     const struct ledge_value *w, struct ledge_error *err,
                                     struct ledge_geometry *g)
{
    size_t n, n_strides;
    const int64_t *shape = ledge_node_ints(node, "output_shape", &n);
    const int64_t *strides = ledge_node_ints(node, "strides", &n_strides);
    bool same = strcmp(ledge_node_string(node, "auto_pad", "VALID"), "VALID") != 0;
    bool right = shape != NULL && n == 4 && strides != NULL && n_strides == 2 && x->rank == 4 &&
                 w->rank == 4 && shape[0] == x->dims[0] && shape[3] == w->dims[0] &&
                 w->dims[3] == x->dims[3];
    for (int i = 0; right && i < 4; i++) {
        right = x->dims[i] >= 1 && x->dims[i] <= INT32_MAX && w->dims[i] >= 1 &&
                w->dims[i] <= INT32_MAX && shape[i] >= 1 && shape[i] <= INT32_MAX;
    }
    if (!right || strides[0] < 1 || strides[1] < 1 || strides[0] > INT32_MAX ||
        strides[1] > INT32_MAX) {
        return ledge_fail(err, LEDGE_ERR_SHAPE,
                          "node %.60s (%.30s): output shape, strides and weights do not fit",
                          node->name, node->op);
    }
    *g = (struct ledge_geometry){.layout = LEDGE_NHWC,
                                 .batch = x->dims[0],
                                 .groups = 1,
                                 .in_channels = x->dims[3],
                                 .out_channels = w->dims[0],
                                 .in = {1, x->dims[1], x->dims[2]},
                                 .out = {1, shape[1], shape[2]},
                                 .kernel = {1, w->dims[1], w->dims[2]},
                                 .stride = {1, strides[0], strides[1]}};
    for (int i = 1; same && i < 3; i++) {
        int64_t forward = (g->out[i] + g->stride[i] - 1) / g->stride[i];
        int64_t total = (forward - 1) * g->stride[i] + g->kernel[i] - g->out[i];
        g->pad[i] = total > 0 ? total / 2 : 0;
    }
    return LEDGE_OK;
}

enum ledge_status ledge_tfl_infer_transpose_conv(struct ledge_op_infer *infer)
{
    const struct ledge_value *x = ledge_infer_in(infer, 0);
    const struct ledge_value *w = ledge_infer_in(infer, 1);
    const struct ledge_value *b = ledge_infer_in(infer, 2);
    struct ledge_geometry g;
    if (x == NULL || w == NULL ||
        (x->dtype != LEDGE_F32 && x->dtype != LEDGE_I8 && x->dtype != LEDGE_I16)) {
        return ledge_infer_fail(infer, LEDGE_ERR_DTYPE, "input is %s",
                                x != NULL ? ledge_dtype_text(x->dtype) : "missing");
    }
    if (x->dtype != LEDGE_F32) {
        LEDGE_TRY(check_weights(infer, 4));
    } else if (w->dtype != LEDGE_F32 || (b != NULL && (b->dtype != LEDGE_F32 || b->rank != 1 ||
                                                       w->rank != 4 || b->dims[0] != w->dims[0]))) {
        return ledge_infer_fail(infer, LEDGE_ERR_DTYPE, "weights or bias do not fit f32");
    }
    LEDGE_TRY(read_spread(infer->node, x, w, infer->err, &g));
    return ledge_infer_out(infer, 0, x->dtype, 4,
                           TFL_DIMS(g.batch, g.out[1], g.out[2], g.out_channels));
}

enum ledge_status ledge_tfl_prepare_transpose_conv(struct ledge_op_prepare *prepare)
{
    const struct ledge_value *x = ledge_prepare_in(prepare, 0);
    const struct ledge_value *b = ledge_prepare_in(prepare, 2);
    struct ledge_tfl_wide_conv_params *p = ledge_tfl_params(prepare, sizeof *p);
    if (p == NULL) {
        return LEDGE_ERR_NOMEM;
    }
    LEDGE_TRY(read_spread(prepare->node, x, ledge_prepare_in(prepare, 1), prepare->err, &p->g));
    prepare->params = p;
    prepare->macs = count_of(x) * p->g.kernel[1] * p->g.kernel[2] * p->g.out_channels;
    if (x->dtype == LEDGE_F32) {
        p->clamp = ledge_node_clamp(prepare->node);
        prepare->run = ledge_tfl_transpose_conv_f32_c;
        prepare->kernel = "tfl_transpose_conv_f32_c";
        return LEDGE_OK;
    }
    p->narrow = x->dtype == LEDGE_I8 || (b != NULL && b->dtype == LEDGE_I32);
    LEDGE_TRY(fill_channels(prepare, false, p));
    size_t count = (size_t)count_of(ledge_prepare_out(prepare, 0));
    if (!ledge_mul_size(count, sizeof(int64_t), &prepare->scratch_bytes)) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_NOMEM, "the output is too large");
    }
    prepare->run = ledge_tfl_transpose_conv_c;
    prepare->kernel = x->dtype == LEDGE_I8 ? "tfl_transpose_conv_i8_c" : "tfl_transpose_conv_i16_c";
    return LEDGE_OK;
}

/* -- Add, Sub, Mul -- */

enum ledge_status ledge_tfl_infer_binary_any(struct ledge_op_infer *infer)
{
    const struct ledge_value *b = ledge_infer_in(infer, 1);
    if (!is_wide(ledge_infer_in(infer, 0)) || !is_wide(b)) {
        return ledge_tfl_infer_binary(infer);
    }
    return ledge_infer_broadcast(infer, 0, 1, LEDGE_I16);
}

/* As for 8 bits (tfl_math.c), with 15 bits gained instead of 20. */
static enum ledge_status binary_factors(const struct ledge_op_prepare *prepare, float a, float b,
                                        float y, struct ledge_tfl_wide_binary_params *p)
{
    if (p->kind == LEDGE_TFL_MUL) {
        return ledge_tfl_factor_of(prepare, (double)(a * b / y), &p->out_factor);
    }
    double twice = 2.0 * (double)fmaxf(a, b);
    p->left = 15;
    LEDGE_TRY(ledge_tfl_factor_of(prepare, (double)a / twice, &p->factor[0]));
    LEDGE_TRY(ledge_tfl_factor_of(prepare, (double)b / twice, &p->factor[1]));
    return ledge_tfl_factor_of(prepare, twice / (32768.0 * (double)y), &p->out_factor);
}

enum ledge_status ledge_tfl_prepare_binary_any(struct ledge_op_prepare *prepare)
{
    const struct ledge_value *y = ledge_prepare_out(prepare, 0);
    const char *op = prepare->node->op;
    struct ledge_tfl_scale_of in[2], out;
    if (!is_wide(ledge_prepare_in(prepare, 0))) {
        return ledge_tfl_prepare_binary(prepare);
    }
    struct ledge_tfl_wide_binary_params *p = ledge_tfl_params(prepare, sizeof *p);
    if (p == NULL) {
        return LEDGE_ERR_NOMEM;
    }
    for (int32_t i = 0; i < 2; i++) {
        LEDGE_TRY(ledge_tfl_wide_quant(prepare, ledge_prepare_in(prepare, i), &in[i]));
        p->zero[i] = in[i].zero;
        ledge_tfl_steps(ledge_prepare_in(prepare, i), y, p->step[i]);
    }
    LEDGE_TRY(ledge_tfl_wide_quant(prepare, y, &out));
    LEDGE_TRY(range_of(prepare, &out, &p->low, &p->high));
    p->kind = strcmp(op, "Add") == 0   ? LEDGE_TFL_ADD
              : strcmp(op, "Sub") == 0 ? LEDGE_TFL_SUB
                                       : LEDGE_TFL_MUL;
    p->out_zero = out.zero;
    LEDGE_TRY(binary_factors(prepare, in[0].scale, in[1].scale, out.scale, p));
    p->rank = y->rank > 0 ? y->rank : 1;
    p->dims[0] = 1;
    for (int32_t i = 0; i < y->rank; i++) {
        p->dims[i] = y->dims[i];
    }
    prepare->params = p;
    prepare->run = ledge_tfl_wide_binary_c;
    prepare->kernel = p->kind == LEDGE_TFL_MUL   ? "tfl_mul_i16_c"
                      : p->kind == LEDGE_TFL_ADD ? "tfl_add_i16_c"
                                                 : "tfl_sub_i16_c";
    return LEDGE_OK;
}

/* -- LeakyRelu, Requantize -- */

enum ledge_status ledge_tfl_infer_leaky(struct ledge_op_infer *infer)
{
    const struct ledge_value *x = ledge_infer_in(infer, 0);
    if (x == NULL || (x->dtype != LEDGE_I8 && x->dtype != LEDGE_U8 && x->dtype != LEDGE_I16)) {
        return ledge_infer_fail(infer, LEDGE_ERR_DTYPE, "input is not quantised");
    }
    return ledge_infer_out(infer, 0, x->dtype, x->rank, x->dims);
}

enum ledge_status ledge_tfl_prepare_wide_rescale(struct ledge_op_prepare *prepare)
{
    struct ledge_tfl_wide_params *p = ledge_tfl_params(prepare, sizeof *p);
    struct ledge_tfl_scale_of x, y;
    bool leaky = strcmp(prepare->node->op, "LeakyRelu") == 0;
    if (p == NULL) {
        return LEDGE_ERR_NOMEM;
    }
    LEDGE_TRY(ledge_tfl_wide_quant(prepare, ledge_prepare_in(prepare, 0), &x));
    LEDGE_TRY(ledge_tfl_wide_quant(prepare, ledge_prepare_out(prepare, 0), &y));
    LEDGE_TRY(range_of(prepare, &y, &p->low, &p->high));
    float alpha = ledge_node_float(prepare->node, "alpha", 1.0f);
    double above = leaky ? (double)(x.scale / y.scale) : (double)x.scale / (double)y.scale;
    double below = leaky ? (double)(x.scale * alpha / y.scale) : above;
    LEDGE_TRY(ledge_tfl_factor_of(prepare, above, &p->factor));
    LEDGE_TRY(ledge_tfl_factor_of(prepare, below, &p->below));
    p->x_zero = x.zero;
    p->zero = y.zero;
    prepare->params = p;
    prepare->run = ledge_tfl_wide_rescale_c;
    prepare->kernel = leaky ? "tfl_leaky_relu_c" : "tfl_requantize_c";
    return LEDGE_OK;
}
