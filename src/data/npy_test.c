/* SPDX-License-Identifier: Apache-2.0 */
/* npy_test.c -- arrays survive a round trip; headers as NumPy writes them are read; damage is
 * refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "data/npy.h"

static void *take(void *user, size_t bytes, size_t align)
{
    (void)user;
    void *memory = NULL;
    return posix_memalign(&memory, align < sizeof(void *) ? sizeof(void *) : align, bytes) == 0
               ? memory
               : NULL;
}

static void give(void *user, void *memory, size_t bytes)
{
    (void)user;
    (void)bytes;
    free(memory);
}

static const struct ledge_allocator heap = {take, give, NULL};
static const float numbers[6] = {1, 2, 3, -4, 5.5f, 1e-9f};
static const struct ledge_view matrix = {
    .data = (void *)numbers, .dtype = LEDGE_F32, .rank = 2, .dims = {2, 3}};

static void test_round_trip(void **state)
{
    (void)state;
    struct ledge_arena arena;
    struct ledge_buf file = LEDGE_BUF_INIT(4096);
    struct ledge_view back;
    struct ledge_error err;
    ledge_arena_init(&arena, &heap);
    assert_int_equal(data_npy_write(&matrix, &file, &err), LEDGE_OK);
    assert_int_equal(file.len % 64, sizeof numbers % 64);
    assert_int_equal(data_npy_read(file.data, file.len, &arena, &back, &err), LEDGE_OK);
    assert_int_equal(back.rank, 2);
    assert_int_equal(back.dims[1], 3);
    assert_memory_equal(back.data, numbers, sizeof numbers);
    ledge_buf_done(&file);
    ledge_arena_done(&arena);
}

/* version, header, elements -> status */
static enum ledge_status read_text(int major, const char *header, size_t elements, bool *good)
{
    struct ledge_arena arena;
    struct ledge_buf file = LEDGE_BUF_INIT(4096);
    struct ledge_view view = {0};
    struct ledge_error err;
    const unsigned char head[4] = {(unsigned char)strlen(header), 0, 0, 0};
    ledge_arena_init(&arena, &heap);
    ledge_buf_printf(&file, "%cNUMPY%c", '\x93', major);
    ledge_buf_add(&file, "", 1);
    ledge_buf_add(&file, head, major == 1 ? 2 : 4);
    ledge_buf_text(&file, header);
    for (size_t i = 0; i < elements; i++) {
        ledge_buf_add(&file, "\x07", 1);
    }
    enum ledge_status status = data_npy_read(file.data, file.len, &arena, &view, &err);
    *good = status == LEDGE_OK && ((const uint8_t *)view.data)[0] == 7;
    ledge_buf_done(&file);
    ledge_arena_done(&arena);
    return status;
}

static void test_headers(void **state)
{
    (void)state;
    bool good;
    assert_int_equal(
        read_text(1, "{'descr': '|u1', 'fortran_order': False, 'shape': (3,), }", 3, &good),
        LEDGE_OK);
    assert_true(good);
    assert_int_equal(
        read_text(2, "{'descr': '<f4', 'fortran_order': False, 'shape': (), }", 4, &good),
        LEDGE_OK);
    assert_true(good);
    assert_int_equal(
        read_text(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", 7, &good),
        LEDGE_ERR_FORMAT);
    assert_int_equal(
        read_text(1, "{'descr': '>f4', 'fortran_order': False, 'shape': (1,), }", 4, &good),
        LEDGE_ERR_UNSUPPORTED);
    assert_int_equal(
        read_text(1, "{'descr': '<U4', 'fortran_order': False, 'shape': (1,), }", 4, &good),
        LEDGE_ERR_UNSUPPORTED);
    assert_int_equal(
        read_text(1, "{'descr': '<f4', 'fortran_order': True, 'shape': (2, 2), }", 16, &good),
        LEDGE_ERR_UNSUPPORTED);
    assert_int_equal(
        read_text(1,
                  "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999, 99999999999), }",
                  4, &good),
        LEDGE_ERR_FORMAT);
    assert_int_equal(read_text(1, "{'descr': '<f4'}", 4, &good), LEDGE_ERR_FORMAT);
    assert_int_equal(read_text(9, "{}", 4, &good), LEDGE_ERR_FORMAT);
}

static void test_npz(void **state)
{
    (void)state;
    struct ledge_arena arena;
    struct ledge_buf file = LEDGE_BUF_INIT(8192);
    struct ledge_error err;
    struct data_npz_entry *back = NULL;
    const struct data_npz_entry entries[2] = {{"input", matrix}, {"output_0", matrix}};
    size_t n = 0, refused = 0;
    ledge_arena_init(&arena, &heap);
    assert_int_equal(data_npz_write(entries, 2, &file, &err), LEDGE_OK);
    assert_true(data_npz_is(file.data, file.len));
    assert_int_equal(data_npz_read(file.data, file.len, &arena, &back, &n, &err), LEDGE_OK);
    assert_int_equal(n, 2);
    assert_string_equal(back[1].name, "output_0");
    assert_memory_equal(back[1].view.data, numbers, sizeof numbers);
    for (size_t i = 0; i < file.len; i++) {
        file.data[i] ^= 0x41;
        refused += data_npz_read(file.data, file.len, &arena, &back, &n, &err) != LEDGE_OK;
        file.data[i] ^= 0x41;
        refused += data_npz_read(file.data, i, &arena, &back, &n, &err) != LEDGE_OK;
    }
    assert_true(refused > file.len);
    ledge_buf_done(&file);
    ledge_arena_done(&arena);
}

/* numpy.savez_compressed("a.npz", x=numpy.arange(8, dtype="u1")): its one entry is deflated. */
static void test_deflated(void **state)
{
    (void)state;
    static const unsigned char zip[] = {
        0x50, 0x4b, 0x03, 0x04, 0x14, 0x00, 0x00, 0x00, 0x08, 0x00, 0x00, 0x00, 0x21, 0x00, 0xf8,
        0x38, 0x65, 0xff, 0x4c, 0x00, 0x00, 0x00, 0x88, 0x00, 0x00, 0x00, 0x05, 0x00, 0x14, 0x00,
        0x78, 0x2e, 0x6e, 0x70, 0x79, 0x01, 0x00, 0x10, 0x00, 0x88, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x4c, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x9b, 0xec, 0x17, 0xea, 0x1b,
        0x10, 0xc9, 0xc8, 0x50, 0xc6, 0x50, 0xad, 0x9e, 0x92, 0x5a, 0x9c, 0x5c, 0xa4, 0x6e, 0xa5,
        0xa0, 0x5e, 0x53, 0x6a, 0xa8, 0xae, 0xa3, 0xa0, 0x9e, 0x96, 0x5f, 0x54, 0x52, 0x94, 0x98,
        0x17, 0x9f, 0x5f, 0x94, 0x92, 0x0a, 0x12, 0x77, 0x4b, 0xcc, 0x29, 0x4e, 0x05, 0x8a, 0x17,
        0x67, 0x24, 0x16, 0xa4, 0x02, 0xf9, 0x1a, 0x16, 0x3a, 0x9a, 0x3a, 0x0a, 0xb5, 0x0a, 0x14,
        0x00, 0x2e, 0x06, 0x46, 0x26, 0x66, 0x16, 0x56, 0x36, 0x76, 0x00, 0x50, 0x4b, 0x01, 0x02,
        0x14, 0x03, 0x14, 0x00, 0x00, 0x00, 0x08, 0x00, 0x00, 0x00, 0x21, 0x00, 0xf8, 0x38, 0x65,
        0xff, 0x4c, 0x00, 0x00, 0x00, 0x88, 0x00, 0x00, 0x00, 0x05, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x80, 0x01, 0x00, 0x00, 0x00, 0x00, 0x78, 0x2e, 0x6e,
        0x70, 0x79, 0x50, 0x4b, 0x05, 0x06, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x01, 0x00, 0x33,
        0x00, 0x00, 0x00, 0x83, 0x00, 0x00, 0x00, 0x00, 0x00};
    struct ledge_arena arena;
    struct ledge_error err;
    struct data_npz_entry *back = NULL;
    size_t n = 0;
    ledge_arena_init(&arena, &heap);
    assert_int_equal(data_npz_read(zip, sizeof zip, &arena, &back, &n, &err), LEDGE_OK);
    assert_int_equal(n, 1);
    assert_string_equal(back[0].name, "x");
    assert_memory_equal(back[0].view.data, ((uint8_t[]){0, 1, 2, 3, 4, 5, 6, 7}), 8);
    ledge_arena_done(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_headers),
        cmocka_unit_test(test_npz),
        cmocka_unit_test(test_deflated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
