/* SPDX-License-Identifier: Apache-2.0 */
/* tfl_table.c -- the list of built-in operators: TFLite's quantised operators. */
#include "engine/ops/op.h"

const struct ledge_op_table ledge_ops_tfl = {.ops = NULL, .n = 0, .next = NULL};
