/* SPDX-License-Identifier: Apache-2.0 */
/* product_f32.c -- the blocks around the tile: streamed panels stay in cache while resident panels
 * pass by. After Goto and van de Geijn, "Anatomy of high-performance matrix multiplication", 2008.
 */
#include "engine/kernels/product_f32.h"

#include <string.h>

#include "engine/kernels/bf16.h"
#include "engine/kernels/turn.h"

/* Bytes of streamed panels worked on together: they live in the L2 cache. */
enum { GROUP_BYTES = 128 * 1024 };

static int64_t ceil_div(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

/* First row of panel i: heights differ by one at most. */
static int64_t row_at(const struct ledge_f32_kernels *isa, int64_t m, int64_t i)
{
    return i * m / ceil_div(m, isa->mr);
}

static int64_t panel_floats(const struct ledge_f32_kernels *isa, bool a_resident)
{
    return (int64_t)LEDGE_F32_KC * (a_resident ? isa->nr : isa->mr);
}

int64_t ledge_product_f32_streamed(const struct ledge_product_f32 *p)
{
    return p->a_resident ? ceil_div(p->n, p->isa->nr) : ceil_div(p->m, p->isa->mr);
}

int64_t ledge_product_f32_resident(const struct ledge_product_f32 *p)
{
    return p->a_resident ? ceil_div(p->m, p->isa->mr) : ceil_div(p->n, p->isa->nr);
}

int64_t ledge_product_f32_group(const struct ledge_product_f32 *p)
{
    int64_t n = GROUP_BYTES / (4 * panel_floats(p->isa, p->a_resident));
    return n > 1 ? n : 1;
}

size_t ledge_product_f32_scratch(const struct ledge_f32_kernels *isa, bool bf16)
{
    return GROUP_BYTES / 4 + (bf16 ? (size_t)isa->nr * LEDGE_F32_KC : 0);
}

static void multiply(const struct ledge_product_f32 *p, int64_t row, int64_t col, int64_t k0,
                     int64_t kc, const float *a, const float *b, int32_t rows, int32_t cols)
{
    struct ledge_tile_f32 tile = {
        .a = a,
        .b = b,
        .c = p->c + row * p->ldc + col,
        .ldc = p->ldc,
        .k = kc,
        .rows = rows,
        .cols = cols,
        .k_major = p->a_resident,
        .first = k0 == 0 && !p->accumulate,
        .last = k0 + kc == p->k,
        .row_bias = p->row_bias != NULL ? p->row_bias + row : NULL,
        .col_bias = p->col_bias != NULL ? p->col_bias + col : NULL,
        .low = p->clamp.low,
        .high = p->clamp.high,
    };
    p->isa->tile(&tile);
}

static int32_t columns_of(const struct ledge_product_f32 *p, int64_t panel)
{
    int64_t left = p->n - panel * p->isa->nr;
    return (int32_t)(left < p->isa->nr ? left : p->isa->nr);
}

static void block(const struct ledge_product_f32 *p, int64_t s0, int64_t s1, int64_t r0, int64_t r1,
                  int64_t k0, int64_t kc, float *scratch)
{
    int64_t nr = p->isa->nr;
    int64_t size = panel_floats(p->isa, p->a_resident);
    int64_t padded = ceil_div(p->n, nr) * nr;
    for (int64_t r = r0; r < r1; r++) {
        const float *panel = p->a_resident ? NULL : p->resident;
        if (p->resident16 != NULL) {
            float *wide = scratch + GROUP_BYTES / 4;
            ledge_bf16_widen(p->resident16 + k0 * padded + r * nr * kc, nr * kc, wide);
            panel = wide;
        } else if (panel != NULL) {
            panel += k0 * padded + r * nr * kc;
        }
        for (int64_t s = s0; s < s1; s++) {
            const float *streamed = scratch + (s - s0) * size;
            int64_t a_panel = p->a_resident ? r : s;
            int64_t b_panel = p->a_resident ? s : r;
            int64_t row = row_at(p->isa, p->m, a_panel);
            int32_t rows = (int32_t)(row_at(p->isa, p->m, a_panel + 1) - row);
            const float *a = p->a_resident ? p->resident + k0 * p->m + row * kc : streamed;
            const float *b = p->a_resident ? streamed : panel;
            multiply(p, row, b_panel * nr, k0, kc, a, b, rows, columns_of(p, b_panel));
        }
    }
}

void ledge_product_f32_part(const struct ledge_product_f32 *p, int64_t s0, int64_t s1, int64_t r0,
                            int64_t r1, float *scratch)
{
    int64_t size = panel_floats(p->isa, p->a_resident);
    int64_t k0 = 0;
    do {
        int64_t kc = p->k - k0 < LEDGE_F32_KC ? p->k - k0 : LEDGE_F32_KC;
        for (int64_t s = s0; s < s1; s++) {
            int64_t at = p->a_resident ? s * p->isa->nr : row_at(p->isa, p->m, s);
            int64_t end = p->a_resident ? at + columns_of(p, s) : row_at(p->isa, p->m, s + 1);
            p->stream(p->arg, k0, kc, at, end - at, scratch + (s - s0) * size);
        }
        block(p, s0, s1, r0, r1, k0, kc, scratch);
        k0 += kc;
    } while (k0 < p->k);
}

struct share {
    const struct ledge_product_f32 *p;
    int64_t group, groups, streamed;
    int64_t parts, resident;
    float *scratch;
};

static void one_share(void *arg, int32_t index, int32_t worker)
{
    const struct share *s = arg;
    int64_t group = index / s->parts;
    int64_t part = index % s->parts;
    int64_t first = group * s->streamed / s->groups;
    int64_t last = (group + 1) * s->streamed / s->groups;
    float *scratch = s->scratch + (size_t)worker * ledge_product_f32_scratch(
                                                       s->p->isa, s->p->resident16 != NULL);
    ledge_product_f32_part(s->p, first, last, part * s->resident / s->parts,
                           (part + 1) * s->resident / s->parts, scratch);
}

void ledge_product_f32_run(const struct ledge_product_f32 *p, struct ledge_pool *pool,
                           float *scratch)
{
    struct share s = {.p = p, .group = ledge_product_f32_group(p), .parts = 1, .scratch = scratch};
    int64_t threads = ledge_pool_threads(pool);
    s.streamed = ledge_product_f32_streamed(p);
    s.resident = ledge_product_f32_resident(p);
    if (s.streamed == 0 || s.resident == 0) {
        return;
    }
    s.groups = ceil_div(s.streamed, s.group);
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

struct vector_job {
    const struct ledge_f32_kernels *isa;
    const struct ledge_vector_f32 *vector;
};

static void panels_span(void *arg, int32_t first, int32_t last, int32_t worker)
{
    (void)worker;
    const struct vector_job *job = arg;
    struct ledge_vector_f32 part = *job->vector;
    part.first = first;
    part.last = last;
    job->isa->vector(&part);
}

void ledge_vector_f32_run(const struct ledge_f32_kernels *isa,
                          const struct ledge_vector_f32 *vector, struct ledge_pool *pool)
{
    struct vector_job job = {.isa = isa, .vector = vector};
    ledge_pool_spans(pool, (int32_t)vector->panels, panels_span, &job);
}

size_t ledge_product_f32_a_size(int64_t m, int64_t k)
{
    return (size_t)m * (size_t)k;
}

size_t ledge_product_f32_b_size(const struct ledge_f32_kernels *isa, int64_t k, int64_t n)
{
    return (size_t)(ceil_div(n, isa->nr) * isa->nr) * (size_t)k;
}

/* k lines of lanes floats, of which the first `real` are there: float i of line at is from[at *
 * step + i * distance]. */
static void pack_lines(const void *from, int64_t step, int64_t distance, int64_t k, int64_t real,
                       int64_t lanes, float *to)
{
    if (step == 1) {
        ledge_turn_floats(from, distance, real, lanes, k, to, lanes);
        return;
    }
    for (int64_t at = 0; at < k; at++, to += lanes) {
        const char *line = (const char *)from + 4 * at * step;
        if (distance == 1) {
            memcpy(to, line, (size_t)real * sizeof *to);
        }
        for (int64_t i = 0; i < real && distance != 1; i++) {
            to[i] = ledge_float_at(line, i * distance);
        }
        memset(to + real, 0, (size_t)(lanes - real) * sizeof *to);
    }
}

void ledge_product_f32_pack_a(const struct ledge_f32_kernels *isa, const void *a, int64_t a_row,
                              int64_t a_k, int64_t m, int64_t k, float *packed)
{
    for (int64_t k0 = 0; k0 < k; k0 += LEDGE_F32_KC) {
        int64_t kc = k - k0 < LEDGE_F32_KC ? k - k0 : LEDGE_F32_KC;
        for (int64_t i = 0; i < ceil_div(m, isa->mr); i++) {
            int64_t first = row_at(isa, m, i), rows = row_at(isa, m, i + 1) - first;
            pack_lines((const char *)a + 4 * (first * a_row + k0 * a_k), a_k, a_row, kc, rows, rows,
                       packed);
            packed += kc * rows;
        }
    }
}

/* b in panels; element number i of the packed ones goes to floats[i] or, as bf16, to halves[i]. */
static void pack_b(const struct ledge_f32_kernels *isa, const void *b, int64_t b_k, int64_t b_col,
                   int64_t k, int64_t n, float *floats, uint16_t *halves)
{
    const int64_t nr = isa->nr;
    for (int64_t k0 = 0; k0 < k; k0 += LEDGE_F32_KC) {
        int64_t kc = k - k0 < LEDGE_F32_KC ? k - k0 : LEDGE_F32_KC;
        for (int64_t col = 0; col < n; col += nr) {
            int64_t real = n - col < nr ? n - col : nr;
            const char *from = (const char *)b + 4 * (k0 * b_k + col * b_col);
            if (halves == NULL) {
                pack_lines(from, b_k, b_col, kc, real, nr, floats);
                floats += kc * nr;
                continue;
            }
            for (int64_t at = 0; at < kc; at++, halves += nr) {
                float line[LEDGE_TURN_LANES];
                pack_lines(from + 4 * at * b_k, b_k, b_col, 1, real, nr, line);
                ledge_bf16_narrow(line, nr, halves);
            }
        }
    }
}

void ledge_product_f32_pack_b16(const struct ledge_f32_kernels *isa, const void *b, int64_t b_k,
                                int64_t b_col, int64_t k, int64_t n, uint16_t *packed)
{
    pack_b(isa, b, b_k, b_col, k, n, NULL, packed);
}

void ledge_product_f32_pack_b(const struct ledge_f32_kernels *isa, const void *b, int64_t b_k,
                              int64_t b_col, int64_t k, int64_t n, float *packed)
{
    pack_b(isa, b, b_k, b_col, k, n, packed, NULL);
}
