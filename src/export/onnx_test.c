/* SPDX-License-Identifier: Apache-2.0 */
/* onnx_test.c -- what the writer writes the reader reads back; damaged bytes are refused, never
 * believed. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "export/export.h"
#include "import/import.h"

enum { FILE_MAX = 1 << 20 };

/* conv(x, w, b) clamped to 0..6 -> relu6; softmax of opset 11 along the last axis; squeeze with an
 * attribute. */
static void build(struct ledge_graph *graph)
{
    static const float weights[2 * 1 * 3 * 3] = {1,  2,  3,  4,  5,  6,  7,  8,  9,
                                                 -1, -2, -3, -4, -5, -6, -7, -8, -9};
    static const float bias[2] = {0.5f, -0.5f};
    const int64_t x_dims[4] = {-1, 1, 3, 3}, w_dims[4] = {2, 1, 3, 3}, b_dims[1] = {2};
    const int64_t axes[2] = {2, 3};
    ledge_graph_init(graph, NULL);
    int32_t x = ledge_graph_add_value(graph, "x", LEDGE_F32, 4, x_dims);
    int32_t w = ledge_graph_add_constant(graph, "w", LEDGE_F32, 4, w_dims, weights, false);
    int32_t b = ledge_graph_add_constant(graph, "b", LEDGE_F32, 1, b_dims, bias, false);
    int32_t unused = ledge_graph_add_constant(graph, "unused", LEDGE_F32, 1, b_dims, bias, false);
    int32_t c = ledge_graph_add_value(graph, "c", LEDGE_F32, -1, NULL);
    int32_t s = ledge_graph_add_value(graph, "s", LEDGE_F32, -1, NULL);
    int32_t y = ledge_graph_add_value(graph, "y", LEDGE_F32, 2, (int64_t[]){-1, 2});
    int32_t conv =
        ledge_graph_add_node(graph, "", "Conv", 13, "conv", (int32_t[]){x, w, b}, 3, &c, 1);
    int32_t squeeze = ledge_graph_add_node(graph, "", "Squeeze", 11, "squeeze", &c, 1, &s, 1);
    int32_t soft = ledge_graph_add_node(graph, "", "Softmax", 11, "soft", &s, 1, &y, 1);
    assert_true(ledge_graph_set_float(graph, conv, "clamp_low", 0.0f));
    assert_true(ledge_graph_set_float(graph, conv, "clamp_high", 6.0f));
    assert_true(ledge_graph_set_ints(graph, conv, "kernel_shape", (int64_t[]){3, 3}, 2));
    assert_true(ledge_graph_set_string(graph, conv, "auto_pad", "VALID"));
    assert_true(ledge_graph_set_ints(graph, squeeze, "axes", axes, 2));
    assert_true(ledge_graph_set_int(graph, soft, "axis", 1));
    assert_true(ledge_graph_add_input(graph, x) == 0 && ledge_graph_add_output(graph, y) == 0);
    graph->values[x].dim_names[0] = "batch";
    assert_true(unused >= 0);
    assert_int_equal(ledge_graph_add_metadata(graph, "labels", "no\nyes"), 0);
}

static void write_model(struct ledge_buf *out)
{
    struct ledge_graph graph;
    struct ledge_error err = {0};
    build(&graph);
    enum ledge_status status = ledge_export_onnx(&graph, out, &err);
    if (status != LEDGE_OK) {
        fail_msg("%s", err.text);
    }
    ledge_graph_done(&graph);
}

static const struct ledge_node *node_named(const struct ledge_graph *graph, const char *name)
{
    for (int32_t i = 0; i < graph->n_nodes; i++) {
        if (strcmp(graph->nodes[i].name, name) == 0) {
            return &graph->nodes[i];
        }
    }
    fail_msg("no node %s", name);
    return NULL;
}

static void test_round_trip(void **state)
{
    (void)state;
    struct ledge_buf file = LEDGE_BUF_INIT(FILE_MAX);
    struct ledge_graph graph;
    struct ledge_error err = {0};
    size_t n = 0;
    write_model(&file);
    ledge_graph_init(&graph, NULL);
    assert_int_equal(ledge_import_onnx(file.data, file.len, &graph, &err), LEDGE_OK);
    assert_int_equal(graph.n_nodes, 4);
    assert_int_equal(graph.n_inputs, 1);
    assert_string_equal(graph.values[graph.inputs[0]].dim_names[0], "batch");
    assert_int_equal(graph.values[graph.inputs[0]].dims[0], -1);
    assert_int_equal(graph.values[graph.inputs[0]].dims[3], 3);
    assert_string_equal(ledge_graph_metadata(&graph, "labels"), "no\nyes");
    assert_int_equal(ledge_graph_find(&graph, "unused"), -1);
    const struct ledge_node *conv = node_named(&graph, "conv");
    assert_string_equal(ledge_node_string(conv, "auto_pad", ""), "VALID");
    assert_int_equal(ledge_node_ints(conv, "kernel_shape", &n)[1], 3);
    assert_int_equal(n, 2);
    assert_null(ledge_node_attr(conv, "clamp_low"));
    const struct ledge_node *clip = node_named(&graph, "conv.clamp");
    assert_string_equal(clip->op, "Clip");
    assert_true(*(const float *)graph.values[clip->in[2]].data == 6.0f);
    const struct ledge_node *squeeze = node_named(&graph, "squeeze");
    assert_int_equal(squeeze->opset, 13);
    assert_int_equal(((const int64_t *)graph.values[squeeze->in[1]].data)[1], 3);
    assert_int_equal(ledge_node_int(node_named(&graph, "soft"), "axis", 7), -1);
    const float *w = graph.values[ledge_graph_find(&graph, "w")].data;
    assert_true(w[17] == -9.0f);
    ledge_graph_done(&graph);
    ledge_buf_done(&file);
}

static void test_refuses_foreign(void **state)
{
    (void)state;
    struct ledge_buf file = LEDGE_BUF_INIT(FILE_MAX);
    struct ledge_graph graph;
    struct ledge_error err = {0};
    build(&graph);
    assert_true(ledge_graph_set_int(&graph, 0, "layout", LEDGE_NHWC));
    assert_int_equal(ledge_export_onnx(&graph, &file, &err), LEDGE_ERR_UNSUPPORTED);
    assert_non_null(strstr(err.text, "conv"));
    ledge_graph_done(&graph);
    struct ledge_buf small = LEDGE_BUF_INIT(100);
    build(&graph);
    assert_int_equal(ledge_export_onnx(&graph, &small, &err), LEDGE_ERR_NOMEM);
    ledge_graph_done(&graph);
    ledge_buf_done(&file);
    ledge_buf_done(&small);
}

/* Every prefix, and every byte changed: an error or a graph, never a crash (run under the
 * sanitizers). */
static void test_damage(void **state)
{
    (void)state;
    struct ledge_buf file = LEDGE_BUF_INIT(FILE_MAX);
    struct ledge_error err;
    size_t refused = 0;
    write_model(&file);
    for (size_t i = 0; i < file.len; i++) {
        struct ledge_graph graph;
        uint8_t *copy = malloc(file.len);
        assert_non_null(copy);
        memcpy(copy, file.data, file.len);
        ledge_graph_init(&graph, NULL);
        refused += ledge_import_onnx(copy, i, &graph, &err) != LEDGE_OK;
        ledge_graph_done(&graph);
        for (unsigned bit = 0; bit < 8; bit++) {
            copy[i] ^= (uint8_t)(1u << bit);
            ledge_graph_init(&graph, NULL);
            refused += ledge_import_onnx(copy, file.len, &graph, &err) != LEDGE_OK;
            ledge_graph_done(&graph);
            copy[i] ^= (uint8_t)(1u << bit);
        }
        free(copy);
    }
    assert_true(refused > file.len);
    ledge_buf_done(&file);
}

static void test_tensor(void **state)
{
    (void)state;
    static const int16_t data[6] = {1, -2, 3, -4, 5, -32768};
    struct ledge_view view = {.data = (void *)data, .dtype = LEDGE_I16, .rank = 2, .dims = {2, 3}},
                      back;
    struct ledge_buf file = LEDGE_BUF_INIT(4096);
    struct ledge_graph owner;
    const char *name = NULL;
    struct ledge_error err = {0};
    ledge_graph_init(&owner, NULL);
    assert_int_equal(ledge_export_tensor_proto(&view, "t", &file, &err), LEDGE_OK);
    assert_int_equal(
        ledge_import_tensor_proto(file.data, file.len, &owner.arena, &back, &name, &err), LEDGE_OK);
    assert_string_equal(name, "t");
    assert_int_equal(back.dtype, LEDGE_I16);
    assert_int_equal(back.rank, 2);
    assert_memory_equal(back.data, data, sizeof data);
    ledge_graph_done(&owner);
    ledge_buf_done(&file);
}

/* Types of 4 and 2 bits are packed in the file and a byte an element here, whatever the count. */
static void test_packed_tensor(void **state)
{
    (void)state;
    static const struct {
        enum ledge_dtype dtype;
        int8_t data[5];
    } rows[] = {{LEDGE_I4, {-8, 7, -1, 0, 3}},
                {LEDGE_U4, {15, 0, 8, 1, 9}},
                {LEDGE_I2, {-2, 1, -1, 0, -2}},
                {LEDGE_U2, {3, 0, 1, 2, 3}},
                {LEDGE_F4E2M1, {15, 7, 8, 0, 1}}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (int64_t n = 0; n <= 5; n++) {
            struct ledge_view view = {.data = (void *)rows[i].data,
                                      .dtype = rows[i].dtype,
                                      .rank = 1,
                                      .dims = {n}},
                              back;
            struct ledge_buf file = LEDGE_BUF_INIT(4096);
            struct ledge_graph owner;
            struct ledge_error err = {0};
            ledge_graph_init(&owner, NULL);
            assert_int_equal(ledge_export_tensor_proto(&view, "t", &file, &err), LEDGE_OK);
            assert_int_equal(
                ledge_import_tensor_proto(file.data, file.len, &owner.arena, &back, NULL, &err),
                LEDGE_OK);
            assert_int_equal(back.dtype, rows[i].dtype);
            assert_memory_equal(back.data, rows[i].data, (size_t)n);
            ledge_graph_done(&owner);
            ledge_buf_done(&file);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),    cmocka_unit_test(test_refuses_foreign),
        cmocka_unit_test(test_damage),        cmocka_unit_test(test_tensor),
        cmocka_unit_test(test_packed_tensor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
