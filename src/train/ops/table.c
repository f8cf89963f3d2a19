/* SPDX-License-Identifier: Apache-2.0 */
/* table.c -- the operator table of domain "ledge.train" and what several operators share. */
#include <string.h>

#include "train/ops/ops.h"

enum { N_SINGLE = 19, PIECE = 16384 };

static struct ledge_op list[N_SINGLE + TRAIN_N_UNARY];

const struct ledge_op_table train_ops = {.ops = list, .n = N_SINGLE + TRAIN_N_UNARY};

/* The operators stand in many files: gathered before main, so that the table itself needs no call.
 */
__attribute__((constructor)) static void gather(void)
{
    const struct ledge_op *const single[N_SINGLE] = {
        &train_op_conv,          &train_op_conv_grad_input, &train_op_conv_grad_weight,
        &train_op_matmul,        &train_op_batch_norm,      &train_op_batch_norm_grad,
        &train_op_affine_grad,   &train_op_max_pool_grad,   &train_op_average_pool_grad,
        &train_op_spread_like,   &train_op_reshape_like,    &train_op_sum_like,
        &train_op_concat_grad,   &train_op_accumulate,      &train_op_scale,
        &train_op_relu,          &train_op_max_pool,        &train_op_dropout,
        &train_op_cross_entropy,
    };
    for (int i = 0; i < N_SINGLE; i++) {
        list[i] = *single[i];
    }
    memcpy(list + N_SINGLE, train_ops_unary, sizeof train_ops_unary);
}

int64_t train_count(const struct ledge_value *value)
{
    int64_t n = 1;
    for (int32_t i = 0; i < value->rank; i++) {
        n *= value->dims[i];
    }
    return n;
}

enum ledge_status train_infer_same(struct ledge_op_infer *infer, int32_t i)
{
    const struct ledge_value *x = ledge_infer_in(infer, i);
    if (x == NULL || x->dtype != LEDGE_F32) {
        return ledge_infer_fail(infer, LEDGE_ERR_DTYPE, "input %d must be f32", (int)i);
    }
    return ledge_infer_out(infer, 0, LEDGE_F32, x->rank, x->dims);
}

struct range {
    void (*fn)(void *arg, int64_t first, int64_t last);
    void *arg;
    int64_t n;
};

static void piece(void *arg, int32_t index, int32_t worker)
{
    const struct range *range = arg;
    int64_t first = (int64_t)index * PIECE;
    int64_t last = first + PIECE < range->n ? first + PIECE : range->n;
    (void)worker;
    range->fn(range->arg, first, last);
}

void train_for_range(struct ledge_pool *pool, int64_t n,
                     void (*fn)(void *arg, int64_t first, int64_t last), void *arg)
{
    struct range range = {fn, arg, n};
    ledge_pool_run(pool, (int32_t)((n + PIECE - 1) / PIECE), piece, &range);
}
