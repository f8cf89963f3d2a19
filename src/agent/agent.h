/* SPDX-License-Identifier: Apache-2.0 */
/* agent.h -- the agent as a whole: what `ledge-agent run` is.
 *
 *   link (MQTT)  <->  deploy -> store, serve, functions
 *                <->  uplink <- outbox <- local API <- functions
 *                <->  rotate: key and certificate
 *
 * Threads: one loop; names are resolved beside it. Memory: see docs/limits.md (a few megabytes,
 * most of it libcrypto's pages). */
#ifndef AGENT_AGENT_H
#define AGENT_AGENT_H

#include <jansson.h>

#include "agent/config.h"
#include "agent/deploy.h"
#include "agent/outbox.h"
#include "agent/uplink.h"
#include "sys/mqtt.h"

struct agent_api;
struct agent_rotate;

struct agent {
    struct agent_config config;
    struct sys_loop *loop;
    struct sys_tls *tls;
    struct agent_outbox *outbox;
    struct agent_store *store;
    struct agent_serve *serve;
    struct agent_functions *functions;
    struct agent_deploy *deploy;
    struct agent_uplink *uplink;
    struct agent_api *api;
    struct agent_rotate *rotate;
    struct sys_mqtt *mqtt;
    struct sys_timer *hello; /* every 60 s; before the first connection: the start's delay */
    struct sys_timer *end;   /* patience with functions that do not stop */
    char boot[33];           /* of this start of the agent */
    int64_t started_ms;      /* monotonic */
    bool greeted;            /* connected at least once */
    char offline[160];       /* why it is not connected, as the log has said it last */
    bool ending;
};

struct agent_run_options {
    const char *state;
    const char *serve;     /* path of ledge-serve, or NULL: found */
    int64_t spread_ms;     /* the first connection comes within this time, at random */
    uint64_t outbox_bytes; /* quota */
};

/* Run until SIGTERM or SIGINT. Errors: what could not be opened. */
LEDGE_NODISCARD enum ledge_status agent_run(const struct agent_run_options *options,
                                            struct ledge_error *err);

/* What GET /v1/status answers. OWNED. */
json_t *agent_status(struct agent *agent);

/* -- link.c: the broker -- */

/* Connect after a random delay of at most spread_ms, and stay connected. */
LEDGE_NODISCARD enum ledge_status agent_link_start(struct agent *agent, int64_t spread_ms,
                                                   struct ledge_error *err);
/* Say goodbye. */
void agent_link_stop(struct agent *agent);

/* Connect again, with the identity that is in the files now; arg: the agent. */
void agent_link_renew(void *arg);

/* Publish up; false when not connected. */
bool agent_link_send(struct agent *agent, const char *channel, const void *payload, size_t n);
void agent_link_status(void *agent, json_t *status);
bool agent_link_segment(void *agent, const void *bytes, size_t n);

/* -- local_api.c: the unix socket -- */

LEDGE_NODISCARD enum ledge_status agent_api_start(struct agent *agent, struct ledge_error *err);
void agent_api_stop(struct agent *agent);

#endif
