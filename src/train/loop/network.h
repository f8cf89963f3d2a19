/* SPDX-License-Identifier: Apache-2.0 */
/* network.h -- a classifier graph compiled twice: forward and backward for training, forward for
 * evaluation.
 *
 * Flow:    arch.h or import -> [network.h] -> trainer.c (data, optimiser) -> export
 * The graph stays an inference graph of ai.onnx operators. Its trainable constants become graph
 * inputs of the compiled copies, bound to memory that the network owns; an optimiser writes there
 * between steps, nothing is recompiled. In the training copy Conv, Gemm and MatMul on parameters
 * become ledge.train operators, BatchNormalization uses the batch's statistics, Dropout drops, a
 * closing Softmax is taken off and the loss and all gradients are added. Threads: one at a time per
 * network; the kernels use the pool. The number of threads does not change a bit of the result.
 */
#ifndef TRAIN_LOOP_NETWORK_H
#define TRAIN_LOOP_NETWORK_H

#include "engine/run/run.h"

enum train_param_kind {
    TRAIN_PARAM_WEIGHT, /* of rank 2 and more: weight decay applies */
    TRAIN_PARAM_OTHER,  /* biases, scales */
    TRAIN_PARAM_STATE,  /* running mean and variance: not trained, tracked */
};

struct train_param {
    const char *name; /* BORROWED from the graph */
    int32_t value;    /* in the graph */
    enum train_param_kind kind;
    int64_t count;
    float *data; /* OWNED by the network */
};

struct train_network;

struct train_network_options {
    int32_t batch;
    double label_smoothing;
    uint64_t seed;       /* of dropout */
    const int32_t *only; /* train these values alone; NULL: all that can be */
    int32_t n_only;
    struct ledge_pool *pool; /* BORROWED; NULL: none */
};

/* graph: BORROWED, must outlive the network. One f32 input, one output of rank 2, sorted. It is not
 * changed until train_network_store(). Errors: ERR_UNSUPPORTED (an operator without gradient,
 * named), ERR_SHAPE, ERR_NOMEM; ERR_ARG (nothing to train). */
LEDGE_NODISCARD enum ledge_status train_network_create(struct ledge_graph *graph,
                                                       const struct train_network_options *options,
                                                       struct train_network **network,
                                                       struct ledge_error *err);
void train_network_free(struct train_network *network);

/* Parameters in the order of their values in the graph: the same for the same graph. */
int32_t train_network_n_params(const struct train_network *network);
const struct train_param *train_network_param(const struct train_network *network, int32_t index);

/* One forward and backward pass.
 *   x       batch samples; labels: batch class numbers; step: number of the step, for dropout
 *   loss    FILLED: mean loss of the batch
 *   logits  FILLED: [batch, classes], BORROWED until the next pass
 * Running statistics move by momentum 0.1, the variance unbiased, as PyTorch's do. */
LEDGE_NODISCARD enum ledge_status train_network_step(struct train_network *network, const float *x,
                                                     const int32_t *labels, int64_t step,
                                                     float *loss, const float **logits,
                                                     struct ledge_error *err);

/* Gradient of parameter index from the last step; NULL for TRAIN_PARAM_STATE. */
const float *train_network_grad(const struct train_network *network, int32_t index);

/* Forward as in inference. logits as above. */
LEDGE_NODISCARD enum ledge_status train_network_predict(struct train_network *network,
                                                        const float *x, const float **logits,
                                                        struct ledge_error *err);

/* Point the graph's constants at the parameters as they stand (BORROWED from the network). */
void train_network_store(struct train_network *network);

/* Classes, elements of one sample, bytes of arena and scratch of the training pass. */
int32_t train_network_classes(const struct train_network *network);
int64_t train_network_sample(const struct train_network *network);
size_t train_network_bytes(const struct train_network *network);

#endif
