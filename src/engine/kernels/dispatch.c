/* SPDX-License-Identifier: Apache-2.0 */
/* dispatch.c -- pick the f32, blocked and 8-bit loops of a rung. */
#include "engine/kernels/blocked.h"
#include "engine/kernels/f32.h"
#include "engine/kernels/i8.h"
#include "engine/port/select.h"

const struct ledge_f32_kernels *ledge_f32_for(enum ledge_rung rung, bool consistent)
{
    static const struct ledge_f32_kernels *const fast[] = {
#define LEDGE_KERNELS_F32(isa, its_rung) &ledge_f32_##isa,
#include "engine/kernels/kernels.inc"
#undef LEDGE_KERNELS_F32
    };
    const struct ledge_f32_kernels *const *list = fast;
    size_t n = sizeof fast / sizeof fast[0];
#if LEDGE_CONSISTENT
    static const struct ledge_f32_kernels *const wide[] = {
#define LEDGE_KERNELS_WIDE(isa, its_rung) &ledge_f32_##isa,
#include "engine/kernels/kernels.inc"
#undef LEDGE_KERNELS_WIDE
    };
    if (consistent) {
        list = wide;
        n = sizeof wide / sizeof wide[0];
    }
#else
    (void)consistent; /* refused where a session is opened */
#endif
    const struct ledge_f32_kernels *best = list[0];
    for (size_t i = 1; i < n; i++) {
        best = list[i]->rung <= rung ? list[i] : best;
    }
    return best;
}

const struct ledge_blocked_kernels *ledge_blocked_for(enum ledge_rung rung, bool consistent)
{
    static const struct ledge_blocked_kernels *const fast[] = {
#define LEDGE_KERNELS_F32(isa, its_rung) &ledge_blocked_##isa,
#include "engine/kernels/kernels.inc"
#undef LEDGE_KERNELS_F32
    };
    const struct ledge_blocked_kernels *const *list = fast;
    size_t n = sizeof fast / sizeof fast[0];
#if LEDGE_CONSISTENT
    static const struct ledge_blocked_kernels *const wide[] = {
#define LEDGE_KERNELS_WIDE(isa, its_rung) &ledge_blocked_##isa,
#include "engine/kernels/kernels.inc"
#undef LEDGE_KERNELS_WIDE
    };
    if (consistent) {
        list = wide;
        n = sizeof wide / sizeof wide[0];
    }
#else
    (void)consistent; /* refused where a session is opened */
#endif
    const struct ledge_blocked_kernels *best = list[0];
    for (size_t i = 1; i < n; i++) {
        best = list[i]->rung <= rung ? list[i] : best;
    }
    return best;
}

const struct ledge_i8_kernels *ledge_i8_for(enum ledge_rung rung)
{
    static const struct ledge_i8_kernels *const list[] = {
#define LEDGE_KERNELS_I8(isa, its_rung) &ledge_i8_##isa,
#include "engine/kernels/kernels.inc"
#undef LEDGE_KERNELS_I8
    };
    const struct ledge_i8_kernels *best = list[0];
    for (size_t i = 1; i < sizeof list / sizeof list[0]; i++) {
        best = list[i]->rung <= rung ? list[i] : best;
    }
    return best;
}
