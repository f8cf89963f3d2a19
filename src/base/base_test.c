/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/checked.h"
#include "base/reader.h"
#include "base/status.h"

static void reader_is_sticky_and_bounded(void **state)
{
    (void)state;
    const uint8_t bytes[] = {1, 2, 3, 4, 5, 0xac, 0x02};
    struct ledge_reader r = ledge_reader_make(bytes, sizeof bytes);
    assert_int_equal(ledge_reader_u32(&r), 0x04030201);
    assert_int_equal(ledge_reader_u8(&r), 5);
    assert_int_equal(ledge_reader_varint(&r), 300);
    assert_int_equal(ledge_reader_left(&r), 0);
    assert_int_equal(ledge_reader_u8(&r), 0);
    assert_true(r.failed);
    ledge_reader_seek(&r, 0);
    assert_int_equal(ledge_reader_u8(&r), 0);
    const uint8_t endless[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01};
    r = ledge_reader_make(endless, sizeof endless);
    (void)ledge_reader_varint(&r);
    assert_true(r.failed);
}

static void buffer_stops_at_its_maximum(void **state)
{
    (void)state;
    struct ledge_buf buf = LEDGE_BUF_INIT(8);
    assert_true(ledge_buf_text(&buf, "12345"));
    assert_false(ledge_buf_printf(&buf, "%d", 67890));
    assert_true(buf.failed);
    assert_string_equal(buf.data, "12345");
    ledge_buf_clear(&buf);
    assert_true(ledge_buf_u64(&buf, 0x0102030405060708ull));
    assert_int_equal(buf.data[0], 8);
    ledge_buf_done(&buf);
}

static size_t budget;

static void *budget_alloc(void *user, size_t bytes, size_t align)
{
    (void)user;
    if (budget == 0) {
        return NULL;
    }
    budget--;
    void *memory = NULL;
    return posix_memalign(&memory, align, bytes) == 0 ? memory : NULL;
}

static void budget_release(void *user, void *memory, size_t bytes)
{
    (void)user;
    (void)bytes;
    free(memory);
}

static void arena_aligns_zeroes_and_reports_no_memory(void **state)
{
    (void)state;
    const struct ledge_allocator allocator = {budget_alloc, budget_release, NULL};
    struct ledge_arena arena;
    budget = 2;
    ledge_arena_init(&arena, &allocator);
    char *a = ledge_arena_alloc(&arena, 100, 64);
    assert_non_null(a);
    assert_int_equal((uintptr_t)a % 64, 0);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(a[i], 0);
    }
    assert_non_null(ledge_arena_alloc(&arena, 1 << 20, 4096));
    assert_null(ledge_arena_alloc(&arena, 1 << 20, 64));
    assert_null(ledge_arena_array(&arena, SIZE_MAX / 2, 16, 8));
    assert_string_equal(ledge_arena_text(&arena, "abcdef", 3), "abc");
    ledge_arena_done(&arena);
}

static void checked_arithmetic_refuses_overflow(void **state)
{
    (void)state;
    size_t size = 7;
    int64_t count = 7;
    assert_false(ledge_mul_size(SIZE_MAX, 2, &size));
    assert_false(ledge_add_size(SIZE_MAX, 1, &size));
    assert_false(ledge_align_size(SIZE_MAX - 3, 64, &size));
    assert_false(ledge_mul_i64(INT64_MAX, 2, &count));
    assert_false(ledge_mul_i64(-1, 2, &count));
    assert_int_equal(size, 7);
    assert_int_equal(count, 7);
    assert_true(ledge_align_size(65, 64, &size));
    assert_int_equal(size, 128);
}

static void errors_name_what_and_where(void **state)
{
    (void)state;
    struct ledge_error err = {0};
    assert_int_equal(ledge_fail(&err, LEDGE_ERR_SHAPE, "input %d", 3), LEDGE_ERR_SHAPE);
    assert_int_equal(ledge_fail_at(&err, "model.onnx"), LEDGE_ERR_SHAPE);
    assert_string_equal(err.text, "model.onnx: input 3");
    assert_string_equal(ledge_status_text(LEDGE_ERR_SHAPE), "shape mismatch");
    assert_string_equal(ledge_status_name(LEDGE_ERR_SHAPE), "ERR_SHAPE");
    assert_int_equal(ledge_fail(NULL, LEDGE_ERR_IO, "x"), LEDGE_ERR_IO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reader_is_sticky_and_bounded),
        cmocka_unit_test(buffer_stops_at_its_maximum),
        cmocka_unit_test(arena_aligns_zeroes_and_reports_no_memory),
        cmocka_unit_test(checked_arithmetic_refuses_overflow),
        cmocka_unit_test(errors_name_what_and_where),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
