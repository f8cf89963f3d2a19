/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/functions.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "agent/logfile.h"
#include "base/cleanup.h"
#include "base/status.h"
#include "fleet/envelope.h"
#include "sys/file.h"
#include "sys/log.h"
#include "sys/process.h"

enum { STOP_MS = 5000, BACKOFF_MS = 200, BACKOFF_MAX_MS = 30000, SETTINGS = 8 };

/* How to start a function: copies, because it may have to wait for its predecessor's end. */
struct spec {
    int64_t version;
    char key[65];
    char *argv[FLEET_ARGS_MAX + 2];
    char *env[FLEET_ENV_MAX + SETTINGS + 1];
};

struct unit {
    struct agent_functions *owner;
    struct unit *next;
    char name[FLEET_NAME_SIZE];
    struct spec *spec;      /* of what runs */
    struct spec *successor; /* to be started when it has ended; NULL: nothing */
    struct sys_process *process;
    struct agent_logfile *log;
    bool stopping;
    bool wanted; /* named by the set() in work */
    int32_t restarts_mark;
    char ended[48];    /* how it ended last, for people; "" while it has not */
    const char *state; /* "running", "backoff", "stopping", "failed" */
};

struct agent_functions {
    struct sys_loop *loop;
    char state[SYS_PATH];
    char device[FLEET_NAME_SIZE];
    char serve_socket[SYS_PATH];
    char agent_socket[SYS_PATH];
    struct unit *units;
    struct sys_timer *timer; /* to tell done from the loop */
    void (*done)(void *arg, const struct ledge_error *err);
    void *arg;
    struct ledge_error failure; /* the first one of the set() in work */
};

/* -- specs ---------------------------------------------------------------------------------------
 */

static void free_spec(struct spec *spec)
{
    if (spec == NULL) {
        return;
    }
    for (size_t i = 0; spec->argv[i] != NULL; i++) {
        free(spec->argv[i]);
    }
    for (size_t i = 0; spec->env[i] != NULL; i++) {
        free(spec->env[i]);
    }
    free(spec);
}

static bool add_setting(struct spec *spec, size_t *n, const char *name, const char *value)
{
    struct ledge_buf text = LEDGE_BUF_INIT(FLEET_DOCUMENT_MAX + 256);
    if (!ledge_buf_printf(&text, "%s=%s", name, value)) {
        ledge_buf_done(&text);
        return false;
    }
    spec->env[(*n)++] = text.data; /* now owned by the spec */
    return true;
}

static enum ledge_status make_env(const struct agent_functions *owner,
                                  const struct fleet_function *f, struct spec *spec,
                                  struct ledge_error *err)
{
    LEDGE_CLEANUP(ledge_buf_done) struct ledge_buf config = LEDGE_BUF_INIT(FLEET_DOCUMENT_MAX);
    char folder[SYS_PATH];
    const char *name;
    json_t *value;
    size_t n = 0;
    LEDGE_TRY(sys_path(folder, err, "%s/functions/%s/state", owner->state, f->name));
    if (f->config != NULL) {
        LEDGE_TRY(fleet_canonical(f->config, &config, err));
    }
    bool good = add_setting(spec, &n, "PYTHONUNBUFFERED", "1"); /* lines reach the log at once */
    json_object_foreach((json_t *)(uintptr_t)f->env, name, value)
    {
        good = good && add_setting(spec, &n, name, json_string_value(value));
    }
    good = good && add_setting(spec, &n, "LEDGE_SERVE_SOCKET", owner->serve_socket) &&
           add_setting(spec, &n, "LEDGE_AGENT_SOCKET", owner->agent_socket) &&
           add_setting(spec, &n, "LEDGE_DEVICE", owner->device) &&
           add_setting(spec, &n, "LEDGE_FUNCTION", f->name) &&
           add_setting(spec, &n, "LEDGE_CONFIG", config.len > 0 ? config.data : "{}") &&
           add_setting(spec, &n, "LEDGE_STATE", folder);
    return good ? LEDGE_OK
                : ledge_fail(err, LEDGE_ERR_NOMEM, "function %s: out of memory", f->name);
}

static enum ledge_status fill_spec(const struct agent_functions *owner,
                                   const struct fleet_function *f, struct spec *spec,
                                   struct ledge_error *err)
{
    char path[SYS_PATH];
    spec->version = f->version;
    LEDGE_TRY(fleet_function_key(f, spec->key, err));
    LEDGE_TRY(sys_path(path, err, "%s/current/functions/%s/%s", owner->state, f->name, f->file));
    spec->argv[0] = strdup(path);
    bool good = spec->argv[0] != NULL;
    for (size_t i = 0; good && i < json_array_size(f->args); i++) {
        spec->argv[i + 1] = strdup(json_string_value(json_array_get(f->args, i)));
        good = spec->argv[i + 1] != NULL;
    }
    return good ? make_env(owner, f, spec, err)
                : ledge_fail(err, LEDGE_ERR_NOMEM, "function %s: out of memory", f->name);
}

static enum ledge_status make_spec(const struct agent_functions *owner,
                                   const struct fleet_function *f, struct spec **out,
                                   struct ledge_error *err)
{
    struct spec *spec = calloc(1, sizeof *spec);
    enum ledge_status status =
        spec != NULL ? fill_spec(owner, f, spec, err)
                     : ledge_fail(err, LEDGE_ERR_NOMEM, "function %s: out of memory", f->name);
    if (status != LEDGE_OK) {
        free_spec(spec);
        return status;
    }
    *out = spec;
    return LEDGE_OK;
}

/* -- units ---------------------------------------------------------------------------------------
 */

static void check_settled(struct agent_functions *functions);

static void free_unit(struct unit *unit)
{
    sys_process_free(unit->process);
    agent_logfile_close(unit->log);
    free_spec(unit->spec);
    free_spec(unit->successor);
    free(unit);
}

static struct unit *find_unit(const struct agent_functions *functions, const char *name)
{
    struct unit *unit = functions->units;
    while (unit != NULL && strcmp(unit->name, name) != 0) {
        unit = unit->next;
    }
    return unit;
}

static void unlink_unit(struct unit *unit)
{
    struct unit **at = &unit->owner->units;
    while (*at != unit) {
        at = &(*at)->next;
    }
    *at = unit->next;
}

static void on_line(void *arg, const char *line)
{
    struct unit *unit = arg;
    if (unit->log != NULL) {
        agent_logfile_add(unit->log, sys_now_ms(), line);
    }
}

static void on_start(void *arg, pid_t pid)
{
    struct unit *unit = arg;
    unit->state = "running";
    sys_log(SYS_LOG_INFO, "function %s runs as process %d", unit->name, (int)pid);
}

static void on_exit_of(void *arg, int status, bool restarting)
{
    struct unit *unit = arg;
    char text[96];
    (void)snprintf(unit->ended, sizeof unit->ended, "ended by %s %d",
                   WIFSIGNALED(status) ? "signal" : "itself, exit code",
                   WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    (void)snprintf(text, sizeof text, "ledge-agent: %s%s", unit->ended,
                   restarting ? "; it is started again" : "");
    on_line(unit, text);
    if (restarting) {
        unit->state = "backoff";
        sys_log(SYS_LOG_WARNING, "function %s: %s", unit->name, text + strlen("ledge-agent: "));
    }
}

/* Folders and log, then the process. */
static enum ledge_status start_unit(struct unit *unit, struct ledge_error *err)
{
    struct agent_functions *owner = unit->owner;
    char folder[SYS_PATH];
    char path[SYS_PATH];
    LEDGE_TRY(sys_path(folder, err, "%s/functions/%s/state", owner->state, unit->name));
    LEDGE_TRY(sys_dir_make(folder, err));
    if (unit->log == NULL) {
        LEDGE_TRY(sys_path(path, err, "%s/functions/%s/log", owner->state, unit->name));
        LEDGE_TRY(agent_logfile_open(path, &unit->log, err));
    }
    struct sys_process_options options = {.argv = (const char *const *)unit->spec->argv,
                                          .env = (const char *const *)unit->spec->env,
                                          .cwd = folder,
                                          .stop_ms = STOP_MS,
                                          .backoff_ms = BACKOFF_MS,
                                          .backoff_max_ms = BACKOFF_MAX_MS,
                                          .on_line = on_line,
                                          .on_start = on_start,
                                          .on_exit = on_exit_of,
                                          .arg = unit};
    return sys_process_start(owner->loop, &options, &unit->process, err);
}

/* spec is to run now; takes it over. */
static void run_spec(struct unit *unit, struct spec *spec)
{
    struct ledge_error err;
    free_spec(unit->spec);
    unit->spec = spec;
    unit->restarts_mark = 0;
    unit->ended[0] = '\0';
    if (start_unit(unit, &err) != LEDGE_OK) {
        unit->state = "failed";
        sys_log(SYS_LOG_ERROR, "function %s: %s", unit->name, err.text);
        if (unit->owner->failure.status == LEDGE_OK) {
            (void)ledge_fail(&unit->owner->failure, err.status, "function %s: %.180s", unit->name,
                             err.text);
        }
    }
}

static void on_stopped(void *arg)
{
    struct unit *unit = arg;
    struct agent_functions *owner = unit->owner;
    struct spec *successor = unit->successor;
    sys_process_free(unit->process);
    unit->process = NULL;
    unit->stopping = false;
    unit->successor = NULL;
    if (successor != NULL) {
        run_spec(unit, successor);
    } else {
        unlink_unit(unit);
        free_unit(unit);
    }
    check_settled(owner);
}

static void stop_unit(struct unit *unit)
{
    if (unit->stopping) {
        return;
    }
    unit->stopping = true;
    unit->state = "stopping";
    if (unit->process != NULL) {
        sys_process_stop(unit->process, on_stopped, unit);
    }
}

/* -- set -----------------------------------------------------------------------------------------
 */

static void tell_done(void *arg)
{
    struct agent_functions *functions = arg;
    void (*done)(void *done_arg, const struct ledge_error *err) = functions->done;
    struct ledge_error failure = functions->failure;
    sys_timer_free(functions->timer);
    functions->timer = NULL;
    functions->done = NULL;
    if (done != NULL) {
        done(functions->arg, failure.status == LEDGE_OK ? NULL : &failure);
    }
}

static void check_settled(struct agent_functions *functions)
{
    for (const struct unit *unit = functions->units; unit != NULL; unit = unit->next) {
        if (unit->stopping) {
            return;
        }
    }
    if (functions->timer == NULL && functions->done != NULL) {
        functions->timer = sys_timer_start(functions->loop, 0, 0, tell_done, functions);
    }
}

static struct unit *add_unit(struct agent_functions *functions, const char *name)
{
    struct unit *unit = calloc(1, sizeof *unit);
    if (unit != NULL) {
        unit->owner = functions;
        unit->state = "stopping";
        memcpy(unit->name, name, strlen(name) + 1);
        unit->next = functions->units;
        functions->units = unit;
    }
    return unit;
}

static enum ledge_status set_one(struct agent_functions *functions, const struct fleet_function *f,
                                 struct ledge_error *err)
{
    struct spec *spec = NULL;
    struct unit *unit = find_unit(functions, f->name);
    LEDGE_TRY(make_spec(functions, f, &spec, err));
    if (unit != NULL) {
        unit->wanted = true;
    }
    if (unit != NULL && unit->process != NULL && !unit->stopping &&
        strcmp(unit->spec->key, spec->key) == 0) {
        unit->spec->version = spec->version; /* nothing else changed: it runs on */
        free_spec(spec);
        return LEDGE_OK;
    }
    if (unit == NULL) {
        unit = add_unit(functions, f->name);
        if (unit == NULL) {
            free_spec(spec);
            return ledge_fail(err, LEDGE_ERR_NOMEM, "function %s: out of memory", f->name);
        }
        unit->wanted = true;
    }
    if (unit->process == NULL) {
        run_spec(unit, spec);
    } else {
        free_spec(unit->successor);
        unit->successor = spec;
        stop_unit(unit);
    }
    return LEDGE_OK;
}

void agent_functions_set(struct agent_functions *functions, const struct fleet_desired *desired,
                         void (*done)(void *arg, const struct ledge_error *err), void *arg)
{
    sys_timer_free(functions->timer); /* the answer to an earlier set() */
    functions->timer = NULL;
    functions->done = done;
    functions->arg = arg;
    functions->failure = (struct ledge_error){.status = LEDGE_OK};
    for (struct unit *unit = functions->units; unit != NULL; unit = unit->next) {
        unit->wanted = false;
    }
    for (size_t i = 0; desired != NULL && i < desired->n_functions; i++) {
        struct ledge_error err;
        if (set_one(functions, &desired->functions[i], &err) != LEDGE_OK &&
            functions->failure.status == LEDGE_OK) {
            functions->failure = err;
        }
    }
    for (struct unit *unit = functions->units, *next; unit != NULL; unit = next) {
        next = unit->next;
        if (unit->wanted) {
            continue;
        }
        free_spec(unit->successor);
        unit->successor = NULL;
        if (unit->process == NULL) {
            unlink_unit(unit);
            free_unit(unit);
        } else {
            stop_unit(unit);
        }
    }
    check_settled(functions);
}

/* -- public --------------------------------------------------------------------------------------
 */

enum ledge_status agent_functions_create(struct sys_loop *loop,
                                         const struct agent_functions_options *options,
                                         struct agent_functions **out, struct ledge_error *err)
{
    struct agent_functions *functions = calloc(1, sizeof *functions);
    if (functions == NULL) {
        return ledge_fail(err, LEDGE_ERR_NOMEM, "functions: out of memory");
    }
    functions->loop = loop;
    (void)snprintf(functions->device, sizeof functions->device, "%s", options->device);
    enum ledge_status status = sys_path(functions->state, err, "%s", options->state);
    if (status == LEDGE_OK) {
        status = sys_path(functions->serve_socket, err, "%s", options->serve_socket);
    }
    if (status == LEDGE_OK) {
        status = sys_path(functions->agent_socket, err, "%s", options->agent_socket);
    }
    if (status != LEDGE_OK) {
        free(functions);
        return status;
    }
    *out = functions;
    return LEDGE_OK;
}

void agent_functions_free(struct agent_functions *functions)
{
    if (functions == NULL) {
        return;
    }
    while (functions->units != NULL) {
        struct unit *next = functions->units->next;
        free_unit(functions->units);
        functions->units = next;
    }
    sys_timer_free(functions->timer);
    free(functions);
}

void agent_functions_mark(struct agent_functions *functions)
{
    for (struct unit *unit = functions->units; unit != NULL; unit = unit->next) {
        unit->restarts_mark = unit->process != NULL ? sys_process_restarts(unit->process) : 0;
    }
}

bool agent_functions_healthy(const struct agent_functions *functions, char why[200])
{
    for (const struct unit *unit = functions->units; unit != NULL; unit = unit->next) {
        if (unit->process == NULL || sys_process_pid(unit->process) == 0 ||
            sys_process_restarts(unit->process) != unit->restarts_mark) {
            (void)snprintf(why, 200, "function %s did not stay up%s%s", unit->name,
                           unit->ended[0] != '\0' ? ": " : "", unit->ended);
            return false;
        }
    }
    return true;
}

json_t *agent_functions_status(const struct agent_functions *functions)
{
    json_t *list = json_array();
    for (const struct unit *unit = functions->units; unit != NULL; unit = unit->next) {
        json_int_t pid = unit->process != NULL ? sys_process_pid(unit->process) : 0;
        json_int_t restarts = unit->process != NULL ? sys_process_restarts(unit->process) : 0;
        (void)json_array_append_new(
            list, json_pack("{s:s,s:I,s:s,s:I,s:I}", "name", unit->name, "version",
                            (json_int_t)(unit->spec != NULL ? unit->spec->version : 0), "state",
                            unit->state, "restarts", restarts, "pid", pid));
    }
    return list;
}

json_t *agent_functions_log(const struct agent_functions *functions, const char *name, size_t limit,
                            size_t max_bytes)
{
    char path[SYS_PATH];
    if (find_unit(functions, name) == NULL ||
        sys_path(path, NULL, "%s/functions/%s/log", functions->state, name) != LEDGE_OK) {
        return NULL;
    }
    return agent_logfile_tail(path, limit, max_bytes);
}
