/* SPDX-License-Identifier: Apache-2.0 */
/* conv_i8_plan.c -- what conv_i8.c goes by: which way a convolution takes, how its pixels, taps and
 * panels are laid out, and how much memory that needs; see conv_i8.h. */
#include "engine/kernels/conv_i8_plan.h"
#include "engine/kernels/winograd_i8.h"

enum {
    CHUNK = 336,
    BYTES_CHUNK = 252,
    TABLE = 4096,
    MAX_GROUPS = 4096,
};

/* Units of activations that are turned at a time: well within the L2 cache. */
enum { TURNED = 65536 };

/* What turns activations reads at a time; behind a copy there is room for it. */
enum { LEAST_UNITS = 4 };

#define COUNT_LIMIT ((int64_t)1 << 30)

static int64_t reach(const struct ledge_geometry *g, int d)
{
    return (g->out[d] - 1) * g->stride[d] + (g->kernel[d] - 1) * g->dilation[d] + 1;
}

LEDGE_COLD bool ledge_conv_i8_is_fast(const struct ledge_geometry *g)
{
    if (g->in[0] != 1 || g->kernel[0] != 1 || g->out[0] != 1 || ledge_volume(g->out) < 1 ||
        per_group(g) < 1 || g->in[H] < 1 || g->in[W] < 1 || g->kernel[H] > 4096 ||
        g->kernel[W] > 4096) {
        return false;
    }
    /* Lists have room for whole vectors of channels in each group. */
    if (g->groups > MAX_GROUPS) {
        return false;
    }
    /* Padding that dwarfs the picture is not worth a copy of it. */
    return reach(g, H) <= 4 * g->in[H] + 256 && reach(g, W) <= 4 * g->in[W] + 256 &&
           g->batch * ledge_volume(g->out) < COUNT_LIMIT && g->out_channels < COUNT_LIMIT &&
           ledge_volume(g->kernel) * per_group(g) < COUNT_LIMIT / 256;
}

static size_t summed_bytes(const struct ledge_conv_i8 *conv)
{
    return align((size_t)(turned_rows(conv) * 2 * conv->isa->lanes) * sizeof(int32_t));
}

/* 1 x 1 windows that touch every pixel once: all pictures are one long row. */
static void flatten(struct ledge_geometry *g)
{
    bool plain = ledge_volume(g->kernel) == 1;
    for (int d = H; d <= W; d++) {
        plain = plain && g->stride[d] == 1 && g->pad[d] == 0 && g->in[d] == g->out[d];
    }
    if (plain) {
        g->in[W] = g->out[W] = g->batch * g->out[H] * g->out[W];
        g->in[H] = g->out[H] = 1;
        g->batch = 1;
    }
}

/* Are the pixels under taps side by side neighbours in memory? */
static bool rows_touch(const struct ledge_geometry *g)
{
    return g->groups == 1 && g->dilation[W] == 1;
}

static int64_t chunk_of(int64_t taps)
{
    int64_t chunk = TABLE / taps / CHUNK_STEP * CHUNK_STEP;
    return chunk > CHUNK ? CHUNK : chunk > CHUNK_STEP ? chunk : CHUNK_STEP;
}

/* Of a chunk nothing is left over by tiles of any panel, if it is not too short for that. */
static int64_t whole_chunk(const struct ledge_conv_i8 *conv)
{
    const int32_t *most = conv->isa->rows_max + conv->least_vectors;
    const int64_t chunk = chunk_of(conv->taps), tile = most[0];
    int64_t step = tile;
    while (conv->vectors % conv->panels != 0 && step % most[1] != 0) {
        step += tile;
    }
    return chunk > step ? chunk / step * step : chunk;
}

/* Must bytes be read as u8 before the loop? (What turns them for it does that on its way.) */
static bool flips_first(const struct ledge_conv_i8 *conv)
{
    return conv->flip != 0 && !conv->bytes;
}

/* Can the picture be read where it lies, taps side by side as one? Then: which windows lie within
 * their rows, with what fills up their last unit, and room for the others of a chunk, which must
 * not be more than a copy of the picture. */
LEDGE_COLD static bool plan_patches(struct ledge_conv_i8 *conv)
{
    const struct ledge_geometry *g = &conv->g;
    if (conv->group != 4 || flips_first(conv) || conv->planes || !rows_touch(g)) {
        return false;
    }
    int64_t bytes = 4 * ceil_div(g->kernel[W] * g->in_channels, 4);
    int64_t room = g->in[W] * g->in_channels - bytes;
    int64_t first = ceil_div(g->pad[W], g->stride[W]);
    int64_t stop = room < 0 ? 0 : (room / g->in_channels + g->pad[W]) / g->stride[W] + 1;
    conv->first = first < g->out[W] ? first : g->out[W];
    conv->stop = stop < g->out[W] ? stop : g->out[W];
    conv->stop = conv->stop > conv->first ? conv->stop : conv->first;
    conv->edges = g->out[W] - (conv->stop - conv->first);
    int64_t rows = (chunk_of(g->kernel[H]) - 1) / g->out[W] + 2;
    rows = rows < g->out[H] ? rows : g->out[H];
    rows = (rows - 1) * g->stride[H] + (g->kernel[H] - 1) * g->dilation[H] + 1;
    rows = rows < g->in[H] ? rows : g->in[H];
    double most = (double)reach(g, H) * (double)reach(g, W) * (double)g->in_channels;
    double need = (double)rows * (double)conv->edges * (double)bytes;
    if (need > most || need > 0x1p40) { /* sizes of a file may be anything */
        return false;
    }
    conv->patch_bytes = align((size_t)(rows * conv->edges * bytes));
    return true;
}

/* Pixels by blocks of like size, units by parts of like size; whole blocks in a chunk. */
static void divide_blocks(struct ledge_conv_i8 *conv)
{
    const int64_t units = conv->taps * conv->units;
    int64_t vectors = ceil_div(ledge_volume(conv->g.out), 8);
    conv->block = (int32_t)ceil_div(vectors, ceil_div(vectors, LEDGE_STEP_PIXELS / 8));
    conv->parts = ceil_div(units, LEDGE_PART_UNITS);
    conv->part_units = ceil_div(units, conv->parts);
    const int64_t pixels = block_pixels(conv);
    int64_t most = conv->chunk < BYTES_CHUNK ? conv->chunk : BYTES_CHUNK;
    int64_t chunk = TURNED / units / pixels * pixels;
    most = most / pixels * pixels;
    chunk = chunk < most ? chunk : most;
    conv->chunk = chunk > pixels ? chunk : pixels;
}

/* Vectors of a panel read so: four, if they are all such; else two, and one that is left. */
static bool has_strips(int64_t vectors)
{
    return vectors % 4 == 0 ? LEDGE_HAS(LEDGE_KERNEL_strips_4)
                            : vectors % 2 == 0 || LEDGE_HAS(LEDGE_KERNEL_strips_1);
}

/* A network's first layer: may its windows be read from rows of planes? */
static bool takes_strips(const struct ledge_conv_i8 *conv)
{
    const struct ledge_geometry *g = &conv->g;
    return LEDGE_STRIPS && conv->isa->strips != NULL && (conv->planes || g->in_channels == 1) &&
           has_strips(ceil_div(g->out_channels, conv->isa->lanes)) && g->in_channels <= 4 &&
           g->groups == 1 && g->dilation[H] == 1 && g->dilation[W] == 1 && g->kernel[W] > 1 &&
           g->kernel[W] <= 8 && g->out[W] >= LEDGE_STRIP_PIXELS;
}

/* What differs then: four columns of a channel's row are a unit, and chunks are rows of outputs. */
LEDGE_COLD static void lay_out_strips(struct ledge_conv_i8 *conv)
{
    const struct ledge_geometry *g = &conv->g;
    conv->columns = (g->out[W] - 1) * g->stride[W] + 4;
    conv->slots = 4 * ceil_div(g->kernel[W], 4);
    conv->units = g->in_channels * conv->slots / 4;
    conv->pixel_bytes = conv->group_bytes = conv->units; /* of copied rows */
    conv->panels = ceil_div(conv->vectors, conv->vectors % 4 == 0 ? 4 : 2);
    conv->least_vectors = conv->vectors / conv->panels;
    conv->group_units = (size_t)(conv->position * conv->taps * conv->units);
    conv->chunk = g->out[W];
    conv->copy_bytes = align((size_t)(conv->rows * conv->columns * conv->pixel_bytes));
    conv->worker_bytes = align((size_t)conv->chunk * sizeof(int32_t));
}

/* Everything that follows from conv->group and conv->bytes. */
LEDGE_COLD static void lay_out(struct ledge_conv_i8 *conv)
{
    struct ledge_geometry *g = &conv->g;
    const struct ledge_i8_kernels *isa = conv->isa;
    int64_t channels = per_group(g), group = conv->group;
    int64_t units = ceil_div(channels, group);
    conv->strips = takes_strips(conv);
    conv->patch = !conv->strips && plan_patches(conv);
    conv->copy =
        !conv->patch && (group != 4 || flips_first(conv) || conv->planes || channels % 4 != 0);
    conv->rows = conv->copy ? reach(g, H) : g->in[H];
    conv->columns = conv->copy ? reach(g, W) : g->in[W];
    conv->slots = conv->copy ? units * group : channels;
    conv->group_bytes = conv->copy ? 4 * units : channels;
    conv->pixel_bytes = conv->group_bytes * g->groups;
    conv->row_step = g->dilation[H];
    conv->column_step = g->dilation[W];
    conv->kernel_columns = g->kernel[W];
    conv->tap_bytes = conv->group_bytes;
    if ((conv->copy || conv->patch) && rows_touch(g)) {
        conv->tap_bytes *= g->kernel[W];
        conv->kernel_columns = 1;
    }
    units = ceil_div(conv->tap_bytes, 4);
    units = conv->bytes && units < LEAST_UNITS ? LEAST_UNITS : units;
    conv->taps = g->kernel[H] * conv->kernel_columns;
    conv->units = units;
    int64_t most = 0;
    while (most < LEDGE_I8_VECTORS && isa->rows_max[most + 1] > 0) {
        most++;
    }
    conv->vectors = ceil_div(g->out_channels / g->groups, isa->lanes);
    conv->panels = ceil_div(conv->vectors, most);
    conv->least_vectors = conv->vectors / conv->panels;
    conv->position = conv->vectors * isa->lanes;
    conv->group_units = (size_t)(conv->position * conv->taps * units);
    conv->chunk = whole_chunk(conv);
    if (conv->bytes) {
        divide_blocks(conv);
    }
    conv->copy_bytes =
        conv->copy ? align((size_t)(conv->rows * conv->columns * conv->pixel_bytes)) : 0;
    conv->worker_bytes = align((size_t)(conv->chunk * conv->taps) * sizeof(uint8_t *)) +
                         align((size_t)conv->chunk * sizeof(int32_t)) +
                         (conv->patch ? conv->patch_bytes : 0);
    if (conv->bytes) {
        conv->worker_bytes += turned_bytes(conv) + summed_bytes(conv);
    }
    if (conv->strips) {
        lay_out_strips(conv);
    }
}

/* A picture's three colours: copied as quads of bytes, where there are taps side by side. */
static bool takes_quads(const struct ledge_geometry *g)
{
    return g->in_channels == 3 && g->kernel[W] > 1 && g->dilation[W] == 1;
}

/* Is there a loop for bytes that the weights may turn out to suit? Short sums and few pixels do not
 * pay for what their rest costs. */
static bool may_be_bytes(const struct ledge_conv_i8 *conv)
{
    const struct ledge_geometry *g = &conv->g;
    int64_t k = ledge_volume(g->kernel) * g->in_channels;
    const bool units = (g->in_channels % 4 == 0 && !conv->planes) || takes_quads(g);
    return conv->isa->bytes != NULL && units && g->groups == 1 && k >= 16 && k <= UINT16_MAX &&
           g->kernel[H] * g->kernel[W] <= 64 && ledge_volume(g->out) >= 16;
}

LEDGE_COLD void ledge_conv_i8_use_bytes(struct ledge_conv_i8 *conv)
{
    size_t worker = conv->worker_bytes;
    conv->group = 4;
    conv->bytes = true;
    lay_out(conv);
    conv->room = conv->position * (4 * conv->taps * conv->units / 6 + 2);
    conv->worker_bytes = worker > conv->worker_bytes ? worker : conv->worker_bytes;
}

/* Behind the weights of all groups stands padding: one pixel, or as much as a tap reads. */
static size_t padding_bytes(const struct ledge_conv_i8 *conv)
{
    return (size_t)(conv->patch ? 4 * conv->units : conv->pixel_bytes);
}

LEDGE_COLD void ledge_conv_i8_plan(struct ledge_conv_i8 *conv, enum ledge_rung rung,
                                   int32_t threads)
{
    if (!conv->planes) {
        flatten(&conv->g);
    }
    conv->isa = ledge_i8_for(rung);
    conv->group = conv->isa->group;
    conv->threads = threads > 1 ? threads : 1;
    conv->ldy = conv->g.out_channels;
    lay_out(conv);
    conv->may_be_winograd = LEDGE_HAS(LEDGE_KERNEL_winograd_i8) && ledge_winograd_i8_plan(conv);
    if (!conv->may_be_winograd && may_be_bytes(conv)) {
        struct ledge_conv_i8 other = *conv;
        ledge_conv_i8_use_bytes(&other);
        conv->may_be_bytes = other.copy || other.tap_bytes >= 4 * LEAST_UNITS;
    }
    size_t padding = padding_bytes(conv);
    size_t weights = conv->group_units * (size_t)conv->g.groups * sizeof(uint32_t);
    if (conv->may_be_bytes) {
        struct ledge_conv_i8 other = *conv;
        ledge_conv_i8_use_bytes(&other);
        size_t end = (size_t)(other.position * other.parts + 1) * sizeof(uint32_t) +
                     (size_t)other.room * sizeof(struct ledge_step_i8);
        weights = end > weights ? end : weights;
        padding = padding > padding_bytes(&other) ? padding : padding_bytes(&other);
        conv->worker_bytes = other.worker_bytes;
    }
    if (LEDGE_HAS(LEDGE_KERNEL_winograd_i8) && conv->may_be_winograd) {
        size_t bytes = ledge_winograd_i8_packed(conv);
        weights = bytes > weights ? bytes : weights;
    }
    conv->padding_at = align(weights);
    conv->packed_bytes = conv->padding_at + align(padding);
}

int64_t ledge_conv_i8_positions(const struct ledge_conv_i8 *conv)
{
    return conv->position * conv->g.groups;
}

LEDGE_COLD size_t ledge_conv_i8_scratch(const struct ledge_conv_i8 *conv)
{
    size_t bytes = conv->copy_bytes + (size_t)conv->threads * conv->worker_bytes;
    size_t winograd = LEDGE_HAS(LEDGE_KERNEL_winograd_i8) && conv->may_be_winograd
                          ? ledge_winograd_i8_scratch(conv)
                          : 0;
    return winograd > bytes ? winograd : bytes;
}
