/* SPDX-License-Identifier: Apache-2.0 */
/* Every gradient rule against central differences of the forward step.
 *
 * L = sum g f(x) for a random g is summed in double; each input element is moved by h and 2h both
 * ways (fourth order), so what is left is the rounding of f in f32: for operators linear in the
 * input h is 0.5 and the relative error of the whole gradient (Euclidean norm) must stay below
 * 2e-5, else h is 0.02 and it must stay below 5e-4.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <math.h>

#include "base/status.h"
#include "data/philox.h"
#include "engine/port/port.h"
#include "engine/run/run.h"
#include "train/grad/grad.h"
#include "train/ops/ops.h"

enum { MAX_INPUTS = 8 };
#define LINEAR 0.5
#define CURVED 0.02

struct rig {
    struct ledge_graph graph;
    int32_t inputs[MAX_INPUTS]; /* f32 graph inputs whose gradients are checked */
    float *data[MAX_INPUTS];
    int64_t counts[MAX_INPUTS];
    int32_t n;
    int32_t node;
    uint64_t seed;
};

static struct ledge_error err;

static void must(enum ledge_status status)
{
    if (status != LEDGE_OK) {
        fail_msg("%s", err.text);
    }
}

static void start(struct rig *rig)
{
    *rig = (struct rig){.seed = 7};
    ledge_graph_init(&rig->graph, ledge_allocator_default());
    rig->graph.extra_ops = &train_ops;
}

/* Values in [-1, 1), at least 0.1 from zero and, as multiples of a small step plus noise, apart
 * from each other: nothing crosses a kink of Relu or changes places under a maximum when moved by 2
 * * CURVED. */
static int32_t input(struct rig *rig, int32_t rank, const int64_t *dims)
{
    int64_t count = 1;
    for (int32_t i = 0; i < rank; i++) {
        count *= dims[i];
    }
    float *data = malloc((size_t)count * sizeof *data);
    assert_non_null(data);
    for (int64_t i = 0; i < count; i++) {
        float x = data_philox_signed(data_philox(rig->seed, (uint64_t)rig->n, (uint64_t)i).word[0]);
        data[i] = x + (x < 0 ? -0.1f : 0.1f);
    }
    int32_t value = ledge_graph_add_value(&rig->graph, NULL, LEDGE_F32, rank, dims);
    assert_true(value >= 0 && ledge_graph_add_input(&rig->graph, value) >= 0);
    rig->inputs[rig->n] = value;
    rig->data[rig->n] = data;
    rig->counts[rig->n++] = count;
    return value;
}

#define DIMS(...)                                                                                  \
    (int32_t)(sizeof((int64_t[]){__VA_ARGS__}) / 8), (const int64_t[])                             \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }

static int32_t node(struct rig *rig, const char *domain, const char *op, int32_t n_in,
                    const int32_t *in, int32_t n_out)
{
    int32_t out[3];
    for (int32_t i = 0; i < n_out; i++) {
        out[i] = ledge_graph_add_value(&rig->graph, NULL, LEDGE_F32, -1, NULL);
    }
    rig->node = ledge_graph_add_node(&rig->graph, domain, op, 13, NULL, in, n_in, out, n_out);
    assert_true(rig->node >= 0);
    return out[0];
}

static void ints(struct rig *rig, const char *name, size_t n, const int64_t *v)
{
    assert_true(ledge_graph_set_ints(&rig->graph, rig->node, name, v, n));
}
#define INTS(rig, name, ...)                                                                       \
    ints(rig, name, sizeof((int64_t[]){__VA_ARGS__}) / 8, (const int64_t[]){__VA_ARGS__})

static struct ledge_run *make_run(const struct ledge_graph *graph, struct ledge_plan **plan)
{
    struct ledge_plan_options options = {.rung = ledge_port_rung(), .threads = 1};
    struct ledge_run *run = NULL;
    must(ledge_plan_create(graph, &options, NULL, plan, &err));
    must(ledge_run_create(*plan, NULL, NULL, &run, &err));
    return run;
}

static double loss_of(struct ledge_run *run, const float *g)
{
    must(ledge_run_once(run, &err));
    struct ledge_view y = ledge_run_output(run, 0);
    const float *data = y.data;
    double total = 0;
    for (int64_t i = 0; i < ledge_view_count(&y); i++) {
        total += (double)g[i] * (double)data[i];
    }
    return total;
}

static double moved(struct ledge_run *run, const float *g, float *x, float by)
{
    float before = *x;
    *x = before + by;
    double exact = (double)*x - (double)before; /* what the addition really did */
    double loss = loss_of(run, g);
    *x = before;
    return exact != 0 ? loss : 0;
}

/* Numerical against analytical gradient of every input. */
static void check(struct rig *rig, int32_t out, double h)
{
    struct ledge_graph backward;
    struct ledge_plan *plans[2];
    int32_t grads[MAX_INPUTS];
    assert_true(ledge_graph_add_output(&rig->graph, out) >= 0);
    must(ledge_graph_sort(&rig->graph, &err));
    struct ledge_run *forward = make_run(&rig->graph, &plans[0]);
    ledge_graph_init(&backward, ledge_allocator_default());
    must(ledge_graph_copy(&rig->graph, &backward, &err));
    const struct ledge_value *shape = &plans[0]->graph.values[out];
    int32_t seed = ledge_graph_add_value(&backward, NULL, LEDGE_F32, shape->rank, shape->dims);
    assert_true(ledge_graph_add_input(&backward, seed) >= 0);
    must(train_grad_build(&backward, out, seed, rig->inputs, rig->n, grads, &err));
    backward.n_outputs = 0;
    for (int32_t i = 0; i < rig->n; i++) {
        assert_true(grads[i] >= 0 && ledge_graph_add_output(&backward, grads[i]) >= 0);
    }
    must(ledge_graph_sort(&backward, &err));
    struct ledge_run *reverse = make_run(&backward, &plans[1]);
    float *g = malloc((size_t)train_count(shape) * sizeof *g);
    for (int64_t i = 0; i < train_count(shape); i++) {
        g[i] = data_philox_signed(data_philox(99, 0, (uint64_t)i).word[1]);
    }
    for (int32_t i = 0; i < rig->n; i++) {
        ledge_run_bind(forward, i, rig->data[i]);
        ledge_run_bind(reverse, i, rig->data[i]);
    }
    ledge_run_bind(reverse, rig->n, g);
    must(ledge_run_once(reverse, &err));
    for (int32_t i = 0; i < rig->n; i++) {
        const float *analytic = ledge_run_output(reverse, i).data;
        double difference = 0;
        double norm = 0;
        for (int64_t k = 0; k < rig->counts[i]; k++) {
            float *x = &rig->data[i][k];
            float step = (float)h;
            double near = moved(forward, g, x, step) - moved(forward, g, x, -step);
            double far = moved(forward, g, x, 2 * step) - moved(forward, g, x, -2 * step);
            double numeric = h == LINEAR ? near / (2 * h) : (8 * near - far) / (12 * h);
            difference += pow(numeric - (double)analytic[k], 2);
            norm += numeric * numeric;
        }
        double error = sqrt(difference) / (sqrt(norm) + 1e-12);
        print_message("  input %d: relative error %.1e\n", i, error);
        assert_true(norm > 0);
        assert_true(error < (h == LINEAR ? 2e-5 : 5e-4));
    }
    free(g);
    ledge_run_free(forward);
    ledge_run_free(reverse);
    ledge_plan_free(plans[0]);
    ledge_plan_free(plans[1]);
    ledge_graph_done(&backward);
    ledge_graph_done(&rig->graph);
    for (int32_t i = 0; i < rig->n; i++) {
        free(rig->data[i]);
    }
}

static void conv_case(const char *domain, int64_t n, int64_t c, int64_t o, int64_t group, int64_t k,
                      int64_t stride, int64_t dilation, int64_t pad, int64_t size)
{
    struct rig rig;
    start(&rig);
    int32_t in[3] = {input(&rig, DIMS(n, c, size, size + 1)), input(&rig, DIMS(o, c / group, k, k)),
                     input(&rig, DIMS(o))};
    int32_t out = node(&rig, domain, "Conv", 3, in, 1);
    INTS(&rig, "strides", stride, stride);
    INTS(&rig, "dilations", dilation, dilation);
    INTS(&rig, "pads", pad, pad, pad, pad);
    INTS(&rig, "kernel_shape", k, k);
    assert_true(ledge_graph_set_int(&rig.graph, rig.node, "group", group));
    check(&rig, out, LINEAR);
}

static void test_conv(void **state)
{
    (void)state;
    conv_case(TRAIN_DOMAIN, 3, 3, 5, 1, 3, 1, 1, 1, 6);
    conv_case(TRAIN_DOMAIN, 2, 9, 17, 1, 1, 1, 1, 0, 4);
    conv_case(TRAIN_DOMAIN, 2, 2, 3, 1, 3, 2, 1, 1, 7);
    conv_case(TRAIN_DOMAIN, 2, 2, 3, 1, 1, 2, 1, 0, 6);
    conv_case(TRAIN_DOMAIN, 1, 2, 3, 1, 3, 1, 2, 2, 6);
    conv_case(TRAIN_DOMAIN, 1, 2, 2, 1, 5, 3, 1, 2, 9);
    conv_case(TRAIN_DOMAIN, 2, 4, 6, 2, 3, 2, 1, 1, 5);
    conv_case(TRAIN_DOMAIN, 9, 1, 4, 1, 4, 1, 1, 0, 5);
}

static void test_depthwise(void **state)
{
    (void)state;
    conv_case(TRAIN_DOMAIN, 3, 4, 4, 4, 3, 1, 1, 1, 6);
    conv_case(TRAIN_DOMAIN, 2, 3, 3, 3, 3, 2, 1, 1, 7);
    conv_case(TRAIN_DOMAIN, 1, 2, 2, 2, 5, 2, 1, 2, 8);
}

/* The engine's Conv goes forward, our rule backward: they mean the same. */
static void test_conv_of_engine(void **state)
{
    (void)state;
    conv_case("", 2, 3, 5, 1, 3, 2, 1, 1, 6);
    conv_case("", 2, 3, 3, 3, 3, 1, 1, 1, 5);
}

static void test_matmul(void **state)
{
    (void)state;
    for (int t = 0; t < 4; t++) {
        struct rig rig;
        start(&rig);
        int32_t a = t & 1 ? input(&rig, DIMS(7, 5)) : input(&rig, DIMS(5, 7));
        int32_t b = t & 2 ? input(&rig, DIMS(19, 7)) : input(&rig, DIMS(7, 19));
        int32_t c = t == 0 ? input(&rig, DIMS(19)) : input(&rig, DIMS(5, 1));
        bool own = t != 3;
        int32_t out = node(&rig, own ? TRAIN_DOMAIN : "", own ? "MatMul" : "Gemm", 3,
                           (int32_t[]){a, b, c}, 1);
        assert_true(ledge_graph_set_int(&rig.graph, rig.node, own ? "trans_a" : "transA", t & 1));
        assert_true(ledge_graph_set_int(&rig.graph, rig.node, own ? "trans_b" : "transB", t >> 1));
        assert_true(ledge_graph_set_float(&rig.graph, rig.node, "alpha", 1.5f));
        assert_true(ledge_graph_set_float(&rig.graph, rig.node, "beta", 0.5f));
        check(&rig, out, LINEAR);
    }
    struct rig rig; /* a batch, one side of it broadcast */
    start(&rig);
    int32_t a = input(&rig, DIMS(2, 3, 4, 5));
    int32_t b = input(&rig, DIMS(3, 5, 2));
    check(&rig, node(&rig, "", "MatMul", 2, (int32_t[]){a, b}, 1), LINEAR);
}

static void test_batch_norm(void **state)
{
    (void)state;
    struct rig rig;
    start(&rig);
    int32_t in[3] = {input(&rig, DIMS(4, 3, 3, 3)), input(&rig, DIMS(3)), input(&rig, DIMS(3))};
    check(&rig, node(&rig, TRAIN_DOMAIN, "BatchNorm", 3, in, 3), CURVED);
}

static void test_fixed_norm(void **state)
{
    (void)state;
    static const float var[2] = {0.5f, 2};
    static const float mean[2] = {0.1f, -0.2f};
    static const int64_t two = 2;
    struct rig rig;
    start(&rig);
    int32_t in[5] = {input(&rig, DIMS(2, 2, 3))};
    for (int i = 1; i < 5; i++) {
        in[i] = ledge_graph_add_constant(&rig.graph, NULL, LEDGE_F32, 1, &two, i == 3 ? mean : var,
                                         true);
    }
    check(&rig, node(&rig, "", "BatchNormalization", 5, in, 1), LINEAR);
}

static void unary_case(const char *domain, const char *op, const char *name, float value)
{
    struct rig rig;
    start(&rig);
    int32_t x = input(&rig, DIMS(3, 5));
    bool positive = strcmp(op, "Sqrt") == 0 || strcmp(op, "Log") == 0;
    for (int64_t i = 0; i < rig.counts[0]; i++) {
        rig.data[0][i] = positive ? fabsf(rig.data[0][i]) + 0.2f : rig.data[0][i] * 2;
    }
    int32_t out = node(&rig, domain, op, 1, &x, 1);
    if (name != NULL) {
        assert_true(ledge_graph_set_float(&rig.graph, rig.node, name, value));
    }
    print_message("%s\n", op);
    check(&rig, out, CURVED);
}

static void test_activations(void **state)
{
    (void)state;
    static const struct {
        const char *op;
        const char *name;
        float value;
    } cases[] = {{"Relu", NULL, 0},      {"Sigmoid", NULL, 0},
                 {"Tanh", NULL, 0},      {"LeakyRelu", "alpha", .3f},
                 {"Elu", "alpha", .7f},  {"HardSigmoid", "alpha", .21f},
                 {"HardSwish", NULL, 0}, {"Softplus", NULL, 0},
                 {"Exp", NULL, 0},       {"Log", NULL, 0},
                 {"Sqrt", NULL, 0},      {"Softmax", NULL, 0},
                 {"Neg", NULL, 0}};
    int32_t absent = 0;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct ledge_node probe = {.op = cases[i].op, .domain = "", .opset = 13};
        const struct ledge_graph empty = {.extra_ops = &train_ops};
        if (ledge_op_find(&empty, &probe) == NULL) {
            print_message("%s: the engine has no such operator\n", cases[i].op);
            absent++;
            continue;
        }
        unary_case("", cases[i].op, cases[i].name, cases[i].value);
    }
    assert_int_equal(absent, 0);
    unary_case(TRAIN_DOMAIN, "Relu", NULL, 0);
}

static void test_clip(void **state)
{
    (void)state;
    static const float low = -0.5f;
    static const float high = 0.6f;
    struct rig rig;
    start(&rig);
    int32_t in[3] = {input(&rig, DIMS(40)),
                     ledge_graph_add_constant(&rig.graph, NULL, LEDGE_F32, 0, NULL, &low, true),
                     ledge_graph_add_constant(&rig.graph, NULL, LEDGE_F32, 0, NULL, &high, true)};
    for (int i = 0; i < 40; i++) { /* 0.05 apart and never within 0.04 of a limit */
        rig.data[0][i] = 0.05f * (float)(i - 20) + (i < 20 ? -0.0f : 0.0f) + 0.025f;
        rig.data[0][i] +=
            fabsf(rig.data[0][i] - low) < 0.045f || fabsf(rig.data[0][i] - high) < 0.045f ? 0.1f
                                                                                          : 0;
    }
    check(&rig, node(&rig, "", "Clip", 3, in, 1), CURVED);
}

static void test_arithmetic(void **state)
{
    (void)state;
    static const char *const ops[] = {"Add", "Sub", "Mul", "Div"};
    for (int i = 0; i < 4; i++) {
        struct rig rig;
        start(&rig);
        int32_t a = input(&rig, DIMS(2, 3, 4));
        int32_t b = input(&rig, DIMS(3, 1));
        for (int64_t k = 0; k < rig.counts[1]; k++) {
            rig.data[1][k] += rig.data[1][k] > 0 ? 1.0f : -1.0f;
        }
        print_message("%s\n", ops[i]);
        check(&rig, node(&rig, "", ops[i], 2, (int32_t[]){a, b}, 1), CURVED);
    }
    struct rig rig; /* a value read twice: its gradients are added */
    start(&rig);
    int32_t x = input(&rig, DIMS(6));
    int32_t square = node(&rig, "", "Mul", 2, (int32_t[]){x, x}, 1);
    check(&rig, node(&rig, "", "Add", 2, (int32_t[]){square, x}, 1), CURVED);
}

static void pool_case(const char *domain, const char *op, int64_t k, int64_t stride, int64_t pad,
                      int64_t size)
{
    struct rig rig;
    start(&rig);
    int32_t x = input(&rig, DIMS(2, 3, size, size));
    for (int64_t i = 0; i < rig.counts[0]; i++) { /* all different by more than 4 * CURVED */
        rig.data[0][i] = (float)((i * 37) % rig.counts[0]) * 0.1f;
    }
    int32_t out = node(&rig, domain, op, 1, &x, 1);
    INTS(&rig, "kernel_shape", k, k);
    INTS(&rig, "strides", stride, stride);
    INTS(&rig, "pads", pad, pad, pad, pad);
    check(&rig, out, CURVED);
}

static void test_pools(void **state)
{
    (void)state;
    pool_case("", "MaxPool", 2, 2, 0, 4);
    pool_case(TRAIN_DOMAIN, "MaxPool", 2, 2, 0, 7);
    pool_case("", "MaxPool", 2, 2, 0, 5);
    pool_case("", "MaxPool", 3, 2, 1, 6);
    pool_case("", "AveragePool", 2, 2, 0, 4);
    pool_case("", "AveragePool", 3, 2, 1, 5);
    struct rig rig;
    start(&rig);
    int32_t x = input(&rig, DIMS(2, 3, 2, 3));
    check(&rig, node(&rig, "", "GlobalAveragePool", 1, &x, 1), LINEAR);
}

static void test_shapes(void **state)
{
    (void)state;
    struct rig rig;
    start(&rig);
    int32_t x = input(&rig, DIMS(2, 3, 4));
    check(&rig, node(&rig, "", "Flatten", 1, &x, 1), LINEAR);
    start(&rig);
    x = input(&rig, DIMS(2, 3, 4));
    int32_t out = node(&rig, "", "Transpose", 1, &x, 1);
    INTS(&rig, "perm", 2, 0, 1);
    check(&rig, out, LINEAR);
    start(&rig);
    int32_t in[3] = {input(&rig, DIMS(2, 3, 4)), input(&rig, DIMS(2, 1, 4)),
                     input(&rig, DIMS(2, 2, 4))};
    out = node(&rig, "", "Concat", 3, in, 1);
    assert_true(ledge_graph_set_int(&rig.graph, rig.node, "axis", 1));
    check(&rig, out, LINEAR);
    start(&rig);
    x = input(&rig, DIMS(2, 3, 4));
    out = node(&rig, "", "ReduceMean", 1, &x, 1);
    INTS(&rig, "axes", 1, -1);
    check(&rig, out, LINEAR);
}

/* The loss gives its own gradient: compare with differences of the loss. */
static void test_cross_entropy(void **state)
{
    (void)state;
    enum { N = 4, C = 5 };
    static int32_t labels[N] = {0, 4, 2, 2};
    struct rig rig;
    struct ledge_plan *plan;
    start(&rig);
    int32_t logits = input(&rig, DIMS(N, C));
    int32_t label = ledge_graph_add_value(&rig.graph, NULL, LEDGE_I32, 1, (const int64_t[]){N});
    assert_true(ledge_graph_add_input(&rig.graph, label) >= 0);
    int32_t out = node(&rig, TRAIN_DOMAIN, "SoftmaxCrossEntropy", 2, (int32_t[]){logits, label}, 2);
    assert_true(ledge_graph_set_float(&rig.graph, rig.node, "label_smoothing", 0.1f));
    int32_t gradient = rig.graph.nodes[rig.node].out[1];
    assert_true(ledge_graph_add_output(&rig.graph, out) >= 0);
    assert_true(ledge_graph_add_output(&rig.graph, gradient) >= 0);
    must(ledge_graph_sort(&rig.graph, &err));
    struct ledge_run *run = make_run(&rig.graph, &plan);
    ledge_run_bind(run, 0, rig.data[0]);
    ledge_run_bind(run, 1, labels);
    static const float one = 1;
    float analytic[N * C];
    (void)loss_of(run, &one);
    memcpy(analytic, ledge_run_output(run, 1).data, sizeof analytic);
    for (int i = 0; i < N * C; i++) {
        float *x = &rig.data[0][i];
        double numeric = (moved(run, &one, x, 0.05f) - moved(run, &one, x, -0.05f)) / 0.1;
        assert_true(fabs(numeric - (double)analytic[i]) < 2e-4);
    }
    labels[0] = 5;
    assert_int_equal(ledge_run_once(run, &err), LEDGE_ERR_RANGE);
    ledge_run_free(run);
    ledge_plan_free(plan);
    ledge_graph_done(&rig.graph);
    free(rig.data[0]);
}

/* Dropout: the share that is dropped, the same mask for the same step, and the mask of the
 * gradient. */
static void test_dropout(void **state)
{
    (void)state;
    enum { N = 20001 };
    struct rig rig;
    struct ledge_plan *plan;
    start(&rig);
    int32_t x = input(&rig, DIMS(N));
    int32_t step = ledge_graph_add_value(&rig.graph, NULL, LEDGE_I64, 0, NULL);
    assert_true(ledge_graph_add_input(&rig.graph, step) >= 0);
    int32_t y = node(&rig, TRAIN_DOMAIN, "Dropout", 2, (int32_t[]){x, step}, 1);
    assert_true(ledge_graph_set_float(&rig.graph, rig.node, "ratio", 0.25f));
    int32_t dx;
    must(train_grad_build(&rig.graph, y, x, &x, 1, &dx, &err)); /* seed: x itself */
    assert_true(ledge_graph_add_output(&rig.graph, y) >= 0);
    assert_true(ledge_graph_add_output(&rig.graph, dx) >= 0);
    must(ledge_graph_sort(&rig.graph, &err));
    struct ledge_run *run = make_run(&rig.graph, &plan);
    int64_t steps[3] = {1, 2, 1};
    float *first = malloc(N * sizeof *first);
    ledge_run_bind(run, 0, rig.data[0]);
    for (int i = 0; i < 3; i++) {
        ledge_run_bind(run, 1, &steps[i]);
        must(ledge_run_once(run, &err));
        const float *a = ledge_run_output(run, 0).data;
        int32_t zeros = 0;
        for (int k = 0; k < N; k++) {
            zeros += a[k] == 0;
        }
        assert_in_range(zeros, 4700, 5300);
        assert_memory_equal(a, ledge_run_output(run, 1).data, N * sizeof *a);
        if (i == 0) {
            memcpy(first, a, N * sizeof *a);
        } else {
            assert_true((memcmp(first, a, N * sizeof *a) == 0) == (i == 2));
        }
    }
    free(first);
    ledge_run_free(run);
    ledge_plan_free(plan);
    ledge_graph_done(&rig.graph);
    free(rig.data[0]);
}

static void test_refusal(void **state)
{
    (void)state;
    struct rig rig;
    int32_t dx;
    start(&rig);
    int32_t x = input(&rig, DIMS(3));
    int32_t y = node(&rig, "", "ArgMax", 1, &x, 1);
    assert_int_equal(train_grad_build(&rig.graph, y, x, &x, 1, &dx, &err), LEDGE_ERR_UNSUPPORTED);
    assert_non_null(strstr(err.text, "operator ArgMax has no gradient here"));
    ledge_graph_done(&rig.graph);
    free(rig.data[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conv),           cmocka_unit_test(test_depthwise),
        cmocka_unit_test(test_conv_of_engine), cmocka_unit_test(test_matmul),
        cmocka_unit_test(test_batch_norm),     cmocka_unit_test(test_fixed_norm),
        cmocka_unit_test(test_activations),    cmocka_unit_test(test_clip),
        cmocka_unit_test(test_arithmetic),     cmocka_unit_test(test_pools),
        cmocka_unit_test(test_shapes),         cmocka_unit_test(test_cross_entropy),
        cmocka_unit_test(test_dropout),        cmocka_unit_test(test_refusal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
