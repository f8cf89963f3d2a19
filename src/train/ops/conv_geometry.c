/* SPDX-License-Identifier: Apache-2.0 */
/* conv_geometry.c -- shapes, planes, offset tables and the gather loop. See conv.h. */
#include <string.h>

#include "base/status.h"
#include "train/ops/conv.h"

static void two_ints(const struct ledge_node *node, const char *name, int32_t *a, int32_t *b)
{
    size_t n;
    const int64_t *v = ledge_node_ints(node, name, &n);
    *a = n == 2 ? (int32_t)v[0] : 1;
    *b = n == 2 ? (int32_t)v[1] : 1;
}

/* Zeros before and after one dimension. Source: ONNX Conv, attributes auto_pad and pads. */
static void pads_of(const struct ledge_node *node, int32_t axis, int32_t size, int32_t window,
                    int32_t stride, int32_t *before, int32_t *after)
{
    size_t n;
    const char *mode = ledge_node_string(node, "auto_pad", "NOTSET");
    const int64_t *pads = ledge_node_ints(node, "pads", &n);
    *before = n == 4 ? (int32_t)pads[axis] : 0;
    *after = n == 4 ? (int32_t)pads[axis + 2] : 0;
    if (strncmp(mode, "SAME", 4) == 0) {
        int32_t out = (size + stride - 1) / stride;
        int32_t total = (out - 1) * stride + window - size;
        total = total > 0 ? total : 0;
        *before = strcmp(mode, "SAME_LOWER") == 0 ? total - total / 2 : total / 2;
        *after = total - *before;
    } else if (strcmp(mode, "VALID") == 0) {
        *before = 0;
        *after = 0;
    }
}

enum ledge_status train_conv_shape(const struct ledge_node *node, const struct ledge_value *x,
                                   const struct ledge_value *w, struct train_conv *conv,
                                   struct ledge_error *err)
{
    if (x == NULL || w == NULL || x->rank != 4 || w->rank != 4 || x->dtype != LEDGE_F32 ||
        w->dtype != LEDGE_F32 || ledge_node_int(node, "layout", LEDGE_NCHW) != LEDGE_NCHW) {
        return ledge_fail(err, LEDGE_ERR_UNSUPPORTED,
                          "node %s (%s): trained in two dimensions, f32, NCHW only", node->name,
                          node->op);
    }
    struct train_conv s = {.groups = (int32_t)ledge_node_int(node, "group", 1)};
    int32_t bottom;
    int32_t right;
    for (int i = 0; i < 4; i++) {
        if (x->dims[i] <= 0 || x->dims[i] > 65536 || w->dims[i] <= 0 || w->dims[i] > 65536) {
            return ledge_fail(err, LEDGE_ERR_SHAPE, "node %s (%s): a dimension of %lld", node->name,
                              node->op, (long long)x->dims[i]);
        }
    }
    s.n = (int32_t)x->dims[0];
    s.h = (int32_t)x->dims[2];
    s.w = (int32_t)x->dims[3];
    s.c = (int32_t)w->dims[1];
    s.kh = (int32_t)w->dims[2];
    s.kw = (int32_t)w->dims[3];
    two_ints(node, "strides", &s.sh, &s.sw);
    two_ints(node, "dilations", &s.dh, &s.dw);
    if (s.groups < 1 || s.sh < 1 || s.sw < 1 || s.dh < 1 || s.dw < 1 ||
        x->dims[1] != (int64_t)s.c * s.groups || w->dims[0] % s.groups != 0) {
        return ledge_fail(err, LEDGE_ERR_SHAPE,
                          "node %s (%s): %lld channels, weights for %lld in %d groups", node->name,
                          node->op, (long long)x->dims[1], (long long)w->dims[1], s.groups);
    }
    s.o = (int32_t)w->dims[0] / s.groups;
    int32_t window_h = (s.kh - 1) * s.dh + 1;
    int32_t window_w = (s.kw - 1) * s.dw + 1;
    pads_of(node, 0, s.h, window_h, s.sh, &s.top, &bottom);
    pads_of(node, 1, s.w, window_w, s.sw, &s.left, &right);
    int32_t free_h = s.h + s.top + bottom - window_h;
    int32_t free_w = s.w + s.left + right - window_w;
    if (free_h < 0 || free_w < 0 || s.top < 0 || s.left < 0) {
        return ledge_fail(err, LEDGE_ERR_SHAPE, "node %s (%s): the window is larger than the input",
                          node->name, node->op);
    }
    s.oh = free_h / s.sh + 1;
    s.ow = free_w / s.sw + 1;
    *conv = s;
    return LEDGE_OK;
}

void train_planes_fill(const struct train_planes *p, const float *source, int32_t n_channels,
                       float *to)
{
    memset(to, 0, ((size_t)n_channels * (size_t)p->floats + TRAIN_SLACK) * sizeof(float));
    for (int32_t c = 0; c < n_channels; c++) {
        for (int32_t y = 0; y < p->h; y++) {
            int32_t row = (y + p->top) / p->sy;
            if (row >= p->rows) {
                break;
            }
            const float *from = source + ((int64_t)c * p->h + y) * p->w;
            int32_t phase = (y + p->top) % p->sy * p->sx;
            float *line = to + (int64_t)c * p->floats + ((int64_t)phase * p->rows + row) * p->pitch;
            if (p->sx == 1) {
                int32_t n = p->pitch - p->left < p->w ? p->pitch - p->left : p->w;
                if (n > 0) {
                    memcpy(line + p->left, from, (size_t)n * sizeof(float));
                }
                continue;
            }
            for (int32_t x = 0; x < p->w; x++) {
                int32_t column = (x + p->left) / p->sx;
                if (column < p->pitch) {
                    line[(int64_t)((x + p->left) % p->sx) * p->rows * p->pitch + column] = from[x];
                }
            }
        }
    }
}

size_t train_gather_packed(const struct train_gather *g)
{
    return (size_t)((g->m + TRAIN_MR - 1) / TRAIN_MR * TRAIN_MR) * (size_t)g->k;
}

/* A tile's columns that are kept, as runs of the output: FILLED, at most one per output row
 * touched. */
struct run {
    int32_t from, n;
    int64_t to;
};

enum { MAX_RUNS = 64 };

static int32_t runs_of(const struct train_gather *g, int32_t q, int32_t width, struct run *runs)
{
    int32_t n = 0;
    for (int32_t y = q / g->pitch; y < g->rows && y * g->pitch < q + width; y++) {
        int32_t first = y * g->pitch > q ? y * g->pitch : q;
        int32_t last = y * g->pitch + g->cols < q + width ? y * g->pitch + g->cols : q + width;
        if (first < last) {
            runs[n++] =
                (struct run){first - q, last - first,
                             g->start + y * g->row_step + (first - y * g->pitch) * g->col_step};
        }
    }
    return n;
}

static void put(const struct train_hot *hot, const struct train_gather *g, const float *tile,
                int32_t width, const struct run *runs, int32_t n_runs, int32_t rows, float *out)
{
    for (int32_t r = 0; r < rows; r++) {
        for (int32_t i = 0; i < n_runs; i++) {
            const float *from = tile + r * width + runs[i].from;
            float *to = out + r * g->channel + runs[i].to;
            if (g->col_step == 1) {
                hot->copy(from, to, runs[i].n);
                continue;
            }
            for (int32_t x = 0; x < runs[i].n; x++) {
                to[x * g->col_step] = from[x];
            }
        }
    }
}

void train_gather_run(const struct train_hot *hot, const struct train_gather *g, const float *a,
                      const float *planes, const float *init, float *out)
{
    float tile[TRAIN_MR * TRAIN_SLACK];
    struct run runs[MAX_RUNS];
    int32_t positions = train_gather_positions(g->rows, g->cols, g->pitch);
    int32_t width = hot->nv * hot->vec;
    for (int32_t q = 0; q < positions; q += width) {
        int32_t n_vec = (positions - q + hot->vec - 1) / hot->vec;
        n_vec = n_vec < hot->nv ? n_vec : hot->nv;
        int32_t n_runs = runs_of(g, q, n_vec * hot->vec, runs);
        for (int32_t m = 0; m < g->m; m += TRAIN_MR) {
            int32_t rows = g->m - m < TRAIN_MR ? g->m - m : TRAIN_MR;
            hot->tile(g->k, a + (int64_t)m * g->k, planes + q, g->off,
                      init != NULL ? init + m : NULL, n_vec, tile, width);
            put(hot, g, tile, width, runs, n_runs, rows, out + m * g->channel);
        }
    }
}

bool train_conv_forward_tables(const struct train_conv *s, struct ledge_arena *memory,
                               struct train_planes *planes, int32_t **off)
{
    struct train_planes p = {.h = s->h,
                             .w = s->w,
                             .top = s->top,
                             .left = s->left,
                             .sy = s->sh,
                             .sx = s->sw,
                             .rows = s->oh + (s->kh - 1) * s->dh / s->sh,
                             .pitch = s->ow + (s->kw - 1) * s->dw / s->sw};
    int32_t taps = s->kh * s->kw;
    /* One spare panel: rows past the last tap repeat the first offset and are dropped. */
    int32_t *table = LEDGE_NEW_ARRAY(memory, int32_t, (size_t)(s->c * taps + TRAIN_MR));
    int64_t floats = (int64_t)p.sy * p.sx * p.rows * p.pitch;
    if (table == NULL || floats * s->c > INT32_MAX / 2) {
        return false;
    }
    p.floats = (int32_t)floats;
    for (int32_t k = 0; k < s->c * taps; k++) {
        int32_t y = k % taps / s->kw * s->dh;
        int32_t x = k % s->kw * s->dw;
        table[k] = k / taps * p.floats +
                   ((y % s->sh * s->sw + x % s->sw) * p.rows + y / s->sh) * p.pitch + x / s->sw;
    }
    *planes = p;
    *off = table;
    return true;
}

/* Quotient towards minus infinity. */
static int32_t floor_div(int32_t a, int32_t b)
{
    return a >= 0 ? a / b : -((-a + b - 1) / b);
}

/* Tap (ky, kx) carries dy at row i + e to input row ry + i sh when e = (ry + top - ky dh) / sh is
 * whole. */
static bool reach(int32_t r, int32_t pad, int32_t k, int32_t dilation, int32_t stride, int32_t *e)
{
    int32_t distance = r + pad - k * dilation;
    *e = floor_div(distance, stride);
    return *e * stride == distance;
}

static bool fill_phase(const struct train_conv *s, int32_t n_channels, int32_t ry, int32_t rx,
                       const struct train_planes *p, struct ledge_arena *memory,
                       struct train_phase *phase)
{
    int32_t *taps = LEDGE_NEW_ARRAY(memory, int32_t, (size_t)(s->kh * s->kw));
    int32_t *where = LEDGE_NEW_ARRAY(memory, int32_t, (size_t)(s->kh * s->kw));
    if (taps == NULL || where == NULL) {
        return false;
    }
    int32_t n = 0;
    for (int32_t t = 0; t < s->kh * s->kw; t++) {
        int32_t ey;
        int32_t ex;
        if (reach(ry, s->top, t / s->kw, s->dh, s->sh, &ey) &&
            reach(rx, s->left, t % s->kw, s->dw, s->sw, &ex)) {
            taps[n] = t;
            where[n++] = (ey + p->top) * p->pitch + ex + p->left;
        }
    }
    int32_t *off = LEDGE_NEW_ARRAY(memory, int32_t, (size_t)(n_channels * n));
    if (off == NULL) {
        return false;
    }
    for (int32_t k = 0; k < n_channels * n; k++) {
        off[k] = k / n * p->floats + where[k % n];
    }
    phase->n_taps = n;
    phase->taps = taps;
    phase->gather = (struct train_gather){.m = s->c,
                                          .k = n_channels * n,
                                          .off = off,
                                          .rows = (s->h - ry + s->sh - 1) / s->sh,
                                          .cols = (s->w - rx + s->sw - 1) / s->sw,
                                          .pitch = p->pitch,
                                          .start = (int64_t)ry * s->w + rx,
                                          .row_step = (int64_t)s->sh * s->w,
                                          .col_step = s->sw,
                                          .channel = (int64_t)s->h * s->w};
    return true;
}

/* Zeros before dy and the rows needed, along one dimension. */
static void margins(int32_t size, int32_t pad, int32_t k, int32_t dilation, int32_t stride,
                    int32_t *before, int32_t *extent)
{
    int32_t lowest = floor_div(pad - (k - 1) * dilation, stride);
    int32_t highest = floor_div(stride - 1 + pad, stride);
    *before = lowest < 0 ? -lowest : 0;
    *extent = (size + stride - 1) / stride + (highest > 0 ? highest : 0) + *before;
}

bool train_conv_backward_tables(const struct train_conv *s, int32_t n_channels,
                                struct ledge_arena *memory, struct train_planes *planes,
                                struct train_phase **phases)
{
    struct train_planes p = {.h = s->oh, .w = s->ow, .sy = 1, .sx = 1};
    margins(s->h, s->top, s->kh, s->dh, s->sh, &p.top, &p.rows);
    margins(s->w, s->left, s->kw, s->dw, s->sw, &p.left, &p.pitch);
    int64_t floats = (int64_t)p.rows * p.pitch;
    struct train_phase *list = LEDGE_NEW_ARRAY(memory, struct train_phase, (size_t)(s->sh * s->sw));
    if (list == NULL || floats * n_channels > INT32_MAX / 2) {
        return false;
    }
    p.floats = (int32_t)floats;
    for (int32_t i = 0; i < s->sh * s->sw; i++) {
        if (!fill_phase(s, n_channels, i / s->sw, i % s->sw, &p, memory, &list[i])) {
            return false;
        }
    }
    *planes = p;
    *phases = list;
    return true;
}
