/* SPDX-License-Identifier: Apache-2.0 */
/* rewrite.c -- put QuantizeLinear and DequantizeLinear around what was selected.
 *
 *   x -> Q -> DQ -> Conv -> y      W_quantized -> DQ -> Conv      B_quantized -> DQ -> Conv
 *
 * Names: value T gives T_quantized, T_scale, T_zero_point and the nodes T_QuantizeLinear,
 * T_DequantizeLinear.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/banned.h"
#include "base/status.h"
#include "compress/ptq_internal.h"

enum { OPSET = 13 };

/* base + suffix, with a number behind it when that name is taken; NULL when there is no memory. */
static const char *name_of(struct compress_ptq *ptq, const char *base, const char *suffix)
{
    size_t room = strlen(base) + strlen(suffix) + 16;
    char *text = ledge_arena_alloc(&ptq->arena, room, 1);
    for (int i = 0; text != NULL; i++) {
        (void)snprintf(text, room, i == 0 ? "%s%s" : "%s%s.%d", base, suffix, i);
        if (ledge_graph_find(&ptq->quantised, text) < 0) {
            break;
        }
    }
    return text;
}

static int32_t constant(struct compress_ptq *ptq, const char *base, const char *suffix,
                        enum ledge_dtype dtype, int32_t rank, const int64_t *dims, const void *data)
{
    const char *name = name_of(ptq, base, suffix);
    return name == NULL
               ? -1
               : ledge_graph_add_constant(&ptq->quantised, name, dtype, rank, dims, data, true);
}

/* One of the two nodes; returns its output value or -1. */
static int32_t convert(struct compress_ptq *ptq, const char *op, const char *base,
                       const int32_t in[3], enum ledge_dtype dtype, const struct ledge_value *shape,
                       int32_t axis)
{
    struct ledge_graph *graph = &ptq->quantised;
    char suffix[32];
    if (in[0] < 0 || in[1] < 0 || in[2] < 0) {
        return -1;
    }
    (void)snprintf(suffix, sizeof suffix, "_%s", op);
    const char *node_name = name_of(ptq, base, suffix);
    bool quantise = op[0] == 'Q';
    const char *out_name = name_of(ptq, base, quantise ? "_quantized" : "_DequantizeLinear_Output");
    if (node_name == NULL || out_name == NULL) {
        return -1;
    }
    struct ledge_value of = *shape; /* the call below may move it */
    int32_t out = ledge_graph_add_value(graph, out_name, dtype, of.rank, of.dims);
    if (out < 0) {
        return -1;
    }
    memcpy(graph->values[out].dim_names, of.dim_names, sizeof of.dim_names);
    int32_t node = ledge_graph_add_node(graph, "", op, OPSET, node_name, in, 3, &out, 1);
    if (node < 0 || (axis >= 0 && !ledge_graph_set_int(graph, node, "axis", axis))) {
        return -1;
    }
    return out;
}

/* Q and DQ behind value; every node that reads it reads the DQ's output from then on. */
static bool wrap_activation(struct compress_ptq *ptq, int32_t value)
{
    struct ledge_graph *graph = &ptq->quantised;
    struct compress_tensor *tensor = &ptq->tensors[value];
    const struct compress_affine *affine = &tensor->affine;
    const char *base = graph->values[value].name;
    uint8_t zero = (uint8_t)affine->zero_point;
    int32_t n_old = ptq->folded.n_nodes;
    int32_t scale = constant(ptq, base, "_scale", LEDGE_F32, 0, NULL, &affine->scale);
    int32_t zero_point = constant(ptq, base, "_zero_point", LEDGE_U8, 0, NULL, &zero);
    int32_t q = convert(ptq, "QuantizeLinear", base, (const int32_t[]){value, scale, zero_point},
                        LEDGE_U8, &graph->values[value], -1);
    int32_t dq = convert(ptq, "DequantizeLinear", base, (const int32_t[]){q, scale, zero_point},
                         LEDGE_F32, &graph->values[value], -1);
    if (dq < 0) {
        return false;
    }
    tensor->fake_value = dq;
    for (int32_t i = 0; i < n_old; i++) {
        struct ledge_node *node = &graph->nodes[i];
        for (int32_t k = 0; k < node->n_in && !node->dead; k++) {
            node->in[k] = node->in[k] == value ? dq : node->in[k];
        }
    }
    return true;
}

struct weights {
    const struct ledge_value *value;
    const float *w;
    int32_t axis;
    int64_t n; /* output channels */
    struct compress_affine *affines;
    float *scales;
    int8_t *q;
    int8_t *zero_points;
};

static const struct ledge_value *bias_of(const struct ledge_graph *graph,
                                         const struct ledge_node *node, int64_t channels)
{
    const struct ledge_value *b =
        node->n_in > 2 && node->in[2] >= 0 ? &graph->values[node->in[2]] : NULL;
    if (b == NULL || b->data == NULL || b->dtype != LEDGE_F32 || b->rank < 1 || b->rank > 2 ||
        b->dims[b->rank - 1] != channels || (b->rank == 2 && b->dims[0] != 1)) {
        return NULL;
    }
    return b;
}

static bool weights_alloc(struct compress_ptq *ptq, struct weights *weights)
{
    size_t n = (size_t)weights->n;
    weights->affines = LEDGE_NEW_ARRAY(&ptq->arena, struct compress_affine, n);
    weights->scales = LEDGE_NEW_ARRAY(&ptq->arena, float, n);
    weights->zero_points = LEDGE_NEW_ARRAY(&ptq->arena, int8_t, n);
    weights->q = LEDGE_NEW_ARRAY(&ptq->arena, int8_t, weights->value->bytes / sizeof(float));
    return weights->affines != NULL && weights->scales != NULL && weights->zero_points != NULL &&
           weights->q != NULL;
}

/* Scales and codes of each channel; the layer's weight SQNR, dead and raised channels. */
static void quantise_channels(struct weights *weights, const float *bias, float x_scale,
                              struct compress_layer *layer)
{
    double signal = 0;
    double noise = 0;
    for (int64_t c = 0; c < weights->n; c++) {
        size_t at = 0;
        struct compress_slice slice =
            compress_slice_of(weights->value->dims, weights->value->rank, weights->axis, c, &at);
        double most = compress_slice_max_abs(weights->w + at, &slice);
        struct compress_affine *affine = &weights->affines[c];
        *affine = compress_affine_symmetric(most);
        layer->dead += most == 0 ? 1 : 0;
        layer->raised += bias != NULL && compress_fit_bias(bias[c], x_scale, affine) ? 1 : 0;
        weights->scales[c] = affine->scale;
        compress_slice_quantize(weights->w + at, &slice, affine, weights->q + at);
        for (size_t i = 0; i < slice.count; i++) {
            size_t k = at + i / slice.run * slice.stride + i % slice.run;
            double w = (double)weights->w[k];
            double miss = w - (double)compress_dequantize(weights->q[k], affine);
            signal += w * w;
            noise += miss * miss;
        }
    }
    layer->weight_sqnr = noise > 0 ? 10 * log10(signal / noise) : INFINITY;
}

static int32_t emit_weights(struct compress_ptq *ptq, const struct weights *weights)
{
    const struct ledge_value *value = weights->value;
    const char *base = value->name;
    const int64_t n = weights->n;
    int32_t q = constant(ptq, base, "_quantized", LEDGE_I8, value->rank, value->dims, weights->q);
    int32_t scale = constant(ptq, base, "_scale", LEDGE_F32, 1, &n, weights->scales);
    int32_t zero = constant(ptq, base, "_zero_point", LEDGE_I8, 1, &n, weights->zero_points);
    return convert(ptq, "DequantizeLinear", base, (const int32_t[]){q, scale, zero}, LEDGE_F32,
                   value, weights->axis);
}

static int32_t emit_bias(struct compress_ptq *ptq, const struct ledge_value *value,
                         const struct weights *weights, float x_scale)
{
    size_t n = (size_t)weights->n;
    int32_t *q = LEDGE_NEW_ARRAY(&ptq->arena, int32_t, n);
    int32_t *zeros = LEDGE_NEW_ARRAY(&ptq->arena, int32_t, n);
    float *scales = LEDGE_NEW_ARRAY(&ptq->arena, float, n);
    if (q == NULL || zeros == NULL || scales == NULL) {
        return -1;
    }
    for (size_t c = 0; c < n; c++) {
        q[c] = compress_quantize_bias(((const float *)value->data)[c], x_scale, weights->scales[c]);
        scales[c] = x_scale * weights->scales[c];
    }
    const char *base = value->name;
    int32_t codes = constant(ptq, base, "_quantized", LEDGE_I32, value->rank, value->dims, q);
    int32_t scale = constant(ptq, base, "_scale", LEDGE_F32, 1, &weights->n, scales);
    int32_t zero = constant(ptq, base, "_zero_point", LEDGE_I32, 1, &weights->n, zeros);
    return convert(ptq, "DequantizeLinear", base, (const int32_t[]){codes, scale, zero}, LEDGE_F32,
                   value, value->rank - 1);
}

static bool wrap_weights(struct compress_ptq *ptq, int32_t number)
{
    const struct ledge_graph *from = &ptq->folded;
    const struct ledge_node *node = &from->nodes[number];
    struct weights weights = {.value = &from->values[node->in[1]]};
    weights.w = weights.value->data;
    weights.axis = compress_weight_axis(from, node);
    weights.n = weights.value->dims[weights.axis];
    const struct ledge_value *bias = bias_of(from, node, weights.n);
    float x_scale = ptq->tensors[node->in[0]].affine.scale;
    if (!weights_alloc(ptq, &weights)) {
        return false;
    }
    quantise_channels(&weights, bias != NULL ? bias->data : NULL, x_scale,
                      compress_layer_of(ptq, number));
    int32_t w = emit_weights(ptq, &weights);
    int32_t b = bias != NULL ? emit_bias(ptq, bias, &weights, x_scale) : 0;
    if (w < 0 || b < 0) {
        return false;
    }
    ptq->quantised.nodes[number].in[1] = w;
    if (bias != NULL) {
        ptq->quantised.nodes[number].in[2] = b;
    }
    return true;
}

enum ledge_status compress_rewrite(struct compress_ptq *ptq, struct ledge_error *err)
{
    ledge_graph_init(&ptq->quantised, &ptq->allocator);
    LEDGE_TRY(ledge_graph_copy(&ptq->folded, &ptq->quantised, err));
    bool made = true;
    for (int32_t i = 0; i < ptq->folded.n_values && made; i++) {
        made = !ptq->tensors[i].quantised || wrap_activation(ptq, i);
    }
    for (int32_t i = 0; i < ptq->folded.n_nodes && made; i++) {
        made = ptq->roles[i] != COMPRESS_WEIGHTED || wrap_weights(ptq, i);
    }
    if (!made) {
        return ledge_fail(err, LEDGE_ERR_NOMEM, "no memory to write the quantised graph");
    }
    return ledge_graph_sort(&ptq->quantised, err);
}
