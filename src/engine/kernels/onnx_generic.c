/* SPDX-License-Identifier: Apache-2.0 */
/* onnx_generic.c -- Cast, Clip, Pow, Range, EyeLike: every element type through a small buffer of
 * numbers. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/banned.h"
#include "base/status.h"
#include "engine/kernels/onnx.h"
#include "engine/kernels/onnx_number.h"
#include "engine/kernels/real.h"

enum { CHUNK = 256 };

static void store_cast(const struct ledge_cast *p, const double *v, int64_t n,
                       const struct ledge_view *out, int64_t at)
{
    if (!ledge_is_tiny_real(out->dtype)) {
        ledge_store_real(v, n, out->data, out->dtype, at);
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        ((uint8_t *)out->data)[at + i] = ledge_tiny_encode(v[i], out->dtype, p->saturate, p->round);
    }
}

/* A text as strtod() wants it: ended, and with the decimal point of the process's locale. */
static bool to_number(const struct ledge_string *text, bool real, double *number, int64_t *whole)
{
    char copy[64], point[8], *end = copy;
    if (text->bytes == 0 || text->bytes >= sizeof copy) {
        return false;
    }
    (void)snprintf(point, sizeof point, "%.1f", 0.5);
    for (size_t i = 0; i < text->bytes; i++) {
        copy[i] = text->text[i] == '.' ? point[1] : text->text[i];
    }
    copy[text->bytes] = '\0';
    if (real) {
        *number = strtod(copy, &end);
    } else {
        *whole = strtoll(copy, &end, 10);
        if (*whole == INT64_MAX) { /* or more: u64 has room */
            *whole = (int64_t)strtoull(copy, &end, 10);
        }
    }
    return end != copy;
}

static enum ledge_status cast_texts(const struct ledge_kernel_call *call)
{
    const struct ledge_view *out = call->out[0];
    const struct ledge_string *texts = call->in[0]->data;
    bool real = ledge_is_real(out->dtype);
    int64_t total = ledge_view_count(out), whole = 0;
    double number = 0;
    for (int64_t i = 0; i < total; i++) {
        if (!to_number(&texts[i], real, &number, &whole)) {
            return ledge_fail(call->err, LEDGE_ERR_RANGE, "Cast: '%.*s' is no number",
                              (int)(texts[i].bytes < 40 ? texts[i].bytes : 40),
                              texts[i].bytes > 0 ? texts[i].text : "");
        }
        if (real) {
            store_cast(call->params, &number, 1, out, i);
        } else {
            ledge_store_whole(&whole, 1, out->data, out->dtype, i);
        }
    }
    return LEDGE_OK;
}

enum ledge_status ledge_cast_c(const struct ledge_kernel_call *call)
{
    const struct ledge_view *in = call->in[0], *out = call->out[0];
    bool real = ledge_is_real(in->dtype) || (in->dtype == LEDGE_U64 && ledge_is_real(out->dtype));
    if (in->dtype == LEDGE_STRING) {
        return cast_texts(call);
    }
    int64_t total = ledge_view_count(out);
    for (int64_t at = 0; at < total; at += CHUNK) {
        int64_t n = total - at < CHUNK ? total - at : CHUNK;
        union {
            double real[CHUNK];
            int64_t whole[CHUNK];
        } buffer;
        if (real) {
            ledge_load_real(in->data, in->dtype, at, n, buffer.real);
            store_cast(call->params, buffer.real, n, out, at);
        } else {
            ledge_load_whole(in->data, in->dtype, at, n, buffer.whole);
            ledge_store_whole(buffer.whole, n, out->data, out->dtype, at);
        }
    }
    return LEDGE_OK;
}

static void clip_f32(const float *in, float *out, int64_t n, float low, float high)
{
    for (int64_t i = 0; i < n; i++) {
        float v = in[i] < low ? low : in[i];
        out[i] = v > high ? high : v;
    }
}

static void clip_real(const struct ledge_view *in, const struct ledge_view *out, double low,
                      double high)
{
    int64_t total = ledge_view_count(out);
    for (int64_t at = 0; at < total; at += CHUNK) {
        int64_t n = total - at < CHUNK ? total - at : CHUNK;
        double v[CHUNK];
        ledge_load_real(in->data, in->dtype, at, n, v);
        for (int64_t i = 0; i < n; i++) {
            double x = v[i] < low ? low : v[i];
            v[i] = x > high ? high : x;
        }
        ledge_store_real(v, n, out->data, out->dtype, at);
    }
}

static void clip_whole(const struct ledge_view *in, const struct ledge_view *out, int64_t low,
                       int64_t high, bool has_low, bool has_high)
{
    bool is_unsigned = in->dtype == LEDGE_U64;
    int64_t total = ledge_view_count(out);
    for (int64_t at = 0; at < total; at += CHUNK) {
        int64_t n = total - at < CHUNK ? total - at : CHUNK;
        int64_t v[CHUNK];
        ledge_load_whole(in->data, in->dtype, at, n, v);
        for (int64_t i = 0; i < n; i++) {
            int64_t x = v[i];
            x = has_low && (is_unsigned ? (uint64_t)x < (uint64_t)low : x < low) ? low : x;
            v[i] = has_high && (is_unsigned ? (uint64_t)x > (uint64_t)high : x > high) ? high : x;
        }
        ledge_store_whole(v, n, out->data, out->dtype, at);
    }
}

enum ledge_status ledge_clip_c(const struct ledge_kernel_call *call)
{
    const struct ledge_view *in = call->in[0], *out = call->out[0];
    const struct ledge_unary *params = call->params; /* opset < 11: bounds in p */
    const struct ledge_view *low = call->n_in > 1 ? call->in[1] : NULL;
    const struct ledge_view *high = call->n_in > 2 ? call->in[2] : NULL;
    double bounds[2] = {(double)params->p[0], (double)params->p[1]};
    int64_t whole[2] = {0, 0};
    if (!ledge_is_real(in->dtype)) {
        if (low != NULL) {
            ledge_load_whole(low->data, low->dtype, 0, 1, &whole[0]);
        }
        if (high != NULL) {
            ledge_load_whole(high->data, high->dtype, 0, 1, &whole[1]);
        }
        clip_whole(in, out, whole[0], whole[1], low != NULL, high != NULL);
        return LEDGE_OK;
    }
    if (low != NULL) {
        ledge_load_real(low->data, low->dtype, 0, 1, &bounds[0]);
    }
    if (high != NULL) {
        ledge_load_real(high->data, high->dtype, 0, 1, &bounds[1]);
    }
    if (in->dtype == LEDGE_F32) {
        clip_f32(in->data, out->data, ledge_view_count(out), (float)bounds[0], (float)bounds[1]);
    } else {
        clip_real(in, out, bounds[0], bounds[1]);
    }
    return LEDGE_OK;
}

/* base^exponent with wrapping, by squaring; a negative exponent gives 0 except for bases 1 and -1.
 */
static int64_t power(int64_t base, int64_t exponent)
{
    uint64_t result = 1, square = (uint64_t)base;
    if (exponent < 0) {
        return base == 1 ? 1 : base == -1 ? (exponent % 2 != 0 ? -1 : 1) : 0;
    }
    for (; exponent > 0; exponent >>= 1) {
        result *= (exponent & 1) != 0 ? square : 1;
        square *= square;
    }
    return (int64_t)result;
}

static void pow_one(const struct ledge_view *a, int64_t at_a, const struct ledge_view *b,
                    int64_t at_b, const struct ledge_view *out, int64_t at)
{
    if (!ledge_is_real(a->dtype) && !ledge_is_real(b->dtype)) {
        int64_t x, y;
        ledge_load_whole(a->data, a->dtype, at_a, 1, &x);
        ledge_load_whole(b->data, b->dtype, at_b, 1, &y);
        x = power(x, y);
        ledge_store_whole(&x, 1, out->data, out->dtype, at);
        return;
    }
    double x, y;
    ledge_load_real(a->data, a->dtype, at_a, 1, &x);
    ledge_load_real(b->data, b->dtype, at_b, 1, &y);
    x = ledge_pow(x, y);
    ledge_store_real(&x, 1, out->data, out->dtype, at);
}

enum ledge_status ledge_pow_c(const struct ledge_kernel_call *call)
{
    const struct ledge_binary_step *step = call->params;
    int64_t total = ledge_view_count(call->out[0]);
    for (int64_t k = 0; k < total; k++) {
        int64_t left = k, a = 0, b = 0;
        for (int32_t i = step->rank - 1; i >= 0; i--) {
            a += left % step->dims[i] * step->stride_a[i];
            b += left % step->dims[i] * step->stride_b[i];
            left /= step->dims[i];
        }
        pow_one(call->in[0], a, call->in[1], b, call->out[0], k);
    }
    return LEDGE_OK;
}

enum ledge_status ledge_range_c(const struct ledge_kernel_call *call)
{
    const struct ledge_view *out = call->out[0];
    int64_t total = ledge_view_count(out);
    double real[2];
    int64_t whole[2];
    for (int i = 0; i < 2; i++) {
        const struct ledge_view *in = call->in[2 * i];
        ledge_load_real(in->data, in->dtype, 0, 1, &real[i]);
        ledge_load_whole(in->data, in->dtype, 0, 1, &whole[i]);
    }
    for (int64_t k = 0; k < total; k++) {
        if (ledge_is_real(out->dtype)) {
            double v = real[0] + (double)k * real[1];
            ledge_store_real(&v, 1, out->data, out->dtype, k);
        } else {
            int64_t v = (int64_t)((uint64_t)whole[0] + (uint64_t)k * (uint64_t)whole[1]);
            ledge_store_whole(&v, 1, out->data, out->dtype, k);
        }
    }
    return LEDGE_OK;
}

enum ledge_status ledge_eye_c(const struct ledge_kernel_call *call)
{
    const struct ledge_trilu *p = call->params;
    const struct ledge_view *out = call->out[0];
    const int64_t one = 1;
    memset(out->data, 0, ledge_view_bytes(out));
    for (int64_t row = 0; row < p->rows; row++) {
        if (p->k >= -row && p->k < p->cols - row) {
            ledge_store_whole(&one, 1, out->data, out->dtype, row * p->cols + row + p->k);
        }
    }
    return LEDGE_OK;
}
