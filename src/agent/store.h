/* SPDX-License-Identifier: Apache-2.0 */
/* store.h -- content-addressed blobs on disk, fetched from the hub over HTTPS.
 *
 *   <dir>/sha256/<2 hex>/<64 hex>   whole and checked, never changed again
 *   <dir>/partial/<64 hex>          being fetched; kept over restarts, resumed by Range
 *
 * A blob gets its name only after its SHA-256 was checked, its bytes flushed, by rename, and the
 * folder flushed. Network failures are retried with backoff for ever (the caller gives up by
 * cancelling); what cannot be right is an error. One fetch at a time.
 * Threads: the loop's. Memory: nothing of a blob is kept. */
#ifndef AGENT_STORE_H
#define AGENT_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "fleet/desired.h"
#include "sys/file.h"
#include "sys/loop.h"

struct agent_store;
struct sys_tls;

struct agent_store_options {
    const char *dir;                    /* copied */
    const char *hub;                    /* "https://host:port"; copied */
    struct sys_tls *tls;                /* BORROWED; NULL for http:// (tests) */
    int32_t backoff_ms, backoff_max_ms; /* 0: 500, 60000 */
};

/* OWNED: agent_store_free(). Errors: ERR_IO. */
LEDGE_NODISCARD enum ledge_status agent_store_create(struct sys_loop *loop,
                                                     const struct agent_store_options *options,
                                                     struct agent_store **store,
                                                     struct ledge_error *err);
void agent_store_free(struct agent_store *store);

/* A whole blob of that size is there. */
bool agent_store_has(const struct agent_store *store, const struct fleet_blob *blob);

LEDGE_NODISCARD enum ledge_status agent_store_path(const struct agent_store *store,
                                                   const char *sha256, char path[SYS_PATH],
                                                   struct ledge_error *err);

/* Fetch a blob; done(arg, NULL) when it is there, done(arg, err) when it cannot be had: ERR_FULL
 * (disk), ERR_CORRUPT (twice other bytes than the digest says), ERR_NOT_FOUND, ERR_AUTH (the hub
 * refuses). Called from the loop, never from inside this call. */
void agent_store_fetch(struct agent_store *store, const struct fleet_blob *blob,
                       void (*done)(void *arg, const struct ledge_error *err), void *arg);

/* Forget the fetch in work; its done is not called. What came so far is kept for the next. */
void agent_store_cancel(struct agent_store *store);

/* Read a blob again and drop it when its bytes are no longer right. Errors: ERR_CORRUPT. */
LEDGE_NODISCARD enum ledge_status agent_store_check(const struct agent_store *store,
                                                    const char *sha256, struct ledge_error *err);

/* Remove every blob, whole or partial, that keep() does not want; returns how many. */
int agent_store_collect(struct agent_store *store, bool (*keep)(void *arg, const char *sha256),
                        void *arg);

#endif
