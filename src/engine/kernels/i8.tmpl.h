/* SPDX-License-Identifier: Apache-2.0 */
/* i8.tmpl.h -- the exact 8-bit loops in terms of `ivec` (i8_<isa>.c); included once by each of
 * them.
 */
#include <string.h>

#include "engine/kernels/i8.h"

#if defined(__clang__)
#define UNROLL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 32")
#endif
#define INLINE static inline __attribute__((always_inline))

enum { NR = 2 * LANES };

INLINE void tile(const struct ledge_tile_i8 *t, const int rows, const int vectors,
                 const bool k_major, const bool a_weights)
{
    ivec acc[I8_ROWS][2];
    const uint32_t *a = t->a;
    const uint32_t *b = t->b;
    UNROLL
    for (int r = 0; r < rows; r++) {
        UNROLL
        for (int v = 0; v < vectors; v++) {
            acc[r][v] = iv_set1(0);
        }
    }
    for (int64_t k0 = 0; k0 < t->k; k0 += LEDGE_I8_KC) {
        int64_t kc = t->k - k0 < LEDGE_I8_KC ? t->k - k0 : LEDGE_I8_KC;
        const uint32_t *at = a;
        for (int64_t k = 0; k < kc; k++) {
            ivec column[2];
            UNROLL
            for (int v = 0; v < vectors; v++) {
                column[v] = iv_load(b + v * LANES);
            }
            UNROLL
            for (int r = 0; r < rows; r++) {
                ivec x = iv_set1(k_major ? at[r] : at[r * LEDGE_I8_KC]);
                UNROLL
                for (int v = 0; v < vectors; v++) {
                    acc[r][v] = a_weights ? iv_dot(acc[r][v], column[v], x)
                                          : iv_dot(acc[r][v], x, column[v]);
                }
            }
            at += k_major ? rows : 1;
            b += NR;
        }
        a += (int64_t)rows * (k_major ? kc : LEDGE_I8_KC);
    }
    UNROLL
    for (int r = 0; r < rows; r++) {
        UNROLL
        for (int v = 0; v < vectors; v++) {
            iv_store(t->sums + r * NR + v * LANES, acc[r][v]);
        }
    }
}

typedef void (*tile_fn)(const struct ledge_tile_i8 *t);

/* Weights on the left come k-major, activations on the left in rows. */
#define TILES(rows)                                                                                \
    static void tile_##rows##_1_w(const struct ledge_tile_i8 *t)                                   \
    {                                                                                              \
        tile(t, rows, 1, true, true);                                                              \
    }                                                                                              \
    static void tile_##rows##_2_w(const struct ledge_tile_i8 *t)                                   \
    {                                                                                              \
        tile(t, rows, 2, true, true);                                                              \
    }                                                                                              \
    static void tile_##rows##_1_a(const struct ledge_tile_i8 *t)                                   \
    {                                                                                              \
        tile(t, rows, 1, false, false);                                                            \
    }                                                                                              \
    static void tile_##rows##_2_a(const struct ledge_tile_i8 *t)                                   \
    {                                                                                              \
        tile(t, rows, 2, false, false);                                                            \
    }
#define ROW_COUNTS_4(X)  X(1) X(2) X(3) X(4)
#define ROW_COUNTS_6(X)  ROW_COUNTS_4(X) X(5) X(6)
#define ROW_COUNTS_14(X) ROW_COUNTS_6(X) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14)
#define ENTRY(rows)                                                                                \
    {{tile_##rows##_1_w, tile_##rows##_2_w}, {tile_##rows##_1_a, tile_##rows##_2_a}},

ROW_COUNTS(TILES)

static void run_tile(const struct ledge_tile_i8 *t)
{
    static const tile_fn table[I8_ROWS][2][2] = {ROW_COUNTS(ENTRY)};
    table[t->rows - 1][t->k_major ? 0 : 1][t->vectors - 1](t);
}

static void run_requant(const struct ledge_requant_i8 *q)
{
    vec low = v_set1((float)(q->range.low - q->range.zero));
    vec high = v_set1((float)(q->range.high - q->range.zero));
    ivec zero = iv_set1((uint32_t)q->range.zero);
    ivec offset = iv_set1((uint32_t)q->offset[0]);
    vec scale = v_set1(q->scale[0]);
    int64_t i = 0;
    for (; i + LANES <= q->n; i += LANES) {
        if (!q->one) {
            offset = iv_load(q->offset + i);
            scale = v_load(q->scale + i);
        }
        vec x = v_mul(iv_to_float(iv_add(iv_load(q->sums + i), offset)), scale);
        iv_store_bytes(q->y + i, iv_add(iv_round(v_clamp_number(x, low, high)), zero));
    }
    for (; i < q->n; i++) {
        int32_t sum = (int32_t)((uint32_t)q->sums[i] + (uint32_t)q->offset[q->one ? 0 : i]);
        q->y[i] = (uint8_t)ledge_requant(sum, q->scale[q->one ? 0 : i], q->range);
    }
}

#if I8_GROUP == 4
static void run_row(const uint8_t *src, int64_t n, uint8_t flip, int32_t zero, void *to)
{
    (void)zero;
    uint8_t *bytes = to;
    for (int64_t i = 0; i < n; i++) {
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

static void run_units(const struct ledge_units_i8 *u)
{
    static const uint8_t none[1] = {0};
    const uint8_t *src[4];
    int64_t step[4];
    uint32_t flip = 0;
    for (int c = 0; c < 4; c++) {
        src[c] = u->src[c] != NULL ? u->src[c] : none;
        step[c] = u->src[c] != NULL ? u->step : 0;
        flip |= u->src[c] != NULL ? (uint32_t)u->flip << (8 * c) : 0;
    }
    const uint8_t *a = src[0], *b = src[1], *c = src[2], *d = src[3];
    uint32_t *to = u->units;
    int64_t x = 0;
    if (u->step == 1 && u->to_step == 1 && step[2] == 1 && step[3] == 1) {
        for (; x < u->n; x++) {
            to[x] = ((uint32_t)a[x] | (uint32_t)b[x] << 8 | (uint32_t)c[x] << 16 |
                     (uint32_t)d[x] << 24) ^
                    flip;
        }
        return;
    }
    if (u->step == 1 && u->to_step == 1 && step[2] == 1) {
        for (; x < u->n; x++) {
            to[x] = ((uint32_t)a[x] | (uint32_t)b[x] << 8 | (uint32_t)c[x] << 16) ^ flip;
        }
        return;
    }
    if (u->step == 3 && b == a + 1 && c == a + 2 && step[3] == 0) {
        x = units_of_3(u, flip);
    }
    for (; x < u->n; x++) {
        to[x * u->to_step] = ((uint32_t)a[x * step[0]] | (uint32_t)b[x * step[1]] << 8 |
                              (uint32_t)c[x * step[2]] << 16 | (uint32_t)d[x * step[3]] << 24) ^
                             flip;
    }
}
#else
static void run_row(const uint8_t *src, int64_t n, uint8_t flip, int32_t zero, void *to)
{
    int16_t *wide = to;
    for (int64_t i = 0; i < n; i++) {
        wide[i] = (int16_t)((src[i] ^ flip) - zero);
    }
}

static void run_units(const struct ledge_units_i8 *u)
{
    int16_t *to = (int16_t *)(void *)u->units;
    const uint8_t *a = u->src[0];
    const uint8_t *b = u->src[1];
    int64_t step = 2 * u->to_step;
    for (int64_t x = 0; x < u->n; x++) {
        to[step * x] = (int16_t)((a[x * u->step] ^ u->flip) - u->zero);
        to[step * x + 1] = b != NULL ? (int16_t)((b[x * u->step] ^ u->flip) - u->zero) : 0;
    }
}
#endif

#include "engine/kernels/i8_rows.tmpl.h"

#include "engine/kernels/i8_each.tmpl.h"

#define I8_KERNELS(isa, its_rung)                                                                  \
    const struct ledge_i8_kernels ledge_i8_##isa = {.rung = (its_rung),                            \
                                                    .mr = I8_ROWS,                                 \
                                                    .nr = NR,                                      \
                                                    .lanes = LANES,                                \
                                                    .group = I8_GROUP,                             \
                                                    .tile = run_tile,                              \
                                                    .requant = run_requant,                        \
                                                    .units = run_units,                            \
                                                    .row = run_row,                                \
                                                    .sub = SUB,                                    \
                                                    .taps_vectors = TAPS_VECTORS,                  \
                                                    .rows_max = {0, ROWS_MAX},                     \
                                                    .rows = run_rows,                              \
                                                    .finish = run_finish,                          \
                                                    .taps = run_taps,                              \
                                                    .row_sums = ROW_SUMS,                          \
                                                    .columns = HAS_COLUMNS,                        \
                                                    .binary = run_binary,                          \
                                                    .fixed_binary = run_fixed_binary,              \
                                                    .quantize = run_quantize,                      \
                                                    .add_pixels = run_add_pixels,                  \
                                                    .conv = "conv_i8_" #isa,                       \
                                                    .depthwise = "depthwise_i8_" #isa,             \
                                                    .gemm = "gemm_i8_" #isa,                       \
                                                    .binary_name = "binary_i8_" #isa,              \
                                                    .quantize_name = "quantize_i8_" #isa,          \
                                                    .mean = "mean_i8_" #isa}
