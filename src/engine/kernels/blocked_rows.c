/* SPDX-License-Identifier: Apache-2.0 */
/* blocked_rows.c -- depthwise convolution and pooling on blocked tensors: one channel block after
 * the other, row by row. Rows off the picture are a row of zeros (convolution) or left out
 * (pooling).
 */
#include <string.h>

#include "engine/kernels/blocked.h"
#include "engine/kernels/turn.h"

enum { H = 1, W = 2, MAX_KERNEL = LEDGE_BLOCKED_MAX_KERNEL };

#define COUNT_LIMIT ((int64_t)1 << 30)

LEDGE_COLD bool ledge_blocked_depthwise_fits(const struct ledge_geometry *g)
{
    return g->groups == g->in_channels && g->out_channels == g->in_channels && g->in[0] == 1 &&
           g->kernel[0] == 1 && g->out[0] == 1 && g->kernel[H] <= MAX_KERNEL &&
           g->kernel[W] <= MAX_KERNEL && g->batch > 0 && ledge_volume(g->out) > 0 &&
           ledge_volume(g->in) > 0 && g->batch * g->in_channels < 1 << 24 &&
           ledge_volume(g->out) < COUNT_LIMIT && ledge_volume(g->in) < COUNT_LIMIT &&
           g->dilation[W] < 1 << 20 && g->stride[W] < 1 << 20 && g->batch < 1 << 20;
}

/* Depthwise only. */
static bool is_narrow(const struct ledge_geometry *g)
{
    int64_t stride = g->stride[W], out = g->out[W];
    bool fits = stride == 1 ? g->pad[W] == 1 && out == g->in[W]
                            : stride == 2 && g->pad[W] <= 1 && g->in[W] >= 2 * out - g->pad[W];
    for (int d = H; d <= W; d++) {
        fits = fits && g->kernel[d] == 3 && g->stride[d] == stride && g->dilation[d] == 1;
    }
    return fits && out >= LEDGE_BLOCKED_NARROWEST && out <= LEDGE_BLOCKED_NARROW;
}

LEDGE_COLD void ledge_blocked_rows_plan(struct ledge_blocked_rows *rows, int32_t threads)
{
    const struct ledge_geometry *g = &rows->g;
    int64_t planes = g->batch;
    rows->bands = 1;
    rows->narrow = !rows->max && rows->isa->narrow != NULL && is_narrow(g);
    if (threads > 1 && planes < 8 * (int64_t)threads) {
        rows->bands = 2 * (int64_t)threads < g->out[H] ? 2 * (int64_t)threads : g->out[H];
    }
}

static int64_t plane_weights(const struct ledge_blocked_rows *rows)
{
    return (ledge_volume(rows->g.kernel) + 1) * rows->isa->block;
}

size_t ledge_blocked_depthwise_floats(const struct ledge_blocked_rows *rows)
{
    return (size_t)(rows->blocks * plane_weights(rows));
}

/* For each block the taps, then the bias. */
void ledge_blocked_depthwise_pack(const struct ledge_blocked_rows *rows, const void *weights,
                                  const float *bias, float *packed)
{
    const struct ledge_geometry *g = &rows->g;
    int64_t taps = ledge_volume(g->kernel), block = rows->isa->block;
    for (int64_t c = 0; c < rows->blocks * block; c += block) {
        float *to = packed + c / block * plane_weights(rows);
        int64_t left = g->out_channels - c, real = left < block ? left : block;
        ledge_turn_floats((const char *)weights + 4 * c * taps, taps, real, block, taps, to, block);
        for (int64_t i = 0; i < block; i++) {
            to[taps * block + i] = i < real && bias != NULL ? bias[c + i] : 0.0f;
        }
    }
}

struct job {
    const struct ledge_blocked_rows *rows;
    const float *x, *packed, *add;
    float *y;
};

/* Input rows of a piece, at least those of one row of outputs. */
enum { LIST = 2 * MAX_KERNEL };

/* Rows of outputs that share a list of input rows: one where taps or rows lie far apart. */
static int64_t together(const struct ledge_geometry *g)
{
    bool near = g->dilation[H] == 1 && g->stride[H] <= MAX_KERNEL;
    return near ? (LIST - g->kernel[H]) / g->stride[H] + 1 : 1;
}

void ledge_blocked_depthwise_rows(const struct ledge_blocked_rows *rows, const float *packed,
                                  int64_t block, const float *x, int64_t ring, int64_t r0,
                                  int64_t r1, const float *add, float *y)
{
    const struct ledge_geometry *g = &rows->g;
    int64_t width = g->in[W] * rows->isa->block, most = together(g);
    const float *list[LIST], *w = packed + block * plane_weights(rows);
    struct ledge_blocked_row row = {
        .rows = list,
        .in = g->in[W],
        .out = g->out[W],
        .kernel_h = g->kernel[H],
        .kernel_w = g->kernel[W],
        .stride = g->stride[W],
        .dilation = g->dilation[W],
        .pad = g->pad[W],
        .w = w,
        .bias = w + ledge_volume(g->kernel) * rows->isa->block,
        .add = add,
        .y = y,
        .low = rows->clamp.low,
        .high = rows->clamp.high,
    };
    for (int64_t n; r0 < r1; r0 += n) {
        n = r1 - r0 < most ? r1 - r0 : most;
        int64_t at = r0 * g->stride[H] - g->pad[H];
        int64_t wanted = (n - 1) * g->stride[H] + g->kernel[H];
        for (int64_t i = 0; i < wanted; i++, at += g->dilation[H]) {
            list[i] = at >= 0 && at < g->in[H] ? x + at % ring * width : rows->zeros;
        }
        rows->isa->rows(&row, n, g->stride[H]);
        if (rows->activation.function != LEDGE_BLOCKED_NONE) {
            rows->isa->activate(&rows->activation, row.y, n * g->out[W], row.y);
        }
        row.y += n * g->out[W] * rows->isa->block;
        row.add = row.add != NULL ? row.add + n * g->out[W] * rows->isa->block : NULL;
    }
}

/* Taps of dimension d under output o that lie on the picture: where the first lies, how many. */
static int64_t clip(const struct ledge_geometry *g, int d, int64_t o, int64_t *n)
{
    int64_t start = o * g->stride[d] - g->pad[d], step = g->dilation[d];
    int64_t first = start < 0 ? (-start + step - 1) / step : 0;
    int64_t fits = start < g->in[d] ? (g->in[d] - start + step - 1) / step : 0;
    fits = fits < g->kernel[d] ? fits : g->kernel[d];
    *n = fits > first ? fits - first : 0;
    return start + first * step;
}

/* Taps of dimension d that an average counts: on the picture, or on its declared padding, too. */
static int64_t counted(const struct ledge_blocked_rows *rows, int d, int64_t o, int64_t on_picture)
{
    const struct ledge_geometry *g = &rows->g;
    int64_t room = g->in[d] + g->pad_end[d] - (o * g->stride[d] - g->pad[d]);
    int64_t fits = (room + g->dilation[d] - 1) / g->dilation[d];
    return !rows->count_pad ? on_picture : fits < g->kernel[d] ? fits : g->kernel[d];
}

void ledge_blocked_max_row(const struct ledge_blocked_rows *rows, const float *x, int64_t ring,
                           int64_t r0, int64_t r1, float *y)
{
    const struct ledge_geometry *g = &rows->g;
    int64_t first = r0 % ring, n = r1 - r0, before = ring - first;
    before = before < n ? before : n;
    const struct ledge_blocked_max max = {
        .x = {x + first * g->in[W] * rows->isa->block, x},
        .n = {before, n - before},
        .in = g->in[W],
        .out = g->out[W],
        .kernel = g->kernel[W],
        .stride = g->stride[W],
        .pad = g->pad[W],
        .y = y,
        .low = rows->clamp.low,
        .high = rows->clamp.high,
    };
    rows->isa->max(&max);
}

static void average_row(const struct job *job, int64_t plane, int64_t at)
{
    const struct ledge_blocked_rows *rows = job->rows;
    const struct ledge_geometry *g = &rows->g;
    int64_t block = rows->isa->block;
    const float *x = job->x + plane * ledge_volume(g->in) * block;
    float *y = job->y + (plane * g->out[H] + at) * g->out[W] * block;
    struct ledge_blocked_window window = {
        .row_step = g->dilation[H] * g->in[W] * block,
        .column_step = g->dilation[W] * block,
        .low = rows->clamp.low,
        .high = rows->clamp.high,
    };
    int64_t h = clip(g, H, at, &window.rows);
    int64_t high = counted(rows, H, at, window.rows);
    for (int64_t o = 0; o < g->out[W]; o++) {
        int64_t w = clip(g, W, o, &window.columns);
        int64_t count = high * counted(rows, W, o, window.columns);
        window.x = x + (h * g->in[W] + w) * block;
        window.y = y + o * block;
        window.scale = 1.0f / (float)(count > 0 ? count : 1);
        rows->isa->sum(&window);
    }
}

static void largest_row(const struct job *job, int64_t plane, int64_t at)
{
    const struct ledge_blocked_rows *rows = job->rows;
    const struct ledge_geometry *g = &rows->g;
    int64_t block = rows->isa->block, n, first = clip(g, H, at, &n);
    ledge_blocked_max_row(rows, job->x + plane * ledge_volume(g->in) * block, g->in[H], first,
                          first + n, job->y + (plane * g->out[H] + at) * g->out[W] * block);
}

static void each_row(const struct job *job, int32_t index,
                     void (*row)(const struct job *job, int64_t plane, int64_t at))
{
    const struct ledge_blocked_rows *rows = job->rows;
    int64_t plane = index / rows->bands, band = index % rows->bands, out = rows->g.out[H];
    for (int64_t at = band * out / rows->bands; at < (band + 1) * out / rows->bands; at++) {
        row(job, plane, at);
    }
}

void ledge_blocked_depthwise_narrow(const struct ledge_blocked_rows *rows, const float *packed,
                                    int64_t block, const float *x, int64_t from, int64_t to,
                                    const float *add, float *y)
{
    const struct ledge_geometry *g = &rows->g;
    const float *w = packed + block * plane_weights(rows);
    struct ledge_blocked_narrow narrow = {
        .x = x,
        .zeros = rows->zeros,
        .in = {g->in[H], g->in[W]},
        .width = g->out[W],
        .stride = g->stride[W],
        .pad = {g->pad[H], g->pad[W]},
        .from = from,
        .to = to,
        .w = w,
        .bias = w + 9 * rows->isa->block,
        .add = add,
        .y = y,
        .low = rows->clamp.low,
        .high = rows->clamp.high,
    };
    rows->isa->narrow(&narrow);
    if (rows->activation.function != LEDGE_BLOCKED_NONE) {
        y += from * g->out[W] * rows->isa->block;
        rows->isa->activate(&rows->activation, y, (to - from) * g->out[W], y);
    }
}

static void depthwise_task(void *arg, int32_t index, int32_t worker)
{
    const struct job *job = arg;
    const struct ledge_blocked_rows *rows = job->rows;
    const struct ledge_geometry *g = &rows->g;
    int64_t plane = index / rows->bands, band = index % rows->bands;
    int64_t row = g->out[W] * rows->isa->block, at = plane * g->out[H] * row;
    int64_t r0 = band * g->out[H] / rows->bands, r1 = (band + 1) * g->out[H] / rows->bands;
    const float *x = job->x + plane * ledge_volume(g->in) * rows->isa->block;
    const float *add = job->add != NULL ? job->add + at : NULL;
    (void)worker;
    if (rows->narrow) {
        ledge_blocked_depthwise_narrow(rows, job->packed, plane % rows->blocks, x, r0, r1, add,
                                       job->y + at);
        return;
    }
    ledge_blocked_depthwise_rows(rows, job->packed, plane % rows->blocks, x, g->in[H], r0, r1,
                                 add != NULL ? add + r0 * row : NULL, job->y + at + r0 * row);
}

static void pool_task(void *arg, int32_t index, int32_t worker)
{
    (void)worker;
    each_row(arg, index, ((const struct job *)arg)->rows->max ? largest_row : average_row);
}

enum ledge_status ledge_blocked_depthwise_run(const struct ledge_kernel_call *call)
{
    const struct ledge_blocked_rows *rows = call->params;
    bool add = call->n_in > 3 && call->in[3] != NULL;
    struct job job = {.rows = rows,
                      .x = call->in[0]->data,
                      .packed = call->packed,
                      .add = add ? call->in[3]->data : NULL,
                      .y = call->out[0]->data};
    ledge_pool_run(call->pool, (int32_t)(rows->g.batch * rows->bands), depthwise_task, &job);
    return LEDGE_OK;
}

enum ledge_status ledge_blocked_pool_run(const struct ledge_kernel_call *call)
{
    const struct ledge_blocked_rows *rows = call->params;
    struct job job = {.rows = rows, .x = call->in[0]->data, .y = call->out[0]->data};
    ledge_pool_run(call->pool, (int32_t)(rows->g.batch * rows->bands), pool_task, &job);
    return LEDGE_OK;
}
