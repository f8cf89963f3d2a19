/* SPDX-License-Identifier: Apache-2.0 */
/* ml_rows.c -- scaling and encoding of features. Source: ai.onnx.ml version 5. */
#include <math.h>
#include <string.h>

#include "base/banned.h"
#include "base/status.h"
#include "engine/kernels/ml.h"
#include "engine/kernels/onnx_number.h"

static double get(const struct ledge_view *view, int64_t at)
{
    double x;
    ledge_load_real(view->data, view->dtype, at, 1, &x);
    return x;
}

static void put(const struct ledge_view *view, int64_t at, double x)
{
    ledge_store_real(&x, 1, view->data, view->dtype, at);
}

enum ledge_status ledge_ml_normalizer_c(const struct ledge_kernel_call *call)
{
    const struct ledge_ml_rows *p = call->params;
    for (int64_t i = 0; i < p->n; i++) {
        double sum = p->norm == LEDGE_ML_NORM_MAX ? -INFINITY : 0;
        for (int64_t k = 0; k < p->c; k++) {
            double x = get(call->in[0], i * p->c + k);
            sum = p->norm == LEDGE_ML_NORM_MAX  ? (x > sum ? x : sum)
                  : p->norm == LEDGE_ML_NORM_L1 ? sum + fabs(x)
                                                : sum + x * x;
        }
        sum = p->norm == LEDGE_ML_NORM_L2 ? sqrt(sum) : sum;
        for (int64_t k = 0; k < p->c; k++) {
            double x = get(call->in[0], i * p->c + k);
            put(call->out[0], i * p->c + k, sum != 0 ? x / sum : x);
        }
    }
    return LEDGE_OK;
}

enum ledge_status ledge_ml_scaler_c(const struct ledge_kernel_call *call)
{
    const struct ledge_ml_rows *p = call->params;
    for (int64_t i = 0; i < p->n * p->c; i++) {
        int64_t k = i % p->c;
        double a = p->n_a > 0 ? (double)p->a[p->n_a == 1 ? 0 : k] : 0;
        double b = p->n_b > 0 ? (double)p->b[p->n_b == 1 ? 0 : k] : 1;
        put(call->out[0], i, (get(call->in[0], i) - a) * b);
    }
    return LEDGE_OK;
}

enum ledge_status ledge_ml_binarizer_c(const struct ledge_kernel_call *call)
{
    const struct ledge_ml_rows *p = call->params;
    for (int64_t i = 0; i < p->n * p->c; i++) {
        put(call->out[0], i, get(call->in[0], i) > p->replaced ? 1 : 0);
    }
    return LEDGE_OK;
}

enum ledge_status ledge_ml_imputer_c(const struct ledge_kernel_call *call)
{
    const struct ledge_ml_rows *p = call->params;
    for (int64_t i = 0; i < p->n * p->c; i++) {
        double x = get(call->in[0], i);
        bool replace = x == p->replaced || (isnan(x) && isnan(p->replaced));
        put(call->out[0], i, replace ? (double)p->a[p->n_a == 1 ? 0 : i % p->c] : x);
    }
    return LEDGE_OK;
}

enum ledge_status ledge_ml_extract_c(const struct ledge_kernel_call *call)
{
    const struct ledge_ml_rows *p = call->params;
    size_t size = ledge_dtype_size(call->in[0]->dtype);
    int64_t m = ledge_view_count(call->in[1]);
    char *out = call->out[0]->data;
    for (int64_t i = 0; i < p->n; i++) {
        for (int64_t k = 0; k < m; k++) {
            int64_t at = ((const int64_t *)call->in[1]->data)[k];
            if (at < 0 || at >= p->c) {
                return ledge_fail(call->err, LEDGE_ERR_RANGE, "column %lld of %lld", (long long)at,
                                  (long long)p->c);
            }
            memcpy(out, (const char *)call->in[0]->data + (size_t)(i * p->c + at) * size, size);
            out += size;
        }
    }
    return LEDGE_OK;
}

enum ledge_status ledge_ml_vectorize_c(const struct ledge_kernel_call *call)
{
    const struct ledge_ml_rows *p = call->params;
    float *out = call->out[0]->data;
    for (int64_t i = 0; i < p->n; i++) {
        for (int32_t k = 0; k < call->n_in; k++) {
            int64_t c = ledge_view_count(call->in[k]) / p->n;
            for (int64_t j = 0; j < c; j++) {
                *out++ = (float)get(call->in[k], i * c + j);
            }
        }
    }
    return LEDGE_OK;
}

/* -- categories -- */

static bool same(const struct ledge_view *a, int64_t i, const struct ledge_view *b, int64_t k)
{
    if (a->dtype != LEDGE_STRING) {
        double x = get(a, i), y = get(b, k);
        return x == y || (isnan(x) && isnan(y));
    }
    const struct ledge_string *x = (const struct ledge_string *)a->data + i;
    const struct ledge_string *y = (const struct ledge_string *)b->data + k;
    return x->bytes == y->bytes && (x->bytes == 0 || memcmp(x->text, y->text, x->bytes) == 0);
}

static int64_t find(const struct ledge_ml_map *p, const struct ledge_view *x, int64_t i)
{
    int64_t k = 0;
    while (k < p->n && !same(x, i, &p->keys, k)) {
        k++;
    }
    return k < p->n ? k : -1;
}

enum ledge_status ledge_ml_map_c(const struct ledge_kernel_call *call)
{
    const struct ledge_ml_map *p = call->params;
    size_t size = ledge_dtype_size(call->out[0]->dtype);
    int64_t n = ledge_view_count(call->in[0]);
    for (int64_t i = 0; i < n; i++) {
        int64_t k = find(p, call->in[0], i);
        char *out = (char *)call->out[0]->data + (size_t)i * size;
        if (k < 0) {
            memcpy(out, p->fallback.data, size);
        } else if (p->values.data == NULL) {
            memcpy(out, &k, sizeof k);
        } else {
            memcpy(out, (const char *)p->values.data + (size_t)k * size, size);
        }
    }
    return LEDGE_OK;
}

enum ledge_status ledge_ml_one_hot_c(const struct ledge_kernel_call *call)
{
    const struct ledge_ml_map *p = call->params;
    float *out = call->out[0]->data;
    int64_t n = ledge_view_count(call->in[0]);
    for (int64_t i = 0; i < n; i++) {
        int64_t k = find(p, call->in[0], i);
        if (k < 0 && p->strict) {
            return ledge_fail(call->err, LEDGE_ERR_RANGE, "element %lld is no category",
                              (long long)i);
        }
        for (int64_t j = 0; j < p->n; j++) {
            *out++ = j == k ? 1.0f : 0.0f;
        }
    }
    return LEDGE_OK;
}
