/* SPDX-License-Identifier: Apache-2.0 */
/* i8_avx512_bytes.c -- the 8-bit loops that are the same with and without VNNI. */
#if defined(__x86_64__)
#include "engine/kernels/i8_shared.h"
#include "engine/kernels/simd_avx512_int.h"

#include "engine/kernels/i8_bytes.tmpl.h"

I8_SHARED(avx512);

INLINE void largest(const struct ledge_largest_i8 *params, const int taps)
{
    const struct ledge_largest_i8 own = *params, *const l = &own;
    const ivec flip = _mm512_set1_epi8((char)l->flip);
    for (int64_t p = 0; p < l->n; p++) {
        for (int64_t c = 0; c < l->channels; c += 64) {
            const int64_t left = l->channels - c, at = p * l->step + c;
            const __mmask64 mask = ~(__mmask64)0 >> (left < 64 ? 64 - left : 0);
            ivec most = _mm512_setzero_si512();
            UNROLL
            for (int t = 0; t < taps; t++) {
                ivec x = _mm512_maskz_loadu_epi8(mask, l->x[t] + at);
                most = _mm512_max_epu8(most, _mm512_xor_si512(x, flip));
            }
            _mm512_mask_storeu_epi8(l->y + p * l->channels + c, mask, _mm512_xor_si512(most, flip));
        }
    }
    v_done();
}

/* Of four or nine; others see some of theirs twice. */
void ledge_i8_avx512_largest(const struct ledge_largest_i8 *l)
{
    struct ledge_largest_i8 filled = *l;
    for (int32_t t = l->taps; t < LEDGE_LARGEST_TAPS; t++) {
        filled.x[t] = l->x[0];
    }
    if (l->taps <= 4) {
        largest(&filled, 4);
    } else {
        largest(&filled, LEDGE_LARGEST_TAPS);
    }
}
#else
typedef int ledge_i8_avx512_bytes_empty;
#endif
