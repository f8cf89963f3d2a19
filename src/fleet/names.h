/* SPDX-License-Identifier: Apache-2.0 */
/* names.h -- names, topics, claim tokens and the limits both sides keep.
 *
 * Flow:    every message between hub and agent passes a check here first.
 * Threads: any. Memory: none. */
#ifndef FLEET_NAMES_H
#define FLEET_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ledge/error.h"

enum {
    FLEET_NAME_SIZE = 65, /* a name of 64 characters and NUL */
    FLEET_TOPIC_SIZE = 128,
    FLEET_TOKEN_SIZE = 4 + 48 + 1 + 64 + 1,
    FLEET_PAYLOAD_MAX = 256 * 1024,      /* one MQTT message */
    FLEET_SEGMENT_MQTT_MAX = 128 * 1024, /* a greater segment goes by HTTPS */
    FLEET_DOCUMENT_MAX = 128 * 1024,     /* a desired-state document */
    FLEET_HELLO_EVERY_S = 60,
};

/* The hub's own certificate name; no device may have it. */
#define FLEET_HUB_NAME "ledge-hub"

/* [a-z0-9][a-z0-9-]{0,62}, not the hub's. */
bool fleet_device_name_ok(const char *name);

/* A model, function or file: [a-zA-Z0-9._-]{1,64}, no leading dot (it becomes a file name). */
bool fleet_name_ok(const char *name);

/* 64 lower-case hexadecimal digits. */
bool fleet_digest_ok(const char *text);

/* Topics: ledge/1/<device>/u/<channel> and .../d/<channel>. */
enum fleet_direction { FLEET_UP, FLEET_DOWN };
void fleet_topic(char topic[FLEET_TOPIC_SIZE], const char *device, enum fleet_direction direction,
                 const char *channel);

struct fleet_topic_parts {
    char device[FLEET_NAME_SIZE];
    enum fleet_direction direction;
    char channel[32];
};
/* False for anything that fleet_topic() would not write. */
bool fleet_topic_parse(const char *topic, struct fleet_topic_parts *parts);

/* Claim token: lt1.<48 hex digits secret>.<64 hex digits SHA-256 of the CA certificate's DER>. */
struct fleet_token {
    char secret[49];
    char ca_sha256[65];
};
LEDGE_NODISCARD enum ledge_status fleet_token_parse(const char *text, struct fleet_token *token,
                                                    struct ledge_error *err);
void fleet_token_write(const struct fleet_token *token, char text[FLEET_TOKEN_SIZE]);

#endif
