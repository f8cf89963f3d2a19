/* SPDX-License-Identifier: Apache-2.0 */
/* checkpoint.h -- everything a run needs to go on bit for bit, in one file that is replaced
 * atomically.
 *
 * bytes   what                                              (little-endian)
 * 8       magic "LDGTRN\0\1"
 * 4       length of the header
 * ...     header, JSON: recipe and data digests, epoch, cursor, step, sums of the epoch, best
 * accuracy, length of the metrics file, optimiser, parameters' names and counts
 * ...     floats of each parameter in order; then first moments; then second moments (Adam); then
 * the best parameters 32      SHA-256 of everything before
 *
 * Random numbers need no state: they are functions of (seed, epoch, step, index).
 */
#ifndef TRAIN_LOOP_CHECKPOINT_H
#define TRAIN_LOOP_CHECKPOINT_H

#include "train/loop/optimiser.h"

struct train_progress {
    int64_t epoch;   /* epochs done */
    int64_t cursor;  /* steps done in this epoch */
    int64_t step;    /* steps done in all */
    double loss_sum; /* of this epoch so far */
    int64_t seen, hits;
    double best_accuracy; /* -1: none yet */
    int64_t best_epoch;
    int64_t metrics_bytes; /* length of the metrics file when this was written */
};

struct train_checkpoint {
    const char *path;
    const char *recipe_sha256, *data_sha256;
    struct train_network *network;
    struct train_optimiser *optimiser;
    float **best; /* per parameter */
};

/* Errors: ERR_IO, ERR_FULL, ERR_NOMEM. */
LEDGE_NODISCARD enum ledge_status train_checkpoint_save(const struct train_checkpoint *checkpoint,
                                                        const struct train_progress *progress,
                                                        struct ledge_error *err);

/* Errors: ERR_NOT_FOUND, ERR_CORRUPT (digest), ERR_FORMAT, ERR_STATE (of another recipe, data or
 * model; err says which). */
LEDGE_NODISCARD enum ledge_status train_checkpoint_load(const struct train_checkpoint *checkpoint,
                                                        struct train_progress *progress,
                                                        struct ledge_error *err);

#endif
