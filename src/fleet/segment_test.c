/* SPDX-License-Identifier: Apache-2.0 */
/* segment_test.c -- round trip, the byte table, every truncation and every flipped byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "fleet/segment.h"

enum { RECORDS = 5 };

static void make_segment(struct ledge_buf *buf)
{
    static const char *const metas[RECORDS] = {"{}", "{\"label\":\"3\"}", "", "{\"a\":1}", "{}"};
    struct fleet_segment_header header = {
        .epoch = {1, 2, 3}, .first = 7, .count = RECORDS, .created_ms = 1700000000000};
    assert_true(fleet_segment_put_header(buf, &header));
    for (int i = 0; i < RECORDS; i++) {
        struct fleet_record record = {.seq = 7 + (uint64_t)i,
                                      .time_ms = 1700000000000 + i,
                                      .kind = 1 + i,
                                      .class_of_service = i % 3,
                                      .meta = metas[i],
                                      .meta_bytes = strlen(metas[i]),
                                      .body = "picture",
                                      .body_bytes = (size_t)i};
        assert_true(fleet_record_put(buf, &record));
    }
}

static bool count_record(void *arg, const struct fleet_record *record)
{
    int *n = arg;
    assert_int_equal(record->seq, 7 + *n);
    assert_int_equal(record->kind, 1 + *n);
    assert_int_equal(record->body_bytes, *n);
    assert_memory_equal(record->body, "picture", record->body_bytes);
    (*n)++;
    return true;
}

static void round_trip(void **state)
{
    struct ledge_buf buf = LEDGE_BUF_INIT(4096);
    struct fleet_segment_header header;
    struct ledge_error err;
    int n = 0;
    (void)state;
    make_segment(&buf);
    assert_int_equal(fleet_segment_read(buf.data, buf.len, &header, count_record, &n, &err),
                     LEDGE_OK);
    assert_int_equal(n, RECORDS);
    assert_int_equal(header.first, 7);
    assert_int_equal(header.epoch[2], 3);
    assert_int_equal(header.created_ms, 1700000000000);
    ledge_buf_done(&buf);
}

static void the_byte_table_of_the_document(void **state)
{
    struct ledge_buf buf = LEDGE_BUF_INIT(4096);
    (void)state;
    make_segment(&buf);
    const uint8_t *p = (const uint8_t *)buf.data;
    assert_memory_equal(p, "LSG1\x01\x00\x40\x00\x01\x02\x03", 11);
    assert_int_equal(p[24], 7);
    assert_int_equal(p[32], RECORDS);
    const uint8_t *second = p + 64 + 32 + 2; /* behind the first record */
    assert_int_equal(second[0], 13 + 1);     /* meta + body */
    assert_int_equal(second[8], 8);
    assert_int_equal(second[24], 2);
    assert_int_equal(second[26], 1);
    assert_int_equal(second[28], 13);
    assert_memory_equal(second + 32, "{\"label\":\"3\"}p", 14);
    ledge_buf_done(&buf);
}

static bool never(void *arg, const struct fleet_record *record)
{
    (void)arg;
    (void)record;
    fail_msg("a record of a damaged segment was given out");
    return false;
}

static void every_truncation_and_every_flip_is_refused(void **state)
{
    struct ledge_buf buf = LEDGE_BUF_INIT(4096);
    struct fleet_segment_header header;
    (void)state;
    make_segment(&buf);
    for (size_t n = 0; n < buf.len; n++) {
        uint8_t *copy = malloc(n + 1); /* exact size: a read past it is seen by ASan */
        memcpy(copy, buf.data, n);
        assert_int_not_equal(fleet_segment_read(copy, n, &header, never, NULL, NULL), LEDGE_OK);
        free(copy);
    }
    for (size_t i = 0; i < buf.len; i++) {
        for (int bit = 0; bit < 8; bit++) {
            buf.data[i] = (char)(buf.data[i] ^ (1 << bit));
            assert_int_not_equal(fleet_segment_read(buf.data, buf.len, &header, never, NULL, NULL),
                                 LEDGE_OK);
            buf.data[i] = (char)(buf.data[i] ^ (1 << bit));
        }
    }
    assert_true(ledge_buf_add(&buf, "x", 1));
    assert_int_not_equal(fleet_segment_read(buf.data, buf.len, &header, never, NULL, NULL),
                         LEDGE_OK);
    ledge_buf_done(&buf);
}

static void a_stream_gives_whole_records_only(void **state)
{
    struct ledge_buf buf = LEDGE_BUF_INIT(4096);
    struct fleet_record record;
    size_t used = 0;
    (void)state;
    make_segment(&buf);
    const char *first = buf.data + FLEET_SEGMENT_HEADER;
    assert_int_equal(fleet_record_take(first, 10, &record, &used), FLEET_TAKE_MORE);
    assert_int_equal(used, FLEET_RECORD_HEADER);
    assert_int_equal(fleet_record_take(first, 32, &record, &used), FLEET_TAKE_MORE);
    assert_int_equal(used, 34);
    assert_int_equal(fleet_record_take(first, buf.len - 64, &record, &used), FLEET_TAKE_RECORD);
    assert_int_equal(used, fleet_record_size(&record));
    buf.data[FLEET_SEGMENT_HEADER + 3] = 0x7f; /* a length of 2 GB */
    assert_int_equal(fleet_record_take(first, buf.len - 64, &record, &used), FLEET_TAKE_BAD);
    ledge_buf_done(&buf);
}

static void limits_of_a_record(void **state)
{
    struct ledge_buf buf = LEDGE_BUF_INIT(4096);
    struct fleet_record record = {.seq = 1, .kind = 1, .meta = "", .body = ""};
    int value;
    (void)state;
    record.meta_bytes = FLEET_META_MAX + 1;
    assert_false(fleet_record_put(&buf, &record));
    record.meta_bytes = 0;
    record.body_bytes = SIZE_MAX;
    assert_false(fleet_record_put(&buf, &record));
    record.body_bytes = 0;
    record.kind = 6;
    assert_false(fleet_record_put(&buf, &record));
    assert_int_equal(buf.len, 0);
    assert_true(fleet_kind_parse("sample", &value));
    assert_int_equal(value, 2);
    assert_string_equal(fleet_kind_name(5), "log");
    assert_null(fleet_kind_name(0));
    assert_false(fleet_kind_parse("Sample", &value));
    assert_true(fleet_class_parse("bulk", &value));
    assert_int_equal(value, 2);
    assert_string_equal(fleet_class_name(0), "critical");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip),
        cmocka_unit_test(the_byte_table_of_the_document),
        cmocka_unit_test(every_truncation_and_every_flip_is_refused),
        cmocka_unit_test(a_stream_gives_whole_records_only),
        cmocka_unit_test(limits_of_a_record),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
