/* SPDX-License-Identifier: Apache-2.0 */
/* byte_table.c -- any function of one byte: out[i] = table[in[i]], in parts that threads share. */
#include "engine/kernels/i8.h"

enum { PART = 16384 };

static void one_part(void *arg, int32_t index, int32_t worker)
{
    (void)worker;
    const struct ledge_kernel_call *call = arg;
    const struct ledge_i8_kernels *isa = call->params;
    const uint8_t *x = call->in[0]->data;
    uint8_t *y = call->out[0]->data;
    int64_t from = (int64_t)index * PART, left = ledge_view_count(call->out[0]) - from;
    isa->lookup(call->in[1]->data, x + from, y + from, 1, left < PART ? left : PART, 0);
}

enum ledge_status ledge_byte_table(const struct ledge_kernel_call *call)
{
    int64_t parts = (ledge_view_count(call->out[0]) + PART - 1) / PART;
    ledge_pool_run(call->pool, (int32_t)parts, one_part, (void *)call);
    return LEDGE_OK;
}
