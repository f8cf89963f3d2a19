/* SPDX-License-Identifier: Apache-2.0 */
/* winograd_i8_avx2.c -- the loops of winograd_i8.h for AVX2: pairs of i16, vpmaddwd.
 *
 * Matrices are those of F(4 x 4, 3 x 3) with points 0, 1, -1, 2, -2, each row of the weights' one
 * times what makes it whole: (1 0 0) (1 1 1) (1 -1 1) (1 2 4) (1 -2 4) (0 0 1). Of weights within a
 * byte 49 * 128 is left at most, of activations 100 * 255: both fit i16, and so do two products
 * i32. What the outputs' matrix lacks then, 1/4 -1/6 -1/6 1/24 1/24 1, is made whole times 24, 12,
 * 6, 6: its rows have no more in common than that. Threads: none. Memory: the caller's. */
#if defined(__x86_64__)
#include "engine/kernels/simd_avx2_int.h"
#include "engine/kernels/winograd_i8.h"

enum { TILE = LEDGE_TILE, WINDOW = LEDGE_TILE_WINDOW, SIDE = 3, CHANNELS = LEDGE_TILE_CHANNELS };

INLINE __m128i load_half(const void *p)
{
    return _mm_loadu_si128(p);
}

INLINE ivec add_words(ivec a, ivec b)
{
    return _mm256_add_epi16(a, b);
}

INLINE ivec sub_words(ivec a, ivec b)
{
    return _mm256_sub_epi16(a, b);
}

INLINE ivec four_times(ivec a)
{
    return _mm256_slli_epi16(a, 2);
}

/* (4 0 -5 0 1 0) (0 -4 -4 1 1 0) (0 4 -4 -1 1 0) (0 -2 -1 2 1 0) (0 2 -1 -2 1 0) (0 4 0 -5 0 1) */
INLINE void input_line(const ivec *d, ivec *to)
{
    const ivec a = sub_words(d[4], four_times(d[2])), b = sub_words(d[3], four_times(d[1]));
    const ivec c = sub_words(d[4], d[2]), f = sub_words(d[3], d[1]), e = add_words(f, f);
    to[0] = add_words(four_times(sub_words(d[0], d[2])), c);
    to[1] = add_words(a, b);
    to[2] = sub_words(a, b);
    to[3] = add_words(c, e);
    to[4] = sub_words(c, e);
    to[5] = sub_words(sub_words(d[5], d[3]), add_words(e, e));
}

typedef void (*line_fn)(const ivec *from, ivec *to);

/* The other side: lines of `half` become rows of places, `step` apart. */
INLINE void second_side(line_fn line, ivec half[WINDOW][WINDOW], int16_t *to, int64_t step)
{
    for (int i = 0; i < WINDOW; i++, to += WINDOW * step) {
        ivec t[WINDOW];
        line(half[i], t);
        UNROLL
        for (int j = 0; j < WINDOW; j++) {
            iv_store(to + j * step, t[j]);
        }
    }
}

static void input(const uint8_t *x, int64_t row, int64_t column, int64_t channels, uint8_t flip,
                  int16_t *to, int64_t step)
{
    const __m128i sign = _mm_set1_epi8((char)flip);
    for (int64_t done = 0; done < channels; done += CHANNELS) {
        /* the last may have been done in part */
        int64_t c = done + CHANNELS <= channels ? done : channels - CHANNELS;
        ivec half[WINDOW][WINDOW];
        for (int j = 0; j < WINDOW; j++) {
            ivec d[WINDOW], t[WINDOW];
            UNROLL
            for (int i = 0; i < WINDOW; i++) {
                __m128i bytes = load_half(x + i * row + j * column + c);
                d[i] = _mm256_cvtepu8_epi16(_mm_xor_si128(bytes, sign));
            }
            input_line(d, t);
            UNROLL
            for (int i = 0; i < WINDOW; i++) {
                half[i][j] = t[i];
            }
        }
        second_side(input_line, half, to + c, step);
    }
    v_done();
}

INLINE void weight_line(const ivec *g, ivec *to)
{
    const ivec sum = add_words(g[0], g[2]), far = add_words(g[0], four_times(g[2]));
    const ivec twice = add_words(g[1], g[1]);
    to[0] = g[0];
    to[1] = add_words(sum, g[1]);
    to[2] = sub_words(sum, g[1]);
    to[3] = add_words(far, twice);
    to[4] = sub_words(far, twice);
    to[5] = g[2];
}

static void weights(const int8_t *packed, int64_t pairs, int16_t *to, int64_t step)
{
    for (int64_t k = 0; k < 2 * pairs; k++, packed += LEDGE_TILE_WEIGHTS / 2, to += CHANNELS) {
        ivec half[WINDOW][WINDOW]; /* SIDE of each are filled */
        UNROLL
        for (int j = 0; j < SIDE; j++) {
            ivec g[SIDE], t[WINDOW];
            UNROLL
            for (int i = 0; i < SIDE; i++) {
                g[i] = _mm256_cvtepi8_epi16(load_half(packed + CHANNELS * (SIDE * i + j)));
            }
            weight_line(g, t);
            UNROLL
            for (int i = 0; i < WINDOW; i++) {
                half[i][j] = t[i];
            }
        }
        second_side(weight_line, half, to, step);
    }
    v_done();
}

/* One place of so many tiles, which lie `step` bytes apart. */
INLINE void product(const char *x, int64_t step, const int16_t *w, int64_t pairs, bool first,
                    int32_t *to, const int tiles)
{
    ivec acc[LEDGE_TILE_ROWS][2];
    UNROLL
    for (int i = 0; i < 2 * tiles; i++) {
        acc[i / 2][i % 2] = first ? _mm256_setzero_si256() : iv_load(to + i * LANES);
    }
    const char *y = x + 3 * step; /* half of them: what addresses can say */
    for (int64_t k = 0; k < pairs; k++, x += 4, y += 4, w += 2 * CHANNELS) {
        const ivec left = iv_load(w), right = iv_load(w + CHANNELS);
        UNROLL
        for (int i = 0; i < tiles; i++) {
            const ivec both = iv_spread((i < 3 ? x : y) + i % 3 * step);
            acc[i][0] = iv_pairs(acc[i][0], both, left);
            acc[i][1] = iv_pairs(acc[i][1], both, right);
        }
    }
    UNROLL
    for (int i = 0; i < 2 * tiles; i++) {
        iv_store(to + i * LANES, acc[i / 2][i % 2]);
    }
}

typedef void (*products_fn)(const struct ledge_tiles_i8 *t);

#define PRODUCTS(tiles)                                                                            \
    static void products_##tiles(const struct ledge_tiles_i8 *t)                                   \
    {                                                                                              \
        for (int place = 0; place < LEDGE_TILE_PLACES; place++) {                                  \
            product((const char *)(t->inputs + place * t->place_step),                             \
                    t->tile_step *(int64_t)sizeof *t->inputs, t->weights + place * t->weight_step, \
                    t->pairs, t->first, t->to + place * t->step, tiles);                           \
        }                                                                                          \
    }
PRODUCTS(2)
PRODUCTS(4)
PRODUCTS(6)

static void products(const struct ledge_tiles_i8 *tiles)
{
    static const products_fn of[LEDGE_TILE_ROWS / 2] = {products_2, products_4, products_6};
    of[tiles->tiles / 2 - 1](tiles);
    v_done();
}

INLINE ivec three_times(ivec a)
{
    return iv_add(iv_add(a, a), a);
}

/* 24 * (1/4 -1/6 -1/6 1/24 1/24 0), 12 * (0 -1/6 1/6 1/12 -1/12 0), 6 * (0 -1/6 -1/6 1/6 1/6 0),
 * 6 * (0 -1/6 1/6 1/3 -1/3 1) */
INLINE void output_line(const ivec *m, ivec *to)
{
    const ivec s = iv_add(m[1], m[2]), d = iv_sub(m[1], m[2]), p = iv_add(m[3], m[4]),
               q = iv_sub(m[3], m[4]);
    const ivec h = iv_sub(three_times(m[0]), iv_add(s, s)), e = iv_add(q, three_times(m[5]));
    to[0] = iv_add(iv_add(h, h), p);
    to[1] = iv_sub(q, iv_add(d, d));
    to[2] = iv_sub(p, s);
    to[3] = iv_sub(iv_add(e, e), d);
}

static void output(const int32_t *products, int64_t step, const int32_t *offset, int32_t *sums,
                   int64_t row_step)
{
    static const int shift[TILE] = {3, 2, 1, 1};      /* of 24, 12, 6, 6, which are 3 times that */
    const ivec ninth = _mm256_set1_epi32(0x38e38e39); /* modulo 2^32 */
    for (int v = 0; v < CHANNELS; v += LANES, sums += LANES) {
        const ivec start = iv_load(offset + v);
        ivec half[TILE][WINDOW];
        for (int j = 0; j < WINDOW; j++) {
            ivec m[WINDOW], t[TILE];
            UNROLL
            for (int i = 0; i < WINDOW; i++) {
                m[i] = iv_load(products + v + (WINDOW * i + j) * step);
            }
            output_line(m, t);
            UNROLL
            for (int i = 0; i < TILE; i++) {
                half[i][j] = t[i];
            }
        }
        for (int i = 0; i < TILE; i++) {
            const ivec row = _mm256_set1_epi32(shift[i]);
            ivec t[TILE];
            output_line(half[i], t);
            UNROLL
            for (int j = 0; j < TILE; j++) {
                ivec sum = iv_mul(t[j], ninth);
                sum = _mm256_srai_epi32(_mm256_srav_epi32(sum, row), shift[j]);
                iv_store(sums + i * row_step + j * CHANNELS, iv_add(sum, start));
            }
        }
    }
    v_done();
}

const struct ledge_winograd_loops_i8 ledge_winograd_i8_avx2 = {.input = input,
                                                               .weights = weights,
                                                               .products = products,
                                                               .output = output,
                                                               .name = "winograd_i8_avx2"};
#else
typedef int ledge_winograd_i8_avx2_empty;
#endif
