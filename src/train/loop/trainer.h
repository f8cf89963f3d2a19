/* SPDX-License-Identifier: Apache-2.0 */
/* trainer.h -- run a recipe: data, model, steps, validation, checkpoints, the model file.
 *
 * Flow:    recipe.h -> [trainer.h] -> <out>/model.onnx, metrics.jsonl, checkpoint.bin, recipe.json
 * Bytes:   the same recipe, data and CPU rung give the same model.onnx, with any number of threads,
 * and when the run was interrupted and resumed any number of times.
 */
#ifndef TRAIN_LOOP_TRAINER_H
#define TRAIN_LOOP_TRAINER_H

#include <signal.h>

#include "train/loop/recipe.h"

/* Told after steps and epochs. Accuracies are parts of 1, -1 where there is none. */
struct train_report {
    int64_t epoch, epochs; /* epoch counts from 1 */
    int64_t step, steps;   /* in this epoch */
    double loss, accuracy; /* of the epoch so far */
    double val_loss, val_accuracy;
    double lr, samples_per_second, seconds_left;
    bool epoch_done, best;
};

struct train_options {
    const char *out; /* folder, made if absent */
    bool resume;     /* go on from checkpoint.bin when there is one */
    int32_t threads;
    const volatile sig_atomic_t
        *stop; /* non-zero: checkpoint and return ERR_CANCELLED; NULL: never */
    void (*report)(void *user, const struct train_report *report);
    void *user;
};

struct train_result {
    int64_t train_samples, val_samples, test_samples;
    int32_t n_classes;
    int64_t parameters, epochs, best_epoch;
    double accuracy;      /* validation accuracy of what was written; -1: no validation part */
    double test_accuracy; /* -1: no test set */
    double seconds;       /* of this call */
    double samples_per_second;
    char data_sha256[65];
    char model[4096]; /* path */
};

/* Errors: whatever data, model or disk say; ERR_CANCELLED after a stop, with the checkpoint
 * written; ERR_RANGE when the loss is no longer finite. */
LEDGE_NODISCARD enum ledge_status train_run(const struct train_recipe *recipe,
                                            const struct train_options *options,
                                            struct train_result *result, struct ledge_error *err);

#endif
