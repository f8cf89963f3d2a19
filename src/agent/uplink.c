/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/uplink.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/status.h"
#include "fleet/names.h"
#include "sys/file.h"
#include "sys/http.h"
#include "sys/json.h"
#include "sys/log.h"

enum {
    WINDOW = 16,        /* segments on their way */
    GATHER = 48 * 1024, /* bytes worth a segment of their own while others are on their way */
    TIMEOUT_MS = 10000,
    RETRY_MS = 1000,
    RETRY_MAX_MS = 60000,
    SEGMENT_MAX = FLEET_RECORD_MAX + 4096,
};

struct agent_uplink {
    struct sys_loop *loop;
    struct agent_uplink_options options;
    char hub[SYS_PATH];
    bool connected;
    bool posting;  /* an HTTPS call is under way: nothing else is sent, so order is kept */
    bool freed;    /* while posting */
    uint64_t next; /* seq to send next */
    uint64_t window[WINDOW]; /* last seq of each segment on its way */
    size_t n_window;
    bool caught_up;          /* the last segment held all there was: what comes now may gather */
    bool backing_off;        /* timer is the pause before the next HTTPS call */
    uint64_t gathered;       /* stats.appended when the last segment was read */
    struct sys_timer *timer; /* acknowledgement overdue, or an HTTPS call again */
    int32_t retry_ms;
};

static void stop_timer(struct agent_uplink *u)
{
    sys_timer_free(u->timer);
    u->timer = NULL;
}

static void begin_again(struct agent_uplink *u)
{
    struct agent_outbox_stats stats;
    agent_outbox_stats(u->options.outbox, &stats);
    u->next = stats.acked + 1;
    u->n_window = 0;
    u->caught_up = false;
    u->backing_off = false;
    stop_timer(u);
}

static void on_overdue(void *arg)
{
    struct agent_uplink *u = arg;
    sys_log(SYS_LOG_DEBUG, "no acknowledgement in time: sending again");
    begin_again(u);
    agent_uplink_kick(u);
}

static void watch_overdue(struct agent_uplink *u)
{
    stop_timer(u);
    u->timer = sys_timer_start(u->loop, u->options.timeout_ms, 0, on_overdue, u);
}

/* -- HTTPS, for a record that is too large for MQTT ----------------------------------------------
 */

static void on_retry(void *arg)
{
    struct agent_uplink *u = arg;
    stop_timer(u);
    u->backing_off = false;
    agent_uplink_kick(u);
}

/* The hub could not be reached, or did not take it. */
static void back_off(struct agent_uplink *u)
{
    begin_again(u);
    u->backing_off = true;
    u->timer = sys_timer_start(u->loop, u->retry_ms, 0, on_retry, u);
    u->retry_ms = u->retry_ms * 2 > RETRY_MAX_MS ? RETRY_MAX_MS : u->retry_ms * 2;
}

static void on_posted(void *arg, struct sys_http_reply *reply, const struct ledge_error *err)
{
    struct agent_uplink *u = arg;
    LEDGE_CLEANUP(sys_json_free) json_t *answer = NULL;
    const char *epoch = NULL;
    int64_t seq = 0;
    u->posting = false;
    if (u->freed) {
        u->freed = false;
        agent_uplink_free(u);
        return;
    }
    if (err == NULL && reply->status == 200 && reply->body.len > 0 &&
        sys_json_parse(reply->body.data, reply->body.len, &answer, NULL) == LEDGE_OK &&
        sys_json_text(answer, "ack", "epoch", &epoch, NULL) == LEDGE_OK &&
        sys_json_int(answer, "ack", "seq", 0, INT64_MAX / 2, &seq, NULL) == LEDGE_OK) {
        u->retry_ms = RETRY_MS;
        begin_again(u);
        agent_uplink_acked(u, epoch, (uint64_t)seq);
        return;
    }
    if (err != NULL) {
        sys_log(SYS_LOG_WARNING, "segment by HTTPS: %s; again in %d ms", err->text, u->retry_ms);
    } else {
        sys_log(SYS_LOG_WARNING, "segment by HTTPS: the hub answers %d; again in %d ms",
                reply->status, u->retry_ms);
    }
    back_off(u);
}

static void post(struct agent_uplink *u, const struct ledge_buf *segment)
{
    static const char *const headers[] = {"Content-Type", "application/octet-stream", NULL};
    struct ledge_error err;
    char url[SYS_PATH + 32];
    (void)snprintf(url, sizeof url, "%s/api/v1/segments", u->hub);
    struct sys_http_call call = {.method = "POST",
                                 .url = url,
                                 .headers = headers,
                                 .body = segment->data,
                                 .body_bytes = segment->len,
                                 .tls = u->options.tls,
                                 .timeout_s = 60,
                                 .max_body = 65536};
    stop_timer(u);
    u->posting = true;
    if (sys_http_start(u->loop, &call, on_posted, u, &err) != LEDGE_OK) {
        u->posting = false;
        sys_log(SYS_LOG_WARNING, "segment by HTTPS: %s", err.text);
        back_off(u);
    }
}

/* -- sending -------------------------------------------------------------------------------------
 */

/* One segment; false when nothing more is to be sent now. */
static bool send_one(struct agent_uplink *u, const struct agent_outbox_stats *stats)
{
    LEDGE_CLEANUP(ledge_buf_done) struct ledge_buf segment = LEDGE_BUF_INIT(SEGMENT_MAX);
    struct ledge_error err;
    uint32_t count = 0;
    if (u->next > stats->synced || u->n_window == WINDOW ||
        (u->n_window > 0 && u->caught_up && stats->appended - u->gathered < GATHER)) {
        return false;
    }
    if (agent_outbox_read(u->options.outbox, u->next, FLEET_SEGMENT_MQTT_MAX, &segment, &count,
                          &err) != LEDGE_OK) {
        sys_log(SYS_LOG_ERROR, "%s", err.text);
        return false;
    }
    if (segment.len > FLEET_SEGMENT_MQTT_MAX) {
        if (u->n_window == 0) { /* else it waits until what was sent before is acknowledged */
            post(u, &segment);
        }
        return false;
    }
    if (count == 0 || !u->options.publish(u->options.arg, segment.data, segment.len)) {
        return false;
    }
    u->next += count;
    u->window[u->n_window++] = u->next - 1;
    u->caught_up = u->next > stats->synced;
    u->gathered = stats->appended;
    if (u->timer == NULL) { /* runs from the oldest segment: what follows may not put it off */
        watch_overdue(u);
    }
    return true;
}

void agent_uplink_kick(struct agent_uplink *u)
{
    struct agent_outbox_stats stats;
    agent_outbox_stats(u->options.outbox, &stats);
    if (stats.synced == stats.acked) {
        return;
    }
    while (u->connected && !u->posting && !u->backing_off && send_one(u, &stats)) {
    }
}

void agent_uplink_connected(struct agent_uplink *u)
{
    u->connected = true;
    if (!u->posting) {
        begin_again(u);
        agent_uplink_kick(u);
    }
}

void agent_uplink_disconnected(struct agent_uplink *u)
{
    u->connected = false;
    if (!u->posting) {
        begin_again(u);
    }
}

void agent_uplink_acked(struct agent_uplink *u, const char *epoch, uint64_t seq)
{
    struct agent_outbox_stats stats;
    size_t done = 0;
    agent_outbox_stats(u->options.outbox, &stats);
    if (strcmp(epoch, stats.epoch) != 0) {
        return;
    }
    agent_outbox_ack(u->options.outbox, seq);
    uint64_t before = stats.acked;
    agent_outbox_stats(u->options.outbox, &stats);
    while (done < u->n_window && u->window[done] <= stats.acked) {
        done++;
    }
    memmove(u->window, u->window + done, (u->n_window - done) * sizeof *u->window);
    u->n_window -= done;
    if (u->next <= stats.acked) {
        u->next = stats.acked + 1;
    }
    if (u->n_window == 0 && !u->posting) {
        stop_timer(u);
    } else if (stats.acked > before) {
        watch_overdue(u);
    }
    agent_uplink_kick(u);
}

enum ledge_status agent_uplink_create(struct sys_loop *loop,
                                      const struct agent_uplink_options *options,
                                      struct agent_uplink **out, struct ledge_error *err)
{
    struct agent_uplink *u = calloc(1, sizeof *u);
    if (u == NULL) {
        return ledge_fail(err, LEDGE_ERR_NOMEM, "uplink: out of memory");
    }
    u->loop = loop;
    u->options = *options;
    u->options.timeout_ms = options->timeout_ms > 0 ? options->timeout_ms : TIMEOUT_MS;
    u->retry_ms = RETRY_MS;
    enum ledge_status status = sys_path(u->hub, err, "%s", options->hub);
    if (status != LEDGE_OK) {
        free(u);
        return status;
    }
    begin_again(u);
    *out = u;
    return LEDGE_OK;
}

void agent_uplink_free(struct agent_uplink *u)
{
    if (u == NULL) {
        return;
    }
    stop_timer(u);
    if (u->posting) { /* the answer frees it */
        u->freed = true;
        return;
    }
    free(u);
}
