/* SPDX-License-Identifier: Apache-2.0 */
/* depthwise_f32.c -- depthwise convolution: each output channel sees one input channel.
 *
 * NCHW: a plane at a time, pixels are vector lanes, the padded copy of the channel stays in cache.
 * NHWC: a row of pixels at a time, channels are lanes; pixels whose window leaves the picture are
 * runs of one with fewer taps.
 */
#include <string.h>

#include "engine/kernels/conv.h"

enum { H = 1, W = 2 };

bool ledge_depthwise_f32_is_fast(const struct ledge_geometry *g)
{
    return g->groups > 1 && g->groups == g->in_channels &&
           (g->layout == LEDGE_NCHW || g->out_channels == g->in_channels);
}

struct job {
    const struct ledge_kernel_call *call;
    const struct ledge_conv_fast *fast;
    const float *weights; /* NCHW: as given; NHWC: [tap][channel] */
    const float *bias;
    float *spread;
    float *scratch;
};

static void one_plane(void *arg, int32_t index, int32_t worker)
{
    const struct job *job = arg;
    const struct ledge_conv_fast *fast = job->fast;
    const struct ledge_geometry *g = &fast->base.g;
    int64_t picture = index / g->out_channels;
    int64_t o = index % g->out_channels;
    int64_t channel = o / (g->out_channels / g->groups);
    const float *src = (const float *)job->call->in[0]->data +
                       (picture * g->in_channels + channel) * ledge_volume(g->in);
    if (fast->spread.channel_floats > 0) {
        float *copy = job->spread + (size_t)worker * fast->spread_floats;
        fast->isa->spread(&fast->spread, src, copy);
        src = copy;
    }
    struct ledge_plane_f32 plane = {
        .src = src,
        .tap_at = fast->spread.tap_at,
        .w = (const float *)job->call->in[1]->data + o * fast->spread.taps,
        .taps = fast->spread.taps,
        .pitch = fast->spread.pitch,
        .height = g->out[H],
        .width = g->out[W],
        .y = (float *)job->call->out[0]->data + (int64_t)index * ledge_volume(g->out),
        .bias = job->bias != NULL ? job->bias[o] : 0,
        .low = fast->base.clamp.low,
        .high = fast->base.clamp.high,
        .rows_of_3 =
            g->kernel[H] == 3 && g->kernel[W] == 3 && g->stride[H] == 1 && g->dilation[H] == 1,
    };
    fast->isa->plane(&plane);
}

/* Pixels x0 .. x1 - 1 of an output row, for which the same taps lie on the picture. */
static void run_pixels(const struct job *job, int64_t picture, int64_t y, int64_t x0, int64_t x1,
                       int32_t worker)
{
    const struct ledge_geometry *g = &job->fast->base.g;
    float *scratch = job->scratch + (size_t)worker * job->fast->worker_floats;
    int64_t *tap_at = (int64_t *)(void *)scratch;
    const float **w = (const float **)(void *)(tap_at + ledge_volume(g->kernel));
    int64_t n = 0;
    for (int64_t i = 0; i < g->kernel[H]; i++) {
        int64_t in_y = y * g->stride[H] - g->pad[H] + i * g->dilation[H];
        for (int64_t j = 0; j < g->kernel[W] && in_y >= 0 && in_y < g->in[H]; j++) {
            int64_t in_x = x0 * g->stride[W] - g->pad[W] + j * g->dilation[W];
            if (in_x >= 0 && in_x < g->in[W]) {
                tap_at[n] = (in_y * g->in[W] + in_x) * g->in_channels;
                w[n++] = job->weights + (i * g->kernel[W] + j) * g->out_channels;
            }
        }
    }
    struct ledge_pixels_f32 pixels = {
        .x = (const float *)job->call->in[0]->data + picture * ledge_volume(g->in) * g->in_channels,
        .tap_at = tap_at,
        .w = w,
        .taps = n,
        .x_step = g->stride[W] * g->in_channels,
        .pixels = x1 - x0,
        .channels = g->out_channels,
        .bias = job->bias,
        .y = (float *)job->call->out[0]->data +
             ((picture * g->out[H] + y) * g->out[W] + x0) * g->out_channels,
        .low = job->fast->base.clamp.low,
        .high = job->fast->base.clamp.high,
    };
    job->fast->isa->pixels(&pixels);
}

static void one_row(void *arg, int32_t index, int32_t worker)
{
    const struct job *job = arg;
    const struct ledge_geometry *g = &job->fast->base.g;
    int64_t picture = index / g->out[H];
    int64_t y = index % g->out[H];
    /* the whole window is on the picture from x0 to x1 - 1 */
    int64_t reach = (g->kernel[W] - 1) * g->dilation[W];
    int64_t x0 = (g->pad[W] + g->stride[W] - 1) / g->stride[W];
    int64_t room = g->in[W] - 1 - reach + g->pad[W];
    int64_t x1 = room < 0 ? 0 : room / g->stride[W] + 1;
    x0 = x0 < g->out[W] ? x0 : g->out[W];
    x1 = x1 < g->out[W] ? x1 : g->out[W];
    x1 = x1 > x0 ? x1 : x0;
    for (int64_t x = 0; x < x0; x++) {
        run_pixels(job, picture, y, x, x + 1, worker);
    }
    if (x1 > x0) {
        run_pixels(job, picture, y, x0, x1, worker);
    }
    for (int64_t x = x1; x < g->out[W]; x++) {
        run_pixels(job, picture, y, x, x + 1, worker);
    }
}

void ledge_depthwise_f32_run(const struct ledge_kernel_call *call, const float *weights,
                             float *scratch)
{
    const struct ledge_conv_fast *fast = call->params;
    const struct ledge_geometry *g = &fast->base.g;
    struct job job = {
        .call = call,
        .fast = fast,
        .weights = weights,
        .bias = call->n_in > 2 && call->in[2] != NULL ? call->in[2]->data : NULL,
        .spread = scratch,
        .scratch = scratch + (size_t)fast->copies * fast->spread_floats,
    };
    if (g->layout == LEDGE_NCHW) {
        ledge_pool_run(call->pool, (int32_t)(g->batch * g->out_channels), one_plane, &job);
    } else {
        ledge_pool_run(call->pool, (int32_t)(g->batch * g->out[H]), one_row, &job);
    }
}
