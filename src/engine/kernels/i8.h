/* SPDX-License-Identifier: Apache-2.0 */
/* i8.h -- the vectorised inner loops of exact 8-bit products, one table per instruction set
 * (kernels.inc).
 *
 * Operands come in units of 32 bits: `group` neighbours along k. A group is 4 on VNNI (activations
 * u8, weights i8: vpdpbusd does not saturate) and 2 elsewhere (both i16 with their zero points
 * taken off: vpmaddwd cannot overflow). So sums are exact, modulo 2^32, and the same on every path.
 */
#ifndef LEDGE_ENGINE_KERNELS_I8_H
#define LEDGE_ENGINE_KERNELS_I8_H

#include <stdbool.h>

#include "engine/kernels/quant.h"

enum { LEDGE_I8_KC = 256 }; /* units of k in a block of a streamed row */

/* sums[rows][nr] = a * b over k units. */
struct ledge_tile_i8 {
    const uint32_t *a; /* k_major: [k][rows]; else blocks of [rows][LEDGE_I8_KC] */
    const uint32_t *b; /* [k][nr] */
    int32_t *sums;
    int64_t k;
    int32_t rows;    /* 1 .. mr */
    int32_t vectors; /* 1 or 2 */
    bool k_major;
    bool a_weights; /* group 4: a is signed, else b */
};

/* One row of sums to bytes: requantised as quant.h says. */
struct ledge_requant_i8 {
    const int32_t *sums;
    int64_t n;
    const int32_t *offset; /* added first; n of them, or one */
    const float *scale;    /* likewise */
    bool one;              /* offset and scale are the same for all */
    struct ledge_qrange range;
    uint8_t *y; /* or i8 */
};

/* Rows of up to `group` channels, made one row of units: activations as the products want them.
 * Element x of channel c is src[c][x * step]. */
struct ledge_units_i8 {
    const uint8_t *src[4]; /* NULL: no such channel */
    int64_t step;
    int64_t n;
    uint8_t flip; /* 0x80 for i8: read as u8 */
    int32_t zero; /* of the u8 value */
    uint32_t *units;
};

struct ledge_i8_kernels {
    enum ledge_rung rung;
    int32_t mr, nr, lanes, group;
    void (*tile)(const struct ledge_tile_i8 *tile);
    void (*requant)(const struct ledge_requant_i8 *requant);
    void (*units)(const struct ledge_units_i8 *units);
    /* n neighbours along k of one activation row */
    void (*row)(const uint8_t *src, int64_t n, uint8_t flip, int32_t zero, void *to);
    const char *conv, *depthwise, *gemm; /* names for reports */
};

#define LEDGE_KERNELS_I8(isa, rung) extern const struct ledge_i8_kernels ledge_i8_##isa;
#include "engine/kernels/kernels.inc"
#undef LEDGE_KERNELS_I8

/* The highest table that may be used. */
const struct ledge_i8_kernels *ledge_i8_for(enum ledge_rung rung);

#endif
