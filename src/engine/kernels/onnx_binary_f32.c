/* SPDX-License-Identifier: Apache-2.0 */
/* onnx_binary_f32.c -- inner loops of onnx_binary.c for the arithmetic of f32 that models are full
 * of: made of vectors, one loop for each way to repeat an operand. */
#include <math.h>

#include "base/banned.h"
#include "engine/kernels/onnx.h"

#define DEFINE_INNER(NAME, EXPR)                                                                   \
    void NAME(const void *pa, const void *pb, void *po, int64_t n, int64_t sa, int64_t sb)         \
    {                                                                                              \
        const float *va = pa, *vb = pb;                                                            \
        float *vo = po, a = va[0], b = vb[0];                                                      \
        if (sa == sb) { /* n is 1 where both are repeated */                                       \
            LEDGE_IN_STEP                                                                          \
            for (int64_t i = 0; i < n; i++) {                                                      \
                a = va[i];                                                                         \
                b = vb[i];                                                                         \
                vo[i] = EXPR;                                                                      \
            }                                                                                      \
        } else if (sb == 0) {                                                                      \
            LEDGE_IN_STEP                                                                          \
            for (int64_t i = 0; i < n; i++) {                                                      \
                a = va[i];                                                                         \
                vo[i] = EXPR;                                                                      \
            }                                                                                      \
        } else {                                                                                   \
            LEDGE_IN_STEP                                                                          \
            for (int64_t i = 0; i < n; i++) {                                                      \
                b = vb[i];                                                                         \
                vo[i] = EXPR;                                                                      \
            }                                                                                      \
        }                                                                                          \
    }

DEFINE_INNER(ledge_Add_f32, a + b)
DEFINE_INNER(ledge_Sub_f32, a - b)
DEFINE_INNER(ledge_Mul_f32, a *b)
DEFINE_INNER(ledge_Div_f32, a / b)
DEFINE_INNER(ledge_Max_f32, a > b || isnan(a) ? a : b)
DEFINE_INNER(ledge_Min_f32, a < b || isnan(a) ? a : b)
