/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/serve.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/status.h"
#include "sys/file.h"
#include "sys/http.h"
#include "sys/json.h"
#include "sys/log.h"
#include "sys/process.h"

enum {
    LIVE_POLL_MS = 20,
    RETRY_MS = 1000,
    RETRY_MAX_MS = 30000,
    DEATHS_MAX = 3, /* while one set() waits */
    CALL_TIMEOUT_S = 60,
};

struct slot {
    char name[FLEET_NAME_SIZE];
    struct fleet_model loaded; /* sha256 "" while nothing is */
    const char *state;         /* for people: "loading", "loaded", "failed", "unloading" */
};

struct agent_serve {
    struct sys_loop *loop;
    char program[SYS_PATH];
    char socket[SYS_PATH];
    struct sys_process *process;
    struct sys_timer *timer; /* poll, retry or a late done: never two at once */
    bool live;               /* the process answers */
    bool in_call;
    bool freed; /* while in_call */
    bool retire;
    struct fleet_model call; /* what the call is about */
    bool unloading;
    struct fleet_model target[FLEET_MODELS_MAX];
    size_t n_target;
    char folder[SYS_PATH];
    struct slot slots[2 * FLEET_MODELS_MAX];
    size_t n_slots;
    void (*done)(void *arg, const struct ledge_error *err);
    void *arg;
    int deaths_waiting; /* since set() */
    int64_t deaths, deaths_mark;
    int32_t retry_ms;
    double swap_ms;
};

static void step(struct agent_serve *serve);

/* -- slots ---------------------------------------------------------------------------------------
 */

static struct slot *slot_of(struct agent_serve *serve, const char *name)
{
    for (size_t i = 0; i < serve->n_slots; i++) {
        if (strcmp(serve->slots[i].name, name) == 0) {
            return &serve->slots[i];
        }
    }
    if (serve->n_slots == sizeof serve->slots / sizeof *serve->slots) {
        return NULL;
    }
    struct slot *slot = &serve->slots[serve->n_slots++];
    *slot = (struct slot){.state = "loading"};
    memcpy(slot->name, name, strlen(name) + 1);
    return slot;
}

static const struct fleet_model *target_of(const struct agent_serve *serve, const char *name)
{
    for (size_t i = 0; i < serve->n_target; i++) {
        if (strcmp(serve->target[i].name, name) == 0) {
            return &serve->target[i];
        }
    }
    return NULL;
}

static bool same(const struct fleet_model *a, const struct fleet_model *b)
{
    return a->version == b->version && strcmp(a->blob.sha256, b->blob.sha256) == 0;
}

static void drop_slot(struct agent_serve *serve, const char *name)
{
    for (size_t i = 0; i < serve->n_slots; i++) {
        if (strcmp(serve->slots[i].name, name) == 0) {
            serve->slots[i] = serve->slots[--serve->n_slots];
            return;
        }
    }
}

/* -- waiting -------------------------------------------------------------------------------------
 */

static void set_timer(struct agent_serve *serve, int64_t ms, void (*fn)(void *arg))
{
    sys_timer_free(serve->timer);
    serve->timer = sys_timer_start(serve->loop, ms, 0, fn, serve);
}

/* Tell the waiter, if there is one; it may call set() again. */
static void tell(struct agent_serve *serve, const struct ledge_error *err)
{
    void (*done)(void *arg, const struct ledge_error *err) = serve->done;
    serve->done = NULL;
    if (done != NULL) {
        done(serve->arg, err);
    }
}

static void on_step(void *arg)
{
    struct agent_serve *serve = arg;
    sys_timer_free(serve->timer);
    serve->timer = NULL;
    step(serve);
}

/* Something did not work: the waiter hears it, or it is tried again later. */
static void trouble(struct agent_serve *serve, const struct ledge_error *err)
{
    sys_log(SYS_LOG_WARNING, "%s", err->text);
    if (serve->done != NULL) {
        tell(serve, err);
        return;
    }
    set_timer(serve, serve->retry_ms, on_step);
    serve->retry_ms = serve->retry_ms * 2 > RETRY_MAX_MS ? RETRY_MAX_MS : serve->retry_ms * 2;
}

/* -- calls ---------------------------------------------------------------------------------------
 */

static enum ledge_status start_call(struct agent_serve *serve, const char *method, const char *path,
                                    const struct ledge_buf *body,
                                    void (*done)(void *arg, struct sys_http_reply *reply,
                                                 const struct ledge_error *err),
                                    struct ledge_error *err)
{
    static const char *const headers[] = {"Content-Type", "application/json", NULL};
    char url[SYS_PATH + 256];
    (void)snprintf(url, sizeof url, "unix:%s:%s", serve->socket, path);
    struct sys_http_call call = {.method = method,
                                 .url = url,
                                 .headers = body != NULL ? headers : NULL,
                                 .body = body != NULL ? body->data : NULL,
                                 .body_bytes = body != NULL ? body->len : 0,
                                 .timeout_s = CALL_TIMEOUT_S,
                                 .max_body = 64 * 1024};
    LEDGE_TRY(sys_http_start(serve->loop, &call, done, serve, err));
    serve->in_call = true;
    return LEDGE_OK;
}

/* True when serve was freed while the call was under way. */
static bool call_ended(struct agent_serve *serve)
{
    serve->in_call = false;
    if (serve->freed) {
        serve->freed = false;
        agent_serve_free(serve);
        return true;
    }
    return false;
}

/* What ledge-serve said was wrong: {"error":"..."} or its bare words. */
static void refusal(const struct agent_serve *serve, const struct sys_http_reply *reply,
                    struct ledge_error *err)
{
    LEDGE_CLEANUP(sys_json_free) json_t *answer = NULL;
    const char *text = reply->body.data != NULL ? reply->body.data : "no words";
    const char *error = NULL;
    if (reply->body.len > 0 &&
        sys_json_parse(reply->body.data, reply->body.len, &answer, NULL) == LEDGE_OK &&
        sys_json_text(answer, "answer", "error", &error, NULL) == LEDGE_OK) {
        text = error;
    }
    (void)ledge_fail(err, LEDGE_ERR_FORMAT, "model %s version %" PRId64 ": %.150s",
                     serve->call.name, serve->call.version, text);
}

static void on_loaded(void *arg, struct sys_http_reply *reply, const struct ledge_error *err)
{
    struct agent_serve *serve = arg;
    struct ledge_error error;
    if (call_ended(serve)) {
        return;
    }
    struct slot *slot = slot_of(serve, serve->call.name);
    if (err != NULL && (err->status == LEDGE_ERR_NETWORK || !serve->live)) {
        set_timer(serve, LIVE_POLL_MS, on_step); /* it died: on_exit has seen it, or will */
        return;
    }
    if (err != NULL || reply->status != 200) {
        slot->state = slot->loaded.blob.sha256[0] != '\0' ? "loaded" : "failed";
        error = err != NULL ? *err : (struct ledge_error){.status = LEDGE_OK};
        if (err == NULL) {
            refusal(serve, reply, &error);
        }
        trouble(serve, &error);
        return;
    }
    LEDGE_CLEANUP(sys_json_free) json_t *answer = NULL;
    if (sys_json_parse(reply->body.data, reply->body.len, &answer, NULL) == LEDGE_OK) {
        serve->swap_ms = json_number_value(json_object_get(answer, "swap_ms"));
    }
    slot->loaded = serve->call;
    slot->state = "loaded";
    serve->retry_ms = RETRY_MS;
    sys_log(SYS_LOG_INFO, "model %s version %" PRId64 " loaded, swap %.3f ms", serve->call.name,
            serve->call.version, serve->swap_ms);
    step(serve);
}

static void on_unloaded(void *arg, struct sys_http_reply *reply, const struct ledge_error *err)
{
    struct agent_serve *serve = arg;
    (void)reply;
    if (call_ended(serve)) {
        return;
    }
    if (err == NULL) { /* 404 is as good as 200 */
        drop_slot(serve, serve->call.name);
    }
    step(serve);
}

static enum ledge_status put_load(const struct agent_serve *serve, const struct fleet_model *model,
                                  struct ledge_buf *body, struct ledge_error *err)
{
    char path[SYS_PATH];
    char probe[SYS_PATH];
    char version[24];
    LEDGE_TRY(sys_path(path, err, "%s/models/%s/%s", serve->folder, model->name, model->file));
    LEDGE_TRY(sys_path(probe, err, "%s/probes/%s.json", serve->folder, model->name));
    (void)snprintf(version, sizeof version, "%" PRId64, model->version);
    LEDGE_CLEANUP(sys_json_free)
    json_t *value = json_pack("{s:{s:s,s:s,s:s,s:s*}}", "parameters", "path", path, "version",
                              version, "sha256", model->blob.sha256, "probe",
                              model->probe.sha256[0] != '\0' ? probe : NULL);
    return value == NULL ? ledge_fail(err, LEDGE_ERR_NOMEM, "load: out of memory")
                         : sys_json_write(value, body);
}

static void load(struct agent_serve *serve, const struct fleet_model *model)
{
    LEDGE_CLEANUP(ledge_buf_done) struct ledge_buf body = LEDGE_BUF_INIT(8192);
    struct ledge_error err = {.status = LEDGE_OK};
    char path[128];
    struct slot *slot = slot_of(serve, model->name);
    (void)snprintf(path, sizeof path, "/v2/repository/models/%s/load", model->name);
    serve->call = *model;
    if (slot == NULL) {
        (void)ledge_fail(&err, LEDGE_ERR_FULL, "model %s: too many models are loaded", model->name);
    } else if (put_load(serve, model, &body, &err) == LEDGE_OK &&
               start_call(serve, "POST", path, &body, on_loaded, &err) == LEDGE_OK) {
        slot->state = "loading";
        return;
    }
    trouble(serve, &err);
}

static void unload(struct agent_serve *serve, struct slot *slot)
{
    struct ledge_error err;
    char path[128];
    (void)snprintf(path, sizeof path, "/v2/repository/models/%s/unload", slot->name);
    memcpy(serve->call.name, slot->name, sizeof slot->name);
    slot->state = "unloading";
    if (start_call(serve, "POST", path, NULL, on_unloaded, &err) != LEDGE_OK) {
        drop_slot(serve, serve->call.name); /* it goes when the process does */
    }
}

/* -- the process ---------------------------------------------------------------------------------
 */

static void poll_live(void *arg);

static void on_live(void *arg, struct sys_http_reply *reply, const struct ledge_error *err)
{
    struct agent_serve *serve = arg;
    if (call_ended(serve)) {
        return;
    }
    if (err == NULL && reply->status == 200 && serve->process != NULL &&
        sys_process_pid(serve->process) > 0) {
        serve->live = true;
        step(serve);
    } else {
        set_timer(serve, LIVE_POLL_MS, poll_live);
    }
}

static void poll_live(void *arg)
{
    struct agent_serve *serve = arg;
    struct ledge_error err;
    sys_timer_free(serve->timer);
    serve->timer = NULL;
    if (serve->in_call || !sys_file_exists(serve->socket) ||
        start_call(serve, "GET", "/v2/health/live", NULL, on_live, &err) != LEDGE_OK) {
        set_timer(serve, LIVE_POLL_MS, poll_live);
    }
}

static void on_start(void *arg, pid_t pid)
{
    struct agent_serve *serve = arg;
    sys_log(SYS_LOG_INFO, "ledge-serve runs as process %d", (int)pid);
    set_timer(serve, LIVE_POLL_MS, poll_live);
}

static void on_exit_of(void *arg, int status, bool restarting)
{
    struct agent_serve *serve = arg;
    (void)restarting;
    sys_log(SYS_LOG_WARNING, "ledge-serve ended (wait status %d); it is started again", status);
    serve->live = false;
    serve->deaths++;
    serve->deaths_waiting++;
    for (size_t i = 0; i < serve->n_slots; i++) {
        serve->slots[i].loaded = (struct fleet_model){.version = 0};
        serve->slots[i].state = "loading";
    }
    if (serve->done != NULL && serve->deaths_waiting >= DEATHS_MAX) {
        struct ledge_error err;
        (void)ledge_fail(&err, LEDGE_ERR_STATE, "ledge-serve ended %d times while it was loading",
                         serve->deaths_waiting);
        tell(serve, &err);
    }
}

static enum ledge_status start_process(struct agent_serve *serve, struct ledge_error *err)
{
    const char *const argv[] = {serve->program, "--socket", serve->socket, NULL};
    struct sys_process_options options = {.argv = argv,
                                          .backoff_ms = 100,
                                          .backoff_max_ms = 10000,
                                          .on_start = on_start,
                                          .on_exit = on_exit_of,
                                          .arg = serve};
    LEDGE_TRY(sys_tree_remove(serve->socket, err));
    return sys_process_start(serve->loop, &options, &serve->process, err);
}

/* Do the next thing that brings what is loaded nearer to the target. */
static void step(struct agent_serve *serve)
{
    struct ledge_error err;
    if (serve->in_call) {
        return;
    }
    if (serve->process == NULL && serve->n_target > 0) {
        if (start_process(serve, &err) != LEDGE_OK) {
            trouble(serve, &err);
        }
        return;
    }
    if (serve->process != NULL && !serve->live) {
        if (serve->timer == NULL) {
            set_timer(serve, LIVE_POLL_MS, poll_live);
        }
        return;
    }
    for (size_t i = 0; i < serve->n_target; i++) {
        const struct slot *slot = slot_of(serve, serve->target[i].name);
        if (slot == NULL || !same(&slot->loaded, &serve->target[i])) {
            load(serve, &serve->target[i]);
            return;
        }
    }
    for (size_t i = 0; serve->retire && i < serve->n_slots; i++) {
        if (target_of(serve, serve->slots[i].name) == NULL) {
            unload(serve, &serve->slots[i]);
            return;
        }
    }
    tell(serve, NULL);
}

/* -- public --------------------------------------------------------------------------------------
 */

enum ledge_status agent_serve_create(struct sys_loop *loop,
                                     const struct agent_serve_options *options,
                                     struct agent_serve **out, struct ledge_error *err)
{
    struct agent_serve *serve = calloc(1, sizeof *serve);
    if (serve == NULL) {
        return ledge_fail(err, LEDGE_ERR_NOMEM, "serve: out of memory");
    }
    serve->loop = loop;
    serve->retry_ms = RETRY_MS;
    serve->swap_ms = -1;
    enum ledge_status status = sys_path(serve->program, err, "%s", options->program);
    if (status == LEDGE_OK) {
        status = sys_path(serve->socket, err, "%s", options->socket);
    }
    if (status != LEDGE_OK) {
        free(serve);
        return status;
    }
    *out = serve;
    return LEDGE_OK;
}

void agent_serve_free(struct agent_serve *serve)
{
    if (serve == NULL) {
        return;
    }
    sys_timer_free(serve->timer);
    serve->timer = NULL;
    sys_process_free(serve->process);
    serve->process = NULL;
    serve->done = NULL;
    if (serve->in_call) { /* the answer, or its failure, frees the rest */
        serve->freed = true;
        return;
    }
    free(serve);
}

void agent_serve_set(struct agent_serve *serve, const struct fleet_desired *desired,
                     const char *folder, void (*done)(void *arg, const struct ledge_error *err),
                     void *arg)
{
    serve->n_target = desired != NULL ? desired->n_models : 0;
    if (serve->n_target > 0) {
        memcpy(serve->target, desired->models, serve->n_target * sizeof *serve->target);
    }
    (void)snprintf(serve->folder, sizeof serve->folder, "%s", folder);
    serve->done = done;
    serve->arg = arg;
    serve->deaths_waiting = 0;
    serve->retry_ms = RETRY_MS;
    serve->retire = false;
    if (!serve->in_call && (serve->process == NULL || serve->live)) {
        set_timer(serve, 0, on_step);
    }
}

void agent_serve_retire(struct agent_serve *serve)
{
    serve->retire = true;
    if (serve->live && !serve->in_call) {
        set_timer(serve, 0, on_step);
    }
}

void agent_serve_mark(struct agent_serve *serve)
{
    serve->deaths_mark = serve->deaths;
}

bool agent_serve_healthy(const struct agent_serve *serve, char why[200])
{
    if (serve->deaths != serve->deaths_mark) {
        (void)snprintf(why, 200, "ledge-serve ended during the trial");
        return false;
    }
    for (size_t i = 0; i < serve->n_target; i++) {
        bool loaded = false;
        for (size_t k = 0; k < serve->n_slots; k++) {
            loaded = loaded || (strcmp(serve->slots[k].name, serve->target[i].name) == 0 &&
                                same(&serve->slots[k].loaded, &serve->target[i]));
        }
        if (!loaded) {
            (void)snprintf(why, 200, "model %s is not loaded", serve->target[i].name);
            return false;
        }
    }
    return true;
}

json_t *agent_serve_status(const struct agent_serve *serve)
{
    json_t *list = json_array();
    for (size_t i = 0; i < serve->n_slots; i++) {
        const struct slot *slot = &serve->slots[i];
        const struct fleet_model *wanted = target_of(serve, slot->name);
        const struct fleet_model *model =
            slot->loaded.blob.sha256[0] != '\0' || wanted == NULL ? &slot->loaded : wanted;
        (void)json_array_append_new(list, json_pack("{s:s,s:I,s:s,s:s}", "name", slot->name,
                                                    "version", (json_int_t)model->version, "sha256",
                                                    model->blob.sha256, "state", slot->state));
    }
    return list;
}

double agent_serve_swap_ms(const struct agent_serve *serve)
{
    return serve->swap_ms;
}
