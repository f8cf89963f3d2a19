/* SPDX-License-Identifier: Apache-2.0 */
/* i8_strips.tmpl.h -- products of windows over rows of planes (struct ledge_strips_i8), in terms of
 * `ivec`; part of i8.tmpl.h, where an i8_<isa>.c with units of four bytes says STRIPS. Units of a
 * pixel lie one row after the other, pixels beside each other: no pointers, and nothing is copied
 * together. The last tile of a row begins where it ends with the row: what two tiles make is the
 * same. */

INLINE void strip_tile(const struct ledge_strips_i8 *s, int64_t at, const int vectors,
                       const int pixels)
{
    enum { NEAR = 3, PLACES = LEDGE_STRIP_PIXELS / NEAR };
    ivec acc[LEDGE_STRIP_PIXELS][LEDGE_I8_VECTORS];
    const uint8_t *x[PLACES]; /* every third pixel: the others are one and two steps on */
    const uint32_t *w = s->w;
    const int64_t step = s->step;
    UNROLL
    for (int v = 0; v < vectors; v++) {
        ivec start = iv_load(s->offset + v * LANES);
        UNROLL
        for (int r = 0; r < pixels; r++) {
            acc[r][v] = start;
        }
    }
    UNROLL
    for (int i = 0; i < pixels / NEAR; i++) {
        x[i] = s->x + (at + NEAR * i) * step;
    }
    for (int64_t u = s->units; u > 0; u--) {
        ivec column[LEDGE_I8_VECTORS];
        UNROLL
        for (int v = 0; v < vectors; v++) {
            column[v] = iv_load(w + v * LANES);
        }
        UNROLL
        for (int r = 0; r < pixels; r++) {
            ivec quad = iv_spread(x[r / NEAR] + r % NEAR * step);
            UNROLL
            for (int v = 0; v < vectors; v++) {
                acc[r][v] = ROWS_DOT(acc[r][v], quad, column[v]);
            }
        }
        UNROLL
        for (int i = 0; i < pixels / NEAR; i++) {
            x[i] += s->pitch;
            AS_IT_IS(x[i]);
        }
        w += vectors * LANES;
    }
#ifdef finish_tile
    if (s->finish != NULL) {
        struct ledge_finish_i8 finish = *s->finish;
        finish.y += at * finish.ldy;
        finish_tile(&finish, vectors, pixels, acc);
        return;
    }
#endif
    UNROLL
    for (int r = 0; r < pixels; r++) {
        UNROLL
        for (int v = 0; v < vectors; v++) {
            iv_store(s->sums + ((at + r) * vectors + v) * LANES, acc[r][v]);
        }
    }
}

INLINE void strip_row(const struct ledge_strips_i8 *s, const int vectors, const int pixels)
{
    int64_t at = -pixels, last = s->n - pixels;
    do {
        at = at + pixels < last ? at + pixels : last;
        strip_tile(s, at, vectors, pixels);
    } while (at < last);
}

static void run_strips(const struct ledge_strips_i8 *s)
{
    if (LEDGE_HAS(LEDGE_KERNEL_strips_1) && s->vectors == 1) {
        strip_row(s, 1, LEDGE_STRIP_PIXELS);
    } else if (LEDGE_HAS(LEDGE_KERNEL_strips_4) && s->vectors == 4) {
        strip_row(s, 4, LEDGE_STRIP_PIXELS / 2);
    } else {
        strip_row(s, 2, LEDGE_STRIP_PIXELS);
    }
    v_done();
}
