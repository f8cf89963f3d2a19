/* SPDX-License-Identifier: Apache-2.0 */
/* optimiser.h -- learning rate and parameter update. Threads: one at a time; the update itself uses
 * the pool. */
#ifndef TRAIN_LOOP_OPTIMISER_H
#define TRAIN_LOOP_OPTIMISER_H

#include "train/loop/network.h"
#include "train/loop/recipe.h"

struct train_optimiser {
    const struct train_recipe *recipe; /* BORROWED */
    struct train_network *network;     /* BORROWED */
    struct ledge_pool *pool;           /* BORROWED */
    float **first;                     /* per parameter: momentum, or Adam's first moment; OWNED */
    float **second;                    /* Adam's second moment; NULL for SGD */
};

/* Moments at zero. Errors: ERR_NOMEM. OWNED: train_optimiser_done(). */
LEDGE_NODISCARD enum ledge_status train_optimiser_init(const struct train_recipe *recipe,
                                                       struct train_network *network,
                                                       struct ledge_pool *pool,
                                                       struct train_optimiser *optimiser,
                                                       struct ledge_error *err);
void train_optimiser_done(struct train_optimiser *optimiser);

/* Learning rate of step number step (0 first) of total; warm-up steps rise linearly, then half a
 * cosine falls to final_lr (Loshchilov and Hutter 2017, equation 5, one cycle). */
double train_learning_rate(const struct train_recipe *recipe, int64_t step, int64_t per_epoch,
                           int64_t total);

/* Update every trained parameter from the gradients of the last step; step counts from 0. */
void train_optimiser_apply(struct train_optimiser *optimiser, double lr, int64_t step);

#endif
