/* SPDX-License-Identifier: Apache-2.0 */
/* onnx_number.h -- any element as a number and back, for operators that take every type and are not
 * worth a loop per type. Real types travel as double, whole ones as int64 (u64 keeps its bits).
 * Stored 8-bit floats saturate, stored whole numbers keep their low bits. */
#ifndef LEDGE_ENGINE_KERNELS_ONNX_NUMBER_H
#define LEDGE_ENGINE_KERNELS_ONNX_NUMBER_H

#include <stdbool.h>

#include "engine/kernels/onnx_tiny.h"

static inline bool ledge_is_real(enum ledge_dtype dtype)
{
    return dtype == LEDGE_F32 || dtype == LEDGE_F64 || dtype == LEDGE_F16 || dtype == LEDGE_BF16 ||
           ledge_is_tiny_real(dtype);
}

/* Towards zero, saturating; NaN is 0. */
int64_t ledge_cut(double value);

/* n elements from element `at` of data. A real type read as int64 is cut towards zero, saturating,
 * NaN is 0. */
void ledge_load_real(const void *data, enum ledge_dtype dtype, int64_t at, int64_t n, double *out);
void ledge_load_whole(const void *data, enum ledge_dtype dtype, int64_t at, int64_t n,
                      int64_t *out);
void ledge_store_real(const double *in, int64_t n, void *data, enum ledge_dtype dtype, int64_t at);
void ledge_store_whole(const int64_t *in, int64_t n, void *data, enum ledge_dtype dtype,
                       int64_t at);

#endif
