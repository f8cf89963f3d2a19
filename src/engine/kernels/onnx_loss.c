/* SPDX-License-Identifier: Apache-2.0 */
/* onnx_loss.c -- see onnx_loss.h. Sums in double. */
#include "engine/kernels/onnx_loss.h"

#include <math.h>

#include "base/status.h"
#include "engine/kernels/onnx_number.h"
#include "engine/kernels/quant.h"
#include "engine/kernels/real.h"

#include "base/banned.h"

/* log sum exp over the classes of one place. */
static double log_sum(const float *x, int64_t c, int64_t step)
{
    double most = -(double)INFINITY, sum = 0;
    for (int64_t k = 0; k < c; k++) {
        most = (double)x[k * step] > most ? (double)x[k * step] : most;
    }
    for (int64_t k = 0; k < c; k++) {
        sum += ledge_exp((double)x[k * step] - most);
    }
    return most + ledge_log(sum);
}

enum ledge_status ledge_loss_c(const struct ledge_kernel_call *call)
{
    const struct ledge_loss *p = call->params;
    const struct ledge_view *target = call->in[1], *weights = ledge_call_in(call, 2);
    float *loss = call->out[0] != NULL ? call->out[0]->data : NULL;
    float *logs = call->n_out > 1 && call->out[1] != NULL ? call->out[1]->data : NULL;
    double total = 0, weight_sum = 0;
    for (int64_t at = 0; at < p->n * p->inner; at++) {
        int64_t base = at / p->inner * p->c * p->inner + at % p->inner, t;
        const float *x = (const float *)call->in[0]->data + base;
        double shift = p->softmax ? log_sum(x, p->c, p->inner) : 0;
        for (int64_t k = 0; logs != NULL && k < p->c; k++) {
            logs[base + k * p->inner] = (float)((double)x[k * p->inner] - shift);
        }
        ledge_load_whole(target->data, target->dtype, at, 1, &t);
        bool ignored = p->has_ignore && t == p->ignore;
        if (!ignored && (t < 0 || t >= p->c)) {
            return ledge_fail(call->err, LEDGE_ERR_RANGE, "target %lld of %lld classes",
                              (long long)t, (long long)p->c);
        }
        double weight = ignored           ? 0
                        : weights != NULL ? (double)((const float *)weights->data)[t]
                                          : 1;
        double value = ignored ? 0 : -weight * ((double)x[t * p->inner] - shift);
        if (loss != NULL && p->reduction == LEDGE_LOSS_NONE) {
            loss[at] = (float)value;
        }
        total += value;
        weight_sum += weight;
    }
    if (loss != NULL && p->reduction != LEDGE_LOSS_NONE) {
        loss[0] = (float)(p->reduction == LEDGE_LOSS_MEAN ? total / weight_sum : total);
    }
    return LEDGE_OK;
}
