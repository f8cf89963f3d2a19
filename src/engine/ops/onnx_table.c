/* SPDX-License-Identifier: Apache-2.0 */
/* onnx_table.c -- the list of built-in operators: ai.onnx beyond the core, and the few of
 * com.microsoft that quantised models use. */
#include "engine/ops/onnx.h"
#include "engine/port/select.h"

#define IN(domain, op, function)                                                                   \
    LEDGE_KEEP(LEDGE_OP_##op)                                                                      \
    ({domain, #op, ledge_onnx_##function##_infer, ledge_onnx_##function##_prepare}, )
#define ENTRY(op, function)     IN("", op, function)
#define MICROSOFT(op, function) IN("com.microsoft", op, function)
#define PREVIEW(op, function)   IN("ai.onnx.preview", op, function)
#define STEP(op, function)      IN("ai.onnx.preview.training", op, function)

/* clang-format off */
static const struct ledge_op ops[] = {
    LEDGE_ONNX_LIST(ENTRY) LEDGE_MICROSOFT_LIST(MICROSOFT) LEDGE_PREVIEW_LIST(PREVIEW)
    LEDGE_STEP_LIST(STEP) {NULL, NULL, NULL, NULL}};
/* clang-format on */

const struct ledge_op_table ledge_ops_onnx = {
    .ops = ops, .n = (int32_t)(sizeof ops / sizeof ops[0]) - 1, .next = NULL};
