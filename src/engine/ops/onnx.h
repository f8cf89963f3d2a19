/* SPDX-License-Identifier: Apache-2.0 */
/* onnx.h -- the list of ai.onnx's operators beyond the core, and what their files share.
 *
 * Each line names the two functions <function>_infer and <function>_prepare; one pair may serve
 * many operators and tells them apart by the node's name.
 */
#ifndef LEDGE_ENGINE_OPS_ONNX_H
#define LEDGE_ENGINE_OPS_ONNX_H

#include "base/status.h"
#include "engine/kernels/onnx.h"
#include "engine/ops/op.h"

/* clang-format off */
#define LEDGE_ONNX_FUNCTIONS(X)                                                                    \
    X(unary) X(binary) X(variadic) X(pow) X(where) X(cast) X(clip) X(bit_cast)                     \
    X(alias) X(constant) X(shape) X(constant_of_shape) X(range) X(eye) X(dropout)                  \
    X(transpose) X(concat) X(split) X(slice) X(expand) X(tile) X(pad) X(depth_space)               \
    X(gather) X(gather_elements) X(gather_nd) X(scatter_elements) X(scatter_nd) X(one_hot)         \
    X(trilu) X(reverse_sequence) X(reduce) X(argmax) X(cumulate) X(topk) X(softmax)                \
    X(batch_norm) X(group_norm) X(layer_norm) X(lrn) X(lp_norm) X(resize) X(rnn)                   \
    X(quantize) X(dequantize) X(dynamic_quantize) X(qbinary) X(qpool)                              \
    X(loss) X(attention) X(rotary) X(linear_attention) X(causal_conv) X(tensor_scatter)            \
    X(grid_sample) X(affine_grid) X(roi_align) X(max_roi) X(deform) X(col2im) X(unpool)            \
    X(dft) X(stft) X(window) X(mel) X(einsum) X(det) X(mean_variance) X(tfidf) X(center)           \
    X(step) X(random) X(regex)                                                                     \
    X(nonzero) X(compress) X(unique) X(nms)

/* X(operator, function) of domain ai.onnx */
#define LEDGE_ONNX_LIST(X)                                                                         \
    X(Abs, unary) X(Acos, unary) X(Acosh, unary) X(Asin, unary) X(Asinh, unary) X(Atan, unary)     \
    X(Atanh, unary) X(BitwiseNot, unary) X(Ceil, unary) X(Celu, unary) X(Cos, unary)               \
    X(Cosh, unary) X(Elu, unary) X(Erf, unary) X(Exp, unary) X(Floor, unary) X(Gelu, unary)        \
    X(HardSigmoid, unary) X(HardSwish, unary) X(IsInf, unary) X(IsNaN, unary) X(LeakyRelu, unary)  \
    X(Log, unary) X(Mish, unary) X(Neg, unary) X(Not, unary) X(Reciprocal, unary) X(Relu, unary)   \
    X(Round, unary) X(Selu, unary) X(Shrink, unary) X(Sigmoid, unary) X(Sign, unary) X(Sin, unary) \
    X(Sinh, unary) X(Softplus, unary) X(Softsign, unary) X(Sqrt, unary) X(Swish, unary)            \
    X(Tan, unary) X(Tanh, unary) X(ThresholdedRelu, unary)                                         \
    X(Add, binary) X(And, binary) X(BitShift, binary) X(BitwiseAnd, binary) X(BitwiseOr, binary)   \
    X(BitwiseXor, binary) X(Div, binary) X(Equal, binary) X(Greater, binary)                       \
    X(GreaterOrEqual, binary) X(Less, binary) X(LessOrEqual, binary) X(Mod, binary) X(Mul, binary) \
    X(Or, binary) X(PRelu, binary) X(Sub, binary) X(Xor, binary)                                   \
    X(Max, variadic) X(Mean, variadic) X(Min, variadic) X(Sum, variadic)                           \
    X(Pow, pow) X(Where, where) X(Cast, cast) X(CastLike, cast) X(Clip, clip) X(BitCast, bit_cast) \
    X(Flatten, alias) X(Identity, alias) X(Reshape, alias) X(Squeeze, alias) X(Unsqueeze, alias)   \
    X(Constant, constant) X(Shape, shape) X(Size, shape) X(Dropout, dropout)                       \
    X(ConstantOfShape, constant_of_shape) X(Range, range) X(EyeLike, eye)                          \
    X(Transpose, transpose) X(Concat, concat) X(Split, split) X(Slice, slice) X(Expand, expand)    \
    X(Tile, tile) X(Pad, pad) X(DepthToSpace, depth_space) X(SpaceToDepth, depth_space)            \
    X(Gather, gather) X(GatherElements, gather_elements) X(GatherND, gather_nd)                    \
    X(Scatter, scatter_elements) X(ScatterElements, scatter_elements) X(ScatterND, scatter_nd)     \
    X(OneHot, one_hot) X(Trilu, trilu) X(ReverseSequence, reverse_sequence)                        \
    X(ReduceL1, reduce) X(ReduceL2, reduce) X(ReduceLogSum, reduce) X(ReduceLogSumExp, reduce)     \
    X(ReduceMax, reduce) X(ReduceMean, reduce) X(ReduceMin, reduce) X(ReduceProd, reduce)          \
    X(ReduceSum, reduce) X(ReduceSumSquare, reduce)                                                \
    X(ArgMax, argmax) X(ArgMin, argmax) X(CumSum, cumulate) X(CumProd, cumulate) X(TopK, topk)     \
    X(Softmax, softmax) X(LogSoftmax, softmax) X(Hardmax, softmax)                                 \
    X(BatchNormalization, batch_norm) X(InstanceNormalization, group_norm)                         \
    X(GroupNormalization, group_norm) X(LayerNormalization, layer_norm)                            \
    X(RMSNormalization, layer_norm) X(LRN, lrn) X(LpNormalization, lp_norm)                        \
    X(Resize, resize) X(Upsample, resize) X(RNN, rnn) X(GRU, rnn) X(LSTM, rnn)                     \
    X(QuantizeLinear, quantize) X(DequantizeLinear, dequantize)                                    \
    X(DynamicQuantizeLinear, dynamic_quantize)                                                     \
    X(NegativeLogLikelihoodLoss, loss) X(SoftmaxCrossEntropyLoss, loss) X(Attention, attention)    \
    X(RotaryEmbedding, rotary) X(LinearAttention, linear_attention)                                \
    X(CausalConvWithState, causal_conv) X(TensorScatter, tensor_scatter)                           \
    X(GridSample, grid_sample) X(AffineGrid, affine_grid) X(RoiAlign, roi_align)                   \
    X(DeformConv, deform) X(Col2Im, col2im) X(MaxUnpool, unpool) X(MaxRoiPool, max_roi)            \
    X(DFT, dft) X(STFT, stft) X(HannWindow, window) X(HammingWindow, window)                       \
    X(BlackmanWindow, window) X(MelWeightMatrix, mel) X(Einsum, einsum) X(Det, det)                \
    X(MeanVarianceNormalization, mean_variance) X(TfIdfVectorizer, tfidf)                          \
    X(CenterCropPad, center)                                                                       \
    X(RandomUniform, random) X(RandomUniformLike, random) X(RandomNormal, random)                  \
    X(RandomNormalLike, random) X(Bernoulli, random) X(Multinomial, random)                        \
    X(RegexFullMatch, regex)                                                                       \
    X(NonZero, nonzero) X(Compress, compress) X(Unique, unique) X(NonMaxSuppression, nms)

/* X(operator, function) of domain com.microsoft */
#define LEDGE_MICROSOFT_LIST(X)                                                                    \
    X(QLinearAdd, qbinary) X(QLinearMul, qbinary) X(QLinearGlobalAveragePool, qpool)               \
    X(QuantizeLinear, quantize) X(DequantizeLinear, dequantize) X(Gelu, unary)

/* X(operator, function) of domain ai.onnx.preview */
#define LEDGE_PREVIEW_LIST(X) X(FlexAttention, attention)

/* X(operator, function) of domain ai.onnx.preview.training */
#define LEDGE_STEP_LIST(X) X(Adagrad, step) X(Adam, step) X(Momentum, step)
/* clang-format on */

#define LEDGE_ONNX_DECLARE(function)                                                               \
    enum ledge_status ledge_onnx_##function##_infer(struct ledge_op_infer *infer);                 \
    enum ledge_status ledge_onnx_##function##_prepare(struct ledge_op_prepare *prepare);
LEDGE_ONNX_FUNCTIONS(LEDGE_ONNX_DECLARE)
#undef LEDGE_ONNX_DECLARE

/* -- help -- */

/* Most entries of a table that prepare makes for one axis (Pad, Resize): a small file cannot ask
 * for much memory. */
enum { LEDGE_ONNX_TABLE_MAX = 1 << 20 };

/* So that prepare can use the parsing that infer uses (it only reads). */
struct ledge_op_infer ledge_onnx_as_infer(const struct ledge_op_prepare *prepare);

/* Inputs 0 .. n - 1 are there. Errors: ERR_FORMAT. */
LEDGE_NODISCARD enum ledge_status ledge_onnx_need(const struct ledge_op_infer *infer, int32_t n);

/* Inputs a and b have one dtype; input i has dtype. Absent inputs pass. Errors: ERR_DTYPE. */
LEDGE_NODISCARD enum ledge_status ledge_onnx_same_dtype(const struct ledge_op_infer *infer,
                                                        int32_t a, int32_t b);
LEDGE_NODISCARD enum ledge_status ledge_onnx_dtype_is(const struct ledge_op_infer *infer, int32_t i,
                                                      enum ledge_dtype dtype);

/* axis in -rank .. rank - 1 brought to 0 .. rank - 1. Errors: ERR_SHAPE. */
LEDGE_NODISCARD enum ledge_status ledge_onnx_axis(const struct ledge_op_infer *infer, int64_t axis,
                                                  int32_t rank, int32_t *out);

/* A list given as attribute (old opsets) or constant input (new ones). n is -1 when it is neither.
 * Errors: ERR_SHAPE (longer than max), ERR_UNSUPPORTED (input not constant), ERR_DTYPE. */
LEDGE_NODISCARD enum ledge_status ledge_onnx_list(const struct ledge_op_infer *infer,
                                                  const char *attr, int32_t input, int64_t *values,
                                                  int32_t max, int32_t *n);

/* Elements of a value. */
int64_t ledge_onnx_count(const struct ledge_value *value);

/* [outer, n, inner] around an axis. */
struct ledge_axis ledge_onnx_split(const struct ledge_value *value, int32_t axis);

/* Finish prepare with a kernel and a copy of params (NULL, 0: none). Errors: ERR_NOMEM. */
LEDGE_NODISCARD enum ledge_status ledge_onnx_ready(struct ledge_op_prepare *prepare,
                                                   ledge_kernel_fn run, const char *kernel,
                                                   const void *params, size_t bytes);

/* Output i is constant: n elements of its dtype, copied. */
LEDGE_NODISCARD enum ledge_status ledge_onnx_set_data(struct ledge_op_infer *infer, int32_t i,
                                                      const void *data, size_t bytes);

/* One strided copy from input 0 to output 0 as the whole kernel. */
LEDGE_NODISCARD enum ledge_status ledge_onnx_move(struct ledge_op_prepare *prepare,
                                                  const char *kernel, struct ledge_strided *s);

/* clamp_low and clamp_high of a node. */
struct ledge_clamp ledge_onnx_clamp(const struct ledge_node *node);

/* Does the node make other outputs of the same inputs each time? Dropout counts as one that does.
 */
bool ledge_onnx_is_random(const struct ledge_node *node);

/* Dense row-major strides. */
void ledge_onnx_strides(const int64_t *dims, int32_t rank, int64_t *strides);

#endif
