/* SPDX-License-Identifier: Apache-2.0 */
/* logs.c -- a function's log, asked from the device: the HTTP request waits for the device's
 * answer, at most 5 s. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "fleet/messages.h"
#include "hub/api.h"
#include "hub_sql.h"
#include "sys/json.h"
#include "sys/log.h"

enum { WAIT_MS = 5000, MAX_WAITING = 64 };

struct waiting {
    struct waiting *next;
    struct hub_logs *logs;
    char device[FLEET_NAME_SIZE], function[FLEET_NAME_SIZE];
    struct sys_http_request *http;
    struct sys_timer *timer;
};

struct hub_logs {
    struct waiting *first;
    size_t n;
};

enum ledge_status hub_logs_create(struct hub *hub, struct ledge_error *err)
{
    hub->logs = calloc(1, sizeof *hub->logs);
    return hub->logs != NULL ? LEDGE_OK : ledge_fail(err, LEDGE_ERR_NOMEM, "out of memory");
}

/* Take it off the list; its request has been answered. */
static void drop(struct waiting *gone)
{
    for (struct waiting **at = &gone->logs->first; *at != NULL; at = &(*at)->next) {
        if (*at == gone) {
            *at = gone->next;
            gone->logs->n--;
            break;
        }
    }
    sys_timer_free(gone->timer);
    free(gone);
}

void hub_logs_free(struct hub_logs *logs)
{
    while (logs != NULL && logs->first != NULL) {
        hub_problem(logs->first->http, 503, "the hub is stopping");
        drop(logs->first);
    }
    free(logs);
}

static void on_late(void *arg)
{
    struct waiting *waiting = arg;
    char text[160];
    (void)snprintf(text, sizeof text, "%s did not answer within 5 s", waiting->device);
    hub_problem(waiting->http, 504, text);
    drop(waiting);
}

void hub_logs_answer(struct hub *hub, const char *device, const json_t *message)
{
    struct ledge_error err;
    const char *function = NULL;
    json_t *lines = json_object_get(message, "lines");
    if (sys_json_text(message, "log", "function", &function, &err) != LEDGE_OK ||
        !json_is_array(lines)) {
        sys_log(SYS_LOG_WARNING, "%s: log refused: it has no function or no lines", device);
        return;
    }
    for (struct waiting *one = hub->logs->first, *next; one != NULL; one = next) {
        next = one->next;
        if (strcmp(one->device, device) == 0 && strcmp(one->function, function) == 0) {
            struct hub_request request = {.hub = hub, .http = one->http};
            hub_reply_json(&request, 200, json_pack("{s:O}", "lines", lines));
            drop(one);
        }
    }
}

static bool wait_for(struct hub_request *request, const char *device, const char *function)
{
    struct hub_logs *logs = request->hub->logs;
    struct waiting *made = logs->n < MAX_WAITING ? calloc(1, sizeof *made) : NULL;
    if (made == NULL) {
        return false;
    }
    made->timer = sys_timer_try(request->hub->loop, WAIT_MS, 0, on_late, made);
    if (made->timer == NULL) {
        free(made);
        return false;
    }
    (void)snprintf(made->device, sizeof made->device, "%.64s", device);
    (void)snprintf(made->function, sizeof made->function, "%.64s", function);
    made->http = request->http;
    made->logs = logs;
    made->next = logs->first;
    logs->first = made;
    logs->n++;
    return true;
}

void hub_on_device_logs(struct hub_request *request)
{
    struct ledge_error err;
    int64_t limit = 200, revoked = 1;
    const char *device = request->params[0];
    const char *function = sys_http_query(request->http, "function");
    struct ledge_buf text = LEDGE_BUF_INIT(1024);
    if (sys_http_query(request->http, "limit") != NULL && !hub_request_limit(request, &limit)) {
        return;
    }
    if (function == NULL || !fleet_name_ok(function)) {
        hub_reply_problem(request, 400, "function= must name a function");
        return;
    }
    if (sys_sql_do(request->hub->sql, &err, hub_row_int, &revoked, hub_sql_device_known, "s",
                   device) != LEDGE_OK) {
        hub_reply_error(request, &err);
        return;
    }
    struct fleet_log_request ask = {.limit = (int32_t)limit};
    (void)snprintf(ask.function, sizeof ask.function, "%s", function);
    if (revoked != 0) {
        hub_reply_problem(request, 404, "no device is named %s", device);
    } else if (!fleet_log_request_write(&ask, &text) ||
               !hub_link_send(request->hub, device, "log-request", text.data, text.len)) {
        hub_reply_problem(request, 503, "the broker cannot be reached just now");
    } else if (!wait_for(request, device, function)) {
        hub_reply_problem(request, 503, "too many wait for logs already; ask again in a moment");
    }
    ledge_buf_done(&text);
}
