/* SPDX-License-Identifier: Apache-2.0 */
/* journal.h -- where a deployment stands, written before each of its steps.
 *
 * One file of two slots of 4096 bytes; a write goes to the slot that is not the newest, then
 * fdatasync, so a power cut in the middle of it leaves the other slot whole. Not SQLite: its pages
 * would cost the agent half a megabyte for a kilobyte of state.
 *
 *   slot: 0 "LJN1" | 4 u32 bytes of payload | 8 u64 counter | 16 payload | then u32 CRC-32C of all
 *         before it
 *
 * Threads: the loop's. Memory: none kept but the struct. */
#ifndef AGENT_JOURNAL_H
#define AGENT_JOURNAL_H

#include <stdint.h>

#include "fleet/deploy_states.h"
#include "ledge/error.h"

enum { AGENT_FAILED_KEPT = 8, AGENT_REASON = 200 };

struct agent_journal {
    enum fleet_deploy_state state;      /* of the deployment of generation `target` */
    int64_t current;                    /* confirmed generation that runs, 0: none */
    int64_t previous;                   /* the one before it, kept on disk, 0: none */
    int64_t target;                     /* generation in work or last worked on, 0: none */
    int64_t seen;                       /* greatest generation received */
    char digest[65];                    /* SHA-256 of the target's document */
    int32_t trial_starts;               /* how often the trial was begun */
    char reason[AGENT_REASON];          /* of the last failure, "" if none */
    char failed[AGENT_FAILED_KEPT][65]; /* documents that are not tried again, newest first */
};

struct agent_journal_file; /* an open journal */

/* Open or create path and read the newest whole slot into *journal (zeroes when there is none).
 * Errors: ERR_IO, ERR_CORRUPT (the file is there, and neither slot is whole). */
LEDGE_NODISCARD enum ledge_status agent_journal_open(const char *path,
                                                     struct agent_journal_file **file,
                                                     struct agent_journal *journal,
                                                     struct ledge_error *err);
void agent_journal_close(struct agent_journal_file *file);

/* Durable when it returns. Errors: ERR_IO, ERR_FULL. */
LEDGE_NODISCARD enum ledge_status agent_journal_write(struct agent_journal_file *file,
                                                      const struct agent_journal *journal,
                                                      struct ledge_error *err);

#endif
