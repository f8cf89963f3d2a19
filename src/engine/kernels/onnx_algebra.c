/* SPDX-License-Identifier: Apache-2.0 */
/* onnx_algebra.c -- see onnx_algebra.h. */
#include "engine/kernels/onnx_algebra.h"

#include <math.h>

#include "engine/kernels/onnx_number.h"

#include "base/banned.h"

/* -- Einsum -- */

/* Places of the inputs at index number `at` of dimensions first .. last - 1. */
static void places(const struct ledge_einsum *p, int32_t first, int32_t last, int64_t at,
                   int64_t *place)
{
    for (int32_t i = last - 1; i >= first; i--) {
        for (int32_t k = 0; k < p->n_in; k++) {
            place[k] += at % p->dims[i] * p->strides[k][i];
        }
        at /= p->dims[i];
    }
}

static int64_t volume(const struct ledge_einsum *p, int32_t first, int32_t last)
{
    int64_t n = 1;
    for (int32_t i = first; i < last; i++) {
        n *= p->dims[i];
    }
    return n;
}

/* The last index runs in the inner loop. */
static double sum_real(const struct ledge_kernel_call *call, const struct ledge_einsum *p,
                       const int64_t *start, int64_t outer, int64_t inner)
{
    double total = 0;
    bool wide = call->out[0]->dtype == LEDGE_F64;
    int64_t last = p->n > p->n_out ? p->n - 1 : 0; /* no sum: inner is 1, its stride counts for 0 */
    for (int64_t s = 0; s < outer; s++) {
        int64_t place[LEDGE_EINSUM_INPUTS];
        for (int32_t k = 0; k < p->n_in; k++) {
            place[k] = start[k];
        }
        places(p, p->n_out, last, s, place);
        for (int64_t i = 0; i < inner; i++) {
            double product = 1;
            for (int32_t k = 0; k < p->n_in; k++) {
                int64_t at = place[k] + i * p->strides[k][last];
                product *= wide ? ((const double *)call->in[k]->data)[at]
                                : (double)((const float *)call->in[k]->data)[at];
            }
            total += product;
        }
    }
    return total;
}

static int64_t sum_whole(const struct ledge_kernel_call *call, const struct ledge_einsum *p,
                         const int64_t *start, int64_t outer, int64_t inner)
{
    uint64_t total = 0;
    for (int64_t s = 0; s < outer * inner; s++) {
        uint64_t product = 1;
        int64_t place[LEDGE_EINSUM_INPUTS], v;
        for (int32_t k = 0; k < p->n_in; k++) {
            place[k] = start[k];
        }
        places(p, p->n_out, p->n, s, place);
        for (int32_t k = 0; k < p->n_in; k++) {
            ledge_load_whole(call->in[k]->data, call->in[k]->dtype, place[k], 1, &v);
            product *= (uint64_t)v;
        }
        total += product;
    }
    return (int64_t)total;
}

enum ledge_status ledge_einsum_c(const struct ledge_kernel_call *call)
{
    const struct ledge_einsum *p = call->params;
    const struct ledge_view *out = call->out[0];
    int64_t total = volume(p, 0, p->n_out);
    bool sums = p->n > p->n_out;
    int64_t inner = sums ? p->dims[p->n - 1] : 1;
    int64_t outer = sums ? volume(p, p->n_out, p->n - 1) : 1;
    for (int64_t at = 0; at < total; at++) {
        int64_t start[LEDGE_EINSUM_INPUTS] = {0};
        places(p, 0, p->n_out, at, start);
        if (ledge_is_real(out->dtype)) {
            double v = sum_real(call, p, start, outer, inner);
            ledge_store_real(&v, 1, out->data, out->dtype, at);
        } else {
            int64_t v = sum_whole(call, p, start, outer, inner);
            ledge_store_whole(&v, 1, out->data, out->dtype, at);
        }
    }
    return LEDGE_OK;
}

/* -- Det: Gauss with the largest pivot of each column -- */

static double determinant(double *a, int64_t n)
{
    double det = 1;
    for (int64_t c = 0; c < n; c++) {
        int64_t pivot = c;
        for (int64_t r = c + 1; r < n; r++) {
            pivot = fabs(a[r * n + c]) > fabs(a[pivot * n + c]) ? r : pivot;
        }
        double top = a[pivot * n + c];
        det *= pivot == c ? top : -top;
        if (top == 0) {
            return 0;
        }
        for (int64_t k = c; k < n; k++) {
            double v = a[pivot * n + k];
            a[pivot * n + k] = a[c * n + k];
            a[c * n + k] = v;
        }
        for (int64_t r = c + 1; r < n; r++) {
            double factor = a[r * n + c] / top;
            for (int64_t k = c + 1; k < n; k++) {
                a[r * n + k] -= factor * a[c * n + k];
            }
        }
    }
    return det;
}

enum ledge_status ledge_det_c(const struct ledge_kernel_call *call)
{
    const struct ledge_axis *p = call->params;
    const float *x = call->in[0]->data;
    double *work = call->scratch;
    for (int64_t b = 0; b < p->outer; b++) {
        for (int64_t i = 0; i < p->n * p->n; i++) {
            work[i] = (double)*x++;
        }
        ((float *)call->out[0]->data)[b] = (float)determinant(work, p->n);
    }
    return LEDGE_OK;
}

/* -- MeanVarianceNormalization -- */

static int64_t offset(int64_t at, const int64_t *dims, const int64_t *strides, int32_t n)
{
    int64_t sum = 0;
    for (int32_t i = n - 1; i >= 0; i--) {
        sum += at % dims[i] * strides[i];
        at /= dims[i];
    }
    return sum;
}

enum ledge_status ledge_mean_variance_c(const struct ledge_kernel_call *call)
{
    const struct ledge_reduce *p = call->params;
    const float *x = call->in[0]->data;
    float *y = call->out[0]->data;
    int64_t kept = 1, folded = 1;
    for (int32_t i = 0; i < p->n_keep; i++) {
        kept *= p->keep[i];
    }
    for (int32_t i = 0; i < p->n_fold; i++) {
        folded *= p->fold[i];
    }
    for (int64_t k = 0; k < kept; k++) {
        int64_t base = offset(k, p->keep, p->keep_stride, p->n_keep);
        double sum = 0, square = 0;
        for (int64_t i = 0; i < folded; i++) {
            sum += (double)x[base + offset(i, p->fold, p->fold_stride, p->n_fold)];
        }
        double mean = sum / (double)folded;
        for (int64_t i = 0; i < folded; i++) {
            double d = (double)x[base + offset(i, p->fold, p->fold_stride, p->n_fold)] - mean;
            square += d * d;
        }
        double deviation = sqrt(square / (double)folded) + 1e-9;
        for (int64_t i = 0; i < folded; i++) {
            int64_t at = base + offset(i, p->fold, p->fold_stride, p->n_fold);
            y[at] = (float)(((double)x[at] - mean) / deviation);
        }
    }
    return LEDGE_OK;
}

/* -- TfIdfVectorizer -- */

static bool is_gram(const struct ledge_view *x, int64_t at, int64_t step, const int64_t *gram,
                    int64_t k)
{
    for (int64_t i = 0; i < k; i++) {
        int64_t v;
        ledge_load_whole(x->data, x->dtype, at + i * step, 1, &v);
        if (v != gram[i]) {
            return false;
        }
    }
    return true;
}

/* Count every gram of length k that starts at place `at` and whose elements are step apart. */
static void count_grams(const struct ledge_tfidf *p, const struct ledge_view *x, int64_t at,
                        int64_t step, int64_t k, float *y)
{
    int64_t before = 0; /* grams that are shorter */
    for (int64_t i = 0; i < k - 1 && i < p->n_first; i++) {
        int64_t end = i + 1 < p->n_first ? p->first[i + 1] : p->n_pool;
        before += (end - p->first[i]) / (i + 1);
    }
    int64_t first = p->first[k - 1], end = k < p->n_first ? p->first[k] : p->n_pool;
    for (int64_t g = 0; g < (end - first) / k; g++) {
        if (is_gram(x, at, step, p->pool + first + g * k, k)) {
            y[p->output[before + g]] += 1;
        }
    }
}

enum ledge_status ledge_tfidf_c(const struct ledge_kernel_call *call)
{
    const struct ledge_tfidf *p = call->params;
    float *y = call->out[0]->data;
    for (int64_t row = 0; row < p->rows; row++, y += p->outputs) {
        for (int64_t i = 0; i < p->outputs; i++) {
            y[i] = 0;
        }
        for (int64_t k = p->least; k <= p->most && k <= p->n_first; k++) {
            for (int64_t skip = 0; skip <= (k > 1 ? p->skips : 0); skip++) {
                int64_t reach = (k - 1) * (skip + 1);
                for (int64_t at = 0; at < p->cols - reach; at++) {
                    count_grams(p, call->in[0], row * p->cols + at, skip + 1, k, y);
                }
                if (reach >= p->cols) {
                    break;
                }
            }
        }
        for (int64_t i = 0; i < p->outputs; i++) {
            float n = p->count || y[i] == 0 ? y[i] : 1;
            y[i] = p->weights != NULL ? n * p->weights[i] : n;
        }
    }
    return LEDGE_OK;
}
