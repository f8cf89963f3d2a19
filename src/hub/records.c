/* SPDX-License-Identifier: Apache-2.0 */
/* records.c -- what devices have sent, newest first. */
#include <stdio.h>
#include <string.h>

#include "fleet/segment.h"
#include "hub/api.h"
#include "hub_sql.h"

struct page {
    json_t *items;
    int64_t left, last;
    bool more;
};

/* The record's own fields, and over them id, device and ts, which the sender cannot choose. */
static bool add_item(void *arg, const struct sys_row *row)
{
    struct page *page = arg;
    char id[24];
    if (page->left-- == 0) {
        page->more = true;
        return false;
    }
    page->last = sys_row_int(row, 0);
    (void)snprintf(id, sizeof id, "%lld", (long long)page->last);
    json_t *item = hub_json_stored(sys_row_text(row, 3), false);
    (void)json_object_set_new(item, "id", json_string(id));
    (void)json_object_set_new(item, "device", hub_json_text(row, 1));
    (void)json_object_set_new(item, "ts", hub_json_time(sys_row_int(row, 2)));
    (void)json_array_append_new(page->items, item);
    return true;
}

static void list(struct hub_request *request, int kind)
{
    struct ledge_error err;
    int64_t limit = 0, before = 0;
    char next[24];
    const char *device = sys_http_query(request->http, "device");
    if (!hub_request_limit(request, &limit) || !hub_request_cursor(request, INT64_MAX, &before)) {
        return;
    }
    struct page page = {.items = json_array(), .left = limit};
    enum ledge_status status =
        device != NULL && *device != '\0'
            ? sys_sql_do(request->hub->sql, &err, add_item, &page, hub_sql_record_list_device,
                         "iiis", (int64_t)kind, before, limit + 1, device)
            : sys_sql_do(request->hub->sql, &err, add_item, &page, hub_sql_record_list, "iii",
                         (int64_t)kind, before, limit + 1);
    if (status != LEDGE_OK) {
        json_decref(page.items);
        hub_reply_error(request, &err);
        return;
    }
    (void)snprintf(next, sizeof next, "%lld", (long long)page.last);
    hub_reply_json(request, 200, hub_page(page.items, page.more ? next : NULL));
}

void hub_on_predictions(struct hub_request *request)
{
    list(request, FLEET_KIND_prediction);
}

void hub_on_alerts(struct hub_request *request)
{
    list(request, FLEET_KIND_alert);
}
