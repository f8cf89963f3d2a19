/* SPDX-License-Identifier: Apache-2.0 */
/* serve.h -- supervises ledge-serve and keeps it loaded with the models of one generation.
 *
 *   set(models) -> [start process] -> live? -> load what differs, one by one -> done
 *   process died -> started again by sys/process -> live? -> everything loaded again
 *
 * A load call is the swap: ledge-serve opens the new version beside the old one, probes it, flips,
 * drains. Models that left are unloaded only by retire(), after the functions have changed too. The
 * process is started when the first model comes.
 * Threads: the loop's. */
#ifndef AGENT_SERVE_H
#define AGENT_SERVE_H

#include <jansson.h>

#include "fleet/desired.h"
#include "sys/loop.h"

struct agent_serve;

struct agent_serve_options {
    const char *program; /* path, or a name found in PATH; copied */
    const char *socket;  /* copied */
};

LEDGE_NODISCARD enum ledge_status agent_serve_create(struct sys_loop *loop,
                                                     const struct agent_serve_options *options,
                                                     struct agent_serve **serve,
                                                     struct ledge_error *err);
void agent_serve_free(struct agent_serve *serve);

/* Have exactly these models answered (others stay until retire()). folder: the generation's, where
 * models/ and probes/ stand. done(arg, NULL) when all are loaded; done(arg, err) when one was
 * refused or ledge-serve cannot live: what is loaded then stays. Replaces the set() before it,
 * whose done is not called any more. done comes from the loop; NULL: keep trying, nobody waits. */
void agent_serve_set(struct agent_serve *serve, const struct fleet_desired *desired,
                     const char *folder, void (*done)(void *arg, const struct ledge_error *err),
                     void *arg);

/* Unload what the last set() did not name. */
void agent_serve_retire(struct agent_serve *serve);

/* Remember the present as good; healthy() is false once the process died or a model is missing
 * since (why gets one line). */
void agent_serve_mark(struct agent_serve *serve);
bool agent_serve_healthy(const struct agent_serve *serve, char why[200]);

/* [{"name","version","sha256","state"}], OWNED. */
json_t *agent_serve_status(const struct agent_serve *serve);

/* Pause of the last swap in milliseconds; negative when there was none. */
double agent_serve_swap_ms(const struct agent_serve *serve);

#endif
