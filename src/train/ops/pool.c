/* SPDX-License-Identifier: Apache-2.0 */
/* pool.c -- MaxPool of 2 x 2 windows, gradients of MaxPool (x, dy) and AveragePool (dy, x); one
 * task per plane.
 *
 * The maximum's place is found again from x (the first of equals in row order), which needs no
 * stored index.
 */
#include <string.h>

#include "base/status.h"
#include "train/kernels/hot.h"
#include "train/ops/ops.h"

struct pool {
    const struct train_hot *hot;
    int32_t planes, h, w, oh, ow, kh, kw, sh, sw, dh, dw, top, left, bottom, right;
    bool maximum, count_pad;
};

struct job {
    const struct pool *p;
    const float *x, *dy;
    float *dx;
};

static int32_t int_at(const struct ledge_node *node, const char *name, size_t i, int32_t fallback)
{
    size_t n;
    const int64_t *v = ledge_node_ints(node, name, &n);
    return i < n ? (int32_t)v[i] : fallback;
}

static void same_pads(int32_t size, int32_t out, int32_t stride, int32_t window, bool lower,
                      int32_t *before, int32_t *after)
{
    int32_t total = (out - 1) * stride + window - size;
    total = total > 0 ? total : 0;
    *before = lower ? total - total / 2 : total / 2;
    *after = total - *before;
}

static enum ledge_status shape_of(struct ledge_op_prepare *prepare, const struct ledge_value *x,
                                  const struct ledge_value *dy, struct pool *p)
{
    const struct ledge_node *node = prepare->node;
    const char *mode = ledge_node_string(node, "auto_pad", "NOTSET");
    *p = (struct pool){
        .planes = (int32_t)(x->dims[0] * x->dims[1]),
        .h = (int32_t)x->dims[2],
        .w = (int32_t)x->dims[3],
        .oh = (int32_t)dy->dims[2],
        .ow = (int32_t)dy->dims[3],
        .kh = int_at(node, "kernel_shape", 0, 1),
        .kw = int_at(node, "kernel_shape", 1, 1),
        .sh = int_at(node, "strides", 0, 1),
        .sw = int_at(node, "strides", 1, 1),
        .dh = int_at(node, "dilations", 0, 1),
        .dw = int_at(node, "dilations", 1, 1),
        .top = int_at(node, "pads", 0, 0),
        .left = int_at(node, "pads", 1, 0),
        .bottom = int_at(node, "pads", 2, 0),
        .right = int_at(node, "pads", 3, 0),
        .count_pad = ledge_node_int(node, "count_include_pad", 0) != 0,
    };
    if (strncmp(mode, "SAME", 4) == 0) {
        bool lower = strcmp(mode, "SAME_LOWER") == 0;
        same_pads(p->h, p->oh, p->sh, (p->kh - 1) * p->dh + 1, lower, &p->top, &p->bottom);
        same_pads(p->w, p->ow, p->sw, (p->kw - 1) * p->dw + 1, lower, &p->left, &p->right);
    }
    return LEDGE_OK;
}

static void max_window(const struct pool *p, const float *x, float dy, int32_t y0, int32_t x0,
                       float *dx)
{
    int32_t best = -1;
    for (int32_t i = 0; i < p->kh; i++) {
        int32_t y = y0 + i * p->dh;
        if (y < 0 || y >= p->h) {
            continue;
        }
        for (int32_t j = 0; j < p->kw; j++) {
            int32_t column = x0 + j * p->dw;
            if (column >= 0 && column < p->w && (best < 0 || x[y * p->w + column] > x[best])) {
                best = y * p->w + column;
            }
        }
    }
    if (best >= 0) {
        dx[best] += dy;
    }
}

static void average_window(const struct pool *p, float dy, int32_t y0, int32_t x0, float *dx)
{
    int32_t y1 = y0 + p->kh < p->h ? y0 + p->kh : p->h;
    int32_t x1 = x0 + p->kw < p->w ? x0 + p->kw : p->w;
    int32_t count;
    if (p->count_pad) { /* the window counts as far as the pads reach */
        int32_t y2 = y0 + p->kh < p->h + p->bottom ? y0 + p->kh : p->h + p->bottom;
        int32_t x2 = x0 + p->kw < p->w + p->right ? x0 + p->kw : p->w + p->right;
        count = (y2 - y0) * (x2 - x0);
    } else {
        count = (y1 - (y0 > 0 ? y0 : 0)) * (x1 - (x0 > 0 ? x0 : 0));
    }
    float share = dy / (float)count;
    for (int32_t y = y0 > 0 ? y0 : 0; y < y1; y++) {
        for (int32_t x = x0 > 0 ? x0 : 0; x < x1; x++) {
            dx[y * p->w + x] += share;
        }
    }
}

/* The usual 2 x 2 windows that do not overlap, by the vector loops. */
static bool is_two(const struct pool *p)
{
    return p->maximum && p->kh == 2 && p->kw == 2 && p->sh == 2 && p->sw == 2 && p->dh == 1 &&
           p->dw == 1 && p->top == 0 && p->left == 0 && 2 * p->oh <= p->h && 2 * p->ow <= p->w;
}

static void plane(void *arg, int32_t index, int32_t worker)
{
    const struct job *job = arg;
    const struct pool *p = job->p;
    const float *dy = job->dy + (int64_t)index * p->oh * p->ow;
    const float *x = job->x + (int64_t)index * p->h * p->w;
    float *dx = job->dx + (int64_t)index * p->h * p->w;
    (void)worker;
    memset(dx, 0, (size_t)p->h * (size_t)p->w * sizeof(float));
    if (is_two(p)) {
        for (int64_t y = 0; y < p->oh; y++) {
            p->hot->pool_two_grad(x + 2 * y * p->w, x + (2 * y + 1) * p->w, dy + y * p->ow,
                                  dx + 2 * y * p->w, dx + (2 * y + 1) * p->w, p->ow);
        }
        return;
    }
    for (int32_t y = 0; y < p->oh; y++) {
        for (int32_t i = 0; i < p->ow; i++) {
            float g = dy[(int64_t)y * p->ow + i];
            int32_t y0 = y * p->sh - p->top;
            int32_t x0 = i * p->sw - p->left;
            if (p->maximum) {
                max_window(p, x, g, y0, x0, dx);
            } else {
                average_window(p, g, y0, x0, dx);
            }
        }
    }
}

static void plane_two(void *arg, int32_t index, int32_t worker)
{
    const struct job *job = arg;
    const struct pool *p = job->p;
    const float *x = job->x + (int64_t)index * p->h * p->w;
    float *y = job->dx + (int64_t)index * p->oh * p->ow;
    (void)worker;
    for (int64_t i = 0; i < p->oh; i++) {
        p->hot->pool_two(x + 2 * i * p->w, x + (2 * i + 1) * p->w, y + i * p->ow, p->ow);
    }
}

static enum ledge_status run_two(const struct ledge_kernel_call *call)
{
    const struct pool *p = call->params;
    struct job job = {p, call->in[0]->data, NULL, call->out[0]->data};
    ledge_pool_run(call->pool, p->planes, plane_two, &job);
    return LEDGE_OK;
}

static enum ledge_status run(const struct ledge_kernel_call *call)
{
    const struct pool *p = call->params;
    int32_t x = p->maximum ? 0 : 1;
    struct job job = {p, call->in[x]->data, call->in[1 - x]->data, call->out[0]->data};
    ledge_pool_run(call->pool, p->planes, plane, &job);
    return LEDGE_OK;
}

static enum ledge_status max_infer(struct ledge_op_infer *infer)
{
    return train_infer_same(infer, 0);
}

static enum ledge_status average_infer(struct ledge_op_infer *infer)
{
    return train_infer_same(infer, 1);
}

static enum ledge_status two_infer(struct ledge_op_infer *infer)
{
    const struct ledge_value *x = ledge_infer_in(infer, 0);
    if (x == NULL || x->rank != 4 || x->dtype != LEDGE_F32 || x->dims[2] < 2 || x->dims[3] < 2) {
        return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "needs pictures of at least 2 x 2");
    }
    const int64_t dims[4] = {x->dims[0], x->dims[1], x->dims[2] / 2, x->dims[3] / 2};
    return ledge_infer_out(infer, 0, LEDGE_F32, 4, dims);
}

static enum ledge_status two_prepare(struct ledge_op_prepare *prepare)
{
    struct pool *p = LEDGE_NEW(prepare->memory, struct pool);
    if (p == NULL) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_NOMEM, "out of memory");
    }
    LEDGE_TRY(shape_of(prepare, ledge_prepare_in(prepare, 0), ledge_prepare_out(prepare, 0), p));
    p->hot = train_hot_for(prepare->rung);
    prepare->run = run_two;
    prepare->kernel = "train_max_pool_2x2_f32";
    prepare->params = p;
    return LEDGE_OK;
}

const struct ledge_op train_op_max_pool = {"ledge.train", "MaxPool", two_infer, two_prepare};

static enum ledge_status prepare_any(struct ledge_op_prepare *prepare, bool maximum)
{
    const struct ledge_value *x = ledge_prepare_in(prepare, maximum ? 0 : 1);
    const struct ledge_value *dy = ledge_prepare_in(prepare, maximum ? 1 : 0);
    struct pool *p = LEDGE_NEW(prepare->memory, struct pool);
    if (p == NULL || x->rank != 4 || dy->rank != 4) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_UNSUPPORTED, "trained in two dimensions only");
    }
    LEDGE_TRY(shape_of(prepare, x, dy, p));
    p->maximum = maximum;
    p->hot = train_hot_for(prepare->rung);
    prepare->run = run;
    prepare->kernel = maximum ? "train_max_pool_grad_f32" : "train_average_pool_grad_f32";
    prepare->params = p;
    return LEDGE_OK;
}

static enum ledge_status max_prepare(struct ledge_op_prepare *prepare)
{
    return prepare_any(prepare, true);
}

static enum ledge_status average_prepare(struct ledge_op_prepare *prepare)
{
    return prepare_any(prepare, false);
}

const struct ledge_op train_op_max_pool_grad = {"ledge.train", "MaxPoolGrad", max_infer,
                                                max_prepare};
const struct ledge_op train_op_average_pool_grad = {"ledge.train", "AveragePoolGrad", average_infer,
                                                    average_prepare};
