/* SPDX-License-Identifier: Apache-2.0 */
/* onnx_norm.c -- normalisations, f32; means and variances in double. */
#include <math.h>
#include <string.h>

#include "engine/kernels/onnx.h"
#include "engine/kernels/onnx_number.h"
#include "engine/kernels/real.h"

#include "base/banned.h"

enum ledge_status ledge_batch_norm_c(const struct ledge_kernel_call *call)
{
    const struct ledge_norm *p = call->params;
    const float *x = call->in[0]->data, *scale = call->in[1]->data, *bias = call->in[2]->data;
    const float *mean = call->in[3]->data, *var = call->in[4]->data;
    float *y = call->out[0]->data;
    for (int64_t n = 0; n < p->outer; n++) {
        for (int64_t c = 0; c < p->c; c++) {
            float factor = scale[c] / sqrtf(var[c] + p->epsilon);
            float shift = bias[c] - mean[c] * factor;
            for (int64_t i = 0; i < p->inner; i++) {
                *y++ = *x++ * factor + shift;
            }
        }
    }
    return LEDGE_OK;
}

static void moments(const float *x, int64_t n, double *mean, double *variance)
{
    double sum = 0, square = 0;
    for (int64_t i = 0; i < n; i++) {
        sum += (double)x[i];
    }
    *mean = n > 0 ? sum / (double)n : 0;
    for (int64_t i = 0; i < n; i++) {
        double d = (double)x[i] - *mean;
        square += d * d;
    }
    *variance = n > 0 ? square / (double)n : 0;
}

static void blend(const struct ledge_kernel_call *call, int32_t i, int64_t c, float momentum,
                  double seen)
{
    if (i < call->n_out && call->out[i] != NULL) {
        double old = (double)((const float *)call->in[i + 2]->data)[c];
        ((float *)call->out[i]->data)[c] =
            (float)((double)momentum * old + (1 - (double)momentum) * seen);
    }
}

enum ledge_status ledge_batch_norm_training_c(const struct ledge_kernel_call *call)
{
    const struct ledge_norm *p = call->params;
    const float *scale = call->in[1]->data, *bias = call->in[2]->data;
    for (int64_t c = 0; c < p->c; c++) {
        double mean = 0, variance = 0, part, spread, count = (double)p->outer;
        const float *x = (const float *)call->in[0]->data + c * p->inner;
        int64_t step = p->c * p->inner;
        for (int64_t n = 0; n < p->outer; n++) {
            moments(x + n * step, p->inner, &part, &spread);
            mean += part / count;
            variance += (spread + part * part) / count;
        }
        variance = variance > mean * mean ? variance - mean * mean : 0;
        double factor = (double)scale[c] / sqrt(variance + (double)p->epsilon);
        float *y = call->out[0] != NULL ? (float *)call->out[0]->data + c * p->inner : NULL;
        for (int64_t i = 0; y != NULL && i < p->outer * p->inner; i++) {
            int64_t at = i / p->inner * step + i % p->inner;
            y[at] = (float)(((double)x[at] - mean) * factor + (double)bias[c]);
        }
        blend(call, 1, c, p->momentum, mean);
        blend(call, 2, c, p->momentum, variance);
    }
    return LEDGE_OK;
}

enum ledge_status ledge_group_norm_c(const struct ledge_kernel_call *call)
{
    const struct ledge_norm *p = call->params;
    const float *x = call->in[0]->data, *scale = call->in[1]->data, *bias = call->in[2]->data;
    float *y = call->out[0]->data;
    int64_t per = p->c / p->groups;
    for (int64_t n = 0; n < p->outer; n++) {
        for (int32_t g = 0; g < p->groups; g++) {
            double mean, variance;
            moments(x, per * p->inner, &mean, &variance);
            double factor = 1 / sqrt(variance + (double)p->epsilon);
            for (int64_t k = 0; k < per; k++) {
                int64_t c = p->flags != 0 ? g : g * per + k;
                for (int64_t i = 0; i < p->inner; i++) {
                    double v = ((double)*x++ - mean) * factor;
                    *y++ = (float)v * scale[c] + bias[c];
                }
            }
        }
    }
    return LEDGE_OK;
}

enum ledge_status ledge_layer_norm_c(const struct ledge_kernel_call *call)
{
    const struct ledge_norm *p = call->params;
    const float *x = call->in[0]->data, *scale = call->in[1]->data;
    const float *bias = call->n_in > 2 && call->in[2] != NULL ? call->in[2]->data : NULL;
    int64_t n_scale = ledge_view_count(call->in[1]);
    int64_t n_bias = bias != NULL ? ledge_view_count(call->in[2]) : 1;
    float *y = call->out[0] != NULL ? call->out[0]->data : NULL;
    for (int64_t n = 0; n < p->outer; n++, x += p->inner) {
        double mean, variance;
        moments(x, p->inner, &mean, &variance);
        if (p->flags != 0) {
            variance += mean * mean;
            mean = 0;
        }
        double factor = 1 / sqrt(variance + (double)p->epsilon);
        for (int64_t i = 0; i < p->inner && y != NULL; i++) {
            float v = (float)(((double)x[i] - mean) * factor) * scale[i % n_scale];
            *y++ = bias != NULL ? v + bias[i % n_bias] : v;
        }
        if (call->n_out > 1 && call->out[1] != NULL) {
            ((float *)call->out[1]->data)[n] = (float)mean;
        }
        if (call->n_out > 2 && call->out[2] != NULL) {
            ((float *)call->out[2]->data)[n] = (float)factor;
        }
    }
    return LEDGE_OK;
}

enum ledge_status ledge_lrn_c(const struct ledge_kernel_call *call)
{
    const struct ledge_lrn *p = call->params;
    const float *x = call->in[0]->data;
    float *y = call->out[0]->data;
    int64_t below = (p->size - 1) / 2, above = p->size - 1 - below;
    for (int64_t n = 0; n < p->n; n++) {
        for (int64_t c = 0; c < p->c; c++) {
            int64_t from = c > below ? c - below : 0;
            int64_t to = c + above < p->c - 1 ? c + above : p->c - 1;
            for (int64_t i = 0; i < p->inner; i++) {
                double sum = 0;
                for (int64_t k = from; k <= to; k++) {
                    double v = (double)x[(n * p->c + k) * p->inner + i];
                    sum += v * v;
                }
                int64_t at = (n * p->c + c) * p->inner + i;
                y[at] = x[at] /
                        ledge_pow_f32(p->bias + p->alpha / (float)p->size * (float)sum, p->beta);
            }
        }
    }
    return LEDGE_OK;
}

enum ledge_status ledge_lp_norm_c(const struct ledge_kernel_call *call)
{
    const struct ledge_axis *p = call->params;
    const struct ledge_view *in = call->in[0], *out = call->out[0];
    for (int64_t o = 0; o < p->outer; o++) {
        for (int64_t i = 0; i < p->inner; i++) {
            double sum = 0, v;
            int64_t base = o * p->n * p->inner + i;
            for (int64_t k = 0; k < p->n; k++) {
                ledge_load_real(in->data, in->dtype, base + k * p->inner, 1, &v);
                sum += p->flags == 1 ? fabs(v) : v * v;
            }
            double norm = p->flags == 1 ? sum : sqrt(sum);
            for (int64_t k = 0; k < p->n; k++) {
                ledge_load_real(in->data, in->dtype, base + k * p->inner, 1, &v);
                v = norm != 0 ? v / norm : 0;
                ledge_store_real(&v, 1, out->data, out->dtype, base + k * p->inner);
            }
        }
    }
    return LEDGE_OK;
}
