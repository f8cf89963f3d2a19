/* SPDX-License-Identifier: Apache-2.0 */
/* onnx_tiny.h -- element types of eight bits and less as numbers and back: the four 8-bit floats of
 * ONNX (e4m3fn, e4m3fnuz, e5m2, e5m2fnuz), f4e2m1, the exponent e8m0, and whole numbers of 4 and 2
 * bits. All take one byte an element; what of it does not belong to the type is ignored.
 *
 * Source: ONNX technical details "Float stored in 8 bits", "4 bit floating point", Cast-25;
 * Micikevicius et al. 2022 (arXiv:2209.05433); OCP Microscaling Formats 1.0, section 5.3. */
#ifndef LEDGE_ENGINE_KERNELS_ONNX_TINY_H
#define LEDGE_ENGINE_KERNELS_ONNX_TINY_H

#include <stdbool.h>

#include "ledge/tensor.h"

enum ledge_tiny_round { LEDGE_ROUND_NEAREST, LEDGE_ROUND_UP, LEDGE_ROUND_DOWN };

static inline bool ledge_is_tiny_real(enum ledge_dtype dtype)
{
    return (dtype >= LEDGE_F8E4M3FN && dtype <= LEDGE_F8E5M2FNUZ) || dtype == LEDGE_F4E2M1 ||
           dtype == LEDGE_F8E8M0;
}

/* Bits of an element in a file: 4 or 2 for packed types, else 8 times its bytes. */
static inline int32_t ledge_dtype_bits(enum ledge_dtype dtype)
{
    return dtype == LEDGE_U4 || dtype == LEDGE_I4 || dtype == LEDGE_F4E2M1 ? 4
           : dtype == LEDGE_U2 || dtype == LEDGE_I2                        ? 2
                                                    : 8 * (int32_t)ledge_dtype_size(dtype);
}

/* Low bits of a byte as a u4, i4, u2 or i2, sign-extended. */
static inline int8_t ledge_tiny_whole(int64_t value, enum ledge_dtype dtype)
{
    switch (dtype) {
    case LEDGE_U4:
        return (int8_t)(value & 15);
    case LEDGE_I4:
        return (int8_t)(((value & 15) ^ 8) - 8);
    case LEDGE_U2:
        return (int8_t)(value & 3);
    default:
        return (int8_t)(((value & 3) ^ 2) - 2);
    }
}

double ledge_tiny_decode(uint8_t bits, enum ledge_dtype dtype);

/* Round to nearest even (f8e8m0: as round says). What is too large becomes the largest number when
 * saturate, else infinity or NaN; f4e2m1 always saturates. */
uint8_t ledge_tiny_encode(double value, enum ledge_dtype dtype, bool saturate,
                          enum ledge_tiny_round round);

#endif
