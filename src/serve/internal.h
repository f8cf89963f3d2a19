/* SPDX-License-Identifier: Apache-2.0 */
/* internal.h -- what the files of the server share; nobody else includes it. Loop's thread only. */
#ifndef SERVE_INTERNAL_H
#define SERVE_INTERNAL_H

#include <stdarg.h>

#include "base/buf.h"
#include "serve/pool.h"
#include "serve/server.h"
#include "serve/slots.h"
#include "sys/http.h"

enum { SERVE_MAX_LOADS = 16 };

struct serve_listener {
    struct serve_server *server;
    struct sys_http_server *http;
    bool control; /* model control is allowed here */
};

struct serve_server {
    struct sys_loop *loop;
    struct serve_options options;
    struct serve_listener listeners[2];
    int32_t n_listeners;
    struct serve_pool *workers, *loader;
    struct serve_slots slots;
    size_t pending_bytes; /* bodies of requests taken and not yet answered */
    int32_t pending;
    int32_t loads; /* loads and unloads under way */
    bool draining;
    struct sys_timer *drain_timer;
    int32_t drain_steps; /* taken with nothing left to compute */
    int64_t started_ms;
};

/* What a route found in the path; NULL where it has none. */
struct serve_route_names {
    const char *model;
    const char *version;
};

/* Find the route of a request and run its handler. */
void serve_route(struct serve_listener *listener, struct sys_http_request *request);

/* Handlers: each answers the request, now or later. */
void serve_handle_infer(struct serve_server *server, struct sys_http_request *request,
                        const struct serve_route_names *names);
void serve_handle_index(struct serve_server *server, struct sys_http_request *request,
                        const struct serve_route_names *names);
void serve_handle_load(struct serve_server *server, struct sys_http_request *request,
                       const struct serve_route_names *names);
void serve_handle_unload(struct serve_server *server, struct sys_http_request *request,
                         const struct serve_route_names *names);
void serve_handle_stats(struct serve_server *server, struct sys_http_request *request,
                        const struct serve_route_names *names);
void serve_handle_metrics(struct serve_server *server, struct sys_http_request *request,
                          const struct serve_route_names *names);

/* The current version of the model (and of this version, when the path names one); else answers
 * 404 and returns NULL. *slot FILLED when found; NULL is allowed. */
struct serve_version *serve_find_version(struct serve_server *server,
                                         struct sys_http_request *request,
                                         const struct serve_route_names *names,
                                         struct serve_slot **slot);

/* {"error": "<text>"} */
void serve_reply_error(struct sys_http_request *request, int status, const char *format, ...)
    LEDGE_PRINTF(3, 4);

/* Answer with what was built; 500 when building failed. out is emptied. */
void serve_reply_json(struct sys_http_request *request, int status, struct ledge_buf *out);

/* The HTTP status for a failed inference. */
int serve_http_status(enum ledge_status status);

#endif
