/* SPDX-License-Identifier: Apache-2.0 */
/* blocked_gather.c -- blocked tensors joined, split and shuffled along their channels: each lane of
 * an output block comes from any lane of any input block. A task is one output block of one
 * picture. */
#include <string.h>

#include "engine/kernels/blocked.h"

enum { MAX_BLOCK = 64 };

struct job {
    const struct ledge_blocked_gather *gather;
    const struct ledge_view *const *in;
    float *y;
};

/* Is the output block one input block as it stands? */
static bool is_copy(const int32_t *index, int64_t n, int32_t block)
{
    bool same = n == 1;
    for (int32_t i = 0; i < block && same; i++) {
        same = index[i] == i;
    }
    return same;
}

static void one_block(void *arg, int32_t number, int32_t worker)
{
    (void)worker;
    const struct job *job = arg;
    const struct ledge_blocked_gather *g = job->gather;
    int64_t picture = number / g->blocks, first = g->first[number % g->blocks];
    int32_t block = g->isa->block;
    const float *from[MAX_BLOCK];
    struct ledge_blocked_mix mix = {
        .from = from,
        .index = g->index + first * block,
        .n = g->first[number % g->blocks + 1] - first,
        .pixels = g->pixels,
        .y = job->y + number * g->pixels * block,
    };
    for (int64_t k = 0; k < mix.n; k++) {
        const struct ledge_blocked_source *source = &g->sources[first + k];
        int64_t plane = picture * g->in_blocks[source->input] + source->block;
        from[k] = (const float *)job->in[source->input]->data + plane * g->pixels * block;
    }
    if (is_copy(mix.index, mix.n, block) && from[0] == mix.y) { /* made there */
        return;
    }
    if (is_copy(mix.index, mix.n, block)) {
        memcpy(mix.y, from[0], (size_t)(g->pixels * block) * sizeof *mix.y);
    } else {
        g->isa->mix(&mix);
    }
}

/* Do all inputs lie in the output already? */
static bool is_there(const struct ledge_kernel_call *call)
{
    const struct ledge_blocked_gather *g = call->params;
    const float *at = call->out[0]->data;
    for (int32_t i = 0; i < call->n_in && at != NULL; i++) {
        at = call->in[i]->data == at ? at + g->in_blocks[i] * g->pixels * g->isa->block : NULL;
    }
    return g->joins && at != NULL;
}

enum ledge_status ledge_blocked_gather_run(const struct ledge_kernel_call *call)
{
    const struct ledge_blocked_gather *g = call->params;
    struct job job = {.gather = g, .in = call->in, .y = call->out[0]->data};
    if (!is_there(call)) {
        ledge_pool_run(call->pool, (int32_t)(g->batch * g->blocks), one_block, &job);
    }
    return LEDGE_OK;
}
