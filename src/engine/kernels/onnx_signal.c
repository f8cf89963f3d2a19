/* SPDX-License-Identifier: Apache-2.0 */
/* onnx_signal.c -- see onnx_signal.h. The transform is Cooley and Tukey's with any factors: split n
 * by its smallest prime p, transform p interleaved parts, join them by p-point sums. */
#include "engine/kernels/onnx_signal.h"

#include <math.h>

#include "engine/kernels/onnx_number.h"
#include "engine/kernels/quant.h"
#include "engine/kernels/real.h"

#include "base/banned.h"

#define PI 3.14159265358979323846

static int64_t smallest_prime(int64_t n)
{
    for (int64_t p = 2; p <= n / p; p++) {
        if (n % p == 0) {
            return p;
        }
    }
    return n;
}

int64_t ledge_largest_prime(int64_t n)
{
    int64_t p = 1;
    while (n > 1) {
        p = smallest_prime(n);
        n /= p;
    }
    return p;
}

void ledge_fft_roots(struct ledge_complex *roots, int64_t n)
{
    for (int64_t k = 0; k < n; k++) {
        double angle = -2 * PI * (double)k / (double)n;
        roots[k] = (struct ledge_complex){ledge_cos(angle), ledge_sin(angle)};
    }
}

struct fft {
    const struct ledge_complex *roots;
    int64_t n;
    bool inverse;
    struct ledge_complex *butterfly;
};

static struct ledge_complex turned(const struct fft *f, struct ledge_complex v, int64_t k)
{
    struct ledge_complex w = f->roots[k % f->n];
    double im = f->inverse ? -w.im : w.im;
    return (struct ledge_complex){v.re * w.re - v.im * im, v.re * im + v.im * w.re};
}

/* y[0 .. n) = the transform of x[0], x[step], ...; n divides f->n. */
static void transform(const struct fft *f, const struct ledge_complex *x, int64_t step,
                      struct ledge_complex *y, int64_t n)
{
    if (n == 1) {
        y[0] = x[0];
        return;
    }
    int64_t p = smallest_prime(n), m = n / p, scale = f->n / n;
    for (int64_t k = 0; k < p; k++) {
        transform(f, x + k * step, step * p, y + k * m, m);
    }
    for (int64_t j = 0; j < m; j++) {
        for (int64_t k = 0; k < p; k++) {
            f->butterfly[k] = turned(f, y[k * m + j], j * k * scale);
        }
        for (int64_t q = 0; q < p; q++) {
            struct ledge_complex sum = f->butterfly[0];
            for (int64_t k = 1; k < p; k++) {
                struct ledge_complex v = turned(f, f->butterfly[k], k * q % p * m * scale);
                sum.re += v.re;
                sum.im += v.im;
            }
            y[q * m + j] = sum;
        }
    }
}

static struct ledge_complex load(const float *x, int64_t at, int32_t parts)
{
    return (struct ledge_complex){(double)x[at * parts],
                                  parts == 2 ? (double)x[at * parts + 1] : 0};
}

/* The other half of a real signal's spectrum mirrors the first. */
static void mirror(struct ledge_complex *x, int64_t n)
{
    x[0].im = 0;
    for (int64_t k = n / 2 + 1; k < n; k++) {
        x[k] = (struct ledge_complex){x[n - k].re, -x[n - k].im};
    }
    if (n % 2 == 0) {
        x[n / 2].im = 0;
    }
}

enum ledge_status ledge_dft_c(const struct ledge_kernel_call *call)
{
    const struct ledge_dft *p = call->params;
    const float *x = call->in[0]->data;
    float *y = call->out[0]->data;
    struct ledge_complex *signal = call->scratch, *answer = signal + p->n;
    struct fft f = {
        .roots = p->roots, .n = p->n, .inverse = p->inverse, .butterfly = answer + p->n};
    double scale = p->inverse ? 1 / (double)p->n : 1;
    for (int64_t line = 0; line < p->outer * p->inner; line++) {
        int64_t o = line / p->inner, i = line % p->inner;
        for (int64_t k = 0; k < p->n; k++) {
            signal[k] = k < p->n_in ? load(x, (o * p->n_in + k) * p->inner + i, p->parts)
                                    : (struct ledge_complex){0, 0};
        }
        if (p->out_parts == 1) {
            mirror(signal, p->n);
        }
        transform(&f, signal, 1, answer, p->n);
        for (int64_t k = 0; k < p->n_out; k++) {
            int64_t at = ((o * p->n_out + k) * p->inner + i) * p->out_parts;
            y[at] = (float)(answer[k].re * scale);
            if (p->out_parts == 2) {
                y[at + 1] = (float)(answer[k].im * scale);
            }
        }
    }
    return LEDGE_OK;
}

enum ledge_status ledge_stft_c(const struct ledge_kernel_call *call)
{
    const struct ledge_stft *p = call->params;
    const struct ledge_view *window = ledge_call_in(call, 2);
    float *y = call->out[0]->data;
    struct ledge_complex *signal = call->scratch, *answer = signal + p->n;
    struct fft f = {.roots = p->roots, .n = p->n, .butterfly = answer + p->n};
    for (int64_t frame = 0; frame < p->batch * p->frames; frame++) {
        const float *x = (const float *)call->in[0]->data +
                         (frame / p->frames * p->len + frame % p->frames * p->step) * p->parts;
        for (int64_t k = 0; k < p->n; k++) {
            signal[k] = k < p->taps ? load(x, k, p->parts) : (struct ledge_complex){0, 0};
            if (window != NULL && k < p->taps) {
                signal[k].re *= (double)((const float *)window->data)[k];
                signal[k].im *= (double)((const float *)window->data)[k];
            }
        }
        transform(&f, signal, 1, answer, p->n);
        for (int64_t k = 0; k < p->bins; k++) {
            *y++ = (float)answer[k].re;
            *y++ = (float)answer[k].im;
        }
    }
    return LEDGE_OK;
}

enum ledge_status ledge_window_c(const struct ledge_kernel_call *call)
{
    const struct ledge_window *p = call->params;
    const struct ledge_view *out = call->out[0];
    int64_t n = ledge_view_count(out);
    for (int64_t i = 0; i < n; i++) {
        double angle = 2 * PI * (double)i / p->period;
        double v = p->a - p->b * ledge_cos(angle) + p->c * ledge_cos(2 * angle);
        ledge_store_real(&v, 1, out->data, out->dtype, i);
    }
    return LEDGE_OK;
}

static double scalar(const struct ledge_kernel_call *call, int32_t i)
{
    double v;
    ledge_load_real(call->in[i]->data, call->in[i]->dtype, 0, 1, &v);
    return v;
}

/* Row of the spectrum where edge number k of the filters lies; far out of it for silly edges. */
static double edge_row(const struct ledge_kernel_call *call, double bins, double k)
{
    double low = 2595 * 0.4342944819032518 * ledge_log(1 + scalar(call, 3) / 700);
    double high = 2595 * 0.4342944819032518 * ledge_log(1 + scalar(call, 4) / 700);
    double hertz = 700 * (ledge_pow(10, (low + k * (high - low) / (bins + 2)) / 2595) - 1);
    double row = floor((scalar(call, 1) + 1) * hertz / scalar(call, 2));
    return row > -1e9 ? (row < 1e9 ? row : 1e9) : -1e9;
}

enum ledge_status ledge_mel_c(const struct ledge_kernel_call *call)
{
    const struct ledge_view *out = call->out[0];
    int64_t rows = out->dims[0], bins = out->dims[1];
    for (int64_t i = 0; i < bins; i++) {
        double left = edge_row(call, (double)bins, (double)i);
        double middle = edge_row(call, (double)bins, (double)(i + 1));
        double right = edge_row(call, (double)bins, (double)(i + 2));
        for (int64_t row = 0; row < rows; row++) {
            double r = (double)row, v = 0;
            if (r >= left && r <= middle) {
                v = middle > left ? (r - left) / (middle - left) : 1;
            }
            if (r >= middle && r < right) {
                v = (right - r) / (right - middle);
            }
            ledge_store_real(&v, 1, out->data, out->dtype, row * bins + i);
        }
    }
    return LEDGE_OK;
}
