/* SPDX-License-Identifier: Apache-2.0 */
/* envelope.h -- the signed envelope around a desired-state document.
 *
 *   {"keyid":"<16 hex>","payload":"<base64>","sig":"<base64>"}
 *   signature: Ed25519 over "ledge-desired-v1\n" and the payload's bytes
 *
 * Making and checking the signature is the caller's (sys/tls.h); here stand the bytes. The payload
 * is only looked into after its signature held. */
#ifndef FLEET_ENVELOPE_H
#define FLEET_ENVELOPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "ledge/error.h"

struct json_t;

enum { FLEET_PUBLIC_KEY = 32, FLEET_SIGNATURE = 64, FLEET_KEYID_SIZE = 17 };

/* First 16 hexadecimal digits of SHA-256 of the public key. */
void fleet_keyid(const uint8_t public_key[FLEET_PUBLIC_KEY], char keyid[FLEET_KEYID_SIZE]);

/* Append the bytes that are signed for this payload; false when the buffer refuses. */
bool fleet_signed_bytes(const void *payload, size_t n, struct ledge_buf *bytes);

struct fleet_envelope {
    struct ledge_buf payload; /* OWNED: fleet_envelope_done() */
    char keyid[FLEET_KEYID_SIZE];
    uint8_t sig[FLEET_SIGNATURE];
};

/* Errors: ERR_FORMAT, ERR_RANGE (too large); *envelope untouched then. */
LEDGE_NODISCARD enum ledge_status fleet_envelope_parse(const void *text, size_t n,
                                                       struct fleet_envelope *envelope,
                                                       struct ledge_error *err);
void fleet_envelope_done(struct fleet_envelope *envelope);

/* Append the envelope's text. Errors: ERR_FULL. */
LEDGE_NODISCARD enum ledge_status fleet_envelope_write(const void *payload, size_t n,
                                                       const uint8_t public_key[FLEET_PUBLIC_KEY],
                                                       const uint8_t sig[FLEET_SIGNATURE],
                                                       struct ledge_buf *text,
                                                       struct ledge_error *err);

/* A JSON value as canonical text: keys sorted, no spaces, UTF-8; the same value is the same bytes.
 * Errors: ERR_FULL. */
LEDGE_NODISCARD enum ledge_status fleet_canonical(const struct json_t *value,
                                                  struct ledge_buf *text, struct ledge_error *err);

#endif
