/* SPDX-License-Identifier: Apache-2.0 */
/* pool_c.c -- pooling in plain C, any layout. Windows are clipped to the picture first, so that
 * inner loops need no test. */
#include <math.h>

#include "engine/kernels/pool.h"
#include "engine/kernels/real.h"

struct job {
    const struct ledge_pool_params *params;
    const void *x;
    void *y;
    int64_t *indices;
    void (*plane)(const struct job *job, int64_t n, int64_t c);
    enum ledge_dtype dtype;
    bool wide; /* f64, not f32 */
};

static double load(const struct job *job, int64_t at)
{
    return job->wide ? ((const double *)job->x)[at] : (double)((const float *)job->x)[at];
}

static double load_any(const struct job *job, int64_t at)
{
    return job->dtype == LEDGE_U8   ? ((const uint8_t *)job->x)[at]
           : job->dtype == LEDGE_I8 ? ((const int8_t *)job->x)[at]
                                    : load(job, at);
}

static double clamp_f64(double v, struct ledge_clamp clamp)
{
    v = v < (double)clamp.low ? (double)clamp.low : v;
    return v > (double)clamp.high ? (double)clamp.high : v;
}

static void store(const struct job *job, int64_t at, double v)
{
    if (job->wide) {
        ((double *)job->y)[at] = clamp_f64(v, job->params->clamp);
    } else {
        ((float *)job->y)[at] = ledge_clamp_f32((float)v, job->params->clamp);
    }
}

/* First and last + 1 tap of each dimension that lies on the picture, and where the first one lies.
 */
struct window {
    int64_t first[3];
    int64_t last[3];
    int64_t from[3];
};

static struct window clip(const struct ledge_geometry *g, int64_t at)
{
    struct window w;
    int64_t out[3];
    ledge_unravel(at, g->out, out);
    for (int i = 0; i < 3; i++) {
        int64_t start = out[i] * g->stride[i] - g->pad[i];
        int64_t d = g->dilation[i];
        w.first[i] = start < 0 ? (-start + d - 1) / d : 0;
        int64_t fits = start < g->in[i] ? (g->in[i] - start + d - 1) / d : 0;
        w.last[i] = fits < g->kernel[i] ? fits : g->kernel[i];
        w.from[i] = start;
    }
    return w;
}

static int64_t position(const struct ledge_geometry *g, const struct window *w, int64_t kd,
                        int64_t kh, int64_t kw)
{
    int64_t d = w->from[0] + kd * g->dilation[0];
    int64_t h = w->from[1] + kh * g->dilation[1];
    return (d * g->in[1] + h) * g->in[2] + w->from[2] + kw * g->dilation[2];
}

static int64_t index_of(const struct ledge_pool_params *params, int64_t n, int64_t c, int64_t at)
{
    const struct ledge_geometry *g = &params->g;
    int64_t plane = ledge_plane_at(g->layout, n, c, g->in_channels, ledge_volume(g->in));
    if (at < 0) {
        return -1;
    }
    if (params->column_major) {
        int64_t pos[3];
        ledge_unravel(at, g->in, pos);
        at = (pos[2] * g->in[1] + pos[1]) * g->in[0] + pos[0];
    }
    return plane + at * ledge_plane_step(g->layout, g->in_channels);
}

/* The largest of a window; of one outside the picture the least of its type. */
static void largest(const struct job *job, int64_t n, int64_t c)
{
    const struct ledge_geometry *g = &job->params->g;
    int64_t volume = ledge_volume(g->out);
    int64_t step = ledge_plane_step(g->layout, g->in_channels);
    int64_t x = ledge_plane_at(g->layout, n, c, g->in_channels, ledge_volume(g->in));
    int64_t y = ledge_plane_at(g->layout, n, c, g->in_channels, volume);
    for (int64_t at = 0; at < volume; at++) {
        struct window w = clip(g, at);
        double best = job->dtype == LEDGE_U8 ? 0 : job->dtype == LEDGE_I8 ? INT8_MIN : -INFINITY;
        int64_t best_at = -1;
        for (int64_t kd = w.first[0]; kd < w.last[0]; kd++) {
            for (int64_t kh = w.first[1]; kh < w.last[1]; kh++) {
                for (int64_t kw = w.first[2]; kw < w.last[2]; kw++) {
                    int64_t p = position(g, &w, kd, kh, kw);
                    double v = load_any(job, x + p * step);
                    if (v > best || best_at < 0) {
                        best = v;
                        best_at = p;
                    }
                }
            }
        }
        if (job->dtype == LEDGE_U8 || job->dtype == LEDGE_I8) {
            ((uint8_t *)job->y)[y + at * step] = (uint8_t)(int)best;
        } else {
            store(job, y + at * step, best);
        }
        if (job->indices != NULL) {
            job->indices[y + at * step] = index_of(job->params, n, c, best_at);
        }
    }
}

/* Elements that an average divides by: those on the picture, or those on the padded picture. */
static int64_t divisor(const struct ledge_pool_params *params, const struct window *w)
{
    const struct ledge_geometry *g = &params->g;
    int64_t count = 1;
    for (int i = 0; i < 3; i++) {
        int64_t n = w->last[i] - w->first[i];
        if (params->count_pad) {
            int64_t room = g->in[i] + g->pad_end[i] - w->from[i];
            int64_t fits = (room + g->dilation[i] - 1) / g->dilation[i];
            n = fits < g->kernel[i] ? fits : g->kernel[i];
        }
        count *= n;
    }
    return count > 0 ? count : 1;
}

static double power_of(double v, int32_t power)
{
    return power == 1 ? fabs(v) : power == 2 ? v * v : ledge_pow(fabs(v), (double)power);
}

static double root_of(double total, int32_t power)
{
    return power == 1 ? total : power == 2 ? sqrt(total) : ledge_pow(total, 1 / (double)power);
}

/* Averages, or roots of sums of powers. */
static void sum_up(const struct job *job, int64_t n, int64_t c, bool lp)
{
    const struct ledge_geometry *g = &job->params->g;
    int32_t power = job->params->power;
    int64_t volume = ledge_volume(g->out);
    int64_t step = ledge_plane_step(g->layout, g->in_channels);
    int64_t x = ledge_plane_at(g->layout, n, c, g->in_channels, ledge_volume(g->in));
    int64_t y = ledge_plane_at(g->layout, n, c, g->in_channels, volume);
    for (int64_t at = 0; at < volume; at++) {
        struct window w = clip(g, at);
        double total = 0;
        for (int64_t kd = w.first[0]; kd < w.last[0]; kd++) {
            for (int64_t kh = w.first[1]; kh < w.last[1]; kh++) {
                for (int64_t kw = w.first[2]; kw < w.last[2]; kw++) {
                    double v = load(job, x + position(g, &w, kd, kh, kw) * step);
                    total += lp ? power_of(v, power) : v;
                }
            }
        }
        total = lp ? root_of(total, power) : total / (double)divisor(job->params, &w);
        store(job, y + at * step, total);
    }
}

static void average(const struct job *job, int64_t n, int64_t c)
{
    sum_up(job, n, c, false);
}

static void lp(const struct job *job, int64_t n, int64_t c)
{
    sum_up(job, n, c, true);
}

/* Sixteen running sums: independent of the vector width, and more exact than one. */
static void global_average(const struct job *job, int64_t n, int64_t c)
{
    const struct ledge_geometry *g = &job->params->g;
    int64_t volume = ledge_volume(g->in);
    int64_t step = ledge_plane_step(g->layout, g->in_channels);
    const float *x =
        (const float *)job->x + ledge_plane_at(g->layout, n, c, g->in_channels, volume);
    float sums[16] = {0};
    int64_t at = 0;
    if (job->wide) {
        double total = 0;
        for (; at < volume; at++) {
            total += load(job, ledge_plane_at(g->layout, n, c, g->in_channels, volume) + at * step);
        }
        store(job, n * g->in_channels + c, total / (double)volume);
        return;
    }
    for (; at + 16 <= volume; at += 16) {
        for (int i = 0; i < 16; i++) {
            sums[i] += x[(at + i) * step];
        }
    }
    for (int i = 0; at < volume; at++, i++) {
        sums[i] += x[at * step];
    }
    for (int width = 8; width > 0; width /= 2) {
        for (int i = 0; i < width; i++) {
            sums[i] += sums[i + width];
        }
    }
    ((float *)job->y)[n * g->in_channels + c] =
        ledge_clamp_f32(sums[0] / (float)volume, job->params->clamp);
}

static void one_plane(void *arg, int32_t index, int32_t worker)
{
    (void)worker;
    const struct job *job = arg;
    int64_t channels = job->params->g.in_channels;
    job->plane(job, index / channels, index % channels);
}

static enum ledge_status run(const struct ledge_kernel_call *call,
                             void (*plane)(const struct job *job, int64_t n, int64_t c))
{
    const struct ledge_pool_params *params = call->params;
    struct job job = {.params = params,
                      .x = call->in[0]->data,
                      .y = call->out[0]->data,
                      .indices =
                          call->n_out > 1 && call->out[1] != NULL ? call->out[1]->data : NULL,
                      .plane = plane,
                      .dtype = call->out[0]->dtype,
                      .wide = call->out[0]->dtype == LEDGE_F64};
    ledge_pool_run(call->pool, (int32_t)(params->g.batch * params->g.in_channels), one_plane, &job);
    return LEDGE_OK;
}

enum ledge_status ledge_max_pool_c(const struct ledge_kernel_call *call)
{
    return run(call, largest);
}

enum ledge_status ledge_average_pool_f32_c(const struct ledge_kernel_call *call)
{
    return run(call, average);
}

enum ledge_status ledge_lp_pool_f32_c(const struct ledge_kernel_call *call)
{
    return run(call, lp);
}

enum ledge_status ledge_global_average_pool_f32_c(const struct ledge_kernel_call *call)
{
    return run(call, global_average);
}
