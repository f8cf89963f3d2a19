/* SPDX-License-Identifier: Apache-2.0 */
/* i8.tmpl.h -- the exact 8-bit loops in terms of `ivec` (i8_<isa>.c); included once by each of
 * them. Who multiplies quads says ROW_SUMS, or on x86
 *
 *   sum_bytes(x, n)   n bytes as two sums of 64 bits; a macro, too
 */
#include <string.h>

#include "engine/kernels/i8.h"
#include "engine/kernels/loop_words.h"
#include "engine/port/select.h"

#if I8_GROUP == 4
#define UNITS ledge_i8_quads_units
#define ROW   ledge_i8_quads_row
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
#define UNITS run_units
#define ROW   run_row
#endif

#ifdef sum_bytes
static void row_sums(const uint8_t *const *x, int64_t rows, int64_t taps, int64_t bytes,
                     int32_t *sums)
{
    for (int64_t r = 0; r < rows; r++) {
        __m128i sum = _mm_setzero_si128();
        for (int64_t t = 0; t < taps; t++) {
            sum = _mm_add_epi64(sum, sum_bytes(x[t * rows + r], bytes));
        }
        sums[r] = (int32_t)(uint32_t)((uint64_t)_mm_cvtsi128_si64(sum) +
                                      (uint64_t)_mm_extract_epi64(sum, 1));
    }
    v_done();
}
#define ROW_SUMS row_sums
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
