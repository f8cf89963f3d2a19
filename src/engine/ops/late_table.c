/* SPDX-License-Identifier: Apache-2.0 */
/* late_table.c -- the list of built-in operators that only run late. */
#include "engine/ops/late.h"
#include "engine/ops/op.h"
#include "engine/port/select.h"

#define ENTRY(domain, op, function) LEDGE_KEEP(LEDGE_OP_##op)({domain, #op, NULL, NULL}, )

static const struct ledge_op ops[] = {LEDGE_LATE_LIST(ENTRY){NULL, NULL, NULL, NULL}};

const struct ledge_op_table ledge_ops_late = {
    .ops = ops, .n = (int32_t)(sizeof ops / sizeof ops[0]) - 1, .next = NULL};
