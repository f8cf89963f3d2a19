/* SPDX-License-Identifier: Apache-2.0 */
/* shape.c -- gradients that only move, spread or sum: ReshapeLike, SumLike, SpreadLike, ConcatGrad,
 * Accumulate, Scale. */
#include <string.h>

#include "base/status.h"
#include "train/kernels/hot.h"
#include "train/ops/ops.h"

/* How the flat index of a large tensor maps to a small one: the strides of the small one, 0 on axes
 * it does not have. */
struct walk {
    int32_t rank;
    int64_t dims[LEDGE_MAX_RANK];
    int64_t strides[LEDGE_MAX_RANK];
    int64_t count, small_count;
    float scale;
    const struct train_hot *hot;
};

static int64_t next(const struct walk *w, int64_t digits[LEDGE_MAX_RANK], int64_t at)
{
    for (int32_t d = w->rank - 1; d >= 0; d--) {
        at += w->strides[d];
        if (++digits[d] < w->dims[d]) {
            return at;
        }
        at -= digits[d] * w->strides[d];
        digits[d] = 0;
    }
    return at;
}

/* -- ReshapeLike -- */

static enum ledge_status reshape_infer(struct ledge_op_infer *infer)
{
    const struct ledge_value *dy = ledge_infer_in(infer, 0);
    const struct ledge_value *x = ledge_infer_in(infer, 1);
    if (dy == NULL || x == NULL || train_count(dy) != train_count(x)) {
        return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "gradient and value differ in size");
    }
    return train_infer_same(infer, 1);
}

static enum ledge_status reshape_prepare(struct ledge_op_prepare *prepare)
{
    prepare->alias = 0;
    prepare->kernel = "alias";
    return LEDGE_OK;
}

const struct ledge_op train_op_reshape_like = {"ledge.train", "ReshapeLike", reshape_infer,
                                               reshape_prepare};

/* -- SumLike -- */

static enum ledge_status like_infer(struct ledge_op_infer *infer)
{
    return train_infer_same(infer, 1);
}

static enum ledge_status sum_run(const struct ledge_kernel_call *call)
{
    const struct walk *w = call->params;
    const float *dy = call->in[0]->data;
    float *dx = call->out[0]->data;
    double *sums = call->scratch;
    int64_t digits[LEDGE_MAX_RANK] = {0};
    int64_t at = 0;
    memset(sums, 0, (size_t)w->small_count * sizeof(double));
    for (int64_t i = 0; i < w->count; i++) {
        sums[at] += (double)dy[i];
        at = next(w, digits, at);
    }
    for (int64_t i = 0; i < w->small_count; i++) {
        dx[i] = (float)sums[i];
    }
    return LEDGE_OK;
}

static enum ledge_status sum_prepare(struct ledge_op_prepare *prepare)
{
    const struct ledge_value *dy = ledge_prepare_in(prepare, 0);
    const struct ledge_value *x = ledge_prepare_in(prepare, 1);
    struct walk *w = LEDGE_NEW(prepare->memory, struct walk);
    if (w == NULL || x->rank > dy->rank) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_SHAPE, "the value does not broadcast");
    }
    if (train_count(dy) == train_count(x)) {
        return reshape_prepare(prepare);
    }
    int64_t stride = 1;
    w->rank = dy->rank;
    w->count = train_count(dy);
    w->small_count = train_count(x);
    for (int32_t d = dy->rank - 1; d >= 0; d--) {
        int32_t own = d - (dy->rank - x->rank);
        w->dims[d] = dy->dims[d];
        if (own >= 0 && x->dims[own] != 1) {
            if (x->dims[own] != dy->dims[d]) {
                return ledge_prepare_fail(prepare, LEDGE_ERR_SHAPE, "the value does not broadcast");
            }
            w->strides[d] = stride;
            stride *= x->dims[own];
        }
    }
    prepare->scratch_bytes = (size_t)w->small_count * sizeof(double);
    prepare->run = sum_run;
    prepare->kernel = "train_sum_like_f32";
    prepare->params = w;
    return LEDGE_OK;
}

const struct ledge_op train_op_sum_like = {"ledge.train", "SumLike", like_infer, sum_prepare};

/* -- SpreadLike -- */

static enum ledge_status spread_run(const struct ledge_kernel_call *call)
{
    const struct walk *w = call->params;
    const float *dy = call->in[0]->data;
    float *dx = call->out[0]->data;
    int64_t digits[LEDGE_MAX_RANK] = {0};
    int64_t at = 0;
    for (int64_t i = 0; i < w->count; i++) {
        dx[i] = w->scale * dy[at];
        at = next(w, digits, at);
    }
    return LEDGE_OK;
}

/* Attribute axes: those that were reduced (negative from the end; absent: all from the third on).
 */
static enum ledge_status spread_prepare(struct ledge_op_prepare *prepare)
{
    const struct ledge_value *x = ledge_prepare_in(prepare, 1);
    struct walk *w = LEDGE_NEW(prepare->memory, struct walk);
    size_t n_axes;
    const int64_t *axes = ledge_node_ints(prepare->node, "axes", &n_axes);
    bool reduced[LEDGE_MAX_RANK] = {false};
    if (w == NULL) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_NOMEM, "out of memory");
    }
    for (size_t i = 0; i < n_axes; i++) {
        int64_t axis = axes[i] < 0 ? axes[i] + x->rank : axes[i];
        if (axis < 0 || axis >= x->rank) {
            return ledge_prepare_fail(prepare, LEDGE_ERR_SHAPE, "no axis %lld", (long long)axes[i]);
        }
        reduced[axis] = true;
    }
    int64_t spread = 1;
    int64_t stride = 1;
    w->rank = x->rank;
    w->count = train_count(x);
    for (int32_t d = x->rank - 1; d >= 0; d--) {
        w->dims[d] = x->dims[d];
        if (axes != NULL ? reduced[d] : d >= 2) {
            spread *= x->dims[d];
        } else {
            w->strides[d] = stride;
            stride *= x->dims[d];
        }
    }
    if (stride != train_count(ledge_prepare_in(prepare, 0))) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_SHAPE, "the gradient has the wrong size");
    }
    w->scale = ledge_node_int(prepare->node, "mean", 1) != 0 ? 1 / (float)spread : 1;
    prepare->run = spread_run;
    prepare->kernel = "train_spread_like_f32";
    prepare->params = w;
    return LEDGE_OK;
}

const struct ledge_op train_op_spread_like = {"ledge.train", "SpreadLike", like_infer,
                                              spread_prepare};

/* -- ConcatGrad -- */

static enum ledge_status concat_infer(struct ledge_op_infer *infer)
{
    for (int32_t i = 1; i < infer->node->n_in; i++) {
        const struct ledge_value *x = ledge_infer_in(infer, i);
        if (x == NULL) {
            return ledge_infer_fail(infer, LEDGE_ERR_FORMAT, "an input is missing");
        }
        LEDGE_TRY(ledge_infer_out(infer, i - 1, LEDGE_F32, x->rank, x->dims));
    }
    return LEDGE_OK;
}

struct concat {
    int64_t outer, row;   /* rows of dy and their floats */
    const int64_t *parts; /* floats of each input in a row */
};

static enum ledge_status concat_run(const struct ledge_kernel_call *call)
{
    const struct concat *p = call->params;
    const float *dy = call->in[0]->data;
    int64_t at = 0;
    for (int32_t i = 0; i < call->n_out; i++) {
        float *dx = call->out[i] != NULL ? call->out[i]->data : NULL;
        for (int64_t r = 0; dx != NULL && r < p->outer; r++) {
            memcpy(dx + r * p->parts[i], dy + r * p->row + at, (size_t)p->parts[i] * sizeof(float));
        }
        at += p->parts[i];
    }
    return LEDGE_OK;
}

static enum ledge_status concat_prepare(struct ledge_op_prepare *prepare)
{
    const struct ledge_value *dy = ledge_prepare_in(prepare, 0);
    int32_t n = prepare->node->n_in - 1;
    struct concat *p = LEDGE_NEW(prepare->memory, struct concat);
    int64_t *parts = LEDGE_NEW_ARRAY(prepare->memory, int64_t, (size_t)n);
    int64_t axis = ledge_node_int(prepare->node, "axis", 0);
    axis = axis < 0 ? axis + dy->rank : axis;
    if (p == NULL || parts == NULL || axis < 0 || axis >= dy->rank) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_SHAPE, "no such axis, or out of memory");
    }
    int64_t inner = 1;
    p->outer = 1;
    for (int32_t d = 0; d < dy->rank; d++) {
        if (d < axis) {
            p->outer *= dy->dims[d];
        } else if (d > axis) {
            inner *= dy->dims[d];
        }
    }
    p->row = inner * dy->dims[axis];
    for (int32_t i = 0; i < n; i++) {
        parts[i] = inner * ledge_prepare_in(prepare, i + 1)->dims[axis];
    }
    p->parts = parts;
    prepare->run = concat_run;
    prepare->kernel = "train_concat_grad_f32";
    prepare->params = p;
    return LEDGE_OK;
}

const struct ledge_op train_op_concat_grad = {"ledge.train", "ConcatGrad", concat_infer,
                                              concat_prepare};

/* -- Accumulate, Scale -- */

static void add_some(void *arg, int64_t first, int64_t last)
{
    const struct ledge_kernel_call *call = arg;
    const struct walk *w = call->params;
    w->hot->add((const float *)call->in[0]->data + first, (const float *)call->in[1]->data + first,
                (float *)call->out[0]->data + first, last - first);
}

static void scale_some(void *arg, int64_t first, int64_t last)
{
    const struct ledge_kernel_call *call = arg;
    const struct walk *w = call->params;
    w->hot->affine((const float *)call->in[0]->data + first, w->scale, 0,
                   (float *)call->out[0]->data + first, last - first);
}

static enum ledge_status add_run(const struct ledge_kernel_call *call)
{
    const struct walk *w = call->params;
    train_for_range(call->pool, w->count, add_some, (void *)call);
    return LEDGE_OK;
}

static enum ledge_status scale_run(const struct ledge_kernel_call *call)
{
    const struct walk *w = call->params;
    train_for_range(call->pool, w->count, scale_some, (void *)call);
    return LEDGE_OK;
}

static enum ledge_status same_infer(struct ledge_op_infer *infer)
{
    return train_infer_same(infer, 0);
}

static enum ledge_status flat_prepare(struct ledge_op_prepare *prepare, ledge_kernel_fn run,
                                      const char *kernel)
{
    struct walk *w = LEDGE_NEW(prepare->memory, struct walk);
    if (w == NULL) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_NOMEM, "out of memory");
    }
    w->hot = train_hot_for(prepare->rung);
    w->count = train_count(ledge_prepare_in(prepare, 0));
    w->scale = ledge_node_float(prepare->node, "alpha", 1);
    prepare->run = run;
    prepare->kernel = kernel;
    prepare->params = w;
    prepare->in_place = 0;
    return LEDGE_OK;
}

static enum ledge_status accumulate_prepare(struct ledge_op_prepare *prepare)
{
    if (train_count(ledge_prepare_in(prepare, 0)) != train_count(ledge_prepare_in(prepare, 1))) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_SHAPE, "gradients differ in size");
    }
    return flat_prepare(prepare, add_run, "train_accumulate_f32");
}

static enum ledge_status scale_prepare(struct ledge_op_prepare *prepare)
{
    return flat_prepare(prepare, scale_run, "train_scale_f32");
}

const struct ledge_op train_op_accumulate = {"ledge.train", "Accumulate", same_infer,
                                             accumulate_prepare};
const struct ledge_op train_op_scale = {"ledge.train", "Scale", same_infer, scale_prepare};
