/* SPDX-License-Identifier: Apache-2.0 */
/* layout_test.c -- blocked plans against plain ones: random convolutions and pools on every
 * instruction set that this CPU has, the same bytes for any number of threads, and graphs with
 * branches, residuals, outputs inside of regions and borders of every kind. */
#include "engine/run/testing.h"

#include <math.h>
#include <stdlib.h>

#include "engine/kernels/blocked.h"

static const enum ledge_rung rungs[] = {
#define LEDGE_KERNELS_F32(isa, rung) rung,
#include "engine/kernels/kernels.inc"
#undef LEDGE_KERNELS_F32
};

enum { N_RUNGS = sizeof rungs / sizeof rungs[0] };

static float *filled(int64_t n, uint32_t seed)
{
    float *data = malloc((size_t)(n > 0 ? n : 1) * sizeof *data);
    assert_non_null(data);
    test_fill_f32(data, n, &seed);
    return data;
}

static int32_t nodes_of(const struct ledge_plan *plan, const char *op)
{
    int32_t n = 0;
    for (int32_t i = 0; i < plan->n_steps; i++) {
        n += strcmp(plan->steps[i].node->op, op) == 0;
    }
    return n;
}

static float *copy_of(const struct test_net *net, int32_t output, int64_t *count)
{
    struct ledge_view view = ledge_run_output(net->run, output);
    *count = ledge_view_count(&view);
    float *copy = malloc((size_t)(*count > 0 ? *count : 1) * sizeof *copy);
    assert_non_null(copy);
    memcpy(copy, view.data, (size_t)*count * sizeof *copy);
    return copy;
}

/* All outputs of the net, blocked on every rung with 1 to 3 threads, against the plain plan in
 * plain C. */
static void compare(struct test_net *net, const char *name, float tolerance)
{
    float *want[8];
    float range[8] = {0}; /* of an output */
    int64_t count[8];
    int32_t n = net->graph.n_outputs;
    assert_true(n <= 8);
    net->layout = LEDGE_PLAN_PLAIN;
    test_run(net, LEDGE_RUNG_C, 1);
    for (int32_t o = 0; o < n; o++) {
        want[o] = copy_of(net, o, &count[o]);
        for (int64_t k = 0; k < count[o]; k++) {
            range[o] = fmaxf(range[o], fabsf(want[o][k]));
        }
    }
    test_stop(net);
    net->layout = LEDGE_PLAN_BLOCKED;
    for (int32_t r = 0; r < N_RUNGS && rungs[r] <= ledge_port_rung(); r++) {
        float *first[8] = {NULL};
        for (int32_t threads = 1; threads <= 3; threads++) {
            test_run(net, rungs[r], threads);
            for (int32_t o = 0; o < n; o++) {
                int64_t got_count;
                float *got = copy_of(net, o, &got_count);
                assert_int_equal(got_count, count[o]);
                for (int64_t k = 0; k < got_count; k++) {
                    if (!(fabsf(got[k] - want[o][k]) <= tolerance * (1 + range[o]))) {
                        fail_msg("%s, rung %s, %d threads, output %d: element %d is %g, not %g",
                                 name, ledge_rung_text(rungs[r]), (int)threads, (int)o, (int)k,
                                 (double)got[k], (double)want[o][k]);
                    }
                }
                if (first[o] == NULL) {
                    first[o] = got;
                } else {
                    assert_memory_equal(got, first[o], (size_t)got_count * sizeof *got);
                    free(got);
                }
            }
            test_stop(net);
        }
        for (int32_t o = 0; o < n; o++) {
            free(first[o]);
        }
    }
    for (int32_t o = 0; o < n; o++) {
        free(want[o]);
    }
}

struct conv {
    int64_t out, groups, kernel_h, kernel_w, stride, dilation, pad;
    bool nhwc, bias, relu;
};

static int32_t add_conv(struct test_net *net, int32_t x, int64_t channels, const struct conv *c,
                        uint32_t seed)
{
    int64_t per_group = channels / c->groups,
            count = c->out * per_group * c->kernel_h * c->kernel_w;
    int64_t wd[4] = {c->out, per_group, c->kernel_h, c->kernel_w};
    if (c->nhwc) {
        wd[1] = c->kernel_h, wd[2] = c->kernel_w, wd[3] = per_group;
    }
    float *w = filled(count, seed), *b = filled(c->out, seed + 1);
    float scale = 1.7f / sqrtf((float)(count / c->out));
    for (int64_t i = 0; i < count; i++) {
        w[i] *= scale;
    }
    int32_t in[3] = {x, test_constant(net, LEDGE_F32, 4, wd, w),
                     test_constant(net, LEDGE_F32, 1, &c->out, b)};
    free(w);
    free(b);
    int32_t y = test_node(net, "", "Conv", c->bias ? 3 : 2, in);
    test_int(net, "group", c->groups);
    test_int(net, "layout", c->nhwc);
    test_ints(net, "strides", TEST_SHAPE(c->stride, c->stride));
    test_ints(net, "dilations", TEST_SHAPE(c->dilation, c->dilation));
    test_ints(net, "pads", TEST_SHAPE(c->pad, c->pad, c->pad, c->pad));
    if (c->relu) {
        test_float(net, "clamp_low", 0.0f);
        test_float(net, "clamp_high", 1.5f);
    }
    return y;
}

static int32_t add_picture(struct test_net *net, const int64_t nchw[4], bool nhwc,
                           const float *data)
{
    int64_t dims[4] = {nchw[0], nchw[1], nchw[2], nchw[3]};
    if (nhwc) {
        dims[1] = nchw[2], dims[2] = nchw[3], dims[3] = nchw[1];
    }
    return test_input(net, LEDGE_F32, 4, dims, data);
}

static int64_t at_random(uint32_t *seed, int64_t from, int64_t to)
{
    return from + (int64_t)(test_random(seed) % (uint32_t)(to - from + 1));
}

/* -- one operator ---------------------------------------------------------------------------------
 */

static void one_conv(const int64_t dims[4], const struct conv *c, const char *name)
{
    struct test_net net;
    test_init(&net);
    float *x = filled(dims[0] * dims[1] * dims[2] * dims[3], 7);
    test_output(&net, add_conv(&net, add_picture(&net, dims, c->nhwc, x), dims[1], c, 77));
    compare(&net, name, 3e-5f);
    test_done(&net);
    free(x);
}

static void random_dense(void **state)
{
    (void)state;
    uint32_t seed = 5;
    for (int i = 0; i < 120; i++) {
        struct conv c = {.out = at_random(&seed, 8, 70),
                         .groups = 1,
                         .kernel_h = at_random(&seed, 1, 5),
                         .kernel_w = at_random(&seed, 1, 4),
                         .stride = at_random(&seed, 1, 3),
                         .dilation = at_random(&seed, 1, 2),
                         .pad = at_random(&seed, 0, 2),
                         .nhwc = i & 1,
                         .bias = i & 2,
                         .relu = i & 4};
        int64_t dims[4] = {at_random(&seed, 1, 2), at_random(&seed, 1, i % 3 == 0 ? 4 : 70),
                           (c.kernel_h - 1) * c.dilation + at_random(&seed, 1, 19),
                           (c.kernel_w - 1) * c.dilation + at_random(&seed, 1, 33)};
        one_conv(dims, &c, "dense");
    }
}

static void random_pointwise(void **state)
{
    (void)state;
    uint32_t seed = 6;
    for (int i = 0; i < 60; i++) {
        struct conv c = {.out = at_random(&seed, 8, 100),
                         .groups = 1,
                         .kernel_h = 1,
                         .kernel_w = 1,
                         .stride = 1,
                         .dilation = 1,
                         .nhwc = i & 1,
                         .bias = i & 2,
                         .relu = i & 4};
        int64_t dims[4] = {at_random(&seed, 1, 3), at_random(&seed, 5, 300),
                           at_random(&seed, 1, 20), at_random(&seed, 1, 20)};
        one_conv(dims, &c, "pointwise");
    }
}

static void random_depthwise(void **state)
{
    (void)state;
    uint32_t seed = 8;
    for (int i = 0; i < 120; i++) {
        int64_t kernel = i % 3 == 0 ? 3 : i % 3 == 1 ? 5 : at_random(&seed, 1, 7);
        int64_t channels = at_random(&seed, 8, 50);
        struct conv c = {.out = channels,
                         .groups = channels,
                         .kernel_h = kernel,
                         .kernel_w = kernel,
                         .stride = at_random(&seed, 1, 3),
                         .dilation = i % 4 == 0 ? at_random(&seed, 1, 3) : 1,
                         .pad = at_random(&seed, 0, kernel),
                         .nhwc = i & 1,
                         .bias = i & 2,
                         .relu = i & 4};
        int64_t reach = (kernel - 1) * c.dilation;
        int64_t dims[4] = {at_random(&seed, 1, 2), channels, reach + at_random(&seed, 1, 12),
                           reach + at_random(&seed, 1, 40)};
        one_conv(dims, &c, "depthwise");
    }
}

/* Planes so narrow that a row is kept in registers, with borders of every kind. */
static void narrow_depthwise(void **state)
{
    (void)state;
    uint32_t seed = 18;
    for (int i = 0; i < 96; i++) {
        struct conv c = {.out = 20,
                         .groups = 20,
                         .kernel_h = 3,
                         .kernel_w = 3,
                         .stride = 1 + i / 8 % 2,
                         .dilation = 1,
                         .pad = i % 5 != 0,
                         .nhwc = i & 1,
                         .bias = i & 2,
                         .relu = i & 4};
        int64_t least = 3 - 2 * c.pad;
        int64_t dims[4] = {at_random(&seed, 1, 2), 20, least + at_random(&seed, 0, 12),
                           least + i % 8 + i / 48 * i % 7};
        one_conv(dims, &c, "narrow depthwise");
    }
}

/* 3 x 3 convolutions that Winograd's filtering does, with edges of every kind. */
static void random_winograd(void **state)
{
    (void)state;
    uint32_t seed = 12;
    int32_t seen = 0;
    for (int i = 0; i < 40; i++) {
        struct conv c = {.out = at_random(&seed, 16, 70),
                         .groups = 1,
                         .kernel_h = 3,
                         .kernel_w = 3,
                         .stride = 1,
                         .dilation = 1,
                         .pad = at_random(&seed, 0, 3),
                         .nhwc = i & 1,
                         .bias = i & 2,
                         .relu = i & 4};
        int64_t channels = i % 10 == 9 ? 150 : at_random(&seed, 16, 70);
        int64_t dims[4] = {at_random(&seed, 1, 2), channels, at_random(&seed, 8, 30),
                           at_random(&seed, 8, 30)};
        struct test_net net;
        test_init(&net);
        float *x = filled(dims[0] * dims[1] * dims[2] * dims[3], 7);
        test_output(&net, add_conv(&net, add_picture(&net, dims, c.nhwc, x), dims[1], &c, 77));
        compare(&net, "winograd", 1e-5f);
        net.layout = LEDGE_PLAN_BLOCKED;
        test_run(&net, LEDGE_RUNG_C, 1);
        for (int32_t k = 0; k < net.plan->n_steps; k++) {
            seen += strstr(net.plan->steps[k].ready.kernel, "winograd") != NULL;
        }
        test_done(&net);
        free(x);
    }
    assert_true(seen > 30);
}

static const struct conv square_32 = {.out = 32,
                                      .groups = 1,
                                      .kernel_h = 3,
                                      .kernel_w = 3,
                                      .stride = 1,
                                      .dilation = 1,
                                      .pad = 1,
                                      .bias = true};

/* What threads share of Winograd's filtering (rows of tiles and units are those of 16 lanes):
 * units, of 5 rows in bands of 3 and 2, of 7 in bands of 3, 3 and 1, and of many weights in one
 * band; units since 7 rows are not even; 3 units, of which one is halved. */
static void winograd_shared_by_threads(void **state)
{
    (void)state;
    static const int64_t shapes[][5] = {{1, 160, 20, 40, 96},
                                        {2, 160, 26, 40, 96},
                                        {1, 256, 18, 20, 160},
                                        {1, 32, 27, 27, 128},
                                        {1, 48, 13, 13, 192}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        struct conv c = square_32;
        c.out = shapes[i][4];
        c.relu = true;
        one_conv(shapes[i], &c, "shared by threads");
    }
}

static void groups_of_whole_blocks(void **state)
{
    (void)state;
    struct conv c = square_32;
    c.out = 96;
    c.groups = 3;
    one_conv(TEST_DIMS(2, 48, 9, 11), &c, "groups");
    c.stride = 2;
    c.nhwc = true;
    one_conv(TEST_DIMS(1, 144, 10, 10), &c, "groups, stride 2");
}

static void random_pools(void **state)
{
    (void)state;
    static const char *const ops[] = {"MaxPool", "AveragePool", "GlobalAveragePool",
                                      "GlobalMaxPool"};
    uint32_t seed = 9;
    for (int i = 0; i < 60; i++) {
        struct test_net net;
        test_init(&net);
        int64_t dims[4] = {at_random(&seed, 1, 2), 24, at_random(&seed, 5, 20),
                           at_random(&seed, 5, 20)};
        struct conv c = {.out = 20,
                         .groups = 1,
                         .kernel_h = 1,
                         .kernel_w = 1,
                         .stride = 1,
                         .dilation = 1,
                         .nhwc = i & 1};
        float *x = filled(dims[0] * dims[1] * dims[2] * dims[3], 3);
        int32_t y = add_conv(&net, add_picture(&net, dims, c.nhwc, x), dims[1], &c, 4);
        y = test_node(&net, "", ops[i % 4], 1, &y);
        test_int(&net, "layout", c.nhwc);
        int64_t k = at_random(&seed, 1, 4), pad = at_random(&seed, 0, k - 1);
        if (i % 4 < 2) {
            test_ints(&net, "kernel_shape", TEST_SHAPE(k, k));
            test_ints(&net, "strides", TEST_SHAPE(at_random(&seed, 1, 3), 2));
            test_ints(&net, "pads", TEST_SHAPE(pad, pad, pad, pad));
            test_int(&net, "ceil_mode", i >> 3 & 1);
            test_int(&net, "count_include_pad", i >> 4 & 1);
        }
        test_output(&net, y);
        compare(&net, ops[i % 4], 3e-5f);
        test_done(&net);
        free(x);
    }
}

/* -- graphs ---------------------------------------------------------------------------------------
 */

static const struct conv pointwise_32 = {
    .out = 32, .groups = 1, .kernel_h = 1, .kernel_w = 1, .stride = 1, .dilation = 1, .bias = true};

static int32_t two(struct test_net *net, const char *op, int32_t a, int32_t b)
{
    return test_node(net, "", op, 2, TEST_VALUES(a, b));
}

/* Residuals: both sides convolutions, one side read twice, an Add with a clamp, an Add of a value
 * and itself; outputs in the middle. */
static void residuals(void **state)
{
    (void)state;
    for (int nhwc = 0; nhwc < 2; nhwc++) {
        struct conv c1 = pointwise_32, c3 = square_32;
        c1.nhwc = c3.nhwc = nhwc;
        struct test_net net;
        test_init(&net);
        float *x = filled(2 * 3 * 12 * 10, 21);
        int32_t in = add_picture(&net, TEST_DIMS(2, 3, 12, 10), nhwc, x);
        int32_t stem = add_conv(&net, in, 3, &c3, 1);
        int32_t a = add_conv(&net, stem, 32, &c3, 2);
        int32_t sum = two(&net, "Add", a, stem);
        test_float(&net, "clamp_low", 0.0f);
        int32_t left = add_conv(&net, sum, 32, &c1, 3);
        int32_t right = add_conv(&net, sum, 32, &c3, 4);
        int32_t both = two(&net, "Add", left, right);
        int32_t twice = two(&net, "Add", both, both);
        int32_t kept = add_conv(&net, twice, 32, &c1, 5);
        int32_t last = two(&net, "Add", kept, sum);
        test_output(&net, kept);
        test_output(&net, last);
        test_output(&net, stem);
        compare(&net, "residuals", 1e-4f);
        net.layout = LEDGE_PLAN_BLOCKED;
        test_run(&net, LEDGE_RUNG_C, 1);
        assert_int_equal(nodes_of(net.plan, "Add"), 2); /* twice, last: kept is an output */
        assert_int_equal(nodes_of(net.plan, "ToBlocked"), 0);
        assert_int_equal(nodes_of(net.plan, "FromBlocked"), 3);
        test_done(&net);
        free(x);
    }
}

/* Squeeze and excite, scalars, a concatenation of whole blocks and one that is not, a plain
 * operator in the middle. */
static void mixed(void **state)
{
    (void)state;
    for (int nhwc = 0; nhwc < 2; nhwc++) {
        struct conv c1 = pointwise_32, c3 = square_32, odd = pointwise_32;
        c1.nhwc = c3.nhwc = odd.nhwc = nhwc;
        odd.out = 27;
        struct test_net net;
        test_init(&net);
        const float half = 0.5f;
        float *x = filled(40 * 9 * 9, 22);
        int32_t in = add_picture(&net, TEST_DIMS(1, 40, 9, 9), nhwc, x);
        int32_t a = add_conv(&net, in, 40, &c3, 1);
        int32_t pooled = test_node(&net, "", "GlobalAveragePool", 1, &a);
        test_int(&net, "layout", nhwc);
        int32_t gate = add_conv(&net, pooled, 32, &c1, 2);
        gate = test_node(&net, "", "Sigmoid", 1, &gate);
        a = two(&net, "Mul", gate, a);
        a = test_node(&net, "", "HardSwish", 1, &a);
        a = two(&net, "Mul", a, test_constant(&net, LEDGE_F32, 0, NULL, &half));
        int32_t b = add_conv(&net, a, 32, &c1, 3);
        int32_t narrow = add_conv(&net, a, 32, &odd, 4);
        int32_t axis = nhwc ? 3 : 1;
        int32_t wide = two(&net, "Concat", a, b);
        test_int(&net, "axis", axis);
        int32_t ragged = two(&net, "Concat", narrow, wide);
        test_int(&net, "axis", axis - 4);
        int32_t tail = test_node(&net, "", "Exp", 1, &wide);
        tail = add_conv(&net, tail, 64, &c1, 5);
        int32_t plain = two(&net, "Add", add_conv(&net, in, 40, &odd, 6), narrow);
        test_output(&net, add_conv(&net, ragged, 91, &c1, 6));
        test_output(&net, tail);
        test_output(&net, plain);
        compare(&net, "mixed", 1e-4f);
        test_done(&net);
        free(x);
    }
}

/* Two halves of a value's channels, of different sizes. */
static void split(struct test_net *net, int32_t x, int32_t axis, int64_t first, int64_t second,
                  int32_t out[2])
{
    const int64_t sizes[2] = {first, second};
    int32_t in[2] = {x, test_constant(net, LEDGE_I64, TEST_SHAPE(2), sizes)};
    for (int i = 0; i < 2; i++) {
        out[i] = ledge_graph_add_value(&net->graph, NULL, LEDGE_DTYPE_NONE, -1, NULL);
    }
    assert_true(ledge_graph_add_node(&net->graph, "", "Split", 13, NULL, in, 2, out, 2) >= 0);
    test_int(net, "axis", axis);
}

static int32_t reshape(struct test_net *net, int32_t x, int32_t rank, const int64_t *dims)
{
    int64_t n = rank;
    return two(net, "Reshape", x, test_constant(net, LEDGE_I64, 1, &n, dims));
}

/* Units of ShuffleNet: split, a branch, concatenate, shuffle; sizes that are no multiple of a
 * block; the middle read by others, too. */
static void shuffles(void **state)
{
    (void)state;
    for (int nhwc = 0; nhwc < 2; nhwc++) {
        struct conv first = pointwise_32, branch = pointwise_32;
        first.nhwc = branch.nhwc = nhwc;
        first.out = 54;
        branch.out = 29;
        struct test_net net;
        test_init(&net);
        int32_t axis = nhwc ? 3 : 1;
        float *x = filled(20 * 6 * 5, 41);
        int32_t y =
            add_conv(&net, add_picture(&net, TEST_DIMS(1, 20, 6, 5), nhwc, x), 20, &first, 1);
        for (int unit = 0; unit < 2; unit++) {
            int32_t half[2];
            split(&net, y, axis, 25, 29, half);
            int32_t joined = two(&net, "Concat", half[0], add_conv(&net, half[1], 29, &branch, 2));
            test_int(&net, "axis", axis);
            y = joined;
            if (!nhwc) {
                y = reshape(&net, y, TEST_SHAPE(1, 2, 27, 6, 5));
                y = test_node(&net, "", "Transpose", 1, &y);
                test_ints(&net, "perm", TEST_SHAPE(0, 2, 1, 3, 4));
                y = reshape(&net, y, TEST_SHAPE(1, 54, 6, 5));
            }
            if (unit == 0) {
                test_output(&net, joined);
            }
        }
        test_output(&net, add_conv(&net, y, 54, &first, 3));
        compare(&net, "shuffles", 1e-4f);
        net.layout = LEDGE_PLAN_BLOCKED;
        test_run(&net, LEDGE_RUNG_C, 1);
        assert_int_equal(nodes_of(net.plan, "Transpose") + nodes_of(net.plan, "Reshape"), 0);
        assert_int_equal(nodes_of(net.plan, "FromBlocked"), 2);
        assert_in_range(nodes_of(net.plan, "BlockedGather"), 4, 6);
        test_done(&net);
        free(x);
    }
}

/* A gather's map is checked: no channel past the end, no input that is not there. */
static void hostile_maps(void **state)
{
    (void)state;
    static const int64_t maps[][2] = {{0, 8}, {0, -1}, {(int64_t)1 << 32, 0}, {INT64_MAX, 0}};
    float data[4 * 2 * 4] = {0};
    for (size_t i = 0; i <= sizeof maps / sizeof maps[0]; i++) {
        struct test_net net;
        test_init(&net);
        int32_t x = test_input(&net, LEDGE_F32, TEST_SHAPE(1, 2, 2, 2, 4), data);
        test_output(&net, test_node(&net, "ledge", "BlockedGather", 1, &x));
        test_ints(&net, "map", 2, i == 0 ? TEST_DIMS(7, 0) : maps[i - 1]);
        assert_true((test_try(&net, LEDGE_RUNG_C, 1) == LEDGE_OK) == (i == 0));
        test_done(&net);
    }
}

/* Every function behind a convolution, behind a sum, of a value that others read, and as x * f(x).
 */
static void functions(void **state)
{
    (void)state;
    static const char *const names[] = {"HardSigmoid", "HardSwish", "LeakyRelu", "Sigmoid",
                                        "Swish"};
    for (size_t f = 0; f < sizeof names / sizeof names[0]; f++) {
        for (int gated = 0; gated < 2; gated++) {
            struct conv c1 = pointwise_32;
            struct test_net net;
            test_init(&net);
            float *x = filled(20 * 7 * 5, 31);
            for (int i = 0; i < 20 * 7 * 5; i++) {
                x[i] *= 8.0f;
            }
            int32_t in = add_picture(&net, TEST_DIMS(1, 20, 7, 5), false, x);
            int32_t first = add_conv(&net, in, 20, &c1, 1);
            int32_t y = test_node(&net, "", names[f], 1, &first);
            if (f == 0) {
                test_float(&net, "alpha", 1.0f / 6);
            }
            y = gated ? two(&net, "Mul", first, y) : y;
            int32_t sum = two(&net, "Add", add_conv(&net, y, 32, &c1, 2), y);
            int32_t z = test_node(&net, "", names[f], 1, &sum);
            if (f == 0) {
                test_float(&net, "alpha", 1.0f / 6);
            }
            z = gated ? two(&net, "Mul", z, sum) : two(&net, "Add", z, sum);
            test_output(&net, add_conv(&net, z, 32, &c1, 3));
            compare(&net, names[f], 1e-4f);
            net.layout = LEDGE_PLAN_BLOCKED;
            test_run(&net, LEDGE_RUNG_C, 1);
            bool self = gated && (f == 0 || f == 3);
            assert_int_equal(nodes_of(net.plan, "Mul"), gated && !self ? 2 : 0);
            assert_int_equal(nodes_of(net.plan, "BlockedActivation"), gated && !self ? 2 : !gated);
            test_done(&net);
            free(x);
        }
    }
}

/* A lone small convolution does not pay for two conversions; a deep one does; and a value in both a
 * region and plain hands is right in both. */
static void only_where_it_pays(void **state)
{
    (void)state;
    struct test_net net;
    test_init(&net);
    struct conv small = pointwise_32, deep = square_32;
    float *x = filled(32 * 8 * 8, 23);
    int32_t in = add_picture(&net, TEST_DIMS(1, 32, 8, 8), false, x);
    test_output(&net, add_conv(&net, in, 32, &small, 1));
    net.layout = LEDGE_PLAN_AUTO;
    test_run(&net, LEDGE_RUNG_C, 1);
    assert_int_equal(nodes_of(net.plan, "BlockedConv"), 0);
    test_stop(&net);
    test_output(&net, add_conv(&net, in, 32, &deep, 1));
    test_run(&net, LEDGE_RUNG_C, 1);
    assert_int_equal(nodes_of(net.plan, "BlockedConv"), 2);
    assert_int_equal(nodes_of(net.plan, "ToBlocked"), 1);
    test_stop(&net);
    compare(&net, "two readers", 3e-5f);
    test_done(&net);
    free(x);
}

/* Channels that are infinite or NaN stay alone where a plain convolution leaves them alone. */
static void padding_stays_clean(void **state)
{
    (void)state;
    struct test_net net;
    test_init(&net);
    float *x = filled(20 * 6 * 6, 24);
    for (int i = 0; i < 36; i++) {
        x[3 * 36 + i] = i == 7 ? NAN : INFINITY;
    }
    int32_t in = add_picture(&net, TEST_DIMS(1, 20, 6, 6), false, x);
    struct conv depthwise = {.out = 20,
                             .groups = 20,
                             .kernel_h = 3,
                             .kernel_w = 3,
                             .stride = 1,
                             .dilation = 1,
                             .pad = 1};
    int32_t y = add_conv(&net, in, 20, &depthwise, 1);
    y = test_node(&net, "", "GlobalMaxPool", 1, &y);
    test_output(&net, y);
    for (int32_t r = 0; r < N_RUNGS && rungs[r] <= ledge_port_rung(); r++) {
        net.layout = LEDGE_PLAN_BLOCKED;
        test_run(&net, rungs[r], 1);
        const float *got = test_result(&net, 0, TEST_SHAPE(1, 20, 1, 1));
        for (int c = 0; c < 20; c++) {
            assert_true(c == 3 || isfinite(got[c]));
        }
        test_stop(&net);
    }
    test_done(&net);
    free(x);
}

/* Nodes of these operators in a file: refused in one line, never run. */
static void hostile_nodes(void **state)
{
    (void)state;
    static const char *const ops[] = {"ToBlocked", "FromBlocked", "BlockedConv", "BlockedMaxPool",
                                      "BlockedGlobalAveragePool"};
    const int64_t shapes[][5] = {{1, 2, 3, 4, 16}, {1, 2, 3, 4, 3}, {0, 0, 0, 0, 0}};
    float data[1 * 2 * 3 * 4 * 16] = {0};
    for (size_t o = 0; o < sizeof ops / sizeof ops[0]; o++) {
        for (size_t s = 0; s < 3; s++) {
            for (int32_t rank = 3; rank <= 5; rank++) {
                struct test_net net;
                test_init(&net);
                int32_t x = test_input(&net, LEDGE_F32, rank, shapes[s], data);
                int32_t w = test_constant(&net, LEDGE_F32, TEST_SHAPE(4, 5, 1, 1), data);
                int32_t y = test_node(&net, "ledge", ops[o], 2, TEST_VALUES(x, w));
                test_int(&net, "block", s == 0 ? 7 : -1);
                test_int(&net, "channels", 33);
                test_int(&net, "group", (int64_t)1 << 60);
                test_ints(&net, "kernel_shape", TEST_SHAPE(9, 9));
                test_output(&net, y);
                enum ledge_status status = test_try(&net, LEDGE_RUNG_C, 1);
                bool pooled = rank == 5 && s < 2 && strstr(ops[o], "Global") != NULL;
                assert_true(pooled || status != LEDGE_OK ||
                            (strcmp(ops[o], "ToBlocked") == 0 && rank == 4 && s == 0));
                test_done(&net);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_dense),
        cmocka_unit_test(random_pointwise),
        cmocka_unit_test(random_depthwise),
        cmocka_unit_test(narrow_depthwise),
        cmocka_unit_test(random_winograd),
        cmocka_unit_test(winograd_shared_by_threads),
        cmocka_unit_test(groups_of_whole_blocks),
        cmocka_unit_test(random_pools),
        cmocka_unit_test(residuals),
        cmocka_unit_test(mixed),
        cmocka_unit_test(shuffles),
        cmocka_unit_test(hostile_maps),
        cmocka_unit_test(functions),
        cmocka_unit_test(only_where_it_pays),
        cmocka_unit_test(padding_stays_clean),
        cmocka_unit_test(hostile_nodes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
