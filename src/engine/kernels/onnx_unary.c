/* SPDX-License-Identifier: Apache-2.0 */
/* onnx_unary.c -- y = f(x), one loop per operator and element type, made from one line each.
 * Expressions see x and the parameters p; <tgmath.h> and LEDGE_REAL (real.h) pick the float or
 * double function. Half types are widened by the planner. */
#include <math.h>
#include <string.h>
#include <tgmath.h>

#include "base/banned.h"
#include "engine/kernels/onnx.h"
#include "engine/kernels/onnx_number.h"
#include "engine/kernels/real.h"

/* Speed matters where x is f32; the others are many. */
#define SMALL __attribute__((cold))

#define SIGMOID(v)  (1 / (1 + LEDGE_REAL(exp, -(v))))
#define SOFTPLUS(v) (((v) > 0 ? (v) : 0) + LEDGE_REAL(log1p, LEDGE_REAL(exp, -fabs(v))))

/* NaN stays. */
#define RAMP(v) ((v) > 1 ? 1 : (v) < 0 ? 0 : (v))

/* X(operator, expression): real numbers. */
#define REAL_LIST(X)                                                                               \
    X(Abs, fabs(x))                                                                                \
    X(Acos, LEDGE_REAL(acos, x))                                                                   \
    X(Acosh, LEDGE_REAL(acosh, x))                                                                 \
    X(Asin, LEDGE_REAL(asin, x))                                                                   \
    X(Asinh, LEDGE_REAL(asinh, x))                                                                 \
    X(Atan, LEDGE_REAL(atan, x))                                                                   \
    X(Atanh, LEDGE_REAL(atanh, x))                                                                 \
    X(Ceil, ceil(x))                                                                               \
    X(Celu, x > 0 ? x : p[0] * LEDGE_REAL(expm1, x / p[0]))                                        \
    X(Cos, LEDGE_REAL(cos, x))                                                                     \
    X(Cosh, LEDGE_REAL(cosh, x))                                                                   \
    X(Elu, x < 0 ? p[0] * LEDGE_REAL(expm1, x) : x)                                                \
    X(Erf, LEDGE_REAL(erf, x))                                                                     \
    X(Exp, LEDGE_REAL(exp, x))                                                                     \
    X(Floor, floor(x))                                                                             \
    X(Gelu, x / 2 * (1 + LEDGE_REAL(erf, x * (float)0.70710678118654752)))                         \
    X(GeluTanh,                                                                                    \
      x / 2 *                                                                                      \
          (1 + LEDGE_REAL(tanh, (float)0.79788456080286536 * (x + (float)0.044715 * x * x * x))))  \
    X(HardSigmoid, RAMP(p[0] * x + p[1]))                                                          \
    X(HardSwish, x *RAMP(x / 6 + (float)0.5))                                                      \
    X(LeakyRelu, x < 0 ? p[0] * x : x)                                                             \
    X(Log, LEDGE_REAL(log, x))                                                                     \
    X(Mish, x *LEDGE_REAL(tanh, SOFTPLUS(x)))                                                      \
    X(Neg, -x)                                                                                     \
    X(Reciprocal, 1 / x)                                                                           \
    X(Relu, x < 0 ? 0 : x)                                                                         \
    X(Round, rint(x))                                                                              \
    X(Selu, p[1] * (x > 0 ? x : p[0] * LEDGE_REAL(expm1, x)))                                      \
    X(Shrink, x<-p[0] ? x + p[1] : x> p[0] ? x - p[1] : 0)                                         \
    X(Sigmoid, SIGMOID(x))                                                                         \
    X(Sign, (x > 0) - (x < 0))                                                                     \
    X(Sin, LEDGE_REAL(sin, x))                                                                     \
    X(Sinh, LEDGE_REAL(sinh, x))                                                                   \
    X(Softplus, SOFTPLUS(x))                                                                       \
    X(Softsign, x / (1 + fabs(x)))                                                                 \
    X(Sqrt, sqrt(x))                                                                               \
    X(Swish, x *SIGMOID(p[0] * x))                                                                 \
    X(Tan, LEDGE_REAL(tan, x))                                                                     \
    X(Tanh, LEDGE_REAL(tanh, x))                                                                   \
    X(ThresholdedRelu, x > p[0] ? x : 0)

#define DEFINE_REAL(NAME, EXPR)                                                                    \
    static void NAME##_f32(const void *in, void *out, int64_t n, const float *p)                   \
    {                                                                                              \
        const float *a = in;                                                                       \
        float *y = out;                                                                            \
        (void)p;                                                                                   \
        for (int64_t i = 0; i < n; i++) {                                                          \
            float x = a[i];                                                                        \
            y[i] = EXPR;                                                                           \
        }                                                                                          \
    }                                                                                              \
    SMALL static void NAME##_f64(const void *in, void *out, int64_t n, const float *p)             \
    {                                                                                              \
        const double *a = in;                                                                      \
        double *y = out;                                                                           \
        (void)p;                                                                                   \
        for (int64_t i = 0; i < n; i++) {                                                          \
            double x = a[i];                                                                       \
            y[i] = EXPR;                                                                           \
        }                                                                                          \
    }
REAL_LIST(DEFINE_REAL)

/* X(dtype, name, T, U): whole numbers; U is the unsigned type of the same width, in which overflow
 * wraps. */
#define SIGNED_LIST(X)                                                                             \
    X(I8, i8, int8_t, uint8_t)                                                                     \
    X(I16, i16, int16_t, uint16_t)                                                                 \
    X(I32, i32, int32_t, uint32_t)                                                                 \
    X(I64, i64, int64_t, uint64_t)
#define UNSIGNED_LIST(X)                                                                           \
    X(U8, u8, uint8_t, uint8_t)                                                                    \
    X(U16, u16, uint16_t, uint16_t)                                                                \
    X(U32, u32, uint32_t, uint32_t)                                                                \
    X(U64, u64, uint64_t, uint64_t)

#define DEFINE_WHOLE(NAME, name, T, EXPR)                                                          \
    SMALL static void NAME##_##name(const void *in, void *out, int64_t n, const float *p)          \
    {                                                                                              \
        const T *a = in;                                                                           \
        T *y = out;                                                                                \
        (void)p;                                                                                   \
        for (int64_t i = 0; i < n; i++) {                                                          \
            T x = a[i];                                                                            \
            y[i] = (T)(EXPR);                                                                      \
        }                                                                                          \
    }
#define DEFINE_SIGNED(dtype, name, T, U)                                                           \
    DEFINE_WHOLE(Abs, name, T, x < 0 ? (U)0 - (U)x : (U)x)                                         \
    DEFINE_WHOLE(Neg, name, T, (U)0 - (U)x)                                                        \
    DEFINE_WHOLE(Sign, name, T, (x > 0) - (x < 0))                                                 \
    DEFINE_WHOLE(Relu, name, T, x < 0 ? 0 : x)                                                     \
    DEFINE_WHOLE(                                                                                  \
        Shrink, name, T,                                                                           \
        ledge_cut((float)x<-p[0] ? (float)x + p[1] : (float)x> p[0] ? (float)x - p[1] : 0))        \
    DEFINE_WHOLE(BitwiseNot, name, T, ~x)
#define DEFINE_UNSIGNED(dtype, name, T, U)                                                         \
    DEFINE_WHOLE(Abs, name, T, x)                                                                  \
    DEFINE_WHOLE(Sign, name, T, x > 0)                                                             \
    DEFINE_WHOLE(BitwiseNot, name, T, ~x)
SIGNED_LIST(DEFINE_SIGNED)
UNSIGNED_LIST(DEFINE_UNSIGNED)
DEFINE_WHOLE(Not, bool, uint8_t, !x)

/* -- tests: number -> bool. IsInf's p[0], p[1] say whether negative and positive infinity count.
 * -------------------- */

#define DEFINE_TEST(NAME, name, T, LOAD, EXPR)                                                     \
    SMALL static void NAME##_##name(const void *in, void *out, int64_t n, const float *p)          \
    {                                                                                              \
        const T *a = in;                                                                           \
        uint8_t *y = out;                                                                          \
        (void)p;                                                                                   \
        for (int64_t i = 0; i < n; i++) {                                                          \
            double x = (double)LOAD(a[i]);                                                         \
            y[i] = (EXPR) != 0;                                                                    \
        }                                                                                          \
    }
#define SAME(v) (v)
#define DEFINE_TESTS(NAME, EXPR)                                                                   \
    DEFINE_TEST(NAME, f32, float, SAME, EXPR)                                                      \
    DEFINE_TEST(NAME, f64, double, SAME, EXPR)
DEFINE_TESTS(IsNaN, isnan(x))
DEFINE_TESTS(IsInf, isinf(x) && (x < 0 ? p[0] : p[1]) != 0)

/* -- the table
 * ------------------------------------------------------------------------------------------------------
 */

#define ROW(NAME, name, IN, OUT)                                                                   \
    {#NAME, #NAME "_" #name "_c", LEDGE_##IN, LEDGE_##OUT, NAME##_##name},
#define REAL_ROWS(NAME, EXPR)                                                                      \
    ROW(NAME, f32, F32, F32)                                                                       \
    ROW(NAME, f64, F64, F64)
/* clang-format off */
#define SIGNED_ROWS(D, name, T, U)                                                                 \
    ROW(Abs, name, D, D)                                                                           \
    ROW(Neg, name, D, D) ROW(Sign, name, D, D) ROW(Relu, name, D, D) ROW(Shrink, name, D, D)       \
        ROW(BitwiseNot, name, D, D)
/* clang-format on */
#define UNSIGNED_ROWS(D, name, T, U)                                                               \
    ROW(Abs, name, D, D) ROW(Sign, name, D, D) ROW(BitwiseNot, name, D, D)
#define TEST_ROWS(NAME)                                                                            \
    ROW(NAME, f32, F32, BOOL)                                                                      \
    ROW(NAME, f64, F64, BOOL)

static const struct ledge_unary_entry table[] = {
    REAL_LIST(REAL_ROWS) SIGNED_LIST(SIGNED_ROWS) UNSIGNED_LIST(UNSIGNED_ROWS) TEST_ROWS(IsNaN)
        TEST_ROWS(IsInf) ROW(Not, bool, BOOL, BOOL)};

const struct ledge_unary_entry *ledge_unary_find(const char *op, enum ledge_dtype in)
{
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (table[i].in == in && strcmp(table[i].op, op) == 0) {
            return &table[i];
        }
    }
    return NULL;
}

/* Elements of a grain: whole vectors, so that no element is computed in another way for being at
 * another place of its span. */
enum { GRAIN = 4096 };

static void elements(void *arg, int32_t first, int32_t last, int32_t worker)
{
    (void)worker;
    const struct ledge_kernel_call *call = arg;
    const struct ledge_unary *params = call->params;
    const struct ledge_view *in = call->in[0], *out = call->out[0];
    int64_t at = (int64_t)first * GRAIN, end = (int64_t)last * GRAIN;
    int64_t n = ledge_view_count(out);
    params->fn((const char *)in->data + at * (int64_t)ledge_dtype_size(in->dtype),
               (char *)out->data + at * (int64_t)ledge_dtype_size(out->dtype),
               (end < n ? end : n) - at, params->p);
}

enum ledge_status ledge_unary_c(const struct ledge_kernel_call *call)
{
    const struct ledge_unary *params = call->params;
    int64_t n = ledge_view_count(call->out[0]);
    if (call->pool == NULL || n > (int64_t)INT32_MAX * GRAIN) {
        params->fn(call->in[0]->data, call->out[0]->data, n, params->p);
    } else {
        ledge_pool_spans(call->pool, (int32_t)((n + GRAIN - 1) / GRAIN), elements, (void *)call);
    }
    return LEDGE_OK;
}
