/* SPDX-License-Identifier: Apache-2.0 */
/* quantizer.h -- the affine quantiser: real = scale * (q - zero_point).
 *
 * Rounding is half to even and values saturate (ONNX QuantizeLinear); scales are worked out in
 * double and stored as float. Pure arithmetic: no memory, no state, any thread. Source: Jacob et
 * al., "Quantization and Training of Neural Networks", 2018, section 2; ONNX operator
 * QuantizeLinear.
 */
#ifndef COMPRESS_QUANTIZER_H
#define COMPRESS_QUANTIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Interval of real values. */
struct compress_range {
    double low;
    double high;
};

struct compress_affine {
    float scale; /* > 0 and normal */
    int32_t zero_point;
    int32_t q_low, q_high; /* range of q, e.g. 0..255 */
};

/* The quantiser whose q_low..q_high covers range. The range is first widened to hold 0, which then
 * is exactly zero_point. A range that is (almost) empty gives scale 1 and the zero point of 0. */
struct compress_affine compress_affine_of(struct compress_range range, int32_t q_low,
                                          int32_t q_high);

/* Symmetric: zero_point 0, q -127..127; scale 1 when max_abs is (almost) 0 (a dead channel). */
struct compress_affine compress_affine_symmetric(double max_abs);

/* The largest real values that q can stand for. */
struct compress_range compress_affine_range(const struct compress_affine *affine);

int32_t compress_quantize(float x, const struct compress_affine *affine);
float compress_dequantize(int32_t q, const struct compress_affine *affine);

/* Weights of one channel: count elements at w, w + stride, ... in blocks: element i is
 * w[(i / run) * stride + i % run], which describes a slice along any axis of a row-major tensor.
 *   q       FILLED in the same places
 *   affine  symmetric, from compress_affine_symmetric()
 */
struct compress_slice {
    size_t count;
    size_t run;
    size_t stride;
};

/* Slice number index of dims[0..rank) along axis. *offset is where it starts. */
struct compress_slice compress_slice_of(const int64_t *dims, int32_t rank, int32_t axis,
                                        int64_t index, size_t *offset);

double compress_slice_max_abs(const float *w, const struct compress_slice *slice);
void compress_slice_quantize(const float *w, const struct compress_slice *slice,
                             const struct compress_affine *affine, int8_t *q);

/* A weight scale that a bias can live with: bias is stored as int32 with scale x_scale * w_scale;
 * where it would pass 2^31 - 1 the weight scale is raised until it fits. True when it was raised.
 */
bool compress_fit_bias(float bias, float x_scale, struct compress_affine *weights);

/* bias / (x_scale * w_scale), rounded half to even; the caller has called compress_fit_bias(). */
int32_t compress_quantize_bias(float bias, float x_scale, float w_scale);

#endif
