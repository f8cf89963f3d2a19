/* SPDX-License-Identifier: Apache-2.0 */
/* outbox.h -- records on disk until the hub has committed them.
 *
 * Flow:    local API -> append -> sync (one fdatasync for all that came meanwhile) -> answer
 *          uplink    -> read (a wire segment of synced records) -> ack -> files freed
 *
 * A folder of files <20 digits first seq>.seg, each a segment header with count 0 and records (the
 * bytes of docs/records.md); a new file after 1 MB. The newest file is never removed: its name and
 * its records say what the next seq is. Guarantees: what sync() let through survives kill -9 and
 * power cuts; seq has no gaps (a record that the disk lost after all is sent as a log record that
 * says so); nothing is sent that is not synced, so no seq ever means two records.
 *
 * Threads: the loop's. Memory: a few words per file. */
#ifndef AGENT_OUTBOX_H
#define AGENT_OUTBOX_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "fleet/segment.h"
#include "ledge/error.h"

enum { AGENT_OUTBOX_FILE = 1024 * 1024 };

struct agent_outbox;

struct agent_outbox_stats {
    char epoch[FLEET_EPOCH_HEX];
    uint64_t next;     /* seq of the next record */
    uint64_t synced;   /* greatest seq that is durable */
    uint64_t acked;    /* greatest seq freed */
    uint64_t depth;    /* records not yet acknowledged */
    uint64_t bytes;    /* on disk */
    uint64_t lost;     /* records found damaged since the start of the process */
    uint64_t drops;    /* how often unsynced records were given up: a record whose append and sync
                          see different values is not stored, whatever its seq */
    uint64_t appended; /* bytes since the start of the process */
};

/* Open or create the folder; a torn tail is cut, a folder that cannot be read is put aside as
 * <dir>.damaged-<ms> and a new epoch begun (the caller logs stats.lost and *note, "" if all is
 * well). quota: bytes on disk. */
LEDGE_NODISCARD enum ledge_status agent_outbox_open(const char *dir, uint64_t quota,
                                                    struct agent_outbox **outbox, char note[200],
                                                    struct ledge_error *err);
void agent_outbox_close(struct agent_outbox *outbox);

/* Write a record (its seq is assigned here); durable only after the next sync. Errors: ERR_FULL
 * (quota or disk), ERR_RANGE (over the limits of a record), ERR_IO. */
LEDGE_NODISCARD enum ledge_status agent_outbox_append(struct agent_outbox *outbox,
                                                      const struct fleet_record *record,
                                                      uint64_t *seq, struct ledge_error *err);

/* Make everything appended durable. On failure nothing appended since the last sync is kept (and
 * stats.drops grows; an append that had to begin a new file can run into the same). */
LEDGE_NODISCARD enum ledge_status agent_outbox_sync(struct agent_outbox *outbox,
                                                    struct ledge_error *err);

/* A sealed segment of synced records from seq on, as many as fit in max_bytes (one record may go
 * over it). *count 0: there are none. Appends to buf. Errors: ERR_IO, ERR_FULL (buf). */
LEDGE_NODISCARD enum ledge_status agent_outbox_read(struct agent_outbox *outbox, uint64_t seq,
                                                    size_t max_bytes, struct ledge_buf *buf,
                                                    uint32_t *count, struct ledge_error *err);

/* The hub has everything up to seq: free what can be freed. A seq that was never given out is
 * ignored. */
void agent_outbox_ack(struct agent_outbox *outbox, uint64_t seq);

void agent_outbox_stats(const struct agent_outbox *outbox, struct agent_outbox_stats *stats);

#endif
