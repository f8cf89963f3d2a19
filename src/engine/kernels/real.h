/* SPDX-License-Identifier: Apache-2.0 */
/* real.h -- exp, log, sin, ... of the engine's own: sums and products of IEEE 754 in a fixed order,
 * so that an answer is the same bytes on every CPU and with every C library (whose functions differ
 * in the last bit, and choose their code by CPU).
 *
 * Those of float that run over whole tensors (exp, tanh, log, erf) are float throughout, without
 * branches where a compiler can make vectors of them, and within 2 units of the last place; the
 * rest are the ones of double, rounded. Those of double are within 3 units (erf: 8), sin, cos, tan
 * of arguments of any size; pow of double within 1e-13 relative unless the exponent is whole.
 * Special values as in C, Annex F; sqrt, fmod, floor and the like are exact in every library.
 *
 * Threads: pure functions. Memory: none.
 */
#ifndef LEDGE_ENGINE_KERNELS_REAL_H
#define LEDGE_ENGINE_KERNELS_REAL_H

#include <math.h>
#include <stdint.h>
#include <string.h>

double ledge_exp(double x);
double ledge_expm1(double x);
double ledge_log(double x);
double ledge_log1p(double x);
double ledge_pow(double x, double y);
double ledge_sin(double x);
double ledge_cos(double x);
double ledge_tan(double x);
double ledge_asin(double x);
double ledge_acos(double x);
double ledge_atan(double x);
double ledge_sinh(double x);
double ledge_cosh(double x);
double ledge_tanh(double x);
double ledge_asinh(double x);
double ledge_acosh(double x);
double ledge_atanh(double x);
double ledge_erf(double x);

static inline float ledge_float_of_bits(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline uint32_t ledge_bits_of_float(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

/* 2^n times the Taylor series of the rest, whose ninth term is below half a unit of the last place
 * for |rest| <= ln(2) / 2. The scale is applied in two steps: it may be beyond a float's range. */
static inline float ledge_exp_f32(float x)
{
    const float magic = 12582912.0f; /* 1.5 * 2^23: adding it rounds to whole numbers */
    x = x < -104.0f ? -104.0f : x;
    x = x > 89.0f ? 89.0f : x;
    float shifted = x * 1.44269504f + magic;
    float n = shifted - magic;
    float r = x - n * 0.693359375f + n * 2.12194440e-4f; /* ln 2 in two parts */
    float p = r * (1.0f / 5040) + 1.0f / 720;
    p = p * r + 1.0f / 120;
    p = p * r + 1.0f / 24;
    p = p * r + 1.0f / 6;
    p = p * r + 0.5f;
    p = p * (r * r) + r + 1.0f;
    uint32_t power = ledge_bits_of_float(shifted) - 0x4b400000u + 256; /* n + 256, 106 .. 384 */
    uint32_t half = power >> 1;
    return p * ledge_float_of_bits((half - 1) << 23) *
           ledge_float_of_bits((power - half - 1) << 23);
}

/* Odd polynomial below 0.625, else 1 - 2 / (e^2x + 1). */
static inline float ledge_tanh_f32(float x)
{
    float z = fabsf(x), t = x * x;
    float p = t * -5.717044510e-3f + 2.065058678e-2f;
    p = p * t - 5.374349792e-2f;
    p = p * t + 1.333149128e-1f;
    p = p * t - 3.333328393e-1f;
    float small = z * t * p + z;
    float large = 1.0f - 2.0f / (ledge_exp_f32(z + z) + 1.0f);
    return copysignf(z < 0.625f ? small : large, x);
}

/* x times a polynomial in x^2 below 1, else 1 - e^(-x^2) times one in 1 / x; 1 from 4 on. */
static inline float ledge_erf_f32(float x)
{
    float z = fabsf(x), t = x * x;
    float p = t * 7.853860966e-5f - 8.010193509e-4f;
    p = p * t + 5.188327673e-3f;
    p = p * t - 2.685381193e-2f;
    p = p * t + 1.128358515e-1f;
    p = p * t - 3.761262582e-1f;
    p = p * t + 1.128379166f;
    float c = z > 4.0f ? 4.0f : z, u = 1.0f / c;
    float q = u * 2.537840111e-2f - 1.387520285e-1f;
    q = q * u + 3.086563582e-1f;
    q = q * u - 3.099706705e-1f;
    q = q * u - 3.394220208e-2f;
    q = q * u + 5.778750401e-1f;
    q = q * u - 1.661311621e-3f;
    float large = copysignf(1.0f - ledge_exp_f32(-c * c) * q, x);
    return z < 1.0f ? x * p : large;
}

/* x = m 2^e with m from sqrt(1/2) to sqrt(2): e ln 2 + log1p(m - 1). */
static inline float ledge_log_f32(float x)
{
    if (!(x > 0.0f) || x > 3.40282347e38f) {
        return x == 0.0f ? -INFINITY : x > 0.0f ? x : NAN;
    }
    float scaled = x < 1.17549435e-38f ? x * 8388608.0f : x;
    uint32_t bits = ledge_bits_of_float(scaled) - 0x3f3504f3u; /* sqrt(1/2) */
    float e = (float)((int32_t)(bits >> 23) - (bits >> 31 != 0 ? 512 : 0)) -
              (x < 1.17549435e-38f ? 23.0f : 0.0f);
    float f = ledge_float_of_bits((bits & 0x7fffffu) + 0x3f3504f3u) - 1.0f;
    float p = f * 6.915631441e-2f - 1.178880869e-1f;
    p = p * f + 1.187228981e-1f;
    p = p * f - 1.238449172e-1f;
    p = p * f + 1.421878293e-1f;
    p = p * f - 1.666924551e-1f;
    p = p * f + 2.000221914e-1f;
    p = p * f - 2.499998663e-1f;
    p = p * f + 3.333331058e-1f;
    float square = f * f;
    return e * 0.693359375f + (f + (square * f * p - 0.5f * square - e * 2.12194440e-4f));
}

#define LEDGE_ROUNDED(name)                                                                        \
    static inline float ledge_##name##_f32(float x)                                                \
    {                                                                                              \
        return (float)ledge_##name((double)x);                                                     \
    }
LEDGE_ROUNDED(expm1)
LEDGE_ROUNDED(log1p)
LEDGE_ROUNDED(tan)
LEDGE_ROUNDED(asin)
LEDGE_ROUNDED(acos)
LEDGE_ROUNDED(atan)
LEDGE_ROUNDED(sinh)
LEDGE_ROUNDED(cosh)
LEDGE_ROUNDED(asinh)
LEDGE_ROUNDED(acosh)
LEDGE_ROUNDED(atanh)
#undef LEDGE_ROUNDED

/* sin(x + quadrant pi / 2), |x| <= 10^6, in double: r = x - n pi / 2, then a series as long as a
 * float needs. */
static inline float ledge_circular_f32(float x, int quadrant)
{
    double n = (double)x * 0.6366197723675814 + 6755399441055744.0 - 6755399441055744.0;
    double r = (double)x - n * 1.5707963267341256 - n * 6.077100506303966e-11, t = r * r;
    int turn = (int)n + quadrant;
    double sine = 1.0 - t * (1.0 / 110);
    sine = 1.0 - t * (1.0 / 72) * sine;
    sine = 1.0 - t * (1.0 / 42) * sine;
    sine = 1.0 - t * (1.0 / 20) * sine;
    sine = r - r * t * (1.0 / 6) * sine;
    double cosine = 1.0 - t * (1.0 / 90);
    cosine = 1.0 - t * (1.0 / 56) * cosine;
    cosine = 1.0 - t * (1.0 / 30) * cosine;
    cosine = 1.0 - t * (1.0 / 12) * cosine;
    cosine = 1.0 - t * 0.5 * cosine;
    double y = (turn & 1) != 0 ? cosine : sine;
    return (float)((turn & 2) != 0 ? -y : y);
}

static inline float ledge_sin_f32(float x)
{
    return fabsf(x) <= 1e6f ? x == 0.0f ? x : ledge_circular_f32(x, 0)
                            : (float)ledge_sin((double)x);
}

static inline float ledge_cos_f32(float x)
{
    return fabsf(x) <= 1e6f ? ledge_circular_f32(x, 1) : (float)ledge_cos((double)x);
}

static inline float ledge_pow_f32(float x, float y)
{
    return (float)ledge_pow((double)x, (double)y);
}

/* The function for the type of its argument: LEDGE_REAL(exp, x). */
#define LEDGE_REAL(name, x) _Generic((x), float : ledge_##name##_f32, default : ledge_##name)(x)

#endif
