/* SPDX-License-Identifier: Apache-2.0 */
/* onnx_table.c -- the list of built-in operators: ai.onnx beyond the core. */
#include "engine/ops/op.h"

const struct ledge_op_table ledge_ops_onnx = {.ops = NULL, .n = 0, .next = NULL};
