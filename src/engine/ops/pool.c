/* SPDX-License-Identifier: Apache-2.0 */
/* pool.c -- MaxPool-12, AveragePool-19, GlobalAveragePool-1, GlobalMaxPool-1,
 * LpPool-22, GlobalLpPool-22. */
#include "engine/kernels/pool.h"
#include "base/status.h"
#include "engine/ops/core.h"
#include "engine/ops/spatial.h"

static enum ledge_status window(const struct ledge_node *node, const struct ledge_value *x,
                                struct ledge_geometry *g, struct ledge_error *err)
{
    size_t n;
    const int64_t *kernel = ledge_node_ints(node, "kernel_shape", &n);
    if (x == NULL || kernel == NULL || n > 3) {
        return ledge_fail(err, LEDGE_ERR_FORMAT,
                          "node %.60s (%.30s): needs an input and a "
                          "kernel_shape",
                          node->name, node->op);
    }
    struct ledge_spatial spatial = {.node = node, .x = x, .err = err};
    int64_t channels =
        x->rank < 3 ? 0
                    : (ledge_node_layout(node) == LEDGE_NCHW ? x->dims[1] : x->dims[x->rank - 1]);
    LEDGE_TRY(ledge_spatial_read(&spatial, kernel, (int32_t)n, channels, g));
    for (int i = 0; i < 3; i++) {
        int64_t reach = (g->kernel[i] - 1) * g->dilation[i];
        if (g->pad[i] > reach || g->in[i] < 1) {
            return ledge_fail(err, LEDGE_ERR_SHAPE,
                              "node %.60s (%.30s): padding of %lld leaves a window empty",
                              node->name, node->op, (long long)g->pad[i]);
        }
    }
    return LEDGE_OK;
}

/* The whole plane as one window. */
static enum ledge_status whole(const struct ledge_node *node, const struct ledge_value *x,
                               struct ledge_geometry *g, struct ledge_error *err)
{
    if (x == NULL || x->rank < 3 || x->rank > 5) {
        return ledge_fail(err, LEDGE_ERR_SHAPE, "node %.60s (%.30s): input needs rank 3 to 5",
                          node->name, node->op);
    }
    bool nchw = ledge_node_layout(node) == LEDGE_NCHW;
    *g = (struct ledge_geometry){.layout = ledge_node_layout(node), .batch = x->dims[0]};
    g->in_channels = g->out_channels = nchw ? x->dims[1] : x->dims[x->rank - 1];
    g->groups = 1;
    for (int i = 0; i < 3; i++) {
        int at = i - (5 - x->rank);
        g->in[i] = at >= 0 ? x->dims[(nchw ? 2 : 1) + at] : 1;
        g->kernel[i] = g->in[i];
        g->out[i] = g->stride[i] = g->dilation[i] = 1;
        if (g->in[i] < 1) {
            return ledge_fail(err, LEDGE_ERR_SHAPE, "node %.60s (%.30s): empty input", node->name,
                              node->op);
        }
    }
    return LEDGE_OK;
}

static enum ledge_status infer_pool(struct ledge_op_infer *infer, bool global, bool integers)
{
    struct ledge_geometry g;
    int64_t dims[LEDGE_MAX_RANK];
    const struct ledge_value *x = ledge_infer_in(infer, 0);
    LEDGE_TRY(global ? whole(infer->node, x, &g, infer->err)
                     : window(infer->node, x, &g, infer->err));
    if (x->dtype != LEDGE_F32 && x->dtype != LEDGE_F64 &&
        !(integers && (x->dtype == LEDGE_U8 || x->dtype == LEDGE_I8))) {
        return ledge_infer_fail(infer, LEDGE_ERR_DTYPE, "input is %s", ledge_dtype_text(x->dtype));
    }
    ledge_spatial_dims(&g, x->rank, dims);
    LEDGE_TRY(ledge_infer_out(infer, 0, x->dtype, x->rank, dims));
    return ledge_infer_out(infer, 1, LEDGE_I64, x->rank, dims);
}

static enum ledge_status prepare_pool(struct ledge_op_prepare *prepare, bool global,
                                      ledge_kernel_fn run, const char *kernel)
{
    struct ledge_pool_params *params = LEDGE_NEW(prepare->memory, struct ledge_pool_params);
    const struct ledge_value *x = ledge_prepare_in(prepare, 0);
    if (params == NULL) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_NOMEM, "no memory");
    }
    LEDGE_TRY(global ? whole(prepare->node, x, &params->g, prepare->err)
                     : window(prepare->node, x, &params->g, prepare->err));
    params->clamp = ledge_node_clamp(prepare->node);
    params->count_pad = ledge_node_int(prepare->node, "count_include_pad", 0) != 0;
    params->power = (int32_t)ledge_node_int(prepare->node, "p", 2);
    params->column_major = ledge_node_int(prepare->node, "storage_order", 0) != 0;
    prepare->params = params;
    prepare->run = run;
    prepare->kernel = kernel;
    return LEDGE_OK;
}

static enum ledge_status prepare_max(struct ledge_op_prepare *prepare, bool global)
{
    const enum ledge_dtype dtype = ledge_prepare_in(prepare, 0)->dtype;
    const bool byte = dtype == LEDGE_U8 || dtype == LEDGE_I8;
    enum ledge_status status =
        prepare_pool(prepare, global, LEDGE_KERNEL(max_pool, ledge_max_pool_c), "max_pool_c");
    if (status == LEDGE_OK && ledge_prepare_out(prepare, 1) == NULL && dtype != LEDGE_F64) {
        struct ledge_pool_params *params = (struct ledge_pool_params *)prepare->params;
        const struct ledge_i8_kernels *isa = ledge_i8_for(prepare->rung);
        if (ledge_max_pool_is_fast(&params->g)) {
            params->isa = byte && ledge_max_pool_is_small(&params->g, isa) ? isa : NULL;
            prepare->run =
                byte ? LEDGE_KERNEL(max_pool_bytes, ledge_max_pool_fast) : ledge_max_pool_fast;
            prepare->kernel = params->isa != NULL ? isa->max_pool : "max_pool_rows";
            prepare->scratch_bytes = ledge_max_pool_scratch(&params->g, prepare->threads);
        }
    }
    return status;
}

enum ledge_status ledge_max_pool_infer(struct ledge_op_infer *infer)
{
    return infer_pool(infer, false, true);
}

enum ledge_status ledge_max_pool_prepare(struct ledge_op_prepare *prepare)
{
    return prepare_max(prepare, false);
}

enum ledge_status ledge_average_pool_infer(struct ledge_op_infer *infer)
{
    return infer_pool(infer, false, false);
}

enum ledge_status ledge_average_pool_prepare(struct ledge_op_prepare *prepare)
{
    return prepare_pool(prepare, false, ledge_average_pool_f32_c, "average_pool_f32_c");
}

enum ledge_status ledge_global_average_pool_infer(struct ledge_op_infer *infer)
{
    return infer_pool(infer, true, false);
}

enum ledge_status ledge_global_average_pool_prepare(struct ledge_op_prepare *prepare)
{
    return prepare_pool(prepare, true, ledge_global_average_pool_f32_c,
                        "global_average_pool_f32_c");
}

enum ledge_status ledge_global_max_pool_infer(struct ledge_op_infer *infer)
{
    return infer_pool(infer, true, true);
}

enum ledge_status ledge_global_max_pool_prepare(struct ledge_op_prepare *prepare)
{
    return prepare_max(prepare, true);
}

static enum ledge_status infer_lp(struct ledge_op_infer *infer, bool global)
{
    int64_t p = ledge_node_int(infer->node, "p", 2);
    if (p < 1 || p > INT32_MAX) {
        return ledge_infer_fail(infer, LEDGE_ERR_RANGE, "p is %lld", (long long)p);
    }
    return infer_pool(infer, global, false);
}

enum ledge_status ledge_lp_pool_infer(struct ledge_op_infer *infer)
{
    return infer_lp(infer, false);
}

enum ledge_status ledge_lp_pool_prepare(struct ledge_op_prepare *prepare)
{
    return prepare_pool(prepare, false, ledge_lp_pool_f32_c, "lp_pool_f32_c");
}

enum ledge_status ledge_global_lp_pool_infer(struct ledge_op_infer *infer)
{
    return infer_lp(infer, true);
}

enum ledge_status ledge_global_lp_pool_prepare(struct ledge_op_prepare *prepare)
{
    return prepare_pool(prepare, true, ledge_lp_pool_f32_c, "lp_pool_f32_c");
}
