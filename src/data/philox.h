/* SPDX-License-Identifier: Apache-2.0 */
/* philox.h -- counter-based random numbers: the same (key, counter) gives the same numbers, in any
 * order, on any thread.
 *
 * So a resumed run needs no generator state. Source: Salmon et al. 2011, "Parallel random numbers:
 * as easy as 1, 2, 3", Philox4x32-10.
 */
#ifndef DATA_PHILOX_H
#define DATA_PHILOX_H

#include <stdint.h>

struct data_philox {
    uint32_t word[4];
};

static inline struct data_philox data_philox(uint64_t key, uint64_t high, uint64_t low)
{
    uint32_t k0 = (uint32_t)key;
    uint32_t k1 = (uint32_t)(key >> 32);
    struct data_philox c = {
        {(uint32_t)low, (uint32_t)(low >> 32), (uint32_t)high, (uint32_t)(high >> 32)}};
    for (int round = 0; round < 10; round++) {
        uint64_t a = (uint64_t)0xD2511F53u * c.word[0];
        uint64_t b = (uint64_t)0xCD9E8D57u * c.word[2];
        c = (struct data_philox){{(uint32_t)(b >> 32) ^ c.word[1] ^ k0, (uint32_t)b,
                                  (uint32_t)(a >> 32) ^ c.word[3] ^ k1, (uint32_t)a}};
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return c;
}

/* [0, 1) with 24 bits. */
static inline float data_philox_unit(uint32_t word)
{
    return (float)(word >> 8) * 0x1p-24f;
}

/* [-1, 1) */
static inline float data_philox_signed(uint32_t word)
{
    return 2 * data_philox_unit(word) - 1;
}

#endif
