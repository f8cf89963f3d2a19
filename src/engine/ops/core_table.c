/* SPDX-License-Identifier: Apache-2.0 */
/* core_table.c -- the list of built-in operators: convolution, matrix products, pooling and their
 * integer forms. */
#include "engine/ops/core.h"

static const struct ledge_op ops[] = {
#define LEDGE_CORE_ENTRY(domain_text, op_text, prefix)                                             \
    {.domain = domain_text, .name = op_text, .infer = prefix##_infer, .prepare = prefix##_prepare},
    LEDGE_CORE_LIST(LEDGE_CORE_ENTRY)
#undef LEDGE_CORE_ENTRY
};

const struct ledge_op_table ledge_ops_core = {
    .ops = ops, .n = (int32_t)(sizeof ops / sizeof ops[0]), .next = NULL};
