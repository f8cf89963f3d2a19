/* SPDX-License-Identifier: Apache-2.0 */
/* winograd_i8.c -- bands, tiles and panels around the loops of winograd_i8_<isa>.c: see
 * winograd_i8.h. */
#include "engine/kernels/winograd_i8.h"

#include <string.h>

#include "engine/kernels/loop_words.h"

enum {
    H = 1,
    W = 2,
    TILE = LEDGE_TILE,
    WINDOW = LEDGE_TILE_WINDOW,
    PLACES = LEDGE_TILE_PLACES,
    CHANNELS = LEDGE_TILE_CHANNELS,
    TAPS = 9,
    BLOCK = 16,          /* tiles: their products and sums stay close */
    BAND = 1 << 20,      /* bytes of transformed inputs: half of an L2 cache */
    MOST_BAND = 1 << 23, /* where one row of tiles takes more than that */
    CHUNK = 256,         /* inputs whose weights are transformed at a time */
    CHUNK_OF_BLOCK = 32, /* likewise, where no other block wants them */
    SPACE = 32           /* i16 that keep lines of one place out of each other's way */
};

/* What positive weights, or negative ones, may add up to: 255 times it and 64 times that fit. */
enum { MOST_WEIGHT = ((1 << 25) - 1) / 255 };

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t ceil_div(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

static size_t align(size_t bytes)
{
    return (bytes + 63) & ~(size_t)63;
}

/* How a picture is divided. */
struct division {
    int64_t rows, columns; /* of tiles */
    int64_t bands;
    int64_t band_rows;                 /* at most */
    int64_t block_rows, block_columns; /* of tiles, at most: one of them is all that there are */
    int64_t chunk;                     /* inputs */
    int64_t place_step, tile_step;     /* i16 */
    int64_t weight_step;               /* likewise */
};

static struct division divide(const struct ledge_geometry *g)
{
    struct division d = {.rows = ceil_div(g->out[H], TILE), .columns = ceil_div(g->out[W], TILE)};
    d.place_step = ceil_div(g->in_channels, CHANNELS) * CHANNELS + SPACE;
    d.tile_step = PLACES * d.place_step + SPACE;
    int64_t most = BAND / (d.columns * d.tile_step * (int64_t)sizeof(int16_t));
    d.bands = ceil_div(d.rows, most > 1 ? most : 1);
    d.band_rows = ceil_div(d.rows, d.bands);
    d.block_columns = ceil_div(d.columns, ceil_div(d.columns, BLOCK));
    d.block_rows = d.block_columns < d.columns ? 1 : smaller(BLOCK / d.columns, d.band_rows);
    const bool one = d.block_columns == d.columns && d.block_rows == d.band_rows;
    d.chunk = smaller(one ? CHUNK_OF_BLOCK : CHUNK, g->in_channels);
    d.weight_step = d.chunk * CHANNELS + SPACE;
    return d;
}

/* Vector operations for 8 channels: transformed products, outputs and weights against 6 for 64
 * products of the other ways. */
static bool pays(const struct ledge_geometry *g)
{
    double tiles = (double)ceil_div(g->out[H], TILE) * (double)ceil_div(g->out[W], TILE);
    double c = (double)g->in_channels, pixels = (double)(g->out[H] * g->out[W]);
    return tiles * (PLACES * c + 254) + 60 * c < 6 * pixels * c;
}

LEDGE_COLD bool ledge_winograd_i8_plan(const struct ledge_conv_i8 *conv)
{
    const struct ledge_geometry *g = &conv->g;
    bool windows = conv->isa->winograd != NULL && !conv->planes && g->groups == 1;
    for (int d = H; d <= W; d++) {
        windows = windows && g->kernel[d] == 3 && g->stride[d] == 1 && g->dilation[d] == 1;
    }
    if (!windows || g->in_channels % 2 != 0 || g->in_channels < CHANNELS ||
        conv->position % CHANNELS != 0 || !pays(g)) {
        return false;
    }
    const struct division d = divide(g);
    return d.columns * d.tile_step * (int64_t)sizeof(int16_t) <= MOST_BAND;
}

/* -- packing -- */

static int64_t panel_bytes(const struct ledge_conv_i8 *conv)
{
    return conv->g.in_channels / 2 * LEDGE_TILE_WEIGHTS;
}

size_t ledge_winograd_i8_packed(const struct ledge_conv_i8 *conv)
{
    return (size_t)(conv->position / CHANNELS * panel_bytes(conv));
}

/* Of a channel's weights. */
struct sums {
    int64_t all, plus;
    int32_t beyond; /* what does not fit a byte */
};

/* n weights, `step` bytes apart; side by side in vectors. */
FAST static inline void add_up(const uint8_t *from, int64_t n, int64_t step, uint8_t flip,
                               int32_t zero, struct sums *sums)
{
    enum { SOME = 1 << 16 }; /* whose sums fit 32 bits */
    for (int64_t first = 0; first < n; first += SOME) {
        const uint8_t *at = from + first * step;
        const int64_t count = smaller(n - first, SOME);
        int32_t all = 0, plus = 0, beyond = 0;
        for (int64_t i = 0; i < count; i++) {
            const int32_t w = (at[i * step] ^ flip) - zero;
            all += w;
            plus += w > 0 ? w : 0;
            beyond |= w - (int8_t)w;
        }
        sums->all += all;
        sums->plus += plus;
        sums->beyond |= beyond;
    }
}

/* A channel's weights to every second byte from `to` on; false: they do not suit. *sum: FILLED. */
FAST static bool pack_channel(const struct ledge_conv_i8 *conv,
                              const struct ledge_weights_i8 *weights, int64_t channel, int8_t *to,
                              int32_t sum[2])
{
    const uint8_t *from = (const uint8_t *)weights->data + channel * weights->channel_step;
    const uint8_t flip = weights->is_u8 ? 0 : 0x80; /* i8 is read as u8, 128 too high */
    const int32_t zero = weights->zeros[channel] + flip;
    const int64_t inputs = conv->g.in_channels, step = weights->c_step, tap = weights->tap_step;
    const bool dense = (tap == 1 && step == TAPS) || (tap == inputs && step == 1);
    struct sums sums = {0, 0, 0};
    if (dense) {
        add_up(from, inputs * TAPS, 1, flip, zero, &sums);
    }
    for (int t = 0; t < TAPS && !dense; t++) {
        add_up(from + t * tap, inputs, step, flip, zero, &sums);
    }
    for (int64_t c = 0; c < inputs; c++, from += step) {
        int8_t *at = to + c / 2 * LEDGE_TILE_WEIGHTS + c % 2;
        for (int t = 0; t < TAPS; t++) {
            at[t * CHANNELS] = (int8_t)((from[t * tap] ^ flip) - zero);
        }
    }
    const bool fits =
        sums.beyond == 0 && sums.plus <= MOST_WEIGHT && sums.plus - sums.all <= MOST_WEIGHT;
    sum[0] = fits ? (int32_t)sums.plus : 0;
    sum[1] = fits ? (int32_t)(sums.all - sums.plus) : 0;
    return fits;
}

/* What stands in the lists for a channel: conv_i8_pack.c. */
static void list(const struct ledge_conv_i8 *conv, const struct ledge_weights_i8 *weights,
                 int64_t channel, const int32_t sum[2], int64_t at,
                 const struct ledge_lists_i8 *lists)
{
    bool biased = channel >= 0 && weights->bias != NULL;
    int32_t bias = biased ? weights->bias[channel * weights->bias_step] : 0;
    lists->channels[at] = (int32_t)channel;
    lists->zeros[at] = 0;
    lists->offset[at] =
        (int32_t)((uint32_t)bias - (uint32_t)conv->x_zero * (uint32_t)(sum[0] + sum[1]));
    if (lists->largest != NULL) {
        lists->largest[at] = 255 * ((int64_t)sum[0] - sum[1]) + (bias < 0 ? -(int64_t)bias : bias);
    }
}

bool ledge_winograd_i8_pack(const struct ledge_conv_i8 *conv,
                            const struct ledge_weights_i8 *weights, void *packed,
                            const struct ledge_lists_i8 *lists)
{
    memset(packed, 0, conv->packed_bytes);
    for (int64_t p = 0; p < conv->position; p++) {
        const int64_t panel = p / CHANNELS, lane = p % CHANNELS;
        int64_t channel =
            panel * CHANNELS + ledge_i8_channel_at(conv->isa, CHANNELS / conv->isa->lanes, lane);
        int8_t *to = (int8_t *)packed + panel * panel_bytes(conv);
        int32_t sum[2] = {0, 0};
        channel = channel < conv->g.out_channels ? channel : -1;
        to += lane / 8 * (LEDGE_TILE_WEIGHTS / 2) + lane % 8 * 2;
        if (channel >= 0 && !pack_channel(conv, weights, channel, to, sum)) {
            return false;
        }
        list(conv, weights, channel, sum, p, lists);
    }
    return true;
}

/* -- running -- */

/* What a worker has. */
struct room {
    int16_t *weights;
    int32_t *products, *sums;
    uint8_t *patch;
};

static size_t room_bytes(const struct ledge_geometry *g, const struct division *d)
{
    return align((size_t)(PLACES * d->weight_step) * sizeof(int16_t)) +
           align((size_t)BLOCK * PLACES * CHANNELS * sizeof(int32_t)) +
           align((size_t)(BLOCK * TILE + 1) * TILE * CHANNELS * sizeof(int32_t)) +
           align((size_t)(PLACES * g->in_channels));
}

static struct room room_at(const struct division *d, uint8_t *at)
{
    struct room room = {.weights = (int16_t *)(void *)at};
    at += align((size_t)(PLACES * d->weight_step) * sizeof(int16_t));
    room.products = (int32_t *)(void *)at;
    at += align((size_t)BLOCK * PLACES * CHANNELS * sizeof(int32_t));
    room.sums = (int32_t *)(void *)at;
    at += align((size_t)(BLOCK * TILE + 1) * TILE * CHANNELS * sizeof(int32_t));
    room.patch = at;
    return room;
}

static size_t band_bytes(const struct division *d)
{
    return align((size_t)((d->band_rows * d->columns + 1) * d->tile_step) * sizeof(int16_t));
}

size_t ledge_winograd_i8_scratch(const struct ledge_conv_i8 *conv)
{
    const struct division d = divide(&conv->g);
    return band_bytes(&d) + (size_t)conv->threads * room_bytes(&conv->g, &d);
}

struct job {
    const struct ledge_conv_i8 *conv;
    const struct ledge_winograd_loops_i8 *loops;
    const struct division *d;
    const int8_t *packed;
    const uint8_t *x;
    struct ledge_results_i8 results;
    int16_t *inputs; /* transformed */
    uint8_t *rooms;
    int64_t begin, end; /* rows of tiles of this band */
    int64_t row_blocks, blocks;
};

/* The window of outputs from (y, x) on, with the padding around the picture. */
static void patch_window(const struct job *job, int64_t y, int64_t x, uint8_t *patch)
{
    const struct ledge_geometry *g = &job->conv->g;
    const int64_t c = g->in_channels;
    const int64_t from = x > 0 ? x : 0, to = smaller(x + WINDOW, g->in[W]);
    memset(patch, job->conv->x_zero ^ job->conv->flip, (size_t)(PLACES * c));
    for (int64_t i = 0; i < WINDOW; i++, y++) {
        if (y >= 0 && y < g->in[H] && from < to) {
            memcpy(patch + (i * WINDOW + from - x) * c, job->x + (y * g->in[W] + from) * c,
                   (size_t)((to - from) * c));
        }
    }
}

/* Tiles first .. last - 1 of a band. */
static void transform_inputs(void *arg, int32_t first, int32_t last, int32_t worker)
{
    const struct job *job = arg;
    const struct ledge_geometry *g = &job->conv->g;
    const struct division *d = job->d;
    const int64_t c = g->in_channels;
    const size_t bytes = room_bytes(g, d);
    uint8_t *patch = room_at(d, job->rooms + (size_t)worker * bytes).patch;
    for (int64_t tile = first; tile < last; tile++) {
        int64_t y = (job->begin + tile / d->columns) * TILE - g->pad[H];
        int64_t x = tile % d->columns * TILE - g->pad[W];
        int16_t *to = job->inputs + tile * d->tile_step;
        if (y >= 0 && x >= 0 && y + WINDOW <= g->in[H] && x + WINDOW <= g->in[W]) {
            job->loops->input(job->x + (y * g->in[W] + x) * c, g->in[W] * c, c, c, job->conv->flip,
                              to, d->place_step);
        } else {
            patch_window(job, y, x, patch);
            job->loops->input(patch, WINDOW * c, c, c, job->conv->flip, to, d->place_step);
        }
    }
}

/* Rows and columns of tiles. */
struct block {
    int64_t top, bottom, left, right;
};

static struct block block_of(const struct job *job, int64_t number)
{
    const struct division *d = job->d;
    const int64_t across = ceil_div(d->columns, d->block_columns);
    const int64_t rows = job->end - job->begin;
    const int64_t row = number / across, column = number % across;
    return (struct block){.top = job->begin + row * rows / job->row_blocks,
                          .bottom = job->begin + (row + 1) * rows / job->row_blocks,
                          .left = column * d->columns / across,
                          .right = (column + 1) * d->columns / across};
}

/* Products of tiles that lie side by side are this far apart; what stands behind an odd number of
 * them is taken for one more. */
static int64_t products_step(int64_t tiles)
{
    return (tiles + 1) / 2 * 2 * CHANNELS;
}

/* Products of a block's tiles with `pairs` of the inputs from number k on. */
static void multiply(const struct job *job, const struct block *block, int64_t k, int64_t pairs,
                     const struct room *room)
{
    const struct division *d = job->d;
    const int64_t n = (block->bottom - block->top) * (block->right - block->left);
    const int64_t twos = (n + 1) / 2, parts = ceil_div(2 * twos, LEDGE_TILE_ROWS);
    const int64_t first = (block->top - job->begin) * d->columns + block->left;
    struct ledge_tiles_i8 tiles = {.tile_step = d->tile_step,
                                   .place_step = d->place_step,
                                   .weights = room->weights,
                                   .weight_step = d->weight_step,
                                   .pairs = pairs,
                                   .first = k == 0,
                                   .step = products_step(n)};
    for (int64_t part = 0; part < parts; part++) {
        const int64_t at = 2 * (part * twos / parts);
        tiles.inputs = job->inputs + (first + at) * d->tile_step + k;
        tiles.tiles = (int32_t)(2 * ((part + 1) * twos / parts) - at);
        tiles.to = room->products + at * CHANNELS;
        job->loops->products(&tiles);
    }
}

/* A block's products become results. Tiles that reach beyond a row write to the next one's first
 * pixels, so those follow: columns from right to left, rows from above. */
static void give_block(const struct job *job, const struct block *block, int64_t panel,
                       const struct room *room)
{
    const struct ledge_conv_i8 *conv = job->conv;
    const struct ledge_geometry *g = &conv->g;
    const int64_t columns = block->right - block->left, at = panel * CHANNELS;
    const int64_t n = (block->bottom - block->top) * columns;
    const int64_t width = smaller(block->right * TILE, g->out[W]) - block->left * TILE;
    const int64_t height = smaller(block->bottom * TILE, g->out[H]) - block->top * TILE;
    for (int64_t i = 0; i < n; i++) {
        const int64_t row = i / columns, column = columns - 1 - i % columns;
        job->loops->output(room->products + (row * columns + column) * CHANNELS, products_step(n),
                           conv->epilogue.offset + at,
                           room->sums + (row * width + column) * TILE * CHANNELS, width * CHANNELS);
    }
    const bool whole = width == g->out[W]; /* rows lie one behind the other */
    for (int64_t row = 0; row < (whole ? 1 : height); row++) {
        struct ledge_finish_i8 f = {.epilogue = &conv->epilogue,
                                    .at = at,
                                    .sums = room->sums + row * width * CHANNELS,
                                    .rows = (int32_t)(whole ? width * height : width),
                                    .vectors = CHANNELS / conv->isa->lanes,
                                    .ldy = conv->ldy};
        f.n = (int32_t)smaller(g->out_channels - at, CHANNELS);
        ledge_conv_i8_finish(&job->results, &f,
                             (block->top * TILE + row) * g->out[W] + block->left * TILE, at);
    }
}

/* Blocks of panels: those of one panel follow each other, so that its weights are transformed
 * once. */
static void run_span(void *arg, int32_t first, int32_t last, int32_t worker)
{
    const struct job *job = arg;
    const struct division *d = job->d;
    const int64_t inputs = job->conv->g.in_channels;
    const struct room room = room_at(d, job->rooms + (size_t)worker * room_bytes(&job->conv->g, d));
    int64_t held = -1; /* panel and chunk whose weights are there */
    for (int64_t i = first; i < last; i++) {
        const int64_t panel = i / job->blocks;
        const struct block block = block_of(job, i % job->blocks);
        const int8_t *packed = job->packed + panel * panel_bytes(job->conv);
        for (int64_t k = 0; k < inputs; k += d->chunk) {
            const int64_t pairs = smaller(inputs - k, d->chunk) / 2;
            if (held != panel * inputs + k) {
                job->loops->weights(packed + k / 2 * LEDGE_TILE_WEIGHTS, pairs, room.weights,
                                    d->weight_step);
                held = panel * inputs + k;
            }
            multiply(job, &block, k, pairs, &room);
        }
        give_block(job, &block, panel, &room);
    }
}

void ledge_winograd_i8(const struct ledge_kernel_call *call)
{
    const struct ledge_conv_i8 *conv = call->params;
    const struct ledge_geometry *g = &conv->g;
    const struct division d = divide(g);
    struct job job = {.conv = conv,
                      .loops = conv->isa->winograd,
                      .d = &d,
                      .packed = call->packed,
                      .x = call->in[conv->input]->data,
                      .results = ledge_conv_i8_results(call),
                      .inputs = call->scratch,
                      .rooms = (uint8_t *)call->scratch + band_bytes(&d)};
    const int64_t panels = conv->position / CHANNELS;
    job.results.y = call->out[0]->data;
    for (int64_t n = 0; n < g->batch; n++) {
        for (int64_t band = 0; band < d.bands; band++) {
            job.begin = band * d.rows / d.bands;
            job.end = (band + 1) * d.rows / d.bands;
            job.row_blocks = ceil_div(job.end - job.begin, d.block_rows);
            job.blocks = job.row_blocks * ceil_div(d.columns, d.block_columns);
            ledge_pool_spans(call->pool, (int32_t)((job.end - job.begin) * d.columns),
                             transform_inputs, &job);
            ledge_pool_spans(call->pool, (int32_t)(panels * job.blocks), run_span, &job);
        }
        job.x += ledge_volume(g->in) * g->in_channels;
        ledge_conv_i8_next(&job.results, call->out[0]->dtype);
    }
}
