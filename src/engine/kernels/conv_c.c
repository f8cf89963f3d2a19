/* SPDX-License-Identifier: Apache-2.0 */
/* conv_c.c -- convolution and its transpose as plain sums: the judge of the fast paths. */
#include "engine/kernels/conv.h"

struct job {
    const struct ledge_conv_params *params;
    const void *x;
    const void *w;
    const void *bias;
    void *y;
    bool wide; /* f64, not f32 */
};

/* Weights of output channel o and the first input channel of its group: where tap 0 stands. */
static int64_t tap_at(const struct ledge_geometry *g, int64_t o)
{
    int64_t per_group = g->in_channels / g->groups;
    int64_t taps = ledge_volume(g->kernel);
    return o * per_group * taps;
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

/* total plus n products, x_step and w_step elements apart, in the precision of the tensors. */
static double add_products(const struct job *job, double total, int64_t x, int64_t x_step,
                           int64_t w, int64_t w_step, int64_t n)
{
    if (job->wide) {
        for (int64_t c = 0; c < n; c++) {
            total +=
                ((const double *)job->x)[x + c * x_step] * ((const double *)job->w)[w + c * w_step];
        }
        return total;
    }
    float sum = (float)total;
    for (int64_t c = 0; c < n; c++) {
        sum += ((const float *)job->x)[x + c * x_step] * ((const float *)job->w)[w + c * w_step];
    }
    return (double)sum;
}

static double bias_of(const struct job *job, int64_t o)
{
    return job->bias == NULL ? 0
           : job->wide       ? ((const double *)job->bias)[o]
                             : (double)((const float *)job->bias)[o];
}

static void put(const struct job *job, int64_t at, double v)
{
    struct ledge_clamp clamp = job->params->clamp;
    if (job->wide) {
        v = v < (double)clamp.low ? (double)clamp.low : v;
        ((double *)job->y)[at] = v > (double)clamp.high ? (double)clamp.high : v;
    } else {
        ((float *)job->y)[at] = ledge_clamp_f32((float)v, clamp);
    }
}

static double sum(const struct job *job, int64_t n, int64_t o, const int64_t out[3])
{
    const struct ledge_geometry *g = &job->params->g;
    int64_t per_group = g->in_channels / g->groups;
    int64_t first = o / (g->out_channels / g->groups) * per_group;
    int64_t taps = ledge_volume(g->kernel);
    int64_t step = ledge_plane_step(g->layout, g->in_channels);
    int64_t tap_step = g->layout == LEDGE_NCHW ? 1 : per_group;
    double total = bias_of(job, o);
    for (int64_t t = 0; t < taps; t++) {
        int64_t k[3];
        ledge_unravel(t, g->kernel, k);
        int64_t at = under(g, out, k);
        if (at < 0) {
            continue;
        }
        int64_t volume = ledge_volume(g->in);
        int64_t x = ledge_plane_at(g->layout, n, first, g->in_channels, volume) + at * step;
        total = add_products(job, total, x, g->layout == LEDGE_NCHW ? volume : 1,
                             tap_at(g, o) + t * tap_step, g->layout == LEDGE_NCHW ? taps : 1,
                             per_group);
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
    int64_t y = ledge_plane_at(g->layout, n, o, g->out_channels, volume);
    for (int64_t at = 0; at < volume; at++) {
        int64_t out[3];
        ledge_unravel(at, g->out, out);
        put(job, y + at * step, sum(job, n, o, out));
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

static double sum_transposed(const struct job *job, int64_t n, int64_t o, const int64_t out[3])
{
    const struct ledge_geometry *g = &job->params->g;
    int64_t in_group = g->in_channels / g->groups;
    int64_t out_group = g->out_channels / g->groups;
    int64_t first = o / out_group * in_group;
    int64_t taps = ledge_volume(g->kernel);
    int64_t step = ledge_plane_step(g->layout, g->in_channels);
    double total = bias_of(job, o);
    for (int64_t t = 0; t < taps; t++) {
        int64_t k[3];
        ledge_unravel(t, g->kernel, k);
        int64_t at = reaches(g, out, k);
        if (at < 0) {
            continue;
        }
        int64_t volume = ledge_volume(g->in);
        bool nchw = g->layout == LEDGE_NCHW;
        int64_t x = ledge_plane_at(g->layout, n, first, g->in_channels, volume) + at * step;
        int64_t w =
            nchw ? (first * out_group + o % out_group) * taps + t : (o * taps + t) * in_group;
        total = add_products(job, total, x, nchw ? volume : 1, w, nchw ? out_group * taps : 1,
                             in_group);
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
    int64_t y = ledge_plane_at(g->layout, n, o, g->out_channels, volume);
    for (int64_t at = 0; at < volume; at++) {
        int64_t out[3];
        ledge_unravel(at, g->out, out);
        put(job, y + at * step, sum_transposed(job, n, o, out));
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
                      .y = call->out[0]->data,
                      .wide = call->out[0]->dtype == LEDGE_F64};
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
