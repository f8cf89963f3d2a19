/* SPDX-License-Identifier: Apache-2.0 */
/* api_test.c -- the public API on a small .ledge model in memory: shapes, errors, sharing, memory.
 */
#include "ledge/ledge.h"

#include "engine/run/testing.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "engine/format/ledge_file.h"

/* -- an allocator that counts, and fails the n-th time -- */

struct counter {
    int64_t calls;
    int64_t fail_at; /* number of the call that fails; 0: none */
    int64_t live;    /* bytes */
    pthread_mutex_t lock;
};

static void *count_alloc(void *user, size_t bytes, size_t align)
{
    struct counter *counter = user;
    pthread_mutex_lock(&counter->lock);
    bool fails = ++counter->calls == counter->fail_at;
    counter->live += fails ? 0 : (int64_t)bytes;
    pthread_mutex_unlock(&counter->lock);
    return fails ? NULL : ledge_allocator_default()->alloc(NULL, bytes, align);
}

static void count_release(void *user, void *memory, size_t bytes)
{
    struct counter *counter = user;
    pthread_mutex_lock(&counter->lock);
    counter->live -= (int64_t)bytes;
    pthread_mutex_unlock(&counter->lock);
    ledge_allocator_default()->release(NULL, memory, bytes);
}

static uint8_t *sample_file(size_t *size)
{
    struct ledge_graph graph;
    ledge_graph_init(&graph, NULL);
    test_sample(&graph);
    uint8_t *bytes = NULL;
    assert_int_equal(ledge_file_write(&graph, NULL, size, NULL), LEDGE_OK);
    assert_int_equal(posix_memalign((void **)&bytes, 64, *size), 0);
    assert_int_equal(ledge_file_write(&graph, bytes, size, NULL), LEDGE_OK);
    ledge_graph_done(&graph);
    return bytes;
}

static struct ledge_model *open_sample(const uint8_t *bytes, size_t size)
{
    struct ledge_model *model = NULL;
    struct ledge_error err;
    if (ledge_model_open_memory(bytes, size, NULL, &model, &err) != LEDGE_OK) {
        fail_msg("%s", err.text);
    }
    return model;
}

static struct ledge_tensor picture(float *data, int64_t batch)
{
    uint32_t seed = 1;
    test_fill_f32(data, batch * 192, &seed);
    return (struct ledge_tensor){.data = data,
                                 .bytes = (size_t)batch * 192 * 4,
                                 .dtype = LEDGE_F32,
                                 .rank = 4,
                                 .dims = {batch, 3, 8, 8}};
}

static void a_model_describes_itself(void **state)
{
    (void)state;
    size_t size;
    uint8_t *bytes = sample_file(&size);
    struct ledge_model *model = open_sample(bytes, size);
    struct ledge_tensor_info info;
    const char *key, *value;
    assert_int_equal(ledge_model_n_inputs(model), 1);
    assert_int_equal(ledge_model_n_outputs(model), 2);
    assert_int_equal(ledge_model_input(model, 0, &info), LEDGE_OK);
    assert_string_equal(info.name, "x");
    assert_int_equal(info.dims[0], -1);
    assert_string_equal(info.dim_names[0], "N");
    assert_int_equal(ledge_model_output(model, 0, &info), LEDGE_OK);
    assert_string_equal(info.name, "y");
    assert_true(info.scale == 0.5f && info.zero_point == 3);
    assert_int_equal(ledge_model_input(model, 1, &info), LEDGE_ERR_ARG);
    assert_string_equal(ledge_model_metadata(model, "ledge.labels"), "a,b,c,d,e");
    assert_null(ledge_model_metadata(model, "nothing"));
    assert_int_equal(ledge_model_n_metadata(model), 1);
    assert_int_equal(ledge_model_metadata_at(model, 0, &key, &value), LEDGE_OK);
    assert_int_equal(ledge_model_metadata_at(model, 1, &key, &value), LEDGE_ERR_ARG);
    ledge_model_close(model);
    free(bytes);
}

/* The same picture alone and in a batch of three gives the same bytes; an output may be the input.
 */
static void sessions_run(void **state)
{
    (void)state;
    size_t size;
    uint8_t *bytes = sample_file(&size);
    struct ledge_model *model = open_sample(bytes, size);
    struct ledge_error err;
    float x[3 * 192], alone[5];
    for (int32_t batch = 1; batch <= 3; batch += 2) {
        struct ledge_session_options options = {
            .threads = batch, .batch = batch, .profile = batch == 3};
        struct ledge_session *session = NULL;
        struct ledge_tensor in = picture(x, batch), out[2];
        assert_int_equal(ledge_session_open(model, &options, &session, &err), LEDGE_OK);
        assert_int_equal(ledge_session_run(session, &in, 1, out, 2, &err), LEDGE_OK);
        assert_int_equal(out[0].rank, 4);
        assert_int_equal(out[0].dims[0], batch);
        assert_int_equal(out[0].dims[1], 5);
        assert_ptr_equal(out[1].data, x);
        if (batch == 1) {
            memcpy(alone, out[0].data, sizeof alone);
        } else {
            assert_memory_equal(out[0].data, alone, sizeof alone);
        }
        double seconds = 0;
        int64_t macs = 0;
        for (int32_t i = 0; i < ledge_session_n_steps(session); i++) {
            struct ledge_step_info info;
            assert_int_equal(ledge_session_step(session, i, &info), LEDGE_OK);
            assert_string_not_equal(info.op, "Identity"); /* the passes took it out */
            seconds += info.seconds;
            macs += info.macs;
            if (i == 0) { /* the convolution reads the picture and its weights */
                assert_int_equal(info.dtype, LEDGE_F32);
                assert_int_equal(info.in_bytes, batch * 192 * 4);
            }
        }
        assert_int_equal(seconds > 0, batch == 3);
        assert_int_equal(macs, batch * (4 * 27 * 64 + 5 * 4 * 16));
        assert_true(ledge_session_arena_bytes(session) >= (size_t)batch * 4 * 64 * 4);
        assert_true(ledge_session_memory_bytes(session) > ledge_session_arena_bytes(session));
        ledge_session_close(session);
    }
    ledge_model_close(model);
    free(bytes);
}

/* What waits for values of the run is one step more, the last, with its time. */
static void late_nodes_are_a_step(void **state)
{
    (void)state;
    struct ledge_graph graph;
    uint8_t *bytes = NULL;
    size_t size = 0;
    ledge_graph_init(&graph, NULL);
    int32_t x = ledge_graph_add_value(&graph, "x", LEDGE_F32, 1, (const int64_t[]){4});
    int32_t found = ledge_graph_add_value(&graph, "found", LEDGE_I64, -1, NULL);
    assert_true(ledge_graph_add_input(&graph, x) >= 0);
    assert_true(ledge_graph_add_node(&graph, "", "NonZero", 13, "find", &x, 1, &found, 1) >= 0);
    assert_true(ledge_graph_add_output(&graph, found) >= 0);
    assert_int_equal(ledge_file_write(&graph, NULL, &size, NULL), LEDGE_OK);
    assert_int_equal(posix_memalign((void **)&bytes, 64, size), 0);
    assert_int_equal(ledge_file_write(&graph, bytes, &size, NULL), LEDGE_OK);
    ledge_graph_done(&graph);

    struct ledge_model *model = open_sample(bytes, size);
    struct ledge_session *session = NULL;
    struct ledge_error err;
    const struct ledge_session_options options = {.threads = 1, .profile = 1};
    float data[4] = {0, 1, 0, 2};
    struct ledge_tensor in = {
        .data = data, .bytes = 16, .dtype = LEDGE_F32, .rank = 1, .dims = {4}};
    struct ledge_tensor out[1];
    assert_int_equal(ledge_session_open(model, &options, &session, &err), LEDGE_OK);
    assert_int_equal(ledge_session_run(session, &in, 1, out, 1, &err), LEDGE_OK);
    assert_int_equal(out[0].dims[1], 2);
    struct ledge_step_info info;
    int32_t n = ledge_session_n_steps(session);
    assert_int_equal(ledge_session_step(session, n - 1, &info), LEDGE_OK);
    assert_string_equal(info.op, "late nodes");
    assert_string_equal(info.node, "find");
    assert_true(info.seconds > 0);
    assert_int_equal(ledge_session_step(session, n, &info), LEDGE_ERR_ARG);
    ledge_session_close(session);
    ledge_model_close(model);
    free(bytes);
}

/* Other sizes of a free dimension are planned once, the latest four stay ready; the same numbers
 * come out as in a session of that size. */
static void a_session_follows_shapes(void **state)
{
    (void)state;
    size_t size;
    uint8_t *bytes = sample_file(&size);
    struct counter counter = {.lock = PTHREAD_MUTEX_INITIALIZER};
    struct ledge_allocator allocator = {count_alloc, count_release, &counter};
    struct ledge_model_options model_options = {.allocator = &allocator};
    struct ledge_model *model = NULL;
    struct ledge_session *session = NULL;
    struct ledge_error err;
    static float x[6 * 192];
    float alone[5];
    struct ledge_tensor out[2];
    assert_int_equal(ledge_model_open_memory(bytes, size, &model_options, &model, &err), LEDGE_OK);
    assert_int_equal(ledge_session_open(model, NULL, &session, &err), LEDGE_OK);
    for (int round = 0; round < 3; round++) {
        int64_t before = counter.calls;
        for (int32_t batch = 1; batch <= 4; batch++) {
            struct ledge_tensor in = picture(x, batch);
            assert_int_equal(ledge_session_run(session, &in, 1, out, 2, &err), LEDGE_OK);
            assert_int_equal(out[0].dims[0], batch);
            assert_int_equal(out[0].bytes, batch * 5 * 4);
            if (batch == 1) {
                memcpy(alone, out[0].data, sizeof alone);
            }
            assert_memory_equal(out[0].data, alone, sizeof alone);
        }
        assert_int_equal(counter.calls > before, round == 0);
    }
    for (int32_t batch = 5; batch <= 6; batch++) { /* more than stay ready */
        struct ledge_tensor in = picture(x, batch);
        assert_int_equal(ledge_session_run(session, &in, 1, out, 2, &err), LEDGE_OK);
        assert_memory_equal(out[0].data, alone, sizeof alone);
    }
    struct ledge_tensor wrong = picture(x, 2);
    wrong.dims[1] = 4; /* which the model does not leave free */
    wrong.bytes = wrong.bytes / 3 * 4;
    assert_int_equal(ledge_session_run(session, &wrong, 1, out, 2, &err), LEDGE_ERR_SHAPE);
    ledge_session_close(session);
    ledge_model_close(model);
    assert_int_equal(counter.live, 0);
    free(bytes);
}

static void wrong_tensors_are_refused(void **state)
{
    (void)state;
    size_t size;
    uint8_t *bytes = sample_file(&size);
    struct ledge_model *model = open_sample(bytes, size);
    struct ledge_session *session = NULL;
    struct ledge_error err;
    float x[200];
    struct ledge_tensor good = picture(x, 1), in, out[2];
    assert_int_equal(ledge_session_open(model, NULL, &session, &err), LEDGE_OK);
    in = good;
    in.dtype = LEDGE_I32;
    assert_int_equal(ledge_session_run(session, &in, 1, out, 2, &err), LEDGE_ERR_DTYPE);
    assert_string_equal(err.text, "input x is f32, given is i32");
    in = good;
    in.dims[2] = 9;
    assert_int_equal(ledge_session_run(session, &in, 1, out, 2, &err), LEDGE_ERR_SHAPE);
    in = good;
    in.bytes--;
    assert_int_equal(ledge_session_run(session, &in, 1, out, 2, &err), LEDGE_ERR_SHAPE);
    in = good;
    in.data = NULL;
    assert_int_equal(ledge_session_run(session, &in, 1, out, 2, &err), LEDGE_ERR_ARG);
    in.data = (char *)x + 1;
    assert_int_equal(ledge_session_run(session, &in, 1, out, 2, &err), LEDGE_ERR_ARG);
    assert_int_equal(ledge_session_run(session, &good, 1, out, 1, &err), LEDGE_ERR_ARG);
    assert_int_equal(ledge_session_run(session, &good, 1, out, 2, &err), LEDGE_OK);
    ledge_session_close(session);
    struct ledge_tensor shape = {.rank = 4, .dims = {1, 3, 7, 8}};
    struct ledge_session_options options = {.input_shapes = &shape, .n_input_shapes = 1};
    assert_int_equal(ledge_session_open(model, &options, &session, &err), LEDGE_ERR_SHAPE);
    options.n_input_shapes = 2;
    assert_int_equal(ledge_session_open(model, &options, &session, &err), LEDGE_ERR_ARG);
    ledge_model_close(model);
    free(bytes);
}

static void garbage_is_refused(void **state)
{
    (void)state;
    struct ledge_model *model = NULL;
    struct ledge_error err;
    char text[64] = "this is not a model, but it is long enough to look at";
    assert_int_not_equal(ledge_model_open_memory(text, sizeof text, NULL, &model, &err), LEDGE_OK);
    assert_int_not_equal(ledge_model_open_memory(text, 0, NULL, &model, &err), LEDGE_OK);
    assert_int_equal(ledge_model_open("/nonexistent.onnx", NULL, &model, &err),
                     LEDGE_ERR_NOT_FOUND);
    assert_int_equal(ledge_model_open("/", NULL, &model, &err), LEDGE_ERR_IO);
    assert_int_equal(ledge_model_open("/dev/null", NULL, &model, &err), LEDGE_ERR_IO);
    assert_null(model);
    ledge_model_close(NULL);
    ledge_session_close(NULL);
}

/* A flipped bit of a weight is seen when the digest is asked for, any other always. */
static void a_changed_file_is_refused(void **state)
{
    (void)state;
    size_t size;
    uint8_t *bytes = sample_file(&size);
    const struct ledge_model_options verify = {.verify = 1};
    struct ledge_model *model = open_sample(bytes, size);
    struct ledge_error err;
    size_t weights = 0;
    for (size_t entry = 64; entry < 64 + 4 * 32; entry += 32) {
        weights = bytes[entry] == 3 ? bytes[entry + 8] + 256 * (size_t)bytes[entry + 9] : weights;
    }
    ledge_model_close(model);
    bytes[weights] ^= 1;
    model = open_sample(bytes, size);
    ledge_model_close(model);
    assert_int_equal(ledge_model_open_memory(bytes, size, &verify, &model, &err),
                     LEDGE_ERR_CORRUPT);
    bytes[weights] ^= 1;
    assert_int_equal(ledge_model_open_memory(bytes, size, &verify, &model, &err), LEDGE_OK);
    ledge_model_close(model);
    bytes[72] ^= 64;
    assert_int_equal(ledge_model_open_memory(bytes, size, NULL, &model, &err), LEDGE_ERR_CORRUPT);
    free(bytes);
}

/* Everything up to the first answer with the n-th allocation failing, for every n: a clean
 * ERR_NOMEM, and nothing is left behind. */
static void every_allocation_may_fail(void **state)
{
    (void)state;
    size_t size;
    uint8_t *bytes = sample_file(&size);
    static float x[192];
    int64_t fail_at = 0;
    bool done = false;
    while (!done) {
        struct counter counter = {.fail_at = ++fail_at, .lock = PTHREAD_MUTEX_INITIALIZER};
        struct ledge_allocator allocator = {count_alloc, count_release, &counter};
        struct ledge_model_options model_options = {.allocator = &allocator};
        struct ledge_session_options options = {.threads = 2};
        struct ledge_model *model = NULL;
        struct ledge_session *session = NULL;
        struct ledge_error err = {.status = LEDGE_OK};
        struct ledge_tensor in = picture(x, 1), out[2];
        enum ledge_status status =
            ledge_model_open_memory(bytes, size, &model_options, &model, &err);
        if (status == LEDGE_OK) {
            status = ledge_session_open(model, &options, &session, &err);
        }
        if (status == LEDGE_OK) {
            status = ledge_session_run(session, &in, 1, out, 2, &err);
        }
        done = counter.calls < fail_at;
        if (done) {
            assert_int_equal(status, LEDGE_OK);
        } else {
            assert_int_equal(status, LEDGE_ERR_NOMEM);
            assert_int_equal(err.status, LEDGE_ERR_NOMEM);
            assert_true(err.text[0] != '\0');
        }
        ledge_session_close(session);
        ledge_model_close(model);
        assert_int_equal(counter.live, 0);
    }
    assert_true(fail_at > 10);
    free(bytes);
}

/* Neither our allocator nor the C library's is called by a run. */
static atomic_int_least64_t heap_calls;
void *__real_malloc(size_t bytes);
void *__real_calloc(size_t n, size_t bytes);
void *__real_realloc(void *memory, size_t bytes);
int __real_posix_memalign(void **memory, size_t align, size_t bytes);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t n, size_t bytes);
void *__wrap_realloc(void *memory, size_t bytes);
int __wrap_posix_memalign(void **memory, size_t align, size_t bytes);

void *__wrap_malloc(size_t bytes)
{
    heap_calls++;
    return __real_malloc(bytes);
}

void *__wrap_calloc(size_t n, size_t bytes)
{
    heap_calls++;
    return __real_calloc(n, bytes);
}

void *__wrap_realloc(void *memory, size_t bytes)
{
    heap_calls++;
    return __real_realloc(memory, bytes);
}

int __wrap_posix_memalign(void **memory, size_t align, size_t bytes)
{
    heap_calls++;
    return __real_posix_memalign(memory, align, bytes);
}

static void running_allocates_nothing(void **state)
{
    (void)state;
    size_t size;
    uint8_t *bytes = sample_file(&size);
    struct counter counter = {.lock = PTHREAD_MUTEX_INITIALIZER};
    struct ledge_allocator allocator = {count_alloc, count_release, &counter};
    struct ledge_model_options model_options = {.allocator = &allocator};
    struct ledge_session_options options = {.threads = 2, .profile = 1};
    struct ledge_model *model = NULL;
    struct ledge_session *session = NULL;
    struct ledge_error err;
    static float x[192];
    struct ledge_tensor in = picture(x, 1), out[2];
    assert_int_equal(ledge_model_open_memory(bytes, size, &model_options, &model, &err), LEDGE_OK);
    assert_int_equal(ledge_session_open(model, &options, &session, &err), LEDGE_OK);
    int64_t before = counter.calls;
    int64_t heap_before = heap_calls;
    assert_true(heap_before > 0); /* the wrapper sees the heap */
    for (int i = 0; i < 10; i++) {
        assert_int_equal(ledge_session_run(session, &in, 1, out, 2, &err), LEDGE_OK);
    }
    assert_int_equal(counter.calls, before);
    assert_int_equal(heap_calls, heap_before);
    ledge_model_close(model); /* the session keeps it */
    assert_int_equal(ledge_session_run(session, &in, 1, out, 2, &err), LEDGE_OK);
    ledge_session_close(session);
    assert_int_equal(counter.live, 0);
    free(bytes);
}

/* More shapes than the cache holds, used again and again; sessions of one shape share a plan. */
static void plans_are_cached_and_given_back(void **state)
{
    (void)state;
    size_t size;
    uint8_t *bytes = sample_file(&size);
    struct ledge_model *model = open_sample(bytes, size);
    struct ledge_session *sessions[24];
    struct ledge_error err;
    static float x[12 * 192];
    for (int i = 0; i < 24; i++) {
        struct ledge_session_options options = {.batch = i % 12 + 1};
        struct ledge_tensor in = picture(x, i % 12 + 1), out[2];
        assert_int_equal(ledge_session_open(model, &options, &sessions[i], &err), LEDGE_OK);
        assert_int_equal(ledge_session_run(sessions[i], &in, 1, out, 2, &err), LEDGE_OK);
        if (i >= 12 &&
            i < 20) { /* the plan of session i - 12, so its node names are the same text */
            struct ledge_step_info a, b;
            assert_int_equal(ledge_session_step(sessions[i], 0, &a), LEDGE_OK);
            assert_int_equal(ledge_session_step(sessions[i - 12], 0, &b), LEDGE_OK);
            assert_ptr_equal(a.node, b.node);
        }
    }
    for (int i = 0; i < 24; i++) {
        ledge_session_close(sessions[i * 7 % 24]);
    }
    ledge_model_close(model);
    free(bytes);
}

struct many {
    struct ledge_model *model;
    float want[5];
    int bad;
};

static bool answers(const struct many *many, struct ledge_session *session, float *x)
{
    struct ledge_tensor in = picture(x, 1), out[2];
    return ledge_session_run(session, &in, 1, out, 2, NULL) == LEDGE_OK &&
           memcmp(out[0].data, many->want, sizeof many->want) == 0;
}

/* Two sessions open at a time, of one and of two threads, run in turn. */
static void *use(void *arg)
{
    struct many *many = arg;
    static _Thread_local float x[192];
    for (int i = 0; i < 10; i++) {
        struct ledge_session *sessions[2] = {NULL, NULL};
        for (int k = 0; k < 2; k++) {
            struct ledge_session_options options = {.threads = 1 + k};
            many->bad += ledge_session_open(many->model, &options, &sessions[k], NULL) != LEDGE_OK;
        }
        for (int k = 0; k < 6; k++) {
            many->bad += sessions[k % 2] == NULL || !answers(many, sessions[k % 2], x);
        }
        ledge_session_close(sessions[0]);
        ledge_session_close(sessions[1]);
    }
    return NULL;
}

/* Eight sessions over one model in four threads. */
static void threads_share_a_model(void **state)
{
    (void)state;
    size_t size;
    uint8_t *bytes = sample_file(&size);
    struct many many[4] = {{.model = open_sample(bytes, size)}};
    struct ledge_session *session = NULL;
    static float x[192];
    struct ledge_tensor in = picture(x, 1), out[2];
    assert_int_equal(ledge_session_open(many[0].model, NULL, &session, NULL), LEDGE_OK);
    assert_int_equal(ledge_session_run(session, &in, 1, out, 2, NULL), LEDGE_OK);
    memcpy(many[0].want, out[0].data, sizeof many[0].want);
    ledge_session_close(session);
    pthread_t threads[4];
    for (int i = 1; i < 4; i++) {
        many[i] = many[0];
    }
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, use, &many[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(many[i].bad, 0);
    }
    ledge_model_close(many[0].model);
    free(bytes);
}

static void versions(void **state)
{
    (void)state;
    assert_string_equal(ledge_version(), LEDGE_VERSION_STRING);
    assert_non_null(ledge_cpu_rung());
    assert_string_equal(ledge_dtype_text(LEDGE_BF16), "bf16");
    assert_string_equal(ledge_dtype_oip(LEDGE_U8), "UINT8");
    assert_int_equal(ledge_dtype_size((enum ledge_dtype)99), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_model_describes_itself),
        cmocka_unit_test(sessions_run),
        cmocka_unit_test(a_session_follows_shapes),
        cmocka_unit_test(wrong_tensors_are_refused),
        cmocka_unit_test(garbage_is_refused),
        cmocka_unit_test(a_changed_file_is_refused),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(running_allocates_nothing),
        cmocka_unit_test(late_nodes_are_a_step),
        cmocka_unit_test(plans_are_cached_and_given_back),
        cmocka_unit_test(threads_share_a_model),
        cmocka_unit_test(versions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
