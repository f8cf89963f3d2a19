/* SPDX-License-Identifier: Apache-2.0 */
/* quantizer.c -- definitions stand in quantizer.h. */
#include "compress/quantizer.h"

#include <float.h>
#include <math.h>

/* Below this a scale would be denormal or its reciprocal infinite: the tensor is treated as all
 * zero. */
static const double SMALLEST_SCALE = FLT_MIN * 1024;

static double clamped(double x, double low, double high)
{
    return x < low ? low : x > high ? high : x;
}

struct compress_affine compress_affine_of(struct compress_range range, int32_t q_low,
                                          int32_t q_high)
{
    double low = fmin(range.low, 0);
    double high = fmax(range.high, 0);
    double scale = (high - low) / ((double)q_high - q_low);
    if (!(scale > SMALLEST_SCALE)) {
        scale = 1;
        low = 0;
    }
    struct compress_affine affine = {.scale = (float)scale, .q_low = q_low, .q_high = q_high};
    affine.zero_point =
        (int32_t)clamped(nearbyint(q_low - low / (double)affine.scale), q_low, q_high);
    return affine;
}

struct compress_affine compress_affine_symmetric(double max_abs)
{
    double scale = max_abs / 127;
    return (struct compress_affine){
        .scale = scale > SMALLEST_SCALE ? (float)scale : 1.0f, .q_low = -127, .q_high = 127};
}

struct compress_range compress_affine_range(const struct compress_affine *affine)
{
    return (struct compress_range){
        .low = (double)affine->scale * (affine->q_low - affine->zero_point),
        .high = (double)affine->scale * (affine->q_high - affine->zero_point)};
}

int32_t compress_quantize(float x, const struct compress_affine *affine)
{
    /* Dividing in float is ONNX's definition; the sum with the zero point is exact in double. */
    double q = nearbyint((double)(x / affine->scale)) + affine->zero_point;
    return (int32_t)clamped(q, affine->q_low, affine->q_high);
}

float compress_dequantize(int32_t q, const struct compress_affine *affine)
{
    return affine->scale * (float)(q - affine->zero_point);
}

struct compress_slice compress_slice_of(const int64_t *dims, int32_t rank, int32_t axis,
                                        int64_t index, size_t *offset)
{
    size_t outer = 1;
    size_t inner = 1;
    for (int32_t i = 0; i < rank; i++) {
        outer *= i < axis ? (size_t)dims[i] : 1;
        inner *= i > axis ? (size_t)dims[i] : 1;
    }
    *offset = (size_t)index * inner;
    return (struct compress_slice){
        .count = outer * inner, .run = inner, .stride = inner * (size_t)dims[axis]};
}

static size_t place(const struct compress_slice *slice, size_t i)
{
    return i / slice->run * slice->stride + i % slice->run;
}

double compress_slice_max_abs(const float *w, const struct compress_slice *slice)
{
    double most = 0;
    for (size_t i = 0; i < slice->count; i++) {
        most = fmax(most, fabs((double)w[place(slice, i)]));
    }
    return most;
}

void compress_slice_quantize(const float *w, const struct compress_slice *slice,
                             const struct compress_affine *affine, int8_t *q)
{
    for (size_t i = 0; i < slice->count; i++) {
        size_t at = place(slice, i);
        q[at] = (int8_t)compress_quantize(w[at], affine);
    }
}

bool compress_fit_bias(float bias, float x_scale, struct compress_affine *weights)
{
    /* A little below 2^31 - 1: the scale is rounded to float afterwards. */
    double least = fabs((double)bias) / ((double)x_scale * 2147483000.0);
    if (!((double)weights->scale < least)) {
        return false;
    }
    weights->scale = nextafterf((float)least, INFINITY);
    return true;
}

int32_t compress_quantize_bias(float bias, float x_scale, float w_scale)
{
    double q = nearbyint((double)bias / ((double)x_scale * (double)w_scale));
    return (int32_t)clamped(q, -2147483647.0, 2147483647.0);
}
