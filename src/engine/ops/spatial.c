/* SPDX-License-Identifier: Apache-2.0 */
/* spatial.c -- windows from attributes; every number is from a file and is checked. */
#include "engine/ops/spatial.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/banned.h"
#include "base/status.h"

/* Larger sizes are no picture; products of two stay far from overflow. */
#define SIZE_LIMIT ((int64_t)1 << 30)

static enum ledge_status fail(const struct ledge_spatial *spatial, const char *format, ...)
    LEDGE_PRINTF(2, 3);

static enum ledge_status fail(const struct ledge_spatial *spatial, const char *format, ...)
{
    char text[160];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return ledge_fail(spatial->err, LEDGE_ERR_SHAPE, "node %.60s (%.30s): %s", spatial->node->name,
                      spatial->node->op, text);
}

struct ledge_clamp ledge_node_clamp(const struct ledge_node *node)
{
    return (struct ledge_clamp){.low = ledge_node_float(node, "clamp_low", -INFINITY),
                                .high = ledge_node_float(node, "clamp_high", INFINITY)};
}

const int64_t *ledge_spatial_kernel(const struct ledge_value *weights, enum ledge_layout layout)
{
    return layout == LEDGE_NCHW ? weights->dims + 2 : weights->dims + 1;
}

/* Attribute name with one entry per spatial dimension (times per), or the fallback everywhere. */
static enum ledge_status read_list(const struct ledge_spatial *spatial, const char *name,
                                   int32_t spatial_rank, int32_t per, int64_t least,
                                   int64_t fallback, int64_t *values)
{
    size_t n;
    const int64_t *given = ledge_node_ints(spatial->node, name, &n);
    size_t want = (size_t)spatial_rank * (size_t)per;
    if (given != NULL && n != 0 && n != want) {
        return fail(spatial, "%s has %zu entries, not %zu", name, n, want);
    }
    for (size_t i = 0; i < want; i++) {
        values[i] = given != NULL && n != 0 ? given[i] : fallback;
        if (values[i] < least || values[i] > SIZE_LIMIT) {
            return fail(spatial, "%s[%zu] is %lld", name, i, (long long)values[i]);
        }
    }
    return LEDGE_OK;
}

static enum ledge_status start(const struct ledge_spatial *spatial, const int64_t *kernel,
                               int32_t n_kernel, int64_t out_channels, struct ledge_geometry *g)
{
    const struct ledge_value *x = spatial->x;
    int32_t n = x->rank - 2;
    if (n < 1 || n > 3 || n_kernel != n) {
        return fail(spatial, "input of rank %d with a window of rank %d: 1 to 3 spatial dimensions",
                    (int)x->rank, (int)n_kernel);
    }
    *g = (struct ledge_geometry){.layout = ledge_node_layout(spatial->node),
                                 .batch = x->dims[0],
                                 .groups = 1,
                                 .out_channels = out_channels};
    g->in_channels = g->layout == LEDGE_NCHW ? x->dims[1] : x->dims[x->rank - 1];
    int64_t strides[3], dilations[3], pads[6];
    LEDGE_TRY(read_list(spatial, "strides", n, 1, 1, 1, strides));
    LEDGE_TRY(read_list(spatial, "dilations", n, 1, 1, 1, dilations));
    LEDGE_TRY(read_list(spatial, "pads", n, 2, 0, 0, pads));
    for (int32_t i = 0; i < 3; i++) {
        int32_t at = i - (3 - n);
        bool real = at >= 0;
        g->in[i] = real ? x->dims[(g->layout == LEDGE_NCHW ? 2 : 1) + at] : 1;
        g->kernel[i] = real ? kernel[at] : 1;
        g->stride[i] = real ? strides[at] : 1;
        g->dilation[i] = real ? dilations[at] : 1;
        g->pad[i] = real ? pads[at] : 0;
        g->pad_end[i] = real ? pads[at + n] : 0;
        if (g->kernel[i] < 1 || g->kernel[i] > SIZE_LIMIT || g->in[i] > SIZE_LIMIT) {
            return fail(spatial, "window size %lld on %lld", (long long)g->kernel[i],
                        (long long)g->in[i]);
        }
    }
    return LEDGE_OK;
}

static int64_t reach(const struct ledge_geometry *g, int i)
{
    return (g->kernel[i] - 1) * g->dilation[i] + 1;
}

static enum ledge_status size_notset(const struct ledge_spatial *spatial, struct ledge_geometry *g,
                                     bool ceil_mode, int i)
{
    int64_t room = g->in[i] + g->pad[i] + g->pad_end[i] - reach(g, i);
    if (room < 0) {
        return fail(spatial, "a window of %lld does not fit on %lld elements and %lld of padding",
                    (long long)reach(g, i), (long long)g->in[i],
                    (long long)(g->pad[i] + g->pad_end[i]));
    }
    g->out[i] = room / g->stride[i] + 1;
    if (ceil_mode && room % g->stride[i] != 0 && g->out[i] * g->stride[i] < g->in[i] + g->pad[i]) {
        g->out[i]++; /* but never a window that starts in the padding behind */
    }
    return LEDGE_OK;
}

static void pad_same(struct ledge_geometry *g, int i, bool upper, int64_t total)
{
    total = total > 0 ? total : 0;
    g->pad[i] = upper ? total / 2 : total - total / 2;
    g->pad_end[i] = total - g->pad[i];
}

enum ledge_status ledge_spatial_read(const struct ledge_spatial *spatial, const int64_t *kernel,
                                     int32_t n_kernel, int64_t out_channels,
                                     struct ledge_geometry *g)
{
    LEDGE_TRY(start(spatial, kernel, n_kernel, out_channels, g));
    const char *auto_pad = ledge_node_string(spatial->node, "auto_pad", "NOTSET");
    bool ceil_mode = ledge_node_int(spatial->node, "ceil_mode", 0) != 0;
    bool same = strcmp(auto_pad, "SAME_UPPER") == 0 || strcmp(auto_pad, "SAME_LOWER") == 0;
    if (!same && strcmp(auto_pad, "VALID") != 0 && strcmp(auto_pad, "NOTSET") != 0) {
        return fail(spatial, "auto_pad %.20s is unknown", auto_pad);
    }
    for (int i = 0; i < 3; i++) {
        if (same) {
            g->out[i] = (g->in[i] + g->stride[i] - 1) / g->stride[i];
            pad_same(g, i, strcmp(auto_pad, "SAME_UPPER") == 0,
                     (g->out[i] - 1) * g->stride[i] + reach(g, i) - g->in[i]);
            continue;
        }
        if (strcmp(auto_pad, "VALID") == 0) {
            g->pad[i] = g->pad_end[i] = 0;
        }
        LEDGE_TRY(size_notset(spatial, g, ceil_mode, i));
    }
    return LEDGE_OK;
}

enum ledge_status ledge_spatial_read_transposed(const struct ledge_spatial *spatial,
                                                const int64_t *kernel, int32_t n_kernel,
                                                int64_t out_channels, struct ledge_geometry *g)
{
    LEDGE_TRY(start(spatial, kernel, n_kernel, out_channels, g));
    const char *auto_pad = ledge_node_string(spatial->node, "auto_pad", "NOTSET");
    bool same = strcmp(auto_pad, "SAME_UPPER") == 0 || strcmp(auto_pad, "SAME_LOWER") == 0;
    int64_t extra[3], wanted[3];
    LEDGE_TRY(read_list(spatial, "output_padding", n_kernel, 1, 0, 0, extra));
    LEDGE_TRY(read_list(spatial, "output_shape", n_kernel, 1, 0, 0, wanted));
    for (int i = 0; i < 3; i++) {
        int at = i - (3 - n_kernel);
        int64_t more = at >= 0 ? extra[at] : 0;
        int64_t full = (g->in[i] - 1) * g->stride[i] + reach(g, i) + more;
        if (at >= 0 && (wanted[at] > 0 || same)) {
            g->out[i] = wanted[at] > 0 ? wanted[at] : g->in[i] * g->stride[i];
            /* ConvTranspose-11: with an output shape, SAME_UPPER puts the larger half behind, all
             * else before. */
            pad_same(g, i, strcmp(auto_pad, "SAME_UPPER") == 0, full - g->out[i]);
        } else {
            if (strcmp(auto_pad, "VALID") == 0) {
                g->pad[i] = g->pad_end[i] = 0;
            }
            g->out[i] = full - g->pad[i] - g->pad_end[i];
        }
        if (g->out[i] < 1 || g->out[i] > SIZE_LIMIT) {
            return fail(spatial, "output size %lld", (long long)g->out[i]);
        }
    }
    return LEDGE_OK;
}

void ledge_spatial_dims(const struct ledge_geometry *g, int32_t rank, int64_t *dims)
{
    int32_t n = rank - 2;
    dims[0] = g->batch;
    dims[g->layout == LEDGE_NCHW ? 1 : rank - 1] = g->out_channels;
    for (int32_t i = 0; i < n; i++) {
        dims[(g->layout == LEDGE_NCHW ? 2 : 1) + i] = g->out[3 - n + i];
    }
}
