/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/inflate.h"
#include "engine/run/run.h"
#include "import/import.h"
#include "import/tflite/build_model.h"
#include "import/tflite/schema.h"
#include "import/tflite/zip.h"

#define ALL 0xffffffffu

struct tensor {
    const char *name;
    int32_t dims[2];
    uint32_t buffer;
};

static void add_tensor(struct test_fb *fb, size_t place, const struct tensor *tensor)
{
    size_t table = test_fb_table(fb, 4, ALL);
    test_fb_link(fb, place, table);
    test_fb_set(fb, table, TENSOR_type, TFLITE_FLOAT32);
    test_fb_set(fb, table, TENSOR_buffer, tensor->buffer);
    (void)test_fb_vector(fb, table, TENSOR_shape, tensor->dims[1] == 0 ? 1 : 2, tensor->dims, 4);
    test_fb_text(fb, table, TENSOR_name, tensor->name);
}

static void add_operator(struct test_fb *fb, size_t place, uint32_t code, uint32_t n_in,
                         const int32_t *in, int32_t out)
{
    size_t table = test_fb_table(fb, 3, ALL);
    test_fb_link(fb, place, table);
    test_fb_set(fb, table, OPERATOR_opcode_index, code);
    (void)test_fb_vector(fb, table, OPERATOR_inputs, n_in, in, 4);
    (void)test_fb_vector(fb, table, OPERATOR_outputs, 1, &out, 4);
}

/* y = relu(w x + b) of size 2 and 3: FULLY_CONNECTED, then operator `second` (RELU when it is 0).
 */
static void make_model(struct test_fb *fb, uint32_t second, const char *custom)
{
    static const float w[6] = {1, 2, 3, -4, 5, 6};
    static const float b[2] = {0.5f, -100};
    static const struct tensor tensors[5] = {
        {"x", {1, 3}, 0}, {"w", {2, 3}, 1}, {"b", {2, 0}, 2}, {"h", {1, 2}, 0}, {"y", {1, 2}, 0}};
    test_fb_start(fb, "TFL3");
    size_t model = test_fb_table(fb, 5, 0x17);
    test_fb_set(fb, model, MODEL_version, 3);
    size_t codes = test_fb_vector(fb, model, MODEL_operator_codes, 2, NULL, 4);
    size_t graphs = test_fb_vector(fb, model, MODEL_subgraphs, 1, NULL, 4);
    size_t buffers = test_fb_vector(fb, model, MODEL_buffers, 3, NULL, 4);
    size_t code = test_fb_table(fb, 4, 0xd);
    test_fb_link(fb, codes, code);
    test_fb_set(fb, code, OPCODE_builtin_code, LEDGE_TFLITE_FULLY_CONNECTED);
    code = test_fb_table(fb, 4, custom != NULL ? 0xb : 0x9);
    test_fb_link(fb, codes + 4, code);
    test_fb_set(fb, code, OPCODE_builtin_code, second != 0 ? second : LEDGE_TFLITE_RELU);
    if (custom != NULL) {
        test_fb_text(fb, code, OPCODE_custom_code, custom);
    }
    size_t graph = test_fb_table(fb, 4, ALL);
    test_fb_link(fb, graphs, graph);
    size_t list = test_fb_vector(fb, graph, SUBGRAPH_tensors, 5, NULL, 4);
    (void)test_fb_vector(fb, graph, SUBGRAPH_inputs, 1, (const int32_t[]){0}, 4);
    (void)test_fb_vector(fb, graph, SUBGRAPH_outputs, 1, (const int32_t[]){4}, 4);
    size_t operators = test_fb_vector(fb, graph, SUBGRAPH_operators, 2, NULL, 4);
    for (size_t i = 0; i < 5; i++) {
        add_tensor(fb, list + 4 * i, &tensors[i]);
    }
    add_operator(fb, operators, 0, 3, (const int32_t[]){0, 1, 2}, 3);
    add_operator(fb, operators + 4, 1, 1, (const int32_t[]){3}, 4);
    for (size_t i = 0; i < 3; i++) {
        size_t buffer = test_fb_table(fb, 1, i > 0 ? 1 : 0);
        test_fb_link(fb, buffers + 4 * i, buffer);
        if (i > 0) {
            (void)test_fb_vector(fb, buffer, BUFFER_data, i == 1 ? 24 : 8,
                                 i == 1 ? (const void *)w : b, 1);
        }
    }
}

/* Import and plan from an exact copy, so that a read past the end is seen. */
static enum ledge_status try_model(const uint8_t *bytes, size_t n, struct ledge_error *err)
{
    uint8_t *copy = malloc(n + 1);
    assert_non_null(copy);
    memcpy(copy, bytes, n);
    uint8_t *exact = realloc(copy, n > 0 ? n : 1);
    struct ledge_graph graph;
    ledge_graph_init(&graph, NULL);
    enum ledge_status status = ledge_import_tflite(exact, n, &graph, err);
    if (status == LEDGE_OK) {
        struct ledge_plan_options options = {.rung = LEDGE_RUNG_C};
        struct ledge_plan *plan = NULL;
        status = ledge_plan_create(&graph, &options, NULL, &plan, err);
        if (status == LEDGE_OK) {
            ledge_plan_free(plan);
        }
    }
    ledge_graph_done(&graph);
    free(exact);
    return status;
}

static void a_small_model_runs(void **state)
{
    (void)state;
    struct test_fb fb;
    struct ledge_graph graph;
    struct ledge_error err = {0};
    struct ledge_plan_options options = {.rung = LEDGE_RUNG_C};
    struct ledge_plan *plan;
    struct ledge_run *run;
    make_model(&fb, 0, NULL);
    ledge_graph_init(&graph, NULL);
    assert_int_equal(ledge_import_tflite(fb.bytes, fb.n, &graph, &err), LEDGE_OK);
    assert_string_equal(graph.values[graph.inputs[0]].name, "x");
    assert_int_equal(ledge_plan_create(&graph, &options, NULL, &plan, &err), LEDGE_OK);
    assert_int_equal(ledge_run_create(plan, NULL, NULL, &run, &err), LEDGE_OK);
    const float x[3] = {1, 2, 3};
    ledge_run_bind(run, 0, x);
    assert_int_equal(ledge_run_once(run, &err), LEDGE_OK);
    const float *y = ledge_run_output(run, 0).data;
    assert_true(y[0] == 14.5f && y[1] == 0.0f);
    ledge_run_free(run);
    ledge_plan_free(plan);
    ledge_graph_done(&graph);
}

static void every_truncation_is_refused(void **state)
{
    (void)state;
    struct test_fb fb;
    make_model(&fb, 0, NULL);
    for (size_t n = 0; n < fb.n; n++) {
        struct ledge_error err = {0};
        assert_int_not_equal(try_model(fb.bytes, n, &err), LEDGE_OK);
        assert_true(err.text[0] != '\0');
    }
    assert_int_equal(try_model(fb.bytes, fb.n, NULL), LEDGE_OK);
}

/* Any byte replaced: an error or a plan, never a read outside (the sanitizers watch). */
static void damaged_bytes_do_no_harm(void **state)
{
    (void)state;
    static const uint8_t values[] = {0x00, 0x01, 0x7f, 0x80, 0xff};
    struct test_fb fb;
    size_t refused = 0;
    make_model(&fb, 0, NULL);
    for (size_t i = 0; i < fb.n; i++) {
        uint8_t before = fb.bytes[i];
        for (size_t k = 0; k < sizeof values; k++) {
            struct ledge_error err = {0};
            fb.bytes[i] = values[k];
            if (try_model(fb.bytes, fb.n, &err) != LEDGE_OK) {
                assert_true(err.text[0] != '\0');
                refused++;
            }
        }
        fb.bytes[i] = before;
    }
    assert_true(refused > fb.n);
}

static void missing_operators_are_named(void **state)
{
    (void)state;
    struct test_fb fb;
    struct ledge_error err = {0};
    make_model(&fb, LEDGE_TFLITE_SVDF, NULL);
    assert_int_equal(try_model(fb.bytes, fb.n, &err), LEDGE_ERR_UNSUPPORTED);
    assert_non_null(strstr(err.text, "SVDF"));
    make_model(&fb, LEDGE_TFLITE_CUSTOM, "Mystery\n");
    assert_int_equal(try_model(fb.bytes, fb.n, &err), LEDGE_ERR_UNSUPPORTED);
    assert_non_null(strstr(err.text, "Mystery?"));
    make_model(&fb, 100000, NULL);
    assert_int_equal(try_model(fb.bytes, fb.n, &err), LEDGE_ERR_UNSUPPORTED);
    assert_int_equal(try_model((const uint8_t *)"\0\0\0\0TFL2xxxx", 12, &err), LEDGE_ERR_FORMAT);
}

/* An archive of one stored file behind 5 other bytes. */
static size_t make_zip(uint8_t *zip, const char *text)
{
    static const uint8_t local[30] = {'P', 'K', 3, 4, [26] = 2};
    static const uint8_t entry[46] = {'P', 'K', 1, 2, [28] = 2};
    static const uint8_t end[22] = {'P', 'K', 5, 6, [8] = 1, [10] = 1};
    size_t n = strlen(text);
    uint32_t crc = ledge_crc32((const uint8_t *)text, n);
    uint8_t *p = zip + 5;
    memcpy(p, local, 30);
    memcpy(p + 30, "ab", 2);
    memcpy(p + 32, text, n);
    uint8_t *central = p + 32 + n;
    memcpy(central, entry, 46);
    for (int i = 0; i < 4; i++) {
        central[16 + i] = (uint8_t)(crc >> (8 * i));
    }
    central[20] = central[24] = (uint8_t)n;
    memcpy(central + 46, "ab", 2);
    memcpy(central + 48, end, 22);
    central[48 + 12] = 48;
    central[48 + 16] = (uint8_t)(32 + n);
    return (size_t)(central - zip) + 48 + 22;
}

static void labels_come_out_of_an_archive(void **state)
{
    (void)state;
    uint8_t zip[256] = "junk";
    size_t size = make_zip(zip, "cat\ndog");
    struct ledge_graph graph;
    ledge_graph_init(&graph, NULL);
    size_t n = 0;
    const uint8_t *name = (const uint8_t *)"ab";
    char *text = ledge_zip_read(zip, size, name, 2, 100, &graph.arena, &n);
    assert_non_null(text);
    assert_string_equal(text, "cat\ndog");
    assert_null(ledge_zip_read(zip, size, name, 1, 100, &graph.arena, &n));
    assert_null(ledge_zip_read(zip, size, NULL, 0, 100, &graph.arena, &n));
    assert_null(ledge_zip_read(zip, size, name, 2, 3, &graph.arena, &n));
    for (size_t i = 0; i < size; i++) { /* truncated, then one byte wrong */
        assert_null(ledge_zip_read(zip, i, name, 2, 100, &graph.arena, &n));
        zip[i] ^= 0xff;
        text = ledge_zip_read(zip, size, name, 2, 100, &graph.arena, &n);
        assert_true(text == NULL || n == 7);
        zip[i] ^= 0xff;
    }
    zip[5 + 33] ^= 1; /* the CRC does not agree */
    assert_null(ledge_zip_read(zip, size, name, 2, 100, &graph.arena, &n));
    ledge_graph_done(&graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_small_model_runs),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(damaged_bytes_do_no_harm),
        cmocka_unit_test(missing_operators_are_named),
        cmocka_unit_test(labels_come_out_of_an_archive),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
