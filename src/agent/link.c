/* SPDX-License-Identifier: Apache-2.0 */
/* link.c -- the agent's side of docs/fleet-protocol.md: hello, desired, ack, log-request. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "agent/agent.h"
#include "agent/cpu.h"
#include "agent/rotate.h"
#include "base/cleanup.h"
#include "base/status.h"
#include "fleet/messages.h"
#include "ledge/version.h"
#include "sys/json.h"
#include "sys/log.h"
#include "sys/tls.h"

enum { LOG_BYTES = 32 * 1024, BACKOFF_MS = 500, BACKOFF_MAX_MS = 30000 };

#define OFFLINE "{\"v\":1,\"online\":false}"

bool agent_link_send(struct agent *agent, const char *channel, const void *payload, size_t n)
{
    char topic[FLEET_TOPIC_SIZE];
    struct ledge_error err;
    if (agent->mqtt == NULL) {
        return false;
    }
    fleet_topic(topic, agent->config.device, FLEET_UP, channel);
    return sys_mqtt_publish(agent->mqtt, topic, payload, n, 1, NULL, &err) == LEDGE_OK;
}

bool agent_link_segment(void *arg, const void *bytes, size_t n)
{
    return agent_link_send(arg, "data", bytes, n);
}

/* Offline it is dropped: the next hello says the state again. */
void agent_link_status(void *arg, json_t *status)
{
    LEDGE_CLEANUP(ledge_buf_done) struct ledge_buf text = LEDGE_BUF_INIT(FLEET_PAYLOAD_MAX);
    if (sys_json_write(status, &text) == LEDGE_OK) {
        (void)agent_link_send(arg, "status", text.data, text.len);
    }
}

static void send_hello(struct agent *agent)
{
    LEDGE_CLEANUP(ledge_buf_done) struct ledge_buf text = LEDGE_BUF_INIT(4096);
    struct agent_outbox_stats stats;
    agent_outbox_stats(agent->outbox, &stats);
    struct fleet_hello hello = {.online = true,
                                .gen = agent_deploy_running(agent->deploy),
                                .seen = agent_deploy_seen(agent->deploy),
                                .next = stats.next,
                                .acked = stats.acked,
                                .agent = LEDGE_VERSION_STRING};
    memcpy(hello.boot, agent->boot, sizeof hello.boot);
    memcpy(hello.epoch, stats.epoch, sizeof hello.epoch);
    (void)snprintf(hello.state, sizeof hello.state, "%s",
                   fleet_state_row(agent_deploy_state(agent->deploy))->name);
    (void)snprintf(hello.cpu, sizeof hello.cpu, "%s", agent_cpu_rung());
    if (fleet_hello_write(&hello, &text)) {
        (void)agent_link_send(agent, "hello", text.data, text.len);
    }
}

static void on_hello_time(void *arg)
{
    struct agent *agent = arg;
    send_hello(agent);
}

static void on_connect(void *arg)
{
    struct agent *agent = arg;
    if (!agent->greeted) {
        sys_log(SYS_LOG_INFO, "connected to %s:%u, %" PRId64 " ms after the start",
                agent->config.broker_host, agent->config.broker_port,
                sys_monotonic_ms() - agent->started_ms);
    } else {
        sys_log(SYS_LOG_INFO, "connected again");
    }
    agent->greeted = true;
    agent->offline[0] = '\0';
    send_hello(agent);
    LEDGE_CLEANUP(sys_json_free) json_t *status = agent_deploy_status(agent->deploy);
    if (status != NULL && agent_deploy_seen(agent->deploy) > 0) {
        agent_link_status(agent, status);
    }
    sys_timer_free(agent->hello);
    agent->hello = sys_timer_start(agent->loop, FLEET_HELLO_EVERY_S * 1000,
                                   FLEET_HELLO_EVERY_S * 1000, on_hello_time, agent);
    agent_uplink_connected(agent->uplink);
    if (agent->rotate != NULL) {
        agent_rotate_connected(agent->rotate);
    }
}

static void on_disconnect(void *arg, const char *reason)
{
    struct agent *agent = arg;
    /* Once, not at every attempt of a week without a network. */
    bool known = strcmp(reason, agent->offline) == 0;
    bool expired = strncmp(reason, "certificate expired", 19) == 0;
    sys_log(known ? SYS_LOG_DEBUG : SYS_LOG_WARNING, "broker %s:%u: %s%s",
            agent->config.broker_host, agent->config.broker_port, reason,
            expired ? "; `ledge-agent enroll --again` gets another one" : "");
    (void)snprintf(agent->offline, sizeof agent->offline, "%s", reason);
    sys_timer_free(agent->hello);
    agent->hello = NULL;
    agent_uplink_disconnected(agent->uplink);
}

/* -- what comes down -----------------------------------------------------------------------------
 */

static void handle_ack(struct agent *agent, const void *payload, size_t n)
{
    struct fleet_ack ack;
    struct ledge_error err;
    if (fleet_ack_parse(payload, n, &ack, &err) != LEDGE_OK) {
        sys_log(SYS_LOG_WARNING, "%s", err.text);
        return;
    }
    agent_uplink_acked(agent->uplink, ack.epoch, ack.seq);
}

static void handle_log_request(struct agent *agent, const void *payload, size_t n)
{
    LEDGE_CLEANUP(ledge_buf_done) struct ledge_buf text = LEDGE_BUF_INIT(FLEET_PAYLOAD_MAX);
    LEDGE_CLEANUP(sys_json_free) json_t *answer = NULL;
    struct fleet_log_request request;
    struct ledge_error err;
    if (fleet_log_request_parse(payload, n, &request, &err) != LEDGE_OK) {
        sys_log(SYS_LOG_WARNING, "%s", err.text);
        return;
    }
    json_t *lines = agent_functions_log(agent->functions, request.function, (size_t)request.limit,
                                        LOG_BYTES - 256);
    answer = json_pack("{s:i,s:s,s:o}", "v", 1, "function", request.function, "lines",
                       lines != NULL ? lines : json_array());
    if (answer != NULL && sys_json_write(answer, &text) == LEDGE_OK) {
        (void)agent_link_send(agent, "log", text.data, text.len);
    }
}

static void handle_rotate(struct agent *agent, const void *payload, size_t n)
{
    LEDGE_CLEANUP(sys_json_free) json_t *message = NULL;
    struct ledge_error err;
    const char *serial = NULL;
    int64_t version = 0;
    if (sys_json_parse(payload, n, &message, &err) != LEDGE_OK ||
        sys_json_int(message, "rotate", "v", 1, 1, &version, &err) != LEDGE_OK ||
        sys_json_text(message, "rotate", "serial", &serial, &err) != LEDGE_OK) {
        sys_log(SYS_LOG_WARNING, "%s", err.text);
    } else if (agent->rotate != NULL) {
        agent_rotate_ask(agent->rotate, serial);
    }
}

static void on_message(void *arg, const char *topic, const void *payload, size_t n)
{
    struct agent *agent = arg;
    struct fleet_topic_parts parts;
    if (n > FLEET_PAYLOAD_MAX || !fleet_topic_parse(topic, &parts) ||
        parts.direction != FLEET_DOWN || strcmp(parts.device, agent->config.device) != 0) {
        sys_log(SYS_LOG_WARNING, "message on %.80s is not for this device", topic);
    } else if (strcmp(parts.channel, "desired") == 0) {
        agent_deploy_receive(agent->deploy, payload, n);
    } else if (strcmp(parts.channel, "ack") == 0) {
        handle_ack(agent, payload, n);
    } else if (strcmp(parts.channel, "log-request") == 0) {
        handle_log_request(agent, payload, n);
    } else if (strcmp(parts.channel, "rotate") == 0) {
        handle_rotate(agent, payload, n);
    } else if (strcmp(parts.channel, "hello-request") == 0) {
        /* The hub was away: what was on its way then had no reader. */
        send_hello(agent);
        agent_uplink_connected(agent->uplink);
    }
}

/* -- life ----------------------------------------------------------------------------------------
 */

static void connect_now(void *arg)
{
    struct agent *agent = arg;
    char will[FLEET_TOPIC_SIZE];
    char down[FLEET_TOPIC_SIZE];
    struct ledge_error err;
    sys_timer_free(agent->hello);
    agent->hello = NULL;
    fleet_topic(will, agent->config.device, FLEET_UP, "hello");
    fleet_topic(down, agent->config.device, FLEET_DOWN, "#");
    struct sys_mqtt_options options = {.host = agent->config.broker_host,
                                       .port = agent->config.broker_port,
                                       .client_id = agent->config.device,
                                       .certificate = agent->config.certificate,
                                       .key = agent->config.key,
                                       .ca = agent->config.ca,
                                       .backoff_ms = BACKOFF_MS,
                                       .backoff_max_ms = BACKOFF_MAX_MS,
                                       .will_topic = will,
                                       .will_payload = OFFLINE,
                                       .on_connect = on_connect,
                                       .on_disconnect = on_disconnect,
                                       .on_message = on_message,
                                       .arg = agent};
    if (sys_mqtt_create(agent->loop, &options, &agent->mqtt, &err) != LEDGE_OK ||
        sys_mqtt_subscribe(agent->mqtt, down, &err) != LEDGE_OK) {
        sys_log(SYS_LOG_ERROR, "%s", err.text); /* local work goes on without the hub */
    }
}

void agent_link_renew(void *arg)
{
    struct agent *agent = arg;
    if (agent->mqtt == NULL) {
        return; /* the start's delay is not over */
    }
    sys_mqtt_free(agent->mqtt);
    agent->mqtt = NULL;
    agent_uplink_disconnected(agent->uplink);
    connect_now(agent);
}

enum ledge_status agent_link_start(struct agent *agent, int64_t spread_ms, struct ledge_error *err)
{
    uint32_t random = 0;
    int64_t delay = 0;
    if (spread_ms > 0) {
        LEDGE_TRY(sys_random(&random, sizeof random, err));
        delay = (int64_t)(random % (uint32_t)(spread_ms + 1));
    }
    agent->hello = sys_timer_start(agent->loop, delay, 0, connect_now, agent);
    return LEDGE_OK;
}

void agent_link_stop(struct agent *agent)
{
    sys_timer_free(agent->hello);
    agent->hello = NULL;
    (void)agent_link_send(agent, "hello", OFFLINE, strlen(OFFLINE));
    sys_mqtt_free(agent->mqtt);
    agent->mqtt = NULL;
}
