/* SPDX-License-Identifier: Apache-2.0 */
/* bands_i8.c -- join steps that are 8-bit convolutions of a chain: expand, depthwise, project, one
 * step in the place of the last of them (kernels/bands_i8.h).
 *
 * Steps that are prepared are joined, not nodes: each part keeps its inputs, its packing and its
 * epilogue, whichever operator it comes from. What lies between is no input of the joined step, so
 * that nobody gives it memory. */
#include <string.h>

#include "base/status.h"
#include "engine/kernels/bands_i8.h"
#include "engine/plan/internal.h"

enum { EXPAND, DEPTH, PROJECT, PARTS = LEDGE_BANDS_I8_PARTS };

/* The params come first: a kernel knows only them. */
struct joined {
    struct ledge_bands_i8 bands;
    struct ledge_op_prepare part[PARTS]; /* run NULL: there is none */
};

static size_t padded(size_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

struct search {
    struct ledge_plan *plan;
    struct ledge_plan_step *steps;
    int32_t *maker, *reader; /* step of a value; -1: none */
    int32_t *reads;
    bool force;
};

/* Every byte, also those between the parts. */
static void pack(const struct ledge_op_prepare *prepare, void *packed)
{
    const struct joined *made = prepare->params;
    for (int i = 0; i < PARTS; i++) {
        const struct ledge_op_prepare *part = &made->part[i];
        char *at = (char *)packed + made->bands.packed[i];
        if (part->run != NULL) {
            size_t from = part->packs_all ? part->packed_bytes : 0;
            memset(at + from, 0, padded(part->packed_bytes) - from);
            part->pack(part, at);
        }
    }
}

static void bind(struct ledge_op_prepare *prepare, const void *packed)
{
    struct joined *made = (struct joined *)prepare->params;
    for (int i = 0; i < PARTS; i++) {
        struct ledge_op_prepare *part = &made->part[i];
        if (part->run != NULL && part->bind != NULL) {
            part->bind(part, (const char *)packed + made->bands.packed[i]);
        }
    }
}

/* -- which steps --------------------------------------------------------------------------------
 */

static void count_reads(const struct search *search)
{
    const struct ledge_graph *graph = &search->plan->graph;
    for (int32_t v = 0; v < graph->n_values; v++) {
        search->maker[v] = search->reader[v] = -1;
    }
    for (int32_t s = 0; s < search->plan->n_steps; s++) {
        const struct ledge_node *node = search->steps[s].node;
        for (int32_t k = 0; k < node->n_in; k++) {
            if (node->in[k] >= 0) {
                search->reads[node->in[k]]++;
                search->reader[node->in[k]] = s;
            }
        }
        for (int32_t k = 0; k < node->n_out; k++) {
            if (node->out[k] >= 0) {
                search->maker[node->out[k]] = s;
            }
        }
    }
    for (int32_t i = 0; i < graph->n_outputs; i++) {
        search->reads[graph->outputs[i]]++;
    }
    for (int32_t i = 0; i < graph->n_states; i++) {
        search->reads[graph->states[i].out]++;
    }
}

/* A convolution whose rows of outputs can be made one by one. (Where the last pixel of all must not
 * be read as whole units, pixels do not stand for themselves.) */
static const struct ledge_conv_i8 *conv_of(const struct search *search, int32_t s)
{
    if (s < 0 || search->steps[s].ready.run != ledge_conv_i8) {
        return NULL;
    }
    const struct ledge_conv_i8 *conv = search->steps[s].ready.params;
    bool whole = !conv->patch || conv->edges == 0 || !ledge_conv_i8_is_flat(conv);
    return !conv->single && !conv->may_be_winograd && conv->g.groups == 1 && whole ? conv : NULL;
}

/* The longest chain around step `depth` that pays: FILLED, -1 where there is no part. */
static bool find_chain(const struct search *search, int32_t depth, int32_t chain[PARTS],
                       struct ledge_bands_i8 *bands)
{
    const struct ledge_plan_step *step = &search->steps[depth];
    if (step->node == NULL || step->ready.run != ledge_depthwise_i8) {
        return false;
    }
    const struct ledge_depthwise_i8 *dw = step->ready.params;
    int32_t x = step->node->in[dw->input], y = step->node->out[0];
    int32_t before = search->reads[x] == 1 ? search->maker[x] : -1;
    int32_t behind = search->reads[y] == 1 ? search->reader[y] : -1;
    const struct ledge_conv_i8 *expand = conv_of(search, before);
    const struct ledge_conv_i8 *project = conv_of(search, behind);
    bool same = expand != NULL && ledge_volume(expand->g.out) * expand->g.batch ==
                                      ledge_volume(dw->g.in) * dw->g.batch;
    if (!same || expand->addend > 0) { /* rows of an addend are known where all pixels are flat */
        expand = NULL;
    }
    if (project != NULL &&
        (!ledge_conv_i8_is_flat(project) || search->steps[behind].node->in[project->input] != y)) {
        project = NULL;
    }
    static const bool wanted[][2] = {{true, true}, {true, false}, {false, true}};
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        if ((wanted[i][0] && expand == NULL) || (wanted[i][1] && project == NULL)) {
            continue;
        }
        *bands = (struct ledge_bands_i8){.expand = wanted[i][0] ? expand : NULL,
                                         .depth = dw,
                                         .project = wanted[i][1] ? project : NULL};
        if (ledge_bands_i8_plan(bands, search->plan->threads, search->force)) {
            chain[EXPAND] = wanted[i][0] ? before : -1;
            chain[DEPTH] = depth;
            chain[PROJECT] = wanted[i][1] ? behind : -1;
            return true;
        }
    }
    return false;
}

/* -- joining --------------------------------------------------------------------------------------
 */

/* Inputs of all parts, one list behind the other, without what lies between. */
static bool join_inputs(const struct search *search, const int32_t chain[PARTS],
                        struct joined *made, struct ledge_node *node)
{
    int32_t n = 0;
    for (int i = 0; i < PARTS; i++) {
        n += chain[i] >= 0 ? search->steps[chain[i]].node->n_in : 0;
    }
    node->in = LEDGE_NEW_ARRAY(&search->plan->memory, int32_t, (size_t)n);
    node->n_in = 0;
    for (int i = 0; i < PARTS && node->in != NULL; i++) {
        made->bands.inputs[i] = node->n_in;
        const struct ledge_node *part = chain[i] >= 0 ? search->steps[chain[i]].node : NULL;
        for (int32_t k = 0; part != NULL && k < part->n_in; k++) {
            int32_t maker = part->in[k] >= 0 ? search->maker[part->in[k]] : -1;
            bool between = maker >= 0 && (maker == chain[EXPAND] || maker == chain[DEPTH]);
            node->in[node->n_in++] = between ? -1 : part->in[k];
        }
    }
    return node->in != NULL;
}

static uint32_t shifted(uint32_t inputs, int32_t by)
{
    return by < 32 ? inputs << by : 0;
}

/* Numbers of inputs beyond 31 cannot be told as packed: their constants are then kept. */
static bool join(const struct search *search, const int32_t chain[PARTS],
                 const struct ledge_bands_i8 *bands)
{
    struct ledge_arena *memory = &search->plan->memory;
    int32_t last = chain[PROJECT] >= 0 ? chain[PROJECT] : chain[DEPTH];
    struct joined *made = LEDGE_NEW(memory, struct joined);
    struct ledge_node *node = LEDGE_NEW(memory, struct ledge_node);
    if (made == NULL || node == NULL) {
        return false;
    }
    made->bands = *bands;
    *node = *search->steps[last].node;
    node->op = "ByteBands";
    node->domain = "ledge";
    node->n_attrs = 0;
    if (!join_inputs(search, chain, made, node)) {
        return false;
    }
    struct ledge_plan_step step = {.node = node, .ready = search->steps[last].ready};
    struct ledge_op_prepare *ready = &step.ready;
    ready->node = node;
    ready->packed_bytes = 0;
    ready->packed_inputs = ready->loose_inputs = 0;
    ready->macs = 0;
    for (int i = 0; i < PARTS; i++) {
        made->bands.packed[i] = ready->packed_bytes;
        if (chain[i] < 0) {
            continue;
        }
        const struct ledge_plan_step *part = &search->steps[chain[i]];
        made->part[i] = part->ready;
        step.shared = step.shared || part->shared;
        ready->packed_bytes += padded(part->ready.packed_bytes);
        ready->packed_inputs |= shifted(part->ready.packed_inputs, made->bands.inputs[i]);
        ready->loose_inputs |= shifted(part->ready.loose_inputs, made->bands.inputs[i]);
        ready->macs += part->ready.macs;
        search->steps[chain[i]].node = NULL;
    }
    ready->packs_all = true;
    ready->pack = LEDGE_PACKER(pack);
    ready->bind = bind;
    ready->params = made;
    ready->run = ledge_bands_i8_run;
    bool strips = bands->expand != NULL && bands->expand->strips;
    ready->kernel = strips ? bands->depth->isa->strip_bands : bands->depth->isa->bands;
    ready->in_place = -1;
    ready->scratch_bytes = bands->worker_bytes * (size_t)search->plan->threads;
    search->steps[last] = step;
    return true;
}

/* False: no memory. */
static bool join_all(const struct search *search)
{
    struct ledge_plan *plan = search->plan;
    int32_t left = 0;
    for (int32_t s = 0; s < plan->n_steps; s++) {
        int32_t chain[PARTS];
        struct ledge_bands_i8 bands;
        if (find_chain(search, s, chain, &bands) && !join(search, chain, &bands)) {
            return false;
        }
    }
    for (int32_t s = 0; s < plan->n_steps; s++) {
        if (plan->steps[s].node != NULL) {
            plan->steps[left++] = plan->steps[s];
        }
    }
    plan->n_steps = left;
    return true;
}

enum ledge_status ledge_plan_bands_i8(struct ledge_plan *plan,
                                      const struct ledge_plan_options *options,
                                      struct ledge_error *err)
{
    struct ledge_arena scratch;
    if (options->layout == LEDGE_PLAN_PLAIN) {
        return LEDGE_OK;
    }
    ledge_arena_init(&scratch, &plan->memory.allocator);
    size_t n = (size_t)plan->graph.n_values;
    struct search search = {.plan = plan,
                            .steps = plan->steps,
                            .maker = LEDGE_NEW_ARRAY(&scratch, int32_t, n),
                            .reader = LEDGE_NEW_ARRAY(&scratch, int32_t, n),
                            .reads = LEDGE_NEW_ARRAY(&scratch, int32_t, n),
                            .force = options->layout == LEDGE_PLAN_BLOCKED};
    bool ok = search.maker != NULL && search.reader != NULL && search.reads != NULL;
    if (ok) {
        count_reads(&search);
        ok = join_all(&search);
    }
    ledge_arena_done(&scratch);
    return ok ? LEDGE_OK : ledge_fail(err, LEDGE_ERR_NOMEM, "no memory to join convolutions");
}
