/* SPDX-License-Identifier: Apache-2.0 */
/* tfl_table.c -- the list of built-in operators: TFLite's quantised operators. */
#include "engine/ops/tfl.h"
#include "engine/port/select.h"

/* X(operator, infer function, prepare function) */
/* clang-format off */
#define LEDGE_TFL_LIST(X) \
    X(Add, binary_any, binary_any) \
    X(AveragePool2D, pool, pool) \
    X(BatchToSpaceND, space, space) \
    X(Conv2D, conv_any, conv_any) \
    X(DepthwiseConv2D, depthwise_any, depthwise_any) \
    X(Dequantize, dequantize, dequantize) \
    X(DetectionPostProcess, detection, detection) \
    X(FullyConnected, fully_connected_any, fully_connected_any) \
    X(HardSwish, same, table) \
    X(LeakyRelu, leaky, wide_rescale) \
    X(Logistic, curve, curve) \
    X(MaxPool2D, pool, pool) \
    X(Mean, mean, mean) \
    X(Mul, binary_any, binary_any) \
    X(Quantize, quantize, quantize) \
    X(Relu, same, rescale) \
    X(Requantize, quantize, rescale) \
    X(Rescale, same, table) \
    X(ResizeBilinear, resize, resize) \
    X(ResizeNearest, resize, resize) \
    X(Rfft2D, rfft2d, rfft2d) \
    X(SVDF, svdf, svdf) \
    X(SequenceLstm, lstm, lstm) \
    X(SignalEnergy, signal_energy, signal_energy) \
    X(SignalFftAutoScale, signal_auto_scale, signal_auto_scale) \
    X(SignalFilterBank, signal_filter_bank, signal_filter_bank) \
    X(SignalFilterBankLog, signal_log, signal_log) \
    X(SignalFilterBankSpectralSubtraction, signal_subtract, signal_subtract) \
    X(SignalFilterBankSquareRoot, signal_square_root, signal_square_root) \
    X(SignalPCAN, signal_pcan, signal_pcan) \
    X(SignalRfft, signal_rfft, signal_rfft) \
    X(SignalWindow, signal_window, signal_window) \
    X(Softmax, softmax, softmax) \
    X(SpaceToBatchND, space, space) \
    X(Sub, binary_any, binary_any) \
    X(Tanh, curve, curve) \
    X(TransposeConv2D, transpose_conv, transpose_conv)
/* clang-format on */

#define ENTRY(op, infer, prepare)                                                                  \
    LEDGE_KEEP(LEDGE_OP_tfl_##op)                                                                  \
    ({"tfl", #op, ledge_tfl_infer_##infer, ledge_tfl_prepare_##prepare}, )

static const struct ledge_op ops[] = {LEDGE_TFL_LIST(ENTRY){NULL, NULL, NULL, NULL}};

const struct ledge_op_table ledge_ops_tfl = {
    .ops = ops, .n = (int32_t)(sizeof ops / sizeof ops[0]) - 1, .next = NULL};
