/* SPDX-License-Identifier: Apache-2.0 */
/* enroll.h -- from a claim token to an identity.
 *
 * The key is made here and never leaves. The hub's chain is judged by the CA digest in the token,
 * inside the TLS handshake, so nothing but the ClientHello reaches a wrong hub. Killed at any point
 * it can be run again with the same token: key and request are kept, the hub answers the same
 * request with the same certificate, and agent.json is written last. */
#ifndef AGENT_ENROLL_H
#define AGENT_ENROLL_H

#include "agent/config.h"

struct agent_enroll_options {
    const char *state;
    const char *hub; /* https URL */
    const char *token;
    const char *name; /* NULL: made of the host's name */
};

/* Blocks. config FILLED. Errors: ERR_FORMAT (token, answer), ERR_AUTH (wrong CA, token refused),
 * ERR_NETWORK, ERR_EXISTS (enrolled already: config is FILLED then too). */
LEDGE_NODISCARD enum ledge_status agent_enroll(const struct agent_enroll_options *options,
                                               struct agent_config *config,
                                               struct ledge_error *err);

#endif
