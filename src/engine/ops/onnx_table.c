/* SPDX-License-Identifier: Apache-2.0 */
/* onnx_table.c -- the list of built-in operators: ai.onnx beyond the core, and the few of
 * com.microsoft that quantised models use. */
#include "engine/ops/onnx.h"

#define ENTRY(op, function)                                                                        \
    {"", #op, ledge_onnx_##function##_infer, ledge_onnx_##function##_prepare},
#define MICROSOFT(op, function)                                                                    \
    {"com.microsoft", #op, ledge_onnx_##function##_infer, ledge_onnx_##function##_prepare},

#define PREVIEW(op, function)                                                                      \
    {"ai.onnx.preview", #op, ledge_onnx_##function##_infer, ledge_onnx_##function##_prepare},

#define STEP(op, function)                                                                         \
    {"ai.onnx.preview.training", #op, ledge_onnx_##function##_infer,                               \
     ledge_onnx_##function##_prepare},

static const struct ledge_op ops[] = {LEDGE_ONNX_LIST(ENTRY) LEDGE_MICROSOFT_LIST(MICROSOFT)
                                          LEDGE_PREVIEW_LIST(PREVIEW) LEDGE_STEP_LIST(STEP)};

const struct ledge_op_table ledge_ops_onnx = {
    .ops = ops, .n = (int32_t)(sizeof ops / sizeof ops[0]), .next = NULL};
