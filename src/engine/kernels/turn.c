/* SPDX-License-Identifier: Apache-2.0 */
/* turn.c -- see turn.h. Four rows at a time, in what every x86-64 has; memory is slower than that,
 * so no instruction set has a loop of its own. */
#include "engine/kernels/turn.h"

#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

static void turn_some(const uint8_t *const *rows, int64_t lanes, int64_t from, int64_t end,
                      uint32_t *to, int64_t step)
{
    for (int64_t i = from; i < end; i++) {
        for (int64_t lane = 0; lane < lanes; lane++) {
            memcpy(to + i * step + lane, rows[lane] + 4 * i, sizeof *to);
        }
    }
}

static int32_t sum_some(const int8_t *at, int64_t n)
{
    uint32_t sum = 0;
    for (int64_t i = 0; i < n; i++) {
        sum += (uint32_t)at[i];
    }
    return (int32_t)sum;
}

#if defined(__x86_64__)
static __m128i load(const uint8_t *from)
{
    return _mm_loadu_si128((const __m128i *)(const void *)from);
}

static void store(uint32_t *to, __m128i x)
{
    _mm_storeu_si128((__m128i *)(void *)to, x);
}

/* Words i .. i + 3 of four rows. */
static void turn_square(const uint8_t *const *rows, int64_t i, uint32_t *to, int64_t step)
{
    __m128i a = load(rows[0] + 4 * i), b = load(rows[1] + 4 * i);
    __m128i c = load(rows[2] + 4 * i), d = load(rows[3] + 4 * i);
    __m128i ab = _mm_unpacklo_epi32(a, b), ab2 = _mm_unpackhi_epi32(a, b);
    __m128i cd = _mm_unpacklo_epi32(c, d), cd2 = _mm_unpackhi_epi32(c, d);
    to += i * step;
    store(to, _mm_unpacklo_epi64(ab, cd));
    store(to + step, _mm_unpackhi_epi64(ab, cd));
    store(to + 2 * step, _mm_unpacklo_epi64(ab2, cd2));
    store(to + 3 * step, _mm_unpackhi_epi64(ab2, cd2));
}

int32_t ledge_sum_bytes(const void *bytes, int64_t n)
{
    const uint8_t *at = bytes;
    const __m128i flip = _mm_set1_epi8((char)0x80); /* i8 as u8: 128 too much each */
    __m128i sums = _mm_setzero_si128();
    int64_t i = 0;
    for (; i + 16 <= n; i += 16) {
        __m128i some = _mm_xor_si128(load(at + i), flip);
        sums = _mm_add_epi64(sums, _mm_sad_epu8(some, _mm_setzero_si128()));
    }
    sums = _mm_add_epi64(sums, _mm_unpackhi_epi64(sums, sums));
    uint32_t sum = (uint32_t)_mm_cvtsi128_si32(sums) - (uint32_t)(128 * i);
    return (int32_t)(sum + (uint32_t)sum_some((const int8_t *)at + i, n - i));
}
#else
int32_t ledge_sum_bytes(const void *bytes, int64_t n)
{
    return sum_some(bytes, n);
}

static void turn_square(const uint8_t *const *rows, int64_t i, uint32_t *to, int64_t step)
{
    turn_some(rows, 4, i, i + 4, to, step);
}
#endif

void ledge_turn_words(const void *const *rows, int64_t lanes, int64_t n, uint32_t *to, int64_t step)
{
    enum { PIECE = 64 }; /* words of a row that is not there */
    static const uint8_t zeros[4 * PIECE];
    for (int64_t first = 0; first < n; first += PIECE) {
        int64_t count = n - first < PIECE ? n - first : PIECE;
        const uint8_t *at[LEDGE_TURN_LANES];
        for (int64_t lane = 0; lane < lanes; lane++) {
            at[lane] = rows[lane] != NULL ? (const uint8_t *)rows[lane] + 4 * first : zeros;
        }
        int64_t i = 0;
        for (; i + 4 <= count; i += 4) {
            int64_t lane = 0;
            for (; lane + 4 <= lanes; lane += 4) {
                turn_square(at + lane, i, to + lane, step);
            }
            turn_some(at + lane, lanes - lane, i, i + 4, to + lane, step);
        }
        turn_some(at, lanes, i, count, to, step);
        to += PIECE * step;
    }
}

void ledge_turn_floats(const void *from, int64_t distance, int64_t real, int64_t lanes, int64_t n,
                       float *to, int64_t step)
{
    const void *rows[LEDGE_TURN_LANES];
    for (int64_t lane = 0; lane < lanes; lane++) {
        /* by bytes: weights in a file need not stand at a multiple of 4 */
        rows[lane] = lane < real ? (const char *)from + 4 * lane * distance : NULL;
    }
    ledge_turn_words(rows, lanes, n, (uint32_t *)(void *)to, step);
}
