/* SPDX-License-Identifier: Apache-2.0 */
/* devices.c -- what devices say about themselves, and what is shown of them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "fleet/deploy_states.h"
#include "fleet/messages.h"
#include "hub/api.h"
#include "hub_sql.h"
#include "sys/file.h"
#include "sys/json.h"
#include "sys/log.h"

/* -- shown -- */

/* Columns of device_list.sql. */
static json_t *item_of(struct hub *hub, const struct sys_row *row)
{
    double fps = hub_live_fps(hub, sys_row_text(row, 0));
    json_t *last =
        sys_row_null(row, 13)
            ? json_null()
            : json_pack("{s:o,s:o,s:o}", "label", hub_json_text(row, 11), "score",
                        hub_json_real(row, 12), "ts", hub_json_time(sys_row_int(row, 13)));
    return json_pack("{s:o,s:b,s:o,s:I,s:I,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:I,s:o,s:o,s:o,s:o}",
                     "id", hub_json_text(row, 0), "online", (int)sys_row_int(row, 1), "last_seen",
                     hub_json_time_or_null(row, 2), "gen", (json_int_t)sys_row_int(row, 3),
                     "desired_gen", (json_int_t)sys_row_int(row, 4), "state", hub_json_text(row, 5),
                     "reason", hub_json_text(row, 6), "agent", hub_json_text(row, 7), "cpu",
                     hub_json_text(row, 8), "models", hub_json_stored(sys_row_text(row, 9), true),
                     "functions", hub_json_stored(sys_row_text(row, 10), true), "fps",
                     fps < 0 ? json_null() : json_real(fps), "last", last, "records",
                     (json_int_t)sys_row_int(row, 14), "picture_ts", hub_json_time_or_null(row, 15),
                     "swap_ms", hub_json_real(row, 16), "measured",
                     hub_json_stored(sys_row_text(row, 17), false), "certificate",
                     hub_certificate_item(row, 18));
}

struct page {
    struct hub *hub;
    json_t *items;
    int64_t left;
    char next[FLEET_NAME_SIZE];
    bool more;
};

static bool add_item(void *arg, const struct sys_row *row)
{
    struct page *page = arg;
    if (page->left-- == 0) {
        page->more = true;
        return false;
    }
    (void)snprintf(page->next, sizeof page->next, "%s", sys_row_text(row, 0));
    (void)json_array_append_new(page->items, item_of(page->hub, row));
    return true;
}

void hub_on_devices(struct hub_request *request)
{
    struct ledge_error err;
    int64_t limit = 0;
    const char *cursor = sys_http_query(request->http, "cursor");
    if (!hub_request_limit(request, &limit)) {
        return;
    }
    struct page page = {.hub = request->hub, .items = json_array(), .left = limit};
    if (sys_sql_do(request->hub->sql, &err, add_item, &page, hub_sql_device_list, "si",
                   cursor != NULL ? cursor : "", limit + 1) != LEDGE_OK) {
        json_decref(page.items);
        hub_reply_error(request, &err);
        return;
    }
    hub_reply_json(request, 200, hub_page(page.items, page.more ? page.next : NULL));
}

/* The device's item, NULL when it is unknown or revoked. */
static enum ledge_status get(struct hub *hub, const char *device, json_t **item,
                             struct ledge_error *err)
{
    struct page page = {.hub = hub, .items = json_array(), .left = 1};
    enum ledge_status status =
        sys_sql_do(hub->sql, err, add_item, &page, hub_sql_device_get, "s", device);
    *item = json_incref(json_array_get(page.items, 0));
    json_decref(page.items);
    return status;
}

void hub_on_device(struct hub_request *request)
{
    struct ledge_error err;
    json_t *item = NULL;
    if (get(request->hub, request->params[0], &item, &err) != LEDGE_OK) {
        hub_reply_error(request, &err);
    } else if (item == NULL) {
        hub_reply_problem(request, 404, "no device is named %s", request->params[0]);
    } else {
        hub_reply_json(request, 200, item);
    }
}

void hub_device_event(struct hub *hub, const char *device)
{
    json_t *item = NULL;
    if (get(hub, device, &item, NULL) == LEDGE_OK && item != NULL) {
        hub_event(hub, "device", item);
    }
}

/* -- revoked -- */

static enum ledge_status revoke(struct hub *hub, const char *actor, const char *device,
                                struct ledge_error *err)
{
    int64_t now = sys_now_ms();
    LEDGE_TRY(sys_sql_do(hub->sql, err, NULL, NULL, hub_sql_device_revoke, "si", device, now));
    if (sys_sql_changes(hub->sql) == 0) {
        return ledge_fail(err, LEDGE_ERR_NOT_FOUND, "no device is named %s", device);
    }
    LEDGE_TRY(sys_sql_do(hub->sql, err, NULL, NULL, hub_sql_certificate_revoke, "si", device, now));
    return hub_audit(hub, actor, "device.revoke", device, NULL, err);
}

void hub_on_device_delete(struct hub_request *request)
{
    struct ledge_error err;
    struct hub *hub = request->hub;
    enum ledge_status status = sys_sql_begin(hub->sql, &err);
    if (status == LEDGE_OK) {
        status = revoke(hub, request->actor, request->params[0], &err);
    }
    status = hub_end(hub, status, &err);
    if (status == LEDGE_OK) {
        status = hub_broker_refresh(hub, &err);
    }
    if (status != LEDGE_OK) {
        hub_reply_error(request, &err);
        return;
    }
    sys_log(SYS_LOG_INFO, "%s is revoked", request->params[0]);
    hub_event(hub, "device",
              json_pack("{s:s,s:b,s:b}", "id", request->params[0], "online", 0, "revoked", 1));
    hub_reply_none(request);
}

/* -- heard -- */

static void complain(const char *device, const char *what, const struct ledge_error *err)
{
    sys_log(SYS_LOG_ERROR, "%s: %s cannot be stored: %s", device, what, err->text);
}

/* The device has freed records up to `acked`: a store that does not know them (restored from an old
 * copy, or new) must not wait for what can never come again. */
static enum ledge_status repair_stream(struct hub *hub, const char *device,
                                       const struct fleet_hello *hello, struct ledge_error *err)
{
    int64_t acked = -1, freed = (int64_t)(hello->acked & (uint64_t)INT64_MAX);
    if (freed == 0) {
        return LEDGE_OK;
    }
    LEDGE_TRY(
        sys_sql_do(hub->sql, err, NULL, NULL, hub_sql_stream_add, "ss", device, hello->epoch));
    LEDGE_TRY(sys_sql_do(hub->sql, err, hub_row_int, &acked, hub_sql_stream_get, "ss", device,
                         hello->epoch));
    if (freed > acked) {
        sys_log(SYS_LOG_WARNING,
                "%s: records %lld to %lld were acknowledged by an earlier store and are not here",
                device, (long long)acked + 1, (long long)freed);
        LEDGE_TRY(sys_sql_do(hub->sql, err, NULL, NULL, hub_sql_stream_set, "ssiiii", device,
                             hello->epoch, freed, freed, (int64_t)0, (int64_t)0));
    }
    return LEDGE_OK;
}

static enum ledge_status store_hello(struct hub *hub, const char *device,
                                     const struct fleet_hello *hello, struct ledge_error *err)
{
    LEDGE_TRY(sys_sql_begin(hub->sql, err));
    enum ledge_status status =
        sys_sql_do(hub->sql, err, NULL, NULL, hub_sql_device_hello, "siiisss", device, sys_now_ms(),
                   hello->gen, hello->seen, hello->state, hello->agent, hello->cpu);
    if (status == LEDGE_OK && sys_sql_changes(hub->sql) == 0) {
        status = ledge_fail(err, LEDGE_ERR_AUTH, "it is not enrolled");
    }
    if (status == LEDGE_OK) {
        status = repair_stream(hub, device, hello, err);
    }
    return hub_end(hub, status, err);
}

void hub_device_hello(struct hub *hub, const char *device, const struct fleet_hello *hello)
{
    struct ledge_error err;
    if (store_hello(hub, device, hello, &err) != LEDGE_OK) {
        complain(device, "hello", &err);
        return;
    }
    /* A status that was lost on its way: the state belongs to the greatest generation it has
     * received, unless it is still at rest on the one it runs. */
    enum fleet_deploy_state state = fleet_state_parse(hello->state);
    if (hello->seen > 0 && state != FLEET_STATE_IDLE && state != FLEET_STATE_COUNT) {
        int64_t gen = state == FLEET_STATE_CONFIRMED ? hello->gen : hello->seen;
        (void)hub_deploy_state(hub, device, gen, hello->state, NULL);
    }
    hub_device_event(hub, device);
    hub_deploy_send_if_behind(hub, device, hello->seen);
    hub_certificate_check(hub, device);
}

void hub_device_offline(struct hub *hub, const char *device)
{
    struct ledge_error err;
    if (sys_sql_do(hub->sql, &err, NULL, NULL, hub_sql_device_offline, "s", device) != LEDGE_OK) {
        complain(device, "its end", &err);
    } else if (sys_sql_changes(hub->sql) > 0) {
        sys_log(SYS_LOG_INFO, "%s is offline", device);
        hub_device_event(hub, device);
    }
}

/* Told by its records: it is there, also when its hello was lost. Written at most once a second. */
void hub_device_seen(struct hub *hub, const char *device)
{
    struct ledge_error err;
    int64_t now = sys_now_ms(), online = 1;
    if (sys_sql_do(hub->sql, &err, hub_row_int, &online, hub_sql_device_fresh, "si", device,
                   now - 1000) != LEDGE_OK ||
        online == 1) {
        return;
    }
    if (sys_sql_do(hub->sql, &err, NULL, NULL, hub_sql_device_seen, "si", device, now) !=
        LEDGE_OK) {
        complain(device, "its time", &err);
    } else if (online < 0) {
        hub_device_event(hub, device);
    }
}

/* A list of what runs, as the device sent it, bounded; NULL keeps what was known. */
static char *list_text(const json_t *message, const char *key)
{
    const json_t *list = json_object_get(message, key);
    return json_is_array(list) && json_array_size(list) <= 64
               ? json_dumps(list, JSON_COMPACT | JSON_SORT_KEYS)
               : NULL;
}

void hub_device_status(struct hub *hub, const char *device, const json_t *message)
{
    struct ledge_error err;
    const char *state = NULL;
    const char *reason = json_string_value(json_object_get(message, "reason"));
    const json_t *swap = json_object_get(message, "swap_ms"); /* absent: no model was swapped */
    int64_t gen = 0;
    if (sys_json_int(message, "status", "gen", 0, INT64_MAX / 2, &gen, &err) != LEDGE_OK ||
        sys_json_text(message, "status", "state", &state, &err) != LEDGE_OK ||
        fleet_state_parse(state) == FLEET_STATE_COUNT) {
        sys_log(SYS_LOG_WARNING, "%s: status refused: it has no generation or no state", device);
        return;
    }
    reason = reason != NULL && *reason != '\0' ? reason : NULL;
    char *models = list_text(message, "models"), *functions = list_text(message, "functions");
    enum ledge_status status = sys_sql_do(
        hub->sql, &err, NULL, NULL, hub_sql_device_status, "siissssd", device, sys_now_ms(), gen,
        state, reason, models, functions, json_is_number(swap) ? json_number_value(swap) : -1.0);
    bool known = status == LEDGE_OK && sys_sql_changes(hub->sql) > 0;
    free(models);
    free(functions);
    if (status != LEDGE_OK) {
        complain(device, "status", &err);
    } else if (known) {
        if (gen > 0 && hub_deploy_state(hub, device, gen, state, reason)) {
            sys_log(SYS_LOG_INFO, "%s: generation %lld is %s%s%s", device, (long long)gen, state,
                    reason != NULL ? ": " : "", reason != NULL ? reason : "");
        }
        hub_device_event(hub, device);
    }
}
