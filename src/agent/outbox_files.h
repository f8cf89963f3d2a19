/* SPDX-License-Identifier: Apache-2.0 */
/* outbox_files.h -- the files of an outbox and what is read from them. Private to outbox*.c. */
#ifndef AGENT_OUTBOX_FILES_H
#define AGENT_OUTBOX_FILES_H

#include <stdbool.h>

#include "agent/outbox.h"
#include "sys/file.h"

/* Records first..last, perhaps with holes; last = first - 1 while there are none. */
struct outbox_file {
    uint64_t first, last;
    uint64_t bytes;  /* good bytes, header included */
    uint64_t synced; /* of them durable */
};

struct agent_outbox {
    char dir[SYS_PATH];
    uint8_t epoch[FLEET_EPOCH];
    struct outbox_file *files; /* in order; the last one is appended to */
    size_t n;
    int fd;      /* of the last one; -1: it must be made anew */
    int mark_fd; /* the file "acked" */
    uint64_t next, synced, acked;
    uint64_t total, quota;
    uint64_t lost;
    uint64_t drops;
    uint64_t appended;
    uint64_t cursor_seq, cursor_file, cursor_at; /* where record cursor_seq stands */
};

static inline struct outbox_file *outbox_last(const struct agent_outbox *o)
{
    return &o->files[o->n - 1];
}

enum ledge_status outbox_path(const struct agent_outbox *o, uint64_t first, char path[SYS_PATH],
                              struct ledge_error *err);

/* Find the files of o->dir, judge each record, cut a torn tail; fills epoch, files, next, synced,
 * total, lost. Nothing there: o->n is 0. Errors: ERR_IO, ERR_CORRUPT (no file has a good header).
 */
enum ledge_status outbox_scan(struct agent_outbox *o, struct ledge_error *err);

/* Offset of the next good record with a seq in (last, limit) at or behind at; 0: none. */
size_t outbox_find_record(const char *bytes, size_t n, size_t at, uint64_t last, uint64_t limit);

/* Add a file for records from first on: header written, file and folder synced, fd open. */
enum ledge_status outbox_add_file(struct agent_outbox *o, uint64_t first, struct ledge_error *err);

/* The mark of what is acknowledged: a hint that survives kill -9 but is not synced. */
void outbox_read_mark(struct agent_outbox *o);
void outbox_write_mark(const struct agent_outbox *o);

#endif
