/* SPDX-License-Identifier: Apache-2.0 */
/* loose_test.c -- where the weights of an ONNX file stand changes no answer: at whatever byte, in
 * memory or in a mapped file whose pages are given back, and it takes no memory for copies of what
 * is packed. */
#include "ledge/ledge.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/port/port.h"
#include "export/export.h"

enum { FILE_MAX = 1 << 20, BATCH = 3, IN = 8 * 6 * 6, OUTPUTS = 4, OFFSETS = 4 };

static float weights[64 * 1024];

struct net {
    struct ledge_graph graph;
    size_t used; /* weights */
};

static int32_t constant(struct net *net, int32_t rank, const int64_t *dims)
{
    size_t n = 1;
    for (int32_t i = 0; i < rank; i++) {
        n *= (size_t)dims[i];
    }
    int32_t value = ledge_graph_add_constant(&net->graph, NULL, LEDGE_F32, rank, dims,
                                             weights + net->used, false);
    net->used += n;
    assert_true(net->used <= sizeof weights / sizeof *weights && value >= 0);
    return value;
}

static int32_t node(struct net *net, const char *op, const int32_t *in, int32_t n_in)
{
    int32_t out = ledge_graph_add_value(&net->graph, NULL, LEDGE_F32, -1, NULL);
    assert_true(ledge_graph_add_node(&net->graph, "", op, 13, NULL, in, n_in, &out, 1) >= 0);
    return out;
}

static int32_t conv(struct net *net, int32_t x, int32_t w, int64_t size, int64_t group)
{
    int32_t y = node(net, "Conv", (int32_t[]){x, w}, 2), at = net->graph.n_nodes - 1;
    const int64_t kernel[2] = {size, size}, pad[4] = {size / 2, size / 2, size / 2, size / 2};
    assert_true(ledge_graph_set_ints(&net->graph, at, "kernel_shape", kernel, 2) &&
                ledge_graph_set_ints(&net->graph, at, "pads", pad, 4) &&
                ledge_graph_set_int(&net->graph, at, "group", group));
    return y;
}

#define SHAPE(...)                                                                                 \
    (int32_t)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (int64_t[])                     \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }

/* Convolutions dense, small, normalised and depthwise, then products, all of more than a page of
 * weights. */
static int32_t body(struct net *net, int32_t x)
{
    x = conv(net, x, constant(net, SHAPE(16, 8, 3, 3)), 3, 1);
    x = conv(net, x, constant(net, SHAPE(64, 16, 1, 1)), 1, 1);
    x = conv(net, x, constant(net, SHAPE(64, 64, 3, 3)), 3, 1);
    x = conv(net, x, constant(net, SHAPE(64, 1, 5, 5)), 5, 64);
    x = node(net, "GlobalAveragePool", &x, 1);
    x = node(net, "Flatten", &x, 1);
    return node(net, "MatMul", (int32_t[]){x, constant(net, SHAPE(64, 40))}, 2);
}

static int32_t start(struct net *net)
{
    uint32_t seed = 7;
    for (size_t i = 0; i < sizeof weights / sizeof *weights; i++) {
        seed = seed * 1664525u + 1013904223u;
        weights[i] = (float)(int32_t)(seed >> 8) / (float)(1 << 24) - 0.5f;
    }
    net->used = 0;
    ledge_graph_init(&net->graph, NULL);
    int32_t x = ledge_graph_add_value(&net->graph, "x", LEDGE_F32, SHAPE(-1, 8, 6, 6));
    assert_int_equal(ledge_graph_add_input(&net->graph, x), 0);
    return x;
}

static struct ledge_buf finish(struct net *net)
{
    struct ledge_buf file = LEDGE_BUF_INIT(FILE_MAX);
    struct ledge_error err = {.status = LEDGE_OK};
    if (ledge_export_onnx(&net->graph, &file, &err) != LEDGE_OK) {
        fail_msg("%s", err.text);
    }
    ledge_graph_done(&net->graph);
    return file;
}

/* Weights that only packing reads. */
static struct ledge_buf packed_alone(void)
{
    struct net net;
    int32_t y = body(&net, start(&net));
    assert_int_equal(ledge_graph_add_output(&net.graph, y), 0);
    return finish(&net);
}

/* The same weights are read by others, too: a normalisation folded into them, a sum, a product on
 * whose left they stand, a reader that is computed at once; and they are an output. */
static struct ledge_buf read_by_others(void)
{
    struct net net;
    int32_t x = start(&net), y = body(&net, x), outputs[OUTPUTS];
    int32_t w = constant(&net, SHAPE(32, 32)), folded = node(&net, "Abs", &w, 1);
    int32_t wide = constant(&net, SHAPE(128, 8, 1, 1)), c = conv(&net, x, wide, 1, 1);
    int32_t norm[5] = {c};
    for (int i = 1; i < 5; i++) {
        norm[i] = constant(&net, SHAPE(128));
    }
    norm[4] = node(&net, "Abs", &norm[4], 1);
    outputs[0] = node(&net, "BatchNormalization", norm, 5);
    int32_t product = node(&net, "MatMul", (int32_t[]){w, folded}, 2);
    outputs[1] = node(&net, "MatMul", (int32_t[]){product, w}, 2);
    outputs[2] = w;
    int32_t table = constant(&net, SHAPE(40, 40));
    int32_t times = node(&net, "Gemm", (int32_t[]){y, table}, 2);
    outputs[3] = node(&net, "MatMul", (int32_t[]){times, node(&net, "Neg", &table, 1)}, 2);
    for (int i = 0; i < OUTPUTS; i++) {
        assert_int_equal(ledge_graph_add_output(&net.graph, outputs[i]), i);
    }
    return finish(&net);
}

/* Answers for `batch` pictures, one output behind the other; how many bytes. */
static size_t run(struct ledge_model *model, int32_t batch, uint8_t *answers)
{
    static float x[BATCH * IN];
    struct ledge_session_options options = {.batch = batch};
    struct ledge_session *session = NULL;
    struct ledge_tensor out[OUTPUTS];
    struct ledge_tensor in = {.data = x,
                              .bytes = (size_t)batch * IN * sizeof *x,
                              .dtype = LEDGE_F32,
                              .rank = 4,
                              .dims = {batch, 8, 6, 6}};
    struct ledge_error err = {.status = LEDGE_OK};
    int32_t n = ledge_model_n_outputs(model);
    size_t used = 0;
    for (int i = 0; i < BATCH * IN; i++) {
        x[i] = (float)(i % 17) - 8;
    }
    if (ledge_session_open(model, &options, &session, &err) != LEDGE_OK ||
        ledge_session_run(session, &in, 1, out, n, &err) != LEDGE_OK) {
        fail_msg("%s", err.text);
    }
    for (int32_t i = 0; i < n; i++) {
        memcpy(answers + used, out[i].data, out[i].bytes);
        used += out[i].bytes;
    }
    ledge_session_close(session);
    return used;
}

/* -- an allocator that counts ---------------------------------------------------------------------
 */

static void *count_alloc(void *user, size_t bytes, size_t align)
{
    *(size_t *)user += bytes;
    return ledge_allocator_default()->alloc(NULL, bytes, align);
}

static void count_release(void *user, void *memory, size_t bytes)
{
    *(size_t *)user -= bytes;
    ledge_allocator_default()->release(NULL, memory, bytes);
}

static struct ledge_model *open_at(const struct ledge_buf *file, uint8_t *memory, size_t offset,
                                   const struct ledge_allocator *allocator)
{
    struct ledge_model_options options = {.allocator = allocator};
    struct ledge_model *model = NULL;
    memcpy(memory + offset, file->data, file->len);
    assert_int_equal(ledge_model_open_memory(memory + offset, file->len, &options, &model, NULL),
                     LEDGE_OK);
    return model;
}

static void answers_do_not_depend_on_the_byte(void **state)
{
    (void)state;
    static uint8_t want[FILE_MAX], have[FILE_MAX];
    struct ledge_buf files[2] = {packed_alone(), read_by_others()};
    uint8_t *memory = malloc(FILE_MAX + OFFSETS);
    assert_non_null(memory);
    for (int f = 0; f < 2; f++) {
        size_t size = 0;
        for (size_t offset = 0; offset < OFFSETS; offset++) {
            struct ledge_model *model = open_at(&files[f], memory, offset, NULL);
            size_t n = run(model, BATCH, offset == 0 ? want : have);
            assert_true(n > 0 && (offset == 0 || n == size));
            size = n;
            assert_true(offset == 0 || memcmp(want, have, size) == 0);
            ledge_model_close(model);
        }
        ledge_buf_done(&files[f]);
    }
    free(memory);
}

/* Each weight stands at another byte: with copies for alignment, sums would differ. */
static void what_is_packed_is_not_copied(void **state)
{
    (void)state;
    static uint8_t answers[FILE_MAX];
    size_t live = 0, first = 0;
    const struct ledge_allocator allocator = {
        .user = &live, .alloc = count_alloc, .release = count_release};
    struct ledge_buf file = packed_alone();
    uint8_t *memory = malloc(FILE_MAX + OFFSETS);
    assert_non_null(memory);
    for (size_t offset = 0; offset < OFFSETS; offset++) {
        struct ledge_model *model = open_at(&file, memory, offset, &allocator);
        (void)run(model, 1, answers);
        first = offset == 0 ? live : first;
        assert_int_equal(live, first);
        ledge_model_close(model);
        assert_int_equal(live, 0);
    }
    free(memory);
    ledge_buf_done(&file);
}

/* A second plan reads the pages anew that the first one gave back. */
static void pages_given_back_come_again(void **state)
{
    (void)state;
    static uint8_t want[2][FILE_MAX], have[FILE_MAX];
    char path[] = "/tmp/ledge-loose-XXXXXX";
    struct ledge_buf file = read_by_others();
    uint8_t *memory = malloc(FILE_MAX + OFFSETS);
    struct ledge_model *model = open_at(&file, memory, 0, NULL);
    size_t size[2] = {run(model, 1, want[0]), run(model, BATCH, want[1])};
    ledge_model_close(model);
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, file.data, file.len), (ssize_t)file.len);
    assert_int_equal(close(fd), 0);
    assert_int_equal(ledge_model_open(path, NULL, &model, NULL), LEDGE_OK);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(run(model, i % 2 == 0 ? 1 : BATCH, have), size[i % 2]);
        assert_memory_equal(want[i % 2], have, size[i % 2]);
    }
    ledge_model_close(model);
    assert_int_equal(unlink(path), 0);
    free(memory);
    ledge_buf_done(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_do_not_depend_on_the_byte),
        cmocka_unit_test(what_is_packed_is_not_copied),
        cmocka_unit_test(pages_given_back_come_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
