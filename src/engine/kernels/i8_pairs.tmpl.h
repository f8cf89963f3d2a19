/* SPDX-License-Identifier: Apache-2.0 */
/* i8_pairs.tmpl.h (template) -- how rungs that multiply pairs of i16 lay bytes side by side.
 *
 * Part of i8_rows.tmpl.h for rungs that say PAIRS and define widen() (n bytes as i16, each xor
 * flip), widen_all() (as many as a vector of i16 holds, as they are), zip_low()
 * and zip_high() (the i16 of two vectors in turn, low or high half of each part of 128 bits).
 */

/* n channels of two pixels: pairs, low half in q[0]. */
INLINE void quads(const uint8_t *const *x, int32_t n, uint8_t flip, ivec *q)
{
    ivec a = widen(x[0], n, flip);
    ivec b = widen(x[1], n, flip);
    q[0] = zip_low(a, b);
    q[1] = zip_high(a, b);
}

/* Windows of 3 x 3 or 5 x 5 whose columns lie side by side. All columns are zipped first: rows by
 * twos, of the last row two neighbouring columns. Then one vector's weights after the other stay in
 * registers. whole: x holds all bytes of a vector of i16, to be read as they are. */
INLINE void zip_columns(const struct ledge_taps_i8 *params, const int side, const bool whole)
{
    const struct ledge_taps_i8 t = *params; /* what is stored might be it */
    const int twos = side / 2, units = side * twos + twos + 1;
    const int32_t columns = (t.pixels - 1) * t.advance + side;
    ivec q[LEDGE_I8_ZIPPED + 1][3][TAPS_VECTORS];
    ivec last = {0};
    const uint8_t *x[5];
    int64_t at[5];
    UNROLL
    for (int i = 0; i < side; i++) {
        x[i] = t.x[i];
        at[i] = t.first * t.side[i];
    }
    for (int32_t c = 0; c < columns; c++) {
        const bool inside = t.first + c >= 0 && t.first + c < t.width;
        ivec row[5];
        UNROLL
        for (int i = 0; i < side; i++) {
            const uint8_t *from = inside ? x[i] + at[i] : t.padding;
            row[i] = whole ? widen_all(from) : widen(from, t.channels, t.flip);
            at[i] += t.side[i];
        }
        UNROLL
        for (int i = 0; i < twos; i++) {
            q[c + 1][i][0] = zip_low(row[2 * i], row[2 * i + 1]);
            q[c + 1][i][1] = zip_high(row[2 * i], row[2 * i + 1]);
        }
        q[c][twos][0] = zip_low(last, row[side - 1]);
        q[c][twos][1] = zip_high(last, row[side - 1]);
        last = row[side - 1];
    }
    q[columns][twos][0] = zip_low(last, last); /* the second one's weight is 0 */
    q[columns][twos][1] = zip_high(last, last);
    for (int v = 0; v < TAPS_VECTORS; v++) {
        ivec w[5 * 2 + 3];
        UNROLL
        for (int i = 0; i < units; i++) {
            w[i] = iv_load(t.w + (i * TAPS_VECTORS + v) * LANES);
        }
        const ivec start = iv_load(t.offset + v * LANES);
        ivec(*from)[3][TAPS_VECTORS] = q + 1;
        int32_t *to = t.sums + v * LANES;
        for (int32_t p = 0; p < t.pixels; p++, from += t.advance, to += TAPS_VECTORS * LANES) {
            ivec acc = start;
            UNROLL
            for (int i = 0; i < side * twos; i++) {
                acc = iv_dot(acc, from[i / twos][i % twos][v], w[i]);
            }
            UNROLL
            for (int i = 0; i <= twos; i++) {
                acc = iv_dot(acc, from[2 * i][twos][v], w[side * twos + i]);
            }
            iv_store(to, acc);
        }
    }
}

static void zipped_3(const struct ledge_taps_i8 *t)
{
    zip_columns(t, 3, false);
}

static void zipped_3_whole(const struct ledge_taps_i8 *t)
{
    zip_columns(t, 3, true);
}

static void zipped_5(const struct ledge_taps_i8 *t)
{
    zip_columns(t, 5, false);
}

static void zipped_5_whole(const struct ledge_taps_i8 *t)
{
    zip_columns(t, 5, true);
}

static void run_zipped(const struct ledge_taps_i8 *t)
{
    bool whole = t->channels == TAPS_VECTORS * LANES && t->flip == 0;
    if (LEDGE_HAS(LEDGE_KERNEL_taps_5) && t->wide) {
        (whole ? zipped_5_whole : zipped_5)(t);
    } else {
        (whole ? zipped_3_whole : zipped_3)(t);
    }
}
