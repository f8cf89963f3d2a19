/* SPDX-License-Identifier: Apache-2.0 */
/* batch.h -- order of an epoch and the tensors of a batch. */
#ifndef TRAIN_LOOP_BATCH_H
#define TRAIN_LOOP_BATCH_H

#include "data/augment.h"
#include "data/dataset.h"
#include "engine/port/pool.h"

/* order FILLED: a permutation of 0 .. n - 1 that depends on (seed, epoch) alone (Fisher and Yates,
 * in Durstenfeld's form). */
void train_shuffle(int64_t *order, int64_t n, uint64_t seed, uint64_t epoch);

struct train_batch {
    struct data_set *set;               /* BORROWED */
    const struct data_augment *augment; /* BORROWED; NULL: none */
    uint64_t seed, epoch;
    struct ledge_pool *pool;
};

/* count samples, number order[first + i] each (order NULL: first + i), into x [count, sample] and
 * labels. Errors: what data_set_read() reports. */
LEDGE_NODISCARD enum ledge_status train_batch_fill(const struct train_batch *batch,
                                                   const int64_t *order, int64_t first,
                                                   int32_t count, float *x, int32_t *labels,
                                                   struct ledge_error *err);

#endif
