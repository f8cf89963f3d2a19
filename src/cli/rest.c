/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/rest.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/status.h"
#include "sys/http.h"
#include "sys/json.h"
#include "sys/tls.h"

enum { JSON_BYTES = 64 << 20, CONFIG_BYTES = 65536, CALL_SECONDS = 60 };

static enum ledge_status config_path(char path[SYS_PATH], struct ledge_error *err)
{
    const char *config = getenv("XDG_CONFIG_HOME");
    const char *home = getenv("HOME");
    if (config != NULL && config[0] != '\0') {
        return sys_path(path, err, "%s/ledge/hub.json", config);
    }
    if (home == NULL) {
        return ledge_fail(err, LEDGE_ERR_NOT_FOUND, "neither XDG_CONFIG_HOME nor HOME is set");
    }
    return sys_path(path, err, "%s/.config/ledge/hub.json", home);
}

static json_t *read_config(void)
{
    char path[SYS_PATH];
    json_t *config = NULL;
    LEDGE_CLEANUP(ledge_buf_done) struct ledge_buf text = LEDGE_BUF_INIT(CONFIG_BYTES);
    if (config_path(path, NULL) != LEDGE_OK || sys_file_read(path, &text, NULL) != LEDGE_OK ||
        sys_json_parse(text.data, text.len, &config, NULL) != LEDGE_OK) {
        return NULL;
    }
    return config;
}

/* The first that is given: option, environment, configuration. */
static void choose(char *out, size_t n, const char *option, const char *variable,
                   const json_t *config, const char *key)
{
    const char *value = option != NULL ? option : getenv(variable);
    if (value == NULL) {
        value = json_string_value(json_object_get(config, key));
    }
    (void)snprintf(out, n, "%s", value != NULL ? value : "");
}

enum ledge_status cli_rest_open(const struct cli_rest_options *options, struct cli_rest *rest,
                                struct ledge_error *err)
{
    LEDGE_CLEANUP(sys_json_free) json_t *config = read_config();
    *rest = (struct cli_rest){.tls = NULL};
    choose(rest->url, sizeof rest->url, options->hub, "LEDGE_HUB", config, "hub");
    choose(rest->token, sizeof rest->token, options->token, "LEDGE_TOKEN", config, "token");
    choose(rest->ca, sizeof rest->ca, options->ca, "LEDGE_CA", config, "ca");
    size_t n = strlen(rest->url);
    if (n > 0 && rest->url[n - 1] == '/') {
        rest->url[n - 1] = '\0';
    }
    if (rest->url[0] == '\0') {
        return ledge_fail(err, LEDGE_ERR_ARG,
                          "which hub? give --hub URL or set LEDGE_HUB, or run `ledge login` once");
    }
    if (rest->token[0] == '\0') {
        return ledge_fail(err, LEDGE_ERR_AUTH,
                          "no admin token: set LEDGE_TOKEN, or run `ledge login` once");
    }
    if (strncmp(rest->url, "https://", 8) != 0) {
        return strncmp(rest->url, "http://", 7) == 0
                   ? LEDGE_OK
                   : ledge_fail(err, LEDGE_ERR_ARG,
                                "--hub %.200s: not a URL like https://127.0.0.1:8443", rest->url);
    }
    const struct sys_tls_options tls = {
        .ca = rest->ca[0] != '\0' ? rest->ca : "/etc/ssl/certs/ca-certificates.crt",
        .verify = SYS_TLS_VERIFY_REQUIRED};
    struct ledge_error why;
    if (sys_tls_create(&tls, &rest->tls, &why) != LEDGE_OK) {
        return ledge_fail(err, why.status, "--ca: %s; give the hub's <state>/ca.crt, or LEDGE_CA",
                          why.text);
    }
    return LEDGE_OK;
}

void cli_rest_done(struct cli_rest *rest)
{
    sys_tls_free(rest->tls);
    rest->tls = NULL;
}

/* What to do about a refusal; "" when its own words say it. */
static const char *next_step(int http, const char *path)
{
    static const struct {
        const char *start, *step;
    } lists[] = {
        {"/devices/", "; see `ledge device list`"},
        {"/models/", "; see `ledge model list`"},
        {"/functions/", "; see `ledge model list`"},
        {"/samples/", "; see `ledge sample list`"},
        {"/deployments/", "; see `ledge deploy list`"},
        {"/datasets/", "; see `ledge dataset list`"},
    };
    if (http == 401) {
        return "; give --token or LEDGE_TOKEN, or run `ledge login`";
    }
    for (size_t i = 0; http == 404 && i < CLI_COUNT(lists); i++) {
        if (strncmp(path, lists[i].start, strlen(lists[i].start)) == 0) {
            return lists[i].step;
        }
    }
    return "";
}

/* The problem's own words, else the status; and the next step. */
static enum ledge_status refused(const char *method, const char *path,
                                 const struct sys_http_reply *reply, struct ledge_error *err)
{
    LEDGE_CLEANUP(sys_json_free) json_t *problem = NULL;
    const char *detail = NULL;
    if (reply->body.len > 0 &&
        sys_json_parse(reply->body.data, reply->body.len, &problem, NULL) == LEDGE_OK) {
        detail = json_string_value(json_object_get(problem, "detail"));
        detail = detail != NULL ? detail : json_string_value(json_object_get(problem, "title"));
    }
    return ledge_fail(err, sys_http_status_of(reply->status), "%s %s: %d %s%s", method, path,
                      reply->status, detail != NULL ? detail : "without a reason",
                      next_step(reply->status, path));
}

/* The hub was not reached, or is not who we think: what to look at. */
static enum ledge_status not_reached(const struct cli_rest *rest, const struct ledge_error *why,
                                     struct ledge_error *err)
{
    const char *step = "";
    if (why->status == LEDGE_ERR_NETWORK) {
        step = "; does ledge-hub run there? (--hub, LEDGE_HUB)";
    } else if (why->status == LEDGE_ERR_AUTH) {
        step = "; the hub's CA is its <state>/ca.crt (--ca, LEDGE_CA)";
    }
    return ledge_fail(err, why->status, "%s: %s%s", rest->url, why->text, step);
}

struct exchange {
    const char *method, *path;
    const void *body;
    size_t body_bytes;
    const char *content_type; /* NULL: no body */
    const char *meta;         /* or NULL */
    size_t max_answer;
};

static enum ledge_status exchange(struct cli_rest *rest, const struct exchange *exchange,
                                  struct sys_http_reply *reply, struct ledge_error *err)
{
    char url[SYS_PATH], bearer[300];
    const char *headers[8] = {"Authorization", bearer};
    int n = 2;
    LEDGE_TRY(sys_path(url, err, "%s/api/v1%s", rest->url, exchange->path));
    (void)snprintf(bearer, sizeof bearer, "Bearer %s", rest->token);
    if (exchange->content_type != NULL) {
        headers[n++] = "Content-Type";
        headers[n++] = exchange->content_type;
    }
    if (exchange->meta != NULL) {
        headers[n++] = "X-Ledge-Meta";
        headers[n++] = exchange->meta;
    }
    const struct sys_http_call call = {.method = exchange->method,
                                       .url = url,
                                       .headers = headers,
                                       .body = exchange->body,
                                       .body_bytes = exchange->body_bytes,
                                       .tls = rest->tls,
                                       .timeout_s = CALL_SECONDS,
                                       .max_body = exchange->max_answer};
    struct ledge_error why;
    if (sys_http_fetch(&call, reply, &why) != LEDGE_OK) {
        return not_reached(rest, &why, err);
    }
    return reply->status < 300 ? LEDGE_OK : refused(exchange->method, exchange->path, reply, err);
}

static enum ledge_status exchange_json(struct cli_rest *rest, const struct exchange *what,
                                       json_t **answer, struct ledge_error *err)
{
    LEDGE_CLEANUP(sys_http_reply_done) struct sys_http_reply reply = {.status = 0};
    json_t *value = NULL;
    LEDGE_TRY(exchange(rest, what, &reply, err));
    if (reply.body.len > 0) {
        LEDGE_TRY(sys_json_parse(reply.body.data, reply.body.len, &value, err));
    }
    if (answer != NULL) {
        *answer = value;
    } else {
        json_decref(value);
    }
    return LEDGE_OK;
}

enum ledge_status cli_rest_call(struct cli_rest *rest, const char *method, const char *path,
                                const json_t *value, json_t **answer, struct ledge_error *err)
{
    LEDGE_CLEANUP(ledge_buf_done) struct ledge_buf body = LEDGE_BUF_INIT(JSON_BYTES);
    if (value != NULL) {
        LEDGE_TRY(sys_json_write(value, &body));
    }
    const struct exchange what = {.method = method,
                                  .path = path,
                                  .body = body.data,
                                  .body_bytes = body.len,
                                  .content_type = value != NULL ? "application/json" : NULL};
    return exchange_json(rest, &what, answer, err);
}

enum ledge_status cli_rest_items(struct cli_rest *rest, const char *path, json_t **items,
                                 struct ledge_error *err)
{
    char cursor[SYS_PATH] = "";
    LEDGE_CLEANUP(sys_json_free) json_t *all = json_array();
    do {
        char page_path[SYS_PATH];
        LEDGE_CLEANUP(sys_json_free) json_t *page = NULL;
        LEDGE_TRY(sys_path(page_path, err, "%s%climit=500%s", path,
                           strchr(path, '?') != NULL ? '&' : '?', cursor));
        LEDGE_TRY(cli_rest_call(rest, "GET", page_path, NULL, &page, err));
        json_array_extend(all, json_object_get(page, "items"));
        const char *next = json_string_value(json_object_get(page, "next"));
        cursor[0] = '\0';
        if (next != NULL) {
            LEDGE_TRY(cli_rest_path(cursor, err, "&cursor=%s", next));
        }
    } while (cursor[0] != '\0');
    *items = json_incref(all);
    return LEDGE_OK;
}

enum ledge_status cli_rest_upload(struct cli_rest *rest, const char *path, const void *bytes,
                                  size_t n, const json_t *meta, json_t **answer,
                                  struct ledge_error *err)
{
    LEDGE_CLEANUP(ledge_buf_done) struct ledge_buf text = LEDGE_BUF_INIT(CONFIG_BYTES);
    if (meta != NULL) {
        LEDGE_TRY(sys_json_write(meta, &text));
    }
    const struct exchange what = {.method = "POST",
                                  .path = path,
                                  .body = bytes,
                                  .body_bytes = n,
                                  .content_type = "application/octet-stream",
                                  .meta = text.data};
    return exchange_json(rest, &what, answer, err);
}

enum ledge_status cli_rest_download(struct cli_rest *rest, const char *path, struct ledge_buf *body,
                                    struct ledge_error *err)
{
    LEDGE_CLEANUP(sys_http_reply_done) struct sys_http_reply reply = {.status = 0};
    const struct exchange what = {.method = "GET", .path = path, .max_answer = body->max};
    LEDGE_TRY(exchange(rest, &what, &reply, err));
    if (!ledge_buf_add(body, reply.body.data, reply.body.len)) {
        return ledge_fail(err, LEDGE_ERR_RANGE, "%s: the answer is larger than %zu bytes", path,
                          body->max);
    }
    return LEDGE_OK;
}

enum ledge_status cli_rest_remember(const struct cli_rest *rest, struct ledge_error *err)
{
    char path[SYS_PATH], folder[SYS_PATH];
    LEDGE_CLEANUP(ledge_buf_done) struct ledge_buf text = LEDGE_BUF_INIT(CONFIG_BYTES);
    LEDGE_CLEANUP(sys_json_free)
    json_t *config =
        json_pack("{s:s, s:s, s:s}", "hub", rest->url, "token", rest->token, "ca", rest->ca);
    LEDGE_TRY(config_path(path, err));
    LEDGE_TRY(sys_path(folder, err, "%.*s", (int)(strrchr(path, '/') - path), path));
    LEDGE_TRY(sys_dir_make(folder, err));
    LEDGE_TRY(sys_json_write(config, &text));
    return sys_file_write(path, text.data, text.len, 0600, err);
}

const char *cli_rest_text(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "";
}

enum ledge_status cli_rest_path(char path[SYS_PATH], struct ledge_error *err, const char *format,
                                ...)
{
    LEDGE_CLEANUP(ledge_buf_done) struct ledge_buf out = LEDGE_BUF_INIT(SYS_PATH - 1);
    va_list texts;
    va_start(texts, format);
    for (const char *p = format; *p != '\0'; p++) {
        if (*p != '%') {
            (void)ledge_buf_add(&out, p, 1);
            continue;
        }
        p++; /* the s */
        for (const char *text = va_arg(texts, const char *); *text != '\0'; text++) {
            bool plain = isalnum((unsigned char)*text) != 0 || strchr("-._~", *text) != NULL;
            (void)ledge_buf_printf(&out, plain ? "%c" : "%%%02X", (unsigned char)*text);
        }
    }
    va_end(texts);
    if (out.failed) {
        return ledge_fail(err, LEDGE_ERR_ARG, "a name is too long for %s", format);
    }
    memcpy(path, out.data, out.len + 1);
    return LEDGE_OK;
}
