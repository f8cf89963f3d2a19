/* SPDX-License-Identifier: Apache-2.0 */
/* tfl_fft_c.c -- the real transform of i16 that TFLM computes, and RFFT2D of f32.
 *
 * i16: length / 2 complex numbers by decimation in time, radix 4 as often as it goes, then radix 2;
 * each stage divides by its radix first, each product is rounded. The spectrum of the real signal
 * follows from that of the complex one whose parts are its even and odd samples. The order of
 * stages and of roundings is part of the definition: it is that of the KISS FFT library in 16 bits.
 * f32: radix 2 in double.
 */
#include <string.h>

#include "base/checked.h"
#include "engine/kernels/tfl_signal.h"

struct complex16 {
    int16_t re, im;
};

static int16_t wrap(int32_t x)
{
    return (int16_t)(uint16_t)(uint32_t)x;
}

static int16_t rounded(int32_t x)
{
    return wrap((x + (1 << 14)) >> 15);
}

/* x / n, by the reciprocal in 15 bits. */
static struct complex16 divided(struct complex16 x, int32_t n)
{
    return (struct complex16){rounded(x.re * (INT16_MAX / n)), rounded(x.im * (INT16_MAX / n))};
}

static struct complex16 add(struct complex16 a, struct complex16 b)
{
    return (struct complex16){wrap(a.re + b.re), wrap(a.im + b.im)};
}

static struct complex16 subtract(struct complex16 a, struct complex16 b)
{
    return (struct complex16){wrap(a.re - b.re), wrap(a.im - b.im)};
}

static struct complex16 multiply(struct complex16 a, const int16_t *w)
{
    int64_t re = (int64_t)a.re * w[0] - (int64_t)a.im * w[1];
    int64_t im = (int64_t)a.re * w[1] + (int64_t)a.im * w[0];
    return (struct complex16){wrap((int32_t)((re + (1 << 14)) >> 15)),
                              wrap((int32_t)((im + (1 << 14)) >> 15))};
}

static void radix_2(struct complex16 *x, int64_t m, int64_t stride, const int16_t *twiddles)
{
    for (int64_t k = 0; k < m; k++) {
        struct complex16 a = divided(x[k], 2);
        struct complex16 b = multiply(divided(x[k + m], 2), twiddles + 2 * k * stride);
        x[k] = add(a, b);
        x[k + m] = subtract(a, b);
    }
}

static void radix_4(struct complex16 *x, int64_t m, int64_t stride, const int16_t *twiddles)
{
    for (int64_t k = 0; k < m; k++) {
        struct complex16 first = divided(x[k], 4), part[4];
        for (int64_t i = 1; i < 4; i++) {
            part[i] = multiply(divided(x[k + i * m], 4), twiddles + 2 * i * k * stride);
        }
        struct complex16 low = subtract(first, part[2]);
        struct complex16 sum = add(part[1], part[3]), gap = subtract(part[1], part[3]);
        first = add(first, part[2]);
        x[k] = add(first, sum);
        x[k + 2 * m] = subtract(first, sum);
        x[k + m] = (struct complex16){wrap(low.re + gap.im), wrap(low.im - gap.re)};
        x[k + 3 * m] = (struct complex16){wrap(low.re - gap.im), wrap(low.im + gap.re)};
    }
}

/* Radix of the stage whose groups are n long: 4 first, a single 2 at the end. */
static int64_t radix_of(int64_t n)
{
    return n % 4 == 0 ? 4 : 2;
}

/* Where element `at` of the last stage's input comes from: its digits in the opposite order. */
static int64_t source(int64_t at, int64_t n)
{
    int64_t from = 0, step = 1;
    for (int64_t group = n; group > 1;) {
        int64_t radix = radix_of(group);
        group /= radix;
        from += at / group * step;
        at %= group;
        step *= radix;
    }
    return from;
}

static void transform(const int16_t *signal, struct complex16 *x, int64_t n,
                      const int16_t *twiddles)
{
    for (int64_t i = 0; i < n; i++) {
        int64_t from = source(i, n);
        x[i] = (struct complex16){signal[2 * from], signal[2 * from + 1]};
    }
    int64_t group = n;
    while (group > 1) { /* the smallest group */
        int64_t radix = radix_of(group);
        if (group == radix) {
            break;
        }
        group /= radix;
    }
    for (int64_t m = 1; m < n; m = group, group *= 4) {
        for (int64_t at = 0; at < n; at += group) {
            (group == 4 * m ? radix_4 : radix_2)(x + at, m, n / group, twiddles);
        }
    }
}

static void unmix(const struct complex16 *x, int64_t n, const int16_t *last, int16_t *y)
{
    struct complex16 zero = divided(x[0], 2);
    y[0] = wrap(zero.re + zero.im);
    y[2 * n] = wrap(zero.re - zero.im);
    y[1] = y[2 * n + 1] = 0;
    for (int64_t k = 1; k <= n / 2; k++) {
        struct complex16 a = divided(x[k], 2);
        struct complex16 b = divided((struct complex16){x[n - k].re, wrap(-x[n - k].im)}, 2);
        struct complex16 sum = add(a, b);
        struct complex16 turned = multiply(subtract(a, b), last + 2 * (k - 1));
        y[2 * k] = wrap((sum.re + turned.re) >> 1);
        y[2 * k + 1] = wrap((sum.im + turned.im) >> 1);
        y[2 * (n - k)] = wrap((sum.re - turned.re) >> 1);
        y[2 * (n - k) + 1] = wrap((turned.im - sum.im) >> 1);
    }
}

enum ledge_status ledge_signal_rfft_c(const struct ledge_kernel_call *call)
{
    const struct ledge_signal_rfft_params *p = call->params;
    int16_t *signal = call->scratch;
    struct complex16 *x = (struct complex16 *)(signal + p->length);
    int64_t rows = ledge_view_count(call->in[0]) / p->n;
    for (int64_t r = 0; r < rows; r++) {
        memcpy(signal, (const int16_t *)call->in[0]->data + r * p->n,
               (size_t)p->n * sizeof *signal);
        memset(signal + p->n, 0, (size_t)(p->length - p->n) * sizeof *signal);
        transform(signal, x, p->length / 2, p->twiddles);
        unmix(x, p->length / 2, p->last, (int16_t *)call->out[0]->data + r * (p->length + 2));
    }
    return LEDGE_OK;
}

/* -- RFFT2D -- */

struct complex64 {
    double re, im;
};

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* A line of n complex numbers at stride, through `line`; twiddles are those of m. */
static void line_fft(struct complex64 *x, int64_t n, int64_t stride, struct complex64 *line,
                     const double *twiddles, int64_t m)
{
    for (int64_t i = 0, reversed = 0; i < n; i++) {
        line[reversed] = x[i * stride];
        int64_t bit = n >> 1;
        for (; bit > 0 && (reversed & bit) != 0; bit >>= 1) {
            reversed ^= bit;
        }
        reversed |= bit;
    }
    for (int64_t half = 1; half < n; half *= 2) {
        for (int64_t at = 0; at < n; at++) {
            if ((at & half) != 0) {
                continue;
            }
            const double *w = twiddles + 2 * (at % half) * (m / (2 * half));
            struct complex64 a = line[at], b = line[at + half];
            struct complex64 t = {b.re * w[0] - b.im * w[1], b.re * w[1] + b.im * w[0]};
            line[at] = (struct complex64){a.re + t.re, a.im + t.im};
            line[at + half] = (struct complex64){a.re - t.re, a.im - t.im};
        }
    }
    for (int64_t i = 0; i < n; i++) {
        x[i * stride] = line[i];
    }
}

size_t ledge_tfl_rfft2d_scratch(const struct ledge_tfl_rfft2d_params *p)
{
    size_t n;
    bool fits = ledge_mul_size((size_t)p->out[0], (size_t)p->out[1], &n) &&
                ledge_add_size(n, (size_t)larger(p->out[0], p->out[1]), &n) &&
                ledge_mul_size(n, sizeof(struct complex64), &n);
    return fits ? n : 0;
}

static void picture_fft(const struct ledge_tfl_rfft2d_params *p, const float *x,
                        struct complex64 *plane, float *y)
{
    int64_t rows = p->out[0], columns = p->out[1], m = larger(rows, columns);
    struct complex64 *line = plane + rows * columns;
    memset(plane, 0, (size_t)(rows * columns) * sizeof *plane);
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t c = 0; r < p->in[0] && c < columns && c < p->in[1]; c++) {
            plane[r * columns + c].re = (double)x[r * p->in[1] + c];
        }
        line_fft(plane + r * columns, columns, 1, line, p->twiddles, m);
    }
    for (int64_t c = 0; c <= columns / 2; c++) {
        line_fft(plane + c, rows, columns, line, p->twiddles, m);
        for (int64_t r = 0; r < rows; r++) {
            float *to = y + (r * (columns / 2 + 1) + c) * 2;
            to[0] = (float)plane[r * columns + c].re;
            to[1] = (float)plane[r * columns + c].im;
        }
    }
}

enum ledge_status ledge_tfl_rfft2d_c(const struct ledge_kernel_call *call)
{
    const struct ledge_tfl_rfft2d_params *p = call->params;
    for (int64_t i = 0; i < p->pictures; i++) {
        picture_fft(p, (const float *)call->in[0]->data + i * p->in[0] * p->in[1], call->scratch,
                    (float *)call->out[0]->data + i * p->out[0] * (p->out[1] / 2 + 1) * 2);
    }
    return LEDGE_OK;
}
