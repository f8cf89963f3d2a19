/* SPDX-License-Identifier: Apache-2.0 */
/* deploy.c -- deployments: made, shown, undone; what devices say about them; sending the documents.
 *
 * A deployment gives each device its next generation. Nothing here waits for a device: the document
 * is published when it is made, and again whenever a hello shows that the device has not seen it.
 */
#include "hub/deploy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "base/whole.h"
#include "hub/api.h"
#include "hub_sql.h"
#include "sys/file.h"
#include "sys/json.h"
#include "sys/log.h"

/* -- sent -- */

struct newest {
    struct hub *hub;
    const char *device;
    int64_t seen;
};

static bool send_newest(void *arg, const struct sys_row *row)
{
    const struct newest *newest = arg;
    const char *envelope = sys_row_text(row, 1);
    if (sys_row_int(row, 0) > newest->seen && envelope != NULL) {
        (void)hub_link_send(newest->hub, newest->device, "desired", envelope, strlen(envelope));
    }
    return false;
}

void hub_deploy_send_if_behind(struct hub *hub, const char *device, int64_t seen)
{
    struct ledge_error err;
    struct newest newest = {hub, device, seen};
    if (sys_sql_do(hub->sql, &err, send_newest, &newest, hub_sql_desired_newest, "s", device) !=
        LEDGE_OK) {
        sys_log(SYS_LOG_ERROR, "%s: its document cannot be read: %s", device, err.text);
    }
}

static bool send_row(void *arg, const struct sys_row *row)
{
    const char *envelope = sys_row_text(row, 1);
    return envelope == NULL ||
           hub_link_send(arg, sys_row_text(row, 0), "desired", envelope, strlen(envelope));
}

void hub_deploy_send_unseen(struct hub *hub)
{
    struct ledge_error err;
    if (sys_sql_do(hub->sql, &err, send_row, hub, hub_sql_desired_unseen, "") != LEDGE_OK) {
        sys_log(SYS_LOG_ERROR, "documents cannot be read: %s", err.text);
    }
}

/* -- shown -- */

struct devices {
    json_t *list;
    int64_t done;
};

static bool add_device(void *arg, const struct sys_row *row)
{
    struct devices *devices = arg;
    const char *state = sys_row_text(row, 2);
    devices->done += strcmp(state, "CONFIRMED") == 0;
    (void)json_array_append_new(devices->list,
                                json_pack("{s:o,s:I,s:s,s:o}", "id", hub_json_text(row, 0), "gen",
                                          (json_int_t)sys_row_int(row, 1), "state", state, "reason",
                                          hub_json_text(row, 3)));
    return true;
}

struct page {
    struct hub *hub;
    json_t *items;
    int64_t left, last;
    bool more;
    enum ledge_status status;
    struct ledge_error *err;
};

/* Columns of deployment_list.sql. */
static bool add_item(void *arg, const struct sys_row *row)
{
    struct page *page = arg;
    char id[24], undo[24];
    struct devices devices = {json_array(), 0};
    if (page->left-- == 0) {
        page->more = true;
        json_decref(devices.list);
        return false;
    }
    page->last = sys_row_int(row, 0);
    page->status = sys_sql_do(page->hub->sql, page->err, add_device, &devices,
                              hub_sql_deployment_devices, "i", page->last);
    (void)snprintf(id, sizeof id, "%lld", (long long)page->last);
    (void)snprintf(undo, sizeof undo, "%lld", (long long)sys_row_int(row, 4));
    json_int_t total = (json_int_t)json_array_size(devices.list);
    (void)json_array_append_new(
        page->items, json_pack("{s:s,s:o,s:o,s:o,s:s?,s:o,s:I,s:I}", "id", id, "created",
                               hub_json_time(sys_row_int(row, 1)), "models",
                               hub_json_stored(sys_row_text(row, 2), true), "functions",
                               hub_json_stored(sys_row_text(row, 3), true), "undo_of",
                               sys_row_null(row, 4) ? NULL : undo, "devices", devices.list, "done",
                               (json_int_t)devices.done, "total", total));
    return page->status == LEDGE_OK;
}

void hub_on_deployments(struct hub_request *request)
{
    struct ledge_error err;
    int64_t limit = 0, before = 0;
    char next[24];
    if (!hub_request_limit(request, &limit) || !hub_request_cursor(request, INT64_MAX, &before)) {
        return;
    }
    struct page page = {.hub = request->hub, .items = json_array(), .left = limit, .err = &err};
    enum ledge_status status = sys_sql_do(request->hub->sql, &err, add_item, &page,
                                          hub_sql_deployment_list, "ii", before, limit + 1);
    if (status != LEDGE_OK || page.status != LEDGE_OK) {
        json_decref(page.items);
        hub_reply_error(request, &err);
        return;
    }
    (void)snprintf(next, sizeof next, "%lld", (long long)page.last);
    hub_reply_json(request, 200, hub_page(page.items, page.more ? next : NULL));
}

/* NULL when there is none. */
static enum ledge_status get(struct hub *hub, int64_t id, json_t **item, struct ledge_error *err)
{
    struct page page = {.hub = hub, .items = json_array(), .left = 1, .err = err};
    enum ledge_status status =
        sys_sql_do(hub->sql, err, add_item, &page, hub_sql_deployment_get, "i", id);
    *item = json_incref(json_array_get(page.items, 0));
    json_decref(page.items);
    return status != LEDGE_OK ? status : page.status;
}

static int64_t id_of(const struct hub_request *request)
{
    int64_t id = -1;
    (void)ledge_whole_read(request->params[0], 0, INT64_MAX, &id);
    return id;
}

void hub_on_deployment(struct hub_request *request)
{
    struct ledge_error err;
    json_t *item = NULL;
    if (get(request->hub, id_of(request), &item, &err) != LEDGE_OK) {
        json_decref(item);
        hub_reply_error(request, &err);
    } else if (item == NULL) {
        hub_reply_problem(request, 404, "there is no deployment %s", request->params[0]);
    } else {
        hub_reply_json(request, 200, item);
    }
}

static void announce(struct hub *hub, int64_t id)
{
    json_t *item = NULL;
    if (get(hub, id, &item, NULL) == LEDGE_OK && item != NULL) {
        hub_event(hub, "deployment", item);
    } else {
        json_decref(item);
    }
}

bool hub_deploy_state(struct hub *hub, const char *device, int64_t gen, const char *state,
                      const char *reason)
{
    struct ledge_error err;
    int64_t now = sys_now_ms(), id = 0;
    enum ledge_status status = sys_sql_do(hub->sql, &err, NULL, NULL, hub_sql_deployment_state,
                                          "sissi", device, gen, state, reason, now);
    bool changed = status == LEDGE_OK && sys_sql_changes(hub->sql) > 0;
    if (changed) {
        status = sys_sql_do(hub->sql, &err, NULL, NULL, hub_sql_deployment_superseded, "sii",
                            device, gen, now);
    }
    if (status == LEDGE_OK && changed) {
        status =
            sys_sql_do(hub->sql, &err, hub_row_int, &id, hub_sql_deployment_of, "si", device, gen);
    }
    if (status != LEDGE_OK) {
        sys_log(SYS_LOG_ERROR, "%s: state of generation %lld cannot be stored: %s", device,
                (long long)gen, err.text);
        return false;
    }
    if (changed) {
        announce(hub, id);
    }
    return changed;
}

/* -- made -- */

struct order {
    struct hub *hub;
    json_t *devices;            /* array of names */
    json_t *models, *functions; /* units */
    json_t *policy;             /* or NULL */
    int64_t undo_of;            /* 0: none */
    int64_t id;
};

static void order_done(struct order *order)
{
    json_decref(order->devices);
    json_decref(order->models);
    json_decref(order->functions);
    json_decref(order->policy);
}

static bool add_name(void *arg, const struct sys_row *row)
{
    (void)json_array_append_new(arg, hub_json_text(row, 0));
    return true;
}

static enum ledge_status read_devices(struct order *order, const json_t *asked,
                                      struct ledge_error *err)
{
    order->devices = json_array();
    const char *word = json_string_value(asked);
    if (word != NULL && strcmp(word, "all") == 0) {
        LEDGE_TRY(
            sys_sql_do(order->hub->sql, err, add_name, order->devices, hub_sql_device_names, ""));
        return json_array_size(order->devices) > 0
                   ? LEDGE_OK
                   : ledge_fail(err, LEDGE_ERR_STATE, "no device is enrolled yet");
    }
    for (size_t i = 0; i < json_array_size(asked); i++) {
        const char *name = json_string_value(json_array_get(asked, i));
        bool twice = false;
        for (size_t k = 0; name != NULL && k < json_array_size(order->devices); k++) {
            twice =
                twice || strcmp(json_string_value(json_array_get(order->devices, k)), name) == 0;
        }
        if (name == NULL || twice) {
            return ledge_fail(err, LEDGE_ERR_FORMAT, "devices holds %s",
                              twice ? "a name twice" : "what is no name");
        }
        (void)json_array_append_new(order->devices, json_string(name));
    }
    return json_array_size(order->devices) > 0
               ? LEDGE_OK
               : ledge_fail(err, LEDGE_ERR_FORMAT,
                            "devices is a list of names, or the word \"all\"");
}

static enum ledge_status read_order(struct order *order, const json_t *body,
                                    struct ledge_error *err)
{
    const json_t *policy = json_object_get(body, "policy");
    int64_t trial_s = 0;
    LEDGE_TRY(read_devices(order, json_object_get(body, "devices"), err));
    LEDGE_TRY(hub_desired_units(order->hub, "model", json_object_get(body, "models"),
                                &order->models, err));
    LEDGE_TRY(hub_desired_units(order->hub, "function", json_object_get(body, "functions"),
                                &order->functions, err));
    if (json_array_size(order->models) + json_array_size(order->functions) == 0) {
        return ledge_fail(err, LEDGE_ERR_FORMAT, "neither a model nor a function is named");
    }
    if (json_object_get(policy, "trial_s") != NULL) {
        LEDGE_TRY(sys_json_int(policy, "policy", "trial_s", 0, 3600, &trial_s, err));
        order->policy =
            json_pack("{s:I,s:s}", "trial_s", (json_int_t)trial_s, "on_fail", "rollback");
    }
    return LEDGE_OK;
}

/* {"name","version"} of each unit, for people. */
static char *parts(const json_t *units)
{
    json_t *list = json_array();
    for (size_t i = 0; i < json_array_size(units); i++) {
        const json_t *unit = json_array_get(units, i);
        (void)json_array_append_new(list,
                                    json_pack("{s:O,s:O}", "name", json_object_get(unit, "name"),
                                              "version", json_object_get(unit, "version")));
    }
    char *text = json_dumps(list, JSON_COMPACT);
    json_decref(list);
    return text;
}

static enum ledge_status store_deployment(struct order *order, struct ledge_error *err)
{
    char *models = parts(order->models), *functions = parts(order->functions);
    enum ledge_status status = sys_sql_do(order->hub->sql, err, NULL, NULL, hub_sql_deployment_add,
                                          "issi", sys_now_ms(), models, functions, order->undo_of);
    free(models);
    free(functions);
    order->id = sys_sql_last_id(order->hub->sql);
    return status;
}

/* The device's next generation; document NULL: what it has, merged with the order. */
static enum ledge_status store_device(struct order *order, const char *device, json_t *document,
                                      struct ledge_error *err)
{
    struct hub_base base = {0};
    LEDGE_TRY(hub_desired_base(order->hub, device, &base, err));
    json_t *made = document != NULL ? json_incref(document) : json_incref(base.document);
    enum ledge_status status = LEDGE_OK;
    if (document == NULL) {
        status = hub_desired_merge(made, "models", order->models, err);
        if (status == LEDGE_OK) {
            status = hub_desired_merge(made, "functions", order->functions, err);
        }
        if (order->policy != NULL) {
            (void)json_object_set(made, "policy", order->policy);
        }
    }
    if (status == LEDGE_OK) {
        status = hub_desired_store(order->hub, device, base.next_gen, made, err);
    }
    if (status == LEDGE_OK) {
        status = sys_sql_do(order->hub->sql, err, NULL, NULL, hub_sql_deployment_device_add,
                            "isiii", order->id, device, base.next_gen, base.gen, sys_now_ms());
    }
    json_decref(made);
    json_decref(base.document);
    return status;
}

static enum ledge_status store_order(struct order *order, const char *actor,
                                     struct ledge_error *err)
{
    char subject[24];
    LEDGE_TRY(store_deployment(order, err));
    for (size_t i = 0; i < json_array_size(order->devices); i++) {
        LEDGE_TRY(
            store_device(order, json_string_value(json_array_get(order->devices, i)), NULL, err));
    }
    (void)snprintf(subject, sizeof subject, "%lld", (long long)order->id);
    return hub_audit(order->hub, actor, "deployment.create", subject, NULL, err);
}

/* After the commit: send, tell, answer. */
static void finish(struct hub_request *request, const struct order *order)
{
    char id[24];
    for (size_t i = 0; i < json_array_size(order->devices); i++) {
        const char *device = json_string_value(json_array_get(order->devices, i));
        hub_deploy_send_if_behind(order->hub, device, 0);
        hub_device_event(order->hub, device);
    }
    sys_log(SYS_LOG_INFO, "deployment %lld to %zu devices", (long long)order->id,
            json_array_size(order->devices));
    announce(order->hub, order->id);
    (void)snprintf(id, sizeof id, "%lld", (long long)order->id);
    hub_reply_json(request, 201, json_pack("{s:s}", "id", id));
}

void hub_on_deploy(struct hub_request *request)
{
    struct ledge_error err;
    struct order order = {.hub = request->hub};
    json_t *body = hub_request_json(request);
    if (body == NULL) {
        return;
    }
    enum ledge_status status = read_order(&order, body, &err);
    if (status == LEDGE_OK) {
        status = sys_sql_begin(request->hub->sql, &err);
        if (status == LEDGE_OK) {
            status = store_order(&order, request->actor, &err);
        }
        status = hub_end(request->hub, status, &err);
    }
    if (status == LEDGE_OK) {
        finish(request, &order);
    } else {
        hub_reply_error(request, &err);
    }
    order_done(&order);
    json_decref(body);
}

/* -- undone -- */

/* [[device, gen]] */
static bool add_before(void *arg, const struct sys_row *row)
{
    (void)json_array_append_new(
        arg, json_pack("[o,I]", hub_json_text(row, 0), (json_int_t)sys_row_int(row, 1)));
    return true;
}

/* The documents that the devices had before; what is in them is also what the new deployment shows.
 */
static enum ledge_status read_documents(struct order *order, const json_t *before,
                                        json_t *documents, struct ledge_error *err)
{
    order->devices = json_array();
    json_t *shown = json_pack("{s:[],s:[]}", "models", "functions");
    enum ledge_status status = LEDGE_OK;
    for (size_t i = 0; status == LEDGE_OK && i < json_array_size(before); i++) {
        const json_t *pair = json_array_get(before, i);
        json_t *document = NULL;
        status = hub_desired_document(order->hub, json_string_value(json_array_get(pair, 0)),
                                      json_integer_value(json_array_get(pair, 1)), &document, err);
        if (status == LEDGE_OK) {
            (void)json_array_append(order->devices, json_array_get(pair, 0));
            (void)json_array_append_new(documents, document);
            status = hub_desired_merge(shown, "models", json_object_get(document, "models"), err);
        }
        if (status == LEDGE_OK) {
            status =
                hub_desired_merge(shown, "functions", json_object_get(document, "functions"), err);
        }
    }
    order->models = json_incref(json_object_get(shown, "models"));
    order->functions = json_incref(json_object_get(shown, "functions"));
    json_decref(shown);
    return status;
}

static enum ledge_status store_undo(struct order *order, const json_t *documents, const char *actor,
                                    struct ledge_error *err)
{
    char subject[24];
    LEDGE_TRY(store_deployment(order, err));
    for (size_t i = 0; i < json_array_size(order->devices); i++) {
        LEDGE_TRY(store_device(order, json_string_value(json_array_get(order->devices, i)),
                               json_array_get(documents, i), err));
    }
    (void)snprintf(subject, sizeof subject, "%lld", (long long)order->undo_of);
    return hub_audit(order->hub, actor, "deployment.undo", subject, NULL, err);
}

void hub_on_deployment_undo(struct hub_request *request)
{
    struct ledge_error err;
    struct hub *hub = request->hub;
    struct order order = {.hub = hub, .undo_of = id_of(request)};
    json_t *before = json_array(), *documents = json_array();
    enum ledge_status status = sys_sql_do(hub->sql, &err, add_before, before,
                                          hub_sql_deployment_before, "i", order.undo_of);
    if (status == LEDGE_OK && json_array_size(before) == 0) {
        status =
            ledge_fail(&err, LEDGE_ERR_NOT_FOUND, "there is no deployment %s", request->params[0]);
    }
    if (status == LEDGE_OK) {
        status = read_documents(&order, before, documents, &err);
    }
    if (status == LEDGE_OK) {
        status = sys_sql_begin(hub->sql, &err);
        if (status == LEDGE_OK) {
            status = store_undo(&order, documents, request->actor, &err);
        }
        status = hub_end(hub, status, &err);
    }
    if (status == LEDGE_OK) {
        finish(request, &order);
    } else {
        hub_reply_error(request, &err);
    }
    json_decref(before);
    json_decref(documents);
    order_done(&order);
}
