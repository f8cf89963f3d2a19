/* SPDX-License-Identifier: Apache-2.0 */
/* peak.h -- how fast can one core multiply and add? Measured, because nobody's data sheet knows
 * this machine's clock. */
#ifndef CLI_PEAK_H
#define CLI_PEAK_H

/* f32 FLOP per second of one core (a fused multiply-add is two), the best of several short runs,
 * about 50 ms in all; the widest vectors that the CPU has. what is FILLED with their name
 * ("AVX-512", "AVX2", "plain C"). */
double cli_peak_flops(const char **what);

#endif
