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
static inline ivec sum_of(const struct ledge_sum_i8 *sum, ivec own, ivec addend)
{
    vec x = v_fma(iv_to_float(addend), v_set1(sum->b), v_set1(sum->constant));
    return iv_round(v_fma(iv_to_float(own), v_set1(sum->a), x));
}

static inline LEDGE_COLD bool run_sum_agrees(const struct ledge_sum_i8 *sum,
                                             const struct ledge_epilogue_i8 *own, int32_t low,
                                             int32_t high, int32_t *at)
{
    const struct ledge_binary_i8 p = sum->binary;
    const struct ledge_epilogue_i8 out = sum->out;
    const struct divisor divisor = divisor_of(p.scale);
    const ivec zero = iv_set1((uint32_t)p.out.zero), left = iv_set1((uint32_t)out.zero);
    uint8_t bytes[256];
    for (int i = 0; i < 256; i++) {
        bytes[i] = (uint8_t)i;
    }
    for (int32_t q = low; q <= high; q++) {
        const ivec byte = iv_set1((uint32_t)q), x = iv_set1((uint32_t)(q - own->zero));
        for (int i = 0; i < 256; i += LANES) {
            const ivec addend = iv_load_bytes(bytes + i);
            ivec exact = iv_add(exact_whole(&p, byte, addend, &divisor), zero);
            ivec got = iv_clamp(iv_add(sum_of(sum, x, addend), left), out.low, out.high);
            exact = iv_clamp(exact, p.out.low, p.out.high);
            if (v_unsure(iv_to_float(got), exact, 0.5f)) {
                *at = q;
                return false;
            }
        }
    }
    return true;
}

/* Positions of vector k of those that go together: 3 vectors have no fourth, its place is idle. */
static inline int32_t vector_of(int32_t vectors, int32_t k)
{
    return vectors == 3 ? k % 3 : k & (vectors - 1);
}

static inline void finish_sum(const struct ledge_finish_i8 *f)
{
    /* Copies: what is stored might be they. */
    const struct ledge_sum_i8 sum = *f->sum;
    const struct ledge_epilogue_i8 from = *f->epilogue;
    const struct ledge_finish_i8 copy = *f;
    struct ledge_finish_i8 out = *f;
    const int32_t vectors = copy.vectors,
                  together = PACKED > 1 && vectors < 3 ? PACKED >> (vectors - 1) : 1;
    const vec low = v_set1((float)(from.low - from.zero));
    const vec high = v_set1((float)(from.high - from.zero));
    const bool plain =
        sum.out.zero == 0 && sum.out.low == 0 && sum.out.high == 255 && sum.out.flip == 0;
    const uint8_t flip = sum.binary.term[1].flip;
    vec scale[SUM_VECTORS];
    ivec next[SUM_VECTORS];
    out.epilogue = &sum.out;
    if (copy.less != NULL) {
        take_less(f);
    }
    for (int k = 0; k < SUM_VECTORS; k++) {
        scale[k] = v_load(from.scale + copy.at + vector_of(vectors, k) * LANES);
    }
    /* A load would wait for stores that end near it: in place the next rows are read before. */
    for (int32_t r = -together; r < copy.rows; r += together) {
        ivec whole[SUM_VECTORS];
        UNROLL
        for (int k = 0; k < SUM_VECTORS && r >= 0; k++) {
            if (PACKED == 1 && k >= vectors) {
                break;
            }
            int32_t at = k == 3 && vectors == 3 ? 0 : k * LANES;
            vec x = v_mul(iv_to_float(iv_load(copy.sums + (int64_t)r * vectors * LANES + at)),
                          scale[k]);
            ivec own = iv_round(v_clamp_number(x, low, high));
            whole[k] = sum_of(&sum, own, next[k]);
        }
        if (r + together < copy.rows) {
            load_rows(&copy, r + together, vectors, flip, next);
        }
        if (r >= 0) {
            store_rows(&out, r, whole, vectors, plain);
        }
    }
}

static inline void run_finish_or_sum(const struct ledge_finish_i8 *f)
{
    if (f->sum != NULL) {
        finish_sum(f);
    } else {
        run_finish(f);
    }
}
