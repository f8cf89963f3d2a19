/* SPDX-License-Identifier: Apache-2.0 */
/* enroll.c -- from a claim token to a device certificate.
 *
 * A token is used once. The same device with the same certificate request gets the same certificate
 * again, for the answer may have been lost; anybody else with that token gets nothing. */
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

enum { TOKEN_MS = 24 * 3600 * 1000, MAX_PEM = 1 << 16 };

static void hash_text(const char *text, size_t n, char hex[LEDGE_SHA256_HEX])
{
    uint8_t digest[LEDGE_SHA256_BYTES];
    ledge_sha256(text, n, digest);
    ledge_hex(digest, sizeof digest, hex);
}

/* -- POST /enroll-tokens -- */

static enum ledge_status make_token(struct hub *hub, const char *device,
                                    char text[FLEET_TOKEN_SIZE], int64_t *expires,
                                    struct ledge_error *err)
{
    struct fleet_token token;
    uint8_t secret[24];
    char hash[LEDGE_SHA256_HEX];
    int64_t now = sys_now_ms(), revoked = 0;
    if (device != NULL) {
        LEDGE_TRY(
            sys_sql_do(hub->sql, err, hub_row_int, &revoked, hub_sql_device_known, "s", device));
    }
    if (revoked != 0) {
        return ledge_fail(err, LEDGE_ERR_STATE,
                          "%s was revoked, and its name with it: choose another name", device);
    }
    LEDGE_TRY(sys_random(secret, sizeof secret, err));
    ledge_hex(secret, sizeof secret, token.secret);
    memcpy(token.ca_sha256, hub->ca_sha256, sizeof token.ca_sha256);
    fleet_token_write(&token, text);
    hash_text(token.secret, strlen(token.secret), hash);
    *expires = now + TOKEN_MS;
    LEDGE_TRY(sys_sql_do(hub->sql, err, NULL, NULL, hub_sql_token_add, "ssii", hash, device, now,
                         *expires));
    return hub_audit(hub, "admin", "token.create", device != NULL ? device : "any", NULL, err);
}

void hub_on_enroll_token(struct hub_request *request)
{
    struct ledge_error err;
    char text[FLEET_TOKEN_SIZE];
    int64_t expires = 0;
    json_t *body = hub_request_json(request);
    if (body == NULL) {
        return;
    }
    const json_t *named = json_object_get(body, "device");
    const char *device = json_string_value(named);
    if (named != NULL && !json_is_null(named) &&
        (device == NULL || !fleet_device_name_ok(device))) {
        hub_reply_problem(request, 400,
                          "a device's name is [a-z0-9][a-z0-9-]{0,62}, and not ledge-hub");
        json_decref(body);
        return;
    }
    enum ledge_status status = sys_sql_begin(request->hub->sql, &err);
    if (status == LEDGE_OK) {
        status = make_token(request->hub, device, text, &expires, &err);
    }
    if (hub_end(request->hub, status, &err) != LEDGE_OK) {
        hub_reply_error(request, &err);
    } else {
        hub_reply_json(request, 200,
                       json_pack("{s:s,s:o}", "token", text, "expires", hub_json_time(expires)));
    }
    json_decref(body);
}

/* -- POST /enroll -- */

struct claim {
    const char *device, *csr;
    char hash[LEDGE_SHA256_HEX], request[LEDGE_SHA256_HEX];
    bool found, used, same;
    char bound[FLEET_NAME_SIZE]; /* the device that the token is for, or "" */
    int64_t expires;
    char serial[64];
};

static bool read_token(void *arg, const struct sys_row *row)
{
    struct claim *claim = arg;
    const char *bound = sys_row_text(row, 0), *before = sys_row_text(row, 3);
    const char *serial = sys_row_text(row, 4);
    claim->found = true;
    (void)snprintf(claim->bound, sizeof claim->bound, "%s", bound != NULL ? bound : "");
    claim->expires = sys_row_int(row, 1);
    claim->used = !sys_row_null(row, 2);
    claim->same = before != NULL && strcmp(before, claim->request) == 0;
    (void)snprintf(claim->serial, sizeof claim->serial, "%s", serial != NULL ? serial : "");
    return false;
}

/* Why a claim is refused, for the hub's log; NULL: it is good. */
static const char *token_fault(const struct claim *claim, char text[FLEET_NAME_SIZE + 64])
{
    char when[32];
    if (!claim->found) {
        return "there is no such token";
    }
    if (claim->used && !claim->same) {
        (void)snprintf(text, FLEET_NAME_SIZE + 64, "the token was used by %s", claim->bound);
        return text;
    }
    if (claim->bound[0] != '\0' && strcmp(claim->bound, claim->device) != 0) {
        (void)snprintf(text, FLEET_NAME_SIZE + 64, "the token is for %s", claim->bound);
        return text;
    }
    if (claim->expires < sys_now_ms()) {
        sys_time_text(claim->expires, when);
        (void)snprintf(text, FLEET_NAME_SIZE + 64, "the token expired at %s", when);
        return text;
    }
    return NULL;
}

/* To the caller every refusal has the same words, so that nothing is learned about tokens. */
static enum ledge_status check_token(struct hub *hub, const char *text, struct claim *claim,
                                     struct ledge_error *err)
{
    char fault[FLEET_NAME_SIZE + 64];
    struct fleet_token token;
    int64_t revoked = 0;
    if (fleet_token_parse(text, &token, NULL) == LEDGE_OK) {
        hash_text(token.secret, strlen(token.secret), claim->hash);
        hash_text(claim->csr, strlen(claim->csr), claim->request);
        LEDGE_TRY(
            sys_sql_do(hub->sql, err, read_token, claim, hub_sql_token_find, "s", claim->hash));
    }
    const char *why = token_fault(claim, fault);
    if (why != NULL) {
        sys_log(SYS_LOG_WARNING, "enrolment of %s refused: %s", claim->device, why);
        return ledge_fail(err, LEDGE_ERR_AUTH,
                          "the token is wrong, for another device, used or expired");
    }
    LEDGE_TRY(
        sys_sql_do(hub->sql, err, hub_row_int, &revoked, hub_sql_device_known, "s", claim->device));
    if (revoked == 0) {
        return LEDGE_OK;
    }
    sys_log(SYS_LOG_WARNING, "enrolment of %s refused: it was revoked", claim->device);
    return ledge_fail(err, LEDGE_ERR_AUTH, "%s was revoked", claim->device);
}

/* Inside a transaction: a certificate for the claim, new or as before. *pem OWNED. */
static enum ledge_status certify(struct hub *hub, struct claim *claim, char **pem,
                                 struct ledge_error *err)
{
    int64_t now = sys_now_ms();
    if (claim->used) {
        return sys_sql_do(hub->sql, err, hub_row_text, pem, hub_sql_certificate_get, "s",
                          claim->serial);
    }
    /* A device that enrols anew has lost its key: the old certificate ends here. */
    struct hub_issue what = {.device = claim->device,
                             .csr = claim->csr,
                             .request = claim->request,
                             .now_ms = now,
                             .proven = true};
    LEDGE_TRY(hub_certificate_issue(hub, &what, pem, claim->serial, err));
    LEDGE_TRY(
        sys_sql_do(hub->sql, err, NULL, NULL, hub_sql_device_rotate_done, "s", claim->device));
    LEDGE_TRY(sys_sql_do(hub->sql, err, NULL, NULL, hub_sql_token_use, "sisss", claim->hash, now,
                         claim->device, claim->request, claim->serial));
    return hub_audit(hub, claim->device, "device.enroll", claim->device, claim->serial, err);
}

/* The broker as the device can reach it: on the host by which it called the hub. */
static void broker_host(const struct hub_request *request, char host[256])
{
    const char *asked = sys_http_header(request->http, "Host");
    (void)snprintf(host, 256, "%s", request->hub->broker_host);
    if (host[0] != '\0' || asked == NULL) {
        return;
    }
    bool v6 = asked[0] == '[';
    size_t n = v6 ? strcspn(asked + 1, "]") : strcspn(asked, ":");
    (void)snprintf(host, 256, "%.*s", (int)(n < 255 ? n : 255), asked + (v6 ? 1 : 0));
}

static void reply_enrolled(struct hub_request *request, const char *device, const char *pem)
{
    struct ledge_error err;
    char path[HUB_PATH], host[256], key[2 * SYS_ED25519_PUBLIC + 1];
    struct ledge_buf ca = LEDGE_BUF_INIT(MAX_PEM);
    if (sys_file_read(hub_path(request->hub, path, "ca.crt"), &ca, &err) != LEDGE_OK) {
        hub_reply_error(request, &err);
        return;
    }
    broker_host(request, host);
    ledge_hex(request->hub->director_public, SYS_ED25519_PUBLIC, key);
    hub_reply_json(request, 200,
                   json_pack("{s:s,s:s,s:s,s:s,s:{s:s,s:i}}", "device", device, "certificate", pem,
                             "ca", ca.data, "director_key", key, "broker", "host", host, "port",
                             (int)request->hub->broker_port));
    ledge_buf_done(&ca);
}

static void enroll(struct hub_request *request, const char *token, struct claim *claim)
{
    struct ledge_error err;
    struct hub *hub = request->hub;
    char *pem = NULL;
    enum ledge_status status = sys_sql_begin(hub->sql, &err);
    if (status == LEDGE_OK) {
        status = check_token(hub, token, claim, &err);
    }
    bool refused = status == LEDGE_ERR_AUTH;
    if (status == LEDGE_OK) {
        status = certify(hub, claim, &pem, &err);
    }
    status = hub_end(hub, status, &err);
    if (refused) {
        hub_auth_failed(hub, request->http);
        hub_reply_problem(request, 401, "%s", err.text);
    } else if (status == LEDGE_ERR_AUTH) { /* the request's own signature */
        hub_reply_problem(request, 400, "%s", err.text);
    } else if (status != LEDGE_OK) {
        hub_reply_error(request, &err);
    } else if (pem == NULL) {
        hub_reply_problem(request, 500, "the certificate is lost");
    } else {
        sys_log(SYS_LOG_INFO, "%s is enrolled", claim->device);
        hub_broker_refresh_soon(hub);
        hub_device_event(hub, claim->device);
        reply_enrolled(request, claim->device, pem);
    }
    free(pem);
}

void hub_on_enroll(struct hub_request *request)
{
    struct ledge_error err;
    const char *token = NULL;
    struct claim claim = {0};
    if (hub_auth_limited(request->hub, request->http)) {
        sys_http_reply_header(request->http, "Retry-After", "60");
        hub_reply_problem(request, 429, "too many wrong tokens; wait a minute");
        return;
    }
    json_t *body = hub_request_json(request);
    if (body == NULL) {
        return;
    }
    if (sys_json_text(body, "enrolment", "token", &token, &err) != LEDGE_OK ||
        sys_json_text(body, "enrolment", "device", &claim.device, &err) != LEDGE_OK ||
        sys_json_text(body, "enrolment", "csr", &claim.csr, &err) != LEDGE_OK) {
        hub_reply_error(request, &err);
    } else if (!fleet_device_name_ok(claim.device)) {
        hub_reply_problem(request, 400,
                          "a device's name is [a-z0-9][a-z0-9-]{0,62}, and not ledge-hub");
    } else {
        enroll(request, token, &claim);
    }
    json_decref(body);
}
