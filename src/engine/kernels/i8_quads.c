/* SPDX-License-Identifier: Apache-2.0 */
/* i8_quads.c -- activations as quads of bytes, for all rungs that multiply those. */
#if defined(__x86_64__) || defined(__aarch64__)
#include <string.h>

#include "engine/kernels/i8.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

void ledge_i8_quads_row(const uint8_t *src, int64_t n, uint8_t flip, int32_t zero, void *to)
{
    (void)zero;
    uint8_t *bytes = to;
    int64_t i = 0;
#if defined(__x86_64__)
    const __m128i flips = _mm_set1_epi8((char)flip);
    for (; i + 16 <= n; i += 16) {
        __m128i some = _mm_loadu_si128((const __m128i *)(const void *)(src + i));
        _mm_storeu_si128((__m128i *)(void *)(bytes + i), _mm_xor_si128(some, flips));
    }
#endif
    for (; i < n; i++) {
        bytes[i] = src[i] ^ flip;
    }
}

/* Three channels side by side, by loads of four bytes; the last pixel is left. */
static int64_t units_of_3(const struct ledge_units_i8 *u, uint32_t flip)
{
    int64_t x = 0;
    for (; x < u->n - 1; x++) {
        uint32_t pixel;
        memcpy(&pixel, u->src[0] + 3 * x, sizeof pixel);
        u->units[x * u->to_step] = (pixel & 0xffffff) ^ flip;
    }
    return x;
}

#if defined(__x86_64__)
/* Channels whose pixels lie side by side; absent ones are 0. What is left are fewer than 16 pixels.
 */
static int64_t units_of_planes(const struct ledge_units_i8 *u, uint32_t flip)
{
    const __m128i flips = _mm_set1_epi32((int32_t)flip);
    int64_t x = 0;
    for (; x + 16 <= u->n; x += 16) {
        __m128i c[4];
        for (int i = 0; i < 4; i++) {
            c[i] = u->src[i] != NULL
                       ? _mm_loadu_si128((const __m128i *)(const void *)(u->src[i] + x))
                       : _mm_setzero_si128();
        }
        const __m128i low01 = _mm_unpacklo_epi8(c[0], c[1]), high01 = _mm_unpackhi_epi8(c[0], c[1]);
        const __m128i low23 = _mm_unpacklo_epi8(c[2], c[3]), high23 = _mm_unpackhi_epi8(c[2], c[3]);
        __m128i *to = (__m128i *)(void *)(u->units + x);
        _mm_storeu_si128(to, _mm_xor_si128(_mm_unpacklo_epi16(low01, low23), flips));
        _mm_storeu_si128(to + 1, _mm_xor_si128(_mm_unpackhi_epi16(low01, low23), flips));
        _mm_storeu_si128(to + 2, _mm_xor_si128(_mm_unpacklo_epi16(high01, high23), flips));
        _mm_storeu_si128(to + 3, _mm_xor_si128(_mm_unpackhi_epi16(high01, high23), flips));
    }
    return x;
}
#else
/* Likewise in a loop that compilers make vectors of; fewer than three channels are left. */
static int64_t units_of_planes(const struct ledge_units_i8 *u, uint32_t flip)
{
    const uint8_t *a = u->src[0], *b = u->src[1], *c = u->src[2], *d = u->src[3];
    const uint32_t there = d != NULL ? 0xff : 0;
    uint32_t *to = u->units;
    if (b == NULL || c == NULL) {
        return 0;
    }
    d = d != NULL ? d : a;
    for (int64_t x = 0; x < u->n; x++) {
        to[x] =
            ((uint32_t)a[x] | (uint32_t)b[x] << 8 | (uint32_t)c[x] << 16 | (d[x] & there) << 24) ^
            flip;
    }
    return u->n;
}
#endif

void ledge_i8_quads_units(const struct ledge_units_i8 *u)
{
    static const uint8_t none[1] = {0};
    const uint8_t *src[4];
    int64_t step[4], x = 0;
    uint32_t flip = 0;
    for (int c = 0; c < 4; c++) {
        src[c] = u->src[c] != NULL ? u->src[c] : none;
        step[c] = u->src[c] != NULL ? u->step : 0;
        flip |= u->src[c] != NULL ? (uint32_t)u->flip << (8 * c) : 0;
    }
    if (u->step == 1 && u->to_step == 1) {
        x = units_of_planes(u, flip);
    } else if (u->step == 3 && src[1] == src[0] + 1 && src[2] == src[0] + 2 && step[3] == 0) {
        x = units_of_3(u, flip);
    }
    for (; x < u->n; x++) {
        uint32_t unit = 0;
        for (int c = 0; c < 4; c++) {
            unit |= (uint32_t)src[c][x * step[c]] << (8 * c);
        }
        u->units[x * u->to_step] = unit ^ flip;
    }
}
#else
typedef int ledge_i8_quads_empty;
#endif
