/* SPDX-License-Identifier: Apache-2.0 */
/* ops_shape.c -- operators that move elements: they map to ONNX whatever the type, quantised or
 * not. */
#include <string.h>

#include "base/status.h"
#include "import/tflite/importer.h"

static enum ledge_status simple(struct ledge_tflite *t, const char *name, int32_t a, int32_t b,
                                int32_t out)
{
    return ledge_tflite_done(t, ledge_tflite_node2(t, "", name, a, b, out) >= 0);
}

enum ledge_status ledge_tflite_reshape(struct ledge_tflite *t, const struct ledge_tflite_op *op)
{
    int64_t dims[LEDGE_MAX_RANK];
    int32_t n = 0;
    const struct ledge_tflite_tensor *shape = ledge_tflite_in(t, op, 1);
    struct ledge_fb_vector option = ledge_fb_vector(&t->fb, op->options, RESHAPE_new_shape, 4);
    int32_t x = ledge_tflite_in_value(t, op, 0);
    int32_t out = ledge_tflite_out_value(t, op, 0);
    int32_t target = -1;
    if (ledge_tflite_in(t, op, 0)->is_complex) { /* (re, im) stays the last dimension */
        if (!ledge_tflite_out(t, op, 0)->is_complex ||
            !ledge_tflite_ints(shape, dims, LEDGE_MAX_RANK - 1, &n)) {
            return ledge_tflite_unsupported(t, op, "complex");
        }
        dims[n++] = 2;
        target = ledge_tflite_const_i64(t, dims, n);
    } else if (ledge_tflite_ints(shape, dims, LEDGE_MAX_RANK, &n)) {
        target = ledge_tflite_const_i64(t, dims, n);
    } else if (shape != NULL) {
        target = ledge_tflite_temp(t);
        int32_t cast = ledge_tflite_node1(t, "", "Cast", ledge_tflite_in_value(t, op, 1), target);
        LEDGE_TRY(ledge_tflite_done(t, cast >= 0 &&
                                           ledge_graph_set_int(t->graph, cast, "to", LEDGE_I64)));
    } else {
        if (option.n > LEDGE_MAX_RANK) {
            return ledge_tflite_unsupported(t, op, "rank");
        }
        for (uint32_t i = 0; i < option.n; i++) {
            dims[n++] = ledge_fb_item_i32(option, i);
        }
        target = ledge_tflite_const_i64(t, dims, n);
    }
    int32_t node = ledge_tflite_node2(t, "", "Reshape", x, target, out);
    /* A 0 is a dimension of size 0 here, not "keep". */
    return ledge_tflite_done(t, node >= 0 && ledge_graph_set_int(t->graph, node, "allowzero", 1));
}

enum ledge_status ledge_tflite_squeeze(struct ledge_tflite *t, const struct ledge_tflite_op *op)
{
    struct ledge_fb_vector option = ledge_fb_vector(&t->fb, op->options, SQUEEZE_dims, 4);
    int32_t x = ledge_tflite_in_value(t, op, 0);
    int32_t out = ledge_tflite_out_value(t, op, 0);
    if (option.n == 0) {
        return ledge_tflite_done(t, ledge_tflite_node1(t, "", "Squeeze", x, out) >= 0);
    }
    int64_t dims[LEDGE_MAX_RANK];
    if (option.n > LEDGE_MAX_RANK) {
        return ledge_tflite_unsupported(t, op, "rank");
    }
    for (uint32_t i = 0; i < option.n; i++) {
        dims[i] = ledge_fb_item_i32(option, i);
    }
    return simple(t, "Squeeze", x, ledge_tflite_const_i64(t, dims, (int32_t)option.n), out);
}

enum ledge_status ledge_tflite_expand_dims(struct ledge_tflite *t, const struct ledge_tflite_op *op)
{
    int64_t axis;
    int32_t n;
    if (!ledge_tflite_ints(ledge_tflite_in(t, op, 1), &axis, 1, &n) || n != 1) {
        return ledge_tflite_unsupported(t, op, "variable axis");
    }
    return simple(t, "Unsqueeze", ledge_tflite_in_value(t, op, 0),
                  ledge_tflite_const_i64(t, &axis, 1), ledge_tflite_out_value(t, op, 0));
}

enum ledge_status ledge_tflite_transpose(struct ledge_tflite *t, const struct ledge_tflite_op *op)
{
    int64_t perm[LEDGE_MAX_RANK];
    int32_t n;
    if (!ledge_tflite_ints(ledge_tflite_in(t, op, 1), perm, LEDGE_MAX_RANK, &n)) {
        return ledge_tflite_unsupported(t, op, "variable permutation");
    }
    int32_t node = ledge_tflite_node1(t, "", "Transpose", ledge_tflite_in_value(t, op, 0),
                                      ledge_tflite_out_value(t, op, 0));
    return ledge_tflite_done(t, node >= 0 &&
                                    ledge_graph_set_ints(t->graph, node, "perm", perm, (size_t)n));
}

static bool same_quant(const struct ledge_tflite_tensor *a, const struct ledge_tflite_tensor *b)
{
    int64_t zero_a = a->zeros.n > 0 ? ledge_fb_item_i64(a->zeros, 0) : 0;
    int64_t zero_b = b->zeros.n > 0 ? ledge_fb_item_i64(b->zeros, 0) : 0;
    float scale_a = a->scales.n > 0 ? ledge_fb_item_f32(a->scales, 0) : 0;
    float scale_b = b->scales.n > 0 ? ledge_fb_item_f32(b->scales, 0) : 0;
    return a->scales.n == b->scales.n && zero_a == zero_b && scale_a == scale_b;
}

/* Inputs of a quantised Concat are brought to the output's scale first ("Rescale": TFLite does it
 * in float). */
static enum ledge_status concat_input(struct ledge_tflite *t, const struct ledge_tflite_op *op,
                                      int32_t i, int32_t *value)
{
    const struct ledge_tflite_tensor *x = ledge_tflite_in(t, op, i);
    const struct ledge_tflite_tensor *y = ledge_tflite_out(t, op, 0);
    *value = ledge_tflite_in_value(t, op, i);
    LEDGE_TRY(ledge_tflite_done(t, *value >= 0));
    if (same_quant(x, y)) {
        return LEDGE_OK;
    }
    int32_t scaled = ledge_graph_add_value(t->graph, NULL, x->dtype, -1, NULL);
    LEDGE_TRY(ledge_tflite_done(t, scaled >= 0));
    t->graph->values[scaled].quant = t->graph->values[ledge_tflite_out_value(t, op, 0)].quant;
    int32_t from = *value;
    *value = scaled;
    return ledge_tflite_done(t, ledge_tflite_node1(t, "tfl", "Rescale", from, scaled) >= 0);
}

enum ledge_status ledge_tflite_concat(struct ledge_tflite *t, const struct ledge_tflite_op *op)
{
    int32_t axis = ledge_fb_i32(&t->fb, op->options, CONCAT_axis, 0);
    if (ledge_fb_u8(&t->fb, op->options, CONCAT_activation, TFLITE_ACT_NONE) != TFLITE_ACT_NONE) {
        return ledge_tflite_unsupported(t, op, "activation");
    }
    int32_t *in = LEDGE_NEW_ARRAY(&t->graph->arena, int32_t, (size_t)op->n_in);
    LEDGE_TRY(ledge_tflite_done(t, in != NULL && ledge_tflite_out_value(t, op, 0) >= 0));
    const struct ledge_tflite_tensor *y = ledge_tflite_out(t, op, 0);
    for (int32_t i = 0; i < op->n_in; i++) {
        const struct ledge_tflite_tensor *x = ledge_tflite_in(t, op, i);
        bool small = x != NULL && (x->dtype == LEDGE_I8 || x->dtype == LEDGE_U8);
        if (x == NULL || x->dtype != y->dtype || (!same_quant(x, y) && !small)) {
            return ledge_tflite_unsupported(t, op, "types");
        }
    }
    for (int32_t i = 0; i < op->n_in; i++) {
        LEDGE_TRY(concat_input(t, op, i, &in[i]));
    }
    int32_t out = ledge_tflite_out_value(t, op, 0);
    int32_t node = ledge_tflite_node(t, "", "Concat", in, op->n_in, &out, 1);
    return ledge_tflite_done(t, node >= 0 && ledge_graph_set_int(t->graph, node, "axis", axis));
}

enum ledge_status ledge_tflite_pack(struct ledge_tflite *t, const struct ledge_tflite_op *op)
{
    int64_t axis = ledge_fb_i32(&t->fb, op->options, PACK_axis, 0);
    int32_t axes = ledge_tflite_const_i64(t, &axis, 1);
    int32_t *in = LEDGE_NEW_ARRAY(&t->graph->arena, int32_t, (size_t)op->n_in);
    LEDGE_TRY(ledge_tflite_done(t, in != NULL));
    for (int32_t i = 0; i < op->n_in; i++) {
        in[i] = ledge_tflite_temp(t);
        LEDGE_TRY(simple(t, "Unsqueeze", ledge_tflite_in_value(t, op, i), axes, in[i]));
    }
    int32_t out = ledge_tflite_out_value(t, op, 0);
    int32_t node = ledge_tflite_node(t, "", "Concat", in, op->n_in, &out, 1);
    return ledge_tflite_done(t, node >= 0 && ledge_graph_set_int(t->graph, node, "axis", axis));
}

enum ledge_status ledge_tflite_unpack(struct ledge_tflite *t, const struct ledge_tflite_op *op)
{
    int64_t axis = ledge_fb_i32(&t->fb, op->options, UNPACK_axis, 0);
    int32_t x = ledge_tflite_in_value(t, op, 0);
    for (int32_t i = 0; i < op->n_out; i++) {
        int64_t index = i;
        int32_t at = ledge_graph_add_constant(t->graph, NULL, LEDGE_I64, 0, NULL, &index, true);
        int32_t node = ledge_tflite_node2(t, "", "Gather", x, at, ledge_tflite_out_value(t, op, i));
        LEDGE_TRY(
            ledge_tflite_done(t, node >= 0 && ledge_graph_set_int(t->graph, node, "axis", axis)));
    }
    return LEDGE_OK;
}

/* SPLIT(axis, x) into equal parts; SPLIT_V(x, sizes, axis). */
enum ledge_status ledge_tflite_split(struct ledge_tflite *t, const struct ledge_tflite_op *op)
{
    bool sized = op->code == LEDGE_TFLITE_SPLIT_V;
    int64_t axis;
    int64_t sizes[64];
    int32_t n;
    int32_t n_sizes = 0;
    if (!ledge_tflite_ints(ledge_tflite_in(t, op, sized ? 2 : 0), &axis, 1, &n) || n != 1 ||
        (sized && !ledge_tflite_ints(ledge_tflite_in(t, op, 1), sizes, 64, &n_sizes))) {
        return ledge_tflite_unsupported(t, op, "variable axis or sizes");
    }
    int32_t in[2] = {ledge_tflite_in_value(t, op, sized ? 0 : 1), -1};
    if (sized) {
        in[1] = ledge_tflite_const_i64(t, sizes, n_sizes);
    }
    int32_t *out = LEDGE_NEW_ARRAY(&t->graph->arena, int32_t, (size_t)op->n_out);
    LEDGE_TRY(ledge_tflite_done(t, out != NULL && in[0] >= 0 && (!sized || in[1] >= 0)));
    for (int32_t i = 0; i < op->n_out; i++) {
        out[i] = ledge_tflite_out_value(t, op, i);
    }
    int32_t node = ledge_tflite_node(t, "", "Split", in, sized ? 2 : 1, out, op->n_out);
    return ledge_tflite_done(t, node >= 0 && ledge_graph_set_int(t->graph, node, "axis", axis));
}

struct ranges {
    int64_t start[LEDGE_MAX_RANK], end[LEDGE_MAX_RANK], axes[LEDGE_MAX_RANK], step[LEDGE_MAX_RANK];
    int32_t n;
};

static enum ledge_status slice_node(struct ledge_tflite *t, const struct ranges *ranges, int32_t x,
                                    int32_t out)
{
    int32_t in[5] = {x, ledge_tflite_const_i64(t, ranges->start, ranges->n),
                     ledge_tflite_const_i64(t, ranges->end, ranges->n),
                     ledge_tflite_const_i64(t, ranges->axes, ranges->n),
                     ledge_tflite_const_i64(t, ranges->step, ranges->n)};
    bool made = in[0] >= 0 && in[1] >= 0 && in[2] >= 0 && in[3] >= 0 && in[4] >= 0;
    return ledge_tflite_done(t, made && ledge_tflite_node(t, "", "Slice", in, 5, &out, 1) >= 0);
}

/* One axis of STRIDED_SLICE with its masks; a shrunk axis keeps one element. */
static void strided_axis(struct ledge_tflite *t, const struct ledge_tflite_op *op,
                         struct ranges *ranges, int32_t i)
{
    int32_t bit = 1 << i;
    int32_t begin_mask = ledge_fb_i32(&t->fb, op->options, STRIDED_begin_mask, 0);
    int32_t end_mask = ledge_fb_i32(&t->fb, op->options, STRIDED_end_mask, 0);
    int32_t shrink_mask = ledge_fb_i32(&t->fb, op->options, STRIDED_shrink_mask, 0);
    ranges->axes[i] = i;
    if ((shrink_mask & bit) != 0) {
        ranges->end[i] = ranges->start[i] == -1 ? INT64_MAX : ranges->start[i] + 1;
        ranges->step[i] = 1;
        return;
    }
    if (ledge_fb_u8(&t->fb, op->options, STRIDED_offset, 0) != 0) {
        ranges->end[i] += ranges->start[i];
    }
    bool forward = ranges->step[i] > 0;
    if ((begin_mask & bit) != 0) {
        ranges->start[i] = forward ? 0 : INT64_MAX;
    }
    if ((end_mask & bit) != 0) {
        ranges->end[i] = forward ? INT64_MAX : INT64_MIN;
    }
}

enum ledge_status ledge_tflite_strided_slice(struct ledge_tflite *t,
                                             const struct ledge_tflite_op *op)
{
    struct ranges ranges;
    int32_t n_end;
    int32_t n_step;
    if (!ledge_tflite_ints(ledge_tflite_in(t, op, 1), ranges.start, LEDGE_MAX_RANK, &ranges.n) ||
        !ledge_tflite_ints(ledge_tflite_in(t, op, 2), ranges.end, LEDGE_MAX_RANK, &n_end) ||
        !ledge_tflite_ints(ledge_tflite_in(t, op, 3), ranges.step, LEDGE_MAX_RANK, &n_step) ||
        n_end != ranges.n || n_step != ranges.n) {
        return ledge_tflite_unsupported(t, op, "variable ranges");
    }
    if (ledge_fb_i32(&t->fb, op->options, STRIDED_ellipsis_mask, 0) != 0 ||
        ledge_fb_i32(&t->fb, op->options, STRIDED_new_axis_mask, 0) != 0) {
        return ledge_tflite_unsupported(t, op, "ellipsis or new axis");
    }
    int32_t shrink_mask = ledge_fb_i32(&t->fb, op->options, STRIDED_shrink_mask, 0);
    int64_t gone[LEDGE_MAX_RANK];
    int32_t n_gone = 0;
    for (int32_t i = 0; i < ranges.n; i++) {
        strided_axis(t, op, &ranges, i);
        if ((shrink_mask & (1 << i)) != 0) {
            gone[n_gone++] = i;
        }
    }
    int32_t x = ledge_tflite_in_value(t, op, 0);
    int32_t out = ledge_tflite_out_value(t, op, 0);
    if (n_gone == 0) {
        return slice_node(t, &ranges, x, out);
    }
    int32_t kept = ledge_tflite_temp(t);
    LEDGE_TRY(slice_node(t, &ranges, x, kept));
    return simple(t, "Squeeze", kept, ledge_tflite_const_i64(t, gone, n_gone), out);
}

/* SLICE(x, begin, size): size -1 is "to the end". */
enum ledge_status ledge_tflite_slice(struct ledge_tflite *t, const struct ledge_tflite_op *op)
{
    struct ranges ranges;
    int32_t n_size;
    if (!ledge_tflite_ints(ledge_tflite_in(t, op, 1), ranges.start, LEDGE_MAX_RANK, &ranges.n) ||
        !ledge_tflite_ints(ledge_tflite_in(t, op, 2), ranges.end, LEDGE_MAX_RANK, &n_size) ||
        n_size != ranges.n) {
        return ledge_tflite_unsupported(t, op, "variable ranges");
    }
    for (int32_t i = 0; i < ranges.n; i++) {
        ranges.axes[i] = i;
        ranges.step[i] = 1;
        bool rest = ranges.end[i] < 0 || ranges.start[i] > INT32_MAX || ranges.end[i] > INT32_MAX;
        ranges.end[i] = rest ? INT64_MAX : ranges.start[i] + ranges.end[i];
    }
    return slice_node(t, &ranges, ledge_tflite_in_value(t, op, 0),
                      ledge_tflite_out_value(t, op, 0));
}

enum ledge_status ledge_tflite_gather(struct ledge_tflite *t, const struct ledge_tflite_op *op)
{
    if (ledge_fb_i32(&t->fb, op->options, GATHER_batch_dims, 0) != 0) {
        return ledge_tflite_unsupported(t, op, "batch dimensions");
    }
    int32_t axis = ledge_fb_i32(&t->fb, op->options, GATHER_axis, 0);
    int32_t node =
        ledge_tflite_node2(t, "", "Gather", ledge_tflite_in_value(t, op, 0),
                           ledge_tflite_in_value(t, op, 1), ledge_tflite_out_value(t, op, 0));
    return ledge_tflite_done(t, node >= 0 && ledge_graph_set_int(t->graph, node, "axis", axis));
}

enum ledge_status ledge_tflite_shape(struct ledge_tflite *t, const struct ledge_tflite_op *op)
{
    const struct ledge_tflite_tensor *y = ledge_tflite_out(t, op, 0);
    int32_t x = ledge_tflite_in_value(t, op, 0);
    int32_t out = ledge_tflite_out_value(t, op, 0);
    int32_t wide = ledge_tflite_temp(t);
    LEDGE_TRY(ledge_tflite_done(t, ledge_tflite_node1(t, "", "Shape", x, wide) >= 0));
    int32_t node = ledge_tflite_node1(t, "", "Cast", wide, out);
    return ledge_tflite_done(t, node >= 0 && ledge_graph_set_int(t->graph, node, "to", y->dtype));
}

enum ledge_status ledge_tflite_cast(struct ledge_tflite *t, const struct ledge_tflite_op *op)
{
    const struct ledge_tflite_tensor *x = ledge_tflite_in(t, op, 0);
    const struct ledge_tflite_tensor *y = ledge_tflite_out(t, op, 0);
    if (x->dtype == LEDGE_DTYPE_NONE || y->dtype == LEDGE_DTYPE_NONE) {
        return ledge_tflite_unsupported(t, op, "type");
    }
    int32_t node = ledge_tflite_node1(t, "", "Cast", ledge_tflite_in_value(t, op, 0),
                                      ledge_tflite_out_value(t, op, 0));
    return ledge_tflite_done(t, node >= 0 && ledge_graph_set_int(t->graph, node, "to", y->dtype));
}

/* The value that a quantised tensor is padded with: its zero point. */
static int32_t pad_value(struct ledge_tflite *t, const struct ledge_tflite_tensor *x)
{
    if (x->scales.n == 0) {
        return -1;
    }
    int64_t zero = x->zeros.n > 0 ? ledge_fb_item_i64(x->zeros, 0) : 0;
    uint8_t byte = (uint8_t)zero;
    int16_t wide = (int16_t)zero;
    return ledge_graph_add_constant(t->graph, NULL, x->dtype, 0, NULL,
                                    x->dtype == LEDGE_I16 ? (const void *)&wide : &byte, true);
}

/* [rank][2] begin, end -> ONNX's all begins, then all ends. */
enum ledge_status ledge_tflite_pad(struct ledge_tflite *t, const struct ledge_tflite_op *op)
{
    const struct ledge_tflite_tensor *x = ledge_tflite_in(t, op, 0);
    int64_t pads[2 * LEDGE_MAX_RANK];
    int64_t sorted[2 * LEDGE_MAX_RANK];
    int32_t n;
    if (!ledge_tflite_ints(ledge_tflite_in(t, op, 1), pads, 2 * LEDGE_MAX_RANK, &n) || n % 2 != 0) {
        return ledge_tflite_unsupported(t, op, "variable padding");
    }
    for (int32_t i = 0; i < n; i++) {
        sorted[i % 2 * (n / 2) + i / 2] = pads[i];
    }
    int32_t in[3] = {ledge_tflite_in_value(t, op, 0), ledge_tflite_const_i64(t, sorted, n), -1};
    int32_t n_in = 2;
    const char *mode = "constant";
    if (op->code == LEDGE_TFLITE_MIRROR_PAD) {
        if (ledge_fb_u8(&t->fb, op->options, MIRROR_mode, 0) != 0) {
            return ledge_tflite_unsupported(t, op, "symmetric");
        }
        mode = "reflect";
    } else if (op->code == LEDGE_TFLITE_PADV2) {
        in[2] = ledge_tflite_in_value(t, op, 2);
        n_in = 3;
    } else if (ledge_tflite_quantised(x)) {
        in[2] = pad_value(t, x);
        n_in = 3;
    }
    LEDGE_TRY(ledge_tflite_done(t, in[0] >= 0 && in[1] >= 0 && (n_in < 3 || in[2] >= 0)));
    int32_t out = ledge_tflite_out_value(t, op, 0);
    int32_t node = ledge_tflite_node(t, "", "Pad", in, n_in, &out, 1);
    return ledge_tflite_done(t, node >= 0 && ledge_graph_set_string(t->graph, node, "mode", mode));
}

enum ledge_status ledge_tflite_tile(struct ledge_tflite *t, const struct ledge_tflite_op *op)
{
    int64_t repeats[LEDGE_MAX_RANK];
    int32_t n;
    if (!ledge_tflite_ints(ledge_tflite_in(t, op, 1), repeats, LEDGE_MAX_RANK, &n)) {
        return ledge_tflite_unsupported(t, op, "variable repeats");
    }
    return simple(t, "Tile", ledge_tflite_in_value(t, op, 0), ledge_tflite_const_i64(t, repeats, n),
                  ledge_tflite_out_value(t, op, 0));
}

/* Both resize operators stand in domain "tfl": their rounding of coordinates is TFLite's own. */
enum ledge_status ledge_tflite_resize(struct ledge_tflite *t, const struct ledge_tflite_op *op)
{
    const struct ledge_tflite_tensor *x = ledge_tflite_in(t, op, 0);
    bool bilinear = op->code == LEDGE_TFLITE_RESIZE_BILINEAR;
    bool small = x->dtype == LEDGE_I8 || x->dtype == LEDGE_U8;
    if (x->rank != 4 || (x->dtype != LEDGE_F32 && !small)) {
        return ledge_tflite_unsupported(t, op, "type");
    }
    uint16_t align = bilinear ? BILINEAR_align_corners : NEAREST_align_corners;
    uint16_t half = bilinear ? BILINEAR_half_pixel : NEAREST_half_pixel;
    int32_t node =
        ledge_tflite_node2(t, "tfl", op->onnx, ledge_tflite_in_value(t, op, 0),
                           ledge_tflite_in_value(t, op, 1), ledge_tflite_out_value(t, op, 0));
    return ledge_tflite_done(t,
                             node >= 0 &&
                                 ledge_graph_set_int(t->graph, node, "align_corners",
                                                     ledge_fb_u8(&t->fb, op->options, align, 0)) &&
                                 ledge_graph_set_int(t->graph, node, "half_pixel_centers",
                                                     ledge_fb_u8(&t->fb, op->options, half, 0)));
}

enum ledge_status ledge_tflite_space_batch(struct ledge_tflite *t, const struct ledge_tflite_op *op)
{
    const struct ledge_tflite_tensor *x = ledge_tflite_in(t, op, 0);
    if (x->rank != 4 || ledge_dtype_size(x->dtype) == 0) {
        return ledge_tflite_unsupported(t, op, "rank or type");
    }
    int32_t in[3];
    for (int32_t i = 0; i < 3; i++) {
        in[i] = ledge_tflite_in_value(t, op, i);
        LEDGE_TRY(ledge_tflite_done(t, in[i] >= 0));
    }
    int32_t out = ledge_tflite_out_value(t, op, 0);
    return ledge_tflite_done(t, ledge_tflite_node(t, "tfl", op->onnx, in, 3, &out, 1) >= 0);
}
