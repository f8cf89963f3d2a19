/* SPDX-License-Identifier: Apache-2.0 */
/* tfl_svdf_c.c -- SVDF: each filter's newest answer is appended to its memory, which is weighted
 * over time; units sum their filters. */
#include "engine/kernels/tfl_recurrent.h"

enum ledge_status ledge_tfl_svdf_f32_c(const struct ledge_kernel_call *call)
{
    const struct ledge_tfl_svdf_params *p = call->params;
    const float *bias = call->in[3] != NULL ? call->in[3]->data : NULL;
    int64_t rank = p->filters / p->units;
    for (int64_t b = 0; b < p->batch; b++) {
        const float *x = (const float *)call->in[0]->data + b * p->in;
        const float *old = (const float *)call->in[4]->data + b * p->filters * p->memory;
        float *new = (float *)call->out[1]->data + b * p->filters * p->memory;
        float *y = (float *)call->out[0]->data + b * p->units;
        for (int64_t f = 0; f < p->filters; f++, old += p->memory, new += p->memory) {
            const float *w = (const float *)call->in[1]->data + f * p->in;
            const float *time = (const float *)call->in[2]->data + f * p->memory;
            float answer = 0;
            for (int64_t i = 0; i < p->in; i++) {
                answer += w[i] * x[i];
            }
            float sum = 0;
            for (int64_t i = 0; i < p->memory; i++) {
                new[i] = i + 1 < p->memory ? old[i + 1] : answer;
                sum += time[i] * new[i];
            }
            int64_t u = f / rank;
            y[u] = (f % rank == 0 ? (bias != NULL ? bias[u] : 0) : y[u]) + sum;
        }
        for (int64_t u = 0; u < p->units; u++) {
            y[u] = y[u] < p->clamp.low ? p->clamp.low : y[u];
            y[u] = y[u] > p->clamp.high ? p->clamp.high : y[u];
        }
    }
    return LEDGE_OK;
}

static int32_t load(const struct ledge_view *view, int64_t i)
{
    return view->dtype == LEDGE_I16 ? ((const int16_t *)view->data)[i]
                                    : ((const int8_t *)view->data)[i];
}

static void store(const struct ledge_view *view, int64_t i, int32_t x)
{
    if (view->dtype == LEDGE_I16) {
        ((int16_t *)view->data)[i] = (int16_t)x;
    } else {
        ((int8_t *)view->data)[i] = (int8_t)x;
    }
}

/* The newest answer of filter f to row b of x, as the state holds it. */
static int32_t feature(const struct ledge_kernel_call *call, int64_t b, int64_t f)
{
    const struct ledge_tfl_svdf_params *p = call->params;
    const int8_t *x = (const int8_t *)call->in[0]->data + b * p->in;
    const int8_t *w = (const int8_t *)call->in[1]->data + f * p->in;
    int32_t high = call->in[4]->dtype == LEDGE_I16 ? INT16_MAX : INT8_MAX;
    int32_t sum = 0;
    for (int64_t i = 0; i < p->in; i++) {
        sum = ledge_tfl_add(sum, w[i] * (x[i] - p->x_zero));
    }
    sum = ledge_tfl_add(ledge_tfl_scale(sum, p->feature), p->state_zero);
    return ledge_tfl_clamp(sum, -high - 1, high);
}

enum ledge_status ledge_tfl_svdf_i8_c(const struct ledge_kernel_call *call)
{
    const struct ledge_tfl_svdf_params *p = call->params;
    const int32_t *bias = call->in[3] != NULL ? call->in[3]->data : NULL;
    int64_t rank = p->filters / p->units;
    int8_t *y = call->out[0]->data;
    for (int64_t b = 0; b < p->batch; b++) {
        for (int64_t u = 0; u < p->units; u++) {
            int32_t sum = bias != NULL ? bias[u] : 0;
            for (int64_t f = u * rank; f < (u + 1) * rank; f++) {
                int64_t at = (b * p->filters + f) * p->memory;
                for (int64_t i = 0; i < p->memory; i++) {
                    int32_t s =
                        i + 1 < p->memory ? load(call->in[4], at + i + 1) : feature(call, b, f);
                    store(call->out[1], at + i, s);
                    int64_t product =
                        (int64_t)load(call->in[2], f * p->memory + i) * (s - p->state_zero);
                    sum = ledge_tfl_add(sum, (int32_t)product);
                }
            }
            sum = ledge_tfl_add(ledge_tfl_scale(sum, p->time), p->out_zero);
            y[b * p->units + u] = (int8_t)ledge_tfl_clamp(sum, -128, 127);
        }
    }
    return LEDGE_OK;
}
