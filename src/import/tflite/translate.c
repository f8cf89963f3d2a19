/* SPDX-License-Identifier: Apache-2.0 */
/* translate.c -- operator code -> its translation, and what happens to those that have none. */
#include <stdio.h>
#include <string.h>

#include "base/status.h"
#include "engine/port/select.h"
#include "import/tflite/importer.h"

/* More kinds of missing operators than this are not listed. */
enum { MAX_MISSING = 64 };

/* An operator with fewer than min_in inputs is refused. onnx: see the translation. */
struct translation {
    ledge_tflite_translate_fn translate;
    const char *onnx;
    int16_t code, min_in;
};

/* LEDGE_OPS may name the operators of the files to be read. */
#if LEDGE_HAS(LEDGE_TFLITE_NAMED)
#define ENTRY(code, function, onnx, min_in)                                                        \
    LEDGE_KEEP(LEDGE_TFLITE_READS_##code)                                                          \
    ({ledge_tflite_##function, onnx, LEDGE_TFLITE_##code, min_in}, )
#else
#define ENTRY(code, function, onnx, min_in)                                                        \
    {ledge_tflite_##function, onnx, LEDGE_TFLITE_##code, min_in},
#endif

/* clang-format off */
static const struct translation translations[] = {
    ENTRY(ABS, unary, "Abs", 1)
    ENTRY(ADD, binary, "Add", 2)
    ENTRY(ADD_N, add_n, "Sum", 1)
    ENTRY(ARG_MAX, arg, "ArgMax", 2)
    ENTRY(ARG_MIN, arg, "ArgMin", 2)
    ENTRY(ASSIGN_VARIABLE, assign_variable, "", 2)
    ENTRY(AVERAGE_POOL_2D, pool, "AveragePool", 1)
    ENTRY(BATCH_MATMUL, batch_matmul, "MatMul", 2)
    ENTRY(BATCH_TO_SPACE_ND, space_batch, "BatchToSpaceND", 3)
    ENTRY(BITCAST, few, "BitCast", 1)
    ENTRY(BITWISE_XOR, few, "BitwiseXor", 2)
    ENTRY(BROADCAST_TO, fill, "Expand", 2)
    ENTRY(CALL_ONCE, call_once, "", 0)
    ENTRY(CAST, cast, "Cast", 1)
    ENTRY(CEIL, unary, "Ceil", 1)
    ENTRY(COMPLEX_ABS, complex_abs, "ReduceL2", 1)
    ENTRY(CONCATENATION, concat, "Concat", 1)
    ENTRY(CONV_2D, conv, "Conv", 2)
    ENTRY(COS, unary, "Cos", 1)
    ENTRY(CUMSUM, compute, "CumSum", 2)
    ENTRY(CUSTOM, custom, "", 1)
    ENTRY(DEPTHWISE_CONV_2D, depthwise, "Conv", 2)
    ENTRY(DEPTH_TO_SPACE, depth, "DepthToSpace", 1)
    ENTRY(DEQUANTIZE, dequantize, "Cast", 1)
    ENTRY(DIV, binary, "Div", 2)
    ENTRY(ELU, unary, "Elu", 1)
    ENTRY(EMBEDDING_LOOKUP, embedding, "Gather", 2)
    ENTRY(EQUAL, binary, "Equal", 2)
    ENTRY(EXP, unary, "Exp", 1)
    ENTRY(EXPAND_DIMS, expand_dims, "Unsqueeze", 2)
    ENTRY(FILL, fill, "Expand", 2)
    ENTRY(FLOOR, unary, "Floor", 1)
    ENTRY(FLOOR_DIV, compute, "Div", 2)
    ENTRY(FLOOR_MOD, binary, "Mod", 2)
    ENTRY(FULLY_CONNECTED, fully_connected, "Gemm", 2)
    ENTRY(GATHER, gather, "Gather", 2)
    ENTRY(GATHER_ND, gather_nd, "GatherND", 2)
    ENTRY(GELU, compute, "Gelu", 1)
    ENTRY(GREATER, binary, "Greater", 2)
    ENTRY(GREATER_EQUAL, binary, "GreaterOrEqual", 2)
    ENTRY(HARD_SWISH, unary, "HardSwish", 1)
    ENTRY(IF, if, "If", 1)
    ENTRY(L2_NORMALIZATION, compute, "Div", 1)
    ENTRY(LEAKY_RELU, leaky, "LeakyRelu", 1)
    ENTRY(LESS, binary, "Less", 2)
    ENTRY(LESS_EQUAL, binary, "LessOrEqual", 2)
    ENTRY(LOG, unary, "Log", 1)
    ENTRY(LOGICAL_AND, binary, "And", 2)
    ENTRY(LOGICAL_NOT, unary, "Not", 1)
    ENTRY(LOGICAL_OR, binary, "Or", 2)
    ENTRY(LOGISTIC, unary, "Sigmoid", 1)
    ENTRY(LOG_SOFTMAX, unary, "LogSoftmax", 1)
    ENTRY(MAXIMUM, binary, "Max", 2)
    ENTRY(MAX_POOL_2D, pool, "MaxPool", 1)
    ENTRY(MEAN, reduce, "ReduceMean", 2)
    ENTRY(MINIMUM, binary, "Min", 2)
    ENTRY(MIRROR_PAD, pad, "Pad", 2)
    ENTRY(MUL, binary, "Mul", 2)
    ENTRY(NEG, unary, "Neg", 1)
    ENTRY(NOT_EQUAL, compute, "Not", 2)
    ENTRY(ONE_HOT, compute, "OneHot", 4)
    ENTRY(PACK, pack, "Concat", 1)
    ENTRY(PAD, pad, "Pad", 2)
    ENTRY(PADV2, pad, "Pad", 3)
    ENTRY(POW, binary, "Pow", 2)
    ENTRY(PRELU, binary, "PRelu", 2)
    ENTRY(QUANTIZE, quantize, "QuantizeLinear", 1)
    ENTRY(RANGE, compute, "Range", 3)
    ENTRY(RANK, compute, "Size", 1)
    ENTRY(READ_VARIABLE, read_variable, "", 1)
    ENTRY(REDUCE_ALL, reduce, "ReduceMin", 2)
    ENTRY(REDUCE_ANY, reduce, "ReduceMax", 2)
    ENTRY(REDUCE_MAX, reduce, "ReduceMax", 2)
    ENTRY(REDUCE_MIN, reduce, "ReduceMin", 2)
    ENTRY(REDUCE_PROD, reduce, "ReduceProd", 2)
    ENTRY(RELU, relu, "Relu", 1)
    ENTRY(RELU_0_TO_1, few, "Clip", 1)
    ENTRY(RELU6, relu, "Clip", 1)
    ENTRY(RELU_N1_TO_1, relu, "Clip", 1)
    ENTRY(RESHAPE, reshape, "Reshape", 1)
    ENTRY(RESIZE_BILINEAR, resize, "ResizeBilinear", 2)
    ENTRY(RESIZE_NEAREST_NEIGHBOR, resize, "ResizeNearest", 2)
    ENTRY(REVERSE_SEQUENCE, few, "ReverseSequence", 2)
    ENTRY(REVERSE_V2, reverse, "Slice", 2)
    ENTRY(RFFT2D, rfft2d, "Rfft2D", 2)
    ENTRY(ROUND, unary, "Round", 1)
    ENTRY(RSQRT, rsqrt, "Sqrt", 1)
    ENTRY(SCATTER_ND, few, "ScatterND", 3)
    ENTRY(SELECT, select_rows, "Where", 3)
    ENTRY(SELECT_V2, select, "Where", 3)
    ENTRY(SHAPE, shape, "Shape", 1)
    ENTRY(SIGN, unary, "Sign", 1)
    ENTRY(SIN, unary, "Sin", 1)
    ENTRY(SLICE, slice, "Slice", 3)
    ENTRY(SOFTMAX, softmax, "Softmax", 1)
    ENTRY(SPACE_TO_BATCH_ND, space_batch, "SpaceToBatchND", 3)
    ENTRY(SPACE_TO_DEPTH, depth, "SpaceToDepth", 1)
    ENTRY(SPLIT, split, "Split", 2)
    ENTRY(SPLIT_V, split, "Split", 3)
    ENTRY(SQRT, unary, "Sqrt", 1)
    ENTRY(SQUARE, square, "Mul", 1)
    ENTRY(SQUARED_DIFFERENCE, square, "Mul", 2)
    ENTRY(SQUEEZE, squeeze, "Squeeze", 1)
    ENTRY(STRIDED_SLICE, strided_slice, "Slice", 4)
    ENTRY(SUB, binary, "Sub", 2)
    ENTRY(SUM, reduce, "ReduceSum", 2)
    ENTRY(SVDF, svdf, "", 4)
    ENTRY(TANH, unary, "Tanh", 1)
    ENTRY(TILE, tile, "Tile", 2)
    ENTRY(TOPK_V2, topk, "TopK", 2)
    ENTRY(TRANSPOSE, transpose, "Transpose", 2)
    ENTRY(TRANSPOSE_CONV, transpose_conv, "", 3)
    ENTRY(UNIDIRECTIONAL_SEQUENCE_LSTM, lstm, "", 1)
    ENTRY(UNIQUE, few, "Unique", 1)
    ENTRY(UNPACK, unpack, "Gather", 1)
    ENTRY(VAR_HANDLE, var_handle, "", 0)
    ENTRY(WHERE, compute, "NonZero", 1)
    ENTRY(WHILE, while, "Loop", 1)
    ENTRY(ZEROS_LIKE, fill, "Expand", 1)
    {NULL, NULL, -1, 0}};
/* clang-format on */

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
    for (size_t i = 0; translations[i].translate != NULL; i++) {
        found = found || translations[i].code == code;
    }
    return found;
}

enum ledge_status ledge_tflite_translate(struct ledge_tflite *t, struct ledge_tflite_op *op)
{
    for (size_t i = 0; translations[i].translate != NULL; i++) {
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
