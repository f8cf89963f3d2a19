/* SPDX-License-Identifier: Apache-2.0 */
/* conv_f32.c -- convolution as a product without the matrix: weights are resident, the picture's
 * columns (NCHW) or rows (NHWC) are streamed into panels of the register tile.
 *
 * NCHW: c[O/g][pixels] = weights[O/g][K] * columns[K][pixels], pixels are vector lanes.
 * NHWC: c[pixels][O/g] = rows[pixels][K] * weights[K][O/g], output channels are vector lanes.
 * NCHW with fewer pixels than lanes: as NHWC, and turned in the end.
 * A batch of at least as many pictures as threads is shared out by picture (NCHW), otherwise the
 * threads work on one picture together. The sums are the same either way.
 */
#include <string.h>

#include "engine/kernels/conv.h"
#include "engine/kernels/product_f32.h"
#include "engine/kernels/turn.h"

/* Pictures of so few pixels leave most lanes of a vector empty. */
enum { H = 1, W = 2, FEW = 8 };

/* Tasks are counted in 32 bits. */
#define COUNT_LIMIT ((int64_t)1 << 30)

static bool is_nchw(const struct ledge_conv_fast *fast)
{
    return fast->base.g.layout == LEDGE_NCHW;
}

static bool by_columns(const struct ledge_conv_fast *fast)
{
    return is_nchw(fast) && !fast->few;
}

LEDGE_COLD bool ledge_conv_f32_is_fast(const struct ledge_geometry *g)
{
    return g->in[0] == 1 && g->kernel[0] == 1 && g->out[0] == 1 &&
           g->batch * g->out_channels < COUNT_LIMIT && ledge_volume(g->out) < COUNT_LIMIT &&
           ledge_volume(g->in) < COUNT_LIMIT && g->batch * ledge_volume(g->out) < COUNT_LIMIT &&
           g->stride[H] <= LEDGE_SPREAD_MAX_STRIDE && g->stride[W] <= LEDGE_SPREAD_MAX_STRIDE &&
           ledge_volume(g->kernel) < 1 << 20;
}

static size_t round_up(size_t floats)
{
    return (floats + 15) & ~(size_t)15;
}

/* Channels are lanes, too, where they fill these, or what fills them up is small. */
static LEDGE_COLD bool is_few(const struct ledge_geometry *g)
{
    int64_t k = g->in_channels / g->groups * ledge_volume(g->kernel);
    return g->layout == LEDGE_NCHW && ledge_volume(g->out) <= FEW &&
           (g->out_channels / g->groups >= 16 || k * g->groups <= 512);
}

static bool is_single(const struct ledge_conv_fast *fast)
{
    return fast->few && fast->m == 1;
}

static size_t group_floats(const struct ledge_conv_fast *fast)
{
    return by_columns(fast) ? ledge_product_f32_a_size(fast->m, fast->k)
                            : ledge_product_f32_b_size(fast->isa, fast->k, fast->n);
}

LEDGE_COLD void ledge_conv_f32_plan(struct ledge_conv_fast *fast,
                                    const struct ledge_f32_kernels *isa, int32_t threads,
                                    int64_t *tap_at)
{
    const struct ledge_geometry *g = &fast->base.g;
    int64_t taps = ledge_volume(g->kernel);
    int64_t pixels = ledge_volume(g->out);
    fast->isa = isa;
    fast->threads = threads;
    fast->copies = 0;
    fast->k = g->in_channels / g->groups * taps;
    fast->depthwise = ledge_depthwise_f32_is_fast(g);
    fast->few = !fast->depthwise && is_few(g);
    fast->m = by_columns(fast) ? g->out_channels / g->groups : g->batch * pixels;
    fast->n = by_columns(fast) ? pixels : g->out_channels / g->groups;
    fast->worker_floats = round_up(ledge_product_f32_scratch(isa, false));
    if (fast->few) { /* the one row, or all of the output before it is turned */
        fast->copies = 1;
        fast->spread_floats = round_up((size_t)(is_single(fast) ? fast->k
                                                : pixels > 1    ? fast->m * g->out_channels
                                                                : 0));
    } else if (is_nchw(fast)) {
        ledge_spread_init(&fast->spread, g, tap_at);
        int64_t channels = fast->depthwise ? 1 : g->in_channels;
        fast->spread_floats = round_up((size_t)(fast->spread.channel_floats * channels));
        fast->copies = fast->depthwise || g->batch >= threads ? threads : 1;
    }
    if (fast->depthwise) {
        /* taps in use, their places and weights: two pointers each */
        fast->worker_floats = round_up((size_t)taps * (sizeof(int64_t) + sizeof(float *)) / 4);
        fast->packed_floats = is_nchw(fast) ? 0 : round_up((size_t)(taps * g->out_channels));
    } else {
        fast->packed_floats = round_up(group_floats(fast)) * (size_t)g->groups;
    }
}

size_t ledge_conv_f32_scratch(const struct ledge_conv_fast *fast, bool constant_weights)
{
    return (constant_weights ? 0 : fast->packed_floats) +
           (size_t)fast->copies * fast->spread_floats + (size_t)fast->threads * fast->worker_floats;
}

void ledge_conv_f32_pack(const struct ledge_conv_fast *fast, const float *weights, float *packed)
{
    const struct ledge_geometry *g = &fast->base.g;
    int64_t taps = ledge_volume(g->kernel);
    if (fast->depthwise) {
        for (int64_t t = 0; t < taps && !is_nchw(fast); t++) {
            for (int64_t c = 0; c < g->out_channels; c++) {
                packed[t * g->out_channels + c] = weights[c * taps + t];
            }
        }
        return;
    }
    int64_t out_group = g->out_channels / g->groups;
    for (int64_t group = 0; group < g->groups; group++) {
        const float *from = weights + group * out_group * fast->k;
        float *to = packed + (size_t)group * round_up(group_floats(fast));
        if (by_columns(fast)) {
            ledge_product_f32_pack_a(fast->isa, from, fast->k, 1, fast->m, fast->k, to);
        } else {
            ledge_product_f32_pack_b(fast->isa, from, 1, fast->k, fast->k, fast->n, to);
        }
    }
}

/* What a run knows; `src` is where a group's or a picture's channels are read. */
struct job {
    const struct ledge_conv_fast *fast;
    const float *x, *packed, *bias;
    float *y;
    float *spread;  /* `copies` of them */
    float *scratch; /* worker_floats for each thread */
    int64_t picture;
};

struct source {
    const struct ledge_conv_fast *fast;
    const float *src; /* channel 0 of the group */
};

/* -- NCHW -- */

static void stream_columns(const void *arg, int64_t k0, int64_t kc, int64_t at, int64_t count,
                           float *panel)
{
    const struct source *source = arg;
    const struct ledge_spread *spread = &source->fast->spread;
    struct ledge_columns_f32 columns = {.src = source->src, .first_k = k0, .k = kc, .panel = panel};
    ledge_spread_columns(spread, source->fast->isa->lanes, source->fast->base.g.out, at, count,
                         &columns);
    columns.channel_stride = spread->channel_stride;
    source->fast->isa->columns(&columns);
}

static struct ledge_product_f32 product_of(const struct job *job, const struct source *source,
                                           int64_t picture, int64_t group)
{
    const struct ledge_conv_fast *fast = job->fast;
    int64_t at = group * fast->m;
    return (struct ledge_product_f32){
        .isa = fast->isa,
        .m = fast->m,
        .n = fast->n,
        .k = fast->k,
        .a_resident = true,
        .resident = job->packed + (size_t)group * round_up(group_floats(fast)),
        .stream = stream_columns,
        .arg = source,
        .c = job->y + (picture * fast->base.g.out_channels + at) * fast->n,
        .ldc = fast->n,
        .row_bias = job->bias != NULL ? job->bias + at : NULL,
        .clamp = fast->base.clamp,
    };
}

/* Where the group's first channel is read: in the picture, or in a copy of all its channels. */
static const float *channels_of(const struct job *job, int64_t picture, int64_t group,
                                const float *copy)
{
    const struct ledge_geometry *g = &job->fast->base.g;
    int64_t first = group * (g->in_channels / g->groups);
    return job->fast->spread.channel_floats > 0
               ? copy + first * job->fast->spread.channel_floats
               : job->x + (picture * g->in_channels + first) * ledge_volume(g->in);
}

static void spread_channel(const struct job *job, int64_t picture, int64_t channel, float *copy)
{
    const struct ledge_geometry *g = &job->fast->base.g;
    const struct ledge_spread *spread = &job->fast->spread;
    const float *from = job->x + (picture * g->in_channels + channel) * ledge_volume(g->in);
    job->fast->isa->spread(spread, from, copy + channel * spread->channel_floats);
}

static void whole_picture(void *arg, int32_t index, int32_t worker)
{
    const struct job *job = arg;
    const struct ledge_conv_fast *fast = job->fast;
    float *copy = job->spread + (size_t)worker * fast->spread_floats;
    float *scratch = job->scratch + (size_t)worker * fast->worker_floats;
    for (int64_t c = 0; c < fast->base.g.in_channels && fast->spread.channel_floats > 0; c++) {
        spread_channel(job, index, c, copy);
    }
    for (int64_t group = 0; group < fast->base.g.groups; group++) {
        struct source source = {.fast = fast, .src = channels_of(job, index, group, copy)};
        struct ledge_product_f32 product = product_of(job, &source, index, group);
        ledge_product_f32_run(&product, NULL, scratch);
    }
}

static void one_channel(void *arg, int32_t index, int32_t worker)
{
    (void)worker;
    const struct job *job = arg;
    spread_channel(job, job->picture, index, job->spread);
}

static void run_nchw(const struct ledge_kernel_call *call, struct job *job)
{
    const struct ledge_conv_fast *fast = job->fast;
    const struct ledge_geometry *g = &fast->base.g;
    if (fast->copies > 1 || call->pool == NULL) {
        ledge_pool_run(call->pool, (int32_t)g->batch, whole_picture, job);
        return;
    }
    for (job->picture = 0; job->picture < g->batch; job->picture++) {
        if (fast->spread.channel_floats > 0) {
            ledge_pool_run(call->pool, (int32_t)g->in_channels, one_channel, job);
        }
        for (int64_t group = 0; group < g->groups; group++) {
            struct source source = {.fast = fast,
                                    .src = channels_of(job, job->picture, group, job->spread)};
            struct ledge_product_f32 product = product_of(job, &source, job->picture, group);
            ledge_product_f32_run(&product, call->pool, job->scratch);
        }
    }
}

/* -- NHWC -- */

/* k is (tap, channel). One row is a pixel: runs of channels, zeros where a tap is off the picture.
 */
static void stream_row(const struct source *source, int64_t pixel, int64_t k0, int64_t kc,
                       float *to)
{
    const struct ledge_geometry *g = &source->fast->base.g;
    int64_t channels = g->in_channels / g->groups;
    int64_t out[3];
    int64_t volume = ledge_volume(g->out);
    ledge_unravel(pixel % volume, g->out, out);
    const float *picture = source->src + pixel / volume * ledge_volume(g->in) * g->in_channels;
    int64_t tap = k0 / channels;
    int64_t c = k0 % channels;
    while (kc > 0) {
        int64_t run = channels - c < kc ? channels - c : kc;
        int64_t y = out[H] * g->stride[H] - g->pad[H] + tap / g->kernel[W] * g->dilation[H];
        int64_t x = out[W] * g->stride[W] - g->pad[W] + tap % g->kernel[W] * g->dilation[W];
        if (y < 0 || y >= g->in[H] || x < 0 || x >= g->in[W]) {
            memset(to, 0, (size_t)run * sizeof *to);
        } else {
            memcpy(to, picture + (y * g->in[W] + x) * g->in_channels + c, (size_t)run * sizeof *to);
        }
        to += run;
        kc -= run;
        tap++;
        c = 0;
    }
}

static void stream_rows(const void *arg, int64_t k0, int64_t kc, int64_t at, int64_t count,
                        float *panel)
{
    for (int64_t i = 0; i < count; i++) {
        stream_row(arg, at + i, k0, kc, panel + i * LEDGE_F32_KC);
    }
}

/* -- NCHW of few pixels: k is (channel, tap) -- */

/* The first column of a window that begins at column x and is no more left of `at`. */
static int64_t column_from(const struct ledge_geometry *g, int64_t x, int64_t at)
{
    int64_t step = g->dilation[W], n = x >= at ? 0 : (at - x + step - 1) / step;
    return n < g->kernel[W] ? n : g->kernel[W];
}

static void gather_row(const struct source *source, int64_t pixel, int64_t k0, int64_t kc,
                       float *to)
{
    const struct ledge_geometry *g = &source->fast->base.g;
    const int64_t plane = ledge_volume(g->in), volume = ledge_volume(g->out);
    const int64_t width = g->kernel[W], taps = g->kernel[H] * width, step = g->dilation[W];
    int64_t out[3];
    ledge_unravel(pixel % volume, g->out, out);
    const int64_t y0 = out[H] * g->stride[H] - g->pad[H], x0 = out[W] * g->stride[W] - g->pad[W];
    const int64_t first = column_from(g, x0, 0), end = column_from(g, x0, g->in[W]);
    const float *channel = source->src + (pixel / volume * g->in_channels + k0 / taps) * plane;
    int64_t row = k0 % taps / width, column = k0 % width;
    if (first > 0 || end < width || y0 < 0 ||
        y0 + (g->kernel[H] - 1) * g->dilation[H] >= g->in[H]) {
        memset(to, 0, (size_t)kc * sizeof *to);
    }
    while (kc > 0) {
        int64_t run = width - column < kc ? width - column : kc;
        int64_t y = y0 + row * g->dilation[H];
        int64_t stop = end < column + run ? end : column + run;
        if (y < 0 || y >= g->in[H]) {
            stop = 0;
        }
        for (int64_t i = column > first ? column : first; i < stop; i++) {
            to[i - column] = channel[y * g->in[W] + x0 + i * step];
        }
        to += run;
        kc -= run;
        column = 0;
        if (++row == g->kernel[H]) {
            row = 0;
            channel += plane;
        }
    }
}

static void gather_rows(const void *arg, int64_t k0, int64_t kc, int64_t at, int64_t count,
                        float *panel)
{
    for (int64_t i = 0; i < count; i++) {
        gather_row(arg, at + i, k0, kc, panel + i * LEDGE_F32_KC);
    }
}

static void run_single(const struct ledge_kernel_call *call, const struct job *job,
                       const struct ledge_product_f32 *p, const struct source *source)
{
    const struct ledge_conv_fast *fast = job->fast;
    gather_row(source, 0, 0, fast->k, job->spread);
    struct ledge_vector_f32 vector = {.x = job->spread,
                                      .k = fast->k,
                                      .deep = LEDGE_F32_KC,
                                      .w = p->resident,
                                      .panels = (fast->n + fast->isa->nr - 1) / fast->isa->nr,
                                      .n = fast->n,
                                      .bias = p->col_bias,
                                      .y = p->c,
                                      .low = p->clamp.low,
                                      .high = p->clamp.high};
    ledge_vector_f32_run(fast->isa, &vector, call->pool);
}

static void run_by_rows(const struct ledge_kernel_call *call, const struct job *job)
{
    const struct ledge_conv_fast *fast = job->fast;
    const struct ledge_geometry *g = &fast->base.g;
    const int64_t pixels = ledge_volume(g->out);
    const int64_t group_step = g->in_channels / g->groups * (fast->few ? ledge_volume(g->in) : 1);
    const bool turned = fast->few && pixels > 1;
    for (int64_t group = 0; group < g->groups; group++) {
        struct source source = {.fast = fast, .src = job->x + group * group_step};
        struct ledge_product_f32 product = {
            .isa = fast->isa,
            .m = fast->m,
            .n = fast->n,
            .k = fast->k,
            .a_resident = false,
            .resident = job->packed + (size_t)group * round_up(group_floats(fast)),
            .stream = fast->few ? gather_rows : stream_rows,
            .arg = &source,
            .c = (turned ? job->spread : job->y) + group * fast->n,
            .ldc = g->out_channels,
            .col_bias = job->bias != NULL ? job->bias + group * fast->n : NULL,
            .clamp = fast->base.clamp,
        };
        if (is_single(fast)) {
            run_single(call, job, &product, &source);
        } else {
            ledge_product_f32_run(&product, call->pool, job->scratch);
        }
    }
    for (int64_t picture = 0; turned && picture < g->batch; picture++) {
        int64_t at = picture * pixels * g->out_channels;
        ledge_turn_floats(job->spread + at, g->out_channels, pixels, pixels, g->out_channels,
                          job->y + at, pixels);
    }
}

enum ledge_status ledge_conv_f32_fast(const struct ledge_kernel_call *call)
{
    const struct ledge_conv_fast *fast = call->params;
    float *scratch = call->scratch;
    const float *packed = call->packed;
    if (packed == NULL) {
        ledge_conv_f32_pack(fast, call->in[1]->data, scratch);
        packed = scratch;
        scratch += fast->packed_floats;
    }
    if (fast->depthwise) {
        ledge_depthwise_f32_run(call, packed, scratch);
        return LEDGE_OK;
    }
    struct job job = {
        .fast = fast,
        .x = call->in[0]->data,
        .packed = packed,
        .bias = call->n_in > 2 && call->in[2] != NULL ? call->in[2]->data : NULL,
        .y = call->out[0]->data,
        .spread = scratch,
        .scratch = scratch + (size_t)fast->copies * fast->spread_floats,
    };
    if (by_columns(fast)) {
        run_nchw(call, &job);
    } else {
        run_by_rows(call, &job);
    }
    return LEDGE_OK;
}
