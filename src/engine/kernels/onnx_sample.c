/* SPDX-License-Identifier: Apache-2.0 */
/* onnx_sample.c -- GridSample and AffineGrid. A place becomes, in each dimension, up to four
 * elements and their weights; a value is the sum over all products of them.
 *
 * Source: ONNX GridSample-22; Keys 1981 (cubic convolution, a = -0.75). */
#include "engine/kernels/onnx_sample.h"

#include <math.h>
#include <string.h>

#include "base/banned.h"

struct taps {
    int32_t n;
    int64_t at[4]; /* -1: a zero */
    float weight[4];
};

/* x mirrored at low and high until it lies between them. */
static double reflect(double x, double low, double high)
{
    double span = high - low;
    if (!(span > 0)) {
        return low;
    }
    double d = fmod(fabs(x - low), 2 * span);
    return low + (d > span ? 2 * span - d : d);
}

static double clip(double x, double low, double high)
{
    return x < low ? low : x > high ? high : x;
}

static void set_tap(struct taps *t, const struct ledge_grid_sample *p, int64_t size, double at,
                    double weight)
{
    double edge = p->corners ? 0 : 0.5;
    bool out = at < 0 || at > (double)(size - 1);
    if (out && p->pad == LEDGE_SAMPLE_BORDER) {
        at = clip(at, 0, (double)(size - 1));
    } else if (out && p->pad == LEDGE_SAMPLE_REFLECT) {
        at = clip(reflect(at, -edge, (double)(size - 1) + edge), 0, (double)(size - 1));
    }
    t->at[t->n] = out && p->pad == LEDGE_SAMPLE_ZEROS ? -1 : (int64_t)at;
    t->weight[t->n++] = (float)weight;
}

static double cubic(double d)
{
    const double a = -0.75;
    return d <= 1 ? ((a + 2) * d - (a + 3)) * d * d + 1 : ((a * d - 5 * a) * d + 8 * a) * d - 4 * a;
}

/* What coordinate -1 .. 1 means in a dimension of size elements. */
static void find_taps(const struct ledge_grid_sample *p, int64_t size, float coordinate,
                      struct taps *t)
{
    float x = p->corners ? (coordinate + 1) / 2 * (float)(size - 1)
                         : ((coordinate + 1) * (float)size - 1) / 2;
    x = x < 0x1p30f ? (x > -0x1p30f ? x : -0x1p30f) : x >= 0x1p30f ? 0x1p30f : -0x1p30f;
    double at = p->mode == LEDGE_SAMPLE_NEAREST ? rint((double)x) : (double)x;
    double edge = p->corners ? 0 : 0.5, last = (double)(size - 1);
    if (at < -edge || at > last + edge) {
        at = p->pad == LEDGE_SAMPLE_BORDER    ? clip(at, 0, last)
             : p->pad == LEDGE_SAMPLE_REFLECT ? reflect(at, -edge, last + edge)
                                              : at;
    }
    t->n = 0;
    if (p->mode == LEDGE_SAMPLE_NEAREST) {
        set_tap(t, p, size, trunc(at), 1);
        return;
    }
    double first = floor(at), part = at - first;
    if (p->mode == LEDGE_SAMPLE_LINEAR) {
        set_tap(t, p, size, first, 1 - part);
        set_tap(t, p, size, first + 1, part);
        return;
    }
    for (int k = -1; k < 3; k++) {
        set_tap(t, p, size, first + k, cubic(fabs(part - k)));
    }
}

/* Sum over the products of taps; dimension 0 is the outermost. */
static float gather(const float *x, const int64_t *dims, const struct taps *taps, int32_t n)
{
    float sum = 0;
    int64_t step = 1;
    for (int32_t i = 1; i < n; i++) {
        step *= dims[i];
    }
    for (int32_t k = 0; k < taps->n; k++) {
        if (taps->at[k] >= 0 && taps->weight[k] != 0) {
            const float *at = x + taps->at[k] * step;
            sum += taps->weight[k] * (n > 1 ? gather(at, dims + 1, taps + 1, n - 1) : *at);
        }
    }
    return sum;
}

enum ledge_status ledge_grid_sample_c(const struct ledge_kernel_call *call)
{
    const struct ledge_grid_sample *p = call->params;
    const float *x = call->in[0]->data, *grid = call->in[1]->data;
    float *y = call->out[0]->data;
    int64_t volume = 1;
    for (int32_t i = 0; i < p->n; i++) {
        volume *= p->dims[i];
    }
    for (int64_t at = 0; at < p->batch * p->places; at++) {
        struct taps taps[LEDGE_SAMPLE_DIMS];
        int64_t b = at / p->places, place = at % p->places;
        for (int32_t i = 0; i < p->n; i++) { /* the grid names the last dimension first */
            find_taps(p, p->dims[i], grid[at * p->n + p->n - 1 - i], &taps[i]);
        }
        for (int64_t c = b * p->channels; c < (b + 1) * p->channels; c++) {
            y[c * p->places + place] = gather(x + c * volume, p->dims, taps, p->n);
        }
    }
    return LEDGE_OK;
}

static double position(const struct ledge_affine_grid *p, int64_t i, int64_t size)
{
    return p->corners ? (size > 1 ? -1 + 2 * (double)i / (double)(size - 1) : 0)
                      : -1 + (double)(2 * i + 1) / (double)size;
}

enum ledge_status ledge_affine_grid_c(const struct ledge_kernel_call *call)
{
    const struct ledge_affine_grid *p = call->params;
    float *y = call->out[0]->data;
    int64_t places = 1;
    for (int32_t i = 0; i < p->n; i++) {
        places *= p->dims[i];
    }
    for (int64_t at = 0; at < p->batch * places; at++) {
        const float *theta = (const float *)call->in[0]->data + at / places * p->n * (p->n + 1);
        double place[4] = {0, 0, 0, 0};
        int64_t left = at % places;
        for (int32_t i = p->n - 1; i >= 0; i--) { /* x, which runs fastest, comes first */
            place[p->n - 1 - i] = position(p, left % p->dims[i], p->dims[i]);
            left /= p->dims[i];
        }
        place[p->n] = 1;
        for (int32_t row = 0; row < p->n; row++) {
            double sum = 0;
            for (int32_t k = 0; k <= p->n; k++) {
                sum += (double)theta[row * (p->n + 1) + k] * place[k];
            }
            *y++ = (float)sum;
        }
    }
    return LEDGE_OK;
}
