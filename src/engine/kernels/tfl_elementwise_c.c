/* SPDX-License-Identifier: Apache-2.0 */
/* tfl_elementwise_c.c -- Add, Sub, Mul with broadcasting; Requantize and Relu; tables; f32 <-> 8
 * bits. */
#include <math.h>

#include "engine/kernels/tfl.h"
#include "engine/kernels/tfl_wide.h"

/* Bits that Add and Sub gain before their inputs are scaled to a common scale. */
enum { LEFT_SHIFT = 20 };

static int32_t combine(const struct ledge_tfl_binary_params *p, int32_t a, int32_t b)
{
    a -= p->zero[0];
    b -= p->zero[1];
    if (p->kind == LEDGE_TFL_MUL) {
        return ledge_tfl_scale(a * b, p->out_factor);
    }
    a = ledge_tfl_scale(ledge_tfl_shift_left(a, LEFT_SHIFT), p->factor[0]);
    b = ledge_tfl_scale(ledge_tfl_shift_left(b, LEFT_SHIFT), p->factor[1]);
    int32_t sum = ledge_tfl_add(a, p->kind == LEDGE_TFL_SUB ? (int32_t)(0u - (uint32_t)b) : b);
    return ledge_tfl_scale(sum, p->out_factor);
}

/* One row along the last dimension. */
static void row(void *arg, int32_t index, int32_t worker)
{
    (void)worker;
    const struct ledge_kernel_call *call = arg;
    const struct ledge_tfl_binary_params *p = call->params;
    int64_t at[2] = {0, 0};
    int64_t left = index;
    int32_t last = p->rank - 1;
    for (int32_t i = last - 1; i >= 0; i--) {
        at[0] += left % p->dims[i] * p->step[0][i];
        at[1] += left % p->dims[i] * p->step[1][i];
        left /= p->dims[i];
    }
    for (int64_t i = 0; i < p->dims[last]; i++) {
        int32_t a = ledge_tfl_load(call->in[0]->data, at[0] + i * p->step[0][last], p->flip);
        int32_t b = ledge_tfl_load(call->in[1]->data, at[1] + i * p->step[1][last], p->flip);
        ledge_tfl_store(call->out[0]->data, index * p->dims[last] + i, combine(p, a, b), &p->out);
    }
}

enum ledge_status ledge_tfl_binary_c(const struct ledge_kernel_call *call)
{
    const struct ledge_tfl_binary_params *p = call->params;
    int64_t rows = 1;
    for (int32_t i = 0; i < p->rank - 1; i++) {
        rows *= p->dims[i];
    }
    struct ledge_kernel_call copy = *call;
    ledge_pool_run(call->pool, (int32_t)rows, row, &copy);
    return LEDGE_OK;
}

enum ledge_status ledge_tfl_rescale_c(const struct ledge_kernel_call *call)
{
    const struct ledge_tfl_rescale_params *p = call->params;
    int64_t n = ledge_view_count(call->out[0]);
    for (int64_t i = 0; i < n; i++) {
        int32_t x = ledge_tfl_load(call->in[0]->data, i, p->x_flip) - p->x_zero;
        ledge_tfl_store(call->out[0]->data, i, ledge_tfl_scale(x, p->factor), &p->out);
    }
    return LEDGE_OK;
}

enum ledge_status ledge_tfl_table_c(const struct ledge_kernel_call *call)
{
    const struct ledge_tfl_table_params *p = call->params;
    const uint8_t *x = call->in[0]->data;
    uint8_t *y = call->out[0]->data;
    int64_t n = ledge_view_count(call->out[0]);
    for (int64_t i = 0; i < n; i++) {
        y[i] = p->table[x[i]];
    }
    return LEDGE_OK;
}

/* Halves are rounded away from zero; what is no number becomes the zero point. */
enum ledge_status ledge_tfl_quantize_c(const struct ledge_kernel_call *call)
{
    const struct ledge_tfl_affine_params *p = call->params;
    const float *x = call->in[0]->data;
    const struct ledge_view *y = call->out[0];
    int32_t least = 0, most = 0;
    (void)ledge_tfl_range(y->dtype, &least, &most);
    float low = (float)least, high = (float)most;
    int64_t n = ledge_view_count(y);
    for (int64_t i = 0; i < n; i++) {
        float q = roundf(x[i] / p->scales[0]) + (float)p->zeros[0];
        q = q >= low ? q : (q < low ? low : (float)p->zeros[0]);
        q = q <= high ? q : high;
        ledge_tfl_put(y->data, y->dtype, i, (int32_t)q);
    }
    return LEDGE_OK;
}

enum ledge_status ledge_tfl_dequantize_c(const struct ledge_kernel_call *call)
{
    const struct ledge_tfl_affine_params *p = call->params;
    const struct ledge_view *x = call->in[0];
    float *y = call->out[0]->data;
    int64_t n = ledge_view_count(call->out[0]);
    for (int64_t i = 0; i < n; i++) {
        int64_t c = p->n > 1 ? i / p->stride % p->n : 0;
        int32_t q = ledge_tfl_get(x->data, x->dtype, i);
        y[i] = p->scales[c] * (float)(q - p->zeros[c]);
    }
    return LEDGE_OK;
}
