/* SPDX-License-Identifier: Apache-2.0 */
/* histogram.h -- what calibration remembers of a tensor: 2048 bins that widen as larger values
 * come.
 *
 * Flow:    activations of calibration samples -> [histogram.h] -> a range for quantizer.h
 * Memory:  one fixed struct per tensor (16 KB), whatever the number of samples.
 * Threads: one at a time per histogram.
 *
 * The bin width is a power of two and bins start at multiples of it, so that doubling the width
 * merges whole pairs of bins and the result does not depend on the order in which values came.
 * Zeros are counted apart: they are exact in any quantiser, and after ReLU they would drown
 * everything else.
 */
#ifndef COMPRESS_HISTOGRAM_H
#define COMPRESS_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

#include "compress/quantizer.h"
#include "ledge/error.h"

enum { COMPRESS_BINS = 2048 };

struct compress_histogram {
    uint64_t bins[COMPRESS_BINS]; /* bin i: (first + i) * width <= x < (first + i + 1) * width */
    uint64_t count;               /* values in the bins, zeros not among them */
    uint64_t zeros;
    double width; /* power of two; 0 while empty */
    int64_t first;
    float min, max; /* of all values, zeros included */
};

void compress_histogram_init(struct compress_histogram *histogram);

/* Errors: ERR_RANGE when a value is not finite; the histogram is unchanged then. */
LEDGE_NODISCARD enum ledge_status compress_histogram_add(struct compress_histogram *histogram,
                                                         const float *values, size_t n,
                                                         struct ledge_error *err);

enum compress_method { COMPRESS_MINMAX, COMPRESS_PERCENTILE, COMPRESS_MSE };

/* "minmax", "percentile", "mse"; -1 for another name. */
int compress_method_of(const char *name);
const char *compress_method_name(enum compress_method method);

/* The range to quantise, never wider than min..max:
 *   minmax      all values
 *   percentile  percentile/100 of the values that are not zero; half of the rest is cut off at each
 * end mse         of 100 ranges, min..max times 1.00, 0.99, ... 0.01, the one with the least mean
 * squared error of quantising to levels steps (each bin's values taken at its middle)
 */
struct compress_range compress_histogram_range(const struct compress_histogram *histogram,
                                               enum compress_method method, double percentile,
                                               int32_t levels);

/* Share of all values outside a range, from the bins' middles. */
double compress_histogram_outside(const struct compress_histogram *histogram,
                                  struct compress_range range);

#endif
