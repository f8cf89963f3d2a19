/* SPDX-License-Identifier: Apache-2.0 */
/* i8_shared.h -- the 8-bit loops that the rungs of one width have from i8_<width>_bytes.c, since
 * they do not depend on how bytes are multiplied, and their names in i8.tmpl.h. A rung's file says
 * beforehand whose they are: SHARED_ISA. */
#ifndef LEDGE_ENGINE_KERNELS_I8_SHARED_H
#define LEDGE_ENGINE_KERNELS_I8_SHARED_H

#include "engine/kernels/i8.h"

#define LEDGE_I8_SHARED(isa)                                                                       \
    void ledge_i8_##isa##_finish(const struct ledge_finish_i8 *f);                                 \
    bool ledge_i8_##isa##_sum_agrees(const struct ledge_sum_i8 *sum,                               \
                                     const struct ledge_epilogue_i8 *own, int32_t low,             \
                                     int32_t high, int32_t *at);                                   \
    void ledge_i8_##isa##_binary(const struct ledge_binary_i8 *p, const uint8_t *a,                \
                                 const uint8_t *b, int64_t n, uint8_t *y);                         \
    void ledge_i8_##isa##_fixed_binary(const struct ledge_fixed_binary_i8 *p, const uint8_t *a,    \
                                       const uint8_t *b, int64_t n, uint8_t *y);                   \
    void ledge_i8_##isa##_quantize(const float *x, int64_t n, float scale,                         \
                                   const struct ledge_range_i8 *out, uint8_t *y);                  \
    void ledge_i8_##isa##_add_pixels(const uint8_t *x, int64_t pixels, int64_t step, int64_t n,    \
                                     uint8_t flip, int32_t *sums);

void ledge_i8_avx512_largest(const struct ledge_largest_i8 *l);

LEDGE_I8_SHARED(avx2)
LEDGE_I8_SHARED(avx512)
void ledge_i8_avx2_lookup(const uint8_t *table, const uint8_t *x, uint8_t *y, int64_t rows,
                          int64_t n, int64_t ld);

#define SHARED_NAME(isa, loop) ledge_i8_##isa##_##loop
#define SHARED(isa, loop)      SHARED_NAME(isa, loop)
#define FINISH                 SHARED(SHARED_ISA, finish)
#define SUM_AGREES             SHARED(SHARED_ISA, sum_agrees)
#define BINARY                 SHARED(SHARED_ISA, binary)
#define FIXED_BINARY           SHARED(SHARED_ISA, fixed_binary)
#define QUANTIZE               SHARED(SHARED_ISA, quantize)
#define ADD_PIXELS             SHARED(SHARED_ISA, add_pixels)

#endif
