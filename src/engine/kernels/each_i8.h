/* SPDX-License-Identifier: Apache-2.0 */
/* each_i8.h -- element-wise operators and means of 8-bit tensors in vectors: the same params and
 * the same bytes as the plain kernels whose names end in _c, for the shapes said here. */
#ifndef LEDGE_ENGINE_KERNELS_EACH_I8_H
#define LEDGE_ENGINE_KERNELS_EACH_I8_H

#include "engine/kernels/i8.h"
#include "engine/kernels/onnx.h"
#include "engine/kernels/tfl.h"

/* Both operands dense along the last dimension. */
enum ledge_status ledge_qlinear_binary_i8(const struct ledge_kernel_call *call);
/* binary is given, without near: everything else is FILLED; own_zero: of the epilogue before. */
void ledge_sum_i8_begin(struct ledge_sum_i8 *sum, int32_t own_zero);
/* Then: a, b and constant with which the sum agrees with QLinearAdd, whatever the bytes; false:
 * none were found. */
bool ledge_sum_i8_find(const struct ledge_i8_kernels *isa, const struct ledge_epilogue_i8 *own,
                       struct ledge_sum_i8 *sum);

enum ledge_status ledge_tfl_binary_i8(const struct ledge_kernel_call *call);
bool ledge_tfl_binary_is_narrow(const struct ledge_tfl_binary_params *p);

/* f32 to u8 or i8 with one scale. */
enum ledge_status ledge_quantize_linear_i8(const struct ledge_kernel_call *call);

/* Channels last, fewer than 2^20 pixels. */
enum ledge_status ledge_qlinear_global_pool_i8(const struct ledge_kernel_call *call);
enum ledge_status ledge_tfl_mean_pool_i8(const struct ledge_kernel_call *call);
bool ledge_tfl_pool_is_mean(const struct ledge_tfl_pool_params *p);

#endif
