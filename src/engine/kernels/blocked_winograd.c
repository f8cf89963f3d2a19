/* SPDX-License-Identifier: Apache-2.0 */
/* blocked_winograd.c -- 3 x 3 convolutions with stride 1 by minimal filtering: F(4 x 4, 3 x 3), 36
 * products where the direct sum needs 144.
 *
 * Source: Lavin and Gray 2015, "Fast Algorithms for Convolutional Neural Networks"
 * (arXiv:1509.09308), sections 4.1 and 4.3. The interpolation points are 0, +-1/sqrt(2), +-sqrt(2)
 * and infinity: their powers are smaller than those of 0, +-1, +-2, and so is the rounding error.
 *
 * A band of rows of tiles at a time: every input block is transformed to V [36][input
 * block][tile][b]; then for each unit of output blocks 36 products M = V * U by the tile of the
 * pointwise convolution, and back. V and M stay in the L2 cache, unless weights are many. Packed
 * weights: U [unit][36][channel][blocks][b].
 */
#include <math.h>
#include <string.h>

#include "engine/kernels/blocked.h"
#include "engine/kernels/turn.h"

enum {
    H = 1,
    W = 2,
    OUT = LEDGE_WINOGRAD_OUT,
    IN = LEDGE_WINOGRAD_IN,
    POINTS = LEDGE_WINOGRAD_POINTS,
};

/* Weights that are fetched are to be used for so many tiles at least. */
enum { GRAIN_TILES = 28 };

/* Floats of V and M in a band; weights that no L2 cache keeps from band to band: those want long
 * bands more than V wants the L2 cache; weights that stay in the L1 cache. */
#define BAND_FLOATS  ((int64_t)224 << 10)
#define FAR_FLOATS   ((int64_t)1 << 20)
#define CHUNK_FLOATS ((int64_t)1 << 13)

static int64_t ceil_div(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* Cycles of the transforms of one tile and block, measured. */
enum { IN_COST = 110, OUT_COST = 90 };

/* In cycles of a core that multiplies two vectors in each and reads weights that no cache holds at
 * a tenth of a vector in each. */
LEDGE_COLD bool ledge_blocked_winograd_pays(const struct ledge_blocked_conv *conv)
{
    enum { CACHED = 1 << 18 };
    const struct ledge_geometry *g = &conv->g;
    if (conv->planar || g->groups != 1 || g->kernel[H] != 3 || g->kernel[W] != 3 ||
        g->stride[H] != 1 || g->stride[W] != 1 || g->dilation[H] != 1 || g->dilation[W] != 1) {
        return false;
    }
    int64_t tiles = ceil_div(g->out[H], OUT) * ceil_div(g->out[W], OUT);
    int64_t pairs = g->in_channels * conv->out_blocks; /* vectors of weights of one tap */
    int64_t plain = larger(9 * ledge_volume(g->out) * pairs / 2, 9 * pairs * 10);
    int64_t stream = POINTS * pairs * conv->isa->block > CACHED ? POINTS * pairs * 10 : 0;
    int64_t fast = larger(POINTS * tiles * pairs / 2, stream) +
                   tiles * (conv->in_blocks * IN_COST + conv->out_blocks * OUT_COST);
    return g->in_channels >= 16 && 10 * fast < 8 * plain;
}

/* Do threads lose more where some have a row of tiles less than by each transforming all inputs? */
LEDGE_COLD static bool rows_are_uneven(const struct ledge_blocked_conv *conv, int32_t threads)
{
    int64_t rows = conv->g.batch * conv->tiles[0], idle = ceil_div(rows, threads) * threads - rows;
    int64_t in = conv->in_blocks * IN_COST;
    int64_t rest = conv->out_blocks * (POINTS * conv->g.in_channels / 2 + OUT_COST);
    return conv->units % threads == 0 && idle * (in + rest) > (threads - 1) * rows * in;
}

LEDGE_COLD void ledge_blocked_winograd_plan(struct ledge_blocked_conv *conv, int32_t threads)
{
    const struct ledge_geometry *g = &conv->g;
    int64_t block = conv->isa->block;
    conv->tiles[0] = ceil_div(g->out[H], OUT);
    conv->tiles[1] = ceil_div(g->out[W], OUT);
    int64_t widest = ceil_div(conv->out_blocks, conv->units);
    int64_t row = POINTS * conv->tiles[1] * (conv->in_blocks + widest) * block;
    int64_t weights = POINTS * g->in_channels * conv->out_blocks * block;
    int64_t rows = ceil_div(GRAIN_TILES, conv->tiles[1]); /* of GRAIN_TILES */
    int64_t most = larger(BAND_FLOATS / row, weights > FAR_FLOATS ? rows : 1);
    conv->band = ceil_div(conv->tiles[0], ceil_div(conv->tiles[0], most));
    conv->chunk = larger(CHUNK_FLOATS / (block * widest * block), 1);
    conv->by_units = threads > 1 && conv->units >= threads &&
                     (conv->tiles[0] < 2 * threads || weights > row * conv->tiles[0] ||
                      rows_are_uneven(conv, threads));
    int64_t pieces = g->batch * ceil_div(conv->tiles[0], conv->band) * conv->units;
    if (pieces < 4 * threads && ceil_div(2 * pieces, threads) < 2 * ceil_div(pieces, threads)) {
        rows = larger(conv->band / 2, 1); /* a few units that are not even are halved */
    }
    ledge_blocked_conv_grain(conv, threads, conv->by_units ? rows : 1);
    int64_t tiles = conv->band * conv->tiles[1];
    /* one vector more: planes a power of two apart would share cache sets */
    conv->v_plane = (conv->in_blocks * tiles + 1) * block;
    conv->m_plane = (widest * tiles + 1) * block;
    int64_t floats = POINTS * (conv->v_plane + conv->m_plane) + g->in[W] * block;
    conv->worker_floats = (size_t)(ceil_div(floats, 16) * 16);
}

/* -- weights --------------------------------------------------------------------------------------
 */

enum { TAPS = 9, TOGETHER = 4 }; /* input channels whose taps are fetched together */

/* G times three rows, `from` lanes apart: six rows, `to` lanes apart. */
static void transform_rows(const double *x, int64_t from, double *y, int64_t to, int64_t lanes)
{
    static const double a = 0.70710678118654752, b = 1.41421356237309505;
    for (int64_t l = 0; l < lanes; l++) {
        double x0 = x[l], x1 = x[from + l], x2 = x[2 * from + l];
        double near = (x0 + 0.5 * x2) * (1 / -1.5), near_odd = a / -1.5 * x1;
        double far = (x0 + 2 * x2) * (1 / 6.0), far_odd = b / 6 * x1;
        y[l] = x0;
        y[to + l] = near + near_odd;
        y[2 * to + l] = near - near_odd;
        y[3 * to + l] = far + far_odd;
        y[4 * to + l] = far - far_odd;
        y[5 * to + l] = x2;
    }
}

/* U = G g G^T for one input channel and a vector of output channels: taps are [9][lanes], `step`
 * floats apart, points of u `pitch` floats. */
static void transform_weights(const float *taps, int64_t step, int64_t lanes, float *u,
                              int64_t pitch)
{
    double g[TAPS * LEDGE_TURN_LANES], rows[6 * 3 * LEDGE_TURN_LANES], out[6 * LEDGE_TURN_LANES];
    for (int64_t t = 0; t < TAPS; t++) {
        for (int64_t l = 0; l < lanes; l++) {
            g[t * lanes + l] = (double)taps[t * step + l];
        }
    }
    for (int64_t x = 0; x < 3; x++) {
        transform_rows(g + x * lanes, 3 * lanes, rows + x * lanes, 3 * lanes, lanes);
    }
    for (int64_t i = 0; i < 6; i++) {
        transform_rows(rows + 3 * i * lanes, lanes, out, lanes, lanes);
        for (int64_t j = 0; j < 6; j++, u += pitch) {
            for (int64_t l = 0; l < lanes; l++) {
                u[l] = (float)out[j * lanes + l];
            }
        }
    }
}

LEDGE_COLD float *ledge_blocked_winograd_pack(const struct ledge_blocked_conv *conv,
                                              const void *weights, float *packed)
{
    const struct ledge_geometry *g = &conv->g;
    const int64_t channels = g->in_channels, nchw = g->layout == LEDGE_NCHW;
    float taps[TAPS * TOGETHER * LEDGE_TURN_LANES];
    for (int64_t unit = 0; unit < conv->units; unit++) {
        int64_t blocks, first = ledge_blocked_unit(conv, unit, &blocks) * conv->isa->block;
        int64_t width = blocks * conv->isa->block, left = g->out_channels - first;
        int64_t real = left < width ? left : width;
        const char *from = (const char *)weights + 4 * first * TAPS * channels;
        for (int64_t c = 0; c < channels; c += TOGETHER) {
            int64_t n = channels - c < TOGETHER ? channels - c : TOGETHER;
            for (int64_t t = 0; t < TAPS && !nchw; t++) {
                ledge_turn_floats(from + 4 * (t * channels + c), TAPS * channels, real, width, n,
                                  taps + t * n * width, width);
            }
            if (nchw) {
                ledge_turn_floats(from + 4 * TAPS * c, TAPS * channels, real, width, TAPS * n, taps,
                                  width);
            }
            for (int64_t i = 0; i < n; i++) {
                transform_weights(taps + i * (nchw ? TAPS : 1) * width, (nchw ? 1 : n) * width,
                                  width, packed + (c + i) * width, channels * width);
            }
        }
        packed += POINTS * channels * width;
    }
    return packed;
}

/* -- one band -------------------------------------------------------------------------------------
 */

/* Rows of tiles t0 .. t1 - 1 to v. zeros: room for a row of the input. */
static void transform_band(const struct ledge_blocked_job *job, int64_t picture, int64_t t0,
                           int64_t t1, float *v, float *zeros)
{
    const struct ledge_blocked_conv *conv = job->conv;
    const struct ledge_geometry *g = &conv->g;
    int64_t block = conv->isa->block, tiles = (t1 - t0) * conv->tiles[1], row = g->in[W] * block;
    memset(zeros, 0, (size_t)row * sizeof *zeros);
    for (int64_t i = 0; i < conv->in_blocks; i++) {
        const float *x = job->x + (picture * conv->in_blocks + i) * g->in[H] * row;
        for (int64_t t = t0; t < t1; t++) {
            struct ledge_blocked_wino_in in = {
                .from = -g->pad[W],
                .columns = g->in[W],
                .to = v + (i * tiles + (t - t0) * conv->tiles[1]) * block,
                .step = conv->v_plane,
                .n = conv->tiles[1],
            };
            for (int64_t r = 0; r < IN; r++) {
                int64_t y = t * OUT - g->pad[H] + r;
                in.rows[r] = y >= 0 && y < g->in[H] ? x + y * row : zeros;
            }
            conv->isa->wino_in(&in);
        }
    }
}

/* M = V * U, 36 times. */
static void multiply(const struct ledge_blocked_job *job, const struct ledge_blocked_piece *p,
                     int64_t unit, const float *v, float *m)
{
    const struct ledge_blocked_conv *conv = job->conv;
    static const int64_t origin = 0;
    int64_t block = conv->isa->block, channels = conv->g.in_channels;
    int64_t blocks, first = ledge_blocked_unit(conv, unit, &blocks), chunk = conv->chunk * block;
    int64_t held = (p->c1 - p->c0) * conv->tiles[1], tiles = (p->r1 - p->r0) * conv->tiles[1];
    struct ledge_blocked_tile tile = {.tap_at = &origin,
                                      .low = -INFINITY,
                                      .high = INFINITY,
                                      .taps = 1,
                                      .x_block = held * block,
                                      .w = job->packed + first * block * POINTS * channels,
                                      .y_block = tiles * block,
                                      .blocks = (int32_t)blocks};
    v += (p->r0 - p->c0) * conv->tiles[1] * block;
    for (int64_t point = 0; point < POINTS; point++) {
        for (int64_t c = 0; c < channels; c += chunk) {
            tile.begin = c == 0;
            tile.channels = channels - c < chunk ? channels - c : chunk;
            tile.x = v + point * conv->v_plane + c * held;
            tile.y = m + point * conv->m_plane;
            ledge_blocked_tiles(conv->isa, tile, tiles, block, NULL);
            tile.w += tile.channels * blocks * block;
        }
    }
}

static void finish_piece(const struct ledge_blocked_job *job, const struct ledge_blocked_piece *p,
                         int64_t unit, const float *m)
{
    const struct ledge_blocked_conv *conv = job->conv;
    const struct ledge_geometry *g = &conv->g;
    int64_t block = conv->isa->block, tiles = (p->r1 - p->r0) * conv->tiles[1];
    int64_t blocks, first = ledge_blocked_unit(conv, unit, &blocks);
    for (int64_t b = 0; b < blocks; b++) {
        int64_t plane = p->picture * conv->out_blocks + first + b;
        for (int64_t t = p->r0; t < p->r1; t++) {
            int64_t left = g->out[H] - t * OUT;
            int64_t at = (plane * g->out[H] + t * OUT) * g->out[W] * block;
            struct ledge_blocked_wino_out out = {
                .m = m + (b * tiles + (t - p->r0) * conv->tiles[1]) * block,
                .step = conv->m_plane,
                .bias = job->bias + (first + b) * block,
                .add = job->add != NULL ? job->add + at : NULL,
                .y = job->y + at,
                .pitch = g->out[W] * block,
                .rows = left < OUT ? left : OUT,
                .columns = g->out[W],
                .n = conv->tiles[1],
                .low = conv->clamp.low,
                .high = conv->clamp.high,
            };
            conv->isa->wino_out(&out);
            if (conv->activation.function != LEDGE_BLOCKED_NONE) {
                conv->isa->activate(&conv->activation, out.y, out.rows * g->out[W], out.y);
            }
        }
    }
}

void ledge_blocked_winograd_piece(struct ledge_blocked_job *job,
                                  const struct ledge_blocked_piece *piece, int32_t worker)
{
    const struct ledge_blocked_conv *conv = job->conv;
    float *v = job->scratch + (size_t)worker * conv->worker_floats;
    float *m = v + POINTS * conv->v_plane;
    int64_t wanted = piece->picture * conv->tiles[0] + piece->c0;
    if (job->held[worker] != wanted) {
        transform_band(job, piece->picture, piece->c0, piece->c1, v, m + POINTS * conv->m_plane);
        job->held[worker] = wanted;
    }
    for (int64_t u = piece->u0; u < piece->u1; u++) {
        multiply(job, piece, u, v, m);
        finish_piece(job, piece, u, m);
    }
}
