/* SPDX-License-Identifier: Apache-2.0 */
/* channel_shuffle.c -- see channel_shuffle.h. */
#include "engine/kernels/channel_shuffle.h"

#include "engine/kernels/onnx.h"

enum { PIXELS = 128, BLOCK = 16 };

/* to = a0 b0 a1 b1 ...: a loop that compilers turn into vectors as long as it stays a loop. */
__attribute__((noinline)) static void zip(const uint8_t *restrict a, const uint8_t *restrict b,
                                          uint8_t *restrict to, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        to[2 * i] = a[i];
        to[2 * i + 1] = b[i];
    }
}

/* Whole vectors, and one more over the end of the last. */
static void zip_pixel(const uint8_t *a, const uint8_t *b, uint8_t *to, int64_t n)
{
    int64_t rest = n % BLOCK, last = n - BLOCK;
    if (last < 0 || rest == 0) {
        zip(a, b, to, n);
        return;
    }
    zip(a, b, to, n - rest);
    zip(a + last, b + last, to + 2 * last, BLOCK);
}

static void one_part(void *arg, int32_t index, int32_t worker)
{
    (void)worker;
    const struct ledge_kernel_call *call = arg;
    const struct ledge_channel_shuffle *p = call->params;
    const struct ledge_shuffle_part *part = &p->parts[index % p->n_out];
    const struct ledge_shuffle_origin *from = part->origins;
    int64_t first = (int64_t)(index / p->n_out) * PIXELS;
    int64_t end = p->pixels - first < PIXELS ? p->pixels : first + PIXELS;
    uint8_t *to = (uint8_t *)call->out[index % p->n_out]->data + first * part->channels;
    for (int64_t i = first; i < end && part->pairs; i++, to += part->channels) {
        const uint8_t *a = call->in[from[0].input]->data, *b = call->in[from[1].input]->data;
        zip_pixel(a + i * p->in_channels[from[0].input] + from[0].channel,
                  b + i * p->in_channels[from[1].input] + from[1].channel, to, part->channels / 2);
    }
    for (int64_t i = first; i < end && !part->pairs; i++) {
        for (int64_t c = 0; c < part->channels; c++) {
            const uint8_t *x = call->in[from[c].input]->data;
            *to++ = x[i * p->in_channels[from[c].input] + from[c].channel];
        }
    }
}

/* [N][H][W][n] of all channels from number `at` on, to or from [N][C][H][W]. */
static struct ledge_strided turned(const int64_t *nchw, int64_t at, int64_t n, bool to_planes)
{
    int64_t area = nchw[2] * nchw[3];
    struct ledge_strided s = {.rank = 3, .size = 1, .dims = {nchw[0], area, n}};
    int64_t *pixels = to_planes ? s.from : s.to, *planes = to_planes ? s.to : s.from;
    pixels[0] = area * n;
    pixels[1] = n;
    pixels[2] = 1;
    planes[0] = nchw[1] * area;
    planes[1] = 1;
    planes[2] = area;
    *(to_planes ? &s.to_at : &s.from_at) = at * area;
    return s;
}

static void step_by_step(const struct ledge_kernel_call *call)
{
    const struct ledge_channel_shuffle *p = call->params;
    const int64_t *d = p->grouped;
    int64_t area = d[3] * d[4];
    uint8_t *planes = call->scratch;
    uint8_t *swapped = planes + p->picture[0] * p->picture[1] * p->picture[2] * p->picture[3];
    int64_t at = 0;
    for (int32_t i = 0; i < p->n_in; i++) {
        struct ledge_strided s = turned(p->picture, at, p->in_channels[i], true);
        ledge_strided_copy(&s, call->in[i]->data, planes);
        at += p->in_channels[i];
    }
    const struct ledge_strided swap = {.rank = 4,
                                       .size = 1,
                                       .dims = {d[0], d[2], d[1], area},
                                       .from = {d[1] * d[2] * area, area, d[2] * area, 1},
                                       .to = {d[1] * d[2] * area, d[1] * area, area, 1}};
    ledge_strided_copy(&swap, planes, swapped);
    at = 0;
    for (int32_t i = 0; i < p->n_out; i++) {
        struct ledge_strided s = turned(p->merged, at, p->parts[i].channels, false);
        ledge_strided_copy(&s, swapped, call->out[i]->data);
        at += p->parts[i].channels;
    }
}

enum ledge_status ledge_channel_shuffle_c(const struct ledge_kernel_call *call)
{
    const struct ledge_channel_shuffle *p = call->params;
    if (p->regular) {
        int64_t tasks = (p->pixels + PIXELS - 1) / PIXELS * p->n_out;
        ledge_pool_run(call->pool, (int32_t)tasks, one_part, (void *)call);
    } else {
        step_by_step(call);
    }
    return LEDGE_OK;
}
