/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/rotate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/failpoint.h"
#include "agent/rotate_files.h"
#include "base/cleanup.h"
#include "base/status.h"
#include "sys/http.h"
#include "sys/json.h"
#include "sys/log.h"
#include "sys/mqtt.h"
#include "sys/tls.h"

enum {
    RETRY_MS = 1000,
    RETRY_MAX_MS = 60000,
    PROBE_MS = 20000,
    RESUME_MS = 5000, /* what the last run left goes on, should the broker not come before */
    PATIENCE = 20,    /* failures of proving before it is given up; */
    REFUSED = 4,      /* one that is no matter of the network counts for so many */
    PAUSE_MS = 3600 * 1000,
    PEM_MAX = 65536,
};

struct agent_rotate {
    struct sys_loop *loop;
    struct agent_rotate_options options;
    enum agent_rotate_state state;
    char serial[64];     /* of device.crt */
    int64_t expires;     /* seconds since 1970 */
    bool calling;        /* an HTTPS call is under way */
    bool freed;          /* while calling */
    struct sys_tls *tls; /* of the next pair, while it is proven */
    struct sys_mqtt *probe;
    struct sys_timer *timer; /* the next attempt, or patience with the probe */
    int32_t retry_ms;
    int failures;       /* of proving */
    int64_t not_before; /* monotonic: no new one before */
};

static void step(struct agent_rotate *r);

static void stop_timer(struct agent_rotate *r)
{
    sys_timer_free(r->timer);
    r->timer = NULL;
}

static void end_probe(struct agent_rotate *r)
{
    sys_mqtt_free(r->probe);
    r->probe = NULL;
    sys_tls_free(r->tls);
    r->tls = NULL;
}

static void read_identity(struct agent_rotate *r)
{
    struct ledge_error err;
    if (sys_certificate_serial(r->options.config->certificate, r->serial, &err) != LEDGE_OK ||
        sys_certificate_expiry(r->options.config->certificate, &r->expires, &err) != LEDGE_OK) {
        sys_log(SYS_LOG_ERROR, "%s", err.text);
    }
}

static void on_time(void *arg)
{
    struct agent_rotate *r = arg;
    stop_timer(r);
    step(r);
}

static void again(struct agent_rotate *r, const char *why)
{
    sys_log(SYS_LOG_WARNING, "certificate rotation: %s; again in %d ms", why, r->retry_ms);
    stop_timer(r);
    r->timer = sys_timer_start(r->loop, r->retry_ms, 0, on_time, r);
    r->retry_ms = r->retry_ms * 2 > RETRY_MAX_MS ? RETRY_MAX_MS : r->retry_ms * 2;
}

/* Journal first; then the state's step. False: the disk does not take it, tried again later. */
static bool enter(struct agent_rotate *r, enum agent_rotate_state state)
{
    struct ledge_error err;
    if (rotate_write(r->options.config, state, &err) != LEDGE_OK) {
        again(r, err.text);
        return false;
    }
    r->state = state;
    r->retry_ms = RETRY_MS;
    return true;
}

/* The old pair goes on. */
static void give_up(struct agent_rotate *r, const char *why)
{
    struct ledge_error err;
    sys_log(SYS_LOG_ERROR, "certificate rotation given up, the old certificate goes on: %s", why);
    end_probe(r);
    r->not_before = sys_monotonic_ms() + PAUSE_MS;
    if (enter(r, AGENT_ROTATE_IDLE) && rotate_tidy(r->options.config, &err) != LEDGE_OK) {
        sys_log(SYS_LOG_WARNING, "%s", err.text);
    }
}

/* -- calls to the hub ----------------------------------------------------------------------------
 */

typedef void answered(struct agent_rotate *r, const struct sys_http_reply *reply,
                      const json_t *answer);

struct call {
    struct agent_rotate *rotate;
    answered *done;
};

static void on_answer(void *arg, struct sys_http_reply *reply, const struct ledge_error *err)
{
    struct call call = *(struct call *)arg;
    struct agent_rotate *r = call.rotate;
    LEDGE_CLEANUP(sys_json_free) json_t *answer = NULL;
    free(arg);
    r->calling = false;
    if (r->freed) {
        free(r);
        return;
    }
    if (err != NULL) {
        r->failures += err->status == LEDGE_ERR_AUTH ? REFUSED : 1;
        if (r->state == AGENT_ROTATE_PROVE && r->failures >= PATIENCE) {
            give_up(r, err->text);
        } else {
            again(r, err->text);
        }
        return;
    }
    if (reply->body.len > 0) {
        (void)!sys_json_parse(reply->body.data, reply->body.len, &answer, NULL);
    }
    call.done(r, reply, answer);
}

static void call_hub(struct agent_rotate *r, const char *method, const char *path,
                     struct sys_tls *tls, const json_t *body, answered *done)
{
    static const char *const headers[] = {"Content-Type", "application/json", NULL};
    LEDGE_CLEANUP(ledge_buf_done) struct ledge_buf text = LEDGE_BUF_INIT(PEM_MAX);
    struct ledge_error err;
    char url[SYS_PATH + 64];
    struct call *call = malloc(sizeof *call);
    if (call == NULL || (body != NULL && sys_json_write(body, &text) != LEDGE_OK)) {
        free(call);
        again(r, "out of memory");
        return;
    }
    *call = (struct call){.rotate = r, .done = done};
    (void)snprintf(url, sizeof url, "%s/api/v1/certificates%s", r->options.config->hub, path);
    struct sys_http_call http = {.method = method,
                                 .url = url,
                                 .headers = body != NULL ? headers : NULL,
                                 .body = text.data,
                                 .body_bytes = text.len,
                                 .tls = tls,
                                 .max_body = 4 * PEM_MAX};
    r->calling = true;
    if (sys_http_start(r->loop, &http, on_answer, call, &err) != LEDGE_OK) {
        r->calling = false;
        free(call);
        again(r, err.text);
    }
}

static bool is_refusal(int status)
{
    return status >= 400 && status < 500 && status != 408 && status != 429;
}

static void wrong_answer(struct agent_rotate *r, const struct sys_http_reply *reply,
                         const json_t *answer, bool final)
{
    char why[256];
    const char *detail = json_string_value(json_object_get(answer, "detail"));
    (void)snprintf(why, sizeof why, "the hub answers %d%s%.180s", reply->status,
                   detail != NULL ? ": " : "", detail != NULL ? detail : "");
    if (final) {
        give_up(r, why);
    } else {
        again(r, why);
    }
}

/* -- REQUEST -------------------------------------------------------------------------------------
 */

static void on_signed(struct agent_rotate *r, const struct sys_http_reply *reply,
                      const json_t *answer)
{
    struct ledge_error err;
    const char *pem = json_string_value(json_object_get(answer, "certificate"));
    if (reply->status != 201 || pem == NULL) {
        wrong_answer(r, reply, answer, is_refusal(reply->status));
        return;
    }
    if (agent_failpoint("ROTATE_SIGNED")) {
        again(r, "fail point");
        return;
    }
    enum ledge_status status = rotate_keep(r->options.config, pem, &err);
    if (status == LEDGE_ERR_FORMAT) { /* no certificate, or not of our key */
        give_up(r, err.text);
    } else if (status != LEDGE_OK) {
        again(r, err.text);
    } else if (enter(r, AGENT_ROTATE_PROVE)) {
        r->failures = 0;
        step(r);
    }
}

static void request(struct agent_rotate *r)
{
    LEDGE_CLEANUP(ledge_buf_done) struct ledge_buf csr = LEDGE_BUF_INIT(PEM_MAX);
    struct ledge_error err;
    if (rotate_prepare(r->options.config, &csr, &err) != LEDGE_OK) {
        again(r, err.text);
        return;
    }
    LEDGE_CLEANUP(sys_json_free) json_t *body = json_pack("{s:s}", "csr", csr.data);
    call_hub(r, "POST", "", r->options.tls, body, on_signed);
}

/* -- PROVE: the hub, then the broker -------------------------------------------------------------
 */

static void do_switch(struct agent_rotate *r);

static void on_proven(void *arg)
{
    struct agent_rotate *r = arg;
    stop_timer(r);
    end_probe(r);
    if (agent_failpoint("ROTATE_PROVEN")) {
        again(r, "fail point");
    } else if (enter(r, AGENT_ROTATE_SWITCH)) {
        do_switch(r);
    }
}

static void probe_failed(struct agent_rotate *r, const char *why)
{
    char text[256];
    (void)snprintf(text, sizeof text, "the broker and the new certificate: %s", why);
    end_probe(r);
    r->failures += REFUSED;
    if (r->failures >= PATIENCE) {
        give_up(r, text);
    } else {
        again(r, text);
    }
}

static void on_refused(void *arg, const char *reason)
{
    probe_failed(arg, reason);
}

static void on_patience(void *arg)
{
    struct agent_rotate *r = arg;
    stop_timer(r);
    probe_failed(r, "no answer");
}

/* A client of another name, so that the broker does not end the connection that stands. */
static void prove_to_broker(struct agent_rotate *r)
{
    const struct agent_config *config = r->options.config;
    char id[FLEET_NAME_SIZE + 8], key[SYS_PATH], certificate[SYS_PATH];
    struct ledge_error err;
    (void)snprintf(id, sizeof id, "%s/next", config->device);
    struct sys_mqtt_options options = {.host = config->broker_host,
                                       .port = config->broker_port,
                                       .client_id = id,
                                       .certificate = certificate,
                                       .key = key,
                                       .ca = config->ca,
                                       .on_connect = on_proven,
                                       .on_disconnect = on_refused,
                                       .arg = r};
    if (sys_path(key, &err, "%s/next.key", config->state) != LEDGE_OK ||
        sys_path(certificate, &err, "%s/next.crt", config->state) != LEDGE_OK ||
        sys_mqtt_create(r->loop, &options, &r->probe, &err) != LEDGE_OK) {
        probe_failed(r, err.text);
        return;
    }
    r->timer = sys_timer_start(r->loop, PROBE_MS, 0, on_patience, r);
}

static void on_self(struct agent_rotate *r, const struct sys_http_reply *reply,
                    const json_t *answer)
{
    char serial[64], path[SYS_PATH];
    struct ledge_error err;
    const char *device = json_string_value(json_object_get(answer, "device"));
    const char *seen = json_string_value(json_object_get(answer, "serial"));
    if (reply->status != 200 || device == NULL || seen == NULL) {
        wrong_answer(r, reply, answer, is_refusal(reply->status));
    } else if (sys_path(path, &err, "%s/next.crt", r->options.config->state) != LEDGE_OK ||
               sys_certificate_serial(path, serial, &err) != LEDGE_OK) {
        give_up(r, err.text);
    } else if (strcmp(device, r->options.config->device) != 0 || strcmp(seen, serial) != 0) {
        give_up(r, "the hub takes the new certificate for another's");
    } else {
        prove_to_broker(r);
    }
}

static void prove(struct agent_rotate *r)
{
    struct ledge_error err;
    if (rotate_next_tls(r->options.config, &r->tls, &err) != LEDGE_OK) {
        give_up(r, err.text);
        return;
    }
    call_hub(r, "GET", "/self", r->tls, NULL, on_self);
}

/* -- SWITCH, CONFIRM, BACK -----------------------------------------------------------------------
 */

/* device.* is another pair now. */
static void use_files(struct agent_rotate *r)
{
    struct ledge_error err;
    if (sys_tls_reload(r->options.tls, &err) != LEDGE_OK) {
        sys_log(SYS_LOG_ERROR, "%s", err.text);
    }
    read_identity(r);
    r->options.switched(r->options.arg);
}

static void do_switch(struct agent_rotate *r)
{
    struct ledge_error err;
    if (rotate_switch(r->options.config, &err) != LEDGE_OK) {
        again(r, err.text);
    } else if (enter(r, AGENT_ROTATE_CONFIRM)) {
        use_files(r);
        step(r);
    }
}

static void go_back(struct agent_rotate *r)
{
    struct ledge_error err;
    if (rotate_back(r->options.config, &err) != LEDGE_OK) {
        again(r, err.text);
        return;
    }
    use_files(r);
    give_up(r, "the hub refuses the new one");
}

static void on_confirmed(struct agent_rotate *r, const struct sys_http_reply *reply,
                         const json_t *answer)
{
    struct ledge_error err;
    if (agent_failpoint("ROTATE_CONFIRMED")) {
        again(r, "fail point");
    } else if (reply->status == 200) {
        if (enter(r, AGENT_ROTATE_IDLE) && rotate_tidy(r->options.config, &err) != LEDGE_OK) {
            sys_log(SYS_LOG_WARNING, "%s", err.text);
        }
        sys_log(SYS_LOG_INFO, "certificate %s is in use, the old one is revoked", r->serial);
    } else if ((reply->status == 401 || reply->status == 403 || reply->status == 409) &&
               rotate_has_old(r->options.config)) {
        if (enter(r, AGENT_ROTATE_BACK)) {
            go_back(r);
        }
    } else {
        wrong_answer(r, reply, answer, false);
    }
}

/* -- life ----------------------------------------------------------------------------------------
 */

static void step(struct agent_rotate *r)
{
    if (r->calling || r->probe != NULL || r->timer != NULL) {
        return;
    }
    switch (r->state) {
    case AGENT_ROTATE_IDLE:
        return;
    case AGENT_ROTATE_REQUEST:
        request(r);
        return;
    case AGENT_ROTATE_PROVE:
        end_probe(r);
        prove(r);
        return;
    case AGENT_ROTATE_SWITCH:
        do_switch(r);
        return;
    case AGENT_ROTATE_CONFIRM:
        call_hub(r, "POST", "/confirm", r->options.tls, NULL, on_confirmed);
        return;
    case AGENT_ROTATE_BACK:
        go_back(r);
        return;
    }
}

void agent_rotate_connected(struct agent_rotate *r)
{
    if (r->timer != NULL && r->probe == NULL) { /* no reason to wait any longer */
        stop_timer(r);
        r->retry_ms = RETRY_MS;
    }
    step(r);
}

void agent_rotate_ask(struct agent_rotate *r, const char *serial)
{
    struct ledge_error err;
    if (r->state != AGENT_ROTATE_IDLE || strcmp(serial, r->serial) != 0 ||
        sys_monotonic_ms() < r->not_before) {
        return;
    }
    sys_log(SYS_LOG_INFO, "the hub asks for a new certificate in place of %s", serial);
    if (rotate_tidy(r->options.config, &err) != LEDGE_OK) {
        sys_log(SYS_LOG_ERROR, "%s", err.text); /* asked again with the next hello */
    } else if (enter(r, AGENT_ROTATE_REQUEST)) {
        step(r);
    }
}

json_t *agent_rotate_status(const struct agent_rotate *r)
{
    char expires[32];
    sys_time_text(r->expires * 1000, expires);
    return json_pack("{s:s,s:s,s:s}", "serial", r->serial, "expires", expires, "rotation",
                     rotate_state_name(r->state));
}

enum ledge_status agent_rotate_create(struct sys_loop *loop,
                                      const struct agent_rotate_options *options,
                                      struct agent_rotate **out, struct ledge_error *err)
{
    struct agent_rotate *r = calloc(1, sizeof *r);
    if (r == NULL) {
        return ledge_fail(err, LEDGE_ERR_NOMEM, "rotation: out of memory");
    }
    r->loop = loop;
    r->options = *options;
    r->retry_ms = RETRY_MS;
    r->state = rotate_read(options->config);
    read_identity(r);
    if (r->state != AGENT_ROTATE_IDLE) {
        r->timer = sys_timer_start(loop, RESUME_MS, 0, on_time, r);
    }
    *out = r;
    return LEDGE_OK;
}

void agent_rotate_free(struct agent_rotate *r)
{
    if (r == NULL) {
        return;
    }
    stop_timer(r);
    end_probe(r);
    if (r->calling) { /* the answer frees it */
        r->freed = true;
        return;
    }
    free(r);
}
