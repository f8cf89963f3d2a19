/* SPDX-License-Identifier: Apache-2.0 */
/* desired.c -- the desired-state documents: what a device has, merged with what is asked, signed by
 * the director key. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "fleet/deploy_states.h"
#include "fleet/desired.h"
#include "fleet/envelope.h"
#include "hub/deploy.h"
#include "hub_sql.h"
#include "sys/file.h"
#include "sys/json.h"

enum { DEFAULT_TRIAL_S = 5 };

/* -- documents -- */

enum ledge_status hub_desired_document(struct hub *hub, const char *device, int64_t gen,
                                       json_t **document, struct ledge_error *err)
{
    char *text = NULL;
    LEDGE_TRY(sys_sql_do(hub->sql, err, hub_row_text, &text, hub_sql_desired_document, "si", device,
                         gen));
    *document = hub_json_stored(text, false);
    free(text);
    return LEDGE_OK;
}

struct standing {
    bool known;
    int64_t runs, newest, seen;
    enum fleet_deploy_state state;
};

static bool read_standing(void *arg, const struct sys_row *row)
{
    struct standing *s = arg;
    const char *state = sys_row_text(row, 2);
    s->known = true;
    s->runs = sys_row_int(row, 0);
    s->newest = sys_row_int(row, 1);
    s->state = state != NULL ? fleet_state_parse(state) : FLEET_STATE_COUNT;
    s->seen = sys_row_int(row, 3);
    return false;
}

/* A document that did not hold is not built upon: then it is what the device runs. */
static bool failed(enum fleet_deploy_state state)
{
    return state == FLEET_STATE_REJECTED || state == FLEET_STATE_FAILED ||
           state == FLEET_STATE_ROLLING_BACK || state == FLEET_STATE_ROLLED_BACK ||
           state == FLEET_STATE_INCONSISTENT;
}

enum ledge_status hub_desired_base(struct hub *hub, const char *device, struct hub_base *base,
                                   struct ledge_error *err)
{
    struct standing s = {0};
    LEDGE_TRY(sys_sql_do(hub->sql, err, read_standing, &s, hub_sql_desired_base, "s", device));
    if (!s.known) {
        return ledge_fail(err, LEDGE_ERR_NOT_FOUND, "no device is named %s", device);
    }
    base->known = true;
    base->gen = failed(s.state) ? s.runs : s.newest;
    /* Greater than anything the device has seen, also when our store is older than the device. */
    base->next_gen = (s.newest > s.seen ? s.newest : s.seen) + 1;
    return hub_desired_document(hub, device, base->gen, &base->document, err);
}

/* -- units -- */

struct version_row {
    bool found;
    json_t *unit;
    bool function;
};

static bool read_version(void *arg, const struct sys_row *row)
{
    struct version_row *version = arg;
    version->found = true;
    (void)json_object_set_new(version->unit, "sha256", hub_json_text(row, 0));
    (void)json_object_set_new(version->unit, "size", json_integer(sys_row_int(row, 1)));
    (void)json_object_set_new(version->unit, "file", hub_json_text(row, 2));
    if (!version->function && !sys_row_null(row, 3)) {
        (void)json_object_set_new(version->unit, "probe",
                                  json_pack("{s:o,s:I}", "sha256", hub_json_text(row, 3), "size",
                                            (json_int_t)sys_row_int(row, 4)));
    }
    if (version->function && !sys_row_null(row, 5)) { /* what the version says of itself */
        json_t *run = hub_json_stored(sys_row_text(row, 5), false);
        (void)json_object_update_missing(version->unit, run);
        json_decref(run);
    }
    return false;
}

static enum ledge_status make_unit(struct hub *hub, const char *kind, const json_t *asked,
                                   json_t *unit, struct ledge_error *err)
{
    static const char *const copied[] = {"args", "env", "config"};
    const char *name = NULL;
    int64_t version = 0;
    bool function = strcmp(kind, "function") == 0;
    LEDGE_TRY(sys_json_text(asked, kind, "name", &name, err));
    if (json_object_get(asked, "version") != NULL) {
        LEDGE_TRY(sys_json_int(asked, kind, "version", 1, INT64_MAX / 2, &version, err));
    } else {
        LEDGE_TRY(sys_sql_do(hub->sql, err, hub_row_int, &version, hub_sql_version_next, "ss", kind,
                             name));
        version--;
    }
    (void)json_object_set_new(unit, "name", json_string(name));
    (void)json_object_set_new(unit, "version", json_integer(version));
    for (size_t i = 0; function && i < 3; i++) {
        json_t *value = json_object_get(asked, copied[i]);
        if (value != NULL && !json_is_null(value)) {
            (void)json_object_set(unit, copied[i], value);
        }
    }
    struct version_row row = {false, unit, function};
    LEDGE_TRY(sys_sql_do(hub->sql, err, read_version, &row, hub_sql_version_get, "ssi", kind, name,
                         version));
    if (!row.found) {
        return ledge_fail(err, LEDGE_ERR_NOT_FOUND, "there is no %s %s version %lld", kind, name,
                          (long long)version);
    }
    if (function && json_object_get(unit, "mode") == NULL) {
        (void)json_object_set_new(unit, "mode", json_string("pinned"));
    }
    return LEDGE_OK;
}

enum ledge_status hub_desired_units(struct hub *hub, const char *kind, const json_t *asked,
                                    json_t **units, struct ledge_error *err)
{
    json_t *list = json_array();
    enum ledge_status status = LEDGE_OK;
    if (asked != NULL && !json_is_null(asked) && !json_is_array(asked)) {
        status = ledge_fail(err, LEDGE_ERR_FORMAT, "%ss is not a list", kind);
    }
    for (size_t i = 0; status == LEDGE_OK && i < json_array_size(asked); i++) {
        json_t *unit = json_object();
        status = make_unit(hub, kind, json_array_get(asked, i), unit, err);
        (void)json_array_append_new(list, unit);
    }
    if (status != LEDGE_OK) {
        json_decref(list);
        return status;
    }
    *units = list;
    return LEDGE_OK;
}

enum ledge_status hub_desired_merge(json_t *document, const char *key, const json_t *units,
                                    struct ledge_error *err)
{
    json_t *list = json_object_get(document, key);
    if (list == NULL) {
        list = json_array();
        if (json_object_set_new(document, key, list) != 0) {
            return ledge_fail(err, LEDGE_ERR_NOMEM, "out of memory");
        }
    }
    for (size_t i = 0; i < json_array_size(units); i++) {
        json_t *unit = json_array_get(units, i);
        const char *name = json_string_value(json_object_get(unit, "name"));
        size_t at = 0;
        while (at < json_array_size(list) &&
               strcmp(json_string_value(json_object_get(json_array_get(list, at), "name")), name) !=
                   0) {
            at++;
        }
        int failure = at < json_array_size(list) ? json_array_set(list, at, unit)
                                                 : json_array_append(list, unit);
        if (failure != 0) {
            return ledge_fail(err, LEDGE_ERR_NOMEM, "out of memory");
        }
    }
    return LEDGE_OK;
}

/* -- signing -- */

static enum ledge_status sign(struct hub *hub, const struct ledge_buf *payload,
                              struct ledge_buf *envelope, struct ledge_error *err)
{
    uint8_t sig[FLEET_SIGNATURE];
    struct ledge_buf bytes = LEDGE_BUF_INIT(2 * FLEET_DOCUMENT_MAX);
    enum ledge_status status =
        fleet_signed_bytes(payload->data, payload->len, &bytes)
            ? sys_ed25519_sign(hub->director_secret, bytes.data, bytes.len, sig, err)
            : ledge_fail(err, LEDGE_ERR_RANGE, "the document is too large");
    ledge_buf_done(&bytes);
    LEDGE_TRY(status);
    return fleet_envelope_write(payload->data, payload->len, hub->director_public, sig, envelope,
                                err);
}

/* What the device would refuse is refused here already, where somebody reads the answer. */
static enum ledge_status check(const char *device, const struct ledge_buf *payload,
                               struct ledge_error *err)
{
    struct fleet_desired *parsed = calloc(1, sizeof *parsed);
    if (parsed == NULL) {
        return ledge_fail(err, LEDGE_ERR_NOMEM, "out of memory");
    }
    enum ledge_status status = fleet_desired_parse(payload->data, payload->len, parsed, err);
    if (status == LEDGE_OK) {
        fleet_desired_done(parsed);
    } else {
        (void)ledge_fail_at(err, device);
    }
    free(parsed);
    return status;
}

static void number(json_t *document, const char *device, int64_t gen)
{
    char now[32];
    sys_time_text(sys_now_ms(), now);
    (void)json_object_set_new(document, "v", json_integer(1));
    (void)json_object_set_new(document, "device", json_string(device));
    (void)json_object_set_new(document, "gen", json_integer(gen));
    (void)json_object_set_new(document, "issued", json_string(now));
    if (json_object_get(document, "models") == NULL) {
        (void)json_object_set_new(document, "models", json_array());
    }
    if (json_object_get(document, "functions") == NULL) {
        (void)json_object_set_new(document, "functions", json_array());
    }
    if (json_object_get(document, "policy") == NULL) {
        (void)json_object_set_new(
            document, "policy",
            json_pack("{s:i,s:s}", "trial_s", DEFAULT_TRIAL_S, "on_fail", "rollback"));
    }
}

enum ledge_status hub_desired_store(struct hub *hub, const char *device, int64_t gen,
                                    json_t *document, struct ledge_error *err)
{
    struct ledge_buf payload = LEDGE_BUF_INIT(FLEET_DOCUMENT_MAX);
    struct ledge_buf envelope = LEDGE_BUF_INIT(FLEET_PAYLOAD_MAX);
    number(document, device, gen);
    enum ledge_status status = fleet_canonical(document, &payload, err);
    if (status == LEDGE_OK) {
        status = check(device, &payload, err);
    }
    if (status == LEDGE_OK) {
        status = sign(hub, &payload, &envelope, err);
    }
    if (status == LEDGE_OK) {
        status = sys_sql_do(hub->sql, err, NULL, NULL, hub_sql_desired_add, "sissi", device, gen,
                            payload.data, envelope.data, sys_now_ms());
    }
    ledge_buf_done(&payload);
    ledge_buf_done(&envelope);
    return status == LEDGE_ERR_FULL && payload.failed
               ? ledge_fail(err, LEDGE_ERR_RANGE, "%s: the document is larger than 128 KB", device)
               : status;
}
