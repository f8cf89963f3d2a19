/* SPDX-License-Identifier: Apache-2.0 */
/* testing.h -- for tests only: build a small graph in a few lines and run it once.
 *
 * Memory: everything lives in one struct test_net; results stay until test_done().
 */
#ifndef LEDGE_ENGINE_RUN_TESTING_H
#define LEDGE_ENGINE_RUN_TESTING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "engine/port/port.h"
#include "engine/run/run.h"

#define TEST_DIMS(...)   ((const int64_t[]){__VA_ARGS__})
#define TEST_RANK(...)   ((int32_t)(sizeof(TEST_DIMS(__VA_ARGS__)) / sizeof(int64_t)))
#define TEST_SHAPE(...)  TEST_RANK(__VA_ARGS__), TEST_DIMS(__VA_ARGS__)
#define TEST_VALUES(...) ((const int32_t[]){__VA_ARGS__})

struct test_net {
    struct ledge_graph graph;
    const void *data[16]; /* of input number i */
    struct ledge_plan *plan;
    struct ledge_run *run;
    struct ledge_pool *pool;
    enum ledge_plan_layout layout;
    struct ledge_error err;
};

static inline void test_init(struct test_net *net)
{
    *net = (struct test_net){.err = {.status = LEDGE_OK}};
    ledge_graph_init(&net->graph, NULL);
}

static inline void test_stop(struct test_net *net)
{
    ledge_run_free(net->run);
    ledge_plan_free(net->plan);
    ledge_pool_free(net->pool);
    net->run = NULL;
    net->plan = NULL;
    net->pool = NULL;
}

static inline void test_done(struct test_net *net)
{
    test_stop(net);
    ledge_graph_done(&net->graph);
}

static inline int32_t test_input(struct test_net *net, enum ledge_dtype dtype, int32_t rank,
                                 const int64_t *dims, const void *data)
{
    int32_t value = ledge_graph_add_value(&net->graph, NULL, dtype, rank, dims);
    int32_t input = ledge_graph_add_input(&net->graph, value);
    assert_true(value >= 0 && input >= 0);
    net->data[input] = data;
    return value;
}

static inline int32_t test_constant(struct test_net *net, enum ledge_dtype dtype, int32_t rank,
                                    const int64_t *dims, const void *data)
{
    int32_t value = ledge_graph_add_constant(&net->graph, NULL, dtype, rank, dims, data, true);
    assert_true(value >= 0);
    return value;
}

/* A node with one output; its number in the graph is n_nodes - 1. */
static inline int32_t test_node(struct test_net *net, const char *domain, const char *op,
                                int32_t n_in, const int32_t *in)
{
    int32_t out = ledge_graph_add_value(&net->graph, NULL, LEDGE_DTYPE_NONE, -1, NULL);
    int32_t node = ledge_graph_add_node(&net->graph, domain, op, 13, NULL, in, n_in, &out, 1);
    assert_true(out >= 0 && node >= 0);
    return out;
}

static inline void test_int(struct test_net *net, const char *name, int64_t value)
{
    assert_true(ledge_graph_set_int(&net->graph, net->graph.n_nodes - 1, name, value));
}

static inline void test_ints(struct test_net *net, const char *name, int32_t n,
                             const int64_t *values)
{
    assert_true(ledge_graph_set_ints(&net->graph, net->graph.n_nodes - 1, name, values, (size_t)n));
}

static inline void test_float(struct test_net *net, const char *name, float value)
{
    assert_true(ledge_graph_set_float(&net->graph, net->graph.n_nodes - 1, name, value));
}

static inline void test_output(struct test_net *net, int32_t value)
{
    assert_true(ledge_graph_add_output(&net->graph, value) >= 0);
}

/* Can this process run it? The number of no rung: no. */
static inline bool test_can_run(int rung)
{
    return ledge_port_rung_below((enum ledge_rung)rung) == (enum ledge_rung)rung;
}

/* Plan and run; the status of whatever failed first, with net->err. May be called again after
 * test_stop(). */
static inline enum ledge_status test_try(struct test_net *net, enum ledge_rung rung,
                                         int32_t threads)
{
    struct ledge_plan_options options = {
        .rung = rung, .threads = threads, .layout = net->layout, .share_all = true};
    enum ledge_status status =
        ledge_plan_create(&net->graph, &options, NULL, &net->plan, &net->err);
    if (status == LEDGE_OK) {
        status = ledge_pool_create(threads, NULL, &net->pool, &net->err);
    }
    if (status == LEDGE_OK) {
        status = ledge_run_create(net->plan, net->pool, NULL, &net->run, &net->err);
    }
    for (int32_t i = 0; i < net->graph.n_inputs && status == LEDGE_OK; i++) {
        ledge_run_bind(net->run, i, net->data[i]);
    }
    return status == LEDGE_OK ? ledge_run_once(net->run, &net->err) : status;
}

static inline void test_run(struct test_net *net, enum ledge_rung rung, int32_t threads)
{
    if (test_try(net, rung, threads) != LEDGE_OK) {
        fail_msg("%s", net->err.text);
    }
}

/* Output number output has this shape; its data. */
static inline const void *test_result(struct test_net *net, int32_t output, int32_t rank,
                                      const int64_t *dims)
{
    struct ledge_view view = ledge_run_output(net->run, output);
    assert_int_equal(view.rank, rank);
    for (int32_t i = 0; i < rank; i++) {
        assert_int_equal(view.dims[i], dims[i]);
    }
    return view.data;
}

/* The last output of a run, in memory of the caller's (malloc), with its length in bytes. */
static inline void *test_last_output(struct test_net *net, size_t *bytes)
{
    struct ledge_view view = ledge_run_output(net->run, net->graph.n_outputs - 1);
    *bytes = ledge_view_bytes(&view);
    void *copy = malloc(*bytes);
    assert_non_null(copy);
    memcpy(copy, view.data, *bytes);
    return copy;
}

/* Deterministic numbers: xorshift32 (Marsaglia 2003). */
static inline uint32_t test_random(uint32_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 17;
    *seed ^= *seed << 5;
    return *seed;
}

static inline void test_fill_f32(float *data, int64_t n, uint32_t *seed)
{
    for (int64_t i = 0; i < n; i++) {
        data[i] = (float)(test_random(seed) % 2001) / 1000.0f - 1.0f;
    }
}

static inline void test_fill_8(void *data, int64_t n, uint32_t *seed)
{
    for (int64_t i = 0; i < n; i++) {
        ((uint8_t *)data)[i] = (uint8_t)(test_random(seed) >> 11);
    }
}

static inline void test_near(const float *got, const float *want, int64_t n, float tolerance)
{
    for (int64_t i = 0; i < n; i++) {
        float gap = got[i] > want[i] ? got[i] - want[i] : want[i] - got[i];
        if (!(gap <= tolerance * (1.0f + (want[i] > 0 ? want[i] : -want[i])))) {
            fail_msg("element %d: %g, not %g", (int)i, (double)got[i], (double)want[i]);
        }
    }
}

/* A small network with everything a file must keep: a free batch dimension, constants, attributes
 * of several types, an optional input left out, quantisation, metadata, two outputs, one of them
 * the input itself. x f32 [N][3][8][8] -> y f32 [N][5][1][1]. */
static inline void test_sample(struct ledge_graph *graph)
{
    float w1[4 * 3 * 9], b1[4], w2[5 * 4];
    uint32_t seed = 42;
    test_fill_f32(w1, 108, &seed);
    test_fill_f32(b1, 4, &seed);
    test_fill_f32(w2, 20, &seed);
    int32_t x = ledge_graph_add_value(graph, "x", LEDGE_F32, TEST_SHAPE(-1, 3, 8, 8));
    graph->values[x].dim_names[0] = "N";
    int32_t c1 = ledge_graph_add_constant(graph, "w1", LEDGE_F32, TEST_SHAPE(4, 3, 3, 3), w1, true);
    int32_t c2 = ledge_graph_add_constant(graph, "b1", LEDGE_F32, TEST_SHAPE(4), b1, true);
    int32_t c3 = ledge_graph_add_constant(graph, "w2", LEDGE_F32, TEST_SHAPE(5, 4, 1, 1), w2, true);
    int32_t v[5];
    for (int i = 0; i < 5; i++) {
        v[i] = ledge_graph_add_value(graph, i == 4 ? "y" : NULL, LEDGE_DTYPE_NONE, -1, NULL);
    }
    const float scale = 0.5f;
    const int32_t zero = 3;
    graph->values[v[4]].quant = ledge_graph_quant(graph, &scale, &zero, 1, 0);
    const int32_t in[3] = {x, c1, c2};
    int32_t node = ledge_graph_add_node(graph, "", "Conv", 11, "first", in, 3, &v[0], 1);
    (void)ledge_graph_set_ints(graph, node, "pads", TEST_DIMS(1, 1, 1, 1), 4);
    (void)ledge_graph_set_float(graph, node, "clamp_low", 0.0f);
    node = ledge_graph_add_node(graph, "", "Identity", 11, NULL, &v[0], 1, &v[1], 1);
    node = ledge_graph_add_node(graph, "", "MaxPool", 12, NULL, &v[1], 1, &v[2], 1);
    (void)ledge_graph_set_ints(graph, node, "kernel_shape", TEST_DIMS(2, 2), 2);
    (void)ledge_graph_set_ints(graph, node, "strides", TEST_DIMS(2, 2), 2);
    (void)ledge_graph_set_string(graph, node, "auto_pad", "VALID");
    const int32_t second[3] = {v[2], c3, -1};
    node = ledge_graph_add_node(graph, "", "Conv", 11, NULL, second, 3, &v[3], 1);
    (void)ledge_graph_set_int(graph, node, "group", 1);
    (void)ledge_graph_set_other(graph, node, "body");
    struct ledge_view view = ledge_value_view(&graph->values[c2]);
    (void)ledge_graph_set_tensor(graph, node, "extra", &view);
    (void)ledge_graph_set_floats(graph, node, "more", b1, 4);
    node = ledge_graph_add_node(graph, "", "GlobalAveragePool", 1, NULL, &v[3], 1, &v[4], 1);
    assert_true(ledge_graph_add_input(graph, x) == 0 && ledge_graph_add_output(graph, v[4]) == 0 &&
                ledge_graph_add_output(graph, x) == 1 &&
                ledge_graph_add_metadata(graph, "ledge.labels", "a,b,c,d,e") == 0);
}

#endif
