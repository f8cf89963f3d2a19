/* SPDX-License-Identifier: Apache-2.0 */
/* samples.c -- pictures that wait for a label, and the labels. The same bytes are one sample,
 * whoever sent them. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "base/whole.h"
#include "hub/api.h"
#include "hub_sql.h"
#include "sys/file.h"
#include "sys/json.h"

/* Told by the first bytes, never by the sender: a browser will show it. */
static const char *content_type(const unsigned char *bytes, size_t n)
{
    if (n >= 3 && memcmp(bytes, "\xff\xd8\xff", 3) == 0) {
        return "image/jpeg";
    }
    if (n >= 8 && memcmp(bytes, "\x89PNG\r\n\x1a\n", 8) == 0) {
        return "image/png";
    }
    if (n >= 2 && memcmp(bytes, "BM", 2) == 0) {
        return "image/bmp";
    }
    return "application/octet-stream";
}

/* A field as text, also when it was sent as a number; "" when absent. */
static void text_of(const json_t *meta, const char *key, char text[HUB_LABEL + 1])
{
    const json_t *value = json_object_get(meta, key);
    text[0] = '\0';
    if (json_is_string(value) && hub_label_valid(json_string_value(value))) {
        (void)snprintf(text, HUB_LABEL + 1, "%s", json_string_value(value));
    } else if (json_is_integer(value)) {
        (void)snprintf(text, HUB_LABEL + 1, "%lld", (long long)json_integer_value(value));
    }
}

static const char *or_null(const char *text)
{
    return text[0] != '\0' ? text : NULL;
}

enum ledge_status hub_sample_put(struct hub *hub, const char *device, int64_t ts,
                                 const json_t *meta, const void *bytes, size_t n, int64_t *id,
                                 bool *fresh, struct ledge_error *err)
{
    char sha256[65], model[HUB_LABEL + 1], version[HUB_LABEL + 1], label[HUB_LABEL + 1];
    LEDGE_TRY(hub_blob_put(hub, bytes, n, sha256, err));
    text_of(meta, "model", model);
    text_of(meta, "version", version);
    text_of(meta, "label", label);
    const json_t *score = json_object_get(meta, "score");
    /* SQLite stores NaN as NULL, which is what an unknown score is. */
    double confidence = json_is_number(score) ? json_number_value(score) : (double)NAN;
    char *text = json_dumps(meta, JSON_COMPACT);
    if (text == NULL) {
        return ledge_fail(err, LEDGE_ERR_NOMEM, "out of memory");
    }
    enum ledge_status status =
        sys_sql_do(hub->sql, err, NULL, NULL, hub_sql_sample_add, "sississsds", sha256, (int64_t)n,
                   content_type(bytes, n), device, ts, or_null(model), or_null(version),
                   or_null(label), confidence, text);
    free(text);
    LEDGE_TRY(status);
    *fresh = sys_sql_changes(hub->sql) > 0;
    LEDGE_TRY(sys_sql_do(hub->sql, err, hub_row_int, id, hub_sql_sample_by_digest, "s", sha256));
    if (device != NULL) {
        return sys_sql_do(hub->sql, err, NULL, NULL, hub_sql_device_picture, "ssi", device, sha256,
                          ts);
    }
    return LEDGE_OK;
}

/* Columns of sample_*.sql. */
static json_t *item_of(const struct sys_row *row)
{
    char id[24];
    (void)snprintf(id, sizeof id, "%lld", (long long)sys_row_int(row, 0));
    return json_pack("{s:s,s:o,s:o,s:o,s:o,s:o,s:o,s:s,s:o,s:o,s:o}", "id", id, "device",
                     hub_json_text(row, 1), "ts", hub_json_time(sys_row_int(row, 2)), "model",
                     hub_json_text(row, 3), "version", hub_json_text(row, 4), "label",
                     hub_json_text(row, 5), "score", hub_json_real(row, 6), "state",
                     sys_row_null(row, 7) ? "unlabelled" : "labelled", "assigned",
                     hub_json_text(row, 7), "sha256", hub_json_text(row, 8), "meta",
                     hub_json_stored(sys_row_text(row, 9), false));
}

static bool read_item(void *arg, const struct sys_row *row)
{
    *(json_t **)arg = item_of(row);
    return false;
}

void hub_sample_event(struct hub *hub, int64_t id)
{
    json_t *item = NULL;
    if (sys_sql_do(hub->sql, NULL, read_item, &item, hub_sql_sample_get, "i", id) == LEDGE_OK &&
        item != NULL) {
        hub_event(hub, "sample", item);
    }
}

/* -- lists -- */

struct page {
    json_t *items;
    int64_t left;
    char next[64]; /* "<rank>:<id>" of the last item */
    bool more;
};

static bool add_item(void *arg, const struct sys_row *row)
{
    struct page *page = arg;
    if (page->left-- == 0) {
        page->more = true;
        return false;
    }
    (void)json_array_append_new(page->items, item_of(row));
    (void)snprintf(page->next, sizeof page->next, "%.17g:%lld", sys_row_double(row, 10),
                   (long long)sys_row_int(row, 0));
    return true;
}

void hub_on_samples(struct hub_request *request)
{
    struct ledge_error err;
    double rank = -HUGE_VAL;
    long long id = 0;
    int64_t limit = 0;
    const char *state = sys_http_query(request->http, "state");
    const char *device = sys_http_query(request->http, "device");
    const char *cursor = sys_http_query(request->http, "cursor");
    const char *sql = state == NULL || *state == '\0'    ? hub_sql_sample_any
                      : strcmp(state, "unlabelled") == 0 ? hub_sql_sample_unlabelled
                      : strcmp(state, "labelled") == 0   ? hub_sql_sample_labelled
                                                         : NULL;
    if (!hub_request_limit(request, &limit)) {
        return;
    }
    char end = '\0';
    if (cursor != NULL && *cursor != '\0' &&
        (sscanf(cursor, "%lf:%lld%c", &rank, &id, &end) != 2 || isnan(rank))) {
        hub_reply_problem(request, 400, "cursor is not one that the hub gave");
        return;
    }
    if (sql == NULL) {
        hub_reply_problem(request, 400, "state is labelled or unlabelled");
        return;
    }
    struct page page = {.items = json_array(), .left = limit};
    if (sys_sql_do(request->hub->sql, &err, add_item, &page, sql, "disi", rank, (int64_t)id,
                   device != NULL && *device != '\0' ? device : NULL, limit + 1) != LEDGE_OK) {
        json_decref(page.items);
        hub_reply_error(request, &err);
        return;
    }
    hub_reply_json(request, 200, hub_page(page.items, page.more ? page.next : NULL));
}

/* -- one -- */

/* The number in the path; -1: answered with 404. */
static int64_t id_of(struct hub_request *request)
{
    int64_t id = -1;
    if (!ledge_whole_read(request->params[0], 0, INT64_MAX, &id)) {
        hub_reply_problem(request, 404, "there is no sample %s", request->params[0]);
    }
    return id;
}

void hub_on_sample(struct hub_request *request)
{
    struct ledge_error err;
    json_t *item = NULL;
    int64_t id = id_of(request);
    if (id < 0) {
        return;
    }
    if (sys_sql_do(request->hub->sql, &err, read_item, &item, hub_sql_sample_get, "i", id) !=
        LEDGE_OK) {
        hub_reply_error(request, &err);
    } else if (item == NULL) {
        hub_reply_problem(request, 404, "there is no sample %s", request->params[0]);
    } else {
        hub_reply_json(request, 200, item);
    }
}

struct picture {
    char sha256[65], type[64];
};

static bool read_picture(void *arg, const struct sys_row *row)
{
    struct picture *picture = arg;
    (void)snprintf(picture->sha256, sizeof picture->sha256, "%s", sys_row_text(row, 8));
    (void)snprintf(picture->type, sizeof picture->type, "%s", sys_row_text(row, 11));
    return false;
}

static void send_picture(struct hub_request *request, const struct picture *picture,
                         const char *caching)
{
    char path[HUB_PATH];
    hub_security_headers(request->http, false);
    sys_http_reply_header(request->http, "Cache-Control", caching);
    sys_http_reply_file(request->http, hub_blob_path(request->hub, picture->sha256, path),
                        picture->type, picture->sha256);
}

void hub_on_sample_picture(struct hub_request *request)
{
    struct ledge_error err;
    struct picture picture = {"", ""};
    int64_t id = id_of(request);
    if (id < 0) {
        return;
    }
    if (sys_sql_do(request->hub->sql, &err, read_picture, &picture, hub_sql_sample_get, "i", id) !=
        LEDGE_OK) {
        hub_reply_error(request, &err);
    } else if (picture.sha256[0] == '\0') {
        hub_reply_problem(request, 404, "there is no sample %s", request->params[0]);
    } else {
        send_picture(request, &picture, "private, max-age=31536000, immutable");
    }
}

static bool read_device_picture(void *arg, const struct sys_row *row)
{
    struct picture *picture = arg;
    (void)snprintf(picture->sha256, sizeof picture->sha256, "%s", sys_row_text(row, 0));
    (void)snprintf(picture->type, sizeof picture->type, "%s", sys_row_text(row, 1));
    return false;
}

void hub_on_device_picture(struct hub_request *request)
{
    struct ledge_error err;
    struct picture picture = {"", ""};
    if (sys_sql_do(request->hub->sql, &err, read_device_picture, &picture,
                   hub_sql_device_picture_get, "s", request->params[0]) != LEDGE_OK) {
        hub_reply_error(request, &err);
    } else if (picture.sha256[0] == '\0') {
        hub_reply_problem(request, 404, "there is no picture of %s", request->params[0]);
    } else {
        send_picture(request, &picture, "private, no-cache");
    }
}

/* -- labels -- */

/* Inside a transaction; label NULL takes it back. ERR_NOT_FOUND: no such sample. */
static enum ledge_status assign(struct hub *hub, int64_t id, const char *label, const char *by,
                                struct ledge_error *err)
{
    char subject[24];
    LEDGE_TRY(sys_sql_do(hub->sql, err, NULL, NULL, hub_sql_sample_assign, "is", id, label));
    if (sys_sql_changes(hub->sql) == 0) {
        return ledge_fail(err, LEDGE_ERR_NOT_FOUND, "there is no sample %lld", (long long)id);
    }
    (void)snprintf(subject, sizeof subject, "%lld", (long long)id);
    LEDGE_TRY(sys_sql_do(hub->sql, err, NULL, NULL, hub_sql_label_add, "issi", id, label, by,
                         sys_now_ms()));
    return hub_audit(hub, by, label != NULL ? "sample.label" : "sample.unlabel", subject, label,
                     err);
}

static void assign_and_reply(struct hub_request *request, int64_t id, const char *label,
                             const char *by)
{
    struct ledge_error err;
    enum ledge_status status = sys_sql_begin(request->hub->sql, &err);
    if (status == LEDGE_OK) {
        status = assign(request->hub, id, label, by, &err);
    }
    if (hub_end(request->hub, status, &err) != LEDGE_OK) {
        hub_reply_error(request, &err);
        return;
    }
    hub_sample_event(request->hub, id);
    hub_reply_none(request);
}

void hub_on_sample_label(struct hub_request *request)
{
    struct ledge_error err;
    const char *label = NULL, *by = request->actor;
    int64_t id = id_of(request);
    json_t *body = id < 0 ? NULL : hub_request_json(request);
    if (body == NULL) {
        return;
    }
    if (sys_json_text(body, "label", "label", &label, &err) != LEDGE_OK ||
        (json_object_get(body, "by") != NULL &&
         sys_json_text(body, "label", "by", &by, &err) != LEDGE_OK)) {
        hub_reply_error(request, &err);
    } else if (!hub_label_valid(label) || !hub_label_valid(by)) {
        hub_reply_problem(request, 400,
                          "%s \"%.80s\": give 1 to %d bytes, no slash, and no dot in front",
                          hub_label_valid(label) ? "by" : "label",
                          hub_label_valid(label) ? by : label, HUB_LABEL);
    } else {
        assign_and_reply(request, id, label, by);
    }
    json_decref(body);
}

void hub_on_sample_unlabel(struct hub_request *request)
{
    int64_t id = id_of(request);
    if (id >= 0) {
        assign_and_reply(request, id, NULL, request->actor);
    }
}

/* -- POST /samples -- */

void hub_on_sample_push(struct hub_request *request)
{
    struct ledge_error err;
    struct hub *hub = request->hub;
    const char *label = sys_http_header(request->http, "X-Label");
    char id_text[24], sha256[65] = "";
    int64_t id = 0;
    bool fresh = false;
    size_t n = 0;
    const void *bytes = sys_http_body(request->http, &n);
    if (n == 0 || strcmp(content_type(bytes, n), "application/octet-stream") == 0) {
        hub_reply_problem(request, 400, "the body is not a JPEG, PNG or BMP picture");
        return;
    }
    if (label != NULL && !hub_label_valid(label)) {
        hub_reply_problem(request, 400, "X-Label is not a label");
        return;
    }
    json_t *meta = hub_request_meta(request);
    if (meta == NULL) {
        return;
    }
    enum ledge_status status = sys_sql_begin(hub->sql, &err);
    if (status == LEDGE_OK) {
        status = hub_sample_put(hub, NULL, sys_now_ms(), meta, bytes, n, &id, &fresh, &err);
    }
    if (status == LEDGE_OK) {
        status = hub_audit(hub, request->actor, "sample.add", fresh ? "new" : "known", NULL, &err);
    }
    if (status == LEDGE_OK && label != NULL) {
        status = assign(hub, id, label, request->actor, &err);
    }
    json_decref(meta);
    if (hub_end(hub, status, &err) != LEDGE_OK) {
        hub_reply_error(request, &err);
        return;
    }
    struct picture picture = {"", ""};
    if (sys_sql_do(hub->sql, NULL, read_picture, &picture, hub_sql_sample_get, "i", id) ==
        LEDGE_OK) {
        memcpy(sha256, picture.sha256, sizeof sha256);
    }
    hub_sample_event(hub, id);
    (void)snprintf(id_text, sizeof id_text, "%lld", (long long)id);
    hub_reply_json(
        request, fresh ? 201 : 200,
        json_pack("{s:s,s:s,s:b}", "id", id_text, "sha256", sha256, "duplicate", !fresh));
}
