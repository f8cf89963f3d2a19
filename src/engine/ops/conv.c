/* SPDX-License-Identifier: Apache-2.0 */
/* conv.c -- Conv-11 and ConvTranspose-11: shapes, and the choice of kernel. */
#include "engine/ops/core.h"

#include "base/status.h"
#include "engine/kernels/conv.h"
#include "engine/ops/spatial.h"

/* x and w as the node has them, checked against each other; g is filled. */
enum ledge_status ledge_conv_geometry(const struct ledge_node *node, const struct ledge_value *x,
                                      const struct ledge_value *w, const struct ledge_value *bias,
                                      struct ledge_geometry *g, struct ledge_error *err)
{
    struct ledge_spatial spatial = {.node = node, .x = x, .err = err};
    enum ledge_layout layout = ledge_node_layout(node);
    if (x == NULL || w == NULL || x->rank != w->rank || x->rank < 3) {
        return ledge_fail(err, LEDGE_ERR_SHAPE,
                          "node %.60s (%.30s): input and weights need the same rank, at least 3",
                          node->name, node->op);
    }
    size_t n_shape;
    const int64_t *shape = ledge_node_ints(node, "kernel_shape", &n_shape);
    const int64_t *kernel = ledge_spatial_kernel(w, layout);
    for (size_t i = 0; i < n_shape; i++) {
        if (n_shape != (size_t)x->rank - 2 || shape[i] != kernel[i]) {
            return ledge_fail(err, LEDGE_ERR_SHAPE,
                              "node %.60s (%.30s): kernel_shape is not that of the weights",
                              node->name, node->op);
        }
    }
    LEDGE_TRY(ledge_spatial_read(&spatial, kernel, x->rank - 2, w->dims[0], g));
    int64_t per_group = layout == LEDGE_NCHW ? w->dims[1] : w->dims[w->rank - 1];
    g->groups = ledge_node_int(node, "group", 1);
    if (g->groups < 1 || g->groups > g->in_channels || g->in_channels % g->groups != 0 ||
        g->out_channels % g->groups != 0 || per_group != g->in_channels / g->groups) {
        return ledge_fail(err, LEDGE_ERR_SHAPE,
                          "node %.60s (%.30s): weights of %lld x %lld channels, input has %lld in "
                          "%lld groups",
                          node->name, node->op, (long long)w->dims[0], (long long)per_group,
                          (long long)g->in_channels, (long long)g->groups);
    }
    if (bias != NULL && (bias->rank != 1 || bias->dims[0] != g->out_channels)) {
        return ledge_fail(err, LEDGE_ERR_SHAPE, "node %.60s (%.30s): bias needs %lld elements",
                          node->name, node->op, (long long)g->out_channels);
    }
    return LEDGE_OK;
}

int64_t ledge_conv_macs(const struct ledge_geometry *g)
{
    return g->batch * g->out_channels * ledge_volume(g->out) * ledge_volume(g->kernel) *
           (g->in_channels / g->groups);
}

/* All of f32, or all of f64. */
static enum ledge_status one_type(const struct ledge_op_infer *infer)
{
    const struct ledge_value *x = ledge_infer_in(infer, 0);
    enum ledge_dtype dtype = x != NULL && x->dtype == LEDGE_F64 ? LEDGE_F64 : LEDGE_F32;
    for (int32_t i = 0; i < 3; i++) {
        const struct ledge_value *value = ledge_infer_in(infer, i);
        if (value != NULL && value->dtype != dtype) {
            return ledge_infer_fail(infer, LEDGE_ERR_DTYPE, "input %s is %s, not %s", value->name,
                                    ledge_dtype_text(value->dtype), ledge_dtype_text(dtype));
        }
    }
    return LEDGE_OK;
}

enum ledge_status ledge_conv_infer(struct ledge_op_infer *infer)
{
    struct ledge_geometry g;
    int64_t dims[LEDGE_MAX_RANK];
    const struct ledge_value *x = ledge_infer_in(infer, 0);
    LEDGE_TRY(one_type(infer));
    LEDGE_TRY(ledge_conv_geometry(infer->node, x, ledge_infer_in(infer, 1),
                                  ledge_infer_in(infer, 2), &g, infer->err));
    ledge_spatial_dims(&g, x->rank, dims);
    return ledge_infer_out(infer, 0, x->dtype, x->rank, dims);
}

static bool is_constant(const struct ledge_value *value)
{
    return value != NULL && value->data != NULL;
}

static void pack(const struct ledge_op_prepare *prepare, void *packed)
{
    ledge_conv_f32_pack(prepare->params, ledge_prepare_in(prepare, 1)->data, packed);
}

/* Weights that are constant are packed once, others in each run. */
static enum ledge_status choose_fast(struct ledge_op_prepare *prepare, struct ledge_conv_fast *fast)
{
    const struct ledge_value *w = ledge_prepare_in(prepare, 1);
    const struct ledge_f32_kernels *isa = ledge_f32_for(prepare->rung, prepare->consistent);
    int64_t *tap_at =
        LEDGE_NEW_ARRAY(prepare->memory, int64_t, (size_t)ledge_volume(fast->base.g.kernel));
    if (tap_at == NULL) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_NOMEM, "no memory");
    }
    ledge_conv_f32_plan(fast, isa, prepare->threads, tap_at);
    if (is_constant(w) && fast->packed_floats > 0) {
        prepare->packed_bytes = fast->packed_floats * sizeof(float);
        prepare->pack = LEDGE_PACKER(pack);
        prepare->packed_inputs = 1u << 1;
    }
    prepare->scratch_bytes = ledge_conv_f32_scratch(fast, prepare->pack != NULL) * sizeof(float);
    prepare->run = ledge_conv_f32_fast;
    prepare->kernel = fast->depthwise ? isa->depthwise : isa->conv;
    return LEDGE_OK;
}

enum ledge_status ledge_conv_prepare(struct ledge_op_prepare *prepare)
{
    struct ledge_conv_fast *fast = LEDGE_NEW(prepare->memory, struct ledge_conv_fast);
    if (fast == NULL) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_NOMEM, "no memory");
    }
    struct ledge_conv_params *params = &fast->base;
    LEDGE_TRY(ledge_conv_geometry(prepare->node, ledge_prepare_in(prepare, 0),
                                  ledge_prepare_in(prepare, 1), ledge_prepare_in(prepare, 2),
                                  &params->g, prepare->err));
    params->clamp = ledge_node_clamp(prepare->node);
    prepare->params = fast;
    prepare->macs = ledge_conv_macs(&params->g);
    bool wide = ledge_prepare_in(prepare, 0)->dtype == LEDGE_F64;
    if (!wide && ledge_conv_f32_is_fast(&params->g)) {
        return choose_fast(prepare, fast);
    }
    prepare->run = LEDGE_KERNEL(conv_direct, ledge_conv_f32_c);
    prepare->kernel = wide ? "conv_f64_c" : "conv_f32_direct";
    return LEDGE_OK;
}

static enum ledge_status transpose_geometry(const struct ledge_node *node,
                                            const struct ledge_value *x,
                                            const struct ledge_value *w,
                                            const struct ledge_value *bias,
                                            struct ledge_geometry *g, struct ledge_error *err)
{
    struct ledge_spatial spatial = {.node = node, .x = x, .err = err};
    if (x == NULL || w == NULL || x->rank != w->rank || x->rank < 3) {
        return ledge_fail(err, LEDGE_ERR_SHAPE,
                          "node %.60s (%.30s): input and weights need the same rank, at least 3",
                          node->name, node->op);
    }
    enum ledge_layout layout = ledge_node_layout(node);
    int64_t groups = ledge_node_int(node, "group", 1);
    int64_t in = layout == LEDGE_NCHW ? x->dims[1] : x->dims[x->rank - 1];
    int64_t in_w = layout == LEDGE_NCHW ? w->dims[0] : w->dims[w->rank - 1];
    if (groups < 1 || groups > in || in % groups != 0 ||
        (layout == LEDGE_NCHW ? in_w != in : in_w != in / groups || w->dims[0] % groups != 0)) {
        return ledge_fail(err, LEDGE_ERR_SHAPE,
                          "node %.60s (%.30s): weights for %lld channels, input has %lld in %lld "
                          "groups",
                          node->name, node->op, (long long)in_w, (long long)in, (long long)groups);
    }
    if (w->dims[1] > INT32_MAX) {
        return ledge_fail(err, LEDGE_ERR_SHAPE, "node %.60s (%.30s): too many channels", node->name,
                          node->op);
    }
    int64_t out = layout == LEDGE_NCHW ? w->dims[1] * groups : w->dims[0];
    LEDGE_TRY(ledge_spatial_read_transposed(&spatial, ledge_spatial_kernel(w, layout), x->rank - 2,
                                            out, g));
    g->groups = groups;
    if (bias != NULL && (bias->rank != 1 || bias->dims[0] != out)) {
        return ledge_fail(err, LEDGE_ERR_SHAPE, "node %.60s (%.30s): bias needs %lld elements",
                          node->name, node->op, (long long)out);
    }
    return LEDGE_OK;
}

enum ledge_status ledge_conv_transpose_infer(struct ledge_op_infer *infer)
{
    struct ledge_geometry g;
    int64_t dims[LEDGE_MAX_RANK];
    const struct ledge_value *x = ledge_infer_in(infer, 0);
    LEDGE_TRY(one_type(infer));
    LEDGE_TRY(transpose_geometry(infer->node, x, ledge_infer_in(infer, 1), ledge_infer_in(infer, 2),
                                 &g, infer->err));
    ledge_spatial_dims(&g, x->rank, dims);
    return ledge_infer_out(infer, 0, x->dtype, x->rank, dims);
}

enum ledge_status ledge_conv_transpose_prepare(struct ledge_op_prepare *prepare)
{
    struct ledge_conv_params *params = LEDGE_NEW(prepare->memory, struct ledge_conv_params);
    if (params == NULL) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_NOMEM, "no memory");
    }
    LEDGE_TRY(transpose_geometry(prepare->node, ledge_prepare_in(prepare, 0),
                                 ledge_prepare_in(prepare, 1), ledge_prepare_in(prepare, 2),
                                 &params->g, prepare->err));
    params->clamp = ledge_node_clamp(prepare->node);
    prepare->params = params;
    prepare->macs = params->g.batch * params->g.in_channels * ledge_volume(params->g.in) *
                    ledge_volume(params->g.kernel) * (params->g.out_channels / params->g.groups);
    prepare->run = ledge_conv_transpose_f32_c;
    prepare->kernel = ledge_prepare_in(prepare, 0)->dtype == LEDGE_F64 ? "conv_transpose_f64_c"
                                                                       : "conv_transpose_f32_c";
    return LEDGE_OK;
}
