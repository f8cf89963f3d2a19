/* SPDX-License-Identifier: Apache-2.0 */
/* pair_i8.c -- pair_i8.tmpl.h in plain C, for hosts that pack for processors that have AVX2. */
#include "engine/kernels/pair_i8.tmpl.h"
#include "engine/port/port.h"

/* Two weights, their sums and what is too much: FILLED. What came off the first one. */
static inline int32_t add_up(int32_t a, int32_t b, uint8_t sums[2], uint8_t over[2])
{
    const int32_t plus = (a > 0 ? a : 0) + (b > 0 ? b : 0), minus = plus - a - b;
    sums[0] = (uint8_t)(plus < FITS ? plus : FITS);
    sums[1] = (uint8_t)(minus < FITS ? minus : FITS);
    over[0] = (uint8_t)(plus - sums[0]);
    over[1] = (uint8_t)(minus - sums[1]);
    return over[0] - over[1];
}

static inline uint8_t class_of(const uint8_t sums[4])
{
    uint8_t most = 0;
    for (int k = 0; k < 4; k++) {
        most = sums[k] > most ? sums[k] : most;
    }
    return (uint8_t)((most == 0 ? CLASSES : (most - 1) / CLASS) * COUNT);
}

static inline uint32_t word_of(const uint8_t bytes[4])
{
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
           (uint32_t)bytes[3] << 24;
}

static inline void look_at(const uint32_t *w, int32_t n, uint32_t scale, struct looked *looked)
{
    looked->next = looked->cut[0] = looked->cut[1] = 0;
    for (int32_t i = 0; i < n; i++) {
        uint8_t sums[4], over[4];
        const int32_t low = add_up((int8_t)w[i], (int8_t)(w[i] >> 8), sums, over);
        const int32_t high = add_up((int8_t)(w[i] >> 16), (int8_t)(w[i] >> 24), sums + 2, over + 2);
        const uint32_t off = ((uint32_t)low & 0xff) | ((uint32_t)high & 0xff) << 16;
        const uint32_t rest =
            ((w[i] - off) & 0xff) | (w[i] & 0xff00ff00) | ((w[i] - (off & 0xff0000)) & 0xff0000);
        looked->units[i] = (uint64_t)rest << 32 | (uint32_t)i * scale;
        looked->sums[i] = word_of(sums);
        looked->off[i] = off;
        looked->off_sums[i] = word_of(over);
        looked->class[i] = class_of(sums);
        looked->off_class[i] = class_of(over);
        looked->cut[i / 64] |= (uint64_t)(off != 0) << i % 64;
        for (int32_t k = COUNT; k <= CLASSES * COUNT; k += COUNT) {
            looked->next += (uint64_t)((looked->class[i] < k) + (looked->off_class[i] < k)) << k;
        }
    }
}

static inline uint32_t fitting(const uint32_t *other, const uint32_t *sums)
{
    const uint32_t room = 0x01010101u * FITS - *other; /* each byte of it */
    uint32_t fit = 0;
    for (int32_t i = 0; i < CHOICE; i++) {
        bool fits = true;
        for (int32_t k = 0; k < 32; k += 8) {
            fits = fits && (sums[i] >> k & 0xff) <= (room >> k & 0xff);
        }
        fit |= (uint32_t)fits << i;
    }
    return fit;
}

struct ledge_step_i8 *ledge_pair_units_c(uint32_t *w, int64_t n, int64_t scale,
                                         struct ledge_step_i8 *to, const struct ledge_step_i8 *end)
{
    return pair_units(w, (int32_t)n, (uint32_t)scale, to, end);
}

struct ledge_step_i8 *ledge_pair_units(uint32_t *w, int64_t n, int64_t scale,
                                       struct ledge_step_i8 *to, const struct ledge_step_i8 *end)
{
#if defined(__x86_64__) && !defined(LEDGE_WITHOUT_AVX2)
    if (ledge_port_rung() >= LEDGE_RUNG_AVX2) {
        return ledge_pair_units_avx2(w, n, scale, to, end);
    }
#endif
    return ledge_pair_units_c(w, n, scale, to, end);
}
