/* SPDX-License-Identifier: Apache-2.0 */
/* onnx_state.c -- operators that carry a state from call to call in their inputs and outputs:
 * LinearAttention (Yang et al. 2024, arXiv:2406.06484, recurrent form), CausalConvWithState,
 * TensorScatter. */
#include <math.h>
#include <string.h>

#include "base/status.h"
#include "engine/kernels/onnx_attention.h"
#include "engine/kernels/quant.h"
#include "engine/kernels/real.h"

#include "base/banned.h"

static const void *data_of(const struct ledge_kernel_call *call, int32_t i)
{
    const struct ledge_view *view = ledge_call_in(call, i);
    return view != NULL ? view->data : NULL;
}

struct job {
    const struct ledge_linear_attention *p;
    const float *q, *k, *v, *decay, *beta;
    float *y, *states, *scratch;
};

/* state [size][v_size] at step t: fade, correct, write, and the queries of the group read. */
static void one_step(const struct job *job, int64_t b, int64_t h, int64_t t, float *state,
                     float *value)
{
    const struct ledge_linear_attention *p = job->p;
    int64_t row = b * p->len + t, group = p->q_heads / p->kv_heads;
    const float *k = job->k + (row * p->kv_heads + h) * p->size;
    const float *v = job->v + (row * p->kv_heads + h) * p->v_size;
    for (int64_t d = 0; d < p->size && p->decay_size > 0; d++) {
        int64_t at = (row * p->kv_heads + h) * p->decay_size + d % p->decay_size;
        float fade = ledge_exp_f32(job->decay[at]);
        for (int64_t m = 0; m < p->v_size; m++) {
            state[d * p->v_size + m] *= fade;
        }
    }
    for (int64_t m = 0; m < p->v_size; m++) {
        value[m] = v[m];
        if (p->beta_heads > 0) {
            float known = 0, beta = job->beta[row * p->beta_heads + h % p->beta_heads];
            for (int64_t d = 0; d < p->size; d++) {
                known += state[d * p->v_size + m] * k[d];
            }
            value[m] = beta * (v[m] - known);
        }
    }
    for (int64_t d = 0; d < p->size; d++) {
        for (int64_t m = 0; m < p->v_size; m++) {
            state[d * p->v_size + m] += k[d] * value[m];
        }
    }
    for (int64_t g = h * group; g < (h + 1) * group; g++) {
        const float *q = job->q + (row * p->q_heads + g) * p->size;
        float *y = job->y + (row * p->q_heads + g) * p->v_size;
        for (int64_t m = 0; m < p->v_size; m++) {
            float sum = 0;
            for (int64_t d = 0; d < p->size; d++) {
                sum += q[d] * state[d * p->v_size + m];
            }
            y[m] = p->scale * sum;
        }
    }
}

static void one_head(void *arg, int32_t index, int32_t worker)
{
    const struct job *job = arg;
    const struct ledge_linear_attention *p = job->p;
    for (int64_t t = 0; t < p->len; t++) {
        one_step(job, index / p->kv_heads, index % p->kv_heads, t,
                 job->states + index * p->size * p->v_size, job->scratch + worker * p->v_size);
    }
}

enum ledge_status ledge_linear_attention_c(const struct ledge_kernel_call *call)
{
    const struct ledge_linear_attention *p = call->params;
    const float *past = data_of(call, 3);
    size_t states = (size_t)(p->batch * p->kv_heads * p->size * p->v_size);
    struct job job = {.p = p,
                      .q = call->in[0]->data,
                      .k = call->in[1]->data,
                      .v = call->in[2]->data,
                      .decay = data_of(call, 4),
                      .beta = data_of(call, 5),
                      .y = call->out[0]->data,
                      .scratch = call->scratch};
    /* prepare gave room for the states behind the threads' values when nobody wants them */
    job.states = call->n_out > 1 && call->out[1] != NULL
                     ? call->out[1]->data
                     : job.scratch + call->scratch_bytes / sizeof(float) - states;
    for (size_t i = 0; i < states; i++) {
        job.states[i] = past != NULL ? past[i] : 0;
    }
    ledge_pool_run(call->pool, (int32_t)(p->batch * p->kv_heads), one_head, &job);
    return LEDGE_OK;
}

/* Element i of a channel with its past before it. */
static float at_or_past(const float *x, const float *past, int64_t taps, int64_t i)
{
    return i >= 0 ? x[i] : past != NULL ? past[i + taps - 1] : 0;
}

enum ledge_status ledge_causal_conv_c(const struct ledge_kernel_call *call)
{
    const struct ledge_causal_conv *p = call->params;
    const float *bias = data_of(call, 2), *pasts = data_of(call, 3);
    float *state = call->n_out > 1 && call->out[1] != NULL ? call->out[1]->data : NULL;
    for (int64_t row = 0; row < p->batch * p->channels; row++) {
        int64_t c = row % p->channels;
        const float *x = (const float *)call->in[0]->data + row * p->len;
        const float *w = (const float *)call->in[1]->data + c * p->taps;
        const float *past = pasts != NULL ? pasts + row * (p->taps - 1) : NULL;
        float *y = call->out[0] != NULL ? (float *)call->out[0]->data + row * p->len : NULL;
        for (int64_t i = 0; y != NULL && i < p->len; i++) {
            float sum = bias != NULL ? bias[c] : 0;
            for (int64_t t = 0; t < p->taps; t++) {
                sum += w[t] * at_or_past(x, past, p->taps, i + t - (p->taps - 1));
            }
            y[i] = p->silu ? sum / (1 + ledge_exp_f32(-sum)) : sum;
        }
        for (int64_t t = 0; state != NULL && t < p->taps - 1; t++) {
            state[row * (p->taps - 1) + t] =
                at_or_past(x, past, p->taps, p->len - (p->taps - 1) + t);
        }
    }
    return LEDGE_OK;
}

enum ledge_status ledge_tensor_scatter_c(const struct ledge_kernel_call *call)
{
    const struct ledge_tensor_scatter *p = call->params;
    const int64_t *first = data_of(call, 2);
    const char *update = call->in[1]->data;
    char *y = call->out[0]->data;
    memmove(y, call->in[0]->data, ledge_view_bytes(call->out[0]));
    for (int64_t b = 0; b < p->batch; b++) {
        int64_t start = first != NULL ? first[b] : 0;
        if (start < 0 || start > p->places || (!p->circular && start > p->places - p->n)) {
            return ledge_fail(call->err, LEDGE_ERR_RANGE, "place %lld of %lld", (long long)start,
                              (long long)p->places);
        }
        for (int64_t o = b * p->outer; o < (b + 1) * p->outer; o++) {
            for (int64_t i = 0; i < p->n; i++) {
                memcpy(y + (size_t)(o * p->places + (start + i) % p->places) * p->inner,
                       update + (size_t)(o * p->n + i) * p->inner, p->inner);
            }
        }
    }
    return LEDGE_OK;
}
