/* SPDX-License-Identifier: Apache-2.0 */
/* onnx_signal.h -- DFT-20, STFT-17, the windows, MelWeightMatrix-17. Transforms on f32, worked out
 * in double. */
#ifndef LEDGE_ENGINE_KERNELS_ONNX_SIGNAL_H
#define LEDGE_ENGINE_KERNELS_ONNX_SIGNAL_H

#include <stdbool.h>

#include "engine/kernels/kernel.h"

struct ledge_complex {
    double re, im;
};

/* Room that a transform of n needs, in numbers: itself, its answer, a butterfly. */
enum { LEDGE_FFT_BUFFERS = 3 };
/* roots[k] = exp(-2 pi i k / n) */
void ledge_fft_roots(struct ledge_complex *roots, int64_t n);
/* The largest prime in n: a transform takes about n times the sum of its primes. */
int64_t ledge_largest_prime(int64_t n);

/* x [outer][n_in][inner][parts] -> y [outer][n_out][inner][out_parts]; n is the length of the
 * transform, its signal is cut or filled with zeros. */
struct ledge_dft {
    int64_t outer, n_in, inner, n, n_out;
    int32_t parts, out_parts; /* 1: real, 2: complex */
    bool inverse;             /* onesided when out_parts is 1 */
    const struct ledge_complex *roots;
};
enum ledge_status ledge_dft_c(const struct ledge_kernel_call *call);

/* in {x [batch][len][parts], step, window [taps] or NULL}; y [batch][frames][bins][2] */
struct ledge_stft {
    int64_t batch, len, step, frames, n, bins, taps;
    int32_t parts;
    const struct ledge_complex *roots;
};
enum ledge_status ledge_stft_c(const struct ledge_kernel_call *call);

/* y[i] = a - b cos(2 pi i / period) + c cos(4 pi i / period) */
struct ledge_window {
    double a, b, c, period;
};
enum ledge_status ledge_window_c(const struct ledge_kernel_call *call);

/* in {bins, dft length, sample rate, lower, upper edge}, y [length / 2 + 1][bins] */
enum ledge_status ledge_mel_c(const struct ledge_kernel_call *call);

#endif
