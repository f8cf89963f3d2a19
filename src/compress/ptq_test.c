/* SPDX-License-Identifier: Apache-2.0 */
/* A small network with every role in it is quantised; its shape on the wire,
 * its ranges, its error and its memory are checked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "compress/ptq.h"

enum { CHANNELS = 2, SIDE = 8, INPUT = CHANNELS * SIDE * SIDE, OPSET = 13 };

/* -- an allocator that counts -- */

struct counter {
    size_t held;
};

static void *counted_alloc(void *user, size_t bytes, size_t align)
{
    size_t whole = (bytes + align - 1) / align * align;
    ((struct counter *)user)->held += bytes;
    return aligned_alloc(align < sizeof(void *) ? sizeof(void *) : align, whole);
}

static void counted_release(void *user, void *memory, size_t bytes)
{
    ((struct counter *)user)->held -= memory != NULL ? bytes : 0;
    free(memory);
}

/* -- a network -- */

static float next_float(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (float)(*seed >> 40) / 16777216.0f - 0.5f;
}

static int32_t weights(struct ledge_graph *g, const char *name, int32_t rank, const int64_t *dims,
                       uint64_t seed)
{
    float data[1024];
    size_t n = 1;
    for (int32_t i = 0; i < rank; i++) {
        n *= (size_t)dims[i];
    }
    for (size_t i = 0; i < n; i++) {
        data[i] = next_float(&seed);
    }
    int32_t value = ledge_graph_add_constant(g, name, LEDGE_F32, rank, dims, data, true);
    assert_true(value >= 0);
    return value;
}

static int32_t node(struct ledge_graph *g, const char *op, const char *name, const char *out,
                    int32_t rank, const int64_t *dims, const int32_t *in, int32_t n_in)
{
    int32_t value = ledge_graph_add_value(g, out, LEDGE_F32, rank, dims);
    int32_t number = ledge_graph_add_node(g, "", op, OPSET, name, in, n_in, &value, 1);
    assert_true(value >= 0 && number >= 0);
    return value;
}

/* x -> conv1+relu -> pool -> conv2 -> add(pool) -> gap -> flatten -> fc -> y */
static void build(struct ledge_graph *g)
{
    const int64_t in[] = {1, CHANNELS, SIDE, SIDE};
    const int64_t full[] = {1, 4, SIDE, SIDE};
    const int64_t half[] = {1, 4, SIDE / 2, SIDE / 2};
    const int64_t point[] = {1, 4, 1, 1};
    const int64_t flat[] = {1, 4};
    const int64_t out[] = {1, 3};
    const int64_t pads[] = {1, 1, 1, 1};
    const int64_t two[] = {2, 2};
    int32_t x = ledge_graph_add_value(g, "x", LEDGE_F32, 4, in);
    assert_true(ledge_graph_add_input(g, x) >= 0);
    int32_t w1 = weights(g, "w1", 4, (const int64_t[]){4, CHANNELS, 3, 3}, 1);
    int32_t b1 = weights(g, "b1", 1, (const int64_t[]){4}, 2);
    /* Relu as the passes leave it: part of the convolution */
    int32_t r1 = node(g, "Conv", "conv1", "r1", 4, full, (const int32_t[]){x, w1, b1}, 3);
    assert_true(ledge_graph_set_ints(g, g->n_nodes - 1, "pads", pads, 4));
    assert_true(ledge_graph_set_float(g, g->n_nodes - 1, "clamp_low", 0));
    int32_t p1 = node(g, "MaxPool", "pool", "p1", 4, half, &r1, 1);
    assert_true(ledge_graph_set_ints(g, g->n_nodes - 1, "kernel_shape", two, 2));
    assert_true(ledge_graph_set_ints(g, g->n_nodes - 1, "strides", two, 2));
    int32_t w2 = weights(g, "w2", 4, (const int64_t[]){4, 4, 1, 1}, 3);
    int32_t c2 = node(g, "Conv", "conv2", "c2", 4, half, (const int32_t[]){p1, w2}, 2);
    int32_t s = node(g, "Add", "add", "s", 4, half, (const int32_t[]){c2, p1}, 2);
    int32_t m = node(g, "GlobalAveragePool", "gap", "m", 4, point, &s, 1);
    int32_t f = node(g, "Flatten", "flatten", "f", 2, flat, &m, 1);
    int32_t w3 = weights(g, "w3", 2, (const int64_t[]){3, 4}, 4);
    int32_t b3 = weights(g, "b3", 1, (const int64_t[]){3}, 5);
    int32_t y = node(g, "Gemm", "fc", "y", 2, out, (const int32_t[]){f, w3, b3}, 3);
    assert_true(ledge_graph_set_int(g, g->n_nodes - 1, "transB", 1));
    assert_true(ledge_graph_add_output(g, y) >= 0);
    assert_true(ledge_graph_add_metadata(g, "ledge.labels", "a\nb\nc") >= 0);
    assert_int_equal(ledge_graph_sort(g, NULL), LEDGE_OK);
}

static void sample(float x[INPUT], uint64_t seed)
{
    for (size_t i = 0; i < INPUT; i++) {
        x[i] = next_float(&seed);
    }
}

struct fixture {
    struct counter counter;
    struct ledge_allocator allocator;
    struct ledge_graph graph;
    struct compress_ptq *ptq;
};

static void make(struct fixture *f, const struct compress_ptq_options *options)
{
    struct ledge_error err;
    *f = (struct fixture){0};
    f->allocator = (struct ledge_allocator){counted_alloc, counted_release, &f->counter};
    ledge_graph_init(&f->graph, NULL);
    build(&f->graph);
    if (compress_ptq_create(&f->graph, options, &f->allocator, &f->ptq, &err) != LEDGE_OK) {
        fail_msg("%s", err.text);
    }
}

static void unmake(struct fixture *f)
{
    compress_ptq_free(f->ptq);
    ledge_graph_done(&f->graph);
    assert_int_equal(f->counter.held, 0);
}

static void observe(struct fixture *f, int n)
{
    float x[INPUT];
    for (int i = 0; i < n; i++) {
        sample(x, 100 + (uint64_t)i);
        assert_int_equal(compress_ptq_observe(f->ptq, x, NULL), LEDGE_OK);
    }
}

static const struct ledge_graph *finish(struct fixture *f)
{
    const struct ledge_graph *out = NULL;
    struct ledge_error err;
    if (compress_ptq_finish(f->ptq, &out, &err) != LEDGE_OK) {
        fail_msg("%s", err.text);
    }
    return out;
}

static const struct ledge_value *value_of(const struct ledge_graph *g, const char *name)
{
    int32_t value = ledge_graph_find(g, name);
    if (value < 0) {
        fail_msg("no value %s", name);
    }
    return &g->values[value];
}

static float scale_of(const struct ledge_graph *g, const char *name)
{
    return *(const float *)value_of(g, name)->data;
}

static const struct ledge_node *node_of(const struct ledge_graph *g, const char *name)
{
    for (int32_t i = 0; i < g->n_nodes; i++) {
        if (!g->nodes[i].dead && strcmp(g->nodes[i].name, name) == 0) {
            return &g->nodes[i];
        }
    }
    fail_msg("no node %s", name);
    return NULL;
}

static int count(const struct ledge_graph *g, const char *op)
{
    int n = 0;
    for (int32_t i = 0; i < g->n_nodes; i++) {
        n += !g->nodes[i].dead && strcmp(g->nodes[i].op, op) == 0;
    }
    return n;
}

static void the_file_is_standard_qdq(void **state)
{
    (void)state;
    struct fixture f;
    make(&f, &(struct compress_ptq_options){.method = COMPRESS_MINMAX});
    observe(&f, 8);
    const struct ledge_graph *g = finish(&f);
    /* activations x r1 p1 c2 s m f; dequantised besides: w1 w2 w3 b1 b3 */
    assert_int_equal(count(g, "QuantizeLinear"), 7);
    assert_int_equal(count(g, "DequantizeLinear"), 12);
    const struct ledge_value *w = value_of(g, "w1_quantized");
    assert_int_equal(w->dtype, LEDGE_I8);
    assert_int_equal(w->bytes, 4 * CHANNELS * 9);
    assert_int_equal(value_of(g, "w1_scale")->dims[0], 4);
    assert_int_equal(value_of(g, "w1_zero_point")->dtype, LEDGE_I8);
    assert_int_equal(ledge_node_int(node_of(g, "w1_DequantizeLinear"), "axis", -1), 0);
    assert_int_equal(ledge_node_int(node_of(g, "w3_DequantizeLinear"), "axis", -1), 0);
    assert_int_equal(value_of(g, "b1_quantized")->dtype, LEDGE_I32);
    for (int c = 0; c < 4; c++) {
        const float *ws = value_of(g, "w1_scale")->data;
        const float *bs = value_of(g, "b1_scale")->data;
        assert_true(bs[c] == scale_of(g, "x_scale") * ws[c]);
    }
    /* pooling and flattening move codes: one scale in and out */
    assert_true(scale_of(g, "r1_scale") == scale_of(g, "p1_scale"));
    assert_true(scale_of(g, "m_scale") == scale_of(g, "f_scale"));
    assert_int_equal(*(const uint8_t *)value_of(g, "r1_zero_point")->data, 0); /* after Relu */
    /* borders keep their names, and logits are float */
    assert_string_equal(g->values[g->inputs[0]].name, "x");
    assert_string_equal(g->values[g->outputs[0]].name, "y");
    assert_int_equal(ledge_graph_find(g, "y_quantized"), -1);
    assert_string_equal(ledge_graph_metadata(g, "ledge.labels"), "a\nb\nc");
    assert_non_null(strstr(ledge_graph_metadata(g, "ledge.quantization"), "\"digest\":\"sha256:"));
    unmake(&f);
}

static void weights_keep_their_values(void **state)
{
    (void)state;
    struct fixture f;
    make(&f, &(struct compress_ptq_options){.method = COMPRESS_MINMAX});
    observe(&f, 1);
    const struct ledge_graph *g = finish(&f);
    const int8_t *q = value_of(g, "w3_quantized")->data;
    const float *scale = value_of(g, "w3_scale")->data;
    const float *w = value_of(&f.graph, "w3")->data;
    for (int o = 0; o < 3; o++) {
        int most = 0;
        for (int i = 0; i < 4; i++) {
            assert_true(fabsf((float)q[4 * o + i] * scale[o] - w[4 * o + i]) <= scale[o] * 0.5001f);
            most = abs(q[4 * o + i]) > most ? abs(q[4 * o + i]) : most;
        }
        assert_int_equal(most, 127);
    }
    unmake(&f);
}

static void error_is_small_in_every_layer(void **state)
{
    (void)state;
    struct fixture f;
    make(&f, &(struct compress_ptq_options){.method = COMPRESS_MINMAX});
    observe(&f, 16);
    (void)finish(&f);
    float x[INPUT];
    for (int i = 0; i < 4; i++) {
        sample(x, 100 + (uint64_t)i);
        assert_int_equal(compress_ptq_measure(f.ptq, x, NULL), LEDGE_OK);
    }
    int32_t n = 0;
    const struct compress_layer *layers = compress_ptq_layers(f.ptq, &n);
    assert_int_equal(n, 5); /* conv1 conv2 add gap fc */
    for (int32_t i = 0; i < n; i++) {
        assert_null(layers[i].why);
        if (!(layers[i].sqnr > 25 && layers[i].sqnr < 80)) {
            fail_msg("%s: %.1f dB", layers[i].node, layers[i].sqnr);
        }
        assert_true(layers[i].clipped == 0);
    }
    assert_true(layers[0].weight_sqnr > 35 && layers[0].weight_sqnr < 60);
    assert_true(isnan(layers[2].weight_sqnr)); /* the addition */
    unmake(&f);
}

static void memory_does_not_grow_with_samples(void **state)
{
    (void)state;
    struct fixture f;
    make(&f, &(struct compress_ptq_options){.method = COMPRESS_MSE});
    observe(&f, 1);
    size_t after_one = f.counter.held;
    observe(&f, 300);
    assert_int_equal(f.counter.held, after_one);
    (void)finish(&f);
    unmake(&f);
}

static void what_is_asked_for_stays_float(void **state)
{
    (void)state;
    struct fixture f;
    const char *const keep[] = {"first", "fc"};
    make(&f, &(struct compress_ptq_options){.keep = keep, .n_keep = 2});
    observe(&f, 2);
    const struct ledge_graph *g = finish(&f);
    assert_int_equal(ledge_graph_find(g, "w1_quantized"), -1);
    assert_int_equal(ledge_graph_find(g, "w3_quantized"), -1);
    assert_int_equal(ledge_graph_find(g, "x_quantized"), -1);
    assert_true(ledge_graph_find(g, "w2_quantized") >= 0);
    int32_t n = 0;
    const struct compress_layer *layers = compress_ptq_layers(f.ptq, &n);
    assert_string_equal(layers[0].why, "asked for");
    unmake(&f);
}

/* x -> sigmoid -> pool -> conv -> reshape -> y: the pooling moves floats, its
 * output is observed itself. */
static void a_move_of_floats_has_a_range_of_its_own(void **state)
{
    (void)state;
    const int64_t in[] = {1, CHANNELS, SIDE, SIDE};
    const int64_t half[] = {1, CHANNELS, SIDE / 2, SIDE / 2};
    const int64_t out[] = {1, CHANNELS * SIDE * SIDE / 4};
    const int64_t two[] = {2, 2};
    struct ledge_graph g;
    struct compress_ptq *ptq = NULL;
    const struct ledge_graph *made = NULL;
    float input[INPUT];
    ledge_graph_init(&g, NULL);
    int32_t x = ledge_graph_add_value(&g, "x", LEDGE_F32, 4, in);
    assert_true(ledge_graph_add_input(&g, x) >= 0);
    int32_t a = node(&g, "Sigmoid", "sigmoid", "a", 4, in, &x, 1);
    int32_t p = node(&g, "MaxPool", "pool", "p", 4, half, &a, 1);
    assert_true(ledge_graph_set_ints(&g, g.n_nodes - 1, "kernel_shape", two, 2));
    assert_true(ledge_graph_set_ints(&g, g.n_nodes - 1, "strides", two, 2));
    int32_t w = weights(&g, "w", 4, (const int64_t[]){CHANNELS, CHANNELS, 1, 1}, 9);
    int32_t c = node(&g, "Conv", "conv", "c", 4, half, (const int32_t[]){p, w}, 2);
    int32_t f = node(&g, "Flatten", "flatten", "f", 2, out, &c, 1);
    assert_true(ledge_graph_add_output(&g, f) >= 0);
    assert_int_equal(ledge_graph_sort(&g, NULL), LEDGE_OK);
    const struct compress_ptq_options options = {.method = COMPRESS_MINMAX};
    assert_int_equal(compress_ptq_create(&g, &options, NULL, &ptq, NULL), LEDGE_OK);
    sample(input, 1);
    assert_int_equal(compress_ptq_observe(ptq, input, NULL), LEDGE_OK);
    assert_int_equal(compress_ptq_finish(ptq, &made, NULL), LEDGE_OK);
    /* sigmoid of -0.5 .. 0.5 is at most 0.6225 */
    float scale = scale_of(made, "p_scale");
    assert_true(scale > 0.5f / 255 && scale < 0.6226f / 255);
    assert_int_equal(ledge_graph_find(made, "c_quantized"), -1); /* only reshaped before the end */
    compress_ptq_free(ptq);
    ledge_graph_done(&g);
}

static void mistakes_are_told(void **state)
{
    (void)state;
    struct fixture f;
    struct ledge_error err = {0};
    make(&f, &(struct compress_ptq_options){.method = COMPRESS_MINMAX});
    const struct ledge_graph *out = NULL;
    assert_int_equal(compress_ptq_finish(f.ptq, &out, &err), LEDGE_ERR_STATE);
    float x[INPUT] = {0};
    x[3] = NAN;
    assert_int_equal(compress_ptq_observe(f.ptq, x, &err), LEDGE_ERR_RANGE);
    assert_non_null(strstr(err.text, "x"));
    struct compress_ptq *again = NULL;
    observe(&f, 1);
    assert_int_equal(
        compress_ptq_create(finish(&f), &(struct compress_ptq_options){0}, NULL, &again, &err),
        LEDGE_ERR_UNSUPPORTED);
    assert_non_null(strstr(err.text, "already"));
    const char *const keep[] = {"conv9"};
    assert_int_equal(compress_ptq_create(&f.graph,
                                         &(struct compress_ptq_options){.keep = keep, .n_keep = 1},
                                         NULL, &again, &err),
                     LEDGE_ERR_NOT_FOUND);
    unmake(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_file_is_standard_qdq),
        cmocka_unit_test(weights_keep_their_values),
        cmocka_unit_test(error_is_small_in_every_layer),
        cmocka_unit_test(memory_does_not_grow_with_samples),
        cmocka_unit_test(what_is_asked_for_stays_float),
        cmocka_unit_test(a_move_of_floats_has_a_range_of_its_own),
        cmocka_unit_test(mistakes_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
