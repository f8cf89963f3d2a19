/* SPDX-License-Identifier: Apache-2.0 */
/* i8_rows.tmpl.h -- products of rows reached by pointers, and depthwise sums, in terms of `ivec`;
 * part of i8.tmpl.h. Each i8_<isa>.c says beforehand
 *
 *   SUB, TAPS_VECTORS, ROWS_MAX (a list)   as in struct ledge_i8_kernels
 *   ROWS_TABLE(F)     F(vectors, rows) for each pair that has a loop of its own, in rising order;
 *                     one row has; other numbers of rows are made of these
 *   FEW_TAPS          no loop for whole blocks of weights beyond i8
 *   ZIPPED, run_zipped(t)   of windows whose columns lie side by side, where PAIRS does not say it
 *   iv_spread(p)      4 bytes in every lane;  iv_sub, iv_mul: modulo 2^32
 *   quads(x, n, flip, q)   TAPS_VECTORS vectors of units from I8_GROUP taps
 *   ROWS_DOT          iv_dot() of tiles, where compilers had better not take that apart
 *   IN_REGISTERS, iv_dot_at(acc, quad, w)   if so many vectors of weights at most are held in
 *                     registers: a product with others where they lie
 *   finish_tile(f, vectors, rows, acc)   sums in registers become bytes; a macro, too, if there is
 */

#ifndef ROWS_DOT
#define ROWS_DOT iv_dot
#endif
#ifndef IN_REGISTERS
#define IN_REGISTERS            LEDGE_I8_VECTORS
#define iv_dot_at(acc, quad, w) ROWS_DOT(acc, quad, iv_load(w))
#endif

/* Against compilers that count otherwise, or hold in registers what the innermost loop does not
 * need: both push pointers out of them, and instructions are what bounds it beside a busy sibling.
 */
#define AS_IT_IS(x)  __asm__("" : "+r"(x))
#define READ_AGAIN() __asm__("" : : : "memory")

#ifdef finish_tile
static const int32_t whole_tile[LEDGE_I8_VECTORS + 1] = {0, ROWS_MAX};
#endif

INLINE void rows_tile(const struct ledge_rows_i8 *t, const int vectors, const int rows)
{
    ivec acc[LEDGE_I8_ROWS][LEDGE_I8_VECTORS];
    const uint32_t *w = t->w;
    const uint32_t *ahead = t->ahead;
    UNROLL
    for (int v = 0; v < vectors; v++) {
        ivec start = iv_load(t->offset + v * LANES);
        UNROLL
        for (int r = 0; r < rows; r++) {
            acc[r][v] = start;
        }
    }
    const uint8_t *const *at = t->x;
    do {
        const uint8_t *x[LEDGE_I8_ROWS];
        int64_t k = -4 * t->units;
        UNROLL
        for (int r = 0; r < rows; r++) {
            x[r] = at[r] - k;
            AS_IT_IS(x[r]);
        }
        do {
            ivec column[LEDGE_I8_VECTORS];
            UNROLL
            for (int v = 0; v < vectors && v < IN_REGISTERS; v++) {
                column[v] = iv_load(w + v * LANES);
            }
            UNROLL
            for (int r = 0; r < rows; r++) {
                ivec quad = iv_spread(x[r] + k);
                UNROLL
                for (int v = 0; v < vectors; v++) {
                    acc[r][v] = v < IN_REGISTERS ? ROWS_DOT(acc[r][v], quad, column[v])
                                                 : iv_dot_at(acc[r][v], quad, w + v * LANES);
                }
            }
            if (vectors > 2 && rows > 1) { /* others have no register left, or no time */
                __builtin_prefetch(ahead, 0, 2);
                ahead += 16;
            }
            if (vectors == 4 && rows == 1) { /* at L2's pace: 16 steps on, often in another page */
                UNROLL
                for (int v = 0; v < vectors; v++) {
                    __builtin_prefetch(w + (16 * vectors + v) * LANES, 0, 3);
                }
            }
            w += vectors * LANES;
            AS_IT_IS(k);
            k += 4;
        } while (k != 0);
        READ_AGAIN();
        at += t->pitch;
    } while (at != t->x + t->taps * t->pitch);
#ifdef finish_tile
    if (rows == whole_tile[vectors] && t->finish != NULL) {
        finish_tile(t->finish, vectors, rows, acc);
        return;
    }
#endif
    int32_t *const sums = t->sums;
    UNROLL
    for (int r = 0; r < rows; r++) {
        UNROLL
        for (int v = 0; v < vectors; v++) {
            iv_store(sums + (r * vectors + v) * LANES, acc[r][v]);
        }
    }
}

/* What zero points of weights take off. */
static void take_zeros(const struct ledge_rows_i8 *t)
{
    for (int32_t v = 0; v < t->vectors; v++) {
        ivec zeros = iv_load(t->zeros + v * LANES);
        for (int32_t r = 0; r < t->rows; r++) {
            int32_t *sums = t->sums + (r * t->vectors + v) * LANES;
            ivec less = iv_mul(zeros, iv_set1((uint32_t)t->row_sums[r]));
            iv_store(sums, iv_sub(iv_load(sums), less));
        }
    }
}

typedef void (*rows_fn)(const struct ledge_rows_i8 *t);

#define ROWS_FUNCTION(vectors, rows)                                                               \
    static void rows_##vectors##_##rows(const struct ledge_rows_i8 *t)                             \
    {                                                                                              \
        rows_tile(t, vectors, rows);                                                               \
    }
#define ROWS_ENTRY(vectors, rows) [vectors][rows] = rows_##vectors##_##rows,
#define ROWS_1_4(F, v)            F(v, 1) F(v, 2) F(v, 3) F(v, 4)
#define ROWS_1_8(F, v)            ROWS_1_4(F, v) F(v, 5) F(v, 6) F(v, 7) F(v, 8)
/* What is left behind whole tiles is made of these. */
#define ROWS_FEW(F, v) F(v, 1) F(v, 2) F(v, 4)

ROWS_TABLE(ROWS_FUNCTION)

static void rows_in_parts(const struct ledge_rows_i8 *t, const rows_fn *of)
{
    struct ledge_rows_i8 part = *t;
    for (int32_t left = t->rows; left > 0; left -= part.rows) {
        for (part.rows = left; of[part.rows] == NULL; part.rows--) {
        }
        of[part.rows](&part);
        part.x += part.rows;
        part.sums += part.rows * t->vectors * LANES;
    }
}

#ifdef finish_tile
/* Tiles of `most` rows that finish by themselves; of the next panel's weights each brings a part.
 */
static void whole_tiles(const struct ledge_rows_i8 *all, rows_fn of, int32_t most)
{
    struct ledge_rows_i8 t = *all;
    struct ledge_finish_i8 finish = *all->finish;
    const int64_t units = t.taps * t.units;
    const uint32_t *const end = t.w + 2 * units * t.vectors * LANES;
    t.finish = &finish;
    t.rows = most;
    for (int32_t left = all->rows; left > 0; left -= most) {
        of(&t);
        t.x += most;
        finish.y += most * finish.ldy;
        t.ahead = t.ahead != t.w && t.ahead + units * 16 < end ? t.ahead + units * 16 : t.w;
    }
}
#endif

static void run_rows(const struct ledge_rows_i8 *t)
{
    static const rows_fn table[LEDGE_I8_VECTORS + 1][LEDGE_I8_ROWS + 1] = {ROWS_TABLE(ROWS_ENTRY)};
    const rows_fn *of = table[t->vectors];
#ifdef finish_tile
    if (t->finish != NULL) {
        whole_tiles(t, of[whole_tile[t->vectors]], whole_tile[t->vectors]);
        v_done();
        return;
    }
#endif
    if (of[t->rows] != NULL) {
        of[t->rows](t);
    } else {
        rows_in_parts(t, of);
    }
    if (t->zeros != NULL) {
        take_zeros(t);
    }
    v_done();
}

/* -- depthwise -- */

#ifdef PAIRS
#include "engine/kernels/i8_pairs.tmpl.h"
#define ZIPPED
#endif
#ifdef ZIPPED
#define HAS_ZIPPED true
#else
#define HAS_ZIPPED false
#endif

INLINE void taps_block(const struct ledge_taps_i8 *params, const bool whole, const int parts)
{
    const struct ledge_taps_i8 own = *params, *const t = &own;
    const int64_t groups = t->taps / I8_GROUP;
    const int32_t n = whole ? TAPS_VECTORS * LANES : t->channels;
    for (int32_t p = 0; p < t->pixels; p++) {
        ivec acc[TAPS_VECTORS];
        UNROLL
        for (int v = 0; v < TAPS_VECTORS; v++) {
            acc[v] = iv_load(t->offset + v * LANES);
        }
        const uint32_t *w = t->w;
        for (int64_t g = 0; g < groups; g++) {
            const uint8_t *x[I8_GROUP];
            ivec q[TAPS_VECTORS];
            UNROLL
            for (int i = 0; i < I8_GROUP; i++) {
                x[i] = t->x[g * I8_GROUP + i] + p * t->step[g * I8_GROUP + i];
            }
            quads(x, n, t->flip, q);
            UNROLL
            for (int part = 0; part < parts; part++) {
                UNROLL
                for (int v = 0; v < TAPS_VECTORS; v++) {
                    const uint32_t *at = w + (part * groups * TAPS_VECTORS + v) * LANES;
                    acc[v] = iv_dot(acc[v], q[v], iv_load(at));
                }
            }
            w += TAPS_VECTORS * LANES;
        }
        UNROLL
        for (int v = 0; v < TAPS_VECTORS; v++) {
            iv_store(t->sums + (p * TAPS_VECTORS + v) * LANES, acc[v]);
        }
    }
}

#ifdef WIDE_COLUMNS
#define HAS_WIDE_COLUMNS true

/* Windows of 5 x 5: all columns become quads first, two units of rows each, then one vector's
 * weights after the other stay in registers. */
FAST static void wide_columns(const struct ledge_taps_i8 *params)
{
    const struct ledge_taps_i8 own = *params, *const t = &own;
    enum { PER_COLUMN = 2, SIDE = 5, MOST = (LEDGE_I8_WIDE_PIXELS - 1) * 4 + SIDE };
    ivec q[MOST][PER_COLUMN * TAPS_VECTORS];
    const int32_t columns = (t->pixels - 1) * t->advance + SIDE;
    for (int32_t c = 0; c < columns; c++) {
        wide_column_quads(t, t->first + c, q[c]);
    }
    for (int v = 0; v < TAPS_VECTORS; v++) {
        ivec w[SIDE * PER_COLUMN];
        UNROLL
        for (int i = 0; i < SIDE * PER_COLUMN; i++) {
            w[i] = iv_load(t->w + (i * TAPS_VECTORS + v) * LANES);
        }
        const ivec start = iv_load(t->offset + v * LANES);
        for (int32_t p = 0; p < t->pixels; p++) {
            ivec acc = start;
            UNROLL
            for (int i = 0; i < SIDE * PER_COLUMN; i++) {
                int at = i % PER_COLUMN * TAPS_VECTORS + v;
                acc = iv_dot(acc, q[p * t->advance + i / PER_COLUMN][at], w[i]);
            }
            iv_store(t->sums + (p * TAPS_VECTORS + v) * LANES, acc);
        }
    }
}
#else
#define HAS_WIDE_COLUMNS false
#endif

static void run_taps(const struct ledge_taps_i8 *t)
{
#ifdef ZIPPED
    if (t->advance > 0) {
        run_zipped(t);
        v_done();
        return;
    }
#endif
#ifdef WIDE_COLUMNS
    if (LEDGE_HAS(LEDGE_KERNEL_taps_5) && t->wide) {
        wide_columns(t);
        v_done();
        return;
    }
#endif
    bool whole = t->channels == TAPS_VECTORS * LANES;
    if (!LEDGE_HAS(LEDGE_KERNEL_taps_any)) { /* prepare refuses what comes here */
        return;
    }
    if (whole && t->parts == 1) {
        taps_block(t, true, 1);
#if I8_GROUP == 4 /* words hold all weights in one part */
#ifndef FEW_TAPS
    } else if (whole && t->parts == 2) {
        taps_block(t, true, 2);
#endif
    } else if (t->parts > 1) {
        taps_block(t, false, t->parts);
#endif
    } else {
        taps_block(t, false, 1);
    }
    v_done();
}
