/* SPDX-License-Identifier: Apache-2.0 */
/* i8_c.c -- the exact 8-bit loops in plain C: pairs of i16. */
#include "engine/kernels/simd_c.h"

#include <math.h>

enum { I8_ROWS = 4 };
#define I8_GROUP   2
#define ROW_COUNTS ROW_COUNTS_4

typedef struct {
    uint32_t lane[LANES];
} ivec;

static inline ivec iv_set1(uint32_t x)
{
    ivec r;
    EACH(i)
    {
        r.lane[i] = x;
    }
    return r;
}

static inline ivec iv_load(const void *p)
{
    ivec r;
    memcpy(&r, p, sizeof r);
    return r;
}

static inline void iv_store(int32_t *p, ivec v)
{
    memcpy(p, &v, sizeof v);
}

static inline ivec iv_add(ivec a, ivec b)
{
    EACH(i)
    {
        a.lane[i] += b.lane[i];
    }
    return a;
}

static inline ivec iv_dot(ivec acc, ivec a, ivec b)
{
    EACH(i)
    {
        int32_t low = (int16_t)(uint16_t)a.lane[i] * (int16_t)(uint16_t)b.lane[i];
        int32_t high = (int16_t)(uint16_t)(a.lane[i] >> 16) * (int16_t)(uint16_t)(b.lane[i] >> 16);
        acc.lane[i] += (uint32_t)low + (uint32_t)high;
    }
    return acc;
}

static inline vec iv_to_float(ivec a)
{
    vec r;
    EACH(i)
    {
        r.lane[i] = (float)(int32_t)a.lane[i];
    }
    return r;
}

static inline vec v_mul(vec a, vec b)
{
    EACH(i)
    {
        a.lane[i] *= b.lane[i];
    }
    return a;
}

/* NaN becomes low. */
static inline vec v_clamp_number(vec x, vec low, vec high)
{
    EACH(i)
    {
        x.lane[i] = x.lane[i] >= low.lane[i] ? x.lane[i] : low.lane[i];
        x.lane[i] = x.lane[i] <= high.lane[i] ? x.lane[i] : high.lane[i];
    }
    return x;
}

static inline ivec iv_round(vec x)
{
    ivec r;
    EACH(i)
    {
        r.lane[i] = (uint32_t)(int32_t)nearbyintf(x.lane[i]);
    }
    return r;
}

static inline void iv_store_bytes(uint8_t *p, ivec v)
{
    EACH(i)
    {
        p[i] = (uint8_t)v.lane[i];
    }
}

#include "engine/kernels/i8.tmpl.h"

I8_KERNELS(c, LEDGE_RUNG_C);
