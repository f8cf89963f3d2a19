/* SPDX-License-Identifier: Apache-2.0 */
/* ops_more.c -- operators that are a few of ai.onnx each. Those that compute take plain types only;
 * those that move elements take quantised ones, too. */
#include <string.h>

#include "base/status.h"
#include "import/tflite/importer.h"

/* A node on a new value, which is returned; -1 when an input is missing or there is no memory. */
static int32_t add(struct ledge_tflite *t, const char *name, const int32_t *in, int32_t n)
{
    int32_t out = ledge_tflite_temp(t);
    for (int32_t i = 0; i < n; i++) {
        out = in[i] < 0 ? -1 : out;
    }
    return out >= 0 && ledge_tflite_node(t, "", name, in, n, &out, 1) >= 0 ? out : -1;
}

#define ADD(name, ...)                                                                             \
    add(t, name, (int32_t[]){__VA_ARGS__},                                                         \
        (int32_t)(sizeof((int32_t[]){__VA_ARGS__}) / sizeof(int32_t)))
#define IN(i) ledge_tflite_in_value(t, op, i)

/* The node that writes output 0 of op. Its number; -1: no memory. */
static int32_t last(struct ledge_tflite *t, const struct ledge_tflite_op *op, const char *name,
                    const int32_t *in, int32_t n)
{
    int32_t out = ledge_tflite_out_value(t, op, 0);
    for (int32_t i = 0; i < n; i++) {
        out = in[i] < 0 ? -1 : out;
    }
    return ledge_tflite_node(t, "", name, in, n, &out, 1);
}

#define LAST(name, ...)                                                                            \
    last(t, op, name, (int32_t[]){__VA_ARGS__},                                                    \
         (int32_t)(sizeof((int32_t[]){__VA_ARGS__}) / sizeof(int32_t)))

static bool set(struct ledge_tflite *t, int32_t node, const char *name, int64_t value)
{
    return node >= 0 && ledge_graph_set_int(t->graph, node, name, value);
}

static int32_t cast(struct ledge_tflite *t, int32_t value, enum ledge_dtype dtype)
{
    int32_t out = ADD("Cast", value);
    return out >= 0 && set(t, t->graph->n_nodes - 1, "to", (int64_t)dtype) ? out : -1;
}

static int32_t as_list(struct ledge_tflite *t, int32_t value)
{
    static const int64_t one = 1;
    return ADD("Reshape", value, ledge_tflite_const_i64(t, &one, 1));
}

static bool plain(const struct ledge_tflite *t, const struct ledge_tflite_op *op)
{
    bool is = true;
    for (int32_t i = 0; i < op->n_in; i++) {
        is = is && op->in[i] >= 0 && !ledge_tflite_quantised(&t->tensors[op->in[i]]);
    }
    return is;
}

/* Operators that compute on plain numbers; the number of the node that writes the output. */
static int32_t compute(struct ledge_tflite *t, const struct ledge_tflite_op *op)
{
    const struct ledge_tflite_tensor *x = ledge_tflite_in(t, op, 0);
    int32_t value, node;
    switch (op->code) {
    case LEDGE_TFLITE_NOT_EQUAL:
        value = ADD("Equal", IN(0), IN(1));
        return LAST("Not", value);
    case LEDGE_TFLITE_FLOOR_DIV:
        if (x->dtype == LEDGE_F32) {
            value = ADD("Div", IN(0), IN(1));
            return LAST("Floor", value);
        }
        value = ADD("Sub", IN(0), ADD("Mod", IN(0), IN(1)));
        return LAST("Div", value, IN(1));
    case LEDGE_TFLITE_RANGE:
        return LAST("Range", IN(0), IN(1), IN(2));
    case LEDGE_TFLITE_CUMSUM:
        node = LAST("CumSum", IN(0), IN(1));
        return set(t, node, "exclusive", ledge_fb_u8(&t->fb, op->options, CUMSUM_exclusive, 0)) &&
                       set(t, node, "reverse", ledge_fb_u8(&t->fb, op->options, CUMSUM_reverse, 0))
                   ? node
                   : -1;
    case LEDGE_TFLITE_L2_NORMALIZATION:
        value = ADD("ReduceL2", IN(0));
        if (value < 0 ||
            !ledge_graph_set_ints(t->graph, t->graph->n_nodes - 1, "axes", (int64_t[]){-1}, 1)) {
            return -1;
        }
        return LAST("Div", IN(0), ADD("Max", value, ledge_tflite_const_f32(t, 1e-6f)));
    case LEDGE_TFLITE_GELU:
        node = LAST("Gelu", IN(0));
        return node >= 0 && ledge_graph_set_string(
                                t->graph, node, "approximate",
                                ledge_fb_u8(&t->fb, op->options, GELU_approximate, 0) != 0 ? "tanh"
                                                                                           : "none")
                   ? node
                   : -1;
    case LEDGE_TFLITE_WHERE:
        value = ADD("NonZero", IN(0));
        return LAST("Transpose", value);
    case LEDGE_TFLITE_RANK:
        value = ADD("Size", ADD("Shape", IN(0)));
        node = LAST("Cast", value);
        return set(t, node, "to", LEDGE_I32) ? node : -1;
    default: /* ONE_HOT: a negative index is none, where ONNX counts from the end */
        value = ADD("Where", ADD("Less", IN(0), ADD("Sub", IN(1), IN(1))), IN(1), IN(0));
        int32_t values = ADD("Concat", as_list(t, IN(3)), as_list(t, IN(2)));
        if (values < 0 || !set(t, t->graph->n_nodes - 1, "axis", 0)) {
            return -1;
        }
        node = LAST("OneHot", value, IN(1), values);
        return set(t, node, "axis", ledge_fb_i32(&t->fb, op->options, ONE_HOT_axis, 0)) ? node : -1;
    }
}

enum ledge_status ledge_tflite_compute(struct ledge_tflite *t, const struct ledge_tflite_op *op)
{
    if (!plain(t, op)) {
        return ledge_tflite_unsupported(t, op, "quantised");
    }
    return ledge_tflite_done(t, compute(t, op) >= 0);
}

/* SCATTER_ND: updates of one place add up. */
static int32_t scatter(struct ledge_tflite *t, const struct ledge_tflite_op *op)
{
    static const uint8_t zeros[16];
    int32_t zero = ledge_graph_add_constant(t->graph, NULL, ledge_tflite_in(t, op, 1)->dtype, 0,
                                            NULL, zeros, true);
    int32_t value = ADD("Expand", zero, cast(t, IN(2), LEDGE_I64));
    int32_t node = LAST("ScatterND", value, cast(t, IN(0), LEDGE_I64), IN(1));
    return node >= 0 && ledge_graph_set_string(t->graph, node, "reduction", "add") ? node : -1;
}

/* UNIQUE: in the order of their first places, and where each element's is. */
static int32_t unique(struct ledge_tflite *t, const struct ledge_tflite_op *op)
{
    int32_t places = ledge_tflite_temp(t), in = IN(0), indices = ledge_tflite_out_value(t, op, 1);
    int32_t out[3] = {ledge_tflite_out_value(t, op, 0), -1, places};
    int32_t node = in >= 0 && out[0] >= 0 && places >= 0
                       ? ledge_tflite_node(t, "", "Unique", &in, 1, out, 3)
                       : -1;
    if (!set(t, node, "sorted", 0) || indices < 0) {
        return indices < 0 ? node : -1;
    }
    node = ledge_tflite_node1(t, "", "Cast", places, indices);
    return set(t, node, "to", (int64_t)ledge_tflite_out(t, op, 1)->dtype) ? node : -1;
}

enum ledge_status ledge_tflite_few(struct ledge_tflite *t, const struct ledge_tflite_op *op)
{
    int32_t node;
    if (!plain(t, op) || ledge_dtype_size(ledge_tflite_out(t, op, 0)->dtype) == 0 ||
        ledge_tflite_in(t, op, 0)->dtype == LEDGE_STRING) {
        return ledge_tflite_unsupported(t, op, "quantised");
    }
    switch (op->code) {
    case LEDGE_TFLITE_SCATTER_ND:
        node = scatter(t, op);
        break;
    case LEDGE_TFLITE_UNIQUE:
        node = unique(t, op);
        break;
    case LEDGE_TFLITE_REVERSE_SEQUENCE:
        node = LAST("ReverseSequence", IN(0), cast(t, IN(1), LEDGE_I64));
        node = set(t, node, "time_axis",
                   ledge_fb_i32(&t->fb, op->options, REVERSE_SEQUENCE_time, 0)) &&
                       set(t, node, "batch_axis",
                           ledge_fb_i32(&t->fb, op->options, REVERSE_SEQUENCE_batch, 0))
                   ? node
                   : -1;
        break;
    case LEDGE_TFLITE_RELU_0_TO_1:
        node = LAST("Clip", IN(0), ledge_tflite_const_f32(t, 0), ledge_tflite_const_f32(t, 1));
        break;
    case LEDGE_TFLITE_BITWISE_XOR:
        node = LAST("BitwiseXor", IN(0), IN(1));
        break;
    default: /* BITCAST */
        node = LAST("BitCast", IN(0));
        node = set(t, node, "to", (int64_t)ledge_tflite_out(t, op, 0)->dtype) ? node : -1;
        break;
    }
    return ledge_tflite_done(t, node >= 0);
}

enum ledge_status ledge_tflite_add_n(struct ledge_tflite *t, const struct ledge_tflite_op *op)
{
    if (!plain(t, op)) {
        return ledge_tflite_unsupported(t, op, "quantised");
    }
    int32_t *in = LEDGE_NEW_ARRAY(&t->graph->arena, int32_t, (size_t)op->n_in);
    for (int32_t i = 0; in != NULL && i < op->n_in; i++) {
        in[i] = IN(i);
    }
    return ledge_tflite_done(t, in != NULL && last(t, op, "Sum", in, op->n_in) >= 0);
}

/* Values and their places along the last axis. */
enum ledge_status ledge_tflite_topk(struct ledge_tflite *t, const struct ledge_tflite_op *op)
{
    int32_t places = ledge_tflite_temp(t), k = as_list(t, cast(t, IN(1), LEDGE_I64));
    int32_t in[2] = {IN(0), k}, out[2] = {ledge_tflite_out_value(t, op, 0), places};
    bool good =
        k >= 0 && in[0] >= 0 && places >= 0 && ledge_tflite_node(t, "", "TopK", in, 2, out, 2) >= 0;
    int32_t indices = ledge_tflite_out_value(t, op, 1);
    if (good && indices >= 0) {
        int32_t node = ledge_tflite_node1(t, "", "Cast", places, indices);
        good = set(t, node, "to", (int64_t)ledge_tflite_out(t, op, 1)->dtype);
    }
    return ledge_tflite_done(t, good);
}

/* ZEROS_LIKE, FILL, BROADCAST_TO: a value in a shape. */
enum ledge_status ledge_tflite_fill(struct ledge_tflite *t, const struct ledge_tflite_op *op)
{
    static const uint8_t zeros[16];
    enum ledge_dtype dtype = ledge_tflite_out(t, op, 0)->dtype;
    int32_t value, shape;
    if (op->code == LEDGE_TFLITE_ZEROS_LIKE) {
        if (ledge_dtype_size(dtype) == 0 || !plain(t, op)) {
            return ledge_tflite_unsupported(t, op, "type");
        }
        value = ledge_graph_add_constant(t->graph, NULL, dtype, 0, NULL, zeros, true);
        shape = ADD("Shape", IN(0));
    } else {
        bool fill = op->code == LEDGE_TFLITE_FILL;
        value = IN(fill ? 1 : 0);
        shape = cast(t, IN(fill ? 0 : 1), LEDGE_I64);
    }
    return ledge_tflite_done(t, LAST("Expand", value, shape) >= 0);
}

enum ledge_status ledge_tflite_gather_nd(struct ledge_tflite *t, const struct ledge_tflite_op *op)
{
    int32_t places = cast(t, IN(1), LEDGE_I64);
    return ledge_tflite_done(t, LAST("GatherND", IN(0), places) >= 0);
}

enum ledge_status ledge_tflite_embedding(struct ledge_tflite *t, const struct ledge_tflite_op *op)
{
    return ledge_tflite_done(t, set(t, LAST("Gather", IN(1), IN(0)), "axis", 0));
}

enum ledge_status ledge_tflite_reverse(struct ledge_tflite *t, const struct ledge_tflite_op *op)
{
    int64_t axes[LEDGE_MAX_RANK], starts[LEDGE_MAX_RANK], ends[LEDGE_MAX_RANK];
    int32_t n;
    if (!ledge_tflite_ints(ledge_tflite_in(t, op, 1), axes, LEDGE_MAX_RANK, &n)) {
        return ledge_tflite_unsupported(t, op, "variable axes");
    }
    for (int32_t i = 0; i < n; i++) {
        starts[i] = -1;
        ends[i] = INT64_MIN;
    }
    int32_t from = ledge_tflite_const_i64(t, starts, n), to = ledge_tflite_const_i64(t, ends, n);
    int32_t on = ledge_tflite_const_i64(t, axes, n);
    return ledge_tflite_done(t, LAST("Slice", IN(0), from, to, on, from) >= 0);
}

/* A condition of rank 1 chooses among rows; otherwise the shapes are one, or broadcast. */
enum ledge_status ledge_tflite_select_rows(struct ledge_tflite *t, const struct ledge_tflite_op *op)
{
    const struct ledge_tflite_tensor *c = ledge_tflite_in(t, op, 0), *x = ledge_tflite_in(t, op, 1);
    int32_t condition = IN(0);
    if (c->rank == 1 && x->rank > 1) {
        int64_t shape[LEDGE_MAX_RANK];
        for (int32_t i = 0; i < x->rank; i++) {
            shape[i] = i == 0 ? -1 : 1;
        }
        condition = ADD("Reshape", condition, ledge_tflite_const_i64(t, shape, x->rank));
    }
    return ledge_tflite_done(t, LAST("Where", condition, IN(1), IN(2)) >= 0);
}

/* Blocks of depth to places and back: ONNX does it on NCHW. */
enum ledge_status ledge_tflite_depth(struct ledge_tflite *t, const struct ledge_tflite_op *op)
{
    int32_t x = ADD("Transpose", IN(0));
    bool good = x >= 0 && ledge_graph_set_ints(t->graph, t->graph->n_nodes - 1, "perm",
                                               (int64_t[]){0, 3, 1, 2}, 4);
    int32_t y = ADD(op->onnx, x);
    good = good && y >= 0 &&
           set(t, t->graph->n_nodes - 1, "blocksize",
               ledge_fb_i32(&t->fb, op->options, DEPTH_block, 0));
    int32_t node = LAST("Transpose", y);
    return ledge_tflite_done(
        t, good && node >= 0 &&
               ledge_graph_set_ints(t->graph, node, "perm", (int64_t[]){0, 2, 3, 1}, 4));
}
