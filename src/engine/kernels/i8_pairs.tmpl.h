/* SPDX-License-Identifier: Apache-2.0 */
/* i8_pairs.tmpl.h (template) -- how rungs that multiply pairs of i16 lay bytes side by side.
 *
 * Included by a rung's file, which defines ivec, widen() (n bytes as i16, each xor flip), zip_low()
 * and zip_high() (the i16 of two vectors in turn, low or high half of each part of 128 bits).
 */

/* n channels of two pixels: pairs, low half in q[0]. */
static inline void quads(const uint8_t *const *x, int32_t n, uint8_t flip, ivec *q)
{
    ivec a = widen(x[0], n, flip);
    ivec b = widen(x[1], n, flip);
    q[0] = zip_low(a, b);
    q[1] = zip_high(a, b);
}

/* The column `at` of three rows: pairs of two of them, of the third and 0. */
static inline void column_quads(const struct ledge_taps_i8 *t, int64_t at, ivec *q)
{
    bool inside = at >= 0 && at < t->width;
    ivec row[3], zero = {0};
    for (int i = 0; i < 3; i++) {
        row[i] = widen(inside ? t->x[i] + at * t->side[i] : t->padding, t->channels, t->flip);
    }
    q[0] = zip_low(row[0], row[1]);
    q[1] = zip_high(row[0], row[1]);
    q[2] = zip_low(row[2], zero);
    q[3] = zip_high(row[2], zero);
}
