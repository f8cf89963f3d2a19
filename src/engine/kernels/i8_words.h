/* SPDX-License-Identifier: Apache-2.0 */
/* i8_words.h -- what the templates of 8-bit loops say to compilers. */
#ifndef LEDGE_ENGINE_KERNELS_I8_WORDS_H
#define LEDGE_ENGINE_KERNELS_I8_WORDS_H

#if defined(__clang__)
#define UNROLL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 32")
#endif
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
