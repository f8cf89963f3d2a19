/* SPDX-License-Identifier: Apache-2.0 */
/* i8.tmpl.h -- the exact 8-bit loops in terms of `ivec` (i8_<isa>.c); included once by each of
 * them.
 */
#include <string.h>

#include "engine/kernels/i8.h"
#include "engine/kernels/loop_words.h"
#include "engine/port/select.h"

#if defined(UNITS)
#elif I8_GROUP == 4
FAST static void run_row(const uint8_t *src, int64_t n, uint8_t flip, int32_t zero, void *to)
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

FAST static void run_units(const struct ledge_units_i8 *u)
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
FAST static void run_row(const uint8_t *src, int64_t n, uint8_t flip, int32_t zero, void *to)
{
    int16_t *wide = to;
    for (int64_t i = 0; i < n; i++) {
        wide[i] = (int16_t)((src[i] ^ flip) - zero);
    }
}

FAST static void run_units(const struct ledge_units_i8 *u)
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

#ifndef UNITS
#define UNITS run_units
#define ROW   run_row
#endif

#ifndef LOOKUP
#define LOOKUP run_lookup
static void run_lookup(const uint8_t *table, const uint8_t *x, uint8_t *y, int64_t rows, int64_t n,
                       int64_t ld)
{
    for (int64_t r = 0; r < rows; r++, x += ld, y += ld) {
        for (int64_t i = 0; i < n; i++) {
            y[i] = table[x[i]];
        }
    }
}
#endif

#ifndef BYTES
#define TURN  NULL
#define BYTES NULL
#endif

#ifndef WINOGRAD
#define WINOGRAD NULL
#endif

#include "engine/kernels/i8_rows.tmpl.h"
#ifdef finish_tile
#define TILES_FINISH true
#else
#define TILES_FINISH false
#endif
#ifndef FINISH_LOOKS_UP
#define FINISH_LOOKS_UP false
#endif

#ifdef STRIPS
#include "engine/kernels/i8_strips.tmpl.h"
#define STRIPS_LOOP LEDGE_KERNEL(strips_i8, run_strips)
#else
#define STRIPS_LOOP NULL
#endif

#ifndef SLICES
#define SLICES NULL
#endif

#ifndef FINISH
#include "engine/kernels/i8_bytes.tmpl.h"
#ifndef FEW_LOOPS
#define SUM_AGREES run_sum_agrees
#define FINISH     run_finish_or_sum
#else
#define SUM_AGREES NULL
#define FINISH     run_finish
#endif
#define BINARY       run_binary
#define FIXED_BINARY run_fixed_binary
#define QUANTIZE     run_quantize
#define ADD_PIXELS   run_add_pixels
#endif

#ifndef LARGEST
#define LARGEST NULL
#endif

/* clang-format off */
#define I8_KERNELS(isa, its_rung)                                                                  \
    const struct ledge_i8_kernels ledge_i8_##isa = {.rung = (its_rung),                            \
                                                    .lanes = LANES,                                \
                                                    .group = I8_GROUP,                             \
                                                    .units = UNITS,                                \
                                                    .lookup = LEDGE_KERNEL(lookup, LOOKUP), \
                                                    .row = ROW,                                    \
                                                    .sub = SUB,                                    \
                                                    .taps_vectors = TAPS_VECTORS,                  \
                                                    .rows_max = {0, ROWS_MAX},                     \
                                                    .rows = run_rows,                              \
                                                    .finish = FINISH,                              \
                                                    .strips = STRIPS_LOOP,                         \
                                                    LEDGE_KEEP(LEDGE_PART_SUMS)(.sum_agrees = SUM_AGREES, )  \
                                                    .turn = TURN,                                  \
                                                    .bytes = BYTES,                                \
                                                    .winograd = LEDGE_KERNEL(winograd_i8, WINOGRAD), \
                                                    .taps = run_taps,                              \
                                                    .slices = SLICES,                              \
                                                    .row_sums = ROW_SUMS,                          \
                                                    .wide_columns = HAS_WIDE_COLUMNS,              \
                                                    .zipped = HAS_ZIPPED,                          \
                                                    .tiles_finish = TILES_FINISH,                  \
                                                    .finish_looks_up = FINISH_LOOKS_UP,            \
                                                    .binary = LEDGE_KERNEL(binary_i8, BINARY), \
                                                    LEDGE_KEEP(LEDGE_PART_FIXED)(.fixed_binary = FIXED_BINARY, )  \
                                                    .quantize = QUANTIZE,                      \
                                                    .add_pixels = ADD_PIXELS,                  \
                                                    .largest = LARGEST,                        \
                                                    .conv = "conv_i8_" #isa,                       \
                                                    .depthwise = "depthwise_i8_" #isa,             \
                                                    .gemm = "gemm_i8_" #isa,                       \
                                                    .binary_name = "binary_i8_" #isa,              \
                                                    .quantize_name = "quantize_i8_" #isa,          \
                                                    .mean = "mean_i8_" #isa,                       \
                                                    .bands = "bands_i8_" #isa,                     \
                                                    .table = "byte_table_" #isa,                   \
                                                    .strips_name = "strips_i8_" #isa,              \
                                                    .strip_bands = "strip_bands_i8_" #isa,         \
                                                    .max_pool = "max_pool_i8_" #isa}
/* clang-format on */
