/* SPDX-License-Identifier: Apache-2.0 */
/* conv_i8_strips.c -- see conv_i8_strips.h. */
#include "engine/kernels/conv_i8_strips.h"

#include <string.h>

#include "engine/kernels/conv_i8_plan.h"

/* Pixels whose sums wait together. */
enum { SOME = 4 * LEDGE_STRIP_PIXELS };

void ledge_conv_i8_strip(const struct ledge_conv_i8 *conv, const uint8_t *x, int64_t y, uint8_t *to)
{
    const struct ledge_geometry *g = &conv->g;
    const int64_t columns = conv->columns, each = conv->units / g->in_channels;
    for (int64_t u = 0; u < conv->units; u++, to += columns) {
        int64_t begin = u % each * 4 - g->pad[W]; /* column of the picture that stands first */
        int64_t from = begin > 0 ? begin : 0;
        int64_t end = begin + columns < g->in[W] ? begin + columns : g->in[W];
        memset(to, conv->x_zero, (size_t)columns);
        if (y >= 0 && y < g->in[H] && from < end) {
            conv->isa->row(x + (u / each * g->in[H] + y) * g->in[W] + from, end - from, conv->flip,
                           0, to + from - begin);
        }
    }
}

/* Where weights have zero points: sums of each pixel's activations, times these, come off. */
static void take_zeros(const struct ledge_conv_i8 *conv, const struct ledge_strips_i8 *s,
                       const int32_t *zeros, const int32_t *row_sums)
{
    const int32_t width = s->vectors * conv->isa->lanes;
    for (int64_t i = 0; i < s->n; i++) {
        for (int32_t p = 0; p < width; p++) {
            uint32_t sum = (uint32_t)s->sums[i * width + p];
            s->sums[i * width + p] = (int32_t)(sum - (uint32_t)zeros[p] * (uint32_t)row_sums[i]);
        }
    }
}

static void sum_rows(const struct ledge_conv_i8 *conv, const uint8_t *row, int32_t *row_sums)
{
    const struct ledge_geometry *g = &conv->g;
    const int64_t each = conv->units / g->in_channels;
    for (int64_t i = 0; i < g->out[W]; i++) {
        const uint8_t *x = row + i * g->stride[W];
        row_sums[i] = 0;
        for (int64_t u = 0; u < conv->taps * conv->units; u++, x += conv->columns) {
            int64_t left = g->kernel[W] - u % each * 4;
            for (int64_t k = 0; k < 4 && k < left; k++) {
                row_sums[i] += x[k];
            }
        }
    }
}

/* Pieces of a row of outputs by way of sums in memory. */
static void run_pieces(const struct ledge_results_i8 *to, struct ledge_strips_i8 *s,
                       struct ledge_finish_i8 *finish, int64_t at, const int32_t *row_sums)
{
    const struct ledge_conv_i8 *conv = to->conv;
    const int64_t width = s->n;
    const uint8_t *const x = s->x;
    struct ledge_results_i8 bare = *to;
    _Alignas(64) int32_t sums[(SOME + LEDGE_STRIP_PIXELS) * LEDGE_STRIP_VECTORS * 16];
    if (!to->looks_up) {
        bare.table = NULL; /* of all pieces at once: their bytes are on the way to the cache */
    }
    finish->sums = s->sums = sums;
    for (int64_t i = 0; i < width; i += s->n) {
        s->n = width - i < SOME + LEDGE_STRIP_PIXELS ? width - i : SOME;
        s->x = x + i * s->step;
        conv->isa->strips(s);
        if (conv->zeros != NULL) {
            take_zeros(conv, s, conv->zeros + finish->at, row_sums + i);
        }
        finish->rows = (int32_t)s->n;
        ledge_conv_i8_finish(&bare, finish, at + i, finish->at);
    }
    ledge_conv_i8_look_up(to, to->y + (at - to->first) * conv->ldy + finish->at, width, finish->n);
}

void ledge_conv_i8_strips(const struct ledge_kernel_call *call, const struct ledge_results_i8 *to,
                          const uint8_t *row, int64_t at, int64_t p0, int64_t p1, int32_t *row_sums)
{
    const struct ledge_conv_i8 *conv = call->params;
    const int64_t lanes = conv->isa->lanes, channels = conv->g.out_channels;
    if (conv->zeros != NULL) {
        sum_rows(conv, row, row_sums);
    }
    for (int64_t panel = p0; panel < p1; panel++) {
        const int64_t first = ledge_conv_i8_panel_at(conv, panel) * lanes;
        const int64_t end = ledge_conv_i8_panel_at(conv, panel + 1) * lanes;
        struct ledge_strips_i8 s = {.x = row,
                                    .pitch = conv->columns,
                                    .step = conv->g.stride[W],
                                    .units = conv->taps * conv->units,
                                    .w = (const uint32_t *)call->packed +
                                         first * conv->taps * conv->units,
                                    .offset = conv->epilogue.offset + first,
                                    .n = conv->g.out[W],
                                    .vectors = (int32_t)((end - first) / lanes)};
        struct ledge_finish_i8 finish = {.epilogue = &conv->epilogue,
                                         .at = first,
                                         .vectors = s.vectors,
                                         .ldy = conv->ldy,
                                         .n = (int32_t)((channels < end ? channels : end) - first)};
        if (ledge_conv_i8_tiles_finish(conv)) {
            finish.y = to->y + (at - to->first) * conv->ldy + first;
            s.finish = &finish;
            conv->isa->strips(&s);
        } else {
            run_pieces(to, &s, &finish, at, row_sums);
        }
    }
}
