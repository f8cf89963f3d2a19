/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/segment.h"

#include <inttypes.h>
#include <string.h>

#include "base/digest.h"
#include "base/reader.h"
#include "base/status.h"

struct word {
    const char *name;
    int value;
};

static const struct word kinds[] = {
#define FLEET_WORD(name, value) {#name, (value)},
    FLEET_RECORD_KINDS(FLEET_WORD)};
static const struct word classes[] = {FLEET_RECORD_CLASSES(FLEET_WORD)
#undef FLEET_WORD
};

enum { N_KINDS = sizeof kinds / sizeof *kinds, N_CLASSES = sizeof classes / sizeof *classes };

static const char *name_of(const struct word *words, size_t n, int value)
{
    for (size_t i = 0; i < n; i++) {
        if (words[i].value == value) {
            return words[i].name;
        }
    }
    return NULL;
}

static bool value_of(const struct word *words, size_t n, const char *name, int *value)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(words[i].name, name) == 0) {
            *value = words[i].value;
            return true;
        }
    }
    return false;
}

const char *fleet_kind_name(int kind)
{
    return name_of(kinds, N_KINDS, kind);
}

bool fleet_kind_parse(const char *name, int *kind)
{
    return value_of(kinds, N_KINDS, name, kind);
}

const char *fleet_class_name(int class_of_service)
{
    return name_of(classes, N_CLASSES, class_of_service);
}

bool fleet_class_parse(const char *name, int *class_of_service)
{
    return value_of(classes, N_CLASSES, name, class_of_service);
}

static void put_le(uint8_t *at, uint64_t value, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        at[i] = (uint8_t)(value >> (8 * i));
    }
}

size_t fleet_record_size(const struct fleet_record *record)
{
    return FLEET_RECORD_HEADER + record->meta_bytes + record->body_bytes;
}

bool fleet_segment_put_header(struct ledge_buf *buf, const struct fleet_segment_header *header)
{
    uint8_t bytes[FLEET_SEGMENT_HEADER] = {'L', 'S', 'G', '1', 1, 0, FLEET_SEGMENT_HEADER, 0};
    memcpy(bytes + 8, header->epoch, FLEET_EPOCH);
    put_le(bytes + 24, header->first, 8);
    put_le(bytes + 32, header->count, 4);
    put_le(bytes + 40, (uint64_t)header->created_ms, 8);
    put_le(bytes + 60, ledge_crc32c(0, bytes, 60), 4);
    return ledge_buf_add(buf, bytes, sizeof bytes);
}

bool fleet_record_put(struct ledge_buf *buf, const struct fleet_record *record)
{
    uint8_t head[FLEET_RECORD_HEADER];
    if (record->meta_bytes > FLEET_META_MAX || record->body_bytes > FLEET_RECORD_MAX ||
        record->meta_bytes + record->body_bytes > FLEET_RECORD_MAX ||
        fleet_kind_name(record->kind) == NULL ||
        fleet_class_name(record->class_of_service) == NULL) {
        return false;
    }
    put_le(head, record->meta_bytes + record->body_bytes, 4);
    put_le(head + 8, record->seq, 8);
    put_le(head + 16, (uint64_t)record->time_ms, 8);
    put_le(head + 24, (uint64_t)record->kind, 2);
    put_le(head + 26, (uint64_t)record->class_of_service, 2);
    put_le(head + 28, record->meta_bytes, 4);
    uint32_t crc = ledge_crc32c(0, head + 8, sizeof head - 8);
    crc = ledge_crc32c(crc, record->meta, record->meta_bytes);
    crc = ledge_crc32c(crc, record->body, record->body_bytes);
    put_le(head + 4, crc, 4);
    size_t before = buf->len;
    if (!ledge_buf_add(buf, head, sizeof head) ||
        !ledge_buf_add(buf, record->meta, record->meta_bytes) ||
        !ledge_buf_add(buf, record->body, record->body_bytes)) {
        buf->len = before;
        return false;
    }
    return true;
}

enum ledge_status fleet_segment_header_read(const void *bytes, size_t n,
                                            struct fleet_segment_header *header,
                                            struct ledge_error *err)
{
    struct fleet_segment_header read;
    struct ledge_reader r = ledge_reader_make(bytes, n);
    const uint8_t *magic = ledge_reader_take(&r, 4);
    uint16_t version = ledge_reader_u16(&r);
    uint16_t size = ledge_reader_u16(&r);
    const uint8_t *epoch = ledge_reader_take(&r, FLEET_EPOCH);
    read.first = ledge_reader_u64(&r);
    read.count = ledge_reader_u32(&r);
    uint32_t zero = ledge_reader_u32(&r);
    read.created_ms = (int64_t)ledge_reader_u64(&r);
    (void)ledge_reader_take(&r, 12);
    uint32_t crc = ledge_reader_u32(&r);
    if (r.failed) {
        return ledge_fail(err, LEDGE_ERR_FORMAT, "segment: %zu bytes are no header", n);
    }
    if (memcmp(magic, "LSG1", 4) != 0 || version != 1 || size != FLEET_SEGMENT_HEADER ||
        zero != 0) {
        return ledge_fail(err, LEDGE_ERR_FORMAT, "segment: not a segment of version 1");
    }
    if (ledge_crc32c(0, bytes, 60) != crc) {
        return ledge_fail(err, LEDGE_ERR_CORRUPT, "segment: the header's CRC is wrong");
    }
    memcpy(read.epoch, epoch, FLEET_EPOCH);
    *header = read;
    return LEDGE_OK;
}

enum fleet_take fleet_record_take(const void *bytes, size_t n, struct fleet_record *record,
                                  size_t *used)
{
    struct ledge_reader r = ledge_reader_make(bytes, n);
    struct fleet_record read;
    if (n < FLEET_RECORD_HEADER) {
        *used = FLEET_RECORD_HEADER;
        return FLEET_TAKE_MORE;
    }
    size_t length = ledge_reader_u32(&r);
    uint32_t crc = ledge_reader_u32(&r);
    read.seq = ledge_reader_u64(&r);
    read.time_ms = (int64_t)ledge_reader_u64(&r);
    read.kind = ledge_reader_u16(&r);
    read.class_of_service = ledge_reader_u16(&r);
    read.meta_bytes = ledge_reader_u32(&r);
    if (length > FLEET_RECORD_MAX || read.meta_bytes > length || read.meta_bytes > FLEET_META_MAX ||
        fleet_kind_name(read.kind) == NULL || fleet_class_name(read.class_of_service) == NULL) {
        return FLEET_TAKE_BAD;
    }
    *used = FLEET_RECORD_HEADER + length;
    if (n < *used) {
        return FLEET_TAKE_MORE;
    }
    if (ledge_crc32c(0, (const uint8_t *)bytes + 8, *used - 8) != crc) {
        return FLEET_TAKE_BAD;
    }
    read.body_bytes = length - read.meta_bytes;
    read.meta = ledge_reader_take(&r, read.meta_bytes);
    read.body = ledge_reader_take(&r, read.body_bytes);
    *record = read;
    return FLEET_TAKE_RECORD;
}

/* Walk over all records; each may be NULL. */
static enum ledge_status walk(const uint8_t *bytes, size_t n,
                              const struct fleet_segment_header *header,
                              bool (*each)(void *arg, const struct fleet_record *record), void *arg,
                              struct ledge_error *err)
{
    size_t at = FLEET_SEGMENT_HEADER;
    for (uint32_t i = 0; i < header->count; i++) {
        struct fleet_record record;
        size_t used = 0;
        switch (fleet_record_take(bytes + at, n - at, &record, &used)) {
        case FLEET_TAKE_RECORD:
            break;
        case FLEET_TAKE_MORE:
            return ledge_fail(err, LEDGE_ERR_FORMAT,
                              "segment: ends inside record %" PRIu32 " of %" PRIu32, i + 1,
                              header->count);
        case FLEET_TAKE_BAD:
            return ledge_fail(err, LEDGE_ERR_CORRUPT,
                              "segment: record %" PRIu32 " of %" PRIu32 " is damaged", i + 1,
                              header->count);
        }
        if (record.seq != header->first + i) {
            return ledge_fail(err, LEDGE_ERR_FORMAT,
                              "segment: record %" PRIu32 " has seq %" PRIu64 ", not %" PRIu64,
                              i + 1, record.seq, header->first + i);
        }
        if (each != NULL && !each(arg, &record)) {
            return ledge_fail(err, LEDGE_ERR_CANCELLED, "segment: stopped at seq %" PRIu64,
                              record.seq);
        }
        at += used;
    }
    if (at != n) {
        return ledge_fail(err, LEDGE_ERR_FORMAT, "segment: %zu bytes behind the last record",
                          n - at);
    }
    return LEDGE_OK;
}

enum ledge_status fleet_segment_read(const void *bytes, size_t n,
                                     struct fleet_segment_header *header,
                                     bool (*each)(void *arg, const struct fleet_record *record),
                                     void *arg, struct ledge_error *err)
{
    struct fleet_segment_header read;
    LEDGE_TRY(fleet_segment_header_read(bytes, n, &read, err));
    if (read.count == 0 || read.first == 0 || read.first > UINT64_MAX / 2) {
        return ledge_fail(err, LEDGE_ERR_FORMAT, "segment: not sealed (no records)");
    }
    LEDGE_TRY(walk(bytes, n, &read, NULL, NULL, err));
    *header = read;
    return each == NULL ? LEDGE_OK : walk(bytes, n, &read, each, arg, err);
}
