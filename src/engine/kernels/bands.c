/* SPDX-License-Identifier: Apache-2.0 */
/* bands.c -- chains of convolutions whose intermediate tensors stay in the cache; see bands.h. */
#include "engine/kernels/bands.h"

enum { H = 1, W = 2 };

/* What lies between should stay in the L2 cache, beside weights: floats of a band; of what planes
 * leave for project; of the blocks that planes work on at once. */
#define BAND_FLOATS  ((int64_t)3 << 15)
#define LEFT_FLOATS  ((int64_t)1 << 18)
#define PLANE_FLOATS ((int64_t)1 << 16)
#define COUNT_LIMIT  ((int64_t)1 << 28)
/* Pixels of a row at least that weights are fetched for. */
#define GRAIN_PIXELS ((int64_t)14)

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* -- what to do -----------------------------------------------------------------------------------
 */

/* Rows of input that n rows of outputs need. */
static int64_t reach(const struct ledge_geometry *g, int64_t n)
{
    return smaller((n - 1) * g->stride[H] + (g->kernel[H] - 1) * g->dilation[H] + 1, g->in[H]);
}

/* The row of inputs behind the last that rows of outputs before `end` need. */
static int64_t reached(const struct ledge_geometry *g, int64_t end)
{
    int64_t window = (g->kernel[H] - 1) * g->dilation[H] + 1;
    return smaller((end - 1) * g->stride[H] - g->pad[H] + window, g->in[H]);
}

/* Floats of a row of all channels before and behind the depthwise convolution. */
static int64_t row_before(const struct ledge_bands *bands)
{
    const struct ledge_blocked_rows *depth = bands->depth;
    return bands->expand != NULL ? depth->blocks * depth->isa->block * depth->g.in[W] : 0;
}

static int64_t row_behind(const struct ledge_bands *bands)
{
    const struct ledge_blocked_rows *depth = bands->depth;
    return bands->project != NULL ? depth->blocks * depth->isa->block * depth->g.out[W] : 0;
}

static int64_t band_floats(const struct ledge_bands *bands, int64_t rows)
{
    return reach(&bands->depth->g, rows) * row_before(bands) + rows * row_behind(bands);
}

/* Blocks of the largest unit. */
static int64_t widest(const struct ledge_blocked_conv *conv)
{
    return (conv->out_blocks + conv->units - 1) / conv->units;
}

LEDGE_COLD static void plan_planes(struct ledge_bands *bands)
{
    const struct ledge_blocked_rows *depth = bands->depth;
    bands->rows = depth->g.out[H];
    bands->ring = depth->g.in[H];
    bands->parts = depth->blocks;
    bands->worker_floats = 0;
    if (bands->expand != NULL) {
        bands->parts = bands->expand->units;
        bands->worker_floats =
            (size_t)(widest(bands->expand) * depth->isa->block * ledge_volume(depth->g.in));
    }
    bands->shared_floats = (size_t)(bands->batch * depth->g.out[H] * row_behind(bands));
}

LEDGE_COLD static void plan_rows(struct ledge_bands *bands, int32_t threads)
{
    const struct ledge_geometry *g = &bands->depth->g;
    int64_t shares = bands->batch < threads ? threads : 1;
    int64_t most = smaller((g->out[H] + shares - 1) / shares, BAND_FLOATS);
    bands->rows = 1;
    while (bands->rows < most && band_floats(bands, bands->rows + 1) <= BAND_FLOATS) {
        bands->rows++;
    }
    int64_t together = (most + bands->rows - 1) / bands->rows;
    bands->rows = (most + together - 1) / together;
    bands->parts = 1;
    if (shares > 1) {
        int64_t grain = smaller((GRAIN_PIXELS + g->out[W] - 1) / g->out[W], bands->rows);
        bands->parts = (g->out[H] + grain - 1) / grain;
    }
    bands->ring = reach(g, bands->rows);
    size_t copy = bands->expand != NULL ? bands->expand->worker_floats : 0;
    bands->worker_floats = (size_t)band_floats(bands, bands->rows) + copy;
    bands->shared_floats = 0;
}

/* Threads that work on planes read what the other made, through memory that they share. Parts of
 * the picture need none of that: better where the rows computed twice are an eighth or less. */
static bool parts_are_better(const struct ledge_bands *bands, int64_t threads)
{
    const struct ledge_geometry *g = &bands->depth->g;
    int64_t window = (g->kernel[H] - 1) * g->dilation[H] + 1;
    int64_t twice = (threads - 1) * larger(window - g->stride[H], 0);
    bool even = g->out[H] % threads == 0 || g->out[H] >= 8 * threads;
    return threads > 1 && bands->batch < threads && even && 8 * twice <= g->in[H];
}

static bool planes_are_better(const struct ledge_bands *bands, int64_t threads)
{
    const struct ledge_blocked_rows *depth = bands->depth;
    int64_t left = depth->g.out[H] * row_behind(bands);
    if (left > LEFT_FLOATS) {
        return false;
    }
    if (bands->expand == NULL) { /* threads share project's weights rather than its rows */
        return threads > 1 && bands->project->by_units;
    }
    return bands->expand->direct &&
           widest(bands->expand) * depth->isa->block * ledge_volume(depth->g.in) <= PLANE_FLOATS &&
           !parts_are_better(bands, threads);
}

LEDGE_COLD bool ledge_bands_plan(struct ledge_bands *bands, int32_t threads, bool force)
{
    const struct ledge_blocked_rows *depth = bands->depth;
    const struct ledge_geometry *g = &depth->g;
    int64_t width = depth->blocks * depth->isa->block;
    if (g->in[H] * g->in[W] >= COUNT_LIMIT / width ||
        g->out[H] * g->out[W] >= COUNT_LIMIT / width ||
        g->batch >= COUNT_LIMIT / (g->out[H] * g->out[W] * depth->isa->block) ||
        g->batch >= COUNT_LIMIT / larger(threads, 1)) {
        return false;
    }
    int64_t all = g->in[H] * row_before(bands) + g->out[H] * row_behind(bands);
    bands->planes = planes_are_better(bands, threads);
    if (bands->planes) {
        plan_planes(bands);
    } else {
        plan_rows(bands, threads);
    }
    return force || all > BAND_FLOATS || (bands->planes && bands->expand != NULL);
}

/* -- the run --------------------------------------------------------------------------------------
 */

struct job {
    const struct ledge_bands *bands;
    const float *x, *packed, *add;
    float *y;
    float *scratch, *shared;
    int64_t next[LEDGE_POOL_MOST]; /* row of outputs that a thread has come to: see rows_span() */
};

/* A picture, and where its rows stand between the convolutions. */
struct place {
    const struct job *job;
    int64_t picture;
    const float *in;         /* of the depthwise convolution: [blocks][ring][width][b] */
    int64_t ring, out_block; /* floats from one of its output blocks to the next */
    float *out;              /* where row out_row of its output block 0 goes */
    int64_t out_row;
    float *copy; /* room for expand's input */
};

/* Rows r0 .. r1 - 1 that follow each other in the ring, of one unit. */
static void expand_unit(const struct place *p, int64_t unit, int64_t r0, int64_t r1, float *to)
{
    const struct ledge_blocked_conv *conv = p->job->bands->expand;
    int64_t block = conv->isa->block, row = conv->g.out[W] * block;
    struct ledge_blocked_tile tile;
    ledge_blocked_conv_tile(conv, p->job->packed, unit, &tile);
    tile.y_block = p->ring * row;
    if (conv->direct) {
        int64_t first = p->picture * conv->in_blocks * tile.x_block;
        tile.x = p->job->x + first + r0 * row;
        tile.y = to;
        ledge_blocked_conv_pixels(conv, &tile, (r1 - r0) * conv->g.out[W]);
        return;
    }
    for (int64_t r = r0; r < r1; r++) {
        tile.x = p->copy + (r - r0) * conv->pitch * (conv->planar ? 1 : block);
        tile.y = to + (r - r0) * row;
        ledge_blocked_conv_pixels(conv, &tile, conv->g.out[W]);
    }
}

/* Rows r0 .. r1 - 1 of units u0 .. u1 - 1, of which u0's stand at `to`. */
static void expand_rows(const struct place *p, int64_t u0, int64_t u1, int64_t r0, int64_t r1,
                        float *to)
{
    const struct ledge_blocked_conv *conv = p->job->bands->expand;
    int64_t row = conv->g.out[W] * conv->isa->block;
    for (int64_t end; r0 < r1; r0 = end) {
        end = smaller(r1, r0 + p->ring - r0 % p->ring);
        if (!conv->direct) {
            struct ledge_blocked_job copy = {.conv = conv, .x = p->job->x};
            end = smaller(end, r0 + conv->band);
            ledge_blocked_conv_copy(&copy, p->picture, r0, end, p->copy);
        }
        float *at = to + r0 % p->ring * row;
        for (int64_t u = u0, blocks; u < u1; u++, at += blocks * p->ring * row) {
            (void)ledge_blocked_unit(conv, u, &blocks);
            expand_unit(p, u, r0, end, at);
        }
    }
}

/* Rows r0 .. r1 - 1 of outputs of blocks b0 .. b1 - 1, of which b0's inputs stand at p->in. */
static void depth_rows(const struct place *p, int64_t b0, int64_t b1, int64_t r0, int64_t r1)
{
    const struct job *job = p->job;
    const struct ledge_blocked_rows *depth = job->bands->depth;
    const struct ledge_geometry *g = &depth->g;
    const float *packed = job->packed + job->bands->depth_at;
    int64_t block = depth->isa->block, row = g->in[W] * block;
    for (int64_t b = b0; b < b1; b++) {
        const float *x = p->in + (b - b0) * p->ring * row;
        if (depth->narrow && p->ring >= g->in[H] && p->out_row == 0) {
            ledge_blocked_depthwise_narrow(depth, packed, b, x, r0, r1, NULL,
                                           p->out + b * p->out_block);
            continue;
        }
        float *y = p->out + b * p->out_block + (r0 - p->out_row) * g->out[W] * block;
        if (!depth->max) {
            ledge_blocked_depthwise_rows(depth, packed, b, x, p->ring, r0, r1, NULL, y);
            continue;
        }
        for (int64_t r = r0; r < r1; r++, y += g->out[W] * block) {
            int64_t at = r * g->stride[H] - g->pad[H];
            ledge_blocked_max_row(depth, x, p->ring, larger(at, 0),
                                  smaller(at + g->kernel[H], g->in[H]), y);
        }
    }
}

/* Rows r0 .. r1 - 1 of all outputs from what stands at p->out. */
static void project_rows(const struct place *p, int64_t r0, int64_t r1)
{
    const struct job *job = p->job;
    const struct ledge_blocked_conv *conv = job->bands->project;
    int64_t width = conv->g.out[W], block = conv->isa->block;
    int64_t volume = ledge_volume(conv->g.out);
    for (int64_t u = 0; u < conv->units; u++) {
        struct ledge_blocked_tile tile;
        ledge_blocked_conv_tile(conv, job->packed + job->bands->project_at, u, &tile);
        int64_t blocks,
            first = p->picture * conv->out_blocks + ledge_blocked_unit(conv, u, &blocks);
        int64_t at = (first * volume + r0 * width) * block;
        tile.x = p->out;
        tile.x_block = p->out_block;
        tile.y = job->y + at;
        tile.add = job->add != NULL ? job->add + at : NULL;
        ledge_blocked_conv_pixels(conv, &tile, (r1 - r0) * width);
    }
}

/* Rows `at` .. last - 1 of a picture from top to bottom; have: the rows of the depthwise
 * convolution's input before this one are there. */
static void rows_of_picture(struct place *p, int64_t at, int64_t last, int64_t have, float *before,
                            float *behind)
{
    const struct job *job = p->job;
    const struct ledge_bands *bands = job->bands;
    const struct ledge_geometry *g = &bands->depth->g;
    int64_t blocks = bands->depth->blocks;
    bool through = bands->project == NULL;
    for (int64_t end; at < last; at = end) {
        end = smaller(last, at + bands->rows);
        int64_t first = at * g->stride[H] - g->pad[H];
        int64_t need = reached(g, end);
        have = larger(have, first);
        if (bands->expand != NULL && have < need) {
            expand_rows(p, 0, bands->expand->units, have, need, before);
            have = need;
        }
        p->out = through ? job->y + p->picture * blocks * p->out_block : behind;
        p->out_row = through ? 0 : at;
        depth_rows(p, 0, blocks, at, end);
        if (!through) {
            project_rows(p, at, end);
        }
    }
}

/* Grains first .. last - 1 of rows. What the ring holds is of use when a thread goes on where it
 * was. */
static void rows_span(void *arg, int32_t first, int32_t last, int32_t worker)
{
    struct job *job = arg;
    const struct ledge_bands *bands = job->bands;
    const struct ledge_geometry *g = &bands->depth->g;
    int64_t blocks = bands->depth->blocks, block = bands->depth->isa->block;
    float *before = job->scratch + (size_t)worker * bands->worker_floats;
    float *behind = before + bands->ring * row_before(bands);
    struct place p = {.job = job, .ring = bands->ring, .in = before};
    p.copy = behind + bands->rows * row_behind(bands);
    p.out_block = (bands->project == NULL ? ledge_volume(g->out) : bands->rows * g->out[W]) * block;
    for (int64_t i = first, end; i < last; i = end) {
        p.picture = i / bands->parts;
        end = smaller(last, (p.picture + 1) * bands->parts);
        int64_t part = i % bands->parts, parts = part + end - i;
        int64_t from = part * g->out[H] / bands->parts, to = parts * g->out[H] / bands->parts;
        if (bands->expand == NULL) {
            p.ring = g->in[H];
            p.in = job->x + p.picture * blocks * ledge_volume(g->in) * block;
        }
        bool goes_on = from > 0 && job->next[worker] == p.picture * g->out[H] + from;
        rows_of_picture(&p, from, to, goes_on ? reached(g, from) : 0, before, behind);
        job->next[worker] = p.picture * g->out[H] + to;
    }
}

/* Expand and depthwise on a unit of channel blocks; without expand a unit is a block. */
static void planes_task(void *arg, int32_t index, int32_t worker)
{
    const struct job *job = arg;
    const struct ledge_bands *bands = job->bands;
    const struct ledge_blocked_rows *depth = bands->depth;
    int64_t picture = index / bands->parts, unit = index % bands->parts;
    int64_t in_block = ledge_volume(depth->g.in) * depth->isa->block;
    int64_t out_block = ledge_volume(depth->g.out) * depth->isa->block;
    float *before = job->scratch + (size_t)worker * bands->worker_floats;
    float *out = bands->project != NULL ? job->shared : job->y;
    struct place p = {.job = job,
                      .picture = picture,
                      .in = before,
                      .ring = bands->ring,
                      .out_block = out_block,
                      .out = out + picture * depth->blocks * out_block};
    int64_t blocks = 1, first = unit;
    if (bands->expand != NULL) {
        expand_rows(&p, unit, unit + 1, 0, depth->g.in[H], before);
        first = ledge_blocked_unit(bands->expand, unit, &blocks);
    } else {
        p.in = job->x + (picture * depth->blocks + unit) * in_block;
    }
    depth_rows(&p, first, first + blocks, 0, depth->g.out[H]);
}

enum ledge_status ledge_bands_run(const struct ledge_kernel_call *call)
{
    const struct ledge_bands *bands = call->params;
    bool add = call->n_in > 1 && call->in[1] != NULL;
    int32_t n = (int32_t)(bands->batch * bands->parts);
    struct job job;
    job.bands = bands;
    job.x = call->in[0]->data;
    job.packed = call->packed;
    job.add = add ? call->in[1]->data : NULL;
    job.y = call->out[0]->data;
    job.shared = call->scratch;
    job.scratch = job.shared + bands->shared_floats;
    for (int32_t i = 0; i < ledge_pool_threads(call->pool); i++) {
        job.next[i] = -1;
    }
    if (bands->planes) {
        ledge_pool_run(call->pool, n, planes_task, &job);
    } else {
        ledge_pool_spans(call->pool, n, rows_span, &job);
    }
    if (bands->planes && bands->project != NULL) {
        struct ledge_blocked_job project = {.conv = bands->project,
                                            .x = job.shared,
                                            .packed = job.packed + bands->project_at,
                                            .add = job.add,
                                            .y = job.y,
                                            .scratch = job.scratch};
        ledge_blocked_conv_all(&project, call->pool);
    }
    return LEDGE_OK;
}
