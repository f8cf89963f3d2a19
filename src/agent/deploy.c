/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/deploy_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/failpoint.h"
#include "agent/generation.h"
#include "base/cleanup.h"
#include "base/digest.h"
#include "base/status.h"
#include "sys/json.h"
#include "sys/log.h"
#include "sys/tls.h"

/* -- status --------------------------------------------------------------------------------------
 */

static json_t *make_status(struct agent_deploy *d, int64_t gen, enum fleet_deploy_state state,
                           const char *reason)
{
    json_t *status = json_pack("{s:i,s:I,s:s,s:s%,s:o,s:o}", "v", 1, "gen", (json_int_t)gen,
                               "state", fleet_state_row(state)->name, "reason", reason,
                               strlen(reason), "models", agent_serve_status(d->options.serve),
                               "functions", agent_functions_status(d->options.functions));
    double swap_ms = agent_serve_swap_ms(d->options.serve);
    if (status != NULL && swap_ms >= 0) {
        (void)json_object_set_new(status, "swap_ms", json_real(swap_ms));
    }
    return status;
}

static void publish(struct agent_deploy *d, int64_t gen, enum fleet_deploy_state state,
                    const char *reason)
{
    LEDGE_CLEANUP(sys_json_free) json_t *status = make_status(d, gen, state, reason);
    if (status != NULL && d->options.on_status != NULL) {
        d->options.on_status(d->options.arg, status);
    }
}

json_t *agent_deploy_status(struct agent_deploy *d)
{
    int64_t gen = d->j.target > 0 ? d->j.target : d->j.current;
    return make_status(d, gen, d->j.state, d->j.reason);
}

int64_t agent_deploy_running(const struct agent_deploy *d)
{
    return d->j.state == FLEET_STATE_TRIAL ? d->j.target : d->j.current;
}

int64_t agent_deploy_seen(const struct agent_deploy *d)
{
    return d->j.seen;
}

enum fleet_deploy_state agent_deploy_state(const struct agent_deploy *d)
{
    return d->j.state;
}

/* -- the machine ---------------------------------------------------------------------------------
 */

static void stop_timer(struct sys_timer **timer)
{
    sys_timer_free(*timer);
    *timer = NULL;
}

static void on_timer(void *arg)
{
    struct agent_deploy *d = arg;
    stop_timer(&d->timer);
    deploy_work(d);
}

static void on_deadline(void *arg)
{
    struct agent_deploy *d = arg;
    char reason[AGENT_REASON];
    const struct fleet_state_row *row = fleet_state_row(d->j.state);
    (void)snprintf(reason, sizeof reason, "%s took longer than %d s", row->name, row->deadline_s);
    deploy_fail(d, reason);
}

static void schedule(struct agent_deploy *d, const struct fleet_state_row *row)
{
    stop_timer(&d->timer);
    stop_timer(&d->deadline);
    d->timer = sys_timer_start(d->loop, 0, 0, on_timer, d);
    if (row->deadline_s > 0) {
        d->deadline = sys_timer_start(d->loop, (int64_t)row->deadline_s * 1000, 0, on_deadline, d);
    }
}

void deploy_enter(struct agent_deploy *d, enum fleet_deploy_state state)
{
    const struct fleet_state_row *row = fleet_state_row(state);
    struct ledge_error err;
    d->j.state = state;
    if (row->entered == FLEET_ENTERED_JOURNAL &&
        agent_journal_write(d->file, &d->j, &err) != LEDGE_OK) {
        /* Its two slots are allocated, so this is a dying disk. Going on could not be told from
         * not having gone on after a crash; the states before the switch can stop here. */
        sys_log(SYS_LOG_ERROR, "%s", err.text);
        if (state == FLEET_STATE_VERIFIED || state == FLEET_STATE_FETCHING ||
            state == FLEET_STATE_STAGED || state == FLEET_STATE_SWITCHING) {
            (void)snprintf(d->j.reason, sizeof d->j.reason, "%.190s", err.text);
            d->j.state = FLEET_STATE_FAILED;
            row = fleet_state_row(FLEET_STATE_FAILED);
        }
    }
    sys_log(*d->j.reason != '\0' ? SYS_LOG_WARNING : SYS_LOG_INFO, "generation %" PRId64 ": %s%s%s",
            d->j.target, row->name, *d->j.reason != '\0' ? ": " : "", d->j.reason);
    publish(d, d->j.target, d->j.state, d->j.reason);
    if (agent_failpoint(row->name) && row->on_error != d->j.state) {
        deploy_fail(d, "fail point");
        return;
    }
    schedule(d, row);
}

static bool is_known_failure(const struct agent_deploy *d, const char *digest)
{
    for (size_t i = 0; i < AGENT_FAILED_KEPT; i++) {
        if (strcmp(d->j.failed[i], digest) == 0) {
            return true;
        }
    }
    return false;
}

static void remember_failure(struct agent_deploy *d)
{
    if (!is_known_failure(d, d->j.digest)) {
        memmove(d->j.failed[1], d->j.failed[0], sizeof d->j.failed - sizeof d->j.failed[0]);
        memcpy(d->j.failed[0], d->j.digest, sizeof d->j.digest);
    }
}

void deploy_fail(struct agent_deploy *d, const char *reason)
{
    enum fleet_deploy_state next = fleet_state_row(d->j.state)->on_error;
    (void)snprintf(d->j.reason, sizeof d->j.reason, "%.190s", reason);
    if (next != d->j.state) {
        remember_failure(d);
        deploy_enter(d, next);
    }
}

/* -- documents that come -------------------------------------------------------------------------
 */

static enum ledge_status verify(const struct agent_deploy *d, const void *text, size_t n,
                                struct fleet_envelope *envelope, struct ledge_error *err)
{
    LEDGE_CLEANUP(ledge_buf_done) struct ledge_buf bytes = LEDGE_BUF_INIT(FLEET_PAYLOAD_MAX);
    char keyid[FLEET_KEYID_SIZE];
    struct fleet_envelope read = {.payload = LEDGE_BUF_INIT(0)};
    LEDGE_TRY(fleet_envelope_parse(text, n, &read, err));
    fleet_keyid(d->options.director_key, keyid);
    enum ledge_status status = LEDGE_OK;
    if (strcmp(keyid, read.keyid) != 0) {
        status = ledge_fail(err, LEDGE_ERR_AUTH, "signed by key %s, not by %s", read.keyid, keyid);
    } else if (!fleet_signed_bytes(read.payload.data, read.payload.len, &bytes)) {
        status = ledge_fail(err, LEDGE_ERR_NOMEM, "document: out of memory");
    } else if (!sys_ed25519_verify(d->options.director_key, bytes.data, bytes.len, read.sig)) {
        status = ledge_fail(err, LEDGE_ERR_AUTH, "the signature is wrong");
    }
    if (status != LEDGE_OK) {
        fleet_envelope_done(&read);
        return status;
    }
    *envelope = read;
    return LEDGE_OK;
}

static enum ledge_status envelope_path(const struct agent_deploy *d, char path[SYS_PATH],
                                       struct ledge_error *err)
{
    return sys_path(path, err, "%s/desired.json", d->state);
}

static void drop_target(struct agent_deploy *d)
{
    if (d->target != NULL) {
        fleet_desired_done(d->target);
        free(d->target);
        d->target = NULL;
    }
    ledge_buf_done(&d->document);
}

enum ledge_status deploy_load_target(struct agent_deploy *d, struct ledge_error *err)
{
    LEDGE_CLEANUP(ledge_buf_done) struct ledge_buf text = LEDGE_BUF_INIT(FLEET_PAYLOAD_MAX);
    struct fleet_envelope envelope;
    char path[SYS_PATH];
    uint8_t digest[LEDGE_SHA256_BYTES];
    char hex[LEDGE_SHA256_HEX];
    if (d->target != NULL) {
        return LEDGE_OK;
    }
    LEDGE_TRY(envelope_path(d, path, err));
    LEDGE_TRY(sys_file_read(path, &text, err));
    LEDGE_TRY(verify(d, text.data, text.len, &envelope, err));
    drop_target(d);
    d->document = envelope.payload; /* taken over */
    ledge_sha256(d->document.data, d->document.len, digest);
    ledge_hex(digest, sizeof digest, hex);
    if (strcmp(hex, d->j.digest) != 0) {
        return ledge_fail(err, LEDGE_ERR_CORRUPT, "the stored document is another one");
    }
    d->target = calloc(1, sizeof *d->target);
    if (d->target == NULL) {
        return ledge_fail(err, LEDGE_ERR_NOMEM, "document: out of memory");
    }
    enum ledge_status status =
        fleet_desired_parse(d->document.data, d->document.len, d->target, err);
    if (status != LEDGE_OK) {
        free(d->target);
        d->target = NULL;
    }
    return status;
}

/* Device and generation of a document whose signature held, whatever else is wrong with it. */
static enum ledge_status peek(const struct ledge_buf *payload, const char **device, int64_t *gen,
                              json_t **root, struct ledge_error *err)
{
    LEDGE_TRY(sys_json_parse(payload->data != NULL ? payload->data : "", payload->len, root, err));
    LEDGE_TRY(sys_json_text(*root, "desired document", "device", device, err));
    return sys_json_int(*root, "desired document", "gen", 1, INT64_MAX / 2, gen, err);
}

/* gen 0: it cannot be told, or is none of ours; what the hub knows of real ones stays. */
static void refuse(struct agent_deploy *d, int64_t gen, const char *reason)
{
    sys_log(SYS_LOG_ERROR, "desired document refused: %s", reason);
    publish(d, gen, FLEET_STATE_REJECTED, reason);
}

static bool is_switching(const struct agent_deploy *d)
{
    return d->j.state == FLEET_STATE_SWITCHING || d->j.state == FLEET_STATE_TRIAL ||
           d->j.state == FLEET_STATE_ROLLING_BACK;
}

static bool is_preparing(const struct agent_deploy *d)
{
    return d->j.state == FLEET_STATE_RECEIVED || d->j.state == FLEET_STATE_VERIFIED ||
           d->j.state == FLEET_STATE_FETCHING || d->j.state == FLEET_STATE_STAGED;
}

static void take(struct agent_deploy *d, const void *envelope, size_t n, int64_t gen,
                 const char *digest)
{
    struct ledge_error err;
    char path[SYS_PATH];
    if (is_preparing(d)) {
        sys_log(SYS_LOG_INFO, "generation %" PRId64 ": SUPERSEDED by %" PRId64, d->j.target, gen);
        publish(d, d->j.target, FLEET_STATE_SUPERSEDED, "a newer document came");
    }
    agent_store_cancel(d->options.store);
    stop_timer(&d->timer);
    stop_timer(&d->deadline);
    drop_target(d);
    if (envelope_path(d, path, &err) != LEDGE_OK ||
        sys_file_write(path, envelope, n, 0600, &err) != LEDGE_OK) {
        sys_log(SYS_LOG_ERROR, "%s", err.text);
        publish(d, gen, FLEET_STATE_FAILED, err.text);
        if (is_preparing(d)) { /* what was in work is gone; the hub sends again after a hello */
            d->j.state = FLEET_STATE_IDLE;
        }
        return;
    }
    d->j.target = gen;
    d->j.seen = gen > d->j.seen ? gen : d->j.seen;
    d->j.trial_starts = 0;
    d->j.reason[0] = '\0';
    memcpy(d->j.digest, digest, sizeof d->j.digest);
    d->refetches = 0;
    deploy_enter(d, FLEET_STATE_RECEIVED);
}

/* A document whose signature held. */
static void consider(struct agent_deploy *d, const void *envelope, size_t n,
                     const struct ledge_buf *payload)
{
    LEDGE_CLEANUP(sys_json_free) json_t *root = NULL;
    struct ledge_error err;
    const char *device;
    int64_t gen = 0;
    uint8_t digest[LEDGE_SHA256_BYTES];
    char hex[LEDGE_SHA256_HEX];
    ledge_sha256(payload->data, payload->len, digest);
    ledge_hex(digest, sizeof digest, hex);
    bool known = strcmp(hex, d->j.digest) == 0;
    if (known && d->j.state != FLEET_STATE_IDLE) {
        publish(d, d->j.target, d->j.state, d->j.reason); /* sent again: say again how it stands */
        return;
    }
    if (peek(payload, &device, &gen, &root, &err) != LEDGE_OK) {
        refuse(d, gen, err.text);
    } else if (strcmp(device, d->device) != 0) {
        (void)ledge_fail(&err, LEDGE_ERR_AUTH, "it is for device %.64s", device);
        refuse(d, 0, err.text);
    } else if (gen <= d->j.current || gen < d->j.target) {
        (void)ledge_fail(&err, LEDGE_ERR_RANGE,
                         "generation %" PRId64 " is not greater than %" PRId64, gen,
                         gen <= d->j.current ? d->j.current : d->j.target);
        refuse(d, gen, err.text);
    } else if (is_known_failure(d, hex)) {
        refuse(d, gen, "this document failed before and is not tried again");
    } else if (is_switching(d)) {
        ledge_buf_clear(&d->queued);
        (void)ledge_buf_add(&d->queued, envelope, n);
    } else {
        take(d, envelope, n, gen, hex);
    }
}

void agent_deploy_receive(struct agent_deploy *d, const void *envelope, size_t n)
{
    struct fleet_envelope read;
    struct ledge_error err;
    if (verify(d, envelope, n, &read, &err) != LEDGE_OK) {
        refuse(d, 0, err.text);
        return;
    }
    consider(d, envelope, n, &read.payload);
    fleet_envelope_done(&read);
}

/* -- life ----------------------------------------------------------------------------------------
 */

/* The journal cannot be read: what `current` points to is all that is known. */
static enum ledge_status begin_anew(struct agent_deploy *d, const char *path,
                                    struct ledge_error *err)
{
    char aside[SYS_PATH];
    sys_log(SYS_LOG_ERROR, "%s; it is put aside", err->text);
    LEDGE_TRY(sys_path(aside, err, "%s.damaged-%" PRId64, path, sys_now_ms()));
    if (rename(path, aside) != 0) {
        return ledge_fail(err, LEDGE_ERR_IO, "cannot put %.180s aside", path);
    }
    LEDGE_TRY(agent_journal_open(path, &d->file, &d->j, err));
    d->j.current = agent_generation_current(d->state);
    d->j.seen = d->j.current;
    return LEDGE_OK;
}

enum ledge_status agent_deploy_open(struct sys_loop *loop,
                                    const struct agent_deploy_options *options,
                                    struct agent_deploy **out, struct ledge_error *err)
{
    struct agent_deploy *d = calloc(1, sizeof *d);
    char path[SYS_PATH];
    if (d == NULL) {
        return ledge_fail(err, LEDGE_ERR_NOMEM, "deployment: out of memory");
    }
    d->applied = calloc(1, sizeof *d->applied);
    if (d->applied == NULL) {
        free(d);
        return ledge_fail(err, LEDGE_ERR_NOMEM, "deployment: out of memory");
    }
    d->loop = loop;
    d->options = *options;
    d->document.max = FLEET_DOCUMENT_MAX;
    d->queued.max = FLEET_PAYLOAD_MAX;
    (void)snprintf(d->device, sizeof d->device, "%s", options->device);
    enum ledge_status status = sys_path(d->state, err, "%s", options->state);
    d->options.state = d->state;
    d->options.device = d->device;
    if (status == LEDGE_OK) {
        status = sys_path(path, err, "%s/journal", d->state);
    }
    if (status == LEDGE_OK) {
        status = agent_journal_open(path, &d->file, &d->j, err);
        status = status == LEDGE_ERR_CORRUPT ? begin_anew(d, path, err) : status;
    }
    if (status != LEDGE_OK) {
        agent_deploy_close(d);
        return status;
    }
    *out = d;
    return LEDGE_OK;
}

void agent_deploy_close(struct agent_deploy *d)
{
    if (d == NULL) {
        return;
    }
    /* Nobody may call back into what is freed here. */
    agent_store_cancel(d->options.store);
    agent_serve_set(d->options.serve, NULL, "", NULL, NULL);
    stop_timer(&d->timer);
    stop_timer(&d->deadline);
    stop_timer(&d->again);
    drop_target(d);
    fleet_desired_done(d->applied);
    free(d->applied);
    ledge_buf_done(&d->queued);
    agent_journal_close(d->file);
    free(d);
}

void agent_deploy_resume(struct agent_deploy *d)
{
    const struct fleet_state_row *row = fleet_state_row(d->j.state);
    struct ledge_error err;
    if (row->on_kill != FLEET_KILL_STAY) {
        sys_log(SYS_LOG_WARNING, "generation %" PRId64 ": the agent ended in %s; it goes on",
                d->j.target, row->name);
    }
    switch (row->on_kill) {
    case FLEET_KILL_STAY:
        deploy_collect(d);
        deploy_start_confirmed(d);
        break;
    case FLEET_KILL_AGAIN:
        deploy_start_confirmed(d);
        schedule(d, row);
        break;
    case FLEET_KILL_FORWARD:
    case FLEET_KILL_BACK:
        schedule(d, row);
        break;
    case FLEET_KILL_COUNT:
        d->j.trial_starts++;
        if (agent_journal_write(d->file, &d->j, &err) != LEDGE_OK) {
            sys_log(SYS_LOG_ERROR, "%s", err.text);
        }
        schedule(d, row);
        break;
    }
}
