/* SPDX-License-Identifier: Apache-2.0 */
/* unary.c -- gradients of activations: dx = dy f'(.), element by element, over dy's memory where it
 * dies.
 *
 * The second input is what the derivative is cheapest from: the output y, or the input x. p and q
 * are attributes.
 */
#include <math.h>
#include <string.h>

#include "base/status.h"
#include "train/kernels/hot.h"
#include "train/ops/ops.h"

struct unary {
    const struct train_hot *hot;
    float p, q;
    void (*loop)(const struct unary *u, const float *dy, const float *v, float *dx, int64_t n);
    int64_t count;
};

#define UNARY(name, derivative)                                                                    \
    static void name(const struct unary *u, const float *dy, const float *v, float *dx, int64_t n) \
    {                                                                                              \
        float p = u->p;                                                                            \
        float q = u->q;                                                                            \
        (void)p;                                                                                   \
        (void)q;                                                                                   \
        for (int64_t i = 0; i < n; i++) {                                                          \
            float s = v[i];                                                                        \
            dx[i] = dy[i] * (derivative);                                                          \
        }                                                                                          \
    }

UNARY(clip, s > p && s < q ? 1.0f : 0.0f)                           /* x; p < q: limits */
UNARY(leaky, s > 0 ? 1.0f : p)                                      /* x; p: slope */
UNARY(elu, s > 0 ? 1.0f : p * expf(s))                              /* x; p: alpha */
UNARY(sigmoid, s *(1 - s))                                          /* y */
UNARY(tangent, 1 - s * s)                                           /* y */
UNARY(hard_sigmoid, p *s + q > 0 && p * s + q < 1 ? p : 0.0f)       /* x; p, q: alpha, beta */
UNARY(hard_swish, s <= -3 ? 0.0f : s >= 3 ? 1.0f : (2 * s + 3) / 6) /* x */
UNARY(softplus, 1 / (1 + expf(-s)))                                 /* x */
UNARY(root, 0.5f / s)                                               /* y */

static void relu(const struct unary *u, const float *dy, const float *v, float *dx, int64_t n)
{
    u->hot->relu_grad(dy, v, dx, n);
}

static const struct {
    const char *op;
    void (*loop)(const struct unary *u, const float *dy, const float *v, float *dx, int64_t n);
} kinds[TRAIN_N_UNARY] = {
    {"ReluGrad", relu},
    {"ClipGrad", clip},
    {"LeakyReluGrad", leaky},
    {"EluGrad", elu},
    {"SigmoidGrad", sigmoid},
    {"TanhGrad", tangent},
    {"HardSigmoidGrad", hard_sigmoid},
    {"HardSwishGrad", hard_swish},
    {"SoftplusGrad", softplus},
    {"SqrtGrad", root},
};

struct job {
    const struct unary *u;
    const float *dy, *v;
    float *dx;
};

static void some(void *arg, int64_t first, int64_t last)
{
    const struct job *job = arg;
    job->u->loop(job->u, job->dy + first, job->v + first, job->dx + first, last - first);
}

static enum ledge_status run(const struct ledge_kernel_call *call)
{
    const struct unary *u = call->params;
    struct job job = {u, call->in[0]->data, call->in[1]->data, call->out[0]->data};
    train_for_range(call->pool, u->count, some, &job);
    return LEDGE_OK;
}

static enum ledge_status infer(struct ledge_op_infer *op)
{
    const struct ledge_value *dy = ledge_infer_in(op, 0);
    const struct ledge_value *v = ledge_infer_in(op, 1);
    if (dy == NULL || v == NULL || train_count(dy) != train_count(v)) {
        return ledge_infer_fail(op, LEDGE_ERR_SHAPE, "gradient and value differ in size");
    }
    return train_infer_same(op, 0);
}

static enum ledge_status prepare_op(struct ledge_op_prepare *prepare)
{
    struct unary *u = LEDGE_NEW(prepare->memory, struct unary);
    if (u == NULL) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_NOMEM, "out of memory");
    }
    u->hot = train_hot_for(prepare->rung);
    u->p = ledge_node_float(prepare->node, "p", 0);
    u->q = ledge_node_float(prepare->node, "q", 0);
    u->count = train_count(ledge_prepare_in(prepare, 0));
    for (int i = 0; i < TRAIN_N_UNARY; i++) {
        if (strcmp(kinds[i].op, prepare->node->op) == 0) {
            u->loop = kinds[i].loop;
            prepare->kernel = kinds[i].op;
        }
    }
    prepare->run = run;
    prepare->params = u;
    prepare->in_place = 0;
    return LEDGE_OK;
}

/* -- Relu itself, over its input's memory where that dies -- */

static void relu_some(void *arg, int64_t first, int64_t last)
{
    const struct job *job = arg;
    job->u->hot->relu(job->v + first, job->dx + first, last - first);
}

static enum ledge_status relu_run(const struct ledge_kernel_call *call)
{
    const struct unary *u = call->params;
    struct job job = {u, NULL, call->in[0]->data, call->out[0]->data};
    train_for_range(call->pool, u->count, relu_some, &job);
    return LEDGE_OK;
}

static enum ledge_status relu_infer(struct ledge_op_infer *op)
{
    return train_infer_same(op, 0);
}

static enum ledge_status relu_prepare(struct ledge_op_prepare *prepare)
{
    LEDGE_TRY(prepare_op(prepare));
    prepare->run = relu_run;
    prepare->kernel = "train_relu_f32";
    return LEDGE_OK;
}

const struct ledge_op train_op_relu = {"ledge.train", "Relu", relu_infer, relu_prepare};

#define ENTRY(name)                                                                                \
    {                                                                                              \
        "ledge.train", name, infer, prepare_op                                                     \
    }
const struct ledge_op train_ops_unary[TRAIN_N_UNARY] = {
    ENTRY("ReluGrad"),     ENTRY("ClipGrad"), ENTRY("LeakyReluGrad"),   ENTRY("EluGrad"),
    ENTRY("SigmoidGrad"),  ENTRY("TanhGrad"), ENTRY("HardSigmoidGrad"), ENTRY("HardSwishGrad"),
    ENTRY("SoftplusGrad"), ENTRY("SqrtGrad"),
};
