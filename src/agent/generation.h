/* SPDX-License-Identifier: Apache-2.0 */
/* generation.h -- a generation on disk: the document and hard links to its blobs.
 *
 *   <state>/gen/<N>/desired.json
 *                   models/<name>/<file>     probes/<name>.json     functions/<name>/<file>
 *   <state>/current -> gen/<N>
 *
 * A folder has its name only when it is complete and flushed (made as gen/<N>.tmp, then renamed),
 * and is never changed again. Function files are executable; as nobody ever opens a blob for
 * writing again, starting one cannot fail with "text file busy".
 * Threads: the loop's. */
#ifndef AGENT_GENERATION_H
#define AGENT_GENERATION_H

#include "agent/store.h"
#include "fleet/desired.h"

/* Build gen/N from a checked document whose blobs are all in the store (each is read again and
 * checked). Errors: ERR_CORRUPT (a blob, which is then dropped), ERR_FULL, ERR_IO. */
LEDGE_NODISCARD enum ledge_status agent_generation_build(const char *state,
                                                         const struct agent_store *store,
                                                         const struct fleet_desired *desired,
                                                         const struct ledge_buf *document,
                                                         struct ledge_error *err);

/* The document of gen/N. OWNED: fleet_desired_done(). */
LEDGE_NODISCARD enum ledge_status agent_generation_load(const char *state, int64_t gen,
                                                        struct fleet_desired *desired,
                                                        struct ledge_error *err);

bool agent_generation_exists(const char *state, int64_t gen);

/* Point `current` at gen/N, or at nothing for 0. */
LEDGE_NODISCARD enum ledge_status agent_generation_switch(const char *state, int64_t gen,
                                                          struct ledge_error *err);
/* Where `current` points, 0 when nowhere. */
int64_t agent_generation_current(const char *state);

/* Remove every generation folder but those of a and b (0: none). */
void agent_generation_collect(const char *state, int64_t a, int64_t b);

#endif
