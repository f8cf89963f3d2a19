/* SPDX-License-Identifier: Apache-2.0 */
/* peak.c -- twelve independent accumulators of fused multiply-adds in registers: enough to hide a
 * latency of 4 or 5 cycles on two units. The compiler's vector types are given their ISA by a
 * target attribute; the numbers stay finite (x * 0.5 + 1 tends to 2) and are consumed, so nothing
 * is optimised away. */
#include "cli/peak.h"

#include "engine/port/port.h"

enum { ACCUMULATORS = 12, ROUNDS = 200000, TRIES = 8 };

#define DEFINE_PEAK(name, lanes, attribute)                                                        \
    typedef float name##_vector __attribute__((vector_size(4 * (lanes))));                         \
    attribute static float name##_run(float start)                                                 \
    {                                                                                              \
        name##_vector x[ACCUMULATORS], half, one;                                                  \
        for (int k = 0; k < (lanes); k++) {                                                        \
            half[k] = 0.5f;                                                                        \
            one[k] = start;                                                                        \
        }                                                                                          \
        for (int i = 0; i < ACCUMULATORS; i++) {                                                   \
            x[i] = one;                                                                            \
        }                                                                                          \
        for (int r = 0; r < ROUNDS; r++) {                                                         \
            _Pragma("GCC unroll 12") for (int i = 0; i < ACCUMULATORS; i++)                        \
            {                                                                                      \
                x[i] = x[i] * half + one;                                                          \
            }                                                                                      \
        }                                                                                          \
        float sum = 0;                                                                             \
        for (int i = 0; i < ACCUMULATORS; i++) {                                                   \
            sum += x[i][0];                                                                        \
        }                                                                                          \
        return sum;                                                                                \
    }

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define PEAK_TARGET(isa) __attribute__((target(isa), optimize("O3", "fp-contract=fast"), noinline))
DEFINE_PEAK(avx512, 16, PEAK_TARGET("avx512f"))
DEFINE_PEAK(avx2, 8, PEAK_TARGET("avx2,fma"))
#define HAVE_X86_PEAK 1
#else
#define HAVE_X86_PEAK 0
#endif
#if defined(__GNUC__) && !defined(__clang__)
DEFINE_PEAK(plain, 4, __attribute__((optimize("O3"), noinline)))
#else
DEFINE_PEAK(plain, 4, __attribute__((noinline)))
#endif

static double best_rate(float (*run)(float), int lanes)
{
    volatile float sink = 0;
    double best = 0;
    for (int i = 0; i < TRIES; i++) {
        double from = ledge_port_seconds();
        sink += run(1.0f);
        double seconds = ledge_port_seconds() - from;
        double rate = 2.0 * lanes * ACCUMULATORS * (double)ROUNDS / (seconds > 0 ? seconds : 1e-9);
        best = rate > best ? rate : best;
    }
    return best;
}

double cli_peak_flops(const char **what)
{
#if HAVE_X86_PEAK
    if (__builtin_cpu_supports("avx512f")) {
        *what = "AVX-512";
        return best_rate(avx512_run, 16);
    }
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        *what = "AVX2";
        return best_rate(avx2_run, 8);
    }
#endif
    *what = "plain C";
    return best_rate(plain_run, 4);
}
