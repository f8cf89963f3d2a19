/* SPDX-License-Identifier: Apache-2.0 */
/* pair_i8_avx2.c -- pair_i8.tmpl.h for AVX2. */
#ifdef __AVX2__
#include <immintrin.h>

#include "engine/kernels/pair_i8.tmpl.h"

/* The places of 8 units below their weights. */
static inline void place(__m256i w, __m256i at, unit *units)
{
    const __m256i low = _mm256_unpacklo_epi32(at, w), high = _mm256_unpackhi_epi32(at, w);
    _mm256_storeu_si256((__m256i *)(void *)units, _mm256_permute2x128_si256(low, high, 0x20));
    _mm256_storeu_si256((__m256i *)(void *)(units + 4), _mm256_permute2x128_si256(low, high, 0x31));
}

/* 8 units: their sums, and what came off them. */
struct eight {
    __m256i sums, off_sums;
};

static inline struct eight add_up(const uint32_t *w, __m256i at, struct looked *looked, int32_t i)
{
    const __m256i one = _mm256_set1_epi8(1), fits = _mm256_set1_epi16(FITS);
    const __m256i x = _mm256_loadu_si256((const __m256i *)(const void *)(w + i));
    const __m256i plus = _mm256_maddubs_epi16(one, _mm256_max_epi8(x, _mm256_setzero_si256()));
    const __m256i minus = _mm256_sub_epi16(plus, _mm256_maddubs_epi16(one, x));
    const __m256i p = _mm256_min_epi16(plus, fits), m = _mm256_min_epi16(minus, fits);
    const __m256i over = _mm256_sub_epi16(plus, p), under = _mm256_sub_epi16(minus, m);
    const __m256i off = _mm256_and_si256(_mm256_sub_epi16(over, under), _mm256_set1_epi16(0xff));
    const struct eight eight = {.sums = _mm256_or_si256(p, _mm256_slli_epi16(m, 8)),
                                .off_sums = _mm256_or_si256(over, _mm256_slli_epi16(under, 8))};
    place(_mm256_sub_epi8(x, off), at, looked->units + i);
    _mm256_storeu_si256((__m256i *)(void *)(looked->sums + i), eight.sums);
    _mm256_storeu_si256((__m256i *)(void *)(looked->off + i), off);
    _mm256_storeu_si256((__m256i *)(void *)(looked->off_sums + i), eight.off_sums);
    return eight;
}

/* The largest of four bytes, of 16 units. */
static inline __m128i most_of(__m256i a, __m256i b)
{
    const __m256i byte = _mm256_set1_epi32(0xff);
    a = _mm256_max_epu8(a, _mm256_srli_epi32(a, 16));
    b = _mm256_max_epu8(b, _mm256_srli_epi32(b, 16));
    a = _mm256_and_si256(_mm256_max_epu8(a, _mm256_srli_epi32(a, 8)), byte);
    b = _mm256_and_si256(_mm256_max_epu8(b, _mm256_srli_epi32(b, 8)), byte);
    const __m256i words = _mm256_permute4x64_epi64(_mm256_packs_epi32(a, b), 0xd8);
    return _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
}

/* above[k]: how many are above class k, or zeros, byte by byte. */
static inline __m128i class_of(__m128i most, __m128i above[CLASSES])
{
    const __m128i less = _mm_sub_epi8(most, _mm_set1_epi8(1));
    const __m128i zero = _mm_cmpeq_epi8(most, _mm_setzero_si128());
    __m128i class = _mm_and_si128(zero, _mm_set1_epi8(CLASSES * COUNT));
    for (int k = 0; k < CLASSES - 1; k++) {
        const __m128i is = _mm_cmpgt_epi8(less, _mm_set1_epi8((char)((k + 1) * CLASS - 1)));
        class = _mm_add_epi8(class, _mm_and_si128(is, _mm_set1_epi8(COUNT)));
        above[k] = _mm_sub_epi8(above[k], _mm_or_si128(is, zero));
    }
    above[CLASSES - 1] = _mm_sub_epi8(above[CLASSES - 1], zero);
    return class;
}

/* Of n units: how many of each class and of those before it, and so on. */
static inline uint64_t counts_of(const __m128i above[CLASSES], int32_t n)
{
    __m128i sum = _mm_setzero_si128();
    uint64_t all = 0;
    for (int k = 0; k < CLASSES; k++) {
        const __m128i of = _mm_sad_epu8(above[k], _mm_setzero_si128());
        sum = _mm_add_epi64(sum, _mm_slli_epi64(of, (k + 1) * COUNT));
        all += (uint64_t)n << (k + 1) * COUNT;
    }
    sum = _mm_add_epi64(sum, _mm_unpackhi_epi64(sum, sum));
    return all - (uint64_t)_mm_cvtsi128_si64(sum);
}

static inline void look_at(const uint32_t *w, int32_t n, uint32_t scale, struct looked *looked)
{
    const __m256i step = _mm256_set1_epi32((int32_t)(8 * scale));
    __m256i at = _mm256_mullo_epi32(_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7),
                                    _mm256_set1_epi32((int32_t)scale));
    __m128i above[CLASSES] = {_mm_setzero_si128(), _mm_setzero_si128(), _mm_setzero_si128(),
                              _mm_setzero_si128()};
    int32_t i = 0;
    looked->cut[0] = looked->cut[1] = 0;
    for (; i < n; i += VECTOR) {
        const struct eight a = add_up(w, at, looked, i);
        at = _mm256_add_epi32(at, step);
        const struct eight b = add_up(w, at, looked, i + 8);
        at = _mm256_add_epi32(at, step);
        const __m128i class = class_of(most_of(a.sums, b.sums), above);
        const __m128i off = class_of(most_of(a.off_sums, b.off_sums), above);
        const __m128i none = _mm_cmpeq_epi8(off, _mm_set1_epi8(CLASSES * COUNT));
        _mm_storeu_si128((__m128i *)(void *)(looked->class + i), class);
        _mm_storeu_si128((__m128i *)(void *)(looked->off_class + i), off);
        looked->cut[i / 64] |= (uint64_t)(uint16_t)~_mm_movemask_epi8(none) << i % 64;
    }
    looked->next = counts_of(above, 2 * i);
}

static inline __m256i fits_8(const uint32_t *sums, __m256i room)
{
    const __m256i x = _mm256_loadu_si256((const __m256i *)(const void *)sums);
    return _mm256_cmpeq_epi32(_mm256_max_epu8(x, room), room);
}

/* Vectors are packed by halves, which come together again in the end. */
static inline uint32_t fitting(const uint32_t *other, const uint32_t *sums)
{
    const __m256i room =
        _mm256_sub_epi8(_mm256_set1_epi8((char)FITS), _mm256_set1_epi32((int32_t)*other));
    const __m256i low = _mm256_packs_epi32(fits_8(sums, room), fits_8(sums + 8, room));
    const __m256i high = _mm256_packs_epi32(fits_8(sums + 16, room), fits_8(sums + 24, room));
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    return (uint32_t)_mm256_movemask_epi8(
        _mm256_permutevar8x32_epi32(_mm256_packs_epi16(low, high), order));
}

struct ledge_step_i8 *ledge_pair_units_avx2(uint32_t *w, int64_t n, int64_t scale,
                                            struct ledge_step_i8 *to,
                                            const struct ledge_step_i8 *end)
{
    return pair_units(w, (int32_t)n, (uint32_t)scale, to, end);
}
#else
typedef int ledge_pair_i8_avx2_empty;
#endif
