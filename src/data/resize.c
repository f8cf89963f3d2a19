/* SPDX-License-Identifier: Apache-2.0 */
#include "data/resize.h"

#include <math.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/status.h"

enum { WEIGHT_BITS = 14, WEIGHT_ONE = 1 << WEIGHT_BITS };

/* Weights of one axis: sample i is the sum of n[i] source samples from first[i], weights at weights
 * + i * cap. */
struct axis {
    int32_t *first;
    int32_t *n;
    int32_t *weights;
    int32_t cap;
};

static void axis_done(struct axis *axis)
{
    free(axis->first);
    free(axis->n);
    free(axis->weights);
}

/* Integer weights for one output sample; what rounding leaves over goes to the largest. */
static void axis_sample(struct axis *axis, int32_t i, double centre, double support, int32_t size)
{
    int32_t low = (int32_t)floor(centre - support);
    int32_t high = (int32_t)ceil(centre + support);
    low = low < 0 ? 0 : low;
    high = high > size ? size : high;
    double sum = 0;
    for (int32_t j = low; j < high; j++) {
        double w = 1.0 - fabs(j + 0.5 - centre) / support;
        sum += w > 0 ? w : 0;
    }
    int32_t *weights = axis->weights + (size_t)i * (size_t)axis->cap;
    int32_t left = WEIGHT_ONE;
    int32_t largest = 0;
    for (int32_t j = low; j < high; j++) {
        double w = 1.0 - fabs(j + 0.5 - centre) / support;
        int32_t k = j - low;
        weights[k] = w > 0 ? (int32_t)floor(w / sum * WEIGHT_ONE + 0.5) : 0;
        left -= weights[k];
        largest = weights[k] > weights[largest] ? k : largest;
    }
    weights[largest] += left;
    axis->first[i] = low;
    axis->n[i] = high - low;
}

static bool axis_init(struct axis *axis, double from, double length, int32_t count, int32_t size)
{
    double step = length / count;
    double support = step > 1 ? step : 1;
    axis->cap = (int32_t)ceil(2 * support) + 2;
    axis->first = calloc((size_t)count, sizeof *axis->first);
    axis->n = calloc((size_t)count, sizeof *axis->n);
    axis->weights = calloc((size_t)count * (size_t)axis->cap, sizeof *axis->weights);
    if (axis->first == NULL || axis->n == NULL || axis->weights == NULL) {
        return false;
    }
    for (int32_t i = 0; i < count; i++) {
        axis_sample(axis, i, from + (i + 0.5) * step, support, size);
    }
    return true;
}

/* Weighted sum of samples that lie `stride` bytes apart. */
static uint8_t weigh(const uint8_t *from, size_t stride, const int32_t *weights, int32_t n)
{
    int32_t sum = WEIGHT_ONE / 2;
    for (int32_t k = 0; k < n; k++) {
        sum += weights[k] * from[(size_t)k * stride];
    }
    return (uint8_t)(sum >> WEIGHT_BITS);
}

static void resize_rows(const struct sys_image *from, const struct axis *x, struct sys_image *to)
{
    size_t channels = (size_t)from->channels;
    uint8_t *out = to->pixels;
    for (int32_t row = 0; row < from->height; row++) {
        const uint8_t *in = from->pixels + (size_t)row * (size_t)from->width * channels;
        for (int32_t i = 0; i < to->width; i++) {
            const int32_t *weights = x->weights + (size_t)i * (size_t)x->cap;
            for (size_t c = 0; c < channels; c++) {
                *out++ = weigh(in + (size_t)x->first[i] * channels + c, channels, weights, x->n[i]);
            }
        }
    }
}

static void resize_columns(const struct sys_image *from, const struct axis *y, struct sys_image *to)
{
    size_t pitch = (size_t)from->width * (size_t)from->channels;
    for (int32_t i = 0; i < to->height; i++) {
        const int32_t *weights = y->weights + (size_t)i * (size_t)y->cap;
        const uint8_t *in = from->pixels + (size_t)y->first[i] * pitch;
        uint8_t *out = to->pixels + (size_t)i * pitch;
        for (size_t k = 0; k < pitch; k++) {
            out[k] = weigh(in + k, pitch, weights, y->n[i]);
        }
    }
}

enum ledge_status data_resize(const struct sys_image *image, const struct data_box *box,
                              int32_t width, int32_t height, struct sys_image *out,
                              struct ledge_error *err)
{
    if (!(box->x >= 0 && box->y >= 0 && box->width > 0 && box->height > 0 &&
          box->x + box->width <= image->width && box->y + box->height <= image->height) ||
        width <= 0 || height <= 0) {
        return ledge_fail(err, LEDGE_ERR_ARG, "resize: box outside the picture");
    }
    LEDGE_CLEANUP(axis_done) struct axis x = {0};
    LEDGE_CLEANUP(axis_done) struct axis y = {0};
    if (!axis_init(&x, box->x, box->width, width, image->width) ||
        !axis_init(&y, box->y, box->height, height, image->height)) {
        return ledge_fail(err, LEDGE_ERR_NOMEM, "resize: no memory");
    }
    LEDGE_CLEANUP(sys_image_done) struct sys_image rows = {0};
    struct sys_image made;
    LEDGE_TRY(sys_image_create(width, image->height, image->channels, &rows, err));
    LEDGE_TRY(sys_image_create(width, height, image->channels, &made, err));
    resize_rows(image, &x, &rows);
    resize_columns(&rows, &y, &made);
    *out = made;
    return LEDGE_OK;
}
