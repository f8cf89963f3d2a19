/* SPDX-License-Identifier: Apache-2.0 */
/* schema.h -- the numbers of the TFLite schema (version 3) that the importer reads: operator codes,
 * element types, and fields of tables by position. Source: the TFLite schema, schema.fbs. */
#ifndef LEDGE_IMPORT_TFLITE_SCHEMA_H
#define LEDGE_IMPORT_TFLITE_SCHEMA_H

/* X(name, value): enum BuiltinOperator; values without a gap from 0. */
#define LEDGE_TFLITE_OPERATORS(X)                                                                  \
    X(ADD, 0)                                                                                      \
    X(AVERAGE_POOL_2D, 1)                                                                          \
    X(CONCATENATION, 2)                                                                            \
    X(CONV_2D, 3)                                                                                  \
    X(DEPTHWISE_CONV_2D, 4)                                                                        \
    X(DEPTH_TO_SPACE, 5)                                                                           \
    X(DEQUANTIZE, 6)                                                                               \
    X(EMBEDDING_LOOKUP, 7)                                                                         \
    X(FLOOR, 8)                                                                                    \
    X(FULLY_CONNECTED, 9)                                                                          \
    X(HASHTABLE_LOOKUP, 10)                                                                        \
    X(L2_NORMALIZATION, 11)                                                                        \
    X(L2_POOL_2D, 12)                                                                              \
    X(LOCAL_RESPONSE_NORMALIZATION, 13)                                                            \
    X(LOGISTIC, 14)                                                                                \
    X(LSH_PROJECTION, 15)                                                                          \
    X(LSTM, 16)                                                                                    \
    X(MAX_POOL_2D, 17)                                                                             \
    X(MUL, 18)                                                                                     \
    X(RELU, 19)                                                                                    \
    X(RELU_N1_TO_1, 20)                                                                            \
    X(RELU6, 21)                                                                                   \
    X(RESHAPE, 22)                                                                                 \
    X(RESIZE_BILINEAR, 23)                                                                         \
    X(RNN, 24)                                                                                     \
    X(SOFTMAX, 25)                                                                                 \
    X(SPACE_TO_DEPTH, 26)                                                                          \
    X(SVDF, 27)                                                                                    \
    X(TANH, 28)                                                                                    \
    X(CONCAT_EMBEDDINGS, 29)                                                                       \
    X(SKIP_GRAM, 30)                                                                               \
    X(CALL, 31)                                                                                    \
    X(CUSTOM, 32)                                                                                  \
    X(EMBEDDING_LOOKUP_SPARSE, 33)                                                                 \
    X(PAD, 34)                                                                                     \
    X(UNIDIRECTIONAL_SEQUENCE_RNN, 35)                                                             \
    X(GATHER, 36)                                                                                  \
    X(BATCH_TO_SPACE_ND, 37)                                                                       \
    X(SPACE_TO_BATCH_ND, 38)                                                                       \
    X(TRANSPOSE, 39)                                                                               \
    X(MEAN, 40)                                                                                    \
    X(SUB, 41)                                                                                     \
    X(DIV, 42)                                                                                     \
    X(SQUEEZE, 43)                                                                                 \
    X(UNIDIRECTIONAL_SEQUENCE_LSTM, 44)                                                            \
    X(STRIDED_SLICE, 45)                                                                           \
    X(BIDIRECTIONAL_SEQUENCE_RNN, 46)                                                              \
    X(EXP, 47)                                                                                     \
    X(TOPK_V2, 48)                                                                                 \
    X(SPLIT, 49)                                                                                   \
    X(LOG_SOFTMAX, 50)                                                                             \
    X(DELEGATE, 51)                                                                                \
    X(BIDIRECTIONAL_SEQUENCE_LSTM, 52)                                                             \
    X(CAST, 53)                                                                                    \
    X(PRELU, 54)                                                                                   \
    X(MAXIMUM, 55)                                                                                 \
    X(ARG_MAX, 56)                                                                                 \
    X(MINIMUM, 57)                                                                                 \
    X(LESS, 58)                                                                                    \
    X(NEG, 59)                                                                                     \
    X(PADV2, 60)                                                                                   \
    X(GREATER, 61)                                                                                 \
    X(GREATER_EQUAL, 62)                                                                           \
    X(LESS_EQUAL, 63)                                                                              \
    X(SELECT, 64)                                                                                  \
    X(SLICE, 65)                                                                                   \
    X(SIN, 66)                                                                                     \
    X(TRANSPOSE_CONV, 67)                                                                          \
    X(SPARSE_TO_DENSE, 68)                                                                         \
    X(TILE, 69)                                                                                    \
    X(EXPAND_DIMS, 70)                                                                             \
    X(EQUAL, 71)                                                                                   \
    X(NOT_EQUAL, 72)                                                                               \
    X(LOG, 73)                                                                                     \
    X(SUM, 74)                                                                                     \
    X(SQRT, 75)                                                                                    \
    X(RSQRT, 76)                                                                                   \
    X(SHAPE, 77)                                                                                   \
    X(POW, 78)                                                                                     \
    X(ARG_MIN, 79)                                                                                 \
    X(FAKE_QUANT, 80)                                                                              \
    X(REDUCE_PROD, 81)                                                                             \
    X(REDUCE_MAX, 82)                                                                              \
    X(PACK, 83)                                                                                    \
    X(LOGICAL_OR, 84)                                                                              \
    X(ONE_HOT, 85)                                                                                 \
    X(LOGICAL_AND, 86)                                                                             \
    X(LOGICAL_NOT, 87)                                                                             \
    X(UNPACK, 88)                                                                                  \
    X(REDUCE_MIN, 89)                                                                              \
    X(FLOOR_DIV, 90)                                                                               \
    X(REDUCE_ANY, 91)                                                                              \
    X(SQUARE, 92)                                                                                  \
    X(ZEROS_LIKE, 93)                                                                              \
    X(FILL, 94)                                                                                    \
    X(FLOOR_MOD, 95)                                                                               \
    X(RANGE, 96)                                                                                   \
    X(RESIZE_NEAREST_NEIGHBOR, 97)                                                                 \
    X(LEAKY_RELU, 98)                                                                              \
    X(SQUARED_DIFFERENCE, 99)                                                                      \
    X(MIRROR_PAD, 100)                                                                             \
    X(ABS, 101)                                                                                    \
    X(SPLIT_V, 102)                                                                                \
    X(UNIQUE, 103)                                                                                 \
    X(CEIL, 104)                                                                                   \
    X(REVERSE_V2, 105)                                                                             \
    X(ADD_N, 106)                                                                                  \
    X(GATHER_ND, 107)                                                                              \
    X(COS, 108)                                                                                    \
    X(WHERE, 109)                                                                                  \
    X(RANK, 110)                                                                                   \
    X(ELU, 111)                                                                                    \
    X(REVERSE_SEQUENCE, 112)                                                                       \
    X(MATRIX_DIAG, 113)                                                                            \
    X(QUANTIZE, 114)                                                                               \
    X(MATRIX_SET_DIAG, 115)                                                                        \
    X(ROUND, 116)                                                                                  \
    X(HARD_SWISH, 117)                                                                             \
    X(IF, 118)                                                                                     \
    X(WHILE, 119)                                                                                  \
    X(NON_MAX_SUPPRESSION_V4, 120)                                                                 \
    X(NON_MAX_SUPPRESSION_V5, 121)                                                                 \
    X(SCATTER_ND, 122)                                                                             \
    X(SELECT_V2, 123)                                                                              \
    X(DENSIFY, 124)                                                                                \
    X(SEGMENT_SUM, 125)                                                                            \
    X(BATCH_MATMUL, 126)                                                                           \
    X(PLACEHOLDER_FOR_GREATER_OP_CODES, 127)                                                       \
    X(CUMSUM, 128)                                                                                 \
    X(CALL_ONCE, 129)                                                                              \
    X(BROADCAST_TO, 130)                                                                           \
    X(RFFT2D, 131)                                                                                 \
    X(CONV_3D, 132)                                                                                \
    X(IMAG, 133)                                                                                   \
    X(REAL, 134)                                                                                   \
    X(COMPLEX_ABS, 135)                                                                            \
    X(HASHTABLE, 136)                                                                              \
    X(HASHTABLE_FIND, 137)                                                                         \
    X(HASHTABLE_IMPORT, 138)                                                                       \
    X(HASHTABLE_SIZE, 139)                                                                         \
    X(REDUCE_ALL, 140)                                                                             \
    X(CONV_3D_TRANSPOSE, 141)                                                                      \
    X(VAR_HANDLE, 142)                                                                             \
    X(READ_VARIABLE, 143)                                                                          \
    X(ASSIGN_VARIABLE, 144)                                                                        \
    X(BROADCAST_ARGS, 145)                                                                         \
    X(RANDOM_STANDARD_NORMAL, 146)                                                                 \
    X(BUCKETIZE, 147)                                                                              \
    X(RANDOM_UNIFORM, 148)                                                                         \
    X(MULTINOMIAL, 149)                                                                            \
    X(GELU, 150)                                                                                   \
    X(DYNAMIC_UPDATE_SLICE, 151)                                                                   \
    X(RELU_0_TO_1, 152)                                                                            \
    X(UNSORTED_SEGMENT_PROD, 153)                                                                  \
    X(UNSORTED_SEGMENT_MAX, 154)                                                                   \
    X(UNSORTED_SEGMENT_SUM, 155)                                                                   \
    X(ATAN2, 156)                                                                                  \
    X(UNSORTED_SEGMENT_MIN, 157)                                                                   \
    X(SIGN, 158)                                                                                   \
    X(BITCAST, 159)                                                                                \
    X(BITWISE_XOR, 160)                                                                            \
    X(RIGHT_SHIFT, 161)

enum ledge_tflite_operator {
#define LEDGE_TFLITE_ENUM(name, value) LEDGE_TFLITE_##name = (value),
    LEDGE_TFLITE_OPERATORS(LEDGE_TFLITE_ENUM)
#undef LEDGE_TFLITE_ENUM
        LEDGE_TFLITE_N_OPERATORS
};

/* enum TensorType */
enum {
    TFLITE_FLOAT32 = 0,
    TFLITE_FLOAT16 = 1,
    TFLITE_INT32 = 2,
    TFLITE_UINT8 = 3,
    TFLITE_INT64 = 4,
    TFLITE_BOOL = 6,
    TFLITE_INT16 = 7,
    TFLITE_COMPLEX64 = 8,
    TFLITE_INT8 = 9,
    TFLITE_FLOAT64 = 10,
    TFLITE_UINT64 = 12,
    TFLITE_UINT32 = 15,
    TFLITE_UINT16 = 16,
    TFLITE_BFLOAT16 = 18,
};

/* enum Padding */
enum { TFLITE_SAME = 0, TFLITE_VALID = 1 };

/* enum ActivationFunctionType */
enum {
    TFLITE_ACT_NONE = 0,
    TFLITE_ACT_RELU = 1,
    TFLITE_ACT_RELU_N1_TO_1 = 2,
    TFLITE_ACT_RELU6 = 3,
    TFLITE_ACT_TANH = 4,
};

/* Fields, TABLE_field. */
enum {
    MODEL_version = 0,
    MODEL_operator_codes = 1,
    MODEL_subgraphs = 2,
    MODEL_description = 3,
    MODEL_buffers = 4,
    MODEL_metadata = 6,

    OPCODE_deprecated_builtin_code = 0,
    OPCODE_custom_code = 1,
    OPCODE_builtin_code = 3,

    SUBGRAPH_tensors = 0,
    SUBGRAPH_inputs = 1,
    SUBGRAPH_outputs = 2,
    SUBGRAPH_operators = 3,
    SUBGRAPH_name = 4,

    TENSOR_shape = 0,
    TENSOR_type = 1,
    TENSOR_buffer = 2,
    TENSOR_name = 3,
    TENSOR_quantization = 4,
    TENSOR_is_variable = 5,
    TENSOR_sparsity = 6,
    TENSOR_shape_signature = 7,

    QUANT_scale = 2,
    QUANT_zero_point = 3,
    QUANT_details_type = 4,
    QUANT_dimension = 6,

    BUFFER_data = 0,
    BUFFER_offset = 1,
    BUFFER_size = 2,

    OPERATOR_opcode_index = 0,
    OPERATOR_inputs = 1,
    OPERATOR_outputs = 2,
    OPERATOR_options = 4,
    OPERATOR_custom_options = 5,
    OPERATOR_intermediates = 8,

    METADATA_name = 0,
    METADATA_buffer = 1,

    CONV_padding = 0,
    CONV_stride_w = 1,
    CONV_stride_h = 2,
    CONV_activation = 3,
    CONV_dilation_w = 4,
    CONV_dilation_h = 5,

    DEPTHWISE_multiplier = 3,
    DEPTHWISE_activation = 4,
    DEPTHWISE_dilation_w = 5,
    DEPTHWISE_dilation_h = 6,

    POOL_filter_w = 3,
    POOL_filter_h = 4,
    POOL_activation = 5,

    FC_activation = 0,
    FC_weights_format = 1,
    FC_keep_num_dims = 2,

    CONCAT_axis = 0,
    CONCAT_activation = 1,
    BINARY_activation = 0,
    SOFTMAX_beta = 0,
    RESHAPE_new_shape = 0,
    SQUEEZE_dims = 0,
    REDUCER_keep_dims = 0,
    GATHER_axis = 0,
    GATHER_batch_dims = 1,
    PACK_axis = 1,
    UNPACK_num = 0,
    UNPACK_axis = 1,
    LEAKY_alpha = 0,
    MIRROR_mode = 0,
    GELU_approximate = 0,
    CUMSUM_exclusive = 0,
    CUMSUM_reverse = 1,
    ONE_HOT_axis = 0,
    REVERSE_SEQUENCE_time = 0,
    REVERSE_SEQUENCE_batch = 1,
    DEPTH_block = 0,
    SHAPE_out_type = 0,
    VAR_HANDLE_container = 0,
    VAR_HANDLE_name = 1,
    CALL_ONCE_subgraph = 0,
    IF_then = 0,
    IF_else = 1,
    WHILE_cond = 0,
    WHILE_body = 1,
    SVDF_rank = 0,
    SVDF_activation = 1,
    LSTM_activation = 0,
    LSTM_cell_clip = 1,
    LSTM_proj_clip = 2,
    LSTM_time_major = 3,
    LSTM_diagonal = 5,
    BATCH_MATMUL_adj_x = 0,
    BATCH_MATMUL_adj_y = 1,

    STRIDED_begin_mask = 0,
    STRIDED_end_mask = 1,
    STRIDED_ellipsis_mask = 2,
    STRIDED_new_axis_mask = 3,
    STRIDED_shrink_mask = 4,
    STRIDED_offset = 5,

    BILINEAR_align_corners = 2,
    BILINEAR_half_pixel = 3,
    NEAREST_align_corners = 0,
    NEAREST_half_pixel = 1,
};

#endif
