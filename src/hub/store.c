/* SPDX-License-Identifier: Apache-2.0 */
/* store.c -- the database: opening, its version, settings, audit. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/status.h"
#include "hub/hub.h"
#include "hub_sql.h"
#include "sys/file.h"

bool hub_row_int(void *arg, const struct sys_row *row)
{
    *(int64_t *)arg = sys_row_int(row, 0);
    return true;
}

bool hub_row_text(void *arg, const struct sys_row *row)
{
    char **text = arg;
    free(*text);
    *text = sys_row_text(row, 0) != NULL ? strdup(sys_row_text(row, 0)) : NULL;
    return true;
}

/* Each step and its version are written in one transaction: a store is never half made. */
static enum ledge_status step(struct hub *hub, int64_t version, struct ledge_error *err)
{
    static const char *const scripts[HUB_SCHEMA] = {hub_sql_schema_1, hub_sql_schema_2,
                                                    hub_sql_schema_3, hub_sql_schema_4};
    LEDGE_TRY(sys_sql_begin(hub->sql, err));
    enum ledge_status status = sys_sql_script(hub->sql, scripts[version - 1], err);
    if (status == LEDGE_OK) {
        status =
            sys_sql_do(hub->sql, err, NULL, NULL, hub_sql_schema_set, "ii", version, sys_now_ms());
    }
    if (status == LEDGE_OK) {
        status = sys_sql_commit(hub->sql, err);
    }
    if (status != LEDGE_OK) {
        sys_sql_rollback(hub->sql);
    }
    return status;
}

static enum ledge_status migrate(struct hub *hub, struct ledge_error *err)
{
    int64_t tables = 0, version = 0;
    LEDGE_TRY(sys_sql_do(hub->sql, err, hub_row_int, &tables, hub_sql_schema_has, ""));
    if (tables > 0) {
        LEDGE_TRY(sys_sql_do(hub->sql, err, hub_row_int, &version, hub_sql_schema_get, ""));
    }
    if (version > HUB_SCHEMA) {
        return ledge_fail(err, LEDGE_ERR_UNSUPPORTED,
                          "the store has schema %lld, this ledge-hub knows up to %d: use a newer "
                          "ledge-hub",
                          (long long)version, HUB_SCHEMA);
    }
    while (version < HUB_SCHEMA) {
        LEDGE_TRY(step(hub, ++version, err));
    }
    return LEDGE_OK;
}

enum ledge_status hub_store_open(struct hub *hub, struct ledge_error *err)
{
    char path[HUB_PATH];
    mode_t before = umask(0077);
    enum ledge_status status = sys_sql_open(hub_path(hub, path, "hub.db"), &hub->sql, err);
    if (status == LEDGE_OK) {
        status = migrate(hub, err);
    }
    (void)umask(before);
    if (status != LEDGE_OK) {
        return ledge_fail_at(err, path);
    }
    return sys_sql_do(hub->sql, err, NULL, NULL, hub_sql_device_all_offline, "");
}

enum ledge_status hub_setting(struct hub *hub, const char *key, char **text,
                              struct ledge_error *err)
{
    char *value = NULL;
    LEDGE_TRY(sys_sql_do(hub->sql, err, hub_row_text, &value, hub_sql_setting_get, "s", key));
    *text = value;
    return LEDGE_OK;
}

enum ledge_status hub_setting_set(struct hub *hub, const char *key, const char *value,
                                  struct ledge_error *err)
{
    return sys_sql_do(hub->sql, err, NULL, NULL, hub_sql_setting_set, "ss", key, value);
}

enum ledge_status hub_audit(struct hub *hub, const char *actor, const char *action,
                            const char *subject, const char *detail, struct ledge_error *err)
{
    return sys_sql_do(hub->sql, err, NULL, NULL, hub_sql_audit_add, "issss", sys_now_ms(), actor,
                      action, subject, detail);
}
