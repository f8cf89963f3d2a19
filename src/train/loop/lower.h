/* SPDX-License-Identifier: Apache-2.0 */
/* lower.h -- an inference graph becomes a training graph. Used by network.c only. */
#ifndef TRAIN_LOOP_LOWER_H
#define TRAIN_LOOP_LOWER_H

#include "train/loop/network.h"

/* Which constants of graph are parameters: weights and biases of Conv, Gemm and MatMul, an Add's
 * constant behind one of these, scale, bias and statistics of BatchNormalization. only != NULL:
 * these alone. is_param and kinds FILLED, one per value. Returns how many. */
int32_t train_lower_find(const struct ledge_graph *graph, const int32_t *only, int32_t n_only,
                         bool *is_param, enum train_param_kind *kinds);

/* What train_lower_training() tells; the arrays have one entry per value of the inference graph. */
struct train_lowered {
    int32_t logits;
    int32_t step;        /* i64, added to the inputs */
    int32_t *statistics; /* of a running statistic: the batch's, -1 for other values */
    int32_t *source;     /* of a running statistic: the tensor it is of */
    bool *is_variance;
};

/* graph: the parameters are inputs already. Errors: ERR_NOMEM. */
LEDGE_NODISCARD enum ledge_status train_lower_training(struct ledge_graph *graph, int32_t n_values,
                                                       uint64_t seed, struct train_lowered *lowered,
                                                       struct ledge_error *err);
void train_lowered_done(struct train_lowered *lowered);

/* Forward only: fast operators for what reads parameters, Dropout out. Returns the logits. */
int32_t train_lower_inference(struct ledge_graph *graph);

#endif
