/* SPDX-License-Identifier: Apache-2.0 */
/* core_table.c -- the list of built-in operators: convolution, matrix products, pooling and their
 * integer forms. */
#include "engine/ops/core.h"
#include "engine/port/select.h"

#define ENTRY(domain, op, prefix)                                                                  \
    LEDGE_KEEP(LEDGE_OP_##op)({domain, #op, prefix##_infer, prefix##_prepare}, )

static const struct ledge_op ops[] = {LEDGE_CORE_LIST(ENTRY){NULL, NULL, NULL, NULL}};

const struct ledge_op_table ledge_ops_core = {
    .ops = ops, .n = (int32_t)(sizeof ops / sizeof ops[0]) - 1, .next = NULL};
