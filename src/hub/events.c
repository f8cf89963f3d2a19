/* SPDX-License-Identifier: Apache-2.0 */
/* events.c -- server-sent events: what changed, to every browser that listens (WHATWG HTML
 * section 9.2).
 *
 * The last 1000 events are kept, so a browser that was cut off for a moment misses nothing: it
 * sends Last-Event-ID and gets what came since. Numbers go on over a restart of the hub, because
 * they begin at the clock. A browser that does not read is dropped when 1 MB waits for it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "base/whole.h"
#include "hub/api.h"
#include "sys/file.h"

enum { KEPT = 1000, PING_MS = 15000, MAX_WAITING = 1024 * 1024, MAX_LISTENERS = 256 };

struct kept {
    uint64_t id;
    char *text; /* OWNED: the whole event, as it is sent */
};

struct listener {
    struct listener *next;
    struct hub_events *events;
    struct sys_http_request *http;
};

struct hub_events {
    struct kept ring[KEPT]; /* ring[id % KEPT] */
    uint64_t first, next;   /* ids kept: first .. next - 1 */
    struct listener *listeners;
    size_t n_listeners;
    struct sys_timer *ping;
};

static void on_closed(void *arg)
{
    struct listener *gone = arg;
    for (struct listener **at = &gone->events->listeners; *at != NULL; at = &(*at)->next) {
        if (*at == gone) {
            *at = gone->next;
            gone->events->n_listeners--;
            break;
        }
    }
    free(gone);
}

/* To all; the list may shrink under our feet when one is dropped. */
static void send_all(struct hub_events *events, const char *text, size_t n)
{
    for (struct listener *one = events->listeners, *next; one != NULL; one = next) {
        next = one->next;
        if (sys_http_stream_pending(one->http) > MAX_WAITING) {
            sys_http_stream_end(one->http); /* it comes back with Last-Event-ID */
        } else {
            sys_http_stream_send(one->http, text, n);
        }
    }
}

static void on_ping(void *arg)
{
    send_all(arg, ": still here\n\n", 14);
}

enum ledge_status hub_events_create(struct hub *hub, struct ledge_error *err)
{
    struct hub_events *events = calloc(1, sizeof *events);
    if (events == NULL) {
        return ledge_fail(err, LEDGE_ERR_NOMEM, "out of memory");
    }
    events->next = (uint64_t)sys_now_ms() * 1000;
    events->first = events->next;
    events->ping = sys_timer_start(hub->loop, PING_MS, PING_MS, on_ping, events);
    hub->events = events;
    return LEDGE_OK;
}

void hub_events_free(struct hub_events *events)
{
    if (events == NULL) {
        return;
    }
    while (events->listeners != NULL) {
        sys_http_stream_end(events->listeners->http);
    }
    for (size_t i = 0; i < KEPT; i++) {
        free(events->ring[i].text);
    }
    sys_timer_free(events->ping);
    free(events);
}

void hub_event(struct hub *hub, const char *topic, json_t *data)
{
    struct hub_events *events = hub->events;
    struct ledge_buf text = LEDGE_BUF_INIT(1 << 20);
    char *json = data != NULL ? json_dumps(data, JSON_COMPACT) : NULL;
    json_decref(data);
    if (events == NULL || json == NULL ||
        !ledge_buf_printf(&text, "id: %llu\nevent: %s\ndata: %s\n\n",
                          (unsigned long long)events->next, topic, json)) {
        free(json);
        ledge_buf_done(&text);
        return;
    }
    free(json);
    send_all(events, text.data, text.len);
    struct kept *slot = &events->ring[events->next % KEPT];
    free(slot->text);
    *slot = (struct kept){events->next, text.data}; /* the ring owns the text now */
    events->next++;
    if (events->next - events->first > KEPT) {
        events->first = events->next - KEPT;
    }
}

static void replay(struct hub_events *events, struct sys_http_request *http, const char *after)
{
    int64_t last = 0;
    if (!ledge_whole_read(after, 0, INT64_MAX, &last)) {
        return;
    }
    uint64_t id = (uint64_t)last + 1 > events->first ? (uint64_t)last + 1 : events->first;
    for (; id < events->next; id++) {
        const char *text = events->ring[id % KEPT].text;
        sys_http_stream_send(http, text, strlen(text));
    }
}

void hub_on_events(struct hub_request *request)
{
    struct hub_events *events = request->hub->events;
    const char *after = sys_http_header(request->http, "Last-Event-ID");
    struct listener *made = calloc(1, sizeof *made);
    if (made == NULL || events->n_listeners >= MAX_LISTENERS) {
        free(made);
        hub_reply_problem(request, 503, "too many listen already");
        return;
    }
    *made = (struct listener){.next = events->listeners, .events = events, .http = request->http};
    events->listeners = made;
    events->n_listeners++;
    hub_security_headers(request->http, false);
    sys_http_reply_header(request->http, "Cache-Control", "no-store");
    sys_http_stream_start(request->http, 200, "text/event-stream", on_closed, made);
    sys_http_stream_send(request->http, "retry: 1000\n\n", 13);
    if (after != NULL) {
        replay(events, request->http, after);
    }
}
