/* SPDX-License-Identifier: Apache-2.0 */
/* onnx_binary.c -- y = f(a, b) with numpy's broadcasting. One inner loop per operator and element
 * type, made from one line each; the walk over the outer dimensions is shared. Whole numbers other
 * than i64 and u64 go through the loops of those in chunks; half types are widened by the planner.
 * Whole numbers wrap on overflow; a division by zero gives 0. */
#include <math.h>
#include <string.h>

#include "base/banned.h"
#include "engine/kernels/onnx.h"
#include "engine/kernels/onnx_number.h"
#include "engine/kernels/real.h"
#include "engine/port/select.h"

/* LEDGE_OPS names operators; some have two loops, Add is that of Sum and Mean. */
#ifdef LEDGE_OP_Mod
#define LEDGE_OP_ModF 1
#endif
#ifdef LEDGE_OP_BitShift
#define LEDGE_OP_BitShiftLeft  1
#define LEDGE_OP_BitShiftRight 1
#endif
#if !defined(LEDGE_OP_Add) && (defined(LEDGE_OP_Sum) || defined(LEDGE_OP_Mean))
#define LEDGE_OP_Add 1
#endif

/* T elements in, R elements out; sa, sb: 0 for an operand that is repeated, else 1. */
#define DEFINE_INNER(NAME, T, R, EXPR)                                                             \
    static void NAME(const void *pa, const void *pb, void *po, int64_t n, int64_t sa, int64_t sb)  \
    {                                                                                              \
        const T *va = pa, *vb = pb;                                                                \
        R *vo = po;                                                                                \
        for (int64_t i = 0; i < n; i++, va += sa, vb += sb) {                                      \
            T a = *va, b = *vb;                                                                    \
            vo[i] = (R)(EXPR);                                                                     \
        }                                                                                          \
    }

static inline double floor_mod(double a, double b)
{
    double r = fmod(a, b);
    return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}

/* X(operator, expression): real numbers, same type out; f32 of F32_LIST is in onnx_binary_f32.c. */
#define F32_LIST(X)                                                                                \
    X(Add, a + b)                                                                                  \
    X(Sub, a - b)                                                                                  \
    X(Mul, a *b)                                                                                   \
    X(Div, a / b)                                                                                  \
    X(Max, a > b || isnan(a) ? a : b)                                                              \
    X(Min, a < b || isnan(a) ? a : b)
#define REAL_LIST(X)                                                                               \
    X(PRelu, a < 0 ? a * b : a)                                                                    \
    X(Mod, floor_mod((double)a, (double)b))                                                        \
    X(ModF, fmod((double)a, (double)b))

/* X(operator, expression): number x number -> bool, every type. */
#define COMPARE_LIST(X)                                                                            \
    X(Equal, a == b)                                                                               \
    X(Less, a < b)                                                                                 \
    X(LessOrEqual, a <= b)                                                                         \
    X(Greater, a > b)                                                                              \
    X(GreaterOrEqual, a >= b)

#define DEFINE_REAL(NAME, EXPR)                                                                    \
    LEDGE_KEEP(LEDGE_OP_##NAME)                                                                    \
    (DEFINE_INNER(NAME##_f32, float, float, EXPR) DEFINE_INNER(NAME##_f64, double, double, EXPR))
REAL_LIST(DEFINE_REAL)
#define DEFINE_F64(NAME, EXPR)                                                                     \
    LEDGE_KEEP(LEDGE_OP_##NAME)(DEFINE_INNER(NAME##_f64, double, double, EXPR))
F32_LIST(DEFINE_F64)

#define DEFINE_REAL_COMPARE(NAME, EXPR)                                                            \
    LEDGE_KEEP(LEDGE_OP_##NAME)                                                                    \
    (DEFINE_INNER(NAME##_f32, float, uint8_t, EXPR) DEFINE_INNER(NAME##_f64, double, uint8_t, EXPR))
COMPARE_LIST(DEFINE_REAL_COMPARE)

#define WHOLE(NAME, name, T, EXPR)                                                                 \
    LEDGE_KEEP(LEDGE_OP_##NAME)(DEFINE_INNER(NAME##_##name, T, T, EXPR))
#define TEST(NAME, name, T, EXPR)                                                                  \
    LEDGE_KEEP(LEDGE_OP_##NAME)(DEFINE_INNER(NAME##_##name, T, uint8_t, EXPR))
/* U is T without sign: nothing overflows. */
#define DEFINE_WHOLE(name, T, U)                                                                   \
    WHOLE(Max, name, T, a > b ? a : b)                                                             \
    WHOLE(Min, name, T, a < b ? a : b)                                                             \
    TEST(Less, name, T, a < b)                                                                     \
    TEST(LessOrEqual, name, T, a <= b)                                                             \
    TEST(Greater, name, T, a > b)                                                                  \
    TEST(GreaterOrEqual, name, T, a >= b)
/* -1 is handled apart: the least number divided by it overflows. */
#define DEFINE_SIGNED(name, T, U)                                                                  \
    DEFINE_WHOLE(name, T, U)                                                                       \
    WHOLE(Div, name, T, b == 0 ? 0 : b == -1 ? (T)(0 - (U)a) : a / b)                              \
    WHOLE(ModF, name, T, b == 0 || b == -1 ? 0 : a % b)                                            \
    WHOLE(Mod, name, T,                                                                            \
          b == 0 || b == -1                  ? 0                                                   \
          : a % b != 0 && (a < 0) != (b < 0) ? a % b + b                                           \
                                             : a % b)                                              \
    WHOLE(PRelu, name, T, a < 0 ? (T)((U)a * (U)b) : a)
#define DEFINE_UNSIGNED(name, T, U)                                                                \
    DEFINE_WHOLE(name, T, U)                                                                       \
    WHOLE(Div, name, T, b == 0 ? 0 : a / b)                                                        \
    WHOLE(ModF, name, T, b == 0 ? 0 : a % b)                                                       \
    WHOLE(Mod, name, T, b == 0 ? 0 : a % b)                                                        \
    WHOLE(PRelu, name, T, ((void)b, a))                                                            \
    WHOLE(BitShiftLeft, name, T, b < 8 * sizeof(T) ? (U)a << b : 0)                                \
    WHOLE(BitShiftRight, name, T, b < 8 * sizeof(T) ? (U)a >> b : 0)
DEFINE_SIGNED(i64, int64_t, uint64_t)
DEFINE_UNSIGNED(u64, uint64_t, uint64_t)
/* The same bits with a sign and without. */
WHOLE(Add, bits, uint64_t, a + b)
WHOLE(Sub, bits, uint64_t, a - b)
WHOLE(Mul, bits, uint64_t, a *b)
WHOLE(BitwiseAnd, bits, uint64_t, a &b)
WHOLE(BitwiseOr, bits, uint64_t, a | b)
WHOLE(BitwiseXor, bits, uint64_t, a ^ b)
TEST(Equal, bits, uint64_t, a == b)
TEST(And, bool, uint8_t, a != 0 && b != 0)
TEST(Or, bool, uint8_t, a != 0 || b != 0)
TEST(Xor, bool, uint8_t, (a != 0) != (b != 0))
static inline bool same_text(struct ledge_string a, struct ledge_string b)
{
    return a.bytes == b.bytes && (a.bytes == 0 || memcmp(a.text, b.text, a.bytes) == 0);
}

TEST(Equal, string, struct ledge_string, same_text(a, b))
TEST(Equal, bool, uint8_t, (a != 0) == (b != 0))

/* An exponent is nearly always 2 or 0.5. */
WHOLE(Pow, f32, float, b == 2.0f ? a * a : ledge_pow_f32(a, b))

/* -- the table -- */

/* Kernel's name: operator, "_", type, "_c"; the operator is read off it. */
#define ROW(NAME, name, IN, OUT)                                                                   \
    LEDGE_KEEP(LEDGE_OP_##NAME)                                                                    \
    ({#NAME "_" #name "_c", NAME##_##name, LEDGE_##IN, LEDGE_##OUT}, )
#define BITS(NAME, name, D, OUT)                                                                   \
    LEDGE_KEEP(LEDGE_OP_##NAME)                                                                    \
    ({#NAME "_" #name "_c", NAME##_bits, LEDGE_##D, LEDGE_##OUT}, )
#define REAL_ROWS(NAME, EXPR)                                                                      \
    ROW(NAME, f32, F32, F32)                                                                       \
    ROW(NAME, f64, F64, F64)
#define F32_ROWS(NAME, EXPR)                                                                       \
    LEDGE_KEEP(LEDGE_OP_##NAME)                                                                    \
    ({#NAME "_f32_c", ledge_##NAME##_f32, LEDGE_F32, LEDGE_F32}, ) ROW(NAME, f64, F64, F64)
#define COMPARE_ROWS(NAME, EXPR)                                                                   \
    ROW(NAME, f32, F32, BOOL)                                                                      \
    ROW(NAME, f64, F64, BOOL)
/* clang-format off */
#define WHOLE_ROWS(D, name)                                                                  \
    BITS(Add, name, D, D)                                                                          \
    BITS(Sub, name, D, D) BITS(Mul, name, D, D) ROW(Max, name, D, D) ROW(Min, name, D, D)          \
        BITS(BitwiseAnd, name, D, D) BITS(BitwiseOr, name, D, D) BITS(BitwiseXor, name, D, D)      \
            BITS(Equal, name, D, BOOL) ROW(Less, name, D, BOOL) ROW(LessOrEqual, name, D, BOOL)     \
                ROW(Greater, name, D, BOOL) ROW(GreaterOrEqual, name, D, BOOL)                     \
                    ROW(Div, name, D, D) ROW(ModF, name, D, D) ROW(Mod, name, D, D)                \
                        ROW(PRelu, name, D, D)
/* clang-format on */
#define UNSIGNED_ROWS(D, name)                                                                     \
    WHOLE_ROWS(D, name) ROW(BitShiftLeft, name, D, D) ROW(BitShiftRight, name, D, D)

static const struct ledge_binary_entry table[] = {
    F32_LIST(F32_ROWS) REAL_LIST(REAL_ROWS) COMPARE_LIST(COMPARE_ROWS) WHOLE_ROWS(I64, i64)
        UNSIGNED_ROWS(U64, u64) ROW(And, bool, BOOL, BOOL) ROW(Or, bool, BOOL, BOOL)
            ROW(Xor, bool, BOOL, BOOL) ROW(Equal, bool, BOOL, BOOL) ROW(Equal, string, STRING, BOOL)
                ROW(Pow, f32, F32, F32){NULL, NULL, LEDGE_F32, LEDGE_F32}};

/* The type whose loop does for whole numbers that have none of their own. */
static enum ledge_dtype stand_in(enum ledge_dtype dtype)
{
    switch (dtype) {
    case LEDGE_I8:
    case LEDGE_I16:
    case LEDGE_I32:
        return LEDGE_I64;
    case LEDGE_U8:
    case LEDGE_U16:
    case LEDGE_U32:
        return LEDGE_U64;
    default:
        return dtype;
    }
}

const struct ledge_binary_entry *ledge_binary_find(const char *op, enum ledge_dtype in)
{
    const size_t n = strlen(op);
    in = stand_in(in);
    for (size_t i = 0; table[i].kernel != NULL; i++) {
        const char *kernel = table[i].kernel;
        if (table[i].in == in && strncmp(kernel, op, n) == 0 && kernel[n] == '_') {
            return &table[i];
        }
    }
    return NULL;
}

/* -- broadcasting -- */

/* Strides of view seen with the output's dimensions: 0 where it is repeated. */
static void broadcast_strides(const struct ledge_view *view, const struct ledge_view *out,
                              int32_t lead, int64_t *strides)
{
    int32_t at = lead < 0 ? out->rank - view->rank : lead;
    int64_t step = 1;
    for (int32_t i = 0; i < out->rank; i++) {
        strides[i] = 0;
    }
    for (int32_t i = view->rank - 1; i >= 0; i--) {
        if (view->dims[i] != 1) {
            strides[at + i] = step;
        }
        step *= view->dims[i];
    }
}

void ledge_binary_plan(struct ledge_binary_step *step, const struct ledge_view *a,
                       const struct ledge_view *b, const struct ledge_view *out, int32_t lead)
{
    int64_t sa[LEDGE_MAX_RANK], sb[LEDGE_MAX_RANK];
    int32_t n = 0;
    broadcast_strides(a, out, -1, sa);
    broadcast_strides(b, out, lead, sb);
    for (int32_t i = 0; i < out->rank; i++) {
        int64_t dim = out->dims[i];
        if (dim == 1) {
            continue;
        }
        if (n > 0 && step->stride_a[n - 1] == sa[i] * dim && step->stride_b[n - 1] == sb[i] * dim) {
            step->dims[n - 1] *= dim;
            step->stride_a[n - 1] = sa[i];
            step->stride_b[n - 1] = sb[i];
            continue;
        }
        step->dims[n] = dim;
        step->stride_a[n] = sa[i];
        step->stride_b[n] = sb[i];
        n++;
    }
    if (n == 0) {
        step->dims[0] = 1;
        step->stride_a[0] = step->stride_b[0] = 0;
        n = 1;
    }
    step->rank = n;
}

static void finish(const struct ledge_binary *p, float *out, int64_t n)
{
    if (p->scale != 1.0f) {
        for (int64_t i = 0; i < n; i++) {
            out[i] *= p->scale;
        }
    }
    for (int64_t i = 0; i < n; i++) {
        float v = out[i] < p->clamp.low ? p->clamp.low : out[i];
        out[i] = v > p->clamp.high ? p->clamp.high : v;
    }
}

enum { CHUNK = 256 };

/* A run of narrow whole numbers through the loop of wide ones; each chunk is read before it is
 * written, so that out may be a or b. */
static void run_narrow(const struct ledge_binary *p, const char *a, const char *b, char *out,
                       int64_t n, int64_t sa, int64_t sb)
{
    for (int64_t at = 0; at < n; at += CHUNK) {
        int64_t wide_a[CHUNK], wide_b[CHUNK], wide[CHUNK], m = n - at < CHUNK ? n - at : CHUNK;
        ledge_load_whole(a, p->in, sa * at, sa != 0 ? m : 1, wide_a);
        ledge_load_whole(b, p->in, sb * at, sb != 0 ? m : 1, wide_b);
        p->fn(wide_a, wide_b, wide, m, sa, sb);
        if (p->out == LEDGE_BOOL) {
            memcpy(out + at, wide, (size_t)m);
        } else {
            ledge_store_whole(wide, m, out, p->out, at);
        }
    }
}

static void run_step(const struct ledge_binary *p, const struct ledge_binary_step *step,
                     const char *a, const char *b, char *out, bool last)
{
    int32_t inner = step->rank - 1;
    int64_t n = step->dims[inner], in_size = (int64_t)ledge_dtype_size(p->in);
    size_t out_size = ledge_dtype_size(p->out);
    int64_t index[LEDGE_MAX_RANK] = {0};
    bool finishes =
        last && (p->clamp.low > -INFINITY || p->clamp.high < INFINITY || p->scale != 1.0f);
    for (int32_t i = 0; i < step->rank; i++) {
        if (step->dims[i] == 0) {
            return;
        }
    }
    for (;;) {
        int64_t sa = step->stride_a[inner] != 0, sb = step->stride_b[inner] != 0;
        int64_t m = sa == 0 && sb == 0 ? 1 : n; /* both are repeated: one result */
        if (p->narrow) {
            run_narrow(p, a, b, out, m, sa, sb);
        } else {
            p->fn(a, b, out, m, sa, sb);
        }
        for (; m < n; m++) {
            memcpy(out + (size_t)m * out_size, out, out_size);
        }
        if (finishes) {
            finish(p, (float *)out, n);
        }
        out += (size_t)n * out_size;
        int32_t i = inner - 1;
        for (; i >= 0; i--) {
            a += step->stride_a[i] * in_size;
            b += step->stride_b[i] * in_size;
            if (++index[i] < step->dims[i]) {
                break;
            }
            a -= step->stride_a[i] * step->dims[i] * in_size;
            b -= step->stride_b[i] * step->dims[i] * in_size;
            index[i] = 0;
        }
        if (i < 0) {
            return;
        }
    }
}

enum ledge_status ledge_binary_c(const struct ledge_kernel_call *call)
{
    const struct ledge_binary *p = call->params;
    char *out = call->out[0]->data;
    for (int32_t i = 0; i < p->n; i++) {
        const struct ledge_binary_step *step = &p->steps[i];
        run_step(p, step, step->a < 0 ? out : call->in[step->a]->data,
                 step->b < 0 ? out : call->in[step->b]->data, out, i == p->n - 1);
    }
    return LEDGE_OK;
}

/* -- Where -- */

enum ledge_status ledge_where_c(const struct ledge_kernel_call *call)
{
    const struct ledge_where *p = call->params;
    const uint8_t *cond = call->in[0]->data;
    const char *x = call->in[1]->data, *y = call->in[2]->data;
    char *out = call->out[0]->data;
    int64_t total = ledge_view_count(call->out[0]);
    for (int64_t k = 0; k < total; k++) {
        int64_t left = k, at[3] = {0};
        for (int32_t i = p->rank - 1; i >= 0; i--) {
            int64_t index = left % p->dims[i];
            left /= p->dims[i];
            for (int j = 0; j < 3; j++) {
                at[j] += index * p->stride[j][i];
            }
        }
        const char *from =
            cond[at[0]] != 0 ? x + at[1] * (int64_t)p->size : y + at[2] * (int64_t)p->size;
        memcpy(out + k * (int64_t)p->size, from, p->size);
    }
    return LEDGE_OK;
}
