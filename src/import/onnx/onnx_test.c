/* SPDX-License-Identifier: Apache-2.0 */
/* onnx_test.c -- encodings that our own writer never makes: typed fields packed and not, old files,
 * refusals that name what they refuse. Messages are put together here byte by byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "import/import.h"

enum { MAX = 4096 };

static void put_varint(struct ledge_buf *b, uint64_t v)
{
    for (; v > 0x7f; v >>= 7) {
        (void)ledge_buf_add(b, &(uint8_t){(uint8_t)(v | 0x80)}, 1);
    }
    (void)ledge_buf_add(b, &(uint8_t){(uint8_t)v}, 1);
}

static void put_int(struct ledge_buf *b, uint32_t field, uint64_t v)
{
    put_varint(b, (uint64_t)field << 3);
    put_varint(b, v);
}

static void put_bytes(struct ledge_buf *b, uint32_t field, const void *bytes, size_t n)
{
    put_varint(b, (uint64_t)field << 3 | 2);
    put_varint(b, n);
    (void)ledge_buf_add(b, bytes, n);
}

static void put_text(struct ledge_buf *b, uint32_t field, const char *text)
{
    put_bytes(b, field, text, strlen(text));
}

static void put_child(struct ledge_buf *b, uint32_t field, struct ledge_buf *child)
{
    put_bytes(b, field, child->data, child->len);
    ledge_buf_clear(child);
}

static enum ledge_status read_tensor(struct ledge_buf *b, struct ledge_graph *owner,
                                     struct ledge_view *view, struct ledge_error *err)
{
    ledge_graph_init(owner, NULL);
    enum ledge_status status =
        ledge_import_tensor_proto(b->data, b->len, &owner->arena, view, NULL, err);
    ledge_buf_done(b);
    return status;
}

static void test_typed_fields(void **state)
{
    (void)state;
    struct ledge_buf b = LEDGE_BUF_INIT(MAX);
    struct ledge_graph owner;
    struct ledge_view view;
    struct ledge_error err = {0};
    put_int(&b, 1, 3); /* dims */
    put_int(&b, 2, LEDGE_I8);
    put_bytes(&b, 5, "\x01\x02", 2); /* int32_data, packed 1, 2 */
    put_int(&b, 5, (uint64_t)-3);    /* and one unpacked */
    assert_int_equal(read_tensor(&b, &owner, &view, &err), LEDGE_OK);
    assert_memory_equal(view.data, ((int8_t[]){1, 2, -3}), 3);
    ledge_graph_done(&owner);

    float f[2] = {1.5f, -2.5f};
    put_int(&b, 1, 2);
    put_int(&b, 2, LEDGE_F32);
    put_bytes(&b, 4, f, sizeof f);
    assert_int_equal(read_tensor(&b, &owner, &view, &err), LEDGE_OK);
    assert_memory_equal(view.data, f, sizeof f);
    ledge_graph_done(&owner);

    put_int(&b, 2, LEDGE_I64); /* a scalar: no dims */
    put_int(&b, 7, (uint64_t)-7);
    assert_int_equal(read_tensor(&b, &owner, &view, &err), LEDGE_OK);
    assert_int_equal(view.rank, 0);
    assert_int_equal(*(const int64_t *)view.data, -7);
    ledge_graph_done(&owner);

    put_int(&b, 1, 2);
    put_int(&b, 2, LEDGE_BOOL);
    put_bytes(&b, 9, "\x00\xff", 2);
    assert_int_equal(read_tensor(&b, &owner, &view, &err), LEDGE_OK);
    assert_memory_equal(view.data, ((uint8_t[]){0, 1}), 2);
    ledge_graph_done(&owner);
}

static void refuse(struct ledge_buf *b, enum ledge_status status, const char *word)
{
    struct ledge_graph owner;
    struct ledge_view view;
    struct ledge_error err = {0};
    assert_int_equal(read_tensor(b, &owner, &view, &err), status);
    if (strstr(err.text, word) == NULL) {
        fail_msg("'%s' does not say '%s'", err.text, word);
    }
    ledge_graph_done(&owner);
}

static void test_tensor_refusals(void **state)
{
    (void)state;
    struct ledge_buf b = LEDGE_BUF_INIT(MAX);
    put_text(&b, 8, "weights");
    put_int(&b, 1, UINT64_C(1) << 40); /* asks for 4 TiB, brings 4 bytes */
    put_int(&b, 2, LEDGE_F32);
    put_bytes(&b, 9, "abcd", 4);
    refuse(&b, LEDGE_ERR_FORMAT, "weights");
    put_int(&b, 1, UINT64_C(1) << 40);
    put_int(&b, 2, LEDGE_F32);
    put_bytes(&b, 4, "abcd", 4);
    refuse(&b, LEDGE_ERR_FORMAT, "the file has 1");
    for (int i = 0; i < 2; i++) {
        put_int(&b, 1, UINT64_C(1) << 40);
    }
    put_int(&b, 2, LEDGE_U8);
    refuse(&b, LEDGE_ERR_FORMAT, "overflow");
    for (int i = 0; i <= LEDGE_MAX_RANK; i++) {
        put_int(&b, 1, 1);
    }
    refuse(&b, LEDGE_ERR_UNSUPPORTED, "more than 8 dimensions");
    put_int(&b, 2, LEDGE_STRING);
    refuse(&b, LEDGE_ERR_FORMAT, "1 strings expected, there are 0");
    const char raw[sizeof(struct ledge_string)] = "no pointer";
    put_int(&b, 2, LEDGE_STRING);
    put_bytes(&b, 9, raw, sizeof raw);
    refuse(&b, LEDGE_ERR_FORMAT, "strings expected");
    put_int(&b, 2, 14);
    refuse(&b, LEDGE_ERR_UNSUPPORTED, "complex64");
    put_int(&b, 2, 99);
    refuse(&b, LEDGE_ERR_FORMAT, "unknown element type 99");
    put_int(&b, 2, LEDGE_F32);
    put_int(&b, 14, 1);
    refuse(&b, LEDGE_ERR_UNSUPPORTED, "external data");
    put_int(&b, 2, LEDGE_F32);
    put_bytes(&b, 5, "\x01", 1); /* floats in the field of int32 */
    refuse(&b, LEDGE_ERR_FORMAT, "f32");
}

/* A model of one node; kind says what is wrong with it. */
enum wrong { RIGHT, NO_PRODUCER, TWO_PRODUCERS, CYCLE, MAP, SPARSE, NO_GRAPH, SUB_GRAPH };

static void put_node(struct ledge_buf *graph, const char *op, const char *in, const char *out,
                     bool sub_graph)
{
    struct ledge_buf node = LEDGE_BUF_INIT(MAX), attr = LEDGE_BUF_INIT(MAX);
    put_text(&node, 1, in);
    put_text(&node, 2, out);
    put_text(&node, 3, "n");
    put_text(&node, 4, op);
    if (sub_graph) {
        put_text(&attr, 1, "then_branch");
        put_bytes(&attr, 6, "", 0);
        put_int(&attr, 20, 5);
        put_child(&node, 5, &attr);
    }
    put_child(graph, 1, &node);
    ledge_buf_done(&node);
    ledge_buf_done(&attr);
}

static void put_value(struct ledge_buf *graph, uint32_t field, const char *name, bool map)
{
    struct ledge_buf value = LEDGE_BUF_INIT(MAX), type = LEDGE_BUF_INIT(MAX),
                     tensor = LEDGE_BUF_INIT(MAX);
    put_int(&tensor, 1, LEDGE_F32);
    put_child(&type, map ? 5 : 1, &tensor);
    put_text(&value, 1, name);
    put_child(&value, 2, &type);
    put_child(graph, field, &value);
    ledge_buf_done(&value);
    ledge_buf_done(&type);
    ledge_buf_done(&tensor);
}

static void make_model(struct ledge_buf *model, enum wrong wrong)
{
    struct ledge_buf graph = LEDGE_BUF_INIT(MAX);
    put_value(&graph, 11, "x", wrong == MAP);
    put_value(&graph, 12, "y", false);
    put_node(&graph, wrong == SUB_GRAPH ? "If" : "Relu",
             wrong == NO_PRODUCER ? "z"
             : wrong == CYCLE     ? "y"
                                  : "x",
             "y", wrong == SUB_GRAPH);
    if (wrong == TWO_PRODUCERS) {
        put_node(&graph, "Abs", "x", "y", false);
    }
    if (wrong == SPARSE) {
        put_bytes(&graph, 15, "", 0);
    }
    put_int(model, 1, 3);
    if (wrong != NO_GRAPH) {
        put_child(model, 7, &graph);
    }
    ledge_buf_done(&graph);
}

static void test_models(void **state)
{
    (void)state;
    static const struct {
        enum wrong wrong;
        enum ledge_status status;
        const char *word;
    } cases[] = {
        {RIGHT, LEDGE_OK, ""},
        {SUB_GRAPH, LEDGE_OK, ""},
        {NO_PRODUCER, LEDGE_ERR_FORMAT, "z is never produced"},
        {TWO_PRODUCERS, LEDGE_ERR_FORMAT, "y exists already"},
        {CYCLE, LEDGE_ERR_FORMAT, "cycle"},
        {MAP, LEDGE_ERR_UNSUPPORTED, "value x: type map"},
        {SPARSE, LEDGE_ERR_UNSUPPORTED, "sparse"},
        {NO_GRAPH, LEDGE_ERR_FORMAT, "no graph"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ledge_buf model = LEDGE_BUF_INIT(MAX);
        struct ledge_graph graph;
        struct ledge_error err = {0};
        make_model(&model, cases[i].wrong);
        ledge_graph_init(&graph, NULL);
        enum ledge_status status = ledge_import_onnx(model.data, model.len, &graph, &err);
        if (status != cases[i].status || strstr(err.text, cases[i].word) == NULL) {
            fail_msg("case %zu: %s: '%s'", i, ledge_status_name(status), err.text);
        }
        ledge_graph_done(&graph);
        ledge_buf_done(&model);
    }
}

/* -- sub-graphs and functions -- */

/* If(c) whose branches are If(c) whose branches ... depth times, the innermost Neg(x). */
static void put_nested(struct ledge_buf *graph, int depth)
{
    if (depth == 0) {
        put_node(graph, "Neg", "x", "y", false);
    } else {
        struct ledge_buf node = LEDGE_BUF_INIT(1 << 16), attr = LEDGE_BUF_INIT(1 << 16),
                         inner = LEDGE_BUF_INIT(1 << 16);
        put_text(&node, 1, "c");
        put_text(&node, 2, "y");
        put_text(&node, 4, "If");
        put_nested(&inner, depth - 1);
        for (int i = 0; i < 2; i++) {
            put_text(&attr, 1, i == 0 ? "then_branch" : "else_branch");
            put_bytes(&attr, 6, inner.data, i == 0 || depth == 1 ? inner.len : 0);
            put_int(&attr, 20, 5);
            put_child(&node, 5, &attr);
        }
        put_child(graph, 1, &node);
        ledge_buf_done(&node);
        ledge_buf_done(&attr);
        ledge_buf_done(&inner);
    }
    put_value(graph, 12, "y", false);
}

static enum ledge_status import_nested(int depth, struct ledge_graph *graph,
                                       struct ledge_error *err)
{
    struct ledge_buf model = LEDGE_BUF_INIT(1 << 18), body = LEDGE_BUF_INIT(1 << 18);
    put_value(&body, 11, "x", false);
    put_value(&body, 11, "c", false);
    put_nested(&body, depth);
    put_int(&model, 1, 8);
    put_child(&model, 7, &body);
    ledge_graph_init(graph, NULL);
    enum ledge_status status = ledge_import_onnx(model.data, model.len, graph, err);
    ledge_buf_done(&model);
    ledge_buf_done(&body);
    return status;
}

static void test_sub_graphs(void **state)
{
    (void)state;
    struct ledge_graph graph;
    struct ledge_error err = {0};
    assert_int_equal(import_nested(3, &graph, &err), LEDGE_OK);
    const struct ledge_node *node = &graph.nodes[0];
    for (int depth = 3; depth > 0; depth--) { /* x and c are captured at every level */
        const struct ledge_graph *branch = ledge_node_graph(node, "then_branch");
        assert_non_null(branch);
        assert_int_equal(branch->n_captures, depth == 1 ? 1 : 2);
        assert_int_equal(ledge_node_own_inputs(node), 1);
        node = &branch->nodes[0];
    }
    assert_string_equal(node->op, "Neg");
    ledge_graph_done(&graph);
    assert_int_equal(import_nested(LEDGE_MAX_DEPTH + 1, &graph, &err), LEDGE_ERR_UNSUPPORTED);
    assert_non_null(strstr(err.text, "deep"));
    ledge_graph_done(&graph);
}

/* Function own.F(a; alpha = 0.5) = LeakyRelu(calls(a); alpha). */
static void put_function(struct ledge_buf *model, const char *inner, const char *domain)
{
    struct ledge_buf function = LEDGE_BUF_INIT(MAX), node = LEDGE_BUF_INIT(MAX),
                     attr = LEDGE_BUF_INIT(MAX);
    put_text(&function, 1, "F");
    put_text(&function, 4, "a");
    put_text(&function, 5, "b");
    put_text(&function, 10, "own");
    put_text(&node, 1, "a");
    put_text(&node, 2, "inside");
    put_text(&node, 4, inner);
    put_text(&node, 7, domain);
    put_child(&function, 7, &node);
    put_text(&node, 1, "inside");
    put_text(&node, 2, "b");
    put_text(&node, 4, "LeakyRelu");
    put_text(&attr, 1, "alpha");
    put_text(&attr, 21, "slope");
    put_int(&attr, 20, 1);
    put_child(&node, 5, &attr);
    put_child(&function, 7, &node);
    put_child(model, 25, &function);
    ledge_buf_done(&function);
    ledge_buf_done(&node);
    ledge_buf_done(&attr);
}

static enum ledge_status import_calls(const char *inner, const char *domain,
                                      struct ledge_graph *graph, struct ledge_error *err)
{
    const float slope = 0.25f;
    struct ledge_buf model = LEDGE_BUF_INIT(MAX), body = LEDGE_BUF_INIT(MAX),
                     node = LEDGE_BUF_INIT(MAX), attr = LEDGE_BUF_INIT(MAX);
    put_value(&body, 11, "x", false);
    for (int i = 0; i < 2; i++) {
        put_text(&node, 1, i == 0 ? "x" : "m");
        put_text(&node, 2, i == 0 ? "m" : "y");
        put_text(&node, 4, "F");
        put_text(&node, 7, "own");
        if (i == 1) {
            put_text(&attr, 1, "slope");
            put_varint(&attr, 2 << 3 | 5);
            (void)ledge_buf_add(&attr, &slope, 4);
            put_int(&attr, 20, 1);
            put_child(&node, 5, &attr);
        }
        put_child(&body, 1, &node);
    }
    put_value(&body, 12, "y", false);
    put_int(&model, 1, 8);
    put_child(&model, 7, &body);
    put_function(&model, inner, domain);
    ledge_graph_init(graph, NULL);
    enum ledge_status status = ledge_import_onnx(model.data, model.len, graph, err);
    ledge_buf_done(&model);
    ledge_buf_done(&body);
    ledge_buf_done(&node);
    ledge_buf_done(&attr);
    return status;
}

static void test_functions(void **state)
{
    (void)state;
    struct ledge_graph graph;
    struct ledge_error err = {0};
    assert_int_equal(import_calls("Neg", "", &graph, &err), LEDGE_OK);
    assert_int_equal(graph.n_nodes, 4);
    assert_string_equal(graph.nodes[0].op, "Neg");
    assert_null(ledge_node_attr(&graph.nodes[1], "alpha")); /* neither given nor a default */
    assert_true(ledge_node_float(&graph.nodes[3], "alpha", 0) == 0.25f);
    assert_string_equal(graph.values[graph.outputs[0]].name, "y");
    ledge_graph_done(&graph);
    assert_int_equal(import_calls("F", "own", &graph, &err), LEDGE_ERR_UNSUPPORTED);
    assert_non_null(strstr(err.text, "function F"));
    ledge_graph_done(&graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_typed_fields), cmocka_unit_test(test_tensor_refusals),
        cmocka_unit_test(test_models),       cmocka_unit_test(test_sub_graphs),
        cmocka_unit_test(test_functions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
