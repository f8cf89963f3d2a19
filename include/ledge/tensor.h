/* SPDX-License-Identifier: Apache-2.0 */
/* tensor.h -- a typed n-dimensional view of memory, row-major and dense. */
#ifndef LEDGE_TENSOR_H
#define LEDGE_TENSOR_H

#include <stddef.h>
#include <stdint.h>

#include "ledge/error.h"

#ifdef __cplusplus
extern "C" {
#endif

#define LEDGE_MAX_RANK 8

/* An element of a tensor of strings: UTF-8, not NUL-terminated. */
struct ledge_string {
    const char *text; /* BORROWED; NULL when bytes is 0 */
    size_t bytes;
};

/* Element types. Values are those of ONNX TensorProto.DataType (IR 13). X(name, value, bytes, text,
 * oip_text). Types of fewer than 8 bits take a byte an element, whole ones sign-extended, f4e2m1 in
 * the low four bits. */
#define LEDGE_DTYPE_LIST(X)                                                                        \
    X(F32, 1, 4, "f32", "FP32")                                                                    \
    X(U8, 2, 1, "u8", "UINT8")                                                                     \
    X(I8, 3, 1, "i8", "INT8")                                                                      \
    X(U16, 4, 2, "u16", "UINT16")                                                                  \
    X(I16, 5, 2, "i16", "INT16")                                                                   \
    X(I32, 6, 4, "i32", "INT32")                                                                   \
    X(I64, 7, 8, "i64", "INT64")                                                                   \
    X(STRING, 8, sizeof(struct ledge_string), "string", "BYTES")                                   \
    X(BOOL, 9, 1, "bool", "BOOL")                                                                  \
    X(F16, 10, 2, "f16", "FP16")                                                                   \
    X(F64, 11, 8, "f64", "FP64")                                                                   \
    X(U32, 12, 4, "u32", "UINT32")                                                                 \
    X(U64, 13, 8, "u64", "UINT64")                                                                 \
    X(BF16, 16, 2, "bf16", "BF16")                                                                 \
    X(F8E4M3FN, 17, 1, "f8e4m3fn", "FP8E4M3FN")                                                    \
    X(F8E4M3FNUZ, 18, 1, "f8e4m3fnuz", "FP8E4M3FNUZ")                                              \
    X(F8E5M2, 19, 1, "f8e5m2", "FP8E5M2")                                                          \
    X(F8E5M2FNUZ, 20, 1, "f8e5m2fnuz", "FP8E5M2FNUZ")                                              \
    X(U4, 21, 1, "u4", "UINT4")                                                                    \
    X(I4, 22, 1, "i4", "INT4")                                                                     \
    X(F4E2M1, 23, 1, "f4e2m1", "FP4E2M1")                                                          \
    X(F8E8M0, 24, 1, "f8e8m0", "FP8E8M0")                                                          \
    X(U2, 25, 1, "u2", "UINT2")                                                                    \
    X(I2, 26, 1, "i2", "INT2")

enum ledge_dtype {
    LEDGE_DTYPE_NONE = 0,
#define LEDGE_DTYPE_ENUM(name, value, bytes, text, oip) LEDGE_##name = (value),
    LEDGE_DTYPE_LIST(LEDGE_DTYPE_ENUM)
#undef LEDGE_DTYPE_ENUM
};

/* A view: nothing is owned. Real value of a quantised element q = scale * (q - zero_point); scale 0
 * means not quantised. */
struct ledge_tensor {
    void *data;   /* BORROWED; bytes long, aligned to the element */
    size_t bytes; /* product of dims times the element size */
    enum ledge_dtype dtype;
    int32_t rank;
    int64_t dims[LEDGE_MAX_RANK];
    float scale;
    int32_t zero_point;
};

/* Bytes of one element, 0 for an unknown type. */
LEDGE_API size_t ledge_dtype_size(enum ledge_dtype dtype);

/* Short name ("f32") and Open Inference Protocol name ("FP32"); "?" for an unknown type. */
LEDGE_API const char *ledge_dtype_text(enum ledge_dtype dtype);
LEDGE_API const char *ledge_dtype_oip(enum ledge_dtype dtype);

#ifdef __cplusplus
}
#endif
#endif
