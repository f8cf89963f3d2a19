/* SPDX-License-Identifier: Apache-2.0 */
/* late_table.c -- the list of built-in operators that only run late. */
#include "engine/ops/late.h"
#include "engine/ops/op.h"

#define ENTRY(domain_text, op, function) {.domain = domain_text, .name = #op},

static const struct ledge_op ops[] = {LEDGE_LATE_LIST(ENTRY)};

const struct ledge_op_table ledge_ops_late = {
    .ops = ops, .n = (int32_t)(sizeof ops / sizeof ops[0]), .next = NULL};
