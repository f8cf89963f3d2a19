/* SPDX-License-Identifier: Apache-2.0 */
/* tfl_depthwise_c.c -- DepthwiseConv2D: per output pixel one i32 sum per channel, channels
 * innermost. */
#include <string.h>

#include "engine/kernels/tfl.h"

struct job {
    const struct ledge_kernel_call *call;
    const struct ledge_tfl_conv_params *params;
    size_t worker_bytes;
};

size_t ledge_tfl_depthwise_scratch(const struct ledge_tfl_conv_params *p)
{
    size_t bytes = (size_t)p->g.out_channels * sizeof(int32_t);
    return (bytes + 63) / 64 * 64;
}

/* out_channels / in_channels outputs of each input channel. */
static void tap(const struct ledge_tfl_conv_params *p, const uint8_t *restrict x,
                const int16_t *restrict w, int32_t *restrict acc)
{
    int64_t per = p->g.out_channels / p->g.in_channels;
    for (int64_t c = 0; c < p->g.in_channels; c++) {
        int32_t value = (int8_t)(x[c] ^ p->x_flip) - p->x_zero;
        for (int64_t j = 0; j < per; j++) {
            acc[c * per + j] += value * w[c * per + j];
        }
    }
}

static void pixel(const struct job *job, int64_t n, int64_t oy, int64_t ox, int32_t *acc)
{
    const struct ledge_tfl_conv_params *p = job->params;
    const struct ledge_geometry *g = &p->g;
    const uint8_t *x = job->call->in[0]->data;
    const int16_t *w = job->call->packed;
    memset(acc, 0, (size_t)g->out_channels * sizeof *acc);
    for (int64_t ky = 0; ky < g->kernel[1]; ky++) {
        int64_t iy = oy * g->stride[1] - g->pad[1] + ky * g->dilation[1];
        for (int64_t kx = 0; kx < g->kernel[2] && iy >= 0 && iy < g->in[1]; kx++) {
            int64_t ix = ox * g->stride[2] - g->pad[2] + kx * g->dilation[2];
            if (ix < 0 || ix >= g->in[2]) {
                continue;
            }
            const uint8_t *from = x + ((n * g->in[1] + iy) * g->in[2] + ix) * g->in_channels;
            const int16_t *taps = w + (ky * g->kernel[2] + kx) * g->out_channels;
            tap(p, from, taps, acc);
        }
    }
}

static void row(void *arg, int32_t index, int32_t worker)
{
    const struct job *job = arg;
    const struct ledge_tfl_conv_params *p = job->params;
    const struct ledge_geometry *g = &p->g;
    int32_t *acc = (int32_t *)((char *)job->call->scratch + (size_t)worker * job->worker_bytes);
    uint8_t *y = job->call->out[0]->data;
    for (int64_t ox = 0; ox < g->out[2]; ox++) {
        pixel(job, index / g->out[1], index % g->out[1], ox, acc);
        for (int64_t c = 0; c < g->out_channels; c++) {
            ledge_tfl_requant(y, (index * g->out[2] + ox) * g->out_channels + c, acc[c],
                              &p->channels, c, &p->out);
        }
    }
}

enum ledge_status ledge_tfl_depthwise_c(const struct ledge_kernel_call *call)
{
    struct job job = {.call = call, .params = call->params};
    job.worker_bytes = ledge_tfl_depthwise_scratch(job.params);
    ledge_pool_run(call->pool, (int32_t)(job.params->g.batch * job.params->g.out[1]), row, &job);
    return LEDGE_OK;
}
