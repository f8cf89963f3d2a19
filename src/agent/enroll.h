/* SPDX-License-Identifier: Apache-2.0 */
/* enroll.h -- from a claim token to an identity.
 *
 * The key is made here and never leaves. The hub's chain is judged by the CA digest in the token,
 * inside the TLS handshake, so nothing but the ClientHello reaches a wrong hub. Killed at any point
 * it can be run again with the same token: key and request are kept, the hub answers the same
 * request with the same certificate, and agent.json is written last.
 *
 * Again:   a device whose certificate ran out or was lost to its hub gets another one for a new
 * key, and keeps all else: its name, outbox, generations. The pair is switched by the journal of a
 * rotation (rotate.h), so that killed at any point it has the old pair or the new one, which the
 * next start confirms. */
#ifndef AGENT_ENROLL_H
#define AGENT_ENROLL_H

#include "agent/config.h"

struct agent_enroll_options {
    const char *state;
    const char *hub; /* https URL; NULL with again: as it is */
    const char *token;
    const char *name; /* NULL: made of the host's name */
    bool again;       /* it is enrolled already */
};

/* Blocks. config FILLED. Errors: ERR_ARG (token, hub or name; nothing is made then), ERR_FORMAT
 * (answer), ERR_AUTH (wrong CA, token refused), ERR_NETWORK, ERR_EXISTS (enrolled already: config
 * is FILLED then too), ERR_NOT_FOUND (again, and it is not), ERR_STATE (an agent runs on it). */
LEDGE_NODISCARD enum ledge_status agent_enroll(const struct agent_enroll_options *options,
                                               struct agent_config *config,
                                               struct ledge_error *err);

#endif
