/* SPDX-License-Identifier: Apache-2.0 */
/* bf16.c -- see bf16.h. */
#include "engine/kernels/bf16.h"

#include "engine/kernels/onnx_half.h"

#include "base/banned.h"

void ledge_bf16_narrow(const float *restrict from, int64_t n, uint16_t *restrict to)
{
    for (int64_t i = 0; i < n; i++) {
        to[i] = ledge_to_bf16(from[i]);
    }
}

void ledge_bf16_widen(const uint16_t *restrict from, int64_t n, float *restrict to)
{
    for (int64_t i = 0; i < n; i++) {
        to[i] = ledge_from_bf16(from[i]);
    }
}
