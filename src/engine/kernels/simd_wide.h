/* SPDX-License-Identifier: Apache-2.0 */
/* simd_wide.h -- vectors of 16 lanes out of pairs of 8: what a rung with narrower registers
 * computes in the consistent mode (docs/numerics.md), where every rung sums in the order of 16
 * lanes. Included after simd_<isa>.h and before a template, whose `vec` and v_ functions are these
 * then.
 */
#ifndef LEDGE_ENGINE_KERNELS_SIMD_WIDE_H
#define LEDGE_ENGINE_KERNELS_SIMD_WIDE_H

enum { PART = LANES };

typedef struct {
    vec low, high;
} wide;

static inline wide w_set1(float x)
{
    return (wide){v_set1(x), v_set1(x)};
}

static inline wide w_load(const float *p)
{
    return (wide){v_load(p), v_load(p + PART)};
}

static inline void w_store(float *p, wide v)
{
    v_store(p, v.low);
    v_store(p + PART, v.high);
}

static inline int32_t w_within(int32_t lane)
{
    return lane < 0 ? 0 : lane > PART ? PART : lane;
}

static inline wide w_load_lanes(const float *p, int32_t from, int32_t to)
{
    return (wide){v_load_lanes(p, w_within(from), w_within(to)),
                  v_load_lanes(p + PART, w_within(from - PART), w_within(to - PART))};
}

static inline void w_store_first(float *p, int32_t n, wide v)
{
    v_store_first(p, w_within(n), v.low);
    v_store_first(p + PART, w_within(n - PART), v.high);
}

static inline wide w_fma(wide a, wide b, wide c)
{
    return (wide){v_fma(a.low, b.low, c.low), v_fma(a.high, b.high, c.high)};
}

static inline void w_gain(wide *sum, wide a, wide b)
{
    v_gain(&sum->low, a.low, b.low);
    v_gain(&sum->high, a.high, b.high);
}

static inline wide w_add(wide a, wide b)
{
    return (wide){v_add(a.low, b.low), v_add(a.high, b.high)};
}

static inline wide w_times(wide a, wide b)
{
    return (wide){v_times(a.low, b.low), v_times(a.high, b.high)};
}

static inline wide w_over(wide a, wide b)
{
    return (wide){v_over(a.low, b.low), v_over(a.high, b.high)};
}

static inline wide w_larger(wide a, wide b)
{
    return (wide){v_larger(a.low, b.low), v_larger(a.high, b.high)};
}

static inline wide w_clamp(wide x, wide low, wide high)
{
    return (wide){v_clamp(x.low, low.low, high.low), v_clamp(x.high, low.high, high.high)};
}

static inline wide w_scale(wide p, wide n)
{
    return (wide){v_scale(p.low, n.low), v_scale(p.high, n.high)};
}

static inline wide w_or(wide a, wide b)
{
    return (wide){v_or(a.low, b.low), v_or(a.high, b.high)};
}

static inline wide w_even(wide a, wide b)
{
    return (wide){v_even(a.low, a.high), v_even(b.low, b.high)};
}

static inline wide w_keep(wide v)
{
    return (wide){v_keep(v.low), v_keep(v.high)};
}

/* A line is 16 floats. Always inline: see simd_avx512.h. */
static inline __attribute__((always_inline)) void w_prefetch(const float *p, uintptr_t ahead)
{
    v_prefetch(p, ahead);
}

static inline wide w_pick(wide old, wide from, const int32_t *index)
{
    float lane[2 * PART], to[2 * PART];
    w_store(lane, from);
    w_store(to, old);
    for (int i = 0; i < 2 * PART; i++) {
        to[i] = index[i] >= 0 ? lane[index[i]] : to[i];
    }
    return w_load(to);
}

/* Sixteen registers: a tile of 3 x 2 vectors fills twelve. */
#define LANES         16
#define TILE_ROWS     3
#define PLANE_ROWS    2
#define ROW_WIDE      3
#define ROW_NARROW    2
#define vec           wide
#define v_set1        w_set1
#define v_load        w_load
#define v_store       w_store
#define v_load_lanes  w_load_lanes
#define v_store_first w_store_first
#define v_fma         w_fma
#define v_gain        w_gain
#define v_add         w_add
#define v_times       w_times
#define v_over        w_over
#define v_larger      w_larger
#define v_clamp       w_clamp
#define v_scale       w_scale
#define v_or          w_or
#define v_even        w_even
#define v_keep        w_keep
#define v_prefetch    w_prefetch
#define v_pick        w_pick

#define ROW_COUNTS_3(X) X(1) X(2) X(3)

#endif
