/* SPDX-License-Identifier: Apache-2.0 */
/* deploy_internal.h -- shared by deploy.c (what comes in, the machine) and deploy_steps.c (the work
 * of each state). */
#ifndef AGENT_DEPLOY_INTERNAL_H
#define AGENT_DEPLOY_INTERNAL_H

#include "agent/deploy.h"
#include "agent/journal.h"
#include "base/buf.h"
#include "sys/file.h"

enum { DEPLOY_TRIAL_STARTS = 3, DEPLOY_REFETCHES = 2 };

struct agent_deploy {
    struct sys_loop *loop;
    struct agent_deploy_options options; /* its texts are the copies below */
    char state[SYS_PATH];
    char device[FLEET_NAME_SIZE];
    struct agent_journal_file *file;
    struct agent_journal j;
    struct fleet_desired *target;  /* parsed document of j.target, NULL before it is needed */
    struct ledge_buf document;     /* its bytes */
    struct fleet_desired *applied; /* what apply() is bringing about */
    enum { DEPLOY_APPLY_NONE, DEPLOY_APPLY_MODELS, DEPLOY_APPLY_FUNCTIONS } apply_stage;
    void (*apply_then)(struct agent_deploy *d, const struct ledge_error *err);
    struct ledge_buf queued;    /* an envelope that came during a switch */
    struct sys_timer *timer;    /* the next step of the machine */
    struct sys_timer *deadline; /* of the state */
    struct sys_timer *again;    /* start of the confirmed generation, tried again */
    int64_t trial_end_ms;
    int refetches;
};

/* Journal and enter a state, then do its work from the loop. */
void deploy_enter(struct agent_deploy *d, enum fleet_deploy_state state);

/* The work of the state failed: on to the state that its row names. */
void deploy_fail(struct agent_deploy *d, const char *reason);

/* Read, verify and parse the stored envelope into target and document. */
enum ledge_status deploy_load_target(struct agent_deploy *d, struct ledge_error *err);

/* Have serve and functions run generation gen (0: nothing). then(d, err) comes once, unless another
 * apply overtakes this one. */
void deploy_apply(struct agent_deploy *d, int64_t gen,
                  void (*then)(struct agent_deploy *d, const struct ledge_error *err));

/* The work of state d->j.state. */
void deploy_work(struct agent_deploy *d);

/* Remove folders and blobs that neither the confirmed generation nor the one before it needs. */
void deploy_collect(struct agent_deploy *d);

/* Run what is confirmed, without a deployment; failures are tried again. */
void deploy_start_confirmed(struct agent_deploy *d);

#endif
