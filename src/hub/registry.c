/* SPDX-License-Identifier: Apache-2.0 */
/* registry.c -- models and functions: immutable versions, known by the digest of their file. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/status.h"
#include "hub/api.h"
#include "hub_sql.h"
#include "sys/file.h"
#include "sys/json.h"
#include "sys/log.h"

/* -- lists -- */

static json_t *stored_or_null(const struct sys_row *row, int column)
{
    return sys_row_null(row, column) ? json_null()
                                     : hub_json_stored(sys_row_text(row, column), false);
}

/* Columns of version_list_*.sql. */
static bool add_version(void *arg, const struct sys_row *row)
{
    (void)json_array_append_new(
        arg, json_pack("{s:I,s:o,s:I,s:o,s:o,s:o,s:o,s:o,s:I,s:o,s:o}", "version",
                       (json_int_t)sys_row_int(row, 0), "sha256", hub_json_text(row, 1), "size",
                       (json_int_t)sys_row_int(row, 2), "format", hub_json_text(row, 3), "created",
                       hub_json_time(sys_row_int(row, 4)), "metrics", stored_or_null(row, 5),
                       "gate", stored_or_null(row, 6), "note", hub_json_text(row, 7), "deployed",
                       (json_int_t)sys_row_int(row, 8), "file", hub_json_text(row, 9), "probe",
                       hub_json_text(row, 10)));
    return true;
}

static const char *versions_of(const char *kind)
{
    return strcmp(kind, "model") == 0 ? hub_sql_version_list_model : hub_sql_version_list_function;
}

static void list(struct hub_request *request, const char *kind)
{
    hub_reply_versions(request, &(struct hub_versions){.kind = kind,
                                                       .names = hub_sql_version_names,
                                                       .versions = versions_of(kind),
                                                       .add = add_version});
}

static void one(struct hub_request *request, const char *kind)
{
    struct ledge_error err;
    json_t *versions = json_array();
    if (sys_sql_do(request->hub->sql, &err, add_version, versions, versions_of(kind), "s",
                   request->params[0]) != LEDGE_OK) {
        json_decref(versions);
        hub_reply_error(request, &err);
    } else if (json_array_size(versions) == 0) {
        json_decref(versions);
        hub_reply_problem(request, 404, "no %s is named %s", kind, request->params[0]);
    } else {
        hub_reply_json(request, 200,
                       json_pack("{s:s,s:o}", "name", request->params[0], "versions", versions));
    }
}

/* -- POST .../versions -- */

struct upload {
    const char *kind, *name;
    const void *bytes;
    size_t n;
    char file[FLEET_NAME_SIZE], format[16];
    char *metrics, *gate, *run; /* OWNED JSON, or NULL */
    const char *note, *probe;   /* BORROWED from meta */
    char sha256[65];
    int64_t version;
    bool known;
};

static void upload_done(struct upload *upload)
{
    free(upload->metrics);
    free(upload->gate);
    free(upload->run);
}

/* Told by the bytes; where they do not tell, by the file's name. */
static void format_of(struct upload *upload)
{
    const char *bytes = upload->bytes;
    const char *dot = strrchr(upload->file, '.');
    const char *format = dot != NULL ? dot + 1 : "binary";
    if (upload->n >= 8 && memcmp(bytes + 4, "TFL3", 4) == 0) {
        format = "tflite";
    } else if (upload->n >= 4 && memcmp(bytes,
                                        "\x7f"
                                        "ELF",
                                        4) == 0) {
        format = "elf";
    }
    (void)snprintf(upload->format, sizeof upload->format, "%.15s", format);
}

static char *dump_object(const json_t *meta, const char *key)
{
    const json_t *value = json_object_get(meta, key);
    return json_is_object(value) ? json_dumps(value, JSON_COMPACT) : NULL;
}

static enum ledge_status read_meta(const json_t *meta, struct upload *upload,
                                   struct ledge_error *err)
{
    const char *file = json_string_value(json_object_get(meta, "file"));
    file = file != NULL ? file : upload->name;
    if (!fleet_name_ok(file)) {
        return ledge_fail(err, LEDGE_ERR_FORMAT,
                          "X-Ledge-Meta: file is not a name of [a-zA-Z0-9._-]{1,64}");
    }
    (void)snprintf(upload->file, sizeof upload->file, "%s", file);
    upload->note = json_string_value(json_object_get(meta, "note"));
    upload->probe = json_string_value(json_object_get(meta, "probe"));
    if (upload->probe != NULL && !fleet_digest_ok(upload->probe)) {
        return ledge_fail(err, LEDGE_ERR_FORMAT, "X-Ledge-Meta: probe is not a digest");
    }
    upload->metrics = dump_object(meta, "metrics");
    upload->gate = dump_object(meta, "gate");
    upload->run = dump_object(meta, "run");
    format_of(upload);
    return LEDGE_OK;
}

/* Inside a transaction. */
static enum ledge_status store(struct hub *hub, const char *actor, struct upload *u,
                               struct ledge_error *err)
{
    int64_t size = -1, same = 0;
    char subject[160];
    if (u->probe != NULL) {
        LEDGE_TRY(sys_sql_do(hub->sql, err, hub_row_int, &size, hub_sql_blob_get, "s", u->probe));
        if (size < 0) {
            return ledge_fail(err, LEDGE_ERR_FORMAT, "X-Ledge-Meta: there is no blob %s", u->probe);
        }
    }
    LEDGE_TRY(hub_blob_put(hub, u->bytes, u->n, u->sha256, err));
    LEDGE_TRY(sys_sql_do(hub->sql, err, hub_row_int, &same, hub_sql_version_same, "sss", u->kind,
                         u->name, u->sha256));
    if (same > 0) {
        u->known = true;
        u->version = same;
        return LEDGE_OK;
    }
    LEDGE_TRY(sys_sql_do(hub->sql, err, hub_row_int, &u->version, hub_sql_version_next, "ss",
                         u->kind, u->name));
    LEDGE_TRY(sys_sql_do(hub->sql, err, NULL, NULL, hub_sql_version_add, "ssisississsss", u->kind,
                         u->name, u->version, u->sha256, (int64_t)u->n, u->file, u->format,
                         sys_now_ms(), u->metrics, u->gate, u->note, u->probe, u->run));
    (void)snprintf(subject, sizeof subject, "%s %s v%lld", u->kind, u->name, (long long)u->version);
    return hub_audit(hub, actor, "version.add", subject, u->sha256, err);
}

static void push(struct hub_request *request, const char *kind)
{
    struct ledge_error err;
    struct hub *hub = request->hub;
    struct upload upload = {.kind = kind, .name = request->params[0]};
    upload.bytes = sys_http_body(request->http, &upload.n);
    if (!fleet_name_ok(upload.name) || upload.n == 0) {
        hub_reply_problem(request, 400, "%s",
                          upload.n == 0 ? "the body is empty"
                                        : "a name is [a-zA-Z0-9._-]{1,64}, no dot in front");
        return;
    }
    json_t *meta = hub_request_meta(request);
    if (meta == NULL) {
        return;
    }
    enum ledge_status status = read_meta(meta, &upload, &err);
    if (status == LEDGE_OK) {
        status = sys_sql_begin(hub->sql, &err);
        if (status == LEDGE_OK) {
            status = store(hub, request->actor, &upload, &err);
        }
        status = hub_end(hub, status, &err);
    }
    if (status != LEDGE_OK) {
        hub_reply_error(request, &err);
    } else {
        if (!upload.known) {
            sys_log(SYS_LOG_INFO, "%s %s version %lld, %zu bytes", kind, upload.name,
                    (long long)upload.version, upload.n);
            hub_event(hub, "model",
                      json_pack("{s:s,s:s,s:I}", "kind", kind, "name", upload.name, "version",
                                (json_int_t)upload.version));
        }
        hub_reply_json(request, upload.known ? 200 : 201,
                       json_pack("{s:s,s:I,s:s}", "name", upload.name, "version",
                                 (json_int_t)upload.version, "sha256", upload.sha256));
    }
    upload_done(&upload);
    json_decref(meta);
}

void hub_on_models(struct hub_request *request)
{
    list(request, "model");
}

void hub_on_model(struct hub_request *request)
{
    one(request, "model");
}

void hub_on_model_push(struct hub_request *request)
{
    push(request, "model");
}

void hub_on_functions(struct hub_request *request)
{
    list(request, "function");
}

void hub_on_function(struct hub_request *request)
{
    one(request, "function");
}

void hub_on_function_push(struct hub_request *request)
{
    push(request, "function");
}
