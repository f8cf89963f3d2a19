/* SPDX-License-Identifier: Apache-2.0 */
/* simd_avx512.h -- f32 vectors of 16 lanes; see simd_c.h. */
#ifndef LEDGE_ENGINE_KERNELS_SIMD_AVX512_H
#define LEDGE_ENGINE_KERNELS_SIMD_AVX512_H

#include <immintrin.h>
#include <stdint.h>

#include "engine/kernels/loop_words.h"

enum { LANES = 16, TILE_ROWS = 14, PLANE_ROWS = 7, ROW_WIDE = 14, ROW_NARROW = 7 };

typedef __m512 vec;

/* At the end of each loop that is called from elsewhere: code compiled without vectors of this
 * width is slow while their upper halves are in use, and compilers that are to make code small
 * leave this out. */
INLINE void v_done(void)
{
    _mm256_zeroupper();
}

INLINE vec v_set1(float x)
{
    return _mm512_set1_ps(x);
}

INLINE vec v_load(const float *p)
{
    return _mm512_loadu_ps(p);
}

INLINE void v_store(float *p, vec v)
{
    _mm512_storeu_ps(p, v);
}

/* The other lanes are 0 and not read. */
INLINE vec v_load_lanes(const float *p, int32_t from, int32_t to)
{
    return _mm512_maskz_loadu_ps((__mmask16)((1u << to) - (1u << from)), p);
}

/* From lane 0 on, mostly all: a mask costs less than a branch. */
INLINE vec v_load_first(const float *p, int32_t n)
{
    return v_load_lanes(p, 0, n);
}

INLINE void v_store_first(float *p, int32_t n, vec v)
{
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1u), v);
}

INLINE vec v_fma(vec a, vec b, vec c)
{
    return _mm512_fmadd_ps(a, b, c);
}

/* *sum += a b, in the register where it is: a compiler that schedules long rows of these moves sums
 * about, even through memory. */
INLINE void v_gain(vec *sum, vec a, vec b)
{
    __asm__("vfmadd231ps %2, %1, %0" : "+v"(*sum) : "v"(a), "v"(b));
}

/* The same with one number of memory: one instruction less, one more load for each sum but the
 * first. */
INLINE void v_gain_at(vec *sum, const float *a, vec b)
{
    __asm__("vfmadd231ps %2%{1to16%}, %1, %0" : "+v"(*sum) : "v"(b), "m"(*a));
}

INLINE vec v_add(vec a, vec b)
{
    return _mm512_add_ps(a, b);
}

INLINE vec v_times(vec a, vec b)
{
    return _mm512_mul_ps(a, b);
}

/* b when either is NaN. */
INLINE vec v_larger(vec a, vec b)
{
    return _mm512_max_ps(a, b);
}

/* The line at p + ahead floats is wanted soon; it need not exist. Always inline: gcc 12 takes a
 * function that does nothing else for one that does nothing, and drops its calls. */
static inline __attribute__((always_inline)) void v_prefetch(const float *p, uintptr_t ahead)
{
    _mm_prefetch((const char *)((uintptr_t)p + ahead * sizeof *p), _MM_HINT_T0);
}

/* The same, not so soon: into the cache behind the first. */
static inline __attribute__((always_inline)) void v_prefetch_far(const float *p, uintptr_t ahead)
{
    _mm_prefetch((const char *)((uintptr_t)p + ahead * sizeof *p), _MM_HINT_T1);
}

/* v, in a register: loaded once however often it is used. */
INLINE vec v_keep(vec v)
{
    __asm__("" : "+v"(v));
    return v;
}

/* p as a number of its own: what is read from it is reached by constant distances. */
INLINE const float *v_base(const float *p)
{
    __asm__("" : "+r"(p));
    return p;
}

/* Lane i is lane index[i] of `from`, or lane i of `old` where index[i] is negative. */
INLINE vec v_pick(vec old, vec from, const int32_t *index)
{
    __m512i at = _mm512_loadu_si512(index);
    __mmask16 picked = _mm512_cmpge_epi32_mask(at, _mm512_setzero_si512());
    return _mm512_mask_permutexvar_ps(old, picked, at, from);
}

INLINE vec v_over(vec a, vec b)
{
    return _mm512_div_ps(a, b);
}

/* p * 2^n for whole n from -126 to 127. */
INLINE vec v_scale(vec p, vec n)
{
    return _mm512_scalef_ps(p, n);
}

/* Bits of both: lanes that are 0 in one are those of the other, whatever they hold. */
INLINE vec v_or(vec a, vec b)
{
    return _mm512_or_ps(a, b);
}

/* Elements 0, 2, 4, ... of a followed by b. */
INLINE vec v_even(vec a, vec b)
{
    __m512i index = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    return _mm512_permutex2var_ps(a, index, b);
}

/* NaN in x stays NaN: max and min give their second operand then. */
INLINE vec v_clamp(vec x, vec low, vec high)
{
    return _mm512_min_ps(high, _mm512_max_ps(low, x));
}

#endif
