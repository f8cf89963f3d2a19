/* SPDX-License-Identifier: Apache-2.0 */
/* trainer.c -- the loop. See trainer.h; how data and model come together stands in setup.c. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "base/cleanup.h"
#include "base/status.h"
#include "sys/file.h"
#include "sys/json.h"
#include "train/loop/setup.h"

static double seconds_now(void)
{
    return (double)sys_monotonic_ms() / 1000;
}

static bool stopped(const struct train_session *t)
{
    return t->options->stop != NULL && *t->options->stop != 0;
}

static struct train_checkpoint checkpoint_of(struct train_session *t)
{
    return (struct train_checkpoint){.path = t->checkpoint_path,
                                     .recipe_sha256 = t->recipe->sha256,
                                     .data_sha256 = t->data_sha256,
                                     .network = t->network,
                                     .optimiser = &t->optimiser,
                                     .best = t->best};
}

static enum ledge_status save(struct train_session *t, struct ledge_error *err)
{
    struct train_checkpoint c = checkpoint_of(t);
    return train_checkpoint_save(&c, &t->progress, err);
}

/* -- metrics -- */

static enum ledge_status open_metrics(struct train_session *t, struct ledge_error *err)
{
    /* Lines written after the checkpoint belong to work that will be done again. */
    t->metrics = fopen(t->metrics_path, "ae");
    if (t->metrics == NULL ||
        ftruncate(fileno(t->metrics), (off_t)t->progress.metrics_bytes) != 0) {
        return ledge_fail(err, LEDGE_ERR_IO, "%s: cannot write", t->metrics_path);
    }
    return LEDGE_OK;
}

/* Takes the reference to line. */
static enum ledge_status add_metrics(struct train_session *t, json_t *line, struct ledge_error *err)
{
    LEDGE_CLEANUP(ledge_buf_done) struct ledge_buf text = LEDGE_BUF_INIT(65536);
    enum ledge_status status = line != NULL ? sys_json_write(line, &text)
                                            : ledge_fail(err, LEDGE_ERR_NOMEM, "out of memory");
    json_decref(line);
    LEDGE_TRY(status);
    if (!ledge_buf_text(&text, "\n") || fwrite(text.data, 1, text.len, t->metrics) != text.len ||
        fflush(t->metrics) != 0) {
        return ledge_fail(err, LEDGE_ERR_IO, "%s: cannot write", t->metrics_path);
    }
    t->progress.metrics_bytes += (int64_t)text.len;
    return LEDGE_OK;
}

/* -- validation -- */

static void score(const float *logits, int32_t classes, int32_t label, double *loss, int64_t *hits)
{
    float top = logits[0];
    int32_t best = 0;
    double total = 0;
    for (int32_t c = 1; c < classes; c++) {
        if (logits[c] > top) {
            top = logits[c];
            best = c;
        }
    }
    for (int32_t c = 0; c < classes; c++) {
        total += exp((double)(logits[c] - top));
    }
    *loss += log(total) - (double)(logits[label] - top);
    *hits += best == label;
}

/* Loss and accuracy over a whole set; the last batch is filled up with its last sample, which does
 * not count again. */
static enum ledge_status evaluate(struct train_session *t, struct data_set *set, double *loss,
                                  double *accuracy, struct ledge_error *err)
{
    int64_t n = data_set_count(set);
    int32_t classes = train_network_classes(t->network);
    int64_t sample = train_network_sample(t->network);
    struct train_batch batch = {.set = set, .pool = t->pool};
    double total = 0;
    int64_t hits = 0;
    for (int64_t first = 0; first < n; first += t->batch) {
        int32_t count = n - first < t->batch ? (int32_t)(n - first) : t->batch;
        const float *logits;
        LEDGE_TRY(train_batch_fill(&batch, NULL, first, count, t->x, t->labels, err));
        for (int32_t i = count; i < t->batch; i++) {
            memcpy(t->x + i * sample, t->x + (count - 1) * sample, (size_t)sample * sizeof(float));
        }
        LEDGE_TRY(train_network_predict(t->network, t->x, &logits, err));
        for (int32_t i = 0; i < count; i++) {
            score(logits + (int64_t)i * classes, classes, t->labels[i], &total, &hits);
        }
    }
    *loss = total / (double)n;
    *accuracy = (double)hits / (double)n;
    return LEDGE_OK;
}

/* -- training -- */

static void report(struct train_session *t, struct train_report *r)
{
    const struct train_progress *p = &t->progress;
    double done = (double)(p->step - t->first_step);
    double spent = seconds_now() - t->started;
    double left = (double)(t->steps * t->recipe->epochs - p->step);
    r->epochs = t->recipe->epochs;
    r->steps = t->steps;
    r->loss = p->seen > 0 ? p->loss_sum / (double)p->seen : 0;
    r->accuracy = p->seen > 0 ? (double)p->hits / (double)p->seen : 0;
    r->samples_per_second = spent > 0 ? done * t->batch / spent : 0;
    r->seconds_left = done > 0 ? spent / done * left : 0;
    if (t->options->report != NULL) {
        t->options->report(t->options->user, r);
    }
}

static enum ledge_status one_step(struct train_session *t, struct ledge_error *err)
{
    struct train_progress *p = &t->progress;
    const struct train_recipe *r = t->recipe;
    const struct train_batch batch = {.set = t->train,
                                      .augment = data_augment_any(&r->augment) ? &r->augment : NULL,
                                      .seed = r->seed,
                                      .epoch = (uint64_t)p->epoch,
                                      .pool = t->pool};
    int32_t classes = train_network_classes(t->network);
    const float *logits;
    float loss;
    LEDGE_TRY(
        train_batch_fill(&batch, t->order, p->cursor * t->batch, t->batch, t->x, t->labels, err));
    LEDGE_TRY(train_network_step(t->network, t->x, t->labels, p->step, &loss, &logits, err));
    if (!isfinite(loss)) {
        return ledge_fail(err, LEDGE_ERR_RANGE,
                          "the loss is not finite at epoch %lld, step %lld: lower train.lr",
                          (long long)p->epoch + 1, (long long)p->cursor + 1);
    }
    t->lr = train_learning_rate(r, p->step, t->steps, t->steps * r->epochs);
    train_optimiser_apply(&t->optimiser, t->lr, p->step);
    double unused = 0;
    for (int32_t i = 0; i < t->batch; i++) {
        score(logits + (int64_t)i * classes, classes, t->labels[i], &unused, &p->hits);
    }
    p->loss_sum += (double)loss * t->batch;
    p->seen += t->batch;
    p->cursor++;
    p->step++;
    return LEDGE_OK;
}

static void remember_best(struct train_session *t)
{
    for (int32_t i = 0; i < train_network_n_params(t->network); i++) {
        const struct train_param *p = train_network_param(t->network, i);
        memcpy(t->best[i], p->data, (size_t)p->count * sizeof *p->data);
    }
}

static enum ledge_status end_epoch(struct train_session *t, struct ledge_error *err)
{
    struct train_progress *p = &t->progress;
    struct train_report r = {.val_loss = -1, .val_accuracy = -1, .lr = t->lr, .epoch_done = true};
    if (t->val != NULL) {
        LEDGE_TRY(evaluate(t, t->val, &r.val_loss, &r.val_accuracy, err));
    }
    r.best = t->val == NULL || !t->recipe->keep_best || r.val_accuracy > p->best_accuracy;
    if (r.best) {
        p->best_accuracy = r.val_accuracy;
        p->best_epoch = p->epoch + 1;
        remember_best(t);
    }
    r.epoch = p->epoch + 1;
    r.step = p->cursor;
    report(t, &r);
    json_t *line = json_pack("{sI sI sf sf sf sf}", "epoch", (json_int_t)r.epoch, "step",
                             (json_int_t)p->step, "loss", r.loss, "accuracy", r.accuracy, "lr",
                             r.lr, "samples_per_second", r.samples_per_second);
    if (t->val != NULL) {
        (void)json_object_set_new(line, "val_loss", json_real(r.val_loss));
        (void)json_object_set_new(line, "val_accuracy", json_real(r.val_accuracy));
    }
    LEDGE_TRY(add_metrics(t, line, err));
    p->epoch++;
    p->cursor = 0;
    p->loss_sum = 0;
    p->seen = 0;
    p->hits = 0;
    return save(t, err);
}

static enum ledge_status one_epoch(struct train_session *t, struct ledge_error *err)
{
    struct train_progress *p = &t->progress;
    train_shuffle(t->order, data_set_count(t->train), t->recipe->seed, (uint64_t)p->epoch);
    while (p->cursor < t->steps) {
        LEDGE_TRY(one_step(t, err));
        if (stopped(t)) {
            LEDGE_TRY(save(t, err));
            return ledge_fail(err, LEDGE_ERR_CANCELLED,
                              "stopped at epoch %lld, step %lld of %lld; --resume goes on there",
                              (long long)p->epoch + 1, (long long)p->cursor, (long long)t->steps);
        }
        struct train_report r = {.epoch = p->epoch + 1,
                                 .step = p->cursor,
                                 .val_loss = -1,
                                 .val_accuracy = -1,
                                 .lr = t->lr};
        report(t, &r);
    }
    return end_epoch(t, err);
}

/* -- the result -- */

static enum ledge_status finish(struct train_session *t, struct train_result *result,
                                struct ledge_error *err)
{
    double loss;
    for (int32_t i = 0; i < train_network_n_params(t->network); i++) {
        const struct train_param *p = train_network_param(t->network, i);
        memcpy(p->data, t->best[i], (size_t)p->count * sizeof *p->data);
        result->parameters += p->kind != TRAIN_PARAM_STATE ? p->count : 0;
    }
    result->train_samples = data_set_count(t->train);
    result->val_samples = t->val != NULL ? data_set_count(t->val) : 0;
    result->n_classes = data_set_n_classes(t->train);
    result->epochs = t->progress.epoch;
    result->best_epoch = t->progress.best_epoch;
    result->accuracy = t->val != NULL ? t->progress.best_accuracy : -1;
    result->test_accuracy = -1;
    if (t->test != NULL) {
        result->test_samples = data_set_count(t->test);
        LEDGE_TRY(evaluate(t, t->test, &loss, &result->test_accuracy, err));
        LEDGE_TRY(add_metrics(
            t, json_pack("{sf sf}", "test_accuracy", result->test_accuracy, "test_loss", loss),
            err));
    }
    memcpy(result->data_sha256, t->data_sha256, sizeof result->data_sha256);
    (void)snprintf(result->model, sizeof result->model, "%s", t->model_path);
    return train_session_export(t, err);
}

static enum ledge_status resume(struct train_session *t, struct ledge_error *err)
{
    struct train_checkpoint c = checkpoint_of(t);
    if (!t->options->resume || !sys_file_exists(t->checkpoint_path)) {
        return LEDGE_OK;
    }
    return train_checkpoint_load(&c, &t->progress, err);
}

static enum ledge_status run_session(struct train_session *t, struct train_result *result,
                                     struct ledge_error *err)
{
    LEDGE_TRY(train_session_open(t, err));
    LEDGE_TRY(resume(t, err));
    LEDGE_TRY(open_metrics(t, err));
    t->started = seconds_now();
    t->first_step = t->progress.step;
    while (t->progress.epoch < t->recipe->epochs) {
        LEDGE_TRY(one_epoch(t, err));
    }
    struct train_result made = {.seconds = seconds_now() - t->started};
    made.samples_per_second =
        made.seconds > 0 ? (double)(t->progress.step - t->first_step) * t->batch / made.seconds : 0;
    LEDGE_TRY(finish(t, &made, err));
    *result = made;
    return LEDGE_OK;
}

enum ledge_status train_run(const struct train_recipe *recipe, const struct train_options *options,
                            struct train_result *result, struct ledge_error *err)
{
    struct train_session *t = calloc(1, sizeof *t);
    if (t == NULL) {
        return ledge_fail(err, LEDGE_ERR_NOMEM, "train: out of memory");
    }
    t->recipe = recipe;
    t->options = options;
    t->progress.best_accuracy = -1;
    enum ledge_status status = run_session(t, result, err);
    train_session_close(t);
    free(t);
    return status;
}
