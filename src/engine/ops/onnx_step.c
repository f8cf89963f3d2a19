/* SPDX-License-Identifier: Apache-2.0 */
/* onnx_step.c -- Adagrad, Adam, Momentum of ai.onnx.preview.training. */
#include "engine/kernels/onnx_step.h"

#include <string.h>

#include "engine/ops/onnx.h"

#include "base/banned.h"

static enum ledge_status parse(const struct ledge_op_infer *infer, struct ledge_step *p)
{
    const struct ledge_node *node = infer->node;
    bool adam = strcmp(node->op, "Adam") == 0, adagrad = strcmp(node->op, "Adagrad") == 0;
    int32_t per = adam ? 4 : 3;
    LEDGE_TRY(ledge_onnx_need(infer, node->n_in > 2 ? node->n_in : 2));
    *p = (struct ledge_step){.n = (node->n_in - 2) / per,
                             .alpha = (double)ledge_node_float(node, "alpha", adam ? 0.9f : 0.0f),
                             .beta = (double)ledge_node_float(node, "beta", adam ? 0.999f : 0.0f),
                             .epsilon = (double)ledge_node_float(node, "epsilon", 1e-6f),
                             .decay = (double)ledge_node_float(node, "decay_factor", 0),
                             .norm = (double)ledge_node_float(node, "norm_coefficient", 0),
                             .norm_post =
                                 (double)ledge_node_float(node, "norm_coefficient_post", 0)};
    p->kind = adam      ? LEDGE_STEP_ADAM
              : adagrad ? LEDGE_STEP_ADAGRAD
              : strcmp(ledge_node_string(node, "mode", "standard"), "nesterov") == 0
                  ? LEDGE_STEP_NESTEROV
                  : LEDGE_STEP_MOMENTUM;
    if (p->n < 1 || node->n_in != 2 + per * p->n || ledge_infer_in(infer, 1)->dtype != LEDGE_I64 ||
        ledge_onnx_count(ledge_infer_in(infer, 0)) != 1 ||
        ledge_onnx_count(ledge_infer_in(infer, 1)) != 1) {
        return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "%d inputs", (int)node->n_in);
    }
    for (int32_t i = 0; i < node->n_in; i++) {
        const struct ledge_value *v = ledge_infer_in(infer, i),
                                 *x = ledge_infer_in(infer, 2 + (i < 2 ? 0 : (i - 2) % p->n));
        LEDGE_TRY(i == 1 ? LEDGE_OK : ledge_onnx_dtype_is(infer, i, LEDGE_F32));
        if (i >= 2 && (v->rank != x->rank ||
                       memcmp(v->dims, x->dims, (size_t)x->rank * sizeof *x->dims) != 0)) {
            return ledge_infer_fail(infer, LEDGE_ERR_SHAPE, "shape of input %d", (int)i);
        }
    }
    return LEDGE_OK;
}

enum ledge_status ledge_onnx_step_infer(struct ledge_op_infer *infer)
{
    struct ledge_step p;
    LEDGE_TRY(parse(infer, &p));
    for (int32_t i = 0; i < infer->node->n_in - 2 - p.n; i++) {
        const struct ledge_value *x = ledge_infer_in(infer, 2 + i % p.n);
        LEDGE_TRY(ledge_infer_out(infer, i, LEDGE_F32, x->rank, x->dims));
    }
    return LEDGE_OK;
}

enum ledge_status ledge_onnx_step_prepare(struct ledge_op_prepare *prepare)
{
    struct ledge_op_infer infer = ledge_onnx_as_infer(prepare);
    struct ledge_step p;
    LEDGE_TRY(parse(&infer, &p));
    return ledge_onnx_ready(prepare, ledge_step_c, "Optimizer_c", &p, sizeof p);
}
