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

/* Word i of row number lane goes to to[i * step + lane].
 *   rows   lanes of them with n words each; NULL: zeros
 *   lanes  a multiple of 4
 *   to     FILLED, lanes words from each multiple of step on */
void ledge_turn_words(const void *const *rows, int64_t lanes, int64_t n, uint32_t *to,
                      int64_t step);

/* The same for rows of floats, `distance` floats apart, of which the first `real` are there. At
 * most LEDGE_TURN_LANES. */
enum { LEDGE_TURN_LANES = 64 };
void ledge_turn_floats(const float *from, int64_t distance, int64_t real, int64_t lanes, int64_t n,
                       float *to, int64_t step);

#endif
