/* SPDX-License-Identifier: Apache-2.0 */
/* memory_test.c -- whose memory a session works in: the caller's arena, the caller's outputs, and
 * nothing left behind after thousands of models. */
#include "ledge/ledge.h"

#include "engine/run/testing.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/format/ledge_file.h"

static uint8_t *file_of(struct ledge_graph *graph, size_t *size)
{
    uint8_t *bytes = NULL;
    assert_int_equal(ledge_file_write(graph, NULL, size, NULL), LEDGE_OK);
    assert_int_equal(posix_memalign((void **)&bytes, 64, *size), 0);
    assert_int_equal(ledge_file_write(graph, bytes, size, NULL), LEDGE_OK);
    ledge_graph_done(graph);
    return bytes;
}

/* Outputs of every kind: computed, an alias of a computed one, the same value twice, the input
 * itself, a constant. x f32 [N][3][8][8]. */
static uint8_t *outputs_file(size_t *size)
{
    struct ledge_graph graph;
    ledge_graph_init(&graph, NULL);
    const float c[3] = {1, 2, 3};
    int32_t v[6];
    v[0] = ledge_graph_add_value(&graph, "x", LEDGE_F32, TEST_SHAPE(-1, 3, 8, 8));
    v[1] = ledge_graph_add_constant(&graph, "c", LEDGE_F32, TEST_SHAPE(3, 1, 1), c, true);
    for (int i = 2; i < 6; i++) {
        v[i] = ledge_graph_add_value(&graph, NULL, LEDGE_DTYPE_NONE, -1, NULL);
    }
    const int32_t sum[2] = {v[0], v[1]};
    (void)ledge_graph_add_node(&graph, "", "Mul", 13, NULL, sum, 2, &v[2], 1);
    (void)ledge_graph_add_node(&graph, "", "Flatten", 13, NULL, &v[2], 1, &v[3], 1);
    (void)ledge_graph_add_node(&graph, "", "Sigmoid", 13, NULL, &v[3], 1, &v[4], 1);
    (void)ledge_graph_add_node(&graph, "", "Neg", 13, NULL, &v[4], 1, &v[5], 1);
    const int32_t outputs[] = {v[5], v[2], v[3], v[0], v[1], v[5]};
    assert_int_equal(ledge_graph_add_input(&graph, v[0]), 0);
    for (int i = 0; i < 6; i++) {
        assert_int_equal(ledge_graph_add_output(&graph, outputs[i]), i);
    }
    return file_of(&graph, size);
}

enum { N_OUT = 6, BATCH = 2, COUNT = BATCH * 192 };

struct rig {
    uint8_t *bytes;
    struct ledge_model *model;
    float x[COUNT];
    struct ledge_tensor in;
    float want[N_OUT][COUNT]; /* what plain runs give */
    size_t want_bytes[N_OUT];
};

static void rig_up(struct rig *rig)
{
    size_t size;
    uint32_t seed = 3;
    struct ledge_session_options options = {.batch = BATCH};
    struct ledge_session *session = NULL;
    struct ledge_tensor out[N_OUT];
    rig->bytes = outputs_file(&size);
    assert_int_equal(ledge_model_open_memory(rig->bytes, size, NULL, &rig->model, NULL), LEDGE_OK);
    test_fill_f32(rig->x, COUNT, &seed);
    rig->in = (struct ledge_tensor){.data = rig->x,
                                    .bytes = sizeof rig->x,
                                    .dtype = LEDGE_F32,
                                    .rank = 4,
                                    .dims = {BATCH, 3, 8, 8}};
    assert_int_equal(ledge_session_open(rig->model, &options, &session, NULL), LEDGE_OK);
    assert_int_equal(ledge_session_run(session, &rig->in, 1, out, N_OUT, NULL), LEDGE_OK);
    for (int i = 0; i < N_OUT; i++) {
        rig->want_bytes[i] = out[i].bytes;
        memcpy(rig->want[i], out[i].data, out[i].bytes);
    }
    ledge_session_close(session);
}

static void rig_down(struct rig *rig)
{
    ledge_model_close(rig->model);
    free(rig->bytes);
}

static void outputs_go_where_they_are_wanted(void **state)
{
    (void)state;
    static struct rig rig;
    static _Alignas(64) char room[2][N_OUT][COUNT * 4 + 64];
    struct ledge_session_options options = {.batch = BATCH};
    struct ledge_session *session = NULL;
    rig_up(&rig);
    assert_int_equal(ledge_session_open(rig.model, &options, &session, NULL), LEDGE_OK);
    for (int round = 0; round < 4; round++) {
        struct ledge_tensor out[N_OUT], plain[N_OUT];
        bool aligned = round % 2 == 0;
        memset(room[round % 2], 0x55, sizeof room[0]);
        for (int i = 0; i < N_OUT; i++) {
            out[i].data = room[round % 2][i] + (aligned ? 0 : 4);
            out[i].bytes = sizeof room[0][i] - 64 + (aligned ? 64 : 0);
        }
        assert_int_equal(ledge_session_run_into(session, &rig.in, 1, out, N_OUT, NULL), LEDGE_OK);
        assert_int_equal(ledge_session_run(session, &rig.in, 1, plain, N_OUT, NULL), LEDGE_OK);
        for (int i = 0; i < N_OUT; i++) { /* the run after it did not touch them */
            const char *data = room[round % 2][i] + (aligned ? 0 : 4);
            assert_ptr_equal(out[i].data, data);
            assert_int_equal(out[i].bytes, rig.want_bytes[i]);
            assert_memory_equal(data, rig.want[i], rig.want_bytes[i]);
            assert_int_equal(data[out[i].bytes], 0x55);
            assert_memory_equal(plain[i].data, rig.want[i], rig.want_bytes[i]);
            assert_ptr_not_equal(plain[i].data, data);
        }
    }
    ledge_session_close(session);
    rig_down(&rig);
}

/* Only where nothing is to be copied: one output, aligned; and what is there at the time. */
static void a_run_is_repeated(void **state)
{
    (void)state;
    static _Alignas(64) float x[8], y[8 + 16];
    struct ledge_graph graph;
    struct ledge_model *model = NULL;
    struct ledge_session *session = NULL;
    struct ledge_tensor in = {
        .data = x, .bytes = sizeof x, .dtype = LEDGE_F32, .rank = 2, .dims = {1, 8}};
    struct ledge_tensor out = {.data = y, .bytes = sizeof x}, plain;
    size_t size;
    ledge_graph_init(&graph, NULL);
    int32_t v[2] = {ledge_graph_add_value(&graph, "x", LEDGE_F32, TEST_SHAPE(1, 8)),
                    ledge_graph_add_value(&graph, "y", LEDGE_DTYPE_NONE, -1, NULL)};
    (void)ledge_graph_add_node(&graph, "", "Neg", 13, NULL, &v[0], 1, &v[1], 1);
    assert_int_equal(ledge_graph_add_input(&graph, v[0]), 0);
    assert_int_equal(ledge_graph_add_output(&graph, v[1]), 0);
    uint8_t *bytes = file_of(&graph, &size);
    assert_int_equal(ledge_model_open_memory(bytes, size, NULL, &model, NULL), LEDGE_OK);
    assert_int_equal(ledge_session_open(model, NULL, &session, NULL), LEDGE_OK);
    assert_int_equal(ledge_session_run_again(session), LEDGE_ERR_STATE);
    assert_int_equal(ledge_session_run_into(session, &in, 1, &out, 1, NULL), LEDGE_OK);
    for (int i = 1; i < 4; i++) {
        x[7] = (float)i;
        y[7] = 0;
        assert_int_equal(ledge_session_run_again(session), LEDGE_OK);
        assert_true(y[7] == -x[7]);
    }
    assert_int_equal(ledge_session_run(session, &in, 1, &plain, 1, NULL), LEDGE_OK);
    assert_int_equal(ledge_session_run_again(session), LEDGE_ERR_STATE);
    out.data = y + 1; /* copied */
    assert_int_equal(ledge_session_run_into(session, &in, 1, &out, 1, NULL), LEDGE_OK);
    assert_int_equal(ledge_session_run_again(session), LEDGE_ERR_STATE);
    out.data = y;
    assert_int_equal(ledge_session_run_into(session, &in, 1, &out, 1, NULL), LEDGE_OK);
    out.bytes = 4; /* refused */
    assert_int_equal(ledge_session_run_into(session, &in, 1, &out, 1, NULL), LEDGE_ERR_SHAPE);
    assert_int_equal(ledge_session_run_again(session), LEDGE_ERR_STATE);
    ledge_session_close(session);
    ledge_model_close(model);
    free(bytes);
}

static void bad_outputs_are_refused(void **state)
{
    (void)state;
    static struct rig rig;
    static _Alignas(64) char room[N_OUT][COUNT * 4];
    struct ledge_session_options options = {.batch = BATCH};
    struct ledge_session *session = NULL;
    struct ledge_tensor out[N_OUT];
    struct ledge_error err;
    rig_up(&rig);
    assert_int_equal(ledge_session_open(rig.model, &options, &session, NULL), LEDGE_OK);
    for (int i = 0; i < N_OUT; i++) {
        out[i] = (struct ledge_tensor){.data = room[i], .bytes = sizeof room[i]};
    }
    out[1].bytes = rig.want_bytes[1] - 1;
    assert_int_equal(ledge_session_run_into(session, &rig.in, 1, out, N_OUT, &err),
                     LEDGE_ERR_SHAPE);
    out[1] = (struct ledge_tensor){.bytes = sizeof room[1]};
    assert_int_equal(ledge_session_run_into(session, &rig.in, 1, out, N_OUT, &err), LEDGE_ERR_ARG);
    assert_int_equal(ledge_session_run_into(session, &rig.in, 1, out, 1, &err), LEDGE_ERR_ARG);
    ledge_session_close(session);
    rig_down(&rig);
}

struct meter {
    size_t largest, live;
    int64_t calls, fail_at; /* number of the call that fails; 0: none */
};

static void *meter_alloc(void *user, size_t bytes, size_t align)
{
    struct meter *meter = user;
    if (++meter->calls == meter->fail_at) {
        return NULL;
    }
    meter->largest = bytes > meter->largest ? bytes : meter->largest;
    meter->live += bytes;
    return ledge_allocator_default()->alloc(NULL, bytes, align);
}

static void meter_release(void *user, void *memory, size_t bytes)
{
    struct meter *meter = user;
    meter->live -= bytes;
    ledge_allocator_default()->release(NULL, memory, bytes);
}

/* With an arena of its own a session takes nothing of that size from the allocator, and all its
 * results lie in the arena. */
static void a_session_works_in_the_callers_arena(void **state)
{
    (void)state;
    struct ledge_graph graph;
    size_t size, need = 0;
    ledge_graph_init(&graph, NULL);
    test_sample(&graph);
    uint8_t *bytes = file_of(&graph, &size);
    struct meter meter = {.largest = 0};
    struct ledge_allocator allocator = {meter_alloc, meter_release, &meter};
    struct ledge_model_options model_options = {.allocator = &allocator};
    struct ledge_session_options options = {.batch = 512};
    struct ledge_model *model = NULL;
    struct ledge_session *session = NULL;
    struct ledge_error err;
    static float x[512 * 192];
    uint32_t seed = 9;
    test_fill_f32(x, 512 * 192, &seed);
    assert_int_equal(ledge_model_open_memory(bytes, size, &model_options, &model, &err), LEDGE_OK);
    assert_int_equal(ledge_session_arena_size(model, &options, &need, &err), LEDGE_OK);
    assert_true(need >= (size_t)512 * 4 * 64 * 4);
    char *arena = NULL;
    assert_int_equal(posix_memalign((void **)&arena, 64, need + 64), 0);
    memset(arena, 0x77, need + 64);
    meter.largest = 0;
    options.arena = arena;
    options.arena_bytes = need - 1;
    assert_int_equal(ledge_session_open(model, &options, &session, &err), LEDGE_ERR_ARG);
    options.arena = arena + 4;
    options.arena_bytes = need;
    assert_int_equal(ledge_session_open(model, &options, &session, &err), LEDGE_ERR_ARG);
    options.arena = arena;
    assert_int_equal(ledge_session_open(model, &options, &session, &err), LEDGE_OK);
    assert_true(meter.largest < need);
    struct ledge_tensor in = {
        .data = x, .bytes = sizeof x, .dtype = LEDGE_F32, .rank = 4, .dims = {512, 3, 8, 8}};
    struct ledge_tensor out[2], again[2];
    assert_int_equal(ledge_session_run(session, &in, 1, out, 2, &err), LEDGE_OK);
    assert_true((char *)out[0].data >= arena && (char *)out[0].data < arena + need);
    assert_int_equal(arena[need], 0x77);
    struct ledge_session *plain = NULL;
    options.arena = NULL;
    assert_int_equal(ledge_session_open(model, &options, &plain, &err), LEDGE_OK);
    assert_int_equal(ledge_session_run(plain, &in, 1, again, 2, &err), LEDGE_OK);
    assert_memory_equal(out[0].data, again[0].data, out[0].bytes);
    ledge_session_close(plain);
    ledge_session_close(session);
    ledge_model_close(model);
    assert_int_equal(meter.live, 0);
    free(arena);
    free(bytes);
}

/* -- every allocation fails in turn -- */

/* Open model and session with allocation number fail_at failing; true when there was one. */
static bool opens_without(const char *path, int64_t fail_at, bool refused)
{
    struct meter meter = {.fail_at = fail_at};
    struct ledge_allocator allocator = {meter_alloc, meter_release, &meter};
    struct ledge_model_options options = {.allocator = &allocator};
    struct ledge_session_options session_options = {.threads = 2};
    struct ledge_model *model = NULL;
    struct ledge_session *session = NULL;
    struct ledge_error err = {.status = LEDGE_OK};
    enum ledge_status status = ledge_model_open(path, &options, &model, &err);
    if (status == LEDGE_OK) {
        status = ledge_session_open(model, &session_options, &session, &err);
    }
    bool failed = meter.calls >= fail_at;
    if (failed && status == LEDGE_OK) {
        fail_msg("%s: allocation %d failed and nobody said so", path, (int)fail_at);
    }
    /* A model that is refused anyway may be refused before it asks for that memory. */
    if (status != LEDGE_OK && (err.text[0] == '\0' || (!refused && status != LEDGE_ERR_NOMEM))) {
        fail_msg("%s: allocation %d: %s", path, (int)fail_at, err.text);
    }
    ledge_session_close(session);
    ledge_model_close(model);
    if (meter.live != 0) {
        fail_msg("%s: allocation %d: %zu bytes are left", path, (int)fail_at, meter.live);
    }
    return failed;
}

static void every_allocation_of_an_opening_may_fail(void **state)
{
    (void)state;
    const char *const patterns[] = {LEDGE_SEEDS "/onnx/*.onnx", LEDGE_SEEDS "/tflite/*.tflite",
                                    LEDGE_SEEDS "/ledge_file/*"};
    size_t models = 0;
    for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++) {
        glob_t found;
        assert_int_equal(glob(patterns[i], 0, NULL, &found), 0);
        for (size_t k = 0; k < found.gl_pathc; k++, models++) {
            struct ledge_model *model = NULL;
            struct ledge_session *session = NULL;
            bool refused = ledge_model_open(found.gl_pathv[k], NULL, &model, NULL) != LEDGE_OK ||
                           ledge_session_open(model, NULL, &session, NULL) != LEDGE_OK;
            ledge_session_close(session);
            ledge_model_close(model);
            int64_t fail_at = 1;
            while (opens_without(found.gl_pathv[k], fail_at, refused)) {
                fail_at++;
            }
            assert_true(refused || fail_at > 5);
        }
        globfree(&found);
    }
    assert_true(models > 8);
}

/* -- open and close, again and again -- */

/* Less than one forgotten allocation a cycle would be (32 bytes, 10,000 times). */

static long resident_pages(void)
{
    long size = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%ld %ld", &size, &resident), 2);
    (void)fclose(file);
    return resident;
}

static void cycle(const char *path, int32_t threads)
{
    struct ledge_model *model = NULL;
    struct ledge_session *session = NULL;
    struct ledge_session_options options = {.threads = threads};
    static float x[192];
    struct ledge_tensor in = {
        .data = x, .bytes = sizeof x, .dtype = LEDGE_F32, .rank = 4, .dims = {1, 3, 8, 8}};
    struct ledge_tensor out[2];
    if (ledge_model_open(path, NULL, &model, NULL) != LEDGE_OK ||
        ledge_session_open(model, &options, &session, NULL) != LEDGE_OK ||
        ledge_session_run(session, &in, 1, out, 2, NULL) != LEDGE_OK) {
        fail_msg("a cycle failed");
    }
    ledge_session_close(session);
    ledge_model_close(model);
}

static void nothing_is_left_behind(void **state)
{
    (void)state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    const int cycles = 300; /* the sanitizer looks for leaks, and its own memory grows */
    const bool look = false;
#else
    const int cycles = 10000;
    const bool look = true;
#endif
    struct ledge_graph graph;
    size_t size;
    ledge_graph_init(&graph, NULL);
    test_sample(&graph);
    uint8_t *bytes = file_of(&graph, &size);
    char path[] = "/tmp/ledge-memory-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, size), (ssize_t)size);
    assert_int_equal(close(fd), 0);
    for (int i = 0; i < cycles / 4; i++) {
        cycle(path, i % 10 == 0 ? 2 : 1);
    }
    long before = resident_pages();
    for (int i = 0; i < cycles; i++) {
        cycle(path, i % 10 == 0 ? 2 : 1);
    }
    long grown = (resident_pages() - before) * (sysconf(_SC_PAGESIZE) / 1024);
    (void)unlink(path);
    free(bytes);
    if (look && grown > 256) {
        fail_msg("%d cycles took %ld kB", cycles, grown);
    }
}

/* ConstantOfShape(n): as many floats as the run's input says. */
static void a_limit_holds(void **state)
{
    (void)state;
    struct ledge_graph graph;
    size_t size;
    ledge_graph_init(&graph, NULL);
    int32_t n = ledge_graph_add_value(&graph, "n", LEDGE_I64, TEST_SHAPE(1));
    int32_t made = ledge_graph_add_value(&graph, NULL, LEDGE_DTYPE_NONE, -1, NULL);
    int32_t y = ledge_graph_add_value(&graph, "y", LEDGE_DTYPE_NONE, -1, NULL);
    (void)ledge_graph_add_node(&graph, "", "ConstantOfShape", 13, NULL, &n, 1, &made, 1);
    (void)ledge_graph_add_node(&graph, "", "Exp", 13, NULL, &made, 1, &y, 1);
    assert_int_equal(ledge_graph_add_input(&graph, n), 0);
    assert_int_equal(ledge_graph_add_output(&graph, y), 0);
    uint8_t *bytes = file_of(&graph, &size);
    struct ledge_model *model = NULL;
    struct ledge_session *session = NULL;
    struct ledge_error err = {.text = ""};
    struct ledge_session_options options = {.max_bytes = 1 << 20};
    assert_int_equal(ledge_model_open_memory(bytes, size, NULL, &model, NULL), LEDGE_OK);
    assert_int_equal(ledge_session_open(model, &options, &session, NULL), LEDGE_OK);
    const int64_t counts[] = {1000, (int64_t)1 << 33, 2000, 1 << 20, 3000};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        int64_t count = counts[i];
        struct ledge_tensor out,
            in = {
                .data = &count, .bytes = sizeof count, .dtype = LEDGE_I64, .rank = 1, .dims = {1}};
        enum ledge_status status = ledge_session_run(session, &in, 1, &out, 1, &err);
        assert_int_equal(status, i % 2 == 0 ? LEDGE_OK : LEDGE_ERR_NOMEM);
        if (i % 2 == 0) {
            assert_int_equal(out.dims[0], count);
        } else {
            assert_non_null(strstr(err.text, "max_bytes 1048576"));
        }
    }
    ledge_session_close(session);
    options.max_bytes = 16; /* not even the tables of a run */
    assert_int_equal(ledge_session_open(model, &options, &session, &err), LEDGE_ERR_NOMEM);
    assert_non_null(strstr(err.text, "max_bytes 16"));
    ledge_model_close(model);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_limit_holds),
        cmocka_unit_test(outputs_go_where_they_are_wanted),
        cmocka_unit_test(a_run_is_repeated),
        cmocka_unit_test(bad_outputs_are_refused),
        cmocka_unit_test(a_session_works_in_the_callers_arena),
        cmocka_unit_test(every_allocation_of_an_opening_may_fail),
        cmocka_unit_test(nothing_is_left_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
