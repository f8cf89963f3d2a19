/* SPDX-License-Identifier: Apache-2.0 */
/* i8_c.c -- the exact 8-bit loops in plain C: pairs of i16. */
#include "engine/kernels/simd_c.h"

#include <math.h>

#include "engine/kernels/i8.h"

enum { SUB = LANES, TAPS_VECTORS = 2 };
#if defined(__x86_64__) /* the last resort there */
#define ROWS_MAX      2, 2, 0, 0
#define ROWS_TABLE(F) F(1, 1) F(1, 2) F(2, 1) F(2, 2)
#else
#define ROWS_MAX      4, 4, 0, 0
#define ROWS_TABLE(F) ROWS_1_4(F, 1) ROWS_1_4(F, 2)
#endif
#define I8_GROUP 2

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

static inline ivec iv_spread(const uint8_t *p)
{
    uint32_t x;
    memcpy(&x, p, sizeof x);
    return iv_set1(x);
}

static inline ivec iv_load_bytes(const uint8_t *p)
{
    ivec r;
    EACH(i)
    {
        r.lane[i] = p[i];
    }
    return r;
}

static inline ivec iv_xor(ivec a, ivec b)
{
    EACH(i)
    {
        a.lane[i] ^= b.lane[i];
    }
    return a;
}

static inline ivec iv_clamp(ivec x, int32_t low, int32_t high)
{
    EACH(i)
    {
        x.lane[i] = (uint32_t)ledge_tfl_clamp((int32_t)x.lane[i], low, high);
    }
    return x;
}

static inline vec v_div(vec a, vec b)
{
    EACH(i)
    {
        a.lane[i] /= b.lane[i];
    }
    return a;
}

static inline bool v_unsure(vec x, ivec rounded, float limit)
{
    const vec whole = iv_to_float(rounded);
    bool unsure = false;
    EACH(i)
    {
        unsure = unsure || fabsf(x.lane[i] - whole.lane[i]) > limit;
    }
    return unsure;
}

static inline ivec iv_sub(ivec a, ivec b)
{
    EACH(i)
    {
        a.lane[i] -= b.lane[i];
    }
    return a;
}

static inline ivec iv_mul(ivec a, ivec b)
{
    EACH(i)
    {
        a.lane[i] *= b.lane[i];
    }
    return a;
}

static inline vec v_limit(vec x, vec low, vec high)
{
    return v_clamp_number(x, low, high);
}

typedef struct {
    int32_t multiplier[LANES], left[LANES], right[LANES];
} fixed_vec;

static inline fixed_vec fixed_load(const struct ledge_epilogue_i8 *e, int64_t at)
{
    fixed_vec f;
    memcpy(f.multiplier, e->multiplier + at, sizeof f.multiplier);
    memcpy(f.left, e->left + at, sizeof f.left);
    memcpy(f.right, e->right + at, sizeof f.right);
    return f;
}

static inline ivec iv_fixed(ivec x, const fixed_vec *f)
{
    EACH(i)
    {
        int32_t y = ledge_tfl_shift_left((int32_t)x.lane[i], f->left[i]);
        y = ledge_tfl_shift_right(ledge_tfl_high_mul(y, f->multiplier[i]), f->right[i]);
        x.lane[i] = (uint32_t)y;
    }
    return x;
}

enum { PACKED = 1 };
#define VECTORS_TABLE(F) F(1) F(2)
#define ROW_SUMS         NULL

static inline void store_rows(const struct ledge_finish_i8 *f, int32_t row, const ivec *r,
                              const int vectors, const bool plain)
{
    (void)vectors;
    (void)plain;
    const struct ledge_epilogue_i8 *e = f->epilogue;
    uint8_t *y = f->y + row * f->ldy;
    for (int32_t i = 0; i < f->n; i++) {
        int32_t x = ledge_tfl_add((int32_t)r[i / LANES].lane[i % LANES], e->zero);
        y[i] = (uint8_t)((uint8_t)ledge_tfl_clamp(x, e->low, e->high) ^ e->flip);
    }
}

static inline void quads(const uint8_t *const *x, int32_t n, uint8_t flip, ivec *q)
{
    memset(q, 0, TAPS_VECTORS * sizeof *q);
    for (int32_t i = 0; i < n; i++) {
        q[i / LANES].lane[i % LANES] = (uint32_t)(x[0][i] ^ flip) | (uint32_t)(x[1][i] ^ flip)
                                                                        << 16;
    }
}

#define FEW_LOOPS /* small rather than fast */
#include "engine/kernels/i8.tmpl.h"

I8_KERNELS(c, LEDGE_RUNG_C);
