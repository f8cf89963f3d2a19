/* SPDX-License-Identifier: Apache-2.0 */
/* onnx_reduce.c -- reductions over any set of axes, and the operators that work along one: ArgMax,
 * CumSum, TopK, Softmax.
 *
 * Sums are kept in double (whole numbers in 64 bits), so that the order of adding does not show in
 * f32. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "base/status.h"
#include "engine/kernels/onnx.h"
#include "engine/kernels/onnx_number.h"
#include "engine/kernels/real.h"

#include "base/banned.h"

enum { CHUNK = 256 };

/* -- reductions -- */

struct fold {
    enum ledge_reduce_kind kind;
    double real;
    int64_t whole;
    double peak; /* greatest value: LOG_SUM_EXP */
    int64_t n;
};

static struct fold fold_start(enum ledge_reduce_kind kind)
{
    struct fold f = {.kind = kind, .peak = -INFINITY};
    if (kind == LEDGE_REDUCE_PROD) {
        f.real = 1;
        f.whole = 1;
    } else if (kind == LEDGE_REDUCE_MAX) {
        f.real = -INFINITY;
        f.whole = INT64_MIN;
    } else if (kind == LEDGE_REDUCE_MIN) {
        f.real = INFINITY;
        f.whole = INT64_MAX;
    }
    return f;
}

static void fold_real(struct fold *f, const double *v, int64_t n)
{
    double sum = f->real;
    f->n += n;
    for (int64_t i = 0; i < n; i++) {
        double x = v[i];
        switch (f->kind) {
        case LEDGE_REDUCE_MAX:
            sum = x > sum || isnan(x) ? x : sum;
            break;
        case LEDGE_REDUCE_MIN:
            sum = x < sum || isnan(x) ? x : sum;
            break;
        case LEDGE_REDUCE_PROD:
            sum *= x;
            break;
        case LEDGE_REDUCE_L1:
            sum += fabs(x);
            break;
        case LEDGE_REDUCE_L2:
        case LEDGE_REDUCE_SUM_SQUARE:
            sum += x * x;
            break;
        case LEDGE_REDUCE_LOG_SUM_EXP:
            if (x > f->peak) {
                sum = (isinf(f->peak) ? 0 : sum * ledge_exp(f->peak - x)) + 1;
                f->peak = x;
            } else if (!isinf(x)) {
                sum += ledge_exp(x - f->peak);
            }
            break;
        default:
            sum += x;
        }
    }
    f->real = sum;
}

static void fold_whole(struct fold *f, const int64_t *v, int64_t n)
{
    uint64_t sum = (uint64_t)f->whole;
    f->n += n;
    for (int64_t i = 0; i < n; i++) {
        uint64_t x = (uint64_t)v[i];
        switch (f->kind) {
        case LEDGE_REDUCE_MAX:
            sum = v[i] > (int64_t)sum ? x : sum;
            break;
        case LEDGE_REDUCE_MIN:
            sum = v[i] < (int64_t)sum ? x : sum;
            break;
        case LEDGE_REDUCE_PROD:
            sum *= x;
            break;
        case LEDGE_REDUCE_L1:
            sum += v[i] < 0 ? 0 - x : x;
            break;
        case LEDGE_REDUCE_L2:
        case LEDGE_REDUCE_SUM_SQUARE:
            sum += x * x;
            break;
        default:
            sum += x;
        }
    }
    f->whole = (int64_t)sum;
}

static double end_real(const struct fold *f)
{
    switch (f->kind) {
    case LEDGE_REDUCE_MEAN:
        return f->real / (double)f->n;
    case LEDGE_REDUCE_L2:
        return sqrt(f->real);
    case LEDGE_REDUCE_LOG_SUM:
        return ledge_log(f->real);
    case LEDGE_REDUCE_LOG_SUM_EXP:
        return f->n == 0 ? -INFINITY : f->peak + ledge_log(f->real);
    default:
        return f->real;
    }
}

static void end_whole(const struct fold *f, const struct ledge_view *out, int64_t at)
{
    int64_t v = f->whole;
    double real = (double)v;
    switch (f->kind) {
    case LEDGE_REDUCE_MEAN:
        v = f->n > 0 ? v / f->n : 0;
        break;
    case LEDGE_REDUCE_L2:
        real = sqrt(real);
        ledge_store_real(&real, 1, out->data, out->dtype, at);
        return;
    case LEDGE_REDUCE_LOG_SUM:
        real = ledge_log(real);
        ledge_store_real(&real, 1, out->data, out->dtype, at);
        return;
    default:
        break;
    }
    ledge_store_whole(&v, 1, out->data, out->dtype, at);
}

/* n elements of in, `stride` apart, into the fold. */
static void fold_run(struct fold *f, const struct ledge_view *in, int64_t at, int64_t n,
                     int64_t stride, bool real)
{
    union {
        double real[CHUNK];
        int64_t whole[CHUNK];
    } v;
    for (int64_t i = 0; i < n; i += CHUNK) {
        int64_t m = n - i < CHUNK ? n - i : CHUNK;
        for (int64_t k = 0; k < (stride == 1 ? 1 : m); k++) {
            int64_t from = at + (i + k) * stride, count = stride == 1 ? m : 1;
            if (real) {
                ledge_load_real(in->data, in->dtype, from, count, &v.real[k]);
            } else {
                ledge_load_whole(in->data, in->dtype, from, count, &v.whole[k]);
            }
        }
        if (real) {
            fold_real(f, v.real, m);
        } else {
            fold_whole(f, v.whole, m);
        }
    }
}

static void fold_all(struct fold *f, const struct ledge_reduce *p, const struct ledge_view *in,
                     int64_t base, bool real)
{
    int64_t index[LEDGE_MAX_RANK] = {0};
    int32_t inner = p->n_fold - 1;
    for (int32_t i = 0; i < p->n_fold; i++) {
        if (p->fold[i] == 0) {
            return;
        }
    }
    for (;;) {
        fold_run(f, in, base, p->fold[inner], p->fold_stride[inner], real);
        int32_t i = inner - 1;
        for (; i >= 0; i--) {
            base += p->fold_stride[i];
            if (++index[i] < p->fold[i]) {
                break;
            }
            base -= p->fold_stride[i] * p->fold[i];
            index[i] = 0;
        }
        if (i < 0) {
            return;
        }
    }
}

enum ledge_status ledge_reduce_c(const struct ledge_kernel_call *call)
{
    const struct ledge_reduce *p = call->params;
    const struct ledge_view *in = call->in[0], *out = call->out[0];
    bool real = ledge_is_real(in->dtype) || p->kind == LEDGE_REDUCE_LOG_SUM_EXP;
    int64_t total = ledge_view_count(out);
    for (int64_t k = 0; k < total; k++) {
        int64_t left = k, base = 0;
        for (int32_t i = p->n_keep - 1; i >= 0; i--) {
            base += left % p->keep[i] * p->keep_stride[i];
            left /= p->keep[i];
        }
        struct fold f = fold_start(p->kind);
        fold_all(&f, p, in, base, real);
        if (real) {
            double v = end_real(&f);
            ledge_store_real(&v, 1, out->data, out->dtype, k);
        } else {
            end_whole(&f, out, k);
        }
    }
    return LEDGE_OK;
}

/* -- along one axis -- */

/* The axis as numbers that compare: double, exact for what models hold but 64-bit integers, which
 * are compared whole. */
struct key {
    double real;
    int64_t whole;
};

static struct key key_at(const struct ledge_view *in, int64_t at)
{
    struct key key = {0};
    if (ledge_is_real(in->dtype)) {
        ledge_load_real(in->data, in->dtype, at, 1, &key.real);
    } else {
        ledge_load_whole(in->data, in->dtype, at, 1, &key.whole);
    }
    return key;
}

static bool greater(struct key a, struct key b)
{
    return a.real > b.real || (a.real == b.real && a.whole > b.whole);
}

enum ledge_status ledge_argmax_c(const struct ledge_kernel_call *call)
{
    const struct ledge_axis *p = call->params;
    int64_t *out = call->out[0]->data;
    for (int64_t o = 0; o < p->outer; o++) {
        for (int64_t i = 0; i < p->inner; i++) {
            int64_t best = 0;
            struct key top = {0};
            for (int64_t k = 0; k < p->n; k++) {
                struct key key = key_at(call->in[0], (o * p->n + k) * p->inner + i);
                bool wins = (p->flags & LEDGE_ARG_MIN) != 0 ? greater(top, key) : greater(key, top);
                bool ties =
                    (p->flags & LEDGE_ARG_LAST) != 0 && !greater(top, key) && !greater(key, top);
                if (k == 0 || wins || ties) {
                    best = k;
                    top = key;
                }
            }
            *out++ = best;
        }
    }
    return LEDGE_OK;
}

LEDGE_COLD static void cumulate_line(const struct ledge_axis *p, const struct ledge_view *in,
                                     const struct ledge_view *out, int64_t base)
{
    bool product = (p->flags & LEDGE_CUM_PRODUCT) != 0;
    bool real = ledge_is_real(in->dtype);
    double sum = product ? 1 : 0;
    uint64_t whole = product ? 1 : 0;
    for (int64_t k = 0; k < p->n; k++) {
        int64_t at = base + ((p->flags & LEDGE_CUM_REVERSE) != 0 ? p->n - 1 - k : k) * p->inner;
        struct key key = key_at(in, at);
        double before = sum;
        uint64_t whole_before = whole;
        sum = product ? sum * key.real : sum + key.real;
        whole = product ? whole * (uint64_t)key.whole : whole + (uint64_t)key.whole;
        if ((p->flags & LEDGE_CUM_EXCLUSIVE) == 0) {
            before = sum;
            whole_before = whole;
        }
        if (real) {
            ledge_store_real(&before, 1, out->data, out->dtype, at);
        } else {
            int64_t value = (int64_t)whole_before;
            ledge_store_whole(&value, 1, out->data, out->dtype, at);
        }
    }
}

enum ledge_status ledge_cumulate_c(const struct ledge_kernel_call *call)
{
    const struct ledge_axis *p = call->params;
    for (int64_t o = 0; o < p->outer; o++) {
        for (int64_t i = 0; i < p->inner; i++) {
            cumulate_line(p, call->in[0], call->out[0], o * p->n * p->inner + i);
        }
    }
    return LEDGE_OK;
}

/* -- TopK: a heap of the k best in place, then sorted -- */

struct ranked {
    struct key key;
    int64_t index;
};

_Static_assert(sizeof(struct ranked) <= LEDGE_TOPK_BYTES, "scratch of TopK");

/* True when a comes before b in the result. Ties: the smaller index first. */
static bool before(const struct ranked *a, const struct ranked *b, bool smallest)
{
    if (greater(a->key, b->key)) {
        return !smallest;
    }
    if (greater(b->key, a->key)) {
        return smallest;
    }
    return a->index < b->index;
}

/* Restore the heap (worst on top) below slot i. */
LEDGE_COLD static void sift(struct ranked *heap, int64_t n, int64_t i, bool smallest)
{
    for (;;) {
        int64_t worst = i;
        for (int64_t child = 2 * i + 1; child <= 2 * i + 2 && child < n; child++) {
            if (before(&heap[worst], &heap[child], smallest)) {
                worst = child;
            }
        }
        if (worst == i) {
            return;
        }
        struct ranked spare = heap[i];
        heap[i] = heap[worst];
        heap[worst] = spare;
        i = worst;
    }
}

static void select_top(const struct ledge_topk *p, const struct ledge_view *in, int64_t base,
                       struct ranked *heap, bool smallest)
{
    for (int64_t j = 0; j < p->axis.n; j++) {
        struct ranked item = {key_at(in, base + j * p->axis.inner), j};
        if (j < p->k) {
            heap[j] = item;
            if (j == p->k - 1) {
                for (int64_t i = p->k / 2; i >= 0; i--) {
                    sift(heap, p->k, i, smallest);
                }
            }
        } else if (p->k > 0 && before(&item, &heap[0], smallest)) {
            heap[0] = item;
            sift(heap, p->k, 0, smallest);
        }
    }
    for (int64_t n = p->k; n > 1; n--) { /* heap sort: the worst goes to the end */
        struct ranked spare = heap[0];
        heap[0] = heap[n - 1];
        heap[n - 1] = spare;
        sift(heap, n - 1, 0, smallest);
    }
}

enum ledge_status ledge_topk_c(const struct ledge_kernel_call *call)
{
    const struct ledge_topk *p = call->params;
    const struct ledge_view *in = call->in[0];
    struct ranked *heap = call->scratch;
    size_t size = ledge_dtype_size(in->dtype);
    for (int64_t o = 0; o < p->axis.outer; o++) {
        for (int64_t i = 0; i < p->axis.inner; i++) {
            int64_t base = o * p->axis.n * p->axis.inner + i;
            select_top(p, in, base, heap, (p->axis.flags & LEDGE_TOP_SMALLEST) != 0);
            for (int64_t j = 0; j < p->k; j++) {
                size_t to = (size_t)((o * p->k + j) * p->axis.inner + i);
                size_t from = (size_t)(base + heap[j].index * p->axis.inner);
                if (call->out[0] != NULL) {
                    memcpy((char *)call->out[0]->data + to * size,
                           (const char *)in->data + from * size, size);
                }
                if (call->n_out > 1 && call->out[1] != NULL) {
                    ((int64_t *)call->out[1]->data)[to] = heap[j].index;
                }
            }
        }
    }
    return LEDGE_OK;
}

/* -- Softmax -- */

/* A loop of its own: compilers make vectors of the first. out may be in. */
static void exponentials(const float *in, float peak, float *out, int64_t n, int64_t step)
{
    if (step == 1) {
        LEDGE_IN_STEP
        for (int64_t k = 0; k < n; k++) {
            out[k] = ledge_exp_f32(in[k] - peak);
        }
        return;
    }
    for (int64_t k = 0; k < n; k++) {
        out[k * step] = ledge_exp_f32(in[k * step] - peak);
    }
}

static void softmax_f32(const float *in, float *out, int64_t n, int64_t step, int flags)
{
    float peak = -FLT_MAX;
    double sum = 0;
    int64_t first = 0;
    for (int64_t k = 0; k < n; k++) {
        if (in[k * step] > peak) {
            peak = in[k * step];
            first = k;
        }
    }
    if ((flags & LEDGE_SOFTMAX_HARD) != 0) {
        for (int64_t k = 0; k < n; k++) {
            out[k * step] = k == first ? 1.0f : 0.0f;
        }
        return;
    }
    if ((flags & LEDGE_SOFTMAX_LOG) != 0) { /* out may be in */
        for (int64_t k = 0; k < n; k++) {
            out[k * step] = in[k * step] - peak;
            sum += (double)ledge_exp_f32(out[k * step]);
        }
        float log_sum = (float)ledge_log(sum);
        for (int64_t k = 0; k < n; k++) {
            out[k * step] -= log_sum;
        }
        return;
    }
    exponentials(in, peak, out, n, step);
    for (int64_t k = 0; k < n; k++) {
        sum += (double)out[k * step];
    }
    float scale = (float)(1 / sum);
    for (int64_t k = 0; k < n; k++) {
        out[k * step] *= scale;
    }
}

LEDGE_COLD static void softmax_any(const struct ledge_view *in, const struct ledge_view *out,
                                   int64_t base, const struct ledge_axis *p)
{
    double peak = -INFINITY, sum = 0, x;
    int64_t first = 0;
    for (int64_t k = 0; k < p->n; k++) {
        ledge_load_real(in->data, in->dtype, base + k * p->inner, 1, &x);
        first = x > peak ? k : first;
        peak = x > peak ? x : peak;
    }
    for (int64_t k = 0; k < p->n; k++) {
        ledge_load_real(in->data, in->dtype, base + k * p->inner, 1, &x);
        sum += ledge_exp(x - peak);
    }
    for (int64_t k = 0; k < p->n; k++) {
        ledge_load_real(in->data, in->dtype, base + k * p->inner, 1, &x);
        x = (p->flags & LEDGE_SOFTMAX_HARD) != 0  ? (double)(k == first)
            : (p->flags & LEDGE_SOFTMAX_LOG) != 0 ? x - peak - ledge_log(sum)
                                                  : ledge_exp(x - peak) / sum;
        ledge_store_real(&x, 1, out->data, out->dtype, base + k * p->inner);
    }
}

enum ledge_status ledge_softmax_c(const struct ledge_kernel_call *call)
{
    const struct ledge_axis *p = call->params;
    const struct ledge_view *in = call->in[0], *out = call->out[0];
    for (int64_t o = 0; o < p->outer; o++) {
        for (int64_t i = 0; i < p->inner; i++) {
            int64_t base = o * p->n * p->inner + i;
            if (in->dtype == LEDGE_F32) {
                softmax_f32((const float *)in->data + base, (float *)out->data + base, p->n,
                            p->inner, p->flags);
            } else {
                softmax_any(in, out, base, p);
            }
        }
    }
    return LEDGE_OK;
}
