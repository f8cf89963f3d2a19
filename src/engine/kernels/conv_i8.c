/* SPDX-License-Identifier: Apache-2.0 */
/* conv_i8.c -- pictures, pointers and panels around the loops of i8_rows.tmpl.h: see conv_i8.h. */
#include "engine/kernels/conv_i8_plan.h"
#include "engine/kernels/conv_i8_strips.h"
#include "engine/kernels/winograd_i8.h"

#include <string.h>

enum { GRAINS_OF_A_THREAD = 24, MOST_CHUNKS = 4096 };
/* Products: some 30 us of one thread with VNNI. */
#define SHORT_LAYER ((int64_t)1 << 24)

/* Vectors of sums that wait to become bytes together: whole tiles of them, in the L1 cache. */
enum { BATCH = 96 };

struct job {
    const struct ledge_conv_i8 *conv;
    const struct ledge_kernel_call *call;
    const uint8_t *x; /* this picture as given */
    const uint8_t *source;
    const uint8_t *padding;
    struct ledge_results_i8 to;
    uint8_t *copy;
    uint8_t *scratch;
    int64_t pixels, chunk; /* of a grain */
    int64_t chunks, parts; /* grains: of pixels, the last one may be longer; of panels */
    bool by_panel;         /* grains side by side are chunks of one part */
    int64_t half;          /* pixels of the middle panel's first grain: see split_span(); 0: none */
    int64_t top;           /* row of the padded picture that a copy begins with */
    int64_t left;          /* pixel of a row that source begins with */
};

/* Three channels as quads of bytes, the last of them 0, as they are. Of planes so many pixels at a
 * time that compilers make vectors of them. */
static void copy_quads(const uint8_t *from, int64_t channel_step, int64_t step, int64_t n,
                       uint32_t *restrict to)
{
    enum { SOME = 16 };
    const uint8_t *a = from, *b = a + channel_step, *c = b + channel_step;
    int64_t i = 0;
    for (; step == 1 && i + SOME <= n; i += SOME) {
        for (int64_t k = i; k < i + SOME; k++) {
            to[k] = a[k] | (uint32_t)b[k] << 8 | (uint32_t)c[k] << 16;
        }
    }
    for (; i < n; i++) {
        to[i] = a[i * step] | (uint32_t)b[i * step] << 8 | (uint32_t)c[i * step] << 16;
    }
}

/* n pixels as units; bytes from one channel to the next, from one pixel to the next. */
static void copy_units(const struct ledge_conv_i8 *conv, const uint8_t *from, int64_t channel_step,
                       int64_t step, int64_t n, uint8_t *to)
{
    const int32_t group = conv->group;
    if (conv->bytes) {
        copy_quads(from, channel_step, step, n, (uint32_t *)(void *)to);
        return;
    }
    struct ledge_units_i8 units = {.step = step, .n = n, .flip = conv->flip, .zero = conv->x_zero};
    units.to_step = conv->pixel_bytes / 4;
    int64_t in_group = conv->group_bytes / 4, channels = per_group(&conv->g);
    for (int64_t u = 0; u < units.to_step; u++) {
        units.units = (uint32_t *)(void *)to + u;
        for (int32_t i = 0; i < 4; i++) {
            int64_t c = u % in_group * group + i;
            bool real = i < group && c < channels;
            units.src[i] = real ? from + (u / in_group * channels + c) * channel_step : NULL;
        }
        conv->isa->units(&units);
    }
}

/* n pixels of channels side by side, as units. */
static void copy_pixels(const struct job *job, const uint8_t *from, int64_t n, uint8_t *to)
{
    const struct ledge_conv_i8 *conv = job->conv;
    const struct ledge_i8_kernels *isa = conv->isa;
    int64_t channels = per_group(&conv->g);
    int64_t groups = conv->g.groups;
    if (channels % isa->group == 0) {
        isa->row(from, n * groups * channels, conv->flip, conv->x_zero, to);
        return;
    }
    if (groups == 1) {
        copy_units(conv, from, 1, channels, n, to);
        return;
    }
    size_t width = 4 / (size_t)isa->group;
    for (int64_t i = 0; i < n * groups; i++) {
        uint8_t *end = to + i * conv->group_bytes + (size_t)channels * width;
        isa->row(from + i * channels, channels, conv->flip, conv->x_zero,
                 to + i * conv->group_bytes);
        memset(end, 0, (size_t)conv->group_bytes - (size_t)channels * width);
    }
}

static void pad_pixels(const struct job *job, uint8_t *to, int64_t n)
{
    size_t bytes = (size_t)job->conv->pixel_bytes;
    for (int64_t i = 0; i < n; i++) {
        memcpy(to + (size_t)i * bytes, job->padding, bytes);
    }
}

static void copy_row(void *arg, int32_t index, int32_t worker)
{
    (void)worker;
    const struct job *job = arg;
    const struct ledge_conv_i8 *conv = job->conv;
    const struct ledge_geometry *g = &conv->g;
    int64_t y = index - g->pad[H];
    uint8_t *to = job->copy + (index - job->top) * conv->columns * conv->pixel_bytes;
    if (LEDGE_STRIPS && conv->strips) {
        ledge_conv_i8_strip(conv, job->x, y, to);
        return;
    }
    if (y < 0 || y >= g->in[H]) {
        pad_pixels(job, to, conv->columns);
        return;
    }
    int64_t before = g->pad[W] < conv->columns ? g->pad[W] : conv->columns;
    int64_t n = conv->columns - before < g->in[W] ? conv->columns - before : g->in[W];
    pad_pixels(job, to, before);
    to += before * conv->pixel_bytes;
    if (conv->planes) {
        copy_units(conv, job->x + y * g->in[W], g->in[H] * g->in[W], 1, n, to);
    } else {
        copy_pixels(job, job->x + y * g->in[W] * g->in_channels, n, to);
    }
    pad_pixels(job, to + n * conv->pixel_bytes, conv->columns - before - n);
}

/* Where the ways of run_panel() keep what a chunk of pixels needs. */
struct chunk {
    int64_t at, n;         /* pixels */
    const uint8_t **table; /* [lists][listed] pointers, a tap's `pitch` behind the last one's */
    int64_t lists, listed, pitch;
    int32_t *row_sums;
    uint8_t *patch;  /* room, where patch is set */
    uint8_t *turned; /* where bytes is the way, as are: */
    int32_t *sums;
};

/* Pointers of pixels i .. end - 1, each `move` bytes behind the last, the first to `from`. */
static void point_along(const uint8_t **table, int64_t i, int64_t end, const uint8_t *from,
                        int64_t move)
{
    for (; i + 4 <= end; i += 4, from += 4 * move) {
        table[i] = from;
        table[i + 1] = from + move;
        table[i + 2] = from + 2 * move;
        table[i + 3] = from + 3 * move;
    }
    for (; i < end; i++, from += move) {
        table[i] = from;
    }
}

/* Pointers to one tap of n neighbours in an output row, the first at input pixel x of row y. */
static void point_tap(const struct job *job, int64_t y, int64_t x, int64_t n, const uint8_t **table)
{
    const struct ledge_conv_i8 *conv = job->conv;
    const int64_t step = conv->g.stride[W];
    const int64_t move = step * conv->pixel_bytes;
    const uint8_t *padding = job->padding;
    bool inside = y >= 0 && y < conv->rows;
    int64_t i = 0;
    for (; i < n && (!inside || x < 0); i++, x += step) {
        table[i] = padding;
    }
    int64_t left = x < conv->columns ? ceil_div(conv->columns - x, step) : 0;
    int64_t end = n - i < left ? n : i + left;
    if (i < end) {
        int64_t from = ((y - job->top) * conv->columns + x - job->left) * conv->pixel_bytes;
        point_along(table, i, end, job->source + from, move);
        i = end;
    }
    for (; i < n; i++) {
        table[i] = padding;
    }
}

/* Windows of the chunk's rows that reach beyond them, as they would lie in memory: FILLED. The
 * number of the first row comes back. */
static int64_t fill_patches(const struct job *job, int64_t at, int64_t n, uint8_t *patch)
{
    const struct ledge_conv_i8 *conv = job->conv;
    const struct ledge_geometry *g = &conv->g;
    const int64_t bytes = 4 * conv->units;
    int64_t begin = at / g->out[W] * g->stride[H] - g->pad[H];
    int64_t end = (at + n - 1) / g->out[W] * g->stride[H] - g->pad[H] +
                  (g->kernel[H] - 1) * g->dilation[H] + 1;
    begin = begin > 0 ? begin : 0;
    end = end < g->in[H] ? end : g->in[H];
    for (int64_t y = begin; y < end; y++) {
        for (int64_t edge = 0; edge < conv->edges; edge++, patch += bytes) {
            int64_t ox = edge < conv->first ? edge : edge + conv->stop - conv->first;
            int64_t x = ox * g->stride[W] - g->pad[W];
            int64_t from = x > 0 ? x : 0;
            int64_t to = x + g->kernel[W] < g->in[W] ? x + g->kernel[W] : g->in[W];
            memset(patch, conv->x_zero ^ conv->flip, (size_t)bytes);
            if (from < to) {
                memcpy(patch + (from - x) * conv->pixel_bytes,
                       job->source + (y * g->in[W] + from) * conv->pixel_bytes,
                       (size_t)((to - from) * conv->pixel_bytes));
            }
        }
    }
    return begin;
}

/* Pointers of n neighbours in an output row from column ox on to input row y; patches: of the rows
 * from number begin on. */
static void point_row(const struct job *job, int64_t y, int64_t ox, int64_t n,
                      const uint8_t *patches, int64_t begin, const uint8_t **table)
{
    const struct ledge_conv_i8 *conv = job->conv;
    const int64_t bytes = 4 * conv->units;
    const int64_t step = conv->g.stride[W] * conv->pixel_bytes;
    int64_t i = 0;
    if (y < 0 || y >= conv->rows) {
        for (; i < n; i++) {
            table[i] = job->padding;
        }
        return;
    }
    const uint8_t *patch = patches + (y - begin) * conv->edges * bytes;
    for (; i < n && ox + i < conv->first; i++) {
        table[i] = patch + (ox + i) * bytes;
    }
    int64_t end = n < conv->stop - ox ? n : conv->stop - ox;
    int64_t at = (y * conv->columns - conv->g.pad[W] - job->left) * conv->pixel_bytes;
    at += (ox + i) * step;
    if (i < end) {
        point_along(table, i, end, job->source + at, step);
        i = end;
    }
    for (; i < n; i++) {
        table[i] = patch + (ox + i - conv->stop + conv->first) * bytes;
    }
}

/* Pointers of a chunk where taps side by side are one. */
static void fill_rows(const struct job *job, const struct chunk *c)
{
    const struct ledge_conv_i8 *conv = job->conv;
    const struct ledge_geometry *g = &conv->g;
    const uint8_t **table = c->table;
    int64_t begin = conv->edges > 0 ? fill_patches(job, c->at, c->n, c->patch) : 0;
    int64_t oy = c->at / g->out[W], ox = c->at % g->out[W];
    for (int64_t left = c->listed; left > 0; oy++, ox = 0) {
        int64_t run = g->out[W] - ox < left ? g->out[W] - ox : left;
        for (int64_t t = 0; t < c->lists; t++) {
            int64_t y = oy * g->stride[H] - g->pad[H] + t * conv->row_step;
            point_row(job, y, ox, run, c->patch, begin, table + t * c->listed);
        }
        table += run;
        left -= run;
    }
}

/* Pointers of a chunk. */
static void fill_table(const struct job *job, const struct chunk *c)
{
    const struct ledge_conv_i8 *conv = job->conv;
    const struct ledge_geometry *g = &conv->g;
    const uint8_t **table = c->table;
    int64_t at = c->at;
    int64_t pad_y = conv->copy ? 0 : g->pad[H];
    int64_t pad_x = conv->copy ? 0 : g->pad[W];
    for (int64_t left = c->listed; left > 0;) {
        int64_t oy = at / g->out[W];
        int64_t ox = at % g->out[W];
        int64_t run = g->out[W] - ox < left ? g->out[W] - ox : left;
        for (int64_t t = 0; t < c->lists; t++) {
            int64_t y = oy * g->stride[H] - pad_y + t / conv->kernel_columns * conv->row_step;
            int64_t x = ox * g->stride[W] - pad_x + t % conv->kernel_columns * conv->column_step;
            point_tap(job, y, x, run, table + t * c->listed);
        }
        table += run;
        at += run;
        left -= run;
    }
}

/* The first tiles of a panel bring a part each of the next panel's weights from far; weights that
 * all stay in the L2 cache are there already, and the later tiles ask for what they have. */
static const uint32_t *weights_ahead(const struct ledge_rows_i8 *rows, int64_t tile, int32_t lanes)
{
    int64_t units = rows->taps * rows->units; /* each brings 16 */
    int64_t panel = units * rows->vectors * lanes;
    int64_t at = tile * units * 16;
    return rows->vectors > 2 && at < panel ? rows->w + panel + at : rows->w;
}

static void put(const struct ledge_conv_i8 *conv, int32_t sum, int64_t position, void *y,
                int64_t at)
{
    const float *scale = conv->epilogue.scale;
    if (conv->out == LEDGE_I32) {
        ((int32_t *)y)[at] = sum;
    } else if (conv->out == LEDGE_F32) {
        ((float *)y)[at] = ledge_clamp_f32((float)sum * scale[position], conv->clamp);
    } else {
        ((uint8_t *)y)[at] = (uint8_t)ledge_requant(sum, scale[position], conv->range);
    }
}

/* What finish does, for other outputs: rows are pixels from number pixel on, channels those from
 * number channel on. */
static void store_single(const struct ledge_results_i8 *to, const struct ledge_finish_i8 *f,
                         int64_t pixel, int64_t channel)
{
    const struct ledge_conv_i8 *conv = to->conv;
    const int64_t pixels = ledge_volume(conv->g.out);
    const int32_t width = f->vectors * conv->isa->lanes;
    int64_t step = conv->out_planes ? 1 : conv->g.out_channels;
    for (int32_t p = 0; p < width; p++) {
        int64_t c = ledge_i8_channel_at(conv->isa, f->vectors, p);
        int64_t at = conv->out_planes ? (channel + c) * pixels + pixel
                                      : pixel * conv->g.out_channels + channel + c;
        for (int32_t r = 0; r < f->rows && c < f->n; r++) {
            uint32_t less = f->less != NULL ? (uint32_t)f->less[r] : 0;
            int32_t sum = (int32_t)((uint32_t)f->sums[r * width + p] - less);
            put(conv, sum, f->at + p, to->y, at + r * step);
        }
    }
}

/* A sum that is done in QLinearAdd's own steps. */
static void add_apart(const struct ledge_conv_i8 *conv, const struct ledge_finish_i8 *f)
{
    enum { ROWS = 16 };
    const int32_t width = f->vectors * conv->isa->lanes;
    uint8_t own[ROWS * LEDGE_I8_VECTORS * 16];
    for (int32_t r = 0; r < f->rows; r += ROWS) {
        struct ledge_finish_i8 some = *f;
        some.rows = f->rows - r < ROWS ? f->rows - r : ROWS;
        some.sums = f->sums + r * width;
        some.less = f->less != NULL ? f->less + r : NULL;
        some.y = own;
        some.ldy = f->n;
        some.table = NULL;
        conv->isa->finish(&some);
        bool dense = f->n == f->ldy;
        int64_t n = dense ? some.rows * f->n : f->n;
        for (int32_t i = 0; i < (dense ? 1 : some.rows); i++) {
            const int64_t at = (r + i) * f->ldy;
            conv->isa->binary(&conv->sum.binary, own + i * n, f->addend + at, n, f->y + at);
        }
    }
}

void ledge_conv_i8_look_up(const struct ledge_results_i8 *to, uint8_t *y, int64_t rows, int64_t n)
{
    if (LEDGE_HAS(LEDGE_KERNEL_lookup) && to->table != NULL && !to->looks_up) {
        to->conv->isa->lookup(to->table, y, y, rows, n, to->conv->ldy);
    }
}

/* Is the sum with an addend made in QLinearAdd's own steps? */
static bool adds_apart(const struct ledge_conv_i8 *conv)
{
    return LEDGE_HAS(LEDGE_KERNEL_sum_i8) && conv->addend > 0 && !conv->sum_agrees;
}

struct ledge_results_i8 ledge_conv_i8_results(const struct ledge_kernel_call *call)
{
    const struct ledge_conv_i8 *conv = call->params;
    return (struct ledge_results_i8){.conv = conv,
                                     .looks_up = ledge_i8_looks_up(conv->isa) && !adds_apart(conv),
                                     .table = conv->table > 0 ? call->in[conv->table]->data : NULL,
                                     .addend =
                                         conv->addend > 0 ? call->in[conv->addend]->data : NULL};
}

void ledge_conv_i8_next(struct ledge_results_i8 *to, enum ledge_dtype dtype)
{
    int64_t n = ledge_volume(to->conv->g.out) * to->conv->ldy;
    to->y += n * (int64_t)ledge_dtype_size(dtype);
    if (to->addend != NULL) {
        to->addend += n;
    }
}

/* What ledge_conv_i8_finish() does, but for the table. */
static void store_rows(const struct ledge_results_i8 *to, struct ledge_finish_i8 *f, int64_t pixel,
                       int64_t channel)
{
    const struct ledge_conv_i8 *conv = to->conv;
    if (conv->single) {
        store_single(to, f, pixel, channel);
        return;
    }
    f->y = to->y + (pixel - to->first) * f->ldy + channel;
    f->addend = to->addend != NULL ? to->addend + pixel * f->ldy + channel : NULL;
    f->sum = f->addend != NULL && conv->sum_agrees ? &conv->sum : NULL;
    if (adds_apart(conv)) {
        add_apart(conv, f);
    } else {
        f->table = to->looks_up ? to->table : NULL;
        conv->isa->finish(f);
    }
}

void ledge_conv_i8_finish(const struct ledge_results_i8 *to, struct ledge_finish_i8 *f,
                          int64_t pixel, int64_t channel)
{
    store_rows(to, f, pixel, channel);
    ledge_conv_i8_look_up(to, f->y, f->rows, f->n);
}

static struct chunk chunk_in(const struct ledge_conv_i8 *conv, uint8_t *scratch)
{
    struct chunk c = {.table = (const uint8_t **)(void *)scratch};
    scratch += align((size_t)(conv->chunk * conv->taps) * sizeof(uint8_t *));
    c.row_sums = (int32_t *)(void *)scratch;
    c.patch = scratch + align((size_t)conv->chunk * sizeof(int32_t));
    if (conv->bytes) {
        c.turned = c.patch + (conv->patch ? conv->patch_bytes : 0);
        c.sums = (int32_t *)(void *)(c.turned + turned_bytes(conv));
    }
    return c;
}

static struct ledge_bytes_i8 bytes_of(const struct ledge_conv_i8 *conv, const struct chunk *c)
{
    return (struct ledge_bytes_i8){.x = c->table,
                                   .taps = conv->taps,
                                   .units = conv->units,
                                   .rows = c->n,
                                   .flip = conv->flip,
                                   .block = conv->block,
                                   .parts = conv->parts,
                                   .part_units = conv->part_units,
                                   .turned = c->turned,
                                   .room = conv->room,
                                   .sums = c->sums};
}

/* run_panel() where bytes is the way. */
static void run_bytes(const struct job *job, const struct chunk *c,
                      const struct ledge_rows_i8 *rows, struct ledge_finish_i8 *finish)
{
    const struct ledge_conv_i8 *conv = job->conv;
    struct ledge_bytes_i8 bytes = bytes_of(conv, c);
    bytes.offset = rows->offset;
    bytes.starts = ledge_conv_i8_starts(conv, job->call->packed) + finish->at * conv->parts;
    bytes.steps = ledge_conv_i8_steps(conv, job->call->packed);
    bytes.vectors = rows->vectors;
    finish->sums = c->sums;
    finish->rows = (int32_t)c->n;
    if (LEDGE_HAS(LEDGE_KERNEL_bytes_real) && !conv->single && job->to.addend == NULL &&
        conv->epilogue.scale != NULL && conv->epilogue.narrow) {
        bytes.finish = finish;
        finish->y = job->to.y + (c->at - job->to.first) * finish->ldy + finish->at;
        conv->isa->bytes(&bytes);
        return;
    }
    conv->isa->bytes(&bytes);
    store_rows(&job->to, finish, c->at, finish->at);
}

/* One panel of channels for a chunk of pixels, but for the table. */
static void run_panel(const struct job *job, int64_t group, int64_t panel, const struct chunk *c)
{
    const struct ledge_conv_i8 *conv = job->conv;
    const int32_t lanes = conv->isa->lanes;
    _Alignas(64) int32_t sums[BATCH * 16];
    int64_t out = conv->g.out_channels / conv->g.groups;
    int64_t first = ledge_conv_i8_panel_at(conv, panel);
    int64_t position = group * conv->position + first * lanes;
    struct ledge_rows_i8 rows = {
        .pitch = c->pitch,
        .taps = conv->taps,
        .units = conv->units,
        .w = (const uint32_t *)job->call->packed + (size_t)group * conv->group_units +
             first * lanes * conv->taps * conv->units,
        .offset = conv->epilogue.offset + position,
        .zeros = conv->zeros != NULL && !conv->one_zero ? conv->zeros + position : NULL,
        .vectors = (int32_t)(ledge_conv_i8_panel_at(conv, panel + 1) - first)};
    int64_t left = out - first * lanes;
    struct ledge_finish_i8 finish = {.epilogue = &conv->epilogue,
                                     .at = position,
                                     .sums = sums,
                                     .vectors = rows.vectors,
                                     .ldy = conv->ldy};
    finish.n = (int32_t)(left < rows.vectors * lanes ? left : rows.vectors * lanes);
    if (conv->bytes) {
        run_bytes(job, c, &rows, &finish);
        return;
    }
    const int32_t most = conv->isa->rows_max[rows.vectors];
    const int64_t before = job->by_panel ? c->at / most : 0; /* tiles of this panel */
    int64_t row = ledge_conv_i8_tiles_finish(conv) ? c->n - (int32_t)c->n % most : 0;
    if (row > 0) {
        rows.rows = (int32_t)row;
        rows.x = c->table;
        rows.ahead = weights_ahead(&rows, before, lanes);
        rows.finish = &finish;
        finish.y = job->to.y + (c->at - job->to.first) * finish.ldy + group * out + first * lanes;
        conv->isa->rows(&rows);
        rows.finish = NULL;
    }
    for (int64_t tile = before; row < c->n; tile++) {
        rows.rows = (int32_t)(c->n - row < most ? c->n - row : most);
        rows.x = c->table + row;
        rows.row_sums = c->row_sums + row;
        rows.ahead = weights_ahead(&rows, tile, lanes);
        rows.sums = sums + (int64_t)finish.rows * rows.vectors * lanes;
        conv->isa->rows(&rows);
        row += rows.rows;
        finish.rows += rows.rows;
        if (row == c->n || (finish.rows + most) * rows.vectors > BATCH) {
            int64_t begin = row - finish.rows;
            finish.less = conv->one_zero ? c->row_sums + begin : NULL;
            store_rows(&job->to, &finish, c->at + begin, group * out + first * lanes);
            finish.rows = 0;
        }
    }
}

/* Where weights have zero points: sums of activations, times the one there is. */
static void sum_rows(const struct ledge_conv_i8 *conv, const struct chunk *c)
{
    if (conv->zeros != NULL) {
        conv->isa->row_sums(c->table, c->n, conv->taps, conv->tap_bytes, c->row_sums);
        for (int64_t i = 0; i < c->n && conv->one_zero; i++) {
            c->row_sums[i] = (int32_t)((uint32_t)c->row_sums[i] * (uint32_t)conv->zeros[0]);
        }
    }
}

/* Panels p0 .. p1 - 1 of a chunk whose table is filled. All bytes go through a table at once: those
 * that are on their way to the cache would be waited for, and long rows take the least time. */
static void run_panels(const struct job *job, const struct chunk *c, int64_t group, int64_t p0,
                       int64_t p1)
{
    const struct ledge_conv_i8 *conv = job->conv;
    const int64_t lanes = conv->isa->lanes, out = conv->g.out_channels / conv->g.groups;
    sum_rows(conv, c);
    for (int64_t panel = p0; panel < p1; panel++) {
        run_panel(job, group, panel, c);
    }
    const int64_t first = ledge_conv_i8_panel_at(conv, p0) * lanes;
    const int64_t end = ledge_conv_i8_panel_at(conv, p1) * lanes;
    ledge_conv_i8_look_up(&job->to,
                          job->to.y + (c->at - job->to.first) * conv->ldy + group * out + first,
                          c->n, (end < out ? end : out) - first);
}

/* Where a pixel's window is that of the pixel above, one tap on, a tap's list lies within that of
 * the tap before; sums of activations and bytes want all of them. */
static void lay_out_lists(const struct ledge_conv_i8 *conv, struct chunk *c)
{
    const int64_t width = conv->g.out[W];
    bool within = conv->kernel_columns == 1 && conv->row_step == conv->g.stride[H] &&
                  width <= c->n && conv->zeros == NULL && !conv->bytes;
    c->pitch = within ? width : c->n;
    c->lists = within ? 1 : conv->taps;
    c->listed = c->n + (within ? (conv->taps - 1) * width : 0);
}

/* Pixels `at` .. at + n - 1 of a group, panels p0 .. p1 - 1; of strips a row. */
static void run_chunk(const struct job *job, int64_t at, int64_t n, int64_t group, int64_t p0,
                      int64_t p1, uint8_t *scratch)
{
    const struct ledge_conv_i8 *conv = job->conv;
    if (LEDGE_STRIPS && conv->strips) {
        const int64_t y = at / conv->g.out[W] * conv->g.stride[H] - job->top;
        const uint8_t *row = job->source + y * conv->columns * conv->pixel_bytes;
        ledge_conv_i8_strips(job->call, &job->to, row, at, p0, p1, (int32_t *)(void *)scratch);
        return;
    }
    struct chunk c = chunk_in(conv, scratch);
    c.at = at;
    c.n = n;
    lay_out_lists(conv, &c);
    if (conv->patch) {
        fill_rows(job, &c);
    } else {
        fill_table(job, &c);
    }
    for (int64_t i = 0; i < c.lists * c.listed && group > 0; i++) {
        c.table[i] += group * conv->group_bytes;
    }
    if (conv->bytes) {
        struct ledge_bytes_i8 bytes = bytes_of(conv, &c);
        conv->isa->turn(&bytes, c.turned);
    }
    run_panels(job, &c, group, p0, p1);
}

/* Pixels at .. end - 1 of a group, panels p0 .. p1 - 1. */
static void run_chunks(const struct job *job, int64_t at, int64_t end, int64_t group, int64_t p0,
                       int64_t p1, uint8_t *scratch)
{
    for (int64_t some; at < end; at += some) {
        some = end - at < job->conv->chunk ? end - at : job->conv->chunk;
        run_chunk(job, at, some, group, p0, p1, scratch);
    }
}

/* Those of the grains that follow each other are done together: chunks of one part of the panels,
 * or parts of one chunk, or, of one group, whole rows of them. */
static void one_span(void *arg, int32_t first, int32_t last, int32_t worker)
{
    const struct job *job = arg;
    const struct ledge_conv_i8 *conv = job->conv;
    const int64_t groups = conv->g.groups, minors = job->by_panel ? job->chunks : job->parts;
    for (int64_t i = first, n; i < last; i += n) {
        int64_t major = i / minors, minor = i % minors, majors = 1;
        n = minors - minor < last - i ? minors - minor : last - i;
        if (n == minors && groups == 1) {
            majors = (last - i) / minors;
            n *= majors;
        }
        int64_t group = job->by_panel ? major / job->parts : major % groups;
        int64_t chunk = job->by_panel ? minor : major / groups;
        int64_t part = job->by_panel ? major % job->parts : minor;
        int64_t end = chunk + (job->by_panel ? n / majors : majors);
        int64_t to = part + (job->by_panel ? majors : n / majors);
        run_chunks(job, chunk * job->chunk, end < job->chunks ? end * job->chunk : job->pixels,
                   group, part * conv->panels / job->parts, to * conv->panels / job->parts,
                   job->scratch + (size_t)worker * conv->worker_bytes);
    }
}

/* Panels that are odd in number, and one chunk: the middle one is divided at pixel job->half. */
static void split_span(void *arg, int32_t first, int32_t last, int32_t worker)
{
    const struct job *job = arg;
    uint8_t *scratch = job->scratch + (size_t)worker * job->conv->worker_bytes;
    for (int64_t i = first; i < last;) {
        const struct ledge_panels_i8 p = ledge_conv_i8_panels(i, last - i, job->conv->panels / 2);
        run_chunks(job, p.behind ? job->half : 0, p.before ? job->half : job->pixels, 0, p.first,
                   p.last, scratch);
        i += p.grains;
    }
}

/* Pixels of the first half of a panel in whole tiles; 0: it is not divided. */
static int64_t half_panel(const struct job *job)
{
    const struct ledge_conv_i8 *conv = job->conv;
    const int64_t tile = conv->isa->rows_max[conv->least_vectors];
    bool odd = conv->panels % 2 == 1 && job->parts == conv->panels && job->chunks == 1;
    return odd && conv->g.groups == 1 && !conv->bytes && !conv->strips && job->pixels >= 2 * tile
               ? (job->pixels / tile + 1) / 2 * tile
               : 0;
}

/* Of chunks that threads share: as few as threads in short layers, where beginning one costs more
 * than waiting for a slower thread; whole tiles. */
static int64_t shared_pixels(const struct job *job, int64_t weights)
{
    const struct ledge_conv_i8 *conv = job->conv;
    if (conv->strips || conv->bytes) {
        return conv->strips ? conv->chunk : block_pixels(conv);
    }
    const int64_t tile = conv->isa->rows_max[conv->least_vectors];
    int64_t share = job->pixels / ledge_pool_threads(job->call->pool) / tile * tile;
    return weights < SHORT_LAYER / job->pixels && share > CHUNK_STEP ? share : CHUNK_STEP;
}

/* Threads share the panels of weights where these are many and more than the pictures, else chunks
 * of pixels; so many grains that they end together, whole tiles of pixels each. */
static void divide(struct job *job)
{
    const struct ledge_conv_i8 *conv = job->conv;
    const struct ledge_geometry *g = &conv->g;
    const int64_t wanted = GRAINS_OF_A_THREAD * (int64_t)ledge_pool_threads(job->call->pool);
    int64_t weights = g->in_channels / g->groups * g->out_channels * ledge_volume(g->kernel);
    int64_t panels = conv->panels * g->groups, step = job->pixels;
    job->by_panel = false;
    job->parts = 1;
    if (job->call->pool != NULL) {
        job->by_panel =
            weights > ledge_volume(g->in) * g->in_channels + job->pixels * g->out_channels &&
            6 * panels >= wanted;
        step = shared_pixels(job, weights);
        step *= ceil_div(job->pixels, MOST_CHUNKS * step);
    }
    job->chunk = step;
    job->chunks = job->pixels < 2 * step ? 1 : job->pixels / step;
    if (job->call->pool != NULL) {
        job->parts = job->by_panel ? conv->panels : ceil_div(wanted, job->chunks * g->groups);
        job->parts = job->parts < conv->panels ? job->parts : conv->panels;
        job->half = half_panel(job);
    }
}

static struct job job_of(const struct ledge_kernel_call *call)
{
    const struct ledge_conv_i8 *conv = call->params;
    return (struct job){.conv = conv,
                        .call = call,
                        .padding = (const uint8_t *)call->packed + conv->padding_at,
                        .to = ledge_conv_i8_results(call),
                        .pixels = ledge_volume(conv->g.out)};
}

bool ledge_conv_i8_is_flat(const struct ledge_conv_i8 *conv)
{
    const struct ledge_geometry *g = &conv->g;
    return g->batch == 1 && g->in[H] == 1 && g->in[W] == g->out[W] && ledge_volume(g->kernel) == 1;
}

/* Rows of the padded picture under so many rows of outputs. */
static int64_t rows_under(const struct ledge_geometry *g, int64_t rows)
{
    return (rows - 1) * g->stride[H] + (g->kernel[H] - 1) * g->dilation[H] + 1;
}

size_t ledge_conv_i8_part_scratch(const struct ledge_conv_i8 *conv, int64_t rows, int64_t width)
{
    int64_t pixels =
        ledge_conv_i8_is_flat(conv) ? rows * width : rows_under(&conv->g, rows) * conv->columns;
    return conv->worker_bytes + (conv->copy ? align((size_t)(pixels * conv->pixel_bytes)) : 0);
}

void ledge_conv_i8_part(const struct ledge_kernel_call *call, const uint8_t *x, int64_t at,
                        int64_t n, int64_t p0, int64_t p1, uint8_t *y, uint8_t *scratch)
{
    const struct ledge_conv_i8 *conv = call->params;
    const struct ledge_geometry *g = &conv->g;
    struct job job = job_of(call);
    job.x = job.source = x;
    job.to.y = y;
    job.copy = scratch + conv->worker_bytes;
    bool flat = ledge_conv_i8_is_flat(conv);
    job.to.first = at;
    job.left = flat ? at : 0;
    if (conv->copy) {
        job.source = job.copy;
        if (flat) {
            copy_pixels(&job, x, n, job.copy);
        } else {
            int64_t rows = (at + n - 1) / g->out[W] - at / g->out[W] + 1;
            job.top = at / g->out[W] * g->stride[H];
            for (int64_t i = 0; i < rows_under(g, rows); i++) {
                copy_row(&job, (int32_t)(job.top + i), 0);
            }
        }
    }
    run_chunks(&job, at, at + n, 0, p0, p1, scratch);
}

/* A fully connected layer's only row, read where it lies: there is nothing to divide. */
static bool is_single_row(const struct ledge_conv_i8 *conv)
{
    return conv->g.out[W] == 1 && conv->g.groups == 1 && !conv->copy && conv->edges == 0 &&
           ledge_conv_i8_is_flat(conv);
}

/* What run_panel() works out for each panel is the same for all of them but for where they are. */
static void run_single_row(const struct ledge_kernel_call *call)
{
    const struct ledge_conv_i8 *conv = call->params;
    struct ledge_results_i8 to = ledge_conv_i8_results(call);
    const int64_t lanes = conv->isa->lanes, units = conv->taps * conv->units;
    _Alignas(64) int32_t sums[LEDGE_I8_VECTORS * 16];
    const uint8_t *x = call->in[conv->input]->data;
    int32_t row_sum;
    const struct chunk chunk = {.n = 1, .table = &x, .row_sums = &row_sum};
    struct ledge_rows_i8 rows = {.x = chunk.table,
                                 .pitch = 1,
                                 .taps = conv->taps,
                                 .units = conv->units,
                                 .w = call->packed,
                                 .row_sums = &row_sum,
                                 .rows = 1,
                                 .sums = sums};
    struct ledge_finish_i8 finish = {.epilogue = &conv->epilogue,
                                     .sums = sums,
                                     .less = conv->one_zero ? &row_sum : NULL,
                                     .rows = 1,
                                     .ldy = conv->ldy};
    to.y = call->out[0]->data;
    sum_rows(conv, &chunk);
    for (int64_t panel = 0, at = 0; panel < conv->panels; panel++) {
        const int64_t end = ledge_conv_i8_panel_at(conv, panel + 1) * lanes;
        const int64_t left = conv->g.out_channels - at, n = end - at;
        rows.vectors = finish.vectors = (int32_t)(n / lanes);
        rows.offset = conv->epilogue.offset + at;
        rows.zeros = conv->zeros != NULL && !conv->one_zero ? conv->zeros + at : NULL;
        rows.ahead = weights_ahead(&rows, 0, (int32_t)lanes);
        conv->isa->rows(&rows);
        finish.at = at;
        finish.n = (int32_t)(left < n ? left : n);
        ledge_conv_i8_finish(&to, &finish, 0, at);
        rows.w += n * units;
        at = end;
    }
}

enum ledge_status ledge_conv_i8(const struct ledge_kernel_call *call)
{
    const struct ledge_conv_i8 *conv = call->params;
    const struct ledge_geometry *g = &conv->g;
    LEDGE_TRY(ledge_conv_i8_check(conv, call->err));
    if (LEDGE_HAS(LEDGE_KERNEL_winograd_i8) && conv->winograd) {
        ledge_winograd_i8(call);
        return LEDGE_OK;
    }
    if (call->pool == NULL && is_single_row(conv)) {
        run_single_row(call);
        return LEDGE_OK;
    }
    struct job job = job_of(call);
    job.x = call->in[conv->input]->data;
    job.to.y = call->out[0]->data;
    job.copy = call->scratch;
    job.scratch = (uint8_t *)call->scratch + conv->copy_bytes;
    divide(&job);
    int64_t tasks = job.chunks * g->groups * job.parts + (job.half > 0);
    for (int64_t n = 0; n < g->batch; n++) {
        job.source = job.x;
        if (conv->copy) {
            job.source = job.copy;
            ledge_pool_run(call->pool, (int32_t)conv->rows, copy_row, &job);
        }
        ledge_pool_spans(call->pool, (int32_t)tasks, job.half > 0 ? split_span : one_span, &job);
        job.x += ledge_volume(g->in) * g->in_channels;
        ledge_conv_i8_next(&job.to, call->out[0]->dtype);
    }
    return LEDGE_OK;
}
