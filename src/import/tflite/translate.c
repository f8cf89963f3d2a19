/* SPDX-License-Identifier: Apache-2.0 */
/* translate.c -- operator code -> its translation, and what happens to those that have none. */
#include <stdio.h>
#include <string.h>

#include "base/status.h"
#include "import/tflite/importer.h"

/* More kinds of missing operators than this are not listed. */
enum { MAX_MISSING = 64 };

/* An operator with fewer than min_in inputs is refused. onnx: see the translation. */
struct translation {
    int32_t code;
    ledge_tflite_translate_fn translate;
    const char *onnx;
    int32_t min_in;
};

static const struct translation translations[] = {
    {LEDGE_TFLITE_ABS, ledge_tflite_unary, "Abs", 1},
    {LEDGE_TFLITE_ADD, ledge_tflite_binary, "Add", 2},
    {LEDGE_TFLITE_ADD_N, ledge_tflite_add_n, "Sum", 1},
    {LEDGE_TFLITE_ARG_MAX, ledge_tflite_arg, "ArgMax", 2},
    {LEDGE_TFLITE_ARG_MIN, ledge_tflite_arg, "ArgMin", 2},
    {LEDGE_TFLITE_ASSIGN_VARIABLE, ledge_tflite_assign_variable, "", 2},
    {LEDGE_TFLITE_AVERAGE_POOL_2D, ledge_tflite_pool, "AveragePool", 1},
    {LEDGE_TFLITE_BATCH_MATMUL, ledge_tflite_batch_matmul, "MatMul", 2},
    {LEDGE_TFLITE_BATCH_TO_SPACE_ND, ledge_tflite_space_batch, "BatchToSpaceND", 3},
    {LEDGE_TFLITE_BITCAST, ledge_tflite_few, "BitCast", 1},
    {LEDGE_TFLITE_BITWISE_XOR, ledge_tflite_few, "BitwiseXor", 2},
    {LEDGE_TFLITE_BROADCAST_TO, ledge_tflite_fill, "Expand", 2},
    {LEDGE_TFLITE_CALL_ONCE, ledge_tflite_call_once, "", 0},
    {LEDGE_TFLITE_CAST, ledge_tflite_cast, "Cast", 1},
    {LEDGE_TFLITE_CEIL, ledge_tflite_unary, "Ceil", 1},
    {LEDGE_TFLITE_COMPLEX_ABS, ledge_tflite_complex_abs, "ReduceL2", 1},
    {LEDGE_TFLITE_CONCATENATION, ledge_tflite_concat, "Concat", 1},
    {LEDGE_TFLITE_CONV_2D, ledge_tflite_conv, "Conv", 2},
    {LEDGE_TFLITE_COS, ledge_tflite_unary, "Cos", 1},
    {LEDGE_TFLITE_CUMSUM, ledge_tflite_compute, "CumSum", 2},
    {LEDGE_TFLITE_CUSTOM, ledge_tflite_custom, "", 1},
    {LEDGE_TFLITE_DEPTHWISE_CONV_2D, ledge_tflite_depthwise, "Conv", 2},
    {LEDGE_TFLITE_DEPTH_TO_SPACE, ledge_tflite_depth, "DepthToSpace", 1},
    {LEDGE_TFLITE_DEQUANTIZE, ledge_tflite_dequantize, "Cast", 1},
    {LEDGE_TFLITE_DIV, ledge_tflite_binary, "Div", 2},
    {LEDGE_TFLITE_ELU, ledge_tflite_unary, "Elu", 1},
    {LEDGE_TFLITE_EMBEDDING_LOOKUP, ledge_tflite_embedding, "Gather", 2},
    {LEDGE_TFLITE_EQUAL, ledge_tflite_binary, "Equal", 2},
    {LEDGE_TFLITE_EXP, ledge_tflite_unary, "Exp", 1},
    {LEDGE_TFLITE_EXPAND_DIMS, ledge_tflite_expand_dims, "Unsqueeze", 2},
    {LEDGE_TFLITE_FILL, ledge_tflite_fill, "Expand", 2},
    {LEDGE_TFLITE_FLOOR, ledge_tflite_unary, "Floor", 1},
    {LEDGE_TFLITE_FLOOR_DIV, ledge_tflite_compute, "Div", 2},
    {LEDGE_TFLITE_FLOOR_MOD, ledge_tflite_binary, "Mod", 2},
    {LEDGE_TFLITE_FULLY_CONNECTED, ledge_tflite_fully_connected, "Gemm", 2},
    {LEDGE_TFLITE_GATHER, ledge_tflite_gather, "Gather", 2},
    {LEDGE_TFLITE_GATHER_ND, ledge_tflite_gather_nd, "GatherND", 2},
    {LEDGE_TFLITE_GELU, ledge_tflite_compute, "Gelu", 1},
    {LEDGE_TFLITE_GREATER, ledge_tflite_binary, "Greater", 2},
    {LEDGE_TFLITE_GREATER_EQUAL, ledge_tflite_binary, "GreaterOrEqual", 2},
    {LEDGE_TFLITE_HARD_SWISH, ledge_tflite_unary, "HardSwish", 1},
    {LEDGE_TFLITE_IF, ledge_tflite_if, "If", 1},
    {LEDGE_TFLITE_L2_NORMALIZATION, ledge_tflite_compute, "Div", 1},
    {LEDGE_TFLITE_LEAKY_RELU, ledge_tflite_leaky, "LeakyRelu", 1},
    {LEDGE_TFLITE_LESS, ledge_tflite_binary, "Less", 2},
    {LEDGE_TFLITE_LESS_EQUAL, ledge_tflite_binary, "LessOrEqual", 2},
    {LEDGE_TFLITE_LOG, ledge_tflite_unary, "Log", 1},
    {LEDGE_TFLITE_LOGICAL_AND, ledge_tflite_binary, "And", 2},
    {LEDGE_TFLITE_LOGICAL_NOT, ledge_tflite_unary, "Not", 1},
    {LEDGE_TFLITE_LOGICAL_OR, ledge_tflite_binary, "Or", 2},
    {LEDGE_TFLITE_LOGISTIC, ledge_tflite_unary, "Sigmoid", 1},
    {LEDGE_TFLITE_LOG_SOFTMAX, ledge_tflite_unary, "LogSoftmax", 1},
    {LEDGE_TFLITE_MAXIMUM, ledge_tflite_binary, "Max", 2},
    {LEDGE_TFLITE_MAX_POOL_2D, ledge_tflite_pool, "MaxPool", 1},
    {LEDGE_TFLITE_MEAN, ledge_tflite_reduce, "ReduceMean", 2},
    {LEDGE_TFLITE_MINIMUM, ledge_tflite_binary, "Min", 2},
    {LEDGE_TFLITE_MIRROR_PAD, ledge_tflite_pad, "Pad", 2},
    {LEDGE_TFLITE_MUL, ledge_tflite_binary, "Mul", 2},
    {LEDGE_TFLITE_NEG, ledge_tflite_unary, "Neg", 1},
    {LEDGE_TFLITE_NOT_EQUAL, ledge_tflite_compute, "Not", 2},
    {LEDGE_TFLITE_ONE_HOT, ledge_tflite_compute, "OneHot", 4},
    {LEDGE_TFLITE_PACK, ledge_tflite_pack, "Concat", 1},
    {LEDGE_TFLITE_PAD, ledge_tflite_pad, "Pad", 2},
    {LEDGE_TFLITE_PADV2, ledge_tflite_pad, "Pad", 3},
    {LEDGE_TFLITE_POW, ledge_tflite_binary, "Pow", 2},
    {LEDGE_TFLITE_PRELU, ledge_tflite_binary, "PRelu", 2},
    {LEDGE_TFLITE_QUANTIZE, ledge_tflite_quantize, "QuantizeLinear", 1},
    {LEDGE_TFLITE_RANGE, ledge_tflite_compute, "Range", 3},
    {LEDGE_TFLITE_RANK, ledge_tflite_compute, "Size", 1},
    {LEDGE_TFLITE_READ_VARIABLE, ledge_tflite_read_variable, "", 1},
    {LEDGE_TFLITE_REDUCE_ALL, ledge_tflite_reduce, "ReduceMin", 2},
    {LEDGE_TFLITE_REDUCE_ANY, ledge_tflite_reduce, "ReduceMax", 2},
    {LEDGE_TFLITE_REDUCE_MAX, ledge_tflite_reduce, "ReduceMax", 2},
    {LEDGE_TFLITE_REDUCE_MIN, ledge_tflite_reduce, "ReduceMin", 2},
    {LEDGE_TFLITE_REDUCE_PROD, ledge_tflite_reduce, "ReduceProd", 2},
    {LEDGE_TFLITE_RELU, ledge_tflite_relu, "Relu", 1},
    {LEDGE_TFLITE_RELU_0_TO_1, ledge_tflite_few, "Clip", 1},
    {LEDGE_TFLITE_RELU6, ledge_tflite_relu, "Clip", 1},
    {LEDGE_TFLITE_RELU_N1_TO_1, ledge_tflite_relu, "Clip", 1},
    {LEDGE_TFLITE_RESHAPE, ledge_tflite_reshape, "Reshape", 1},
    {LEDGE_TFLITE_RESIZE_BILINEAR, ledge_tflite_resize, "ResizeBilinear", 2},
    {LEDGE_TFLITE_RESIZE_NEAREST_NEIGHBOR, ledge_tflite_resize, "ResizeNearest", 2},
    {LEDGE_TFLITE_REVERSE_SEQUENCE, ledge_tflite_few, "ReverseSequence", 2},
    {LEDGE_TFLITE_REVERSE_V2, ledge_tflite_reverse, "Slice", 2},
    {LEDGE_TFLITE_RFFT2D, ledge_tflite_rfft2d, "Rfft2D", 2},
    {LEDGE_TFLITE_ROUND, ledge_tflite_unary, "Round", 1},
    {LEDGE_TFLITE_RSQRT, ledge_tflite_rsqrt, "Sqrt", 1},
    {LEDGE_TFLITE_SCATTER_ND, ledge_tflite_few, "ScatterND", 3},
    {LEDGE_TFLITE_SELECT, ledge_tflite_select_rows, "Where", 3},
    {LEDGE_TFLITE_SELECT_V2, ledge_tflite_select, "Where", 3},
    {LEDGE_TFLITE_SHAPE, ledge_tflite_shape, "Shape", 1},
    {LEDGE_TFLITE_SIGN, ledge_tflite_unary, "Sign", 1},
    {LEDGE_TFLITE_SIN, ledge_tflite_unary, "Sin", 1},
    {LEDGE_TFLITE_SLICE, ledge_tflite_slice, "Slice", 3},
    {LEDGE_TFLITE_SOFTMAX, ledge_tflite_softmax, "Softmax", 1},
    {LEDGE_TFLITE_SPACE_TO_BATCH_ND, ledge_tflite_space_batch, "SpaceToBatchND", 3},
    {LEDGE_TFLITE_SPACE_TO_DEPTH, ledge_tflite_depth, "SpaceToDepth", 1},
    {LEDGE_TFLITE_SPLIT, ledge_tflite_split, "Split", 2},
    {LEDGE_TFLITE_SPLIT_V, ledge_tflite_split, "Split", 3},
    {LEDGE_TFLITE_SQRT, ledge_tflite_unary, "Sqrt", 1},
    {LEDGE_TFLITE_SQUARE, ledge_tflite_square, "Mul", 1},
    {LEDGE_TFLITE_SQUARED_DIFFERENCE, ledge_tflite_square, "Mul", 2},
    {LEDGE_TFLITE_SQUEEZE, ledge_tflite_squeeze, "Squeeze", 1},
    {LEDGE_TFLITE_STRIDED_SLICE, ledge_tflite_strided_slice, "Slice", 4},
    {LEDGE_TFLITE_SUB, ledge_tflite_binary, "Sub", 2},
    {LEDGE_TFLITE_SUM, ledge_tflite_reduce, "ReduceSum", 2},
    {LEDGE_TFLITE_SVDF, ledge_tflite_svdf, "", 4},
    {LEDGE_TFLITE_TANH, ledge_tflite_unary, "Tanh", 1},
    {LEDGE_TFLITE_TILE, ledge_tflite_tile, "Tile", 2},
    {LEDGE_TFLITE_TOPK_V2, ledge_tflite_topk, "TopK", 2},
    {LEDGE_TFLITE_TRANSPOSE, ledge_tflite_transpose, "Transpose", 2},
    {LEDGE_TFLITE_TRANSPOSE_CONV, ledge_tflite_transpose_conv, "", 3},
    {LEDGE_TFLITE_UNIDIRECTIONAL_SEQUENCE_LSTM, ledge_tflite_lstm, "", 1},
    {LEDGE_TFLITE_UNIQUE, ledge_tflite_few, "Unique", 1},
    {LEDGE_TFLITE_UNPACK, ledge_tflite_unpack, "Gather", 1},
    {LEDGE_TFLITE_VAR_HANDLE, ledge_tflite_var_handle, "", 0},
    {LEDGE_TFLITE_WHERE, ledge_tflite_compute, "NonZero", 1},
    {LEDGE_TFLITE_WHILE, ledge_tflite_while, "Loop", 1},
    {LEDGE_TFLITE_ZEROS_LIKE, ledge_tflite_fill, "Expand", 1},
};

enum ledge_status ledge_tflite_unsupported(struct ledge_tflite *t, const struct ledge_tflite_op *op,
                                           const char *note)
{
    char name[TFLITE_MAX_NAME];
    (void)snprintf(name, sizeof name, note != NULL ? "%s[%s]" : "%s", op->name, note);
    struct ledge_tflite_missing **at = &t->missing;
    for (int32_t n = 0; *at != NULL; at = &(*at)->next) {
        if (strcmp((*at)->name, name) == 0 || ++n > MAX_MISSING) {
            return LEDGE_OK;
        }
    }
    struct ledge_tflite_missing *missing = LEDGE_NEW(&t->graph->arena, struct ledge_tflite_missing);
    LEDGE_TRY(ledge_tflite_done(t, missing != NULL));
    missing->name = ledge_arena_text(&t->graph->arena, name, strlen(name));
    *at = missing;
    return ledge_tflite_done(t, missing->name != NULL);
}

enum ledge_status ledge_tflite_refuse(struct ledge_tflite *t)
{
    char names[400] = "";
    size_t used = 0;
    for (const struct ledge_tflite_missing *m = t->missing; m != NULL; m = m->next) {
        int n = snprintf(names + used, sizeof names - used, "%s%s", used > 0 ? ", " : "", m->name);
        if (n < 0 || (size_t)n >= sizeof names - used) {
            (void)snprintf(names + sizeof names - 6, 6, ", ...");
            break;
        }
        used += (size_t)n;
    }
    return t->missing == NULL
               ? LEDGE_OK
               : ledge_fail(t->err, LEDGE_ERR_UNSUPPORTED, "no kernel for: %s", names);
}

/* Operators that are there for their effect on variables. */
static bool writes_nothing(int32_t code)
{
    return code == LEDGE_TFLITE_ASSIGN_VARIABLE || code == LEDGE_TFLITE_CALL_ONCE;
}

/* What is kept from run to run, which a body cannot. */
static bool keeps(int32_t code)
{
    return code == LEDGE_TFLITE_ASSIGN_VARIABLE || code == LEDGE_TFLITE_CALL_ONCE ||
           code == LEDGE_TFLITE_VAR_HANDLE || code == LEDGE_TFLITE_READ_VARIABLE ||
           code == LEDGE_TFLITE_SVDF || code == LEDGE_TFLITE_UNIDIRECTIONAL_SEQUENCE_LSTM;
}

/* Only these know that the last dimension of a complex tensor is (re, im). */
static bool takes_complex(int32_t code)
{
    return code == LEDGE_TFLITE_RFFT2D || code == LEDGE_TFLITE_COMPLEX_ABS ||
           code == LEDGE_TFLITE_RESHAPE;
}

static bool is_complex(const struct ledge_tflite *t, const struct ledge_tflite_op *op)
{
    bool found = false;
    for (int32_t i = 0; i < op->n_in; i++) {
        found = found || (op->in[i] >= 0 && t->tensors[op->in[i]].is_complex);
    }
    for (int32_t i = 0; i < op->n_out; i++) {
        found = found || (op->out[i] >= 0 && t->tensors[op->out[i]].is_complex);
    }
    return found;
}

bool ledge_tflite_reads(int32_t code)
{
    bool found = false;
    for (size_t i = 0; i < sizeof translations / sizeof translations[0]; i++) {
        found = found || translations[i].code == code;
    }
    return found;
}

enum ledge_status ledge_tflite_translate(struct ledge_tflite *t, struct ledge_tflite_op *op)
{
    for (size_t i = 0; i < sizeof translations / sizeof translations[0]; i++) {
        const struct translation *entry = &translations[i];
        if (entry->code != op->code) {
            continue;
        }
        bool complete = op->n_in >= entry->min_in &&
                        (writes_nothing(op->code) || (op->n_out >= 1 && op->out[0] >= 0));
        for (int32_t k = 0; complete && k < entry->min_in; k++) {
            complete = op->in[k] >= 0;
        }
        if (!complete) {
            return ledge_tflite_unsupported(t, op, "inputs missing");
        }
        if (t->once && op->code != LEDGE_TFLITE_VAR_HANDLE &&
            op->code != LEDGE_TFLITE_ASSIGN_VARIABLE) {
            return ledge_tflite_unsupported(t, op, "in CALL_ONCE");
        }
        if (t->graph->depth > 0 && keeps(op->code)) {
            return ledge_tflite_unsupported(t, op, "in IF or WHILE");
        }
        if (!takes_complex(op->code) && is_complex(t, op)) {
            return ledge_tflite_unsupported(t, op, "complex");
        }
        op->onnx = entry->onnx;
        return entry->translate(t, op);
    }
    return ledge_tflite_unsupported(t, op, NULL);
}
