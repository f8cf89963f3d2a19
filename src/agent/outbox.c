/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/outbox.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/outbox_files.h"
#include "base/cleanup.h"
#include "base/digest.h"
#include "base/status.h"
#include "sys/tls.h"

enum { ROTATE_ACKED = 64 * 1024, READ_CHUNK = 192 * 1024 };

/* -- open ----------------------------------------------------------------------------------------
 */

static void free_files(struct agent_outbox *o);

static void forget(struct agent_outbox *o)
{
    free(o->files);
    o->files = NULL;
    o->n = 0;
    o->next = o->synced = o->acked = o->total = o->lost = 0;
}

/* A new epoch in an empty folder. */
static enum ledge_status begin_epoch(struct agent_outbox *o, struct ledge_error *err)
{
    LEDGE_TRY(sys_random(o->epoch, sizeof o->epoch, err));
    LEDGE_TRY(outbox_add_file(o, 1, err));
    o->next = 1;
    return LEDGE_OK;
}

/* Nothing in the folder can be read: keep it for people, begin anew. */
static enum ledge_status put_aside(struct agent_outbox *o, char note[200], struct ledge_error *err)
{
    char aside[SYS_PATH];
    LEDGE_TRY(sys_path(aside, err, "%s.damaged-%" PRId64, o->dir, sys_now_ms()));
    (void)snprintf(note, 200, "outbox was unreadable and is kept as %.100s; a new epoch begins",
                   aside);
    if (rename(o->dir, aside) != 0) {
        return ledge_fail(err, LEDGE_ERR_IO, "cannot put %.180s aside: %s", o->dir,
                          strerror(errno));
    }
    forget(o);
    return sys_dir_make(o->dir, err);
}

static enum ledge_status open_newest(struct agent_outbox *o, struct ledge_error *err)
{
    char path[SYS_PATH];
    LEDGE_TRY(outbox_path(o, outbox_last(o)->first, path, err));
    o->fd = open(path, O_RDWR | O_APPEND | O_CLOEXEC);
    if (o->fd < 0 || outbox_last(o)->bytes < FLEET_SEGMENT_HEADER) {
        /* Cut before its header was whole: it never held a record. */
        o->total -= outbox_last(o)->bytes;
        uint64_t first = outbox_last(o)->first;
        o->n--;
        return outbox_add_file(o, first, err);
    }
    return LEDGE_OK;
}

static enum ledge_status open_folder(struct agent_outbox *o, char note[200],
                                     struct ledge_error *err)
{
    char mark[SYS_PATH];
    LEDGE_TRY(sys_dir_make(o->dir, err));
    enum ledge_status status = outbox_scan(o, err);
    bool empty = o->n == 1 && o->files[0].first == 1 && o->files[0].bytes < FLEET_SEGMENT_HEADER;
    if (status == LEDGE_ERR_CORRUPT && empty) { /* killed while the very first file was made */
        forget(o);
    } else if (status == LEDGE_ERR_CORRUPT) {
        LEDGE_TRY(put_aside(o, note, err));
    } else if (status != LEDGE_OK) {
        return status;
    }
    LEDGE_TRY(o->n == 0 ? begin_epoch(o, err) : open_newest(o, err));
    LEDGE_TRY(sys_path(mark, err, "%s/acked", o->dir));
    o->mark_fd = open(mark, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    o->acked = o->files[0].first - 1;
    outbox_read_mark(o);
    if (o->lost > 0) {
        (void)snprintf(note, 200, "outbox: %" PRIu64 " records were damaged on disk", o->lost);
    }
    free_files(o);
    return LEDGE_OK;
}

enum ledge_status agent_outbox_open(const char *dir, uint64_t quota, struct agent_outbox **outbox,
                                    char note[200], struct ledge_error *err)
{
    struct agent_outbox *o = calloc(1, sizeof *o);
    if (o == NULL) {
        return ledge_fail(err, LEDGE_ERR_NOMEM, "outbox: out of memory");
    }
    o->fd = -1;
    o->mark_fd = -1;
    o->quota = quota;
    note[0] = '\0';
    enum ledge_status status = sys_path(o->dir, err, "%s", dir);
    if (status == LEDGE_OK) {
        status = open_folder(o, note, err);
    }
    if (status != LEDGE_OK) {
        agent_outbox_close(o);
        return status;
    }
    *outbox = o;
    return LEDGE_OK;
}

void agent_outbox_close(struct agent_outbox *o)
{
    if (o == NULL) {
        return;
    }
    if (o->fd >= 0) {
        close(o->fd);
    }
    if (o->mark_fd >= 0) {
        close(o->mark_fd);
    }
    free(o->files);
    free(o);
}

/* -- append and sync -----------------------------------------------------------------------------
 */

/* The newest file could not be made anew: keep its entry, empty, for the next try. */
static void outbox_last_gone(struct agent_outbox *o)
{
    o->n++;
    outbox_last(o)->bytes = 0;
    outbox_last(o)->synced = 0;
}

/* Drop what is not synced and make sure that there is a file to go on with. After a failed fsync
 * the kernel may have dropped the pages: the old file is not written to again. */
static enum ledge_status drop_unsynced(struct agent_outbox *o, struct ledge_error *err)
{
    struct outbox_file *file = outbox_last(o);
    char path[SYS_PATH];
    LEDGE_TRY(outbox_path(o, file->first, path, err));
    if (o->fd >= 0) {
        int kept = ftruncate(o->fd, (off_t)file->synced);
        (void)kept; /* what stays is cut by seq when the outbox is opened again */
        close(o->fd);
        o->fd = -1;
    }
    o->total -= file->bytes - file->synced;
    file->bytes = file->synced;
    file->last = o->synced;
    o->next = o->synced + 1;
    o->drops++;
    if (file->first != o->next) {
        return outbox_add_file(o, o->next, err);
    }
    /* It holds nothing: the new one has its name and its place. */
    o->total -= file->bytes;
    o->n--;
    enum ledge_status status = outbox_add_file(o, o->next, err);
    if (status != LEDGE_OK) {
        outbox_last_gone(o);
    }
    return status;
}

static enum ledge_status write_record(struct agent_outbox *o, const struct ledge_buf *bytes,
                                      struct ledge_error *err)
{
    struct outbox_file *file = outbox_last(o);
    ssize_t n;
    while ((n = write(o->fd, bytes->data, bytes->len)) < 0 && errno == EINTR) {
    }
    if (n == (ssize_t)bytes->len) {
        return LEDGE_OK;
    }
    int code = n < 0 ? errno : ENOSPC;
    if (ftruncate(o->fd, (off_t)file->bytes) != 0) {
        close(o->fd);
        o->fd = -1;
    }
    return ledge_fail(
        err, code == ENOSPC || code == EDQUOT || code == EFBIG ? LEDGE_ERR_FULL : LEDGE_ERR_IO,
        "outbox: cannot write: %s", strerror(code));
}

static enum ledge_status make_room(struct agent_outbox *o, size_t size, struct ledge_error *err)
{
    if (o->fd < 0) {
        LEDGE_TRY(drop_unsynced(o, err));
    }
    if (o->total + size > o->quota) {
        return ledge_fail(err, LEDGE_ERR_FULL, "outbox: its quota of %" PRIu64 " bytes is used up",
                          o->quota);
    }
    struct outbox_file *file = outbox_last(o);
    if (file->bytes + size > AGENT_OUTBOX_FILE && file->bytes > FLEET_SEGMENT_HEADER) {
        LEDGE_TRY(agent_outbox_sync(o, err));
        LEDGE_TRY(outbox_add_file(o, o->next, err));
    }
    return LEDGE_OK;
}

enum ledge_status agent_outbox_append(struct agent_outbox *o, const struct fleet_record *record,
                                      uint64_t *seq, struct ledge_error *err)
{
    struct fleet_record numbered = *record;
    if (record->meta_bytes > FLEET_META_MAX || record->body_bytes > FLEET_RECORD_MAX ||
        record->meta_bytes + record->body_bytes > FLEET_RECORD_MAX) {
        return ledge_fail(err, LEDGE_ERR_RANGE, "record of %zu + %zu bytes: the limit is %d",
                          record->meta_bytes, record->body_bytes, FLEET_RECORD_MAX);
    }
    size_t size = fleet_record_size(record);
    LEDGE_TRY(make_room(o, size, err));
    LEDGE_CLEANUP(ledge_buf_done) struct ledge_buf bytes = LEDGE_BUF_INIT(size);
    numbered.seq = o->next;
    if (!fleet_record_put(&bytes, &numbered)) {
        return ledge_fail(err, LEDGE_ERR_ARG, "record of unknown kind or class");
    }
    LEDGE_TRY(write_record(o, &bytes, err));
    outbox_last(o)->bytes += size;
    outbox_last(o)->last = o->next;
    o->total += size;
    o->appended += size;
    *seq = o->next++;
    return LEDGE_OK;
}

enum ledge_status agent_outbox_sync(struct agent_outbox *o, struct ledge_error *err)
{
    struct outbox_file *file = outbox_last(o);
    if (o->synced + 1 == o->next) {
        return LEDGE_OK;
    }
    if (o->fd < 0 || fdatasync(o->fd) != 0) {
        int code = o->fd < 0 ? EIO : errno;
        struct ledge_error dropped;
        if (drop_unsynced(o, &dropped) != LEDGE_OK) {
            o->fd = -1; /* the next append tries again */
        }
        return ledge_fail(err, code == ENOSPC || code == EDQUOT ? LEDGE_ERR_FULL : LEDGE_ERR_IO,
                          "outbox: cannot flush: %s", strerror(code));
    }
    file->synced = file->bytes;
    o->synced = o->next - 1;
    return LEDGE_OK;
}

/* -- read ----------------------------------------------------------------------------------------
 */

/* In the place of a record that the disk has damaged. */
static bool put_lost(struct ledge_buf *buf, uint64_t seq)
{
    char meta[96];
    int n = snprintf(
        meta, sizeof meta,
        "{\"function\":\"ledge-agent\",\"text\":\"record %" PRIu64 " was damaged on disk\"}", seq);
    struct fleet_record record = {.seq = seq,
                                  .time_ms = sys_now_ms(),
                                  .kind = FLEET_KIND_log,
                                  .class_of_service = FLEET_CLASS_normal,
                                  .meta = meta,
                                  .meta_bytes = (size_t)n,
                                  .body = ""};
    return fleet_record_put(buf, &record);
}

struct reading {
    struct agent_outbox *o;
    const struct outbox_file *file;
    uint64_t seq; /* the next to put */
    uint64_t last;
    size_t max_bytes;
    struct ledge_buf *buf;
    size_t start; /* of the segment in buf */
    uint32_t count;
};

static bool has_room(const struct reading *r, size_t size)
{
    return r->count == 0 || r->buf->len - r->start + size <= r->max_bytes;
}

/* Records in place of seq..until - 1; false when the segment is full. */
static bool put_holes(struct reading *r, uint64_t until)
{
    while (r->seq < until) {
        if (!has_room(r, 128) || !put_lost(r->buf, r->seq)) {
            return false;
        }
        r->seq++;
        r->count++;
    }
    return true;
}

/* Put the records of one chunk of the file; left: bytes to the file's end, *at moves behind what
 * was taken. Returns how many bytes the next record needs when the chunk ends inside it, 0 when the
 * segment is full or the records are at their end, SIZE_MAX when no good record follows. */
static size_t put_chunk(struct reading *r, const char *bytes, size_t n, uint64_t left, uint64_t *at)
{
    size_t used = 0;
    for (size_t done = 0;; done += used, *at += used) {
        struct fleet_record record;
        r->o->cursor_seq = r->seq;
        r->o->cursor_file = r->file->first;
        r->o->cursor_at = *at;
        if (r->seq > r->last) {
            return 0;
        }
        enum fleet_take take = fleet_record_take(bytes + done, n - done, &record, &used);
        if (take == FLEET_TAKE_MORE && used <= left - done) {
            return used;
        }
        if (take != FLEET_TAKE_RECORD) { /* damaged: what follows behind it? */
            used = outbox_find_record(bytes + done, n - done, 1, r->seq - 1, r->last + 1);
            if (used == 0) {
                return SIZE_MAX;
            }
        } else if (record.seq >= r->seq) {
            if (record.seq > r->last || !put_holes(r, record.seq) || !has_room(r, used) ||
                !fleet_record_put(r->buf, &record)) {
                return 0;
            }
            r->seq++;
            r->count++;
        }
    }
}

static enum ledge_status read_file(struct reading *r, int fd, struct ledge_error *err)
{
    uint64_t at = FLEET_SEGMENT_HEADER;
    size_t size = READ_CHUNK;
    if (r->o->cursor_file == r->file->first && r->o->cursor_seq == r->seq) {
        at = r->o->cursor_at;
    }
    for (;;) {
        uint64_t left = r->file->synced > at ? r->file->synced - at : 0;
        size = size > left ? (size_t)left : size;
        char *chunk = malloc(size + 1);
        if (chunk == NULL) {
            return ledge_fail(err, LEDGE_ERR_NOMEM, "outbox: out of memory");
        }
        ssize_t n = pread(fd, chunk, size, (off_t)at);
        size_t need = n == (ssize_t)size ? put_chunk(r, chunk, size, left, &at) : SIZE_MAX;
        free(chunk);
        if (need == SIZE_MAX) {
            (void)put_holes(r, r->last + 1);
        }
        if (need == 0 || need == SIZE_MAX) {
            return LEDGE_OK;
        }
        size = need > READ_CHUNK ? need : READ_CHUNK;
    }
}

static enum ledge_status fill(struct reading *r, struct ledge_error *err)
{
    char path[SYS_PATH];
    if (r->seq < r->file->first) {
        (void)put_holes(r, r->file->first <= r->o->synced ? r->file->first : r->o->synced + 1);
        return LEDGE_OK;
    }
    LEDGE_TRY(outbox_path(r->o, r->file->first, path, err));
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return ledge_fail(err, LEDGE_ERR_IO, "outbox: cannot open %.180s: %s", path,
                          strerror(errno));
    }
    enum ledge_status status = read_file(r, fd, err);
    close(fd);
    return status;
}

/* Now that count is known, the header. */
static bool seal(struct reading *r, uint64_t first)
{
    LEDGE_CLEANUP(ledge_buf_done) struct ledge_buf head = LEDGE_BUF_INIT(FLEET_SEGMENT_HEADER);
    struct fleet_segment_header header = {
        .first = first, .count = r->count, .created_ms = sys_now_ms()};
    memcpy(header.epoch, r->o->epoch, FLEET_EPOCH);
    if (!fleet_segment_put_header(&head, &header)) {
        return false;
    }
    memcpy(r->buf->data + r->start, head.data, head.len);
    return true;
}

enum ledge_status agent_outbox_read(struct agent_outbox *o, uint64_t seq, size_t max_bytes,
                                    struct ledge_buf *buf, uint32_t *count, struct ledge_error *err)
{
    static const char blank[FLEET_SEGMENT_HEADER];
    struct reading r = {.o = o, .seq = seq, .max_bytes = max_bytes, .buf = buf, .start = buf->len};
    size_t i = 0;
    *count = 0;
    if (seq > o->synced || seq == 0) {
        return LEDGE_OK;
    }
    while (i + 1 < o->n && o->files[i].last < seq) {
        i++;
    }
    r.file = &o->files[i];
    r.last = r.file->last < o->synced ? r.file->last : o->synced;
    if (!ledge_buf_add(buf, blank, sizeof blank)) {
        return ledge_fail(err, LEDGE_ERR_FULL, "outbox: a segment over %zu bytes", buf->max);
    }
    LEDGE_TRY(fill(&r, err));
    if (r.count == 0 || !seal(&r, seq)) {
        return ledge_fail(err, LEDGE_ERR_FULL, "outbox: record %" PRIu64 " is over %zu bytes", seq,
                          buf->max);
    }
    *count = r.count;
    return LEDGE_OK;
}

/* -- ack -----------------------------------------------------------------------------------------
 */

static void free_files(struct agent_outbox *o)
{
    size_t gone = 0;
    while (gone + 1 < o->n && o->files[gone + 1].first <= o->acked + 1) {
        char path[SYS_PATH];
        if (outbox_path(o, o->files[gone].first, path, NULL) == LEDGE_OK) {
            (void)unlink(path);
        }
        o->total -= o->files[gone].bytes;
        gone++;
    }
    memmove(o->files, o->files + gone, (o->n - gone) * sizeof *o->files);
    o->n -= gone;
}

void agent_outbox_ack(struct agent_outbox *o, uint64_t seq)
{
    if (seq <= o->acked || seq > o->synced) {
        return;
    }
    o->acked = seq;
    outbox_write_mark(o);
    /* All of it is in the hub: begin a new file, so that the old one can go. A failure is no harm:
     * the old one just stays. */
    if (o->acked + 1 == o->next && outbox_last(o)->bytes > ROTATE_ACKED && o->fd >= 0) {
        struct ledge_error ignored;
        if (outbox_add_file(o, o->next, &ignored) != LEDGE_OK) {
            return;
        }
    }
    free_files(o);
}

void agent_outbox_stats(const struct agent_outbox *o, struct agent_outbox_stats *stats)
{
    *stats = (struct agent_outbox_stats){.next = o->next,
                                         .synced = o->synced,
                                         .acked = o->acked,
                                         .depth = o->next - 1 - o->acked,
                                         .bytes = o->total,
                                         .lost = o->lost,
                                         .drops = o->drops,
                                         .appended = o->appended};
    ledge_hex(o->epoch, FLEET_EPOCH, stats->epoch);
}
