/* SPDX-License-Identifier: Apache-2.0 */
/* bytes_avx2.c -- products of bytes for AVX2, exact: two vpmaddubsw are added as i16 where
 * packing has proved that four products fit; what it had to cut off the weights for that is added
 * from sparse lists (struct ledge_bytes_i8).
 *
 * Lists are worked off with pixels in the lanes: the same two weights serve 32 pixels, on
 * activations turned so that pixels are neighbours. Threads: none. Memory: the caller's. */
#if defined(__x86_64__)
#include <immintrin.h>
#include <string.h>

#include "engine/kernels/i8.h"
#include "engine/kernels/loop_words.h"

enum { LANES = 8, ROWS = 4, BLOCK = 32 };

INLINE __m256i load(const void *p)
{
    return _mm256_loadu_si256(p);
}

INLINE void store(void *p, __m256i v)
{
    _mm256_storeu_si256(p, v);
}

INLINE __m256i spread(const void *p)
{
    int32_t x;
    memcpy(&x, p, sizeof x);
    return _mm256_set1_epi32(x);
}

/* 8 x 8 numbers of 32 bits: row i's element j to row j's element i. */
INLINE void turn_8(__m256i *r)
{
    __m256i pair[8], four[8];
    UNROLL
    for (int i = 0; i < 8; i += 2) {
        pair[i] = _mm256_unpacklo_epi32(r[i], r[i + 1]);
        pair[i + 1] = _mm256_unpackhi_epi32(r[i], r[i + 1]);
    }
    UNROLL
    for (int i = 0; i < 8; i += 4) {
        four[i] = _mm256_unpacklo_epi64(pair[i], pair[i + 2]);
        four[i + 1] = _mm256_unpackhi_epi64(pair[i], pair[i + 2]);
        four[i + 2] = _mm256_unpacklo_epi64(pair[i + 1], pair[i + 3]);
        four[i + 3] = _mm256_unpackhi_epi64(pair[i + 1], pair[i + 3]);
    }
    UNROLL
    for (int i = 0; i < 4; i++) {
        r[i] = _mm256_permute2x128_si256(four[i], four[i + 4], 0x20);
        r[i + 4] = _mm256_permute2x128_si256(four[i], four[i + 4], 0x31);
    }
}

/* A unit of 32 rows, 8 in a vector: four vectors of one byte of each. */
INLINE void part_bytes(const __m256i *from, uint8_t *to)
{
    const __m256i order = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15));
    __m256i x[4];
    UNROLL
    for (int i = 0; i < 4; i++) {
        x[i] = _mm256_shuffle_epi8(from[i * LANES], order);
    }
    __m256i a = _mm256_unpacklo_epi32(x[0], x[1]), b = _mm256_unpacklo_epi32(x[2], x[3]);
    __m256i c = _mm256_unpackhi_epi32(x[0], x[1]), d = _mm256_unpackhi_epi32(x[2], x[3]);
    store(to, _mm256_unpacklo_epi64(a, b));
    store(to + BLOCK, _mm256_unpackhi_epi64(a, b));
    store(to + 2 * BLOCK, _mm256_unpacklo_epi64(c, d));
    store(to + 3 * BLOCK, _mm256_unpackhi_epi64(c, d));
}

/* Eight units of 32 rows. What works within 128 bits wants rows 4j .. 4j + 3 and 16 + 4j .. of them
 * together. */
INLINE void turn_units(const uint8_t *const *x, int64_t u, uint8_t *to)
{
    __m256i r[4][LANES];
    for (int j = 0; j < 4; j++) {
        UNROLL
        for (int i = 0; i < LANES; i++) {
            r[j][i] = load(x[4 * j + i % 4 + i / 4 * 16] + 4 * u);
        }
        turn_8(r[j]);
    }
    for (int i = 0; i < LANES; i++) {
        part_bytes(&r[0][i], to + 4 * (u + i) * BLOCK);
    }
}

/* Rows that are not there are the last one again. */
void ledge_turn_avx2(const struct ledge_bytes_i8 *b, uint8_t *turned)
{
    for (int64_t at = 0; at < b->rows; at += BLOCK) {
        for (int64_t tap = 0; tap < b->taps; tap++) {
            const uint8_t *x[BLOCK];
            for (int64_t i = 0; i < BLOCK; i++) {
                int64_t row = at + i < b->rows ? at + i : b->rows - 1;
                x[i] = b->x[row * b->taps + tap];
            }
            uint8_t *to = turned + (at * b->taps + tap * BLOCK) * b->units * 4;
            for (int64_t u = 0; u < b->units; u += LANES) {
                /* the last eight may have been done in part */
                turn_units(x, u + LANES <= b->units ? u : b->units - LANES, to);
            }
        }
    }
    _mm256_zeroupper();
}

/* A list's products with 32 rows of `turned`, as i16: 0 .. 7 and 16 .. 23, the others. */
INLINE void list_of(const uint8_t *turned, const struct ledge_rest_i8 *rest, __m256i *sums)
{
    UNROLL
    for (int i = 0; i < LEDGE_REST_I8; i += 2) {
        __m256i x = load(turned + (int64_t)rest->k[i] * BLOCK);
        __m256i y = load(turned + (int64_t)rest->k[i + 1] * BLOCK);
        __m256i w = spread(&rest->w[i / 2]);
        __m256i low = _mm256_maddubs_epi16(_mm256_unpacklo_epi8(x, y), w);
        __m256i high = _mm256_maddubs_epi16(_mm256_unpackhi_epi8(x, y), w);
        sums[0] = i == 0 ? low : _mm256_add_epi16(sums[0], low);
        sums[1] = i == 0 ? high : _mm256_add_epi16(sums[1], high);
    }
}

/* Whatever a file says: are all lists of a panel there, and all elements in them? */
static bool are_there(const struct ledge_bytes_i8 *b)
{
    const uint32_t *starts = b->starts;
    const int64_t k = 4 * b->taps * b->units;
    for (int32_t i = 0; i < b->vectors * LANES; i++) {
        if (starts[i] > starts[i + 1] || starts[i + 1] > b->lists) {
            return false;
        }
    }
    __m128i most = _mm_setzero_si128();
    for (uint32_t g = starts[0]; g < starts[b->vectors * LANES]; g++) {
        most = _mm_max_epu16(most, _mm_loadu_si128((const __m128i *)(const void *)b->rest[g].k));
    }
    most = _mm_subs_epu16(most, _mm_set1_epi16((int16_t)(k - 1)));
    return _mm_testz_si128(most, _mm_setr_epi32(-1, -1, -1, 0)) != 0;
}

INLINE void add_lists(const __m256i *left, const __m256i *right, __m256i *acc)
{
    const __m256i ones = _mm256_set1_epi16(1);
    UNROLL
    for (int i = 0; i < 2; i++) {
        __m256i low = _mm256_unpacklo_epi16(left[i], right[i]);
        __m256i high = _mm256_unpackhi_epi16(left[i], right[i]);
        acc[2 * i] = _mm256_add_epi32(acc[2 * i], _mm256_madd_epi16(low, ones));
        acc[2 * i + 1] = _mm256_add_epi32(acc[2 * i + 1], _mm256_madd_epi16(high, ones));
    }
}

/* What a channel's sums over 32 rows begin with, whose elements are `turned`. acc[v] are rows 4v ..
 * 4v + 3 and 16 + 4v .. of them. */
INLINE void rest_of(const struct ledge_rest_i8 *rest, uint32_t count, int32_t offset,
                    const uint8_t *turned, __m256i *acc)
{
    __m256i left[2], right[2];
    UNROLL
    for (int v = 0; v < 4; v++) {
        acc[v] = _mm256_set1_epi32(offset);
    }
    for (uint32_t g = 0; g + 1 < count; g += 2, rest += 2) {
        list_of(turned, rest, left);
        list_of(turned, rest + 1, right);
        add_lists(left, right, acc);
    }
    if (count % 2 != 0) {
        list_of(turned, rest, left);
        right[0] = right[1] = _mm256_setzero_si256();
        add_lists(left, right, acc);
    }
}

static void begin_rows(const struct ledge_bytes_i8 *params, int64_t at, bool lists)
{
    const struct ledge_bytes_i8 own = *params, *const b = &own; /* what is stored might be it */
    const uint8_t *turned = b->turned + at * 4 * b->taps * b->units;
    for (int64_t vector = 0; vector < b->vectors; vector++) {
        __m256i channels[4][LANES];
        for (int c = 0; c < LANES; c++) {
            __m256i acc[4];
            const uint32_t *start = b->starts + vector * LANES + c;
            const uint32_t count = lists ? start[1] - start[0] : 0;
            rest_of(lists ? b->rest + start[0] : b->rest, count, b->offset[vector * LANES + c],
                    turned, acc);
            UNROLL
            for (int v = 0; v < 4; v++) {
                channels[v][c] = acc[v];
            }
        }
        for (int v = 0; v < 4; v++) {
            turn_8(channels[v]);
            UNROLL
            for (int i = 0; i < LANES; i++) {
                int64_t row = at + 4 * v + i % 4 + i / 4 * 16;
                store(b->sums + (row * b->vectors + vector) * LANES, channels[v][i]);
            }
        }
    }
}

INLINE void tile(const struct ledge_bytes_i8 *b, int64_t at, const int vectors, const int rows)
{
    __m256i acc[ROWS][2];
    const __m256i ones = _mm256_set1_epi16(1);
    const uint32_t *w = b->w;
    const int64_t bytes = 4 * b->units;
    int32_t *sums = b->sums + at * vectors * LANES;
    UNROLL
    for (int i = 0; i < rows * vectors; i++) {
        acc[i / vectors][i % vectors] = load(sums + i * LANES);
    }
    for (int64_t tap = 0; tap < b->taps; tap++) {
        const uint8_t *x[ROWS];
        UNROLL
        for (int r = 0; r < rows; r++) {
            x[r] = b->x[(at + r) * b->taps + tap] + bytes;
        }
        for (int64_t k = -bytes; k < 0; k += 8, w += 2 * vectors * LANES) {
            UNROLL
            for (int r = 0; r < rows; r++) {
                __m256i left = spread(x[r] + k), right = spread(x[r] + k + 4);
                UNROLL
                for (int v = 0; v < vectors; v++) {
                    __m256i sum = _mm256_add_epi16(
                        _mm256_maddubs_epi16(left, load(w + v * LANES)),
                        _mm256_maddubs_epi16(right, load(w + (vectors + v) * LANES)));
                    acc[r][v] = _mm256_add_epi32(acc[r][v], _mm256_madd_epi16(sum, ones));
                }
            }
        }
    }
    UNROLL
    for (int i = 0; i < rows * vectors; i++) {
        store(sums + i * LANES, acc[i / vectors][i % vectors]);
    }
}

typedef void (*tile_fn)(const struct ledge_bytes_i8 *b, int64_t at);

#define TILE(vectors, rows)                                                                        \
    static void tile_##vectors##_##rows(const struct ledge_bytes_i8 *b, int64_t at)                \
    {                                                                                              \
        tile(b, at, vectors, rows);                                                                \
    }

TILE(1, 1)
TILE(1, 4)
TILE(2, 1)
TILE(2, 4)

void ledge_bytes_avx2(const struct ledge_bytes_i8 *b)
{
    static const tile_fn tiles[2][2] = {{tile_1_1, tile_1_4}, {tile_2_1, tile_2_4}};
    const bool lists = are_there(b);
    int64_t at = 0;
    for (; at < b->rows; at += BLOCK) {
        begin_rows(b, at, lists);
    }
    for (at = 0; at + ROWS <= b->rows; at += ROWS) {
        tiles[b->vectors - 1][1](b, at);
    }
    for (; at < b->rows; at++) {
        tiles[b->vectors - 1][0](b, at);
    }
    _mm256_zeroupper();
}
#else
typedef int ledge_bytes_avx2_empty;
#endif
