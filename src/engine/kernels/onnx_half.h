/* SPDX-License-Identifier: Apache-2.0 */
/* onnx_half.h -- f16 (IEEE 754 binary16) and bf16 <-> f32, round to nearest even. */
#ifndef LEDGE_ENGINE_KERNELS_ONNX_HALF_H
#define LEDGE_ENGINE_KERNELS_ONNX_HALF_H

#include "engine/kernels/real.h"

static inline float ledge_from_f16(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000) << 16;
    uint32_t exponent = half >> 10 & 31;
    uint32_t fraction = half & 1023;
    if (exponent == 31) {
        return ledge_float_of_bits(sign | 0x7f800000 | fraction << 13);
    }
    if (exponent == 0) {
        float value = (float)fraction * 0x1p-24f;
        return sign != 0 ? -value : value;
    }
    return ledge_float_of_bits(sign | (exponent + 112) << 23 | fraction << 13);
}

static inline uint16_t ledge_to_f16(float value)
{
    uint32_t bits = ledge_bits_of_float(value);
    uint16_t sign = (uint16_t)(bits >> 16 & 0x8000);
    uint32_t magnitude = bits & 0x7fffffff;
    if (magnitude > 0x7f800000) {
        return sign | 0x7e00;
    }
    if (magnitude >= 0x477ff000) { /* 65520 and more round to infinity */
        return sign | 0x7c00;
    }
    if (magnitude < 0x38800000) { /* below 2^-14: adding 0.5 aligns the fraction and rounds it */
        return sign |
               (uint16_t)(ledge_bits_of_float(ledge_float_of_bits(magnitude) + 0.5f) - 0x3f000000);
    }
    uint32_t odd = magnitude >> 13 & 1;
    return sign | (uint16_t)((magnitude - 0x38000000 + 0xfff + odd) >> 13);
}

static inline float ledge_from_bf16(uint16_t half)
{
    return ledge_float_of_bits((uint32_t)half << 16);
}

static inline uint16_t ledge_to_bf16(float value)
{
    uint32_t bits = ledge_bits_of_float(value);
    if ((bits & 0x7fffffff) > 0x7f800000) {
        return (uint16_t)(bits >> 16 | 0x40);
    }
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

#endif
