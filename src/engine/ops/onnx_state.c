/* SPDX-License-Identifier: Apache-2.0 */
/* onnx_state.c -- LinearAttention, CausalConvWithState, TensorScatter. */
#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "engine/kernels/onnx_attention.h"
#include "engine/ops/onnx.h"

#include "base/banned.h"

static bool has_dims(const struct ledge_value *x, int32_t rank, const int64_t *dims)
{
    return x->rank == rank && memcmp(x->dims, dims, (size_t)rank * sizeof *dims) == 0;
}

static enum ledge_status misfit(const struct ledge_op_infer *infer, const char *what)
{
    return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "%s does not fit", what);
}

/* -- LinearAttention -- */

static enum ledge_status parse_linear(const struct ledge_op_infer *infer,
                                      struct ledge_linear_attention *p)
{
    LEDGE_TRY(ledge_onnx_need(infer, 3));
    for (int32_t i = 0; i < 6; i++) {
        LEDGE_TRY(ledge_onnx_dtype_is(infer, i, LEDGE_F32));
    }
    const struct ledge_value *q = ledge_infer_in(infer, 0), *k = ledge_infer_in(infer, 1),
                             *v = ledge_infer_in(infer, 2), *past = ledge_infer_in(infer, 3),
                             *decay = ledge_infer_in(infer, 4), *beta = ledge_infer_in(infer, 5);
    const char *rule = ledge_node_string(infer->node, "update_rule", "gated_delta");
    bool gated = strcmp(rule, "gated") == 0 || strcmp(rule, "gated_delta") == 0;
    bool delta = strcmp(rule, "delta") == 0 || strcmp(rule, "gated_delta") == 0;
    if (!gated && !delta && strcmp(rule, "linear") != 0) {
        return ledge_infer_fail(infer, LEDGE_ERR_UNSUPPORTED, "update_rule %.40s", rule);
    }
    if (gated != (decay != NULL) || delta != (beta != NULL)) {
        return ledge_infer_fail(infer, LEDGE_ERR_FORMAT, "decay or beta against update_rule");
    }
    *p = (struct ledge_linear_attention){.q_heads = ledge_node_int(infer->node, "q_num_heads", 0),
                                         .kv_heads = ledge_node_int(infer->node, "kv_num_heads", 0),
                                         .scale = ledge_node_float(infer->node, "scale", 0)};
    if (q->rank != 3 || v->rank != 3 || p->kv_heads < 1 || p->q_heads < 1 ||
        p->q_heads % p->kv_heads != 0 || q->dims[2] % p->q_heads != 0 ||
        v->dims[2] % p->kv_heads != 0) {
        return misfit(infer, "the number of heads");
    }
    p->batch = q->dims[0];
    p->len = q->dims[1];
    p->size = q->dims[2] / p->q_heads;
    p->v_size = v->dims[2] / p->kv_heads;
    p->scale = p->scale != 0 ? p->scale : 1.0f / sqrtf((float)p->size);
    int64_t row = p->kv_heads * p->size;
    if (!has_dims(k, 3, (int64_t[]){p->batch, p->len, row}) ||
        !has_dims(v, 3, (int64_t[]){p->batch, p->len, v->dims[2]}) ||
        (past != NULL &&
         !has_dims(past, 4, (int64_t[]){p->batch, p->kv_heads, p->size, p->v_size}))) {
        return misfit(infer, "key, value or past_state");
    }
    if (decay != NULL) {
        p->decay_size = decay->rank == 3 && decay->dims[2] == p->kv_heads ? 1 : p->size;
        if (!has_dims(decay, 3, (int64_t[]){p->batch, p->len, p->kv_heads * p->decay_size})) {
            return misfit(infer, "decay");
        }
    }
    if (beta != NULL) {
        p->beta_heads = beta->rank == 3 && beta->dims[2] == 1 ? 1 : p->kv_heads;
        if (!has_dims(beta, 3, (int64_t[]){p->batch, p->len, p->beta_heads})) {
            return misfit(infer, "beta");
        }
    }
    int64_t tasks, states;
    bool small = ledge_mul_i64(p->batch, p->kv_heads, &tasks) && tasks <= INT32_MAX &&
                 ledge_mul_i64(tasks, p->size, &states) &&
                 ledge_mul_i64(states, p->v_size, &states) && states < (int64_t)1 << 40 &&
                 p->v_size < (int64_t)1 << 40;
    return small ? LEDGE_OK : misfit(infer, "the state");
}

enum ledge_status ledge_onnx_linear_attention_infer(struct ledge_op_infer *infer)
{
    struct ledge_linear_attention p;
    LEDGE_TRY(parse_linear(infer, &p));
    LEDGE_TRY(ledge_infer_out(infer, 1, LEDGE_F32, 4,
                              (int64_t[]){p.batch, p.kv_heads, p.size, p.v_size}));
    return ledge_infer_out(infer, 0, LEDGE_F32, 3,
                           (int64_t[]){p.batch, p.len, p.q_heads * p.v_size});
}

enum ledge_status ledge_onnx_linear_attention_prepare(struct ledge_op_prepare *prepare)
{
    struct ledge_op_infer infer = ledge_onnx_as_infer(prepare);
    struct ledge_linear_attention p;
    LEDGE_TRY(parse_linear(&infer, &p));
    if (ledge_prepare_out(prepare, 0) == NULL) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_FORMAT, "output 0 is not named");
    }
    int64_t floats = prepare->threads * p.v_size;
    if (ledge_prepare_out(prepare, 1) == NULL) {
        floats += p.batch * p.kv_heads * p.size * p.v_size;
    }
    prepare->scratch_bytes = (size_t)floats * sizeof(float);
    prepare->macs = p.batch * p.len * (p.kv_heads + p.q_heads) * p.size * p.v_size;
    return ledge_onnx_ready(prepare, ledge_linear_attention_c, "LinearAttention_c", &p, sizeof p);
}

/* -- CausalConvWithState -- */

static enum ledge_status parse_causal(const struct ledge_op_infer *infer,
                                      struct ledge_causal_conv *p)
{
    LEDGE_TRY(ledge_onnx_need(infer, 2));
    for (int32_t i = 0; i < 4; i++) {
        LEDGE_TRY(ledge_onnx_dtype_is(infer, i, LEDGE_F32));
    }
    const struct ledge_value *x = ledge_infer_in(infer, 0), *w = ledge_infer_in(infer, 1),
                             *bias = ledge_infer_in(infer, 2), *past = ledge_infer_in(infer, 3);
    const char *name = ledge_node_string(infer->node, "activation", "none");
    bool silu = strcmp(name, "silu") == 0 || strcmp(name, "swish") == 0;
    if (!silu && strcmp(name, "none") != 0) {
        return ledge_infer_fail(infer, LEDGE_ERR_UNSUPPORTED, "activation %.40s", name);
    }
    if (x->rank != 3 || w->rank != 3 || w->dims[0] != x->dims[1] || w->dims[1] != 1 ||
        w->dims[2] < 1) {
        return misfit(infer, "the input or the weights");
    }
    *p = (struct ledge_causal_conv){.batch = x->dims[0],
                                    .channels = x->dims[1],
                                    .len = x->dims[2],
                                    .taps = w->dims[2],
                                    .silu = silu};
    if ((bias != NULL && !has_dims(bias, 1, &p->channels)) ||
        (past != NULL && !has_dims(past, 3, (int64_t[]){p->batch, p->channels, p->taps - 1}))) {
        return misfit(infer, "the bias or past_state");
    }
    return LEDGE_OK;
}

enum ledge_status ledge_onnx_causal_conv_infer(struct ledge_op_infer *infer)
{
    struct ledge_causal_conv p;
    LEDGE_TRY(parse_causal(infer, &p));
    const struct ledge_value *x = ledge_infer_in(infer, 0);
    LEDGE_TRY(
        ledge_infer_out(infer, 1, LEDGE_F32, 3, (int64_t[]){p.batch, p.channels, p.taps - 1}));
    return ledge_infer_out(infer, 0, LEDGE_F32, 3, x->dims);
}

enum ledge_status ledge_onnx_causal_conv_prepare(struct ledge_op_prepare *prepare)
{
    struct ledge_op_infer infer = ledge_onnx_as_infer(prepare);
    struct ledge_causal_conv p;
    LEDGE_TRY(parse_causal(&infer, &p));
    prepare->macs = p.batch * p.channels * p.len * p.taps;
    return ledge_onnx_ready(prepare, ledge_causal_conv_c, "CausalConvWithState_c", &p, sizeof p);
}

/* -- TensorScatter -- */

static enum ledge_status parse_scatter(const struct ledge_op_infer *infer,
                                       struct ledge_tensor_scatter *p)
{
    LEDGE_TRY(ledge_onnx_need(infer, 2));
    LEDGE_TRY(ledge_onnx_same_dtype(infer, 0, 1));
    const struct ledge_value *x = ledge_infer_in(infer, 0), *update = ledge_infer_in(infer, 1),
                             *first = ledge_infer_in(infer, 2);
    int32_t axis;
    LEDGE_TRY(ledge_onnx_axis(infer, ledge_node_int(infer->node, "axis", -2), x->rank, &axis));
    bool fits = axis >= 1 && update->rank == x->rank;
    for (int32_t i = 0; fits && i < x->rank; i++) {
        fits = i == axis ? update->dims[i] <= x->dims[i] : update->dims[i] == x->dims[i];
    }
    if (!fits || (first != NULL && (first->dtype != LEDGE_I64 || !has_dims(first, 1, x->dims)))) {
        return misfit(infer, "update or write_indices");
    }
    struct ledge_axis s = ledge_onnx_split(x, axis);
    *p = (struct ledge_tensor_scatter){
        .batch = x->dims[0],
        .outer = x->dims[0] > 0 ? s.outer / x->dims[0] : 0,
        .places = s.n,
        .n = update->dims[axis],
        .inner = (size_t)s.inner * ledge_dtype_size(x->dtype),
        .circular = strcmp(ledge_node_string(infer->node, "mode", "linear"), "circular") == 0};
    return LEDGE_OK;
}

enum ledge_status ledge_onnx_tensor_scatter_infer(struct ledge_op_infer *infer)
{
    struct ledge_tensor_scatter p;
    LEDGE_TRY(parse_scatter(infer, &p));
    const struct ledge_value *x = ledge_infer_in(infer, 0);
    return ledge_infer_out(infer, 0, x->dtype, x->rank, x->dims);
}

enum ledge_status ledge_onnx_tensor_scatter_prepare(struct ledge_op_prepare *prepare)
{
    struct ledge_op_infer infer = ledge_onnx_as_infer(prepare);
    struct ledge_tensor_scatter p;
    LEDGE_TRY(parse_scatter(&infer, &p));
    prepare->in_place = 0;
    return ledge_onnx_ready(prepare, ledge_tensor_scatter_c, "TensorScatter_c", &p, sizeof p);
}
