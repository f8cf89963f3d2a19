/* SPDX-License-Identifier: Apache-2.0 */
/* tfl_table.c -- the list of built-in operators: TFLite's quantised operators. */
#include "engine/ops/tfl.h"

static const struct ledge_op ops[] = {
    {"tfl", "Add", ledge_tfl_infer_binary_any, ledge_tfl_prepare_binary_any},
    {"tfl", "AveragePool2D", ledge_tfl_infer_pool, ledge_tfl_prepare_pool},
    {"tfl", "BatchToSpaceND", ledge_tfl_infer_space, ledge_tfl_prepare_space},
    {"tfl", "Conv2D", ledge_tfl_infer_conv_any, ledge_tfl_prepare_conv_any},
    {"tfl", "DepthwiseConv2D", ledge_tfl_infer_depthwise_any, ledge_tfl_prepare_depthwise_any},
    {"tfl", "Dequantize", ledge_tfl_infer_dequantize, ledge_tfl_prepare_dequantize},
    {"tfl", "FullyConnected", ledge_tfl_infer_fully_connected_any,
     ledge_tfl_prepare_fully_connected_any},
    {"tfl", "LeakyRelu", ledge_tfl_infer_leaky, ledge_tfl_prepare_wide_rescale},
    {"tfl", "Logistic", ledge_tfl_infer_same, ledge_tfl_prepare_table},
    {"tfl", "MaxPool2D", ledge_tfl_infer_pool, ledge_tfl_prepare_pool},
    {"tfl", "Mean", ledge_tfl_infer_mean, ledge_tfl_prepare_mean},
    {"tfl", "Mul", ledge_tfl_infer_binary_any, ledge_tfl_prepare_binary_any},
    {"tfl", "Quantize", ledge_tfl_infer_quantize, ledge_tfl_prepare_quantize},
    {"tfl", "Relu", ledge_tfl_infer_same, ledge_tfl_prepare_rescale},
    {"tfl", "Requantize", ledge_tfl_infer_quantize, ledge_tfl_prepare_rescale},
    {"tfl", "Rescale", ledge_tfl_infer_same, ledge_tfl_prepare_table},
    {"tfl", "ResizeBilinear", ledge_tfl_infer_resize, ledge_tfl_prepare_resize},
    {"tfl", "ResizeNearest", ledge_tfl_infer_resize, ledge_tfl_prepare_resize},
    {"tfl", "SVDF", ledge_tfl_infer_svdf, ledge_tfl_prepare_svdf},
    {"tfl", "SequenceLstm", ledge_tfl_infer_lstm, ledge_tfl_prepare_lstm},
    {"tfl", "Softmax", ledge_tfl_infer_softmax, ledge_tfl_prepare_softmax},
    {"tfl", "SpaceToBatchND", ledge_tfl_infer_space, ledge_tfl_prepare_space},
    {"tfl", "Sub", ledge_tfl_infer_binary_any, ledge_tfl_prepare_binary_any},
    {"tfl", "Tanh", ledge_tfl_infer_same, ledge_tfl_prepare_table},
    {"tfl", "TransposeConv2D", ledge_tfl_infer_transpose_conv, ledge_tfl_prepare_transpose_conv},
};

const struct ledge_op_table ledge_ops_tfl = {
    .ops = ops, .n = (int32_t)(sizeof ops / sizeof ops[0]), .next = NULL};
