/* SPDX-License-Identifier: Apache-2.0 */
/* zip.c -- end record (at the end of the file) -> central directory -> local header -> data. */
#include "import/tflite/zip.h"

#include <string.h>

#include "base/inflate.h"
#include "base/reader.h"

enum { END_BYTES = 22, MAX_COMMENT = 65535, MAX_FILES = 4096 };

struct entry {
    uint16_t method;
    uint32_t crc;
    uint32_t packed;
    uint32_t size;
    uint32_t offset;
};

/* Reader placed behind the end record's signature; failed when there is none. */
static struct ledge_reader find_end(const uint8_t *bytes, size_t size)
{
    struct ledge_reader r = ledge_reader_make(bytes, size);
    for (size_t back = END_BYTES; back <= size && back <= END_BYTES + MAX_COMMENT; back++) {
        if (memcmp(bytes + size - back, "PK\5\6", 4) == 0) {
            ledge_reader_seek(&r, size - back + 4);
            return r;
        }
    }
    r.failed = true;
    return r;
}

/* One record of the central directory; its name is FILLED as a place in the file. */
static struct entry read_entry(struct ledge_reader *r, const uint8_t **name, size_t *name_n)
{
    struct entry entry = {0};
    r->failed = r->failed || ledge_reader_u32(r) != 0x02014b50u;
    (void)ledge_reader_take(r, 6); /* versions, flags */
    entry.method = ledge_reader_u16(r);
    (void)ledge_reader_u32(r); /* time */
    entry.crc = ledge_reader_u32(r);
    entry.packed = ledge_reader_u32(r);
    entry.size = ledge_reader_u32(r);
    *name_n = ledge_reader_u16(r);
    size_t extra = ledge_reader_u16(r);
    size_t comment = ledge_reader_u16(r);
    (void)ledge_reader_take(r, 8); /* disk, attributes */
    entry.offset = ledge_reader_u32(r);
    *name = ledge_reader_take(r, *name_n);
    (void)ledge_reader_take(r, extra + comment);
    return entry;
}

static char *unpack(const uint8_t *bytes, size_t size, size_t base, const struct entry *entry,
                    struct ledge_arena *arena)
{
    struct ledge_reader r = ledge_reader_make(bytes, size);
    ledge_reader_seek(&r, base + entry->offset);
    r.failed = r.failed || ledge_reader_u32(&r) != 0x04034b50u;
    (void)ledge_reader_take(&r, 22);
    size_t skip = (size_t)ledge_reader_u16(&r);
    skip += ledge_reader_u16(&r);
    (void)ledge_reader_take(&r, skip);
    const uint8_t *packed = ledge_reader_take(&r, entry->packed);
    char *text = packed != NULL ? ledge_arena_alloc(arena, (size_t)entry->size + 1, 1) : NULL;
    if (text == NULL) {
        return NULL;
    }
    bool ok = false;
    if (entry->method == 0 && entry->packed == entry->size) {
        memcpy(text, packed, entry->size);
        ok = true;
    } else if (entry->method == 8) {
        ok = ledge_inflate(packed, entry->packed, (uint8_t *)text, entry->size);
    }
    return ok && ledge_crc32((const uint8_t *)text, entry->size) == entry->crc ? text : NULL;
}

char *ledge_zip_read(const uint8_t *bytes, size_t size, const uint8_t *name, size_t name_n,
                     size_t max, struct ledge_arena *arena, size_t *n)
{
    struct ledge_reader end = find_end(bytes, size);
    size_t end_at = end.at - 4;
    (void)ledge_reader_take(&end, 6);
    uint32_t files = ledge_reader_u16(&end);
    uint64_t directory = ledge_reader_u32(&end);
    uint64_t offset = ledge_reader_u32(&end);
    if (name_n == 0 || end.failed || directory > end_at || offset > end_at - directory ||
        files > MAX_FILES) {
        return NULL;
    }
    /* Offsets count from the start of the archive, which need not be the start of the file. */
    size_t base = (size_t)(end_at - directory - offset);
    struct ledge_reader r = ledge_reader_make(bytes, size);
    ledge_reader_seek(&r, (size_t)(end_at - directory));
    for (uint32_t i = 0; i < files && !r.failed; i++) {
        const uint8_t *found;
        size_t found_n;
        struct entry entry = read_entry(&r, &found, &found_n);
        if (!r.failed && found_n == name_n && memcmp(found, name, name_n) == 0 &&
            entry.size <= max) {
            *n = entry.size;
            return unpack(bytes, size, base, &entry, arena);
        }
    }
    return NULL;
}
