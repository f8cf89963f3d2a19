/* SPDX-License-Identifier: Apache-2.0 */
/* custom_test.c -- the caller's operators: attributes, shapes, state, scratch, errors. */
#include "ledge/ledge.h"

#include "engine/run/testing.h"

#include <stdlib.h>

#include "engine/format/ledge_file.h"

/* com.example.Scale: y = factor * x + bias[last axis] (+ an optional third input), "bias" and
 * "factor" are attributes; y has the shape of x. */
struct scale_state {
    float factor;
    const float *bias;
    size_t n_bias;
};

static int runs;     /* of scale_run, by all sessions of a test */
static bool flushes; /* denormals count as zero in scale_run */

static bool denormals_are_zero(void)
{
    volatile float tiny = 1e-40f, one = 1.0f;
    return tiny * one == 0.0f;
}

static enum ledge_status scale_infer(const struct ledge_custom_call *call)
{
    assert_ptr_equal(call->user, &runs);
    assert_null(call->state);
    if (call->inputs[0].dtype != LEDGE_F32) {
        return ledge_custom_fail(call, LEDGE_ERR_DTYPE, "only f32, not %s",
                                 ledge_dtype_text(call->inputs[0].dtype));
    }
    call->outputs[0].dtype = LEDGE_F32;
    call->outputs[0].rank = call->inputs[0].rank;
    memcpy(call->outputs[0].dims, call->inputs[0].dims, sizeof call->inputs[0].dims);
    return LEDGE_OK;
}

static enum ledge_status scale_prepare(const struct ledge_custom_call *call, size_t *scratch_bytes)
{
    struct scale_state *state = call->state;
    assert_true(state->factor == 0 && state->bias == NULL); /* zeroed */
    assert_int_equal(*scratch_bytes, 0);
    state->factor = ledge_custom_float(call->node, "factor", 1.0f);
    state->bias = ledge_custom_floats(call->node, "bias", &state->n_bias);
    *scratch_bytes = 4096;
    return LEDGE_OK;
}

static enum ledge_status scale_run(const struct ledge_custom_call *call)
{
    const struct scale_state *state = call->state;
    const struct ledge_tensor *x = &call->inputs[0];
    const float *from = x->data;
    float *to = call->outputs[0].data;
    runs++;
    flushes = denormals_are_zero();
    assert_int_equal((uintptr_t)call->scratch % 64, 0);
    memset(call->scratch, 0xaa, 4096);
    assert_int_equal(call->inputs[1].dtype, LEDGE_DTYPE_NONE);
    for (size_t i = 0; i < x->bytes / sizeof *from; i++) {
        if (from[i] > 1000) {
            return ledge_custom_fail(call, LEDGE_ERR_RANGE, "element %d is too large", (int)i);
        }
        to[i] = state->factor * from[i] + (state->n_bias > 0 ? state->bias[i % state->n_bias] : 0);
    }
    return LEDGE_OK;
}

static const struct ledge_custom_op scale = {.domain = "com.example",
                                             .name = "Scale",
                                             .state_bytes = sizeof(struct scale_state),
                                             .infer = scale_infer,
                                             .prepare = scale_prepare,
                                             .run = scale_run,
                                             .user = &runs};

/* x [N][4] -> Relu -> Scale -> y, and Scale of a constant added to it: that one is folded. */
static uint8_t *scale_file(enum ledge_dtype dtype, size_t *size)
{
    struct ledge_graph graph;
    ledge_graph_init(&graph, NULL);
    const float bias[4] = {1, 2, 3, 4};
    int32_t v[6];
    v[0] = ledge_graph_add_value(&graph, "x", dtype, TEST_SHAPE(-1, 4));
    v[1] = ledge_graph_add_constant(&graph, "c", LEDGE_F32, TEST_SHAPE(4), bias, true);
    for (int i = 2; i < 6; i++) {
        v[i] = ledge_graph_add_value(&graph, i == 5 ? "y" : NULL, LEDGE_DTYPE_NONE, -1, NULL);
    }
    (void)ledge_graph_add_node(&graph, "", "Relu", 13, NULL, &v[0], 1, &v[2], 1);
    const int32_t in[2] = {v[2], -1}, constant[2] = {v[1], -1}, sum[2] = {v[3], v[4]};
    int32_t node =
        ledge_graph_add_node(&graph, "com.example", "Scale", 1, "first", in, 2, &v[3], 1);
    assert_true(ledge_graph_set_float(&graph, node, "factor", 2.0f) &&
                ledge_graph_set_floats(&graph, node, "bias", bias, 4));
    (void)ledge_graph_add_node(&graph, "com.example", "Scale", 1, NULL, constant, 2, &v[4], 1);
    (void)ledge_graph_add_node(&graph, "", "Add", 13, NULL, sum, 2, &v[5], 1);
    assert_true(ledge_graph_add_input(&graph, v[0]) == 0 &&
                ledge_graph_add_output(&graph, v[5]) == 0);
    uint8_t *bytes = NULL;
    assert_int_equal(ledge_file_write(&graph, NULL, size, NULL), LEDGE_OK);
    assert_int_equal(posix_memalign((void **)&bytes, 64, *size), 0);
    assert_int_equal(ledge_file_write(&graph, bytes, size, NULL), LEDGE_OK);
    ledge_graph_done(&graph);
    return bytes;
}

static struct ledge_tensor rows(float *x, int64_t n)
{
    return (struct ledge_tensor){
        .data = x, .bytes = (size_t)n * 16, .dtype = LEDGE_F32, .rank = 2, .dims = {n, 4}};
}

static void an_operator_of_ones_own_runs(void **state)
{
    (void)state;
    size_t size;
    uint8_t *bytes = scale_file(LEDGE_F32, &size);
    struct ledge_model_options options = {.custom_ops = &scale, .n_custom_ops = 1};
    struct ledge_model *model = NULL;
    struct ledge_session *sessions[2];
    struct ledge_error err;
    float x[8] = {1, -1, 2, 3, 0, 1, 2, 3};
    const float want[8] = {1 + 3, 2 + 2, 3 + 7, 4 + 10, 1 + 1, 2 + 4, 3 + 7, 4 + 10};
    assert_int_equal(ledge_model_open_memory(bytes, size, &options, &model, &err), LEDGE_OK);
    runs = 0;
    for (int i = 0; i < 2; i++) {
        struct ledge_session_options shape = {.batch = 2};
        assert_int_equal(ledge_session_open(model, &shape, &sessions[i], &err), LEDGE_OK);
    }
    assert_int_equal(runs, 1); /* the constant one, when the plan was made */
    for (int i = 0; i < 4; i++) {
        struct ledge_tensor in = rows(x, 2), out;
        assert_int_equal(ledge_session_run(sessions[i % 2], &in, 1, &out, 1, &err), LEDGE_OK);
        assert_int_equal(out.bytes, 32);
        assert_memory_equal(out.data, want, sizeof want);
    }
    assert_int_equal(runs, 5);
#if defined(__x86_64__)
    assert_true(flushes); /* inside a run, and as before outside */
#endif
    assert_false(denormals_are_zero());
    bool seen = false;
    for (int32_t i = 0; i < ledge_session_n_steps(sessions[0]); i++) {
        struct ledge_step_info info;
        assert_int_equal(ledge_session_step(sessions[0], i, &info), LEDGE_OK);
        seen = seen || (strcmp(info.op, "Scale") == 0 && strcmp(info.kernel, "custom") == 0);
    }
    assert_true(seen);
    x[5] = 2000;
    struct ledge_tensor in = rows(x, 2), out;
    assert_int_equal(ledge_session_run(sessions[0], &in, 1, &out, 1, &err), LEDGE_ERR_RANGE);
    assert_string_equal(err.text, "node first (Scale): element 5 is too large");
    ledge_session_close(sessions[0]);
    ledge_session_close(sessions[1]);
    ledge_model_close(model);
    free(bytes);
}

static enum ledge_status silent(const struct ledge_custom_call *call)
{
    (void)call;
    return LEDGE_ERR_UNSUPPORTED;
}

static enum ledge_status no_shape(const struct ledge_custom_call *call)
{
    call->outputs[0].dtype = LEDGE_F32;
    return LEDGE_OK;
}

static enum ledge_status huge(const struct ledge_custom_call *call)
{
    call->outputs[0].dtype = LEDGE_F32;
    call->outputs[0].rank = 2;
    call->outputs[0].dims[0] = INT64_MAX;
    call->outputs[0].dims[1] = 4;
    return LEDGE_OK;
}

static void errors_name_the_node(void **state)
{
    (void)state;
    size_t size;
    const struct {
        enum ledge_status (*infer)(const struct ledge_custom_call *);
        enum ledge_status status;
        const char *text;
    } cases[] = {
        {silent, LEDGE_ERR_UNSUPPORTED, "node first (Scale): not supported"},
        {no_shape, LEDGE_ERR_SHAPE, "node first (Scale): infer left output 0 without a shape"},
        {huge, LEDGE_ERR_SHAPE, "node first (Scale): output 0: dimension 0 is 9223372036854775807"},
        {scale_infer, LEDGE_ERR_DTYPE, "node first (Scale): only f32, not i32"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t *bytes = scale_file(cases[i].infer == scale_infer ? LEDGE_I32 : LEDGE_F32, &size);
        struct ledge_custom_op op = scale;
        op.infer = cases[i].infer;
        struct ledge_model_options options = {.custom_ops = &op, .n_custom_ops = 1};
        struct ledge_model *model = NULL;
        struct ledge_session *session = NULL;
        struct ledge_error err;
        assert_int_equal(ledge_model_open_memory(bytes, size, &options, &model, &err), LEDGE_OK);
        assert_int_equal(ledge_session_open(model, NULL, &session, &err), cases[i].status);
        assert_string_equal(err.text, cases[i].text);
        ledge_model_close(model);
        free(bytes);
    }
}

static void bad_registrations_are_refused(void **state)
{
    (void)state;
    size_t size;
    uint8_t *bytes = scale_file(LEDGE_F32, &size);
    struct ledge_model *model = NULL;
    struct ledge_error err;
    struct ledge_custom_op ops[2] = {scale, scale};
    struct ledge_model_options options = {.custom_ops = ops, .n_custom_ops = 2};
    assert_int_equal(ledge_model_open_memory(bytes, size, &options, &model, &err), LEDGE_ERR_ARG);
    assert_string_equal(err.text, "custom operator Scale is given twice");
    ops[1] = (struct ledge_custom_op){
        .domain = "ai.onnx", .name = "Relu", .infer = scale_infer, .run = scale_run};
    assert_int_equal(ledge_model_open_memory(bytes, size, &options, &model, &err),
                     LEDGE_ERR_EXISTS);
    ops[1].name = "Other";
    ops[1].infer = NULL;
    assert_int_equal(ledge_model_open_memory(bytes, size, &options, &model, &err), LEDGE_ERR_ARG);
    options.custom_ops = NULL;
    assert_int_equal(ledge_model_open_memory(bytes, size, &options, &model, &err), LEDGE_ERR_ARG);
    assert_int_equal(ledge_model_open_memory(bytes, size, NULL, &model, &err),
                     LEDGE_ERR_UNSUPPORTED);
    assert_string_equal(err.text, "no kernel for 1 operator: com.example.Scale");
    assert_null(model);
    free(bytes);
}

/* -- outputs that only values tell ----------------------------------------------------------------
 */

static int64_t asked, answered;

/* y: x[0] times the number x[1]. */
static enum ledge_status repeat_infer(const struct ledge_custom_call *call)
{
    const float *x = call->inputs[0].data;
    float y[16];
    asked++;
    if (x == NULL) {
        return ledge_custom_wait(call, 0);
    }
    answered++;
    if (!(x[0] >= 0 && x[0] <= 16)) {
        return ledge_custom_fail(call, LEDGE_ERR_RANGE, "%g times", (double)x[0]);
    }
    for (int i = 0; i < (int)x[0]; i++) {
        y[i] = x[1];
    }
    call->outputs[0].dtype = LEDGE_F32;
    call->outputs[0].rank = 1;
    call->outputs[0].dims[0] = (int64_t)x[0];
    assert_int_equal(ledge_custom_give(call, 0, y, 1000), LEDGE_ERR_SHAPE);
    assert_int_equal(ledge_custom_give(call, 1, y, 4), LEDGE_ERR_STATE);
    assert_int_equal(ledge_custom_wait(call, 0), LEDGE_ERR_STATE); /* it is there */
    call->err->text[0] = '\0';
    return ledge_custom_give(call, 0, y, (size_t)x[0] * sizeof *y);
}

static void an_operator_waits_for_a_value_and_gives_its_output(void **state)
{
    (void)state;
    static const struct ledge_custom_op repeat = {
        .domain = "com.example", .name = "Scale", .infer = repeat_infer};
    const struct ledge_model_options options = {.custom_ops = &repeat, .n_custom_ops = 1};
    struct ledge_graph graph;
    struct ledge_model *model = NULL;
    struct ledge_session *session = NULL;
    struct ledge_error err;
    size_t size;
    uint8_t *bytes = NULL;
    ledge_graph_init(&graph, NULL);
    int32_t v[4];
    v[0] = ledge_graph_add_value(&graph, "x", LEDGE_F32, TEST_SHAPE(2));
    for (int i = 1; i < 4; i++) {
        v[i] = ledge_graph_add_value(&graph, i == 3 ? "y" : NULL, LEDGE_DTYPE_NONE, -1, NULL);
    }
    (void)ledge_graph_add_node(&graph, "", "Relu", 13, NULL, &v[0], 1, &v[1], 1);
    (void)ledge_graph_add_node(&graph, "com.example", "Scale", 1, "late", &v[1], 1, &v[2], 1);
    (void)ledge_graph_add_node(&graph, "", "Neg", 13, NULL, &v[2], 1, &v[3], 1);
    assert_true(ledge_graph_add_input(&graph, v[0]) == 0 &&
                ledge_graph_add_output(&graph, v[3]) == 0);
    assert_int_equal(ledge_file_write(&graph, NULL, &size, NULL), LEDGE_OK);
    assert_int_equal(posix_memalign((void **)&bytes, 64, size), 0);
    assert_int_equal(ledge_file_write(&graph, bytes, &size, NULL), LEDGE_OK);
    ledge_graph_done(&graph);
    assert_int_equal(ledge_model_open_memory(bytes, size, &options, &model, &err), LEDGE_OK);
    assert_int_equal(ledge_session_open(model, NULL, &session, &err), LEDGE_OK);
    assert_true(asked > 0 && answered == 0);
    for (int n = 4; n >= 0; n -= 2) {
        float x[2] = {(float)n, (float)(10 + n)};
        struct ledge_tensor out,
            in = {.data = x, .bytes = 8, .dtype = LEDGE_F32, .rank = 1, .dims = {2}};
        assert_int_equal(ledge_session_run(session, &in, 1, &out, 1, &err), LEDGE_OK);
        assert_int_equal(out.dims[0], n);
        for (int i = 0; i < n; i++) {
            assert_true(((const float *)out.data)[i] == -(float)(10 + n));
        }
    }
    float x[2] = {17, 1};
    struct ledge_tensor out,
        in = {.data = x, .bytes = 8, .dtype = LEDGE_F32, .rank = 1, .dims = {2}};
    assert_int_equal(ledge_session_run(session, &in, 1, &out, 1, &err), LEDGE_ERR_RANGE);
    assert_non_null(strstr(err.text, "node late (Scale): 17 times"));
    ledge_session_close(session);
    ledge_model_close(model);
    free(bytes);
}

/* -- the n-th allocation fails -- */

struct meter {
    int64_t calls, fail_at, live;
};

static void *meter_alloc(void *user, size_t bytes, size_t align)
{
    struct meter *meter = user;
    bool fails = ++meter->calls == meter->fail_at;
    meter->live += fails ? 0 : (int64_t)bytes;
    return fails ? NULL : ledge_allocator_default()->alloc(NULL, bytes, align);
}

static void meter_release(void *user, void *memory, size_t bytes)
{
    struct meter *meter = user;
    meter->live -= (int64_t)bytes;
    ledge_allocator_default()->release(NULL, memory, bytes);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    size_t size;
    uint8_t *bytes = scale_file(LEDGE_F32, &size);
    int64_t fail_at = 0;
    bool done = false;
    while (!done) {
        struct meter meter = {.fail_at = ++fail_at};
        struct ledge_allocator allocator = {meter_alloc, meter_release, &meter};
        struct ledge_model_options options = {
            .allocator = &allocator, .custom_ops = &scale, .n_custom_ops = 1};
        struct ledge_model *model = NULL;
        struct ledge_session *session = NULL;
        struct ledge_error err = {.status = LEDGE_OK};
        enum ledge_status status = ledge_model_open_memory(bytes, size, &options, &model, &err);
        if (status == LEDGE_OK) {
            status = ledge_session_open(model, NULL, &session, &err);
        }
        done = meter.calls < fail_at;
        assert_int_equal(status, done ? LEDGE_OK : LEDGE_ERR_NOMEM);
        assert_int_equal(err.status, status);
        ledge_session_close(session);
        ledge_model_close(model);
        assert_int_equal(meter.live, 0);
    }
    assert_true(fail_at > 5);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_operator_of_ones_own_runs),
        cmocka_unit_test(errors_name_the_node),
        cmocka_unit_test(bad_registrations_are_refused),
        cmocka_unit_test(an_operator_waits_for_a_value_and_gives_its_output),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
