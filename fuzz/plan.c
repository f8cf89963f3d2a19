/* SPDX-License-Identifier: Apache-2.0 */
/* plan.c -- fuzz operators, passes, planner and kernels without a file format in the way: the bytes
 * choose operators from the built-in tables, their inputs, shapes, constants and attributes.
 *
 * The first byte picks the rung. Then, until the bytes end: add an input, add a constant, add a
 * node. Whatever nobody reads becomes an output. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/plan/passes.h"
#include "engine/port/port.h"
#include "run_plan.h"

enum { NODES_MAX = 8, VALUES_MAX = 40, IN_MAX = 6, OUT_MAX = 3, ATTRS_MAX = 6, DATA_MAX = 4096 };

struct source {
    const uint8_t *at;
    size_t left;
};

static uint8_t take(struct source *s)
{
    if (s->left == 0) {
        return 0;
    }
    s->left--;
    return *s->at++;
}

/* Mostly small; now and then at an end of the range. */
static int64_t number(struct source *s)
{
    static const int64_t ends[8] = {INT64_MAX, INT64_MIN, INT32_MAX,        INT32_MIN,
                                    1 << 20,   -1000,     (int64_t)1 << 40, 65537};
    uint8_t x = take(s);
    return x >= 248 ? ends[x - 248] : (int64_t)(x % 16) - 3;
}

static int32_t shape(struct source *s, int64_t *dims)
{
    int32_t rank = take(s) % 6;
    for (int32_t i = 0; i < rank; i++) {
        uint8_t x = take(s);
        dims[i] = x > 250 ? 0 : x % 7 + 1;
    }
    return rank;
}

static enum ledge_dtype dtype(struct source *s)
{
    static const enum ledge_dtype likely[] = {
        LEDGE_F32,  LEDGE_F32, LEDGE_I64, LEDGE_I32, LEDGE_U8,  LEDGE_I8,  LEDGE_F16,
        LEDGE_BOOL, LEDGE_F64, LEDGE_U16, LEDGE_I16, LEDGE_U32, LEDGE_U64, LEDGE_BF16};
    return likely[take(s) % (sizeof likely / sizeof likely[0])];
}

static size_t elements(int32_t rank, const int64_t *dims)
{
    size_t n = 1;
    for (int32_t i = 0; i < rank; i++) {
        n *= (size_t)dims[i];
    }
    return n;
}

static void store(struct source *s, enum ledge_dtype type, size_t i, void *to)
{
    size_t size = ledge_dtype_size(type);
    int64_t whole = number(s);
    float real = (float)whole / 2;
    double wide = (double)real;
    const void *from = type == LEDGE_F32   ? (const void *)&real
                       : type == LEDGE_F64 ? (const void *)&wide
                                           : (const void *)&whole;
    if (type == LEDGE_BOOL) {
        whole &= 1;
    }
    memcpy((char *)to + i * size, from, size);
}

static void add_value(struct ledge_graph *graph, struct source *s, bool constant)
{
    static uint64_t data[DATA_MAX / 8];
    int64_t dims[LEDGE_MAX_RANK];
    enum ledge_dtype type = dtype(s);
    int32_t rank = shape(s, dims);
    size_t n = elements(rank, dims);
    if (!constant) {
        (void)ledge_graph_add_input(graph, ledge_graph_add_value(graph, NULL, type, rank, dims));
        return;
    }
    if (n * ledge_dtype_size(type) > sizeof data) {
        return;
    }
    memset(data, 0, sizeof data);
    for (size_t i = 0; i < n; i++) {
        store(s, type, i, data);
    }
    (void)ledge_graph_add_constant(graph, NULL, type, rank, dims, data, true);
}

static void add_attribute(struct ledge_graph *graph, struct source *s, int32_t node)
{
    static const char *const names[] = {"axis",
                                        "axes",
                                        "kernel_shape",
                                        "strides",
                                        "pads",
                                        "dilations",
                                        "group",
                                        "keepdims",
                                        "mode",
                                        "auto_pad",
                                        "ceil_mode",
                                        "count_include_pad",
                                        "epsilon",
                                        "alpha",
                                        "beta",
                                        "to",
                                        "perm",
                                        "transA",
                                        "transB",
                                        "output_shape",
                                        "output_padding",
                                        "storage_order",
                                        "blocksize",
                                        "hidden_size",
                                        "direction",
                                        "batch_axis",
                                        "time_axis",
                                        "largest",
                                        "sorted",
                                        "k",
                                        "exclusive",
                                        "reverse",
                                        "num_groups",
                                        "size",
                                        "equation",
                                        "reduction",
                                        "upper",
                                        "exponent",
                                        "num_heads",
                                        "kv_num_heads",
                                        "scale",
                                        "q_num_heads",
                                        "batch_dims",
                                        "num_outputs",
                                        "split",
                                        "coordinate_transformation_mode",
                                        "nearest_mode",
                                        "layout",
                                        "clamp_low",
                                        "clamp_high",
                                        "stash_type",
                                        "center_point_box",
                                        "sampling_ratio",
                                        "output_height",
                                        "output_width",
                                        "p",
                                        "onesided",
                                        "dft_length",
                                        "block_size",
                                        "offset_group",
                                        "allowzero",
                                        "noop_with_empty_axes",
                                        "select_last_index",
                                        "align_corners",
                                        "padding_mode",
                                        "cubic_coeff_a",
                                        "antialias",
                                        "detect_negative",
                                        "value",
                                        "dtype",
                                        "is_causal",
                                        "softcap",
                                        "interleaved",
                                        "periodic",
                                        "padding",
                                        "stride_h",
                                        "stride_w",
                                        "rank",
                                        "units",
                                        "seed",
                                        "bias",
                                        "fmod",
                                        "start",
                                        "end"};
    static const char *const texts[] = {
        "constant", "reflect",       "edge",       "wrap",       "linear",
        "nearest",  "cubic",         "SAME_UPPER", "VALID",      "SAME_LOWER",
        "forward",  "bidirectional", "reverse",    "add",        "mul",
        "max",      "none",          "mean",       "ij,jk->ik",  "...i->i",
        "ii->",     "align_corners", "asymmetric", "half_pixel", "border",
        "zeros",    "DCR",           "CRD",        "tanh",       "tf_crop_and_resize",
        "floor",    "bilinear",      "sum",        "avg"};
    const char *name = names[take(s) % (sizeof names / sizeof names[0])];
    int64_t list[8];
    size_t n;
    switch (take(s) % 5) {
    case 0:
    case 1:
        (void)ledge_graph_set_int(graph, node, name, number(s));
        break;
    case 2:
        (void)ledge_graph_set_float(graph, node, name, (float)number(s) / 2);
        break;
    case 3:
        (void)ledge_graph_set_string(graph, node, name,
                                     texts[take(s) % (sizeof texts / sizeof texts[0])]);
        break;
    default:
        n = take(s) % 9u;
        for (size_t i = 0; i < n && i < 8; i++) {
            list[i] = number(s);
        }
        (void)ledge_graph_set_ints(graph, node, name, list, n < 8 ? n : 8);
    }
}

static const struct ledge_op *pick(struct source *s)
{
    static const struct ledge_op_table *const tables[] = {&ledge_ops_core, &ledge_ops_onnx,
                                                          &ledge_ops_onnx, &ledge_ops_tfl};
    const struct ledge_op_table *table = tables[take(s) % 4];
    int32_t number = take(s) << 8;
    number |= take(s);
    return &table->ops[number % table->n];
}

static void add_node(struct ledge_graph *graph, struct source *s)
{
    static const int32_t opsets[] = {1, 7, 9, 10, 11, 12, 13, 14, 16, 17, 18, 19, 20, 21, 22, 24};
    int32_t in[IN_MAX], out[OUT_MAX];
    const struct ledge_op *op = pick(s);
    int32_t n_in = take(s) % (IN_MAX + 1);
    int32_t n_out = 1 + (take(s) % 8 == 0 ? take(s) % OUT_MAX : 0);
    int32_t values = graph->n_values;
    for (int32_t i = 0; i < n_in; i++) {
        uint8_t x = take(s);
        in[i] = x == 255 || values == 0 ? -1 : values - 1 - x % values;
    }
    for (int32_t i = 0; i < n_out; i++) {
        out[i] = ledge_graph_add_value(graph, NULL, LEDGE_DTYPE_NONE, -1, NULL);
    }
    int32_t node = ledge_graph_add_node(graph, op->domain, op->name,
                                        opsets[take(s) % (sizeof opsets / sizeof opsets[0])], NULL,
                                        in, n_in, out, n_out);
    int32_t n = take(s) % (ATTRS_MAX + 1);
    for (int32_t i = 0; i < n && node >= 0; i++) {
        add_attribute(graph, s, node);
    }
}

static void build(struct ledge_graph *graph, struct source *s)
{
    add_value(graph, s, false);
    while (s->left > 0 && graph->n_nodes < NODES_MAX && graph->n_values < VALUES_MAX) {
        uint8_t what = take(s) % 4;
        if (what == 0) {
            add_value(graph, s, take(s) % 2 == 0);
        } else if (what == 1) {
            add_value(graph, s, true);
        } else {
            add_node(graph, s);
        }
    }
    for (int32_t i = 0; i < graph->n_nodes; i++) {
        const struct ledge_node *node = &graph->nodes[i];
        for (int32_t k = 0; k < node->n_out; k++) {
            if (ledge_graph_readers(graph, node->out[k], NULL, 0) == 0) {
                (void)ledge_graph_add_output(graph, node->out[k]);
            }
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct source s = {.at = data, .left = size};
    struct ledge_graph graph;
    struct ledge_error err = {.text = ""};
    struct ledge_plan *plan = NULL;
    const struct ledge_plan_options options = {
        .rung = take(&s) % 2 == 0 ? LEDGE_RUNG_C : ledge_port_rung(), .threads = 1};
    ledge_graph_init(&graph, NULL);
    build(&graph, &s);
    if (ledge_passes_run(&graph, &err) == LEDGE_OK &&
        ledge_plan_create(&graph, &options, &fuzz_memory, &plan, &err) == LEDGE_OK) {
        fuzz_run(plan, size > 0 ? data[0] : 0, &err);
        ledge_plan_free(plan);
    }
    ledge_graph_done(&graph);
    return 0;
}
