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
#include "engine/kernels/simd_avx2_int.h"
#include "engine/port/select.h"

/* GROUP: vectors of 8 pixels whose bytes fill a vector. */
enum { GROUP = 4, MOST = LEDGE_STEP_PIXELS / LANES, CHANNELS = 2 * LANES, AHEAD = 1024 };

/* Sums of a block of pixels by position, in the order of its lanes, and what they come to: i16 that
 * saturate, without zero point, as bytes. */
struct sums {
    _Alignas(32) int32_t of[CHANNELS][LEDGE_STEP_PIXELS];
    uint8_t bytes[CHANNELS][LEDGE_STEP_PIXELS];
};

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
            iv_store(to + (u + i) * step, _mm256_xor_si256(r[i], sign));
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
                    x[i] = b->x[tap * b->rows + row];
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
    const uint32_t *start = b->starts, *const last = start + b->vectors * LANES * b->parts;
    __m256i there = _mm256_set1_epi8(-1);
    for (; start < last; start += LANES) {
        const __m256i next = iv_load(start + 1);
        const __m256i more = _mm256_max_epu32(iv_load(start), next);
        there = _mm256_and_si256(there, _mm256_cmpeq_epi32(more, next));
    }
    return *last <= b->room && _mm256_movemask_epi8(there) == -1;
}

/* Builds for chosen models may be without. */
INLINE bool makes_bytes(const struct ledge_bytes_i8 *b)
{
    return LEDGE_HAS(LEDGE_KERNEL_bytes_real) && b->finish != NULL;
}

/* A group of a position's sums as bytes. What epilogue.narrow proves makes saturation all that is
 * needed: clamp() does the rest. */
INLINE __m256i bytes_of(const __m256i *sums, int vectors, __m256 scale, const __m256i *zero)
{
    __m256i whole[GROUP];
    UNROLL
    for (int v = 0; v < GROUP; v++) {
        const __m256 x = _mm256_cvtepi32_ps(sums[v < vectors ? v : 0]);
        whole[v] = _mm256_cvtps_epi32(_mm256_mul_ps(x, scale));
    }
    __m256i first = _mm256_packs_epi32(whole[0], whole[1]);
    __m256i second = _mm256_packs_epi32(whole[2], whole[3]);
    if (zero != NULL) {
        first = _mm256_adds_epi16(first, *zero);
        second = _mm256_adds_epi16(second, *zero);
    }
    return _mm256_packus_epi16(first, second);
}

/* One part of all sums of a panel for so many vectors of pixels: x is what their units are. The
 * mask keeps steps within what is turned. The last part makes bytes of sums, where they are asked
 * for. */
INLINE void part_of(const struct ledge_bytes_i8 *b, int64_t part, const uint8_t *x,
                    struct sums *sums, const int vectors)
{
    const __m256i ones = _mm256_set1_epi16(1);
    const uint32_t mask = ledge_bytes_mask(b->block, b->part_units) * 0x10001U;
    const struct ledge_step_i8 *steps = b->steps;
    const uint32_t *start = b->starts + part * b->vectors * LANES;
    const int32_t *offset = b->offset, *const end = offset + b->vectors * LANES;
    const struct ledge_epilogue_i8 *e =
        makes_bytes(b) && part + 1 == b->parts ? b->finish->epilogue : NULL;
    const float *scale = e != NULL ? e->scale + b->finish->at : NULL;
    const __m256i zeros = _mm256_set1_epi16((int16_t)(e != NULL ? e->zero : 0));
    const __m256i *zero = e != NULL && e->zero != 0 ? &zeros : NULL;
    int32_t *to = sums->of[0];
    uint8_t *bytes = sums->bytes[0];
    for (; offset < end; offset++, start++, to += LEDGE_STEP_PIXELS) {
        const struct ledge_step_i8 *s = steps + start[0], *const stop = steps + start[1];
        __m256i acc[MOST];
        UNROLL
        for (int v = 0; v < vectors; v++) {
            acc[v] = part == 0 ? iv_spread(offset) : iv_load(to + v * LANES);
        }
        for (; s < stop; s++) {
            uint32_t at;
            memcpy(&at, s->at, sizeof at);
            at &= mask;
            __builtin_prefetch((const char *)s + AHEAD);
            const size_t first = at & 0xffff, second = at >> 16;
            if (first == second) {
                break;
            }
            const uint8_t *left = x + 8 * first, *right = x + 8 * second;
            const __m256i w = iv_spread(&s->w[0]), z = iv_spread(&s->w[1]);
            UNROLL
            for (int v = 0; v < vectors; v++) {
                __m256i sum = _mm256_add_epi16(_mm256_maddubs_epi16(iv_load(left + 32 * v), w),
                                               _mm256_maddubs_epi16(iv_load(right + 32 * v), z));
                acc[v] = _mm256_add_epi32(acc[v], _mm256_madd_epi16(sum, ones));
            }
        }
        for (; s < stop; s++) {
            const uint8_t *at = x + 8 * (size_t)(s->at[0] & mask);
            const __m256i w = iv_spread(&s->w[0]);
            UNROLL
            for (int v = 0; v < vectors; v++) {
                __m256i sum = _mm256_maddubs_epi16(iv_load(at + 32 * v), w);
                acc[v] = _mm256_add_epi32(acc[v], _mm256_madd_epi16(sum, ones));
            }
        }
        if (scale == NULL) {
            UNROLL
            for (int v = 0; v < vectors; v++) {
                iv_store(to + v * LANES, acc[v]);
            }
            continue;
        }
        const __m256 by = _mm256_broadcast_ss(scale++);
        UNROLL
        for (int v = 0; v < vectors; v += GROUP) {
            iv_store(bytes + 8 * v, bytes_of(acc + v, vectors - v, by, zero));
        }
        bytes += LEDGE_STEP_PIXELS;
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
                r[i] = iv_load(sums + (vector * LANES + i) * LEDGE_STEP_PIXELS + v * LANES);
            }
            turn_8(r);
            UNROLL
            for (int i = 0; i < LANES; i++) {
                int64_t at = row + 4 * (v + i / 4 * group) + i % 4;
                iv_store(b->sums + (at * b->vectors + vector) * LANES, r[i]);
            }
        }
    }
}

/* What is left to be done for bytes that are not plain. */
INLINE __m256i clamp(const struct ledge_epilogue_i8 *e, __m256i bytes)
{
    bytes = _mm256_max_epu8(bytes, _mm256_set1_epi8((char)e->low));
    bytes = _mm256_min_epu8(bytes, _mm256_set1_epi8((char)e->high));
    return _mm256_xor_si256(bytes, _mm256_set1_epi8((char)e->flip));
}

/* Bytes of a group of pixels in their channels' order, the first one of them row number `row`. */
static void give_bytes(const struct ledge_bytes_i8 *b, const uint8_t *from, int32_t group,
                       int64_t row)
{
    const struct ledge_epilogue_i8 *e = b->finish->epilogue;
    const bool plain = ledge_epilogue_is_plain(e);
    const int32_t n = b->finish->n, pixels = smaller(b->rows - row, group * LANES);
    const bool whole = n == 16 && pixels == group * LANES;
    const int32_t odd = (b->vectors > 1 ? LANES : 4) * LEDGE_STEP_PIXELS;
    const int32_t behind = b->vectors > 1 ? 4 * LEDGE_STEP_PIXELS : 0;
    const int64_t ldy = b->finish->ldy, step = whole ? ldy : 16;
    uint8_t some[LANES * GROUP * 16], *y = b->finish->y + row * ldy;
    uint8_t *to = whole ? y : some, *half = to + 4 * group * step;
    __m256i quads[GROUP][4]; /* by four pixels of each half, by four channels */
    for (int32_t q = 0; q < 4; q++) {
        const uint8_t *channel = from + q % 2 * odd + q / 2 * behind;
        __m256i bytes[4]; /* of ledge_i8_channel_at() */
        UNROLL
        for (int32_t i = 0; i < 4; i++) {
            bytes[i] = iv_load(channel + i * LEDGE_STEP_PIXELS);
        }
        if (!plain) {
            UNROLL
            for (int32_t i = 0; i < 4; i++) {
                bytes[i] = clamp(e, bytes[i]);
            }
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
        __m256i r[4] = {quads[j][0], quads[j][1], quads[j][2], quads[j][3]};
        two_rows(r);
        UNROLL
        for (int32_t i = 0; i < 4; i++, to += step, half += step) {
            _mm_storeu_si128((void *)to, _mm256_castsi256_si128(r[i]));
            _mm_storeu_si128((void *)half, _mm256_extracti128_si256(r[i], 1));
        }
    }
    for (int32_t i = 0; i < pixels && !whole; i++) {
        v_store_some(y + i * ldy, n, load_half(some + 16 * i));
    }
}

void ledge_bytes_avx2(const struct ledge_bytes_i8 *b)
{
    static const part_fn parts[MOST] = {part_2, part_2, part_4, part_4,
                                        part_7, part_7, part_7, part_8};
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
            const int32_t group = smaller(vectors - v, GROUP);
            if (makes_bytes(b)) {
                give_bytes(b, sums.bytes[0] + v * LANES, group, at + v * LANES);
            } else {
                give_sums(b, sums.of[0] + v * LANES, group, at + v * LANES);
            }
        }
    }
    _mm256_zeroupper();
}
#else
typedef int ledge_bytes_avx2_empty;
#endif
