/* SPDX-License-Identifier: Apache-2.0 */
/* quant_c.c -- integer convolution and matrix product in plain C: the judge. */
#include "engine/kernels/quant.h"

static int32_t wrap_add(int32_t a, int32_t b)
{
    return (int32_t)((uint32_t)a + (uint32_t)b);
}

/* What every output element needs, read from the inputs once a run. */
struct job {
    const struct ledge_kernel_call *call;
    const struct ledge_quant_inputs *in;
    struct ledge_clamp clamp;
    const struct ledge_view *a, *b;
    const int32_t *bias;
    float y_scale;
    struct ledge_qrange range;
};

static struct job begin(const struct ledge_kernel_call *call, const struct ledge_quant_inputs *in,
                        struct ledge_clamp clamp)
{
    const struct ledge_view *bias = ledge_call_in(call, in->bias);
    struct job job = {.call = call,
                      .in = in,
                      .clamp = clamp,
                      .a = ledge_call_in(call, in->a),
                      .b = ledge_call_in(call, in->b),
                      .bias = bias != NULL ? bias->data : NULL,
                      .y_scale = ledge_scale_at(ledge_call_in(call, in->y_scale), 0)};
    job.range = ledge_qrange_of(call->out[0]->dtype, job.y_scale,
                                ledge_zero_at(ledge_call_in(call, in->y_zero), 0), clamp);
    return job;
}

static void store(const struct job *job, int64_t at, int32_t sum, int64_t a_channel,
                  int64_t b_channel, float alpha)
{
    const struct ledge_view *y = job->call->out[0];
    float scale = alpha * ledge_scale_at(ledge_call_in(job->call, job->in->a_scale), a_channel) *
                  ledge_scale_at(ledge_call_in(job->call, job->in->b_scale), b_channel);
    switch (y->dtype) {
    case LEDGE_I32:
        ((int32_t *)y->data)[at] = sum;
        break;
    case LEDGE_F32:
        ((float *)y->data)[at] = ledge_clamp_f32((float)sum * scale, job->clamp);
        break;
    case LEDGE_I8:
        ((int8_t *)y->data)[at] = (int8_t)ledge_requant(sum, scale / job->y_scale, job->range);
        break;
    default:
        ((uint8_t *)y->data)[at] = (uint8_t)ledge_requant(sum, scale / job->y_scale, job->range);
        break;
    }
}

static int32_t conv_sum(const struct job *job, int64_t n, int64_t o, const int64_t out[3])
{
    const struct ledge_qconv_params *params = job->call->params;
    const struct ledge_geometry *g = &params->g;
    int64_t per_group = g->in_channels / g->groups;
    int64_t first = o / (g->out_channels / g->groups) * per_group;
    int64_t taps = ledge_volume(g->kernel);
    int64_t step = ledge_plane_step(g->layout, g->in_channels);
    int32_t a_zero = ledge_zero_at(ledge_call_in(job->call, job->in->a_zero), 0);
    int32_t b_zero = ledge_zero_at(ledge_call_in(job->call, job->in->b_zero), o);
    int32_t total = job->bias != NULL ? job->bias[o] : 0;
    for (int64_t t = 0; t < taps; t++) {
        int64_t k[3], p[3];
        bool inside = true;
        ledge_unravel(t, g->kernel, k);
        for (int i = 0; i < 3; i++) {
            p[i] = out[i] * g->stride[i] - g->pad[i] + k[i] * g->dilation[i];
            inside = inside && p[i] >= 0 && p[i] < g->in[i];
        }
        if (!inside) {
            continue; /* padding holds the zero point */
        }
        int64_t at = (p[0] * g->in[1] + p[1]) * g->in[2] + p[2];
        for (int64_t c = 0; c < per_group; c++) {
            int64_t x =
                ledge_plane_at(g->layout, n, first + c, g->in_channels, ledge_volume(g->in)) +
                at * step;
            int64_t w = params->weights_nchw ? (o * per_group + c) * taps + t
                                             : (o * taps + t) * per_group + c;
            total = wrap_add(total, (ledge_q8(job->a->data, job->a->dtype, x) - a_zero) *
                                        (ledge_q8(job->b->data, job->b->dtype, w) - b_zero));
        }
    }
    return total;
}

static void conv_plane(void *arg, int32_t index, int32_t worker)
{
    (void)worker;
    const struct job *job = arg;
    const struct ledge_qconv_params *params = job->call->params;
    const struct ledge_geometry *g = &params->g;
    int64_t n = index / g->out_channels;
    int64_t o = index % g->out_channels;
    int64_t volume = ledge_volume(g->out);
    int64_t step = ledge_plane_step(g->layout, g->out_channels);
    int64_t base = ledge_plane_at(g->layout, n, o, g->out_channels, volume);
    for (int64_t at = 0; at < volume; at++) {
        int64_t out[3];
        ledge_unravel(at, g->out, out);
        store(job, base + at * step, conv_sum(job, n, o, out), 0, o, 1.0f);
    }
}

enum ledge_status ledge_qconv_c(const struct ledge_kernel_call *call)
{
    const struct ledge_qconv_params *params = call->params;
    struct job job = begin(call, &params->in, params->clamp);
    ledge_pool_run(call->pool, (int32_t)(params->g.batch * params->g.out_channels), conv_plane,
                   &job);
    if (params->table > 0) {
        const uint8_t *table = call->in[params->table]->data;
        uint8_t *y = call->out[0]->data;
        for (int64_t i = 0; i < ledge_view_count(call->out[0]); i++) {
            y[i] = table[y[i]];
        }
    }
    return LEDGE_OK;
}

static void product_row(void *arg, int32_t index, int32_t worker)
{
    (void)worker;
    const struct job *job = arg;
    const struct ledge_qmatmul_params *params = job->call->params;
    const struct ledge_matmul_shape *s = &params->shape;
    int64_t a_at, b_at;
    int64_t row = index % s->m;
    ledge_matmul_at(s, index / s->m, &a_at, &b_at);
    int32_t a_zero = ledge_zero_at(ledge_call_in(job->call, job->in->a_zero), row);
    for (int64_t col = 0; col < s->n; col++) {
        int32_t b_zero = ledge_zero_at(ledge_call_in(job->call, job->in->b_zero), col);
        int32_t total = 0;
        if (job->bias != NULL) {
            total = job->bias[row * params->bias_row + col * params->bias_col];
        }
        for (int64_t k = 0; k < s->k; k++) {
            int64_t a = a_at + row * s->a_row + k * s->a_col;
            int64_t b = b_at + k * s->b_row + col * s->b_col;
            total = wrap_add(total, (ledge_q8(job->a->data, job->a->dtype, a) - a_zero) *
                                        (ledge_q8(job->b->data, job->b->dtype, b) - b_zero));
        }
        store(job, index * s->n + col, total, row, col, params->alpha);
    }
}

enum ledge_status ledge_qmatmul_c(const struct ledge_kernel_call *call)
{
    const struct ledge_qmatmul_params *params = call->params;
    struct job job = begin(call, &params->in, params->clamp);
    ledge_pool_run(call->pool, (int32_t)(ledge_matmul_count(&params->shape) * params->shape.m),
                   product_row, &job);
    return LEDGE_OK;
}
