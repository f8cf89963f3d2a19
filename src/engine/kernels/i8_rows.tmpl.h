/* SPDX-License-Identifier: Apache-2.0 */
/* i8_rows.tmpl.h -- products of rows reached by pointers and their way to bytes, in terms of
 * `ivec`; part of i8.tmpl.h. Each i8_<isa>.c says beforehand
 *
 *   SUB, TAPS_VECTORS, ROWS_MAX (a list)   as in struct ledge_i8_kernels
 *   ROWS_TABLE(F)     F(vectors, rows) for each pair that has a loop of its own, in rising order
 *   iv_spread(p)      4 bytes in every lane;  iv_sub, iv_mul: modulo 2^32
 *   v_limit(x, low, high)  clamped so that iv_round() and saturation to 16 bits are right
 *   fixed_vec, fixed_load(e, at), iv_fixed(x, &f)   tfl_fixed.h where epilogue.narrow was proved
 *   store_row(y, n, r, vectors, e)   r + zero, clamped, as n bytes
 *   quads(x, at, n, flip, q)         TAPS_VECTORS vectors of units from I8_GROUP taps
 */

INLINE void rows_tile(const struct ledge_rows_i8 *t, const int vectors, const int rows)
{
    ivec acc[LEDGE_I8_ROWS][LEDGE_I8_VECTORS];
    const uint32_t *w = t->w;
    const int64_t bytes = 4 * t->units;
    UNROLL
    for (int v = 0; v < vectors; v++) {
        ivec start = iv_load(t->offset + v * LANES);
        UNROLL
        for (int r = 0; r < rows; r++) {
            acc[r][v] = start;
        }
    }
    for (int64_t tap = 0; tap < t->taps; tap++) {
        const uint8_t *x[LEDGE_I8_ROWS];
        UNROLL
        for (int r = 0; r < rows; r++) {
            x[r] = t->x[r * t->taps + tap] + bytes;
        }
        for (int64_t k = -bytes; k < 0; k += 4) {
            ivec column[LEDGE_I8_VECTORS];
            UNROLL
            for (int v = 0; v < vectors; v++) {
                column[v] = iv_load(w + v * LANES);
            }
            w += vectors * LANES;
            UNROLL
            for (int r = 0; r < rows; r++) {
                ivec quad = iv_spread(x[r] + k);
                UNROLL
                for (int v = 0; v < vectors; v++) {
                    acc[r][v] = iv_dot(acc[r][v], quad, column[v]);
                }
            }
        }
    }
    UNROLL
    for (int r = 0; r < rows; r++) {
        UNROLL
        for (int v = 0; v < vectors; v++) {
            iv_store(t->sums + (r * vectors + v) * LANES, acc[r][v]);
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
#define ROWS_1_6(F, v)            ROWS_1_4(F, v) F(v, 5) F(v, 6)
#define ROWS_1_8(F, v)            ROWS_1_6(F, v) F(v, 7) F(v, 8)
#define ROWS_1_12(F, v)           ROWS_1_8(F, v) F(v, 9) F(v, 10) F(v, 11) F(v, 12)

ROWS_TABLE(ROWS_FUNCTION)

static void run_rows(const struct ledge_rows_i8 *t)
{
    static const rows_fn table[LEDGE_I8_VECTORS + 1][LEDGE_I8_ROWS + 1] = {ROWS_TABLE(ROWS_ENTRY)};
    table[t->vectors][t->rows](t);
    if (t->zeros != NULL) {
        take_zeros(t);
    }
}

/* -- to bytes -- */

INLINE void finish_float(const struct ledge_finish_i8 *f, const int vectors)
{
    const struct ledge_epilogue_i8 *e = f->epilogue;
    vec low = v_set1((float)(e->low - e->zero));
    vec high = v_set1((float)(e->high - e->zero));
    vec scale[LEDGE_I8_VECTORS];
    UNROLL
    for (int v = 0; v < vectors; v++) {
        scale[v] = v_load(e->scale + f->at + v * LANES);
    }
    for (int32_t r = 0; r < f->rows; r++) {
        ivec whole[LEDGE_I8_VECTORS];
        UNROLL
        for (int v = 0; v < vectors; v++) {
            vec x = iv_to_float(iv_load(f->sums + (r * vectors + v) * LANES));
            whole[v] = iv_round(v_limit(v_mul(x, scale[v]), low, high));
        }
        store_row(f->y + r * f->ldy, f->n, whole, vectors, e);
    }
}

INLINE void finish_fixed(const struct ledge_finish_i8 *f, const int vectors)
{
    const struct ledge_epilogue_i8 *e = f->epilogue;
    UNROLL
    for (int v = 0; v < vectors; v++) {
        fixed_vec factor = fixed_load(e, f->at + v * LANES);
        for (int32_t r = 0; r < f->rows; r++) {
            int32_t *sums = f->sums + (r * vectors + v) * LANES;
            iv_store(sums, iv_fixed(iv_load(sums), &factor));
        }
    }
    for (int32_t r = 0; r < f->rows; r++) {
        ivec whole[LEDGE_I8_VECTORS];
        UNROLL
        for (int v = 0; v < vectors; v++) {
            whole[v] = iv_load(f->sums + (r * vectors + v) * LANES);
        }
        store_row(f->y + r * f->ldy, f->n, whole, vectors, e);
    }
}

/* Sums that are too large for the vectors' way: the zero point is added modulo 2^32, as in tfl.h.
 */
static void finish_wide(const struct ledge_finish_i8 *f)
{
    const struct ledge_epilogue_i8 *e = f->epilogue;
    for (int32_t i = 0; i < f->rows * f->vectors * LANES; i++) {
        int64_t p = f->at + i % (f->vectors * LANES);
        int32_t x = ledge_tfl_shift_left(f->sums[i], e->left[p]);
        x = ledge_tfl_shift_right(ledge_tfl_high_mul(x, e->multiplier[p]), e->right[p]);
        x = ledge_tfl_clamp(ledge_tfl_add(x, e->zero - 128), e->low - 128, e->high - 128);
        f->sums[i] = x - (e->zero - 128);
    }
    for (int32_t r = 0; r < f->rows; r++) {
        ivec whole[LEDGE_I8_VECTORS];
        for (int32_t v = 0; v < f->vectors; v++) {
            whole[v] = iv_load(f->sums + (r * f->vectors + v) * LANES);
        }
        store_row(f->y + r * f->ldy, f->n, whole, f->vectors, e);
    }
}

#define FINISH(vectors)                                                                            \
    static void finish_float_##vectors(const struct ledge_finish_i8 *f)                            \
    {                                                                                              \
        finish_float(f, vectors);                                                                  \
    }                                                                                              \
    static void finish_fixed_##vectors(const struct ledge_finish_i8 *f)                            \
    {                                                                                              \
        finish_fixed(f, vectors);                                                                  \
    }
FINISH(1)
FINISH(2)
FINISH(3)
FINISH(4)

static void run_finish(const struct ledge_finish_i8 *f)
{
    static void (*const table[2][LEDGE_I8_VECTORS])(const struct ledge_finish_i8 *) = {
        {finish_float_1, finish_float_2, finish_float_3, finish_float_4},
        {finish_fixed_1, finish_fixed_2, finish_fixed_3, finish_fixed_4}};
    bool fixed = f->epilogue->scale == NULL;
    if (fixed && !f->epilogue->narrow) {
        finish_wide(f);
    } else {
        table[fixed][f->vectors - 1](f);
    }
}

/* -- depthwise -- */

INLINE void taps_block(const struct ledge_taps_i8 *t, const bool whole, const int parts)
{
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

static void run_taps(const struct ledge_taps_i8 *t)
{
    bool whole = t->channels == TAPS_VECTORS * LANES;
    if (whole && t->parts == 1) {
        taps_block(t, true, 1);
    } else if (whole && t->parts == 2) {
        taps_block(t, true, 2);
    } else if (t->parts == 1) {
        taps_block(t, false, 1);
    } else {
        taps_block(t, false, t->parts);
    }
}

static int32_t run_row_sum(const uint8_t *x, int64_t n)
{
    uint32_t sum = 0;
    for (int64_t i = 0; i < n; i++) {
        sum += x[i];
    }
    return (int32_t)sum;
}
