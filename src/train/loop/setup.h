/* SPDX-License-Identifier: Apache-2.0 */
/* setup.h -- what a training run holds, and how it comes together. Used by trainer.c only. */
#ifndef TRAIN_LOOP_SETUP_H
#define TRAIN_LOOP_SETUP_H

#include <stdio.h>

#include "engine/port/port.h"
#include "train/loop/batch.h"
#include "train/loop/checkpoint.h"
#include "train/loop/trainer.h"

struct train_session {
    const struct train_recipe *recipe;
    const struct train_options *options;
    struct data_set *train, *val, *test; /* val and test may be NULL */
    char data_sha256[65];
    struct ledge_graph graph;
    bool has_graph;
    struct ledge_map base; /* bytes the graph's constants may point into */
    int32_t head[2];       /* of a new last layer */
    struct ledge_pool *pool;
    struct train_network *network;
    struct train_optimiser optimiser;
    float **best;
    int32_t batch;
    int64_t steps; /* in an epoch */
    int64_t *order;
    float *x;
    int32_t *labels;
    struct train_progress progress;
    FILE *metrics;
    double lr, started;
    int64_t first_step;
    char model_path[4096], metrics_path[4096], checkpoint_path[4096];
};

/* Everything but resuming. Errors: whatever data, model and disk say. train_session_close() frees
 * what was reached. */
LEDGE_NODISCARD enum ledge_status train_session_open(struct train_session *session,
                                                     struct ledge_error *err);
void train_session_close(struct train_session *session);

/* Write model.onnx from the parameters as they stand. */
LEDGE_NODISCARD enum ledge_status train_session_export(struct train_session *session,
                                                       struct ledge_error *err);

#endif
