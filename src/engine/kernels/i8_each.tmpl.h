/* SPDX-License-Identifier: Apache-2.0 */
/* i8_each.tmpl.h -- element-wise 8-bit loops in terms of `ivec` and `vec`; part of i8.tmpl.h. Each
 * i8_<isa>.c says beforehand
 *
 *   iv_load_bytes(p)   LANES bytes as u8;  iv_xor;  iv_clamp(x, low, high) as i32
 *   v_div; v_unsure(x, rounded, limit)   is any |x - rounded| above the limit, so near to 1/2 that
 *                                        the last bits of x decide?
 *
 *   STORES_TOGETHER, if at all: TOGETHER, store_together(y, r, out)   so many vectors of results
 *                                        + zero, clamped, as bytes
 *                               unsure_together(x, rounded, limit)    v_unsure() of any
 *
 * Ends shorter than a vector go through a copy. Judges: onnx_quant.c, tfl_elementwise_c.c. */

/* x / by, rounded half to even, for results within +-512 (others saturate there). A product with
 * the inverse is off by less than 2^-12 then; only where that matters the division is done. */
#define UNSURE 0.499f

struct divisor {
    vec by, inverse;
    bool fast;
};

INLINE struct divisor divisor_of(float by)
{
    bool fast = by > 1e-30f && by < 1e30f;
    return (struct divisor){v_set1(by), v_set1(fast ? 1.0f / by : 0.0f), fast};
}

INLINE ivec divide(vec x, const struct divisor *d)
{
    const vec low = v_set1(-512.0f);
    const vec high = v_set1(512.0f);
    if (d->fast) {
        vec product = v_clamp_number(v_mul(x, d->inverse), low, high);
        ivec whole = iv_round(product);
        if (!v_unsure(product, whole, UNSURE)) {
            return whole;
        }
    }
    return iv_round(v_clamp_number(v_div(x, d->by), low, high));
}

/* Results read as u8, kept in the range, with the output's sign. */
INLINE void store_each(uint8_t *y, ivec x, const struct ledge_range_i8 *out)
{
    x = iv_clamp(iv_add(x, iv_set1((uint32_t)out->zero)), out->low, out->high);
    iv_store_bytes(y, iv_xor(x, iv_set1(out->flip)));
}

/* Bytes read as u8. */
INLINE ivec read_term(const uint8_t *x, const struct ledge_term_i8 *term)
{
    return iv_xor(iv_load_bytes(x), iv_set1(term->flip));
}

INLINE vec real_of(ivec q, const struct ledge_term_i8 *term)
{
    return v_mul(iv_to_float(iv_sub(q, iv_set1((uint32_t)term->zero))), v_set1(term->scale));
}

#ifndef STORES_TOGETHER
enum { TOGETHER = 1 };

INLINE void store_together(uint8_t *y, const ivec *r, const struct ledge_range_i8 *out)
{
    store_each(y, r[0], out);
}

INLINE bool unsure_together(const vec *x, const ivec *rounded, float limit)
{
    return v_unsure(x[0], rounded[0], limit);
}
#endif

/* One vector of results before the zero point, step by step as onnx_quant.c. */
INLINE ivec exact_whole(const struct ledge_binary_i8 *p, ivec a, ivec b,
                        const struct divisor *divisor)
{
    vec x = real_of(a, &p->term[0]);
    vec z = real_of(b, &p->term[1]);
    x = p->multiply ? v_mul(x, z) : v_add(x, z);
    return divide(v_clamp(x, v_set1(p->clamp.low), v_set1(p->clamp.high)), divisor);
}

/* Once for all who come to it: what may be near a half, and ends of rows. y may be a or b. */
static LEDGE_COLD __attribute__((noinline)) void exact_vectors(const struct ledge_binary_i8 *p,
                                                               const uint8_t *a, const uint8_t *b,
                                                               int64_t n, uint8_t *y)
{
    const struct divisor divisor = divisor_of(p->scale);
    for (int64_t i = 0; i < n; i += LANES) {
        ivec q = read_term(a + i, &p->term[0]), r = read_term(b + i, &p->term[1]);
        store_each(y + i, exact_whole(p, q, r, &divisor), &p->out);
    }
}

/* Near: results that are nearer to a half than the error are worked out exactly. The parameters are
 * at hand in registers: what is stored might be they. */
INLINE vec near_one(const struct ledge_binary_i8 p, const bool multiply, const uint8_t *a,
                    const uint8_t *b)
{
    ivec q = iv_xor(iv_load_bytes(a), iv_set1(p.term[0].flip));
    ivec r = iv_xor(iv_load_bytes(b), iv_set1(p.term[1].flip));
    if (multiply) {
        vec x = iv_to_float(iv_sub(q, iv_set1((uint32_t)p.term[0].zero)));
        vec z = iv_to_float(iv_sub(r, iv_set1((uint32_t)p.term[1].zero)));
        return v_mul(v_mul(x, z), v_set1(p.near.a));
    }
    vec x = v_fma(iv_to_float(q), v_set1(p.near.a), v_set1(p.near.constant));
    return v_fma(iv_to_float(r), v_set1(p.near.b), x);
}

INLINE void near_vectors(const struct ledge_binary_i8 *params, const bool multiply,
                         const uint8_t *a, const uint8_t *b, int64_t n, uint8_t *y)
{
    const struct ledge_binary_i8 p = *params;
    int64_t i = 0;
    for (; i + TOGETHER * LANES <= n; i += TOGETHER * LANES) {
        vec near[TOGETHER];
        ivec whole[TOGETHER];
        UNROLL
        for (int v = 0; v < TOGETHER; v++) {
            near[v] = near_one(p, multiply, a + i + v * LANES, b + i + v * LANES);
            whole[v] = iv_round(near[v]);
        }
        if (unsure_together(near, whole, p.near.limit)) {
            exact_vectors(params, a + i, b + i, TOGETHER * LANES, y + i);
        } else {
            store_together(y + i, whole, &p.near.out);
        }
    }
    if (i < n) {
        exact_vectors(params, a + i, b + i, n - i, y + i);
    }
}

FAST static void binary_vectors(const struct ledge_binary_i8 *p, const uint8_t *a, const uint8_t *b,
                                int64_t n, uint8_t *y)
{
    if (!p->near.use) {
        exact_vectors(p, a, b, n, y);
    } else if (p->multiply) {
        near_vectors(p, true, a, b, n, y);
    } else {
        near_vectors(p, false, a, b, n, y);
    }
}

static void run_binary(const struct ledge_binary_i8 *p, const uint8_t *a, const uint8_t *b,
                       int64_t n, uint8_t *y)
{
    int64_t whole = n / LANES * LANES;
    binary_vectors(p, a, b, whole, y);
    if (whole < n) {
        uint8_t ends[3][LANES] = {{0}};
        memcpy(ends[0], a + whole, (size_t)(n - whole));
        memcpy(ends[1], b + whole, (size_t)(n - whole));
        binary_vectors(p, ends[0], ends[1], LANES, ends[2]);
        memcpy(y + whole, ends[2], (size_t)(n - whole));
    }
    v_done();
}

/* Likewise. */
static LEDGE_COLD __attribute__((noinline)) void quantize_exact(const float *x, int64_t n,
                                                                const struct divisor *divisor,
                                                                const struct ledge_range_i8 *out,
                                                                uint8_t *y)
{
    for (int64_t i = 0; i < n; i += LANES) {
        store_each(y + i, divide(v_load(x + i), divisor), out);
    }
}

static void quantize_vectors(const float *x, int64_t n, float scale,
                             const struct ledge_range_i8 *range, uint8_t *y)
{
    const struct divisor divisor = divisor_of(scale);
    const struct ledge_range_i8 out = *range;
    const vec low = v_set1(-512.0f);
    const vec high = v_set1(512.0f);
    int64_t i = 0;
    for (; i + TOGETHER * LANES <= n && divisor.fast; i += TOGETHER * LANES) {
        vec near[TOGETHER];
        ivec whole[TOGETHER];
        UNROLL
        for (int v = 0; v < TOGETHER; v++) {
            near[v] = v_clamp_number(v_mul(v_load(x + i + v * LANES), divisor.inverse), low, high);
            whole[v] = iv_round(near[v]);
        }
        if (unsure_together(near, whole, UNSURE)) {
            quantize_exact(x + i, TOGETHER * LANES, &divisor, range, y + i);
        } else {
            store_together(y + i, whole, &out);
        }
    }
    quantize_exact(x + i, n - i, &divisor, range, y + i);
}

static void run_quantize(const float *x, int64_t n, float scale, const struct ledge_range_i8 *out,
                         uint8_t *y)
{
    int64_t whole = n / LANES * LANES;
    quantize_vectors(x, whole, scale, out, y);
    if (whole < n) {
        float from[LANES] = {0};
        uint8_t to[LANES];
        memcpy(from, x + whole, (size_t)(n - whole) * sizeof *x);
        quantize_vectors(from, LANES, scale, out, to);
        memcpy(y + whole, to, (size_t)(n - whole));
    }
    v_done();
}

/* -- fixed point -- */

INLINE fixed_vec fixed_one(struct ledge_tfl_factor factor)
{
    int32_t lists[3][LANES];
    for (int i = 0; i < LANES; i++) {
        lists[0][i] = factor.multiplier;
        lists[1][i] = factor.shift > 0 ? factor.shift : 0;
        lists[2][i] = factor.shift > 0 ? 0 : -factor.shift;
    }
    const struct ledge_epilogue_i8 e = {
        .multiplier = lists[0], .left = lists[1], .right = lists[2]};
    return fixed_load(&e, 0);
}

INLINE ivec whole_of(const uint8_t *x, const struct ledge_term_i8 *term)
{
    ivec q = iv_xor(iv_load_bytes(x), iv_set1(term->flip));
    return iv_sub(q, iv_set1((uint32_t)term->zero));
}

INLINE void fixed_vectors(const struct ledge_fixed_binary_i8 *p, const uint8_t *a, const uint8_t *b,
                          int64_t n, uint8_t *y)
{
    const fixed_vec factor[3] = {fixed_one(p->factor[0]), fixed_one(p->factor[1]),
                                 fixed_one(p->out_factor)};
    const ivec gain = iv_set1((uint32_t)1 << 20);
    for (int64_t i = 0; i < n; i += LANES) {
        ivec x = whole_of(a + i, &p->term[0]);
        ivec z = whole_of(b + i, &p->term[1]);
        if (p->multiply) {
            x = iv_mul(x, z);
        } else {
            x = iv_fixed(iv_mul(x, gain), &factor[0]);
            z = iv_fixed(iv_mul(z, gain), &factor[1]);
            x = p->subtract ? iv_sub(x, z) : iv_add(x, z);
        }
        store_each(y + i, iv_fixed(x, &factor[2]), &p->out);
    }
}

INLINE void run_fixed_binary(const struct ledge_fixed_binary_i8 *p, const uint8_t *a,
                             const uint8_t *b, int64_t n, uint8_t *y)
{
    int64_t whole = n / LANES * LANES;
    fixed_vectors(p, a, b, whole, y);
    if (whole < n) {
        uint8_t ends[3][LANES] = {{0}};
        memcpy(ends[0], a + whole, (size_t)(n - whole));
        memcpy(ends[1], b + whole, (size_t)(n - whole));
        fixed_vectors(p, ends[0], ends[1], LANES, ends[2]);
        memcpy(y + whole, ends[2], (size_t)(n - whole));
    }
    v_done();
}

/* -- sums over pixels -- */

/* Whole vectors of channels. */
INLINE void add_some(const uint8_t *restrict x, const int pixels, int64_t step, int64_t n,
                     uint8_t flip, int32_t *restrict sums)
{
    const ivec sign = iv_set1(flip);
    for (int64_t c = 0; c + LANES <= n; c += LANES) {
        ivec sum = iv_load(sums + c);
        UNROLL
        for (int p = 0; p < pixels; p++) {
            sum = iv_add(sum, iv_xor(iv_load_bytes(x + p * step + c), sign));
        }
        iv_store(sums + c, sum);
    }
}

static void run_add_pixels(const uint8_t *x, int64_t pixels, int64_t step, int64_t n, uint8_t flip,
                           int32_t *sums)
{
    for (int64_t c = n / LANES * LANES; c < n; c++) {
        for (int64_t p = 0; p < pixels; p++) {
            sums[c] += x[p * step + c] ^ flip;
        }
    }
    for (; pixels >= 4; pixels -= 4, x += 4 * step) {
        add_some(x, 4, step, n, flip, sums);
    }
    for (; pixels > 0; pixels--, x += step) {
        add_some(x, 1, step, n, flip, sums);
    }
    v_done();
}
