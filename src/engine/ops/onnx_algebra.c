/* SPDX-License-Identifier: Apache-2.0 */
/* onnx_algebra.c -- Einsum, Det, MeanVarianceNormalization, TfIdfVectorizer. */
#include "engine/kernels/onnx_algebra.h"

#include <string.h>

#include "base/checked.h"
#include "engine/ops/onnx.h"

#include "base/banned.h"

/* -- Einsum -- */

enum { LETTERS = 128, LABELS = LETTERS + LEDGE_MAX_RANK }; /* dimensions of "..." come last */

struct labels {
    int64_t size[LABELS];  /* -1: not used */
    int32_t place[LABELS]; /* in struct ledge_einsum, -1: none yet */
    int32_t uses[LABELS];
    int32_t ellipsis; /* its dimensions */
    struct ledge_einsum *p;
};

/* The labels of one term, "..." spelled out as dots of `rank` dimensions in all; -1: malformed. */
static int32_t read_term(const char **text, int32_t dots, int32_t *labels)
{
    int32_t n = 0;
    for (; **text != '\0' && **text != ',' && **text != '-'; (*text)++) {
        unsigned char c = (unsigned char)**text;
        int32_t more = 1;
        if (c == ' ') {
            continue;
        }
        if (c == '.') {
            if (strncmp(*text, "...", 3) != 0 || dots < 0) {
                return -1;
            }
            *text += 2;
            more = dots;
        } else if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))) {
            return -1;
        }
        if (n + more > LEDGE_EINSUM_RANK) {
            return -1;
        }
        for (int32_t i = 0; i < more; i++) {
            labels[n++] = c == '.' ? LABELS - dots + i : c;
        }
    }
    return n;
}

/* Letters of a term, so that "..." stands for the rest. */
static int32_t count_letters(const char *text)
{
    int32_t n = 0;
    for (; *text != '\0' && *text != ',' && *text != '-'; text++) {
        n += *text != ' ' && *text != '.';
    }
    return n;
}

static bool has_dots(const char *text)
{
    const char *dot = strchr(text, '.');
    return dot != NULL && dot < text + strcspn(text, ",-");
}

static enum ledge_status malformed(const struct ledge_op_infer *infer)
{
    return ledge_infer_fail(infer, LEDGE_ERR_FORMAT, "equation '%.80s' does not fit the inputs",
                            ledge_node_string(infer->node, "equation", ""));
}

static enum ledge_status add_index(const struct ledge_op_infer *infer, struct labels *l,
                                   int32_t label)
{
    if (l->place[label] >= 0) {
        return LEDGE_OK;
    }
    if (l->p->n >= LEDGE_EINSUM_RANK || l->size[label] < 0) {
        return malformed(infer);
    }
    l->place[label] = l->p->n;
    l->p->dims[l->p->n++] = l->size[label];
    return LEDGE_OK;
}

/* First walk: how large each label is. Second walk (strides): where inputs find them. */
static enum ledge_status walk_inputs(const struct ledge_op_infer *infer, const char **text,
                                     struct labels *l, bool strides)
{
    for (int32_t k = 0; k < infer->node->n_in; k++) {
        const struct ledge_value *x = ledge_infer_in(infer, k);
        int32_t labels[LEDGE_EINSUM_RANK];
        int32_t dots = has_dots(*text) ? x->rank - count_letters(*text) : -1;
        int32_t n = read_term(text, dots, labels);
        int64_t step = 1;
        if (n != x->rank || (**text == ',') != (k + 1 < infer->node->n_in)) {
            return malformed(infer);
        }
        *text += **text == ',';
        l->ellipsis = dots > l->ellipsis ? dots : l->ellipsis;
        for (int32_t i = n - 1; i >= 0; i--) {
            int64_t *size = &l->size[labels[i]];
            if (strides && x->dims[i] == *size) {
                l->p->strides[k][l->place[labels[i]]] += step;
            } else if (!strides && *size > 1 && x->dims[i] != 1 && x->dims[i] != *size) {
                return malformed(infer);
            } else if (!strides) {
                *size = *size < 0 || *size == 1 ? x->dims[i] : *size;
                l->uses[labels[i]]++;
            }
            step *= x->dims[i];
        }
    }
    return LEDGE_OK;
}

static enum ledge_status read_output(const struct ledge_op_infer *infer, const char *text,
                                     struct labels *l)
{
    int32_t labels[LEDGE_EINSUM_RANK], n = 0;
    if (*text == '\0') { /* "..." and what stands once, by the alphabet */
        for (int32_t i = 0; i < LABELS; i++) {
            int32_t label = (i + LETTERS) % LABELS;
            if (label >= LETTERS ? l->size[label] >= 0 : l->uses[label] == 1) {
                LEDGE_TRY(add_index(infer, l, label));
            }
        }
    } else {
        if (strncmp(text, "->", 2) != 0) {
            return malformed(infer);
        }
        text += 2;
        n = read_term(&text, l->ellipsis, labels);
        if (n < 0 || *text != '\0') {
            return malformed(infer);
        }
    }
    for (int32_t i = 0; i < n; i++) {
        if (l->place[labels[i]] >= 0) {
            return malformed(infer);
        }
        LEDGE_TRY(add_index(infer, l, labels[i]));
    }
    l->p->n_out = l->p->n;
    for (int32_t i = 0; i < LABELS; i++) {
        if (l->size[i] >= 0) {
            LEDGE_TRY(add_index(infer, l, i));
        }
    }
    return LEDGE_OK;
}

static enum ledge_status parse_einsum(const struct ledge_op_infer *infer, struct ledge_einsum *p)
{
    const char *text = ledge_node_string(infer->node, "equation", ""), *again = text;
    struct labels l = {.ellipsis = 0, .p = p};
    int32_t n = infer->node->n_in;
    *p = (struct ledge_einsum){.n_in = n};
    for (int32_t i = 0; i < LABELS; i++) {
        l.size[i] = l.place[i] = -1;
    }
    if (n < 1 || n > LEDGE_EINSUM_INPUTS) {
        return ledge_infer_fail(infer, LEDGE_ERR_UNSUPPORTED, "%d inputs, at most %d", (int)n,
                                LEDGE_EINSUM_INPUTS);
    }
    LEDGE_TRY(ledge_onnx_need(infer, n));
    for (int32_t i = 1; i < n; i++) {
        LEDGE_TRY(ledge_onnx_same_dtype(infer, 0, i));
    }
    enum ledge_dtype dtype = ledge_infer_in(infer, 0)->dtype;
    if (dtype == LEDGE_F16 || dtype == LEDGE_BF16 || ledge_is_tiny_real(dtype) ||
        dtype == LEDGE_BOOL) {
        return ledge_infer_fail(infer, LEDGE_ERR_UNSUPPORTED, "not done for %s",
                                ledge_dtype_text(dtype));
    }
    LEDGE_TRY(walk_inputs(infer, &text, &l, false));
    LEDGE_TRY(read_output(infer, text, &l));
    LEDGE_TRY(walk_inputs(infer, &again, &l, true));
    int64_t steps = 1;
    for (int32_t i = 0; i < p->n; i++) {
        if (p->dims[i] > 0 && !ledge_mul_i64(steps, p->dims[i], &steps)) {
            return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "too many products");
        }
    }
    return LEDGE_OK;
}

enum ledge_status ledge_onnx_einsum_infer(struct ledge_op_infer *infer)
{
    struct ledge_einsum p;
    LEDGE_TRY(parse_einsum(infer, &p));
    return ledge_infer_out(infer, 0, ledge_infer_in(infer, 0)->dtype, p.n_out, p.dims);
}

enum ledge_status ledge_onnx_einsum_prepare(struct ledge_op_prepare *prepare)
{
    struct ledge_op_infer infer = ledge_onnx_as_infer(prepare);
    struct ledge_einsum p;
    LEDGE_TRY(parse_einsum(&infer, &p));
    prepare->macs = p.n_in > 1 ? 1 : 0;
    for (int32_t i = 0; i < p.n; i++) {
        prepare->macs *= p.dims[i];
    }
    return ledge_onnx_ready(prepare, ledge_einsum_c, "Einsum_c", &p, sizeof p);
}

/* -- Det -- */

enum ledge_status ledge_onnx_det_infer(struct ledge_op_infer *infer)
{
    LEDGE_TRY(ledge_onnx_need(infer, 1));
    LEDGE_TRY(ledge_onnx_dtype_is(infer, 0, LEDGE_F32));
    const struct ledge_value *x = ledge_infer_in(infer, 0);
    if (x->rank < 2 || x->dims[x->rank - 1] != x->dims[x->rank - 2] ||
        x->dims[x->rank - 1] > 1 << 15) {
        return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "not square");
    }
    return ledge_infer_out(infer, 0, LEDGE_F32, x->rank - 2, x->dims);
}

enum ledge_status ledge_onnx_det_prepare(struct ledge_op_prepare *prepare)
{
    const struct ledge_value *x = ledge_prepare_in(prepare, 0);
    struct ledge_axis params = {.outer = ledge_onnx_count(ledge_prepare_out(prepare, 0)),
                                .n = x->dims[x->rank - 1]};
    prepare->scratch_bytes = (size_t)(params.n * params.n) * sizeof(double);
    return ledge_onnx_ready(prepare, ledge_det_c, "Det_c", &params, sizeof params);
}

/* -- MeanVarianceNormalization -- */

static enum ledge_status parse_mean_variance(const struct ledge_op_infer *infer,
                                             struct ledge_reduce *p)
{
    int64_t axes[LEDGE_MAX_RANK] = {0, 2, 3}, strides[LEDGE_MAX_RANK];
    bool gone[LEDGE_MAX_RANK] = {false};
    int32_t n, axis;
    LEDGE_TRY(ledge_onnx_need(infer, 1));
    LEDGE_TRY(ledge_onnx_dtype_is(infer, 0, LEDGE_F32));
    const struct ledge_value *x = ledge_infer_in(infer, 0);
    LEDGE_TRY(ledge_onnx_list(infer, "axes", -1, axes, LEDGE_MAX_RANK, &n));
    for (int32_t i = 0; i < (n < 0 ? 3 : n); i++) {
        LEDGE_TRY(ledge_onnx_axis(infer, axes[i], x->rank, &axis));
        gone[axis] = true;
    }
    *p = (struct ledge_reduce){.n_keep = 0};
    ledge_onnx_strides(x->dims, x->rank, strides);
    for (int32_t i = 0; i < x->rank; i++) {
        int32_t at = gone[i] ? p->n_fold++ : p->n_keep++;
        (gone[i] ? p->fold : p->keep)[at] = x->dims[i];
        (gone[i] ? p->fold_stride : p->keep_stride)[at] = strides[i];
    }
    return LEDGE_OK;
}

enum ledge_status ledge_onnx_mean_variance_infer(struct ledge_op_infer *infer)
{
    struct ledge_reduce p;
    LEDGE_TRY(parse_mean_variance(infer, &p));
    const struct ledge_value *x = ledge_infer_in(infer, 0);
    return ledge_infer_out(infer, 0, LEDGE_F32, x->rank, x->dims);
}

enum ledge_status ledge_onnx_mean_variance_prepare(struct ledge_op_prepare *prepare)
{
    struct ledge_op_infer infer = ledge_onnx_as_infer(prepare);
    struct ledge_reduce p;
    LEDGE_TRY(parse_mean_variance(&infer, &p));
    return ledge_onnx_ready(prepare, ledge_mean_variance_c, "MeanVarianceNormalization_c", &p,
                            sizeof p);
}

/* -- TfIdfVectorizer -- */

/* Grams of each length fill their part of the pool. */
static int64_t count_grams(const struct ledge_tfidf *p)
{
    int64_t n = 0;
    for (int64_t k = 0; k < p->n_first; k++) {
        int64_t end = k + 1 < p->n_first ? p->first[k + 1] : p->n_pool;
        if (p->first[k] < 0 || end < p->first[k] || end > p->n_pool ||
            (end - p->first[k]) % (k + 1) != 0) {
            return -1;
        }
        n += (end - p->first[k]) / (k + 1);
    }
    return n;
}

static enum ledge_status parse_tfidf(const struct ledge_op_infer *infer, struct ledge_tfidf *p)
{
    const struct ledge_node *node = infer->node;
    size_t n_pool, n_first, n_output;
    LEDGE_TRY(ledge_onnx_need(infer, 1));
    const struct ledge_value *x = ledge_infer_in(infer, 0);
    if (x->dtype != LEDGE_I64 && x->dtype != LEDGE_I32) {
        return ledge_infer_fail(infer, LEDGE_ERR_UNSUPPORTED, "not done for %s",
                                ledge_dtype_text(x->dtype));
    }
    *p = (struct ledge_tfidf){.rows = x->rank == 2 ? x->dims[0] : 1,
                              .cols = x->rank > 0 ? x->dims[x->rank - 1] : 1,
                              .pool = ledge_node_ints(node, "pool_int64s", &n_pool),
                              .first = ledge_node_ints(node, "ngram_counts", &n_first),
                              .output = ledge_node_ints(node, "ngram_indexes", &n_output),
                              .least = ledge_node_int(node, "min_gram_length", 1),
                              .most = ledge_node_int(node, "max_gram_length", 1),
                              .skips = ledge_node_int(node, "max_skip_count", 0)};
    const char *mode = ledge_node_string(node, "mode", "TF");
    p->count = strcmp(mode, "IDF") != 0;
    p->n_pool = (int64_t)n_pool;
    p->n_first = (int64_t)n_first;
    if (x->rank > 2 || p->pool == NULL || p->first == NULL || p->output == NULL || p->least < 1 ||
        p->skips < 0 || count_grams(p) != (int64_t)n_output) {
        return ledge_infer_fail(infer, LEDGE_ERR_FORMAT, "pool, counts, indexes do not agree");
    }
    for (size_t i = 0; i < n_output; i++) {
        if (p->output[i] < 0 || p->output[i] >= LEDGE_ONNX_TABLE_MAX) {
            return ledge_infer_fail(infer, LEDGE_ERR_RANGE, "ngram_indexes[%zu]", i);
        }
        p->outputs = p->output[i] >= p->outputs ? p->output[i] + 1 : p->outputs;
    }
    const struct ledge_attr *weights = ledge_node_attr(node, "weights");
    if (strcmp(mode, "TF") != 0 && weights != NULL &&
        (weights->type != LEDGE_ATTR_FLOATS || weights->n != n_output)) {
        return ledge_infer_fail(infer, LEDGE_ERR_FORMAT, "a weight for each gram");
    }
    p->weights = strcmp(mode, "TF") != 0 && weights != NULL ? weights->floats : NULL;
    return LEDGE_OK;
}

enum ledge_status ledge_onnx_tfidf_infer(struct ledge_op_infer *infer)
{
    struct ledge_tfidf p;
    LEDGE_TRY(parse_tfidf(infer, &p));
    return ledge_infer_in(infer, 0)->rank == 2
               ? ledge_infer_out(infer, 0, LEDGE_F32, 2, (int64_t[]){p.rows, p.outputs})
               : ledge_infer_out(infer, 0, LEDGE_F32, 1, &p.outputs);
}

enum ledge_status ledge_onnx_tfidf_prepare(struct ledge_op_prepare *prepare)
{
    struct ledge_op_infer infer = ledge_onnx_as_infer(prepare);
    struct ledge_tfidf p;
    LEDGE_TRY(parse_tfidf(&infer, &p));
    if (p.weights != NULL) { /* the file has them in the order of the pool */
        float *weights = LEDGE_NEW_ARRAY(prepare->memory, float, (size_t)p.outputs);
        if (weights == NULL) {
            return ledge_prepare_fail(prepare, LEDGE_ERR_NOMEM, "no memory");
        }
        size_t n = ledge_node_attr(prepare->node, "weights")->n;
        for (size_t i = 0; i < n; i++) {
            weights[p.output[i]] = p.weights[i];
        }
        p.weights = weights;
    }
    return ledge_onnx_ready(prepare, ledge_tfidf_c, "TfIdfVectorizer_c", &p, sizeof p);
}
