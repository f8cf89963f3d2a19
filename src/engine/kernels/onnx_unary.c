/* SPDX-License-Identifier: Apache-2.0 */
/* onnx_unary.c -- y = f(x), one line per operator. Expressions see x and the parameters p;
 * <tgmath.h> and LEDGE_REAL (real.h) pick the float or double function. Half types are widened by
 * the planner.
 *
 * Speed matters where x is f32: a loop per operator over a chunk of known length, of which a
 * compiler makes vectors without a second loop for the rest or for overlap. All other types go
 * through double or int64, element by element. */
#include <math.h>
#include <string.h>
#include <tgmath.h>

#include "base/banned.h"
#include "engine/kernels/onnx.h"
#include "engine/kernels/onnx_number.h"
#include "engine/kernels/real.h"
#include "engine/port/select.h"

enum { CHUNK = 64 };

#define SIGMOID(v)  (1 / (1 + LEDGE_REAL(exp, -(v))))
#define SOFTPLUS(v) (((v) > 0 ? (v) : 0) + LEDGE_REAL(log1p, LEDGE_REAL(exp, -fabs(v))))

/* NaN stays. */
#define RAMP(v) ((v) > 1 ? 1 : (v) < 0 ? 0 : (v))

/* X(operator, expression): real numbers. */
#define PLAIN_LIST(X)                                                                              \
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
    X(HardSigmoid, RAMP(p[0] * x + p[1]))                                                          \
    X(HardSwish, x *RAMP(x / 6 + (float)0.5))                                                      \
    X(LeakyRelu, x < 0 ? p[0] * x : x)                                                             \
    X(Log, LEDGE_REAL(log, x))                                                                     \
    X(Neg, -x)                                                                                     \
    X(Reciprocal, 1 / x)                                                                           \
    X(Relu, x < 0 ? 0 : x)                                                                         \
    X(Round, rint(x))                                                                              \
    X(Selu, p[1] * (x > 0 ? x : p[0] * LEDGE_REAL(expm1, x)))                                      \
    X(Shrink, x<-p[0] ? x + p[1] : x> p[0] ? x - p[1] : 0)                                         \
    X(Sign, (x > 0) - (x < 0))                                                                     \
    X(Sin, LEDGE_REAL(sin, x))                                                                     \
    X(Sinh, LEDGE_REAL(sinh, x))                                                                   \
    X(Softplus, SOFTPLUS(x))                                                                       \
    X(Softsign, x / (1 + fabs(x)))                                                                 \
    X(Sqrt, sqrt(x))                                                                               \
    X(Tan, LEDGE_REAL(tan, x))                                                                     \
    X(Tanh, LEDGE_REAL(tanh, x))                                                                   \
    X(ThresholdedRelu, x > p[0] ? x : 0)

/* Those that are made of others. */
#define COMPOSED_LIST(X)                                                                           \
    X(Gelu, x / 2 * (1 + LEDGE_REAL(erf, x * (float)0.70710678118654752)))                         \
    X(GeluTanh,                                                                                    \
      x / 2 *                                                                                      \
          (1 + LEDGE_REAL(tanh, (float)0.79788456080286536 * (x + (float)0.044715 * x * x * x))))  \
    X(Mish, x *LEDGE_REAL(tanh, SOFTPLUS(x)))                                                      \
    X(Sigmoid, SIGMOID(x))                                                                         \
    X(Swish, x *SIGMOID(p[0] * x))

#define REAL_LIST(X) PLAIN_LIST(X) COMPOSED_LIST(X)

#ifdef LEDGE_OP_Gelu /* LEDGE_OPS names operators */
#define LEDGE_OP_GeluTanh 1
#endif

typedef void (*chunk_fn)(const float *in, float *out, float p0, float p1);

#define DEFINE_F32(NAME, EXPR)                                                                     \
    static void NAME##_f32(const float *in, float *out, float p0, float p1)                        \
    {                                                                                              \
        const float p[2] = {p0, p1};                                                               \
        (void)p;                                                                                   \
        LEDGE_IN_STEP                                                                              \
        for (int i = 0; i < CHUNK; i++) {                                                          \
            float x = in[i];                                                                       \
            out[i] = EXPR;                                                                         \
        }                                                                                          \
    }
PLAIN_LIST(DEFINE_F32)

/* y = LAST of x and t, where t = INNER(FIRST of x): the same steps as the expression, a chunk at a
 * time. */
#define DEFINE_COMPOSED(NAME, FIRST, INNER, LAST)                                                  \
    static void NAME##_f32(const float *in, float *out, float p0, float p1)                        \
    {                                                                                              \
        float w[CHUNK];                                                                            \
        (void)p0;                                                                                  \
        for (int i = 0; i < CHUNK; i++) {                                                          \
            float x = in[i];                                                                       \
            w[i] = FIRST;                                                                          \
        }                                                                                          \
        INNER##_f32(w, w, p0, p1);                                                                 \
        LEDGE_IN_STEP                                                                              \
        for (int i = 0; i < CHUNK; i++) {                                                          \
            float x = in[i], t = w[i];                                                             \
            (void)x;                                                                               \
            out[i] = LAST;                                                                         \
        }                                                                                          \
    }
DEFINE_COMPOSED(Sigmoid, -x, Exp, 1 / (1 + t))
DEFINE_COMPOSED(Swish, p0 *x, Sigmoid, x *t)
DEFINE_COMPOSED(Gelu, x *(float)0.70710678118654752, Erf, x / 2 * (1 + t))
DEFINE_COMPOSED(GeluTanh, (float)0.79788456080286536 * (x + (float)0.044715 * x * x * x), Tanh,
                x / 2 * (1 + t))
DEFINE_COMPOSED(Mish, SOFTPLUS(x), Tanh, x *t)

/* -- the other types -- */

/* Operators on whole numbers and tests; IsInf's p[0], p[1] say whether negative and positive
 * infinity count. */
enum unary {
#define NUMBER(NAME, EXPR) UNARY_##NAME,
    REAL_LIST(NUMBER)
#undef NUMBER
        UNARY_BitwiseNot,
    UNARY_IsInf,
    UNARY_IsNaN,
    UNARY_Not,
};

LEDGE_COLD static double real_one(int32_t op, double x, const float *p)
{
    switch (op) {
#define CASE(NAME, EXPR)                                                                           \
    case UNARY_##NAME:                                                                             \
        return LEDGE_HAS(LEDGE_OP_##NAME) ? EXPR : 0;
        REAL_LIST(CASE)
#undef CASE
    case UNARY_IsInf:
        return isinf(x) && (x < 0 ? p[0] : p[1]) != 0;
    default: /* IsNaN */
        return isnan(x);
    }
}

/* x holds a narrower type's value, or the bits of u64; what is stored are the low bits of the
 * answer, so that overflow wraps. */
LEDGE_COLD static int64_t whole_one(int32_t op, int64_t x, bool sign, const float *p)
{
    bool below = sign && x < 0;
    switch (op) {
    case UNARY_Abs:
        return below ? (int64_t)(0 - (uint64_t)x) : x;
    case UNARY_Neg:
        return (int64_t)(0 - (uint64_t)x);
    case UNARY_Sign:
        return below ? -1 : x != 0;
    case UNARY_Relu:
        return below ? 0 : x;
    case UNARY_Shrink:
        return ledge_cut((float)x < -p[0]  ? (float)x + p[1]
                         : (float)x > p[0] ? (float)x - p[1]
                                           : 0);
    case UNARY_BitwiseNot:
        return ~x;
    default: /* Not */
        return !x;
    }
}

/* -- the table -- */

enum { REAL = 1, SIGNED = 2, UNSIGNED = 4, BOOLEAN = 8, TEST = 16 };

static const struct row {
    const char *kernel; /* of f32; begins with the operator's name */
    chunk_fn f32;
} rows[] = {
#define ROW(NAME, EXPR) {#NAME "_f32_c", LEDGE_HAS(LEDGE_OP_##NAME) ? NAME##_f32 : NULL},
    REAL_LIST(ROW){"BitwiseNot_", NULL},
    {"IsInf_", NULL},
    {"IsNaN_", NULL},
    {"Not_", NULL},
};

static int32_t type_of(enum ledge_dtype dtype)
{
    switch (dtype) {
    case LEDGE_F32:
    case LEDGE_F64:
        return REAL | TEST;
    case LEDGE_I8:
    case LEDGE_I16:
    case LEDGE_I32:
    case LEDGE_I64:
        return SIGNED;
    case LEDGE_U8:
    case LEDGE_U16:
    case LEDGE_U32:
    case LEDGE_U64:
        return UNSIGNED;
    default:
        return dtype == LEDGE_BOOL ? BOOLEAN : 0;
    }
}

static int32_t types_of(int32_t op)
{
    switch (op) {
    case UNARY_Abs:
    case UNARY_Sign:
        return REAL | SIGNED | UNSIGNED;
    case UNARY_Neg:
    case UNARY_Relu:
    case UNARY_Shrink:
        return REAL | SIGNED;
    case UNARY_BitwiseNot:
        return SIGNED | UNSIGNED;
    case UNARY_IsInf:
    case UNARY_IsNaN:
        return TEST;
    case UNARY_Not:
        return BOOLEAN;
    default:
        return REAL;
    }
}

bool ledge_unary_find(const char *op, enum ledge_dtype in, struct ledge_unary_entry *entry)
{
    size_t length = strlen(op);
    for (int32_t i = 0; i < (int32_t)(sizeof rows / sizeof rows[0]); i++) {
        int32_t type = type_of(in) & types_of(i);
        if (type != 0 && strncmp(rows[i].kernel, op, length) == 0 &&
            rows[i].kernel[length] == '_') {
            *entry = (struct ledge_unary_entry){
                .kernel = type == TEST         ? "unary_test_c"
                          : in == LEDGE_F32    ? rows[i].kernel
                          : (type & REAL) != 0 ? "unary_f64_c"
                                               : "unary_whole_c",
                .out = type == TEST ? LEDGE_BOOL : in,
                .op = i,
            };
            return true;
        }
    }
    return false;
}

/* -- the walk -- */

static void span_f32(chunk_fn fn, const float *p, const float *in, float *out, int64_t n)
{
    for (; n >= CHUNK; n -= CHUNK, in += CHUNK, out += CHUNK) {
        fn(in, out, p[0], p[1]);
    }
    if (n > 0) {
        float last[CHUNK] = {0};
        memcpy(last, in, (size_t)n * sizeof *in);
        fn(last, last, p[0], p[1]);
        memcpy(out, last, (size_t)n * sizeof *out);
    }
}

void ledge_sigmoid_floats(float *x, int64_t n)
{
    span_f32(Sigmoid_f32, (const float[2]){0}, x, x, n);
}

void ledge_tanh_floats(float *x, int64_t n)
{
    span_f32(Tanh_f32, (const float[2]){0}, x, x, n);
}

LEDGE_COLD static void span_other(const struct ledge_unary *p, const struct ledge_view *in,
                                  const struct ledge_view *out, int64_t at, int64_t n)
{
    bool real = ledge_is_real(in->dtype), sign = (type_of(in->dtype) & SIGNED) != 0;
    for (int64_t end = at + n; at < end; at++) { /* read before it is written: out may be in */
        if (real) {
            double x;
            ledge_load_real(in->data, in->dtype, at, 1, &x);
            x = real_one(p->op, x, p->p);
            ledge_store_real(&x, 1, out->data, out->dtype, at);
        } else {
            int64_t x;
            ledge_load_whole(in->data, in->dtype, at, 1, &x);
            x = whole_one(p->op, x, sign, p->p);
            ledge_store_whole(&x, 1, out->data, out->dtype, at);
        }
    }
}

/* Elements of a grain: whole chunks. */
enum { GRAIN = 64 * CHUNK };

static void span(const struct ledge_kernel_call *call, int64_t at, int64_t n)
{
    const struct ledge_view *in = call->in[0], *out = call->out[0];
    if (in->dtype == LEDGE_F32 && out->dtype == LEDGE_F32) {
        const struct ledge_unary *p = call->params;
        span_f32(rows[p->op].f32, p->p, (const float *)in->data + at, (float *)out->data + at, n);
    } else {
        span_other(call->params, in, out, at, n);
    }
}

static void elements(void *arg, int32_t first, int32_t last, int32_t worker)
{
    (void)worker;
    const struct ledge_kernel_call *call = arg;
    int64_t at = (int64_t)first * GRAIN, end = (int64_t)last * GRAIN;
    int64_t n = ledge_view_count(call->out[0]);
    span(call, at, (end < n ? end : n) - at);
}

enum ledge_status ledge_unary_c(const struct ledge_kernel_call *call)
{
    int64_t n = ledge_view_count(call->out[0]);
    if (call->pool == NULL || n > (int64_t)INT32_MAX * GRAIN) {
        span(call, 0, n);
    } else {
        ledge_pool_spans(call->pool, (int32_t)((n + GRAIN - 1) / GRAIN), elements, (void *)call);
    }
    return LEDGE_OK;
}
