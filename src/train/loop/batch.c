/* SPDX-License-Identifier: Apache-2.0 */
/* batch.c -- see batch.h. */
#include <stdlib.h>

#include "base/status.h"
#include "data/philox.h"
#include "train/loop/batch.h"

enum { SHUFFLE_KEY = 0x5348 };

void train_shuffle(int64_t *order, int64_t n, uint64_t seed, uint64_t epoch)
{
    for (int64_t i = 0; i < n; i++) {
        order[i] = i;
    }
    for (int64_t i = n - 1; i > 0; i--) {
        struct data_philox r = data_philox(seed ^ SHUFFLE_KEY, epoch, (uint64_t)i);
        uint64_t word = (uint64_t)r.word[0] << 32 | r.word[1];
        int64_t j = (int64_t)(word % (uint64_t)(i + 1));
        int64_t swap = order[i];
        order[i] = order[j];
        order[j] = swap;
    }
}

struct job {
    const struct train_batch *b;
    const int64_t *order;
    int64_t first;
    int64_t floats; /* of a sample */
    float *x;
    int32_t *labels;
    struct ledge_error *errors; /* one per sample: tasks do not share */
};

static enum ledge_status read_augmented(const struct job *job, int64_t sample, float *x,
                                        struct ledge_error *err)
{
    static const struct ledge_tensor real = {.dtype = LEDGE_F32};
    const struct data_preprocess *p = data_set_preprocess(job->b->set);
    size_t n = (size_t)job->floats;
    uint8_t *pixels = malloc(2 * n);
    if (pixels == NULL) {
        return ledge_fail(err, LEDGE_ERR_NOMEM, "batch: out of memory");
    }
    enum ledge_status status = data_set_pixels(job->b->set, sample, pixels, err);
    if (status == LEDGE_OK) {
        data_augment_apply(job->b->augment, p->width, p->height, p->channels, job->b->seed,
                           job->b->epoch, (uint64_t)sample, pixels, pixels + n);
        data_preprocess_fill(p, pixels + n, &real, x);
    }
    free(pixels);
    return status;
}

static void read_one(void *arg, int32_t index, int32_t worker)
{
    struct job *job = arg;
    int64_t sample = job->order != NULL ? job->order[job->first + index] : job->first + index;
    float *x = job->x + index * job->floats;
    (void)worker;
    job->labels[index] = data_set_label(job->b->set, sample);
    bool augment = job->b->augment != NULL && data_set_preprocess(job->b->set) != NULL;
    struct ledge_error *err = &job->errors[index];
    err->status = augment ? read_augmented(job, sample, x, err)
                          : data_set_read(job->b->set, sample, NULL, x, err);
}

enum ledge_status train_batch_fill(const struct train_batch *batch, const int64_t *order,
                                   int64_t first, int32_t count, float *x, int32_t *labels,
                                   struct ledge_error *err)
{
    int64_t dims[3] = {1, 1, 1};
    (void)data_set_dims(batch->set, dims);
    struct job job = {batch, order, first, dims[0] * dims[1] * dims[2], x, labels, NULL};
    job.errors = calloc((size_t)count, sizeof *job.errors);
    if (job.errors == NULL) {
        return ledge_fail(err, LEDGE_ERR_NOMEM, "batch: out of memory");
    }
    ledge_pool_run(batch->pool, count, read_one, &job);
    enum ledge_status status = LEDGE_OK;
    for (int32_t i = 0; i < count && status == LEDGE_OK; i++) {
        if (job.errors[i].status != LEDGE_OK) {
            status = ledge_fail(err, job.errors[i].status, "%s", job.errors[i].text);
        }
    }
    free(job.errors);
    return status;
}
