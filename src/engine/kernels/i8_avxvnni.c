/* SPDX-License-Identifier: Apache-2.0 */
/* i8_avxvnni.c -- the exact 8-bit loops for AVX-VNNI: quads of bytes, vpdpbusd as processors
 * without AVX-512 have it. All that does not multiply is AVX2's. */
#if defined(__x86_64__)
#define SHARED_ISA avx2
#include "engine/kernels/i8_shared.h"
#include "engine/kernels/loop_words.h"
#include "engine/kernels/simd_avx2_int.h"
#include "engine/port/select.h"

enum { TAPS_VECTORS = 2 };
/* 12 accumulators, two vectors of weights and a quad of a row: a load for 1.5 products. */
#define ROWS_MAX      8, 6, 0, 0
#define ROWS_TABLE(F) F(1, 1) F(1, 4) F(1, 8) F(2, 1) F(2, 2) F(2, 3) F(2, 4) F(2, 5) F(2, 6)
#define I8_GROUP      4
#define FEW_TAPS
#define LOOKUP ledge_i8_avx2_lookup

/* In assembly, as for AVX-512 VNNI. */
INLINE ivec iv_dot(ivec acc, ivec u8, ivec i8)
{
    __asm__("%{vex%} vpdpbusd %2, %1, %0" : "+x"(acc) : "x"(u8), "x"(i8));
    return acc;
}

/* n bytes as words. */
INLINE ivec widen(const uint8_t *x, int32_t n)
{
    return _mm256_cvtepu8_epi16(load_some(x, n));
}

/* n bytes each of four rows, xor flip, as quads; of three rows the fourth bytes are anything. */
INLINE void zip_rows(const uint8_t *const *x, const int rows, int32_t n, ivec flip, ivec *q)
{
    ivec low = widen(x[0], n), high = flip;
    if (rows > 2) {
        low = _mm256_or_si256(low, _mm256_slli_epi16(widen(x[1], n), 8));
        high = widen(x[2], n);
    }
    if (rows > 3) {
        high = _mm256_or_si256(high, _mm256_slli_epi16(widen(x[3], n), 8));
    }
    low = _mm256_xor_si256(low, flip);
    high = _mm256_xor_si256(high, flip);
    q[0] = _mm256_unpacklo_epi16(low, high);
    q[1] = _mm256_unpackhi_epi16(low, high);
}

INLINE void zip_column(const uint8_t *const *x, const int rows, int32_t n, ivec flip, ivec *q)
{
    zip_rows(x, rows < 4 ? rows : 4, n, flip, q);
    if (rows > 4) {
        zip_rows(x + 4, 1, n, flip, q + 2);
    }
}

/* Few channels, or ends of many. */
FAST static __attribute__((noinline)) void zip_copies(const uint8_t *const *x, const int rows,
                                                      int32_t n, uint8_t flip, ivec *q)
{
    const ivec flips = _mm256_set1_epi8((char)flip);
    uint8_t some[5][16];
    const uint8_t *from[5];
    for (int i = 0; i < rows; i++) {
        memcpy(some[i], x[i], (size_t)n);
        from[i] = some[i];
    }
    zip_rows(from, rows < 4 ? 3 : 4, 16, flips, q);
    if (rows > 4) {
        zip_rows(from + 4, 1, 16, flips, q + 2);
    }
}

/* n channels of so many rows as quads, of a fifth row in four quads. */
INLINE void quads_of(const uint8_t *const *x, const int rows, int32_t n, uint8_t flip, ivec *q)
{
    const ivec flips = _mm256_set1_epi8((char)flip);
    if (n == 16) {
        zip_column(x, rows, 16, flips, q);
    } else if (n == 8) {
        zip_column(x, rows, 8, flips, q);
    } else {
        const uint8_t *from[5];
        UNROLL
        for (int i = 0; i < rows; i++) {
            from[i] = x[i];
        }
        zip_copies(from, rows, n, flip, q);
    }
}

INLINE void quads(const uint8_t *const *x, int32_t n, uint8_t flip, ivec *q)
{
    quads_of(x, 4, n, flip, q);
}

/* Windows of 3 x 3 or 5 x 5 whose columns lie side by side: all columns become quads first, then
 * weights stay in registers. */
INLINE void zip_columns(const struct ledge_taps_i8 *params, const int side)
{
    const struct ledge_taps_i8 t = *params; /* what is stored might be it */
    const int units = side == 3 ? 1 : 2, together = side == 3 ? TAPS_VECTORS : 1;
    const int32_t columns = (t.pixels - 1) * t.advance + side;
    ivec q[LEDGE_I8_ZIPPED][2 * TAPS_VECTORS];
    uintptr_t row[5]; /* numbers, since some are beyond the rows */
    UNROLL
    for (int i = 0; i < side; i++) {
        row[i] = (uintptr_t)t.x[i] + (uintptr_t)(t.first * t.side[i]);
    }
    for (int32_t c = 0; c < columns; c++) {
        const bool inside = (uint64_t)(t.first + c) < (uint64_t)t.width;
        const uint8_t *from[5];
        UNROLL
        for (int i = 0; i < side; i++) {
            from[i] = inside ? (const uint8_t *)row[i] : t.padding;
            row[i] += (uintptr_t)t.side[i];
        }
        quads_of(from, side, t.channels, t.flip, q[c]);
    }
    for (int first = 0; first < TAPS_VECTORS; first += together) {
        ivec w[10], start[TAPS_VECTORS];
        UNROLL
        for (int v = 0; v < together; v++) {
            start[v] = iv_load(t.offset + (first + v) * LANES);
            UNROLL
            for (int i = 0; i < side * units; i++) {
                w[i * together + v] = iv_load(t.w + (i * TAPS_VECTORS + first + v) * LANES);
            }
        }
        int32_t *to = t.sums + first * LANES;
        ivec(*from)[2 * TAPS_VECTORS] = q;
        for (int32_t p = 0; p < t.pixels; p++, from += t.advance, to += TAPS_VECTORS * LANES) {
            UNROLL
            for (int v = 0; v < together; v++) {
                ivec acc = start[v];
                UNROLL
                for (int i = 0; i < side * units; i++) {
                    const int unit = i % units * TAPS_VECTORS + first + v;
                    acc = iv_dot(acc, from[i / units][unit], w[i * together + v]);
                }
                iv_store(to + v * LANES, acc);
            }
        }
    }
}

FAST static void zipped_3(const struct ledge_taps_i8 *t)
{
    zip_columns(t, 3);
}

FAST static void zipped_5(const struct ledge_taps_i8 *t)
{
    zip_columns(t, 5);
}

static void run_zipped(const struct ledge_taps_i8 *t)
{
    (LEDGE_HAS(LEDGE_KERNEL_taps_5) && t->wide ? zipped_5 : zipped_3)(t);
}
#define ZIPPED

/* Sums of 8 neighbouring bytes each. */
#define sum_bytes sum_bytes
INLINE __m128i sum_bytes(const uint8_t *x, int64_t n)
{
    const __m128i zero = _mm_setzero_si128();
    __m128i sum = zero;
    for (int64_t i = 0; i < n; i += 16) {
        __m128i bytes = load_some(x + i, n - i < 16 ? (int32_t)(n - i) : 16);
        sum = _mm_add_epi64(sum, _mm_sad_epu8(bytes, zero));
    }
    return sum;
}

#include "engine/kernels/i8.tmpl.h"

I8_KERNELS(avxvnni, LEDGE_RUNG_AVXVNNI);
#else
typedef int ledge_i8_avxvnni_empty;
#endif
