/* SPDX-License-Identifier: Apache-2.0 */
/* handle_repository.c -- model control: load beside, flip, drain, free; unload; index.
 *
 *   handle_load (loop) -> open (loader) -> opened (loop): flip -> drained (loop) -> close (loader)
 *                                                                                -> answer (loop)
 * A failed open answers and changes nothing. The answer comes after the old version's memory has
 * been given back. */
#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "serve/internal.h"
#include "sys/json.h"
#include "sys/log.h"

struct load {
    struct serve_server *server;
    struct sys_http_request *http; /* NULL: nobody waits */
    struct serve_slot *slot;
    json_t *body; /* OWNED; texts of source point into it */
    struct serve_source source;
    char name[SERVE_NAME_BYTES], number[SERVE_NAME_BYTES]; /* number: of the version */
    bool unload;
    struct serve_version *version; /* opened, not yet visible; or the old one, to be closed */
    enum ledge_status status;
    struct ledge_error err;
    int64_t taken_ns;
    double load_ms, swap_ms;
};

/* -- answer -------------------------------------------------------------------------------------
 */

/* A full table of models or no memory is the server's fault; the rest is wrong with the request or
 * its files: 4xx, one line. */
static int load_status(enum ledge_status status)
{
    switch (status) {
    case LEDGE_ERR_NOT_FOUND:
        return 404;
    case LEDGE_ERR_NOMEM:
    case LEDGE_ERR_FULL:
        return 429;
    case LEDGE_ERR_CORRUPT:
    case LEDGE_ERR_GATE:
        return 422;
    default:
        return 400;
    }
}

static void answer(void *arg)
{
    struct load *load = arg;
    struct serve_server *server = load->server;
    if (load->status != LEDGE_OK) {
        load->slot->failed_loads++;
        sys_log(SYS_LOG_ERROR, "model %s version %s not loaded: %s", load->name, load->number,
                load->err.text);
        serve_reply_error(load->http, load_status(load->status), "%s", load->err.text);
    } else {
        struct ledge_buf out = LEDGE_BUF_INIT(1024);
        if (load->unload) {
            sys_log(SYS_LOG_INFO, "model %s version %s unloaded", load->name, load->number);
        } else {
            sys_log(SYS_LOG_INFO, "model %s version %s loaded in %.1f ms, swapped in %.3f ms",
                    load->name, load->number, load->load_ms, load->swap_ms);
        }
        ledge_buf_printf(&out,
                         "{\"name\":\"%s\",\"version\":\"%s\",\"swap_ms\":%.6f,\"load_ms\":%.3f}",
                         load->name, load->number, load->swap_ms, load->load_ms);
        serve_reply_json(load->http, 200, &out);
    }
    load->slot->loading--;
    server->loads--;
    json_decref(load->body);
    free(load);
}

/* -- free the old -------------------------------------------------------------------------------
 */

static void close_old(void *arg, int32_t thread)
{
    struct load *load = arg;
    (void)thread;
    serve_version_close(load->version);
    sys_loop_post(load->server->loop, answer, load);
}

/* The last request on the old version has been answered. */
static void drained(void *arg)
{
    struct load *load = arg;
    if (!serve_pool_push(load->server->loader, close_old, load)) {
        abort(); /* the queue has a place for every load under way: SERVE_MAX_LOADS */
    }
}

/* -- load ---------------------------------------------------------------------------------------
 */

static void opened(void *arg)
{
    struct load *load = arg;
    struct serve_version *old = NULL;
    if (load->status != LEDGE_OK) {
        answer(load);
        return;
    }
    int64_t start = serve_now_ns();
    load->status = serve_slot_flip(load->slot, load->version, &old, &load->err);
    int64_t end = serve_now_ns();
    if (load->status != LEDGE_OK) {
        drained(load); /* closes the version that could not be placed */
        return;
    }
    load->swap_ms = (double)(end - start) * 1e-6;
    load->load_ms = (double)(end - load->taken_ns) * 1e-6;
    load->slot->load_ms = load->load_ms;
    load->slot->loads++;
    serve_histogram_add(&load->slot->swap, end - start);
    load->version = old;
    if (old == NULL) {
        answer(load);
    } else {
        serve_version_retire(old, drained, load);
    }
}

static void open_new(void *arg, int32_t thread)
{
    struct load *load = arg;
    (void)thread;
    load->status = serve_version_open(&load->source, load->server->options.threads, &load->version,
                                      &load->err);
    sys_loop_post(load->server->loop, opened, load);
}

static enum ledge_status optional_text(const json_t *parameters, const char *key, const char **text,
                                       struct ledge_error *err)
{
    const json_t *value = json_object_get(parameters, key);
    if (value == NULL || json_is_null(value)) {
        *text = NULL;
        return LEDGE_OK;
    }
    return sys_json_text(parameters, "parameters", key, text, err);
}

static enum ledge_status read_source(struct load *load, struct ledge_error *err)
{
    const json_t *parameters = json_object_get(load->body, "parameters");
    struct serve_source *source = &load->source;
    LEDGE_TRY(sys_json_text(parameters, "parameters", "path", &source->path, err));
    LEDGE_TRY(optional_text(parameters, "version", &source->version, err));
    LEDGE_TRY(optional_text(parameters, "sha256", &source->sha256, err));
    LEDGE_TRY(optional_text(parameters, "probe", &source->probe, err));
    const char *number = source->version != NULL ? source->version : "1";
    if (!serve_name_ok(load->name) || !serve_name_ok(number)) {
        return ledge_fail(err, LEDGE_ERR_ARG, "model and version must be [a-zA-Z0-9._-]{1,64}");
    }
    memcpy(load->number, number, strlen(number) + 1);
    source->name = load->name;
    source->version = load->number;
    return serve_slots_get(&load->server->slots, load->name, &load->slot, err);
}

/* The same bytes under the same version are loaded already: nothing to do. */
static bool is_current(const struct load *load)
{
    const struct serve_version *current = load->slot->current;
    return current != NULL && load->source.sha256 != NULL && load->slot->loading == 0 &&
           strcmp(current->sha256, load->source.sha256) == 0 &&
           strcmp(current->version, load->source.version) == 0;
}

static bool begin(struct serve_server *server, struct serve_slot *slot)
{
    if (server->draining || server->loads >= SERVE_MAX_LOADS) {
        return false;
    }
    slot->loading++;
    server->loads++;
    return true;
}

static enum ledge_status begin_load(struct load *load, struct ledge_error *err)
{
    size_t n = 0;
    const void *body = sys_http_body(load->http, &n);
    LEDGE_TRY(sys_json_parse(body, n, &load->body, err));
    LEDGE_TRY(read_source(load, err));
    bool current = is_current(load);
    if (!begin(load->server, load->slot)) {
        return ledge_fail(err, LEDGE_ERR_FULL, "too many loads are waiting");
    }
    if (current) {
        answer(load);
    } else if (!serve_pool_push(load->server->loader, open_new, load)) {
        abort(); /* as in drained() */
    }
    return LEDGE_OK;
}

void serve_handle_load(struct serve_server *server, struct sys_http_request *request,
                       const struct serve_route_names *names)
{
    struct ledge_error err = {0};
    struct load *load = calloc(1, sizeof(*load));
    if (load == NULL) {
        serve_reply_error(request, 429, "out of memory");
        return;
    }
    load->server = server;
    load->http = request;
    load->taken_ns = serve_now_ns();
    if (strlen(names->model) < sizeof(load->name)) {
        memcpy(load->name, names->model, strlen(names->model) + 1);
    }
    enum ledge_status status = begin_load(load, &err);
    if (status != LEDGE_OK) {
        serve_reply_error(request, load_status(status), "%s", err.text);
        json_decref(load->body);
        free(load);
    }
}

/* -- unload and index ---------------------------------------------------------------------------
 */

void serve_handle_unload(struct serve_server *server, struct sys_http_request *request,
                         const struct serve_route_names *names)
{
    struct serve_slot *slot = NULL;
    struct serve_version *version = serve_find_version(server, request, names, &slot);
    if (version == NULL) {
        return;
    }
    struct load *load = calloc(1, sizeof(*load));
    if (load == NULL || !begin(server, slot)) {
        free(load);
        serve_reply_error(request, 429, "too many loads are waiting");
        return;
    }
    *load = (struct load){.server = server, .http = request, .slot = slot, .version = version};
    load->unload = true;
    memcpy(load->name, version->name, sizeof(load->name));
    memcpy(load->number, version->version, sizeof(load->number));
    (void)serve_slot_empty(slot);
    serve_version_retire(version, drained, load);
}

void serve_handle_index(struct serve_server *server, struct sys_http_request *request,
                        const struct serve_route_names *names)
{
    struct ledge_buf out = LEDGE_BUF_INIT(1024 * 1024);
    (void)names;
    ledge_buf_text(&out, "[");
    for (int32_t i = 0; i < server->slots.n; i++) {
        const struct serve_slot *slot = server->slots.slots[i];
        const struct serve_version *version = slot->current;
        ledge_buf_printf(
            &out, "%s{\"name\":\"%s\",\"version\":\"%s\",\"state\":\"%s\",\"reason\":\"%s\"",
            i > 0 ? "," : "", slot->name, version != NULL ? version->version : "",
            version != NULL ? "READY" : "UNAVAILABLE", version != NULL ? "" : "unloaded");
        if (version != NULL) {
            ledge_buf_printf(&out, ",\"sha256\":\"%s\"", version->sha256);
        }
        ledge_buf_text(&out, "}");
    }
    ledge_buf_text(&out, "]");
    serve_reply_json(request, 200, &out);
}
