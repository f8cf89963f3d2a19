/* SPDX-License-Identifier: Apache-2.0 */
/* product_i8.c -- streamed panels hold all of k, so that sums never leave the registers unfinished;
 * resident panels pass by a group of them that fits the L2 cache. */
#include "engine/kernels/product_i8.h"

#include <string.h>

enum { GROUP_BYTES = 192 * 1024, MAX_NR = 32, MAX_TILE = 16 * MAX_NR };

static int64_t ceil_div(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

static int64_t row_at(const struct ledge_i8_kernels *isa, int64_t m, int64_t i)
{
    return i * m / ceil_div(m, isa->mr);
}

/* Streamed rows are stored in whole blocks. */
static int64_t panel_units(const struct ledge_i8_kernels *isa, int64_t units, bool a_resident)
{
    return a_resident ? units * isa->nr : ceil_div(units, LEDGE_I8_KC) * LEDGE_I8_KC * isa->mr;
}

static int64_t group_size(const struct ledge_i8_kernels *isa, int64_t units, bool a_resident)
{
    int64_t n = GROUP_BYTES / (4 * panel_units(isa, units, a_resident));
    return n > 1 ? n : 1;
}

/* A group of panels, and the sums of each one's rows or columns. */
static int64_t group_units(const struct ledge_i8_kernels *isa, int64_t units, bool a_resident)
{
    return (panel_units(isa, units, a_resident) + MAX_NR) * group_size(isa, units, a_resident);
}

size_t ledge_product_i8_scratch(const struct ledge_i8_kernels *isa, int64_t units)
{
    int64_t a = group_units(isa, units, false);
    int64_t b = group_units(isa, units, true);
    return ((size_t)(a > b ? a : b) + 15) & ~(size_t)15;
}

struct share {
    const struct ledge_product_i8 *p;
    int64_t groups, streamed;
    int64_t parts, resident;
    uint32_t *scratch;
};

static int32_t columns_of(const struct ledge_product_i8 *p, int64_t panel)
{
    int64_t left = p->n - panel * p->isa->nr;
    return (int32_t)(left < p->isa->nr ? left : p->isa->nr);
}

/* Sums of the activations of a streamed panel: a product with ones. */
static void sum_streamed(const struct ledge_product_i8 *p, const uint32_t *panel, int32_t count,
                         int32_t *sums)
{
    for (int32_t i = 0; i < count; i++) {
        uint32_t sum = 0;
        for (int64_t u = 0; u < p->units; u++) {
            int64_t block = u / LEDGE_I8_KC;
            uint32_t x = p->a_resident ? panel[u * p->isa->nr + i]
                                       : panel[(block * count + i) * LEDGE_I8_KC + u % LEDGE_I8_KC];
            sum += (x & 255) + (x >> 8 & 255) + (x >> 16 & 255) + (x >> 24);
        }
        sums[i] = (int32_t)sum;
    }
}

static void finish(const struct ledge_product_i8 *p, int64_t row, int64_t col, int32_t rows,
                   int32_t cols, const int32_t *streamed_sums, int32_t *sums)
{
    int32_t nr = p->isa->nr;
    for (int32_t r = 0; r < rows && (p->correction != NULL || p->b_zeros != NULL); r++) {
        for (int32_t c = 0; c < cols; c++) {
            int64_t channel = p->a_resident ? row + r : col + c;
            uint32_t more = p->correction != NULL ? (uint32_t)p->correction[channel] : 0;
            if (p->b_zeros != NULL) {
                more -=
                    (uint32_t)p->b_zeros[channel] * (uint32_t)streamed_sums[p->a_resident ? c : r];
            }
            sums[r * nr + c] = (int32_t)((uint32_t)sums[r * nr + c] + more);
        }
    }
    p->store(p->arg, row, col, rows, cols, sums);
}

static void part(const struct ledge_product_i8 *p, int64_t s0, int64_t s1, int64_t r0, int64_t r1,
                 uint32_t *scratch)
{
    int64_t size = panel_units(p->isa, p->units, p->a_resident);
    int32_t *streamed_sums =
        (int32_t *)(scratch + size * group_size(p->isa, p->units, p->a_resident));
    _Alignas(64) int32_t sums[MAX_TILE];
    for (int64_t s = s0; s < s1; s++) {
        int64_t at = p->a_resident ? s * p->isa->nr : row_at(p->isa, p->m, s);
        int64_t end = p->a_resident ? at + columns_of(p, s) : row_at(p->isa, p->m, s + 1);
        p->stream(p->arg, at, end - at, scratch + (s - s0) * size);
        if (p->b_zeros != NULL) {
            sum_streamed(p, scratch + (s - s0) * size, (int32_t)(end - at),
                         streamed_sums + (s - s0) * MAX_NR);
        }
    }
    for (int64_t r = r0; r < r1; r++) {
        for (int64_t s = s0; s < s1; s++) {
            const uint32_t *streamed = scratch + (s - s0) * size;
            int64_t a_panel = p->a_resident ? r : s;
            int64_t b_panel = p->a_resident ? s : r;
            int64_t row = row_at(p->isa, p->m, a_panel);
            int32_t cols = columns_of(p, b_panel);
            struct ledge_tile_i8 tile = {
                .sums = sums,
                .k = p->units,
                .rows = (int32_t)(row_at(p->isa, p->m, a_panel + 1) - row),
                .vectors = cols > p->isa->lanes ? 2 : 1,
                .k_major = p->a_resident,
                .a_weights = p->a_resident,
            };
            tile.a = p->a_resident ? p->resident + row * p->units : streamed;
            tile.b = p->a_resident ? streamed : p->resident + b_panel * p->isa->nr * p->units;
            p->isa->tile(&tile);
            finish(p, row, b_panel * p->isa->nr, tile.rows, cols, streamed_sums + (s - s0) * MAX_NR,
                   sums);
        }
    }
}

static void one_share(void *arg, int32_t index, int32_t worker)
{
    const struct share *s = arg;
    int64_t group = index / s->parts;
    int64_t which = index % s->parts;
    size_t scratch = ledge_product_i8_scratch(s->p->isa, s->p->units);
    part(s->p, group * s->streamed / s->groups, (group + 1) * s->streamed / s->groups,
         which * s->resident / s->parts, (which + 1) * s->resident / s->parts,
         s->scratch + (size_t)worker * scratch);
}

void ledge_product_i8_run(const struct ledge_product_i8 *p, struct ledge_pool *pool,
                          uint32_t *scratch)
{
    struct share s = {.p = p, .parts = 1, .scratch = scratch};
    int64_t threads = ledge_pool_threads(pool);
    int64_t rows = ceil_div(p->m, p->isa->mr);
    int64_t columns = ceil_div(p->n, p->isa->nr);
    s.streamed = p->a_resident ? columns : rows;
    s.resident = p->a_resident ? rows : columns;
    if (s.streamed == 0 || s.resident == 0) {
        return;
    }
    s.groups = ceil_div(s.streamed, group_size(p->isa, p->units, p->a_resident));
    if (threads > 1) {
        /* Four shares for each thread even out their ends; fewer than one is a thread idle. */
        int64_t wanted = ceil_div(s.groups, 4 * threads) * 4 * threads;
        s.groups = wanted < s.streamed ? wanted : s.streamed;
        if (s.groups < threads) {
            s.parts = ceil_div(2 * threads, s.groups);
            s.parts = s.parts < s.resident ? s.parts : s.resident;
        }
    }
    ledge_pool_run(pool, (int32_t)(s.groups * s.parts), one_share, &s);
}

/* -- packing ------------------------------------------------------------------------------------
 */

size_t ledge_product_i8_size(const struct ledge_pack_i8 *pack)
{
    int64_t channels =
        pack->a_resident ? pack->channels : ceil_div(pack->channels, pack->isa->nr) * pack->isa->nr;
    return ((size_t)(channels * pack->units) + 15) & ~(size_t)15;
}

/* Group 4: i8 with its zero point; group 2: i16 without. */
static uint32_t unit(const struct ledge_pack_i8 *pack, int64_t channel, int64_t u, int32_t *sum)
{
    uint32_t bits = 0;
    int32_t group = pack->isa->group;
    for (int32_t i = 0; i < group; i++) {
        int32_t w = pack->get(pack->arg, channel, u * group + i);
        if (group == 4) {
            w -= pack->b_is_u8 ? 128 : 0;
            bits |= (uint32_t)(uint8_t)w << (8 * i);
        } else {
            w -= pack->b_zeros[channel];
            bits |= (uint32_t)(uint16_t)w << (16 * i);
        }
        *sum += w;
    }
    return bits;
}

bool ledge_product_i8_pack(const struct ledge_pack_i8 *pack, uint32_t *packed, int32_t *correction,
                           int32_t *zeros)
{
    const struct ledge_i8_kernels *isa = pack->isa;
    bool matter = false;
    int64_t panels = ceil_div(pack->channels, pack->a_resident ? isa->mr : isa->nr);
    for (int64_t i = 0; i < panels; i++) {
        int64_t first = pack->a_resident ? row_at(isa, pack->channels, i) : i * isa->nr;
        int64_t height = pack->a_resident ? row_at(isa, pack->channels, i + 1) - first : isa->nr;
        for (int64_t c = first; c < first + height; c++) {
            uint32_t *to = packed + first * pack->units + (c - first);
            int32_t sum = 0;
            for (int64_t u = 0; u < pack->units; u++) {
                to[u * height] = c < pack->channels ? unit(pack, c, u, &sum) : 0;
            }
            if (c >= pack->channels) {
                continue;
            }
            zeros[c] = pack->b_zeros[c] - (pack->b_is_u8 ? 128 : 0);
            correction[c] = 0;
            if (isa->group == 4) {
                /* sum (x - zx)(w - zw) = sum xw - zw sum x - zx (sum w - K zw), K with its padding
                 */
                int64_t k = pack->units * 4;
                uint32_t w = (uint32_t)sum - (uint32_t)k * (uint32_t)zeros[c];
                correction[c] = (int32_t)(0 - (uint32_t)pack->a_zero * w);
                matter = matter || zeros[c] != 0;
            }
        }
    }
    return matter;
}
