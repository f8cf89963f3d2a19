/* SPDX-License-Identifier: Apache-2.0 */
/* pool_max.c -- 2-D max pooling without indices, in loops that compilers turn into vectors.
 *
 * The rows under a window are folded into one, that row then into outputs; NHWC: all channels of a
 * pixel together. Windows are clipped to the picture, so padding never
 * wins.
 */
#include <math.h>
#include <string.h>

#include "engine/kernels/pool.h"

enum { H = 1, W = 2 };

struct job {
    const struct ledge_pool_params *params;
    const void *x;
    void *y;
    void *scratch; /* a row of pixels or of one plane for each worker */
    void (*task)(const struct job *job, int64_t index, int32_t worker);
};

/* Taps of dimension d under output o that lie on the picture: first, end, and where tap 0 lies. */
static void clip(const struct ledge_geometry *g, int d, int64_t o, int64_t *first, int64_t *end,
                 int64_t *from)
{
    int64_t start = o * g->stride[d] - g->pad[d];
    int64_t step = g->dilation[d];
    int64_t fits = start < g->in[d] ? (g->in[d] - start + step - 1) / step : 0;
    *first = start < 0 ? (-start + step - 1) / step : 0;
    *end = fits < g->kernel[d] ? fits : g->kernel[d];
    *from = start;
}

#define MAX_LOOPS(type, suffix, least, limit)                                                      \
    static void fold_##suffix(type *restrict to, const type *restrict from, int64_t n)             \
    {                                                                                              \
        for (int64_t i = 0; i < n; i++) {                                                          \
            to[i] = from[i] > to[i] ? from[i] : to[i];                                             \
        }                                                                                          \
    }                                                                                              \
                                                                                                   \
    static void copy_##suffix(type *restrict to, const type *restrict from, int64_t n)             \
    {                                                                                              \
        for (int64_t i = 0; i < n; i++) {                                                          \
            to[i] = from[i];                                                                       \
        }                                                                                          \
    }                                                                                              \
                                                                                                   \
    static void fill_##suffix(type *to, int64_t n)                                                 \
    {                                                                                              \
        for (int64_t i = 0; i < n; i++) {                                                          \
            to[i] = (least);                                                                       \
        }                                                                                          \
    }                                                                                              \
                                                                                                   \
    /* Outputs first .. end - 1 of a row see tap k of the folded row. */                           \
    static void across_##suffix(const struct ledge_geometry *g, const type *row, type *y)          \
    {                                                                                              \
        fill_##suffix(y, g->out[W]);                                                               \
        for (int64_t k = 0; k < g->kernel[W]; k++) {                                               \
            int64_t shift = k * g->dilation[W] - g->pad[W];                                        \
            int64_t stride = g->stride[W];                                                         \
            int64_t first = shift < 0 ? (-shift + stride - 1) / stride : 0;                        \
            int64_t end = shift < g->in[W] ? (g->in[W] - shift + stride - 1) / stride : 0;         \
            end = end < g->out[W] ? end : g->out[W];                                               \
            if (stride == 1 && first < end) {                                                      \
                fold_##suffix(y + first, row + first + shift, end - first);                        \
            } else {                                                                               \
                for (int64_t o = first; o < end; o++) {                                            \
                    type v = row[o * stride + shift];                                              \
                    y[o] = v > y[o] ? v : y[o];                                                    \
                }                                                                                  \
            }                                                                                      \
        }                                                                                          \
    }                                                                                              \
                                                                                                   \
    static void plane_##suffix(const struct job *job, int64_t index, int32_t worker)               \
    {                                                                                              \
        const struct ledge_geometry *g = &job->params->g;                                          \
        const type *x = (const type *)job->x + index * ledge_volume(g->in);                        \
        type *y = (type *)job->y + index * ledge_volume(g->out);                                   \
        type *row = (type *)job->scratch + worker * g->in[W];                                      \
        for (int64_t o = 0; o < g->out[H]; o++, y += g->out[W]) {                                  \
            int64_t first, end, from;                                                              \
            clip(g, H, o, &first, &end, &from);                                                    \
            fill_##suffix(row, g->in[W]);                                                          \
            for (int64_t k = first; k < end; k++) {                                                \
                fold_##suffix(row, x + (from + k * g->dilation[H]) * g->in[W], g->in[W]);          \
            }                                                                                      \
            across_##suffix(g, row, y);                                                            \
            limit(y, g->out[W], job->params->clamp);                                               \
        }                                                                                          \
    }                                                                                              \
                                                                                                   \
    /* The rows under the window are folded into one of all pixels, its pixels then into outputs.  \
     */                                                                                            \
    static void pixels_##suffix(const struct job *job, int64_t index, int32_t worker)              \
    {                                                                                              \
        const struct ledge_geometry *g = &job->params->g;                                          \
        int64_t c = g->in_channels, n = g->in[W] * c;                                              \
        const type *x = (const type *)job->x + index / g->out[H] * g->in[H] * n;                   \
        type *y = (type *)job->y + index * g->out[W] * c;                                          \
        type *row = (type *)job->scratch + worker * n;                                             \
        int64_t h0, h1, h, w0, w1, w;                                                              \
        clip(g, H, index % g->out[H], &h0, &h1, &h);                                               \
        fill_##suffix(row, h0 < h1 ? 0 : n);                                                       \
        for (int64_t i = h0; i < h1; i++) {                                                        \
            const type *from = x + (h + i * g->dilation[H]) * n;                                   \
            if (i == h0) {                                                                         \
                memcpy(row, from, (size_t)n * sizeof *row);                                        \
            } else {                                                                               \
                fold_##suffix(row, from, n);                                                       \
            }                                                                                      \
        }                                                                                          \
        for (int64_t o = 0; o < g->out[W]; o++, y += c) {                                          \
            clip(g, W, o, &w0, &w1, &w);                                                           \
            fill_##suffix(y, w0 < w1 ? 0 : c);                                                     \
            for (int64_t j = w0; j < w1; j++) {                                                    \
                const type *from = row + (w + j * g->dilation[W]) * c;                             \
                if (j == w0) {                                                                     \
                    copy_##suffix(y, from, c);                                                     \
                } else {                                                                           \
                    fold_##suffix(y, from, c);                                                     \
                }                                                                                  \
            }                                                                                      \
            limit(y, c, job->params->clamp);                                                       \
        }                                                                                          \
    }

static void clamp_f32(float *y, int64_t n, struct ledge_clamp clamp)
{
    if (clamp.low == -INFINITY && clamp.high == INFINITY) {
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        y[i] = ledge_clamp_f32(y[i], clamp);
    }
}

#define NO_CLAMP(y, n, range) ((void)0)

MAX_LOOPS(float, f32, -INFINITY, clamp_f32)
MAX_LOOPS(uint8_t, u8, 0, NO_CLAMP)
MAX_LOOPS(int8_t, i8, INT8_MIN, NO_CLAMP)

static void one_task(void *arg, int32_t index, int32_t worker)
{
    const struct job *job = arg;
    job->task(job, index, worker);
}

bool ledge_max_pool_is_fast(const struct ledge_geometry *g)
{
    return g->in[0] == 1 && g->kernel[0] == 1 && g->out[0] == 1;
}

size_t ledge_max_pool_scratch(const struct ledge_geometry *g, int32_t threads)
{
    size_t pixel = g->layout == LEDGE_NCHW ? 1 : (size_t)g->in_channels;
    return (size_t)threads * (size_t)g->in[W] * pixel * sizeof(float);
}

enum ledge_status ledge_max_pool_fast(const struct ledge_kernel_call *call)
{
    const struct ledge_pool_params *params = call->params;
    const struct ledge_geometry *g = &params->g;
    bool nchw = g->layout == LEDGE_NCHW;
    struct job job = {.params = params,
                      .x = call->in[0]->data,
                      .y = call->out[0]->data,
                      .scratch = call->scratch};
    switch (call->in[0]->dtype) {
    case LEDGE_U8:
        job.task = nchw ? plane_u8 : pixels_u8;
        break;
    case LEDGE_I8:
        job.task = nchw ? plane_i8 : pixels_i8;
        break;
    default:
        job.task = nchw ? plane_f32 : pixels_f32;
        break;
    }
    ledge_pool_run(call->pool, (int32_t)(g->batch * (nchw ? g->in_channels : g->out[H])), one_task,
                   &job);
    return LEDGE_OK;
}
