/* SPDX-License-Identifier: Apache-2.0 */
/* turn.h -- rows of 32-bit words put side by side: how weights get the order that kernels read them
 * in, a vector of channels for each input.
 *
 * Flow:    operators' pack -> [turn.h]
 * Memory:  rows may begin at any byte: constants are read where they stand in a file.
 */
#ifndef LEDGE_ENGINE_KERNELS_TURN_H
#define LEDGE_ENGINE_KERNELS_TURN_H

#include <stdint.h>
#include <string.h>

/* Word i of row number lane goes to to[i * step + lane].
 *   rows   lanes of them with n words each; NULL: zeros
 *   lanes  at most LEDGE_TURN_LANES
 *   to     FILLED, lanes words from each multiple of step on */
enum { LEDGE_TURN_LANES = 64 };
void ledge_turn_words(const void *const *rows, int64_t lanes, int64_t n, uint32_t *to,
                      int64_t step);

/* The same for rows of floats, `distance` floats apart, of which the first `real` are there. */
void ledge_turn_floats(const void *from, int64_t distance, int64_t real, int64_t lanes, int64_t n,
                       float *to, int64_t step);

/* Sum of n signed bytes, modulo 2^32. */
int32_t ledge_sum_bytes(const void *bytes, int64_t n);

/* Float number i from an address that may be any. */
static inline float ledge_float_at(const void *from, int64_t i)
{
    float value;
    memcpy(&value, (const char *)from + 4 * i, sizeof value);
    return value;
}

#endif
