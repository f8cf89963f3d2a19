/* SPDX-License-Identifier: Apache-2.0 */
/* The engine's own exp, log, sin, ... beside the C library's, in units of the last place. */
#include "engine/kernels/real.h"

#include <float.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static uint64_t state = 88172645463325252u;

static uint64_t next(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    return state ^= state << 17;
}

/* Between low and high, evenly or (low > 0) evenly in the logarithm. */
static double draw(double low, double high)
{
    double u = (double)(next() >> 11) * 0x1p-53;
    return low > 0 ? low * pow(high / low, u) : low + u * (high - low);
}

static double ulps(double have, double want, double epsilon, double least)
{
    if (have == want || (isnan(have) && isnan(want))) {
        return 0;
    }
    double size = fabs(want) > least ? fabs(want) : least;
    return fabs(have - want) / (size * epsilon);
}

static const struct {
    const char *name;
    double (*own)(double);
    double (*library)(double);
    double low, high;
} doubles[] = {
    {"exp", ledge_exp, exp, -740, 709},      {"expm1", ledge_expm1, expm1, -40, 700},
    {"expm1", ledge_expm1, expm1, -1, 1},    {"log", ledge_log, log, 1e-310, 1e-3},
    {"log", ledge_log, log, 0.5, 2},         {"log1p", ledge_log1p, log1p, -0.99, 3},
    {"log1p", ledge_log1p, log1p, 1e-20, 1}, {"sin", ledge_sin, sin, -10, 10},
    {"sin", ledge_sin, sin, 1e3, 1e300},     {"cos", ledge_cos, cos, -10, 10},
    {"cos", ledge_cos, cos, 1e3, 1e300},     {"tan", ledge_tan, tan, -10, 10},
    {"tan", ledge_tan, tan, 1e6, 1e200},     {"asin", ledge_asin, asin, -1, 1},
    {"acos", ledge_acos, acos, -1, 1},       {"atan", ledge_atan, atan, -20, 20},
    {"atan", ledge_atan, atan, 1e-9, 1e9},   {"sinh", ledge_sinh, sinh, -3, 3},
    {"sinh", ledge_sinh, sinh, 1, 710},      {"cosh", ledge_cosh, cosh, -710, 710},
    {"tanh", ledge_tanh, tanh, -25, 25},     {"tanh", ledge_tanh, tanh, 1e-9, 1},
    {"asinh", ledge_asinh, asinh, -9, 9},    {"asinh", ledge_asinh, asinh, 1e-9, 1e30},
    {"acosh", ledge_acosh, acosh, 1, 1e30},  {"atanh", ledge_atanh, atanh, -1, 1},
    {"erf", ledge_erf, erf, -6.5, 6.5},      {"erf", ledge_erf, erf, 1e-12, 1},
};

static void test_doubles(void **unused)
{
    (void)unused;
    for (size_t f = 0; f < sizeof doubles / sizeof doubles[0]; f++) {
        double worst = 0, at = 0;
        for (int i = 0; i < 20000; i++) {
            double x = draw(doubles[f].low, doubles[f].high);
            double error = ulps(doubles[f].own(x), doubles[f].library(x), DBL_EPSILON, DBL_MIN);
            at = error > worst ? x : at;
            worst = error > worst ? error : worst;
        }
        print_message("%s %g .. %g: %.2f units, at %.17g\n", doubles[f].name, doubles[f].low,
                      doubles[f].high, worst, at);
        assert_true(worst < (doubles[f].own == ledge_erf ? 8 : 3));
    }
}

static const struct {
    const char *name;
    float (*own)(float);
    double (*library)(double);
    double low, high;
} floats[] = {
    {"exp", ledge_exp_f32, exp, -103, 88.7},    {"exp", ledge_exp_f32, exp, -1, 1},
    {"tanh", ledge_tanh_f32, tanh, -12, 12},    {"tanh", ledge_tanh_f32, tanh, 1e-30, 1},
    {"erf", ledge_erf_f32, erf, -5, 5},         {"erf", ledge_erf_f32, erf, 1e-30, 2},
    {"log", ledge_log_f32, log, 1e-44, 3.4e38}, {"log", ledge_log_f32, log, 0.5, 2},
    {"expm1", ledge_expm1_f32, expm1, -30, 80}, {"sin", ledge_sin_f32, sin, 1e-3, 3e38},
    {"sin", ledge_sin_f32, sin, -8, 8},         {"cos", ledge_cos_f32, cos, -1e6, 1e6},
};

static void test_floats(void **unused)
{
    (void)unused;
    for (size_t f = 0; f < sizeof floats / sizeof floats[0]; f++) {
        double worst = 0, at = 0;
        for (int i = 0; i < 200000; i++) {
            float x = (float)draw(floats[f].low, floats[f].high);
            double want = floats[f].library((double)x);
            double error = ulps((double)floats[f].own(x), want, FLT_EPSILON, FLT_MIN);
            at = error > worst ? (double)x : at;
            worst = error > worst ? error : worst;
        }
        print_message("%s %g .. %g: %.2f units, at %.9g\n", floats[f].name, floats[f].low,
                      floats[f].high, worst, at);
        assert_true(worst < 2);
    }
}

static void test_special(void **unused)
{
    (void)unused;
    const double inf = HUGE_VAL;
    static double (*const pairs[][2])(double) = {
        {ledge_exp, exp},   {ledge_expm1, expm1}, {ledge_log, log},     {ledge_log1p, log1p},
        {ledge_sin, sin},   {ledge_cos, cos},     {ledge_tan, tan},     {ledge_asin, asin},
        {ledge_acos, acos}, {ledge_atan, atan},   {ledge_sinh, sinh},   {ledge_cosh, cosh},
        {ledge_tanh, tanh}, {ledge_asinh, asinh}, {ledge_acosh, acosh}, {ledge_atanh, atanh},
        {ledge_erf, erf},
    };
    const double points[] = {0.0, -0.0, 1.0, -1.0, inf, -inf, (double)NAN, 1e-310, 1e9, -2.0};
    for (size_t f = 0; f < sizeof pairs / sizeof pairs[0]; f++) {
        for (size_t i = 0; i < sizeof points / sizeof points[0]; i++) {
            double have = pairs[f][0](points[i]), want = pairs[f][1](points[i]);
            if (ulps(have, want, DBL_EPSILON, DBL_MIN) >= 3 ||
                (want == 0 && signbit(have) != signbit(want))) {
                fail_msg("function %zu of %g is %.17g, not %.17g", f, points[i], have, want);
            }
        }
    }
    assert_true(ledge_exp_f32((float)inf) == (float)inf && ledge_exp_f32((float)-inf) == 0);
    assert_true(isnan(ledge_exp_f32(NAN)) && isnan(ledge_tanh_f32(NAN)));
    assert_true(isnan(ledge_erf_f32(NAN)) && isnan(ledge_log_f32(-1)) && isnan(ledge_log_f32(NAN)));
    assert_true(ledge_tanh_f32((float)inf) == 1 && ledge_tanh_f32((float)-inf) == -1);
    assert_true(ledge_erf_f32((float)-inf) == -1 && ledge_log_f32(0) == (float)-inf);
    assert_true(ledge_log_f32(1) == 0 && ledge_exp_f32(0) == 1 && signbit(ledge_tanh_f32(-0.0f)));
}

static void test_pow(void **unused)
{
    (void)unused;
    const double inf = HUGE_VAL;
    const double xs[] = {0.0, -0.0, 1, -1, 2, -2, 0.5, -0.5, 10, inf, -inf, (double)NAN, 1e-300};
    const double ys[] = {0, 1, -1, 2, 3, -3, 0.5, -0.5, 65, 66, 100.5, inf, -inf, (double)NAN};
    for (size_t i = 0; i < sizeof xs / sizeof xs[0]; i++) {
        for (size_t k = 0; k < sizeof ys / sizeof ys[0]; k++) {
            double have = ledge_pow(xs[i], ys[k]), want = pow(xs[i], ys[k]);
            if (ulps(have, want, 1e-13, DBL_MIN) > 1 ||
                (want == 0 && signbit(have) != signbit(want))) {
                fail_msg("pow(%g, %g) is %.17g, not %.17g", xs[i], ys[k], have, want);
            }
        }
    }
    for (int i = 0; i < 20000; i++) {
        double x = draw(1e-5, 1e5), y = draw(-20, 20);
        assert_true(ulps(ledge_pow(x, y), pow(x, y), 1e-13, DBL_MIN) < 1);
    }
    assert_true(ledge_pow(10, 3) == 1000.0 && ledge_pow(3, 20) == 3486784401.0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_doubles),
        cmocka_unit_test(test_floats),
        cmocka_unit_test(test_special),
        cmocka_unit_test(test_pow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
