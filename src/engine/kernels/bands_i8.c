/* SPDX-License-Identifier: Apache-2.0 */
/* bands_i8.c -- chains of 8-bit convolutions whose intermediate pictures stay in the cache; see
 * bands_i8.h. */
#include "engine/kernels/bands_i8.h"

enum { H = 1, W = 2, EXPAND = 0, DEPTH, PROJECT };

/* Bytes of a band between the convolutions: they should stay in the L2 cache, beside weights.
 * Slices begin anew with each band, and processors that have them have caches of 512 KiB at least.
 */
#define BAND_BYTES       ((int64_t)1 << 17)
#define SLICE_BAND_BYTES ((int64_t)1 << 18)
/* Pixels at least that weights are fetched for. */
#define GRAIN_PIXELS     ((int64_t)14)
#define SLICE_GRAIN_ROWS ((int64_t)7)
#define COUNT_LIMIT      ((int64_t)1 << 28)

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static size_t align(int64_t bytes)
{
    return ((size_t)bytes + 63) & ~(size_t)63;
}

/* Rows of input that n rows of outputs need. */
static int64_t reach(const struct ledge_geometry *g, int64_t n)
{
    return smaller((n - 1) * g->stride[H] + (g->kernel[H] - 1) * g->dilation[H] + 1, g->in[H]);
}

/* The row of inputs behind the last that rows of outputs before `end` need. */
static int64_t reached(const struct ledge_geometry *g, int64_t end)
{
    int64_t window = (g->kernel[H] - 1) * g->dilation[H] + 1;
    return larger(smaller((end - 1) * g->stride[H] - g->pad[H] + window, g->in[H]), 0);
}

static int64_t row_before(const struct ledge_bands_i8 *bands)
{
    const struct ledge_geometry *g = &bands->depth->g;
    return bands->expand != NULL ? g->in[W] * g->in_channels : 0;
}

static int64_t row_behind(const struct ledge_bands_i8 *bands)
{
    const struct ledge_geometry *g = &bands->depth->g;
    return bands->project != NULL ? g->out[W] * g->in_channels : 0;
}

LEDGE_COLD static int64_t band_bytes(const struct ledge_bands_i8 *bands, int64_t rows)
{
    return reach(&bands->depth->g, rows) * row_before(bands) + rows * row_behind(bands);
}

/* Where weights are more than the picture, threads had better share them than rows; where bands are
 * low, the rows computed twice are too many: one of eight. */
LEDGE_COLD static bool pays(const struct ledge_bands_i8 *bands)
{
    const struct ledge_geometry *g = &bands->depth->g;
    int64_t twice = (g->kernel[H] - 1) * g->dilation[H] + 1 - g->stride[H], weights = 0;
    if (bands->expand != NULL) {
        const struct ledge_geometry *e = &bands->expand->g;
        weights += ledge_volume(e->kernel) * e->in_channels * e->out_channels;
    }
    if (bands->project != NULL) {
        weights += g->in_channels * bands->project->g.out_channels;
    }
    return weights <= (ledge_volume(g->in) + ledge_volume(g->out)) * g->in_channels &&
           (bands->expand == NULL || 8 * twice <= g->in[H]);
}

/* Rows of a grain. Slices begin each piece with two rows that give no output yet, so theirs are
 * long: half of a thread's rows, or less where threads would not have as many, or all of them. */
LEDGE_COLD static int64_t grain_of(const struct ledge_bands_i8 *bands, int64_t threads)
{
    const struct ledge_geometry *g = &bands->depth->g;
    threads = larger(threads, 1);
    int64_t rows = bands->depth->slices ? g->out[H] / (2 * threads) : 0;
    while (rows >= SLICE_GRAIN_ROWS && g->out[H] % (rows * threads) != 0) {
        rows--;
    }
    if (rows < SLICE_GRAIN_ROWS && bands->depth->slices && g->out[H] % threads == 0) {
        rows = g->out[H] / threads;
    }
    return rows >= SLICE_GRAIN_ROWS
               ? rows
               : smaller((GRAIN_PIXELS + g->out[W] - 1) / g->out[W], g->out[H]);
}

/* Are panels of the expansion's channels blocks of the depthwise convolution's slices, and is all
 * that lies between no more than a band? */
LEDGE_COLD static bool goes_by_channel(const struct ledge_bands_i8 *bands)
{
    const struct ledge_conv_i8 *e = bands->expand;
    const struct ledge_depthwise_i8 *dw = bands->depth;
    const int64_t block = (int64_t)dw->isa->taps_vectors * dw->isa->lanes;
    return LEDGE_SLICES && dw->slices && dw->merged == 1 && dw->table == 0 && e != NULL &&
           bands->project == NULL && ledge_conv_i8_is_flat(e) && !e->copy && !e->strips &&
           dw->g.in_channels % block == 0 && e->least_vectors * e->isa->lanes == block &&
           e->vectors == e->panels * e->least_vectors &&
           ledge_volume(dw->g.in) * dw->g.in_channels <= SLICE_BAND_BYTES;
}

LEDGE_COLD static void plan_by_channel(struct ledge_bands_i8 *bands)
{
    const struct ledge_geometry *g = &bands->depth->g;
    bands->by_channel = true;
    bands->ring = g->in[H];
    bands->half = bands->expand->panels % 2 == 1 ? g->out[H] / 2 : 0;
    bands->before_bytes = align(bands->ring * row_before(bands));
    bands->worker_bytes =
        bands->before_bytes + ledge_conv_i8_part_scratch(bands->expand, bands->ring, g->in[W]);
}

LEDGE_COLD bool ledge_bands_i8_plan(struct ledge_bands_i8 *bands, int32_t threads, bool force)
{
    const struct ledge_geometry *g = &bands->depth->g;
    if (g->in[H] * g->in[W] >= COUNT_LIMIT / g->in_channels ||
        g->out[H] * g->out[W] >= COUNT_LIMIT / g->in_channels ||
        g->batch >= COUNT_LIMIT / g->out[H]) {
        return false;
    }
    if (goes_by_channel(bands)) {
        plan_by_channel(bands);
        return true;
    }
    if (!force && !pays(bands)) {
        return false;
    }
    int64_t shares = g->batch < threads ? threads : 1;
    int64_t most = (g->out[H] + shares - 1) / shares;
    int64_t room = bands->depth->slices ? SLICE_BAND_BYTES : BAND_BYTES;
    bands->rows = 1;
    while (bands->rows < most && band_bytes(bands, bands->rows + 1) <= room) {
        bands->rows++;
    }
    bands->grain = grain_of(bands, threads);
    bands->ring = reach(g, bands->rows);
    size_t wide = 0;
    if (bands->expand != NULL) {
        wide = ledge_conv_i8_part_scratch(bands->expand, bands->ring, g->in[W]);
    }
    if (bands->project != NULL) {
        size_t also = ledge_conv_i8_part_scratch(bands->project, bands->rows, g->out[W]);
        wide = also > wide ? also : wide;
    }
    bands->before_bytes = align(bands->ring * row_before(bands));
    bands->behind_bytes = align(bands->rows * row_behind(bands));
    bands->worker_bytes = bands->before_bytes + bands->behind_bytes + wide;
    return true;
}

/* -- the run --------------------------------------------------------------------------------------
 */

struct job {
    const struct ledge_bands_i8 *bands;
    struct ledge_kernel_call part[LEDGE_BANDS_I8_PARTS];
    const uint8_t *x;
    uint8_t *y;
    uint8_t *scratch;
    int64_t grains;                /* of a picture */
    int64_t next[LEDGE_POOL_MOST]; /* row of outputs that a thread has come to */
};

/* Rows r0 .. r1 - 1 of a picture to their places in the ring. */
static void expand_rows(const struct job *job, int64_t picture, int64_t r0, int64_t r1,
                        uint8_t *before, uint8_t *scratch)
{
    const struct ledge_bands_i8 *bands = job->bands;
    const struct ledge_geometry *g = &bands->depth->g;
    const struct ledge_conv_i8 *conv = bands->expand;
    int64_t width = g->in[W], pixels = g->in[H] * width, in = conv->g.in_channels;
    for (int64_t end; r0 < r1; r0 = end) {
        end = smaller(r1, r0 + bands->ring - r0 % bands->ring);
        int64_t at = r0 * width + (ledge_conv_i8_is_flat(conv) ? picture * pixels : 0);
        int64_t from = ledge_conv_i8_is_flat(conv) ? at : picture * ledge_volume(conv->g.in);
        ledge_conv_i8_pixels(&job->part[EXPAND], job->x + from * in, at, (end - r0) * width,
                             before + r0 % bands->ring * width * g->in_channels, scratch);
    }
}

/* Rows `at` .. last - 1 of a picture from top to bottom; have: the rows of the depthwise
 * convolution's input before this one are there. */
static void rows_of_picture(const struct job *job, int64_t picture, int64_t at, int64_t last,
                            int64_t have, uint8_t *before)
{
    const struct ledge_bands_i8 *bands = job->bands;
    const struct ledge_geometry *g = &bands->depth->g;
    uint8_t *behind = before + bands->before_bytes, *scratch = behind + bands->behind_bytes;
    int64_t out = bands->project != NULL ? bands->project->ldy : g->in_channels;
    const int64_t times = (last - at + bands->rows - 1) / bands->rows;
    const int64_t rows = (last - at + times - 1) / times; /* parts of like size */
    for (int64_t end; at < last; at = end) {
        end = smaller(last, at + rows);
        uint8_t *y = job->y + (picture * g->out[H] + at) * g->out[W] * out;
        const uint8_t *in = before;
        if (bands->expand != NULL) {
            int64_t need = reached(g, end);
            have = larger(have, at * g->stride[H] - g->pad[H]);
            if (have < need) {
                expand_rows(job, picture, have, need, before, scratch);
                have = need;
            }
        } else {
            in = job->x + picture * ledge_volume(g->in) * g->in_channels;
        }
        ledge_depthwise_i8_rows(&job->part[DEPTH], in,
                                bands->expand != NULL ? bands->ring : g->in[H], at, end,
                                bands->project != NULL ? behind : y);
        if (bands->project != NULL) {
            ledge_conv_i8_pixels(&job->part[PROJECT], behind,
                                 (picture * g->out[H] + at) * g->out[W], (end - at) * g->out[W], y,
                                 scratch);
        }
    }
}

/* Grains first .. last - 1. What the ring holds is of use when a thread goes on where it was. */
static void rows_span(void *arg, int32_t first, int32_t last, int32_t worker)
{
    struct job *job = arg;
    const struct ledge_bands_i8 *bands = job->bands;
    const struct ledge_geometry *g = &bands->depth->g;
    uint8_t *before = job->scratch + (size_t)worker * bands->worker_bytes;
    for (int64_t i = first, end; i < last; i = end) {
        int64_t picture = i / job->grains;
        end = smaller(last, (picture + 1) * job->grains);
        int64_t from = i % job->grains * bands->grain;
        int64_t to = smaller(from + (end - i) * bands->grain, g->out[H]);
        bool goes_on = from > 0 && job->next[worker] == picture * g->out[H] + from;
        rows_of_picture(job, picture, from, to, goes_on ? reached(g, from) : 0, before);
        job->next[worker] = picture * g->out[H] + to;
    }
}

/* Panels' channels of a picture. */
static void run_panels(const struct job *job, int64_t picture, const struct ledge_panels_i8 *p,
                       uint8_t *before)
{
    const struct ledge_bands_i8 *bands = job->bands;
    const struct ledge_geometry *g = &bands->depth->g;
    const int64_t r0 = p->behind ? bands->half : 0, r1 = p->before ? bands->half : g->out[H];
    const int64_t width = g->in[W], end = reached(g, r1);
    const int64_t from = larger(smaller(r0 * g->stride[H] - g->pad[H], end), 0);
    const int64_t at = (picture * g->in[H] + from) * width;
    ledge_conv_i8_part(&job->part[EXPAND], job->x + at * bands->expand->g.in_channels, at,
                       (end - from) * width, p->first, p->last,
                       before + from * width * g->in_channels, before + bands->before_bytes);
    ledge_depthwise_i8_blocks(&job->part[DEPTH], before, bands->ring, r0, r1, p->first, p->last,
                              job->y + (picture * g->out[H] + r0) * g->out[W] * g->in_channels);
}

/* Grains first .. last - 1: panels of the pictures, one behind the other. */
static void panels_span(void *arg, int32_t first, int32_t last, int32_t worker)
{
    const struct job *job = arg;
    const struct ledge_bands_i8 *bands = job->bands;
    const int64_t middle = bands->half > 0 ? bands->expand->panels / 2 : job->grains;
    uint8_t *before = job->scratch + (size_t)worker * bands->worker_bytes;
    for (int64_t i = first; i < last;) {
        const int64_t k = i % job->grains;
        const struct ledge_panels_i8 p =
            ledge_conv_i8_panels(k, smaller(last - i, job->grains - k), middle);
        run_panels(job, i / job->grains, &p, before);
        i += p.grains;
    }
}

enum ledge_status ledge_bands_i8_run(const struct ledge_kernel_call *call)
{
    const struct ledge_bands_i8 *bands = call->params;
    const struct ledge_geometry *g = &bands->depth->g;
    const void *const params[] = {bands->expand, bands->depth, bands->project};
    struct job job; /* next[] is long, and of use for the threads there are only */
    job.bands = bands;
    job.y = call->out[0]->data;
    job.scratch = call->scratch;
    for (int32_t i = 0; i < ledge_pool_threads(call->pool); i++) {
        job.next[i] = -1;
    }
    if (bands->project != NULL) {
        LEDGE_TRY(ledge_conv_i8_check(bands->project, call->err));
    }
    for (int i = 0; i < LEDGE_BANDS_I8_PARTS; i++) {
        job.part[i] =
            (struct ledge_kernel_call){.in = call->in + bands->inputs[i],
                                       .params = params[i],
                                       .packed = (const char *)call->packed + bands->packed[i]};
    }
    job.x = bands->expand != NULL ? job.part[EXPAND].in[bands->expand->input]->data
                                  : job.part[DEPTH].in[bands->depth->input]->data;
    const bool by_channel = LEDGE_SLICES && bands->by_channel;
    job.grains = by_channel ? bands->expand->panels + (bands->half > 0)
                            : (g->out[H] + bands->grain - 1) / bands->grain;
    ledge_pool_spans(call->pool, (int32_t)(g->batch * job.grains),
                     by_channel ? panels_span : rows_span, &job);
    return LEDGE_OK;
}
