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
#include "engine/port/select.h"

enum { H = 1, W = 2 };

struct loops;
struct job {
    const struct ledge_pool_params *params;
    const void *x;
    void *y;
    void *scratch; /* a row of pixels or of one plane for each worker */
    const struct loops *loops;
    void (*task)(const struct job *job, int64_t index, int32_t worker);
};

/* Taps of dimension d under an output that lie on the picture: first, end, and where tap 0 lies. */
struct taps {
    int64_t first, end, at;
};

static struct taps clip(const struct ledge_geometry *g, int d, int64_t o)
{
    int64_t start = o * g->stride[d] - g->pad[d];
    int64_t step = g->dilation[d];
    int64_t fits = start < g->in[d] ? (g->in[d] - start + step - 1) / step : 0;
    return (struct taps){.first = start < 0 ? (-start + step - 1) / step : 0,
                         .end = fits < g->kernel[d] ? fits : g->kernel[d],
                         .at = start};
}

/* The loops of one type: the larger of two rows, a row of the least value, and outputs of a row
 * that see elements `stride` apart. The walks below are of bytes. */
struct loops {
    size_t size;
    void (*fold)(void *to, const void *from, int64_t n);
    void (*fold_every)(void *to, const void *from, int64_t stride, int64_t n);
    void (*fill)(void *to, int64_t n);
};

#define MAX_LOOPS(type, suffix, least)                                                             \
    static void fold_##suffix(void *restrict out, const void *restrict in, int64_t n)              \
    {                                                                                              \
        type *to = out;                                                                            \
        const type *from = in;                                                                     \
        for (int64_t i = 0; i < n; i++) {                                                          \
            to[i] = from[i] > to[i] ? from[i] : to[i];                                             \
        }                                                                                          \
    }                                                                                              \
                                                                                                   \
    static void every_##suffix(void *restrict out, const void *restrict in, int64_t stride,        \
                               int64_t n)                                                          \
    {                                                                                              \
        type *to = out;                                                                            \
        const type *from = in;                                                                     \
        for (int64_t i = 0; i < n; i++) {                                                          \
            type v = from[i * stride];                                                             \
            to[i] = v > to[i] ? v : to[i];                                                         \
        }                                                                                          \
    }                                                                                              \
                                                                                                   \
    static void fill_##suffix(void *out, int64_t n)                                                \
    {                                                                                              \
        type *to = out;                                                                            \
        for (int64_t i = 0; i < n; i++) {                                                          \
            to[i] = (least);                                                                       \
        }                                                                                          \
    }                                                                                              \
                                                                                                   \
    static const struct loops loops_##suffix = {sizeof(type), fold_##suffix, every_##suffix,       \
                                                fill_##suffix};

MAX_LOOPS(float, f32, -INFINITY)
MAX_LOOPS(uint8_t, u8, 0)
MAX_LOOPS(int8_t, i8, INT8_MIN)

/* Of floats; a range of others is their type's. */
static void limit(const struct job *job, void *row, int64_t n)
{
    struct ledge_clamp clamp = job->params->clamp;
    if (job->loops != &loops_f32 || (clamp.low == -INFINITY && clamp.high == INFINITY)) {
        return;
    }
    float *y = row;
    for (int64_t i = 0; i < n; i++) {
        y[i] = ledge_clamp_f32(y[i], clamp);
    }
}

/* Outputs first .. end - 1 of a row see tap k of the folded row. */
static void across(const struct job *job, const uint8_t *row, uint8_t *y)
{
    const struct ledge_geometry *g = &job->params->g;
    const int64_t size = (int64_t)job->loops->size, stride = g->stride[W];
    job->loops->fill(y, g->out[W]);
    for (int64_t k = 0; k < g->kernel[W]; k++) {
        int64_t shift = k * g->dilation[W] - g->pad[W];
        int64_t first = shift < 0 ? (-shift + stride - 1) / stride : 0;
        int64_t end = shift < g->in[W] ? (g->in[W] - shift + stride - 1) / stride : 0;
        end = end < g->out[W] ? end : g->out[W];
        if (first >= end) {
            continue;
        }
        const uint8_t *from = row + (first * stride + shift) * size;
        if (stride == 1) {
            job->loops->fold(y + first * size, from, end - first);
        } else {
            job->loops->fold_every(y + first * size, from, stride, end - first);
        }
    }
}

static void plane(const struct job *job, int64_t index, int32_t worker)
{
    const struct ledge_geometry *g = &job->params->g;
    const struct loops *loops = job->loops;
    const int64_t size = (int64_t)loops->size, pitch = g->in[W] * size;
    const uint8_t *x = (const uint8_t *)job->x + index * ledge_volume(g->in) * size;
    uint8_t *y = (uint8_t *)job->y + index * ledge_volume(g->out) * size;
    uint8_t *row = (uint8_t *)job->scratch + worker * pitch;
    for (int64_t o = 0; o < g->out[H]; o++, y += g->out[W] * size) {
        struct taps taps = clip(g, H, o);
        loops->fill(row, g->in[W]);
        for (int64_t k = taps.first; k < taps.end; k++) {
            loops->fold(row, x + (taps.at + k * g->dilation[H]) * pitch, g->in[W]);
        }
        across(job, row, y);
        limit(job, y, g->out[W]);
    }
}

/* The largest of the n elements behind each of the taps, which stand `pitch` bytes apart. */
static void fold_taps(const struct loops *loops, const struct taps *taps, int64_t dilation,
                      const uint8_t *from, int64_t pitch, uint8_t *to, int64_t n)
{
    if (taps->first >= taps->end) {
        loops->fill(to, n);
        return;
    }
    memcpy(to, from + (taps->at + taps->first * dilation) * pitch, (size_t)n * loops->size);
    for (int64_t k = taps->first + 1; k < taps->end; k++) {
        loops->fold(to, from + (taps->at + k * dilation) * pitch, n);
    }
}

/* The rows under the window are folded into one of all pixels, its pixels then into outputs. */
static void pixels(const struct job *job, int64_t index, int32_t worker)
{
    const struct ledge_geometry *g = &job->params->g;
    const int64_t c = g->in_channels, n = g->in[W] * c, size = (int64_t)job->loops->size;
    const uint8_t *x = (const uint8_t *)job->x + index / g->out[H] * g->in[H] * n * size;
    uint8_t *y = (uint8_t *)job->y + index * g->out[W] * c * size;
    uint8_t *row = (uint8_t *)job->scratch + worker * n * size;
    struct taps taps = clip(g, H, index % g->out[H]);
    fold_taps(job->loops, &taps, g->dilation[H], x, n * size, row, n);
    for (int64_t o = 0; o < g->out[W]; o++, y += c * size) {
        taps = clip(g, W, o);
        fold_taps(job->loops, &taps, g->dilation[W], row, c * size, y, c);
        limit(job, y, c);
    }
}

/* How many outputs of a row from number o on have their windows within the columns. */
static int64_t whole_windows(const struct ledge_geometry *g, int64_t o)
{
    const int64_t span = (g->kernel[W] - 1) * g->dilation[W];
    const int64_t room = g->in[W] - 1 - span + g->pad[W];
    const int64_t end = room < 0 ? 0 : room / g->stride[W] + 1;
    return o * g->stride[W] < g->pad[W] ? 0 : (end < g->out[W] ? end : g->out[W]) - o;
}

/* Windows of bytes as a whole: all pixels under one at once, those of whole windows in one call.
 * The loops are isa's, so this is small. */
static LEDGE_COLD void windows(const struct job *job, int64_t index, int32_t worker)
{
    (void)worker;
    const struct ledge_geometry *g = &job->params->g;
    const int64_t c = g->in_channels, n = g->in[W] * c;
    const uint8_t *x = (const uint8_t *)job->x + index / g->out[H] * g->in[H] * n;
    const struct taps rows = clip(g, H, index % g->out[H]);
    struct ledge_largest_i8 l = {.channels = c,
                                 .step = g->stride[W] * c,
                                 .flip = job->loops == &loops_i8 ? 0x80 : 0,
                                 .y = (uint8_t *)job->y + index * g->out[W] * c};
    for (int64_t o = 0; o < g->out[W]; o += l.n, l.y += l.n * c) {
        const struct taps columns = clip(g, W, o);
        const int64_t whole = whole_windows(g, o);
        l.n = whole > 1 ? whole : 1;
        l.taps = 0;
        for (int64_t k = rows.first; k < rows.end; k++) {
            const uint8_t *row = x + (rows.at + k * g->dilation[H]) * n;
            for (int64_t j = columns.first; j < columns.end; j++) {
                l.x[l.taps++] = row + (columns.at + j * g->dilation[W]) * c;
            }
        }
        if (l.taps > 0) {
            job->params->isa->largest(&l);
        } else {
            job->loops->fill(l.y, c);
        }
    }
}

static void one_task(void *arg, int32_t index, int32_t worker)
{
    const struct job *job = arg;
    job->task(job, index, worker);
}

bool ledge_max_pool_is_fast(const struct ledge_geometry *g)
{
    return g->in[0] == 1 && g->kernel[0] == 1 && g->out[0] == 1;
}

bool ledge_max_pool_is_small(const struct ledge_geometry *g, const struct ledge_i8_kernels *isa)
{
    return LEDGE_HAS(LEDGE_KERNEL_max_pool_i8) && isa->largest != NULL && g->layout == LEDGE_NHWC &&
           g->kernel[H] <= 9 && g->kernel[W] <= 9 &&
           g->kernel[H] * g->kernel[W] <= LEDGE_LARGEST_TAPS;
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
    enum ledge_dtype dtype = call->in[0]->dtype;
    job.loops = !LEDGE_HAS(LEDGE_KERNEL_max_pool_bytes) ? &loops_f32
                : dtype == LEDGE_U8                     ? &loops_u8
                : dtype == LEDGE_I8                     ? &loops_i8
                                                        : &loops_f32;
    job.task = nchw                                                         ? plane
               : LEDGE_HAS(LEDGE_KERNEL_max_pool_i8) && params->isa != NULL ? windows
                                                                            : pixels;
    ledge_pool_run(call->pool, (int32_t)(g->batch * (nchw ? g->in_channels : g->out[H])), one_task,
                   &job);
    return LEDGE_OK;
}
