/* SPDX-License-Identifier: Apache-2.0 */
/* i8_avx512_bytes.c -- the 8-bit loops that are the same with and without VNNI. */
#if defined(__x86_64__)
#include "engine/kernels/i8_shared.h"
#include "engine/kernels/simd_avx512_int.h"

#include "engine/kernels/i8_bytes.tmpl.h"

I8_SHARED(avx512);
#else
typedef int ledge_i8_avx512_bytes_empty;
#endif
