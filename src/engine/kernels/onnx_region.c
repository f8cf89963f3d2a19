/* SPDX-License-Identifier: Apache-2.0 */
/* onnx_region.c -- RoiAlign (He et al. 2017, arXiv:1703.06870), DeformConv (Dai et al. 2017,
 * arXiv:1703.06211; mask of Zhu et al. 2018, arXiv:1811.11168), Col2Im, MaxUnpool. */
#include <math.h>
#include <string.h>

#include "base/status.h"
#include "engine/kernels/onnx_sample.h"
#include "engine/kernels/quant.h"

#include "base/banned.h"

/* The four elements around a place and their weights; none when it lies outside. */
struct corners {
    int64_t at[4];
    float weight[4];
};

/* A place up to one element outside counts as on the edge. */
static bool roi_corners(const struct ledge_roi_align *p, float y, float x, struct corners *c)
{
    if (!(y >= -1) || y > (float)p->height || !(x >= -1) || x > (float)p->width) {
        return false;
    }
    y = y > 0 ? y : 0;
    x = x > 0 ? x : 0;
    int64_t top = (int64_t)y, left = (int64_t)x, below, right;
    if (top >= p->height - 1) {
        top = p->height - 1;
        y = (float)top;
    }
    if (left >= p->width - 1) {
        left = p->width - 1;
        x = (float)left;
    }
    below = top < p->height - 1 ? top + 1 : top;
    right = left < p->width - 1 ? left + 1 : left;
    float dy = y - (float)top, dx = x - (float)left;
    *c = (struct corners){.at = {top * p->width + left, top * p->width + right,
                                 below * p->width + left, below * p->width + right},
                          .weight = {(1 - dy) * (1 - dx), (1 - dy) * dx, dy * (1 - dx), dy * dx}};
    return true;
}

struct bin {
    float y, x, height, width; /* of the first one, of each */
    int64_t rows, cols;        /* samples */
};

/* One element of the answer: mean or maximum over the samples of a bin. */
static float pool_bin(const struct ledge_roi_align *p, const float *plane, const struct bin *bin,
                      int64_t row, int64_t col)
{
    float total = 0;
    bool first = true;
    for (int64_t i = 0; i < bin->rows; i++) {
        for (int64_t k = 0; k < bin->cols; k++) {
            struct corners c = {.at = {0, 0, 0, 0}};
            float y = bin->y + (float)row * bin->height +
                      ((float)i + 0.5f) * bin->height / (float)bin->rows;
            float x = bin->x + (float)col * bin->width +
                      ((float)k + 0.5f) * bin->width / (float)bin->cols;
            (void)roi_corners(p, y, x, &c);
            for (int t = 0; t < 4; t++) {
                float v = c.weight[t] * plane[c.at[t]];
                total = !p->max ? total + v : first || v > total ? v : total;
                first = false;
            }
        }
    }
    int64_t n = bin->rows * bin->cols;
    return p->max || n < 1 ? total : total / (float)n;
}

static enum ledge_status samples(const struct ledge_roi_align *p, float size, int64_t map,
                                 int64_t *n, struct ledge_error *err)
{
    float wanted = ceilf(size);
    if (p->ratio > 0) {
        *n = p->ratio;
    } else if (wanted <= (float)(2 * map + 64)) { /* a region is part of the picture */
        *n = wanted > 0 ? (int64_t)wanted : 0;
    } else {
        return ledge_fail(err, LEDGE_ERR_RANGE, "a region of %g elements a bin on %lld",
                          (double)size, (long long)map);
    }
    return LEDGE_OK;
}

enum ledge_status ledge_roi_align_c(const struct ledge_kernel_call *call)
{
    const struct ledge_roi_align *p = call->params;
    const int64_t *batch = call->in[2]->data;
    float *y = call->out[0]->data;
    for (int64_t r = 0; r < p->regions; r++) {
        const float *box = (const float *)call->in[1]->data + 4 * r;
        struct bin bin = {.x = box[0] * p->scale - p->shift, .y = box[1] * p->scale - p->shift};
        float width = box[2] * p->scale - p->shift - bin.x;
        float height = box[3] * p->scale - p->shift - bin.y;
        if (p->shift == 0) { /* the old way: at least one element */
            width = width > 1 ? width : 1;
            height = height > 1 ? height : 1;
        }
        bin.height = height / (float)p->out_height;
        bin.width = width / (float)p->out_width;
        LEDGE_TRY(samples(p, bin.height, p->height, &bin.rows, call->err));
        LEDGE_TRY(samples(p, bin.width, p->width, &bin.cols, call->err));
        if (batch[r] < 0 || batch[r] >= p->batch) {
            return ledge_fail(call->err, LEDGE_ERR_RANGE, "picture %lld of %lld",
                              (long long)batch[r], (long long)p->batch);
        }
        for (int64_t c = 0; c < p->channels; c++) {
            const float *plane = (const float *)call->in[0]->data +
                                 (batch[r] * p->channels + c) * p->height * p->width;
            for (int64_t i = 0; i < p->out_height * p->out_width; i++) {
                *y++ = pool_bin(p, plane, &bin, i / p->out_width, i % p->out_width);
            }
        }
    }
    return LEDGE_OK;
}

/* Whole element of a border, kept near the picture so that all below stays exact. */
static int64_t border(float v)
{
    v = roundf(v);
    return v > -0x1p30f ? (v < 0x1p30f ? (int64_t)v : 1 << 30) : -(1 << 30);
}

/* Elements first .. last - 1 of bin number i of n, cut to the picture. */
static void bin_span(int64_t start, int64_t size, int64_t i, int64_t n, int64_t picture,
                     int64_t *first, int64_t *last)
{
    *first = start + i * size / n;
    *last = start + ((i + 1) * size + n - 1) / n;
    *first = *first < 0 ? 0 : *first < picture ? *first : picture;
    *last = *last < 0 ? 0 : *last < picture ? *last : picture;
}

enum ledge_status ledge_max_roi_pool_c(const struct ledge_kernel_call *call)
{
    const struct ledge_roi_align *p = call->params;
    float *y = call->out[0]->data;
    for (int64_t r = 0; r < p->regions; r++) {
        const float *box = (const float *)call->in[1]->data + 5 * r;
        if (!(box[0] >= 0 && box[0] < (float)p->batch)) {
            return ledge_fail(call->err, LEDGE_ERR_RANGE, "picture %g of %lld", (double)box[0],
                              (long long)p->batch);
        }
        int64_t left = border(box[1] * p->scale), top = border(box[2] * p->scale);
        int64_t width = border(box[3] * p->scale) - left + 1;
        int64_t height = border(box[4] * p->scale) - top + 1;
        const float *x =
            (const float *)call->in[0]->data + (int64_t)box[0] * p->channels * p->height * p->width;
        for (int64_t at = 0; at < p->channels * p->out_height * p->out_width; at++) {
            int64_t row[2], col[2], plane = at / p->out_width / p->out_height;
            bin_span(top, height > 1 ? height : 1, at / p->out_width % p->out_height, p->out_height,
                     p->height, &row[0], &row[1]);
            bin_span(left, width > 1 ? width : 1, at % p->out_width, p->out_width, p->width,
                     &col[0], &col[1]);
            float most = row[0] < row[1] && col[0] < col[1] ? -INFINITY : 0;
            for (int64_t i = row[0]; i < row[1]; i++) {
                for (int64_t k = col[0]; k < col[1]; k++) {
                    float v = x[(plane * p->height + i) * p->width + k];
                    most = v > most ? v : most;
                }
            }
            *y++ = most;
        }
    }
    return LEDGE_OK;
}

/* Bilinear, zeros outside. */
static float between(const float *plane, int64_t height, int64_t width, float y, float x)
{
    if (!(y > -1 && y < (float)height && x > -1 && x < (float)width)) {
        return 0;
    }
    int64_t top = (int64_t)floorf(y), left = (int64_t)floorf(x);
    float dy = y - (float)top, dx = x - (float)left, sum = 0;
    for (int t = 0; t < 4; t++) {
        int64_t i = top + t / 2, k = left + t % 2;
        if (i >= 0 && i < height && k >= 0 && k < width) {
            sum += (t / 2 != 0 ? dy : 1 - dy) * (t % 2 != 0 ? dx : 1 - dx) * plane[i * width + k];
        }
    }
    return sum;
}

static float deform_sum(const struct ledge_kernel_call *call, int64_t n, int64_t o, int64_t at)
{
    const struct ledge_deform *p = call->params;
    const struct ledge_geometry *g = &p->g;
    const struct ledge_view *mask = ledge_call_in(call, 4);
    const float *x = call->in[0]->data, *w = call->in[1]->data, *offset = call->in[2]->data;
    int64_t per = g->in_channels / g->groups, taps = g->kernel[1] * g->kernel[2];
    int64_t volume = g->out[1] * g->out[2], plane = g->in[1] * g->in[2];
    float sum = 0;
    for (int64_t c = 0; c < per; c++) {
        int64_t channel = o / (g->out_channels / g->groups) * per + c;
        int64_t group = n * p->offset_groups + channel / (g->in_channels / p->offset_groups);
        for (int64_t t = 0; t < taps; t++) {
            int64_t tap = group * taps + t;
            float y = (float)(at / g->out[2] * g->stride[1] - g->pad[1] +
                              t / g->kernel[2] * g->dilation[1]) +
                      offset[2 * tap * volume + at];
            float z = (float)(at % g->out[2] * g->stride[2] - g->pad[2] +
                              t % g->kernel[2] * g->dilation[2]) +
                      offset[(2 * tap + 1) * volume + at];
            float v = w[(o * per + c) * taps + t] *
                      between(x + (n * g->in_channels + channel) * plane, g->in[1], g->in[2], y, z);
            sum += mask != NULL ? v * ((const float *)mask->data)[tap * volume + at] : v;
        }
    }
    return sum;
}

static void deform_plane(void *arg, int32_t index, int32_t worker)
{
    (void)worker;
    const struct ledge_kernel_call *call = arg;
    const struct ledge_geometry *g = &((const struct ledge_deform *)call->params)->g;
    const struct ledge_view *bias = ledge_call_in(call, 3);
    int64_t o = index % g->out_channels, volume = g->out[1] * g->out[2];
    float *y = (float *)call->out[0]->data + index * volume;
    float first = bias != NULL ? ((const float *)bias->data)[o] : 0;
    for (int64_t at = 0; at < volume; at++) {
        y[at] = first + deform_sum(call, index / g->out_channels, o, at);
    }
}

enum ledge_status ledge_deform_c(const struct ledge_kernel_call *call)
{
    const struct ledge_deform *p = call->params;
    ledge_pool_run(call->pool, (int32_t)(p->g.batch * p->g.out_channels), deform_plane,
                   (void *)call);
    return LEDGE_OK;
}

/* Where tap t of block b lies on the picture, -1: in the padding. */
static int64_t col2im_at(const struct ledge_col2im *p, int64_t t, int64_t b)
{
    int64_t at = 0, step = 1;
    for (int32_t i = p->n - 1; i >= 0; i--) {
        int64_t pos =
            b % p->blocks[i] * p->stride[i] - p->pad[i] + t % p->kernel[i] * p->dilation[i];
        if (pos < 0 || pos >= p->dims[i]) {
            return -1;
        }
        at += pos * step;
        step *= p->dims[i];
        b /= p->blocks[i];
        t /= p->kernel[i];
    }
    return at;
}

enum ledge_status ledge_col2im_c(const struct ledge_kernel_call *call)
{
    const struct ledge_col2im *p = call->params;
    const float *x = call->in[0]->data;
    float *y = call->out[0]->data;
    int64_t volume = 1;
    for (int32_t i = 0; i < p->n; i++) {
        volume *= p->dims[i];
    }
    for (int64_t i = 0; i < p->planes * volume; i++) {
        y[i] = 0;
    }
    for (int64_t t = 0; t < p->taps; t++) {
        for (int64_t b = 0; b < p->n_blocks; b++) {
            int64_t at = col2im_at(p, t, b);
            for (int64_t k = 0; k < p->planes && at >= 0; k++) {
                y[k * volume + at] += x[(k * p->taps + t) * p->n_blocks + b];
            }
        }
    }
    return LEDGE_OK;
}

enum ledge_status ledge_unpool_c(const struct ledge_kernel_call *call)
{
    const struct ledge_unpool *p = call->params;
    const int64_t *indices = call->in[1]->data;
    const float *x = call->in[0]->data;
    float *y = call->out[0]->data;
    int64_t total = ledge_view_count(call->out[0]);
    for (int64_t i = 0; i < total; i++) {
        y[i] = 0;
    }
    for (int64_t i = 0; i < p->count; i++) {
        int64_t left = indices[i], at = 0, step = 1;
        for (int32_t k = p->rank - 1; left >= 0 && k >= 0; k--) {
            at += left % p->inner[k] * step;
            left /= p->inner[k];
            step *= p->outer[k];
        }
        if (left != 0) {
            return ledge_fail(call->err, LEDGE_ERR_RANGE, "index %lld is out of range",
                              (long long)indices[i]);
        }
        y[at] = x[i];
    }
    return LEDGE_OK;
}
