/* SPDX-License-Identifier: Apache-2.0 */
/* conv_i8.h -- convolutions of 8-bit NHWC pictures with constant weights, exact on every rung;
 * behind QLinearConv, ConvInteger, QLinearMatMul, MatMulInteger, QGemm and TFLite's Conv2D,
 * DepthwiseConv2D and FullyConnected alike. They differ in the epilogue only.
 *
 * Flow:    operator's prepare: _plan, _pack -> run: ledge_conv_i8, ledge_depthwise_i8
 * Design:  A row of the product is an output pixel: a list of pointers to the pixels under its
 * taps, so windows, strides and padding cost nothing in the inner loop. Taps side by side whose
 * pixels touch are one tap. The picture is read where it lies when its bytes already are what the
 * loop wants (VNNI, u8); windows that reach beyond a row then are patched together in scratch. Else
 * all of it is copied once into scratch, with its padding, as units of 32 bits (i8.h). Memory:
 * packed weights and lists are the caller's; scratch as told by _scratch. Threads: parts are
 * disjoint outputs; sums are integers: any number of threads gives the same bytes.
 */
#ifndef LEDGE_ENGINE_KERNELS_CONV_I8_H
#define LEDGE_ENGINE_KERNELS_CONV_I8_H

#include "base/status.h"
#include "engine/kernels/i8.h"
#include "engine/port/select.h"

/* Constant weights as the file has them: element (channel, tap, c of the group) is
 * data[channel * channel_step + tap * tap_step + c * c_step]. */
struct ledge_weights_i8 {
    const void *data;
    bool is_u8;
    int64_t channel_step, tap_step, c_step;
    const int32_t *zeros; /* one per channel */
    const int32_t *bias;  /* or NULL */
    int64_t bias_step;    /* 1, or 0: one for all */
};

/* The params of a call; its input number `input` is the picture. */
struct ledge_conv_i8 {
    const void *judge; /* params of the operator's plain kernel, or NULL: only tests look at them */
    struct ledge_geometry g; /* NHWC, depth 1 */
    int32_t input;
    int32_t table; /* input through which all results go in the end, 256 bytes; 0: none */
    /* input that is added to the results before, and how; 0: none. Its bytes lie as the output's,
     * whose memory it may be. */
    int32_t addend;
    struct ledge_sum_i8 sum;
    bool sum_agrees;
    int64_t ldy; /* bytes from one output pixel to the next: g.out_channels, or plan/rows.c's */
    const struct ledge_i8_kernels *isa;
    int32_t threads;
    bool planes;    /* the picture is NCHW all the same */
    uint8_t flip;   /* 0x80: activations are i8 */
    int32_t x_zero; /* of the activation read as u8 */
    struct ledge_epilogue_i8 epilogue;
    /* Sums that do not become bytes of an NHWC picture are stored one by one. */
    bool single;
    bool out_planes;           /* then: of an NCHW output */
    enum ledge_dtype out;      /* u8, i8: requantised; i32: as they are; f32: times the scale */
    struct ledge_qrange range; /* of u8 and i8 */
    struct ledge_clamp clamp;  /* of f32 */
    const int32_t *zeros;      /* by position; NULL when none matters */
    bool one_zero;             /* all of them are zeros[0] */
    /* worked out by ledge_conv_i8_plan() */
    int32_t group;                  /* channels of a unit */
    bool may_be_bytes, bytes;       /* is struct ledge_bytes_i8 the way? Packing decides */
    bool may_be_winograd, winograd; /* is winograd_i8.h? Likewise */
    /* Rows of planes are copied as they are, with their padding, those of all channels that stand
     * at one height together: conv_i8_strips.h. */
    bool strips;
    bool copy;
    bool patch;                       /* not copied, and taps side by side are one */
    int64_t first, stop;              /* patch: windows of these columns lie within their rows */
    int64_t edges;                    /* other windows of a row */
    size_t patch_bytes;               /* all of them that a chunk needs */
    int64_t taps, units;              /* pointers of a pixel; units behind each */
    int64_t tap_bytes;                /* behind each, without what fills up the last unit */
    int64_t slots;                    /* room for so many channels in a pixel of a tap */
    int64_t rows, columns;            /* of the picture as it is read, padding included if copied */
    int64_t pixel_bytes, group_bytes; /* likewise */
    int64_t row_step, column_step;    /* pixels between taps */
    int64_t kernel_columns;           /* taps side by side that have a pointer each */
    int64_t panels, vectors, position; /* of one group; positions = vectors * lanes */
    int64_t least_vectors;             /* of a panel: the others have one more */
    int64_t chunk;                     /* output pixels that share a table of pointers */
    size_t group_units;                /* of packed weights */
    size_t padding_at, packed_bytes;   /* behind them stands one pixel of padding */
    /* where bytes is the way: see struct ledge_bytes_i8; room for so many steps */
    int32_t block;
    int64_t parts, part_units, room;
    size_t copy_bytes, worker_bytes;
};

/* Can the vectors' way be taken? (Else: the judge.) */
bool ledge_conv_i8_is_fast(const struct ledge_geometry *g);

/* g, planes, flip, x_zero are given. */
void ledge_conv_i8_plan(struct ledge_conv_i8 *conv, enum ledge_rung rung, int32_t threads);

/* Positions of all groups: the length of every list of the epilogue. */
int64_t ledge_conv_i8_positions(const struct ledge_conv_i8 *conv);

size_t ledge_conv_i8_packed(const struct ledge_conv_i8 *conv); /* bytes */
size_t ledge_conv_i8_scratch(const struct ledge_conv_i8 *conv);

/* Lists by position, FILLED by packing. */
struct ledge_lists_i8 {
    int32_t *offset, *zeros;
    int32_t *channels; /* output channel, -1: none */
    int64_t *largest;  /* bound of the magnitude of every sum, or NULL */
    bool *bytes;       /* weights are packed for ledge_conv_i8_use_bytes() */
};

/* Every byte of packed is FILLED (conv_i8_pack.c); true when zeros matter. */
bool ledge_conv_i8_pack(const struct ledge_conv_i8 *conv, const struct ledge_weights_i8 *weights,
                        void *packed, const struct ledge_lists_i8 *lists);

/* Takes the way that packing chose; only where it may_be_bytes. */
void ledge_conv_i8_use_bytes(struct ledge_conv_i8 *conv);

/* The first vector of a panel of a group. */
static inline int64_t ledge_conv_i8_panel_at(const struct ledge_conv_i8 *conv, int64_t panel)
{
    int64_t rest = conv->vectors - conv->panels * conv->least_vectors;
    return panel * conv->least_vectors +
           (rest > 0 ? (panel * rest + conv->panels / 2) / conv->panels : 0);
}

/* What threads share where panels are odd in number: the middle one is two grains, its pixels
 * before some place and those behind. Grains of a piece that are done together: panels first ..
 * last - 1, all their pixels or those before or behind the place. */
struct ledge_panels_i8 {
    int64_t grains, first, last;
    bool before, behind;
};

/* n grains from number k on; middle: the panel that is two, more than there are for none. */
static inline struct ledge_panels_i8 ledge_conv_i8_panels(int64_t k, int64_t n, int64_t middle)
{
    struct ledge_panels_i8 p = {.grains = n, .behind = k == middle + 1};
    if (p.behind) {
        p.grains = 1;
    } else if (k < middle && k + n == middle + 1) {
        p.grains = n - 1;
    }
    p.before = k == middle && p.grains == 1;
    p.first = k - (k > middle);
    p.last = k + p.grains - (k + p.grains > middle + 1);
    return p;
}

/* For packing: where bytes is the way, what stands in the place of weights. */
uint32_t *ledge_conv_i8_starts(const struct ledge_conv_i8 *conv, const void *packed);
struct ledge_step_i8 *ledge_conv_i8_steps(const struct ledge_conv_i8 *conv, const void *packed);

enum ledge_status ledge_conv_i8(const struct ledge_kernel_call *call);

/* Where sums go: a picture of outputs, from pixel number `first` on. */
struct ledge_results_i8 {
    const struct ledge_conv_i8 *conv;
    const uint8_t *table, *addend;
    bool looks_up; /* finish does it */
    uint8_t *y;
    int64_t first;
};

struct ledge_results_i8 ledge_conv_i8_results(const struct ledge_kernel_call *call); /* but y */
void ledge_conv_i8_next(struct ledge_results_i8 *to, enum ledge_dtype dtype); /* next picture */
/* Sums become results; f tells of the rows that are there, the first one is pixel number `pixel`
 * of the picture. */
void ledge_conv_i8_finish(const struct ledge_results_i8 *to, struct ledge_finish_i8 *f,
                          int64_t pixel, int64_t channel);

/* Rows of n results at y through the table, if there is one and finish does not do it. */
void ledge_conv_i8_look_up(const struct ledge_results_i8 *to, uint8_t *y, int64_t rows, int64_t n);

/* Can whole tiles store their results by themselves? */
static inline bool ledge_conv_i8_tiles_finish(const struct ledge_conv_i8 *conv)
{
    return LEDGE_HAS(LEDGE_KERNEL_plain_i8) && conv->isa->tiles_finish && !conv->single &&
           conv->zeros == NULL && conv->addend == 0 && conv->table == 0 &&
           conv->epilogue.scale != NULL && ledge_epilogue_saturates(&conv->epilogue);
}

/* Has this build the loops for what packing decided? Errors: ERR_UNSUPPORTED. */
static inline enum ledge_status ledge_conv_i8_check(const struct ledge_conv_i8 *conv,
                                                    struct ledge_error *err)
{
    return LEDGE_HAS(LEDGE_KERNEL_binary_i8) || conv->addend == 0 || conv->sum_agrees
               ? LEDGE_OK
               : ledge_fail(err, LEDGE_ERR_UNSUPPORTED, "this build has no kernel binary_i8");
}

/* A part of that, for kernels that join convolutions (bands_i8.h). call: params, packed and the
 * list of inputs are read. Of one group, its results are bytes of an NHWC picture. */
bool ledge_conv_i8_is_flat(const struct ledge_conv_i8 *conv); /* pixel by pixel */
/* Bytes of scratch for `rows` rows of outputs of that width. */
size_t ledge_conv_i8_part_scratch(const struct ledge_conv_i8 *conv, int64_t rows, int64_t width);
/* n pixels of outputs, from number at on, whose first one goes to y; their channels of panels
 * p0 .. p1 - 1. x: the picture; of a flat one pixel number `at`, counted over all pictures. */
void ledge_conv_i8_part(const struct ledge_kernel_call *call, const uint8_t *x, int64_t at,
                        int64_t n, int64_t p0, int64_t p1, uint8_t *y, uint8_t *scratch);
/* All channels. */
static inline void ledge_conv_i8_pixels(const struct ledge_kernel_call *call, const uint8_t *x,
                                        int64_t at, int64_t n, uint8_t *y, uint8_t *scratch)
{
    const struct ledge_conv_i8 *conv = call->params;
    ledge_conv_i8_part(call, x, at, n, 0, conv->panels, y, scratch);
}

/* -- depthwise: as many outputs as inputs, each channel for itself -- */

struct ledge_depthwise_i8 {
    const void *judge;       /* as in ledge_conv_i8 */
    struct ledge_geometry g; /* NHWC, depth 1 */
    int32_t input;
    int32_t table; /* likewise */
    const struct ledge_i8_kernels *isa;
    int32_t threads;
    uint8_t flip;
    int32_t x_zero;
    struct ledge_epilogue_i8 epilogue;
    int64_t taps; /* rounded up to whole groups */
    int64_t blocks;
    int32_t parts;              /* of a weight: ledge_taps_i8 */
    bool columns, wide, zipped; /* likewise */
    bool slices;                /* ledge_slices_i8 is the way */
    int64_t merged; /* neighbouring pixels in one block, of slices in all blocks together */
    /* Not of slices: outputs of a row from `first` to before `stop` have all their columns on the
     * picture; so many at most go together, times `merged`. */
    int64_t first, stop, most;
};

bool ledge_depthwise_i8_is_fast(const struct ledge_geometry *g);
/* g, flip, x_zero are given. */
void ledge_depthwise_i8_plan(struct ledge_depthwise_i8 *dw, const struct ledge_weights_i8 *weights,
                             enum ledge_rung rung, int32_t threads);
int64_t ledge_depthwise_i8_positions(const struct ledge_depthwise_i8 *dw);
size_t ledge_depthwise_i8_packed(const struct ledge_depthwise_i8 *dw); /* bytes */
void ledge_depthwise_i8_pack(const struct ledge_depthwise_i8 *dw,
                             const struct ledge_weights_i8 *weights, void *packed,
                             const struct ledge_lists_i8 *lists);
enum ledge_status ledge_depthwise_i8(const struct ledge_kernel_call *call);

/* Which loops it runs by: bits that are words of LEDGE_OPS, kernel:taps_any and so on. */
enum { LEDGE_TAPS_ANY = 1, LEDGE_TAPS_PARTS = 2, LEDGE_TAPS_5 = 4, LEDGE_TAPS_ALL = 7 };
static inline uint32_t ledge_depthwise_i8_loops(const struct ledge_depthwise_i8 *dw)
{
    if (dw->slices) {
        return dw->parts > 1 ? LEDGE_TAPS_PARTS : 0u;
    }
    return !dw->columns ? LEDGE_TAPS_ANY : dw->wide ? LEDGE_TAPS_5 : 0u;
}

/* Rows r0 .. r1 - 1 of one picture's outputs to y, for kernels that join convolutions; row r of
 * inputs stands at row r % ring of x. call: params, packed and the list of inputs are read. */
void ledge_depthwise_i8_rows(const struct ledge_kernel_call *call, const uint8_t *x, int64_t ring,
                             int64_t r0, int64_t r1, uint8_t *y);
/* Their channels of blocks b0 .. b1 - 1: of slices only, all blocks where there is a table. */
void ledge_depthwise_i8_blocks(const struct ledge_kernel_call *call, const uint8_t *x, int64_t ring,
                               int64_t r0, int64_t r1, int64_t b0, int64_t b1, uint8_t *y);

/* Weight without its zero point, -255 .. 255. */
static inline int32_t ledge_weight_i8(const struct ledge_weights_i8 *w, int64_t channel,
                                      int64_t tap, int64_t c)
{
    int64_t at = channel * w->channel_step + tap * w->tap_step + c * w->c_step;
    int32_t q = w->is_u8 ? ((const uint8_t *)w->data)[at] : ((const int8_t *)w->data)[at];
    return q - w->zeros[channel];
}

#endif
