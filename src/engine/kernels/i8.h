/* SPDX-License-Identifier: Apache-2.0 */
/* i8.h -- the vectorised inner loops of exact 8-bit products, one table per instruction set
 * (kernels.inc).
 *
 * Operands come in units of 32 bits: `group` neighbours along k. A group is 4 on VNNI (activations
 * u8, weights i8: vpdpbusd does not saturate) and 2 elsewhere (both i16 with their zero points
 * taken off: vpmaddwd cannot overflow). So sums are exact, modulo 2^32, and the same on every path.
 */
#ifndef LEDGE_ENGINE_KERNELS_I8_H
#define LEDGE_ENGINE_KERNELS_I8_H

#include <stdbool.h>

#include "engine/kernels/quant.h"
#include "engine/kernels/tfl_fixed.h"
#include "engine/port/port.h"
#include "engine/port/select.h"

/* Rows of up to `group` channels, made one row of units: activations as the products want them.
 * Element x of channel c is src[c][x * step]. */
struct ledge_units_i8 {
    const uint8_t *src[4]; /* NULL: no such channel */
    int64_t step;
    int64_t n;
    uint8_t flip; /* 0x80 for i8: read as u8 */
    int32_t zero; /* of the u8 value */
    uint32_t *units;
    int64_t to_step; /* units from one row's unit to the next */
};

/* -- products of rows that are reached by pointers, and depthwise sums: conv_i8.h, depthwise_i8.h
 * --
 *
 * Channels come in vectors. Of `vectors` neighbouring ones, position j * lanes + d holds channel
 * sub * vectors * (d / sub) + sub * j + d % sub (ledge_i8_channel_at()): packing sums to bytes
 * within 128 bits then leaves them in the channels' own order. */

enum {
    LEDGE_I8_VECTORS = 4,
    LEDGE_I8_ROWS = 12,
    LEDGE_I8_WIDE_PIXELS = 8,
    LEDGE_I8_ZIPPED = 37,
    LEDGE_I8_SLICE_ROWS = 32
};

/* What turns sums into bytes. Lists are by position. */
struct ledge_epilogue_i8 {
    const int32_t *offset; /* where sums begin: bias, and what zero points add */
    const float *scale;    /* quant.h; NULL: fixed point, tfl_fixed.h: */
    const int32_t *multiplier, *left, *right;
    bool narrow;             /* proved: |sum| << left, or times the scale, is at most 2^30 */
    int32_t zero, low, high; /* of the result read as u8 */
    uint8_t flip;            /* 0x80: the result is i8 */
};

/* Are results what saturation to a byte leaves, once the zero point is added? */
static inline bool ledge_epilogue_saturates(const struct ledge_epilogue_i8 *e)
{
    return e->narrow && e->low == 0 && e->high == 255 && e->flip == 0;
}

static inline bool ledge_epilogue_is_plain(const struct ledge_epilogue_i8 *e)
{
    return ledge_epilogue_saturates(e) && e->zero == 0;
}

/* Sums of rows of activations with vectors of channels. A row is a list of taps, each of `units`
 * units side by side. */
struct ledge_rows_i8 {
    const uint8_t *const *x; /* [taps][pitch]: of the rows side by side, and of others */
    int64_t pitch, taps, units;
    const uint32_t *w;       /* [taps][units][vectors][lanes] */
    const int32_t *offset;   /* [vectors][lanes] */
    const int32_t *zeros;    /* likewise, or NULL: times the row's sum of activations comes off */
    const int32_t *row_sums; /* [rows], where there are zeros */
    int32_t rows, vectors;
    const uint32_t *ahead; /* brought nearer on the way, 64 bytes for each unit of k */
    int32_t *sums;         /* FILLED: [rows][vectors][lanes] */
    /* Not NULL: results of the rows to its y instead, where the epilogue saturates and nothing
     * comes off or is added; whole tiles of rows_max rows, on instruction sets whose tiles_finish.
     */
    const struct ledge_finish_i8 *finish;
};

struct ledge_sum_i8;

/* Loops that one instruction set has only. */
#if defined(__x86_64__) && !defined(LEDGE_WITHOUT_AVX512VNNI)
#define LEDGE_SLICES 1
#define LEDGE_STRIPS LEDGE_HAS(LEDGE_KERNEL_strips_i8)
#else
#define LEDGE_SLICES 0
#define LEDGE_STRIPS 0
#endif

enum { LEDGE_STRIP_PIXELS = 12, LEDGE_STRIP_VECTORS = 4 };

/* As ledge_rows_i8, of windows over rows of planes that lie in u8, unit after unit `pitch` bytes
 * apart: pixels begin `step` bytes apart, each unit is four bytes side by side. */
struct ledge_strips_i8 {
    const uint8_t *x;
    int64_t pitch, step, units;
    const uint32_t *w;     /* [units][vectors][lanes] */
    const int32_t *offset; /* [vectors][lanes] */
    int64_t n;             /* pixels, at least LEDGE_STRIP_PIXELS */
    int32_t vectors;       /* 1, 2, 4 */
    /* Either of them is FILLED: results to its y, where the epilogue saturates and nothing else is
     * asked for; or NULL, then sums of [n][vectors][lanes]. */
    const struct ledge_finish_i8 *finish;
    int32_t *sums;
};

struct ledge_finish_i8 {
    const struct ledge_epilogue_i8 *epilogue;
    int64_t at;          /* position of the first channel */
    int32_t *sums;       /* [rows][vectors][lanes], used up; room for a multiple of 4 vectors */
    const int32_t *less; /* [rows]: comes off all sums of a row; NULL: nothing */
    int32_t rows, vectors;
    uint8_t *y; /* [rows][n], row stride ldy */
    int64_t ldy;
    int32_t n;
    /* NULL: none. Only where the epilogue has scales, and the sum agrees: the bytes are not stored,
     * but their sum with those of an addend, whose rows lie as those of y, which may be they. */
    const struct ledge_sum_i8 *sum;
    const uint8_t *addend;
    const uint8_t
        *table; /* 256 bytes that results go through, where ledge_i8_looks_up(); or NULL */
};

/* -- products of bytes where there is no exact instruction for them --
 *
 * vpmaddubsw saturates beyond i16. A step takes two units, whose four products that meet in one i16
 * (the first or last two elements of both) fit: neither the positive nor the negative weights among
 * them add up to more than 128, and 255 * 128 fits. Which units go together is each channel's own
 * choice; a unit whose weights are too large by themselves is taken twice, with a part of them
 * each. Units without a partner are the last steps of a channel's part, and named twice: they cost
 * three operations in the place of five.
 *
 * Units come in parts, so that their pixels stay in the L1 cache. */

enum { LEDGE_STEP_PIXELS = 64, LEDGE_PART_UNITS = 128 };

struct ledge_step_i8 {
    uint16_t at[2]; /* the units' places within their part: bytes / 8 */
    uint32_t w[2];  /* four weights each; of a unit alone, the second four are 0 */
};

struct ledge_bytes_i8 {
    const uint8_t *const *x; /* [taps][rows]; at least 4 units behind each */
    int64_t taps, units, rows;
    uint8_t flip;  /* 0x80: they are i8 */
    int32_t block; /* vectors of 8 pixels that go together, 8 at most */
    int64_t parts, part_units;
    const uint8_t *turned;  /* [rows / block / 8][parts][part_units][block][8 pixels] of units */
    const int32_t *offset;  /* [vectors][lanes] */
    const uint32_t *starts; /* [parts][vectors][lanes] and one more: where steps begin and end */
    const struct ledge_step_i8 *steps;
    int64_t room;    /* for steps */
    int32_t vectors; /* 1, 2 */
    /* Either of them is FILLED: results of the rows that are there, by an epilogue that has scales
     * and is narrow; or NULL, then sums of [rows, as blocks][vectors][lanes]. */
    const struct ledge_finish_i8 *finish;
    int32_t *sums;
};

/* Places of a part's units are within this, 8 bytes each; so much is there behind the last part. */
static inline uint32_t ledge_bytes_mask(int32_t block, int64_t part_units)
{
    return UINT32_MAX >> __builtin_clz((uint32_t)(4 * part_units * block - 1));
}

/* Sums of one block of taps_vectors * lanes channels over a window, each channel for itself. */
struct ledge_taps_i8 {
    const uint8_t *const *x; /* [taps]: the first channel under each tap of the first pixel */
    int64_t taps;            /* a multiple of group */
    const int64_t *step;     /* [taps]: bytes to the next pixel */
    const uint32_t *w;       /* [parts][taps / group][vectors][lanes] */
    int32_t parts;           /* 2, 3: weights beyond i8 are the sum of so many */
    const int32_t *offset;
    uint8_t flip;
    int32_t channels; /* that are there */
    int32_t pixels;
    /* More than 0 on an instruction set with wide_columns, for windows of 5 x 5 of one part: x
     * are five rows of the picture, side bytes between their columns (0: a row of padding),
     * outputs are `advance` columns apart, 4 at most, the first one's window starts at column
     * `first`. Columns beyond the picture's `width` read `padding`. LEDGE_I8_WIDE_PIXELS at most;
     * weights are as for taps 8 * column + row. With zipped: 3 x 3 or 5 x 5 of one part, in all
     * LEDGE_I8_ZIPPED columns at most; weights are as for taps 4 or 8 * column + row where group is
     * 4, else those of a column's rows but the last one, then of the next column, in the end those
     * of the last row, and 0. */
    int32_t advance;
    bool wide; /* 5 x 5 */
    int64_t first, width, side[5];
    const uint8_t *padding;
    int32_t *sums; /* FILLED: [pixels][vectors][lanes] */
};

/* Depthwise windows of 3 x 3, rows and columns `stride` apart: results of rows of outputs in slices
 * of 64 bytes side by side. A group of pixels has as many slices as there are blocks: `merged`
 * pixels that fill them, or one pixel, the last of whose slices may have fewer bytes. */
struct ledge_slices_i8 {
    const uint8_t *const *x; /* [(rows - 1) * stride + 3]: rows of inputs; NULL: of padding */
    int64_t in_width, width, channels, pad; /* pixels, of outputs; pad: columns on the left */
    int32_t stride;                         /* 1, 2 */
    int32_t rows;                           /* LEDGE_I8_SLICE_ROWS at most */
    int64_t merged;
    int64_t blocks[2], groups[2]; /* of a row, from .. to - 1: what is to be done */
    const uint32_t *w; /* [blocks][parts][rows of a window][vectors][lanes]: three taps and 0 */
    int32_t parts;     /* 1, 2: as in ledge_taps_i8 */
    const struct ledge_epilogue_i8 *epilogue;
    uint8_t flip, zero; /* zero: what padding reads as, flipped */
    uint8_t *y;         /* [rows][width][channels] */
};

/* -- element-wise: i8_each.tmpl.h -- */

/* An 8-bit operand read as u8 (flip 0x80: it is i8): scale * (x - zero). */
struct ledge_term_i8 {
    float scale;
    int32_t zero;
    uint8_t flip;
};

/* A result read as u8. */
struct ledge_range_i8 {
    int32_t zero, low, high;
    uint8_t flip;
};

/* The same result in fewer steps, right but near a half:
 *   sum      a * x + b * z + constant   of bytes x and z read as u8
 *   product  a * (x - its zero) * (z - its zero) */
struct ledge_near_i8 {
    bool use;
    float a, b, constant;
    float limit;               /* beyond this gap to the next whole number the exact way is taken */
    struct ledge_range_i8 out; /* the clamp of real values in it */
};

/* onnx_quant.c's sum or product. */
struct ledge_binary_i8 {
    struct ledge_term_i8 term[2];
    bool multiply;
    struct ledge_clamp clamp;
    float scale;
    struct ledge_range_i8 out;
    struct ledge_near_i8 near;
};

/* A sum behind an epilogue: QLinearAdd of what that makes (term 0) and of an addend (term 1). */
struct ledge_sum_i8 {
    struct ledge_binary_i8 binary;
    /* The same bytes, where sum_agrees() has shown it: a * own, without its zero point, + b *
     * addend, read as u8, + constant, rounded; then as out says. */
    float a, b, constant;
    struct ledge_epilogue_i8 out; /* zero, low, high, flip */
};

/* tfl_elementwise_c.c's, where no sum is too large: ledge_tfl_binary_is_narrow(). */
struct ledge_fixed_binary_i8 {
    struct ledge_term_i8 term[2];
    bool multiply, subtract;
    struct ledge_tfl_factor factor[2], out_factor;
    struct ledge_range_i8 out;
};

/* The largest of the bytes under `taps` pointers, which all go on from pixel to pixel. */
enum { LEDGE_LARGEST_TAPS = 9 };

struct ledge_largest_i8 {
    const uint8_t *x[LEDGE_LARGEST_TAPS]; /* those behind the taps may be anything that is there */
    int32_t taps;
    int64_t channels, step, n; /* bytes of a pixel, from one to the next, and how many outputs */
    uint8_t flip;
    uint8_t *y; /* FILLED: [n][channels] */
};

struct ledge_i8_kernels {
    enum ledge_rung rung;
    int32_t lanes, group;
    void (*units)(const struct ledge_units_i8 *units);
    /* Rows of n bytes, ld apart, through a table of 256; y may be x. */
    void (*lookup)(const uint8_t *table, const uint8_t *x, uint8_t *y, int64_t rows, int64_t n,
                   int64_t ld);
    /* n neighbours along k of one activation row */
    void (*row)(const uint8_t *src, int64_t n, uint8_t flip, int32_t zero, void *to);
    int32_t sub, taps_vectors;
    bool wide_columns, zipped, tiles_finish, finish_looks_up;
    int32_t rows_max[LEDGE_I8_VECTORS + 1]; /* by vectors; 0: not so many */
    void (*rows)(const struct ledge_rows_i8 *rows);
    void (*finish)(const struct ledge_finish_i8 *finish);
    void (*strips)(const struct ledge_strips_i8 *strips); /* NULL: not on this instruction set */
    /* NULL: finish does no sums, or this build packs none. Are a, b and constant right for own
     * results of low .. high, read as u8? If not, *at: FILLED, one for which they are not. */
    bool (*sum_agrees)(const struct ledge_sum_i8 *sum, const struct ledge_epilogue_i8 *own,
                       int32_t low, int32_t high, int32_t *at);
    /* NULL: not on this instruction set */
    void (*turn)(const struct ledge_bytes_i8 *bytes, uint8_t *turned);
    void (*bytes)(const struct ledge_bytes_i8 *bytes);
    const struct ledge_winograd_loops_i8 *winograd; /* winograd_i8.h; NULL: likewise */
    void (*taps)(const struct ledge_taps_i8 *taps);
    void (*slices)(const struct ledge_slices_i8 *slices); /* NULL: likewise */
    /* Sums of rows, x: [taps][rows], of so many bytes behind each tap; only where group is 4. */
    void (*row_sums)(const uint8_t *const *x, int64_t rows, int64_t taps, int64_t bytes,
                     int32_t *sums);
    void (*binary)(const struct ledge_binary_i8 *p, const uint8_t *a, const uint8_t *b, int64_t n,
                   uint8_t *y);
    void (*fixed_binary)(const struct ledge_fixed_binary_i8 *p, const uint8_t *a, const uint8_t *b,
                         int64_t n, uint8_t *y);
    /* QuantizeLinear with one scale */
    void (*quantize)(const float *x, int64_t n, float scale, const struct ledge_range_i8 *out,
                     uint8_t *y);
    void (*largest)(const struct ledge_largest_i8 *l); /* NULL: not on this instruction set */
    /* sums[c] += x[c] as u8, for pixels that lie step bytes apart */
    void (*add_pixels)(const uint8_t *x, int64_t pixels, int64_t step, int64_t n, uint8_t flip,
                       int32_t *sums);
    const char *conv, *depthwise, *gemm, *binary_name, *quantize_name, *mean, *bands, *table,
        *strips_name, *strip_bands, *max_pool; /* for reports */
};

/* Does finish() take bytes through a table by itself, on this processor? */
static inline bool ledge_i8_looks_up(const struct ledge_i8_kernels *isa)
{
    return isa->finish_looks_up && ledge_port_has_vbmi();
}

void ledge_turn_avx2(const struct ledge_bytes_i8 *b, uint8_t *turned);
void ledge_bytes_avx2(const struct ledge_bytes_i8 *b);

/* Of rungs that multiply quads of bytes: i8_quads.c. */
void ledge_i8_quads_units(const struct ledge_units_i8 *units);
void ledge_i8_quads_row(const uint8_t *src, int64_t n, uint8_t flip, int32_t zero, void *to);

/* Channel at position p of a group of vectors. */
static inline int64_t ledge_i8_channel_at(const struct ledge_i8_kernels *isa, int32_t vectors,
                                          int64_t p)
{
    int64_t j = p / isa->lanes;
    int64_t d = p % isa->lanes;
    return (int64_t)isa->sub * vectors * (d / isa->sub) + isa->sub * j + d % isa->sub;
}

#define LEDGE_KERNELS_I8(isa, rung) extern const struct ledge_i8_kernels ledge_i8_##isa;
#include "engine/kernels/kernels.inc"
#undef LEDGE_KERNELS_I8

/* The highest table that may be used. */
const struct ledge_i8_kernels *ledge_i8_for(enum ledge_rung rung);

#endif
