/* SPDX-License-Identifier: Apache-2.0 */
/* mqtt.h -- an MQTT 5 client on the loop (libmosquitto): connects, reconnects with jittered
 * backoff, subscribes again. */
#ifndef LEDGE_SYS_MQTT_H
#define LEDGE_SYS_MQTT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sys/loop.h"

struct sys_mqtt;

struct sys_mqtt_options {
    const char *host;
    uint16_t port;
    const char *client_id;
    const char *certificate, *key, *ca; /* files; all NULL: plain TCP (tests on loopback) */
    int32_t keepalive_s;                /* 0: 60 */
    int32_t backoff_ms, backoff_max_ms; /* 0: 500, 30000 */
    const char *will_topic;             /* or NULL; QoS 1, not retained */
    const char *will_payload;
    void (*on_connect)(void *arg);
    void (*on_disconnect)(void *arg, const char *reason);
    void (*on_message)(void *arg, const char *topic, const void *payload, size_t n);
    void (*on_published)(void *arg, int id); /* the broker's PUBACK; or NULL */
    void *arg;
};

/* Strings are copied. The first connection starts at once; none is tried with a certificate of ours
 * that has expired (on_disconnect says so). OWNED: sys_mqtt_free(), also from inside
 * a callback; it may wait for a name being resolved. Errors: of sys_tls_create(). */
LEDGE_NODISCARD enum ledge_status sys_mqtt_create(struct sys_loop *loop,
                                                  const struct sys_mqtt_options *options,
                                                  struct sys_mqtt **mqtt, struct ledge_error *err);
void sys_mqtt_free(struct sys_mqtt *mqtt);

bool sys_mqtt_connected(const struct sys_mqtt *mqtt);

/* How often the socket woke us since sys_mqtt_create(): an attempt takes a handful. */
uint64_t sys_mqtt_events(const struct sys_mqtt *mqtt);

/* QoS 1; remembered and repeated after each reconnect. */
LEDGE_NODISCARD enum ledge_status sys_mqtt_subscribe(struct sys_mqtt *mqtt, const char *pattern,
                                                     struct ledge_error *err);

/* *id (NULL allowed) comes back in on_published, or never when the connection ends first: a message
 * is not kept for the next connection. payload is copied. Errors: ERR_STATE (not connected),
 * ERR_RANGE, ERR_NOMEM. */
LEDGE_NODISCARD enum ledge_status sys_mqtt_publish(struct sys_mqtt *mqtt, const char *topic,
                                                   const void *payload, size_t n, int qos, int *id,
                                                   struct ledge_error *err);

#endif
