/* SPDX-License-Identifier: Apache-2.0 */
/* tfl.h -- operators of domain "tfl": TFLite's quantised operators (and a few of its own definition
 * of coordinates).
 *
 * Tensors are i8 or u8, where a line says so i16, i32 or f32; NHWC. Scale and zero point are those
 * of the values (struct ledge_quant), never inputs. i16 activations have i8 weights.
 *
 *   operator           inputs; attributes
 *   Conv2D             x (also i16), w [O][kh][kw][I/g], bias i32 (i16: or i64); strides,
 * dilations, auto_pad, activation DepthwiseConv2D    x (also i16), w [1][kh][kw][O], bias; the same
 *   FullyConnected     x (also i16), w [O][K], bias; keep_dims, activation
 *   TransposeConv2D    x (i8, i16, f32), w [O][kh][kw][I], bias; strides, auto_pad, output_shape,
 *                      activation (f32: clamp_low, clamp_high)
 *   AveragePool2D, MaxPool2D     x; kernel_shape, strides, auto_pad, activation
 *   Add, Sub, Mul      a, b (also i16); activation
 *   Mean               x; axes, keepdims
 *   Softmax            x (also i16); beta (i8 may become i16)
 *   Relu               x; activation
 *   LeakyRelu          x (also i16); alpha
 *   Logistic, Tanh     x (also i16)
 *   Rescale, HardSwish x
 *   Quantize           f32 to i8, u8, i16
 *   Requantize         any two of i8, u8, i16, i32
 *   Dequantize         x (also i16)
 *   ResizeNearest, ResizeBilinear     x (also f32), size; align_corners, half_pixel_centers
 *   SpaceToBatchND, BatchToSpaceND    x (any type), block, paddings or crops
 *   SVDF, SequenceLstm           see kernels/tfl_recurrent.h (also f32)
 *   Signal...                    see kernels/tfl_signal.h; attributes as TFLM names them
 *   Rfft2D                       x f32, sizes; the result has one more dimension, (re, im)
 *   DetectionPostProcess         see kernels/tfl_detection.h, f32; attributes as TFLite names them
 *
 * activation is TFLite's number: 0 none, 1 relu, 2 relu -1..1, 3 relu6.
 */
#ifndef LEDGE_ENGINE_OPS_TFL_H
#define LEDGE_ENGINE_OPS_TFL_H

#include "engine/kernels/tfl.h"
#include "engine/ops/op.h"

/* One scale and zero point of an i8 or u8 value in the signed domain. Errors: ERR_DTYPE naming the
 * node. */
struct ledge_tfl_scale_of {
    float scale;
    int32_t zero;
    uint8_t flip;
};
LEDGE_NODISCARD enum ledge_status ledge_tfl_quant(const struct ledge_op_prepare *prepare,
                                                  const struct ledge_value *value,
                                                  struct ledge_tfl_scale_of *quant);

/* The same for i8, u8, i16 and i32, in the type's own domain (flip 0). */
LEDGE_NODISCARD enum ledge_status ledge_tfl_wide_quant(const struct ledge_op_prepare *prepare,
                                                       const struct ledge_value *value,
                                                       struct ledge_tfl_scale_of *quant);

#define TFL_DIMS(...) ((const int64_t[]){__VA_ARGS__})

/* Zero point, range and flip of output 0, narrowed by attribute activation. */
LEDGE_NODISCARD enum ledge_status ledge_tfl_out_of(const struct ledge_op_prepare *prepare,
                                                   struct ledge_tfl_out *out);

/* A real factor as multiplier and shift. Errors: ERR_RANGE for a negative, infinite or too large
 * one. */
LEDGE_NODISCARD enum ledge_status ledge_tfl_factor_of(const struct ledge_op_prepare *prepare,
                                                      double real, struct ledge_tfl_factor *factor);

/* Steps of an input through the output's dimensions, 0 where it is broadcast. */
void ledge_tfl_steps(const struct ledge_value *in, const struct ledge_value *out,
                     int64_t steps[LEDGE_MAX_RANK]);

/* Parameters in the plan's memory; NULL when there is none (the error is set). */
void *ledge_tfl_params(const struct ledge_op_prepare *prepare, size_t bytes);

/* Output 0 has dtype and dims of input 0. */
enum ledge_status ledge_tfl_infer_same(struct ledge_op_infer *infer);

/* Input 0 and output 0 are both i8 or both u8. */
LEDGE_NODISCARD enum ledge_status ledge_tfl_check_small(struct ledge_op_infer *infer);

#define LEDGE_TFL_DECLARE(name)                                                                    \
    enum ledge_status ledge_tfl_infer_##name(struct ledge_op_infer *infer);                        \
    enum ledge_status ledge_tfl_prepare_##name(struct ledge_op_prepare *prepare)

LEDGE_TFL_DECLARE(conv);
LEDGE_TFL_DECLARE(depthwise);
LEDGE_TFL_DECLARE(fully_connected);
LEDGE_TFL_DECLARE(pool);
LEDGE_TFL_DECLARE(binary);
LEDGE_TFL_DECLARE(mean);
LEDGE_TFL_DECLARE(quantize);
LEDGE_TFL_DECLARE(dequantize);
LEDGE_TFL_DECLARE(resize);
LEDGE_TFL_DECLARE(space);
LEDGE_TFL_DECLARE(conv_any);
LEDGE_TFL_DECLARE(depthwise_any);
LEDGE_TFL_DECLARE(fully_connected_any);
LEDGE_TFL_DECLARE(binary_any);
LEDGE_TFL_DECLARE(transpose_conv);
LEDGE_TFL_DECLARE(curve);
enum ledge_status ledge_tfl_prepare_softmax_i16(struct ledge_op_prepare *prepare);
LEDGE_TFL_DECLARE(svdf);
LEDGE_TFL_DECLARE(lstm);
LEDGE_TFL_DECLARE(signal_window);
LEDGE_TFL_DECLARE(signal_auto_scale);
LEDGE_TFL_DECLARE(signal_rfft);
LEDGE_TFL_DECLARE(signal_energy);
LEDGE_TFL_DECLARE(signal_filter_bank);
LEDGE_TFL_DECLARE(signal_square_root);
LEDGE_TFL_DECLARE(signal_subtract);
LEDGE_TFL_DECLARE(signal_pcan);
LEDGE_TFL_DECLARE(signal_log);
LEDGE_TFL_DECLARE(rfft2d);
LEDGE_TFL_DECLARE(detection);
enum ledge_status ledge_tfl_infer_leaky(struct ledge_op_infer *infer);
enum ledge_status ledge_tfl_prepare_wide_rescale(struct ledge_op_prepare *prepare);
enum ledge_status ledge_tfl_infer_softmax(struct ledge_op_infer *infer);
enum ledge_status ledge_tfl_prepare_softmax(struct ledge_op_prepare *prepare);
enum ledge_status ledge_tfl_prepare_rescale(struct ledge_op_prepare *prepare);
enum ledge_status ledge_tfl_prepare_table(struct ledge_op_prepare *prepare);

#endif
