/* SPDX-License-Identifier: Apache-2.0 */
/* ops.h -- operators of domain "ledge.train", given to a graph by graph->extra_ops = &train_ops.
 *
 * Flow:    grad/grad.h adds these nodes -> [ops.h] -> the engine's planner and runner
 * All work on f32, NCHW. Every sum has an order fixed by shapes and CPU rung, so 1 and n threads
 * give the same bytes.
 *
 * Conv              x, w, b?            -> y            attributes as ONNX Conv
 * ConvGradInput     dy, w, x            -> dx           x for its shape
 * ConvGradWeight    x, dy, w            -> dw, db?      w for its shape
 * MatMul            a, b, c?            -> y            trans_a, trans_b, alpha, beta; c
 * broadcasts; leading dims are a batch BatchNorm         x, gamma, beta      -> y, mean, var
 * epsilon; batch statistics, var biased BatchNormGrad     x, dy, gamma, mean, var -> dx, dgamma,
 * dbeta AffineGrad        dy, gamma, var      -> dx           BatchNormalization with fixed
 * statistics <F>Grad           dy, y or x          -> dx           F: see unary.c MaxPoolGrad x, dy
 * -> dx           attributes as ONNX MaxPool AveragePoolGrad   dy, x               -> dx attributes
 * as ONNX AveragePool SpreadLike        dy, x               -> dx           axes, mean: dy spread
 * over the reduced axes of x ReshapeLike       dy, x               -> dx           same bytes
 * SumLike           dy, x               -> dx           sum over the axes that x broadcasts
 * ConcatGrad        dy, x...            -> dx...        axis
 * Accumulate        a, b                -> a + b
 * Scale             x                   -> alpha x
 * Dropout           x, step             -> y            ratio, seed; its own gradient; step: i64
 * number of the step SoftmaxCrossEntropy logits, labels    -> loss, dlogits label_smoothing; labels
 * i32, loss the mean
 */
#ifndef TRAIN_OPS_OPS_H
#define TRAIN_OPS_OPS_H

#include "engine/ops/op.h"

#define TRAIN_DOMAIN "ledge.train"

extern const struct ledge_op_table train_ops;

extern const struct ledge_op train_op_conv;
extern const struct ledge_op train_op_conv_grad_input;
extern const struct ledge_op train_op_conv_grad_weight;
extern const struct ledge_op train_op_matmul;
extern const struct ledge_op train_op_batch_norm;
extern const struct ledge_op train_op_batch_norm_grad;
extern const struct ledge_op train_op_affine_grad;
extern const struct ledge_op train_op_relu;
extern const struct ledge_op train_op_max_pool;
extern const struct ledge_op train_op_max_pool_grad;
extern const struct ledge_op train_op_average_pool_grad;
extern const struct ledge_op train_op_spread_like;
extern const struct ledge_op train_op_reshape_like;
extern const struct ledge_op train_op_sum_like;
extern const struct ledge_op train_op_concat_grad;
extern const struct ledge_op train_op_accumulate;
extern const struct ledge_op train_op_scale;
extern const struct ledge_op train_op_dropout;
extern const struct ledge_op train_op_cross_entropy;

/* unary.c: one operator per activation. */
enum { TRAIN_N_UNARY = 10 };
extern const struct ledge_op train_ops_unary[TRAIN_N_UNARY];

/* Elements of a value whose shape is known. */
int64_t train_count(const struct ledge_value *value);

/* Output 0 takes dtype and shape of input i. */
enum ledge_status train_infer_same(struct ledge_op_infer *infer, int32_t i);

/* fn(arg, first, last) over [0, n) in pieces of fixed size, spread over the pool. */
void train_for_range(struct ledge_pool *pool, int64_t n,
                     void (*fn)(void *arg, int64_t first, int64_t last), void *arg);

#endif
