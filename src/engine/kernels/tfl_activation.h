/* SPDX-License-Identifier: Apache-2.0 */
/* tfl_activation.h -- Logistic, Tanh and Softmax of i16 by tables that are read between two
 * entries, as TFLite has them. */
#ifndef LEDGE_ENGINE_KERNELS_TFL_ACTIVATION_H
#define LEDGE_ENGINE_KERNELS_TFL_ACTIVATION_H

#include <stdbool.h>

#include "engine/kernels/kernel.h"
#include "engine/kernels/tfl_fixed.h"

/* table[i] is about 2^16 logistic(i / 24); x * multiplier >> shift has 3 * 4096 steps to 1. */
struct ledge_tfl_sigmoid_params {
    uint16_t table[256];
    int32_t multiplier, shift;
    bool tanh;
};
enum ledge_status ledge_tfl_sigmoid_i16_c(const struct ledge_kernel_call *call);

/* Along the last dimension. exponential: -10 .. 0, reciprocal: 1 / (1 + x) for 0 .. 1, both at
 * multiples of 1/512 of that range. */
struct ledge_tfl_softmax16_params {
    int64_t depth;
    struct ledge_tfl_factor factor; /* a difference to 65535 / 10 steps to 1 */
    int16_t exponential[513], reciprocal[513];
};
enum ledge_status ledge_tfl_softmax_i16_c(const struct ledge_kernel_call *call);

#endif
