/* SPDX-License-Identifier: Apache-2.0 */
/* tfl_activation.c -- Logistic, Tanh, Softmax of i16: tables and scales. */
#include <math.h>
#include <string.h>

#include "base/banned.h"
#include "base/status.h"
#include "engine/kernels/real.h"
#include "engine/kernels/tfl_activation.h"
#include "engine/ops/tfl.h"

static bool is_wide(const struct ledge_value *x)
{
    return LEDGE_HAS(LEDGE_PART_WIDE) && x != NULL && x->dtype == LEDGE_I16;
}

enum ledge_status ledge_tfl_infer_curve(struct ledge_op_infer *infer)
{
    const struct ledge_value *x = ledge_infer_in(infer, 0);
    return is_wide(x) ? ledge_infer_out(infer, 0, LEDGE_I16, x->rank, x->dims)
                      : ledge_tfl_infer_same(infer);
}

/* Zero points 0, the output's scale 2^-15. */
static enum ledge_status check_scales(const struct ledge_op_prepare *prepare, float *x_scale)
{
    struct ledge_tfl_scale_of x, y;
    LEDGE_TRY(ledge_tfl_wide_quant(prepare, ledge_prepare_in(prepare, 0), &x));
    LEDGE_TRY(ledge_tfl_wide_quant(prepare, ledge_prepare_out(prepare, 0), &y));
    if (x.zero != 0 || y.zero != 0 || fabsf(y.scale * 32768.0f - 1.0f) > 0.001f ||
        ledge_prepare_out(prepare, 0)->dtype != LEDGE_I16) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_UNSUPPORTED,
                                  "i16 with zero points %d and %d, output scale %g", (int)x.zero,
                                  (int)y.zero, (double)y.scale);
    }
    *x_scale = x.scale;
    return LEDGE_OK;
}

static double sigmoid_at(double i)
{
    return 65536.0 / (1.0 + ledge_exp(-i / 24.0));
}

enum ledge_status ledge_tfl_prepare_curve(struct ledge_op_prepare *prepare)
{
    float scale;
    if (!is_wide(ledge_prepare_in(prepare, 0))) {
        return ledge_tfl_prepare_table(prepare);
    }
    LEDGE_TRY(check_scales(prepare, &scale));
    struct ledge_tfl_sigmoid_params *p = ledge_tfl_params(prepare, sizeof *p);
    if (p == NULL) {
        return LEDGE_ERR_NOMEM;
    }
    p->tanh = strcmp(prepare->node->op, "Tanh") == 0;
    for (int i = 0; i < 256; i++) {
        /* Half of what a line to the next entry is wrong by in the middle is put on top. */
        double chord = (sigmoid_at(i) + sigmoid_at(i + 1)) / 2;
        double entry = sigmoid_at(i) + (sigmoid_at(i + 0.5) - chord) / 2;
        p->table[i] = (uint16_t)(i < 255 ? floor(entry + 0.5) : 65535.0);
    }
    /* A scale of 2^-12 (Tanh: or 2^-11) needs no rounding. */
    float power = log2f(scale);
    int32_t left = 12 + (int32_t)roundf(power);
    if (fabsf(power - roundf(power)) < 1e-3f && (left == 0 || (p->tanh && left == 1))) {
        p->multiplier = 3 << left;
    } else {
        double real = (double)scale * 4096.0 * 3.0;
        while (real <= 32767.0 / 2.0 && p->shift <= 30) {
            p->shift++;
            real *= 2.0;
        }
        if (real > 32767.0) {
            return ledge_prepare_fail(prepare, LEDGE_ERR_RANGE, "scale %g", (double)scale);
        }
        p->multiplier = (int32_t)real;
    }
    prepare->params = p;
    prepare->run = ledge_tfl_sigmoid_i16_c;
    prepare->kernel = p->tanh ? "tfl_tanh_i16_c" : "tfl_logistic_i16_c";
    return LEDGE_OK;
}

static double reciprocal_of(double x)
{
    return 1.0 / (1.0 + x);
}

/* 513 entries of f from `from` on, unit to 1: each is off by half of what a line to the next one is
 * wrong by in the middle. */
static void fill_table(double (*f)(double), double from, double range, int16_t *table)
{
    const double unit = 32768.0;
    double step = range / 512;
    for (int i = 0; i < 512; i++) {
        double at = round(f(from + i * step) * unit);
        double next = f(from + (i + 1) * step) * unit;
        double middle = round(f(from + i * step + step / 2) * unit);
        double off = round((next + at) / 2) - middle;
        table[i] = (int16_t)fmin(at - round(off / 2), 32767.0);
    }
    table[512] = (int16_t)fmin(round(f(from + range) * unit), 32767.0);
}

enum ledge_status ledge_tfl_prepare_softmax_i16(struct ledge_op_prepare *prepare)
{
    const struct ledge_value *x = ledge_prepare_in(prepare, 0);
    float scale, beta = ledge_node_float(prepare->node, "beta", 1.0f);
    LEDGE_TRY(check_scales(prepare, &scale));
    struct ledge_tfl_softmax16_params *p = ledge_tfl_params(prepare, sizeof *p);
    if (p == NULL) {
        return LEDGE_ERR_NOMEM;
    }
    if (x->rank < 1 || !(beta > 0)) {
        return ledge_prepare_fail(prepare, LEDGE_ERR_UNSUPPORTED, "rank %d or beta %g",
                                  (int)x->rank, (double)beta);
    }
    p->depth = x->dims[x->rank - 1];
    LEDGE_TRY(
        ledge_tfl_factor_of(prepare, (double)scale * (double)beta / (10.0 / 65535.0), &p->factor));
    fill_table(ledge_exp, -10.0, 10.0, p->exponential);
    fill_table(reciprocal_of, 0.0, 1.0, p->reciprocal);
    prepare->params = p;
    prepare->run = ledge_tfl_softmax_i16_c;
    prepare->kernel = "tfl_softmax_i16_c";
    return LEDGE_OK;
}
