/* SPDX-License-Identifier: Apache-2.0 */
/* recipe.h -- a training recipe: YAML checked by the table in recipe.c, which docs/recipe.md is
 * made from.
 *
 * Flow: RECIPE.yaml, --set -> [recipe.h] -> trainer.h
 */
#ifndef TRAIN_LOOP_RECIPE_H
#define TRAIN_LOOP_RECIPE_H

#include "data/augment.h"
#include "data/dataset.h"
#include "sys/yaml.h"

enum train_optimizer { TRAIN_SGD, TRAIN_ADAM, TRAIN_ADAMW };
enum train_schedule { TRAIN_CONSTANT, TRAIN_COSINE };

struct train_recipe {
    struct sys_yaml *doc; /* OWNED; every text below is BORROWED from it */
    char sha256[65];      /* of the checked recipe with its defaults, without the paths */
    const char *name;
    uint64_t seed;

    struct data_set_spec data; /* part and preprocess are set by the trainer */
    const char **classes;      /* OWNED list */
    const char *test_path;     /* NULL: none */

    int32_t width, height, channels; /* 0: as the data */
    enum data_fit fit;
    double crop;
    double mean[3], std[3];
    int32_t n_mean, n_std;

    struct data_augment augment;

    const char *arch;
    const char *base; /* model file to start from; NULL: arch */
    bool freeze, flat, logits;
    double model_width, dropout;

    int64_t epochs;
    int32_t batch;
    enum train_optimizer optimizer;
    enum train_schedule schedule;
    bool nesterov, keep_best;
    double lr, final_lr, warmup, momentum, beta1, beta2, epsilon, weight_decay, label_smoothing;
};

/* Load, apply n_sets "key=value" texts, check.
 * Paths in the file are relative to the file, paths given by --set to the working directory.
 *   recipe  FILLED; OWNED: train_recipe_done()
 * Errors: as sys_yaml_load() and sys_yaml_check(). */
LEDGE_NODISCARD enum ledge_status train_recipe_load(const char *path, const char *const *sets,
                                                    size_t n_sets, struct train_recipe *recipe,
                                                    struct ledge_error *err);
void train_recipe_done(struct train_recipe *recipe);

/* The checked recipe as JSON text. */
LEDGE_NODISCARD enum ledge_status train_recipe_text(const struct train_recipe *recipe,
                                                    struct ledge_buf *out);

/* The table of keys as Markdown. */
bool train_recipe_help(struct ledge_buf *out);

#endif
