/* SPDX-License-Identifier: Apache-2.0 */
/* loop_words.h -- what loops made for one instruction set say to compilers. A file that knows
 * better defines UNROLL or INLINE before. */
#ifndef LEDGE_ENGINE_KERNELS_LOOP_WORDS_H
#define LEDGE_ENGINE_KERNELS_LOOP_WORDS_H

/* The loop behind it, of constant length, becomes a row of its bodies. */
#if defined(UNROLL)
#elif defined(__clang__)
#define UNROLL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 32")
#endif
/* Also where size counts: constants among the arguments choose what is left of the function. */
#ifndef INLINE
#define INLINE static inline __attribute__((always_inline))
#endif
/* What loses by being made small, in files that are: loops that are left to the compiler to make
 * vectors of, and those that it schedules worse. */
#if defined(__GNUC__) && !defined(__clang__) && defined(__OPTIMIZE__) && defined(__x86_64__)
#define FAST __attribute__((optimize("O3")))
#else
#define FAST
#endif

#endif
