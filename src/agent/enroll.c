/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/enroll.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/failpoint.h"
#include "agent/rotate.h"
#include "base/cleanup.h"
#include "base/digest.h"
#include "base/status.h"
#include "sys/http.h"
#include "sys/json.h"
#include "sys/tls.h"

enum { PEM_MAX = 65536 };

/* The URL without a slash at its end; https only, because only TLS proves the hub. */
static enum ledge_status check_url(const char *url, char hub[SYS_PATH], struct ledge_error *err)
{
    if (strncmp(url, "https://", 8) != 0 || url[8] == '\0' || strpbrk(url, " \t\r\n?#") != NULL) {
        return ledge_fail(err, LEDGE_ERR_ARG, "--hub %.150s: an https:// URL is needed", url);
    }
    LEDGE_TRY(sys_path(hub, err, "%s", url));
    for (size_t n = strlen(hub); n > 8 && hub[n - 1] == '/'; n--) {
        hub[n - 1] = '\0';
    }
    return LEDGE_OK;
}

/* A device name out of the host's: lower case, what is no letter becomes a dash. */
static void name_of_host(char name[FLEET_NAME_SIZE])
{
    char host[256] = "";
    size_t n = 0;
    (void)gethostname(host, sizeof host - 1);
    for (const char *p = host; *p != '\0' && *p != '.' && n < 63; p++) {
        char c = *p >= 'A' && *p <= 'Z' ? (char)(*p - 'A' + 'a') : *p;
        bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (plain || n > 0) {
            name[n++] = plain ? c : '-';
        }
    }
    name[n] = '\0';
}

static enum ledge_status choose_name(const char *wish, char name[FLEET_NAME_SIZE],
                                     struct ledge_error *err)
{
    if (wish == NULL) {
        name_of_host(name);
    } else {
        (void)snprintf(name, FLEET_NAME_SIZE, "%s", wish);
    }
    if (!fleet_device_name_ok(name) || (wish != NULL && strlen(wish) >= FLEET_NAME_SIZE)) {
        return ledge_fail(err, LEDGE_ERR_ARG,
                          "'%.64s' is no device name ([a-z0-9][a-z0-9-]{0,62}); give --name", name);
    }
    return LEDGE_OK;
}

/* Key and request, made once: the same ones are sent by every attempt. */
static enum ledge_status prepare(const struct agent_config *config, struct ledge_buf *csr,
                                 struct ledge_error *err)
{
    char path[SYS_PATH];
    char marked[SYS_PATH];
    LEDGE_TRY(sys_path(path, err, "%s/device.csr", config->state));
    LEDGE_TRY(sys_path(marked, err, "%s/device.csr-name", config->state));
    struct ledge_buf name = LEDGE_BUF_INIT(FLEET_NAME_SIZE);
    bool same = sys_file_read(marked, &name, err) == LEDGE_OK && name.len > 0 &&
                strcmp(name.data, config->device) == 0;
    ledge_buf_done(&name);
    if (same && sys_file_exists(config->key) && sys_file_read(path, csr, err) == LEDGE_OK) {
        return LEDGE_OK;
    }
    ledge_buf_clear(csr);
    if (!sys_file_exists(config->key)) {
        LEDGE_TRY(sys_key_create(config->key, err));
    }
    LEDGE_TRY(sys_csr_create(config->key, config->device, csr, err));
    LEDGE_TRY(sys_file_write(path, csr->data, csr->len, 0600, err));
    return sys_file_write(marked, config->device, strlen(config->device), 0600, err);
}

static enum ledge_status call_hub(const struct agent_config *config,
                                  const struct fleet_token *token, const char *token_text,
                                  const struct ledge_buf *csr, struct sys_http_reply *reply,
                                  struct ledge_error *err)
{
    LEDGE_CLEANUP(ledge_buf_done) struct ledge_buf body = LEDGE_BUF_INIT(PEM_MAX);
    char url[SYS_PATH + 32];
    struct sys_tls *tls = NULL;
    static const char *const headers[] = {"Content-Type", "application/json", NULL};
    struct sys_tls_options options = {.verify = SYS_TLS_VERIFY_NONE,
                                      .pin_ca_sha256 = token->ca_sha256};
    LEDGE_CLEANUP(sys_json_free)
    json_t *request =
        json_pack("{s:s,s:s,s:s}", "token", token_text, "device", config->device, "csr", csr->data);
    if (request == NULL) {
        return ledge_fail(err, LEDGE_ERR_NOMEM, "enrolment: out of memory");
    }
    LEDGE_TRY(sys_json_write(request, &body));
    LEDGE_TRY(sys_tls_create(&options, &tls, err));
    (void)snprintf(url, sizeof url, "%s/api/v1/enroll", config->hub);
    struct sys_http_call call = {.method = "POST",
                                 .url = url,
                                 .headers = headers,
                                 .body = body.data,
                                 .body_bytes = body.len,
                                 .tls = tls,
                                 .max_body = 4 * PEM_MAX};
    enum ledge_status status = sys_http_fetch(&call, reply, err);
    sys_tls_free(tls);
    if (status == LEDGE_ERR_AUTH) {
        return ledge_fail(
            err, status, "%.100s is not the hub of this token, nothing was sent (%s)", config->hub,
            strstr(err->text, "TLS:") != NULL ? strstr(err->text, "TLS:") : err->text);
    }
    return status;
}

/* The problem+json's detail, or the bare status. */
static enum ledge_status refused(const struct sys_http_reply *reply, struct ledge_error *err)
{
    LEDGE_CLEANUP(sys_json_free) json_t *problem = NULL;
    const char *detail = "";
    if (reply->body.len > 0 &&
        sys_json_parse(reply->body.data, reply->body.len, &problem, err) == LEDGE_OK) {
        const char *text = json_string_value(json_object_get(problem, "detail"));
        detail = text != NULL ? text : "";
    }
    return ledge_fail(err, sys_http_status_of(reply->status), "the hub refuses (%d)%s%.150s",
                      reply->status, *detail != '\0' ? ": " : "", detail);
}

static enum ledge_status write_pem(const char *path, const char *text, struct ledge_error *err)
{
    return sys_file_write(path, text, strlen(text), 0600, err);
}

struct answer {
    const char *certificate, *ca, *host; /* BORROWED of the JSON */
    uint16_t port;
    uint8_t director_key[FLEET_PUBLIC_KEY];
};

static enum ledge_status read_answer(const json_t *json, const struct agent_config *config,
                                     struct answer *answer, struct ledge_error *err)
{
    const char *key, *device, *what = "the hub's answer";
    int64_t port;
    const json_t *broker = json_object_get(json, "broker");
    LEDGE_TRY(sys_json_text(json, what, "device", &device, err));
    LEDGE_TRY(sys_json_text(json, what, "certificate", &answer->certificate, err));
    LEDGE_TRY(sys_json_text(json, what, "ca", &answer->ca, err));
    LEDGE_TRY(sys_json_text(json, what, "director_key", &key, err));
    LEDGE_TRY(sys_json_text(broker, what, "host", &answer->host, err));
    LEDGE_TRY(sys_json_int(broker, what, "port", 1, 65535, &port, err));
    if (strcmp(device, config->device) != 0 ||
        !ledge_unhex(key, answer->director_key, sizeof answer->director_key) ||
        strlen(answer->host) >= sizeof config->broker_host) {
        return ledge_fail(err, LEDGE_ERR_FORMAT, "%s: device, director_key or broker is wrong",
                          what);
    }
    answer->port = (uint16_t)port;
    return LEDGE_OK;
}

static void take_broker(const struct answer *answer, struct agent_config *config)
{
    (void)snprintf(config->broker_host, sizeof config->broker_host, "%s", answer->host);
    config->broker_port = answer->port;
}

/* What the hub answered, stored; agent.json last. */
static enum ledge_status store(const struct answer *answer, const struct fleet_token *token,
                               struct agent_config *config, struct ledge_error *err)
{
    char hex[65];
    struct sys_tls *tls = NULL;
    take_broker(answer, config);
    memcpy(config->director_key, answer->director_key, sizeof config->director_key);
    LEDGE_TRY(write_pem(config->ca, answer->ca, err));
    LEDGE_TRY(sys_certificate_sha256(config->ca, hex, err));
    if (strcmp(hex, token->ca_sha256) != 0) {
        return ledge_fail(err, LEDGE_ERR_AUTH,
                          "the hub's answer: its CA is not the one of the token");
    }
    if (agent_failpoint("ENROLLED")) {
        return ledge_fail(err, LEDGE_ERR_IO, "fail point");
    }
    LEDGE_TRY(write_pem(config->certificate, answer->certificate, err));
    /* Certificate and key belong together, or this fails. */
    struct sys_tls_options options = {.certificate = config->certificate,
                                      .key = config->key,
                                      .ca = config->ca,
                                      .verify = SYS_TLS_VERIFY_REQUIRED};
    LEDGE_TRY(sys_tls_create(&options, &tls, err));
    sys_tls_free(tls);
    return agent_config_save(config, err);
}

/* The request signed by the hub. *json OWNED, what answer borrows of. */
static enum ledge_status have_signed(const struct agent_config *config,
                                     const struct fleet_token *token, const char *token_text,
                                     const struct ledge_buf *csr, json_t **json,
                                     struct answer *answer, struct ledge_error *err)
{
    LEDGE_CLEANUP(sys_http_reply_done) struct sys_http_reply reply = {.status = 0};
    LEDGE_TRY(call_hub(config, token, token_text, csr, &reply, err));
    if (reply.status != 200 && reply.status != 201) {
        return refused(&reply, err);
    }
    LEDGE_TRY(
        sys_json_parse(reply.body.data != NULL ? reply.body.data : "", reply.body.len, json, err));
    return read_answer(*json, config, answer, err);
}

static enum ledge_status lock_state(const struct agent_config *config, struct ledge_error *err)
{
    char lock[SYS_PATH];
    LEDGE_TRY(sys_path(lock, err, "%s/lock", config->state));
    return sys_file_lock(lock, err);
}

/* Another key and certificate for the device that this folder is. */
static enum ledge_status replace(const struct agent_enroll_options *options,
                                 const struct fleet_token *token, struct agent_config *config,
                                 struct ledge_error *err)
{
    LEDGE_CLEANUP(ledge_buf_done) struct ledge_buf csr = LEDGE_BUF_INIT(PEM_MAX);
    LEDGE_CLEANUP(sys_json_free) json_t *json = NULL;
    struct answer answer;
    char hex[65];
    if (options->name != NULL && strcmp(options->name, config->device) != 0) {
        return ledge_fail(err, LEDGE_ERR_ARG, "--name %.64s: %.120s is %s, and stays it",
                          options->name, config->state, config->device);
    }
    LEDGE_TRY(sys_certificate_sha256(config->ca, hex, err));
    if (strcmp(hex, token->ca_sha256) != 0) {
        return ledge_fail(err, LEDGE_ERR_AUTH,
                          "the token is of another hub than %.80s; enrol there in an empty --state",
                          config->hub);
    }
    if (options->hub != NULL) {
        LEDGE_TRY(check_url(options->hub, config->hub, err));
    }
    LEDGE_TRY(agent_rotate_request(config, &csr, err));
    if (csr.len == 0) {
        return LEDGE_OK; /* all was there but the switch */
    }
    LEDGE_TRY(have_signed(config, token, options->token, &csr, &json, &answer, err));
    if (memcmp(answer.director_key, config->director_key, sizeof answer.director_key) != 0) {
        return ledge_fail(err, LEDGE_ERR_AUTH,
                          "the hub signs with another key now; enrol in an empty --state");
    }
    if (agent_failpoint("ENROLLED")) {
        return ledge_fail(err, LEDGE_ERR_IO, "fail point");
    }
    take_broker(&answer, config);
    LEDGE_TRY(agent_config_save(config, err));
    return agent_rotate_replace(config, answer.certificate, err);
}

static enum ledge_status enroll_again(const struct agent_enroll_options *options,
                                      const struct fleet_token *token, struct agent_config *config,
                                      struct ledge_error *err)
{
    LEDGE_TRY(agent_config_load(options->state, config, err)); /* is there one to lock? */
    LEDGE_TRY(lock_state(config, err));
    LEDGE_TRY(agent_config_load(options->state, config, err)); /* as it is now */
    return replace(options, token, config, err);
}

enum ledge_status agent_enroll(const struct agent_enroll_options *options,
                               struct agent_config *config, struct ledge_error *err)
{
    LEDGE_CLEANUP(ledge_buf_done) struct ledge_buf csr = LEDGE_BUF_INIT(PEM_MAX);
    LEDGE_CLEANUP(sys_json_free) json_t *json = NULL;
    struct fleet_token token;
    struct answer answer;
    char hub[SYS_PATH];
    char name[FLEET_NAME_SIZE];
    LEDGE_TRY(fleet_token_parse(options->token, &token, err));
    if (options->again) {
        return enroll_again(options, &token, config, err);
    }
    LEDGE_TRY(check_url(options->hub, hub, err));
    LEDGE_TRY(choose_name(options->name, name, err));
    LEDGE_TRY(
        sys_dir_make(options->state, err)); /* the command line is right: now something is made */
    LEDGE_TRY(agent_config_paths(options->state, config, err));
    LEDGE_TRY(lock_state(config, err));
    if (agent_config_load(options->state, config, err) == LEDGE_OK) {
        return ledge_fail(
            err, LEDGE_ERR_EXISTS,
            "%.120s is enrolled already, as %s at %.80s (--again: replace its key and "
            "certificate)",
            config->state, config->device, config->hub);
    }
    memcpy(config->hub, hub, sizeof hub);
    memcpy(config->device, name, sizeof name);
    LEDGE_TRY(prepare(config, &csr, err));
    LEDGE_TRY(have_signed(config, &token, options->token, &csr, &json, &answer, err));
    return store(&answer, &token, config, err);
}
