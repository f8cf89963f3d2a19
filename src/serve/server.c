/* SPDX-License-Identifier: Apache-2.0 */
/* server.c -- life of the server: sockets, threads, drain. */
#include "serve/server.h"

#include <stdlib.h>

#include "base/status.h"
#include "serve/internal.h"
#include "sys/file.h"

enum { DRAIN_STEP_MS = 10, DRAIN_STEPS = 500, LOADER_NICE = 5 };

static void on_request(void *arg, struct sys_http_request *request)
{
    serve_route(arg, request);
}

static enum ledge_status listen_on(struct serve_server *server, bool on_unix,
                                   struct ledge_error *err)
{
    struct serve_listener *listener = &server->listeners[server->n_listeners];
    struct sys_http_server_options options = {
        .unix_path = on_unix ? server->options.unix_path : NULL,
        .host = server->options.host,
        .port = server->options.port,
        .tls = on_unix ? NULL : server->options.tls,
        .max_body = server->options.max_body,
        .handle = on_request,
        .arg = listener,
    };
    *listener = (struct serve_listener){.server = server, .control = on_unix};
    LEDGE_TRY(sys_http_server_create(server->loop, &options, &listener->http, err));
    server->n_listeners++;
    return LEDGE_OK;
}

static enum ledge_status start(struct serve_server *server, struct ledge_error *err)
{
    struct serve_pool_options workers = {
        .threads = server->options.threads,
        .max_queue = server->options.max_queue,
    };
    struct serve_pool_options loader = {
        .threads = 1,
        .max_queue = SERVE_MAX_LOADS,
        .nice = LOADER_NICE, /* a load must not take the processor from requests */
    };
    LEDGE_TRY(serve_pool_create(&workers, &server->workers, err));
    LEDGE_TRY(serve_pool_create(&loader, &server->loader, err));
    if (server->options.unix_path != NULL) {
        LEDGE_TRY(listen_on(server, true, err));
    }
    if (server->options.host != NULL) {
        LEDGE_TRY(listen_on(server, false, err));
    }
    return LEDGE_OK;
}

enum ledge_status serve_server_create(struct sys_loop *loop, const struct serve_options *options,
                                      struct serve_server **out, struct ledge_error *err)
{
    struct serve_server *server = calloc(1, sizeof(*server));
    if (server == NULL) {
        return ledge_fail(err, LEDGE_ERR_NOMEM, "out of memory");
    }
    server->loop = loop;
    server->options = *options;
    server->started_ms = sys_now_ms();
    serve_slots_init(&server->slots);
    enum ledge_status status = start(server, err);
    if (status != LEDGE_OK) {
        serve_server_free(server);
        return status;
    }
    *out = server;
    return LEDGE_OK;
}

static void close_retired(void *arg)
{
    serve_version_close(arg);
}

void serve_server_free(struct serve_server *server)
{
    if (server == NULL) {
        return;
    }
    serve_pool_free(server->workers);
    serve_pool_free(server->loader);
    for (int32_t i = 0; i < server->n_listeners; i++) {
        sys_http_server_free(server->listeners[i].http);
    }
    for (int32_t i = 0; i < server->slots.n; i++) {
        struct serve_version *version = serve_slot_empty(server->slots.slots[i]);
        if (version != NULL) {
            serve_version_retire(version, close_retired, version);
        }
    }
    serve_slots_done(&server->slots);
    if (server->drain_timer != NULL) {
        sys_timer_free(server->drain_timer);
    }
    free(server);
}

uint16_t serve_server_port(const struct serve_server *server)
{
    for (int32_t i = 0; i < server->n_listeners; i++) {
        if (!server->listeners[i].control) {
            return sys_http_server_port(server->listeners[i].http);
        }
    }
    return 0;
}

enum ledge_status serve_server_load(struct serve_server *server, const struct serve_source *source,
                                    struct ledge_error *err)
{
    struct serve_version *version = NULL, *old = NULL;
    struct serve_slot *slot = NULL;
    LEDGE_TRY(serve_version_open(source, server->options.threads, &version, err));
    enum ledge_status status = serve_slots_get(&server->slots, source->name, &slot, err);
    if (status == LEDGE_OK) {
        status = serve_slot_flip(slot, version, &old, err);
    }
    if (status != LEDGE_OK) {
        serve_version_close(version);
        return status;
    }
    slot->loads++;
    if (old != NULL) {
        serve_version_retire(old, close_retired, old);
    }
    return LEDGE_OK;
}

/* -- drain --------------------------------------------------------------------------------------
 */

/* Answers may still be on their way through the sockets: closing now would cut them off. */
static void on_drain_step(void *arg)
{
    struct serve_server *server = arg;
    size_t left = 0;
    for (int32_t i = 0; i < server->n_listeners; i++) {
        left += sys_http_server_drain(server->listeners[i].http);
    }
    bool working = server->pending > 0 || server->loads > 0;
    if (!working && (left == 0 || server->drain_steps >= DRAIN_STEPS)) {
        sys_loop_stop(server->loop);
    }
    server->drain_steps += working ? 0 : 1;
}

void serve_server_drain(struct serve_server *server)
{
    if (server->draining) {
        return;
    }
    server->draining = true;
    on_drain_step(server);
    server->drain_timer =
        sys_timer_try(server->loop, DRAIN_STEP_MS, DRAIN_STEP_MS, on_drain_step, server);
    if (server->drain_timer == NULL) {
        sys_loop_stop(server->loop);
    }
}
