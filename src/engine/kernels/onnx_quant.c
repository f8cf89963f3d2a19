/* SPDX-License-Identifier: Apache-2.0 */
/* onnx_quant.c -- QuantizeLinear, DequantizeLinear, DynamicQuantizeLinear and the element-wise
 * integer operators.
 *
 * One definition of rounding: q = saturate(round_half_to_even(x / scale) + zero), in f32, as ONNX
 * has it. The integer operators dequantise, work and requantise in f32 with exactly those steps, so
 * fusing DQ -> op -> Q changes no bit. */
#include <math.h>
#include <string.h>

#include "engine/kernels/loop_words.h"
#include "engine/kernels/onnx.h"
#include "engine/kernels/onnx_number.h"
#include "engine/kernels/quant.h"
#include "engine/port/select.h"

#include "base/banned.h"

static inline int32_t saturate(float value, int32_t low, int32_t high)
{
    if (!(value > (float)low)) { /* NaN too */
        return low;
    }
    return value >= (float)high ? high : (int32_t)value;
}

static inline int32_t quantize(float x, float scale, int32_t zero, int32_t low, int32_t high)
{
    return saturate(rintf(x / scale) + (float)zero, low, high);
}

static void limits(enum ledge_dtype dtype, int32_t *low, int32_t *high)
{
    int32_t bits = ledge_dtype_bits(dtype);
    bool is_signed =
        dtype == LEDGE_I8 || dtype == LEDGE_I16 || dtype == LEDGE_I4 || dtype == LEDGE_I2;
    *low = is_signed ? -(1 << (bits - 1)) : 0;
    *high = (1 << (is_signed ? bits - 1 : bits)) - 1;
}

static int32_t whole_at(const struct ledge_view *view, int64_t at)
{
    int64_t value = 0;
    if (!LEDGE_HAS(LEDGE_PART_TYPES)) {
        return view != NULL ? ledge_q8(view->data, view->dtype, at) : 0;
    }
    if (view != NULL) {
        ledge_load_whole(view->data, view->dtype, at, 1, &value);
    }
    return (int32_t)value;
}

static float real_at(const struct ledge_view *view, int64_t at)
{
    double value;
    if (!LEDGE_HAS(LEDGE_PART_TYPES)) {
        return ((const float *)view->data)[at];
    }
    ledge_load_real(view->data, view->dtype, at, 1, &value);
    return (float)value;
}

/* Which scale belongs to element (o, k, i). */
static int64_t scale_index(const struct ledge_quantize *p, int64_t o, int64_t k, int64_t i)
{
    if (p->block > 0) {
        int64_t blocks = (p->n + p->block - 1) / p->block;
        return (o * blocks + k / p->block) * p->inner + i;
    }
    return p->per_axis ? k : 0;
}

/* A run of elements that share a scale. */
static void quantize_run(const struct ledge_view *x, const struct ledge_view *y, int64_t at,
                         int64_t n, float scale, int32_t zero, bool saturate)
{
    int32_t low, high;
    if (LEDGE_HAS(LEDGE_PART_TYPES) &&
        ledge_is_tiny_real(y->dtype)) { /* a zero point of such a type is 0 */
        for (int64_t i = 0; i < n; i++) {
            ((uint8_t *)y->data)[at + i] = ledge_tiny_encode(
                (double)(real_at(x, at + i) / scale), y->dtype, saturate, LEDGE_ROUND_NEAREST);
        }
        return;
    }
    limits(y->dtype, &low, &high);
    if (!LEDGE_HAS(LEDGE_PART_TYPES) ||
        (x->dtype == LEDGE_F32 && (y->dtype == LEDGE_I8 || y->dtype == LEDGE_U8))) {
        const float *in = (const float *)x->data + at;
        uint8_t *out = (uint8_t *)y->data + at;
        for (int64_t i = 0; i < n; i++) {
            out[i] = (uint8_t)quantize(in[i], scale, zero, low, high);
        }
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        int64_t q = quantize(real_at(x, at + i), scale, zero, low, high);
        ledge_store_whole(&q, 1, y->data, y->dtype, at + i);
    }
}

enum ledge_status ledge_quantize_linear_c(const struct ledge_kernel_call *call)
{
    const struct ledge_quantize *p = call->params;
    const struct ledge_view *zeros = call->n_in > 2 ? call->in[2] : NULL;
    int64_t run = p->block > 0 ? 1 : p->inner;
    for (int64_t o = 0; o < p->outer; o++) {
        for (int64_t k = 0; k < p->n; k++) {
            for (int64_t i = 0; i < p->inner; i += run) {
                int64_t s = scale_index(p, o, k, i);
                quantize_run(call->in[0], call->out[0], (o * p->n + k) * p->inner + i, run,
                             real_at(call->in[1], s), whole_at(zeros, s), p->saturate);
            }
        }
    }
    return LEDGE_OK;
}

/* Bytes, of i8 with the first bit flipped: 128 too high, as zero is then. */
FAST static void dequantize_bytes(const uint8_t *restrict in, uint8_t flip, float *restrict out,
                                  int64_t n, float scale, int32_t zero)
{
    for (int64_t i = 0; i < n; i++) {
        out[i] = (float)((in[i] ^ flip) - zero) * scale;
    }
}

static void dequantize_run(const struct ledge_view *x, const struct ledge_view *y, int64_t at,
                           int64_t n, float scale, int32_t zero)
{
    if (!LEDGE_HAS(LEDGE_PART_TYPES) ||
        (y->dtype == LEDGE_F32 && (x->dtype == LEDGE_I8 || x->dtype == LEDGE_U8))) {
        bool sign = x->dtype == LEDGE_I8;
        dequantize_bytes((const uint8_t *)x->data + at, sign ? 0x80 : 0, (float *)y->data + at, n,
                         scale, zero + (sign ? 128 : 0));
    } else {
        bool real = ledge_is_real(x->dtype);
        for (int64_t i = 0; i < n; i++) {
            double v = real ? (double)(real_at(x, at + i) * scale)
                            : (double)((float)((int64_t)whole_at(x, at + i) - zero) * scale);
            ledge_store_real(&v, 1, y->data, y->dtype, at + i);
        }
    }
}

enum { PIECE = 16384 };

/* One scale for all: pieces that threads share. */
static void dequantize_piece(void *arg, int32_t index, int32_t worker)
{
    (void)worker;
    const struct ledge_kernel_call *call = arg;
    int64_t n = ledge_view_count(call->out[0]), at = (int64_t)index * PIECE;
    dequantize_run(call->in[0], call->out[0], at, n - at < PIECE ? n - at : PIECE,
                   real_at(call->in[1], 0), whole_at(call->n_in > 2 ? call->in[2] : NULL, 0));
}

enum ledge_status ledge_dequantize_linear_c(const struct ledge_kernel_call *call)
{
    const struct ledge_quantize *p = call->params;
    const struct ledge_view *zeros = call->n_in > 2 ? call->in[2] : NULL;
    int64_t n = ledge_view_count(call->out[0]);
    if (ledge_view_count(call->in[1]) == 1 && n < (int64_t)PIECE * INT32_MAX) {
        ledge_pool_run(call->pool, (int32_t)((n + PIECE - 1) / PIECE), dequantize_piece,
                       (void *)call);
        return LEDGE_OK;
    }
    int64_t run = p->block > 0 ? 1 : p->inner;
    for (int64_t o = 0; o < p->outer; o++) {
        for (int64_t k = 0; k < p->n; k++) {
            for (int64_t i = 0; i < p->inner; i += run) {
                int64_t s = scale_index(p, o, k, i);
                dequantize_run(call->in[0], call->out[0], (o * p->n + k) * p->inner + i, run,
                               real_at(call->in[1], s), whole_at(zeros, s));
            }
        }
    }
    return LEDGE_OK;
}

enum ledge_status ledge_dynamic_quantize_c(const struct ledge_kernel_call *call)
{
    const float *x = call->in[0]->data;
    uint8_t *y = call->out[0]->data;
    int64_t n = ledge_view_count(call->in[0]);
    float low = 0, high = 0;
    for (int64_t i = 0; i < n; i++) {
        low = x[i] < low ? x[i] : low;
        high = x[i] > high ? x[i] : high;
    }
    float scale = (high - low) / 255.0f;
    int32_t zero = scale > 0 ? saturate(rintf(-low / scale), 0, 255) : 0;
    for (int64_t i = 0; i < n; i++) {
        y[i] = scale > 0 ? (uint8_t)quantize(x[i], scale, zero, 0, 255) : (uint8_t)zero;
    }
    if (call->n_out > 1 && call->out[1] != NULL) {
        *(float *)call->out[1]->data = scale;
    }
    if (call->n_out > 2 && call->out[2] != NULL) {
        *(uint8_t *)call->out[2]->data = (uint8_t)zero;
    }
    return LEDGE_OK;
}

/* Real value of each of the 256 patterns of a byte. */
static void byte_table(const struct ledge_kernel_call *call, int32_t first, float table[256])
{
    float scale = real_at(call->in[first + 1], 0);
    int32_t zero = whole_at(call->in[first + 2], 0);
    bool is_signed = call->in[first]->dtype == LEDGE_I8;
    for (int32_t i = 0; i < 256; i++) {
        int32_t value = is_signed && i > 127 ? i - 256 : i;
        table[i] = (float)(value - zero) * scale;
    }
}

enum ledge_status ledge_qlinear_binary_c(const struct ledge_kernel_call *call)
{
    const struct ledge_qbinary *p = call->params;
    const uint8_t *a = call->in[0]->data, *b = call->in[3]->data;
    uint8_t *y = call->out[0]->data;
    float real_a[256], real_b[256], scale = real_at(call->in[6], 0);
    int32_t low, high, zero = whole_at(call->n_in > 7 ? call->in[7] : NULL, 0);
    int32_t inner = p->step.rank - 1;
    int64_t n = p->step.dims[inner], total = ledge_view_count(call->out[0]);
    byte_table(call, 0, real_a);
    byte_table(call, 3, real_b);
    limits(call->out[0]->dtype, &low, &high);
    for (int64_t k = 0; k < total; k += n) {
        int64_t left = k / n, at_a = 0, at_b = 0;
        for (int32_t i = inner - 1; i >= 0; i--) {
            at_a += left % p->step.dims[i] * p->step.stride_a[i];
            at_b += left % p->step.dims[i] * p->step.stride_b[i];
            left /= p->step.dims[i];
        }
        for (int64_t i = 0; i < n; i++) {
            float va = real_a[a[at_a + i * p->step.stride_a[inner]]];
            float vb = real_b[b[at_b + i * p->step.stride_b[inner]]];
            float v = p->multiply != 0 ? va * vb : va + vb;
            v = v < p->clamp.low ? p->clamp.low : v;
            v = v > p->clamp.high ? p->clamp.high : v;
            y[k + i] = (uint8_t)quantize(v, scale, zero, low, high);
        }
    }
    return LEDGE_OK;
}

enum ledge_status ledge_qlinear_global_pool_c(const struct ledge_kernel_call *call)
{
    const struct ledge_qpool *p = call->params;
    const struct ledge_view *x = call->in[0];
    float x_scale = real_at(call->in[1], 0), y_scale = real_at(call->in[3], 0);
    int32_t x_zero = whole_at(call->in[2], 0);
    int32_t low, high, y_zero = whole_at(call->n_in > 4 ? call->in[4] : NULL, 0);
    uint8_t *y = call->out[0]->data;
    limits(call->out[0]->dtype, &low, &high);
    for (int64_t o = 0; o < p->outer; o++) {
        for (int64_t c = 0; c < p->c; c++) {
            int64_t sum = 0;
            for (int64_t i = 0; i < p->inner; i++) {
                int64_t at = (o * p->inner + i) * p->c + c;
                sum += x->dtype == LEDGE_I8 ? ((const int8_t *)x->data)[at]
                                            : ((const uint8_t *)x->data)[at];
            }
            double mean = (double)(sum - (int64_t)x_zero * p->inner) / (double)p->inner;
            y[o * p->c + c] =
                (uint8_t)quantize((float)(mean * (double)x_scale), y_scale, y_zero, low, high);
        }
    }
    return LEDGE_OK;
}
