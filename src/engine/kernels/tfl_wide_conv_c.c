/* SPDX-License-Identifier: Apache-2.0 */
/* tfl_wide_conv_c.c -- Conv2D, DepthwiseConv2D, FullyConnected of i16 with i8 weights, and
 * TransposeConv2D of i16, i8 and f32. Sums are exact in 64 bits, or wrap at 32 where TFLite's do.
 */
#include <string.h>

#include "engine/kernels/tfl_fixed16.h"
#include "engine/kernels/tfl_wide.h"

/* Weight of output channel o at window position at (of kh * kw) and input channel i of its group.
 */
static int64_t weight_at(const struct ledge_tfl_wide_conv_params *p, int64_t o, int64_t at,
                         int64_t i)
{
    const struct ledge_geometry *g = &p->g;
    return p->depthwise ? at * g->out_channels + o
                        : (o * g->kernel[1] * g->kernel[2] + at) * (g->in_channels / g->groups) + i;
}

static int32_t finish(const struct ledge_tfl_wide_conv_params *p, int64_t sum, int64_t o)
{
    sum = (int64_t)((uint64_t)sum + (uint64_t)p->bias[o]);
    int32_t q = p->narrow ? ledge_tfl_scale((int32_t)(uint32_t)(uint64_t)sum, p->factor[o])
                          : ledge_tfl_scale_64(sum, p->factor[o]);
    return ledge_tfl_clamp(ledge_tfl_add(q, p->zero), p->low, p->high);
}

/* One output pixel. */
static void pixel(const struct ledge_kernel_call *call, int64_t n, int64_t oy, int64_t ox,
                  int16_t *y)
{
    const struct ledge_tfl_wide_conv_params *p = call->params;
    const struct ledge_geometry *g = &p->g;
    const int16_t *x = call->in[0]->data;
    const int8_t *w = call->in[1]->data;
    int64_t per_in = g->in_channels / g->groups, per_out = g->out_channels / g->groups;
    for (int64_t o = 0; o < g->out_channels; o++) {
        int64_t sum = 0;
        for (int64_t at = 0; at < g->kernel[1] * g->kernel[2]; at++) {
            int64_t iy = oy * g->stride[1] - g->pad[1] + at / g->kernel[2] * g->dilation[1];
            int64_t ix = ox * g->stride[2] - g->pad[2] + at % g->kernel[2] * g->dilation[2];
            if (iy < 0 || iy >= g->in[1] || ix < 0 || ix >= g->in[2]) {
                continue;
            }
            const int16_t *from =
                x + ((n * g->in[1] + iy) * g->in[2] + ix) * g->in_channels + o / per_out * per_in;
            for (int64_t i = 0; i < per_in; i++) {
                sum += (from[i] - p->x_zero) * w[weight_at(p, o, at, i)];
            }
        }
        y[o] = (int16_t)finish(p, sum, o);
    }
}

static void row(void *arg, int32_t index, int32_t worker)
{
    (void)worker;
    const struct ledge_kernel_call *call = arg;
    const struct ledge_tfl_wide_conv_params *p = call->params;
    const struct ledge_geometry *g = &p->g;
    int16_t *y = (int16_t *)call->out[0]->data + index * g->out[2] * g->out_channels;
    for (int64_t ox = 0; ox < g->out[2]; ox++, y += g->out_channels) {
        pixel(call, index / g->out[1], index % g->out[1], ox, y);
    }
}

enum ledge_status ledge_tfl_wide_conv_c(const struct ledge_kernel_call *call)
{
    const struct ledge_tfl_wide_conv_params *p = call->params;
    struct ledge_kernel_call copy = *call;
    ledge_pool_run(call->pool, (int32_t)(p->g.batch * p->g.out[1]), row, &copy);
    return LEDGE_OK;
}

/* -- TransposeConv2D: each input pixel is spread over a window of the output -- */

/* Input pixel number `from` and the output pixel that window position `at` of it lands on, false
 * when that is outside. */
static bool lands_on(const struct ledge_geometry *g, int64_t from, int64_t at, int64_t *to)
{
    int64_t n = from / (g->in[1] * g->in[2]);
    int64_t y = from / g->in[2] % g->in[1] * g->stride[1] - g->pad[1] + at / g->kernel[2];
    int64_t x = from % g->in[2] * g->stride[2] - g->pad[2] + at % g->kernel[2];
    *to = (n * g->out[1] + y) * g->out[2] + x;
    return y >= 0 && y < g->out[1] && x >= 0 && x < g->out[2];
}

static void spread(const struct ledge_kernel_call *call, int64_t from, int64_t at, int64_t *sums)
{
    const struct ledge_tfl_wide_conv_params *p = call->params;
    const struct ledge_geometry *g = &p->g;
    const int8_t *w = call->in[1]->data;
    for (int64_t i = 0; i < g->in_channels; i++) {
        int32_t x =
            ledge_tfl_get(call->in[0]->data, call->in[0]->dtype, from * g->in_channels + i) -
            p->x_zero;
        for (int64_t o = 0; o < g->out_channels; o++) {
            sums[o] += x * w[weight_at(p, o, at, i)];
        }
    }
}

enum ledge_status ledge_tfl_transpose_conv_c(const struct ledge_kernel_call *call)
{
    const struct ledge_tfl_wide_conv_params *p = call->params;
    const struct ledge_geometry *g = &p->g;
    const struct ledge_view *y = call->out[0];
    int64_t *sums = call->scratch, to;
    int64_t count = ledge_view_count(y);
    memset(sums, 0, (size_t)count * sizeof *sums);
    for (int64_t from = 0; from < g->batch * g->in[1] * g->in[2]; from++) {
        for (int64_t at = 0; at < g->kernel[1] * g->kernel[2]; at++) {
            if (lands_on(g, from, at, &to)) {
                spread(call, from, at, sums + to * g->out_channels);
            }
        }
    }
    for (int64_t i = 0; i < count; i++) {
        ledge_tfl_put(y->data, y->dtype, i, finish(p, sums[i], i % g->out_channels));
    }
    return LEDGE_OK;
}

enum ledge_status ledge_tfl_transpose_conv_f32_c(const struct ledge_kernel_call *call)
{
    const struct ledge_tfl_wide_conv_params *p = call->params;
    const struct ledge_geometry *g = &p->g;
    const float *w = call->in[1]->data, *bias = call->in[2] != NULL ? call->in[2]->data : NULL;
    float *y = call->out[0]->data;
    int64_t count = ledge_view_count(call->out[0]), to;
    memset(y, 0, (size_t)count * sizeof *y);
    for (int64_t from = 0; from < g->batch * g->in[1] * g->in[2]; from++) {
        const float *x = (const float *)call->in[0]->data + from * g->in_channels;
        for (int64_t at = 0; at < g->kernel[1] * g->kernel[2]; at++) {
            for (int64_t i = 0; lands_on(g, from, at, &to) && i < g->in_channels; i++) {
                for (int64_t o = 0; o < g->out_channels; o++) {
                    y[to * g->out_channels + o] += x[i] * w[weight_at(p, o, at, i)];
                }
            }
        }
    }
    for (int64_t i = 0; i < count; i++) {
        float sum = y[i] + (bias != NULL ? bias[i % g->out_channels] : 0);
        y[i] = ledge_clamp_f32(sum, p->clamp);
    }
    return LEDGE_OK;
}
