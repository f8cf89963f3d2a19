/* SPDX-License-Identifier: Apache-2.0 */
/* ledge_test.c -- files with packed constants: they are taken where they fit, give the same bytes
 * as packing does, and whatever is wrong with them is found or does not matter. */
#include "ledge/ledge.h"

#include "engine/run/testing.h"

#include <stdlib.h>

#include "engine/api/model.h"
#include "engine/format/ledge_file.h"
#include "engine/plan/passes.h"
#include "export/export.h"

enum { FILE_MAX = 1 << 20, X = 192, Y = 5, ALIGN = 64 };

struct bytes {
    uint8_t *at;
    size_t size;
};

static struct bytes aligned(const void *from, size_t size)
{
    struct bytes bytes = {.at = NULL, .size = size};
    void *at = NULL;
    assert_int_equal(posix_memalign(&at, ALIGN, size), 0);
    bytes.at = memcpy(at, from, size);
    return bytes;
}

/* The sample model; n rungs. */
static struct bytes file_for(const enum ledge_rung *rungs, int32_t n, int32_t expected)
{
    struct ledge_graph graph;
    struct ledge_buf out = LEDGE_BUF_INIT(FILE_MAX);
    struct ledge_error err;
    int32_t prepared = -1;
    ledge_graph_init(&graph, NULL);
    test_sample(&graph);
    assert_int_equal(ledge_export_ledge(&graph, rungs, n, &out, &prepared, &err), LEDGE_OK);
    assert_int_equal(prepared, expected);
    struct bytes bytes = aligned(out.data, out.len);
    ledge_buf_done(&out);
    ledge_graph_done(&graph);
    return bytes;
}

static struct bytes file_here(void)
{
    const enum ledge_rung rung = ledge_port_rung();
    return file_for(&rung, 1, 1);
}

/* What came of opening and of a run. */
struct outcome {
    enum ledge_status status; /* of opening */
    bool prepared, original;
    size_t packed; /* bytes that the plan packed itself */
    float y[3 * Y];
};

static struct outcome run(const struct bytes *file, int32_t batch, int32_t threads, bool verify)
{
    struct outcome outcome = {.status = LEDGE_OK};
    const struct ledge_model_options model_options = {.verify = verify};
    const struct ledge_session_options options = {.threads = threads, .batch = batch};
    struct ledge_model *model = NULL;
    struct ledge_session *session = NULL;
    struct ledge_error err;
    float x[3 * X];
    uint32_t seed = 1;
    outcome.status = ledge_model_open_memory(file->at, file->size, &model_options, &model, &err);
    if (outcome.status != LEDGE_OK) {
        return outcome;
    }
    test_fill_f32(x, batch * X, &seed);
    struct ledge_tensor out[2], in = {.data = x,
                                      .bytes = (size_t)batch * X * sizeof *x,
                                      .dtype = LEDGE_F32,
                                      .rank = 4,
                                      .dims = {batch, 3, 8, 8}};
    assert_int_equal(ledge_session_open(model, &options, &session, &err), LEDGE_OK);
    assert_int_equal(ledge_session_run(session, &in, 1, out, 2, &err), LEDGE_OK);
    memcpy(outcome.y, out[0].data, out[0].bytes);
    outcome.prepared = model->prepared;
    outcome.original = model->has_original;
    outcome.packed = model->plans[0].plan->packed_bytes;
    ledge_session_close(session);
    ledge_model_close(model);
    return outcome;
}

/* The answer without any packed constants in the file. */
static struct outcome expected(int32_t batch)
{
    struct bytes file = file_for(NULL, 0, 0);
    struct outcome outcome = run(&file, batch, 1, false);
    assert_int_equal(outcome.status, LEDGE_OK);
    assert_false(outcome.prepared);
    assert_true(outcome.packed > 0);
    free(file.at);
    return outcome;
}

static void packed_constants_are_taken(void **state)
{
    (void)state;
    struct bytes file = file_here();
    struct outcome want = expected(1);
    for (int32_t threads = 1; threads <= 2; threads++) {
        for (int verify = 0; verify <= 1; verify++) {
            struct outcome outcome = run(&file, 1, threads, verify != 0);
            assert_int_equal(outcome.status, LEDGE_OK);
            assert_true(outcome.prepared && !outcome.original);
            assert_int_equal(outcome.packed, 0);
            assert_memory_equal(outcome.y, want.y, Y * sizeof(float));
        }
    }
    struct ledge_file_packed_info infos[4];
    assert_int_equal(ledge_file_packed_info(file.at, file.size, infos, 4), 1);
    assert_int_equal(infos[0].rung, ledge_port_rung());
    assert_int_equal(infos[0].stamp, ledge_packing_stamp());
    assert_true(infos[0].parts > 0 && infos[0].bytes > 0);
    free(file.at);
}

static void the_prepared_model_describes_itself(void **state)
{
    (void)state;
    struct bytes file = file_here();
    struct ledge_model *model = NULL;
    struct ledge_tensor_info info;
    assert_int_equal(ledge_model_open_memory(file.at, file.size, NULL, &model, NULL), LEDGE_OK);
    assert_true(model->prepared);
    assert_int_equal(ledge_model_input(model, 0, &info), LEDGE_OK);
    assert_string_equal(info.name, "x");
    assert_int_equal(info.dims[0], -1);
    assert_string_equal(info.dim_names[0], "N");
    assert_int_equal(ledge_model_output(model, 0, &info), LEDGE_OK);
    assert_string_equal(info.name, "y");
    assert_true(info.scale == 0.5f && info.zero_point == 3);
    assert_string_equal(ledge_model_metadata(model, "ledge.labels"), "a,b,c,d,e");
    ledge_model_close(model);
    free(file.at);
}

/* Passes are done all the same, and a library for packed files only takes it. */
static void nothing_to_pack(void **state)
{
    (void)state;
    const enum ledge_rung rung = ledge_port_rung();
    struct test_net net;
    struct ledge_buf out = LEDGE_BUF_INIT(FILE_MAX);
    struct ledge_error err;
    struct ledge_model *model = NULL;
    struct ledge_session *session = NULL;
    int32_t prepared = 0;
    float x[6] = {-1, 2, -3, 4, -5, 6};
    test_init(&net);
    const int32_t in = test_input(&net, LEDGE_F32, 2, (const int64_t[]){2, 3}, NULL);
    test_output(&net, test_node(&net, "", "Relu", 1, &in));
    assert_int_equal(ledge_export_ledge(&net.graph, &rung, 1, &out, &prepared, &err), LEDGE_OK);
    assert_int_equal(prepared, 1);
    struct bytes file = aligned(out.data, out.len);
    struct ledge_file_packed_info infos[4];
    assert_int_equal(ledge_file_packed_info(file.at, file.size, infos, 4), 1);
    assert_true(infos[0].rung == rung && infos[0].parts == 0 && infos[0].bytes == 0);
    assert_int_equal(ledge_model_open_memory(file.at, file.size, NULL, &model, &err), LEDGE_OK);
    assert_true(model->prepared);
    assert_int_equal(ledge_session_open(model, NULL, &session, &err), LEDGE_OK);
    struct ledge_tensor result,
        given = {.data = x, .bytes = sizeof x, .dtype = LEDGE_F32, .rank = 2};
    given.dims[0] = 2;
    given.dims[1] = 3;
    assert_int_equal(ledge_session_run(session, &given, 1, &result, 1, &err), LEDGE_OK);
    assert_memory_equal(result.data, ((const float[6]){0, 2, 0, 4, 0, 6}), sizeof x);
    assert_true(model->prepared && !model->has_original);
    ledge_session_close(session);
    ledge_model_close(model);
    free(file.at);
    ledge_buf_done(&out);
    test_done(&net);
}

/* Another batch, another processor, bytes that are not aligned: as any other model. */
static void what_does_not_fit_is_packed_anew(void **state)
{
    (void)state;
    struct bytes file = file_here();
    struct outcome want = expected(3), outcome = run(&file, 3, 1, false);
    assert_int_equal(outcome.status, LEDGE_OK);
    assert_true(outcome.prepared && outcome.original && outcome.packed > 0);
    assert_memory_equal(outcome.y, want.y, 3 * Y * sizeof(float));

    uint8_t *memory = malloc(file.size + 2 * ALIGN);
    size_t off = ALIGN - (uintptr_t)memory % ALIGN + 8;
    struct bytes moved = {.at = memcpy(memory + off, file.at, file.size), .size = file.size};
    want = expected(1);
    outcome = run(&moved, 1, 1, false);
    assert_int_equal(outcome.status, LEDGE_OK);
    assert_true(outcome.packed > 0);
    assert_memory_equal(outcome.y, want.y, Y * sizeof(float));
    free(memory);
    free(file.at);

    const enum ledge_rung plain = LEDGE_RUNG_C;
    file = file_for(&plain, 1, 1);
    outcome = run(&file, 1, 1, false);
    assert_int_equal(outcome.status, LEDGE_OK);
    assert_int_equal(outcome.prepared, ledge_port_rung() == plain);
    assert_memory_equal(outcome.y, want.y, Y * sizeof(float));
    free(file.at);
}

static void several_targets_in_one_file(void **state)
{
    (void)state;
    const enum ledge_rung rungs[2] = {LEDGE_RUNG_C, ledge_port_rung()};
    int32_t n = rungs[0] == rungs[1] ? 1 : 2;
    struct ledge_file_packed_info infos[4];
    struct bytes file = file_for(rungs, n, n);
    assert_int_equal(ledge_file_packed_info(file.at, file.size, infos, 4), n);
    struct outcome want = expected(1), outcome = run(&file, 1, 1, false);
    assert_true(outcome.prepared && outcome.packed == 0);
    assert_memory_equal(outcome.y, want.y, Y * sizeof(float));
    free(file.at);
}

/* A damaged byte: found when the digest is checked; else found, or in elements, where it can change
 * answers only, or in what is not read. */
static void damage_is_found(void **state)
{
    (void)state;
    struct bytes file = file_here();
    struct outcome want = expected(1);
    size_t refused = 0;
    for (size_t i = 0; i < file.size; i += 3) {
        file.at[i] ^= 0x41;
        if (i >= 64) {
            assert_int_not_equal(run(&file, 1, 1, true).status, LEDGE_OK);
        }
        struct outcome outcome = run(&file, 1, 1, false);
        refused += outcome.status != LEDGE_OK;
        file.at[i] ^= 0x41;
    }
    assert_true(refused > 100);
    struct outcome outcome = run(&file, 1, 1, false);
    assert_memory_equal(outcome.y, want.y, Y * sizeof(float));
    free(file.at);
}

/* A file whose sums are right but whose parts are not what the kernels need. */
static void parts_of_wrong_sizes_are_not_taken(void **state)
{
    (void)state;
    const struct ledge_plan_options options = {.rung = ledge_port_rung(), .threads = 1};
    struct bytes whole = file_here();
    struct ledge_graph graph, first;
    struct ledge_packed packed;
    struct ledge_error err;
    static const uint64_t zeros[FILE_MAX / 8];
    struct outcome want = expected(1);
    ledge_graph_init(&graph, NULL);
    ledge_graph_init(&first, NULL);
    test_sample(&first);
    assert_int_equal(ledge_file_read_prepared(whole.at, whole.size, options.rung, false, zeros,
                                              sizeof zeros, &graph, &packed, &err),
                     LEDGE_OK);
    assert_true(packed.n > 1);
    for (int how = 0; how < 3; how++) {
        struct ledge_packed_part *parts = calloc((size_t)packed.n, sizeof *parts);
        for (int32_t i = 0; i < packed.n; i++) {
            parts[i] = packed.parts[i];
        }
        parts[0].bytes = how == 0 ? 64 : how == 1 ? 0 : parts[0].bytes;
        parts[0].key += how == 2;
        const struct ledge_packed changed = {.rung = packed.rung, .parts = parts, .n = packed.n};
        const struct ledge_file_prepared prepared = {
            .graph = &graph, .stamp = ledge_packing_stamp(), .packed = &changed, .n = 1};
        struct bytes file = {.size = 0};
        void *at = NULL;
        assert_int_equal(ledge_file_write_prepared(&first, &prepared, NULL, &file.size, &err),
                         LEDGE_OK);
        assert_int_equal(posix_memalign(&at, ALIGN, file.size), 0);
        assert_int_equal(ledge_file_write_prepared(&first, &prepared, at, &file.size, &err),
                         LEDGE_OK);
        file.at = at;
        struct outcome outcome = run(&file, 1, 1, true);
        assert_int_equal(outcome.status, LEDGE_OK);
        assert_true(outcome.prepared && outcome.original && outcome.packed > 0);
        assert_memory_equal(outcome.y, want.y, Y * sizeof(float));
        free(file.at);
        free(parts);
    }
    ledge_graph_done(&first);
    ledge_graph_done(&graph);
    free(whole.at);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packed_constants_are_taken),
        cmocka_unit_test(nothing_to_pack),
        cmocka_unit_test(the_prepared_model_describes_itself),
        cmocka_unit_test(what_does_not_fit_is_packed_anew),
        cmocka_unit_test(several_targets_in_one_file),
        cmocka_unit_test(damage_is_found),
        cmocka_unit_test(parts_of_wrong_sizes_are_not_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
