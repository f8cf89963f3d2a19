/* SPDX-License-Identifier: Apache-2.0 */
/* blocked.h -- f32 kernels on channel-blocked tensors.
 *
 * Flow:    plan/layout.c picks the regions -> ops/blocked.c prepares -> [blocked.h]
 *
 * A blocked tensor is [N][ceil(C/b)][H][W][b]: pixel after pixel of b channels, one vector each. b
 * is the rung's vector width (4 in plain C, 8 for AVX2, 16 for AVX-512). The lanes past C are
 * padding: never read by a convolution, kept apart by everything else.
 *
 * A dense convolution's inner loop broadcasts one input channel of some pixels against up to four
 * vectors of output channels: pixels lie at constant distances, so a tile needs one pointer to its
 * input and one to its weights. 6 pixels x 4 vectors and 9 x 3 read least for what they multiply;
 * where another process shares the core that tells: 14 x 2 is 10 % slower then. Padding and strides
 * are taken away before: the rows that a band of output rows needs are copied to scratch with their
 * zeros, split by stride phase (as spread.h does for planes), or, where rows are short, once for
 * each column of the kernel, so that pixels of several rows follow one another. Sums run over
 * (input block, tap, channel) in the same order whatever the number of threads.
 */
#ifndef LEDGE_ENGINE_KERNELS_BLOCKED_H
#define LEDGE_ENGINE_KERNELS_BLOCKED_H

#include <stdbool.h>

#include "engine/kernels/f32.h"
#include "engine/kernels/pool.h"

/* Output blocks of a tile of planar inputs: the first layer of a network. */
enum { LEDGE_BLOCKED_PLANAR = 2 };

/* Output pixels in a row x output blocks, all input channels. */
struct ledge_blocked_tile {
    const float *x;        /* first pixel, tap 0, input channel 0 */
    const int64_t *tap_at; /* floats */
    int64_t taps;
    int64_t x_block;   /* floats from one input block (planar: channel) to the next */
    int64_t channels;  /* of the input */
    const float *w;    /* [input block][tap][channel][blocks][b] */
    const float *bias; /* NULL: zero */
    const float *add;  /* what the sums are added to, laid out as y, or NULL */
    float *y;
    int64_t y_block; /* floats from one output block to the next */
    int32_t pixels;  /* 1 .. pixels of the table for so many blocks */
    int32_t blocks;  /* 1 .. blocks of the table */
    bool planar;     /* a pixel is one float of a plane, else one vector of a block */
    bool begin;      /* sums begin at bias and addend, else with what is at y */
    /* What memory is asked for meanwhile: at each step a line so many floats behind w, then so many
     * further. */
    uintptr_t ahead, ahead_step;
    float low, high;
};

/* One row of outputs of one channel block of a depthwise convolution. */
struct ledge_blocked_row {
    const float *const
        *rows;       /* kernel_h input rows, pixel 0; a row of zeros when off the picture */
    int64_t in, out; /* widths */
    int64_t kernel_h, kernel_w;
    int64_t stride, dilation, pad; /* along the width */
    const float *w;                /* [kernel_h][kernel_w][b] */
    const float *bias;
    const float *add; /* or NULL */
    float *y;
    float low, high;
};

/* Rows of outputs of a narrow plane of a depthwise convolution with 3 x 3 taps. Along the width:
 * stride 1, as many outputs as inputs, a border of one; or stride 2, a border of none or one. */
enum { LEDGE_BLOCKED_NARROWEST = 3, LEDGE_BLOCKED_NARROW = 7 };
struct ledge_blocked_narrow {
    const float *x;     /* the plane */
    const float *zeros; /* a row of it */
    int64_t in[2];      /* height, width */
    int64_t width;      /* of the output, LEDGE_BLOCKED_NARROWEST .. LEDGE_BLOCKED_NARROW */
    int64_t stride;     /* 1, 2 */
    int64_t pad[2];     /* above, on the left */
    int64_t from, to;   /* rows of outputs */
    const float *w;     /* [3][3][b] */
    const float *bias;
    const float *add; /* laid out as y, or NULL */
    float *y;         /* the plane */
    float low, high;
};

/* A row of outputs of the largest of a window, of which some row and column lie on the picture. */
struct ledge_blocked_max {
    const float *x[2]; /* two runs of input rows, those on the picture: pixel 0 of the first row */
    int64_t n[2];      /* rows of each; the first has some */
    int64_t in, out;   /* widths */
    int64_t kernel, stride, pad; /* along the width */
    float *y;
    float low, high;
};

/* One output pixel of an average: rows x columns vectors of the input. */
struct ledge_blocked_window {
    const float *x;
    int64_t rows, columns;
    int64_t row_step, column_step; /* floats */
    float *y;
    float scale; /* of the sum */
    float low, high;
};

/* Winograd's F(4 x 4, 3 x 3), a row of n tiles: see blocked_winograd.c. */
enum { LEDGE_WINOGRAD_OUT = 4, LEDGE_WINOGRAD_IN = 6, LEDGE_WINOGRAD_POINTS = 36 };

/* Tile t's 36 numbers go to to + point * step + t * b from the 6 x 6 inputs of columns from + 4 t
 * and on: zeros where there are none. */
struct ledge_blocked_wino_in {
    const float *rows[LEDGE_WINOGRAD_IN]; /* column 0; a row of zeros when off the picture */
    int64_t from, columns;
    float *to;
    int64_t step;
    int64_t n;
};

/* Tile t's 4 x 4 outputs from its 36 products at m + point * step + t * b. */
struct ledge_blocked_wino_out {
    const float *m;
    int64_t step;
    const float *bias;
    const float *add; /* laid out as y, or NULL */
    float *y;
    int64_t pitch;         /* floats from one output row to the next */
    int64_t rows, columns; /* outputs that exist: at most 4 rows */
    int64_t n;
    float low, high;
};

/* One output block whose lanes come from n source blocks; lanes from none are zero. */
struct ledge_blocked_mix {
    const float *const *from;
    const int32_t *index; /* [n][b]: lane of the source, -1: not from this one */
    int64_t n;
    int64_t pixels;
    float *y;
};

/* What is done to sums after addend and clamp. */
enum ledge_blocked_function {
    LEDGE_BLOCKED_NONE,
    LEDGE_BLOCKED_HARD_SIGMOID, /* clamp(alpha x + beta, 0, 1) */
    LEDGE_BLOCKED_HARD_SWISH,   /* x clamp(x / 6 + 1 / 2, 0, 1) */
    LEDGE_BLOCKED_SIGMOID,
    LEDGE_BLOCKED_SWISH, /* x sigmoid(x) */
    LEDGE_BLOCKED_LEAKY, /* x < 0: alpha x */
};

struct ledge_blocked_activation {
    enum ledge_blocked_function function;
    float alpha, beta;
};

struct ledge_blocked_kernels {
    enum ledge_rung rung;
    int32_t block;
    const struct ledge_f32_kernels *f32; /* loops on plain tensors, in the same order */
    int32_t blocks;                      /* of a tile, at most */
    int32_t pixels[4];                   /* of a tile of 1 .. blocks blocks, at most */
    void (*tile)(const struct ledge_blocked_tile *tile);
    /* n rows, each from a list that begins `step` entries behind that of the one before. */
    void (*rows)(const struct ledge_blocked_row *first, int64_t n, int64_t step);
    void (*narrow)(const struct ledge_blocked_narrow *plane); /* or NULL */
    void (*max)(const struct ledge_blocked_max *row);
    void (*sum)(const struct ledge_blocked_window *window);
    void (*mix)(const struct ledge_blocked_mix *mix);
    void (*wino_in)(const struct ledge_blocked_wino_in *in);
    void (*wino_out)(const struct ledge_blocked_wino_out *out);
    /* n vectors, `step` floats apart, one after the other. */
    void (*gather)(const float *from, int64_t step, int64_t n, float *to);
    /* to[i] = from[i * step] for n floats; nothing behind the last one is read. */
    void (*every)(const float *from, int64_t step, int64_t n, float *to);
    /* y = f(x) for n vectors; x may be y. */
    void (*activate)(const struct ledge_blocked_activation *a, const float *x, int64_t n, float *y);
    /* y = x * gate for n vectors and one vector of gates; x may be y. */
    void (*gate)(const float *x, const float *gate, int64_t n, float *y);
    const char *conv, *conv_bf16, *winograd, *depthwise, *bands; /* names for reports */
    const char *pool, *activation, *gathering;
};

#define LEDGE_KERNELS_F32(isa, rung)       extern const struct ledge_blocked_kernels ledge_blocked_##isa;
#define LEDGE_KERNELS_WIDE(isa, f32, rung) LEDGE_KERNELS_F32(isa, rung)
#include "engine/kernels/kernels.inc"
#undef LEDGE_KERNELS_WIDE
#undef LEDGE_KERNELS_F32

/* The highest table that may be used; consistent: of those with 16 lanes, which all give the same
 * bytes. */
const struct ledge_blocked_kernels *ledge_blocked_for(enum ledge_rung rung, bool consistent);

/* -- dense convolution: blocked_conv.c. in {x, weights, bias or NULL, addend or NULL} -- */

struct ledge_blocked_conv {
    struct ledge_geometry g; /* layout is that of the weights and of a planar x */
    struct ledge_clamp clamp;
    struct ledge_blocked_activation activation;
    const struct ledge_blocked_kernels *isa;
    bool planar; /* x is a plain tensor of few channels */
    bool direct; /* x is read where it is: 1 x 1, no stride, no padding */
    bool flat;   /* the copy has all rows of a tap in one run */
    const struct ledge_f32_kernels *vector; /* direct, one pixel: a row times a matrix; or NULL */
    int64_t in_blocks, out_blocks;          /* of a group; planar: in_blocks counts channels */
    int64_t units; /* of a group: sets of output blocks that a tile does at once */
    int64_t chunk; /* input blocks whose weights of a unit stay in the L1 cache */
    int64_t *tap_at;
    uint64_t used[2]; /* stride phases that some tap falls into */
    int64_t rows, pitch;
    int64_t plane; /* floats of one input block in scratch */
    bool winograd;
    bool bf16;                /* weights are held so (bf16.h) */
    int64_t tiles[2];         /* Winograd: tiles down and across */
    int64_t v_plane, m_plane; /* floats of one point's inputs and products */
    int64_t band;  /* output rows (direct: pixels, Winograd: rows of tiles) done together at most */
    int64_t grain; /* and at least, where threads end together */
    bool by_units; /* threads share units, else rows */
    size_t worker_floats;
};

/* Dense, 2-D, small enough to count in 32 bits; groups of whole blocks. */
bool ledge_blocked_conv_fits(const struct ledge_geometry *g, int32_t block);
/* Fill the rest of conv, whose g, clamp, isa, planar and bf16 (the wish) are given; tap_at: room
 * for all taps. */
void ledge_blocked_conv_plan(struct ledge_blocked_conv *conv, int32_t threads, int64_t *tap_at);
/* Fill grain from band and by_units: at least `least` rows of a unit where there are threads. */
void ledge_blocked_conv_grain(struct ledge_blocked_conv *conv, int32_t threads, int64_t least);
/* Packed weights, then bias. */
size_t ledge_blocked_conv_floats(const struct ledge_blocked_conv *conv);
/* First output block of a unit, how many it has. */
int64_t ledge_blocked_unit(const struct ledge_blocked_conv *conv, int64_t unit, int64_t *blocks);
void ledge_blocked_conv_pack(const struct ledge_blocked_conv *conv, const void *weights,
                             const float *bias, float *packed);
/* blocked_winograd.c: is it faster for this convolution? Then its own plan, weights and task. */
bool ledge_blocked_winograd_pays(const struct ledge_blocked_conv *conv);
void ledge_blocked_winograd_plan(struct ledge_blocked_conv *conv, int32_t threads);
/* 36 numbers for each pair of channels; returns where the weights end. */
float *ledge_blocked_winograd_pack(const struct ledge_blocked_conv *conv, const void *weights,
                                   float *packed);

/* `pixels` outputs in a row by tiles of about equal size, `step` floats apart in x; the weights
 * behind those of the tile are fetched meanwhile. activation: NULL, or done to the outputs. */
void ledge_blocked_tiles(const struct ledge_blocked_kernels *isa, struct ledge_blocked_tile tile,
                         int64_t pixels, int64_t step,
                         const struct ledge_blocked_activation *activation);

/* One run of either kind. */
struct ledge_blocked_job {
    const struct ledge_blocked_conv *conv;
    const float *x, *packed, *bias, *add;
    float *y;
    float *scratch;                /* worker_floats for each thread */
    int64_t held[LEDGE_POOL_MOST]; /* whose input is in a thread's scratch; -1: none */
};
/* Rows (direct: pixels, Winograd: rows of tiles) r0 .. r1 - 1, at most band of them, of units u0 ..
 * u1 - 1, counted through all groups, from a copy of the input of rows c0 .. c1 - 1. */
struct ledge_blocked_piece {
    int64_t picture, u0, u1, r0, r1, c0, c1;
};
void ledge_blocked_winograd_piece(struct ledge_blocked_job *job,
                                  const struct ledge_blocked_piece *piece, int32_t worker);

/* Parts of a run, for kernels that join several (bands.h): the whole of it; unit number `unit`, x,
 * y and add left to be said; so many pixels of a tile in a row; the input of rows r0 .. r1 - 1 of a
 * convolution that is not direct, at most conv->band of them, one group. */
void ledge_blocked_conv_all(struct ledge_blocked_job *job, struct ledge_pool *pool);
void ledge_blocked_conv_tile(const struct ledge_blocked_conv *conv, const float *packed,
                             int64_t unit, struct ledge_blocked_tile *tile);
void ledge_blocked_conv_pixels(const struct ledge_blocked_conv *conv,
                               const struct ledge_blocked_tile *tile, int64_t pixels);
void ledge_blocked_conv_copy(const struct ledge_blocked_job *job, int64_t picture, int64_t r0,
                             int64_t r1, float *to);

enum ledge_status ledge_blocked_conv_run(const struct ledge_kernel_call *call);

/* -- depthwise convolution and pooling: blocked_rows.c --------------------------------------------
 */

struct ledge_blocked_rows {
    struct ledge_geometry g; /* batch counts channel blocks: batch * ceil(channels / b) */
    struct ledge_clamp clamp;
    struct ledge_blocked_activation activation;
    const struct ledge_blocked_kernels *isa;
    int64_t blocks;     /* of one picture */
    bool narrow;        /* depthwise: planes as in ledge_blocked_narrow */
    const float *zeros; /* one row of the input */
    bool max;           /* pooling: largest, else average */
    bool count_pad;
    int64_t bands;
};

bool ledge_blocked_depthwise_fits(const struct ledge_geometry *g);
size_t ledge_blocked_depthwise_floats(const struct ledge_blocked_rows *rows);
void ledge_blocked_depthwise_pack(const struct ledge_blocked_rows *rows, const void *weights,
                                  const float *bias, float *packed);
void ledge_blocked_rows_plan(struct ledge_blocked_rows *rows, int32_t threads);
/* Rows r0 .. r1 - 1 of outputs of channel block number `block`, to y and on, from a plane of which
 * row 0 stands at x, row `ring` there again, and so on. */
enum { LEDGE_BLOCKED_MAX_KERNEL = 32 };
void ledge_blocked_depthwise_rows(const struct ledge_blocked_rows *rows, const float *packed,
                                  int64_t block, const float *x, int64_t ring, int64_t r0,
                                  int64_t r1, const float *add, float *y);
/* A row of the largest of a window of rows r0 .. r1 - 1 of such a plane. */
void ledge_blocked_max_row(const struct ledge_blocked_rows *rows, const float *x, int64_t ring,
                           int64_t r0, int64_t r1, float *y);
/* Rows from .. to - 1 of the outputs of one plane where rows->narrow; y and add are the plane. */
void ledge_blocked_depthwise_narrow(const struct ledge_blocked_rows *rows, const float *packed,
                                    int64_t block, const float *x, int64_t from, int64_t to,
                                    const float *add, float *y);
enum ledge_status ledge_blocked_depthwise_run(const struct ledge_kernel_call *call);
enum ledge_status ledge_blocked_pool_run(const struct ledge_kernel_call *call);

/* -- single elements: blocked_elements.c ----------------------------------------------------------
 */

struct ledge_blocked_elements {
    struct ledge_blocked_activation activation;
    const struct ledge_blocked_kernels *isa;
    int64_t planes, pixels;
};

/* in {x}, out {f(x)}; in {x, gates of one vector for each plane}, out {x * gate} */
enum ledge_status ledge_blocked_activation_run(const struct ledge_kernel_call *call);
enum ledge_status ledge_blocked_gate_run(const struct ledge_kernel_call *call);

/* -- channels in another order, from several tensors: blocked_gather.c ----------------------------
 */

struct ledge_blocked_source {
    int32_t input;
    int32_t block; /* of that input */
};

/* in {tensors with the same pixels}, out {y}; sources and index rows of output block i are first[i]
 * .. first[i + 1] - 1. */
struct ledge_blocked_gather {
    const struct ledge_blocked_kernels *isa;
    int64_t batch, pixels, blocks;
    const int64_t *in_blocks;
    const int32_t *first;
    const struct ledge_blocked_source *sources;
    const int32_t *index;
    bool joins; /* one picture: the output is all inputs as they stand, one after the other */
};

enum ledge_status ledge_blocked_gather_run(const struct ledge_kernel_call *call);

/* -- borders of a region: blocked_move.c -- */

struct ledge_blocked_move {
    enum ledge_layout layout; /* of the plain tensor */
    int64_t batch, channels, pixels, block;
};

/* in {plain}, out {blocked}; padding lanes are zero. */
enum ledge_status ledge_to_blocked_run(const struct ledge_kernel_call *call);
/* in {blocked}, out {plain} */
enum ledge_status ledge_from_blocked_run(const struct ledge_kernel_call *call);

#endif
