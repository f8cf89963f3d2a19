/* SPDX-License-Identifier: Apache-2.0 */
/* arch.h -- built-in architectures as graphs of ai.onnx operators (opset 13, NCHW), with random
 * weights.
 *
 * Flow:    recipe -> [arch.h] -> loop/trainer.h
 * Weights: He et al. 2015 (normal, sqrt(2 / fan-in)) for layers before a Relu, sqrt(1 / fan-in) for
 * the last; drawn by a counter-based generator from (seed, tensor number). Biases 0, scales 1.
 * Input "image" [batch, C, H, W] or "features" [batch, F]; output "probabilities" (Softmax) or
 * "logits" [batch, classes].
 */
#ifndef TRAIN_ARCH_ARCH_H
#define TRAIN_ARCH_ARCH_H

#include "engine/graph/graph.h"

struct train_arch_spec {
    const char *name; /* see train_arch_names */
    int32_t rank;     /* of a sample: 3 (C, H, W) or 1 (features) */
    int64_t dims[3];
    int32_t n_classes;
    double width;   /* channels are multiplied by it */
    double dropout; /* before the last layer */
    bool flat;      /* cnn4: flatten before the last layer, not the mean over the picture */
    bool logits;    /* leave the Softmax out */
    uint64_t seed;
    const float *mean, *std; /* features: standardisation put into the graph; NULL: none */
};

/* Names for a choice list: "lenet5|cnn4|...". */
extern const char train_arch_names[];

/* Build into graph (initialised, empty). Errors: ERR_NOT_FOUND, ERR_SHAPE (input too small for it),
 * ERR_NOMEM. */
LEDGE_NODISCARD enum ledge_status train_arch_build(const struct train_arch_spec *spec,
                                                   struct ledge_graph *graph,
                                                   struct ledge_error *err);

/* Transfer: put a new last layer for n_classes onto graph, an imported classifier.
 * The last Gemm, MatMul with Add, or 1x1 Conv before the output is replaced; what follows it goes,
 * a Softmax comes (unless logits). head FILLED: the new weight and bias values. Errors:
 * ERR_UNSUPPORTED (err says what stands at the output). */
LEDGE_NODISCARD enum ledge_status train_arch_new_head(struct ledge_graph *graph, int32_t n_classes,
                                                      bool logits, uint64_t seed, int32_t head[2],
                                                      struct ledge_error *err);

#endif
