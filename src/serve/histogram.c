/* SPDX-License-Identifier: Apache-2.0 */
/* histogram.c -- see histogram.h. */
#include "serve/histogram.h"

#include <inttypes.h>

/* Seconds; 1 us to 10 s. */
static const double bounds_s[SERVE_HISTOGRAM_BOUNDS] = {
    1e-6, 1e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 5e-2, 0.1, 0.5, 1, 10,
};

/* Values below 32 have a bucket each; then bucket = 32 * (power - 4) + the 5 bits behind the first.
 */
static uint32_t bucket_of(uint64_t ns)
{
    if (ns < SERVE_HISTOGRAM_STEPS) {
        return (uint32_t)ns;
    }
    uint32_t power = 63u - (uint32_t)__builtin_clzll(ns);
    uint32_t bucket = (power - 4) * SERVE_HISTOGRAM_STEPS + (uint32_t)((ns >> (power - 5)) & 31u);
    return bucket < SERVE_HISTOGRAM_FINE ? bucket : SERVE_HISTOGRAM_FINE - 1;
}

/* The greatest value of a bucket. */
static int64_t bucket_end(uint32_t bucket)
{
    if (bucket < SERVE_HISTOGRAM_STEPS) {
        return bucket;
    }
    uint32_t power = bucket / SERVE_HISTOGRAM_STEPS + 4;
    int64_t low = (int64_t)(32 + bucket % SERVE_HISTOGRAM_STEPS) << (power - 5);
    return low + ((int64_t)1 << (power - 5)) - 1;
}

void serve_histogram_add(struct serve_histogram *histogram, int64_t ns)
{
    if (ns < 0) {
        ns = 0;
    }
    double seconds = (double)ns * 1e-9;
    for (int i = 0; i < SERVE_HISTOGRAM_BOUNDS; i++) {
        if (seconds <= bounds_s[i]) {
            histogram->bounds[i]++;
            break;
        }
    }
    histogram->fine[bucket_of((uint64_t)ns)]++;
    histogram->count++;
    histogram->sum_s += seconds;
    if (ns > histogram->max_ns) {
        histogram->max_ns = ns;
    }
}

int64_t serve_histogram_quantile(const struct serve_histogram *histogram, double quantile)
{
    /* The rank-th smallest value, counted from 1. */
    uint64_t rank = (uint64_t)(quantile * (double)histogram->count + 0.5);
    uint64_t seen = 0;
    rank = rank < 1 ? 1 : rank;
    for (uint32_t i = 0; i < SERVE_HISTOGRAM_FINE; i++) {
        seen += histogram->fine[i];
        if (seen >= rank) {
            int64_t end = bucket_end(i);
            return end < histogram->max_ns ? end : histogram->max_ns;
        }
    }
    return histogram->max_ns;
}

void serve_histogram_print(const struct serve_histogram *histogram, const char *name,
                           const char *labels, struct ledge_buf *out)
{
    const char *comma = *labels != '\0' ? "," : "";
    uint64_t seen = 0;
    for (int i = 0; i < SERVE_HISTOGRAM_BOUNDS; i++) {
        seen += histogram->bounds[i];
        ledge_buf_printf(out, "%s_bucket{%s%sle=\"%g\"} %" PRIu64 "\n", name, labels, comma,
                         bounds_s[i], seen);
    }
    ledge_buf_printf(out, "%s_bucket{%s%sle=\"+Inf\"} %" PRIu64 "\n", name, labels, comma,
                     histogram->count);
    ledge_buf_printf(out, "%s_sum{%s} %.9g\n", name, labels, histogram->sum_s);
    ledge_buf_printf(out, "%s_count{%s} %" PRIu64 "\n", name, labels, histogram->count);
}
