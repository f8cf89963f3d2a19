/* SPDX-License-Identifier: Apache-2.0 */
/* blocked_elements.c -- functions of single elements and gates of channels on blocked tensors; a
 * task is one plane (one channel block of one picture). */
#include "engine/kernels/blocked.h"

struct job {
    const struct ledge_blocked_elements *elements;
    const float *x, *gates;
    float *y;
};

static void one_plane(void *arg, int32_t index, int32_t worker)
{
    (void)worker;
    const struct job *job = arg;
    const struct ledge_blocked_elements *e = job->elements;
    int64_t block = e->isa->block, at = index * e->pixels * block;
    if (job->gates != NULL) {
        e->isa->gate(job->x + at, job->gates + index * block, e->pixels, job->y + at);
    } else {
        e->isa->activate(&e->activation, job->x + at, e->pixels, job->y + at);
    }
}

static enum ledge_status run(const struct ledge_kernel_call *call, const float *gates)
{
    const struct ledge_blocked_elements *e = call->params;
    struct job job = {
        .elements = e, .x = call->in[0]->data, .gates = gates, .y = call->out[0]->data};
    ledge_pool_run(call->pool, (int32_t)e->planes, one_plane, &job);
    return LEDGE_OK;
}

enum ledge_status ledge_blocked_activation_run(const struct ledge_kernel_call *call)
{
    return run(call, NULL);
}

enum ledge_status ledge_blocked_gate_run(const struct ledge_kernel_call *call)
{
    return run(call, call->in[1]->data);
}
