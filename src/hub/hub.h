/* SPDX-License-Identifier: Apache-2.0 */
/* hub.h -- the hub's parts and what they share.
 *
 * Flow:    agent -> MQTT / POST /segments -> ingest.c -> store (SQLite) -> ack
 *          REST (http_api.c, routes.inc) -> devices.c registry.c deploy.c samples.c datasets.c ->
 * store deploy.c -> signed document -> link.c -> agent; what changed -> events.c -> browsers
 * Threads: one; everything below runs on the loop's thread.
 * Memory:  struct hub lives as long as the process; parts are OWNED by it. */
#ifndef HUB_HUB_H
#define HUB_HUB_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "fleet/names.h"
#include "ledge/error.h"
#include "sys/http.h"
#include "sys/loop.h"
#include "sys/sql.h"
#include "sys/tls.h"

enum {
    HUB_PATH = 1024,
    HUB_HOSTS = 16,
    HUB_TOKEN_HEX = 65,
    HUB_LABEL = 64,                     /* a label has at most so many bytes */
    HUB_MAX_BLOB = 256 * 1024 * 1024,   /* a model file */
    HUB_MAX_JSON = 1024 * 1024,         /* a JSON body */
    HUB_MAX_SEGMENT = 17 * 1024 * 1024, /* one record of 16 MiB and its frame */
    HUB_MAX_PICTURE = 16 * 1024 * 1024,
    HUB_PAGE = 100,
    HUB_PAGE_MAX = 1000, /* items of a list */
    HUB_SCHEMA = 4,
};

struct hub_options {
    const char *state;
    const char *listen;
    const char *hosts[HUB_HOSTS + 1];
    size_t n_hosts;
    const char *broker, *broker_certificate, *broker_key, *broker_ca;
    int64_t broker_port;      /* -1: not given */
    int64_t certificate_days; /* of a device */
    bool plain, new_token;
};

struct hub_broker;
struct hub_ingest;
struct hub_events;
struct hub_logs;
struct hub_live;
struct hub_gc;
struct sys_mqtt;

struct hub_counts { /* since the start; for /metrics */
    uint64_t requests, segments, segments_refused, commits, commit_failures, logins_refused;
};

enum { HUB_LIMITER_SLOTS = 64 };
struct hub_limiter {
    struct {
        char address[48];
        int64_t since_ms;
        int failures;
    } slots[HUB_LIMITER_SLOTS];
};

struct hub {
    struct hub_options options;
    char state[HUB_PATH]; /* the state folder */
    char host[64];        /* address listened on */
    uint16_t port;
    char broker_host[256]; /* what devices are told; "": the name they called the hub by */
    uint16_t broker_port;
    struct sys_loop *loop;
    struct sys_sql *sql;
    struct sys_tls *tls;
    struct sys_http_server *http;
    struct sys_mqtt *mqtt;
    struct hub_broker *broker;
    struct hub_ingest *ingest;
    struct hub_events *events;
    struct hub_logs *logs;
    struct hub_live *live;
    struct hub_gc *gc; /* the collection that is under way, or NULL */
    struct sys_timer *sweeper;
    uint8_t director_secret[SYS_ED25519_SECRET];
    uint8_t director_public[SYS_ED25519_PUBLIC];
    char ca_sha256[65];
    uint8_t token_hash[32];
    struct hub_limiter limiter;
    struct hub_counts counts;
    json_t *openapi; /* the document, made once */
};

/* path below the state folder into out[HUB_PATH]. */
const char *hub_path(const struct hub *hub, char out[HUB_PATH], const char *format, ...)
    LEDGE_PRINTF(3, 4);

/* -- setup.c: what the first start makes -- */

/* Keys, CA, certificates, director key, admin token (printed once). */
LEDGE_NODISCARD enum ledge_status hub_setup(struct hub *hub, struct ledge_error *err);

/* -- store.c -- */

LEDGE_NODISCARD enum ledge_status hub_store_open(struct hub *hub, struct ledge_error *err);

/* One value of one row; *found false when there is no row. text: OWNED, free(). */
LEDGE_NODISCARD enum ledge_status hub_setting(struct hub *hub, const char *key, char **text,
                                              struct ledge_error *err);
LEDGE_NODISCARD enum ledge_status hub_setting_set(struct hub *hub, const char *key,
                                                  const char *value, struct ledge_error *err);

/* Row callbacks for sys_sql_do(): the first column into an int64_t or a char * (OWNED). */
bool hub_row_int(void *arg, const struct sys_row *row);
bool hub_row_text(void *arg, const struct sys_row *row);

/* Who did what, in the transaction of the change itself. */
LEDGE_NODISCARD enum ledge_status hub_audit(struct hub *hub, const char *actor, const char *action,
                                            const char *subject, const char *detail,
                                            struct ledge_error *err);

/* -- values -- */

json_t *hub_json_time(int64_t ms); /* RFC 3339, milliseconds */
json_t *hub_json_time_or_null(const struct sys_row *row, int column);
json_t *hub_json_text(const struct sys_row *row, int column); /* or null */
json_t *hub_json_real(const struct sys_row *row, int column); /* or null */
json_t *hub_json_stored(const char *text, bool array); /* JSON kept as text; broken: {} or [] */

bool hub_label_valid(const char *text); /* 1 to HUB_LABEL bytes that are safe as a folder's name */

/* -- blobs.c -- */

/* Keep bytes under their digest: file (durable) and row, which is young again when it was there.
 * sha256: FILLED. */
LEDGE_NODISCARD enum ledge_status hub_blob_put(struct hub *hub, const void *bytes, size_t n,
                                               char sha256[65], struct ledge_error *err);
const char *hub_blob_path(const struct hub *hub, const char *sha256, char out[HUB_PATH]);

/* -- gc.c: blobs that nothing refers to -- */

/* At the start: remove the files that a collection had no time for. */
LEDGE_NODISCARD enum ledge_status hub_gc_resume(struct hub *hub, struct ledge_error *err);
/* At the end: answer the one that is under way. */
void hub_gc_stop(struct hub *hub);

/* -- broker.c, link.c: MQTT -- */

/* Takes --broker apart, before anything is made. Errors: ERR_ARG. */
LEDGE_NODISCARD enum ledge_status hub_broker_url(struct hub *hub, struct ledge_error *err);
LEDGE_NODISCARD enum ledge_status hub_broker_start(struct hub *hub, struct ledge_error *err);
void hub_broker_stop(struct hub *hub, void (*stopped)(void *arg), void *arg);
void hub_broker_free(struct hub_broker *broker);
/* Revoked devices or certificates have changed: write the access list and the revocation list again
 * and have the broker read them; soon: within seconds, together with others. */
LEDGE_NODISCARD enum ledge_status hub_broker_refresh(struct hub *hub, struct ledge_error *err);
void hub_broker_refresh_soon(struct hub *hub);

LEDGE_NODISCARD enum ledge_status hub_link_start(struct hub *hub, struct ledge_error *err);
/* Publish to a device's d/<channel>; false when it cannot go now (a hello will repair it). */
bool hub_link_send(struct hub *hub, const char *device, const char *channel, const void *payload,
                   size_t n);

/* -- certificates.c -- */

struct hub_issue {
    const char *device, *csr, *request; /* request: digest of what asked for it */
    int64_t now_ms, valid_from_ms;      /* valid_from_ms 0: an hour ago */
    bool proven; /* enrolment: every other certificate ends; else those that were never proven */
};

/* Inside a transaction: a certificate for a device, which is made known. *pem OWNED by the caller,
 * also on failure when it is not NULL. */
LEDGE_NODISCARD enum ledge_status hub_certificate_issue(struct hub *hub,
                                                        const struct hub_issue *what, char **pem,
                                                        char serial[64], struct ledge_error *err);
/* The device is there: ask it for a new certificate when that is due. */
void hub_certificate_check(struct hub *hub, const char *device);
json_t *hub_certificate_item(const struct sys_row *row, int column);

/* -- devices.c -- */

struct fleet_hello;
void hub_device_hello(struct hub *hub, const char *device, const struct fleet_hello *hello);
void hub_device_status(struct hub *hub, const char *device, const json_t *message);
void hub_device_offline(struct hub *hub, const char *device);
void hub_device_seen(struct hub *hub, const char *device);
void hub_device_event(struct hub *hub, const char *device); /* tell browsers */

/* -- live.c: frames per second, in memory -- */

LEDGE_NODISCARD enum ledge_status hub_live_create(struct hub *hub, struct ledge_error *err);
void hub_live_free(struct hub_live *live);
/* n predictions have come; the last one said label. */
void hub_live_prediction(struct hub *hub, const char *device, size_t n, const char *label,
                         double score, int64_t ts);
double hub_live_fps(struct hub *hub, const char *device); /* -1: none yet */

/* -- ingest.c -- */

LEDGE_NODISCARD enum ledge_status hub_ingest_create(struct hub *hub, struct ledge_error *err);
void hub_ingest_free(struct hub_ingest *ingest);
/* Queue one segment (bytes are copied). done(arg, epoch, acked, err) after the commit: epoch is 32
 * hexadecimal digits; err NULL on success. A malformed segment is refused at once. Errors:
 * ERR_FORMAT, ERR_NOMEM, ERR_FULL (the queue). */
LEDGE_NODISCARD enum ledge_status hub_ingest_add(
    struct hub *hub, const char *device, const void *bytes, size_t n,
    void (*done)(void *arg, const char *epoch, int64_t acked, const struct ledge_error *err),
    void *arg, struct ledge_error *err);

/* -- samples.c -- */

/* Inside a transaction: keep a picture and its row. *id and *fresh (false: the same bytes were
 * here) FILLED. */
LEDGE_NODISCARD enum ledge_status hub_sample_put(struct hub *hub, const char *device, int64_t ts,
                                                 const json_t *meta, const void *bytes, size_t n,
                                                 int64_t *id, bool *fresh, struct ledge_error *err);
void hub_sample_event(struct hub *hub, int64_t id);

/* -- deploy.c -- */

/* Inside a transaction or not: what a device said about a generation. True when a deployment's
 * state changed. */
bool hub_deploy_state(struct hub *hub, const char *device, int64_t gen, const char *state,
                      const char *reason);
/* Send the newest document to the device when it has seen less. */
void hub_deploy_send_if_behind(struct hub *hub, const char *device, int64_t seen);

/* To every device that has not seen its newest document: the broker is there again, and what was
 * sent meanwhile, or a hello that came before us, has not arrived. */
void hub_deploy_send_unseen(struct hub *hub);

/* -- logs.c -- */

LEDGE_NODISCARD enum ledge_status hub_logs_create(struct hub *hub, struct ledge_error *err);
void hub_logs_free(struct hub_logs *logs);
void hub_logs_answer(struct hub *hub, const char *device, const json_t *message);

/* -- events.c: server-sent events -- */

LEDGE_NODISCARD enum ledge_status hub_events_create(struct hub *hub, struct ledge_error *err);
void hub_events_free(struct hub_events *events);
/* data's reference is stolen. */
void hub_event(struct hub *hub, const char *topic, json_t *data);

#endif
