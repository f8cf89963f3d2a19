/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/kernels/tfl.h"

#include <string.h>

struct lanes {
    int32_t sum[LEDGE_TFL_N];
};
#define LANES struct lanes

static inline LANES lanes_zero(void)
{
    return (LANES){{0}};
}

static inline LANES lanes_pairs(LANES sums, const int16_t *w, const int16_t *a)
{
    for (int j = 0; j < LEDGE_TFL_N; j++) {
        int32_t pair = w[2 * j] * a[0] + w[2 * j + 1] * a[1];
        sums.sum[j] = (int32_t)((uint32_t)sums.sum[j] + (uint32_t)pair);
    }
    return sums;
}

static inline void lanes_store(int32_t *to, LANES sums)
{
    memcpy(to, sums.sum, sizeof sums.sum);
}

#include "engine/kernels/tfl_vectors.inc"

const struct ledge_tfl_vectors ledge_tfl_vectors_c = {product, requant, tap};
