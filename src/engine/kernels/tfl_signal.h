/* SPDX-License-Identifier: Apache-2.0 */
/* tfl_signal.h -- TFLite Micro's operators of an audio front end, in fixed point and bit for bit;
 * and RFFT2D in f32.
 *
 * The chain: window, scale up, transform, energy, mel filter bank, square root, noise subtraction,
 * gain control (PCAN), logarithm. Source: Y. Wang et al., "Trainable Frontend For Robust and
 * Far-Field Keyword Spotting" (2017), and the behaviour of TFLM's kernels.
 */
#ifndef LEDGE_ENGINE_KERNELS_TFL_SIGNAL_H
#define LEDGE_ENGINE_KERNELS_TFL_SIGNAL_H

#include <stdbool.h>

#include "engine/kernels/kernel.h"

/* y = x * window >> shift, saturated; x i16 [...][n], window i16 [n]. */
struct ledge_signal_window_params {
    int64_t n;
    int32_t shift; /* 0 .. 31 */
};
enum ledge_status ledge_signal_window_c(const struct ledge_kernel_call *call);

/* i16 [n] to i16 [n] as large as it gets by a shift, and that shift, i32. No params. */
enum ledge_status ledge_signal_auto_scale_c(const struct ledge_kernel_call *call);

/* i16 [...][n] to i16 [...][length + 2], real and imaginary parts in turn, divided by length.
 * scratch: 2 length i16. */
struct ledge_signal_rfft_params {
    int64_t n, length;       /* length 4 .. 2^15, a power of 2; n at most that */
    const int16_t *twiddles; /* exp(-2 pi i k / (length / 2)), k < length / 2 */
    const int16_t *last;     /* exp(-pi i (k / (length / 2) + 1/2)), k 1 .. length / 4 */
};
enum ledge_status ledge_signal_rfft_c(const struct ledge_kernel_call *call);

/* i16 complex to u32: re^2 + im^2 of first .. end - 1, the rest 0. */
struct ledge_signal_energy_params {
    int64_t first, end;
};
enum ledge_status ledge_signal_energy_c(const struct ledge_kernel_call *call);

/* u32 [n], weights and unweights i16, and of each of channels + 1: first frequency, first weight,
 * width (i16) to u64 [channels]. A weight's rest falls to the next channel. All ranges are inside.
 */
enum ledge_status ledge_signal_filter_bank_c(const struct ledge_kernel_call *call);

/* u64, bits i32 to u32: round(sqrt(x)) >> bits. Errors: ERR_RANGE, bits not 0 .. 31. */
enum ledge_status ledge_signal_square_root_c(const struct ledge_kernel_call *call);

/* u32 [n], old estimate u32 [n] to u32 [n], new estimate. Numbers are fractions of 2^bits; [1] is
 * for odd channels. */
struct ledge_signal_subtract_params {
    uint32_t smoothing[2], rest[2], least;
    int32_t smoothing_bits, bits; /* 0 .. 31 */
    bool clamping;
};
enum ledge_status ledge_signal_subtract_c(const struct ledge_kernel_call *call);

/* u32, noise u32, table i16 [>= 125] to u32. */
struct ledge_signal_pcan_params {
    int32_t shift; /* 0 .. 63 */
};
enum ledge_status ledge_signal_pcan_c(const struct ledge_kernel_call *call);

/* u32 to i16: scale * ln(x << bits). */
struct ledge_signal_log_params {
    uint32_t scale;
    int32_t bits;        /* 0 .. 31 */
    uint16_t table[129]; /* 2^16 (log2(1 + i / 128) - i / 128) */
};
enum ledge_status ledge_signal_log_c(const struct ledge_kernel_call *call);

/* f32 [...][h][w] to f32 [...][rows][columns / 2 + 1][2]: cut or filled with zeros to rows x
 * columns, both powers of 2. twiddles: exp(-2 pi i k / m), k < m / 2, m the larger of the two;
 * scratch: see ledge_tfl_rfft2d_scratch(). */
struct ledge_tfl_rfft2d_params {
    int64_t pictures, in[2], out[2];
    const double *twiddles;
};
size_t ledge_tfl_rfft2d_scratch(const struct ledge_tfl_rfft2d_params *params);
enum ledge_status ledge_tfl_rfft2d_c(const struct ledge_kernel_call *call);

#endif
