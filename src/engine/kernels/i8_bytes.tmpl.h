/* SPDX-License-Identifier: Apache-2.0 */
/* i8_bytes.tmpl.h -- the 8-bit loops that do not depend on how bytes are multiplied: from sums to
 * bytes, and from bytes to bytes. Part of i8.tmpl.h, or of a file that rungs of one width share:
 * i8_<width>_bytes.c, which ends with I8_SHARED(width) (i8_shared.h). */
#include <string.h>

#include "engine/kernels/i8.h"
#include "engine/kernels/loop_words.h"
#include "engine/port/select.h"

#include "engine/kernels/i8_finish.tmpl.h"

#include "engine/kernels/i8_each.tmpl.h"

#ifndef FEW_LOOPS
#include "engine/kernels/i8_sum.tmpl.h"
#endif

#define I8_SHARED(isa)                                                                             \
    void ledge_i8_##isa##_finish(const struct ledge_finish_i8 *f)                                  \
    {                                                                                              \
        run_finish_or_sum(f);                                                                      \
    }                                                                                              \
                                                                                                   \
    bool ledge_i8_##isa##_sum_agrees(const struct ledge_sum_i8 *sum,                               \
                                     const struct ledge_epilogue_i8 *own, int32_t low,             \
                                     int32_t high, int32_t *at)                                    \
    {                                                                                              \
        return run_sum_agrees(sum, own, low, high, at);                                            \
    }                                                                                              \
                                                                                                   \
    void ledge_i8_##isa##_binary(const struct ledge_binary_i8 *p, const uint8_t *a,                \
                                 const uint8_t *b, int64_t n, uint8_t *y)                          \
    {                                                                                              \
        run_binary(p, a, b, n, y);                                                                 \
    }                                                                                              \
                                                                                                   \
    void ledge_i8_##isa##_fixed_binary(const struct ledge_fixed_binary_i8 *p, const uint8_t *a,    \
                                       const uint8_t *b, int64_t n, uint8_t *y)                    \
    {                                                                                              \
        run_fixed_binary(p, a, b, n, y);                                                           \
    }                                                                                              \
                                                                                                   \
    void ledge_i8_##isa##_quantize(const float *x, int64_t n, float scale,                         \
                                   const struct ledge_range_i8 *out, uint8_t *y)                   \
    {                                                                                              \
        run_quantize(x, n, scale, out, y);                                                         \
    }                                                                                              \
                                                                                                   \
    void ledge_i8_##isa##_add_pixels(const uint8_t *x, int64_t pixels, int64_t step, int64_t n,    \
                                     uint8_t flip, int32_t *sums)                                  \
    {                                                                                              \
        run_add_pixels(x, pixels, step, n, flip, sums);                                            \
    }                                                                                              \
    typedef int ledge_i8_##isa##_shared
