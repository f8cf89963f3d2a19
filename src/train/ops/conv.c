/* SPDX-License-Identifier: Apache-2.0 */
/* conv.c -- ledge.train Conv (x, w, b?) -> y and ConvGradInput (dy, w, x for its shape) -> dx. See
 * conv.h.
 *
 * Both pack the weights once per run, then one task per image: fill planes, gather.
 */
#include <string.h>

#include "base/status.h"
#include "train/ops/conv.h"

/* -- forward -- */

struct forward {
    struct train_conv s;
    struct train_planes planes;
    struct train_gather gather;
    size_t packed; /* floats of one group's A */
    size_t planar; /* floats of one worker's planes */
    size_t biases; /* floats of the padded biases of a group */
};

struct forward_job {
    const struct forward *p;
    const float *x;
    const float *a;
    const float *bias; /* padded per group; NULL: none */
    float *planes;     /* of worker 0 */
    float *y;
};

static enum ledge_status conv_infer(struct ledge_op_infer *infer)
{
    struct train_conv s;
    LEDGE_TRY(train_conv_shape(infer->node, ledge_infer_in(infer, 0), ledge_infer_in(infer, 1), &s,
                               infer->err));
    int64_t dims[4] = {s.n, (int64_t)s.o * s.groups, s.oh, s.ow};
    return ledge_infer_out(infer, 0, LEDGE_F32, 4, dims);
}

/* A[k][r] of the panel = w[m + r][k]; rows past the last are 0. */
static void pack_forward(const struct train_conv *s, int32_t k, const float *w, float *a)
{
    for (int32_t m = 0; m < s->o; m += TRAIN_MR) {
        for (int32_t i = 0; i < k; i++) {
            for (int32_t r = 0; r < TRAIN_MR; r++) {
                *a++ = m + r < s->o ? w[(int64_t)(m + r) * k + i] : 0;
            }
        }
    }
}

static void forward_image(void *arg, int32_t n, int32_t worker)
{
    const struct forward_job *job = arg;
    const struct forward *p = job->p;
    const struct train_conv *s = &p->s;
    float *planes = job->planes + (size_t)worker * p->planar;
    for (int32_t g = 0; g < s->groups; g++) {
        int64_t first = (int64_t)n * s->groups + g;
        train_planes_fill(&p->planes, job->x + first * s->c * s->h * s->w, s->c, planes);
        train_gather_run(s->hot, &p->gather, job->a + (size_t)g * p->packed, planes,
                         job->bias != NULL ? job->bias + (size_t)g * p->biases : NULL,
                         job->y + first * s->o * s->oh * s->ow);
    }
}

static enum ledge_status forward_run(const struct ledge_kernel_call *call)
{
    const struct forward *p = call->params;
    const struct train_conv *s = &p->s;
    float *a = call->scratch;
    float *bias = a + (size_t)s->groups * p->packed;
    struct forward_job job = {.p = p,
                              .x = call->in[0]->data,
                              .a = a,
                              .planes = bias + (size_t)s->groups * p->biases,
                              .y = call->out[0]->data};
    const float *w = call->in[1]->data;
    for (int32_t g = 0; g < s->groups; g++) {
        pack_forward(s, p->gather.k, w + (int64_t)g * s->o * p->gather.k,
                     a + (size_t)g * p->packed);
    }
    if (call->n_in > 2 && call->in[2] != NULL) {
        memset(bias, 0, (size_t)s->groups * p->biases * sizeof(float));
        for (int32_t g = 0; g < s->groups; g++) {
            memcpy(bias + (size_t)g * p->biases, (const float *)call->in[2]->data + g * s->o,
                   (size_t)s->o * sizeof(float));
        }
        job.bias = bias;
    }
    ledge_pool_run(call->pool, s->n, forward_image, &job);
    return LEDGE_OK;
}

static enum ledge_status no_memory(const struct ledge_op_prepare *prepare)
{
    return ledge_prepare_fail(prepare, LEDGE_ERR_NOMEM, "out of memory, or an image too large");
}

static enum ledge_status conv_prepare(struct ledge_op_prepare *prepare)
{
    struct train_conv s;
    LEDGE_TRY(train_conv_shape(prepare->node, ledge_prepare_in(prepare, 0),
                               ledge_prepare_in(prepare, 1), &s, prepare->err));
    s.hot = train_hot_for(prepare->rung);
    prepare->macs = (int64_t)s.n * s.groups * s.o * s.oh * s.ow * s.c * s.kh * s.kw;
    if (s.c == 1 && s.o == 1) {
        return train_depthwise_prepare(prepare, &s);
    }
    struct forward *p = LEDGE_NEW(prepare->memory, struct forward);
    int32_t *off;
    if (p == NULL || !train_conv_forward_tables(&s, prepare->memory, &p->planes, &off)) {
        return no_memory(prepare);
    }
    p->s = s;
    p->gather = (struct train_gather){.m = s.o,
                                      .k = s.c * s.kh * s.kw,
                                      .off = off,
                                      .rows = s.oh,
                                      .cols = s.ow,
                                      .pitch = p->planes.pitch,
                                      .row_step = s.ow,
                                      .col_step = 1,
                                      .channel = (int64_t)s.oh * s.ow};
    p->packed = train_gather_packed(&p->gather);
    p->biases = (size_t)(s.o + TRAIN_MR);
    p->planar = (size_t)s.c * (size_t)p->planes.floats + TRAIN_SLACK;
    prepare->scratch_bytes = sizeof(float) * ((size_t)s.groups * (p->packed + p->biases) +
                                              (size_t)prepare->threads * p->planar);
    prepare->run = forward_run;
    prepare->kernel = "train_conv_f32";
    prepare->params = p;
    return LEDGE_OK;
}

const struct ledge_op train_op_conv = {"ledge.train", "Conv", conv_infer, conv_prepare};

/* -- gradient of the input -- */

struct backward {
    struct train_conv s;
    struct train_planes planes;
    struct train_phase *phases;
    int32_t n_phases;
    size_t packed; /* floats of one group's A, all phases */
    size_t planar;
};

struct backward_job {
    const struct backward *p;
    const float *dy;
    const float *a;
    float *planes;
    float *dx;
};

static enum ledge_status grad_input_infer(struct ledge_op_infer *infer)
{
    const struct ledge_value *x = ledge_infer_in(infer, 2);
    if (x == NULL || x->rank != 4) {
        return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "the third input must have rank 4");
    }
    return ledge_infer_out(infer, 0, LEDGE_F32, 4, x->dims);
}

/* A[(o, tap)][r] of the panel = w[o][c + r][tap], for the taps of the phase. */
static void pack_backward(const struct train_conv *s, const struct train_phase *phase,
                          const float *w, float *a)
{
    int32_t taps = s->kh * s->kw;
    for (int32_t c = 0; c < s->c; c += TRAIN_MR) {
        for (int32_t o = 0; o < s->o; o++) {
            for (int32_t t = 0; t < phase->n_taps; t++) {
                const float *from = w + ((int64_t)o * s->c + c) * taps + phase->taps[t];
                for (int32_t r = 0; r < TRAIN_MR; r++) {
                    *a++ = c + r < s->c ? from[(int64_t)r * taps] : 0;
                }
            }
        }
    }
}

static void backward_image(void *arg, int32_t n, int32_t worker)
{
    const struct backward_job *job = arg;
    const struct backward *p = job->p;
    const struct train_conv *s = &p->s;
    float *planes = job->planes + (size_t)worker * p->planar;
    for (int32_t g = 0; g < s->groups; g++) {
        int64_t first = (int64_t)n * s->groups + g;
        const float *a = job->a + (size_t)g * p->packed;
        train_planes_fill(&p->planes, job->dy + first * s->o * s->oh * s->ow, s->o, planes);
        for (int32_t i = 0; i < p->n_phases; i++) {
            train_gather_run(s->hot, &p->phases[i].gather, a, planes, NULL,
                             job->dx + first * s->c * s->h * s->w);
            a += train_gather_packed(&p->phases[i].gather);
        }
    }
}

static enum ledge_status backward_run(const struct ledge_kernel_call *call)
{
    const struct backward *p = call->params;
    const struct train_conv *s = &p->s;
    float *a = call->scratch;
    const float *w = call->in[1]->data;
    for (int32_t g = 0; g < s->groups; g++) {
        float *to = a + (size_t)g * p->packed;
        for (int32_t i = 0; i < p->n_phases; i++) {
            pack_backward(s, &p->phases[i], w + (int64_t)g * s->o * s->c * s->kh * s->kw, to);
            to += train_gather_packed(&p->phases[i].gather);
        }
    }
    struct backward_job job = {.p = p,
                               .dy = call->in[0]->data,
                               .a = a,
                               .planes = a + (size_t)s->groups * p->packed,
                               .dx = call->out[0]->data};
    ledge_pool_run(call->pool, s->n, backward_image, &job);
    return LEDGE_OK;
}

static enum ledge_status grad_input_prepare(struct ledge_op_prepare *prepare)
{
    struct train_conv s;
    LEDGE_TRY(train_conv_shape(prepare->node, ledge_prepare_in(prepare, 2),
                               ledge_prepare_in(prepare, 1), &s, prepare->err));
    s.hot = train_hot_for(prepare->rung);
    prepare->macs = (int64_t)s.n * s.groups * s.o * s.oh * s.ow * s.c * s.kh * s.kw;
    if (s.c == 1 && s.o == 1) {
        return train_depthwise_grad_input_prepare(prepare, &s);
    }
    struct backward *p = LEDGE_NEW(prepare->memory, struct backward);
    if (p == NULL ||
        !train_conv_backward_tables(&s, s.o, prepare->memory, &p->planes, &p->phases)) {
        return no_memory(prepare);
    }
    p->s = s;
    p->n_phases = s.sh * s.sw;
    for (int32_t i = 0; i < p->n_phases; i++) {
        p->packed += train_gather_packed(&p->phases[i].gather);
    }
    p->planar = (size_t)s.o * (size_t)p->planes.floats + TRAIN_SLACK;
    prepare->scratch_bytes =
        sizeof(float) * ((size_t)s.groups * p->packed + (size_t)prepare->threads * p->planar);
    prepare->run = backward_run;
    prepare->kernel = "train_conv_grad_input_f32";
    prepare->params = p;
    return LEDGE_OK;
}

const struct ledge_op train_op_conv_grad_input = {"ledge.train", "ConvGradInput", grad_input_infer,
                                                  grad_input_prepare};
