/* SPDX-License-Identifier: Apache-2.0 */
/* outbox_files.c -- finding the files again after a crash.
 *
 * A file's records are judged one by one by their CRC. Where one is bad, the rest is searched for a
 * good one with a later seq: found, the disk has damaged something in the middle (the hole is kept
 * as a hole, its seqs are never given out again); not found, it is the torn tail of the last write,
 * which nobody was promised, and it is cut. */
#include "agent/outbox_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/digest.h"
#include "base/reader.h"
#include "base/status.h"

enum { NAME_DIGITS = 20, FILE_MAX = FLEET_RECORD_MAX + 2 * AGENT_OUTBOX_FILE, MARK = 12 };

enum ledge_status outbox_path(const struct agent_outbox *o, uint64_t first, char path[SYS_PATH],
                              struct ledge_error *err)
{
    return sys_path(path, err, "%s/%020" PRIu64 ".seg", o->dir, first);
}

static bool parse_name(const char *name, uint64_t *first)
{
    if (strspn(name, "0123456789") != NAME_DIGITS || strcmp(name + NAME_DIGITS, ".seg") != 0) {
        return false;
    }
    *first = strtoull(name, NULL, 10);
    return *first > 0 && *first < UINT64_MAX / 2;
}

static int by_first(const void *a, const void *b)
{
    uint64_t x = ((const struct outbox_file *)a)->first;
    uint64_t y = ((const struct outbox_file *)b)->first;
    return x < y ? -1 : x > y;
}

static enum ledge_status list_files(struct agent_outbox *o, struct ledge_error *err)
{
    DIR *dir = opendir(o->dir);
    if (dir == NULL) {
        return ledge_fail(err, LEDGE_ERR_IO, "cannot open %.180s: %s", o->dir, strerror(errno));
    }
    const struct dirent *entry;
    while ((entry = readdir(dir)) != NULL) {
        uint64_t first;
        if (!parse_name(entry->d_name, &first)) {
            continue;
        }
        struct outbox_file *files = realloc(o->files, (o->n + 1) * sizeof *files);
        if (files == NULL) {
            closedir(dir);
            return ledge_fail(err, LEDGE_ERR_NOMEM, "outbox: out of memory");
        }
        o->files = files;
        o->files[o->n++] = (struct outbox_file){.first = first, .last = first - 1};
    }
    closedir(dir);
    if (o->n > 0) {
        qsort(o->files, o->n, sizeof *o->files, by_first);
    }
    return LEDGE_OK;
}

size_t outbox_find_record(const char *bytes, size_t n, size_t at, uint64_t last, uint64_t limit)
{
    for (; n > at && n - at >= FLEET_RECORD_HEADER; at++) {
        struct fleet_record record;
        size_t used;
        if (fleet_record_take(bytes + at, n - at, &record, &used) == FLEET_TAKE_RECORD &&
            record.seq > last && record.seq < limit) {
            return at;
        }
    }
    return 0;
}

/* Walk over the records; limit: seq from which on the next file counts. */
static void judge(struct agent_outbox *o, struct outbox_file *file, const char *bytes, size_t n,
                  uint64_t limit)
{
    size_t at = FLEET_SEGMENT_HEADER;
    file->bytes = n < at ? n : at;
    while (n > at && n - at >= FLEET_RECORD_HEADER) {
        struct fleet_record record;
        size_t used = 0;
        bool good = fleet_record_take(bytes + at, n - at, &record, &used) == FLEET_TAKE_RECORD &&
                    record.seq > file->last && record.seq < limit;
        if (!good) {
            at = outbox_find_record(bytes, n, at + 1, file->last, limit);
            if (at == 0) {
                break;
            }
            continue;
        }
        o->lost += record.seq - file->last - 1;
        file->last = record.seq;
        at += used;
        file->bytes = at;
    }
}

/* Judge one file; *epoch_known is set by the first good header. */
static enum ledge_status scan_file(struct agent_outbox *o, size_t i, bool *epoch_known,
                                   struct ledge_error *err)
{
    struct outbox_file *file = &o->files[i];
    LEDGE_CLEANUP(ledge_buf_done) struct ledge_buf buf = LEDGE_BUF_INIT(FILE_MAX);
    struct fleet_segment_header header;
    char path[SYS_PATH];
    LEDGE_TRY(outbox_path(o, file->first, path, err));
    if (sys_file_read(path, &buf, err) != LEDGE_OK) {
        return LEDGE_OK; /* its records become holes; what comes behind is more important */
    }
    if (fleet_segment_header_read(buf.data == NULL ? "" : buf.data, buf.len, &header, NULL) ==
            LEDGE_OK &&
        !*epoch_known) {
        memcpy(o->epoch, header.epoch, FLEET_EPOCH);
        *epoch_known = true;
    }
    judge(o, file, buf.data, buf.len, i + 1 < o->n ? o->files[i + 1].first : UINT64_MAX / 2);
    if (i + 1 == o->n && file->bytes < buf.len && truncate(path, (off_t)file->bytes) != 0) {
        return ledge_fail(err, LEDGE_ERR_IO, "cannot cut %.180s: %s", path, strerror(errno));
    }
    return LEDGE_OK;
}

enum ledge_status outbox_scan(struct agent_outbox *o, struct ledge_error *err)
{
    bool epoch_known = false;
    LEDGE_TRY(list_files(o, err));
    for (size_t i = 0; i < o->n; i++) {
        LEDGE_TRY(scan_file(o, i, &epoch_known, err));
        if (i > 0) {
            o->lost += o->files[i].first - o->files[i - 1].last - 1;
        }
        o->files[i].synced = o->files[i].bytes;
        o->total += o->files[i].bytes;
    }
    if (o->n == 0) {
        return LEDGE_OK;
    }
    if (!epoch_known) {
        return ledge_fail(err, LEDGE_ERR_CORRUPT, "%.180s: no file has a good header", o->dir);
    }
    o->next = outbox_last(o)->last + 1;
    o->synced = o->next - 1;
    return LEDGE_OK;
}

static enum ledge_status write_header(struct agent_outbox *o, int fd, uint64_t first,
                                      struct ledge_error *err)
{
    LEDGE_CLEANUP(ledge_buf_done) struct ledge_buf buf = LEDGE_BUF_INIT(FLEET_SEGMENT_HEADER);
    struct fleet_segment_header header = {.first = first, .created_ms = sys_now_ms()};
    memcpy(header.epoch, o->epoch, FLEET_EPOCH);
    errno = ENOMEM;
    if (!fleet_segment_put_header(&buf, &header) ||
        write(fd, buf.data, buf.len) != (ssize_t)buf.len || fsync(fd) != 0) {
        int code = errno;
        return ledge_fail(err, code == ENOSPC || code == EDQUOT ? LEDGE_ERR_FULL : LEDGE_ERR_IO,
                          "outbox: no new file in %.150s: %s", o->dir, strerror(code));
    }
    return LEDGE_OK;
}

enum ledge_status outbox_add_file(struct agent_outbox *o, uint64_t first, struct ledge_error *err)
{
    char path[SYS_PATH];
    LEDGE_TRY(outbox_path(o, first, path, err));
    struct outbox_file *files = realloc(o->files, (o->n + 1) * sizeof *files);
    if (files == NULL) {
        return ledge_fail(err, LEDGE_ERR_NOMEM, "outbox: out of memory");
    }
    o->files = files;
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0) {
        return ledge_fail(err, errno == ENOSPC ? LEDGE_ERR_FULL : LEDGE_ERR_IO,
                          "outbox: cannot make %.180s: %s", path, strerror(errno));
    }
    enum ledge_status status = write_header(o, fd, first, err);
    if (status == LEDGE_OK) {
        status = sys_dir_sync(o->dir, err);
    }
    if (status != LEDGE_OK) {
        close(fd);
        (void)unlink(path);
        return status;
    }
    if (o->fd >= 0) {
        close(o->fd);
    }
    o->fd = fd;
    o->files[o->n++] = (struct outbox_file){.first = first,
                                            .last = first - 1,
                                            .bytes = FLEET_SEGMENT_HEADER,
                                            .synced = FLEET_SEGMENT_HEADER};
    o->total += FLEET_SEGMENT_HEADER;
    return LEDGE_OK;
}

/* CRC over epoch and seq: a mark of another outbox is none. */
static uint32_t mark_crc(const struct agent_outbox *o, const uint8_t seq[8])
{
    return ledge_crc32c(ledge_crc32c(0, o->epoch, FLEET_EPOCH), seq, 8);
}

void outbox_read_mark(struct agent_outbox *o)
{
    uint8_t bytes[MARK];
    if (o->mark_fd < 0 || pread(o->mark_fd, bytes, MARK, 0) != MARK) {
        return;
    }
    struct ledge_reader r = ledge_reader_make(bytes, MARK);
    uint64_t seq = ledge_reader_u64(&r);
    if (ledge_reader_u32(&r) == mark_crc(o, bytes) && seq > o->acked && seq < o->next) {
        o->acked = seq;
    }
}

void outbox_write_mark(const struct agent_outbox *o)
{
    uint8_t bytes[MARK];
    for (int i = 0; i < 8; i++) {
        bytes[i] = (uint8_t)(o->acked >> (8 * i));
    }
    uint32_t crc = mark_crc(o, bytes);
    for (int i = 0; i < 4; i++) {
        bytes[8 + i] = (uint8_t)(crc >> (8 * i));
    }
    if (o->mark_fd >= 0 && pwrite(o->mark_fd, bytes, MARK, 0) != MARK) {
        return; /* only a hint: records will be sent once more */
    }
}
