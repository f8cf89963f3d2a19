/* SPDX-License-Identifier: Apache-2.0 */
/* tfl_recurrent.h -- SVDF and the LSTM over a sequence. Both read a state and write the next one;
 * that it is kept from run to run is the graph's matter. */
#ifndef LEDGE_ENGINE_KERNELS_TFL_RECURRENT_H
#define LEDGE_ENGINE_KERNELS_TFL_RECURRENT_H

#include <stdbool.h>

#include "engine/kernels/kernel.h"
#include "engine/kernels/tfl_fixed.h"

/* In: x [batch][in], w_feature [filters][in], w_time [filters][memory], bias [units] or NULL, state
 * [batch][filters][memory]. Out: y [batch][units], state. Filter f belongs to unit f / rank.
 * Source: P. Nakkiran et al., "Compressing Deep Neural Networks using a Rank-Constrained Topology"
 * (2015). */
struct ledge_tfl_svdf_params {
    int64_t batch, in, filters, memory, units;
    struct ledge_clamp clamp; /* f32 */
    int32_t x_zero, state_zero, out_zero;
    struct ledge_tfl_factor feature, time;
};
enum ledge_status ledge_tfl_svdf_f32_c(const struct ledge_kernel_call *call);
/* x, w_feature and y i8, bias i32; w_time and state both i8 or both i16. */
enum ledge_status ledge_tfl_svdf_i8_c(const struct ledge_kernel_call *call);

enum {
    LEDGE_LSTM_X,
    LEDGE_LSTM_W = 1,
    LEDGE_LSTM_R = 5,
    LEDGE_LSTM_B = 9,
    LEDGE_LSTM_H = 13,
    LEDGE_LSTM_C = 14,
    LEDGE_LSTM_INPUTS = 15, /* of each; more of f32's: */
    LEDGE_LSTM_PEEPHOLE = 15,
    LEDGE_LSTM_PROJECTION = 18,
    LEDGE_LSTM_MORE_INPUTS = 20
};

/* In: x [batch][steps][in] or [steps][batch][in]; for the gates input, forget, cell, output: four
 * w [units][in], four recurrent w [units][units], four biases [units]; h and c [batch][units].
 * Out: y as x with units, h, c. f32: scratch 5 units floats; i8 (h i8, c i16): 4 units i16.
 *
 * f32 may have more, each absent or not: w, r and b of the input gate missing (it is 1 - forget);
 * peepholes of the input, forget and output gates [units]; a projection [hidden][units] and its
 * bias [hidden], by which h and y, and the columns of r, are hidden and not units. */
struct ledge_tfl_lstm_params {
    int64_t batch, steps, in, units, hidden;
    bool time_major;
    float cell_clip, projection_clip; /* 0: none; f32 */
    /* i8: */
    struct ledge_tfl_factor x_factor[4], h_factor[4], hidden_factor;
    const int32_t *x_bias[4]; /* bias minus zero point times the row's sum */
    const int32_t *h_bias[4];
    int32_t hidden_zero;
    int32_t cell_shift; /* scale of c is 2^cell_shift */
    int32_t quantised_clip;
};
enum ledge_status ledge_tfl_lstm_f32_c(const struct ledge_kernel_call *call);
enum ledge_status ledge_tfl_lstm_i8_c(const struct ledge_kernel_call *call);

#endif
