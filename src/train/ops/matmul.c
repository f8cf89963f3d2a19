/* SPDX-License-Identifier: Apache-2.0 */
/* matmul.c -- ledge.train MatMul (a, b, c?) -> alpha op(a) op(b) + beta c, op transposes the last
 * two dimensions.
 *
 * a is packed into panels of TRAIN_MR rows, b into rows padded to whole vectors; one task per
 * register tile. Leading dimensions are a batch and broadcast.
 */
#include <string.h>

#include "base/status.h"
#include "train/kernels/hot.h"
#include "train/ops/ops.h"

struct matmul {
    const struct train_hot *hot;
    int64_t m, n, k, n_pad, m_pad;
    bool trans_a, trans_b;
    float alpha, beta;
    int32_t batch;
    int32_t *a_at, *b_at; /* matrix number in a and b of each of the batch */
    int32_t *off;
    int64_t c_row, c_column; /* strides of c in the matrix, 0 where it broadcasts */
};

struct job {
    const struct matmul *p;
    const float *a; /* packed */
    const float *b; /* packed */
    const float *c;
    float *y;
    int32_t columns; /* tiles in a row */
};

struct shape {
    int64_t m, n, k;
    int32_t rank;
    int64_t dims[LEDGE_MAX_RANK];
};

static enum ledge_status shape_of(const struct ledge_node *node, const struct ledge_value *a,
                                  const struct ledge_value *b, struct shape *shape,
                                  struct ledge_error *err)
{
    if (a == NULL || b == NULL || a->rank < 2 || b->rank < 2 || a->dtype != LEDGE_F32 ||
        b->dtype != LEDGE_F32) {
        return ledge_fail(err, LEDGE_ERR_UNSUPPORTED,
                          "node %s (MatMul): f32 of rank 2 or more only", node->name);
    }
    bool trans_a = ledge_node_int(node, "trans_a", 0) != 0;
    bool trans_b = ledge_node_int(node, "trans_b", 0) != 0;
    struct shape s = {.m = a->dims[a->rank - (trans_a ? 1 : 2)],
                      .k = a->dims[a->rank - (trans_a ? 2 : 1)],
                      .n = b->dims[b->rank - (trans_b ? 2 : 1)]};
    int64_t k = b->dims[b->rank - (trans_b ? 1 : 2)];
    if (k != s.k) {
        return ledge_fail(err, LEDGE_ERR_SHAPE, "node %s (MatMul): %lld columns against %lld rows",
                          node->name, (long long)s.k, (long long)k);
    }
    s.rank = a->rank > b->rank ? a->rank : b->rank;
    for (int32_t i = 0; i < s.rank - 2; i++) {
        int32_t ia = i - (s.rank - a->rank);
        int32_t ib = i - (s.rank - b->rank);
        int64_t da = ia >= 0 ? a->dims[ia] : 1;
        int64_t db = ib >= 0 ? b->dims[ib] : 1;
        if (da != db && da != 1 && db != 1) {
            return ledge_fail(err, LEDGE_ERR_SHAPE, "node %s (MatMul): batches do not broadcast",
                              node->name);
        }
        s.dims[i] = da == 1 ? db : da;
    }
    s.dims[s.rank - 2] = s.m;
    s.dims[s.rank - 1] = s.n;
    *shape = s;
    return LEDGE_OK;
}

static enum ledge_status infer(struct ledge_op_infer *op)
{
    struct shape s;
    LEDGE_TRY(shape_of(op->node, ledge_infer_in(op, 0), ledge_infer_in(op, 1), &s, op->err));
    return ledge_infer_out(op, 0, LEDGE_F32, s.rank, s.dims);
}

/* Panels of TRAIN_MR rows: [k][TRAIN_MR]. */
static void pack_a(const struct matmul *p, const float *a, float *to)
{
    int64_t row = p->trans_a ? 1 : p->k;
    int64_t column = p->trans_a ? p->m : 1;
    for (int64_t m = 0; m < p->m; m += TRAIN_MR) {
        for (int64_t k = 0; k < p->k; k++) {
            for (int64_t r = m; r < m + TRAIN_MR; r++) {
                *to++ = r < p->m ? a[r * row + k * column] : 0;
            }
        }
    }
}

static void pack_b(const struct matmul *p, const float *b, float *to)
{
    for (int64_t k = 0; k < p->k; k++) {
        float *row = to + k * p->n_pad;
        if (!p->trans_b) {
            memcpy(row, b + k * p->n, (size_t)p->n * sizeof(float));
        } else {
            for (int64_t n = 0; n < p->n; n++) {
                row[n] = b[n * p->k + k];
            }
        }
        for (int64_t n = p->n; n < p->n_pad; n++) {
            row[n] = 0;
        }
    }
}

static void tile(void *arg, int32_t index, int32_t worker)
{
    const struct job *job = arg;
    const struct matmul *p = job->p;
    int64_t width = (int64_t)p->hot->nv * p->hot->vec;
    int64_t m = (int64_t)(index / job->columns) * TRAIN_MR;
    int64_t n = (int64_t)(index % job->columns) * width;
    int64_t vecs = (p->n_pad - n) / p->hot->vec;
    float out[TRAIN_MR * 64];
    (void)worker;
    p->hot->tile((int32_t)p->k, job->a + m * p->k, job->b + n, p->off, NULL,
                 (int32_t)(vecs < p->hot->nv ? vecs : p->hot->nv), out, width);
    for (int64_t r = 0; r < TRAIN_MR && m + r < p->m; r++) {
        for (int64_t i = 0; i < width && n + i < p->n; i++) {
            float extra =
                job->c != NULL ? p->beta * job->c[(m + r) * p->c_row + (n + i) * p->c_column] : 0;
            job->y[(m + r) * p->n + n + i] = p->alpha * out[r * width + i] + extra;
        }
    }
}

static enum ledge_status run(const struct ledge_kernel_call *call)
{
    const struct matmul *p = call->params;
    float *a = call->scratch;
    float *b = a + p->m_pad * p->k;
    int64_t width = (int64_t)p->hot->nv * p->hot->vec;
    struct job job = {.p = p, .a = a, .b = b, .columns = (int32_t)((p->n_pad + width - 1) / width)};
    job.c = call->n_in > 2 && call->in[2] != NULL ? call->in[2]->data : NULL;
    for (int32_t i = 0; i < p->batch; i++) {
        pack_a(p, (const float *)call->in[0]->data + p->a_at[i] * p->m * p->k, a);
        pack_b(p, (const float *)call->in[1]->data + p->b_at[i] * p->k * p->n, b);
        job.y = (float *)call->out[0]->data + i * p->m * p->n;
        ledge_pool_run(call->pool, (int32_t)(p->m_pad / TRAIN_MR) * job.columns, tile, &job);
    }
    return LEDGE_OK;
}

/* Matrix number of batch member i in an operand with these leading dimensions. */
static int32_t matrix_of(const struct shape *s, const struct ledge_value *v, int32_t i)
{
    int32_t at = 0;
    int32_t stride = 1;
    for (int32_t d = s->rank - 3; d >= 0; d--) {
        int32_t own = d - (s->rank - v->rank);
        int32_t digit = i % (int32_t)s->dims[d];
        i /= (int32_t)s->dims[d];
        if (own >= 0 && v->dims[own] != 1) {
            at += digit * stride;
            stride *= (int32_t)v->dims[own];
        }
    }
    return at;
}

static enum ledge_status set_addend(struct ledge_op_prepare *prepare, struct matmul *p)
{
    const struct ledge_value *c = ledge_prepare_in(prepare, 2);
    if (c == NULL) {
        return LEDGE_OK;
    }
    int64_t columns = c->rank > 0 ? c->dims[c->rank - 1] : 1;
    int64_t rows = c->rank > 1 ? c->dims[c->rank - 2] : 1;
    if (p->batch != 1 || c->rank > 2 || c->dtype != LEDGE_F32 ||
        (columns != 1 && columns != p->n) || (rows != 1 && rows != p->m)) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_SHAPE, "the third input does not broadcast");
    }
    p->c_column = columns == 1 ? 0 : 1;
    p->c_row = rows == 1 ? 0 : columns;
    return LEDGE_OK;
}

static enum ledge_status prepare_op(struct ledge_op_prepare *prepare)
{
    const struct ledge_value *a = ledge_prepare_in(prepare, 0);
    const struct ledge_value *b = ledge_prepare_in(prepare, 1);
    struct matmul *p = LEDGE_NEW(prepare->memory, struct matmul);
    struct shape s;
    LEDGE_TRY(shape_of(prepare->node, a, b, &s, prepare->err));
    int64_t batch = 1;
    for (int32_t i = 0; i < s.rank - 2; i++) {
        batch *= s.dims[i];
    }
    const struct train_hot *hot = train_hot_for(prepare->rung);
    int64_t n_pad = (s.n + hot->vec - 1) / hot->vec * hot->vec;
    if (p == NULL || batch > 65536 || s.k * n_pad > INT32_MAX) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_RANGE, "too large, or out of memory");
    }
    *p = (struct matmul){.hot = hot,
                         .m = s.m,
                         .n = s.n,
                         .k = s.k,
                         .n_pad = n_pad,
                         .m_pad = (s.m + TRAIN_MR - 1) / TRAIN_MR * TRAIN_MR,
                         .trans_a = ledge_node_int(prepare->node, "trans_a", 0) != 0,
                         .trans_b = ledge_node_int(prepare->node, "trans_b", 0) != 0,
                         .alpha = ledge_node_float(prepare->node, "alpha", 1),
                         .beta = ledge_node_float(prepare->node, "beta", 1),
                         .batch = (int32_t)batch};
    LEDGE_TRY(set_addend(prepare, p));
    p->a_at = LEDGE_NEW_ARRAY(prepare->memory, int32_t, (size_t)batch);
    p->b_at = LEDGE_NEW_ARRAY(prepare->memory, int32_t, (size_t)batch);
    p->off = LEDGE_NEW_ARRAY(prepare->memory, int32_t, (size_t)s.k);
    if (p->a_at == NULL || p->b_at == NULL || p->off == NULL) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_NOMEM, "out of memory");
    }
    for (int32_t i = 0; i < p->batch; i++) {
        p->a_at[i] = matrix_of(&s, a, i);
        p->b_at[i] = matrix_of(&s, b, i);
    }
    for (int64_t k = 0; k < s.k; k++) {
        p->off[k] = (int32_t)(k * n_pad);
    }
    prepare->scratch_bytes = sizeof(float) * (size_t)(p->m_pad * s.k + s.k * n_pad);
    prepare->macs = batch * s.m * s.n * s.k;
    prepare->run = run;
    prepare->kernel = "train_matmul_f32";
    prepare->params = p;
    return LEDGE_OK;
}

const struct ledge_op train_op_matmul = {"ledge.train", "MatMul", infer, prepare_op};
