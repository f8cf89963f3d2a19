/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/kernels/tfl.h"

#if defined(__x86_64__)

#include "engine/kernels/tfl_product.inc"

void ledge_tfl_product_avx2(const int16_t *a, int64_t m, const int16_t *w, int64_t n, int64_t k,
                            int32_t *acc)
{
    product(a, m, w, n, k, acc);
}

#endif
