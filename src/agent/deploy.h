/* SPDX-License-Identifier: Apache-2.0 */
/* deploy.h -- brings the device to the generation that the hub wants, and back when it does not
 * hold.
 *
 *   receive(envelope) -> RECEIVED -> VERIFIED -> FETCHING -> STAGED -> SWITCHING -> TRIAL
 *                                                        -> CONFIRMED | ROLLING_BACK -> ROLLED_BACK
 *
 * The machine is the table fleet/deploy_states.h: the journal is written before a state's work, so
 * that after kill -9 in any state resume() goes on, or back, by itself and without network. The
 * confirmed generation runs on until SWITCHING. A document that failed once is not tried again.
 * Threads: the loop's. */
#ifndef AGENT_DEPLOY_H
#define AGENT_DEPLOY_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/functions.h"
#include "agent/serve.h"
#include "agent/store.h"
#include "fleet/deploy_states.h"
#include "fleet/envelope.h"

struct agent_deploy;

struct agent_deploy_options {
    const char *state;  /* the agent's folder; copied */
    const char *device; /* copied */
    uint8_t director_key[FLEET_PUBLIC_KEY];
    struct agent_store *store; /* BORROWED, as the next two */
    struct agent_serve *serve;
    struct agent_functions *functions;
    /* The state changed, or a document was refused: status is {"v","gen","state","reason",...} of
     * docs/fleet-protocol.md. BORROWED for the call. */
    void (*on_status)(void *arg, json_t *status);
    void *arg;
};

/* Reads the journal (one that is damaged is put aside, and what `current` points to counts as
 * confirmed). OWNED: agent_deploy_close(). */
LEDGE_NODISCARD enum ledge_status agent_deploy_open(struct sys_loop *loop,
                                                    const struct agent_deploy_options *options,
                                                    struct agent_deploy **deploy,
                                                    struct ledge_error *err);
/* Before its store, serve and functions; the functions need a set() or their end next. */
void agent_deploy_close(struct agent_deploy *deploy);

/* Start what was confirmed, and go on with what was under way. Once, after open. */
void agent_deploy_resume(struct agent_deploy *deploy);

/* A desired message: checked, then taken, queued behind a switch, ignored (known), or refused. */
void agent_deploy_receive(struct agent_deploy *deploy, const void *envelope, size_t n);

/* OWNED. */
json_t *agent_deploy_status(struct agent_deploy *deploy);

int64_t agent_deploy_running(const struct agent_deploy *deploy); /* generation, 0: none */
int64_t agent_deploy_seen(const struct agent_deploy *deploy);
enum fleet_deploy_state agent_deploy_state(const struct agent_deploy *deploy);

#endif
