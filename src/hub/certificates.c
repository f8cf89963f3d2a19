/* SPDX-License-Identifier: Apache-2.0 */
/* certificates.c -- device certificates: issued, renewed, proven, retired, revoked.
 *
 * Flow:    hello -> due? -> d/rotate -> POST /certificates (over the old one) -> GET
 *          /certificates/self (over the new one) -> POST /certificates/confirm (the new one is what
 *          the device uses now) -> the others are revoked; the broker is told by its list
 * Guarantees: a device has at least one certificate that is let in until it has shown, twice, that
 * it holds a newer one; the same request gets the same certificate, for the answer may have been
 * lost.
 * Clocks:  only the hub's decides when one is due, because the hub's and its broker's decide
 * whether it is let in. A renewed one is valid from when the device's first was, so that a hub
 * whose clock ran ahead and is set right has issued nothing that is not valid yet; one whose clock
 * went back issues nothing. */
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

/* What a device may ask for in a day: each one that it does not prove makes the revocation list
 * longer. */
enum { MAX_PEM = 1 << 16, DAY_S = 86400, HOUR_MS = 3600 * 1000, MOST_A_DAY = 100 };

struct certificate { /* columns of certificate_find, _newest, _current.sql */
    bool found;
    char serial[64];
    int64_t issued, expires;
    bool flag; /* proven; of _current: an operator asked for a new one */
};

static bool read_certificate(void *arg, const struct sys_row *row)
{
    struct certificate *c = arg;
    c->found = true;
    (void)snprintf(c->serial, sizeof c->serial, "%s", sys_row_text(row, 0));
    c->issued = sys_row_int(row, 1);
    c->expires = sys_row_int(row, 2);
    c->flag = sys_row_int(row, 3) != 0;
    return false;
}

/* -- issued -- */

enum ledge_status hub_certificate_issue(struct hub *hub, const struct hub_issue *what, char **pem,
                                        char serial[64], struct ledge_error *err)
{
    char ca[HUB_PATH], ca_key[HUB_PATH];
    struct sys_sign_options options = {.ca_certificate = hub_path(hub, ca, "ca.crt"),
                                       .ca_key = hub_path(hub, ca_key, "ca.key"),
                                       .name = what->device,
                                       .client = true,
                                       .valid_seconds =
                                           (int32_t)hub->options.certificate_days * DAY_S,
                                       .valid_from = what->valid_from_ms / 1000};
    struct ledge_buf text = LEDGE_BUF_INIT(MAX_PEM);
    enum ledge_status status =
        sys_csr_sign(what->csr, strlen(what->csr), &options, &text, serial, err);
    if (status != LEDGE_OK) {
        ledge_buf_done(&text);
        return status;
    }
    *pem = text.data; /* the caller's now */
    /* The device may be new: its row comes before what points to it. */
    LEDGE_TRY(sys_sql_do(hub->sql, err, NULL, NULL, hub_sql_device_add, "si", what->device,
                         what->now_ms));
    LEDGE_TRY(
        sys_sql_do(hub->sql, err, NULL, NULL,
                   what->proven ? hub_sql_certificate_revoke : hub_sql_certificate_drop_unproven,
                   "si", what->device, what->now_ms));
    LEDGE_TRY(sys_sql_do(
        hub->sql, err, NULL, NULL, hub_sql_certificate_add, "sssiiss", serial, what->device, *pem,
        what->now_ms, what->now_ms + (int64_t)options.valid_seconds * 1000, NULL, what->request));
    return what->proven ? sys_sql_do(hub->sql, err, NULL, NULL, hub_sql_certificate_prove, "si",
                                     serial, what->now_ms)
                        : LEDGE_OK;
}

/* -- POST /certificates -- */

struct renewal {
    const char *device, *csr;
    char *pem; /* OWNED */
    char serial[64];
    int64_t expires, recent;
};

static bool read_same(void *arg, const struct sys_row *row)
{
    struct renewal *r = arg;
    (void)snprintf(r->serial, sizeof r->serial, "%s", sys_row_text(row, 0));
    r->pem = strdup(sys_row_text(row, 1));
    r->expires = sys_row_int(row, 2);
    return false;
}

/* Inside a transaction. caller: the serial that the device shows. */
static enum ledge_status renew(struct hub *hub, const char *caller, struct renewal *r,
                               struct ledge_error *err)
{
    uint8_t digest[LEDGE_SHA256_BYTES];
    char request[LEDGE_SHA256_HEX];
    struct certificate old = {.found = false};
    int64_t now = sys_now_ms();
    ledge_sha256(r->csr, strlen(r->csr), digest);
    ledge_hex(digest, sizeof digest, request);
    LEDGE_TRY(sys_sql_do(hub->sql, err, read_same, r, hub_sql_certificate_same, "ss", r->device,
                         request));
    if (r->pem != NULL) {
        return LEDGE_OK;
    }
    LEDGE_TRY(sys_sql_do(hub->sql, err, hub_row_int, &r->recent, hub_sql_certificate_recent, "si",
                         r->device, now - (int64_t)DAY_S * 1000));
    if (r->recent >= MOST_A_DAY) {
        return ledge_fail(err, LEDGE_ERR_STATE, "%s has had %d certificates within a day",
                          r->device, MOST_A_DAY);
    }
    LEDGE_TRY(sys_sql_do(hub->sql, err, read_certificate, &old, hub_sql_certificate_find, "ss",
                         caller, r->device));
    if (!old.found || now < old.issued - HOUR_MS) {
        return ledge_fail(err, LEDGE_ERR_STATE,
                          "the hub's clock is behind the certificate it issued: nothing is renewed "
                          "until it is right");
    }
    int64_t first = old.issued;
    LEDGE_TRY(
        sys_sql_do(hub->sql, err, hub_row_int, &first, hub_sql_certificate_first, "s", r->device));
    struct hub_issue what = {.device = r->device,
                             .csr = r->csr,
                             .request = request,
                             .now_ms = now,
                             .valid_from_ms = first - HOUR_MS};
    LEDGE_TRY(hub_certificate_issue(hub, &what, &r->pem, r->serial, err));
    r->expires = now + (int64_t)hub->options.certificate_days * DAY_S * 1000;
    return hub_audit(hub, r->device, "certificate.renew", r->device, r->serial, err);
}

void hub_on_certificate_renew(struct hub_request *request)
{
    struct ledge_error err;
    struct hub *hub = request->hub;
    struct renewal r = {.device = request->actor};
    json_t *body = hub_request_json(request);
    if (body == NULL) {
        return;
    }
    enum ledge_status status = sys_json_text(body, "renewal", "csr", &r.csr, &err);
    if (status == LEDGE_OK && (status = sys_sql_begin(hub->sql, &err)) == LEDGE_OK) {
        status = hub_end(hub, renew(hub, sys_http_peer_serial(request->http), &r, &err), &err);
    }
    if (status == LEDGE_ERR_AUTH) { /* the request's own signature */
        hub_reply_problem(request, 400, "%s", err.text);
    } else if (r.recent >= MOST_A_DAY) {
        hub_reply_problem(request, 429, "%s", err.text);
    } else if (status != LEDGE_OK) {
        hub_reply_error(request, &err);
    } else {
        sys_log(SYS_LOG_INFO, "%s: a new certificate, %s, for it to prove", r.device, r.serial);
        hub_broker_refresh_soon(hub); /* one that was never proven may have ended */
        hub_reply_json(request, 201,
                       json_pack("{s:s,s:s,s:s,s:o}", "device", r.device, "certificate", r.pem,
                                 "serial", r.serial, "expires", hub_json_time(r.expires)));
    }
    free(r.pem);
    json_decref(body);
}

/* -- GET /certificates/self, POST /certificates/confirm -- */

void hub_on_certificate_self(struct hub_request *request)
{
    struct ledge_error err;
    struct certificate c = {.found = false};
    if (sys_sql_do(request->hub->sql, &err, read_certificate, &c, hub_sql_certificate_find, "ss",
                   sys_http_peer_serial(request->http), request->actor) != LEDGE_OK) {
        hub_reply_error(request, &err);
    } else {
        hub_reply_json(request, 200,
                       json_pack("{s:s,s:s,s:o}", "device", request->actor, "serial", c.serial,
                                 "expires", hub_json_time(c.expires)));
    }
}

/* Inside a transaction: the caller's certificate is what it uses from now on; the others end. An
 * older one cannot say so: whoever holds an old key would shut out the device. */
static enum ledge_status confirm(struct hub *hub, const char *device, const char *serial,
                                 int64_t *ended, struct ledge_error *err)
{
    struct certificate newest = {.found = false};
    int64_t now = sys_now_ms();
    LEDGE_TRY(sys_sql_do(hub->sql, err, read_certificate, &newest, hub_sql_certificate_newest, "s",
                         device));
    if (!newest.found || strcmp(newest.serial, serial) != 0) {
        return ledge_fail(err, LEDGE_ERR_STATE, "%s has a newer certificate than this one", device);
    }
    LEDGE_TRY(sys_sql_do(hub->sql, err, NULL, NULL, hub_sql_certificate_prove, "si", serial, now));
    LEDGE_TRY(sys_sql_do(hub->sql, err, NULL, NULL, hub_sql_certificate_retire, "ssi", device,
                         serial, now));
    *ended = sys_sql_changes(hub->sql);
    LEDGE_TRY(sys_sql_do(hub->sql, err, NULL, NULL, hub_sql_device_rotate_done, "s", device));
    return newest.flag && *ended == 0
               ? LEDGE_OK
               : hub_audit(hub, device, "certificate.rotate", device, serial, err);
}

void hub_on_certificate_confirm(struct hub_request *request)
{
    struct ledge_error err;
    struct hub *hub = request->hub;
    const char *serial = sys_http_peer_serial(request->http);
    int64_t ended = 0;
    enum ledge_status status = sys_sql_begin(hub->sql, &err);
    if (status == LEDGE_OK) {
        status = hub_end(hub, confirm(hub, request->actor, serial, &ended, &err), &err);
    }
    if (status != LEDGE_OK) {
        hub_reply_error(request, &err);
        return;
    }
    sys_log(SYS_LOG_INFO, "%s: certificate %s is in use, %lld others are revoked", request->actor,
            serial, (long long)ended);
    hub_broker_refresh_soon(hub);
    hub_device_event(hub, request->actor);
    hub_reply_json(request, 200,
                   json_pack("{s:s,s:I}", "serial", serial, "revoked", (json_int_t)ended));
}

/* -- due -- */

/* After two thirds of its life, and up to a twelfth later by its serial, so that a fleet that
 * enrolled in one hour is not renewed in one. */
static bool is_due(const struct certificate *c, int64_t now)
{
    char part[5] = "";
    int64_t life = c->expires - c->issued;
    memcpy(part, c->serial, strnlen(c->serial, 4));
    int64_t spread = life / 12 * (int64_t)strtoul(part, NULL, 16) / 0x10000;
    return c->flag || now >= c->expires - life / 3 + spread;
}

void hub_certificate_check(struct hub *hub, const char *device)
{
    struct ledge_error err;
    struct certificate c = {.found = false};
    char text[128];
    if (sys_sql_do(hub->sql, &err, read_certificate, &c, hub_sql_certificate_current, "s",
                   device) != LEDGE_OK) {
        sys_log(SYS_LOG_ERROR, "%s: its certificate cannot be read: %s", device, err.text);
    } else if (c.found && is_due(&c, sys_now_ms())) {
        int n = snprintf(text, sizeof text, "{\"v\":1,\"serial\":\"%s\"}", c.serial);
        (void)hub_link_send(hub, device, "rotate", text, (size_t)n);
    }
}

/* Columns of device_list.sql from `column` on: serial, issued, expires, when a rotation was asked.
 */
json_t *hub_certificate_item(const struct sys_row *row, int column)
{
    struct certificate c = {.issued = sys_row_int(row, column + 1),
                            .expires = sys_row_int(row, column + 2),
                            .flag = !sys_row_null(row, column + 3)};
    if (sys_row_null(row, column)) {
        return json_null();
    }
    (void)snprintf(c.serial, sizeof c.serial, "%s", sys_row_text(row, column));
    return json_pack("{s:s,s:o,s:o,s:b}", "serial", c.serial, "issued", hub_json_time(c.issued),
                     "expires", hub_json_time(c.expires), "due", (int)is_due(&c, sys_now_ms()));
}

/* -- operators -- */

static enum ledge_status ask(struct hub_request *request, const char *device,
                             struct ledge_error *err)
{
    struct hub *hub = request->hub;
    LEDGE_TRY(sys_sql_do(hub->sql, err, NULL, NULL, hub_sql_device_rotate_ask, "si", device,
                         sys_now_ms()));
    if (sys_sql_changes(hub->sql) == 0) {
        return ledge_fail(err, LEDGE_ERR_NOT_FOUND, "no device is named %s", device);
    }
    return hub_audit(hub, request->actor, "certificate.ask", device, NULL, err);
}

/* Kept until it is done: a device that is away is asked when it comes back. */
void hub_on_device_rotate(struct hub_request *request)
{
    struct ledge_error err;
    struct hub *hub = request->hub;
    enum ledge_status status = sys_sql_begin(hub->sql, &err);
    if (status == LEDGE_OK) {
        status = hub_end(hub, ask(request, request->params[0], &err), &err);
    }
    if (status != LEDGE_OK) {
        hub_reply_error(request, &err);
        return;
    }
    hub_certificate_check(hub, request->params[0]);
    hub_on_device(request);
}

static bool add_item(void *arg, const struct sys_row *row)
{
    bool revoked = !sys_row_null(row, 4), proven = !sys_row_null(row, 3);
    (void)json_array_append_new(arg,
                                json_pack("{s:o,s:o,s:o,s:s,s:o}", "serial", hub_json_text(row, 0),
                                          "issued", hub_json_time(sys_row_int(row, 1)), "expires",
                                          hub_json_time(sys_row_int(row, 2)), "state",
                                          revoked  ? "revoked"
                                          : proven ? "in use"
                                                   : "not proven",
                                          "revoked", hub_json_time_or_null(row, 4)));
    return true;
}

void hub_on_device_certificates(struct hub_request *request)
{
    struct ledge_error err;
    int64_t revoked = -1;
    json_t *items = json_array();
    enum ledge_status status = sys_sql_do(request->hub->sql, &err, hub_row_int, &revoked,
                                          hub_sql_device_known, "s", request->params[0]);
    if (status == LEDGE_OK && revoked < 0) {
        status = ledge_fail(&err, LEDGE_ERR_NOT_FOUND, "no device is named %s", request->params[0]);
    }
    if (status == LEDGE_OK) {
        status = sys_sql_do(request->hub->sql, &err, add_item, items, hub_sql_certificate_list, "s",
                            request->params[0]);
    }
    if (status != LEDGE_OK) {
        json_decref(items);
        hub_reply_error(request, &err);
        return;
    }
    hub_reply_json(request, 200, hub_page(items, NULL));
}

static enum ledge_status revoke(struct hub_request *request, const char *device, const char *serial,
                                struct ledge_error *err)
{
    struct hub *hub = request->hub;
    struct certificate current = {.found = false};
    LEDGE_TRY(sys_sql_do(hub->sql, err, read_certificate, &current, hub_sql_certificate_current,
                         "s", device));
    if (current.found && strcmp(current.serial, serial) == 0) {
        return ledge_fail(err, LEDGE_ERR_STATE,
                          "%s connects with this certificate: rotate it, which ends this one, or "
                          "remove the device",
                          device);
    }
    LEDGE_TRY(sys_sql_do(hub->sql, err, NULL, NULL, hub_sql_certificate_revoke_one, "ssi", device,
                         serial, sys_now_ms()));
    if (sys_sql_changes(hub->sql) == 0) {
        return ledge_fail(err, LEDGE_ERR_NOT_FOUND, "%s has no such certificate that is valid",
                          device);
    }
    return hub_audit(hub, request->actor, "certificate.revoke", device, serial, err);
}

void hub_on_certificate_delete(struct hub_request *request)
{
    struct ledge_error err;
    struct hub *hub = request->hub;
    enum ledge_status status = sys_sql_begin(hub->sql, &err);
    if (status == LEDGE_OK) {
        status = hub_end(hub, revoke(request, request->params[0], request->params[1], &err), &err);
    }
    if (status == LEDGE_OK) {
        status = hub_broker_refresh(hub, &err);
    }
    if (status != LEDGE_OK) {
        hub_reply_error(request, &err);
        return;
    }
    hub_reply_none(request);
}
