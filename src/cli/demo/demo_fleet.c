/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "cli/demo/demo_fleet.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/status.h"
#include "cli/demo/demo_learn.h"
#include "sys/json.h"

enum { ONLINE_SECONDS = 60, DEPLOY_SECONDS = 90, WATCH_SECONDS = 150, SETTLE_SECONDS = 60 };

/* A three-class model is sure of many things that it has never seen: only what it is very sure of
 * is not sent. */
static const double THRESHOLD = 0.9999;

/* -- enrol -- */

static bool all_online(void *arg)
{
    struct demo_hub *hub = arg;
    size_t i, online = 0;
    json_t *device;
    LEDGE_CLEANUP(sys_json_free) json_t *devices = NULL;
    if (cli_rest_items(&hub->rest, "/devices", &devices, NULL) != LEDGE_OK) {
        return false;
    }
    json_array_foreach(devices, i, device)
    {
        online += json_is_true(json_object_get(device, "online"));
    }
    return online == DEMO_CAMERAS;
}

static enum ledge_status enrol_one(struct demo_run *run, struct demo_hub *hub, const char *name,
                                   struct ledge_error *err)
{
    char state[SYS_PATH];
    int code = 0;
    LEDGE_CLEANUP(sys_json_free) json_t *body = json_pack("{s:s}", "device", name);
    LEDGE_CLEANUP(sys_json_free) json_t *claim = NULL;
    LEDGE_TRY(sys_path(state, err, "%s/device-%s", run->work, name));
    LEDGE_TRY(cli_rest_call(&hub->rest, "POST", "/enroll-tokens", body, &claim, err));
    LEDGE_TRY(demo_tool(run, name, NULL, &code, err, "ledge-agent", "enroll", "--hub", hub->url,
                        "--token", cli_rest_text(claim, "token"), "--state", state, "--name", name,
                        NULL));
    if (code != 0) {
        return ledge_fail(err, LEDGE_ERR_STATE, "enrolling %s failed; see %s/%s.log", name,
                          run->work, name);
    }
    return demo_daemon(run, name, err, "ledge-agent", "run", "--state", state, NULL);
}

enum ledge_status demo_fleet_enrol(struct demo_run *run, struct demo_hub *hub,
                                   struct ledge_error *err)
{
    for (int i = 1; i <= DEMO_CAMERAS; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "cam-%d", i);
        LEDGE_TRY(enrol_one(run, hub, name, err));
    }
    return demo_wait(run, "three devices are online", ONLINE_SECONDS, all_online, hub, err);
}

/* -- deploy -- */

struct deployment {
    struct demo_hub *hub;
    char id[64];
    char failed[200]; /* a device that refused or rolled back, and why */
};

static bool settled(void *arg)
{
    struct deployment *deployment = arg;
    char path[SYS_PATH];
    size_t i, confirmed = 0;
    json_t *device;
    LEDGE_CLEANUP(sys_json_free) json_t *item = NULL;
    if (cli_rest_path(path, NULL, "/deployments/%s", deployment->id) != LEDGE_OK ||
        cli_rest_call(&deployment->hub->rest, "GET", path, NULL, &item, NULL) != LEDGE_OK) {
        return false;
    }
    const json_t *devices = json_object_get(item, "devices");
    json_array_foreach(devices, i, device)
    {
        const char *state = cli_rest_text(device, "state");
        confirmed += strcmp(state, "CONFIRMED") == 0;
        if (strcmp(state, "REJECTED") == 0 || strcmp(state, "FAILED") == 0 ||
            strcmp(state, "ROLLED_BACK") == 0) {
            (void)snprintf(deployment->failed, sizeof deployment->failed, "%s: %s: %s",
                           cli_rest_text(device, "id"), state, cli_rest_text(device, "reason"));
            return true;
        }
    }
    return confirmed > 0 && confirmed == json_array_size(devices);
}

/* body is stolen. */
static enum ledge_status deploy(struct demo_run *run, struct demo_hub *hub, json_t *body,
                                struct ledge_error *err)
{
    LEDGE_CLEANUP(sys_json_free) json_t *stolen = body;
    LEDGE_CLEANUP(sys_json_free) json_t *made = NULL;
    LEDGE_TRY(cli_rest_call(&hub->rest, "POST", "/deployments", stolen, &made, err));
    struct deployment deployment = {.hub = hub};
    (void)snprintf(deployment.id, sizeof deployment.id, "%.60s", cli_rest_text(made, "id"));
    LEDGE_TRY(
        demo_wait(run, "the deployment is confirmed", DEPLOY_SECONDS, settled, &deployment, err));
    if (deployment.failed[0] != '\0') {
        return ledge_fail(err, LEDGE_ERR_STATE, "%s", deployment.failed);
    }
    return LEDGE_OK;
}

static json_int_t newest_version(struct demo_hub *hub, struct ledge_error *err)
{
    size_t i;
    json_t *version;
    json_int_t newest = 0;
    LEDGE_CLEANUP(sys_json_free) json_t *model = NULL;
    if (cli_rest_call(&hub->rest, "GET", "/models/" DEMO_MODEL, NULL, &model, err) != LEDGE_OK) {
        return 0;
    }
    json_array_foreach(json_object_get(model, "versions"), i, version)
    {
        json_int_t number = json_integer_value(json_object_get(version, "version"));
        newest = number > newest ? number : newest;
    }
    return newest;
}

enum ledge_status demo_fleet_watch(struct demo_run *run, struct demo_hub *hub, int fps,
                                   struct ledge_error *err)
{
    char function[SYS_PATH];
    int code = 0;
    LEDGE_TRY(demo_share(run, "functions/watch.py", function, err));
    LEDGE_TRY(demo_tool(run, "push", NULL, &code, err, "ledge", "model", "push", "watch", function,
                        "--function", NULL));
    if (code != 0) {
        return ledge_fail(err, LEDGE_ERR_STATE, "the function could not be pushed; see %s/push.log",
                          run->work);
    }
    for (int i = 1; i <= DEMO_CAMERAS; i++) {
        char name[16], source[SYS_PATH];
        (void)snprintf(name, sizeof name, "cam-%d", i);
        LEDGE_TRY(sys_path(source, err, "%s/%s", run->work, name));
        LEDGE_TRY(
            deploy(run, hub,
                   json_pack("{s:[s], s:[{s:s, s:I}], s:[{s:s, s:i, s:{s:s, s:s, s:i, s:f, "
                             "s:f}}], s:{s:i}}",
                             "devices", name, "models", "name", DEMO_MODEL, "version",
                             newest_version(hub, err), "functions", "name", "watch", "version", 1,
                             "config", "source", source, "model", DEMO_MODEL, "fps", fps,
                             "threshold", THRESHOLD, "metric_s", 1.0, "policy", "trial_s", 2),
                   err));
    }
    return LEDGE_OK;
}

/* -- collect -- */

struct collecting {
    struct demo_hub *hub;
    int pictures;
    int64_t frames; /* different frames predicted on */
    int64_t samples;
};

static int64_t sample_count(struct demo_hub *hub)
{
    LEDGE_CLEANUP(sys_json_free) json_t *summary = NULL;
    if (cli_rest_call(&hub->rest, "GET", "/summary", NULL, &summary, NULL) != LEDGE_OK) {
        return -1;
    }
    return json_integer_value(json_object_get(summary, "queue"));
}

static int64_t frame_count(struct demo_hub *hub)
{
    size_t i;
    json_t *prediction;
    LEDGE_CLEANUP(sys_json_free) json_t *predictions = NULL;
    LEDGE_CLEANUP(sys_json_free) json_t *frames = json_object();
    if (cli_rest_items(&hub->rest, "/predictions", &predictions, NULL) != LEDGE_OK) {
        return -1;
    }
    json_array_foreach(predictions, i, prediction)
    {
        json_object_set_new(frames, cli_rest_text(prediction, "frame"), json_true());
    }
    return (int64_t)json_object_size(frames);
}

static bool seen_all(void *arg)
{
    struct collecting *collecting = arg;
    collecting->frames = frame_count(collecting->hub);
    return collecting->frames >= collecting->pictures;
}

/* The queue has stopped growing: two looks a second apart agree. */
static bool queue_is_still(void *arg)
{
    struct collecting *collecting = arg;
    int64_t before = collecting->samples;
    collecting->samples = sample_count(collecting->hub);
    return collecting->samples > 0 && collecting->samples == before;
}

enum ledge_status demo_fleet_collect(struct demo_run *run, struct demo_hub *hub, int pictures,
                                     int *samples, struct ledge_error *err)
{
    struct collecting collecting = {.hub = hub, .pictures = pictures, .samples = -1};
    LEDGE_TRY(demo_wait(run, "every picture was predicted on", WATCH_SECONDS, seen_all, &collecting,
                        err));
    LEDGE_TRY(demo_wait(run, "all samples have arrived", SETTLE_SECONDS, queue_is_still,
                        &collecting, err));
    *samples = (int)collecting.samples;
    return LEDGE_OK;
}

enum ledge_status demo_fleet_dataset(struct demo_run *run, struct demo_hub *hub, const char *name,
                                     struct ledge_error *err)
{
    char folder[SYS_PATH], junior[SYS_PATH], version[32];
    int code = 0;
    LEDGE_CLEANUP(sys_json_free) json_t *body = json_pack("{s:s}", "from", "labels");
    LEDGE_CLEANUP(sys_json_free) json_t *frozen = NULL;
    LEDGE_TRY(sys_path(folder, err, "%s/%s", run->work, name));
    LEDGE_TRY(sys_path(junior, err, "%s/junior", run->work));
    LEDGE_TRY(
        cli_rest_call(&hub->rest, "POST", "/datasets/" DEMO_MODEL "/versions", body, &frozen, err));
    (void)snprintf(version, sizeof version, "%lld",
                   (long long)json_integer_value(json_object_get(frozen, "version")));
    LEDGE_TRY(demo_tool(run, "dataset", NULL, &code, err, "ledge", "dataset", "pull", DEMO_MODEL,
                        version, folder, NULL));
    if (code != 0) {
        return ledge_fail(err, LEDGE_ERR_STATE, "pulling the data set failed; see %s/dataset.log",
                          run->work);
    }
    return demo_copy_tree(junior, folder, err);
}

/* -- swap -- */

struct counters {
    int64_t requests, failed, restarts;
    double swap_ms;
};

/* Sums over the devices of what their functions counted last. */
static enum ledge_status read_counters(struct demo_hub *hub, struct counters *counters,
                                       struct ledge_error *err)
{
    size_t i, j;
    json_t *device, *function;
    LEDGE_CLEANUP(sys_json_free) json_t *devices = NULL;
    *counters = (struct counters){.requests = 0};
    LEDGE_TRY(cli_rest_items(&hub->rest, "/devices", &devices, err));
    json_array_foreach(devices, i, device)
    {
        const json_t *measured = json_object_get(device, "measured");
        double swap_ms = json_number_value(json_object_get(device, "swap_ms"));
        counters->requests += json_integer_value(json_object_get(measured, "requests"));
        counters->failed += json_integer_value(json_object_get(measured, "failed"));
        counters->swap_ms = swap_ms > counters->swap_ms ? swap_ms : counters->swap_ms;
        json_array_foreach(json_object_get(device, "functions"), j, function)
        {
            counters->restarts += json_integer_value(json_object_get(function, "restarts"));
        }
    }
    return LEDGE_OK;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Request times of predictions made since `since` (the hub's answer is newest first). */
static enum ledge_status measure_pause(struct demo_hub *hub, const char *since,
                                       struct demo_swap *swap, struct ledge_error *err)
{
    size_t i;
    json_t *prediction;
    LEDGE_CLEANUP(sys_json_free) json_t *predictions = NULL;
    LEDGE_TRY(cli_rest_items(&hub->rest, "/predictions", &predictions, err));
    double *times = calloc(json_array_size(predictions) + 1, sizeof *times);
    if (times == NULL) {
        return ledge_fail(err, LEDGE_ERR_NOMEM, "no memory for request times");
    }
    json_array_foreach(predictions, i, prediction)
    {
        if (strcmp(cli_rest_text(prediction, "ts"), since) >= 0) {
            times[swap->measured++] = json_number_value(json_object_get(prediction, "ms"));
        }
    }
    qsort(times, (size_t)swap->measured, sizeof *times, by_value);
    swap->pause_p99_ms =
        swap->measured > 0 ? times[(int)(0.99 * (double)(swap->measured - 1) + 0.5)] : 0;
    free(times);
    return LEDGE_OK;
}

struct counting {
    struct demo_hub *hub;
    int64_t wanted;
};

static bool counted_on(void *arg)
{
    struct counting *counting = arg;
    struct counters now;
    return read_counters(counting->hub, &now, NULL) == LEDGE_OK && now.requests >= counting->wanted;
}

enum ledge_status demo_fleet_swap(struct demo_run *run, struct demo_hub *hub,
                                  struct demo_swap *swap, struct ledge_error *err)
{
    enum { MORE = 60 }; /* requests to see after the flip */
    struct counters before, after;
    char since[32];
    *swap = (struct demo_swap){.requests = 0};
    sys_time_text(sys_now_ms(), since);
    LEDGE_TRY(read_counters(hub, &before, err));
    LEDGE_TRY(
        deploy(run, hub,
               json_pack("{s:s, s:[{s:s, s:I}], s:{s:i}}", "devices", "all", "models", "name",
                         DEMO_MODEL, "version", newest_version(hub, err), "policy", "trial_s", 2),
               err));
    LEDGE_TRY(read_counters(hub, &after, err));
    struct counting counting = {.hub = hub, .wanted = after.requests + MORE};
    LEDGE_TRY(demo_wait(run, "the functions go on after the swap", SETTLE_SECONDS, counted_on,
                        &counting, err));
    LEDGE_TRY(read_counters(hub, &after, err));
    if (after.restarts != before.restarts) {
        return ledge_fail(err, LEDGE_ERR_STATE, "a function was restarted by the swap");
    }
    swap->requests = after.requests - before.requests;
    swap->failed = after.failed - before.failed;
    swap->pause_max_ms = after.swap_ms;
    return measure_pause(hub, since, swap, err);
}

/* -- ledger -- */

struct position {
    char device[16];
    char run[64];
    long long number; /* frames that were told to the agent and acknowledged */
};

static struct position *found_position;

static int look_at(const char *path, const struct stat *info, int type, struct FTW *where)
{
    (void)info;
    LEDGE_CLEANUP(ledge_buf_done) struct ledge_buf text = LEDGE_BUF_INIT(4096);
    if (type != FTW_F || strcmp(path + where->base, "position") != 0 ||
        sys_file_read(path, &text, NULL) != LEDGE_OK) {
        return 0;
    }
    return sscanf(text.data, "v1 %63s %lld", found_position->run, &found_position->number) == 2;
}

static enum ledge_status read_position(const struct demo_run *run, int camera,
                                       struct position *position, struct ledge_error *err)
{
    char state[SYS_PATH];
    *position = (struct position){.number = 0};
    (void)snprintf(position->device, sizeof position->device, "cam-%d", camera);
    LEDGE_TRY(sys_path(state, err, "%s/device-cam-%d", run->work, camera));
    found_position = position;
    if (nftw(state, look_at, 16, FTW_PHYS) != 1) {
        return ledge_fail(err, LEDGE_ERR_NOT_FOUND, "%s: the function's position is not there",
                          state);
    }
    return LEDGE_OK;
}

struct counted {
    struct demo_hub *hub;
    const struct position *position;
    int64_t have, duplicated;
};

/* The hub has every key of position 0 .. number - 1; a key that is there twice is counted. */
static bool has_all(void *arg)
{
    struct counted *counted = arg;
    const struct position *position = counted->position;
    char path[SYS_PATH], key[128];
    size_t i;
    json_t *prediction;
    LEDGE_CLEANUP(sys_json_free) json_t *predictions = NULL;
    LEDGE_CLEANUP(sys_json_free) json_t *keys = json_object();
    if (cli_rest_path(path, NULL, "/predictions?device=%s", position->device) != LEDGE_OK ||
        cli_rest_items(&counted->hub->rest, path, &predictions, NULL) != LEDGE_OK) {
        return false;
    }
    json_array_foreach(predictions, i, prediction)
    {
        json_object_set_new(keys, cli_rest_text(prediction, "key"), json_true());
    }
    counted->duplicated = (int64_t)(json_array_size(predictions) - json_object_size(keys));
    counted->have = 0;
    for (long long number = 0; number < position->number; number++) {
        (void)snprintf(key, sizeof key, "%s-%09lld-p", position->run, number);
        counted->have += json_object_get(keys, key) != NULL;
    }
    return counted->have == position->number;
}

enum ledge_status demo_fleet_ledger(struct demo_run *run, struct demo_hub *hub,
                                    struct demo_ledger *ledger, struct ledge_error *err)
{
    LEDGE_CLEANUP(sys_json_free) json_t *summary = NULL;
    *ledger = (struct demo_ledger){.stored = 0};
    for (int camera = 1; camera <= DEMO_CAMERAS; camera++) {
        struct position position;
        LEDGE_TRY(read_position(run, camera, &position, err));
        struct counted counted = {.hub = hub, .position = &position};
        /* Not reaching the count is a result, not a failure of the demo's own: it is in the table.
         */
        (void)!demo_wait(run, "the hub has every record", SETTLE_SECONDS, has_all, &counted, NULL);
        ledger->lost += position.number - counted.have;
        ledger->duplicated += counted.duplicated;
    }
    LEDGE_TRY(cli_rest_call(&hub->rest, "GET", "/summary", NULL, &summary, err));
    ledger->stored = json_integer_value(json_object_get(summary, "records"));
    return LEDGE_OK;
}
