/* SPDX-License-Identifier: Apache-2.0 */
/* real.c -- functions of double; see real.h.
 *
 * Each reduces its argument to a short interval and sums a series there. The series are Taylor's,
 * so their coefficients are fractions that a reader can check; the lengths follow from the
 * interval.
 */
#include "engine/kernels/real.h"

#include <stdbool.h>

#include "base/banned.h"

static const double half_pi = 1.5707963267948966, quarter_pi = 0.7853981633974483;
/* ln 2 in two parts: products of the first with exponents are exact. */
static const double ln2_high = 0.6931471804855391, ln2_low = 7.440617110012397e-11;

/* e^r - 1 for |r| <= ln(2) / 2: the term after the last is below 2^-56 of the sum. */
static double small_expm1(double r)
{
    double p = 1.0 / 87178291200.0;
    static const double fractions[] = {1.0 / 6227020800.0, 1.0 / 479001600.0, 1.0 / 39916800.0,
                                       1.0 / 3628800.0,    1.0 / 362880.0,    1.0 / 40320.0,
                                       1.0 / 5040.0,       1.0 / 720.0,       1.0 / 120.0,
                                       1.0 / 24.0,         1.0 / 6.0,         0.5};
    for (int i = 0; i < 12; i++) {
        p = p * r + fractions[i];
    }
    return p * r * r + r;
}

double ledge_exp(double x)
{
    if (!(x > -746.0)) {
        return x == x ? 0.0 : x;
    }
    if (x > 709.8) {
        return x * HUGE_VAL;
    }
    double n = rint(x * 1.4426950408889634);
    double r = x - n * ln2_high - n * ln2_low;
    return ldexp(small_expm1(r) + 1.0, (int)n);
}

double ledge_expm1(double x)
{
    if (x == 0.0) {
        return x;
    }
    return fabs(x) <= 0.34 ? small_expm1(x) : ledge_exp(x) - 1.0;
}

/* 2 atanh(s) = log((1 + s) / (1 - s)), |s| <= 0.172 */
static double log_ratio(double s)
{
    static const double inverse[] = {1.0 / 25, 1.0 / 23, 1.0 / 21, 1.0 / 19, 1.0 / 17, 1.0 / 15,
                                     1.0 / 13, 1.0 / 11, 1.0 / 9,  1.0 / 7,  1.0 / 5,  1.0 / 3};
    double t = s * s, p = 0;
    for (int i = 0; i < 12; i++) {
        p = p * t + inverse[i];
    }
    return 2.0 * (s + s * t * p);
}

double ledge_log(double x)
{
    if (!(x > 0.0) || x > 1.7976931348623157e308) {
        return x == 0.0 ? -HUGE_VAL : x > 0.0 || x != x ? x : (double)NAN;
    }
    int e;
    double m = frexp(x, &e);
    if (m < 0.7071067811865476) {
        m *= 2.0;
        e--;
    }
    double f = m - 1.0;
    return e * ln2_high + (log_ratio(f / (2.0 + f)) + e * ln2_low);
}

/* log(u) with the error of u = 1 + x put right (Kahan). */
double ledge_log1p(double x)
{
    double u = 1.0 + x;
    if (u == 1.0 || !(x < 1e300)) {
        return x;
    }
    return u > 0.0 ? ledge_log(u) * (x / (u - 1.0)) : ledge_log(u);
}

/* x^n by squaring. */
static double whole_power(double x, double n)
{
    double result = 1.0;
    for (uint32_t bits = (uint32_t)fabs(n); bits != 0; bits >>= 1, x *= x) {
        result *= (bits & 1u) != 0 ? x : 1.0;
    }
    return n < 0 ? 1.0 / result : result;
}

double ledge_pow(double x, double y)
{
    bool whole = floor(y) == y, odd = whole && fabs(fmod(y, 2.0)) == 1.0;
    if (y == 0.0 || x == 1.0) {
        return 1.0;
    }
    if (x != x || y != y) {
        return x + y;
    }
    if (whole && fabs(y) <= 64.0) {
        return whole_power(x, y);
    }
    if (x == -1.0 && fabs(y) > 1.7976931348623157e308) {
        return 1.0;
    }
    if (x < 0.0 && !whole) {
        return (double)NAN;
    }
    if (y == 0.5 && fabs(x) <= 1.7976931348623157e308) {
        return sqrt(x + 0.0);
    }
    double size = ledge_exp(y * ledge_log(fabs(x)));
    return odd && signbit(x) ? -size : size;
}

/* -- circular functions ---------------------------------------------------------------------------
 */

/* Bits of 2 / pi. */
static const uint32_t two_over_pi[40] = {
    0xa2f9836e, 0x4e441529, 0xfc2757d1, 0xf534ddc0, 0xdb629599, 0x3c439041, 0xfe5163ab, 0xdebbc561,
    0xb7246e3a, 0x424dd2e0, 0x06492eea, 0x09d1921c, 0xfe1deb1c, 0xb129a73e, 0xe88235f5, 0x2ebb4484,
    0xe99c7026, 0xb45f7e41, 0x3991d639, 0x835339f4, 0x9c845f8b, 0xbdf9283b, 0x1ff897ff, 0xde05980f,
    0xef2f118b, 0x5a0a6d1f, 0x6d367ecf, 0x27cb09b7, 0x4f463f66, 0x9e5fea2d, 0x7527bac7, 0xebe5f17b,
    0x3d0739f7, 0x8a5292ea, 0x6bfb5fb1, 0x1f8d5d08, 0x56033046, 0xfc7b6bab, 0xf0cfbc20, 0x9af4361d};

/* 32 bits of 2 / pi from bit `at` on, the first behind the point being 0. */
static uint32_t bits_at(int at)
{
    uint64_t two = (uint64_t)two_over_pi[at / 32] << 32 | two_over_pi[at / 32 + 1];
    return (uint32_t)(two >> (32 - at % 32));
}

/* |x| >= 2^20: the bits of 2 / pi that matter times the 53 of x, after Payne and Hanek, "Radian
 * reduction for trigonometric functions", 1983. Bits of 2 / pi that give multiples of 4 are left
 * out; of the product, 2 bits before the point and 128 behind it are used. */
static int reduce_large(double x, double *r)
{
    enum { LIMBS = 6 };
    int e;
    uint64_t m = (uint64_t)ldexp(frexp(x, &e), 53);
    e -= 53;                           /* x = m 2^e, e >= -33 */
    int first = e > 2 ? e - 2 : 0;     /* bit of 2 / pi, counted from 0 */
    uint32_t product[LIMBS + 3] = {0}; /* lowest first; the point is 192 + first - e bits up */
    for (int i = 0; i < LIMBS; i++) {
        uint64_t part = bits_at(first + 32 * (LIMBS - 1 - i)), carry = 0;
        for (int k = 0; k < 2; k++) {
            carry += part * (uint32_t)(m >> (32 * k)) + product[i + k];
            product[i + k] = (uint32_t)carry;
            carry >>= 32;
        }
        product[i + 2] += (uint32_t)carry;
    }
    int point = 32 * LIMBS + first - e; /* 190 .. 225 */
    uint64_t window[3];                 /* bits point + 1 .. point - 190 */
    for (int w = 0; w < 3; w++) {
        int low = point + 2 - 64 * (w + 1);
        uint64_t value = 0;
        for (int b = 63; b >= 0; b--) {
            int at = low + b;
            value = value << 1 | (at >= 0 ? product[at / 32] >> (at % 32) & 1u : 0u);
        }
        window[w] = value;
    }
    int quadrant = (int)(window[0] >> 62);
    uint64_t high = window[0] << 2 | window[1] >> 62, low = window[1] << 2 | window[2] >> 62;
    bool above = high >> 63 != 0; /* nearer to the next quadrant: the rest is negative */
    if (above) {
        high = ~high + (low == 0);
        low = ~low + 1;
        quadrant++;
    }
    double rest = (ldexp((double)high, -64) + ldexp((double)low, -128)) * half_pi;
    *r = above ? -rest : rest;
    return quadrant & 3;
}

/* x = n pi / 2 + r, |r| <= pi / 4 or little more; n mod 4. x is finite and not negative. */
static int reduce(double x, double *r)
{
    if (x <= quarter_pi) {
        *r = x;
        return 0;
    }
    if (x >= 1048576.0) {
        return reduce_large(x, r);
    }
    /* pi / 2 in three parts of 33 bits: products with n are exact */
    double n = rint(x * 0.6366197723675814);
    *r = x - n * 1.5707963267341256 - n * 6.077100506303966e-11 - n * 2.0222662487111665e-21;
    return (int)fmod(n, 4.0);
}

/* sin(r) or cos(r), |r| <= 0.8: Taylor's series by Horner's rule. */
static double circular(double r, bool sine)
{
    enum { TERMS = 9 };
#define STEP(k) (1.0 / ((k) * ((k)-1)))
    static const double steps[2][TERMS] = {
        {STEP(18), STEP(16), STEP(14), STEP(12), STEP(10), STEP(8), STEP(6), STEP(4), STEP(2)},
        {STEP(19), STEP(17), STEP(15), STEP(13), STEP(11), STEP(9), STEP(7), STEP(5), STEP(3)},
    };
#undef STEP
    double t = r * r, p = 1.0;
    for (int i = 0; i < TERMS; i++) {
        p = 1.0 - p * t * steps[sine][i];
    }
    return sine ? r * p : p;
}

/* sin(r + quadrant pi / 2) */
static double sine_of(double r, int quadrant)
{
    double y = circular(r, (quadrant & 1) == 0);
    return (quadrant & 2) != 0 ? -y : y;
}

double ledge_sin(double x)
{
    double r;
    if (!(fabs(x) <= 1.7976931348623157e308)) {
        return (double)NAN;
    }
    int quadrant = reduce(fabs(x), &r);
    double y = sine_of(r, quadrant);
    return signbit(x) ? -y : y;
}

double ledge_cos(double x)
{
    double r;
    if (!(fabs(x) <= 1.7976931348623157e308)) {
        return (double)NAN;
    }
    int quadrant = reduce(fabs(x), &r);
    return sine_of(r, quadrant + 1);
}

double ledge_tan(double x)
{
    double r;
    if (!(fabs(x) <= 1.7976931348623157e308)) {
        return (double)NAN;
    }
    int quadrant = reduce(fabs(x), &r);
    double y = circular(r, true) / circular(r, false);
    y = (quadrant & 1) != 0 ? -1.0 / y : y;
    return signbit(x) ? -y : y;
}

/* atan(z) for 0 <= z <= 1: atan(k / 8) and the rest, |rest| <= 1 / 16. */
static double small_atan(double z)
{
    static const double eighths[9] = {
        0.0,
        0.12435499454676144,
        0.24497866312686414,
        0.35877067027057225,
        0.4636476090008061,
        0.5585993153435624,
        0.6435011087932844,
        0.7188299996216245,
        0.7853981633974483,
    };
    int k = (int)(z * 8.0 + 0.5);
    double c = k / 8.0, r = (z - c) / (1.0 + z * c), t = r * r, p = 0;
    static const double inverse[] = {1.0 / 15, 1.0 / 13, 1.0 / 11, 1.0 / 9,
                                     1.0 / 7,  1.0 / 5,  1.0 / 3};
    for (int i = 0; i < 7; i++) {
        p = inverse[i] - p * t;
    }
    return eighths[k] + (r - r * t * p);
}

double ledge_atan(double x)
{
    double z = fabs(x);
    if (z != z) {
        return x;
    }
    return copysign(z <= 1.0 ? small_atan(z) : half_pi - small_atan(1.0 / z), x);
}

double ledge_asin(double x)
{
    return fabs(x) <= 1.0 ? ledge_atan(x / sqrt((1.0 - x) * (1.0 + x))) : (double)NAN;
}

double ledge_acos(double x)
{
    return fabs(x) <= 1.0 ? 2.0 * ledge_atan(sqrt((1.0 - x) / (1.0 + x))) : (double)NAN;
}

/* -- hyperbolic functions -------------------------------------------------------------------------
 */

double ledge_sinh(double x)
{
    double z = fabs(x), e = ledge_expm1(z);
    if (z > 709.0) {
        e = ledge_exp(0.5 * z);
        return copysign(0.5 * e * e, x);
    }
    return copysign(0.5 * (e + e / (e + 1.0)), x);
}

double ledge_cosh(double x)
{
    double z = fabs(x), e = ledge_exp(z > 709.0 ? 0.5 * z : z);
    return z > 709.0 ? 0.5 * e * e : 0.5 * e + 0.5 / e;
}

double ledge_tanh(double x)
{
    double z = fabs(x), e = ledge_expm1(2.0 * (z > 22.0 ? 22.0 : z));
    return copysign(e / (e + 2.0), x);
}

double ledge_asinh(double x)
{
    double z = fabs(x), t = z * z;
    double y =
        z > 1e8 ? ledge_log(z) + 0.6931471805599453 : ledge_log1p(z + t / (1.0 + sqrt(t + 1.0)));
    return copysign(y, x);
}

double ledge_acosh(double x)
{
    double t = x - 1.0;
    if (!(x >= 1.0)) {
        return (double)NAN;
    }
    return x > 1e8 ? ledge_log(x) + 0.6931471805599453 : ledge_log1p(t + sqrt(2.0 * t + t * t));
}

double ledge_atanh(double x)
{
    double z = fabs(x);
    if (!(z <= 1.0)) {
        return (double)NAN;
    }
    return copysign(0.5 * ledge_log1p(2.0 * z / (1.0 - z)), x);
}

/* Below 2: 2 / sqrt(pi) e^(-x^2) sum of 2^n x^(2n + 1) / (1 3 5 ... (2n + 1)), whose terms have one
 * sign. Then 1 - erfc(x), by a continued fraction. Abramowitz and Stegun, 7.1.6 and 7.1.14. */
double ledge_erf(double x)
{
    enum { LEVELS = 40 };
    double z = fabs(x);
    if (!(z < 6.0)) {
        return z != z ? x : copysign(1.0, x);
    }
    if (z < 2.0) {
        double t = 2.0 * z * z, term = z, sum = z;
        for (int n = 1; term > sum * 1e-17; n++) {
            term *= t / (2 * n + 1);
            sum += term;
        }
        return copysign(1.1283791670955126 * ledge_exp(-z * z) * sum, x);
    }
    double fraction = z;
    for (int k = LEVELS; k > 0; k--) {
        fraction = z + 0.5 * k / fraction;
    }
    return copysign(1.0 - 0.5641895835477563 * ledge_exp(-z * z) / fraction, x);
}
