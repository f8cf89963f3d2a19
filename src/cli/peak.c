/* SPDX-License-Identifier: Apache-2.0 */
/* peak.c -- twelve independent accumulators in registers: enough to hide a latency of 4 or 5 cycles
 * on two units.
 *
 * Floats: fused multiply-adds on the compiler's vector types; the numbers stay finite (x * 0.5 + 1
 * tends to 2). Bytes: the fastest instructions of each rung that end in 32-bit sums, vpdpbusd, or
 * vpmaddubsw + vpmaddwd + vpaddd where there is none. They are asm, because compilers
 * copy or hoist them; what comes out is consumed. */
#include "cli/peak.h"

#include "engine/port/port.h"

enum { ACCUMULATORS = 12, ROUNDS = 100000, TRIES = 40 };

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

/* Sums in registers 0 to 11, a spare in 13, the factors, whatever they are, in 14 and 15. */
#define DEFINE_BYTE_PEAK(name, each)                                                               \
    __attribute__((noinline)) static float name##_run(float start)                                 \
    {                                                                                              \
        int rounds = ROUNDS;                                                                       \
        __asm__ volatile("1:\n\t"                                                                  \
                         ".irp i, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11\n\t" each ".endr\n\t"       \
                         "dec %0\n\t"                                                              \
                         "jnz 1b\n\t"                                                              \
                         "vzeroupper"                                                              \
                         : "+r"(rounds)                                                            \
                         :                                                                         \
                         : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", \
                           "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "cc");    \
        return start;                                                                              \
    }

#define PAIRS(r)                                                                                   \
    "vpmaddubsw %%" r "14, %%" r "15, %%" r "13\n\t"                                               \
    "vpmaddwd %%" r "14, %%" r "13, %%" r "13\n\t"                                                 \
    "vpaddd %%" r "13, %%" r "\\i, %%" r "\\i\n\t"
DEFINE_BYTE_PEAK(vnni512, "vpdpbusd %%zmm14, %%zmm15, %%zmm\\i\n\t")
DEFINE_BYTE_PEAK(vnni256, "%{vex%} vpdpbusd %%ymm14, %%ymm15, %%ymm\\i\n\t")
DEFINE_BYTE_PEAK(pairs512, PAIRS("zmm"))
DEFINE_BYTE_PEAK(pairs256, PAIRS("ymm"))
#define HAVE_X86_PEAK 1
#else
#define HAVE_X86_PEAK 0
#endif

#if defined(__GNUC__) && !defined(__clang__)
DEFINE_PEAK(plain, 4, __attribute__((optimize("O3"), noinline)))
#else
DEFINE_PEAK(plain, 4, __attribute__((noinline)))
#endif

static double best_rate(float (*run)(float), int macs)
{
    volatile float sink = 0;
    double best = 0;
    for (int i = 0; i < TRIES; i++) {
        double from = ledge_port_seconds();
        sink += run(1.0f);
        double seconds = ledge_port_seconds() - from;
        double rate = (double)macs * ACCUMULATORS * ROUNDS / (seconds > 0 ? seconds : 1e-9);
        best = rate > best ? rate : best;
    }
    (void)sink;
    return best;
}

struct cli_peak cli_peak_measure(void)
{
#if HAVE_X86_PEAK
    switch (ledge_port_rung()) {
    case LEDGE_RUNG_AVX512VNNI:
        return (struct cli_peak){best_rate(avx512_run, 16), best_rate(vnni512_run, 64),
                                 "AVX-512 and VNNI"};
    case LEDGE_RUNG_AVX512:
        return (struct cli_peak){best_rate(avx512_run, 16), best_rate(pairs512_run, 64), "AVX-512"};
    case LEDGE_RUNG_AVXVNNI:
        return (struct cli_peak){best_rate(avx2_run, 8), best_rate(vnni256_run, 32), "AVX-VNNI"};
    case LEDGE_RUNG_AVX2:
        return (struct cli_peak){best_rate(avx2_run, 8), best_rate(pairs256_run, 32), "AVX2"};
    default:
        break;
    }
#endif
    double plain = best_rate(plain_run, 4);
    return (struct cli_peak){plain, plain, "plain C"};
}
