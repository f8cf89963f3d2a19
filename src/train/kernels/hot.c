/* SPDX-License-Identifier: Apache-2.0 */
/* hot.c -- which table for which rung. */
#include "train/kernels/hot.h"

const struct train_hot *train_hot_for(enum ledge_rung rung)
{
#ifdef TRAIN_X86
    if (rung >= LEDGE_RUNG_AVX512) {
        return &train_hot_avx512;
    }
    if (rung >= LEDGE_RUNG_AVX2) {
        return &train_hot_avx2;
    }
#else
    (void)rung;
#endif
    return &train_hot_c;
}
