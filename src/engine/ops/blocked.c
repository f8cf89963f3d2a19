/* SPDX-License-Identifier: Apache-2.0 */
/* blocked.c -- shapes and kernels of the operators in blocked.h. Their nodes come from the layout
 * step, but a file may hold such a node, too: everything is checked. */
#include "engine/ops/blocked.h"

#include <string.h>

#include "base/status.h"
#include "engine/ops/core.h"
#include "engine/ops/spatial.h"

#include "base/banned.h"

enum { MAX_BLOCK = 64, MAX_CHANNELS = 1 << 24, MAX_PLANAR = 64 };

static int64_t ceil_div(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

static enum ledge_status fail(const struct ledge_node *node, struct ledge_error *err,
                              const char *text)
{
    return ledge_fail(err, LEDGE_ERR_SHAPE, "node %.60s (%.30s): %s", node->name, node->op, text);
}

static bool is_blocked(const struct ledge_value *x)
{
    return x != NULL && x->dtype == LEDGE_F32 && x->rank == 5 && x->dims[4] >= 1 &&
           x->dims[4] <= MAX_BLOCK && x->dims[1] <= MAX_CHANNELS;
}

/* The plain tensor that a blocked one with so many channels stands for. */
static struct ledge_value plain_of(const struct ledge_value *x, int64_t channels,
                                   enum ledge_layout layout)
{
    struct ledge_value plain = {.name = x->name, .dtype = x->dtype, .rank = 4, .producer = -1};
    bool nchw = layout == LEDGE_NCHW;
    plain.dims[0] = x->dims[0];
    plain.dims[nchw ? 1 : 3] = channels;
    plain.dims[nchw ? 2 : 1] = x->dims[2];
    plain.dims[nchw ? 3 : 2] = x->dims[3];
    return plain;
}

static enum ledge_status infer_blocked(struct ledge_op_infer *infer, const struct ledge_geometry *g,
                                       int64_t block)
{
    const int64_t dims[5] = {g->batch, ceil_div(g->out_channels, block), g->out[1], g->out[2],
                             block};
    return ledge_infer_out(infer, 0, LEDGE_F32, 5, dims);
}

static const struct {
    const char *op;
    enum ledge_blocked_function function;
    float alpha, beta; /* defaults of the attributes */
} functions[] = {
    {"HardSigmoid", LEDGE_BLOCKED_HARD_SIGMOID, 0.2f, 0.5f},
    {"HardSwish", LEDGE_BLOCKED_HARD_SWISH, 0, 0},
    {"LeakyRelu", LEDGE_BLOCKED_LEAKY, 0.01f, 0},
    {"Sigmoid", LEDGE_BLOCKED_SIGMOID, 0, 0},
    {"Swish", LEDGE_BLOCKED_SWISH, 0, 0},
};

bool ledge_blocked_is_function(const char *op)
{
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
        if (strcmp(functions[i].op, op) == 0) {
            return true;
        }
    }
    return false;
}

struct ledge_blocked_activation ledge_blocked_activation_of(const struct ledge_node *node)
{
    struct ledge_blocked_activation a = {.function = LEDGE_BLOCKED_NONE};
    const char *name = ledge_node_string(node, "activation", "");
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
        if (strcmp(functions[i].op, name) == 0) {
            a.function = functions[i].function;
            a.alpha = ledge_node_float(node, "alpha", functions[i].alpha);
            a.beta = ledge_node_float(node, "beta", functions[i].beta);
        }
    }
    return a;
}

/* -- convolution ----------------------------------------------------------------------------------
 */

enum ledge_status ledge_blocked_geometry(const struct ledge_node *node, const struct ledge_value *x,
                                         const struct ledge_value *w,
                                         const struct ledge_value *bias, struct ledge_geometry *g,
                                         struct ledge_error *err)
{
    int64_t block = ledge_node_int(node, "block", 0);
    int64_t group = ledge_node_int(node, "group", 1);
    enum ledge_layout layout = ledge_node_layout(node);
    if (x == NULL || w == NULL || w->rank != 4 || w->data == NULL || w->dtype != LEDGE_F32 ||
        x->dtype != LEDGE_F32 ||
        (bias != NULL && (bias->data == NULL || bias->dtype != LEDGE_F32)) || block < 1 ||
        block > MAX_BLOCK || group < 1 || group > MAX_CHANNELS) {
        return fail(node, err, "needs f32, constant weights and a block");
    }
    if (x->rank == 4) {
        LEDGE_TRY(ledge_conv_geometry(node, x, w, bias, g, err));
        return g->groups == 1 && g->in_channels <= MAX_PLANAR
                   ? LEDGE_OK
                   : fail(node, err, "a plain input needs few channels and one group");
    }
    int64_t per_group = w->dims[layout == LEDGE_NCHW ? 1 : 3];
    if (!is_blocked(x) || x->dims[4] != block || per_group > MAX_CHANNELS ||
        x->dims[1] != ceil_div(per_group * group, block)) {
        return fail(node, err, "the input is not blocked as the weights need it");
    }
    struct ledge_value plain = plain_of(x, per_group * group, layout);
    return ledge_conv_geometry(node, &plain, w, bias, g, err);
}

static enum ledge_status blocked_conv_infer(struct ledge_op_infer *infer)
{
    struct ledge_geometry g;
    const struct ledge_value *add = ledge_infer_in(infer, 3);
    LEDGE_TRY(ledge_blocked_geometry(infer->node, ledge_infer_in(infer, 0),
                                     ledge_infer_in(infer, 1), ledge_infer_in(infer, 2), &g,
                                     infer->err));
    LEDGE_TRY(infer_blocked(infer, &g, ledge_node_int(infer->node, "block", 0)));
    const struct ledge_value *out = &infer->graph->values[infer->node->out[0]];
    if (add != NULL && (add->rank != 5 || add->dtype != LEDGE_F32 ||
                        memcmp(add->dims, out->dims, 5 * sizeof *out->dims) != 0)) {
        return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "the addend is not like the output");
    }
    return LEDGE_OK;
}

static const float *bias_of(const struct ledge_op_prepare *prepare)
{
    const struct ledge_value *bias = ledge_prepare_in(prepare, 2);
    return bias != NULL ? bias->data : NULL;
}

static void pack_dense(const struct ledge_op_prepare *prepare, void *packed)
{
    ledge_blocked_conv_pack(prepare->params, ledge_prepare_in(prepare, 1)->data, bias_of(prepare),
                            packed);
}

static void pack_depthwise(const struct ledge_op_prepare *prepare, void *packed)
{
    ledge_blocked_depthwise_pack(prepare->params, ledge_prepare_in(prepare, 1)->data,
                                 bias_of(prepare), packed);
}

static enum ledge_status prepare_dense(struct ledge_op_prepare *prepare,
                                       const struct ledge_geometry *g)
{
    struct ledge_blocked_conv *conv = LEDGE_NEW(prepare->memory, struct ledge_blocked_conv);
    int64_t *tap_at = LEDGE_NEW_ARRAY(prepare->memory, int64_t, (size_t)ledge_volume(g->kernel));
    if (conv == NULL || tap_at == NULL) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_NOMEM, "no memory");
    }
    conv->g = *g;
    conv->clamp = ledge_node_clamp(prepare->node);
    conv->activation = ledge_blocked_activation_of(prepare->node);
    conv->isa = ledge_blocked_for(prepare->rung, prepare->consistent);
    conv->planar = ledge_prepare_in(prepare, 0)->rank == 4;
    conv->bf16 = prepare->bf16;
    ledge_blocked_conv_plan(conv, prepare->threads, tap_at);
    prepare->packed_bytes = ledge_blocked_conv_floats(conv) * sizeof(float);
    prepare->pack = LEDGE_PACKER(pack_dense);
    prepare->packs_all = true;
    prepare->packed_inputs = prepare->loose_inputs = 1u << 1;
    prepare->params = conv;
    prepare->scratch_bytes = conv->worker_floats * (size_t)prepare->threads * sizeof(float);
    prepare->run = ledge_blocked_conv_run;
    prepare->kernel = conv->winograd ? conv->isa->winograd
                      : conv->bf16   ? conv->isa->conv_bf16
                                     : conv->isa->conv;
    return LEDGE_OK;
}

static struct ledge_blocked_rows *new_rows(struct ledge_op_prepare *prepare,
                                           const struct ledge_geometry *g)
{
    struct ledge_blocked_rows *rows = LEDGE_NEW(prepare->memory, struct ledge_blocked_rows);
    if (rows != NULL) {
        rows->g = *g;
        rows->clamp = ledge_node_clamp(prepare->node);
        rows->activation = ledge_blocked_activation_of(prepare->node);
        rows->isa = ledge_blocked_for(prepare->rung, prepare->consistent);
        rows->blocks = ledge_prepare_in(prepare, 0)->dims[1];
        rows->g.batch = g->batch * rows->blocks;
        ledge_blocked_rows_plan(rows, prepare->threads);
    }
    return rows;
}

static enum ledge_status prepare_depthwise(struct ledge_op_prepare *prepare,
                                           const struct ledge_geometry *g)
{
    struct ledge_blocked_rows *rows = new_rows(prepare, g);
    if (rows == NULL) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_NOMEM, "no memory");
    }
    size_t row_bytes = (size_t)(g->in[2] * rows->isa->block) * sizeof(float);
    rows->zeros = ledge_arena_alloc(prepare->memory, row_bytes, 64);
    if (rows->zeros == NULL) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_NOMEM, "no memory");
    }
    prepare->packed_bytes = ledge_blocked_depthwise_floats(rows) * sizeof(float);
    prepare->pack = LEDGE_PACKER(pack_depthwise);
    prepare->packs_all = true;
    prepare->packed_inputs = prepare->loose_inputs = 1u << 1;
    prepare->params = rows;
    prepare->run = ledge_blocked_depthwise_run;
    prepare->kernel = rows->isa->depthwise;
    return LEDGE_OK;
}

static enum ledge_status blocked_conv_prepare(struct ledge_op_prepare *prepare)
{
    struct ledge_geometry g;
    const struct ledge_value *x = ledge_prepare_in(prepare, 0), *w = ledge_prepare_in(prepare, 1);
    const struct ledge_value *bias = ledge_prepare_in(prepare, 2);
    const struct ledge_blocked_kernels *isa = ledge_blocked_for(prepare->rung, prepare->consistent);
    LEDGE_TRY(ledge_blocked_geometry(prepare->node, x, w, bias, &g, prepare->err));
    prepare->macs = ledge_conv_macs(&g);
    if (ledge_node_int(prepare->node, "block", 0) == isa->block) {
        if (x->rank == 5 && g.groups > 1 && ledge_blocked_depthwise_fits(&g)) {
            return prepare_depthwise(prepare, &g);
        }
        if (ledge_blocked_conv_fits(&g, isa->block)) {
            return prepare_dense(prepare, &g);
        }
    }
    return ledge_prepare_fail(prepare, LEDGE_ERR_UNSUPPORTED, "not done for blocks of %lld",
                              (long long)ledge_node_int(prepare->node, "block", 0));
}

/* -- pooling --------------------------------------------------------------------------------------
 */

static bool is_global(const struct ledge_node *node)
{
    return strstr(node->op, "Global") != NULL;
}

bool ledge_blocked_window(const struct ledge_node *node, const struct ledge_value *x,
                          struct ledge_geometry *g)
{
    struct ledge_error ignored = {.status = LEDGE_OK};
    struct ledge_spatial spatial = {.node = node, .x = x, .err = &ignored};
    enum ledge_layout layout = ledge_node_layout(node);
    if (x->rank != 4) {
        return false;
    }
    size_t n = 2;
    const int64_t *plane = ledge_spatial_kernel(x, layout);
    const int64_t *kernel = is_global(node) ? plane : ledge_node_ints(node, "kernel_shape", &n);
    int64_t channels = x->dims[layout == LEDGE_NCHW ? 1 : 3];
    if (kernel == NULL || n != 2 ||
        ledge_spatial_read(&spatial, kernel, 2, channels, g) != LEDGE_OK) {
        return false;
    }
    g->groups = channels;
    for (int i = 1; i < 3; i++) {
        if (g->in[i] < 1 || g->dilation[i] != 1 || g->pad[i] >= g->kernel[i] ||
            g->pad_end[i] >= g->kernel[i]) {
            return false; /* a window without any element */
        }
    }
    return g->batch * channels < MAX_CHANNELS && channels < MAX_CHANNELS && g->batch < MAX_CHANNELS;
}

enum ledge_status ledge_blocked_pool_geometry(const struct ledge_node *node,
                                              const struct ledge_value *x, struct ledge_geometry *g,
                                              struct ledge_error *err)
{
    if (!is_blocked(x)) {
        return fail(node, err, "the input is not blocked");
    }
    struct ledge_value plain = plain_of(x, x->dims[1] * x->dims[4], ledge_node_layout(node));
    return ledge_blocked_window(node, &plain, g) ? LEDGE_OK
                                                 : fail(node, err, "not done for this window");
}

static enum ledge_status blocked_pool_infer(struct ledge_op_infer *infer)
{
    struct ledge_geometry g;
    const struct ledge_value *x = ledge_infer_in(infer, 0);
    LEDGE_TRY(ledge_blocked_pool_geometry(infer->node, x, &g, infer->err));
    return infer_blocked(infer, &g, x->dims[4]);
}

static enum ledge_status blocked_pool_prepare(struct ledge_op_prepare *prepare)
{
    struct ledge_geometry g;
    const struct ledge_value *x = ledge_prepare_in(prepare, 0);
    LEDGE_TRY(ledge_blocked_pool_geometry(prepare->node, x, &g, prepare->err));
    struct ledge_blocked_rows *rows = new_rows(prepare, &g);
    if (rows == NULL) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_NOMEM, "no memory");
    }
    if (x->dims[4] != rows->isa->block) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_UNSUPPORTED, "not done for blocks of %lld",
                                  (long long)x->dims[4]);
    }
    rows->max = strstr(prepare->node->op, "Max") != NULL;
    rows->count_pad = ledge_node_int(prepare->node, "count_include_pad", 0) != 0;
    prepare->params = rows;
    prepare->run = ledge_blocked_pool_run;
    prepare->kernel = rows->isa->pool;
    return LEDGE_OK;
}

/* -- single elements ------------------------------------------------------------------------------
 */

static enum ledge_status blocked_activation_infer(struct ledge_op_infer *infer)
{
    const struct ledge_value *x = ledge_infer_in(infer, 0);
    if (!is_blocked(x) || ledge_blocked_activation_of(infer->node).function == LEDGE_BLOCKED_NONE) {
        return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "needs a blocked input and a function");
    }
    return ledge_infer_out(infer, 0, LEDGE_F32, 5, x->dims);
}

static enum ledge_status blocked_gate_infer(struct ledge_op_infer *infer)
{
    const struct ledge_value *x = ledge_infer_in(infer, 0), *gate = ledge_infer_in(infer, 1);
    if (!is_blocked(x) || !is_blocked(gate) || gate->dims[0] != x->dims[0] ||
        gate->dims[1] != x->dims[1] || gate->dims[2] != 1 || gate->dims[3] != 1 ||
        gate->dims[4] != x->dims[4]) {
        return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "needs one gate for each channel");
    }
    return ledge_infer_out(infer, 0, LEDGE_F32, 5, x->dims);
}

static enum ledge_status prepare_elements(struct ledge_op_prepare *prepare, ledge_kernel_fn run)
{
    struct ledge_blocked_elements *e = LEDGE_NEW(prepare->memory, struct ledge_blocked_elements);
    const struct ledge_value *x = ledge_prepare_in(prepare, 0);
    if (e == NULL) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_NOMEM, "no memory");
    }
    e->isa = ledge_blocked_for(prepare->rung, prepare->consistent);
    e->activation = ledge_blocked_activation_of(prepare->node);
    e->planes = x->dims[0] * x->dims[1];
    e->pixels = x->dims[2] * x->dims[3];
    if (x->dims[4] != e->isa->block || e->planes > INT32_MAX) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_UNSUPPORTED, "not done for blocks of %lld",
                                  (long long)x->dims[4]);
    }
    prepare->params = e;
    prepare->run = run;
    prepare->in_place = 0;
    prepare->kernel = e->isa->activation;
    return LEDGE_OK;
}

static enum ledge_status blocked_activation_prepare(struct ledge_op_prepare *prepare)
{
    return prepare_elements(prepare, ledge_blocked_activation_run);
}

static enum ledge_status blocked_gate_prepare(struct ledge_op_prepare *prepare)
{
    return prepare_elements(prepare, ledge_blocked_gate_run);
}

/* -- borders --------------------------------------------------------------------------------------
 */

static enum ledge_status to_blocked_infer(struct ledge_op_infer *infer)
{
    const struct ledge_value *x = ledge_infer_in(infer, 0);
    int64_t block = ledge_node_int(infer->node, "block", 0);
    bool nchw = ledge_node_layout(infer->node) == LEDGE_NCHW;
    if (x == NULL || x->rank != 4 || x->dtype != LEDGE_F32 || block < 1 || block > MAX_BLOCK ||
        x->dims[nchw ? 1 : 3] > MAX_CHANNELS || x->dims[0] > MAX_CHANNELS) {
        return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "needs an f32 picture and a block");
    }
    const int64_t dims[5] = {x->dims[0], ceil_div(x->dims[nchw ? 1 : 3], block),
                             x->dims[nchw ? 2 : 1], x->dims[nchw ? 3 : 2], block};
    return ledge_infer_out(infer, 0, LEDGE_F32, 5, dims);
}

static enum ledge_status from_blocked_infer(struct ledge_op_infer *infer)
{
    const struct ledge_value *x = ledge_infer_in(infer, 0);
    int64_t channels = ledge_node_int(infer->node, "channels", 0);
    if (!is_blocked(x) || channels < 1 || channels > MAX_CHANNELS || x->dims[0] > MAX_CHANNELS ||
        x->dims[1] != ceil_div(channels, x->dims[4])) {
        return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "the input is not blocked");
    }
    struct ledge_value plain = plain_of(x, channels, ledge_node_layout(infer->node));
    return ledge_infer_out(infer, 0, LEDGE_F32, 4, plain.dims);
}

/* blocked and plain: which of the node's tensors is which. */
static enum ledge_status prepare_move(struct ledge_op_prepare *prepare,
                                      const struct ledge_value *blocked,
                                      const struct ledge_value *plain, ledge_kernel_fn run,
                                      const char *kernel)
{
    struct ledge_blocked_move *move = LEDGE_NEW(prepare->memory, struct ledge_blocked_move);
    if (move == NULL) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_NOMEM, "no memory");
    }
    move->layout = ledge_node_layout(prepare->node);
    move->batch = blocked->dims[0];
    move->channels = plain->dims[move->layout == LEDGE_NCHW ? 1 : 3];
    move->pixels = blocked->dims[2] * blocked->dims[3];
    move->block = blocked->dims[4];
    prepare->params = move;
    if (move->pixels == 1 && move->channels % move->block == 0) {
        prepare->alias = 0;
        return LEDGE_OK;
    }
    if (move->batch * blocked->dims[1] > INT32_MAX) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_SHAPE, "too many channels");
    }
    prepare->run = run;
    prepare->kernel = kernel;
    return LEDGE_OK;
}

static enum ledge_status to_blocked_prepare(struct ledge_op_prepare *prepare)
{
    return prepare_move(prepare, ledge_prepare_out(prepare, 0), ledge_prepare_in(prepare, 0),
                        ledge_to_blocked_run, "to_blocked");
}

static enum ledge_status from_blocked_prepare(struct ledge_op_prepare *prepare)
{
    return prepare_move(prepare, ledge_prepare_in(prepare, 0), ledge_prepare_out(prepare, 0),
                        ledge_from_blocked_run, "from_blocked");
}

static const struct ledge_op ops[] = {
    {"ledge", "BlockedBands", ledge_blocked_bands_infer, ledge_blocked_bands_prepare},
    {"ledge", "ToBlocked", to_blocked_infer, to_blocked_prepare},
    {"ledge", "FromBlocked", from_blocked_infer, from_blocked_prepare},
    {"ledge", "BlockedConv", blocked_conv_infer, blocked_conv_prepare},
    {"ledge", "BlockedActivation", blocked_activation_infer, blocked_activation_prepare},
    {"ledge", "BlockedGate", blocked_gate_infer, blocked_gate_prepare},
    {"ledge", "BlockedGather", ledge_blocked_gather_infer, ledge_blocked_gather_prepare},
    {"ledge", "BlockedMaxPool", blocked_pool_infer, blocked_pool_prepare},
    {"ledge", "BlockedAveragePool", blocked_pool_infer, blocked_pool_prepare},
    {"ledge", "BlockedGlobalAveragePool", blocked_pool_infer, blocked_pool_prepare},
    {"ledge", "BlockedGlobalMaxPool", blocked_pool_infer, blocked_pool_prepare},
};

const struct ledge_op_table ledge_ops_blocked = {
    .ops = ops, .n = (int32_t)(sizeof ops / sizeof ops[0]), .next = NULL};
