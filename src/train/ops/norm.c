/* SPDX-License-Identifier: Apache-2.0 */
/* norm.c -- batch normalisation by batch statistics and its gradient; one task per channel.
 *
 * Source: Ioffe and Szegedy 2015, section 3. y = gamma (x - mean) invstd + beta; with S = sum dy, P
 * = sum dy (x - mean): dbeta = S, dgamma = P invstd, dx = gamma invstd (dy - S / n - (x - mean)
 * invstd^2 P / n)
 */
#include <math.h>

#include "base/status.h"
#include "train/kernels/hot.h"
#include "train/ops/ops.h"

struct norm {
    const struct train_hot *hot;
    int64_t n, c, plane;
    float epsilon;
};

struct job {
    const struct norm *p;
    const struct ledge_kernel_call *call;
};

static const float *in(const struct job *job, int i)
{
    return job->call->in[i]->data;
}

static float *out(const struct job *job, int i)
{
    return i < job->call->n_out && job->call->out[i] != NULL ? job->call->out[i]->data : NULL;
}

static enum ledge_status forward_infer(struct ledge_op_infer *infer)
{
    const struct ledge_value *x = ledge_infer_in(infer, 0);
    const struct ledge_value *gamma = ledge_infer_in(infer, 1);
    LEDGE_TRY(train_infer_same(infer, 0));
    if (x->rank < 2 || gamma == NULL || gamma->rank != 1 || gamma->dims[0] != x->dims[1]) {
        return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "scale does not fit the channels");
    }
    LEDGE_TRY(ledge_infer_out(infer, 1, LEDGE_F32, 1, &x->dims[1]));
    return ledge_infer_out(infer, 2, LEDGE_F32, 1, &x->dims[1]);
}

static enum ledge_status grad_infer(struct ledge_op_infer *infer)
{
    const struct ledge_value *x = ledge_infer_in(infer, 0);
    LEDGE_TRY(train_infer_same(infer, 0));
    LEDGE_TRY(ledge_infer_out(infer, 1, LEDGE_F32, 1, &x->dims[1]));
    return ledge_infer_out(infer, 2, LEDGE_F32, 1, &x->dims[1]);
}

static enum ledge_status affine_infer(struct ledge_op_infer *infer)
{
    return train_infer_same(infer, 0);
}

static void forward_channel(void *arg, int32_t c, int32_t worker)
{
    const struct job *job = arg;
    const struct norm *p = job->p;
    const float *x = in(job, 0) + c * p->plane;
    float *y = out(job, 0) + c * p->plane;
    int64_t step = p->c * p->plane;
    double total = 0;
    double squares = 0;
    double count = (double)(p->n * p->plane);
    (void)worker;
    for (int64_t i = 0; i < p->n; i++) {
        total += (double)p->hot->sum(x + i * step, p->plane);
    }
    float mean = (float)(total / count);
    for (int64_t i = 0; i < p->n; i++) {
        squares += (double)p->hot->sum_squares(x + i * step, mean, p->plane);
    }
    float var = (float)(squares / count);
    float a = in(job, 1)[c] / sqrtf(var + p->epsilon);
    float b = in(job, 2)[c] - mean * a;
    for (int64_t i = 0; i < p->n; i++) {
        p->hot->affine(x + i * step, a, b, y + i * step, p->plane);
    }
    if (out(job, 1) != NULL) {
        out(job, 1)[c] = mean;
    }
    if (out(job, 2) != NULL) {
        out(job, 2)[c] = var;
    }
}

static void grad_channel(void *arg, int32_t c, int32_t worker)
{
    const struct job *job = arg;
    const struct norm *p = job->p;
    const float *x = in(job, 0) + c * p->plane;
    const float *dy = in(job, 1) + c * p->plane;
    int64_t step = p->c * p->plane;
    double count = (double)(p->n * p->plane);
    double s = 0;
    double q = 0;
    float mean = in(job, 3)[c];
    float invstd = 1 / sqrtf(in(job, 4)[c] + p->epsilon);
    (void)worker;
    for (int64_t i = 0; i < p->n; i++) {
        float one_s;
        float one_q;
        p->hot->grad_sums(dy + i * step, x + i * step, mean, p->plane, &one_s, &one_q);
        s += (double)one_s;
        q += (double)one_q;
    }
    if (out(job, 1) != NULL) {
        out(job, 1)[c] = (float)(q * (double)invstd);
    }
    if (out(job, 2) != NULL) {
        out(job, 2)[c] = (float)s;
    }
    if (out(job, 0) == NULL) {
        return;
    }
    float a = in(job, 2)[c] * invstd;
    float b = -a * invstd * invstd * (float)(q / count);
    float k = -a * (float)(s / count) - b * mean;
    float *dx = out(job, 0) + c * p->plane;
    for (int64_t i = 0; i < p->n; i++) {
        p->hot->blend(dy + i * step, a, x + i * step, b, k, dx + i * step, p->plane);
    }
}

static void affine_channel(void *arg, int32_t c, int32_t worker)
{
    const struct job *job = arg;
    const struct norm *p = job->p;
    float a = in(job, 1)[c] / sqrtf(in(job, 2)[c] + p->epsilon);
    (void)worker;
    for (int64_t i = 0; i < p->n; i++) {
        int64_t at = (i * p->c + c) * p->plane;
        p->hot->affine(in(job, 0) + at, a, 0, out(job, 0) + at, p->plane);
    }
}

static enum ledge_status run_channels(const struct ledge_kernel_call *call,
                                      void (*task)(void *, int32_t, int32_t))
{
    struct job job = {call->params, call};
    ledge_pool_run(call->pool, (int32_t)job.p->c, task, &job);
    return LEDGE_OK;
}

static enum ledge_status forward_run(const struct ledge_kernel_call *call)
{
    return run_channels(call, forward_channel);
}

static enum ledge_status grad_run(const struct ledge_kernel_call *call)
{
    return run_channels(call, grad_channel);
}

static enum ledge_status affine_run(const struct ledge_kernel_call *call)
{
    return run_channels(call, affine_channel);
}

static enum ledge_status prepare_any(struct ledge_op_prepare *prepare, ledge_kernel_fn run,
                                     const char *kernel)
{
    const struct ledge_value *x = ledge_prepare_in(prepare, 0);
    struct norm *p = LEDGE_NEW(prepare->memory, struct norm);
    if (p == NULL) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_NOMEM, "out of memory");
    }
    p->hot = train_hot_for(prepare->rung);
    p->n = x->dims[0];
    p->c = x->dims[1];
    p->plane = 1;
    for (int32_t i = 2; i < x->rank; i++) {
        p->plane *= x->dims[i];
    }
    p->epsilon = ledge_node_float(prepare->node, "epsilon", 1e-5f);
    prepare->run = run;
    prepare->kernel = kernel;
    prepare->params = p;
    return LEDGE_OK;
}

static enum ledge_status forward_prepare(struct ledge_op_prepare *prepare)
{
    return prepare_any(prepare, forward_run, "train_batch_norm_f32");
}

static enum ledge_status grad_prepare(struct ledge_op_prepare *prepare)
{
    return prepare_any(prepare, grad_run, "train_batch_norm_grad_f32");
}

static enum ledge_status affine_prepare(struct ledge_op_prepare *prepare)
{
    return prepare_any(prepare, affine_run, "train_affine_grad_f32");
}

const struct ledge_op train_op_batch_norm = {"ledge.train", "BatchNorm", forward_infer,
                                             forward_prepare};
const struct ledge_op train_op_batch_norm_grad = {"ledge.train", "BatchNormGrad", grad_infer,
                                                  grad_prepare};
const struct ledge_op train_op_affine_grad = {"ledge.train", "AffineGrad", affine_infer,
                                              affine_prepare};
