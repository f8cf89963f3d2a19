/* SPDX-License-Identifier: Apache-2.0 */
/* onnx_resize.c -- linear and cubic Resize: interpolation is separable, so one axis is done after
 * the other, through two scratch buffers. Taps and weights were worked out by prepare. */
#include <math.h>

#include "base/banned.h"
#include "engine/kernels/onnx.h"
#include "engine/kernels/onnx_number.h"

enum { CHUNK = 256 };

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

static void load_bytes(const void *in, enum ledge_dtype dtype, int64_t n, float *out)
{
    for (int64_t at = 0; at < n; at += CHUNK) {
        int64_t wide[CHUNK], m = n - at < CHUNK ? n - at : CHUNK;
        ledge_load_whole(in, dtype, at, m, wide);
        for (int64_t i = 0; i < m; i++) {
            out[at + i] = (float)wide[i];
        }
    }
}

/* What one axis made, as whole numbers of the type; halves go up, as in ONNX Runtime's and Pillow's
 * fixed point. */
static void round_bytes(float *data, enum ledge_dtype dtype, int64_t n)
{
    float low = dtype == LEDGE_U8 ? 0.0f : -128.0f, high = low + 255.0f;
    for (int64_t i = 0; i < n; i++) {
        float v = floorf(data[i] + 0.5f);
        data[i] = v > high ? high : v > low ? v : low;
    }
}

static void store_bytes(const float *in, int64_t n, void *out, enum ledge_dtype dtype)
{
    for (int64_t at = 0; at < n; at += CHUNK) {
        int64_t wide[CHUNK], m = n - at < CHUNK ? n - at : CHUNK;
        for (int64_t i = 0; i < m; i++) {
            wide[i] = (int64_t)in[at + i];
        }
        ledge_store_whole(wide, m, out, dtype, at);
    }
}

enum ledge_status ledge_resize_c(const struct ledge_kernel_call *call)
{
    const struct ledge_resize *p = call->params;
    const float *in = call->in[0]->data;
    int64_t n_out = ledge_view_count(call->out[0]);
    int32_t passes = n_out > 0 ? p->n : 0;
    bool bytes = p->dtype != LEDGE_F32;
    if (bytes) {
        float *wide = (float *)((char *)call->scratch + 2 * p->half);
        load_bytes(in, p->dtype, ledge_view_count(call->in[0]), wide);
        in = wide;
    }
    for (int32_t i = 0; i < passes; i++) {
        float *out = i == p->n - 1 && !bytes
                         ? call->out[0]->data
                         : (float *)((char *)call->scratch + (i % 2 == 0 ? 0 : p->half));
        run_pass(&p->pass[i], in, out, p->fill);
        if (bytes) {
            round_bytes(out, p->dtype, p->pass[i].outer * p->pass[i].n_out * p->pass[i].inner);
        }
        in = out;
    }
    if (bytes) {
        store_bytes(in, passes > 0 ? n_out : 0, call->out[0]->data, p->dtype);
    }
    return LEDGE_OK;
}
