/* SPDX-License-Identifier: Apache-2.0 */
/* onnx_number.c -- see onnx_number.h. */
#include "engine/kernels/onnx_number.h"

#include <math.h>

#include "engine/kernels/onnx_half.h"

#include "base/banned.h"

int64_t ledge_cut(double value)
{
    if (isnan(value)) {
        return 0;
    }
    if (value >= 0x1p63) {
        return INT64_MAX;
    }
    return value <= -0x1p63 ? INT64_MIN : (int64_t)value;
}

static uint16_t f16_of(double value)
{
    return ledge_to_f16((float)value);
}

static uint16_t bf16_of(double value)
{
    return ledge_to_bf16((float)value);
}

static bool is_tiny_whole(enum ledge_dtype dtype)
{
    return dtype == LEDGE_U4 || dtype == LEDGE_I4 || dtype == LEDGE_U2 || dtype == LEDGE_I2;
}

static double load_tiny(const void *data, enum ledge_dtype dtype, int64_t at)
{
    if (dtype == LEDGE_STRING) { /* not zero unless it is empty */
        return ((const struct ledge_string *)data)[at].bytes > 0;
    }
    uint8_t bits = ((const uint8_t *)data)[at];
    return is_tiny_whole(dtype)        ? (double)ledge_tiny_whole(bits, dtype)
           : ledge_is_tiny_real(dtype) ? ledge_tiny_decode(bits, dtype)
                                       : 0;
}

static void store_tiny(double value, void *data, enum ledge_dtype dtype, int64_t at)
{
    uint8_t *to = (uint8_t *)data + at;
    if (is_tiny_whole(dtype)) {
        *to = (uint8_t)ledge_tiny_whole(ledge_cut(value), dtype);
    } else if (ledge_is_tiny_real(dtype)) {
        *to = ledge_tiny_encode(value, dtype, true, LEDGE_ROUND_UP);
    }
}

/* X(dtype, T, load as double, store from double) */
#define REAL_TYPES(X)                                                                              \
    X(F32, float, (double), (float))                                                               \
    X(F64, double, (double), (double))                                                             \
    X(F16, uint16_t, (double)ledge_from_f16, f16_of)                                               \
    X(BF16, uint16_t, (double)ledge_from_bf16, bf16_of)
#define WHOLE_TYPES(X)                                                                             \
    X(U8, uint8_t)                                                                                 \
    X(I8, int8_t)                                                                                  \
    X(U16, uint16_t)                                                                               \
    X(I16, int16_t)                                                                                \
    X(I32, int32_t)                                                                                \
    X(U32, uint32_t)                                                                               \
    X(I64, int64_t)                                                                                \
    X(U64, uint64_t)

#define EACH(T, expression)                                                                        \
    {                                                                                              \
        const T *v = (const T *)data + at;                                                         \
        for (int64_t i = 0; i < n; i++) {                                                          \
            out[i] = expression;                                                                   \
        }                                                                                          \
        return;                                                                                    \
    }

void ledge_load_real(const void *data, enum ledge_dtype dtype, int64_t at, int64_t n, double *out)
{
    switch (dtype) {
#define CASE(D, T, LOAD, STORE)                                                                    \
    case LEDGE_##D:                                                                                \
        EACH(T, LOAD(v[i]))
        REAL_TYPES(CASE)
#undef CASE
#define CASE(D, T)                                                                                 \
    case LEDGE_##D:                                                                                \
        EACH(T, (double)v[i])
        WHOLE_TYPES(CASE)
#undef CASE
    case LEDGE_BOOL:
        EACH(uint8_t, v[i] != 0)
    default:
        for (int64_t i = 0; i < n; i++) {
            out[i] = load_tiny(data, dtype, at + i);
        }
        return;
    }
}

void ledge_load_whole(const void *data, enum ledge_dtype dtype, int64_t at, int64_t n, int64_t *out)
{
    switch (dtype) {
#define CASE(D, T, LOAD, STORE)                                                                    \
    case LEDGE_##D:                                                                                \
        EACH(T, ledge_cut(LOAD(v[i])))
        REAL_TYPES(CASE)
#undef CASE
#define CASE(D, T)                                                                                 \
    case LEDGE_##D:                                                                                \
        EACH(T, (int64_t)v[i])
        WHOLE_TYPES(CASE)
#undef CASE
    case LEDGE_BOOL:
        EACH(uint8_t, v[i] != 0)
    default:
        for (int64_t i = 0; i < n; i++) {
            out[i] = ledge_cut(load_tiny(data, dtype, at + i));
        }
        return;
    }
}

#undef EACH
#define EACH(T, expression)                                                                        \
    {                                                                                              \
        T *v = (T *)data + at;                                                                     \
        for (int64_t i = 0; i < n; i++) {                                                          \
            v[i] = expression;                                                                     \
        }                                                                                          \
        return;                                                                                    \
    }

void ledge_store_real(const double *in, int64_t n, void *data, enum ledge_dtype dtype, int64_t at)
{
    switch (dtype) {
#define CASE(D, T, LOAD, STORE)                                                                    \
    case LEDGE_##D:                                                                                \
        EACH(T, STORE(in[i]))
        REAL_TYPES(CASE)
#undef CASE
#define CASE(D, T)                                                                                 \
    case LEDGE_##D:                                                                                \
        EACH(T, (T)ledge_cut(in[i]))
        WHOLE_TYPES(CASE)
#undef CASE
    case LEDGE_BOOL:
        EACH(uint8_t, in[i] != 0)
    default:
        for (int64_t i = 0; i < n; i++) {
            store_tiny(in[i], data, dtype, at + i);
        }
        return;
    }
}

void ledge_store_whole(const int64_t *in, int64_t n, void *data, enum ledge_dtype dtype, int64_t at)
{
    switch (dtype) {
#define CASE(D, T, LOAD, STORE)                                                                    \
    case LEDGE_##D:                                                                                \
        EACH(T, STORE((double)in[i]))
        REAL_TYPES(CASE)
#undef CASE
#define CASE(D, T)                                                                                 \
    case LEDGE_##D:                                                                                \
        EACH(T, (T)in[i])
        WHOLE_TYPES(CASE)
#undef CASE
    case LEDGE_BOOL:
        EACH(uint8_t, in[i] != 0)
    default:
        for (int64_t i = 0; i < n; i++) {
            store_tiny((double)in[i], data, dtype, at + i);
        }
        return;
    }
}
