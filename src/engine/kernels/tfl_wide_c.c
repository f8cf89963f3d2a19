/* SPDX-License-Identifier: Apache-2.0 */
/* tfl_wide_c.c -- element-wise operators of i16, and requantising between types. */
#include "engine/kernels/tfl_wide.h"

#include "engine/kernels/tfl.h"

enum ledge_status ledge_tfl_wide_rescale_c(const struct ledge_kernel_call *call)
{
    const struct ledge_tfl_wide_params *p = call->params;
    const struct ledge_view *x = call->in[0], *y = call->out[0];
    int64_t n = ledge_view_count(y);
    for (int64_t i = 0; i < n; i++) {
        int32_t real =
            ledge_tfl_add(ledge_tfl_get(x->data, x->dtype, i), (int32_t)(0u - (uint32_t)p->x_zero));
        int32_t q = ledge_tfl_scale(real, real >= 0 ? p->factor : p->below);
        q = ledge_tfl_clamp(ledge_tfl_add(q, p->zero), p->low, p->high);
        ledge_tfl_put(y->data, y->dtype, i, q);
    }
    return LEDGE_OK;
}

static int32_t combine(const struct ledge_tfl_wide_binary_params *p, int32_t a, int32_t b)
{
    a -= p->zero[0];
    b -= p->zero[1];
    if (p->kind == LEDGE_TFL_MUL) {
        return ledge_tfl_scale((int32_t)((uint32_t)a * (uint32_t)b), p->out_factor);
    }
    a = ledge_tfl_scale(ledge_tfl_shift_left(a, p->left), p->factor[0]);
    b = ledge_tfl_scale(ledge_tfl_shift_left(b, p->left), p->factor[1]);
    int32_t sum = ledge_tfl_add(a, p->kind == LEDGE_TFL_SUB ? (int32_t)(0u - (uint32_t)b) : b);
    return ledge_tfl_scale(sum, p->out_factor);
}

/* One row along the last dimension. */
static void row(void *arg, int32_t index, int32_t worker)
{
    (void)worker;
    const struct ledge_kernel_call *call = arg;
    const struct ledge_tfl_wide_binary_params *p = call->params;
    const int16_t *a = call->in[0]->data, *b = call->in[1]->data;
    int32_t last = p->rank - 1;
    int64_t left = index;
    for (int32_t i = last - 1; i >= 0; i--) {
        a += left % p->dims[i] * p->step[0][i];
        b += left % p->dims[i] * p->step[1][i];
        left /= p->dims[i];
    }
    int16_t *y = (int16_t *)call->out[0]->data + index * p->dims[last];
    for (int64_t i = 0; i < p->dims[last]; i++) {
        int32_t q = combine(p, a[i * p->step[0][last]], b[i * p->step[1][last]]);
        y[i] = (int16_t)ledge_tfl_clamp(ledge_tfl_add(q, p->out_zero), p->low, p->high);
    }
}

enum ledge_status ledge_tfl_wide_binary_c(const struct ledge_kernel_call *call)
{
    const struct ledge_tfl_wide_binary_params *p = call->params;
    int64_t rows = 1;
    for (int32_t i = 0; i < p->rank - 1; i++) {
        rows *= p->dims[i];
    }
    struct ledge_kernel_call copy = *call;
    ledge_pool_run(call->pool, (int32_t)rows, row, &copy);
    return LEDGE_OK;
}
