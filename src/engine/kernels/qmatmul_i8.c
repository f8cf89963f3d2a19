/* SPDX-License-Identifier: Apache-2.0 */
/* qmatmul_i8.c -- QLinearMatMul, MatMulInteger and QGemm with a constant b by exact 8-bit products.
 */
#include "engine/kernels/quant_i8.h"

#include <string.h>

#define COUNT_LIMIT ((int64_t)1 << 30)

/* Rows of a are dense and all products share one b. */
bool ledge_qmatmul_i8_is_fast(const struct ledge_matmul_shape *s)
{
    for (int32_t i = 0; i < s->n_dims; i++) {
        if (s->b_step[i] != 0) {
            return false;
        }
    }
    return s->a_col == 1 && s->m > 0 && s->n > 0 && s->k > 0 && s->m < COUNT_LIMIT &&
           s->n < COUNT_LIMIT && s->k < COUNT_LIMIT;
}

void ledge_qmatmul_i8_plan(struct ledge_qmatmul_fast *fast, enum ledge_rung rung, int32_t threads)
{
    const struct ledge_matmul_shape *s = &fast->base.shape;
    fast->isa = ledge_i8_for(rung);
    fast->threads = threads;
    fast->units = (s->k + fast->isa->group - 1) / fast->isa->group;
    int64_t columns = (s->n + fast->isa->nr - 1) / fast->isa->nr * fast->isa->nr;
    fast->packed_units = ((size_t)(columns * fast->units) + 15) & ~(size_t)15;
    fast->worker_units = ledge_product_i8_scratch(fast->isa, fast->units > 0 ? fast->units : 1);
}

size_t ledge_qmatmul_i8_scratch(const struct ledge_qmatmul_fast *fast)
{
    return (size_t)fast->threads * fast->worker_units;
}

struct reader {
    const struct ledge_qmatmul_fast *fast;
    const struct ledge_q8_weights *weights;
};

static int32_t weight(const void *arg, int64_t channel, int64_t k)
{
    const struct reader *r = arg;
    const struct ledge_matmul_shape *s = &r->fast->base.shape;
    return k < s->k ? ledge_q8(r->weights->b->data, r->weights->b->dtype,
                               k * s->b_row + channel * s->b_col)
                    : r->weights->b_zeros[channel];
}

bool ledge_qmatmul_i8_pack(const struct ledge_qmatmul_fast *fast,
                           const struct ledge_q8_weights *weights, uint32_t *packed)
{
    struct reader reader = {.fast = fast, .weights = weights};
    struct ledge_pack_i8 pack = {.isa = fast->isa,
                                 .channels = fast->base.shape.n,
                                 .units = fast->units,
                                 .a_resident = false,
                                 .get = weight,
                                 .arg = &reader,
                                 .b_is_u8 = weights->b->dtype == LEDGE_U8,
                                 .b_zeros = weights->b_zeros,
                                 .a_zero = fast->constants.a_zero};
    bool matter = ledge_product_i8_pack(&pack, packed, weights->offset, weights->zeros);
    for (int64_t c = 0; c < pack.channels && weights->bias != NULL; c++) {
        weights->offset[c] = (int32_t)((uint32_t)weights->offset[c] +
                                       (uint32_t)weights->bias[c * weights->bias_step]);
    }
    return matter;
}

struct source {
    const struct ledge_qmatmul_fast *fast;
    const uint8_t *a;
    struct ledge_q8_store store;
};

static void stream_rows(const void *arg, int64_t at, int64_t count, uint32_t *panel)
{
    const struct source *source = arg;
    const struct ledge_qmatmul_fast *fast = source->fast;
    const struct ledge_matmul_shape *s = &fast->base.shape;
    int64_t block = (int64_t)LEDGE_I8_KC * fast->isa->group; /* elements */
    size_t width = 4 / (size_t)fast->isa->group;             /* bytes of one */
    for (int64_t i = 0; i < count; i++) {
        const uint8_t *row = source->a + (at + i) * s->a_row;
        for (int64_t k = 0; k < s->k; k += block) {
            int64_t run = s->k - k < block ? s->k - k : block;
            char *to = (char *)(panel + (k / block * count + i) * LEDGE_I8_KC);
            fast->isa->row(row + k, run, fast->constants.flip, fast->constants.a_zero, to);
            int64_t rest = (fast->isa->group - run % fast->isa->group) % fast->isa->group;
            memset(to + (size_t)run * width, 0, (size_t)rest * width);
        }
    }
}

static void store_tile(const void *arg, int64_t row, int64_t col, int32_t rows, int32_t cols,
                       int32_t *sums)
{
    const struct source *source = arg;
    ledge_q8_store(&source->store, row, col, rows, cols, sums);
}

enum ledge_status ledge_qmatmul_i8(const struct ledge_kernel_call *call)
{
    const struct ledge_qmatmul_fast *fast = call->params;
    const struct ledge_matmul_shape *s = &fast->base.shape;
    size_t element = ledge_dtype_size(call->out[0]->dtype);
    for (int64_t i = 0; i < ledge_matmul_count(s); i++) {
        int64_t a_at, b_at;
        ledge_matmul_at(s, i, &a_at, &b_at);
        struct source source = {
            .fast = fast,
            .a = (const uint8_t *)call->in[fast->base.in.a]->data + a_at,
            .store = {.isa = fast->isa,
                      .constants = &fast->constants,
                      .dtype = call->out[0]->dtype,
                      .clamp = fast->base.clamp,
                      .y = (char *)call->out[0]->data + (size_t)(i * s->m * s->n) * element,
                      .ldy = s->n}};
        struct ledge_product_i8 product = {.isa = fast->isa,
                                           .m = s->m,
                                           .n = s->n,
                                           .units = fast->units,
                                           .resident = call->packed,
                                           .b_zeros = fast->constants.zeros,
                                           .stream = stream_rows,
                                           .store = store_tile,
                                           .arg = &source};
        ledge_product_i8_run(&product, call->pool, call->scratch);
    }
    return LEDGE_OK;
}
