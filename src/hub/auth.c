/* SPDX-License-Identifier: Apache-2.0 */
/* auth.c -- who calls: admin by bearer token or session cookie, device by certificate; and
 * sessions.
 *
 * Of the token and of cookies only SHA-256 is kept, and compared in constant time. After ten wrong
 * tokens in a minute an address is told to wait; the right token in a bearer header is never
 * refused for it (it has 192 random bits, which no one guesses, and nobody can so lock the operator
 * out). */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/digest.h"
#include "base/status.h"
#include "hub/api.h"
#include "hub_sql.h"
#include "sys/file.h"
#include "sys/json.h"
#include "sys/log.h"

enum { SESSION_MS = 12 * 3600 * 1000, WINDOW_MS = 60 * 1000, MOST_FAILURES = 10, SESSION_HEX = 64 };

static bool token_right(const struct hub *hub, const char *token)
{
    uint8_t digest[LEDGE_SHA256_BYTES];
    ledge_sha256(token, strlen(token), digest);
    return sys_equal(digest, hub->token_hash, sizeof digest);
}

/* -- cookies -- */

/* The session's value out of "a=b; ledge_session=…; c=d". */
static bool cookie_of(const struct sys_http_request *request, char value[SESSION_HEX + 1])
{
    const char *header = sys_http_header(request, "Cookie");
    const char *at = header != NULL ? strstr(header, "ledge_session=") : NULL;
    if (at == NULL || (at != header && at[-1] != ' ' && at[-1] != ';')) {
        return false;
    }
    at += strlen("ledge_session=");
    if (strspn(at, "0123456789abcdef") != SESSION_HEX) {
        return false;
    }
    memcpy(value, at, SESSION_HEX);
    value[SESSION_HEX] = '\0';
    return true;
}

static void hash_text(const char *text, char hex[LEDGE_SHA256_HEX])
{
    uint8_t digest[LEDGE_SHA256_BYTES];
    ledge_sha256(text, strlen(text), digest);
    ledge_hex(digest, sizeof digest, hex);
}

static bool session_good(struct hub *hub, const struct sys_http_request *request)
{
    char value[SESSION_HEX + 1], hex[LEDGE_SHA256_HEX];
    int64_t expires = 0;
    if (!cookie_of(request, value)) {
        return false;
    }
    hash_text(value, hex);
    return sys_sql_do(hub->sql, NULL, hub_row_int, &expires, hub_sql_session_find, "si", hex,
                      sys_now_ms()) == LEDGE_OK &&
           expires > 0;
}

/* -- who -- */

static bool found(void *arg, const struct sys_row *row)
{
    (void)row;
    *(bool *)arg = true;
    return false;
}

static bool device_good(struct hub *hub, const struct sys_http_request *request)
{
    const char *name = sys_http_peer_name(request);
    const char *serial = sys_http_peer_serial(request);
    bool good = false;
    return name != NULL && serial != NULL &&
           sys_sql_do(hub->sql, NULL, found, &good, hub_sql_certificate_check, "ss", serial,
                      name) == LEDGE_OK &&
           good;
}

static bool is_write(const struct sys_http_request *request)
{
    const char *method = sys_http_method(request);
    return strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0;
}

unsigned hub_auth(struct hub *hub, const struct sys_http_request *request, const char **actor,
                  bool *csrf)
{
    unsigned who = HUB_NONE;
    const char *bearer = sys_http_header(request, "Authorization");
    *actor = "nobody";
    *csrf = false;
    if (sys_http_peer_loopback(request)) {
        who |= HUB_LOCAL;
    }
    if (device_good(hub, request)) {
        who |= HUB_DEVICE;
        *actor = sys_http_peer_name(request);
    }
    if (bearer != NULL && strncasecmp(bearer, "Bearer ", 7) == 0) {
        if (token_right(hub, bearer + 7)) {
            who |= HUB_ADMIN;
            *actor = "admin";
        }
    } else if (bearer == NULL && session_good(hub, request)) {
        const char *header = sys_http_header(request, "X-Ledge-Csrf");
        who |= HUB_ADMIN;
        *actor = "admin";
        *csrf = is_write(request) && (header == NULL || strcmp(header, "1") != 0);
    }
    return who;
}

/* -- wrong tokens -- */

bool hub_auth_limited(struct hub *hub, const struct sys_http_request *request)
{
    int64_t now = sys_monotonic_ms();
    for (int i = 0; i < HUB_LIMITER_SLOTS; i++) {
        if (strcmp(hub->limiter.slots[i].address, sys_http_peer_address(request)) == 0 &&
            now - hub->limiter.slots[i].since_ms < WINDOW_MS) {
            return hub->limiter.slots[i].failures >= MOST_FAILURES;
        }
    }
    return false;
}

void hub_auth_failed(struct hub *hub, const struct sys_http_request *request)
{
    const char *address = sys_http_peer_address(request);
    int64_t now = sys_monotonic_ms();
    int slot = 0;
    for (int i = 0; i < HUB_LIMITER_SLOTS; i++) { /* its own slot, else the oldest */
        if (strcmp(hub->limiter.slots[i].address, address) == 0) {
            slot = i;
            break;
        }
        if (hub->limiter.slots[i].since_ms < hub->limiter.slots[slot].since_ms) {
            slot = i;
        }
    }
    bool same = strcmp(hub->limiter.slots[slot].address, address) == 0;
    if (!same || now - hub->limiter.slots[slot].since_ms >= WINDOW_MS) {
        (void)snprintf(hub->limiter.slots[slot].address, sizeof hub->limiter.slots[slot].address,
                       "%s", address);
        hub->limiter.slots[slot].since_ms = now;
        hub->limiter.slots[slot].failures = 0;
    }
    hub->counts.logins_refused++;
    if (++hub->limiter.slots[slot].failures == MOST_FAILURES) {
        sys_log(SYS_LOG_WARNING, "%d wrong tokens from %s within a minute: it has to wait",
                MOST_FAILURES, address);
    }
}

/* -- sessions -- */

static enum ledge_status open_session(struct hub *hub, char value[SESSION_HEX + 1],
                                      struct ledge_error *err)
{
    uint8_t secret[SESSION_HEX / 2];
    char hex[LEDGE_SHA256_HEX];
    int64_t now = sys_now_ms();
    LEDGE_TRY(sys_random(secret, sizeof secret, err));
    ledge_hex(secret, sizeof secret, value);
    hash_text(value, hex);
    LEDGE_TRY(sys_sql_do(hub->sql, err, NULL, NULL, hub_sql_session_expire, "i", now));
    return sys_sql_do(hub->sql, err, NULL, NULL, hub_sql_session_add, "si", hex, now + SESSION_MS);
}

void hub_on_session_post(struct hub_request *request)
{
    struct ledge_error err;
    struct hub *hub = request->hub;
    const char *token = NULL;
    char value[SESSION_HEX + 1], cookie[160];
    if (hub_auth_limited(hub, request->http)) {
        sys_http_reply_header(request->http, "Retry-After", "60");
        hub_reply_problem(request, 429, "too many wrong tokens; wait a minute");
        return;
    }
    json_t *body = hub_request_json(request);
    if (body == NULL) {
        return;
    }
    if (sys_json_text(body, "sign-in", "token", &token, &err) != LEDGE_OK) {
        hub_reply_error(request, &err);
    } else if (!token_right(hub, token)) {
        hub_auth_failed(hub, request->http);
        hub_reply_problem(request, 401, "the token is not the hub's admin token");
    } else if (open_session(hub, value, &err) != LEDGE_OK) {
        hub_reply_error(request, &err);
    } else {
        (void)snprintf(cookie, sizeof cookie,
                       "ledge_session=%s; Path=/; Max-Age=%d; HttpOnly; SameSite=Strict%s", value,
                       SESSION_MS / 1000, hub->options.plain ? "" : "; Secure");
        sys_http_reply_header(request->http, "Set-Cookie", cookie);
        hub_reply_none(request);
    }
    json_decref(body);
}

void hub_on_session_delete(struct hub_request *request)
{
    struct ledge_error err;
    char value[SESSION_HEX + 1], hex[LEDGE_SHA256_HEX];
    if (cookie_of(request->http, value)) {
        hash_text(value, hex);
        if (sys_sql_do(request->hub->sql, &err, NULL, NULL, hub_sql_session_remove, "s", hex) !=
            LEDGE_OK) {
            hub_reply_error(request, &err);
            return;
        }
    }
    sys_http_reply_header(request->http, "Set-Cookie",
                          "ledge_session=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict");
    hub_reply_none(request);
}
