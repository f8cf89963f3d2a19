/* SPDX-License-Identifier: Apache-2.0 */
/* rotate.h -- a new key and certificate in place of the old, without a moment in which neither
 * works.
 *
 * Flow:    d/rotate -> key, request -> POST /certificates over the old -> the new is shown to hub
 *          and broker on second connections -> switch -> confirm -> the old is revoked, and dropped
 * Guarantees: the journal, one word in the file `rotation`, is written before each step and says
 * what is to be done next; each step can be done again. Killed anywhere, the device comes back with
 * a pair that is let in: the old one until the new one has been let in by hub and broker, then the
 * new one; and should the hub refuse it after all, the old one again. A key never leaves the
 * device and never changes its place but by rename.
 * Clocks:  none of the device's is asked: the hub says when a certificate is due, and whether a new
 * one works is tried.
 *
 *   next.key next.csr next.crt      the new pair until the switch
 *   device.key device.csr device.crt    what is used
 *   prev.key prev.crt               the old pair from the switch until the hub has confirmed
 *
 * Threads: the loop's. */
#ifndef AGENT_ROTATE_H
#define AGENT_ROTATE_H

#include <jansson.h>

#include "agent/config.h"
#include "base/buf.h"
#include "sys/loop.h"

/* X(name, what is done in it) */
#define AGENT_ROTATE_STATES(X)                                                                     \
    X(IDLE, "nothing is under way")                                                                \
    X(REQUEST, "make next.key and next.csr, have them signed, keep next.crt")                      \
    X(PROVE, "connect to hub and broker with next.crt")                                            \
    X(SWITCH, "keep device.* as prev.*, rename next.* to device.*")                                \
    X(CONFIRM, "tell the hub over the new one, which revokes the old")                             \
    X(BACK, "the hub refuses the new one: rename prev.* to device.*")

enum agent_rotate_state {
#define AGENT_ROTATE_ENUM(name, text) AGENT_ROTATE_##name,
    AGENT_ROTATE_STATES(AGENT_ROTATE_ENUM)
#undef AGENT_ROTATE_ENUM
};

struct agent_rotate;
struct sys_tls;

struct agent_rotate_options {
    const struct agent_config *config; /* BORROWED */
    struct sys_tls *tls;               /* BORROWED; read again after the switch */
    void (*switched)(void *arg);       /* device.* has changed: connect again */
    void *arg;
};

/* At the start, before device.* is read: finish a switch that was under way. Errors: ERR_IO. */
LEDGE_NODISCARD enum ledge_status agent_rotate_recover(const struct agent_config *config,
                                                       struct ledge_error *err);

/* Enrolling anew, while no agent runs (enroll.h). request: what is to be signed, for a key of its
 * own; the same one again when it was cut, but for a switch that was under way: that is finished,
 * and csr stays empty. replace: pem, signed for it, is in use, and the next start confirms it.
 * Errors: ERR_IO, ERR_FORMAT (not a certificate for that key). */
LEDGE_NODISCARD enum ledge_status agent_rotate_request(const struct agent_config *config,
                                                       struct ledge_buf *csr,
                                                       struct ledge_error *err);
LEDGE_NODISCARD enum ledge_status agent_rotate_replace(const struct agent_config *config,
                                                       const char *pem, struct ledge_error *err);

LEDGE_NODISCARD enum ledge_status agent_rotate_create(struct sys_loop *loop,
                                                      const struct agent_rotate_options *options,
                                                      struct agent_rotate **rotate,
                                                      struct ledge_error *err);
void agent_rotate_free(struct agent_rotate *rotate);

/* The broker is there: go on with what is under way. */
void agent_rotate_connected(struct agent_rotate *rotate);

/* The hub wants the certificate with this serial replaced. Any other serial, one under way, and for
 * an hour after one that failed: ignored, for the hub asks again. */
void agent_rotate_ask(struct agent_rotate *rotate, const char *serial);

/* {"serial","expires","rotation"}, for GET /v1/status. OWNED. */
json_t *agent_rotate_status(const struct agent_rotate *rotate);

#endif
