/* SPDX-License-Identifier: Apache-2.0 */
/* npz.c -- a zip of arrays: end-of-directory record, directory, entries. Zip64 and encryption are
 * refused. */
#include <string.h>

#include "base/reader.h"
#include "base/status.h"
#include "data/npy.h"
#include "sys/gzip.h"

enum {
    LOCAL_MAGIC = 0x04034b50,
    ENTRY_MAGIC = 0x02014b50,
    END_MAGIC = 0x06054b50,
    END_BYTES = 22,
    COMMENT_MAX = 65535,
    STORED = 0,
    DEFLATED = 8,
    DATE_1980 = 0x21,
};
#define UNPACKED_MAX ((size_t)1 << 31)

struct entry {
    uint16_t flags, method;
    uint32_t crc, packed, size, offset;
    const char *name;
    size_t name_bytes;
};

static enum ledge_status broken(struct ledge_error *err, const char *what)
{
    return ledge_fail(err, LEDGE_ERR_FORMAT, "npz: %s", what);
}

bool data_npz_is(const void *bytes, size_t size)
{
    return size >= 4 && memcmp(bytes, "PK\x03\x04", 4) == 0;
}

/* Position of the directory and number of its entries. */
static enum ledge_status find_directory(const uint8_t *bytes, size_t size, size_t *at, size_t *n,
                                        struct ledge_error *err)
{
    size_t last = size >= END_BYTES ? size - END_BYTES : 0;
    for (size_t back = 0; size >= END_BYTES && back <= last && back <= COMMENT_MAX; back++) {
        struct ledge_reader r = ledge_reader_make(bytes, size);
        ledge_reader_seek(&r, last - back);
        if (ledge_reader_u32(&r) != END_MAGIC) {
            continue;
        }
        (void)ledge_reader_u32(&r); /* disks */
        (void)ledge_reader_u16(&r);
        *n = ledge_reader_u16(&r);
        (void)ledge_reader_u32(&r);
        *at = ledge_reader_u32(&r);
        return LEDGE_OK;
    }
    return broken(err, "no zip directory");
}

static enum ledge_status read_entry(struct ledge_reader *r, struct entry *e,
                                    struct ledge_error *err)
{
    if (ledge_reader_u32(r) != ENTRY_MAGIC) {
        return broken(err, "malformed zip directory");
    }
    (void)ledge_reader_u32(r); /* versions */
    e->flags = ledge_reader_u16(r);
    e->method = ledge_reader_u16(r);
    (void)ledge_reader_u32(r); /* time, date */
    e->crc = ledge_reader_u32(r);
    e->packed = ledge_reader_u32(r);
    e->size = ledge_reader_u32(r);
    e->name_bytes = ledge_reader_u16(r);
    size_t rest = ledge_reader_u16(r);
    rest += ledge_reader_u16(r);
    (void)ledge_reader_u32(r); /* disk, internal attributes */
    (void)ledge_reader_u32(r); /* external attributes */
    e->offset = ledge_reader_u32(r);
    e->name = (const char *)ledge_reader_take(r, e->name_bytes);
    (void)ledge_reader_take(r, rest);
    if (r->failed) {
        return broken(err, "malformed zip directory");
    }
    if ((e->flags & 1) != 0 || (e->method != STORED && e->method != DEFLATED) ||
        e->size == UINT32_MAX || e->packed == UINT32_MAX) {
        return ledge_fail(err, LEDGE_ERR_UNSUPPORTED, "npz: encrypted, zip64, or method %u",
                          e->method);
    }
    return LEDGE_OK;
}

static enum ledge_status unpack(const uint8_t *bytes, size_t size, const struct entry *e,
                                struct ledge_arena *arena, const void **data,
                                struct ledge_error *err)
{
    struct ledge_reader r = ledge_reader_make(bytes, size);
    ledge_reader_seek(&r, e->offset);
    bool good = ledge_reader_u32(&r) == LOCAL_MAGIC;
    (void)ledge_reader_take(&r, 22);
    size_t skip = ledge_reader_u16(&r);
    skip += ledge_reader_u16(&r);
    (void)ledge_reader_take(&r, skip);
    const uint8_t *packed = ledge_reader_take(&r, e->packed);
    if (!good || packed == NULL || (e->method == STORED && e->packed != e->size)) {
        return broken(err, "malformed zip entry");
    }
    *data = packed;
    if (e->method == DEFLATED) {
        /* deflate packs at most 1032 : 1, so a small file cannot ask for much memory */
        void *out = e->size <= UNPACKED_MAX && e->size / 1032 <= e->packed
                        ? ledge_arena_alloc(arena, e->size, 64)
                        : NULL;
        if (out == NULL) {
            return ledge_fail(err, LEDGE_ERR_NOMEM, "npz: an entry of %u bytes", (unsigned)e->size);
        }
        LEDGE_TRY(sys_inflate(packed, e->packed, out, e->size, err));
        *data = out;
    }
    return sys_crc32(0, *data, e->size) == e->crc
               ? LEDGE_OK
               : ledge_fail(err, LEDGE_ERR_CORRUPT, "npz: checksum of an entry");
}

enum ledge_status data_npz_read(const void *bytes, size_t size, struct ledge_arena *arena,
                                struct data_npz_entry **entries, size_t *n, struct ledge_error *err)
{
    size_t at, count;
    LEDGE_TRY(find_directory(bytes, size, &at, &count, err));
    struct data_npz_entry *made = LEDGE_NEW_ARRAY(arena, struct data_npz_entry, count);
    struct ledge_reader r = ledge_reader_make(bytes, size);
    if (made == NULL) {
        return ledge_fail(err, LEDGE_ERR_NOMEM, "npz: no memory");
    }
    ledge_reader_seek(&r, at);
    for (size_t i = 0; i < count; i++) {
        struct entry e;
        const void *data = NULL;
        LEDGE_TRY(read_entry(&r, &e, err));
        LEDGE_TRY(unpack(bytes, size, &e, arena, &data, err));
        LEDGE_TRY(data_npy_read(data, e.size, arena, &made[i].view, err));
        bool suffix = e.name_bytes > 4 && memcmp(e.name + e.name_bytes - 4, ".npy", 4) == 0;
        made[i].name = ledge_arena_text(arena, e.name, e.name_bytes - (suffix ? 4 : 0));
        if (made[i].name == NULL) {
            return ledge_fail(err, LEDGE_ERR_NOMEM, "npz: no memory");
        }
    }
    *entries = made;
    *n = count;
    return LEDGE_OK;
}

/* -- writing: stored entries -- */

static void put16(struct ledge_buf *out, unsigned value)
{
    const unsigned char bytes[2] = {(unsigned char)value, (unsigned char)(value >> 8)};
    (void)ledge_buf_add(out, bytes, 2);
}

/* The fields that entry and directory share: version needed .. length of the extra field. */
static void put_common(struct ledge_buf *out, uint32_t crc, size_t size, size_t name_bytes)
{
    put16(out, 20);
    put16(out, 0);
    put16(out, STORED);
    put16(out, 0);
    put16(out, DATE_1980);
    ledge_buf_u32(out, crc);
    ledge_buf_u32(out, (uint32_t)size);
    ledge_buf_u32(out, (uint32_t)size);
    put16(out, (unsigned)name_bytes);
    put16(out, 0);
}

static enum ledge_status write_entry(const struct data_npz_entry *entry, struct ledge_buf *out,
                                     struct ledge_buf *directory, struct ledge_buf *body,
                                     struct ledge_error *err)
{
    char name[1024];
    size_t at = out->len, n = strlen(entry->name);
    if (n + 4 >= sizeof name) {
        return ledge_fail(err, LEDGE_ERR_RANGE, "npz: the name %.40s... is too long", entry->name);
    }
    memcpy(name, entry->name, n);
    memcpy(name + n, ".npy", 5);
    ledge_buf_clear(body);
    LEDGE_TRY(data_npy_write(&entry->view, body, err));
    uint32_t crc = sys_crc32(0, body->data, body->len);
    ledge_buf_u32(out, LOCAL_MAGIC);
    put_common(out, crc, body->len, n + 4);
    ledge_buf_add(out, name, n + 4);
    ledge_buf_add(out, body->data, body->len);
    ledge_buf_u32(directory, ENTRY_MAGIC);
    put16(directory, 20);
    put_common(directory, crc, body->len, n + 4);
    put16(directory, 0); /* comment */
    put16(directory, 0); /* disk */
    put16(directory, 0); /* internal attributes */
    ledge_buf_u32(directory, 0);
    ledge_buf_u32(directory, (uint32_t)at);
    ledge_buf_add(directory, name, n + 4);
    return LEDGE_OK;
}

enum ledge_status data_npz_write(const struct data_npz_entry *entries, size_t n,
                                 struct ledge_buf *out, struct ledge_error *err)
{
    struct ledge_buf directory = LEDGE_BUF_INIT(1 << 24), body = LEDGE_BUF_INIT(out->max);
    enum ledge_status status = LEDGE_OK;
    for (size_t i = 0; i < n && status == LEDGE_OK; i++) {
        status = write_entry(&entries[i], out, &directory, &body, err);
    }
    size_t at = out->len;
    ledge_buf_add(out, directory.data, directory.len);
    ledge_buf_u32(out, END_MAGIC);
    put16(out, 0);
    put16(out, 0);
    put16(out, (unsigned)n);
    put16(out, (unsigned)n);
    ledge_buf_u32(out, (uint32_t)directory.len);
    ledge_buf_u32(out, (uint32_t)at);
    put16(out, 0);
    if (status == LEDGE_OK &&
        (out->failed || directory.failed || n > UINT16_MAX || out->len > UINT32_MAX)) {
        status = ledge_fail(err, LEDGE_ERR_RANGE, "npz: more than 4 GiB, or no memory");
    }
    ledge_buf_done(&directory);
    ledge_buf_done(&body);
    return status;
}
