/* SPDX-License-Identifier: Apache-2.0 */
/* blocked_conv.c -- dense convolution on blocked tensors: bands of output rows, each read through a
 * copy without padding and strides (or in place), times units of 1 to 4 output blocks.
 *
 * Weights are packed [group][unit][input block][tap][channel][blocks][b]. Some input blocks at a
 * time, whose weights stay in the L1 cache, go past all pixels of a band, whose input stays in the
 * L2 cache; sums wait in the output. Meanwhile the next weights are fetched. Threads share units
 * where there are more weights than pixels, so that each reads only its own, else bands.
 */
#include <math.h>
#include <string.h>

#include "engine/kernels/bf16.h"
#include "engine/kernels/blocked.h"
#include "engine/kernels/product_f32.h"
#include "engine/kernels/turn.h"

enum { H = 1, W = 2 };

/* Tasks are counted in 32 bits; a picture's copy is no more than a gibibyte; a band's input should
 * stay in the L2 cache. */
#define COUNT_LIMIT ((int64_t)1 << 30)
#define COPY_LIMIT  ((int64_t)1 << 28)
#define BAND_FLOATS ((int64_t)1 << 17)
/* Weights that stay in the L1 cache. */
#define CHUNK_FLOATS ((int64_t)1 << 13)

/* Rows of at most FLAT_WIDTH outputs are laid one behind the other. */
enum { FLAT_WIDTH = 32, FLAT_KERNEL = 11 };

/* Weights that are fetched are to be used for so many pixels at least. */
enum { GRAIN_PIXELS = 24 };

/* Functions are applied to so many pixels of a block at once: a loop must be long to be fast. */
enum { ACTIVATE_PIXELS = 28 };

static int64_t ceil_div(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

static int64_t at_least(int64_t a, int64_t least)
{
    return a > least ? a : least;
}

static bool is_pointwise(const struct ledge_geometry *g)
{
    bool same = true;
    for (int d = H; d <= W; d++) {
        same = same && g->kernel[d] == 1 && g->stride[d] == 1 && g->pad[d] == 0 &&
               g->out[d] == g->in[d];
    }
    return same;
}

/* Stride phases of dimension d that some tap falls into. */
static uint64_t used_phases(const struct ledge_geometry *g, int d)
{
    uint64_t bits = 0;
    for (int64_t k = 0; k < g->kernel[d]; k++) {
        bits |= (uint64_t)1 << (k * g->dilation[d] % g->stride[d]);
    }
    return bits;
}

/* Number of phases in use below this one. */
static int64_t number(uint64_t bits, int64_t phase)
{
    int64_t n = 0;
    for (int64_t i = 0; i < phase; i++) {
        n += (int64_t)(bits >> i & 1);
    }
    return n;
}

/* Rows (or columns) of a phase that `out` outputs need. */
static int64_t extent(const struct ledge_geometry *g, int d, int64_t out)
{
    return out + (g->kernel[d] - 1) * g->dilation[d] / g->stride[d];
}

LEDGE_COLD bool ledge_blocked_conv_fits(const struct ledge_geometry *g, int32_t block)
{
    int64_t in = g->in_channels / g->groups, out = g->out_channels / g->groups;
    bool sane = g->in[0] == 1 && g->kernel[0] == 1 && g->out[0] == 1 && g->batch > 0 && in > 0 &&
                out > 0 && ledge_volume(g->out) > 0 && ledge_volume(g->in) > 0 &&
                ledge_volume(g->kernel) < 1 << 12 && g->stride[H] < 64 && g->stride[W] < 64 &&
                g->in_channels < 1 << 20 && g->out_channels < 1 << 20;
    if (!sane || (g->groups > 1 && (in % block != 0 || out % block != 0))) {
        return false;
    }
    int64_t copied = extent(g, H, g->out[H]) * extent(g, W, g->out[W]);
    return copied < COPY_LIMIT &&
           copied * g->stride[H] * g->stride[W] * (in + block) < COPY_LIMIT &&
           g->batch * (g->out_channels + block) < COUNT_LIMIT &&
           g->batch * ledge_volume(g->out) < COUNT_LIMIT &&
           g->batch * ledge_volume(g->in) < COUNT_LIMIT;
}

static int64_t step_of(const struct ledge_blocked_conv *conv)
{
    return conv->planar ? 1 : conv->isa->block;
}

/* Of a row times a matrix: 2, or 1 where a block is two of its vectors. */
static int64_t panel_blocks(const struct ledge_blocked_conv *conv)
{
    return conv->vector->nr / conv->isa->block;
}

int64_t ledge_blocked_unit(const struct ledge_blocked_conv *conv, int64_t unit, int64_t *blocks)
{
    int64_t n = conv->out_blocks, first = unit * n / conv->units;
    *blocks = (unit + 1) * n / conv->units - first;
    if (conv->vector != NULL) { /* panels, the last one perhaps half */
        first = panel_blocks(conv) * unit;
        *blocks = n - first < 2 ? 1 : panel_blocks(conv);
    }
    return first;
}

/* Rows, pixels or rows of tiles of the whole picture. */
static int64_t total_of(const struct ledge_blocked_conv *conv)
{
    const struct ledge_geometry *g = &conv->g;
    return conv->winograd ? conv->tiles[0] : conv->direct ? ledge_volume(g->out) : g->out[H];
}

void ledge_blocked_conv_grain(struct ledge_blocked_conv *conv, int32_t threads, int64_t least)
{
    int64_t total = total_of(conv), most = conv->direct ? total : conv->band;
    int64_t units = conv->g.batch * (conv->by_units ? conv->g.groups * conv->units : 1);
    conv->grain = conv->band;
    if (threads > 1 && units * total < COUNT_LIMIT) {
        int64_t grains = at_least((conv->by_units ? most : conv->band) / at_least(least, 1), 1);
        conv->grain = ceil_div(conv->by_units ? most : conv->band, grains);
    }
}

/* How much is done together and how threads share it; total is in rows or, direct, in pixels. */
LEDGE_COLD static void divide(struct ledge_blocked_conv *conv, int64_t total, int64_t unit_floats,
                              int32_t threads)
{
    const struct ledge_geometry *g = &conv->g;
    int64_t few = conv->direct ? 4 * conv->isa->pixels[0] : 2;
    int64_t band = at_least(BAND_FLOATS / at_least(unit_floats, 1), 1);
    int64_t weights = g->in_channels / g->groups * g->out_channels * ledge_volume(g->kernel);
    /* A second band would read all weights again: more than all units read of one that is too long
     * for half the L2 cache? */
    if (total * unit_floats <= 2 * BAND_FLOATS &&
        weights >= g->groups * conv->units * total * unit_floats) {
        band = total;
    }
    conv->band = ceil_div(total, ceil_div(total, band));
    conv->by_units = threads > 1 && g->groups * conv->units >= threads &&
                     (total < few * threads || weights > total * unit_floats);
    ledge_blocked_conv_grain(conv, threads, ceil_div(GRAIN_PIXELS, conv->direct ? 1 : g->out[W]));
}

/* Where the taps are in the copy. */
static void place_taps(const struct ledge_blocked_conv *conv, int64_t columns, int64_t *tap_at)
{
    const struct ledge_geometry *g = &conv->g;
    for (int64_t i = 0; i < g->kernel[H]; i++) {
        for (int64_t j = 0; j < g->kernel[W]; j++) {
            int64_t y = i * g->dilation[H], x = j * g->dilation[W];
            int64_t column = conv->flat ? j : number(conv->used[1], x % g->stride[W]);
            int64_t phase = number(conv->used[0], y % g->stride[H]) * columns + column;
            int64_t at = (phase * conv->rows + y / g->stride[H]) * conv->pitch;
            tap_at[i * g->kernel[W] + j] =
                (at + (conv->flat ? 0 : x / g->stride[W])) * step_of(conv);
        }
    }
}

static int64_t depth(const struct ledge_blocked_conv *conv)
{
    return conv->g.in_channels / conv->g.groups * ledge_volume(conv->g.kernel);
}

/* Blocks of the largest unit. */
static int64_t widest_of(const struct ledge_blocked_conv *conv)
{
    return ceil_div(conv->out_blocks, conv->units);
}

/* Are there a few tiles only for weights that no cache keeps? Then units are of two blocks: tiles
 * of them are longer, and threads, who wait for half a unit in the end, have more. Three blocks, of
 * AVX2, are as good until weights come from memory. (With bf16 a unit is widened as a whole, and is
 * to be small for that.) */
static bool streams_weights(const struct ledge_blocked_conv *conv)
{
    int64_t pixels = ledge_volume(conv->g.out);
    return pixels <= (conv->winograd ? 64 * LEDGE_WINOGRAD_OUT * LEDGE_WINOGRAD_OUT : 64) &&
           conv->g.out_channels * depth(conv) >= (int64_t)1 << (conv->isa->blocks > 3 ? 17 : 21);
}

/* Scratch of a thread for the widened weights of a unit of output blocks. */
static size_t wide_floats(const struct ledge_blocked_conv *conv)
{
    return conv->bf16 ? (size_t)(widest_of(conv) * conv->isa->block * depth(conv)) : 0;
}

LEDGE_COLD void ledge_blocked_conv_plan(struct ledge_blocked_conv *conv, int32_t threads,
                                        int64_t *tap_at)
{
    const struct ledge_geometry *g = &conv->g;
    int64_t block = conv->isa->block, step = step_of(conv);
    conv->in_blocks = conv->planar ? g->in_channels : ceil_div(g->in_channels / g->groups, block);
    conv->out_blocks = ceil_div(g->out_channels / g->groups, block);
    conv->units = ceil_div(conv->out_blocks, conv->isa->blocks);
    conv->direct = !conv->planar && is_pointwise(g);
    conv->tap_at = tap_at;
    conv->winograd = ledge_blocked_winograd_pays(conv);
    conv->bf16 = conv->bf16 && !conv->winograd && !conv->planar &&
                 g->out_channels * depth(conv) >= LEDGE_BF16_LEAST;
    if (conv->isa->blocks > 2 && (conv->bf16 || streams_weights(conv))) {
        conv->units = ceil_div(conv->out_blocks, 2);
    }
    if (conv->planar && conv->isa->blocks > LEDGE_BLOCKED_PLANAR) {
        conv->units = ceil_div(conv->out_blocks, LEDGE_BLOCKED_PLANAR);
    }
    if (conv->direct && ledge_volume(g->out) == 1 && g->groups == 1 && !conv->bf16) {
        conv->vector = conv->isa->f32;
        conv->units = ceil_div(conv->out_blocks, panel_blocks(conv));
    }
    if (conv->winograd) {
        ledge_blocked_winograd_plan(conv, threads);
        return;
    }
    int64_t widest = widest_of(conv);
    int64_t block_weights = ledge_volume(g->kernel) * block * widest * block;
    conv->chunk = conv->planar ? conv->in_blocks : at_least(CHUNK_FLOATS / block_weights, 1);
    if (conv->direct) {
        tap_at[0] = 0;
        conv->worker_floats = wide_floats(conv);
        divide(conv, ledge_volume(g->out), g->in_channels / g->groups, threads);
        return;
    }
    conv->flat = g->out[W] <= FLAT_WIDTH && g->kernel[W] <= FLAT_KERNEL &&
                 g->out[W] % conv->isa->pixels[widest - 1] != 0;
    conv->used[0] = used_phases(g, H);
    conv->used[1] = used_phases(g, W);
    int64_t columns = conv->flat ? g->kernel[W] : number(conv->used[1], g->stride[W]);
    int64_t phases = number(conv->used[0], g->stride[H]) * columns;
    conv->pitch = conv->flat ? g->out[W] : extent(g, W, g->out[W]);
    divide(conv, g->out[H], phases * conv->pitch * conv->in_blocks * step, threads);
    conv->rows = extent(g, H, conv->band);
    conv->plane = phases * conv->rows * conv->pitch * step;
    conv->worker_floats =
        (size_t)(ceil_div(conv->plane * conv->in_blocks, 16) * 16) + wide_floats(conv);
    place_taps(conv, columns, tap_at);
}

/* What the weights take: two of bf16 in the room of a float. */
static int64_t weight_floats(const struct ledge_blocked_conv *conv)
{
    int64_t each = conv->winograd ? LEDGE_WINOGRAD_POINTS * conv->g.in_channels : depth(conv);
    return conv->g.groups * conv->out_blocks * conv->isa->block * each / (conv->bf16 ? 2 : 1);
}

size_t ledge_blocked_conv_floats(const struct ledge_blocked_conv *conv)
{
    return (size_t)(weight_floats(conv) + conv->g.groups * conv->out_blocks * conv->isa->block);
}

/* Lanes of n input channels from number c on, one tap after the other: [tap][channel][lanes]. */
static void pack_channels(const struct ledge_blocked_conv *conv, const char *weights, int64_t real,
                          int64_t lanes, int64_t c, int64_t n, float *to)
{
    const struct ledge_geometry *g = &conv->g;
    int64_t in = g->in_channels / g->groups, taps = ledge_volume(g->kernel);
    bool nchw = g->layout == LEDGE_NCHW;
    for (int64_t i = 0; i < n && nchw && taps > 1; i++) {
        ledge_turn_floats(weights + 4 * (c + i) * taps, in * taps, real, lanes, taps,
                          to + i * lanes, n * lanes);
    }
    for (int64_t tap = 0; tap < taps && !(nchw && taps > 1); tap++) {
        ledge_turn_floats(weights + 4 * (tap * in + c), in * taps, real, lanes, n,
                          to + tap * n * lanes, lanes);
    }
}

/* The same as bf16. */
static void narrow_channels(const struct ledge_blocked_conv *conv, const char *weights,
                            int64_t real, int64_t lanes, int64_t c, int64_t n, uint16_t *to)
{
    const struct ledge_geometry *g = &conv->g;
    int64_t in = g->in_channels / g->groups, taps = ledge_volume(g->kernel);
    for (int64_t tap = 0; tap < taps; tap++) {
        for (int64_t i = c; i < c + n; i++, to += lanes) {
            float row[LEDGE_TURN_LANES] = {0};
            int64_t from = g->layout == LEDGE_NCHW ? i * taps + tap : tap * in + i;
            for (int64_t lane = 0; lane < real; lane++) {
                row[lane] = ledge_float_at(weights, lane * in * taps + from);
            }
            ledge_bf16_narrow(row, lanes, to);
        }
    }
}

/* The weights of a unit from weight number `at` of packed on; where they end. Lanes past the last
 * channel are zero. */
static int64_t pack_unit(const struct ledge_blocked_conv *conv, const char *weights, int64_t group,
                         int64_t first, int64_t blocks, float *packed, int64_t at)
{
    const struct ledge_geometry *g = &conv->g;
    int64_t in = g->in_channels / g->groups, out = g->out_channels / g->groups;
    int64_t taps = ledge_volume(g->kernel), lanes = blocks * conv->isa->block;
    int64_t real = out - first * conv->isa->block;
    real = real < lanes ? real : lanes;
    weights += 4 * (group * out + first * conv->isa->block) * in * taps;
    /* channels are parted where taps come between them; bf16 is narrowed a little at a time */
    int64_t step = conv->bf16 || taps > 1 ? step_of(conv) : in;
    for (int64_t c = 0; c < in; c += step) {
        int64_t n = in - c < step ? in - c : step;
        if (conv->bf16) {
            narrow_channels(conv, weights, real, lanes, c, n, (uint16_t *)packed + at);
        } else {
            pack_channels(conv, weights, real, lanes, c, n, packed + at);
        }
        at += taps * n * lanes;
    }
    return at;
}

void ledge_blocked_conv_pack(const struct ledge_blocked_conv *conv, const void *weights,
                             const float *bias, float *packed)
{
    const struct ledge_geometry *g = &conv->g;
    float *to = packed + weight_floats(conv);
    int64_t at = 0;
    if (conv->winograd) {
        (void)ledge_blocked_winograd_pack(conv, weights, packed);
    }
    for (int64_t group = 0; group < g->groups && !conv->winograd; group++) {
        for (int64_t unit = 0; unit < conv->units; unit++) {
            int64_t blocks, first = ledge_blocked_unit(conv, unit, &blocks);
            at = pack_unit(conv, weights, group, first, blocks, packed, at);
        }
    }
    memset(to, 0, (size_t)(g->groups * conv->out_blocks * conv->isa->block) * sizeof *to);
    if (bias != NULL) {
        memcpy(to, bias, (size_t)g->out_channels * sizeof *to); /* groups are whole blocks */
    }
}

/* -- the copy -------------------------------------------------------------------------------------
 */

/* Mostly none or one: not worth a call. */
static void zeros(float *to, int64_t n)
{
    if (n == 1) {
        to[0] = 0;
    } else if (n > 0) {
        memset(to, 0, (size_t)n * sizeof *to);
    }
}

/* One row of one phase: columns from, from + stride, ... of an input row; NULL: off the picture. */
static void copy_row(const struct ledge_blocked_conv *conv, const float *row, int64_t from,
                     int64_t distance, float *to)
{
    const struct ledge_geometry *g = &conv->g;
    int64_t step = step_of(conv), stride = g->stride[W];
    int64_t first = from < 0 ? ceil_div(-from, stride) : 0;
    int64_t last = from < g->in[W] ? ceil_div(g->in[W] - from, stride) : 0;
    first = row == NULL || first > conv->pitch ? conv->pitch : first;
    last = last < conv->pitch ? last : conv->pitch;
    last = last > first ? last : first;
    zeros(to, first * step);
    if (first < last && !conv->planar) {
        conv->isa->gather(row + (from + first * stride) * step, stride * step, last - first,
                          to + first * step);
    }
    if (first < last && conv->planar) {
        conv->isa->every(row + (from + first * stride) * distance, stride * distance, last - first,
                         to + first);
    }
    zeros(to + last * step, (conv->pitch - last) * step);
}

/* Rows of one input block (planar: channel) for output rows r0 .. r1 - 1. */
static void copy_block(const struct ledge_blocked_conv *conv, const float *x, int64_t distance,
                       int64_t r0, int64_t r1, float *to)
{
    const struct ledge_geometry *g = &conv->g;
    int64_t step = step_of(conv);
    int64_t rows = extent(g, H, r1 - r0);
    int64_t columns = conv->flat ? g->kernel[W] : g->stride[W];
    for (int64_t ph = 0; ph < g->stride[H]; ph++) {
        for (int64_t pw = 0; pw < columns; pw++) {
            if ((conv->used[0] >> ph & 1) == 0 || (!conv->flat && (conv->used[1] >> pw & 1) == 0)) {
                continue;
            }
            int64_t from = (conv->flat ? pw * g->dilation[W] : pw) - g->pad[W];
            for (int64_t r = 0; r < rows; r++) {
                int64_t y = (r0 + r) * g->stride[H] + ph - g->pad[H];
                const float *row =
                    y >= 0 && y < g->in[H] ? x + y * g->in[W] * step * distance : NULL;
                copy_row(conv, row, from, distance, to + r * conv->pitch * step);
            }
            to += conv->rows * conv->pitch * step;
        }
    }
}

static void copy_band(const struct ledge_blocked_job *job, int64_t picture, int64_t group,
                      int64_t r0, int64_t r1, float *to)
{
    const struct ledge_blocked_conv *conv = job->conv;
    const struct ledge_geometry *g = &conv->g;
    int64_t volume = ledge_volume(g->in);
    for (int64_t i = 0; i < conv->in_blocks; i++, to += conv->plane) {
        if (conv->planar) {
            bool nchw = g->layout == LEDGE_NCHW;
            const float *x = job->x + picture * g->in_channels * volume + i * (nchw ? volume : 1);
            copy_block(conv, x, nchw ? 1 : g->in_channels, r0, r1, to);
        } else {
            int64_t block = (picture * g->groups + group) * conv->in_blocks + i;
            copy_block(conv, job->x + block * volume * conv->isa->block, 1, r0, r1, to);
        }
    }
}

void ledge_blocked_conv_copy(const struct ledge_blocked_job *job, int64_t picture, int64_t r0,
                             int64_t r1, float *to)
{
    copy_band(job, picture, 0, r0, r1, to);
}

/* -- the sums -------------------------------------------------------------------------------------
 */

void ledge_blocked_tiles(const struct ledge_blocked_kernels *isa, struct ledge_blocked_tile tile,
                         int64_t pixels, int64_t step,
                         const struct ledge_blocked_activation *activation)
{
    int64_t n = ceil_div(pixels, isa->pixels[tile.blocks - 1]), block = isa->block;
    int64_t least = pixels / n, larger = pixels % n; /* tiles of one pixel more */
    /* Floats: evenly over all tiles, or else the core has as many loads under way as it can. */
    int64_t apart = ceil_div(tile.blocks * block, n);
    int64_t steps = tile.channels * tile.taps, ahead = steps * tile.blocks * block;
    int64_t end = 2 * ahead, each = steps * apart, at = 0, done = 0;
    float *y = tile.y;
    for (int64_t i = 0; i < n; i++, ahead += each) {
        tile.ahead = ahead < end ? (uintptr_t)ahead : 0;
        tile.ahead_step = ahead < end ? (uintptr_t)apart : 0;
        tile.pixels = (int32_t)(i < larger ? least + 1 : least);
        isa->tile(&tile);
        at += tile.pixels;
        tile.x += tile.pixels * step;
        tile.y += tile.pixels * block;
        tile.add = tile.add != NULL ? tile.add + tile.pixels * block : NULL;
        if (activation != NULL && (at == pixels || at - done >= ACTIVATE_PIXELS)) {
            for (int32_t v = 0; v < tile.blocks; v++) {
                float *sums = y + v * tile.y_block + done * block;
                isa->activate(activation, sums, at - done, sums);
            }
            done = at;
        }
    }
}

void ledge_blocked_conv_pixels(const struct ledge_blocked_conv *conv,
                               const struct ledge_blocked_tile *tile, int64_t pixels)
{
    int64_t chunk = conv->chunk * step_of(conv);
    struct ledge_blocked_tile part = *tile;
    bool function = conv->activation.function != LEDGE_BLOCKED_NONE;
    for (int64_t left = tile->channels; left > 0; left -= chunk) {
        bool end = left <= chunk;
        part.channels = end ? left : chunk;
        part.low = end ? tile->low : -INFINITY;
        part.high = end ? tile->high : INFINITY;
        ledge_blocked_tiles(conv->isa, part, pixels, step_of(conv),
                            end && function ? &conv->activation : NULL);
        part.begin = false;
        part.x += conv->chunk * tile->x_block;
        part.w += chunk * tile->taps * tile->blocks * conv->isa->block;
    }
}

void ledge_blocked_conv_tile(const struct ledge_blocked_conv *conv, const float *packed,
                             int64_t unit, struct ledge_blocked_tile *tile)
{
    int64_t block = conv->isa->block, group = unit / conv->units, blocks;
    int64_t first = ledge_blocked_unit(conv, unit % conv->units, &blocks);
    first += group * conv->out_blocks;
    *tile = (struct ledge_blocked_tile){
        .tap_at = conv->tap_at,
        .taps = ledge_volume(conv->g.kernel),
        .x_block = conv->direct ? ledge_volume(conv->g.in) * block : conv->plane,
        .channels = conv->g.in_channels / conv->g.groups,
        .w = packed + first * block * depth(conv),
        .bias = packed + weight_floats(conv) + first * block,
        .y_block = ledge_volume(conv->g.out) * block,
        .blocks = (int32_t)blocks,
        .planar = conv->planar,
        .begin = true,
        .low = conv->clamp.low,
        .high = conv->clamp.high,
    };
}

/* One unit of outputs of a piece (counted through all groups). */
static void run_unit(const struct ledge_blocked_job *job, const struct ledge_blocked_piece *p,
                     int64_t index, float *scratch)
{
    const struct ledge_blocked_conv *conv = job->conv;
    const struct ledge_geometry *g = &conv->g;
    int64_t block = conv->isa->block, volume = ledge_volume(g->out);
    int64_t width = conv->direct ? 1 : g->out[W];
    int64_t group = index / conv->units, unit = index % conv->units;
    int64_t blocks, first = group * conv->out_blocks + ledge_blocked_unit(conv, unit, &blocks);
    int64_t at = (p->picture * g->groups * conv->out_blocks + first) * volume * block;
    at += p->r0 * width * block;
    struct ledge_blocked_tile tile;
    ledge_blocked_conv_tile(conv, job->packed, index, &tile);
    if (conv->bf16) {
        int64_t weights = tile.blocks * block * depth(conv);
        const uint16_t *from = (const uint16_t *)job->packed + (tile.w - job->packed);
        float *wide = scratch + conv->worker_floats - wide_floats(conv);
        ledge_bf16_widen(from, weights, wide);
        tile.w = wide;
    }
    tile.x = scratch + (p->r0 - p->c0) * conv->pitch * step_of(conv);
    tile.y = job->y + at;
    tile.add = job->add != NULL ? job->add + at : NULL;
    if (conv->direct) {
        int64_t plane = (p->picture * g->groups + group) * conv->in_blocks;
        tile.x = job->x + (plane * volume + p->r0) * block;
    }
    if (conv->direct || conv->flat) {
        ledge_blocked_conv_pixels(conv, &tile, (p->r1 - p->r0) * width);
        return;
    }
    for (int64_t r = p->r0; r < p->r1; r++) {
        ledge_blocked_conv_pixels(conv, &tile, width);
        tile.x += conv->pitch * step_of(conv);
        tile.y += width * block;
        tile.add = tile.add != NULL ? tile.add + width * block : NULL;
    }
}

static void run_piece(struct ledge_blocked_job *job, const struct ledge_blocked_piece *p,
                      int32_t worker)
{
    const struct ledge_blocked_conv *conv = job->conv;
    float *scratch = job->scratch + (size_t)worker * conv->worker_floats;
    for (int64_t u = p->u0; u < p->u1; u++) {
        int64_t group = u / conv->units;
        int64_t wanted = (p->picture * conv->g.groups + group) * total_of(conv) + p->c0;
        if (!conv->direct && job->held[worker] != wanted) {
            copy_band(job, p->picture, group, p->c0, p->c1, scratch);
            job->held[worker] = wanted;
        }
        run_unit(job, p, u, scratch);
    }
}

/* -- how it is shared -----------------------------------------------------------------------------
 *
 * What there is to do is counted in grains of rows, all units of them or, by units, of one.
 */

/* What can be done together of the n grains from number `at` of a row of them on. */
static int64_t together(int64_t n, int64_t most)
{
    int64_t pieces = ceil_div(n, at_least(most, 1));
    return ceil_div(n, pieces);
}

static int64_t grains_of(const struct ledge_blocked_conv *conv)
{
    const struct ledge_geometry *g = &conv->g;
    int64_t total = total_of(conv);
    if (!conv->by_units) {
        return g->batch * ceil_div(total, conv->grain);
    }
    int64_t copied = conv->direct ? total : conv->band;
    return g->batch * ceil_div(total, copied) * g->groups * conv->units *
           ceil_div(copied, conv->grain);
}

/* Grains `first` and behind, before `last`, that are a piece; how many. */
static int64_t piece_of_rows(const struct ledge_blocked_conv *conv, int64_t first, int64_t last,
                             struct ledge_blocked_piece *p)
{
    int64_t total = total_of(conv), grains = ceil_div(total, conv->grain);
    int64_t at = first % grains, n = grains - at;
    n = together(n < last - first ? n : last - first, conv->band / conv->grain);
    int64_t r0 = at * conv->grain, r1 = (at + n) * conv->grain;
    r1 = r1 < total ? r1 : total;
    *p = (struct ledge_blocked_piece){.picture = first / grains,
                                      .u1 = conv->g.groups * conv->units,
                                      .r0 = r0,
                                      .r1 = r1,
                                      .c0 = r0,
                                      .c1 = r1};
    return n;
}

/* The row that the bands from number `band` on begin with. Where the last one is shorter, the one
 * before it does the rows that the two could both do of half of the units. */
static int64_t border(const struct ledge_blocked_conv *conv, int64_t band, int64_t unit)
{
    int64_t total = total_of(conv), copied = conv->direct ? total : conv->band;
    bool less = band == ceil_div(total, copied) - 1 && 2 * unit >= conv->g.groups * conv->units;
    int64_t row = less && band > 0 ? total - copied : band * copied;
    return row < total ? row : total;
}

static int64_t piece_of_units(const struct ledge_blocked_conv *conv, int64_t first, int64_t last,
                              struct ledge_blocked_piece *p)
{
    int64_t total = total_of(conv), copied = conv->direct ? total : conv->band;
    int64_t grains = ceil_div(copied, conv->grain), bands = ceil_div(total, copied);
    int64_t units = conv->g.groups * conv->units;
    int64_t at = first % grains, n = grains - at, unit = first / grains % units;
    int64_t band = first / grains / units % bands, c0 = band * copied;
    int64_t end = border(conv, band + 1, unit);
    c0 = c0 < total - copied ? c0 : total - copied;
    n = n < last - first ? n : last - first;
    n = together(n, ceil_div(conv->band, conv->grain)); /* the last grain of a band is shorter */
    int64_t r0 = border(conv, band, unit) + at * conv->grain, r1 = r0 + n * conv->grain;
    *p = (struct ledge_blocked_piece){.picture = first / grains / units / bands,
                                      .u0 = unit,
                                      .u1 = unit + 1,
                                      .r0 = r0 < end ? r0 : end,
                                      .r1 = r1 < end ? r1 : end,
                                      .c0 = c0,
                                      .c1 = c0 + copied};
    return n;
}

static void one_span(void *arg, int32_t first, int32_t last, int32_t worker)
{
    struct ledge_blocked_job *job = arg;
    const struct ledge_blocked_conv *conv = job->conv;
    struct ledge_blocked_piece piece;
    for (int64_t at = first, n; at < last; at += n) {
        n = (conv->by_units ? piece_of_units : piece_of_rows)(conv, at, last, &piece);
        if (piece.r0 < piece.r1) {
            (conv->winograd ? ledge_blocked_winograd_piece : run_piece)(job, &piece, worker);
        }
    }
}

/* Pictures of one pixel: a unit's weights are a panel. */
static void run_vectors(const struct ledge_blocked_job *job, struct ledge_pool *pool)
{
    const struct ledge_blocked_conv *conv = job->conv;
    int64_t block = conv->isa->block, channels = conv->out_blocks * block;
    for (int64_t picture = 0; picture < conv->g.batch; picture++) {
        float *y = job->y + picture * channels;
        struct ledge_vector_f32 vector = {.x = job->x + picture * conv->in_blocks * block,
                                          .k = conv->g.in_channels,
                                          .deep = conv->g.in_channels,
                                          .w = job->packed,
                                          .panels = conv->units,
                                          .half = conv->out_blocks % panel_blocks(conv) != 0,
                                          .n = channels,
                                          .bias = job->bias,
                                          .y = y,
                                          .low = conv->clamp.low,
                                          .high = conv->clamp.high};
        ledge_vector_f32_run(conv->vector, &vector, pool);
        if (conv->activation.function != LEDGE_BLOCKED_NONE) {
            conv->isa->activate(&conv->activation, y, conv->out_blocks, y);
        }
    }
}

void ledge_blocked_conv_all(struct ledge_blocked_job *job, struct ledge_pool *pool)
{
    const struct ledge_blocked_conv *conv = job->conv;
    job->bias = job->packed + weight_floats(conv);
    if (conv->vector != NULL && job->add == NULL) {
        run_vectors(job, pool);
        return;
    }
    for (int32_t i = 0; i < ledge_pool_threads(pool); i++) {
        job->held[i] = -1;
    }
    ledge_pool_spans(pool, (int32_t)grains_of(conv), one_span, job);
}

enum ledge_status ledge_blocked_conv_run(const struct ledge_kernel_call *call)
{
    const struct ledge_blocked_conv *conv = call->params;
    const float *packed = call->packed;
    bool add = call->n_in > 3 && call->in[3] != NULL;
    struct ledge_blocked_job job;
    job.conv = conv;
    job.x = call->in[0]->data;
    job.packed = packed;
    job.add = add ? call->in[3]->data : NULL;
    job.y = call->out[0]->data;
    job.scratch = call->scratch;
    ledge_blocked_conv_all(&job, call->pool);
    return LEDGE_OK;
}
