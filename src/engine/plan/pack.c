/* SPDX-License-Identifier: Apache-2.0 */
/* pack.c -- the constants that kernels read in an order of their own, in one block.
 *
 * All nodes are prepared first, so that the sizes are known; then one block is taken, which on most
 * hosts lies on large pages (port.c), and each step's part of it is filled in the order of the
 * steps.
 */
#include <string.h>

#include "base/banned.h"
#include "base/checked.h"
#include "base/status.h"
#include "engine/plan/internal.h"

enum { ALIGN = 64 };

static void fill(struct ledge_op_prepare *ready, void *packed)
{
    memset(packed, 0, ready->packed_bytes);
    ready->pack(ready, packed);
    ready->packed = packed;
    if (ready->bind != NULL) {
        ready->bind(ready, packed);
    }
}

enum ledge_status ledge_plan_pack_now(struct ledge_op_prepare *ready)
{
    if (ready->pack == NULL) {
        return LEDGE_OK;
    }
    void *packed = ledge_arena_raw(ready->memory, ready->packed_bytes, ALIGN);
    if (packed == NULL) {
        return ledge_fail(ready->err, LEDGE_ERR_NOMEM, "no memory for packed weights");
    }
    fill(ready, packed);
    return LEDGE_OK;
}

enum ledge_status ledge_plan_pack(struct ledge_plan *plan, struct ledge_error *err)
{
    size_t total = 0;
    for (int32_t s = 0; s < plan->n_steps; s++) {
        const struct ledge_op_prepare *ready = &plan->steps[s].ready;
        size_t bytes;
        if (ready->pack != NULL && (!ledge_align_size(ready->packed_bytes, ALIGN, &bytes) ||
                                    !ledge_add_size(total, bytes, &total))) {
            return ledge_fail(err, LEDGE_ERR_NOMEM, "packed weights would be too large");
        }
    }
    char *block = ledge_arena_raw(&plan->memory, total, ALIGN);
    if (block == NULL) {
        return ledge_fail(err, LEDGE_ERR_NOMEM, "no memory for %zu bytes of packed weights", total);
    }
    for (int32_t s = 0; s < plan->n_steps; s++) {
        struct ledge_op_prepare *ready = &plan->steps[s].ready;
        if (ready->pack != NULL) {
            fill(ready, block);
            block += (ready->packed_bytes + ALIGN - 1) / ALIGN * ALIGN;
        }
    }
    plan->packed_bytes = total;
    return LEDGE_OK;
}
