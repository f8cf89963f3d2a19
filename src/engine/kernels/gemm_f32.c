/* SPDX-License-Identifier: Apache-2.0 */
/* gemm_f32.c -- Gemm and MatMul through the blocked product: b is resident (packed at plan time
 * when it is constant, else in each run), rows of a are streamed. */
#include <math.h>
#include <string.h>

#include "engine/kernels/bf16.h"
#include "engine/kernels/gemm.h"
#include "engine/kernels/geometry.h"
#include "engine/kernels/product_f32.h"

#define COUNT_LIMIT ((int64_t)1 << 30)

LEDGE_COLD bool ledge_gemm_f32_is_fast(const struct ledge_matmul_shape *s)
{
    return s->m < COUNT_LIMIT && s->n < COUNT_LIMIT && s->k < COUNT_LIMIT && s->m > 0 && s->n > 0;
}

static size_t round_up(size_t floats)
{
    return (floats + 15) & ~(size_t)15;
}

/* Matrices b that differ: outer dimensions in which b is not broadcast. */
static int64_t b_count(const struct ledge_matmul_shape *s)
{
    int64_t count = 1;
    for (int32_t i = 0; i < s->n_dims; i++) {
        count *= s->b_step[i] != 0 ? s->dims[i] : 1;
    }
    return count;
}

LEDGE_COLD void ledge_gemm_f32_plan(struct ledge_gemm_fast *fast,
                                    const struct ledge_f32_kernels *isa, int32_t threads)
{
    const struct ledge_matmul_shape *s = &fast->base.shape;
    fast->isa = isa;
    fast->threads = threads;
    fast->b_floats = round_up(ledge_product_f32_b_size(isa, s->k, s->n));
    int64_t least = s->m < LEDGE_BF16_FEW_ROWS ? LEDGE_BF16_LEAST_FEW : LEDGE_BF16_LEAST;
    fast->bf16 = fast->bf16 && (int64_t)fast->b_floats * b_count(s) >= least;
    fast->packed_floats = fast->b_floats * (size_t)b_count(s) / (fast->bf16 ? 2 : 1);
    fast->worker_floats = round_up(ledge_product_f32_scratch(isa, fast->bf16));
}

/* One packed b is enough when it is not constant: products run one after the other. */
size_t ledge_gemm_f32_scratch(const struct ledge_gemm_fast *fast, bool constant_b)
{
    return (constant_b ? 0 : fast->b_floats) + (size_t)fast->threads * fast->worker_floats;
}

void ledge_gemm_f32_pack(const struct ledge_gemm_fast *fast, const void *b, float *packed)
{
    const struct ledge_matmul_shape *s = &fast->base.shape;
    const int64_t count = b_count(s);
    const size_t used = ledge_product_f32_b_size(fast->isa, s->k, s->n);
    const size_t width = fast->bf16 ? sizeof(uint16_t) : sizeof(float);
    char *to = (char *)packed;
    for (int64_t i = 0; i < count; i++, to += width * fast->b_floats) {
        /* b is dense in the outer dimensions it has */
        const char *from = (const char *)b + 4 * i * s->k * s->n;
        if (fast->bf16) {
            ledge_product_f32_pack_b16(fast->isa, from, s->b_row, s->b_col, s->k, s->n,
                                       (uint16_t *)(void *)to);
        } else {
            ledge_product_f32_pack_b(fast->isa, from, s->b_row, s->b_col, s->k, s->n,
                                     (float *)(void *)to);
        }
        memset(to + width * used, 0, width * (fast->b_floats - used));
    }
}

struct source {
    const struct ledge_gemm_params *params;
    const float *a;
};

static void stream_rows(const void *arg, int64_t k0, int64_t kc, int64_t at, int64_t count,
                        float *panel)
{
    const struct source *source = arg;
    const struct ledge_matmul_shape *s = &source->params->shape;
    float alpha = source->params->alpha;
    for (int64_t i = 0; i < count; i++) {
        const float *from = source->a + (at + i) * s->a_row + k0 * s->a_col;
        float *to = panel + i * LEDGE_F32_KC;
        if (s->a_col == 1 && alpha == 1.0f) {
            memcpy(to, from, (size_t)kc * sizeof *to);
            continue;
        }
        for (int64_t k = 0; k < kc; k++) {
            to[k] = alpha * from[k * s->a_col];
        }
    }
}

/* y = beta * c, for what a vector of biases cannot say. */
static void fill(const struct ledge_gemm_params *params, const float *c, float *y)
{
    for (int64_t row = 0; row < params->shape.m; row++) {
        for (int64_t col = 0; col < params->shape.n; col++) {
            y[row * params->shape.n + col] =
                params->beta * c[row * params->c_row + col * params->c_col];
        }
    }
}

enum ledge_status ledge_gemm_f32_fast(const struct ledge_kernel_call *call)
{
    const struct ledge_gemm_fast *fast = call->params;
    const struct ledge_gemm_params *params = &fast->base;
    const struct ledge_matmul_shape *s = &params->shape;
    const float *c = call->n_in > 2 && call->in[2] != NULL ? call->in[2]->data : NULL;
    bool vector = c != NULL && params->beta == 1.0f && params->c_row == 0 && params->c_col == 1;
    bool constant = call->packed != NULL, bf16 = constant && fast->bf16;
    bool row =
        s->m == 1 && s->a_col == 1 && params->alpha == 1.0f && (c == NULL || vector) && !bf16;
    float *own = constant ? NULL : call->scratch;
    float *scratch = (float *)call->scratch + (constant ? 0 : fast->b_floats);
    const float *packed_from = NULL;
    for (int64_t i = 0; i < ledge_matmul_count(s); i++) {
        int64_t a_at, b_at;
        ledge_matmul_at(s, i, &a_at, &b_at);
        const float *b = (const float *)call->in[1]->data + b_at;
        if (!constant && b != packed_from) {
            ledge_product_f32_pack_b(fast->isa, b, s->b_row, s->b_col, s->k, s->n, own);
            packed_from = b;
        }
        struct source source = {.params = params, .a = (const float *)call->in[0]->data + a_at};
        size_t b_first = (size_t)(b_at / (s->k * s->n > 0 ? s->k * s->n : 1)) * fast->b_floats;
        const float *resident = !constant ? own
                                : bf16    ? NULL
                                          : (const float *)call->packed + b_first;
        float *y = (float *)call->out[0]->data + i * s->m * s->n;
        if (row) {
            struct ledge_vector_f32 one = {.x = source.a,
                                           .k = s->k,
                                           .deep = LEDGE_F32_KC,
                                           .w = resident,
                                           .panels = (s->n + fast->isa->nr - 1) / fast->isa->nr,
                                           .n = s->n,
                                           .bias = c,
                                           .y = y,
                                           .low = params->clamp.low,
                                           .high = params->clamp.high};
            ledge_vector_f32_run(fast->isa, &one, call->pool);
            continue;
        }
        if (c != NULL && !vector) {
            fill(params, c, y);
        }
        struct ledge_product_f32 product = {
            .isa = fast->isa,
            .m = s->m,
            .n = s->n,
            .k = s->k,
            .a_resident = false,
            .resident = resident,
            .resident16 = bf16 ? (const uint16_t *)call->packed + b_first : NULL,
            .stream = stream_rows,
            .arg = &source,
            .c = y,
            .ldc = s->n,
            .col_bias = vector ? c : NULL,
            .accumulate = c != NULL && !vector,
            .clamp = params->clamp,
        };
        ledge_product_f32_run(&product, call->pool, scratch);
    }
    return LEDGE_OK;
}
