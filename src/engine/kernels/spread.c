/* SPDX-License-Identifier: Apache-2.0 */
/* spread.c -- padded channels split into stride phases. */
#include "engine/kernels/spread.h"

#include <stdbool.h>
#include <string.h>

enum { H = 1, W = 2 };

/* Does any tap of dimension d fall into this phase? */
static bool used(const struct ledge_geometry *g, int d, int64_t phase)
{
    for (int64_t k = 0; k < g->kernel[d]; k++) {
        if (k * g->dilation[d] % g->stride[d] == phase) {
            return true;
        }
    }
    return false;
}

/* Number of this phase among those in use. */
static int64_t number(const struct ledge_geometry *g, int d, int64_t phase)
{
    int64_t n = 0;
    for (int64_t i = 0; i < phase; i++) {
        n += used(g, d, i) ? 1 : 0;
    }
    return n;
}

void ledge_spread_init(struct ledge_spread *spread, const struct ledge_geometry *g, int64_t *tap_at)
{
    int64_t columns = number(g, W, g->stride[W]);
    *spread = (struct ledge_spread){.taps = g->kernel[H] * g->kernel[W], .tap_at = tap_at};
    bool plain = true;
    for (int d = H; d <= W; d++) {
        int64_t reach = (g->kernel[d] - 1) * g->dilation[d];
        plain = plain && g->stride[d] == 1 && g->pad[d] == 0 && g->out[d] + reach <= g->in[d];
    }
    spread->rows = g->out[H] + (g->kernel[H] - 1) * g->dilation[H] / g->stride[H];
    spread->pitch =
        plain ? g->in[W] : g->out[W] + (g->kernel[W] - 1) * g->dilation[W] / g->stride[W];
    spread->phases = number(g, H, g->stride[H]) * columns;
    spread->channel_floats = plain ? 0 : spread->phases * spread->rows * spread->pitch;
    spread->channel_stride = plain ? g->in[H] * g->in[W] : spread->channel_floats;
    for (int64_t i = 0; i < g->kernel[H]; i++) {
        for (int64_t j = 0; j < g->kernel[W]; j++) {
            int64_t y = i * g->dilation[H];
            int64_t x = j * g->dilation[W];
            int64_t phase =
                number(g, H, y % g->stride[H]) * columns + number(g, W, x % g->stride[W]);
            tap_at[i * g->kernel[W] + j] = phase * spread->rows * spread->pitch +
                                           y / g->stride[H] * spread->pitch + x / g->stride[W];
        }
    }
}

/* One row of a column phase: element c is row[c * stride + phase - pad], 0 outside. */
static void copy_row(const struct ledge_geometry *g, const float *row, int64_t phase, float *to,
                     int64_t n)
{
    int64_t stride = g->stride[W];
    int64_t shift = g->pad[W] - phase; /* element c reads row[c * stride - shift] */
    int64_t first = shift > 0 ? (shift + stride - 1) / stride : 0;
    int64_t last = (g->in[W] - 1 + shift) < 0 ? 0 : (g->in[W] - 1 + shift) / stride + 1;
    last = last < n ? last : n;
    first = first < last ? first : last;
    for (int64_t c = 0; c < first; c++) {
        to[c] = 0;
    }
    const float *from = row + (first * stride - shift);
    if (first == last) {
        from = row;
    }
    if (stride == 1) {
        memcpy(to + first, from, (size_t)(last - first) * sizeof *to);
    } else if (stride == 2) {
        for (int64_t c = 0; c < last - first; c++) {
            to[first + c] = from[2 * c];
        }
    } else {
        for (int64_t c = 0; c < last - first; c++) {
            to[first + c] = from[c * stride];
        }
    }
    for (int64_t c = last; c < n; c++) {
        to[c] = 0;
    }
}

void ledge_spread_copy(const struct ledge_spread *spread, const struct ledge_geometry *g,
                       const float *channel, float *to)
{
    for (int64_t ph = 0; ph < g->stride[H]; ph++) {
        for (int64_t pw = 0; pw < g->stride[W]; pw++) {
            if (!used(g, H, ph) || !used(g, W, pw)) {
                continue;
            }
            for (int64_t r = 0; r < spread->rows; r++) {
                int64_t y = r * g->stride[H] + ph - g->pad[H];
                if (y < 0 || y >= g->in[H]) {
                    memset(to, 0, (size_t)spread->pitch * sizeof *to);
                } else {
                    copy_row(g, channel + y * g->in[W], pw, to, spread->pitch);
                }
                to += spread->pitch;
            }
        }
    }
}
