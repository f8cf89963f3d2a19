/* SPDX-License-Identifier: Apache-2.0 */
/* blocked.tmpl.h -- the loops of blocked.h in terms of `vec` (simd_<isa>.h); included once by each
 * blocked_<isa>.c, which says by TILE_SHAPES(X) what tiles there are, X(pixels, blocks) for each
 * (those of one pixel and of the most for each number of blocks always; others that are missing are
 * put together), by PLANE_SHAPES(X) the same for planar inputs, LEDGE_BLOCKED_PLANAR blocks at
 * most, by TILE_BLOCKS and TILE_MOST the most blocks and the most pixels for each number of blocks,
 * by WHOLE_TILE(pixels, blocks) which tiles are written out, by FROM_MEMORY(pixel) which pixels of
 * a tile its products read themselves, and by NO_NARROW that it has no registers for narrow planes.
 */
#include <math.h>

#include "engine/kernels/blocked.h"
#include "engine/kernels/loop_words.h"

/* -- dense convolution ----------------------------------------------------------------------------
 */

/* Where few pixels share a weight it comes from memory in one long stream, which hardware follows
 * only to the end of a page: it is asked for two pages ahead, 64 steps of a tile. */
enum { AHEAD = 2048, FEW_PIXELS = 4 };

/* In the tiles of most sums, WHOLE_TILE(pixels, blocks) of the rung, STEPS channels stand one after
 * the other: where another process shares the core, instructions count that are not products. They
 * ask together for the pixels, and for one line of the weights, that come next; with 16 lanes each
 * step of two blocks, which are chosen where a few tiles have many weights, asks for a line of its
 * own (0039). More steps gain nothing. */
enum { STEPS = LANES > 8 ? 2 : 4, LINE = 16 };

#ifndef WHOLE_TILE
#define WHOLE_TILE(pixels, blocks) false
#endif

#ifndef FROM_MEMORY
#define FROM_MEMORY(pixel)        false
#define v_gain_at(sum, x, weight) v_gain(sum, v_set1(*(x)), weight)
#endif

/* What is read behind it is not read before it. */
#define APART __asm__ volatile("" : : : "memory")

/* n, unknown to the compiler: the loop that counts by it stays one. */
INLINE int64_t rolled(int64_t n)
{
    __asm__("" : "+r"(n));
    return n;
}

/* Where the loops of a tile are. */
struct place {
    const float *w;
    uintptr_t soon; /* floats from x to the next block's pixels: a line for each step */
    uintptr_t ahead, ahead_step;
    const float *first; /* weights, where `ahead` counts from */
};

/* One channel of all pixels, which are `step` floats apart. */
INLINE void channel(const float *x, const float *w, vec acc[TILE_ROWS][TILE_BLOCKS],
                    const int pixels, const int blocks, const int step)
{
    vec weight[TILE_BLOCKS];
    UNROLL
    for (int v = 0; v < blocks; v++) {
        if (pixels < FEW_PIXELS) {
            v_prefetch(w + v * LANES, AHEAD);
        }
        weight[v] = v_load(w + v * LANES);
    }
    UNROLL
    for (int p = 0; p < pixels; p++) {
        if (FROM_MEMORY(p)) {
            UNROLL
            for (int v = 0; v < blocks; v++) {
                v_gain_at(&acc[p][v], x + p * step, weight[v]);
            }
            continue;
        }
        vec in = v_set1(x[p * step]);
        UNROLL
        for (int v = 0; v < blocks; v++) {
            if (step == LANES && WHOLE_TILE(pixels, blocks)) {
                v_gain(&acc[p][v], in, weight[v]);
            } else {
                acc[p][v] = v_fma(in, weight[v], acc[p][v]);
            }
        }
    }
}

/* All channels of a block at one tap: w goes on behind them. */
INLINE void whole_block(struct place *at, const float *x, vec acc[TILE_ROWS][TILE_BLOCKS],
                        const int pixels, const int blocks)
{
    const float *soon = x + at->soon;
    const int lines = (pixels * STEPS + LINE - 1) / LINE,
              fetches = blocks > 2 || LANES <= 8 ? 1 : STEPS;
    for (int64_t left = rolled(LANES / STEPS); left > 0; left--) {
        UNROLL
        for (int i = 0; i < lines; i++) {
            v_prefetch(soon, (uintptr_t)(i * LINE));
        }
        soon += lines * LINE;
        UNROLL
        for (int i = 0; i < fetches; i++) {
            v_prefetch_far(at->first, at->ahead);
            at->ahead += (uintptr_t)(STEPS / fetches) * at->ahead_step;
        }
        UNROLL
        for (int i = 0; i < STEPS; i++) {
            APART;
            channel(x + i, at->w + i * blocks * LANES, acc, pixels, blocks, LANES);
        }
        x += STEPS;
        at->w += STEPS * blocks * LANES;
    }
}

/* n channels. */
INLINE void channels(struct place *at, const float *x, int64_t n, vec acc[TILE_ROWS][TILE_BLOCKS],
                     const int pixels, const int blocks, const int step)
{
    const float *soon = x + at->soon;
    for (; n > 0; n--, x++) {
        if (step == LANES && !WHOLE_TILE(pixels, blocks)) {
            v_prefetch(soon, 0);
            soon += LANES;
        }
        if (step == LANES) { /* those of a planar input are few */
            v_prefetch_far(at->first, at->ahead);
            at->ahead += at->ahead_step;
        }
        channel(x, at->w, acc, pixels, blocks, step);
        at->w += blocks * LANES;
    }
}

/* Bounds. */
INLINE void finish_tile(const struct ledge_blocked_tile *t, vec acc[TILE_ROWS][TILE_BLOCKS],
                        const int pixels, const int blocks)
{
    vec low = v_set1(t->low), high = v_set1(t->high);
    UNROLL
    for (int v = 0; v < blocks; v++) {
        float *y = t->y + v * t->y_block;
        UNROLL
        for (int p = 0; p < pixels; p++) {
            v_store(y + p * LANES, v_clamp(acc[p][v], low, high));
        }
    }
}

INLINE void tile(const struct ledge_blocked_tile *t, const int pixels, const int blocks,
                 const int step)
{
    vec acc[TILE_ROWS][TILE_BLOCKS];
    const float *x = t->x;
    struct place at = {.w = t->w,
                       .soon = (uintptr_t)t->x_block,
                       .ahead = t->ahead,
                       .ahead_step = t->ahead_step,
                       .first = t->w};
    const float *before = t->begin ? t->add : t->y;
    UNROLL
    for (int v = 0; v < blocks; v++) {
        const float *from = before != NULL ? before + v * t->y_block : NULL;
        vec bias = t->begin && t->bias != NULL ? v_load(t->bias + v * LANES) : v_set1(0);
        UNROLL
        for (int p = 0; p < pixels; p++) {
            acc[p][v] = from != NULL ? v_add(v_load(from + p * LANES), bias) : bias;
        }
    }
    int64_t left = t->channels;
    for (; step == LANES && WHOLE_TILE(pixels, blocks) && left >= LANES; left -= LANES) {
        for (int64_t i = 0; i < t->taps; i++) {
            whole_block(&at, x + t->tap_at[i], acc, pixels, blocks);
        }
        x += t->x_block;
    }
    for (; left > 0; left -= step) {
        for (int64_t i = 0; i < t->taps; i++) {
            channels(&at, x + t->tap_at[i], left < step ? left : step, acc, pixels, blocks, step);
        }
        x += t->x_block;
    }
    finish_tile(t, acc, pixels, blocks);
}

typedef void (*tile_fn)(const struct ledge_blocked_tile *t);

#define TILE(pixels, blocks)                                                                       \
    static void tile_##pixels##_##blocks(const struct ledge_blocked_tile *t)                       \
    {                                                                                              \
        tile(t, pixels, blocks, LANES);                                                            \
    }
#define PLANE(pixels, blocks)                                                                      \
    static void plane_##pixels##_##blocks(const struct ledge_blocked_tile *t)                      \
    {                                                                                              \
        tile(t, pixels, blocks, 1);                                                                \
    }
#define UP_TO_3(X, b)               X(1, b) X(2, b) X(3, b)
#define UP_TO_4(X, b)               UP_TO_3(X, b) X(4, b)
#define UP_TO_6(X, b)               UP_TO_4(X, b) X(5, b) X(6, b)
#define UP_TO_9(X, b)               UP_TO_6(X, b) X(7, b) X(8, b) X(9, b)
#define UP_TO_14(X, b)              UP_TO_9(X, b) X(10, b) X(11, b) X(12, b) X(13, b) X(14, b)
#define TILE_ENTRY(pixels, blocks)  [blocks - 1][pixels - 1][0] = tile_##pixels##_##blocks,
#define PLANE_ENTRY(pixels, blocks) [blocks - 1][pixels - 1][1] = plane_##pixels##_##blocks,

TILE_SHAPES(TILE)
PLANE_SHAPES(PLANE)

/* A tile for which there is no loop: the widest that there are, one after the other. */
static void run_parts(const struct ledge_blocked_tile *t, const tile_fn (*table)[2])
{
    struct ledge_blocked_tile part = *t;
    for (int32_t left = t->pixels; left > 0; left -= part.pixels) {
        part.pixels = left;
        while (table[part.pixels - 1][t->planar ? 1 : 0] == NULL) {
            part.pixels--;
        }
        table[part.pixels - 1][t->planar ? 1 : 0](&part);
        part.x += part.pixels * (t->planar ? 1 : LANES);
        part.y += part.pixels * LANES;
        part.add = part.add != NULL ? part.add + part.pixels * LANES : NULL;
    }
}

static void run_tile(const struct ledge_blocked_tile *t)
{
    static const tile_fn table[TILE_BLOCKS][TILE_ROWS][2] = {TILE_SHAPES(TILE_ENTRY)
                                                                 PLANE_SHAPES(PLANE_ENTRY)};
    const tile_fn run = table[t->blocks - 1][t->pixels - 1][t->planar ? 1 : 0];
    if (run != NULL) {
        run(t);
    } else {
        run_parts(t, table[t->blocks - 1]);
    }
    v_done();
}

/* -- depthwise convolution ------------------------------------------------------------------------
 */

/* n outputs to y, with what is added to them or NULL. Bounds are in registers: a compiler that does
 * not know where y is would read them again behind each store. */
INLINE void finish(vec *sum, const int n, const float *add, vec low, vec high, float *y)
{
    if (add != NULL) {
        UNROLL
        for (int i = 0; i < n; i++) {
            sum[i] = v_add(sum[i], v_load(add + i * LANES));
        }
    }
    UNROLL
    for (int i = 0; i < n; i++) {
        v_store(y + i * LANES, v_clamp(sum[i], low, high));
    }
}

/* Outputs at .. at + n - 1 of a row. */
INLINE void finish_row(const struct ledge_blocked_row *r, int64_t at, vec *sum, const int n)
{
    const float *add = r->add != NULL ? r->add + at * LANES : NULL;
    finish(sum, n, add, v_set1(r->low), v_set1(r->high), r->y + at * LANES);
}

/* Outputs at .. at + n - 1 of a kernel of `width` columns without dilation: each input column is
 * loaded once. Columns off the picture are zero. */
INLINE void sweep(const struct ledge_blocked_row *r, int64_t at, const int n, const int width,
                  const int stride)
{
    const int columns = (n - 1) * stride + width;
    vec acc[ROW_WIDE];
    int64_t x0 = at * stride - r->pad;
    UNROLL
    for (int i = 0; i < n; i++) {
        acc[i] = v_load(r->bias);
    }
    const float *w = r->w;
    for (int64_t ky = 0; ky < r->kernel_h; ky++, w += width * LANES) {
        const float *row = v_base(r->rows[ky] + x0 * LANES);
        vec weight[5];
        UNROLL
        for (int k = 0; k < width; k++) {
            weight[k] = v_load(w + k * LANES);
        }
        UNROLL
        for (int j = 0; j < columns; j++) {
            /* only the outermost can lie off the picture: run_rows() */
            bool off =
                (j < width / 2 && x0 + j < 0) || (j >= columns - width / 2 && x0 + j >= r->in);
            vec in = v_keep(off ? v_set1(0) : v_load(row + j * LANES));
            UNROLL
            for (int k = 0; k < width; k++) {
                if ((j - k) % stride == 0 && j - k >= 0 && (j - k) / stride < n) {
                    acc[(j - k) / stride] = v_fma(in, weight[k], acc[(j - k) / stride]);
                }
            }
        }
    }
    finish_row(r, at, acc, n);
}

/* Any window, one output. */
static void one_output(const struct ledge_blocked_row *r, int64_t at)
{
    vec acc = v_load(r->bias);
    for (int64_t ky = 0; ky < r->kernel_h; ky++) {
        for (int64_t kx = 0; kx < r->kernel_w; kx++) {
            int64_t x = at * r->stride - r->pad + kx * r->dilation;
            if (x >= 0 && x < r->in) {
                vec w = v_load(r->w + (ky * r->kernel_w + kx) * LANES);
                acc = v_fma(v_load(r->rows[ky] + x * LANES), w, acc);
            }
        }
    }
    finish_row(r, at, &acc, 1);
}

/* Any window that lies on the picture, several outputs. */
static void some_outputs(const struct ledge_blocked_row *r, int64_t at)
{
    vec acc[ROW_WIDE];
    UNROLL
    for (int i = 0; i < ROW_WIDE; i++) {
        acc[i] = v_load(r->bias);
    }
    int64_t step = r->stride * LANES;
    for (int64_t ky = 0; ky < r->kernel_h; ky++) {
        for (int64_t kx = 0; kx < r->kernel_w; kx++) {
            int64_t x = at * r->stride - r->pad + kx * r->dilation;
            vec w = v_load(r->w + (ky * r->kernel_w + kx) * LANES);
            const float *in = r->rows[ky] + x * LANES;
            UNROLL
            for (int i = 0; i < ROW_WIDE; i++) {
                acc[i] = v_fma(v_load(in + i * step), w, acc[i]);
            }
        }
    }
    finish_row(r, at, acc, ROW_WIDE);
}

static void any_row(const struct ledge_blocked_row *r)
{
    int64_t reach = (r->kernel_w - 1) * r->dilation;
    for (int64_t at = 0; at < r->out;) {
        int64_t first = at * r->stride - r->pad;
        int64_t last = first + (ROW_WIDE - 1) * r->stride + reach;
        if (first >= 0 && last < r->in && at + ROW_WIDE <= r->out) {
            some_outputs(r, at);
            at += ROW_WIDE;
        } else {
            one_output(r, at);
            at++;
        }
    }
}

/* The last outputs are done again where the row is no multiple of a sweep. */
INLINE void sweep_row(const struct ledge_blocked_row *r, const int width, const int stride)
{
    int64_t at = 0;
    for (; r->out - at >= ROW_WIDE; at += ROW_WIDE) {
        sweep(r, at, ROW_WIDE, width, stride);
    }
    for (; at < r->out && r->out >= ROW_NARROW; at += ROW_NARROW) {
        at = at + ROW_NARROW > r->out ? r->out - ROW_NARROW : at;
        sweep(r, at, ROW_NARROW, width, stride);
    }
    for (; at < r->out; at++) {
        one_output(r, at);
    }
}

static void row_3_1(const struct ledge_blocked_row *r)
{
    sweep_row(r, 3, 1);
}

static void row_3_2(const struct ledge_blocked_row *r)
{
    sweep_row(r, 3, 2);
}

#ifndef NO_ROWS_OF_5
static void row_5_1(const struct ledge_blocked_row *r)
{
    sweep_row(r, 5, 1);
}

static void row_5_2(const struct ledge_blocked_row *r)
{
    sweep_row(r, 5, 2);
}
#else
#define row_5_1 any_row
#define row_5_2 any_row
#endif

static void run_rows(const struct ledge_blocked_row *r, int64_t n, int64_t step)
{
    int64_t behind = (r->out - 1) * r->stride - r->pad + r->kernel_w - r->in;
    int64_t most = r->dilation == 1 && r->stride <= 2 ? r->kernel_w / 2 : -1;
    void (*run)(const struct ledge_blocked_row *r) = any_row;
    struct ledge_blocked_row row = *r;
    if (r->pad <= most && behind <= most && r->kernel_w == 3) {
        run = r->stride == 1 ? row_3_1 : row_3_2;
    } else if (r->pad <= most && behind <= most && r->kernel_w == 5) {
        run = r->stride == 1 ? row_5_1 : row_5_2;
    }
    for (int64_t i = 0; i < n; i++) {
        int64_t at = i * r->out * LANES;
        row.rows = r->rows + i * step;
        row.y = r->y + at;
        row.add = r->add != NULL ? r->add + at : NULL;
        run(&row);
    }
    v_done();
}

#ifdef NO_NARROW
#define run_narrow NULL
#else
/* Rows as narrow as this end before a sweep has begun: all columns of a row are kept in registers,
 * with the edges known beforehand (stride 2: nearly), and the weights from row to row. */
INLINE void narrow(const struct ledge_blocked_narrow *p, const int width, const int stride)
{
    vec weight[9], bias = v_load(p->bias), low = v_set1(p->low), high = v_set1(p->high);
    const int side = stride == 1 ? 1 : 0; /* taps that can lie off the picture are left out */
    int64_t pad = stride == 1 ? 0 : p->pad[1];
    UNROLL
    for (int k = 0; k < 9; k++) {
        weight[k] = v_load(p->w + k * LANES);
    }
    for (int64_t row = p->from; row < p->to; row++) {
        vec acc[LEDGE_BLOCKED_NARROW];
        UNROLL
        for (int i = 0; i < width; i++) {
            acc[i] = bias;
        }
        UNROLL
        for (int ky = 0; ky < 3; ky++) {
            int64_t at = row * stride + ky - p->pad[0];
            bool on = at >= 0 && at < p->in[0];
            const float *x = v_base((on ? p->x + at * p->in[1] * LANES : p->zeros) - pad * LANES);
            UNROLL
            for (int j = side; j < (width - 1) * stride + 3 - side; j++) {
                bool outer = stride == 2 && (j == 0 || j == 2 * width);
                bool off = outer && (j < pad || j - pad >= p->in[1]);
                vec in = v_keep(off ? v_set1(0) : v_load(x + (j - side) * LANES));
                UNROLL
                for (int k = 0; k < 3; k++) {
                    if ((j - k) % stride == 0 && j - k >= 0 && (j - k) / stride < width) {
                        acc[(j - k) / stride] =
                            v_fma(in, weight[3 * ky + k], acc[(j - k) / stride]);
                    }
                }
            }
        }
        int64_t first = row * width * LANES;
        finish(acc, width, p->add != NULL ? p->add + first : NULL, low, high, p->y + first);
    }
}

#define NARROW_WIDTHS(X) X(3) X(4) X(5) X(6) X(7)
#define NARROW(width)                                                                              \
    static void narrow_##width##_1(const struct ledge_blocked_narrow *p)                           \
    {                                                                                              \
        narrow(p, width, 1);                                                                       \
    }                                                                                              \
    static void narrow_##width##_2(const struct ledge_blocked_narrow *p)                           \
    {                                                                                              \
        narrow(p, width, 2);                                                                       \
    }
#define NARROW_ENTRY(width) {narrow_##width##_1, narrow_##width##_2},

NARROW_WIDTHS(NARROW)

static void run_narrow(const struct ledge_blocked_narrow *p)
{
    static void (*const table[][2])(const struct ledge_blocked_narrow *p) = {
        NARROW_WIDTHS(NARROW_ENTRY)};
    table[p->width - LEDGE_BLOCKED_NARROWEST][p->stride - 1](p);
    v_done();
}
#endif

/* -- Winograd -------------------------------------------------------------------------------------
 */

#define POINT_A 0.70710678118654752f /* the points are 0, +-a, +-b and infinity; a b = 1 */
#define POINT_B 1.41421356237309505f

/* Six numbers -> their six points. */
INLINE void wino_points(const vec *d, vec *to)
{
    vec u = v_fma(d[2], v_set1(-2.0f), d[4]);
    vec v = v_fma(d[1], v_set1(-2.0f), d[3]);
    vec w = v_fma(d[2], v_set1(-0.5f), d[4]);
    vec z = v_fma(d[1], v_set1(-0.5f), d[3]);
    to[0] = v_fma(d[2], v_set1(-2.5f), v_add(d[0], d[4]));
    to[1] = v_fma(v, v_set1(POINT_A), u);
    to[2] = v_fma(v, v_set1(-POINT_A), u);
    to[3] = v_fma(z, v_set1(POINT_B), w);
    to[4] = v_fma(z, v_set1(-POINT_B), w);
    to[5] = v_fma(d[3], v_set1(-2.5f), v_add(d[1], d[5]));
}

static void run_wino_in(const struct ledge_blocked_wino_in *in)
{
    for (int64_t t = 0; t < in->n; t++) {
        int64_t from = in->from + t * LEDGE_WINOGRAD_OUT;
        float *to = in->to + t * LANES;
        vec half[36], d[6], p[6];
        for (int c = 0; c < 6; c++) {
            bool on = from + c >= 0 && from + c < in->columns;
            UNROLL
            for (int r = 0; r < 6; r++) {
                d[r] = on ? v_load(in->rows[r] + (from + c) * LANES) : v_set1(0);
            }
            wino_points(d, p);
            UNROLL
            for (int r = 0; r < 6; r++) {
                half[6 * r + c] = p[r];
            }
        }
        for (int r = 0; r < 6; r++) {
            wino_points(half + 6 * r, p);
            UNROLL
            for (int c = 0; c < 6; c++) {
                v_store(to + (6 * r + c) * in->step, p[c]);
            }
        }
    }
    v_done();
}

/* Six points -> four outputs. */
INLINE void wino_outputs(const vec *m, vec *to)
{
    vec even1 = v_add(m[1], m[2]), odd1 = v_fma(m[2], v_set1(-1.0f), m[1]);
    vec even2 = v_add(m[3], m[4]), odd2 = v_fma(m[4], v_set1(-1.0f), m[3]);
    to[0] = v_add(m[0], v_add(even1, even2));
    to[1] = v_fma(odd2, v_set1(POINT_B), v_times(odd1, v_set1(POINT_A)));
    to[2] = v_fma(even2, v_set1(2.0f), v_times(even1, v_set1(0.5f)));
    to[3] = v_fma(odd2, v_set1(2 * POINT_B), v_fma(odd1, v_set1(0.5f * POINT_A), m[5]));
}

static void run_wino_out(const struct ledge_blocked_wino_out *o)
{
    vec bias = v_load(o->bias), low = v_set1(o->low), high = v_set1(o->high);
    for (int64_t t = 0; t < o->n; t++) {
        const float *m = o->m + t * LANES;
        int64_t at = t * LEDGE_WINOGRAD_OUT * LANES, columns = o->columns - t * LEDGE_WINOGRAD_OUT;
        vec half[24], p[6], q[4];
        for (int c = 0; c < 6; c++) {
            UNROLL
            for (int r = 0; r < 6; r++) {
                p[r] = v_load(m + (6 * r + c) * o->step);
            }
            wino_outputs(p, q);
            UNROLL
            for (int r = 0; r < 4; r++) {
                half[6 * r + c] = q[r];
            }
        }
        for (int r = 0; r < o->rows; r++, at += o->pitch) {
            wino_outputs(half + 6 * r, q);
            UNROLL
            for (int c = 0; c < 4; c++) {
                if (c >= columns) {
                    break;
                }
                vec sum = v_add(q[c], bias);
                if (o->add != NULL) {
                    sum = v_add(sum, v_load(o->add + at + c * LANES));
                }
                v_store(o->y + at + c * LANES, v_clamp(sum, low, high));
            }
        }
    }
    v_done();
}

/* -- pooling, moving ------------------------------------------------------------------------------
 */

INLINE vec largest(const struct ledge_blocked_max *m, int64_t from, const int64_t columns)
{
    vec best = v_load(m->x[0] + from * LANES);
    for (int k = 0; k < 2; k++) {
        const float *x = m->x[k] + from * LANES;
        for (int64_t i = 0; i < m->n[k]; i++, x += m->in * LANES) {
            for (int64_t j = 0; j < columns; j++) {
                best = v_larger(v_load(x + j * LANES), best);
            }
        }
    }
    return best;
}

static void run_max(const struct ledge_blocked_max *m)
{
    for (int64_t o = 0; o < m->out; o++) {
        int64_t from = o * m->stride - m->pad, to = from + m->kernel;
        from = from > 0 ? from : 0;
        to = to < m->in ? to : m->in;
        vec best = to - from == 3 ? largest(m, from, 3) : largest(m, from, to - from);
        v_store(m->y + o * LANES, v_clamp(best, v_set1(m->low), v_set1(m->high)));
    }
    v_done();
}

/* Four running sums for each row: the latency of one addition does not bind. */
static void run_sum(const struct ledge_blocked_window *w)
{
    vec sum[4] = {v_set1(0), v_set1(0), v_set1(0), v_set1(0)};
    for (int64_t i = 0; i < w->rows; i++) {
        const float *x = w->x + i * w->row_step;
        int64_t j = 0;
        for (; j + 4 <= w->columns; j += 4) {
            UNROLL
            for (int k = 0; k < 4; k++) {
                sum[k] = v_add(sum[k], v_load(x + (j + k) * w->column_step));
            }
        }
        for (; j < w->columns; j++) {
            sum[0] = v_add(sum[0], v_load(x + j * w->column_step));
        }
    }
    vec all = v_times(v_add(v_add(sum[0], sum[1]), v_add(sum[2], sum[3])), v_set1(w->scale));
    v_store(w->y, v_clamp(all, v_set1(w->low), v_set1(w->high)));
    v_done();
}

/* e^-x, x from -88 to 87 (clamped): 2^n times a polynomial of the rest, |rest| <= ln(2) / 2, with
 * the least largest relative error (3e-9) among those that begin with 1 + rest. It is written in
 * minus the rest, which saves a negation. */
INLINE vec exponential_down(vec x)
{
    x = v_clamp(x, v_set1(-88.0f), v_set1(87.0f));
    const vec magic = v_set1(12582912.0f); /* 1.5 * 2^23: adding it rounds to whole numbers */
    vec n = v_add(v_fma(x, v_set1(-1.44269504f), magic), v_set1(-12582912.0f));
    vec r = v_fma(n, v_set1(0.693359375f), x); /* ln 2 in two parts */
    r = v_fma(n, v_set1(-2.12194440e-4f), r);
    vec p = v_fma(r, v_set1(1.38145986e-3f), v_set1(-8.36871691e-3f));
    p = v_fma(p, r, v_set1(4.16683880e-2f));
    p = v_fma(p, r, v_set1(-0.166665206f));
    p = v_fma(p, r, v_set1(0.499999934f));
    p = v_fma(p, r, v_set1(-1.0f));
    p = v_fma(p, r, v_set1(1.0f));
    return v_scale(p, n);
}

INLINE vec sigmoid(vec x, vec numerator)
{
    return v_over(numerator, v_add(exponential_down(x), v_set1(1.0f)));
}

static void run_activate(const struct ledge_blocked_activation *a, const float *x, int64_t n,
                         float *y)
{
    vec alpha = v_set1(a->alpha), beta = v_set1(a->beta);
    vec zero = v_set1(0), one = v_set1(1.0f);
#define EACH_VECTOR(expression)                                                                    \
    for (int64_t i = 0; i < n * LANES; i += LANES) {                                               \
        vec v = v_load(x + i);                                                                     \
        v_store(y + i, (expression));                                                              \
    }                                                                                              \
    break
    switch (a->function) {
    case LEDGE_BLOCKED_HARD_SIGMOID:
        EACH_VECTOR(v_clamp(v_fma(v, alpha, beta), zero, one));
    case LEDGE_BLOCKED_HARD_SWISH:
        EACH_VECTOR(v_times(v, v_clamp(v_fma(v, v_set1(1.0f / 6), v_set1(0.5f)), zero, one)));
    case LEDGE_BLOCKED_SIGMOID:
        EACH_VECTOR(sigmoid(v, one));
    case LEDGE_BLOCKED_SWISH:
        EACH_VECTOR(sigmoid(v, v));
    case LEDGE_BLOCKED_LEAKY:
        EACH_VECTOR(v_fma(alpha, v_clamp(v, v_set1(-INFINITY), zero), v_larger(zero, v)));
    case LEDGE_BLOCKED_NONE:
        break;
    }
#undef EACH_VECTOR
    v_done();
}

static void run_gate(const float *x, const float *gate, int64_t n, float *y)
{
    vec g = v_load(gate);
    for (int64_t i = 0; i < n * LANES; i += LANES) {
        v_store(y + i, v_times(v_load(x + i), g));
    }
    v_done();
}

static void run_mix(const struct ledge_blocked_mix *m)
{
    for (int64_t p = 0; p < m->pixels * LANES; p += LANES) {
        vec v = v_set1(0);
        for (int64_t k = 0; k < m->n; k++) {
            v = v_pick(v, v_load(m->from[k] + p), m->index + k * LANES);
        }
        v_store(m->y + p, v);
    }
    v_done();
}

static void run_gather(const float *from, int64_t step, int64_t n, float *to)
{
    for (int64_t i = 0; i < n; i++) {
        v_store(to + i * LANES, v_load(from + i * step));
    }
    v_done();
}

/* Floats. A picture is in no near cache, and of its rows every other one is read at first: what
 * follows a row in memory is wanted a little later. */
enum { PICTURE_AHEAD = 512 };

static void run_every(const float *from, int64_t step, int64_t n, float *to)
{
    int64_t i = 0;
    for (; step == 1 && i + LANES <= n; i += LANES) {
        v_store(to + i, v_load(from + i));
    }
    for (; step == 2 && i + LANES < n; i += LANES) { /* reads one float more than it takes */
        v_prefetch(from + 2 * i, PICTURE_AHEAD);
        v_prefetch(from + 2 * i, PICTURE_AHEAD + LINE);
        v_store(to + i, v_even(v_load(from + 2 * i), v_load(from + 2 * i + LANES)));
    }
    int32_t left = (int32_t)(n - i);
    if (step == 1 && left > 0) {
        v_store_first(to + i, left, v_load_lanes(from + i, 0, left));
        v_done();
        return;
    }
    if (step == 2 && left > 0) {
        int32_t last = 2 * left - 1, more = last > LANES ? last - LANES : 0;
        vec a = v_load_lanes(from + 2 * i, 0, last - more);
        vec b = more > 0 ? v_load_lanes(from + 2 * i + LANES, 0, more) : v_set1(0);
        v_store_first(to + i, left, v_even(a, b));
        v_done();
        return;
    }
    for (; i < n; i++) {
        to[i] = from[i * step];
    }
    v_done();
}

#define BLOCKED_KERNELS(isa, its_f32, its_rung)                                                    \
    const struct ledge_blocked_kernels ledge_blocked_##isa = {                                     \
        .rung = (its_rung),                                                                        \
        .block = LANES,                                                                            \
        .f32 = &ledge_f32_##its_f32,                                                               \
        .blocks = TILE_BLOCKS,                                                                     \
        .pixels = TILE_MOST,                                                                       \
        .tile = run_tile,                                                                          \
        .rows = run_rows,                                                                          \
        .narrow = run_narrow,                                                                      \
        .max = run_max,                                                                            \
        .sum = run_sum,                                                                            \
        .gather = run_gather,                                                                      \
        .every = run_every,                                                                        \
        .mix = run_mix,                                                                            \
        .wino_in = run_wino_in,                                                                    \
        .wino_out = run_wino_out,                                                                  \
        .winograd = "winograd_blocked_" #isa,                                                      \
        .activate = run_activate,                                                                  \
        .gate = run_gate,                                                                          \
        .activation = "activation_blocked_" #isa,                                                  \
        .gathering = "gather_blocked_" #isa,                                                       \
        .conv = "conv_blocked_" #isa,                                                              \
        .conv_bf16 = "conv_blocked_bf16_" #isa,                                                    \
        .depthwise = "depthwise_blocked_" #isa,                                                    \
        .bands = "bands_blocked_" #isa,                                                            \
        .pool = "pool_blocked_" #isa}
