/* SPDX-License-Identifier: Apache-2.0 */
/* conv_weight.c -- ledge.train ConvGradWeight (x, dy, w for its shape) -> dw, db?. See conv.h.
 *
 * dw[o][k] = sum over images and positions q of dy[o][q] * planes[off[k] + q]. dy is transposed to
 * [q][o] once per image, so that a register tile is TRAIN_MR taps by some channels and runs down q.
 * The batch is cut into chunks whose number does not depend on the threads; each has its own
 * partial sum, and the partials are added in order.
 */
#include <string.h>

#include "base/status.h"
#include "train/ops/conv.h"

struct weight {
    struct train_conv s;
    struct train_planes planes;
    const int32_t *off; /* k rounded up to TRAIN_MR */
    int32_t k, k_pad, o_pad, positions, chunks;
    size_t partial; /* floats of one chunk: groups * (k_pad * o_pad + o) */
    size_t worker;  /* floats of one worker: planes and transposed dy */
    size_t planar;
};

struct weight_job {
    const struct weight *p;
    const float *x;
    const float *dy;
    float *partials;
    float *workers;
    float *dw;
    float *db; /* NULL: not wanted */
};

/* dy [o][oh][ow] -> t [q][o_pad], zero where q is no position of dy. */
static void transpose(const struct weight *p, const float *dy, float *t)
{
    const struct train_conv *s = &p->s;
    memset(t, 0, (size_t)p->positions * (size_t)p->o_pad * sizeof(float));
    for (int32_t y = 0; y < s->oh; y++) {
        for (int32_t x = 0; x < s->ow; x++) {
            float *to = t + ((int64_t)y * p->planes.pitch + x) * p->o_pad;
            const float *from = dy + (int64_t)y * s->ow + x;
            for (int32_t o = 0; o < s->o; o++) {
                to[o] = from[(int64_t)o * s->oh * s->ow];
            }
        }
    }
}

/* Add one image's products to partial [k_pad][o_pad]; t in blocks that stay in the first cache. */
static void accumulate(const struct weight *p, const float *planes, const float *t, float *partial)
{
    const struct train_hot *hot = p->s.hot;
    int32_t block = 8192 / p->o_pad > 64 ? 8192 / p->o_pad : 64;
    for (int32_t q = 0; q < p->positions; q += block) {
        int32_t n = p->positions - q < block ? p->positions - q : block;
        for (int32_t k = 0; k < p->k; k += TRAIN_MR) {
            int32_t vecs = p->o_pad / hot->vec;
            for (int32_t v = 0; v < vecs;) {
                int32_t left = vecs - v;
                int32_t take = left == hot->nv + 1 && hot->nv > 2 ? 2 : left;
                take = take < hot->nv ? take : hot->nv;
                int64_t o = (int64_t)v * hot->vec;
                hot->outer(n, planes + q, p->off + k, t + (int64_t)q * p->o_pad + o, p->o_pad, take,
                           partial + (int64_t)k * p->o_pad + o, p->o_pad);
                v += take;
            }
        }
    }
}

static void weight_chunk(void *arg, int32_t chunk, int32_t worker)
{
    const struct weight_job *job = arg;
    const struct weight *p = job->p;
    const struct train_conv *s = &p->s;
    float *planes = job->workers + (size_t)worker * p->worker;
    float *t = planes + p->planar;
    float *partial = job->partials + (size_t)chunk * p->partial;
    float *bias = partial + (size_t)s->groups * (size_t)p->k_pad * (size_t)p->o_pad;
    int64_t first = (int64_t)s->n * chunk / p->chunks;
    int64_t last = (int64_t)s->n * (chunk + 1) / p->chunks;
    memset(partial, 0, p->partial * sizeof(float));
    for (int64_t i = first * s->groups; i < last * s->groups; i++) {
        int64_t g = i % s->groups;
        const float *dy = job->dy + i * s->o * s->oh * s->ow;
        train_planes_fill(&p->planes, job->x + i * s->c * s->h * s->w, s->c, planes);
        transpose(p, dy, t);
        accumulate(p, planes, t, partial + g * p->k_pad * p->o_pad);
        for (int32_t o = 0; job->db != NULL && o < s->o; o++) {
            bias[g * s->o + o] +=
                s->hot->sum(dy + (int64_t)o * s->oh * s->ow, (int64_t)s->oh * s->ow);
        }
    }
}

/* Taps TRAIN_MR * i and on of group g: the chunks' partials in order, a whole row of channels at a
 * time. */
static void add_partials(void *arg, int32_t index, int32_t worker)
{
    const struct weight_job *job = arg;
    const struct weight *p = job->p;
    const struct train_conv *s = &p->s;
    int32_t panels = p->k_pad / TRAIN_MR;
    int32_t g = index / panels;
    int32_t first = index % panels * TRAIN_MR;
    float *dw = job->dw + (int64_t)g * s->o * p->k;
    (void)worker;
    for (int32_t k = first; k < first + TRAIN_MR && k < p->k; k++) {
        float *row = job->partials + ((int64_t)g * p->k_pad + k) * p->o_pad;
        for (int32_t chunk = 1; chunk < p->chunks; chunk++) {
            s->hot->add(row, row + (size_t)chunk * p->partial, row, s->o);
        }
        for (int32_t o = 0; o < s->o; o++) {
            dw[(int64_t)o * p->k + k] = row[o];
        }
    }
}

static void add_biases(const struct weight_job *job)
{
    const struct weight *p = job->p;
    int32_t n = p->s.groups * p->s.o;
    const float *from = job->partials + (size_t)p->s.groups * (size_t)p->k_pad * (size_t)p->o_pad;
    memcpy(job->db, from, (size_t)n * sizeof(float));
    for (int32_t chunk = 1; chunk < p->chunks; chunk++) {
        p->s.hot->add(job->db, from + (size_t)chunk * p->partial, job->db, n);
    }
}

static enum ledge_status weight_run(const struct ledge_kernel_call *call)
{
    const struct weight *p = call->params;
    float *partials = call->scratch;
    struct weight_job job = {.p = p,
                             .x = call->in[0]->data,
                             .dy = call->in[1]->data,
                             .partials = partials,
                             .workers = partials + (size_t)p->chunks * p->partial,
                             .dw = call->out[0]->data};
    job.db = call->n_out > 1 && call->out[1] != NULL ? call->out[1]->data : NULL;
    ledge_pool_run(call->pool, p->chunks, weight_chunk, &job);
    ledge_pool_run(call->pool, p->s.groups * (p->k_pad / TRAIN_MR), add_partials, &job);
    if (job.db != NULL) {
        add_biases(&job);
    }
    return LEDGE_OK;
}

static enum ledge_status weight_infer(struct ledge_op_infer *infer)
{
    const struct ledge_value *w = ledge_infer_in(infer, 2);
    struct train_conv s;
    LEDGE_TRY(train_conv_shape(infer->node, ledge_infer_in(infer, 0), w, &s, infer->err));
    LEDGE_TRY(ledge_infer_out(infer, 0, LEDGE_F32, 4, w->dims));
    return ledge_infer_out(infer, 1, LEDGE_F32, 1, w->dims);
}

static enum ledge_status weight_prepare(struct ledge_op_prepare *prepare)
{
    struct train_conv s;
    LEDGE_TRY(train_conv_shape(prepare->node, ledge_prepare_in(prepare, 0),
                               ledge_prepare_in(prepare, 2), &s, prepare->err));
    s.hot = train_hot_for(prepare->rung);
    prepare->macs = (int64_t)s.n * s.groups * s.o * s.oh * s.ow * s.c * s.kh * s.kw;
    if (s.c == 1 && s.o == 1) {
        return train_depthwise_grad_weight_prepare(prepare, &s);
    }
    struct weight *p = LEDGE_NEW(prepare->memory, struct weight);
    int32_t *off;
    if (p == NULL || !train_conv_forward_tables(&s, prepare->memory, &p->planes, &off)) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_NOMEM, "out of memory, or an image too large");
    }
    p->s = s;
    p->off = off;
    p->k = s.c * s.kh * s.kw;
    p->k_pad = (p->k + TRAIN_MR - 1) / TRAIN_MR * TRAIN_MR;
    p->o_pad = (s.o + s.hot->vec - 1) / s.hot->vec * s.hot->vec;
    p->positions = train_gather_positions(s.oh, s.ow, p->planes.pitch);
    p->chunks = train_chunks(s.n);
    p->partial = (size_t)s.groups * ((size_t)p->k_pad * (size_t)p->o_pad + (size_t)s.o);
    p->planar = (size_t)s.c * (size_t)p->planes.floats + TRAIN_SLACK;
    p->worker = p->planar + (size_t)p->positions * (size_t)p->o_pad;
    prepare->scratch_bytes =
        sizeof(float) * ((size_t)p->chunks * p->partial + (size_t)prepare->threads * p->worker);
    prepare->run = weight_run;
    prepare->kernel = "train_conv_grad_weight_f32";
    prepare->params = p;
    return LEDGE_OK;
}

const struct ledge_op train_op_conv_grad_weight = {"ledge.train", "ConvGradWeight", weight_infer,
                                                   weight_prepare};
