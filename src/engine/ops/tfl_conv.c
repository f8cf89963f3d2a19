/* SPDX-License-Identifier: Apache-2.0 */
/* tfl_conv.c -- Conv2D, DepthwiseConv2D, FullyConnected of domain "tfl": weights are packed as i16
 * minus their zero point, scales become one fixed-point factor per output channel. */
#include <string.h>

#include "base/banned.h"
#include "base/checked.h"
#include "base/status.h"
#include "engine/ops/conv_i8.h"
#include "engine/ops/spatial.h"
#include "engine/ops/tfl.h"

/* x and w are i8 or u8 of the same type; w is constant and of rank `rank`. */
static enum ledge_status check(struct ledge_op_infer *infer, int32_t rank)
{
    const struct ledge_value *x = ledge_infer_in(infer, 0);
    const struct ledge_value *w = ledge_infer_in(infer, 1);
    const struct ledge_value *b = ledge_infer_in(infer, 2);
    LEDGE_TRY(ledge_tfl_check_small(infer));
    if (w == NULL || w->data == NULL || w->rank != rank || w->dtype != x->dtype) {
        return ledge_infer_fail(infer, LEDGE_ERR_UNSUPPORTED,
                                "weights must be constant, of rank %d and of the input's type",
                                (int)rank);
    }
    if (b != NULL && (b->data == NULL || b->dtype != LEDGE_I32)) {
        return ledge_infer_fail(infer, LEDGE_ERR_UNSUPPORTED, "the bias must be constant i32");
    }
    for (int32_t i = 0; i < rank; i++) {
        if (w->dims[i] < 1) {
            return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "weights have a dimension of 0");
        }
    }
    return LEDGE_OK;
}

static enum ledge_status read_geometry(const struct ledge_node *node, const struct ledge_value *x,
                                       const struct ledge_value *w, bool depthwise,
                                       struct ledge_error *err, struct ledge_geometry *g)
{
    struct ledge_spatial spatial = {.node = node, .x = x, .err = err};
    int64_t out_channels = depthwise ? w->dims[3] : w->dims[0];
    LEDGE_TRY(ledge_spatial_read(&spatial, w->dims + 1, 2, out_channels, g));
    int64_t per_group = depthwise ? 1 : w->dims[3];
    int64_t groups = g->in_channels / per_group;
    if (x->rank != 4 || g->layout != LEDGE_NHWC || groups < 1 ||
        groups * per_group != g->in_channels || out_channels % groups != 0) {
        return ledge_fail(err, LEDGE_ERR_SHAPE,
                          "node %.60s (%.30s): weights do not fit %lld input channels", node->name,
                          node->op, (long long)g->in_channels);
    }
    g->groups = groups;
    return LEDGE_OK;
}

static enum ledge_status infer_window(struct ledge_op_infer *infer, bool depthwise)
{
    LEDGE_TRY(check(infer, 4));
    const struct ledge_value *x = ledge_infer_in(infer, 0);
    struct ledge_geometry g;
    LEDGE_TRY(read_geometry(infer->node, x, ledge_infer_in(infer, 1), depthwise, infer->err, &g));
    int64_t dims[LEDGE_MAX_RANK];
    ledge_spatial_dims(&g, 4, dims);
    return ledge_infer_out(infer, 0, x->dtype, 4, dims);
}

enum ledge_status ledge_tfl_infer_conv(struct ledge_op_infer *infer)
{
    return infer_window(infer, false);
}

enum ledge_status ledge_tfl_infer_depthwise(struct ledge_op_infer *infer)
{
    return infer_window(infer, true);
}

enum ledge_status ledge_tfl_infer_fully_connected(struct ledge_op_infer *infer)
{
    LEDGE_TRY(check(infer, 2));
    const struct ledge_value *x = ledge_infer_in(infer, 0);
    const struct ledge_value *w = ledge_infer_in(infer, 1);
    int64_t count = 1;
    for (int32_t i = 0; i < x->rank; i++) {
        count *= x->dims[i];
    }
    if (x->rank < 1 || count % w->dims[1] != 0) {
        return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "%lld inputs for rows of %lld",
                                (long long)count, (long long)w->dims[1]);
    }
    int64_t dims[LEDGE_MAX_RANK] = {count / w->dims[1], w->dims[0]};
    int32_t rank = 2;
    if (ledge_node_int(infer->node, "keep_dims", 0) != 0) {
        rank = x->rank;
        memcpy(dims, x->dims, sizeof dims);
        dims[rank - 1] = w->dims[0];
    }
    return ledge_infer_out(infer, 0, x->dtype, rank, dims);
}

/* The factor of each output channel. u8 and fully connected layers with one scale multiply the two
 * input scales in float, everything else in double: as TFLite does. */
static enum ledge_status make_factors(const struct ledge_op_prepare *prepare, bool product_in_float,
                                      int64_t n, int32_t *multiplier, int32_t *left, int32_t *right)
{
    const struct ledge_value *w = ledge_prepare_in(prepare, 1);
    struct ledge_tfl_scale_of x;
    struct ledge_tfl_scale_of y;
    LEDGE_TRY(ledge_tfl_quant(prepare, ledge_prepare_in(prepare, 0), &x));
    LEDGE_TRY(ledge_tfl_quant(prepare, ledge_prepare_out(prepare, 0), &y));
    if (w->quant == NULL || (w->quant->n != 1 && w->quant->n != n)) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_DTYPE, "weights lack scales");
    }
    for (int64_t i = 0; i < n; i++) {
        float scale = w->quant->scales[w->quant->n == 1 ? 0 : i];
        double product = (double)x.scale * (double)scale;
        if (product_in_float && w->quant->n == 1) {
            product = (double)(x.scale * scale);
        }
        struct ledge_tfl_factor factor;
        LEDGE_TRY(ledge_tfl_factor_of(prepare, product / (double)y.scale, &factor));
        multiplier[i] = factor.multiplier;
        left[i] = factor.shift > 0 ? factor.shift : 0;
        right[i] = factor.shift > 0 ? 0 : -factor.shift;
    }
    return LEDGE_OK;
}

/* Fill what all three share. The lists of channels are made in the plan's memory. */
static enum ledge_status fill(struct ledge_op_prepare *prepare, bool product_in_float,
                              struct ledge_tfl_conv_params *p)
{
    const struct ledge_value *b = ledge_prepare_in(prepare, 2);
    size_t n = (size_t)p->g.out_channels;
    struct ledge_tfl_scale_of x;
    LEDGE_TRY(ledge_tfl_quant(prepare, ledge_prepare_in(prepare, 0), &x));
    LEDGE_TRY(ledge_tfl_out_of(prepare, &p->out));
    int32_t *lists = LEDGE_NEW_ARRAY(prepare->memory, int32_t, 4 * n);
    if (lists == NULL) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_NOMEM, "no memory");
    }
    int32_t *bias = lists;
    int32_t *multiplier = bias + n;
    int32_t *left = multiplier + n;
    int32_t *right = left + n;
    if (b != NULL) {
        if (b->bytes != n * sizeof *bias) {
            return ledge_prepare_fail(prepare, LEDGE_ERR_SHAPE,
                                      "bias of %zu bytes for %zu channels", b->bytes, n);
        }
        memcpy(bias, b->data, b->bytes);
    }
    LEDGE_TRY(make_factors(prepare, product_in_float, p->g.out_channels, multiplier, left, right));
    p->x_zero = x.zero;
    p->x_flip = x.flip;
    p->channels = (struct ledge_tfl_channels){bias, multiplier, left, right};
    prepare->params = p;
    return LEDGE_OK;
}

static int32_t weight_zero(const struct ledge_value *w, int64_t channel)
{
    int32_t least = w->dtype == LEDGE_I8 ? -128 : 0;
    return ledge_tfl_clamp(w->quant->zero_points[w->quant->n == 1 ? 0 : channel], least,
                           least + 255);
}

static int16_t weight(const struct ledge_value *w, int64_t i, int64_t channel)
{
    int32_t q = w->dtype == LEDGE_I8 ? ((const int8_t *)w->data)[i] : ((const uint8_t *)w->data)[i];
    return (int16_t)(q - weight_zero(w, channel));
}

/* Blocks of 16 channels of one group, pairs along k: [k / 2][16][2]; what is missing is 0. */
static void pack_blocks(const struct ledge_op_prepare *prepare, void *packed)
{
    const struct ledge_value *w = ledge_prepare_in(prepare, 1);
    const struct ledge_tfl_conv_params *p = prepare->params;
    int64_t k = ledge_volume(p->g.kernel) * (p->g.in_channels / p->g.groups);
    int64_t per_out = p->g.out_channels / p->g.groups;
    int64_t blocks = (per_out + LEDGE_TFL_N - 1) / LEDGE_TFL_N;
    for (int64_t o = 0; o < p->g.out_channels; o++) {
        int64_t in_group = o % per_out;
        int64_t block = o / per_out * blocks + in_group / LEDGE_TFL_N;
        int16_t *to = (int16_t *)packed + block * p->k * LEDGE_TFL_N + in_group % LEDGE_TFL_N * 2;
        for (int64_t i = 0; i < k; i++) {
            to[i / 2 * 2 * LEDGE_TFL_N + i % 2] = weight(w, o * k + i, o);
        }
    }
}

static enum ledge_status reserve_blocks(struct ledge_op_prepare *prepare,
                                        const struct ledge_tfl_conv_params *p)
{
    int64_t per_out = p->g.out_channels / p->g.groups;
    int64_t blocks = (per_out + LEDGE_TFL_N - 1) / LEDGE_TFL_N;
    if (!ledge_mul_size((size_t)(p->g.groups * blocks),
                        (size_t)p->k * LEDGE_TFL_N * sizeof(int16_t), &prepare->packed_bytes)) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_SHAPE, "weights are too large");
    }
    prepare->pack = LEDGE_PACKER(pack_blocks);
    prepare->packed_inputs = 1u << 1;
    return LEDGE_OK;
}

/* The 8-bit loops read the picture and the output as u8: 128 more than tfl.h's signed domain. */
static struct ledge_epilogue_i8 epilogue_of(const struct ledge_tfl_conv_params *p)
{
    return (struct ledge_epilogue_i8){.zero = p->out.zero + 128,
                                      .low = p->out.low + 128,
                                      .high = p->out.high + 128,
                                      .flip = p->out.flip ^ 0x80};
}

/* Weights' lists of them by channel. */
static enum ledge_status weights_of(const struct ledge_op_prepare *prepare,
                                    const struct ledge_tfl_conv_params *p, bool depthwise,
                                    struct ledge_weights_i8 *weights)
{
    const struct ledge_value *w = ledge_prepare_in(prepare, 1);
    int64_t n = p->g.out_channels;
    int64_t inner = depthwise || w->rank < 4 ? w->dims[w->rank - 1] : w->dims[3];
    int32_t *zeros = LEDGE_NEW_ARRAY(prepare->memory, int32_t, (size_t)n);
    if (zeros == NULL) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_NOMEM, "no memory");
    }
    for (int64_t o = 0; o < n; o++) {
        zeros[o] = weight_zero(w, o);
    }
    *weights =
        (struct ledge_weights_i8){.data = w->data,
                                  .is_u8 = w->dtype == LEDGE_U8,
                                  .channel_step = depthwise ? 1 : ledge_volume(p->g.kernel) * inner,
                                  .tap_step = inner,
                                  .c_step = depthwise ? 0 : 1,
                                  .zeros = zeros,
                                  .bias = p->channels.bias,
                                  .bias_step = 1};
    return LEDGE_OK;
}

static enum ledge_status prepare_fast(struct ledge_op_prepare *prepare,
                                      const struct ledge_tfl_conv_params *p, bool depthwise)
{
    struct ledge_weights_i8 weights;
    LEDGE_TRY(weights_of(prepare, p, depthwise, &weights));
    const struct ledge_scales_i8 scales = {
        .multiplier = p->channels.multiplier, .left = p->channels.left, .right = p->channels.right};
    if (depthwise && p->g.groups > 1) {
        const struct ledge_depthwise_i8 dw = {.g = p->g,
                                              .flip = p->x_flip ^ 0x80,
                                              .x_zero = p->x_zero + 128,
                                              .epilogue = epilogue_of(p)};
        return ledge_prepare_depthwise_i8(prepare, &dw, &weights, &scales);
    }
    const struct ledge_conv_i8 conv = {
        .g = p->g, .flip = p->x_flip ^ 0x80, .x_zero = p->x_zero + 128, .epilogue = epilogue_of(p)};
    prepare->packed_inputs = 1u << 1;
    return ledge_prepare_conv_i8(prepare, &conv, &weights, &scales);
}

/* What Conv2D and FullyConnected share: rows of k weights. */
static enum ledge_status prepare_rows(struct ledge_op_prepare *prepare,
                                      struct ledge_tfl_conv_params *p, int64_t k)
{
    int32_t threads = prepare->threads > 1 ? prepare->threads : 1;
    prepare->macs = p->g.batch * p->g.out[1] * p->g.out[2] * p->g.out_channels * k;
    if (ledge_conv_i8_is_fast(&p->g)) {
        return prepare_fast(prepare, p, false);
    }
    p->k = k + k % 2;
    LEDGE_TRY(reserve_blocks(prepare, p));
    prepare->run = LEDGE_KERNEL(tfl_conv_i8_direct, ledge_tfl_conv_c);
    prepare->kernel = "tfl_conv_i8_direct";
    prepare->scratch_bytes = (size_t)threads * ledge_tfl_conv_scratch(p);
    return LEDGE_OK;
}

enum ledge_status ledge_tfl_prepare_conv(struct ledge_op_prepare *prepare)
{
    const struct ledge_value *x = ledge_prepare_in(prepare, 0);
    const struct ledge_value *w = ledge_prepare_in(prepare, 1);
    struct ledge_tfl_conv_params *p = ledge_tfl_params(prepare, sizeof *p);
    if (p == NULL) {
        return LEDGE_ERR_NOMEM;
    }
    LEDGE_TRY(read_geometry(prepare->node, x, w, false, prepare->err, &p->g));
    LEDGE_TRY(fill(prepare, x->dtype == LEDGE_U8, p));
    return prepare_rows(prepare, p, w->dims[1] * w->dims[2] * w->dims[3]);
}

enum ledge_status ledge_tfl_prepare_fully_connected(struct ledge_op_prepare *prepare)
{
    const struct ledge_value *x = ledge_prepare_in(prepare, 0);
    const struct ledge_value *w = ledge_prepare_in(prepare, 1);
    struct ledge_tfl_conv_params *p = ledge_tfl_params(prepare, sizeof *p);
    if (p == NULL) {
        return LEDGE_ERR_NOMEM;
    }
    int64_t count = 1;
    for (int32_t i = 0; i < x->rank; i++) {
        count *= x->dims[i];
    }
    p->g = (struct ledge_geometry){.layout = LEDGE_NHWC,
                                   .batch = count / w->dims[1],
                                   .groups = 1,
                                   .in_channels = w->dims[1],
                                   .out_channels = w->dims[0],
                                   .in = {1, 1, 1},
                                   .out = {1, 1, 1},
                                   .kernel = {1, 1, 1},
                                   .stride = {1, 1, 1},
                                   .dilation = {1, 1, 1}};
    LEDGE_TRY(fill(prepare, true, p));
    return prepare_rows(prepare, p, w->dims[1]);
}

static void pack_taps(const struct ledge_op_prepare *prepare, void *packed)
{
    const struct ledge_value *w = ledge_prepare_in(prepare, 1);
    int64_t n = (int64_t)w->bytes, channels = w->dims[3];
    for (int64_t i = 0; i < n; i++) {
        ((int16_t *)packed)[i] = weight(w, i, i % channels);
    }
}

enum ledge_status ledge_tfl_prepare_depthwise(struct ledge_op_prepare *prepare)
{
    const struct ledge_value *x = ledge_prepare_in(prepare, 0);
    const struct ledge_value *w = ledge_prepare_in(prepare, 1);
    struct ledge_tfl_conv_params *p = ledge_tfl_params(prepare, sizeof *p);
    int64_t channels = w->dims[3];
    int64_t taps = w->dims[1] * w->dims[2];
    if (p == NULL) {
        return LEDGE_ERR_NOMEM;
    }
    LEDGE_TRY(read_geometry(prepare->node, x, w, true, prepare->err, &p->g));
    LEDGE_TRY(fill(prepare, x->dtype == LEDGE_U8, p));
    if (taps > 32704) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_UNSUPPORTED, "window of %lld elements",
                                  (long long)taps);
    }
    prepare->macs = p->g.batch * p->g.out[1] * p->g.out[2] * channels * taps;
    bool fast =
        p->g.in_channels == 1 ? ledge_conv_i8_is_fast(&p->g) : ledge_depthwise_i8_is_fast(&p->g);
    if (fast) {
        return prepare_fast(prepare, p, true);
    }
    int32_t threads = prepare->threads > 1 ? prepare->threads : 1;
    prepare->packed_bytes = w->bytes * sizeof(int16_t);
    prepare->pack = LEDGE_PACKER(pack_taps);
    prepare->packed_inputs = 1u << 1;
    prepare->run = LEDGE_KERNEL(tfl_depthwise_i8_direct, ledge_tfl_depthwise_c);
    prepare->kernel = "tfl_depthwise_i8_direct";
    prepare->scratch_bytes = (size_t)threads * ledge_tfl_depthwise_scratch(p);
    return LEDGE_OK;
}
