/* SPDX-License-Identifier: Apache-2.0 */
/* local_api.c -- the agent's unix socket (docs/local-api.md).
 *
 * POST /v1/records is answered after its bytes are on disk. All requests that the loop has read
 * before it comes to the flush share one fdatasync: alone a record waits for one flush, under load
 * hundreds share it, and no clock is involved. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/agent.h"
#include "agent/failpoint.h"
#include "base/cleanup.h"
#include "base/status.h"
#include "sys/http.h"
#include "sys/json.h"
#include "sys/log.h"

enum { LOG_BYTES = 512 * 1024, LOG_LINES_MAX = 1000 };

struct waiter { /* a record that was appended and not yet flushed */
    struct waiter *next;
    struct sys_http_request *request;
    uint64_t seq, drops;
};

struct agent_api {
    struct agent *agent;
    struct sys_http_server *server;
    struct waiter *first, **last;
    struct sys_timer *flush;
};

static void reply_problem(struct sys_http_request *request, int status, const char *text)
{
    LEDGE_CLEANUP(ledge_buf_done) struct ledge_buf body = LEDGE_BUF_INIT(4096);
    LEDGE_CLEANUP(sys_json_free)
    json_t *problem = json_pack("{s:s,s:i,s:s%}", "type", "about:blank", "status", status, "detail",
                                text, strlen(text));
    if (problem == NULL || sys_json_write(problem, &body) != LEDGE_OK) {
        sys_http_reply_text(request, status, "text/plain", "failed\n");
        return;
    }
    sys_http_reply(request, status, "application/problem+json", body.data, body.len);
}

static void reply_json(struct sys_http_request *request, const json_t *value)
{
    LEDGE_CLEANUP(ledge_buf_done) struct ledge_buf body = LEDGE_BUF_INIT(4 * 1024 * 1024);
    if (value == NULL || sys_json_write(value, &body) != LEDGE_OK) {
        reply_problem(request, 500, "out of memory");
        return;
    }
    sys_http_reply(request, 200, "application/json", body.data, body.len);
}

static int status_of(enum ledge_status status)
{
    switch (status) {
    case LEDGE_ERR_FULL:
        return 507;
    case LEDGE_ERR_RANGE:
        return 413;
    case LEDGE_ERR_FORMAT:
    case LEDGE_ERR_ARG:
        return 400;
    default:
        return 500;
    }
}

/* -- records -------------------------------------------------------------------------------------
 */

static void on_flush(void *arg)
{
    struct agent_api *api = arg;
    struct agent_outbox *outbox = api->agent->outbox;
    struct agent_outbox_stats stats;
    struct ledge_error err = {.text = "outbox: the record could not be kept"};
    struct waiter *waiter = api->first;
    sys_timer_free(api->flush);
    api->flush = NULL;
    api->first = NULL;
    api->last = &api->first;
    enum ledge_status status = agent_outbox_sync(outbox, &err);
    if (agent_failpoint("RECORD_SYNCED")) {
        status = ledge_fail(&err, LEDGE_ERR_IO, "fail point"); /* kept all the same */
    }
    agent_outbox_stats(outbox, &stats);
    while (waiter != NULL) {
        struct waiter *next = waiter->next;
        if (status != LEDGE_OK || waiter->drops != stats.drops) {
            reply_problem(waiter->request, status == LEDGE_ERR_FULL ? 507 : 500, err.text);
        } else {
            char body[96];
            int n = snprintf(body, sizeof body, "{\"epoch\":\"%s\",\"seq\":%" PRIu64 "}",
                             stats.epoch, waiter->seq);
            sys_http_reply(waiter->request, 200, "application/json", body, (size_t)n);
        }
        free(waiter);
        waiter = next;
    }
    agent_uplink_kick(api->agent->uplink);
}

/* A key that the hub would not heed is refused here, where its producer sees it. */
static enum ledge_status check_meta(const json_t *meta, struct ledge_error *err)
{
    const json_t *key = json_object_get(meta, "key");
    size_t n = json_string_length(key);
    if (!json_is_object(meta)) {
        return ledge_fail(err, LEDGE_ERR_FORMAT, "meta is not a JSON object");
    }
    return key == NULL || (n > 0 && n <= FLEET_KEY_MAX)
               ? LEDGE_OK
               : ledge_fail(err, LEDGE_ERR_FORMAT, "meta: \"key\" is not a text of 1 to %d bytes",
                            FLEET_KEY_MAX);
}

/* Meta: the header, or the whole body when that is JSON and there is no header. */
static enum ledge_status split(struct sys_http_request *request, struct fleet_record *record,
                               struct ledge_error *err)
{
    LEDGE_CLEANUP(sys_json_free) json_t *parsed = NULL;
    const char *meta = sys_http_header(request, "X-Ledge-Meta");
    const char *type = sys_http_header(request, "Content-Type");
    record->body = sys_http_body(request, &record->body_bytes);
    record->meta = meta;
    record->meta_bytes = meta != NULL ? strlen(meta) : 0;
    if (meta == NULL && type != NULL && strncmp(type, "application/json", 16) == 0) {
        record->meta = record->body;
        record->meta_bytes = record->body_bytes;
        record->body_bytes = 0;
    } else if (meta == NULL) {
        record->meta = "{}";
        record->meta_bytes = 2;
    }
    if (record->meta_bytes > FLEET_META_MAX) {
        return ledge_fail(err, LEDGE_ERR_RANGE, "meta of %zu bytes: the limit is %d",
                          record->meta_bytes, FLEET_META_MAX);
    }
    LEDGE_TRY(sys_json_parse(record->meta_bytes > 0 ? record->meta : "", record->meta_bytes,
                             &parsed, err));
    return check_meta(parsed, err);
}

static enum ledge_status read_kind(const struct sys_http_request *request,
                                   struct fleet_record *record, struct ledge_error *err)
{
    const char *kind = sys_http_query(request, "kind");
    const char *name = sys_http_query(request, "class");
    if (kind == NULL || !fleet_kind_parse(kind, &record->kind)) {
        return ledge_fail(err, LEDGE_ERR_ARG,
                          "kind is one of prediction, sample, alert, metric, log");
    }
    if (!fleet_class_parse(name != NULL ? name : "normal", &record->class_of_service)) {
        return ledge_fail(err, LEDGE_ERR_ARG, "class is one of critical, normal, bulk");
    }
    return LEDGE_OK;
}

static enum ledge_status append(struct agent_api *api, struct sys_http_request *request,
                                uint64_t *seq, struct ledge_error *err)
{
    struct fleet_record record = {.time_ms = sys_now_ms()};
    LEDGE_TRY(read_kind(request, &record, err));
    LEDGE_TRY(split(request, &record, err));
    return agent_outbox_append(api->agent->outbox, &record, seq, err);
}

static void post_record(struct agent_api *api, struct sys_http_request *request)
{
    struct ledge_error err;
    struct agent_outbox_stats stats;
    uint64_t seq = 0;
    struct waiter *waiter = malloc(sizeof *waiter);
    enum ledge_status status = waiter != NULL ? append(api, request, &seq, &err)
                                              : ledge_fail(&err, LEDGE_ERR_NOMEM, "out of memory");
    if (status != LEDGE_OK) {
        free(waiter);
        reply_problem(request, status_of(status), err.text);
        return;
    }
    agent_outbox_stats(api->agent->outbox, &stats);
    *waiter = (struct waiter){.request = request, .seq = seq, .drops = stats.drops};
    *api->last = waiter;
    api->last = &waiter->next;
    if (api->flush == NULL) {
        api->flush = sys_timer_try(api->agent->loop, 0, 0, on_flush, api);
    }
    if (api->flush == NULL) { /* out of memory: nobody else shares this flush */
        on_flush(api);
    }
}

/* -- the rest ------------------------------------------------------------------------------------
 */

static void get_log(struct agent_api *api, struct sys_http_request *request, const char *function)
{
    const char *limit = sys_http_query(request, "limit");
    long n = limit != NULL ? strtol(limit, NULL, 10) : 200;
    n = n < 1 ? 1 : n > LOG_LINES_MAX ? LOG_LINES_MAX : n;
    json_t *lines = fleet_name_ok(function)
                        ? agent_functions_log(api->agent->functions, function, (size_t)n, LOG_BYTES)
                        : NULL;
    if (lines == NULL) {
        reply_problem(request, 404, "no function of that name runs here");
        return;
    }
    LEDGE_CLEANUP(sys_json_free)
    json_t *answer = json_pack("{s:s,s:o}", "function", function, "lines", lines);
    reply_json(request, answer);
}

static void handle(void *arg, struct sys_http_request *request)
{
    struct agent_api *api = arg;
    char parts[SYS_HTTP_PARTS][SYS_HTTP_PART_SIZE];
    const char *path = sys_http_path(request);
    bool get = strcmp(sys_http_method(request), "GET") == 0;
    bool post = strcmp(sys_http_method(request), "POST") == 0;
    bool records = sys_http_path_fits(path, "/v1/records", NULL);
    bool whole = sys_http_path_fits(path, "/v1/status", NULL);
    if (records && post) {
        post_record(api, request);
    } else if (whole && get) {
        LEDGE_CLEANUP(sys_json_free) json_t *status = agent_status(api->agent);
        reply_json(request, status);
    } else if (get && sys_http_path_fits(path, "/v1/functions/{name}/log", parts)) {
        get_log(api, request, parts[0]);
    } else if (get && sys_http_path_fits(path, "/healthz", NULL)) {
        sys_http_reply_text(request, 200, "text/plain", "ok\n");
    } else if (records || whole) {
        reply_problem(request, 405, "method not allowed");
    } else {
        reply_problem(request, 404, "no such path");
    }
}

enum ledge_status agent_api_start(struct agent *agent, struct ledge_error *err)
{
    struct agent_api *api = calloc(1, sizeof *api);
    if (api == NULL) {
        return ledge_fail(err, LEDGE_ERR_NOMEM, "local API: out of memory");
    }
    api->agent = agent;
    api->last = &api->first;
    struct sys_http_server_options options = {.unix_path = agent->config.agent_socket,
                                              .max_body = FLEET_RECORD_MAX,
                                              .timeout_s = 300,
                                              .handle = handle,
                                              .arg = api};
    enum ledge_status status = sys_tree_remove(agent->config.agent_socket, err);
    if (status == LEDGE_OK) {
        status = sys_http_server_create(agent->loop, &options, &api->server, err);
    }
    if (status != LEDGE_OK) {
        free(api);
        return status;
    }
    agent->api = api;
    return LEDGE_OK;
}

void agent_api_stop(struct agent *agent)
{
    struct agent_api *api = agent->api;
    if (api == NULL) {
        return;
    }
    if (api->flush != NULL) {
        on_flush(api); /* who waits is answered */
    }
    sys_http_server_free(api->server);
    free(api);
    agent->api = NULL;
}
