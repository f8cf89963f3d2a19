/* SPDX-License-Identifier: Apache-2.0 */
/* number.c -- see number.h. Elements are read and written by memcpy: arrays may be unaligned. */
#include "serve/number.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

static uint32_t float_bits(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof(bits));
    return bits;
}

static float bits_float(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

uint16_t serve_bf16_of(float value)
{
    uint32_t bits = float_bits(value);
    if (isnan(value)) {
        return (uint16_t)((bits >> 16) | 0x40u);
    }
    return (uint16_t)((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

float serve_bf16_to(uint16_t bits)
{
    return bits_float((uint32_t)bits << 16);
}

/* value = m * 2^-24 for numbers below the least normal binary16; else the exponent is moved from
 * bias 127 to bias 15 and 13 bits of the fraction are rounded away. A carry of the rounding runs
 * into the exponent, which is what it should do. */
uint16_t serve_f16_of(float value)
{
    uint32_t bits = float_bits(value);
    uint32_t sign = (bits >> 16) & 0x8000u;
    uint32_t magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u) {
        return (uint16_t)(sign | 0x7e00u);
    }
    if (magnitude >= 0x47800000u) { /* 65536 and up */
        return (uint16_t)(sign | 0x7c00u);
    }
    if (magnitude < 0x38800000u) { /* below 2^-14 */
        return (uint16_t)(sign | (uint32_t)lrintf(bits_float(magnitude) * 16777216.0f));
    }
    uint32_t moved = magnitude - (112u << 23);
    return (uint16_t)(sign | ((moved + 0xfffu + ((moved >> 13) & 1u)) >> 13));
}

float serve_f16_to(uint16_t bits)
{
    uint32_t sign = (uint32_t)(bits & 0x8000u) << 16;
    uint32_t exponent = (bits >> 10) & 31u;
    uint32_t fraction = bits & 1023u;
    if (exponent == 31) {
        return bits_float(sign | 0x7f800000u | (fraction << 13));
    }
    if (exponent == 0) {
        float magnitude = (float)fraction / 16777216.0f;
        return sign != 0 ? -magnitude : magnitude;
    }
    return bits_float(sign | ((exponent + 112u) << 23) | (fraction << 13));
}

static bool store_real(double value, enum ledge_dtype dtype, uint8_t *at)
{
    float narrow = (float)value;
    bool fits = isfinite(narrow);
    uint16_t half = 0;
    switch (dtype) {
    case LEDGE_F64:
        memcpy(at, &value, sizeof(value));
        return true;
    case LEDGE_F32:
        memcpy(at, &narrow, sizeof(narrow));
        return fits;
    case LEDGE_F16:
        half = serve_f16_of(narrow);
        memcpy(at, &half, sizeof(half));
        return fits && (half & 0x7c00u) != 0x7c00u;
    default: /* LEDGE_BF16 */
        half = serve_bf16_of(narrow);
        memcpy(at, &half, sizeof(half));
        return fits && (half & 0x7f80u) != 0x7f80u;
    }
}

static bool store_whole(int64_t value, enum ledge_dtype dtype, uint8_t *at)
{
    static const struct {
        enum ledge_dtype dtype;
        int64_t low, high;
    } ranges[] = {
        {LEDGE_U8, 0, UINT8_MAX},   {LEDGE_I8, INT8_MIN, INT8_MAX},
        {LEDGE_U16, 0, UINT16_MAX}, {LEDGE_I16, INT16_MIN, INT16_MAX},
        {LEDGE_U32, 0, UINT32_MAX}, {LEDGE_I32, INT32_MIN, INT32_MAX},
        {LEDGE_U64, 0, INT64_MAX},  {LEDGE_I64, INT64_MIN, INT64_MAX},
        {LEDGE_BOOL, 0, 1},         {LEDGE_U4, 0, 15},
        {LEDGE_I4, -8, 7},          {LEDGE_U2, 0, 3},
        {LEDGE_I2, -2, 1},
    };
    for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
        if (ranges[i].dtype == dtype) {
            /* Little-endian: the low bytes of the 64-bit value are the value of the narrow type. */
            memcpy(at, &value, ledge_dtype_size(dtype));
            return value >= ranges[i].low && value <= ranges[i].high;
        }
    }
    return false;
}

static bool is_real(enum ledge_dtype dtype)
{
    return dtype == LEDGE_F32 || dtype == LEDGE_F64 || dtype == LEDGE_F16 || dtype == LEDGE_BF16;
}

bool serve_number_store(const json_t *value, enum ledge_dtype dtype, void *array, int64_t index)
{
    uint8_t *at = (uint8_t *)array + (size_t)index * ledge_dtype_size(dtype);
    if (is_real(dtype)) {
        return json_is_number(value) && store_real(json_number_value(value), dtype, at);
    }
    if (json_is_boolean(value)) {
        return dtype == LEDGE_BOOL && store_whole(json_is_true(value) ? 1 : 0, dtype, at);
    }
    if (json_is_real(value)) {
        double real = json_real_value(value);
        /* 2^63 is the first double that an int64_t cannot hold. */
        return real == floor(real) && real >= -0x1p63 && real < 0x1p63 &&
               store_whole((int64_t)real, dtype, at);
    }
    return json_is_integer(value) && store_whole(json_integer_value(value), dtype, at);
}

/* The bits of an integer element, sign-extended for signed types. */
static uint64_t load_whole(enum ledge_dtype dtype, const uint8_t *at)
{
    uint64_t bits = 0;
    size_t size = ledge_dtype_size(dtype);
    memcpy(&bits, at, size);
    bool is_signed = dtype == LEDGE_I8 || dtype == LEDGE_I16 || dtype == LEDGE_I32 ||
                     dtype == LEDGE_I4 || dtype == LEDGE_I2;
    if (is_signed && (bits >> (8 * size - 1)) != 0) {
        bits |= ~(uint64_t)0 << (8 * size);
    }
    return bits;
}

double serve_number_load(enum ledge_dtype dtype, const void *array, int64_t index)
{
    const uint8_t *at = (const uint8_t *)array + (size_t)index * ledge_dtype_size(dtype);
    float narrow = 0;
    double wide = 0;
    uint16_t half = 0;
    switch (dtype) {
    case LEDGE_F32:
        memcpy(&narrow, at, sizeof(narrow));
        return (double)narrow;
    case LEDGE_F64:
        memcpy(&wide, at, sizeof(wide));
        return wide;
    case LEDGE_F16:
        memcpy(&half, at, sizeof(half));
        return (double)serve_f16_to(half);
    case LEDGE_BF16:
        memcpy(&half, at, sizeof(half));
        return (double)serve_bf16_to(half);
    case LEDGE_U64:
        return (double)load_whole(dtype, at);
    default:
        return (double)(int64_t)load_whole(dtype, at);
    }
}

void serve_number_print(enum ledge_dtype dtype, const void *array, int64_t index,
                        struct ledge_buf *out)
{
    if (is_real(dtype)) {
        double value = serve_number_load(dtype, array, index);
        if (!isfinite(value)) {
            ledge_buf_text(out, "null");
        } else {
            ledge_buf_printf(out, "%.*g", dtype == LEDGE_F64 ? 17 : 9, value);
        }
        return;
    }
    const uint8_t *at = (const uint8_t *)array + (size_t)index * ledge_dtype_size(dtype);
    uint64_t bits = load_whole(dtype, at);
    if (dtype == LEDGE_BOOL) {
        ledge_buf_text(out, bits != 0 ? "true" : "false");
    } else if (dtype == LEDGE_U64) {
        ledge_buf_printf(out, "%" PRIu64, bits);
    } else {
        ledge_buf_printf(out, "%" PRId64, (int64_t)bits);
    }
}
