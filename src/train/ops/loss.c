/* SPDX-License-Identifier: Apache-2.0 */
/* loss.c -- SoftmaxCrossEntropy with its gradient, and Dropout by a counter-based generator.
 *
 * Loss: mean over samples of -sum_c t_c log p_c, p = softmax(logits), t = (1 - s) onehot + s /
 * classes with label smoothing s (Szegedy et al. 2016, section 7); dlogits = (p - t) / samples.
 * Dropout: Srivastava et al. 2014, scaled at training time. The mask is a function of (seed, step,
 * index): the backward step draws it again, and so does a resumed run.
 */
#include <math.h>

#include "base/status.h"
#include "data/philox.h"
#include "train/ops/ops.h"

struct loss {
    int64_t n, classes;
    float smoothing;
};

/* One sample; returns its loss, gradient FILLED scaled by scale. */
static double one_sample(const struct loss *p, const float *logits, int32_t label, double scale,
                         float *gradient)
{
    float top = logits[0];
    for (int64_t c = 1; c < p->classes; c++) {
        top = logits[c] > top ? logits[c] : top;
    }
    double total = 0;
    double mean = 0;
    for (int64_t c = 0; c < p->classes; c++) {
        total += exp((double)(logits[c] - top));
        mean += (double)(logits[c] - top);
    }
    double log_total = log(total);
    double even = (double)p->smoothing / (double)p->classes;
    for (int64_t c = 0; c < p->classes; c++) {
        double target = even + (c == label ? 1 - (double)p->smoothing : 0);
        gradient[c] = (float)((exp((double)(logits[c] - top) - log_total) - target) * scale);
    }
    double hit = log_total - (double)(logits[label] - top);
    double all = log_total - mean / (double)p->classes;
    return (1 - (double)p->smoothing) * hit + (double)p->smoothing * all;
}

static enum ledge_status loss_run(const struct ledge_kernel_call *call)
{
    const struct loss *p = call->params;
    const int32_t *labels = call->in[1]->data;
    float *gradient = call->out[1]->data;
    double total = 0;
    for (int64_t i = 0; i < p->n; i++) {
        if (labels[i] < 0 || labels[i] >= p->classes) {
            return ledge_fail(call->err, LEDGE_ERR_RANGE, "label %d of %lld classes", labels[i],
                              (long long)p->classes);
        }
        total += one_sample(p, (const float *)call->in[0]->data + i * p->classes, labels[i],
                            1 / (double)p->n, gradient + i * p->classes);
    }
    *(float *)call->out[0]->data = (float)(total / (double)p->n);
    return LEDGE_OK;
}

static enum ledge_status loss_infer(struct ledge_op_infer *infer)
{
    const struct ledge_value *logits = ledge_infer_in(infer, 0);
    const struct ledge_value *labels = ledge_infer_in(infer, 1);
    if (logits == NULL || labels == NULL || logits->rank != 2 || logits->dtype != LEDGE_F32 ||
        labels->dtype != LEDGE_I32 || train_count(labels) != logits->dims[0]) {
        return ledge_infer_fail(infer, LEDGE_ERR_SHAPE,
                                "needs logits [samples, classes] and a label for each sample");
    }
    LEDGE_TRY(ledge_infer_out(infer, 0, LEDGE_F32, 0, NULL));
    return ledge_infer_out(infer, 1, LEDGE_F32, 2, logits->dims);
}

static enum ledge_status loss_prepare(struct ledge_op_prepare *prepare)
{
    const struct ledge_value *logits = ledge_prepare_in(prepare, 0);
    struct loss *p = LEDGE_NEW(prepare->memory, struct loss);
    if (p == NULL) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_NOMEM, "out of memory");
    }
    p->n = logits->dims[0];
    p->classes = logits->dims[1];
    p->smoothing = ledge_node_float(prepare->node, "label_smoothing", 0);
    prepare->run = loss_run;
    prepare->kernel = "train_softmax_cross_entropy_f32";
    prepare->params = p;
    return LEDGE_OK;
}

const struct ledge_op train_op_cross_entropy = {"ledge.train", "SoftmaxCrossEntropy", loss_infer,
                                                loss_prepare};

/* -- Dropout -- */

struct dropout {
    int64_t count;
    uint64_t seed;
    float ratio;
};

struct job {
    const struct dropout *p;
    const float *x;
    float *y;
    uint64_t step;
};

static void drop_some(void *arg, int64_t first, int64_t last)
{
    const struct job *job = arg;
    float keep = 1 / (1 - job->p->ratio);
    for (int64_t i = first; i < last; i += 4) { /* first is a multiple of 4 */
        struct data_philox r = data_philox(job->p->seed, job->step, (uint64_t)i);
        for (int64_t k = i; k < i + 4 && k < last; k++) {
            job->y[k] = data_philox_unit(r.word[k - i]) < job->p->ratio ? 0 : keep * job->x[k];
        }
    }
}

static enum ledge_status dropout_run(const struct ledge_kernel_call *call)
{
    const struct dropout *p = call->params;
    struct job job = {p, call->in[0]->data, call->out[0]->data,
                      (uint64_t) * (const int64_t *)call->in[1]->data};
    train_for_range(call->pool, p->count, drop_some, &job);
    return LEDGE_OK;
}

static enum ledge_status dropout_infer(struct ledge_op_infer *infer)
{
    const struct ledge_value *step = ledge_infer_in(infer, 1);
    if (step == NULL || step->dtype != LEDGE_I64 || train_count(step) != 1) {
        return ledge_infer_fail(infer, LEDGE_ERR_DTYPE, "the second input is one i64");
    }
    return train_infer_same(infer, 0);
}

static enum ledge_status dropout_prepare(struct ledge_op_prepare *prepare)
{
    struct dropout *p = LEDGE_NEW(prepare->memory, struct dropout);
    if (p == NULL) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_NOMEM, "out of memory");
    }
    p->count = train_count(ledge_prepare_in(prepare, 0));
    p->seed = (uint64_t)ledge_node_int(prepare->node, "seed", 0);
    p->ratio = ledge_node_float(prepare->node, "ratio", 0.5f);
    if (!(p->ratio >= 0 && p->ratio < 1)) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_RANGE, "ratio %g", (double)p->ratio);
    }
    prepare->run = dropout_run;
    prepare->kernel = "train_dropout_f32";
    prepare->params = p;
    prepare->in_place = 0;
    return LEDGE_OK;
}

const struct ledge_op train_op_dropout = {"ledge.train", "Dropout", dropout_infer, dropout_prepare};
