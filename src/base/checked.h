/* SPDX-License-Identifier: Apache-2.0 */
/* checked.h -- arithmetic on sizes that come from files or the network: false on overflow, result
 * untouched. */
#ifndef LEDGE_BASE_CHECKED_H
#define LEDGE_BASE_CHECKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline bool ledge_mul_size(size_t a, size_t b, size_t *product)
{
    if (b != 0 && a > SIZE_MAX / b) {
        return false;
    }
    *product = a * b;
    return true;
}

static inline bool ledge_add_size(size_t a, size_t b, size_t *sum)
{
    if (a > SIZE_MAX - b) {
        return false;
    }
    *sum = a + b;
    return true;
}

/* Product of two non-negative 64-bit counts. */
static inline bool ledge_mul_i64(int64_t a, int64_t b, int64_t *product)
{
    if (a < 0 || b < 0 || (b != 0 && a > INT64_MAX / b)) {
        return false;
    }
    *product = a * b;
    return true;
}

/* value rounded up to a multiple of align (a power of two). */
static inline bool ledge_align_size(size_t value, size_t align, size_t *aligned)
{
    size_t sum;
    if (!ledge_add_size(value, align - 1, &sum)) {
        return false;
    }
    *aligned = sum & ~(align - 1);
    return true;
}

#endif
