/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/agent.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/rotate.h"
#include "base/digest.h"
#include "base/status.h"
#include "ledge/version.h"
#include "sys/log.h"
#include "sys/tls.h"

enum { END_MS = 6500 }; /* functions get 5 s after SIGTERM */

json_t *agent_status(struct agent *agent)
{
    struct agent_outbox_stats stats;
    json_t *status = agent_deploy_status(agent->deploy);
    agent_outbox_stats(agent->outbox, &stats);
    json_t *more =
        json_pack("{s:s,s:s,s:s,s:b,s:I,s:I,s:{s:s,s:I,s:I,s:I,s:I}}", "device",
                  agent->config.device, "hub", agent->config.hub, "agent", LEDGE_VERSION_STRING,
                  "connected", agent->mqtt != NULL && sys_mqtt_connected(agent->mqtt), "running",
                  (json_int_t)agent_deploy_running(agent->deploy), "seen",
                  (json_int_t)agent_deploy_seen(agent->deploy), "outbox", "epoch", stats.epoch,
                  "next", (json_int_t)stats.next, "acked", (json_int_t)stats.acked, "depth",
                  (json_int_t)stats.depth, "bytes", (json_int_t)stats.bytes);
    if (status != NULL && more != NULL) {
        (void)json_object_update(status, more);
    }
    json_decref(more);
    if (status != NULL && agent->rotate != NULL) {
        (void)json_object_set_new(status, "certificate", agent_rotate_status(agent->rotate));
    }
    return status;
}

/* -- opening -------------------------------------------------------------------------------------
 */

static enum ledge_status open_identity(struct agent *agent, const char *state,
                                       struct ledge_error *err)
{
    char lock[SYS_PATH];
    uint8_t boot[16];
    LEDGE_TRY(agent_config_load(state, &agent->config, err));
    LEDGE_TRY(sys_path(lock, err, "%s/lock", agent->config.state));
    LEDGE_TRY(sys_file_lock(lock, err));
    LEDGE_TRY(agent_rotate_recover(&agent->config, err));
    LEDGE_TRY(sys_random(boot, sizeof boot, err));
    ledge_hex(boot, sizeof boot, agent->boot);
    struct sys_tls_options tls = {.certificate = agent->config.certificate,
                                  .key = agent->config.key,
                                  .ca = agent->config.ca,
                                  .verify = SYS_TLS_VERIFY_REQUIRED};
    return sys_tls_create(&tls, &agent->tls, err);
}

static enum ledge_status open_outbox(struct agent *agent, uint64_t quota, struct ledge_error *err)
{
    char path[SYS_PATH];
    char note[200];
    LEDGE_TRY(sys_path(path, err, "%s/outbox", agent->config.state));
    LEDGE_TRY(agent_outbox_open(path, quota, &agent->outbox, note, err));
    if (note[0] != '\0') {
        sys_log(SYS_LOG_ERROR, "%s", note);
    }
    struct agent_uplink_options options = {.outbox = agent->outbox,
                                           .hub = agent->config.hub,
                                           .tls = agent->tls,
                                           .publish = agent_link_segment,
                                           .arg = agent};
    return agent_uplink_create(agent->loop, &options, &agent->uplink, err);
}

static enum ledge_status open_units(struct agent *agent, const char *serve, struct ledge_error *err)
{
    const struct agent_config *config = &agent->config;
    char blobs[SYS_PATH];
    char found[SYS_PATH];
    LEDGE_TRY(sys_path(blobs, err, "%s/blobs", config->state));
    struct agent_store_options store = {.dir = blobs, .hub = config->hub, .tls = agent->tls};
    LEDGE_TRY(agent_store_create(agent->loop, &store, &agent->store, err));
    agent_program_path("ledge-serve", found);
    struct agent_serve_options serving = {.program = serve != NULL ? serve : found,
                                          .socket = config->serve_socket};
    LEDGE_TRY(agent_serve_create(agent->loop, &serving, &agent->serve, err));
    struct agent_functions_options functions = {.state = config->state,
                                                .device = config->device,
                                                .serve_socket = config->serve_socket,
                                                .agent_socket = config->agent_socket};
    return agent_functions_create(agent->loop, &functions, &agent->functions, err);
}

static enum ledge_status open_deploy(struct agent *agent, struct ledge_error *err)
{
    struct agent_deploy_options options = {.state = agent->config.state,
                                           .device = agent->config.device,
                                           .store = agent->store,
                                           .serve = agent->serve,
                                           .functions = agent->functions,
                                           .on_status = agent_link_status,
                                           .arg = agent};
    memcpy(options.director_key, agent->config.director_key, sizeof options.director_key);
    return agent_deploy_open(agent->loop, &options, &agent->deploy, err);
}

static enum ledge_status open_rotate(struct agent *agent, struct ledge_error *err)
{
    struct agent_rotate_options options = {
        .config = &agent->config, .tls = agent->tls, .switched = agent_link_renew, .arg = agent};
    return agent_rotate_create(agent->loop, &options, &agent->rotate, err);
}

/* -- ending --------------------------------------------------------------------------------------
 */

static void end_now(void *arg)
{
    struct agent *agent = arg;
    sys_timer_free(agent->end);
    agent->end = NULL;
    sys_loop_stop(agent->loop);
}

static void on_functions_stopped(void *arg, const struct ledge_error *err)
{
    (void)err;
    end_now(arg);
}

static void on_term(void *arg)
{
    struct agent *agent = arg;
    if (agent->ending) {
        sys_loop_stop(agent->loop); /* asked twice: at once */
        return;
    }
    agent->ending = true;
    sys_log(SYS_LOG_INFO, "stopping");
    agent_deploy_close(agent->deploy); /* what is under way goes on at the next start */
    agent->deploy = NULL;
    agent_rotate_free(agent->rotate);
    agent->rotate = NULL;
    agent_link_stop(agent);
    agent_api_stop(agent);
    agent->end = sys_timer_start(agent->loop, END_MS, 0, end_now, agent);
    agent_functions_set(agent->functions, NULL, on_functions_stopped, agent);
}

static void close_all(struct agent *agent)
{
    agent_api_stop(agent);
    agent_rotate_free(agent->rotate);
    if (agent->mqtt != NULL) {
        agent_link_stop(agent);
    }
    sys_timer_free(agent->hello);
    sys_timer_free(agent->end);
    agent_deploy_close(agent->deploy);
    agent_functions_free(agent->functions);
    agent_serve_free(agent->serve);
    agent_store_free(agent->store);
    agent_uplink_free(agent->uplink);
    agent_outbox_close(agent->outbox);
    sys_loop_free(agent->loop);
    sys_tls_free(agent->tls);
}

static enum ledge_status open_all(struct agent *agent, const struct agent_run_options *options,
                                  struct ledge_error *err)
{
    LEDGE_TRY(open_identity(agent, options->state, err));
    LEDGE_TRY(sys_loop_create(&agent->loop, err));
    LEDGE_TRY(sys_loop_signal(agent->loop, SIGTERM, on_term, agent, err));
    LEDGE_TRY(sys_loop_signal(agent->loop, SIGINT, on_term, agent, err));
    LEDGE_TRY(open_outbox(agent, options->outbox_bytes, err));
    LEDGE_TRY(open_units(agent, options->serve, err));
    LEDGE_TRY(open_deploy(agent, err));
    LEDGE_TRY(open_rotate(agent, err));
    LEDGE_TRY(agent_api_start(agent, err));
    return agent_link_start(agent, options->spread_ms, err);
}

enum ledge_status agent_run(const struct agent_run_options *options, struct ledge_error *err)
{
    static struct agent agent; /* calls under way may outlive this function's frame */
    agent = (struct agent){.started_ms = sys_monotonic_ms()};
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a limit on file sizes is an error of write(2), not an end */
    enum ledge_status status = open_all(&agent, options, err);
    if (status == LEDGE_OK) {
        sys_log(SYS_LOG_INFO, "ledge-agent %s, device %s, hub %s, state %s", LEDGE_VERSION_STRING,
                agent.config.device, agent.config.hub, agent.config.state);
        agent_deploy_resume(agent.deploy);
        sys_loop_run(agent.loop);
    }
    close_all(&agent);
    return status;
}
