/* SPDX-License-Identifier: Apache-2.0 */
/* i8_finish.tmpl.h -- sums of products become bytes, in terms of `ivec`; part of i8.tmpl.h. Each
 * i8_<isa>.c says beforehand
 *
 *   v_limit(x, low, high)  clamped so that iv_round() and saturation to 16 bits are right
 *   fixed_vec, fixed_load(e, at), iv_fixed(x, &f)   tfl_fixed.h where epilogue.narrow was proved
 *   PACKED, VECTORS_TABLE(F)         vectors of sums in one of bytes; F(vectors) for each in use
 *   store_rows(f, row, r, vectors, plain)   r + zero, clamped, as n bytes: ROWS_PACKED(vectors)
 *                                           rows
 *   FEW_LOOPS                          small rather than fast
 */

/* Rows go together as far as they fill the vectors that are packed into one of bytes. plain:
 * nothing but saturation is asked for. */
#define ROWS_PACKED(vectors) ((PACKED) > (vectors) ? (PACKED) / (vectors) : 1)

enum finish_way { FINISH_PLAIN, FINISH_FLOAT, FINISH_FIXED, FINISH_WIDE };

/* Parameters are copied where vectors are stored between their uses: these might be they. */
INLINE void finish_rows(const struct ledge_finish_i8 *params, const int vectors,
                        const enum finish_way way)
{
    const struct ledge_epilogue_i8 copy = *params->epilogue, *const e = &copy;
    struct ledge_finish_i8 own = *params, *const f = &own;
    own.epilogue = e;
    const int together = ROWS_PACKED(vectors);
    vec low = v_set1((float)(e->low - e->zero));
    vec high = v_set1((float)(e->high - e->zero));
    vec scale[LEDGE_I8_VECTORS];
    fixed_vec factor[LEDGE_I8_VECTORS];
    UNROLL
    for (int v = 0; v < vectors; v++) {
        if (way == FINISH_FIXED) {
            factor[v] = fixed_load(e, f->at + v * LANES);
        } else {
            scale[v] = v_load(e->scale + f->at + v * LANES);
        }
    }
    for (int32_t r = 0; r < f->rows; r += together) {
        ivec whole[LEDGE_I8_VECTORS];
        UNROLL
        for (int i = 0; i < together; i++) {
            int32_t row = r + i < f->rows ? r + i : r;
            UNROLL
            for (int v = 0; v < vectors; v++) {
                ivec sum = iv_load(f->sums + (row * vectors + v) * LANES);
                ivec *to = &whole[i * vectors + v];
                if (way == FINISH_FIXED) {
                    *to = iv_fixed(sum, &factor[v]);
                } else {
                    vec x = v_mul(iv_to_float(sum), scale[v]);
                    *to = iv_round(way == FINISH_PLAIN ? x : v_limit(x, low, high));
                }
            }
        }
        store_rows(f, r, whole, vectors, way == FINISH_PLAIN);
    }
}

#if LEDGE_HAS(LEDGE_PART_FIXED)
/* Sums that are too large for the vectors' way: the zero point is added modulo 2^32, as in tfl.h.
 */
static LEDGE_COLD void finish_wide(const struct ledge_finish_i8 *f)
{
    const int vectors = f->vectors;
    const struct ledge_epilogue_i8 *e = f->epilogue;
    const int together = ROWS_PACKED(vectors);
    for (int32_t i = 0; i < f->rows * vectors * LANES; i++) {
        int64_t p = f->at + i % (vectors * LANES);
        int32_t x = ledge_tfl_shift_left(f->sums[i], e->left[p]);
        x = ledge_tfl_shift_right(ledge_tfl_high_mul(x, e->multiplier[p]), e->right[p]);
        x = ledge_tfl_clamp(ledge_tfl_add(x, e->zero - 128), e->low - 128, e->high - 128);
        f->sums[i] = x - (e->zero - 128);
    }
    for (int32_t r = 0; r < f->rows; r += together) {
        ivec whole[LEDGE_I8_VECTORS];
        for (int i = 0; i < together * vectors; i++) {
            int32_t row = r + i / vectors < f->rows ? r + i / vectors : r;
            whole[i] = iv_load(f->sums + (row * vectors + i % vectors) * LANES);
        }
        store_rows(f, r, whole, vectors, false);
    }
}
#endif

/* What each row's sum of activations takes off. */
static void take_less(const struct ledge_finish_i8 *f)
{
    for (int32_t r = 0; r < f->rows; r++) {
        const ivec less = iv_set1((uint32_t)f->less[r]);
        for (int32_t v = 0; v < f->vectors; v++) {
            int32_t *sums = f->sums + (r * f->vectors + v) * LANES;
            iv_store(sums, iv_sub(iv_load(sums), less));
        }
    }
}

typedef void (*finish_fn)(const struct ledge_finish_i8 *f);

#define FINISH_FUNCTION(name, way, v)                                                              \
    static void finish_##name##_##v(const struct ledge_finish_i8 *f)                               \
    {                                                                                              \
        finish_rows(f, v, way);                                                                    \
    }
#define FLOAT_FUNCTION(v) FINISH_FUNCTION(float, FINISH_FLOAT, v)
#define FIXED_FUNCTION(v) FINISH_FUNCTION(fixed, FINISH_FIXED, v)
#if defined(FEW_LOOPS) || !LEDGE_HAS(LEDGE_KERNEL_plain_i8)
#define PLAIN_FUNCTION(v)
#define PLAIN_WAY(v) finish_float_##v
#else
#define PLAIN_FUNCTION(v) FINISH_FUNCTION(plain, FINISH_PLAIN, v)
#define PLAIN_WAY(v)      finish_plain_##v
#endif
/* clang-format off */
#define FINISH_ENTRY(v)                                                                            \
    [v] = {PLAIN_WAY(v), finish_float_##v,                                                         \
           LEDGE_KEEP(LEDGE_PART_FIXED)(finish_fixed_##v, finish_wide)},

VECTORS_TABLE(FLOAT_FUNCTION)
VECTORS_TABLE(PLAIN_FUNCTION)
LEDGE_KEEP(LEDGE_PART_FIXED)(VECTORS_TABLE(FIXED_FUNCTION))
    /* clang-format on */

    static void run_finish(const struct ledge_finish_i8 *f)
{
    static const finish_fn table[LEDGE_I8_VECTORS + 1][FINISH_WIDE + 1] = {
        VECTORS_TABLE(FINISH_ENTRY)};
    const struct ledge_epilogue_i8 *e = f->epilogue;
    bool plain = ledge_epilogue_is_plain(e) && f->less == NULL && f->table == NULL;
    int which = e->scale != NULL ? (plain ? FINISH_PLAIN : FINISH_FLOAT)
                : e->narrow      ? FINISH_FIXED
                                 : FINISH_WIDE;
    if (f->less != NULL) {
        take_less(f);
    }
    table[f->vectors][which](f);
    v_done();
}
