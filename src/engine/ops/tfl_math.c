/* SPDX-License-Identifier: Apache-2.0 */
/* tfl_math.c -- pooling, element-wise operators, mean, softmax, tables, quantise and dequantise of
 * domain "tfl". */
#include <math.h>
#include <string.h>

#include "base/banned.h"
#include "base/status.h"
#include "engine/kernels/each_i8.h"
#include "engine/kernels/real.h"
#include "engine/kernels/tfl_fixed16.h"
#include "engine/kernels/tfl_wide.h"
#include "engine/ops/spatial.h"
#include "engine/ops/tfl.h"

/* -- pooling -- */

static enum ledge_status pool_geometry(const struct ledge_node *node, const struct ledge_value *x,
                                       struct ledge_error *err, struct ledge_geometry *g)
{
    size_t n;
    const int64_t *kernel = ledge_node_ints(node, "kernel_shape", &n);
    if (kernel == NULL || n != 2 || x->rank != 4) {
        return ledge_fail(err, LEDGE_ERR_SHAPE, "node %.60s (%.30s): a window of rank 2 on rank 4",
                          node->name, node->op);
    }
    struct ledge_spatial spatial = {.node = node, .x = x, .err = err};
    LEDGE_TRY(ledge_spatial_read(&spatial, kernel, 2, x->dims[3], g));
    if (g->layout != LEDGE_NHWC || kernel[0] > 4096 || kernel[1] > 4096) {
        return ledge_fail(err, LEDGE_ERR_SHAPE, "node %.60s (%.30s): window %lldx%lld", node->name,
                          node->op, (long long)kernel[0], (long long)kernel[1]);
    }
    return LEDGE_OK;
}

enum ledge_status ledge_tfl_infer_pool(struct ledge_op_infer *infer)
{
    const struct ledge_value *x = ledge_infer_in(infer, 0);
    struct ledge_geometry g;
    LEDGE_TRY(ledge_tfl_check_small(infer));
    LEDGE_TRY(pool_geometry(infer->node, x, infer->err, &g));
    int64_t dims[LEDGE_MAX_RANK];
    ledge_spatial_dims(&g, 4, dims);
    return ledge_infer_out(infer, 0, x->dtype, 4, dims);
}

enum ledge_status ledge_tfl_prepare_pool(struct ledge_op_prepare *prepare)
{
    const struct ledge_value *x = ledge_prepare_in(prepare, 0);
    struct ledge_tfl_pool_params *p = ledge_tfl_params(prepare, sizeof *p);
    if (p == NULL) {
        return LEDGE_ERR_NOMEM;
    }
    LEDGE_TRY(pool_geometry(prepare->node, x, prepare->err, &p->g));
    LEDGE_TRY(ledge_tfl_out_of(prepare, &p->out));
    p->out.zero = 0;
    p->is_u8 = x->dtype == LEDGE_U8;
    p->average = strcmp(prepare->node->op, "AveragePool2D") == 0;
    prepare->params = p;
    prepare->run = ledge_tfl_pool_c;
    prepare->kernel = p->average ? "tfl_average_pool_i8_c" : "tfl_max_pool_i8_c";
    if (ledge_tfl_pool_is_mean(p)) {
        p->isa = ledge_i8_for(prepare->rung);
        prepare->run = ledge_tfl_mean_pool_i8;
        prepare->kernel = p->isa->mean;
    }
    return LEDGE_OK;
}

/* -- Add, Sub, Mul -- */

enum ledge_status ledge_tfl_infer_binary(struct ledge_op_infer *infer)
{
    const struct ledge_value *b = ledge_infer_in(infer, 1);
    LEDGE_TRY(ledge_tfl_check_small(infer));
    if (b == NULL || b->dtype != ledge_infer_in(infer, 0)->dtype) {
        return ledge_infer_fail(infer, LEDGE_ERR_DTYPE, "inputs of two types");
    }
    return ledge_infer_broadcast(infer, 0, 1, b->dtype);
}

/* Factors of Add and Sub: both inputs to the doubled larger scale, with 20 more bits; Mul: one
 * factor behind. Products in float where TFLite has them in float. */
static enum ledge_status binary_factors(const struct ledge_op_prepare *prepare,
                                        const struct ledge_tfl_scale_of in[2], float out_scale,
                                        struct ledge_tfl_binary_params *p)
{
    if (p->kind == LEDGE_TFL_MUL) {
        float real = in[0].scale * in[1].scale / out_scale;
        return ledge_tfl_factor_of(prepare, (double)real, &p->out_factor);
    }
    double twice = 2.0 * (double)fmaxf(in[0].scale, in[1].scale);
    LEDGE_TRY(ledge_tfl_factor_of(prepare, (double)in[0].scale / twice, &p->factor[0]));
    LEDGE_TRY(ledge_tfl_factor_of(prepare, (double)in[1].scale / twice, &p->factor[1]));
    return ledge_tfl_factor_of(prepare, twice / (1048576.0 * (double)out_scale), &p->out_factor);
}

void ledge_tfl_steps(const struct ledge_value *in, const struct ledge_value *out,
                     int64_t steps[LEDGE_MAX_RANK])
{
    int64_t step = 1;
    for (int32_t i = out->rank - 1; i >= 0; i--) {
        int32_t at = i - (out->rank - in->rank);
        int64_t dim = at >= 0 ? in->dims[at] : 1;
        steps[i] = dim == 1 ? 0 : step;
        step *= dim;
    }
}

/* Neighbouring dimensions that both inputs walk through as one. */
static void join_dimensions(struct ledge_tfl_binary_params *p)
{
    int32_t n = 1;
    for (int32_t i = 1; i < p->rank; i++) {
        int64_t dim = p->dims[i];
        if (p->step[0][n - 1] == p->step[0][i] * dim && p->step[1][n - 1] == p->step[1][i] * dim) {
            p->dims[n - 1] *= dim;
        } else {
            p->dims[n++] = dim;
        }
        p->step[0][n - 1] = p->step[0][i];
        p->step[1][n - 1] = p->step[1][i];
    }
    p->rank = n;
}

enum ledge_status ledge_tfl_prepare_binary(struct ledge_op_prepare *prepare)
{
    const struct ledge_value *y = ledge_prepare_out(prepare, 0);
    struct ledge_tfl_binary_params *p = ledge_tfl_params(prepare, sizeof *p);
    struct ledge_tfl_scale_of in[2];
    struct ledge_tfl_scale_of out;
    if (p == NULL) {
        return LEDGE_ERR_NOMEM;
    }
    LEDGE_TRY(ledge_tfl_quant(prepare, ledge_prepare_in(prepare, 0), &in[0]));
    LEDGE_TRY(ledge_tfl_quant(prepare, ledge_prepare_in(prepare, 1), &in[1]));
    LEDGE_TRY(ledge_tfl_quant(prepare, y, &out));
    LEDGE_TRY(ledge_tfl_out_of(prepare, &p->out));
    p->kind = strcmp(prepare->node->op, "Add") == 0   ? LEDGE_TFL_ADD
              : strcmp(prepare->node->op, "Sub") == 0 ? LEDGE_TFL_SUB
                                                      : LEDGE_TFL_MUL;
    p->zero[0] = in[0].zero;
    p->zero[1] = in[1].zero;
    p->flip = in[0].flip;
    LEDGE_TRY(binary_factors(prepare, in, out.scale, p));
    p->rank = y->rank > 0 ? y->rank : 1;
    p->dims[0] = 1;
    for (int32_t i = 0; i < y->rank; i++) {
        p->dims[i] = y->dims[i];
    }
    ledge_tfl_steps(ledge_prepare_in(prepare, 0), y, p->step[0]);
    ledge_tfl_steps(ledge_prepare_in(prepare, 1), y, p->step[1]);
    prepare->params = p;
    prepare->run = ledge_tfl_binary_c;
    prepare->kernel = p->kind == LEDGE_TFL_MUL   ? "tfl_mul_i8_c"
                      : p->kind == LEDGE_TFL_ADD ? "tfl_add_i8_c"
                                                 : "tfl_sub_i8_c";
    join_dimensions(p);
    int32_t last = p->rank - 1;
    if (p->step[0][last] == 1 && p->step[1][last] == 1 && ledge_tfl_binary_is_narrow(p)) {
        p->isa = ledge_i8_for(prepare->rung);
        prepare->run = ledge_tfl_binary_i8;
        prepare->kernel = p->isa->binary_name;
    }
    return LEDGE_OK;
}

/* -- Mean -- */

/* Which dimensions are reduced. */
static enum ledge_status read_axes(const struct ledge_node *node, const struct ledge_value *x,
                                   struct ledge_error *err, bool reduced[LEDGE_MAX_RANK])
{
    size_t n;
    const int64_t *axes = ledge_node_ints(node, "axes", &n);
    memset(reduced, 0, LEDGE_MAX_RANK * sizeof *reduced);
    for (size_t i = 0; i < n; i++) {
        int64_t axis = axes[i] < 0 ? axes[i] + x->rank : axes[i];
        if (axis < 0 || axis >= x->rank) {
            return ledge_fail(err, LEDGE_ERR_SHAPE, "node %.60s (Mean): axis %lld of rank %d",
                              node->name, (long long)axes[i], (int)x->rank);
        }
        reduced[axis] = true;
    }
    return LEDGE_OK;
}

enum ledge_status ledge_tfl_infer_mean(struct ledge_op_infer *infer)
{
    const struct ledge_value *x = ledge_infer_in(infer, 0);
    bool reduced[LEDGE_MAX_RANK];
    LEDGE_TRY(ledge_tfl_check_small(infer));
    LEDGE_TRY(read_axes(infer->node, x, infer->err, reduced));
    bool keep = ledge_node_int(infer->node, "keepdims", 0) != 0;
    int64_t dims[LEDGE_MAX_RANK];
    int32_t rank = 0;
    for (int32_t i = 0; i < x->rank; i++) {
        if (!reduced[i] || keep) {
            dims[rank++] = reduced[i] ? 1 : x->dims[i];
        }
    }
    return ledge_infer_out(infer, 0, x->dtype, rank, dims);
}

/* The division by count is part of the factor: the multiplier is divided with as many bits as there
 * is room for. */
static void divide(struct ledge_tfl_factor *factor, int64_t count)
{
    int32_t shift = 0;
    while (shift < 32 && (count >> (shift + 1)) > 0) {
        shift++;
    }
    shift = shift < 31 + factor->shift ? shift : 31 + factor->shift;
    shift = shift > 0 ? shift : 0;
    factor->multiplier = (int32_t)(((int64_t)factor->multiplier << shift) / count);
    factor->shift -= shift;
}

enum ledge_status ledge_tfl_prepare_mean(struct ledge_op_prepare *prepare)
{
    const struct ledge_value *x = ledge_prepare_in(prepare, 0);
    struct ledge_tfl_mean_params *p = ledge_tfl_params(prepare, sizeof *p);
    struct ledge_tfl_scale_of in;
    struct ledge_tfl_scale_of out;
    bool reduced[LEDGE_MAX_RANK];
    if (p == NULL) {
        return LEDGE_ERR_NOMEM;
    }
    LEDGE_TRY(ledge_tfl_quant(prepare, x, &in));
    LEDGE_TRY(ledge_tfl_quant(prepare, ledge_prepare_out(prepare, 0), &out));
    LEDGE_TRY(ledge_tfl_out_of(prepare, &p->out));
    LEDGE_TRY(read_axes(prepare->node, x, prepare->err, reduced));
    p->rank = x->rank;
    p->n_out = 1;
    p->count = 1;
    for (int32_t i = x->rank - 1; i >= 0; i--) {
        p->dims[i] = x->dims[i];
        p->out_step[i] = reduced[i] ? 0 : p->n_out;
        *(reduced[i] ? &p->count : &p->n_out) *= x->dims[i];
    }
    if (p->count < 1) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_SHAPE, "the mean of no elements");
    }
    p->x_zero = in.zero;
    p->x_flip = in.flip;
    LEDGE_TRY(ledge_tfl_factor_of(prepare, (double)in.scale / (double)out.scale, &p->factor));
    divide(&p->factor, p->count);
    prepare->params = p;
    prepare->run = ledge_tfl_mean_c;
    prepare->kernel = "tfl_mean_i8_c";
    prepare->scratch_bytes = (size_t)p->n_out * sizeof(int32_t);
    return LEDGE_OK;
}

/* -- Softmax -- */

/* i8 may become i16; the type of the output is declared by the importer. */
enum ledge_status ledge_tfl_infer_softmax(struct ledge_op_infer *infer)
{
    const struct ledge_value *x = ledge_infer_in(infer, 0);
    if (LEDGE_HAS(LEDGE_PART_WIDE) && x != NULL && x->dtype == LEDGE_I16) {
        return ledge_infer_out(infer, 0, LEDGE_I16, x->rank, x->dims);
    }
    LEDGE_TRY(ledge_tfl_check_small(infer));
    int32_t number = infer->node->n_out > 0 ? infer->node->out[0] : -1;
    bool wider =
        number >= 0 && x->dtype == LEDGE_I8 && infer->graph->values[number].dtype == LEDGE_I16;
    return ledge_infer_out(infer, 0, wider ? LEDGE_I16 : x->dtype, x->rank, x->dims);
}

/* The output's scale must be 1 / 2^bits and its zero point the lowest number; i16 may be off by a
 * thousandth. */
static enum ledge_status check_softmax(const struct ledge_op_prepare *prepare, int32_t bits)
{
    struct ledge_tfl_scale_of y;
    LEDGE_TRY(ledge_tfl_wide_quant(prepare, ledge_prepare_out(prepare, 0), &y));
    float unit = ldexpf(1.0f, -bits);
    float slack = bits == 16 ? 0.001f * unit : 0;
    int32_t low = ledge_prepare_out(prepare, 0)->dtype == LEDGE_U8 ? 0 : -(1 << (bits - 1));
    if (fabsf(y.scale - unit) > slack || y.zero != low) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_UNSUPPORTED,
                                  "the output has scale %g, zero point %d", (double)y.scale,
                                  (int)y.zero);
    }
    return LEDGE_OK;
}

enum ledge_status ledge_tfl_prepare_softmax(struct ledge_op_prepare *prepare)
{
    const struct ledge_value *x = ledge_prepare_in(prepare, 0);
    if (LEDGE_HAS(LEDGE_PART_WIDE) && x->dtype == LEDGE_I16) {
        return ledge_tfl_prepare_softmax_i16(prepare);
    }
    struct ledge_tfl_softmax_params *p = ledge_tfl_params(prepare, sizeof *p);
    struct ledge_tfl_scale_of in;
    float beta = ledge_node_float(prepare->node, "beta", 1.0f);
    if (p == NULL) {
        return LEDGE_ERR_NOMEM;
    }
    LEDGE_TRY(ledge_tfl_quant(prepare, x, &in));
    p->bits = ledge_prepare_out(prepare, 0)->dtype == LEDGE_I16 ? 16 : 8;
    LEDGE_TRY(check_softmax(prepare, p->bits));
    if (x->rank < 1 || !(beta > 0)) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_UNSUPPORTED, "rank %d or beta %g",
                                  (int)x->rank, (double)beta);
    }
    /* Differences become Q5.26: 5 integer bits cover 0 .. -32. */
    double real = fmin((double)beta * (double)in.scale * 67108864.0, 2147483647.0);
    int shift;
    int64_t multiplier = (int64_t)round(frexp(real, &shift) * 2147483648.0);
    if (multiplier == (int64_t)1 << 31) {
        multiplier /= 2;
        shift++;
    }
    if (shift < 0) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_RANGE, "scale %g is too small",
                                  (double)in.scale);
    }
    p->factor = (struct ledge_tfl_factor){.multiplier = (int32_t)multiplier, .shift = shift};
    p->diff_min = -(int32_t)floor(31.0 * 67108864.0 / ldexp(1.0, shift));
    p->depth = x->dims[x->rank - 1];
    p->flip = in.flip;
    prepare->params = p;
    prepare->run = ledge_tfl_softmax_c;
    prepare->kernel = "tfl_softmax_i8_c";
    return LEDGE_OK;
}

/* -- Relu, Requantize -- */

enum ledge_status ledge_tfl_prepare_rescale(struct ledge_op_prepare *prepare)
{
    struct ledge_tfl_scale_of in;
    struct ledge_tfl_scale_of out;
    if (ledge_dtype_size(ledge_prepare_in(prepare, 0)->dtype) > 1 ||
        ledge_dtype_size(ledge_prepare_out(prepare, 0)->dtype) > 1) {
        return ledge_tfl_prepare_wide_rescale(prepare);
    }
    struct ledge_tfl_rescale_params *p = ledge_tfl_params(prepare, sizeof *p);
    if (p == NULL) {
        return LEDGE_ERR_NOMEM;
    }
    LEDGE_TRY(ledge_tfl_quant(prepare, ledge_prepare_in(prepare, 0), &in));
    LEDGE_TRY(ledge_tfl_quant(prepare, ledge_prepare_out(prepare, 0), &out));
    LEDGE_TRY(ledge_tfl_out_of(prepare, &p->out));
    bool relu = strcmp(prepare->node->op, "Relu") == 0; /* TFLite divides in float there */
    double real = relu ? (double)(in.scale / out.scale) : (double)in.scale / (double)out.scale;
    LEDGE_TRY(ledge_tfl_factor_of(prepare, real, &p->factor));
    p->x_zero = in.zero;
    p->x_flip = in.flip;
    prepare->params = p;
    prepare->run = ledge_tfl_rescale_c;
    prepare->kernel = relu ? "tfl_relu_i8_c" : "tfl_requantize_i8_c";
    return LEDGE_OK;
}

/* -- tables: Logistic, Tanh, Rescale -- */

static float logistic(float x)
{
    return 1.0f / (1.0f + (float)ledge_exp(-(double)x));
}

static float hyperbolic(float x)
{
    return (float)ledge_tanh((double)x);
}

/* x relu6(x + 3) / 6 in 16 bits: x with 7 more bits on the output's scale, times the ramp. */
static int32_t hard_swish(int32_t q, const struct ledge_tfl_scale_of *in,
                          const struct ledge_tfl_scale_of *out)
{
    float fine = 1.0f / 128.0f * in->scale;
    int out_shift, ramp_shift;
    double out_part = frexp((double)(fine / out->scale), &out_shift);
    double ramp_part = frexp((double)(fine / (3.0f / 32768.0f)), &ramp_shift);
    int64_t out_wide = (int64_t)round(out_part * 2147483648.0);
    int64_t ramp_wide = (int64_t)round(ramp_part * 2147483648.0);
    int16_t out_multiplier = ledge_q_clamp((int32_t)((out_wide + (1 << 15)) >> 16));
    int16_t ramp_multiplier = ledge_q_clamp((int32_t)((ramp_wide + (1 << 15)) >> 16));
    int16_t x = ledge_q_wrap((q - in->zero) * 128);
    int16_t y = ledge_q_mul(x, out_multiplier), ramp = x;
    if (ramp_shift > 0) {
        ramp = ledge_q_left(ramp, ramp_shift - 1);
    }
    ramp = ledge_q_mul(ramp, ramp_multiplier);
    if (ramp_shift > 0) {
        ramp = ledge_q_left(ramp, 1);
    } else {
        ramp = (int16_t)ledge_tfl_shift_right(ramp, -ramp_shift);
    }
    int32_t product = (((ramp + 32768) >> 1) * y) / 32768;
    return ledge_tfl_shift_right(product, -out_shift);
}

static int32_t table_entry(const char *op, int32_t q, const struct ledge_tfl_scale_of *in,
                           const struct ledge_tfl_scale_of *out)
{
    if (strcmp(op, "Rescale") == 0) { /* Concat of u8 with different scales */
        float scale = in->scale * (1.0f / out->scale);
        return (int32_t)roundf((float)(q + 128) * scale + -(float)(in->zero + 128) * scale);
    }
    if (strcmp(op, "HardSwish") == 0) {
        return hard_swish(q, in, out);
    }
    float real = in->scale * (float)(q - in->zero);
    float y = strcmp(op, "Logistic") == 0 ? logistic(real) : hyperbolic(real);
    return (int32_t)roundf(y * (1.0f / out->scale));
}

enum ledge_status ledge_tfl_prepare_table(struct ledge_op_prepare *prepare)
{
    const char *op = prepare->node->op;
    struct ledge_tfl_table_params *p = ledge_tfl_params(prepare, sizeof *p);
    struct ledge_tfl_scale_of in;
    struct ledge_tfl_scale_of out;
    if (p == NULL) {
        return LEDGE_ERR_NOMEM;
    }
    LEDGE_TRY(ledge_tfl_quant(prepare, ledge_prepare_in(prepare, 0), &in));
    LEDGE_TRY(ledge_tfl_quant(prepare, ledge_prepare_out(prepare, 0), &out));
    bool swish = strcmp(op, "HardSwish") == 0;
    bool steep = swish && (in.scale / 128.0f >= out.scale || in.scale > 1.0f || in.scale < 1e-6f ||
                           out.scale > 1.0f); /* no shift fits */
    if (in.scale / out.scale > 1e6f || out.scale < 1e-6f || steep) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_RANGE, "scales %g and %g", (double)in.scale,
                                  (double)out.scale);
    }
    for (int32_t q = -128; q < 128; q++) {
        int32_t y = ledge_tfl_clamp(table_entry(op, q, &in, &out) + out.zero, -128, 127);
        p->table[(uint8_t)q ^ in.flip] = (uint8_t)((uint8_t)y ^ out.flip);
    }
    prepare->params = p;
    prepare->run = ledge_tfl_table_c;
    prepare->kernel = strcmp(op, "Logistic") == 0  ? "tfl_logistic_i8_c"
                      : strcmp(op, "Rescale") == 0 ? "tfl_rescale_i8_c"
                      : swish                      ? "tfl_hard_swish_i8_c"
                                                   : "tfl_tanh_i8_c";
    prepare->in_place = 0;
    return LEDGE_OK;
}

/* -- Quantize, Dequantize -- */

/* Quantize takes f32, Requantize integers; the type of the output is declared by the importer. */
enum ledge_status ledge_tfl_infer_quantize(struct ledge_op_infer *infer)
{
    const struct ledge_value *x = ledge_infer_in(infer, 0);
    int32_t number = infer->node->n_out > 0 ? infer->node->out[0] : -1;
    if (x == NULL || number < 0) {
        return ledge_infer_fail(infer, LEDGE_ERR_FORMAT, "input or output is missing");
    }
    const struct ledge_value *y = &infer->graph->values[number];
    bool from_float = strcmp(infer->node->op, "Quantize") == 0;
    int32_t low, high;
    bool from = from_float ? x->dtype == LEDGE_F32 : ledge_tfl_range(x->dtype, &low, &high);
    bool to = ledge_tfl_range(y->dtype, &low, &high) && (!from_float || y->dtype != LEDGE_I32);
    if (!from || !to) {
        return ledge_infer_fail(infer, LEDGE_ERR_DTYPE, "from %s to %s", ledge_dtype_text(x->dtype),
                                ledge_dtype_text(y->dtype));
    }
    return ledge_infer_out(infer, 0, y->dtype, x->rank, x->dims);
}

enum ledge_status ledge_tfl_prepare_quantize(struct ledge_op_prepare *prepare)
{
    const struct ledge_value *y = ledge_prepare_out(prepare, 0);
    struct ledge_tfl_affine_params *p = ledge_tfl_params(prepare, sizeof *p);
    struct ledge_tfl_scale_of out;
    if (p == NULL) {
        return LEDGE_ERR_NOMEM;
    }
    LEDGE_TRY(ledge_tfl_wide_quant(prepare, y, &out));
    *p = (struct ledge_tfl_affine_params){
        .scales = y->quant->scales, .zeros = y->quant->zero_points, .n = 1, .stride = 1};
    prepare->params = p;
    prepare->run = ledge_tfl_quantize_c;
    prepare->kernel = "tfl_quantize_c";
    return LEDGE_OK;
}

enum ledge_status ledge_tfl_infer_dequantize(struct ledge_op_infer *infer)
{
    const struct ledge_value *x = ledge_infer_in(infer, 0);
    if (x == NULL || x->dtype != LEDGE_I16) {
        LEDGE_TRY(ledge_tfl_check_small(infer));
    }
    return ledge_infer_out(infer, 0, LEDGE_F32, x->rank, x->dims);
}

enum ledge_status ledge_tfl_prepare_dequantize(struct ledge_op_prepare *prepare)
{
    const struct ledge_value *x = ledge_prepare_in(prepare, 0);
    struct ledge_tfl_affine_params *p = ledge_tfl_params(prepare, sizeof *p);
    if (p == NULL) {
        return LEDGE_ERR_NOMEM;
    }
    if (x->quant == NULL) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_DTYPE, "%s has no scale", x->name);
    }
    int32_t axis = x->quant->axis;
    bool per_axis = x->quant->n > 1 && axis >= 0 && axis < x->rank && x->dims[axis] == x->quant->n;
    if (x->quant->n != 1 && !per_axis) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_SHAPE, "%s has %d scales", x->name,
                                  (int)x->quant->n);
    }
    int64_t stride = 1;
    for (int32_t i = axis + 1; per_axis && i < x->rank; i++) {
        stride *= x->dims[i];
    }
    *p = (struct ledge_tfl_affine_params){.scales = x->quant->scales,
                                          .zeros = x->quant->zero_points,
                                          .n = x->quant->n,
                                          .stride = stride > 0 ? stride : 1};
    prepare->params = p;
    prepare->run = ledge_tfl_dequantize_c;
    prepare->kernel = "tfl_dequantize_c";
    return LEDGE_OK;
}
