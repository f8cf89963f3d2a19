/* SPDX-License-Identifier: Apache-2.0 */
/* f32.tmpl.h -- the f32 loops in terms of `vec` (simd_<isa>.h); included once by each f32_<isa>.c.
 *
 * The tile is instantiated for every number of rows, so that all its accumulators are registers and
 * every address is one pointer plus a constant. FEW_LOOPS: what is seldom run, or on few machines,
 * has fewer shapes of the loops beside the tiles.
 */
#include "engine/kernels/f32.h"
#include "engine/kernels/loop_words.h"

#ifdef FEW_LOOPS
enum { VECTOR_PANELS = 2, PLANE_VECTORS = 1 };
#else
enum { VECTOR_PANELS = 4, PLANE_VECTORS = 4 };
#endif
enum { NR = 2 * LANES, BAND = 16 };

/* Sums of a tile to the output, one by one: unrolled in each tile this would be most of the
 * library, and it is a small part of the time. */
static void finish(const struct ledge_tile_f32 *t, const float *sums, int vectors)
{
    const vec low = v_set1(t->low);
    const vec high = v_set1(t->high);
    for (int v = 0; v < vectors; v++) {
        int32_t n = t->cols - v * LANES;
        bool whole = n >= LANES;
        vec bias = v_set1(0);
        if (t->first && t->col_bias != NULL) {
            const float *from = t->col_bias + v * LANES;
            bias = whole ? v_load(from) : v_load_lanes(from, 0, n);
        }
        for (int32_t r = 0; r < t->rows; r++) {
            float *c = t->c + r * t->ldc + v * LANES;
            vec more = bias;
            if (!t->first) {
                more = whole ? v_load(c) : v_load_lanes(c, 0, n);
            } else if (t->row_bias != NULL) {
                more = v_add(v_set1(t->row_bias[r]), bias);
            }
            vec sum = v_add(v_load(sums + (r * vectors + v) * LANES), more);
            sum = t->last ? v_clamp(sum, low, high) : sum;
            if (whole) {
                v_store(c, sum);
            } else {
                v_store_first(c, n, sum);
            }
        }
    }
}

INLINE void tile(const struct ledge_tile_f32 *t, const int rows, const int vectors,
                 const bool k_major)
{
    vec acc[TILE_ROWS][2];
    const float *a = t->a;
    const float *b = t->b;
    UNROLL
    for (int r = 0; r < rows; r++) {
        UNROLL
        for (int v = 0; v < vectors; v++) {
            acc[r][v] = v_set1(0);
        }
    }
    for (int64_t k = 0; k < t->k; k++) {
        vec column[2];
        UNROLL
        for (int v = 0; v < vectors; v++) {
            column[v] = v_load(b + v * LANES);
        }
        UNROLL
        for (int r = 0; r < rows; r++) {
            vec x = v_set1(k_major ? a[r] : a[r * LEDGE_F32_KC]);
            UNROLL
            for (int v = 0; v < vectors; v++) {
                acc[r][v] = v_fma(x, column[v], acc[r][v]);
            }
        }
        a += k_major ? rows : 1;
        b += NR;
    }
    float sums[TILE_ROWS * NR];
    UNROLL
    for (int r = 0; r < rows; r++) {
        UNROLL
        for (int v = 0; v < vectors; v++) {
            v_store(sums + (r * vectors + v) * LANES, acc[r][v]);
        }
    }
    finish(t, sums, vectors);
}

typedef void (*tile_fn)(const struct ledge_tile_f32 *t);

#define TILES(rows)                                                                                \
    static void tile_##rows##_1_k(const struct ledge_tile_f32 *t)                                  \
    {                                                                                              \
        tile(t, rows, 1, true);                                                                    \
    }                                                                                              \
    static void tile_##rows##_2_k(const struct ledge_tile_f32 *t)                                  \
    {                                                                                              \
        tile(t, rows, 2, true);                                                                    \
    }                                                                                              \
    static void tile_##rows##_1_r(const struct ledge_tile_f32 *t)                                  \
    {                                                                                              \
        tile(t, rows, 1, false);                                                                   \
    }                                                                                              \
    static void tile_##rows##_2_r(const struct ledge_tile_f32 *t)                                  \
    {                                                                                              \
        tile(t, rows, 2, false);                                                                   \
    }
#define ROW_COUNTS_4(X)  X(1) X(2) X(3) X(4)
#define ROW_COUNTS_6(X)  ROW_COUNTS_4(X) X(5) X(6)
#define ROW_COUNTS_14(X) ROW_COUNTS_6(X) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14)
#define ENTRY(rows)                                                                                \
    {{tile_##rows##_1_k, tile_##rows##_2_k}, {tile_##rows##_1_r, tile_##rows##_2_r}},

ROW_COUNTS(TILES)

static void run_tile(const struct ledge_tile_f32 *t)
{
    static const tile_fn table[TILE_ROWS][2][2] = {ROW_COUNTS(ENTRY)};
    table[t->rows - 1][t->k_major ? 0 : 1][t->cols > LANES ? 1 : 0](t);
    v_done();
}

/* n vectors from column `at` on, one by one as in finish(): the last one perhaps partial. */
static void finish_vectors(const struct ledge_vector_f32 *t, int64_t at, const float *sums, int n)
{
    for (; n > 0; n--, at += LANES, sums += LANES) {
        int32_t lanes = t->n - at < LANES ? (int32_t)(t->n - at) : LANES;
        vec bias = t->bias != NULL ? v_load_first(t->bias + at, lanes) : v_set1(0);
        vec sum = v_clamp(v_add(v_load(sums), bias), v_set1(t->low), v_set1(t->high));
        if (lanes < LANES) {
            v_store_first(t->y + at, lanes, sum);
        } else {
            v_store(t->y + at, sum);
        }
    }
}

/* `panels` panels of two vectors from panel p on, or one of one vector. */
INLINE void vector_panels(const struct ledge_vector_f32 *t, int64_t p, const int panels,
                          const int vectors)
{
    vec acc[VECTOR_PANELS][2];
    int64_t step = vectors == 1 && t->half ? LANES : NR;
    UNROLL
    for (int i = 0; i < panels; i++) {
        UNROLL
        for (int v = 0; v < vectors; v++) {
            acc[i][v] = v_set1(0);
        }
    }
    for (int64_t k0 = 0; k0 < t->k; k0 += t->deep) {
        int64_t kc = t->k - k0 < t->deep ? t->k - k0 : t->deep;
        const float *x = t->x + k0;
        const float *w = t->w + (k0 * t->panels + p * kc) * NR;
        for (int64_t k = 0; k < kc; k++) {
            vec in = v_set1(x[k]);
            UNROLL
            for (int i = 0; i < panels; i++) {
                UNROLL
                for (int v = 0; v < vectors; v++) {
                    acc[i][v] = v_fma(in, v_load(w + i * kc * NR + v * LANES), acc[i][v]);
                }
            }
            w += step;
        }
    }
    vec low = v_set1(t->low), high = v_set1(t->high);
    bool plain = t->bias != NULL && t->n - p * NR >= panels * vectors * LANES;
    float sums[VECTOR_PANELS * NR];
    UNROLL
    for (int i = 0; i < panels; i++) {
        UNROLL
        for (int v = 0; v < vectors; v++) {
            int64_t at = p * NR + (i * vectors + v) * LANES;
            if (plain) {
                v_store(t->y + at, v_clamp(v_add(acc[i][v], v_load(t->bias + at)), low, high));
            } else {
                v_store(sums + (i * vectors + v) * LANES, acc[i][v]);
            }
        }
    }
    if (!plain) {
        finish_vectors(t, p * NR, sums, panels * vectors);
    }
}

static void run_vector(const struct ledge_vector_f32 *t)
{
    int64_t whole = (t->n + LANES - 1) / NR; /* panels with a second vector */
    int64_t end = t->last < whole ? t->last : whole;
    int64_t p = t->first;
    for (; p + VECTOR_PANELS <= end; p += VECTOR_PANELS) {
        vector_panels(t, p, VECTOR_PANELS, 2);
    }
    for (; VECTOR_PANELS > 2 && p + 2 <= end; p += 2) {
        vector_panels(t, p, 2, 2);
    }
    for (; p < end; p++) {
        vector_panels(t, p, 1, 2);
    }
    for (; p < t->last; p++) {
        vector_panels(t, p, 1, 1);
    }
    v_done();
}

/* Most vectors are one span: a plain load. Lanes are moved as bits: the integer kernels use it,
 * too. */
static void run_columns(const struct ledge_columns_f32 *c)
{
    int64_t tap = c->first_k % c->taps;
    const float *channel = c->src + c->first_k / c->taps * c->channel_stride;
    float *to = c->panel;
    for (int64_t k = 0; k < c->k; k++) {
        const float *src = channel + c->tap_at[tap];
        const struct ledge_span *span = c->spans;
        for (int v = 0; v < 2; v++) {
            vec x = v_set1(0);
            for (int32_t i = 0; i < c->n_spans[v]; i++, span++) {
                if (span->from == 0 && span->to == LANES) {
                    x = v_load(src + span->offset);
                } else {
                    x = v_or(x, v_load_lanes(src + span->offset, span->from, span->to));
                }
            }
            v_store(to + v * LANES, x);
        }
        to += NR;
        if (++tap == c->taps) {
            tap = 0;
            channel += c->channel_stride;
        }
    }
    v_done();
}

/* Lanes of the vector at elements at .. at + LANES - 1 that lie in a row of `width`. */
struct part {
    int32_t from, to;
};

INLINE struct part part_of(int64_t at, int64_t width)
{
    int64_t from = at < 0 ? -at : 0;
    int64_t to = width - at < LANES ? width - at : LANES;
    from = from < LANES ? from : LANES;
    to = to > from ? to : from;
    return (struct part){.from = (int32_t)from, .to = (int32_t)to};
}

INLINE vec load_part(const float *p, struct part part)
{
    return part.from == 0 && part.to == LANES ? v_load(p) : v_load_lanes(p, part.from, part.to);
}

/* One vector of every row of a phase that lies on the picture: elements c .. c + LANES - 1, of
 * which element 0 is row[at]. */
INLINE void spread_rows(const struct ledge_spread *s, const float *row, int64_t at, int64_t rows,
                        float *to)
{
    int64_t step = s->stride[0] * s->in[1];
    if (s->stride[1] == 1) {
        struct part part = part_of(at, s->in[1]);
        for (int64_t r = 0; r < rows; r++) {
            v_store(to + r * s->pitch, load_part(row + r * step + at, part));
        }
    } else if (s->stride[1] == 2) {
        struct part low = part_of(at, s->in[1]);
        struct part high = part_of(at + LANES, s->in[1]);
        for (int64_t r = 0; r < rows; r++) {
            const float *from = row + r * step + at;
            v_store(to + r * s->pitch, v_even(load_part(from, low), load_part(from + LANES, high)));
        }
    } else {
        for (int64_t r = 0; r < rows; r++) {
            for (int64_t i = 0; i < LANES; i++) {
                int64_t x = at + i * s->stride[1];
                to[r * s->pitch + i] = x >= 0 && x < s->in[1] ? row[r * step + x] : 0;
            }
        }
    }
}

/* First row r of a phase with r * stride + offset >= 0 */
INLINE int64_t first_row(int64_t offset, int64_t stride)
{
    return offset < 0 ? (-offset + stride - 1) / stride : 0;
}

/* Rows go in bands, so that memory is read about in order; in a band, a vector of columns goes down
 * all rows with one mask. Whole vectors are stored: those of the last columns run over into the
 * next row, so columns go from right to left. */
INLINE void spread_phase(const struct ledge_spread *s, const float *channel, int64_t ph, int64_t pw,
                         float *to)
{
    int64_t offset = ph - s->pad[0];
    int64_t first = first_row(offset, s->stride[0]);
    int64_t last = first_row(offset - s->in[0], s->stride[0]);
    first = first < s->rows ? first : s->rows;
    last = last < s->rows ? last : s->rows;
    for (int64_t r0 = 0; r0 < s->rows;) {
        bool inside = r0 >= first && r0 < last;
        int64_t end = r0 < first ? first : (inside ? last : s->rows);
        int64_t rows = end - r0 < BAND ? end - r0 : BAND;
        const float *row = channel + (inside ? (r0 * s->stride[0] + offset) * s->in[1] : 0);
        for (int64_t c = (s->pitch - 1) / LANES * LANES; c >= 0; c -= LANES) {
            if (inside) {
                spread_rows(s, row, c * s->stride[1] + pw - s->pad[1], rows, to + c);
                continue;
            }
            for (int64_t r = 0; r < rows; r++) {
                v_store(to + r * s->pitch + c, v_set1(0));
            }
        }
        to += rows * s->pitch;
        r0 += rows;
    }
}

static void run_spread(const struct ledge_spread *s, const float *channel, float *to)
{
    for (int64_t ph = 0; ph < s->stride[0]; ph++) {
        for (int64_t pw = 0; pw < s->stride[1]; pw++) {
            if (ledge_spread_uses(s, 0, ph) && ledge_spread_uses(s, 1, pw)) {
                spread_phase(s, channel, ph, pw, to);
                to += s->rows * s->pitch;
            }
        }
    }
    v_done();
}

/* `rows` by `vectors` outputs at a time. The last vector of a row may be partial. */
INLINE void plane_block(const struct ledge_plane_f32 *p, int64_t h, int64_t w, const int rows,
                        const int vectors)
{
    vec acc[4][4];
    const float *src = p->src + h * p->pitch + w;
    int64_t left = p->width - w;
    int32_t tail = left < vectors * LANES ? (int32_t)(left - (vectors - 1) * LANES) : LANES;
    UNROLL
    for (int r = 0; r < rows; r++) {
        UNROLL
        for (int v = 0; v < vectors; v++) {
            acc[r][v] = v_set1(p->bias);
        }
    }
    for (int64_t t = 0; t < p->taps; t++) {
        vec weight = v_set1(p->w[t]);
        const float *at = src + p->tap_at[t];
        UNROLL
        for (int r = 0; r < rows; r++) {
            UNROLL
            for (int v = 0; v < vectors; v++) {
                const float *x = at + r * p->pitch + v * LANES;
                vec in = v == vectors - 1 ? v_load_first(x, tail) : v_load(x);
                acc[r][v] = v_fma(weight, in, acc[r][v]);
            }
        }
    }
    UNROLL
    for (int r = 0; r < rows; r++) {
        UNROLL
        for (int v = 0; v < vectors; v++) {
            float *y = p->y + (h + r) * p->width + w + v * LANES;
            vec out = v_clamp(acc[r][v], v_set1(p->low), v_set1(p->high));
            if (v == vectors - 1 && tail < LANES) {
                v_store_first(y, tail, out);
            } else {
                v_store(y, out);
            }
        }
    }
}

/* 3 x 3 with rows below each other: a loaded vector serves up to three output rows. */
INLINE void plane_block_3x3(const struct ledge_plane_f32 *p, int64_t h, int64_t w, const int rows,
                            const vec weight[9], int32_t n)
{
    vec acc[PLANE_ROWS];
    UNROLL
    for (int r = 0; r < rows; r++) {
        acc[r] = v_set1(p->bias);
    }
    UNROLL
    for (int j = 0; j < 3; j++) {
        const float *src = p->src + h * p->pitch + w + p->tap_at[j];
        UNROLL
        for (int i = 0; i < rows + 2; i++) {
            const float *x = src + i * p->pitch;
            vec in = v_load_first(x, n);
            UNROLL
            for (int t = 0; t < 3; t++) {
                if (i - t >= 0 && i - t < rows) {
                    acc[i - t] = v_fma(weight[3 * t + j], in, acc[i - t]);
                }
            }
        }
    }
    UNROLL
    for (int r = 0; r < rows; r++) {
        float *y = p->y + (h + r) * p->width + w;
        vec out = v_clamp(acc[r], v_set1(p->low), v_set1(p->high));
        if (n < LANES) {
            v_store_first(y, n, out);
        } else {
            v_store(y, out);
        }
    }
}

static void plane_3x3(const struct ledge_plane_f32 *p)
{
    vec weight[9];
    UNROLL
    for (int t = 0; t < 9; t++) {
        weight[t] = v_set1(p->w[t]);
    }
    for (int64_t w = 0; w < p->width; w += LANES) {
        int32_t n = p->width - w < LANES ? (int32_t)(p->width - w) : LANES;
        int64_t h = 0;
        for (; h + PLANE_ROWS <= p->height; h += PLANE_ROWS) {
            plane_block_3x3(p, h, w, PLANE_ROWS, weight, n);
        }
        for (; h + 2 <= p->height; h += 2) {
            plane_block_3x3(p, h, w, 2, weight, n);
        }
        for (; h < p->height; h++) {
            plane_block_3x3(p, h, w, 1, weight, n);
        }
    }
}

/* Columns w .. of all rows, four vectors at a time whatever their shape. */
INLINE void plane_columns(const struct ledge_plane_f32 *p, int64_t w, const int rows,
                          const int vectors)
{
    int64_t h = 0;
    for (; h + rows <= p->height; h += rows) {
        plane_block(p, h, w, rows, vectors);
    }
    for (; rows > 1 && h < p->height; h++) {
        plane_block(p, h, w, 1, vectors);
    }
}

static void run_plane(const struct ledge_plane_f32 *p)
{
    if (p->rows_of_3) {
        plane_3x3(p);
        v_done();
        return;
    }
    for (int64_t w = 0; w < p->width; w += PLANE_VECTORS * LANES) {
        int64_t left = p->width - w;
        if (PLANE_VECTORS == 1 || left <= LANES) {
            plane_columns(p, w, 4, 1);
        } else if (left <= 2 * LANES) {
            plane_columns(p, w, 2, 2);
        } else if (left <= 3 * LANES) {
            plane_columns(p, w, 1, 3);
        } else {
            plane_columns(p, w, 1, 4);
        }
    }
    v_done();
}

INLINE void pixel_block(const struct ledge_pixels_f32 *p, int64_t i, int64_t c, const int pixels,
                        int32_t n)
{
    vec acc[4];
    vec bias = p->bias != NULL ? v_load_lanes(p->bias + c, 0, n) : v_set1(0);
    UNROLL
    for (int q = 0; q < pixels; q++) {
        acc[q] = bias;
    }
    for (int64_t t = 0; t < p->taps; t++) {
        const float *x = p->x + p->tap_at[t] + i * p->x_step + c;
        const float *w = p->w[t] + c;
        vec weight = v_load_first(w, n);
        UNROLL
        for (int q = 0; q < pixels; q++) {
            const float *at = x + q * p->x_step;
            acc[q] = v_fma(weight, v_load_first(at, n), acc[q]);
        }
    }
    UNROLL
    for (int q = 0; q < pixels; q++) {
        float *y = p->y + (i + q) * p->channels + c;
        vec out = v_clamp(acc[q], v_set1(p->low), v_set1(p->high));
        if (n < LANES) {
            v_store_first(y, n, out);
        } else {
            v_store(y, out);
        }
    }
}

static void run_pixels(const struct ledge_pixels_f32 *p)
{
    for (int64_t c = 0; c < p->channels; c += LANES) {
        int32_t n = p->channels - c < LANES ? (int32_t)(p->channels - c) : LANES;
        int64_t i = 0;
        for (; i + 4 <= p->pixels; i += 4) {
            pixel_block(p, i, c, 4, n);
        }
        for (; i < p->pixels; i++) {
            pixel_block(p, i, c, 1, n);
        }
    }
    v_done();
}

#define F32_KERNELS(isa, its_rung)                                                                 \
    const struct ledge_f32_kernels ledge_f32_##isa = {.rung = (its_rung),                          \
                                                      .mr = TILE_ROWS,                             \
                                                      .nr = NR,                                    \
                                                      .lanes = LANES,                              \
                                                      .tile = run_tile,                            \
                                                      .vector = run_vector,                        \
                                                      .columns = run_columns,                      \
                                                      .spread = run_spread,                        \
                                                      .plane = run_plane,                          \
                                                      .pixels = run_pixels,                        \
                                                      .conv = "conv_f32_" #isa,                    \
                                                      .depthwise = "depthwise_f32_" #isa,          \
                                                      .gemm_bf16 = "gemm_bf16_" #isa,              \
                                                      .gemm = "gemm_f32_" #isa}
