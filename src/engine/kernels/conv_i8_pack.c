/* SPDX-License-Identifier: Apache-2.0 */
/* conv_i8_pack.c -- weights of conv_i8.h in the order of its loops: see there.
 *
 * A channel's weights are one line of units, tap after tap: conv_i8.h's taps, of several pixels
 * where those touch. Each pixel is filled up to its slots, each tap to whole units. A
 * vector of channels is so many lines side by side (turn.h). A line that stands in the file as it
 * is wanted is read from there, any other one is made piece by piece.
 */
#include <string.h>

#include "engine/kernels/conv_i8.h"
#include "engine/kernels/pair_i8.h"
#include "engine/kernels/turn.h"

enum { MAX_LANES = 16, PIECE = 256 }; /* units of a line that are made at a time */

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* What packing a convolution's weights goes by. */
struct packing {
    const struct ledge_conv_i8 *conv;
    const struct ledge_weights_i8 *weights;
    int64_t channels; /* of a group's input: real elements of a pixel */
    int64_t across;   /* pixels of a tap */
    int64_t per_tap;  /* elements with all that fills it up */
    int64_t units;    /* of a line */
    int64_t real;     /* elements of a line */
    /* in the file, from one tap, pixel and element to the next */
    int64_t tap_step, pixel_step, step;
    bool quads; /* elements are bytes, else words of 16 bits */
    bool keep;  /* zero points stay in, and come off the sums */
    bool as_is; /* but for what is added, lines stand in the file as they are wanted */
};

/* One channel's line: `at` points to its units in the file, or NULL. */
struct line {
    int64_t channel;
    int32_t add; /* to the true weight */
    const uint8_t *at;
    int32_t stored;    /* sum of what is packed */
    int64_t magnitude; /* of the true weights */
};

/* Do all weights without their zero points fit a signed byte? */
static bool fits(const struct ledge_conv_i8 *conv, const struct ledge_weights_i8 *weights)
{
    const struct ledge_geometry *g = &conv->g;
    const int32_t lowest = weights->is_u8 ? 0 : -128;
    for (int64_t o = 0; o < g->out_channels; o++) {
        if (weights->zeros[o] == lowest + 128) {
            continue; /* whatever they are */
        }
        for (int64_t t = 0; t < ledge_volume(g->kernel); t++) {
            for (int64_t c = 0; c < g->in_channels / g->groups; c++) {
                int32_t w = ledge_weight_i8(weights, o, t, c);
                if (w < -128 || w > 127) {
                    return false;
                }
            }
        }
    }
    return true;
}

static struct packing packing_of(const struct ledge_conv_i8 *conv,
                                 const struct ledge_weights_i8 *weights)
{
    const struct ledge_geometry *g = &conv->g;
    const int64_t group = conv->group, taps = ledge_volume(g->kernel);
    struct packing p = {.conv = conv, .weights = weights};
    p.channels = g->in_channels / g->groups;
    p.across = g->kernel[2] / conv->kernel_columns;
    p.per_tap = conv->units * group;
    p.units = conv->taps * conv->units;
    p.quads = group == 4;
    p.real = taps * p.channels;
    p.keep = p.quads && !fits(conv, weights);
    p.pixel_step = weights->tap_step;
    p.step = weights->c_step;
    if (conv->strips) { /* rows of channels are in the place of pixels */
        p.channels = g->kernel[2];
        p.across = g->in_channels;
        p.pixel_step = weights->c_step;
        p.step = weights->tap_step;
    }
    p.tap_step = weights->tap_step * g->kernel[2] / conv->kernel_columns;
    p.as_is = p.quads && !conv->strips && weights->c_step == 1 &&
              p.channels * p.across == p.per_tap && (taps == 1 || weights->tap_step == p.channels);
    return p;
}

static struct line line_of(const struct packing *p, int64_t channel)
{
    const struct ledge_weights_i8 *weights = p->weights;
    struct line line = {.channel = channel};
    if (channel >= 0) {
        int32_t zero = weights->zeros[channel];
        line.add = p->keep ? zero - (weights->is_u8 ? 128 : 0) : 0;
        bool same = p->as_is && line.add == zero && !weights->is_u8;
        line.at = same ? (const uint8_t *)weights->data + channel * weights->channel_step : NULL;
    }
    return line;
}

/* n weights of a channel from one of a tap on, plus delta, as bytes or words. Two loops, so that
 * the compiler makes vectors of the first. */
static void copy_bytes(const uint8_t *restrict from, int64_t step, int64_t n, uint8_t delta,
                       uint8_t *restrict to)
{
    if (step == 1 && delta == 0) {
        memcpy(to, from, (size_t)n);
        return;
    }
    if (step == 1) {
        for (int64_t i = 0; i < n; i++) {
            to[i] = (uint8_t)(from[i] + delta);
        }
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        to[i] = (uint8_t)(from[i * step] + delta);
    }
}

static void copy_words(const uint8_t *restrict from, int64_t step, int64_t n, uint8_t flip,
                       int32_t delta, int16_t *restrict to)
{
    if (step == 1) {
        for (int64_t i = 0; i < n; i++) {
            to[i] = (int16_t)((from[i] ^ flip) + delta);
        }
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        to[i] = (int16_t)((from[i * step] ^ flip) + delta);
    }
}

/* Elements first .. first + n - 1 of a line. */
static void make_piece(const struct packing *p, const struct line *line, int64_t first, int64_t n,
                       void *made)
{
    const struct ledge_weights_i8 *weights = p->weights;
    const uint8_t *from = (const uint8_t *)weights->data + line->channel * weights->channel_step;
    const int32_t delta = line->add - weights->zeros[line->channel];
    const uint8_t flip = weights->is_u8 ? 0 : 0x80; /* i8 is read as u8, 128 too high */
    const size_t width = p->quads ? 1 : 2;
    uint8_t *to = made;
    while (n > 0) {
        const int64_t slots = p->conv->slots, at = first % p->per_tap;
        int64_t pixel = at / slots, c = at % slots;
        int64_t real = c < p->channels && pixel < p->across ? least(p->channels - c, n) : 0;
        int64_t count = least(least(slots - c, p->per_tap - at), n);
        const uint8_t *source =
            from + first / p->per_tap * p->tap_step + pixel * p->pixel_step + c * p->step;
        if (p->quads) {
            copy_bytes(source, p->step, real, (uint8_t)delta, to);
        } else {
            copy_words(source, p->step, real, flip, delta - (flip != 0 ? 128 : 0),
                       (int16_t *)(void *)to);
        }
        memset(to + width * (size_t)real, 0, width * (size_t)(count - real));
        to += width * (size_t)count;
        first += count;
        n -= count;
    }
}

static void add_up(const struct packing *p, struct line *line, const void *piece, int64_t n,
                   bool magnitude)
{
    const int8_t *bytes = piece;
    const int16_t *words = piece;
    int64_t sum = 0;
    for (int64_t i = 0; i < n && magnitude; i++) {
        int32_t w = p->quads ? bytes[i] - line->add : words[i];
        sum += w < 0 ? -w : w;
    }
    line->stored += p->quads ? ledge_sum_bytes(bytes, n) : 0;
    line->magnitude += sum;
}

/* The lines of a vector of channels, side by side. */
static void pack_vector(const struct packing *p, struct line *lines, uint32_t *to, int64_t step,
                        bool magnitude)
{
    const int32_t lanes = p->conv->isa->lanes, group = p->conv->group;
    uint32_t made[MAX_LANES][PIECE];
    for (int64_t first = 0; first < p->units; first += PIECE) {
        int64_t n = least(p->units - first, PIECE);
        const void *rows[MAX_LANES];
        for (int32_t i = 0; i < lanes; i++) {
            rows[i] = lines[i].at != NULL ? lines[i].at + 4 * first : NULL;
            if (lines[i].channel >= 0 && rows[i] == NULL) {
                make_piece(p, &lines[i], first * group, n * group, made[i]);
                rows[i] = made[i];
            }
            if (rows[i] != NULL) {
                add_up(p, &lines[i], rows[i], n * group, magnitude);
            }
        }
        ledge_turn_words(rows, lanes, n, to + first * step, step);
    }
}

/* What stands in the lists for a channel. */
static void list(const struct packing *p, const struct line *line, int64_t at,
                 const struct ledge_lists_i8 *lists)
{
    const struct ledge_conv_i8 *conv = p->conv;
    const struct ledge_weights_i8 *weights = p->weights;
    bool real = line->channel >= 0;
    uint32_t start = real && weights->bias != NULL
                         ? (uint32_t)weights->bias[line->channel * weights->bias_step]
                         : 0;
    lists->channels[at] = (int32_t)line->channel;
    lists->zeros[at] = line->add;
    if (lists->largest != NULL) {
        int64_t bias = (int32_t)start, filled = p->units * conv->group - p->real;
        int64_t add = p->quads && line->add < 0 ? -line->add : line->add;
        lists->largest[at] =
            real ? 255 * (line->magnitude - filled * add) + (bias < 0 ? -bias : bias) : 0;
    }
    if (p->quads) {
        /* sum (x - zx)(w - zw) = sum xw - zw sum x - zx (sum w - K zw) */
        uint32_t k = (uint32_t)p->real;
        start -= (uint32_t)conv->x_zero * ((uint32_t)line->stored - k * (uint32_t)line->add);
    }
    lists->offset[at] = (int32_t)start;
}

/* A panel of channels of a group: vectors side by side. */
static void pack_panel(const struct packing *p, int64_t group, int64_t panel, uint32_t *packed,
                       const struct ledge_lists_i8 *lists)
{
    const struct ledge_conv_i8 *conv = p->conv;
    const int32_t lanes = conv->isa->lanes;
    int64_t first = ledge_conv_i8_panel_at(conv, panel);
    int64_t vectors = ledge_conv_i8_panel_at(conv, panel + 1) - first;
    int64_t out = conv->g.out_channels / conv->g.groups;
    uint32_t *to = packed + (size_t)group * conv->group_units + first * lanes * p->units;
    for (int64_t v = 0; v < vectors; v++) {
        struct line lines[MAX_LANES];
        for (int32_t i = 0; i < lanes; i++) {
            int64_t within = ledge_i8_channel_at(conv->isa, (int32_t)vectors, v * lanes + i);
            int64_t channel = first * lanes + within;
            lines[i] = line_of(p, channel < out ? group * out + channel : -1);
        }
        pack_vector(p, lines, to + v * lanes, vectors * lanes, lists->largest != NULL);
        for (int32_t i = 0; i < lanes; i++) {
            list(p, &lines[i], group * conv->position + (first + v) * lanes + i, lists);
        }
    }
}

/* A pixel of zero points; what fills up a unit is 0. */
static void fill_pixel(const struct ledge_conv_i8 *conv, uint8_t *pixel)
{
    const int32_t zero = conv->bytes ? conv->x_zero ^ conv->flip : conv->x_zero;
    if (conv->patch) {
        memset(pixel, zero, (size_t)(4 * conv->units));
        return;
    }
    for (int64_t group = 0; group < conv->g.groups && conv->group == 4; group++) {
        memset(pixel + group * conv->group_bytes, zero,
               (size_t)(conv->g.in_channels / conv->g.groups));
    }
}

/* -- weights for products of bytes: struct ledge_bytes_i8 -- */

/* The units of a part of a line: FILLED. How many there are. */
static int64_t take_part(const struct packing *p, struct line *line, int64_t part, bool magnitude,
                         uint32_t *units)
{
    const int64_t first = part * p->conv->part_units;
    const int64_t n = least(p->units - first, p->conv->part_units);
    if (line->channel < 0 || n <= 0) {
        return 0;
    }
    if (line->at != NULL) {
        memcpy(units, line->at + 4 * first, (size_t)n * sizeof *units);
    } else {
        make_piece(p, line, 4 * first, 4 * n, units);
    }
    add_up(p, line, units, 4 * n, magnitude);
    return n;
}

/* A panel's steps from number `first` on, part after part: starts is FILLED. The number behind the
 * last one; -1: there is no room. */
static int64_t pack_steps(const struct packing *p, int64_t panel, int64_t first, void *packed,
                          const struct ledge_lists_i8 *lists)
{
    const struct ledge_conv_i8 *conv = p->conv;
    const int64_t at = ledge_conv_i8_panel_at(conv, panel) * conv->isa->lanes;
    const int64_t n = ledge_conv_i8_panel_at(conv, panel + 1) * conv->isa->lanes - at;
    struct ledge_step_i8 *steps = ledge_conv_i8_steps(conv, packed), *to = steps + first;
    uint32_t *starts = ledge_conv_i8_starts(conv, packed) + at * conv->parts;
    struct line lines[2 * MAX_LANES];
    for (int64_t i = 0; i < n; i++) {
        int64_t channel = at + ledge_i8_channel_at(conv->isa, (int32_t)(n / conv->isa->lanes), i);
        lines[i] = line_of(p, channel < conv->g.out_channels ? channel : -1);
    }
    for (int64_t i = 0; i < n * conv->parts; i++) {
        uint32_t units[LEDGE_PART_UNITS];
        int64_t n_units = take_part(p, &lines[i % n], i / n, lists->largest != NULL, units);
        to = ledge_pair_units(units, n_units, 4 * conv->block, to, steps + conv->room);
        if (to == NULL) {
            return -1;
        }
        starts[i + 1] = (uint32_t)(to - steps);
    }
    for (int64_t i = 0; i < n; i++) {
        list(p, &lines[i], at + i, lists);
    }
    return to - steps;
}

/* Steps must take less time than words: in vector operations for 8 outputs, 5 of them against one
 * for each product and for what sums take on their way to bytes. */
static bool pays(const struct packing *p, int64_t steps)
{
    return 5 * steps < p->conv->position * (4 * p->units + 6);
}

static bool pack_as_bytes(const struct packing *p, void *packed, const struct ledge_lists_i8 *lists)
{
    int64_t steps = 0;
    *ledge_conv_i8_starts(p->conv, packed) = 0;
    for (int64_t panel = 0; panel < p->conv->panels && steps >= 0; panel++) {
        steps = pack_steps(p, panel, steps, packed, lists);
    }
    if (steps < 0 || !pays(p, steps)) {
        return false;
    }
    uint8_t *behind = (uint8_t *)(ledge_conv_i8_steps(p->conv, packed) + steps);
    memset(behind, 0, p->conv->packed_bytes - (size_t)(behind - (uint8_t *)packed));
    return true;
}

/* Bytes, if that is the faster way for these weights. */
static bool choose_bytes(const struct ledge_conv_i8 *conv, const struct ledge_weights_i8 *weights,
                         void *packed, const struct ledge_lists_i8 *lists)
{
    struct ledge_conv_i8 other = *conv;
    if (!conv->may_be_bytes) {
        return false;
    }
    ledge_conv_i8_use_bytes(&other);
    const struct packing p = packing_of(&other, weights);
    if (p.keep || !pack_as_bytes(&p, packed, lists)) {
        return false;
    }
    fill_pixel(&other, (uint8_t *)packed + conv->padding_at);
    return true;
}

uint32_t *ledge_conv_i8_starts(const struct ledge_conv_i8 *conv, const void *packed)
{
    (void)conv;
    return (uint32_t *)(void *)(uintptr_t)packed;
}

struct ledge_step_i8 *ledge_conv_i8_steps(const struct ledge_conv_i8 *conv, const void *packed)
{
    return (struct ledge_step_i8 *)(void *)(ledge_conv_i8_starts(conv, packed) +
                                            conv->position * conv->parts + 1);
}

size_t ledge_conv_i8_packed(const struct ledge_conv_i8 *conv)
{
    return conv->packed_bytes;
}

bool ledge_conv_i8_pack(const struct ledge_conv_i8 *conv, const struct ledge_weights_i8 *weights,
                        void *packed, const struct ledge_lists_i8 *lists)
{
    *lists->bytes = choose_bytes(conv, weights, packed, lists);
    if (*lists->bytes) {
        return false;
    }
    const struct packing p = packing_of(conv, weights);
    size_t used = conv->group_units * (size_t)conv->g.groups * sizeof(uint32_t);
    for (int64_t group = 0; group < conv->g.groups; group++) {
        for (int64_t panel = 0; panel < conv->panels; panel++) {
            pack_panel(&p, group, panel, packed, lists);
        }
    }
    memset((uint8_t *)packed + used, 0, ledge_conv_i8_packed(conv) - used);
    fill_pixel(conv, (uint8_t *)packed + conv->padding_at);
    return p.keep;
}
