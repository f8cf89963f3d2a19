/* SPDX-License-Identifier: Apache-2.0 */
/* functions.h -- supervises the pinned functions of one generation.
 *
 * A function is any executable (docs/local-api.md says what it is given). It is started as
 * <state>/current/functions/<name>/<file>: the path stays right when an unchanged function is
 * carried over to the next generation, where it is not restarted. Its output goes to its own log.
 * Threads: the loop's. */
#ifndef AGENT_FUNCTIONS_H
#define AGENT_FUNCTIONS_H

#include <jansson.h>

#include "fleet/desired.h"
#include "sys/loop.h"

struct agent_functions;

struct agent_functions_options {
    const char *state; /* folder of the agent; copied */
    const char *device;
    const char *serve_socket, *agent_socket;
};

LEDGE_NODISCARD enum ledge_status
agent_functions_create(struct sys_loop *loop, const struct agent_functions_options *options,
                       struct agent_functions **functions, struct ledge_error *err);

/* Kills what still runs; stop_all() first is the friendly way. */
void agent_functions_free(struct agent_functions *functions);

/* Have exactly the functions of this document (NULL: none) running; `current` already points to
 * its generation. Unchanged ones run on; others are stopped (SIGTERM, 5 s, SIGKILL) before their
 * successor starts. done(arg, NULL) when all stand as they should, done(arg, err) when one could
 * not be started (ERR_NOT_FOUND, ERR_IO). Comes from the loop. Replaces the set() before it. */
void agent_functions_set(struct agent_functions *functions, const struct fleet_desired *desired,
                         void (*done)(void *arg, const struct ledge_error *err), void *arg);

/* Remember the present; healthy() is false once a function is down or was restarted since. */
void agent_functions_mark(struct agent_functions *functions);
bool agent_functions_healthy(const struct agent_functions *functions, char why[200]);

/* [{"name","version","state","restarts","pid"}], OWNED. */
json_t *agent_functions_status(const struct agent_functions *functions);

/* The last lines of a function's log as a JSON array (see logfile.h); NULL when there is no
 * function of that name. OWNED. */
json_t *agent_functions_log(const struct agent_functions *functions, const char *name, size_t limit,
                            size_t max_bytes);

#endif
