/* SPDX-License-Identifier: Apache-2.0 */
/* byte_table_c.c -- any function of one byte: out[i] = table[in[i]]. One load, one load, one store
 * per byte is all there is, on every rung. */
#include "engine/kernels/quant.h"
#include "engine/port/pool.h"

enum { PART = 16384 };

static void one_part(void *arg, int32_t index, int32_t worker)
{
    const struct ledge_kernel_call *call = arg;
    const uint8_t *x = call->in[0]->data, *table = call->in[1]->data;
    uint8_t *y = call->out[0]->data;
    int64_t from = (int64_t)index * PART, n = ledge_view_count(call->out[0]);
    int64_t to = n - from > PART ? from + PART : n;
    (void)worker;
    for (int64_t i = from; i < to; i++) {
        y[i] = table[x[i]];
    }
}

enum ledge_status ledge_byte_table_c(const struct ledge_kernel_call *call)
{
    int64_t parts = (ledge_view_count(call->out[0]) + PART - 1) / PART;
    ledge_pool_run(call->pool, (int32_t)parts, one_part, (void *)call);
    return LEDGE_OK;
}
