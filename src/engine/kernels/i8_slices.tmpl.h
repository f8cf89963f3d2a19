/* SPDX-License-Identifier: Apache-2.0 */
/* i8_slices.tmpl.h -- depthwise windows of 3 x 3 in slices (struct ledge_slices_i8); part of
 * i8_avx512vnni.c.
 *
 * Three taps of a row are a quad, whose fourth weight is 0. A row of inputs becomes quads once for
 * all windows that it is part of: sums of up to two outputs wait in registers for the next row.
 * What lies beside a row of the picture is masked out; slices that have nothing there and are whole
 * do without masks, and ask for what the slice beside them reads first. */

enum { SLICE_BYTES = 64, SLICE_PIECES = 9 };

/* Where a row of inputs has the left taps of a slice's bytes (before it, if below 0), and which of
 * them it has, for each column of taps. */
struct piece {
    int64_t at;
    __mmask64 inside[3];
};

/* Pixels of outputs are a piece each; one is enough where they lie as far apart as inputs. */
struct slice {
    const struct ledge_slices_i8 *t;
    struct piece piece; /* the first one */
    ivec flip[3];       /* what bytes are xored with: outside, padding takes their place */
    bool within;        /* 64 bytes, all of whose taps are on the picture */
    int32_t more;
    struct piece others[SLICE_PIECES - 1];
};

/* Bits from .. to - 1. */
INLINE __mmask64 bits_of(int64_t from, int64_t to)
{
    from = from > 0 ? from : 0;
    to = to < SLICE_BYTES ? to : SLICE_BYTES;
    return from < to ? ~(__mmask64)0 >> (SLICE_BYTES - (to - from)) << from : 0;
}

/* Bytes from .. to - 1 of the slice, whose left taps are at `at`. */
INLINE struct piece piece_of(const struct ledge_slices_i8 *t, int64_t at, int64_t from, int64_t to)
{
    const int64_t pixel = t->channels, end = t->in_width * pixel;
    struct piece piece = {.at = at};
    UNROLL
    for (int k = 0; k < 3; k++, at += pixel) {
        piece.inside[k] = bits_of(from > -at ? from : -at, to < end - at ? to : end - at);
    }
    return piece;
}

/* The slice of n bytes that begins `place` bytes into a row of outputs. */
INLINE void place_slice(struct slice *s, int64_t place, int32_t n, const int stride)
{
    const struct ledge_slices_i8 *t = s->t;
    const int64_t pixel = t->channels;
    const ivec zero = _mm512_set1_epi8((char)t->zero), flip = _mm512_set1_epi8((char)t->flip);
    int64_t at = place - t->pad * pixel, to = n;
    if (stride > 1) {
        int64_t first = place / pixel;
        at += first * (stride - 1) * pixel;
        to = (first + 1) * pixel - place;
    }
    s->piece = piece_of(t, at, 0, to);
    __mmask64 inside[3] = {s->piece.inside[0], s->piece.inside[1], s->piece.inside[2]};
    s->more = 0;
    while (stride > 1 && to < n) {
        at += (stride - 1) * pixel;
        struct piece piece = piece_of(t, at, to, to + pixel);
        UNROLL
        for (int k = 0; k < 3; k++) {
            inside[k] |= piece.inside[k];
        }
        s->others[s->more++] = piece;
        to += pixel;
    }
    s->within = (inside[0] & inside[1] & inside[2]) == ~(__mmask64)0;
    UNROLL
    for (int k = 0; k < 3; k++) {
        s->flip[k] = _mm512_mask_blend_epi8(inside[k], zero, flip);
    }
}

/* A row of inputs, NULL: of padding. Places are numbers, since some are beyond the row. */
INLINE void slice_quads(const struct slice *s, const uint8_t *x, const int stride,
                        const bool within, ivec *q)
{
    const uintptr_t pixel = (uintptr_t)s->t->channels;
    ivec tap[4];
    if (x == NULL) {
        UNROLL
        for (int v = 0; v < TAPS_VECTORS; v++) {
            q[v] = _mm512_set1_epi8((char)s->t->zero);
        }
        return;
    }
    uintptr_t at = (uintptr_t)x + (uintptr_t)s->piece.at;
    UNROLL
    for (int k = 0; k < 3; k++, at += pixel) {
        const void *from = (const void *)at;
        tap[k] =
            within ? _mm512_loadu_si512(from) : _mm512_maskz_loadu_epi8(s->piece.inside[k], from);
    }
    if (within) {
        __builtin_prefetch((const void *)(at - pixel + 2 * SLICE_BYTES - 1));
    }
    for (int32_t i = 0; stride > 1 && i < s->more; i++) {
        at = (uintptr_t)x + (uintptr_t)s->others[i].at;
        UNROLL
        for (int k = 0; k < 3; k++, at += pixel) {
            tap[k] = _mm512_mask_loadu_epi8(tap[k], s->others[i].inside[k], (const void *)at);
        }
    }
    UNROLL
    for (int k = 0; k < 3; k++) {
        tap[k] = _mm512_xor_si512(tap[k], s->flip[within ? 0 : k]);
    }
    tap[3] = tap[2];
    zip_rows(tap, q);
}

/* What the block of a slice has for it. */
struct block {
    const uint32_t *w;
    const int32_t *offset;
    vec scale[TAPS_VECTORS];
    bool real, plain; /* has it scales, of narrow sums; is nothing but saturation asked for */
    const struct ledge_epilogue_i8 *epilogue;
    ivec held[3][TAPS_VECTORS]; /* weights, of one part */
};

/* sums = from + what row number `row` of the windows adds. */
INLINE void add_row(ivec *sums, const ivec *from, const ivec *q, const struct block *block,
                    const int row, const int parts)
{
    UNROLL
    for (int v = 0; v < TAPS_VECTORS; v++) {
        ivec sum = from[v];
        UNROLL
        for (int part = 0; part < parts; part++) {
            const uint32_t *w = block->w + ((part * 3 + row) * TAPS_VECTORS + v) * LANES;
            sum = parts == 1 ? iv_dot(sum, q[v], block->held[row][v]) : iv_dot_at(sum, q[v], w);
        }
        sums[v] = sum;
    }
}

INLINE void start_row(ivec *sums, const ivec *q, const struct block *block, const int parts)
{
    ivec start[TAPS_VECTORS];
    UNROLL
    for (int v = 0; v < TAPS_VECTORS; v++) {
        start[v] = iv_load(block->offset + v * LANES);
    }
    add_row(sums, start, q, block, 0, parts);
}

INLINE ivec slice_bytes(const struct block *block, const ivec *sums, const bool plain)
{
    const struct ledge_epilogue_i8 *e = block->epilogue;
    if (!plain) {
        AS_IT_IS(e);
    }
    ivec whole[TAPS_VECTORS];
    UNROLL
    for (int v = 0; v < TAPS_VECTORS; v++) {
        whole[v] = iv_round(v_mul(iv_to_float(sums[v]), block->scale[v]));
    }
    return pack_rows(whole, TAPS_VECTORS, plain, e);
}

/* One slice from the first row to the last one. to: where its bytes go, or its sums, where there
 * are no scales. within: there are, and the slice is. */
INLINE void run_slice(const struct slice *s, struct block *block, struct ledge_finish_i8 *to,
                      const int stride, const int parts, const bool within)
{
    const __mmask64 mask = bits_of(0, to->n);
    const uint8_t *const *x = s->t->x;
    uint8_t *y = to->y;
    int32_t *sums = to->sums;
    ivec q[TAPS_VECTORS], first[TAPS_VECTORS], second[TAPS_VECTORS];
    slice_quads(s, *x++, stride, within, q);
    start_row(first, q, block, parts);
    if (stride == 1) {
        slice_quads(s, *x++, stride, within, q);
        add_row(first, first, q, block, 1, parts);
        start_row(second, q, block, parts);
    }
    for (int32_t r = to->rows; r > 0; r--) {
        if (stride > 1) {
            slice_quads(s, *x++, stride, within, q);
            add_row(first, first, q, block, 1, parts);
        }
        slice_quads(s, *x++, stride, within, q);
        AS_IT_IS(block->w); /* or gcc keeps the address of each in memory */
        ivec whole[TAPS_VECTORS];
        add_row(whole, first, q, block, 2, parts);
        if (stride > 1) {
            start_row(first, q, block, parts);
        } else {
            add_row(first, second, q, block, 1, parts);
            start_row(second, q, block, parts);
        }
        if (parts == 1 && (within || block->real)) {
            ivec bytes =
                block->plain ? slice_bytes(block, whole, true) : slice_bytes(block, whole, false);
            _mm512_mask_storeu_epi8(y, mask, bytes);
            y += to->ldy;
            continue;
        }
        UNROLL
        for (int v = 0; v < TAPS_VECTORS; v++, sums += LANES) {
            iv_store(sums, whole[v]);
        }
    }
    if (parts > 1 || (!within && !block->real)) {
        FINISH(to);
    }
}

INLINE void take_block(const struct ledge_slices_i8 *t, int64_t b, struct block *block,
                       struct ledge_finish_i8 *to, const int parts)
{
    to->at = b * SLICE_BYTES;
    block->w = t->w + b * parts * 3 * TAPS_VECTORS * LANES;
    block->offset = t->epilogue->offset + to->at;
    UNROLL
    for (int i = 0; i < 3 * TAPS_VECTORS; i++) {
        block->held[i / TAPS_VECTORS][i % TAPS_VECTORS] = iv_load(block->w + i * LANES);
    }
    UNROLL
    for (int v = 0; v < TAPS_VECTORS; v++) {
        const float *scale = t->epilogue->scale + to->at + v * LANES;
        block->scale[v] = block->real ? v_load(scale) : v_set1(0);
    }
}

/* Pixels that share blocks lie side by side: all blocks of a group are one piece of rows. */
INLINE void slices_of(const struct ledge_slices_i8 *t, const int stride, const int parts)
{
    _Alignas(64) int32_t sums[LEDGE_I8_SLICE_ROWS * TAPS_VECTORS * LANES];
    const int64_t row = t->width * t->channels, group = t->merged * t->channels;
    struct slice slice;
    struct block block = {.real = t->epilogue->scale != NULL && t->epilogue->narrow,
                          .plain = ledge_epilogue_is_plain(t->epilogue),
                          .epilogue = t->epilogue};
    struct ledge_finish_i8 to = {.epilogue = t->epilogue,
                                 .sums = sums,
                                 .rows = t->rows,
                                 .vectors = TAPS_VECTORS,
                                 .ldy = row};
    int64_t left = (t->blocks[1] - t->blocks[0]) * (t->groups[1] - t->groups[0]);
    slice.t = t;
    for (int64_t b = t->blocks[0], g = t->groups[0], taken = -1; left > 0; left--) {
        const int64_t place = g * group + b * SLICE_BYTES;
        const int64_t end = (g + 1) * group < row ? (g + 1) * group : row;
        if (b != taken) {
            take_block(t, b, &block, &to, parts);
            taken = b;
        }
        if (place < end) {
            to.n = (int32_t)(end - place < SLICE_BYTES ? end - place : SLICE_BYTES);
            to.y = t->y + place;
            place_slice(&slice, place, to.n, stride);
            if (parts == 1 && block.real && slice.within) {
                run_slice(&slice, &block, &to, stride, 1, true);
            } else {
                run_slice(&slice, &block, &to, stride, parts, false);
            }
        }
        if (t->merged > 1 && ++b == t->blocks[1]) {
            b = t->blocks[0];
            g++;
        } else if (t->merged == 1 && ++g == t->groups[1]) {
            g = t->groups[0];
            b++;
        }
    }
}

static void slices_1(const struct ledge_slices_i8 *t)
{
    slices_of(t, 1, 1);
}

static void slices_2(const struct ledge_slices_i8 *t)
{
    slices_of(t, 2, 1);
}

static void slices_of_parts(const struct ledge_slices_i8 *t)
{
    slices_of(t, t->stride, 2);
}

static void run_slices(const struct ledge_slices_i8 *t)
{
    if (LEDGE_HAS(LEDGE_KERNEL_taps_parts) && t->parts > 1) {
        slices_of_parts(t);
    } else {
        (t->stride > 1 ? slices_2 : slices_1)(t);
    }
    v_done();
}
