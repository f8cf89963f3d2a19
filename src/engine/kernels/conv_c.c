/* SPDX-License-Identifier: Apache-2.0 */
/* conv_c.c -- convolution and its transpose as plain sums: the judge of the fast paths. */
#include "engine/kernels/conv.h"

struct job {
    const struct ledge_conv_params *params;
    const float *x;
    const float *w;
    const float *bias;
    float *y;
};

/* Weights of output channel o and input channel c of its group: offset of tap 0, and the step
 * between taps. */
static int64_t tap_at(const struct ledge_geometry *g, int64_t o, int64_t c)
{
    int64_t per_group = g->in_channels / g->groups;
    int64_t taps = ledge_volume(g->kernel);
    return g->layout == LEDGE_NCHW ? (o * per_group + c) * taps : o * taps * per_group + c;
}

/* Input position under tap k of output position out, or -1 in the padding. */
static int64_t under(const struct ledge_geometry *g, const int64_t out[3], const int64_t k[3])
{
    int64_t at = 0;
    for (int i = 0; i < 3; i++) {
        int64_t p = out[i] * g->stride[i] - g->pad[i] + k[i] * g->dilation[i];
        if (p < 0 || p >= g->in[i]) {
            return -1;
        }
        at = at * g->in[i] + p;
    }
    return at;
}

static float sum(const struct job *job, int64_t n, int64_t o, const int64_t out[3])
{
    const struct ledge_geometry *g = &job->params->g;
    int64_t per_group = g->in_channels / g->groups;
    int64_t first = o / (g->out_channels / g->groups) * per_group;
    int64_t taps = ledge_volume(g->kernel);
    int64_t step = ledge_plane_step(g->layout, g->in_channels);
    int64_t tap_step = g->layout == LEDGE_NCHW ? 1 : per_group;
    float total = job->bias != NULL ? job->bias[o] : 0.0f;
    for (int64_t t = 0; t < taps; t++) {
        int64_t k[3];
        ledge_unravel(t, g->kernel, k);
        int64_t at = under(g, out, k);
        if (at < 0) {
            continue;
        }
        for (int64_t c = 0; c < per_group; c++) {
            int64_t plane =
                ledge_plane_at(g->layout, n, first + c, g->in_channels, ledge_volume(g->in));
            total += job->x[plane + at * step] * job->w[tap_at(g, o, c) + t * tap_step];
        }
    }
    return total;
}

static void conv_plane(void *arg, int32_t index, int32_t worker)
{
    (void)worker;
    const struct job *job = arg;
    const struct ledge_geometry *g = &job->params->g;
    int64_t n = index / g->out_channels;
    int64_t o = index % g->out_channels;
    int64_t volume = ledge_volume(g->out);
    int64_t step = ledge_plane_step(g->layout, g->out_channels);
    float *y = job->y + ledge_plane_at(g->layout, n, o, g->out_channels, volume);
    for (int64_t at = 0; at < volume; at++) {
        int64_t out[3];
        ledge_unravel(at, g->out, out);
        y[at * step] = ledge_clamp_f32(sum(job, n, o, out), job->params->clamp);
    }
}

/* Input position that reaches output position out through tap k, or -1. */
static int64_t reaches(const struct ledge_geometry *g, const int64_t out[3], const int64_t k[3])
{
    int64_t at = 0;
    for (int i = 0; i < 3; i++) {
        int64_t p = out[i] + g->pad[i] - k[i] * g->dilation[i];
        if (p < 0 || p % g->stride[i] != 0 || p / g->stride[i] >= g->in[i]) {
            return -1;
        }
        at = at * g->in[i] + p / g->stride[i];
    }
    return at;
}

static float sum_transposed(const struct job *job, int64_t n, int64_t o, const int64_t out[3])
{
    const struct ledge_geometry *g = &job->params->g;
    int64_t in_group = g->in_channels / g->groups;
    int64_t out_group = g->out_channels / g->groups;
    int64_t first = o / out_group * in_group;
    int64_t taps = ledge_volume(g->kernel);
    int64_t step = ledge_plane_step(g->layout, g->in_channels);
    float total = job->bias != NULL ? job->bias[o] : 0.0f;
    for (int64_t t = 0; t < taps; t++) {
        int64_t k[3];
        ledge_unravel(t, g->kernel, k);
        int64_t at = reaches(g, out, k);
        if (at < 0) {
            continue;
        }
        for (int64_t c = 0; c < in_group; c++) {
            int64_t plane =
                ledge_plane_at(g->layout, n, first + c, g->in_channels, ledge_volume(g->in));
            int64_t w = g->layout == LEDGE_NCHW
                            ? ((first + c) * out_group + o % out_group) * taps + t
                            : (o * taps + t) * in_group + c;
            total += job->x[plane + at * step] * job->w[w];
        }
    }
    return total;
}

static void transposed_plane(void *arg, int32_t index, int32_t worker)
{
    (void)worker;
    const struct job *job = arg;
    const struct ledge_geometry *g = &job->params->g;
    int64_t n = index / g->out_channels;
    int64_t o = index % g->out_channels;
    int64_t volume = ledge_volume(g->out);
    int64_t step = ledge_plane_step(g->layout, g->out_channels);
    float *y = job->y + ledge_plane_at(g->layout, n, o, g->out_channels, volume);
    for (int64_t at = 0; at < volume; at++) {
        int64_t out[3];
        ledge_unravel(at, g->out, out);
        y[at * step] = ledge_clamp_f32(sum_transposed(job, n, o, out), job->params->clamp);
    }
}

static enum ledge_status run(const struct ledge_kernel_call *call,
                             void (*task)(void *arg, int32_t index, int32_t worker))
{
    const struct ledge_conv_params *params = call->params;
    struct job job = {.params = params,
                      .x = call->in[0]->data,
                      .w = call->in[1]->data,
                      .bias = call->n_in > 2 && call->in[2] != NULL ? call->in[2]->data : NULL,
                      .y = call->out[0]->data};
    ledge_pool_run(call->pool, (int32_t)(params->g.batch * params->g.out_channels), task, &job);
    return LEDGE_OK;
}

enum ledge_status ledge_conv_f32_c(const struct ledge_kernel_call *call)
{
    return run(call, conv_plane);
}

enum ledge_status ledge_conv_transpose_f32_c(const struct ledge_kernel_call *call)
{
    return run(call, transposed_plane);
}
