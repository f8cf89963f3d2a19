/* SPDX-License-Identifier: Apache-2.0 */
/* depthwise_i8.c -- rows of a depthwise convolution around the loops of i8_rows.tmpl.h: see
 * conv_i8.h. The picture is read where it lies; taps beyond it read a row of zero points. */
#include <string.h>

#include "engine/kernels/conv_i8.h"

enum { H = 1, W = 2, MAX_TAPS = 128, PIXELS = 16, LONGEST = 32, ROWS_OF_A_THREAD = 4 };
/* Of slices whose blocks several pixels share. */
enum { LEAST_APART = 8, MOST_BLOCKS = 16, PIECES_OF_A_THREAD = 4 };

/* A build for models whose windows all go in slices (LEDGE_OPS) has nothing else: AVX-VNNI's
 * columns of 3 x 3 go without a word. */
#if LEDGE_SLICES && defined(LEDGE_WITHOUT_AVXVNNI)
#define HAS_TAPS (LEDGE_HAS(LEDGE_KERNEL_taps_any) || LEDGE_HAS(LEDGE_KERNEL_taps_5))
#else
#define HAS_TAPS true
#endif

static int64_t ceil_div(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static size_t align(size_t bytes)
{
    return (bytes + 63) & ~(size_t)63;
}

LEDGE_COLD bool ledge_depthwise_i8_is_fast(const struct ledge_geometry *g)
{
    return g->in[0] == 1 && g->kernel[0] == 1 && g->out[0] == 1 && g->layout == LEDGE_NHWC &&
           g->groups == g->in_channels && g->out_channels == g->in_channels &&
           ledge_volume(g->kernel) <= MAX_TAPS && g->in_channels < (int64_t)1 << 30 &&
           g->batch * g->out[H] < (int64_t)1 << 30;
}

static int64_t block_channels(const struct ledge_depthwise_i8 *dw)
{
    return (int64_t)dw->isa->taps_vectors * dw->isa->lanes;
}

/* Are rows taken by twos, and columns of the last one? */
static bool in_pairs(const struct ledge_depthwise_i8 *dw)
{
    return dw->zipped && dw->isa->group == 2;
}

/* Taps of a column, with those that fill it up. */
static int64_t column_places(const struct ledge_depthwise_i8 *dw)
{
    return dw->wide ? 8 : 4;
}

/* Pixels that fill whole blocks together, if they do not make too many of them, and those that are
 * gathered from pixels apart not too many pieces; 1: none. */
LEDGE_COLD static int64_t filling_pixels(const struct ledge_depthwise_i8 *dw)
{
    const int64_t channels = dw->g.in_channels, block = block_channels(dw);
    int64_t n = 1;
    while (channels * n % block != 0) {
        n *= 2;
    }
    bool whole = dw->g.stride[W] == 1 || channels >= LEAST_APART;
    return whole && channels * n / block <= MOST_BLOCKS ? n : 1;
}

LEDGE_COLD static void plan_slices(struct ledge_depthwise_i8 *dw)
{
    const int64_t channels = dw->g.in_channels;
    dw->slices = true;
    dw->taps = 3 * column_places(dw);
    dw->merged = filling_pixels(dw);
    dw->blocks = ceil_div(channels * dw->merged, block_channels(dw));
}

LEDGE_COLD static void plan_pieces(struct ledge_depthwise_i8 *dw)
{
    const struct ledge_geometry *g = &dw->g;
    int64_t reach = (g->kernel[W] - 1) * g->dilation[W];
    int64_t room = g->in[W] + g->pad[W] - reach; /* starts below this are inside */
    dw->first = ceil_div(g->pad[W], g->stride[W]);
    dw->stop = smaller(room > 0 ? ceil_div(room, g->stride[W]) : 0, g->out[W]);
    dw->most = dw->wide ? LEDGE_I8_WIDE_PIXELS : PIXELS;
    if (dw->zipped) {
        int64_t most = (LEDGE_I8_ZIPPED - g->kernel[W]) / (dw->merged * g->stride[W]) + 1;
        dw->most = smaller(most, LONGEST);
    }
}

LEDGE_COLD void ledge_depthwise_i8_plan(struct ledge_depthwise_i8 *dw,
                                        const struct ledge_weights_i8 *weights,
                                        enum ledge_rung rung, int32_t threads)
{
    const struct ledge_geometry *g = &dw->g;
    dw->isa = ledge_i8_for(rung);
    dw->threads = threads > 1 ? threads : 1;
    dw->parts = 1;
    for (int64_t c = 0; c < g->in_channels && dw->isa->group == 4; c++) {
        if (weights->zeros[c] == (weights->is_u8 ? 128 : 0)) {
            continue; /* all of them fit a signed byte */
        }
        for (int64_t t = 0; t < ledge_volume(g->kernel); t++) {
            int32_t w = ledge_weight_i8(weights, c, t, 0);
            int32_t parts = w < -128 || w > 127 ? (w > 254 ? 3 : 2) : 1;
            dw->parts = parts > dw->parts ? parts : dw->parts;
        }
    }
    dw->merged = 1;
    if (g->stride[W] == 1 && block_channels(dw) % g->in_channels == 0) {
        dw->merged = block_channels(dw) / g->in_channels;
    }
    bool square = g->kernel[H] == g->kernel[W] && g->dilation[W] == 1;
    if (LEDGE_SLICES && dw->isa->slices != NULL && square && g->kernel[W] == 3 &&
        g->dilation[H] == 1 && g->stride[H] == g->stride[W] && g->stride[W] < 3 && dw->parts < 3) {
        plan_slices(dw);
        return;
    }
    dw->wide = dw->isa->wide_columns && square && g->kernel[W] == 5 && dw->parts == 1 &&
               g->stride[W] <= 4 && dw->merged <= 4;
    dw->zipped = dw->isa->zipped && square && (g->kernel[W] == 3 || g->kernel[W] == 5) &&
                 g->stride[W] <= 4 && dw->merged <= 4 && dw->parts == 1;
    dw->wide = dw->wide || (dw->zipped && g->kernel[W] == 5);
    dw->columns = dw->wide || dw->zipped;
    dw->taps = in_pairs(dw)  ? g->kernel[W] * g->kernel[W] + 1
               : dw->columns ? column_places(dw) * g->kernel[W]
                             : ceil_div(ledge_volume(g->kernel), dw->isa->group) * dw->isa->group;
    dw->blocks = ceil_div(g->in_channels, block_channels(dw));
    plan_pieces(dw);
}

int64_t ledge_depthwise_i8_positions(const struct ledge_depthwise_i8 *dw)
{
    return dw->blocks * block_channels(dw);
}

static int64_t channel_of(const struct ledge_depthwise_i8 *dw, int64_t position)
{
    int64_t block = position / block_channels(dw) * block_channels(dw);
    int64_t channel = block + ledge_i8_channel_at(dw->isa, dw->isa->taps_vectors, position - block);
    if (dw->merged > 1) {
        return channel % dw->g.in_channels;
    }
    return channel < dw->g.in_channels ? channel : -1;
}

/* Place of a tap among the pointers: column after column for columns. */
static int64_t place_of(const struct ledge_depthwise_i8 *dw, int64_t tap)
{
    int64_t wide = dw->g.kernel[W];
    if (dw->slices) {
        return tap / wide * column_places(dw) + tap % wide;
    }
    if (in_pairs(dw)) {
        return tap / wide + 1 < wide ? tap % wide * (wide - 1) + tap / wide : tap;
    }
    return dw->columns ? tap % wide * column_places(dw) + tap / wide : tap;
}

static int64_t block_units(const struct ledge_depthwise_i8 *dw)
{
    return dw->taps / dw->isa->group * block_channels(dw) * dw->parts;
}

static size_t padding_at(const struct ledge_depthwise_i8 *dw)
{
    return align((size_t)(dw->blocks * block_units(dw)) * sizeof(uint32_t));
}

static size_t padding_bytes(const struct ledge_depthwise_i8 *dw)
{
    return align((size_t)(dw->blocks * block_channels(dw)));
}

size_t ledge_depthwise_i8_packed(const struct ledge_depthwise_i8 *dw)
{
    return padding_at(dw) + padding_bytes(dw);
}

/* A weight as the sum of numbers that fit a signed byte; i16 holds it in one. */
static int32_t share_of(int32_t w, int32_t part, int32_t group)
{
    int32_t share = w;
    for (int32_t i = 0; i <= part && group == 4; i++) {
        share = w < -128 ? -128 : w > 127 ? 127 : w;
        w -= share;
    }
    return share;
}

/* The weights of one tap, for the positions of a block from number `first` on. Sums of the weights
 * gather in offset, of their magnitudes in largest. */
LEDGE_COLD static void pack_tap(const struct ledge_depthwise_i8 *dw,
                                const struct ledge_weights_i8 *weights, int64_t tap, int64_t first,
                                uint32_t *units, const struct ledge_lists_i8 *lists)
{
    const int32_t group = dw->isa->group;
    const int64_t n = block_channels(dw), t = place_of(dw, tap);
    const int64_t part_units = dw->taps / group * n;
    units += t / group * n;
    for (int64_t i = 0; i < n; i++) {
        int64_t channel = lists->channels[first + i];
        if (channel < 0) {
            continue;
        }
        int32_t w = ledge_weight_i8(weights, channel, tap, 0);
        for (int32_t part = 0; part < dw->parts; part++) {
            int32_t some = dw->parts == 1 ? w : share_of(w, part, group);
            units[part * part_units + i] |= group == 4
                                                ? (uint32_t)(uint8_t)some << (8 * (t % group))
                                                : (uint32_t)(uint16_t)some << (16 * (t % group));
        }
        lists->offset[first + i] += w;
        if (lists->largest != NULL) {
            lists->largest[first + i] += w < 0 ? -w : w;
        }
    }
}

LEDGE_COLD void ledge_depthwise_i8_pack(const struct ledge_depthwise_i8 *dw,
                                        const struct ledge_weights_i8 *weights, void *packed,
                                        const struct ledge_lists_i8 *lists)
{
    const int64_t n = ledge_depthwise_i8_positions(dw);
    memset(packed, 0, ledge_depthwise_i8_packed(dw));
    for (int64_t p = 0; p < n; p++) {
        lists->channels[p] = (int32_t)channel_of(dw, p);
        lists->offset[p] = lists->zeros[p] = 0;
        if (lists->largest != NULL) {
            lists->largest[p] = 0;
        }
    }
    for (int64_t block = 0; block < dw->blocks; block++) {
        uint32_t *units = (uint32_t *)packed + block * block_units(dw);
        for (int64_t tap = 0; tap < ledge_volume(dw->g.kernel); tap++) {
            pack_tap(dw, weights, tap, block * block_channels(dw), units, lists);
        }
    }
    for (int64_t p = 0; p < n; p++) {
        int64_t channel = lists->channels[p];
        int64_t bias =
            channel >= 0 && weights->bias != NULL ? weights->bias[channel * weights->bias_step] : 0;
        if (lists->largest != NULL) {
            lists->largest[p] = 255 * lists->largest[p] + (bias < 0 ? -bias : bias);
        }
        lists->offset[p] =
            (int32_t)((uint32_t)bias - (uint32_t)dw->x_zero * (uint32_t)lists->offset[p]);
    }
    memset((uint8_t *)packed + padding_at(dw), dw->x_zero ^ dw->flip, padding_bytes(dw));
}

struct job {
    const struct ledge_depthwise_i8 *dw;
    const struct ledge_kernel_call *call;
    const uint8_t *x;
    uint8_t *y;
    int64_t ring;  /* rows that x has room for: row r stands at r % ring */
    int64_t first; /* number of the row that y begins with */
    int64_t parts; /* of the channels, for threads */
};

/* Row iy of a picture; NULL: it lies outside. */
static const uint8_t *row_at(const struct job *job, int64_t picture, int64_t iy)
{
    const struct ledge_geometry *g = &job->dw->g;
    if (iy < 0 || iy >= g->in[H]) {
        return NULL;
    }
    int64_t row = picture * g->in[H] + iy;
    row = row < job->ring ? row : row % job->ring;
    return job->x + row * g->in[W] * g->in_channels;
}

/* Pointers of the pixel at column ox of a row, and how they move on. */
static void point(const struct job *job, int64_t picture, int64_t oy, int64_t ox, int64_t merged,
                  const uint8_t **x, int64_t *step)
{
    const struct ledge_depthwise_i8 *dw = job->dw;
    const struct ledge_geometry *g = &dw->g;
    const uint8_t *padding = (const uint8_t *)job->call->packed + padding_at(dw);
    for (int64_t t = 0; t < dw->taps; t++) {
        x[t] = padding;
        step[t] = 0;
    }
    for (int64_t ky = 0; ky < g->kernel[H]; ky++) {
        const uint8_t *row =
            row_at(job, picture, oy * g->stride[H] - g->pad[H] + ky * g->dilation[H]);
        for (int64_t kx = 0; kx < g->kernel[W]; kx++) {
            int64_t t = place_of(dw, ky * g->kernel[W] + kx);
            int64_t ix = ox * g->stride[W] - g->pad[W] + kx * g->dilation[W];
            bool inside = row != NULL && ix >= 0 && ix < g->in[W];
            x[t] = inside ? row + ix * g->in_channels : padding;
            step[t] = inside ? merged * g->stride[W] * g->in_channels : 0;
        }
    }
}

/* What results go through, or NULL. */
static const uint8_t *table_of(const struct job *job)
{
    return LEDGE_HAS(LEDGE_KERNEL_lookup) && job->dw->table > 0
               ? job->call->in[job->dw->table]->data
               : NULL;
}

/* Where pixels go: n times `merged` neighbours from column ox of a row, blocks b0 .. b1 - 1. */
struct target {
    int64_t picture, oy, ox;
    int32_t n;
    int64_t merged;
    int64_t b0, b1;
};

/* All those channels of them; n_x pointers of taps move from block to block. */
static void run_blocks(const struct job *job, const struct target *to, struct ledge_taps_i8 *taps,
                       const uint8_t **x, int64_t n_x)
{
    const struct ledge_depthwise_i8 *dw = job->dw;
    const struct ledge_geometry *g = &dw->g;
    _Alignas(64) int32_t sums[LONGEST * LEDGE_I8_VECTORS * 16];
    int64_t channels = block_channels(dw);
    int64_t present = g->in_channels * to->merged;
    taps->parts = dw->parts;
    taps->flip = dw->flip;
    taps->pixels = to->n;
    taps->sums = sums;
    struct ledge_finish_i8 finish = {.epilogue = &dw->epilogue,
                                     .sums = sums,
                                     .rows = to->n,
                                     .vectors = dw->isa->taps_vectors,
                                     .ldy = present};
    int64_t row = to->picture * g->out[H] + to->oy - job->first;
    uint8_t *y = job->y + (row * g->out[W] + to->ox) * g->in_channels;
    finish.table = ledge_i8_looks_up(dw->isa) ? table_of(job) : NULL;
    for (int64_t t = 0; t < n_x; t++) {
        x[t] += to->b0 * channels;
    }
    for (int64_t block = to->b0; block < to->b1; block++) {
        int64_t first = block * channels;
        int64_t left = present - first;
        taps->channels = finish.n = (int32_t)(left < channels ? left : channels);
        taps->w = (const uint32_t *)job->call->packed + block * block_units(dw);
        taps->offset = dw->epilogue.offset + first;
        dw->isa->taps(taps);
        finish.at = first;
        finish.y = y + first;
        dw->isa->finish(&finish);
        for (int64_t t = 0; t < n_x; t++) {
            x[t] += channels;
        }
    }
}

static void run_taps(const struct job *job, const struct target *to)
{
    const uint8_t *x[MAX_TAPS + 4];
    int64_t step[MAX_TAPS + 4];
    point(job, to->picture, to->oy, to->ox, to->merged, x, step);
    struct ledge_taps_i8 taps = {.x = x, .taps = job->dw->taps, .step = step};
    run_blocks(job, to, &taps, x, job->dw->taps);
}

static void run_columns(const struct job *job, const struct target *to)
{
    const struct ledge_depthwise_i8 *dw = job->dw;
    const struct ledge_geometry *g = &dw->g;
    const uint8_t *x[5];
    struct ledge_taps_i8 taps = {
        .x = x,
        .wide = dw->wide,
        .advance = (int32_t)(to->merged * g->stride[W]),
        .first = to->ox * g->stride[W] - g->pad[W],
        .width = g->in[W],
        .padding = (const uint8_t *)job->call->packed + padding_at(dw),
    };
    for (int64_t ky = 0; ky < g->kernel[H]; ky++) {
        x[ky] = row_at(job, to->picture, to->oy * g->stride[H] - g->pad[H] + ky * g->dilation[H]);
        taps.side[ky] = x[ky] != NULL ? g->in_channels : 0;
        x[ky] = x[ky] != NULL ? x[ky] : taps.padding;
    }
    run_blocks(job, to, &taps, x, g->kernel[H]);
}

/* How many outputs from column ox on go together. Merged ones, and taps by pointers, need all their
 * columns on the picture. No division where one piece is enough: small rows feel it. */
static void choose(const struct ledge_depthwise_i8 *dw, int64_t ox, struct target *to)
{
    bool inside = ox >= dw->first && ox < dw->stop;
    int64_t n = 1;
    to->merged = inside && dw->stop - ox >= dw->merged ? dw->merged : 1;
    if (dw->merged == 1 && (inside || dw->columns)) {
        n = (dw->columns ? dw->g.out[W] : dw->stop) - ox;
    } else if (to->merged > 1) {
        n = (dw->stop - ox) / to->merged;
    }
    if (dw->zipped && n > dw->most) {
        n = ceil_div(n, ceil_div(n, dw->most)); /* pieces of like size */
    }
    to->n = (int32_t)smaller(n, dw->most);
}

/* Blocks b0 .. b1 - 1 of a row of outputs. */
static void run_row(const struct job *job, int64_t picture, int64_t oy, int64_t b0, int64_t b1)
{
    const struct ledge_geometry *g = &job->dw->g;
    struct target to = {.picture = picture, .oy = oy, .b0 = b0, .b1 = b1};
    for (; to.ox < g->out[W]; to.ox += to.n * to.merged) {
        choose(job->dw, to.ox, &to);
        if (job->dw->columns) {
            run_columns(job, &to);
        } else {
            run_taps(job, &to);
        }
    }
    const uint8_t *table = table_of(job);
    if (table != NULL && !ledge_i8_looks_up(job->dw->isa)) {
        const int64_t first = b0 * block_channels(job->dw), end = b1 * block_channels(job->dw);
        uint8_t *y = job->y + (picture * g->out[H] + oy - job->first) * g->out[W] * g->in_channels;
        job->dw->isa->lookup(table, y + first, y + first, g->out[W],
                             smaller(end, g->in_channels) - first, g->in_channels);
    }
}

/* A row, or a part of its channels: parts one behind the other, as a convolution whose threads
 * share channels left them. */
static void one_row(void *arg, int32_t index, int32_t worker)
{
    (void)worker;
    const struct job *job = arg;
    const struct ledge_geometry *g = &job->dw->g;
    int64_t rows = g->batch * g->out[H], part = index / rows, row = index % rows;
    run_row(job, row / g->out[H], row % g->out[H], part * job->dw->blocks / job->parts,
            (part + 1) * job->dw->blocks / job->parts);
}

/* What a thread does at a time: of rows r0 .. r1 - 1 some groups of pixels and blocks of channels.
 */
struct piece {
    int64_t picture, r0, r1, groups[2], blocks[2];
};

static int64_t groups_of_row(const struct ledge_depthwise_i8 *dw)
{
    return ceil_div(dw->g.out[W], dw->merged);
}

/* Had threads better share them than pixels? A table wants all of them together. */
static bool splits_blocks(const struct ledge_depthwise_i8 *dw)
{
    return dw->table == 0 && dw->blocks >= groups_of_row(dw);
}

/* With a table, of all blocks. */
static void run_piece(const struct job *job, struct piece p)
{
    const uint8_t *x[2 * LEDGE_I8_SLICE_ROWS + 1];
    const struct ledge_depthwise_i8 *dw = job->dw;
    const struct ledge_geometry *g = &dw->g;
    const int64_t row = g->out[W] * g->in_channels, group = dw->merged * g->in_channels;
    struct ledge_slices_i8 slices = {.x = x,
                                     .in_width = g->in[W],
                                     .width = g->out[W],
                                     .channels = g->in_channels,
                                     .pad = g->pad[W],
                                     .stride = (int32_t)g->stride[W],
                                     .merged = dw->merged,
                                     .blocks = {p.blocks[0], p.blocks[1]},
                                     .groups = {p.groups[0], p.groups[1]},
                                     .w = job->call->packed,
                                     .parts = dw->parts,
                                     .epilogue = &dw->epilogue,
                                     .flip = dw->flip,
                                     .zero = (uint8_t)dw->x_zero};
    const uint8_t *table = table_of(job);
    for (; p.r0 < p.r1; p.r0 += slices.rows) {
        slices.rows = (int32_t)smaller(p.r1 - p.r0, LEDGE_I8_SLICE_ROWS);
        for (int64_t i = 0; i < (slices.rows - 1) * g->stride[H] + 3; i++) {
            x[i] = row_at(job, p.picture, p.r0 * g->stride[H] - g->pad[H] + i);
        }
        slices.y = job->y + (p.picture * g->out[H] + p.r0 - job->first) * row;
        dw->isa->slices(&slices);
        if (table != NULL) {
            uint8_t *y = slices.y + p.groups[0] * group;
            dw->isa->lookup(table, y, y, slices.rows,
                            smaller(p.groups[1] * group, row) - p.groups[0] * group, row);
        }
    }
}

/* Pieces are as many rows as go together, and a part of the groups or of the blocks. */
static void one_piece(void *arg, int32_t index, int32_t worker)
{
    (void)worker;
    const struct job *job = arg;
    const struct ledge_depthwise_i8 *dw = job->dw;
    int64_t times = ceil_div(dw->g.out[H], LEDGE_I8_SLICE_ROWS), part = index % job->parts;
    int64_t at = index / job->parts % times * LEDGE_I8_SLICE_ROWS;
    struct piece p = {.picture = index / job->parts / times,
                      .r0 = at,
                      .r1 = smaller(at + LEDGE_I8_SLICE_ROWS, dw->g.out[H]),
                      .groups = {0, groups_of_row(dw)},
                      .blocks = {0, dw->blocks}};
    int64_t *split = splits_blocks(dw) ? p.blocks : p.groups, n = split[1];
    split[0] = part * n / job->parts;
    split[1] = (part + 1) * n / job->parts;
    run_piece(job, p);
}

static void run_pieces(struct ledge_pool *pool, struct job *job)
{
    const struct ledge_depthwise_i8 *dw = job->dw;
    int64_t times = dw->g.batch * ceil_div(dw->g.out[H], LEDGE_I8_SLICE_ROWS);
    int64_t wanted = PIECES_OF_A_THREAD * ledge_pool_threads(pool);
    if (ledge_pool_threads(pool) > 1 && times < wanted) {
        job->parts =
            smaller(splits_blocks(dw) ? dw->blocks : groups_of_row(dw), ceil_div(wanted, times));
    }
    ledge_pool_run(pool, (int32_t)(times * job->parts), one_piece, job);
}

void ledge_depthwise_i8_blocks(const struct ledge_kernel_call *call, const uint8_t *x, int64_t ring,
                               int64_t r0, int64_t r1, int64_t b0, int64_t b1, uint8_t *y)
{
    const struct ledge_depthwise_i8 *dw = call->params;
    const struct job job = {
        .dw = dw, .call = call, .x = x, .y = y, .ring = ring, .first = r0, .parts = 1};
    run_piece(&job, (struct piece){
                        .r0 = r0, .r1 = r1, .groups = {0, groups_of_row(dw)}, .blocks = {b0, b1}});
}

void ledge_depthwise_i8_rows(const struct ledge_kernel_call *call, const uint8_t *x, int64_t ring,
                             int64_t r0, int64_t r1, uint8_t *y)
{
    const struct ledge_depthwise_i8 *dw = call->params;
    if (LEDGE_SLICES && (dw->slices || !HAS_TAPS)) {
        ledge_depthwise_i8_blocks(call, x, ring, r0, r1, 0, dw->blocks, y);
        return;
    }
    const struct job job = {
        .dw = dw, .call = call, .x = x, .y = y, .ring = ring, .first = r0, .parts = 1};
    for (int64_t row = r0; row < r1; row++) {
        run_row(&job, 0, row, 0, dw->blocks);
    }
}

enum ledge_status ledge_depthwise_i8(const struct ledge_kernel_call *call)
{
    const struct ledge_depthwise_i8 *dw = call->params;
    struct job job = {.dw = dw,
                      .call = call,
                      .x = call->in[dw->input]->data,
                      .y = call->out[0]->data,
                      .ring = dw->g.batch * dw->g.in[H],
                      .parts = 1};
    if (LEDGE_SLICES && (dw->slices || !HAS_TAPS)) {
        run_pieces(call->pool, &job);
        return LEDGE_OK;
    }
    int64_t threads = ledge_pool_threads(call->pool), rows = dw->g.batch * dw->g.out[H];
    if (threads > 1 && dw->merged == 1 && rows < ROWS_OF_A_THREAD * threads) {
        job.parts = ceil_div(ROWS_OF_A_THREAD * threads, rows);
        job.parts = job.parts < dw->blocks ? job.parts : dw->blocks;
    }
    ledge_pool_run(call->pool, (int32_t)(rows * job.parts), one_row, &job);
    return LEDGE_OK;
}
