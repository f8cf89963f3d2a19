/* SPDX-License-Identifier: Apache-2.0 */
/* peak.h -- how fast can one core multiply and add? Measured, because nobody's data sheet knows
 * this machine's clock. */
#ifndef CLI_PEAK_H
#define CLI_PEAK_H

/* Multiply-accumulates per second of one core, the best of several short runs, with the widest
 * vectors of the rung in use (LEDGE_CPU lowers it). */
struct cli_peak {
    double f32;      /* fused multiply-adds */
    double i8;       /* u8 times s8 into 32 bits */
    const char *how; /* static: "AVX-512 and VNNI", "AVX2", ... */
};

/* About 30 ms. */
struct cli_peak cli_peak_measure(void);

#endif
