/* SPDX-License-Identifier: Apache-2.0 */
/* onnx_step.c -- see onnx_step.h. */
#include "engine/kernels/onnx_step.h"

#include <math.h>

#include "engine/kernels/onnx_number.h"
#include "engine/kernels/real.h"

#include "base/banned.h"

struct state {
    double x, a, b; /* a tensor's element and its one or two states */
};

static void adagrad(const struct ledge_step *p, struct state *s, double g, double rate, double t)
{
    s->a += g * g;
    s->x -= rate / (1 + t * p->decay) * g / (sqrt(s->a) + p->epsilon);
}

static void adam(const struct ledge_step *p, struct state *s, double g, double rate, double t)
{
    s->a = p->alpha * s->a + (1 - p->alpha) * g;
    s->b = p->beta * s->b + (1 - p->beta) * g * g;
    rate *= t > 0 ? sqrt(1 - ledge_pow(p->beta, t)) / (1 - ledge_pow(p->alpha, t)) : 1;
    s->x = (1 - p->norm_post) * (s->x - rate * s->a / (sqrt(s->b) + p->epsilon));
}

static void momentum(const struct ledge_step *p, struct state *s, double g, double rate, double t)
{
    s->a = p->alpha * s->a + (t > 0 ? p->beta : 1) * g;
    s->x -= rate * (p->kind == LEDGE_STEP_NESTEROV ? g + p->alpha * s->a : s->a);
}

static double at(const struct ledge_view *view, int64_t i)
{
    return (double)((const float *)view->data)[i];
}

static void put(const struct ledge_kernel_call *call, int32_t k, int64_t i, double v)
{
    if (k < call->n_out && call->out[k] != NULL) {
        ((float *)call->out[k]->data)[i] = (float)v;
    }
}

enum ledge_status ledge_step_c(const struct ledge_kernel_call *call)
{
    const struct ledge_step *p = call->params;
    const struct ledge_view *const *in = call->in + 2;
    double rate = at(call->in[0], 0), t;
    ledge_load_real(call->in[1]->data, call->in[1]->dtype, 0, 1, &t);
    for (int32_t k = 0; k < p->n; k++) {
        int64_t count = ledge_view_count(in[k]);
        for (int64_t i = 0; i < count; i++) {
            struct state s = {at(in[k], i), at(in[2 * p->n + k], i), 0};
            double g = p->norm * s.x + at(in[p->n + k], i);
            if (p->kind == LEDGE_STEP_ADAM) {
                s.b = at(in[3 * p->n + k], i);
                adam(p, &s, g, rate, t);
                put(call, 2 * p->n + k, i, s.b);
            } else if (p->kind == LEDGE_STEP_ADAGRAD) {
                adagrad(p, &s, g, rate, t);
            } else {
                momentum(p, &s, g, rate, t);
            }
            put(call, k, i, s.x);
            put(call, p->n + k, i, s.a);
        }
    }
    return LEDGE_OK;
}
