/* SPDX-License-Identifier: Apache-2.0 */
/* onnx_random.c -- RandomUniform, RandomNormal, their ...Like, Bernoulli, Multinomial, and Dropout
 * in training. Nodes without a seed have one made of their name, so that two of them differ and a
 * model opened again gives the same numbers. */
#include <math.h>
#include <string.h>

#include "base/banned.h"
#include "base/status.h"
#include "engine/kernels/onnx_number.h"
#include "engine/kernels/onnx_random.h"
#include "engine/ops/onnx.h"

enum { MOST_SAMPLES = 1 << 24 };

static bool is(const struct ledge_node *node, const char *op)
{
    return strcmp(node->op, op) == 0;
}

bool ledge_onnx_is_random(const struct ledge_node *node)
{
    return node->domain[0] == '\0' &&
           (strncmp(node->op, "Random", 6) == 0 || is(node, "Bernoulli") ||
            is(node, "Multinomial") || is(node, "Dropout"));
}

static uint64_t hash(const char *text)
{
    uint64_t key = 0xcbf29ce484222325u; /* FNV-1a */
    for (; *text != '\0'; text++) {
        key = (key ^ (uint8_t)*text) * 0x100000001b3u;
    }
    return key;
}

/* Where a node's runs are counted; NULL: nowhere yet, and there is no place. */
static atomic_uint *runs_of(struct ledge_random_runs *all, const struct ledge_node *node)
{
    enum { PLACES = sizeof all->nodes / sizeof all->nodes[0] };
    unsigned long long name = hash(node->name) | 1;
    for (uint64_t i = 0; all != NULL && i < PLACES; i++) {
        unsigned long long found = 0;
        uint64_t place = (name / 2 + i) % PLACES;
        if (atomic_compare_exchange_strong(&all->nodes[place].name, &found, name) ||
            found == name) {
            return &all->nodes[place].runs;
        }
    }
    return NULL;
}

static enum ledge_status ready(struct ledge_op_prepare *prepare, struct ledge_random params)
{
    const struct ledge_node *node = prepare->node;
    const struct ledge_attr *seed = ledge_node_attr(node, "seed");
    if (seed != NULL && seed->type == LEDGE_ATTR_FLOAT) {
        uint32_t bits;
        memcpy(&bits, &seed->f, sizeof bits);
        params.key = (uint64_t)1 << 32 | bits;
    } else if (seed != NULL && seed->type == LEDGE_ATTR_INT) { /* Dropout's */
        params.key = (uint64_t)2 << 32 ^ (uint64_t)seed->i;
    } else {
        params.key = hash(node->name);
    }
    params.runs = runs_of(prepare->graph->random_runs, node);
    if (params.runs == NULL) {
        params.runs = LEDGE_NEW(prepare->memory, atomic_uint);
        if (params.runs == NULL) {
            return ledge_prepare_fail(prepare, LEDGE_ERR_NOMEM, "no memory");
        }
        atomic_init(params.runs, 0);
    }
    return ledge_onnx_ready(prepare, ledge_random_c, "Random_c", &params, sizeof params);
}

/* The dtype attribute; TensorProto.DataType has the numbers of enum ledge_dtype. */
static enum ledge_dtype wanted(const struct ledge_node *node, enum ledge_dtype fallback)
{
    int64_t number = ledge_node_int(node, "dtype", (int64_t)fallback);
    return number > 0 && number <= LEDGE_BF16 ? (enum ledge_dtype)number : LEDGE_DTYPE_NONE;
}

static bool is_float(enum ledge_dtype dtype)
{
    return dtype == LEDGE_F32 || dtype == LEDGE_F64 || dtype == LEDGE_F16 || dtype == LEDGE_BF16;
}

static enum ledge_status infer_multinomial(struct ledge_op_infer *infer)
{
    const struct ledge_value *x = ledge_infer_in(infer, 0);
    enum ledge_dtype dtype = wanted(infer->node, LEDGE_I32);
    int64_t samples = ledge_node_int(infer->node, "sample_size", 1);
    if (x->rank != 2 || !is_float(x->dtype) || x->dims[1] == 0 || samples < 1 ||
        samples > MOST_SAMPLES || (dtype != LEDGE_I32 && dtype != LEDGE_I64)) {
        return ledge_infer_fail(infer, LEDGE_ERR_SHAPE,
                                "rows of log probabilities, sample_size or dtype");
    }
    return ledge_infer_out(infer, 0, dtype, 2, (int64_t[]){x->dims[0], samples});
}

enum ledge_status ledge_onnx_random_infer(struct ledge_op_infer *infer)
{
    const struct ledge_node *node = infer->node;
    const struct ledge_value *x = ledge_infer_in(infer, 0);
    if (is(node, "RandomUniform") || is(node, "RandomNormal")) {
        size_t n;
        const int64_t *shape = ledge_node_ints(node, "shape", &n);
        enum ledge_dtype dtype = wanted(node, LEDGE_F32);
        if (!is_float(dtype) || n > LEDGE_MAX_RANK) {
            return ledge_infer_fail(infer, LEDGE_ERR_DTYPE, "dtype or shape");
        }
        return ledge_infer_out(infer, 0, dtype, (int32_t)n, shape);
    }
    LEDGE_TRY(ledge_onnx_need(infer, 1));
    if (is(node, "Multinomial")) {
        return infer_multinomial(infer);
    }
    enum ledge_dtype dtype = wanted(node, x->dtype);
    bool bernoulli = is(node, "Bernoulli");
    if (bernoulli ? !is_float(x->dtype) || dtype == LEDGE_DTYPE_NONE || dtype == LEDGE_STRING ||
                        ledge_dtype_size(dtype) == 0
                  : !is_float(dtype)) {
        return ledge_infer_fail(infer, LEDGE_ERR_DTYPE, "not done for %s",
                                ledge_dtype_text(bernoulli ? x->dtype : dtype));
    }
    return ledge_infer_out(infer, 0, dtype, x->rank, x->dims);
}

enum ledge_status ledge_onnx_random_prepare(struct ledge_op_prepare *prepare)
{
    const struct ledge_node *node = prepare->node;
    if (is(node, "Bernoulli")) {
        return ready(prepare, (struct ledge_random){.kind = LEDGE_RANDOM_BERNOULLI});
    }
    if (is(node, "Multinomial")) {
        return ready(prepare,
                     (struct ledge_random){.kind = LEDGE_RANDOM_MULTINOMIAL,
                                           .classes = ledge_prepare_in(prepare, 0)->dims[1],
                                           .samples = ledge_prepare_out(prepare, 0)->dims[1]});
    }
    double low = (double)ledge_node_float(node, "low", 0);
    double high = (double)ledge_node_float(node, "high", 1);
    bool uniform = strncmp(node->op, "RandomUniform", 13) == 0;
    return ready(
        prepare,
        uniform ? (struct ledge_random){.kind = LEDGE_RANDOM_UNIFORM, .a = low, .b = high - low}
                : (struct ledge_random){.kind = LEDGE_RANDOM_NORMAL,
                                        .a = (double)ledge_node_float(node, "mean", 0),
                                        .b = (double)ledge_node_float(node, "scale", 1)});
}

/* -- Dropout: the identity and a mask of ones, but for a constant training_mode with a ratio -- */

/* How much is dropped: 0, not in training. */
static enum ledge_status dropped(const struct ledge_op_infer *infer, double *rate)
{
    const struct ledge_value *training = ledge_infer_in(infer, 2);
    const struct ledge_value *ratio = ledge_infer_in(infer, 1);
    *rate = 0;
    if (training == NULL) {
        return LEDGE_OK;
    }
    if (training->data == NULL) {
        return ledge_infer_wait(infer, 2);
    }
    if (training->dtype != LEDGE_BOOL || ledge_onnx_count(training) != 1) {
        return ledge_infer_fail(infer, LEDGE_ERR_DTYPE, "training_mode is not one bool");
    }
    if (*(const uint8_t *)training->data == 0) {
        return LEDGE_OK;
    }
    *rate = 0.5;
    if (ratio == NULL) {
        return LEDGE_OK;
    }
    if (ratio->data == NULL) {
        return ledge_infer_wait(infer, 1);
    }
    if (ledge_onnx_count(ratio) != 1 || !is_float(ratio->dtype)) {
        return ledge_infer_fail(infer, LEDGE_ERR_DTYPE, "ratio is not one float");
    }
    ledge_load_real(ratio->data, ratio->dtype, 0, 1, rate);
    return *rate >= 0 && *rate < 1
               ? LEDGE_OK
               : ledge_infer_fail(infer, LEDGE_ERR_RANGE, "ratio %g is not in [0, 1)", *rate);
}

enum ledge_status ledge_onnx_dropout_infer(struct ledge_op_infer *infer)
{
    double rate;
    LEDGE_TRY(ledge_onnx_need(infer, 1));
    LEDGE_TRY(dropped(infer, &rate));
    const struct ledge_value *x = ledge_infer_in(infer, 0);
    if (rate > 0 && !is_float(x->dtype)) {
        return ledge_infer_fail(infer, LEDGE_ERR_DTYPE, "not done for %s",
                                ledge_dtype_text(x->dtype));
    }
    LEDGE_TRY(ledge_infer_out(infer, 1, infer->node->opset >= 10 ? LEDGE_BOOL : x->dtype, x->rank,
                              x->dims));
    return ledge_infer_out(infer, 0, x->dtype, x->rank, x->dims);
}

static enum ledge_status dropout_run(const struct ledge_kernel_call *call)
{
    static const int64_t one = 1;
    if (call->out[0] != NULL) {
        memcpy(call->out[0]->data, call->in[0]->data, ledge_view_bytes(call->in[0]));
    }
    int64_t n = ledge_view_count(call->out[1]);
    for (int64_t i = 0; i < n; i++) {
        ledge_store_whole(&one, 1, call->out[1]->data, call->out[1]->dtype, i);
    }
    return LEDGE_OK;
}

enum ledge_status ledge_onnx_dropout_prepare(struct ledge_op_prepare *prepare)
{
    struct ledge_op_infer infer = ledge_onnx_as_infer(prepare);
    double rate;
    LEDGE_TRY(dropped(&infer, &rate));
    if (rate > 0) {
        return ready(prepare, (struct ledge_random){
                                  .kind = LEDGE_RANDOM_DROPOUT, .a = rate, .b = 1 / (1 - rate)});
    }
    if (ledge_prepare_out(prepare, 1) == NULL) {
        prepare->alias = 0;
        return LEDGE_OK;
    }
    return ledge_onnx_ready(prepare, dropout_run, "Dropout_c", NULL, 0);
}
