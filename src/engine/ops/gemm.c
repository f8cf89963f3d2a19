/* SPDX-License-Identifier: Apache-2.0 */
/* gemm.c -- Gemm-13 and MatMul-13: shapes, and the choice of kernel. */
#include "engine/kernels/gemm.h"

#include "base/status.h"
#include "engine/ops/core.h"
#include "engine/ops/matmul_shape.h"
#include "engine/ops/spatial.h"

/* numpy.matmul: a vector on the left is a row, on the right a column; outer dimensions broadcast.
 * dims FILLED. */
enum ledge_status ledge_matmul_shape_read(const struct ledge_node *node,
                                          const struct ledge_value *a, const struct ledge_value *b,
                                          struct ledge_matmul_shape *s, int32_t *rank,
                                          int64_t *dims, struct ledge_error *err)
{
    if (a == NULL || b == NULL || a->rank < 1 || b->rank < 1) {
        return ledge_fail(err, LEDGE_ERR_SHAPE, "node %.60s (%.30s): needs two matrices",
                          node->name, node->op);
    }
    int32_t ra = a->rank > 1 ? a->rank : 2;
    int32_t rb = b->rank > 1 ? b->rank : 2;
    int64_t da[LEDGE_MAX_RANK], db[LEDGE_MAX_RANK];
    for (int32_t i = 0; i < ra; i++) {
        da[i] = a->rank > 1 ? a->dims[i] : (i == 0 ? 1 : a->dims[0]);
    }
    for (int32_t i = 0; i < rb; i++) {
        db[i] = b->rank > 1 ? b->dims[i] : (i == 0 ? b->dims[0] : 1);
    }
    *s = (struct ledge_matmul_shape){.m = da[ra - 2], .k = da[ra - 1], .n = db[rb - 1]};
    if (db[rb - 2] != s->k) {
        return ledge_fail(err, LEDGE_ERR_SHAPE,
                          "node %.60s (%.30s): inner dimensions %lld and %lld differ", node->name,
                          node->op, (long long)s->k, (long long)db[rb - 2]);
    }
    s->a_row = s->k;
    s->a_col = 1;
    s->b_row = s->n;
    s->b_col = 1;
    s->n_dims = (ra > rb ? ra : rb) - 2;
    int64_t a_step = s->m * s->k;
    int64_t b_step = s->k * s->n;
    for (int32_t i = s->n_dims - 1; i >= 0; i--) {
        int32_t ia = i - (s->n_dims - (ra - 2));
        int32_t ib = i - (s->n_dims - (rb - 2));
        int64_t x = ia >= 0 ? da[ia] : 1;
        int64_t y = ib >= 0 ? db[ib] : 1;
        if (x != y && x != 1 && y != 1) {
            return ledge_fail(err, LEDGE_ERR_SHAPE,
                              "node %.60s (%.30s): %lld and %lld do not broadcast", node->name,
                              node->op, (long long)x, (long long)y);
        }
        s->dims[i] = x == 1 ? y : x;
        s->a_step[i] = x == 1 ? 0 : a_step;
        s->b_step[i] = y == 1 ? 0 : b_step;
        a_step *= x;
        b_step *= y;
    }
    *rank = 0;
    for (int32_t i = 0; i < s->n_dims; i++) {
        dims[(*rank)++] = s->dims[i];
    }
    if (a->rank > 1) {
        dims[(*rank)++] = s->m;
    }
    if (b->rank > 1) {
        dims[(*rank)++] = s->n;
    }
    return LEDGE_OK;
}

/* A 2-D product with transA and transB. */
enum ledge_status ledge_gemm_shape_read(const struct ledge_node *node, const struct ledge_value *a,
                                        const struct ledge_value *b, struct ledge_matmul_shape *s,
                                        struct ledge_error *err)
{
    if (a == NULL || b == NULL || a->rank != 2 || b->rank != 2) {
        return ledge_fail(err, LEDGE_ERR_SHAPE, "node %.60s (%.30s): needs two matrices",
                          node->name, node->op);
    }
    bool ta = ledge_node_int(node, "transA", 0) != 0;
    bool tb = ledge_node_int(node, "transB", 0) != 0;
    *s = (struct ledge_matmul_shape){.m = a->dims[ta ? 1 : 0],
                                     .k = a->dims[ta ? 0 : 1],
                                     .n = b->dims[tb ? 0 : 1],
                                     .a_row = ta ? 1 : a->dims[1],
                                     .a_col = ta ? a->dims[1] : 1,
                                     .b_row = tb ? 1 : b->dims[1],
                                     .b_col = tb ? b->dims[1] : 1};
    if (b->dims[tb ? 1 : 0] != s->k) {
        return ledge_fail(err, LEDGE_ERR_SHAPE,
                          "node %.60s (%.30s): inner dimensions %lld and %lld differ", node->name,
                          node->op, (long long)s->k, (long long)b->dims[tb ? 1 : 0]);
    }
    return LEDGE_OK;
}

/* Strides of c broadcast to [m][n]. */
enum ledge_status ledge_gemm_bias_read(const struct ledge_node *node, const struct ledge_value *c,
                                       const struct ledge_matmul_shape *s, int64_t *row,
                                       int64_t *col, struct ledge_error *err)
{
    *row = 0;
    *col = 0;
    if (c == NULL) {
        return LEDGE_OK;
    }
    int64_t n = c->rank >= 1 ? c->dims[c->rank - 1] : 1;
    int64_t m = c->rank >= 2 ? c->dims[c->rank - 2] : 1;
    if (c->rank > 2 || (n != 1 && n != s->n) || (m != 1 && m != s->m)) {
        return ledge_fail(err, LEDGE_ERR_SHAPE,
                          "node %.60s (%.30s): %s does not broadcast to %lld x %lld", node->name,
                          node->op, c->name, (long long)s->m, (long long)s->n);
    }
    *col = n == 1 ? 0 : 1;
    *row = m == 1 ? 0 : n;
    return LEDGE_OK;
}

/* All of f32, or of one of the types that ledge_gemm_wide_c knows. FILLED: which. */
static enum ledge_status one_type(const struct ledge_op_infer *infer, enum ledge_dtype *dtype)
{
    const struct ledge_value *a = ledge_infer_in(infer, 0);
    *dtype = a != NULL ? a->dtype : LEDGE_F32;
    bool wide = *dtype == LEDGE_F64 || *dtype == LEDGE_I32 || *dtype == LEDGE_U32 ||
                *dtype == LEDGE_I64 || *dtype == LEDGE_U64;
    for (int32_t i = 0; i < infer->node->n_in; i++) {
        const struct ledge_value *value = ledge_infer_in(infer, i);
        if (value != NULL && value->dtype != (wide ? *dtype : LEDGE_F32)) {
            return ledge_infer_fail(infer, LEDGE_ERR_DTYPE, "input %s is %s, not %s", value->name,
                                    ledge_dtype_text(value->dtype),
                                    ledge_dtype_text(wide ? *dtype : LEDGE_F32));
        }
    }
    return LEDGE_OK;
}

enum ledge_status ledge_gemm_infer(struct ledge_op_infer *infer)
{
    struct ledge_matmul_shape s;
    int64_t row, col;
    enum ledge_dtype dtype;
    LEDGE_TRY(one_type(infer, &dtype));
    LEDGE_TRY(ledge_gemm_shape_read(infer->node, ledge_infer_in(infer, 0), ledge_infer_in(infer, 1),
                                    &s, infer->err));
    LEDGE_TRY(
        ledge_gemm_bias_read(infer->node, ledge_infer_in(infer, 2), &s, &row, &col, infer->err));
    int64_t dims[2] = {s.m, s.n};
    return ledge_infer_out(infer, 0, dtype, 2, dims);
}

static void pack(const struct ledge_op_prepare *prepare, void *packed)
{
    ledge_gemm_f32_pack(prepare->params, ledge_prepare_in(prepare, 1)->data, packed);
}

/* b that is constant is packed once, another in each run. */
static enum ledge_status choose(struct ledge_op_prepare *prepare, struct ledge_gemm_fast *fast)
{
    const struct ledge_matmul_shape *s = &fast->base.shape;
    const struct ledge_value *b = ledge_prepare_in(prepare, 1);
    prepare->params = fast;
    prepare->macs = ledge_matmul_count(s) * s->m * s->n * s->k;
    if (b->dtype != LEDGE_F32) {
        prepare->run = LEDGE_KERNEL(gemm_wide, ledge_gemm_wide_c);
        prepare->kernel = "gemm_wide_c";
        return LEDGE_OK;
    }
    if (!ledge_gemm_f32_is_fast(s)) {
        prepare->run = ledge_gemm_f32_c;
        prepare->kernel = "gemm_f32_direct";
        return LEDGE_OK;
    }
    const struct ledge_f32_kernels *isa = ledge_f32_for(prepare->rung, prepare->consistent);
    fast->bf16 = prepare->bf16 && b->data != NULL;
    ledge_gemm_f32_plan(fast, isa, prepare->threads);
    if (b->data != NULL && fast->packed_floats > 0) {
        prepare->packed_bytes = fast->packed_floats * sizeof(float);
        prepare->pack = LEDGE_PACKER(pack);
        prepare->packs_all = true;
        prepare->packed_inputs = prepare->loose_inputs = 1u << 1;
    }
    prepare->scratch_bytes = ledge_gemm_f32_scratch(fast, prepare->pack != NULL) * sizeof(float);
    prepare->run = ledge_gemm_f32_fast;
    prepare->kernel = fast->bf16 ? isa->gemm_bf16 : isa->gemm;
    return LEDGE_OK;
}

enum ledge_status ledge_gemm_prepare(struct ledge_op_prepare *prepare)
{
    struct ledge_gemm_fast *fast = LEDGE_NEW(prepare->memory, struct ledge_gemm_fast);
    if (fast == NULL) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_NOMEM, "no memory");
    }
    struct ledge_gemm_params *params = &fast->base;
    LEDGE_TRY(ledge_gemm_shape_read(prepare->node, ledge_prepare_in(prepare, 0),
                                    ledge_prepare_in(prepare, 1), &params->shape, prepare->err));
    LEDGE_TRY(ledge_gemm_bias_read(prepare->node, ledge_prepare_in(prepare, 2), &params->shape,
                                   &params->c_row, &params->c_col, prepare->err));
    params->alpha = ledge_node_float(prepare->node, "alpha", 1.0f);
    params->beta = ledge_node_float(prepare->node, "beta", 1.0f);
    params->clamp = ledge_node_clamp(prepare->node);
    return choose(prepare, fast);
}

enum ledge_status ledge_matmul_infer(struct ledge_op_infer *infer)
{
    struct ledge_matmul_shape s;
    int32_t rank;
    int64_t dims[LEDGE_MAX_RANK];
    enum ledge_dtype dtype;
    LEDGE_TRY(one_type(infer, &dtype));
    LEDGE_TRY(ledge_matmul_shape_read(infer->node, ledge_infer_in(infer, 0),
                                      ledge_infer_in(infer, 1), &s, &rank, dims, infer->err));
    return ledge_infer_out(infer, 0, dtype, rank, dims);
}

enum ledge_status ledge_matmul_prepare(struct ledge_op_prepare *prepare)
{
    struct ledge_gemm_fast *fast = LEDGE_NEW(prepare->memory, struct ledge_gemm_fast);
    int32_t rank;
    int64_t dims[LEDGE_MAX_RANK];
    if (fast == NULL) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_NOMEM, "no memory");
    }
    LEDGE_TRY(ledge_matmul_shape_read(prepare->node, ledge_prepare_in(prepare, 0),
                                      ledge_prepare_in(prepare, 1), &fast->base.shape, &rank, dims,
                                      prepare->err));
    fast->base.alpha = 1.0f;
    fast->base.clamp = ledge_node_clamp(prepare->node);
    return choose(prepare, fast);
}
