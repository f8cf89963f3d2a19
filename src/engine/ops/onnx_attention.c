/* SPDX-License-Identifier: Apache-2.0 */
/* onnx_attention.c -- Attention, FlexAttention (without its graphs), RotaryEmbedding. */
#include "engine/kernels/onnx_attention.h"

#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "engine/ops/onnx.h"

#include "base/banned.h"

/* Longest row of scores; a product of a few such numbers stays far from overflow. */
#define LENGTH_MAX ((int64_t)1 << 30)

/* heads, length and size of [b][h][s][d], or of [b][s][h * d] where heads is an attribute. */
static enum ledge_status read_heads(const struct ledge_op_infer *infer, int32_t i, const char *attr,
                                    int64_t *heads, int64_t *len, int64_t *size,
                                    struct ledge_heads *at)
{
    const struct ledge_value *x = ledge_infer_in(infer, i);
    if (x->rank == 4) {
        *heads = x->dims[1];
        *len = x->dims[2];
        *size = x->dims[3];
        *at = (struct ledge_heads){
            .batch = *heads * *len * *size, .head = *len * *size, .place = *size};
    } else {
        *heads = ledge_node_int(infer->node, attr, 0);
        *len = x->rank == 3 ? x->dims[1] : 0;
        if (x->rank != 3 || *heads < 1 || x->dims[2] % *heads != 0) {
            return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "input %d in %lld heads", (int)i,
                                    (long long)*heads);
        }
        *size = x->dims[2] / *heads;
        *at = (struct ledge_heads){.batch = *len * x->dims[2], .head = *size, .place = x->dims[2]};
    }
    return *heads >= 1 && *len <= LENGTH_MAX && *size <= LENGTH_MAX
               ? LEDGE_OK
               : ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "input %d is too large", (int)i);
}

/* Past keys or values [b][kv][past][size]. */
static enum ledge_status read_past(const struct ledge_op_infer *infer, int32_t i,
                                   const struct ledge_attention *p, int64_t size, int64_t *past)
{
    const struct ledge_value *x = ledge_infer_in(infer, i);
    *past = x != NULL && x->rank == 4 ? x->dims[2] : 0;
    if (x != NULL && (x->rank != 4 || x->dims[0] != p->batch || x->dims[1] != p->kv_heads ||
                      x->dims[3] != size || *past > LENGTH_MAX)) {
        return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "shape of input %d", (int)i);
    }
    return LEDGE_OK;
}

/* The mask broadcasts to [batch][q_heads][q_len][keys], but its last dimension may be shorter. */
static enum ledge_status read_mask(const struct ledge_op_infer *infer, struct ledge_attention *p)
{
    const struct ledge_value *x = ledge_infer_in(infer, 3);
    if (x == NULL) {
        return LEDGE_OK;
    }
    const int64_t whole[3] = {p->batch, p->q_heads, p->q_len};
    if (x->dtype != LEDGE_BOOL) {
        LEDGE_TRY(ledge_onnx_dtype_is(infer, 3, LEDGE_F32));
    }
    bool fits = x->rank >= 1 && x->rank <= 4;
    p->mask_len = fits ? x->dims[x->rank - 1] : 0;
    fits = fits && p->mask_len <= p->past + p->k_len;
    int64_t step = p->mask_len;
    for (int32_t k = 2, at = x->rank - 2; fits && at >= 0; k--, at--) {
        fits = x->dims[at] == 1 || x->dims[at] == whole[k];
        p->mask[k] = x->dims[at] == 1 ? 0 : step;
        step *= x->dims[at];
    }
    return fits ? LEDGE_OK : ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "the mask does not fit");
}

static enum ledge_status parse(const struct ledge_op_infer *infer, struct ledge_attention *p)
{
    const struct ledge_node *node = infer->node;
    int64_t v_heads, v_len, k_size, past_v;
    LEDGE_TRY(ledge_onnx_need(infer, 3));
    *p = (struct ledge_attention){.batch = 0};
    for (int32_t i = 0; i < 6; i++) {
        LEDGE_TRY(i == 3 ? LEDGE_OK : ledge_onnx_dtype_is(infer, i, LEDGE_F32));
    }
    LEDGE_TRY(read_heads(infer, 0, "q_num_heads", &p->q_heads, &p->q_len, &p->size, &p->q));
    LEDGE_TRY(read_heads(infer, 1, "kv_num_heads", &p->kv_heads, &p->k_len, &k_size, &p->k));
    LEDGE_TRY(read_heads(infer, 2, "kv_num_heads", &v_heads, &v_len, &p->v_size, &p->v));
    const struct ledge_value *q = ledge_infer_in(infer, 0), *k = ledge_infer_in(infer, 1),
                             *v = ledge_infer_in(infer, 2), *lengths = ledge_infer_in(infer, 6);
    p->batch = q->dims[0];
    if (k->rank != q->rank || v->rank != q->rank || k->dims[0] != p->batch ||
        v->dims[0] != p->batch || k_size != p->size || v_heads != p->kv_heads ||
        v_len != p->k_len || p->q_heads % p->kv_heads != 0) {
        return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "queries, keys, values do not fit");
    }
    LEDGE_TRY(read_past(infer, 4, p, p->size, &p->past));
    LEDGE_TRY(read_past(infer, 5, p, p->v_size, &past_v));
    if (past_v != p->past ||
        (lengths != NULL && (lengths->dtype != LEDGE_I64 || lengths->rank != 1 || p->past > 0 ||
                             lengths->dims[0] != p->batch))) {
        return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "the past or nonpad_kv_seqlen");
    }
    p->y = q->rank == 4 ? (struct ledge_heads){.batch = p->q_heads * p->q_len * p->v_size,
                                               .head = p->q_len * p->v_size,
                                               .place = p->v_size}
                        : (struct ledge_heads){.batch = p->q_len * p->q_heads * p->v_size,
                                               .head = p->v_size,
                                               .place = p->q_heads * p->v_size};
    float scale = ledge_node_float(node, "scale", 0);
    p->scale = scale != 0 ? scale : 1.0f / sqrtf((float)p->size);
    p->cap = ledge_node_float(node, "softcap", 0);
    p->causal = ledge_node_int(node, "is_causal", 0) != 0;
    p->left = ledge_node_int(node, "left_window_size", -1);
    p->right = ledge_node_int(node, "right_window_size", -1);
    p->qk_mode = (int32_t)ledge_node_int(node, "qk_matmul_output_mode", 0);
    int64_t tasks;
    if (!ledge_mul_i64(p->batch, p->q_heads, &tasks) || tasks > INT32_MAX) {
        return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "too many heads");
    }
    return read_mask(infer, p);
}

/* score_mod and prob_mod are graphs; so are attributes kept by name only. */
static enum ledge_status refuse_graphs(const struct ledge_op_infer *infer)
{
    for (int32_t i = 0; i < infer->node->n_attrs; i++) {
        const char *name = infer->node->attrs[i].name;
        if (strcmp(name, "score_mod") == 0 || strcmp(name, "prob_mod") == 0) {
            return ledge_infer_fail(infer, LEDGE_ERR_UNSUPPORTED, "%s is a graph", name);
        }
    }
    return LEDGE_OK;
}

enum ledge_status ledge_onnx_attention_infer(struct ledge_op_infer *infer)
{
    struct ledge_attention p;
    LEDGE_TRY(refuse_graphs(infer));
    LEDGE_TRY(parse(infer, &p));
    int64_t keys = p.past + p.k_len;
    bool flat = ledge_infer_in(infer, 0)->rank == 3;
    LEDGE_TRY(
        ledge_infer_out(infer, 1, LEDGE_F32, 4, (int64_t[]){p.batch, p.kv_heads, keys, p.size}));
    LEDGE_TRY(
        ledge_infer_out(infer, 2, LEDGE_F32, 4, (int64_t[]){p.batch, p.kv_heads, keys, p.v_size}));
    LEDGE_TRY(
        ledge_infer_out(infer, 3, LEDGE_F32, 4, (int64_t[]){p.batch, p.q_heads, p.q_len, keys}));
    return flat ? ledge_infer_out(infer, 0, LEDGE_F32, 3,
                                  (int64_t[]){p.batch, p.q_len, p.q_heads * p.v_size})
                : ledge_infer_out(infer, 0, LEDGE_F32, 4,
                                  (int64_t[]){p.batch, p.q_heads, p.q_len, p.v_size});
}

enum ledge_status ledge_onnx_attention_prepare(struct ledge_op_prepare *prepare)
{
    struct ledge_op_infer infer = ledge_onnx_as_infer(prepare);
    struct ledge_attention p;
    LEDGE_TRY(parse(&infer, &p));
    int64_t keys = p.past + p.k_len;
    if (ledge_prepare_out(prepare, 0) == NULL) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_FORMAT, "output 0 is not named");
    }
    prepare->scratch_bytes = (size_t)(prepare->threads * keys) * sizeof(float);
    prepare->macs = p.batch * p.q_heads * p.q_len * keys * (p.size + p.v_size);
    return ledge_onnx_ready(prepare, ledge_attention_c, "Attention_c", &p, sizeof p);
}

/* -- RotaryEmbedding -- */

static enum ledge_status parse_rotary(const struct ledge_op_infer *infer, struct ledge_rotary *p)
{
    LEDGE_TRY(ledge_onnx_need(infer, 3));
    for (int32_t i = 0; i < 3; i++) {
        LEDGE_TRY(ledge_onnx_dtype_is(infer, i, LEDGE_F32));
    }
    const struct ledge_value *x = ledge_infer_in(infer, 0), *cosine = ledge_infer_in(infer, 1),
                             *sine = ledge_infer_in(infer, 2),
                             *positions = ledge_infer_in(infer, 3);
    *p = (struct ledge_rotary){.interleaved = ledge_node_int(infer->node, "interleaved", 0) != 0};
    LEDGE_TRY(read_heads(infer, 0, "num_heads", &p->heads, &p->len, &p->size, &p->at));
    p->batch = x->dims[0];
    int64_t turned = ledge_node_int(infer->node, "rotary_embedding_dim", 0);
    turned = turned == 0 ? p->size : turned;
    p->half = turned / 2;
    p->rows = positions != NULL ? cosine->dims[0] : p->batch * p->len;
    bool fits = turned >= 0 && turned <= p->size && turned % 2 == 0 && cosine->rank >= 2 &&
                cosine->rank == sine->rank && cosine->dims[cosine->rank - 1] == p->half &&
                memcmp(cosine->dims, sine->dims, (size_t)cosine->rank * sizeof *sine->dims) == 0;
    fits = fits &&
           (positions != NULL
                ? cosine->rank == 2 && positions->dtype == LEDGE_I64 && positions->rank == 2 &&
                      positions->dims[0] == p->batch && positions->dims[1] == p->len
                : cosine->rank == 3 && cosine->dims[0] == p->batch && cosine->dims[1] == p->len);
    return fits ? LEDGE_OK
                : ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "tables or positions do not fit");
}

enum ledge_status ledge_onnx_rotary_infer(struct ledge_op_infer *infer)
{
    struct ledge_rotary p;
    LEDGE_TRY(parse_rotary(infer, &p));
    const struct ledge_value *x = ledge_infer_in(infer, 0);
    return ledge_infer_out(infer, 0, LEDGE_F32, x->rank, x->dims);
}

enum ledge_status ledge_onnx_rotary_prepare(struct ledge_op_prepare *prepare)
{
    struct ledge_op_infer infer = ledge_onnx_as_infer(prepare);
    struct ledge_rotary p;
    LEDGE_TRY(parse_rotary(&infer, &p));
    return ledge_onnx_ready(prepare, ledge_rotary_c, "RotaryEmbedding_c", &p, sizeof p);
}
