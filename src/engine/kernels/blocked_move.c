/* SPDX-License-Identifier: Apache-2.0 */
/* blocked_move.c -- plain tensors to blocked ones and back; a task is one channel block of one
 * picture. */
#include <string.h>

#include "engine/kernels/blocked.h"

struct job {
    const struct ledge_blocked_move *move;
    const float *from;
    float *to;
};

static int64_t blocks_of(const struct ledge_blocked_move *m)
{
    return (m->channels + m->block - 1) / m->block;
}

/* Real lanes of a block, and where its first channel stands in the plain tensor. */
static int64_t lanes_of(const struct ledge_blocked_move *m, int64_t index, int64_t *at)
{
    int64_t picture = index / blocks_of(m), first = index % blocks_of(m) * m->block;
    int64_t left = m->channels - first;
    *at = picture * m->channels * m->pixels + first * (m->layout == LEDGE_NCHW ? m->pixels : 1);
    return left < m->block ? left : m->block;
}

static void enter(void *arg, int32_t index, int32_t worker)
{
    (void)worker;
    const struct job *job = arg;
    const struct ledge_blocked_move *m = job->move;
    int64_t at, lanes = lanes_of(m, index, &at);
    float *to = job->to + index * m->pixels * m->block;
    if (lanes < m->block) {
        memset(to, 0, (size_t)(m->pixels * m->block) * sizeof *to);
    }
    for (int64_t p = 0; p < m->pixels && m->layout == LEDGE_NHWC; p++) {
        memcpy(to + p * m->block, job->from + at + p * m->channels, (size_t)lanes * sizeof *to);
    }
    for (int64_t c = 0; c < lanes && m->layout == LEDGE_NCHW; c++) {
        const float *from = job->from + at + c * m->pixels;
        for (int64_t p = 0; p < m->pixels; p++) {
            to[p * m->block + c] = from[p];
        }
    }
}

static void leave(void *arg, int32_t index, int32_t worker)
{
    (void)worker;
    const struct job *job = arg;
    const struct ledge_blocked_move *m = job->move;
    int64_t at, lanes = lanes_of(m, index, &at);
    const float *from = job->from + index * m->pixels * m->block;
    for (int64_t p = 0; p < m->pixels && m->layout == LEDGE_NHWC; p++) {
        memcpy(job->to + at + p * m->channels, from + p * m->block, (size_t)lanes * sizeof *from);
    }
    for (int64_t c = 0; c < lanes && m->layout == LEDGE_NCHW; c++) {
        float *to = job->to + at + c * m->pixels;
        for (int64_t p = 0; p < m->pixels; p++) {
            to[p] = from[p * m->block + c];
        }
    }
}

static enum ledge_status run(const struct ledge_kernel_call *call,
                             void (*task)(void *arg, int32_t index, int32_t worker))
{
    const struct ledge_blocked_move *m = call->params;
    struct job job = {.move = m, .from = call->in[0]->data, .to = call->out[0]->data};
    ledge_pool_run(call->pool, (int32_t)(m->batch * blocks_of(m)), task, &job);
    return LEDGE_OK;
}

enum ledge_status ledge_to_blocked_run(const struct ledge_kernel_call *call)
{
    return run(call, enter);
}

enum ledge_status ledge_from_blocked_run(const struct ledge_kernel_call *call)
{
    return run(call, leave);
}
