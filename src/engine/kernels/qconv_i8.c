/* SPDX-License-Identifier: Apache-2.0 */
/* qconv_i8.c -- QLinearConv and ConvInteger by exact 8-bit products; the blocking is that of
 * conv_f32.c with units of neighbouring channels in the place of floats. */
#include <string.h>

#include "engine/kernels/quant_i8.h"

enum { H = 1, W = 2 };

#define COUNT_LIMIT ((int64_t)1 << 30)

static bool is_nchw(const struct ledge_qconv_fast *fast)
{
    return fast->base.g.layout == LEDGE_NCHW;
}

static size_t round_up(size_t units)
{
    return (units + 15) & ~(size_t)15;
}

static bool is_depthwise(const struct ledge_geometry *g)
{
    return g->groups > 1 && g->groups == g->in_channels && g->layout == LEDGE_NCHW &&
           ledge_volume(g->kernel) <= 256; /* 256 * 255 * 255 < 2^24 */
}

bool ledge_qconv_i8_is_fast(const struct ledge_geometry *g)
{
    return g->in[0] == 1 && g->kernel[0] == 1 && g->out[0] == 1 &&
           g->batch * g->out_channels < COUNT_LIMIT && ledge_volume(g->out) < COUNT_LIMIT &&
           ledge_volume(g->in) < COUNT_LIMIT && g->batch * ledge_volume(g->out) < COUNT_LIMIT &&
           g->stride[H] <= LEDGE_SPREAD_MAX_STRIDE && g->stride[W] <= LEDGE_SPREAD_MAX_STRIDE &&
           ledge_volume(g->kernel) < 1 << 20;
}

void ledge_qconv_i8_plan(struct ledge_qconv_fast *fast, enum ledge_rung rung, int32_t threads,
                         int64_t *tap_at)
{
    const struct ledge_geometry *g = &fast->base.g;
    int64_t per_group = g->in_channels / g->groups;
    int64_t taps = ledge_volume(g->kernel);
    int64_t pixels = ledge_volume(g->out);
    fast->isa = ledge_i8_for(rung);
    fast->f32 = ledge_f32_for(rung, false);
    fast->threads = threads;
    fast->depthwise = is_depthwise(g);
    fast->copies = 0;
    int64_t group = fast->isa->group;
    if (!is_nchw(fast)) {
        fast->m = g->batch * pixels;
        fast->n = g->out_channels / g->groups;
        fast->units = (per_group * taps + group - 1) / group;
        fast->group_units =
            round_up((size_t)((fast->n + fast->isa->nr - 1) / fast->isa->nr * fast->isa->nr) *
                     (size_t)fast->units);
        fast->worker_units = ledge_product_i8_scratch(fast->isa, fast->units);
        return;
    }
    ledge_spread_init(&fast->spread, g, tap_at);
    fast->m = g->out_channels / g->groups;
    fast->n = pixels;
    fast->planes = (per_group + group - 1) / group;
    fast->units = fast->planes * taps;
    fast->group_units = round_up((size_t)(fast->m * fast->units));
    fast->plane_units = (int64_t)round_up((size_t)(fast->spread.channel_floats > 0
                                                       ? fast->spread.channel_floats
                                                       : fast->spread.rows * fast->spread.pitch));
    fast->spread_units = (size_t)(fast->plane_units * fast->planes * g->groups);
    fast->worker_units = ledge_product_i8_scratch(fast->isa, fast->units);
    fast->copies = g->batch >= threads ? threads : 1;
    if (fast->depthwise) {
        /* the channel as floats, its spread, the output as floats, as sums */
        fast->spread_units = 0;
        fast->group_units = (size_t)(fast->m * taps);
        fast->worker_units = round_up((size_t)ledge_volume(g->in)) + (size_t)fast->plane_units +
                             2 * round_up((size_t)pixels);
    }
}

size_t ledge_qconv_i8_packed(const struct ledge_qconv_fast *fast)
{
    return fast->group_units * (size_t)fast->base.g.groups;
}

size_t ledge_qconv_i8_scratch(const struct ledge_qconv_fast *fast)
{
    return (size_t)fast->copies * fast->spread_units + (size_t)fast->threads * fast->worker_units;
}

/* -- packing ------------------------------------------------------------------------------------
 */

struct reader {
    const struct ledge_qconv_fast *fast;
    const struct ledge_q8_weights *weights;
    int64_t first; /* channel */
};

static int32_t weight(const void *arg, int64_t channel, int64_t k)
{
    const struct reader *r = arg;
    const struct ledge_geometry *g = &r->fast->base.g;
    int64_t per_group = g->in_channels / g->groups;
    int64_t taps = ledge_volume(g->kernel);
    int64_t o = r->first + channel;
    int64_t at = k;
    bool real = k < per_group * taps;
    if (is_nchw(r->fast)) { /* k = (group of channels, tap, channel) */
        int64_t unit = k / r->fast->isa->group;
        int64_t c = unit / taps * r->fast->isa->group + k % r->fast->isa->group;
        at = c * taps + unit % taps;
        real = c < per_group;
    }
    return real ? ledge_q8(r->weights->b->data, r->weights->b->dtype, o * per_group * taps + at)
                : r->weights->b_zeros[o];
}

static void pack_depthwise(const struct ledge_qconv_fast *fast,
                           const struct ledge_q8_weights *weights, uint32_t *packed)
{
    const struct ledge_geometry *g = &fast->base.g;
    int64_t taps = ledge_volume(g->kernel);
    for (int64_t o = 0; o < g->out_channels; o++) {
        weights->offset[o] = 0;
        for (int64_t t = 0; t < taps; t++) {
            float w = (float)(ledge_q8(weights->b->data, weights->b->dtype, o * taps + t) -
                              weights->b_zeros[o]);
            memcpy(&packed[o * taps + t], &w, sizeof w);
        }
    }
}

static void add_bias(const struct ledge_q8_weights *weights, int64_t channels)
{
    for (int64_t c = 0; c < channels && weights->bias != NULL; c++) {
        weights->offset[c] = (int32_t)((uint32_t)weights->offset[c] +
                                       (uint32_t)weights->bias[c * weights->bias_step]);
    }
}

bool ledge_qconv_i8_pack(const struct ledge_qconv_fast *fast,
                         const struct ledge_q8_weights *weights, uint32_t *packed)
{
    const struct ledge_geometry *g = &fast->base.g;
    bool matter = false;
    if (fast->depthwise) {
        pack_depthwise(fast, weights, packed);
        add_bias(weights, g->out_channels);
        return false;
    }
    int64_t per_group = g->out_channels / g->groups;
    for (int64_t group = 0; group < g->groups; group++) {
        struct reader reader = {.fast = fast, .weights = weights, .first = group * per_group};
        struct ledge_pack_i8 pack = {
            .isa = fast->isa,
            .channels = per_group,
            .units = fast->units,
            .a_resident = is_nchw(fast),
            .get = weight,
            .arg = &reader,
            .b_is_u8 = weights->b->dtype == LEDGE_U8,
            .b_zeros = weights->b_zeros + reader.first,
            .a_zero = fast->constants.a_zero,
        };
        bool some =
            ledge_product_i8_pack(&pack, packed + (size_t)group * fast->group_units,
                                  weights->offset + reader.first, weights->zeros + reader.first);
        matter = matter || some;
    }
    add_bias(weights, g->out_channels);
    return matter;
}

/* -- storing ------------------------------------------------------------------------------------
 */

void ledge_q8_store(const struct ledge_q8_store *store, int64_t row, int64_t col, int32_t rows,
                    int32_t cols, const int32_t *sums)
{
    const struct ledge_q8_constants *c = store->constants;
    for (int32_t r = 0; r < rows; r++) {
        const int32_t *from = sums + r * store->isa->nr;
        int64_t channel = store->first_channel + (store->channels_are_rows ? row + r : col);
        int64_t at = (row + r) * store->ldy + col;
        if (store->dtype == LEDGE_I32) {
            int32_t *y = (int32_t *)store->y + at;
            for (int32_t i = 0; i < cols; i++) {
                int64_t which = store->channels_are_rows ? channel : channel + i;
                y[i] = (int32_t)((uint32_t)from[i] + (uint32_t)c->offset[which]);
            }
            continue;
        }
        if (store->dtype == LEDGE_F32) {
            float *y = (float *)store->y + at;
            for (int32_t i = 0; i < cols; i++) {
                int64_t which = store->channels_are_rows ? channel : channel + i;
                int32_t sum = (int32_t)((uint32_t)from[i] + (uint32_t)c->offset[which]);
                y[i] = ledge_clamp_f32((float)sum * c->scale[which], store->clamp);
            }
            continue;
        }
        struct ledge_requant_i8 requant = {.sums = from,
                                           .n = cols,
                                           .offset = c->offset + channel,
                                           .scale = c->scale + channel,
                                           .one = store->channels_are_rows,
                                           .range = c->range,
                                           .y = (uint8_t *)store->y + at};
        store->isa->requant(&requant);
    }
}

/* -- running ------------------------------------------------------------------------------------
 */

struct job {
    const struct ledge_kernel_call *call;
    const struct ledge_qconv_fast *fast;
    uint32_t *spread;
    uint32_t *scratch;
    int64_t picture;
};

/* First argument of stream and store callbacks. */
struct source {
    const struct ledge_qconv_fast *fast;
    const void *src; /* NCHW: spread units of the group; NHWC: bytes of its first channel */
    struct ledge_q8_store store;
};

static void store_tile(const void *arg, int64_t row, int64_t col, int32_t rows, int32_t cols,
                       int32_t *sums)
{
    const struct source *source = arg;
    ledge_q8_store(&source->store, row, col, rows, cols, sums);
}

static size_t element_bytes(const struct ledge_kernel_call *call)
{
    return ledge_dtype_size(call->out[0]->dtype);
}

static struct ledge_product_i8 product_of(const struct job *job, struct source *source,
                                          int64_t group, int64_t y_at, int64_t ldy)
{
    const struct ledge_qconv_fast *fast = job->fast;
    const struct ledge_kernel_call *call = job->call;
    int64_t channels = fast->base.g.out_channels / fast->base.g.groups;
    const struct ledge_q8_constants *c = &fast->constants;
    source->store = (struct ledge_q8_store){.isa = fast->isa,
                                            .constants = c,
                                            .dtype = call->out[0]->dtype,
                                            .y = (char *)call->out[0]->data +
                                                 (size_t)y_at * element_bytes(call),
                                            .ldy = ldy,
                                            .channels_are_rows = is_nchw(fast),
                                            .first_channel = group * channels};
    return (struct ledge_product_i8){
        .isa = fast->isa,
        .m = fast->m,
        .n = fast->n,
        .units = fast->units,
        .a_resident = is_nchw(fast),
        .resident = (const uint32_t *)call->packed + (size_t)group * fast->group_units,
        .b_zeros = c->zeros != NULL ? c->zeros + group * channels : NULL,
        .store = store_tile,
        .arg = source};
}

static void stream_columns(const void *arg, int64_t at, int64_t count, uint32_t *panel)
{
    const struct source *source = arg;
    const struct ledge_qconv_fast *fast = source->fast;
    struct ledge_columns_f32 columns = {.src = source->src, .k = fast->units};
    columns.panel = (float *)(void *)panel;
    ledge_spread_columns(&fast->spread, fast->isa->lanes, fast->base.g.out, at, count, &columns);
    columns.channel_stride = fast->plane_units;
    fast->f32->columns(&columns);
}

/* First element of a phase that lies on the picture, and the first after it. */
static void inside(const struct ledge_spread *s, int d, int64_t phase, int64_t n, int64_t *first,
                   int64_t *last)
{
    int64_t offset = phase - s->pad[d];
    int64_t end = offset < s->in[d] ? (s->in[d] - offset + s->stride[d] - 1) / s->stride[d] : 0;
    *first = offset < 0 ? (-offset + s->stride[d] - 1) / s->stride[d] : 0;
    *last = end < n ? end : n;
    *first = *first < *last ? *first : *last;
}

static void fill(uint32_t *to, int64_t n, uint32_t unit)
{
    for (int64_t i = 0; i < n; i++) {
        to[i] = unit;
    }
}

/* One phase of a plane of units; row 0, column 0 of the picture's channels at u->src. */
static void spread_phase(const struct ledge_qconv_fast *fast, struct ledge_units_i8 u, int64_t ph,
                         int64_t pw, uint32_t *to)
{
    const struct ledge_spread *s = &fast->spread;
    uint32_t empty = fast->isa->group == 4 ? (uint32_t)fast->constants.a_zero * 0x01010101u : 0;
    const uint8_t *base[4] = {u.src[0], u.src[1], u.src[2], u.src[3]};
    int64_t r0, r1, c0, c1;
    inside(s, 0, ph, s->rows, &r0, &r1);
    inside(s, 1, pw, s->pitch, &c0, &c1);
    fill(to, r0 * s->pitch, empty);
    for (int64_t r = r0; r < r1; r++) {
        int64_t y = r * s->stride[0] + ph - s->pad[0];
        uint32_t *row = to + r * s->pitch;
        for (int c = 0; c < 4; c++) {
            u.src[c] = base[c] == NULL
                           ? NULL
                           : base[c] + y * s->in[1] + c0 * s->stride[1] + pw - s->pad[1];
        }
        fill(row, c0, empty);
        u.step = s->stride[1];
        u.n = c1 - c0;
        u.units = row + c0;
        fast->isa->units(&u);
        fill(row + c1, s->pitch - c1, empty);
    }
    fill(to + r1 * s->pitch, (s->rows - r1) * s->pitch, empty);
}

/* Plane number `plane` (counted over all groups) of a picture. */
static void spread_plane(const struct job *job, int64_t picture, int64_t plane, uint32_t *copy)
{
    const struct ledge_qconv_fast *fast = job->fast;
    const struct ledge_geometry *g = &fast->base.g;
    const struct ledge_spread *s = &fast->spread;
    int64_t per_group = g->in_channels / g->groups;
    int64_t volume = ledge_volume(g->in);
    int64_t first = plane % fast->planes * fast->isa->group;
    struct ledge_units_i8 units = {
        .flip = fast->constants.flip, .zero = fast->constants.a_zero, .to_step = 1};
    for (int64_t c = 0; c < fast->isa->group && first + c < per_group; c++) {
        int64_t channel = plane / fast->planes * per_group + first + c;
        units.src[c] = (const uint8_t *)job->call->in[fast->base.in.a]->data +
                       (picture * g->in_channels + channel) * volume;
    }
    uint32_t *to = copy + plane * fast->plane_units;
    for (int64_t ph = 0; ph < s->stride[0]; ph++) {
        for (int64_t pw = 0; pw < s->stride[1]; pw++) {
            if (ledge_spread_uses(s, 0, ph) && ledge_spread_uses(s, 1, pw)) {
                spread_phase(fast, units, ph, pw, to);
                to += s->rows * s->pitch;
            }
        }
    }
}

static void convolve(const struct job *job, int64_t picture, const uint32_t *copy,
                     struct ledge_pool *pool, uint32_t *scratch)
{
    const struct ledge_qconv_fast *fast = job->fast;
    const struct ledge_geometry *g = &fast->base.g;
    for (int64_t group = 0; group < g->groups; group++) {
        struct source source = {.fast = fast,
                                .src = copy + group * fast->planes * fast->plane_units};
        struct ledge_product_i8 product = product_of(
            job, &source, group, (picture * g->out_channels + group * fast->m) * fast->n, fast->n);
        product.stream = stream_columns;
        ledge_product_i8_run(&product, pool, scratch);
    }
}

static void whole_picture(void *arg, int32_t index, int32_t worker)
{
    const struct job *job = arg;
    const struct ledge_qconv_fast *fast = job->fast;
    uint32_t *copy = job->spread + (size_t)worker * fast->spread_units;
    for (int64_t plane = 0; plane < fast->planes * fast->base.g.groups; plane++) {
        spread_plane(job, index, plane, copy);
    }
    convolve(job, index, copy, NULL, job->scratch + (size_t)worker * fast->worker_units);
}

static void one_plane(void *arg, int32_t index, int32_t worker)
{
    (void)worker;
    const struct job *job = arg;
    spread_plane(job, job->picture, index, job->spread);
}

static void run_nchw(struct job *job)
{
    const struct ledge_qconv_fast *fast = job->fast;
    const struct ledge_geometry *g = &fast->base.g;
    if (fast->copies > 1 || job->call->pool == NULL) {
        ledge_pool_run(job->call->pool, (int32_t)g->batch, whole_picture, job);
        return;
    }
    for (job->picture = 0; job->picture < g->batch; job->picture++) {
        ledge_pool_run(job->call->pool, (int32_t)(fast->planes * g->groups), one_plane, job);
        convolve(job, job->picture, job->spread, job->call->pool, job->scratch);
    }
}

/* -- depthwise ----------------------------------------------------------------------------------
 */

static void one_channel(void *arg, int32_t index, int32_t worker)
{
    const struct job *job = arg;
    const struct ledge_qconv_fast *fast = job->fast;
    const struct ledge_geometry *g = &fast->base.g;
    const struct ledge_q8_constants *c = &fast->constants;
    int64_t volume = ledge_volume(g->in);
    int64_t pixels = ledge_volume(g->out);
    int64_t o = index % g->out_channels;
    int64_t channel = index / g->out_channels * g->in_channels + o / (g->out_channels / g->groups);
    const uint8_t *x = (const uint8_t *)job->call->in[fast->base.in.a]->data + channel * volume;
    float *real = (float *)(void *)(job->scratch + (size_t)worker * fast->worker_units);
    float *copy = real + round_up((size_t)volume);
    float *y = copy + fast->plane_units;
    int32_t *sums = (int32_t *)(void *)(y + round_up((size_t)pixels));
    for (int64_t i = 0; i < volume; i++) {
        real[i] = (float)((x[i] ^ c->flip) - c->a_zero);
    }
    if (fast->spread.channel_floats > 0) {
        fast->f32->spread(&fast->spread, real, copy);
    }
    struct ledge_plane_f32 plane = {
        .src = fast->spread.channel_floats > 0 ? copy : real,
        .tap_at = fast->spread.tap_at,
        .w = (const float *)job->call->packed + o * fast->spread.taps,
        .taps = fast->spread.taps,
        .pitch = fast->spread.pitch,
        .height = g->out[H],
        .width = g->out[W],
        .y = y,
        .low = -INFINITY,
        .high = INFINITY,
        .rows_of_3 =
            g->kernel[H] == 3 && g->kernel[W] == 3 && g->stride[H] == 1 && g->dilation[H] == 1,
    };
    fast->f32->plane(&plane);
    for (int64_t i = 0; i < pixels; i++) {
        sums[i] = (int32_t)y[i];
    }
    struct ledge_q8_store store = {.isa = fast->isa,
                                   .constants = c,
                                   .dtype = job->call->out[0]->dtype,
                                   .y = (char *)job->call->out[0]->data +
                                        (size_t)(index * pixels) * element_bytes(job->call),
                                   .channels_are_rows = true,
                                   .first_channel = o};
    ledge_q8_store(&store, 0, 0, 1, (int32_t)pixels, sums);
}

/* -- NHWC ---------------------------------------------------------------------------------------
 */

static void stream_rows(const void *arg, int64_t at, int64_t count, uint32_t *panel)
{
    const struct source *source = arg;
    const struct ledge_qconv_fast *fast = source->fast;
    const struct ledge_geometry *g = &fast->base.g;
    const struct ledge_q8_constants *constants = &fast->constants;
    int64_t channels = g->in_channels / g->groups;
    int64_t block = (int64_t)LEDGE_I8_KC * fast->isa->group; /* elements */
    size_t width = 4 / (size_t)fast->isa->group;             /* bytes of one */
    int64_t total = channels * ledge_volume(g->kernel);
    for (int64_t i = 0; i < count; i++) {
        int64_t out[3];
        int64_t volume = ledge_volume(g->out);
        ledge_unravel((at + i) % volume, g->out, out);
        const uint8_t *picture =
            (const uint8_t *)source->src + (at + i) / volume * ledge_volume(g->in) * g->in_channels;
        for (int64_t k = 0; k < fast->units * fast->isa->group;) {
            char *to = (char *)(panel + (k / block * count + i) * LEDGE_I8_KC) +
                       (size_t)(k % block) * width;
            int64_t tap = k / channels;
            int64_t c = k % channels;
            int64_t end = (k / block + 1) * block;
            int64_t run = channels - c < end - k ? channels - c : end - k;
            int64_t y = out[H] * g->stride[H] - g->pad[H] + tap / g->kernel[W] * g->dilation[H];
            int64_t x = out[W] * g->stride[W] - g->pad[W] + tap % g->kernel[W] * g->dilation[W];
            if (k >= total) {
                run = fast->units * fast->isa->group - k;
            }
            if (k >= total || y < 0 || y >= g->in[H] || x < 0 || x >= g->in[W]) {
                memset(to, fast->isa->group == 4 ? constants->a_zero : 0, (size_t)run * width);
            } else {
                fast->isa->row(picture + (y * g->in[W] + x) * g->in_channels + c, run,
                               constants->flip, constants->a_zero, to);
            }
            k += run;
        }
    }
}

static void run_nhwc(const struct job *job)
{
    const struct ledge_qconv_fast *fast = job->fast;
    const struct ledge_geometry *g = &fast->base.g;
    for (int64_t group = 0; group < g->groups; group++) {
        struct source source = {.fast = fast,
                                .src = (const uint8_t *)job->call->in[fast->base.in.a]->data +
                                       group * (g->in_channels / g->groups)};
        struct ledge_product_i8 product =
            product_of(job, &source, group, group * fast->n, g->out_channels);
        product.stream = stream_rows;
        ledge_product_i8_run(&product, job->call->pool, job->scratch);
    }
}

enum ledge_status ledge_qconv_i8(const struct ledge_kernel_call *call)
{
    const struct ledge_qconv_fast *fast = call->params;
    const struct ledge_geometry *g = &fast->base.g;
    struct job job = {.call = call, .fast = fast, .spread = call->scratch};
    job.scratch = job.spread + (size_t)fast->copies * fast->spread_units;
    if (fast->depthwise) {
        ledge_pool_run(call->pool, (int32_t)(g->batch * g->out_channels), one_channel, &job);
    } else if (is_nchw(fast)) {
        run_nchw(&job);
    } else {
        run_nhwc(&job);
    }
    return LEDGE_OK;
}
