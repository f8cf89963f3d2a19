/* SPDX-License-Identifier: Apache-2.0 */
/* simd_c.h -- f32 vectors without instructions of their own: four lanes that compilers know how to
 * map. The same names as simd_avx2.h and simd_avx512.h; included by f32_<isa>.c before f32.tmpl.h.
 * With SIMD_C_WIDE: sixteen lanes and one rounding for each product and sum (see simd_wide.h).
 */
#ifndef LEDGE_ENGINE_KERNELS_SIMD_C_H
#define LEDGE_ENGINE_KERNELS_SIMD_C_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#ifdef SIMD_C_WIDE
enum { LANES = 16, TILE_ROWS = 2, PLANE_ROWS = 2, ROW_WIDE = 3, ROW_NARROW = 2 };
#define MULTIPLY_ADD(a, b, c) fmaf(a, b, c)
#ifndef __FP_FAST_FMAF
#define UNROLL /* every fmaf() is a call: longer code is no faster */
#define INLINE static inline
#endif
#else
enum { LANES = 4, TILE_ROWS = 4, PLANE_ROWS = 2, ROW_WIDE = 4, ROW_NARROW = 2 };
#define MULTIPLY_ADD(a, b, c) ((a) * (b) + (c))
#endif

typedef struct {
    float lane[LANES];
} vec;

/* Explained in simd_avx2.h; nothing here. */
static inline void v_done(void)
{
}

#define EACH(i) for (int i = 0; i < LANES; i++)

static inline vec v_set1(float x)
{
    vec r;
    EACH(i)
    {
        r.lane[i] = x;
    }
    return r;
}

static inline vec v_load(const float *p)
{
    vec r;
    memcpy(&r, p, sizeof r);
    return r;
}

static inline void v_store(float *p, vec v)
{
    memcpy(p, &v, sizeof v);
}

static inline vec v_load_lanes(const float *p, int32_t from, int32_t to)
{
    vec r = v_set1(0);
    for (int32_t i = from; i < to; i++) {
        r.lane[i] = p[i];
    }
    return r;
}

/* From lane 0 on, mostly all. */
static inline vec v_load_first(const float *p, int32_t n)
{
    return n < LANES ? v_load_lanes(p, 0, n) : v_load(p);
}

static inline void v_store_first(float *p, int32_t n, vec v)
{
    for (int32_t i = 0; i < n; i++) {
        p[i] = v.lane[i];
    }
}

static inline vec v_fma(vec a, vec b, vec c)
{
    EACH(i)
    {
        c.lane[i] = MULTIPLY_ADD(a.lane[i], b.lane[i], c.lane[i]);
    }
    return c;
}

/* *sum += a b */
static inline void v_gain(vec *sum, vec a, vec b)
{
    *sum = v_fma(a, b, *sum);
}

static inline vec v_add(vec a, vec b)
{
    EACH(i)
    {
        a.lane[i] += b.lane[i];
    }
    return a;
}

static inline vec v_times(vec a, vec b)
{
    EACH(i)
    {
        a.lane[i] *= b.lane[i];
    }
    return a;
}

/* b when either is NaN. */
static inline vec v_larger(vec a, vec b)
{
    EACH(i)
    {
        a.lane[i] = a.lane[i] > b.lane[i] ? a.lane[i] : b.lane[i];
    }
    return a;
}

static inline void v_prefetch(const float *p, uintptr_t ahead)
{
    (void)p;
    (void)ahead;
}

/* The same, not so soon: into the cache behind the first. */
static inline void v_prefetch_far(const float *p, uintptr_t ahead)
{
    (void)p;
    (void)ahead;
}

static inline vec v_keep(vec v)
{
    return v;
}

static inline const float *v_base(const float *p)
{
    return p;
}

/* Lane i is lane index[i] of `from`, or lane i of `old` where index[i] is negative. */
static inline vec v_pick(vec old, vec from, const int32_t *index)
{
    EACH(i)
    {
        old.lane[i] = index[i] >= 0 ? from.lane[index[i]] : old.lane[i];
    }
    return old;
}

static inline vec v_over(vec a, vec b)
{
    EACH(i)
    {
        a.lane[i] /= b.lane[i];
    }
    return a;
}

/* p * 2^n for whole n from -126 to 127; NaN in n leaves p. */
static inline vec v_scale(vec p, vec n)
{
    EACH(i)
    {
        int32_t whole = n.lane[i] >= -126.0f && n.lane[i] <= 127.0f ? (int32_t)n.lane[i] : 0;
        uint32_t bits = (uint32_t)(whole + 127) << 23;
        float power;
        memcpy(&power, &bits, sizeof power);
        p.lane[i] *= power;
    }
    return p;
}

/* Bits of both: lanes that are 0 in one are those of the other, whatever they hold. */
static inline vec v_or(vec a, vec b)
{
    EACH(i)
    {
        uint32_t p, q;
        memcpy(&p, &a.lane[i], sizeof p);
        memcpy(&q, &b.lane[i], sizeof q);
        p |= q;
        memcpy(&a.lane[i], &p, sizeof p);
    }
    return a;
}

/* Elements 0, 2, 4, ... of a followed by b. */
static inline vec v_even(vec a, vec b)
{
    vec r;
    EACH(i)
    {
        r.lane[i] = 2 * i < LANES ? a.lane[2 * i] : b.lane[2 * i - LANES];
    }
    return r;
}

/* NaN in x stays NaN. */
static inline vec v_clamp(vec x, vec low, vec high)
{
    EACH(i)
    {
        x.lane[i] = x.lane[i] < low.lane[i] ? low.lane[i] : x.lane[i];
        x.lane[i] = x.lane[i] > high.lane[i] ? high.lane[i] : x.lane[i];
    }
    return x;
}

#endif
