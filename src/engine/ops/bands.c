/* SPDX-License-Identifier: Apache-2.0 */
/* bands.c -- BlockedBands: shapes and kernel of convolutions joined by plan/bands.c. A file may
 * hold such a node, too: everything is checked. */
#include <string.h>

#include "base/status.h"
#include "engine/kernels/bands.h"
#include "engine/ops/blocked.h"
#include "engine/ops/core.h"
#include "engine/ops/spatial.h"

#include "base/banned.h"

enum { EXPAND, DEPTH, PROJECT };

const char *const ledge_bands_parts[LEDGE_BANDS_PARTS] = {"expand", "depth", "project"};
const char *const ledge_bands_attributes[] = {
    "alpha", "auto_pad", "beta", "block",   "activation",   "clamp_high", "clamp_low", "dilations",
    "group", "layout",   "pads", "strides", "kernel_shape", "ceil_mode",  NULL};

enum { MAX_ATTRIBUTES = sizeof ledge_bands_attributes / sizeof ledge_bands_attributes[0] };

/* One convolution of the chain. */
struct part {
    struct ledge_node node; /* as it was before: op and attributes, no inputs */
    struct ledge_attr attrs[MAX_ATTRIBUTES];
    const struct ledge_value *w, *bias; /* NULL: there is no such part, or depth is a pooling */
    struct ledge_geometry g;
};

static bool is_attribute(const char *name)
{
    bool found = false;
    for (int i = 0; ledge_bands_attributes[i] != NULL; i++) {
        found = found || strcmp(ledge_bands_attributes[i], name) == 0;
    }
    return found;
}

static const struct ledge_value *value_of(const struct ledge_graph *graph,
                                          const struct ledge_node *node, int32_t i)
{
    return i < node->n_in && node->in[i] >= 0 ? &graph->values[node->in[i]] : NULL;
}

static const struct ledge_value *weights_of(const struct ledge_graph *graph,
                                            const struct ledge_node *joined, int32_t part)
{
    return value_of(graph, joined, LEDGE_BANDS_WEIGHTS + 2 * part);
}

static const struct ledge_value *bias_of(const struct ledge_graph *graph,
                                         const struct ledge_node *joined, int32_t part)
{
    return value_of(graph, joined, LEDGE_BANDS_WEIGHTS + 2 * part + 1);
}

/* The parts of a joined node: attributes without what stands before their names. */
static void read_parts(const struct ledge_graph *graph, const struct ledge_node *node,
                       struct part parts[LEDGE_BANDS_PARTS])
{
    for (int i = 0; i < LEDGE_BANDS_PARTS; i++) {
        struct part *part = &parts[i];
        size_t length = strlen(ledge_bands_parts[i]);
        part->node = *node;
        part->node.attrs = part->attrs;
        part->node.n_attrs = 0;
        part->w = weights_of(graph, node, i);
        part->bias = bias_of(graph, node, i);
        for (int32_t k = 0; k < node->n_attrs && part->node.n_attrs < MAX_ATTRIBUTES; k++) {
            const char *name = node->attrs[k].name;
            if (strncmp(name, ledge_bands_parts[i], length) == 0 && name[length] == '.' &&
                is_attribute(name + length + 1)) {
                part->attrs[part->node.n_attrs] = node->attrs[k];
                part->attrs[part->node.n_attrs++].name = name + length + 1;
            }
        }
    }
}

static enum ledge_status refuse(const struct ledge_node *node, struct ledge_error *err)
{
    return ledge_fail(err, LEDGE_ERR_SHAPE, "node %.60s (%.30s): not a chain that can be joined",
                      node->name, node->op);
}

static bool is_direct(const struct ledge_geometry *g)
{
    bool direct = g->groups == 1;
    for (int d = 0; d < 3; d++) {
        direct = direct && g->kernel[d] == 1 && g->stride[d] == 1 && g->pad[d] == 0 &&
                 g->in[d] == g->out[d];
    }
    return direct;
}

static bool fits(const struct part *part, int i)
{
    int32_t block = (int32_t)ledge_node_int(&part->node, "block", 0); /* checked by the geometry */
    return i == DEPTH ? part->g.groups > 1 && ledge_blocked_depthwise_fits(&part->g)
                      : part->g.groups == 1 && ledge_blocked_conv_fits(&part->g, block) &&
                            (i == EXPAND || is_direct(&part->g));
}

/* Fill the windows; y: the blocked tensor that comes out. */
static enum ledge_status shape(struct part parts[LEDGE_BANDS_PARTS], const struct ledge_value *x,
                               struct ledge_value *y, struct ledge_error *err)
{
    if (x == NULL || (parts[EXPAND].w == NULL && parts[PROJECT].w == NULL)) {
        return refuse(&parts[DEPTH].node, err);
    }
    *y = *x;
    y->producer = -1;
    for (int i = 0; i < LEDGE_BANDS_PARTS; i++) {
        struct part *part = &parts[i];
        if (part->w == NULL && i != DEPTH) {
            continue;
        }
        const struct ledge_geometry *g = &part->g;
        LEDGE_TRY(part->w == NULL
                      ? ledge_blocked_pool_geometry(&part->node, y, &part->g, err)
                      : ledge_blocked_geometry(&part->node, y, part->w, part->bias, &part->g, err));
        int64_t block = part->w == NULL ? y->dims[4] : ledge_node_int(&part->node, "block", 0);
        if (!fits(part, i) || (i > EXPAND && y->rank != 5)) {
            return refuse(&part->node, err);
        }
        y->rank = 5;
        y->dims[0] = g->batch;
        y->dims[1] = (g->out_channels + block - 1) / block;
        y->dims[2] = g->out[1];
        y->dims[3] = g->out[2];
        y->dims[4] = block;
    }
    return LEDGE_OK;
}

/* -- planning -------------------------------------------------------------------------------------
 */

struct setting {
    struct ledge_arena *memory;
    const struct ledge_blocked_kernels *isa;
    int32_t threads;
    bool planar; /* x is a plain tensor */
    bool force;
};

static struct ledge_blocked_conv *new_conv(const struct part *part, const struct setting *s,
                                           bool planar, int32_t threads)
{
    struct ledge_blocked_conv *conv = LEDGE_NEW(s->memory, struct ledge_blocked_conv);
    int64_t *tap_at = LEDGE_NEW_ARRAY(s->memory, int64_t, (size_t)ledge_volume(part->g.kernel));
    if (conv != NULL && tap_at != NULL) {
        conv->g = part->g;
        conv->clamp = ledge_node_clamp(&part->node);
        conv->activation = ledge_blocked_activation_of(&part->node);
        conv->isa = s->isa;
        conv->planar = planar;
        ledge_blocked_conv_plan(conv, threads, tap_at);
    }
    return tap_at != NULL ? conv : NULL;
}

static struct ledge_blocked_rows *new_rows(const struct part *part, const struct setting *s)
{
    struct ledge_blocked_rows *rows = LEDGE_NEW(s->memory, struct ledge_blocked_rows);
    size_t width = (size_t)(part->g.in[2] * s->isa->block);
    const float *zeros = LEDGE_NEW_ARRAY(s->memory, float, width);
    if (rows != NULL) {
        rows->g = part->g;
        rows->clamp = ledge_node_clamp(&part->node);
        rows->activation = ledge_blocked_activation_of(&part->node);
        rows->isa = s->isa;
        rows->blocks = (part->g.in_channels + s->isa->block - 1) / s->isa->block;
        rows->zeros = zeros;
        rows->max = part->w == NULL;
        rows->g.batch = part->g.batch * rows->blocks;
        ledge_blocked_rows_plan(rows, s->threads);
    }
    return zeros != NULL ? rows : NULL;
}

/* Units are what threads share: of nine one does five. They stay as they are where a unit would
 * have less than three blocks, whose tiles are as fast as those of four. */
static void even_units(struct ledge_blocked_conv *expand)
{
    if (expand->out_blocks >= 3 * (expand->units + 1)) {
        expand->units += expand->units % 2;
    }
}

/* NULL: no memory. pays is set. */
static struct ledge_bands *new_bands(const struct part parts[LEDGE_BANDS_PARTS],
                                     const struct setting *s, bool *pays)
{
    struct ledge_bands *bands = LEDGE_NEW(s->memory, struct ledge_bands);
    struct ledge_blocked_conv *expand =
        parts[EXPAND].w == NULL ? NULL : new_conv(&parts[EXPAND], s, s->planar, 1);
    struct ledge_blocked_rows *depth = new_rows(&parts[DEPTH], s);
    struct ledge_blocked_conv *project =
        parts[PROJECT].w == NULL ? NULL : new_conv(&parts[PROJECT], s, false, s->threads);
    if (bands == NULL || depth == NULL || (expand == NULL && parts[EXPAND].w != NULL) ||
        (project == NULL && parts[PROJECT].w != NULL)) {
        return NULL;
    }
    if (expand != NULL && expand->direct && expand->vector == NULL) {
        even_units(expand);
    }
    bands->expand = expand;
    bands->depth = depth;
    bands->project = project;
    bands->batch = parts[DEPTH].g.batch;
    bands->depth_at = expand != NULL ? ledge_blocked_conv_floats(expand) : 0;
    bands->project_at = bands->depth_at + (depth->max ? 0 : ledge_blocked_depthwise_floats(depth));
    bool splits = (expand != NULL && expand->winograd) || (project != NULL && project->winograd);
    *pays = !splits && ledge_bands_plan(bands, s->threads, s->force);
    return bands;
}

bool ledge_blocked_bands_pay(const struct ledge_graph *graph,
                             const struct ledge_node *const nodes[LEDGE_BANDS_PARTS],
                             const struct ledge_blocked_kernels *isa, int32_t threads, bool force,
                             bool *pays)
{
    *pays = false;
    struct part parts[LEDGE_BANDS_PARTS];
    struct ledge_error ignored = {.status = LEDGE_OK};
    struct ledge_value y;
    const struct ledge_value *x = NULL;
    for (int i = 0; i < LEDGE_BANDS_PARTS; i++) {
        parts[i].w = parts[i].bias = NULL;
        if (nodes[i] != NULL) {
            parts[i].node = *nodes[i];
            parts[i].w = value_of(graph, nodes[i], 1);
            parts[i].bias = value_of(graph, nodes[i], 2);
            x = x == NULL ? value_of(graph, nodes[i], 0) : x;
        }
    }
    if (shape(parts, x, &y, &ignored) != LEDGE_OK) {
        return true;
    }
    struct ledge_arena memory;
    ledge_arena_init(&memory, &graph->arena.allocator);
    struct setting setting = {
        .memory = &memory, .isa = isa, .threads = threads, .planar = x->rank == 4, .force = force};
    bool made = new_bands(parts, &setting, pays) != NULL;
    ledge_arena_done(&memory);
    return made;
}

/* -- the operator ---------------------------------------------------------------------------------
 */

enum ledge_status ledge_blocked_bands_infer(struct ledge_op_infer *infer)
{
    struct part parts[LEDGE_BANDS_PARTS];
    struct ledge_value y;
    const struct ledge_value *add = ledge_infer_in(infer, 1);
    read_parts(infer->graph, infer->node, parts);
    LEDGE_TRY(shape(parts, ledge_infer_in(infer, 0), &y, infer->err));
    if (add != NULL && (parts[PROJECT].w == NULL || add->rank != 5 || add->dtype != LEDGE_F32 ||
                        memcmp(add->dims, y.dims, 5 * sizeof *y.dims) != 0)) {
        return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "the addend is not like the output");
    }
    return ledge_infer_out(infer, 0, LEDGE_F32, 5, y.dims);
}

static void pack(const struct ledge_op_prepare *prepare, void *packed)
{
    const struct ledge_bands *bands = prepare->params;
    const struct ledge_graph *graph = prepare->graph;
    const float *w[LEDGE_BANDS_PARTS], *bias[LEDGE_BANDS_PARTS];
    float *to = packed;
    for (int32_t i = 0; i < LEDGE_BANDS_PARTS; i++) {
        const struct ledge_value *value = weights_of(graph, prepare->node, i);
        w[i] = value != NULL ? value->data : NULL;
        value = bias_of(graph, prepare->node, i);
        bias[i] = value != NULL ? value->data : NULL;
    }
    if (bands->expand != NULL) {
        ledge_blocked_conv_pack(bands->expand, w[EXPAND], bias[EXPAND], to);
    }
    if (w[DEPTH] != NULL) {
        ledge_blocked_depthwise_pack(bands->depth, w[DEPTH], bias[DEPTH], to + bands->depth_at);
    }
    if (bands->project != NULL) {
        ledge_blocked_conv_pack(bands->project, w[PROJECT], bias[PROJECT], to + bands->project_at);
    }
}

enum ledge_status ledge_blocked_bands_prepare(struct ledge_op_prepare *prepare)
{
    struct part parts[LEDGE_BANDS_PARTS];
    struct ledge_value y;
    const struct ledge_value *x = ledge_prepare_in(prepare, 0);
    struct setting setting = {.memory = prepare->memory,
                              .isa = ledge_blocked_for(prepare->rung, prepare->consistent),
                              .threads = prepare->threads,
                              .planar = x->rank == 4,
                              .force = true};
    read_parts(prepare->graph, prepare->node, parts);
    LEDGE_TRY(shape(parts, x, &y, prepare->err));
    for (int i = 0; i < LEDGE_BANDS_PARTS; i++) {
        if (parts[i].w != NULL &&
            ledge_node_int(&parts[i].node, "block", 0) != setting.isa->block) {
            return refuse(prepare->node, prepare->err);
        }
        prepare->macs += parts[i].w != NULL ? ledge_conv_macs(&parts[i].g) : 0;
    }
    bool can = false;
    struct ledge_bands *bands = new_bands(parts, &setting, &can);
    if (bands == NULL) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_NOMEM, "no memory");
    }
    if (!can) {
        return refuse(prepare->node, prepare->err);
    }
    size_t floats = bands->project_at;
    floats += bands->project != NULL ? ledge_blocked_conv_floats(bands->project) : 0;
    prepare->packed_bytes = floats * sizeof(float);
    prepare->pack = LEDGE_PACKER(pack);
    prepare->packs_all = true;
    for (int i = 0; i < LEDGE_BANDS_PARTS; i++) {
        prepare->packed_inputs |= 1u << (LEDGE_BANDS_WEIGHTS + 2 * i);
    }
    prepare->loose_inputs = prepare->packed_inputs;
    prepare->params = bands;
    prepare->scratch_bytes =
        (bands->shared_floats + bands->worker_floats * (size_t)prepare->threads) * sizeof(float);
    prepare->run = ledge_bands_run;
    prepare->kernel = setting.isa->bands;
    return LEDGE_OK;
}
