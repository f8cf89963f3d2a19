/* SPDX-License-Identifier: Apache-2.0 */
/* i8_avx512vnni.c -- the exact 8-bit loops for AVX-512 VNNI: quads of bytes, vpdpbusd, which adds
 * four u8 x i8 products to 32 bits without saturation.
 *
 * In assembly, because compilers were seen to spill the accumulators around the intrinsic. */
#if defined(__x86_64__)
/* Seven rows: of pictures whose sides are 7 << n nothing is left over. Ten: their pointers and what
 * else the loop needs are in registers; to load two of twelve again costs as much as the rows. */
#define ROWS_MAX 10, 12, 8, 7
#define ROWS_TABLE(F)                                                                              \
    ROWS_FEW(F, 1)                                                                                 \
    F(1, 10) ROWS_FEW(F, 2) F(2, 8) F(2, 12) ROWS_FEW(F, 3) F(3, 8) ROWS_FEW(F, 4) F(4, 7)
#define SHARED_ISA avx512
#include "engine/kernels/i8_shared.h"
#include "engine/kernels/simd_avx512_int.h"
#include "engine/port/port.h"
#include "engine/port/select.h"

#define I8_GROUP 4
enum { TAPS_VECTORS = 4 };
#define WIDE_COLUMNS
#define STRIPS

INLINE ivec iv_dot(ivec acc, ivec u8, ivec i8)
{
    __asm__("vpdpbusd %2, %1, %0" : "+v"(acc) : "v"(u8), "v"(i8));
    return acc;
}

/* 28 accumulators, one quad of a row, and three of weights. */
#define IN_REGISTERS 3
INLINE ivec iv_dot_at(ivec acc, ivec u8, const uint32_t *i8)
{
    __asm__("vpdpbusd %2, %1, %0" : "+v"(acc) : "v"(u8), "m"(*(const ivec *)(const void *)i8));
    return acc;
}

#if LEDGE_HAS(LEDGE_KERNEL_plain_i8)
/* Sums of few products: to store and load them again, and a call, cost as much as they do. */
#define finish_tile finish_tile
INLINE void finish_tile(const struct ledge_finish_i8 *params, const int vectors, const int rows,
                        ivec acc[][LEDGE_I8_VECTORS])
{
    struct ledge_finish_i8 own = *params, *const f = &own;
    const int together = vectors > 2 ? 1 : PACKED / vectors;
    const ivec zero = _mm512_set1_epi16((int16_t)f->epilogue->zero);
    vec scale[LEDGE_I8_VECTORS];
    f->rows = rows;
    UNROLL
    for (int v = 0; v < vectors; v++) {
        scale[v] = v_load(f->epilogue->scale + f->at + v * LANES);
    }
    UNROLL
    for (int r = 0; r < rows; r += together) {
        ivec whole[LEDGE_I8_VECTORS];
        UNROLL
        for (int i = 0; i < together; i++) {
            int row = r + i < rows ? r + i : r;
            UNROLL
            for (int v = 0; v < vectors; v++) {
                whole[i * vectors + v] = iv_round(v_mul(iv_to_float(acc[row][v]), scale[v]));
            }
        }
        ivec low, high;
        pack_words(whole, vectors, &low, &high);
        __asm__("test %2, %2\n\tjz 0f\n\tvpaddsw %3, %0, %0\n\tvpaddsw %3, %1, %1\n0:"
                : "+v"(low), "+v"(high)
                : "r"(f->epilogue->zero), "m"(zero)
                : "cc");
        store_packed(f, r, _mm512_packus_epi16(low, high), vectors);
    }
}
#endif

INLINE void zip_rows(const ivec *row, ivec *q)
{
    ivec low01 = _mm512_unpacklo_epi8(row[0], row[1]);
    ivec high01 = _mm512_unpackhi_epi8(row[0], row[1]);
    ivec low23 = _mm512_unpacklo_epi8(row[2], row[3]);
    ivec high23 = _mm512_unpackhi_epi8(row[2], row[3]);
    q[0] = _mm512_unpacklo_epi16(low01, low23);
    q[1] = _mm512_unpackhi_epi16(low01, low23);
    q[2] = _mm512_unpacklo_epi16(high01, high23);
    q[3] = _mm512_unpackhi_epi16(high01, high23);
}

INLINE void quads(const uint8_t *const *x, int32_t n, uint8_t flip, ivec *q)
{
    ivec tap[4];
    for (int i = 0; i < 4; i++) {
        tap[i] = _mm512_xor_si512(_mm512_maskz_loadu_epi8(~(__mmask64)0 >> (64 - n), x[i]),
                                  _mm512_set1_epi8((char)flip));
    }
    zip_rows(tap, q);
}

/* The column `at` of five rows: quads of four bytes, and of one and 0. */
INLINE void wide_column_quads(const struct ledge_taps_i8 *t, int64_t at, ivec *q)
{
    const __mmask64 mask = ~(__mmask64)0 >> (64 - t->channels);
    const ivec flip = _mm512_set1_epi8((char)t->flip);
    bool inside = at >= 0 && at < t->width;
    ivec row[8];
    for (int i = 0; i < 5; i++) {
        const uint8_t *x = inside ? t->x[i] + at * t->side[i] : t->padding;
        row[i] = _mm512_xor_si512(_mm512_maskz_loadu_epi8(mask, x), flip);
    }
    row[5] = row[6] = row[7] = _mm512_setzero_si512();
    zip_rows(row, q);
    zip_rows(row + 4, q + 4);
}

/* Sums of 8 neighbouring bytes each. */
#define sum_bytes sum_bytes
INLINE __m128i sum_bytes(const uint8_t *x, int64_t n)
{
    const __m128i zero = _mm_setzero_si128();
    __m128i sum = zero;
    int64_t i = 0;
    if (n >= 64) {
        ivec wide = _mm512_setzero_si512();
        for (; i + 64 <= n; i += 64) {
            wide = _mm512_add_epi64(
                wide, _mm512_sad_epu8(_mm512_loadu_si512(x + i), _mm512_setzero_si512()));
        }
        __m256i half =
            _mm256_add_epi64(_mm512_castsi512_si256(wide), _mm512_extracti64x4_epi64(wide, 1));
        sum = _mm_add_epi64(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
    }
    for (; i + 16 <= n; i += 16) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)(x + i));
        sum = _mm_add_epi64(sum, _mm_sad_epu8(bytes, zero));
    }
    if (i < n) {
        __m128i bytes = _mm_maskz_loadu_epi8((__mmask16)(0xffff >> (16 - (n - i))), x + i);
        sum = _mm_add_epi64(sum, _mm_sad_epu8(bytes, zero));
    }
    return sum;
}

static void lookup(const uint8_t *table, const uint8_t *x, uint8_t *y, int64_t rows, int64_t n,
                   int64_t ld)
{
    if (!ledge_port_has_vbmi()) {
        lookup_16(table, x, y, rows, n, ld);
        v_done();
        return;
    }
    const __mmask64 rest = ((__mmask64)1 << n % 64) - 1;
    for (int64_t r = 0; r < rows; r++, x += ld, y += ld) {
        int64_t i = 0;
        for (; i + 64 <= n; i += 64) {
            _mm512_storeu_si512(y + i, look_up_bytes(table, _mm512_loadu_si512(x + i)));
        }
        if (rest != 0) {
            ivec at = _mm512_maskz_loadu_epi8(rest, x + i);
            _mm512_mask_storeu_epi8(y + i, rest, look_up_bytes(table, at));
        }
    }
    v_done();
}
#define LOOKUP lookup

#define SLICES run_slices
#include "engine/kernels/i8.tmpl.h"

#include "engine/kernels/i8_slices.tmpl.h"

I8_KERNELS(avx512vnni, LEDGE_RUNG_AVX512VNNI);
#else
typedef int ledge_i8_avx512vnni_empty;
#endif
