/* SPDX-License-Identifier: Apache-2.0 */
/* gemm_c.c -- matrix product in plain C: the judge. */
#include "engine/kernels/gemm.h"

#include <math.h>

#include "engine/kernels/geometry.h"
#include "engine/kernels/onnx_number.h"

int64_t ledge_matmul_count(const struct ledge_matmul_shape *shape)
{
    int64_t count = 1;
    for (int32_t i = 0; i < shape->n_dims; i++) {
        count *= shape->dims[i];
    }
    return count;
}

void ledge_matmul_at(const struct ledge_matmul_shape *shape, int64_t i, int64_t *a, int64_t *b)
{
    *a = 0;
    *b = 0;
    for (int32_t d = shape->n_dims - 1; d >= 0; d--) {
        int64_t at = i % shape->dims[d];
        i /= shape->dims[d];
        *a += at * shape->a_step[d];
        *b += at * shape->b_step[d];
    }
}

static void one_row(void *arg, int32_t index, int32_t worker)
{
    (void)worker;
    const struct ledge_kernel_call *call = arg;
    const struct ledge_gemm_params *params = call->params;
    const struct ledge_matmul_shape *s = &params->shape;
    int64_t a_at, b_at;
    int64_t row = index % s->m;
    ledge_matmul_at(s, index / s->m, &a_at, &b_at);
    const float *a = (const float *)call->in[0]->data + a_at + row * s->a_row;
    const float *b = (const float *)call->in[1]->data + b_at;
    const float *c = call->n_in > 2 && call->in[2] != NULL ? call->in[2]->data : NULL;
    float *y = (float *)call->out[0]->data + index * s->n;
    for (int64_t col = 0; col < s->n; col++) {
        float total = 0;
        for (int64_t k = 0; k < s->k; k++) {
            total += a[k * s->a_col] * b[k * s->b_row + col * s->b_col];
        }
        total *= params->alpha;
        if (c != NULL) {
            total += params->beta * c[row * params->c_row + col * params->c_col];
        }
        y[col] = ledge_clamp_f32(total, params->clamp);
    }
}

enum ledge_status ledge_gemm_f32_c(const struct ledge_kernel_call *call)
{
    const struct ledge_gemm_params *params = call->params;
    ledge_pool_run(call->pool, (int32_t)(ledge_matmul_count(&params->shape) * params->shape.m),
                   one_row, (void *)call);
    return LEDGE_OK;
}

/* Element a of x times element b of y, added up; modulo 2^64 where they are whole. */
static void add_product(const struct ledge_view *x, int64_t a, const struct ledge_view *y,
                        int64_t b, double *real, uint64_t *whole)
{
    int64_t v, w;
    if (x->dtype == LEDGE_F64) {
        *real += ((const double *)x->data)[a] * ((const double *)y->data)[b];
        return;
    }
    ledge_load_whole(x->data, x->dtype, a, 1, &v);
    ledge_load_whole(y->data, y->dtype, b, 1, &w);
    *whole += (uint64_t)v * (uint64_t)w;
}

static void one_wide_row(void *arg, int32_t index, int32_t worker)
{
    (void)worker;
    const struct ledge_kernel_call *call = arg;
    const struct ledge_gemm_params *params = call->params;
    const struct ledge_matmul_shape *s = &params->shape;
    const struct ledge_view *c = call->n_in > 2 ? call->in[2] : NULL, *y = call->out[0];
    int64_t a_at, b_at, row = index % s->m;
    ledge_matmul_at(s, index / s->m, &a_at, &b_at);
    a_at += row * s->a_row;
    bool plain = params->alpha == 1 && (c == NULL || params->beta == 1) &&
                 params->clamp.low == -INFINITY && params->clamp.high == INFINITY;
    for (int64_t col = 0; col < s->n; col++) {
        double real = 0, addend = 0;
        uint64_t whole = 0;
        int64_t at = row * params->c_row + col * params->c_col, wrapped;
        for (int64_t k = 0; k < s->k; k++) {
            add_product(call->in[0], a_at + k * s->a_col, call->in[1],
                        b_at + k * s->b_row + col * s->b_col, &real, &whole);
        }
        if (y->dtype != LEDGE_F64 && plain) {
            if (c != NULL) {
                ledge_load_whole(c->data, c->dtype, at, 1, &wrapped);
                whole += (uint64_t)wrapped;
            }
            wrapped = (int64_t)whole;
            ledge_store_whole(&wrapped, 1, y->data, y->dtype, index * s->n + col);
            continue;
        }
        real = (double)params->alpha * (y->dtype == LEDGE_F64 ? real : (double)(int64_t)whole);
        if (c != NULL) {
            ledge_load_real(c->data, c->dtype, at, 1, &addend);
            real += (double)params->beta * addend;
        }
        real = real < (double)params->clamp.low ? (double)params->clamp.low : real;
        real = real > (double)params->clamp.high ? (double)params->clamp.high : real;
        ledge_store_real(&real, 1, y->data, y->dtype, index * s->n + col);
    }
}

enum ledge_status ledge_gemm_wide_c(const struct ledge_kernel_call *call)
{
    const struct ledge_gemm_params *params = call->params;
    ledge_pool_run(call->pool, (int32_t)(ledge_matmul_count(&params->shape) * params->shape.m),
                   one_wide_row, (void *)call);
    return LEDGE_OK;
}
