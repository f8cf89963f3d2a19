/* SPDX-License-Identifier: Apache-2.0 */
/* histogram.c -- definitions stand in histogram.h. */
#include "compress/histogram.h"

#include <math.h>
#include <string.h>

#include "base/banned.h"
#include "base/status.h"

static const char *const method_names[] = {"minmax", "percentile", "mse"};

int compress_method_of(const char *name)
{
    for (int i = 0; i < 3; i++) {
        if (strcmp(name, method_names[i]) == 0) {
            return i;
        }
    }
    return -1;
}

const char *compress_method_name(enum compress_method method)
{
    return method_names[method];
}

void compress_histogram_init(struct compress_histogram *histogram)
{
    memset(histogram, 0, sizeof *histogram);
}

/* Smallest power of two that divides low..high into at most COMPRESS_BINS bins, not below `least`;
 * small enough a multiple of it that bin numbers stay exact in double. */
static double width_for(double low, double high, double least)
{
    double most = fmax(fabs(low), fabs(high));
    double width = fmax(least, ldexp(1, ilogb(most) - 40));
    double span = ldexp(1, ilogb(fmax(high - low, width)) - 12);
    width = fmax(width, span);
    while (floor(high / width) - floor(low / width) >= COMPRESS_BINS) {
        width *= 2;
    }
    return width;
}

/* Make room for low..high: merge bins, then move them. */
static void widen(struct compress_histogram *histogram, double low, double high)
{
    uint64_t old[COMPRESS_BINS];
    double width = width_for(low, high, histogram->width);
    int64_t first = (int64_t)floor(low / width);
    memcpy(old, histogram->bins, sizeof old);
    memset(histogram->bins, 0, sizeof histogram->bins);
    for (int64_t i = 0; i < COMPRESS_BINS && histogram->count > 0; i++) {
        if (old[i] > 0) {
            double edge = (double)(histogram->first + i) * histogram->width;
            histogram->bins[(int64_t)floor(edge / width) - first] += old[i];
        }
    }
    histogram->width = width;
    histogram->first = first;
}

enum ledge_status compress_histogram_add(struct compress_histogram *histogram, const float *values,
                                         size_t n, struct ledge_error *err)
{
    float min = INFINITY;
    float max = -INFINITY;
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(values[i])) {
            return ledge_fail(err, LEDGE_ERR_RANGE, "value %zu is not finite", i);
        }
        min = values[i] < min ? values[i] : min;
        max = values[i] > max ? values[i] : max;
    }
    if (n == 0) {
        return LEDGE_OK;
    }
    if (histogram->count + histogram->zeros > 0) {
        min = fminf(min, histogram->min);
        max = fmaxf(max, histogram->max);
    }
    if ((min != 0 || max != 0) &&
        (histogram->width == 0 || min < histogram->min || max > histogram->max)) {
        widen(histogram, (double)min, (double)max);
    }
    histogram->min = min;
    histogram->max = max;
    for (size_t i = 0; i < n; i++) {
        if (values[i] == 0) {
            histogram->zeros++;
        } else {
            double at = floor((double)values[i] / histogram->width) - (double)histogram->first;
            histogram->bins[(size_t)at]++;
            histogram->count++;
        }
    }
    return LEDGE_OK;
}

static double middle_of(const struct compress_histogram *histogram, size_t bin)
{
    double low = ((double)histogram->first + (double)bin) * histogram->width;
    double high = low + histogram->width;
    /* The outermost bins hold values of min..max only. */
    return (fmax(low, (double)histogram->min) + fmin(high, (double)histogram->max)) / 2;
}

/* The value below which `share` of the non-zero values lie, to the accuracy of a bin. */
static double quantile_of(const struct compress_histogram *histogram, double share)
{
    double wanted = share * (double)histogram->count;
    double before = 0;
    for (size_t i = 0; i < COMPRESS_BINS; i++) {
        double here = (double)histogram->bins[i];
        if (here > 0 && before + here >= wanted) {
            double part = (wanted - before) / here;
            return ((double)histogram->first + (double)i + part) * histogram->width;
        }
        before += here;
    }
    return (double)histogram->max;
}

static double squared_error(const struct compress_histogram *histogram, struct compress_range range,
                            int32_t levels)
{
    struct compress_affine affine = compress_affine_of(range, 0, levels);
    double error = 0;
    for (size_t i = 0; i < COMPRESS_BINS; i++) {
        if (histogram->bins[i] > 0) {
            float x = (float)middle_of(histogram, i);
            double miss =
                (double)x - (double)compress_dequantize(compress_quantize(x, &affine), &affine);
            error += (double)histogram->bins[i] * miss * miss;
        }
    }
    return error;
}

static struct compress_range best_range(const struct compress_histogram *histogram,
                                        struct compress_range whole, int32_t levels)
{
    struct compress_range best = whole;
    double least = squared_error(histogram, whole, levels);
    for (int percent = 99; percent > 0; percent--) {
        struct compress_range clipped = {whole.low * percent / 100, whole.high * percent / 100};
        double error = squared_error(histogram, clipped, levels);
        if (error < least) {
            least = error;
            best = clipped;
        }
    }
    return best;
}

struct compress_range compress_histogram_range(const struct compress_histogram *histogram,
                                               enum compress_method method, double percentile,
                                               int32_t levels)
{
    struct compress_range whole = {fmin((double)histogram->min, 0),
                                   fmax((double)histogram->max, 0)};
    if (histogram->count == 0) {
        return whole;
    }
    if (method == COMPRESS_PERCENTILE) {
        double cut = (1 - percentile / 100) / 2;
        return (struct compress_range){
            .low = fmin(0, fmax(whole.low, quantile_of(histogram, cut))),
            .high = fmax(0, fmin(whole.high, quantile_of(histogram, 1 - cut)))};
    }
    return method == COMPRESS_MSE ? best_range(histogram, whole, levels) : whole;
}

double compress_histogram_outside(const struct compress_histogram *histogram,
                                  struct compress_range range)
{
    uint64_t outside = 0;
    for (size_t i = 0; i < COMPRESS_BINS; i++) {
        double x = middle_of(histogram, i);
        outside += x < range.low || x > range.high ? histogram->bins[i] : 0;
    }
    uint64_t all = histogram->count + histogram->zeros;
    return all > 0 ? (double)outside / (double)all : 0;
}
