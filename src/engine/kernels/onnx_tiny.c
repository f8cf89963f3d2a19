/* SPDX-License-Identifier: Apache-2.0 */
/* onnx_tiny.c -- see onnx_tiny.h. One row of a table says what a format is; codes grow with the
 * magnitude, so a number is its exponent's first code plus its rounded fraction. */
#include "engine/kernels/onnx_tiny.h"

#include <math.h>

#include "engine/kernels/onnx_half.h"

#include "base/banned.h"

struct format {
    int32_t fraction; /* bits */
    int32_t bias;
    uint8_t sign;  /* its bit */
    uint8_t most;  /* code of the largest number */
    uint8_t above; /* code of what lies above it, without saturation */
    uint8_t nan;
    bool unsigned_zero; /* fnuz: there is no -0, its code is NaN */
};

static const struct format formats[] = {
    [LEDGE_F8E4M3FN] = {3, 7, 0x80, 0x7e, 0x7f, 0x7f, false},
    [LEDGE_F8E4M3FNUZ] = {3, 8, 0x80, 0x7f, 0x80, 0x80, true},
    [LEDGE_F8E5M2] = {2, 15, 0x80, 0x7b, 0x7c, 0x7f, false},
    [LEDGE_F8E5M2FNUZ] = {2, 16, 0x80, 0x7f, 0x80, 0x80, true},
    [LEDGE_F4E2M1] = {1, 1, 0x08, 0x07, 0x07, 0x08, false},
};

double ledge_tiny_decode(uint8_t bits, enum ledge_dtype dtype)
{
    if (dtype == LEDGE_F8E8M0) {
        return bits == 0xff ? (double)NAN : ldexp(1.0, (int)bits - 127);
    }
    const struct format *f = &formats[dtype];
    uint8_t code = bits & (uint8_t)(f->sign - 1);
    bool negative = (bits & f->sign) != 0;
    if (f->unsigned_zero && code == 0 && negative) {
        return (double)NAN;
    }
    if (code > f->most) {
        return dtype == LEDGE_F8E5M2 && code == f->above
                   ? (negative ? -(double)INFINITY : (double)INFINITY)
                   : (double)NAN;
    }
    int32_t exponent = code >> f->fraction;
    int32_t fraction = code & ((1 << f->fraction) - 1);
    fraction += exponent > 0 ? 1 << f->fraction : 0;
    double value = ldexp((double)fraction, (exponent > 0 ? exponent : 1) - f->bias - f->fraction);
    return negative ? -value : value;
}

static uint8_t encode_exponent(double value, bool saturate, enum ledge_tiny_round round)
{
    uint32_t bits = ledge_bits_of_float((float)value);
    uint32_t exponent = bits >> 23 & 0xff, fraction = bits & 0x7fffff;
    if (exponent == 0xff) {
        return 0xff;
    }
    bool more = round == LEDGE_ROUND_UP ? fraction > 0
                : round == LEDGE_ROUND_NEAREST
                    ? fraction > 0x400000 || (fraction == 0x400000 && exponent > 0)
                    : false;
    return (uint8_t)(exponent + (more && !(saturate && exponent == 0xfe) ? 1 : 0));
}

uint8_t ledge_tiny_encode(double value, enum ledge_dtype dtype, bool saturate,
                          enum ledge_tiny_round round)
{
    if (dtype == LEDGE_F8E8M0) {
        return encode_exponent(value, saturate, round);
    }
    const struct format *f = &formats[dtype];
    uint8_t sign = signbit(value) ? f->sign : 0;
    double magnitude = fabs(value);
    if (isnan(value)) {
        return f->nan | (f->unsigned_zero ? 0 : sign);
    }
    int exponent = 0, least = 1 - f->bias;
    double code = INFINITY;
    if (magnitude < 0x1p40) {
        (void)frexp(magnitude, &exponent);
        exponent = magnitude > 0 && exponent - 1 > least ? exponent - 1 : least;
        code = rint(ldexp(magnitude, f->fraction - exponent)) +
               (double)((exponent - least) * (1 << f->fraction));
    }
    if (code > (double)f->most) {
        return saturate ? f->most | sign : f->above | sign;
    }
    return code == 0 && f->unsigned_zero ? 0 : (uint8_t)code | sign;
}
