/* SPDX-License-Identifier: Apache-2.0 */
/* onnx_signal.c -- DFT, STFT, BlackmanWindow, HannWindow, HammingWindow, MelWeightMatrix. */
#include "engine/kernels/onnx_signal.h"

#include <string.h>

#include "engine/kernels/onnx_number.h"
#include "engine/ops/onnx.h"

#include "base/banned.h"

/* Steps of a transform of n: n times its largest prime may not be more. */
#define WORK_LIMIT ((int64_t)1 << 34)
#define LENGTH_MAX ((int64_t)1 << 26)

static enum ledge_status check_length(const struct ledge_op_infer *infer, int64_t n)
{
    if (n < 1 || n > LENGTH_MAX || n * ledge_largest_prime(n) > WORK_LIMIT) {
        return ledge_infer_fail(infer, LEDGE_ERR_UNSUPPORTED, "a transform of %lld", (long long)n);
    }
    return LEDGE_OK;
}

/* Roots of unity for params, and scratch for a transform. */
static const struct ledge_complex *make_roots(struct ledge_op_prepare *prepare, int64_t n)
{
    struct ledge_complex *roots = LEDGE_NEW_ARRAY(prepare->memory, struct ledge_complex, (size_t)n);
    if (roots != NULL) {
        ledge_fft_roots(roots, n);
    }
    prepare->scratch_bytes = (size_t)n * LEDGE_FFT_BUFFERS * sizeof *roots;
    return roots;
}

/* -- DFT -- */

/* Constant whole input i, or the fallback when it is absent. */
static enum ledge_status scalar_or(const struct ledge_op_infer *infer, int32_t i, int64_t fallback,
                                   int64_t *value)
{
    int32_t n = 1;
    *value = fallback;
    if (ledge_infer_in(infer, i) != NULL) {
        LEDGE_TRY(ledge_infer_ints(infer, i, value, 1, &n));
    }
    return n == 1 ? LEDGE_OK
                  : ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "input %d is no scalar", (int)i);
}

static enum ledge_status parse_dft(const struct ledge_op_infer *infer, struct ledge_dft *p,
                                   int32_t *axis)
{
    int64_t at, n;
    const struct ledge_node *node = infer->node;
    LEDGE_TRY(ledge_onnx_need(infer, 1));
    LEDGE_TRY(ledge_onnx_dtype_is(infer, 0, LEDGE_F32));
    const struct ledge_value *x = ledge_infer_in(infer, 0);
    if (node->opset < 20) {
        at = ledge_node_int(node, "axis", 1);
    } else {
        LEDGE_TRY(scalar_or(infer, 2, -2, &at));
    }
    LEDGE_TRY(ledge_onnx_axis(infer, at, x->rank, axis));
    int64_t parts = x->dims[x->rank - 1];
    bool onesided = ledge_node_int(node, "onesided", 0) != 0;
    if (*axis == x->rank - 1 || parts < 1 || parts > 2) {
        return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "axis %d, last dimension %lld", (int)*axis,
                                (long long)parts);
    }
    struct ledge_axis s = ledge_onnx_split(x, *axis);
    *p = (struct ledge_dft){.outer = s.outer,
                            .n_in = s.n,
                            .inner = s.inner / parts,
                            .parts = (int32_t)parts,
                            .out_parts = 2,
                            .inverse = ledge_node_int(node, "inverse", 0) != 0};
    bool back = p->inverse && onesided;
    if (s.n > LENGTH_MAX) {
        return ledge_infer_fail(infer, LEDGE_ERR_UNSUPPORTED, "a transform of %lld",
                                (long long)s.n);
    }
    LEDGE_TRY(scalar_or(infer, 1, back ? 2 * (s.n - 1) : s.n, &n));
    LEDGE_TRY(check_length(infer, n));
    p->n = n;
    p->n_out = onesided && !back ? n / 2 + 1 : n;
    p->out_parts = back ? 1 : 2;
    return LEDGE_OK;
}

enum ledge_status ledge_onnx_dft_infer(struct ledge_op_infer *infer)
{
    struct ledge_dft p;
    int32_t axis;
    int64_t dims[LEDGE_MAX_RANK];
    LEDGE_TRY(parse_dft(infer, &p, &axis));
    const struct ledge_value *x = ledge_infer_in(infer, 0);
    memcpy(dims, x->dims, sizeof dims);
    dims[axis] = p.n_out;
    dims[x->rank - 1] = p.out_parts;
    return ledge_infer_out(infer, 0, LEDGE_F32, x->rank, dims);
}

enum ledge_status ledge_onnx_dft_prepare(struct ledge_op_prepare *prepare)
{
    struct ledge_op_infer infer = ledge_onnx_as_infer(prepare);
    struct ledge_dft p;
    int32_t axis;
    LEDGE_TRY(parse_dft(&infer, &p, &axis));
    p.roots = make_roots(prepare, p.n);
    return p.roots == NULL ? ledge_prepare_fail(prepare, LEDGE_ERR_NOMEM, "no memory")
                           : ledge_onnx_ready(prepare, ledge_dft_c, "DFT_c", &p, sizeof p);
}

/* -- STFT -- */

static enum ledge_status parse_stft(const struct ledge_op_infer *infer, struct ledge_stft *p)
{
    LEDGE_TRY(ledge_onnx_need(infer, 2));
    LEDGE_TRY(ledge_onnx_dtype_is(infer, 0, LEDGE_F32));
    LEDGE_TRY(ledge_onnx_dtype_is(infer, 2, LEDGE_F32));
    const struct ledge_value *x = ledge_infer_in(infer, 0), *window = ledge_infer_in(infer, 2);
    if (x->rank != 3 || x->dims[2] < 1 || x->dims[2] > 2 || (window != NULL && window->rank != 1)) {
        return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "the signal or the window");
    }
    *p = (struct ledge_stft){.batch = x->dims[0], .len = x->dims[1], .parts = (int32_t)x->dims[2]};
    LEDGE_TRY(scalar_or(infer, 1, 0, &p->step));
    LEDGE_TRY(scalar_or(infer, 3, window != NULL ? window->dims[0] : p->len, &p->n));
    LEDGE_TRY(check_length(infer, p->n));
    p->taps = window != NULL ? window->dims[0] : p->n;
    if (p->step < 1 || p->n > p->len || p->taps > p->n) {
        return ledge_infer_fail(infer, LEDGE_ERR_RANGE, "frames of %lld by %lld", (long long)p->n,
                                (long long)p->step);
    }
    p->frames = 1 + (p->len - p->n) / p->step;
    p->bins = ledge_node_int(infer->node, "onesided", 1) != 0 ? p->n / 2 + 1 : p->n;
    return LEDGE_OK;
}

enum ledge_status ledge_onnx_stft_infer(struct ledge_op_infer *infer)
{
    struct ledge_stft p;
    LEDGE_TRY(parse_stft(infer, &p));
    return ledge_infer_out(infer, 0, LEDGE_F32, 4, (int64_t[]){p.batch, p.frames, p.bins, 2});
}

enum ledge_status ledge_onnx_stft_prepare(struct ledge_op_prepare *prepare)
{
    struct ledge_op_infer infer = ledge_onnx_as_infer(prepare);
    struct ledge_stft p;
    LEDGE_TRY(parse_stft(&infer, &p));
    p.roots = make_roots(prepare, p.n);
    return p.roots == NULL ? ledge_prepare_fail(prepare, LEDGE_ERR_NOMEM, "no memory")
                           : ledge_onnx_ready(prepare, ledge_stft_c, "STFT_c", &p, sizeof p);
}

/* -- windows and filters -- */

static enum ledge_status real_out(struct ledge_op_infer *infer, int32_t rank, const int64_t *dims)
{
    int64_t dtype = ledge_node_int(infer->node, "output_datatype", LEDGE_F32);
    if (dtype <= 0 || dtype > 64 || ledge_dtype_size((enum ledge_dtype)dtype) == 0) {
        return ledge_infer_fail(infer, LEDGE_ERR_UNSUPPORTED, "element type %lld",
                                (long long)dtype);
    }
    return ledge_infer_out(infer, 0, (enum ledge_dtype)dtype, rank, dims);
}

enum ledge_status ledge_onnx_window_infer(struct ledge_op_infer *infer)
{
    int64_t n;
    LEDGE_TRY(ledge_onnx_need(infer, 1));
    LEDGE_TRY(scalar_or(infer, 0, 0, &n));
    if (n < 0 || n > LEDGE_ONNX_TABLE_MAX) {
        return ledge_infer_fail(infer, LEDGE_ERR_RANGE, "a window of %lld elements (0 .. %d)",
                                (long long)n, LEDGE_ONNX_TABLE_MAX);
    }
    return real_out(infer, 1, &n);
}

enum ledge_status ledge_onnx_window_prepare(struct ledge_op_prepare *prepare)
{
    static const struct {
        const char *op;
        double a, b, c;
    } kinds[] = {{"HannWindow", 0.5, 0.5, 0},
                 {"HammingWindow", 25.0 / 46.0, 21.0 / 46.0, 0},
                 {"BlackmanWindow", 0.42, 0.5, 0.08}};
    int64_t n = ledge_prepare_out(prepare, 0)->dims[0];
    struct ledge_window p = {.period = (double)n};
    if (ledge_node_int(prepare->node, "periodic", 1) == 0) {
        p.period = (double)(n - 1);
    }
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strcmp(kinds[i].op, prepare->node->op) == 0) {
            p.a = kinds[i].a;
            p.b = kinds[i].b;
            p.c = kinds[i].c;
        }
    }
    return ledge_onnx_ready(prepare, ledge_window_c, "Window_c", &p, sizeof p);
}

enum ledge_status ledge_onnx_mel_infer(struct ledge_op_infer *infer)
{
    int64_t bins, length;
    LEDGE_TRY(ledge_onnx_need(infer, 5));
    LEDGE_TRY(scalar_or(infer, 0, 0, &bins));
    LEDGE_TRY(scalar_or(infer, 1, 0, &length));
    for (int32_t i = 2; i < 5; i++) {
        if (ledge_onnx_count(ledge_infer_in(infer, i)) != 1) {
            return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "input %d is no scalar", (int)i);
        }
    }
    if (bins < 1 || length < 1 || bins > LENGTH_MAX || length > LENGTH_MAX) {
        return ledge_infer_fail(infer, LEDGE_ERR_RANGE, "%lld bins of a transform of %lld",
                                (long long)bins, (long long)length);
    }
    return real_out(infer, 2, (int64_t[]){length / 2 + 1, bins});
}

enum ledge_status ledge_onnx_mel_prepare(struct ledge_op_prepare *prepare)
{
    return ledge_onnx_ready(prepare, ledge_mel_c, "MelWeightMatrix_c", NULL, 0);
}
