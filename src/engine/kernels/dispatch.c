/* SPDX-License-Identifier: Apache-2.0 */
/* dispatch.c -- pick the f32, blocked and 8-bit loops of a rung: of those in kernels.inc, lowest
 * first, the last one that the rung has. */
#include "engine/kernels/blocked.h"
#include "engine/kernels/f32.h"
#include "engine/kernels/i8.h"
#include "engine/port/select.h"

static size_t best_of(const enum ledge_rung *rungs, size_t n, enum ledge_rung rung)
{
    size_t best = 0;
    for (size_t i = 1; i < n; i++) {
        best = rungs[i] <= rung ? i : best;
    }
    return best;
}

/* Of the f32 and the blocked loops, which are the same ones. */
static size_t best_f32(enum ledge_rung rung)
{
    static const enum ledge_rung rungs[] = {
#define LEDGE_KERNELS_F32(isa, its_rung) its_rung,
#include "engine/kernels/kernels.inc"
#undef LEDGE_KERNELS_F32
    };
    return best_of(rungs, sizeof rungs / sizeof rungs[0], rung);
}

#if LEDGE_CONSISTENT /* else it is refused where a session is opened */
static size_t best_wide(enum ledge_rung rung)
{
    static const enum ledge_rung rungs[] = {
#define LEDGE_KERNELS_WIDE(isa, f32, its_rung) its_rung,
#include "engine/kernels/kernels.inc"
#undef LEDGE_KERNELS_WIDE
    };
    return best_of(rungs, sizeof rungs / sizeof rungs[0], rung);
}
#endif

const struct ledge_f32_kernels *ledge_f32_for(enum ledge_rung rung, bool consistent)
{
    static const struct ledge_f32_kernels *const fast[] = {
#define LEDGE_KERNELS_F32(isa, its_rung) &ledge_f32_##isa,
#include "engine/kernels/kernels.inc"
#undef LEDGE_KERNELS_F32
    };
#if LEDGE_CONSISTENT
    static const struct ledge_f32_kernels *const wide[] = {
#define LEDGE_KERNELS_WIDE(isa, f32, its_rung) &ledge_f32_##f32,
#include "engine/kernels/kernels.inc"
#undef LEDGE_KERNELS_WIDE
    };
    if (consistent) {
        return wide[best_wide(rung)];
    }
#endif
    (void)consistent;
    return fast[best_f32(rung)];
}

const struct ledge_blocked_kernels *ledge_blocked_for(enum ledge_rung rung, bool consistent)
{
    static const struct ledge_blocked_kernels *const fast[] = {
#define LEDGE_KERNELS_F32(isa, its_rung) &ledge_blocked_##isa,
#include "engine/kernels/kernels.inc"
#undef LEDGE_KERNELS_F32
    };
#if LEDGE_CONSISTENT
    static const struct ledge_blocked_kernels *const wide[] = {
#define LEDGE_KERNELS_WIDE(isa, f32, its_rung) &ledge_blocked_##isa,
#include "engine/kernels/kernels.inc"
#undef LEDGE_KERNELS_WIDE
    };
    if (consistent) {
        return wide[best_wide(rung)];
    }
#endif
    (void)consistent;
    return fast[best_f32(rung)];
}

const struct ledge_i8_kernels *ledge_i8_for(enum ledge_rung rung)
{
    static const struct ledge_i8_kernels *const list[] = {
#define LEDGE_KERNELS_I8(isa, its_rung) &ledge_i8_##isa,
#include "engine/kernels/kernels.inc"
#undef LEDGE_KERNELS_I8
    };
    static const enum ledge_rung rungs[] = {
#define LEDGE_KERNELS_I8(isa, its_rung) its_rung,
#include "engine/kernels/kernels.inc"
#undef LEDGE_KERNELS_I8
    };
    return list[best_of(rungs, sizeof rungs / sizeof rungs[0], rung)];
}
