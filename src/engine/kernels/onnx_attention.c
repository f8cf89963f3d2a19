/* SPDX-License-Identifier: Apache-2.0 */
/* onnx_attention.c -- scaled dot-product attention with a cache: a task is one head of one batch, a
 * row of scores per thread is all the memory it needs. Rotary embedding beside it. */
#include "engine/kernels/onnx_attention.h"

#include <math.h>
#include <string.h>

#include "base/status.h"
#include "engine/kernels/quant.h"
#include "engine/kernels/real.h"

#include "base/banned.h"

struct job {
    const struct ledge_attention *p;
    const float *q, *k, *v, *past_k, *past_v, *mask;
    const uint8_t *allowed; /* the mask when it is bool */
    const int64_t *lengths;
    float *y, *qk, *scratch;
};

static const void *data_of(const struct ledge_kernel_call *call, int32_t i)
{
    const struct ledge_view *view = ledge_call_in(call, i);
    return view != NULL ? view->data : NULL;
}

static void *out_of(const struct ledge_kernel_call *call, int32_t i)
{
    return i < call->n_out && call->out[i] != NULL ? call->out[i]->data : NULL;
}

static int64_t heads_at(const struct ledge_heads *at, int64_t b, int64_t h, int64_t s)
{
    return b * at->batch + h * at->head + s * at->place;
}

/* Row j of the keys or values: the past comes first, always as [b][h][past][size]. */
static const float *cached(const struct ledge_attention *p, const float *past, const float *now,
                           const struct ledge_heads *at, int64_t size, int64_t b, int64_t h,
                           int64_t j)
{
    return j < p->past ? past + ((b * p->kv_heads + h) * p->past + j) * size
                       : now + heads_at(at, b, h, j - p->past);
}

static float dot(const float *a, const float *b, int64_t n)
{
    float sums[8] = {0};
    int64_t i = 0;
    for (; i + 8 <= n; i += 8) {
        for (int k = 0; k < 8; k++) {
            sums[k] += a[i + k] * b[i + k];
        }
    }
    for (; i < n; i++) {
        sums[0] += a[i] * b[i];
    }
    return ((sums[0] + sums[4]) + (sums[1] + sums[5])) +
           ((sums[2] + sums[6]) + (sums[3] + sums[7]));
}

/* What is added to score j of query i: 0, a number of the mask, or minus infinity. */
static float bias_of(const struct job *job, int64_t b, int64_t h, int64_t i, int64_t j)
{
    const struct ledge_attention *p = job->p;
    int64_t at = b * p->mask[0] + h * p->mask[1] + i * p->mask[2] + j;
    int64_t place = i + (job->lengths != NULL ? job->lengths[b] - p->q_len : p->past);
    bool open = (job->lengths == NULL || j < job->lengths[b]) && (!p->causal || j <= place) &&
                (p->left < 0 || place - j <= p->left) && (p->right < 0 || j - place <= p->right);
    if (job->mask == NULL && job->allowed == NULL) {
        return open ? 0 : -INFINITY;
    }
    open = open && j < p->mask_len && (job->allowed == NULL || job->allowed[at] != 0);
    return !open ? -INFINITY : job->mask != NULL ? job->mask[at] : 0;
}

/* A row of which nothing is open becomes zeros. */
static void softmax(float *row, int64_t n, bool open)
{
    float most = -INFINITY, sum = 0;
    for (int64_t j = 0; j < n; j++) {
        most = row[j] > most ? row[j] : most;
    }
    most = open ? most : INFINITY; /* e^-inf is 0 */
    for (int64_t j = 0; j < n; j++) {
        row[j] = ledge_exp_f32(row[j] - most);
    }
    for (int64_t j = 0; j < n; j++) {
        sum += row[j];
    }
    for (int64_t j = 0; j < n && open; j++) {
        row[j] /= sum;
    }
}

/* Few models ask for it. */
LEDGE_COLD static void cap_scores(float cap, float *row, int64_t n)
{
    for (int64_t j = 0; j < n; j++) {
        row[j] = cap * ledge_tanh_f32(row[j] / cap);
    }
}

/* y = y + weight * v */
static void add_times(float weight, const float *restrict v, float *restrict y, int64_t n)
{
    for (int64_t k = 0; k < n; k++) {
        y[k] += weight * v[k];
    }
}

static void keep(const struct job *job, int32_t mode, const float *row, int64_t b, int64_t h,
                 int64_t i)
{
    const struct ledge_attention *p = job->p;
    int64_t n = p->past + p->k_len;
    if (job->qk != NULL && p->qk_mode == mode) {
        memcpy(job->qk + ((b * p->q_heads + h) * p->q_len + i) * n, row, (size_t)n * sizeof *row);
    }
}

static void one_query(const struct job *job, int64_t b, int64_t h, int64_t i, float *row)
{
    const struct ledge_attention *p = job->p;
    int64_t n = p->past + p->k_len, kv = h / (p->q_heads / p->kv_heads);
    const float *q = job->q + heads_at(&p->q, b, h, i);
    float *y = job->y + heads_at(&p->y, b, h, i);
    bool open = false;
    for (int64_t j = 0; j < n; j++) {
        row[j] =
            p->scale * dot(q, cached(p, job->past_k, job->k, &p->k, p->size, b, kv, j), p->size);
    }
    keep(job, LEDGE_QK_RAW, row, b, h, i);
    if (p->cap > 0) {
        cap_scores(p->cap, row, n);
    }
    keep(job, LEDGE_QK_CAPPED, row, b, h, i);
    for (int64_t j = 0; j < n; j++) {
        float bias = bias_of(job, b, h, i, j);
        row[j] += bias;
        open = open || bias != -INFINITY;
    }
    keep(job, LEDGE_QK_BIASED, row, b, h, i);
    softmax(row, n, open);
    keep(job, LEDGE_QK_SOFTMAX, row, b, h, i);
    for (int64_t k = 0; k < p->v_size; k++) {
        y[k] = 0;
    }
    for (int64_t j = 0; j < n; j++) {
        if (row[j] != 0) {
            add_times(row[j], cached(p, job->past_v, job->v, &p->v, p->v_size, b, kv, j), y,
                      p->v_size);
        }
    }
}

static void one_head(void *arg, int32_t index, int32_t worker)
{
    const struct job *job = arg;
    const struct ledge_attention *p = job->p;
    float *row = job->scratch + worker * (p->past + p->k_len);
    for (int64_t i = 0; i < p->q_len; i++) {
        one_query(job, index / p->q_heads, index % p->q_heads, i, row);
    }
}

/* The cache of the next call: [b][h][past + k_len][size]. */
static void join_cache(const struct ledge_attention *p, const float *past, const float *now,
                       const struct ledge_heads *at, int64_t size, float *to)
{
    int64_t n = p->past + p->k_len;
    for (int64_t i = 0; to != NULL && i < p->batch * p->kv_heads * n; i++) {
        const float *from =
            cached(p, past, now, at, size, i / n / p->kv_heads, i / n % p->kv_heads, i % n);
        memcpy(to + i * size, from, (size_t)size * sizeof *to);
    }
}

enum ledge_status ledge_attention_c(const struct ledge_kernel_call *call)
{
    const struct ledge_attention *p = call->params;
    const struct ledge_view *mask = ledge_call_in(call, 3);
    struct job job = {.p = p,
                      .q = call->in[0]->data,
                      .k = call->in[1]->data,
                      .v = call->in[2]->data,
                      .past_k = data_of(call, 4),
                      .past_v = data_of(call, 5),
                      .lengths = data_of(call, 6),
                      .y = call->out[0]->data,
                      .qk = out_of(call, 3),
                      .scratch = call->scratch};
    if (mask != NULL && mask->dtype == LEDGE_BOOL) {
        job.allowed = mask->data;
    } else if (mask != NULL) {
        job.mask = mask->data;
    }
    for (int64_t b = 0; job.lengths != NULL && b < p->batch; b++) {
        if (job.lengths[b] < 0 || job.lengths[b] > p->k_len) {
            return ledge_fail(call->err, LEDGE_ERR_RANGE, "length %lld of %lld keys",
                              (long long)job.lengths[b], (long long)p->k_len);
        }
    }
    ledge_pool_run(call->pool, (int32_t)(p->batch * p->q_heads), one_head, &job);
    join_cache(p, job.past_k, job.k, &p->k, p->size, out_of(call, 1));
    join_cache(p, job.past_v, job.v, &p->v, p->v_size, out_of(call, 2));
    return LEDGE_OK;
}

static void rotate(const struct ledge_rotary *p, const float *x, const float *cosine,
                   const float *sine, float *y)
{
    int64_t step = p->interleaved ? 2 : 1, second = p->interleaved ? 1 : p->half;
    for (int64_t k = 0; k < p->half; k++) {
        float a = x[k * step], b = x[k * step + second];
        y[k * step] = cosine[k] * a - sine[k] * b;
        y[k * step + second] = sine[k] * a + cosine[k] * b;
    }
    for (int64_t k = 2 * p->half; k < p->size; k++) {
        y[k] = x[k];
    }
}

enum ledge_status ledge_rotary_c(const struct ledge_kernel_call *call)
{
    const struct ledge_rotary *p = call->params;
    const float *x = call->in[0]->data, *cosine = call->in[1]->data, *sine = call->in[2]->data;
    const int64_t *positions = data_of(call, 3);
    float *y = call->out[0]->data;
    for (int64_t i = 0; i < p->batch * p->len; i++) {
        int64_t row = positions != NULL ? positions[i] : i;
        if (row < 0 || row >= p->rows) {
            return ledge_fail(call->err, LEDGE_ERR_RANGE, "position %lld of %lld", (long long)row,
                              (long long)p->rows);
        }
        for (int64_t h = 0; h < p->heads; h++) {
            int64_t at = heads_at(&p->at, i / p->len, h, i % p->len);
            rotate(p, x + at, cosine + row * p->half, sine + row * p->half, y + at);
        }
    }
    return LEDGE_OK;
}
