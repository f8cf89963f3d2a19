/* SPDX-License-Identifier: Apache-2.0 */
/* deploy_steps.c -- the work of each state. Every one may be done again from its beginning: that is
 * what happens after kill -9. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "agent/deploy_internal.h"
#include "agent/failpoint.h"
#include "agent/generation.h"
#include "base/status.h"
#include "sys/log.h"

enum { HEALTH_EVERY_MS = 100, AGAIN_MS = 10000, SPACE_MARGIN = 1024 * 1024 };

/* -- apply: serve first, because functions ask it ------------------------------------------------
 */

static void end_apply(struct agent_deploy *d, const struct ledge_error *err)
{
    void (*then)(struct agent_deploy * d, const struct ledge_error *err) = d->apply_then;
    d->apply_stage = DEPLOY_APPLY_NONE;
    d->apply_then = NULL;
    fleet_desired_done(d->applied);
    then(d, err);
}

static void on_functions(void *arg, const struct ledge_error *err)
{
    struct agent_deploy *d = arg;
    if (d->apply_stage == DEPLOY_APPLY_FUNCTIONS) {
        end_apply(d, err);
    }
}

static void on_models(void *arg, const struct ledge_error *err)
{
    struct agent_deploy *d = arg;
    if (d->apply_stage != DEPLOY_APPLY_MODELS) {
        return;
    }
    if (err != NULL) {
        struct ledge_error copy = *err;
        end_apply(d, &copy);
        return;
    }
    d->apply_stage = DEPLOY_APPLY_FUNCTIONS;
    agent_functions_set(d->options.functions, d->applied, on_functions, d);
}

void deploy_apply(struct agent_deploy *d, int64_t gen,
                  void (*then)(struct agent_deploy *d, const struct ledge_error *err))
{
    struct ledge_error err = {.status = LEDGE_OK};
    char folder[SYS_PATH];
    fleet_desired_done(d->applied); /* of an apply that is overtaken by this one */
    d->apply_stage = DEPLOY_APPLY_MODELS;
    d->apply_then = then;
    if (sys_path(folder, &err, "%s/gen/%" PRId64, d->state, gen) != LEDGE_OK ||
        (gen > 0 && agent_generation_load(d->state, gen, d->applied, &err) != LEDGE_OK)) {
        end_apply(d, &err);
        return;
    }
    agent_serve_set(d->options.serve, d->applied, folder, on_models, d);
}

/* -- the confirmed generation --------------------------------------------------------------------
 */

static void on_again(void *arg)
{
    struct agent_deploy *d = arg;
    sys_timer_free(d->again);
    d->again = NULL;
    if (d->j.state != FLEET_STATE_SWITCHING && d->j.state != FLEET_STATE_TRIAL &&
        d->j.state != FLEET_STATE_ROLLING_BACK) {
        deploy_start_confirmed(d);
    }
}

static void on_confirmed_runs(struct agent_deploy *d, const struct ledge_error *err)
{
    if (err != NULL) {
        sys_log(SYS_LOG_ERROR, "generation %" PRId64 " is not whole: %s; tried again", d->j.current,
                err->text);
        sys_timer_free(d->again);
        d->again = sys_timer_start(d->loop, AGAIN_MS, 0, on_again, d);
    }
}

void deploy_start_confirmed(struct agent_deploy *d)
{
    struct ledge_error err;
    if (agent_generation_current(d->state) != d->j.current &&
        agent_generation_switch(d->state, d->j.current, &err) != LEDGE_OK) {
        sys_log(SYS_LOG_ERROR, "%s", err.text);
    }
    deploy_apply(d, d->j.current, on_confirmed_runs);
}

/* -- before the switch ---------------------------------------------------------------------------
 */

static void work_received(struct agent_deploy *d)
{
    struct ledge_error err;
    if (deploy_load_target(d, &err) != LEDGE_OK) {
        deploy_fail(d, err.text);
    } else if (strcmp(d->target->device, d->device) != 0 || d->target->gen != d->j.target) {
        deploy_fail(d, "the document is for another device or generation");
    } else if (d->target->gen <= d->j.current) {
        deploy_fail(d, "its generation is not greater than the one that runs");
    } else {
        deploy_enter(d, FLEET_STATE_VERIFIED);
    }
}

/* The i-th blob of the document; false behind the last. */
static bool blob_at(const struct fleet_desired *desired, size_t i, const struct fleet_blob **blob)
{
    if (i < 2 * desired->n_models) {
        const struct fleet_model *model = &desired->models[i / 2];
        *blob = i % 2 == 0 ? &model->blob : &model->probe;
        return true;
    }
    i -= 2 * desired->n_models;
    *blob = &desired->functions[i < desired->n_functions ? i : 0].blob;
    return i < desired->n_functions;
}

static const struct fleet_blob *next_missing(const struct agent_deploy *d)
{
    const struct fleet_blob *blob;
    for (size_t i = 0; blob_at(d->target, i, &blob); i++) {
        if (blob->sha256[0] != '\0' && !agent_store_has(d->options.store, blob)) {
            return blob;
        }
    }
    return NULL;
}

static void work_verified(struct agent_deploy *d)
{
    struct ledge_error err;
    struct statvfs fs;
    const struct fleet_blob *blob;
    uint64_t needed = SPACE_MARGIN;
    char reason[AGENT_REASON];
    if (deploy_load_target(d, &err) != LEDGE_OK) {
        deploy_fail(d, err.text);
        return;
    }
    for (size_t i = 0; blob_at(d->target, i, &blob); i++) {
        if (blob->sha256[0] != '\0' && !agent_store_has(d->options.store, blob)) {
            needed += (uint64_t)blob->size;
        }
    }
    if (statvfs(d->state, &fs) == 0 && (uint64_t)fs.f_bavail * fs.f_frsize < needed) {
        (void)snprintf(reason, sizeof reason,
                       "no space left on disk: %" PRIu64 " bytes are needed, %" PRIu64 " are free",
                       needed, (uint64_t)fs.f_bavail * fs.f_frsize);
        deploy_fail(d, reason);
        return;
    }
    deploy_enter(d, FLEET_STATE_FETCHING);
}

static void work_fetching(struct agent_deploy *d);

static void on_blob(void *arg, const struct ledge_error *err)
{
    struct agent_deploy *d = arg;
    if (err != NULL) {
        deploy_fail(d, err->text);
        return;
    }
    work_fetching(d);
}

static void work_fetching(struct agent_deploy *d)
{
    struct ledge_error err;
    if (deploy_load_target(d, &err) != LEDGE_OK) {
        deploy_fail(d, err.text);
        return;
    }
    const struct fleet_blob *blob = next_missing(d);
    if (blob != NULL) {
        agent_store_fetch(d->options.store, blob, on_blob, d);
        return;
    }
    enum ledge_status status =
        agent_generation_build(d->state, d->options.store, d->target, &d->document, &err);
    if (status == LEDGE_ERR_CORRUPT && d->refetches++ < DEPLOY_REFETCHES) {
        sys_log(SYS_LOG_WARNING, "%s; it is fetched again", err.text);
        work_fetching(d);
    } else if (status != LEDGE_OK) {
        deploy_fail(d, err.text);
    } else {
        deploy_enter(d, FLEET_STATE_STAGED);
    }
}

static void work_staged(struct agent_deploy *d)
{
    if (!agent_generation_exists(d->state, d->j.target)) {
        deploy_fail(d, "its generation folder has gone");
        return;
    }
    deploy_enter(d, FLEET_STATE_SWITCHING);
}

/* -- switch, trial, back -------------------------------------------------------------------------
 */

/* A result that comes when the machine has moved on (a deadline) is no longer ours. */
static void on_switched(struct agent_deploy *d, const struct ledge_error *err)
{
    if (d->j.state != FLEET_STATE_SWITCHING) {
        return;
    }
    if (err != NULL) {
        deploy_fail(d, err->text);
        return;
    }
    d->j.trial_starts++;
    deploy_enter(d, FLEET_STATE_TRIAL);
}

static void work_switching(struct agent_deploy *d)
{
    struct ledge_error err;
    sys_timer_free(d->again);
    d->again = NULL;
    if (agent_generation_switch(d->state, d->j.target, &err) != LEDGE_OK) {
        deploy_fail(d, err.text);
        return;
    }
    if (agent_failpoint("LINK_SWITCHED")) {
        deploy_fail(d, "fail point");
        return;
    }
    deploy_apply(d, d->j.target, on_switched);
}

static void on_health(void *arg)
{
    struct agent_deploy *d = arg;
    char why[200];
    sys_timer_free(d->timer);
    d->timer = NULL;
    if (!agent_serve_healthy(d->options.serve, why) ||
        !agent_functions_healthy(d->options.functions, why)) {
        deploy_fail(d, why);
    } else if (sys_monotonic_ms() >= d->trial_end_ms) {
        d->j.previous = d->j.current;
        d->j.current = d->j.target;
        d->j.trial_starts = 0;
        deploy_enter(d, FLEET_STATE_CONFIRMED);
    } else {
        d->timer = sys_timer_start(d->loop, HEALTH_EVERY_MS, 0, on_health, d);
    }
}

static void on_trial_runs(struct agent_deploy *d, const struct ledge_error *err)
{
    if (d->j.state != FLEET_STATE_TRIAL) {
        return;
    }
    if (err != NULL) {
        deploy_fail(d, err->text);
        return;
    }
    agent_serve_mark(d->options.serve);
    agent_functions_mark(d->options.functions);
    d->trial_end_ms = sys_monotonic_ms() + (int64_t)d->target->trial_s * 1000;
    on_health(d);
}

static void work_trial(struct agent_deploy *d)
{
    struct ledge_error err;
    char reason[AGENT_REASON];
    if (d->j.trial_starts > DEPLOY_TRIAL_STARTS) {
        (void)snprintf(reason, sizeof reason, "the agent ended %d times during the trial",
                       DEPLOY_TRIAL_STARTS);
        deploy_fail(d, reason);
        return;
    }
    if (deploy_load_target(d, &err) != LEDGE_OK ||
        agent_generation_switch(d->state, d->j.target, &err) != LEDGE_OK) {
        deploy_fail(d, err.text);
        return;
    }
    deploy_apply(d, d->j.target, on_trial_runs); /* nothing to do unless the agent was restarted */
}

static void on_back(struct agent_deploy *d, const struct ledge_error *err)
{
    if (d->j.state != FLEET_STATE_ROLLING_BACK) {
        return;
    }
    if (err != NULL) {
        deploy_fail(d, err->text);
        return;
    }
    deploy_enter(d, FLEET_STATE_ROLLED_BACK);
}

static void work_rolling_back(struct agent_deploy *d)
{
    struct ledge_error err;
    if (agent_generation_switch(d->state, d->j.current, &err) != LEDGE_OK) {
        deploy_fail(d, err.text);
        return;
    }
    deploy_apply(d, d->j.current, on_back);
}

/* -- ends ----------------------------------------------------------------------------------------
 */

struct kept {
    struct fleet_desired *desired; /* of current and of previous */
};

static bool keeps(const struct fleet_desired *desired, const char *sha256)
{
    const struct fleet_blob *blob;
    for (size_t i = 0; blob_at(desired, i, &blob); i++) {
        if (strcmp(blob->sha256, sha256) == 0) {
            return true;
        }
    }
    return false;
}

static bool keep(void *arg, const char *sha256)
{
    const struct kept *kept = arg;
    return keeps(&kept->desired[0], sha256) || keeps(&kept->desired[1], sha256);
}

/* Folders and blobs that neither the confirmed generation nor the one before it needs. */
void deploy_collect(struct agent_deploy *d)
{
    const int64_t gens[2] = {d->j.current, d->j.previous};
    struct kept kept = {.desired = calloc(2, sizeof *kept.desired)};
    struct ledge_error err;
    bool good = kept.desired != NULL;
    for (size_t i = 0; good && i < 2; i++) {
        /* One that cannot be read must not cost the other its blobs. */
        good = !agent_generation_exists(d->state, gens[i]) ||
               agent_generation_load(d->state, gens[i], &kept.desired[i], &err) == LEDGE_OK;
    }
    if (good) {
        agent_generation_collect(d->state, d->j.current, d->j.previous);
        int removed = agent_store_collect(d->options.store, keep, &kept);
        if (removed > 0) {
            sys_log(SYS_LOG_INFO, "%d blobs of old generations removed", removed);
        }
    }
    for (size_t i = 0; kept.desired != NULL && i < 2; i++) {
        fleet_desired_done(&kept.desired[i]);
    }
    free(kept.desired);
}

static void work_end(struct agent_deploy *d)
{
    sys_timer_free(d->deadline);
    d->deadline = NULL;
    if (d->j.state == FLEET_STATE_CONFIRMED || d->j.state == FLEET_STATE_ROLLED_BACK) {
        agent_serve_retire(d->options.serve);
    }
    if (d->j.state == FLEET_STATE_INCONSISTENT) {
        deploy_start_confirmed(d); /* as far as it goes, again and again */
    } else {
        deploy_collect(d);
    }
    if (d->queued.len > 0) {
        struct ledge_buf queued = d->queued;
        d->queued = LEDGE_BUF_INIT(queued.max);
        agent_deploy_receive(d, queued.data, queued.len);
        ledge_buf_done(&queued);
    }
}

void deploy_work(struct agent_deploy *d)
{
    switch (d->j.state) {
    case FLEET_STATE_RECEIVED:
        work_received(d);
        break;
    case FLEET_STATE_VERIFIED:
        work_verified(d);
        break;
    case FLEET_STATE_FETCHING:
        work_fetching(d);
        break;
    case FLEET_STATE_STAGED:
        work_staged(d);
        break;
    case FLEET_STATE_SWITCHING:
        work_switching(d);
        break;
    case FLEET_STATE_TRIAL:
        work_trial(d);
        break;
    case FLEET_STATE_ROLLING_BACK:
        work_rolling_back(d);
        break;
    case FLEET_STATE_CONFIRMED:
    case FLEET_STATE_REJECTED:
    case FLEET_STATE_FAILED:
    case FLEET_STATE_ROLLED_BACK:
    case FLEET_STATE_INCONSISTENT:
        work_end(d);
        break;
    case FLEET_STATE_IDLE:
    case FLEET_STATE_SUPERSEDED:
    case FLEET_STATE_COUNT:
        break;
    }
}
