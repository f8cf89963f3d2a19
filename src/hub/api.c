/* SPDX-License-Identifier: Apache-2.0 */
/* api.c -- from a request to its handler: route, limits, who may call; and the answers. */
#include "hub/api.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "base/whole.h"
#include "ledge/version.h"
#include "sys/json.h"
#include "sys/log.h"

enum { SMALL_BODY = 4096 }; /* read even from those who will be refused */

const struct hub_route hub_routes[] = {
#define HUB_ROUTE(method, path, who, body, max, handler, status, summary, query, takes, gives)     \
    {method,  path,  who,   HUB_BODY_##body, max,   hub_on_##handler,                              \
     summary, query, takes, gives,           status},
#include "hub/routes.inc"
#undef HUB_ROUTE
};
const size_t hub_n_routes = sizeof hub_routes / sizeof hub_routes[0];

/* -- answers -- */

void hub_security_headers(struct sys_http_request *request, bool page)
{
    sys_http_reply_header(request, "X-Content-Type-Options", "nosniff");
    sys_http_reply_header(request, "X-Frame-Options", "DENY");
    sys_http_reply_header(request, "Referrer-Policy", "no-referrer");
    sys_http_reply_header(request, "Cross-Origin-Opener-Policy", "same-origin");
    sys_http_reply_header(request, "Cross-Origin-Resource-Policy", "same-origin");
    sys_http_reply_header(request, "Content-Security-Policy",
                          page ? "default-src 'self'; object-src 'none'; base-uri 'none'; "
                                 "form-action 'self'; frame-ancestors 'none'"
                               : "default-src 'none'; frame-ancestors 'none'");
}

void hub_problem(struct sys_http_request *request, int status, const char *detail)
{
    static const struct {
        int status;
        const char *title;
    } titles[] = {{400, "Bad Request"},         {401, "Unauthorized"},
                  {403, "Forbidden"},           {404, "Not Found"},
                  {405, "Method Not Allowed"},  {409, "Conflict"},
                  {413, "Content Too Large"},   {422, "Unprocessable Content"},
                  {429, "Too Many Requests"},   {500, "Internal Server Error"},
                  {503, "Service Unavailable"}, {504, "Gateway Timeout"},
                  {507, "Insufficient Storage"}};
    const char *title = "Problem";
    for (size_t i = 0; i < sizeof titles / sizeof titles[0]; i++) {
        title = titles[i].status == status ? titles[i].title : title;
    }
    json_t *value = json_pack("{s:s,s:s,s:i,s:s%}", "type", "about:blank", "title", title, "status",
                              status, "detail", detail, strlen(detail));
    if (value == NULL) { /* not UTF-8: a name that somebody sent */
        value = json_pack("{s:s,s:s,s:i}", "type", "about:blank", "title", title, "status", status);
    }
    char *text = json_dumps(value, JSON_COMPACT);
    hub_security_headers(request, false);
    sys_http_reply_text(request, status, "application/problem+json", text != NULL ? text : "{}");
    free(text);
    json_decref(value);
}

void hub_reply_problem(struct hub_request *request, int status, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    hub_problem(request->http, status, text);
}

void hub_reply_error(struct hub_request *request, const struct ledge_error *err)
{
    switch (err->status) {
    case LEDGE_ERR_ARG:
    case LEDGE_ERR_FORMAT:
    case LEDGE_ERR_RANGE:
    case LEDGE_ERR_CORRUPT:
    case LEDGE_ERR_UNSUPPORTED:
        hub_problem(request->http, 400, err->text);
        return;
    case LEDGE_ERR_NOT_FOUND:
        hub_problem(request->http, 404, err->text);
        return;
    case LEDGE_ERR_AUTH:
        hub_problem(request->http, 403, err->text);
        return;
    case LEDGE_ERR_STATE:
    case LEDGE_ERR_EXISTS:
        hub_problem(request->http, 409, err->text);
        return;
    case LEDGE_ERR_FULL:
        sys_log(SYS_LOG_ERROR, "%s %s: %s", request->route->method, request->route->path,
                err->text);
        hub_problem(request->http, 507, "the hub has no space left");
        return;
    default:
        sys_log(SYS_LOG_ERROR, "%s %s: %s", request->route->method, request->route->path,
                err->text);
        hub_problem(request->http, 500, "the hub failed; its log says how");
    }
}

void hub_reply_json(struct hub_request *request, int status, json_t *value)
{
    char *text = value != NULL ? json_dumps(value, JSON_COMPACT) : NULL;
    json_decref(value);
    if (text == NULL) {
        hub_problem(request->http, 500, "the answer cannot be written");
        return;
    }
    hub_security_headers(request->http, false);
    sys_http_reply_header(request->http, "Cache-Control", "no-store");
    sys_http_reply_text(request->http, status, "application/json", text);
    free(text);
}

void hub_reply_none(struct hub_request *request)
{
    hub_security_headers(request->http, false);
    sys_http_reply(request->http, 204, NULL, NULL, 0);
}

/* -- questions -- */

static json_t *object_of(struct hub_request *request, const char *what, const char *text, size_t n)
{
    struct ledge_error err;
    json_t *value = NULL;
    if (sys_json_parse(text, n, &value, &err) != LEDGE_OK) {
        hub_reply_problem(request, 400, "%s: %s", what, err.text);
        return NULL;
    }
    if (!json_is_object(value)) {
        json_decref(value);
        hub_reply_problem(request, 400, "%s is not a JSON object", what);
        return NULL;
    }
    return value;
}

json_t *hub_request_json(struct hub_request *request)
{
    size_t n = 0;
    const char *body = sys_http_body(request->http, &n);
    return object_of(request, "the body", n > 0 ? body : "{}", n > 0 ? n : 2);
}

json_t *hub_request_meta(struct hub_request *request)
{
    const char *text = sys_http_header(request->http, "X-Ledge-Meta");
    text = text != NULL ? text : "{}";
    return object_of(request, "X-Ledge-Meta", text, strlen(text));
}

static bool number(struct hub_request *request, const char *name, int64_t low, int64_t high,
                   int64_t *value)
{
    const char *text = sys_http_query(request->http, name);
    if (text == NULL || *text == '\0') {
        return true;
    }
    if (!ledge_whole_read(text, low, high, value)) {
        hub_reply_problem(request, 400, "%s is not a number from %lld to %lld", name,
                          (long long)low, (long long)high);
        return false;
    }
    return true;
}

bool hub_request_limit(struct hub_request *request, int64_t *limit)
{
    *limit = HUB_PAGE;
    return number(request, "limit", 1, HUB_PAGE_MAX, limit);
}

bool hub_request_cursor(struct hub_request *request, int64_t absent, int64_t *cursor)
{
    *cursor = absent;
    return number(request, "cursor", 0, INT64_MAX, cursor);
}

json_t *hub_page(json_t *items, const char *next)
{
    return json_pack("{s:o,s:s?}", "items", items, "next", next);
}

struct names {
    struct hub *hub;
    const struct hub_versions *what;
    json_t *items;
    int64_t left;
    char next[FLEET_NAME_SIZE];
    bool more;
    enum ledge_status status;
    struct ledge_error *err;
};

static bool add_name(void *arg, const struct sys_row *row)
{
    struct names *names = arg;
    if (names->left-- == 0) {
        names->more = true;
        return false;
    }
    json_t *versions = json_array();
    (void)snprintf(names->next, sizeof names->next, "%s", sys_row_text(row, 0));
    names->status = sys_sql_do(names->hub->sql, names->err, names->what->add, versions,
                               names->what->versions, "s", names->next);
    (void)json_array_append_new(names->items,
                                json_pack("{s:s,s:o}", "name", names->next, "versions", versions));
    return names->status == LEDGE_OK;
}

void hub_reply_versions(struct hub_request *request, const struct hub_versions *what)
{
    struct ledge_error err;
    int64_t limit = 0;
    const char *cursor = sys_http_query(request->http, "cursor");
    if (!hub_request_limit(request, &limit)) {
        return;
    }
    cursor = cursor != NULL ? cursor : "";
    struct names names = {
        .hub = request->hub, .what = what, .items = json_array(), .left = limit, .err = &err};
    struct sys_sql *sql = request->hub->sql;
    enum ledge_status status =
        what->kind != NULL
            ? sys_sql_do(sql, &err, add_name, &names, what->names, "ssi", what->kind, cursor,
                         limit + 1)
            : sys_sql_do(sql, &err, add_name, &names, what->names, "si", cursor, limit + 1);
    if (status != LEDGE_OK || names.status != LEDGE_OK) {
        json_decref(names.items);
        hub_reply_error(request, &err);
        return;
    }
    hub_reply_json(request, 200, hub_page(names.items, names.more ? names.next : NULL));
}

enum ledge_status hub_end(struct hub *hub, enum ledge_status status, struct ledge_error *err)
{
    if (status == LEDGE_OK) {
        status = sys_sql_commit(hub->sql, err);
    }
    if (status != LEDGE_OK) {
        sys_sql_rollback(hub->sql);
    }
    return status;
}

/* -- routing -- */

static bool method_fits(const struct hub_route *route, const char *method)
{
    return strcmp(route->method, method) == 0 ||
           (strcmp(method, "HEAD") == 0 && strcmp(route->method, "GET") == 0);
}

/* The route, or NULL with the methods that the path has (none: there is no such path). */
static const struct hub_route *find(const char *method, const char *path,
                                    char params[SYS_HTTP_PARTS][SYS_HTTP_PART_SIZE], char allow[64])
{
    allow[0] = '\0';
    for (size_t i = 0; i < hub_n_routes; i++) {
        if (!sys_http_path_fits(path, hub_routes[i].path, params)) {
            continue;
        }
        if (method_fits(&hub_routes[i], method)) {
            return &hub_routes[i];
        }
        size_t used = strlen(allow);
        (void)snprintf(allow + used, 64 - used, "%s%s", used > 0 ? ", " : "", hub_routes[i].method);
    }
    return NULL;
}

size_t hub_api_limit(void *arg, const struct sys_http_request *request)
{
    struct hub *hub = arg;
    char params[SYS_HTTP_PARTS][SYS_HTTP_PART_SIZE], allow[64];
    const char *actor = NULL;
    bool csrf = false;
    const struct hub_route *route =
        find(sys_http_method(request), sys_http_path(request), params, allow);
    /* A stranger may not make us hold a large body before we say no. */
    bool may = route != NULL && (route->who & hub_auth(hub, request, &actor, &csrf)) != 0 && !csrf;
    return may ? route->max_body : SMALL_BODY;
}

static void refuse(struct hub_request *request, unsigned who)
{
    bool admin = (request->route->who & HUB_ADMIN) != 0;
    bool tried = sys_http_header(request->http, "Authorization") != NULL;
    if ((who & (HUB_ADMIN | HUB_DEVICE)) != 0) {
        hub_reply_problem(request, 403, "%s may not do this", request->actor);
        return;
    }
    if (tried) {
        if (hub_auth_limited(request->hub, request->http)) {
            sys_http_reply_header(request->http, "Retry-After", "60");
            hub_reply_problem(request, 429, "too many wrong tokens; wait a minute");
            return;
        }
        hub_auth_failed(request->hub, request->http);
    }
    sys_http_reply_header(request->http, "WWW-Authenticate", "Bearer realm=\"ledge\"");
    hub_reply_problem(request, 401, "%s",
                      !admin  ? "this needs the certificate of an enrolled device"
                      : tried ? "the token is not the hub's admin token"
                              : "this needs the admin token");
}

void hub_api_handle(void *arg, struct sys_http_request *http)
{
    struct hub_request request = {.hub = arg, .http = http};
    char allow[64];
    bool csrf = false;
    const char *path = sys_http_path(http);
    request.hub->counts.requests++;
    request.route = find(sys_http_method(http), path, request.params, allow);
    if (request.route == NULL) {
        if (allow[0] != '\0') {
            sys_http_reply_header(http, "Allow", allow);
            hub_reply_problem(&request, 405, "%s has %s", path, allow);
        } else if (!hub_console(http)) {
            hub_reply_problem(&request, 404, "there is no %s", path);
        }
        return;
    }
    unsigned who = hub_auth(request.hub, http, &request.actor, &csrf);
    request.device = (who & HUB_DEVICE) != 0 && (who & HUB_ADMIN) == 0;
    if ((request.route->who & who) == 0) {
        refuse(&request, who);
    } else if (csrf && (request.route->who & HUB_ADMIN) != 0) {
        hub_reply_problem(&request, 403, "a write by cookie needs the header X-Ledge-Csrf: 1");
    } else {
        request.route->handle(&request);
    }
}

/* -- routes without a subject of their own -- */

void hub_on_healthz(struct hub_request *request)
{
    hub_reply_json(request, 200,
                   json_pack("{s:s,s:s}", "status", "ok", "version", LEDGE_VERSION_STRING));
}

void hub_on_openapi(struct hub_request *request)
{
    if (request->hub->openapi == NULL) {
        request->hub->openapi = hub_openapi();
    }
    hub_reply_json(request, 200, json_incref(request->hub->openapi));
}
