/* SPDX-License-Identifier: Apache-2.0 */
/* conv_depthwise.c -- Conv and its gradients where every group has one channel in and one out: sums
 * of shifted rows. */
#include <string.h>

#include "base/status.h"
#include "train/ops/conv.h"

struct depthwise {
    struct train_conv s;
    struct train_planes planes;
    const int32_t *off;         /* forward and weight gradient */
    struct train_phase *phases; /* input gradient */
    int32_t positions, chunks;
    size_t worker; /* floats: planes, then a line of positions */
    size_t planar;
};

struct job {
    const struct depthwise *p;
    const float *x; /* or dy, for the input gradient */
    const float *dy;
    const float *w;
    const float *bias;
    float *partials;
    float *workers;
    float *out;
    float *db;
};

/* Copy the kept positions of a flat line into the output. */
static void put_line(const struct train_gather *g, const float *line, float *out)
{
    for (int32_t y = 0; y < g->rows; y++) {
        const float *from = line + (int64_t)y * g->pitch;
        float *to = out + g->start + y * g->row_step;
        if (g->col_step == 1) {
            memcpy(to, from, (size_t)g->cols * sizeof(float));
            continue;
        }
        for (int32_t x = 0; x < g->cols; x++) {
            to[x * g->col_step] = from[x];
        }
    }
}

static void forward_image(void *arg, int32_t n, int32_t worker)
{
    const struct job *job = arg;
    const struct depthwise *p = job->p;
    const struct train_conv *s = &p->s;
    float *planes = job->workers + (size_t)worker * p->worker;
    float *line = planes + p->planar;
    int32_t taps = s->kh * s->kw;
    const struct train_gather g = {
        .rows = s->oh, .cols = s->ow, .pitch = p->planes.pitch, .row_step = s->ow, .col_step = 1};
    for (int32_t c = 0; c < s->groups; c++) {
        int64_t at = (int64_t)n * s->groups + c;
        train_planes_fill(&p->planes, job->x + at * s->h * s->w, 1, planes);
        s->hot->taps(taps, job->w + (int64_t)c * taps, planes, p->off,
                     job->bias != NULL ? job->bias[c] : 0, line, p->positions);
        put_line(&g, line, job->out + at * s->oh * s->ow);
    }
}

static void backward_image(void *arg, int32_t n, int32_t worker)
{
    const struct job *job = arg;
    const struct depthwise *p = job->p;
    const struct train_conv *s = &p->s;
    float *planes = job->workers + (size_t)worker * p->worker;
    float *line = planes + p->planar;
    for (int32_t c = 0; c < s->groups; c++) {
        int64_t at = (int64_t)n * s->groups + c;
        train_planes_fill(&p->planes, job->x + at * s->oh * s->ow, 1, planes);
        for (int32_t i = 0; i < s->sh * s->sw; i++) {
            const struct train_phase *phase = &p->phases[i];
            const struct train_gather *g = &phase->gather;
            float w[256];
            for (int32_t t = 0; t < phase->n_taps; t++) {
                w[t] = job->w[(int64_t)c * s->kh * s->kw + phase->taps[t]];
            }
            s->hot->taps(phase->n_taps, w, planes, g->off, 0, line,
                         train_gather_positions(g->rows, g->cols, g->pitch));
            put_line(g, line, job->out + at * s->h * s->w);
        }
    }
}

static void weight_chunk(void *arg, int32_t chunk, int32_t worker)
{
    const struct job *job = arg;
    const struct depthwise *p = job->p;
    const struct train_conv *s = &p->s;
    float *planes = job->workers + (size_t)worker * p->worker;
    float *line = planes + p->planar;
    int32_t taps = s->kh * s->kw;
    float *partial = job->partials + (size_t)chunk * (size_t)s->groups * (size_t)(taps + 1);
    int64_t first = (int64_t)s->n * chunk / p->chunks;
    int64_t last = (int64_t)s->n * (chunk + 1) / p->chunks;
    memset(partial, 0, (size_t)s->groups * (size_t)(taps + 1) * sizeof(float));
    for (int64_t i = first * s->groups; i < last * s->groups; i++) {
        const float *dy = job->dy + i * s->oh * s->ow;
        float *to = partial + i % s->groups * (taps + 1);
        train_planes_fill(&p->planes, job->x + i * s->h * s->w, 1, planes);
        memset(line, 0, (size_t)p->positions * sizeof(float));
        for (int32_t y = 0; y < s->oh; y++) {
            memcpy(line + (int64_t)y * p->planes.pitch, dy + (int64_t)y * s->ow,
                   (size_t)s->ow * sizeof(float));
        }
        for (int32_t t = 0; t < taps; t++) {
            to[t] += s->hot->dot(planes + p->off[t], line, p->positions);
        }
        to[taps] += s->hot->sum(line, p->positions);
    }
}

static void add_partials(const struct job *job)
{
    const struct depthwise *p = job->p;
    int32_t taps = p->s.kh * p->s.kw;
    for (int32_t c = 0; c < p->s.groups; c++) {
        for (int32_t t = 0; t <= taps; t++) {
            float total = 0;
            for (int32_t chunk = 0; chunk < p->chunks; chunk++) {
                total += job->partials[((int64_t)chunk * p->s.groups + c) * (taps + 1) + t];
            }
            if (t < taps) {
                job->out[c * taps + t] = total;
            } else if (job->db != NULL) {
                job->db[c] = total;
            }
        }
    }
}

static enum ledge_status forward_run(const struct ledge_kernel_call *call)
{
    const struct depthwise *p = call->params;
    struct job job = {.p = p,
                      .x = call->in[0]->data,
                      .w = call->in[1]->data,
                      .workers = call->scratch,
                      .out = call->out[0]->data};
    job.bias = call->n_in > 2 && call->in[2] != NULL ? call->in[2]->data : NULL;
    ledge_pool_run(call->pool, p->s.n, forward_image, &job);
    return LEDGE_OK;
}

static enum ledge_status backward_run(const struct ledge_kernel_call *call)
{
    const struct depthwise *p = call->params;
    struct job job = {.p = p,
                      .x = call->in[0]->data,
                      .w = call->in[1]->data,
                      .workers = call->scratch,
                      .out = call->out[0]->data};
    ledge_pool_run(call->pool, p->s.n, backward_image, &job);
    return LEDGE_OK;
}

static enum ledge_status weight_run(const struct ledge_kernel_call *call)
{
    const struct depthwise *p = call->params;
    size_t partials = (size_t)p->chunks * (size_t)p->s.groups * (size_t)(p->s.kh * p->s.kw + 1);
    struct job job = {.p = p,
                      .x = call->in[0]->data,
                      .dy = call->in[1]->data,
                      .partials = call->scratch,
                      .workers = (float *)call->scratch + partials,
                      .out = call->out[0]->data};
    job.db = call->n_out > 1 && call->out[1] != NULL ? call->out[1]->data : NULL;
    ledge_pool_run(call->pool, p->chunks, weight_chunk, &job);
    add_partials(&job);
    return LEDGE_OK;
}

static enum ledge_status prepare_any(struct ledge_op_prepare *prepare, const struct train_conv *s,
                                     bool backward, ledge_kernel_fn run, const char *kernel)
{
    struct depthwise *p = LEDGE_NEW(prepare->memory, struct depthwise);
    int32_t *off = NULL;
    bool good = p != NULL && s->kh * s->kw <= 256;
    if (good && backward) {
        good = train_conv_backward_tables(s, 1, prepare->memory, &p->planes, &p->phases);
    } else if (good) {
        good = train_conv_forward_tables(s, prepare->memory, &p->planes, &off);
    }
    if (!good) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_NOMEM, "out of memory, or too large");
    }
    p->s = *s;
    p->off = off;
    p->positions = train_gather_positions(s->oh, s->ow, p->planes.pitch);
    p->chunks = train_chunks(s->n);
    p->planar = (size_t)p->planes.floats + TRAIN_SLACK;
    /* A line holds the positions of whichever grid is larger. */
    p->worker = p->planar + (size_t)p->planes.rows * (size_t)p->planes.pitch + TRAIN_SLACK;
    prepare->scratch_bytes = sizeof(float) * (size_t)prepare->threads * p->worker;
    prepare->run = run;
    prepare->kernel = kernel;
    prepare->params = p;
    return LEDGE_OK;
}

enum ledge_status train_depthwise_prepare(struct ledge_op_prepare *prepare,
                                          const struct train_conv *s)
{
    return prepare_any(prepare, s, false, forward_run, "train_depthwise_f32");
}

enum ledge_status train_depthwise_grad_input_prepare(struct ledge_op_prepare *prepare,
                                                     const struct train_conv *s)
{
    return prepare_any(prepare, s, true, backward_run, "train_depthwise_grad_input_f32");
}

enum ledge_status train_depthwise_grad_weight_prepare(struct ledge_op_prepare *prepare,
                                                      const struct train_conv *s)
{
    LEDGE_TRY(prepare_any(prepare, s, false, weight_run, "train_depthwise_grad_weight_f32"));
    const struct depthwise *p = prepare->params;
    prepare->scratch_bytes +=
        sizeof(float) * (size_t)p->chunks * (size_t)s->groups * (size_t)(s->kh * s->kw + 1);
    return LEDGE_OK;
}
