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

/* A table of 256, ready for vectors. near: what its eights have added to their index differs by
 * four bits, as that of activation functions does. */
struct table {
    bool near;
    __m256i parts[16]; /* lookup_half()'s; near: eight, four bits of both halves in a byte, and */
    __m256i base[2];   /* what the eights of a half add besides */
};

INLINE __m256i lookup_near(const struct table *t, __m256i x)
{
    const __m256i low = _mm256_set1_epi8(15);
    const __m256i eight = _mm256_and_si256(_mm256_srli_epi16(x, 3), low);
    const __m256i base = _mm256_blendv_epi8(_mm256_shuffle_epi8(t->base[0], eight),
                                            _mm256_shuffle_epi8(t->base[1], eight), x);
    const __m256i both = lookup_half(t->parts, _mm256_and_si256(x, _mm256_set1_epi8(127)));
    const __m256i four = _mm256_blendv_epi8(both, _mm256_srli_epi16(both, 4), x);
    return _mm256_add_epi8(_mm256_add_epi8(x, base), _mm256_and_si256(four, low));
}

INLINE __m256i lookup_32(const struct table *t, const bool near, __m256i at)
{
    if (near) {
        return lookup_near(t, at);
    }
    __m256i high = _mm256_xor_si256(at, _mm256_set1_epi8((char)0x80));
    return _mm256_xor_si256(lookup_half(t->parts, at), lookup_half(t->parts + 8, high));
}

INLINE __m128i load_16(const uint8_t *p)
{
    return _mm_loadu_si128((const __m128i *)(const void *)p);
}

INLINE void store_16(uint8_t *p, __m128i v)
{
    _mm_storeu_si128((__m128i *)(void *)p, v);
}

/* Entries less their index and their eight's base, which puts the fifth at 8: those of both halves
 * in one byte. False: they do not fit. */
static bool make_near(const uint8_t *table, uint8_t both[128], uint8_t base[32])
{
    const __m128i fifth = _mm_set_epi64x(0x0c0c0c0c0c0c0c0c, 0x0404040404040404);
    __m128i index = _mm_set_epi64x(0x0f0e0d0c0b0a0908, 0x0706050403020100);
    __m128i all = _mm_setzero_si128(), four[16];
#pragma GCC unroll 1
    for (int i = 0; i < 16; i++) {
        const __m128i more = _mm_sub_epi8(load_16(table + 16 * i), index);
        const __m128i from = _mm_sub_epi8(_mm_shuffle_epi8(more, fifth), _mm_set1_epi8(8));
        four[i] = _mm_sub_epi8(more, from);
        all = _mm_or_si128(all, four[i]);
        base[2 * i] = (uint8_t)_mm_extract_epi8(from, 0);
        base[2 * i + 1] = (uint8_t)_mm_extract_epi8(from, 8);
        index = _mm_add_epi8(index, _mm_set1_epi8(16));
    }
#pragma GCC unroll 1
    for (int i = 0; i < 8; i++) {
        store_16(both + 16 * i, _mm_or_si128(four[i], _mm_slli_epi16(four[i + 8], 4)));
    }
    return _mm_testz_si128(all, _mm_set1_epi8((char)0xf0));
}

static void make_table(const uint8_t *bytes, struct table *t)
{
    uint8_t both[128], base[32];
    t->near = make_near(bytes, both, base);
    t->base[0] = _mm256_broadcastsi128_si256(load_16(base));
    t->base[1] = _mm256_broadcastsi128_si256(load_16(base + 16));
    const int parts = t->near ? 8 : 16;
    bytes = t->near ? both : bytes;
#pragma GCC unroll 1
    for (int i = 0; i < parts; i++, bytes += 16) {
        __m128i part = load_16(bytes);
        part = i % 8 == 0 ? part : _mm_xor_si128(part, load_16(bytes - 16));
        t->parts[i] = _mm256_broadcastsi128_si256(part);
    }
}

/* A row of 32 bytes at least. The last vector is read before what it shares with others is stored:
 * y may be x. */
INLINE void lookup_row(const struct table *t, const bool near, const uint8_t *x, uint8_t *y,
                       int64_t n)
{
    const __m256i last = iv_load(x + n - 32);
    for (int64_t i = 0; i < n; i += 32) {
        const bool whole = i + 32 <= n;
        iv_store(y + (whole ? i : n - 32), lookup_32(t, near, whole ? iv_load(x + i) : last));
    }
}

static void near_row(const struct table *t, const uint8_t *x, uint8_t *y, int64_t n)
{
    lookup_row(t, true, x, y, n);
}

static void any_row(const struct table *t, const uint8_t *x, uint8_t *y, int64_t n)
{
    lookup_row(t, false, x, y, n);
}

void ledge_i8_avx2_lookup(const uint8_t *table, const uint8_t *x, uint8_t *y, int64_t rows,
                          int64_t n, int64_t ld)
{
    struct table t;
    make_table(table, &t);
    void (*const row)(const struct table *, const uint8_t *, uint8_t *, int64_t) =
        t.near ? near_row : any_row;
    if (n == ld) { /* one long row */
        n *= rows;
        rows = 1;
    }
    for (; rows > 0; rows--, x += ld, y += ld) {
        for (int64_t i = 0; i < n && n < 32; i++) {
            y[i] = table[x[i]];
        }
        if (n >= 32) {
            row(&t, x, y, n);
        }
    }
    v_done();
}
#else
typedef int ledge_i8_avx2_bytes_empty;
#endif
