/* SPDX-License-Identifier: Apache-2.0 */
/* onnx_resize.c -- linear and cubic Resize: interpolation is separable, so one axis is done after
 * the other, through two scratch buffers. Taps and weights were worked out by prepare. */
#include "engine/kernels/onnx.h"

#include "base/banned.h"

static void run_pass(const struct ledge_resize_pass *p, const float *in, float *out, float fill)
{
    for (int64_t o = 0; o < p->outer; o++) {
        for (int64_t j = 0; j < p->n_out; j++) {
            const int64_t *index = p->index + j * p->taps;
            const double *weight = p->weight + j * p->taps;
            float *to = out + (o * p->n_out + j) * p->inner;
            for (int64_t i = 0; i < p->inner; i++) {
                double sum = 0;
                for (int32_t t = 0; t < p->taps; t++) {
                    sum += index[t] < 0
                               ? weight[t] * (double)fill
                               : weight[t] * (double)in[(o * p->n_in + index[t]) * p->inner + i];
                }
                to[i] = (float)sum;
            }
        }
    }
}

enum ledge_status ledge_resize_c(const struct ledge_kernel_call *call)
{
    const struct ledge_resize *p = call->params;
    const float *in = call->in[0]->data;
    int32_t passes = ledge_view_count(call->out[0]) > 0 ? p->n : 0;
    for (int32_t i = 0; i < passes; i++) {
        float *out = i == p->n - 1 ? call->out[0]->data
                                   : (float *)((char *)call->scratch + (i % 2 == 0 ? 0 : p->half));
        run_pass(&p->pass[i], in, out, p->fill);
        in = out;
    }
    return LEDGE_OK;
}
