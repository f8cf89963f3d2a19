/* SPDX-License-Identifier: Apache-2.0 */
/* pair_i8.tmpl.h -- pairing in four classes, by what is largest in a unit's sums: large units, the
 * largest class first, choose among the 32 smallest that are left; what remains fits as it comes.
 * In terms of
 *
 *   look_at(w, n, scale, looked)  fills all of struct looked
 *   fitting(other, sums)          bit by bit: which of CHOICE sums leave room for these? */
#include <string.h>

#include "engine/kernels/pair_i8.h"

enum {
    FITS = 128,                   /* what may be added up in one i16: 255 times it fits */
    UNITS = 2 * LEDGE_PART_UNITS, /* as they are, and what was cut off them */
    CHOICE = 32,
    CLASSES = 4,
    CLASS = FITS / CLASSES,
    VECTOR = 16, /* units that are looked at together */
    COUNT = 12,  /* bits that count units; a class is told by the place of its count */
};

/* A unit's weights, above its place. */
typedef uint64_t unit;

/* Four sums of a unit's weights, a byte each: the positive and the negative ones of the first two
 * and of the last two, FITS at most. What is too much comes off the first weight of two, which is
 * as large at least, and makes one more unit. */
struct looked {
    unit units[LEDGE_PART_UNITS];
    uint32_t sums[LEDGE_PART_UNITS];
    uint32_t off[LEDGE_PART_UNITS]; /* weights that came off */
    uint32_t off_sums[LEDGE_PART_UNITS];
    uint8_t class[LEDGE_PART_UNITS]; /* one of CLASSES times COUNT, zeros behind them */
    uint8_t off_class[LEDGE_PART_UNITS];
    uint64_t cut[LEDGE_PART_UNITS / 64]; /* bit by bit: did anything come off? */
    uint64_t next;                       /* by class: how many are in those before it */
};

/* Classes one after the other, smallest first; zeros behind the last one. */
struct sorted {
    unit units[UNITS + CHOICE];
    uint32_t sums[UNITS + CHOICE]; /* what is behind the last one is read, not used */
    int32_t n, large;              /* from here on not any two fit together */
};

/* Where steps go: there is room. */
struct steps {
    struct ledge_step_i8 *to;
    int32_t n_alone;
    unit alone[UNITS]; /* steps of one unit, which are the last ones */
};

static inline void look_at(const uint32_t *w, int32_t n, uint32_t scale, struct looked *looked);
static inline uint32_t fitting(const uint32_t *other, const uint32_t *sums);

static inline int32_t count_at(uint64_t counts, int32_t class)
{
    return (int32_t)(counts >> class & (((uint64_t)1 << COUNT) - 1));
}

static inline void put(struct sorted *sorted, uint64_t *next, int32_t class, uint32_t sums,
                       unit one)
{
    const int32_t at = count_at(*next, class);
    sorted->units[at] = one;
    sorted->sums[at] = sums;
    *next += (uint64_t)1 << class;
}

static inline void sort(const struct looked *looked, int32_t n, struct sorted *sorted)
{
    uint64_t next = looked->next;
    sorted->large = count_at(next, CLASSES / 2 * COUNT);
    sorted->n = count_at(next, CLASSES * COUNT);
    for (int32_t i = 0; i < n; i++) {
        put(sorted, &next, looked->class[i], looked -> sums[i], looked -> units[i]);
    }
    for (int32_t k = 0; k < n; k += 64) {
        for (uint64_t cut = looked->cut[k / 64]; cut != 0; cut &= cut - 1) {
            const int32_t i = k + __builtin_ctzll(cut);
            put(sorted, &next, looked->off_class[i], looked->off_sums[i],
                (uint64_t)looked->off[i] << 32 | (uint32_t)looked->units[i]);
        }
    }
}

static inline struct ledge_step_i8 step_of(unit a, unit b)
{
    return (struct ledge_step_i8){.at = {(uint16_t)a, (uint16_t)b},
                                  .w = {(uint32_t)(a >> 32), (uint32_t)(b >> 32)}};
}

/* n units, of the first CHOICE those that are there. */
static inline void pair_small(unit *left, int64_t n, uint32_t there, struct steps *steps)
{
    int64_t k = 0, i = 0;
    for (; i < n && i < CHOICE; i++, there >>= 1) {
        left[k] = left[i];
        k += there & 1;
    }
    for (; i < n; i++) {
        left[k++] = left[i];
    }
    for (i = 0; i + 1 < k; i += 2) {
        *steps->to++ = step_of(left[i], left[i + 1]);
    }
    if (i < k) {
        steps->alone[steps->n_alone++] = left[i];
    }
}

/* Nobody can foretell whether there is a partner: both ways are taken, one counts. */
static inline void pair(struct sorted *sorted, struct steps *steps)
{
    const int64_t none = CHOICE, large = sorted->large;
    int64_t first = 0, last = sorted->n - 1, n_steps = 0, n_alone = 0;
    uint64_t there = UINT32_MAX; /* of the CHOICE from first on: not taken */
    for (; last >= large; last--) {
        const int64_t left = last - first;
        if (left < CHOICE) {
            if (left < 0) {
                break;
            }
            const bool taken = (there >> left & 1) == 0;
            there &= ((uint64_t)1 << left) - 1;
            if (taken) {
                continue;
            }
        }
        const uint64_t fit = fitting(sorted->sums + last, sorted->sums + first) & there;
        const int64_t other = __builtin_ctzll(fit | (uint64_t)1 << none);
        const unit one = sorted->units[last];
        steps->to[n_steps] = step_of(one, sorted->units[first + other]);
        n_steps += fit != 0;
        steps->alone[n_alone] = one;
        n_alone += fit == 0;
        there &= ~((uint64_t)1 << other);
        if ((there & 0xff) == 0) {
            there = there >> 8 | 0xff000000u;
            first += 8;
        }
    }
    steps->to += n_steps;
    steps->n_alone = (int32_t)n_alone;
    pair_small(sorted->units + first, last + 1 - first, (uint32_t)there, steps);
}

/* to: room for a step for each unit and what was cut off it, and one more. How many there are. */
static int64_t make_steps(uint32_t *w, int32_t n, uint32_t scale, struct ledge_step_i8 *to)
{
    struct looked looked;
    struct sorted sorted;
    struct steps steps;
    steps.to = to; /* the rest is filled */
    memset(w + n, 0, (size_t)(-n & (VECTOR - 1)) * sizeof *w);
    look_at(w, n, scale, &looked);
    sort(&looked, n, &sorted);
    pair(&sorted, &steps);
    for (int32_t i = 0; i < steps.n_alone; i++) {
        *steps.to++ = step_of(steps.alone[i], (uint32_t)steps.alone[i]);
    }
    return steps.to - to;
}

static struct ledge_step_i8 *pair_units(uint32_t *w, int32_t n, uint32_t scale,
                                        struct ledge_step_i8 *to, const struct ledge_step_i8 *end)
{
    struct ledge_step_i8 made[UNITS + 1]; /* near the end of the room */
    if (end - to > 2 * n) {
        return to + make_steps(w, n, scale, to);
    }
    const int64_t n_steps = make_steps(w, n, scale, made);
    if (n_steps > end - to) {
        return NULL;
    }
    memcpy(to, made, (size_t)n_steps * sizeof *made);
    return to + n_steps;
}
