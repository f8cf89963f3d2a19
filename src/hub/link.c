/* SPDX-License-Identifier: Apache-2.0 */
/* link.c -- the hub as a client of the broker: what devices say goes to the part it is for.
 *
 * Payloads are hostile even behind mutual TLS: a bad one costs one log line and a count. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "fleet/messages.h"
#include "hub/hub.h"
#include "hub_sql.h"
#include "sys/json.h"
#include "sys/log.h"
#include "sys/mqtt.h"

struct pending_ack {
    struct hub *hub;
    char device[FLEET_NAME_SIZE];
};

static void on_committed(void *arg, const char *epoch, int64_t acked, const struct ledge_error *err)
{
    struct pending_ack *pending = arg;
    struct ledge_buf text = LEDGE_BUF_INIT(1024);
    struct fleet_ack ack = {.seq = (uint64_t)acked};
    (void)snprintf(ack.epoch, sizeof ack.epoch, "%s", epoch);
    if (err == NULL && fleet_ack_write(&ack, &text)) {
        (void)hub_link_send(pending->hub, pending->device, "ack", text.data, text.len);
    }
    ledge_buf_done(&text);
    free(pending);
}

static void on_data(struct hub *hub, const char *device, const void *payload, size_t n)
{
    struct ledge_error err;
    struct pending_ack *ack = malloc(sizeof *ack);
    if (ack == NULL) {
        return; /* not acknowledged: it comes again */
    }
    ack->hub = hub;
    (void)snprintf(ack->device, sizeof ack->device, "%s", device);
    if (hub_ingest_add(hub, device, payload, n, on_committed, ack, &err) != LEDGE_OK) {
        sys_log(SYS_LOG_WARNING, "%s: segment refused: %s", device, err.text);
        free(ack);
    }
}

static void on_hello(struct hub *hub, const char *device, const void *payload, size_t n)
{
    struct fleet_hello hello;
    struct ledge_error err;
    if (fleet_hello_parse(payload, n, &hello, &err) != LEDGE_OK) {
        sys_log(SYS_LOG_WARNING, "%s: hello refused: %s", device, err.text);
    } else if (hello.online) {
        hub_device_hello(hub, device, &hello);
    } else {
        hub_device_offline(hub, device);
    }
}

static void on_json(struct hub *hub, const char *device, const char *channel, const void *payload,
                    size_t n)
{
    struct ledge_error err;
    json_t *message = NULL;
    int64_t version = 0;
    enum ledge_status status = sys_json_parse(payload, n, &message, &err);
    if (status == LEDGE_OK) {
        status = sys_json_int(message, channel, "v", 1, 1, &version, &err);
    }
    if (status != LEDGE_OK) {
        sys_log(SYS_LOG_WARNING, "%s: %s refused: %s", device, channel, err.text);
    } else if (strcmp(channel, "status") == 0) {
        hub_device_status(hub, device, message);
    } else if (strcmp(channel, "log") == 0) {
        hub_logs_answer(hub, device, message);
    } else {
        sys_log(SYS_LOG_WARNING, "%s: nothing is known of channel %.40s", device, channel);
    }
    json_decref(message);
}

static void on_message(void *arg, const char *topic, const void *payload, size_t n)
{
    struct hub *hub = arg;
    struct fleet_topic_parts parts;
    if (!fleet_topic_parse(topic, &parts) || parts.direction != FLEET_UP) {
        sys_log(SYS_LOG_WARNING, "a message on a topic that is nobody's: %.80s", topic);
    } else if (n > FLEET_PAYLOAD_MAX) {
        sys_log(SYS_LOG_WARNING, "%s: %s of %zu bytes refused", parts.device, parts.channel, n);
    } else if (strcmp(parts.channel, "data") == 0) {
        on_data(hub, parts.device, payload, n);
    } else if (strcmp(parts.channel, "hello") == 0) {
        on_hello(hub, parts.device, payload, n);
    } else {
        on_json(hub, parts.device, parts.channel, payload, n);
    }
}

static bool ask_for_hello(void *arg, const struct sys_row *row)
{
    (void)hub_link_send(arg, sys_row_text(row, 0), "hello-request", "{\"v\":1}", 7);
    return true;
}

/* A device that was connected before the hub said its hello to nobody: every device is asked again.
 */
static void on_connect(void *arg)
{
    struct hub *hub = arg;
    struct ledge_error err;
    sys_log(SYS_LOG_INFO, "connected to the broker");
    if (sys_sql_do(hub->sql, &err, ask_for_hello, hub, hub_sql_device_names, "") != LEDGE_OK) {
        sys_log(SYS_LOG_ERROR, "devices cannot be read: %s", err.text);
    }
    hub_deploy_send_unseen(hub);
}

static void on_disconnect(void *arg, const char *reason)
{
    (void)arg;
    sys_log(SYS_LOG_WARNING, "broker connection: %s", reason);
}

enum ledge_status hub_link_start(struct hub *hub, struct ledge_error *err)
{
    char certificate[HUB_PATH], key[HUB_PATH], ca[HUB_PATH];
    const struct hub_options *o = &hub->options;
    bool any = strcmp(hub->host, "0.0.0.0") == 0 || strcmp(hub->host, "::") == 0;
    struct sys_mqtt_options options = {
        .host = o->broker != NULL ? hub->broker_host
                : any             ? "127.0.0.1"
                                  : hub->host,
        .port = hub->broker_port,
        .client_id = "ledge-hub",
        .certificate = o->broker_certificate != NULL ? o->broker_certificate
                                                     : hub_path(hub, certificate, "hub.crt"),
        .key = o->broker_key != NULL ? o->broker_key : hub_path(hub, key, "hub.key"),
        .ca = o->broker_ca != NULL ? o->broker_ca : hub_path(hub, ca, "ca.crt"),
        .backoff_ms = 100,
        .backoff_max_ms = 5000,
        .on_connect = on_connect,
        .on_disconnect = on_disconnect,
        .on_message = on_message,
        .arg = hub};
    LEDGE_TRY(sys_mqtt_create(hub->loop, &options, &hub->mqtt, err));
    return sys_mqtt_subscribe(hub->mqtt, "ledge/1/+/u/#", err);
}

bool hub_link_send(struct hub *hub, const char *device, const char *channel, const void *payload,
                   size_t n)
{
    char topic[FLEET_TOPIC_SIZE];
    struct ledge_error err;
    if (hub->mqtt == NULL || !sys_mqtt_connected(hub->mqtt)) {
        return false;
    }
    fleet_topic(topic, device, FLEET_DOWN, channel);
    if (sys_mqtt_publish(hub->mqtt, topic, payload, n, 1, NULL, &err) != LEDGE_OK) {
        sys_log(SYS_LOG_WARNING, "%s: %s cannot be sent: %s", device, channel, err.text);
        return false;
    }
    return true;
}
