/* SPDX-License-Identifier: Apache-2.0 */
/* histogram.h -- durations: cumulative buckets for Prometheus, and quantiles within 3 %.
 *
 * Two sets of counters over the same values: the fixed bounds that dashboards expect, and
 * log-linear buckets (32 per power of two of nanoseconds, as in HDR histograms) for p50 and p99.
 * Threads: one at a time. Memory: fixed, 7 KB. */
#ifndef SERVE_HISTOGRAM_H
#define SERVE_HISTOGRAM_H

#include <stdint.h>

#include "base/buf.h"

enum {
    SERVE_HISTOGRAM_BOUNDS = 15,
    SERVE_HISTOGRAM_STEPS = 32,                        /* per power of two */
    SERVE_HISTOGRAM_FINE = 38 * SERVE_HISTOGRAM_STEPS, /* 1 ns to 2^42 ns, more than an hour */
};

struct serve_histogram {
    uint64_t count;
    double sum_s;
    int64_t max_ns;
    uint64_t bounds[SERVE_HISTOGRAM_BOUNDS]; /* not cumulative; above the last: count - sum */
    uint32_t fine[SERVE_HISTOGRAM_FINE];
};

void serve_histogram_add(struct serve_histogram *histogram, int64_t ns);

/* Upper end of the bucket in which the quantile (0 to 1) lies, in nanoseconds, at most the
 * greatest value seen; 0 when nothing was. */
int64_t serve_histogram_quantile(const struct serve_histogram *histogram, double quantile);

/* Prometheus lines name_bucket, name_sum, name_count; labels e.g. `model="m"`, may be empty. */
void serve_histogram_print(const struct serve_histogram *histogram, const char *name,
                           const char *labels, struct ledge_buf *out);

#endif
