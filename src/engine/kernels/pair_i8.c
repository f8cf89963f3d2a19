/* SPDX-License-Identifier: Apache-2.0 */
/* pair_i8.c -- see pair_i8.h. Sums of all units at once, four classes by what is largest in them;
 * then the large ones choose, largest class first, among the 32 smallest that are left. */
#include "engine/kernels/pair_i8.h"

#if defined(__x86_64__)
#include <emmintrin.h>
#endif

enum {
    FITS = 128,                   /* what may be added up in one i16: 255 times it fits */
    UNITS = 2 * LEDGE_PART_UNITS, /* as they are, and what was cut off them */
    CHOICE = 32,
    CLASSES = 4,
    CLASS = FITS / CLASSES,
};

/* Four sums of a unit's weights, a byte each: the positive and the negative ones of the first two
 * and of the last two. */
struct units {
    uint32_t *w;
    uint32_t sums[UNITS];
    uint8_t most[UNITS]; /* of the sums */
    uint8_t at[UNITS];
    uint32_t over[LEDGE_PART_UNITS]; /* what is above FITS in the sums, likewise */
};

/* Classes one after the other, smallest first. */
struct sorted {
    uint8_t unit[UNITS + 1];
    uint32_t sums[UNITS + CHOICE]; /* what is behind the last one is read, not used */
    int32_t n, large;              /* from here on not any two fit together */
};

struct steps {
    const struct units *units;
    int64_t scale;
    struct ledge_step_i8 *to;
    const struct ledge_step_i8 *end;
    uint8_t alone[UNITS]; /* steps of one unit, which are the last ones */
    int32_t n_alone;
};

static void add_up(const uint32_t *w, int64_t n, uint8_t *restrict sums, uint8_t *restrict over,
                   uint8_t *restrict most)
{
    const int8_t *bytes = (const int8_t *)w;
    uint8_t larger[2 * LEDGE_PART_UNITS];
    for (int64_t i = 0; i < 2 * n; i++) {
        const int16_t a = bytes[2 * i], b = bytes[2 * i + 1];
        const int16_t plus = (int16_t)((a > 0 ? a : 0) + (b > 0 ? b : 0));
        const int16_t minus = (int16_t)(plus - a - b);
        const int16_t p = plus < FITS ? plus : FITS, m = minus < FITS ? minus : FITS;
        sums[2 * i] = (uint8_t)p;
        sums[2 * i + 1] = (uint8_t)m;
        over[2 * i] = (uint8_t)(plus - p);
        over[2 * i + 1] = (uint8_t)(minus - m);
        larger[i] = (uint8_t)(p > m ? p : m);
    }
    for (int64_t i = 0; i < n; i++) {
        most[i] = larger[2 * i] > larger[2 * i + 1] ? larger[2 * i] : larger[2 * i + 1];
    }
}

/* What is too much comes off the first weight of two, which is as large at least, and makes one
 * more unit. Returns how many there are then. */
static int32_t cut(struct units *units, int32_t n)
{
    const uint32_t even = 0x00ff00ff, borrow = 0x01000100;
    uint8_t large[LEDGE_PART_UNITS + 1];
    int32_t n_large = 0;
    for (int32_t i = 0; i < n; i++) {
        units->at[i] = large[n_large] = (uint8_t)i;
        n_large += units->over[i] != 0;
    }
    for (int32_t k = 0; k < n_large; k++, n++) {
        const int32_t i = large[k];
        const uint32_t over = units->over[i], w = units->w[i];
        const uint32_t off = (((over & even) | borrow) - (over >> 8 & even)) & even;
        const uint32_t two = (over | over >> 8) & even; /* one of two is 0 */
        const uint32_t x = two & 0xff, y = two >> 16;
        units->w[i] = ((((w & even) | borrow) - off) & even) | (w & ~even);
        units->w[n] = off;
        units->sums[n] = over;
        units->most[n] = (uint8_t)(x > y ? x : y);
        units->at[n] = (uint8_t)i;
    }
    return n;
}

static void sort(const struct units *units, int32_t n, struct sorted *sorted)
{
    uint8_t of[CLASSES][UNITS + 1];
    uint32_t a = 0, b = 0, c = 0, d = 0;
    for (int32_t i = 0; i < n; i++) { /* units of zeros are in none */
        const uint32_t most = units->most[i];
        of[0][a] = of[1][b] = of[2][c] = of[3][d] = (uint8_t)i;
        a += most - 1 < CLASS;
        b += most - 1 - CLASS < CLASS;
        c += most - 1 - 2 * CLASS < CLASS;
        d += most - 1 - 3 * CLASS < CLASS;
    }
    const uint32_t counts[CLASSES] = {a, b, c, d};
    int32_t at = 0;
    for (int32_t k = 0; k < CLASSES; k++) {
        for (uint32_t i = 0; i < counts[k]; i++, at++) {
            sorted->unit[at] = of[k][i];
            sorted->sums[at] = units->sums[of[k][i]];
        }
    }
    sorted->large = (int32_t)(a + b);
    sorted->n = at;
}

#if defined(__x86_64__)
static inline __m128i fits(const uint32_t *sums, __m128i room)
{
    const __m128i x = _mm_loadu_si128((const __m128i *)(const void *)sums);
    return _mm_cmpeq_epi32(_mm_max_epu8(x, room), room);
}

static inline uint32_t fits_16(const uint32_t *sums, __m128i room)
{
    const __m128i low = _mm_packs_epi32(fits(sums, room), fits(sums + 4, room));
    const __m128i high = _mm_packs_epi32(fits(sums + 8, room), fits(sums + 12, room));
    return (uint32_t)_mm_movemask_epi8(_mm_packs_epi16(low, high));
}
#endif

/* Bit by bit: which of CHOICE units fit with another one? */
static inline uint32_t fitting(uint32_t other, const uint32_t *sums)
{
    const uint32_t room = 0x01010101u * FITS - other; /* each byte of it */
#if defined(__x86_64__)
    const __m128i all = _mm_set1_epi32((int)room);
    return fits_16(sums, all) | fits_16(sums + 16, all) << 16;
#else
    uint32_t fit = 0;
    for (int32_t i = 0; i < CHOICE; i++) {
        bool fits = true;
        for (int32_t k = 0; k < 32; k += 8) {
            fits = fits && (sums[i] >> k & 0xff) <= (room >> k & 0xff);
        }
        fit |= (uint32_t)fits << i;
    }
    return fit;
#endif
}

/* b < 0: none. */
static inline bool put(struct steps *steps, int32_t a, int32_t b)
{
    const struct units *units = steps->units;
    struct ledge_step_i8 *to = steps->to;
    if (b < 0) {
        steps->alone[steps->n_alone++] = (uint8_t)a;
        return true;
    }
    if (to == steps->end) {
        return false;
    }
    to->at[0] = (uint16_t)(units->at[a] * steps->scale);
    to->at[1] = (uint16_t)(units->at[b] * steps->scale);
    to->w[0] = units->w[a];
    to->w[1] = units->w[b];
    steps->to++;
    return true;
}

static bool put_alone(struct steps *steps)
{
    const struct units *units = steps->units;
    if (steps->end - steps->to < steps->n_alone) {
        return false;
    }
    for (int32_t i = 0; i < steps->n_alone; i++) {
        const int32_t a = steps->alone[i];
        const uint16_t at = (uint16_t)(units->at[a] * steps->scale);
        *steps->to++ = (struct ledge_step_i8){.at = {at, at}, .w = {units->w[a]}};
    }
    return true;
}

/* What is left fits as it comes. */
static bool pair_small(struct sorted *sorted, int32_t first, int32_t last, uint32_t there,
                       struct steps *steps)
{
    uint8_t *left = sorted->unit;
    int32_t n = 0;
    for (int32_t i = first; i < last; i++) {
        left[n] = sorted->unit[i];
        n += i - first >= CHOICE || (there >> (i - first) & 1) != 0;
    }
    bool room = true;
    for (int32_t i = 0; i < n && room; i += 2) {
        room = put(steps, left[i], i + 1 < n ? left[i + 1] : -1);
    }
    return room;
}

static bool pair(struct sorted *sorted, struct steps *steps)
{
    int32_t first = 0, last = sorted->n;
    uint32_t there = UINT32_MAX; /* of the CHOICE from first on: not taken */
    bool room = true;
    while (last > sorted->large && last > first && room) {
        const int32_t left = --last - first;
        const uint32_t before = left < CHOICE ? (1u << left) - 1 : UINT32_MAX;
        if (left < CHOICE && (there >> left & 1) == 0) {
            continue;
        }
        const uint32_t fit = fitting(sorted->sums[last], sorted->sums + first) & there & before;
        const int32_t other = fit != 0 ? sorted->unit[first + __builtin_ctz(fit)] : -1;
        there &= ~(fit & -fit);
        room = put(steps, sorted->unit[last], other);
        if ((there & 0xff) == 0) {
            there = there >> 8 | 0xff000000u;
            first += 8;
        }
    }
    return room && pair_small(sorted, first, last, there, steps);
}

struct ledge_step_i8 *ledge_pair_units(uint32_t *w, int64_t n, int64_t scale,
                                       struct ledge_step_i8 *to, const struct ledge_step_i8 *end)
{
    struct units units;
    struct sorted sorted;
    struct steps steps = {.units = &units, .scale = scale, .to = to, .end = end};
    units.w = w; /* the rest is filled */
    add_up(w, n, (uint8_t *)units.sums, (uint8_t *)units.over, units.most);
    sort(&units, cut(&units, (int32_t)n), &sorted);
    return pair(&sorted, &steps) && put_alone(&steps) ? steps.to : NULL;
}
