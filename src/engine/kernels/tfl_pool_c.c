/* SPDX-License-Identifier: Apache-2.0 */
/* tfl_pool_c.c -- AveragePool2D and MaxPool2D of i8 and u8: the scale stays, padding does not
 * count. */
#include "engine/kernels/tfl.h"

struct window {
    int64_t y0, y1, x0, x1;
};

static struct window window_of(const struct ledge_geometry *g, int64_t oy, int64_t ox)
{
    int64_t y = oy * g->stride[1] - g->pad[1];
    int64_t x = ox * g->stride[2] - g->pad[2];
    return (struct window){.y0 = y > 0 ? y : 0,
                           .y1 = y + g->kernel[1] < g->in[1] ? y + g->kernel[1] : g->in[1],
                           .x0 = x > 0 ? x : 0,
                           .x1 = x + g->kernel[2] < g->in[2] ? x + g->kernel[2] : g->in[2]};
}

static void channel(const struct ledge_tfl_pool_params *p, const uint8_t *x, uint8_t *y,
                    const struct window *w, int64_t n, int64_t c)
{
    const struct ledge_geometry *g = &p->g;
    int32_t largest = -128;
    int32_t sum = 0;
    int32_t count = (int32_t)((w->y1 - w->y0) * (w->x1 - w->x0));
    for (int64_t iy = w->y0; iy < w->y1; iy++) {
        for (int64_t ix = w->x0; ix < w->x1; ix++) {
            int64_t at = ((n * g->in[1] + iy) * g->in[2] + ix) * g->in_channels + c;
            int32_t value = ledge_tfl_load(x, at, p->out.flip);
            largest = value > largest ? value : largest;
            sum += p->is_u8 ? value + 128 : value;
        }
    }
    int32_t result = largest;
    if (p->average) {
        result = count > 0 ? ledge_tfl_average(sum, count, p->is_u8) - (p->is_u8 ? 128 : 0) : 0;
    }
    ledge_tfl_store(y, c, result, &p->out);
}

static void row(void *arg, int32_t index, int32_t worker)
{
    (void)worker;
    const struct ledge_kernel_call *call = arg;
    const struct ledge_tfl_pool_params *p = call->params;
    const struct ledge_geometry *g = &p->g;
    for (int64_t ox = 0; ox < g->out[2]; ox++) {
        struct window w = window_of(g, index % g->out[1], ox);
        uint8_t *y = (uint8_t *)call->out[0]->data + (index * g->out[2] + ox) * g->out_channels;
        for (int64_t c = 0; c < g->out_channels; c++) {
            channel(p, call->in[0]->data, y, &w, index / g->out[1], c);
        }
    }
}

enum ledge_status ledge_tfl_pool_c(const struct ledge_kernel_call *call)
{
    const struct ledge_tfl_pool_params *p = call->params;
    struct ledge_kernel_call copy = *call;
    ledge_pool_run(call->pool, (int32_t)(p->g.batch * p->g.out[1]), row, &copy);
    return LEDGE_OK;
}
