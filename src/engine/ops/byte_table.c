/* SPDX-License-Identifier: Apache-2.0 */
/* byte_table.c -- ledge.ByteTable: bytes (u8 or i8) and a table of 256 bytes, indexed by the byte's
 * bits. The passes write it; a file may hold one, too, so everything is checked. */
#include "engine/kernels/i8.h"
#include "engine/ops/core.h"

static bool is_byte(enum ledge_dtype dtype)
{
    return dtype == LEDGE_U8 || dtype == LEDGE_I8;
}

enum ledge_status ledge_byte_table_infer(struct ledge_op_infer *infer)
{
    enum { ENTRIES = 256 };
    const struct ledge_value *x = ledge_infer_in(infer, 0), *table = ledge_infer_in(infer, 1);
    if (x == NULL || table == NULL || !is_byte(x->dtype) || !is_byte(table->dtype) ||
        table->rank != 1 || table->dims[0] != ENTRIES) {
        return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "wants bytes and a table of 256 bytes");
    }
    return ledge_infer_out(infer, 0, table->dtype, x->rank, x->dims);
}

enum ledge_status ledge_byte_table_prepare(struct ledge_op_prepare *prepare)
{
    const struct ledge_i8_kernels *isa = ledge_i8_for(prepare->rung);
    prepare->run = LEDGE_KERNEL(lookup, ledge_byte_table);
    prepare->params = isa;
    prepare->kernel = isa->table;
    prepare->in_place = 0;
    return LEDGE_OK;
}
