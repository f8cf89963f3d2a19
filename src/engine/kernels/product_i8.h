/* SPDX-License-Identifier: Apache-2.0 */
/* product_i8.h -- blocked exact 8-bit product around the register tile of i8.h, with the weights
 * resident and the activations streamed. Any operator can use it: QLinearConv, TFLite's, ...
 *
 *   sum[row][col] = sum over k of (activation - its zero) * (weight - its zero), modulo 2^32
 *
 * On VNNI zero points stay in the operands and come off the sums: per weight channel a constant
 * (`correction`, made by packing), and where weights have zero points, that times the sum of the
 * activations. Packing needs the activations' zero point for it.
 *
 *   resident a, m x k: panels of rows, each [units of k][rows]
 *   resident b, k x n: panels of nr columns, each [units of k][nr], 0-padded
 *   streamed b:        [units of k][nr];  streamed a: blocks of [rows][LEDGE_I8_KC units]
 */
#ifndef LEDGE_ENGINE_KERNELS_PRODUCT_I8_H
#define LEDGE_ENGINE_KERNELS_PRODUCT_I8_H

#include "engine/kernels/i8.h"

struct ledge_product_i8 {
    const struct ledge_i8_kernels *isa;
    int64_t m, n, units; /* units of k */
    bool a_resident;
    const uint32_t *resident;
    const int32_t *correction; /* one per weight channel, from packing; NULL: none */
    const int32_t *b_zeros;    /* one per weight channel, when not all 0 on VNNI; else NULL */
    /* Fill a streamed panel of rows or columns at .. at + count - 1 over all of k. */
    void (*stream)(const void *arg, int64_t at, int64_t count, uint32_t *panel);
    /* Take finished sums: rows row .. row + rows - 1, columns col .. col + cols - 1, row stride nr.
     * They may be changed. */
    void (*store)(const void *arg, int64_t row, int64_t col, int32_t rows, int32_t cols,
                  int32_t *sums);
    const void *arg;
};

/* Units of 32 bits of scratch for one thread. */
size_t ledge_product_i8_scratch(const struct ledge_i8_kernels *isa, int64_t units);

/* All of it by the threads of a pool. scratch: ledge_product_i8_scratch() for each. */
void ledge_product_i8_run(const struct ledge_product_i8 *p, struct ledge_pool *pool,
                          uint32_t *scratch);

/* Weights to be packed: element (channel, k) is read by get and has its zero point still in it. k
 * beyond the real ones (padding of a unit) must give the zero point. */
struct ledge_pack_i8 {
    const struct ledge_i8_kernels *isa;
    int64_t channels;
    int64_t units;
    bool a_resident;
    int32_t (*get)(const void *arg, int64_t channel, int64_t k); /* -128 .. 255 */
    const void *arg;
    bool b_is_u8;
    const int32_t *b_zeros; /* one per channel, as in the file */
    int32_t a_zero;         /* of the activation read as u8 */
};

/* Units of a packed side. */
size_t ledge_product_i8_size(const struct ledge_pack_i8 *pack);

/* packed, correction (one per channel) and zeros (one per channel, as ledge_product_i8 wants it)
 * are FILLED; true when the zeros matter. */
bool ledge_product_i8_pack(const struct ledge_pack_i8 *pack, uint32_t *packed, int32_t *correction,
                           int32_t *zeros);

#endif
