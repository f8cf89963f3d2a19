/* SPDX-License-Identifier: Apache-2.0 */
/* simd_avx2.h -- f32 vectors of 8 lanes; see simd_c.h. */
#ifndef LEDGE_ENGINE_KERNELS_SIMD_AVX2_H
#define LEDGE_ENGINE_KERNELS_SIMD_AVX2_H

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#include "engine/kernels/loop_words.h"

enum { LANES = 8, TILE_ROWS = 6, PLANE_ROWS = 4, ROW_WIDE = 7, ROW_NARROW = 4 };

typedef __m256 vec;

/* At the end of each loop that is called from elsewhere: code compiled without vectors of this
 * width is slow while their upper halves are in use, and compilers that are to make code small
 * leave this out. */
INLINE void v_done(void)
{
    _mm256_zeroupper();
}

INLINE vec v_set1(float x)
{
    return _mm256_set1_ps(x);
}

INLINE vec v_load(const float *p)
{
    return _mm256_loadu_ps(p);
}

INLINE void v_store(float *p, vec v)
{
    _mm256_storeu_ps(p, v);
}

INLINE __m256i v_lanes(int32_t from, int32_t to)
{
    __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_andnot_si256(_mm256_cmpgt_epi32(_mm256_set1_epi32(from), lane),
                               _mm256_cmpgt_epi32(_mm256_set1_epi32(to), lane));
}

/* The other lanes are 0 and not read. */
INLINE vec v_load_lanes(const float *p, int32_t from, int32_t to)
{
    return _mm256_maskload_ps(p, v_lanes(from, to));
}

/* From lane 0 on, mostly all. */
INLINE vec v_load_first(const float *p, int32_t n)
{
    return n < LANES ? v_load_lanes(p, 0, n) : v_load(p);
}

INLINE void v_store_first(float *p, int32_t n, vec v)
{
    _mm256_maskstore_ps(p, v_lanes(0, n), v);
}

INLINE vec v_fma(vec a, vec b, vec c)
{
    return _mm256_fmadd_ps(a, b, c);
}

/* *sum += a b, in the register where it is: a compiler that schedules long rows of these moves sums
 * about, even through memory. */
INLINE void v_gain(vec *sum, vec a, vec b)
{
    __asm__("vfmadd231ps %2, %1, %0" : "+x"(*sum) : "x"(a), "x"(b));
}

INLINE vec v_add(vec a, vec b)
{
    return _mm256_add_ps(a, b);
}

INLINE vec v_times(vec a, vec b)
{
    return _mm256_mul_ps(a, b);
}

/* b when either is NaN. */
INLINE vec v_larger(vec a, vec b)
{
    return _mm256_max_ps(a, b);
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
    __asm__("" : "+x"(v));
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
    __m256i at = _mm256_loadu_si256((const __m256i *)index);
    return _mm256_blendv_ps(_mm256_permutevar8x32_ps(from, at), old, _mm256_castsi256_ps(at));
}

INLINE vec v_over(vec a, vec b)
{
    return _mm256_div_ps(a, b);
}

/* p * 2^n for whole n from -126 to 127. */
INLINE vec v_scale(vec p, vec n)
{
    __m256i power = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
    return _mm256_mul_ps(p, _mm256_castsi256_ps(_mm256_slli_epi32(power, 23)));
}

/* Bits of both: lanes that are 0 in one are those of the other, whatever they hold. */
INLINE vec v_or(vec a, vec b)
{
    return _mm256_or_ps(a, b);
}

/* Elements 0, 2, 4, ... of a followed by b. */
INLINE vec v_even(vec a, vec b)
{
    __m256d mixed = _mm256_castps_pd(_mm256_shuffle_ps(a, b, _MM_SHUFFLE(2, 0, 2, 0)));
    return _mm256_castpd_ps(_mm256_permute4x64_pd(mixed, _MM_SHUFFLE(3, 1, 2, 0)));
}

/* NaN in x stays NaN: max and min give their second operand then. */
INLINE vec v_clamp(vec x, vec low, vec high)
{
    return _mm256_min_ps(high, _mm256_max_ps(low, x));
}

/* The first n of 16 bytes. */
INLINE void v_store_some(uint8_t *y, int32_t n, __m128i bytes)
{
    if (n == 16) {
        _mm_storeu_si128((__m128i *)(void *)y, bytes);
    } else if (n == 8) {
        _mm_storel_epi64((__m128i *)(void *)y, bytes);
    } else {
        uint8_t some[16];
        _mm_storeu_si128((__m128i *)(void *)some, bytes);
        memcpy(y, some, (size_t)n);
    }
}

#endif
