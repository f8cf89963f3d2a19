/* SPDX-License-Identifier: Apache-2.0 */
/* pass_fold_batch_norm.c -- y = a[c] * x + b[c] after Conv, ConvTranspose or Gemm goes into its
 * weights and bias: BatchNormalization at inference (Ioffe and Szegedy 2015, section 3.1), Add and
 * Mul with a constant per channel. */
#include <math.h>
#include <string.h>

#include "base/status.h"
#include "engine/plan/pass_match.h"
#include "engine/plan/passes.h"

#include "base/banned.h"

/* A layer with constant f32 weights. */
struct layer {
    struct ledge_node *node;
    const struct ledge_value *weights;
    int64_t channels;     /* of the output */
    int64_t outer, inner; /* weights seen as [outer, channels, inner] */
    const float *bias;    /* channels elements or, with one_bias, a single one; NULL: none */
    bool one_bias;
};

/* y = a * x + b for each channel; a NULL: 1, b NULL: 0. */
struct affine {
    double *a, *b;
};

/* The bias: absent, or constant with one element or one per channel. */
static bool read_bias(const struct ledge_match *match, struct layer *layer)
{
    int32_t value = ledge_node_in(layer->node, 2);
    if (value < 0) {
        return true;
    }
    layer->bias = ledge_match_constant(match, value, LEDGE_F32, layer->channels);
    if (layer->bias == NULL && ledge_is_op(layer->node, "Gemm")) {
        layer->bias = ledge_match_constant(match, value, LEDGE_F32, 1);
        layer->one_bias = layer->bias != NULL;
    }
    const struct ledge_value *v = &match->graph->values[value];
    for (int32_t i = 0; i < v->rank - 1; i++) { /* [M] of Gemm's C would be a column */
        if (v->dims[i] != 1) {
            return false;
        }
    }
    return layer->bias != NULL;
}

static bool read_gemm(struct layer *layer)
{
    const struct ledge_value *w = layer->weights;
    bool turned = ledge_node_int(layer->node, "transB", 0) != 0;
    if (w->rank != 2 || ledge_node_float(layer->node, "alpha", 1.0f) != 1.0f ||
        ledge_node_float(layer->node, "beta", 1.0f) != 1.0f) {
        return false;
    }
    layer->channels = w->dims[turned ? 0 : 1];
    layer->outer = turned ? 1 : w->dims[0];
    layer->inner = turned ? w->dims[1] : 1;
    return true;
}

static bool read_conv(struct layer *layer)
{
    const struct ledge_value *w = layer->weights;
    bool transposed = ledge_is_op(layer->node, "ConvTranspose");
    if (w->rank < 3 || ledge_node_int(layer->node, "layout", LEDGE_NCHW) != LEDGE_NCHW ||
        (transposed && ledge_node_int(layer->node, "group", 1) != 1)) {
        return false;
    }
    layer->channels = w->dims[transposed ? 1 : 0];
    layer->outer = transposed ? w->dims[0] : 1;
    int64_t rest = layer->outer * layer->channels;
    layer->inner = rest > 0 ? ledge_match_count(w) / rest : 0;
    return true;
}

static bool read_layer(const struct ledge_match *match, struct ledge_node *node,
                       struct layer *layer)
{
    if (node == NULL || node->n_out != 1 || ledge_node_attr(node, "clamp_low") != NULL ||
        ledge_node_attr(node, "clamp_high") != NULL) {
        return false;
    }
    bool gemm = ledge_is_op(node, "Gemm");
    if (!gemm && !ledge_is_op(node, "Conv") && !ledge_is_op(node, "ConvTranspose")) {
        return false;
    }
    int32_t w = ledge_node_in(node, 1);
    if (ledge_match_constant(match, w, LEDGE_F32, -1) == NULL) {
        return false;
    }
    *layer = (struct layer){.node = node, .weights = &match->graph->values[w]};
    return (gemm ? read_gemm(layer) : read_conv(layer)) && layer->inner > 0 &&
           layer->channels > 0 && read_bias(match, layer);
}

/* -- what is folded -- */

static bool read_batch_norm(const struct ledge_match *match, const struct ledge_node *node,
                            const struct layer *layer, struct affine *f)
{
    const float *p[4];
    if (node->n_in != 5 || ledge_node_int(node, "training_mode", 0) != 0 ||
        ledge_node_int(node, "spatial", 1) == 0) {
        return false;
    }
    for (int32_t i = 0; i < 4; i++) {
        p[i] = ledge_match_constant(match, node->in[i + 1], LEDGE_F32, layer->channels);
        if (p[i] == NULL) {
            return false;
        }
    }
    for (int32_t i = 1; i < node->n_out; i++) {
        if (node->out[i] >= 0 && ledge_match_reader(match, node->out[i]) != NULL) {
            return false;
        }
    }
    double epsilon = (double)ledge_node_float(node, "epsilon", 1e-5f);
    for (int64_t c = 0; c < layer->channels; c++) {
        f->a[c] = (double)p[0][c] / sqrt((double)p[3][c] + epsilon);
        f->b[c] = (double)p[1][c] - (double)p[2][c] * f->a[c];
        if (!isfinite(f->a[c]) || !isfinite(f->b[c])) {
            return false;
        }
    }
    return true;
}

/* A constant that is one number, or one per channel and nothing along the other dimensions of the
 * layer's output. */
static const float *per_channel(const struct ledge_match *match, int32_t value,
                                const struct layer *layer, int64_t *n)
{
    const float *data = ledge_match_constant(match, value, LEDGE_F32, -1);
    const struct ledge_value *v = value >= 0 ? &match->graph->values[value] : NULL;
    int32_t rank = layer->weights->rank;
    if (data == NULL || v->rank > rank) {
        return NULL;
    }
    *n = ledge_match_count(v);
    if (*n == 1) {
        return data;
    }
    int32_t channel = v->rank - (rank - 1); /* where dimension 1 of the output meets v */
    for (int32_t i = 0; i < v->rank; i++) {
        if (v->dims[i] != (i == channel ? layer->channels : 1)) {
            return NULL;
        }
    }
    return channel >= 0 ? data : NULL;
}

static bool read_affine(const struct ledge_match *match, const struct ledge_node *node,
                        const struct layer *layer, struct affine *f)
{
    bool add = ledge_is_op(node, "Add");
    if ((!add && !ledge_is_op(node, "Mul")) || node->n_in != 2 || node->opset < 7 ||
        ledge_node_attr(node, "clamp_low") != NULL) {
        return false;
    }
    int64_t n = 0;
    int32_t other = node->in[0] == layer->node->out[0] ? node->in[1] : node->in[0];
    const float *data = per_channel(match, other, layer, &n);
    for (int64_t c = 0; data != NULL && c < layer->channels; c++) {
        double v = (double)data[n == 1 ? 0 : c];
        f->a[c] = add ? 1 : v;
        f->b[c] = add ? v : 0;
    }
    return data != NULL;
}

/* -- folding -- */

static enum ledge_status apply(struct ledge_match *match, const struct layer *layer,
                               const struct affine *f)
{
    struct ledge_graph *graph = match->graph;
    struct ledge_value w = *layer->weights; /* adding values may move the old one */
    float *weights = ledge_arena_alloc(&graph->arena, w.bytes, 64);
    float *bias = LEDGE_NEW_ARRAY(&graph->arena, float, (size_t)layer->channels);
    if (weights == NULL || bias == NULL) {
        return ledge_fail(match->err, LEDGE_ERR_NOMEM, "no memory for folded weights");
    }
    const char *from = w.data; /* at whatever byte: graph.h, loose */
    for (int64_t o = 0; o < layer->outer; o++) {
        for (int64_t c = 0; c < layer->channels; c++) {
            for (int64_t i = 0; i < layer->inner; i++) {
                int64_t at = (o * layer->channels + c) * layer->inner + i;
                float one;
                memcpy(&one, from + (size_t)at * sizeof one, sizeof one);
                weights[at] = (float)((double)one * f->a[c]);
            }
        }
    }
    for (int64_t c = 0; c < layer->channels; c++) {
        double before = layer->bias != NULL ? (double)layer->bias[layer->one_bias ? 0 : c] : 0;
        bias[c] = (float)(before * f->a[c] + f->b[c]);
    }
    int32_t in[3] = {layer->node->in[0]};
    in[1] = ledge_graph_add_constant(graph, NULL, LEDGE_F32, w.rank, w.dims, weights, false);
    in[2] = ledge_graph_add_constant(graph, NULL, LEDGE_F32, 1, &layer->channels, bias, false);
    if (in[1] < 0 || in[2] < 0) {
        return ledge_fail(match->err, LEDGE_ERR_NOMEM, "no memory for folded weights");
    }
    return ledge_match_set_inputs(match, layer->node, in, 3);
}

/* Fold the one reader of the node's output into it; *folded tells whether there was something. */
static enum ledge_status fold_next(struct ledge_match *match, int32_t index, bool *folded)
{
    struct layer layer;
    struct ledge_node *node = &match->graph->nodes[index];
    *folded = false;
    if (node->dead || !read_layer(match, node, &layer)) {
        return LEDGE_OK;
    }
    struct ledge_node *next = ledge_match_reader(match, node->out[0]);
    struct affine f = {.a = LEDGE_NEW_ARRAY(&match->scratch, double, (size_t)layer.channels),
                       .b = LEDGE_NEW_ARRAY(&match->scratch, double, (size_t)layer.channels)};
    if (f.a == NULL || f.b == NULL) {
        return ledge_fail(match->err, LEDGE_ERR_NOMEM, "no memory for a pass");
    }
    bool fits = next != NULL && next->n_out >= 1 && next->out[0] >= 0 &&
                (ledge_is_op(next, "BatchNormalization")
                     ? next->in[0] == node->out[0] && read_batch_norm(match, next, &layer, &f)
                     : read_affine(match, next, &layer, &f));
    if (fits) {
        LEDGE_TRY(apply(match, &layer, &f));
        ledge_match_absorb(match, node, next);
        *folded = true;
    }
    return LEDGE_OK;
}

/* Shared weights are copied for each layer, so folding into one leaves the others alone. */
enum ledge_status ledge_pass_fold_batch_norm(struct ledge_graph *graph, struct ledge_error *err)
{
    struct ledge_match match;
    enum ledge_status status = ledge_match_begin(&match, graph, err);
    for (int32_t i = 0; status == LEDGE_OK && i < graph->n_nodes; i++) {
        bool folded = true;
        while (status == LEDGE_OK && folded) {
            status = fold_next(&match, i, &folded);
        }
    }
    ledge_match_end(&match);
    return status;
}
