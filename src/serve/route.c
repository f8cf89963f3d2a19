/* SPDX-License-Identifier: Apache-2.0 */
/* route.c -- the table of routes (docs/local-api.md), and the answers that need no inference. */
#include <stdio.h>
#include <string.h>

#include "serve/internal.h"

void serve_reply_json(struct sys_http_request *request, int status, struct ledge_buf *out)
{
    if (out->failed || out->data == NULL) {
        sys_http_reply_text(request, 500, "application/json", "{\"error\":\"out of memory\"}");
    } else {
        sys_http_reply(request, status, "application/json", out->data, out->len);
    }
    ledge_buf_done(out);
}

void serve_reply_error(struct sys_http_request *request, int status, const char *format, ...)
{
    struct ledge_buf out = LEDGE_BUF_INIT(8192);
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    ledge_buf_text(&out, "{\"error\":");
    serve_json_text(&out, text, strlen(text));
    ledge_buf_text(&out, "}");
    serve_reply_json(request, status, &out);
}

int serve_http_status(enum ledge_status status)
{
    switch (status) {
    case LEDGE_ERR_ARG:
    case LEDGE_ERR_FORMAT:
    case LEDGE_ERR_UNSUPPORTED:
    case LEDGE_ERR_SHAPE:
    case LEDGE_ERR_DTYPE:
    case LEDGE_ERR_RANGE:
        return 400;
    case LEDGE_ERR_NOT_FOUND:
        return 404;
    case LEDGE_ERR_NOMEM:
        return 503;
    default:
        return 500;
    }
}

struct serve_version *serve_find_version(struct serve_server *server,
                                         struct sys_http_request *request,
                                         const struct serve_route_names *names,
                                         struct serve_slot **slot)
{
    struct serve_slot *found = serve_slots_find(&server->slots, names->model);
    if (found == NULL || found->current == NULL) {
        serve_reply_error(request, 404, "model \"%.64s\" is not loaded", names->model);
        return NULL;
    }
    if (names->version != NULL && strcmp(names->version, found->current->version) != 0) {
        serve_reply_error(request, 404, "model \"%s\" has version %s, not %.64s", found->name,
                          found->current->version, names->version);
        return NULL;
    }
    if (slot != NULL) {
        *slot = found;
    }
    return found->current;
}

static void handle_server(struct serve_server *server, struct sys_http_request *request,
                          const struct serve_route_names *names)
{
    (void)server;
    (void)names;
    sys_http_reply_text(request, 200, "application/json",
                        "{\"name\":\"ledge-serve\",\"version\":\"" LEDGE_VERSION_STRING
                        "\",\"extensions\":[\"binary_tensor_data\",\"classification\","
                        "\"model_repository\",\"statistics\"]}");
}

static void handle_live(struct serve_server *server, struct sys_http_request *request,
                        const struct serve_route_names *names)
{
    (void)server;
    (void)names;
    sys_http_reply_text(request, 200, "application/json", "{\"live\":true}");
}

static void handle_ready(struct serve_server *server, struct sys_http_request *request,
                         const struct serve_route_names *names)
{
    (void)names;
    sys_http_reply_text(request, server->draining ? 503 : 200, "application/json",
                        server->draining ? "{\"ready\":false}" : "{\"ready\":true}");
}

static void handle_model(struct serve_server *server, struct sys_http_request *request,
                         const struct serve_route_names *names)
{
    struct serve_version *version = serve_find_version(server, request, names, NULL);
    if (version != NULL) {
        struct ledge_buf out = LEDGE_BUF_INIT(1024 * 1024);
        serve_version_describe(version, &out);
        serve_reply_json(request, 200, &out);
    }
}

static void handle_model_ready(struct serve_server *server, struct sys_http_request *request,
                               const struct serve_route_names *names)
{
    struct serve_version *version = serve_find_version(server, request, names, NULL);
    if (version != NULL) {
        struct ledge_buf out = LEDGE_BUF_INIT(1024);
        ledge_buf_printf(&out, "{\"name\":\"%s\",\"version\":\"%s\",\"ready\":true}", version->name,
                         version->version);
        serve_reply_json(request, 200, &out);
    }
}

/* The first {…} is the model, the second its version (sys_http_path_fits()). */
static const struct {
    const char *method;
    const char *path;
    bool control; /* only where model control is allowed */
    void (*handle)(struct serve_server *server, struct sys_http_request *request,
                   const struct serve_route_names *names);
} routes[] = {
    {"GET", "/v2", false, handle_server},
    {"GET", "/v2/health/live", false, handle_live},
    {"GET", "/v2/health/ready", false, handle_ready},
    {"GET", "/v2/models/{model}", false, handle_model},
    {"GET", "/v2/models/{model}/ready", false, handle_model_ready},
    {"GET", "/v2/models/{model}/stats", false, serve_handle_stats},
    {"POST", "/v2/models/{model}/infer", false, serve_handle_infer},
    {"GET", "/v2/models/{model}/versions/{version}", false, handle_model},
    {"GET", "/v2/models/{model}/versions/{version}/ready", false, handle_model_ready},
    {"GET", "/v2/models/{model}/versions/{version}/stats", false, serve_handle_stats},
    {"POST", "/v2/models/{model}/versions/{version}/infer", false, serve_handle_infer},
    {"POST", "/v2/repository/index", true, serve_handle_index},
    {"POST", "/v2/repository/models/{model}/load", true, serve_handle_load},
    {"POST", "/v2/repository/models/{model}/unload", true, serve_handle_unload},
    {"GET", "/metrics", false, serve_handle_metrics},
};

void serve_route(struct serve_listener *listener, struct sys_http_request *request)
{
    bool other_method = false;
    for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
        char parts[SYS_HTTP_PARTS][SYS_HTTP_PART_SIZE] = {"", ""};
        if (!sys_http_path_fits(sys_http_path(request), routes[i].path, parts)) {
            continue;
        }
        struct serve_route_names names = {parts[0][0] != '\0' ? parts[0] : NULL,
                                          parts[1][0] != '\0' ? parts[1] : NULL};
        bool head = strcmp(sys_http_method(request), "HEAD") == 0;
        if (strcmp(head ? "GET" : sys_http_method(request), routes[i].method) != 0) {
            other_method = true;
        } else if (routes[i].control && !listener->control) {
            serve_reply_error(request, 403, "model control is only on the unix socket");
            return;
        } else {
            routes[i].handle(listener->server, request, &names);
            return;
        }
    }
    if (other_method) {
        serve_reply_error(request, 405, "%s is not allowed here", sys_http_method(request));
    } else {
        serve_reply_error(request, 404, "no such path");
    }
}
