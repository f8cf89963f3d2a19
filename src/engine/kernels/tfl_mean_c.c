/* SPDX-License-Identifier: Apache-2.0 */
/* tfl_mean_c.c -- Mean of i8 and u8 over any dimensions: exact sums, one rescaling that includes
 * the division. */
#include <string.h>

#include "engine/kernels/tfl.h"

enum ledge_status ledge_tfl_mean_c(const struct ledge_kernel_call *call)
{
    const struct ledge_tfl_mean_params *p = call->params;
    int32_t *sums = call->scratch;
    memset(sums, 0, (size_t)p->n_out * sizeof *sums);
    int64_t index[LEDGE_MAX_RANK] = {0};
    int64_t n = ledge_view_count(call->in[0]);
    int64_t to = 0;
    for (int64_t i = 0; i < n; i++) {
        sums[to] =
            ledge_tfl_add(sums[to], ledge_tfl_load(call->in[0]->data, i, p->x_flip) - p->x_zero);
        for (int32_t d = p->rank - 1; d >= 0; d--) { /* the next element, row-major */
            to += p->out_step[d];
            if (++index[d] < p->dims[d]) {
                break;
            }
            to -= p->out_step[d] * p->dims[d];
            index[d] = 0;
        }
    }
    for (int64_t i = 0; i < p->n_out; i++) {
        ledge_tfl_store(call->out[0]->data, i, ledge_tfl_scale(sums[i], p->factor), &p->out);
    }
    return LEDGE_OK;
}
