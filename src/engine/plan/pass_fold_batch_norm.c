/* SPDX-License-Identifier: Apache-2.0 */
/* pass_fold_batch_norm.c -- fold what is affine per channel behind a convolution into its weights
 * and bias.
 *
 *   BatchNormalization   y = (x - mean) * scale / sqrt(var + epsilon) + B
 *   Mul, Add             by a constant of one value per channel, [C,1,1] or [1,C,1,1]
 *
 * With y = x * s + t:  W' = W * s,  b' = b * s + t, worked out in double. The convolution takes
 * over the output value. Source: Jacob et al., "Quantization and Training of Neural Networks",
 * 2018, section 3.2.
 */
#include <math.h>
#include <string.h>

#include "base/banned.h"
#include "base/status.h"
#include "engine/plan/internal.h"
#include "engine/plan/passes.h"

/* y = x * s[c] + t[c] */
struct affine {
    int64_t channels;
    double *s, *t;
};

static const float *constant(const struct ledge_graph *graph, const struct ledge_node *node,
                             int32_t i, size_t n)
{
    if (i >= node->n_in || node->in[i] < 0) {
        return NULL;
    }
    const struct ledge_value *value = &graph->values[node->in[i]];
    return value->data != NULL && value->dtype == LEDGE_F32 && value->bytes == n * sizeof(float)
               ? value->data
               : NULL;
}

static bool of_batch_norm(const struct ledge_graph *graph, const struct ledge_node *node,
                          struct affine *affine)
{
    size_t n = (size_t)affine->channels;
    const float *scale = constant(graph, node, 1, n);
    const float *shift = constant(graph, node, 2, n);
    const float *mean = constant(graph, node, 3, n);
    const float *var = constant(graph, node, 4, n);
    double epsilon = (double)ledge_node_float(node, "epsilon", 1e-5f);
    if (scale == NULL || shift == NULL || mean == NULL || var == NULL ||
        ledge_node_int(node, "training_mode", 0) != 0 || ledge_node_int(node, "spatial", 1) == 0) {
        return false;
    }
    for (int32_t i = 1; i < node->n_out; i++) {
        if (node->out[i] >= 0) {
            return false;
        }
    }
    for (size_t c = 0; c < n; c++) {
        affine->s[c] = (double)scale[c] / sqrt((double)var[c] + epsilon);
        affine->t[c] = (double)shift[c] - (double)mean[c] * affine->s[c];
    }
    return true;
}

/* Is value a constant with one number per channel of the output of a convolution with weights of
 * rank `rank`? */
static const float *per_channel(const struct ledge_graph *graph, int32_t number, int32_t rank,
                                bool last, int64_t channels)
{
    const struct ledge_value *value = number >= 0 ? &graph->values[number] : NULL;
    if (value == NULL || value->data == NULL || value->dtype != LEDGE_F32 || value->rank > rank ||
        value->bytes != (size_t)channels * sizeof(float)) {
        return NULL;
    }
    int32_t at = value->rank - 1 - (last ? 0 : rank - 2); /* where the channels must stand */
    return at >= 0 && value->dims[at] == channels ? value->data : NULL;
}

static bool of_constant(const struct ledge_graph *graph, const struct ledge_node *node,
                        int32_t rank, bool last, struct affine *affine)
{
    bool add = strcmp(node->op, "Add") == 0;
    if ((!add && strcmp(node->op, "Mul") != 0) || node->n_in != 2) {
        return false;
    }
    const float *values = per_channel(graph, node->in[1], rank, last, affine->channels);
    values =
        values != NULL ? values : per_channel(graph, node->in[0], rank, last, affine->channels);
    for (int64_t c = 0; c < affine->channels && values != NULL; c++) {
        affine->s[c] = add ? 1 : (double)values[c];
        affine->t[c] = add ? (double)values[c] : 0;
    }
    return values != NULL;
}

/* W' and b' in the place of W and b. */
static enum ledge_status apply(struct ledge_graph *graph, int32_t conv, const struct affine *affine,
                               struct ledge_error *err)
{
    struct ledge_value w = graph->values[graph->nodes[conv].in[1]];
    const float *old_bias = constant(graph, &graph->nodes[conv], 2, (size_t)affine->channels);
    size_t each = w.bytes / sizeof(float) / (size_t)affine->channels;
    float *weights = LEDGE_NEW_ARRAY(&graph->arena, float, w.bytes / sizeof(float));
    float *bias = LEDGE_NEW_ARRAY(&graph->arena, float, (size_t)affine->channels);
    int32_t *in = LEDGE_NEW_ARRAY(&graph->arena, int32_t, 3);
    if (weights == NULL || bias == NULL || in == NULL) {
        return ledge_fail(err, LEDGE_ERR_NOMEM, "no memory to fold into %s",
                          graph->nodes[conv].name);
    }
    for (size_t c = 0; c < (size_t)affine->channels; c++) {
        for (size_t i = 0; i < each; i++) {
            double x = (double)((const float *)w.data)[c * each + i];
            weights[c * each + i] = (float)(x * affine->s[c]);
        }
        double b = old_bias != NULL ? (double)old_bias[c] : 0;
        bias[c] = (float)(b * affine->s[c] + affine->t[c]);
    }
    in[0] = graph->nodes[conv].in[0];
    in[1] = ledge_graph_add_constant(graph, NULL, LEDGE_F32, w.rank, w.dims, weights, false);
    in[2] = ledge_graph_add_constant(graph, NULL, LEDGE_F32, 1, &affine->channels, bias, false);
    if (in[1] < 0 || in[2] < 0) {
        return ledge_fail(err, LEDGE_ERR_NOMEM, "no memory to fold into %s",
                          graph->nodes[conv].name);
    }
    graph->nodes[conv].in = in;
    graph->nodes[conv].n_in = 3;
    return LEDGE_OK;
}

/* A convolution with constant weights, a constant bias or none, and no activation yet. */
static bool is_open_conv(const struct ledge_graph *graph, const struct ledge_node *node)
{
    const struct ledge_value *w =
        node->n_in > 1 && node->in[1] >= 0 ? &graph->values[node->in[1]] : NULL;
    bool bias = node->n_in > 2 && node->in[2] >= 0;
    return strcmp(node->op, "Conv") == 0 && node->domain[0] == '\0' && w != NULL &&
           w->data != NULL && w->dtype == LEDGE_F32 && w->rank >= 3 && w->dims[0] > 0 &&
           w->bytes > 0 && (!bias || constant(graph, node, 2, (size_t)w->dims[0]) != NULL) &&
           ledge_node_attr(node, "clamp_low") == NULL &&
           ledge_node_attr(node, "clamp_high") == NULL;
}

static enum ledge_status fold(struct ledge_graph *graph, int32_t number,
                              struct ledge_arena *scratch, struct ledge_error *err)
{
    const struct ledge_node *node = &graph->nodes[number];
    int32_t conv = -1;
    for (int32_t i = 0; i < node->n_in && i < 2 && conv < 0 && !node->dead; i++) {
        int32_t from = node->in[i] >= 0 ? ledge_pass_only_producer(graph, node->in[i]) : -1;
        conv = from >= 0 && is_open_conv(graph, &graph->nodes[from]) ? from : -1;
    }
    if (conv < 0 || node->domain[0] != '\0' || node->out[0] < 0) {
        return LEDGE_OK;
    }
    const struct ledge_value *w = &graph->values[graph->nodes[conv].in[1]];
    struct affine affine = {.channels = w->dims[0]};
    affine.s = LEDGE_NEW_ARRAY(scratch, double, (size_t)affine.channels);
    affine.t = LEDGE_NEW_ARRAY(scratch, double, (size_t)affine.channels);
    if (affine.s == NULL || affine.t == NULL) {
        return ledge_fail(err, LEDGE_ERR_NOMEM, "no memory to fold %s", node->name);
    }
    bool last = ledge_node_int(&graph->nodes[conv], "layout", LEDGE_NCHW) == LEDGE_NHWC;
    bool found = strcmp(node->op, "BatchNormalization") == 0
                     ? !last && of_batch_norm(graph, node, &affine)
                     : of_constant(graph, node, w->rank, last, &affine);
    if (!found) {
        return LEDGE_OK;
    }
    LEDGE_TRY(apply(graph, conv, &affine, err));
    ledge_pass_take_output(graph, conv, number);
    return LEDGE_OK;
}

enum ledge_status ledge_pass_fold_batch_norm(struct ledge_graph *graph, struct ledge_error *err)
{
    struct ledge_arena scratch;
    enum ledge_status status = LEDGE_OK;
    ledge_arena_init(&scratch, &graph->arena.allocator);
    for (int32_t i = 0; i < graph->n_nodes && status == LEDGE_OK; i++) {
        status = fold(graph, i, &scratch, err);
    }
    ledge_arena_done(&scratch);
    return status;
}
