/* SPDX-License-Identifier: Apache-2.0 */
/* i8_sum.tmpl.h -- sums of products that become bytes and are added to other bytes at once
 * (struct ledge_sum_i8), in terms of `ivec` and `vec`; part of i8.tmpl.h. Each i8_<isa>.c says
 * beforehand
 *
 *   load_rows(f, row, vectors, flip, r)   the addend of the rows that go together, read as u8, in
 *                                         vectors that store_rows() would store as these bytes
 *
 * Both roundings are done, the convolution's and the sum's. The sum takes three steps in the place
 * of QLinearAdd's eight where run_sum_agrees() has shown that the bytes are the same: there are but
 * 65536 pairs of them. */

/* Vectors that go together; where one row does, as many as it has. */
enum { SUM_VECTORS = PACKED > 1 ? PACKED : LEDGE_I8_VECTORS };

/* own: the convolution's result without its zero point; addend: a byte read as u8. */
INLINE ivec sum_of(ivec own, ivec addend, vec a, vec b, vec constant)
{
    return iv_round(v_fma(iv_to_float(own), a, v_fma(iv_to_float(addend), b, constant)));
}

static inline LEDGE_COLD bool run_sum_agrees(const struct ledge_sum_i8 *sum,
                                             const struct ledge_epilogue_i8 *own, int32_t low,
                                             int32_t high, int32_t *at)
{
    const struct ledge_binary_i8 p = sum->binary;
    const struct ledge_epilogue_i8 out = sum->out;
    const struct divisor divisor = divisor_of(p.scale);
    const ivec zero = iv_set1((uint32_t)p.out.zero), left = iv_set1((uint32_t)out.zero);
    const vec a = v_set1(sum->a), b = v_set1(sum->b), constant = v_set1(sum->constant);
    const vec near_b = v_set1(p.near.b);
    uint8_t bytes[256];
    for (int i = 0; i < 256; i++) {
        bytes[i] = (uint8_t)i;
    }
    for (int32_t q = low; q <= high; q++) {
        const ivec byte = iv_set1((uint32_t)q), x = iv_set1((uint32_t)(q - own->zero));
        const vec first = v_fma(iv_to_float(byte), v_set1(p.near.a), v_set1(p.near.constant));
        for (int i = 0; i < 256; i += LANES) {
            const ivec addend = iv_load_bytes(bytes + i);
            const vec near = v_fma(iv_to_float(addend), near_b, first);
            ivec exact = iv_round(near); /* as near_vectors() */
            if (v_unsure(near, exact, p.near.limit)) {
                exact = exact_whole(&p, byte, addend, &divisor);
            }
            ivec got = iv_clamp(iv_add(sum_of(x, addend, a, b, constant), left), out.low, out.high);
            exact = iv_clamp(iv_add(exact, zero), p.near.out.low, p.near.out.high);
            if (v_unsure(iv_to_float(got), exact, 0.5f)) {
                *at = q;
                return false;
            }
        }
    }
    return true;
}

/* Positions of vector k of those that go together: 3 vectors have no fourth, its place is idle. */
#define VECTOR_OF(vectors, k) ((vectors) == 3 ? (k) % 3 : (k) & ((vectors)-1))

INLINE void sum_rows(const struct ledge_finish_i8 *f, const int vectors)
{
    /* Copies: what is stored might be they. */
    const struct ledge_sum_i8 *const params = f->sum;
    const struct ledge_epilogue_i8 from = *f->epilogue, to = params->out;
    const struct ledge_finish_i8 copy = *f;
    struct ledge_finish_i8 out = *f;
    const int together = PACKED > 1 && vectors < 3 ? PACKED >> (vectors - 1) : 1;
    const int count = PACKED == 1 ? vectors : SUM_VECTORS;
    const vec low = v_set1((float)(from.low - from.zero));
    const vec high = v_set1((float)(from.high - from.zero));
    const vec a = v_set1(params->a), b = v_set1(params->b), constant = v_set1(params->constant);
    const bool plain =
        to.zero == 0 && to.low == 0 && to.high == 255 && to.flip == 0 && copy.table == NULL;
    const uint8_t flip = params->binary.term[1].flip;
    const int32_t *sums = copy.sums;
    vec scale[SUM_VECTORS];
    ivec next[SUM_VECTORS];
    out.epilogue = &to;
    UNROLL
    for (int k = 0; k < count; k++) {
        scale[k] = v_load(from.scale + copy.at + VECTOR_OF(vectors, k) * LANES);
    }
    load_rows(&copy, 0, vectors, flip, next);
    for (int32_t r = 0; r < copy.rows; r += together, sums += together * vectors * LANES) {
        ivec whole[SUM_VECTORS];
        UNROLL
        for (int k = 0; k < count; k++) {
            const int at = k == 3 && vectors == 3 ? 0 : k * LANES;
            vec x = v_mul(iv_to_float(iv_load(sums + at)), scale[k]);
            ivec own = iv_round(v_clamp_number(x, low, high));
            whole[k] = sum_of(own, next[k], a, b, constant);
        }
        /* A load would wait for stores that end near it: in place the next rows are read before. */
        if (r + together < copy.rows) {
            load_rows(&copy, r + together, vectors, flip, next);
        }
        store_rows(&out, r, whole, vectors, plain);
    }
}

#define SUM_FUNCTION(v)                                                                            \
    static void sum_rows_##v(const struct ledge_finish_i8 *f)                                      \
    {                                                                                              \
        sum_rows(f, v);                                                                            \
    }
#define SUM_ENTRY(v) [v] = sum_rows_##v,

/* clang-format off */
LEDGE_KEEP(LEDGE_KERNEL_sum_i8)(VECTORS_TABLE(SUM_FUNCTION))
    /* clang-format on */

    static inline void run_finish_or_sum(const struct ledge_finish_i8 *f)
{
    static const finish_fn table[LEDGE_I8_VECTORS + 1] = {
        LEDGE_KEEP(LEDGE_KERNEL_sum_i8)(VECTORS_TABLE(SUM_ENTRY))[0] = NULL};
    if (!LEDGE_HAS(LEDGE_KERNEL_sum_i8) || f->sum == NULL) {
        run_finish(f);
        return;
    }
    if (f->less != NULL) {
        take_less(f);
    }
    table[f->vectors](f);
    v_done();
}
