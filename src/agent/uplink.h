/* SPDX-License-Identifier: Apache-2.0 */
/* uplink.h -- sends the outbox to the hub: segments by MQTT in a window, large ones by HTTPS.
 *
 * Nothing is freed but by the hub's acknowledgement, which is cumulative. What is not acknowledged
 * within 10 s, or before the connection was lost, is sent again from the last acknowledged record.
 * While segments are on their way, small amounts wait and go together.
 * Threads: the loop's. */
#ifndef AGENT_UPLINK_H
#define AGENT_UPLINK_H

#include "agent/outbox.h"
#include "sys/loop.h"

struct agent_uplink;
struct sys_tls;

struct agent_uplink_options {
    struct agent_outbox *outbox; /* BORROWED */
    const char *hub;             /* copied */
    struct sys_tls *tls;         /* BORROWED */
    int32_t timeout_ms;          /* 0: 10000 */
    /* Publish a segment; false: not now (not connected). */
    bool (*publish)(void *arg, const void *bytes, size_t n);
    void *arg;
};

LEDGE_NODISCARD enum ledge_status agent_uplink_create(struct sys_loop *loop,
                                                      const struct agent_uplink_options *options,
                                                      struct agent_uplink **uplink,
                                                      struct ledge_error *err);
void agent_uplink_free(struct agent_uplink *uplink);

/* Records were synced: send when there is room. */
void agent_uplink_kick(struct agent_uplink *uplink);

/* The connection is there (again): begin behind what is acknowledged. */
void agent_uplink_connected(struct agent_uplink *uplink);
void agent_uplink_disconnected(struct agent_uplink *uplink);

/* The hub has committed every record of the epoch up to seq. */
void agent_uplink_acked(struct agent_uplink *uplink, const char *epoch, uint64_t seq);

#endif
