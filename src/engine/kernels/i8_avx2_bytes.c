/* SPDX-License-Identifier: Apache-2.0 */
/* i8_avx2_bytes.c -- the 8-bit loops in vectors of 256 bits that are the same with and without
 * VNNI.
 */
#if defined(__x86_64__)
#include "engine/kernels/i8_shared.h"
#include "engine/kernels/simd_avx2_int.h"

#include "engine/kernels/i8_bytes.tmpl.h"

I8_SHARED(avx2);

/* Half of a table as tables of 16 bytes, each but the first combined (xor) with the one before. A
 * shuffle gives 0 for indices below 0, as which a saturating subtraction keeps those that are lower
 * than its table: what remains of all eight together is the entry itself. */
INLINE __m256i lookup_half(const __m256i *tables, __m256i at)
{
    __m256i found = _mm256_shuffle_epi8(tables[0], at);
#pragma GCC unroll 8
    for (int i = 1; i < 8; i++) {
        at = _mm256_subs_epi8(at, _mm256_set1_epi8(16));
        found = _mm256_xor_si256(found, _mm256_shuffle_epi8(tables[i], at));
    }
    return found;
}

INLINE __m256i lookup_32(const __m256i *tables, __m256i at)
{
    __m256i high = _mm256_xor_si256(at, _mm256_set1_epi8((char)0x80));
    return _mm256_xor_si256(lookup_half(tables, at), lookup_half(tables + 8, high));
}

INLINE __m128i load_16(const uint8_t *p)
{
    return _mm_loadu_si128((const __m128i *)(const void *)p);
}

/* Two rows of at most 16, the second one may be the first. */
INLINE void lookup_rows(const __m256i *tables, const uint8_t *x, const uint8_t *x2, uint8_t *y,
                        uint8_t *y2)
{
    __m256i at = _mm256_inserti128_si256(_mm256_castsi128_si256(load_16(x)), load_16(x2), 1);
    __m256i found = lookup_32(tables, at);
    _mm_storeu_si128((__m128i *)(void *)y2, _mm256_extracti128_si256(found, 1));
    _mm_storeu_si128((__m128i *)(void *)y, _mm256_castsi256_si128(found));
}

void ledge_i8_avx2_lookup(const uint8_t *table, const uint8_t *x, uint8_t *y, int64_t rows,
                          int64_t n, int64_t ld)
{
    __m256i tables[16];
    for (int i = 0; i < 16; i++) {
        __m128i part = load_16(table + 16 * i);
        part = i % 8 == 0 ? part : _mm_xor_si128(part, load_16(table + 16 * (i - 1)));
        tables[i] = _mm256_broadcastsi128_si256(part);
    }
    if (n == ld) { /* one long row */
        n *= rows;
        rows = 1;
    }
    for (int64_t r = 0; r < rows && n == 16; r += 2) {
        int64_t next = r + 1 < rows ? ld : 0;
        lookup_rows(tables, x + r * ld, x + r * ld + next, y + r * ld, y + r * ld + next);
    }
    for (int64_t r = 0; r < rows && n != 16; r++, x += ld, y += ld) {
        int64_t i = 0;
        for (; i + 32 <= n; i += 32) {
            __m256i at = _mm256_loadu_si256((const __m256i *)(const void *)(x + i));
            _mm256_storeu_si256((__m256i *)(void *)(y + i), lookup_32(tables, at));
        }
        for (; i < n; i++) {
            y[i] = table[x[i]];
        }
    }
    v_done();
}
#else
typedef int ledge_i8_avx2_bytes_empty;
#endif
