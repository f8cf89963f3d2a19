/* SPDX-License-Identifier: Apache-2.0 */
/* spread.c -- where padded channels split into stride phases have their taps. The copying itself is
 * vectorised: f32.tmpl.h. */
#include "engine/kernels/f32.h"

enum { H = 1, W = 2 };

/* Note the phases of dimension d that some tap falls into. */
static void note_used(struct ledge_spread *spread, const struct ledge_geometry *g, int d)
{
    for (int64_t k = 0; k < g->kernel[d]; k++) {
        int64_t phase = k * g->dilation[d] % g->stride[d];
        spread->used[d - H][phase / 64] |= (uint64_t)1 << phase % 64;
    }
}

/* Number of phases in use below this one. */
static int64_t number(const struct ledge_spread *spread, int d, int64_t phase)
{
    int64_t n = 0;
    for (int64_t i = 0; i < phase; i++) {
        n += ledge_spread_uses(spread, d - H, i);
    }
    return n;
}

void ledge_spread_init(struct ledge_spread *spread, const struct ledge_geometry *g, int64_t *tap_at)
{
    *spread = (struct ledge_spread){.taps = g->kernel[H] * g->kernel[W], .tap_at = tap_at};
    bool plain = true;
    for (int d = H; d <= W; d++) {
        int64_t reach = (g->kernel[d] - 1) * g->dilation[d];
        plain = plain && g->stride[d] == 1 && g->pad[d] == 0 && g->out[d] + reach <= g->in[d];
        note_used(spread, g, d);
        spread->in[d - H] = g->in[d];
        spread->stride[d - H] = g->stride[d];
        spread->pad[d - H] = g->pad[d];
    }
    int64_t columns = number(spread, W, g->stride[W]);
    int64_t phases = number(spread, H, g->stride[H]) * columns;
    spread->rows = g->out[H] + (g->kernel[H] - 1) * g->dilation[H] / g->stride[H];
    spread->pitch =
        plain ? g->in[W] : g->out[W] + (g->kernel[W] - 1) * g->dilation[W] / g->stride[W];
    int64_t floats = phases * spread->rows * spread->pitch + LEDGE_SPREAD_SLACK;
    spread->channel_floats = plain ? 0 : (floats + 15) / 16 * 16;
    spread->channel_stride = plain ? g->in[H] * g->in[W] : spread->channel_floats;
    for (int64_t i = 0; i < g->kernel[H]; i++) {
        for (int64_t j = 0; j < g->kernel[W]; j++) {
            int64_t y = i * g->dilation[H];
            int64_t x = j * g->dilation[W];
            int64_t phase =
                number(spread, H, y % g->stride[H]) * columns + number(spread, W, x % g->stride[W]);
            tap_at[i * g->kernel[W] + j] = phase * spread->rows * spread->pitch +
                                           y / g->stride[H] * spread->pitch + x / g->stride[W];
        }
    }
}

void ledge_spread_columns(const struct ledge_spread *spread, int32_t lanes, const int64_t out[3],
                          int64_t at, int64_t count, struct ledge_columns_f32 *columns)
{
    /* rows that touch are one long row */
    int64_t width = spread->pitch == out[W] ? out[H] * out[W] : out[W];
    int32_t n = 0;
    columns->taps = spread->taps;
    columns->tap_at = spread->tap_at;
    for (int v = 0; v < 2; v++) {
        int64_t left = count - v * lanes < lanes ? count - v * lanes : lanes;
        columns->n_spans[v] = 0;
        for (int64_t lane = 0; lane < left;) {
            int64_t pixel = at + v * lanes + lane;
            int64_t x = pixel % width;
            int64_t run = width - x < left - lane ? width - x : left - lane;
            columns->spans[n++] =
                (struct ledge_span){.from = (int32_t)lane,
                                    .to = (int32_t)(lane + run),
                                    .offset = pixel / width * spread->pitch + x - lane};
            columns->n_spans[v]++;
            lane += run;
        }
    }
}
