/* SPDX-License-Identifier: Apache-2.0 */
/* f32.c -- pick the f32 loops of a rung. */
#include "engine/kernels/f32.h"

const struct ledge_f32_kernels *ledge_f32_for(enum ledge_rung rung)
{
    static const struct ledge_f32_kernels *const list[] = {
#define LEDGE_KERNELS_F32(isa, its_rung) &ledge_f32_##isa,
#include "engine/kernels/kernels.inc"
#undef LEDGE_KERNELS_F32
    };
    const struct ledge_f32_kernels *best = list[0];
    for (size_t i = 1; i < sizeof list / sizeof list[0]; i++) {
        best = list[i]->rung <= rung ? list[i] : best;
    }
    return best;
}
