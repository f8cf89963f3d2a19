/* SPDX-License-Identifier: Apache-2.0 */
/* tfl_resize_c.c -- ResizeNearest and ResizeBilinear with TFLite's rules for coordinates: f32 and
 * u8 in float, i8 in fixed point with 10 fraction bits. */
#include <math.h>
#include <string.h>

#include "engine/kernels/tfl.h"

static float scale_of(const struct ledge_tfl_resize_params *p, int axis)
{
    if (p->align_corners && p->out[axis] > 1) {
        return (float)(p->in[axis] - 1) / (float)(p->out[axis] - 1);
    }
    return (float)p->in[axis] / (float)p->out[axis];
}

static int64_t nearest(const struct ledge_tfl_resize_params *p, int axis, int64_t at)
{
    float x = ((float)at + (p->half_pixel_centers ? 0.5f : 0.0f)) * scale_of(p, axis);
    int64_t from = (int64_t)(p->align_corners ? roundf(x) : floorf(x));
    from = from < p->in[axis] - 1 ? from : p->in[axis] - 1;
    return from > 0 ? from : 0;
}

static void nearest_row(void *arg, int32_t index, int32_t worker)
{
    (void)worker;
    const struct ledge_kernel_call *call = arg;
    const struct ledge_tfl_resize_params *p = call->params;
    size_t bytes = (size_t)p->channels * p->size;
    int64_t y = nearest(p, 0, index % p->out[0]);
    const char *from = (const char *)call->in[0]->data +
                       (size_t)((index / p->out[0] * p->in[0] + y) * p->in[1]) * bytes;
    char *to = (char *)call->out[0]->data + (size_t)(index * p->out[1]) * bytes;
    for (int64_t x = 0; x < p->out[1]; x++) {
        memcpy(to + (size_t)x * bytes, from + (size_t)nearest(p, 1, x) * bytes, bytes);
    }
}

enum ledge_status ledge_tfl_resize_nearest_c(const struct ledge_kernel_call *call)
{
    const struct ledge_tfl_resize_params *p = call->params;
    struct ledge_kernel_call copy = *call;
    ledge_pool_run(call->pool, (int32_t)(p->batch * p->out[0]), nearest_row, &copy);
    return LEDGE_OK;
}

/* Two neighbours along one axis and the weight of the second, as a fraction and in 1/1024. */
struct pair {
    int64_t low, high;
    float part;
    int64_t part_10;
};

static struct pair pair_float(const struct ledge_tfl_resize_params *p, int axis, int64_t at)
{
    float scale = scale_of(p, axis);
    float x = p->half_pixel_centers ? ((float)at + 0.5f) * scale - 0.5f : (float)at * scale;
    int64_t low = (int64_t)floorf(x);
    int64_t high = (int64_t)ceilf(x);
    low = low > 0 ? low : 0;
    high = high < p->in[axis] - 1 ? high : p->in[axis] - 1;
    return (struct pair){.low = low, .high = high, .part = x - (float)low};
}

static struct pair pair_fixed(const struct ledge_tfl_resize_params *p, int axis, int64_t at)
{
    int64_t scale = (1024 * p->in[axis] + p->out[axis] / 2) / p->out[axis];
    if (p->align_corners && p->out[axis] > 1) {
        int64_t steps = p->out[axis] - 1;
        scale = (1024 * (p->in[axis] - 1) + steps / 2) / steps;
    }
    int64_t x = at * scale + (p->half_pixel_centers ? scale / 2 - 512 : 0);
    int64_t low = x / 1024;
    int64_t high = low + 1 < p->in[axis] - 1 ? low + 1 : p->in[axis] - 1;
    low = low > 0 ? low : 0;
    return (struct pair){.low = low, .high = high, .part_10 = x - 1024 * low};
}

struct corners {
    int64_t at[4]; /* element of channel 0: (low, low), (high, low), (low, high), (high, high) */
    struct pair y, x;
};

static void pixel_float(const struct ledge_kernel_call *call, const struct corners *c, int64_t to)
{
    const struct ledge_tfl_resize_params *p = call->params;
    float w[4] = {(1 - c->y.part) * (1 - c->x.part), c->y.part * (1 - c->x.part),
                  (1 - c->y.part) * c->x.part, c->y.part * c->x.part};
    const float *f32 = call->in[0]->data;
    const uint8_t *u8 = call->in[0]->data;
    for (int64_t i = 0; i < p->channels; i++) {
        if (call->in[0]->dtype == LEDGE_F32) {
            ((float *)call->out[0]->data)[to + i] =
                f32[c->at[0] + i] * w[0] + f32[c->at[1] + i] * w[1] + f32[c->at[2] + i] * w[2] +
                f32[c->at[3] + i] * w[3];
        } else {
            float sum = (float)u8[c->at[0] + i] * w[0] + (float)u8[c->at[1] + i] * w[1] +
                        (float)u8[c->at[2] + i] * w[2] + (float)u8[c->at[3] + i] * w[3];
            ((uint8_t *)call->out[0]->data)[to + i] = (uint8_t)(sum + 0.5f);
        }
    }
}

static void pixel_fixed(const struct ledge_kernel_call *call, const struct corners *c, int64_t to)
{
    const struct ledge_tfl_resize_params *p = call->params;
    const int8_t *x = call->in[0]->data;
    int64_t dy = c->y.part_10;
    int64_t dx = c->x.part_10;
    for (int64_t i = 0; i < p->channels; i++) {
        int64_t sum = x[c->at[0] + i] * (1024 - dy) * (1024 - dx) +
                      x[c->at[1] + i] * dy * (1024 - dx) + x[c->at[2] + i] * (1024 - dy) * dx +
                      x[c->at[3] + i] * dy * dx;
        sum += sum > 0 ? 1 << 19 : -(1 << 19);
        ((int8_t *)call->out[0]->data)[to + i] = (int8_t)(sum / (1 << 20));
    }
}

static void bilinear_row(void *arg, int32_t index, int32_t worker)
{
    (void)worker;
    const struct ledge_kernel_call *call = arg;
    const struct ledge_tfl_resize_params *p = call->params;
    bool fixed = call->in[0]->dtype == LEDGE_I8;
    struct corners c;
    c.y = fixed ? pair_fixed(p, 0, index % p->out[0]) : pair_float(p, 0, index % p->out[0]);
    int64_t top = index / p->out[0] * p->in[0];
    for (int64_t x = 0; x < p->out[1]; x++) {
        c.x = fixed ? pair_fixed(p, 1, x) : pair_float(p, 1, x);
        c.at[0] = ((top + c.y.low) * p->in[1] + c.x.low) * p->channels;
        c.at[1] = ((top + c.y.high) * p->in[1] + c.x.low) * p->channels;
        c.at[2] = ((top + c.y.low) * p->in[1] + c.x.high) * p->channels;
        c.at[3] = ((top + c.y.high) * p->in[1] + c.x.high) * p->channels;
        int64_t to = (index * p->out[1] + x) * p->channels;
        (fixed ? pixel_fixed : pixel_float)(call, &c, to);
    }
}

enum ledge_status ledge_tfl_resize_bilinear_c(const struct ledge_kernel_call *call)
{
    const struct ledge_tfl_resize_params *p = call->params;
    struct ledge_kernel_call copy = *call;
    ledge_pool_run(call->pool, (int32_t)(p->batch * p->out[0]), bilinear_row, &copy);
    return LEDGE_OK;
}
