/* SPDX-License-Identifier: Apache-2.0 */
/* pair_i8.h (private) -- which units of a channel's weights go together in steps of two (i8.h:
 * products of bytes where there is no exact instruction for them). Part of packing. */
#ifndef LEDGE_ENGINE_KERNELS_PAIR_I8_H
#define LEDGE_ENGINE_KERNELS_PAIR_I8_H

#include "engine/kernels/i8.h"

/* Steps for n units of a part, LEDGE_PART_UNITS at most, four weights each. Each weight stands in
 * one step, or in two with a part of it each; a unit of zeros in none. Steps of one unit are the
 * last ones.
 *   w       used up; room for LEDGE_PART_UNITS
 *   scale   what a unit's number is multiplied by to be its place
 *   to, end FILLED from to on, before end
 * Returns what is behind the last one; NULL: there is no room. The same on every processor. */
struct ledge_step_i8 *ledge_pair_units(uint32_t *w, int64_t n, int64_t scale,
                                       struct ledge_step_i8 *to, const struct ledge_step_i8 *end);

/* The same in plain C, and for processors that have AVX2; ledge_pair_units() takes what is there.
 */
struct ledge_step_i8 *ledge_pair_units_c(uint32_t *w, int64_t n, int64_t scale,
                                         struct ledge_step_i8 *to, const struct ledge_step_i8 *end);
struct ledge_step_i8 *ledge_pair_units_avx2(uint32_t *w, int64_t n, int64_t scale,
                                            struct ledge_step_i8 *to,
                                            const struct ledge_step_i8 *end);

#endif
