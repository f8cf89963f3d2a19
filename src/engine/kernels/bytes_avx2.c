/* SPDX-License-Identifier: Apache-2.0 */
/* bytes_avx2.c -- products of bytes for AVX2, exact: two vpmaddubsw are added as i16 where
 * packing has proved that four products fit (struct ledge_bytes_i8).
 *
 * Pixels are in the lanes: one channel's weights for two units serve up to 64 pixels, so each
 * channel may pair its units as its weights want it. Activations are turned for that once for all
 * channels; bytes of 16 channels are turned back. Threads: none. Memory: the caller's. */
#if defined(__x86_64__)
#include <string.h>

#include "engine/kernels/i8.h"
#include "engine/kernels/simd_avx2.h"

/* GROUP: vectors of 8 pixels whose bytes fill a vector. */
enum { GROUP = 4, MOST = LEDGE_STEP_PIXELS / LANES, CHANNELS = 2 * LANES, AHEAD = 1024 };

/* Sums of a block of pixels by position, in the order of its lanes: first_pixel(). */
struct sums {
    _Alignas(32) int32_t of[CHANNELS][LEDGE_STEP_PIXELS];
};

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

static int32_t smaller(int64_t a, int64_t b)
{
    return (int32_t)(a < b ? a : b);
}

/* What packs within 128 bits wants the first half of a group's pixels in the low halves of its
 * vectors: low half of vector v of a group of n are pixels 4v .. 4v + 3 of it, high half 4n more.
 */
INLINE void two_rows(__m256i *r)
{
    __m256i pair[4];
    UNROLL
    for (int i = 0; i < 4; i += 2) {
        pair[i] = _mm256_unpacklo_epi32(r[i], r[i + 1]);
        pair[i + 1] = _mm256_unpackhi_epi32(r[i], r[i + 1]);
    }
    r[0] = _mm256_unpacklo_epi64(pair[0], pair[2]);
    r[1] = _mm256_unpackhi_epi64(pair[0], pair[2]);
    r[2] = _mm256_unpacklo_epi64(pair[1], pair[3]);
    r[3] = _mm256_unpackhi_epi64(pair[1], pair[3]);
}

INLINE __m128i load_half(const void *p)
{
    return _mm_loadu_si128(p);
}

/* All units of a tap of 8 pixels, step bytes apart. */
INLINE void turn_tap(const uint8_t *const *x, int64_t units, uint8_t flip, uint8_t *to,
                     int64_t step)
{
    const __m256i sign = _mm256_set1_epi8((char)flip);
    for (int64_t done = 0; done < units; done += 4) {
        int64_t u = done + 4 <= units ? done : units - 4; /* the last may have been done in part */
        __m256i r[4];
        UNROLL
        for (int i = 0; i < 4; i++) {
            __m256i low = _mm256_castsi128_si256(load_half(x[i] + 4 * u));
            r[i] = _mm256_inserti128_si256(low, load_half(x[i + 4] + 4 * u), 1);
        }
        two_rows(r);
        UNROLL
        for (int i = 0; i < 4; i++) {
            store(to + (u + i) * step, _mm256_xor_si256(r[i], sign));
        }
    }
}

/* Rows that are not there are the last one again. */
void ledge_turn_avx2(const struct ledge_bytes_i8 *b, uint8_t *turned)
{
    const int64_t pixels = (int64_t)b->block * LANES, unit = pixels * 4;
    for (int64_t at = 0; at < b->rows; at += pixels, turned += b->parts * b->part_units * unit) {
        const int32_t vectors = smaller((b->rows - at + LANES - 1) / LANES, b->block);
        for (int32_t v = 0; v < vectors; v++) {
            const int32_t first = v / GROUP * GROUP, group = smaller(vectors - first, GROUP);
            for (int64_t tap = 0; tap < b->taps; tap++) {
                const uint8_t *x[LANES];
                for (int32_t i = 0; i < LANES; i++) {
                    int64_t row = at + first * LANES + 4 * (v - first + i / 4 * group) + i % 4;
                    row = row < b->rows ? row : b->rows - 1;
                    x[i] = b->x[row * b->taps + tap];
                }
                turn_tap(x, b->units, b->flip, turned + tap * b->units * unit + v * 32, unit);
            }
        }
    }
    _mm256_zeroupper();
}

/* Whatever a file says: are all steps of a panel there? */
static bool are_there(const struct ledge_bytes_i8 *b)
{
    const int64_t n = b->vectors * LANES * b->parts;
    bool there = b->starts[n] <= b->room;
    for (int64_t i = 0; i < n; i++) {
        there = there && b->starts[i] <= b->starts[i + 1];
    }
    return there;
}

/* One part of all sums of a panel for so many vectors of pixels: x is what their units are. The
 * mask keeps steps within what is turned. */
INLINE void part_of(const struct ledge_bytes_i8 *b, int64_t part, const uint8_t *x,
                    struct sums *sums, const int vectors)
{
    const __m256i ones = _mm256_set1_epi16(1);
    const uint32_t mask = ledge_bytes_mask(b->block, b->part_units) * 0x10001U;
    const struct ledge_step_i8 *steps = b->steps;
    const uint32_t *start = b->starts + part * b->vectors * LANES;
    const int32_t *offset = b->offset, *const end = offset + b->vectors * LANES;
    int32_t *to = sums->of[0];
    for (; offset < end; offset++, start++, to += LEDGE_STEP_PIXELS) {
        const struct ledge_step_i8 *s = steps + start[0], *const stop = steps + start[1];
        __m256i acc[MOST];
        UNROLL
        for (int v = 0; v < vectors; v++) {
            acc[v] = part == 0 ? spread(offset) : load(to + v * LANES);
        }
        for (; s < stop; s++) {
            uint32_t at;
            memcpy(&at, s->at, sizeof at);
            at &= mask;
            __builtin_prefetch((const char *)s + AHEAD);
            const uint8_t *left = x + 8 * (size_t)(at & 0xffff),
                          *right = x + 8 * (size_t)(at >> 16);
            const __m256i w = spread(&s->w[0]), z = spread(&s->w[1]);
            UNROLL
            for (int v = 0; v < vectors; v++) {
                __m256i sum = _mm256_add_epi16(_mm256_maddubs_epi16(load(left + 32 * v), w),
                                               _mm256_maddubs_epi16(load(right + 32 * v), z));
                acc[v] = _mm256_add_epi32(acc[v], _mm256_madd_epi16(sum, ones));
            }
        }
        UNROLL
        for (int v = 0; v < vectors; v++) {
            store(to + v * LANES, acc[v]);
        }
    }
}

typedef void (*part_fn)(const struct ledge_bytes_i8 *b, int64_t part, const uint8_t *x,
                        struct sums *sums);

#define PART(vectors)                                                                              \
    static void part_##vectors(const struct ledge_bytes_i8 *b, int64_t part, const uint8_t *x,     \
                               struct sums *sums)                                                  \
    {                                                                                              \
        part_of(b, part, x, sums, vectors);                                                        \
    }

/* Other numbers of vectors are taken as the next one; what is read then is there, too. */
PART(2)
PART(4)
PART(7)
PART(8)

/* 8 x 8 numbers of 32 bits: row i's element j to row j's element i. */
INLINE void turn_8(__m256i *r)
{
    two_rows(r);
    two_rows(r + 4);
    UNROLL
    for (int i = 0; i < 4; i++) {
        __m256i low = r[i];
        r[i] = _mm256_permute2x128_si256(low, r[i + 4], 0x20);
        r[i + 4] = _mm256_permute2x128_si256(low, r[i + 4], 0x31);
    }
}

/* Sums of a group of pixels as they are, the first one of them row number `row`. */
static void give_sums(const struct ledge_bytes_i8 *b, const int32_t *sums, int32_t group,
                      int64_t row)
{
    for (int32_t vector = 0; vector < b->vectors; vector++) {
        for (int32_t v = 0; v < group; v++) {
            __m256i r[LANES];
            UNROLL
            for (int i = 0; i < LANES; i++) {
                r[i] = load(sums + (vector * LANES + i) * LEDGE_STEP_PIXELS + v * LANES);
            }
            turn_8(r);
            UNROLL
            for (int i = 0; i < LANES; i++) {
                int64_t at = row + 4 * (v + i / 4 * group) + i % 4;
                store(b->sums + (at * b->vectors + vector) * LANES, r[i]);
            }
        }
    }
}

/* How sums become bytes: i8_finish.tmpl.h in this order of lanes. */
struct way {
    __m256 high;
    __m256i zero, low, most, flip;
};

/* A position's sums of a group of pixels. */
INLINE __m256i bytes_of(const struct way *way, const int32_t *sums, int32_t group,
                        const float *scale, const bool plain)
{
    const __m256 by = _mm256_broadcast_ss(scale);
    __m256i whole[GROUP];
    UNROLL
    for (int v = 0; v < GROUP; v++) {
        __m256i sum = load(sums + (v < group ? v : 0) * LANES);
        __m256 x = _mm256_mul_ps(_mm256_cvtepi32_ps(sum), by);
        whole[v] = _mm256_cvtps_epi32(plain ? x : _mm256_min_ps(way->high, x));
    }
    __m256i first = _mm256_packs_epi32(whole[0], whole[1]);
    __m256i second = _mm256_packs_epi32(whole[2], whole[3]);
    if (plain) {
        return _mm256_packus_epi16(first, second);
    }
    first = _mm256_adds_epi16(first, way->zero);
    second = _mm256_adds_epi16(second, way->zero);
    __m256i bytes = _mm256_max_epu8(_mm256_packus_epi16(first, second), way->low);
    return _mm256_xor_si256(_mm256_min_epu8(bytes, way->most), way->flip);
}

/* Sums of a group of pixels as bytes of their channels, the first one of them row number `row`.
 * whole: all of the group are there, and 16 channels; and nothing but saturation is asked for. */
INLINE void give_bytes(const struct ledge_bytes_i8 *b, const int32_t *sums, int32_t group,
                       int64_t row, const bool whole)
{
    const struct ledge_epilogue_i8 *e = b->finish->epilogue;
    const struct way way = {_mm256_set1_ps((float)(e->high - e->zero)),
                            _mm256_set1_epi16((int16_t)e->zero), _mm256_set1_epi8((char)e->low),
                            _mm256_set1_epi8((char)e->high), _mm256_set1_epi8((char)e->flip)};
    const float *scale = e->scale + b->finish->at;
    const int32_t n = whole ? 16 : b->finish->n;
    const int64_t ldy = b->finish->ldy;
    uint8_t *y = b->finish->y + row * ldy;
    const int64_t left = whole ? LEDGE_STEP_PIXELS : b->rows - row;
    const int64_t half = 4 * group * ldy;
    const bool wide = whole || b->vectors > 1;
    __m256i quads[GROUP][4]; /* by four pixels of each half, by four channels */
    for (int32_t q = 0; q < 4; q++) {
        const int32_t p = q % 2 * (wide ? LANES : 4) + q / 2 * (wide ? 4 : 0);
        __m256i bytes[4]; /* of ledge_i8_channel_at() */
        UNROLL
        for (int32_t i = 0; i < 4; i++) {
            bytes[i] =
                bytes_of(&way, sums + (p + i) * LEDGE_STEP_PIXELS, group, scale + p + i, whole);
        }
        __m256i a = _mm256_unpacklo_epi8(bytes[0], bytes[1]);
        __m256i z = _mm256_unpacklo_epi8(bytes[2], bytes[3]);
        quads[0][q] = _mm256_unpacklo_epi16(a, z);
        quads[1][q] = _mm256_unpackhi_epi16(a, z);
        a = _mm256_unpackhi_epi8(bytes[0], bytes[1]);
        z = _mm256_unpackhi_epi8(bytes[2], bytes[3]);
        quads[2][q] = _mm256_unpacklo_epi16(a, z);
        quads[3][q] = _mm256_unpackhi_epi16(a, z);
    }
    for (int32_t j = 0; j < group; j++) {
        two_rows(quads[j]);
        for (int32_t i = 0; i < 4; i++, y += ldy) {
            if (4 * j + i < left) {
                v_store_some(y, n, _mm256_castsi256_si128(quads[j][i]));
            }
            if (4 * (j + group) + i < left) {
                v_store_some(y + half, n, _mm256_extracti128_si256(quads[j][i], 1));
            }
        }
    }
}

static void give_clamped(const struct ledge_bytes_i8 *b, const int32_t *sums, int32_t group,
                         int64_t row)
{
    give_bytes(b, sums, group, row, false);
}

static void give_plain(const struct ledge_bytes_i8 *b, const int32_t *sums, int32_t group,
                       int64_t row)
{
    if (group == GROUP && b->finish->n == 16 && b->rows - row >= GROUP * LANES) {
        give_bytes(b, sums, GROUP, row, true);
    } else {
        give_clamped(b, sums, group, row);
    }
}

void ledge_bytes_avx2(const struct ledge_bytes_i8 *b)
{
    static const part_fn parts[MOST] = {part_2, part_2, part_4, part_4,
                                        part_7, part_7, part_7, part_8};
    const struct ledge_epilogue_i8 *e = b->finish != NULL ? b->finish->epilogue : NULL;
    void (*const give)(const struct ledge_bytes_i8 *, const int32_t *, int32_t, int64_t) =
        e == NULL                    ? give_sums
        : ledge_epilogue_is_plain(e) ? give_plain
                                     : give_clamped;
    const int64_t pixels = (int64_t)b->block * LANES;
    const uint8_t *x = b->turned;
    const int64_t parts_there = are_there(b) ? b->parts : 0;
    struct sums sums;
    if (parts_there == 0) {
        memset(&sums, 0, sizeof sums);
    }
    for (int64_t at = 0; at < b->rows; at += pixels) {
        const int32_t vectors = smaller((b->rows - at + LANES - 1) / LANES, b->block);
        for (int64_t part = 0; part < parts_there; part++) {
            parts[vectors - 1](b, part, x + part * b->part_units * pixels * 4, &sums);
        }
        x += b->parts * b->part_units * pixels * 4;
        for (int32_t v = 0; v < vectors; v += GROUP) {
            give(b, sums.of[0] + v * LANES, smaller(vectors - v, GROUP), at + v * LANES);
        }
    }
    _mm256_zeroupper();
}
#else
typedef int ledge_bytes_avx2_empty;
#endif
